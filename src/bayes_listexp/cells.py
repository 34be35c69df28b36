"""Respondents tabulated: by covariate row into cells, and by all that was observed into rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.instrument import Rows

ARMS = ("control", "treatment", "placebo")
"""The lists: J control items; these and the sensitive item; these and an item that applies to nobody."""


class Incomplete(NamedTuple):
    """Respondents who lack covariates that are modelled: what was observed of them, and the cells they may be in.

    A pattern is those of whom the same is known. ``rows`` are the distinct observations, each in a cell that somebody may be
    in; ``candidate`` (pattern, candidate) are the rows a pattern may stand for and ``probability`` (pattern, candidate)
    P(cell | known covariates), which sums to one. ``size`` (pattern,) is how many candidates each pattern has, in rising order;
    the rest of its candidates mean nothing and have probability 0. ``n`` and ``weight`` (pattern,) are the respondents of each
    pattern and the sum of their weights.
    """

    rows: Rows
    candidate: np.ndarray
    probability: np.ndarray
    size: np.ndarray
    n: np.ndarray
    weight: np.ndarray

    @property
    def cell(self) -> np.ndarray:
        """The cell of each candidate, (pattern, candidate)."""
        return np.asarray(self.rows.cell)[self.candidate]

    @property
    def seen(self) -> Rows:
        """What was observed of each pattern, (pattern,) each; the cell, which is not known, is -1."""
        first = self.candidate[:, 0]
        observed = {name: values[first] for name, values in self.rows.observed.items()}
        return Rows(np.full(len(first), -1), self.rows.arm[first], self.rows.answer[first], self.rows.treated[first], self.n,
                    self.weight, observed)

    @property
    def blocks(self) -> list[tuple[slice, slice]]:
        """The patterns that have equally many candidates and stand together, with these candidates: all that is to be computed."""
        sizes, first = np.unique(self.size, return_index=True)
        ends = [*first[1:], len(self.size)]
        return [(slice(int(a), int(b)), slice(int(size))) for size, a, b in zip(sizes, first, ends, strict=True)]

    def spread(self, mass: np.ndarray, cells: int) -> np.ndarray:
        """The ``mass`` (pattern,) of each pattern divided among its candidates by their probability, (cell,)."""
        return np.bincount(self.cell.ravel(), weights=(mass[:, None] * self.probability).ravel(), minlength=cells)


class Cells(NamedTuple):
    """Respondents tabulated by distinct covariate row.

    ``frame`` has one row per cell; ``control`` (cell, J + 1) and ``treatment`` (cell, J + 2) count the answers 0, 1, ... of
    each arm, ``placebo`` (cell, J + 2) those to a placebo list, if there is one; ``unlisted`` (cell,) counts respondents who
    did not answer the list and were observed otherwise; ``weight`` (cell,) sums the survey weights (the number of
    respondents without weights). ``incomplete`` are the respondents whose cell is not known, if their missing covariates are
    modelled: they are in none of the tables, and by their probabilities in ``n`` and ``weight``.
    """

    frame: pd.DataFrame
    control: np.ndarray
    treatment: np.ndarray
    weight: np.ndarray
    exclusions: pd.DataFrame
    placebo: np.ndarray | None = None
    unlisted: np.ndarray | int = 0
    incomplete: Incomplete | None = None

    @property
    def n(self) -> np.ndarray:
        """Number of respondents per cell, whatever they were asked, shape (cell,): whole numbers unless some are incomplete."""
        placed = np.sum([answers.sum(axis=1) for answers in self.answers.values()], axis=0) + self.unlisted
        return placed if self.incomplete is None else placed + self.incomplete.spread(self.incomplete.n, len(self.frame))

    @property
    def treated(self) -> np.ndarray:
        """Number of respondents per cell who answered a treatment list, shape (cell,)."""
        placed, some = self.treatment.sum(axis=1), self.incomplete
        if some is None:
            return placed
        return placed + some.spread(some.n * (some.seen.arm == ARMS.index("treatment")), len(self.frame))

    @property
    def answers(self) -> dict[str, np.ndarray]:
        """The tables of answers by arm, (cell, answer) each, in the order of :data:`ARMS`."""
        known = {"control": self.control, "treatment": self.treatment}
        return known if self.placebo is None else known | {"placebo": self.placebo}

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that the study has."""
        return tuple(self.answers)

    @property
    def control_counts(self) -> np.ndarray:
        """How many respondents without the sensitive item on their list gave each answer 0..J, shape (count,)."""
        padded = 0 if self.placebo is None else self.placebo[:, :-1].sum(axis=0)
        return self.control.sum(axis=0) + padded + self._incomplete_counts()

    def _incomplete_counts(self) -> np.ndarray | int:
        """The same of respondents whose cell is not known."""
        if self.incomplete is None:
            return 0
        seen, size = self.incomplete.seen, self.control.shape[1]
        without = (seen.answer >= 0) & (seen.arm != ARMS.index("treatment")) & (seen.answer < size)
        return np.bincount(seen.answer[without], weights=seen.n[without], minlength=size).astype("int64")


