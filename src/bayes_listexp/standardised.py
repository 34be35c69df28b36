"""Differences in means averaged over the cells of a population, and their change between waves: poststratification without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.design_based import CHANGE_COLUMNS, DIM_COLUMNS, check_waves, difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import half_width
from bayes_listexp.population import COUNT, PopulationFrame, as_frame, check_levels

LEFT_OUT = ["left_out", "share_left_out"]


def poststratified_means(
    study: ListExperiment,
    *,
    cells: str | Sequence[str],
    by: str | Sequence[str] = (),
    population: pd.DataFrame | PopulationFrame | None = None,
    weighted: bool = False,
    probability: float = 0.95,
) -> pd.DataFrame:
    """Differences in means of cell groups, averaged with the population's numbers of people: one row per group of ``by``.

    With shares W_c of the population and differences in means d_c of variance v_c, the estimate is sum W_c d_c and its
    variance sum W_c^2 v_c, for fixed numbers of respondents in the cells (Holt & Smith 1979). A cell with fewer than two
    respondents in an arm has no difference with a variance: it is left out, and the others stand for its people too. Columns
    as :func:`difference_in_means`, then ``left_out``, the names of those cells, and ``share_left_out``, their share of the
    population (0 to 1).

    Parameters
    ----------
    cells : the columns of the population that make the cells, such as ["gender", "region"].
    by : groups to estimate apart, such as the wave. With the column in the population each group has its own shares, without
        it all have the same.
    population : the frame, with its numbers of people taken as they are; None is the study's.

    Raises
    ------
    InputError : there is no population, or it lacks a column of ``cells`` or a level that respondents have.
    """
    cells, by = ([c] if isinstance(c, str) else list(c) for c in (cells, by))
    table = _cell_means(study, cells, by, population, weighted)
    usable = table["se"].notna() & (table[COUNT] > 0)
    groups = [((), table)] if not by else table.groupby(by, observed=True, sort=False)
    rows = [[*key, *_poststratified(group, usable[group.index], cells, probability)] for key, group in groups]
    return pd.DataFrame(rows, columns=[*by, *DIM_COLUMNS, *LEFT_OUT])


def poststratified_change(
    study: ListExperiment,
    first: str,
    second: str,
    *,
    cells: str | Sequence[str],
    by: str | Sequence[str] = (),
    population: pd.DataFrame | PopulationFrame | None = None,
    weighted: bool = False,
    probability: float = 0.95,
) -> pd.DataFrame:
    """Change of the poststratified difference in means from wave ``first`` to ``second``, waves being independent samples.

    On a population without the wave column both waves are standardised to the same people, so that a different make-up of
    the samples (in ``cells``) moves nothing. Cells that either wave cannot estimate are left out of both. Columns as
    :func:`change_in_means`, then ``left_out`` and ``share_left_out``; arguments as :func:`poststratified_means`.

    Raises
    ------
    InputError : as :func:`poststratified_means` and :func:`change_in_means`.
    """
    cells, by = ([c] if isinstance(c, str) else list(c) for c in (cells, by))
    wave = check_waves(study, first, second)
    table = _cell_means(study, cells, [wave, *by], population, weighted)
    table = table[table[wave].isin([first, second])].reset_index(drop=True)
    estimable = table["se"].notna()
    usable = estimable.groupby([table[name] for name in [*by, *cells]], observed=True).transform("all") & (table[COUNT] > 0)
    rows = []
    for key, group in [((), table)] if not by else table.groupby(by, observed=True, sort=False):
        parts = [group[group[wave] == label] for label in (first, second)]
        ends = [_poststratified(part, usable[part.index], cells, probability) for part in parts]
        rows.append([*key, *_minus(ends[1], ends[0], probability), *max((end[-2:] for end in ends), key=lambda end: end[1])])
    return pd.DataFrame(rows, columns=[*by, *CHANGE_COLUMNS, *LEFT_OUT])


def _cell_means(
    study: ListExperiment, cells: list[str], by: list[str], population: pd.DataFrame | PopulationFrame | None, weighted: bool
) -> pd.DataFrame:
    """Every cell of the population in every group: its people ``N``, and its difference in means where it has one."""
    given = study.population if population is None else population
    if given is None:
        raise InputError("poststratified: the study has no population frame; give one with population=.")
    frame = as_frame(given).cells
    absent = [name for name in cells if name not in frame.columns or name in by]
    if absent or not cells:
        raise InputError(f"cells: column '{(absent or [''])[0]}' must be a column of the population other than those of `by`; it has: "
                         f"{', '.join(str(name) for name in frame.columns if name != COUNT)}.")
    check_levels(study.table, frame, cells)
    means = difference_in_means(study, by=[*by, *cells], weighted=weighted)
    shared = [name for name in by if name in frame.columns]
    people = frame.groupby([*shared, *cells], observed=True)[COUNT].sum().reset_index()
    for name in [*by, *cells]:
        as_text = isinstance(study.table[name].dtype, pd.CategoricalDtype)
        for part in (means, people):
            if name in part.columns:
                part[name] = part[name].astype(str if as_text else float).astype(object)
    groups = means[by].drop_duplicates()
    grid = people if not by else groups.merge(people, on=shared) if shared else groups.merge(people, how="cross")
    return grid.merge(means, how="left", on=[*by, *cells])


def _poststratified(table: pd.DataFrame, usable: pd.Series, cells: list[str], probability: float) -> list[Any]:
    """Estimate, its s.e. and interval, sizes of the arms, names of the cells left out, and their share."""
    kept, people = table[usable], table[COUNT].sum()
    left = table[~usable & (table[COUNT] > 0)]
    labels = [[f"{value:g}" if isinstance(value, float) else str(value) for value in row] for row in left[cells].to_numpy()]
    names = "; ".join(" · ".join(row) for row in labels)
    share = left[COUNT].sum() / people if people > 0 else np.nan
    weight = kept[COUNT] / kept[COUNT].sum()
    estimate = float((weight * kept["estimate"]).sum()) if len(kept) else np.nan
    se = float(np.sqrt((weight**2 * kept["se"] ** 2).sum())) if len(kept) else np.nan
    width = half_width(probability) * se
    sizes = [int(kept[name].sum()) for name in ("n_control", "n_treatment")]
    return [estimate, se, estimate - width, estimate + width, *sizes, names, share]


def _minus(second: list[Any], first: list[Any], probability: float) -> list[float]:
    """The difference of two independent estimates, its s.e., interval and z."""
    estimate, se = second[0] - first[0], float(np.hypot(second[1], first[1]))
    width = half_width(probability) * se
    return [estimate, se, estimate - width, estimate + width, estimate / se]
