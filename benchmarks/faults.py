"""What becomes of results when something breaks: processes that are killed, disks that are full, files that are damaged.

Everything is done with real processes of `bayes-listexp fit` on quick looks (method "map") at a small survey, and for Ctrl-C on a
survey sampled by NUTS. Where nothing depends on how a process began, it is a copy of this one, which has loaded the package. What they
leave is held, draw by draw, against the results of an undisturbed run. Counted are

* lost: results that were finished, and afterwards were gone or had to be made again;
* wrong: results that differ from the undisturbed ones, half results that can be taken for whole ones, processes left behind, and a
  command that does not complete once the fault is mended.

Disks are small ones in memory, which only the superuser of Linux can mount; without, these faults are left out. Commands:

    python -m benchmarks.faults run [--tries 50] [fault ...]    add to benchmarks/results/faults.jsonl, until there are so many tries
    python -m benchmarks.faults summary                         print docs/faults.md from them
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import batch
from bayes_listexp.cli import main as command_line
from bayes_listexp.errors import InputError
from bayes_listexp.folders import LOCK, alone_in, load_tree
from bayes_listexp.spec import read_spec
from bayes_listexp.stored import interrupted

FILE = Path(__file__).parent / "results" / "faults.jsonl"
KILLS, BATCH, LONGEST = 50, 3, 900

SPEC = """\
title = "A quick look"

[data]
file = "{file}"
answer = "y"
arm = "treat"
J = 4

[model]
trait = "{trait}"
counts = "binomial"

[sample]
{sample}
"""

Line = dict[str, Any]


class Copy:
    """A copy of this process that does some work and ends; used as one that `subprocess` has begun."""

    def __init__(self, work: Callable[[], int]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, which wait for work that does not come
            self.pid = os.fork()
        self.code: int | None = None
        if self.pid == 0:
            code = 70
            try:
                code = work()
            finally:
                os._exit(code)

    def poll(self) -> int | None:
        """The exit code, or minus the signal; None while it is at work."""
        if self.code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if ended else None
        return self.code

    def wait(self, seconds: float) -> int:
        """The exit code, when it has ended."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
            time.sleep(0.01)
        return code

    def send_signal(self, which: int) -> None:
        """Send a signal."""
        os.kill(self.pid, which)


