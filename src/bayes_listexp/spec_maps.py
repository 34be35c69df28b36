"""What a spec says of maps: ``[report.map]`` with a column and either the tiles or the polygons of its levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import MISSING_LEVEL
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.geography import RegionMap, check_tiles, refuse_unplaced
from bayes_listexp.read import read_regions, read_survey
from bayes_listexp.spec_lines import line_of

MAP_KEYS = ("column", "tiles", "geojson", "key", "wave")
EXAMPLE = 'column = "region", tiles = "bundled:kazakhstan_regions.csv", or geojson = "file.geojson", key = "name"'


def check_map(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """Check all of ``[report.map]`` that no file need be read for.

    Raises
    ------
    InputError : a key that there is not, a value that is no text, no column, or not one of tiles and geojson; with file and line.
    """
    given = tables.get("report", {}).get("map")
    if given is None:
        return
    for key, value in given.items():
        if key not in MAP_KEYS:
            raise _fault(path, text, key, f"'{key}' is not known here; there are: {', '.join(MAP_KEYS)}.")
        if not isinstance(value, str):
            raise _fault(path, text, key, f"'{key}' must be of type str, found {value!r}.")
    if "column" not in given or len({"tiles", "geojson"} & set(given)) != 1:
        raise _fault(path, text, "", f"needs {EXAMPLE}.")
    if "key" in given and "geojson" not in given:
        raise _fault(path, text, "key", "'key' names the regions of a geojson; tiles have a column 'region'. Leave it out.")


def region_map(
    path: Path, text: str, tables: Mapping[str, Any], study: ListExperiment, locate: Callable[[str], Path]
) -> RegionMap | None:
    """The map of a spec, or None; every level of its column has a place.

    Raises
    ------
    InputError : a column or a wave that the study does not have, a file that cannot be read, a level without a place.
    """
    given = tables.get("report", {}).get("map")
    if given is None:
        return None
    column, wave = given["column"], given.get("wave")
    if column not in study.covariates or column in (study.wave, study.item):
        known = [name for name in study.covariates if name not in (study.wave, study.item)]
        raise _fault(path, text, "column", f"column '{column}' is no covariate; there are: {', '.join(known) or 'none'}.")
    if wave is not None and wave not in study.waves:
        raise _fault(path, text, "wave", f"there is no wave '{wave}'; there are: {', '.join(study.waves) or 'none'}.")
    source = "tiles" if "tiles" in given else "geojson"
    key = given.get("key", "name")
    file = locate(given[source])
    try:
        made = (RegionMap(column, tiles=check_tiles(read_survey(file)).reset_index(), wave=wave) if source == "tiles"
                else RegionMap(column, geojson=read_regions(file, key=key), key=key, wave=wave))
        refuse_unplaced(_levels(study, column), made.places, given[source])
    except InputError as error:
        raise _fault(path, text, source, str(error)) from error
    return made


def _levels(study: ListExperiment, column: str) -> list[str]:
    """Every level of the sample and of the population but the one of respondents whose level is missing."""
    frames = [frame for frame in (study.table, study.population) if frame is not None and column in frame.columns]
    levels = {str(level) for frame in frames for level in frame[column].dropna().unique()}
    return sorted(levels - {MISSING_LEVEL})


def _fault(path: Path, text: str, key: str, message: str) -> InputError:
    return InputError(f"{path}, line {line_of(text, key, 'report.map')}: [report.map] {message}")
