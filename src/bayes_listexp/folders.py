"""Folders of results: one process at a time works in one, no file in it is ever half-written, and a damaged fit is recognised."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

import h5py
import xarray as xr

from bayes_listexp.errors import InputError
from bayes_listexp.opening import refuse_irregular

if sys.platform != "win32":
    import fcntl

PATIENCE = 10.0
"""Seconds to wait for another process that works in the same folder: one that was killed may take a moment to end."""

ROOM = 32 * 2**20
"""Bytes that must be free before work is begun whose result is to be kept."""

NEW = ".new-"
"""What the names of files and folders begin with that are not finished."""

LOCK = ".lock"

SEAL = b"\nsha256 "
"""What comes between a stored fit and the SHA-256 of all its bytes. HDF5 does not look at what follows the end that it has noted."""

ADVICE = "Run `bayes-listexp fit` again."

SEALED = len(SEAL) + 64

LONGEST_NAME = 150
"""Bytes of a folder's name: names of files beside it are longer, and systems take 255."""

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(10))}
"""Names that Windows keeps for devices."""


def folder_in(out: Path, name: str) -> Path:
    """The folder of that name in ``out``, where a run may write.

    Raises
    ------
    InputError : a name that is none on every system, that leads out of ``out``, or that is a link to somewhere else.
    """
    reserved = name.partition(".")[0].rstrip().upper() in RESERVED
    if name.strip(" .") == "" or reserved or len(name.encode()) > LONGEST_NAME or re.search(r'[\x00-\x1f\x7f/\\:*?"<>|]', name):
        raise InputError(f"{name[:80]!r} cannot be the name of a folder of results on every system. Rename the spec, or the study: "
                         f"letters, digits, - and _, at most {LONGEST_NAME} bytes.")
    target = out / name
    if target.is_symlink() and not target.resolve().is_relative_to(out.resolve()):
        raise InputError(f"{target} is a link out of the folder of the runs, to {target.resolve()}. Remove it, or name that folder with "
                         "--out.")
    return target


@contextmanager
def alone_in(target: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the folder ``target``, which is made if need be, as the only process; what killed ones have left unfinished is removed.

    The system lets go of a folder when its process ends, however it ends. Where a file system knows no locks, nothing is held.

    Raises
    ------
    InputError : the folder cannot be written to, or another process holds it for more than ``patience`` seconds; it is named.
    OSError : the disk is nearly full.
    """
    held = _held(target, patience)
    try:
        free = shutil.disk_usage(target).free
        if free < ROOM:
            raise OSError(f"{target}: the disk is full ({free / 2**20:.0f} MiB are free, {ROOM / 2**20:.0f} are needed to begin). Make "
                          "room, or name another folder with --out.")
        for left in target.glob(f"{NEW}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield
    finally:
        with suppress(OSError):
            (target / LOCK).unlink()  # while it is held, so that nobody else's is removed
        held.close()
        with suppress(OSError):
            target.rmdir()  # if nothing came into it


def _held(target: Path, patience: float) -> IO[str]:
    """The file by which a folder is held, open, with the process in it."""
    path, until = target / LOCK, monotonic() + patience
    while True:
        try:
            target.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            if isinstance(error, FileNotFoundError) and monotonic() < until:
                continue  # it was empty, and has just been removed by who was in it
            raise InputError(f"{target}: results cannot be written there ({error.strerror}). Name another folder with --out.") from error
        if _locked(file):
            with suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    file.truncate(0)
                    file.write(f"{os.getpid()} on {os.uname().nodename if hasattr(os, 'uname') else 'this machine'}")
                    file.flush()
                    return file
        file.close()  # it is another's, or has just been removed by who held it
        if monotonic() > until:
            raise InputError(f"{target}: process {_who(path)} is writing there. Wait for its end, or name another folder with --out.")
        sleep(0.1)


def _locked(file: IO[str]) -> bool:
    """Whether the file is this process's now."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, as some clusters have: better no lock than no work
        return True
    return True


def _who(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") or "(unknown)"
    except OSError:
        return "(unknown)"


def write_bytes(path: Path, content: bytes | memoryview) -> Path:
    """Write a file whole or not at all: under another name, to the disk, and renamed; its path.

    Raises
    ------
    OSError : it cannot be written; what was there before is still there.
    """
    unfinished = path.with_name(f"{NEW}{os.getpid()}-{path.name}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error}). Make room, or name another folder with --out; what was "
                      "finished before is kept.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text as :func:`write_bytes` does, in UTF-8 with the ends of lines as they are."""
    return write_bytes(path, text.encode("utf-8"))


@contextmanager
def parts_of(target: Path) -> Iterator[Path]:
    """An empty folder; what is in it at the end takes the place of what has the same name in ``target``, files after folders.

    If the block fails, ``target`` stays as it was.
    """
    with tempfile.TemporaryDirectory(dir=target, prefix=NEW) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        old.mkdir()
        yield new
        for part in sorted(new.iterdir(), key=lambda part: (part.is_file(), part.name)):
            if (target / part.name).is_dir():
                os.rename(target / part.name, old / part.name)
            os.replace(part, target / part.name)


def store_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a fit, whole or not at all, with a seal by which damage to it is seen.

    The file is made in memory: the HDF5 library cannot be trusted with a disk that becomes full.

    Raises
    ------
    OSError : it cannot be written.
    """
    with _no_cluster():
        content = bytes(tree.to_netcdf(engine="h5netcdf"))
    write_bytes(path, content + SEAL + hashlib.sha256(content).hexdigest().encode())


def _no_cluster() -> AbstractContextManager[Any]:
    """Where a file in memory is written: on the worker of a cluster, xarray would ask the scheduler for a lock on it."""
    dask = sys.modules.get("dask")
    return nullcontext() if dask is None else dask.config.set(scheduler="synchronous")


def load_tree(path: Path) -> xr.DataTree:
    """A stored fit: a ``fit.nc`` or the folder of a run.

    Raises
    ------
    InputError : there is no readable fit, or it is not what was written.
    """
    refuse_irregular(path)
    file = path / "fit.nc" if path.is_dir() else path
    refuse_irregular(file)
    try:
        _check_seal(file.read_bytes())
        with h5py.File(file) as content:
            _check_whole(content)
        with xr.open_datatree(file, engine="h5netcdf") as tree:
            return tree.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{file}: not a readable fit ({error}). {ADVICE}") from error


def _check_seal(content: bytes) -> None:
    """Nothing, if the bytes are those that were written, or have no seal; else a ValueError."""
    if not content:
        raise ValueError("the file is empty")
    seal = content[-SEALED:]
    if seal.startswith(SEAL) and hashlib.sha256(content[:-SEALED]).hexdigest().encode() != seal.removeprefix(SEAL):
        raise ValueError("its bytes are not those that were written: the file was damaged or changed")


def _check_whole(group: Any) -> None:
    """Nothing, if all that is in an HDF5 group lies in its own file; else a ValueError: HDF5 would read any file that it names."""
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise ValueError(f"'{name}' is a link to another file, {link.filename}")
        part = group[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(part, h5py.Group):
            _check_whole(part)
        elif isinstance(part, h5py.Dataset) and (part.external or part.is_virtual):
            raise ValueError(f"the values of '{name}' lie in another file")
