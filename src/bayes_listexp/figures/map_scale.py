"""What maps have in common: draws by region and wave as marks, the scale of colours, and the legend."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Mark, mark_of_draws, percent_words
from bayes_listexp.figures.style import GREY, INK, LINE, RULE, SMALL, WIDTH, Canvas, fitted, panel

# Lightness falls steadily along a sequential scale, so that it reads in grey and with any colour vision; the two arms of the
# diverging one are orange and blue, the pair that colour-blind readers tell apart, and its numbers carry their sign.
SEQUENTIAL = LinearSegmentedColormap.from_list("support", ["#f1f5fa", "#b9cee6", "#7ba2cf", "#3f73ae", "#123d70"])
DIVERGING = LinearSegmentedColormap.from_list("change", ["#7a2e05", "#d68b55", "#f6f3ef", "#7ba2cf", "#123d70"])
WIDTHS = LinearSegmentedColormap.from_list("width", ["#f7f7f7", "#bdbdbd", "#4d4d4d"])
NARROWEST = 30  # percentage points: a scale that is fitted to less would show noise as a pattern
NO_BREAK = "\N{NO-BREAK SPACE}"

Marks = dict[str, dict[str, Mark]]
"""Percent or percentage points by wave (or "" where there is one map) and region."""


class ColourScale(NamedTuple):
    """Values from the lightest (or, of changes, the most negative) to the other end, and their colours."""

    low: float
    high: float
    colours: LinearSegmentedColormap
    signed: bool = False

    def colour(self, value: float) -> str:
        """The colour of a value, as #rrggbb; values beyond the ends have the colour of the end."""
        share = (value - self.low) / (self.high - self.low)
        return str(to_hex(self.colours(float(np.clip(share, 0, 1)))))


def marks_by_region(draws: xr.DataArray, along: str | None) -> Marks:
    """Median and intervals of every region, in percent, by the levels of ``along``; a region of NaN alone has none.

    Raises
    ------
    InputError : the draws have not exactly one dim beside chain, draw and ``along``, or a draw is not finite, or none is.
    """
    dims = [str(d) for d in draws.dims if d not in ("chain", "draw")]
    if along is not None and along not in dims:
        raise InputError(f"along={along!r} is not a dim of the draws; they have {dims}")
    rest = [d for d in dims if d != along]
    if len(rest) != 1:
        raise InputError(f"a map needs draws by region, with the dims chain, draw and one more{', beside ' + along if along else ''}; "
                         f"they have {dims}")
    names = [str(level) for level in draws[rest[0]].values]
    panels: list[Hashable] = list(draws[along].values) if along else [""]
    marks: Marks = {}
    for number, wave in enumerate(panels):
        values = (draws.isel({along: number}) if along else draws).transpose(..., rest[0]).values
        there = {name: 100 * values[..., i] for i, name in enumerate(names) if not np.isnan(values[..., i]).all()}
        if broken := [name for name, some in there.items() if not np.isfinite(some).all()]:
            raise InputError(f"draws of {rest[0]} '{broken[0]}'{f' in {wave}' if along else ''} are not finite")
        marks[str(wave)] = {name: mark_of_draws(some) for name, some in there.items()}
    if not any(marks.values()):
        raise InputError("there is nothing to draw on the map: every draw is NaN")
    return marks


def names_of(marks: Marks) -> list[str]:
    """The regions that have an estimate on at least one of the maps."""
    return list(dict.fromkeys(name for values in marks.values() for name in values))


def gaps_of(marks: Marks, places: Iterable[str]) -> list[str]:
    """The places without an estimate, and those that lack it on some of the maps, with these."""
    gaps = []
    for place in places:
        lacking = [wave for wave, values in marks.items() if place not in values]
        some = f" ({', '.join(lacking)})" if len(lacking) < len(marks) else ""
        gaps += [f"{place}{some}"] if lacking else []
    return gaps


def scale_of(marks: Marks, change: bool) -> ColourScale:
    """Tens around the medians, at least 30 points apart and within 0 to 100; of changes, as far up as down from zero."""
    points = [mark.point for values in marks.values() for mark in values.values()]
    if change:
        end = max(10.0, float(np.ceil(max(map(abs, points)) / 10) * 10))
        return ColourScale(-end, end, DIVERGING, signed=True)
    low, high = np.floor(min(points) / 10) * 10, np.ceil(max(points) / 10) * 10
    while high - low < NARROWEST:
        low, high = max(low - 10, 0), min(high + 10, 100)
    return ColourScale(float(low), float(high), SEQUENTIAL)


def width_scale(marks: Marks) -> ColourScale:
    """From no width to the widest interval, in tens."""
    widest = max(mark.upper - mark.lower for values in marks.values() for mark in values.values())
    return ColourScale(0.0, float(np.ceil(widest / 10) * 10), WIDTHS)


