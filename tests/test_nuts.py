"""The default sampler on real data, and that chains which run at once do not disturb each other."""

import json

import arviz as az
import numpy as np
import pytest
import xarray as xr
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayes_listexp import ListExperiment, fit, fitting, loo, prevalence
from bayes_listexp.checks.sampler import convergence
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, Mode, Sampler, compile_density, find_mode, sample_nuts
from bayes_listexp.specification import Specification, blueprint

FORMULA = "1 + south + age + male + college"
GROUPS = {
    "posterior", "sample_stats", "unconstrained_posterior", "prior", "prior_predictive", "posterior_predictive",
    "log_likelihood", "observed_data", "cells", "report_tables",
}  # fmt: skip
TINY = {"draws": 20, "tune": 50, "chains": 2}


@pytest.fixture(scope="module")
def study(race):
    return ListExperiment.from_frame(race, answer="y", arm="treat", J=3)


@pytest.fixture(scope="module")
def tree(study):
    """All defaults."""
    return fit(study, trait=FORMULA)


@pytest.fixture(scope="module")
def density(study):
    return compile_density(build_model(blueprint(study, Specification(trait=FORMULA))))


@pytest.mark.slow
def test_default_settings_converge(tree):
    table = az.summary(tree, round_to="none")
    assert (table["r_hat"].astype(float) < 1.01).all()
    assert (table["ess_bulk"].astype(float) > 400).all()
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    assert not bool(tree["sample_stats"]["reached_max_treedepth"].any())


@pytest.mark.slow
def test_tree_holds_every_group(tree, study):
    assert set(tree.children) == GROUPS
    assert dict(tree["posterior"].sizes)["chain"] == 4
    assert list(tree["posterior"]["trait"].coords["trait_term"].values) == ["Intercept", *FORMULA.split(" + ")[1:]]
    assert int(tree["observed_data"]["pattern_n"].sum()) == study.n


@pytest.mark.slow
def test_arviz_works_on_the_tree(tree):
    per_pattern = az.loo(tree)
    assert per_pattern.n_data_points == tree["observed_data"].sizes["pattern"]
    # Each respondent's answer is one of at most five, and better predicted than by chance.
    assert 1 < -loo(tree).elpd / tree["observed_data"]["pattern_n"].sum() < np.log(5)
    # ArviZ's summary gives the same means as the draws.
    table = az.summary(tree, var_names=["trait"], round_to="none")
    np.testing.assert_allclose(
        table["mean"].astype(float), tree["posterior"]["trait"].mean(("chain", "draw")), rtol=1e-6
    )


@pytest.mark.slow
def test_posterior_agrees_with_maximum_likelihood(tree):
    draws = prevalence(tree)
    # R finds .155 by maximum likelihood of the binomial model, whose standard error is about .026.
    assert float(draws.mean()) == pytest.approx(0.155, abs=0.05)
    assert 0.015 < float(draws.std()) < 0.07


@pytest.mark.slow
def test_the_seed_decides_the_draws(study):
    first, again, other = (fit(study, trait=FORMULA, sample=TINY, seed=seed) for seed in (3, 3, 4))
    for group in ("posterior", "posterior_predictive", "prior"):
        assert first[group].to_dataset().identical(again[group].to_dataset())
        assert not first[group].to_dataset().equals(other[group].to_dataset())


@pytest.mark.slow
def test_chains_that_run_at_once_do_not_disturb_each_other(density):
    settings = Sampler(draws=200, tune=200, chains=4)
    alone, _ = sample_nuts(density, settings._replace(cores=1), seed=5)
    for _ in range(2):
        together, _ = sample_nuts(density, settings._replace(cores=4), seed=5)
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("sample", "runs"), [({}, [0.8, 0.99]), ({"target_accept": 0.9}, [0.9])], ids=["default", "chosen"])
def test_what_diverges_is_sampled_once_more_with_smaller_steps(race, monkeypatch, sample, runs):
    """Unless the caller chose the steps; the result says so, and holds the settings of the draws that were kept."""
    study = ListExperiment.from_frame(race[["y", "treat"]].head(60), answer="y", arm="treat", J=3)
    asked = []

    def diverges(density, settings, seed, mode, along, signs):
        asked.append(settings.target_accept)
        size = (settings.chains, settings.draws)
        stats = {"diverging": np.full(size, settings.target_accept < 0.99), "energy": np.random.default_rng(1).normal(size=size)}
        draws = mode.point + np.random.default_rng(2).normal(0, 0.1, (*size, len(mode.point)))
        return draws, xr.Dataset({name: (("chain", "draw"), values) for name, values in stats.items()})

    monkeypatch.setattr(fitting, "sample_nuts", diverges)
    monkeypatch.setattr(fitting, "compile_density", lambda model, mode: compile_density(model, "FAST_COMPILE"))
    tree = fit(study, sample={"draws": 30, "chains": 2, **sample})
    assert asked == runs
    assert json.loads(tree.attrs["arguments"])["target_accept"] == runs[-1]
    [check] = [check for check in convergence(tree) if check.name == "divergences"]
    assert check.passed == (len(runs) == 2)
    assert ("A first run with larger steps, of which nothing was kept, had 60." in check.text) == (len(runs) == 2)


