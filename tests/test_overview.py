"""All that a study says without a model: each row is its own estimator's, what cannot be has its reason, and the command prints it."""

import re

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import (
    DirectQuestion,
    InputError,
    ListExperiment,
    SecondList,
    adjusted_difference,
    change_in_means,
    combined_estimate,
    difference_in_means,
    double_list,
    estimates_without_model,
    linear_regression,
    lying_bounds,
    subgroup_means,
)
from bayes_listexp.cli import main
from bayes_listexp.overview import main_effects

EDGES = ["estimate", "se", "lower", "upper"]
SPEC = """\
[data]
file = "survey.csv"
answer = "y"
arm = "t"
J = 3
wave = "wave"
weights = "w"

[instruments.direct]
column = "d"

[model]
trait = "1 + gender * wave + bs(age, df=4) + (1|region)"

[report]
by = ["gender", "age", ["gender", "region"]]
"""


def people(n=600, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"t": np.arange(n) % 2, "gender": rng.choice(["f", "m"], n), "region": rng.choice(["n", "s"], n),
                          "age": rng.integers(18, 80, n), "wave": np.where(np.arange(n) < n / 2, "2021", "2022"),
                          "w": rng.uniform(0.5, 2, n)})
    trait = rng.random(n) < 0.4
    frame["d"] = (trait & (rng.random(n) < 0.6)).astype(int)
    frame["y2"] = rng.binomial(2, 0.5, n) + trait * (1 - frame["t"])
    return frame.assign(y=rng.binomial(3, 0.5, n) + trait * frame["t"])


def study(frame, **roles):
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=3, **roles)


def same(found, want, columns=EDGES):
    np.testing.assert_allclose(found[columns].astype(float), want[columns].astype(float))


def test_every_row_is_its_estimators_own():
    roles = {"instruments": [DirectQuestion("d"), SecondList("y2", "t", 2, arms=(1, 0))], "wave": "wave", "weights": "w"}
    made = study(people(), **roles)
    found = estimates_without_model(made, covariates="gender + age", by=["gender"])
    rows = dict(list(found.prevalence.groupby("estimator")))
    assert list(dict.fromkeys(found.prevalence["estimator"])) == [
        "difference in means", "difference in means, weighted", "adjusted for gender + age, weighted",
        "list and direct question (direct), weighted", "double list (second), mean, weighted",
        "double list (second), optimal weights, weighted"]
    by = {"by": "wave", "weighted": True}
    same(rows["difference in means"], difference_in_means(made, by="wave"))
    same(rows["difference in means, weighted"], difference_in_means(made, **by))
    same(rows["adjusted for gender + age, weighted"], adjusted_difference(made, "gender + age", **by))
    same(rows["list and direct question (direct), weighted"], combined_estimate(made, **by))
    same(rows["double list (second), mean, weighted"], double_list(made, **by).query("of == 'mean'"))
    same(found.bounds, lying_bounds(made, **by), ["lower", "upper", "interval_lower", "interval_upper"])
    same(found.change.iloc[[1]], change_in_means(made, "2021", "2022", weighted=True))
    same(found.regression, linear_regression(made, "gender + age + wave", weighted=True))
    same(found.subgroups, subgroup_means(made, ["gender"], weighted=True))
    assert (found.prevalence["note"] == "").all()
    assert (found.prevalence["n"] == 300).all()


def test_a_plain_study_has_one_row():
    found = estimates_without_model(study(people()))
    assert found.prevalence["estimator"].tolist() == ["difference in means"]
    assert [len(table) for table in found] == [1, 1, 0, 0, 0]


def test_an_estimator_that_is_not_allowed_says_why():
    frame = people().assign(version=lambda d: np.where(d["age"] > 40, "A", "B"), twin=lambda d: d["gender"] + "!")
    roles = {"version": "version", "instruments": [DirectQuestion("d")]}
    mixed = ListExperiment.from_frame(frame, answer="y", arm="t", J={"A": 3, "B": 3}, **roles)
    found = estimates_without_model(mixed, covariates="gender + twin")
    notes = found.prevalence.set_index("estimator")["note"]
    assert "Take by = 'version'" in notes["list and direct question (direct)"]
    assert "repeat" in notes["adjusted for gender + twin"] or "twin" in notes["adjusted for gender + twin"]
    assert "Take by = 'version'" in found.bounds["note"].iloc[0]
    assert "twin" in found.regression["note"].iloc[0]


def test_items_are_never_pooled():
    rng = np.random.default_rng(3)
    frame = people().assign(arm=lambda d: np.where(d["t"] == 0, "none", rng.choice(["p", "q"], len(d)))).drop(columns="t")
    made = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, arms=("none", ["p", "q"]))
    found = estimates_without_model(made, covariates="gender", by=["gender"])
    same(found.prevalence.iloc[:2], difference_in_means(made, by="item"))
    assert found.subgroups["level"].tolist() == ["f · p", "f · q", "m · p", "m · q"]
    assert found.regression.empty


def test_a_single_list_has_nothing_to_compare():
    made = ListExperiment.from_frame(people().query("t == 1").drop(columns="t"), answer="y", arm=None, J=3)
    with pytest.raises(InputError, match="nobody has answered the control list"):
        estimates_without_model(made)


