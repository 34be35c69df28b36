"""The documentation site in a browser, where `make docs` has built it: nothing fetched, nothing wrong, no sideways scrolling."""

import re
from pathlib import Path

import pytest

SITE = Path(__file__).parents[1] / "build" / "docs" / "html"
PAGES = ("index", "concepts", "howto/researcher", "_generated/responses", "_generated/api_models", "combinations", "comparison")
LARGE = ("_generated/responses", "combinations")
"""Pages on which the rule on contrast takes minutes; their colours are those of the others."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built; run: make docs")]


def test_nothing_comes_from_another_server():
    for page in SITE.rglob("*.html"):
        loads = re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//',
                           page.read_text(encoding="utf-8"))
        assert not loads, page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_fetches_nothing_fits_a_phone_and_reads_aloud(browser, name):
    said, asked = browser.open(SITE / f"{name}.html")
    assert said == []
    assert [url for url in asked if not url.startswith("file:")] == []
    assert browser.wider_than(390)[0] <= 390
    assert browser.violations(without=["color-contrast"] if name in LARGE else []) == []
