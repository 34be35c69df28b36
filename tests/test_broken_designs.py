"""Studies broken on purpose: the page of checks says what is wrong, and what to do; and real data have a page."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import binomtest, chi2, norm

from bayes_listexp import DirectQuestion, InputError, ListExperiment, SecondList, figures
from bayes_listexp.checks import Check, as_family, design_checks, fit_checks, lists, names_of
from bayes_listexp.checks.arms import arm_sizes, balance_by_level, missing_by_arm
from bayes_listexp.checks.assumptions import specification
from bayes_listexp.checks.lists import dispersion, impossible_groups, information
from bayes_listexp.checks.page import page_of
from bayes_listexp.checks.predicted import prior_and_data
from bayes_listexp.checks.questions import order_of_questions, two_lists
from bayes_listexp.checks.source import study_of_file
from bayes_listexp.checks_report import checks_report, tables_of_checks
from bayes_listexp.cli import main
from bayes_listexp.list_arms import ListArms
from bayes_listexp.no_design_effect.type_shares import type_shares
from bayes_listexp.report import render_report
from tests.conftest import shared
from tests.test_checks import tree

J = 4


def people(n=2000, seed=1, prevalence=0.3):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"t": rng.permutation(np.arange(n) % 2), "sex": rng.choice(["f", "m"], n), "s": rng.random(n) < prevalence})
    frame["c"] = (rng.random((n, J)) < [0.3, 0.5, 0.5, 0.7]).sum(axis=1)
    frame["y"] = (frame["c"] + frame["t"] * frame["s"]).astype(float)
    return frame


def study(frame, **more):
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=J, covariates=["sex", *more.pop("covariates", [])], **more)


def failed(frame, **more):
    checks = design_checks(study(frame), ["sex"], **more)
    return set(names_of(checks, passed=False)), " ".join(page_of(checks).split())


def test_a_sound_design_fails_nothing():
    names, page = failed(people(), planned=0.5)
    assert names == set()
    assert page.startswith("0 checks failed")
    assert "Holm's adjustment for all 5" in page  # sizes, balance, possible differences, no design effect, specification


def test_a_design_effect_is_found_and_said():
    frame = people(prevalence=0.1)
    rng = np.random.default_rng(2)
    fled = (frame["t"] == 1) & (rng.random(len(frame)) < 0.15)
    names, page = failed(frame.assign(y=np.where(fled, 0, frame["y"])))
    assert {"no design effect", "no design effect (Bayes)"} <= names
    assert "people answered the control items otherwise" in page
    assert "To do: The difference in means, and models with truthful answers, are off." in page


def test_refusals_that_depend_on_the_list_are_found_and_bounded():
    frame = people()
    refused = (frame["t"] == 1) & frame["s"] & (np.random.default_rng(3).random(len(frame)) < 0.3)
    names, page = failed(frame.assign(y=frame["y"].where(~refused)))
    assert "missing answers" in names
    assert "bounds of refusals" in page
    assert "Those who answered the two lists are no longer alike." in page


def test_arms_the_wrong_way_round_are_refused_or_found():
    frame = people()
    turned = frame.assign(t=1 - frame["t"])
    with pytest.raises(InputError, match="control arm"):
        study(turned)  # somebody in the control arm says 5 of 4
    names, page = failed(turned[turned["y"] <= J])
    assert "possible differences" in names
    assert "Check that the arms are coded the right way round" in page


def test_some_wrongly_coded_arms_are_refused_with_their_rows():
    frame = people()
    first = frame.index[frame["y"] == J + 1][0]
    with pytest.raises(InputError, match=f"row {first + 1}"):
        study(frame.assign(t=frame["t"].where(frame.index != first, 0)))


@pytest.mark.parametrize("count", [0, J])
def test_a_degenerate_list_is_found(count):
    frame = people()
    names, page = failed(frame.assign(y=count + frame["t"] * frame["s"]))
    assert "dispersion" in names
    assert "the list protects nobody" in page
    assert "Every answer of the treatment arm tells who has the trait." in page


def test_a_wrong_j_shows_in_the_ceiling_or_is_refused():
    with pytest.raises(InputError, match="y"):
        ListExperiment.from_frame(people(), answer="y", arm="t", J=2)


def test_lost_respondents_of_an_arm_show_against_the_plan():
    frame = people()
    lost = (frame["t"] == 1) & (np.random.default_rng(4).random(len(frame)) < 0.2)
    names, page = failed(frame[~lost], planned=0.5)
    assert "arm sizes" in names
    assert "Chance does not divide respondents like this" in page
    assert "arm sizes" not in failed(frame[~lost])[0]  # nothing was planned


def test_arm_sizes_by_hand():
    found = arm_sizes(study(people(100).assign(t=[0] * 60 + [1] * 40, y=0)), planned=0.5)
    assert found.p == pytest.approx(chi2.sf(4, 1))
    assert found.passed is False
    assert found.p == pytest.approx(binomtest(40, 100).pvalue, abs=0.02)  # the exact test, which is not symmetric in steps
    third = arm_sizes(study(people(300).assign(t=[0] * 200 + [1] * 100, y=0)), planned={"control": 2 / 3, "treatment": 1 / 3})
    assert (third.p, third.passed) == (1.0, True)


@pytest.mark.parametrize("planned", [0, 1.0, True, {"control": 0.5}, {"control": 0.7, "treatment": 0.7}])
def test_a_plan_that_is_none_is_refused(planned):
    with pytest.raises(InputError, match="planned = "):
        arm_sizes(study(people()), planned=planned)


def test_refusals_in_one_wave_only_are_found():
    frame = people(3000).assign(w=np.repeat(["1", "2", "3"], 1000))
    refused = (frame["w"] == "2") & (frame["t"] == 1) & (np.random.default_rng(5).random(3000) < 0.08)
    found = missing_by_arm(study(frame.assign(y=frame["y"].where(~refused)), wave="w"))
    assert found.passed is False
    assert "They differ in 2 (Holm-adjusted for 4 tables)." in found.text
    assert found.table["of"].unique().tolist() == ["all", "1", "2", "3"]


def test_each_item_has_its_arm_and_its_test():
    frame = people(3000).assign(t=np.resize(["none", "a", "b"], 3000))
    frame["y"] = frame["c"] + (frame["t"] != "none") * frame["s"]
    made = ListExperiment.from_frame(frame, answer="y", arm="t", arms=("none", ["a", "b"]), J=J, covariates=["sex"])
    checks = {check.name: check for check in design_checks(made, ["sex"])}
    assert checks["arm sizes"].table["arm"].tolist() == ["control", "a", "b"]
    assert checks["no design effect"].table["item"].tolist() == ["a", "b"]
    assert checks["possible differences"].table["group"].tolist() == ["everybody", "item: a", "item: b", "sex: f", "sex: m"]
    assert checks["information"].table["of"].tolist() == ["all", "a", "b"]


def test_variance_ratio_has_its_interval():
    # 95 % intervals of 200 binomial lists: within 4 Monte Carlo errors of .95.
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(200):
        arms = ListArms({}, 4, np.bincount(rng.binomial(4, 0.5, 400), minlength=5), np.zeros(6))
        _, low, high = lists._ratio(arms, *lists._moments(arms))
        covered += low <= 1 <= high
    assert covered / 200 == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 200))


def test_dispersion_fails_a_model_that_cannot_have_it():
    frame = people()
    pairs = frame.assign(y=2.0 + np.random.default_rng(7).choice([-1, 0, 0, 1], len(frame)) + frame["t"] * frame["s"])
    assert dispersion(study(pairs)).passed is None
    for counts in ("binomial", "beta_binomial"):
        found = dispersion(study(pairs), counts)
        assert found.passed is False
        assert "The model takes the counts for" in found.text
    assert dispersion(study(pairs), "softmax").passed is None


def test_a_binomial_that_does_not_fit_is_found():
    frame = people(8000, prevalence=0.5)
    unequal = (np.random.default_rng(11).random((8000, J)) < [0.95, 0.7, 0.9, 0.2]).sum(axis=1)
    made = study(frame.assign(y=unequal + frame["t"] * frame["s"]))
    assert specification(made, "binomial").passed is False
    assert specification(made).passed is True
    assert specification(made, "binomial").interval[1] < 0 < specification(made).interval[1]


def test_information_by_hand():
    found = information(study(people()))
    row = found.table.iloc[0]
    assert found.estimate == pytest.approx(row["estimate"] * (1 - row["estimate"]) / row["se"] ** 2)
    assert f"is worth {found.estimate:,.0f} direct answers" in found.text
    negative = information(study(people().assign(y=lambda f: np.where(f["t"] == 1, 1, 2))))
    assert negative.table["direct answers"].isna().all() or np.isinf(negative.table["direct answers"]).all()


def test_two_lists_that_agree_and_two_that_do_not():
    frame, rng = people(3000), np.random.default_rng(8)
    frame["u"] = 1 - frame["t"]
    frame["z"] = rng.binomial(3, 0.5, 3000) + frame["u"] * frame["s"]
    second = [SecondList("z", "u", J=3)]
    checks = {check.name: check for check in design_checks(study(frame, instruments=second))}
    assert checks["two lists (second)"].passed is True
    assert checks["no design effect"].table["list"].tolist() == ["1", "second"]
    hidden = frame.assign(z=frame["z"] - frame["u"] * frame["s"] * 1)
    found = two_lists(study(hidden, instruments=second))
    assert found.passed is False
    assert found.interval[0] < found.estimate < found.interval[1]
    assert found.p == pytest.approx(2 * norm.sf(abs(found.estimate) / ((found.interval[1] - found.interval[0]) / 2 / norm.ppf(0.975))))


def test_an_order_that_changes_answers_is_found():
    frame, rng = people(3000), np.random.default_rng(9)
    frame["first"] = rng.choice(["list", "direct"], 3000)
    frame["d"] = (frame["s"] & (rng.random(3000) < 0.7)).astype(float)
    same = order_of_questions(study(frame, covariates=["first"], instruments=[DirectQuestion("d")]), "first")
    assert same.passed is True
    assert same.table["of"].tolist() == ["list", "direct"]
    moved = frame.assign(d=np.where((frame["first"] == "list") & (rng.random(3000) < 0.5), 0, frame["d"]))
    found = order_of_questions(study(moved, covariates=["first"], instruments=[DirectQuestion("d")]), "first")
    assert found.passed is False
    assert found.text.startswith("The order changes the answers to direct (")
    with pytest.raises(InputError, match="order = 'last'"):
        order_of_questions(study(frame), "last")


def test_groups_outside_zero_to_one_are_adjusted_for_their_number():
    frame = people(1000, prevalence=0.02).assign(region=np.random.default_rng(10).integers(0, 9, 1000).astype(str))
    found = impossible_groups(study(frame, covariates=["region"]), ["region"])
    assert found.passed is True
    assert found.table["p adjusted"].min() == pytest.approx(min(1, 10 * found.table["p"].min()))


def test_tests_answer_for_each_other():
    def made(p):
        return Check("a", "?", p >= 0.05, None, None, "Said.", p=p)

    one, two, three = as_family([made(0.001), made(0.03), made(0.5)])
    assert (one.passed, two.passed, three.passed) == (False, None, True)
    assert "Adjusted for the 3 tests of this list (Holm): p = 0.003." in one.text
    assert "p = 0.06, which chance alone can bring about" in two.text
    assert three.text == "Said."
    assert as_family([made(0.03)])[0].passed is False


def test_false_alarms_are_few():
    # At most 5 % of sound studies have a failed test; here within 3 Monte Carlo errors of that.
    alarms = []
    for seed in range(30):
        checks = design_checks(study(people(400, seed=seed)), ["sex"], planned=0.5)
        alarms.append(any(check.passed is False for check in checks if check.p is not None))
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 30)


REAL = [
    ("race.csv", {"answer": "y", "arm": "treat", "J": 3}),
    ("race_weights.csv", {"answer": "y", "arm": "treat", "J": 3, "weights": "w"}),
    ("affirm.csv", {"answer": "y", "arm": "treat", "J": 3}),
    ("mis.csv", {"answer": "y", "arm": "treat", "J": 4}),
    ("combinedListExps.csv", {"answer": "list1N", "arm": "list1treat", "J": 4, "direct": "direct1"}),
    ("combinedListExps.csv", {"answer": "list2N", "arm": "list2treat", "J": 3, "direct": "direct2"}),
    ("combinedListExps.csv", {"answer": "list3N", "arm": "list3treat", "J": 4, "direct": "direct3"}),
]


@pytest.mark.parametrize(("name", "roles"), REAL, ids=[f"{name[:4]}-{roles['answer']}" for name, roles in REAL])
def test_real_data_have_a_page(name, roles):
    made, covariates = study_of_file(shared(name), roles)
    checks = design_checks(made, covariates)
    page = page_of(checks)
    assert max(map(len, page.splitlines())) <= 110
    assert all(check.advice for check in checks if check.passed is False)
    assert all(f"{check.name}:" in page for check in checks)


def test_published_counts_have_a_page():
    counts = pd.read_csv(shared("published_counts.csv"))
    for _, rows in counts.groupby("study"):
        rows = rows.groupby(["arm", "item_count", "group"], as_index=False)["n"].sum()
        made = ListExperiment.from_counts(rows, answer="item_count", arm="arm", n="n", J=int(rows["item_count"].max()) - 1)
        assert "direct answers" in page_of(design_checks(made))


def test_a_page_with_figures_and_tables():
    made = study(people())
    checks = design_checks(made, ["sex"])
    report = checks_report(made, checks, ["sex"])
    page = render_report(report)
    assert all(name in page for name in ('id="figure-balance"', 'id="figure-counts"', 'id="figure-types"'))
    assert {"balance", "no-design-effect", "types-of-people"} <= {table.name for table in tables_of_checks(checks)}
    fig = figures.differences_by_group(impossible_groups(made, ["sex"]).table)
    assert "everybody" in fig.get_label()
    assert figures.shares_of_types(type_shares(made)).get_label().startswith("Types of people. with the trait, 0 items")
    with pytest.raises(InputError, match="no rows"):
        figures.balance_of_arms(balance_by_level(made, []))


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in arguments])
    return end.value.code, *capsys.readouterr()


def test_check_reads_a_data_file_without_a_spec(capsys, tmp_path):
    frame = people().drop(columns=["s", "c"]).assign(t=lambda f: f["t"] + 1)
    frame.to_csv(tmp_path / "survey.csv", index=False)
    code, out, _ = run(capsys, "check", tmp_path / "survey.csv", "--answer", "y", "--arm", "t", "--J", 4, "--arms", 1, 2,
                       "--planned", 0.5, "--out", tmp_path / "page")
    assert code == 0
    assert out.startswith("2,000 respondents analysed of 2,000 read.")
    assert "The arms do not differ in sex" in out
    assert (tmp_path / "page" / "checks.html").exists()
    assert (tmp_path / "page" / "tables" / "types-of-people.csv").exists()
    code, _, err = run(capsys, "check", tmp_path / "survey.csv", "--answer", "y", "--arm", "t")
    assert code == 2
    assert "a data file needs --J" in err


def test_a_spec_says_plan_and_order_itself(capsys, tmp_path):
    people().assign(first=lambda f: np.arange(len(f)) % 2).drop(columns=["s", "c"]).to_csv(tmp_path / "survey.csv", index=False)
    spec = tmp_path / "survey.toml"
    spec.write_text('[data]\nfile = "survey.csv"\nanswer = "y"\narm = "t"\nJ = 4\n[report]\nby = ["sex"]\n'
                    '[checks]\nplanned = 0.5\norder = "first"\n', encoding="utf-8")
    code, out, _ = run(capsys, "check", spec)
    assert code == 0
    assert "50.0% planned" in out
    assert "order: The order changes no answers" in out
    code, _, err = run(capsys, "check", spec, "--planned", 0.4)
    assert (code, "a spec says this itself; leave out --planned" in err) == (2, True)


def test_energy_of_the_sampler_is_checked():
    rng = np.random.default_rng(1)
    made = tree(rng.normal(size=(4, 1000)))
    stats = made["sample_stats"].to_dataset()
    made["sample_stats"] = xr.DataTree(stats.assign(energy=(("chain", "draw"), rng.normal(size=(4, 1000)))))
    assert {check.name: check for check in fit_checks(made)}["energy"].passed is True
    made["sample_stats"] = xr.DataTree(stats.assign(energy=(("chain", "draw"), rng.normal(size=(4, 1000)).cumsum(axis=1))))
    found = {check.name: check for check in fit_checks(made)}["energy"]
    assert found.passed is False
    assert "limit 0.3" in found.text


def test_prior_and_data_from_a_table():
    table = pd.DataFrame({"quantity": ["prevalence", "change"], "prior": [0.1, 0.2], "likelihood": [0.2, 0.01],
                          "diagnosis": ["prior-data conflict", "weak likelihood"]})
    found = prior_and_data(table)
    assert found.passed is None
    assert found.text == ("Prior and data pull in different directions: prevalence. The data say little beside the prior: change.")
    assert prior_and_data(table.assign(diagnosis="-")).passed is True