def _command(*arguments: str) -> int:
    """The exit code of a command in this process."""
    try:
        command_line(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@dataclass
class Place:
    """A folder with specs, what undisturbed runs of them give, and how many seconds those take."""

    folder: Path
    specs: Sequence[str]
    reference: dict[str, xr.DataTree] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def start(self, runs: str, *options: str, specs: Sequence[str] = (), **more: Any) -> subprocess.Popen[str]:
        """Begin `bayes-listexp fit` in a session of its own; what it says goes to a file."""
        command = [sys.executable, "-c", "from bayes_listexp.cli import main; main()", "fit", "--out", runs, *options,
                   *(f"{name}.toml" for name in specs or self.specs)]
        with (self.folder / "said.txt").open("w", encoding="utf-8") as said:
            return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True, text=True,
                                    **more)  # fmt: skip

    def copy(self, runs: str, specs: Sequence[str] = (), prepare: Callable[[], Any] = int) -> Copy:
        """The same for one spec after another, in a copy of this process, which has the package loaded already."""
        def work() -> int:
            prepare()
            os.chdir(self.folder)
            said = os.open(self.folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(said, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            return max(_command("fit", f"{name}.toml", "--out", runs) for name in specs or self.specs)

        return Copy(work)

    def fit(self, runs: str, *options: str, specs: Sequence[str] = (), prepare: Callable[[], Any] = int) -> tuple[int, str]:
        """The exit code of a whole run, and what it said."""
        process = self.start(runs, *options, specs=specs) if options else self.copy(runs, specs, prepare)
        return process.wait(LONGEST), self.said()

    def part(self, number: int) -> Place:
        """The same with the first so many specs."""
        names = self.specs[:number]
        return Place(self.folder, names, {n: self.reference[n] for n in names}, {n: self.summaries[n] for n in names}, self.seconds)

    def finished(self, runs: str, names: Sequence[str]) -> None:
        """Put finished runs there, those of the undisturbed batch."""
        for name in names:
            shutil.copytree(self.folder / "undisturbed" / name, self.folder / runs / name)

    def said(self) -> str:
        """What the last command said."""
        return (self.folder / "said.txt").read_text(encoding="utf-8")

    def undisturbed(self, runs: str = "undisturbed") -> None:
        """Make what everything is held against."""
        begun = time.monotonic()
        code, said = self.fit(runs)
        self.seconds = time.monotonic() - begun
        for name in self.specs:
            if not (self.folder / runs / name / "summary.json").exists():
                raise RuntimeError(f"the undisturbed run failed ({code}): {said}")
            self.reference[name] = load_tree(self.folder / runs / name)
            self.summaries[name] = (self.folder / runs / name / "summary.json").read_text(encoding="utf-8")


@dataclass
class Watch:
    """Results of one folder of runs, looked at again and again: each must be right when it appears, and stay."""

    place: Place
    runs: str
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def finished(self) -> int:
        """How many fits there are."""
        return sum((self.place.folder / self.runs / name / "fit.nc").exists() for name in self.place.reference)

    def look(self, *, complete: bool = False) -> tuple[int, int]:
        """How many are lost and how many wrong since the last look; with ``complete`` those that are not there count as wrong."""
        lost = wrong = 0
        for name, reference in self.place.reference.items():
            folder = self.place.folder / self.runs / name
            mark = _mark(folder / "fit.nc")
            lost += name in self.seen and mark != self.seen[name]
            if mark is None:
                self.seen.pop(name, None)
                wrong += complete
            elif mark != self.seen.get(name):
                right = _is(folder, reference)
                wrong += not right
                if right:
                    self.seen[name] = mark
            said = folder / "summary.json"
            wrong += said.read_text(encoding="utf-8") != self.place.summaries[name] if said.exists() else complete
        return lost, wrong


def _mark(path: Path) -> tuple[int, int] | None:
    """Which file this is, and when it was written."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None


def _is(folder: Path, reference: xr.DataTree) -> bool:
    """Whether a stored fit is that of the reference; one that is marked as interrupted is none yet."""
    try:
        tree = load_tree(folder)
    except InputError:
        return False
    return bool(interrupted(tree)) or same_fit(tree, reference)


def same_fit(one: xr.DataTree, other: xr.DataTree) -> bool:
    """Whether two fits have every draw and attribute in common but the environment, which holds the numbers of threads."""
    one, other = one.copy(), other.copy()
    for tree in (one, other):
        tree.attrs.pop("environment", None)
    return bool(one.identical(other))


def small_batch(folder: Path) -> Place:
    """Quick looks at 60 people."""
    people(folder / "survey.csv", 60)
    names = [f"look{seed}" for seed in range(1, BATCH + 1)]
    for seed, name in enumerate(names, start=1):
        write_spec(folder, name, sample=f'method = "map"\nseed = {seed}')
    return Place(folder, names)


def write_spec(folder: Path, name: str, file: str = "survey.csv", trait: str = "1", sample: str = 'method = "map"') -> None:
    """Write a spec."""
    (folder / f"{name}.toml").write_text(SPEC.format(file=file, trait=trait, sample=sample), encoding="utf-8")


def people(path: Path, n: int) -> None:
    """Write a survey of ``n`` people, each of another age."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "age": rng.permutation(n) / n})
    frame = frame.assign(y=rng.binomial(4, 0.5, n) + frame["treat"] * (rng.random(n) < 0.3))
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)


def line(lost: int, wrong: int, message: str, **more: Any) -> Line:
    """One try."""
    return {"lost": lost, "wrong": wrong, "message": message, **more}


# Processes


def kills(place: Place, tries: int) -> Iterator[Line]:
    """Kill the main process, a worker, or all of them at random moments; the same command again, until the batch is complete."""
    rng, batches, done = np.random.default_rng(), 0, 0
    watch = Watch(place, "killed0")
    process = place.start(watch.runs, "--jobs", "2")
    while done < tries:
        if rng.random() < 0.5:  # or most are killed while they begin
            before = watch.finished()
            while process.poll() is None and watch.finished() == before:
                time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(float(rng.uniform(0, 0.2 * place.seconds)))
        if process.poll() is None:
            children, whom = children_of(process.pid), str(rng.choice(["main", "all", "worker"]))
            whom = whom if children else "main"
            for pid in {"main": [process.pid], "all": [process.pid, *children], "worker": children[-1:]}[whom]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            left = 0
            if whom != "worker":
                process.wait(LONGEST)
                left = still_alive(children)
                process = place.start(watch.runs, "--jobs", "2")
            lost, wrong = watch.look()
            done += 1
            yield line(lost, wrong + left, "", whom=whom, finished=len(watch.seen))
        else:
            batches += (complete := _ended_well(place))
            yield _at_the_end(place, watch, complete)
            watch = Watch(place, f"killed{batches}") if complete else watch
            process = place.start(watch.runs, "--jobs", "2")
    process.wait(LONGEST)
    yield _at_the_end(place, watch, _ended_well(place))


def _ended_well(place: Place) -> bool:
    """Whether no run was given up, as one is that is killed twice in one batch."""
    return "its process died twice" not in place.said()


def _at_the_end(place: Place, watch: Watch, complete: bool) -> Line:
    """What is found when a batch has come to its end by itself; no try."""
    lost, wrong = watch.look(complete=complete)
    return line(lost, wrong, "" if complete else last(place.said()), whom="nobody")


def children_of(pid: int) -> list[int]:
    """The workers of a process, in the order in which they began."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return sorted(found)


def still_alive(pids: Sequence[int], seconds: float = 20) -> int:
    """How many processes are still there after so many seconds."""
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
        time.sleep(0.1)
    return len(left)


STEPS = ("fsync", "replace", "rename", "mkdir", "rmdir", "unlink", "open")
"""Calls of the system that writing a run is made of."""


def kill_at_steps(place: Place, tries: int) -> Iterator[Line]:
    """Kill the process at its first, second, ... call of the system that changes a folder, in turn before and after the call.

    What it writes is the undisturbed fit: sampling it each time would only take longer.
    """
    own = place.part(1)
    step, alive = 0, False
    while not alive and step < 2 * tries:
        watch = Watch(own, f"step{step}")
        first = Copy(functools.partial(_written, own, watch.runs, step)).wait(LONGEST)
        alive = first == 0
        found = [watch.look(complete=alive)]
        again = Copy(functools.partial(_written, own, watch.runs)).wait(LONGEST)
        found.append(watch.look(complete=True))
        lost, wrong = np.sum(found, axis=0)
        left = [path.name for path in (place.folder / watch.runs).rglob("*") if path.name.startswith(".")]
        if not alive:
            yield line(int(lost), int(wrong) + (again != 0) + len(left), "", step=step)
        step += 1


def kill_one(place: Place, tries: int) -> Iterator[Line]:
    """Kill a process that writes one run after another, at a random moment; then another goes on, in the same folder.

    The process is a copy of this one, which has the package loaded, and its fits are the undisturbed ones, so that the kill comes while
    runs are recognised and written, and not while the package is loaded and chains run, when there is nothing to lose.
    """
    rng, batches, done = np.random.default_rng(), 0, 0
    begun = time.monotonic()
    Copy(functools.partial(_written, place, "timed")).wait(LONGEST)
    seconds, watch = time.monotonic() - begun, Watch(place, "one0")
    while done < tries:
        process = Copy(functools.partial(_written, place, watch.runs))
        time.sleep(float(rng.uniform(0, 0.5 * seconds)))
        killed = process.poll() is None
        if killed:
            process.send_signal(signal.SIGKILL)
            process.wait(LONGEST)
        lost, wrong = watch.look(complete=not killed)
        done += killed
        yield line(lost, wrong, "", whom="run" if killed else "nobody", finished=len(watch.seen))
        if not killed:
            batches += 1
            watch = Watch(place, f"one{batches}")
    code = Copy(functools.partial(_written, place, watch.runs)).wait(LONGEST)
    lost, wrong = watch.look(complete=True)
    yield line(lost, wrong + (code != 0), "", whom="nobody")


def _written(place: Place, runs: str, step: int | None = None) -> int:
    """Run the specs of a place one after another, each with its undisturbed fit in place of a new one; be killed at a step."""
    if step is not None:
        _kill_at(step)
    for name in place.specs:
        batch.fit = lambda *given, name=name, **more: place.reference[name].copy()
        batch.run_spec(read_spec(place.folder / f"{name}.toml"), place.folder / runs, report=False)
    return 0


def _kill_at(step: int) -> None:
    """Let this process be killed before (even steps) or after (odd ones) its call of this number, among those of :data:`STEPS`."""
    calls = 0

    def watched(call: Callable[..., Any], *given: Any, **more: Any) -> Any:
        nonlocal calls
        mine, calls = calls, calls + 1
        if step == 2 * mine:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call(*given, **more)
        finally:
            if step == 2 * mine + 1:
                os.kill(os.getpid(), signal.SIGKILL)

    for name in STEPS:
        setattr(os, name, functools.partial(watched, getattr(os, name)))


def two_at_once(place: Place, tries: int) -> Iterator[Line]:
    """The same batch begun twice into one folder; and a folder in which another process works all the time."""
    place = place.part(3)
    for i in range(tries):
        watch = Watch(place, f"twice{i}")
        first, second = (place.copy(watch.runs) for _ in range(2))
        codes = [process.wait(LONGEST) for process in (first, second)]
        lost, wrong = watch.look(complete=True)
        yield line(lost, wrong, "", codes=codes)
    watch = Watch(place, "held")
    with alone_in(place.folder / "held" / place.specs[0]):
        code, said = place.fit(watch.runs, specs=place.specs[:1])
    lost, wrong = watch.look()
    again, _ = place.fit(watch.runs)
    after = watch.look(complete=True)
    yield line(lost + after[0], wrong + after[1] + (code not in (1, 2)), last(said), codes=[code, again])


def out_of_memory(place: Place, tries: int) -> Iterator[Line]:
    """A batch under a limit of memory, one run of which needs more."""
    place = place.part(2)
    people(place.folder / "big.csv", 600_000)
    write_spec(place.folder, "big", file="big.csv", trait="1 + age")
    for i in range(tries):
        watch = Watch(place, f"memory{i}")
        code, said = place.fit(watch.runs, "--jobs", "2", "--memory", "2", specs=["big", *place.specs])
        lost, wrong = watch.look(complete=True)
        there = (place.folder / watch.runs / "big" / "fit.nc").exists()
        yield line(lost, wrong + there + (code != 1), last(said))


# Disks and folders


@contextlib.contextmanager
def disk(folder: Path, size: str = "64m") -> Iterator[Path]:
    """A disk of its own in memory."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path, leave: int) -> None:
    """Fill up the disk of a file but for so many bytes."""
    with path.open("ab") as file:
        while (free := shutil.disk_usage(path.parent).free - leave) > 0:
            file.write(bytes(min(free, 2**20)))
            file.flush()


def disk_full(place: Place, tries: int) -> Iterator[Line]:
    """A disk that is full before a run begins, or becomes full while the fit is made; a result is on it already."""
    place = place.part(2)
    for i in range(tries):
        with disk(place.folder / "disk") as here:
            watch, ballast = Watch(place, "disk"), here / "ballast"
            place.finished("disk", place.specs[:1])
            found = [watch.look()]
            late = bool(i % 2)
            if not late:
                fill(ballast, 2**20)
            process = place.copy("disk", specs=place.specs[1:2])
            lock = here / place.specs[1] / LOCK
            while late and process.poll() is None and not lock.exists():
                time.sleep(0.01)
            if late:
                time.sleep(0.2)
                fill(ballast, 10_000)
            code, said = process.wait(LONGEST), place.said()
            found.append(watch.look())
            left = [path.name for path in here.rglob("*") if path.is_file() and path.name.startswith(".")]
            ballast.unlink()
            place.fit("disk")
            found.append(watch.look(complete=True))
            lost, wrong = np.sum(found, axis=0)
            yield line(int(lost), int(wrong) + len(left) + (code != 1), last(said), late=late)


def largest_file(place: Place, tries: int) -> Iterator[Line]:
    """A quota: the system refuses files of more than 100 kB."""
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    place = place.part(1)
    for i in range(tries):
        watch = Watch(place, f"quota{i}")
        code, said = place.fit(watch.runs, prepare=limit)
        found = [watch.look()]
        place.fit(watch.runs)
        found.append(watch.look(complete=True))
        lost, wrong = np.sum(found, axis=0)
        yield line(int(lost), int(wrong) + (code != 1), last(said))


def read_only(place: Place, tries: int) -> Iterator[Line]:
    """A disk that may only be read, empty or with results; and a file where the folder should be."""
    place = place.part(2)
    for i in range(tries):
        kind = ("empty", "with results", "a file in the way")[i % 3]
        with disk(place.folder / "disk") as here:
            watch = Watch(place, "disk/runs")
            if kind == "with results":
                place.finished("disk/runs", place.specs[:1])
            if kind == "a file in the way":
                (here / "runs").touch()
            found = [watch.look()]
            subprocess.run(["mount", "-o", "remount,ro", str(here)], check=kind != "a file in the way")
            begun = time.monotonic()
            code, said = place.fit("disk/runs", specs=place.specs[1:])
            seconds = time.monotonic() - begun
            found.append(watch.look())
            subprocess.run(["mount", "-o", "remount,rw", str(here)], check=True)
            if kind == "a file in the way":
                (here / "runs").unlink()
            place.fit("disk/runs")
            found.append(watch.look(complete=True))
            lost, wrong = np.sum(found, axis=0)
            yield line(int(lost), int(wrong) + (code != 2), last(said), kind=kind, seconds=seconds)


# Files


def damaged(place: Place, tries: int) -> Iterator[Line]:
    """The results of a finished batch damaged, each in another way; then the same command again."""
    rng = np.random.default_rng()
    ways: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("empty", lambda b: b""),
        ("cut off", lambda b: b[: int(rng.integers(1, len(b)))]),
        ("one bit changed", lambda b: flipped(b, int(rng.integers(len(b) - 80)))),
        ("a block of zeros", lambda b: zeroed(b, int(rng.integers(len(b) - 5000)))),
        ("another file", lambda b: b"no fit\n" * 1000),
        ("cut off by a few bytes", lambda b: b[:-200]),
    ]
    place.finished("damaged", place.specs)
    for _ in range(tries):
        ways = [*ways[BATCH:], *ways[:BATCH]]
        for name, (_, way) in zip(place.specs, ways, strict=False):
            path = place.folder / "damaged" / name / "fit.nc"
            path.write_bytes(way(path.read_bytes()))
        _, said = place.fit("damaged")
        for name, (what, _) in zip(place.specs, ways, strict=False):
            folder = place.folder / "damaged" / name
            right = _is(folder, place.reference[name]) and (folder / "fit.nc.damaged").exists()
            told = [text for text in said.splitlines() if f"{name}/fit.nc: not a readable fit" in text]
            yield line(0, (not right) + (not told), (told or [""])[0], kind=what)


