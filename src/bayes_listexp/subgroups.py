"""The difference in means by several columns at once, each group with its numbers and what is not known of it said in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_listexp.design_based import DIM_COLUMNS, difference_in_means
from bayes_listexp.experiment import ListExperiment

SUBGROUP_COLUMNS = ["column", "level", *DIM_COLUMNS, "note"]
EVERYBODY = "everybody"
MOST_LEVELS = 10
"""A column of more different numbers than these is shown by its quarters."""


def subgroup_means(
    study: ListExperiment, columns: Sequence[str | Sequence[str]], *, weighted: bool = False, probability: float = 0.95
) -> pd.DataFrame:
    """The difference in means of everybody and of the levels of each of ``columns``: one row per group.

    Columns: ``column`` ("everybody" in the first row), ``level``, those of :func:`bayes_listexp.difference_in_means`, and ``note``,
    which says why a group has no estimate or no ``se`` ("" where it has both). Several columns together, such as ["gender", "region"], are
    crossed. A column of more than ten different numbers is cut into quarters of the respondents.

    Raises
    ------
    InputError : as :func:`bayes_listexp.difference_in_means`.
    """
    parts = [difference_in_means(study, weighted=weighted, probability=probability).assign(column=EVERYBODY, level="")]
    for given in columns:
        names = [given] if isinstance(given, str) else list(given)
        study.complete(names)
        table = difference_in_means(_in_quarters(study, names), by=names, weighted=weighted, probability=probability)
        levels = [" · ".join(_text(value) for value in row) for row in table[names].to_numpy(dtype=object)]
        parts.append(table.assign(column=" · ".join(names), level=levels))
    found = pd.concat(parts, ignore_index=True)
    return found.assign(note=[undefined_because(row) for _, row in found.iterrows()])[SUBGROUP_COLUMNS]


def undefined_because(row: pd.Series) -> str:
    """Why a row of differences in means has no estimate or no standard error; "" if it has both."""
    if np.isnan(row["n_control"]):
        return "too few respondents to be shown"
    for arm in ("control", "treatment"):
        if row[f"n_{arm}"] == 0:
            return f"no answers in the {arm} arm"
    if np.isnan(row["estimate"]):
        return "all weights of an arm are 0"
    if np.isnan(row["se"]):
        single = [arm for arm in ("control", "treatment") if row[f"n_{arm}"] == 1]
        return f"a single answer in the {single[0]} arm: no standard error" if single else "too few sampled units for a standard error"
    return ""


def _in_quarters(study: ListExperiment, names: Sequence[str]) -> ListExperiment:
    """The study with each column of many different numbers cut into quarters, named by their least and greatest number."""
    cut = {}
    for name in names:
        column = study.table[name]
        if not isinstance(column.dtype, pd.CategoricalDtype) and column.nunique() > MOST_LEVELS:
            quarter = pd.qcut(column, 4, labels=False, duplicates="drop")
            ends = column.groupby(quarter).agg(["min", "max"])
            labels = [f"{_text(low)} to {_text(high)}" for low, high in ends.to_numpy()]
            cut[name] = pd.Series(pd.Categorical.from_codes(quarter.fillna(-1).astype(int), labels), index=column.index)
    return dataclasses.replace(study, table=study.table.assign(**cut)) if cut else study


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)
