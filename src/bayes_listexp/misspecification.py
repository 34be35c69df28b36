"""Hausman's test of specification: whether maximum likelihood, which needs all assumptions, finds what needs fewer of them.

Where the model holds, maximum likelihood, two-step least squares and the difference in means estimate the same. The variance of their
difference is that of the difference of their influence functions, which is never negative; the difference of their variances, which the
classical test takes, often is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import chi2, f

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_answers import Answers
from bayes_listexp.list_regression import ListRegression
from bayes_listexp.quick_likelihood import maximum_likelihood
from bayes_listexp.responses import Lapse
from bayes_listexp.two_step import nonlinear_least_squares

TEST_COLUMNS = ["test", "likelihood", "other", "difference", "se", "statistic", "df", "p", "remark"]
SAME_DIRECTION = 1e-4
"""Directions in which the difference of two estimators varies by less than this share of the less precise one's variance: in these they
are the same estimator, and say nothing.
"""


def specification_test(
    study: ListExperiment,
    trait: str = "1",
    *,
    control: str | None = None,
    counts: Literal["softmax", "binomial", "beta_binomial"] = "softmax",
    dependence: Literal["none", "shift"] = "none",
    response: str | Mapping[str, Lapse] = "truthful",
    weighted: bool = False,
) -> pd.DataFrame:
    """Hausman's test of a list regression (Hausman 1978; Blair, Chou & Imai 2019), by the influence functions of both estimators.

    Two rows, named in ``test``: "prevalence" compares the prevalence by maximum likelihood with the difference in means;
    "coefficients" compares the coefficients with those of two-step least squares: those of the trait, and with binomial and
    beta-binomial counts without dependence those of the control counts too, which mean the same in both. Columns: ``likelihood``,
    ``other``, ``difference``, ``se`` (of the prevalence), ``statistic`` (chi-squared, never negative), ``df`` (directions in which the
    estimators differ), ``p``, ``remark`` (why a test was not computed, or what to mind). A small p says that some assumption of the
    model does not hold: the counts' distribution, their independence of the trait, truthful answers, or no design effect.

    With strata, clusters or weights the variance is that of the design, and p is by Student's t and F with its degrees of freedom.
    The coefficients' test needs many respondents (see the documentation of its size); the prevalence's does not.

    Raises
    ------
    InputError : whatever :func:`bayes_listexp.maximum_likelihood` refuses; or dependence "free", whose prevalence nothing tests.
    """
    if dependence == "free":
        raise InputError("specification_test: dependence = 'free' leaves the counts of people with the trait to themselves. Test 'none' or "
                         "'shift'.")
    full = maximum_likelihood(study, trait, control=control, counts=counts, dependence=dependence, response=response, weighted=weighted)
    fewer = nonlinear_least_squares(study, trait, control=control, weighted=weighted)
    comparable = ["trait"] + ["control"] * (counts != "softmax" and dependence == "none" and response == "truthful")
    rows = [_prevalence(full), _coefficients(full, fewer, comparable)]
    return pd.DataFrame(rows, columns=TEST_COLUMNS)


def mean_difference(answers: Answers) -> tuple[float, np.ndarray]:
    """The difference in means, treatment minus control, and what a respondent of weight 1 adds to it, (pattern,)."""
    estimate, influence = 0.0, np.zeros(len(answers.n))
    for arm, sign in ((0, -1), (1, 1)):
        here = answers.arm == arm
        mean = np.average(answers.answer[here], weights=answers.total[here])
        estimate += sign * mean
        influence[here] = sign * (answers.answer[here] - mean) / answers.total[here].sum()
    return float(estimate), influence


def _prevalence(full: ListRegression) -> list[object]:
    """The prevalence by maximum likelihood against the difference in means."""
    answers = full.answers
    other, influence = mean_difference(answers)
    chance = float(full.prevalence["estimate"].iloc[0])
    if "trait Intercept" in full.boundary:
        return ["prevalence", chance, other, chance - other, np.nan, np.nan, 0, np.nan,
                "not computed: the maximum is at the boundary, where its error is not normal"]
    variance, degrees = answers.variance((full.prevalence_influence - influence)[:, None])
    se = float(np.sqrt(variance[0, 0]))
    statistic = ((chance - other) / se) ** 2
    return ["prevalence", chance, other, chance - other, se, statistic, 1, _p_value(statistic, 1, degrees), _converged(full)]


def _coefficients(full: ListRegression, fewer: ListRegression, parts: list[str]) -> list[object]:
    """The coefficients of ``parts`` by maximum likelihood against those of two-step least squares."""
    edge = [name for one in (full, fewer) for name in one.boundary if name.split(" ")[0] in parts]
    if edge:
        return ["coefficients", np.nan, np.nan, np.nan, np.nan, np.nan, 0, np.nan, f"not computed: '{edge[0]}' lies at infinity"]
    own = [one.coefficients["part"].isin(parts).to_numpy() for one in (full, fewer)]
    apart = full.coefficients["estimate"].to_numpy()[own[0]] - fewer.coefficients["estimate"].to_numpy()[own[1]]
    influence = full.influence[:, own[0]] - fewer.influence[:, own[1]]
    variance, degrees = full.answers.variance(influence)
    scale = np.sqrt(np.diag(fewer.covariance)[own[1]])
    values, vectors = np.linalg.eigh(variance / np.outer(scale, scale))
    told = values > SAME_DIRECTION
    along = vectors.T[told] @ (apart / scale)
    statistic, df = float((along**2 / values[told]).sum()), int(told.sum())
    return ["coefficients", np.nan, np.nan, np.nan, np.nan, statistic, df, _p_value(statistic, df, degrees),
            _converged(full) or _converged(fewer)]


def _converged(one: ListRegression) -> str:
    return "" if one.converged else f"the search of '{one.method}' did not converge"


def _p_value(statistic: float, df: int, degrees: float) -> float:
    """By chi-squared, or by F where the variance has few degrees of freedom (Korn & Graubard 1990)."""
    if df < 1 or degrees < df:
        return float("nan")
    if np.isinf(degrees):
        return float(chi2.sf(statistic, df))
    rest = degrees - df + 1
    return float(f.sf(statistic * rest / (degrees * df), df, rest))
