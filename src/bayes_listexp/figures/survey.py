"""Figures of a survey's estimates: support by group, and its change between waves."""

from collections.abc import Hashable, Iterator

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import (
    SLAB,
    Key,
    Mark,
    Row,
    dim_mark,
    forest,
    mark_of_draws,
    percent_scale,
    percent_words,
    points_scale,
)
from bayes_listexp.figures.style import (
    DIM,
    INK,
    POSTERIOR,
    styled,
)

MODEL_KEY = Key("posterior", "model: posterior median, 50 % and 95 % interval")
DIM_KEY = Key("dim", "difference in means, 95 % confidence interval")
IMPOSSIBLE_KEY = Key("impossible", "values that no share can take")
LIST_KEY = Key("posterior", "prevalence: posterior median, 50 % and 95 % interval")
DIRECT_KEY = Key("dim", "yes to the direct question, of those who answer, 95 % interval")
BIAS_KEY = Key("", "bias: prevalence minus direct, percentage points")
DENSE = 10  # rows beyond which densities would crowd the figure

Levels = tuple[str, ...]


@styled
def support_by_group(
    draws: xr.DataArray,
    dim_table: pd.DataFrame | None = None,
    *,
    along: str | None = None,
    sort: bool = True,
    title: str = "",
    subtitle: str = "",
    label: str = "Support, % of respondents",
) -> Figure:
    """Posterior of the prevalence in each group, with the difference in means of the same group beside it.

    `draws` has dims (chain, draw, *by) in 0-1 units; `dim_table` one row a group: the columns of `by`,
    `estimate`, `lower`, `upper` (0-1, not clipped) and where known `n_control`, `n_treatment`. Draws are
    summarised by their median and equal-tailed 50 % and 95 % intervals. `along` names the dim (usually the
    wave) whose levels stand below one another in each group, joined by arrows from median to median. `sort`
    puts the largest median first. Intervals of the difference in means that leave 0-100 % are drawn there,
    on a grey ground. Raises `InputError` when a draw is not finite or when a row of `dim_table` has no
    draws.
    """
    by = groups_of(draws)
    if along is not None and along not in by:
        raise InputError(f"along={along!r} is not a dim of the draws; they have {by}")
    order = [d for d in by if d != along] + ([along] if along else [])
    groups = {levels: 100 * values for levels, values in group_draws(draws, order)}
    tables = dim_rows(dim_table, order, list(groups))
    rows = [_support_row(levels, values, tables.get(levels), len(groups)) for levels, values in groups.items()]
    alt = _support_alt(list(groups), rows, order)
    marks = [m for r in rows for m in (r.posterior, r.dim) if m is not None]
    scale = percent_scale(marks, label)
    key = [MODEL_KEY] + ([DIM_KEY] if tables else []) + ([IMPOSSIBLE_KEY] if scale.ends != (0, 100) else [])
    arranged = _arranged(list(zip(groups, rows, strict=True)), sort=sort, nested=along is not None and len(order) > 1)
    return forest(arranged, scale, key=key, title=title, subtitle=subtitle, alt=alt)


@styled
def list_and_direct(
    draws: xr.Dataset,
    *,
    along: str | None = None,
    sort: bool = True,
    title: str = "",
    subtitle: str = "",
    label: str = "Have the trait, % of respondents",
) -> Figure:
    """What the list says beside what people admit: prevalence, the direct question, and the bias between them.

    `draws` has the variables `prevalence`, `direct` and `sensitivity_bias` (prevalence minus direct), each with dims (chain,
    draw, *by) in 0-1 units, as :func:`bayes_listexp.misreporting` gives them; all three are the model's. `along` and `sort`
    as in `support_by_group`; rows are sorted by prevalence. Raises `InputError` when a draw is not finite.
    """
    by = groups_of(draws["prevalence"])
    order = [d for d in by if d != along] + ([along] if along else [])
    groups = {name: dict(group_draws(100 * draws[name], order)) for name in ("prevalence", "direct", "sensitivity_bias")}
    rows = {
        levels: _direct_row(levels, values, groups["direct"][levels], groups["sensitivity_bias"][levels], len(groups["direct"]))
        for levels, values in groups["prevalence"].items()
    }
    alt = "Prevalence and what people admit. " + " ".join(
        f"{row.label}: prevalence {row.words[0][0]}, direct question {row.words[1][0]}, {row.words[2][0]} points." for row in rows.values()
    )
    arranged = _arranged(list(rows.items()), sort=sort, nested=along is not None and len(order) > 1)
    return forest(
        [row._replace(joined=False) for row in arranged],
        percent_scale([m for r in rows.values() for m in (r.posterior, r.dim) if m], label),
        key=[LIST_KEY, DIRECT_KEY, BIAS_KEY], title=title, subtitle=subtitle, alt=alt,
    )  # fmt: skip


