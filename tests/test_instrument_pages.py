"""Pages of surveys with a direct question, with two sensitive items, and on one list: text and numbers against the estimates."""

import re

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import figures
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.estimates import misreporting, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.margins import KnownItem, KnownPrevalence
from bayes_listexp.references import REFERENCES
from bayes_listexp.report import render_report, tables_of
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import shown

HOSTILE = "<script>alert('Қазақ')</script>"


def people(n=600):
    rng = np.random.default_rng(21)
    frame = pd.DataFrame({"arm": np.arange(n) % 3, "group": rng.choice(["a", HOSTILE], n)})
    trait = rng.random(n) < 0.45
    frame["y"] = (rng.binomial(3, 0.5, n) + trait * (frame["arm"] > 0)).astype(float)
    admitted = trait & (rng.random(n) < 0.6) & ((frame["y"] > 0) | (frame["arm"] == 0))
    frame["asked"] = np.where(rng.random(n) < 0.1, "refused", np.where(admitted, "yes", "no"))
    frame.loc[::60, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def asked():
    frame = people().assign(arm=lambda f: (f["arm"] > 0).astype(int))
    question = DirectQuestion("asked", yes="yes", no="no", refused="refused")
    made = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, instruments=[question], covariates=["group"])
    made = made.described(sensitive_item=f"item {HOSTILE}")
    known = [KnownPrevalence({"group": HOSTILE}, share=0.5, se=0.1, discount=0.5)]
    trees = [fit(made, trait="1 + group", method="map", seed=3, margins=known, instruments={"direct": {"lies": lies}})
             for lies in ("one_sided", "two_sided")]
    return made, *trees


@pytest.fixture(scope="module")
def page(asked):
    made, tree, other = asked
    return survey_report(Survey(made, tree, "Title", by=["group"], alternatives={"two-sided lies": other}))


def by_name(report):
    return {table.name: table for table in tables_of(report)}


def test_the_page_of_a_direct_question(page):
    ids = [section.id for section in page.sections]
    assert ids == ["reading", "data", "design", "support", "thresholds", "without-model", "pooling", "instrument-direct",
                   "model-checks", "robustness", "priors", "methods"]
    html = render_report(page)
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html
    assert "Direct question" in html
    drawn = {f"figure-direct-{name}" for name in ("all", "group", "all-bias", "group-bias")}
    assert drawn <= set(re.findall(r'id="(figure-[\w-]+)"', html))
    assert set(by_name(page)["models"].frame["model"]) == {"this report's model", "two-sided lies"}


def test_the_data_section_says_who_is_kept_for_the_question(page):
    facts = dict(next(s for s in page.sections if s.id == "data").blocks[0].pairs)
    assert facts["Direct question"] == "column asked"
    assert facts["Kept for these, answer missing (y)"] == "10 respondents"
    assert facts["Respondents analysed"] == "600 (190 control, 400 treatment, 10 without list answer)"
    assert "exclusions" not in by_name(page)  # kept is not excluded


def test_the_tables_of_a_direct_question_are_its_estimates(page, asked):
    found = misreporting(asked[1])
    table = by_name(page)["direct-all"]
    for name in ("prevalence", "direct", "sensitivity_bias", "lie_rate", "refused_with_trait"):
        row = table.frame.set_index("estimate").loc[name]
        assert row[["median", "lower", "upper"]].tolist() == pytest.approx(
            summarise(found[name])[["median", "lower", "upper"]].iloc[0].tolist())
    assert "Fixed by the model's assumptions: Claim it without the trait, of all (0 %)" in table.note
    said = shown(table).set_index("Estimate")
    bias = 100 * summarise(found["sensitivity_bias"]).iloc[0]
    assert said.loc["Sensitivity bias: prevalence minus direct", "Posterior median"] == f"{bias['median']:+.0f} points"
    direct = 100 * summarise(found["direct"]).iloc[0]
    assert said.loc["Yes to the direct question, of those who answer", "95 % interval"] == (
        f"{direct['lower']:.0f} to {direct['upper']:.0f} %")


def test_the_groups_of_a_direct_question_are_its_estimates(page, asked):
    found = misreporting(asked[1], by="group")
    table = by_name(page)["direct-group"]
    assert [c.column for c in table.columns] == ["group", "prevalence_said", "direct_said", "sensitivity_bias_said", "lie_rate_said"]
    for name in ("prevalence", "direct", "sensitivity_bias", "lie_rate"):
        expected = summarise(found[name]).set_index("group")["median"]
        assert table.frame.set_index("group")[f"{name}_median"].to_dict() == pytest.approx(expected.to_dict())


