"""Simulated studies: drawn by the same rules, formulas and instruments as the models, and the synthetic two-wave survey."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from scipy.optimize import least_squares
from scipy.special import expit, logit

from bayes_listexp import responses
from bayes_listexp.cells import ARMS, arm_of, by_columns
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Rows, choose
from bayes_listexp.likelihood import reported, reported_by
from bayes_listexp.lists import rows_of
from bayes_listexp.model import build_model
from bayes_listexp.persons import EFFECTS, draw_effects
from bayes_listexp.prediction import parameter_names, points, predict, predict_given
from bayes_listexp.published.table import PublishedTable
from bayes_listexp.reporting import arm_slices, report_tables
from bayes_listexp.specification import GROUP_PARTS, Blueprint, Specification, blueprint

WAVES = ("2022-09", "2022-11")
EDUCATION = (
    "7th grade or lower",
    "secondary 8-9th grade",
    "full general secondary",
    "secondary specialised",
    "incomplete higher",
    "full higher",
)
EDUCATION_SHARES = (0.02, 0.07, 0.20, 0.196, 0.114, 0.40)  # sums to the published 48.6 and 51.4 % in two groups
ETHNICITY_SHARES = {"Kazakh": 0.70, "Russian": 0.17, "Uzbek": 0.05, "Ukrainian": 0.03, "Uyghur": 0.03, "German": 0.02}
CITIES = {"Almaty": 0.10, "Astana": 0.07}
OVERSAMPLE = {"Almaty": 0.25, "Astana": 0.20}
OTHER_REGIONS = (
    "Abai",
    "Akmola",
    "Aktobe",
    "Almaty region",
    "Atyrau",
    "East Kazakhstan",
    "Jetisu",
    "Karaganda",
    "Kostanay",
    "Kyzylorda",
    "Mangystau",
    "North Kazakhstan",
    "Pavlodar",
    "Shymkent",
    "Turkistan",
    "Ulytau",
    "West Kazakhstan",
    "Zhambyl",
)
NORTHERN = ("Abai", "Akmola", "East Kazakhstan", "Karaganda", "Kostanay", "North Kazakhstan", "Pavlodar")
ITEM_SHARES = {"foreign investment": 0.86, "Eurasian Economic Union": 0.72, "tourism": 0.80, "labour migration": 0.38}
NOVEMBER = {
    ("all", "all"): 0.35,
    ("gender", "male"): 0.40,
    ("gender", "female"): 0.31,
    ("ethnicity", "Kazakh"): 0.33,
    ("ethnicity", "Russian"): 0.38,
}


class Simulated(NamedTuple):
    """A simulated survey, its population frame, and what is true in that population.

    ``truth`` has one row per wave and group: ``wave``, ``group``, ``level``, ``prevalence`` (0 to 1).
    """

    survey: pd.DataFrame
    population: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class Drawn:
    """A study drawn from a model, with what nobody can see: one value per row of ``study.table``, and the parameters.

    ``prevalence`` is P(trait | x), 0 to 1. Among the ``parameters`` are those that group effects were drawn with (their sd, ...).
    """

    study: ListExperiment
    trait: np.ndarray
    count: np.ndarray
    prevalence: np.ndarray
    parameters: Mapping[str, np.ndarray]


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
    """That many studies, see :func:`draw_study`, each with its own draw of the parameters that are not given. What the
    parameters say of people is computed for all studies at once.

    Raises
    ------
    InputError : as :func:`draw_study`.
    """
    plan = blueprint(study, specification)
    values = _complete_parameters(plan, dict(parameters or {}), seed, number)
    columns = list(plan.cells.frame.columns)
    table = study.complete(columns)[0]
    table = table.loc[table.index.repeat(table["_n"])].assign(_n=1)
    _, cell = by_columns(table, columns)
    rows = Rows(cell, arm_of(table), table["_answer"].to_numpy(), table["_treated"].to_numpy(dtype=float),
                np.ones(len(table)), np.ones(len(table)), {name: table[name].to_numpy() for name in study.observed})
    template = dataclasses.replace(study, table=table, synthetic=True, instruments=plan.instruments)
    lists = [_of_list(part, values, rows, len(plan.cells.frame)) for part in plan.parts]
    for i in range(number):
        own, rng = {name: value[i] for name, value in values.items()}, np.random.default_rng([seed, i])
        effects = draw_effects(specification.person, table, own, rng)
        yield _drawn(template, [(one.whom, _said(one, one.says(own | effects), rng)) for one in lists], own)


class People(NamedTuple):
    """What parameters say of each person: P(trait, count), P(trait), lapse probabilities, each instrument's distribution."""

    states: np.ndarray
    prevalence: np.ndarray
    lapses: Mapping[str, np.ndarray]
    told: Sequence[Mapping[str, np.ndarray]]


