"""The sample beside its population: shares of every level in both, and respondents whom the population frame does not have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.population import COUNT

FEW_VALUES = 10
"""Numbers with more distinct values than this in the population are compared by quarters of it."""


def frame_against_sample(study: ListExperiment, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Shares of each level among respondents and in the population frame, side by side; with several waves, by wave.

    Parameters
    ----------
    study : a study with a population frame.
    columns : which covariates to compare; by default all that the frame has too.

    Returns
    -------
    Columns: the wave (under its own name, with several), ``column``, ``level``, ``n`` respondents, ``sample`` (share of the
    respondents with a known level, 0-1), ``weighted`` (the same with survey weights, if there are), ``population`` (share in the
    frame), and ``ratio`` (sample / population; NaN for a level with nobody in the population). A number with more than ten
    values is compared by quarters of the population.

    Raises
    ------
    InputError : the study has no population frame, or a column that it or the frame does not have.
    """
    population, columns = _shared(study, columns)
    by_wave = len(study.waves) > 1
    rows = []
    for wave in study.interviewed if by_wave else ("",):
        people, cells = study.table, population
        if by_wave:
            people = people[people[study.wave] == wave]
            cells = cells[cells[study.wave].astype(str) == wave] if study.wave in cells.columns else cells
        for name in columns:
            mine, theirs = _grouped(study, population, name)
            table = _shares(mine[people.index], people, theirs[cells.index], cells, weighted=study.weighted)
            rows.append(table.assign(**({str(study.wave): wave} if by_wave else {}), column=name))
    found = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=["column", "level", "n", "sample", "population", "ratio"])
    first = [*([str(study.wave)] if by_wave and rows else []), "column", "level"]
    return found[[*first, *(c for c in found.columns if c not in first)]]


def cells_outside_frame(study: ListExperiment, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Combinations of levels that respondents have and nobody of the population frame has: the columns, and ``n`` respondents.

    Such respondents inform the model, and no estimate for the population counts people like them. ``columns`` are all that study
    and frame share by default (the wave too, if the frame has it); numbers with many values are left out.

    Raises
    ------
    InputError : as :func:`frame_against_sample`.
    """
    population, columns = _shared(study, columns)
    columns = [name for name in columns if _is_grouping(study, population, name)]
    columns += [str(study.wave)] if study.wave in population.columns else []
    if not columns:
        return pd.DataFrame(columns=["n"])
    pairs = {name: _grouped(study, population, name) for name in columns}
    mine = pd.DataFrame({name: pair[0].astype(object) for name, pair in pairs.items()}).assign(n=study.table["_n"]).dropna()
    known = pd.DataFrame({name: pair[1].astype(object) for name, pair in pairs.items()})[population[COUNT] > 0]
    found = mine.groupby(columns, as_index=False, observed=True)["n"].sum()
    inside = pd.MultiIndex.from_frame(found[columns]).isin(pd.MultiIndex.from_frame(known))
    return found[~inside & (found["n"] > 0).to_numpy()].reset_index(drop=True)


def _shared(study: ListExperiment, columns: Sequence[str] | None) -> tuple[pd.DataFrame, list[str]]:
    if study.population is None:
        raise InputError("the study has no population frame to compare the sample with. Give it one (population=).")
    population = study.population.reset_index(drop=True)
    known = [name for name in study.covariates if name in population.columns and name not in (study.wave, study.item)]
    absent = [name for name in columns or () if name not in known]
    if absent:
        raise InputError(f"column '{absent[0]}' is not in both the study and its population frame; they share: "
                         f"{', '.join(known) or 'none'}.")
    return population, known if columns is None else list(columns)


def _is_grouping(study: ListExperiment, population: pd.DataFrame, name: str) -> bool:
    return isinstance(study.table[name].dtype, pd.CategoricalDtype) or population[name].nunique() <= FEW_VALUES


def _grouped(study: ListExperiment, population: pd.DataFrame, name: str) -> tuple[pd.Series, pd.Series]:
    """A column of respondents and of the population as categories of the same levels; numbers with many values by quarters."""
    mine, theirs = study.table[name], population[name]
    if isinstance(mine.dtype, pd.CategoricalDtype):
        own = [level for level in mine.cat.categories if (mine == level).any()]
        theirs = theirs.astype(str)
        levels = list(dict.fromkeys([*own, *theirs]))
    elif _is_grouping(study, population, name):
        levels = [f"{value:g}" for value in sorted({*mine.dropna(), *theirs.astype(float)})]
        mine, theirs = (column.astype(float).map("{:g}".format, na_action="ignore") for column in (mine, theirs))
    else:
        return _quarters(mine, theirs.astype(float), population[COUNT].to_numpy(dtype=float))
    kind = pd.CategoricalDtype(levels)
    return mine.astype(kind), theirs.astype(kind)


def _quarters(mine: pd.Series, theirs: pd.Series, people: np.ndarray) -> tuple[pd.Series, pd.Series]:
    """Numbers cut where a quarter, half and three quarters of the population are below."""
    order = np.argsort(theirs.to_numpy())
    below = np.cumsum(people[order]) / people.sum()
    inner = np.unique(theirs.to_numpy()[order][np.searchsorted(below, [0.25, 0.5, 0.75])])
    edges = [-np.inf, *inner, np.inf]
    labels = [f"up to {inner[0]:g}", *(f"above {a:g} to {b:g}" for a, b in zip(inner, inner[1:], strict=False)), f"above {inner[-1]:g}"]
    first, second = (pd.cut(column, edges, labels=labels) for column in (mine, theirs))
    return first, second


def _shares(mine: pd.Series, people: pd.DataFrame, theirs: pd.Series, cells: pd.DataFrame, *, weighted: bool) -> pd.DataFrame:
    n = people["_n"].groupby(mine, observed=False).sum()
    table = pd.DataFrame({"level": list(n.index), "n": n.to_numpy(), "sample": (n / max(n.sum(), 1)).to_numpy()})
    if weighted:
        weight = people["_weight"].groupby(mine, observed=False).sum().to_numpy()
        table["weighted"] = weight / weight.sum() if weight.sum() > 0 else np.nan
    count = cells[COUNT].astype(float).groupby(theirs, observed=False).sum().to_numpy()
    table["population"] = count / count.sum() if count.sum() > 0 else np.nan
    table["ratio"] = table["sample"] / table["population"].where(table["population"] > 0)
    return table[(table["n"] > 0) | (table["population"] > 0)]
