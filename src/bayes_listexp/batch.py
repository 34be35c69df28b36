"""Running specs: one folder per run, in which nothing is half-written; an unchanged run is recognised."""

from __future__ import annotations

import json
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
from bayes_listexp.folders import alone_in, folder_in, load_tree, parts_of, write_bytes, write_text
from bayes_listexp.kept_fits import Fits, Say, forget, key_of
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
from bayes_listexp.stored import fact, interrupted
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey, headline
from bayes_listexp.tables import Table, to_csv, to_latex
from bayes_listexp.word_tables import to_docx

WRITTEN: dict[str, Callable[[Table], str]] = {"csv": to_csv, "tex": to_latex, "md": to_markdown}
"""How tables are written beside a page, by the ending of the file; Word documents are bytes and come on top."""

class Run(NamedTuple):
    """A finished run: its folder, whether its fit converged, and what else should be known of it: stored fits that were of no use, and
    sampling that was interrupted.
    """

    folder: Path
    converged: bool
    notes: tuple[str, ...] = ()


def run_spec(
    spec: Spec, out: Path, *, report: bool = True, progress: bool = False, say: Say = lambda text: None
) -> Run:
    """Fit a spec and write its folder ``out/<name of the spec>``: fit.nc, summary.json, tables, figures, report, spec.

    A run whose spec, data and versions are unchanged is not sampled again. Each fit is stored as soon as it is made, so that nothing
    that comes after it can lose it. Nothing is left half-written: the other files are made in a folder of their own, and moved at the end.
    A fit that was interrupted is stored as it is, marked, no other is begun after it, and the next run makes it again; one that is
    damaged is set aside, and made again.

    Raises
    ------
    InputError : the folder cannot be written to, or another process works in it; and whatever is wrong with spec and data.
    OSError : the disk is full.
    KeyboardInterrupt : Ctrl-C, but where it comes while the last fit is sampled: its report is still made.
    """
    target = folder_in(out, spec.path.stem)
    notes: list[str] = []
    make = _survey if spec.kind == "survey" else _published
    with alone_in(target):
        made = make(spec, Fits(target, say, notes.append), progress)
        with parts_of(target) as folder:
            write_text(folder / "spec.toml", spec.text)
            write_text(folder / "summary.json", json.dumps(made.summary, indent=1, ensure_ascii=False) + "\n")
            if report:
                page = made.page()
                write_page(page, folder, "report.html", [*made.tables, *tables_of(page)])
            elif not _unchanged(target / "spec.toml", spec.text):
                forget(target)
        if not any(map(interrupted, made.trees.values())):
            for old in target.glob("alternative_*.nc"):
                if old.stem not in made.trees:
                    old.unlink()
    return Run(target, bool(made.summary["converged"]), tuple(notes))


