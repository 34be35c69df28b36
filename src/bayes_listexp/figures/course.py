"""The figure of support over the waves, with events and what was published beside it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Key, Mark, dim_mark, mark_of_draws, percent_scale, percent_words, write_key
from bayes_listexp.figures.style import (
    DIM,
    GREY,
    INK,
    LINE,
    POSTERIOR,
    RULE,
    SHADE,
    SMALL,
    WIDTH,
    canvas,
    fitted,
    heading,
    measured,
    panel,
    styled,
    write_heading,
)
from bayes_listexp.figures.survey import DIM_KEY, MODEL_KEY, dim_rows, group_draws


class Printed(NamedTuple):
    """A share (0 to 1) that somebody published for a day, with the ends of its interval where they are known."""

    day: date
    share: float
    words: str = ""
    lower: float | None = None
    upper: float | None = None


@styled
def trajectory(
    draws: xr.DataArray,
    dim_table: pd.DataFrame | None = None,
    *,
    wave: str = "wave",
    dates: Mapping[str, date] | None = None,
    events: Sequence[tuple[date, str]] = (),
    printed: Sequence[Printed] = (),
    title: str = "",
    subtitle: str = "",
    label: str = "Support, %",
) -> Figure:
    """Support over the waves: medians joined by a line, 50 % and 95 % intervals, differences in means
    beside them.

    `draws` has dims (chain, draw, wave) in 0-1 units, in the order of time. With `dates` (wave to day) the
    waves stand where they lie in time, `events` (day, words) are marked by a letter that the key explains, and
    `printed` shares by a cross; without, waves are equally spaced. Raises `InputError` when a wave has no date,
    when events or printed shares come without dates, or a draw is not finite.
    """
    names = [str(level) for level in draws[wave].values]
    if (events or printed) and dates is None:
        raise InputError("events and published shares can only be placed when the waves have dates; pass dates={wave: date}")
    if missing := [name for name in names if dates is not None and name not in dates]:
        raise InputError(f"no date for wave {', '.join(missing)}; add it to dates")
    places = [float(date2num(dates[n])) if dates else float(i) for i, n in enumerate(names)]
    values = dict(group_draws(draws, [wave]))
    marks = [mark_of_draws(100 * values[(name,)]) for name in names]
    tables = dim_rows(dim_table, [wave], list(values))
    dims = [dim_mark(tables[(name,)]) if (name,) in tables else None for name in names]
    key = _course_key(bool(tables), printed, events)
    above, below, start = heading(title, subtitle)
    top = start + LINE * 1.15 * len(key) + LINE * (2.2 if events else 1.2) + 0.12
    stops = [*places, *(float(date2num(day)) for day in [*(day for day, _ in events), *(point.day for point in printed)])]
    span = max(stops) - min(stops) or 1.0
    ends = (min(stops) - 0.09 * span, max(stops) + 0.11 * span)
    labels = _wave_labels(names, places, ends)
    on = canvas(top + 2.4 + LINE * (max(label.count("\n") for label in labels) + 1) + 0.12)
    write_heading(on.page, above, below)
    write_key(on.page, key, start)
    axes = panel(on, 0.4, top, WIDTH - 0.5, 2.4)
    axes.set(xlim=ends)
    _draw_course(axes, places, marks, dims, span)
    points = [_printed_mark(point) for point in printed]
    _finish_course(axes, places, labels, [m for m in [*marks, *dims, *points] if m], label)
    for i, (day, _) in enumerate(events):
        axes.axvline(date2num(day), color=GREY, lw=0.8, ls=":", zorder=1)
        axes.annotate(_letter(i), (date2num(day), 1.09), xycoords=axes.get_xaxis_transform(),
                      size=SMALL, color=GREY, weight="bold", ha="center", va="bottom")  # fmt: skip
    for point, mark in zip(printed, points, strict=True):
        x = date2num(point.day)
        axes.plot([x, x], [mark.lower, mark.upper], color=INK, lw=0.8, zorder=3)
        axes.plot([x], [mark.point], "x", color=INK, mew=1.8, ms=6.5, zorder=5)
    on.fig.set_label(_course_alt(names, marks, events, printed))
    return on.fig


def _draw_course(axes: Axes, places: list[float], marks: list[Mark], dims: list[Mark | None], span: float) -> None:
    """Intervals, medians joined by a line, and the differences in means a little to the right."""
    axes.plot(places, [m.point for m in marks], color=POSTERIOR, lw=1, alpha=0.5, zorder=2)
    for x, mark, dim in zip(places, marks, dims, strict=True):
        axes.plot([x, x], [mark.lower, mark.upper], color=POSTERIOR, lw=1.2, zorder=3)
        axes.plot([x, x], mark.inner or (mark.lower, mark.upper), color=POSTERIOR, lw=4, zorder=3)
        axes.plot([x], [mark.point], "o", color="white", mec=POSTERIOR, mew=1.6, ms=6, zorder=4)
        if dim is not None:
            beside = x + 0.022 * span
            axes.plot([beside, beside], [dim.lower, dim.upper], color=DIM, lw=1.2, ls=(0, (3, 1.5)), zorder=2.5)
            axes.plot([beside], [dim.point], "D", color="white", mec=DIM, mew=1.3, ms=4.8, zorder=2.6)
        axes.annotate(f"{mark.point:.0f}", (x, mark.upper), (0 if dim is None else 5, 3), textcoords="offset points", size=SMALL,
                      color=POSTERIOR, weight="bold", ha="center" if dim is None else "right", va="bottom", zorder=6,
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6})  # fmt: skip


def _finish_course(axes: Axes, places: list[float], labels: list[str], marks: list[Mark], label: str) -> None:
    """Percent upwards, the waves below."""
    scale = percent_scale(marks, label)
    axes.set(ylim=scale.ends, yticks=scale.ticks, xticks=places, ylabel="")
    axes.set_xticklabels(labels, size=SMALL)
    axes.text(0, 1.04, label, transform=axes.transAxes, size=SMALL, color=GREY, ha="left", va="bottom")
    axes.tick_params(length=0)
    for tick in scale.ticks:
        axes.axhline(tick, color=INK if tick == 0 else RULE, lw=0.7, zorder=0)
    for start, stop in ((scale.ends[0], 0.0), (100.0, scale.ends[1])):
        if stop > start:
            axes.axhspan(start, stop, color=SHADE, zorder=-1, lw=0)
    axes.spines["bottom"].set_visible(False)


def _wave_labels(names: list[str], places: list[float], ends: tuple[float, float]) -> list[str]:
    """Names of the waves, broken into lines; those that would touch the one before them stand lower."""
    inches = (WIDTH - 0.5) / (ends[1] - ends[0])
    room = 1.3 if len(places) <= 3 else max((WIDTH - 0.5) / len(places), 0.75)
    broken = [fitted(name, room, SMALL) for name in names]
    labels, edges = [], [-np.inf, -np.inf]  # where the last label of each of two rows ends, inches
    for x, lines in zip(places, broken, strict=True):
        half = max(measured(line, SMALL) for line in lines) / 2
        at = (x - ends[0]) * inches
        row = 0 if at - half > edges[0] + 0.06 else 1
        edges[row] = at + half
        labels.append("\n".join([""] * row * max(map(len, broken)) + lines))
    return labels


def _course_key(with_dim: bool, printed: Sequence[Printed], events: Sequence[tuple[date, str]]) -> list[Key]:
    """What the marks and letters mean."""
    key = [MODEL_KEY, *([DIM_KEY] if with_dim else [])]
    words = list(dict.fromkeys(point.words or "published" for point in printed))
    key += [Key("printed", "; ".join(words))] if printed else []
    for i, (day, said) in enumerate(events):
        lines = fitted(f"{day:%Y-%m-%d}: {said}", WIDTH - 0.5, SMALL)
        key += [Key(f"letter {_letter(i)}", lines[0]), *(Key("", line) for line in lines[1:])]
    return key


def _letter(number: int) -> str:
    return chr(ord("A") + number % 26) * (number // 26 + 1)


def _printed_mark(point: Printed) -> Mark:
    lower, upper = (100 * (point.share if end is None else end) for end in (point.lower, point.upper))
    return Mark(100 * point.share, lower, upper)


def _course_alt(
    names: list[str], marks: list[Mark], events: Sequence[tuple[date, str]], printed: Sequence[Printed]
) -> str:
    said = [f"{name}: {percent_words(mark)}." for name, mark in zip(names, marks, strict=True)]
    said += [f"Published for {point.day:%Y-%m-%d}: {100 * point.share:.0f} %." for point in printed]
    said += [f"Event on {day:%Y-%m-%d}: {words}." for day, words in events]
    return "Support over the waves. " + " ".join(said)
