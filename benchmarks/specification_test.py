"""How often the test of specification rejects where nothing is wrong, and where something is.

``python benchmarks/specification_test.py`` prints docs/specification_test.md. Each study has 1,000 respondents, 4 control items and a
trait of about 30 %. With no covariate, or a binary one in both formulas, least squares has a closed form by cell, so that thousands of
studies are tested at once; the tests of the package compare these with `specification_test`.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2

from bayes_listexp.list_regression import EDGE
from bayes_listexp.many_fits import problem_of_tables
from bayes_listexp.misspecification import SAME_DIRECTION
from bayes_listexp.newton import Problem, derivatives, fitted_cells, local_parameters, maximise
from benchmarks.mrp_nation import markdown

J, N, LEVEL, BATCH = 4, 1000, 0.05, 1000
EQUAL, UNEQUAL = np.full(J, 0.45), np.array([0.95, 0.7, 0.9, 0.2])

INTRODUCTION = """# Size and power of the specification test

`specification_test` compares maximum likelihood with what needs fewer assumptions: its prevalence with the difference in means, and
its coefficients with those of two-step least squares. The variance of the difference comes from both estimators' influence functions,
so that the statistic cannot be negative. (R's `ict.hausman.test` takes the difference of the variances: on the race data it stops
because its statistic is -7.4; here it is 20.8 with 10 degrees of freedom, p = .02, and the prevalence's z is 2.0, p = .04.)

{studies:,} simulated studies for each row, 4 control items, 30 % with the trait; shares of studies with p < .05, with a Monte Carlo
error of {error:.4f} where that is .05. "No number" is the share of studies in which an estimate lies at infinity and no test is
computed: these do not reject. The tables are printed by `benchmarks/specification_test.py`.
"""
CONCLUSION = """
## What to make of it

- Neither test rejects too often. The test of the prevalence has its size with softmax counts; with binomial ones, where both
  estimators are nearly the same for items such as these, it rejects less often than it says, and comes closer with more respondents.
- The test of the coefficients rejects too rarely: least squares on 1,000 respondents is far from the straight line on which its
  standard errors rest. Read the test of the prevalence first.
- Both see at once what the binomial model does to unequal items (the softmax model of the same items is among those with nothing
  wrong). A list that makes people undercount, or careless people who answer the largest number, is seen with a chance of .1 to .9 at
  1,000 respondents: a large p is no proof of a sound experiment.
"""


class Case(NamedTuple):
    """What studies are drawn from, and what they are taken for."""

    truth: str
    items: np.ndarray
    counts: str
    cells: int = 1
    n: int = N
    undercount: float = 0.0
    top: float = 0.0


TITLES = {1: "none", 2: "a binary one"}
NULLS = [Case(f"{name} items", items, counts, cells, n) for n in (N, 4 * N)
         for name, items, counts in (("equal", EQUAL, "binomial"), ("unequal", UNEQUAL, "softmax")) for cells in (1, 2)]
WRONG = [Case("unequal items", UNEQUAL, "binomial")]
WRONG += [Case(f"{100 * share:.0f} % leave an item out of the longer list", items, counts, undercount=share) for share in (0.1, 0.2)
          for items, counts in ((EQUAL, "binomial"), (UNEQUAL, "softmax"))]
WRONG += [Case("10 % answer the largest number", items, counts, top=0.1)
          for items, counts in ((EQUAL, "binomial"), (UNEQUAL, "softmax"))]


def tables(case: Case, studies: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Simulated answers, (study, cell, answer), control arm and treatment arm: the covariate moves the trait and the control items."""
    rng = np.random.default_rng(seed)
    people = (studies, case.n)
    arm, x = np.arange(case.n) % 2, rng.integers(0, case.cells, people)
    moved = 0.4 * (x - 0.5) * (case.cells > 1)
    trait = rng.random(people) < expit(logit(0.3) + 2 * moved)
    answer = (rng.random((*people, J)) < expit(logit(case.items) + moved[..., None])).sum(axis=-1) + trait * arm
    answer = np.where((rng.random(people) < case.undercount) & (arm == 1), np.maximum(answer - 1, 0), answer)
    answer = np.where(rng.random(people) < case.top, J + arm, answer)
    index = ((np.arange(studies)[:, None] * case.cells + x) * 2 + arm) * (J + 2) + answer
    counted = np.bincount(index.ravel(), minlength=studies * case.cells * 2 * (J + 2)).reshape(studies, case.cells, 2, J + 2)
    return counted[:, :, 0, :-1], counted[:, :, 1]


class Compared(NamedTuple):
    """Estimates of studies (study, k) and what a respondent adds to each, (study, cell, answer, k)."""

    estimate: np.ndarray
    influence: np.ndarray


def by_likelihood(problem: Problem, start: np.ndarray) -> tuple[Compared, Compared]:
    """Maximum likelihood: the logit prevalence and the predictor of the counts of each cell; and the prevalence of all."""
    at = maximise(problem, start).parameters
    fit = fitted_cells(problem, at)
    score = np.einsum("scam,cmp->scap", fit.slope / fit.probability[..., None], problem.design)
    influence = np.einsum("scap,spq->scaq", score, np.linalg.inv(derivatives(problem, at)[1]))
    cells = len(problem.design)
    own = np.concatenate([problem.design[:, 0], problem.design[:, 1]])
    local = local_parameters(problem.design, at)[..., :2].swapaxes(1, 2).reshape(len(at), -1)
    total = problem.n.sum(axis=(1, 2))
    share, chance = problem.n.sum(axis=2) / total[:, None], expit(local[:, :cells])
    mean = (share * chance).sum(axis=1)
    gradient = (share * chance * (1 - chance)) @ problem.design[:, 0]
    moved = np.einsum("scap,sp->sca", influence, gradient) + ((chance - mean[:, None]) / total[:, None])[..., None]
    mean = np.where((np.abs(local[:, :cells]) > EDGE).all(axis=1), np.nan, mean)
    return Compared(local, influence @ own.T), Compared(mean[:, None], moved[..., None])


def by_means(n: np.ndarray) -> tuple[Compared, Compared]:
    """The same by means alone: least squares, which has a closed form by cell, and the difference in means of all."""
    cells = n.shape[1]
    answers, arm = np.append(np.arange(J + 1), np.arange(J + 2)), np.repeat([0, 1], [J + 1, J + 2])

    def means(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both arms' means (study, cell, arm), and what an answer adds to its own arm's mean, (study, cell, answer)."""
        size = np.stack([table[..., arm == a].sum(axis=-1) for a in (0, 1)], axis=-1)
        mean = np.stack([table[..., arm == a] @ answers[arm == a] for a in (0, 1)], axis=-1) / size
        return mean, (answers - mean[..., arm]) / size[..., arm]

    mean, added = means(n)
    chance, common = mean[..., 1] - mean[..., 0], mean[..., 0] / J
    chance = np.where((chance > 0) & (chance < 1), chance, np.nan)  # outside, least squares ends at infinity
    estimate = np.concatenate([logit(chance), logit(common)], axis=1)
    influence = np.zeros((*n.shape, 2 * cells))
    for c in range(cells):
        influence[:, c, :, c] = added[:, c] * (2 * arm - 1) / (chance * (1 - chance))[:, c, None]
        influence[:, c, :, cells + c] = added[:, c] * (1 - arm) / (J * common * (1 - common))[:, c, None]
    whole, added = means(n.sum(axis=1, keepdims=True))
    dim = Compared(whole[:, :, 1] - whole[:, :, 0], np.broadcast_to(added * (2 * arm - 1), n.shape)[..., None])
    return Compared(estimate, influence), dim


def p_values(case: Case, studies: int, seed: int) -> np.ndarray:
    """The p of the prevalence and of the coefficients, (study, 2)."""
    control, treatment = tables(case, studies, seed)
    columns = None if case.cells == 1 else np.arange(case.cells, dtype=float)[:, None]
    problem, start = problem_of_tables(control, treatment, counts=case.counts, columns=columns)
    full, prevalence = by_likelihood(problem, start)
    fewer, dim = by_means(problem.n)
    compared = case.cells * (1 if case.counts == "softmax" else 2)  # of a softmax the counts' predictor is no mean
    return np.column_stack([hausman(problem.n, prevalence, dim, 1), hausman(problem.n, full, fewer, compared)])


def hausman(n: np.ndarray, full: Compared, fewer: Compared, size: int) -> np.ndarray:
    """The p of each study, (study,), NaN where an estimate is at infinity: as `specification_test`, of the first ``size`` estimates."""
    apart = (full.estimate - fewer.estimate)[:, :size]
    usable = np.flatnonzero(np.isfinite(apart).all(axis=1) & (np.abs(full.estimate[:, :size]) < EDGE).all(axis=1))
    own = [one.influence[usable][..., :size] for one in (full, fewer)]
    weighted = n[usable][..., None]
    variance = np.einsum("scak,scal->skl", weighted * (own[0] - own[1]), own[0] - own[1])
    scale = np.sqrt((weighted * own[1] ** 2).sum(axis=(1, 2)))
    values, vectors = np.linalg.eigh(variance / (scale[:, :, None] * scale[:, None, :]))
    told = values > SAME_DIRECTION
    along = np.einsum("skl,sk->sl", vectors, apart[usable] / scale)
    p = np.full(len(apart), np.nan)
    p[usable] = chi2.sf(np.where(told, along**2 / np.where(told, values, 1.0), 0.0).sum(axis=1), told.sum(axis=1))
    return p


def rejections(case: Case, studies: int) -> dict[str, object]:
    """One row of the table."""
    sizes = [min(BATCH, studies - first) for first in range(0, studies, BATCH)]
    p = np.concatenate([p_values(case, size, seed) for seed, size in enumerate(sizes)])
    row: dict[str, object] = {"truth": case.truth, "n": case.n, "model": case.counts, "covariate": TITLES[case.cells]}
    for i, name in enumerate(("prevalence", "coefficients")):
        row |= {f"{name}: rejected": (p[:, i] < LEVEL).mean(), f"{name}: no number": np.isnan(p[:, i]).mean()}
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    given = parser.parse_args()
    print(INTRODUCTION.format(studies=given.studies, n=N, error=np.sqrt(LEVEL * (1 - LEVEL) / given.studies)))
    for title, cases in (("Where nothing is wrong", NULLS), ("Where something is", WRONG)):
        print(f"## {title}\n\n" + markdown(pd.DataFrame([rejections(case, given.studies) for case in cases])) + "\n")
    print(CONCLUSION.strip())
