"""Survey weights: what they cost in precision, and how much each observation counts in a weighted likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.cells import ARMS, Cells, number_observations
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.survey_design import has_units, normalised, replicate_columns

WEIGHTINGS = ("none", "pseudo")
KISH_COLUMNS = ["wave", "arm", "n", "deff", "n_effective"]


class Weighted(NamedTuple):
    """Who was observed and how much they count: rows of a study's ``table`` with somebody in them, which distinct observation
    each row is (row,), and the normalised weight of one respondent of the row (row,). ``n`` and ``total`` are the respondents
    and the sum of their weights of each distinct observation, (pattern,).
    """

    table: pd.DataFrame
    pattern: np.ndarray
    weight: np.ndarray
    n: np.ndarray
    total: np.ndarray
    cell: np.ndarray
    arm: np.ndarray
    answer: np.ndarray


def kish(study: ListExperiment) -> pd.DataFrame:
    """What unequal weights cost (Kish 1965): deff = n sum(w^2) / (sum w)^2 and the effective number of respondents n / deff.

    One row for everybody, for each arm, for each wave, and for each arm of each wave: columns ``wave`` and ``arm`` ("all" where
    not split by it), ``n`` (respondents with an answer to the list), ``deff``, ``n_effective``. The deff is that of a mean whose
    variance does not depend on the weights; strata and clusters are not in it.

    Raises
    ------
    InputError : the study has no survey weights.
    """
    if not study.weighted:
        raise InputError("kish: the study has no survey weights. Name their column with `weights` when building it.")
    table = study.listed
    arm = pd.Series(np.where(table["_treated"], "treatment", "control"), index=table.index)
    wave = pd.Series("all", index=table.index) if study.wave is None else table[study.wave]
    waves = list(study.waves) if len(study.waves) > 1 else []
    rows = []
    for one_wave in ("all", *waves):
        for one_arm in ("all", "control", "treatment"):
            chosen = ((wave == one_wave) | (one_wave == "all")) & ((arm == one_arm) | (one_arm == "all"))
            if chosen.any():
                rows.append([one_wave, one_arm, *_kish(table[chosen], study.wave)])
    return pd.DataFrame(rows, columns=KISH_COLUMNS)


def _kish(table: pd.DataFrame, wave: str | None) -> tuple[int, float, float]:
    """Respondents, deff and effective number, of weights that count alike in every wave."""
    n = table["_n"].to_numpy(dtype=float)
    w = normalised(table, wave) / n
    size = int(n.sum())
    deff = size * float((n * w**2).sum()) / float((n * w).sum()) ** 2
    return size, deff, size / deff


def weighted_observations(study: ListExperiment, columns: Sequence[str], instruments: bool) -> Weighted:
    """The respondents with a level in each of ``columns`` by distinct observation, with normalised weights.

    Without ``instruments`` an observation is a cell, arm and answer; weights are normalised within waves.

    Raises
    ------
    InputError : there is nothing to weight by.
    """
    if not study.weighted and not has_units(study.table):
        raise InputError("weighting = 'pseudo': the study has neither weights nor strata or clusters. Name their columns when "
                         "building it, or use weighting = 'none'.")
    first, pattern, table = number_observations(study.complete(columns)[0], columns, study.observed if instruments else ())
    n = table["_n"].to_numpy(dtype=float)
    weight = normalised(table, study.wave) / n
    size = len(first)
    cell, arm, answer = (first[name].to_numpy(dtype="int64") for name in ("_cell", "_arm", "_answer"))
    return Weighted(table, pattern, weight, np.bincount(pattern, weights=n, minlength=size),
                    np.bincount(pattern, weights=n * weight, minlength=size), cell, arm, answer)


def replicated_totals(study: ListExperiment, weighted: Weighted) -> np.ndarray:
    """Sums of the normalised replicate weights by distinct observation, (replicate, pattern)."""
    size = len(weighted.n)
    columns = replicate_columns(weighted.table)
    sums = [np.bincount(weighted.pattern, weights=normalised(weighted.table, study.wave, c), minlength=size) for c in columns]
    return np.array(sums)


def relative_weights(
    study: ListExperiment, columns: Sequence[str], cells: Cells, instruments: bool
) -> dict[str, np.ndarray]:
    """By how much respondents count for more or less than one, on average by distinct observation: the weight of the count.

    Of a list alone one table for each arm, (cell, answer), 1 where nobody answered so; with instruments ``observed``, (pattern,).

    Raises
    ------
    InputError : there is nothing to weight by; or the cells of some respondents are not known.
    """
    if cells.incomplete is not None:
        raise InputError("weighting = 'pseudo': missing covariates cannot be modelled in a weighted likelihood. Build the study with "
                         "missing = 'drop' or 'level'.")
    found = weighted_observations(study, columns, instruments)
    relative = found.total / found.n
    if instruments:
        return {"observed": relative}
    out = {arm: np.ones(table.shape) for arm, table in cells.answers.items()}
    for arm, table in out.items():
        rows = found.arm == ARMS.index(arm)
        table[found.cell[rows], found.answer[rows]] = relative[rows]
    return out
