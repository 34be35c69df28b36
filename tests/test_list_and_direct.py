"""The list and the direct question together: published numbers, the influence function, repeated samples, and bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.checks import design_checks
from bayes_listexp.checks.questions import contradictions, placebo_direct
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.list_and_direct import combined_estimate, placebo_tests
from bayes_listexp.spec import bundled
from conftest import SHARED, shared

J = {"1": 4, "2": 3, "3": 4}
COVARIATES = ["gender", "ideology", "education", "race"]
UNEXPLAINED = 978  # a complete row of the file that the reference's complete cases lack
CALLS = [f"list{k}_{part}" for k in "123" for part in ("manpage", "manpage_cov", "listsfirst", "all")]


@pytest.fixture(scope="module")
def aronow():
    return pd.read_csv(shared("combinedListExps.csv"))


@pytest.fixture(scope="module")
def reference():
    return json.loads((SHARED / "reference" / "list_combined.json").read_text())


def of_list(frame, k):
    return ListExperiment.from_frame(frame, answer=f"list{k}N", arm=f"list{k}treat", J=J[k], covariates=COVARIATES,
                                     instruments=[DirectQuestion(f"direct{k}")])


def from_counts(k):
    table = pd.read_csv(bundled("published_counts.csv")).query("study == @k")
    return ListExperiment.from_counts(table, answer="item_count", arm="arm", n="n", J=J[k[-1]], covariates=["group"],
                                      instruments=[DirectQuestion("direct", yes="yes", no="no")])


@pytest.mark.parametrize("call", CALLS)
def test_every_reference_number_of_the_three_lists(aronow, reference, call):
    k, part = call[4], call[6:]
    frame = aronow if part == "all" else aronow.dropna().drop(UNEXPLAINED)
    frame = frame if part == "all" else frame[frame["listsfirst" if part == "listsfirst" else "directsfirst"] == 1]
    covariates = COVARIATES if part.endswith("cov") else []
    row = combined_estimate(of_list(frame, k), covariates=covariates, interactions=False, variance="published").iloc[0]
    tests = placebo_tests(of_list(frame, k), covariates=covariates).set_index("test")
    want = reference[call]
    assert row["n"] == want["N"]
    for name, columns in (("combined", ("estimate", "se")), ("direct", ("direct", "direct_se")), ("conventional", ("dim", "dim_se"))):
        assert row[list(columns)].tolist() == pytest.approx([want[name]["est"], want[name]["se"]], rel=1e-9), name
    for test in ("I", "II"):
        found = tests.loc[test, ["estimate", "se", "p", "n"]].tolist()
        assert found == pytest.approx(list(want[f"placebo_{test}"].values()), rel=1e-9), test


@pytest.mark.parametrize(("k", "printed"), [
    ("1", [0.6402, 0.0356, 0.6281, 0.6136, 0.0616, 0.969, 0.669, -0.010, 0.737]),
    ("2", [0.6184, 0.0352, 0.5383, 0.5478, 0.0513, 0.850, 0.019, 0.019, 0.543]),
    ("3", [0.0929, 0.0528, 0.1073, 0.0847, 0.0573, 0.795, 0.247, 0.021, 0.285]),
])
def test_published_counts_give_the_printed_numbers(k, printed):
    study = from_counts(f"accg2015-list{k}")
    row, tests = combined_estimate(study).iloc[0], placebo_tests(study)
    found = [*row[["estimate", "se", "direct", "dim", "dim_se"]], *tests.loc[0, ["estimate", "p"]], *tests.loc[1, ["estimate", "p"]]]
    assert found == pytest.approx(printed, abs=5.1e-4)  # three or four decimals in print
    assert row["upper"] - row["lower"] == pytest.approx(2 * 1.959964 * row["se"])


def test_who_is_left_out_is_counted(aronow):
    row = combined_estimate(of_list(aronow, "2")).iloc[0]
    assert (row["n"], row["left_out"]) == (1018, 1023 - 1018)
    holes = aronow.assign(gender=aronow["gender"].where(aronow.index >= 10))
    assert combined_estimate(of_list(holes, "2"), covariates=["gender"])["left_out"].iloc[0] == 1023 - 1018 + 10


def test_groups_are_those_of_the_group_alone(aronow):
    table = combined_estimate(of_list(aronow, "1"), by="ideology")
    assert table["ideology"].tolist() == sorted(aronow["ideology"].unique())
    alone = combined_estimate(of_list(aronow[aronow["ideology"] == "Liberal"], "1")).iloc[0]
    of_all = table.set_index("ideology").loc["Liberal", alone.index]
    assert of_all.tolist() == pytest.approx(alone.tolist())
    assert (table["n"] + table["left_out"]).sum() == 1023


def people(n, rng, *, prevalence=0.4, admits=0.5):
    """Respondents under the assumptions, tabulated; some refuse."""
    trait, arm = rng.random(n) < prevalence, rng.random(n) < 0.4
    direct = np.where(trait & (rng.random(n) < admits), "yes", "no")
    direct = np.where(rng.random(n) < 0.05, "refused", direct)
    return pd.DataFrame({"arm": arm.astype(int), "direct": direct, "y": rng.binomial(3, 0.5, n) + (arm & trait)})


def counted(frame, *by):
    counts = frame.groupby([*by, "arm", "direct", "y"], as_index=False).size()
    question = DirectQuestion("direct", yes="yes", no="no", refused="refused")
    return ListExperiment.from_counts(counts, answer="y", arm="arm", n="size", J=3, instruments=[question], covariates=list(by))


def test_the_standard_error_is_the_influence_functions():
    frame = people(100_000, np.random.default_rng(1))
    row = combined_estimate(counted(frame)).iloc[0]
    both = frame[frame["direct"] != "refused"]
    y, a, d = both["y"].to_numpy(), both["arm"].to_numpy(), (both["direct"] == "yes").to_numpy(dtype=float)
    no, g = d == 0, both["arm"].mean()
    m1, m0 = y[no & (a == 1)].mean(), y[no & (a == 0)].mean()
    phi = (d - d.mean()) * (1 - (m1 - m0)) + no * (a * (y - m1) / g - (1 - a) * (y - m0) / (1 - g))
    assert row["estimate"] == pytest.approx(d.mean() + (1 - d.mean()) * (m1 - m0))
    assert row["se"] == pytest.approx(np.sqrt((phi**2).sum()) / len(y), rel=3e-3)  # 1 / sqrt(n): what vanishes with n


def test_repeated_samples():
    frame = people(400 * 500, np.random.default_rng(2)).assign(sample=np.repeat(np.arange(500).astype(str), 400))
    table = combined_estimate(counted(frame, "sample"), by="sample")
    assert len(table) == 500
    mean, sd = table["estimate"].mean(), table["estimate"].std()
    assert abs(mean - 0.4) < 4 * sd / np.sqrt(500)
    assert table["se"].mean() == pytest.approx(sd, rel=4 / np.sqrt(2 * 500))  # four standard errors of an sd
    assert (table["se"] < table["dim_se"]).mean() > 0.95
    assert (table["left_out"] > 0).all()


def test_nobody_says_yes():
    frame = people(300, np.random.default_rng(3), admits=0.0)
    study = counted(frame[frame["direct"] != "refused"])
    row, alone = combined_estimate(study).iloc[0], difference_in_means(study).iloc[0]
    assert row["estimate"] == pytest.approx(alone["estimate"]) == pytest.approx(row["dim"])
    assert row["direct_se"] == 0
    tests = placebo_tests(study).set_index("test")
    assert tests.loc["I", ["estimate", "se", "statistic", "p"]].isna().all()
    assert tests.loc["II", "estimate"] == 0
    assert [check.passed for check in placebo_direct(study)] == [None, None]
    assert "Not testable" in placebo_direct(study)[0].text


def test_a_group_in_which_everybody_says_yes_has_no_difference_among_the_others():
    frame = people(400, np.random.default_rng(4)).assign(g="a")
    admitted = frame[frame["direct"] == "yes"].assign(g="b")
    table = combined_estimate(counted(pd.concat([frame, admitted]), "g"), by="g").set_index("g")
    assert np.isfinite(table.loc["a", "estimate"])
    assert table.loc["b", ["estimate", "se"]].isna().all()
    assert table.loc["b", "direct"] == 1


def test_covariates_that_give_the_arm_away_leave_no_estimate():
    frame = people(200, np.random.default_rng(5)).assign(copy=lambda f: f["arm"].map({0: "x", 1: "y"}))
    assert combined_estimate(counted(frame, "copy"), covariates=["copy"])[["estimate", "se"]].isna().all(axis=None)


def test_placebo_checks_say_what_was_found(aronow):
    checks = design_checks(of_list(aronow, "2"))
    found = {check.name: check for check in checks}
    assert [c.name for c in checks][-3:] == ["placebo test I", "placebo test II", "contradictions"]
    assert placebo_direct(of_list(aronow, "2"))[0].passed is False  # p = .019 by itself
    assert found["placebo test I"].passed is None  # and not among the other tests
    assert "Adjusted for the 6 tests of this list (Holm)" in found["placebo test I"].text
    assert found["placebo test I"].text.startswith(
        "Among those who say yes to the direct question the list finds 85.0 % with the trait (95 % interval 72.5 to 97.5; "
        "100 expected, p = 0.019)."
    )
    assert found["placebo test II"].passed is True
    assert "differs by +1.9 points" in found["placebo test II"].text


def test_contradictions_are_counted_in_the_treatment_arm_only():
    check = contradictions(from_counts("accg2015-list2"))
    assert (check.passed, check.estimate) == (None, 2.0)
    assert "Of 274 in the treatment arm who say yes" in check.text
    assert "two_sided" in check.text
    assert contradictions(from_counts("accg2015-list1")).estimate == 0


def test_a_question_asked_of_others_adds_no_checks_and_cannot_be_combined():
    listed = people(200, np.random.default_rng(6)).assign(direct=None)
    asked = people(200, np.random.default_rng(7)).assign(y=np.nan, arm=np.nan)
    study = ListExperiment.from_frame(pd.concat([listed, asked], ignore_index=True), answer="y", arm="arm", J=3, covariates=[],
                                      instruments=[DirectQuestion("direct", yes="yes", no="no", refused="refused")])
    assert "placebo test I" not in [check.name for check in design_checks(study)]
    with pytest.raises(InputError, match="nobody answered both the list and the direct question"):
        combined_estimate(study)


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: combined_estimate(s, instrument="phone"), "no direct question 'phone'; it has: direct"),
    (lambda s: placebo_tests(s, instrument="phone"), "no direct question 'phone'"),
    (lambda s: combined_estimate(s, by="income"), "column 'income' is not in the data"),
    (lambda s: combined_estimate(s, by="ideology", covariates=["ideology"]), "column 'ideology' is named twice"),
])
def test_bad_arguments_are_named(aronow, call, message):
    with pytest.raises(InputError, match=message):
        call(of_list(aronow, "1"))


def test_a_list_alone_cannot_be_combined():
    frame = people(100, np.random.default_rng(8)).drop(columns="direct")
    study = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3)
    with pytest.raises(InputError, match=r"no direct question 'direct'; it has: none\. Name it when building"):
        combined_estimate(study)


def test_the_influences_are_those_of_the_published_variance(aronow):
    """To the digits in print, and to terms of order 1/n; with the products of covariates and arm another estimator."""
    for k, printed in (("1", 0.0356), ("2", 0.0352), ("3", 0.0528)):
        made = of_list(aronow, k)
        found = {v: combined_estimate(made, variance=v).iloc[0] for v in ("influence", "published")}
        assert found["influence"]["estimate"] == pytest.approx(found["published"]["estimate"], rel=1e-9)
        assert found["influence"]["se"] == pytest.approx(found["published"]["se"], rel=5e-3)
        assert found["influence"]["se"] == pytest.approx(printed, abs=1.1e-4)
        ancova = {v: combined_estimate(made, covariates=COVARIATES, interactions=False, variance=v).iloc[0] for v in found}
        assert ancova["influence"]["estimate"] == pytest.approx(ancova["published"]["estimate"], rel=1e-9)
        # the published variance divides by n - 1 in each arm of some 230 (lists 1, 2), whatever the fifteen dummies took
        assert 1 < ancova["influence"]["se"] / ancova["published"]["se"] < 1.05
        lin = combined_estimate(made, covariates=["ideology"]).iloc[0]
        assert abs(lin["estimate"] - ancova["influence"]["estimate"]) < lin["se"]


def designed(n=1200, seed=9):
    frame = people(n, np.random.default_rng(seed)).assign(c=np.arange(n) // 12, s=(np.arange(n) // 12) % 4)
    frame["w"] = np.random.default_rng(seed).uniform(0.5, 2, n)
    return frame[frame["direct"] != "refused"]


def respondents(frame, **roles):
    question = DirectQuestion("direct", yes="yes", no="no", refused="refused")
    return ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, instruments=[question], **roles)


def test_weighted_combined_estimate_by_hand():
    frame = designed()
    row = combined_estimate(respondents(frame, weights="w"), weighted=True).iloc[0]
    y, a, w = frame["y"].to_numpy(), frame["arm"].to_numpy(), frame["w"].to_numpy()
    d = (frame["direct"] == "yes").to_numpy(dtype=float)
    share = np.average(d, weights=w)
    m = [np.average(y[rows], weights=w[rows]) for rows in ((a == 0) & (d == 0), (a == 1) & (d == 0))]
    assert row["estimate"] == pytest.approx(share + (1 - share) * (m[1] - m[0]))
    phi = w * (d - share) / w.sum() * (1 - (m[1] - m[0]))
    for arm, sign in ((0, -1), (1, 1)):
        rows = (a == arm) & (d == 0)
        phi[rows] += (1 - share) * sign * w[rows] * (y[rows] - m[arm]) / w[rows].sum()
    assert row["se"] == pytest.approx(np.sqrt((phi**2).sum()), rel=3e-3)  # n / (n - 1) in each arm
    clustered = combined_estimate(respondents(frame, weights="w", clusters="c", strata="s"), weighted=True).iloc[0]
    assert clustered["estimate"] == pytest.approx(row["estimate"])
    totals = pd.DataFrame({"phi": phi, "c": frame["c"], "s": frame["s"]}).groupby(["s", "c"])["phi"].sum()
    by_hand = sum(len(part) / (len(part) - 1) * ((part - part.mean()) ** 2).sum() for _, part in totals.groupby("s"))
    assert clustered["se"] == pytest.approx(np.sqrt(by_hand))


def test_equal_weights_and_clusters_of_one_change_nothing():
    frame = designed().assign(w=2.0, g=lambda d: np.where(d["s"] > 1, "u", "v"))
    plain = combined_estimate(respondents(frame), by="g", covariates=["s"])
    weighted = combined_estimate(respondents(frame, weights="w"), by="g", covariates=["s"], weighted=True)
    columns = ["estimate", "se", "direct", "direct_se", "dim", "dim_se"]
    np.testing.assert_allclose(weighted[columns], plain[columns], rtol=1e-10)
    single = combined_estimate(respondents(frame.assign(c=np.arange(len(frame))), clusters="c"), by="g", covariates=["s"])
    np.testing.assert_allclose(single[columns], plain[columns], rtol=0.01)  # n - k in HC2


def test_undefined_combined_estimates_are_named():
    frame = designed(400).assign(g=lambda d: np.where(np.arange(len(d)) == 0, "single", "rest"))
    table = combined_estimate(respondents(frame), by="g").set_index("g")
    assert "nobody in the" in table.loc["single", "note"]
    assert table.loc["rest", "note"] == ""
    rare = frame.assign(z=np.where((frame["arm"] == 1) & (frame["y"] > 2), "rare", "other"))
    assert "in one of the arms: z; group rare levels" in combined_estimate(respondents(rare), covariates=["z"])["note"][0]
    with pytest.raises(InputError, match="variance = 'published' knows no weights"):
        combined_estimate(respondents(frame, clusters="c"), variance="published")
    with pytest.raises(InputError, match="no survey weights"):
        combined_estimate(respondents(frame.drop(columns="w")), weighted=True)
