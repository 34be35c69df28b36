"""Raking: cells of people fitted to known margins by iterative proportional fitting (Deming & Stephan 1940)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.columns import rows_where
from bayes_listexp.errors import InputError
from bayes_listexp.population import COUNT, PopulationFrame, as_frame, check_frame

SHARES_SUM = 0.01
"""A margin that sums to 1 within this is one of shares."""


class Margin(NamedTuple):
    """A known table: its columns, its rows' levels as text, the number of people in each (its total is that of the result)."""

    columns: list[str]
    levels: pd.MultiIndex
    n: np.ndarray
    number: int

    @property
    def name(self) -> str:
        """The margin in words, for messages."""
        return f"margin {self.number} ({' by '.join(self.columns)})"

    def at(self, row: int) -> str:
        """A row of the margin in words, such as "region = 'Almaty', gender = 'female'"."""
        return ", ".join(f"{c} = {level!r}" for c, level in zip(self.columns, self.levels[row], strict=True))


def rake(
    seed: pd.DataFrame | PopulationFrame | None,
    margins: Sequence[pd.DataFrame],
    *,
    tolerance: float = 1e-10,
    iterations: int = 1000,
) -> PopulationFrame:
    """Cells of people that have known margins, and otherwise the associations of a seed table.

    Iterative proportional fitting (Deming & Stephan 1940): the cells are scaled to one margin after the other until all are met.
    The result keeps every odds ratio of the seed that the margins do not speak of, and is the table with these margins that is
    nearest to the seed in Kullback-Leibler divergence (Csiszar 1975).

    Parameters
    ----------
    seed : table of cells with ``N``, such as an older census or a survey, on any scale; cells that are 0 or absent stay empty.
        Columns of it that no margin speaks of are kept. Its ``n``, if it is a frame from a survey, is kept too, which makes the
        result look less sure than it is where margins are exact. None: every combination of the margins' levels alike, so that
        columns are independent as far as the margins leave them so.
    margins : tables of one or more columns and ``N``, in numbers of people or in shares (which sum to 1).
    tolerance : largest relative gap between the cells and a margin, and between margins that speak of the same columns. Give
        0.001 if the margins are rounded.
    iterations : how often to go through the margins at most.

    Returns
    -------
    A frame whose ``N`` sums to the total of margins in numbers, else to the seed's, else to 1; its ``source`` says how many
    iterations were needed and the largest gap left.

    Raises
    ------
    InputError : margins that contradict one another (in their totals, or in a level of a column that they share), that are not
        a proper table, that need people where the seed has none, or speak of levels that the seed does not have or the other way
        round; and if the margins are not met after the last iteration. It names the margin and the level.
    """
    given = None if seed is None else as_frame(seed)
    known = _margins(margins, tolerance, given)
    cells = _product(known) if given is None else _checked_seed(given.cells, known)
    places = [_places(cells, margin, flat=given is None) for margin in known]
    people, rounds, gap = _fitted(cells[COUNT].to_numpy(dtype=float), known, places, tolerance, iterations)
    names = "; ".join(" by ".join(margin.columns) for margin in known)
    start = f"a seed of {len(cells):,} cells" if given is not None else "the same number in every cell"
    source = (f"raked to {len(known)} margin{'s' * (len(known) > 1)} ({names}) from {start}: {rounds} "
              f"iteration{'s' * (rounds > 1)}, largest relative gap {gap:.1g}")
    methods = tuple(dict.fromkeys(["raking", *(given.methods if given else ())]))
    return PopulationFrame(cells.assign(**{COUNT: people}), given.n if given else None, source, given.wave if given else None, methods)


def _margins(tables: Sequence[pd.DataFrame], tolerance: float, seed: PopulationFrame | None) -> list[Margin]:
    """The margins read and on one scale, which do not contradict one another."""
    if not len(tables):
        raise InputError("rake: give at least one margin.")
    margins = [_margin(table, i) for i, table in enumerate(tables, start=1)]
    counted = [m for m in margins if abs(m.n.sum() - 1) > SHARES_SUM]
    for other in counted[1:]:
        if abs(other.n.sum() - counted[0].n.sum()) > tolerance * counted[0].n.sum():
            raise InputError(f"rake: {counted[0].name} sums to {counted[0].n.sum():.10g} and {other.name} to {other.n.sum():.10g}. Give "
                             "both for the same people, or one in shares, which sum to 1.")
    total = counted[0].n.sum() if counted else seed.cells[COUNT].sum() if seed else 1.0
    scaled = [m._replace(n=m.n * (total / m.n.sum())) for m in margins]
    for first, second in combinations(scaled, 2):
        _agree(first, second, tolerance)
    return scaled


def _margin(table: pd.DataFrame, number: int) -> Margin:
    columns = [str(name) for name in table.columns if name != COUNT]
    place = f"rake: margin {number} ({' by '.join(columns)})"
    try:
        check_frame(table)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    if not columns:
        raise InputError(f"rake: margin {number} has no column beside '{COUNT}'. Add the columns whose levels it counts.")
    for name in columns:
        if table[name].isna().any():
            raise InputError(f"{place}: column '{name}', {rows_where(table[name].isna())}: the level is missing.")
    levels = _levels(table, columns)
    if levels.duplicated().any():
        twice = Margin(columns, levels, np.empty(0), number).at(int(np.flatnonzero(levels.duplicated())[0]))
        raise InputError(f"{place}: {twice} has more than one row. Add their numbers up.")
    return Margin(columns, levels, pd.to_numeric(table[COUNT]).to_numpy(dtype=float), number)


