"""The linear list regression: least squares of the answers, whose interactions with the arm are a linear probability model."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from bayes_listexp import formulas, syntax
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import by_design, half_width, weights_of

REGRESSION_COLUMNS = ["part", "term", "estimate", "se", "lower", "upper"]


def linear_regression(
    study: ListExperiment,
    trait: str = "1",
    *,
    control: str | None = None,
    weighted: bool = False,
    variance: Literal["design", "HC3", "classical"] = "design",
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
    variance : "design" is robust (Taylor linearisation), by strata, clusters or replicate weights where the study has them, else
        with every respondent a unit (HC0 but for n/(n - 1)); "HC3" divides residuals by 1 minus their leverage (MacKinnon & White
        1985), which is what R's `list` prints; "classical" assumes one residual variance, divided by the weights. The last two
        know nothing of strata and clusters.

    Raises
    ------
    InputError : group-specific effects, repeated columns, weights that the study does not have, or several sensitive items.
    """
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    if study.item is not None:
        raise InputError("linear_regression: with several sensitive items make one study of each.")
    if variance not in ("design", "HC3", "classical"):
        raise InputError(f"variance = '{variance}': say 'design', 'HC3' or 'classical'.")
    texts = {"control": _with_version(trait if control is None else control, study), "trait": trait}
    used = list(dict.fromkeys(name for text in texts.values() for name in syntax.variables(text, study.covariates)))
    table = study.complete(used)[0]
    table = table[(table["_answer"] >= 0) & (table["_n"] > 0)]
    y, treated, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_n"))
    parts = {part: _columns(text, table[used]) for part, text in texts.items()}
    X = np.concatenate([parts["control"][1], treated[:, None] * parts["trait"][1]], axis=1)

    def estimator(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bread = np.linalg.inv(X.T @ ((n * w)[:, None] * X))
        estimate = bread @ (X.T @ (n * w * y))
        return estimate, (w * (y - X @ estimate))[:, None] * X @ bread

    estimate, covariance, degrees = by_design(study, table, estimator, weighted)
    if variance != "design":
        covariance, degrees = _without_design(X, y - X @ estimate, n, weights_of(table, weighted), variance), n.sum() - X.shape[1]
    se = np.sqrt(np.diag(covariance))
    width = half_width(probability, degrees) * se
    rows = pd.DataFrame({
        "part": [part for part, (terms, _) in parts.items() for _ in terms],
        "term": [term for terms, _ in parts.values() for term in terms],
        "estimate": estimate, "se": se, "lower": estimate - width, "upper": estimate + width,
    })
    return rows.sort_values("part", ascending=False, kind="stable", ignore_index=True)[REGRESSION_COLUMNS]


def _with_version(text: str, study: ListExperiment) -> str:
    """The control formula with the list version where control lists differ, unless a column of the formula says which list it was."""
    if study.version is None:
        return text
    known = [name for name in syntax.variables(text, study.covariates) if syntax.has_common_variable(text, name)]
    if any(study.listed.groupby(name, observed=True)[study.version].nunique().max() == 1
           for name in known if isinstance(study.table[name].dtype, pd.CategoricalDtype)):
        return text
    return f"{text} + " + (study.version if study.version.isidentifier() else f"`{study.version}`")


def _without_design(X: np.ndarray, residual: np.ndarray, n: np.ndarray, w: np.ndarray, variance: str) -> np.ndarray:
    """The classical or the HC3 covariance of weighted least squares."""
    bread = np.linalg.inv(X.T @ ((n * w)[:, None] * X))
    if variance == "classical":
        return np.asarray((n * w * residual**2).sum() / (n.sum() - X.shape[1]) * bread)
    leverage = w * np.einsum("ij,jk,ik->i", X, bread, X)
    influence = (w * residual / (1 - leverage))[:, None] * X @ bread
    return np.asarray(influence.T @ (n[:, None] * influence))


def _columns(text: str, frame: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """The terms of a formula and its columns on their own scale, (row, term)."""
    if syntax.has_groups(text):
        raise InputError(f"formula '{text}': a linear regression has no group-specific effects. Use common effects.")
    rows = frame.reset_index(drop=True)
    bound = formulas.design(text, rows, np.ones(len(rows), dtype="int64"))
    slopes = bound.evaluate(rows).slopes * bound.scale + bound.center
    ones = np.ones((len(rows), int(bound.intercept)))
    return [*["Intercept"] * bound.intercept, *bound.names], np.concatenate([ones, slopes], axis=1)
