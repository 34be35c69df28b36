"""Analyses as TOML files: read, validated as a whole with the line of each fault, and turned into studies and arguments."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.geography import RegionMap
from bayes_listexp.lying import share_range
from bayes_listexp.margins import Margin
from bayes_listexp.opening import GIB, LONGEST_SPEC, Limits, limits_of, refuse_elsewhere, refuse_large
from bayes_listexp.overview import main_effects
from bayes_listexp.planning.control_items import frontier
from bayes_listexp.published.table import PublishedSupport, PublishedTable, read_published
from bayes_listexp.read import read_survey
from bayes_listexp.recoding import recode
from bayes_listexp.simulate import Simulated
from bayes_listexp.spec_data import survey_of_file
from bayes_listexp.spec_keys import KEYS, SAMPLING, instruments_of, validate
from bayes_listexp.spec_lines import fault, line_of
from bayes_listexp.spec_maps import check_map, region_map
from bayes_listexp.spec_margins import check_margins, margins_of
from bayes_listexp.spec_population import check_population, population_of, predictors_of
from bayes_listexp.spec_simulation import answered_again, check_simulation, simulation_of
from bayes_listexp.specification import Specification, blueprint, refuse_impossible
from bayes_listexp.syntax import variables

BUNDLED = "bundled:"
CSTO_TABLE = "csto_table1_2022-09.csv"


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
    refuse_large(path, Limits(gib=LONGEST_SPEC / GIB))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error
    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise InputError(f"{path}: not a TOML file: {error}.") from error
    except RecursionError as error:
        raise InputError(f"{path}: brackets within brackets without end, which no spec needs. Write it again.") from error
    kind = tables.get("kind", "survey")
    if not isinstance(kind, str) or kind not in KEYS:
        raise InputError(f"{path}, line {line_of(text, 'kind')}: kind = {kind!r}; there are: {', '.join(KEYS)}.")
    validate(path, text, kind, tables)
    check_margins(path, text, tables)
    if kind == "survey":
        check_population(path, text, tables)
        check_simulation(path, text, tables)
        check_map(path, text, tables)
    return Spec(kind, str(tables.get("title", path.stem)), tables, text, path)


def study_of(spec: Spec) -> tuple[ListExperiment, Simulated | None]:
    """The study that a survey spec describes, and the simulation behind it if it is synthetic.

    Raises
    ------
    InputError : the data cannot be used as the spec says, or lack a column or a level that its models or its report need.
    """
    data, where = spec.table("data"), (spec.path, spec.text, spec.tables)
    simulated = _simulated(spec) if "simulated" in data else None
    survey = simulated.survey if simulated else survey_of_file(_path(spec, data["file"]), data, instruments_of(*where))
    stray = [key for key in ("tabulate", "bins") if simulated and key in data]
    if stray:
        raise InputError(f"{spec.path}, line {line_of(spec.text, stray[0])}: [data] '{stray[0]}' is for data of a file. Leave it out.")
    if simulated and "recode" in data:
        survey = recode(survey, data["recode"])
    locate = partial(_path, spec)
    population = simulated.population if simulated else population_of(*where, locate)
    roles: dict[str, Any] = {k: data[k] for k in ("answer", "J", "placebo", "wave", "version", "covariates") if k in data}
    roles |= {"arm": data.get("arm"), "instruments": instruments_of(*where)}
    roles |= {"population": population, "predictors": predictors_of(spec.tables, locate)}
    if "arms" in data:
        roles["arms"] = tuple(data["arms"])
    if "counts" in data:
        study = ListExperiment.from_counts(survey, n=data["counts"], **roles)
    else:
        more = {k: data[k] for k in (*SAMPLING, "ids", "missing") if k in data}
        study = ListExperiment.from_frame(survey, **roles, **more)
    if "waves" in data:
        study = study.with_waves(data["waves"])
    _check_models(spec, study)
    name = f"simulated: {data['simulated']}" if simulated else None
    return study.described(
        sensitive_item=data.get("sensitive_item"), name=name, synthetic=simulated is not None,
        smallest_group=spec.table("report").get("smallest_group"),
    ), simulated


def simulated_of(spec: Spec) -> Simulated:
    """The simulation behind a survey spec: its synthetic survey, or the people of its file with new answers drawn by its model.

    Raises
    ------
    InputError : as :func:`study_of`.
    """
    study, simulated = study_of(spec)
    if simulated is not None:
        return simulated
    data = spec.table("data")
    if "tabulated_rows" in study.source:
        raise InputError(f"{spec.path}: [data] file is so large that it is tabulated, and answers are drawn for rows of respondents. Draw "
                         "from a sample of its rows, or say tabulate = false.")
    survey = read_survey(_path(spec, data["file"]), encoding=data.get("encoding"), codes=data.get("codes", ()),
                         limits=limits_of(data.get("limits", {})))
    return answered_again(data, _drawn_by(spec), survey, study)


def fit_arguments(spec: Spec) -> dict[str, Any]:
    """Keyword arguments of :func:`bayes_listexp.fit` from a survey spec."""
    arguments = _model(spec)
    sample = spec.table("sample")
    arguments |= {key: sample.pop(key) for key in ("seed", "method") if key in sample}
    more = {"priors": spec.tables.get("priors"), "margins": known_margins(spec)}
    return arguments | {key: value for key, value in more.items() if value} | {"sample": sample, "groups": _groups(spec)}


def check_settings(spec: Spec) -> dict[str, Any]:
    """Settings of :func:`bayes_listexp.design_checks` from a survey spec: its table [checks], and the model's family of counts."""
    model = {"counts": str(spec.table("model")["counts"])} if "counts" in spec.table("model") else {}
    return spec.table("checks") | model


