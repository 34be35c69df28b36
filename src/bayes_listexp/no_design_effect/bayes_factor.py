"""How much better the answers go with no design effect than with any answers whatever: a Bayes factor, computed exactly."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pandas as pd
from scipy.special import gammaln, logsumexp

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_arms import arms_by_list

MOST_PAIRS = 2e9
"""Pairs of positions that are gone through at most: 50 nanoseconds each."""

BLOCK = 2_000_000
"""Numbers in memory at once."""


def no_design_effect_bayes_factor(study: ListExperiment, *, by: str | Sequence[str] = ()) -> pd.DataFrame:
    """Bayes factor of no design effect against no restriction, of each list version, sensitive item and group: one row each.

    The shares of answers of each arm are uniform over all shares, independently (Dirichlet with ones). The factor is
    P(no type of people has a negative share | answers) / P(the same) before the answers (Klugkist & Hoijtink 2007, "The Bayes factor
    for inequality and about equality constrained models", Computational Statistics & Data Analysis 51: 6367-6379). Above 1 the
    answers speak for no design effect, at most as much as 1 / ``prior``; below 1 against it.

    Columns: whose answers (list version, item, ``by``), ``n_control``, ``n_treatment``, ``prior`` and ``posterior`` (probabilities that no
    share is negative), ``bayes_factor`` and ``words``. Exact, without draws. Respondents count alike, without weights.

    Raises
    ------
    InputError : an unknown or repeated column.
    """
    rows = []
    for arms in arms_by_list(study, by):
        log_prior, log_posterior = log_prior_of_order(arms.J), log_posterior_of_order(arms.control, arms.treatment)
        factor = float(np.exp(log_posterior - log_prior))
        rows.append({**arms.of, "n_control": int(arms.control.sum()), "n_treatment": int(arms.treatment.sum()), "prior": np.exp(log_prior),
                     "posterior": float(np.exp(log_posterior)), "bayes_factor": factor, "words": in_words(factor)})
    return pd.DataFrame(rows)


def in_words(factor: float) -> str:
    """What a Bayes factor says, in the words of Kass & Raftery (1995)."""
    strength = max(factor, 1 / factor) if factor > 0 else np.inf
    words = next(word for limit, word in ((3, "hardly any evidence"), (20, "evidence"), (150, "strong evidence"),
                                          (np.inf, "very strong evidence")) if strength <= limit)
    return f"{words} {'for' if factor >= 1 else 'against'} no design effect"


def log_prior_of_order(J: int) -> float:
    """Log P(no type has a negative share) when all shares of answers are equally likely: -log of the ways to choose J of 2 J + 1.

    Cumulative shares are then the order statistics of J and J + 1 uniform numbers, and no share is negative where these alternate:
    one order out of all ways to mix them.
    """
    return -float(np.log(comb(2 * J + 1, J)))


def log_posterior_of_order(control: np.ndarray, treatment: np.ndarray) -> float:
    """Log P(no type has a negative share | counts of answers), ``control`` (J + 1,), ``treatment`` (J + 2,).

    Given the counts, the cumulative shares F0(k) and F1(k) are order statistics of two samples of uniform numbers, as many as there are
    respondents and one more for each answer but the last: F0(k) the a_k-th of the one, F1(k) the b_k-th of the other, a and b
    being cumulative counts with one added for each answer. All orders of the two samples are equally likely. F0(k) lies between
    F1(k) and F1(k + 1) where between b_k and b_(k+1) - 1 numbers of the other sample are below it, and orders are counted from one
    F0(k) to the next.
    """
    a, b = np.cumsum(control + 1)[:-1], np.cumsum(treatment + 1)[:-1]
    refuse_costly(control, treatment)
    n0, n1 = int(control.sum()) + len(control) - 1, int(treatment.sum()) + len(treatment) - 1
    below, ways, before = np.zeros(1, dtype=int), np.zeros(1), 0
    for k, position in enumerate(a):
        now = np.arange(b[k], b[k + 1])
        ways = _continued(below, ways, now, int(position) - before)
        below, before = now, int(position)
    rest = _log_choose(n0 - before + n1 - below, n0 - before)
    return float(min(logsumexp(ways + rest) - _log_choose(np.array(n0 + n1), n0), 0.0))


def refuse_costly(control: np.ndarray, treatment: np.ndarray) -> None:
    """Refuse more respondents than orders can be counted of within about a minute.

    Raises
    ------
    InputError : saying how many there are.
    """
    ends = np.asarray(treatment[1:], dtype=float) + 1
    if (ends[1:] * ends[:-1]).sum() > MOST_PAIRS:
        raise InputError(f"no_design_effect_bayes_factor: {control.sum() + treatment.sum():,} respondents are too many to count the orders "
                         "of their answers. Take no_design_effect_test, whose cost does not depend on their number.")


def _continued(below: np.ndarray, ways: np.ndarray, now: np.ndarray, step: int) -> np.ndarray:
    """Log number of orders with ``now`` (end,) numbers of the other sample below the next of ours, which is ``step`` further on."""
    out = np.full(len(now), -np.inf)
    size = max(1, BLOCK // len(below))
    for start in range(0, len(now), size):
        more = now[start : start + size, None] - below
        log_ways = np.where(more >= 0, _log_choose(step - 1 + np.maximum(more, 0), step - 1), -np.inf)
        out[start : start + size] = logsumexp(log_ways + ways, axis=1)
    return out


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
