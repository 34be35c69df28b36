"""What people write down under a response model, as constant tables: from the trait and the control count to answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bayes_listexp.cells import ARMS
from bayes_listexp.errors import InputError
from bayes_listexp.responses import Lapse, Rule, truthful_rule


class ReportTables(NamedTuple):
    """What people write down, as constant tables of shape (trait, count, answer), the answers of all arms side by side.

    The first J + 1 answers are those of the control arm, the next J + 2 those of the treatment arm, and, if the study has
    one, J + 2 those of the placebo list. ``certain`` holds
    the truthful rows that no lapse touches; for each lapse, ``kept`` holds the truthful rows that it touches and
    ``followed`` what its rule makes of them. So, with lapse probabilities q,

        P(answer | trait, count) = certain + sum over lapses of (1 - q) kept + q followed,

    whose rows sum to one in each arm.
    """

    certain: np.ndarray
    kept: Mapping[str, np.ndarray]
    followed: Mapping[str, np.ndarray]


def arm_slices(J: int, arms: Sequence[str] = ARMS[:2]) -> dict[str, slice]:
    """Where the answers of each arm stand in a report table."""
    ends = np.cumsum([J + 1 + (arm != "control") for arm in arms])
    starts = [0, *ends[:-1]]
    return {arm: slice(int(start), int(end)) for arm, start, end in zip(arms, starts, ends, strict=True)}


def rule_table(rule: Rule, J: int, arm: str) -> np.ndarray:
    """P(answer | trait, count) under one rule in one arm, shape (2, J + 1, number of answers).

    The item that a placebo list adds applies to nobody: its readers follow the rule for the treatment list as people
    without the trait do.

    Raises
    ------
    InputError : the rule gives an answer outside the list.
    """
    treated = int(arm != "control")
    table = np.zeros((2, J + 1, J + 1 + treated))
    for trait in (0, 1):
        for count in range(J + 1):
            told = rule(count, 0 if arm == "placebo" else trait, treated, J)
            answers = [told] if isinstance(told, (int, np.integer)) else list(told)
            if not answers or min(answers) < 0 or max(answers) > J + treated:
                raise InputError(
                    f"rule '{getattr(rule, '__name__', rule)}' answers {told!r} at count {count}, trait {trait}, "
                    f"{arm} arm; with J = {J} answers are 0..{J + treated}."
                )
            table[trait, count, answers] = 1 / len(answers)
    return table


def report_tables(lapses: Mapping[str, Lapse], J: int, arms: Sequence[str] = ARMS[:2]) -> ReportTables:
    """The tables of a response model.

    Raises
    ------
    InputError : two lapses change the answer of the same person, so their probabilities could exceed one together; or a
        lapse changes no answer in any of the arms.
    """
    truthful = _side_by_side(truthful_rule, J, arms)
    certain, kept, followed = truthful, {}, {}
    touched: dict[str, np.ndarray] = {}
    for name, lapse in lapses.items():
        table = _side_by_side(lapse.rule, J, arms)
        touches = _touched(table, truthful, arm_slices(J, arms))
        if not touches.any():
            raise InputError(f"lapse '{name}' changes no answer on the lists {', '.join(arms)}. Leave it out.")
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


def _side_by_side(rule: Rule, J: int, arms: Sequence[str]) -> np.ndarray:
    return np.concatenate([rule_table(rule, J, arm) for arm in arms], axis=-1)


def _touched(table: np.ndarray, truthful: np.ndarray, slices: Mapping[str, slice]) -> np.ndarray:
    """Where a rule differs from the truth, by (trait, count) and arm, spread over the arm's answers."""
    touches = np.zeros(table.shape, dtype=bool)
    for arm in slices.values():
        touches[..., arm] = (table[..., arm] != truthful[..., arm]).any(axis=-1, keepdims=True)
    return touches
