"""The default sampler on real data, and that chains which run at once do not disturb each other."""

import arviz as az
import numpy as np
import pytest
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from bayes_listexp import ListExperiment, fit, loo, prevalence
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Sampler, compile_density, sample_nuts
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


@pytest.mark.parametrize("counts", ["softmax", "binomial", "com_binomial", "beta_binomial"])
def test_compiled_code_does_not_depend_on_the_answers(race, counts):
    """A constant of the graph becomes part of the machine code, which could then not serve other data."""

    def constants(answers):
        study = ListExperiment.from_frame(race.assign(y=answers), answer="y", arm="treat", J=3)
        model = build_model(blueprint(study, Specification(trait=FORMULA, counts=counts)))
        return sorted(repr(node.data) for node in ancestors([model.logp()]) if isinstance(node, Constant))

    assert constants(race["y"]) == constants(3 - race["y"].clip(upper=3))
