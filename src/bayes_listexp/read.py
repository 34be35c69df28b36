"""Survey files and population frames in: csv, parquet, Stata, SPSS, with labels and kinds of missing values.

A frame read here carries in ``frame.attrs`` what a table of values cannot hold:

``source``           {"name": of the file, "sha256": of the file, "rows": number of rows}
``variable_labels``  {column: text of the question}
``value_labels``     {column: {code: label}}
``missing``          {column: {kind: number of rows}}, every missing value counted by its kind: "99 refused"
                     (a code that SPSS declares missing), ".a refused" (Stata), "blank" or "missing"
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from bayes_listexp.columns import rows_where
from bayes_listexp.errors import InputError
from bayes_listexp.geography import polygons_of
from bayes_listexp.labelled import read_labelled
from bayes_listexp.opening import USUAL, Limits, refuse_large, refuse_many, unpacked

MISSING_IN_CSV = ("", "NA", "NaN", ".")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_survey(path: str | Path, *, encoding: str | None = None, codes: Sequence[str] = (), limits: Limits = USUAL) -> pd.DataFrame:
    """Read a survey file, one row per respondent; no row and no column is dropped.

    By suffix: ``.csv``, ``.csv.gz``, ``.parquet``, ``.dta`` (Stata), ``.sav`` and ``.zsav`` (SPSS).

    A Stata or SPSS variable whose values all have labels becomes a categorical of the labels in the order of
    their codes, ordered unless SPSS calls it nominal. One with labels for some of its values keeps its
    numbers, as does one whose labels are its numbers; either way ``attrs["value_labels"]`` has the labels.
    Values that SPSS declares missing, Stata's .a to .z and blank texts become missing, counted by kind in
    ``attrs["missing"]``.

    A csv file is UTF-8 text separated by commas, semicolons or tabs, the most frequent in the header. Missing
    are empty fields, ``NA``, ``NaN`` and ``.``, and nothing else.

    Parameters
    ----------
    path : the file.
    encoding : of the text, where a csv file is not UTF-8, or a Stata or SPSS file does not declare it.
    codes : columns to keep as numbers although all their values have labels, such as the answer.
    limits : how much is read at most, see :class:`bayes_listexp.Limits`; for larger data see also :func:`bayes_listexp.scan_survey`.

    Raises
    ------
    InputError : the file is absent, larger than the limits, an address of the web, of another kind, damaged, empty or not a proper
        table; it says where.
    """
    path = Path(path)
    read = _reader(path)
    content = _content(path, limits)
    frame = read(path, content, encoding, tuple(codes), limits)
    absent = [name for name in codes if name not in frame.columns]
    if absent:
        raise InputError(
            f"{path}: there is no column '{absent[0]}' for codes=. {_did_you_mean(absent[0], frame)}"
        )
    _check_table(path, frame)
    frame.attrs = {
        "variable_labels": {},
        "value_labels": {},
        "missing": {name: {"missing": int(n)} for name, n in frame.isna().sum().items() if n},
        **frame.attrs,
        "source": {"name": path.name, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(frame)},
    }
    return frame


def read_population(
    path: str | Path, *, count: str = "N", encoding: str | None = None, limits: Limits = USUAL
) -> pd.DataFrame:
    """Read a population frame: one row per cell of people, with its levels and their number, ``count``.

    The count comes back as the column ``N``; it need not be whole (raked frames are not).

    Raises
    ------
    InputError : as :func:`read_survey`; or a count is no number of at least 0, all are 0, a level is missing,
        or a cell occurs twice. It names the rows, counted from 1 without the header.
    """
    frame = read_survey(path, encoding=encoding, limits=limits)
    if count not in frame.columns:
        raise InputError(
            f"{path}: there is no column '{count}' with the number of people; name it with count=. "
            f"{_did_you_mean(count, frame)}"
        )
    if count != "N" and "N" in frame.columns:
        raise InputError(f"{path}: column 'N' would be overwritten by the count in '{count}'; rename 'N'.")
    levels = [name for name in frame.columns if name != count]
    if not levels:
        raise InputError(
            f"{path}: column '{count}' is the only one; add the columns that say whom it counts."
        )
    _check_counts(path, count, frame[count])
    _check_cells(path, frame[levels])
    return frame.assign(**{count: pd.to_numeric(frame[count])}).rename(columns={count: "N"})


def read_regions(path: str | Path, *, key: str = "name") -> dict[str, Any]:
    """Read the polygons of a map from a GeoJSON file (RFC 7946), checked as :func:`bayes_listexp.geography.polygons_of` does.

    ``key`` is the property that features are called by. Give what comes back to `figures.choropleth`, with the same key.

    Raises
    ------
    InputError : the file is absent or no JSON (with line and column), or its map cannot be drawn, with the fault's place.
    """
    path = Path(path)
    content = _content(path)
    try:
        geojson = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start + 1} is not UTF-8 text; GeoJSON always is. Save it as UTF-8.") from error
    except RecursionError as error:
        raise InputError(f"{path}: lists within lists without end; a map has at most five. Export the map again.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}). Export the map again.") from error
    try:
        polygons_of(geojson, key)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return dict(geojson)


def file_sha256(path: str | Path, *, limits: Limits = USUAL) -> str:
    """Hash of a file's bytes, as ``attrs["source"]`` of the frame that is read from it has it.

    Raises
    ------
    InputError : as :func:`read_survey` where there is no such file, or it is larger than the limits.
    """
    return hashlib.sha256(_content(Path(path), limits)).hexdigest()


Reader = Callable[[Path, bytes, str | None, tuple[str, ...], Limits], pd.DataFrame]


def _reader(path: Path) -> Reader:
    for suffix, read in READERS.items():
        if path.name.lower().endswith(suffix):
            return read
    raise InputError(
        f"{path}: a '{path.suffix or path.name}' file cannot be read here; "
        f"save the data as one of {', '.join(READERS)}."
    )


def _content(path: Path, limits: Limits = USUAL) -> bytes:
    """The file's bytes; there must be some, and no more than the limit."""
    refuse_large(path, limits)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, beside, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"Looked from {Path.cwd()}; check name and folder."
        raise InputError(f"{path}: there is no such file. {hint}") from error
    except OSError as error:
        raise InputError(
            f"{path}: the file cannot be opened ({error.strerror}); check that it is a file and may be read."
        ) from error
    if not content:
        raise InputError(f"{path}: the file is empty (0 bytes); export or copy it again.")
    return content


