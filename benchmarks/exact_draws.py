"""Exact posterior draws of small models without gradients: importance sampling that adapts itself on the way from prior to posterior.

The likelihood is let in by degrees, as powers of it (Neal 2001; Del Moral, Doucet & Jasra 2006). At each degree points are drawn
afresh from a mixture of kernels around the weighted points of the one before (West 1993) and of the prior, which bounds every weight;
so nothing has to be found first, neither a mode nor a scale, and several modes are as good as one. The last round alone is weighted
and resampled: given the mixture, its points are independent, and their weights exact. Pareto smoothing says whether these can be relied
on (Vehtari et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from arviz_stats.base import array_stats
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp, ndtr

type Target = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From points (point, parameter) on the unconstrained scale to log prior and log-likelihood, (point,) each."""

FIRST, POINTS, CENTRES = 1000, 40, 200
"""Points from the prior, in each round on the way for each parameter, and kernels of a mixture."""

LAST = 80, 800
"""Points of the last round for each parameter, at first and at most."""

ENOUGH = 10.0
"""Effective points for each parameter from which kernels are made well enough; with fewer there are more points at the next degree."""

SHARE = 0.35
"""The share of the effective points that a step to the next degree leaves."""

FROM_PRIOR = 0.05
"""The share of points that are of the prior."""

DF = 8.0
"""Degrees of freedom of the kernels."""

LEAST_ESS, LARGEST_K = 250.0, 0.7
"""What the last round must have; otherwise there is one more, of twice as many points."""

KNOTS = np.concatenate([[-20.0], np.linspace(-3.2, 3.2, 33), [20.0]])
"""Standard normal scores at which the prior's quantiles are joined, with the ends of what is thought possible."""


class Weighted(NamedTuple):
    """Points (point, parameter) with their smoothed log weights (point,), the effective number of them, and the Pareto k."""

    points: np.ndarray
    log_weights: np.ndarray
    ess: float
    k: float
    evaluations: int


