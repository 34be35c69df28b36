"""The no-design-effect test against what R printed, closed forms, Monte Carlo and enumeration; the exact Bayes factor against draws."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from bayes_listexp import InputError, ListExperiment, SecondList
from bayes_listexp.list_arms import arms_by_list
from bayes_listexp.no_design_effect.bayes_factor import (
    log_posterior_of_order,
    log_prior_of_order,
    no_design_effect_bayes_factor,
)
from bayes_listexp.no_design_effect.chi_bar import chi_bar_tail, chi_bar_weights, distance
from bayes_listexp.no_design_effect.moment_test import counts_tested as p_of
from bayes_listexp.no_design_effect.moment_test import no_design_effect_test
from bayes_listexp.no_design_effect.orthants import orthant_probability
from bayes_listexp.no_design_effect.type_shares import type_estimates, type_shares
from tests.conftest import SHARED, shared

SIZES = {"race": 3, "affirm": 3, "mis": 4}


def study(name):
    frame = pd.read_csv(shared(f"{name}.csv"))
    frame = frame[frame["list.data"] == 1] if name == "mis" else frame
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=SIZES[name])


def reference(name):
    return json.loads((SHARED / "reference" / "list_ict_test.json").read_text())[name]


def covariance(m, seed=0):
    a = np.random.default_rng(seed).normal(size=(m, m + 2))
    return a @ a.T


@pytest.mark.parametrize("name", SIZES)
def test_replication_mode_is_what_r_prints(name):
    (printed,) = reference(f"{name}_gmsTRUE")["p_bonferroni"].values()
    assert no_design_effect_test(study(name), "list-9.2.6")["p"].item() == pytest.approx(printed, abs=1e-12)


@pytest.mark.parametrize("name", ["race", "affirm"])  # R's weights of four inequalities (mis) do not add up to 1
def test_without_selection_is_what_r_prints(name):
    (printed,) = reference(f"{name}_gmsFALSE")["p_bonferroni"].values()
    assert no_design_effect_test(study(name), "none")["p"].item() == pytest.approx(printed, abs=1e-8)


@pytest.mark.parametrize(("name", "p"), [("race", 0.154), ("affirm", 0.788), ("mis", 0.515)])
def test_textbook_selection(name, p):
    assert round(no_design_effect_test(study(name))["p"].item(), 3) == p


@pytest.mark.parametrize("name", SIZES)
def test_type_table_is_what_r_prints(name):
    printed = reference(f"{name}_gmsTRUE")["pi_table"].values()
    found = type_shares(study(name))
    assert found["estimate"].round(4).tolist() == [row["est."] for row in printed]
    assert found["se"].round(4).tolist() == [row["s.e."] for row in printed]


def test_the_right_weights_where_rs_do_not_add_up():
    (arms,) = arms_by_list(study("mis"))
    _, covariances = type_estimates(arms.control, arms.treatment)
    right = [0.119, 0.340, 0.355, 0.160, 0.026]  # by 200,000 draws, so to about .001
    assert chi_bar_weights(covariances[0, :4, :4]) == pytest.approx(right, abs=0.002)


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_orthants_of_equal_correlations(m):
    half, zero = 0.5 * (np.eye(m) + 1), np.eye(m)
    assert orthant_probability(np.stack([half, zero])) == pytest.approx([1 / (m + 1), 0.5**m], abs=1e-12)


@pytest.mark.parametrize("m", [4, 5, 6])
def test_orthants_against_numerical_integration(m):
    s = covariance(m, seed=m)
    expected = multivariate_normal(cov=s, abseps=1e-8, releps=1e-8, maxpts=4_000_000, seed=1).cdf(np.zeros(m))
    assert orthant_probability(s) == pytest.approx(expected, abs=2e-5)  # the error that scipy's lattice rule leaves


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_weights_against_projections_of_draws(m):
    s = covariance(m, seed=10 + m)
    draws = np.random.default_rng(m).multivariate_normal(np.zeros(m), s, size=100_000)
    far, weights = distance(draws, np.broadcast_to(s, (len(draws), m, m))), chi_bar_weights(s)
    assert weights.sum() == pytest.approx(1, abs=1e-9)
    assert weights[::2].sum() == pytest.approx(0.5, abs=1e-9)
    assert (far == 0).mean() == pytest.approx(weights[0], abs=4 * 0.5 / np.sqrt(len(draws)))
    for q in (0.5, 2.0, 5.0):
        assert (far >= q).mean() == pytest.approx(chi_bar_tail(np.array(q), weights), abs=4 * 0.5 / np.sqrt(len(draws)))


def test_weights_of_independent_coordinates_are_binomial():
    assert chi_bar_weights(np.eye(6)) == pytest.approx(np.array([1, 6, 15, 20, 15, 6, 1]) / 64)


def test_weights_and_distance_of_many_coordinates_are_drawn():
    weights = chi_bar_weights(np.eye(7))
    assert weights == pytest.approx(np.array([1, 7, 21, 35, 35, 21, 7, 1]) / 128, abs=4 * 0.0036)
    t = np.array([-1.0, 2.0, -3.0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert distance(t[None], np.eye(13)[None]) == pytest.approx([10.0])


def test_distance_by_hand():
    t = np.array([[1.0, 2.0], [-1.0, 2.0], [-1.0, -2.0], [-1.0, 0.1]])
    assert distance(t, np.broadcast_to(np.eye(2), (4, 2, 2))).tolist() == [0, 1, 5, 1]
    # With a correlation of .5 the second coordinate moves with the first: at v2 = .1 + .5 > 0 the distance is that of the first.
    assert distance(t[3:], np.array([[[1, 0.5], [0.5, 1]]])) == pytest.approx([1.0])


def test_one_inequality_is_a_one_sided_test():
    found = p_of(np.array([40, 60]), np.array([50, 40, 10]), "none")
    z = (0.4 - 0.5) / np.sqrt(0.24 / 100 + 0.25 / 100)
    assert found.p_by_trait[0] == pytest.approx(norm.cdf(z))
    assert found.p == pytest.approx(2 * norm.cdf(z))


@pytest.mark.parametrize("J", [1, 2, 3, 4, 5, 6, 8])
def test_answers_that_no_types_can_give_fail_and_expected_ones_pass(J):
    binomial = np.array([1.0, 1.0])
    for _ in range(J - 1):
        binomial = np.convolve(binomial, [1, 1])
    control = 800 * binomial / binomial.sum()
    fine = 0.6 * np.append(control, 0) + 0.4 * np.insert(control, 0, 0)
    assert p_of(control, fine, "none").p == 1
    turned = p_of(control, np.append(control, 0) * 0.5 + 400 * np.eye(J + 2)[0])
    assert turned.p < 1e-6  # half of those with the treatment list say none
    assert p_of(control, turned_up(fine)).p < 1e-4


def turned_up(counts):
    """Half of those who would say least say the most instead."""
    moved = counts.copy()
    moved[-1] += 0.5 * counts[:-1].sum()
    moved[:-1] *= 0.5
    return moved


def test_many_tables_at_once_are_one_table_at_a_time():
    rng = np.random.default_rng(2)
    control, treatment = rng.multinomial(200, [0.1, 0.3, 0.3, 0.2, 0.1], 30), rng.multinomial(200, [0.12, 0.3, 0.3, 0.15, 0.1, 0.03], 30)
    for method in ("textbook", "none", "list-9.2.6"):
        one = [p_of(c, t, method).p for c, t in zip(control, treatment, strict=True)]
        assert p_of(control, treatment, method).p == pytest.approx(np.array(one))


@pytest.mark.parametrize(
    ("control", "treatment"), [([0, 60, 40], [0, 70, 20, 10]), ([60, 0, 40], [70, 0, 20, 10]), ([60, 0, 0, 0, 40], [70, 0, 0, 0, 20, 10])]
)
def test_empty_cells_repeat_inequalities_and_change_nothing(control, treatment):
    short = p_of(np.array([60, 40]), np.array([70, 20, 10]), "none").p_by_trait[0]
    assert short == pytest.approx(norm.cdf(-0.1 / np.sqrt(0.24 / 100 + 0.21 / 100)))
    # Repeated inequalities get a ridge of 1e-6 of their variance, whose root is what probabilities can move by.
    assert p_of(np.array(control), np.array(treatment), "none").p_by_trait[0] == pytest.approx(short, abs=1e-3)


def test_an_impossible_share_without_any_sampling_error_has_p_zero():
    assert p_of(np.array([0, 0, 100]), np.array([100, 0, 0, 0])).p == 0


def test_tables_by_version_item_and_wave():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"arm": rng.choice(["none", "a", "b"], 900), "w": rng.choice(["1", "2"], 900)})
    frame["y"] = rng.binomial(3, 0.5, 900) + (frame["arm"] != "none") * rng.binomial(1, 0.4, 900)
    made = ListExperiment.from_frame(frame, answer="y", arm="arm", arms=("none", ["a", "b"]), J=3, wave="w")
    found = no_design_effect_test(made, by="w")
    assert found[["item", "w"]].to_numpy().tolist() == [["a", "1"], ["a", "2"], ["b", "1"], ["b", "2"]]
    assert (found["p_adjusted"] >= found["p"]).all()
    assert found["n_control"].tolist()[:2] == found["n_control"].tolist()[2:]  # one control arm for both items


def test_a_second_list_is_a_list_of_its_own():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"t": np.arange(400) % 2, "y": 0, "u": 1 - np.arange(400) % 2})
    frame["y"], frame["z"] = rng.binomial(3, 0.5, 400), rng.binomial(2, 0.5, 400)
    made = ListExperiment.from_frame(frame, answer="y", arm="t", J=3, instruments=[SecondList("z", "u", J=2)])
    found = arms_by_list(made)
    assert [(arms.of["list"], arms.J, arms.control.sum()) for arms in found] == [("1", 3, 200), ("second", 2, 200)]


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="textbook, none, list-9.2.6"):
        no_design_effect_test(study("race"), "exact")


@pytest.mark.parametrize("J", [1, 2, 3, 4])
def test_prior_probability_of_the_order(J):
    rng = np.random.default_rng(J)
    assert np.exp(log_prior_of_order(J)) == pytest.approx(ordered_share(np.zeros(J + 1), np.zeros(J + 2), rng), abs=4 * 0.0011)
    nobody = np.zeros(J + 1, dtype=int), np.zeros(J + 2, dtype=int)
    assert log_posterior_of_order(*nobody) == pytest.approx(log_prior_of_order(J))


@pytest.mark.parametrize(
    ("control", "treatment"), [([2, 5, 3], [1, 4, 4, 1]), ([5, 20, 30, 9], [6, 18, 30, 12, 2]), ([0, 0, 7], [3, 0, 1, 2])]
)
def test_the_exact_probability_is_that_of_draws(control, treatment):
    exact = np.exp(log_posterior_of_order(np.array(control), np.array(treatment)))
    rng = np.random.default_rng(6)
    assert exact == pytest.approx(ordered_share(control, treatment, rng), abs=4 * 0.0011)


def ordered_share(control, treatment, rng, draws=200_000):
    """The share of pairs of Dirichlet draws in which no type of people is negative; its Monte Carlo error is at most .0011."""
    f0 = rng.dirichlet(np.array(control) + 1.0, draws).cumsum(axis=1)
    f1 = rng.dirichlet(np.array(treatment) + 1.0, draws).cumsum(axis=1)
    return ((f0[:, :-1] >= f1[:, :-2]) & (f1[:, 1:-1] >= f0[:, :-1])).all(axis=1).mean()


@pytest.mark.parametrize(("name", "factor"), [("race", 0.65), ("affirm", 13.8), ("mis", 30.0)])
def test_bayes_factors_of_published_lists(name, factor):
    # The expected values were drawn; a few percent is their Monte Carlo error.
    assert no_design_effect_bayes_factor(study(name))["bayes_factor"].item() == pytest.approx(factor, rel=0.04)
