"""A synthetic nation over several waves: Kazakhstan's 17 regions and three cities, three ethnicities, and what is true of them.

Every seed is another nation: all effects are drawn anew from the distributions that the constants here state, so that an
interval's coverage over nations means something. Round figures near the census give the regions' sizes and make-up; the
prevalence, the control items and the refusals are made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from bayes_listexp.errors import InputError
from bayes_listexp.simulate import CITIES, ITEM_SHARES, OVERSAMPLE, Simulated, draw_answers

DATES = ("2022-09", "2022-11", "2023-03", "2023-10", "2024-05", "2024-08", "2025-02", "2025-04", "2025-11", "2026-03")
"""Names of the waves, which are their months; the gaps are irregular."""

REGIONS = {
    "Abai": (610, 0.74, 0.21), "Akmola": (790, 0.53, 0.32), "Aktobe": (930, 0.84, 0.11), "Almaty": (2160, 0.63, 0.20),
    "Almaty region": (1530, 0.71, 0.13), "Astana": (1350, 0.80, 0.12), "Atyrau": (690, 0.93, 0.05),
    "East Kazakhstan": (730, 0.53, 0.42), "Jetisu": (700, 0.78, 0.14), "Karaganda": (1130, 0.54, 0.33),
    "Kostanay": (830, 0.42, 0.40), "Kyzylorda": (830, 0.96, 0.02), "Mangystau": (770, 0.91, 0.05),
    "North Kazakhstan": (530, 0.35, 0.49), "Pavlodar": (750, 0.54, 0.34), "Shymkent": (1190, 0.69, 0.09),
    "Turkistan": (2110, 0.77, 0.02), "Ulytau": (220, 0.82, 0.13), "West Kazakhstan": (690, 0.78, 0.17),
    "Zhambyl": (1220, 0.74, 0.09),
}  # fmt: skip
"""Thousands of people, and the shares of Kazakhs and Russians among them. Round figures for a plausible nation, not to be cited."""

ETHNICITIES = ("Kazakh", "Russian", "other")
GENDERS = {"female": 0.52, "male": 0.48}
EDUCATIONS = ("secondary or less", "higher")
HIGHER = {region: 0.5 if region in (*CITIES, "Shymkent") else 0.34 for region in REGIONS}
"""Share of people with higher education."""

SPATIAL = 0.6
"""Share of the regional variance that is smooth over the map; the rest is each region's own."""

TRAIT_LEVEL = (-0.6, 0.3)
"""Mean and standard deviation, over nations, of the prevalence's logit for everybody; 0.35 is -0.6."""

TRAIT_SD = {"gender": 0.25, "education": 0.25, "ethnicity": 0.5, "region": 0.45, "region:ethnicity": 0.2}
"""Standard deviations of effects on the logit of the prevalence, over nations; gender and education: of the difference between
the two. Nations differ in how much their groups do: a nation's own standard deviation is half-normal with this scale."""

TRAIT_STEP = {"national": 0.8, "region": 0.4, "ethnicity": 0.4}
"""Scales of the nations' standard deviations, per square root of a year, of random walks of the prevalence's logit: everybody's
course, and each region's and ethnicity's departure from it. Over the first six waves the walks then have the typical standard
deviations (root of the geometric mean of the waves' variances) that the default priors of waves and of their interactions have
for scale: 0.5, 0.25 and 0.25."""

ITEM_SD = {"gender": 0.15, "education": 0.15, "ethnicity": 0.2, "region": 0.3}
"""The control items' popularity, on the logit: what an effect has for all items and, by as much again, for each."""

ITEM_STEP = 0.2
"""Standard deviation, per square root of a year, of the random walk of each control item's logit."""

ITEM_TRAIT = (0.2, 0.1)
"""How much the logit of every control item is higher for those with the trait: mean and standard deviation over nations."""

INTERVIEWED = {"secondary or less": 0.5, "higher": 0.7}
"""Who takes part when asked to. Those who do not are not in the survey at all."""

LIST_REFUSED = {"secondary or less": 0.14, "higher": 0.05}
"""Share of those interviewed who do not answer the list, in either arm."""

