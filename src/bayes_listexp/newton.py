"""The maximum of a list's likelihood by Newton's method, for one study or for many of the same shape at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayes_listexp.cell_derivatives import CellFit, ListModel, cell_fit, log_likelihood

ITERATIONS = 100
LONGEST = 4.0
"""How far a step may move a local parameter, on the scale of logits: far from the maximum a quadratic says little."""
GAIN = 1e-10
"""A maximum is found where Newton's step promises less than this in log-likelihood."""
CURVED = 1e-9
"""Least relative curvature (1 is that of a parameter by itself) of a direction in which a step is taken as it comes."""
ROWS = 20_000
"""Cells that are computed at once."""

type Penalty = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From parameters (study, parameter) to the log prior (study,), its derivatives and minus its second ones (study, parameter)."""


class Problem(NamedTuple):
    """What is estimated: ``design`` (cell, local, parameter) turns parameters into the local parameters of cells; ``n`` (study, cell,
    answer) are respondents (or their normalised weights) by answer, arms side by side.
    """

    model: ListModel
    design: np.ndarray
    n: np.ndarray
    penalty: Penalty | None = None


class Maximum(NamedTuple):
    """Where Newton's method ended, for each study: parameters (study, parameter), log density (study,), with the penalty, whether it
    is a maximum (study,), and the observed information there (study, parameter, parameter), with the penalty.
    """

    parameters: np.ndarray
    log_density: np.ndarray
    converged: np.ndarray
    information: np.ndarray
    iterations: np.ndarray


def local_parameters(design: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Local parameters of each cell, (study, cell, local)."""
    cells, local, size = design.shape
    return (parameters @ design.reshape(-1, size).T).reshape(len(parameters), cells, local)


def fitted_cells(problem: Problem, parameters: np.ndarray) -> CellFit:
    """Answers, score and information of every cell, (study, cell, ...) each."""
    local = local_parameters(problem.design, parameters)
    studies, cells, size = local.shape
    fit = cell_fit(problem.model, local.reshape(-1, size), problem.n.reshape(studies * cells, -1))
    return CellFit(*(part.reshape(studies, cells, *part.shape[1:]) for part in fit))


def log_density(problem: Problem, parameters: np.ndarray) -> np.ndarray:
    """Log-likelihood and penalty, (study,)."""
    local = local_parameters(problem.design, parameters)
    studies, cells, size = local.shape
    value = log_likelihood(problem.model, local.reshape(-1, size), problem.n.reshape(studies * cells, -1))
    value = value.reshape(studies, cells).sum(axis=1)
    return value if problem.penalty is None else value + problem.penalty(parameters)[0]


def derivatives(problem: Problem, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score (study, parameter), observed and expected information (study, parameter, parameter), with the penalty."""
    fit = fitted_cells(problem, parameters)
    flat = problem.design.reshape(-1, problem.design.shape[-1])
    score = fit.score.reshape(len(parameters), -1) @ flat
    observed, expected = (_sandwiched(problem.design, part) for part in (fit.observed, fit.expected))
    if problem.penalty is not None:
        _, slope, curvature = problem.penalty(parameters)
        steps = np.arange(parameters.shape[1])
        score = score + slope
        observed[:, steps, steps] += curvature
        expected[:, steps, steps] += np.maximum(curvature, 0.0)
    return score, observed, expected


def maximise(problem: Problem, start: np.ndarray) -> Maximum:
    """The maximum near ``start`` (study, parameter).

    Where the likelihood is not concave, expected information takes the place of the observed one (Fisher scoring); steps are
    halved until the likelihood rises. A maximum at infinity (a prevalence of 0) ends where nothing more is gained.
    """
    size = max(1, ROWS // len(problem.design))
    parts = [slice(i, i + size) for i in range(0, len(start), size)]
    found = [_climb(problem._replace(n=problem.n[part]), np.array(start[part], dtype=float)) for part in parts]
    return Maximum(*(np.concatenate(each) for each in zip(*found, strict=True)))


def scale_of(information: np.ndarray) -> np.ndarray:
    """The square roots of an information matrix's diagonal (..., parameter), 1 for parameters of which nothing is known."""
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    return np.where(diagonal > 0, np.sqrt(np.maximum(diagonal, 0.0)), 1.0)


def _sandwiched(design: np.ndarray, information: np.ndarray) -> np.ndarray:
    """The information about parameters (study, parameter, parameter) from that about cells (study, cell, local, local)."""
    size = design.shape[-1]
    half = np.matmul(information, design).reshape(len(information), -1, size)
    return np.matmul(design.reshape(-1, size).T, half)


def _climb(problem: Problem, at: np.ndarray) -> Maximum:
    studies, size = at.shape
    value = log_density(problem, at)
    converged, iterations = np.zeros(studies, dtype=bool), np.zeros(studies, dtype=int)
    information = np.zeros((studies, size, size))
    active = np.arange(studies)
    for _ in range(ITERATIONS):
        own = problem._replace(n=problem.n[active])
        score, observed, expected = derivatives(own, at[active])
        step, gain, concave = _step(problem.design, score, observed, expected)
        information[active] = observed
        moved, risen = _search(own, at[active], step, value[active])
        at[active], value[active] = moved, risen[0]
        iterations[active] += 1
        done = concave & (gain < GAIN)
        converged[active[done]] = True
        active = active[~done & (risen[1] > 0)]
        if not len(active):
            break
    return Maximum(at, value, converged, information, iterations)


def _step(
    design: np.ndarray, score: np.ndarray, observed: np.ndarray, expected: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newton's step (study, parameter), what it promises (study,), and whether the likelihood is concave here (study,)."""
    scale = scale_of(expected)
    relative = observed / (scale[:, :, None] * scale[:, None, :])
    relative += (np.diagonal(expected, axis1=1, axis2=2) <= 0)[:, :, None] * np.eye(score.shape[1])
    values, vectors = np.linalg.eigh(relative)
    concave = values[:, 0] > -CURVED
    if not concave.all():
        fisher = expected[~concave] / (scale[~concave, :, None] * scale[~concave, None, :])
        values[~concave], vectors[~concave] = np.linalg.eigh(fisher)
    along = np.matmul(vectors.swapaxes(1, 2), (score / scale)[..., None])[..., 0] / np.maximum(values, CURVED)
    step = np.matmul(vectors, along[..., None])[..., 0] / scale
    gain = (score * step).sum(axis=1) / 2
    farthest = np.abs(local_parameters(design, step)).max(axis=(1, 2))
    return step * np.minimum(1.0, LONGEST / np.maximum(farthest, 1e-12))[:, None], gain, concave


def _search(
    problem: Problem, at: np.ndarray, step: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The points a step leads to, halved where it leads down, their log densities, and what part of the step was taken."""
    part = np.ones(len(at))
    moved = at + step
    reached = log_density(problem, moved)
    for _ in range(30):
        low = np.flatnonzero(~(reached >= value - 1e-12 * np.abs(value)) & (part > 0))
        if not len(low):
            break
        part[low] /= 2
        moved[low] = at[low] + part[low, None] * step[low]
        reached[low] = log_density(problem._replace(n=problem.n[low]), moved[low])
    worse = ~(reached >= value - 1e-12 * np.abs(value))
    moved[worse], reached[worse], part[worse] = at[worse], value[worse], 0.0
    return moved, (reached, part)
