"""What a spec may hold: its tables and keys, instruments and margins, and the file and line of each fault."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import MISSING
from bayes_listexp.instrument import Instrument
from bayes_listexp.instruments import KINDS, made, settled
from bayes_listexp.opening import limits_of
from bayes_listexp.planning.plan_settings import PLAN_KEYS
from bayes_listexp.spec_dates import dates_of, events_of, printed_of
from bayes_listexp.spec_lines import fault, line_of

KEYS: dict[str, dict[str, dict[str, tuple[type, ...]]]] = {
    "survey": {
        "": {
            "kind": (str,),
            "title": (str,),
            "data": (dict,),
            "instruments": (dict,),
            "margins": (dict,),
            "model": (dict,),
            "priors": (dict, str),
            "population": (dict,),
            "sample": (dict,),
            "estimate": (dict,),
            "report": (dict,),
            "checks": (dict,),
        },
        "data": {
            "file": (str,),
            "simulated": (str,),
            "simulation": (dict,),
            "counts": (str,),
            "answer": (str,),
            "arm": (str,),
            "arms": (list,),
            "single_list": (bool,),
            "placebo": (str,),
            "J": (int, dict),
            "wave": (str,),
            "version": (str,),
            "waves": (list,),
            "weights": (str,),
            "strata": (str,),
            "clusters": (str,),
            "replicate_weights": (list,),
            "replicate_method": (str,),
            "replicate_rho": (float,),
            "replicate_scales": (list,),
            "ids": (str,),
            "covariates": (list,),
            "missing": (str,),
            "recode": (dict,),
            "predictors": (dict,),
            "codes": (list,),
            "encoding": (str,),
            "tabulate": (bool,),
            "bins": (dict,),
            "limits": (dict,),
            "sensitive_item": (str,),
        },
        "model": {
            "trait": (str,),
            "control": (str,),
            "response": (str,),
            "counts": (str,),
            "dependence": (str,),
            "weighting": (str,),
            "person": (str,),
            "lapses": (dict,),
            "instruments": (dict,),
            "neighbours": (dict,),
            "times": (dict,),
            "centred": (dict,),
        },
        "margins": {"prevalence": (list,), "item": (list,), "published": (list,)},
        "population": {
            "file": (str,),
            "count": (str,),
            "n": (float,),
            "margins": (list,),
            "seed": (str,),
            "tolerance": (float,),
            "iterations": (int,),
            "survey": (str,),
            "columns": (list,),
            "weights": (str,),
            "encoding": (str,),
            "waves": (dict,),
            "recode": (dict,),
        },
        "sample": {
            "draws": (int,),
            "tune": (int,),
            "chains": (int,),
            "target_accept": (float,),
            "seed": (int,),
            "method": (str,),
        },
        "checks": {"planned": (float, dict), "order": (str,)},
        "estimate": {"covariates": (str,), "ceiling": (float, list), "floor": (float, list)},
        "report": {
            "by": (list,),
            "change": (list,),
            "delta": (float,),
            "rope": (float,),
            "events": (list,),
            "printed": (list,),
            "alternatives": (list,),
            "author": (str,),
            "map": (dict,),
            "smallest_group": (int,),
        },
    },
    "published": {
        "": {
            "kind": (str,),
            "title": (str,),
            "data": (dict,),
            "margins": (dict,),
            "later": (dict,),
            "sample": (dict,),
            "report": (dict,),
        },
        "margins": {"item": (list,)},
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
        "report": {"author": (str,), "dates": (list,), "events": (list,)},
    },
    "plan": {
        "": {"kind": (str,), "title": (str,)} | dict.fromkeys(PLAN_KEYS, (dict,)),
        **{table: keys for table, keys in PLAN_KEYS.items() if keys},
    },
}
"""The tables and keys of a spec, by its kind, and the types their values may have."""

SAMPLING = ("weights", "strata", "clusters", "replicate_weights", "replicate_method", "replicate_rho", "replicate_scales")
"""Keys of [data] that say how respondents were sampled."""

REQUIRED: dict[str, dict[str, tuple[str, ...]]] = {"survey": {"data": ("answer", "J")}, "published": {"data": ("file", "J", "N")},
                                               "plan": {"scenario": ("prevalence",)}}


def validate(path: Path, text: str, kind: str, tables: Mapping[str, Any]) -> None:
    """Check everything in a spec that its data need not be read for.

    Raises
    ------
    InputError : an unknown or missing key, a value of the wrong type or that cannot be; the message names file and line.
    """
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
        _check_overrides(path, text, tables, instruments_of(path, text, tables))
    if kind == "published":
        dates_of(path, text, tables)


def instruments_of(path: Path, text: str, tables: Mapping[str, Any]) -> tuple[Instrument, ...]:
    """The instruments of a spec, one for each table ``[instruments.<name>]``.

    Raises
    ------
    InputError : a kind or a field that there is not, or a value that cannot be; the message names file and line.
    """
    out = []
    for name, table in tables.get("instruments", {}).items():
        place = f"instruments.{name}"
        if not isinstance(table, dict):
            raise fault(path, text, place, {}, f"[instruments] '{name}' must be a table such as "
                         f'[instruments.{name}] with column = "...", found {table!r}.')
        if "name" in table:
            raise fault(path, text, place, table, f"[{place}] name: an instrument is called as its table. Leave it out.")
        try:
            check_types(KINDS.get(table.get("kind", name)), table, f"instrument '{name}'")
            out.append(made(name, table))
        except InputError as error:
            raise fault(path, text, place, table, str(error)) from error
    return tuple(out)


def check_types(record: type | None, values: Mapping[str, Any], what: str) -> None:
    """Check the keys and types of a table against the fields of the record that it is to become; None: not known."""
    if record is None:
        return
    hints = typing.get_type_hints(record)
    fields = {field.name: field for field in dataclasses.fields(record)}
    for key, value in values.items():
        if key == "kind" and key not in fields:
            continue
        if key not in fields:
            raise InputError(f"{what}: '{key}' is not known; there are: {', '.join(fields)}.")
        if not _fits(hints[key], value):
            word = getattr(hints[key], "__name__", str(hints[key])).removeprefix("typing.").replace(" | None", "")
            raise InputError(f"{what}: '{key}' must be of type {word}, found {value!r}.")
    for key, field in fields.items():
        if key not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{what} needs '{key}'.")


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value of TOML can stand for a type; a type that TOML does not have is left to the record itself."""
    options = [option for option in typing.get_args(hint) if option is not type(None)] if _is_union(hint) else [hint]
    if typing.get_origin(hint) in (dict, abc.Mapping):
        return isinstance(value, dict)
    if not set(options) <= {str, bool, int, float}:
        return True
    if isinstance(value, bool):
        return bool in options
    return isinstance(value, tuple(options)) or (float in options and isinstance(value, int))


