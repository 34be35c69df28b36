"""The difference in means adjusted for covariates by least squares, with the arm's interactions (Lin 2013) or without (ANCOVA)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.design_based import for_each_item, respondents
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.least_squares import cluster_numbers, formula_columns, variance_of, with_version
from bayes_listexp.linearisation import Estimator, by_design, half_width, weights_of
from bayes_listexp.sandwich import LeastSquares, classical, dependent, least_squares

ADJUSTED_COLUMNS = ["estimate", "se", "lower", "upper", "degrees", "n_control", "n_treatment", "note"]


class Arms(NamedTuple):
    """Respondents in two arms: answers ``y``, arm ``a`` (0 or 1), covariates ``Z`` (row, column), and how many each row stands for."""

    y: np.ndarray
    a: np.ndarray
    Z: np.ndarray
    n: np.ndarray


def adjusted_difference(
    study: ListExperiment,
    covariates: str,
    *,
    by: str | Sequence[str] = (),
    weighted: bool = False,
    interactions: bool = True,
    variance: Literal["design", "HC2", "CR2", "HC3", "classical"] | None = None,
    of: Literal["population", "respondents"] = "population",
    probability: float = 0.95,
) -> pd.DataFrame:
    """The difference in means with the covariates alike in both arms, by group: one row per group.

    Answers are regressed on the arm, the covariates less their means, and their products with the arm; the arm's coefficient is the
    estimate (Lin 2013, "Agnostic notes on regression adjustments to experimental data", Annals of Applied Statistics 7: 295-318). It is
    consistent whatever the answers' dependence on covariates is, and in large samples never less precise than the difference in means.

    Columns: the groups, ``estimate`` (a share of people, never cut off at 0 or 1), ``se``, ``lower``, ``upper``, ``degrees`` of freedom
    of the interval, ``n_control``, ``n_treatment``, and ``note``, which says why there is no estimate or no ``se`` where there is
    none. A covariate that is constant in a group, or follows from the others there, adjusts nothing. By the item, where there are
    several, each treatment list is compared with the one control arm; where control lists differ, the list version is a covariate.

    Parameters
    ----------
    covariates : a formula of common effects, such as "age + male".
    interactions : False leaves out the products with the arm (ANCOVA), which is what Aronow et al. (2015) do; with arms of
        unequal sizes it can be less precise than no adjustment (Freedman 2008).
    variance : as :func:`bayes_listexp.linear_regression`; None is "HC2", or what knows of the sampling design where there is one.
    of : "population": respondents are a sample, so that the covariates' means have errors too; "respondents": their means are
        taken as given, as R's `lm_lin` does, and the standard error is that of the prevalence among these very people.

    Raises
    ------
    InputError : covariates that repeat one another in an arm (by group they are named in ``note`` instead), group-specific effects,
        repeated columns, weights that the study does not have, several sensitive items that ``by`` does not keep apart.
    """
    if of not in ("population", "respondents"):
        raise InputError(f"of = '{of}': say 'population' or 'respondents'.")
    kind = variance_of(study, weighted, variance)
    by = [by] if isinstance(by, str) else list(by)
    if study.item is not None and study.item not in by:
        raise InputError(f"adjusted_difference: the study has several sensitive items. Take by = '{study.item}'.")
    by, _ = respondents(study, by, weighted)
    names, table = formula_columns(study, with_version(covariates, study), by)
    table = for_each_item(table, study.item) if study.item in by else table
    groups: Any = [((), table)] if not by else table.groupby(by, observed=True, sort=True)
    rows = []
    for key, group in groups:
        row = _adjusted(study, group, names, weighted, interactions, kind, of, probability)
        if not by and row[-1].startswith("covariates"):
            raise InputError(f"formula '{covariates}': {row[-1]}. Leave out or recode what repeats.")
        rows.append([*(key if isinstance(key, tuple) else (key,)), *row])
    return pd.DataFrame(rows, columns=[*by, *ADJUSTED_COLUMNS])


def arm_effect(arms: Arms, w: np.ndarray, *, interactions: bool, variance: str = "raw", unit: np.ndarray | None = None) -> LeastSquares:
    """Least squares on 1, the arm, centred covariates, and their products with the arm: the arm's effect is coefficient 1."""
    return least_squares(_design(arms, w, interactions), arms.y, w, arms.n, unit=unit, variance=variance)


def effect_influence(arms: Arms, w: np.ndarray, *, interactions: bool, variance: str = "raw") -> tuple[float, np.ndarray]:
    """The arm's effect in a population, and what one respondent of each row adds to it, (row,), by answer and by covariates.

    With ``variance`` "HC2" the squares add up to a variance without bias if answers have one variance; NaN if a respondent alone
    determines a coefficient.
    """
    fit = arm_effect(arms, w, interactions=interactions, variance=variance)
    if fit.alone[1]:
        return float(fit.coefficients[1]), np.full(len(arms.y), np.nan)
    return float(fit.coefficients[1]), population_influence(arms, w, fit, interactions=interactions, corrected=variance != "raw")


def population_influence(arms: Arms, w: np.ndarray, fit: LeastSquares, *, interactions: bool, corrected: bool = True) -> np.ndarray:
    """What each unit of a fit adds to the arm's effect in a population, (unit,): by answers, and by covariates, whose means are
    those of a sample; ``corrected`` by n/(n - 1).
    """
    own = np.bincount(fit.unit, weights=_of_means(arms, w, fit, interactions), minlength=len(fit.n))
    units = fit.n.sum()
    return np.asarray(fit.influences[:, 1] + (np.sqrt(units / (units - 1)) if corrected and units > 1 else 1.0) * own)


