"""How often the 95 % intervals of the estimators without a model hold the truth, by simulation.

``python benchmarks/design_based_coverage.py [simulations]`` prints the tables of docs/design_based.md as Markdown. Each simulated
study is a sample from a population in which the trait goes with a covariate and with the number of control items that apply, under one of
the designs below; the truth is that of a million people. Estimates, variances and degrees of freedom are computed by the package's own
functions of arrays; the first studies of each kind also go through the functions that users call, which must give the same numbers.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from bayes_listexp import (
    DirectQuestion,
    ListExperiment,
    SecondList,
    adjusted_difference,
    combined_estimate,
    difference_in_means,
    double_list,
    linear_regression,
    lying_bounds,
)
from bayes_listexp.adjusted import Arms, arm_effect, population_influence
from bayes_listexp.bounds import Estimate, with_interval
from bayes_listexp.design_based import mean_difference
from bayes_listexp.double_lists import best_weight
from bayes_listexp.linearisation import interval
from bayes_listexp.list_and_direct import combine
from bayes_listexp.lying import recoded_answers
from bayes_listexp.sandwich import least_squares
from bayes_listexp.survey_design import Units, units_of, variance_of_totals

J = 4
SIMULATIONS = 2000
SIZES = (200, 1000)
PER_CLUSTER = 10
STRATA = 4
DESIGNS = ("simple", "clustered", "clustered arms", "weighted", "stratified", "strata, clusters, weights")
WEIGHTED = ("weighted", "strata, clusters, weights")
LIES = (0.0, 0.3)
CHECKED = 3
BOUNDS = "bounds under lies, up to 30 %"
ESTIMATORS = ("difference in means", "Lin", "linear regression, slope of x", "combined with the direct question",
              "combined, adjusted for x", "double list, optimal weights", BOUNDS)  # fmt: skip


class People(NamedTuple):
    """Respondents, each field (person,): answers to two lists and the direct question, the covariate, weight, arm, cluster, stratum."""

    y: np.ndarray
    second: np.ndarray
    direct: np.ndarray
    x: np.ndarray
    w: np.ndarray
    arm: np.ndarray
    cluster: np.ndarray
    stratum: np.ndarray
    trait: np.ndarray


def drawn(rng: np.random.Generator, n: int, design: str) -> People:
    """People under one design.

    Strata differ in x and with it in trait and answers, clusters by normal effects on both; weights fall with x, as if people were the
    easier to reach the higher it is, and vary by a factor of six beside. Half of the people, or of the clusters, are in either arm.
    """
    person = np.arange(n)
    cluster = person // PER_CLUSTER
    stratum = cluster * STRATA // (n // PER_CLUSTER)
    clustered, stratified = "cluster" in design, "strat" in design
    of_cluster, of_items = rng.normal(size=(2, n // PER_CLUSTER)) * (0.5 if clustered else 0.0)
    x = rng.normal(size=n) + (0.8 * (stratum - 1.5) if stratified else 0.0)
    w = np.ones(n)
    if design in WEIGHTED:
        w = rng.choice([0.5, 1.0, 3.0], size=n) * np.exp(-0.4 * np.clip(x, -2, 2))
    trait = rng.random(n) < expit(-0.6 + 0.8 * x + of_cluster[cluster])
    chance = expit(0.4 * x + 0.6 * trait + of_items[cluster])
    counts, others = rng.binomial(J, chance), rng.binomial(3, expit(0.2 + 0.5 * x + 0.5 * of_items[cluster]))
    arm = rng.permutation(person % 2) if design != "clustered arms" else rng.permutation(np.arange(n // PER_CLUSTER) % 2)[cluster]
    direct = trait & (rng.random(n) < 0.6)
    return People(counts + arm * trait, others + (1 - arm) * trait, direct.astype(float), x, w, arm, cluster, stratum, trait)


def frame_of(people: People) -> pd.DataFrame:
    """The respondents as data; every answer that is possible occurs, so that all columns are read."""
    return pd.DataFrame({"y": people.y, "y2": people.second, "d": people.direct, "x": people.x, "w": people.w, "t": people.arm,
                         "c": people.cluster, "s": people.stratum})  # fmt: skip


def study_of(people: People, design: str) -> ListExperiment:
    """A study of these respondents with all that the design knows of them."""
    roles = {"clusters": "c"} if "cluster" in design else {}
    roles |= {"strata": "s"} if "strat" in design else {}
    roles |= {"weights": "w"} if design in WEIGHTED else {}
    questions = [DirectQuestion("d"), SecondList("y2", "t", 3, arms=(1, 0))]
    return ListExperiment.from_frame(frame_of(people), answer="y", arm="t", J=J, covariates=["x"], instruments=questions, **roles)


def with_people(study: ListExperiment, people: People) -> ListExperiment:
    """The study with the answers of other people in the same places of the design."""
    columns = {"_answer": people.y, "_treated": people.arm == 1, "x": people.x, "_direct": people.direct, "_weight": people.w,
               "_second": people.second.astype(float), "_second_arm": 1.0 - people.arm}  # fmt: skip
    return dataclasses.replace(study, table=study.table.assign(**columns))


def by_users(study: ListExperiment, weighted: bool) -> np.ndarray:
    """Estimate, standard error and interval of each estimator, (estimator, 4), as users compute them; of bounds the lower one."""
    how = {"weighted": weighted}
    slopes, lists = linear_regression(study, "x", **how), double_list(study, **how)
    bounds = lying_bounds(study, ceiling=LIES, floor=LIES, **how)[["lower", "se_lower", "interval_lower", "interval_upper"]]
    tables = (
        difference_in_means(study, **how),
        adjusted_difference(study, "x", **how),
        slopes[(slopes["part"] == "trait") & (slopes["term"] == "x")],
        combined_estimate(study, **how),
        combined_estimate(study, covariates=["x"], **how),
        lists[lists["of"] == "optimal"],
    )
    return np.array([*(table[["estimate", "se", "lower", "upper"]].iloc[0] for table in tables), bounds.iloc[0]], dtype=float)


def by_arrays(people: People, units: Units, design: str) -> np.ndarray:
    """The same, (estimator, 4), from arrays alone."""
    designed = "cluster" in design or "strat" in design
    rows, ones = np.arange(len(people.y)), np.ones(len(people.y))
    y, a, w = people.y.astype(float), people.arm.astype(float), people.w
    arms = Arms(y, a, people.x[:, None], ones)

    def spread(influences: np.ndarray) -> np.ndarray:
        return variance_of_totals(units, influences, rows, ones, ones) if designed else influences.T @ influences

    def ends(estimate: float, variance: float, degrees: float) -> list[float]:
        return interval(estimate, variance, degrees, 0.95)

    degrees = units.degrees_of_freedom if designed else np.inf
    corrected = not designed
    dim, of_dim = mean_difference(y, a, w, ones, corrected=corrected)
    lin, slope = _regressions(people, arms, units, design, spread)
    no = people.direct == 0
    plain = [Arms(y[r], a[r], np.zeros((r.sum(), 0)), ones[r]) for r in (no | True, no)]
    adjusted = [Arms(y[r], a[r], people.x[r, None], ones[r]) for r in (no | True, no)]
    both = [combine(*parts, people.direct, ones, w, interactions=True, corrected=corrected) for parts in (plain, adjusted)]
    second, of_second = mean_difference(people.second.astype(float), 1 - a, w, ones, corrected=corrected)
    lists = spread(np.stack([of_dim, of_second], axis=1))
    pooled = np.array([best_weight(lists), 1 - best_weight(lists)])
    recoded, _ = recoded_answers(y, a, w, J, {"ceiling": LIES, "floor": LIES})
    limits = [mean_difference(answers, a, w, ones, corrected=corrected) for answers in recoded]
    lower, upper = (Estimate(value, float(spread(influence[:, None])[0, 0])) for value, influence in limits)
    low, _, error, _, *outer = with_interval(lower, upper, 0.95, degrees)
    return np.array([
        ends(dim, lists[0, 0], degrees), lin, slope,
        *(ends(estimates[0], spread(influences)[0, 0], degrees) for estimates, influences in both),
        ends(pooled @ [dim, second], pooled @ lists @ pooled, degrees), [low, error, *outer],
    ])  # fmt: skip


def _regressions(
    people: People, arms: Arms, units: Units, design: str, spread: Callable[[np.ndarray], np.ndarray]
) -> tuple[list[float], list[float]]:
    """The adjusted difference, and the slope of the linear list regression, each by the variance that is its default."""
    kind = "raw" if "strat" in design else "CR2" if "cluster" in design else "HC2"
    unit = units.cluster if kind == "CR2" else None
    fit = arm_effect(arms, people.w, interactions=True, variance=kind, unit=unit)
    X = np.column_stack([np.ones(len(people.y)), people.x, people.arm, people.arm * people.x])
    line = least_squares(X, arms.y, people.w, arms.n, unit=unit, variance=kind)
    influence = population_influence(arms, people.w, fit, interactions=True, corrected=kind != "raw")
    if kind == "raw":
        degrees = units.degrees_of_freedom
        return (interval(fit.coefficients[1], spread(influence[:, None])[0, 0], degrees, 0.95),
                interval(line.coefficients[3], spread(line.influences[:, 3:])[0, 0], degrees, 0.95))
    first, last = np.eye(4)[1], np.eye(4)[3]
    return (interval(fit.coefficients[1], influence @ influence, fit.degrees(first), 0.95),
            interval(line.coefficients[3], line.covariance[3, 3], line.degrees(last), 0.95))


def truths(design: str, *, size: int = 1_000_000) -> dict[str, float]:
    """What each estimator estimates in the population: the prevalence, and the slope of the trait's least-squares line."""
    people = drawn(np.random.default_rng(99), size, design)
    prevalence = float(np.average(people.trait, weights=people.w))
    x = people.x - np.average(people.x, weights=people.w)
    slope = float((people.w * x * people.trait).sum() / (people.w * x * x).sum())
    return {name: slope if name == "linear regression, slope of x" else prevalence for name in ESTIMATORS}


