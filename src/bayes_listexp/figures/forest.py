"""Rows of estimates on one scale: the posterior, and the difference in means beside it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_listexp.figures.style import (
    ALARM,
    DIM,
    EDGE,
    FADED,
    FALL,
    GREY,
    INK,
    LINE,
    POSTERIOR,
    RULE,
    SHADE,
    SMALL,
    TINT,
    WIDTH,
    Canvas,
    canvas,
    fitted,
    heading,
    measured,
    panel,
    write_heading,
)

SLAB = 0.24  # inches
TRACK = 0.19
PAD = 0.13
MANY = 12  # rows beyond which they stand closer to each other
CLOSE = 0.05
BAND = 6.0  # points


class Mark(NamedTuple):
    """A point with its interval, and an inner interval where there is one; all in the axis's units."""

    point: float
    lower: float
    upper: float
    inner: tuple[float, float] | None = None


class Row(NamedTuple):
    """One line of a forest: a label with a note, the posterior, the difference in means, words at the
    right.
    """

    label: str
    note: str = ""
    posterior: Mark | None = None
    dim: Mark | None = None
    density: NDArray[np.float64] | None = None
    words: tuple[tuple[str, str], ...] = ()  # (text, colour), one for each track
    printed: float | None = None
    alarm: bool = False  # what was printed contradicts the rest
    bold: bool = False
    joined: bool = False  # an arrow leads here from the row above
    origin: float | None = None  # an arrow leads from here to the posterior's point
    origin_colour: str = DIM
    banded: bool = False  # the interval is a pale band, under an arrow


class Scale(NamedTuple):
    """The horizontal axis: its ends and ticks, what is possible on it, and a line to compare with."""

    ends: tuple[float, float]
    ticks: tuple[float, ...]
    label: str
    possible: tuple[float, float] | None = None
    reference: float | None = None
    reference_colour: str = INK
    sides: tuple[str, str] | None = None  # words left and right of that line
    split: float | None = None  # densities are shaded apart on either side of it
    signed: bool = False


class Key(NamedTuple):
    """One entry of the key: which mark, and what it means."""

    mark: str  # one of those that :func:`write_key` draws, "letter A", or "" for words alone
    text: str


class Sizes(NamedTuple):
    """Widths of the columns in inches."""

    left: float
    plot: float
    right: float


def mark_of_draws(draws: NDArray[np.float64]) -> Mark:
    """Median with the equal-tailed 95 % and 50 % intervals of draws (any shape)."""
    low, quarter, median, three, high = np.quantile(draws, [0.025, 0.25, 0.5, 0.75, 0.975])
    return Mark(float(median), float(low), float(high), (float(quarter), float(three)))


def percent_words(mark: Mark, *, signed: bool = False) -> str:
    """`56 % (37 to 74)`, or `−21 (−45 to +3)` for signed percentage points; minus signs as in print."""
    number = "{:+.0f}" if signed else "{:.0f}"
    said = [number.format(value).replace("-", "−") for value in (mark.point, mark.lower, mark.upper)]
    point, lower, upper = ("0" if text in ("−0", "+0") else text for text in said)
    return f"{point}{'' if signed else ' %'} ({lower} to {upper})"


def percent_scale(marks: Sequence[Mark], label: str) -> Scale:
    """0 to 100 %, wider (to at most −30 and 130) where an interval leaves what is possible."""
    low, high = min(0.0, *(m.lower for m in marks)), max(100.0, *(m.upper for m in marks))
    ends = (max(low - (3 if low < 0 else 0), -30.0), min(high + (3 if high > 100 else 0), 130.0))
    return Scale(ends, (0, 25, 50, 75, 100), label, possible=(0, 100))


def points_scale(marks: Sequence[Mark], beside: Sequence[Mark], label: str) -> Scale:
    """Percentage points around zero, wide enough for every posterior interval, at most −100 to 100.

    Intervals `beside` widen the axis by half at most; beyond its end they are drawn as arrowheads.
    """
    posterior = max(10.0, *(max(abs(m.lower), abs(m.upper)) for m in marks))
    widest = max([posterior, *(max(abs(m.lower), abs(m.upper)) for m in beside)])
    reach = min(widest, 1.5 * posterior)
    step = 10 if reach <= 25 else 25 if reach <= 60 else 50
    end = min(100.0, reach * 1.08)
    ticks = tuple(float(t) for t in range(-100, 101, step) if abs(t) <= end)
    return Scale((-end, end), ticks, label, reference=0.0, split=0.0, signed=True)