@pytest.fixture(scope="module")
def ridge():
    """A normal density of three parameters, correlated by up to .99 and on very different scales, and its mean and covariance."""
    mean, spread = np.array([3.0, -40.0, 0.2]), np.array([0.1, 20.0, 1.0])
    covariance = np.array([[1.0, 0.99, 0.5], [0.99, 1.0, 0.5], [0.5, 0.5, 1.0]]) * np.outer(spread, spread)
    precision = np.linalg.inv(covariance)
    return Density(lambda x: (-0.5 * (x - mean) @ precision @ (x - mean), -precision @ (x - mean)), np.zeros(3)), mean, covariance


def test_chains_along_the_axes_of_the_mode_draw_from_the_same_density_in_fewer_steps(ridge):
    density, mean, covariance = ridge
    settings = Sampler(draws=1000, tune=300, chains=2, cores=1)
    draws, scaled = sample_nuts(density, settings, seed=1, mode=find_mode(density, seed=1))
    _, plain = sample_nuts(density, settings, seed=1)
    assert float(scaled["n_steps"].mean()) < 0.5 * float(plain["n_steps"].mean())
    # Independent draws would have standard errors of 1/sqrt(2,000) sd (mean) and sqrt(2/2,000) of the variance; five of them.
    np.testing.assert_allclose((draws.mean(axis=(0, 1)) - mean) / np.sqrt(np.diag(covariance)), 0, atol=5 / np.sqrt(2000))
    np.testing.assert_allclose(np.cov(draws.reshape(-1, 3).T) / covariance, 1, atol=5 * np.sqrt(2 / 2000))


def test_axes_of_some_parameters_leave_the_density_as_it_is(ridge):
    density, mean, covariance = ridge
    settings = Sampler(draws=1000, tune=500, chains=2, cores=1)
    draws, _ = sample_nuts(density, settings, seed=1, mode=find_mode(density, seed=1), along=np.array([0, 1]))
    np.testing.assert_allclose((draws.mean(axis=(0, 1)) - mean) / np.sqrt(np.diag(covariance)), 0, atol=5 / np.sqrt(2000))
    np.testing.assert_allclose(np.cov(draws.reshape(-1, 3).T) / covariance, 1, atol=5 * np.sqrt(2 / 2000))


def test_chains_start_where_they_would_without_the_mode(ridge):
    density, *_ = ridge
    seen = {True: [], False: []}

    def noted(scaled):
        return density._replace(function=lambda x: seen[scaled].append(x) or density.function(x))

    settings = Sampler(draws=1, tune=1, chains=1, cores=1)
    sample_nuts(noted(True), settings, seed=4, mode=find_mode(density, seed=4))
    sample_nuts(noted(False), settings, seed=4)
    np.testing.assert_allclose(seen[True][0], seen[False][0], rtol=1e-9)


def test_a_mode_without_curvature_changes_nothing(ridge):
    density, mean, _ = ridge
    settings = Sampler(draws=20, tune=20, chains=1, cores=1)
    plain, flat = sample_nuts(density, settings, seed=2), sample_nuts(density, settings, seed=2, mode=Mode(mean, 0.0, None))
    np.testing.assert_array_equal(plain[0], flat[0])


@pytest.mark.parametrize("counts", ["softmax", "binomial", "com_binomial", "beta_binomial"])
def test_compiled_code_does_not_depend_on_the_answers(race, counts):
    """A constant of the graph becomes part of the machine code, which could then not serve other data."""

    def constants(answers):
        study = ListExperiment.from_frame(race.assign(y=answers), answer="y", arm="treat", J=3)
        model = build_model(blueprint(study, Specification(trait=FORMULA, counts=counts)))
        return sorted(repr(node.data) for node in ancestors([model.logp()]) if isinstance(node, Constant))

    assert constants(race["y"]) == constants(3 - race["y"].clip(upper=3))
