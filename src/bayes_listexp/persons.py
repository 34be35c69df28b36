"""People who answer in several waves: what each of them said, and the quadrature that averages over person effects.

A person's answers hang together: somebody to whom many control items apply now is somebody to whom many apply next time. A person
effect is a number that moves all answers of a person alike, one for the control counts and, if wanted, an independent one for the
trait: both are normal on the scale of the linear predictors, given the covariates. Effects are never sampled: they are integrated
out, person by person. Coefficients are those of people of the same effect, while prevalences are averages over everybody's effects.

What this takes for granted: effects last. A person's control counts, and the trait itself, are alike in all waves to the same
degree, however far the waves are apart, and how far people differ is the same in all waves and groups. Attitudes that drift, so that
waves close together are more alike than others, or a trait that stays as it is but for rare changes (a two-state Markov chain), are
not among these models. People who answer once have the same effects, of which a single answer says little: mostly whether counts
vary more than their family allows, so that with few people in several waves the sd of the count's effect rests on that family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.cells import Cells, number_observations, tabulate_rows
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Rows
from bayes_listexp.priors import Prior
from bayes_listexp.survey_design import PERSON

COUNT, TRAIT = "person_count", "person_trait"
EFFECTS: dict[str, tuple[str, ...]] = {"none": (), "count": (COUNT,), "both": (COUNT, TRAIT)}
"""The person effects by the value of ``person``."""

SD_PRIOR = Prior("HalfNormal", (1.0,))
"""Default prior of the standard deviation of either effect, on the scale of the linear predictor."""

RANGE = {COUNT: 5.5, TRAIT: 4.5}
"""Nodes lie within so many standard deviations."""

PER_INFORMATION = {("count", COUNT): 15.0, ("both", COUNT): 11.0, ("both", TRAIT): 6.5}
"""Nodes per root of the information (in units of 1 / variance) that a person's answers may hold beside the prior's, see `rule`."""


class Persons(NamedTuple):
    """Who said what: persons of whom the same is known are one pattern.

    ``rows`` are the distinct observations; ``row`` (person, slot) are the positions in ``rows`` of what a pattern's people said in
    the waves that they took part in, -1 beyond the last; ``n`` (person,) is the number of people of each pattern.
    """

    rows: Rows
    row: np.ndarray
    n: np.ndarray

    @property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Every answer of every pattern once: the pattern (entry,), and the position in ``rows`` (entry,)."""
        person, slot = np.nonzero(self.row >= 0)
        return person, self.row[person, slot]

    @property
    def seen(self) -> Rows:
        """What was observed at each of the ``entries``, (entry,) each."""
        person, at = self.entries
        observed = {name: values[at] for name, values in self.rows.observed.items()}
        rows = self.rows
        return Rows(rows.cell[at], rows.arm[at], rows.answer[at], rows.treated[at], self.n[person], rows.weight[at], observed)


class Rule(NamedTuple):
    """Points of a standard normal distribution, (node,), and their weights, (node,), which sum to one."""

    nodes: np.ndarray
    weights: np.ndarray


def are_followed(study: ListExperiment) -> bool:
    """Whether some people answered in several waves."""
    return PERSON in study.table.columns and bool(study.table[PERSON].duplicated().any())