def _is_union(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union


def _check_overrides(path: Path, text: str, tables: Mapping[str, Any], instruments: Sequence[Instrument]) -> None:
    """Check the settings of instruments that the model and its alternatives replace."""
    models = [("model", 1, tables.get("model", {}))]
    models += [("report.alternatives", i, a) for i, a in enumerate(tables.get("report", {}).get("alternatives", []), start=1)]
    known = {instrument.name: type(instrument) for instrument in instruments}
    for table, nth, model in models:
        for name, changes in model.get("instruments", {}).items():
            try:
                if not isinstance(changes, dict):
                    raise InputError(f"instruments: '{name}' must be a table of settings, found {changes!r}.")
                settled(instruments, {name: changes})
                hints = typing.get_type_hints(known[name])
                wrong = [key for key, value in changes.items() if not _fits(hints[key], value)]
                if wrong:
                    raise InputError(f"instruments: '{name}': {wrong[0]} = {changes[wrong[0]]!r} is not of the right type.")
            except InputError as error:
                place, at = (f"{table}.instruments.{name}", 1) if table == "model" else (table, nth)
                raise fault(path, text, place, changes if isinstance(changes, dict) else {}, str(error), at) from error


def _check_survey(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """What the types of a survey spec's values do not say: keys that exclude one another, and lists of a certain form."""
    data, report = tables["data"], tables.get("report", {})
    where = f"{path}, line "
    if len({"file", "simulated"} & set(data)) != 1:
        raise InputError(f"{where}{line_of(text, 'data')}: [data] needs either 'file' or 'simulated'.")
    unused = [key for key in (*SAMPLING, "ids", "missing") if key in data]
    if "counts" in data and unused:
        raise InputError(
            f"{where}{line_of(text, unused[0], 'data')}: [data] '{unused[0]}' is for respondents; a table of 'counts' "
            "has none. Leave it out."
        )
    try:
        limits_of(data.get("limits", {}))
    except InputError as error:
        raise InputError(f"{where}{line_of(text, 'limits', 'data')}: [data.limits] {error}") from error
    if data.get("missing", MISSING[0]) not in MISSING:
        raise InputError(f"{where}{line_of(text, 'missing', 'data')}: [data] missing = {data['missing']!r}: say one of "
                         f"{', '.join(MISSING)}.")
    if data.get("simulated", "model") != "model" and "population" in tables:
        raise InputError(f"{where}{line_of(text, 'population')}: [population] is part of the simulation. Leave it out.")
    for key, values in (("arms", data.get("arms")), ("change", report.get("change"))):
        if values is not None and len(values) != 2:
            raise InputError(f"{where}{line_of(text, key)}: '{key}' must name two values, found {values!r}.")
    arms = data.get("arms")
    if arms is not None and isinstance(arms[1], list) and len(arms[1]) < 2:
        raise InputError(f"{where}{line_of(text, 'arms')}: [data] arms = {arms!r} must name at least two treatment lists, or "
                         "the one of a single sensitive item without brackets.")
    if ("arm" in data) == data.get("single_list", False):
        raise InputError(f"{where}{line_of(text, 'single_list', 'data')}: [data] needs 'arm', or single_list = true if everybody "
                         "was shown the treatment list; not both.")
    for alternative in report.get("alternatives", []):
        _check_alternative(path, text, alternative)
    if report.get("smallest_group", 0) < 0:
        raise InputError(f"{where}{line_of(text, 'smallest_group', 'report')}: [report] smallest_group must be at least 0.")
    _check_course(path, text, report)


def _check_course(path: Path, text: str, report: Mapping[str, Any]) -> None:
    """Sizes of changes are shares, and what stands in the course over the waves has a date."""
    where = f"{path}, line "
    for key in ("delta", "rope"):
        if key in report and not 0 <= report[key] <= 1:
            raise InputError(f"{where}{line_of(text, key, 'report')}: [report] {key} = {report[key]!r}: a share between 0 and 1 "
                             "(20 points are 0.2).")
    events_of(path, text, report)
    printed_of(path, text, report)


def _check_alternative(path: Path, text: str, alternative: Any) -> None:
    where = f"{path}, line {line_of(text, 'alternatives', 'report')}: [report] alternatives: "
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
        where = f"{path}, line {line_of(text, key, table)}: {place}"
        if key not in known:
            raise InputError(f"{where}'{key}' is not known here; there are: {', '.join(known)}.")
        wanted = known[key]
        accepted = wanted + ((int,) if float in wanted else ())
        if not isinstance(value, accepted) or isinstance(value, bool) != (bool in wanted):
            raise InputError(
                f"{where}'{key}' must be of type {' or '.join(t.__name__ for t in wanted)}, found {value!r}."
            )
