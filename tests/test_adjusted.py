"""Least squares without a model: HC2 and CR2 against their definitions, the adjusted difference, and printed numbers."""

import json

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import InputError, ListExperiment, adjusted_difference, difference_in_means, linear_regression
from bayes_listexp.sandwich import dependent, least_squares
from conftest import SHARED, shared

FORMULA = "south + age + male + college"
EDGES = ["estimate", "se"]


def people(n=160, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"t": np.arange(n) % 2, "x": rng.normal(size=n), "g": rng.choice(["a", "b", "c"], n),
                          "c": rng.integers(0, 18, n), "w": rng.uniform(0.5, 3, n)})
    return frame.assign(y=rng.binomial(3, 1 / (1 + np.exp(-frame["x"]))) + frame["t"] * (rng.random(n) < 0.3 + 0.3 * (frame["g"] == "a")))


def study(frame, **roles):
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=3, **roles)


def reference(name, key):
    path = SHARED / "reference" / f"list_{name}.json"
    if not path.exists():
        pytest.skip("the reference results are not beside the project")
    return json.loads(path.read_text())[key]


def by_definition(X, y, w, unit):
    """Covariance, and the matrix K whose traces give the degrees of freedom, by whole matrices: Pustejovsky & Tipton's (2018) formulas."""
    M = np.linalg.inv(X.T @ np.diag(w) @ X)
    R = np.eye(len(y)) - X @ M @ X.T @ np.diag(w)
    V, rows = 0.0, []
    for s in np.unique(unit):
        own = unit == s
        values, vectors = np.linalg.eigh(R[own] @ R[own].T)
        A = vectors @ np.diag(values**-0.5) @ vectors.T
        P = M @ X[own].T @ np.diag(w[own]) @ A
        V = V + np.outer(P @ R[own] @ y, P @ R[own] @ y)
        rows.append(P @ R[own])
    return V, np.einsum("ski,tki->kst", rows, rows)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("variance", ["HC2", "CR2"])
def test_variance_and_degrees_are_the_definition(variance, weighted):
    frame = people(70)
    X = np.column_stack([np.ones(70), frame["t"], frame["x"], frame["t"] * frame["x"]])
    y, w = frame["y"].to_numpy(dtype=float), frame["w"].to_numpy() if weighted else np.ones(70)
    unit = np.unique(frame["c"], return_inverse=True)[1]
    fit = least_squares(X, y, w, np.ones(70), unit=unit, variance=variance)
    V, K = by_definition(X, y, w, unit if variance == "CR2" else np.arange(70))
    np.testing.assert_allclose(fit.covariance, V, rtol=1e-9)
    for contrast, matrix in zip(np.eye(4), K, strict=True):
        assert fit.degrees(contrast) == pytest.approx(np.trace(matrix) ** 2 / (matrix**2).sum(), rel=1e-9)


def test_hc2_of_the_arm_alone_is_the_unbiased_variance():
    made = study(people())
    plain, adjusted = difference_in_means(made).iloc[0], adjusted_difference(made, "1").iloc[0]
    assert adjusted[EDGES].tolist() == pytest.approx(plain[EDGES].tolist(), rel=1e-12)
    row = linear_regression(made, "1", variance="HC2").iloc[0]
    assert row[EDGES].tolist() == pytest.approx(plain[EDGES].tolist(), rel=1e-12)
    assert adjusted["degrees"] == pytest.approx(158, rel=1e-9)  # arms of the same size: n - 2


