"""A batch of sixty fits: how much faster two workers are than one, and whether a worker that is killed changes anything.

The fits are quick looks (method "map") at a survey of 60 people, each with a seed of its own, as `bayes-listexp fit` hands them out: to new
processes of this machine, and to the workers of a Dask cluster on it. The clock runs from the first hand-out to the last result, and
holds what a new worker needs to load the package. One and two workers take turns; the ratio is that of the medians. In one more batch of
either kind, a worker is killed (kill -9) after twenty results. Every fit of every batch is held against those of the first.

Figures mean something only where nothing else is at work: with ``--below`` it waits before each batch until the load is less than that,
and the load at the beginning of each batch is kept beside its seconds.

    python -m benchmarks.batch_throughput run [processes | dask] [--repetitions 5] [--fits 60] [--below 0.5]    add to benchmarks/results/
    python -m benchmarks.batch_throughput summary                                           print the table
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bayes_listexp.folders import load_tree
from bayes_listexp.many_runs import Job, Outcome, in_processes, on_cluster, run_job
from bayes_listexp.spec import read_spec
from benchmarks.faults import children_of, people, same_fit, write_spec

FILE = Path(__file__).parent / "results" / "batch_throughput.jsonl"
FITS, REPETITIONS, KILLED_AFTER = 60, 5, 20

Finder = Callable[[], Sequence[int]]


def processes(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Outcome, Finder]]:
    """Outcomes from new processes of this machine, and how to find these."""
    for outcome in in_processes(run_job, jobs, workers=workers):
        yield outcome, lambda: children_of(os.getpid())


def dask(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Outcome, Finder]]:
    """Outcomes from the workers of a Dask cluster, which is ready when the clock starts, and how to find these."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        for outcome in on_cluster(run_job, [job.absolute() for job in jobs], cluster.scheduler_address):
            yield outcome, lambda: [worker.process.pid for worker in cluster.workers.values() if worker.process is not None]


WAYS: dict[str, Callable[[Sequence[Job], int], Iterator[tuple[Outcome, Finder]]]] = {"processes": processes, "dask": dask}


def batch(way: str, folder: Path, runs: str, fits: int, workers: int, *, kill: bool = False) -> dict[str, Any]:
    """One batch: seconds, how many runs came to a result, and of how many the fit is that of the first batch."""
    jobs = [Job(read_spec(folder / f"look{seed}.toml"), folder / runs, False, 1) for seed in range(1, fits + 1)]
    load, begun = os.getloadavg()[0], time.perf_counter()
    done, killed = 0, 0
    for outcome, workers_now in WAYS[way](jobs, workers):
        if outcome.error is not None:
            raise outcome.error
        done += 1
        if kill and not killed and done >= min(KILLED_AFTER, fits // 2):
            killed = max(workers_now())
            os.kill(killed, signal.SIGKILL)
    seconds = time.perf_counter() - begun
    stems = [job.spec.path.stem for job in jobs]
    same = sum(same_fit(load_tree(folder / runs / stem), load_tree(folder / "first" / stem)) for stem in stems)
    return {"way": way, "workers": workers, "killed": bool(killed), "fits": fits, "seconds": seconds, "complete": done, "identical": same,
            "load": load}  # fmt: skip


def run(ways: Sequence[str], fits: int, repetitions: int, below: float) -> None:
    """One and two workers in turns, by each way, then the batches in which a worker is killed."""
    FILE.parent.mkdir(exist_ok=True)
    begun = time.time()
    with tempfile.TemporaryDirectory() as name, FILE.open("a", encoding="utf-8") as out:
        folder = Path(name)
        people(folder / "survey.csv", 60)
        for seed in range(1, fits + 1):
            write_spec(folder, f"look{seed}", sample=f'method = "map"\nseed = {seed}')
        wanted = [(way, workers, False) for _ in range(repetitions) for way in ways for workers in (1, 2)]
        wanted += [(way, 2, True) for way in ways]
        for i, (way, workers, kill) in enumerate(wanted):
            while os.getloadavg()[0] > below:
                time.sleep(5)
            found = {"run": begun, **batch(way, folder, f"batch{i}" if i else "first", fits, workers, kill=kill)}
            out.write(json.dumps(found) + "\n")
            out.flush()
            print(found, file=sys.stderr, flush=True)


def kept() -> list[dict[str, Any]]:
    """The batches of the last run."""
    every = [json.loads(text) for text in FILE.read_text(encoding="utf-8").splitlines()]
    return [found for found in every if found["run"] == every[-1]["run"]]


def summary(every: Sequence[dict[str, Any]]) -> str:
    """Two tables in Markdown: throughput, and the batches in which a worker was killed."""
    rows = [["fits over", "fits a batch", "batches each", "one worker, s", "two workers, s", "ratio", "load at the beginning"]]
    for way in WAYS:
        by = {n: [f for f in every if (f["way"], f["workers"], f["killed"]) == (way, n, False)] for n in (1, 2)}
        if all(by.values()):
            one, two = (median(f["seconds"] for f in by[n]) for n in (1, 2))
            loads = [f["load"] for found in by.values() for f in found]
            rows.append([way, str(by[1][0]["fits"]), str(min(map(len, by.values()))), f"{one:.0f}", f"{two:.0f}", f"{one / two:.2f}",
                         f"{min(loads):.1f} to {max(loads):.1f}"])  # fmt: skip
    ends = [["batch", "batches", "fits", "complete", "identical to the first batch"]]
    for way in WAYS:
        for killed in (False, True):
            if part := [f for f in every if (f["way"], f["killed"]) == (way, killed)]:
                ends.append([f"{way}{', a worker killed' if killed else ''}", str(len(part)),
                             *(str(sum(f[key] for f in part)) for key in ("fits", "complete", "identical"))])  # fmt: skip
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in [table[0], ["---"] * len(table[0]), *table[1:]])
                       for table in (rows, ends))  # fmt: skip


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("ways", nargs="*", help=f"of {', '.join(WAYS)}; all by default")
    running.add_argument("--fits", type=int, default=FITS)
    running.add_argument("--repetitions", type=int, default=REPETITIONS)
    running.add_argument("--below", type=float, default=1e9, help="wait until the load is less")
    commands.add_parser("summary")
    given = parser.parse_args()
    if given.command == "summary":
        print(summary(kept()))
        return
    if unknown := sorted(set(given.ways) - set(WAYS)):
        parser.error(f"there is no way {', '.join(unknown)}; there are {', '.join(WAYS)}")
    run(given.ways or list(WAYS), given.fits, given.repetitions, given.below)


if __name__ == "__main__":
    main()