def ink_on(colour: str) -> str:
    """White or dark text, whichever has the higher contrast on a colour (relative luminance as in WCAG 2)."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#ffffff" if linear @ [0.2126, 0.7152, 0.0722] < 0.2 else INK


def number_words(value: float, signed: bool) -> str:
    """A whole number with a minus sign as in print; changes always carry their sign, and zero has none."""
    text = (f"{value:+.0f}" if signed else f"{value:.0f}").replace("-", "\N{MINUS SIGN}")
    return "0" if text in ("\N{MINUS SIGN}0", "+0") else text


def label_of(label: str, change: bool) -> list[str]:
    """What the colours are, in lines as wide as half the page; in general terms where the caller does not say."""
    return fitted(label or ("Change in support, percentage points" if change else "Support, %"), WIDTH / 2 - 0.1, SMALL)


def legend_height(label: list[str]) -> float:
    """Inches from the top of a legend with such a label to the map below it."""
    return 0.62 + LINE * (len(label) - 1)


def plane(on: Canvas, left: float, top: float, width: float, height: float) -> Axes:
    """An empty place for a map on the page; its coordinates are inches from its own upper left corner."""
    axes = panel(on, left, top, width, height)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    return axes


def draw_colour_bar(page: Axes, left: float, top: float, scale: ColourScale, label: list[str], width: float = 1.9) -> None:
    """A label, the scale of colours and its numbers below one another; inches from the upper left corner of the page."""
    for number, line in enumerate(label):
        page.text(left, top + LINE * number, line, size=SMALL, color=INK, va="top")
    left, top = left + 0.12, top + LINE * len(label) + 0.02
    steps = np.linspace(0, 1, 49)
    for begin, end in zip(steps[:-1], steps[1:], strict=True):
        value = scale.low + (begin + end) / 2 * (scale.high - scale.low)
        page.add_patch(Rectangle((left + begin * width, top), (1 - begin) * width, 0.12, color=scale.colour(value), lw=0))
    page.add_patch(Rectangle((left, top), width, 0.12, fill=False, ec=GREY, lw=0.5))
    span = scale.high - scale.low
    step = next(s for s in (5, 10, 20, 25, 50, 100) if span / s <= 6 and scale.high % s == 0)
    for tick in np.arange(np.ceil(scale.low / step) * step, scale.high + step / 2, step):
        x = left + width * (tick - scale.low) / span
        page.plot([x, x], [top + 0.12, top + 0.15], color=GREY, lw=0.6)
        page.text(x, top + 0.17, number_words(float(tick), scale.signed), size=SMALL, color=GREY, ha="center", va="top")


def bar_ends(marks: Marks, change: bool) -> tuple[float, float]:
    """The ends of the line on which every interval is drawn: 0 to 100 %, or as far as the widest interval of a change."""
    if not change:
        return 0.0, 100.0
    farthest = max(max(abs(m.lower), abs(m.upper)) for values in marks.values() for m in values.values())
    end = max(10.0, float(np.ceil(farthest / 10) * 10))
    return -end, end


def draw_interval(
    axes: Axes, left: float, y: float, width: float, mark: Mark, ends: tuple[float, float], ink: str, ground: str
) -> None:
    """An interval as a bar on a thin line between ``ends``, the median as a notch in it, and a tick at zero for changes."""
    low, high = ends
    at = [left + width * (value - low) / (high - low) for value in (mark.lower, mark.point, mark.upper)]
    axes.plot([left, left + width], [y, y], color=ink, lw=0.5, alpha=0.7)
    if low < 0:
        axes.plot([left + width / 2] * 2, [y - 0.04, y + 0.04], color=ink, lw=0.7)
    axes.plot([at[0], at[2]], [y, y], color=ink, lw=3.2)
    axes.plot(at[1:2] * 2, [y - 0.024, y + 0.024], color=ground, lw=0.9)


def draw_empty_key(page: Axes, left: float, top: float) -> None:
    """The sign of a region without an estimate, in words."""
    page.add_patch(Rectangle((left, top), 0.22, 0.13, **EMPTY))
    page.text(left + 0.3, top, "no estimate", size=SMALL, color=GREY, va="top")


EMPTY: dict[str, Any] = dict(facecolor="#ffffff", edgecolor=GREY, linewidth=0.8, linestyle=(0, (2, 1.5)))
OUTLINE: dict[str, Any] = dict(edgecolor=RULE, linewidth=0.6)


def map_alt(marks: Marks, empty: Sequence[str], signed: bool) -> str:
    """A map in words: every region of a single map, the ends of each of several, and the regions without an estimate."""
    said = []
    for wave, values in marks.items():
        ranked = sorted(values, key=lambda name: values[name].point)
        if ranked and (len(marks) > 1 or len(ranked) > 40):
            ends = [f"{name} {percent_words(values[name], signed=signed)}" for name in (ranked[0], ranked[-1])]
            said.append(f"{wave + ': ' if wave else ''}{len(ranked)} regions, from {ends[0]} to {ends[1]}")
        else:
            said += [f"{name} {percent_words(values[name], signed=signed)}" for name in reversed(ranked)]
    without = f" No estimate: {', '.join(empty)}." if empty else ""
    what = "Map of the change in support by region, in percentage points" if signed else "Map of support by region"
    return f"{what}, with 95 % intervals. {'; '.join(said)}.{without}"
