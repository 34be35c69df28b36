"""Numbers put into few groups, each kept as its mean, so that respondents can be tabulated; what is lost by it is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from bayes_listexp.columns import name_places
from bayes_listexp.errors import InputError
from bayes_listexp.tabulation import FIRST, Frame, N, Stream, Work, counted, numbered, stream_of, whole

FINE = 4096
"""Intervals of equal width in which values are counted before cuts are chosen between them."""
PART, TOTAL, SQUARES, LARGEST = "_part", "_total", "_squares", "_largest"


@dataclass(frozen=True)
class Bins:
    """Groups of a column's numbers.

    Attributes
    ----------
    column : its name.
    edges : upper ends of all groups but the last, which belong to their groups.
    means : the mean of the numbers in each group, which stands for all of them.
    n : respondents in each group.
    share_lost : share of the column's variance that lies within groups, 0 to 1; slopes of the binned column rest on the rest of it.
    """

    column: str
    edges: tuple[float, ...]
    means: tuple[float, ...]
    n: tuple[int, ...]
    share_lost: float

    def expression(self) -> nw.Expr:
        """The column with each number replaced by its group's mean; missing stays missing."""
        x = nw.col(self.column).cast(nw.Float64())
        chosen: Any = nw.lit(self.means[-1])
        for edge, mean in reversed(list(zip(self.edges, self.means, strict=False))):
            chosen = nw.when(x <= edge).then(nw.lit(mean)).otherwise(chosen)
        return nw.when(x.is_finite().fill_null(False)).then(chosen).alias(self.column)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each group: ``above``, ``up_to``, ``mean``, ``n``; the outer ends are infinite."""
        ends = [-math.inf, *self.edges, math.inf]
        return pd.DataFrame({"above": ends[:-1], "up_to": ends[1:], "mean": self.means, "n": self.n})

    @property
    def words(self) -> str:
        """What was done, in one sentence."""
        lost = "less than 0.1" if self.share_lost < 0.001 else f"{100 * self.share_lost:.1f}"
        return f"in {len(self.means)} groups, each at its mean; {lost} % of its variance lies within them"


@dataclass(frozen=True)
class Binned:
    """Data with some columns in bins, to be given where data are: ``source`` is the data, ``bins`` the groups of each column."""

    source: Any
    bins: tuple[Bins, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """What a study and its report say of the groups."""
        return {"binned": {one.column: one.words for one in self.bins}}

    def as_frame(self) -> pd.DataFrame:
        """The rows of a pandas frame with their numbers binned."""
        frame: pd.DataFrame = nw.to_native(_put_into(nw.from_native(self.source), None, bins=self.bins, work=lambda frame, _: frame))
        return frame

    def as_stream(self) -> Stream:
        """The data in parts, binned where they are."""
        given = stream_of(self.source)

        def each(names: list[str], work: Work) -> Any:
            chosen = tuple(one for one in self.bins if one.column in names)
            return given.each(names, partial(_put_into, bins=chosen, work=work) if chosen else work)

        dtypes = {**given.dtypes, **{one.column: nw.Float64() for one in self.bins}}
        return given._replace(dtypes=dtypes, each=each, source={**given.source, **self.facts})


def binned(source: Any, column: str, *, bins: int | Sequence[float] = 10) -> Binned:
    """Put the numbers of a column into groups, so that rows with this column can be tabulated. Nothing is loaded.

    Parameters
    ----------
    source : data as :func:`bayes_listexp.tabulate` takes them, or what this function returned, to bin another column.
    column : the column; missing values stay missing.
    bins : how many groups of about equal size (2 to 200), cut between the 4,096 intervals of equal width from the smallest number to
        the largest; or the upper ends of all groups but the last, rising.

    Returns
    -------
    Binned : to be given to :meth:`bayes_listexp.ListExperiment.from_frame` or :func:`bayes_listexp.tabulate` in the place of the data.
        ``bins[-1].share_lost`` is the share of the column's variance within groups; studies and reports say it too.

    Raises
    ------
    InputError : the column is not there or not numbers, has infinite values or one value only, or the cuts leave a group empty.
    """
    stream = stream_of(source)
    if column not in stream.dtypes:
        raise InputError(f"column '{column}' is not in the data; the columns are: {', '.join(stream.dtypes)}.")
    if not stream.dtypes[column].is_numeric():
        raise InputError(f"column '{column}': only numbers can be put into groups, found {stream.dtypes[column]}.")
    if isinstance(bins, int) and not 2 <= bins <= 200:
        raise InputError(f"binned: bins = {bins!r}: from 2 to 200 groups can be made, or give the upper ends of all but the last.")
    low, high, rows = _range(stream, column)
    edges = _even_edges(stream, column, low, high, bins) if isinstance(bins, int) else [float(edge) for edge in bins]
    if not edges or edges != sorted(set(edges)):
        raise InputError(f"binned: bins = {list(edges)!r}: the upper ends of groups must rise, one at least.")
    made = _described(stream, column, edges, low, high, rows)
    if isinstance(source, Binned):
        if column in [one.column for one in source.bins]:
            raise InputError(f"column '{column}' has been binned already.")
        return replace(source, bins=(*source.bins, made))
    return Binned(source, (made,))


def _put_into(frame: Frame, start: int | None, bins: Sequence[Bins], work: Work) -> Any:
    return work(frame.with_columns(*(one.expression() for one in bins)), start)


def _x(column: str) -> nw.Expr:
    return nw.col(column).cast(nw.Float64())


def _range(stream: Stream, column: str) -> tuple[float, float, int]:
    """The smallest and the largest number of the column, and how many there are."""
    facts = pd.DataFrame(stream.each([column], partial(_range_of_part, column=column)))
    if facts["bad"].sum():
        where = name_places(int(facts.loc[facts["bad"] > 0, "first"].iloc[0]), int(facts["bad"].sum()))
        raise InputError(f"column '{column}', {where}: an infinite value. Correct it or mark it as missing.")
    low, high = facts["low"].min(), facts["high"].max()
    if not low < high:
        raise InputError(f"column '{column}' has not two different numbers, so there is nothing to put into groups.")
    return float(low), float(high), int(facts["n"].sum())


def _range_of_part(frame: Frame, start: int | None, column: str) -> Mapping[str, float]:
    frame = numbered(frame.with_columns(_x(column)), start)
    x = nw.col(column)
    good, there = x.is_finite().fill_null(False), (~x.is_null() & ~x.is_nan()).fill_null(False)
    bad = ~good & there
    place = nw.when(bad).then(nw.col(FIRST)).min() if FIRST in frame.collect_schema().names() else nw.lit(0).min()
    value = nw.when(good).then(x)
    found = counted(frame.select(value.min().alias("low"), value.max().alias("high"), good.cast(nw.Int64()).sum().alias("n"),
                                 bad.cast(nw.Int64()).sum().alias("bad"), place.alias("first"))).iloc[0]
    return {str(k): (math.nan if k in ("low", "high") else 0.0) if pd.isna(v) else float(v) for k, v in found.items()}


def _even_edges(stream: Stream, column: str, low: float, high: float, bins: int) -> list[float]:
    """Upper ends of groups of about equal size: numbers of the data that have at least the share of rows below them."""
    part = ((_x(column) - low) * ((FINE - 1) / (high - low))).floor().alias(PART)
    fine = _by_part(stream, column, part, {LARGEST: _x(column)}, "max").groupby(PART).agg({N: "sum", LARGEST: "max"}).sort_index()
    share = (fine[N].cumsum() / fine[N].sum()).to_numpy()
    cuts = np.searchsorted(share, np.arange(1, bins) / bins - 1e-12)
    edges = dict.fromkeys(float(fine[LARGEST].iloc[cut]) for cut in cuts)
    return [edge for edge in edges if edge < high]


def _by_part(stream: Stream, column: str, part: nw.Expr, measured: Mapping[str, nw.Expr], how: str) -> pd.DataFrame:
    """The numbers of all parts of the data by ``part`` of the column's range: respondents ``_n`` and what is measured."""
    work = partial(_measured, column=column, part=part, measured=measured, how=how)
    return pd.concat(list(stream.each([column], work)), ignore_index=True)


