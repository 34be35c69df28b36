"""Two-step nonlinear least squares (Imai 2011), whose standard errors know that the second step rests on the first.

Step one fits the mean number of control items J h(x'g) to the control arm, step two the rest of the treatment arm's answers by
the prevalence: both are logistic. Only means are modelled, so that the distribution of the control counts may be any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import block_diag
from scipy.optimize import least_squares
from scipy.special import expit, logit

from bayes_listexp import syntax
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_answers import (
    Answers,
    columns_of,
    list_answers,
    predictor_designs,
    refuse_unidentified,
    terms_of,
    to_own_scale,
)
from bayes_listexp.list_regression import (
    ListRegression,
    coefficient_table,
    distinct_modes,
    inverse_information,
    prevalences,
    rescaled,
    spread_of,
)


class Fitted(NamedTuple):
    """A least-squares problem solved: coefficients (parameter,), the sum of squares, and whether and after how many steps."""

    at: np.ndarray
    squares: float
    converged: bool
    steps: int


class Steps(NamedTuple):
    """Both steps: the control arm's fit, and the trait's from each start, the best first."""

    control: Fitted
    trait: list[Fitted]

    @property
    def at(self) -> np.ndarray:
        """All coefficients, the trait's first, (parameter,)."""
        return np.concatenate([self.trait[0].at, self.control.at])


def nonlinear_least_squares(
    study: ListExperiment,
    trait: str = "1",
    *,
    control: str | None = None,
    by: str | Sequence[str] = (),
    weighted: bool = False,
    probability: float = 0.95,
) -> ListRegression:
    """The list regression by two-step nonlinear least squares (Imai 2011), with standard errors from the stacked moments of both steps.

    It needs the means alone, and is less precise than maximum likelihood. ``trait`` and ``control`` are formulas of common effects
    (``control`` None: the trait's), to which a study's waves are added; ``by``, ``weighted`` and ``probability`` as in
    :func:`bayes_listexp.maximum_likelihood`. Respondents on a placebo list count as the control arm's. Standard errors are those of
    the sandwich, by strata, clusters and weights (their scale does not matter), by replicate weights where a weighted study has them.
    A trait so rare that the differences in means leave 0 to 1 has its minimum at infinity: ``boundary`` names it.

    Raises
    ------
    InputError : whatever does not fit the study, columns of the trait that do not differ in the treatment arm, or what needs
        :func:`bayes_listexp.fit` (group-specific effects, several lists).
    """
    by = [by] if isinstance(by, str) else list(by)
    texts = {"trait": trait, "control": trait if control is None else control}
    texts = {name: syntax.with_wave(text, study.wave, study.waves) for name, text in texts.items()}
    wave = [study.wave] if study.wave is not None else []
    used = [*(c for text in texts.values() for c in syntax.variables(text, study.covariates)), *by, *wave]
    answers = list_answers(study, list(dict.fromkeys(used)), weighted=weighted, what="nonlinear_least_squares")
    designs = predictor_designs(answers, texts)
    Z, X = (columns_of(designs[name], answers.frame) for name in ("trait", "control"))
    refuse_unidentified("nonlinear_least_squares", answers, designs["trait"])
    found = _both_steps(answers, Z, X, answers.total)
    influence, infinite = _influence(answers, Z, X, found)
    again = [_both_steps(answers, Z, X, totals, found).at for totals in answers.replicated]
    spread = spread_of(answers, influence, infinite, None, np.array(again) if again else None, found.at)
    own = block_diag(*(to_own_scale(designs[name]) for name in ("trait", "control")))
    covariance, edge = rescaled(spread.covariance, own, infinite)
    names = [(name, term) for name in ("trait", "control") for term in terms_of(designs[name])]
    at_cells = np.concatenate([Z, np.zeros_like(X)], axis=1)
    table, of_prevalence = prevalences(answers, spread, at_cells @ found.at, at_cells, by, probability)
    share = answers.by_cell(answers.total) / answers.total.sum()
    return ListRegression(
        method="nls",
        assumptions={"trait": texts["trait"], "control": texts["control"], "weighted": weighted},
        coefficients=coefficient_table(names, own @ found.at, covariance, probability, spread.degrees),
        prevalence=table,
        covariance=covariance,
        variance="sandwich",
        log_likelihood=float("nan"),
        n=int(answers.n.sum()),
        influence=influence @ own.T,
        prevalence_influence=of_prevalence,
        converged=found.control.converged and found.trait[0].converged,
        iterations=found.control.steps + found.trait[0].steps,
        boundary=tuple(" ".join(name) for name, far in zip(names, edge, strict=True) if far),
        modes=distinct_modes([(-one.squares, float(share @ expit(Z @ one.at))) for one in found.trait]),
        exclusions=answers.exclusions,
        answers=answers,
    )


