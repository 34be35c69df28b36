"""Shares of the types of people that a list experiment identifies, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import half_width
from bayes_listexp.list_arms import ListArms, arms_by_list

TYPE_COLUMNS = ["trait", "count", "estimate", "se", "lower", "upper"]


def type_estimates(control: np.ndarray, treatment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of people by trait (1, 0) and count 0..J, (..., 2, J + 1), and their covariance by trait, (..., 2, J + 1, J + 1).

    ``control`` (..., J + 1) and ``treatment`` (..., J + 2) are counts of respondents by answer. With F0 and F1 the shares who answer at
    most k, P(count = k, trait = 1) = F0(k) - F1(k) and P(count = k, trait = 0) = F1(k) - F0(k - 1) (Blair & Imai 2012). Nothing
    keeps the estimates from being negative.
    """
    n0, n1 = (counts.sum(axis=-1, keepdims=True) for counts in (control, treatment))
    f0, f1 = np.cumsum(control, axis=-1) / n0, np.cumsum(treatment, axis=-1)[..., :-1] / n1
    before = np.concatenate([np.zeros_like(f0[..., :1]), f0[..., :-1]], axis=-1)
    within = _covariance_of_shares(f1, n1)
    covariance = np.stack([within + _covariance_of_shares(f, n0) for f in (f0, before)], axis=-3)
    return np.stack([f0 - f1, f1 - before], axis=-2), covariance


def _covariance_of_shares(f: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Covariance (..., k, k) of the shares ``f`` (..., k), rising in k, who answer at most k among ``n`` (..., 1)."""
    low = np.minimum(f[..., :, None], f[..., None, :])
    high = np.maximum(f[..., :, None], f[..., None, :])
    return low * (1 - high) / n[..., None]


def type_shares(study: ListExperiment, by: str | Sequence[str] = (), *, probability: float = 0.95) -> pd.DataFrame:
    """Estimated share of each type of people, by trait and number of control items that apply: one row per type.

    Columns: whose answers (list version, item, and the columns ``by``, where there are several), ``trait`` (1, 0), ``count`` (0..J),
    ``estimate`` (a share of people, which can come out negative), ``se``, ``lower``, ``upper`` (normal interval). Their sum over
    trait = 1 is the difference in means. Respondents count alike, without weights or clusters (Blair & Imai 2012, section 3.1).

    Raises
    ------
    InputError : an unknown or repeated column in ``by``.
    """
    tables = [types_of(arms, probability) for arms in arms_by_list(study, by)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=TYPE_COLUMNS)


def types_of(arms: ListArms, probability: float = 0.95) -> pd.DataFrame:
    """The types of people of one comparison, as :func:`type_shares`."""
    estimate, covariance = type_estimates(arms.control, arms.treatment)
    se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1)).ravel()
    width = half_width(probability) * se
    table = pd.DataFrame({
        "trait": np.repeat([1, 0], arms.J + 1), "count": np.tile(np.arange(arms.J + 1), 2), "estimate": estimate.ravel(), "se": se,
        "lower": estimate.ravel() - width, "upper": estimate.ravel() + width,
    })
    return table.assign(**arms.of)[[*arms.of, *TYPE_COLUMNS]]
