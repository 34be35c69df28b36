"""Analyses as TOML files: read, validated as a whole with the line of each fault, and turned into studies and arguments."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_listexp import formulas
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.population import check_levels
from bayes_listexp.published.table import PublishedSupport, PublishedTable, read_published
from bayes_listexp.read import read_population, read_survey
from bayes_listexp.recoding import recode
from bayes_listexp.simulate import Simulated, two_wave_survey

BUNDLED = "bundled:"
CSTO_TABLE = "csto_table1_2022-09.csv"

KEYS: dict[str, dict[str, dict[str, tuple[type, ...]]]] = {
    "survey": {
        "": {
            "kind": (str,),
            "title": (str,),
            "data": (dict,),
            "model": (dict,),
            "priors": (dict, str),
            "population": (dict,),
            "sample": (dict,),
            "report": (dict,),
        },
        "data": {
            "file": (str,),
            "simulated": (str,),
            "simulation": (dict,),
            "counts": (str,),
            "answer": (str,),
            "arm": (str,),
            "arms": (list,),
            "J": (int,),
            "wave": (str,),
            "weights": (str,),
            "ids": (str,),
            "covariates": (list,),
            "missing": (str,),
            "recode": (dict,),
            "codes": (list,),
            "encoding": (str,),
            "sensitive_item": (str,),
        },
        "model": {
            "trait": (str,),
            "control": (str,),
            "response": (str,),
            "counts": (str,),
            "dependence": (str,),
            "lapses": (dict,),
        },
        "population": {"file": (str,), "count": (str,), "recode": (dict,)},
        "sample": {
            "draws": (int,),
            "tune": (int,),
            "chains": (int,),
            "target_accept": (float,),
            "seed": (int,),
            "method": (str,),
        },
        "report": {"by": (list,), "change": (list,), "alternatives": (list,), "author": (str,)},
    },
    "published": {
        "": {"kind": (str,), "title": (str,), "data": (dict,), "later": (dict,), "sample": (dict,), "report": (dict,)},
        "data": {
            "file": (str,),
            "J": (int,),
            "N": (int,),
            "name": (str,),
            "use": (dict,),
            "shares": (list,),
            "claims": (list,),
            "sensitive_item": (str,),
            "sources": (list,),
        },
        "later": {"support": (str,), "N": (int, list), "label": (str,)},
        "sample": {"draws": (int,), "tune": (int,), "chains": (int,), "target_accept": (float,), "seed": (int,)},
        "report": {"author": (str,)},
    },
}
"""The tables and keys of a spec, by its kind, and the types their values may have."""

REQUIRED = {"survey": {"data": ("answer", "arm", "J")}, "published": {"data": ("file", "J", "N")}}


@dataclass(frozen=True)
class Spec:
    """A validated spec: its kind ("survey" or "published"), title, tables, text as read, and the folder paths start from."""

    kind: str
    title: str
    tables: Mapping[str, Any]
    text: str
    path: Path

    def table(self, name: str) -> dict[str, Any]:
        """One table of the spec, empty if it is not there."""
        return dict(self.tables.get(name, {}))


def read_spec(path: str | Path) -> Spec:
    """Read and validate one spec.

    Raises
    ------
    InputError : the file cannot be read, is not TOML, or has an unknown key or a value of the wrong type; the message
        names file and line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not a TOML file: {error}.") from error
    kind = tables.get("kind", "survey")
    if not isinstance(kind, str) or kind not in KEYS:
        raise InputError(f"{path}, line {_line(text, 'kind')}: kind = {kind!r}; there are: {', '.join(KEYS)}.")
    _validate(path, text, kind, tables)
    return Spec(kind, str(tables.get("title", path.stem)), tables, text, path)


