"""List and direct question together, without a model: the combined estimate and the two placebo tests.

Aronow, Coppock, Crawford & Green (2015), "Combining list experiment and direct question estimates of sensitive behavior
prevalence", Journal of Survey Statistics and Methodology 3: 43-66. On top of the list experiment's assumptions, nobody without the
trait says yes to the direct question, and the arm does not change the direct answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.adjusted import Arms, effect_influence, independent, unusable
from bayes_listexp.design_based import mean_difference
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import NO, YES, DirectQuestion
from bayes_listexp.linearisation import by_design, half_width, interval, is_designed, weights_of
from bayes_listexp.versions import refuse_mixed

COMBINED_COLUMNS = ["estimate", "se", "lower", "upper", "direct", "direct_se", "dim", "dim_se", "n", "left_out", "note"]
PLACEBO_COLUMNS = ["test", "expected", "estimate", "se", "lower", "upper", "statistic", "p", "n"]


class Difference(NamedTuple):
    """A difference in means, the variances of what is left in the (control, treatment) arm, and the arms' sizes."""

    estimate: float
    variances: np.ndarray
    sizes: np.ndarray

    @property
    def se(self) -> float:
        """Its standard error, the arms being independent samples."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.sqrt((self.variances / self.sizes).sum()))


def combined_estimate(
    study: ListExperiment,
    *,
    instrument: str = "direct",
    by: str | Sequence[str] = (),
    covariates: Sequence[str] = (),
    weighted: bool = False,
    interactions: bool = True,
    variance: Literal["influence", "published"] = "influence",
    probability: float = 0.95,
) -> pd.DataFrame:
    """Prevalence from the list and the direct question together, by group: one row per group.

    D + (1 - D) t, D being the share who say yes to the direct question and t the difference in mean list answers among those
    who say no. Those who admit the trait need not be estimated by the list, so it is more precise than the list alone.

    Columns: the groups, ``estimate``, ``se``, ``lower``, ``upper``, ``direct`` and ``direct_se`` (share of direct yes), ``dim``
    and ``dim_se`` (difference in means of everybody who answered both, adjusted too), ``n`` (respondents who answered both),
    ``left_out`` (those of the group who refused, were not asked, did not answer the list, or lack a covariate), ``note`` (why there is
    no estimate or no ``se``). All are shares of people, 0 to 1 if the assumptions hold, never cut off.

    A group in which nobody says yes has its difference in means; one in which nobody of an arm says no has NaN.

    Parameters
    ----------
    covariates : columns that adjust both differences (categories as dummies).
    weighted : means weighted by survey weights.
    interactions : products of the covariates with the arm (Lin 2013); False: none, as in Aronow et al. (2015).
    variance : "influence": the squares of what each respondent adds to the estimate, by answer, direct answer and covariates, with
        n - 1 in each arm (HC2 with covariates). Where the study has strata, clusters or (weighted) replicate weights these sums are
        the sampling design's and the interval is Student's, as in :func:`bayes_listexp.difference_in_means`; otherwise it is
        normal. "published": [D (1 - D) (1 - t)^2 + (1 - D) (v1 / g + v0 / (1 - g))] / n with g the share of the treatment arm
        among all and v the residual variances in either arm of those who say no (Aronow et al. 2015), which differs by terms that
        vanish with n and knows nothing of weights, of the sampling design or of interactions.

    Raises
    ------
    InputError : the study has no such direct question, has several sensitive items, nobody answered both, a column is
        unknown or named twice, a group was shown several list versions, the study has no weights, or "published" is asked for with
        weights, a sampling design or interactions of covariates.
    """
    by = [by] if isinstance(by, str) else list(by)
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    if variance not in ("influence", "published"):
        raise InputError(f"variance = '{variance}': say 'influence' or 'published'.")
    if variance == "published" and (weighted or is_designed(study, weighted) or (covariates and interactions)):
        raise InputError("variance = 'published' knows no weights, strata, clusters or interactions. Leave these out, or take 'influence'.")
    table = _answered_both(study, instrument, [*by, *covariates])
    refuse_mixed(study, by, "combined_estimate")
    everybody = study.complete(by)[0]
    groups: Any = [((), everybody)] if not by else everybody.groupby(by, observed=True, sort=True)
    rows = []
    for key, group in groups:
        used = table.loc[group.index.intersection(table.index)]
        left_out = int(group["_n"].sum() - used["_n"].sum())
        if variance == "published":
            *row, note = _published(used, instrument, covariates, probability)
        else:
            *row, note = _combined(study, used, instrument, covariates, weighted, interactions, probability)
        rows.append([*(key if isinstance(key, tuple) else (key,)), *row, left_out, note])
    return pd.DataFrame(rows, columns=[*by, *COMBINED_COLUMNS])


def placebo_tests(
    study: ListExperiment, *, instrument: str = "direct", covariates: Sequence[str] = (), probability: float = 0.95
) -> pd.DataFrame:
    """The two placebo tests of Aronow et al. (2015): one row each, "I" and "II".

    I: among those who say yes to the direct question, the difference in mean list answers is 1 (everybody has the trait and
    the list counts it). II: the share of direct yes is the same in both arms, a difference of 0. Columns: ``test``,
    ``expected`` (1 and 0), ``estimate``, ``se``, ``lower``, ``upper`` (normal interval), ``statistic`` (distance from what is
    expected, in standard errors), ``p`` (two-sided, normal), ``n``. NaN where an arm has too few. ``covariates`` as in
    :func:`combined_estimate`; where control lists differ between versions the version is one of them, so that answers are compared
    within lists.

    Raises
    ------
    InputError : as :func:`combined_estimate`.
    """
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    if study.version is not None and study.version not in covariates:
        covariates = [study.version, *covariates]
    table = _answered_both(study, instrument, covariates)
    yes = table[table[f"_{instrument}"] == YES]
    rows = []
    for test, expected, people, column in (("I", 1.0, yes, "_answer"), ("II", 0.0, table, f"_{instrument}")):
        found = _difference(people, column, covariates)
        se = found.se
        z = (found.estimate - expected) / se if se > 0 else float("nan")
        rows.append([test, expected, found.estimate, se, *_interval(found.estimate, se, probability), z,
                     float(2 * norm.sf(abs(z))), int(found.sizes.sum())])
    return pd.DataFrame(rows, columns=PLACEBO_COLUMNS)


def asked_both(study: ListExperiment) -> tuple[str, ...]:
    """Names of the direct questions that somebody with an answer to the list said yes or no to."""
    direct = [i.name for i in study.instruments if isinstance(i, DirectQuestion)]
    return tuple(name for name in direct if study.listed[f"_{name}"].isin((NO, YES)).any())


def _answered_both(study: ListExperiment, instrument: str, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of those who answered the list and said yes or no, with a level in each of ``columns``."""
    known = [i.name for i in study.instruments if isinstance(i, DirectQuestion)]
    if instrument not in known:
        raise InputError(
            f"the study has no direct question '{instrument}'; it has: {', '.join(known) or 'none'}. Name it when building the "
            "study: instruments = [DirectQuestion(column, yes=..., no=...)]."
        )
    if study.item is not None:
        raise InputError(f"instrument '{instrument}': with several sensitive items it is not known which of them the direct "
                         "question asks. Make one study of each item.")
    twice = [name for name in columns if list(columns).count(name) > 1]
    if twice:
        raise InputError(f"column '{twice[0]}' is named twice in `by` and `covariates`.")
    if instrument not in asked_both(study):
        raise InputError(f"instrument '{instrument}': nobody answered both the list and the direct question, so the two cannot "
                         "be combined for the same people. Fit a model of both instead.")
    table, _ = study.complete(columns)
    return table[(table["_answer"] >= 0) & table[f"_{instrument}"].isin((NO, YES))]


