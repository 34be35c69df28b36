"""Columns of a survey as answers, arms, weights and covariates; what cannot be one is refused with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError

ARMS_READ_WITHOUT_HELP = (("0", "1"), ("false", "true"), ("control", "treatment"))


LONGEST_SHOWN = 60
"""Signs of a value that a message shows."""

SMALLEST_WEIGHT = 1e-100
"""Numbers whose squares and sums of squares are still numbers lie between this and its inverse."""

WRITTEN_MISSING = ("nan", "NaN", "NaT", "<NA>")
"""What a missing value becomes when pandas or numpy write it as text."""

PLACES = ("_first", "_n", "_place")
"""Names of the index of tabulated rows: the first of the respondents' rows in the data, and how many they are."""


def rows_where(mask: pd.Series | np.ndarray) -> str:
    """Name the rows where ``mask`` is true, counted from 1, e.g. "rows 3, 8 and 12 more"; of tabulated rows the respondents'."""
    there = np.asarray(mask, dtype=bool)
    if isinstance(mask, pd.Series) and tuple(mask.index.names) == PLACES:
        first, n = (mask.index.get_level_values(name).to_numpy()[there] for name in PLACES[:2])
        return name_places(int(first.min()), int(n.sum()))
    return name_rows(np.flatnonzero(there) + 1)


def name_places(first: int, n: int) -> str:
    """Name rows of which the first (0 where no order is known) and the number are known, e.g. "1,204 rows (the first is row 17)"."""
    if n == 1 and first:
        return f"row {first}"
    return f"{n:,} row{'s' * (n > 1)}" + (f" (the first is row {first:,})" if first else "")


def name_rows(numbers: Sequence[int] | np.ndarray | pd.Index, limit: int = 5) -> str:
    """Name rows by their numbers, e.g. "rows 3, 8 and 12 more"."""
    shown = ", ".join(str(number) for number in numbers[:limit])
    rest = f" and {len(numbers) - limit} more" if len(numbers) > limit else ""
    return f"{'row' if len(numbers) == 1 else 'rows'} {shown}{rest}"


def check_names(frame: pd.DataFrame) -> None:
    """Refuse a frame whose columns are not told apart by one text each.

    Raises
    ------
    InputError : naming the first that is none.
    """
    if frame.columns.nlevels > 1:
        raise InputError(f"the columns have names of {frame.columns.nlevels} levels, such as {frame.columns[0]!r}. Give each one name.")
    if frame.columns.duplicated().any():
        raise InputError(f"column '{frame.columns[frame.columns.duplicated()][0]}' occurs twice. Rename one of them.")
    strange = [name for name in frame.columns if not isinstance(name, str)]
    if strange:
        raise InputError(f"column {strange[0]!r}: its name is no text. Rename it, as with frame.columns = frame.columns.astype(str).")


def check_values(column: pd.Series, name: str) -> None:
    """Refuse a column of what no survey holds: lists, sets and other collections, complex numbers, text that cannot be written.

    Raises
    ------
    InputError : naming the rows.
    """
    if column.dtype.kind == "c":
        raise InputError(f"column '{name}' holds complex numbers. Give real ones.")
    levels = isinstance(column.dtype, pd.CategoricalDtype)
    values = pd.Series(column.cat.categories, dtype=object) if levels else column
    if values.dtype.kind not in "OU":
        return
    strange = values.astype(object).map(_is_strange).astype(bool)
    if strange.any():
        where = f"levels {shown_values(values[strange])}" if levels else f"{rows_where(strange)}: {shown_values(values[strange])}"
        raise InputError(f"column '{name}', {where}: values are numbers, texts, dates or missing, and not collections, complex numbers or "
                         "text that is no Unicode. Correct them, or leave the column out of `covariates`.")


def _is_strange(value: Any) -> bool:
    if isinstance(value, str):
        return not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value)
    return not pd.api.types.is_scalar(value) or isinstance(value, (complex, np.complexfloating))


