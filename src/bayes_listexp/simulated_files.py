"""A simulation as texts of files: the survey, its population, the truth apart from it, and a spec that reads them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.simulate import Simulated
from bayes_listexp.spec import BUNDLED, Spec, simulated_of

SURVEY, POPULATION = "survey.csv", "population.csv"
SIZE = {"model": "n", "list_and_direct": "n", "two_wave_survey": "n_per_wave", "nation": "n_per_wave"}
"""What the size of a simulated survey is called."""

FILES = ("file", "seed", "survey", "tiles", "geojson")
MAPPINGS_OF_FILES = ("predictors", "neighbours", "waves")
"""Keys of a spec whose values may be names of files, and tables of them."""


def with_settings(spec: Spec, seed: int | None, n: int | None) -> Spec:
    """The spec with another seed, or size (of each wave), of its simulation.

    Raises
    ------
    InputError : it is not the spec of a survey, or its people are those of a file and so is their number.
    """
    if spec.kind != "survey":
        raise InputError(f"{spec.path}: kind = {spec.kind!r}: only surveys can be simulated, kind = 'survey'.")
    data = spec.table("data")
    settings = dict(data.get("simulation", {}))
    if n is not None and "simulated" not in data:
        raise InputError(f"{spec.path}: --n: the people are those of '{data['file']}'. Leave --n out, or draw people from a population "
                         "with [data] simulated = 'model'.")
    for key, value in (("seed", seed), (SIZE.get(data.get("simulated", ""), "n"), n)):
        if value is not None and value < 1:
            raise InputError(f"--{'n' if key != 'seed' else key} = {value}: must be a whole number of at least 1.")
        settings |= {} if value is None else {key: value}
    return dataclasses.replace(spec, tables={**spec.tables, "data": {**data, "simulation": settings}})


def simulated_files(spec: Spec, folder: Path) -> dict[str, str]:
    """The texts of the files of a simulation by their names, to be put into ``folder``.

    They are ``survey.csv``, ``population.csv`` (if there is one), ``truth.csv`` (prevalence by group and wave), ``people.csv`` (trait
    and count of each respondent, if known), ``parameters.json`` (those the answers were drawn with, if known), and the spec, under
    its own name, which reads survey and population from there.

    Raises
    ------
    InputError : as :func:`bayes_listexp.spec.study_of`.
    """
    simulated = simulated_of(spec)
    out = {SURVEY: _csv(simulated.survey), "truth.csv": _csv(simulated.truth)}
    if len(simulated.population):
        out[POPULATION] = _csv(simulated.population)
    if simulated.people is not None:
        out["people.csv"] = _csv(simulated.people)
    if simulated.parameters is not None:
        values = {name: value.tolist() for name, value in simulated.parameters.items()}
        out["parameters.json"] = json.dumps(values, indent=1) + "\n"
    return out | {spec.path.name: _spec_text(spec, simulated, folder)}


def _csv(frame: Any) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _spec_text(spec: Spec, simulated: Simulated, folder: Path) -> str:
    """The spec with its data from the files written; other files that it names are found from ``folder``."""
    tables = {key: value for key, value in spec.tables.items() if key != "population"}
    gone = ("simulated", "simulation", "file", "counts", "codes", "encoding")
    data = {key: value for key, value in spec.table("data").items() if key not in gone}
    tables = _found_from({**tables, "data": data}, spec.path.parent, folder)
    tables["data"] = {"file": SURVEY, **tables["data"]}
    if len(simulated.population):
        tables["population"] = {"file": POPULATION}
    return f"# Simulated from {spec.path.name}: no evidence on anybody's opinion.\n" + toml_text(tables)


def _found_from(value: Any, here: Path, folder: Path, key: str = "", inside: str = "") -> Any:
    """The same value with names of files relative to ``folder`` instead of ``here``."""
    if isinstance(value, dict):
        return {name: _found_from(part, here, folder, name, key) for name, part in value.items()}
    if isinstance(value, list):
        return [_found_from(part, here, folder) for part in value]
    is_file = isinstance(value, str) and (key in FILES or inside in MAPPINGS_OF_FILES) and not value.startswith(BUNDLED)
    return os.path.relpath(here / value, folder) if is_file else value


def toml_text(tables: Mapping[str, Any]) -> str:
    """Tables as TOML: keys of the top, then a section for each table, in which tables are written inline."""
    top = [f"{_key(key)} = {_value(value)}" for key, value in tables.items() if not isinstance(value, Mapping)]
    sections = [f"\n[{_key(name)}]\n" + "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())
                for name, table in tables.items() if isinstance(table, Mapping)]
    return "\n".join(top) + "\n" * bool(top) + "".join(sections)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(part)}" for key, part in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
