"""Violated assumptions: densities are those of the package, posteriors right, a sound study covers and a broken one is seen."""

import numpy as np
import pytest

from bayes_listexp import Specification, design_checks, difference_in_means, maximum_likelihood
from bayes_listexp.checks import names_of
from bayes_listexp.checks.assumptions import specification
from bayes_listexp.checks.lists import dispersion
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density, initial_values
from bayes_listexp.specification import blueprint
from benchmarks import violations
from benchmarks.violation_checks import failed
from benchmarks.violation_models import (
    anywhere,
    by_likelihood,
    by_means,
    engine,
    learnt,
    model_of,
    posterior,
    sizes,
    study_of,
    summary_of,
)
from benchmarks.violations import (
    DEFAULT,
    LIKELIHOODS,
    MODELS,
    SCENARIOS,
    J,
    distributions,
    drawn,
    limit_of_means,
    one_posterior,
)
from benchmarks.violations_page import measured

COUNTS = np.array([30, 140, 190, 110, 30]), np.array([20, 110, 170, 130, 60, 10])
DIFFERENT = (DEFAULT, "free", "Poisson-binomial, shift", "careless")
STUDIES = 20


@pytest.mark.parametrize("label", DIFFERENT)
def test_the_density_is_that_of_the_package(label):
    model = build_model(blueprint(study_of(*COUNTS), Specification(**MODELS[label])))
    density, own = compile_density(model, mode="FAST_COMPILE"), engine(model_of(MODELS[label]), *COUNTS)
    assert list(sizes(model_of(MODELS[label]), J)) == list(initial_values(model))
    points = np.random.default_rng(1).normal(size=(5, own.size))
    assert own.evaluate(points)[0] == pytest.approx([float(density.function(x)[0]) for x in points], abs=1e-6)


def test_the_posterior_of_two_parameters_is_what_a_grid_says():
    shared = engine(model_of(MODELS["binomial, no dependence"]), *COUNTS)
    rng = np.random.default_rng(1)
    mean, median, low, high, k, ess = summary_of(posterior(shared, learnt(shared, anywhere(shared), rng), rng))
    grid = np.stack(np.meshgrid(np.linspace(-3, 2, 200), np.linspace(-0.6, 0.4, 100)), axis=-1).reshape(-1, 2)
    log_density, chance, _ = shared.evaluate(grid)
    weight = np.exp(log_density - log_density.max())
    order, weight = np.argsort(chance), weight / weight.sum()
    exact = np.interp([0.5, 0.025, 0.975], np.cumsum(weight[order]), chance[order])
    assert [mean, median, low, high] == pytest.approx([weight @ chance, *exact], abs=0.008)  # 2,000 draws; the sd is .05
    assert k < 0.7
    assert ess > 500


@pytest.mark.parametrize("label", LIKELIHOODS)
def test_many_maxima_at_once_are_those_of_the_package(label):
    counts, dependence, response = LIKELIHOODS[label]
    control, treatment, _ = drawn("two items with the trait", 2)
    for found, c, t in zip(by_likelihood(control, treatment, *LIKELIHOODS[label]), control, treatment, strict=True):
        one = maximum_likelihood(study_of(c, t), counts=counts, dependence=dependence, response=response).prevalence.iloc[0]
        assert found == pytest.approx(one[["estimate", "lower", "upper"]].to_list(), abs=1e-6)


def test_the_difference_in_means_is_that_of_the_package():
    control, treatment, _ = drawn("small arms", 1)
    told = difference_in_means(study_of(control[0], treatment[0])).iloc[0][["estimate", "lower", "upper"]].to_list()
    assert by_means(control, treatment)[0] == pytest.approx(told, abs=1e-12)


