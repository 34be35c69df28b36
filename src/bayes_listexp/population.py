"""Population frames: cells of people with their number, checked against the sample, and averages over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_listexp.columns import name_rows
from bayes_listexp.errors import InputError

COUNT = "N"


def check_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame if its column ``N`` counts people: numbers of at least 0 that are not all 0.

    Raises
    ------
    InputError : the column is missing, or a count is missing, negative or infinite, or all are 0.
    """
    if COUNT not in frame.columns:
        raise InputError(f"population frame: column '{COUNT}' (number of people in the cell) is missing; it has: "
                         f"{', '.join(map(str, frame.columns))}.")
    counts = pd.to_numeric(frame[COUNT], errors="coerce")
    bad = ~np.isfinite(counts.astype(float)) | (counts < 0)
    if bad.any():
        raise InputError(f"population frame: column '{COUNT}', row {int(np.flatnonzero(bad)[0]) + 1}: a count of people "
                         f"must be a number of at least 0, found {frame[COUNT][bad].tolist()[0]!r}.")
    if counts.sum() <= 0:
        raise InputError(f"population frame: column '{COUNT}' sums to 0.")
    return frame


def check_levels(table: pd.DataFrame, population: pd.DataFrame, columns: Sequence[str]) -> None:
    """Check that the population frame has every level that respondents have in ``columns``; it need not have the columns.

    Raises
    ------
    InputError : a level is missing from the frame; the message names the rows of ``table`` by its index.
    """
    check_frame(population)
    for name in columns:
        if name not in population.columns or not isinstance(table[name].dtype, pd.CategoricalDtype):
            continue
        known = list(dict.fromkeys(population[name].astype(str)))
        absent = table[name][~table[name].isin(known)]
        if len(absent):
            level = absent.iloc[0]
            raise InputError(f"population frame: column '{name}' has no level '{level}', which occurs in the sample "
                             f"({name_rows(absent.index[absent == level])}). Its levels are: {', '.join(known)}. Add the level "
                             "or recode the data.")


def with_levels_of(cells: pd.DataFrame, population: pd.DataFrame) -> pd.DataFrame:
    """The sample's cells with the population's levels added to each shared column.

    A level in the frame without respondents becomes an ordinary level, with wide draws.
    """
    out = {}
    for name in cells.columns:
        column = cells[name]
        if name in population.columns and isinstance(column.dtype, pd.CategoricalDtype):
            known = list(dict.fromkeys(population[name].astype(str)))
            column = column.cat.add_categories([level for level in known if level not in column.cat.categories])
        out[name] = column
    return pd.DataFrame(out, index=cells.index)


def unsampled_levels(cells: pd.DataFrame, population: pd.DataFrame) -> pd.DataFrame:
    """Levels of the population frame without respondents: columns ``column``, ``level``, ``share`` of the population."""
    rows = []
    for name in [c for c in cells.columns if c in population.columns]:
        share = population.groupby(population[name].astype(str), sort=False)[COUNT].sum() / population[COUNT].sum()
        sampled = set(cells[name].astype(str))
        rows += [(name, level, float(value)) for level, value in share.items() if level not in sampled]
    return pd.DataFrame(rows, columns=["column", "level", "share"])


def grouping(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex]:
    """The group of each row (row,) and the groups' index: levels of the columns ``by``, in their order.

    Raises
    ------
    InputError : a column has a missing value, so its row is in no group.
    """
    for name in by:
        absent = np.flatnonzero(frame[name].isna())
        if len(absent):
            raise InputError(f"by: column '{name}', row {absent[0] + 1} of the population: the level is missing. Give it a "
                             "level or leave the row out.")
    codes = frame.groupby(list(by), observed=True, sort=True).ngroup().to_numpy()
    first = frame.assign(_c=codes).drop_duplicates("_c").sort_values("_c")
    return codes, pd.MultiIndex.from_frame(first[list(by)])


def average(draws: np.ndarray, frame: pd.DataFrame, mass: np.ndarray, by: Sequence[str]) -> tuple[np.ndarray, pd.MultiIndex]:
    """Averages of ``draws`` (..., row) over the rows of ``frame`` with weights ``mass`` (row,), by group.

    Returns the averages (..., group) and the groups' index (see :func:`grouping`). Groups of total mass 0 are left out, as
    nobody is in them.

    Raises
    ------
    InputError : a row without a level of a column of ``by``.
    """
    codes, index = grouping(frame, by)
    weights = np.zeros((len(frame), len(index)))
    weights[np.arange(len(frame)), codes] = mass
    total = weights.sum(axis=0)
    keep = total > 0
    return draws @ (weights[:, keep] / total[keep]), index[keep]