def _levels(table: pd.DataFrame, columns: Sequence[str]) -> pd.MultiIndex:
    """The levels of each row as text; whole numbers without decimals, so that 5 and 5.0 are one level."""
    return pd.MultiIndex.from_arrays([table[name].map(_text).astype(str).to_numpy() for name in columns], names=list(columns))


def _text(value: Any) -> str:
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _agree(first: Margin, second: Margin, tolerance: float) -> None:
    """Refuse two margins that have other totals for the levels of the columns that both have."""
    shared = [name for name in first.columns if name in second.columns]
    if not shared:
        return
    sums = [pd.Series(m.n).groupby([m.levels.get_level_values(name) for name in shared]).sum() for m in (first, second)]
    both = pd.concat(sums, axis=1).fillna(0.0)
    gaps = (both[0] - both[1]).abs() / both.max(axis=1).where(both.max(axis=1) > 0, 1.0)
    if gaps.max() > tolerance:
        worst = gaps.idxmax()
        level = worst if isinstance(worst, tuple) else (worst,)
        where = ", ".join(f"{name} = {value!r}" for name, value in zip(shared, level, strict=True))
        raise InputError(f"rake: {first.name} has {both[0][worst]:.10g} people with {where}, and {second.name} has {both[1][worst]:.10g}. "
                         "Bring them to the same source, or give a tolerance if they are rounded.")


def _product(margins: Sequence[Margin]) -> pd.DataFrame:
    """Every combination of the margins' levels, one person in each."""
    levels: dict[str, list[str]] = {}
    for margin in margins:
        for name in margin.columns:
            levels.setdefault(name, list(dict.fromkeys(margin.levels.get_level_values(name))))
    index = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
    return index.to_frame(index=False).assign(**{COUNT: 1.0})


def _checked_seed(cells: pd.DataFrame, margins: Sequence[Margin]) -> pd.DataFrame:
    for margin in margins:
        absent = [name for name in margin.columns if name not in cells.columns]
        if absent:
            raise InputError(f"rake: {margin.name}: column '{absent[0]}' is not in the seed, which has: "
                             f"{', '.join(map(str, cells.columns))}.")
    return cells.reset_index(drop=True)


def _places(cells: pd.DataFrame, margin: Margin, *, flat: bool) -> np.ndarray:
    """The margin's row that each cell belongs to; every level that either has must be known to the other.

    Without a seed, combinations that a margin does not have are empty.
    """
    found = _levels(cells, margin.columns)
    places = margin.levels.get_indexer(found)
    stray = (places < 0) & (cells[COUNT].to_numpy(dtype=float) > 0)
    if stray.any() and not flat:
        at = Margin(margin.columns, found, np.empty(0), 0).at(int(np.flatnonzero(stray)[0]))
        raise InputError(f"rake: {margin.name} does not have {at}, which the seed has. Add it, with {COUNT} = 0 if there is nobody.")
    there = np.bincount(places + 1, cells[COUNT].to_numpy(dtype=float), len(margin.n) + 1)[1:]
    empty = np.flatnonzero((there <= 0) & (margin.n > 0))
    if len(empty):
        row = int(empty[0])
        unknown = margin.levels[row] not in found
        why = ("the seed does not have this level. Add it to the seed" if unknown else
               "every such cell of the seed has nobody. Give the seed a small number where people can be")
        raise InputError(f"rake: {margin.name}: {margin.at(row)} has {margin.n[row]:.10g} people, and {why}.")
    return places


def _fitted(
    people: np.ndarray, margins: Sequence[Margin], places: Sequence[np.ndarray], tolerance: float, iterations: int
) -> tuple[np.ndarray, int, float]:
    """The cells scaled to each margin in turn until all are met: people (cell,), rounds, and the largest relative gap left."""
    for place in places:  # combinations that a margin does not have
        people = np.where(place < 0, 0.0, people)
    places = [np.maximum(place, 0) for place in places]
    people = people * (margins[0].n.sum() / people.sum())
    for rounds in range(1, max(iterations, 1) + 1):
        for margin, place in zip(margins, places, strict=True):
            there = np.bincount(place, people, len(margin.n))
            people = people * np.divide(margin.n, there, out=np.zeros(len(there)), where=there > 0)[place]
        gaps = [np.abs(np.bincount(p, people, len(m.n)) - m.n) / np.where(m.n > 0, m.n, 1.0) for m, p in zip(margins, places, strict=True)]
        largest = max(float(gap.max()) for gap in gaps)
        if largest <= tolerance:
            return people, rounds, largest
    worst = int(np.argmax([gap.max() for gap in gaps]))
    row = int(np.argmax(gaps[worst]))
    margin = margins[worst]
    reached = np.bincount(places[worst], people, len(margin.n))[row]
    raise InputError(
        f"rake: the margins are not met after {iterations} iterations; the largest gap is in {margin.name}: {margin.at(row)} should "
        f"have {margin.n[row]:.10g} people and has {reached:.10g}. The margins contradict one another where the seed has empty cells, or "
        "need more iterations or a larger tolerance."
    )
