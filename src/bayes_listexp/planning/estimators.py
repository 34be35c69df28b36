"""Estimators of the prevalence for many simulated studies at once: counts of answers in, estimates and standard errors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_listexp.many_fits import prevalence_of_tables

GRID, REACH, SWEEPS, TINY = 40, 5.0, 25, 1e-300
EDGES = (((0, 0), (0, 0), (0, 1)), ((0, 0), (0, 0), (1, 0)))


class Estimated(NamedTuple):
    """Estimates and their standard errors, (study,)."""

    estimate: np.ndarray
    se: np.ndarray


def difference_in_means(control: np.ndarray, treatment: np.ndarray) -> Estimated:
    """The difference in means with its unbiased variance, for numbers of answers (study, answer) in either arm."""
    (m0, v0), (m1, v1) = _mean_and_variance(control), _mean_and_variance(treatment)
    return Estimated(m1 - m0, np.sqrt(v0 + v1))


def maximum_likelihood(control: np.ndarray, treatment: np.ndarray) -> Estimated:
    """The maximum-likelihood prevalence with any distribution of the count, the same for people with and without the trait.

    Where the maximum is at 0 or 1, or was not found, there is no standard error (NaN).
    """
    fits = prevalence_of_tables(control, treatment)
    return Estimated(fits.estimate, np.where(fits.converged & ~fits.boundary, fits.se, np.nan))


def posterior(control: np.ndarray, treatment: np.ndarray) -> Estimated:
    """Posterior mean and standard deviation of the prevalence: uniform prior, any distribution of the count, the same for both traits.

    At each prevalence of a grid the distribution of the count is the most likely one, which EM finds: the log-likelihood is concave in it
    and the control arm, where counts are seen, makes EM fast.
    """
    n = control.sum(axis=1) + treatment.sum(axis=1)
    centre = difference_in_means(control, treatment)
    low, high = (np.clip(centre.estimate + side * REACH * centre.se, 0, 1) for side in (-1, 1))
    low, high = np.where(high - low < 1 / GRID, np.minimum(low, 1 - 1 / GRID), low), np.maximum(high, 1 / GRID)
    p = (low + (high - low) * (np.arange(GRID)[:, None] + 0.5) / GRID)[..., None]  # (grid, study, 1)
    counts = np.broadcast_to((control + 0.5) / (control + 0.5).sum(axis=1, keepdims=True), (GRID, *control.shape))
    for _ in range(SWEEPS):
        without, with_trait = (1 - p) * counts, p * counts
        weight = _per_answer(treatment, without, with_trait)
        counts = (control + without * weight[..., :-1] + with_trait * weight[..., 1:]) / n[:, None]
    chance = np.pad((1 - p) * counts, EDGES[0]) + np.pad(p * counts, EDGES[1])
    log = (control * np.log(np.maximum(counts, TINY))).sum(-1) + (treatment * np.log(np.maximum(chance, TINY))).sum(-1)
    mass = np.exp(log - log.max(axis=0))
    mass /= mass.sum(axis=0)
    mean = (mass * p[..., 0]).sum(axis=0)
    return Estimated(mean, np.sqrt((mass * (p[..., 0] - mean) ** 2).sum(axis=0)))


def _per_answer(treatment: np.ndarray, without: np.ndarray, with_trait: np.ndarray) -> np.ndarray:
    """Respondents of the treatment arm over the chance of their answer, (grid, study, answer)."""
    chance = np.pad(without, EDGES[0]) + np.pad(with_trait, EDGES[1])
    return np.divide(treatment, chance, out=np.zeros_like(chance), where=chance > 0)


ESTIMATORS: dict[str, Callable[[np.ndarray, np.ndarray], Estimated]] = {
    "dim": difference_in_means, "ml": maximum_likelihood, "posterior": posterior,
}  # fmt: skip
"""By name: "dim", the difference in means; "ml", maximum likelihood; "posterior", mean and standard deviation under a uniform prior."""


def _mean_and_variance(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean answer of each study, and the estimated variance of that mean."""
    y, n = np.arange(answers.shape[1]), answers.sum(axis=1)
    mean = answers @ y / n
    return mean, ((answers @ y**2) / n - mean**2) / (n - 1)