def _both_steps(answers: Answers, Z: np.ndarray, X: np.ndarray, total: np.ndarray, start: Steps | None = None) -> Steps:
    """Step one, and step two from several starts, or both from where they ended before; ``total`` weighs patterns, (pattern,)."""
    J, y, treated = answers.study.J, answers.answer.astype(float), answers.arm == 1
    X_of, Z_of, root = X[answers.cell], Z[answers.cell], np.sqrt(total)
    average = np.average(y[~treated], weights=total[~treated])
    begin = _intercept(X.shape[1], average / J) if start is None else start.control.at
    control = _least(X_of[~treated], y[~treated], J, root[~treated], begin)
    rest = y[treated] - J * expit(X_of[treated] @ control.at)
    starts = [_intercept(Z.shape[1], chance) for chance in (np.average(rest, weights=total[treated]), 0.2, 0.8)]
    found = [_least(Z_of[treated], rest, 1, root[treated], begin) for begin in (starts if start is None else [start.trait[0].at])]
    return Steps(control, sorted(found, key=lambda one: one.squares))


def _intercept(size: int, chance: float) -> np.ndarray:
    out = np.zeros(size)
    out[0] = logit(np.clip(chance, 0.05, 0.95))
    return out


def _least(X: np.ndarray, y: np.ndarray, J: int, root: np.ndarray, start: np.ndarray) -> Fitted:
    """The coefficients that minimise the squares of root (y - J h(X g))."""

    def residual(g: np.ndarray) -> np.ndarray:
        return root * (y - J * expit(X @ g))

    def slope(g: np.ndarray) -> np.ndarray:
        return -(root * J * expit(X @ g) * expit(-(X @ g)))[:, None] * X

    found = least_squares(residual, start, jac=slope, xtol=1e-12, ftol=1e-14, gtol=1e-12, max_nfev=500)
    return Fitted(found.x, float(2 * found.cost), found.status > 0, int(found.nfev))


def _influence(answers: Answers, Z: np.ndarray, X: np.ndarray, found: Steps) -> tuple[np.ndarray, np.ndarray]:
    """What one respondent of weight 1 adds to the coefficients, (pattern, parameter), and which of these lie at infinity.

    The stacked moments are a (y - J h - p) p' z and (1 - a)(y - J h) J h' x, whose slope is block triangular: an error of the first
    step moves the second.
    """
    J, y, treated, total = answers.study.J, answers.answer, answers.arm == 1, answers.total
    z, x = Z[answers.cell], X[answers.cell]
    chance, common = expit(z @ found.trait[0].at), expit(x @ found.control.at)
    dp, dh = chance * (1 - chance), J * common * (1 - common)
    in_trait = (treated * dp)[:, None] * z
    in_control = (~treated * dh)[:, None] * x
    A, far = inverse_information(in_trait.T @ (total[:, None] * in_trait))
    C, far_control = inverse_information(in_control.T @ (total[:, None] * in_control))
    A, C = (np.where(np.isnan(part), 0.0, part) for part in (A, C))
    across = in_trait.T @ ((total * dh)[:, None] * x)
    of_control = (y - J * common)[:, None] * in_control @ C
    of_trait = ((y - J * common - chance)[:, None] * in_trait - of_control @ across.T) @ A
    return np.concatenate([of_trait, of_control], axis=1), np.concatenate([far, far_control])
