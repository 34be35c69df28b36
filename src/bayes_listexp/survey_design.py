"""How a survey was sampled: strata, clusters and replicate weights as read, normalised weights, and variances by the design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array

from bayes_listexp.columns import name_rows, read_numbers, rows_where, value_key
from bayes_listexp.errors import InputError

STRATUM, CLUSTER, REPLICATE, PERSON = "_stratum", "_cluster", "_replicate_", "_person"
"""Reserved columns of a study's table: stratum, primary sampling unit, the start of the names of replicate weights, and the number
of the person, who may answer in several waves.
"""

METHODS = ("jackknife", "brr", "fay", "bootstrap")
"""How replicate weights were made: see :class:`DesignColumns`."""

DECIMALS = 9
"""Normalised weights are rounded to this, so that the unit in which weights were given cannot change a digit of a fit."""


class Replicates(NamedTuple):
    """Replicate weights: the method's name, and for each replicate the factor of its squared deviation in the variance."""

    method: str
    scales: tuple[float, ...]


@dataclass(frozen=True)
class DesignColumns:
    """Columns that say how respondents were sampled; all are optional.

    ``strata`` and ``clusters`` (primary sampling units, numbered within strata) are names of columns, ``replicate_weights`` names
    of R columns made by ``method``: "jackknife" (one unit left out; a squared deviation from the estimate counts (R - 1)/R, or
    ``scales`` where units were left out by stratum), "brr" (balanced half samples; 1/R), "fay" (1/(R (1 - ``rho``)^2)) or
    "bootstrap" (1/R; of rescaled weights). ``scales`` replaces these factors, one for each replicate.
    """

    strata: str | None = None
    clusters: str | None = None
    replicate_weights: tuple[str, ...] = ()
    method: str | None = None
    rho: float | None = None
    scales: tuple[float, ...] | None = None

    @property
    def roles(self) -> dict[str, str | None]:
        """The columns by what they are."""
        replicates = {f"replicate weight {i + 1}": name for i, name in enumerate(self.replicate_weights)}
        return {"strata": self.strata, "clusters": self.clusters, **replicates}


def replicates_of(columns: DesignColumns, weights: str | None) -> Replicates | None:
    """The factors of the replicates, or None without any.

    Raises
    ------
    InputError : replicates without weights or method, an unknown method, or settings that do not belong to it.
    """
    names, method, size = columns.replicate_weights, columns.method, len(columns.replicate_weights)
    if not names:
        given = [k for k in ("method", "rho", "scales") if getattr(columns, k) is not None]
        if given:
            raise InputError(f"replicate_{given[0]} is given without replicate_weights. Name their columns, or leave it out.")
        return None
    if weights is None or size < 2 or len(set(names)) < size:
        raise InputError("replicate_weights: name at least two different columns, and the column of the weights themselves in "
                         "`weights`, from which replicates are variations.")
    if method not in METHODS:
        raise InputError(f"replicate_method = {method!r}: say how the replicate weights were made: {', '.join(METHODS)}.")
    if (method == "fay") != (columns.rho is not None) or (columns.rho is not None and not 0 <= columns.rho < 1):
        raise InputError(f"replicate_rho = {columns.rho!r}: Fay's method needs a factor of at least 0 and below 1, and the others "
                         "none.")
    factor = {"jackknife": (size - 1) / size, "fay": 1 / (size * (1 - (columns.rho or 0.0)) ** 2)}.get(method, 1 / size)
    scales = (factor,) * size if columns.scales is None else columns.scales
    if not all(isinstance(scale, int | float) for scale in scales):
        raise InputError(f"replicate_scales = {list(scales)!r} must be numbers.")
    if len(scales) != size or not np.isfinite(scales).all() or min(scales) < 0:
        raise InputError(f"replicate_scales: {size} replicate weights need as many factors of at least 0, found {len(scales)}.")
    return Replicates(method, tuple(float(scale) for scale in scales))


