"""Whole surveys: people drawn from a population frame, their answers by the models' formulas, refusals, and the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from bayes_listexp.errors import InputError
from bayes_listexp.instrument import asked_by, written_by
from bayes_listexp.persons import EFFECTS
from bayes_listexp.population import COUNT, PopulationFrame, as_frame
from bayes_listexp.simulate.answers import Speaker, rows_in, said_by, speakers_of
from bayes_listexp.simulate.from_parameters import complete_parameters
from bayes_listexp.simulate.known import (
    CLUSTER_SDS,
    Known,
    Whole,
    calibrated,
    read_truth,
    sds_of,
    truth_table,
    whole_of,
)
from bayes_listexp.simulate.records import Simulated
from bayes_listexp.simulate.sampling import ByLevel, Sampling, by_level, check_rates, interviews
from bayes_listexp.simulate.template import Questionnaire, Template, template
from bayes_listexp.specification import Specification


@dataclass(frozen=True)
class Refusals:
    """Who does not answer the list, and which covariates are missing.

    Attributes
    ----------
    share : probability that a respondent of the control arm without the trait does not answer the list.
    by : the same by level of columns, such as {"education": {"higher": 0.05, "secondary": 0.14}}. Of several, and with ``share``,
        each is a reason of its own: somebody answers who has none of them.
    treated_odds : by how much the odds of refusing are multiplied in the treatment arm.
    trait_odds : by how much they are multiplied in the treatment arm for those with the trait, beside ``treated_odds``.
    missing : share of respondents whose covariate is missing, completely at random, by column.
    """

    share: float = 0.0
    by: ByLevel = field(default_factory=dict)
    treated_odds: float = 1.0
    trait_odds: float = 1.0
    missing: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rates("refusals", {"share": {"all": self.share}, "missing": self.missing, **self.by})
        if min(self.treated_odds, self.trait_odds) < 0:
            raise InputError(f"refusals: treated_odds = {self.treated_odds!r} and trait_odds = {self.trait_odds!r} must be at least 0.")


def simulate_survey(
    population: pd.DataFrame | PopulationFrame,
    specification: Specification | None = None,
    sampling: Sampling | None = None,
    truth: Mapping[str, Any] | None = None,
    *,
    asks: Questionnaire | None = None,
    refusals: Refusals | None = None,
    seed: int,
) -> Simulated:
    """A survey of people of a population, drawn by the formulas of the model ``specification``, with what is true.

    Parameters
    ----------
    population : cells of people with their number ``N``; or by wave, in the column of the waves.
    specification : any model: formulas over the population's columns, response model, family of counts, dependence, person effects.
        The default has an intercept each.
    sampling : who is interviewed, :class:`Sampling`; by default 1,000 people at random, half of them with the treatment list.
    truth : what is known of the truth; all parameters that it leaves open are drawn from their priors. Any of

        - ``prevalence``: a share of the population, or shares by column and level, such as {"wave": {"2022-09": 0.5, "2022-11": 0.35}};
          other parameters then are moved as little as it takes. The wave's column is called "wave", the items' "item";
        - ``items``: the share of the population to whom each control item applies (with list versions, by their labels);
        - ``lapses``: probabilities of the average person, such as {"floor": 0.1};
        - ``cluster_count_sd`` and ``cluster_trait_sd``: how much the people of a cluster have in common, on the linear predictors;
        - parameters of the model by their names in a fitted tree. They are those of a study of the whole population: an
          intercept is that of its average person.
    asks : lists, waves, instruments, and names of columns, :class:`Questionnaire`; by default one list of four control items.
    refusals : who does not answer the list, and which covariates are missing, :class:`Refusals`; by default nobody, none.

    Returns
    -------
    Simulated : the survey's columns are those of the population, and ``id``, ``wave``, ``version``, ``arm``, ``placebo``, ``answer``,
        ``weight``, ``stratum``, ``cluster``, those of the instruments, as far as there are any. ``study`` reads it as a study.

    Raises
    ------
    InputError : whatever does not fit together, by name; or a truth that no parameters of the model give.
    """
    settings = (specification, sampling, truth)
    return next(simulate_surveys(population, *settings, asks=asks, refusals=refusals, seed=seed, number=1))


def simulate_surveys(
    population: pd.DataFrame | PopulationFrame,
    specification: Specification | None = None,
    sampling: Sampling | None = None,
    truth: Mapping[str, Any] | None = None,
    *,
    asks: Questionnaire | None = None,
    refusals: Refusals | None = None,
    seed: int,
    number: int,
) -> Iterator[Simulated]:
    """That many surveys, see :func:`simulate_survey`, each with its own people and its own draw of what the truth leaves open.
    Formulas are compiled once for all.

    Raises
    ------
    InputError : as :func:`simulate_survey`.
    """
    made = _generator(as_frame(population).cells.reset_index(drop=True), specification or Specification(), sampling or Sampling(),
                      dict(truth or {}), asks or Questionnaire(), refusals or Refusals(), seed, number)
    before: tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray] | None = None
    for i in range(number):
        drawn = {name: value[i] for name, value in made.values.items()}
        if before is None or any(not np.array_equal(drawn[name], value) for name, value in before[0].items()):
            sds = sds_of(drawn, made.specification.person, made.known.clusters)
            own = calibrated(made.whole, drawn, made.known, sds)
            before = drawn, own, made.whole.chances(own, sds)
        yield _survey(made, *before[1:], np.random.default_rng([seed, i]))


class Generator(NamedTuple):
    """What the surveys of one call have in common."""

    frame: pd.DataFrame
    specification: Specification
    sampling: Sampling
    asks: Questionnaire
    refusals: Refusals
    known: Known
    template: Template
    whole: Whole
    values: Mapping[str, np.ndarray]
    speakers: list[Speaker]
    effects: tuple[str, ...]


def _generator(
    frame: pd.DataFrame, specification: Specification, sampling: Sampling, truth: dict[str, Any], asks: Questionnaire, refusals: Refusals,
    seed: int, number: int
) -> Generator:
    made = template(frame, asks, specification, placebo=sampling.placebo > 0)
    known = read_truth(truth, made.plan, asks)
    if sampling.cluster_size is None and any(known.clusters.values()):
        raise InputError(f"truth: {' and '.join(CLUSTER_SDS)} need clusters: give sampling a cluster_size.")
    unknown = [name for name in sampling.asked if name not in [instrument.name for instrument in asks.instruments]]
    if unknown:
        raise InputError(f"sampling: asked: there is no instrument '{unknown[0]}'.")
    values = complete_parameters(made.plan, known.parameters, seed, number)
    moved = {*EFFECTS[specification.person], *(effect for effect, sd in known.clusters.items() if sd)}
    effects = tuple(effect for effect in CLUSTER_SDS.values() if effect in moved)
    speakers = speakers_of(made.plan, values, effects, made.study.observed)
    return Generator(frame, specification, sampling, asks, refusals, known, made, whole_of(made, frame, asks, values), values, speakers,
                     effects)


def _survey(made: Generator, own: Mapping[str, np.ndarray], chances: np.ndarray, rng: np.random.Generator) -> Simulated:
    """One survey under the parameters ``own``, which say that P(trait) in each cell of the blueprint is ``chances`` (cell,)."""
    asks, sampling = made.asks, made.sampling
    people = _with_lists(interviews(made.frame, sampling, asks.waves, asks.name("wave"), rng), asks, sampling, rng)
    at = made.template.find(people)
    table = made.template.study.table.iloc[at].reset_index(drop=True).assign(_n=1)
    table = table.assign(**_questions(made, table["_treated"].to_numpy(), rng))
    effects = _effects(made, own, people, rng)
    rows = rows_in(table, made.template.cell[at], made.template.study.observed)
    drawn = said_by(made.speakers, own, rows, effects, rng)
    seen = table.assign(**{name: drawn[name] for name in ("_answer", *made.template.study.observed) if name in drawn})
    survey = _written(made, people, seen)
    survey = _refused(survey, made, people, table["_treated"].to_numpy(), drawn["trait"], rng)
    hidden = pd.DataFrame({"id": people["id"], "trait": drawn["trait"], "count": drawn["count"],
                           "prevalence": chances[made.template.cell[at]], **effects})
    if asks.waves:
        hidden.insert(1, asks.name("wave"), survey[asks.name("wave")].to_numpy())
    parameters = {**own, **{name: np.array(made.known.clusters[effect]) for name, effect in CLUSTER_SDS.items() if sampling.cluster_size}}
    truth = truth_table(made.whole, chances, asks)
    return Simulated(survey, made.frame, truth, hidden, parameters, _roles(made, survey))


def _with_lists(people: pd.DataFrame, asks: Questionnaire, sampling: Sampling, rng: np.random.Generator) -> pd.DataFrame:
    """Who is shown which list: arms and versions as even as can be within each wave, at random."""
    parts = []
    for t, part in people.groupby("wave", sort=True):
        n = len(part)
        treated = round(sampling.treated * n)
        padded = round(sampling.placebo * (n - treated))
        arm = np.concatenate([1 + np.arange(treated) % len(asks.treatments), np.zeros(n - treated - padded, dtype=int),
                              np.full(padded, 1 + len(asks.treatments))])
        version = np.full(n, t) if asks.versions_are_waves else _crossed(arm, max(len(asks.versions), 1))
        order = rng.permutation(n)
        parts.append(part.assign(arm=arm[order], version=version[order]))
    return pd.concat(parts, ignore_index=True)


def _crossed(arm: np.ndarray, versions: int) -> np.ndarray:
    """A version for each place, as even as can be within each arm."""
    return (pd.Series(arm).groupby(arm).cumcount() % versions).to_numpy()


def _questions(made: Generator, treated: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Placeholders of what instruments observe: what is randomised is drawn anew, and those who are not asked have NaN."""
    out: dict[str, np.ndarray] = {}
    for instrument in made.template.plan.instruments:
        coded = asked_by(instrument, treated, rng)[1]
        share = made.sampling.asked.get(instrument.name, 1.0)
        left_out = rng.permutation(len(treated)) >= round(share * len(treated))
        out |= {name: coded[name].mask(left_out).to_numpy(dtype=float) for name in coded.columns}
    return out


