"""Maximum likelihood for thousands of studies of the same shape at once: for planning, simulations and bootstraps.

The model is that of :func:`bayes_listexp.maximum_likelihood` without dependence of the control counts on the trait: any distribution
of the counts ("softmax") or the binomial one, the same for both arms, and a prevalence. All studies climb side by side in NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from bayes_listexp.cell_derivatives import FIXED, ListModel
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.newton import CURVED, ROWS, Problem, derivatives, local_parameters, maximise, scale_of
from bayes_listexp.reporting import report_tables

COUNTS = ("softmax", "binomial")
EDGE = 12.0
"""A logit beyond this is a probability of 0 or 1: the maximum lies at the boundary."""


class ManyFits(NamedTuple):
    """One number for each study, (study,) each: the ``estimate`` (a prevalence 0 to 1, or a difference of prevalences), its standard
    error ``se`` from the observed information, whether Newton's method ``converged``, whether the prevalence (of some cell) is at the
    ``boundary`` of 0 or 1, where there is no standard error (NaN), and the maximal ``log_likelihood`` (without multinomial coefficients).
    """

    estimate: np.ndarray
    se: np.ndarray
    converged: np.ndarray
    boundary: np.ndarray
    log_likelihood: np.ndarray


def prevalence_of_tables(
    control: np.ndarray,
    treatment: np.ndarray,
    *,
    counts: str = "softmax",
    columns: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> ManyFits:
    """Maximum-likelihood prevalence of many simulated or resampled studies, each given as a table of its answers.

    Parameters
    ----------
    control, treatment : respondents (or their weights) by answer, (study, J + 1) and (study, J + 2); with cells of covariates
        (study, cell, J + 1) and (study, cell, J + 2).
    counts : "softmax" (any distribution of the control counts) or "binomial".
    columns : covariates of the cells, (cell, column), beside the intercept, in the logit prevalence and in the predictor of the
        control counts; without them all cells have the same of both.
    shares : of the cells in the prevalence that is estimated, (cell,) or (study, cell); by default each study's own respondents.
        With -1 and 1 for two cells it is the difference of their prevalences.

    Raises
    ------
    InputError : shapes that do not fit together, negative or missing counts, or a study with an empty arm.
    """
    problem, start = problem_of_tables(control, treatment, counts=counts, columns=columns)
    mass = problem.n.sum(axis=-1)
    shares = mass / mass.sum(axis=1, keepdims=True) if shares is None else np.broadcast_to(shares, mass.shape)
    found = maximise(problem, start)
    return _estimates(problem, found.parameters, found.converged, found.log_density, shares)


def problem_of_tables(
    control: np.ndarray, treatment: np.ndarray, *, counts: str = "softmax", columns: np.ndarray | None = None
) -> tuple[Problem, np.ndarray]:
    """What :func:`prevalence_of_tables` maximises, and from where, (study, parameter).

    Parameters are the trait's intercept and columns, the control counts' intercept and columns, and the directions of their shape.

    Raises
    ------
    InputError : as :func:`prevalence_of_tables`.
    """
    control, treatment = _tables(control, treatment)
    if counts not in COUNTS:
        raise InputError(f"counts = '{counts}': many fits know {' and '.join(COUNTS)}; for others use maximum_likelihood.")
    J, n = control.shape[-1] - 1, np.concatenate([control, treatment], axis=-1)
    cells = n.shape[1]
    X = np.zeros((cells, 0)) if columns is None else np.asarray(columns, dtype=float)
    if X.ndim != 2 or len(X) != cells or not np.isfinite(X).all():
        raise InputError(f"columns: one row of finite numbers for each of the {cells} cells is needed, found shape {X.shape}.")
    basis = shape_basis(control.sum(axis=(0, 1))) if counts == "softmax" else np.zeros((0, J + 1))
    model = ListModel(J, counts, basis, report_tables({}, J))
    problem = Problem(model, _design(model, X), n)
    return problem, _start(problem, control, treatment)


def change_of_tables(control: np.ndarray, treatment: np.ndarray, *, counts: str = "softmax") -> ManyFits:
    """Maximum-likelihood change of the prevalence between two waves, the second minus the first, of many studies.

    ``control`` (study, wave, J + 1) and ``treatment`` (study, wave, J + 2) are the answers of two waves of different people. The waves
    differ in prevalence and in the predictor of the control counts, whose shape they share (in :func:`bayes_listexp.fit` they do not).

    Raises
    ------
    InputError : as :func:`prevalence_of_tables`; or there are not two waves.
    """
    if np.ndim(control) != 3 or np.shape(control)[1] != 2:
        raise InputError(f"change_of_tables: control must be (study, 2 waves, answer), found shape {np.shape(control)}.")
    waves = np.array([[-0.5], [0.5]])
    return prevalence_of_tables(control, treatment, counts=counts, columns=waves, shares=np.array([-1.0, 1.0]))


def _tables(control: np.ndarray, treatment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both tables as (study, cell, answer)."""
    tables = [np.asarray(table, dtype=float) for table in (control, treatment)]
    dims = [table.ndim for table in tables]
    if dims not in ([2, 2], [3, 3]):
        raise InputError(f"tables must be (study, answer) or (study, cell, answer), found {dims[0]} and {dims[1]} dimensions.")
    control, treatment = (table if table.ndim == 3 else table[:, None] for table in tables)
    if control.shape[:2] != treatment.shape[:2] or control.shape[2] + 1 != treatment.shape[2] or control.shape[2] < 2:
        raise InputError(f"control {control.shape} and treatment {treatment.shape} do not fit together: with J control items there are "
                         "J + 1 answers in the control arm and J + 2 in the treatment arm.")
    for name, table in (("control", control), ("treatment", treatment)):
        if not np.isfinite(table).all() or (table < 0).any():
            raise InputError(f"{name}: counts must be finite and at least 0.")
        empty = np.flatnonzero(table.sum(axis=(1, 2)) <= 0)
        if len(empty):
            raise InputError(f"{name}: study {int(empty[0])} (counted from 0) has nobody in this arm.")
    return control, treatment


