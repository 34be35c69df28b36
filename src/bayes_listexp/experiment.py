"""One study: validated answers, arms, waves, weights and covariates, and their collapse to cells."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.columns import (
    check_ids,
    name_rows,
    read_answers,
    read_arms,
    read_covariate,
    read_numbers,
    read_weights,
    rows_where,
    shown_values,
)
from bayes_listexp.errors import InputError

RESERVED = ("_answer", "_treated", "_n", "_weight")
MISSING_LEVEL = "(missing)"
EXCLUSION_COLUMNS = ["reason", "column", "control", "treatment", "arm unknown"]


class Cells(NamedTuple):
    """Respondents tabulated by distinct covariate row.

    ``frame`` has one row per cell; ``control`` (cell, J + 1) and ``treatment`` (cell, J + 2) count the answers
    0, 1, ... of each arm; ``weight`` (cell,) sums the survey weights (the number of respondents without weights).
    """

    frame: pd.DataFrame
    control: np.ndarray
    treatment: np.ndarray
    weight: np.ndarray
    exclusions: pd.DataFrame

    @property
    def n(self) -> np.ndarray:
        """Number of respondents per cell, both arms, shape (cell,)."""
        return self.control.sum(axis=1) + self.treatment.sum(axis=1)


@dataclass(frozen=True)
class ListExperiment:
    """A list experiment (item count technique) as data: who was asked which list, and what they answered.

    Build one with :meth:`from_frame` (a row per respondent) or :meth:`from_counts` (a table of counts).

    Attributes
    ----------
    table : one row per respondent or per tabulated row: covariates under the user's names, and the reserved columns
        ``_answer`` (int), ``_treated`` (bool), ``_n`` (respondents in the row), ``_weight`` (sum of their weights). Its
        index is the number of the row in the data as given, counted from 1.
    J : number of control items.
    wave : name of the wave column, or None.
    weighted : whether survey weights were given.
    covariates : names of the covariate columns (the wave included).
    missing : what happens to missing covariates: "drop" (excluded and counted) or "level" (a level of their own).
    population : population frame with a column ``N``, or None.
    exclusions : what was left out and why, one row per reason, counted by arm.
    source : name, number of rows and SHA-256 of the data as given.
    """

    table: pd.DataFrame
    J: int
    wave: str | None
    weighted: bool
    covariates: tuple[str, ...]
    missing: Literal["drop", "level"]
    population: pd.DataFrame | None
    exclusions: pd.DataFrame
    source: Mapping[str, Any]
    sensitive_item: str = "the sensitive item"
    synthetic: bool = False

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        answer: str,
        arm: str,
        J: int,
        arms: tuple[Any, Any] | None = None,
        wave: str | None = None,
        weights: str | None = None,
        ids: str | None = None,
        covariates: Sequence[str] | None = None,
        population: pd.DataFrame | None = None,
        missing: Literal["drop", "level"] = "drop",
    ) -> ListExperiment:
        """Read a study from a frame with one row per respondent.

        Parameters
        ----------
        answer, arm, wave, weights, ids : names of columns. ``ids`` are only checked for duplicates (within a wave).
        J : number of control items: answers are 0..J in the control arm, 0..J + 1 in the treatment arm.
        arms : the two values of ``arm``, (control, treatment); not needed for 0/1, False/True, "control"/"treatment".
        covariates : columns to keep; all other columns by default.
        population : population frame, one row per cell, with the count of people in column ``N``.
        missing : "drop" excludes respondents with a missing covariate (counted in the result), "level" makes missing
            a level of its own. Missing answers and arms are always excluded and counted.

        Raises
        ------
        InputError : for anything that cannot be an answer to this list, naming the rows.
        """
        roles = {"answer": answer, "arm": arm, "wave": wave, "weights": weights, "ids": ids}
        _check_design(J, missing)
        _check_columns(frame, roles, covariates)
        kept = _covariate_names(frame, roles, covariates)
        counts = pd.Series(1, index=frame.index, dtype="int64")
        if ids is not None:
            check_ids(frame, ids, wave)
        parts = _Parts(frame, answer, arm, arms, wave, weights, kept)
        return _build(cls, parts, counts, J=J, missing=missing, population=population)

    @classmethod
    def from_counts(
        cls,
        counts: pd.DataFrame,
        *,
        answer: str,
        arm: str,
        n: str,
        J: int,
        arms: tuple[Any, Any] | None = None,
        wave: str | None = None,
        covariates: Sequence[str] | None = None,
        population: pd.DataFrame | None = None,
    ) -> ListExperiment:
        """Read a study from a table of counts: one row per covariate row, arm and answer, ``n`` respondents in it.

        Arguments as in :meth:`from_frame`; ``n`` names the column of counts (whole numbers, zero allowed).

        Raises
        ------
        InputError : as :meth:`from_frame`, and for counts that are negative, fractional or missing.
        """
        roles = {"answer": answer, "arm": arm, "wave": wave, "n": n}
        _check_design(J, "drop")
        _check_columns(counts, roles, covariates)
        kept = _covariate_names(counts, roles, covariates)
        size = read_numbers(counts[n], n)
        bad = size.isna() | (size < 0) | (size % 1 != 0)
        if bad.any():
            raise InputError(
                f"column '{n}', {rows_where(bad)}: a count must be a whole number of at least 0, "
                f"found {shown_values(counts[n][bad])}. Correct the table."
            )
        size = size.astype("int64")
        parts = _Parts(counts, answer, arm, arms, wave, None, kept)
        return _build(cls, parts, size, J=J, missing="drop", population=population)

    def described(
        self, *, sensitive_item: str | None = None, name: str | None = None, synthetic: bool | None = None
    ) -> ListExperiment:
        """The same study with its sensitive item named, its source named, or marked as synthetic."""
        source = dict(self.source) | ({} if name is None else {"name": name})
        return dataclasses.replace(
            self,
            source=source,
            synthetic=self.synthetic if synthetic is None else synthetic,
            sensitive_item=self.sensitive_item if sensitive_item is None else sensitive_item,
        )

    @property
    def waves(self) -> tuple[str, ...]:
        """Labels of the waves in order; empty without waves."""
        return () if self.wave is None else tuple(self.table[self.wave].cat.categories)

    @property
    def n(self) -> int:
        """Number of respondents with an answer and an arm."""
        return int(self.table["_n"].sum())

    @property
    def sha256(self) -> str:
        """Hash of all that a fit can depend on: rows as read and coded, J, the wave, what happens to missing, the population.

        ``source["sha256"]`` is of the data file's columns alone; two studies of one file can differ in the rest.
        """
        digest = hashlib.sha256(json.dumps([self.J, self.wave, self.missing, list(self.waves)]).encode())
        for frame in (self.table, self.population):
            if frame is not None:
                levels = [(str(name), [str(level) for level in frame[name].cat.categories]) for name in frame.columns
                          if isinstance(frame[name].dtype, pd.CategoricalDtype)]
                digest.update(json.dumps([list(map(str, frame.columns)), levels]).encode())
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()

    def complete(self, columns: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of ``table`` with a level in each of ``columns``, and what was excluded for want of one.

        Where ``missing`` is "level" nothing is excluded: a missing level is the level "(missing)".

        Raises
        ------
        InputError : for a column that the study does not have, and for missing numbers that should be a level.
        """
        unknown = [name for name in columns if name not in self.covariates]
        if unknown:
            raise InputError(
                f"column '{unknown[0]}' is not in the data; the study has: "
                f"{', '.join(self.covariates) or 'no covariates'}."
            )
        return _without_missing(self.table, list(columns), self.missing)

    def cells(self, columns: Sequence[str] = ()) -> Cells:
        """Tabulate the respondents by ``columns``: one cell per distinct row that occurs.

        Respondents with a missing value in one of the columns are excluded and counted in ``exclusions``, or kept
        under the level "(missing)", as ``missing`` says.

        Raises
        ------
        InputError : for a column that the study does not have.
        """
        columns = list(dict.fromkeys(columns))
        table, exclusions = self.complete(columns)
        if columns:
            grouped = table.groupby(columns, observed=True, sort=True, dropna=False)
            codes = grouped.ngroup().to_numpy()
            frame = table.assign(_code=codes).drop_duplicates("_code").sort_values("_code")[columns]
        else:
            codes, frame = np.zeros(len(table), dtype=int), pd.DataFrame(index=[0])
        frame = frame.reset_index(drop=True)
        tabulated = [_tabulate(table, codes, len(frame), treated, self.J) for treated in (False, True)]
        weight = np.bincount(codes, weights=table["_weight"], minlength=len(frame))
        return Cells(frame, tabulated[0], tabulated[1], weight, _join(self.exclusions, exclusions))


