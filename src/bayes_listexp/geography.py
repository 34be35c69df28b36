"""Where regions are: tiles of a grid, polygons of a GeoJSON, an equal-area plane, and that every level has its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_listexp.errors import InputError

type Ring = NDArray[np.float64]
type Polygons = tuple[tuple[Ring, ...], ...]
"""Polygons of one region: each its outer ring, counter-clockwise, and then its holes, clockwise; a ring is (points, 2)."""

TILE_COLUMNS = ("region", "row", "column")


@dataclass(frozen=True)
class RegionMap:
    """How the levels of a column are drawn on a map: as tiles of a grid or as polygons, one of the two.

    ``tiles`` is a table as :func:`check_tiles` takes it; ``geojson`` a mapping whose features are called by their property
    ``key``. ``wave`` is the one wave to show; None shows every wave, of more than six the last.
    """

    column: str
    tiles: pd.DataFrame | None = None
    geojson: Mapping[str, Any] | None = None
    key: str = "name"
    wave: str | None = None

    def __post_init__(self) -> None:
        if (self.tiles is None) == (self.geojson is None):
            raise InputError(f"the map of '{self.column}' needs either tiles or a geojson, not both.")

    @property
    def places(self) -> list[str]:
        """Names of the regions that have a place on the map."""
        if self.tiles is not None:
            return list(check_tiles(self.tiles).index)
        return list(polygons_of(self.geojson or {}, self.key))


def check_tiles(tiles: pd.DataFrame) -> pd.DataFrame:
    """A tile grid, checked: whole ``row`` (downwards) and ``column`` (to the right), text ``code``, indexed by ``region``.

    ``code`` is a short name for small tiles, empty where the table has none.

    Raises
    ------
    InputError : a column is missing, a place is no whole number, a region occurs twice, or two regions share a tile.
    """
    if missing := [name for name in TILE_COLUMNS if name not in tiles.columns]:
        raise InputError(f"tiles: column '{missing[0]}' is missing; there are: {', '.join(map(str, tiles.columns))}.")
    if tiles.empty or tiles["region"].isna().any():
        raise InputError("tiles: every row needs a region, and there must be at least one.")
    names = tiles["region"].astype(str)
    for name in ("row", "column"):
        numbers = pd.to_numeric(tiles[name], errors="coerce").astype(float)
        wrong = ~(numbers % 1 == 0)
        if wrong.any():
            raise InputError(f"tiles: column '{name}' of region '{names[wrong].iloc[0]}' must be a whole number, found "
                             f"'{tiles[name][wrong].iloc[0]}'.")
    if names.duplicated().any():
        raise InputError(f"tiles: region '{names[names.duplicated()].iloc[0]}' has more than one tile.")
    where = tiles[["row", "column"]].astype(float).astype(int)
    if where.duplicated().any():
        row, column = where[where.duplicated()].iloc[0]
        shared = names[(where["row"] == row) & (where["column"] == column)]
        raise InputError(f"tiles: {' and '.join(map(repr, shared))} have the same tile, row {row} and column {column}.")
    code = tiles["code"].fillna("").astype(str) if "code" in tiles.columns else ""
    return where.assign(region=names, code=code).set_index("region").sort_values(["row", "column"])


def refuse_unplaced(levels: Iterable[str], places: Sequence[str], what: str) -> None:
    """Check that every level with draws has a place on the map.

    Raises
    ------
    InputError : it names every level without a place, and for the first the names that come closest.
    """
    lost = [level for level in levels if level not in places]
    if not lost:
        return
    close = difflib.get_close_matches(lost[0], places, n=3, cutoff=0.5)
    hint = f"Closest to '{lost[0]}': {', '.join(close)}." if close else f"There are: {', '.join(sorted(places))}."
    raise InputError(f"{what}: no place for {', '.join(map(repr, lost))}. {hint} Add the place, or recode the data.")


def polygons_of(geojson: Mapping[str, Any], key: str = "name") -> dict[str, Polygons]:
    """The polygons of every feature of a GeoJSON (RFC 7946), by the feature's property ``key``; degrees east and north.

    Rings are turned so that holes are holes, whichever way the file winds them. Where a map crosses the 180th meridian,
    longitudes west of it are counted onwards beyond 180.

    Raises
    ------
    InputError : not a FeatureCollection, a feature without that property or with the name of another, a geometry other than
        Polygon and MultiPolygon, a ring that is not closed, a position that is none; the message has the fault's place.
    """
    features = geojson.get("features") if isinstance(geojson, Mapping) else None
    if not isinstance(features, list) or geojson.get("type") != "FeatureCollection" or not features:
        raise InputError("GeoJSON: must be an object of type 'FeatureCollection' with a list of 'features'.")
    found: dict[str, Polygons] = {}
    where: dict[str, str] = {}
    for number, feature in enumerate(features):
        place = f"GeoJSON, features[{number}]"
        name = _name(feature, key, place)
        if name in found:
            raise InputError(f"{place}: '{name}' is also the name of {where[name]}. Name regions by another property (key=), "
                             "or put all polygons of a region into one MultiPolygon.")
        found[name], where[name] = _polygons(feature.get("geometry"), f"{place} ('{name}').geometry"), f"features[{number}]"
    return _unbroken(found)


def _name(feature: Any, key: str, place: str) -> str:
    if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
        raise InputError(f"{place}: must be an object of type 'Feature'.")
    properties = feature.get("properties") or {}
    if not isinstance(properties, Mapping) or properties.get(key) is None:
        known = ", ".join(map(str, properties)) or "none"
        raise InputError(f"{place}: has no property '{key}' to name it by; its properties are: {known}. Name one with key=.")
    return str(properties[key])


def _polygons(geometry: Any, place: str) -> Polygons:
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    coordinates = geometry.get("coordinates") if isinstance(geometry, Mapping) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise InputError(f"{place}: must be a Polygon or a MultiPolygon, found {kind or geometry!r}.")
    parts = {f"{place}.coordinates": coordinates}
    if kind == "MultiPolygon":
        parts = {f"{place}.coordinates[{i}]": part for i, part in enumerate(_listed(coordinates, f"{place}.coordinates"))}
    return tuple(
        tuple(
            _wound(_ring(ring, f"{where}[{i}]"), outer=i == 0) for i, ring in enumerate(_listed(part, where))
        )
        for where, part in parts.items()
    )


def _listed(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{place}: must be a list that is not empty, found {_short(value)}.")
    return list(value)


def _ring(ring: Any, place: str) -> Ring:
    """One closed ring in degrees."""
    for number, position in enumerate(_listed(ring, place)):
        at = f"{place}[{number}]"
        if not isinstance(position, list | tuple) or len(position) < 2 or not all(map(_is_number, position[:2])):
            raise InputError(f"{at}: must be [longitude, latitude], found {_short(position)}.")
        if abs(position[0]) > 360 or abs(position[1]) > 90:
            raise InputError(f"{at}: {_short(position)} is no longitude and latitude in degrees. Save the map in WGS 84 (EPSG:4326).")
    points = np.array([position[:2] for position in ring], dtype=float)
    if len(points) < 4 or not (points[0] == points[-1]).all():
        raise InputError(f"{place}: a ring has at least four positions and ends where it begins, found {len(points)} from "
                         f"{_short(list(ring[0]))} to {_short(list(ring[-1]))}.")
    return points


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def ring_area(ring: Ring) -> float:
    """Signed area of a ring in the plane: positive where it runs counter-clockwise."""
    x, y = (ring - ring[0]).T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _wound(ring: Ring, *, outer: bool) -> Ring:
    return ring if (ring_area(ring) >= 0) == outer else ring[::-1]


def _unbroken(regions: dict[str, Polygons]) -> dict[str, Polygons]:
    """The map in one piece: across the 180th meridian longitudes run on instead of starting again."""
    east = np.concatenate([ring[:, 0] for polygons in regions.values() for polygon in polygons for ring in polygon])
    if np.ptp(east) <= 180 or np.ptp(east % 360) >= np.ptp(east):
        return regions
    return {name: tuple(tuple(_eastward(ring) for ring in polygon) for polygon in polygons) for name, polygons in regions.items()}


def _eastward(ring: Ring) -> Ring:
    return np.column_stack([np.where(ring[:, 0] < 0, ring[:, 0] + 360, ring[:, 0]), ring[:, 1]])


def projected(regions: Mapping[str, Polygons]) -> dict[str, Polygons]:
    """The regions on a plane that keeps areas: Albers' conic projection of the sphere, in earth radii.

    The standard parallels lie a sixth of the map's height from its lower and upper edge (Snyder 1987, "Map projections: a
    working manual", section 14); on a map about the equator, where the cone has no tip, it is Lambert's cylinder.
    """
    every = np.radians(np.concatenate([ring for polygons in regions.values() for polygon in polygons for ring in polygon]))
    (west, south), (east, north) = every.min(axis=0), every.max(axis=0)
    lower, upper = south + (north - south) / 6, north - (north - south) / 6
    cone, middle = (np.sin(lower) + np.sin(upper)) / 2, (west + east) / 2

    def placed(ring: Ring) -> Ring:
        longitude, latitude = np.radians(ring).T
        if abs(cone) < 0.01:
            return np.column_stack([(longitude - middle) * np.cos(lower), np.sin(latitude) / np.cos(lower)])
        radius = np.sqrt(np.cos(lower) ** 2 + 2 * cone * np.sin(lower) - 2 * cone * np.sin(latitude)) / cone
        angle = cone * (longitude - middle)
        return np.column_stack([radius * np.sin(angle), -radius * np.cos(angle)])

    return {name: tuple(tuple(placed(r) for r in polygon) for polygon in polygons) for name, polygons in regions.items()}
