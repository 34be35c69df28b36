"""Files opened with care: of this machine, whole, and within limits that can be raised.

A name in a spec or on the command line may be an address, a device that never ends, or a file of a few bytes that unpacks to more than
the machine holds. Whatever this package reads goes through here first.
"""

from __future__ import annotations

import dataclasses
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayes_listexp.errors import InputError

GIB = 2**30
CHUNK = 2**20
LONGEST_SPEC = 2**20
"""Bytes of a spec."""


@dataclass(frozen=True)
class Limits:
    """How much is read into memory at most: GiB of a file, packed or unpacked, and ``values``, its rows times its columns.

    Raise them where the data are larger: ``read_survey(path, limits=Limits(gib=8))``, in a spec ``[data.limits] gib = 8``.

    Raises
    ------
    InputError : a limit that is no number above 0.
    """

    gib: float = 2.0
    values: float = 5e8

    def __post_init__(self) -> None:
        for name, value in (("gib", self.gib), ("values", self.values)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise InputError(f"limits: {name} = {value!r} must be a number above 0.")


USUAL = Limits()


def limits_of(given: Mapping[str, Any]) -> Limits:
    """The limits of a spec's table ``[data.limits]``.

    Raises
    ------
    InputError : a key that there is not, or a value that is no number above 0.
    """
    known = [field.name for field in dataclasses.fields(Limits)]
    if unknown := [key for key in given if key not in known]:
        raise InputError(f"limits: '{unknown[0]}' is not known; there are: {', '.join(known)}.")
    return Limits(**given)


def refuse_elsewhere(path: str | Path) -> None:
    """Refuse what is no name of a file of this machine: an address of the web or of a store, or a name with a zero byte.

    Raises
    ------
    InputError : naming it, and what to do.
    """
    if found := re.match(r"(?i)[a-z][a-z0-9+.-]+:/|[a-z][a-z0-9+.-]+::", str(path)):
        raise InputError(f"{path}: addresses ({found[0].rstrip('/')}...) are not opened, only files of this machine. Download the file, "
                         "and name where it lies.")
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: a file's name cannot hold a zero byte.")


def refuse_irregular(path: Path) -> None:
    """Refuse what is there and is no file: a device or a pipe may never end. What is absent is left to who opens it.

    Raises
    ------
    InputError : naming it, and what to do.
    """
    refuse_elsewhere(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{path}: is no regular file, but a device or a pipe. Save what it gives to a file, and name that.")


def refuse_large(path: Path, limits: Limits = USUAL) -> None:
    """Refuse a file of more bytes than the limit; what is absent is left to who opens it.

    Raises
    ------
    InputError : with the size, the limit, and how to raise it.
    """
    refuse_irregular(path)
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        return
    if size > limits.gib * GIB:
        raise InputError(f"{path}: {_gib(size)} are more than the limit of {limits.gib:g} GiB. {_remedy(gib=size / GIB)}")


def refuse_many(path: str | Path, rows: int, columns: int, limits: Limits = USUAL) -> None:
    """Refuse a table of more values than the limit.

    Raises
    ------
    InputError : with the numbers found, the limit, and how to raise it.
    """
    if rows * columns > limits.values:
        raise InputError(f"{path}: {rows:,} rows of {columns:,} columns are {rows * columns:,} values, more than the limit of "
                         f"{limits.values:,.0f}. {_remedy(values=rows * columns)}")


def unpacked(path: Path, content: bytes, limits: Limits = USUAL) -> bytes:
    """What a gzip file holds, unpacked no further than the limit.

    Raises
    ------
    InputError : the file is damaged, or holds more than the limit, which is said without unpacking the rest.
    """
    parts, size, rest = list[bytes](), 0, content
    try:
        while rest:  # a gzip file may have several members
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                part = member.decompress(rest, CHUNK)
                rest = member.unconsumed_tail
                parts.append(part)
                size += len(part)
                if size > limits.gib * GIB:
                    raise InputError(f"{path}: the {_gib(len(content))} unpack to more than the limit of {limits.gib:g} GiB. "
                                     f"{_remedy(gib=2 * limits.gib)}")
                if not part and not rest and not member.eof:
                    raise EOFError("its end is missing")
            rest = member.unused_data.lstrip(b"\0")
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: the compressed file is damaged ({error}); copy it again.") from error
    return b"".join(parts)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size:,.0f} bytes"


def _remedy(**needed: float) -> str:
    (name, value), = needed.items()
    size = f"{np.ceil(10 * value) / 10:g}" if name == "gib" else f"{value:_}"
    return (f"Save fewer columns or rows, or raise the limit: limits = Limits({name}={size}) in Python, {name} = {size} under "
            "[data.limits] in a spec. Parquet and csv files can be tabulated without loading: scan_survey, or tabulate = true in a spec.")