class OfList(NamedTuple):
    """Those who were shown one list: its blueprint, their positions among all people, their rows, and what parameters say of them."""

    plan: Blueprint
    whom: np.ndarray
    rows: Rows
    says: Callable[[Mapping[str, np.ndarray]], People]


def _of_list(plan: Blueprint, values: Mapping[str, np.ndarray], rows: Rows, cells: int) -> OfList:
    """Those of the people ``rows`` whose cell, one of all ``cells``, is of the list of ``plan``."""
    here = np.ones(cells, dtype=bool) if plan.within is None else np.isin(np.arange(cells), plan.within)
    own = rows_of(rows, here)
    return OfList(plan, np.flatnonzero(here[rows.cell]), own, _people(plan, values, own))


def _drawn(
    template: ListExperiment, lists: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]], values: Mapping[str, np.ndarray]
) -> Drawn:
    """One study from what the people of each list, at their positions, are and say."""
    out = {}
    for name, first in lists[0][1].items():
        out[name] = np.empty(len(template.table), dtype=first.dtype)
        for whom, own in lists:
            out[name][whom] = own[name]
    trait, count, prevalence = (out.pop(name) for name in ("trait", "count", "prevalence"))
    drawn = dataclasses.replace(template, table=template.table.assign(**out))
    return Drawn(drawn, trait, count, prevalence, values)


