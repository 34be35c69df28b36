"""Published list + direct studies: the joint models beside the design-based numbers, where they must agree and where they do not."""

from functools import cache, reduce

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import DirectQuestion, ListExperiment
from bayes_listexp.spec import bundled
from benchmarks import list_and_direct as benchmark
from conftest import shared

LISTS = [f"accg2015-list{k}" for k in "123"]
EADY = "eady2017-gender"
INDEPENDENT = "two-sided, lies whatever the count"
PAIR = {"accg2015-list1": ("one-sided", "two-sided"), "accg2015-list2": ("one-sided, careless", "two-sided"),
        "accg2015-list3": ("one-sided", "two-sided"), EADY: ("one-sided, careless", "two-sided")}  # fmt: skip


@cache
def fitted(name):
    """The two-sided model and the one-sided that is possible, at the mode."""
    models = [*PAIR[name], *([INDEPENDENT] if name == EADY else [])]
    return benchmark.fits(benchmark.study(name), {model: benchmark.MODELS[model] for model in models}, method="map")


@cache
def given_eady():
    return benchmark.given_direct(EADY, method="map")


def means(tree):
    return benchmark.estimates(tree).set_index("estimate")["mean"]


def mean_answers(name):
    """Mean answer by direct answer and arm, and the share of direct yes, straight from the counts."""
    counts = pd.read_csv(bundled("published_counts.csv")).query("study == @name").assign(total=lambda c: c["item_count"] * c["n"])
    sums = counts.groupby(["direct", "arm"])[["total", "n"]].sum()
    return sums["total"] / sums["n"], counts.query("direct == 'yes'")["n"].sum() / counts["n"].sum()


@pytest.mark.parametrize("name", [*LISTS, EADY])
def test_identities_are_the_formulas_of_differences_within_direct_answers(name):
    mean, D = mean_answers(name)
    t0, t1 = (mean[answer, "treatment"] - mean[answer, "control"] for answer in ("no", "yes"))
    found = benchmark.identities(benchmark.study(name))
    assert found["prevalence"] == pytest.approx((1 - D) * t0 + D * t1)
    assert found["lie_rate"] == pytest.approx((1 - D) * t0 / ((1 - D) * t0 + D * t1))
    assert found["false_confession_rate"] == pytest.approx(D * (1 - t1) / (D * (1 - t1) + (1 - D) * (1 - t0)))
    assert found["sensitivity_bias"] == pytest.approx(found["liars"] - found["false_confessions"])


def expected_study(prevalence, lie, false_yes, n=200_000):
    """Expected counts of a very large study in which two-sided lies are the truth and counts go with the trait."""
    without, with_trait = (reduce(np.convolve, [np.array([1 - p, p]) for p in items])
                           for items in ((0.85, 0.5, 0.35, 0.2), (0.85, 0.5, 0.35, 0.45)))  # fmt: skip
    rows = [
        (arm, direct, answer, round(n / 2 * share))
        for arm, shift in (("control", [(0, 0), (0, 0)]), ("treatment", [(0, 1), (1, 0)]))
        for direct, told in (("no", (1 - false_yes, lie)), ("yes", (false_yes, 1 - lie)))
        for answer, share in enumerate((1 - prevalence) * told[0] * np.pad(without, shift[0])
                                       + prevalence * told[1] * np.pad(with_trait, shift[1]))
    ]  # fmt: skip
    return ListExperiment.from_counts(
        pd.DataFrame(rows, columns=["arm", "direct", "answer", "n"]), answer="answer", arm="arm", n="n", J=4,
        instruments=[DirectQuestion("direct", yes="yes", no="no")],
    )  # fmt: skip


@pytest.mark.parametrize("truth", [(0.5, 0.3, 0.1), (0.9, 0.02, 0.6)])
def test_where_the_model_is_true_it_is_the_identities(truth):
    the_study = expected_study(*truth)
    implied = benchmark.identities(the_study)
    assert [implied[key] for key in ("prevalence", "lie_rate", "false_confession_rate")] == pytest.approx(truth, abs=2e-4)  # rounding
    tree = benchmark.fits(the_study, {"two-sided": {"lies": "two_sided", "dependence": "saturated"}}, method="map").trees["two-sided"]
    # the sd of the posterior is below .006; the priors pull by less
    assert means(tree)[list(implied)].to_numpy() == pytest.approx(list(implied.values()), abs=0.01)
    assert benchmark.deviance(tree)[0] < 1  # nothing is left to explain


@pytest.mark.parametrize(("name", "impossible"), [("accg2015-list1", 0), ("accg2015-list2", 2), ("accg2015-list3", 0), (EADY, 75)])
def test_one_sided_lies_are_refused_where_somebody_says_yes_and_0(name, impossible):
    assert benchmark.without_model(benchmark.study(name))["yes_and_0"] == impossible
    if impossible:
        found = benchmark.fits(benchmark.study(name), {"one-sided": benchmark.MODELS["one-sided"]}, method="map")
        assert not found.trees
        assert found.refused["one-sided"].startswith(f"{impossible} respondents said what nobody can say")
    else:
        assert "one-sided" in fitted(name).trees


@pytest.mark.parametrize("name", ["accg2015-list1", EADY])
def test_two_sided_beats_one_sided(name):
    """Where docs/list_and_direct.md says so, by more than two standard errors."""
    one, more, se = benchmark.against_two_sided(fitted(name))
    assert one == PAIR[name][0]
    assert more > 2 * se


