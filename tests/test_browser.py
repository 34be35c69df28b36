"""The report's pages in a real browser: no error, no request, a phone's width, paper, and numbers that follow the reader's choices."""

import base64
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.estimates import prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.fitting import fit
from bayes_listexp.report import render_report
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import interval, percent
from test_report import ODD, report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed; it is in the test extra")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None or DRIVER is None,
                       reason="no chromium or no chromedriver on PATH; install them with: apt-get install chromium chromium-driver"),
]
LONG = f"{ODD[:60]} Қостанай ".ljust(200, "ң")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb")


@pytest.fixture(scope="module")
def survey():
    """Two waves of made-up answers, with levels whose names are markup, quotes, Kazakh letters and 200 characters long."""
    n, rng = 800, np.random.default_rng(5)
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "group": rng.choice(["a", LONG], n), "wave": np.where(np.arange(n) < n / 2, "w1", "w2"),
                          "sex": rng.choice(["women", "men"], n)})
    frame["y"] = rng.binomial(3, 0.5, n) + (rng.random(n) < 0.3 + 0.4 * (frame["group"] == "a")) * frame["arm"]
    study = ListExperiment.from_frame(frame, answer="y", arm="arm", J=3, wave="wave", covariates=["group", "sex"])
    study = study.described(sensitive_item=f"the item {ODD[:80]}", name="made up")
    tree = fit(study, trait="1 + group + wave", control="1", groups=["sex"], method="map", seed=3)
    return Survey(study, tree, f"Report {ODD[:80]}", by=["group", "sex"], waves=("w1", "w2"))


@pytest.fixture(scope="module")
def pages(survey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    texts = {"survey": render_report(survey_report(survey)), "records": render_report(report(ODD))}
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture(params=["survey", "records"])
def opened(request, driver, pages):
    driver.get(pages[request.param].as_uri())
    return request.param


def set_to(driver, selector, value, *events):
    """Give a control a value as a reader would, with the events that follow."""
    driver.execute_script(
        "const it = document.querySelector(arguments[0]); it.value = arguments[1];"
        "for (const name of arguments[2]) it.dispatchEvent(new Event(name, {bubbles: true}));", selector, value, events)


def shown(driver):
    """The rows of the table that the reader turns, as text."""
    return driver.execute_script(
        "return [...document.querySelectorAll('.explorer tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))")


def expected(survey, group, wave, threshold):
    """The same rows from the estimates."""
    draws = prevalence(survey.tree, by=[group, "wave"]).sel(wave=wave)
    rows = summarise(draws).sort_values("median", ascending=False)
    return [[str(row[group]), percent(row["median"]), interval(row["lower"], row["upper"]),
             probability_words(float((draws.sel({group: row[group]}) > threshold / 100).mean()))] for _, row in rows.iterrows()]


def test_opens_without_messages_and_asks_the_network_for_nothing(driver, pages):
    for page in pages.values():
        for log in ("browser", "performance"):
            driver.get_log(log)
        driver.get(page.as_uri())
        assert driver.get_log("browser") == []
        events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        assert page.stat().st_size < 3_000_000


def test_sections_of_the_contents_are_there(driver, pages, survey):
    driver.get(pages["survey"].as_uri())
    links = driver.execute_script("return [...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    there = driver.execute_script("return [...document.querySelectorAll('main > section')].map(s => s.id)")
    assert links == there
    assert {"reading", "data", "design", "support", "thresholds", "change", "model-checks", "priors", "methods"} <= set(there)
    assert LONG in driver.execute_script("return document.body.textContent")
    assert driver.execute_script("return document.querySelectorAll('main script:not([type=\"application/json\"])').length") == 0


def test_threshold_group_and_wave_change_the_numbers_to_those_of_the_estimates(driver, pages, survey):
    driver.get(pages["survey"].as_uri())
    places = {name: driver.find_elements("css selector", ".explorer select")[i].find_elements("tag name", "option")
              for i, name in enumerate(("group", "wave"))}
    values = {name: {o.get_attribute("textContent"): o.get_attribute("value") for o in options} for name, options in places.items()}
    assert shown(driver) == expected(survey, "group", "w2", 50)
    seen = set()
    for group, wave, threshold in [("group", "w1", 50), ("group", "w1", 37), ("sex", "w2", 63), ("group", "w2", 0), ("sex", "w1", 100)]:
        set_to(driver, ".explorer label:nth-of-type(1) select", values["group"][group], "change")
        set_to(driver, ".explorer label:nth-of-type(2) select", values["wave"][wave], "change")
        set_to(driver, ".explorer input", threshold, "input", "change")
        assert shown(driver) == expected(survey, group, wave, threshold)
        assert f"above {threshold} %" in driver.find_element("css selector", ".said").text
        seen.add(str(shown(driver)))
    assert len(seen) == 5


def test_the_keyboard_moves_the_threshold_and_reads_the_numbers(driver, pages, survey):
    driver.get(pages["survey"].as_uri())
    slider = driver.find_element("css selector", ".explorer input")
    slider.send_keys("\ue014" * 3)  # arrow right
    assert slider.get_attribute("aria-valuetext") == "53 %"
    assert shown(driver) == expected(survey, "group", "w2", 53)
    slider.send_keys("\ue004")  # tab to the table's frame, then to its first number
    driver.switch_to.active_element.send_keys("\ue004")
    number = driver.switch_to.active_element
    assert number.tag_name == "button"
    said = driver.find_element("css selector", ".said").text
    assert re.search(r"a: support \d+ % \(95 % interval .* draws\)\.", said)
    assert number.get_attribute("title") == said


def test_without_scripts_the_table_has_the_first_choice(pages, survey):
    html = pages["survey"].read_text(encoding="utf-8")
    table = html[html.index('id="explorer-thresholds"') :]
    cells = re.findall(r'<tr><th scope="row">(.*?)</th><td.*?>(.*?)</td><td.*?>(.*?)</td><td.*?>(.*?)</td></tr>', table)
    assert [list(row[1:]) for row in cells] == [[text.replace("<", "&lt;").replace(">", "&gt;") for text in row[1:]]
                                                for row in expected(survey, "group", "w2", 50)]


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_no_sideways_scrolling(driver, opened, width):
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500})
    try:
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        wide = "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg, .hidden') &&"
        assert driver.execute_script(f"{wide} e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 200))") == []
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_prints_on_pages_without_controls(driver, opened):
    pdf = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    pages = len(re.findall(rb"/Type\s*/Page[^s]", pdf))
    assert pages in (range(6, 26) if opened == "survey" else range(2, 13))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        seen = driver.execute_script("return [...document.querySelectorAll('nav, .controls, .said')].filter(e => e.offsetHeight).length")
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert seen == 0


def test_axe_finds_no_violation(driver, opened):
    axe_package = pytest.importorskip("axe_selenium_python", reason="axe-selenium-python, which has axe-core, is not installed")
    axe = axe_package.Axe(driver)
    axe.inject()
    found = axe.run()["violations"]
    assert [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in found] == []


def test_two_reports_of_one_fit_are_the_same_bytes(survey, pages):
    assert render_report(survey_report(survey)) == pages["survey"].read_text(encoding="utf-8")
