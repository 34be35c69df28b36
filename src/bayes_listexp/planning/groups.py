"""Subgroups: what partial pooling leaves of their standard errors, and how to allot respondents to regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.errors import InputError


def pooled_groups(
    sizes: Mapping[str, float], unit: float | Sequence[float], between: float, *, mean: float | None = None, level: float = 0.05
) -> pd.DataFrame:
    """Standard errors of group estimates alone, and with partial pooling: one row per group.

    Groups' truths are normal with standard deviation ``between`` around a common mean that is estimated too; with variance v
    of a group's own estimate the weight of its own answers is w = between² / (between² + v), and the standard deviation of
    its truth given all answers sqrt(w v + (1 - w)² / sum of 1 / (between² + v)) (Lindley & Smith 1972). ``between`` is taken
    as known: with few groups it has to be estimated, and intervals are somewhat wider (docs/planning.md has by how much).
    Columns: ``group``, ``n``, ``se`` (alone), ``pooled_se``, ``weight``, ``gain`` (respondents that pooling is worth:
    (se / pooled_se)²). Where the estimate is a change or a contrast and groups' truths average ``mean``, also
    ``excludes_zero`` and ``pooled_excludes_zero``: the probabilities that a group's interval of probability 1 - level, alone and
    pooled, excludes 0, over groups that differ by ``between``.

    Parameters
    ----------
    sizes : respondents by group.
    unit : unit variance of the estimate, the same or one for each group; of a change, that of the change.
    between : standard deviation of the groups' truths, 0-1 units; infinite is no pooling.

    Raises
    ------
    InputError : a group without respondents, or a negative ``between``.
    """
    if between < 0:
        raise InputError(f"between = {between:g}: a standard deviation is not negative.")
    names, n = list(sizes), np.array(list(sizes.values()), dtype=float)
    if not len(n) or n.min() <= 0:
        raise InputError(f"sizes: every group needs respondents; {', '.join(g for g in names if sizes[g] <= 0) or 'there is no group'}.")
    v = np.broadcast_to(np.asarray(unit, dtype=float), n.shape) / n
    if np.isinf(between):
        weight, pooled = np.ones(len(n)), v
    else:
        weight = between**2 / (between**2 + v)
        pooled = weight * v + (1 - weight) ** 2 / (1 / (between**2 + v)).sum()
    out = pd.DataFrame({"group": names, "n": n, "se": np.sqrt(v), "pooled_se": np.sqrt(pooled), "weight": weight, "gain": v / pooled})
    if mean is not None and np.isfinite(between):
        z, common = norm.ppf(1 - level / 2), 1 / (1 / (between**2 + v)).sum()
        spreads = {"excludes_zero": (np.sqrt(v), between**2 + v),
                   "pooled_excludes_zero": (np.sqrt(pooled), weight * between**2 + (1 - weight**2) * common)}  # fmt: skip
        for name, (half, variance) in spreads.items():
            away = np.sqrt(variance)
            out[name] = norm.cdf((mean - z * half) / away) + norm.cdf((-mean - z * half) / away)
    return out


def allocation(
    people: Mapping[str, float],
    n: int,
    *,
    exponent: float = 1.0,
    unit: float | Mapping[str, float] = 1.0,
    minimum: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Respondents by region, and what that allocation costs the total: one row per region.

    Allotted in proportion to people^``exponent`` (Bankier 1988): 1 is proportional, 0 the same for all, between a compromise;
    ``minimum`` respondents go to the regions it names, and the others share the rest. The total is the mean of the regions'
    estimates with their shares W of the people, and its variance sum W² v / n. Columns: ``region``, ``share`` (of people), ``n``,
    ``se``, and the same in every row: ``total_se``, ``design_effect`` (variance of the total relative to a proportional
    sample of this n with the same regions), ``kish`` (n sum of w² / (sum of w)², of the weights alone).

    Raises
    ------
    InputError : no people, an unknown region in ``minimum`` or ``unit``, or minima beyond n.
    """
    names = list(people)
    N = np.array([people[name] for name in names], dtype=float)
    least = dict(minimum or {})
    unknown = [name for name in [*least, *(unit if isinstance(unit, Mapping) else ())] if name not in people]
    if unknown:
        raise InputError(f"region '{unknown[0]}' is not among the people; there are: {', '.join(names)}.")
    if not len(N) or N.min() <= 0:
        raise InputError("people: every region needs a number of people above 0.")
    own = np.array([unit[name] if isinstance(unit, Mapping) else unit for name in names], dtype=float)
    respondents = _allotted(names, N**exponent, n, least)
    W = N / N.sum()
    total = float((W**2 * own / respondents).sum())
    return pd.DataFrame({
        "region": names, "share": W, "n": respondents, "se": np.sqrt(own / respondents), "total_se": np.sqrt(total),
        "design_effect": total * n / float((W * own).sum()), "kish": n * float((W**2 / respondents).sum()),
    })  # fmt: skip


def _allotted(names: list[str], sizes: np.ndarray, n: int, least: dict[str, int]) -> np.ndarray:
    """Whole numbers that add up to n: minima first, then in proportion, those that would fall below their minimum fixed at it."""
    floor = np.array([least.get(name, 0) for name in names], dtype=float)
    if floor.sum() > n or n < len(names):
        raise InputError(f"minimum: {floor.sum():g} respondents in {len(names)} regions, and there are n = {n} in all.")
    fixed = np.zeros(len(names), dtype=bool)
    while True:
        free = ~fixed
        wanted = floor.copy()
        if free.any():
            wanted[free] = (n - floor[fixed].sum()) * sizes[free] / sizes[free].sum()
        below = free & (wanted < floor)
        if not below.any():
            break
        fixed |= below
    whole = np.floor(wanted)
    largest = np.argsort(-(wanted - whole), kind="stable")[: int(round(n - whole.sum()))]
    whole[largest] += 1
    if whole.min() < 1:
        short = names[int(whole.argmin())]
        raise InputError(f"region '{short}' would have no respondents; give it a minimum, or a smaller exponent.")
    return whole
