"""Estimators of the prevalence for many simulated studies at once: counts of answers in, estimates and standard errors out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Estimated(NamedTuple):
    """Estimates and their standard errors, (study,)."""

    estimate: np.ndarray
    se: np.ndarray


def difference_in_means(control: np.ndarray, treatment: np.ndarray) -> Estimated:
    """The difference in means with its unbiased variance, for numbers of answers (study, answer) in either arm."""
    (m0, v0), (m1, v1) = _mean_and_variance(control), _mean_and_variance(treatment)
    return Estimated(m1 - m0, np.sqrt(v0 + v1))


ESTIMATORS: dict[str, Callable[[np.ndarray, np.ndarray], Estimated]] = {"dim": difference_in_means}


def _mean_and_variance(answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean answer of each study, and the estimated variance of that mean."""
    y, n = np.arange(answers.shape[1]), answers.sum(axis=1)
    mean = answers @ y / n
    return mean, ((answers @ y**2) / n - mean**2) / (n - 1)