def refuse_persons(study: ListExperiment, person: str, dependence: str, weighting: str) -> None:
    """Refuse person effects in studies and models that do not go with them.

    Raises
    ------
    InputError : naming what does not go with what, and the way out.
    """
    if person not in EFFECTS:
        raise InputError(f"person = '{person}': say one of {', '.join(EFFECTS)}.")
    if person == "none":
        return
    given = f"person = '{person}'"
    if PERSON not in study.table.columns:
        raise InputError(f"{given}: who is the same person in several waves is not known. Name the column of ids with `ids` when "
                         "building the study from respondents, or use person = 'none'.")
    if study.missing == "model" and study.table[list(study.covariates)].isna().any(axis=None):
        raise InputError(f"{given}: missing covariates cannot be modelled together with person effects. Build the study with "
                         "missing = 'drop' or 'level', or use person = 'none'.")
    if study.version is not None:
        raise InputError(f"{given}: with several list versions the counts of a person's lists are not on one scale, and what an effect on "
                         f"all of them would be is not built. Make a study of one version (those whose '{study.version}' is the same), or "
                         "use person = 'none'.")
    if weighting != "none":
        raise InputError(f"{given}: a person's answers may have different weights, which no weighted likelihood of persons has a place "
                         "for. Use weighting = 'none' with the weighting variables in the formulas and a population frame; or person = "
                         "'none', whose weighted draws take persons for the sampled units.")
    if person == "both" and study.item is not None:
        raise InputError(f"{given}: with several sensitive items there is not one trait that a person could have in all waves. Use "
                         "person = 'count', or make one study of each item.")
    if person == "both" and dependence in ("linear", "smooth"):
        raise InputError(f"{given}: dependence = '{dependence}' models the trait given the count, which already makes a person's "
                         "traits alike through the effect on the counts. Use person = 'count', or dependence = 'shift'.")


def are_needed(study: ListExperiment, person: str, cells: Cells) -> bool:
    """Whether persons are to be tabulated: for their effects, or to leave out one person at a time when models are compared."""
    return person != "none" or (cells.incomplete is None and study.version is None and are_followed(study))


def draw_effects(
    person: str, table: pd.DataFrame, values: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """A draw of each person effect at the rows of a study's ``table``, (row,): the same in all rows of a person."""
    number = table[PERSON].to_numpy() if EFFECTS[person] else np.zeros(0, dtype="int64")
    return {effect: values[f"{effect}_sd"] * rng.normal(size=number.max() + 1)[number] for effect in EFFECTS[person]}


def persons_of(study: ListExperiment, columns: Sequence[str], instruments: bool) -> Persons:
    """The persons of a study with ids by what is known of them, in cells by ``columns``.

    Without ``instruments`` an observation is a cell, arm and answer. Answers that lack a covariate are left out as in
    :meth:`ListExperiment.complete`; the person's other answers are not.
    """
    observed, complete = study.observed if instruments else (), study.complete(columns)[0]
    _, group, table = number_observations(complete, columns, observed)
    number, person = np.unique(table[PERSON].to_numpy(), return_inverse=True)
    order = np.lexsort((group, person))
    person, group = person[order], group[order]
    slot = np.arange(len(person)) - np.searchsorted(person, person)
    said = np.full((len(number), int(slot.max(initial=0)) + 1), -1, dtype="int64")
    said[person, slot] = group
    row, n = np.unique(said, axis=0, return_counts=True)
    return Persons(tabulate_rows(complete, columns, observed), row, n)


def rule(effect: str, person: str, persons: Persons, J: int) -> Rule:
    """The trapezoidal rule for an effect, as fine as what its people's answers may say of it.

    Where a person's answers leave a narrow range for the effect, nodes must be close together. In units of its sd s this range is
    about 1 / sqrt(1 + s^2 I) wide; T lists of J items hold information I of up to T J / 4 on the effect on the count, and less on that
    on the trait. A trapezoidal rule then is far more exact than a Gauss-Hermite rule of the same size, whose nodes are
    sparse where the large effects are. With sds of up to 1.5 a person's log-likelihood is exact to about
    1e-7 on average ("both": 2e-5); docs/panel.md has a table.
    """
    waves = persons.row.shape[1]
    information = (waves * J / 4 if effect == COUNT else waves) + 0.7
    size = 2 * int(np.ceil(PER_INFORMATION[person, effect] * np.sqrt(information) / 2)) + 1
    return trapezoidal(size, RANGE[effect])


def trapezoidal(size: int, width: float) -> Rule:
    """A rule of ``size`` equidistant points of a standard normal distribution between -``width`` and ``width``."""
    nodes = np.linspace(-width, width, size)
    weights = np.exp(-0.5 * nodes**2)
    return Rule(nodes, weights / weights.sum())