def test_equal_clusters_of_one_arm_each_are_their_means():
    """Bell & McCaffrey's closed form: CR2 is the unbiased variance of the clusters' means, with G - 2 degrees of freedom."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"c": np.repeat(np.arange(12), 5)}).assign(t=lambda d: d["c"] % 2)
    frame["y"] = rng.integers(0, 4, 60)
    row = adjusted_difference(study(frame, clusters="c"), "1").iloc[0]
    means = frame.groupby(["t", "c"])["y"].mean()
    assert row["se"] == pytest.approx(np.sqrt(means[0].var() / 6 + means[1].var() / 6))
    assert row["degrees"] == pytest.approx(10)


@pytest.mark.parametrize("name", ["race", "affirm"])
def test_linear_regressions_are_the_printed_ones(name, request):
    frame = request.getfixturevalue(name)
    made = ListExperiment.from_frame(frame, answer="y", arm="treat", J=3)
    for formula, key in (("1", "dim"), (FORMULA, "lm")):
        want = reference(name, f"{name}_{key}")
        rows = linear_regression(made, formula, variance="HC3")
        for part, suffix in (("trait", "treat"), ("control", "control")):
            found = rows[rows["part"] == part]
            np.testing.assert_allclose(found["estimate"], list(want[f"par.{suffix}"].values()), rtol=1e-8)
            np.testing.assert_allclose(found["se"], list(want[f"se.{suffix}"].values()), rtol=1e-8)
        row = adjusted_difference(made, formula, variance="HC3", of="respondents").iloc[0]
        assert row[EDGES].tolist() == pytest.approx([want["prevalence"]["fit"], want["prevalence"]["se"]], rel=1e-8)


def test_the_weighted_regression_of_r_is_printed_too():
    frame = pd.read_csv(shared("race_weights.csv"))
    made = ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, weights="w")
    want = reference("weights", "race_weights_lm")
    rows = linear_regression(made, FORMULA, weighted=True, variance="HC3").query("part == 'trait'")
    np.testing.assert_allclose(rows["se"], list(want["se.treat"].values()), rtol=1e-8)


def test_groups_as_dummies_are_their_differences():
    """With the groups as covariates and products, the estimate is the mean of their differences in means, by their shares."""
    frame = people()
    made = study(frame)
    each = difference_in_means(made, by="g").set_index("g")
    share = frame["g"].value_counts(normalize=True)
    inner = adjusted_difference(made, "g", of="respondents").iloc[0]
    assert inner["estimate"] == pytest.approx((share * each["estimate"]).sum())
    assert inner["se"] == pytest.approx(np.sqrt((share**2 * each["se"] ** 2).sum()))
    outer = adjusted_difference(made, "g").iloc[0]
    between = (share * (each["estimate"] - inner["estimate"]) ** 2).sum() / (len(frame) - 1)
    assert outer["se"] ** 2 == pytest.approx(inner["se"] ** 2 + between)


def test_list_versions_are_compared_within():
    frame = people().assign(v=lambda d: np.where(d["x"] > 0, "one", "two"))
    made = ListExperiment.from_frame(frame, answer="y", arm="t", J={"one": 3, "two": 3}, version="v", covariates=["g"])
    adjusted, plain = adjusted_difference(made, "1", of="respondents").iloc[0], difference_in_means(made).iloc[0]
    assert adjusted[EDGES].tolist() == pytest.approx(plain[EDGES].tolist())


def test_items_are_each_compared_with_the_control_arm():
    rng = np.random.default_rng(3)
    frame = people().assign(arm=lambda d: np.where(d["t"] == 0, "none", rng.choice(["p", "q"], len(d))))
    made = ListExperiment.from_frame(frame.drop(columns="t"), answer="y", arm="arm", J=3, arms=("none", ["p", "q"]))
    adjusted, plain = adjusted_difference(made, "1", by="item"), difference_in_means(made, by="item")
    np.testing.assert_allclose(adjusted[EDGES], plain[EDGES])
    with pytest.raises(InputError, match="several sensitive items. Take by = 'item'"):
        adjusted_difference(made, "1")


def test_counts_weights_and_duplicates_agree():
    frame = people().assign(x=lambda d: d["x"].round())
    counts = frame.groupby(["y", "t", "x", "g"], as_index=False).size()
    tabulated = ListExperiment.from_counts(counts, answer="y", arm="t", n="size", J=3)
    pd.testing.assert_frame_equal(adjusted_difference(tabulated, "x + g"), adjusted_difference(study(frame), "x + g"))
    pd.testing.assert_frame_equal(linear_regression(tabulated, "x"), linear_regression(study(frame), "x"))
    ten = [adjusted_difference(study(frame.assign(w=f * frame["w"]), weights="w", clusters="c"), "x", weighted=True) for f in (1, 10)]
    pd.testing.assert_frame_equal(*ten)


def test_what_knows_of_the_design_is_the_default():
    frame = people().assign(s=lambda d: d["c"] % 3)
    cases = [({}, "HC2"), ({"clusters": "c"}, "CR2"), ({"strata": "s"}, "design"), ({"strata": "s", "clusters": "c"}, "design")]
    for roles, variance in cases:
        made = study(frame, **roles)
        for call in (adjusted_difference, linear_regression):
            pd.testing.assert_frame_equal(call(made, "x"), call(made, "x", variance=variance))


def test_linearised_adjustment_is_nearly_cr2_with_many_clusters():
    frame = people(4000, seed=8).assign(c=lambda d: np.arange(len(d)) // 10)
    made = study(frame, clusters="c", weights="w")
    both = [adjusted_difference(made, "x + g", weighted=True, variance=v)["se"][0] for v in ("CR2", "design")]
    assert both[0] == pytest.approx(both[1], rel=0.01)  # terms of order k / G


def test_undefined_groups_are_named():
    frame = people(90).assign(h=lambda d: np.where(np.arange(90) < 1, "single", np.where(d["t"] & (d["g"] == "a"), "long", "both")))
    table = adjusted_difference(study(frame), "x", by="h").set_index("h")
    assert table.loc["single", "note"] == "nobody in the treatment arm"
    assert table.loc["long", "note"] == "nobody in the control arm"
    assert np.isnan(table.loc["single", "estimate"])
    assert table.loc["both", "note"] == ""
    few = frame.assign(k=np.where(np.arange(90) < 4, "few", "many"))
    table = adjusted_difference(study(few), "x", by="k").set_index("k")
    assert table.loc["few", "note"] == "too few respondents for a standard error"
    assert np.isfinite(table.loc["few", "estimate"])
    rare = frame.assign(z=np.where(np.arange(90) == 6, "u", np.where(np.arange(90) == 7, "u", "v")))
    row = adjusted_difference(study(rare), "z").iloc[0]
    assert row["note"] == "a respondent alone determines a coefficient: group rare levels"
    rows = linear_regression(study(rare), "z").set_index(["part", "term"])
    assert rows["se"].isna().all()
    ancova = adjusted_difference(study(frame.assign(z=np.where(np.arange(90) == 6, "u", "v"))), "z", interactions=False).iloc[0]
    without = adjusted_difference(study(frame.drop(index=6)), "1", of="respondents").iloc[0]
    assert ancova[EDGES].tolist() == pytest.approx(without[EDGES].tolist())  # who has a dummy of their own is left out


def test_covariates_that_repeat_are_named():
    frame = people().assign(twice=lambda d: 2 * d["x"] + 1, arm_too=lambda d: d["t"] + 0.0,
                            rare=lambda d: np.where((d["t"] == 0) & (d["g"] == "a"), "r", "s"))
    made = study(frame)
    for call in (adjusted_difference, linear_regression):
        with pytest.raises(InputError, match="twice"):
            call(made, "x + twice")
    with pytest.raises(InputError, match="covariates repeat one another or the arm: arm_too"):
        adjusted_difference(made, "arm_too")
    with pytest.raises(InputError, match="the arm follows from other columns in the treatment arm"):
        linear_regression(made, "arm_too")
    with pytest.raises(InputError, match=r"the trait's column 'rare\[s\]' follows from other columns in the treatment arm"):
        linear_regression(made, "rare")
    with pytest.raises(InputError, match="covariates repeat one another in one of the arms: rare.*group rare levels"):
        adjusted_difference(made, "rare")
    np.testing.assert_array_equal(dependent(np.array([[1, 0, 2, 1], [1, 1, 3, 5], [1, 2, 4, 2.0], [1, 5, 7, 7]])), [0, 0, 1, 0])


def test_all_answers_equal():
    frame = people().assign(y=1)
    row = adjusted_difference(study(frame), "x").iloc[0]
    assert row[["estimate", "se", "lower", "upper"]].tolist() == pytest.approx([0, 0, 0, 0], abs=1e-12)


@pytest.mark.parametrize(("call", "message"), [
    (lambda s: adjusted_difference(s, "x", weighted=True), "the study has no survey weights"),
    (lambda s: adjusted_difference(s, "(1|g)"), "no group-specific effects"),
    (lambda s: adjusted_difference(s, "0 + x"), "need the intercept"),
    (lambda s: adjusted_difference(s, "x", variance="CR2"), "the study has no clusters"),
    (lambda s: adjusted_difference(s, "x", variance="HC1"), "say one of design, HC2, CR2, HC3, classical"),
    (lambda s: adjusted_difference(s, "x", of="sample"), "say 'population' or 'respondents'"),
    (lambda s: adjusted_difference(s, "income"), "column 'income' is not in the data"),
    (lambda s: adjusted_difference(s, "x", by=["g", "g"]), "column 'g' is named twice"),
])
def test_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call(study(people().drop(columns=["w", "c"])))
