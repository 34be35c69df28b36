"""Predictors of levels: what is known of every region (or another factor) beside the survey, put beside each row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.columns import name_rows, rows_where
from bayes_listexp.errors import InputError
from bayes_listexp.population import COUNT, PopulationFrame, as_frame

type Predictors = Mapping[str, pd.DataFrame]


def with_predictors[T: (pd.DataFrame, PopulationFrame)](table: T, predictors: Predictors, *, what: str = "the table") -> T:
    """A table, or a population frame, with the predictors of its levels as further columns.

    Parameters
    ----------
    table : rows with the columns that ``predictors`` names.
    predictors : by column, such as "region", a table with one row per level: the level in a column of the same name, and
        further columns, such as the region's income. Levels are compared as text, 5 and 5.0 alike.
    what : the table's name in messages.

    Rows whose level is missing have missing predictors. Levels that no row has may be in a predictor table.

    Raises
    ------
    InputError : a predictor table lacks the column of its levels or has no other, has a level twice or no row for a level that
        occurs, or a column whose name is taken.
    """
    if isinstance(table, PopulationFrame):
        return replace(table, cells=with_predictors(table.cells, predictors, what=what))
    out = table.copy()
    out.attrs = dict(table.attrs)
    for key, known in predictors.items():
        columns = _checked(key, known)
        if key not in table.columns:
            raise InputError(f"predictors: column '{key}' is not in {what}; it has: {', '.join(map(str, table.columns))}.")
        clash = [name for name in columns if name in out.columns]
        if clash:
            raise InputError(f"predictors of '{key}': column '{clash[0]}' is already in {what}. Rename one of them.")
        levels = table[key].astype(object).map(lambda value: _text(value) if pd.notna(value) else None)
        place = pd.Index(known[key].map(_text).astype(object)).get_indexer(pd.Index(levels))
        stray = (place < 0) & levels.notna()
        if stray.any():
            raise InputError(f"predictors of '{key}': there is no row for level '{levels[stray].iloc[0]}', which occurs in {what} "
                             f"({rows_where(stray)}). Add it to the table.")
        rows = known.reset_index(drop=True)
        out = out.assign(**{name: rows[name].reindex(place).set_axis(out.index) for name in columns})
    return out


def join_predictors(
    frame: pd.DataFrame,
    population: pd.DataFrame | PopulationFrame | None,
    covariates: Sequence[str] | None,
    predictors: Predictors | None,
) -> tuple[pd.DataFrame, pd.DataFrame | PopulationFrame | None, Sequence[str] | None]:
    """Respondents, population frame and names of covariates with the predictors added.

    A population frame that lacks the column of the levels does not get its predictors.

    Raises
    ------
    InputError : as :func:`with_predictors`.
    """
    if not predictors:
        return frame, population, covariates
    frame = with_predictors(frame, predictors, what="the data")
    if covariates is not None:
        covariates = [*covariates, *(str(c) for key, table in predictors.items() for c in table.columns if c != key)]
    if population is not None:
        population = as_frame(population)
        there = {key: table for key, table in predictors.items() if key in population.cells.columns}
        population = with_predictors(population, there, what="the population frame")
    return frame, population, covariates


def _checked(key: str, known: pd.DataFrame) -> list[str]:
    """The predictor columns of a table with one row per level."""
    if key not in known.columns:
        raise InputError(f"predictors of '{key}': the table has no column '{key}' with the levels; it has: "
                         f"{', '.join(map(str, known.columns))}.")
    columns = [str(name) for name in known.columns if name != key]
    if not columns or COUNT in columns:
        raise InputError(f"predictors of '{key}': " + (f"column '{COUNT}' is the name of the number of people. Rename it."
                         if columns else f"the table has no column beside '{key}'."))
    absent = known[key].isna()
    if absent.any():
        raise InputError(f"predictors of '{key}', {rows_where(absent)}: the level is missing.")
    twice = known[key].map(_text).duplicated(keep=False).to_numpy()
    if twice.any():
        level = _text(known[key][twice].iloc[0])
        rows = np.flatnonzero(known[key].map(_text).to_numpy() == level) + 1
        raise InputError(f"predictors of '{key}': level '{level}' has more than one row ({name_rows(rows)}). Keep one.")
    return columns


def _text(value: Any) -> str:
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)
