"""The people of a population before they are sampled: every cell with every list, as a study whose answers are placeholders."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.cells import by_columns
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Instrument, asked_by
from bayes_listexp.population import COUNT, check_frame
from bayes_listexp.specification import Blueprint, Specification, blueprint
from bayes_listexp.survey_design import PERSON

NAMES = {"answer": "answer", "arm": "arm", "placebo": "placebo", "wave": "wave", "version": "version", "weights": "weight",
         "ids": "id", "strata": "stratum", "clusters": "cluster"}
"""What the columns of a simulated survey are called, by their roles."""

PEOPLE = 10_000_000
"""The cells' numbers of people are taken as whole numbers that sum to about this."""


@dataclass(frozen=True)
class Questionnaire:
    """What a simulated survey asks.

    Attributes
    ----------
    J : number of control items, or that of each list version by its label. Versions are given at random, unless their labels are
        those of the waves and ``names`` gives both roles one column.
    arms : values of the arm: control, and treatment, or a list of the treatment lists of several sensitive items.
    waves : labels of the waves, in order; none without waves.
    instruments : what else is asked, such as :class:`bayes_listexp.DirectQuestion`; they need the methods ``ask`` and ``write``.
    names : names of columns by role, in place of those in :data:`NAMES`.
    """

    J: int | Mapping[str, int] = 4
    arms: tuple[Any, Any] = ("control", "treatment")
    waves: tuple[str, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, role: str) -> str:
        """The column of a role."""
        return self.names.get(role, NAMES[role])

    @property
    def versions(self) -> tuple[str, ...]:
        """Labels of the list versions; empty with one list."""
        return tuple(map(str, self.J)) if isinstance(self.J, Mapping) else ()

    @property
    def versions_are_waves(self) -> bool:
        """Whether each wave has a list of its own."""
        return bool(self.versions) and self.name("version") == self.name("wave")

    @property
    def treatments(self) -> tuple[Any, ...]:
        """The values of the treatment lists."""
        return tuple(self.arms[1]) if isinstance(self.arms[1], list | tuple) else (self.arms[1],)


class Template(NamedTuple):
    """Everybody with every list: ``rows`` (row: ``cell``, a label of a row of the frame, ``wave``, ``version``, ``arm``, positions, and the
    number of people ``N``), as a ``study`` of these rows, its blueprint, and the cell of the blueprint of each row, (row,).
    """

    rows: pd.DataFrame
    study: ListExperiment
    plan: Blueprint
    cell: np.ndarray

    def find(self, people: pd.DataFrame) -> np.ndarray:
        """The row of each of the ``people``, by their ``cell``, ``wave``, ``version`` and ``arm``, (person,)."""
        keys = ["cell", "wave", "version", "arm"]
        return pd.MultiIndex.from_frame(self.rows[keys]).get_indexer(pd.MultiIndex.from_frame(people[keys]))


def template(frame: pd.DataFrame, asks: Questionnaire, specification: Specification, *, placebo: bool) -> Template:
    """The template of a population ``frame``; one of the arms is a ``placebo`` list if there are any.

    Raises
    ------
    InputError : the frame is no population frame, lacks levels or has columns of the survey's own names; whatever does not fit
        together in the model; an instrument that cannot be simulated.
    """
    _check(frame, asks)
    rows = _rows(frame[frame[COUNT] > 0], asks, placebo)
    table = frame.drop(columns=COUNT).loc[rows["cell"]].reset_index(drop=True)
    treated = ((rows["arm"] > 0) & (rows["arm"] <= len(asks.treatments))).to_numpy()
    arms = dict(enumerate((asks.arms[0], *asks.treatments)))
    shares = PEOPLE * rows["N"] / frame[COUNT].sum()
    table = table.assign(**{asks.name("arm"): rows["arm"].map(arms).fillna(asks.arms[0]), asks.name("answer"): np.arange(len(rows)) % 2,
                            COUNT: np.maximum(shares.round(), 1).astype("int64")})
    roles: dict[str, Any] = {"answer": asks.name("answer"), "arm": asks.name("arm"), "arms": asks.arms, "J": asks.J, "n": COUNT}
    for role, labels in (("wave", asks.waves), ("version", asks.versions)):
        if labels:
            table[asks.name(role)] = pd.Categorical.from_codes(rows[role], [str(label) for label in labels])
            roles[role] = asks.name(role)
    if placebo:
        table[asks.name("placebo")] = (rows["arm"] > len(asks.treatments)).astype(int)
        roles["placebo"] = asks.name("placebo")
    study = _with_instruments(ListExperiment.from_counts(table, population=frame, **roles), asks, treated)
    if specification.person != "none":
        study = dataclasses.replace(study, table=study.table.assign(**{PERSON: np.arange(len(rows))}))
    plan = blueprint(study, specification)
    return Template(rows, study, plan, by_columns(study.table, list(plan.cells.frame.columns))[1])


