"""Comparing models by leave-one-out cross-validation of respondents, computed from the table of patterns."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDDataLOO

from bayes_listexp import stored
from bayes_listexp.errors import InputError


def loo(tree: xr.DataTree) -> ELPDDataLOO:
    """Expected log predictive density of a new respondent's answer, summed over the respondents (PSIS-LOO).

    ArviZ smooths the importance weights once per observed pattern of cell, arm and answer, because respondents of a
    pattern have the same likelihood; the sum, its standard error and the effective number of parameters weigh each
    pattern with its frequency, so they are those of the respondents (Vehtari, Gelman & Gabry 2017). ``elpd_i`` and
    ``pareto_k`` have one value per pattern. Where people answer in several waves, one person is left out at a time, with all
    answers, whether the model has person effects or not; a pattern then is what people said in all waves.

    Raises
    ------
    InputError : the fit has no posterior (a maximum likelihood that lies at infinity).
    """
    if "log_likelihood" not in tree.children:
        raise InputError("the fit has no posterior, so there is nothing to cross-validate. Fit with priors.")
    log_likelihood, n = left_out(tree)
    plain = log_likelihood.drop_vars([name for name in ("cell", "arm", "answer") if name in log_likelihood.coords])
    data = xr.DataTree.from_dict({"posterior": tree["posterior"].to_dataset(), "log_likelihood": plain.to_dataset(name="answer_given")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pareto k is reported as a check, with the number of respondents concerned
        per_pattern = az.loo(data, pointwise=True, var_name="answer_given")
    elpd_i = per_pattern.elpd_i.to_numpy()
    samples = log_likelihood.stack(sample=("chain", "draw")).to_numpy()
    lpd_i = np.logaddexp.reduce(samples, axis=-1) - np.log(samples.shape[-1])
    return dataclasses.replace(
        per_pattern, elpd=float(n @ elpd_i), se=_standard_error(elpd_i, n), p=float(n @ (lpd_i - elpd_i)),
        n_data_points=int(n.sum()))


def left_out(tree: xr.DataTree) -> tuple[xr.DataArray, np.ndarray]:
    """Log-probability of what is left out at a time, (chain, draw, pattern), and how often each of these occurs, (pattern,).

    That is all that a person said where people answer in several waves, and what a respondent said otherwise.
    """
    given, observed = tree["log_likelihood"]["answer_given"], tree["observed_data"]
    persons = stored.persons_in(tree)
    if persons is None:
        return given.transpose("chain", "draw", "pattern"), observed["pattern_n"].to_numpy()
    if "person" in given.dims:
        return given.transpose("chain", "draw", "person").rename(person="pattern"), persons.n
    rows = given.transpose("chain", "draw", "pattern").to_numpy()
    said = np.concatenate([rows, np.zeros((*rows.shape[:2], 1))], axis=-1)[..., persons.row].sum(axis=-1)
    return xr.DataArray(said, dims=("chain", "draw", "pattern"), coords={c: given[c] for c in ("chain", "draw")}), persons.n


def compare(trees: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Models by expected log predictive density, best first: one row per model.

    Columns: ``model``, ``elpd``, ``se``, ``p`` (effective number of parameters), ``elpd_diff`` (to the best, at most 0),
    ``dse`` (its standard error), ``weight`` (stacking weight; Yao et al. 2018), ``bad_k`` (respondents whose Pareto k is
    above ArviZ's threshold).

    Raises
    ------
    InputError : the fits are of different data, or tabulate them by different columns, so that their patterns differ.
    """
    _check_same_data(trees)
    results = {name: loo(tree) for name, tree in trees.items()}
    n = left_out(next(iter(trees.values())))[1]
    expanded = {name: _expand(result, n) for name, result in results.items()}
    weights = _stacking(expanded)
    best = max(results, key=lambda name: results[name].elpd)
    rows = []
    for name, result in results.items():
        difference = result.elpd_i.to_numpy() - results[best].elpd_i.to_numpy()
        rows.append((name, result.elpd, result.se, result.p, float(n @ difference), _standard_error(difference, n),
                     weights[name], int(n[result.pareto_k.to_numpy() > result.good_k].sum())))
    columns = ["model", "elpd", "se", "p", "elpd_diff", "dse", "weight", "bad_k"]
    return pd.DataFrame(rows, columns=columns).sort_values("elpd", ascending=False, ignore_index=True)


def _standard_error(values: np.ndarray, n: np.ndarray) -> float:
    """Standard error of the sum of one value per respondent, ``n`` respondents having each, as ArviZ computes it."""
    mean = n @ values / n.sum()
    return float(np.sqrt(n.sum() / (n.sum() - 1) * (n @ (values - mean) ** 2)))


def _expand(result: ELPDDataLOO, n: np.ndarray) -> ELPDDataLOO:
    """One value per respondent, as ArviZ's stacking expects."""
    return dataclasses.replace(result, elpd_i=xr.DataArray(np.repeat(result.elpd_i.to_numpy(), n), dims="respondent"),
                               pareto_k=xr.DataArray(np.repeat(result.pareto_k.to_numpy(), n), dims="respondent"))


def _stacking(results: Mapping[str, ELPDDataLOO]) -> dict[str, float]:
    if len(results) == 1:
        return dict.fromkeys(results, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = az.compare(dict(results), method="stacking")
    return {name: float(table.loc[name, "weight"]) for name in results}


def _check_same_data(trees: Mapping[str, xr.DataTree]) -> None:
    if not trees:
        raise InputError("compare: no fits were given.")
    items = list(trees.items())
    first_name, first = items[0]
    for name, tree in items[1:]:
        if stored.fact(tree, "source")["sha256"] != stored.fact(first, "source")["sha256"]:
            raise InputError(f"compare: '{first_name}' and '{name}' are fits of different data.")
        observed = [sorted(stored.fact(t, "instruments")) for t in (first, tree)]
        if observed[0] != observed[1]:
            raise InputError(f"compare: '{first_name}' is a fit of the list with {', '.join(observed[0]) or 'nothing else'} and "
                             f"'{name}' of the list with {', '.join(observed[1]) or 'nothing else'}; they predict different data.")
        patterns = [left_out(t)[1] for t in (first, tree)]
        if not (np.array_equal(patterns[0], patterns[1])
                and list(stored.blueprint_of(first).cells.frame.columns) == list(stored.blueprint_of(tree).cells.frame.columns)):
            raise InputError(f"compare: '{first_name}' and '{name}' tabulate the respondents by different columns. Fit both with "
                             "the same columns in `groups`, which keeps their cells alike.")
