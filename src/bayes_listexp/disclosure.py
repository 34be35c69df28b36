"""Small groups withheld: no estimate of a group of which so few respondents are in the study that it would speak of persons.

A study may say how many respondents a group needs to be shown (``smallest_group``). Its fits carry the number, so that every estimate
from them obeys, however it is asked for: draws of smaller groups are NaN, which figures, tables and explorers leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment

ATTRIBUTE = "smallest_group"


def withholding(tree: xr.DataTree, smallest: int) -> xr.DataTree:
    """The same fit, of which groups of fewer than ``smallest`` respondents are withheld; 0 withholds none.

    Every estimate of such a group is NaN (:func:`bayes_listexp.prevalence`, :func:`bayes_listexp.change`, ...). The stored cells stay as
    they are: a file with the fit has the respondents' covariates and answers, and is as confidential as the data.

    Raises
    ------
    InputError : ``smallest`` is no whole number of at least 0.
    """
    check_smallest(smallest)
    if int(tree.attrs.get(ATTRIBUTE, 0)) == smallest:
        return tree
    out = tree.copy(deep=False)
    out.attrs = {**tree.attrs, ATTRIBUTE: smallest}
    return out


def check_smallest(smallest: int) -> None:
    """Refuse what is no number of respondents.

    Raises
    ------
    InputError : not a whole number of at least 0.
    """
    if isinstance(smallest, bool) or not isinstance(smallest, (int, np.integer)) or smallest < 0:
        raise InputError(f"smallest_group = {smallest!r}: must be a whole number of at least 0.")


def small_groups(study: ListExperiment, names: Sequence[str]) -> set[tuple[str, ...]]:
    """The groups by these columns of some respondents, but fewer than the study's ``smallest_group``: their levels as texts."""
    if not study.smallest_group:
        return set()
    counts = study.table.groupby(list(names), observed=True)["_n"].sum()
    few = counts.index[(counts > 0) & (counts < study.smallest_group)]
    return {tuple(map(str, key if isinstance(key, tuple) else (key,))) for key in few}


def shown_columns(study: ListExperiment, columns: Iterable[str]) -> list[str]:
    """Those of the columns of which no level has so few respondents that it is withheld."""
    return [name for name in columns if not small_groups(study, [name])]


def hide_small(tree: xr.DataTree, draws: xr.DataArray, by: Sequence[str], respondents: pd.DataFrame, n: np.ndarray) -> xr.DataArray:
    """Draws (chain, draw, *by) with NaN for groups of fewer respondents than the fit's ``smallest_group``, but for groups of none.

    ``respondents`` are the cells, ``n`` (cell,) how many are in each. Columns that respondents do not have are not told apart.
    """
    k, names = int(tree.attrs.get(ATTRIBUTE, 0)), [name for name in by if name in respondents.columns]
    if not k or not names:
        return draws
    counts = pd.Series(np.asarray(n, dtype=float)).groupby([respondents[name].to_numpy() for name in names]).sum()
    few = counts.index[(counts > 0) & (counts < k)]
    hidden = xr.zeros_like(draws.isel(chain=0, draw=0, drop=True), dtype=bool)
    for key in few:
        place = dict(zip(names, key if isinstance(key, tuple) else (key,), strict=True))
        if all(level in list(draws[name].to_numpy()) for name, level in place.items()):
            hidden.loc[place] = True
    return draws.where(~hidden)
