"""What a spec says of the population and of levels: a table of cells, margins to rake to, a survey, or a frame for each wave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.opening import Limits, limits_of
from bayes_listexp.population import COUNT, PopulationFrame, frame_from_survey, frames_by_wave
from bayes_listexp.raking import rake
from bayes_listexp.read import read_population, read_survey
from bayes_listexp.recoding import recode
from bayes_listexp.spec_lines import line_of

WAYS: dict[str, tuple[str, ...]] = {
    "file": ("count", "n"),
    "margins": ("seed", "n", "tolerance", "iterations"),
    "survey": ("columns", "weights", "encoding"),
    "waves": (),
}
"""The ways to say what the population is, and the keys that belong to each; ``recode`` goes with all."""
TABLES: dict[str, dict[str, tuple[type, ...]]] = {
    "population.margins": {"file": (str,), "count": (str,)},
    "population.waves": {"file": (str,), "count": (str,), "n": (int, float)},
}

type Locate = Callable[[str], Path]


def check_population(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """Check all of ``[population]`` and ``[data.predictors]`` that no file need be read for.

    Raises
    ------
    InputError : ways that exclude one another, keys that do not go together, values that cannot be; with file and line.
    """
    known = tables.get("data", {}).get("predictors", {})
    for key, name in known.items():
        if not isinstance(name, str):
            raise _fault(path, text, key, "data.predictors", f"[data.predictors] {key} must be the name of a file, found {name!r}.")
    given = tables.get("population")
    if given is None:
        return
    ways = [key for key in WAYS if key in given]
    if len(ways) != 1:
        raise _fault(path, text, ways[1] if ways else "", "population",
                     f"[population] needs one of {', '.join(WAYS)}, found {' and '.join(ways) or 'none'}.")
    stray = [key for key in given if key not in (ways[0], "recode", *WAYS[ways[0]])]
    if stray:
        raise _fault(path, text, stray[0], "population", f"[population] '{stray[0]}' does not go with '{ways[0]}'. Leave it out.")
    low = [key for key in ("n", "tolerance", "iterations") if key in given and not given[key] > 0]
    if low:
        raise _fault(path, text, low[0], "population", f"[population] {low[0]} = {given[low[0]]!r} must be more than 0.")
    if ways[0] == "survey" and not given.get("columns"):
        raise _fault(path, text, "survey", "population", "[population] survey needs 'columns', which tell the cells apart.")
    if ways[0] == "waves" and "wave" not in tables["data"]:
        raise _fault(path, text, "waves", "population", "[population.waves] needs the column of the waves: [data] wave.")
    for i, table in enumerate(given.get("margins", []), start=1):
        _check_table(path, text, "population.margins", table, i)
    for label, table in given.get("waves", {}).items():
        if not isinstance(table, str):
            _check_table(path, text, "population.waves", table, 1, label)


def population_of(
    path: Path, text: str, tables: Mapping[str, Any], locate: Locate
) -> pd.DataFrame | PopulationFrame | None:
    """The population frame of a spec, with its levels recoded; None without ``[population]``. ``locate`` finds its files.

    Raises
    ------
    InputError : a file cannot be read, or its tables do not make a frame; the message names the spec's file and line.
    """
    given = tables.get("population")
    if not given:
        return None
    way = next(key for key in WAYS if key in given)
    try:
        return _made(given, way, tables["data"].get("wave", ""), locate, limits_of(tables["data"].get("limits", {})))
    except InputError as error:
        raise _fault(path, text, way, "population", str(error)) from error


def predictors_of(tables: Mapping[str, Any], locate: Locate) -> dict[str, pd.DataFrame]:
    """The predictors of levels, ``[data.predictors]``: a table for each column."""
    limits = limits_of(tables["data"].get("limits", {}))
    return {key: read_survey(locate(name), limits=limits) for key, name in tables["data"].get("predictors", {}).items()}


def _made(given: Mapping[str, Any], way: str, wave: str, locate: Locate, limits: Limits) -> PopulationFrame:
    recodes, used = given.get("recode", {}), set[str]()

    def cells(name: str, count: str = COUNT) -> pd.DataFrame:
        frame = read_population(locate(name), count=count, limits=limits)
        used.update(set(recodes) & set(frame.columns))
        return _recoded(frame, recodes)

    if way == "file":
        frame = PopulationFrame(cells(given["file"], given.get("count", COUNT)), given.get("n"), f"a table of cells, {given['file']}")
    elif way == "margins":
        seed = cells(given["seed"]) if "seed" in given else None
        settings = {key: given[key] for key in ("tolerance", "iterations") if key in given}
        frame = rake(seed, [cells(m["file"], m.get("count", COUNT)) for m in given["margins"]], **settings)
        frame = dataclasses.replace(frame, n=given.get("n"))
    elif way == "survey":
        survey = read_survey(locate(given["survey"]), encoding=given.get("encoding"), limits=limits)
        used.update(set(recodes) & set(survey.columns))
        survey = recode(survey, {key: groups for key, groups in recodes.items() if key in survey.columns})
        frame = frame_from_survey(survey, given["columns"], weights=given.get("weights"))
    else:
        by_wave = {label: table if isinstance(table, dict) else {"file": table} for label, table in given["waves"].items()}
        frame = frames_by_wave({
            label: PopulationFrame(cells(table["file"], table.get("count", COUNT)), table.get("n"), f"a table of cells, {table['file']}")
            for label, table in by_wave.items()
        }, wave)
    unused = [key for key in recodes if key not in used]
    if unused:
        raise InputError(f"recode: there is no column '{unused[0]}' in any file of the population.")
    return frame


def _recoded(frame: pd.DataFrame, recodes: Mapping[str, Any]) -> pd.DataFrame:
    """A table of cells in its new levels, with the people of cells that are one now added up."""
    mine = {key: groups for key, groups in recodes.items() if key in frame.columns}
    if not mine:
        return frame
    frame = recode(frame, mine)
    columns = [name for name in frame.columns if name != COUNT]
    return frame.groupby(columns, as_index=False, observed=True, sort=False, dropna=False)[COUNT].sum()


def _check_table(path: Path, text: str, place: str, table: Any, nth: int, label: str = "") -> None:
    keys = TABLES[place]
    where = f"[{place}] {label}".strip() if label else f"[[{place}]]"
    if not isinstance(table, dict) or "file" not in table:
        raise _fault(path, text, label, place, f"{where} needs a file, found {table!r}.", nth)
    for key, value in table.items():
        if key not in keys:
            raise _fault(path, text, label or key, place, f"{where}: '{key}' is not known here; there are: {', '.join(keys)}.", nth)
        if not isinstance(value, keys[key]) or isinstance(value, bool):
            words = " or ".join(kind.__name__ for kind in keys[key])
            raise _fault(path, text, label or key, place, f"{where}: '{key}' must be of type {words}, found {value!r}.", nth)
    if not np.isfinite(table.get("n", 1)) or table.get("n", 1) <= 0:
        raise _fault(path, text, label, place, f"{where}: n = {table['n']!r} must be more than 0.", nth)


def _fault(path: Path, text: str, key: str, table: str, message: str, nth: int = 1) -> InputError:
    return InputError(f"{path}, line {line_of(text, key, table, nth)}: {message}")