def _unchanged(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


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
    return [write_text(out / name, text) for name, text in files.items()]


def write_gallery(out: Path, *, say: Say = lambda text: None, **asked: Any) -> Gallery:
    """Make a gallery and write it: ``out/index.html``, and each study's page, tables, figures and fits in a folder of its own.

    ``asked`` are arguments of :func:`bayes_listexp.gallery`. Fits that are stored there, of the same counts, arguments and versions,
    are not sampled again, so that a gallery that was interrupted goes on where it was.
    """
    def stored_in(study: str) -> Stored:
        def fitted(name: str, digest: str, arguments: Mapping[str, Any], make: Make) -> xr.DataTree:
            return Fits(folder_in(out, study), say, say).whole(name, key_of(digest, arguments), make, name)

        return fitted

    with alone_in(out):
        made = gallery(**asked, fitted=stored_in, say=say)
        for study, page in made.pages.items():
            write_page(page, folder_in(out, study), "index.html", made.tables[study])
        write_page(made.index, out, "index.html", [made.studies])
    return made


class Made(NamedTuple):
    """What a spec gives: fits by name, how to make the report, tables beside those in it, and a summary."""

    trees: dict[str, xr.DataTree]
    page: Callable[[], Report]
    tables: list[Table]
    summary: dict[str, Any]


def _survey(spec: Spec, fits: Fits, progress: bool) -> Made:
    study, simulated = study_of(spec)
    regions = map_of(spec, study)  # before anything is fitted, so that a fault in it costs no waiting
    alone = estimate_arguments(spec, study)
    arguments = fit_arguments(spec)
    arguments["sample"] = {**arguments["sample"], "progress": progress}
    settings = spec.table("report")
    data = study.sha256

    def kept(name: str, given: Mapping[str, Any], label: str = "") -> xr.DataTree:
        tree = fits.of(name, key_of(data, given), partial(fit, study, **given), label)
        return fits.withholding(name, tree, study.smallest_group)

    trees = {"fit": kept("fit", arguments)}
    alternatives: dict[str, xr.DataTree] = {}
    for i, alternative in enumerate(settings.get("alternatives", [])):
        if any(map(interrupted, trees.values())):
            break
        changed = {**arguments, **{k: v for k, v in alternative.items() if k != "name"}}
        name = f"alternative_{i + 1}"
        trees[name] = kept(name, changed, str(alternative["name"]))
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


def _published(spec: Spec, fits: Fits, progress: bool) -> Made:
    table, later = published_of(spec)
    data, sample = spec.table("data"), spec.table("sample")
    seed = sample.pop("seed", 1)
    sampler = Sampler(**sample, progress=progress)
    known = tuple(m for m in known_margins(spec) if isinstance(m, KnownItem))
    findings = audit(table, claims=_claims(spec, data))
    trees = {}
    for name, part, use in (("total", total_only(table), None), ("fit", table, data.get("use"))):
        key = key_of(
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
        make = partial(fit_published, part, use=use, later=later, known_items=known, seed=seed, sampler=sampler)
        trees[name] = fits.whole(name, key, make, "the total row") if name == "total" else fits.of(name, key, make, "all rows")
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


def write_page(page: Report, folder: Path, name: str, tables: Iterable[Table]) -> Path:
    """Write a page as ``folder/name``, its tables (CSV, LaTeX, Markdown, Word) and figures beside it in folders; its path."""
    for part in ("tables", "figures"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for table in tables:
        stem = folder / "tables" / table.name
        for ending, write in WRITTEN.items():
            write_text(Path(f"{stem}.{ending}"), write(table))
        write_bytes(Path(f"{stem}.docx"), to_docx(table))
    for block in (block for section in page.sections for block in section.blocks):
        if isinstance(block, reporting.Figure):
            write_text(folder / "figures" / f"{block.name}.svg", block.svg)
            if block.drawn is not None:
                write_bytes(folder / "figures" / f"{block.name}.png", to_png(block.drawn, synthetic=block.synthetic))
    return write_text(folder / name, render_report(page))


def write_plan(out: Path, page: Report, choice: pd.DataFrame | None = None) -> None:
    """Write the folder of a plan: plan.html, tables, figures as SVG and PNG, the paragraph as text.

    ``choice`` of control items is written whole, while the page has its best rows.
    """
    with alone_in(out), parts_of(out) as folder:
        write_page(page, folder, "plan.html", tables_of(page))
        if choice is not None:
            write_text(folder / "tables" / "control-items.csv", to_csv(Table("control-items", choice, "")))
        texts = [block for section in page.sections for block in section.blocks if isinstance(block, reporting.Code)]
        write_text(folder / "paragraph.txt", texts[0].text + "\n")


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
    folders = {path: _whole_run(spec, runs, progress, say) for path, spec in specs.items()}
    trees = {name: load_tree(folders.get(path, path)) for name, path in zip(called, sources, strict=True)}
    command = ["bayes-listexp compare", *(path.name for path in sources)]
    page = comparison_report(trees, by=by, command=" ".join(command))
    with alone_in(out), parts_of(out) as folder:
        write_page(page, folder, "comparison.html", tables_of(page))
    return out / "comparison.html"


def _whole_run(spec: Spec, runs: Path, progress: bool, say: Say) -> Path:
    """The folder of the run of a spec, if it was not interrupted."""
    run = run_spec(spec, runs, report=False, progress=progress, say=say)
    for note in run.notes:
        say(note)
    if interrupted(load_tree(run.folder)):
        raise KeyboardInterrupt
    return run.folder


def _name_of_run(path: Path) -> str:
    """What a fit is called after where it lies: its folder or spec, and where it is not the folder's main fit its own name too."""
    if path.suffix != ".nc":
        return path.stem if path.suffix == ".toml" else path.resolve().name
    return path.resolve().parent.name if path.name == "fit.nc" else f"{path.resolve().parent.name} {path.stem}"


def _command(spec: Spec) -> str:
    return f"bayes-listexp report {spec.path.name}"