def _check_table(path: Path, frame: pd.DataFrame) -> None:
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise InputError(f"{path}: more than one column is called '{twice[0]}'; give each its own name.")
    if frame.empty:
        raise InputError(
            f"{path}: the file has {len(frame.columns)} columns and {len(frame)} rows; "
            "export it again with the data."
        )


def _read_csv(path: Path, content: bytes, encoding: str | None, _codes: tuple[str, ...], limits: Limits) -> pd.DataFrame:
    text = _text(path, content, encoding, limits).rstrip("\r\n")
    if not text.strip():
        raise InputError(f"{path}: the file holds no text; export or copy it again.")
    separator = separator_of(path, text)
    rows = _check_fields(path, text, separator, limits)
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            keep_default_na=False,
            na_values=list(MISSING_IN_CSV),
            index_col=False,
            low_memory=False,
            skip_blank_lines=False,
        )
    except ValueError as error:  # pandas' ParserError is one
        raise InputError(f"{path}: not a proper csv file ({error}); export it again.") from error
    if len(frame) != rows:
        raise InputError(f"{path}: {rows} rows came in as {len(frame)}; check the file's quotation marks.")
    return frame


def _text(path: Path, content: bytes, encoding: str | None, limits: Limits) -> str:
    content = unpacked(path, content, limits) if path.suffix.lower() == ".gz" else content
    try:
        text = content.decode(encoding or "utf-8-sig")
    except LookupError as error:
        raise InputError(
            f"{path}: encoding='{encoding}' is not known; 'utf-8', 'cp1251' and 'cp1252' are, among others."
        ) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: line {line}, byte {error.start + 1} of the file (0x{content[error.start]:02x}) is not "
            f"{encoding or 'UTF-8'} text. Save the file as UTF-8, or name its encoding, e.g. "
            "encoding='cp1251' (Cyrillic), 'cp1252' (Western) or 'utf-16'."
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(
            f"{path}: line {line} holds a zero byte, so this is no text or has another encoding, "
            "e.g. encoding='utf-16'; export it as csv again, or name the encoding."
        )
    return text


