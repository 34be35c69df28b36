"""What a list regression found, whatever the estimator: tidy tables, covariance, and what each observation adds to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from bayes_listexp.errors import InputError
from bayes_listexp.linearisation import half_width
from bayes_listexp.list_answers import Answers
from bayes_listexp.newton import scale_of

COEFFICIENT_COLUMNS = ["part", "term", "estimate", "se", "lower", "upper"]
PREVALENCE_COLUMNS = ["estimate", "se", "lower", "upper", "n"]
INFINITE = 100.0
"""A standard deviation above this, on the scale of logits and scaled slopes, means a maximum at infinity (as in the models)."""
SAME = 1e-4
"""Maxima whose log densities differ by less are one."""
EDGE = 12.0
"""A logit beyond this is a probability of 0 or 1: the maximum lies at the boundary."""


@dataclass(frozen=True)
class ListRegression:
    """A list regression: the coefficients of the logit prevalence and of the control counts, and the prevalence they imply.

    Attributes
    ----------
    method : "ml" (maximum likelihood), "map" (posterior mode) or "nls" (two-step nonlinear least squares).
    assumptions : the arguments that define the model, by name.
    coefficients : one row per coefficient: ``part`` ("trait", "control", ...), ``term``, ``estimate``, ``se``, ``lower``, ``upper``,
        on the scale of the formula's own columns.
    prevalence : one row for all respondents, and one per group: the groups' columns ("all" in the first row), ``estimate`` (0 to 1),
        ``se`` (delta method), ``lower``, ``upper`` (normal or Student's; they may leave 0 to 1), ``n``. It is that of these very
        people, unless weights, strata, clusters or variance="sandwich" say that they were sampled: their make-up then adds to ``se``.
    covariance : of the coefficients, (coefficient, coefficient).
    variance : "information" (inverse observed information) or "sandwich" (from the influence functions or replicate weights).
    log_likelihood : at the estimate, of the respondents (weighted: of their normalised weights), without multinomial
        coefficients; NaN for "nls".
    n : respondents.
    influence : (pattern, coefficient): what one respondent of weight 1 adds to each estimate; the sum over respondents is 0, and
        the sum of squares is the sandwich variance.
    prevalence_influence : the same for the overall prevalence, (pattern,), the make-up of the sample included.
    converged : whether a maximum (of least squares: a minimum) was found.
    iterations : of the search that found it.
    boundary : coefficients that lie at infinity (a probability of 0 or 1): their s.e. is NaN, that of the others holds them fixed.
    modes : the distinct maxima found from several starts, highest first: ``log_density``, ``prevalence``, ``starts``.
    exclusions : respondents left out and why, by arm.
    answers : what was estimated from, by distinct observation (:class:`bayes_listexp.list_answers.Answers`).
    """

    method: str
    assumptions: dict[str, Any]
    coefficients: pd.DataFrame
    prevalence: pd.DataFrame
    covariance: np.ndarray
    variance: str
    log_likelihood: float
    n: int
    influence: np.ndarray
    prevalence_influence: np.ndarray
    converged: bool
    iterations: int
    boundary: tuple[str, ...]
    modes: pd.DataFrame
    exclusions: pd.DataFrame
    answers: Answers = field(repr=False)

    @property
    def patterns(self) -> pd.DataFrame:
        """The distinct observations: ``cell``, ``arm``, ``answer``, ``n``, ``weight`` (sum of the normalised weights)."""
        return self.answers.patterns

    def coefficient(self, part: str, term: str = "Intercept") -> pd.Series:
        """The row of one coefficient.

        Raises
        ------
        InputError : there is none of that name.
        """
        rows = self.coefficients[(self.coefficients["part"] == part) & (self.coefficients["term"] == term)]
        if rows.empty:
            known = ", ".join(f"{p} {t}" for p, t in self.coefficients[["part", "term"]].itertuples(index=False))
            raise InputError(f"there is no coefficient '{term}' of '{part}'; there are: {known}.")
        return rows.iloc[0]


class Spread(NamedTuple):
    """How sure parameters are: their ``covariance`` (parameter, parameter), what a respondent of weight 1 adds to them, ``influence``
    (pattern, parameter), which of them are ``infinite`` (parameter,) and held fixed, the degrees of freedom, whether the people are
    ``sampled`` from those that an estimate is about, and the parameters (replicate, parameter) of each replicate weight, if any.
    """

    covariance: np.ndarray
    influence: np.ndarray
    infinite: np.ndarray
    degrees: float
    sampled: bool
    replicates: np.ndarray | None = None

    def variance_of(
        self, answers: Answers, own: np.ndarray, gradient: np.ndarray, estimate: float, design: np.ndarray, here: np.ndarray
    ) -> float:
        """The variance of a group's prevalence, whose influence (pattern,) and gradient (parameter,) are given."""
        if not self.sampled:
            return float(gradient @ self.covariance @ gradient)
        if self.replicates is None:
            return float(answers.variance(own[:, None])[0][0, 0])
        mass = np.array([np.where(here, answers.by_cell(total), 0.0) for total in answers.replicated])
        again = (mass * expit(self.replicates @ design.T)).sum(axis=1) / mass.sum(axis=1)
        return float(answers.scales @ (again - estimate) ** 2)


def spread_of(
    answers: Answers, influence: np.ndarray, infinite: np.ndarray, information: np.ndarray | None, again: np.ndarray | None,
    at: np.ndarray,
) -> Spread:
    """How sure parameters are ``at`` (parameter,): by the inverse of the information, if given, else by the parameters ``again``
    (replicate, parameter) of each replicate weight, or by the influences.
    """
    if information is not None:
        return Spread(information, influence, infinite, np.inf, sampled=False)
    if again is not None:
        covariance = (again - at).T @ (answers.scales[:, None] * (again - at))
        return Spread(covariance, influence, infinite, float(len(again) - 1), sampled=True, replicates=again)
    covariance, degrees = answers.variance(influence)
    return Spread(covariance, influence, infinite, degrees, sampled=answers.weighted or answers.designed)


def coefficient_table(
    names: Sequence[tuple[str, str]], estimate: np.ndarray, covariance: np.ndarray, probability: float, degrees: float
) -> pd.DataFrame:
    """The coefficients, called (part, term), with standard errors and intervals."""
    variance = np.diag(covariance)
    se = np.sqrt(np.where(variance >= 0, variance, np.nan))  # below 0 by rounding, or at a point that is no maximum: there is none
    width = half_width(probability, degrees) * se
    columns = ([part for part, _ in names], [term for _, term in names], estimate, se, estimate - width, estimate + width)
    return pd.DataFrame(dict(zip(COEFFICIENT_COLUMNS, columns, strict=True)))


def prevalences(
    answers: Answers, spread: Spread, logits: np.ndarray, design: np.ndarray, by: Sequence[str], probability: float
) -> tuple[pd.DataFrame, np.ndarray]:
    """The prevalence of all and of groups, and what respondents of weight 1 add to the first, (pattern,).

    ``logits`` (cell,) are the logit prevalences and ``design`` (cell, parameter) their derivatives. Of ``sampled`` people the shares of
    the cells are estimated too; otherwise the prevalence is that of the people at hand.
    """
    chance, gradient_of = expit(logits), (expit(logits) * expit(-logits))[:, None] * design
    groups: list[tuple[tuple[object, ...], np.ndarray]] = [(("all",) * len(by), np.ones(len(logits), dtype=bool))]
    if by:
        for key, rows in answers.frame.groupby(list(by), observed=True, sort=True):
            groups.append((key if isinstance(key, tuple) else (key,), np.isin(np.arange(len(logits)), rows.index)))
    table, first = [], np.zeros(0)
    for key, here in groups:
        mass = np.where(here, answers.by_cell(answers.total), 0.0) / answers.total[here[answers.cell]].sum()
        estimate, gradient = float(mass @ chance), mass @ gradient_of
        moved = chance[answers.cell] - estimate
        own = here[answers.cell] * moved / answers.total[here[answers.cell]].sum() + spread.influence @ gradient
        first = first if len(first) else own
        edge = bool((np.abs(logits[here]) > EDGE).all() or (np.abs(gradient[spread.infinite]) > 1e-6).any())
        variance = spread.variance_of(answers, own, gradient, estimate, design, here)
        se = np.nan if edge or not variance >= 0 else float(np.sqrt(variance))
        width = half_width(probability, spread.degrees) * se
        table.append([*key, estimate, se, estimate - width, estimate + width, int(answers.n[here[answers.cell]].sum())])
    return pd.DataFrame(table, columns=[*by, *PREVALENCE_COLUMNS]), first


def inverse_information(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of an information matrix, and which parameters lie at infinity, (parameter,): they are held fixed, and have NaN."""
    infinite = np.zeros(len(information), dtype=bool)
    while True:
        free = np.flatnonzero(~infinite)
        own = information[np.ix_(free, free)]
        scale = scale_of(own)
        values, vectors = np.linalg.eigh(own / np.outer(scale, scale))
        inverse = (vectors / np.maximum(values, 1e-15)) @ vectors.T / np.outer(scale, scale)
        spread = np.where(np.diag(own) > 0, np.diag(inverse), np.inf)
        if not (spread > INFINITE**2).any():
            break
        infinite[free[np.argmax(spread)]] = True
    out = np.full(information.shape, np.nan)
    out[np.ix_(free, free)] = inverse
    return out, infinite


def rescaled(covariance: np.ndarray, own: np.ndarray, infinite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A covariance on the scale of the formula's columns, by the matrix ``own``, and which coefficients there lie at infinity.

    These are all that depend on one of the ``infinite`` parameters; they have NaN.
    """
    edge = (np.abs(own) @ infinite) > 0
    out = own @ np.where(infinite[:, None] | infinite, 0.0, covariance) @ own.T
    out[edge] = out[:, edge] = np.nan
    return out, edge


def distinct_modes(found: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """The distinct among maxima given as (log density, prevalence), highest first, and from how many starts each was reached."""
    rows: list[list[float]] = []
    for value, chance in sorted(found, reverse=True):
        same = [row for row in rows if abs(row[0] - value) < SAME * max(1.0, abs(value) / 1e3) and abs(row[1] - chance) < 0.01]
        if same:
            same[0][2] += 1
        else:
            rows.append([value, chance, 1])
    return pd.DataFrame(rows, columns=["log_density", "prevalence", "starts"]).astype({"starts": int})
