"""Population frames: cells of people with their number, exact or estimated by a survey, and averages over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from bayes_listexp.columns import (
    SMALLEST_WEIGHT,
    check_names,
    check_values,
    name_rows,
    read_numbers,
    read_weights,
    rows_where,
)
from bayes_listexp.errors import InputError

COUNT = "N"
UNITS = 10.0
"""Numbers of people of two waves that differ by more than this are not in the same unit."""
TINY = 1e-250
"""The smallest drawn number of people, relative to the others."""


@dataclass(frozen=True, eq=False)
class PopulationFrame:
    """A population as cells of people, how sure their numbers are, and where they come from.

    Attributes
    ----------
    cells : one row per cell: its levels, and the number of people in the column ``N`` (at least 0, need not be whole).
    n : None if the numbers are exact (a census). If they are estimates of a survey, the effective number of people that it
        asked, or with a frame by wave that of each wave's survey (None for an exact one). The cells' shares then have the
        distribution Dirichlet(n N / sum N), within each wave; estimates average with one draw of the shares per posterior draw,
        so that their intervals include what the survey leaves open. Cells with N = 0 stay empty.
    source : how the frame was made, in words.
    wave : the wave column, if the frame was put together by wave.
    methods : what it was made by beside tables: "raking", "survey".

    Raises
    ------
    InputError : ``N`` is missing or no number of people, or ``n`` is no positive number of people.
    """

    cells: pd.DataFrame
    n: float | Mapping[str, float | None] | None = None
    source: str = "a table of cells"
    wave: str | None = None
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        cells = check_frame(self.cells)
        if cells is not self.cells:
            object.__setattr__(self, "cells", cells)
        if isinstance(self.n, Mapping):
            if self.wave is None or self.wave not in self.cells.columns:
                raise InputError("population frame: an n for each wave needs the column of the waves, `wave`.")
            waves = list(dict.fromkeys(self.cells[self.wave].astype(str)))
            if set(self.n) != set(waves):
                raise InputError(f"population frame: n is given for {', '.join(map(str, self.n))}; the waves in column "
                                 f"'{self.wave}' are: {', '.join(waves)}.")
        for size in self.n.values() if isinstance(self.n, Mapping) else [self.n]:
            if size is not None and not (np.isfinite(size) and size > 0):
                raise InputError(f"population frame: n = {size!r} must be the number of people that a survey asked, or None "
                                 "for exact counts.")

    @property
    def exact(self) -> bool:
        """Whether the numbers of people are taken as they are."""
        return all(size is None for size in (self.n.values() if isinstance(self.n, Mapping) else [self.n]))


def as_frame(population: pd.DataFrame | PopulationFrame) -> PopulationFrame:
    """A table of cells as a frame with exact counts; a frame as it is.

    Raises
    ------
    InputError : as :class:`PopulationFrame`.
    """
    return population if isinstance(population, PopulationFrame) else PopulationFrame(population)


def frame_from_survey(survey: pd.DataFrame, columns: Sequence[str], *, weights: str | None = None) -> PopulationFrame:
    """The cells of another survey as a population: N is the sum of the weights, n Kish's effective number of people.

    Parameters
    ----------
    survey : one row per person, such as a large survey without the list experiment.
    columns : what tells the cells apart.
    weights : column of weights of at least 0, on any scale; without it everybody counts the same.

    The effective number is (sum w)^2 / sum w^2 (Kish 1965), the number of rows without weights.

    Raises
    ------
    InputError : a column is missing, a level is missing in some rows, or a weight is no weight.
    """
    columns = list(columns)
    absent = [name for name in [*columns, *([weights] if weights else [])] if name not in survey.columns]
    if absent or not columns:
        raise InputError(f"frame_from_survey: {f'column {absent[0]!r} is not in the survey' if absent else 'name columns'}; it has: "
                         f"{', '.join(map(str, survey.columns))}.")
    if not len(survey):
        raise InputError("frame_from_survey: the survey has no rows.")
    for name in columns:
        if survey[name].isna().any():
            raise InputError(f"frame_from_survey: column '{name}', {rows_where(survey[name].isna())}: the level is missing. Recode it "
                             "to a level, or leave these people out.")
    weight = pd.Series(1.0, index=survey.index) if weights is None else read_weights(survey[weights], weights)
    cells = survey[columns].assign(**{COUNT: weight.to_numpy()}).groupby(columns, observed=True, as_index=False)[COUNT].sum()
    n = float(weight.sum() ** 2 / (weight**2).sum())
    source = f"a survey of {len(survey):,} people" + (f", weighted (effective number {n:,.1f})" if weights else "")
    return PopulationFrame(cells, n, source, methods=("survey",))


def frames_by_wave(frames: Mapping[str, pd.DataFrame | PopulationFrame], wave: str = "wave") -> PopulationFrame:
    """One frame of several, one for each wave: the wave stands in the column ``wave``, and n is kept by wave.

    The numbers of people stay as they are, so estimates over all waves weigh each with the size of its population.

    Raises
    ------
    InputError : the frames do not have the same columns, have the column of the waves already, are by wave themselves, or
        their numbers of people are not in the same unit (one sums to more than ten times another).
    """
    if not frames:
        raise InputError("frames_by_wave: name at least one wave with its frame.")
    given = {str(label): as_frame(frame) for label, frame in frames.items()}
    first, columns = next((label, list(frame.cells.columns)) for label, frame in given.items())
    for label, frame in given.items():
        if wave in frame.cells.columns:
            raise InputError(f"frames_by_wave: the frame of '{label}' has a column '{wave}' already. Leave it out, or name the column "
                             "of the waves with wave=.")
        if frame.wave is not None:
            raise InputError(f"frames_by_wave: the frame of '{label}' is by wave itself.")
        differing = set(columns) ^ set(frame.cells.columns)
        if differing:
            raise InputError(f"frames_by_wave: the frames of '{first}' and '{label}' do not both have the column "
                             f"'{sorted(map(str, differing))[0]}'. Give every wave the same columns.")
    totals = {label: float(frame.cells[COUNT].sum()) for label, frame in given.items()}
    low, high = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    if totals[high] > UNITS * totals[low]:
        raise InputError(f"frames_by_wave: N sums to {totals[low]:g} in '{low}' and to {totals[high]:g} in '{high}', which is not the "
                         "same unit. Scale the numbers to people.")
    cells = pd.concat([frame.cells[columns].assign(**{wave: label}) for label, frame in given.items()], ignore_index=True)
    for name in columns:  # the order of levels survives where the frames agree on it
        kinds = [frame.cells[name].dtype for frame in given.values()]
        if isinstance(kinds[0], pd.CategoricalDtype) and all(kind == kinds[0] for kind in kinds):
            cells[name] = cells[name].astype(kinds[0])
    sizes = {label: None if isinstance(frame.n, Mapping) else frame.n for label, frame in given.items()}
    sources = [f"{label}: {frame.source}" for label, frame in given.items()]
    methods = tuple(dict.fromkeys(method for frame in given.values() for method in frame.methods))
    n = None if all(size is None for size in sizes.values()) else sizes
    return PopulationFrame(cells, n, "; ".join(sources), wave, methods)


def of_waves(frame: PopulationFrame, wave: str, waves: Sequence[str]) -> PopulationFrame:
    """The people of some waves; a frame without the column of the waves, which counts for each of them, as it is."""
    if wave not in frame.cells.columns:
        return frame
    n = {label: frame.n[label] for label in waves if label in frame.n} if isinstance(frame.n, Mapping) else frame.n
    return replace(frame, cells=frame.cells[frame.cells[wave].astype(str).isin(waves)], n=n)


def check_wave(frame: PopulationFrame, wave: str | None) -> None:
    """Check that a frame by wave has its waves in the column where the study has them.

    Raises
    ------
    InputError : it does not.
    """
    if frame.wave is not None and frame.wave != wave:
        raise InputError(f"population frame: it is by wave in column '{frame.wave}', and the study "
                         f"{f'has its waves in {wave!r}' if wave else 'has no waves'}. Name the same column in frames_by_wave and "
                         "in the study (wave=).")


def drawn_counts(frame: PopulationFrame, wave: str | None, draws: int, seed: int) -> np.ndarray:
    """People per cell: (cell,) as counted if exact, else (draw, cell) with shares drawn from Dirichlet(n N / sum N).

    Where the frame has the column ``wave``, shares are drawn within each wave, whose number of people stays as it is. With one
    ``n`` for all of a frame by wave, each wave has the part of it that it has of the people. Gamma variables of small shape
    can underflow to 0; they are kept at the smallest number that can be summed, so that no cell with people is ever empty.
    """
    counts = frame.cells[COUNT].to_numpy(dtype=float)
    if frame.exact:
        return counts
    labels = frame.cells[wave].astype(str) if wave in frame.cells.columns else pd.Series("", index=frame.cells.index)
    codes, waves = pd.factorize(labels)
    totals = np.bincount(codes, weights=counts)
    if isinstance(frame.n, Mapping):
        sizes = np.array([np.nan if frame.n[label] is None else frame.n[label] for label in waves], dtype=float)
    else:
        sizes = float(frame.n or 0) * totals / totals.sum()
    uncertain = np.isfinite(sizes[codes]) & (counts > 0)
    shape = np.where(uncertain, sizes[codes] * counts / np.where(totals > 0, totals, 1)[codes], 0.0)
    drawn = np.random.default_rng(seed).standard_gamma(shape, size=(draws, len(counts)))
    np.maximum(drawn, TINY, out=drawn)
    drawn[:, ~uncertain] = counts[~uncertain]
    drawn *= (totals / np.where(totals > 0, sum_by(drawn, codes, len(waves)), 1.0))[:, codes]
    return drawn


def sum_by(values: np.ndarray, codes: np.ndarray, size: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Sums of ``values`` (..., row), times ``weights`` (row,), over the rows of each of ``size`` groups, (..., group)."""
    each = np.ones(len(codes)) if weights is None else weights
    member = csr_array((each, (np.arange(len(codes)), codes)), shape=(len(codes), size))
    return values @ member


