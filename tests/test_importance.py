"""The quick look against posteriors known by quadrature, where it is right and where it must say that it is not."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit, logsumexp

from bayes_listexp import predictive
from bayes_listexp.checks import fit_checks
from bayes_listexp.comparison import loo
from bayes_listexp.estimates import prevalence
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import LAPLACE_DRAWS, fit
from bayes_listexp.importance import (
    TRUSTED_K,
    Approximation,
    _systematic,
    around_mode,
    compile_densities,
    corrected,
)
from bayes_listexp.model import build_model
from bayes_listexp.report_text import methods_paragraph
from bayes_listexp.sampling import compile_density, constrain, initial_values
from bayes_listexp.specification import Specification, blueprint
from oracle import answer_pmf, count_pmf

J = 2
ANSWERS = {"control": [50, 70, 30], "treatment": [47, 70, 32, 1]}
"""Of a trait that hardly anybody has."""


def study(**columns):
    counts = pd.DataFrame([(arm, k, n) for arm, ns in ANSWERS.items() for k, n in enumerate(ns)], columns=["arm", "answer", "n"])
    return ListExperiment.from_counts(counts.assign(**columns), answer="answer", arm="arm", n="n", J=J)


SIMPLE = {"counts": "binomial", "dependence": "none", "priors": {"trait_intercept": "Beta(1, 1)", "control_intercept": "Beta(1, 1)"}}


@pytest.fixture(scope="module")
def tree():
    return fit(study(), method="map", **SIMPLE)


@pytest.fixture(scope="module")
def exact():
    """The two probabilities on a grid of their uniform priors, log P(answer) of each answer there, and the posterior's weights."""
    grid = np.meshgrid((np.arange(150) + 0.5) / 500, 0.3 + 0.3 * (np.arange(50) + 0.5) / 50, indexing="ij")
    share, item = (axis.ravel() for axis in grid)
    pmf = [count_pmf("binomial", float(logit(h)), None, J) for h in item]
    log_p = {arm: np.log([answer_pmf("truthful", arm == "treatment", J, prevalence=p, pmfs=(one, one), q={})
                          for p, one in zip(share, pmf, strict=True)]) for arm in ANSWERS}
    log_weight = sum(log_p[arm] @ np.array(n) for arm, n in ANSWERS.items())
    return share, log_p, np.exp(log_weight - logsumexp(log_weight))


def quantiles(values, weights, at):
    order = np.argsort(values)
    return np.interp(at, np.cumsum(weights[order]), values[order])


def test_a_rare_trait_has_the_posterior_of_quadrature(tree, exact):
    share, _, weight = exact
    draws = np.sort(prevalence(tree).to_numpy().ravel())
    assert tree["posterior"].attrs["approximation"] == "PSIS"
    effective = min(tree["posterior"].attrs["importance_effective_draws"], LAPLACE_DRAWS)
    mean = weight @ share
    assert draws.mean() == pytest.approx(mean, abs=4 * np.sqrt(weight @ (share - mean) ** 2 / effective))
    at = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    below = [(draws <= q).mean() for q in quantiles(share, weight, at)]
    assert (np.abs(below - at) < 4 * np.sqrt(at * (1 - at) / effective)).all()


def test_the_normal_distribution_at_its_mode_has_not(tree, exact):
    """What the correction is for: on the logit scale the posterior of a rare trait has a long left tail."""
    share, _, weight = exact
    optimum = tree["optimum"]
    model = build_model(blueprint(study(), Specification(**SIMPLE)))
    start = np.array([float(optimum["trait_intercept"]), float(optimum["control_intercept"])])
    evaluate, step = compile_densities(model, 100), 1e-3
    moves = step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]])
    f = evaluate(start + moves)[0]
    cross = (f[5] + f[6] - f[1] - f[2] - f[3] - f[4] + 2 * f[0]) / 2
    hessian = np.array([[f[1] + f[2] - 2 * f[0], cross], [cross, f[3] + f[4] - 2 * f[0]]]) / step**2
    draws = expit(around_mode(start, np.linalg.inv(-hessian), LAPLACE_DRAWS, 1)[0, :, 0])
    at = np.array([0.25, 0.5, 0.75])
    below = np.array([(draws <= q).mean() for q in quantiles(share, weight, at)])
    assert (np.abs(below - at) > 4 * np.sqrt(at * (1 - at) / LAPLACE_DRAWS)).any()


def test_leaving_one_out_agrees_with_quadrature(tree, exact):
    _, log_p, weight = exact
    # log p(y | the others) = -log E[1 / p(y)], exactly; the Monte Carlo error of a sum of 300 such from about 500 draws is below 0.1
    expected = sum(-n * logsumexp(-log_p[arm][:, k], b=weight) for arm, ns in ANSWERS.items() for k, n in enumerate(ns))
    assert loo(tree).elpd == pytest.approx(expected, abs=0.25)


def test_what_was_done_is_said(tree):
    told = Approximation.of(tree)
    assert told.corrected
    assert told.pareto_k <= TRUSTED_K
    assert tree["optimum"].attrs == tree["posterior"].attrs == told.attributes()
    sampling = fit_checks(tree)[0]
    assert sampling.name == "sampling"
    assert sampling.passed is False  # it is no sampled posterior for all that
    assert f"Pareto k is {told.pareto_k:.2f}" in sampling.text
    words = methods_paragraph(tree)
    assert "Pareto-smoothed importance weights" in words
    assert "R-hat" not in words


