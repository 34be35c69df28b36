"""Group-specific effects as model variables: structure, standard deviations, correlations, and how they are sampled.

**Parametrisation.** A direction of the effects with prior sd ``s`` and about ``I`` units of information in the data has a posterior
sd of about ``(I + 1/s^2)^-1/2``. The sampled variable is the effect in units of this sd, so it is the non-centred one where the
data say nothing (I = 0), the centred one where they say everything, and in between neither: its scale does not depend on ``s``
(partial non-centring; Papaspiliopoulos, Roberts & Skold 2007). The information is a rough guess: it moves no posterior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayes_listexp import priors
from bayes_listexp.errors import InputError
from bayes_listexp.formulas import GroupTerm, Matrices
from bayes_listexp.prediction import basis_of, count_weights
from bayes_listexp.priors import Prior
from bayes_listexp.shape_levels import ShapeFactor
from bayes_listexp.specification import Blueprint, group_prior, plain
from bayes_listexp.structures import EXCHANGEABLE, Axis, axis, exchangeable, rotated

CENTRED = np.inf


def information(plan: Blueprint, predictor: str, term: GroupTerm, matrices: Matrices) -> np.ndarray:
    """Roughly how much the answers to the list say about each effect of a term, (column, level), in units of 1 / variance.

    Of the logit prevalence, a respondent says what a difference in means does; of the control counts, what a binomial does.
    """
    group = next(g for g in matrices.groups if g.name == term.name)
    weight = _per_respondent(plan, predictor) * (plan.cells.n - plan.cells.unlisted)
    return np.array([
        np.bincount(group.level, weights=weight * column**2, minlength=len(term.levels)) for column in group.columns.T
    ])


def _per_respondent(plan: Blueprint, predictor: str) -> float:
    tables = {arm: plan.cells.answers[arm].sum(axis=0) for arm in ("control", "treatment")}
    if predictor not in ("trait", "control") or not all(table.sum() for table in tables.values()):
        return 0.0
    means, variances, shares = [], [], []
    for table in tables.values():
        k, p = np.arange(len(table)), table / table.sum()
        means.append(p @ k)
        variances.append(p @ k**2 - (p @ k) ** 2)
        shares.append(table.sum() / sum(t.sum() for t in tables.values()))
    if predictor == "control":
        h = np.clip(means[0] / plan.J, 0.1, 0.9)
        return float(plan.J * h * (1 - h))
    prevalence = np.clip(means[1] - means[0], 0.1, 0.9)
    variance = sum(v / share for v, share in zip(variances, shares, strict=True))
    return float((prevalence * (1 - prevalence)) ** 2 / max(variance, 0.1))


def group_effects(plan: Blueprint, predictor: str, term: GroupTerm, information: np.ndarray) -> Any:
    """Effects of a group term, (column, level), as the deterministic ``{predictor}_{term}``, with its hyperparameters.

    ``information`` (column, level) says how much the data say about each effect, in units of 1 / variance; a term named in
    the specification's ``centred`` is sampled as that says.

    Raises
    ------
    InputError : fewer than two levels have respondents, or the structure lacks what it needs.
    """
    name = f"{predictor}_{term.name}"
    sampled = int(term.sampled.sum())
    if sampled < 2:
        raise InputError(
            f"{term.text}: a group-specific term needs at least two levels with respondents, found {sampled}. Use a common "
            "effect or leave it out."
        )
    told = _told(plan, f"{plain(predictor)}_{term.name}", term, information)
    axes, order = _axes(plan, term, told)
    by_direction = _by_direction(told, axes, term)
    axes = [_as_data(f"{name}_{i}", along) for i, along in enumerate(axes, start=1)]
    columns = dim(f"{name}_column", term.columns)
    sd = priors.variable(f"{name}_sd", group_prior(plan, predictor, term, "sd"), dims=columns)
    scale = sd
    for along in axes:
        scale = scale[..., None] * _direction_sd(plan, predictor, term, along)
    effects = _drawn(name, scale, by_direction, mixing=_mixing(plan, predictor, term))
    for i, along in enumerate(axes, start=1):
        matrix = _matrix(plan, predictor, term, along)
        effects = pt.moveaxis((pt.moveaxis(effects, i, -1)[..., None, :] * matrix).sum(axis=-1), -1, i)
    if axes[0].trend is not None:
        slope = priors.variable(f"{name}_trend", group_prior(plan, predictor, term, "trend"), dims=columns)
        effects = effects + slope[:, None] * axes[0].trend
    shaped = effects.reshape((len(term.columns), *(len(term.factor_levels[i]) for i in order)))
    in_order = shaped.transpose(0, *(1 + np.argsort(order)))
    flat = in_order.reshape((len(term.columns), len(term.levels)))
    return pm.Deterministic(name, flat, dims=(columns, dim(term.name, term.levels)))


def shape_effects(plan: Blueprint, factor: ShapeFactor, level: np.ndarray) -> Any:
    """Departures of a factor's levels from the shape of the control counts, (level, shape), as the deterministic
    ``control_{factor}_shape``: exchangeable over levels, with one standard deviation for all directions of the shape. ``level``
    (cell,) is the position of each cell's level.
    """
    name, directions = plan.own(factor.parameter), [str(power) for power in range(2, plan.J + 1)]
    each = (count_weights(plan) * basis_of(plan) ** 2).sum(axis=1)
    listed = np.bincount(level, weights=plan.cells.n - plan.cells.unlisted, minlength=len(factor.levels))
    along = rotated(exchangeable([len(factor.levels)], factor.sampled, [()]), listed)
    basis = pm.Data(f"{name}_basis", along.basis)
    sd = priors.variable(f"{name}_sd", plan.priors["control_shape_sd"])
    by_direction = _drawn(name, sd, each[:, None] * (listed @ along.basis**2), mixing=None)
    effects = (by_direction[:, None, :] * basis).sum(axis=-1).T
    return pm.Deterministic(name, effects, dims=(dim(factor.name, factor.levels), dim(f"{plan.own('control')}_direction", directions)))


def _told(plan: Blueprint, name: str, term: GroupTerm, information: np.ndarray) -> np.ndarray:
    """The information by which a term is sampled, (column, level): as given, or none or all as the user says."""
    if name in plan.specification.centred:
        return np.full_like(information, CENTRED if plan.specification.centred[name] else 0.0)
    known = {"ar1", "gp"}.isdisjoint(term.kinds) and not term.correlated
    return information if known else np.zeros_like(information)


def _axes(plan: Blueprint, term: GroupTerm, told: np.ndarray) -> tuple[list[Axis], list[int]]:
    """The structures of a term: structured factors one by one, then the exchangeable ones together; and the factors' order."""
    structured, plain = _split(term)
    sizes = [len(levels) for levels in term.factor_levels]
    grid = term.sampled.reshape(sizes)
    alone, relations = len(term.kinds) == 1, plan.specification.relations
    out = [
        axis(term.kinds[i], term.factor_levels[i], _any_but(grid, [i]), relations, column=term.factors[i], alone=alone,
             centred=frozenset(term.factors) - {term.factors[i]} in term.lower)
        for i in structured
    ]
    if plain:
        inside = frozenset(term.factors[i] for i in structured)
        removed = [tuple(j for j, i in enumerate(plain) if term.factors[i] in below) for below in term.lower if inside <= below]
        out.append(exchangeable([sizes[i] for i in plain], _any_but(grid, plain).ravel(), removed))
    if len(out) == 1 and np.isfinite(told).all() and told.any():
        out = [rotated(out[0], told[0])]
    return out, [*structured, *plain]