def test_subgroups_are_named_with_what_is_not_known_of_them():
    row = np.arange(200)
    frame = people(200).assign(kind=np.select([row == 0, row == 1, row < 5], ["one", "other", "few"], "rest"))
    made = study(frame)
    table = subgroup_means(made, ["kind", "age", ["gender", "region"]])
    assert table.loc[0, ["column", "level"]].tolist() == ["everybody", ""]
    notes = table[table["column"] == "kind"].set_index("level")["note"]
    assert notes["one"] == "no answers in the treatment arm"
    assert notes["other"] == "no answers in the control arm"
    assert notes["few"] == "a single answer in the treatment arm: no standard error"
    assert notes["rest"] == ""
    quarters = table[table["column"] == "age"]
    assert len(quarters) == 4
    assert quarters["level"].iloc[0].startswith("18 to ")
    assert quarters[["n_control", "n_treatment"]].to_numpy().sum() == 200
    crossed = table[table["column"] == "gender · region"]
    same(crossed, difference_in_means(made, by=["gender", "region"]))


def test_main_effects_are_the_columns_of_the_common_terms():
    made = study(people(), wave="wave")
    assert main_effects(made, "1 + gender * wave + bs(age, df=4) + (1|region)") == "gender + age"
    assert main_effects(made, "1 + (1|region)") == "1"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    out = capsys.readouterr()
    return stop.value.code, out.out, out.err


@pytest.fixture
def spec(tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    path = tmp_path / "survey.toml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_the_command_prints_and_writes_the_tables(capsys, spec, tmp_path):
    code, out, _ = run(capsys, "estimate", spec, "--out", tmp_path / "tables")
    assert code == 0
    for words in ("Prevalence without a model", "adjusted for gender + age, weighted", "Bounds of the prevalence",
                  "lies: ceiling any share", "2021 to 2022", "Linear list regression", "gender · region"):
        assert words in out
    table = pd.read_csv(tmp_path / "tables" / "without-model.csv")
    made = study(people(), wave="wave", weights="w", instruments=[DirectQuestion("d")])
    same(table.iloc[:2], difference_in_means(made, by="wave"))
    assert sorted(path.stem for path in (tmp_path / "tables").iterdir()) == [
        "list-regression", "list-regression-coefficients", "specification", "without-model", "without-model-bounds",
        "without-model-change", "without-model-groups", "without-model-regression"]


def test_the_spec_says_what_is_assumed(capsys, spec):
    spec.write_text(SPEC + '\n[estimate]\ncovariates = "region"\nceiling = [0, 0.2]\nfloor = 0.0\n', encoding="utf-8")
    _, out, _ = run(capsys, "estimate", spec)
    assert "adjusted for region" in out
    assert "lies: ceiling 0% to 20%, floor 0%" in out
    _, out, _ = run(capsys, "estimate", spec, "--covariates", "gender", "--by", "region")
    assert "adjusted for gender" in out
    assert "gender · region" not in out


@pytest.mark.parametrize(("line", "message"), [
    ('covariates = "income"', "line 19: covariates: .*column 'income' is not in the data"),
    ("ceiling = 1.5", "line 19: ceiling = 1.5: give the share of liars"),
    ("floor = [0.5, 0.1]", "line 19: floor = .*give the share of liars"),
    ("liars = 0.1", "'liars' is not known here"),
])
def test_faults_of_the_spec_have_their_line(capsys, spec, line, message):
    spec.write_text(f"{SPEC}\n[estimate]\n{line}\n", encoding="utf-8")
    code, _, err = run(capsys, "estimate", spec)
    assert code == 2
    assert re.search(message, err)


def test_a_published_table_has_no_respondents(capsys, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text('kind = "published"\n[data]\nfile = "bundled:csto_table1_2022-09.csv"\nJ = 4\nN = 400\n', encoding="utf-8")
    code, _, err = run(capsys, "estimate", path)
    assert (code, "has no respondents" in err) == (2, True)


def test_one_control_item_and_answers_that_are_all_the_same():
    frame = people(200)
    roles = {"answer": "y", "arm": "t", "J": 1, "covariates": ["gender"],
             "instruments": [DirectQuestion("d"), SecondList("y2", "t", 1, arms=(1, 0))]}
    one = ListExperiment.from_frame(frame.assign(y=frame["y"].clip(upper=1), y2=frame["y2"].clip(upper=1)), **roles)
    found = estimates_without_model(one, covariates="gender", by=["gender"])
    assert np.isfinite(found.prevalence[EDGES].to_numpy(dtype=float)).all()
    assert np.isfinite(found.bounds["upper"]).all()
    same_for_all = ListExperiment.from_frame(frame.assign(y=1, y2=1), **roles)
    found = estimates_without_model(same_for_all, covariates="gender", by=["gender"])
    of_list = found.prevalence[~found.prevalence["estimator"].str.startswith("list and direct")]
    np.testing.assert_allclose(of_list[EDGES].to_numpy(dtype=float), 0, atol=1e-9)
    row = found.prevalence.iloc[2]
    assert row["estimate"] == pytest.approx(frame["d"].mean())  # nobody who says no has the trait
