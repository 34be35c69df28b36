"""The documentation site in a browser, where `make docs` has built it: nothing fetched, nothing wrong, no sideways scrolling."""

import re
from pathlib import Path

import pytest

from test_report_browser import BROWSER, browse

SITE = Path(__file__).parents[1] / "build" / "docs" / "html"
PAGES = ("index", "concepts", "howto/researcher", "_generated/responses", "_generated/api_models", "combinations", "comparison")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH; install it with: apt-get install chromium"),
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="the site is not built; run: make docs"),
]


def test_nothing_comes_from_another_server():
    for page in SITE.rglob("*.html"):
        loads = re.findall(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//',
                           page.read_text(encoding="utf-8"))
        assert not loads, page


def test_pages_are_as_wide_as_a_phone_and_say_nothing_on_the_console(tmp_path):
    """Frames of 390 pixels hold the pages, and a script outside writes down how wide each became."""
    frames = "".join(f'<iframe width=390 height=800 style="border:0" src="{(SITE / page).as_uri()}.html"></iframe>' for page in PAGES)
    (tmp_path / "outer.html").write_text(
        f"{frames}<script>onload = () => document.body.dataset.wide = [...document.querySelectorAll('iframe')].map("
        "frame => frame.contentDocument.documentElement.scrollWidth).join(' ')</script>",
        encoding="utf-8",
    )
    run = browse(tmp_path / "outer.html", tmp_path, "--dump-dom", "--allow-file-access-from-files")
    found = re.search(r'data-wide="([\d ]+)"', run.stdout)
    assert found, run.stdout[-500:]
    assert [(page, wide) for page, wide in zip(PAGES, map(int, found[1].split()), strict=True) if wide > 390] == []
    said = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert [line for line in said if "[PST]" not in line and "invalid theme mode" not in line] == []  # the theme notes its start
