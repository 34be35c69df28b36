"""A double list without a model: two lists on the same people, each a difference in means, and their average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.design_based import mean_difference, respondents
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import by_design, half_width, is_designed, weights_of
from bayes_listexp.versions import refuse_mixed

DOUBLE_COLUMNS = ["of", "estimate", "se", "lower", "upper", "weight", "n", "z", "p"]


def double_list(study: ListExperiment, *, second: str = "second", by: str | Sequence[str] = (), weighted: bool = False,
                probability: float = 0.95) -> pd.DataFrame:
    """A double list without a model (Droitcour et al. 1991; Glynn 2013): five rows per group, named in the column ``of``.

    "list 1" and "list 2" are the differences in means; "mean" is their mean, and "optimal" their average with the weights of
    least variance; "difference" is list 1 minus list 2, which is 0 if the two agree on the prevalence. All take into account that
    the same people answered both lists. Columns: the groups, ``of``, ``estimate``, ``se``, ``lower``, ``upper`` (normal
    interval), ``weight`` (of list 1), ``n`` (respondents with an answer to list 1, list 2, or either), and for the difference
    ``z`` and its two-sided ``p``. Each list uses all its answers; where everybody answered both and has the item on one list,
    the variance of the mean is (v_A/n_A + v_B/n_B) / 4 of the differences y1 - y2 of the two groups. Weighted, and by the design,
    as :func:`difference_in_means`.

    Raises
    ------
    InputError : no second list is called ``second``; otherwise as :func:`difference_in_means`.
    """
    if f"_{second}_arm" not in study.table.columns:
        names = ", ".join(instrument.name for instrument in study.instruments) or "none"
        raise InputError(f"the study has no second list '{second}'; its instruments are: {names}. Name a SecondList in `instruments`.")
    by, table = respondents(study, by, weighted)
    refuse_mixed(study, by, "double_list")
    groups = [((), table)] if not by else table.groupby(by, observed=True, sort=True)
    return pd.concat([
        _double(study, rows, second, weighted, probability).assign(**dict(zip(by, key, strict=True)))[[*by, *DOUBLE_COLUMNS]]
        for key, rows in groups
    ], ignore_index=True)


def best_weight(variance: np.ndarray) -> float:
    """The weight of the first of two estimates, of covariance (2, 2), in their average of least variance."""
    free = variance[0, 0] + variance[1, 1] - 2 * variance[0, 1]
    return 0.5 if free <= 0 else float((variance[1, 1] - variance[0, 1]) / free)  # two without any variance weigh the same


def _double(study: ListExperiment, table: pd.DataFrame, second: str, weighted: bool, probability: float) -> pd.DataFrame:
    n = table["_n"].to_numpy(dtype=float)
    lists = [(table["_answer"].where(table["_answer"] >= 0), table["_treated"].astype(float)),
             (table[f"_{second}"], table[f"_{second}_arm"])]
    answered = [answers.notna().to_numpy() for answers, _ in lists]
    designed = is_designed(study, weighted)

    def both(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each = [mean_difference(y.to_numpy(dtype=float), a.to_numpy(), w, n, corrected=not designed) for y, a in lists]
        return np.array([estimate for estimate, _ in each]), np.stack([influence for _, influence in each], axis=1)

    estimates, influences = both(weights_of(table, weighted))
    variance, degrees = influences.T @ (n[:, None] * influences), np.inf
    if designed:
        estimates, variance, degrees = by_design(study, table, both, weighted)
    best = best_weight(variance)
    weights = np.array([[1, 0], [0, 1], [0.5, 0.5], [best, 1 - best], [1, -1]])
    estimate, se = weights @ estimates, np.sqrt(np.einsum("ki,ij,kj->k", weights, variance, weights))
    width = half_width(probability, degrees)
    z = np.where(np.arange(5) == 4, estimate / np.where(se > 0, se, np.nan), np.nan)
    who = [answered[0], answered[1], *[answered[0] | answered[1]] * 3]
    return pd.DataFrame({
        "of": ["list 1", "list 2", "mean", "optimal", "difference"], "estimate": estimate, "se": se,
        "lower": estimate - width * se, "upper": estimate + width * se, "weight": weights[:, 0],
        "n": [int(n[rows].sum()) for rows in who], "z": z, "p": 2 * norm.sf(np.abs(z)),
    })
