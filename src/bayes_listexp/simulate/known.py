"""Truth on the scale that users know: prevalences and items' popularity in the population, and the parameters that give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pytensor.compile.mode import FAST_COMPILE
from scipy.optimize import least_squares
from scipy.special import logit

from bayes_listexp import responses
from bayes_listexp.control_counts import poisson_binomial
from bayes_listexp.errors import InputError
from bayes_listexp.persons import COUNT, EFFECTS, TRAIT
from bayes_listexp.population import COUNT as N
from bayes_listexp.simulate.from_parameters import Population, Values, population_of
from bayes_listexp.simulate.template import Questionnaire, Template
from bayes_listexp.specification import Blueprint

CLUSTER_SDS = {"cluster_count_sd": COUNT, "cluster_trait_sd": TRAIT}
"""Standard deviations of what the people of a cluster have in common, on the linear predictors of count and trait."""

KNOWN = ("prevalence", "items", "lapses", *CLUSTER_SDS)
"""What a truth may say beside parameters of the model."""

EXACT = 1e-6
"""Prevalences and popularities that are asked for are met to this."""


class Known(NamedTuple):
    """A truth by its parts: targets in the population, and parameters. ``prevalence`` is by column and level, "all" for everybody;
    ``items`` (item,) by list version, "" with one list.
    """

    prevalence: Mapping[str, Mapping[str, float]]
    items: Mapping[str, np.ndarray]
    clusters: Mapping[str, float]
    parameters: Mapping[str, Any]


def read_truth(truth: Mapping[str, Any], plan: Blueprint, asks: Questionnaire) -> Known:
    """A truth as users say it, read for the model ``plan``.

    Raises
    ------
    InputError : shares that are none, a lapse or a column that there is not, a number of items that is not the list's.
    """
    prevalence, items, lapses = (truth.get(name, {}) for name in ("prevalence", "items", "lapses"))
    groups = dict(prevalence) if isinstance(prevalence, Mapping) else {"all": {"all": prevalence}}
    groups = {column: dict(levels) if isinstance(levels, Mapping) else {"all": levels} for column, levels in groups.items()}
    by_list = items if isinstance(items, Mapping) else {"": items}
    popular = {str(version): np.asarray(values, dtype=float) for version, values in by_list.items()}
    _check_shares(groups, popular, asks)
    known = responses.lapses(plan.specification.response)
    parameters = {name: value for name, value in truth.items() if name not in KNOWN}
    for name, share in lapses.items():
        if name not in known or not 0 < share < 1:
            raise InputError(f"truth: lapses: '{name}' = {share!r}: a probability between 0 and 1 of one of: "
                             f"{', '.join(known) or 'none, under this response model'}.")
        parameters[f"lapse_{name}_intercept"] = float(logit(share))
    clusters = {effect: float(truth.get(name, 0.0)) for name, effect in CLUSTER_SDS.items()}
    if min(clusters.values()) < 0:
        raise InputError("truth: cluster_count_sd and cluster_trait_sd are standard deviations of at least 0.")
    return Known(groups, popular, clusters, parameters)


def _check_shares(groups: Mapping[str, Mapping[str, float]], items: Mapping[str, np.ndarray], asks: Questionnaire) -> None:
    for column, levels in groups.items():
        for level, share in levels.items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
                raise InputError(f"truth: prevalence of '{column}', '{level}' = {share!r} must be a share between 0 and 1.")
    for version, shares in items.items():
        J = asks.J[version] if isinstance(asks.J, Mapping) and version in asks.J else asks.J
        if len(shares) != J or not ((shares > 0) & (shares < 1)).all():
            of = f" of list version {version!r}" if version else ""
            raise InputError(f"truth: items{of} = {shares.tolist()} must be {J} shares between 0 and 1, one for each control item (with "
                             "list versions, by their labels).")


class Whole(NamedTuple):
    """The population of a template: what parameters and effects' standard deviations say of the cells of each list, and the people."""

    template: Template
    says: tuple[Callable[[Values, Mapping[str, float]], Population], ...]
    people: pd.DataFrame
    mass: np.ndarray

    def chances(self, own: Values, sds: Mapping[str, float]) -> np.ndarray:
        """P(trait) in each cell of the blueprint, (cell,)."""
        return self.chances_in([say(own, sds) for say in self.says])

    def chances_in(self, said: Sequence[Population]) -> np.ndarray:
        """The same from what is said of each list."""
        out = np.empty(len(self.template.plan.cells.frame))
        for part, of_list in zip(self.template.plan.parts, said, strict=True):
            out[slice(None) if part.within is None else part.within] = of_list.states[:, 1].sum(axis=-1)
        return out


