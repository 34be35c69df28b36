"""P(all coordinates of a normal vector of mean 0 are positive): closed forms, and a recursion that is exact up to quadrature."""

from __future__ import annotations

from itertools import combinations

import numpy as np

NODES = {4: 24, 6: 16}
"""Of the quadrature by number of coordinates: errors below 1e-6 unless a variance of less than 1e-2 is left unexplained by the others."""


def orthant_probability(covariance: np.ndarray, nodes: int | None = None) -> np.ndarray:
    """P(X > 0 in every coordinate), X normal with mean 0 and positive definite ``covariance`` (..., m, m); shape (...).

    Up to three coordinates in closed form. An odd number of coordinates follows from the even ones below it by inclusion and
    exclusion, as the normal is symmetric. An even number m >= 4 is an integral along the correlations t R, 0 <= t <= 1, from
    independence (2^-m): the derivative in the correlation of two coordinates is their joint density at 0 times the orthant
    probability of the others given that both are 0 (Plackett 1954, "A reduction formula for normal multivariate integrals",
    Biometrika 41: 351-360), which has two coordinates less. ``nodes`` of
    the quadrature are :data:`NODES` by default.
    """
    m = covariance.shape[-1]
    if m < 2:
        return np.full(covariance.shape[:-2], 0.5**m)
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    r = np.clip(covariance / (sd[..., :, None] * sd[..., None, :]), -1.0, 1.0)
    if m <= 3:
        rows, columns = np.triu_indices(m, 1)
        return 0.5**m + np.arcsin(r[..., rows, columns]).sum(axis=-1) / (2 ** (m - 1) * np.pi)
    return _odd(r, nodes) if m % 2 else _even(r, nodes or NODES.get(m, 12))


def _odd(r: np.ndarray, nodes: int | None) -> np.ndarray:
    m = r.shape[-1]
    total = np.ones(r.shape[:-2])
    for size in range(1, m):
        for some in combinations(range(m), size):
            total += (-1) ** size * orthant_probability(r[..., some, :][..., :, some], nodes)
    return total / 2


def _even(r: np.ndarray, nodes: int) -> np.ndarray:
    m = r.shape[-1]
    u, weight = np.polynomial.legendre.leggauss(nodes)
    u, weight = (u + 1) / 2, weight / 2
    t, dt = 1 - u**2, 2 * u * weight  # nodes crowd where correlations are highest, at t = 1
    along = np.eye(m) + t[:, None, None] * (r[..., None, :, :] - np.eye(m))
    total = np.full(r.shape[:-2], 0.5**m)
    for i, j in combinations(range(m), 2):
        rest = [k for k in range(m) if k not in (i, j)]
        rho = along[..., i, j]
        given = _given_two(along, rest, i, j)
        density = r[..., i, j, None] / (2 * np.pi * np.sqrt(1 - rho**2))
        total += (density * orthant_probability(given, nodes) * dt).sum(axis=-1)
    return total


def _given_two(r: np.ndarray, rest: list[int], i: int, j: int) -> np.ndarray:
    """Covariance (..., rest, rest) given coordinates i and j of variance 1."""
    rho = r[..., i, j, None, None]
    a, b = r[..., rest, i], r[..., rest, j]
    half = (b - rho[..., 0] * a) / np.sqrt(1 - rho[..., 0] ** 2)
    return r[..., rest, :][..., :, rest] - a[..., :, None] * a[..., None, :] - half[..., :, None] * half[..., None, :]


def conditional(covariance: np.ndarray, some: list[int], given: list[int]) -> np.ndarray:
    """Covariance (..., some, some) of some coordinates given others."""
    block = covariance[..., some, :][..., :, some]
    if not given:
        return block
    across = covariance[..., some, :][..., :, given]
    known = covariance[..., given, :][..., :, given]
    return block - across @ np.linalg.solve(known, np.swapaxes(across, -1, -2))
