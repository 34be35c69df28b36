"""The report's pages in a real browser, with labels that are markup: no error, no request, a phone's width, paper, and numbers that
follow the reader's choices.
"""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp import planning
from bayes_listexp.checks import design_checks
from bayes_listexp.checks_report import checks_report, tables_of_checks
from bayes_listexp.estimates import change, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.fitting import fit
from bayes_listexp.planning_report import plan_report
from bayes_listexp.published.audit import audit
from bayes_listexp.published.table import PublishedSupport, parse_published
from bayes_listexp.published_report import Published, published_report
from bayes_listexp.report import render_report, tables_of
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import interval, percent, points, to_csv, to_latex
from test_report import ODD, report

pytestmark = pytest.mark.slow
LONG = f"</script>{ODD[:60]} Қостанай ".ljust(200, "ң")
FORMULA = "=HYPERLINK(1)"
SECTIONS = {
    "survey": {"reading", "data", "design", "support", "thresholds", "change", "change-thresholds", "model-checks", "priors", "methods"},
    "published": {"reading", "data", "audit", "support", "thresholds", "change", "model-checks", "priors", "methods"},
}


@pytest.fixture(scope="module")
def survey():
    """Two waves of made-up answers, with levels whose names are markup, quotes, Kazakh letters, formulas and 200 characters long."""
    n, rng = 800, np.random.default_rng(5)
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "wave": np.where(np.arange(n) < n / 2, "w1", "w2"),
                          "group": rng.choice([FORMULA, LONG], n), "sex": rng.choice(["women", "men"], n)})
    frame["y"] = rng.binomial(3, 0.5, n) + (rng.random(n) < 0.3 + 0.4 * (frame["group"] == FORMULA)) * frame["arm"]
    study = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, wave="wave", covariates=["group", "sex"])
    study = study.described(sensitive_item=f"the item {ODD[:80]}", name=LONG)
    tree = fit(study, trait="1 + group + wave", control="1", groups=["sex"], method="map", seed=3)
    return Survey(study, tree, f"Report {ODD[:80]}", by=["group", "sex"], waves=("w1", "w2"))


@pytest.fixture(scope="module")
def published():
    """A table of means with such labels, and draws as a fit of it would give them."""
    lines = io.StringIO()
    csv.writer(lines).writerows([
        ("group", "level", "share", "mean_control", "mean_treatment", "support"), ("all", "all", "1.000", "2.10", "2.50", "0.400"),
        (LONG, FORMULA, "0.500", "2.00", "2.30", "0.300"), (LONG, LONG, "0.500", "2.20", "2.70", "0.520")])
    table = parse_published(lines.getvalue(), J=4, N=400, name=f"Table {ODD[:60]}")
    later, rng = PublishedSupport("25 %", N=(300, 500), label=f"Later {LONG}"), np.random.default_rng(4)
    support = rng.beta([8, 6, 10], [12, 14, 10], (2, 400, 3))
    posterior = {"support": (("chain", "draw", "row"), support), "total_support": (("chain", "draw"), support[..., 0]),
                 "support_later": (("chain", "draw"), rng.beta(10, 30, (2, 400)))}
    tree = xr.DataTree.from_dict({
        "posterior": xr.Dataset(posterior, {"chain": [0, 1], "draw": np.arange(400), "row": [row.name for row in table.rows]}),
        "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 400), bool)),
                                    "reached_max_treedepth": (("chain", "draw"), np.zeros((2, 400), bool))})})
    tree.attrs = {"seed": 1, "sha256": table.sha256, "use": json.dumps({row.name: "means" for row in table.rows}), "later": "{}",
                  "assumptions": json.dumps({LONG: LONG}), "versions": json.dumps({"numpy": "2"})}
    alone = tree.copy()
    alone.attrs["sha256"] = replace(table, rows=(table.total,)).sha256
    return Published(table, audit(table), alone, tree, f"Page {LONG}", f"item {LONG}", later, sources=[LONG], command=LONG)


@pytest.fixture(scope="module")
def reports(survey, published):
    """Every kind of page, with odd labels wherever a user can give one."""
    scenario = planning.from_items([0.2, 0.4, 0.7], 0.35)
    plan = planning.Plan(scenario=scenario, sizes=(400, 800), groups={LONG: 0.4, FORMULA: 0.6}, title=LONG, sensitive_item=LONG)
    checks = design_checks(survey.study, ["group"])
    return {"survey": survey_report(survey), "published": published_report(published), "records": report(ODD),
            "plan": plan_report(plan, planning.plan_tables(plan), command=LONG), "checks": checks_report(survey.study, checks, ["group"])}