def whole_of(made: Template, frame: pd.DataFrame, asks: Questionnaire, values: Values) -> Whole:
    """The population of a template, for parameters shaped as ``values`` (study, ...).

    ``people`` has the frame's columns, the wave and the item, ``N`` and the position ``_code`` of the blueprint's cell; ``mass``
    (cell,) are the people of each cell.
    """
    rows = made.rows.assign(_code=made.cell)
    items = len(asks.treatments) > 1
    kept = rows[rows["arm"] > 0] if items else rows
    once = ["cell", "wave", *(["arm"] if items else [])]
    kept = kept[kept["arm"] <= len(asks.treatments)].drop_duplicates(once)
    people = frame.loc[kept["cell"]].reset_index(drop=True).assign(_code=kept["_code"].to_numpy())
    if asks.waves:
        people[asks.name("wave")] = np.array(asks.waves)[kept["wave"]]
    if items:
        people["item"] = [str(asks.treatments[arm - 1]) for arm in kept["arm"]]
    by_code = rows.drop_duplicates(["cell", "wave", "_code"])
    mass = np.bincount(by_code["_code"], weights=by_code["N"], minlength=len(made.plan.cells.frame))
    return Whole(made, tuple(population_of(part, values) for part in made.plan.parts), people, mass)


def sds_of(own: Values, person: str, clusters: Mapping[str, float]) -> dict[str, float]:
    """Standard deviations of the effects of persons and clusters together, on count and trait."""
    persons = {effect: float(own[f"{effect}_sd"]) for effect in EFFECTS[person]}
    return {effect: float(np.hypot(persons.get(effect, 0.0), clusters.get(effect, 0.0))) for effect in (COUNT, TRAIT)}


def calibrated(whole: Whole, own: dict[str, np.ndarray], known: Known, sds: Mapping[str, float]) -> dict[str, np.ndarray]:
    """The parameters ``own`` with those that are not given moved, as little as possible, to where the population is as ``known``.

    A prevalence of everybody moves the intercept alone; prevalences of groups move slopes and group effects too. Popularities of
    items move the intercept of the control counts, and what their family has beside it: of independent items of unequal
    popularity and of softmax counts the distribution is met, of the others the mean.

    Raises
    ------
    InputError : a group that there is not, or a truth that no parameters of the model give.
    """
    names = _moving(whole.template.plan, own, known)
    targets = [*_prevalence_targets(whole, known), *_item_targets(whole, known)]
    if not targets:
        return own
    if not names:
        raise InputError("truth: the parameters given leave none free by which prevalence or items could be met.")
    shapes = [own[name].shape for name in names]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]
    start = np.concatenate([np.ravel(own[name]) for name in names])

    def at(x: np.ndarray) -> dict[str, np.ndarray]:
        return own | {name: part.reshape(shape) for name, part, shape in zip(names, np.split(x, ends), shapes, strict=True)}

    def misfit(x: np.ndarray) -> np.ndarray:
        values = at(x)
        said = [say(values, sds) for say in whole.says]
        return np.concatenate([target(said) for target in targets])

    found = least_squares(misfit, start, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=200)
    worst = np.abs(found.fun).max()
    if worst > EXACT:
        raise InputError(f"truth: no parameters of this model give these prevalences and items (off by {worst:.2g} on the logit scale at "
                         "best). Let the formulas differ by the columns that the truth names, or ask for less.")
    return _centred(whole.template.plan, at(found.x))


def _moving(plan: Blueprint, own: Values, known: Known) -> list[str]:
    """Names of the parameters that are free to move."""
    names: list[str] = []
    if known.prevalence:
        trait = [name for name in ("trait_intercept",) if name in own]
        if set(known.prevalence) != {"all"} or not trait:
            trait += [name for name in ("trait_slope", *(f"trait_{term.name}" for term in plan.designs["trait"].groups)) if name in own]
        names += trait
    for part in plan.parts if known.items else ():
        names += [part.own(name) for name in ("control_intercept", "control_item", "control_shape") if part.own(name) in own]
    return [name for name in names if name not in known.parameters]


