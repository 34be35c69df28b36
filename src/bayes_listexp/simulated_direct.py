"""A synthetic survey with a list and a direct question, drawn from the model itself, with what is true of its population."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import NO, REFUSED, YES, DirectQuestion
from bayes_listexp.simulate import Simulated, draw_study
from bayes_listexp.specification import Specification

REGIONS = {"Centre": 0.20, "North": 0.18, "East": 0.17, "South": 0.22, "West": 0.15, "Capital": 0.08}
REGIONAL = {"Centre": 0.0, "North": 0.35, "East": -0.25, "South": 0.2, "West": -0.4, "Capital": -0.6}
WORDS = {NO: "no", YES: "yes", REFUSED: "refused"}
PEOPLE = 1_000_000
PARAMETERS = {
    "trait_intercept": -0.5,
    "control_intercept": 0.1,
    "direct_lie_intercept": -0.3,
    "direct_lie_slope": [0.7],
    "direct_lie_count": 0.2,
    "direct_refusal_intercept": -2.6,
    "direct_refusal_trait": 0.9,
}
MALE = 0.5
"""Of men, on the logit of the trait; :data:`REGIONAL` likewise."""


def list_and_direct(*, n: int = 1000, seed: int = 20240601) -> Simulated:
    """A survey of ``n`` people in six regions with three control items, half of them shown the sensitive item, and a direct question.

    Everybody is asked directly; some with the trait deny it (men more often), nobody claims it falsely, and those with the trait
    refuse more often. Columns ``arm``, ``answer``, ``asked`` (yes, no, refused), ``gender`` and ``region``; the population frame
    has gender and region. Everything is made up: the answers are drawn by :func:`bayes_listexp.simulate.draw_study`.
    """
    rng = np.random.default_rng(seed)
    population = pd.MultiIndex.from_product([["female", "male"], list(REGIONS)], names=["gender", "region"]).to_frame(index=False)
    population["N"] = (PEOPLE / 2 * population["region"].map(REGIONS)).round().astype(int)
    people = population.iloc[rng.choice(len(population), size=n, p=population["N"] / population["N"].sum())]
    people = people.drop(columns="N").reset_index(drop=True).assign(arm=rng.permutation(np.arange(n) % 2), answer=0)
    people["asked"] = np.where(np.arange(n) % 2, "no", "refused")  # any answers: all are drawn anew
    question = DirectQuestion("asked", yes="yes", no="no", refused="refused", lie="1 + gender")
    design = ListExperiment.from_frame(people, answer="answer", arm="arm", J=3, instruments=[question])
    model = Specification("1 + gender + region", "1", counts="binomial", dependence="none")
    levels = [level for level in design.table["region"].cat.categories if level in set(people["region"])]
    effects = [MALE, *(REGIONAL[level] - REGIONAL[levels[0]] for level in levels[1:])]
    drawn = draw_study(design, model, PARAMETERS | {"trait_slope": effects}, seed=seed + 1)
    table = drawn.study.table
    survey = people.assign(
        arm=np.where(table["_treated"], "treatment", "control"),
        answer=table["_answer"].to_numpy(),
        asked=table["_direct"].map(WORDS).to_numpy(),
    )
    return Simulated(survey, population, _truth(population, people.assign(prevalence=drawn.prevalence)))


def _truth(population: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """Prevalence in the population, overall and by gender and region: P(trait | x) is the same for all people of a cell."""
    cells = population.merge(people.groupby(["gender", "region"], as_index=False)["prevalence"].first())
    rows = [("all", "all", float(np.average(cells["prevalence"], weights=cells["N"])))]
    for group in ("gender", "region"):
        for level, inside in cells.groupby(group, sort=False):
            rows.append((group, str(level), float(np.average(inside["prevalence"], weights=inside["N"]))))
    return pd.DataFrame(rows, columns=["group", "level", "prevalence"])
