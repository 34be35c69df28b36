"""The specification curve: one estimate under many models, in order, and below it what each of them assumes."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import (
    Key,
    Mark,
    Scale,
    interval_mark,
    percent_scale,
    percent_words,
    points_scale,
    write_key,
)
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
    Canvas,
    canvas,
    fitted,
    heading,
    measured,
    panel,
    styled,
    write_heading,
)

HIGH = 1.9  # inches: the curve
GAP = 0.05
NUMBERED = 14  # models beyond which their medians and numbers have no room
WIDEST = 1.75


class Line(NamedTuple):
    """One line of the matrix: the heading of a choice, or one of its levels with the models that made it."""

    text: list[str]
    models: tuple[bool, ...] = ()


@styled
def specification_curve(
    frame: pd.DataFrame,
    choices: Mapping[str, str],
    *,
    dim: tuple[float, float, float] | None = None,
    chosen: str | None = None,
    change: bool = False,
    title: str = "",
    subtitle: str = "",
    label: str = "",
) -> Figure:
    """The same estimand under every model tried, sorted, with a matrix of the models' choices below (Simonsohn et al. 2020).

    `frame` has one row a model: `model` (its name), `estimate`, `lower`, `upper` (0-1), and a column for each of the
    `choices` (column to heading, in the order of the matrix), whose levels are the lines below the heading. `dim` is (estimate,
    lower, upper) of the difference in means, drawn as a dashed line with its interval shaded. `chosen` is the model whose
    point is filled and whose column is shaded. `change` says that estimates are changes: percentage points around zero. Models
    are numbered from the left, the smallest estimate first; :func:`specification_order` has the numbers. Raises `InputError`
    on a missing column, no rows, no choices, or a chosen model that is not in the frame.
    """
    wanted = ["model", "estimate", "lower", "upper", *choices]
    if missing := [name for name in wanted if name not in frame.columns]:
        raise InputError(f"the frame has no column {', '.join(missing)}; it has {list(frame.columns)}")
    if frame.empty or not choices:
        raise InputError("the frame has no rows, or no choices were named, so there is nothing to draw")
    if chosen is not None and chosen not in set(frame["model"]):
        raise InputError(f"chosen model {chosen!r} is not in the frame; it has {list(frame['model'])}")
    ranked = frame.iloc[np.argsort(specification_order(frame), kind="stable")].reset_index(drop=True)
    marks = [interval_mark(row, "estimate", "lower", "upper") for _, row in ranked.iterrows()]
    beside = Mark(100 * dim[0], 100 * dim[1], 100 * dim[2]) if dim is not None else None
    also = [beside] if beside is not None else []
    told = label or ("Change in support, percentage points" if change else "Support, % of respondents")
    scale = points_scale(marks, also, told) if change else percent_scale([*marks, *also], told)
    special = [name == chosen for name in ranked["model"]]
    alt = _alt(ranked, marks, choices, chosen, beside, change)
    key = [Key("interval", "model: posterior median and 95 % interval"), *([Key("chosen", chosen)] if chosen else [])]
    key += [Key("dim band", "difference in means, 95 % confidence interval")] if beside else []
    return _composed(marks, scale, _lines(ranked, choices), special, beside, key, alt, (title, subtitle))


def specification_order(frame: pd.DataFrame) -> list[int]:
    """The number of each row's model in the figure: 1 for the smallest estimate; equal ones in the order of the frame."""
    order = np.argsort(frame["estimate"].to_numpy(dtype=float), kind="stable")
    return [int(number) for number in np.argsort(order, kind="stable") + 1]


def _lines(ranked: pd.DataFrame, choices: Mapping[str, str]) -> list[Line]:
    """Headings and levels from top to bottom; levels in the order of their first model."""
    lines = []
    for name, words in choices.items():
        lines.append(Line(fitted(words, WIDTH / 2, SMALL, "bold")))
        values = ranked[name].astype(str)
        lines += [Line(fitted(level, WIDEST - 0.2, SMALL), tuple(values == level)) for level in dict.fromkeys(values)]
    return lines


def _composed(
    marks: list[Mark], scale: Scale, lines: list[Line], special: list[bool], beside: Mark | None, key: list[Key], alt: str,
    words: tuple[str, str],
) -> Figure:  # fmt: skip
    """The page: heading, key, the curve, the matrix below it, and the numbers of the models where they have room."""
    left = max(measured(text, SMALL) for line in lines if line.models for text in line.text) + 0.2
    left = min(max(left, 0.75), WIDEST)
    above, below, start = heading(*words)
    level = start + LINE * 1.15 * len(key) + LINE * 0.8
    top = level + LINE * 0.5 + 0.1
    tall = [LINE * len(line.text) + (GAP if line.models else 2 * GAP) for line in lines]
    foot = top + HIGH + 0.1
    on = canvas(foot + sum(tall) + (LINE * 1.3 if len(marks) <= NUMBERED else 0.1))
    write_heading(on.page, above, below)
    write_key(on.page, key, start)
    on.page.text(EDGE, level, scale.label, size=SMALL, color=GREY, va="center_baseline")
    axes = panel(on, left, top, WIDTH - left - 0.05, HIGH)
    axes.set(xlim=(0.4, len(marks) + 0.6), ylim=scale.ends, xticks=[], yticks=scale.ticks)
    _draw_scale(axes, scale)
    _draw_curve(axes, marks, special, beside, scale.signed)
    _draw_matrix(on, lines, tall, left, foot, special)
    if len(marks) <= NUMBERED:
        for number in range(1, len(marks) + 1):
            x = _place(number, len(marks), left)
            on.page.text(x, foot + sum(tall) + LINE * 0.6, str(number), size=SMALL, color=GREY, ha="center", va="center_baseline",
                         weight="bold" if special[number - 1] else "normal")  # fmt: skip
    on.fig.set_label(alt)
    return on.fig