def test_many_group_effects_are_left_as_they_are_and_said_to_be():
    frame = pd.DataFrame([(arm, k, f"g{g}") for arm, ns in ANSWERS.items() for k, n in enumerate(ns) for g in np.arange(n) % 30],
                         columns=["arm", "answer", "group"])
    tree = fit(ListExperiment.from_frame(frame, answer="answer", arm="arm", J=J), trait="1 + (1|group)", method="map",
               counts="binomial", dependence="none")
    told = Approximation.of(tree)
    assert not told.corrected
    check = fit_checks(tree)[0]
    assert check.passed is False
    assert "could not correct it (Pareto k" in check.text
    assert "could not correct it" in methods_paragraph(tree)


def test_maximum_likelihood_keeps_its_normal_approximation():
    tree = fit(study(), method="map", counts="binomial", dependence="none", priors="flat")
    assert tree["posterior"].attrs == {"approximation": "normal"}
    assert Approximation.of(tree).words().startswith("A normal approximation")


def skewed(points):
    """The log density of the logits of independent Beta(2, 40) shares."""
    log_density = (2 * points - 42 * np.log1p(np.exp(points))).sum(axis=1)
    return log_density, log_density


def test_skewed_densities_of_several_parameters():
    size, at = 5, np.array([0.025, 0.5, 0.975])
    mode, sd = logit(2 / 42), 1 / np.sqrt(2 * 40 / 42)
    draws, told = corrected(skewed, np.full(size, mode), sd**2 * np.eye(size), 4000, 1)
    assert told.corrected
    below = (expit(draws[0])[:, :, None] <= stats.beta(2, 40).ppf(at)).mean(axis=0)
    assert (np.abs(below - at) < 4 * np.sqrt(at * (1 - at) / told.effective_draws)).all()
    plain = expit(around_mode(np.full(size, mode), sd**2 * np.eye(size), 4000, 1)[0])
    below = (plain[:, :, None] <= stats.beta(2, 40).ppf(at)).mean(axis=0)
    assert (np.abs(below - at) > 4 * np.sqrt(at * (1 - at) / 4000)).any(axis=1).all()


def test_a_density_like_the_proposal_loses_little():
    def normal(points):
        return -0.5 * (points**2).sum(axis=1), np.zeros(len(points))

    draws, told = corrected(normal, np.zeros(3), np.eye(3), 1000, 1)
    assert told.effective_draws > 1500  # of 2,000: a t of 10 degrees of freedom is nearly normal
    assert draws.shape == (1, 1000, 3)


@pytest.mark.parametrize(
    "log_density",
    [
        lambda x: -2 * np.log1p(x**2).sum(axis=1),  # tails far heavier than the proposal's, in 30 directions
        lambda x: np.where(np.arange(len(x)) == 7, 0.0, -np.inf),  # impossible but at one draw
    ],
    ids=["heavy tails", "impossible"],
)
def test_what_cannot_be_corrected_is_normal(log_density):
    mode, covariance = np.zeros(30), 0.01 * np.eye(30)
    draws, told = corrected(lambda x: (log_density(x), log_density(x)), mode, covariance, 1000, 3)
    assert not told.corrected
    np.testing.assert_array_equal(draws, around_mode(mode, covariance, 1000, 3))


def test_draws_are_taken_as_often_as_their_weight_says():
    rng = np.random.default_rng(1)
    weights = rng.dirichlet(np.full(50, 0.5))
    taken = np.bincount(_systematic(weights, 200, rng), minlength=50)
    assert taken.sum() == 200
    assert (np.abs(taken - 200 * weights) < 1).all()


def test_many_points_at_once_have_the_densities_of_one():
    model = build_model(blueprint(study(), Specification(dependence="free", response="liars")))
    one, many = compile_density(model, mode="FAST_COMPILE"), compile_densities(model, 2_000_000)  # two points at once
    points = np.random.default_rng(1).normal(size=(5, len(one.start)))
    np.testing.assert_allclose(many(points)[0], [one.function(point)[0] for point in points], rtol=1e-12)


def test_the_patterns_of_many_draws_add_up_to_the_log_likelihood_of_the_sampled_model():
    """With shapes of the control counts by group, which the two compute in different order."""
    frame = pd.DataFrame([(arm, k, f"g{g}") for arm, ns in ANSWERS.items() for k, n in enumerate(ns) for g in np.arange(n) % 5],
                         columns=["arm", "answer", "group"])
    plan = blueprint(ListExperiment.from_frame(frame, answer="answer", arm="arm", J=J), Specification(trait="1 + (1|group)"))
    model = build_model(plan)
    points = np.random.default_rng(1).normal(scale=0.5, size=(3, sum(np.size(v) for v in initial_values(model).values())))
    by_pattern = predictive.log_likelihood(plan, constrain(model, points[None])).to_numpy()[0]
    assert any("group_shape" in name for name in initial_values(model))
    np.testing.assert_allclose(by_pattern @ predictive.patterns(plan).n, compile_densities(model, 1000)(points)[1], rtol=1e-12)
