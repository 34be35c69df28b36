"""The documentation's blocks of Python, run as they stand there, and what its pages are written from."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import bayes_listexp
import readme
from bayes_listexp import instruments
from bayes_listexp.batch import write_simulation
from bayes_listexp.cli import app
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
    monkeypatch.setattr(instruments, "KINDS", dict(instruments.KINDS))  # a page registers one of its own
    for not_run, code in FENCED.findall(path.read_text(encoding="utf-8")):
        made = compile(code, str(path), "exec")
        if not not_run:
            exec(made, names)


def test_every_block_is_found():
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert len(FENCED.findall(text)) == text.count("```python\n"), path


def test_blocks_of_the_readme_run(desk, monkeypatch):
    """The two that no other test runs: a survey with its population, and estimates without a model."""
    monkeypatch.chdir(desk)
    survey = pd.read_csv("simulated/survey.csv").rename(columns={"answer": "y", "arm": "treat", "weight": "w"})
    survey = survey.dropna(subset=["gender", "ethnicity", "region"])
    survey.to_stata("waves.dta", write_index=False, version=118)
    people = survey.groupby(["gender", "ethnicity", "region"], as_index=False).size().rename(columns={"size": "N"})
    people.to_csv("census_cells.csv", index=False)
    names = readme.run(readme.block("read_survey").replace("seed=1", 'seed=1, method="map"'))
    assert names["tree"].attrs["J"] == 4
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"arm": np.arange(400) % 2, "age": rng.normal(40, 9, 400), "region": rng.choice(["a", "b"], 400)})
    frame["y"] = rng.binomial(3, 0.5, 400) + (rng.random(400) < 0.4) * frame["arm"]
    study = bayes_listexp.ListExperiment.from_frame(frame, answer="y", arm="arm", J=3)
    readme.run(readme.block("ble.simulate_survey(...)").replace("ble.simulate_survey(...)", ""), ble=bayes_listexp, study=study)


def test_commands_that_pages_print_are_commands():
    """Every `bayes-listexp ...` of the README and the pages has a name and options that there are, and files that come with it exist."""
    found = []
    for path in (ROOT / "README.md", *DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        found += re.findall(r"^bayes-listexp [^\n]+", text, re.MULTILINE) + re.findall(r"`(bayes-listexp [^`\n]+)`", text)
    assert len(found) > 20
    for line in found:
        tokens = shlex.split(line, comments=True)[1:]
        if len(tokens) == 1:  # a command that is named, without what it works on
            assert tokens[0] in app, line
            continue
        app.parse_args(tokens, print_error=False, exit_on_error=False)
        assert not [name for name in tokens if name.startswith("models/") and not (ROOT / name).exists()], line


def test_the_picture_of_the_readme_is_a_figure_that_describes_itself():
    picture = ElementTree.parse(DOCS / "_static" / "csto_change.svg").getroot()
    assert picture.attrib["id"] == "figure-change"
    title = picture.find("{http://www.w3.org/2000/svg}title")
    assert title is not None
    assert "November 2022" in (title.text or "")


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
