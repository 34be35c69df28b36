"""Coordinates in which a sampler moves easily: a density curves alike in all directions, and goes on beyond a standard deviation of 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

NONE = np.arange(0)


class Signs(NamedTuple):
    """Standard deviations, of which the parameters are the logarithms at ``sd``, that may be passed through 0 to negative numbers.

    Effects are a standard deviation times what the parameters ``turned`` say, those of ``sd[by]``. With both signs changed the effects
    are the same, so the density goes on smoothly beyond 0, where on the scale of the logarithm it has a long tail: a half-normal
    prior becomes a normal one. The coordinate of a standard deviation s is asinh(s / ``unit``), linear where s is smaller than that and
    logarithmic where it is larger: the unit is the size of effects that the data can tell from 0.
    """

    sd: np.ndarray = NONE
    unit: np.ndarray = np.zeros(0)
    turned: np.ndarray = NONE
    by: np.ndarray = NONE


UNSIGNED = Signs()


class Axes(NamedTuple):
    """Coordinates z of the parameters ``which``, x = centre + root z with a lower triangular root; those of the ``signs`` are
    standard deviations with a sign, and what this turns; the others are themselves.
    """

    which: np.ndarray = NONE
    centre: np.ndarray = np.zeros(0)
    root: np.ndarray = np.zeros((0, 0))
    signs: Signs = UNSIGNED

    @classmethod
    def at(cls, mode: np.ndarray, covariance: np.ndarray, which: np.ndarray, signs: Signs = UNSIGNED) -> Axes:
        """Coordinates from the inverse of minus the Hessian at a mode, both of all parameters."""
        given_others = np.linalg.inv(np.linalg.inv(covariance)[np.ix_(which, which)])
        return cls(which, mode[which], np.linalg.cholesky(given_others), signs)

    def along(self, function: Callable[[np.ndarray], tuple[float, np.ndarray]]) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
        """The log density as a function of the coordinates; a constant factor does not matter."""
        which, transposed = self.which, np.ascontiguousarray(self.root.T)
        sd, unit, turned, by = self.signs

        def evaluate(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = function(self.back(z))
            gradient = gradient.copy()
            gradient[which] = transposed @ gradient[which]
            gradient[sd] = (gradient[sd] - 1 / np.cosh(z[sd]) ** 2) / np.tanh(z[sd])
            gradient[turned] *= np.sign(z[sd[by]])
            return value - np.log(np.abs(np.tanh(z[sd]))).sum(), gradient

        return evaluate

    def back(self, z: np.ndarray) -> np.ndarray:
        """From (..., parameter) in these coordinates to the unconstrained scale."""
        sd, unit, turned, by = self.signs
        x = z.copy()
        x[..., self.which] = self.centre + z[..., self.which] @ self.root.T
        x[..., sd] = np.log(unit * np.abs(np.sinh(z[..., sd])))
        x[..., turned] *= np.sign(z[..., sd[by]])
        return x

    def of(self, x: np.ndarray) -> np.ndarray:
        """From one point of the unconstrained scale, (parameter,), to these coordinates, all signs positive."""
        z = x.copy()
        z[self.which] = np.linalg.solve(self.root, x[self.which] - self.centre)
        z[self.signs.sd] = np.arcsinh(np.exp(x[self.signs.sd]) / self.signs.unit)
        return z