def by_columns(table: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The distinct rows of ``columns``, and for each row of ``table`` which of them it is."""
    if not columns:
        return pd.DataFrame(index=[0]), np.zeros(len(table), dtype=int)
    codes = table.groupby(list(columns), observed=True, sort=True, dropna=False).ngroup().to_numpy()
    frame = table.assign(_code=codes).drop_duplicates("_code").sort_values("_code")[list(columns)]
    return frame.reset_index(drop=True), codes


def arm_of(table: pd.DataFrame) -> np.ndarray:
    """Position in :data:`ARMS` of the list that each row answered, -1 for none."""
    arm = np.where(table["_treated"], 1, np.where(table["_placebo"], 2, 0))
    return np.where(table["_answer"] >= 0, arm, -1)


def tabulate(table: pd.DataFrame, columns: Sequence[str], J: int, exclusions: pd.DataFrame) -> Cells:
    """Cells of a study's table by ``columns``."""
    frame, codes = by_columns(table, columns)
    arm, n = arm_of(table), table["_n"].to_numpy()

    def counted(which: int) -> np.ndarray:
        rows, answers = arm == which, J + 1 + (which > 0)
        index = codes[rows] * answers + table["_answer"].to_numpy()[rows]
        flat = np.bincount(index, weights=n[rows], minlength=len(frame) * answers)
        return flat.astype("int64").reshape(len(frame), answers)

    weight = np.bincount(codes, weights=table["_weight"], minlength=len(frame))
    unlisted = np.bincount(codes[arm < 0], weights=n[arm < 0], minlength=len(frame)).astype("int64")
    placebo = counted(2) if table["_placebo"].any() else None
    return Cells(frame, counted(0), counted(1), weight, exclusions, placebo, unlisted)


def number_observations(
    table: pd.DataFrame, columns: Sequence[str], observed: Sequence[str]
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """The distinct observations in order, which of them each row is (row,), and these rows: those of ``table`` with somebody."""
    _, codes = by_columns(table, columns)
    someone = (table["_n"] > 0).to_numpy()
    table, codes = table[someone], codes[someone]
    keyed = table[["_answer", "_treated", *observed]].assign(_cell=codes, _arm=arm_of(table))
    keys = ["_cell", "_arm", "_answer", "_treated", *observed]
    groups = keyed.groupby(keys, sort=True, dropna=False).ngroup().to_numpy()
    return keyed.assign(_group=groups).drop_duplicates("_group").sort_values("_group"), groups, table


def tabulate_rows(table: pd.DataFrame, columns: Sequence[str], observed: Sequence[str]) -> Rows:
    """Distinct observations of a study's table: cell by ``columns``, arm, answer and the coded columns ``observed``."""
    first, groups, table = number_observations(table, columns, observed)
    size = len(first)
    n = np.bincount(groups, weights=table["_n"], minlength=size).astype("int64")
    weight = np.bincount(groups, weights=table["_weight"], minlength=size)
    cell, arm, answer = (first[name].to_numpy(dtype="int64") for name in ("_cell", "_arm", "_answer"))
    columns_observed = {name: first[name].to_numpy(dtype=float) for name in observed}
    return Rows(cell, arm, answer, first["_treated"].to_numpy(dtype=float), n, weight, columns_observed)
