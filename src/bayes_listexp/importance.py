"""The quick look mended: draws around the mode, weighed by the exact density and drawn again by their weights.

A normal distribution at the mode has neither the skewness nor the tails of a posterior. Draws of a multivariate t there get
importance weights, density over proposal, the largest of which are smoothed by a generalised Pareto distribution; its shape k says
whether they can be relied on, which up to 0.7 they can (PSIS: Vehtari, Simpson, Gelman, Yao & Gabry 2024). While weights are uneven,
the mean and covariance that they give make the next proposal (population Monte Carlo: Cappé, Guillin, Marin & Robert 2004).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import arviz_stats.base
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph.replace import vectorize_graph

from bayes_listexp.many_draws import in_chunks
from bayes_listexp.sampling import INTERPRETED, initial_values, split

PROPOSED = 2000
"""Draws of each proposal."""

ROUNDS = 3
FREEDOM = 10
"""Degrees of freedom of the proposals: tails that a posterior's seldom exceed, at little cost near the mode."""

TRUSTED_K = 0.7
LEAST_EFFECTIVE = 100
"""With fewer effective draws the shape of the weights' tail cannot be told: it may seem harmless because the posterior was missed."""

EVEN_K, EVEN_SHARE = 0.5, 0.5
"""Shape of the tail and effective share of the draws that need no better proposal."""

Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Approximation(NamedTuple):
    """How draws of a quick look stand to the posterior: whether importance weights corrected them, the Pareto k of the weights, and how
    many independent draws the corrected ones are worth. Without k (flat priors, the mode at infinity) nothing was weighed.
    """

    corrected: bool
    pareto_k: float | None = None
    effective_draws: float | None = None

    def attributes(self) -> dict[str, Any]:
        """For a dataset, as a NetCDF file can hold them; :meth:`of` reads them back."""
        weighed = {} if self.pareto_k is None else {"pareto_k": self.pareto_k, "importance_effective_draws": self.effective_draws}
        return {"approximation": "PSIS" if self.corrected else "normal", **weighed}

    @classmethod
    def of(cls, tree: xr.DataTree) -> Approximation | None:
        """That of a fit by ``method="map"``; None of a sampled one."""
        if "sample_stats" in tree.children:
            return None
        told = tree["posterior"].attrs if "posterior" in tree.children else {}
        return cls(told.get("approximation") == "PSIS", told.get("pareto_k"), told.get("importance_effective_draws"))

    def words(self) -> str:
        """What draws are, and how far to trust them, in two sentences at most."""
        if self.pareto_k is None:
            return "A normal approximation at the posterior mode, not a sampled posterior."
        if self.corrected:
            return (
                f"Draws around the posterior mode, corrected by importance weights of the exact density (PSIS), not sampled. Pareto k is "
                f"{self.pareto_k:.2f} (limit {TRUSTED_K}), and they are worth {self.effective_draws:,.0f} independent draws."
            )
        return (
            "A normal approximation at the posterior mode, not a sampled posterior. Importance weights could not correct it (Pareto k "
            f"{self.pareto_k:.2f}, limit {TRUSTED_K}; {self.effective_draws:,.0f} effective draws, at least {LEAST_EFFECTIVE}): the "
            "posterior is far from normal, and intervals may be too narrow or lie elsewhere."
        )


class Weighed(NamedTuple):
    """Draws of one proposal, (draw, parameter), their weights, which sum to 1, and what these are worth."""

    draws: np.ndarray
    weights: np.ndarray
    pareto_k: float
    effective: float

    @property
    def trusted(self) -> bool:
        """Whether draws may be drawn again by the weights."""
        return self.pareto_k <= TRUSTED_K and self.effective >= LEAST_EFFECTIVE

    @property
    def even(self) -> bool:
        """Whether no better proposal is needed."""
        return self.pareto_k <= EVEN_K and self.effective >= EVEN_SHARE * len(self.weights)