def _as_data(name: str, along: Axis) -> Axis:
    """An axis with its arrays as shared variables: constants would be part of the compiled code, which then served one study."""
    return along._replace(basis=pm.Data(f"{name}_basis", along.basis), variance=pm.Data(f"{name}_variance", along.variance))


def _split(term: GroupTerm) -> tuple[list[int], list[int]]:
    """Positions of a term's structured factors, and of its exchangeable ones."""
    structured = [i for i, kind in enumerate(term.kinds) if kind != EXCHANGEABLE]
    return structured, [i for i in range(len(term.kinds)) if i not in structured]


def _any_but(grid: np.ndarray, kept: list[int]) -> np.ndarray:
    """Which levels of some factors have respondents, whatever the others' levels."""
    return grid.any(axis=tuple(i for i in range(grid.ndim) if i not in kept))


def _by_direction(told: np.ndarray, axes: list[Axis], term: GroupTerm) -> np.ndarray:
    """Information about each direction, (column, direction, ...), as if the directions were independent in the data."""
    if not np.isfinite(told).all() or not told.any():
        return np.full((len(told), *(along.basis.shape[1] for along in axes)), told.max())
    sizes = [len(levels) for levels in term.factor_levels]
    structured, plain = _split(term)
    out = told.reshape(len(told), *sizes).transpose(0, *(1 + i for i in [*structured, *plain]))
    out = out.reshape(len(told), *(along.basis.shape[0] for along in axes))
    for i, along in enumerate(axes, start=1):
        out = np.moveaxis(np.moveaxis(out, i, -1) @ along.basis**2, -1, i)
    return out


def _direction_sd(plan: Blueprint, predictor: str, term: GroupTerm, along: Axis) -> Any:
    """Standard deviation of each direction of a factor, (direction,), relative to that of the term."""
    if along.kind == "bym2":
        mix = priors.probability_variable(f"{predictor}_{term.name}_mix", group_prior(plan, predictor, term, "mix"))
        return pt.sqrt(mix * along.variance + 1 - mix)
    return 1.0 if along.kind == EXCHANGEABLE else pt.sqrt(along.variance)


