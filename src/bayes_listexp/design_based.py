"""The difference in means, by group and between waves: what a list experiment says without a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import Estimator, by_design, half_width, interval, is_designed, weights_of

DIM_COLUMNS = ["estimate", "se", "lower", "upper", "n_control", "n_treatment"]
RESULTS = frozenset({*DIM_COLUMNS, "z", "N", "n", "p", "note", "degrees", "method", "estimator", "share", "left_out", "share_left_out"})
"""Names of columns of results, which no column to group by can have."""
CHANGE_COLUMNS = ["estimate", "se", "lower", "upper", "z"]


def difference_in_means(study: ListExperiment, *, by: str | Sequence[str] = (), weighted: bool = False,
                        probability: float = 0.95) -> pd.DataFrame:
    """The difference in mean answers, treatment minus control, by group: one row per group.

    Columns: the groups, ``estimate``, ``se``, ``lower``, ``upper`` (normal interval), ``n_control``, ``n_treatment``.
    The estimate is a share of people (0 to 1) if the assumptions hold; it is never cut off at 0 or 1. Unweighted, the
    variance is v1/n1 + v0/n0 with unbiased variances; weighted (Hajek), it is the linearised variance of each weighted
    mean with the n/(n - 1) correction. Where the study has strata, clusters or (weighted) replicate weights, the variance is that
    of the sampling design, of whose units those outside a group count too, and the interval is Student's with as many degrees of
    freedom as the group has units less strata (Binder 1983; Wolter 2007). A group without answers in an arm has NaN, with a single
    one no ``se``. A missing level is left out or a group of its own, as the study's ``missing`` says. By the item, where there are
    several, each treatment list is compared with the one control arm.

    Where respondents were shown different control lists, answers are compared within each list version, and the estimate is the
    mean of the versions' differences, each with its share of the group's respondents (of their weights, if weighted), which is taken
    as given; name the version in ``by`` to see them apart. A version that lacks an arm in a group is left out there.

    A group of fewer respondents than the study's ``smallest_group`` has NaN everywhere.

    Raises
    ------
    InputError : an unknown or repeated column, or weights asked for and none given.
    """
    by, table = respondents(study, by, weighted)
    table = table[table["_answer"] >= 0]
    table = for_each_item(table, study.item) if study.item in by else table
    groups = [((), table)] if not by else table.groupby(by, observed=True, sort=True)
    one = _one_by_design if is_designed(study, weighted) else _one
    rows = [[*(key if isinstance(key, tuple) else (key,)), *one(study, comparable(study, group), weighted, probability)]
            for key, group in groups]
    return _withheld(study, pd.DataFrame(rows, columns=[*by, *DIM_COLUMNS]), by)


def change_in_means(study: ListExperiment, first: str, second: str, *, by: str | Sequence[str] = (),
                    weighted: bool = False, probability: float = 0.95) -> pd.DataFrame:
    """The difference in means of wave ``second`` minus that of wave ``first``, by group.

    Waves are independent samples, unless clusters have respondents in both, which are then taken for the same clusters, or
    replicate weights say otherwise. Columns as :func:`difference_in_means`, without the arm sizes, and ``z`` = estimate / se.

    Raises
    ------
    InputError : the study has no waves, or not these.
    """
    by = [by] if isinstance(by, str) else list(by)
    wave = check_waves(study, first, second)
    if is_designed(study, weighted):
        return _change_by_design(study, (first, second), by, weighted, probability)
    table = difference_in_means(study, by=[wave, *by], weighted=weighted, probability=probability)
    waves = [table[table[wave] == w].drop(columns=wave) for w in (first, second)]
    parts = [wave.set_index(by) if by else wave.reset_index(drop=True) for wave in waves]
    estimate = parts[1]["estimate"] - parts[0]["estimate"]
    se = np.sqrt(parts[1]["se"] ** 2 + parts[0]["se"] ** 2)
    width = half_width(probability)
    out = pd.DataFrame({"estimate": estimate, "se": se, "lower": estimate - width * se, "upper": estimate + width * se,
                        "z": estimate / se})
    return out.reset_index() if by else out.reset_index(drop=True)


def check_waves(study: ListExperiment, first: str, second: str) -> str:
    """The wave column, if the study has both waves."""
    missing = [w for w in (first, second) if w not in study.waves]
    if study.wave is None or missing:
        raise InputError(f"change: there is no wave '{(missing or [first])[0]}'; the waves are: {', '.join(study.waves) or 'none'}.")
    return study.wave


def respondents(study: ListExperiment, by: str | Sequence[str], weighted: bool) -> tuple[list[str], pd.DataFrame]:
    """The grouping columns as a list, and the respondents that have a level in each."""
    by = [by] if isinstance(by, str) else list(by)
    twice = [name for name in by if by.count(name) > 1]
    if twice:
        raise InputError(f"by: column '{twice[0]}' is named twice.")
    taken = [name for name in by if name in RESULTS]
    if taken:
        raise InputError(f"by: column '{taken[0]}' has the name of a column of the result. Rename it in the data.")
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    return by, study.complete(by)[0]


def mean_difference(
    y: np.ndarray, arm: np.ndarray, w: np.ndarray, n: np.ndarray, *, corrected: bool
) -> tuple[float, np.ndarray]:
    """A difference in means and what one respondent of each row adds to it; ``corrected`` by n/(n - 1) in each arm, the squares
    add up to its variance.
    """
    estimate, influence = 0.0, np.zeros(len(y))
    for sign, value in ((-1.0, 0.0), (1.0, 1.0)):
        rows = (arm == value) & ~np.isnan(y)
        size, total = n[rows].sum(), (n * w)[rows].sum()
        mean = (n * w * y)[rows].sum() / total if total > 0 else np.nan
        estimate += sign * mean
        correction = (np.sqrt(size / (size - 1)) if size > 1 else np.nan) if corrected else 1.0
        influence[rows] = sign * w[rows] * (y[rows] - mean) / total * correction
    return estimate, influence


def for_each_item(table: pd.DataFrame, item: str) -> pd.DataFrame:
    """The rows once more for each item that they can be compared with: those of the control arm for every item."""
    control = table[~table["_treated"]]
    items = table[item].cat.categories
    copies = [control.assign(**{item: pd.Categorical([level] * len(control), categories=items)}) for level in items]
    return pd.concat([table[table["_treated"]], *copies])


def _withheld(study: ListExperiment, found: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The rows without the numbers of groups that are smaller than the study's ``smallest_group``."""
    n = found["n_control"] + found["n_treatment"]
    small = (n > 0) & (n < study.smallest_group)
    return found.assign(**{name: found[name].mask(small) for name in DIM_COLUMNS}) if by and small.any() else found


