"""From parameters and designs to what the model says about cells: the one place where the sub-models are put together.

Takes PyTensor variables with or without leading draw dims, so that the PyMC model, predictions and log-likelihoods share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayes_listexp import formulas
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.formulas import Matrices
from bayes_listexp.instrument import Rows, parameters_of
from bayes_listexp.likelihood import RowTables, log_sum_exp, row_log_probabilities, state_probabilities, trait_chances
from bayes_listexp.persons import COUNT, EFFECTS, TRAIT, Rule, rule
from bayes_listexp.shape_levels import levels_at, shape_factors, wave_of
from bayes_listexp.specification import TRAIT_GIVEN_COUNT, Blueprint


class Points(NamedTuple):
    """Rows of covariates as numbers: one design matrix per linear predictor, and the positions of each row's item and wave.

    The wave is None where the control counts' shape does not need it.
    """

    matrices: Mapping[str, Matrices]
    item: Any
    wave: Any


class Predictions(NamedTuple):
    """What the model says about cells: P(trait, count | cell) as ``states`` (..., cell, trait, count), which is P(trait | count,
    cell) by its logit ``trait`` (..., cell, count) times P(count | trait, cell) as ``counts`` (..., cell, trait, count), axes that do
    not matter having length 1; the linear predictor of the counts as ``control`` (..., cell, trait); and the linear predictors of
    lapses and instruments, each (..., cell).
    """

    states: Any
    trait: Any
    counts: Any
    control: Any
    lapses: Mapping[str, Any]
    instruments: Mapping[str, Any]


def points(plan: Blueprint, frame: pd.DataFrame) -> Points:
    """The designs of a blueprint at the rows of a frame."""
    return Points({name: bound.evaluate(frame) for name, bound in plan.designs.items()}, plan.item_of(frame), wave_of(plan, frame))


def predict(plan: Blueprint, parameters: Mapping[str, Any], at: Points) -> Predictions:
    """Linear predictors and latent states from parameters (leading dims kept) at the cells of interest.

    With person effects ``states`` are those of the people of a cell, averaged over their effects; all else is at effects of 0.
    """
    predicted = predict_given(plan, parameters, at)
    if plan.specification.person == "none":
        return predicted
    chances, counts = trait_chances(predicted.trait), over_nodes(plan, parameters, at, COUNT, lambda given: given.counts, -4)
    if TRAIT in EFFECTS[plan.specification.person]:
        chances = over_nodes(plan, parameters, at, TRAIT, lambda given: trait_chances(given.trait), -4)
    return predicted._replace(states=chances * counts)  # the effects are independent


def over_nodes(
    plan: Blueprint, parameters: Mapping[str, Any], at: Points, effect: str, what: Callable[[Predictions], Any], axis: int
) -> Any:
    """The average over a person effect of something predicted, in which the ``axis`` holds the nodes of the effect."""
    nodes, weights = node_rule(plan, effect)
    values = what(at_nodes(plan, parameters, at, effect, nodes)[0])
    return (values * weights.reshape(-1, *[1] * (-axis - 1))).sum(axis=axis)


def node_rule(plan: Blueprint, effect: str) -> Rule:
    """The quadrature rule of a person effect for the persons of a plan."""
    assert plan.persons is not None
    return rule(effect, plan.specification.person, plan.persons, plan.J)


def at_nodes(
    plan: Blueprint, parameters: Mapping[str, Any], at: Points, effect: str, nodes: np.ndarray
) -> tuple[Predictions, Mapping[str, Any]]:
    """Predictions for people whose effect is as many standard deviations as ``nodes`` (node,) say, with an axis for the nodes
    after the parameters' leading dims; and the parameters with this axis.
    """
    sd = pt.as_tensor(parameters[f"{effect}_sd"])
    shared = {name: pt.expand_dims(pt.as_tensor(value), sd.ndim) for name, value in parameters.items()} if sd.ndim else parameters
    given = {**shared, effect: sd[..., None, None] * nodes[:, None]}
    return predict_given(plan, given, at), given


def predict_given(plan: Blueprint, parameters: Mapping[str, Any], at: Points) -> Predictions:
    """What :func:`predict` says of people whose person effects are known: ``parameters`` hold them as ``person_count`` and
    ``person_trait``, (..., cell) or (..., 1); they are 0 where they do not.
    """
    parameters = plan.of_list(parameters)
    predictors = {
        name: formulas.linear_predictor(parameters, name, at.matrices[name])
        for name in plan.designs
        if name != "control"
    }
    eta = _control_predictor(plan, parameters, at.matrices["control"])
    pmf = plan.family.pmf(eta, _count_parameter(plan, parameters, at), plan.J)
    lapses = {name.removeprefix("lapse_"): value for name, value in predictors.items() if name.startswith("lapse_")}
    instruments = {name: value for name, value in predictors.items() if name != "trait" and not name.startswith("lapse_")}
    trait = _trait_predictor(plan, parameters, predictors["trait"], at.item)
    if TRAIT in parameters:
        trait = trait + parameters[TRAIT][..., None]
    return Predictions(state_probabilities(trait, pmf), trait, pmf, eta, lapses, instruments)


def row_probabilities(
    plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions, rows: Rows, tables: RowTables
) -> Any:
    """Log P(trait, all that was observed) of each row, (..., row, trait)."""

    def at_rows(values: Any, axis: int) -> Any:
        return pt.take(values, rows.cell, axis=axis)

    states = at_rows(predicted.states, -3)
    lapses = {name: at_rows(logit, -1) for name, logit in predicted.lapses.items()}
    predictors = {name: at_rows(value, -1) for name, value in predicted.instruments.items()}
    factors = [
        instrument.log_factor(rows, instrument.distribution(rows, predictors, parameters, plan.J))
        for instrument in plan.instruments
    ]
    return row_log_probabilities(states, tables, lapses, factors)


def over_candidates(log_p: Any, candidate: Any, log_share: Any) -> Any:
    """Log-probability of incomplete respondents, (..., pattern), from that of the observations they may stand for, (..., row).

    ``candidate`` (pattern, candidate) are positions of rows, ``log_share`` the log of P(candidate | known covariates).
    """
    return log_sum_exp(pt.take(log_p, candidate, axis=-1) + log_share)


def item_popularity(plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions) -> tuple[Any, Any]:
    """P(control item applies | cell) under poisson_binomial counts, (..., cell, item), and 1 minus it, each exact near 0."""
    offsets = parameters["control_item"][..., None, None, :] if plan.J > 1 else 0.0
    logit = predicted.control[..., None] + offsets
    by_trait = predicted.states.sum(axis=-1)[..., None]
    applies, not_so = ((_averaged_chance(plan, parameters, logit, sign) * by_trait).sum(axis=-2) for sign in (1, -1))
    return applies, not_so


def _averaged_chance(plan: Blueprint, parameters: Mapping[str, Any], logit: Any, sign: int) -> Any:
    """sigmoid(sign * logit), averaged over the person effect on the counts if there is one; parameters without leading dims."""
    if plan.specification.person == "none":
        return pt.sigmoid(sign * logit)
    nodes, weights = node_rule(plan, COUNT)
    moved = logit[..., None] + parameters[f"{COUNT}_sd"] * nodes
    return (pt.sigmoid(sign * moved) * weights).sum(axis=-1)


def parameter_names(plan: Blueprint) -> tuple[str, ...]:
    """Names of the parameters that predictions need: all that a saved posterior must hold."""
    names: list[str] = []
    for name, bound in plan.designs.items():
        own = plan.own(name)
        names += [f"{own}_intercept"] * bound.intercept + [f"{own}_slope"] * bool(bound.names)
        names += [f"{own}_{term.name}" for term in bound.groups]
    names += [part.own(name) for part in plan.parts for name in _count_parameter_names(part)]
    names += person_parameters(plan)
    return tuple(names + [name for instrument in plan.instruments for name in parameters_of(instrument)])


def _count_parameter_names(plan: Blueprint) -> list[str]:
    """Plain names of the parameters of a single list's counts beside their linear predictor."""
    names: list[str] = []
    if plan.family.parameter and not (plan.family.parameter in ("control_shape", "control_item") and plan.J == 1):
        names.append(plan.family.parameter)
    dependence = plan.specification.dependence
    names += {"none": [], "linear": ["trait_count"], "smooth": ["trait_count_step"]}.get(dependence, ["control_shift"])
    if dependence in ("free", "saturated"):
        names += [n for n in ("control_shift_slope", "control_shift_shape") if free_size(plan, n)]
    return names + [factor.parameter for factor in shape_factors(plan)]


