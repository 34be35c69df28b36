"""How often the 95 % intervals of the estimators without a model hold the truth, by simulation.

``python benchmarks/design_based_coverage.py [simulations]`` prints the tables of docs/design_based.md as Markdown. Each simulated study
is a sample from a population in which the trait goes with a covariate and with the number of control items that apply (in which answers are
neither independent nor of one variance), under one of the designs below; the truth is the population's, to six digits, by the same simulation
with a million people. Everything is computed by the package's own public functions: a study is built once for each
design, and given the answers, covariates and weights of each simulation in turn.
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

J = 4
SIMULATIONS = 2000
SIZES = (200, 1000)
PER_CLUSTER = 10
STRATA = 4
DESIGNS = ("simple", "clustered", "clustered arms", "weighted", "stratified", "strata, clusters, weights")
WEIGHTED = ("weighted", "strata, clusters, weights")


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

    Strata differ in the trait and in the control items, clusters by normal effects on both, and who is drawn twice as
    often as others (who has a high x) has half the weight. Arms alternate at random among people, or among clusters.
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
    if stratified:  # within strata as many in either arm
        arm = np.concatenate([rng.permutation(np.flatnonzero(stratum == s) % 2) for s in range(STRATA)])
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


Row = tuple[float, float, float, float]


def _first(table: pd.DataFrame) -> Row:
    row = table.iloc[0]
    return float(row["estimate"]), float(row["se"]), float(row["lower"]), float(row["upper"])


def _bounds(study: ListExperiment, weighted: bool) -> Row:
    row = lying_bounds(study, weighted=weighted, ceiling=(0, 0.3), floor=(0, 0.3)).iloc[0]
    return float(row["lower"]), float(row["se_lower"]), float(row["interval_lower"]), float(row["interval_upper"])


def _slope(study: ListExperiment, weighted: bool) -> Row:
    rows = linear_regression(study, "x", weighted=weighted)
    return _first(rows[(rows["part"] == "trait") & (rows["term"] == "x")])


def _optimal(study: ListExperiment, weighted: bool) -> Row:
    rows = double_list(study, weighted=weighted)
    return _first(rows[rows["of"] == "optimal"])


ESTIMATORS: dict[str, Callable[[ListExperiment, bool], Row]] = {
    "difference in means": lambda study, weighted: _first(difference_in_means(study, weighted=weighted)),
    "Lin, HC2 / CR2 / design": lambda study, weighted: _first(adjusted_difference(study, "x", weighted=weighted)),
    "linear regression: x": _slope,
    "combined with the direct question": lambda study, weighted: _first(combined_estimate(study, weighted=weighted)),
    "combined, adjusted for x": lambda study, weighted: _first(combined_estimate(study, covariates=["x"], weighted=weighted)),
    "double list, optimal weights": _optimal,
    "bounds under lies": _bounds,
}


def truths(design: str, *, size: int = 1_000_000) -> dict[str, float]:
    """What each estimator estimates in the population: the prevalence, and the slope of the trait's least-squares line."""
    people = drawn(np.random.default_rng(99), size, design)
    prevalence = float(np.average(people.trait, weights=people.w))
    x = people.x - np.average(people.x, weights=people.w)
    slope = float((people.w * x * people.trait).sum() / (people.w * x * x).sum())
    return {name: slope if name == "linear regression: x" else prevalence for name in ESTIMATORS}


def coverage(design: str, n: int, simulations: int, *, seed: int = 1) -> pd.DataFrame:
    """One row per estimator: mean error, its spread, the mean standard error over the spread, and the share of intervals with the truth."""
    rng = np.random.default_rng([seed, n, DESIGNS.index(design)])
    study, truth = study_of(drawn(rng, n, design), design), truths(design)
    found = np.empty((simulations, len(ESTIMATORS), 4))
    for i in range(simulations):
        one = with_people(study, drawn(rng, n, design))
        for j, estimate in enumerate(ESTIMATORS.values()):
            found[i, j] = estimate(one, design in WEIGHTED)
    rows = []
    for j, name in enumerate(ESTIMATORS):
        estimates, errors, lower, upper = found[:, j].T
        spread, inside = estimates.std(ddof=1), (lower <= truth[name]) & (truth[name] <= upper)
        rows.append([name, design, n, truth[name], estimates.mean() - truth[name], spread, errors.mean() / spread, inside.mean()])
    return pd.DataFrame(rows, columns=["estimator", "design", "n", "truth", "bias", "sd", "se / sd", "coverage"])


def markdown(table: pd.DataFrame) -> str:
    """Coverage in per cent by estimator (rows), design and n, each with the mean standard error over the spread of the estimates."""
    told = table.assign(told=[f"{100 * c:.1f} ({r:.2f})" for c, r in zip(table["coverage"], table["se / sd"], strict=True)])
    out = []
    for n, part in told.groupby("n"):
        wide = part.pivot(index="estimator", columns="design", values="told").loc[list(ESTIMATORS), [d for d in DESIGNS if d in set(part["design"])]]
        lines = [["estimator", *wide.columns], ["---"] * (1 + wide.shape[1]), *([name, *row] for name, row in zip(wide.index, wide.to_numpy(), strict=True))]
        out.append(f"### n = {n:,}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(out)


def main() -> None:
    """Print the tables."""
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else SIMULATIONS
    start = time.perf_counter()
    tables = []
    for n in SIZES:
        for design in DESIGNS:
            tables.append(coverage(design, n, simulations))
            print(f"{design}, n = {n}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    table = pd.concat(tables)
    print(f"{simulations:,} simulated studies of each kind; Monte Carlo error of a coverage of 95 %: "
          f"{100 * np.sqrt(0.95 * 0.05 / simulations):.1f} points.\n")
    print(markdown(table))
    worst = table.loc[(table["bias"].abs() / table["sd"]).idxmax()]
    print(f"The largest error on average is {worst['bias']:.4f} ({worst['estimator']}, {worst['design']}, n = {worst['n']}), "
          f"{abs(worst['bias'] / worst['sd']):.2f} of its spread (bounds aside, what is left is Monte Carlo error).")


if __name__ == "__main__":
    main()
