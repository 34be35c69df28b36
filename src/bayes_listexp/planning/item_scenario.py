"""Scenarios from single control items: their shares and correlations, or a pilot in which they were asked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from bayes_listexp.errors import InputError
from bayes_listexp.planning.scenario import Scenario, check_share, couple

MOST_ITEMS = 11  # with the trait 2^12 states
SWEEPS = 3000
EXACT, NEAR = 1e-10, 1e-3

Correlation = float | Sequence[Sequence[float]] | np.ndarray


def from_items(
    items: Sequence[float],
    prevalence: float,
    *,
    correlation: Correlation = 0.0,
    trait_correlation: float | Sequence[float] = 0.0,
) -> Scenario:
    """A scenario from the shares of people to whom each control item applies, and how the items go together.

    Shares and pairwise correlations do not determine which items apply together; of all distributions that have them this is
    the one closest to independence (iterative proportional fitting: Deming & Stephan 1940, Csiszár 1975). The variance of the
    count, on which the precision rests, is the same for all of them.

    Parameters
    ----------
    items : shares, 0 to 1, one for each control item.
    correlation : of every two items, one number or a matrix (item, item); pairs with an item of share 0 or 1 have none.
    trait_correlation : of the trait and each item, one number or one for each item.

    Raises
    ------
    InputError : a share outside 0 to 1, a correlation that two binary items of these shares cannot have (the message names the
        Fréchet bounds), or correlations that are possible for each pair but not for all together.
    """
    shares = np.asarray(items, dtype=float)
    if shares.ndim != 1 or not 1 <= len(shares) <= MOST_ITEMS:
        raise InputError(f"items: shares of 1 to {MOST_ITEMS} control items are needed, found {len(np.atleast_1d(shares))}.")
    for i, share in enumerate(shares, start=1):
        check_share(share, f"item {i}")
    check_share(prevalence, "prevalence")
    wanted = _correlations(len(shares), correlation, trait_correlation)
    states = _states(np.append(shares, prevalence), wanted)
    number = np.indices((2,) * len(shares)).sum(axis=0)
    types = [np.bincount(number.ravel(), states[..., trait].ravel(), len(shares) + 1) for trait in (0, 1)]
    return Scenario(np.stack(types), tuple(float(share) for share in shares))


def from_pilot(pilot: pd.DataFrame, items: Sequence[str], prevalence: float, *, correlation: float = 0.0) -> Scenario:
    """A scenario from a pilot in which the control items were asked one by one: the count is distributed as its sum there.

    Respondents who left out one of these items are not used.

    Raises
    ------
    InputError : an unknown column, an answer other than 0 and 1, nobody who answered all items, an impossible correlation.
    """
    answers = item_answers(pilot, items)
    complete = answers[~np.isnan(answers).any(axis=1)]
    if not len(complete):
        raise InputError(f"pilot: nobody answered all of {', '.join(items)}.")
    counts = np.bincount(complete.sum(axis=1).astype(int), minlength=len(items) + 1) / len(complete)
    types = couple(counts, prevalence, correlation).types
    return Scenario(types, tuple(float(share) for share in complete.mean(axis=0)))


def item_answers(pilot: pd.DataFrame, items: Sequence[str]) -> np.ndarray:
    """Answers to single items as numbers, (respondent, item), NaN where there is none.

    Raises
    ------
    InputError : an unknown or repeated column, or an answer other than 0 and 1; the message names column, row and value.
    """
    if twice := [name for name in items if list(items).count(name) > 1]:
        raise InputError(f"pilot: item '{twice[0]}' is named twice.")
    for name in items:
        if name not in pilot.columns:
            raise InputError(f"pilot: there is no column '{name}'; there are: {', '.join(map(str, pilot.columns))}.")
    columns = []
    for name in items:
        values = pd.to_numeric(pilot[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        given = pilot[name].notna().to_numpy()
        wrong = np.flatnonzero(given & ~np.isin(values, (0.0, 1.0)))
        if wrong.size:
            raise InputError(f"pilot, column '{name}', row {wrong[0] + 1}: '{pilot[name].iloc[wrong[0]]}' is not 0 or 1. Recode it.")
        columns.append(values)
    return np.stack(columns, axis=1)


def correlation_bounds(first: float, second: float) -> tuple[float, float]:
    """The least and the greatest correlation of two binary items with these shares (Fréchet 1951); 0 and 0 if one is constant."""
    scale = np.sqrt(first * (1 - first) * second * (1 - second))
    if scale == 0:
        return 0.0, 0.0
    low = max(0.0, first + second - 1) - first * second
    high = min(first, second) - first * second
    return float(low / scale), float(high / scale)


def _correlations(J: int, correlation: Correlation, trait_correlation: float | Sequence[float]) -> np.ndarray:
    """Correlations of all items and, last, the trait: (J + 1, J + 1)."""
    given = np.asarray(correlation, dtype=float)
    if given.ndim and (given.shape != (J, J) or not np.allclose(given, given.T)):
        raise InputError(f"correlation: one number, or a symmetric table of {J} rows and {J} columns is needed, found the shape "
                         f"{given.shape}.")
    trait = np.asarray(trait_correlation, dtype=float)
    if trait.ndim and trait.shape != (J,):
        raise InputError(f"trait_correlation: one number, or one for each of the {J} items is needed, found {trait.size}.")
    wanted = np.ones((J + 1, J + 1))
    wanted[:J, :J] = given
    wanted[J, :J] = wanted[:J, J] = trait
    return wanted


def _states(shares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """P(item 1, ..., item J, trait), shape (2, ..., 2)."""
    states = np.ones(())
    for share in shares:
        states = states[..., None] * np.array([1 - share, share])
    pairs = _pairs(shares, wanted)
    if all(abs(wanted[pair]) < 1e-15 for pair in pairs):
        return states
    worst = np.inf
    for _ in range(SWEEPS):
        worst = 0.0
        for (i, j), target in pairs.items():
            axes = tuple(axis for axis in range(len(shares)) if axis not in (i, j))
            margin = states.sum(axis=axes)
            worst = max(worst, float(np.abs(margin - target).max()))
            factor = np.divide(target, margin, out=np.zeros_like(target), where=margin > 0)
            states = states * np.expand_dims(factor, axes)
        if worst < EXACT:
            return states
    possible = _possible(shares, pairs)
    if possible < 1 - 1e-6 or worst > NEAR:
        raise InputError("correlation: each pair of items could have its correlation (Fréchet bounds), but no distribution of all items "
                         f"together has them all; {possible:.2f} times as strong is the most that is possible. More than two items cannot "
                         "all be strongly negatively correlated.")
    return states  # at the edge of what is possible the fit comes closer only slowly


def _pairs(shares: np.ndarray, wanted: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """The 2 × 2 table of every pair of items that vary, after a check of its bounds."""
    trait = len(shares) - 1
    name = [f"item {i + 1}" for i in range(trait)] + ["the trait"]
    pairs = {}
    for i, j in combinations(range(len(shares)), 2):
        p, q, r = shares[i], shares[j], wanted[i, j]
        scale = np.sqrt(p * (1 - p) * q * (1 - q))
        if scale == 0:
            continue
        low, high = correlation_bounds(p, q)
        if not low - 1e-9 <= r <= high + 1e-9:
            raise InputError(f"{name[i]} and {name[j]} (shares {p:g} and {q:g}): a correlation of {r:g} is impossible. Between binary "
                             f"items of these shares it lies between {low:.3f} and {high:.3f} (Fréchet bounds).")
        both = np.clip(p * q + r * scale, max(0.0, p + q - 1), min(p, q))
        pairs[i, j] = np.clip([[1 - p - q + both, q - both], [p - both, both]], 0, 1)
    return pairs


def _possible(shares: np.ndarray, pairs: dict[tuple[int, int], np.ndarray]) -> float:
    """How many times as strong, at most 1, correlations of all pairs together can be (a linear programme)."""
    states = np.indices((2,) * len(shares)).reshape(len(shares), -1)
    rows, right = [np.append(np.ones(states.shape[1]), 0.0)], [1.0]
    for i, share in enumerate(shares):
        rows.append(np.append(states[i], 0.0))
        right.append(share)
    for (i, j), target in pairs.items():
        apart = shares[i] * shares[j]
        rows.append(np.append(states[i] * states[j], apart - target[1, 1]))
        right.append(apart)
    cost = np.append(np.zeros(states.shape[1]), -1.0)
    bounds = [(0, None)] * states.shape[1] + [(0, 1)]
    found = linprog(cost, A_eq=np.array(rows), b_eq=np.array(right), bounds=bounds)
    return max(0.0, -found.fun) if found.success else 0.0
