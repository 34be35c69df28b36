"""New answers of given people, drawn from a model: list, instruments, lapses and all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import responses
from bayes_listexp.cells import ARMS, arm_of, by_columns
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Rows, choose
from bayes_listexp.likelihood import reported, reported_by
from bayes_listexp.lists import rows_of
from bayes_listexp.persons import EFFECTS, draw_effects
from bayes_listexp.reporting import arm_slices, report_tables
from bayes_listexp.simulate.from_parameters import People, Values, complete_parameters, people_of
from bayes_listexp.simulate.records import Drawn
from bayes_listexp.specification import Blueprint, Specification, blueprint


def draw_study(
    study: ListExperiment, specification: Specification, parameters: Mapping[str, Any] | None = None, *, seed: int
) -> Drawn:
    """The same people, lists and questions with new answers, drawn from a model: list, instruments, lapses and all.

    ``study`` gives the design: covariates, arms, who is asked what; its answers are not used, but for what instruments are
    bound by (levels and scales). ``parameters`` are the model's by their names in a fitted tree, those of linear predictors
    on their scale (intercept of the average respondent); what is not given is drawn from its prior. So one call serves
    recovery studies, simulation-based calibration and planning. With person effects each person has one draw of them for all waves.

    Raises
    ------
    InputError : a parameter that the model does not have, or of another shape.
    """
    return next(draw_studies(study, specification, parameters, seed=seed, number=1))


def draw_studies(
    study: ListExperiment,
    specification: Specification,
    parameters: Mapping[str, Any] | None = None,
    *,
    seed: int,
    number: int,
) -> Iterator[Drawn]:
    """That many studies, see :func:`draw_study`, each with its own draw of the parameters that are not given. The formulas are
    compiled once for all studies.

    Raises
    ------
    InputError : as :func:`draw_study`.
    """
    plan = blueprint(study, specification)
    values = complete_parameters(plan, dict(parameters or {}), seed, number)
    columns = list(plan.cells.frame.columns)
    table = study.complete(columns)[0]
    table = table.loc[table.index.repeat(table["_n"])].assign(_n=1)
    rows = rows_in(table, by_columns(table, columns)[1], study.observed)
    template = dataclasses.replace(study, table=table, synthetic=True, instruments=plan.instruments)
    speakers = speakers_of(plan, values, EFFECTS[specification.person], study.observed)
    for i in range(number):
        own, rng = {name: value[i] for name, value in values.items()}, np.random.default_rng([seed, i])
        effects = draw_effects(specification.person, table, own, rng)
        drawn = said_by(speakers, own, rows, effects, rng)
        trait, count, prevalence = (drawn.pop(name) for name in ("trait", "count", "prevalence"))
        yield Drawn(dataclasses.replace(template, table=table.assign(**drawn)), trait, count, prevalence, own)


class Speaker(NamedTuple):
    """Those who are shown one list: its blueprint, its cells (cell,) among those of all lists, and what parameters say of people."""

    plan: Blueprint
    here: np.ndarray
    says: Callable[[Values, Rows, Values], People]


def speakers_of(plan: Blueprint, values: Values, effects: Sequence[str], observed: Sequence[str]) -> list[Speaker]:
    """One for each list of ``plan``, compiled for parameters shaped as ``values`` (study, ...), ``effects`` on each person and the
    instruments' coded columns ``observed``.
    """
    cells = np.arange(len(plan.cells.frame))
    whole = np.ones(len(cells), dtype=bool)
    return [Speaker(part, whole if part.within is None else np.isin(cells, part.within), people_of(part, values, effects, observed))
            for part in plan.parts]


def rows_in(table: pd.DataFrame, cell: np.ndarray, observed: Sequence[str]) -> Rows:
    """The people of a study's ``table``, one each, in the cells ``cell`` (row,), and the columns ``observed`` of instruments."""
    one = np.ones(len(table))
    return Rows(cell, arm_of(table), table["_answer"].to_numpy(), table["_treated"].to_numpy(dtype=float), one, one,
                {name: table[name].to_numpy() for name in observed})


def said_by(speakers: Sequence[Speaker], own: Values, rows: Rows, effects: Values, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Trait, count and P(trait) of people, (row,) each, and their coded columns: answers, and what instruments observe.

    ``own`` are the parameters of one study; ``effects`` (row,) are those of each person on count or trait.
    """
    out: dict[str, np.ndarray] = {}
    for speaker in speakers:
        whom = np.flatnonzero(speaker.here[rows.cell])
        theirs = rows_of(rows, speaker.here)
        people = speaker.says(own, theirs, {name: effect[whom] for name, effect in effects.items()})
        for name, values in _said(speaker.plan, theirs, people, rng).items():
            out.setdefault(name, np.empty(len(rows.cell), dtype=values.dtype))[whom] = values
    return out


def _said(plan: Blueprint, rows: Rows, people: People, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What those who were shown one list are and say."""
    states, prevalence, lapses, told = people
    trait, count = np.divmod(choose(states.reshape(len(states), -1), rng), plan.J + 1)
    said, answers = reported_by(plan.tables, trait, count, lapses), np.full(len(trait), -1)
    for arm, part in arm_slices(plan.J, plan.arms).items():
        at = np.flatnonzero(rows.arm == ARMS.index(arm))
        answers[at] = choose(said[at, part], rng)
    observed = {name: column for instrument, distribution in zip(plan.instruments, told, strict=True)
                for name, column in instrument.draw(rng, rows, (trait, count), distribution).items()}
    return {"trait": trait, "count": count, "prevalence": prevalence, "_answer": answers, **observed}


def draw_answers(
    trait: np.ndarray,
    count: np.ndarray,
    treated: np.ndarray,
    J: int,
    rng: np.random.Generator,
    *,
    response: str = "truthful",
    lapses: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Answers of people with a latent ``trait`` and ``count`` (person,), by the rules of a response model.

    ``lapses`` gives the probability of each lapse of the model.

    Raises
    ------
    InputError : a lapse of the model has no probability between 0 and 1.
    """
    catalogue = responses.lapses(response)
    chances = dict(lapses or {})
    for name in {*catalogue, *chances}:
        if name not in catalogue or not 0 <= chances.get(name, -1) <= 1:
            raise InputError(
                f"lapses: '{name}' needs a probability between 0 and 1 and must be one of: {', '.join(catalogue)}."
            )
    tables = report_tables(catalogue, J)
    said = reported(tables, {name: (1 - q, q) for name, q in chances.items()})
    answers = np.empty(len(trait), dtype=int)
    for treated_arm, columns in enumerate(arm_slices(J).values()):
        rows = np.flatnonzero(np.asarray(treated, dtype=int) == treated_arm)
        answers[rows] = choose(said[trait[rows], count[rows], columns], rng)
    return answers