def corrected(
    evaluate: Evaluate, mode: np.ndarray, covariance: np.ndarray, number: int, seed: int
) -> tuple[np.ndarray, Approximation]:
    """``number`` unconstrained draws, (1, draw, parameter), and how they stand to the posterior.

    Where the weights of a proposal can be trusted, draws of it are drawn again by them, and otherwise the draws are of the normal
    distribution with the ``mode`` (parameter,) and the ``covariance`` there. ``evaluate`` is that of :func:`compile_densities`.
    """
    rng = np.random.default_rng(seed)
    best = _best_of_rounds(evaluate, mode, covariance, rng)
    told = Approximation(best.trusted, best.pareto_k, best.effective)
    if best.trusted:
        return best.draws[_systematic(best.weights, number, rng)][None], told
    return around_mode(mode, covariance, number, seed), told


def around_mode(mode: np.ndarray, covariance: np.ndarray, number: int, seed: int) -> np.ndarray:
    """``number`` unconstrained draws of the normal approximation at a mode, (1, draw, parameter)."""
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(mode, covariance, size=(1, number), method="cholesky")


def compile_densities(model: pm.Model, numbers: int) -> Evaluate:
    """The log density of many unconstrained points (point, parameter), and its part that is the log-likelihood, (point,) each.

    ``numbers`` is about how many numbers one point takes: as many points are computed at once as memory is quick for.
    """
    known, rest = model.observed_RVs, [*model.free_RVs, *model.potentials]
    terms = [pt.as_tensor(term).sum() for term in model.logp(vars=[*known, *rest], sum=False)]
    likelihood = pt.add(pt.constant(0.0), *terms[: len(known)])
    batched = [pt.tensor(name, dtype="float64", shape=(None, *value.shape)) for name, value in initial_values(model).items()]
    outputs = [likelihood + pt.add(*terms[len(known) :], pt.constant(0.0)), likelihood]
    many = vectorize_graph(outputs, dict(zip(model.value_vars, batched, strict=True)))
    compiled = pytensor.function(batched, many, mode=INTERPRETED, on_unused_input="ignore")

    def evaluate(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = in_chunks(compiled, split(model, points), numbers)
        log_density, log_likelihood = (np.concatenate(part) for part in zip(*parts, strict=True))
        return log_density, log_likelihood

    return evaluate


def _best_of_rounds(evaluate: Evaluate, centre: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> Weighed:
    """The proposal with the most effective draws: the first at the mode, each other as the weights of the one before say."""
    found: list[Weighed] = []
    for _ in range(ROUNDS):
        found.append(_weighed(evaluate, centre, covariance, rng))
        last = found[-1]
        if last.even or last.effective < 2 * len(centre):  # which could not tell a covariance
            break
        centre = last.weights @ last.draws
        apart = last.draws - centre
        covariance = (apart * last.weights[:, None]).T @ apart
    return max(found, key=lambda one: (one.trusted, one.effective))


def _weighed(evaluate: Evaluate, centre: np.ndarray, covariance: np.ndarray, rng: np.random.Generator) -> Weighed:
    """Draws of the multivariate t of a centre and a scale, with smoothed weights."""
    size = len(centre)
    z = rng.normal(size=(PROPOSED, size)) / np.sqrt(rng.chisquare(FREEDOM, size=(PROPOSED, 1)) / FREEDOM)
    draws = centre + z @ np.linalg.cholesky(covariance).T
    ratio = evaluate(draws)[0] + (FREEDOM + size) / 2 * np.log1p((z**2).sum(axis=1) / FREEDOM)
    impossible = ~np.isfinite(ratio)
    ratio = np.where(impossible, ratio[~impossible].min(initial=0.0) - 1000, ratio)
    log_weights, k = arviz_stats.base.array_stats.psislw(-ratio)
    weights = np.exp(log_weights - np.logaddexp.reduce(log_weights))
    return Weighed(draws, weights, float(k), float(1 / (weights**2).sum()))


def _systematic(weights: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """Which draws to take, (number,): each as often as its weight says, up to rounding (systematic resampling; Kitagawa 1996).

    Those that are taken twice stay side by side, so that what judges draws by their autocorrelation, such as effective sample sizes and
    with them leave-one-out cross-validation, knows of it.
    """
    at = (rng.random() + np.arange(number)) / number
    return np.minimum(np.searchsorted(np.cumsum(weights), at), len(weights) - 1)
