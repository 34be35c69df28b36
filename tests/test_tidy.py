"""Tidy frames: every result that holds estimates has one row an estimate, under the names that others use."""

import inspect

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_listexp as ble
from bayes_listexp.spec import CSTO_TABLE, bundled
from bayes_listexp.tidy_frames import tidy

RNG = np.random.default_rng(4)
PEOPLE = pd.DataFrame({"sex": ["f", "m"], "N": [50, 60]})


def draws(*dims, name="prevalence"):
    shape = (2, 200, *(3 for _ in dims))
    coords = {dim: list("abc") for dim in dims}
    return xr.DataArray(RNG.uniform(0.2, 0.6, shape), dims=("chain", "draw", *dims), coords=coords, name=name)


@pytest.fixture(scope="module")
def study():
    n = 800
    rng = np.random.default_rng(5)
    trait = rng.random(n) < 0.4
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "sex": rng.choice(["f", "m"], n), "wave": np.where(np.arange(n) < n / 2, "1", "2"),
                          "asked": np.where(trait & (rng.random(n) < 0.6), "yes", "no"), "arm2": 1 - np.arange(n) % 2})
    frame["y2"] = rng.binomial(2, 0.5, n) + trait * frame["arm2"]
    frame["y"] = rng.binomial(3, 0.5, n) + trait * frame["arm"]
    instruments = [ble.DirectQuestion("asked", yes="yes", no="no"), ble.SecondList("y2", "arm2", J=2)]
    return ble.ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, wave="wave", covariates=["sex"], instruments=instruments)


OF_STUDIES = {
    "difference_in_means": lambda study: ble.difference_in_means(study, by="sex"),
    "change_in_means": lambda study: ble.change_in_means(study, "1", "2"),
    "poststratified_means": lambda study: ble.poststratified_means(study, cells=["sex"], population=PEOPLE),
    "poststratified_change": lambda study: ble.poststratified_change(study, "1", "2", cells=["sex"], population=PEOPLE),
    "double_list": lambda study: ble.double_list(study),
    "linear_regression": lambda study: ble.linear_regression(study, "1 + sex"),
    "maximum_likelihood": lambda study: ble.maximum_likelihood(study, "1 + sex"),
    "nonlinear_least_squares": lambda study: ble.nonlinear_least_squares(study, "1 + sex"),
    "specification_test": lambda study: ble.specification_test(study, "1 + sex"),
    "quick_estimates": lambda study: ble.quick_estimates(study),
    "adjusted_difference": lambda study: ble.adjusted_difference(study, "sex"),
    "refusal_bounds": lambda study: ble.refusal_bounds(study),
    "lying_bounds": lambda study: ble.lying_bounds(study, by="sex"),
    "subgroup_means": lambda study: ble.subgroup_means(study, ["sex"]),
    "estimates_without_model": lambda study: ble.estimates_without_model(study, by=["sex"]),
    "combined_estimate": lambda study: ble.combined_estimate(study),
    "placebo_tests": lambda study: ble.placebo_tests(study),
    "no_design_effect_test": lambda study: ble.no_design_effect_test(study),
    "type_shares": lambda study: ble.type_shares(study),
}
OF_DRAWS = {
    "prevalence": lambda: draws("sex"),
    "change": lambda: xr.Dataset({"change": draws("sex", name="change"), "rate": draws("sex", name="rate")}),
    "change_summary": lambda: ble.change_summary(draws("sex", name="change")),
    "p_monotone": lambda: ble.p_monotone(draws("sex", "wave"), "wave"),
    "largest_drop": lambda: ble.largest_drop(draws("wave"), "wave"),
    "ranks": lambda: ble.ranks(draws("region"), "region"),
    "compare_changes": lambda: ble.compare_changes(draws("region", name="change"), "region"),
    "summarise": lambda: ble.summarise(draws("sex")),
    "printed_differences": lambda: ble.printed_differences(ble.read_published(bundled(CSTO_TABLE), J=4, N=400)),
}
SAME_AS = {"realised_prevalence", "contrast", "path", "filtered", "trait_probability", "difference_of_changes"} | {
    "misreporting", "observed_by", "published_change"}
"""Draws like those of :func:`prevalence`, or a Dataset of such like that of :func:`change`."""
ELSEWHERE = {"fit", "fit_published", "loo", "compare", "support_table", "design_based_change", "prevalence_of_tables", "change_of_tables",
             "pooling"}
"""Tested with the fits or tables that they need, here or in test_regression_tables."""
NO_ESTIMATES = {"kish", "contraction", "power_scaling", "frame_against_sample", "cells_outside_frame", "no_design_effect_bayes_factor",
                "read_survey", "read_population", "recode", "shares_as_frame"}
"""Frames of data, or numbers that are no estimates of a quantity with its uncertainty."""


