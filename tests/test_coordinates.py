"""Coordinates: the density in them, its gradient, and that standard deviations may be passed through 0."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bayes_listexp as ble
from bayes_listexp.coordinates import Axes, Signs
from bayes_listexp.fitting import signed_sds
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, Sampler, compile_density, sample_nuts
from bayes_listexp.simulated_nation import nation
from bayes_listexp.specification import Specification, blueprint

SD = 0.5
BOTH = Axes(np.array([2, 3]), np.array([1.0, -2.0]), np.array([[2.0, 0.0], [0.5, 0.1]]),
            Signs(np.array([0]), np.array([0.2]), np.array([1]), np.array([0])))  # fmt: skip
CHAINS = Sampler(draws=1500, tune=500, chains=2, cores=1)


def by_level(x):
    """Log of a half-normal sd, an effect in units of it that was seen to be 0.3 with an error of 0.4, and two normal numbers."""
    sd, z = np.exp(x[0]), x[1]
    away = (sd * z - 0.3) / 0.4**2
    value = x[0] - 0.5 * (sd / SD) ** 2 - 0.5 * z**2 - 0.5 * (sd * z - 0.3) ** 2 / 0.4**2 - 0.5 * (x[2:] ** 2).sum()
    return value, np.array([1 - (sd / SD) ** 2 - away * sd * z, -z - away * sd, *-x[2:]])


@pytest.mark.parametrize("u", [0.7, -0.7, 3.0, -3.0, 0.01, -0.01])
def test_the_gradient_is_that_of_the_density(u):
    density, at = BOTH.along(by_level), np.array([u, 0.9, -0.3, 0.8])
    step = 1e-6 * np.eye(4)
    differences = [(density(at + h)[0] - density(at - h)[0]) / 2e-6 for h in step]
    np.testing.assert_allclose(density(at)[1], differences, rtol=1e-5, atol=1e-7)


def test_the_density_goes_on_smoothly_beyond_zero():
    density = BOTH.along(by_level)
    above, below = (density(np.array([u, 0.9, -0.3, 0.8])) for u in (1e-7, -1e-7))
    assert above[0] == pytest.approx(below[0], abs=1e-5)
    np.testing.assert_allclose(above[1], below[1], atol=1e-5)
    assert abs(above[1][0]) > 0.1  # the effect was seen above 0, so it is no ridge


def test_points_come_back():
    x = np.array([-1.3, 0.4, 5.0, -7.0])
    np.testing.assert_allclose(BOTH.back(BOTH.of(x)), x, rtol=1e-12)
    z = BOTH.of(x)
    z[:2] *= -1  # the same effect
    np.testing.assert_allclose(BOTH.back(z), x, rtol=1e-12)


def test_draws_are_those_of_the_density():
    """The prior alone: quantiles of a half-normal distribution, with the Monte Carlo error of independent draws times two."""

    def prior(x):
        return float(x[0] - 0.5 * np.exp(2 * x[0]) / SD**2 - 0.5 * (x[1:] ** 2).sum()), np.array([1 - np.exp(2 * x[0]) / SD**2, *-x[1:]])

    draws, _ = sample_nuts(Density(prior, np.zeros(4)), CHAINS, seed=2, signs=BOTH.signs)
    sd = np.exp(draws[..., 0]).ravel()
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert (sd < stats.halfnorm.ppf(q, scale=SD)).mean() == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / len(sd)) * 2)
    assert draws[..., 1].std() == pytest.approx(1, abs=0.08)


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(4)
    rows = nation(seed=2, n_per_wave=150, waves=3).survey.dropna(subset=["answer"])
    return ble.ListExperiment.from_frame(rows.assign(x=rng.normal(size=len(rows)).round(1)), answer="answer", arm="arm", J=4, wave="wave")


PRODUCTS = {
    "exchangeable": ({"control": "1 + (1|ethnicity)"}, 3),
    "slopes": ({"trait": "1 + x + (1 + x|region)", "control": "1"}, 3),
    "walks": ({"trait": "1 + (1|rw1(wave)) + (1|ethnicity) + (1|rw1(wave):ethnicity)", "control": "1"}, 4),
    "ar1": ({"trait": "1 + (1|ar1(wave))", "control": "1"}, 2),
    "free": ({"trait": "1 + gender", "dependence": "free"}, 3),
    "correlated": ({"trait": "1 + x + (1 + x|lkj(ethnicity))", "control": "1"}, 1),
    "centred": ({"trait": "1 + (1|ethnicity)", "control": "1", "centred": {"trait_ethnicity": True}}, 1),
}
"""Models, and how many of their standard deviations have a sign; the shape of the counts by wave is one in all of them."""


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_model_goes_on_smoothly_beyond_zero(study, name):
    settings, number = PRODUCTS[name]
    model = build_model(blueprint(study, Specification(**settings)))
    signs = signed_sds(model)
    assert len(signs.sd) == number
    density, axes = compile_density(model, "FAST_COMPILE"), Axes(signs=signs)
    at = axes.of(density.start + np.random.default_rng(1).normal(0, 0.3, len(density.start)))
    for position in signs.sd:
        near = [np.where(np.arange(len(at)) == position, u, at) for u in (1e-6, -1e-6)]
        above, below = (axes.along(density.function)(point) for point in near)
        assert above[0] == pytest.approx(below[0], abs=1e-3)
        np.testing.assert_allclose(above[1], below[1], rtol=1e-3, atol=1e-3)