class _Parts(NamedTuple):
    frame: pd.DataFrame
    answer: str
    arm: str
    arms: tuple[Any, Any] | None
    wave: str | None
    weights: str | None
    covariates: list[str]


def _build(
    cls: type[ListExperiment],
    parts: _Parts,
    counts: pd.Series,
    *,
    J: int,
    missing: Literal["drop", "level"],
    population: pd.DataFrame | None,
) -> ListExperiment:
    frame = parts.frame
    treated = read_arms(frame[parts.arm], parts.arm, parts.arms)
    answers = read_answers(frame[parts.answer], parts.answer, treated, J)
    weight = counts.astype(float) if parts.weights is None else read_weights(frame[parts.weights], parts.weights)
    table = pd.DataFrame(
        {name: read_covariate(frame[name], name, wave=name == parts.wave) for name in parts.covariates},
        index=frame.index,
    )
    absent = {("answer missing", parts.answer): answers.isna(), ("arm missing", parts.arm): treated.isna()}
    if parts.wave is not None:
        absent["wave missing", parts.wave] = table[parts.wave].isna()
    keep, exclusions = _exclude(absent, treated, counts)
    table = (
        table[keep]
        .assign(
            _answer=answers[keep].astype("int64"),
            _treated=treated[keep].astype(bool),
            _n=counts[keep],
            _weight=weight[keep],
        )
        .set_axis(np.flatnonzero(keep) + 1)
    )
    for arm, name in ((False, "control"), (True, "treatment")):
        if table.loc[table["_treated"] == arm, "_n"].sum() == 0:
            raise InputError(
                f"column '{parts.arm}': no respondent with an answer is in the {name} arm, so the "
                "two lists cannot be compared. Check the coding of the arms or supply both arms."
            )
    return cls(
        table=table,
        J=J,
        wave=parts.wave,
        weighted=parts.weights is not None,
        covariates=tuple(parts.covariates),
        missing=missing,
        population=population,
        exclusions=exclusions,
        source=_source(frame, counts, parts),
    )


