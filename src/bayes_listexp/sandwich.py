"""Least squares whose standard errors hold for unequal residuals and for clusters, in small samples too: HC2, CR2, HC3.

HC2 divides each squared residual by what is expected of it if all have one variance, and CR2 does the same for all residuals of a cluster
together, so that both are without bias in that case and robust in every other (MacKinnon & White 1985; Bell & McCaffrey 2002;
Pustejovsky & Tipton 2018, "Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects models",
Journal of Business & Economic Statistics 36: 672-683). The degrees of freedom are Satterthwaite's of these papers: those of the
chi-squared distribution with the estimated variance's mean and variance. The case of one variance is that of the respondents, whatever
their survey weights, because weights say whom somebody stands for and not how exact an answer is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayes_listexp.errors import InputError

VARIANCES = ("design", "HC2", "CR2", "HC3", "classical")
NEARLY_ZERO = 1e-9


class LeastSquares(NamedTuple):
    """A least-squares fit: ``coefficients`` (k,) and what one unit adds to each, ``influences`` (unit, k), whose squares add up to
    the variance; ``n`` (unit,) says how many units each stands for. ``alone`` (k,) are coefficients that a respondent whose own
    answer is fitted exactly has a part in, so that nothing is known of that part's error. The rest is what the degrees of freedom
    follow from.
    """

    coefficients: np.ndarray
    influences: np.ndarray
    n: np.ndarray
    alone: np.ndarray
    unit: np.ndarray
    X: np.ndarray
    w: np.ndarray
    working: np.ndarray
    bread: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of the coefficients, (k, k)."""
        return np.asarray(self.influences.T @ (self.n[:, None] * self.influences))

    def degrees(self, contrast: np.ndarray) -> float:
        """Satterthwaite's degrees of freedom of the variance of a ``contrast`` (k,) of the coefficients.

        The variance is a quadratic form in residuals that, if answers have one variance, has the matrix K of one row per unit: d on
        its diagonal plus a matrix of low rank, so that neither K nor its square is ever formed.
        """
        g, M = self.working @ contrast, self.bread
        S = self.X.T @ ((self.n[self.unit] * self.w**2)[:, None] * self.X)
        u, v = (_by_unit(self.unit, (weight * g)[:, None] * self.X, len(self.n)) for weight in (np.ones_like(g), self.w))
        d = np.bincount(self.unit, weights=g**2, minlength=len(self.n))
        Z = np.hstack([u, v])
        Q = np.block([[M @ S @ M, -M], [-M, np.zeros_like(M)]])
        own = np.einsum("ij,jk,ik->i", Z, Q, Z)
        square = Q @ (Z.T @ (self.n[:, None] * Z))
        trace = self.n @ (d + own)
        total = self.n @ (d**2 + 2 * d * own) + np.trace(square @ square)
        return float(trace**2 / total) if total > 0 else float("nan")


def least_squares(
    X: np.ndarray, y: np.ndarray, w: np.ndarray, n: np.ndarray, *, unit: np.ndarray | None = None, variance: str = "HC2"
) -> LeastSquares:
    """Weighted least squares of ``y`` (row,) on ``X`` (row, k), of full rank, with weights ``w`` of each of a row's ``n`` respondents.

    ``unit`` (row,) numbers the clusters from 0, for "CR2" (rows of one respondent each); "HC2" and "HC3" take respondents one by one.
    "raw" leaves residuals as they are, for linearised variances by the sampling design.
    """
    bread = np.linalg.inv(X.T @ ((n * w)[:, None] * X))
    coefficients = bread @ (X.T @ (n * w * y))
    residual = y - X @ coefficients
    XM = X @ bread
    leverage = w * np.einsum("ij,ij->i", XM, X)
    if variance == "CR2" and unit is not None:
        middle = bread @ (X.T @ ((n * w**2)[:, None] * X)) @ bread
        working, scores = _by_cluster(X, residual, w, unit, bread, middle)
        influences, none = _by_unit(unit, scores, int(unit.max()) + 1), np.zeros(X.shape[1], dtype=bool)
        return LeastSquares(coefficients, influences, np.ones(len(influences)), none, unit, X, w, working, bread)
    if variance == "HC2":
        expected = 1 - 2 * leverage + np.einsum("ij,ij->i", XM @ (X.T @ ((n * w**2)[:, None] * X)), XM)
        factor = 1 / np.sqrt(np.where(expected > NEARLY_ZERO, expected, np.inf))
    elif variance == "HC3":
        factor = 1 / np.where(1 - leverage > NEARLY_ZERO, 1 - leverage, np.inf)
    else:
        factor = np.ones(len(y))
    working = (factor * w)[:, None] * XM
    parts = np.abs(XM[(n * w > 0) & (factor == 0)])
    alone = (parts > NEARLY_ZERO * np.abs(XM).max(axis=0)).any(axis=0)
    return LeastSquares(coefficients, residual[:, None] * working, n, alone, np.arange(len(y)), X, w, working, bread)