def _effects(made: Generator, own: Mapping[str, np.ndarray], people: pd.DataFrame, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The effects of each respondent's person and cluster together, (row,), on count and trait."""
    out = {}
    for effect in made.effects:
        moved = np.zeros(len(people))
        if effect in EFFECTS[made.specification.person]:
            moved += float(own[f"{effect}_sd"]) * rng.normal(size=people["id"].max() + 1)[people["id"]]
        if made.known.clusters[effect]:
            cluster = pd.factorize(people["cluster"])[0]
            moved += made.known.clusters[effect] * rng.normal(size=cluster.max() + 1)[cluster]
        out[effect] = moved
    return out


def _written(made: Generator, people: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """The survey as a file has it."""
    asks = made.asks
    survey = made.frame.drop(columns=COUNT).loc[people["cell"]].reset_index(drop=True)
    survey.insert(0, asks.name("ids"), people["id"].to_numpy())
    if asks.waves:
        survey[asks.name("wave")] = np.array(asks.waves)[people["wave"]]
    if asks.versions and not asks.versions_are_waves:
        survey[asks.name("version")] = np.array(asks.versions)[people["version"]]
    survey[asks.name("arm")] = people["arm"].map(dict(enumerate((asks.arms[0], *asks.treatments)))).fillna(asks.arms[0])
    if made.sampling.placebo:
        survey[asks.name("placebo")] = (people["arm"] > len(asks.treatments)).astype(int)
    survey[asks.name("answer")] = seen["_answer"].where(seen["_answer"] >= 0).astype("Int64")
    for instrument in made.template.plan.instruments:
        written = written_by(instrument, seen)
        survey = survey.assign(**{name: written[name].to_numpy() for name in written.columns})
    design = {"weights": made.sampling.weighted, "strata": made.sampling.strata, "clusters": made.sampling.cluster_size}
    columns = {"weights": "weight", "strata": "stratum", "clusters": "cluster"}
    there = {asks.name(role): people[columns[role]].to_numpy() for role, wanted in design.items() if wanted}
    return survey.assign(**{name: values for name, values in there.items() if name not in survey})


def _refused(
    survey: pd.DataFrame, made: Generator, people: pd.DataFrame, treated: np.ndarray, trait: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    """The survey without the answers of those who refuse the list, and with missing covariates."""
    rules, frame = made.refusals, made.frame
    answers = np.full(len(frame), 1 - rules.share)
    for rate in by_level(frame, rules.by, "refusals"):
        answers *= 1 - np.where(np.isnan(rate), 0.0, rate)
    with np.errstate(divide="ignore"):
        odds = logit(1 - answers)[frame.index.get_indexer(people["cell"])]
        odds = odds + treated * (np.log(rules.treated_odds) + trait * np.log(rules.trait_odds))
    answer = made.asks.name("answer")
    out = survey.assign(**{answer: survey[answer].mask(rng.random(len(survey)) < expit(odds))})
    for column, share in rules.missing.items():
        if column not in frame.columns or column == COUNT:
            raise InputError(f"refusals: missing: there is no column '{column}' in the population.")
        out[column] = out[column].mask(rng.random(len(out)) < share)
    return out


def _roles(made: Generator, survey: pd.DataFrame) -> dict[str, Any]:
    """How :meth:`bayes_listexp.ListExperiment.from_frame` reads the survey."""
    asks, sampling = made.asks, made.sampling
    own = {asks.name(role) for role in ("ids", "arm", "answer", "placebo", "weights", "strata", "clusters")}
    own |= {column for instrument in asks.instruments for column in instrument.columns}
    roles: dict[str, Any] = {name: asks.name(name) for name in ("answer", "arm", "ids")}
    roles |= {"J": asks.J, "arms": asks.arms, "instruments": list(asks.instruments)}
    wanted = {"placebo": sampling.placebo, "wave": asks.waves, "version": asks.versions, "weights": sampling.weighted,
              "strata": sampling.strata, "clusters": sampling.cluster_size}
    roles |= {role: asks.name(role) for role, there in wanted.items() if there}
    return roles | {"covariates": [name for name in survey.columns if name not in own or name in made.frame.columns]}


def shares_as_frame(shares: ByLevel, N: int = 1_000_000) -> pd.DataFrame:
    """A population frame of ``N`` people whose columns are independent, with these shares of their levels.

    Raises
    ------
    InputError : shares that are none, or sum to 0.
    """
    check_rates("shares", shares)
    if any(sum(levels.values()) <= 0 for levels in shares.values()):
        raise InputError(f"shares = {dict(shares)!r}: each column needs a level with people.")
    cells = pd.MultiIndex.from_product([list(levels) for levels in shares.values()], names=list(shares)).to_frame(index=False)
    chance = np.ones(len(cells))
    for column, levels in shares.items():
        chance *= cells[column].map(levels).to_numpy(dtype=float) / sum(levels.values())
    return cells.assign(N=(N * chance).round().astype("int64"))
