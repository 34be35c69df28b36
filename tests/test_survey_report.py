"""The report on any fitted survey: with and without waves, weights and a frame; and runs that are recognised when unchanged."""

import json
import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import batch, figures, survey_robustness
from bayes_listexp.batch import run_spec
from bayes_listexp.checks import converged
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import change, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.folders import load_tree
from bayes_listexp.report import render_report, tables_of
from bayes_listexp.sensitivity import contraction
from bayes_listexp.spec import read_spec
from bayes_listexp.survey_report import report_of, survey_report
from bayes_listexp.survey_results import Survey

HOSTILE = "<script>alert('Қазақ')</script>"


def people(n=600):
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "group": rng.choice(["a", HOSTILE], n), "w": rng.uniform(0.5, 2, n),
                          "wave": np.where(np.arange(n) < n / 2, "2022-09", "2022-11"), "children": rng.integers(0, 3, n)})
    frame["y"] = rng.binomial(3, 0.5, n) + (rng.random(n) < 0.4) * frame["arm"]
    frame.loc[::97, "group"] = None
    return frame


def study(**roles):
    made = ListExperiment.from_frame(people(), answer="y", arm="arm", J=3, **roles)
    return made.described(sensitive_item=f"item {HOSTILE}", name="made up")


@pytest.fixture(scope="module")
def plain():
    return study(covariates=["group", "children"])


@pytest.fixture(scope="module")
def plain_tree(plain):
    return fit(plain, trait="1 + group", groups=["children"], response="liars", method="map", seed=3)


def test_a_survey_without_waves_weights_or_frame(plain, plain_tree):
    report = survey_report(Survey(plain, plain_tree, f"Title {HOSTILE}", by=["group", "children"]))
    page = render_report(report)
    assert [section.id for section in report.sections] == [
        "reading", "data", "design", "support", "thresholds", "without-model", "pooling", "model-checks", "priors", "methods"]
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="http', page)
    row = summarise(prevalence(plain_tree)).iloc[0]
    assert f"{100 * row['median']:.0f} %" in report.headline


def test_a_setting_that_the_report_does_not_know_is_refused(plain, plain_tree):
    with pytest.raises(InputError, match="report_of: 'group' is not a setting; there are: by, waves, "):
        report_of(plain, plain_tree, "Title", group=["group"])


def test_a_quick_look_says_so_in_red(plain, plain_tree):
    report = report_of(plain, plain_tree, "Title")
    assert report.alarm is not None
    assert "This is a quick look. Draws around the posterior mode, corrected by importance weights" in report.alarm
    assert f"Pareto k is {plain_tree['posterior'].attrs['pareto_k']:.2f}" in report.alarm
    assert not converged(plain_tree)


def test_what_was_excluded_is_in_the_report(plain, plain_tree):
    report = survey_report(Survey(plain, plain_tree, "Title"))
    tables = {block.name: block for section in report.sections for block in section.blocks if block.kind == "table"}
    excluded = tables["exclusions"].frame
    assert excluded["reason"].tolist() == ["covariate missing: group"]
    assert int(excluded[["control", "treatment"]].to_numpy().sum()) == people()["group"].isna().sum()


def test_lapse_probabilities_are_in_the_regression_table(plain, plain_tree):
    coefficients = next(t for t in tables_of(survey_report(Survey(plain, plain_tree, "Title"))) if t.name == "coefficients")
    assert {"trait", "control", "lapse floor", "lapse ceiling"} <= set(coefficients.frame["part"])