def _measured(frame: Frame, start: int | None, column: str, part: nw.Expr, measured: Mapping[str, nw.Expr], how: str) -> pd.DataFrame:
    frame = frame.filter(_x(column).is_finite().fill_null(False))
    frame = frame.select(part.alias(PART), *(value.alias(name) for name, value in measured.items()))
    return counted(frame.group_by(PART).agg(nw.len().alias(N), *(getattr(nw.col(name), how)() for name in measured)))


def _described(stream: Stream, column: str, edges: list[float], low: float, high: float, rows: int) -> Bins:
    """The groups: their means and sizes, and the variance within them, from sums of whole numbers (as weights are summed)."""
    power, digits = math.frexp(high - low)[1], 62 - math.ceil(math.log2(rows + 1))
    part: Any = nw.lit(len(edges))
    for i, edge in reversed(list(enumerate(edges))):
        part = nw.when(_x(column) <= edge).then(nw.lit(i)).otherwise(part)
    above = _x(column) - low
    sums = {TOTAL: whole(above, digits - power), SQUARES: whole(above * above, digits - 2 * power)}
    found = _by_part(stream, column, part, sums, "sum").astype({TOTAL: "int64", SQUARES: "int64"}).groupby(PART)[[N, TOTAL, SQUARES]].sum()
    if len(found) <= len(edges):
        raise InputError(f"column '{column}': bins = {edges!r} leave a group without respondents; the numbers reach from {low:g} to "
                         f"{high:g}.")
    n = found[N].to_numpy(dtype=float)
    total = found[TOTAL].to_numpy(dtype=float) * 2.0 ** (power - digits)
    squares = found[SQUARES].to_numpy(dtype=float) * 2.0 ** (2 * power - digits)
    within = np.maximum(squares - total**2 / n, 0).sum()
    whole_variance = squares.sum() - total.sum() ** 2 / n.sum()
    return Bins(column, tuple(edges), tuple((low + total / n).tolist()), tuple(int(k) for k in n), float(within / whole_variance))
