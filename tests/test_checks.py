"""Checks on studies made to pass and studies made to fail."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import chi2

from bayes_listexp.checks import converged, convergence, design_checks, fit_checks, names_of
from bayes_listexp.checks.arms import balance, missing_by_arm
from bayes_listexp.checks.lists import dispersion, edges, impossible_groups
from bayes_listexp.checks.predicted import answers_predicted
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.multiple_tests import holm


def people(n=800, seed=5, **changes):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "sex": rng.choice(["f", "m"], n), "age": rng.normal(40, 10, n)})
    frame["y"] = (rng.binomial(4, 0.5, n) + (rng.random(n) < 0.3) * frame["treat"]).astype(float)
    return frame.assign(**changes)


def study(frame, J=4):
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=J)


def counted(control, treatment, **columns):
    """A study from the number of respondents at each answer 0, 1, ... of both arms."""
    rows = [(k, arm, n) for arm, counts in ((0, control), (1, treatment)) for k, n in enumerate(counts)]
    frame = pd.DataFrame(rows, columns=["y", "treat", "n"]).assign(**columns)
    return ListExperiment.from_counts(frame, answer="y", arm="treat", n="n", J=len(control) - 1)


def test_missing_answers_alike_in_both_arms_pass():
    frame = people()
    frame.loc[:39, "y"] = np.nan  # 20 in each arm
    found = missing_by_arm(study(frame))
    assert found.passed is True
    assert found.estimate == 0
    assert found.table["missing"].tolist() == [20, 20]
    assert "p = 1" in found.text


def test_more_missing_answers_in_one_arm_fail():
    frame = people()
    frame.loc[frame.index[frame["treat"] == 1][:30], "y"] = np.nan
    found = missing_by_arm(study(frame))
    assert found.passed is False
    assert found.estimate == pytest.approx(30 / 400)
    # Two by two: 400 + 370 answered, 0 + 30 missing; the expected missing are 15 in each arm, the answered 385.
    p = chi2.sf(2 * 15**2 / 15 + 2 * 15**2 / 385, df=1)
    assert f"30 (7.5%) in the treatment arm (chi-squared test of equal shares, p = {p:.2g})" in found.text


def test_no_missing_answers():
    found = missing_by_arm(study(people()))
    assert found.passed is True
    assert found.text == "No respondent with a known arm has a missing answer."


def test_covariates_missing_in_one_arm_fail_and_are_named():
    frame = people()
    frame.loc[frame.index[frame["treat"] == 1][:30], "sex"] = None
    frame.loc[:39, "age"] = np.nan  # 20 in each arm
    found = next(check for check in design_checks(study(frame), ["sex", "age"]) if check.name == "missing covariates")
    assert found.passed is False
    assert found.table[["covariate", "control", "treatment"]].values.tolist() == [["sex", 0, 30], ["age", 20, 20]]
    p = chi2.sf(2 * 15**2 / 15 + 2 * 15**2 / 385, df=1)  # as above; Holm doubles the smaller of two
    assert found.estimate == pytest.approx(2 * p)
    assert "sex (0 control, 30 treatment)" in found.text


def test_complete_covariates_are_not_checked_for_missing():
    assert "missing covariates" not in [check.name for check in design_checks(study(people()), ["sex", "age"])]


def test_few_at_the_edges_pass():
    found = edges(counted([10, 40, 40, 10], [10, 30, 30, 25, 5]))
    assert found.passed is True
    assert found.estimate == pytest.approx(0.10)
    assert found.table["share"].tolist() == pytest.approx([0.10, 0.10, 0.05])
    assert "10.0% answer 0 and 10.0% answer 3; in the treatment arm 5.0% answer 4" in found.text


@pytest.mark.parametrize("control", [[25, 40, 25, 10], [10, 25, 40, 25]], ids=["floor", "ceiling"])
def test_many_at_an_edge_fail(control):
    found = edges(counted(control, [10, 30, 30, 25, 5]))
    assert found.passed is False
    assert found.estimate == pytest.approx(0.25)
    assert "lying at the edges is likely" in found.text


def test_dispersion_by_hand():
    found = dispersion(counted([10, 20, 40, 20, 10], [10, 20, 30, 20, 10, 10]))
    # mean 2, variance (10 * 4 + 20 * 1) * 2 / 99, binomial 2 * (1 - 2 / 4) = 1
    assert found.passed is None
    assert found.estimate == pytest.approx(120 / 99)
    assert "more dispersed" in found.text
    assert "less dispersed" in dispersion(counted([0, 10, 80, 10, 0], [0, 10, 60, 20, 10, 0])).text


@pytest.mark.parametrize("control", [[100, 0, 0], [0, 0, 100]])
def test_a_list_where_everybody_says_the_same_protects_nobody(control):
    found = dispersion(counted(control, [50, 30, 10, 10]))
    assert found.passed is False
    assert "the list protects nobody" in found.text


def test_possible_differences_pass_and_an_impossible_group_fails():
    frame = people()
    assert impossible_groups(study(frame), ["sex", "age"]).passed is True
    strange = frame.assign(y=np.where((frame["sex"] == "m") & (frame["treat"] == 1), 0, frame["y"]))
    found = impossible_groups(study(strange), ["sex"])
    assert found.passed is False
    assert found.table["group"].tolist() == ["everybody", "sex: f", "sex: m"]
    row = found.table.iloc[2]
    assert row["standard errors outside 0 to 1"] == pytest.approx(-row["estimate"] / row["se"])
    assert found.estimate == pytest.approx(row["standard errors outside 0 to 1"])
    assert "outside 0 to 1 for" in found.text
    assert "sex: m" in found.text


def test_a_difference_above_one_fails():
    frame = people()
    found = impossible_groups(study(frame.assign(y=np.where(frame["treat"] == 1, 5, 2))), [])
    assert found.passed is False
    assert found.table["estimate"].tolist() == [3.0]


def test_balanced_arms_pass():
    found = balance(study(people()), ["sex", "age"])
    assert found.passed is True
    assert found.table["covariate"].tolist() == ["sex", "age"]
    assert "The arms do not differ in sex, age" in found.text


def test_unbalanced_arms_fail_and_are_named():
    frame = people()
    found = balance(study(frame.assign(sex=np.where(frame["treat"] == 1, "m", frame["sex"]))), ["sex", "age"])
    assert found.passed is False
    assert "The arms differ in sex (chi-squared tests, Holm-adjusted for 2 tests)" in found.text
    older = balance(study(frame.assign(age=frame["age"] + 8 * frame["treat"])), ["sex", "age"])
    assert "The arms differ in age (" in older.text


def test_balance_of_a_table_by_hand():
    frame = pd.DataFrame({"y": [1, 1, 1, 1], "treat": [0, 0, 1, 1], "sex": ["f", "m", "f", "m"], "n": [60, 40, 40, 60]})
    made = ListExperiment.from_counts(frame, answer="y", arm="treat", n="n", J=2)
    found = balance(made, ["sex"])
    assert found.table["p"].tolist() == pytest.approx([chi2.sf(4 * 10**2 / 50, df=1)])


def test_nothing_to_balance():
    found = balance(study(people(sex="f")), ["sex"])
    assert found.passed is None
    assert found.text == "No covariate has two groups to compare between the arms."


def test_holm_by_hand():
    # Sorted: .01 * 4, .02 * 3, .03 * 2 (kept at .06), .5 * 1; and never above 1.
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])).tolist() == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.9, 0.6])).tolist() == [1.0, 1.0]
    assert holm(np.array([0.04])).tolist() == [0.04]


def test_design_checks_are_named_and_told_apart():
    found = design_checks(study(people()), ["sex"])
    assert [c.name for c in found] == [
        "missing answers",
        "arm sizes",
        "balance",
        "floor and ceiling",
        "dispersion",
        "possible differences",
        "information",
        "no design effect",
        "no design effect (Bayes)",
        "types of people",
        "specification",
    ]
    assert "dispersion" not in names_of(found, passed=True) + names_of(found, passed=False)
    assert names_of(found, passed=False) == []
    assert len(design_checks(study(people()))) == 10
    assert all(c.question.endswith("?") and c.text.endswith(".") for c in found)


# Checks of a fit, on hand-made trees.


def tree(values, *, diverging=0, predicted=None):
    draws = values.shape[1]
    stats = np.zeros(values.shape, dtype=bool)
    stats[0, :diverging] = True
    rng = np.random.default_rng(3)
    predicted = rng.multinomial(100, [0.3, 0.4, 0.3], size=(4, draws, 1)) if predicted is None else predicted
    dims = ("chain", "draw", "cell", "control_answer")
    three = np.concatenate([predicted, np.zeros((4, draws, 1, 1), dtype=int)], axis=-1)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {"x": (("chain", "draw"), values), "constant": (("chain", "draw"), np.ones_like(values))}
            ),
            "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), stats)}),
            "posterior_predictive": xr.Dataset(
                {"answer_control": (dims, predicted), "answer_treatment": ((*dims[:3], "treatment_answer"), three)}
            ),
            "observed_data": xr.Dataset(
                {
                    "answer_control": (("cell", "control_answer"), [[30, 40, 30]]),
                    "answer_treatment": (("cell", "treatment_answer"), [[30, 40, 30, 0]]),
                }
            ),
        }
    )


GOOD = np.random.default_rng(1).normal(size=(4, 1000))


def test_a_good_fit_passes():
    found = fit_checks(tree(GOOD))
    assert [c.name for c in found] == ["R-hat", "effective sample size", "divergences", "answers predicted"]
    assert names_of(found, passed=False) == []
    assert converged(tree(GOOD))


def test_chains_that_disagree_fail():
    apart = tree(GOOD + 2 * np.arange(4)[:, None])
    assert names_of(convergence(apart), passed=False) == ["R-hat", "effective sample size"]
    assert not converged(apart)


def test_draws_that_stand_still_fail():
    slow = np.random.default_rng(2).normal(size=(4, 1000)).cumsum(axis=1)
    assert "effective sample size" in names_of(convergence(tree(slow)), passed=False)


def test_a_divergence_fails():
    found = convergence(tree(GOOD, diverging=1))
    assert names_of(found, passed=False) == ["divergences"]
    assert "1 of 4000 transitions diverged" in found[2].text
    assert not converged(tree(GOOD, diverging=1))


def test_a_quick_look_is_no_sampled_posterior():
    quick = tree(GOOD)
    del quick["sample_stats"]
    assert not converged(quick)
    found = fit_checks(quick)
    assert [c.name for c in found] == ["sampling", "answers predicted"]
    assert found[0].passed is False


def test_answers_the_model_does_not_reproduce_are_named():
    assert answers_predicted(tree(GOOD)).passed is True
    wrong = np.random.default_rng(4).multinomial(100, [0.3, 0.65, 0.05], size=(4, 1000, 1))
    found = answers_predicted(tree(GOOD, predicted=wrong))
    assert found.passed is False
    assert found.text.startswith(
        "Outside the model's 99 % interval: control answer 1, control answer 2, treatment answer 1"
    )
    assert found.estimate == 4
