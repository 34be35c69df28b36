"""Exact draws against closed forms, the rows against the catalogue, and a short run of the calibration with two wrong densities."""

import functools

import numpy as np
import pytest
from scipy import stats

import combinations
from bayes_listexp import responses
from benchmarks import calibration_catalogue as catalogue
from benchmarks import calibration_page as page
from benchmarks import exact_draws
from benchmarks.ranks import p_value, uniform_under_calibration

ROW = catalogue.Row("list", "truthful", "binomial", "shift")


def test_every_allowed_combination_is_a_row():
    rows = {(row.way, row.response, row.counts) for row in catalogue.rows()}
    allowed = {(name, response, counts) for name, counts, _ in combinations.combinations() for response in responses.names()}
    assert rows == allowed  # the table of combinations allows every response where it allows one
    assert {row.dependence for row in rows_of("list")} == set(combinations.CASES["list"].dependences)
    assert all({row.dependence for row in rows_of(name)} <= set(case.dependences) for name, case in combinations.CASES.items())
    assert len(set(catalogue.rows())) == len(catalogue.rows())


def rows_of(way):
    return [row for row in catalogue.rows() if row.way == way]


def two_modes(x):
    """Half of the posterior in each of two modes far apart, in five dimensions; the prior is normal with a sd of 3."""
    log_prior = stats.norm(0, 3).logpdf(x).sum(axis=1)
    distance = [((x - centre) ** 2).sum(axis=1) / (2 * 0.2**2) for centre in (-2.0, 2.0)]
    return log_prior, np.logaddexp(-distance[0], -distance[1])


def test_both_of_two_modes_are_found_with_their_mass_and_width():
    prior = np.random.default_rng(0).normal(0, 3, (20_000, 5))
    found = exact_draws.draw_weighted(two_modes, prior, 1)
    weights = exact_draws.normalised(found.log_weights)
    right = found.points[:, 0] > 0
    error = np.sqrt(0.25 / found.ess)
    assert abs(weights[right].sum() - 0.5) < 4 * error
    shrunken = 9 / (9 + 0.2**2)  # of the centre towards 0, and of the variance
    own = weights[right] / weights[right].sum()
    mean = own @ found.points[right]
    np.testing.assert_allclose(mean, 2 * shrunken, atol=4 * 0.2 / np.sqrt(found.ess / 2))
    np.testing.assert_allclose(np.sqrt(own @ (found.points[right] - mean) ** 2), 0.2 * np.sqrt(shrunken), rtol=4 / np.sqrt(found.ess))


def test_a_skewed_prior_that_the_data_say_nothing_of_comes_back():
    prior = np.log(np.random.default_rng(0).exponential(size=(20_000, 3)))
    found = exact_draws.draw_weighted(lambda x: ((x - np.exp(x)).sum(axis=1), np.zeros(len(x))), prior, 2)
    weights = exact_draws.normalised(found.log_weights)
    assert found.ess > 200
    assert found.k < 0.7
    for q in (0.05, 0.5, 0.95):
        below = weights @ (found.points < np.log(stats.expon.ppf(q)))
        np.testing.assert_allclose(below, q, atol=4 * np.sqrt(q * (1 - q) / found.ess))


@functools.cache
def least_p(broken, studies=16):
    """The least p-value of the row, adjusted for its quantities."""
    made = list(catalogue.study_lines(ROW, range(studies), broken))
    ranks = {name: np.array([line["ranks"][name] for line in made]) for name in made[0]["ranks"]}
    return page.holm(np.array([p_value(uniform_under_calibration(r)) for r in ranks.values()])).min(), made


def test_the_truth_has_a_uniform_rank():
    p, made = least_p("")
    assert p > 0.01  # of a hundred seeds one would fail; this one does not
    assert min(line["ess"] for line in made) > 100
    assert max(line["k"] for line in made) < 0.7


@pytest.mark.parametrize("broken", catalogue.BROKEN)
def test_a_wrong_density_is_found_out(broken):
    assert least_p(broken)[0] < 0.01


def test_small_p_values_are_told_apart():
    stray = [p_value(np.linspace(0.001, top, 60)) for top in (0.8, 0.6, 0.4)]
    assert stray[0] > stray[1] >= stray[2] > 0
    assert stray[2] < 1e-6


def test_what_is_sampled_with_an_instrument_is_the_model_s_own_density():
    (line,) = catalogue.study_lines(catalogue.chosen(["one_sided/liars/binomial"])[0], range(1), "")  # raises if the densities differ
    assert {"prevalence", "change", "log-likelihood"} < set(line["ranks"])
