"""The commands `bayes-listexp fit` and `bayes-listexp report`: one spec in this process, many over processes or a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_listexp.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bayes_listexp.batch import Run
    from bayes_listexp.many_runs import Outcome
    from bayes_listexp.spec import Spec

LONGEST_REASON = 300
"""Characters of a reason that a list of failures shows."""


def fit(
    *specs: Path,
    out: Path = Path("runs"),
    jobs: int | None = None,
    scheduler: str | None = None,
    memory: float | None = None,
    quiet: bool = False,
) -> int:
    """Fit the models of one or more specs and store the results, without reports.

    :param specs: TOML specs; all are validated before any is fitted.
    :param out: Folder for the runs, one folder each.
    :param jobs: Runs at once, each in a process; without, as many as there are processors. They share the processors between them.
    :param scheduler: Address of the scheduler of a Dask cluster (tcp://...), whose workers do the runs instead.
    :param memory: GiB that each process may have for its data; a run that needs more fails by itself.
    :param quiet: No progress.
    """
    return _run(specs, out, jobs, scheduler, memory, quiet, report=False)


def report(
    *specs: Path,
    out: Path = Path("reports"),
    jobs: int | None = None,
    scheduler: str | None = None,
    memory: float | None = None,
    quiet: bool = False,
) -> int:
    """Fit the models of one or more specs and write their reports; prints the path of each page.

    :param specs: TOML specs; all are validated before any is fitted.
    :param out: Folder for the reports, one folder each.
    :param jobs: Runs at once, each in a process; without, as many as there are processors. They share the processors between them.
    :param scheduler: Address of the scheduler of a Dask cluster (tcp://...), whose workers do the runs instead.
    :param memory: GiB that each process may have for its data; a run that needs more fails by itself.
    :param quiet: No progress.
    """
    return _run(specs, out, jobs, scheduler, memory, quiet, report=True)


def _run(
    paths: Sequence[Path], out: Path, jobs: int | None, scheduler: str | None, memory: float | None, quiet: bool, *, report: bool
) -> int:
    _refuse(jobs, scheduler, memory)
    specs = _validated(paths)
    say = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    if len(specs) == 1 and scheduler is None and memory is None:
        from bayes_listexp.batch import run_spec

        run = run_spec(specs[0], out, report=report, progress=not quiet and sys.stdout.isatty(), say=say)
        return 0 if _said(specs[0], run, report) else 1
    from bayes_listexp.many_runs import Job, in_processes, on_cluster, processors, run_job, shares

    if scheduler is not None:
        work = [Job(spec, out, report, 1).absolute() for spec in specs]
        return _collect(specs, on_cluster(run_job, work, scheduler), report, say)
    workers, threads = shares(processors(), len(specs), jobs)
    say(f"{len(specs)} runs, {workers} at once, each with {threads} thread{'s' if threads > 1 else ''}")
    work = [Job(spec, out, report, threads) for spec in specs]
    return _collect(specs, in_processes(run_job, work, workers=workers, threads=threads, memory=memory), report, say)


def _collect(specs: Sequence[Spec], outcomes: Iterable[Outcome], report: bool, say: Callable[[str], None]) -> int:
    """Say of each run as it ends what became of it, and at the end which failed and why."""
    from bayes_listexp.many_runs import time_left

    failed, fine, done, begun = [], True, 0, _now()
    try:
        for done, outcome in enumerate(outcomes, start=1):
            spec = specs[outcome.position]
            if outcome.error is None:
                fine &= _said(spec, outcome.result, report)
            else:
                failed.append((spec.path, _reason(outcome.error)))
            left = time_left(_now() - begun, done, len(specs))
            say(f"[{done}/{len(specs)}] {spec.path.stem}: {'failed' if outcome.error else 'done'} in {outcome.seconds:.0f} s{left}")
    except KeyboardInterrupt:
        print(f"Interrupted: {done - len(failed)} of {len(specs)} runs are done; the same command does the rest.", file=sys.stderr)
        raise
    if failed:
        wide = max(len(str(path)) for path, _ in failed)
        print(f"{len(failed)} of {len(specs)} runs failed; the same command does only these again:", file=sys.stderr)
        for path, reason in sorted(failed):
            print(f"  {str(path):<{wide}}  {reason}", file=sys.stderr)
    return 0 if fine and not failed else 1


def _said(spec: Spec, run: Run, report: bool) -> bool:
    """Print where a run lies, whether its fit converged, and what else is noted of it."""
    for note in run.notes:
        print(note, file=sys.stderr)
    if not run.converged:
        print(f"{spec.path}: the fit did not converge; see {run.folder}", file=sys.stderr)
    print(run.folder / "report.html" if report else run.folder / "fit.nc", flush=True)
    return run.converged


def _reason(error: BaseException) -> str:
    from concurrent.futures import BrokenExecutor

    if isinstance(error, BrokenExecutor):
        return "its process died twice: killed from outside, or short of memory"
    text = " ".join(str(error).split()) or "no reason given"
    short = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."
    return short if isinstance(error, InputError) else f"{type(error).__name__}: {short}"


def _refuse(jobs: int | None, scheduler: str | None, memory: float | None) -> None:
    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: must be at least 1.")
    if memory is not None and not memory > 0:
        raise InputError(f"--memory {memory}: must be a positive number of GiB.")
    if scheduler is not None and (jobs is not None or memory is not None):
        raise InputError("--scheduler: a cluster's workers and their memory are set where it is started; leave out --jobs and --memory.")


def _validated(paths: Sequence[Path]) -> list[Spec]:
    """The specs, read; a fault in any, or in its data, shows before the first is fitted."""
    from bayes_listexp.spec import published_of, read_spec, study_of

    if not paths:
        raise InputError("no spec was given. Name one or more TOML files.")
    read = [read_spec(path) for path in paths]
    if plans := [spec.path for spec in read if spec.kind == "plan"]:
        raise InputError(f"{plans[0]} is a plan, and has nothing to fit. Use bayes-listexp plan {plans[0]}.")
    names = [spec.path.stem for spec in read]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two specs are called '{twice[0]}', so their runs would share a folder. Rename one.")
    for spec in read:
        published_of(spec) if spec.kind == "published" else study_of(spec)
    return read


def _now() -> float:
    from time import monotonic

    return monotonic()
