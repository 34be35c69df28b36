"""The list regression without sampling, by each quick estimator, side by side, and the test of what the likelihood assumes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import syntax
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_regression import ListRegression
from bayes_listexp.misspecification import specification_test
from bayes_listexp.quick_likelihood import maximum_likelihood
from bayes_listexp.two_step import nonlinear_least_squares

LIKELIHOODS = {"maximum likelihood, any distribution of the counts": "softmax", "maximum likelihood, binomial counts": "binomial"}
LEAST_SQUARES = "two-step least squares"


class QuickEstimates(NamedTuple):
    """List regressions as tables, each with the column ``estimator``: the ``prevalence`` of everybody (and by wave, where there are
    several), the ``coefficients``, and the ``specification`` tests of the likelihoods. An estimator that a study does not allow has its
    reason in ``note``.
    """

    prevalence: pd.DataFrame
    coefficients: pd.DataFrame
    specification: pd.DataFrame


def quick_estimates(study: ListExperiment, *, covariates: str = "1", probability: float = 0.95) -> QuickEstimates:
    """Maximum likelihood with any and with binomial control counts, and two-step least squares, weighted if the study is.

    ``covariates`` is the formula of common effects of the trait and of the control counts. See :func:`bayes_listexp.maximum_likelihood`,
    :func:`bayes_listexp.nonlinear_least_squares` and :func:`bayes_listexp.specification_test`.

    Raises
    ------
    InputError : the formula cannot be read, or names an unknown column.
    """
    syntax.variables(covariates, study.covariates)
    by = [study.wave] if study.wave is not None and len(study.interviewed) > 1 else []
    how: dict[str, Any] = {"by": by, "weighted": study.weighted, "probability": probability}
    tried: dict[str, Callable[[], ListRegression]] = {
        name: partial(maximum_likelihood, study, covariates, counts=counts, **how) for name, counts in LIKELIHOODS.items()}  # type: ignore[arg-type]
    tried[LEAST_SQUARES] = partial(nonlinear_least_squares, study, covariates, **how)
    found = {name: _or_reason(make) for name, make in tried.items()}
    done = {name: one for name, one in found.items() if isinstance(one, ListRegression)}
    tests = {name: specification_test(study, covariates, counts=counts, weighted=study.weighted)  # type: ignore[arg-type]
             for name, counts in LIKELIHOODS.items() if name in done and LEAST_SQUARES in done}
    prevalence = [_prevalence(one, by).assign(estimator=name) for name, one in found.items()]
    coefficients = [one.coefficients.assign(estimator=name) for name, one in done.items()]
    return QuickEstimates(
        pd.concat(prevalence, ignore_index=True)[["estimator", *by, "estimate", "se", "lower", "upper", "n", "note"]],
        _stacked(coefficients),
        _stacked([table.assign(estimator=name) for name, table in tests.items()]),
    )


def _or_reason(make: Callable[[], ListRegression]) -> ListRegression | str:
    try:
        return make()
    except InputError as error:
        return str(error)


def _prevalence(one: ListRegression | str, by: list[str]) -> pd.DataFrame:
    """The prevalence, with what there is to mind; or the reason why there is none."""
    if isinstance(one, str):
        empty = dict.fromkeys(("estimate", "se", "lower", "upper", "n"), np.nan)
        return pd.DataFrame([{**dict.fromkeys(by, "all"), **empty, "note": one}])
    notes = [] if one.converged else ["the search did not converge"]
    notes += [f"at infinity: {', '.join(one.boundary)}"] if one.boundary else []
    notes += [f"{len(one.modes)} maxima"] if len(one.modes) > 1 else []
    return one.prevalence.astype(dict.fromkeys(by, object)).assign(note="; ".join(notes))


def _stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables one under the other, the estimator's column first."""
    if not tables:
        return pd.DataFrame()
    found = pd.concat(tables, ignore_index=True)
    return found[["estimator", *(name for name in found.columns if name != "estimator")]]
