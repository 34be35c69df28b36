"""The command line: thin; every command reads its input, calls the package, and prints.

Options are described by `:param name:`, the one form from which the help takes descriptions without types.
"""

from __future__ import annotations

import atexit
import gc
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Parameter

from bayes_listexp.errors import InputError
from bayes_listexp.fit_command import fit, report
from bayes_listexp.gallery_command import gallery
from bayes_listexp.plan_options import NOTHING_ASKED, PlanOptions, merged
from bayes_listexp.verify_command import print_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    import pandas as pd

    from bayes_listexp.experiment import ListExperiment
    from bayes_listexp.planning.plan_tables import Plan
    from bayes_listexp.tables import Table

FINE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
SELDOM = (200_000, 50, 50)
"""How often cyclic garbage is collected: what is imported and compiled are millions of objects that stay, and little of it is garbage."""
STEERING = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # characters that move a terminal's cursor, or worse

app = App(name="bayes-listexp", help="Bayesian analysis of list experiments.", version_flags=["--version"], help_format="plaintext",
          suppress_keyboard_interrupt=False)
app.command(gallery)
app.command(fit)
app.command(report)


@app.command
def audit(
    table: str,
    *,
    J: Annotated[int | None, Parameter(name=["--J", "-J"])] = None,
    N: Annotated[int | None, Parameter(name=["--N", "-N"])] = None,
    shares: bool = False,
) -> int:
    """Audit a published table: contradictions between its printed numbers.

    :param table: A CSV of means by arm (group, level, share, mean_control, mean_treatment, support), a table of counts
        (study, arm, item_count, n, ...), a table of answer shares, or the name of a bundled table as bundled:NAME.
    :param J: Number of control items (tables of means).
    :param N: Number of respondents (tables of means).
    :param shares: The table holds shares of answers (question, answer, share).
    """
    from bayes_listexp.published.answers import read_published_counts, read_shares
    from bayes_listexp.published.audit import audit as audit_means
    from bayes_listexp.published.audit_answers import audit_counts, audit_shares
    from bayes_listexp.published.table import read_published
    from bayes_listexp.spec import BUNDLED, bundled

    path = bundled(table.removeprefix(BUNDLED)) if table.startswith(BUNDLED) else Path(table)
    if shares:
        findings = audit_shares(read_shares(path))
    elif "item_count" in _first_line(path):
        findings = audit_counts(read_published_counts(path))
    elif J is None or N is None:
        raise InputError(
            f"{path}: a table of means needs --J (control items) and --N (respondents); for shares give --shares."
        )
    else:
        findings = audit_means(read_published(path, J=J, N=N))
    failed = [f for f in findings if not f.passed]
    for finding in failed:
        print(f"[{finding.severity}] {finding.text}")
    print(
        f"{len(failed)} findings in {len(findings)} checks of {path.name}."
        if failed
        else f"No findings in {len(findings)} checks of {path.name}."
    )
    return FINE


