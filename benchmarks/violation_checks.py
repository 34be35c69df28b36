"""The design checks of many studies at once: which of them fail, by the package's functions of arrays."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, norm

from bayes_listexp.checks.assumptions import UNLIKELY
from bayes_listexp.checks.lists import MANY_AT_THE_EDGE
from bayes_listexp.checks.record import LEVEL
from bayes_listexp.many_fits import problem_of_tables
from bayes_listexp.multiple_tests import holm
from bayes_listexp.no_design_effect.bayes_factor import log_posterior_of_order, log_prior_of_order
from bayes_listexp.no_design_effect.moment_test import counts_tested
from benchmarks import specification_test
from benchmarks.violation_models import Z, by_means

TESTS = ("missing answers", "possible differences", "no design effect", "specification")


def failed(control: np.ndarray, treatment: np.ndarray, refused: np.ndarray) -> dict[str, np.ndarray]:
    """Which studies fail each check, (study,) each by the check's name: those of :func:`bayes_listexp.design_checks`, its tests after
    Holm's adjustment for their number, and two checks of the binomial model, each by itself.
    """
    estimate, low, _ = by_means(control, treatment).T
    p = np.stack([p_of_missing(control, treatment, refused),
                  norm.sf(np.maximum(-estimate, estimate - 1) / ((estimate - low) / Z)),
                  counts_tested(control, treatment).p, p_of_specification(control, treatment, "softmax")], axis=1)  # fmt: skip
    adjusted = np.array([holm(row) for row in p])
    out = {name: (p[:, i] < LEVEL) & (adjusted[:, i] < LEVEL) for i, name in enumerate(TESTS)}
    share = control / control.sum(axis=1, keepdims=True)
    out["floor and ceiling"] = np.maximum(share[:, 0], share[:, -1]) >= MANY_AT_THE_EDGE
    out["no design effect (Bayes)"] = log_factors(control, treatment) < np.log(UNLIKELY)
    out["dispersion (binomial)"] = not_binomial(control)
    out["specification (binomial)"] = p_of_specification(control, treatment, "binomial") < LEVEL
    return out


def p_of_missing(control: np.ndarray, treatment: np.ndarray, refused: np.ndarray) -> np.ndarray:
    """P of the chi-squared test that as many refused either list, (study,); NaN where nobody refused."""
    answered = np.stack([control.sum(axis=1), treatment.sum(axis=1)], axis=1)
    table = np.stack([answered, refused], axis=2).astype(float)
    total = table.sum(axis=(1, 2), keepdims=True)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=2, keepdims=True) / total
    statistic = ((table - expected) ** 2 / np.where(expected > 0, expected, 1.0)).sum(axis=(1, 2))
    return np.where(refused.sum(axis=1) > 0, chi2.sf(statistic, 1), np.nan)


def p_of_specification(control: np.ndarray, treatment: np.ndarray, counts: str) -> np.ndarray:
    """P of Hausman's test of the prevalence, (study,), NaN where the maximum is at the boundary."""
    problem, start = problem_of_tables(control, treatment, counts=counts)
    full, fewer = specification_test.by_likelihood(problem, start)[1], specification_test.by_means(problem.n)[1]
    return specification_test.hausman(problem.n, full, fewer, 1)


def log_factors(control: np.ndarray, treatment: np.ndarray) -> np.ndarray:
    """The log Bayes factor of no design effect, (study,)."""
    prior = log_prior_of_order(control.shape[1] - 1)
    return np.array([log_posterior_of_order(c, t) for c, t in zip(control, treatment, strict=True)]) - prior


def not_binomial(control: np.ndarray) -> np.ndarray:
    """Whether the 95 % interval of the counts' variance over the binomial's leaves out 1, (study,)."""
    J, y, n = control.shape[1] - 1, np.arange(control.shape[1]), control.sum(axis=1, keepdims=True)
    mean = control @ y / n[:, 0]
    apart = y - mean[:, None]
    variance = (control * apart**2).sum(axis=1) / (n[:, 0] - 1)
    binomial = mean * (1 - mean / J)
    influence = (apart**2 - variance[:, None]) / variance[:, None] - ((1 - 2 * mean / J) / binomial)[:, None] * apart
    half = Z * np.sqrt((control * influence**2).sum(axis=1)) / n[:, 0]
    return np.abs(np.log(variance / binomial)) > half
