"""Work for other processes, which find it here by name; this loads nothing heavy, so that they start at once."""

import hashlib
import os
import random
import signal
import time
from pathlib import Path

from bayes_listexp.errors import InputError
from bayes_listexp.many_runs import THREADS, in_processes


def drawn(seed):
    """What follows from a seed alone."""
    return hashlib.sha256(random.Random(seed).randbytes(64)).hexdigest()


def faulty(item):
    time.sleep(0.05 * item)
    if item == 1:
        raise InputError("column 'y': no answers.")
    if item == 2:
        raise KeyError("north")
    return item


def killed(item):
    """Item 1 is killed the first time, item 2 every time; each attempt leaves a mark."""
    position, marks = item
    mark = Path(marks) / f"{position}-{time.monotonic_ns()}"
    mark.touch()
    if position == 2 or (position == 1 and len(list(Path(marks).glob("1-*"))) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return drawn(position)


def limits(_):
    return {name: os.environ[name] for name in THREADS}


def greedy(gib):
    return len(bytearray(int(gib * 2**30)))


def waiting(marks):
    """Leave this process's number, then wait to be interrupted; say so if it was."""
    own = Path(marks) / str(os.getpid())
    own.touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        own.with_suffix(".interrupted").touch()
        raise


def wait_in_processes(marks):
    """What the main process of two such tasks does."""
    list(in_processes(waiting, [marks, marks], workers=2))


def store_one(folder):
    """Store a fit, and how many values are read back."""
    import numpy as np
    import xarray as xr

    from bayes_listexp.folders import load_tree, store_tree

    store_tree(xr.DataTree.from_dict({"posterior": xr.Dataset({"x": ("draw", np.zeros(9))})}), Path(folder) / "fit.nc")
    return load_tree(Path(folder))["posterior"]["x"].size


def hold(folder):
    """Hold a folder until it is killed, with something unfinished in it."""
    from bayes_listexp.folders import NEW, alone_in

    with alone_in(Path(folder)):
        (Path(folder) / f"{NEW}fit.nc").touch()
        time.sleep(60)