@app.command
def check(
    source: Path,
    *,
    answer: str | None = None,
    arm: str | None = None,
    J: Annotated[int | None, Parameter(name=["--J", "-J"])] = None,
    arms: tuple[str, str] | None = None,
    wave: str | None = None,
    version: str | None = None,
    weights: str | None = None,
    clusters: str | None = None,
    ids: str | None = None,
    direct: str | None = None,
    by: tuple[str, ...] = (),
    planned: float | None = None,
    order: str | None = None,
    out: Path | None = None,
) -> int:
    """Check a study's design and data, or audit a published table, without fitting.

    Prints what failed and what to do about it, then everything else. A spec says all of this itself ([data], [report] by,
    [checks]); a data file needs --answer, --arm and --J.

    :param source: A TOML spec, or a data file (csv, parquet, Stata, SPSS).
    :param answer: Column of the answers to the list.
    :param arm: Column of the arm.
    :param J: Number of control items.
    :param arms: The two values of the arm, control first.
    :param wave: Column of the wave.
    :param version: Column of the list version.
    :param weights: Column of survey weights.
    :param clusters: Column of sampled clusters.
    :param ids: Column of respondents' ids.
    :param direct: Column of a direct question.
    :param by: Covariates to compare between the arms; without, all columns with groups or numbers.
    :param planned: Share who were to be shown the treatment list (0 to 1).
    :param order: Column of a random order of questions.
    :param out: Folder for a page with tables and figures (checks.html).
    """
    from bayes_listexp.published.audit import audit as audit_means
    from bayes_listexp.spec import published_of, read_spec

    roles = {"answer": answer, "arm": arm, "J": J, "arms": arms, "wave": wave, "version": version, "weights": weights,
             "clusters": clusters, "ids": ids, "direct": direct}
    given = {name: value for name, value in roles.items() if value is not None}
    settings = {name: value for name, value in (("planned", planned), ("order", order)) if value is not None}
    if source.suffix != ".toml":
        from bayes_listexp.checks.source import study_of_file

        return _check_study(*study_of_file(source, given, by, order), settings, out)
    if given or settings or by:
        first = next(iter({**given, **settings, "by": by}))
        raise InputError(f"{source}: a spec says this itself; leave out --{first}, or write it there.")
    read = read_spec(source)
    if read.kind == "plan":
        raise InputError(f"{source} is a plan, and has no data to check. Use bayes-listexp plan {source}.")
    if read.kind == "published":
        for finding in audit_means(published_of(read)[0]):
            print(f"{'passed' if finding.passed else finding.severity}: {finding.text}")
        return FINE
    from bayes_listexp.disclosure import shown_columns
    from bayes_listexp.spec import check_settings, study_of

    study, _ = study_of(read)
    by = tuple(c for c in read.table("report").get("by", []) if c in study.covariates)
    return _check_study(study, shown_columns(study, by), check_settings(read), out)


def _check_study(study: ListExperiment, covariates: Sequence[str], settings: Mapping[str, Any], out: Path | None) -> int:
    from bayes_listexp.checks import design_checks
    from bayes_listexp.checks.page import page_of
    from bayes_listexp.exclusions import kept

    print(f"{study.n:,} respondents analysed of {study.source['respondents']:,} read.")
    names = [instrument.name for instrument in study.instruments]
    owner = {c: max((name for name in names if c.startswith(f"_{name}")), key=len, default="") for c in study.observed}
    for instrument in study.instruments:
        asked = study.table[[c for c in study.observed if owner[c] == instrument.name]].notna().any(axis=1)
        print(f"instrument {instrument.name} ({', '.join(instrument.columns)}): {study.table.loc[asked, '_n'].sum():,} respondents")
    for stays, (_, row) in zip(kept(study.exclusions), study.exclusions.iterrows(), strict=True):
        print(
            f"{'' if stays else 'excluded, '}{row['reason']} ({row['column']}): {row['control']} control, "
            f"{row['treatment']} treatment, {row['arm unknown']} arm unknown"
        )
    checks = design_checks(study, covariates, **settings)
    print(f"\n{page_of(checks)}")
    if out is not None:
        from bayes_listexp.batch import write_page
        from bayes_listexp.checks_report import checks_report, tables_of_checks

        print(f"\n{write_page(checks_report(study, checks, covariates), out, 'checks.html', tables_of_checks(checks))}")
    return FINE


