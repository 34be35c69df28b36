"""The only mixture algebra: P(answer | cell, arm) from the trait, the control count and what people write down.

Probabilities stay probabilities: those of the trait and of lapses come as pairs (p, 1 - p), each from its own sigmoid,
every term is a product or sum of non-negative numbers, and the logarithm is taken once, by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt

from bayes_listexp.errors import InputError
from bayes_listexp.responses import Lapse, Rule, truthful_rule

SMALLEST = 1e-300
"""Added inside the logarithm, so that an answer nobody gave and that underflows contributes 0 and not 0 * log 0."""


class ReportTables(NamedTuple):
    """What people write down, as constant tables of shape (trait, count, answer), the answers of both arms side by side.

    The first J + 1 answers are those of the control arm, the other J + 2 those of the treatment arm. ``certain`` holds
    the truthful rows that no lapse touches; for each lapse, ``kept`` holds the truthful rows that it touches and
    ``followed`` what its rule makes of them. So, with lapse probabilities q,

        P(answer | trait, count) = certain + sum over lapses of (1 - q) kept + q followed,

    whose rows sum to one in each arm.
    """

    certain: np.ndarray
    kept: Mapping[str, np.ndarray]
    followed: Mapping[str, np.ndarray]


def arm_slices(J: int) -> dict[str, slice]:
    """Where the answers of each arm stand in a report table."""
    return {"control": slice(0, J + 1), "treatment": slice(J + 1, 2 * J + 3)}


def rule_table(rule: Rule, J: int, *, treated: int) -> np.ndarray:
    """P(answer | trait, count) under one rule, shape (2, J + 1, J + 1 + treated).

    Raises
    ------
    InputError : the rule gives an answer outside the list.
    """
    table = np.zeros((2, J + 1, J + 1 + treated))
    for trait in (0, 1):
        for count in range(J + 1):
            told = rule(count, trait, treated, J)
            answers = [told] if isinstance(told, (int, np.integer)) else list(told)
            if not answers or min(answers) < 0 or max(answers) > J + treated:
                raise InputError(
                    f"rule '{getattr(rule, '__name__', rule)}' answers {told!r} at count {count}, trait {trait}, "
                    f"{'treatment' if treated else 'control'} arm; with J = {J} answers are 0..{J + treated}."
                )
            table[trait, count, answers] = 1 / len(answers)
    return table


def report_tables(lapses: Mapping[str, Lapse], J: int) -> ReportTables:
    """The tables of a response model.

    Raises
    ------
    InputError : two lapses change the answer of the same person, so their probabilities could exceed one together.
    """
    truthful = _both_arms(truthful_rule, J)
    certain, kept, followed = truthful, {}, {}
    touched: dict[str, np.ndarray] = {}
    for name, lapse in lapses.items():
        table = _both_arms(lapse.rule, J)
        touches = _touched(table, truthful, J)
        for other, other_touches in touched.items():
            if (touches & other_touches).any():
                raise InputError(
                    f"lapses '{other}' and '{name}' overlap: both change the answer of the same person. "
                    "Use rules that touch different counts, traits or arms."
                )
        touched[name] = touches
        certain = np.where(touches, 0.0, certain)
        kept[name], followed[name] = np.where(touches, truthful, 0.0), np.where(touches, table, 0.0)
    return ReportTables(certain, kept, followed)


def state_probabilities(trait_predictor: Any, count_pmf: Any) -> Any:
    """P(trait, count | cell), shape (..., cell, trait, count).

    ``trait_predictor`` is the logit prevalence (..., cell); ``count_pmf`` is P(count | trait, cell), with a trait axis
    of length 1 if the count does not depend on the trait.
    """
    pair = pt.sigmoid(trait_predictor[..., None] * np.array([-1.0, 1.0]))
    return pair[..., None] * count_pmf


def answer_probabilities(states: Any, tables: ReportTables, lapse_predictors: Mapping[str, Any]) -> Any:
    """P(answer | cell) of both arms side by side, shape (..., cell, answer).

    ``states`` is P(trait, count | cell), (..., cell, trait, count); to get P(trait = 1, answer | cell), set the states
    of the other trait to 0. ``lapse_predictors`` maps a lapse to the logit of its probability, (..., cell).
    """
    flat = pt.concatenate([states[..., 0, :], states[..., 1, :]], axis=-1)
    weighted, rows = [flat], [tables.certain]
    for name, followed in tables.followed.items():
        logit = lapse_predictors[name][..., None]
        weighted += [pt.sigmoid(-logit) * flat, pt.sigmoid(logit) * flat]
        rows += [tables.kept[name], followed]
    table = np.concatenate([r.reshape(-1, r.shape[-1]) for r in rows])
    terms = weighted[0] if len(weighted) == 1 else pt.concatenate(weighted, axis=-1)
    # Without a draw dim this is the sampled model, where compiling a BLAS product costs more than it saves.
    return (terms[:, :, None] * table).sum(axis=1) if terms.ndim == 2 else terms @ table


def answer_log_likelihood(counts: Any, probabilities: Any) -> Any:
    """Log-probability of the answers in each cell, shape (..., cell): sum of ``counts`` times log P(answer).

    The multinomial coefficient is left out: it does not depend on parameters, and without it the sum over cells is the
    log-likelihood of the respondents, as other list-experiment software prints it.
    """
    return (counts * pt.log(probabilities + SMALLEST)).sum(axis=-1)


def _both_arms(rule: Rule, J: int) -> np.ndarray:
    return np.concatenate([rule_table(rule, J, treated=treated) for treated in (0, 1)], axis=-1)


def _touched(table: np.ndarray, truthful: np.ndarray, J: int) -> np.ndarray:
    """Where a rule differs from the truth, by (trait, count) and arm, spread over the arm's answers."""
    touches = np.zeros(table.shape, dtype=bool)
    for arm in arm_slices(J).values():
        touches[..., arm] = (table[..., arm] != truthful[..., arm]).any(axis=-1, keepdims=True)
    return touches
