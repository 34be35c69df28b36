"""Many specs at once: over processes of this machine or the workers of a Dask cluster; one that fails does not stop the rest.

Nothing heavy is imported here, so that a new process can set its limits before it loads NumPy.
"""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from bayes_listexp.errors import InputError

if TYPE_CHECKING:
    from bayes_listexp.batch import Run
    from bayes_listexp.spec import Spec

TRIES = 2
"""How often work is begun whose process dies: once more, in a new process, since another program may have been the cause."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
           "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
"""What libraries of linear algebra, numba, Arrow and polars read, when they are loaded, as the number of their threads."""

GIB = 2**30

_ONE_AT_A_TIME = threading.Lock()
"""A worker of a cluster may have several threads; compiling a model is not made for that."""


class Outcome(NamedTuple):
    """What became of one piece of work: its position, its result or (None) the error, and the seconds since it was handed out (on a
    cluster that includes its wait for a worker).
    """

    position: int
    result: Any
    error: BaseException | None
    seconds: float


class Job(NamedTuple):
    """One run as a process gets it: a spec, the folder of the runs, whether with a report, and how many chains run at once."""

    spec: Spec
    out: Path
    report: bool
    cores: int

    def absolute(self) -> Job:
        """The same for a worker that runs in another folder."""
        return self._replace(spec=replace(self.spec, path=self.spec.path.resolve()), out=self.out.resolve())


def run_job(job: Job) -> Run:
    """Run one spec (:func:`bayes_listexp.batch.run_spec`); a function of its argument alone: seeds are in the spec."""
    from bayes_listexp.batch import run_spec

    spec = replace(job.spec, tables={**job.spec.tables, "sample": {**job.spec.table("sample"), "cores": job.cores}})
    with _ONE_AT_A_TIME:
        return run_spec(spec, job.out, report=job.report)


def in_processes[Item](
    task: Callable[[Item], Any], items: Sequence[Item], *, workers: int, threads: int = 1, memory: float | None = None
) -> Iterator[Outcome]:
    """The outcomes of ``task`` on each item, as they are done, from ``workers`` new processes of this machine.

    Each process has ``threads`` threads for linear algebra and numba, and with ``memory`` may have at most so many GiB of data of
    its own. An item whose process dies is begun once more in a new process; the other items are not touched by it. The processes end
    with this one, even if it is killed; at Ctrl-C they end what they can keep.

    Raises
    ------
    InputError : ``memory`` on a system that does not limit the data of a process.
    """
    if memory is not None and platform.system() != "Linux":
        raise InputError("--memory: only Linux limits the data of a process. Leave it out, and use fewer --jobs.")

    def fresh() -> Executor:
        return stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(memory,)))

    with ExitStack() as stack, _environment(threads):
        heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # as it is of commands in the background
        yield from _outcomes(partial(_interruptible, task, heeded), items, [fresh() for _ in range(min(workers, len(items)))], fresh)


def on_cluster[Item](task: Callable[[Item], Any], items: Sequence[Item], address: str) -> Iterator[Outcome]:
    """The outcomes of ``task`` on each item, as they are done, from the workers of the Dask cluster whose scheduler is at ``address``.

    What a worker was doing when it died is done by another. At Ctrl-C workers end what they are doing, and begin nothing new.

    Raises
    ------
    InputError : distributed, the part of Dask for clusters, is not installed.
    OSError : nobody answers at the address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler: a cluster needs Dask; install bayes-listexp[scale].") from error
    with Client(address) as client:
        cluster = client.get_executor(pure=False, retries=0)
        try:
            yield from _outcomes(task, items, [cluster] * len(items), lambda: cluster)
        finally:
            cluster.shutdown(wait=False)  # with Ctrl-C, work that was not begun is not begun any more


def shares(processors: int, items: int, asked: int | None = None) -> tuple[int, int]:
    """How many processes, and how many threads and chains at once in each, so that together they are no more than the processors."""
    workers = max(1, min(processors if asked is None else asked, processors, items))
    return workers, max(1, processors // workers)


def time_left(seconds: float, done: int, items: int) -> str:
    """How long the rest takes if it goes on as before, in words that follow a sentence; nothing at the end."""
    left = seconds / done * (items - done)
    if done == items:
        return ""
    unit, size = ("s", 1) if left < 100 else ("min", 60) if left < 6000 else ("h", 3600)
    return f"; about {left / size:.{1 if unit == 'h' else 0}f} {unit} left"


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes[Item](
    task: Callable[[Item], Any], items: Sequence[Item], slots: Sequence[Executor], fresh: Callable[[], Executor]
) -> Iterator[Outcome]:
    """Outcomes as they are done. A slot does one item at a time, so that the item of a process that dies is known."""
    waiting, free = deque((position, 1) for position in range(len(items))), list(slots)
    running: dict[Any, tuple[Executor, int, int, float]] = {}
    while waiting or running:
        while waiting and free:
            (position, attempt), slot = waiting.popleft(), free.pop(0)
            running[slot.submit(task, items[position])] = slot, position, attempt, monotonic()
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            slot, position, attempt, begun = running.pop(future)
            error = future.exception()
            died = isinstance(error, BrokenExecutor)
            free.append(fresh() if died else slot)
            if died and attempt < TRIES:
                waiting.append((position, attempt + 1))
                continue
            result = future.result() if error is None else None
            yield Outcome(position, result, error, monotonic() - begun)


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """The numbers of threads as processes find them that start in here; as before afterwards."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _begin(memory: float | None) -> None:
    """What a new process does first: end with its parent, leave Ctrl-C to it while there is no work, and limit its own data to so many
    GiB; what goes beyond is a MemoryError, or the end of this process alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if memory is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * GIB), int(memory * GIB)))


def _end_with_parent() -> None:
    """End this process when its parent has ended: it would wait for work for ever, or write where the parent's successor writes."""
    if (parent := parent_process()) is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def _interruptible[Item](task: Callable[[Item], Any], heeded: bool, item: Item) -> Any:
    """A task that Ctrl-C reaches, if the main process heeds it."""
    if heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return task(item)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
