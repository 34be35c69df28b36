"""Judging the ranks of truths among posterior draws: the ECDF's simultaneous band and its p-value (Sailynoja, Burkner & Vehtari 2022)."""

from __future__ import annotations

import functools

import numpy as np
from arviz_stats.ecdf_utils import ecdf_pit
from scipy.special import bdtr

RANKED = 99
"""Posterior draws among which the truth is ranked."""

LEVEL = 0.05
SIMULATIONS = 20_000


def uniform_under_calibration(ranks: np.ndarray) -> np.ndarray:
    """Ranks among :data:`RANKED` draws, (study,), spread over their share of 0 to 1: exactly uniform if the ranks are."""
    return (ranks + np.random.default_rng(0).random(len(ranks))) / (RANKED + 1)


@functools.cache
def band(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points from 0 to 1, and there the lower and upper end of the simultaneous 95 % band of the ECDF of ``n`` uniform numbers."""
    points, _, low, high = ecdf_pit(np.linspace(0, 1, n), 1 - LEVEL, 1000, rng=np.random.default_rng(1))
    return points, low, high


def ecdf(u: np.ndarray) -> np.ndarray:
    """The ECDF of ``u`` at the points of its band."""
    inner = np.searchsorted(np.sort(u), band(len(u))[0][1:-1], side="right") / len(u)
    return np.concatenate([[0.0], inner, [1.0]])


def within_band(u: np.ndarray) -> bool:
    """Whether the ECDF of ``u`` stays in the simultaneous 95 % band of a uniform sample's."""
    _, low, high = band(len(u))
    return bool(np.all((low <= ecdf(u)) & (ecdf(u) <= high)))


@functools.cache
def share_outside(n: int) -> float:
    """The share of uniform samples of size ``n`` whose ECDF leaves the band, which is made for 5 % and simulated itself: 5 to 8 %."""
    return 1 - float(np.mean([within_band(u) for u in np.random.default_rng(3).random((2000, n))]))


def least_tail(u: np.ndarray) -> np.ndarray:
    """The smallest pointwise tail probability of the ECDFs of samples ``u`` (sample, study), (sample,): what the band is made of."""
    size, n = u.shape
    interval = np.minimum((u * n).astype(int), n - 1) + n * np.arange(size)[:, None]
    below = np.bincount(interval.ravel(), minlength=size * n).reshape(size, n).cumsum(axis=1)[:, :-1]
    at, count = np.arange(1, n)[:, None] / n, np.arange(n + 1)
    fewer = bdtr(count, n, at)
    more = 1 - np.column_stack([np.zeros(n - 1), fewer[:, :-1]])
    return np.minimum(fewer, more)[np.arange(n - 1), below].min(axis=1)


@functools.cache
def least_tails(n: int) -> np.ndarray:
    """The distribution of :func:`least_tail` for uniform samples of size ``n``, (simulation,)."""
    return np.sort(least_tail(np.random.default_rng(2).random((SIMULATIONS, n))))


def p_value(u: np.ndarray) -> float:
    """Probability that the ECDF of a uniform sample strays as far as that of ``u``: by simulation, and below what that can tell by the
    sum of the pointwise probabilities, which is never less.
    """
    tail = least_tail(u[None])[0]
    simulated = (1 + int(np.searchsorted(least_tails(len(u)), tail, side="right"))) / (1 + SIMULATIONS)
    return float(min(simulated, 2 * (len(u) - 1) * tail))
