"""Coverage under weights and clusters: the weighted likelihood's 95 % interval with and without the correction by the design.

``python benchmarks/weighting.py [studies]`` prints the tables of docs/weighting.md. Each study is a sample of clusters whose people
differ from those of other clusters in the trait and in the control items, with the trait's holders sampled more often (so that
weights matter); it is fitted at the mode with the default priors, one compiled model being given the data of every study in turn.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
from scipy.optimize import minimize
from scipy.special import expit, logit

from bayes_listexp import ListExperiment, Specification, difference_in_means, kish
from bayes_listexp.curvature import alike, correct, prior_gradient, prior_precision, scores_at
from bayes_listexp.model import build_model
from bayes_listexp.predictive import patterns
from bayes_listexp.sampling import Density, compile_density
from bayes_listexp.specification import Blueprint, blueprint
from bayes_listexp.weighting import weighted_observations

J, POPULATION = 3, 20_000


@dataclass(frozen=True)
class Case:
    """A way of sampling: clusters, respondents in each, sds of clusters on the logit scale, who is assigned to an arm, the model."""

    clusters: int
    size: int
    trait_sd: float = 0.5
    control_sd: float = 0.5
    arms_by_cluster: bool = False
    known: bool = True
    trait: str = "1"


CASES = {
    "weights alone": Case(1000, 1, 0.0, 0.0, known=False),
    "20 clusters, arms within": Case(20, 50),
    "50 clusters, arms within": Case(50, 20),
    "50 clusters, arms by cluster": Case(50, 20, arms_by_cluster=True),
    "50 clusters, arms by cluster, clusters not told": Case(50, 20, arms_by_cluster=True, known=False),
    "48 clusters in 8 regions, effects of regions": Case(48, 25, arms_by_cluster=True, trait="1 + (1|region)"),
}


def world(case: Case) -> tuple[np.ndarray, np.ndarray, float]:
    """Logits of the trait and of the control items in the population's clusters, and the prevalence there."""
    rng = np.random.default_rng(1)
    trait, control = -0.4 + rng.normal(0, 1, POPULATION) * case.trait_sd, 0.3 + rng.normal(0, 1, POPULATION) * case.control_sd
    return trait, control, float(expit(trait).mean())


def sample(case: Case, seed: int) -> pd.DataFrame:
    """A sample: clusters at random, in them holders of the trait with twice the chance of others."""
    rng = np.random.default_rng(seed)
    trait, control, _ = world(case)
    picked = rng.choice(POPULATION, case.clusters, replace=False)
    cluster = np.repeat(np.arange(case.clusters), case.size)
    p, q = expit(trait[picked])[cluster], expit(control[picked])[cluster]
    has = rng.random(len(cluster)) < 2 * p / (1 + p)
    own = rng.lognormal(0, 0.3, len(cluster))
    # within a cluster the weights are 1/chance times the cluster's mean chance, so that every cluster stands for as many people
    frame = pd.DataFrame({"cluster": cluster, "region": (cluster % 8).astype(str), "w": np.where(has, 1.0, 2.0) * (1 + p) * own})
    frame["treat"] = cluster // 8 % 2 if case.arms_by_cluster else rng.permutation(np.arange(len(cluster)) % 2)
    frame["y"] = rng.binomial(J, q) + has * frame["treat"]
    return frame


def study(case: Case, frame: pd.DataFrame) -> ListExperiment:
    """A sample with what is told of its design."""
    roles = {"clusters": "cluster"} if case.known else {}
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=J, weights="w", covariates=["region"], **roles)


def give(model: pm.Model, plan: Blueprint) -> None:
    """Give a compiled model another study's data."""
    for arm, counts in plan.cells.answers.items():
        pm.set_data({f"{arm}_counts": counts, f"answer_{arm}_relative_weight": plan.relative_weights[arm]}, model=model)


def mode_of(density: Density, start: np.ndarray) -> np.ndarray:
    """The mode nearest to a start."""
    return np.asarray(minimize(lambda x: [-part for part in density.function(x)], start, jac=True, options={"maxiter": 500}).x)


def run(case: Case, studies: int) -> dict[str, float]:
    """Coverage and width of the trait's intercept (the prevalence, but with effects of regions the logit of the typical one).

    The model is that of all studies' respondents together, whose distinct observations every study's are among.
    """
    truth, specification = world(case)[2], Specification(case.trait, weighting="pseudo")
    frames = [sample(case, seed) for seed in range(studies)]
    together = blueprint(study(case, pd.concat(frames, ignore_index=True)), specification)
    model = build_model(together)
    density, gradient = compile_density(model, mode="FAST_COMPILE"), prior_gradient(model)
    made = [study(case, frame) for frame in frames]
    points = [density.start]
    for one in made:
        give(model, blueprint(one, specification))
        points.append(mode_of(density, points[-1]))
    scores = scores_at(together, model, np.array(points[1:]))
    number = {key: i for i, key in enumerate(zip(*patterns(together)[:3], strict=True))}
    i = [v.name for v in model.value_vars].index("trait_intercept")
    rows = []
    for one, x, score in zip(made, points[1:], scores, strict=True):
        seen = weighted_observations(one, list(together.cells.frame.columns), False)
        own = [number[key] for key in zip(seen.cell, seen.arm, seen.answer, strict=True)]
        found = correct(one, seen, x, score[own], prior_precision(gradient, x), alike=alike(together, model))
        off = abs(x[i] - logit(truth))
        sd = [np.sqrt(matrix[i, i]) for matrix in (found.covariance, found.corrected)]
        dim = difference_in_means(one, weighted=True).iloc[0]
        rows.append([kish(one)["deff"][0], found.design_effect[i], off < 1.96 * sd[0], off < 1.96 * sd[1],
                     dim["lower"] < truth < dim["upper"], sd[1] / sd[0], expit(x[i]) - truth, found.shrinkage])
    names = ["Kish's deff", "design effect", "covered, uncorrected", "covered, corrected", "covered, difference in means", "sd ratio",
             "mean error", "shrinkage"]
    return dict(zip(names, np.mean(np.array(rows, dtype=float), axis=0), strict=True))


def main(studies: int) -> None:
    """Print the table, row by row."""
    for k, (name, case) in enumerate(CASES.items()):
        found = run(case, studies)
        if k == 0:
            print(f"| sample | {' | '.join(found)} |")
            print(f"| --- |{' --- |' * len(found)}")
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in found.values())} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