def flipped(content: bytes, at: int) -> bytes:
    """With one bit changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def zeroed(content: bytes, at: int) -> bytes:
    """With a block lost, as by a disk."""
    changed = content[:at] + bytes(4096) + content[at + 4096 :]
    return changed if changed != content else flipped(content, at)


def download(place: Place, tries: int) -> Iterator[Line]:
    """A survey of which only the beginning has arrived."""
    rng = np.random.default_rng()
    people(place.folder / "whole.parquet", 2000)
    content = (place.folder / "whole.parquet").read_bytes()
    write_spec(place.folder, "download", file="part.parquet")
    for _ in range(tries):
        (place.folder / "part.parquet").write_bytes(content[: int(rng.integers(0, len(content)))])
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = _command("fit", str(place.folder / "download.toml"), "--out", str(place.folder / "download"))
        yield line(0, (code != 2) + ("part.parquet" not in said.getvalue()) + (place.folder / "download").exists(), last(said.getvalue()))


# Ctrl-C


def ctrl_c(place: Place, tries: int) -> Iterator[Line]:
    """Ctrl-C while the chains run, and before; then the same command again."""
    people(place.folder / "survey.csv", 60)
    write_spec(place.folder, "sampled", sample="seed = 1\ndraws = 40000\ntune = 500\nchains = 2")
    own = Place(place.folder, ["sampled"])
    own.undisturbed("whole")
    rng = np.random.default_rng()
    for i in range(tries):
        early = i % 3 == 2
        watch = Watch(own, f"interrupted{i}")
        process = own.copy(watch.runs, prepare=say_when_sampling)
        if early:
            time.sleep(float(rng.uniform(0.3, 0.3 * own.seconds)))
        else:
            while process.poll() is None and "sampling" not in own.said():
                time.sleep(0.02)
            time.sleep(float(rng.uniform(1.0, 2.5)))
        process.send_signal(signal.SIGINT)
        code, said = process.wait(LONGEST), own.said()
        told = [text for text in said.splitlines() if "interrupted" in text]
        there = own.folder / watch.runs / "sampled" / "fit.nc"
        partial = there.exists() and bool(interrupted(load_tree(there)))
        found = [(0, 0) if partial else watch.look()]  # what is said of a part differs, and is looked at below
        wrong = (not partial and not early) + (partial and not marked(own, there.parent))
        wrong += code not in ((0, 130) if early else (1,))  # Python may come by the signal where it can only pass over it
        again, _ = own.fit(watch.runs)
        found.append(Watch(own, watch.runs).look(complete=True))
        whole = not interrupted(load_tree(there))
        yield line(0, int(np.sum(found, axis=0)[1]) + wrong + (not whole) + (again != 0), (told or [""])[0], early=early, code=code)


def say_when_sampling() -> None:
    """Let this process say when its chains begin."""
    from nutpie.sample import _BackgroundSampler

    wait = _BackgroundSampler.wait

    def told(self: Any, **more: Any) -> Any:
        print("sampling", file=sys.stderr, flush=True)
        return wait(self, **more)

    _BackgroundSampler.wait = told


def marked(place: Place, run: Path) -> bool:
    """Whether `show` and the summary say that a fit was interrupted."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        _command("show", str(run))
    return "Sampling was interrupted" in shown.getvalue() and '"converged": false' in (run / "summary.json").read_text(encoding="utf-8")


