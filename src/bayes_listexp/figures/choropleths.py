"""Maps of a survey's estimates on polygons from a GeoJSON."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from bayes_listexp.figures.forest import percent_words
from bayes_listexp.figures.map_scale import (
    EMPTY,
    NO_BREAK,
    ColourScale,
    Marks,
    draw_colour_bar,
    draw_empty_key,
    gaps_of,
    ink_on,
    label_of,
    legend_height,
    map_alt,
    marks_by_region,
    names_of,
    number_words,
    plane,
    scale_of,
    width_scale,
)
from bayes_listexp.figures.style import (
    EDGE,
    GREY,
    LINE,
    SMALL,
    WIDTH,
    canvas,
    fitted,
    heading,
    measured,
    styled,
    write_heading,
)
from bayes_listexp.geography import Polygons, Ring, polygons_of, projected, refuse_unplaced, ring_area

ROOM = WIDTH - 2 * EDGE
BETWEEN = 0.14  # inches
DETAIL = 0.006  # inches: finer than this a border is not drawn
NUMBER = 7.0  # points
HIGHEST = 1.3  # widths
SMALLEST = 0.02  # square inches: a white border would hide the colour of what is smaller


class Shape(NamedTuple):
    """A region in inches, downwards from the upper left corner of the map: its outline with holes, and its area."""

    path: Path
    area: float


class Paper(NamedTuple):
    """A map on paper: the regions, the largest first, and its width and height in inches."""

    shapes: dict[str, Shape]
    width: float
    height: float


@styled
def choropleth(
    draws: xr.DataArray,
    geojson: Mapping[str, Any],
    *,
    key: str = "name",
    along: str | None = None,
    change: bool = False,
    title: str = "",
    subtitle: str = "",
    label: str = "",
) -> Figure:
    """A map of polygons coloured by the posterior median, and beside it a map of how wide the 95 % intervals are.

    `draws` as in `tile_grid`, with `along` one pair of maps for each level; `geojson` is a FeatureCollection, as
    :func:`bayes_listexp.read_regions` gives it, its features called by the property `key`. Areas are kept true (Albers'
    projection). A number stands in every polygon that has room for it; the others are listed below with their intervals. A
    polygon without draws is drawn empty. Small regions lie above large ones, so that a city without a hole around it is seen.

    Raises `InputError` when a level of the draws has no polygon (with the closest names), on a GeoJSON that cannot be
    drawn, and when a draw is not finite.
    """
    regions = polygons_of(geojson, key)
    marks = marks_by_region(draws, along)
    refuse_unplaced(names_of(marks), list(regions), f"GeoJSON, regions by '{key}'")
    empty = gaps_of(marks, regions)
    widths = (ROOM, 0.62 * ROOM) if len(marks) == 1 else ((ROOM - BETWEEN) / 2,) * 2
    paper = [_on_paper(projected(regions), width) for width in widths]
    scales = (scale_of(marks, change), width_scale(marks))
    spots = _spots(paper[0].shapes, _longest_numbers(marks, change))
    lines = _list_of_others(marks, spots, change)
    above, below, top = heading(title, subtitle)
    words = label_of(label, change)
    begin = top + legend_height(words) + (0.2 if empty else 0)
    places, foot = _places(begin, list(marks), paper)
    on = canvas(foot + LINE * len(lines) + 0.1)
    write_heading(on.page, above, below)
    draw_colour_bar(on.page, EDGE, top, scales[0], words)
    draw_colour_bar(on.page, EDGE + (ROOM + BETWEEN) / 2, top, scales[1], ["Width of the 95 % interval, points"])
    if empty:
        draw_empty_key(on.page, EDGE, begin - 0.2)
    for (wave, measure), (left, down) in places.items():
        values = {n: m.upper - m.lower if measure else m.point for n, m in marks[wave].items()}
        over = wave if not measure else "" if wave else "Width of the intervals"
        on.page.text(left, down - 0.22, over, size=SMALL, weight="bold", va="top")
        axes = plane(on, left, down, widths[measure], paper[measure].height)
        _draw_regions(axes, paper[measure].shapes, values, scales[measure], spots if not measure else {})
    on.page.text(EDGE, foot, "\n".join(lines), size=SMALL, color=GREY, va="top", linespacing=1.35)
    on.fig.set_label(map_alt(marks, empty, change))
    return on.fig


def _places(
    top: float, waves: list[str], paper: list[Paper]
) -> tuple[dict[tuple[str, int], tuple[float, float]], float]:
    """Upper left corner of the map of the medians (0) and of the widths (1) of each wave, and where the last one ends."""
    if len(waves) == 1:
        first = top + (0.25 if waves[0] else 0.0)
        second = first + paper[0].height + 0.3
        return {(waves[0], 0): (EDGE, first), (waves[0], 1): (EDGE, second)}, second + paper[1].height + 0.1
    each = paper[0].height + 0.32
    corners = {(w, m): (EDGE + m * (paper[0].width + BETWEEN), top + 0.25 + i * each) for i, w in enumerate(waves) for m in (0, 1)}
    return corners, top + each * len(waves) + 0.1


def _longest_numbers(marks: Marks, change: bool) -> dict[str, str]:
    """The longest number of every region, so that it stands at the same place in every wave."""
    return {name: max((number_words(values[name].point, change) for values in marks.values() if name in values), key=len)
            for name in names_of(marks)}  # fmt: skip


def _list_of_others(marks: Marks, spots: Mapping[str, Any], change: bool) -> list[str]:
    """The estimates that have no room on the map, in lines, those of several waves after one another."""
    said = []
    for name in [name for name in names_of(marks) if name not in spots]:
        words = [percent_words(values[name], signed=change) if name in values else "no estimate" for values in marks.values()]
        said.append(f"{name} {', '.join(word.replace(' ', NO_BREAK) for word in words)}")
    order = ", in the order of the maps" if len(marks) > 1 else ""
    return fitted(f"Too small for a number{order}: {'; '.join(said)}", ROOM, SMALL) if said else []


def _on_paper(regions: Mapping[str, Polygons], width: float) -> Paper:
    """The regions in inches; a map that is higher than wide is made smaller, so that it keeps to the page."""
    every = np.concatenate([ring for polygons in regions.values() for polygon in polygons for ring in polygon])
    low, high = every.min(axis=0), every.max(axis=0)
    inches = width / max(high[0] - low[0], (high[1] - low[1]) / HIGHEST)
    shapes = {}
    for name, polygons in regions.items():
        rings = [np.abs(ring - [low[0], high[1]]) * inches for polygon in polygons for ring in polygon]
        area = sum(ring_area(ring) for polygon in polygons for ring in polygon) * inches**2
        shapes[name] = Shape(Path.make_compound_path(*(Path(_thinned(ring), closed=True) for ring in rings)), area)
    ranked = dict(sorted(shapes.items(), key=lambda item: -item[1].area))
    return Paper(ranked, width, float((high[1] - low[1]) * inches))


def _thinned(ring: Ring) -> Ring:
    """A ring without details that no print shows; borders that two regions share stay the same for both."""
    snapped = np.round(ring / DETAIL) * DETAIL
    kept = snapped[np.append(True, (np.diff(snapped, axis=0) != 0).any(axis=1))]
    return kept if len(kept) >= 4 else ring


def _spots(shapes: Mapping[str, Shape], words: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """Where each number stands: inside its region, as near to the middle as it fits; numbers without room are left out."""
    found = {}
    names = list(shapes)
    for number, name in enumerate(names):
        above = [shapes[other].path for other in names[number + 1 :]]
        if name in words and (spot := _spot(shapes[name].path, above, measured(words[name], NUMBER, "bold"))) is not None:
            found[name] = spot
    return found


def _spot(path: Path, above: list[Path], width: float) -> tuple[float, float] | None:
    """The point nearest to the region's middle around which a box of a number's size is inside, and under no other region."""
    box = path.get_extents()
    across, down = (np.linspace(low, high, 40) for low, high in ((box.x0, box.x1), (box.y0, box.y1)))
    points = np.array([(x, y) for x in across for y in down])
    points = points[path.contains_points(points)]
    if not len(points):
        return None
    middle = points.mean(axis=0)
    points = points[np.argsort(((points - middle) ** 2).sum(axis=1), kind="stable")]
    edge = np.array([(x, y) for x in np.linspace(-0.5, 0.5, 7) for y in np.linspace(-0.5, 0.5, 5)]) * [width + 0.025, 0.09]
    boxes = points[:, None, :] + edge
    free = path.contains_points(boxes.reshape(-1, 2))
    for other in above:
        if other.get_extents().overlaps(box):
            free &= ~other.contains_points(boxes.reshape(-1, 2))
    whole = free.reshape(len(points), -1).all(axis=1)
    return (float(points[whole][0][0]), float(points[whole][0][1])) if whole.any() else None


def _draw_regions(
    axes: Axes, shapes: Mapping[str, Shape], values: Mapping[str, float], scale: ColourScale, spots: Mapping[str, tuple[float, float]]
) -> None:
    """Every region as one patch, the largest first, and the numbers above them all."""
    for name, shape in shapes.items():
        border = 0.6 if shape.area > SMALLEST else 0.25
        style = {"facecolor": scale.colour(values[name]), "edgecolor": "#ffffff", "linewidth": border} if name in values else EMPTY
        axes.add_patch(PathPatch(shape.path, label=name, **style))
    for name, (x, y) in ((name, spot) for name, spot in spots.items() if name in values):
        ink = ink_on(scale.colour(values[name]))
        axes.text(x, y, number_words(values[name], scale.signed), size=NUMBER, weight="bold", color=ink, ha="center", va="center_baseline")