def test_waves_with_weights_a_frame_and_a_level_without_respondents():
    frame = pd.DataFrame({"group": ["a", HOSTILE, "nobody"], "N": [50, 40, 10]})
    made = study(covariates=["group"], wave="wave", weights="w", population=frame)
    tree = fit(made, trait="1 + (1|group)", method="map", seed=3)
    other = fit(made, trait="1 + (1|group)", dependence="none", method="map", seed=3)
    survey = Survey(made, tree, "Title", by=["group"], waves=("2022-09", "2022-11"), alternatives={"no dependence": other, "again": tree},
                    events=[(date(2022, 9, 21), f"event {HOSTILE}")])
    report = survey_report(survey)
    render_report(report)
    tables = {block.name: block for section in report.sections for block in section.blocks if block.kind == "table"}
    course = next(section for section in report.sections if section.id == "course")
    assert [block.name for block in course.blocks] == ["course"]  # two waves: the figure alone, the tables are those of the change
    assert tables["unsampled"].frame.values.tolist() == [["group", "nobody", 0.1]]
    moved = summarise(change(tree, "2022-09", "2022-11")["change"]).iloc[0]
    assert tables["change-all"].frame["median"].iloc[0] == pytest.approx(moved["median"])
    assert tables["power-scaling"].frame["quantity"].tolist()[-1] == "change"
    assert set(tables["models"].frame["model"]) == {"this report's model", "no dependence", "again"}
    assert sorted(tables["models"].frame["number"]) == [1, 2, 3]  # of the columns of the specification curve
    drawn = {block.name: block.svg for section in report.sections for block in section.blocks if block.kind == "figure"}
    assert all(f">{words}<" in drawn["robustness"] for words in ("Dependence of counts and trait", "shift", "none", "truthful"))
    assert "Priors" not in drawn["robustness"]  # no model has others
    assert {"change-robustness", "pooling-group"} <= set(drawn)
    assert tables["support-group"].frame["n"].isna().sum() == 2  # the level without respondents, in both waves


def test_the_weight_of_the_priors_is_told_in_sentences_before_the_tables(plain, plain_tree):
    report = survey_report(Survey(plain, plain_tree, "Title", by=["group"]))
    blocks = next(section for section in report.sections if section.id == "priors").blocks
    names = [getattr(block, "name", block.kind) for block in blocks]
    assert names == ["priors", "items", "contraction", "prior-parameters", "prior", "paragraph", "checks", "power-scaling"]
    whole = contraction(plain_tree)
    assert set(blocks[1].texts) == set(whole.loc[~whole["group_effect"], "text"]) - {""}
    assert blocks[2].frame["contraction"].is_monotonic_increasing
    assert [check.name for check in blocks[6].checks] == ["prior and data"]
    assert blocks[7].frame["quantity"].tolist() == ["prevalence", f"prevalence (group: {HOSTILE})", "prevalence (group: a)"]


SPEC = """
title = "A quick look"
[data]
file = "people.csv"
answer = "y"
arm = "arm"
J = 3
covariates = ["group"]
[model]
trait = "1 + group"
[sample]
method = "map"
seed = {seed}
[report]
by = ["group"]
"""


@pytest.fixture
def spec(tmp_path):
    people().to_csv(tmp_path / "people.csv", index=False)
    path = tmp_path / "quick.toml"
    path.write_text(SPEC.format(seed=1), encoding="utf-8")
    return path


def test_a_run_writes_its_folder_and_is_not_repeated(spec, tmp_path, monkeypatch):
    run = run_spec(read_spec(spec), tmp_path / "out")
    assert not run.converged  # a quick look
    names = {p.relative_to(run.folder).as_posix() for p in run.folder.rglob("*") if p.is_file()}
    assert {"fit.nc", "report.html", "spec.toml", "summary.json", "figures/support-all.svg", "figures/support-all.png"} <= names
    assert {f"tables/support-group.{ending}" for ending in ("csv", "tex", "md", "docx")} <= names
    assert json.loads((run.folder / "summary.json").read_text())["converged"] is False
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["quick"]  # no temporary folder is left
    pages = [p for p in run.folder.rglob("*") if p.suffix in (".html", ".csv", ".tex", ".md", ".docx", ".svg", ".png")]
    first = {path: path.read_bytes() for path in pages}

    monkeypatch.setattr(batch, "fit", lambda *a, **k: pytest.fail("an unchanged run was fitted again"))
    run_spec(read_spec(spec), tmp_path / "out")
    assert {path: path.read_bytes() for path in pages} == first

    def broken(*arguments, **settings):
        raise RuntimeError("no ink")

    monkeypatch.setattr(figures, "prior_posterior", broken)
    with pytest.raises(RuntimeError, match="no ink"):  # a figure that fails is not left out of the report
        run_spec(read_spec(spec), tmp_path / "out")
    assert {path: path.read_bytes() for path in pages} == first  # and the report that was there stays whole
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["quick"]


