"""Answers to one list tabulated for estimators that need no PyTensor: cells of covariates, arms, answers, weights, and designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import formulas, syntax
from bayes_listexp.cells import ARMS, number_observations
from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import join
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.formulas import Design
from bayes_listexp.linearisation import refuse_weightless
from bayes_listexp.reporting import arm_slices
from bayes_listexp.sandwich import refuse_dependent
from bayes_listexp.survey_design import has_units, normalised, replicate_columns, units_of, variance_of_totals


class Answers(NamedTuple):
    """Respondents with an answer to the list, by distinct observation (pattern) of cell, arm and answer.

    ``table`` are the rows of the study's table, ``pattern`` (row,) which observation each is and ``weight`` (row,) the normalised
    weight of one respondent of the row (1 without weights). ``frame`` has a row for each cell of covariates. ``cell``, ``arm``
    (a position in ARMS), ``answer``, ``n`` (respondents) and ``total`` (of their weights) are (pattern,).
    """

    study: ListExperiment
    table: pd.DataFrame
    frame: pd.DataFrame
    pattern: np.ndarray
    weight: np.ndarray
    cell: np.ndarray
    arm: np.ndarray
    answer: np.ndarray
    n: np.ndarray
    total: np.ndarray
    weighted: bool
    exclusions: pd.DataFrame

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of the study, in the order of ARMS."""
        return tuple(name for i, name in enumerate(ARMS) if i < 2 or (self.arm == i).any())

    @property
    def designed(self) -> bool:
        """Whether the study says how respondents were sampled, by strata or clusters."""
        return has_units(self.study.table)

    @property
    def column(self) -> np.ndarray:
        """Where each observation's answer stands among the answers of all arms side by side, (pattern,)."""
        starts = [part.start for part in arm_slices(self.study.J, self.arms).values()]
        return np.array(starts)[[self.arms.index(ARMS[arm]) for arm in self.arm]] + self.answer

    def tabulated(self, values: np.ndarray) -> np.ndarray:
        """Values of patterns (..., pattern) as tables (..., cell, answer), the answers of all arms side by side."""
        width = max(part.stop for part in arm_slices(self.study.J, self.arms).values())
        out = np.zeros((*values.shape[:-1], len(self.frame), width))
        out[..., self.cell, self.column] = values
        return out

    def by_cell(self, values: np.ndarray) -> np.ndarray:
        """Sums of values of patterns (pattern,) by cell, (cell,)."""
        return np.bincount(self.cell, weights=values, minlength=len(self.frame))

    @property
    def replicated(self) -> np.ndarray:
        """Sums of the normalised weights of each replicate by pattern, (replicate, pattern); none of unweighted answers."""
        names = replicate_columns(self.table) if self.weighted else []
        sums = [np.bincount(self.pattern, weights=normalised(self.table, self.study.wave, c), minlength=len(self.n)) for c in names]
        return np.array(sums).reshape(len(names), len(self.n))

    @property
    def scales(self) -> np.ndarray:
        """The factor of each replicate's squared deviation in the variance, (replicate,)."""
        return np.array(() if self.study.replicates is None else self.study.replicates.scales)

    @property
    def patterns(self) -> pd.DataFrame:
        """The observations as a table: ``cell``, ``arm``, ``answer``, ``n``, ``weight``."""
        return pd.DataFrame({"cell": self.cell, "arm": np.array(ARMS)[self.arm], "answer": self.answer, "n": self.n,
                             "weight": self.total})

    def variance(self, influence: np.ndarray) -> tuple[np.ndarray, float]:
        """Covariance of estimates from what a respondent of weight 1 adds to each, (pattern, k), and its degrees of freedom.

        By strata and clusters where the study has them (Binder 1983), else the sum of squares over respondents.
        """
        n = self.table["_n"].to_numpy(dtype=float)
        if not has_units(self.study.table):
            squares = np.bincount(self.pattern, weights=n * self.weight**2, minlength=len(self.n))
            return influence.T @ (squares[:, None] * influence), np.inf
        units, rows = units_of(self.study.table, self.study.wave), self.study.table.index.get_indexer(self.table.index)
        here = units._replace(stratum=units.stratum[rows], cluster=None if units.cluster is None else units.cluster[rows])
        everywhere, all_n = np.zeros(len(self.study.table), dtype=bool), self.study.table["_n"].to_numpy(dtype=float)
        everywhere[rows] = True
        return variance_of_totals(here, influence, self.pattern, self.weight, n), units.degrees_among(everywhere, all_n)


