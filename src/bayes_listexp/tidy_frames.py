"""Results as tidy frames: one row an estimate, under the column names that broom, marginaleffects and their kin share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp.coefficients import coefficient_table
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import summarise
from bayes_listexp.list_regression import ListRegression
from bayes_listexp.many_fits import ManyFits

ESTIMATES = ("estimate", "median", "difference", "elpd", "mean_rank")
"""Columns of results that are the estimate; of several the first."""
NAMES = {"part": "component", "se": "std_error", "sd": "std_error", "lower": "conf_low", "upper": "conf_high", "z": "statistic",
         "degrees": "df"}
P = {"median": "probability", "elpd": "p_loo"}
"""What the column ``p`` is where the estimate is this: of tests a p-value, of draws a probability, of LOO a number of parameters."""
BOUNDS = {"lower": "bound_low", "upper": "bound_high", "se_lower": "std_error_low", "se_upper": "std_error_high",
          "interval_lower": "conf_low", "interval_upper": "conf_high"}
"""Of bounds: what is identified is a range, and the confidence interval lies around it."""
FIRST = ["estimate", "bound_low", "bound_high", "std_error", "std_error_low", "std_error_high", "conf_low", "conf_high", "statistic",
         "df", "p_value"]

type Result = xr.DataArray | xr.Dataset | xr.DataTree | pd.DataFrame | ListRegression | ManyFits | NamedTuple


def tidy(result: Result, *, probability: float = 0.95) -> pd.DataFrame:
    """Any result of this package as a tidy frame: one row an estimate, columns named as broom and marginaleffects name them.

    Parameters
    ----------
    result : draws (:func:`bayes_listexp.prevalence`, ``change``, ``contrast``, ``observed_by``, ...), a fit (its coefficients), a frame
        of any estimator or summary of ours, a ``ListRegression`` (its coefficients; ``tidy(found.prevalence)`` has the
        prevalences), or a record of several frames (``estimates_without_model``, ``quick_estimates``).
    probability : of the interval, of draws and fits; frames have theirs already.

    Returns
    -------
    ``term`` (of draws: what was estimated; of fits: the coefficient, within ``component``, the sub-model), the groups' columns under
    their own names, ``estimate`` (of draws the posterior median), ``std_error`` (of draws the posterior standard deviation),
    ``conf_low`` and ``conf_high``, ``statistic``, ``df`` and ``p_value`` where there are such, then everything else the result had, such
    as ``n`` or ``p_below_zero``. Bounds have ``bound_low`` and ``bound_high`` in place of an estimate, and of a record of several frames
    ``table`` names the one a row is from. Nothing is rounded, and units are those of the result.

    Raises
    ------
    InputError : the result holds no estimate, or two of its columns would get the same name.
    """
    match result:
        case xr.DataTree():
            if "specification" not in result.attrs:
                raise InputError("tidy: this fit is of a published table; use tidy(support_table(tree, table)).")
            return _frame(coefficient_table(result, probability=probability))
        case xr.Dataset():
            return pd.concat([tidy(result[name].rename(name), probability=probability) for name in result], ignore_index=True)
        case xr.DataArray():
            return _draws(result, probability)
        case ListRegression():
            return _frame(result.coefficients)
        case ManyFits():
            arrays = {name: np.atleast_1d(values) for name, values in result._asdict().items()}
            return _frame(pd.DataFrame({"study": np.arange(len(arrays["estimate"])), **arrays}))
        case pd.DataFrame():
            return _frame(result)
        case tuple() if hasattr(result, "_asdict"):
            frames = {name: part for name, part in result._asdict().items() if isinstance(part, pd.DataFrame) and len(part)}
            if frames:
                parts = [_frame(part).assign(table=name) for name, part in frames.items()]
                return _first(pd.concat(parts, ignore_index=True), "table")
    raise InputError(f"tidy: a {type(result).__name__} holds no estimates; give draws, a fit, or a frame of estimates.")


def _draws(draws: xr.DataArray, probability: float) -> pd.DataFrame:
    if missing := [dim for dim in ("chain", "draw") if dim not in draws.dims]:
        raise InputError(f"tidy: these are no draws, they have no dim '{missing[0]}'; the dims are: {', '.join(map(str, draws.dims))}.")
    rows = summarise(draws.reset_coords(drop=True), probability=probability)
    return _frame(rows.assign(term=str(draws.name or "estimate")).pipe(_first, "term"))


def _first(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame[[name, *(column for column in frame if column != name)]]


def _frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of ours under the shared names: what a row is about, the estimate and how sure it is, and the rest."""
    found = next((name for name in ESTIMATES if name in frame), None)
    bounds = found is None and "interval_lower" in frame
    names = (NAMES | BOUNDS if bounds else NAMES) | ({found: "estimate"} if found else {})
    names |= {"p": P.get(found or "", "p_value")}
    renamed = frame.rename(columns=names)
    if not bounds and "estimate" not in renamed and not any(str(name).startswith("p_") for name in renamed):
        raise InputError(f"tidy: no column holds an estimate; the columns are: {', '.join(map(str, frame.columns))}.")
    if not renamed.columns.is_unique:
        twice = renamed.columns[renamed.columns.duplicated()][0]
        raise InputError(f"tidy: two columns of {', '.join(map(str, frame.columns))} would be called '{twice}'. Rename one.")
    numbers = [name for name in FIRST if name in renamed]
    place = min([list(renamed).index(name) for name in numbers], default=len(renamed.columns))
    before = [name for name in list(renamed)[:place] if name != "mean"]
    return renamed[[*before, *numbers, *(name for name in renamed if name not in {*before, *numbers})]].reset_index(drop=True)
