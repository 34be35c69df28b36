"""Running specs: one folder per run, written under a temporary name and renamed; an unchanged run is recognised."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from bayes_listexp import report as reporting
from bayes_listexp.changes import wave_dates
from bayes_listexp.checks import converged
from bayes_listexp.comparison_page import comparison_report
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import observed_by, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures import Printed, to_png
from bayes_listexp.fitting import fit
from bayes_listexp.margins import KnownItem
from bayes_listexp.markdown_tables import to_markdown
from bayes_listexp.published.answers import Claim, read_claims, read_shares
from bayes_listexp.published.audit import audit
from bayes_listexp.published.audit_answers import audit_shares
from bayes_listexp.published.model import fit_published
from bayes_listexp.published.table import total_only
from bayes_listexp.published_report import Published, audit_table, published_report
from bayes_listexp.published_report import headline as published_headline
from bayes_listexp.reanalysis.analysis import Make, Stored
from bayes_listexp.reanalysis.collection import Gallery, gallery
from bayes_listexp.report import Report, render_report, tables_of
from bayes_listexp.sampling import Sampler
from bayes_listexp.simulated_files import simulated_files
from bayes_listexp.spec import (
    BUNDLED,
    Spec,
    estimate_arguments,
    fit_arguments,
    known_margins,
    map_of,
    published_of,
    read_spec,
    resolve_path,
    study_of,
)
from bayes_listexp.spec_dates import dates_of, events_of, printed_of
from bayes_listexp.spec_lines import line_of
from bayes_listexp.stored import PACKAGES, fact
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey, headline
from bayes_listexp.tables import Table, to_csv, to_latex
from bayes_listexp.word_tables import to_docx

Say = Callable[[str], None]
WRITTEN: dict[str, Callable[[Table], str]] = {"csv": to_csv, "tex": to_latex, "md": to_markdown}
"""How tables are written beside a page, by the ending of the file; Word documents are bytes and come on top."""

OF_A_FIT = ("summary.json", "report.html", "tables", "figures")
"""What a run says of its fits."""


class Run(NamedTuple):
    """A finished run: its folder, and whether its fit converged."""

    folder: Path
    converged: bool


def run_spec(
    spec: Spec, out: Path, *, report: bool = True, progress: bool = False, say: Say = lambda text: None
) -> Run:
    """Fit a spec and write its folder ``out/<name of the spec>``: fit.nc, summary.json, tables, figures, report, spec.

    A run whose spec, data and versions are unchanged is not sampled again. Each fit is stored as soon as it is made, so that nothing
    that comes after it can lose it. Nothing is left half-written: the other files go to a temporary folder beside the target, which
    takes its place at the end.
    """
    target = out / spec.path.stem
    make = _survey if spec.kind == "survey" else _published
    made = make(spec, target, progress, say)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        for name, tree in made.trees.items():
            tree.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
        (folder / "spec.toml").write_text(spec.text, encoding="utf-8")
        (folder / "summary.json").write_text(json.dumps(made.summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if report:
            page = made.page()
            write_page(page, folder, "report.html", [*made.tables, *tables_of(page)])
        _replace(folder, target)
    return Run(target, bool(made.summary["converged"]))


def write_simulation(spec: Spec, out: Path) -> list[Path]:
    """Write the files of a simulation (:func:`bayes_listexp.simulated_files.simulated_files`) into the folder ``out``; their paths.

    Raises
    ------
    InputError : the spec's own file is one of them, so that it would be overwritten.
    """
    if (out / spec.path.name).resolve() == spec.path.resolve():
        raise InputError(f"--out {out}: the spec that is written would take the place of {spec.path}. Name another folder.")
    files = simulated_files(spec, out)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in files]


def write_gallery(out: Path, *, say: Say = lambda text: None, **asked: Any) -> Gallery:
    """Make a gallery and write it: ``out/index.html``, and each study's page, tables, figures and fits in a folder of its own.

    ``asked`` are arguments of :func:`bayes_listexp.gallery`. Fits that are stored there, of the same counts, arguments and versions,
    are not sampled again, so that a gallery that was interrupted goes on where it was.
    """
    def stored_in(study: str) -> Stored:
        def fitted(name: str, digest: str, arguments: Mapping[str, Any], make: Make) -> xr.DataTree:
            folder = out / study
            return _fitted(name, folder, _key(digest, arguments), make, say, name)

        return fitted

    made = gallery(**asked, fitted=stored_in, say=say)
    for study, page in made.pages.items():
        write_page(page, out / study, "index.html", made.tables[study])
    write_page(made.index, out, "index.html", [made.studies])
    return made


def _store(tree: xr.DataTree, path: Path) -> None:
    """Write a fit under a temporary name first, so that a killed run leaves nothing half-written."""
    unfinished = path.with_name(f".{path.name}")
    tree.to_netcdf(unfinished, engine="h5netcdf")
    os.replace(unfinished, path)


def load_tree(path: Path) -> xr.DataTree:
    """A stored fit: a ``fit.nc`` or the folder of a run.

    Raises
    ------
    InputError : there is no readable fit.
    """
    file = path / "fit.nc" if path.is_dir() else path
    try:
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            return tree.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{file}: not a readable fit ({error}). Run `bayes-listexp fit` again.") from error


class Made(NamedTuple):
    """What a spec gives: fits by name, how to make the report, tables beside those in it, and a summary."""

    trees: dict[str, xr.DataTree]
    page: Callable[[], Report]
    tables: list[Table]
    summary: dict[str, Any]


def _survey(spec: Spec, target: Path, progress: bool, say: Say) -> Made:
    study, simulated = study_of(spec)
    regions = map_of(spec, study)  # before anything is fitted, so that a fault in it costs no waiting
    alone = estimate_arguments(spec, study)
    arguments = fit_arguments(spec)
    arguments["sample"] = {**arguments["sample"], "progress": progress}
    settings = spec.table("report")
    data = study.sha256
    trees = {"fit": _fitted("fit", target, _key(data, arguments), partial(fit, study, **arguments), say)}
    alternatives = {}
    for i, alternative in enumerate(settings.get("alternatives", [])):
        changed = {**arguments, **{k: v for k, v in alternative.items() if k != "name"}}
        name = f"alternative_{i + 1}"
        trees[name] = _fitted(
            name, target, _key(data, changed), partial(fit, study, **changed), say, str(alternative["name"])
        )
        alternatives[str(alternative["name"])] = trees[name]
    survey = Survey(
        study,
        trees["fit"],
        spec.title,
        settings.get("by", []),
        _waves(spec, study),
        alternatives,
        simulated.truth if simulated else None,
        _command(spec),
        **_course(spec, study),
        map=regions,
        checks=spec.table("checks"),
        without_model=alone,
    )
    by = [name for name in (study.item, study.wave) if name is not None]
    overall = summarise(prevalence(trees["fit"], by=by))
    summary = {
        "title": spec.title,
        "headline": headline(survey),
        "prevalence": overall.to_dict("records"),
        "instruments": {name: _estimates(trees["fit"], name) for name in fact(trees["fit"], "instruments")},
        "converged": converged(trees["fit"]),
        "exclusions": fact(trees["fit"], "exclusions"),
    }
    return Made(trees, partial(survey_report, survey), [], summary)


def _estimates(tree: xr.DataTree, instrument: str) -> list[dict[str, Any]]:
    """What an instrument says of everybody: a summary of each of its estimates."""
    found = observed_by(tree, instrument)
    return [{"estimate": name, **summarise(draws).iloc[0].to_dict()} for name, draws in found.items()]


def _published(spec: Spec, target: Path, progress: bool, say: Say) -> Made:
    table, later = published_of(spec)
    data, sample = spec.table("data"), spec.table("sample")
    seed = sample.pop("seed", 1)
    sampler = Sampler(**sample, progress=progress)
    known = tuple(m for m in known_margins(spec) if isinstance(m, KnownItem))
    findings = audit(table, claims=_claims(spec, data))
    trees = {}
    for name, part, use in (("total", total_only(table), None), ("fit", table, data.get("use"))):
        key = _key(
            table.sha256,
            {
                "rows": len(part.rows),
                "use": use,
                "later": repr(later),
                "sample": sample,
                "seed": seed,
                "known_items": repr(known),
                "J": table.J,
                "N": table.N,
            },
        )
        trees[name] = _fitted(
            name,
            target,
            key,
            partial(fit_published, part, use=use, later=later, known_items=known, seed=seed, sampler=sampler),
            say,
            "the total row" if name == "total" else "all rows",
        )
    others = [
        (name.removeprefix(BUNDLED), audit_shares(read_shares(resolve_path(spec, name))))
        for name in data.get("shares", [])
    ]
    published = Published(
        table,
        findings,
        trees["total"],
        trees["fit"],
        spec.title,
        data.get("sensitive_item", "the sensitive item"),
        later,
        others,
        data.get("sources", []),
        _command(spec),
        dates_of(spec.path, spec.text, spec.tables),
        events_of(spec.path, spec.text, spec.table("report")),
    )
    summary = {
        "title": spec.title,
        "headline": published_headline(published),
        "converged": all(converged(tree) for tree in trees.values()),
        "findings": [f.text for f in findings if not f.passed],
    }
    return Made(trees, partial(published_report, published), [audit_table(findings)], summary)


def _claims(spec: Spec, data: Mapping[str, Any]) -> list[Claim]:
    """What the text says beside the table, to be held against it."""
    return [claim for name in data.get("claims", []) for claim in read_claims(resolve_path(spec, name))]


def _waves(spec: Spec, study: ListExperiment) -> tuple[str, str] | None:
    """The two waves of the change: those of the spec, else the first and the last, else none."""
    given = spec.table("report").get("change")
    if given is None:
        return (study.waves[0], study.waves[-1]) if len(study.waves) > 1 else None
    if len(given) != 2 or any(wave not in study.waves for wave in given):
        raise InputError(
            f"{spec.path}: [report] change = {given!r} must name two of the waves: {', '.join(study.waves) or 'none'}."
        )
    return str(given[0]), str(given[1])


def _course(spec: Spec, study: ListExperiment) -> dict[str, Any]:
    """What the report is told about changes and the course over the waves."""
    settings = spec.table("report")
    events = events_of(spec.path, spec.text, settings)
    printed = [Printed(day, row["share"], row["text"], row.get("lower"), row.get("upper"))
               for day, row in printed_of(spec.path, spec.text, settings)]
    if (events or printed) and wave_dates(study.waves) is None:
        key = "events" if events else "printed"
        raise InputError(
            f"{spec.path}, line {line_of(spec.text, key, 'report')}: [report] {key} have dates, and the waves have none: "
            f"{', '.join(study.waves) or 'there are no waves'}. Name the waves by date, such as 2022-09, or leave {key} out."
        )
    return {key: float(settings[key]) for key in ("delta", "rope") if key in settings} | {"events": events, "printed": printed}


def _fitted(
    name: str, target: Path, key: str, make: Callable[[], xr.DataTree], say: Say, label: str = ""
) -> xr.DataTree:
    """The stored fit of this key if there is one, else a new one that carries the key and is stored at once.

    What is made from it later, or fitted after it, can fail without its being lost. What was said of the fit that it replaces goes.
    """
    stored = target / f"{name}.nc"
    if stored.exists():
        tree = load_tree(stored)
        if tree.attrs.get("batch_key") == key:
            say(f"{target.name}: {label or 'fit'} unchanged, taken from {stored}")
            return tree
    say(f"{target.name}: fitting{' ' + label if label else ''} ...")
    tree = make()
    tree.attrs["batch_key"] = key
    target.mkdir(parents=True, exist_ok=True)
    for name_of_old in OF_A_FIT:
        old = target / name_of_old
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    _store(tree, stored)
    return tree


def _key(data: str, arguments: Mapping[str, Any]) -> str:
    """Hash of the data, the arguments and the versions that a result depends on; progress and cores are not among them."""
    from importlib.metadata import version

    kept = {k: v for k, v in arguments.items() if k != "sample"}
    kept["sample"] = {k: v for k, v in dict(arguments.get("sample") or {}).items() if k not in ("progress", "cores")}
    versions = {package: version(package) for package in PACKAGES}
    return hashlib.sha256(json.dumps([data, kept, versions], sort_keys=True, default=str).encode()).hexdigest()


def write_page(page: Report, folder: Path, name: str, tables: Iterable[Table]) -> Path:
    """Write a page as ``folder/name``, its tables (CSV, LaTeX, Markdown, Word) and figures beside it in folders; its path."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(render_report(page), encoding="utf-8")
    for table in tables:
        stem = folder / "tables" / table.name
        for ending, write in WRITTEN.items():
            Path(f"{stem}.{ending}").write_text(write(table), encoding="utf-8")
        Path(f"{stem}.docx").write_bytes(to_docx(table))
    for block in (block for section in page.sections for block in section.blocks):
        if isinstance(block, reporting.Figure):
            (folder / "figures" / f"{block.name}.svg").write_text(block.svg, encoding="utf-8")
            if block.drawn is not None:
                (folder / "figures" / f"{block.name}.png").write_bytes(to_png(block.drawn, synthetic=block.synthetic))
    return folder / name


