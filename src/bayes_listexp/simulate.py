"""Simulated studies: drawn by the same rules, formulas and instruments as the models, and the synthetic two-wave survey."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from scipy.optimize import least_squares
from scipy.special import expit, logit

from bayes_listexp import responses
from bayes_listexp.cells import ARMS, arm_of, by_columns
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import Rows, choose
from bayes_listexp.likelihood import arm_slices, report_tables, reported, reported_by
from bayes_listexp.model import build_model
from bayes_listexp.prediction import parameter_names, points, predict
from bayes_listexp.predictive import evaluate
from bayes_listexp.published.table import PublishedTable
from bayes_listexp.specification import Blueprint, Specification, blueprint

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

    ``prevalence`` is P(trait | x), 0 to 1.
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
    recovery studies, simulation-based calibration and planning.

    Raises
    ------
    InputError : a parameter that the model does not have, or of another shape.
    """
    rng = np.random.default_rng(seed)
    plan = blueprint(study, specification)
    values = _complete_parameters(plan, dict(parameters or {}), seed)
    columns = list(plan.cells.frame.columns)
    table = study.complete(columns)[0]
    table = table.loc[table.index.repeat(table["_n"])].assign(_n=1)
    _, cell = by_columns(table, columns)
    observed = [name for name in study.observed if name in table.columns]
    listed = (table["_answer"] >= 0).to_numpy()
    rows = Rows(cell, arm_of(table), table["_answer"].to_numpy(), table["_treated"].to_numpy(dtype=float),
                np.ones(len(table)), np.ones(len(table)), {name: table[name].to_numpy() for name in observed})
    states, prevalence, lapses, told = _drawn_from(plan, values, rows)
    latent = choose(states.reshape(len(states), -1), rng)
    trait, count = np.divmod(latent, plan.J + 1)
    said = reported_by(plan.tables, trait, count, lapses)
    for arm, part in arm_slices(plan.J, plan.arms).items():
        at = np.flatnonzero(rows.arm == ARMS.index(arm))
        table.iloc[at, table.columns.get_loc("_answer")] = choose(said[at, part], rng)
    for instrument, distribution in zip(plan.instruments, told, strict=True):
        table = table.assign(**instrument.draw(rng, rows, (trait, count), distribution))
    drawn = dataclasses.replace(study, table=table.assign(_answer=table["_answer"].where(listed, -1)), synthetic=True,
                                instruments=plan.instruments)
    return Drawn(drawn, trait, count, prevalence, values)


def _complete_parameters(plan: Blueprint, given: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Every parameter that predictions need: those given, the others from one draw of the prior."""
    model = build_model(plan)
    names = parameter_names(plan)
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(f"parameters: '{unknown[0]}' is not a parameter; there are: {', '.join(names)}.")
    drawn = pm.draw([model[name] for name in names], random_seed=seed, mode="FAST_COMPILE")
    out = {}
    for name, value in zip(names, drawn, strict=True):
        out[name] = np.asarray(given.get(name, value), dtype=float)
        if out[name].shape != np.shape(value):
            raise InputError(f"parameters: '{name}' must have the shape {np.shape(value)}, found {out[name].shape}.")
    return out


def _drawn_from(
    plan: Blueprint, values: Mapping[str, np.ndarray], rows: Rows
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """For each person: P(trait, count), P(trait), lapse probabilities, and each instrument's distribution."""
    posterior = xr.Dataset({k: (("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim))), v[None, None]) for k, v in values.items()})
    at, keys = points(plan, plan.cells.frame), list[list[str]]()

    def make(draws: Mapping[str, Any]) -> list[Any]:
        inputs = {name: value[0] for name, value in draws.items()}  # what no parameter enters has no draw dim to take it from
        predicted = predict(plan, inputs, at)
        predictors = {name: pt.take(value, rows.cell, axis=-1) for name, value in predicted.instruments.items()}
        told = [i.distribution(rows, predictors, inputs, plan.J) for i in plan.instruments]
        keys[:] = [list(t) for t in told]
        flat = [value for t in told for value in t.values()]
        return [predicted.states, *(pt.sigmoid(v) for v in predicted.lapses.values()), *flat]

    ((states, *rest),) = evaluate(plan, posterior, make, 1)
    lapses = dict(zip(plan.tables.kept, (q[rows.cell] for q in rest), strict=False))
    rest = rest[len(plan.tables.kept) :]
    distributions = []
    for names in keys:
        distributions.append(dict(zip(names, rest, strict=False)))
        rest = rest[len(names) :]
    states = states[rows.cell]
    return states, states[:, 1].sum(axis=-1), lapses, distributions


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