@pytest.fixture(scope="module")
def pages(reports, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, made in reports.items():
        (folder / f"{name}.html").write_text(render_report(made), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


def set_to(browser, selector, value, *events):
    """Give a control a value as a reader would, with the events that follow."""
    browser.run("const it = document.querySelector(arguments[0]); it.value = arguments[1];"
                "for (const name of arguments[2]) it.dispatchEvent(new Event(name, {bubbles: true}));", selector, value, events)


def shown(browser, name="thresholds"):
    """The rows of a table that the reader turns, as text."""
    return browser.run("return [...document.querySelectorAll(`#explorer-${arguments[0]} tbody tr`)].map("
                       "row => [...row.cells].map(cell => cell.textContent))", name)


def expected(survey, group, wave, threshold):
    """The same rows from the estimates."""
    draws = prevalence(survey.tree, by=[group, "wave"]).sel(wave=wave)
    rows = summarise(draws).sort_values("median", ascending=False)
    return [[str(row[group]), percent(row["median"]), interval(row["lower"], row["upper"]),
             probability_words(float((draws.sel({group: row[group]}) > threshold / 100).mean()))] for _, row in rows.iterrows()]


def expected_changes(survey, group, threshold):
    """The rows of the change from the estimates: falls of so many points or more, rises of more."""
    draws = change(survey.tree, "w1", "w2", by=group)["change"]
    rows = summarise(draws).sort_values("median")
    beyond = draws <= threshold / 100 if threshold <= 0 else draws > threshold / 100
    return [[str(row[group]), points(row["median"]), f"{points(row['lower'])} to {points(row['upper'])} points",
             probability_words(float(beyond.sel({group: row[group]}).mean()))] for _, row in rows.iterrows()]


@pytest.mark.parametrize("name", ["survey", "published", "records", "plan", "checks"])
def test_opens_in_silence_and_asks_for_nothing_on_a_phone_on_paper_and_read_aloud(browser, pages, name):
    page = pages[name]
    assert browser.open(page) == ([], [])
    assert page.stat().st_size < 3_000_000
    for width in (360, 1280):
        wide, outside = browser.wider_than(width)
        assert (wide <= width, outside) == (True, [])
    assert browser.violations() == []
    links = browser.run("return [...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert links == browser.run("return [...document.querySelectorAll('main > section')].map(s => s.id)")
    assert SECTIONS.get(name, set()) <= set(links)
    pdf = base64.b64decode(browser.command("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type\s*/Page[^s]", pdf)) in (range(6, 22) if name == "survey" else range(2, 13))
    browser.command("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.run("return [...document.querySelectorAll('nav, .controls, .said')].filter(e => e.offsetHeight).length") == 0
        folded = "return [...document.querySelectorAll('details.more .checks')].filter(e => !e.offsetHeight).length"
        assert browser.run(folded) == 0
    finally:
        browser.command("Emulation.setEmulatedMedia", media="")


def test_threshold_group_and_wave_change_the_numbers_to_those_of_the_estimates(browser, pages, survey):
    browser.open(pages["survey"])
    assert shown(browser) == expected(survey, "group", "w2", 50)
    seen = set()
    for group, wave, threshold in [("group", "w1", 50), ("group", "w1", 37), ("sex", "w2", 63), ("group", "w2", 0), ("sex", "w1", 100)]:
        set_to(browser, "#explorer-thresholds label:nth-of-type(1) select", ["group", "sex"].index(group), "change")
        set_to(browser, "#explorer-thresholds label:nth-of-type(2) select", ["w2", "w1"].index(wave), "change")
        set_to(browser, "#explorer-thresholds input", threshold, "input", "change")
        assert shown(browser) == expected(survey, group, wave, threshold)
        assert f"above {threshold}\N{NO-BREAK SPACE}%" in browser.all("#explorer-thresholds .said")[0].get_attribute("textContent")
        seen.add(str(shown(browser)))
    assert len(seen) == 5


def test_threshold_of_the_change_gives_falls_and_rises_of_the_estimates(browser, pages, survey):
    browser.open(pages["survey"])
    assert shown(browser, "changes") == expected_changes(survey, "group", -20)
    for group, threshold, said in [("group", -7, "fall of 7 points or more"), ("sex", 0, "fall at all"), ("sex", 3, "rise of more than 3")]:
        set_to(browser, "#explorer-changes select", ["group", "sex"].index(group), "change")
        set_to(browser, "#explorer-changes input", threshold, "input", "change")
        assert shown(browser, "changes") == expected_changes(survey, group, threshold)
        assert said in browser.all("#explorer-changes [data-heading=above]")[0].text


def test_a_published_table_has_its_thresholds(browser, pages, published):
    browser.open(pages["published"])
    support = published.tree["posterior"]["support"]
    set_to(browser, "#explorer-thresholds select", 1, "change")
    set_to(browser, "#explorer-thresholds input", 41, "input", "change")
    assert [row[3] for row in shown(browser)] == [probability_words(float((support.isel(row=i) > 0.41).mean())) for i in (2, 1)]
    moved = published.tree["posterior"]["support_later"] - published.tree["posterior"]["total_support"]
    assert [row[3] for row in shown(browser, "changes")] == 2 * [probability_words(float((moved <= -0.2).mean()))]


def test_the_keyboard_and_the_pointer_read_the_numbers(browser, pages, survey):
    browser.open(pages["survey"])
    slider = browser.all("#explorer-thresholds input")[0]
    slider.send_keys("\ue014" * 3)  # arrow right
    assert slider.get_attribute("aria-valuetext") == "53\N{NO-BREAK SPACE}%"
    assert shown(browser) == expected(survey, "group", "w2", 53)
    slider.send_keys("\ue004")  # tab to the table's frame, then to its first number
    browser.driver.switch_to.active_element.send_keys("\ue004")
    number = browser.driver.switch_to.active_element
    assert number.tag_name == "button"
    said = browser.all("#explorer-thresholds .said")[0].get_attribute("textContent")
    assert re.search(r": support \d+ % \(95 % interval .* draws\)\.", said)
    assert number.get_attribute("aria-label") == said
    browser.run("document.querySelector('#explorer-thresholds tbody tr:last-child').dispatchEvent(new PointerEvent('pointerenter'))")
    pointed = browser.all("#explorer-thresholds .said")[0].get_attribute("textContent")
    assert pointed != said
    assert pointed.startswith(shown(browser)[-1][0])


def test_without_scripts_the_table_has_the_first_choice(pages, survey):
    html = pages["survey"].read_text(encoding="utf-8")
    for name, rows in (("thresholds", expected(survey, "group", "w2", 50)), ("changes", expected_changes(survey, "group", -20))):
        table = html[html.index(f'id="explorer-{name}"') :].partition("</table>")[0]
        cells = re.findall(r'<tr><th scope="row">(.*?)</th><td.*?>(.*?)</td><td.*?>(.*?)</td><td.*?>(.*?)</td></tr>', table)
        assert [[unescape(text) for text in row] for row in cells] == rows


def test_odd_labels_are_text_on_every_page_in_every_figure_and_in_every_table(reports, pages):
    for name, made in reports.items():
        html = pages[name].read_text(encoding="utf-8")
        ours = html.count('<script type="application/json">') + html.count("<script>\"use strict\"")
        assert html.count("<script") == html.count("</script>") == ours, name
        if name != "records":
            assert unescape(html).count(LONG) > 1, name
        for data in re.findall(r'<script type="application/json">(.*?)</script>', html):
            assert FORMULA in {row[0] for view in json.loads(data)["views"].values() for row in view} or name == "published"
        checks = [check for s in made.sections for block in s.blocks if block.kind == "checks" for check in block.checks]
        for table in [*tables_of(made), *tables_of_checks([check for check in checks if check.table is not None])]:
            cells = [cell for row in csv.reader(io.StringIO(to_csv(table))) for cell in row]
            assert not [cell for cell in cells if cell.startswith("=")], table.name
            assert not re.search(r"(?<!\\)&\s+Әә", to_latex(table)), table.name
    figures = {b.name: b.svg for made in reports.values() for s in made.sections for b in s.blocks if b.kind == "figure"}
    assert not [name for name, svg in figures.items() if "<script" in svg]
    for name in ("support-group", "change-group", "support", "groups", "balance"):
        assert "Қостанай" in unescape(figures[name]), name
        assert LONG in unescape(figures[name].partition("</title>")[0]), name


def test_two_reports_of_one_fit_are_the_same_bytes(survey, reports, pages):
    again = survey_report(survey)
    assert render_report(again) == pages["survey"].read_text(encoding="utf-8")
    for first, second in zip(tables_of(reports["survey"]), tables_of(again), strict=True):
        assert (to_csv(first), to_latex(first)) == (to_csv(second), to_latex(second))


def test_a_figure_that_fails_fails_the_report(published, monkeypatch):
    def broken(*arguments, **settings):
        raise ZeroDivisionError("no such figure")

    monkeypatch.setattr("bayes_listexp.figures.published_support", broken)
    with pytest.raises(ZeroDivisionError, match="no such figure"):
        published_report(published)
