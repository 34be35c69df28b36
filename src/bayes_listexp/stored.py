"""What a tree stores of its study and model, and the blueprint back from it: a saved tree is enough for every estimate."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import distribution, version
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp.cells import Cells, Incomplete
from bayes_listexp.control_counts import family
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Rows
from bayes_listexp.instruments import described as plain
from bayes_listexp.instruments import made
from bayes_listexp.lists import OwnList
from bayes_listexp.margins import Margin
from bayes_listexp.persons import Persons
from bayes_listexp.population import PopulationFrame
from bayes_listexp.priors import parse_prior
from bayes_listexp.reporting import ReportTables
from bayes_listexp.specification import Blueprint, Specification, bind, predictor_formulas, with_known_waves
from bayes_listexp.versions import tag

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Limits of threads that may change the order of sums, and so the last digits."""

PACKAGES = ("bayes_listexp", "pymc", "nutpie", "pytensor", "arviz", "formulae", "numpy", "scipy", "pandas", "xarray")


def attributes(study: ListExperiment, plan: Blueprint, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Provenance as attributes that a NetCDF file can hold: specification, priors, data, exclusions, versions, hashes."""
    specification = plan.specification
    described: dict[str, Any] = {
        "trait": specification.trait,
        "control": specification.control,
        "counts": specification.counts,
        "dependence": specification.dependence,
        "lapses": dict(specification.lapses),
        "response": specification.response if isinstance(specification.response, str) else "custom",
        "priors": "flat" if specification.priors == "flat" else {k: str(v) for k, v in plan.priors.items()},
    }
    described |= {"neighbours": dict(specification.neighbours), "times": dict(specification.times), "centred": dict(specification.centred)}
    if specification.weighting != "none":
        described["weighting"] = specification.weighting
    if specification.person != "none":
        described["person"] = specification.person
    if specification.margins:
        described["margins"] = [_described_margin(m) for m in specification.margins]
    facts = {
        "specification": described,
        "instruments": {instrument.name: plain(instrument) for instrument in plan.instruments},
        "source": dict(study.source),
        "arguments": dict(arguments),
        "exclusions": plan.cells.exclusions.to_dict("records"),
        "versions": {p: version(p) for p in PACKAGES},
    }
    told = {name: json.dumps(value, ensure_ascii=False, default=_plain_number) for name, value in facts.items()}
    return told | {
        "J": plan.J,
        "wave": study.wave or "",
        "item": study.item or "",
        "weighted": int(study.weighted),
        "sensitive_item": study.sensitive_item,
        "synthetic": int(study.synthetic),
        "smallest_group": int(study.smallest_group),
        "environment": json.dumps(environment()),
        "study_sha256": study.sha256,
        "run_sha256": _run_digest(told, study.sha256),
        **({"version": study.version, "lists": json.dumps(dict(study.lists), ensure_ascii=False)} if study.version else {}),
    }


def _run_digest(told: Mapping[Any, Any], study: str) -> str:
    run = [json.loads(told["specification"]), json.loads(told["instruments"]), study, json.loads(told["arguments"])]
    return hashlib.sha256(json.dumps(run, sort_keys=True, default=str).encode()).hexdigest()


def run_digest(tree: xr.DataTree) -> str | None:
    """The hash of specification, instruments, data, seed and settings as a tree has them now; None if it does not have that of its data."""
    return _run_digest(tree.attrs, tree.attrs["study_sha256"]) if "study_sha256" in tree.attrs else None


def environment() -> dict[str, Any]:
    """What a fit ran on, beside the versions of packages: Python, system, processors, limits of threads, and the package's commit."""
    out: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}
    out["threads"] = {name: os.environ[name] for name in THREADS if name in os.environ}
    installed = distribution("bayes_listexp").read_text("direct_url.json")
    commit = json.loads(installed or "{}").get("vcs_info", {}).get("commit_id")
    return out | ({"commit": commit} if commit else {})


def _described_margin(margin: Margin) -> dict[str, Any]:
    """The fields of a margin, its frame by its size and hash."""
    fields = {field.name: getattr(margin, field.name) for field in dataclasses.fields(margin)}
    frame = fields.get("population")
    if isinstance(frame, pd.DataFrame):
        digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
        fields["population"] = f"a frame of {len(frame)} cells, sha256 {digest}"
    return {"kind": type(margin).__name__, **fields}


def fact(tree: xr.DataTree, name: str) -> Any:
    """An attribute of a fitted tree that was stored as JSON: "specification", "source", "exclusions", ...

    Raises
    ------
    InputError : the tree does not come from :func:`bayes_listexp.fit`.
    """
    if name not in tree.attrs:
        raise InputError(f"the tree has no attribute '{name}': it was not made by bayes_listexp.fit.")
    return json.loads(tree.attrs[name])


