"""Bounds for refusals of the list: trimming against hand computations with ties, worst cases against enumeration."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bayes_listexp import InputError, ListExperiment, design_checks, difference_in_means, refusal_bounds
from bayes_listexp.bounds import ALWAYS, BOUND_COLUMNS, EVERYBODY, Arm, bounds_of_arms, refusal_words

J = 3


def study_of(control, treatment, **columns):
    """A study of these answers, None for a refusal."""
    frame = pd.DataFrame({"y": [*control, *treatment], "t": [0] * len(control) + [1] * len(treatment)} | columns)
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=J)


def bounds_of(study, of, **how):
    return refusal_bounds(study, **how).set_index("of").loc[of]


CONTROL, TREATMENT = [0, 1, 1, 2, 3, 3, 2, 1], [1, 2, 2, 4, 3, None, None, None]


def test_ties_are_split_by_hand():
    """Five of eight answer the treatment list, all eight the control list: the five lowest of eight are 0 1 1 1 2."""
    lee = bounds_of(study_of(CONTROL, TREATMENT), ALWAYS)
    assert (lee["trimmed"], lee["trimmed_share"]) == ("control", pytest.approx(3 / 8))
    assert lee["lower"] == pytest.approx(12 / 5 - (3 + 3 + 2 + 2 + 1) / 5)
    assert lee["upper"] == pytest.approx(12 / 5 - (0 + 1 + 1 + 1 + 2) / 5)


def test_standard_errors_by_hand():
    """Lee's Proposition 3 with n - 1 for n: of the five lowest, 0 1 1 1 2, mean 1 and variance .4, cut off at 2."""
    q, n = 5 / 8, 8
    part = (q * (0.4 + (2 - 1) ** 2) - q**2 * (2 - 1) ** 2) / q**2 / (n - 1)
    share = ((2 - 1) / q) ** 2 * q**2 * (1 - q) / (q * n)  # nobody refused the control list
    other = np.var([1, 2, 2, 4, 3], ddof=1) / 5
    lee = bounds_of(study_of(CONTROL, TREATMENT), ALWAYS)
    assert lee["se_upper"] == pytest.approx(np.sqrt(part + share + other))


def test_part_of_a_person_is_left_out():
    """Two of three answer the treatment list: of four answers 0 1 1 2 the lowest eight thirds are 0, 1, and two thirds of 1."""
    lee = bounds_of(study_of([0, 1, 1, 2], [1, 3, None]), ALWAYS)
    kept = 8 / 3
    assert lee["upper"] == pytest.approx(2 - (0 + 1 + 2 / 3) / kept)
    assert lee["lower"] == pytest.approx(2 - (2 + 1 + 2 / 3) / kept)


def test_the_arm_that_refuses_less_is_trimmed():
    lee = bounds_of(study_of([0, 1, None, None], [0, 2, 3, 4]), ALWAYS)
    assert (lee["trimmed"], lee["trimmed_share"]) == ("treatment", pytest.approx(1 / 2))
    assert (lee["lower"], lee["upper"]) == (pytest.approx(1 - 0.5), pytest.approx(3.5 - 0.5))
    assert (lee["refused_control"], lee["refused_treatment"], lee["n_control"], lee["n_treatment"]) == (0.5, 0.0, 4, 4)


def test_equal_refusals_leave_the_difference_in_means():
    study = study_of([*CONTROL, None], [1, 2, 2, 4, 3, 0, 1, 1, None])
    lee, dim = bounds_of(study, ALWAYS), difference_in_means(study).iloc[0]
    assert lee["trimmed"] == "neither"
    assert (lee["lower"], lee["upper"]) == (pytest.approx(dim["estimate"]), pytest.approx(dim["estimate"]))
    nobody = bounds_of(study_of(CONTROL, [1, 2, 2, 4, 3, 0, 1, 1]), ALWAYS)
    dim = difference_in_means(study_of(CONTROL, [1, 2, 2, 4, 3, 0, 1, 1])).iloc[0]
    assert (nobody["se_lower"], nobody["se_upper"]) == (pytest.approx(dim["se"]), pytest.approx(dim["se"]))
    assert (nobody["interval_lower"], nobody["interval_upper"]) == (pytest.approx(dim["lower"]), pytest.approx(dim["upper"]))