def classical(X: np.ndarray, y: np.ndarray, w: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and their covariance if residuals have one variance, divided by the weights."""
    bread = np.linalg.inv(X.T @ ((n * w)[:, None] * X))
    coefficients = bread @ (X.T @ (n * w * y))
    squares = (n * w * (y - X @ coefficients) ** 2).sum()
    return coefficients, np.asarray(squares / (n.sum() - X.shape[1]) * bread)


def dependent(X: np.ndarray) -> np.ndarray:
    """Which columns (column,) follow from those before them."""
    norms = np.linalg.norm(X, axis=0)
    scaled = X / np.where(norms > 0, norms, 1)
    out, basis = np.zeros(X.shape[1], dtype=bool), np.zeros((len(X), 0))
    for j in range(X.shape[1]):
        left = scaled[:, j] - basis @ (basis.T @ scaled[:, j])
        left -= basis @ (basis.T @ left)  # twice is enough for full accuracy
        out[j] = np.linalg.norm(left) < 1e-8
        basis = basis if out[j] else np.hstack([basis, (left / np.linalg.norm(left))[:, None]])
    return out


def refuse_dependent(what: str, X: np.ndarray, terms: Sequence[tuple[str, str]]) -> None:
    """Refuse columns that follow from those before them, called (part, term); the trait's are zero in the control arm.

    Raises
    ------
    InputError : naming ``what`` was to be estimated, and the column.
    """
    repeated = np.flatnonzero(dependent(X))
    if len(repeated):
        part, term = terms[repeated[0]]
        column = "the arm" if (part, term) == ("trait", "Intercept") else f"the {part}'s column '{term}'"
        where = "in the treatment arm" if part == "trait" else "among those with an answer and a weight above 0"
        raise InputError(f"{what}: {column} follows from other columns {where} ({len(repeated)} of {X.shape[1]} columns do), so that their "
                         "coefficients cannot be told apart. Leave one out, group its levels, or shrink them to one another by "
                         "bayes_listexp.fit with a term such as (1|column).")


def _by_cluster(
    X: np.ndarray, residual: np.ndarray, w: np.ndarray, unit: np.ndarray, bread: np.ndarray, middle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a residual adds to each coefficient once those of its cluster are adjusted, (row, k), and what each row does add."""
    working, scores = np.zeros(X.shape), np.zeros(X.shape)
    order = np.argsort(unit, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(unit[order])) + 1):
        x, weight = X[rows], w[rows]
        cross = x @ bread @ (weight[:, None] * x).T
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - cross - cross.T + x @ middle @ x.T)
        roots = 1 / np.sqrt(np.where(values > NEARLY_ZERO, values, np.inf))
        adjusted = (vectors * roots) @ vectors.T
        working[rows] = adjusted @ (weight[:, None] * (x @ bread))
        scores[rows] = residual[rows, None] * working[rows]
    return working, scores


def _by_unit(unit: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Sums of rows (row, k) by unit, (unit, k)."""
    return np.stack([np.bincount(unit, weights=column, minlength=size) for column in values.T], axis=1)