def interrupted(tree: xr.DataTree) -> str:
    """What sampling that was interrupted has left, in words ("2 of 4 chains, with 312 of 1,500 draws each"); "" if it came to its end."""
    return str(tree["sample_stats"].attrs.get("interrupted", "")) if "sample_stats" in tree.children else ""


def groups(plan: Blueprint, population: PopulationFrame | None) -> dict[str, xr.Dataset]:
    """The groups ``cells`` and ``report_tables``, and where there are such, ``rows``, ``incomplete``, ``persons`` and ``population``."""
    cells = _frame_dataset(plan.cells.frame, "cell")
    for arm, answers in plan.cells.answers.items():
        cells[f"n_{arm}"] = (("cell", f"{arm}_answer"), answers)
    cells["weight"] = ("cell", plan.cells.weight)
    cells["unlisted"] = ("cell", np.broadcast_to(plan.cells.unlisted, len(plan.cells.frame)))
    tables = {name: table for part in plan.parts for name, table in _report_variables(part).items()}
    out = {"cells": cells, "report_tables": xr.Dataset(tables)}
    if plan.rows is not None:
        out["rows"] = _rows_dataset(plan.rows, "pattern")
    if plan.cells.incomplete is not None:
        out["incomplete"] = _incomplete_dataset(plan.cells.incomplete)
    if plan.persons is not None:
        own = {"person_row": (("person", "slot"), plan.persons.row), "person_n": ("person", plan.persons.n)}
        out["persons"] = _rows_dataset(plan.persons.rows, "row").assign(own)
    return out if population is None else out | {"population": _population_dataset(population)}


def _report_variables(plan: Blueprint) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The tables of what people write down on one list, with their dims."""
    axes = ("trait", plan.tagged("count"), plan.tagged("both_arms_answer"))
    tables = {"certain": plan.tables.certain}
    tables |= {f"kept_{name}": table for name, table in plan.tables.kept.items()}
    tables |= {f"followed_{name}": table for name, table in plan.tables.followed.items()}
    return {plan.tagged(name): (axes, table) for name, table in tables.items()}


def _report_tables(tree: xr.DataTree, lapses: Sequence[str], label: str = "") -> ReportTables:
    """The tables of what people write down on one list back from a tree."""
    stored = tree["report_tables"].to_dataset()

    def table(name: str) -> np.ndarray:
        return stored[f"{name}_{label}" if label else name].to_numpy()

    return ReportTables(table("certain"), {n: table(f"kept_{n}") for n in lapses}, {n: table(f"followed_{n}") for n in lapses})


def blueprint_of(tree: xr.DataTree) -> Blueprint:
    """The blueprint that a fitted tree was sampled from, without its margins, which estimates do not need."""
    described = {k: v for k, v in fact(tree, "specification").items() if k != "margins"}
    specification = Specification(**described)
    stored = tree["cells"].to_dataset()
    cells = Cells(
        _dataset_frame(stored),
        stored["n_control"].to_numpy(),
        stored["n_treatment"].to_numpy(),
        stored["weight"].to_numpy(),
        pd.DataFrame(fact(tree, "exclusions")),
        stored["n_placebo"].to_numpy() if "n_placebo" in stored else None,
        stored["unlisted"].to_numpy(),
        _incomplete(tree),
    )
    instruments = tuple(made(name, table) for name, table in fact(tree, "instruments").items())
    item = tree.attrs["item"] or None
    lapses = list(described["lapses"])
    lists = tuple(OwnList(version, J, _report_tables(tree, lapses, tag(version)))
                  for version, J in json.loads(tree.attrs.get("lists", "{}")).items())
    longest = max(lists, key=lambda one: one.J).tables if lists else _report_tables(tree, lapses)
    version = tree.attrs.get("version")
    designs = bind(predictor_formulas(specification, instruments), cells, item, version, lists)
    known = [m["group"] for m in fact(tree, "specification").get("margins", []) if m["kind"] == "KnownPrevalence"]
    given = described["priors"]
    resolved = {} if given == "flat" else {name: parse_prior(text) for name, text in given.items()}
    return Blueprint(
        specification,
        int(tree.attrs["J"]),
        cells,
        with_known_waves(designs, known, tree.attrs["wave"] or None),
        longest,
        family(described["counts"]),
        resolved,
        instruments,
        _rows(tree),
        item=item,
        version=version,
        lists=lists,
        persons=persons_in(tree),
        wave=tree.attrs["wave"] or None,
    )


def persons_in(tree: xr.DataTree) -> Persons | None:
    """The respondents of a fitted tree by all their answers, where people answer in several waves or have effects; or None."""
    if "persons" not in tree.children:
        return None
    stored = tree["persons"].to_dataset()
    return Persons(_dataset_rows(stored), stored["person_row"].to_numpy(), stored["person_n"].to_numpy())


def _rows(tree: xr.DataTree) -> Rows | None:
    return _dataset_rows(tree["rows"].to_dataset()) if "rows" in tree.children else None


def _rows_dataset(rows: Rows, dim: str) -> xr.Dataset:
    columns: dict[str, Any] = {f: (dim, getattr(rows, f)) for f in Rows._fields if f != "observed"}
    return xr.Dataset(columns | {f"observed{name}": (dim, values) for name, values in rows.observed.items()})


def _dataset_rows(rows: xr.Dataset) -> Rows:
    observed = {str(n).removeprefix("observed"): rows[n].to_numpy() for n in rows if str(n).startswith("observed")}
    plain_fields = {f: rows[f].to_numpy() for f in Rows._fields if f != "observed"}
    return Rows(observed=observed, **plain_fields)


def _incomplete_dataset(incomplete: Incomplete) -> xr.Dataset:
    """Respondents who lack covariates: the rows they may stand for as in ``rows``, and what else there is of their patterns."""
    own: dict[str, Any] = {f"pattern_{name}": ("pattern", getattr(incomplete, name)) for name in ("size", "n", "weight")}
    own |= {name: (("pattern", "candidate"), getattr(incomplete, name)) for name in ("candidate", "probability")}
    return _rows_dataset(incomplete.rows, "possible_row").assign(own)


def _incomplete(tree: xr.DataTree) -> Incomplete | None:
    if "incomplete" not in tree.children:
        return None
    stored = tree["incomplete"].to_dataset()
    own = {name: stored[name].to_numpy() for name in ("candidate", "probability")}
    own |= {name: stored[f"pattern_{name}"].to_numpy() for name in ("size", "n", "weight")}
    return Incomplete(rows=_dataset_rows(stored.drop_vars(["candidate", "probability"])), **own)


def _plain_number(value: Any) -> Any:
    """NumPy numbers, which fields of an instrument may be, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot be stored")


