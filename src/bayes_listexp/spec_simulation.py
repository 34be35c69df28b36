"""What a spec says of a simulated survey: one of those that come with the package, or one drawn by its own model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Instrument, written_by
from bayes_listexp.population import PopulationFrame
from bayes_listexp.published.table import PublishedTable
from bayes_listexp.simulate import (
    Drawn,
    Questionnaire,
    Refusals,
    Sampling,
    Simulated,
    draw_study,
    shares_as_frame,
    simulate_survey,
    two_wave_survey,
)
from bayes_listexp.simulate.template import NAMES
from bayes_listexp.simulated_direct import list_and_direct
from bayes_listexp.simulated_nation import nation
from bayes_listexp.spec_keys import KEYS, check_types
from bayes_listexp.spec_lines import line_of
from bayes_listexp.specification import Specification

SIMULATIONS: dict[str, tuple[str, ...]] = {
    "two_wave_survey": ("seed", "n_per_wave"),
    "list_and_direct": ("seed", "n"),
    "nation": ("seed", "n_per_wave", "waves", "first"),
}
"""Synthetic surveys that a spec may name, and their settings, which are whole numbers."""

MODEL = "model"
"""The name of a survey drawn by the model of the spec."""

SAMPLING = tuple(field.name for field in dataclasses.fields(Sampling))
SETTINGS: dict[str, tuple[str, ...]] = {
    MODEL: ("seed", "waves", "population", "refusals", "truth", "model", *SAMPLING),
    "file": ("seed", "truth", "model"),
}
"""Settings of a survey drawn by the model, and of new answers of the people of a file."""

TABLES = ("population", "refusals", "truth", "model", "oversample", "participation", "asked")
NESTED = ("population", "oversample", "participation")
PLACE = "data.simulation"


def check_simulation(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """Check all of ``[data.simulation]`` that no file need be read for.

    Raises
    ------
    InputError : a survey or a setting that there is not, or a value that cannot be; with file and line.
    """
    data = tables["data"]
    name, given = data.get("simulated"), data.get("simulation", {})
    if name is not None and name not in (*SIMULATIONS, MODEL):
        shown = ", ".join(map(repr, (*SIMULATIONS, MODEL)))
        raise InputError(f"{path}, line {line_of(text, 'simulated')}: simulated = {name!r}; there are: {shown}.")
    known = SIMULATIONS.get(str(name)) or SETTINGS[MODEL if name == MODEL else "file"]
    unknown = [key for key in given if key not in known]
    if unknown:
        raise _fault(path, text, unknown[0], f"'{unknown[0]}' is not a setting of the simulation; there are: {', '.join(known)}.")
    whole = known if name in SIMULATIONS else ("seed",)
    for key in whole:
        if key in given and (not isinstance(given[key], int) or isinstance(given[key], bool) or given[key] < 1):
            raise _fault(path, text, key, f"'{key}' must be a whole number of at least 1, found {given[key]!r}.")
    if name not in SIMULATIONS:
        _check_settings(path, text, tables, given)


def _check_settings(path: Path, text: str, tables: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for key in TABLES:
        if key in given and not isinstance(given[key], dict):
            raise _fault(path, text, key, f"'{key}' must be a table, found {given[key]!r}.")
    nested = {key: given[key] for key in NESTED if key in given} | {"by": given.get("refusals", {}).get("by", {})}
    for key, columns in nested.items():
        flat = [column for column, levels in columns.items() if not isinstance(levels, dict) or not all(map(_is_number, levels.values()))]
        if flat:
            raise _fault(path, text, key, f"'{key}' must be like {{ gender = {{ female = 0.5, male = 0.5 }} }}, found {flat[0]} = "
                         f"{columns[flat[0]]!r}.")
    wrong = [key for key in given.get("model", {}) if key not in KEYS["survey"]["model"]]
    if wrong:
        raise _fault(path, text, "model", f"model: '{wrong[0]}' is not known; there are: {', '.join(KEYS['survey']['model'])}.")
    if tables["data"].get("simulated") != MODEL:
        return
    if ("population" in tables) == ("population" in given):
        raise _fault(path, text, "population", "needs a population to draw people from: either the table [population], or here shares by "
                     "column, such as population = { gender = { female = 0.52, male = 0.48 } }.")
    if bool(given.get("waves")) != ("wave" in tables["data"]):
        raise _fault(path, text, "waves", "waves and [data] wave, the name of their column, belong together.")
    for make in (sampling_of, refusals_of):
        try:
            make(given)
        except InputError as error:
            raise _located(path, text, given, str(error)) from error


def sampling_of(given: Mapping[str, Any]) -> Sampling:
    """How people are sampled, from ``[data.simulation]``."""
    own: dict[str, Any] = {key: tuple(value) if key == "strata" else value for key, value in given.items() if key in SAMPLING}
    check_types(Sampling, own, "sampling")
    return Sampling(**own)


def refusals_of(given: Mapping[str, Any]) -> Refusals:
    """Who refuses, from ``[data.simulation.refusals]``."""
    own = given.get("refusals", {})
    check_types(Refusals, own, "refusals")
    return Refusals(**own)


def simulation_of(
    path: Path, text: str, tables: Mapping[str, Any], model: Mapping[str, Any], instruments: Sequence[Instrument],
    population: Callable[[], pd.DataFrame | PopulationFrame | None], printed: Callable[[], PublishedTable]
) -> Simulated:
    """The simulated survey of a spec; ``model`` are the arguments of its specification, ``printed`` reads the bundled CSTO table.

    Raises
    ------
    InputError : what the simulation says does not fit the model or the population; with file and line.
    """
    data = tables["data"]
    given = dict(data.get("simulation", {}))
    if data["simulated"] == "two_wave_survey":
        return two_wave_survey(printed(), **given)
    if data["simulated"] == "list_and_direct":
        return list_and_direct(**given)
    if data["simulated"] == "nation":
        return nation(**given)
    names = {role: data[role] for role in NAMES if role in data}
    arms = {"arms": tuple(data["arms"])} if "arms" in data else {}
    asks = Questionnaire(data["J"], **arms, waves=tuple(given.get("waves", ())), instruments=tuple(instruments), names=names)
    frame = population() if "population" in tables else shares_as_frame(given["population"])
    assert frame is not None
    specification = Specification(**{**model, **given.get("model", {})})
    try:
        return simulate_survey(frame, specification, sampling_of(given), given.get("truth"), asks=asks, refusals=refusals_of(given),
                               seed=given.get("seed", 1))
    except InputError as error:
        raise _located(path, text, given, str(error)) from error


def answered_again(
    data: Mapping[str, Any], model: Mapping[str, Any], survey: pd.DataFrame, study: ListExperiment
) -> Simulated:
    """The people of a file with new answers drawn by the model: the rows of ``survey`` whom the model can be asked about. A table of
    counts becomes a row for each respondent.

    Raises
    ------
    InputError : parameters that the model does not have, or an instrument that cannot write its columns.
    """
    given = data.get("simulation", {})
    specification = Specification(**{**model, **given.get("model", {})})
    drawn = draw_study(study, specification, given.get("truth"), seed=given.get("seed", 1))
    table = drawn.study.table
    answers = table["_answer"].where(table["_answer"] >= 0).astype("Int64").to_numpy()
    out = survey.iloc[table.index.to_numpy() - 1].reset_index(drop=True).assign(**{data["answer"]: answers})
    for instrument in drawn.study.instruments:
        if not hasattr(instrument, "write"):
            raise InputError(f"instrument '{instrument.name}': {type(instrument).__name__} lacks the method write(coded), without which "
                             "its columns cannot be written.")
        written = written_by(instrument, table.reset_index(drop=True))
        out = out.assign(**{name: written[name].to_numpy() for name in written.columns})
    out = out.drop(columns=[data["counts"]] if "counts" in data else [])
    hidden = pd.DataFrame({"row": range(1, len(out) + 1), "trait": drawn.trait, "count": drawn.count, "prevalence": drawn.prevalence})
    population = pd.DataFrame() if study.population is None else study.population
    return Simulated(out, population, _truth_of(drawn), hidden, drawn.parameters)


def _truth_of(drawn: Drawn) -> pd.DataFrame:
    """Mean P(trait | x) of the respondents, by wave: columns ``wave`` (with waves), ``group``, ``level``, ``prevalence``."""
    study = drawn.study
    by = [name for name in (study.item, study.wave) if name is not None]
    groups = [name for name in study.covariates if name not in by and isinstance(study.table[name].dtype, pd.CategoricalDtype)]
    table = study.table.assign(prevalence=drawn.prevalence, all="all")
    tables = [table.groupby([*by, name], observed=True)["prevalence"].mean().rename_axis(index={name: "level"}).reset_index()
              for name in ("all", *groups)]
    named = [found.assign(group=name) for found, name in zip(tables, ("all", *groups), strict=True)]
    return pd.concat(named, ignore_index=True)[[*by, "group", "level", "prevalence"]]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _located(path: Path, text: str, given: Mapping[str, Any], message: str) -> InputError:
    """An error with its line: that of the setting which the message mentions first, and of what it mentions of this one's table."""
    words = re.findall(r"\w+", message)
    setting = next((word for word in words if word in given), "truth" if message.startswith("parameters") else "")
    inside = given.get(setting)
    part = next((word for word in words if isinstance(inside, dict) and word in inside), "")
    if part and re.search(rf"^\s*\[{re.escape(PLACE)}\.{setting}\]", text, re.MULTILINE):
        return InputError(f"{path}, line {line_of(text, part, f'{PLACE}.{setting}')}: [{PLACE}.{setting}] {message}")
    return _fault(path, text, setting, message)


def _fault(path: Path, text: str, key: str, message: str) -> InputError:
    return InputError(f"{path}, line {line_of(text, key, PLACE)}: [{PLACE}] {message}")