def test_what_scenarios_do_to_the_difference_in_means_is_what_algebra_says():
    said = {name: limit_of_means(scenario) for name, scenario in SCENARIOS.items()}
    at_edge = 0.8**4 * 0.5 * 0.3  # all items or none, half of those with the trait
    mean, none = 4 * 0.45, 0.55**4
    expected = {"nothing wrong": 0.3, "two items against the trait": 0.3, "ceiling lies": 0.3 - at_edge, "floor lies": 0.3 - at_edge,
                "careless answers": 0.3 + 0.15 * (0.5 - 0.3), "largest number": 0.3 + 0.1 * (1 - 0.3),
                "design effect": 0.3 - 0.15 * (1 - none), "item left out": 0.8 * 0.3,
                "unequal refusals": 0.3 * 0.75 / (0.3 * 0.75 + 0.7 * 0.95)}  # fmt: skip
    assert {name: said[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert mean == pytest.approx(distributions(SCENARIOS["nothing wrong"])[0][:-1] @ np.arange(J + 1))


def test_the_default_covers_where_nothing_is_wrong_and_the_binomial_does_not_with_unequal_items():
    """Of 20 intervals that hold the truth with chance .95 fewer than 16 do with chance .003; of the binomial's here hardly any do."""
    covered = {}
    for name, label in (("nothing wrong", DEFAULT), ("unequal items", DEFAULT), ("unequal items", "binomial, no dependence")):
        data = drawn(name, STUDIES)
        found = np.array([one_posterior(label, name, 1, i, c, t)["prevalence"] for i, (c, t, _) in enumerate(zip(*data, strict=True))])
        covered[name, label] = int(((found[:, 2] <= 0.3) & (found[:, 3] >= 0.3)).sum())
    assert covered["nothing wrong", DEFAULT] >= 16
    assert covered["unequal items", DEFAULT] >= 16
    assert covered["unequal items", "binomial, no dependence"] <= 6


def test_a_broken_study_raises_the_alarm_and_a_sound_one_does_not():
    """5 % of sound studies may fail any of the design's tests; the others' chances are those of the page."""
    rates = {name: {check: by.mean() for check, by in failed(*drawn(name, 40)).items()}
             for name in ("nothing wrong", "unequal refusals", "ceiling lies", "unequal items")}  # fmt: skip
    assert max(rate for check, rate in rates["nothing wrong"].items() if not check.endswith("(binomial)")) <= 0.1
    assert rates["unequal refusals"]["missing answers"] > 0.6
    assert rates["ceiling lies"]["floor and ceiling"] > 0.9
    assert rates["unequal items"]["specification (binomial)"] > 0.8


@pytest.mark.parametrize("name", ["unequal refusals", "largest number"])
def test_the_alarms_are_those_of_the_package(name):
    data = drawn(name, 2)
    study = study_of(*(table[1] for table in data))
    told = names_of(design_checks(study), passed=False)
    told += [f"{check} (binomial)" for check in names_of([dispersion(study, "binomial"), specification(study, "binomial")], passed=False)]
    assert {check for check, by in failed(*data).items() if by[1]} == set(told)


def test_a_run_adds_what_is_missing_and_keeps_what_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(violations, "RESULTS", tmp_path)
    monkeypatch.setattr(violations, "SCENARIOS", {name: SCENARIOS[name] for name in ("nothing wrong", "rare trait")})
    monkeypatch.setattr(violations, "MODELS", {DEFAULT: {}})
    violations.run(1, 1, "")
    path = violations.results_file("posteriors", 1)
    first = path.read_text(encoding="utf-8")
    path.write_text(first + '{"scenario": "cut o', encoding="utf-8")
    violations.run(2, 1, "")
    again = path.read_text(encoding="utf-8")
    assert again.startswith(first)
    assert [(line["scenario"], line["study"]) for line in violations.lines(path)] == [
        ("nothing wrong", 0), ("rare trait", 0), ("nothing wrong", 1), ("rare trait", 1)]  # fmt: skip


def test_measures_are_of_the_truth_and_an_absent_interval_holds_nothing():
    values = np.array([[0.2, 0.1, 0.35], [0.5, 0.4, 0.6], [0.3, np.nan, np.nan], [0.4, 0.2, 0.5]])
    name, label, bias, rmse, coverage, width, none, studies = measured("nothing wrong", "some estimator", values)
    assert (bias, rmse) == pytest.approx((0.05, np.sqrt((0.01 + 0.04 + 0 + 0.01) / 4)))
    assert (coverage, width, none, studies) == pytest.approx((0.5, 0.25, 0.25, 4))
