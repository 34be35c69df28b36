"""The choice of control items from a pilot: little variance of their number against privacy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice
from math import comb

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.item_scenario import item_answers

MOST = 200_000
BLOCK = 2000


def frontier(
    pilot: pd.DataFrame,
    *,
    J: int | Sequence[int],
    items: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    floor: float = 1.0,
    ceiling: float = 1.0,
) -> pd.DataFrame:
    """Every choice of J control items from a pilot in which they were asked one by one: one row per choice, best first.

    A small variance of the count makes the list precise, and comes from items that are rare or common, or negatively
    correlated (Glynn 2013); people to whom all or none of the items apply cannot hide. Columns: ``items`` (their names),
    ``J``, ``n`` (respondents who answered all of them), ``variance`` and ``variance_se`` (of the count, and its standard error
    in the pilot), ``ratio`` (to a binomial's with the same mean), ``floor`` and ``ceiling`` (P(count = 0), P(count = J)),
    ``exposed`` (their sum), ``correlation`` (mean over pairs), ``allowed`` (floor and ceiling are at most the caps), ``frontier``
    (allowed, and no other allowed choice has both a smaller variance and fewer people exposed). Sorted by allowed, then by variance.

    The least of many variances in one pilot is partly luck: judge by ``variance_se``, and prefer what also makes sense.

    Parameters
    ----------
    items : candidates; None is every column.
    keep : items that must be among those chosen.
    floor, ceiling : caps on the two shares.

    Raises
    ------
    InputError : an unknown item, an answer other than 0 and 1, J beyond the number of candidates, too many choices, or nobody
        who answered all items of a choice.
    """
    names = list(items) if items is not None else [str(name) for name in pilot.columns]
    sizes = [J] if isinstance(J, int) else list(J)
    answers = item_answers(pilot.rename(columns=str), names)
    if missing := [name for name in keep if name not in names]:
        raise InputError(f"keep: '{missing[0]}' is not among the candidates: {', '.join(names)}.")
    free = [i for i, name in enumerate(names) if name not in keep]
    fixed = [names.index(name) for name in keep]
    number = 0
    for size in sizes:
        if not max(1, len(fixed)) <= size <= len(names):
            raise InputError(f"J = {size}: there are {len(names)} candidates, of which {len(fixed)} must be kept.")
        number += comb(len(free), size - len(fixed))
    if number > MOST:
        raise InputError(f"{number:,} choices of items are more than {MOST:,}. Name fewer candidates in `items`, or some in `keep`.")
    parts = []
    for size in sizes:
        choices = combinations(free, size - len(fixed))
        while block := [sorted((*fixed, *choice)) for choice in islice(choices, BLOCK)]:
            parts.append(_measured(answers, np.array(block), names))
    out = pd.concat(parts, ignore_index=True)
    out["allowed"] = (out["floor"] <= floor) & (out["ceiling"] <= ceiling)
    out["frontier"] = out["allowed"] & _undominated(out.where(out["allowed"]))
    return out.sort_values(["allowed", "variance", "exposed"], ascending=[False, True, True], ignore_index=True)


def _measured(answers: np.ndarray, choices: np.ndarray, names: list[str]) -> pd.DataFrame:
    """The columns of :func:`frontier` that one choice has by itself; ``choices`` (choice, item)."""
    J = choices.shape[1]
    counts = answers[:, choices].sum(axis=2)  # (respondent, choice), NaN where an item was left out
    there = ~np.isnan(counts)
    n = there.sum(axis=0)
    if n.min() < 2:
        raise InputError(f"pilot: fewer than 2 respondents answered all of {', '.join(names[i] for i in choices[int(n.argmin())])}.")
    mean = np.nansum(counts, axis=0) / n
    away = np.where(there, counts - mean, 0.0)
    variance = (away**2).sum(axis=0) / (n - 1)
    fourth = (away**4).sum(axis=0) / n
    own = np.stack([_item_variance(answers[:, i], there) for i in choices.T], axis=1)  # (choice, item)
    binomial = mean * (1 - mean / J)
    low, high = ((counts == end).sum(axis=0) / n for end in (0, J))
    pairs = np.sqrt(own).sum(axis=1) ** 2 - own.sum(axis=1)
    return pd.DataFrame({
        "items": [", ".join(names[i] for i in choice) for choice in choices], "J": J, "n": n, "variance": variance,
        "variance_se": np.sqrt(np.maximum(fourth - variance**2 * (n - 3) / (n - 1), 0) / n),
        "ratio": np.divide(variance, binomial, out=np.full(len(n), np.nan), where=binomial > 0),
        "floor": low, "ceiling": high, "exposed": low + high,
        "correlation": np.divide(variance - own.sum(axis=1), pairs, out=np.full(len(n), np.nan), where=pairs > 1e-12),
    })  # fmt: skip


def _item_variance(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Variance of one item for each choice (choice,), among those who answered all of the choice; ``values`` (respondent, choice)."""
    n = there.sum(axis=0)
    mean = np.where(there, values, 0.0).sum(axis=0) / n
    return mean * (1 - mean) * n / (n - 1)


def _undominated(table: pd.DataFrame) -> np.ndarray:
    """Rows of which no other has less variance and fewer exposed (or as little of one and less of the other)."""
    variance, exposed = table["variance"].to_numpy(dtype=float), table["exposed"].to_numpy(dtype=float)
    order = np.lexsort((exposed, variance))
    out = np.zeros(len(order), dtype=bool)
    least = np.inf
    for i in order:
        if np.isfinite(variance[i]) and exposed[i] < least - 1e-12:
            out[i], least = True, exposed[i]
    return out