def person_parameters(plan: Blueprint) -> list[str]:
    """Names of the standard deviations of person effects."""
    return [f"{effect}_sd" for effect in EFFECTS[plan.specification.person]]


def free_size(plan: Blueprint, name: str) -> int:
    """How many free differences between those with and without the trait there are, in slopes or in shape."""
    if name == "control_shift_slope":
        return len(plan.designs["control"].names)
    return max(plan.J - 1, 0) if plan.family.parameter == "control_shape" else 0


def basis_of(plan: Blueprint) -> np.ndarray:
    """Directions of the control counts' shape, (shape, count)."""
    return shape_basis(plan.cells.control_counts)


def count_weights(plan: Blueprint) -> np.ndarray:
    """Shares of the control counts 0..J, (count,), about which the trait's dependence on the count is centred."""
    smoothed = plan.cells.control_counts + 1.0
    return smoothed / smoothed.sum()


def _trait_predictor(plan: Blueprint, parameters: Mapping[str, Any], eta: Any, item: Any) -> Any:
    """Logit prevalence given the count, (..., cell, count); the count axis has length 1 where it does not matter."""
    if plan.specification.dependence not in TRAIT_GIVEN_COUNT:
        return eta[..., None]
    k, weights = np.arange(plan.J + 1.0), count_weights(plan)
    if plan.specification.dependence == "linear":
        return eta[..., None] + pt.take(parameters["trait_count"], item, axis=-1)[..., None] * (k - weights @ k)
    above = np.tri(plan.J + 1, plan.J, -1)  # (count, step): the steps that lie below a count
    centred = above - weights @ above
    steps = pt.take(parameters["trait_count_step"], item, axis=-2)
    return eta[..., None] + (steps[..., None, :] * centred).sum(axis=-1)