def forest(
    rows: Sequence[Row],
    scale: Scale,
    *,
    key: Sequence[Key] = (),
    title: str = "",
    subtitle: str = "",
    slab: float = SLAB,
    alt: str,
) -> Figure:
    """Draw the rows from top to bottom; `slab` is the height of a density in inches."""
    sizes = _sizes(rows)
    above, below, top = heading(title, subtitle)
    top += LINE * 1.15 * len(key) + (LINE if scale.sides else 0) + 0.12
    tops, body = _tops(rows, sizes, slab, PAD if len(rows) <= MANY else CLOSE)
    on = canvas(top + body + 0.52)
    on.fig.set_label(alt)
    write_heading(on.page, above, below)
    write_key(on.page, key, heading(title, subtitle)[2])
    axes = _axes(on, scale, sizes, top, body)
    for row, y in zip(rows, tops, strict=True):
        _write_row(on.page, row, top + y, sizes)
        _draw_row(axes, row, y, scale, slab)
    _draw_arrows(axes, rows, tops)
    return on.fig


def _sizes(rows: Sequence[Row]) -> Sizes:
    """Widths of the three columns in inches: labels, plot, words."""
    labels = [measured(r.label, weight="bold" if r.bold else "normal") for r in rows if r.posterior or r.dim]
    longest = max(labels + [measured(r.note, SMALL) for r in rows])
    left = min(max(longest + 0.14, 0.7), 1.5)
    words = [measured(text, SMALL) for r in rows for text, _ in r.words]
    right = min(max(words, default=0.0) + 0.12, 1.5) if words else 0.1
    return Sizes(left, WIDTH - left - right, right)


def _lines(row: Row, sizes: Sizes) -> tuple[list[str], list[str]]:
    """The label and the note, broken to the width of their column."""
    inches = (WIDTH if row.posterior is None and row.dim is None else sizes.left) - 0.12
    return fitted(row.label, inches, weight="bold" if row.bold else "normal"), fitted(row.note, inches, SMALL)


def _tops(rows: Sequence[Row], sizes: Sizes, slab: float, pad: float) -> tuple[list[float], float]:
    """Where each row's first track lies, and the height of them all (inches)."""
    tops, y = [], 0.0
    for row in rows:
        lead = slab if row.density is not None else 0.06
        text = LINE * sum(len(part) for part in _lines(row, sizes))
        tracks = TRACK * max(1, (row.posterior is not None) + (row.dim is not None), len(row.words))
        tops.append(y + lead + LINE / 2)
        y += lead + max(text, tracks) + (pad if row.posterior or row.dim else 0.02)
    return tops, y


def write_key(page: Axes, key: Sequence[Key], top: float) -> None:
    """Say what the marks mean, with the marks themselves."""
    for index, (mark, text) in enumerate(key):
        y = top + LINE * 1.15 * (index + 0.5)
        if mark in ("posterior", "interval"):
            page.plot([0.02, 0.36], [y, y], color=POSTERIOR, lw=1.2)
            if mark == "posterior":
                page.plot([0.1, 0.28], [y, y], color=POSTERIOR, lw=4)
            page.plot([0.19], [y], "o", color="white", mec=POSTERIOR, mew=1.6, ms=5.5)
        elif mark == "dim":
            page.plot([0.02, 0.36], [y, y], color=DIM, lw=1.2, ls=(0, (3, 1.5)))
            page.plot([0.19], [y], "D", color="white", mec=DIM, mew=1.3, ms=4.8)
        elif mark in ("pull", "arrow"):
            _draw_arrow(page, (0.05, y), (0.33, y), DIM if mark == "pull" else POSTERIOR)
            page.plot([0.33], [y], "o", color="white", mec=POSTERIOR, mew=1.6, ms=5.5)
        elif mark == "band":
            page.plot([0.02, 0.36], [y, y], color=TINT, lw=BAND)
        elif mark == "dim band":
            page.fill_between([0.02, 0.36], y - 0.06, y + 0.06, color=DIM, alpha=0.1, lw=0)
            page.plot([0.02, 0.36], [y, y], color=DIM, lw=1.1, ls=(0, (3, 1.5)))
        elif mark == "chosen":
            page.plot([0.02, 0.36], [y, y], color=POSTERIOR, lw=1.8)
            page.plot([0.19], [y], "o", color=POSTERIOR, mec=POSTERIOR, mew=1.6, ms=6.5)
        elif mark == "printed":
            page.plot([0.19], [y], "x", color=INK, mew=1.8, ms=6)
        elif mark == "published":
            page.plot([0.19], [y], "s", color="white", mec=INK, mew=1.2, ms=5.2)
        elif mark.startswith("letter "):
            page.text(0.19, y, mark.removeprefix("letter "), size=SMALL, color=GREY, weight="bold", ha="center", va="center_baseline")
        elif mark == "impossible":
            page.fill_between([0.02, 0.36], y - 0.06, y + 0.06, color=SHADE, ec=RULE, lw=0.6)
        page.text(0.46, y, text, size=SMALL, color=GREY, va="center_baseline")