def study_of(spec: Spec) -> tuple[ListExperiment, Simulated | None]:
    """The study that a survey spec describes, and the simulation behind it if it is synthetic.

    Raises
    ------
    InputError : the data cannot be used as the spec says, or lack a column or a level that its models or its report need.
    """
    data = spec.table("data")
    simulated = _simulated(spec, data) if "simulated" in data else None
    survey = (
        simulated.survey
        if simulated
        else read_survey(_path(spec, data["file"]), encoding=data.get("encoding"), codes=data.get("codes", ()))
    )
    survey = recode(survey, data["recode"]) if "recode" in data else survey
    population = simulated.population if simulated else _population(spec)
    roles: dict[str, Any] = {k: data[k] for k in ("answer", "arm", "J", "wave", "covariates") if k in data}
    if "arms" in data:
        roles["arms"] = tuple(data["arms"])
    if "counts" in data:
        study = ListExperiment.from_counts(survey, n=data["counts"], population=population, **roles)
    else:
        more = {k: data[k] for k in ("weights", "ids", "missing") if k in data}
        study = ListExperiment.from_frame(survey, population=population, **roles, **more)
    _check_columns(spec, study)
    name = f"simulated: {data['simulated']}" if simulated else None
    return study.described(
        sensitive_item=data.get("sensitive_item"), name=name, synthetic=simulated is not None
    ), simulated


def fit_arguments(spec: Spec) -> dict[str, Any]:
    """Keyword arguments of :func:`bayes_listexp.fit` from a survey spec."""
    arguments = spec.table("model")
    sample = spec.table("sample")
    arguments |= {key: sample.pop(key) for key in ("seed", "method") if key in sample}
    priors = spec.tables.get("priors")
    return arguments | ({"priors": priors} if priors else {}) | {"sample": sample, "groups": _groups(spec)}


def published_of(spec: Spec) -> tuple[PublishedTable, PublishedSupport | None]:
    """The published table of a spec, and the later wave known by one number, if any."""
    data, later = spec.table("data"), spec.table("later")
    table = read_published(_path(spec, data["file"]), J=data["J"], N=data["N"], name=data.get("name"))
    if not later:
        return table, None
    sizes = later.get("N", data["N"])
    return table, PublishedSupport(
        support=later["support"],
        N=tuple(sizes) if isinstance(sizes, list) else sizes,
        label=later.get("label", "the later wave"),
    )


def bundled(name: str) -> Path:
    """Path of a table that comes with the package.

    Raises
    ------
    InputError : there is none of that name.
    """
    folder = files("bayes_listexp") / "data"
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".csv"))
    if name not in names:
        raise InputError(f"'{BUNDLED}{name}' does not come with the package; there are: {', '.join(names)}.")
    return Path(str(folder / name))


def resolve_path(spec: Spec, name: str) -> Path:
    """A file named in a spec: bundled with the package, or relative to the spec's folder."""
    return _path(spec, name)


def _path(spec: Spec, name: str) -> Path:
    return bundled(name.removeprefix(BUNDLED)) if name.startswith(BUNDLED) else spec.path.parent / name


def _simulated(spec: Spec, data: Mapping[str, Any]) -> Simulated:
    if data["simulated"] != "two_wave_survey":
        raise InputError(
            f"{spec.path}, line {_line(spec.text, 'simulated')}: simulated = {data['simulated']!r}; there is: "
            "'two_wave_survey'."
        )
    settings = dict(data.get("simulation", {}))
    unknown = [key for key in settings if key not in ("seed", "n_per_wave")]
    if unknown:
        raise InputError(
            f"{spec.path}, line {_line(spec.text, unknown[0])}: '{unknown[0]}' is not a setting of the simulation; "
            "there are: seed, n_per_wave."
        )
    wrong = [
        key for key, value in settings.items() if not isinstance(value, int) or isinstance(value, bool) or value < 1
    ]
    if wrong:
        raise InputError(
            f"{spec.path}: [data] simulation: '{wrong[0]}' must be a whole number of at least 1, found {settings[wrong[0]]!r}."
        )
    return two_wave_survey(read_published(bundled(CSTO_TABLE), J=4, N=400), **settings)


def _population(spec: Spec) -> pd.DataFrame | None:
    table = spec.table("population")
    if not table:
        return None
    frame = read_population(_path(spec, table["file"]), count=table.get("count", "N"))
    return recode(frame, table["recode"]) if "recode" in table else frame


