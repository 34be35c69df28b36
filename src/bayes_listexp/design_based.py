"""Estimators without a model: the difference in means, by group and between waves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment

DIM_COLUMNS = ["estimate", "se", "lower", "upper", "n_control", "n_treatment"]


def difference_in_means(study: ListExperiment, *, by: str | Sequence[str] = (), weighted: bool = False,
                        probability: float = 0.95) -> pd.DataFrame:
    """The difference in mean answers, treatment minus control, by group: one row per group.

    Columns: the groups, ``estimate``, ``se``, ``lower``, ``upper`` (normal interval), ``n_control``, ``n_treatment``.
    The estimate is a share of people (0 to 1) if the assumptions hold; it is never cut off at 0 or 1. Unweighted, the
    variance is v1/n1 + v0/n0 with unbiased variances; weighted (Hajek), it is the linearised variance of each weighted
    mean with the n/(n - 1) correction. A group without answers in an arm has NaN, with a single one no ``se``. A missing
    level is left out or a group of its own, as the study's ``missing`` says. By the item, where
    there are several, each treatment list is compared with the one control arm.

    Raises
    ------
    InputError : an unknown or repeated column, or weights asked for and none given.
    """
    by = [by] if isinstance(by, str) else list(by)
    twice = [name for name in by if by.count(name) > 1]
    if twice:
        raise InputError(f"by: column '{twice[0]}' is named twice.")
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    table, _ = study.complete(by)
    table = table[table["_answer"] >= 0]
    table = _control_of_every_item(table, study.item) if study.item in by else table
    groups = [((), table)] if not by else table.groupby(by, observed=True, sort=True)
    rows = [[*(key if isinstance(key, tuple) else (key,)), *_one(group, weighted, probability)] for key, group in groups]
    return pd.DataFrame(rows, columns=[*by, *DIM_COLUMNS])


def change_in_means(study: ListExperiment, first: str, second: str, *, by: str | Sequence[str] = (),
                    weighted: bool = False, probability: float = 0.95) -> pd.DataFrame:
    """The difference in means of wave ``second`` minus that of wave ``first``, by group, waves being independent samples.

    Columns as :func:`difference_in_means`, without the arm sizes, and ``z`` = estimate / se.

    Raises
    ------
    InputError : the study has no waves, or not these.
    """
    by = [by] if isinstance(by, str) else list(by)
    missing = [w for w in (first, second) if w not in study.waves]
    if study.wave is None or missing:
        raise InputError(f"change: there is no wave '{(missing or [first])[0]}'; the waves are: {', '.join(study.waves) or 'none'}.")
    table = difference_in_means(study, by=[study.wave, *by], weighted=weighted, probability=probability)
    waves = [table[table[study.wave] == w].drop(columns=study.wave) for w in (first, second)]
    parts = [wave.set_index(by) if by else wave.reset_index(drop=True) for wave in waves]
    estimate = parts[1]["estimate"] - parts[0]["estimate"]
    se = np.sqrt(parts[1]["se"] ** 2 + parts[0]["se"] ** 2)
    width = norm.ppf(0.5 + probability / 2)
    out = pd.DataFrame({"estimate": estimate, "se": se, "lower": estimate - width * se, "upper": estimate + width * se,
                        "z": estimate / se})
    return out.reset_index() if by else out.reset_index(drop=True)


def _control_of_every_item(table: pd.DataFrame, item: str) -> pd.DataFrame:
    """The rows once more for each item that they can be compared with: those of the control arm for every item."""
    control = table[~table["_treated"]]
    items = table[item].cat.categories
    copies = [control.assign(**{item: pd.Categorical([level] * len(control), categories=items)}) for level in items]
    return pd.concat([table[table["_treated"]], *copies])


def _one(table: pd.DataFrame, weighted: bool, probability: float) -> list[float]:
    means, variances, sizes = [], [], []
    for arm in (False, True):
        rows = table[table["_treated"] == arm]
        n = rows["_n"].to_numpy(dtype=float)
        y = rows["_answer"].to_numpy(dtype=float)
        w = rows["_weight"].to_numpy() / np.where(n > 0, n, 1) if weighted else np.ones(len(rows))
        mean, variance = _mean(y, w, n)
        means.append(mean)
        variances.append(variance)
        sizes.append(int(n.sum()))
    estimate, se = means[1] - means[0], float(np.sqrt(variances[0] + variances[1]))
    width = norm.ppf(0.5 + probability / 2)
    return [estimate, se, estimate - width * se, estimate + width * se, *sizes]


def _mean(y: np.ndarray, w: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Weighted mean of answers with ``n`` respondents a row of weight ``w`` each, and its variance."""
    size, total = n.sum(), (n * w).sum()
    if size < 2 or total <= 0:
        return (float("nan"), float("nan")) if total <= 0 else (float((n * w * y).sum() / total), float("nan"))
    mean = (n * w * y).sum() / total
    return float(mean), float(size / (size - 1) * (n * (w * (y - mean)) ** 2).sum() / total**2)