def _axes(on: Canvas, scale: Scale, sizes: Sizes, top: float, body: float) -> Axes:
    """The plot's axes: vertical measured in inches downwards, rules at the ticks, a line to compare with."""
    axes = panel(on, sizes.left, top, sizes.plot, body)
    axes.set(xlim=scale.ends, ylim=(body, 0), xticks=scale.ticks, yticks=[])
    numbers = [f"{t:+g}" if scale.signed and t else f"{t:g}" for t in scale.ticks]
    axes.set_xticklabels([number.replace("-", "−") for number in numbers])
    axes.tick_params(axis="x", length=0, pad=3)
    axes.spines["bottom"].set_visible(False)
    for tick in scale.ticks:
        axes.axvline(tick, color=RULE, lw=0.7, zorder=0)
    if scale.possible:
        for start, stop in ((scale.ends[0], scale.possible[0]), (scale.possible[1], scale.ends[1])):
            if stop > start:
                axes.axvspan(start, stop, color=SHADE, zorder=-1, lw=0)
    if scale.reference is not None:
        axes.axvline(scale.reference, color=scale.reference_colour, lw=1, zorder=1)
    if scale.reference is not None and scale.sides is not None:
        share = (scale.reference - scale.ends[0]) / (scale.ends[1] - scale.ends[0])
        _write_sides(on.page, scale.sides, sizes.left + sizes.plot * share, top - 0.05)
    centre = sizes.left + sizes.plot / 2
    half = measured(scale.label) / 2
    on.page.text(
        min(max(centre, half + 0.02), WIDTH - half - 0.02),
        top + body + 0.32,
        scale.label,
        ha="center",
        va="center",
    )
    return axes


def _write_sides(page: Axes, sides: tuple[str, str], x: float, y: float) -> None:
    """What lies on either side of the line to compare with."""
    page.text(x - 0.06, y, sides[0], size=SMALL, color=GREY, ha="right", va="bottom")
    page.text(x + 0.06, y, sides[1], size=SMALL, color=GREY, ha="left", va="bottom")


def _write_row(page: Axes, row: Row, y: float, sizes: Sizes) -> None:
    """The label and its note at the left, the words at the right."""
    label, note = _lines(row, sizes)
    for index, line in enumerate(label):
        page.text(EDGE, y + LINE * index, line, va="center_baseline", weight="bold" if row.bold else "normal")
    for index, line in enumerate(note):
        down = LINE * (len(label) - 1 + index) + TRACK
        page.text(EDGE, y + down, line, size=SMALL, color=GREY, va="center_baseline")
    for index, (text, colour) in enumerate(row.words):
        page.text(WIDTH - EDGE, y + TRACK * index, text, size=SMALL, color=colour, ha="right", va="center_baseline")