def test_worst_case_is_the_extreme_of_all_completions():
    control, treatment = [0, 1, 3, None, None], [1, 4, None, 2]
    means = []
    for c, t in product(product(range(J + 1), repeat=2), range(J + 2)):
        means.append(np.mean([1, 4, t, 2]) - np.mean([0, 1, 3, *c]))
    worst = bounds_of(study_of(control, treatment), EVERYBODY)
    assert (worst["lower"], worst["upper"]) == (pytest.approx(min(means)), pytest.approx(max(means)))
    filled = np.var([1, 4, 0, 2], ddof=1) / 4 + np.var([0, 1, 3, 3, 3], ddof=1) / 5
    assert worst["se_lower"] == pytest.approx(np.sqrt(filled))


def test_a_refused_placebo_list_counts_to_the_top_of_its_list():
    frame = pd.DataFrame({"y": [0, 1, None, 4, 2, 3], "t": [0, 0, 0, 0, 1, 1], "padded": [0, 0, 1, 1, 0, 0]})
    study = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, placebo="padded")
    assert bounds_of(study, EVERYBODY)["lower"] == pytest.approx(2.5 - (0 + 1 + 4 + 4) / 4)


def test_lee_bounds_hold_the_truth_and_their_errors_are_right():
    """The bounds' standard errors are those over 1,000 surveys (9 %: four Monte Carlo errors of a standard deviation), and the
    interval covers the prevalence of those who would answer either list, which is at a bound, with 95 % (.93 to .97)."""
    rng = np.random.default_rng(1)
    n, rows = 1200, []
    for _ in range(1000):
        count, trait, t = rng.binomial(J, 0.5, n), rng.random(n) < 0.4, rng.random(n) < 0.5
        shy = (count + trait * t >= 3) & (rng.random(n) < 0.5) & t  # only long answers are withheld, and on the treatment list only
        control, treatment = (np.bincount((count + trait * t)[(t == arm) & ~shy], minlength=J + 2) for arm in (0, 1))
        refused = np.array([0, 0, 0, 0, int(shy.sum())])
        rows.append(bounds_of_arms(Arm(control, 0 * refused), Arm(treatment, refused), 0.95)[1])
    table = pd.DataFrame(rows, columns=BOUND_COLUMNS)
    for end in ("lower", "upper"):
        assert table[end].std() == pytest.approx(table[f"se_{end}"].mean(), rel=0.09)
    # The population's bounds, in the same way from its distribution of answers.
    pmf = np.array([1, 3, 3, 1, 0]) / 8
    asked = 0.6 * pmf + 0.4 * np.roll(pmf, 1)
    said = asked * [1, 1, 1, 0.5, 0.5]
    kept = said.sum()
    mean = np.arange(5) @ said / kept
    lowest = np.minimum(np.cumsum(pmf), kept)
    share = np.diff(np.concatenate([[0.0], lowest]))
    upper = mean - np.arange(5) @ share / kept
    assert table["upper"].mean() == pytest.approx(upper, abs=4 * table["upper"].std() / np.sqrt(len(table)))
    covered = (table["interval_lower"] <= upper) & (upper <= table["interval_upper"])
    assert 0.93 < covered.mean() < 0.97


def test_the_interval_is_that_of_imbens_and_manski():
    row = bounds_of(study_of(CONTROL * 30, TREATMENT * 30), ALWAYS, probability=0.9)
    factor = (row["interval_upper"] - row["upper"]) / row["se_upper"]
    assert factor == pytest.approx((row["lower"] - row["interval_lower"]) / row["se_lower"])
    width = (row["upper"] - row["lower"]) / max(row["se_lower"], row["se_upper"])
    assert norm.cdf(factor + width) - norm.cdf(-factor) == pytest.approx(0.9)
    assert norm.ppf(0.9) <= factor + 1e-6 <= norm.ppf(0.95)