def estimate_arguments(spec: Spec, study: ListExperiment) -> dict[str, Any]:
    """What :func:`bayes_listexp.estimates_without_model` is told by a survey spec: the table [estimate].

    Without ``covariates`` these are the columns of the trait formula's common effects.

    Raises
    ------
    InputError : covariates that the study does not have, or shares of liars that are none; the message names file and line.
    """
    given = spec.table("estimate")
    out: dict[str, Any] = {"covariates": given.get("covariates", main_effects(study, spec.table("model").get("trait", "1")))}
    try:
        variables(out["covariates"], study.covariates)
    except InputError as error:
        raise fault(spec.path, spec.text, "estimate", given, f"covariates: {error}") from error
    try:
        for side in {"ceiling", "floor"} & set(given):
            out[side] = share_range(side, tuple(given[side]) if isinstance(given[side], list) else given[side])
    except InputError as error:
        raise fault(spec.path, spec.text, "estimate", given, str(error)) from error
    return out


def known_margins(spec: Spec) -> tuple[Margin, ...]:
    """What a spec knows from elsewhere."""
    return margins_of(spec.path, spec.text, spec.tables, partial(_path, spec))


def _model(spec: Spec) -> dict[str, Any]:
    """The table [model], with the files of neighbours that it names read."""
    model = spec.table("model")
    if "neighbours" in model:
        given = model["neighbours"].items()
        model["neighbours"] = {column: read_survey(_path(spec, pairs)) if isinstance(pairs, str) else pairs for column, pairs in given}
    return model


def map_of(spec: Spec, study: ListExperiment) -> RegionMap | None:
    """How the report of a survey spec draws regions on maps, or None.

    Raises
    ------
    InputError : a column or wave that the study does not have, a map that cannot be read, a level without a place on it.
    """
    return region_map(spec.path, spec.text, spec.tables, study, partial(_path, spec))


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


def pilot_of(spec: Spec, table: str) -> pd.DataFrame | None:
    """The survey that ``pilot`` in a table of a plan's spec names, or None."""
    settings = spec.table(table)
    return read_survey(_path(spec, settings["pilot"])) if "pilot" in settings else None


def control_item_choice(spec: Spec) -> pd.DataFrame | None:
    """Every choice of control items that [choice] of a plan's spec asks for, or None.

    Raises
    ------
    InputError : [choice] lacks its pilot or J, or the pilot cannot be used.
    """
    settings = spec.table("choice")
    if not settings:
        return None
    pilot = pilot_of(spec, "choice")
    if pilot is None or "J" not in settings:
        raise InputError(f"{spec.path}, line {line_of(spec.text, 'choice')}: [choice] needs 'pilot' and 'J'.")
    return frontier(pilot, **{key: value for key, value in settings.items() if key != "pilot"})


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
    refuse_elsewhere(name)
    return bundled(name.removeprefix(BUNDLED)) if name.startswith(BUNDLED) else spec.path.parent / name


def _simulated(spec: Spec) -> Simulated:
    locate = partial(_path, spec)
    return simulation_of(spec.path, spec.text, spec.tables, _drawn_by(spec), instruments_of(spec.path, spec.text, spec.tables),
                         lambda: population_of(spec.path, spec.text, spec.tables, locate),
                         lambda: read_published(bundled(CSTO_TABLE), J=4, N=400))


def _drawn_by(spec: Spec) -> dict[str, Any]:
    """Arguments of the specification that a spec's survey is drawn by."""
    priors = spec.tables.get("priors")
    return _model(spec) | ({"priors": priors} if priors else {})


def _check_models(spec: Spec, study: ListExperiment) -> None:
    """Resolve every model against the data as a fit will, so that a fault shows before anything is fitted."""
    margins = known_margins(spec)
    model = _drawn_by(spec)
    for alternative in ({}, *spec.table("report").get("alternatives", [])):
        changed = {**model, **{key: value for key, value in alternative.items() if key != "name"}}
        try:
            refuse_impossible(blueprint(study, Specification(**changed, margins=margins), _groups(spec)))
        except InputError as error:
            where = f"{spec.path}, [report] alternative '{alternative['name']}': " if alternative else ""
            raise InputError(f"{where}{error}") from error


def _groups(spec: Spec) -> list[str]:
    """Every column that the report groups by, so that the cells keep them apart."""
    report = spec.table("report")
    mapped = [report["map"]["column"]] if "map" in report else []
    names = [name for group in report.get("by", []) for name in ([group] if isinstance(group, str) else group)]
    return list(dict.fromkeys([*names, *mapped]))