def _prevalence_targets(whole: Whole, known: Known) -> list[Callable[[Sequence[Population]], np.ndarray]]:
    plan, people = whole.template.plan, whole.people
    members, wanted = [], []
    for column, levels in known.prevalence.items():
        if column != "all" and column not in people.columns:
            shown = ", ".join(name for name in people.columns if name not in (N, "_code"))
            raise InputError(f"truth: prevalence: there is no column '{column}' in the population; it has: {shown}.")
        for level, share in levels.items():
            inside = np.ones(len(people), dtype=bool) if column == "all" else (people[column].astype(str) == str(level)).to_numpy()
            if not inside.any():
                raise InputError(f"truth: prevalence: nobody in the population has '{column}' = '{level}'; there are: "
                                 f"{', '.join(dict.fromkeys(people[column].astype(str)))}.")
            members.append(np.bincount(people["_code"][inside], weights=people[N][inside], minlength=len(plan.cells.frame)))
            wanted.append(share)
    if not members:
        return []
    weights = np.array(members) / np.sum(members, axis=1, keepdims=True)

    def misfit(said: Sequence[Population]) -> np.ndarray:
        return np.asarray(logit(weights @ whole.chances_in(said)) - logit(wanted))

    return [misfit]


def _item_targets(whole: Whole, known: Known) -> list[Callable[[Sequence[Population]], np.ndarray]]:
    plan = whole.template.plan
    return [_of_items(i, part, whole.mass if part.within is None else whole.mass[part.within],
                      known.items[part.cells.frame[plan.version].iloc[0] if part.label else ""])
            for i, part in enumerate(plan.parts) if known.items]


def _of_items(i: int, part: Blueprint, mass: np.ndarray, items: np.ndarray) -> Callable[[Sequence[Population]], np.ndarray]:
    """How far the ``i``-th list is from the popularities of its ``items``."""
    share = mass / mass.sum()
    if part.family.parameter == "control_item" and part.J > 1:
        return lambda said: np.asarray(logit(share @ said[i].items) - logit(items))
    if part.family.parameter == "control_shape" and part.J > 1:
        pmf = poisson_binomial(np.zeros((1, 1)), logit(items), part.J).eval(mode=FAST_COMPILE).ravel()
        return lambda said: np.log(share @ said[i].states.sum(axis=1)) - np.log(pmf)
    mean, counts = items.mean(), np.arange(part.J + 1) / part.J
    return lambda said: np.atleast_1d(logit(share @ said[i].states.sum(axis=1) @ counts) - logit(mean))


def _centred(plan: Blueprint, own: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same parameters with the items' logits relative to their mean."""
    for part in plan.parts:
        item, intercept = part.own("control_item"), part.own("control_intercept")
        if item in own and intercept in own:
            own = own | {intercept: own[intercept] + own[item].mean(), item: own[item] - own[item].mean()}
    return own


def truth_table(whole: Whole, chances: np.ndarray, asks: Questionnaire) -> pd.DataFrame:
    """The prevalence (0 to 1) of everybody and of the groups of every column of the frame that is no number, by wave and item, from
    P(trait) in each cell of the blueprint, ``chances`` (cell,):
    columns ``item`` and ``wave`` (if there are several items, or waves), ``group``, ``level``, ``prevalence``.
    """
    wave = asks.name("wave")
    people = whole.people.assign(_holds=whole.people[N] * chances[whole.people["_code"]])
    by = (["item"] if "item" in people.columns else []) + ([wave] if asks.waves else [])
    groups = [c for c in people.columns if c not in (*by, wave, N, "_code", "_holds") and not pd.api.types.is_float_dtype(people[c])]
    tables = []
    for group in ("all", *groups):
        level = pd.Series("all", index=people.index) if group == "all" else people[group].astype(str)
        sums = people.assign(level=level).groupby([*by, "level"], sort=False)[["_holds", N]].sum()
        tables.append((sums["_holds"] / sums[N]).rename("prevalence").reset_index().assign(group=group))
    out = pd.concat(tables, ignore_index=True)
    return out[[*by, "group", "level", "prevalence"]]
