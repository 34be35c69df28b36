"""Sampling costs what the cells cost, not what the respondents cost: the same design with N = 400 and N = 4,000,000.

``python benchmarks/cells.py`` prints both fits' times. Nothing but the counts differs: both studies have all 16 cells of
four binary covariates.
"""

from __future__ import annotations

import itertools
import time
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from bayes_listexp import ListExperiment
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Sampler, compile_density, sample_nuts
from bayes_listexp.simulate import draw_answers
from bayes_listexp.specification import Specification, blueprint

J = 4
COVARIATES = ("a", "b", "c", "d")
POPULARITIES = (0.85, 0.8, 0.35, 0.55)
TRAIT_EFFECTS = (0.5, -0.5, 0.3, 0.8)
SPECIFICATION = Specification(trait=f"1 + {' + '.join(COVARIATES)}")
SAMPLER = Sampler(draws=500, tune=500, chains=4)


class Cost(NamedTuple):
    """What one fit took: seconds on the clock to compile and to sample, gradients of all chains with and without tuning."""

    respondents: int
    cells: int
    compile_seconds: float
    sample_seconds: float
    gradients: int
    gradients_per_draw: float


def simulate(respondents: int, seed: int = 1) -> ListExperiment:
    """A study with four independent binary covariates, tabulated."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, size=(respondents, len(COVARIATES)))
    trait = (rng.random(respondents) < expit(-0.4 + x @ np.array(TRAIT_EFFECTS))).astype(int)
    count = (rng.random((respondents, J)) < np.array(POPULARITIES)).sum(axis=1)
    treated = rng.permutation(np.arange(respondents) % 2)
    frame = pd.DataFrame(x, columns=list(COVARIATES)).assign(
        arm=treated, answer=draw_answers(trait, count, treated, J, rng)
    )
    table = frame.value_counts().rename("n").reset_index()
    return ListExperiment.from_counts(table, answer="answer", arm="arm", n="n", J=J)


def cost(study: ListExperiment) -> Cost:
    """Compile and sample one study, stage by stage."""
    plan = blueprint(study, SPECIFICATION)
    started = time.perf_counter()
    density = compile_density(build_model(plan))
    density.function(density.start)
    compiled = time.perf_counter()
    calls = itertools.count()

    def counted(x: np.ndarray) -> tuple[float, np.ndarray]:
        next(calls)
        return density.function(x)

    _, stats = sample_nuts(density._replace(function=counted, code=None), SAMPLER, seed=1)
    took = time.perf_counter() - compiled
    per_draw = float(stats["n_steps"].mean())
    return Cost(study.n, len(plan.cells.frame), compiled - started, took, next(calls), per_draw)


def markdown(costs: list[Cost]) -> str:
    """The costs as a Markdown table."""
    lines = [
        "| respondents | cells | compile (s) | sample (s) | gradients, tuning too | per kept draw | microseconds per gradient |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for c in costs:
        lines.append(
            f"| {c.respondents:,} | {c.cells} | {c.compile_seconds:.1f} | {c.sample_seconds:.1f} | "
            f"{c.gradients:,} | {c.gradients_per_draw:.1f} | {1e6 * c.sample_seconds / c.gradients:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown([cost(simulate(n)) for n in (400, 4_000_000)]))
