"""Draws under a pseudo-likelihood, given the spread that the sampling design calls for (Williams & Savitsky 2021).

A weighted likelihood of respondents gives a sensible centre but no valid spread: it takes n respondents of weights 1 for granted.
Write H for the information of the weighted likelihood, Q for the prior's precision (minus the Hessian of its log-density) and
Sigma = (H + Q)^-1 for the covariance of the draws. The mode solves "weighted score + gradient of the log prior = 0", so to first
order its distance from the truth is Sigma (score at the truth + gradient there). Over repeated samples of the design the score has
a variance M, which is estimated from the totals of the sampled units; over truths that the prior allows, the gradient of a normal
log-density has variance Q. The two are independent, and the distance has variance Sigma (M + Q) Sigma: the prior is information
that no design thins out, without which group effects that rest on their prior alone would be given no spread at all. Where
M = H, as for independent respondents of equal weights, this is Sigma, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor
import xarray as xr

from bayes_listexp import predictive
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.sampling import INTERPRETED, constrain, initial_values
from bayes_listexp.specification import Blueprint
from bayes_listexp.survey_design import PERSON, unit_column, units_of, variance_of_totals
from bayes_listexp.weighting import Weighted, replicated_totals, weighted_observations

STEP = 1e-4
"""Of central differences, on the unconstrained scale, where parameters are of order 1."""

LEAST_CURVATURE = 1e-8
"""Relative to the largest: directions with less are not identified."""


class Correction(NamedTuple):
    """The map theta -> centre + (theta - centre) @ transform of unconstrained draws, and what it rests on.

    ``covariance`` is Sigma, ``corrected`` is Sigma (M + Q) Sigma, both (parameter, parameter); ``design_effect`` (parameter,) is
    the variance that the data give it over what independent respondents of equal weights would give, on average over the levels
    of a group; ``units`` says what was sampled; ``shrinkage`` is explained in :func:`_steadied`.
    """

    centre: np.ndarray
    transform: np.ndarray
    covariance: np.ndarray
    corrected: np.ndarray
    design_effect: np.ndarray
    shrinkage: float
    units: str
    degrees_of_freedom: int


def corrected_draws(
    study: ListExperiment, plan: Blueprint, model: pm.Model, draws: np.ndarray
) -> tuple[np.ndarray, xr.Dataset]:
    """Unconstrained ``draws`` (chain, draw, parameter) with the design's spread, and by how much each parameter was widened.

    The dataset has ``sd_ratio`` (unconstrained_parameter,), the sd of the corrected draws over that of the draws, and
    ``design_effect`` as in :class:`Correction`, and ``pattern_weight`` (pattern,), the sum of the normalised weights of the
    respondents of each distinct observation; attributes are the median of the ratios and what was taken for the sampled units.

    Raises
    ------
    InputError : the likelihood and the priors together do not curve in every direction.
    """
    found = correction(study, plan, model, draws.mean(axis=(0, 1)))
    seen = weighted_observations(study, list(plan.cells.frame.columns), bool(plan.instruments))
    moved = found.centre + (draws - found.centre) @ found.transform
    ratio = moved.std(axis=(0, 1)) / draws.std(axis=(0, 1))
    told = {"shrinkage": found.shrinkage, "units": found.units, "degrees_of_freedom": found.degrees_of_freedom,
            "median_sd_ratio": float(np.median(ratio))}
    dims = "unconstrained_parameter"
    columns = {"sd_ratio": (dims, ratio), "design_effect": (dims, found.design_effect), "pattern_weight": ("pattern", seen.total)}
    return moved, xr.Dataset(columns, attrs=told)


def correction(study: ListExperiment, plan: Blueprint, model: pm.Model, centre: np.ndarray) -> Correction:
    """The correction of draws about ``centre`` (parameter,).

    H is the sum over respondents of weight times the squared score (the empirical information). It is never negative, and as M
    is made of the same scores, their ratio is the design's alone: a likelihood that does not fit is not mended here.
    """
    seen = weighted_observations(study, list(plan.cells.frame.columns), bool(plan.instruments))
    scores, Q = scores_at(plan, model, centre[None])[0], prior_precision(prior_gradient(model), centre)
    return correct(study, seen, centre, scores, Q, alike=alike(plan, model))


def correct(
    study: ListExperiment, seen: Weighted, centre: np.ndarray, scores: np.ndarray, Q: np.ndarray, *, alike: np.ndarray
) -> Correction:
    """The correction from the scores (pattern, parameter) and the prior's precision (parameter, parameter) at ``centre``.

    ``alike`` says which parameters share a design effect, (parameter,) (see :func:`_steadied`).
    """
    H = scores.T @ (seen.total[:, None] * scores)
    values, vectors = np.linalg.eigh(H + Q)
    if values[0] <= LEAST_CURVATURE * values[-1]:
        raise InputError("weighting = 'pseudo': the data and the priors do not identify every parameter, so that no spread can be "
                         "given to it. Keep the default priors, or simplify the formulas.")
    half, inverse = ((vectors * values**power) @ vectors.T for power in (-0.5, 0.5))
    sigma = half @ half
    M, degrees, units = design_variance(study, seen, scores)
    steady, effect, share = _steadied(sigma @ M @ sigma, sigma @ H @ sigma, alike, degrees)
    corrected = steady + sigma @ Q @ sigma
    transform = inverse @ _root(inverse @ corrected @ inverse) @ half
    return Correction(centre, transform, sigma, corrected, effect, share, units, degrees)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root: of all maps that give draws their covariance, the one that turns them least."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def design_variance(study: ListExperiment, seen: Weighted, scores: np.ndarray) -> tuple[np.ndarray, int, str]:
    """Variance by the design of the weighted score total, (parameter, parameter), its degrees of freedom, and of what units.

    By replicate weights where there are any, else by strata and clusters. Without clusters persons who answer in several waves are
    units, and without such persons respondents.
    """
    if study.replicates is not None:
        totals = replicated_totals(study, seen)
        apart = (totals - seen.total) @ scores
        return apart.T @ (np.array(study.replicates.scales)[:, None] * apart), len(totals), "replicates"
    units, rows = units_of(study.table, study.wave), study.table.index.get_indexer(seen.table.index)
    here = units._replace(stratum=units.stratum[rows], cluster=None if units.cluster is None else units.cluster[rows])
    variance = variance_of_totals(here, scores, seen.pattern, seen.weight, seen.table["_n"].to_numpy(dtype=float))
    column = unit_column(study.table)
    kind = "respondents" if column is None else "persons" if column == PERSON else "clusters"
    return variance, units.degrees_of_freedom, kind


def scores_at(plan: Blueprint, model: pm.Model, points: np.ndarray) -> np.ndarray:
    """Gradients of the log-probability of each distinct observation at unconstrained ``points`` (point, parameter), by central
    differences of all of them at once: (point, pattern, parameter).
    """
    moves = STEP * np.eye(points.shape[1])
    near = np.stack([points[:, None] + moves, points[:, None] - moves], axis=1)
    log_p = predictive.log_likelihood(plan, constrain(model, near.reshape(1, -1, points.shape[1]))).to_numpy()
    above, below = np.moveaxis(log_p.reshape(*near.shape[:3], -1), 1, 0)
    return np.asarray((above - below).swapaxes(1, 2) / (2 * STEP))


def prior_precision(gradient: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Minus the Hessian of the log prior density at one unconstrained point, from its gradient.

    Where it is not convex, as in the tails of a Student-t, that direction counts for nothing.
    """
    moves = STEP * np.eye(len(at))
    rows = np.array([gradient(at - move) - gradient(at + move) for move in moves]) / (2 * STEP)
    values, vectors = np.linalg.eigh((rows + rows.T) / 2)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def prior_gradient(model: pm.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Gradient of the log prior density (with what is known of margins) on the unconstrained scale, as a function of one vector."""
    density = model.logp(vars=[*model.free_RVs, *model.potentials], jacobian=True, sum=True)
    gradients = pytensor.grad(density, model.value_vars, disconnected_inputs="ignore")
    compiled = pytensor.function(model.value_vars, gradients, mode=INTERPRETED, on_unused_input="ignore")
    shapes = [np.shape(initial_values(model)[v.name]) for v in model.value_vars]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def evaluate(x: np.ndarray) -> np.ndarray:
        parts = [part.reshape(shape) for part, shape in zip(np.split(x, ends), shapes, strict=True)]
        return np.concatenate([np.ravel(g) for g in compiled(*parts)])

    return evaluate


def alike(plan: Blueprint, model: pm.Model) -> np.ndarray:
    """Which parameters share a design effect, (parameter,): the effects of a group's levels do, every other stands alone."""
    initial = initial_values(model)
    grouped = tuple(f"{name}_{term.name}_" for name, bound in plan.designs.items() for term in bound.groups)
    out: list[int] = []
    for variable in model.value_vars:
        size, first = int(np.size(initial[variable.name])), max(out, default=-1) + 1
        shared = f"{variable.name}_".startswith(grouped) if grouped else False
        out += [first] * size if shared else range(first, first + size)
    return np.array(out)


def _steadied(
    estimate: np.ndarray, plain: np.ndarray, alike: np.ndarray, degrees: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """A design-based covariance of estimates (parameter, parameter) made steady, the design effects, and the shrinkage.

    Few sampled units cannot tell many directions apart: with fewer units than parameters whole directions would be left without
    spread. The ``estimate`` is moved to one that needs fewer numbers, ``plain`` (that of independent respondents) with every sd
    multiplied by the root of its design effect, which parameters that are ``alike`` (the effects of a group's levels) share; the
    variance of every other parameter stays as it is. How far: the share of their squared distance off the diagonal that is
    sampling error, about (s_jj s_kk + s_jk^2) / degrees for each element (Schaefer & Strimmer 2005).
    """
    sd = np.sqrt(np.maximum(np.diag(plain), np.finfo(float).tiny))
    s, p = estimate / np.outer(sd, sd), plain / np.outer(sd, sd)
    effect = (np.bincount(alike, weights=np.diag(s)) / np.bincount(alike))[alike]
    target = p * np.sqrt(np.outer(effect, effect))
    apart = ~np.eye(len(sd), dtype=bool)
    error = (np.outer(np.diag(s), np.diag(s)) + s**2)[apart].sum() / max(degrees, 1)
    distance = ((s - target)[apart] ** 2).sum()
    share = float(min(1.0, error / distance)) if distance > 0 else 1.0
    return ((1 - share) * s + share * target) * np.outer(sd, sd), effect, share