def read_design(frame: pd.DataFrame, columns: DesignColumns) -> pd.DataFrame:
    """The reserved columns of the design, one row per row of ``frame``; none where nothing is known of the design.

    Raises
    ------
    InputError : a stratum or cluster is missing, or a replicate weight is missing or negative, naming the rows.
    """
    out = {}
    for reserved, name, word in ((STRATUM, columns.strata, "stratum"), (CLUSTER, columns.clusters, "cluster")):
        if name is None:
            continue
        absent = frame[name].isna()
        if absent.any():
            raise InputError(f"column '{name}', {rows_where(absent)}: the {word} is missing. Every respondent was sampled in one: "
                             "fill it in, or remove these rows.")
        out[reserved] = frame[name].astype(object).map(value_key).astype("category")
    for i, name in enumerate(columns.replicate_weights):
        numbers = read_numbers(frame[name], name)
        bad = numbers.isna() | (numbers < 0)
        if bad.any():
            raise InputError(f"column '{name}', {rows_where(bad)}: a replicate weight is missing, infinite or negative. Give every "
                             "respondent one of at least 0 (0 where the replicate leaves somebody out).")
        if not numbers.sum() > 0:
            raise InputError(f"column '{name}': all replicate weights are 0.")
        out[f"{REPLICATE}{i + 1}"] = numbers
    return pd.DataFrame(out, index=frame.index)


class Units(NamedTuple):
    """What was sampled independently: per row its stratum (row,) and cluster (row,), None where each respondent is a unit of
    its own, the number of units in each stratum (stratum,), and the stratum of each cluster.
    """

    stratum: np.ndarray
    cluster: np.ndarray | None
    n: np.ndarray
    of_cluster: np.ndarray

    @property
    def degrees_of_freedom(self) -> int:
        """Units less strata."""
        return int((self.n - 1).sum())

    def degrees_among(self, rows: np.ndarray, n: np.ndarray) -> float:
        """Units less strata among some of the rows, (row,) of truth values, that stand for ``n`` respondents each."""
        if self.cluster is None:
            return float(n[rows].sum() - len(np.unique(self.stratum[rows])))
        return float(len(np.unique(self.cluster[rows])) - len(np.unique(self.stratum[rows])))


def has_units(table: pd.DataFrame) -> bool:
    """Whether a study's table says how respondents were sampled: by strata or clusters, or once for several waves."""
    return STRATUM in table.columns or unit_column(table) is not None


def unit_column(table: pd.DataFrame) -> str | None:
    """The column of what was sampled: clusters, or else persons who answer in several waves. None: each answer is a unit."""
    if CLUSTER in table.columns:
        return CLUSTER
    return PERSON if PERSON in table.columns and table[PERSON].duplicated().any() else None


def units_of(table: pd.DataFrame, wave: str | None) -> Units:
    """The sampled units of a study's table.

    Waves are strata of their own unless a cluster's label occurs in several: it is then taken for the same cluster, whose
    answers may hang together over time. Clusters are numbered within strata. Without clusters, persons who answer in several
    waves are clusters of their answers.
    """
    keys = [table[STRATUM]] if STRATUM in table.columns else []
    if wave is not None and not _clusters_go_on(table, wave):
        keys.append(table[wave])
    stratum = _codes(table, keys)
    column = unit_column(table)
    if column is None:
        return Units(stratum, None, np.bincount(stratum, weights=table["_n"]), stratum[:0])
    cluster = _codes(table, [pd.Series(stratum, index=table.index), table[column]])
    of_cluster = np.zeros(cluster.max() + 1, dtype="int64")
    of_cluster[cluster] = stratum
    return Units(stratum, cluster, np.bincount(of_cluster).astype(float), of_cluster)