@app.command
def estimate(spec: Path, *, out: Path | None = None, covariates: str | None = None, by: list[str] | None = None) -> int:
    """Print every estimate without a model that a study allows, and list regressions by quick estimators, within seconds.

    :param spec: A TOML spec of a survey.
    :param out: Folder for the tables as CSV, unrounded.
    :param covariates: Formula of the adjusted difference and of the linear regression, in place of the spec's.
    :param by: Columns to show groups of, in place of the spec's.
    """
    from bayes_listexp.folders import write_text
    from bayes_listexp.overview import estimates_without_model
    from bayes_listexp.quick_overview import quick_estimates
    from bayes_listexp.quick_tables import tables_of_quick
    from bayes_listexp.spec import estimate_arguments, read_spec, study_of
    from bayes_listexp.survey_without_model import tables_without_model
    from bayes_listexp.tables import to_csv

    read = read_spec(spec)
    if read.kind != "survey":
        raise InputError(f"{spec}: kind = '{read.kind}': a published table has no respondents. See `bayes-listexp audit`.")
    study, _ = study_of(read)
    settings = estimate_arguments(read, study) | ({} if covariates is None else {"covariates": covariates})
    change = read.table("report").get("change")
    groups = by or read.table("report").get("by", [])
    found = estimates_without_model(study, **settings, by=groups, change=tuple(change) if change else None)
    quick = quick_estimates(study, covariates=settings["covariates"])
    for table in [*tables_without_model(found), *tables_of_quick(quick)]:
        _print_table(table)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            write_text(out / f"{table.name}.csv", to_csv(table))
    return FINE


@app.command
def simulate(spec: Path, *, seed: int | None = None, n: int | None = None, out: Path = Path("simulated")) -> int:
    """Simulate the survey of a spec, and write it with the truth and a spec that reads it; prints the path of each file.

    With simulated = "model" in [data], people are drawn from the population and answer by [model]; a survey from a file keeps its
    people, who get new answers. Trait and count of each respondent are in people.csv, not in the survey.

    :param spec: A TOML spec.
    :param seed: Another seed than the spec's.
    :param n: Another number of respondents (of each wave) than the spec's.
    :param out: Folder for the files.
    """
    from bayes_listexp.batch import write_simulation
    from bayes_listexp.simulated_files import with_settings
    from bayes_listexp.spec import read_spec

    for path in write_simulation(with_settings(read_spec(spec), seed, n), out):
        print(path)
    return FINE


@app.command
def plan(
    spec: Path | None = None, *, options: PlanOptions = NOTHING_ASKED, workers: int = 1, out: Path | None = None, quiet: bool = False
) -> int:
    """Plan the next study: what so many respondents can say, by design, size and group.

    :param spec: A TOML spec with kind = "plan"; options go before what it says.
    :param options: What is assumed and asked.
    :param workers: Processes for the simulated studies; the results do not depend on their number.
    :param out: Folder for the page with its tables and figures.
    :param quiet: No progress.
    """
    from bayes_listexp.planning.plan_settings import plan_of
    from bayes_listexp.planning.plan_tables import plan_tables
    from bayes_listexp.planning.plan_text import plan_paragraph

    planned, choice = (plan_of(merged(options, {})), None) if spec is None else _plan_of_spec(spec, options)
    with _bar("simulated studies", quiet) as progress:
        tables = plan_tables(planned, workers=workers, progress=progress)
    for name, table in tables.items():
        print(f"{name.replace('_', ' ')}\n{table.round(4).to_string(index=False)}\n")
    if choice is not None:
        print(f"control items\n{choice.head(12).round(4).to_string(index=False)}\n")
    print(plan_paragraph(planned, tables))
    if out is not None:
        from bayes_listexp.batch import write_plan
        from bayes_listexp.planning_report import plan_report

        page = plan_report(planned, tables, choice=choice, command="" if spec is None else f"bayes-listexp plan {spec.name}")
        write_plan(out, page, choice)
        print(out / "plan.html", flush=True)
    return FINE


