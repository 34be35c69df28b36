"""What R's package list 9.2.6 does otherwise in the no-design-effect test, so that published p-values can be found again."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student


def selected_as_in_list(t: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Which inequalities it tests, (study, k), of estimates ``t`` (study, k) from ``n`` (study,) respondents.

    Estimates are divided by their standard deviation among themselves over sqrt(n), in place of their own standard errors, so that
    nearly every positive estimate is left out. A single one (J = 1) has no such standard deviation, and is tested.
    """
    if t.shape[-1] == 1:
        return np.ones(t.shape, dtype=bool)
    spread = t.std(axis=-1, ddof=1, keepdims=True)
    return t <= spread * np.sqrt(np.log(n) / n)[:, None]


def welch_p(control: np.ndarray, treatment: np.ndarray, trait: int, k: np.ndarray) -> np.ndarray:
    """Its p-value where one inequality is left, that of people with this ``trait`` and ``k`` (study,) control items: shape (study,).

    A one-sided Welch test of the difference of two shares: those who answer at most k to the one list, and at most k (or k - 1) to
    the other. ``control`` (study, J + 1) and ``treatment`` (study, J + 2) are counts.
    """
    rows, n0, n1 = np.arange(len(k)), control.sum(axis=-1), treatment.sum(axis=-1)
    f1 = np.cumsum(treatment, axis=-1)[rows, k] / n1
    f0 = np.cumsum(control, axis=-1)[rows, k if trait else k - 1] / n0
    v0, v1 = f0 * (1 - f0) / (n0 - 1), f1 * (1 - f1) / (n1 - 1)
    degrees = (v0 + v1) ** 2 / (v0**2 / (n0 - 1) + v1**2 / (n1 - 1))
    return student.cdf((f0 - f1 if trait else f1 - f0) / np.sqrt(v0 + v1), degrees)