def population_of(tree: xr.DataTree) -> pd.DataFrame | None:
    """The cells of the population frame stored with a fit, with their number of people ``N``, or None."""
    frame = population_frame_of(tree)
    return None if frame is None else frame.cells


def population_frame_of(tree: xr.DataTree) -> PopulationFrame | None:
    """The population frame stored with a fit, with how sure it is, or None."""
    if "population" not in tree.children:
        return None
    stored = tree["population"].to_dataset()
    told = stored.attrs
    return PopulationFrame(
        _dataset_frame(stored),
        json.loads(told.get("n", "null")),
        told.get("source", "a table of cells"),
        told.get("wave") or None,
        tuple(json.loads(told.get("methods", "[]"))),
    )


def _population_dataset(population: PopulationFrame) -> xr.Dataset:
    n = dict(population.n) if isinstance(population.n, Mapping) else population.n
    return _frame_dataset(_as_read(population.cells), "population_cell").assign_attrs(
        n=json.dumps(n, default=_plain_number),
        source=population.source,
        wave=population.wave or "",
        methods=json.dumps(population.methods),
    )


def _as_read(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as numbers, everything else as categories of text, as the study's own columns are."""
    return pd.DataFrame(
        {
            str(name): frame[name].astype(float)
            if pd.api.types.is_numeric_dtype(frame[name].dtype)
            else frame[name].astype(str).astype("category")
            for name in frame.columns
        }
    )


def _frame_dataset(frame: pd.DataFrame, dim: str) -> xr.Dataset:
    """Columns under numbered names (a column may be called anything); categories as codes with their levels."""
    variables = {}
    for i, name in enumerate(frame.columns):
        column, attrs = frame[name], {"column": str(name)}
        if isinstance(column.dtype, pd.CategoricalDtype):
            attrs["levels"] = json.dumps([str(level) for level in column.cat.categories], ensure_ascii=False)
            variables[f"column_{i}"] = (dim, column.cat.codes.to_numpy().astype("int32"), attrs)
        else:
            variables[f"column_{i}"] = (dim, column.to_numpy(dtype=float), attrs)
    return xr.Dataset(variables, coords={dim: np.arange(len(frame))})


def _dataset_frame(stored: xr.Dataset) -> pd.DataFrame:
    columns, rows = {}, max(stored.sizes[d] for d in stored.sizes if str(d).endswith("cell"))
    for variable in (stored[name] for name in stored if str(name).startswith("column_")):
        values = variable.to_numpy()
        if "levels" in variable.attrs:
            values = pd.Categorical.from_codes(values, categories=json.loads(variable.attrs["levels"]))
        columns[variable.attrs["column"]] = values
    return pd.DataFrame(columns, index=np.arange(rows))
