"""Blair & Imai's test that the sensitive item leaves the answers to the control items as they are.

Without a design effect every type of people has a share of at least 0; the test asks whether the estimated shares are farther below
0 than chance explains. Blair & Imai (2012, "Statistical analysis of list experiments", Political Analysis 20: 47-77); selection of
the inequalities that can bind: Andrews & Soares (2010, "Inference for parameters defined by moment inequalities using generalized
moment selection", Econometrica 78: 119-157).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_arms import arms_by_list
from bayes_listexp.multiple_tests import holm
from bayes_listexp.no_design_effect.chi_bar import chi_bar_tail, chi_bar_weights, distance
from bayes_listexp.no_design_effect.replication import selected_as_in_list, welch_p
from bayes_listexp.no_design_effect.type_shares import type_estimates

METHODS = ("textbook", "none", "list-9.2.6")
NEARLY_SINGULAR = 1e-8
RIDGE = 1e-6
"""Added to variances where empty cells make covariances singular: far below what three digits of p can show."""


class MomentTest(NamedTuple):
    """The test of one table of counts, or of many: by trait (1, 0) the distance, how many inequalities were kept, and p; and p of both.

    ``statistic``, ``kept`` and ``p_by_trait`` are (..., 2), ``p`` is (...): twice the smaller p, at most 1 (Bonferroni).
    """

    statistic: np.ndarray
    kept: np.ndarray
    p_by_trait: np.ndarray
    p: np.ndarray


def no_design_effect_test(study: ListExperiment, method: str = "textbook", *, by: str | Sequence[str] = ()) -> pd.DataFrame:
    """The no-design-effect test of each list version, sensitive item and group: one row each.

    The estimated shares of :func:`type_shares` with the trait, and those without it, each have a distance from the nearest shares
    without a negative one, and its p-value under the chi-bar-square law of shares that are all 0; the smaller of the two counts
    twice (Bonferroni).

    Parameters
    ----------
    method : which inequalities are tested. "textbook" (the default) leaves out the estimates that are more than sqrt(log n) of
        their own standard errors above 0, which cannot bind (generalised moment selection); "none" keeps all, which is valid
        and less powerful; "list-9.2.6" selects as R's package list 9.2.6 does, for replication: it divides by the standard deviation
        of the estimates among themselves over sqrt(n), so that nearly every positive estimate is left out.
    by : columns to test apart, such as the wave.

    Returns
    -------
    Columns: whose answers (list version, item, ``by``), ``method``, ``n_control``, ``n_treatment``, ``lowest`` and ``z``, the estimate
    farthest below 0 in its standard errors; ``statistic_1``, ``kept_1``, ``p_1`` of people with the trait and ``statistic_0``, ``kept_0``,
    ``p_0`` of those without; ``p``; and ``p_adjusted`` by Holm's method over the rows. A small p says that the control items were answered
    otherwise beside the sensitive item, or that people misreported; a large p is no proof that they were not, as a design
    effect can leave all shares positive. Respondents count alike, without weights or clusters.

    Raises
    ------
    InputError : an unknown method or column.
    """
    if method not in METHODS:
        raise InputError(f"no_design_effect_test: method = '{method}': there are {', '.join(METHODS)}.")
    rows = []
    for arms in arms_by_list(study, by):
        found = counts_tested(arms.control, arms.treatment, method)
        estimate, covariance = type_estimates(arms.control, arms.treatment)
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        z = estimate / np.sqrt(np.where(variance > 0, variance, 1.0))
        sides = {f"{name}_{trait}": value[side] for side, trait in enumerate((1, 0))
                 for name, value in (("statistic", found.statistic), ("kept", found.kept), ("p", found.p_by_trait))}
        lowest = np.unravel_index(z.argmin(), z.shape)
        rows.append({**arms.of, "method": method, "n_control": int(arms.control.sum()), "n_treatment": int(arms.treatment.sum()),
                     "lowest": float(estimate[lowest]), "z": float(z[lowest]), **sides, "p": float(found.p)})
    table = pd.DataFrame(rows)
    return table.assign(p_adjusted=holm(table["p"].to_numpy())) if rows else table


def counts_tested(control: np.ndarray, treatment: np.ndarray, method: str = "textbook") -> MomentTest:
    """The test on counts of respondents by answer, ``control`` (..., J + 1) and ``treatment`` (..., J + 2): one table or many at once.

    P(count = J, trait = 1) and P(count = 0, trait = 0) are shares of answers and cannot be negative; the other J of each are tested.
    """
    shape, J = np.shape(control)[:-1], np.shape(control)[-1] - 1
    control, treatment = np.reshape(control, (-1, J + 1)), np.reshape(treatment, (-1, J + 2))
    estimates, covariances = type_estimates(control, treatment)
    n = control.sum(axis=-1) + treatment.sum(axis=-1)
    sides = []
    for side, part in ((0, slice(0, J)), (1, slice(1, J + 1))):
        t, s = estimates[:, side, part], covariances[:, side, part, part]
        selected = selected_as_in_list(t, n) if method == "list-9.2.6" else _selected(t, s, n, method)
        selected &= (np.diagonal(s, axis1=-2, axis2=-1) > 0) | (t < 0)  # without sampling error, and not negative: nothing to test
        statistic, kept, p = _by_selection(t, s, selected)
        if method == "list-9.2.6":
            one = np.flatnonzero((kept == 1) & (selected.sum(axis=-1) == 1))
            p[one] = welch_p(control[one], treatment[one], 1 - side, selected[one].argmax(axis=-1) + side)
        sides.append((statistic, kept, p))
    statistic, kept, p = (np.stack(values, axis=-1).reshape(*shape, 2) for values in zip(*sides, strict=True))
    return MomentTest(statistic, kept, p, np.minimum(1.0, 2 * p.min(axis=-1)))


def _selected(t: np.ndarray, s: np.ndarray, n: np.ndarray, method: str) -> np.ndarray:
    """Which inequalities are tested, (study, k)."""
    if method == "none":
        return np.ones(t.shape, dtype=bool)
    variance = np.diagonal(s, axis1=-2, axis2=-1)
    return t <= np.sqrt(np.log(n)[:, None] * variance)


def _by_selection(t: np.ndarray, s: np.ndarray, selected: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances, numbers of inequalities tested and p-values, (study,) each; studies with the same inequalities are done at once."""
    variance = np.diagonal(s, axis1=-2, axis2=-1)
    certain = variance <= 0
    impossible = (certain & (t < 0)).any(axis=-1)
    tested = selected & ~certain
    statistic, p = np.zeros(len(t)), np.ones(len(t))
    for pattern in np.unique(tested, axis=0):
        rows, own = np.flatnonzero((tested == pattern).all(axis=-1)), np.flatnonzero(pattern)
        if len(own):
            part = _regular(s[rows][:, own[:, None], own])
            statistic[rows] = distance(t[rows][:, own], part)
            far = statistic[rows] > 0
            p[rows[far]] = chi_bar_tail(statistic[rows[far]], chi_bar_weights(part[far]))
    return np.where(impossible, np.inf, statistic), tested.sum(axis=-1), np.where(impossible, 0.0, p)


def _regular(s: np.ndarray) -> np.ndarray:
    """Covariances with a ridge where they are singular: cells that are empty in both arms repeat an inequality."""
    variance = np.diagonal(s, axis1=-2, axis2=-1)
    sd = np.sqrt(variance)
    least = np.linalg.eigvalsh(s / (sd[:, :, None] * sd[:, None, :]))[:, 0]
    ridge = np.where(least < NEARLY_SINGULAR, RIDGE, 0.0)
    return s + ridge[:, None, None] * variance[:, :, None] * np.eye(s.shape[-1])
