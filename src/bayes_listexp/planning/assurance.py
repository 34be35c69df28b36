"""Bayesian assurance: how often a study of this size will say something, over what is believed of the prevalence beforehand.

Studies are simulated as counts of answers by arm and estimated many at once. Every task of studies has a seed of its own, so that
the results do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from math import ceil, sqrt
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.errors import InputError
from bayes_listexp.planning.differences import check_split
from bayes_listexp.planning.estimators import ESTIMATORS, Estimated
from bayes_listexp.planning.scenario import Scenario, check_share

TASK = 500  # studies that share a seed
MOST_DRAWS = 1000  # of a change that would leave 0 to 1


class Belief(NamedTuple):
    """What is believed of the prevalence before the study: a Beta distribution with this mean and standard deviation (0-1 units)."""

    mean: float
    sd: float = 0.0

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """That many draws; all the mean, where the standard deviation is 0."""
        if self.sd == 0:
            return np.full(size, self.mean)
        total = self.mean * (1 - self.mean) / self.sd**2 - 1
        return rng.beta(self.mean * total, (1 - self.mean) * total, size)


class Question(NamedTuple):
    """What is asked of each simulated study: all that a task needs, so that it can be sent to another process.

    ``width`` is that of a whole interval of probability 1 - ``level``. With a ``change`` (second wave minus first) there are two
    waves of n each, of different people.
    """

    scenario: Scenario
    belief: Belief
    share: float = 0.5
    change: float | None = None
    change_sd: float = 0.0
    width: float = 0.2
    level: float = 0.05
    sure: float = 0.95
    estimator: str = "dim"


def assurance(
    scenario: Scenario, sizes: Sequence[int], *, prevalence_sd: float = 0.0, change: float | None = None, change_sd: float = 0.0,
    width: float = 0.2, level: float = 0.05, sure: float = 0.95, estimator: str = "dim", share: float = 0.5, studies: int = 10_000,
    seed: int = 1, workers: int = 1, progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Simulate studies of each size and say how often they reach their aims: one row per size.

    The prevalence of each study is drawn from a Beta distribution with the scenario's prevalence as its mean and
    ``prevalence_sd`` as its standard deviation; P(count | trait) stays. With a ``change`` a second wave of as many other people
    follows, whose prevalence is the first's plus a normal draw around ``change``; pairs that leave 0 to 1 are drawn again.

    Columns: ``n``, ``studies``, ``estimator``, ``no_se`` (share of studies without a standard error: the likelihood has its
    maximum at a prevalence of 0 or 1; they count as reaching no aim), ``mean_width`` (of the interval of probability 1 - level),
    ``narrower`` (share of studies whose interval is narrower than ``width``), ``excludes_zero``, ``coverage``, ``bias``; with a change also
    the same of the change, their names beginning with ``change_``, and ``detects``: the probability of a change in the expected
    direction given the data is above ``sure``, under a flat prior and the normal approximation.
    Shares of S studies have a Monte Carlo error of at most 0.5 / sqrt(S).

    Parameters
    ----------
    estimator : "dim" (difference in means), "ml" (maximum likelihood), or "posterior" (mean and standard deviation under a uniform
        prior); the latter two with any distribution of the count that does not depend on the trait.
    workers : processes; more than one start a fresh Python each, which takes a second or two. Scripts that ask for them must guard
        their main part by ``if __name__ == "__main__"``.
    progress : called with studies done and studies in all.

    Raises
    ------
    InputError : an unknown estimator, a belief that no Beta distribution has, a change that hardly any prevalence allows.
    """
    check_split(share)
    question = Question(scenario, Belief(scenario.prevalence, prevalence_sd), share, change, change_sd, width, level, sure, estimator)
    _check(question, sizes, studies)
    tasks = [(question, n, task, min(TASK, studies - task * TASK), seed) for n in sizes for task in range(ceil(studies / TASK))]
    parts: dict[int, list[pd.DataFrame]] = {n: [] for n in sizes}
    done = 0
    for (_, n, _, size, _), part in zip(tasks, _run(tasks, workers), strict=True):
        parts[n].append(part)
        done += size
        if progress is not None:
            progress(done, studies * len(parts))
    rows = [pd.concat(parts[n]).mean().rename(n) for n in sizes]
    out = pd.DataFrame(rows).rename_axis("n").reset_index()
    out.insert(1, "studies", studies)
    out.insert(2, "estimator", estimator)
    return out


