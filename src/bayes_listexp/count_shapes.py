"""Directions in which distributions of the control count differ, in numbers: shared by the models and the quick estimators."""

from __future__ import annotations

from math import comb

import numpy as np
from scipy.linalg import helmert


def log_choose(J: int) -> np.ndarray:
    """Logarithm of the binomial coefficients C(J, 0..J), shape (count,)."""
    return np.log([comb(J, k) for k in range(J + 1)])


def shape_basis(control_counts: np.ndarray) -> np.ndarray:
    """Directions in which log-pmfs differ beyond a constant and a tilt, shape (shape, count), J - 1 of them.

    They are polynomials in the count, of length 1, orthogonal to the constant (which a pmf does not have), to 0..J (which
    is the linear predictor's) and to each other under the observed shares of ``control_counts`` (count,), the respondents by
    answer in the control arm, with one more respondent at every answer. A shape of 0 is the binomial, a full set of shapes is
    any pmf at all, and the information matrix of intercept and shape is nearly diagonal, however rare an answer is.
    """
    J = len(control_counts) - 1
    weights = (control_counts + 1) / (control_counts.sum() + J + 1)
    powers = np.vander(np.linspace(-1, 1, J + 1), J + 1, increasing=True)
    directions, _ = np.linalg.qr(np.sqrt(weights)[:, None] * powers)
    directions = directions / np.sqrt(weights)[:, None]
    return (directions / np.linalg.norm(directions, axis=0) * np.sign(directions[-1])).T[2:]


def item_basis(J: int) -> np.ndarray:
    """Orthonormal directions in which J item logits differ from their mean, shape (J - 1, item)."""
    return helmert(J)