def write_plan(out: Path, page: Report, choice: pd.DataFrame | None = None) -> None:
    """Write the folder of a plan: plan.html, tables, figures as SVG and PNG, the paragraph as text.

    ``choice`` of control items is written whole, while the page has its best rows.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch) / "plan"
        folder.mkdir()
        write_page(page, folder, "plan.html", tables_of(page))
        if choice is not None:
            (folder / "tables" / "control-items.csv").write_text(to_csv(Table("control-items", choice, "")), encoding="utf-8")
        texts = [block for section in page.sections for block in section.blocks if isinstance(block, reporting.Code)]
        (folder / "paragraph.txt").write_text(texts[0].text + "\n", encoding="utf-8")
        _replace(folder, out)


def write_comparison(
    sources: Sequence[Path],
    out: Path,
    *,
    names: Sequence[str] = (),
    by: Sequence[str] | None = None,
    runs: Path = Path("runs"),
    progress: bool = False,
    say: Say = lambda text: None,
) -> Path:
    """Write the folder of a comparison of fits: comparison.html, its tables and figures; the path of the page.

    ``sources`` are runs (folders, or .nc files) and specs; a spec is fitted into the folder ``runs`` unless its run there is unchanged.
    ``names`` are the fits' names on the page; by default those of their folders, files or specs.

    Raises
    ------
    InputError : as :func:`bayes_listexp.comparison_report`; two fits of one name, or names that are not one for each.
    """
    if names and len(names) != len(sources):
        raise InputError(f"--names: {len(names)} names for {len(sources)} fits. Repeat --names for each fit, or leave it out.")
    called = list(names) or [_name_of_run(path) for path in sources]
    if twice := [name for name in called if called.count(name) > 1]:
        raise InputError(f"two fits are called '{twice[0]}'. Tell them apart by --names.")
    specs = {path: read_spec(path) for path in sources if path.suffix == ".toml"}  # faults show before anything is fitted
    if other := [path for path, spec in specs.items() if spec.kind != "survey"]:
        raise InputError(f"{other[0]} is no spec of a survey, so it cannot be compared.")
    folders = {path: run_spec(spec, runs, report=False, progress=progress, say=say).folder for path, spec in specs.items()}
    trees = {name: load_tree(folders.get(path, path)) for name, path in zip(called, sources, strict=True)}
    command = ["bayes-listexp compare", *(path.name for path in sources)]
    page = comparison_report(trees, by=by, command=" ".join(command))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch) / "comparison"
        folder.mkdir()
        write_page(page, folder, "comparison.html", tables_of(page))
        _replace(folder, out)
    return out / "comparison.html"


def _name_of_run(path: Path) -> str:
    """What a fit is called after where it lies: its folder or spec, and where it is not the folder's main fit its own name too."""
    if path.suffix != ".nc":
        return path.stem if path.suffix == ".toml" else path.resolve().name
    return path.resolve().parent.name if path.name == "fit.nc" else f"{path.resolve().parent.name} {path.stem}"


def _replace(folder: Path, target: Path) -> None:
    """Put a finished folder in the place of the old one."""
    if target.exists():
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-old-"))
        os.rename(target, old / "run")
        os.rename(folder, target)
        shutil.rmtree(old)
    else:
        os.rename(folder, target)


def _command(spec: Spec) -> str:
    return f"bayes-listexp report {spec.path.name}"