WEIGHT_NOISE = 0.1
"""Standard deviation of the logarithm of the participation rate that the weights know, by wave and education."""


class Nation(NamedTuple):
    """What is true of a nation: ``frame`` has a row per cell with its people ``N``; the logits of the prevalence (cell, wave),
    those of the control items without the trait (cell, wave, item), and how much the trait adds to these.
    """

    frame: pd.DataFrame
    waves: tuple[str, ...]
    trait: np.ndarray
    items: np.ndarray
    item_trait: float


def nation(*, seed: int = 1, n_per_wave: int = 1600, waves: int = 6, first: int = 1, pace: float = 1.0) -> Simulated:
    """A survey of ``n_per_wave`` interviews in each of ``waves`` waves, the nation's frame, and its truth. The ``first`` wave is
    that of :data:`DATES`. ``pace`` multiplies the steps of the prevalence from wave to wave: at 0 nothing changes.

    Almaty and Astana are oversampled to 25 and 20 % of each wave. People with less education take part less often (they are
    missing from the rows) and refuse the list more often (their ``answer`` is missing, as often in either arm). ``weight`` (mean
    1 in a wave) undoes the oversample exactly and non-participation by education approximately, from rates known with an error
    of about 10 %; the refusals of the list it does not touch. Columns ``id``, ``region``, ``ethnicity``, ``gender``,
    ``education``, ``wave``, ``arm``, ``answer``, ``weight``. The truth (:func:`truth_of`) depends on the seed and the waves
    alone, so samples of different sizes can be taken of one nation.

    Raises
    ------
    InputError : more waves than there are :data:`DATES`, or a ``pace`` below 0.
    """
    facts = facts_of(seed=seed, waves=waves, first=first, pace=pace)
    rng = np.random.default_rng([seed, 1])
    survey = pd.concat([_interviews(facts, t, n_per_wave, rng) for t in range(waves)], ignore_index=True)
    survey.insert(0, "id", np.arange(1, len(survey) + 1))
    return Simulated(survey, facts.frame, truth_of(facts))


def facts_of(*, seed: int, waves: int = 6, first: int = 1, pace: float = 1.0) -> Nation:
    """Draw a nation's effects from their distributions; ``pace`` multiplies the steps of the prevalence.

    Raises
    ------
    InputError : more waves than there are :data:`DATES`, or a ``pace`` below 0.
    """
    if not pace >= 0:
        raise InputError(f"pace = {pace}: the steps of the prevalence are multiplied by 0 or more.")
    dates = DATES[first - 1 : first - 1 + waves]
    if min(waves, first) < 1 or len(dates) < waves:
        raise InputError(f"waves = {waves} from the first = {first}: the simulated nation has 1 to {len(DATES)} waves.")
    rng = np.random.default_rng([seed, 0])
    frame, years = population(), _years(dates)
    trait = _trait(frame, years, pace, rng)
    return Nation(frame, dates, trait, _items(frame, years, rng), float(rng.normal(*ITEM_TRAIT)))


def borders() -> list[tuple[str, str]]:
    """Pairs of neighbouring regions, along which the regional prevalence is smooth: the table that comes with the package."""
    with (files("bayes_listexp") / "data" / "kazakhstan_neighbours.csv").open(encoding="utf-8") as table:
        return list(pd.read_csv(table).itertuples(index=False, name=None))


def population() -> pd.DataFrame:
    """The frame: people ``N`` by region, ethnicity, gender and education, the same for every nation and wave."""
    levels = {"region": list(REGIONS), "ethnicity": ETHNICITIES, "gender": list(GENDERS), "education": EDUCATIONS}
    cells = pd.MultiIndex.from_product(levels.values(), names=list(levels)).to_frame(index=False)
    N = [1000 * REGIONS[c.region][0] * _ethnic_share(c.region, c.ethnicity) * GENDERS[c.gender]
         * (HIGHER[c.region] if c.education == "higher" else 1 - HIGHER[c.region]) for c in cells.itertuples()]  # fmt: skip
    return cells.assign(N=np.round(N).astype("int64"))