FAULTS: dict[str, tuple[str, int, Callable[[Place, int], Iterator[Line]]]] = {
    "kill": ("kill -9 of the main process, of a worker or of all, at a random moment of a batch", KILLS, kills),
    "kill-run": ("kill -9 of a process at a random moment while it writes one run after another", KILLS, kill_one),
    "steps": ("kill -9 before and after every single step of writing a run", 100, kill_at_steps),
    "twice": ("the same batch begun twice into one folder; a folder in use", 2, two_at_once),
    "memory": ("out of memory in one run of a batch (`--memory 2`)", 1, out_of_memory),
    "full": ("disk full, before a run or during it", 4, disk_full),
    "quota": ("files of more than 100 kB refused by the system", 2, largest_file),
    "read-only": ("a folder that cannot be written to", 3, read_only),
    "damaged": ("a result damaged: empty, cut off, a bit changed, a block of zeros, another file", 4, damaged),
    "download": ("a parquet file of which only the beginning has arrived", 30, download),
    "ctrl-c": ("Ctrl-C while the chains run, and before", 6, ctrl_c),
}


EACH = {"damaged": BATCH}
"""How many results are tried at once."""


def last(said: str) -> str:
    """What was said last, without names of folders and numbers of processes."""
    lines = [text for text in said.strip().splitlines() if text.strip()]
    return lines[-1] if lines else ""