def _with_instruments(study: ListExperiment, asks: Questionnaire, treated: np.ndarray) -> ListExperiment:
    """The study with placeholders of what instruments observe; control items answered one by one take the list's place."""
    bound, table = [], study.table
    for instrument in asks.instruments:
        ready, coded = asked_by(instrument, treated, np.random.default_rng(0))
        bound.append(ready)
        table = table.assign(**{name: coded[name].to_numpy() for name in coded.columns})
    if any(getattr(instrument, "replaces_control", False) for instrument in bound):
        table = table.assign(_answer=np.where(treated, table["_answer"], -1))
    return dataclasses.replace(study, table=table, instruments=tuple(bound))


def _rows(frame: pd.DataFrame, asks: Questionnaire, placebo: bool) -> pd.DataFrame:
    """Every cell, wave, list version and arm."""
    waves, versions = range(len(asks.waves) or 1), range(len(asks.versions) or 1)
    lists = [(t, t) for t in waves] if asks.versions_are_waves else list(product(waves, versions))
    arms = range(1 + len(asks.treatments) + placebo)
    rows = pd.DataFrame([(cell, *shown, arm) for cell, shown, arm in product(frame.index, lists, arms)],
                        columns=["cell", "wave", "version", "arm"])
    rows["N"] = frame[COUNT].astype(float).loc[rows["cell"]].to_numpy()
    wave = asks.name("wave")
    if not asks.waves or wave not in frame.columns:
        return rows
    own = frame[wave].astype(str).loc[rows["cell"]].to_numpy() == np.array(asks.waves)[rows["wave"]]
    return rows[own].reset_index(drop=True)


def _check(frame: pd.DataFrame, asks: Questionnaire) -> None:
    check_frame(frame)
    wave = asks.name("wave")
    own = {asks.name(role) for role in NAMES if role not in ("strata", "wave")}
    own |= {column for instrument in asks.instruments for column in instrument.columns}
    clash = [name for name in frame.columns if name in own]
    if clash:
        raise InputError(f"population frame: column '{clash[0]}' has a name that the simulated survey gives to a column of its own. "
                         "Rename it.")
    columns = [column for instrument in asks.instruments for column in instrument.columns]
    twice = [c for c in columns if c in {asks.name(role) for role in NAMES} or columns.count(c) > 1]
    if twice:
        raise InputError(f"instruments: column '{twice[0]}' is already a column of the survey. Each needs columns of its own; a second "
                         "list whose arms are told by the first list's column cannot be simulated.")
    if frame.isna().any(axis=None):
        name = frame.columns[frame.isna().any()][0]
        raise InputError(f"population frame: column '{name}' has missing values; everybody in the population has a level.")
    if wave in frame.columns:
        _check_waves([str(label) for label in dict.fromkeys(frame[wave])], asks.waves)
    if asks.versions_are_waves and set(asks.versions) != set(asks.waves):
        raise InputError(f"J = {dict(asks.J) if isinstance(asks.J, Mapping) else asks.J!r}: every wave needs its number of control items; "
                         f"the waves are: {', '.join(asks.waves)}.")


def _check_waves(known: Sequence[str], waves: Sequence[str]) -> None:
    if not set(waves) <= set(known) or not waves:
        raise InputError(f"waves = {list(waves)!r}: the population frame differs by wave, and has: {', '.join(known)}. Name some of these.")