def _control_predictor(plan: Blueprint, parameters: Mapping[str, Any], matrices: Matrices) -> Any:
    """Linear predictor of the counts, (..., cell, trait); the trait axis has length 1 without dependence."""
    eta = formulas.linear_predictor(parameters, "control", matrices)[..., None]
    if COUNT in parameters:
        eta = eta + parameters[COUNT][..., None]
    with_trait = np.array([0.0, 1.0])
    if "control_shift" in parameters:
        eta = eta + parameters["control_shift"][..., None, None] * with_trait
    if "control_shift_slope" in parameters:
        eta = eta + formulas.times(parameters["control_shift_slope"], matrices.slopes)[..., None] * with_trait
    return eta


def _count_parameter(plan: Blueprint, parameters: Mapping[str, Any], at: Points) -> Any:
    """The family's parameter as its pmf takes it."""
    if plan.family.parameter == "control_item" and plan.J == 1:
        return pt.zeros((1,))
    if plan.family.parameter != "control_shape":
        return parameters.get(plan.family.parameter or "")
    if plan.J == 1:
        return np.zeros((1, 1, 2))
    basis = parameters["control_basis"] if "control_basis" in parameters else basis_of(plan)
    departure = formulas.times(parameters["control_shape"], basis.T)[..., None, None, :]
    if "control_shift_shape" in parameters:
        more = formulas.times(parameters["control_shift_shape"], basis.T)[..., None, None, :]
        departure = departure + more * np.array([[0.0], [1.0]])
    levels = levels_at(plan, at.matrices["control"].groups, at.wave)
    for factor in shape_factors(plan):
        values, level = parameters[factor.parameter], levels[factor.name]
        if values.ndim == 2:  # the sampled model, in which all of it is one loop over cells
            of_cell = (pt.take(values, level, axis=-2)[..., None] * basis).sum(axis=-2)
        else:  # many draws, step by step: there are fewer levels than cells
            of_cell = pt.take((values[..., None] * basis).sum(axis=-2), level, axis=-2)
        departure = departure + of_cell[..., None, :]
    return departure