def shortened(text: str) -> str:
    """A message without what differs from one machine and one try to the next."""
    text = re.sub(r"[^\s'\"]*/([\w.-]+/[\w.-]+)", r"\1", text.strip())
    text = re.sub(r"process \d+ on \S+", "process 1234 on this-machine", text)
    text = re.sub(r"\b(disk|damaged|quota\d+|held|memory\d+|interrupted\d+)/(runs/)?(?=\w)", "runs/", text)
    return re.sub(r"\s+", " ", re.sub(r"\btmp\w+/", "", text))


def run(names: Sequence[str], tries: int | None) -> None:
    """Try the faults as often as they have not been tried yet, and keep what became of it."""
    FILE.parent.mkdir(exist_ok=True)
    names = [name for name in names if missing(name, tries)]
    with tempfile.TemporaryDirectory() as folder, FILE.open("a", encoding="utf-8") as out:
        place = small_batch(Path(folder))
        if set(names) - {"ctrl-c", "download"}:  # what the others are held against
            place.undisturbed()
            print(f"undisturbed: {place.seconds:.0f} s", file=sys.stderr, flush=True)
        for name in names:
            for found in FAULTS[name][2](place, missing(name, tries)):
                said = {"fault": name, "load": os.getloadavg()[0], **found}
                out.write(json.dumps(said) + "\n")
                out.flush()
                print(said, file=sys.stderr, flush=True)