def _draw_row(axes: Axes, row: Row, y: float, scale: Scale, slab: float) -> None:
    """The density, the posterior's intervals and point, the difference in means, and what was printed."""
    if row.density is not None:
        _draw_density(axes, row.density, y - 0.045, scale, slab)
    if row.posterior is not None:
        if row.banded:
            ends = (max(row.posterior.lower, scale.ends[0]), min(row.posterior.upper, scale.ends[1]))
            axes.plot(ends, [y, y], color=TINT, lw=BAND, zorder=2)
        else:
            _draw_interval(axes, row.posterior, y, scale, POSTERIOR)
        if row.origin is not None:
            start = min(max(row.origin, scale.ends[0]), scale.ends[1])
            _draw_arrow(axes, (start, y), (row.posterior.point, y), row.origin_colour)
        axes.plot([row.posterior.point], [y], "o", color="white", mec=POSTERIOR, mew=1.6, ms=5.5, zorder=4)
    if row.dim is not None:
        below = y + (TRACK if row.posterior is not None or len(row.words) > 1 else 0)
        _draw_interval(axes, row.dim, below, scale, DIM)
        inside = scale.ends[0] <= row.dim.point <= scale.ends[1]
        axes.plot([row.dim.point], [below], "D", color="white", mec=DIM, mew=1.3, ms=4.8, zorder=4 if inside else -2)
    if row.printed is not None:
        last = y + TRACK * (len(row.words) - 1)
        axes.plot([row.printed], [last], "x", color=ALARM if row.alarm else INK, mew=1.8, ms=6.5, zorder=5)


def _draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    """From where something was (a diamond for a difference in means, else a small dot) to where it is."""
    axes.annotate("", end, start, arrowprops=dict(arrowstyle="-|>", color=GREY, lw=0.9, shrinkA=2, shrinkB=3.5, mutation_scale=7),
                  zorder=3)  # fmt: skip
    marker, fill, size = ("D", "white", 4.2) if colour == DIM else ("o", colour, 3.0)
    axes.plot([start[0]], [start[1]], marker, color=fill, mec=colour, mew=1.2, ms=size, zorder=4, clip_on=False)


def _draw_interval(axes: Axes, mark: Mark, y: float, scale: Scale, colour: str) -> None:
    """A line from end to end; an arrowhead where it goes on beyond the axis."""
    low, high = max(mark.lower, scale.ends[0]), min(mark.upper, scale.ends[1])
    if high > low:
        axes.plot([low, high], [y, y], color=colour, lw=1.2, ls=(0, (3, 1.5)) if colour == DIM else "-", zorder=3)
    if mark.inner is not None:
        axes.plot(mark.inner, [y, y], color=colour, lw=4, zorder=3)
    for beyond, end, head in (
        (mark.lower < scale.ends[0], scale.ends[0], "<"),
        (mark.upper > scale.ends[1], scale.ends[1], ">"),
    ):
        if beyond:
            axes.plot([end], [y], head, color=colour, ms=5, clip_on=False, zorder=5)


def _draw_density(axes: Axes, draws: NDArray[np.float64], y: float, scale: Scale, slab: float) -> None:
    """The draws' density standing on the track, shaded apart where the scale is split."""
    x, density, _ = array_stats.kde(draws.ravel(), grid_len=200)
    edge = y - density / density.max() * slab * 0.92
    inside = (x >= scale.ends[0]) & (x <= scale.ends[1])
    x, edge = x[inside], edge[inside]
    if scale.split is None:
        axes.fill_between(x, y, edge, color=TINT, lw=0, zorder=2)
        return
    at = float(np.interp(scale.split, x, edge, left=y, right=y))
    for side, colour in ((x < scale.split, FALL), (x > scale.split, FADED)):
        if side.any():
            order = np.argsort(np.append(x[side], scale.split))
            axes.fill_between(
                np.append(x[side], scale.split)[order], y, np.append(edge[side], at)[order],
                color=colour, lw=0, zorder=2,
            )  # fmt: skip


def _draw_arrows(axes: Axes, rows: Sequence[Row], tops: Sequence[float]) -> None:
    """Lead the eye from one median to the next where rows are joined."""
    for index, row in enumerate(rows[1:], start=1):
        before = rows[index - 1]
        if row.joined and row.posterior is not None and before.posterior is not None:
            axes.annotate(
                "", (row.posterior.point, tops[index]), (before.posterior.point, tops[index - 1]),
                arrowprops=dict(arrowstyle="-|>", color=GREY, lw=0.9, shrinkA=4, shrinkB=4, mutation_scale=8),
                zorder=3.5,
            )  # fmt: skip


def dim_mark(row: pd.Series) -> Mark | None:
    """The difference in means of one row of a table (0-1) in percent; None where it could not be computed."""
    if not np.isfinite(row["estimate"]):
        return None
    return interval_mark(row, "estimate", "lower", "upper")


def interval_mark(row: pd.Series, point: str, lower: str, upper: str) -> Mark:
    """Make a mark in percent of a point and its interval in three columns (0-1)."""
    return Mark(100 * float(row[point]), 100 * float(row[lower]), 100 * float(row[upper]))