def coverage(design: str, n: int, simulations: int, *, seed: int = 1) -> pd.DataFrame:
    """One row per estimator: mean error, its spread, the mean standard error over the spread, and the share of intervals with the truth."""
    rng = np.random.default_rng([seed, n, DESIGNS.index(design)])
    study, truth = study_of(drawn(rng, n, design), design), truths(design)
    units = units_of(study.table, None)
    found = np.empty((simulations, len(ESTIMATORS), 4))
    for i in range(simulations):
        people = drawn(rng, n, design)
        found[i] = by_arrays(people, units, design)
        if i < CHECKED:
            np.testing.assert_allclose(found[i], by_users(with_people(study, people), design in WEIGHTED), rtol=1e-8)
    rows = []
    for name, (estimates, errors, lower, upper) in zip(ESTIMATORS, found.transpose(1, 2, 0), strict=True):
        spread, inside = estimates.std(ddof=1), (lower <= truth[name]) & (truth[name] <= upper)
        rows.append([name, design, n, truth[name], estimates.mean() - truth[name], spread, errors.mean() / spread, inside.mean()])
    return pd.DataFrame(rows, columns=["estimator", "design", "n", "truth", "bias", "sd", "se / sd", "coverage"])


def markdown(table: pd.DataFrame) -> str:
    """Coverage in per cent by estimator (rows), design and n, each with the mean standard error over the spread of the estimates."""
    told = table.assign(told=[f"{100 * c:.1f} ({r:.2f})" for c, r in zip(table["coverage"], table["se / sd"], strict=True)])
    out = []
    for n, part in told.groupby("n"):
        wide = part.pivot(index="estimator", columns="design", values="told").loc[list(ESTIMATORS), list(DESIGNS)]
        rows = [[str(name), *row] for name, row in zip(wide.index, wide.to_numpy(), strict=True)]
        lines = [["estimator", *wide.columns], ["---"] * (1 + len(DESIGNS)), *rows]
        out.append(f"### n = {n:,}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(out)


def main() -> None:
    """Print the tables."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS
    start, tables = time.perf_counter(), []
    for n in SIZES:
        for design in DESIGNS:
            tables.append(coverage(design, n, simulations))
            print(f"{design}, n = {n}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    table = pd.concat(tables, ignore_index=True)
    error = 100 * np.sqrt(0.95 * 0.05 / simulations)
    print(f"{simulations:,} simulated studies of each kind; the Monte Carlo error of a coverage of 95 % is {error:.1f} points.\n")
    print(markdown(table))
    points = table[table["estimator"] != BOUNDS]
    worst = points.loc[(points["bias"].abs() / points["sd"]).idxmax()]
    print(f"The largest mean error is {worst['bias']:.4f}, {abs(worst['bias'] / worst['sd']):.2f} of the estimates' spread "
          f"({worst['estimator']}, {worst['design']}, n = {worst['n']}).")


if __name__ == "__main__":
    main()
