"""Variances of estimates by the sampling design: Taylor linearisation over strata and clusters, and replicate weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.survey_design import has_units, replicate_columns, units_of, variance_of_totals

type Estimator = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From weights of one respondent of each row (row,) to estimates (k,), and to what one respondent adds to each (row, k)."""


def is_designed(study: ListExperiment, weighted: bool) -> bool:
    """Whether the study says how respondents were sampled: by strata, clusters, or (of weighted estimates) replicate weights."""
    return has_units(study.table) or (weighted and study.replicates is not None)


def by_design(
    study: ListExperiment, table: pd.DataFrame, estimator: Estimator, weighted: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Estimates (k,) from some rows of the study's table, their covariance (k, k) by the design, and its degrees of freedom.

    Weighted estimates of a study with replicate weights are computed again with each, and the squared deviations add up with the
    method's factors. Otherwise what respondents add to the estimate is summed by cluster (by respondent where there are none), and
    these sums vary within strata (units drawn with replacement). Units outside the rows count too, as the number of them in a
    group is itself a matter of chance. Where no two units of a stratum can be compared the covariance is NaN.
    """
    estimates, influences = estimator(weights_of(table, weighted))
    if weighted and study.replicates is not None:
        again = [estimator(weights_of(table, True, column))[0] for column in replicate_columns(table)]
        apart = np.array(again) - estimates
        return estimates, apart.T @ (np.array(study.replicates.scales)[:, None] * apart), float(len(again) - 1)
    units, rows = units_of(study.table, study.wave), study.table.index.get_indexer(table.index)
    n = study.table["_n"].to_numpy(dtype=float)
    there = np.zeros(len(n), dtype=bool)
    there[rows[(influences != 0).any(axis=1)]] = True
    everywhere = np.zeros((len(n), influences.shape[1]))
    everywhere[rows] = influences
    variance = variance_of_totals(units, everywhere, np.arange(len(n)), np.ones(len(n)), n)
    degrees = units.degrees_among(there, n)
    return estimates, variance if degrees >= 1 else np.full(variance.shape, np.nan), degrees


def weights_of(table: pd.DataFrame, weighted: bool, column: str = "_weight") -> np.ndarray:
    """The weight of one respondent of each row, 1 without weights."""
    n = table["_n"].to_numpy(dtype=float)
    return np.asarray(table[column].to_numpy() / np.where(n > 0, n, 1)) if weighted else np.ones(len(table))


def refuse_weightless(table: pd.DataFrame, weighted: bool, what: str) -> None:
    """Refuse an arm whose respondents all have weight 0: it has no mean.

    Raises
    ------
    InputError : naming the arm and its number of respondents.
    """
    for treated, arm in ((False, "control"), (True, "treatment")):
        rows = table[table["_treated"] == treated]
        if weighted and len(rows) and not rows["_weight"].sum() > 0:
            raise InputError(f"{what}: all {rows['_n'].sum():,} respondents of the {arm} arm have weight 0, so that its answers have no "
                             "mean. Correct the weights, or estimate without them (weighted = False).")


def half_width(probability: float, degrees: float = np.inf) -> float:
    """Half the width of an interval in standard errors: Student's, or normal without degrees of freedom; NaN below 1 of them.

    Raises
    ------
    InputError : a probability that is no number between 0 and 1.
    """
    if isinstance(probability, (str, bool)) or probability is None or not 0 < probability < 1:
        raise InputError(f"probability = {probability!r}: say that of the interval as a number between 0 and 1, such as 0.95.")
    if degrees < 1:
        return float("nan")
    return float(norm.ppf(0.5 + probability / 2) if np.isinf(degrees) else t.ppf(0.5 + probability / 2, degrees))


def interval(estimate: float, variance: float, degrees: float, probability: float) -> list[float]:
    """Estimate, standard error and interval."""
    se = float(np.sqrt(variance))
    width = half_width(probability, degrees) * se
    return [float(estimate), se, float(estimate) - width, float(estimate) + width]