def simulate_answers(
    scenario: Scenario, prevalences: np.ndarray, n: int, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of answers in studies of n respondents, one for each prevalence: control (study, J + 1), treatment (study, J + 2)."""
    treated = round(share * n)
    p = np.asarray(prevalences, dtype=float)[:, None]
    without, with_trait = (1 - p) * scenario.given(0), p * scenario.given(1)
    edge = np.zeros_like(p)
    answers = np.hstack([without, edge]) + np.hstack([edge, with_trait])
    return rng.multinomial(n - treated, _whole(without + with_trait)), rng.multinomial(treated, _whole(answers))


def _task(question: Question, n: int, task: int, size: int, seed: int) -> pd.DataFrame:
    """What each study of one task says, one row a study."""
    rng = np.random.default_rng([seed, n, task])
    truths = _truths(question, size, rng)
    waves = [ESTIMATORS[question.estimator](*simulate_answers(question.scenario, truth, n, question.share, rng)) for truth in truths]
    out = _reached(question, waves[0], truths[0])
    if question.change is not None:
        moved = Estimated(waves[1].estimate - waves[0].estimate, np.hypot(waves[0].se, waves[1].se))
        z = np.sign(question.change or 1.0) * moved.estimate / moved.se
        out = out.join(_reached(question, moved, truths[1] - truths[0]).add_prefix("change_")).assign(detects=z > norm.ppf(question.sure))
    return out


def _reached(question: Question, found: Estimated, truth: np.ndarray) -> pd.DataFrame:
    """Whether each study's interval is narrow, excludes zero and holds the truth."""
    half = norm.ppf(1 - question.level / 2) * found.se
    return pd.DataFrame({
        "no_se": np.isnan(half), "mean_width": 2 * half, "narrower": 2 * half < question.width,
        "excludes_zero": np.abs(found.estimate) > half,
        "coverage": np.abs(found.estimate - truth) <= half, "bias": found.estimate - truth,
    }).astype(float)  # fmt: skip


def _truths(question: Question, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The prevalences of each wave, (study,); pairs of which the second is outside 0 to 1 are drawn again."""
    first = question.belief.draw(rng, size)
    if question.change is None:
        return [first]
    second = first + rng.normal(question.change, question.change_sd, size)
    for _ in range(MOST_DRAWS):
        outside = np.flatnonzero((second < 0) | (second > 1))
        if not outside.size:
            return [first, second]
        first[outside] = question.belief.draw(rng, outside.size)
        second[outside] = first[outside] + rng.normal(question.change, question.change_sd, outside.size)
    raise InputError(f"change = {question.change:g}: from a prevalence around {question.belief.mean:g} it leads outside 0 to 1.")


def _run(tasks: list[tuple[Question, int, int, int, int]], workers: int) -> Iterable[pd.DataFrame]:
    if workers <= 1:
        yield from (_task(*task) for task in tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_task, *zip(*tasks, strict=True))


def _whole(pmf: np.ndarray) -> np.ndarray:
    """Rows that add up to 1 to the last digit, as the generator asks."""
    return pmf / pmf.sum(axis=1, keepdims=True)


def _check(question: Question, sizes: Sequence[int], studies: int) -> None:
    belief = question.belief
    check_share(belief.mean, "prevalence")
    if belief.sd < 0 or (belief.sd > 0 and belief.sd >= sqrt(belief.mean * (1 - belief.mean))):
        raise InputError(f"prevalence_sd = {belief.sd:g}: a Beta distribution with mean {belief.mean:g} has a standard deviation from 0 to "
                         f"less than {sqrt(belief.mean * (1 - belief.mean)):.3f}.")
    if question.estimator not in ESTIMATORS:
        raise InputError(f"estimator = '{question.estimator}': there are {', '.join(ESTIMATORS)}.")
    if studies < 1 or not sizes:
        raise InputError("assurance: at least one size and one study are needed.")
    for n in sizes:
        if min(round(question.share * n), n - round(question.share * n)) < 2:
            raise InputError(f"n = {n}: at least 2 respondents are needed in each arm.")