def separator_of(path: Path, text: str) -> str:
    """The most frequent separator in the header, outside quotation marks; a comma if there is none."""
    header = re.sub(r'"[^"]*"', "", re.split(r"[\r\n]", text, maxsplit=1)[0])
    found = {mark: header.count(mark) for mark in SEPARATORS}
    most = [mark for mark in found if found[mark] == max(found.values())]
    if max(found.values()) and len(most) > 1:
        raise InputError(
            f"{path}: the header has as many {SEPARATORS[most[0]]} as {SEPARATORS[most[1]]}; "
            "put its names in quotation marks, or save the file with one separator."
        )
    return most[0]


def _check_fields(path: Path, text: str, separator: str, limits: Limits) -> int:
    """Every row must have as many fields as the header, whose names differ; returns the number of rows."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = 0
    try:
        header = next(reader)
        refuse_many(path, text.count("\n"), len(header), limits)
        twice = [name for name in header if header.count(name) > 1]
        if twice:
            raise InputError(f"{path}: more than one column is called '{twice[0]}'; give each its own name.")
        for fields in reader:
            rows += 1
            if len(fields) != len(header):
                raise InputError(
                    f"{path}: line {reader.line_num} has {len(fields)} fields, the header has {len(header)}. "
                    "Mend or remove the line: a field that contains the separator needs quotation marks, "
                    "a missing value is an empty field or NA."
                )
    except csv.Error as error:
        raise InputError(
            f"{path}: line {reader.line_num} cannot be split into fields ({error}); "
            "check its quotation marks."
        ) from error
    return rows


def refuse_cut_off(path: Path, begins: bytes, ends: bytes) -> None:
    """Refuse a parquet file, by its first and last bytes, of which only the beginning is there: parquet begins and ends alike.

    Raises
    ------
    InputError : with the file's name.
    """
    if begins.startswith(b"PAR1") and not ends.endswith(b"PAR1"):
        raise InputError(f"{path}: the end of the parquet file is missing, as after an interrupted download or copy. Get it again.")


def _read_parquet(path: Path, content: bytes, _encoding: str | None, _codes: tuple[str, ...], limits: Limits) -> pd.DataFrame:
    refuse_cut_off(path, content[:4], content[-4:])
    try:
        told = pyarrow.parquet.read_metadata(io.BytesIO(content))  # a few bytes may stand for more rows than memory holds
        refuse_many(path, told.num_rows, told.num_columns, limits)
        frame = pd.read_parquet(io.BytesIO(content))
    except InputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path}: the parquet file is damaged, or is none ({reason}); write it again."
        ) from error
    index_has_names = any(name is not None for name in frame.index.names)
    return frame.reset_index(drop=not index_has_names)


def _read_labelled(path: Path, content: bytes, encoding: str | None, codes: tuple[str, ...], limits: Limits) -> pd.DataFrame:
    if content.startswith(b"<stata_dta>") and not content.rstrip().endswith(b"</stata_dta>"):
        raise InputError(
            f"{path}: the Stata file is damaged: its end, with the labels, is cut off; copy it again."
        )
    return read_labelled(path, encoding, codes, limits)


READERS: Mapping[str, Reader] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".dta": _read_labelled,
    ".sav": _read_labelled,
    ".zsav": _read_labelled,
}


def _check_counts(path: str | Path, count: str, given: pd.Series) -> None:
    numbers = pd.to_numeric(given, errors="coerce").astype(float).to_numpy()
    bad = ~np.isfinite(numbers) | (numbers < 0)
    if bad.any():
        found = ", ".join(dict.fromkeys(str(value) for value in given[bad].iloc[:3]))
        raise InputError(
            f"{path}: column '{count}', {rows_where(bad)}: a number of people is at least 0, found {found}. "
            "Correct it or leave the row out."
        )
    if numbers.sum() == 0:
        raise InputError(f"{path}: column '{count}' sums to 0; a population needs people.")


def _check_cells(path: str | Path, levels: pd.DataFrame) -> None:
    for name in levels.columns:
        absent = levels[name].isna()
        if absent.any():
            raise InputError(
                f"{path}: column '{name}', {rows_where(absent)}: the level is missing (an empty field, "
                "NA, NaN and . count as missing); give it a name or leave the row out."
            )
    twice = levels.duplicated(keep=False)
    if twice.any():
        cell = ", ".join(f"{name} = {value}" for name, value in levels[twice].iloc[0].items())
        raise InputError(
            f"{path}: {rows_where(twice)}: a cell has more than one row, first {cell}; add their numbers up."
        )


def _did_you_mean(name: str, frame: pd.DataFrame) -> str:
    columns = [str(column) for column in frame.columns]
    close = difflib.get_close_matches(name, columns, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"The columns are: {', '.join(columns)}."