def test_by_group_and_by_item():
    study = study_of(CONTROL, TREATMENT, sex=["f", "m"] * 8)
    table = refusal_bounds(study, by="sex")
    for sex in ("f", "m"):
        alone = refusal_bounds(study_of(*(values[0 if sex == "f" else 1 :: 2] for values in (CONTROL, TREATMENT))))
        own = table[table["sex"] == sex].drop(columns="sex").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone)
    frame = pd.DataFrame({"y": [*CONTROL, *TREATMENT, *TREATMENT[::-1], None], "t": ["c"] * 8 + ["a"] * 8 + ["b"] * 9})
    several = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, arms=("c", ["a", "b"]))
    table = refusal_bounds(several, by="item")
    pd.testing.assert_frame_equal(table[table["item"] == "a"].drop(columns="item"), refusal_bounds(study_of(CONTROL, TREATMENT)))
    assert table["n_treatment"].tolist() == [8, 8, 9, 9]


def test_missing_groups_follow_the_study():
    frame = pd.DataFrame({"y": [*CONTROL, *TREATMENT], "t": [0] * 8 + [1] * 8, "sex": (["f", "m", None, "f"] * 4)})
    sizes = {}
    for missing in ("drop", "level", "model"):
        study = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, missing=missing)
        table = refusal_bounds(study, by="sex").query("of == @ALWAYS", local_dict={"ALWAYS": ALWAYS})
        sizes[missing] = dict(zip(table["sex"], table["n_control"] + table["n_treatment"], strict=True))
    assert sizes == {"drop": {"f": 8, "m": 4}, "level": {"f": 8, "m": 4, "(missing)": 4}, "model": {"f": 8, "m": 4}}


def test_refusals_are_rows_of_the_data():
    frame = pd.DataFrame({"y": [1, None, 2, None, 3], "t": [0, 0, 1, 1, None], "wave": ["a", "a", "a", "b", "b"]})
    frame = pd.concat([frame, frame.iloc[[0, 2]].assign(wave="b")], ignore_index=True)
    study = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, wave="wave")
    assert study.refusals.index.tolist() == [2, 4]
    assert study.refusals["_treated"].tolist() == [False, True]
    assert study.until("a").refusals.index.tolist() == [2]


def test_an_arm_without_answers_and_a_study_without_a_control_arm():
    study = study_of([*CONTROL, None], [*TREATMENT, 2], sex=[*["f"] * 8, "m", *["f"] * 8, "m"])
    table = refusal_bounds(study, by="sex")
    assert table[table["sex"] == "m"][["lower", "upper", "interval_lower"]].isna().all(axis=None)
    assert table["refused_control"].tolist() == [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(InputError, match="nobody has answered the control list"):
        refusal_bounds(ListExperiment.from_frame(pd.DataFrame({"y": [1, 2]}), answer="y", arm=None, J=J))
    with pytest.raises(InputError, match="'sex' is named twice"):
        refusal_bounds(study, by=["sex", "sex"])
    with pytest.raises(InputError, match="column 'age' is not in the data"):
        refusal_bounds(study, by="age")


def test_the_checks_show_bounds_where_refusals_differ():
    checks = {check.name: check for check in design_checks(study_of(CONTROL * 30, TREATMENT * 30))}
    assert checks["missing answers"].passed is False
    shown = checks["bounds of refusals"]
    assert shown.passed is None
    assert shown.table.equals(refusal_bounds(study_of(CONTROL * 30, TREATMENT * 30)))
    assert "between 20.0 % and 100.0 %" in shown.text
    assert "37.5 % of the control arm's answers" in shown.text
    assert shown.text == refusal_words(shown.table)
    assert "bounds of refusals" not in {check.name for check in design_checks(study_of(CONTROL * 30, CONTROL * 30))}