def read_numbers(column: pd.Series, name: str) -> pd.Series:
    """Numbers as float, missing as NaN; text that is not a number is refused."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    plain = column.astype(object).where(column.notna(), None)
    numbers = pd.to_numeric(plain, errors="coerce").astype(float)
    numbers = numbers.where(~np.isinf(numbers))
    bad = numbers.isna() & column.notna()
    if bad.any():
        raise InputError(
            f"column '{name}', {rows_where(bad)}: not a number, found {shown_values(column[bad])}. "
            "Recode these values, or mark them as missing."
        )
    return numbers


def read_answers(
    column: pd.Series, name: str, treated: pd.Series, J: int, padded: pd.Series | None = None
) -> pd.Series:
    """Whole numbers 0..J in the control arm and 0..J + 1 in the treatment arm or on a ``padded`` list, missing as NaN."""
    flags = column.astype(object).map(lambda value: isinstance(value, (bool, np.bool_)))
    if flags.any():
        raise InputError(
            f"column '{name}', {rows_where(flags)}: an answer is a number of items, found {shown_values(column[flags])}. "
            "Give the numbers that respondents reported, or mark these values as missing."
        )
    numbers = read_numbers(column, name)
    broken = numbers.notna() & (numbers % 1 != 0)
    if broken.any():
        raise InputError(
            f"column '{name}', {rows_where(broken)}: an answer is a whole number of items, "
            f"found {shown_values(column[broken])}. Correct the values or mark them as missing."
        )
    for arm, label, top in ((False, "control", J), (True, "treatment", J + 1)):
        longest = top if padded is None else top + padded.astype(int)
        outside = (treated == arm).fillna(False).astype(bool) & numbers.notna() & ((numbers < 0) | (numbers > longest))
        if outside.any():
            raise InputError(
                f"column '{name}', {rows_where(outside)}: with J = {J} the {label} arm answers 0 to {top}, "
                f"found {shown_values(numbers[outside])}. Check J, the coding of the arms, and codes for "
                "missing answers (such as 9 or 99), which must be marked as missing."
            )
    return numbers


def read_arms(column: pd.Series, name: str, arms: tuple[Any, Any] | None) -> pd.Series:
    """Nullable boolean: True in the treatment arm."""
    if arms is not None and (not isinstance(arms, (list, tuple)) or len(arms) != 2):
        raise InputError(f"arms = {arms!r}: give two values of column '{name}', (control, treatment).")
    keys = _keys(column)
    given = set(keys.dropna())
    if arms is None:
        pairs = sorted(ARMS_READ_WITHOUT_HELP, key=lambda pair: len(given & set(pair)), reverse=True)
        control, treatment = pairs[0]
        strange = column.notna() & ~keys.isin(pairs[0])
        if strange.any():
            raise InputError(
                f"column '{name}': the arm must have two values such as 0 and 1 or 'control' and 'treatment', found "
                f"{shown_values(column.dropna())}; {rows_where(strange)} {'has' if strange.sum() == 1 else 'have'} another value. "
                "Say which is which with arms = (control value, treatment value), and mark other values as missing."
            )
    else:
        control, treatment = _two_arms(arms, name)
        strange = column.notna() & ~keys.isin([control, treatment])
        if strange.any():
            raise InputError(
                f"column '{name}', {rows_where(strange)}: found {shown_values(column[strange])} beside "
                f"arms = {tuple(arms)!r}. Name both values of the arm, or mark other values as missing."
            )
    return (keys == treatment).astype("boolean").where(column.notna(), pd.NA)


def _two_arms(arms: Any, name: str) -> tuple[str, str]:
    """The spellings of the control and the treatment value, which must be two."""
    control, treatment = value_key(arms[0]), value_key(arms[1])
    if control == treatment:
        raise InputError(f"column '{name}': arms = {tuple(arms)!r} names one value twice. Say (control value, treatment value).")
    return control, treatment


def _keys(column: pd.Series) -> pd.Series:
    """One spelling of each value, None where it is missing."""
    return column.astype(object).where(column.notna(), None).map(lambda value: None if value is None else value_key(value))


def read_items(
    column: pd.Series, name: str, control: Any, treatments: Sequence[Any]
) -> tuple[pd.Series, pd.Series]:
    """Treatment arms with a sensitive item each: who is treated (nullable boolean), and the item of each row.

    Rows of the control arm, and those whose arm is missing, stand under the first item, which nothing is concluded from.
    """
    keys = [value_key(value) for value in treatments]
    if len(keys) < 2 or len({*keys, value_key(control)}) < len(keys) + 1:
        raise InputError(
            f"column '{name}': arms = ({control!r}, {list(treatments)!r}) must name the control value and at least two "
            "treatment values, all different."
        )
    given = _keys(column)
    strange = column.notna() & ~given.isin([*keys, value_key(control)])
    if strange.any():
        raise InputError(
            f"column '{name}', {rows_where(strange)}: found {shown_values(column[strange])} beside the arms "
            f"{control!r} and {', '.join(repr(value) for value in treatments)}. Name every arm, or mark other values as missing."
        )
    absent = [value for value, key in zip(treatments, keys, strict=True) if key not in set(given)]
    if absent:
        raise InputError(f"column '{name}': nobody is in the arm {absent[0]!r}. Leave it out of `arms`.")
    labels = dict(zip(keys, map(str, treatments), strict=True))
    item = given.map(labels).fillna(str(treatments[0]))
    treated = given.isin(keys).astype("boolean").where(column.notna(), pd.NA)
    return treated, item.astype(pd.CategoricalDtype([str(value) for value in treatments]))


def read_flags(column: pd.Series, name: str) -> pd.Series:
    """A column of 0/1, False/True or missing (which is 0) as booleans."""
    given = column.astype(object).map(lambda value: value_key(value) if pd.notna(value) else "0")
    strange = ~given.isin(["0", "1", "false", "true"])
    if strange.any():
        raise InputError(f"column '{name}', {rows_where(strange)}: must be 0 or 1, found {shown_values(column[strange])}.")
    return given.isin(["1", "true"])


def read_choice(column: pd.Series, name: str, coding: Any) -> pd.Series:
    """Codes of a closed question as floats: ``coding`` maps each code to the value, or values, that mean it; missing is NaN."""
    codes = {
        value_key(value): float(code)
        for code, values in coding.items()
        for value in (values if isinstance(values, (list, tuple)) else [values])
        if value is not None
    }
    given = column.astype(object).map(lambda value: value_key(value) if pd.notna(value) else None)
    strange = column.notna() & ~given.isin(codes)
    if strange.any():
        raise InputError(
            f"column '{name}', {rows_where(strange)}: found {shown_values(column[strange])}, which is none of the answers "
            f"{', '.join(codes)}. Say what these values mean, or mark them as missing."
        )
    return given.map(codes).astype(float)


def write_choice(codes: pd.Series, coding: Any) -> pd.Series:
    """The inverse of :func:`read_choice`: the first of the values that mean each code, NaN where there is none."""
    first = {float(code): values[0] if isinstance(values, (list, tuple)) else values for code, values in coding.items()}
    return codes.map(first).astype(object).infer_objects()


def value_key(value: Any) -> str:
    """One spelling for 1, 1.0, "1", numpy's 1, True as text."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    return str(value).strip().lower()


