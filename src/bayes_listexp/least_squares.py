"""The linear list regression: least squares of the answers, whose interactions with the arm are a linear probability model."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from bayes_listexp import formulas, syntax
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import by_design, half_width, refuse_weightless, weights_of
from bayes_listexp.sandwich import VARIANCES, classical, least_squares, refuse_dependent
from bayes_listexp.survey_design import STRATUM, unit_column, units_of

REGRESSION_COLUMNS = ["part", "term", "estimate", "se", "lower", "upper"]


def linear_regression(
    study: ListExperiment,
    trait: str = "1",
    *,
    control: str | None = None,
    weighted: bool = False,
    variance: Literal["design", "HC2", "CR2", "HC3", "classical"] | None = None,
    probability: float = 0.95,
) -> pd.DataFrame:
    """Answers regressed on ``control``'s columns and, in the treatment arm, on ``trait``'s too (Imai 2011; Holbrook & Krosnick 2010).

    One row per coefficient: ``part`` ("trait": differences in the share with the trait, a linear probability model; "control":
    in the number of control items), ``term``, ``estimate``, ``se``, ``lower``, ``upper``. With "1" the trait's coefficient is the
    difference in means.

    Parameters
    ----------
    trait, control : formulas of common effects (``control`` None: the trait's). Where control lists differ, the list version is
        added to the control's.
    weighted : least squares with survey weights.
    variance : "HC2" allows residuals of unequal variance and "CR2" clusters whose answers hang together, both without bias in small
        samples if that is not so, with Satterthwaite's degrees of freedom (Pustejovsky & Tipton 2018); "design" is linearised, by
        strata, clusters or replicate weights as far as the study has them. None takes "design" where there are strata or (weighted)
        replicate weights, else "CR2" where there are clusters or persons with several answers, else "HC2". "HC3" divides residuals
        by 1 minus their leverage (MacKinnon & White 1985), which is what R's `list` prints; "classical" assumes one residual
        variance, divided by the weights. Where a respondent alone determines a coefficient, HC2 and HC3 give no error. HC2, HC3 and
        "classical" know nothing of the sampling design, and CR2 nothing of strata.

    Raises
    ------
    InputError : group-specific effects, columns that repeat one another (in an arm, too), weights that the study does not have, or
        several sensitive items.
    """
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    if study.item is not None:
        raise InputError("linear_regression: with several sensitive items make one study of each.")
    kind = variance_of(study, weighted, variance)
    texts = {"control": with_version(trait if control is None else control, study), "trait": trait}
    used = list(dict.fromkeys(name for text in texts.values() for name in syntax.variables(text, study.covariates)))
    table = study.complete(used)[0]
    table = table[(table["_answer"] >= 0) & (table["_n"] > 0)]
    refuse_weightless(table, weighted, "linear_regression")
    y, treated, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_n"))
    parts = {part: _columns(text, table[used]) for part, text in texts.items()}
    X = np.concatenate([parts["control"][1], treated[:, None] * parts["trait"][1]], axis=1)
    terms = [(part, term) for part, (names, _) in parts.items() for term in names]
    refuse_dependent("linear_regression", X[weights_of(table, weighted) > 0], terms)
    fitted = _by_kind(study, table, X, y, n, weighted, kind)
    rows = pd.DataFrame(terms, columns=["part", "term"]).assign(**_ends(*fitted, probability))
    return rows.sort_values("part", ascending=False, kind="stable", ignore_index=True)[REGRESSION_COLUMNS]


def variance_of(study: ListExperiment, weighted: bool, variance: str | None) -> str:
    """How standard errors of a least-squares fit are computed: as asked for, or what knows of the study's sampling design.

    Raises
    ------
    InputError : there is no such variance, or "CR2" without clusters.
    """
    clustered = unit_column(study.table) is not None
    if variance is None:
        by_strata = STRATUM in study.table.columns or (weighted and study.replicates is not None)
        return "design" if by_strata else "CR2" if clustered else "HC2"
    if variance not in VARIANCES:
        raise InputError(f"variance = '{variance}': say one of {', '.join(VARIANCES)}.")
    if variance == "CR2" and not clustered:
        raise InputError("variance = 'CR2': the study has no clusters. Name their column when building it, or take 'HC2'.")
    return variance


def _by_kind(
    study: ListExperiment, table: pd.DataFrame, X: np.ndarray, y: np.ndarray, n: np.ndarray, weighted: bool, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (k,), their covariance (k, k) and degrees of freedom (k,)."""
    w, k = weights_of(table, weighted), X.shape[1]
    if kind == "design":

        def estimator(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            fit = least_squares(X, y, w, n, variance="raw")
            return fit.coefficients, fit.influences

        estimate, covariance, degrees = by_design(study, table, estimator, weighted)
        return estimate, covariance, np.full(k, degrees)
    if kind == "classical":
        return *classical(X, y, w, n), np.full(k, n.sum() - k)
    unit = cluster_numbers(study, table) if kind == "CR2" else None
    fit = least_squares(X, y, w, n, unit=unit, variance=kind)
    each = np.full(k, n.sum() - k) if kind == "HC3" else np.array([fit.degrees(contrast) for contrast in np.eye(k)])
    known = np.where(fit.alone, np.nan, 1.0)
    return fit.coefficients, fit.covariance * np.outer(known, known), each


def _ends(estimate: np.ndarray, covariance: np.ndarray, degrees: np.ndarray, probability: float) -> dict[str, np.ndarray]:
    se = np.sqrt(np.diag(covariance))
    width = np.array([half_width(probability, one) for one in degrees]) * se
    return {"estimate": estimate, "se": se, "lower": estimate - width, "upper": estimate + width}


def cluster_numbers(study: ListExperiment, table: pd.DataFrame) -> np.ndarray:
    """The cluster of each row of a part of the study's table, (row,), numbered from 0 among those that there are."""
    units = units_of(study.table, study.wave)
    if units.cluster is None:
        return np.arange(len(table))
    return np.unique(units.cluster[study.table.index.get_indexer(table.index)], return_inverse=True)[1]


def with_version(text: str, study: ListExperiment) -> str:
    """The control formula with the list version where control lists differ, unless a column of the formula says which list it was."""
    if study.version is None:
        return text
    known = [name for name in syntax.variables(text, study.covariates) if syntax.has_common_variable(text, name)]
    if any(study.listed.groupby(name, observed=True)[study.version].nunique().max() == 1
           for name in known if isinstance(study.table[name].dtype, pd.CategoricalDtype)):
        return text
    return f"{text} + " + (study.version if study.version.isidentifier() else f"`{study.version}`")


def formula_columns(study: ListExperiment, text: str, by: list[str]) -> tuple[list[str], pd.DataFrame]:
    """The names of a formula's columns but for the intercept, and the rows with an answer and all that is needed, with these
    columns as ``_column_0``, ``_column_1``, ... on their own scale.
    """
    used = list(syntax.variables(text, study.covariates))
    table = study.complete(list(dict.fromkeys([*by, *used])))[0]
    table = table[(table["_answer"] >= 0) & (table["_n"] > 0)]
    names, columns = _columns(text, table[used])
    if not names or names[0] != "Intercept":
        raise InputError(f"formula '{text}': covariates that adjust a difference need the intercept. Leave out the 0.")
    return names[1:], table.assign(**{f"_column_{i}": column for i, column in enumerate(columns.T[1:])})


def _columns(text: str, frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The terms of a formula and its columns on their own scale, (row, term)."""
    if syntax.has_groups(text):
        raise InputError(f"formula '{text}': a linear regression has no group-specific effects. Use common effects.")
    rows = frame.reset_index(drop=True)
    bound = formulas.design(text, rows, np.ones(len(rows), dtype="int64"))
    slopes = bound.evaluate(rows).slopes * bound.scale + bound.center
    ones = np.ones((len(rows), int(bound.intercept)))
    return [*["Intercept"] * bound.intercept, *bound.names], np.concatenate([ones, slopes], axis=1)