def test_every_public_function_with_estimates_is_tested():
    results = ("DataFrame", "DataArray", "Dataset", "DataTree", "ListRegression", "QuickEstimates", "WithoutModel", "ManyFits", "ELPDData")
    known = {*OF_STUDIES, *OF_DRAWS, *SAME_AS, *ELSEWHERE, *NO_ESTIMATES, "tidy"}
    for name in ble.__all__:
        made = getattr(ble, name)
        if inspect.isfunction(made) and any(word in str(inspect.signature(made).return_annotation) for word in results):
            assert name in known, name
    assert known <= set(ble.__all__)


@pytest.mark.parametrize("name", OF_STUDIES)
def test_estimators_of_studies(name, study):
    result = OF_STUDIES[name](study)
    found = tidy(result)
    assert len(found)
    assert not {"se", "lower", "upper", "part", "p", "z"} & set(found.columns)
    assert {"estimate", "std_error"} <= set(found) or {"bound_low", "conf_low", "conf_high"} <= set(found) or "p_value" in found
    if "conf_low" in found and "estimate" in found:
        there = found.dropna(subset=["estimate", "conf_low"])
        assert ((there["conf_low"] <= there["estimate"]) & (there["estimate"] <= there["conf_high"])).all()


@pytest.mark.parametrize("name", OF_DRAWS)
def test_results_from_draws(name):
    found = tidy(OF_DRAWS[name]())
    if name not in ("p_monotone", "largest_drop"):
        assert (found["conf_low"] <= found["estimate"]).all()
        assert (found["estimate"] <= found["conf_high"]).all()
    assert not {"se", "lower", "upper", "median", "sd", "p"} & set(found.columns)


def test_draws_give_one_row_a_group_with_the_median_and_its_interval():
    given = draws("sex", "wave")
    found = tidy(given, probability=0.8)
    assert list(found.columns) == ["term", "sex", "wave", "estimate", "std_error", "conf_low", "conf_high", "mean", "p_below_zero"]
    one = given.sel(sex="b", wave="c").to_numpy().ravel()
    row = found[(found["sex"] == "b") & (found["wave"] == "c")].iloc[0]
    assert row["term"] == "prevalence"
    assert row[["estimate", "std_error", "conf_low", "conf_high"]].tolist() == pytest.approx(
        [np.median(one), one.std(ddof=1), *np.quantile(one, [0.1, 0.9])])
    assert tidy(xr.Dataset({"a": draws(name="x"), "b": draws(name="x")}))["term"].tolist() == ["a", "b"]


def test_frames_keep_their_numbers_and_everything_else(study):
    plain = ble.difference_in_means(study, by="sex")
    found = tidy(plain)
    assert list(found.columns) == ["sex", "estimate", "std_error", "conf_low", "conf_high", "n_control", "n_treatment"]
    np.testing.assert_array_equal(found["std_error"], plain["se"])
    bounds, tidied = ble.lying_bounds(study), tidy(ble.lying_bounds(study))
    np.testing.assert_array_equal(tidied["bound_low"], bounds["lower"])  # what is identified is no confidence limit
    np.testing.assert_array_equal(tidied["conf_low"], bounds["interval_lower"])
    regression = ble.maximum_likelihood(study, "1 + sex")
    assert list(tidy(regression).columns) == ["component", "term", "estimate", "std_error", "conf_low", "conf_high"]
    assert tidy(regression.prevalence)["estimate"].tolist() == regression.prevalence["estimate"].tolist()


def test_records_of_frames_say_which_one_a_row_is_from(study):
    found = tidy(ble.estimates_without_model(study, by=["sex"]))
    assert found.columns[0] == "table"
    assert {"prevalence", "bounds", "subgroups"} <= set(found["table"])
    assert not {"se", "lower"} & set(found.columns)


def test_what_p_is_depends_on_the_result():
    assert "probability" in tidy(ble.largest_drop(draws("wave"), "wave"))
    assert "p_loo" in tidy(pd.DataFrame({"model": ["a"], "elpd": [-1.0], "se": [0.1], "p": [2.0]}))
    assert "p_value" in tidy(pd.DataFrame({"estimate": [1.0], "se": [0.1], "p": [0.2]}))


def test_many_small_fits():
    many = ble.prevalence_of_tables(np.array([[30, 40, 20], [20, 50, 20]]), np.array([[20, 35, 25, 10], [15, 40, 25, 10]]))
    found = tidy(many)
    assert found["study"].tolist() == [0, 1]
    np.testing.assert_array_equal(found["estimate"], many.estimate)


@pytest.mark.parametrize(("given", "message"), [
    (pd.DataFrame({"a": [1]}), "no column holds an estimate; the columns are: a"),
    (pd.DataFrame({"estimate": [1], "se": [1], "sd": [1]}), "two columns of estimate, se, sd would be called 'std_error'"),
    (xr.DataArray([1.0], dims="x"), "no dim 'chain'; the dims are: x"),
    (xr.DataTree(), "use tidy\\(support_table"),
    (3, "a int holds no estimates"),
])
def test_what_holds_no_estimate_is_refused(given, message):
    with pytest.raises(ble.InputError, match=message):
        tidy(given)
