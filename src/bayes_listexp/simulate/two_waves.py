"""The synthetic two-wave survey, whose design follows the published CSTO study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import expit, logit

from bayes_listexp.published.table import PublishedTable
from bayes_listexp.simulate.answers import draw_answers
from bayes_listexp.simulate.records import Simulated

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