def missing(name: str, tries: int | None) -> int:
    """How many tries of a fault there are yet to be."""
    done = sum(found["fault"] == name and found.get("whom") != "nobody" for found in kept())
    return max(0, (tries or FAULTS[name][1]) * EACH.get(name, 1) - done) // EACH.get(name, 1)


def kept() -> list[Line]:
    """All tries so far."""
    return [json.loads(text) for text in FILE.read_text(encoding="utf-8").splitlines()] if FILE.exists() else []


def rows(every: Sequence[Line]) -> Iterator[list[str]]:
    """A row for each fault: what it is, tries, lost, wrong, and the first messages that differ."""
    for name, (what, _, _) in FAULTS.items():
        if part := [found for found in every if found["fault"] == name]:
            tried = [found for found in part if found.get("whom") != "nobody"]
            texts = list(dict.fromkeys(shortened(found["message"]) for found in part if found["message"]))
            said = "<br>".join(f"`{text}`" for text in texts[:2]) or "(none; the same command does the rest)"
            yield [what, str(len(tried)), *(str(sum(found[key] for found in part)) for key in ("lost", "wrong")), said]


def summary() -> str:
    """The page docs/faults.md."""
    found = [[cell.replace("|", "\\|") for cell in row] for row in rows(kept())]
    table = [["fault", "tries", "lost", "wrong", "message"], ["---"] * 5, *found]
    return PAGE.format(table="\n".join("| " + " | ".join(row) + " |" for row in table), batch=BATCH)