def _design(model: ListModel, X: np.ndarray) -> np.ndarray:
    """From parameters (trait: intercept, columns; control: intercept, columns; shape) to local parameters, (cell, local, parameter)."""
    k = X.shape[1] + 1
    out = np.zeros((len(X), model.size, 2 * k + model.shapes))
    predictor = np.column_stack([np.ones(len(X)), X])
    out[:, 0, :k] = predictor
    out[:, 1, k : 2 * k] = out[:, 2, k : 2 * k] = predictor
    out[:, FIXED:, 2 * k :] = np.eye(model.shapes)
    return out


def _start(problem: Problem, control: np.ndarray, treatment: np.ndarray) -> np.ndarray:
    """Each study's difference in means, kept between .05 and .95, and the mean of its control arm."""
    J = problem.model.J
    means = [table.sum(axis=1) @ np.arange(table.shape[-1]) / table.sum(axis=(1, 2)) for table in (control, treatment)]
    start = np.zeros((len(control), problem.design.shape[-1]))
    start[:, 0] = logit(np.clip(means[1] - means[0], 0.05, 0.95))
    start[:, (problem.design.shape[-1] - problem.model.shapes) // 2] = logit(np.clip(means[0] / J, 0.02, 0.98))
    return start


def _estimates(
    problem: Problem, parameters: np.ndarray, converged: np.ndarray, log_likelihood: np.ndarray, shares: np.ndarray
) -> ManyFits:
    predictor = local_parameters(problem.design, parameters)[..., 0]
    chance, slope = expit(predictor), expit(predictor) * expit(-predictor)
    boundary = (np.abs(predictor) > EDGE).any(axis=1)
    gradient = np.einsum("sc,cp->sp", shares * slope, problem.design[:, 0])
    size = max(1, ROWS // len(problem.design))
    parts = [slice(i, i + size) for i in range(0, len(parameters), size)]
    information = [derivatives(problem._replace(n=problem.n[part]), parameters[part])[1] for part in parts]
    variance = np.where(boundary, np.nan, variance_along(np.concatenate(information), gradient))
    return ManyFits((shares * chance).sum(axis=1), np.sqrt(variance), converged, boundary, log_likelihood)


def variance_along(information: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The variance g' I^-1 g of each study, NaN where the information is not positive in every direction."""
    scale = scale_of(information)
    values, vectors = np.linalg.eigh(information / (scale[:, :, None] * scale[:, None, :]))
    along = np.matmul(vectors.swapaxes(1, 2), (gradient / scale)[..., None])[..., 0]
    variance = (along**2 / np.maximum(values, CURVED**2)).sum(axis=1)
    return np.where(values[:, 0] > -CURVED, variance, np.nan)