def test_the_figure_of_a_direct_question_says_its_numbers(asked):
    found = misreporting(asked[1], by="group")
    fig = figures.list_and_direct(found, title="Both")
    for name in ("prevalence", "direct"):
        for _, row in summarise(found[name]).iterrows():
            said = f"{100 * row['median']:.0f} % ({100 * row['lower']:.0f} to {100 * row['upper']:.0f})"
            assert said in str(fig.get_label())
    assert figures.to_svg(fig, name="both").count("bias +") == 4  # each group, and both in the description


def test_the_methods_name_instruments_margins_and_only_what_they_cite(page):
    paragraph, references = (block.text for block in page.sections[-1].blocks[:2])
    assert "A direct question (column asked) observes the trait beside the list (Aronow et al. 2015; Eady 2017)" in paragraph
    assert "those with the trait may deny it, and nobody else claims it, refusing may depend on the trait" in paragraph
    assert "known to be that of 50 % (standard error 10 points), counted at 50 % of its weight" in paragraph
    used = {"blair_imai_2012", "imai_2011", "vehtari_2021", "vehtari_gelman_gabry_2017", "eady_2017", "ibrahim_chen_2000",
            "aronow_coppock_crawford_green_2015", "chou_imai_rosenfeld_2020", "vehtari_2024"}
    assert {key for key in REFERENCES if f"{{{key}," in references} == used
    facts = dict(next(s for s in page.sections if s.id == "model-checks").blocks[0].pairs)
    assert list(facts) == ["List", "Direct question", "Known from elsewhere"]


def test_the_parameters_of_the_question_are_in_the_regression_table(page):
    rows = by_name(page)["coefficients"].frame
    assert {"trait", "control", "direct lie", "direct refusal"} <= set(rows["part"])
    assert rows.loc[rows["part"] == "direct", "term"].tolist() == ["lie count", "refusal trait", "false yes count"]
    assert rows.loc[rows["this report's model: estimate"].isna() & (rows["part"] == "direct"), "term"].tolist() == ["false yes count"]


@pytest.fixture(scope="module")
def two_items():
    frame = people().assign(arm=lambda f: f["arm"].map({0: "none", 1: "first item", 2: HOSTILE}))
    made = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, arms=("none", ["first item", HOSTILE]), covariates=["group"])
    return made, fit(made, trait="1 + group", control="1", dependence="none", method="map", seed=3)


def test_the_page_of_two_sensitive_items(two_items):
    made, tree = two_items
    report = survey_report(Survey(made, tree, "Two items", by=["group"]))
    html = render_report(report)
    assert HOSTILE not in html
    rows = summarise(prevalence(tree, by="item"))
    assert report.headline.startswith(f"{100 * rows['median'][0]:.0f} % support first item (")
    tables = by_name(report)
    assert tables["support-all"].frame["item"].tolist() == ["first item", HOSTILE]
    assert tables["support-all"].frame["median"].tolist() == pytest.approx(rows["median"].tolist())
    assert len(tables["support-group"].frame) == 4
    shown_to = dict(next(s for s in report.sections if s.id == "data").blocks[0].pairs)["Treatment lists"]
    n = made.listed.query("_treated")["item"].value_counts()
    assert shown_to == f"first item ({n['first item']}), {HOSTILE} ({n[HOSTILE]})"
    assert "There are 2 sensitive items (first item, " in report.sections[-1].blocks[0].text


def test_each_item_is_compared_with_the_one_control_arm(two_items):
    made = two_items[0]
    table = difference_in_means(made, by="item").set_index("item")
    answers = made.listed
    control = answers.loc[~answers["_treated"], "_answer"]
    for item in made.items:
        treated = answers.loc[answers["_treated"] & (answers["item"] == item), "_answer"]
        assert table.loc[item, "estimate"] == pytest.approx(treated.mean() - control.mean())
        assert table.loc[item, "se"] == pytest.approx(np.sqrt(treated.var() / len(treated) + control.var() / len(control)))
        assert table.loc[item, "n_control"] == len(control)


def test_the_page_of_a_study_on_one_list():
    frame = people().query("arm > 0")
    made = ListExperiment.from_frame(frame.dropna(), answer="y", arm=None, J=3, covariates=["group"])
    known = [KnownItem(i, yes=50, n=100) for i in (1, 2, 3)]
    tree = fit(made, counts="poisson_binomial", dependence="none", margins=known, method="map", seed=3)
    report = survey_report(Survey(made, tree, "One list", by=[]))
    render_report(report)
    assert "Everybody was shown the treatment list" in report.sections[-1].blocks[0].text
    assert "Control item 2 is known to apply to 50 of 100." in report.sections[-1].blocks[0].text