def cell_truth(facts: Nation) -> pd.DataFrame:
    """The prevalence (0 to 1) of every cell of the frame in every wave: columns of the frame, ``wave``, ``prevalence``."""
    chances = expit(facts.trait)
    return pd.concat([facts.frame.assign(wave=wave, prevalence=chances[:, t]) for t, wave in enumerate(facts.waves)],
                     ignore_index=True)  # fmt: skip


def truth_of(facts: Nation) -> pd.DataFrame:
    """The prevalence of everybody and of every group, by wave: columns ``wave``, ``group``, ``level``, ``prevalence``.

    Levels of the group "region:ethnicity" are written "Almaty:Russian".
    """
    cells = cell_truth(facts)
    groups = {"all": pd.Series("all", index=cells.index)}
    groups |= {name: cells[name] for name in ("region", "ethnicity", "gender", "education")}
    groups["region:ethnicity"] = cells["region"] + ":" + cells["ethnicity"]
    tables = []
    for group, labels in groups.items():
        sums = cells.assign(level=labels, holds=cells["N"] * cells["prevalence"]).groupby(["wave", "level"], sort=False)
        shares = sums["holds"].sum() / sums["N"].sum()
        tables.append(shares.rename("prevalence").reset_index().assign(group=group))
    return pd.concat(tables, ignore_index=True)[["wave", "group", "level", "prevalence"]]


