import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

ALONE = "test_notebooks"
"""Its tests share nothing, so that each can go to another process."""

LONGEST = (ALONE, "test_published_model", "test_nuts", "test_survey_report", "test_instruments_in_specs", "test_combinations",
           "test_calibration", "test_changes", "test_browser", "test_outcome", "test_control_count_models")
"""Files that start first, so that at the end no process waits for another."""

SHARED = Path(__file__).parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files stay whole, so that a fit made for one file is not made again in the other process, and the longest come first."""
    for item in items:
        stem = item.path.stem
        item.add_marker(pytest.mark.xdist_group(item.name.replace("[", "-").replace("]", "") if stem == ALONE else stem))
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def shared(name: str) -> Path:
    """A file of real microdata beside the project; the test is skipped where it is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project")
    return path


@pytest.fixture(scope="session")
def race() -> pd.DataFrame:
    return pd.read_csv(shared("race.csv"))


@pytest.fixture(scope="session")
def affirm() -> pd.DataFrame:
    return pd.read_csv(shared("affirm.csv"))


FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb",
         "--allow-file-access-from-files")


class Browser:
    """One chromium for all tests that look at pages."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, page: Path):
        """Open a page; what it said on the console, and what it asked for beside itself."""
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(page.as_uri())
        said = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return said, [url for url in asked if not url.startswith(("data:", "chrome:")) and url != page.as_uri()]

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def all(self, selector: str):
        return self.driver.find_elements("css selector", selector)

    def wider_than(self, width: int):
        """How wide the page becomes on a screen of a width, and what stands out of it where nothing scrolls."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1, mobile=width < 500)
        try:
            return self.run("return document.documentElement.scrollWidth"), self.run(
                "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, svg, .hidden') &&"
                f" e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 200))")
        finally:
            self.command("Emulation.clearDeviceMetricsOverride")

    def violations(self, without=()):
        """What axe-core finds, by all rules but those named: the rule, and the first places."""
        package = pytest.importorskip("axe_selenium_python", reason="axe-selenium-python, which has axe-core, is not installed")
        axe = package.Axe(self.driver)
        axe.inject()
        found = axe.run(options=json.dumps({"rules": {rule: {"enabled": False} for rule in without}}))["violations"]
        return [(v["id"], [node["html"][:200] for node in v["nodes"][:3]]) for v in found]


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Debian's chromium with its driver; tests are skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed; it is in the test extra")
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    service = shutil.which("chromedriver")
    if binary is None or service is None:
        pytest.skip("no chromium or no chromedriver on PATH; install them with: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    driver.set_script_timeout(120)  # a busy machine
    yield Browser(driver)
    driver.quit()