@pytest.mark.parametrize("name", ["accg2015-list2", "accg2015-list3"])
def test_lists_2_and_3_do_not_decide(name):
    _, more, se = benchmark.against_two_sided(fitted(name))
    assert abs(more) < 2 * se


def test_eady_given_the_direct_answer_is_the_differences_in_means():
    the_study = benchmark.study(EADY)
    row, implied = benchmark.without_model(the_study), benchmark.identities(the_study)
    found = given_eady()[1].set_index("estimate")["mean"]
    assert found["prevalence"] == pytest.approx(implied["prevalence"], abs=row["dim_se"])
    # those who say no are few, and their prevalence, which cannot be below 0, moves from .15 to .28: within two standard errors
    assert found["liars"] == pytest.approx(implied["liars"], abs=2 * row["combined_se"])
    assert found["false_confessions"] == pytest.approx(implied["false_confessions"], abs=row["direct"] * row["placebo_1_se"])


def test_eady_jointly_agrees_with_them_if_lies_may_go_with_the_count():
    """If they may not, people without the trait have the same counts whatever they said directly, which these have not."""
    row, implied = (f(benchmark.study(EADY)) for f in (benchmark.without_model, benchmark.identities))
    trees = fitted(EADY).trees
    free, independent = (means(trees[name]) for name in ("two-sided", INDEPENDENT))
    assert free["prevalence"] == pytest.approx(implied["prevalence"], abs=2 * row["dim_se"])
    assert independent["prevalence"] > implied["prevalence"] + 3 * row["dim_se"]
    for found in (free, independent):
        assert found["liars"] == pytest.approx(implied["liars"], abs=2 * row["combined_se"])
        assert found["prevalence"] - found["sensitivity_bias"] == pytest.approx(row["direct"], abs=row["direct_se"])
    better, worse = (benchmark.deviance(trees[name]) for name in ("two-sided", INDEPENDENT))
    assert worse[1] == 20 - 8  # a table of 22 in two arms; trait, lie, false yes, and five of the counts
    assert better[1] == worse[1] - 2
    assert better[0] < worse[0] - 15


@pytest.mark.parametrize("name", LISTS)
def test_small_studies_agree_within_two_standard_errors(name):
    row, found = benchmark.without_model(benchmark.study(name)), means(fitted(name).trees["two-sided"])
    assert found["prevalence"] == pytest.approx(row["dim"], abs=2 * row["dim_se"])
    assert found["prevalence"] - found["sensitivity_bias"] == pytest.approx(row["direct"], abs=row["direct_se"])


@pytest.fixture(scope="module")
def mis():
    return shared("mis.csv")


def test_the_difference_of_the_two_halves(mis):
    frame = pd.read_csv(mis)
    row = benchmark.differences(frame).iloc[0]
    assert row[["n_list", "n_direct"]].tolist() == [443, 218]
    # the DIM of R package list 9.2.6; its s.e. assumes equal variances in the arms
    assert row[["dim", "dim_se"]].tolist() == pytest.approx([0.469950155254128, 0.0938197354580594], rel=0.02)
    assert row["difference"] == pytest.approx(0.46995 - 77 / 218, abs=1e-5)
    by_gender = benchmark.differences(frame, "male")
    assert by_gender[["n_list", "n_direct"]].sum().tolist() == [443, 218]


def test_only_two_sided_lies_leave_the_sign_of_the_bias_free(mis):
    models = {name: benchmark.HALVES_MODELS[name] for name in ("one-sided", "two-sided")}
    trees = benchmark.fits(benchmark.halves(mis), models, method="map").trees
    bias = {name: benchmark.estimates(tree, ["sensitivity_bias"]).iloc[0] for name, tree in trees.items()}
    assert bias["one-sided"]["p_below_zero"] == 0
    assert 0.01 < bias["two-sided"]["p_below_zero"] < 0.4
    _, apart = benchmark.separate(mis, method="map")
    alone = apart.set_index("estimate").loc["sensitivity_bias"]
    for found in bias.values():  # the lies' priors move it by less than half its sd
        assert found["mean"] == pytest.approx(alone["mean"], abs=alone["sd"] / 2)
    told = benchmark.contributions(trees["two-sided"], benchmark.LIES).iloc[0]
    assert float(told["contraction of direct_false_yes_intercept"]) < 0.2  # of false confessions the prior says it all


def test_the_tables_are_markdown():
    table = benchmark.markdown(benchmark.table_without_model())
    assert "| ACCG 2015, list 3 | 1,016 | 8.5 (5.7) | 10.7 (1.0) | 9.3 (5.3) | 79.5 (17.7) | 0.25 |" in table
    joint = benchmark.table_of_fits(EADY, fitted(EADY), given_eady()[1])
    assert joint["model"].tolist() == ["differences in means", benchmark.GIVEN, "two-sided", INDEPENDENT, "one-sided, careless"]
    assert joint["elpd difference (s.e.)"].tolist()[:3] == ["", "", "0.0 (0.0)"]
    checks = benchmark.table_of_checks({"Eady": fitted(EADY)})
    assert set(checks["model"]) == {*PAIR[EADY], INDEPENDENT}
