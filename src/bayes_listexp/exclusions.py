"""Who is left out of a study and why, counted by arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.columns import name_rows
from bayes_listexp.errors import InputError

MISSING_LEVEL = "(missing)"
KEPT = ", kept for other instruments"
MODELLED = ", modelled"
MISSING = ("drop", "level", "model")
EXCLUSION_COLUMNS = ["reason", "column", "control", "treatment", "arm unknown"]


def exclude_unobserved(
    absent: Mapping[tuple[str, str], pd.Series], treated: pd.Series, counts: pd.Series, elsewhere: pd.Series
) -> tuple[pd.Series, pd.DataFrame, pd.Series]:
    """Whom to keep, whom not and why, and who is kept with an answer to the list.

    A respondent without answer or arm whom an instrument observed stays, and is counted under "..., kept for other
    instruments".
    """
    wave = {key: mask for key, mask in absent.items() if key[0] in ("wave missing", "list version missing")}
    unlisted = {key: mask for key, mask in absent.items() if key not in wave}
    dropped = {key: mask & ~elsewhere for key, mask in unlisted.items()} | wave
    keep, exclusions = exclude(dropped, treated, counts)
    kept_for = {(f"{key[0]}{KEPT}", key[1]): mask & elsewhere & keep for key, mask in unlisted.items()}
    listed, kept = exclude(kept_for, treated, counts)
    return keep, join(exclusions, kept), listed & keep


def exclude(
    absent: Mapping[tuple[str, str], pd.Series], treated: pd.Series, counts: pd.Series
) -> tuple[pd.Series, pd.DataFrame]:
    """Keep the rows where nothing is absent; count each excluded row once, under its first reason."""
    keep, rows = pd.Series(True, index=counts.index), []
    for (reason, column), mask in absent.items():
        out = keep & mask.astype(bool)
        if counts[out].sum():
            rows.append(_exclusion(reason, column, treated[out], counts[out]))
        keep &= ~out
    return keep, pd.DataFrame(rows, columns=EXCLUSION_COLUMNS)


def _exclusion(reason: str, column: str, treated: pd.Series, counts: pd.Series) -> list[Any]:
    arms = [(treated == arm).fillna(False).astype(bool) for arm in (False, True)]
    return [reason, column, *(int(counts[arm].sum()) for arm in arms), int(counts[treated.isna()].sum())]


def refused(table: pd.DataFrame, answers: pd.Series) -> pd.DataFrame:
    """The rows of a table as read whose arm is known and whose answer to the list is missing, numbered from 1 as in the data."""
    rows = (answers.isna() & table["_treated"].notna()).to_numpy()
    return table[rows].astype({"_treated": bool}).set_axis(np.flatnonzero(rows) + 1)


def without_missing(table: pd.DataFrame, columns: list[str], missing: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a study's table with a level in each column, and the exclusions; "level" makes missing a level instead.

    Where ``missing`` is "model" the rows that lack a level are not among these, as where it is "drop".

    Raises
    ------
    InputError : a missing number that should be a level.
    """
    holes = {name: table[name].isna() for name in columns if table[name].isna().any()}
    if not holes:
        return table, pd.DataFrame(columns=EXCLUSION_COLUMNS)
    if missing == "level":
        numeric = [name for name in holes if not isinstance(table[name].dtype, pd.CategoricalDtype)]
        if numeric:
            raise InputError(
                f"column '{numeric[0]}', {name_rows(table.index[holes[numeric[0]]])}: missing numbers cannot be a "
                "level of their own. Use missing = 'drop', or recode the column into groups."
            )
        twice = [name for name in holes if MISSING_LEVEL in table[name].cat.categories]
        if twice:
            raise InputError(f"column '{twice[0]}', {name_rows(table.index[holes[twice[0]]])}: missing values are to be the level "
                             f"'{MISSING_LEVEL}', which the data have already. Rename that level, or mark its rows as missing.")
        filled = {name: table[name].cat.add_categories([MISSING_LEVEL]).fillna(MISSING_LEVEL) for name in holes}
        return table.assign(**filled), pd.DataFrame(columns=EXCLUSION_COLUMNS)
    absent = {("covariate missing", name): mask for name, mask in holes.items()}
    keep, exclusions = exclude(absent, table["_treated"].astype("boolean"), table["_n"])
    return table[keep], exclusions


def kept(exclusions: pd.DataFrame) -> pd.Series:
    """Which rows of a table of exclusions count people who were kept, for other instruments or with a covariate modelled."""
    return exclusions["reason"].astype(str).str.endswith((KEPT, MODELLED))


def join(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One table of exclusions after the other."""
    return first if second.empty else second if first.empty else pd.concat([first, second], ignore_index=True)
