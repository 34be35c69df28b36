"""The report page in a browser: no error, no request, no sideways scrolling on a phone."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bayes_listexp.report import render_report
from test_report import ODD, report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH; install it with: apt-get install chromium"),
]

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--v=0"),
)


def browse(page: Path, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Open the page in a fresh profile; the browser's output and its log."""
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(report(ODD)), encoding="utf-8")
    return path


def test_opens_without_console_messages(page, tmp_path):
    run = browse(page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in run.stderr
    assert "Support is 50 % (31 to 69 %)." in run.stdout
    assert run.stdout.count("<figure>") == 2


def test_no_sideways_scrolling_at_phone_width(page, tmp_path):
    """A frame of 390 pixels holds the page and a script outside it writes down how wide the page became."""
    outer = tmp_path / "outer.html"
    copy = re.sub("<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    measure = "<script>document.documentElement.dataset.wide = document.documentElement.scrollWidth;</script>"
    (tmp_path / "inner.html").write_text(copy.replace("</body>", f"{measure}</body>"), encoding="utf-8")
    outer.write_text(
        "<iframe id=phone width=390 height=800 style='border:0' src=inner.html></iframe>"
        "<script>phone.onload = () => document.body.dataset.wide ="
        " phone.contentDocument.documentElement.dataset.wide</script>",
        encoding="utf-8",
    )
    run = browse(outer, tmp_path, "--dump-dom", "--allow-file-access-from-files")
    found = re.search(r'<body data-wide="(\d+)"', run.stdout)
    assert found, run.stdout[:300]
    assert int(found[1]) <= 390


def test_prints_to_pdf(page, tmp_path):
    pdf = tmp_path / "report.pdf"
    browse(page, tmp_path, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")
    pages = len(re.findall(rb"/Type\s*/Page[^s]", pdf.read_bytes()))
    assert 2 <= pages <= 12
