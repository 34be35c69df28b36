"""Plans as a whole: their tables, paragraph, page, figures, specs and the command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import figures, planning
from bayes_listexp.cli import main
from bayes_listexp.errors import InputError
from bayes_listexp.plan_options import PlanOptions, merged
from bayes_listexp.planning.plan_settings import plan_of, scenario_of
from bayes_listexp.planning_report import plan_figures, plan_report
from bayes_listexp.report import render_report

MODELS = Path(__file__).parents[1] / "models"
SCENARIO = planning.from_items([0.2, 0.4, 0.5, 0.7], 0.35)
EVERYTHING = {
    "change": -0.2, "denial": 0.2, "careless": 0.1, "groups": {"men": 0.45, "women": 0.55}, "clusters": planning.Clusters(10),
    "regions": planning.Regions({"city": 1.0, "country": 4.0}, 0.5), "sensitive": 3, "prevalence_sd": 0.05, "studies": 300,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return planning.Plan(scenario=SCENARIO, sizes=(400, 1000), **EVERYTHING)


@pytest.fixture(scope="module")
def tables(plan):
    return planning.plan_tables(plan)


@pytest.fixture(scope="module")
def pilot():
    rng = np.random.default_rng(2)
    attitude = rng.normal(size=(200, 1)) * [1, -1, 1, -1, 0, 0]
    return pd.DataFrame((attitude + rng.logistic(size=(200, 6)) > [0, 0, 1, 1, -1, 1]).astype(int), columns=list("abcdef"))


def test_tables_say_what_the_formulas_say(plan, tables):
    assert list(tables) == ["assumptions", "precision", "change", "needed", "designs", "break_even", "efficiency", "careless", "groups",
                            "group_changes", "regions", "items", "assurance"]  # fmt: skip
    unit = planning.clustered_variance(SCENARIO, size=10, icc_count=0.05, icc_trait=0.05)
    assert tables["precision"]["se"].tolist() == pytest.approx(np.sqrt([unit / 400, unit / 1000]))
    deff = unit / planning.dim_variance(SCENARIO)
    moved = deff * planning.change_variance(SCENARIO, SCENARIO.with_prevalence(0.15))
    assert tables["change"]["se"].tolist() == pytest.approx(np.sqrt([moved / 400, moved / 1000]))
    assert tables["change"]["power"][1] == pytest.approx(planning.power(0.2, np.sqrt(moved / 1000)))
    assert tables["needed"]["n"].iloc[-1] == planning.respondents(moved, effect=0.2)
    assert set(tables["designs"]["n"]) == {400, 1000}
    assert tables["groups"]["n_group"].tolist() == pytest.approx([180, 220, 450, 550])
    assert tables["regions"].groupby("n")["n_region"].sum().tolist() == [400, 1000]
    assert all(np.isfinite(tables[name].select_dtypes("number")).all().all() for name in ("precision", "designs", "groups", "assurance"))


def test_what_is_not_asked_for_is_not_there():
    tables = planning.plan_tables(planning.Plan(scenario=SCENARIO, studies=0))
    assert set(tables) == {"assumptions", "precision", "needed", "designs", "break_even", "efficiency"}


def test_paragraph_has_the_numbers(plan, tables):
    text = planning.plan_paragraph(plan, tables, n=400)
    assert "400 respondents in each of two waves, of different people, 50 % of whom" in text
    assert f"power of {tables['change']['power'][0]:.2f}" in text
    assert "20 %, 40 %, 50 % and 70 % of people" in text
    alone = planning.Plan(scenario=planning.from_counts(3, 1.2, 0.3), sizes=(500,), studies=0)
    assert "mean of 1.20" in planning.plan_paragraph(alone, planning.plan_tables(alone))


def test_page_is_whole(plan, tables, pilot):
    choice = planning.frontier(pilot, J=3)
    page = render_report(plan_report(plan, tables, choice=choice, command="bayes-listexp plan spec.toml"))
    for words in ("What is assumed", "Power to find a change of −20 points", "Several sensitive items", "Choices of control items",
                  "list and direct question", "Ready to paste", "bayes-listexp plan spec.toml"):  # fmt: skip
        assert words in page
    drawn = plan_figures(plan, tables, choice)
    assert list(drawn) == ["precision", "power", "break-even", "groups", "control-items"]
    for name, figure in drawn.items():
        svg = figures.to_svg(figure, name=name)
        assert svg == figures.to_svg(plan_figures(plan, tables, choice)[name], name=name)
        assert "<title" in svg


@pytest.mark.parametrize("prevalence", [0.0, 1.0])
def test_pages_of_the_limits(prevalence):
    plan = planning.Plan(scenario=planning.from_items([0.5], prevalence), effect=0.1, studies=50, denial=0.1)
    assert render_report(plan_report(plan, planning.plan_tables(plan)))


def test_figures_refuse_what_they_cannot_draw():
    with pytest.raises(InputError, match="no designs"):
        figures.planning_precision([])
    with pytest.raises(InputError, match="no column exposed"):
        figures.control_item_frontier(pd.DataFrame({"items": [], "variance": [], "allowed": [], "frontier": []}))
    with pytest.raises(InputError, match="no column pooled_se"):
        figures.planning_groups(pd.DataFrame({"group": ["a"], "se": [0.1]}))


def test_options_go_before_the_spec():
    spec = {"scenario": {"J": 4, "mean": 2.0, "ratio": 0.9, "prevalence": 0.3}, "plan": {"n": [400], "share": 0.4}, "clusters": {"size": 5}}
    settings = merged(PlanOptions(prevalence=0.5, n=[900], groups=[0.5, 0.4], icc=0.2), spec)
    plan = plan_of(settings)
    assert (plan.sizes, plan.share, plan.scenario.prevalence) == ((900,), 0.4, pytest.approx(0.5))
    assert plan.clusters == planning.Clusters(5, 0.2, 0.2)
    assert dict(plan.groups) == {"group 1": 0.5, "group 2": 0.4}
    other = plan_of(merged(PlanOptions(items=[0.2, 0.6]), spec))
    assert other.scenario.items == (0.2, 0.6)


@pytest.mark.parametrize(("settings", "message"), [
    ({"J": 4, "mean": 2.0}, "no prevalence is given"),
    ({"J": 4, "prevalence": 0.3}, r"give the shares of the control items \(items\), or their number"),
    ({"J": 3, "items": [0.2, 0.4], "prevalence": 0.3}, "J = 3, and there are 2 items"),
    ({"items": [0.2, 0.4], "mean": 1.0, "prevalence": 0.3}, "mean follows from the items"),
    ({"J": 3, "mean": 1.0, "correlation": 0.1, "prevalence": 0.3}, "correlation is of single items"),
    ({"items": ["a", "b"], "prevalence": 0.3}, "so a pilot is needed"),
])
def test_scenarios_that_are_not_complete(settings, message):
    with pytest.raises(InputError, match=message):
        scenario_of(settings)


@pytest.mark.parametrize(("tables", "message"), [
    ({"plan": {"n": [2]}}, "whole numbers of at least 4"),
    ({"plan": {"change": -0.4}}, "from a prevalence of 0.3 it leads outside 0 to 1"),
    ({"plan": {"change": 0.0}}, "the effect that the study is to find is 0"),
    ({"clusters": {"icc_count": 0.1}}, r"\[clusters\] needs 'size'"),
])
def test_plans_that_cannot_be(tables, message):
    with pytest.raises(InputError, match=message):
        plan_of({"scenario": {"items": [0.2, 0.5], "prevalence": 0.3}, **tables})


def test_groups_that_are_more_than_all():
    plan = planning.Plan(scenario=SCENARIO, groups={"a": 0.6, "b": 0.6}, studies=0)
    with pytest.raises(InputError, match="add up to at most 1"):
        planning.plan_tables(plan)


class TestCommandLine:
    def run(self, *arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["plan", *map(str, arguments)])
        return stopped.value.code

    def test_options_alone(self, capsys):
        options = "--J 4 --items .2 .4 .5 .7 --prevalence .35 --n 1000 --change -.2 --studies 100"
        assert self.run(*options.split()) == 0
        said = capsys.readouterr().out
        assert "A change of -20 points is found with a power of 0.63" in said

    def test_a_spec_its_folder_and_its_pilot(self, tmp_path, capsys, pilot):
        pilot.to_csv(tmp_path / "pilot.csv", index=False)
        (tmp_path / "next.toml").write_text(
            'kind = "plan"\ntitle = "Next"\n[scenario]\npilot = "pilot.csv"\nitems = ["a", "b", "e"]\nprevalence = 0.3\n'
            '[plan]\nn = [300, 600]\nstudies = 50\n[choice]\npilot = "pilot.csv"\nJ = [2, 3]\nceiling = 0.2\n')
        assert self.run(tmp_path / "next.toml", "--out", tmp_path / "out") == 0
        assert "control items\n" in capsys.readouterr().out
        files = {str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()}
        assert {"plan.html", "paragraph.txt", "tables/precision.csv", "tables/designs.tex", "figures/precision.svg",
                "figures/control-items.png"} <= files  # fmt: skip
        assert len(pd.read_csv(tmp_path / "out" / "tables" / "control-items.csv")) == 35
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    @pytest.mark.parametrize(("text", "message"), [
        ('kind = "plan"\n[scenario]\nprevalence = 0.3\nitem = [0.2]\n', "line 4: [scenario] 'item' is not known here"),
        ('kind = "plan"\n[scenario]\nitems = [0.2]\n', "[scenario] needs 'prevalence'"),
        ('kind = "plan"\n[scenario]\nprevalence = "high"\n', "'prevalence' must be of type float"),
        ('kind = "plan"\n[scenario]\nitems = [0.2]\nprevalence = 0.3\n[choice]\nJ = 2\n', "line 5: [choice] needs 'pilot' and 'J'"),
        ('[data]\nfile = "x.csv"\nanswer = "y"\narm = "a"\nJ = 3\n', 'a plan needs a spec with kind = "plan"'),
    ])
    def test_bad_specs(self, tmp_path, capsys, text, message):
        (tmp_path / "bad.toml").write_text(text)
        assert self.run(tmp_path / "bad.toml") == 2
        assert message in capsys.readouterr().err

    def test_bad_options(self, capsys):
        assert self.run("--items", ".2", ".4", "--prevalence", ".35", "--correlation", "-.9") == 2
        assert "(Fréchet bounds)" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["fit", "report", "check"])
    def test_a_plan_is_not_fitted(self, capsys, command):
        with pytest.raises(SystemExit) as stopped:
            main([command, str(MODELS / "plan_csto.toml")])
        assert stopped.value.code == 2
        assert "Use bayes-listexp plan" in capsys.readouterr().err

    def test_the_plan_among_the_models(self, capsys):
        assert self.run(MODELS / "plan_csto.toml", "--studies", "100", "--quiet") == 0
        assert "continuing membership in the CSTO" in capsys.readouterr().out

    def test_options_alone_are_quick(self):
        code = ("import sys; from bayes_listexp.cli import main\ntry: main('plan --items .5 .5 --prevalence .3 --studies 0'.split())\n"
                "except SystemExit as e: assert not e.code\nassert not {'pymc', 'pytensor', 'matplotlib'} & set(sys.modules)")
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