def _place(number: int, models: int, left: float) -> float:
    """Where the column of a model lies on the page, in inches."""
    return left + (WIDTH - left - 0.05) * (number - 0.4) / (models + 0.2)


def _draw_scale(axes: Axes, scale: Scale) -> None:
    """Rules at the ticks, grey ground where no share can be, a line at zero of changes."""
    numbers = [f"{t:+g}" if scale.signed and t else f"{t:g}" for t in scale.ticks]
    axes.set_yticklabels([number.replace("-", "\N{MINUS SIGN}") for number in numbers])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    for tick in scale.ticks:
        axes.axhline(tick, color=INK if scale.signed and tick == 0 else RULE, lw=0.7, zorder=0)
    if scale.possible:
        for start, stop in ((scale.ends[0], scale.possible[0]), (scale.possible[1], scale.ends[1])):
            if stop > start:
                axes.axhspan(start, stop, color=SHADE, zorder=-1, lw=0)


def _draw_curve(axes: Axes, marks: list[Mark], special: list[bool], beside: Mark | None, signed: bool) -> None:
    """An interval with its point for each model, the chosen one filled, and the difference in means behind them."""
    if beside is not None:
        axes.axhspan(beside.lower, beside.upper, color=DIM, alpha=0.1, lw=0, zorder=0.5)
        axes.axhline(beside.point, color=DIM, lw=1.1, ls=(0, (3, 1.5)), zorder=1)
    size = 5.5 if len(marks) <= NUMBERED else max(1.5, 60 / len(marks))
    for i, (mark, own) in enumerate(zip(marks, special, strict=True), start=1):
        axes.plot([i, i], [mark.lower, mark.upper], color=POSTERIOR, lw=1.8 if own else 1.2, zorder=3)
        axes.plot([i], [mark.point], "o", color=POSTERIOR if own else "white", mec=POSTERIOR, mew=min(1.6, size / 3),
                  ms=size + 1.5 * own, zorder=4 + own)  # fmt: skip
        if len(marks) <= NUMBERED:
            axes.annotate(percent_words(mark, signed=signed).split(" ")[0], (i, mark.upper), (0, 2),
                          textcoords="offset points", size=SMALL, color=POSTERIOR, weight="bold" if own else "normal", ha="center",
                          va="bottom", zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4})  # fmt: skip


def _draw_matrix(on: Canvas, lines: list[Line], tall: list[float], left: float, foot: float, special: list[bool]) -> None:
    """One line a level: a filled square where a model made that choice, a small dot where it did not."""
    if any(special):
        half = (WIDTH - left - 0.05) / (len(special) + 0.2) / 2
        x = _place(special.index(True) + 1, len(special), left)
        on.page.fill_between([x - half, x + half], foot, foot + sum(tall), color=SHADE, lw=0, zorder=0)
    y = foot
    for line, height in zip(lines, tall, strict=True):
        middle = y + height / 2 + (GAP / 2 if not line.models else 0)
        first = middle - LINE * (len(line.text) - 1) / 2
        for i, text in enumerate(line.text):
            on.page.text(EDGE if not line.models else 0.1, first + LINE * i, text, size=SMALL, va="center_baseline",
                         weight="normal" if line.models else "bold")  # fmt: skip
        size = min(6.0, 70 / max(len(line.models), 1))
        for number, made in enumerate(line.models, start=1):
            x = _place(number, len(line.models), left)
            on.page.plot([x], [middle], "s" if made else ".", color=INK if made else RULE, ms=size if made else size / 2, mew=0)
        y += height


def _alt(ranked: pd.DataFrame, marks: list[Mark], choices: Mapping[str, str], chosen: str | None, beside: Mark | None, change: bool) -> str:
    """Every model with its choices where they are few, the ends where they are many."""
    said = []
    for i, ((_, row), mark) in enumerate(zip(ranked.iterrows(), marks, strict=True), start=1):
        own = " (chosen)" if row["model"] == chosen else ""
        said.append(f"{i} {row['model']}{own} ({', '.join(str(row[name]) for name in choices)}): {percent_words(mark, signed=change)}")
    if len(said) > NUMBERED:
        said = [f"{len(said)} models, from {said[0]}, to {said[-1]}"]
    more = f" Difference in means: {percent_words(beside, signed=change)}." if beside else ""
    return f"{'Change in support' if change else 'The estimate'} under each model, the smallest first. {'; '.join(said)}.{more}"