@styled
def change_between_waves(
    draws: xr.DataArray,
    dim_table: pd.DataFrame | None = None,
    *,
    waves: tuple[str, str] | None = None,
    sort: bool = True,
    title: str = "",
    subtitle: str = "",
    label: str = "Change in support, percentage points",
) -> Figure:
    """Posterior of the change between two waves (second minus first) and the probability that support fell.

    `draws` has dims (chain, draw, *by), in 0-1 units; without `by` the density is drawn large. `dim_table`
    has the difference of the two differences in means: the columns of `by`, `estimate`, `lower`, `upper`,
    in 0-1 units. The part of a density below zero is shaded darker; P(decline) is the share of draws below
    zero. `waves` names the two. Raises `InputError` when a draw is not finite or when a row of `dim_table`
    has no draws.
    """
    by = groups_of(draws)
    groups = {levels: 100 * values for levels, values in group_draws(draws, by)}
    tables = dim_rows(dim_table, by, list(groups))
    rows = [_change_row(levels, values, tables.get(levels), len(groups)) for levels, values in groups.items()]
    falls = [float((values < 0).mean()) for values in groups.values()]
    sides = ("fell", "rose") if by else (f"fell: {probability_words(falls[0])}", f"rose: {probability_words(1 - falls[0])}")
    scale = points_scale([r.posterior for r in rows if r.posterior], [r.dim for r in rows if r.dim], label)._replace(
        sides=sides
    )
    between = f" from {waves[0]} to {waves[1]}" if waves else ""
    alt = f"Change in support{between}, in percentage points. " + " ".join(
        f"{row.label}: {row.words[0][0]}, probability of a decline {probability_words(fall)}."
        for row, fall in zip(rows, falls, strict=True)
    )
    key = [MODEL_KEY] + ([DIM_KEY._replace(text="difference of the differences in means, 95 % interval")] if tables else [])
    arranged = _arranged(list(zip(groups, rows, strict=True)), sort=sort, nested=False)
    return forest(arranged, scale, key=key, title=title, subtitle=subtitle, alt=alt, slab=SLAB if by else 0.9)


def probability_words(value: float) -> str:
    """A probability as whole percent; never 0 or 100 % for what draws cannot rule out."""
    if value <= 0.005:
        return "< 1 %"
    return "> 99 %" if value >= 0.995 else f"{100 * value:.0f} %"


def groups_of(draws: xr.DataArray) -> list[str]:
    """What draws are split by."""
    return [str(d) for d in draws.dims if d not in ("chain", "draw")]


def group_draws(draws: xr.DataArray, by: list[str]) -> Iterator[tuple[Levels, NDArray[np.float64]]]:
    """The draws of each group, flat, with the group's levels as text; a group without any draw (nobody is in it) is left out."""
    stacked = draws.transpose(..., *by)
    levels: list[list[Hashable]] = [list(draws[d].values) for d in by]
    for index in np.ndindex(*(len(part) for part in levels)):
        name = tuple(str(part[i]) for part, i in zip(levels, index, strict=True))
        values = np.asarray(stacked.values[(..., *index)], dtype=float).ravel()
        if np.isnan(values).all() and by:
            continue
        if not np.isfinite(values).all():
            raise InputError(f"{int((~np.isfinite(values)).sum())} draws of group {name} are not finite")
        yield name, values