def read_weights(column: pd.Series, name: str) -> pd.Series:
    """Weights of at least 0 for every respondent, not all 0."""
    numbers = read_numbers(column, name)
    bad = numbers.isna() | (numbers < 0)
    if bad.any():
        raise InputError(
            f"column '{name}', {rows_where(bad)}: a weight is missing, infinite or negative, found "
            f"{shown_values(column[bad])}. Give every respondent a weight of at least 0, or leave these rows out."
        )
    if not (numbers > 0).any():
        raise InputError(f"column '{name}': all weights are 0.")
    check_largest(float(numbers.max()), name)
    return numbers


def check_largest(weight: float, name: str) -> None:
    """Refuse weights, the largest of which is this, whose squares could not be added up.

    Raises
    ------
    InputError : naming the column.
    """
    if weight > 1 / SMALLEST_WEIGHT or 0 < weight < SMALLEST_WEIGHT:
        raise InputError(f"column '{name}': the largest weight is {weight:g}, and weights beyond {1 / SMALLEST_WEIGHT:g} or all below "
                         f"{SMALLEST_WEIGHT:g} cannot be added up. Divide them by their mean, which changes no estimate.")


def read_covariate(column: pd.Series, name: str, *, wave: bool) -> pd.Series:
    """Numbers as float; everything else as a categorical of text, levels in their given or natural order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [str(level) for level in column.cat.categories]
        if len(set(levels)) < len(levels):
            raise InputError(f"column '{name}': two categories have the same text. Rename one of them.")
        if wave:
            return column.cat.rename_categories(levels).cat.as_unordered().cat.remove_unused_categories()
        return column.cat.rename_categories(levels).cat.as_unordered()
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = column.dt.strftime("%Y-%m-%d")
    elif pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        infinite = np.isinf(column.astype("float64"))
        if infinite.any():
            raise InputError(
                f"column '{name}', {rows_where(infinite)}: an infinite value. Correct it or mark it as missing."
            )
        if not wave:
            return column.astype("float64")
        column = column.astype(object).map(lambda v: value_key(v) if pd.notna(v) else None)
    text = column.astype(object).map(lambda v: str(v) if pd.notna(v) else None)
    return text.astype(pd.CategoricalDtype(sorted(set(text.dropna()))))


def check_levels(column: pd.Series, name: str) -> None:
    """Refuse levels that nobody can have meant: what pandas writes for a missing value, and levels that differ in blanks.

    Raises
    ------
    InputError : naming the level and its rows, by the column's index.
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return
    bare: dict[str, str] = {}
    for level in map(str, column.cat.categories):
        rows = column.index[(column == level).to_numpy()]
        if not len(rows):
            continue
        if level.strip() in WRITTEN_MISSING:
            raise InputError(f"column '{name}', {name_rows(rows)}: found {level!r}, which says that something is missing. Mark these "
                             "values as missing (None), or write a level in words.")
        if (other := bare.setdefault(level.strip(), level)) != level:
            raise InputError(f"column '{name}', {name_rows(rows)}: the levels {other!r} and {level!r} differ in blanks only. Take the "
                             f"blanks away, as in frame['{name}'].str.strip().")


def shown_values(column: pd.Series, limit: int = 5) -> str:
    """The distinct values of a column for a message, e.g. "9, 'many' and 3 more"."""
    distinct = list(dict.fromkeys(_shown(value) for value in column.tolist()))
    shown = ", ".join(distinct[:limit])
    return shown + (f" and {len(distinct) - limit} more" if len(distinct) > limit else "")


def _shown(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer() and abs(float(value)) < 1e15:
        value = int(value)
    text = ascii(value) if _is_strange(value) else repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def check_ids(frame: pd.DataFrame, ids: str, wave: str | None) -> None:
    """Refuse ids that are missing or occur twice (in one wave)."""
    keys = [ids] if wave is None else [ids, wave]
    twice = frame.duplicated(keys, keep=False) | frame[ids].isna()
    if twice.any():
        raise InputError(
            f"column '{ids}', {rows_where(twice)}: an id is missing or occurs twice"
            f"{' in one wave' if wave else ''}, found {shown_values(frame[ids][twice])}. "
            "Remove the duplicates or leave out `ids`."
        )
