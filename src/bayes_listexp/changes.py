"""Change over the waves: its probabilities, the path of all waves, ranks, differences between groups, filtered estimates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp.errors import InputError
from bayes_listexp.estimates import ABSENT, Population, change, prevalence
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.margins import KnownPrevalence
from bayes_listexp.population import PopulationFrame, as_frame, of_waves

NO_FALL, ANY_FALL = "no fall", "any gap"
CHANCES = ["p_decline", "p_decline_delta", "p_rise_delta", "p_rope"]


def change_summary(draws: xr.DataArray, *, delta: float = 0.2, rope: float = 0.05, probability: float = 0.95) -> pd.DataFrame:
    """What draws of a change say: one row per group, in the order of the draws.

    Columns: the groups; ``median``, ``lower``, ``upper`` (equal-tailed interval of the given ``probability``);
    ``p_decline``, P(change < 0); ``p_decline_delta``, P(change <= -delta); ``p_rise_delta``, P(change >= delta); ``p_rope``,
    P(|change| <= rope), the region of practical equivalence; ``note``, why a group has no change (its numbers are NaN).
    ``draws`` has dims (chain, draw, *groups), as :func:`bayes_listexp.change` gives them; all numbers are probabilities or
    their differences (-1 to 1).

    Raises
    ------
    InputError : ``delta`` or ``rope`` is not between 0 and 1, or ``probability`` not strictly so.
    """
    _check_shares(delta=delta, rope=rope)
    values, index = _flat(draws)
    counted = [values < 0, values <= -delta, values >= delta, np.abs(values) <= rope]
    absent = np.isnan(values).any(axis=0)
    chances = {name: np.where(absent, np.nan, hits.mean(axis=0)) for name, hits in zip(CHANCES, counted, strict=True)}
    notes = np.where(absent, "not every draw is there", "").astype(object)
    if ABSENT in draws.coords:
        given = draws[ABSENT].broadcast_like(draws.isel(chain=0, draw=0)).to_numpy().ravel().astype(object)
        notes = np.where(given != "", given, notes)
    return _table(index, {**_quantiles(values, probability), **chances, "note": notes})


def path(tree: xr.DataTree, *, by: str | Sequence[str] = (), population: Population = None) -> xr.DataArray:
    """Prevalence in every wave, in their order: draws with dims (chain, draw, *by, wave), probabilities 0 to 1.

    The path of a whole fit is smoothed: each wave is estimated from the respondents of all waves, later ones too, as far as
    the model ties waves together. It is labelled so (attribute ``estimate``); see :func:`filtered` for estimates from the
    waves up to each. ``population`` as in :func:`bayes_listexp.prevalence`.

    Raises
    ------
    InputError : the study has no waves, or a column or level that the population does not have.
    """
    wave = tree.attrs["wave"]
    if not wave:
        raise InputError("path: the study has no waves; name the column with `wave` when building it.")
    groups = [name for name in ([by] if isinstance(by, str) else by) if name != wave]
    return prevalence(tree, by=[*groups, wave], population=population).assign_attrs(estimate="smoothed")


def filtered(
    study: ListExperiment, *, by: str | Sequence[str] = (), population: Population = None, **fit_arguments: Any
) -> xr.DataArray:
    """Prevalence in every wave as it was known then: draws with dims (chain, draw, *by, wave), probabilities 0 to 1.

    Wave t is estimated by a fit of waves 1 to t alone (:meth:`ListExperiment.until`), so there are as many fits as waves, and
    draws of different waves are independent: a change between them has to be taken from one fit. Labelled "filtered"
    (attribute ``estimate``), while :func:`path` is smoothed; the last wave is the same in both. ``fit_arguments`` are those
    of :func:`bayes_listexp.fit`; margins that are about a later wave are left out, as they were not known.

    Raises
    ------
    InputError : the study has no waves, or whatever a fit of a part of the waves refuses.
    """
    if study.wave is None or not study.waves:
        raise InputError("filtered: the study has no waves; name the column with `wave` when building it.")
    groups = [name for name in ([by] if isinstance(by, str) else by) if name != study.wave]
    margins = fit_arguments.pop("margins", ())
    ends = []
    for wave in study.waves:
        known = [margin for margin in margins if not _is_later(margin, study, wave)]
        tree = fit(study.until(wave), margins=known, **fit_arguments)
        people = population
        if isinstance(population, pd.DataFrame | PopulationFrame):
            people = of_waves(as_frame(population), study.wave, [wave])
        ends.append(prevalence(tree, by=[*groups, study.wave], population=people).sel({study.wave: [wave]}))
    out = xr.concat(ends, dim=study.wave, join="outer", combine_attrs="override")
    return out.transpose("chain", "draw", *groups, study.wave).assign_attrs(estimate="filtered")


def p_monotone(draws: xr.DataArray, dim: str) -> pd.DataFrame:
    """The probability of a monotone path along ``dim``: one row per group, ``p_never_rises`` and ``p_never_falls``.

    ``draws`` has dims (chain, draw, *groups, dim), the levels of ``dim`` in the order of time. Staying the same counts as
    neither rise nor fall. NaN where a level has no draws.

    Raises
    ------
    InputError : ``dim`` is not a dim of the draws, or has fewer than two levels.
    """
    steps, index = _steps(draws, dim)
    absent = np.isnan(steps).any(axis=(0, 2))
    never = {"p_never_rises": (steps <= 0).all(axis=2), "p_never_falls": (steps >= 0).all(axis=2)}
    return _table(index, {name: np.where(absent, np.nan, hits.mean(axis=0)) for name, hits in never.items()})


def largest_drop(draws: xr.DataArray, dim: str, *, probability: float = 0.95) -> pd.DataFrame:
    """When the largest fall between neighbours along ``dim`` came, and how large it was.

    One row per group and gap: the groups, ``gap`` ("2022-09 to 2022-11"), ``p``, the probability that the largest fall was
    there, and the ``median``, ``lower`` and ``upper`` of its size (0 to 1) where it was there. Two more rows: "any gap",
    where there is a fall at all, and "no fall", so that the gaps and "no fall" add up to 1. Of equal falls the first counts.

    Raises
    ------
    InputError : ``dim`` is not a dim of the draws, or has fewer than two levels.
    """
    steps, index = _steps(draws, dim)
    levels = [str(level) for level in draws[dim].to_numpy()]
    gaps = [f"{first} to {second}" for first, second in zip(levels, levels[1:], strict=False)]
    tables = []
    for group in range(steps.shape[1]):
        falls = -steps[:, group]
        whole = bool(np.isfinite(falls).all())
        size = falls.max(axis=1)
        place = np.where(size > 0, falls.argmax(axis=1), -1)
        where = [*(place == k for k in range(len(gaps))), place >= 0, place < 0]
        rows = [
            [name, hit.mean() if whole else np.nan, *_spread(size[hit & (place >= 0)] if whole else size[:0], probability)]
            for name, hit in zip([*gaps, ANY_FALL, NO_FALL], where, strict=True)
        ]
        own = pd.DataFrame(rows, columns=["gap", "p", "median", "lower", "upper"])
        key = {} if index is None else dict(zip(index.names, index[group], strict=True))
        tables.append(pd.concat([pd.DataFrame([key] * len(own)), own], axis=1) if key else own)
    return pd.concat(tables, ignore_index=True)


def ranks(draws: xr.DataArray, dim: str, *, probability: float = 0.95) -> pd.DataFrame:
    """The rank of each level of ``dim`` among them all, 1 the highest: one row per level (and other group).

    Columns: the other dims and ``dim``; ``mean_rank`` with ``lower`` and ``upper`` (equal-tailed interval); ``p_rank_1`` to
    ``p_rank_K``, the probability of each rank. Equals share the better rank. A level without draws has no rank (NaN), and
    the others are ranked without it.

    Raises
    ------
    InputError : ``dim`` is not a dim of the draws, or has fewer than two levels.
    """
    _check_dim(draws, dim)
    others = [str(d) for d in draws.dims if d not in ("chain", "draw", dim)]
    values = draws.transpose("chain", "draw", *others, dim).to_numpy().reshape(-1, *(draws.sizes[d] for d in (*others, dim)))
    higher = (values[..., None, :] > values[..., :, None]).sum(axis=-1)
    rank = np.where(np.isnan(values), np.nan, 1.0 + higher)
    size = draws.sizes[dim]
    ordered = xr.DataArray(rank[None], dims=("chain", "draw", *others, dim), coords={d: draws[d] for d in (*others, dim)})
    flat, index = _flat(ordered)
    quantiles = _quantiles(flat, probability)
    absent = np.isnan(flat).any(axis=0)
    shares = {f"p_rank_{r}": np.where(absent, np.nan, (flat == r).mean(axis=0)) for r in range(1, size + 1)}
    return _table(index, {"mean_rank": flat.mean(axis=0), "lower": quantiles["lower"], "upper": quantiles["upper"], **shares})


def difference_of_changes(
    tree: xr.DataTree, first: str, second: str, *, by: str, a: Any, b: Any, population: Population = None
) -> xr.DataArray:
    """Did group ``a`` fall more than group ``b``? Draws (chain, draw) of a's change between two waves minus b's.

    Below 0, support of ``a`` moved further down (or less far up). Computed within each draw, so that what the two changes
    share cancels. Give the draws to :func:`change_summary`; :func:`compare_changes` does so for all pairs.

    Raises
    ------
    InputError : a level that ``by`` does not have, or a group that a wave lacks.
    """
    draws = change(tree, first, second, by=by, population=population)["change"]
    levels = list(draws[by].to_numpy())
    for level in (a, b):
        if level not in levels:
            raise InputError(f"difference_of_changes: '{by}' has no level {level!r}; there are: {', '.join(map(str, levels))}.")
    out = _difference(draws, by, a, b)
    if ABSENT in out.coords:
        raise InputError(f"difference_of_changes: {out[ABSENT].item()}, so that there is no change to compare.")
    return out.assign_attrs(draws.attrs, a=a, b=b, first=first, second=second)


def compare_changes(
    draws: xr.DataArray, dim: str, *, delta: float = 0.2, rope: float = 0.05, probability: float = 0.95
) -> pd.DataFrame:
    """All pairs of groups compared in their change: one row per pair, that with the most certain sign first.

    ``draws`` are changes (chain, draw, *others, dim). Columns: the other dims, ``a``, ``b``, and those of
    :func:`change_summary` for a's change minus b's, of which ``p_decline`` is the probability that support of ``a`` moved
    further down than that of ``b``. The pair is turned so that this is at least a half.

    Raises
    ------
    InputError : as :func:`change_summary`, and where ``dim`` is not a dim of the draws, or has fewer than two levels.
    """
    _check_dim(draws, dim)
    others = [str(d) for d in draws.dims if d not in ("chain", "draw", dim)]
    tables = []
    for a, b in combinations(draws[dim].to_numpy(), 2):
        pairs = [(one, other, _difference(draws, dim, one, other)) for one, other in ((a, b), (b, a))]
        rows, turned = (change_summary(d, delta=delta, rope=rope, probability=probability).assign(a=x, b=y) for x, y, d in pairs)
        turn = rows["p_decline"] < 0.5
        tables.append(pd.concat([rows[~turn], turned[turn]]).sort_index())
    out = pd.concat(tables, ignore_index=True)
    out = out[[*others, "a", "b", *[name for name in out.columns if name not in (*others, "a", "b")]]]
    return out.sort_values("p_decline", ascending=False, kind="stable", ignore_index=True)


def wave_dates(waves: Sequence[str]) -> dict[str, date] | None:
    """The day of each wave where every label is a date, else None: "2022-09-14", or the middle of "2022-09", "2022-Q3", "2022"."""
    days = {wave: read_day(wave) for wave in waves}
    known = {wave: day for wave, day in days.items() if day is not None}
    return known if waves and len(known) == len(days) else None


def read_day(label: str) -> date | None:
    """A day, or the middle of a month, quarter or year, written as in :func:`wave_dates`; None if it is no date."""
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?|-?Q[1-4])?", label):
        return None
    try:
        period = pd.Period(label)
    except ValueError:  # such as 30 February
        return None
    middle = period.start_time + (period.end_time - period.start_time) / 2
    return date(middle.year, middle.month, middle.day)


def _is_later(margin: Any, study: ListExperiment, wave: str) -> bool:
    """Whether a margin is about a wave after this one."""
    about = margin.group.get(str(study.wave)) if isinstance(margin, KnownPrevalence) else None
    return str(about) in study.waves[study.waves.index(wave) + 1 :]


def _difference(draws: xr.DataArray, dim: str, a: Any, b: Any) -> xr.DataArray:
    """The change of ``a`` minus that of ``b``, with the reasons of both where a wave has nobody of them."""
    parts = [draws.sel({dim: level}).drop_vars(dim) for level in (a, b)]
    out = parts[0].drop_vars(ABSENT, errors="ignore") - parts[1].drop_vars(ABSENT, errors="ignore")
    if ABSENT not in draws.coords:
        return out
    reasons = [part[ABSENT].astype(object) for part in parts]
    said = [xr.where(reason != "", f"{level}: " + reason, "") for level, reason in zip((a, b), reasons, strict=True)]
    both = xr.where((reasons[0] != "") & (reasons[1] != ""), said[0] + "; " + said[1], said[0] + said[1])
    return out.assign_coords({ABSENT: both}) if bool((both != "").any()) else out


def _check_shares(**given: float) -> None:
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} = {value!r}: must be a difference of shares between 0 and 1 (20 points are 0.2).")


def _check_dim(draws: xr.DataArray, dim: str) -> None:
    if dim not in draws.dims or dim in ("chain", "draw"):
        raise InputError(f"'{dim}' is not a dim of the draws; they have: {', '.join(map(str, draws.dims))}.")
    if draws.sizes[dim] < 2:
        raise InputError(f"'{dim}' has a single level, so there is nothing to compare.")


def _flat(draws: xr.DataArray) -> tuple[np.ndarray, pd.MultiIndex | None]:
    """Draws as (sample, group), and the groups (None: everybody is one)."""
    stacked = draws.transpose("chain", "draw", ...)
    dims = [str(d) for d in stacked.dims[2:]]
    values = stacked.to_numpy().reshape(stacked.sizes["chain"] * stacked.sizes["draw"], -1)
    return values, pd.MultiIndex.from_product([stacked[d].to_numpy() for d in dims], names=dims) if dims else None


def _steps(draws: xr.DataArray, dim: str) -> tuple[np.ndarray, pd.MultiIndex | None]:
    """Changes between neighbours along ``dim``, (sample, group, step), and the groups."""
    _check_dim(draws, dim)
    others = [d for d in draws.dims if d not in ("chain", "draw", dim)]
    _, index = _flat(draws.isel({dim: 0}, drop=True))
    ordered = draws.transpose("chain", "draw", *others, dim).to_numpy()
    return np.diff(ordered.reshape(draws.sizes["chain"] * draws.sizes["draw"], -1, draws.sizes[dim]), axis=2), index


def _quantiles(values: np.ndarray, probability: float) -> dict[str, np.ndarray]:
    if not 0 < probability < 1:
        raise InputError(f"probability = {probability!r}: must be between 0 and 1.")
    low, median, high = np.quantile(values, [(1 - probability) / 2, 0.5, (1 + probability) / 2], axis=0)
    return {"median": median, "lower": low, "upper": high}


def _spread(values: np.ndarray, probability: float) -> list[float]:
    return [float(value) for value in _quantiles(values, probability).values()] if len(values) else [np.nan] * 3


def _table(index: pd.MultiIndex | None, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    return frame if index is None else pd.concat([index.to_frame(index=False), frame], axis=1)