def _check_design(J: int, missing: str) -> None:
    if isinstance(J, bool) or not isinstance(J, (int, np.integer)) or J < 1:
        raise InputError(f"J = {J!r}: the number of control items must be a whole number of at least 1.")
    if missing not in ("drop", "level"):
        raise InputError(f"missing = {missing!r}: say 'drop' or 'level'.")


def _check_columns(frame: pd.DataFrame, roles: Mapping[str, str | None], covariates: Sequence[str] | None) -> None:
    if frame.columns.duplicated().any():
        raise InputError(f"column '{frame.columns[frame.columns.duplicated()][0]}' occurs twice. Rename one of them.")
    if len(frame) == 0:
        raise InputError("the data have no rows.")
    wanted = [(role, name) for role, name in roles.items() if name is not None]
    wanted += [("covariates", name) for name in covariates or ()]
    for role, name in wanted:
        if name not in frame.columns:
            raise InputError(
                f"column '{name}' ({role}) is not in the data; the columns are: {', '.join(map(str, frame.columns))}."
            )
    clash = [name for name in frame.columns if name in RESERVED]
    if clash:
        raise InputError(f"column '{clash[0]}': this name is reserved. Rename the column.")


def _covariate_names(
    frame: pd.DataFrame, roles: Mapping[str, str | None], covariates: Sequence[str] | None
) -> list[str]:
    taken = {name for role, name in roles.items() if role != "wave" and name is not None}
    names = [str(c) for c in frame.columns if c not in taken] if covariates is None else list(covariates)
    wave = roles["wave"]
    return names if wave is None or wave in names else [*names, wave]