def _said(people_of_list: OfList, people: People, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Trait, count and P(trait) of those who were shown one list, and their coded columns: answers, and what instruments observe."""
    plan, _, rows, _ = people_of_list
    states, prevalence, lapses, told = people
    trait, count = np.divmod(choose(states.reshape(len(states), -1), rng), plan.J + 1)
    said, answers = reported_by(plan.tables, trait, count, lapses), np.full(len(trait), -1)
    for arm, part in arm_slices(plan.J, plan.arms).items():
        at = np.flatnonzero(rows.arm == ARMS.index(arm))
        answers[at] = choose(said[at, part], rng)
    observed = {name: column for instrument, distribution in zip(plan.instruments, told, strict=True)
                for name, column in instrument.draw(rng, rows, (trait, count), distribution).items()}
    return {"trait": trait, "count": count, "prevalence": prevalence, "_answer": answers, **observed}


def _complete_parameters(plan: Blueprint, given: dict[str, Any], seed: int, number: int) -> dict[str, np.ndarray]:
    """Every parameter that predictions need, (study, ...): those given, the others drawn from the prior, and with what they were."""
    model = build_model(plan)
    names = parameter_names(plan)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(f"parameters: '{unknown[0]}' is not a parameter; there are: {', '.join(names)}.")
    names += tuple(name for name in _hyperparameters(plan, given) if name in model.named_vars)
    drawn = pm.draw([model[name] for name in names], draws=number, random_seed=seed, mode="FAST_COMPILE")
    out = {}
    for name, values in zip(names, drawn, strict=True):
        shape = np.shape(values)[1:] if number > 1 else np.shape(values)
        value = np.asarray(given.get(name, np.zeros(shape)), dtype=float)
        if value.shape != shape:
            raise InputError(f"parameters: '{name}' must have the shape {shape}, found {value.shape}.")
        out[name] = np.broadcast_to(value, (number, *shape)) if name in given else np.reshape(values, (number, *shape))
    return out


def _hyperparameters(plan: Blueprint, given: Mapping[str, Any]) -> list[str]:
    """Names of what may describe group effects that are not given."""
    terms = [f"{name}_{term.name}" for name, bound in plan.designs.items() for term in bound.groups]
    return [f"{term}_{part}" for term in terms if term not in given for part in (*GROUP_PARTS, "correlation")]


def _people(plan: Blueprint, values: Mapping[str, np.ndarray], rows: Rows) -> Callable[[Mapping[str, np.ndarray]], People]:
    """A compiled function from parameters, and effects of each person where there are any, to what they say of each person."""
    effects = EFFECTS[plan.specification.person]
    at = points(plan, plan.cells.frame.iloc[rows.cell].reset_index(drop=True) if effects else plan.cells.frame)
    where = np.arange(len(rows.cell)) if effects else rows.cell
    inputs = {name: pt.tensor(name, dtype="float64", shape=value.shape[1:]) for name, value in values.items()}
    inputs |= {effect: pt.vector(effect, dtype="float64") for effect in effects}
    predicted = predict_given(plan, inputs, at)
    predictors = {name: pt.take(value, where, axis=-1) for name, value in predicted.instruments.items()}
    told = [i.distribution(rows, predictors, inputs, plan.J) for i in plan.instruments]
    flat = [pt.as_tensor(value) for each in told for value in each.values()]
    everybody = predict(plan, {name: value for name, value in inputs.items() if name not in effects}, at).states[:, 1].sum(axis=-1)
    outputs = [predicted.states, everybody, *(pt.sigmoid(logit) for logit in predicted.lapses.values()), *flat]
    compiled = pytensor.function(list(inputs.values()), outputs, mode="FAST_COMPILE", on_unused_input="ignore")

    def say(own: Mapping[str, np.ndarray]) -> People:
        states, prevalence, *rest = compiled(*(own[name] for name in inputs))
        lapses = {name: rest.pop(0)[where] for name in predicted.lapses}
        distributions = [{name: rest.pop(0) for name in each} for each in told]
        return People(states[where], prevalence[where], lapses, distributions)

    return say


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


def two_wave_survey(table: PublishedTable, *, n_per_wave: int = 1200, seed: int = 20220914) -> Simulated:
    """A synthetic two-wave survey whose design follows the published CSTO study.

    Four control items, waves of September and November 2022, gender, education in six levels, ethnicity, 20 regions with
    an oversample of Almaty and Astana, weights that undo it, and a few missing answers. September prevalences are
    calibrated to the differences of the published means, November's to the published 35 %; their split by gender and
    ethnicity, the regions' shares of the population and all else are made up. Nothing here is an observation.
    """
    rng = np.random.default_rng(seed)
    population = _population()
    regional = _regional_effects(np.random.default_rng(seed + 1))
    offsets = {w: population["region"].map(regional[w]).to_numpy(dtype=float) for w in WAVES}
    targets = dict(zip(WAVES, (_published_supports(table), NOVEMBER), strict=True))
    chances = {w: _calibrated(population, targets[w], offsets[w]) for w in WAVES}
    survey = pd.concat([_draw_wave(population, chances[w], w, n_per_wave, rng) for w in WAVES], ignore_index=True)
    survey.insert(0, "id", np.arange(1, len(survey) + 1))
    return Simulated(survey, _grouped_frame(population), _truth(population, chances))


def _population() -> pd.DataFrame:
    """Cells of the synthetic population with their number of people: Russians live more in the north."""
    rest = 1 - sum(CITIES.values())
    sizes = 1 / (2 + np.arange(len(OTHER_REGIONS)) % 6)
    regions = CITIES | dict(zip(OTHER_REGIONS, rest * sizes / sizes.sum(), strict=True))
    cells = pd.MultiIndex.from_product(
        [["female", "male"], EDUCATION, list(ETHNICITY_SHARES), list(regions)],
        names=["gender", "education", "ethnicity", "region"],
    ).to_frame(index=False)
    north = cells["region"].isin(NORTHERN) & (cells["ethnicity"] == "Russian")
    share = (
        0.5
        * cells["education"].map(dict(zip(EDUCATION, EDUCATION_SHARES, strict=True)))
        * cells["region"].map(regions)
        * cells["ethnicity"].map(ETHNICITY_SHARES)
        * np.where(north, 2.0, 1.0)
    )
    return cells.assign(N=np.round(12_000_000 * share / share.sum()).astype(int))


def _university(cells: pd.DataFrame) -> np.ndarray:
    return cells["education"].isin(EDUCATION[4:]).to_numpy()


def _features(cells: pd.DataFrame) -> np.ndarray:
    return np.column_stack(
        [
            np.ones(len(cells)),
            cells["gender"] == "male",
            _university(cells),
            cells["ethnicity"] == "Russian",
            ~cells["ethnicity"].isin(["Kazakh", "Russian"]),
        ]
    ).astype(float)


def _calibrated(population: pd.DataFrame, targets: Mapping[tuple[str, str], float], offset: np.ndarray) -> np.ndarray:
    """P(trait) by cell whose group prevalences come closest to the targets (least squares, effects weakly pulled to zero)."""
    mass = population["N"].to_numpy(dtype=float)
    groups = [(_member(population, group, level), value) for (group, level), value in targets.items()]
    features = _features(population)

    def misfit(effects: np.ndarray) -> np.ndarray:
        chances = expit(features @ effects + offset)
        fitted = [(mass * rows) @ chances / (mass @ rows) - value for rows, value in groups]
        return np.array([*fitted, *(0.02 * effects[1:])])

    return expit(features @ least_squares(misfit, np.zeros(features.shape[1])).x + offset)


def _member(cells: pd.DataFrame, group: str, level: str) -> np.ndarray:
    if group == "all":
        return np.ones(len(cells))
    if group == "education":
        return (_university(cells) == (level == "university")).astype(float)
    return (cells[group] == level).to_numpy(dtype=float)


def _published_supports(table: PublishedTable) -> dict[tuple[str, str], float]:
    """Differences of the published means for everybody, gender, education and ethnicity."""
    return {
        (row.group, row.level): row.mean_treatment.value - row.mean_control.value
        for row in table.rows
        if row.group != "region"
    }


def _regional_effects(rng: np.random.Generator) -> dict[str, dict[str, float]]:
    names = [*CITIES, *OTHER_REGIONS]
    level = rng.normal(0, 0.4, len(names))
    move = rng.normal(0, 0.25, len(names))
    return {w: dict(zip(names, level + i * move, strict=True)) for i, w in enumerate(WAVES)}


def _draw_wave(
    population: pd.DataFrame, chances: np.ndarray, wave: str, n: int, rng: np.random.Generator
) -> pd.DataFrame:
    share = population["N"] / population["N"].sum()
    boost = population["region"].map({r: OVERSAMPLE[r] / share[population["region"] == r].sum() for r in OVERSAMPLE})
    rest = (1 - sum(OVERSAMPLE.values())) / share[~population["region"].isin(OVERSAMPLE)].sum()
    boost = boost.fillna(rest).to_numpy(dtype=float)
    picked = rng.choice(len(population), size=n, p=share * boost / (share * boost).sum())
    people = population.iloc[picked].drop(columns="N").reset_index(drop=True)
    trait = (rng.random(n) < chances[picked]).astype(int)
    treated = rng.permutation(np.arange(n) % 2)
    answers = draw_answers(trait, _draw_counts(people, trait, rng), treated, len(ITEM_SHARES), rng)
    people = people.assign(
        wave=wave,
        arm=np.where(treated, "treatment", "control"),
        answer=answers.astype(float),
        weight=np.round(1 / boost[picked], 4),
    )
    return _with_missing(people, rng)


def _draw_counts(people: pd.DataFrame, trait: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Independent items of unequal popularity; men and graduates approve of fewer, and the EEU goes with the CSTO."""
    lean = -0.18 * (people["gender"] == "male") - 0.10 * _university(people) + 0.14
    base = logit(np.array(list(ITEM_SHARES.values())))
    together = np.array([0.0, 0.5, 0.0, 0.0]) * (trait - 0.5)[:, None]
    return (rng.random((len(people), len(base))) < expit(base + lean.to_numpy(dtype=float)[:, None] + together)).sum(
        axis=1
    )


def _with_missing(people: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    out = people.copy()
    for column, share in (("answer", 0.03), ("education", 0.015), ("ethnicity", 0.01)):
        out[column] = out[column].where(rng.random(len(out)) >= share)
    return out


def _grouped_frame(population: pd.DataFrame) -> pd.DataFrame:
    """The frame in the groups of the analysis: two levels of education, three of ethnicity."""
    ethnicity = population["ethnicity"].where(population["ethnicity"].isin(["Kazakh", "Russian"]), "other")
    education = np.where(_university(population), "university", "secondary or less")
    frame = population.assign(ethnicity=ethnicity, education=education)
    return frame.groupby(["gender", "education", "ethnicity", "region"], as_index=False, sort=True)["N"].sum()


def _truth(population: pd.DataFrame, chances: Mapping[str, np.ndarray]) -> pd.DataFrame:
    mass = population["N"].to_numpy(dtype=float)
    ethnicity = population["ethnicity"].where(population["ethnicity"].isin(["Kazakh", "Russian"]), "other")
    education = pd.Series(np.where(_university(population), "university", "secondary or less"))
    groups = {
        "gender": population["gender"],
        "education": education,
        "ethnicity": ethnicity,
        "region": population["region"],
    }
    rows = []
    for wave, p in chances.items():
        rows.append((wave, "all", "all", float(mass @ p / mass.sum())))
        for group, labels in groups.items():
            for level in dict.fromkeys(labels):
                inside = mass * (labels == level).to_numpy()
                rows.append((wave, group, level, float(inside @ p / inside.sum())))
    return pd.DataFrame(rows, columns=["wave", "group", "level", "prevalence"])