def independent(arms: Arms, names: Sequence[str], w: np.ndarray) -> tuple[Arms, list[str]]:
    """The arms without the covariates that are constant or follow from those before them, and the names of the others.

    Without these, which say nothing of their own, the arm's effect is the same.
    """
    there = (arms.n * w) > 0
    if not there.any() or not arms.Z.shape[1]:
        return arms, list(names)
    kept = ~dependent(np.column_stack([np.ones(there.sum()), arms.Z[there] - arms.Z[there].mean(axis=0)]))[1:]
    return arms._replace(Z=arms.Z[:, kept]), [name for name, keep in zip(names, kept, strict=True) if keep]


def unusable(arms: Arms, names: Sequence[str], w: np.ndarray, interactions: bool) -> str:
    """Why the arm's effect cannot be estimated, in words; "" if it can."""
    for value, name in ((0, "control"), (1, "treatment")):
        if not (arms.n * w)[arms.a == value].sum() > 0:
            return f"nobody in the {name} arm"
    X = _design(arms, w, interactions)[(arms.n * w) > 0]
    repeated = dependent(X)
    if not repeated.any():
        return ""
    k, positions = arms.Z.shape[1], [int(j) for j in np.flatnonzero(repeated)]
    everywhere = [names[j - 2] for j in positions if 2 <= j < 2 + k]
    in_an_arm = [names[j - 2 - k] for j in positions if j >= 2 + k]
    found = everywhere or in_an_arm
    named = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    return f"covariates repeat one another or the arm: {named}" if everywhere else (
        f"covariates repeat one another in one of the arms: {named}; group rare levels, or leave out the products with the arm")


def _design(arms: Arms, w: np.ndarray, interactions: bool) -> np.ndarray:
    Z = _centred(arms, w)
    return np.column_stack([np.ones(len(Z)), arms.a, Z, *([arms.a[:, None] * Z] if interactions else [])])


def _centred(arms: Arms, w: np.ndarray) -> np.ndarray:
    mass = arms.n * w
    return np.asarray(arms.Z - mass @ arms.Z / mass.sum())


def _of_means(arms: Arms, w: np.ndarray, fit: LeastSquares, interactions: bool) -> np.ndarray:
    """What the sampling of covariates adds to the arm's effect at their mean, by respondent: the effect differs between them."""
    if not interactions:
        return np.zeros(len(arms.y))
    slopes = fit.coefficients[2 + arms.Z.shape[1] :]
    return np.asarray(w * (_centred(arms, w) @ slopes) / (arms.n * w).sum())


def _adjusted(
    study: ListExperiment, table: pd.DataFrame, names: list[str], weighted: bool, interactions: bool, kind: str, of: str,
    probability: float,
) -> list[Any]:
    """The numbers of one group, in the order of the columns."""
    y, a, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_n"))
    w = weights_of(table, weighted)
    Z = table[[f"_column_{i}" for i in range(len(names))]].to_numpy(dtype=float)
    arms, names = independent(Arms(y, a, Z, n), names, w)
    sizes = [int(n[a == arm].sum()) for arm in (0, 1)]
    if note := unusable(arms, names, w, interactions):
        return [*[np.nan] * 5, *sizes, note]
    estimate, se, degrees, note = _estimate(study, table, arms, weighted, interactions, kind, of)
    width = half_width(probability, degrees) * se
    return [estimate, se, estimate - width, estimate + width, degrees, *sizes, note]


def _estimate(
    study: ListExperiment, table: pd.DataFrame, arms: Arms, weighted: bool, interactions: bool, kind: str, of: str
) -> tuple[float, float, float, str]:
    """Estimate, standard error, degrees of freedom, and why there is no standard error."""
    w, X = weights_of(table, weighted), _design(arms, weights_of(table, weighted), interactions)
    left = arms.n.sum() - X.shape[1]
    if kind == "design":
        (estimate,), covariance, degrees = by_design(study, table, _by_weights(arms, interactions, of), weighted)
        return float(estimate), float(np.sqrt(covariance[0, 0])), degrees, "" if degrees >= 1 else "fewer than two sampled units"
    if left < 1 or min(arms.n[arms.a == arm].sum() for arm in (0, 1)) < 2:
        raw = arm_effect(arms, w, interactions=interactions)
        return float(raw.coefficients[1]), np.nan, np.nan, "too few respondents for a standard error"
    if kind == "classical":
        coefficients, covariance = classical(X, arms.y, w, arms.n)
        return float(coefficients[1]), float(np.sqrt(covariance[1, 1])), left, ""
    unit = cluster_numbers(study, table) if kind == "CR2" else None
    fit = arm_effect(arms, w, interactions=interactions, variance=kind, unit=unit)
    if fit.alone[1]:
        return float(fit.coefficients[1]), np.nan, np.nan, "a respondent alone determines a coefficient: group rare levels"
    if len(fit.n) < 2 or fit.n.sum() < 2:
        return float(fit.coefficients[1]), np.nan, np.nan, "fewer than two sampled units"
    whole = population_influence(arms, w, fit, interactions=interactions)
    influence = whole if of == "population" else fit.influences[:, 1]
    degrees = fit.degrees(np.eye(X.shape[1])[1]) if kind in ("HC2", "CR2") else left
    return float(fit.coefficients[1]), float(np.sqrt(fit.n @ influence**2)), degrees, ""


def _by_weights(arms: Arms, interactions: bool, of: str) -> Estimator:
    def estimator(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        fit = arm_effect(arms, w, interactions=interactions)
        whole = population_influence(arms, w, fit, interactions=interactions, corrected=False)
        return fit.coefficients[1:2], (whole if of == "population" else fit.influences[:, 1])[:, None]

    return estimator
