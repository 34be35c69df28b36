"""Maps of a survey's estimates on which every region is a tile of the same size."""

from typing import NamedTuple

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bayes_listexp.figures.forest import Mark
from bayes_listexp.figures.map_scale import (
    EMPTY,
    NO_BREAK,
    OUTLINE,
    ColourScale,
    bar_ends,
    draw_colour_bar,
    draw_empty_key,
    draw_interval,
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
)
from bayes_listexp.figures.style import (
    EDGE,
    GREY,
    INK,
    LINE,
    SMALL,
    TEXT,
    WIDTH,
    canvas,
    fitted,
    heading,
    measured,
    styled,
    write_heading,
)
from bayes_listexp.geography import check_tiles, refuse_unplaced

GAP = 0.05  # inches between tiles
ROOMY = 0.6  # inches: a tile as wide as this has room for its name and its interval in numbers
TINY = 0.33  # narrower than this two maps do not stand side by side
NAME = 7.2  # points


class Grid(NamedTuple):
    """How large tiles are and how many maps stand side by side."""

    across: int
    pitch: float
    height: float
    rows: int
    columns: int

    @property
    def roomy(self) -> bool:
        """Whether a tile has room for words."""
        return self.pitch >= ROOMY


@styled
def tile_grid(
    draws: xr.DataArray,
    tiles: pd.DataFrame,
    *,
    along: str | None = None,
    change: bool = False,
    title: str = "",
    subtitle: str = "",
    label: str = "",
) -> Figure:
    """A map on which every region is a tile of the same size, so that small regions are seen as well as large ones.

    `draws` has dims (chain, draw, region), 0-1; any name will do for the region. With `along` (the wave) there is a small map
    for each of its levels. `tiles` has the columns `region`, `row` (downwards), `column`, and where wanted `code`, a short
    name for small tiles. A tile is coloured by the posterior median, carries it as a number, and has the 95 % interval as a
    line at its foot, in large tiles in numbers too. `change` says that the draws are changes: colours diverge from zero. A
    region without draws is an empty tile. `label` says what the colours are.

    Raises `InputError` when a level of the draws has no tile (with the closest names), when tiles overlap, and when a draw is
    not finite; a region whose draws are all NaN counts as one without draws.
    """
    places = check_tiles(tiles)
    marks = marks_by_region(draws, along)
    refuse_unplaced(names_of(marks), list(places.index), "tiles")
    empty = gaps_of(marks, places.index)
    grid = _grid(places, len(marks))
    signs = _signs(places, grid)
    scale, ends = scale_of(marks, change), bar_ends(marks, change)
    above, below, top = heading(title, subtitle)
    words = label_of(label, change)
    begin = top + legend_height(words)
    key = fitted(_key(signs), WIDTH - 2 * EDGE, SMALL)
    each = grid.rows * grid.height + (0.34 if along else 0.05)
    foot = begin + each * -(-len(marks) // grid.across)
    on = canvas(foot + LINE * len(key) + (0.12 if key else 0.02))
    write_heading(on.page, above, below)
    _legend(on.page, top, scale, words, ends, bool(empty))
    for number, (wave, values) in enumerate(marks.items()):
        left = EDGE + number % grid.across * (WIDTH / grid.across)
        down = begin + number // grid.across * each
        on.page.text(left, down + 0.02, wave, weight="bold", va="top")
        axes = plane(on, left, down + each - grid.rows * grid.height, grid.columns * grid.pitch, grid.rows * grid.height)
        for name, row, column in zip(places.index, places["row"], places["column"], strict=True):
            corner = ((column - places["column"].min()) * grid.pitch, (row - places["row"].min()) * grid.height)
            _draw_tile(axes, corner, grid, name, signs[name], values.get(name), scale, ends)
    on.page.text(EDGE, foot + 0.06, "\n".join(key), size=SMALL, color=GREY, va="top", linespacing=1.35)
    on.fig.set_label(map_alt(marks, empty, change))
    return on.fig


def _legend(page: Axes, top: float, scale: ColourScale, label: list[str], ends: tuple[float, float], empty: bool) -> None:
    """What the colour, the line at the foot of a tile and an empty tile mean."""
    draw_colour_bar(page, EDGE, top, scale, label)
    left = 2.55
    point, lower, upper = (ends[0] + share * (ends[1] - ends[0]) for share in (0.48, 0.25, 0.68))
    draw_interval(page, left, top + LINE + 0.08, 0.5, Mark(point, lower, upper), ends, INK, "#ffffff")
    unit = "points" if scale.signed else "%"
    low, high = (number_words(end, scale.signed) for end in ends)
    words = f"95 % interval and median, from {low} to {high} {unit}"
    lines = fitted(words, WIDTH - left - 0.65, SMALL)
    page.text(left + 0.6, top + LINE - 0.04, "\n".join(lines), size=SMALL, color=GREY, va="top")
    if empty:
        draw_empty_key(page, left, top - 0.02)


def _grid(places: pd.DataFrame, maps: int) -> Grid:
    """Two maps side by side where tiles stay large enough, else below one another."""
    rows, columns = (int(places[name].max() - places[name].min()) + 1 for name in ("row", "column"))
    room = WIDTH - 2 * EDGE
    across = 2 if maps > 1 and (room - 0.2) / 2 / columns >= TINY else 1
    pitch = min((room - 0.2 * (across - 1)) / across / columns, 0.8)
    return Grid(across, pitch, 0.8 if pitch >= ROOMY else 0.46, rows, columns)


def _signs(places: pd.DataFrame, grid: Grid) -> dict[str, str]:
    """What stands in each region's tile: its name where that fits, else its code, else a number."""
    signs = {}
    for number, (name, code) in enumerate(places["code"].items(), start=1):
        fits = len(_name_lines(str(name), grid)) <= (2 if grid.roomy else 1) and not (code and not grid.roomy)
        signs[str(name)] = str(name) if fits else code or str(number)
    return signs


def _key(signs: dict[str, str]) -> str:
    """The names that codes and numbers stand for, in the order of these; short names are not broken over two lines."""
    short = {name: sign for name, sign in signs.items() if sign != name}
    said = [f"{sign}{NO_BREAK}{name if len(name) > 40 else name.replace(' ', NO_BREAK)}" for name, sign in short.items()]
    ranked = sorted(zip(short.values(), said, strict=True), key=lambda pair: (len(pair[0]), pair[0]))
    return " · ".join(text for _, text in ranked)


def _name_lines(name: str, grid: Grid) -> list[str]:
    """The name in lines as wide as a tile; as many as there are letters where a word would have to be broken."""
    width = grid.pitch - GAP - 0.06
    if measured(name, NAME) > 3 * width:
        return list(name)
    lines = fitted(name, width, NAME)
    return lines if " ".join(lines).split() == name.split() else list(name)


def _draw_tile(
    axes: Axes, corner: tuple[float, float], grid: Grid, name: str, sign: str, mark: Mark | None, scale: ColourScale,
    ends: tuple[float, float],
) -> None:
    """One tile: its sign, the median, the interval; the same place empty where there is no estimate."""
    (left, top), width, height = corner, grid.pitch - GAP, grid.height - GAP
    colour = scale.colour(mark.point) if mark is not None else "#ffffff"
    ink = ink_on(colour)
    style = OUTLINE if mark is not None else EMPTY
    axes.add_patch(Rectangle((left, top), width, height, label=name, **{**style, "facecolor": colour}))
    middle = left + width / 2
    lines = _name_lines(sign, grid) if grid.roomy else [sign]
    place = 0.06 if len(lines) == 2 or not grid.roomy else 0.11
    for number, line in enumerate(lines):
        axes.text(middle, top + place + 0.115 * number, line, size=NAME, color=ink, ha="center", va="top")
    if mark is None:
        return
    words = number_words(mark.point, scale.signed) + ("" if scale.signed or not grid.roomy else " %")
    down = 0.415 if grid.roomy else 0.24
    size = TEXT + 2.5 if grid.roomy else TEXT
    axes.text(middle, top + down, words, size=size, weight="bold", color=ink, ha="center", va="center")
    if grid.roomy:
        between = f"{number_words(mark.lower, scale.signed)} to {number_words(mark.upper, scale.signed)}"
        axes.text(middle, top + 0.575, between, size=NAME, color=ink, ha="center", va="center")
    draw_interval(axes, left + 0.05, top + height - 0.06, width - 0.1, mark, ends, ink, colour)