def true_changes(truth: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Prevalence in wave ``second`` minus wave ``first``, on the one population: columns ``group``, ``level``, ``change``.

    Raises
    ------
    InputError : a wave that the truth does not have.
    """
    unknown = [wave for wave in (first, second) if wave not in set(truth["wave"])]
    if unknown:
        raise InputError(f"change: there is no wave '{unknown[0]}'; the waves are: {', '.join(dict.fromkeys(truth['wave']))}.")
    before, after = (truth[truth["wave"] == wave].set_index(["group", "level"])["prevalence"] for wave in (first, second))
    return (after - before).rename("change").reset_index()


def spatial_field(names: Sequence[str], borders: Sequence[tuple[str, str]], rng: np.random.Generator) -> np.ndarray:
    """A draw of an intrinsic autoregression over a connected map, (area,): mean 0, typical variance 1.

    Its precision is the map's Laplacian, scaled so that the geometric mean of the areas' variances is 1 (Riebler et al. 2016).
    """
    at = {name: i for i, name in enumerate(names)}
    laplacian = np.zeros((len(names), len(names)))
    for i, j in ((at[a], at[b]) for a, b in borders):
        laplacian[[i, j], [j, i]] -= 1
        laplacian[[i, j], [i, j]] += 1
    covariance = np.linalg.pinv(laplacian, hermitian=True)
    scaled = covariance / np.exp(np.log(np.diag(covariance)).mean())
    return rng.multivariate_normal(np.zeros(len(names)), scaled, method="eigh")


def _ethnic_share(region: str, ethnicity: str) -> float:
    kazakh, russian = REGIONS[region][1:]
    return {"Kazakh": kazakh, "Russian": russian, "other": 1 - kazakh - russian}[ethnicity]


def _years(waves: Sequence[str]) -> np.ndarray:
    """Time of each wave in years since the first, (wave,)."""
    months = np.array([12 * int(wave[:4]) + int(wave[5:]) for wave in waves])
    return (months - months[0]) / 12


def _walks(number: int, step: float, years: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random walks in real time, (walk, wave), each of mean 0 over the waves; ``step`` is the sd after a year."""
    moves = rng.normal(0, step, (number, len(years))) * np.sqrt(np.diff(years, prepend=years[0]))
    walks = moves.cumsum(axis=1)
    return walks - walks.mean(axis=1, keepdims=True)


def _codes(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Position of each cell's level, (cell,), by factor; region by ethnicity too."""
    levels = {"region": tuple(REGIONS), "ethnicity": ETHNICITIES, "gender": tuple(GENDERS), "education": EDUCATIONS}
    out = {name: pd.Index(known).get_indexer(frame[name]) for name, known in levels.items()}
    return out | {"region:ethnicity": out["region"] * len(ETHNICITIES) + out["ethnicity"]}


def _trait(frame: pd.DataFrame, years: np.ndarray, pace: float, rng: np.random.Generator) -> np.ndarray:
    """Logits of the prevalence, (cell, wave)."""
    code, regions = _codes(frame), len(REGIONS)
    sd, step = ({name: scale * abs(rng.normal()) for name, scale in scales.items()} for scales in (TRAIT_SD, TRAIT_STEP))
    smooth, own = spatial_field(list(REGIONS), borders(), rng), rng.normal(size=regions)
    effects = {
        "gender": rng.normal(0, sd["gender"]) * np.array([-0.5, 0.5]),
        "education": rng.normal(0, sd["education"]) * np.array([-0.5, 0.5]),
        "ethnicity": rng.normal(0, sd["ethnicity"], len(ETHNICITIES)),
        "region": sd["region"] * (np.sqrt(SPATIAL) * smooth + np.sqrt(1 - SPATIAL) * own),
        "region:ethnicity": rng.normal(0, sd["region:ethnicity"], regions * len(ETHNICITIES)),
    }
    fixed = sum(effect[code[name]] for name, effect in effects.items())
    national = _walks(1, pace * step["national"], years, rng)
    regional = _walks(regions, pace * step["region"], years, rng)
    ethnic = _walks(len(ETHNICITIES), pace * step["ethnicity"], years, rng)
    departures = regional[code["region"]] + ethnic[code["ethnicity"]]
    return rng.normal(*TRAIT_LEVEL) + fixed[:, None] + national + departures


def _items(frame: pd.DataFrame, years: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Logits of the control items for those without the trait, (cell, wave, item)."""
    code, J = _codes(frame), len(ITEM_SHARES)
    base = logit(np.array(list(ITEM_SHARES.values()))) + _walks(J, ITEM_STEP, years, rng).T
    fixed = np.zeros((len(frame), J))
    for name, sd in ITEM_SD.items():
        size = int(code[name].max()) + 1
        fixed += (rng.normal(0, sd, (size, 1)) + rng.normal(0, sd, (size, J)))[code[name]]
    return fixed[:, None, :] + base


def _interviews(facts: Nation, t: int, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """One wave: who takes part, their list and their answer to it."""
    frame, education = facts.frame, facts.frame["education"]
    boost = _boost(frame)
    takes_part = _by_education(education, INTERVIEWED)
    chance = frame["N"].to_numpy() * boost * takes_part
    cell = rng.choice(len(frame), size=n, p=chance / chance.sum())
    trait = (rng.random(n) < expit(facts.trait[cell, t])).astype(int)
    likes = expit(facts.items[cell, t] + facts.item_trait * trait[:, None])
    count = (rng.random(likes.shape) < likes).sum(axis=1)
    treated = rng.permutation(np.arange(n) % 2)
    answer = draw_answers(trait, count, treated, likes.shape[1], rng).astype(float)
    answer[rng.random(n) < _by_education(education, LIST_REFUSED)[cell]] = np.nan
    known = {level: rate * np.exp(rng.normal(0, WEIGHT_NOISE)) for level, rate in INTERVIEWED.items()}
    weight = (1 / (boost * _by_education(education, known)))[cell]
    people = frame.drop(columns="N").iloc[cell].reset_index(drop=True)
    return people.assign(wave=facts.waves[t], arm=np.where(treated, "treatment", "control"), answer=answer,
                         weight=weight / weight.mean())  # fmt: skip


def _by_education(education: pd.Series, values: Mapping[str, float]) -> np.ndarray:
    return education.map(values).to_numpy(dtype=float)


def _boost(frame: pd.DataFrame) -> np.ndarray:
    """How much oftener than in proportion each cell's people are approached, (cell,); the oversample's shares are of approaches."""
    share = frame.groupby("region")["N"].sum() / frame["N"].sum()
    rest = (1 - sum(OVERSAMPLE.values())) / share.drop(list(OVERSAMPLE)).sum()
    return frame["region"].map({r: OVERSAMPLE[r] / share[r] if r in OVERSAMPLE else rest for r in REGIONS}).to_numpy(dtype=float)
