"""Stata and SPSS files as frames: labels become levels, declared missing values are counted by kind."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat

from bayes_listexp.errors import InputError
from bayes_listexp.opening import USUAL, Limits, refuse_many

TRIAL = """
import sys
import pyreadstat
path, encoding, values = sys.argv[1], sys.argv[2] or None, float(sys.argv[3])
try:
    told = pyreadstat.read_sav(path, encoding=encoding, metadataonly=True)[1]
    columns = max(told.number_columns or 0, 1)
    if (told.number_rows or 0) * columns <= values:
        pyreadstat.read_sav(path, encoding=encoding, user_missing=True, row_limit=int(values // columns) + 1)
except Exception:  # what is wrong is said when the file is read
    pass
"""
"""Reads an SPSS file within a limit of values and keeps nothing."""

WHOLE_OR_NOT = ("integer", "floating", "mixed-integer-float", "empty")


def read_labelled(path: Path, encoding: str | None, codes: tuple[str, ...], limits: Limits = USUAL) -> pd.DataFrame:
    """The frame of a ``.dta``, ``.sav`` or ``.zsav`` file, with the ``attrs`` of :mod:`bayes_listexp.read`.

    Columns in ``codes`` keep their numbers.

    Raises
    ------
    InputError : the file is damaged, of another kind, or has more values than the limit.
    """
    if path.suffix.lower() != ".dta":
        _refuse_crashing(path, encoding, limits)
    told = _pyreadstat(path, encoding, user_missing=False, metadataonly=True)[1]
    columns_told = max(told.number_columns or 0, 1)
    refuse_many(path, told.number_rows or 0, columns_told, limits)
    rows = int(limits.values // columns_told) + 1  # a file need not say how many rows it packs
    raw, meta = _pyreadstat(path, encoding, user_missing=True, row_limit=rows)
    refuse_many(path, len(raw), columns_told, limits)
    declared = bool(meta.missing_ranges or meta.missing_user_values)
    clean = _pyreadstat(path, encoding, user_missing=False, row_limit=rows)[0] if declared else raw
    columns, labels, missing = {}, {}, {}
    for name in raw.columns:
        is_text = meta.readstat_variable_types[name] == "string"
        known = _labels(name, meta)
        valid = {code: text for code, text in known.items() if not _declared_missing(code, name, meta)}
        values = clean[name].mask(clean[name] == "") if is_text else _numbers(clean[name])
        ordered = meta.variable_measure.get(name) != "nominal"
        columns[name] = values if name in codes else _levels(values, valid, ordered=ordered)
        labels[name] = known
        missing[name] = _missing_kinds(name, raw[name], values, known, meta)
    frame = pd.DataFrame(columns, index=raw.index)
    frame.attrs = {
        "variable_labels": {name: text for name, text in meta.column_names_to_labels.items() if text},
        "value_labels": {name: known for name, known in labels.items() if known},
        "missing": {name: kinds for name, kinds in missing.items() if kinds},
    }
    return frame


def _refuse_crashing(path: Path, encoding: str | None, limits: Limits) -> None:
    """Read a file in a process of its own first: the C library behind pyreadstat can be crashed by a damaged SPSS file, and would take this
    process and all that is in it along. Where Python is part of another program, there is no process to be had, and no trial.
    """
    if not path.is_file() or "python" not in Path(sys.executable or "").name.lower():
        return
    arguments = [str(path.resolve()), encoding or "", str(limits.values)]
    done = subprocess.run([sys.executable, "-c", TRIAL, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode >= 0xC0000000 or -9 != done.returncode < 0:  # an exception of Windows; a signal, but that of a lack of memory
        raise InputError(f"{path}: the SPSS file is damaged, so badly that the library that reads such files crashes. Copy or export it "
                         "again.")


def _pyreadstat(path: Path, encoding: str | None, *, user_missing: bool, **how: Any) -> tuple[pd.DataFrame, Any]:
    stata = path.suffix.lower() == ".dta"
    read = pyreadstat.read_dta if stata else pyreadstat.read_sav
    try:
        return read(str(path), user_missing=user_missing, encoding=encoding, dates_as_pandas_datetime=True, **how)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, OverflowError, ValueError) as error:
        raise InputError(
            f"{path}: the {'Stata' if stata else 'SPSS'} file is damaged, or is none, or its text "
            f"has another encoding than it says ({error}). Copy or export it again, or name the encoding, "
            "e.g. encoding='cp1251'."
        ) from error


def _labels(name: str, meta: Any) -> dict[Any, str]:
    """Labels of one variable by code, in order; the same label of two codes is told apart by the code."""
    given = {
        _whole(code): text for code, text in meta.variable_value_labels.get(name, {}).items() if text.strip()
    }
    texts = list(given.values())
    in_order = sorted(given, key=lambda code: (isinstance(code, str), code))
    return {
        code: given[code] if texts.count(given[code]) == 1 else f"{given[code]} ({code})" for code in in_order
    }


def _whole(code: Any) -> Any:
    return int(code) if isinstance(code, float) and code.is_integer() else code


def _numbers(values: pd.Series) -> pd.Series:
    """Whole numbers with gaps arrive as Python objects; dates stay as they are."""
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in WHOLE_OR_NOT:
        return pd.to_numeric(values)
    return values


def _declared_missing(code: Any, name: str, meta: Any) -> bool:
    if isinstance(code, str) and meta.readstat_variable_types[name] != "string":
        return True  # Stata's .a to .z
    return any(
        isinstance(span["lo"], str) == isinstance(code, str) and span["lo"] <= code <= span["hi"]
        for span in meta.missing_ranges.get(name, ())
    )


def _levels(values: pd.Series, labels: Mapping[Any, str], *, ordered: bool) -> pd.Series:
    """A categorical of the labels if they cover every value and say more than the codes; else the values."""
    if not labels or all(text == str(code) for code, text in labels.items()):
        return values
    position = pd.Index(list(labels)).get_indexer(pd.Index(values))
    if ((position < 0) & values.notna().to_numpy()).any():
        return values
    return pd.Series(
        pd.Categorical.from_codes(position, list(labels.values()), ordered=ordered), index=values.index
    )


def _missing_kinds(
    name: str, raw: pd.Series, values: pd.Series, labels: Mapping[Any, str], meta: Any
) -> dict[str, int]:
    """Rows without a value, counted by what the file says instead of one."""
    dot = "." if meta.file_format == "dta" else ""
    kinds: Counter[str] = Counter()
    for code, n in raw[values.isna()].value_counts(dropna=False).items():
        if isinstance(code, str) and not code:
            kinds["blank"] += int(n)
        elif not pd.isna(code) and _declared_missing(code, name, meta):
            kinds[f"{dot}{_whole(code)} {labels.get(_whole(code), '')}".strip()] += int(n)
        else:  # also the 0 that pyreadstat puts for "." in a whole-number column with .a to .z
            kinds["missing"] += int(n)
    return dict(kinds)