def _check_columns(spec: Spec, study: ListExperiment) -> None:
    """Check the columns that the models and the report use, so that a fault shows before anything is fitted."""
    models = [spec.table("model"), *spec.table("report").get("alternatives", [])]
    texts = [
        text
        for model in models
        for text in (model.get("trait"), model.get("control"), *model.get("lapses", {}).values())
    ]
    used = [name for text in texts if text is not None for name in formulas.variables(text, study.covariates)]
    columns = list(dict.fromkeys([*used, *_groups(spec)]))
    table, _ = study.complete(columns)
    if study.population is not None:
        check_levels(table, study.population, columns)


def _groups(spec: Spec) -> list[str]:
    """Every column that the report groups by, so that the cells keep them apart."""
    by = spec.table("report").get("by", [])
    return list(dict.fromkeys(name for group in by for name in ([group] if isinstance(group, str) else group)))


def _validate(path: Path, text: str, kind: str, tables: Mapping[str, Any]) -> None:
    known = KEYS[kind]
    _check_keys(path, text, "", tables, known[""])
    for name, keys in known.items():
        if name and isinstance(tables.get(name), dict):
            _check_keys(path, text, name, tables[name], keys)
    for name, required in REQUIRED[kind].items():
        for key in required:
            if key not in tables.get(name, {}):
                raise InputError(f"{path}: [{name}] needs '{key}'.")
    if kind == "survey":
        _check_survey(path, text, tables)


def _check_survey(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """What the types of a survey spec's values do not say: keys that exclude one another, and lists of a certain form."""
    data, report = tables["data"], tables.get("report", {})
    where = f"{path}, line "
    if len({"file", "simulated"} & set(data)) != 1:
        raise InputError(f"{where}{_line(text, 'data')}: [data] needs either 'file' or 'simulated'.")
    unused = [key for key in ("weights", "ids", "missing") if key in data]
    if "counts" in data and unused:
        raise InputError(
            f"{where}{_line(text, unused[0], 'data')}: [data] '{unused[0]}' is for respondents; a table of 'counts' "
            "has none. Leave it out."
        )
    if "simulated" in data and "population" in tables:
        raise InputError(f"{where}{_line(text, 'population')}: [population] is part of the simulation. Leave it out.")
    for key, values in (("arms", data.get("arms")), ("change", report.get("change"))):
        if values is not None and len(values) != 2:
            raise InputError(f"{where}{_line(text, key)}: '{key}' must name two values, found {values!r}.")
    for alternative in report.get("alternatives", []):
        _check_alternative(path, text, alternative)


def _check_alternative(path: Path, text: str, alternative: Any) -> None:
    where = f"{path}, line {_line(text, 'alternatives', 'report')}: [report] alternatives: "
    known = {"name": (str,), **KEYS["survey"]["model"], "priors": (dict, str)}
    if not isinstance(alternative, dict) or "name" not in alternative:
        raise InputError(f'{where}each must be like {{ name = "liars", response = "liars" }}, found {alternative!r}.')
    for key, value in alternative.items():
        if key not in known or not isinstance(value, known[key]):
            raise InputError(f"{where}'{key}' = {value!r} is not a setting of a model; there are: {', '.join(known)}.")


def _check_keys(
    path: Path, text: str, table: str, values: Mapping[str, Any], known: Mapping[str, tuple[type, ...]]
) -> None:
    place = f"[{table}] " if table else ""
    for key, value in values.items():
        where = f"{path}, line {_line(text, key, table)}: {place}"
        if key not in known:
            raise InputError(f"{where}'{key}' is not known here; there are: {', '.join(known)}.")
        types = known[key]
        accepted = types + ((int,) if float in types else ())
        if not isinstance(value, accepted) or isinstance(value, bool):
            raise InputError(
                f"{where}'{key}' must be of type {' or '.join(t.__name__ for t in types)}, found {value!r}."
            )


def _line(text: str, key: str, table: str = "") -> int:
    """Line of the first assignment to a key of a table, or of a table's header; 1 if it cannot be found."""
    lines = text.splitlines()
    header = re.compile(rf"^\s*\[\s*{re.escape(table)}\s*[\].]")
    start = next((i for i, line in enumerate(lines) if header.match(line)), 0) if table else 0
    pattern = re.compile(rf'^\s*(\[[^\]]*\b)?["\']?{re.escape(key)}["\']?\s*[=.\]]')
    return next((i for i, line in enumerate(lines[start:], start + 1) if pattern.match(line)), 1)