class Mixture(NamedTuple):
    """Kernels: multivariate t of one shape around ``centres`` (centre, parameter); ``root`` is the Cholesky factor of their scale."""

    centres: np.ndarray
    root: np.ndarray

    @classmethod
    def around(cls, points: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Mixture:
        """Kernels around ``points`` with ``weights`` that sum to one, drawn in to their mean so that the mixture's covariance is theirs."""
        d = points.shape[1]
        mean = weights @ points
        centred = points - mean
        covariance = (centred * weights[:, None]).T @ centred
        covariance += 1e-6 * np.diag(np.diag(covariance) + 1e-8)
        effective = min(1 / (weights**2).sum(), CENTRES)
        h = (4 / ((d + 2) * effective)) ** (1 / (d + 4))
        chosen = points[rng.choice(len(points), CENTRES, p=weights)]
        return cls(mean + np.sqrt(1 - min(h, 1) ** 2) * (chosen - mean), h * np.linalg.cholesky(covariance))

    def draw(self, number: int, rng: np.random.Generator) -> np.ndarray:
        """Points of the mixture."""
        d = self.centres.shape[1]
        steps = rng.normal(size=(number, d)) / np.sqrt(rng.chisquare(DF, (number, 1)) / DF)
        return self.centres[rng.integers(len(self.centres), size=number)] + steps @ self.root.T

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density at points, (point,)."""
        d = points.shape[1]
        x, c = (solve_triangular(self.root, values.T, lower=True).T for values in (points, self.centres))
        apart = np.maximum((x**2).sum(1)[:, None] + (c**2).sum(1) - 2 * x @ c.T, 0)
        constant = gammaln((DF + d) / 2) - gammaln(DF / 2) - d / 2 * np.log(DF * np.pi) - np.log(np.diag(self.root)).sum()
        return constant - np.log(len(self.centres)) + logsumexp(-(DF + d) / 2 * np.log1p(apart / DF), axis=1)


class Scores(NamedTuple):
    """Coordinates in which the prior of each parameter is about standard normal: broken lines through its quantiles.

    ``knots`` (knot, parameter) are the values of the parameters at :data:`KNOTS`. Whatever the lines are, the change of variables is exact.
    """

    knots: np.ndarray

    @classmethod
    def of(cls, prior: np.ndarray) -> Scores:
        """From draws of the prior; beyond the outer quantiles the lines go on as there."""
        inner = np.quantile(prior, ndtr(KNOTS[1:-1]), axis=0)
        inner = np.maximum.accumulate(inner + 1e-9 * np.arange(len(inner))[:, None])
        ends = (inner[i] + (inner[i] - inner[j]) * (KNOTS[k] - KNOTS[k1]) / (KNOTS[k1] - KNOTS[k2])
                for i, j, k, k1, k2 in ((0, 1, 0, 1, 2), (-1, -2, -1, -2, -3)))  # fmt: skip
        low, high = ends
        return cls(np.vstack([low, inner, high]))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """From parameters (point, parameter) to scores."""
        return np.column_stack([np.interp(x[:, i], self.knots[:, i], KNOTS) for i in range(x.shape[1])])

    def back(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From scores to parameters, and the log Jacobian (point,); scores beyond the ends are at the ends, and impossible."""
        x = np.column_stack([np.interp(z[:, i], KNOTS, self.knots[:, i]) for i in range(z.shape[1])])
        piece = np.clip(np.searchsorted(KNOTS, z, side="right") - 1, 0, len(KNOTS) - 2)
        slopes = np.log(np.diff(self.knots, axis=0) / np.diff(KNOTS)[:, None])
        log_jacobian = np.take_along_axis(slopes, piece, axis=0).sum(axis=1)
        return x, np.where((np.abs(z) < KNOTS[-1]).all(axis=1), log_jacobian, -np.inf)


def draw_weighted(target: Target, prior: np.ndarray, seed: int) -> Weighted:
    """Points that represent the posterior of a ``target``, given draws of its ``prior`` (draw, parameter), at least :data:`FIRST`."""
    scores = Scores.of(prior)

    def of_scores(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, log_jacobian = scores.back(z)
        log_prior, log_likelihood = target(x)
        return log_prior + log_jacobian, log_likelihood

    found = in_scores(of_scores, scores.forward(prior), seed)
    return found._replace(points=scores.back(found.points)[0])


def in_scores(target: Target, prior: np.ndarray, seed: int) -> Weighted:
    """Points that represent the posterior of a ``target``, given draws of its ``prior`` (draw, parameter), at least :data:`FIRST`."""
    rng = np.random.default_rng(seed)
    points = prior[rng.choice(len(prior), FIRST, replace=False)]
    log_ratio, log_likelihood = np.zeros(FIRST), finite(target(points)[1])
    degree, evaluations, d = 0.0, FIRST, prior.shape[1]
    size, most = (each * d for each in LAST)
    while True:
        full = degree == 1
        degree = next_degree(log_ratio, log_likelihood, degree)
        log_weights = log_ratio + degree * log_likelihood
        mixture = Mixture.around(points, normalised(log_weights), rng)
        number = size if full else int(POINTS * d * np.clip(ENOUGH * d / effective(log_weights), 1, 8))
        points, log_q = propose(mixture, prior, number, rng)
        log_prior, log_likelihood = target(points)
        log_likelihood = finite(log_likelihood)
        log_ratio = log_prior - log_q(points, log_prior)
        evaluations += number
        if not full:
            continue
        raw = log_ratio + log_likelihood
        smoothed, k = array_stats.psislw(np.minimum(raw.max() - raw, 700.0))  # it takes minus the weights
        ess = effective(smoothed)
        if ess >= LEAST_ESS and k <= LARGEST_K or number >= most:
            return Weighted(points, smoothed, ess, float(k), evaluations)
        size = min(2 * size, most)


def finite(log_likelihood: np.ndarray) -> np.ndarray:
    """With a number that stands for zero where it is none."""
    return np.where(np.isfinite(log_likelihood), log_likelihood, -1e300)


def propose(mixture: Mixture, prior: np.ndarray, number: int, rng: np.random.Generator) -> tuple[np.ndarray, Callable[..., np.ndarray]]:
    """Points of the mixture and of the prior, and the function from them and their log prior to the log density of both together."""
    old = int(FROM_PRIOR * number)
    points = np.concatenate([mixture.draw(number - old, rng), prior[rng.choice(len(prior), old, replace=False)]])

    def log_q(x: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
        return np.logaddexp(np.log1p(-old / number) + mixture.log_density(x), np.log(old / number) + log_prior)

    return points, log_q


def next_degree(log_ratio: np.ndarray, log_likelihood: np.ndarray, degree: float) -> float:
    """The largest degree up to 1 at which the points are effectively :data:`SHARE` of their number, at least the present one."""
    wanted = SHARE * max(effective(log_ratio + degree * log_likelihood), 4.0)

    def enough(at: float) -> bool:
        return effective(log_ratio + at * log_likelihood) >= wanted

    if enough(1.0):
        return 1.0
    low, high = degree, 1.0
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


def normalised(log_weights: np.ndarray) -> np.ndarray:
    """Weights that sum to one."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective(log_weights: np.ndarray) -> float:
    """Effective number of points."""
    return float(1 / (normalised(log_weights) ** 2).sum())
