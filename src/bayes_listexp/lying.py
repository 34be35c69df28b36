"""What people who hide the trait can do to the result, where a truthful answer to the treatment list would give it away.

Who has the trait and all J control items would have to answer J + 1, and may answer J instead (ceiling); who has the trait and none of
them would have to answer 1, and may answer 0 (floor). Each such lie lowers the difference in means, so that it is at most the prevalence.
The answers themselves say how many lies there can be at most (the columns of the two arms bound the shares of the types of people;
Blair & Imai 2012, "Statistical analysis of list experiments", Political Analysis 20: 47-77, on these types and these liars):

- ceiling: the share with all items and the trait is at most the share who answer J in the control arm, and those of them who did
  not lie answer J + 1. So liars are at most p0(J) - p1(J + 1) of all people;
- floor: liars answer 0 in the treatment arm. So they are at most p1(0) of all.

If at most a share f of those who would have to answer J + 1 lie, liars are also at most f / (1 - f) p1(J + 1); and if at most a share f
of those with the trait and no item do, at most f / (1 - f) [p0(0) - p1(0)]. The bounds are sharp: every prevalence between them
agrees with the distribution of the answers. Each is a difference in means of recoded answers, which gives its variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.bounds import Estimate, with_interval
from bayes_listexp.design_based import for_each_item, mean_difference, respondents
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import by_design, is_designed, weights_of
from bayes_listexp.versions import refuse_mixed

LYING_COLUMNS = ["lower", "upper", "se_lower", "se_upper", "interval_lower", "interval_upper", "ceiling_liars", "floor_liars",
                 "n_control", "n_treatment"]

type Share = float | tuple[float, float]
"""A share that is known, or the lowest and the highest that it may be (0 to 1)."""


def lying_bounds(
    study: ListExperiment,
    by: str | Sequence[str] = (),
    *,
    ceiling: Share = (0.0, 1.0),
    floor: Share = (0.0, 1.0),
    weighted: bool = False,
    probability: float = 0.95,
) -> pd.DataFrame:
    """Bounds of the prevalence if people with the trait may lie where the truth would give them away, by group: one row each.

    Columns: the groups, ``lower`` and ``upper`` (shares of people, never cut off at 0 or 1), their standard errors ``se_lower`` and
    ``se_upper``, ``interval_lower`` and ``interval_upper``, which cover the prevalence itself, wherever it lies between the bounds, with
    the given probability (Imbens & Manski 2004), the most ``ceiling_liars`` and ``floor_liars`` that the answers allow, as shares of all
    people, and the numbers of answers. With the defaults nothing is assumed of the share of liars: ``lower`` is the difference in
    means. Which of the limits on lies binds is taken as found in the sample, so that where two are nearly equal ``upper`` is somewhat
    too low. Weighted, and by strata, clusters and replicate weights as :func:`bayes_listexp.difference_in_means`; a group without answers
    in an arm has NaN.

    Parameters
    ----------
    ceiling : of those with the trait and all control items, the share who answer J: a number, or (lowest, highest). 0: nobody.
    floor : of those with the trait and no control item, the share who answer 0.

    Raises
    ------
    InputError : shares that are none, an unknown or repeated column, several sensitive items that ``by`` does not keep apart, or
        groups that were shown several list versions.
    """
    ranges = {name: share_range(name, share) for name, share in (("ceiling", ceiling), ("floor", floor))}
    by, table = respondents(study, by, weighted)
    refuse_mixed(study, by, "lying_bounds")
    if study.item is not None and study.item not in by:
        raise InputError(f"lying_bounds: the study has several sensitive items. Take by = '{study.item}'.")
    table = table[table["_answer"] >= 0]
    table = for_each_item(table, study.item) if study.item in by else table
    groups: Any = [((), table)] if not by else table.groupby(by, observed=True, sort=True)
    rows = [[*(key if isinstance(key, tuple) else (key,)), *_bounds(study, group, ranges, weighted, probability)] for key, group in groups]
    return pd.DataFrame(rows, columns=[*by, *LYING_COLUMNS])


def share_range(name: str, share: Share) -> tuple[float, float]:
    """The lowest and the highest share of liars.

    Raises
    ------
    InputError : it is neither a share below 1 nor two shares in order, the lowest below 1; ``name`` says which it is.
    """
    ends = share if isinstance(share, (tuple, list)) else (share, share)
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends)
    if len(ends) != 2 or not numbers or not 0 <= ends[0] <= ends[1] <= 1 or ends[0] == 1:
        raise InputError(f"{name} = {share!r}: give the share of liars as a number from 0 to below 1, or as (lowest, highest).")
    return float(ends[0]), float(ends[1])


def _bounds(
    study: ListExperiment, table: pd.DataFrame, ranges: Mapping[str, tuple[float, float]], weighted: bool, probability: float
) -> list[float]:
    y, arm, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_n"))
    sizes = [int(n[arm == a].sum()) for a in (0, 1)]
    w = weights_of(table, weighted)
    if min((n * w)[arm == a].sum() for a in (0, 1)) <= 0:
        return [*[np.nan] * 8, *sizes]
    J = study.lists[table[study.version].iloc[0]] if study.version is not None else study.J
    recoded, most = recoded_answers(y, arm, n * w, J, ranges)
    designed = is_designed(study, weighted)

    def both(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each = [mean_difference(answers, arm, w, n, corrected=not designed) for answers in recoded]
        return np.array([estimate for estimate, _ in each]), np.stack([influence for _, influence in each], axis=1)

    values, influences = both(w)
    variances, degrees = n @ influences**2, np.inf
    if designed:
        _, covariance, degrees = by_design(study, table, both, weighted)
        variances = np.diag(covariance)
    lower, upper = (Estimate(float(value), float(variance)) for value, variance in zip(values, variances, strict=True))
    return [*with_interval(lower, upper, probability, degrees), *most, *sizes]


def recoded_answers(
    y: np.ndarray, arm: np.ndarray, weight: np.ndarray, J: int, ranges: Mapping[str, tuple[float, float]]
) -> tuple[list[np.ndarray], list[float]]:
    """Answers (row,) whose differences in means are the lower and the upper bound, and the most liars of each side of ``ranges``."""
    ends = [[_lies(side, shares[end], y, arm, weight, J) for side, shares in ranges.items()] for end in (0, 1)]
    return [y + sum(lies for _, lies in sides) for sides in ends], [most for most, _ in ends[1]]


def _lies(side: str, share: float, y: np.ndarray, arm: np.ndarray, weight: np.ndarray, J: int) -> tuple[float, np.ndarray]:
    """The share of liars among all people if ``share`` of those who could lie do, as far as the answers allow it, and what each answer
    (row,) adds to it: their means differ between the arms by that share.
    """
    control, treatment = arm == 0, arm == 1
    if side == "ceiling":
        honest = ((y == J + 1) & treatment).astype(float)
        limit = -honest - ((y >= J) & control)
    else:
        honest = -1.0 * (y == 0)
        limit = ((y == 0) & treatment).astype(float)
    candidates = [limit] if share == 1 else [limit, share / (1 - share) * honest]
    means = [_mean(values, treatment, weight) - _mean(values, control, weight) for values in candidates]
    least = int(np.argmin(means))
    return (means[least], candidates[least]) if means[least] > 0 else (0.0, np.zeros(len(y)))


def _mean(values: np.ndarray, rows: np.ndarray, weight: np.ndarray) -> float:
    return float(np.average(values[rows], weights=weight[rows]))
