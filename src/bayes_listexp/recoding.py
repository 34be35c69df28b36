"""Old levels to new ones, as a spec says: every value of the data is spoken for, or it is an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.columns import rows_where
from bayes_listexp.errors import InputError

TO_MISSING = "~missing"


def recode(frame: pd.DataFrame, recodes: Mapping[str, Mapping[str, Sequence[Any]]]) -> pd.DataFrame:
    """Merge the levels of columns into new ones: ``{column: {new level: [old levels]}}``.

    In a spec::

        [data.recode.education]
        university = [5, 6]
        "secondary or less" = [1, 2, 3, 4]
        "~missing" = [98, 99]

    The column becomes a categorical of the new levels in the order given. An old level is a value or, in a
    column read with labels, a label or its code; 5, 5.0 and "5" are the same level. The reserved key
    ``~missing`` lists values that count as missing from now on, added to ``attrs["missing"]``. Values already
    missing stay so. Other columns, rows and their order stay as they are; ``frame`` is not changed.

    Raises
    ------
    InputError : there is no such column; a value of the data is in no list; an old level is in two lists, or
        is neither label nor code of a labelled or categorical column.
    """
    columns, missing = {}, dict(frame.attrs.get("missing", {}))
    value_labels = frame.attrs.get("value_labels", {})
    for name, groups in recodes.items():
        if name not in frame.columns:
            raise InputError(f"recode: there is no column '{name}'. {_close(name, frame.columns)}")
        target = _targets(name, groups, frame[name], value_labels.get(name, {}))
        columns[name], gone = _recoded(name, frame[name], target, list(groups))
        missing[name] = _added(missing.get(name, {}), gone)
    result = frame.assign(**columns)
    result.attrs = {
        **frame.attrs,
        "missing": {name: kinds for name, kinds in missing.items() if kinds},
        "value_labels": {name: labels for name, labels in value_labels.items() if name not in recodes},
    }
    return result


def _targets(
    name: str, groups: Mapping[str, Sequence[Any]], column: pd.Series, labels: Mapping[Any, str]
) -> dict[str, str]:
    """New level by old level."""
    if not isinstance(groups, Mapping):
        raise InputError(f"recode of '{name}': needs new levels with lists of old ones, found {groups!r}.")
    closed = isinstance(column.dtype, pd.CategoricalDtype)
    by_code = {_level(code): text for code, text in labels.items()}
    own = {_level(level) for level in column.cat.categories} if closed else set(by_code)
    alias = by_code if closed else {text: code for code, text in by_code.items()}
    target: dict[str, str] = {}
    for new, given in groups.items():
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise InputError(f"recode of '{name}': '{new}' needs a list of old levels, e.g. [{given!r}].")
        for level in map(_level, given):
            old = level if level in own else alias.get(level, level)
            if closed and old not in own and old not in by_code.values():
                raise InputError(
                    f"recode of '{name}': '{level}', listed for '{new}', is no level of the column. "
                    f"{_close(level, own)}"
                )
            if target.setdefault(old, new) != new:
                raise InputError(
                    f"recode of '{name}': '{level}' is listed for '{target[old]}' and for '{new}'; keep one."
                )
    return target


def _recoded(
    name: str, column: pd.Series, target: Mapping[str, str], order: Sequence[str]
) -> tuple[pd.Series, dict[str, int]]:
    """The column in new levels, and how many values the recode sets to missing, by old level."""
    position, found = pd.factorize(column)
    old = [_level(value) for value in found]
    stray = [level for level in old if level not in target]
    if stray:
        rows = pd.Series(np.isin(position, [k for k, level in enumerate(old) if level not in target]), index=column.index)
        raise InputError(_stray_message(name, stray, rows_where(rows), [t for t in target if t not in old]))
    levels = [new for new in order if new != TO_MISSING]
    new_code = {new: code for code, new in enumerate(levels)} | {TO_MISSING: -1}
    codes = np.array([new_code[target[level]] for level in old] + [-1])  # the last is for missing values
    gone = {level: int((position == k).sum()) for k, level in enumerate(old) if target[level] == TO_MISSING}
    return pd.Series(pd.Categorical.from_codes(codes[position], levels), index=column.index), gone


def _stray_message(name: str, stray: Sequence[str], rows: str, unused: Sequence[str]) -> str:
    shown = ", ".join(f"'{level}'" for level in stray[:5]) + (", ..." if len(stray) > 5 else "")
    hint = f" Listed but not in the data: {', '.join(unused[:5])}." if unused else ""
    return (
        f"recode of '{name}': no list has {shown}, found in {rows}; add "
        f"{'it' if len(stray) == 1 else 'them'} to a new level's list, or to '{TO_MISSING}' to count as "
        f"missing.{hint}"
    )


def _added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {kind: first.get(kind, 0) + second.get(kind, 0) for kind in [*first, *second]}


def _level(value: Any) -> str:
    """A level's name: a whole number has no decimals."""
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _close(name: str, names: Iterable[Any]) -> str:
    texts = [str(each) for each in names]
    close = difflib.get_close_matches(str(name), texts, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(texts)}."