def _matrix(plan: Blueprint, predictor: str, term: GroupTerm, along: Axis) -> Any:
    """What the directions of a factor make of its levels, (level, direction)."""
    if along.places is None:
        return along.basis
    name = f"{predictor}_{term.name}"
    if along.kind == "ar1":
        rho = priors.probability_variable(f"{name}_rho", group_prior(plan, predictor, term, "rho"))
        root = _autoregressive_root(rho, along.places)
    else:
        length = priors.positive_variable(f"{name}_length", group_prior(plan, predictor, term, "length"))
        root = pt.linalg.cholesky(_matern(along.places, length))
    return (along.basis[:, :, None] * root).sum(axis=1)


def _autoregressive_root(rho: Any, places: np.ndarray) -> Any:
    """Triangular root of rho^|distance|: each level is rho^gap times the one before it, and something new."""
    order = np.argsort(places)
    gaps = np.diff(places[order], prepend=places[order][0])
    apart = np.abs(places[order][:, None] - places[order])
    new = pt.sqrt(1 - pt.where(np.arange(len(places)) == 0, 0.0, rho ** np.maximum(2 * gaps, 1e-9)))
    return (rho ** np.tril(apart) * np.tri(len(places)) * new)[np.argsort(order)]


def _matern(places: np.ndarray, length: Any) -> Any:
    """Matérn covariance of smoothness 5/2 and variance 1, with what rounding needs on the diagonal."""
    scaled = np.sqrt(5.0) * np.abs(places[:, None] - places) / length
    return (1 + scaled + scaled**2 / 3) * pt.exp(-scaled) + 1e-9 * np.eye(len(places))


def _mixing(plan: Blueprint, predictor: str, term: GroupTerm) -> Any:
    """Triangular root of the correlation matrix of a level's columns, (column, column); None where they are independent.

    Built from partial correlations (the vine of Lewandowski, Kurowicka & Joe 2009), so that the matrix has the LKJ density.
    """
    size = len(term.columns)
    if not term.correlated:
        return None
    if size < 2:
        raise InputError(f"{term.text}: one effect a level has nothing to be correlated with. Write (1 + x|lkj(...)).")
    prior = group_prior(plan, predictor, term, "lkj")
    eta = prior.arguments[0]
    rows: list[list[Any]] = []
    for i in range(size):
        left: Any = 1.0
        row: list[Any] = []
        for j in range(i):
            shape = eta + (size - 2 - j) / 2
            half = priors.probability_variable(f"{predictor}_{term.name}_partial_{i}_{j}", Prior("Beta", (shape, shape)))
            partial = 2 * half - 1
            row.append(partial * pt.sqrt(left))
            left = left * (1 - partial**2)
        rows.append([*row, pt.sqrt(left), *[0.0] * (size - 1 - i)])
    root = pt.stack([pt.stack([pt.as_tensor(value) for value in row]) for row in rows])
    pm.Deterministic(f"{predictor}_{term.name}_correlation", (root[:, None, :] * root).sum(axis=-1))
    return root


def _drawn(name: str, scale: Any, information: np.ndarray, *, mixing: Any) -> Any:
    """Effects by direction, (column, direction, ...), of prior sd ``scale``, sampled as the information says.

    Only what is the product of ``scale`` and an even function of it is called ``{name}_z``: its sign may be changed with that of the
    standard deviation.
    """
    shape = information.shape
    if mixing is not None:
        centred = np.isinf(information).all()
        z = pm.Normal(f"{name}_mixed_z", 0, scale, shape=shape) / scale if centred else pm.Normal(f"{name}_mixed_z", shape=shape)
        return scale * (mixing.reshape((shape[0], shape[0], *[1] * (len(shape) - 1))) * z).sum(axis=1)
    if np.isinf(information).all():
        return pm.Normal(f"{name}_centred_z", 0, scale, shape=shape)
    if not information.any():
        return scale * pm.Normal(f"{name}_z", shape=shape)
    spread = pt.sqrt(1 + pm.Data(f"{name}_information", information) * scale**2)
    return scale * pm.Normal(f"{name}_z", 0, spread, shape=shape) / spread


def dim(name: str, values: Sequence[str]) -> str:
    """Register a dim with its coordinates in the model at hand, under its own name unless that is taken by other values."""
    model = pm.modelcontext(None)
    if name in model.coords and tuple(model.coords[name] or ()) != tuple(values):
        raise InputError(f"the effects of '{name}' would share this name with something else in the model. Rename the column.")
    model.add_coord(name, list(values))
    return name