def _one_by_design(study: ListExperiment, table: pd.DataFrame, weighted: bool, probability: float) -> list[float]:
    (estimate,), variance, degrees = by_design(study, table, _list_difference(study, table), weighted)
    sizes = [int(table.loc[table["_treated"] == arm, "_n"].sum()) for arm in (False, True)]
    return [*interval(estimate, variance[0, 0], degrees, probability), *sizes]


def _list_difference(study: ListExperiment, table: pd.DataFrame) -> Estimator:
    """The difference in means of the rows, within lists."""
    y, arm, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_n"))
    lists = _same_list(study, table)

    def estimator(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        estimate, influence = 0.0, np.zeros(len(y))
        for rows in lists:
            share = (n * w)[rows].sum() / (n * w).sum() if len(lists) > 1 else 1.0
            difference, own = mean_difference(y[rows], arm[rows], w[rows], n[rows], corrected=False)
            estimate, influence[rows] = estimate + share * difference, share * own
        return np.array([estimate]), influence[:, None]

    return estimator


def _change_by_design(
    study: ListExperiment, waves: tuple[str, str], by: list[str], weighted: bool, probability: float
) -> pd.DataFrame:
    """The change of the differences in means, with the covariance of waves that share clusters."""
    wave = str(study.wave)
    table = respondents(study, [wave, *by], weighted)[1]
    table = table[(table["_answer"] >= 0) & table[wave].isin(waves)]
    table = for_each_item(table, study.item) if study.item in by else table
    rows = []
    for key, rows_of_group in [((), table)] if not by else table.groupby(by, observed=True, sort=True):
        group = comparable(study, rows_of_group, wave)
        (estimate,), variance, degrees = by_design(study, group, _wave_difference(study, group, wave, waves), weighted)
        ends = interval(estimate, variance[0, 0], degrees, probability)
        fewest = rows_of_group.groupby(wave, observed=True)["_n"].sum().min()
        if by and fewest < study.smallest_group:
            ends = [np.nan] * len(ends)
        rows.append([*(key if isinstance(key, tuple) else (key,)), *ends, ends[0] / ends[1] if ends[1] else np.nan])
    return pd.DataFrame(rows, columns=[*by, *CHANGE_COLUMNS])


def _wave_difference(study: ListExperiment, table: pd.DataFrame, wave: str, waves: tuple[str, str]) -> Estimator:
    """The difference in means of the second wave minus that of the first."""
    parts = [(table[wave] == label).to_numpy() for label in waves]
    differences = [_list_difference(study, table[part]) for part in parts]

    def estimator(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (then, before), (now, after) = (difference(w[part]) for difference, part in zip(differences, parts, strict=True))
        influence = np.zeros((len(w), 1))
        influence[parts[0]], influence[parts[1]] = -before, after
        return now - then, influence

    return estimator


def _same_list(study: ListExperiment, table: pd.DataFrame) -> list[np.ndarray]:
    """Which rows were shown the same list, (row,) each."""
    if study.version is None:
        return [np.ones(len(table), dtype=bool)]
    return [rows for label in study.lists if (rows := (table[study.version] == label).to_numpy()).any()]


def comparable(study: ListExperiment, table: pd.DataFrame, wave: str | None = None) -> pd.DataFrame:
    """The rows of the lists that somebody in each arm (of each wave) has answered; all rows if there are none or one list."""
    if study.version is None:
        return table
    keys = [study.version] if wave in (None, study.version) else [study.version, wave]
    someone = table[table["_n"] > 0]
    both = someone.groupby(keys, observed=True)["_treated"].transform("nunique") > 1
    return someone[both] if both.any() else table


def _one(study: ListExperiment, table: pd.DataFrame, weighted: bool, probability: float) -> list[float]:
    lists = [table[rows] for rows in _same_list(study, table)]
    each = [_within_list(rows, weighted) for rows in lists] or [_within_list(table, weighted)]
    mass = np.array([(rows["_n"] * weights_of(rows, weighted)).sum() for rows in lists] or [1.0])
    share = mass / mass.sum() if len(each) > 1 else np.ones(1)
    estimate = float(sum(s * one[0] for s, one in zip(share, each, strict=True)))
    se = float(np.sqrt(sum(s**2 * one[1] for s, one in zip(share, each, strict=True))))
    width = half_width(probability)
    return [estimate, se, estimate - width * se, estimate + width * se, *(sum(one[2][arm] for one in each) for arm in (0, 1))]


def _within_list(table: pd.DataFrame, weighted: bool) -> tuple[float, float, list[int]]:
    """The difference in means of respondents who were shown the same list, its variance, and the sizes of the arms."""
    means, variances, sizes = [], [], []
    for arm in (False, True):
        rows = table[table["_treated"] == arm]
        n = rows["_n"].to_numpy(dtype=float)
        y = rows["_answer"].to_numpy(dtype=float)
        mean, variance = _mean(y, weights_of(rows, weighted), n)
        means.append(mean)
        variances.append(variance)
        sizes.append(int(n.sum()))
    return means[1] - means[0], variances[0] + variances[1], sizes


def _mean(y: np.ndarray, w: np.ndarray, n: np.ndarray) -> tuple[float, float]:
    """Weighted mean of answers with ``n`` respondents a row of weight ``w`` each, and its variance."""
    size, total = n.sum(), (n * w).sum()
    if size < 2 or total <= 0:
        return (float("nan"), float("nan")) if total <= 0 else (float((n * w * y).sum() / total), float("nan"))
    mean = (n * w * y).sum() / total
    return float(mean), float(size / (size - 1) * (n * (w * (y - mean)) ** 2).sum() / total**2)