def test_a_changed_spec_is_fitted_again(spec, tmp_path):
    folder = run_spec(read_spec(spec), tmp_path / "out", report=False).folder
    before = load_tree(folder)["posterior"]["trait_intercept"].to_numpy()
    spec.write_text(SPEC.format(seed=2), encoding="utf-8")
    run_spec(read_spec(spec), tmp_path / "out", report=False)
    assert not np.array_equal(load_tree(folder)["posterior"]["trait_intercept"].to_numpy(), before)


@pytest.mark.parametrize("change", [("J = 3", "J = 4"), ('trait = "1 + group"', 'trait = "1"'),
                                    ('covariates = ["group"]', 'covariates = ["group"]\nmissing = "level"')])
def test_a_run_is_only_recognised_for_the_same_study(spec, tmp_path, change):
    run_spec(read_spec(spec), tmp_path / "out", report=False)
    spec.write_text(spec.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    said = []
    run_spec(read_spec(spec), tmp_path / "out", report=False, say=said.append)
    assert said == ["quick: fitting ..."]


def test_the_study_hash_follows_everything_that_a_fit_depends_on():
    frame = pd.DataFrame({"group": ["a", HOSTILE], "N": [50, 50]})
    base = {"covariates": ["group"], "wave": "wave", "population": frame}
    hashes = [study(**(base | change)).sha256 for change in (
        {}, {"wave": None}, {"missing": "level"}, {"population": None}, {"population": frame.assign(N=[50, 49])}, {"weights": "w"})]
    assert len(set(hashes)) == len(hashes)
    assert study(**base).sha256 == hashes[0]


def test_a_truncated_result_is_refused_by_name(spec, tmp_path):
    folder = run_spec(read_spec(spec), tmp_path / "out", report=False).folder
    content = (folder / "fit.nc").read_bytes()
    (folder / "fit.nc").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"fit\.nc: not a readable fit"):
        load_tree(folder)


def test_models_are_told_apart_by_what_was_chosen_and_not_by_what_follows(monkeypatch):
    common = {"response": "truthful", "control": None, "lapses": {}, "priors": {"trait_sd": "HalfNormal(1)", "control_sd": "HalfNormal(1)"}}
    liars = {"response": "liars", "lapses": {"floor": "1"}, "priors": {**common["priors"], "lapse_floor": "Normal(-2, 1)"}}
    wide = {"priors": {**common["priors"], "trait_sd": "HalfNormal(3)"}, "instruments": {"direct": {"lies": "two_sided"}}}
    models = [common, common | liars, common | wide]
    monkeypatch.setattr(survey_robustness.stored, "fact", lambda model, name: model)
    found = {name: survey_robustness._levels(models, name) for name in ("response", "control", "priors", "lapses", "instruments")}
    assert found["response"] == ["truthful", "liars", "truthful"]
    assert found["priors"] == ["trait_sd: HalfNormal(1)", "trait_sd: HalfNormal(1)", "trait_sd: HalfNormal(3)"]
    assert set(found["lapses"]) == {"as by default"}
    assert set(found["control"]) == {"as the trait"}
    assert survey_robustness._levels([common | {"instruments": {"direct": {"lies": "one_sided"}}}, models[2]], "instruments") == [
        "direct: lies = one_sided", "direct: lies = two_sided"]