def check_units(table: pd.DataFrame, wave: str | None, columns: DesignColumns) -> None:
    """Refuse strata of which a single unit is left, because nothing is known of the variation within them.

    Raises
    ------
    InputError : naming the stratum, its rows and the remedy.
    """
    if STRATUM not in table.columns and CLUSTER not in table.columns:
        return
    units = units_of(table, wave)
    alone = np.flatnonzero(units.n < 2)
    if not len(alone):
        return
    rows = table[units.stratum == alone[0]]
    what = "respondent" if columns.clusters is None else "cluster"
    if columns.strata is None and columns.clusters is not None:
        raise InputError(f"column '{columns.clusters}': all respondents{' of a wave' * (wave is not None)} are in one cluster "
                         f"('{rows[CLUSTER].iloc[0]}'), so their variation is not known. Leave `clusters` out.")
    where = f", wave '{rows[wave].iloc[0]}'" if wave is not None and not _clusters_go_on(table, wave) else ""
    raise InputError(f"column '{columns.strata}', {name_rows(rows.index)}: stratum '{rows[STRATUM].iloc[0]}'{where} has a single "
                     f"{what}, so the variation within it is not known. Join it with a stratum like it (recode the column).")


def normalised(table: pd.DataFrame, wave: str | None, column: str = "_weight") -> np.ndarray:
    """Weights of the rows, (row,), that sum to the number of respondents, in each wave: w n / sum of w.

    Weights have no unit: multiplied by any number they give the same. Waves are weighted one by one, so that none counts for
    more because its weights were written in larger numbers.

    Raises
    ------
    InputError : all weights of a wave are 0.
    """
    groups = np.zeros(len(table), dtype="int64") if wave is None else _codes(table, [table[wave]])
    n = np.bincount(groups, weights=table["_n"])
    total = np.bincount(groups, weights=table[column])
    if (total[n > 0] <= 0).any():
        raise InputError("weights: in one of the waves all weights are 0. Give somebody there a weight.")
    factor = np.divide(n, total, out=np.zeros(len(n)), where=total > 0)
    return np.asarray(np.round(table[column].to_numpy() * factor[groups], DECIMALS))


def replicate_columns(table: pd.DataFrame) -> list[str]:
    """Names of the replicate weights in a study's table."""
    return [name for name in table.columns if str(name).startswith(REPLICATE)]


def variance_of_totals(
    units: Units, values: np.ndarray, pattern: np.ndarray, weight: np.ndarray, n: np.ndarray
) -> np.ndarray:
    """Variance of the sum over respondents of weight times ``values[pattern]``, (k, k), by the sampled units.

    That of units drawn with replacement within strata: in each, n/(n - 1) times the squared deviations of the units' totals
    from their mean (Taylor linearisation, where values are influences or scores). ``values`` is (pattern, k); ``pattern``,
    ``weight`` (of one respondent) and ``n`` (how many the row stands for) are (row,).
    """
    correction = np.divide(units.n, units.n - 1, out=np.zeros(len(units.n)), where=units.n > 1)
    totals = _sums(units.stratum, pattern, n * weight, (len(units.n), len(values))) @ values
    between = totals.T @ ((correction / np.maximum(units.n, 1))[:, None] * totals)
    if units.cluster is None:
        squares = np.bincount(pattern, weights=n * weight**2 * correction[units.stratum], minlength=len(values))
        return np.asarray(values.T @ (squares[:, None] * values) - between)
    sums = _sums(units.cluster, pattern, n * weight, (len(units.of_cluster), len(values))) @ values
    return np.asarray(sums.T @ (correction[units.of_cluster][:, None] * sums) - between)


def _sums(row: np.ndarray, column: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> coo_array:
    return coo_array((values, (row, column)), shape=shape).tocsr()


def _clusters_go_on(table: pd.DataFrame, wave: str) -> bool:
    """Whether a cluster (of a stratum) has respondents in more than one wave."""
    unit = unit_column(table)
    if unit is None:
        return False
    keys = [name for name in (STRATUM, unit) if name in table.columns]
    return len(table[[*keys, wave]].drop_duplicates()) > len(table[keys].drop_duplicates())


def _codes(table: pd.DataFrame, keys: Sequence[pd.Series]) -> np.ndarray:
    """Numbers from 0 of the combinations that occur, (row,); all 0 without keys."""
    if not keys:
        return np.zeros(len(table), dtype="int64")
    frame = pd.concat([key.rename(i) for i, key in enumerate(keys)], axis=1)
    return frame.groupby(list(frame.columns), observed=True, sort=True).ngroup().to_numpy()
