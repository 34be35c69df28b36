"""Figures of a survey's estimates: support by group, its change between waves, its course over the waves."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
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
    EDGE,
    GREY,
    INK,
    LINE,
    POSTERIOR,
    RULE,
    SMALL,
    WIDTH,
    canvas,
    fitted,
    heading,
    panel,
    styled,
    write_heading,
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
    by = _by(draws)
    if along is not None and along not in by:
        raise InputError(f"along={along!r} is not a dim of the draws; they have {by}")
    order = [d for d in by if d != along] + ([along] if along else [])
    groups = {levels: 100 * values for levels, values in _groups(draws, order)}
    tables = _dim_rows(dim_table, order, list(groups))
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
    by = _by(draws["prevalence"])
    order = [d for d in by if d != along] + ([along] if along else [])
    groups = {name: dict(_groups(100 * draws[name], order)) for name in ("prevalence", "direct", "sensitivity_bias")}
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
    by = _by(draws)
    groups = {levels: 100 * values for levels, values in _groups(draws, by)}
    tables = _dim_rows(dim_table, by, list(groups))
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


@styled
def trajectory(
    draws: xr.DataArray,
    dim_table: pd.DataFrame | None = None,
    *,
    wave: str = "wave",
    dates: Mapping[str, date] | None = None,
    events: Sequence[tuple[date, str]] = (),
    title: str = "",
    subtitle: str = "",
    label: str = "Support, %",
) -> Figure:
    """Support over the waves: medians joined by a line, 50 % and 95 % intervals, differences in means
    beside them.

    `draws` has dims (chain, draw, wave) in 0-1 units, in the order of time. With `dates` (wave to day) the
    waves stand where they lie in time and `events` (day, words) are marked; without, they are equally
    spaced. Raises `InputError` when a wave has no date, when events come without dates, or a draw is not
    finite.
    """
    names = [str(level) for level in draws[wave].values]
    if events and dates is None:
        raise InputError("events can only be placed when the waves have dates; pass dates={wave: date}")
    if missing := [name for name in names if dates is not None and name not in dates]:
        raise InputError(f"no date for wave {', '.join(missing)}; add it to dates")
    places = [float(date2num(dates[n])) if dates else float(i) for i, n in enumerate(names)]
    groups = dict(_groups(draws, [wave]))
    marks = [mark_of_draws(100 * groups[(name,)]) for name in names]
    tables = _dim_rows(dim_table, [wave], list(groups))
    dims = [dim_mark(tables[(name,)]) if (name,) in tables else None for name in names]
    above, below, top = heading(title, subtitle)
    lines = [fitted(words, 1.5, SMALL) for _, words in events]
    top += LINE * max((len(part) for part in lines), default=0) + LINE * 3.6
    on = canvas(top + 2.9)
    write_heading(on.page, above, below)
    axes = panel(on, 0.4, top, WIDTH - 0.5, 2.4)
    span = max(places) - min(places) or 1.0
    stops = places + [float(date2num(day)) for day, _ in events]
    axes.set(xlim=(min(stops) - 0.25 * span, max(stops) + 0.25 * span))
    _draw_course(axes, places, marks, dims, span)
    _finish_course(axes, places, names, [m for m in [*marks, *dims] if m], label)
    for (day, _), words in zip(events, lines, strict=True):
        axes.axvline(date2num(day), color=GREY, lw=0.8, ls=":", zorder=1)
        axes.annotate("\n".join(words), (date2num(day), 1.11), xycoords=axes.get_xaxis_transform(),
                      size=SMALL, color=GREY, ha="center", va="bottom")  # fmt: skip
    _course_key(on.page, heading(title, subtitle)[2], bool(tables))
    on.fig.set_label(
        "Support over the waves. " + " ".join(f"{n}: {percent_words(m)}." for n, m in zip(names, marks, strict=True))
    )
    return on.fig


def probability_words(value: float) -> str:
    """A probability as whole percent; never 0 or 100 % for what draws cannot rule out."""
    if value < 0.005:
        return "< 1 %"
    return "> 99 %" if value > 0.995 else f"{100 * value:.0f} %"


def _by(draws: xr.DataArray) -> list[str]:
    return [str(d) for d in draws.dims if d not in ("chain", "draw")]


def _groups(draws: xr.DataArray, by: list[str]) -> Iterator[tuple[Levels, NDArray[np.float64]]]:
    """The draws of each group, flat, with the group's levels as text."""
    stacked = draws.transpose(..., *by)
    levels: list[list[Hashable]] = [list(draws[d].values) for d in by]
    for index in np.ndindex(*(len(part) for part in levels)):
        name = tuple(str(part[i]) for part, i in zip(levels, index, strict=True))
        values = np.asarray(stacked.values[(..., *index)], dtype=float).ravel()
        if not np.isfinite(values).all():
            raise InputError(f"{int((~np.isfinite(values)).sum())} draws of group {name} are not finite")
        yield name, values


def _dim_rows(table: pd.DataFrame | None, by: list[str], known: list[Levels]) -> dict[Levels, pd.Series]:
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


def _draw_course(axes: Axes, places: list[float], marks: list[Mark], dims: list[Mark | None], span: float) -> None:
    """Intervals, medians joined by a line, and the differences in means a little to the right."""
    axes.plot(places, [m.point for m in marks], color=POSTERIOR, lw=1, alpha=0.5, zorder=2)
    for x, mark, dim in zip(places, marks, dims, strict=True):
        axes.plot([x, x], [mark.lower, mark.upper], color=POSTERIOR, lw=1.2, zorder=3)
        axes.plot([x, x], mark.inner or (mark.lower, mark.upper), color=POSTERIOR, lw=4, zorder=3)
        axes.plot([x], [mark.point], "o", color="white", mec=POSTERIOR, mew=1.6, ms=6, zorder=4)
        highest = mark.upper
        if dim is not None:
            beside, highest = x + 0.03 * span, max(mark.upper, dim.upper)
            axes.plot([beside, beside], [dim.lower, dim.upper], color=DIM, lw=1.2, ls=(0, (3, 1.5)), zorder=3)
            axes.plot([beside], [dim.point], "D", color="white", mec=DIM, mew=1.3, ms=4.8, zorder=4)
        axes.annotate(percent_words(mark), (x, highest), (0, 5), textcoords="offset points", size=SMALL,
                      color=POSTERIOR, ha="center", zorder=6)  # fmt: skip


def _finish_course(axes: Axes, places: list[float], names: list[str], marks: list[Mark], label: str) -> None:
    """Percent upwards, the waves below."""
    scale = percent_scale(marks, label)
    axes.set(ylim=scale.ends, yticks=scale.ticks, xticks=places, ylabel="")
    axes.set_xticklabels(["\n".join(fitted(name, 1.3)) for name in names])
    axes.text(0, 1.04, label, transform=axes.transAxes, size=SMALL, color=GREY, ha="left", va="bottom")
    axes.tick_params(length=0)
    for tick in scale.ticks:
        axes.axhline(tick, color=INK if tick == 0 else RULE, lw=0.7, zorder=0)
    axes.spines["bottom"].set_visible(False)


def _course_key(page: Axes, top: float, with_dim: bool) -> None:
    """The two marks in words, in their colours."""
    page.text(EDGE, top + LINE / 2, MODEL_KEY.text, size=SMALL, color=POSTERIOR, va="center")
    if with_dim:
        page.text(EDGE, top + LINE * 1.6, DIM_KEY.text, size=SMALL, color=DIM, va="center")