def list_answers(study: ListExperiment, columns: Sequence[str], *, weighted: bool, what: str) -> Answers:
    """The answers to the list by cells of ``columns``; ``what`` names the estimator in messages.

    Raises
    ------
    InputError : weights asked for and none given; several sensitive items or lists; or nobody in an arm.
    """
    if weighted and not study.weighted:
        raise InputError("weighted = True: the study has no survey weights.")
    if study.item is not None:
        raise InputError(f"{what}: with several sensitive items make one study of each.")
    if study.version is not None:
        raise InputError(f"{what}: the study has several list versions. Make one study of each (those whose '{study.version}' is the "
                         "same), or use bayes_listexp.fit, which takes them together.")
    complete, excluded = study.complete(list(columns))
    listed = complete[complete["_answer"] >= 0]
    first, pattern, table = number_observations(listed, list(columns), ())
    for treated, arm in ((False, "control"), (True, "treatment")):
        if not (table["_treated"] == treated).any():
            raise InputError(f"{what}: nobody in the {arm} arm has an answer and all covariates; lists are compared between arms.")
    refuse_weightless(table, weighted, what)
    n = table["_n"].to_numpy(dtype=float)
    weight = normalised(table, study.wave) / n if weighted else np.ones(len(table))
    cell, arm_of, answer = (first[name].to_numpy(dtype="int64") for name in ("_cell", "_arm", "_answer"))
    _, place, cell = np.unique(cell, return_index=True, return_inverse=True)
    frame = table.loc[first.index[place], list(columns)].reset_index(drop=True)
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = frame[name].cat.remove_unused_categories()
    sums = [np.bincount(pattern, weights=values, minlength=len(first)) for values in (n, n * weight)]
    return Answers(study, table, frame, pattern, weight, cell, arm_of, answer, sums[0], sums[1], weighted,
                   join(study.exclusions, excluded))


def predictor_designs(answers: Answers, texts: Mapping[str, str]) -> dict[str, Design]:
    """The formulas bound to the cells, as the models bind them (centred at the respondents' means and scaled).

    Raises
    ------
    InputError : group-specific effects, and whatever else is wrong with a formula.
    """
    for text in texts.values():
        if syntax.has_groups(text):
            raise InputError(f"formula '{text}': group-specific effects need priors and sampling. Use bayes_listexp.fit, or common "
                             "effects.")
    n = answers.by_cell(answers.n)
    return {name: formulas.design(text, answers.frame, n) for name, text in texts.items()}


def refuse_unidentified(what: str, answers: Answers, trait: Design) -> None:
    """Refuse columns of the trait that nothing is learnt of, as the treatment arm alone tells of it and they follow from others there.

    Raises
    ------
    InputError : naming the column.
    """
    cells = np.unique(answers.cell[(answers.arm == 1) & (answers.total > 0)])
    refuse_dependent(what, columns_of(trait, answers.frame.iloc[cells]), [("trait", term) for term in terms_of(trait)])


def columns_of(bound: Design, frame: pd.DataFrame) -> np.ndarray:
    """The design's columns at the rows of a frame, the intercept's first, (row, term): centred and scaled."""
    matrices = bound.evaluate(frame)
    return np.concatenate([np.ones((len(frame), int(bound.intercept))), matrices.slopes], axis=1)


def terms_of(bound: Design) -> list[str]:
    """Names of a design's terms, the intercept's first."""
    return [*["Intercept"] * bound.intercept, *bound.names]


def to_own_scale(bound: Design) -> np.ndarray:
    """The matrix (term, term) from coefficients of centred and scaled columns to those of the formula's own columns."""
    first = int(bound.intercept)
    out = np.diag(np.concatenate([np.ones(first), 1 / bound.scale]))
    if first:
        out[0, 1:] = -bound.center / bound.scale
    return out
