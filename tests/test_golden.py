"""Results that were looked at once do not move unnoticed: golden posteriors of fixed studies, and exact log densities of many models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from bayes_listexp import fit
from golden import DENSITIES, FOLDER, POSTERIORS, golden, log_density, quantities, study

DENSITY = json.loads((FOLDER / "densities.json").read_text(encoding="utf-8"))
POSTERIOR = json.loads((FOLDER / "posteriors.json").read_text(encoding="utf-8"))
AWAY = 5
"""Standard errors of a difference that chance does not make, over some six hundred comparisons."""


@pytest.mark.parametrize("name", DENSITIES)
def test_log_densities_are_what_they_were(name):
    """Likelihood, priors and structures to the last digit that sums of numbers of this size keep."""
    assert log_density(name) == pytest.approx(DENSITY[name], rel=1e-10)


def surprises(draws, before, effective):
    """Differences from golden summaries, in standard errors of both, by summary."""
    out, sd = {}, draws.std(ddof=1)
    z = (draws - draws.mean()) / sd
    own = {"mean": sd / np.sqrt(effective), "sd": sd * np.sqrt(max((z**4).mean() - 1, 0.1) / (4 * effective))}
    now = {"mean": draws.mean(), "sd": sd}
    for summary in before:
        if summary.startswith("q"):
            p = float(summary[1:])
            low, high = np.quantile(draws, norm.cdf(norm.ppf(p) + np.array([-0.5, 0.5])))
            # Half the gap of the quantiles a normal unit around is 0.5 / density, whatever the distribution.
            own[summary] = (high - low) * norm.pdf(norm.ppf(p)) ** -1 * np.sqrt(p * (1 - p) / effective)
            now[summary] = np.quantile(draws, p)
        value, error = before[summary]
        out[summary] = (now[summary] - value) / np.hypot(own[summary], error)
    return out


@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors_are_what_they_were(name):
    tree = fit(study(), method="map", seed=1, **POSTERIORS[name])
    told = tree["posterior"].attrs
    assert told["approximation"] == "PSIS"  # or there is nothing to compare
    found, before = quantities(tree), POSTERIOR[name]
    assert list(found) == list(before)
    worst = {(key, summary): z for key in before
             for summary, z in surprises(found[key].ravel(), before[key], told["importance_effective_draws"]).items()}  # fmt: skip
    assert {key: z for key, z in worst.items() if abs(z) > AWAY} == {}


def test_a_moved_posterior_would_be_noticed():
    """A prevalence that is a quarter of its standard deviation higher, with as many draws as a quick look has."""
    draws = np.random.default_rng(1).normal(0.4, 0.1, (4, 5000))
    before = golden(draws)
    assert abs(surprises(np.random.default_rng(2).normal(0.4, 0.1, 1000), before, 1000)["mean"]) < AWAY
    assert surprises(np.random.default_rng(2).normal(0.425, 0.1, 1000), before, 1000)["mean"] > AWAY