@app.command
def show(run: Path, *, verify: bool = False, data: Path | None = None) -> int:
    """Print the summary of a stored fit, or whether it is what was fitted.

    :param run: A fit.nc, or the folder of a run.
    :param verify: Instead, compute its hashes and the log density at some of its draws again, print a line for each check, and fail if
        one does not agree.
    :param data: The data file of the fit (with --verify); without, a file of its name beside the run or in this folder.
    """
    if verify:
        return print_verified(run, data)
    import arviz as az

    from bayes_listexp.checks import convergence, fit_checks
    from bayes_listexp.checks.page import page_of
    from bayes_listexp.folders import load_tree

    tree = load_tree(run)
    if "specification" in tree.attrs:
        print(tree.attrs["specification"])
        print(page_of(fit_checks(tree, prior=True)))
        from bayes_listexp.estimates import observed_by, prevalence, summarise
        from bayes_listexp.stored import fact

        by = [tree.attrs[name] for name in ("item", "wave") if tree.attrs[name]]
        print(summarise(prevalence(tree, by=by)).to_string(index=False))
        for name in fact(tree, "instruments"):
            for draws in observed_by(tree, name).values():
                row = summarise(draws).iloc[0]
                print(f"{name}: {draws.attrs['label']}: {row['median']:.3f} ({row['lower']:.3f} to {row['upper']:.3f})")
    else:
        print(page_of(convergence(tree)))
    print(az.summary(tree["posterior"].to_dataset(), ci_prob=0.95, ci_kind="eti").to_string())
    return FINE


@app.command
def compare(
    *fits: Path, out: Path, names: tuple[str, ...] = (), by: tuple[str, ...] = (), runs: Path = Path("runs"), quiet: bool = False
) -> int:
    """Put fits side by side on one page: of one study under several models, or of several studies; prints the path of the page.

    :param fits: Runs (their folders, or .nc files in them), or TOML specs, which are fitted unless their run is unchanged.
    :param out: Folder for the page with its tables and figures.
    :param names: What the fits are called, in their order.
    :param by: Columns to show support by; without, those that all fits have.
    :param runs: Folder for the runs of specs.
    :param quiet: No progress.
    """
    from bayes_listexp.batch import write_comparison

    progress = not quiet and sys.stdout.isatty()
    print(write_comparison(fits, out, names=names, by=by or None, runs=runs, progress=progress, say=_say(quiet)), flush=True)
    return FINE


def _plan_of_spec(path: Path, options: PlanOptions) -> tuple[Plan, pd.DataFrame | None]:
    """The plan of a spec with the options in its place, and its choice of control items."""
    from bayes_listexp.planning.plan_settings import plan_of
    from bayes_listexp.spec import control_item_choice, pilot_of, read_spec

    spec = read_spec(path)
    if spec.kind != "plan":
        raise InputError(f'{path}: kind = "{spec.kind}": a plan needs a spec with kind = "plan".')
    try:
        return plan_of(merged(options, spec.tables), pilot=pilot_of(spec, "scenario"), title=spec.title), control_item_choice(spec)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def _say(quiet: bool) -> Callable[[str], None]:
    return (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))


@contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _first_line(path: Path) -> str:
    from bayes_listexp.opening import refuse_large

    refuse_large(path)
    try:
        with path.open(encoding="utf-8-sig") as lines:
            return lines.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error


def _print_table(table: Table) -> None:
    from bayes_listexp.tables import Text, shown

    say = lambda text: print(re.sub(STEERING, chr(0xFFFD), text))  # noqa: E731 -- a label must not steer the terminal
    cells = shown(table)
    columns = []
    for column, heading in zip(table.columns, cells.columns, strict=True):
        texts = [heading, *cells[heading]]
        pad = str.ljust if isinstance(column, Text) else str.rjust
        columns.append([pad(text, max(map(len, texts))) for text in texts])
    say(f"{table.caption}\n")
    say("\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True)))
    say(f"{table.note}\n" if table.note else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit codes: 0 fine, 1 the work failed, 2 bad usage or bad input, 130 interrupted by Ctrl-C."""
    gc.set_threshold(*SELDOM)
    atexit.register(gc.freeze)  # else all that is left is gone through once more
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(BAD_INPUT)
    except InputError as error:
        print(f"bayes-listexp: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (OSError, MemoryError, RuntimeError) as error:
        print(f"bayes-listexp: failed: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("bayes-listexp: interrupted. What was finished is kept.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(code or FINE)