def _exclude(
    absent: Mapping[tuple[str, str], pd.Series], treated: pd.Series, counts: pd.Series
) -> tuple[pd.Series, pd.DataFrame]:
    """Keep the rows where nothing is absent; count each excluded row once, under its first reason."""
    keep, rows = pd.Series(True, index=counts.index), []
    for (reason, column), mask in absent.items():
        out = keep & mask.astype(bool)
        if counts[out].sum():
            rows.append(_exclusion(reason, column, treated[out], counts[out]))
        keep &= ~out
    return keep, pd.DataFrame(rows, columns=EXCLUSION_COLUMNS)


def _exclusion(reason: str, column: str, treated: pd.Series, counts: pd.Series) -> list[Any]:
    arms = [(treated == arm).fillna(False).astype(bool) for arm in (False, True)]
    return [reason, column, *(int(counts[arm].sum()) for arm in arms), int(counts[treated.isna()].sum())]


def _without_missing(table: pd.DataFrame, columns: list[str], missing: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    holes = {name: table[name].isna() for name in columns if table[name].isna().any()}
    if not holes:
        return table, pd.DataFrame(columns=EXCLUSION_COLUMNS)
    if missing == "level":
        numeric = [name for name in holes if not isinstance(table[name].dtype, pd.CategoricalDtype)]
        if numeric:
            raise InputError(
                f"column '{numeric[0]}', {name_rows(table.index[holes[numeric[0]]])}: missing numbers cannot be a "
                "level of their own. Use missing = 'drop', or recode the column into groups."
            )
        filled = {name: table[name].cat.add_categories([MISSING_LEVEL]).fillna(MISSING_LEVEL) for name in holes}
        return table.assign(**filled), pd.DataFrame(columns=EXCLUSION_COLUMNS)
    absent = {("covariate missing", name): mask for name, mask in holes.items()}
    keep, exclusions = _exclude(absent, table["_treated"].astype("boolean"), table["_n"])
    return table[keep], exclusions


def _tabulate(table: pd.DataFrame, codes: np.ndarray, cells: int, treated: bool, J: int) -> np.ndarray:
    answers = J + 1 + treated
    rows = (table["_treated"] == treated).to_numpy()
    index = codes[rows] * answers + table.loc[rows, "_answer"].to_numpy()
    flat = np.bincount(index, weights=table.loc[rows, "_n"], minlength=cells * answers)
    return flat.astype("int64").reshape(cells, answers)


def _join(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    return first if second.empty else second if first.empty else pd.concat([first, second], ignore_index=True)


def _source(frame: pd.DataFrame, counts: pd.Series, parts: _Parts) -> dict[str, Any]:
    """Name, size and hash of the columns that the study uses, in the order of rows given."""
    used = [c for c in (parts.answer, parts.arm, parts.weights) if c is not None] + parts.covariates
    digest = hashlib.sha256()
    for name in used:
        text = frame[name].astype(object).map(lambda v: "" if pd.isna(v) else str(v))
        digest.update(name.encode() + b"\0" + "\x1f".join(text).encode() + b"\0")
    digest.update(counts.to_numpy(dtype="int64").tobytes())
    given = frame.attrs.get("source", {})
    return {
        "name": given.get("name", "a data frame"),
        "rows": int(len(frame)),
        "respondents": int(counts.sum()),
        "sha256": digest.hexdigest(),
        **({"file_sha256": given["sha256"]} if "sha256" in given else {}),
    }
