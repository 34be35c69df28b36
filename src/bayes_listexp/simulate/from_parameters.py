"""From parameters to what they say of people: the models' own formulas, compiled once for any parameters and any people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from bayes_listexp.errors import InputError
from bayes_listexp.formulas import Matrices
from bayes_listexp.instrument import Rows
from bayes_listexp.model import build_prior
from bayes_listexp.persons import COUNT, TRAIT
from bayes_listexp.prediction import Points, item_popularity, parameter_names, points, predict, predict_given
from bayes_listexp.specification import GROUP_PARTS, Blueprint

type Values = Mapping[str, np.ndarray]

NODES = 15
"""Points of the Gauss-Hermite rules that average over effects of persons and clusters."""


class People(NamedTuple):
    """What parameters say of each person: P(trait, count), P(trait), lapse probabilities, each instrument's distribution."""

    states: np.ndarray
    prevalence: np.ndarray
    lapses: Values
    told: Sequence[Values]


class Population(NamedTuple):
    """What parameters say of the cells of one list, averaged over the effects of persons and clusters: P(trait, count) as ``states``
    (cell, trait, count), and of items of unequal popularity the share to whom each applies, ``items`` (cell, item).
    """

    states: np.ndarray
    items: np.ndarray | None


def complete_parameters(plan: Blueprint, given: Mapping[str, Any], seed: int, number: int) -> dict[str, np.ndarray]:
    """Every parameter that predictions need, (study, ...): those given, the others drawn from the prior, and with what they were.

    Raises
    ------
    InputError : a parameter that the model does not have, or of another shape.
    """
    model = build_prior(plan)
    names = parameter_names(plan)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(f"parameters: '{unknown[0]}' is not a parameter; there are: {', '.join(names)}.")
    names += tuple(name for name in _hyperparameters(plan, given) if name in model.named_vars)
    drawn = pm.draw([model[name] for name in names], draws=number, random_seed=seed, mode="FAST_COMPILE")
    out = {}
    for name, values in zip(names, drawn, strict=True):
        shape = np.shape(values)[1:] if number > 1 else np.shape(values)
        value = np.asarray(given.get(name, np.zeros(shape)), dtype=float)
        if value.shape != shape:
            raise InputError(f"parameters: '{name}' must have the shape {shape}, found {value.shape}.")
        out[name] = np.broadcast_to(value, (number, *shape)) if name in given else np.reshape(values, (number, *shape))
    return out


def _hyperparameters(plan: Blueprint, given: Mapping[str, Any]) -> list[str]:
    """Names of what may describe group effects that are not given."""
    terms = [f"{name}_{term.name}" for name, bound in plan.designs.items() for term in bound.groups]
    return [f"{term}_{part}" for term in terms if term not in given for part in (*GROUP_PARTS, "correlation")]


def people_of(
    plan: Blueprint, values: Values, effects: Iterable[str], observed: Iterable[str]
) -> Callable[[Values, Rows, Values], People]:
    """A compiled function from parameters shaped as ``values``, rows of people in the cells of ``plan``, and ``effects`` of each of
    them on count or trait, to what they say of each person. ``observed`` names the instruments' coded columns.
    """
    effects = tuple(effects)
    inputs = _inputs(values)
    cell, arm, answer = (pt.lvector(name) for name in ("cell", "arm", "answer"))
    treated, n, weight = (pt.dvector(name) for name in ("treated", "n", "weight"))
    rows = Rows(cell, arm, answer, treated, n, weight, {name: pt.dvector(name) for name in observed})
    moved = {name: pt.dvector(name) for name in effects}
    cells = points(plan, plan.cells.frame)
    predicted = predict_given(plan, inputs | moved, _at(cells, rows.cell) if effects else cells)
    where = slice(None) if effects else rows.cell
    predictors = {name: value[..., where] for name, value in predicted.instruments.items()}
    told = [i.distribution(rows, predictors, inputs, plan.J) for i in plan.instruments]
    everybody = predict(plan, inputs, cells).states[:, 1].sum(axis=-1)[rows.cell]
    lapses = {name: pt.sigmoid(value)[where] for name, value in predicted.lapses.items()}
    outputs = [predicted.states[where], everybody, *lapses.values(), *(pt.as_tensor(value) for each in told for value in each.values())]
    arguments = [*inputs.values(), *(value for value in rows[:-1]), *rows.observed.values(), *moved.values()]
    compiled = pytensor.function(arguments, outputs, mode="FAST_COMPILE", on_unused_input="ignore")

    def say(own: Values, people: Rows, moves: Values) -> People:
        seen = [people.observed[name] for name in rows.observed]
        states, prevalence, *rest = compiled(*(own[name] for name in inputs), *people[:-1], *seen, *(moves[name] for name in effects))
        return People(states, prevalence, {name: rest.pop(0) for name in lapses}, [{name: rest.pop(0) for name in each} for each in told])

    return say


def population_of(plan: Blueprint, values: Values) -> Callable[[Values, Mapping[str, float]], Population]:
    """A compiled function from parameters shaped as ``values``, and standard deviations of effects on ``person_count`` and
    ``person_trait`` (0 where not given), to what they say of the cells of ``plan``.
    """
    alone = dataclasses.replace(plan, specification=dataclasses.replace(plan.specification, person="none"))
    inputs = _inputs(values)
    effects = {name: pt.tensor(name, dtype="float64", shape=(None, 1)) for name in (COUNT, TRAIT)}
    predicted = predict_given(alone, inputs | effects, points(plan, plan.cells.frame))
    has_items = plan.family.parameter == "control_item" and plan.J > 1
    items = [item_popularity(alone, plan.of_list(inputs), predicted)[0]] if has_items else []
    arguments = [*inputs.values(), *effects.values()]
    compiled = pytensor.function(arguments, [predicted.states, *items], mode="FAST_COMPILE", on_unused_input="ignore")

    def say(own: Values, sds: Mapping[str, float]) -> Population:
        nodes, weights = _nodes(sds.get(COUNT, 0.0), sds.get(TRAIT, 0.0))
        states, *items = compiled(*(own[name] for name in inputs), *(nodes[:, [i]] for i in (0, 1)))
        return Population(np.tensordot(weights, states, 1), np.tensordot(weights, items[0], 1) if items else None)

    return say


def _nodes(count: float, trait: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (node, effect) of two independent normal effects with these sds, and their weights (node,)."""
    at, weight = np.polynomial.hermite_e.hermegauss(NODES)
    rules = [(sd * at, weight / weight.sum()) if sd else (np.zeros(1), np.ones(1)) for sd in (count, trait)]
    grid = np.stack(np.meshgrid(rules[0][0], rules[1][0], indexing="ij"), axis=-1).reshape(-1, 2)
    return grid, np.outer(rules[0][1], rules[1][1]).ravel()


def _inputs(values: Values) -> dict[str, Any]:
    return {name: pt.tensor(name, dtype="float64", shape=value.shape[1:]) for name, value in values.items()}


def _at(cells: Points, cell: Any) -> Points:
    """The designs at the cells of people."""

    def take(values: Any) -> Any:
        return pt.as_tensor(values)[cell]

    def of(m: Matrices) -> Matrices:
        return Matrices(m.intercept, take(m.slopes), tuple(g._replace(columns=take(g.columns), level=take(g.level)) for g in m.groups))

    wave = None if cells.wave is None else take(cells.wave)
    return Points({name: of(m) for name, m in cells.matrices.items()}, take(cells.item), wave)