def _combined(
    study: ListExperiment, table: pd.DataFrame, instrument: str, covariates: Sequence[str], weighted: bool, interactions: bool,
    probability: float,
) -> list[Any]:
    """The numbers of one group, in the order of the columns, by influences."""
    table = table[table["_n"] > 0]
    y, a, d, n = (table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", f"_{instrument}", "_n"))
    w = weights_of(table, weighted)
    if not (n * w).sum() > 0:
        return [*[np.nan] * 8, int(n.sum()), "nobody answered both"]
    blocks = {name: _columns(table[name]) for name in covariates}
    (whole, missing), (among_no, reason) = (_part(y, a, n, w, blocks, rows, interactions) for rows in (d >= NO, d == NO))
    designed = is_designed(study, weighted)

    def three(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return combine(None if missing else whole, None if reason else among_no, d, n, w, interactions=interactions, corrected=not designed)

    estimates, influences = three(w)
    variances, degrees = n @ influences**2, np.inf
    if designed:
        estimates, covariance, degrees = by_design(study, table, three, weighted)
        variances = np.diag(covariance)
    both = [interval(estimate, variance, degrees, probability) for estimate, variance in zip(estimates, variances, strict=True)]
    note = f"among those who say no: {reason}" if reason else "" if np.isfinite(both[0][1]) else "too few for a standard error"
    return [*both[0], *both[1][:2], *both[2][:2], int(n.sum()), note]


def combine(
    whole: Arms | None, among_no: Arms | None, d: np.ndarray, n: np.ndarray, w: np.ndarray, *, interactions: bool, corrected: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Combined estimate, share of direct yes, and difference between the arms, (3,), and what one respondent adds to each, (row, 3).

    ``d`` (row,) are the direct answers, ``whole`` the arms of everybody and ``among_no`` those of who say no, None where an arm's effect
    cannot be estimated; with ``corrected`` the squares add up to variances (n - 1 in each arm, or HC2).
    """
    no = d == NO
    share, of_share = _share_yes(d, w, n, corrected=corrected)
    t, of_t = _effect(among_no, w[no], interactions, corrected=corrected)
    dim, of_dim = _effect(whole, w, interactions, corrected=corrected)
    influence = (1 - t) * of_share
    influence[no] += (1 - share) * of_t
    return np.array([share + (1 - share) * t, share, dim]), np.stack([influence, of_share, of_dim], axis=1)


def _share_yes(d: np.ndarray, w: np.ndarray, n: np.ndarray, *, corrected: bool) -> tuple[float, np.ndarray]:
    """The share who say yes, and what one respondent of each row adds to it."""
    size, total = n.sum(), (n * w).sum()
    share = float((n * w) @ d / total)
    correction = (np.sqrt(size / (size - 1)) if size > 1 else np.nan) if corrected else 1.0
    return share, correction * w * (d - share) / total


def _part(
    y: np.ndarray, a: np.ndarray, n: np.ndarray, w: np.ndarray, blocks: dict[str, np.ndarray], rows: np.ndarray, interactions: bool
) -> tuple[Arms, str]:
    """Some of the rows with their covariates as columns, and why they have no estimate ("" if they have one)."""
    columns = [(name, column[rows]) for name, block in blocks.items() for column in block.T]
    Z = np.stack([column for _, column in columns], axis=1) if columns else np.zeros((int(rows.sum()), 0))
    arms, names = independent(Arms(y[rows], a[rows], Z, n[rows]), [name for name, _ in columns], w[rows])
    return arms, unusable(arms, names, w[rows], interactions)


def _effect(arms: Arms | None, w: np.ndarray, interactions: bool, *, corrected: bool) -> tuple[float, np.ndarray]:
    """The difference between the arms, adjusted where there are covariates, and what one respondent of each row adds to it."""
    if arms is None:
        return np.nan, np.full(len(w), np.nan)
    if not arms.Z.shape[1]:
        return mean_difference(arms.y, arms.a, w, arms.n, corrected=corrected)
    return effect_influence(arms, w, interactions=interactions, variance="HC2" if corrected else "raw")


def _published(table: pd.DataFrame, instrument: str, covariates: Sequence[str], probability: float) -> list[Any]:
    """The numbers of one group, in the order of the columns, by the formula of Aronow et al. (2015)."""
    n, d = table["_n"].to_numpy(dtype=float), table[f"_{instrument}"].to_numpy()
    size = n.sum()
    if size == 0:
        return [*[float("nan")] * 8, 0, "nobody answered both"]
    share_yes = float(n @ d / size)
    treated = float(n @ table["_treated"].to_numpy(dtype=float) / size)
    arms = np.array([1 - treated, treated])
    among_no = _difference(table[d == NO], "_answer", covariates)
    estimate = share_yes + (1 - share_yes) * among_no.estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        admitted = share_yes * (1 - share_yes) * (1 - among_no.estimate) ** 2
        se = float(np.sqrt((admitted + (1 - share_yes) * (among_no.variances / arms).sum()) / size))
        direct_se = float(np.sqrt(share_yes * (1 - share_yes) / (size - 1)))
    alone = _difference(table, "_answer", covariates)
    note = "" if np.isfinite(se) else "too few who say no in an arm, or covariates that give the arm away"
    return [estimate, se, *_interval(estimate, se, probability), share_yes, direct_se, alone.estimate, alone.se, int(size), note]


def _difference(table: pd.DataFrame, column: str, covariates: Sequence[str]) -> Difference:
    """The arm's coefficient in least squares of ``column`` on arm and covariates; without covariates, the difference in means."""
    n, y = table["_n"].to_numpy(dtype=float), table[column].to_numpy(dtype=float)
    treated = table["_treated"].to_numpy(dtype=float)
    sizes = np.array([n[treated == arm].sum() for arm in (0, 1)])
    if (sizes == 0).any():
        return Difference(float("nan"), np.full(2, np.nan), sizes)
    others = np.column_stack([np.ones(len(table)), *(_columns(table[name]) for name in covariates)])
    root = np.sqrt(n)[:, None]  # a row of n people counts n times
    design = np.column_stack([treated, others])
    if np.linalg.matrix_rank(root * design) == np.linalg.matrix_rank(root * others):
        return Difference(float("nan"), np.full(2, np.nan), sizes)  # the covariates give the arm away
    coefficients = np.linalg.lstsq(root * design, root[:, 0] * y, rcond=None)[0]
    squares = n * (y - design @ coefficients) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = np.array([squares[treated == arm].sum() for arm in (0, 1)]) / np.where(sizes > 1, sizes - 1, np.nan)
    return Difference(float(coefficients[0]), variances, sizes)


def _columns(column: pd.Series) -> np.ndarray:
    """A covariate as columns of numbers, (row, column): itself, or a dummy for each category but the first."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column.to_numpy(dtype=float)[:, None]
    return (column.cat.codes.to_numpy()[:, None] == np.arange(1, len(column.cat.categories))).astype(float)


def _interval(estimate: float, se: float, probability: float) -> tuple[float, float]:
    width = half_width(probability) * se
    return estimate - width, estimate + width
