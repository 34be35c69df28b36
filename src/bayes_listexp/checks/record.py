"""What a check is, and how the checks of one page answer for each other's chances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.multiple_tests import holm

LEVEL = 0.05


class Check(NamedTuple):
    """One check: what it asks, whether it passed, the number it rests on, a table, a sentence.

    ``passed`` is None where there is nothing to pass, or where what was found is to be looked at and no fault. ``interval`` is that of
    ``estimate`` (95 %). ``p`` is set by tests: of several tests within one check the smallest, adjusted among them. ``advice`` says
    what to do where a check did not pass; ``topic`` is the part of a page that it belongs to.
    """

    name: str
    question: str
    passed: bool | None
    estimate: float | None
    table: pd.DataFrame | None
    text: str
    interval: tuple[float, float] | None = None
    p: float | None = None
    advice: str = ""
    topic: str = ""


def as_family(checks: Sequence[Check]) -> list[Check]:
    """The same checks, tests among them failing by Holm's adjustment for all tests of the list, so that their number is no cause.

    A test that fails alone and not among the others is not passed either: it becomes a note that says so. With no design fault
    whatever the chance that any test of the list fails is at most 5 %.
    """
    tests = [i for i, check in enumerate(checks) if check.p is not None]
    adjusted = dict(zip(tests, holm(np.array([checks[i].p for i in tests], dtype=float)), strict=True))
    return [_among_others(check, float(adjusted[i]), len(tests)) if i in adjusted else check for i, check in enumerate(checks)]


def _among_others(check: Check, adjusted: float, tests: int) -> Check:
    if check.passed is not False or tests == 1:
        return check
    said = f"{check.text} Adjusted for the {tests} tests of this list (Holm): p = {adjusted:.2g}"
    if adjusted < LEVEL:
        return check._replace(text=f"{said}.")
    return check._replace(passed=None, text=f"{said}, which chance alone can bring about; it is no evidence that all is well.")


def names_of(checks: Sequence[Check], *, passed: bool | None) -> list[str]:
    """Names of the checks that passed, that failed, or (None) that are for information."""
    return [check.name for check in checks if check.passed is passed]


def worst_of(p: pd.Series) -> float | None:
    """The smallest of adjusted p-values; None where no test could be made."""
    return float(p.min()) if p.notna().any() else None


def of_list(label: str) -> str:
    """Whose answers a sentence is about; nothing where there is one list."""
    return f"{label[0].upper()}{label[1:]}: " if label else ""


def within_lists(label: str) -> str:
    """The same within a sentence."""
    return f" ({label})" if label else ""
