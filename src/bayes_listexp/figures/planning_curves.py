"""Figures of a plan against the number of respondents: precision of each design, power of a change, bias that a list is worth."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_listexp.errors import InputError
from bayes_listexp.figures.style import (
    DIM,
    GREY,
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
from bayes_listexp.planning.alternatives import Estimate, break_even_bias
from bayes_listexp.planning.precision import power
from bayes_listexp.planning.scenario import Scenario

HIGH = 2.5  # inches
COLOURS = (POSTERIOR, DIM, "#3b7d4f", "#7a4ea3", "#8a6d00", GREY)
DASHES: tuple[object, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1.2)), (0, (7, 2, 1, 2)), (0, (4, 4)))


@styled
def planning_precision(
    estimates: Sequence[Estimate], *, largest: int = 3000, marked: Sequence[int] = (), title: str = "", subtitle: str = ""
) -> Figure:
    """Root mean squared error (points) of each design against the number of respondents, biases included.

    ``estimates`` are designs of :mod:`bayes_listexp.planning`; ``marked`` sizes get a vertical line. Raises `InputError` without designs.
    """
    if not estimates:
        raise InputError("no designs were given, so there is nothing to draw")
    n = np.geomspace(max(20, largest / 40), largest, 120)
    curves = {e.design: np.array([100 * e.rmse(float(size)) for size in n]) for e in estimates}
    said = "; ".join(f"{e.design} {100 * e.rmse(largest):.1f} points" for e in estimates)
    top = min(30.0, max(float(curve.max()) for curve in curves.values()))
    return _curves(n, curves, marked, "Respondents", "Root mean squared error, points", title, subtitle,
                   f"Error by number of respondents. With {largest:,}: {said}.", top=top)  # fmt: skip


@styled
def planning_power(
    units: Mapping[str, float], effect: float, *, largest: int = 3000, marked: Sequence[int] = (), wanted: float = 0.8, level: float = 0.05,
    sides: int = 2, across_label: str = "Respondents in each wave", title: str = "", subtitle: str = "",
) -> Figure:  # fmt: skip
    """Power to find an effect (0-1 units) against the number of respondents, a curve for each unit variance by its name.

    ``wanted`` is marked by a horizontal line, ``marked`` sizes by vertical ones. Raises `InputError` without curves.
    """
    if not units:
        raise InputError("no unit variances were given, so there is nothing to draw")
    n = np.linspace(max(20, largest / 100), largest, 150)
    curves = {name: np.array([100 * power(effect, sqrt(unit / size), level=level, sides=sides) for size in n])
              for name, unit in units.items()}  # fmt: skip
    said = "; ".join(f"{name} {curve[-1]:.0f} %" for name, curve in curves.items())
    return _curves(n, curves, marked, across_label, "Power, %", title, subtitle,
                   f"Power to find {100 * effect:+.0f} points. With {largest:,} respondents: {said}.", top=100.0, across=100 * wanted)


@styled
def planning_break_even(
    scenario: Scenario, *, share: float = 0.5, largest: int = 3000, marked: Sequence[int] = (), title: str = "", subtitle: str = ""
) -> Figure:
    """The bias of a direct question, towards saying no, beyond which a list of the same size has the smaller squared error."""
    n = np.geomspace(max(20, largest / 60), largest, 120)
    bias = np.array([-100 * break_even_bias(scenario, float(size), share)[0] for size in n])
    curves = {"break-even bias": bias}
    last = f"{bias[-1]:.1f} points" if np.isfinite(bias[-1]) else "none is possible"
    top = 100 * scenario.prevalence
    return _curves(n, curves, marked, "Respondents", "Share that wrongly says no, % of all", title, subtitle,
                   f"Bias of a direct question beyond which the list is better. With {largest:,} respondents: {last}.",
                   top=max(top, 1.0), zones=("list is better", "direct question is better"))  # fmt: skip


def _curves(
    n: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]], marked: Sequence[int], across_label: str, label: str, title: str,
    subtitle: str, alt: str, *, top: float, across: float | None = None, zones: tuple[str, str] | None = None,
) -> Figure:  # fmt: skip
    above, below, start = heading(title, subtitle)
    rows = [] if zones else _key_rows(list(curves))
    start_axes = start + LINE * 1.25 * len(rows) + 0.1 + LINE * 1.2 + (LINE if marked else 0)
    on = canvas(start_axes + HIGH + 0.55)
    write_heading(on.page, above, below)
    names = list(curves)
    for row, entries in enumerate(rows):
        for left, name in entries:
            i, y = names.index(name), start + LINE * (0.6 + 1.25 * row)
            on.page.plot([left, left + 0.34], [y, y], color=COLOURS[i % 6], lw=1.8, ls=DASHES[i % 6])
            on.page.text(left + 0.42, y, name, size=SMALL, va="center_baseline")
    on.page.text(0.03, start_axes - LINE * 0.7 - (LINE if marked else 0), label, color=GREY, va="center_baseline")
    axes = panel(on, 0.42, start_axes, WIDTH - 0.72, HIGH)
    axes.set(xlim=(0, float(n[-1]) * 1.01), ylim=(0, top * 1.03))
    if zones:
        curve = next(iter(curves.values()))
        axes.fill_between(n, np.where(np.isfinite(curve), curve, top * 2), top * 2, color=SHADE, lw=0)
        axes.annotate(zones[0], (0.97, 0.93), xycoords="axes fraction", ha="right", va="top", size=SMALL)
        axes.annotate(zones[1], (0.03, 0.05), xycoords="axes fraction", ha="left", va="bottom", size=SMALL)
    for i, curve in enumerate(curves.values()):
        axes.plot(n, curve, color=COLOURS[i % 6], lw=1.8, ls=DASHES[i % 6], zorder=3)
    if across is not None:
        axes.axhline(across, color=GREY, lw=0.8, ls=":", zorder=2)
    _mark_sizes(axes, marked)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    on.page.text(WIDTH / 2, on.height - 0.12, across_label, ha="center", va="center")
    on.fig.set_label(alt)
    return on.fig


def _mark_sizes(axes: Axes, marked: Sequence[int]) -> None:
    """Vertical lines with their sizes above; those that would overlap their neighbour stay unlabelled."""
    last = -np.inf
    for size in sorted(marked):
        axes.axvline(size, color=GREY, lw=0.8, ls=":", zorder=2)
        place = size / axes.get_xlim()[1] * (WIDTH - 0.72)
        if place - last > 0.42:
            axes.annotate(f"{size:,}", (size, 1.02), xycoords=axes.get_xaxis_transform(), size=SMALL, color=GREY, ha="center", va="bottom")
            last = place


def _key_rows(names: list[str]) -> list[list[tuple[float, str]]]:
    """Entries of the key with their left ends, broken into rows that fit the page."""
    rows: list[list[tuple[float, str]]] = [[]]
    left = 0.03
    for name in names:
        wide = 0.42 + max(measured(line, SMALL) for line in fitted(name, WIDTH - 0.6, SMALL)) + 0.2
        if rows[-1] and left + wide > WIDTH:
            rows.append([])
            left = 0.03
        rows[-1].append((left, name))
        left += wide
    return rows
