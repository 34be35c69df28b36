"""The figure of support over the waves, with events and what was published beside it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num, num2date
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Key, Mark, dim_mark, mark_of_draws, percent_scale, percent_words, write_key
from bayes_listexp.figures.style import (
    DIM,
    EDGE,
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

HIGH = 2.4  # inches: the plot
LEFT = 0.4
ROOM = WIDTH - LEFT - 0.1
BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}


class Printed(NamedTuple):
    """A share (0 to 1) that somebody published for a day, with the ends of its interval where they are known."""

    day: date
    share: float
    words: str = ""
    lower: float | None = None
    upper: float | None = None


class Course(NamedTuple):
    """What is drawn over time: waves with their marks, published shares with their days, and the ends of the time axis."""

    places: list[float]
    marks: list[Mark]
    dims: list[Mark | None]
    published: list[tuple[float, Mark]]
    ends: tuple[float, float]


class _Words(NamedTuple):
    """Lines of text centred at a place, in inches from the left of the page."""

    lines: list[str]
    place: float
    strong: bool = False

    @property
    def width(self) -> float:
        return max(measured(line, SMALL) for line in self.lines)


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
    `printed` shares by a hollow square with their number, a little to the left where a wave is in the way; without
    `dates` waves are equally spaced. Raises `InputError` when a wave has no date, when events or printed shares come
    without dates, or a draw is not finite.
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
    events = sorted(events, key=lambda event: event[0])
    days = [float(date2num(day)) for day, _ in events]
    published = [(float(date2num(point.day)), _printed_mark(point)) for point in printed]
    stops = [*places, *days, *(x for x, _ in published)]
    span = max(stops) - min(stops) or 1.0
    course = Course(places, marks, dims, published, (min(stops) - 0.09 * span, max(stops) + 0.11 * span))
    return _composed(course, names, list(zip(days, events, strict=True)), _course_key(bool(tables), printed, events),
                     _course_alt(names, marks, events, printed), title, subtitle, label)  # fmt: skip


def _composed(
    course: Course, names: list[str], events: list[tuple[float, tuple[date, str]]], key: list[Key], alt: str,
    title: str, subtitle: str, label: str,
) -> Figure:  # fmt: skip
    """The page: heading, key, letters of the events, the plot, and the names of waves and of other published days below."""
    above, below, start = heading(title, subtitle)
    days = [day for day, _ in events]
    letters = [_Words([_letter(i)], place) for i, place in enumerate(_inches(days, course.ends))]
    letter_rows = _stacked(letters)
    level = start + LINE * 1.15 * len(key) + LINE * 0.7  # where the label of the axis stands
    top = level + LINE * (0.5 + max(letter_rows, default=-1) + 1) + 0.1
    labels = _below(names, course)
    rows = _stacked(labels)
    deep = max(len(words.lines) for words in labels)
    on = canvas(top + HIGH + LINE * (deep * (max(rows) + 1)) + 0.16)
    write_heading(on.page, above, below)
    write_key(on.page, key, start)
    on.page.text(EDGE, level, label, size=SMALL, color=GREY, va="center_baseline")
    axes = panel(on, LEFT, top, ROOM, HIGH)
    axes.set(xlim=course.ends, xticks=[])
    _draw_course(axes, course)
    _draw_percent(axes, [m for m in [*course.marks, *course.dims, *(m for _, m in course.published)] if m], label)
    for words, row, day in zip(letters, letter_rows, days, strict=True):
        y = top - 0.09 - LINE * row
        on.page.text(words.place, y, words.lines[0], size=SMALL, color=GREY, weight="bold", ha="center", va="center_baseline")
        axes.axvline(day, color=GREY, lw=0.8, ls=":", zorder=1)
    for words, row in zip(labels, rows, strict=True):
        on.page.text(words.place, top + HIGH + 0.07 + LINE * deep * row, "\n".join(words.lines), size=SMALL, ha="center", va="top",
                     color=INK if words.strong else GREY)  # fmt: skip
    on.fig.set_label(alt)
    return on.fig


def _draw_course(axes: Axes, course: Course) -> None:
    """Intervals, medians joined by a line, differences in means to the right, published shares where they lie in time."""
    aside = 0.022 * (course.ends[1] - course.ends[0])
    axes.plot(course.places, [m.point for m in course.marks], color=POSTERIOR, lw=1, alpha=0.5, zorder=2)
    for x, mark, dim in zip(course.places, course.marks, course.dims, strict=True):
        axes.plot([x, x], [mark.lower, mark.upper], color=POSTERIOR, lw=1.2, zorder=3)
        axes.plot([x, x], mark.inner or (mark.lower, mark.upper), color=POSTERIOR, lw=4, zorder=3)
        axes.plot([x], [mark.point], "o", color="white", mec=POSTERIOR, mew=1.6, ms=6, zorder=4)
        if dim is not None:
            beside = x + aside
            axes.plot([beside, beside], [dim.lower, dim.upper], color=DIM, lw=1.2, ls=(0, (3, 1.5)), zorder=2.5)
            axes.plot([beside], [dim.point], "D", color="white", mec=DIM, mew=1.3, ms=4.8, zorder=2.6)
        axes.annotate(f"{mark.point:.0f}", (x, mark.upper), (0 if dim is None else 5, 3), textcoords="offset points", size=SMALL,
                      color=POSTERIOR, weight="bold", ha="center" if dim is None else "right", va="bottom", zorder=6, bbox=BEHIND)
    for day, mark in course.published:
        near = min(course.places, key=lambda place: abs(place - day))
        x = near - aside if abs(near - day) < aside else day
        axes.plot([x, x], [mark.lower, mark.upper], color=INK, lw=0.8, zorder=3)
        axes.plot([x], [mark.point], "s", color="white", mec=INK, mew=1.2, ms=5.2, zorder=5)
        axes.annotate(f"{mark.point:.0f}", (x, mark.point), (-5, 0), textcoords="offset points", size=SMALL, color=INK,
                      ha="right", va="center", zorder=6, bbox=BEHIND)  # fmt: skip


def _draw_percent(axes: Axes, marks: list[Mark], label: str) -> None:
    """Percent upwards."""
    scale = percent_scale(marks, label)
    axes.set(ylim=scale.ends, yticks=scale.ticks, ylabel="")
    axes.tick_params(length=0)
    for tick in scale.ticks:
        axes.axhline(tick, color=INK if tick == 0 else RULE, lw=0.7, zorder=0)
    for start, stop in ((scale.ends[0], 0.0), (100.0, scale.ends[1])):
        if stop > start:
            axes.axhspan(start, stop, color=SHADE, zorder=-1, lw=0)
    axes.spines["bottom"].set_visible(False)


def _below(names: list[str], course: Course) -> list[_Words]:
    """Names of the waves, and the months of published shares that lie elsewhere, broken into lines within the page."""
    room = 1.3 if len(names) <= 3 else max(ROOM / len(names), 0.75)
    found = [_Words(fitted(name, room, SMALL), place, strong=True)
             for name, place in zip(names, _inches(course.places, course.ends), strict=True)]  # fmt: skip
    apart = 0.04 * (course.ends[1] - course.ends[0])
    days = {round(day): day for day, _ in course.published if min(abs(day - place) for place in course.places) > apart}
    found += [_Words([f"{num2date(day):%Y-%m}"], place)
              for day, place in zip(days.values(), _inches(days.values(), course.ends), strict=True)]  # fmt: skip
    return [words._replace(place=min(max(words.place, words.width / 2 + EDGE), WIDTH - EDGE - words.width / 2))
            for words in sorted(found, key=lambda words: words.place)]  # fmt: skip


def _inches(places: Iterable[float], ends: tuple[float, float]) -> list[float]:
    """Where places on the time axis lie on the page, in inches from the left."""
    return [LEFT + ROOM * (x - ends[0]) / (ends[1] - ends[0]) for x in places]


def _stacked(words: Sequence[_Words]) -> list[int]:
    """The row of each text, in the first one where it does not touch the text before it."""
    ends: list[float] = []
    rows = []
    for one in words:
        left = one.place - one.width / 2
        row = next((i for i, end in enumerate(ends) if left > end + 0.06), len(ends))
        ends[row:row + 1] = [one.place + one.width / 2]
        rows.append(row)
    return rows


def _course_key(with_dim: bool, printed: Sequence[Printed], events: Sequence[tuple[date, str]]) -> list[Key]:
    """What the marks and letters mean."""
    key = [MODEL_KEY, *([DIM_KEY] if with_dim else [])]
    if printed:
        lines = fitted("; ".join(dict.fromkeys(point.words or "published" for point in printed)), WIDTH - 0.5, SMALL)
        key += [Key("published", lines[0]), *(Key("", line) for line in lines[1:])]
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
