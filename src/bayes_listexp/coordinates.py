"""Coordinates in which a density curves alike in all directions, so that a sampler needs neither small steps nor a long tuning."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Axes(NamedTuple):
    """Coordinates z of the parameters ``which``, x = centre + root z with a lower triangular root; the others are themselves."""

    which: np.ndarray
    centre: np.ndarray
    root: np.ndarray

    @classmethod
    def none(cls) -> Axes:
        """The unconstrained scale itself."""
        return cls(np.arange(0), np.zeros(0), np.zeros((0, 0)))

    @classmethod
    def at(cls, mode: np.ndarray, covariance: np.ndarray, which: np.ndarray) -> Axes:
        """Coordinates from the inverse of minus the Hessian at a mode, both of all parameters."""
        given_others = np.linalg.inv(np.linalg.inv(covariance)[np.ix_(which, which)])
        return cls(which, mode[which], np.linalg.cholesky(given_others))

    def along(self, function: Callable[[np.ndarray], tuple[float, np.ndarray]]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """The log density as a function of the coordinates; its constant factor does not matter."""
        which, transposed = self.which, np.ascontiguousarray(self.root.T)

        def evaluate(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = function(self.back(z))
            gradient = gradient.copy()
            gradient[which] = transposed @ gradient[which]
            return value, gradient

        return evaluate

    def back(self, z: np.ndarray) -> np.ndarray:
        """From (..., parameter) in these coordinates to the unconstrained scale."""
        x = z.copy()
        x[..., self.which] = self.centre + z[..., self.which] @ self.root.T
        return x

    def of(self, x: np.ndarray) -> np.ndarray:
        """From one point of the unconstrained scale, (parameter,), to these coordinates."""
        z = x.copy()
        z[self.which] = np.linalg.solve(self.root, x[self.which] - self.centre)
        return z