def dim_rows(table: pd.DataFrame | None, by: list[str], known: list[Levels]) -> dict[Levels, pd.Series]:
    """The rows of a difference-in-means table by their group's levels."""
    if table is None:
        return {}
    if missing := [c for c in [*by, "estimate", "lower", "upper"] if c not in table.columns]:
        raise InputError(f"dim_table has no column {', '.join(missing)}; it has {list(table.columns)}")
    rows = {tuple(str(row[name]) for name in by): row for _, row in table.iterrows()}
    if strangers := [levels for levels in rows if levels not in known]:
        raise InputError(f"dim_table has the group {strangers[0]}, which the draws do not have; they have {known}")
    return rows


def _words(mark: Mark, dim: pd.Series | None, *, signed: bool = False) -> tuple[Mark | None, tuple[tuple[str, str], ...]]:
    """The difference in means as a mark, and both estimates in words."""
    words = ((percent_words(mark, signed=signed), POSTERIOR),)
    if dim is None:
        return None, words
    beside = dim_mark(dim)
    return beside, (*words, (percent_words(beside, signed=signed) if beside else "not available", DIM))


def _support_row(levels: Levels, values: NDArray[np.float64], dim: pd.Series | None, rows: int) -> Row:
    mark = mark_of_draws(values)
    beside, words = _words(mark, dim)
    note = ""
    if dim is not None and {"n_control", "n_treatment"} <= set(dim.index):
        note = f"n = {int(dim['n_control'] + dim['n_treatment']):,}"
    density = values if rows <= DENSE else None
    return Row(" · ".join(levels) or "All", note, mark, beside, density, words)


def _direct_row(
    levels: Levels, listed: NDArray[np.float64], direct: NDArray[np.float64], bias: NDArray[np.float64], rows: int
) -> Row:
    marks = [mark_of_draws(values) for values in (listed, direct, bias)]
    words = (
        (percent_words(marks[0]), POSTERIOR),
        (percent_words(marks[1]), DIM),
        (f"bias {percent_words(marks[2], signed=True)}", INK),
    )
    density = listed if rows <= DENSE else None
    return Row(" · ".join(levels) or "All", "", marks[0], marks[1]._replace(inner=None), density, words)


def _change_row(levels: Levels, values: NDArray[np.float64], dim: pd.Series | None, rows: int) -> Row:
    mark = mark_of_draws(values)
    beside, words = _words(mark, dim, signed=True)
    note = f"P(decline) {probability_words(float((values < 0).mean()))}" if levels else ""
    density = values if rows <= DENSE else None
    return Row(" · ".join(levels) or "All", note, mark, beside, density, words)


def _arranged(pairs: list[tuple[Levels, Row]], *, sort: bool, nested: bool) -> list[Row]:
    """Order the rows; `nested` puts the last dim's levels under a heading for the others, with arrows."""
    blocks: dict[Levels, list[tuple[Levels, Row]]] = {}
    for levels, row in pairs:
        blocks.setdefault(levels[:-1] if nested else levels, []).append((levels, row))
    if sort:
        blocks = dict(sorted(blocks.items(), key=lambda block: -_median(block[1][-1][1])))
    if not nested:
        return [row for block in blocks.values() for _, row in block]
    arranged = []
    for name, block in blocks.items():
        arranged.append(Row(" · ".join(name), bold=True))
        arranged += [row._replace(label=levels[-1], joined=i > 0) for i, (levels, row) in enumerate(block)]
    return arranged


def _median(row: Row) -> float:
    return row.posterior.point if row.posterior is not None else -np.inf


def _support_alt(groups: list[Levels], rows: list[Row], by: list[str]) -> str:
    """The figure in words: every group when they are few, the ends when they are many."""
    said = [
        f"{row.label}: {row.words[0][0]}" + (f", difference in means {row.words[1][0]}" if len(row.words) > 1 else "")
        for row in rows
    ]
    if len(groups) > 12:
        ends = sorted(range(len(rows)), key=lambda i: _median(rows[i]))
        said = [f"{len(rows)} groups, from {said[ends[0]]}, to {said[ends[-1]]}"]
    return (f"Support by {' and '.join(by)}. " if by else "Support. ") + "; ".join(said) + "."