def check_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with numbers in its column ``N``, if these count people: numbers of at least 0 that are not all 0.

    Raises
    ------
    InputError : the column is missing, or a count is missing, negative or infinite, or all are 0; or names or levels are none.
    """
    if COUNT not in frame.columns:
        raise InputError(f"population frame: column '{COUNT}' (number of people in the cell) is missing; it has: "
                         f"{', '.join(map(str, frame.columns))}.")
    try:
        check_names(frame)
        for name in frame.columns:
            check_values(frame[name], name)
        counts = read_numbers(frame[COUNT], COUNT)
    except InputError as error:
        raise InputError(f"population frame: {error}") from error
    bad = counts.isna() | (counts < 0)
    if bad.any():
        raise InputError(f"population frame: column '{COUNT}', row {int(np.flatnonzero(bad)[0]) + 1}: a count of people "
                         f"must be a number of at least 0, found {frame[COUNT][bad].tolist()[0]!r}.")
    if not (counts > 0).any():
        raise InputError(f"population frame: column '{COUNT}' sums to 0.")
    if counts.max() > 1 / SMALLEST_WEIGHT or counts.max() < SMALLEST_WEIGHT:
        raise InputError(f"population frame: column '{COUNT}': the largest number is {counts.max():g}, which is no number of people.")
    return frame if isinstance(frame[COUNT].dtype, np.dtype) and frame[COUNT].dtype.kind in "iuf" else frame.assign(**{COUNT: counts})


def check_levels(table: pd.DataFrame, population: pd.DataFrame, columns: Sequence[str]) -> None:
    """Check that the population frame has every level that respondents have in ``columns``; it need not have the columns.

    Raises
    ------
    InputError : a level is missing from the frame; the message names the rows of ``table`` by its index.
    """
    check_frame(population)
    for name in columns:
        if name not in population.columns or not isinstance(table[name].dtype, pd.CategoricalDtype):
            continue
        known = levels_of(population[name])
        absent = table[name][~table[name].isin(known)]
        if len(absent):
            level = absent.iloc[0]
            raise InputError(f"population frame: column '{name}' has no level '{level}', which occurs in the sample "
                             f"({name_rows(absent.index[absent == level])}). Its levels are: {', '.join(known)}. Add the level "
                             "or recode the data.")


def levels_of(column: pd.Series) -> list[str]:
    """The levels of a column of a population frame as text, in the order in which they occur."""
    return list(dict.fromkeys(column.dropna().astype(str)))


def with_levels_of(cells: pd.DataFrame, population: pd.DataFrame) -> pd.DataFrame:
    """The sample's cells with the population's levels added to each shared column.

    A level in the frame without respondents becomes an ordinary level, with wide draws.
    """
    out = {}
    for name in cells.columns:
        column = cells[name]
        if name in population.columns and isinstance(column.dtype, pd.CategoricalDtype):
            known = levels_of(population[name])
            column = column.cat.add_categories([level for level in known if level not in column.cat.categories])
        out[name] = column
    return pd.DataFrame(out, index=cells.index)


def unsampled_levels(cells: pd.DataFrame, population: pd.DataFrame) -> pd.DataFrame:
    """Levels of the population frame without respondents: columns ``column``, ``level``, ``share`` of the population."""
    rows = []
    for name in [c for c in cells.columns if c in population.columns]:
        share = population.groupby(population[name].astype(str), sort=False)[COUNT].sum() / population[COUNT].sum()
        sampled = set(cells[name].astype(str))
        rows += [(name, level, float(value)) for level, value in share.items() if level not in sampled]
    return pd.DataFrame(rows, columns=["column", "level", "share"])


def grouping(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex]:
    """The group of each row (row,) and the groups' index: levels of the columns ``by``, in their order.

    Raises
    ------
    InputError : a column has a missing value, so its row is in no group.
    """
    for name in by:
        absent = np.flatnonzero(frame[name].isna())
        if len(absent):
            raise InputError(f"by: column '{name}', row {absent[0] + 1} of the population: the level is missing. Give it a "
                             "level or leave the row out.")
    codes = frame.groupby(list(by), observed=True, sort=True).ngroup().to_numpy()
    first = frame.assign(_c=codes).drop_duplicates("_c").sort_values("_c")
    return codes, pd.MultiIndex.from_frame(first[list(by)])


def average(draws: np.ndarray, frame: pd.DataFrame, mass: np.ndarray, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex]:
    """Averages of ``draws`` (draw, row) over the rows of ``frame`` by group, weighted with ``mass``: (row,) or (draw, row).

    Returns the averages (draw, group) and the groups' index (see :func:`grouping`). Groups of total mass 0 are left out, as
    nobody is in them.

    Raises
    ------
    InputError : a row without a level of a column of ``by``.
    """
    codes, index = grouping(frame, by)
    total = np.atleast_2d(sum_by(mass, codes, len(index)))
    keep = (total > 0).all(axis=0)
    sums = sum_by(draws * mass, codes, len(index)) if mass.ndim > 1 else sum_by(draws, codes, len(index), mass)
    return sums[..., keep] / total[:, keep], index[keep]