PAGE = """\
# What breaks, and what is lost

`python -m benchmarks.faults run` breaks things, and `python -m benchmarks.faults summary` prints this page from what it found.

Every fault is a real one: processes that are killed, small disks that are full or may not be written to, files that are cut off.
The work is `bayes-listexp fit` with {batch} quick looks at a small survey (for the first row, as a batch of two processes), and for
Ctrl-C a survey sampled by NUTS. What is left is held, draw by draw, against an undisturbed run; after each fault the same command is
given again, until everything is complete. *Lost* are results that were finished, and then were gone or had to be made again; *wrong* are
results that differ from the undisturbed ones, half results that could be taken for whole ones, processes left behind, missing messages,
and commands that do not complete when the fault is mended.

{table}

How it is done:

* A file is written under another name in its folder, flushed to the disk, and renamed.
* A fit ends with the SHA-256 of its bytes (after the end of what HDF5 reads). One that does not agree is set aside as `fit.nc.damaged`,
  named, and made again.
* One process at a time works in the folder of a run. The system lets go of it when that process ends, however it ends. Another one waits
  ten seconds, then gives up with a message.
* Processes of a batch end with the one that began them, so that nothing is at work in a folder after a batch was killed.
* A fit is stored before its tables and its page are made, and is not touched again.
* Whether the folder can be written to, and whether its disk has 32 MiB left, is asked before anything is sampled.
* Ctrl-C while chains run ends them; what they have drawn is stored, if it is at least 20 draws of a chain. Such a fit is marked in its
  attributes (`sample_stats`, `interrupted`), fails its first check, counts as not converged, and has the alarm above its report. The next
  run of the same command samples it again from the start, and the whole fit takes its place.
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("faults", nargs="*", metavar="fault", help=f"of {', '.join(FAULTS)}; all by default")
    running.add_argument("--tries", type=int, help="in place of each fault's own number")
    commands.add_parser("summary")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is not heeded where this runs in the background
    if given.command == "summary":
        print(summary())
        return
    run(given.faults or list(FAULTS), given.tries)


if __name__ == "__main__":
    main()
