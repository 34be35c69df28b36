"""The only mixture algebra: P(what was observed | cell) from the trait, the control count and what people write down.

A list alone is a table of answers per cell; with other instruments each distinct observation is a row, and the
instruments' factors join under the sum over trait and count. Probabilities stay probabilities: those of the trait and of
lapses come as pairs (p, 1 - p), each from its own sigmoid, every term is a product or sum of non-negative numbers, and the
logarithm is taken once: by the caller for a list alone, before the instruments' log-densities join otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad

from bayes_listexp.cells import ARMS
from bayes_listexp.instrument import Rows
from bayes_listexp.reporting import ReportTables, arm_slices

SMALLEST = 1e-300
"""Added inside the logarithm, so that an answer nobody gave and that underflows contributes 0 and not 0 * log 0."""


class RowTables(NamedTuple):
    """The columns of report tables that rows of observations need, each (row, trait, count); all 1 without an answer."""

    certain: Any
    kept: Mapping[str, Any]
    followed: Mapping[str, Any]


def row_tables(tables: ReportTables, rows: Rows, J: int, arms: Sequence[str]) -> RowTables:
    """What people write down, at rows of observations: the probability of each row's answer by trait and count."""
    starts = np.array([part.start for part in arm_slices(J, arms).values()])
    listed = rows.arm >= 0
    position = np.searchsorted([ARMS.index(arm) for arm in arms], np.where(listed, rows.arm, 0))
    return tables_at(tables, np.where(listed, starts[position] + rows.answer, -1))


def tables_at(tables: ReportTables, column: Any) -> RowTables:
    """Report tables at one ``column`` (row,) for each row, -1 where there is no answer; integers, NumPy or PyTensor."""
    take = np.take if isinstance(column, np.ndarray) else pt.take

    def at_rows(table: np.ndarray, unlisted: float) -> Any:
        padded = np.concatenate([np.full((*table.shape[:2], 1), unlisted), table], axis=-1)
        return take(padded.transpose(2, 0, 1), column + 1, axis=0)

    kept = {name: at_rows(table, 0.0) for name, table in tables.kept.items()}
    followed = {name: at_rows(table, 0.0) for name, table in tables.followed.items()}
    return RowTables(at_rows(tables.certain, 1.0), kept, followed)


def reported(tables: ReportTables | RowTables, chances: Mapping[str, tuple[Any, Any]]) -> Any:
    """P(answer | trait, count) from report tables: ``chances`` maps each lapse to the pair (1 - q, q), which broadcast to them."""
    said = tables.certain
    for name, (keeps, lapses) in chances.items():
        said = said + keeps * tables.kept[name] + lapses * tables.followed[name]
    return said


def reported_by(tables: ReportTables, trait: np.ndarray, count: np.ndarray, lapses: Mapping[str, np.ndarray]) -> np.ndarray:
    """P(answer) of people with this ``trait`` and ``count`` (person,) on every list, (person, answer), lists side by side.

    ``lapses`` are the probabilities of the lapses, (person,).
    """

    def own(table: np.ndarray) -> np.ndarray:
        return table[trait, count]

    theirs = ReportTables(
        own(tables.certain),
        {name: own(table) for name, table in tables.kept.items()},
        {name: own(table) for name, table in tables.followed.items()},
    )
    return reported(theirs, {name: (1 - q[:, None], q[:, None]) for name, q in lapses.items()})


def possible_rows(tables: RowTables, possible: Sequence[np.ndarray]) -> np.ndarray:
    """Whether each row could have been observed under the model, (row,): ``possible`` are the instruments', (row, trait)."""
    told = tables.certain + sum(tables.kept.values()) + sum(tables.followed.values())
    traits = (told > 0).any(axis=-1)
    for allowed in possible:
        traits = traits & allowed
    return traits.any(axis=-1)


def state_probabilities(trait_predictor: Any, count_pmf: Any) -> Any:
    """P(trait, count | cell), shape (..., cell, trait, count).

    ``trait_predictor`` is the logit prevalence (..., cell, count), with a count axis of length 1 unless the trait is modelled
    given the count; ``count_pmf`` is P(count | trait, cell), with a trait axis of length 1 if it does not depend on it.
    """
    return trait_chances(trait_predictor) * count_pmf


def trait_chances(trait_predictor: Any) -> Any:
    """P(trait) without and with the trait, (..., cell, trait, count), from the logit (..., cell, count)."""
    return pt.sigmoid(trait_predictor[..., None, :] * np.array([[-1.0], [1.0]]))


def row_log_probabilities(
    states: Any, tables: RowTables, lapse_predictors: Mapping[str, Any], log_factors: Sequence[Any]
) -> Any:
    """Log P(trait, all that was observed | cell), shape (..., row, trait): its logsumexp is the row's log-likelihood.

    ``states`` and ``lapse_predictors`` are given at the rows, (..., row, trait, count) and (..., row); ``log_factors`` are
    the instruments', (..., row, trait, count), each with a count axis of length 1 where the count does not matter to it.
    """
    logits = {name: lapse_predictors[name][..., None, None] for name in tables.kept}
    told = reported(tables, {name: (pt.sigmoid(-logit), pt.sigmoid(logit)) for name, logit in logits.items()})
    by_count = [factor for factor in log_factors if pt.as_tensor(factor).type.shape[-1] != 1]
    joint = states * told
    if not by_count:
        listed = pt.log(joint.sum(axis=-1) + SMALLEST)
    else:
        listed = log_sum_exp(pt.log(joint + SMALLEST) + sum(by_count))
    return listed + sum(factor[..., 0] for factor in log_factors if not any(factor is other for other in by_count))


def by_trait(without: Any, with_trait: Any) -> Any:
    """What holds without and with the trait, each (..., row, count), as one tensor (..., row, trait, count)."""
    return pt.stack(pt.broadcast_arrays(pt.as_tensor(without), pt.as_tensor(with_trait)), axis=-2)


def log_sum_exp(x: Any) -> Any:
    """log(sum(exp(x))) over the last axis, by the largest term: stable in itself, not by a compiler's rewriting."""
    largest = disconnected_grad(x.max(axis=-1, keepdims=True))
    return pt.log(pt.exp(x - largest).sum(axis=-1)) + largest[..., 0]


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
