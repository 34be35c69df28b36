"""The documentation's blocks of Python, run as they stand there, and what its pages are written from."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import bayes_listexp
from bayes_listexp.batch import write_simulation
from bayes_listexp.simulated_files import with_settings
from bayes_listexp.spec import bundled, read_spec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCED = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.parent.name[0] != "_" and "```python" in path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the files that the pages read: a published table, and a survey with its population."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copyfile(bundled("csto_table1_2022-09.csv"), folder / "table.csv")
    write_simulation(with_settings(read_spec(ROOT / "models" / "two_wave_survey.toml"), None, 300), folder / "simulated")
    return folder


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_blocks_run_in_order(path, desk, monkeypatch):
    monkeypatch.chdir(desk)
    names = {"__name__": path.stem}
    for not_run, code in FENCED.findall(path.read_text(encoding="utf-8")):
        made = compile(code, str(path), "exec")
        if not not_run:
            exec(made, names)


def test_every_block_is_found():
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert len(FENCED.findall(text)) == text.count("```python\n"), path


@pytest.fixture
def written(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    yield
    for name in ("model_pages", "api_pages", "written"):
        sys.modules.pop(name, None)


def test_every_public_name_has_its_place(written):
    from api_pages import api_pages

    described = re.findall(r"auto\w+:: bayes_listexp\.(\w+)$", "".join(api_pages().values()), re.MULTILINE)
    assert sorted(described) == sorted(bayes_listexp.__all__)


def test_pictures_of_notebooks_are_described(written, tmp_path):
    """The site's builder takes the words from the cell, where a notebook's own output has them beside the picture."""
    from written import copy_notebooks

    output = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {"image/png": {"alt": "Қолдау: 56 %"}}}
    cells = [{"cell_type": "code", "metadata": {}, "outputs": outputs, "source": ""} for outputs in ([output], [])]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}), encoding="utf-8")
    copy_notebooks(tmp_path, tmp_path / "site")
    copied = json.loads((tmp_path / "site" / "one.ipynb").read_text(encoding="utf-8"))["cells"]
    assert [cell["metadata"] for cell in copied] == [{"mystnb": {"image": {"alt": "Қолдау: 56 %"}}}, {}]


def test_equations_are_those_of_the_literature(written):
    """Floor and ceiling liars with J = 3, as Blair & Imai (2012, section 3.2) have them."""
    from model_pages import model_pages

    page = model_pages()["responses.md"].partition("## liars")[2].partition("\n## ")[0]
    floor, ceiling = (rf"\varphi_{{\text{{{name}}}}}" for name in ("floor", "ceiling"))
    for line in (
        rf"P(0) &= (1 - \pi) q_{{0 \mid 0}} + {floor} \pi q_{{0 \mid 1}}",
        rf"P(1) &= (1 - \pi) q_{{1 \mid 0}} + (1 - {floor}) \pi q_{{0 \mid 1}}",
        rf"P(3) &= \pi q_{{2 \mid 1}} + (1 - \pi) q_{{3 \mid 0}} + {ceiling} \pi q_{{3 \mid 1}}",
        rf"P(4) &= (1 - {ceiling}) \pi q_{{3 \mid 1}}",
    ):
        assert line in page


def test_a_family_without_an_equation_is_noticed(written, monkeypatch):
    import model_pages

    monkeypatch.delitem(model_pages.COUNTS, "softmax")
    with pytest.raises(ValueError, match="softmax"):
        model_pages.model_pages()
