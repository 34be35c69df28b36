"""Survey files of any size opened without being read: parquet and csv, to be tabulated in batches."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from csv import Error as CsvError
from csv import reader
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset

from bayes_listexp.errors import InputError
from bayes_listexp.opening import refuse_irregular
from bayes_listexp.read import MISSING_IN_CSV, refuse_cut_off, separator_of
from bayes_listexp.tabulation import Scan

SUFFIXES = (".parquet", ".csv", ".csv.gz")


def scan_survey(path: str | Path | Sequence[str | Path], *, numbers: Sequence[str] = (), encoding: str | None = None) -> Scan:
    """Open a parquet or csv file, or several of the same columns, however large, to be tabulated.

    Give what comes back to :meth:`bayes_listexp.ListExperiment.from_frame` or :func:`bayes_listexp.tabulate`, as a frame.

    Parameters
    ----------
    path : file name, or names; ``.parquet``, ``.csv`` or ``.csv.gz``.
    numbers : columns of a csv file to be added up or binned: weights, replicate weights, ages. The other columns become what
        :func:`bayes_listexp.read_survey` makes of them (missing are empty fields, ``NA``, ``NaN`` and ``.``).
    encoding : of the text of a csv file that is not UTF-8.

    Raises
    ------
    InputError : a file is absent, of another kind, empty or damaged.
    """
    paths = [Path(one) for one in ([path] if isinstance(path, str | Path) else path)]
    for one in paths:
        refuse_irregular(one)
        if not one.name.lower().endswith(SUFFIXES):
            raise InputError(f"{one}: only {', '.join(SUFFIXES)} can be tabulated without loading. Read the file with read_survey.")
        if not one.is_file() or not one.stat().st_size:
            raise InputError(f"{one}: there is no such file, or it is empty. Check name and folder.")
        if one.suffix.lower() == ".parquet":
            refuse_cut_off(one, *_ends(one))
    if not paths:
        raise InputError("scan_survey: no file is named.")
    name = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
    source = {"name": name, "bytes": sum(one.stat().st_size for one in paths)}
    try:
        if paths[0].suffix.lower() == ".parquet":
            return _parquet(paths, source)
        return _csv(paths, source, numbers, encoding)
    except InputError:
        raise
    except (pa.ArrowException, OSError, EOFError, zlib.error, ValueError, CsvError) as error:
        raise InputError(f"{paths[0]}: the file is damaged, or is no {paths[0].suffix} file ({_reason(error)}). Get it again.") from error


def _parquet(paths: Sequence[Path], source: dict[str, Any]) -> Scan:
    """Texts are read as dictionaries, which are grouped by their codes."""
    schema = pa.dataset.dataset(paths).schema
    texts = frozenset(f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type))
    options = pa.dataset.ParquetReadOptions(dictionary_columns=texts)
    return Scan(pa.dataset.dataset(paths, format=pa.dataset.ParquetFileFormat(read_options=options)), texts, source=source)


def _csv(paths: Sequence[Path], source: dict[str, Any], numbers: Sequence[str], encoding: str | None) -> Scan:
    """All columns but the numbers are text, which is understood when distinct rows are few and all of them are known."""
    from pyarrow import csv

    first = _first_line(paths[0], encoding)
    if not first.strip():
        raise InputError(f"{paths[0]}: line 1 is empty, where the names of columns should be; export it again.")
    separator = separator_of(paths[0], first)
    header = next(reader([first], delimiter=separator))
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise InputError(f"{paths[0]}: more than one column is called '{twice[0]}'; give each its own name.")
    absent = [name for name in numbers if name not in header]
    if absent:
        raise InputError(f"{paths[0]}: there is no column '{absent[0]}'; the columns are: {', '.join(header)}.")
    texts = frozenset(header) - set(numbers)
    types = {name: pa.float64() if name in numbers else pa.string() for name in header}
    convert = csv.ConvertOptions(column_types=types, null_values=list(MISSING_IN_CSV), strings_can_be_null=True)
    format = pa.dataset.CsvFileFormat(
        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True), convert_options=convert,
        read_options=csv.ReadOptions(encoding=encoding or "utf8"),
    )
    dataset = pa.dataset.dataset(paths, format=format)
    return Scan(dataset, texts, partial(_understood, texts=texts), source)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The first and the last four bytes of a file."""
    with path.open("rb") as file:
        begins = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        return begins, file.read()


def _reason(error: Exception) -> str:
    """What Arrow says of a file, but for its name and for where in Arrow it happened."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first.rpartition("': ")[2].partition(". Detail")[0].rstrip(".")


def _first_line(path: Path, encoding: str | None) -> str:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding=encoding or "utf-8-sig") as file:
        return str(file.readline()).rstrip("\r\n")


def _understood(table: pd.DataFrame, texts: frozenset[str]) -> pd.DataFrame:
    """A table of texts with the types that reading the whole file would have found: of each column, from its distinct values."""
    return table.assign(**{name: _typed(table[name]) for name in table.columns if name in texts})


def _typed(column: pd.Series) -> pd.Series:
    codes, values = pd.factorize(column)
    text = pd.DataFrame({"values": values, "_": 0}).to_csv(index=False)
    read = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=list(MISSING_IN_CSV), low_memory=False)["values"]
    return read.reindex(codes).set_axis(column.index) if (codes < 0).any() else read.take(codes).set_axis(column.index)
