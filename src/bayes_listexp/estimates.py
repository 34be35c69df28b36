"""Estimates from a fitted tree: prevalence, change, contrasts, and the trait of respondents. Draws in, draws out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit

from bayes_listexp import formulas, predictive, stored
from bayes_listexp.cells import ARMS
from bayes_listexp.disclosure import ATTRIBUTE, hide_small
from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import MISSING_LEVEL
from bayes_listexp.formulas import conform
from bayes_listexp.instrument import estimates_of, labels_of, parts_of
from bayes_listexp.persons import EFFECTS, TRAIT
from bayes_listexp.population import (
    COUNT,
    PopulationFrame,
    as_frame,
    average,
    check_wave,
    drawn_counts,
    grouping,
    sum_by,
)
from bayes_listexp.prediction import node_rule
from bayes_listexp.specification import TRAIT_GIVEN_COUNT, Blueprint
from bayes_listexp.targets import Target, by_list, together

CELL = "_cell"
ABSENT = "absent"
"""The coordinate that says why a group has no change."""

type Population = Literal["sample", "weights", "frame"] | pd.DataFrame | PopulationFrame | None


def prevalence(tree: xr.DataTree, *, by: str | Sequence[str] = (), population: Population = None) -> xr.DataArray:
    """Prevalence of the trait on a stated population: draws with dims (chain, draw, *by), probabilities 0 to 1.

    Three estimands are kept apart. With ``population`` "sample", the sample-average prevalence, the mean of P(trait | x)
    over the respondents (those who lack a modelled covariate are divided among the levels by P(level | known covariates), which
    does not look at their answers); with "weights", the same with survey weights; with a frame, the population (poststratified)
    prevalence, the mean over its cells weighted by ``N`` (Park, Gelman & Bafumi 2004). :func:`realised_prevalence` is the
    third. ``population`` None is the frame stored with the fit, else the sample. A frame without the wave column counts
    for every wave, and without ``by`` the wave the waves count equally. Where a :class:`bayes_listexp.PopulationFrame` says how
    many people its counts rest on, each posterior draw averages over its own draw of the cells' shares, the same in every wave
    (if the frame is not by wave), for every group and in every call with this fit.

    Raises
    ------
    InputError : a column or level that the population or the model does not have.
    """
    by = _names(by)
    plan = _plan(tree)
    target = target_population(tree, plan, population)
    chances = _chances(tree, plan, target.frame)
    return _grouped(tree, chances, target, by).assign_attrs(population=target.name)


def realised_prevalence(tree: xr.DataTree, *, by: str | Sequence[str] = ()) -> xr.DataArray:
    """Prevalence among the respondents of this very sample, given what they answered: dims (chain, draw, *by).

    The mean of P(trait = 1 | answer, x) over respondents; with person effects, given all that the same person said. Less uncertain
    than the sample-average prevalence, and about these people only. A respondent who lacks a modelled covariate counts in each
    group by the posterior probability of being in it.
    """
    by = _names(by)
    plan = _plan(tree)
    observed, places = predictive.patterns(plan), predictive.placement(plan)
    seen = np.flatnonzero((observed.arm[places.pattern] == ARMS.index("treatment")) | (plan.item is None))
    rows = plan.cells.frame.iloc[places.cell[seen]].reset_index(drop=True)
    target = Target(rows, observed.n[places.pattern[seen]].astype(float), "respondents")
    _known(target, by)
    chunks, index = [], None
    for being, having in predictive.place_probabilities(plan, tree["posterior"].to_dataset()):
        there, index = _averaged(being[:, seen], target, by)
        chunks.append(_averaged(having[:, seen], target, by)[0] / there)
    return _labelled(tree, np.concatenate(chunks), index, by)


def trait_probability(tree: xr.DataTree) -> xr.DataArray:
    """P(trait = 1 | all that was observed, x) for every observed pattern: dims (chain, draw, pattern).

    With person effects, what the same person said in other waves counts as well, and ``person`` numbers those of whom the same is
    known in all waves. Coordinates are the pattern's ``cell``, ``arm``, ``answer``, what instruments observed (say ``direct``: 0 no,
    1 yes), number of respondents ``n``, and covariates ("(missing)" where one is missing and modelled); a covariate with one of
    these names is called, say, "n (covariate)". Where the direct answer is "no" this is the probability of lying, where it is "yes"
    one minus it is that of a false confession. With several sensitive items the control arm, who saw none, is left out.
    """
    plan = _plan(tree)
    observed = predictive.patterns(plan)
    draws = _with_item_seen(plan, predictive.trait_given_answer(plan, tree["posterior"].to_dataset()))
    seen = draws["pattern_number"].to_numpy()
    draws = draws.drop_vars("pattern_number")
    rows = _known_covariates(plan).iloc[seen]
    draws = draws.assign_coords(n=("pattern", observed.n[seen]))
    taken = {*draws.dims, *draws.coords}
    return draws.assign_coords({f"{name} (covariate)" if name in taken else name:
                                ("pattern", rows[name].astype(object).to_numpy()) for name in rows.columns})


def change(tree: xr.DataTree, first: str, second: str, *, by: str | Sequence[str] = (),
           population: Population = None) -> xr.Dataset:
    """Prevalence in wave ``second`` minus wave ``first``: draws of ``change``, ``rate`` and ``composition``.

    ``rate`` is the part due to people of the same covariates answering differently, ``composition`` the part due to a
    different make-up of the two waves (Kitagawa 1955). On a population that is the same in both waves (a frame without the
    wave column) the composition part is zero; on each wave's own population ("sample", "weights", or a frame with the wave
    column) it is not, and the two parts add up to the difference of the waves' prevalences. Dims (chain, draw, *by), in
    probabilities (-1 to 1).

    A group of which a wave has nobody has no change: its draws are NaN, and the coordinate ``absent`` (*by), which is there
    only then, says why ("" for the other groups).

    Raises
    ------
    InputError : a wave that the study does not have.
    """
    by = _names(by)
    plan = _plan(tree)
    wave = _wave(tree, plan, first, second)
    taken = [name for name in by if name in (wave, ABSENT)]
    if taken:
        raise InputError(f"by: a change is between waves and cannot be grouped by '{taken[0]}'.")
    target = target_population(tree, plan, population)
    _known(target, by)
    rows, masses = _matched(target, wave, (first, second))
    for label, mass in zip((first, second), masses, strict=True):
        if not mass.sum() > 0:
            raise InputError(f"change: nobody of the {target.name} is in wave '{label}'. Give a population of that wave, "
                             "or one without the wave column.")
    shares = [_shares(rows, mass, by) for mass in masses]
    chances = [_chances(tree, plan, rows.assign(**{wave: w})) for w in (first, second)]
    rate = _summed(tree, (shares[0] + shares[1]) / 2 * (chances[1] - chances[0]), rows, by)
    composition = _summed(tree, (shares[1] - shares[0]) * (chances[0] + chances[1]) / 2, rows, by)
    out = xr.Dataset({"change": rate + composition, "rate": rate, "composition": composition})
    for label in (first, second) if tree.attrs.get(ATTRIBUTE) else ():
        mine = (plan.cells.frame[wave] == label).to_numpy()
        out = out.map(lambda part, mine=mine: hide_small(tree, part, by, plan.cells.frame[mine], plan.cells.n[mine]))
    out = _with_absences(out, rows, masses, (first, second), by, target.name)
    return out.assign_attrs(first=first, second=second, population=target.name)


def contrast(tree: xr.DataTree, column: str, first: Any, second: Any, *, by: str | Sequence[str] = (),
             population: Population = None) -> xr.DataArray:
    """Average difference in P(trait) if ``column`` were ``second`` instead of ``first`` for everybody, all else as it is.

    Dims (chain, draw, *by), in probabilities (-1 to 1): the average marginal comparison, not the difference of two
    groups as they are (take two prevalences for that).

    Raises
    ------
    InputError : the column is not in the model, or the level is unknown.
    """
    plan = _plan(tree)
    target = target_population(tree, plan, population)
    if column not in plan.designs["trait"].like.columns:
        raise InputError(f"contrast: column '{column}' is not in the trait formula '{plan.specification.trait}'.")
    chances = [_chances(tree, plan, target.frame.assign(**{column: value})) for value in (first, second)]
    return _grouped(tree, chances[1] - chances[0], target, _names(by)).assign_attrs(population=target.name)


def observed_by(
    tree: xr.DataTree, instrument: str, *, by: str | Sequence[str] = (), population: Population = None
) -> xr.Dataset:
    """What an instrument says beside the list, on a stated population: one variable per estimate, dims (chain, draw, *by).

    Which estimates there are the instrument decides; each variable's attribute ``label`` says what it is. Shares are 0 to 1.
    Ratios are of population averages, draw by draw. ``population`` as in :func:`prevalence`.

    Raises
    ------
    InputError : the fit has no such instrument, or a column that the population does not have.
    """
    by = _names(by)
    plan = _plan(tree)
    known = {i.name: i for i in plan.instruments}
    if instrument not in known:
        raise InputError(f"the fit has no instrument '{instrument}'; it has: {', '.join(known) or 'none'}.")
    target = target_population(tree, plan, population)
    _known(target, by)
    posterior, lists = tree["posterior"].to_dataset(), by_list(plan, target)
    target = lists[0][1] if len(lists) == 1 else together([people for _, people in lists])
    numbers = sum(len(people.frame) * 4 * (part.J + 2) for part, people in lists)
    chunks: dict[str, list[np.ndarray]] = {}
    index, done = None, 0
    said = [predictive.of_population(part, posterior, people.frame, instrument, numbers) for part, people in lists]
    for each in zip(*said, strict=True):
        told = [parts_of(known[instrument], chances, distribution) for chances, distribution in each]
        part = _of_draws(target, done, len(each[0][0]))
        done += len(each[0][0])
        for name in told[0]:
            averaged, index = _averaged(np.concatenate([values[name] for values in told], axis=1), part, by)
            chunks.setdefault(name, []).append(averaged)
    estimates = estimates_of(known[instrument], {name: np.concatenate(values) for name, values in chunks.items()})
    labels = labels_of(known[instrument], estimates)
    out = {name: _labelled(tree, values, index, by).assign_attrs(label=labels[name]) for name, values in estimates.items()}
    return xr.Dataset(out).assign_attrs(population=target.name)


def misreporting(
    tree: xr.DataTree, *, instrument: str = "direct", by: str | Sequence[str] = (), population: Population = None
) -> xr.Dataset:
    """Who hides what from the direct question: draws of ``prevalence``, ``direct`` (yes of those who answer),
    ``sensitivity_bias`` (prevalence minus direct), ``liars`` and ``false_confessions`` (shares of all), ``lie_rate`` and
    ``false_confession_rate`` (of those with, without the trait), and of refusals by trait if some refused (Eady 2017).

    Dims (chain, draw, *by), in probabilities. Individual probabilities of lying are :func:`trait_probability`'s.

    Raises
    ------
    InputError : the fit has no direct question of this name.
    """
    return observed_by(tree, instrument, by=by, population=population)


def summarise(draws: xr.DataArray, *, probability: float = 0.95) -> pd.DataFrame:
    """One row per group: mean, sd, median, the equal-tailed interval (``lower``, ``upper``) and P(below 0)."""
    stacked = draws.transpose("chain", "draw", ...)
    dims = list(stacked.dims[2:])
    values = stacked.to_numpy().reshape(-1, *stacked.shape[2:])
    tail = (1 - probability) / 2
    low, median, high = np.quantile(values, [tail, 0.5, 1 - tail], axis=0)
    columns = {"mean": values.mean(axis=0), "sd": values.std(axis=0, ddof=1), "median": median, "lower": low, "upper": high,
               "p_below_zero": (values < 0).mean(axis=0)}
    if not dims:
        return pd.DataFrame({name: [float(value)] for name, value in columns.items()})
    index = pd.MultiIndex.from_product([stacked[d].to_numpy() for d in dims], names=dims)
    table = pd.DataFrame({name: np.ravel(value) for name, value in columns.items()}, index=index).reset_index()
    return table[table["mean"].notna()].reset_index(drop=True)


def target_population(tree: xr.DataTree, plan: Blueprint, population: Population) -> Target:
    """Resolve ``population`` (see :func:`prevalence`) to rows and masses at the levels of the model."""
    if isinstance(population, (pd.DataFrame, PopulationFrame)):
        return _frame_target(as_frame(population), plan, tree)
    kept = stored.population_frame_of(tree)
    choice = population or ("sample" if kept is None else "frame")
    if choice == "sample":
        return _every_item(plan, Target(plan.cells.frame, plan.cells.n.astype(float), "sample"))
    if choice == "weights" and tree.attrs["weighted"]:
        return _every_item(plan, Target(plan.cells.frame, plan.cells.weight, "weighted sample"))
    if choice == "frame" and kept is not None:
        return _frame_target(kept, plan, tree)
    reasons = {"weights": "the study has no survey weights",
               "frame": "no population frame was stored with the fit; give one"}
    raise InputError(f"population = '{choice}': {reasons.get(choice, 'say sample, weights or frame, or give a frame')}.")


def _every_item(plan: Blueprint, target: Target) -> Target:
    """The same people once for each sensitive item, whichever item they saw."""
    if plan.item is None:
        return target
    people, size = target.frame.drop(columns=plan.item), len(plan.items)
    items = np.repeat(plan.items, len(people))
    frame = pd.concat([people] * size, ignore_index=True).assign(
        **{plan.item: pd.Categorical(items, categories=target.frame[plan.item].cat.categories)})
    return Target(frame[target.frame.columns], np.tile(target.mass, size), target.name)


def _known_covariates(plan: Blueprint) -> pd.DataFrame:
    """The covariates of each pattern, "(missing)" where they are missing and modelled."""
    places = predictive.placement(plan)
    rows = plan.cells.frame.iloc[places.cell].astype(object).groupby(places.pattern)
    return rows.first().mask(rows.nunique() >= 2, MISSING_LEVEL)


def _with_item_seen(plan: Blueprint, draws: xr.DataArray) -> xr.DataArray:
    """The patterns of which it is known what trait they are about, with their numbers: with several items the treatment arm."""
    draws = draws.assign_coords(pattern_number=("pattern", np.arange(draws.sizes["pattern"])))
    return draws if plan.item is None else draws.isel(pattern=(draws["arm"] == "treatment").to_numpy())


def _frame_target(population: PopulationFrame, plan: Blueprint, tree: xr.DataTree) -> Target:
    like, wave, posterior = plan.cells.frame, tree.attrs["wave"] or None, tree["posterior"]
    check_wave(population, wave)
    counts = drawn_counts(population, wave, posterior.sizes["chain"] * posterior.sizes["draw"], int(tree.attrs["run_sha256"][:12], 16))
    cell = range(len(population.cells))
    frame = population.cells.drop(columns=COUNT).assign(**{CELL: cell})
    for column in (wave, plan.item):
        if column and column not in frame.columns:
            frame = frame.merge(pd.DataFrame({column: list(like[column].cat.categories)}), how="cross")
    needed = [c for c in like.columns if c in frame.columns or any(c in d.like.columns for d in plan.designs.values())]
    extra = frame[[c for c in frame.columns if c not in like.columns and c != CELL]]
    rows = pd.concat([conform(frame, like[needed]), extra], axis=1)
    return Target(rows.reset_index(drop=True), counts[..., frame[CELL].to_numpy()], "population frame")


def _of_draws(target: Target, first: int, size: int) -> Target:
    """The target as ``size`` draws from the ``first`` on have it."""
    return target if target.mass.ndim == 1 else target._replace(mass=target.mass[first : first + size])


def _plan(tree: xr.DataTree) -> Blueprint:
    if "posterior" not in tree.children:
        raise InputError(
            "the fit has no posterior: its maximum lies at infinity, where no normal distribution approximates it. "
            "Its `optimum` has the maximum likelihood; fit with priors for estimates."
        )
    return stored.blueprint_of(tree)


def _chances(tree: xr.DataTree, plan: Blueprint, frame: pd.DataFrame) -> np.ndarray:
    """P(trait = 1 | x) at the rows of a frame for every draw, shape (sample, row), averaged over person effects."""
    bound = plan.designs["trait"]
    posterior = tree["posterior"].to_dataset()
    if plan.specification.dependence in TRAIT_GIVEN_COUNT:  # averaged over the counts that such people have
        return np.concatenate([chances for chances, _ in predictive.of_population(plan, posterior, frame)])
    names = [f"trait_{part}" for part in ("intercept", "slope", *(g.name for g in bound.groups))]
    parameters = {n: _flat(posterior[n].to_numpy()) for n in names if n in posterior}
    logit = formulas.linear_predictor(parameters, "trait", bound.evaluate(frame))
    if TRAIT not in EFFECTS[plan.specification.person]:
        return expit(logit)
    nodes, weights = node_rule(plan, TRAIT)
    sd = _flat(posterior[f"{TRAIT}_sd"].to_numpy())[:, None]
    return sum(weight * expit(logit + sd * node) for node, weight in zip(nodes, weights, strict=True))


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *values.shape[2:])


def _names(by: str | Sequence[str] | None) -> list[str]:
    names = [by] if isinstance(by, str) else list(by or ())
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"by: column '{twice[0]}' is named twice.")
    taken = [name for name in names if name in ("chain", "draw")]
    if taken:
        raise InputError(f"by: a column called '{taken[0]}' cannot be told from the draws' own dim. Rename the column.")
    return names


def _grouped(tree: xr.DataTree, draws: np.ndarray, target: Target, by: list[str]) -> xr.DataArray:
    """Mass-weighted averages over the rows of each group, labelled."""
    _known(target, by)
    return _labelled(tree, *_averaged(draws, target, by), by)


def _averaged(draws: np.ndarray, target: Target, by: list[str]) -> tuple[np.ndarray, pd.MultiIndex | None]:
    """Mass-weighted averages over the rows of each group, (draw, group), and the groups (None: everybody is one)."""
    if not by:
        total = draws @ target.mass if target.mass.ndim == 1 else np.einsum("dr,dr->d", draws, target.mass)
        return (total / target.mass.sum(axis=-1))[:, None], None
    return average(draws, target.frame, target.mass, by)


def _summed(tree: xr.DataTree, draws: np.ndarray, rows: pd.DataFrame, by: list[str]) -> xr.DataArray:
    """Sums over the rows of each group; the draws carry shares that sum to one in a group."""
    if not by:
        return _labelled(tree, draws.sum(axis=1, keepdims=True), None, by)
    codes, index = grouping(rows, by)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(index)))
    return _labelled(tree, np.add.reduceat(draws[:, order], starts, axis=1), index, by)


def _labelled(tree: xr.DataTree, values: np.ndarray, index: pd.MultiIndex | None, by: list[str]) -> xr.DataArray:
    posterior = tree["posterior"]
    base = {"chain": posterior["chain"].to_numpy(), "draw": posterior["draw"].to_numpy()}
    shape = (len(base["chain"]), len(base["draw"]))
    if index is None:
        return xr.DataArray(values[:, 0].reshape(shape), dims=("chain", "draw"), coords=base, name="prevalence")
    levels = [_ordered(index, i) for i in range(len(by))]
    grid = np.full((values.shape[0], *(len(found) for found in levels)), np.nan)
    positions = tuple(pd.Index(found).get_indexer(index.get_level_values(i)) for i, found in enumerate(levels))
    grid[(slice(None), *positions)] = values
    draws = xr.DataArray(grid.reshape(*shape, *grid.shape[1:]), dims=("chain", "draw", *by),
                         coords={**base, **dict(zip(by, levels, strict=True))}, name="prevalence")
    return hide_small(tree, draws, by, *_respondents(tree))


def _respondents(tree: xr.DataTree) -> tuple[pd.DataFrame, np.ndarray]:
    """The cells of a fit and how many respondents are in each; none where no group is withheld."""
    if not tree.attrs.get(ATTRIBUTE):
        return pd.DataFrame(), np.zeros(0)
    cells = stored.blueprint_of(tree).cells
    return cells.frame, cells.n


def _ordered(index: pd.MultiIndex, position: int) -> list[Any]:
    """Levels that occur, in the order of their categories where the column has categories."""
    found = set(index.get_level_values(position))
    values = index.levels[position]
    return [level for level in (values.categories if isinstance(values, pd.CategoricalIndex) else values) if level in found]


def _known(target: Target, by: list[str]) -> None:
    unknown = [name for name in by if name not in target.frame.columns]
    if unknown:
        raise InputError(f"by: column '{unknown[0]}' is not in the {target.name}; it has: "
                         f"{', '.join(map(str, target.frame.columns))}. Name it in `groups` when fitting, or use a frame.")


def _wave(tree: xr.DataTree, plan: Blueprint, first: str, second: str) -> str:
    wave = tree.attrs["wave"]
    if not wave:
        raise InputError("change: the study has no waves; name the column with `wave` when building it.")
    for label in (first, second):
        if label not in plan.cells.frame[wave].cat.categories:
            raise InputError(f"change: there is no wave '{label}'; the waves are: "
                             f"{', '.join(plan.cells.frame[wave].cat.categories)}.")
    return wave


def _matched(target: Target, wave: str, waves: tuple[str, str]) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """The distinct rows without the wave, and their mass in each of two waves."""
    others = [c for c in target.frame.columns if c != wave]
    table = target.frame
    codes = (table.groupby(others, observed=True, sort=True, dropna=False).ngroup().to_numpy() if others
             else np.zeros(len(table), dtype="int64"))
    rows = table.assign(_code=codes).drop_duplicates("_code").sort_values("_code")[others].reset_index(drop=True)
    return rows, [sum_by(np.where(table[wave] == w, target.mass, 0.0), codes, len(rows)) for w in waves]


def _with_absences(
    out: xr.Dataset, rows: pd.DataFrame, masses: list[np.ndarray], waves: tuple[str, str], by: list[str], name: str
) -> xr.Dataset:
    """The reason why groups have no change, as a coordinate, if there are such groups."""
    if not by:
        return out
    codes, index = grouping(rows, by)
    there = np.array([np.atleast_2d(sum_by(mass, codes, len(index)) > 0).all(axis=0) for mass in masses])
    if there.all() and len(index) == np.prod([out.sizes[column] for column in by]):
        return out
    known = dict(zip(index, there.T, strict=True))

    def reason(group: tuple[Any, ...]) -> str:
        lacking = [f"'{wave}'" for wave, one in zip(waves, known.get(group, (False, False)), strict=True) if not one]
        return f"nobody of the {name} in wave {' or '.join(dict.fromkeys(lacking))}" if lacking else ""

    groups = pd.MultiIndex.from_product([out[column].to_numpy() for column in by])
    reasons = np.array([reason(group) for group in groups], dtype=object)
    return out.assign_coords({ABSENT: (by, reasons.reshape([out.sizes[column] for column in by]))})


def _shares(rows: pd.DataFrame, mass: np.ndarray, by: list[str]) -> np.ndarray:
    """Each row's share of its group's mass; NaN in a group that one wave does not have."""
    if not by:
        return mass / mass.sum(axis=-1, keepdims=True)
    codes, index = grouping(rows, by)
    totals = sum_by(mass, codes, len(index))[..., codes]
    return np.divide(mass, totals, out=np.full(mass.shape, np.nan), where=totals > 0)
