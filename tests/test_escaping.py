"""What labels hold stays text in every format that is written, and names from specs and tables stay within the folder of the runs."""

import io
import json
import re
import tomllib
from html import unescape
from pathlib import Path

import h5py
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp.batch import run_spec
from bayes_listexp.cli import _print_table
from bayes_listexp.errors import InputError
from bayes_listexp.explorer import Explorer, share_levels
from bayes_listexp.folders import folder_in, load_tree
from bayes_listexp.report import (
    CheckList,
    Code,
    Facts,
    Items,
    Link,
    Links,
    Paragraph,
    Report,
    Section,
    Subheading,
    Warn,
    render_report,
)
from bayes_listexp.simulated_files import toml_text
from bayes_listexp.spec import Spec
from bayes_listexp.survey_results import identifier
from bayes_listexp.tables import Estimate, Number, Table, Text, to_csv, to_latex

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "<!--", "]]>", "{{ 7 * 7 }}",
           "{% include '/etc/passwd' %}", "javascript:alert(1)", "&lt;b&gt;", "\u202egnp.exe", "\u2028alert(1)", "'; alert(1); '"]
LATEX = [r"\input{/etc/passwd}",
         r"\write18{id}", r"50 % of $x_1$ {a} {{b}} #2 ~ ^ & \\", r"\end{tabular} \catcode`\%=12", "[2pt]", "^^5cinput",
         "a & b \\\\ c"]
ESCAPES = (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\{", r"\}", r"\%", r"\$", r"\#", r"\_", r"\&", "{}")


def page(text):
    """A report with a text in every place that takes one."""
    level = share_levels({text: pd.Series([0.2, 0.5]).to_numpy()})
    explorer = Explorer("levels", text, ((text, (text,)),), {(text,): level})
    check = type("Check", (), {"name": text, "question": text, "passed": False, "text": text, "table": pd.DataFrame({text: [text]})})
    rows = pd.DataFrame({"label": [text], "estimate": [0.1], "se": [0.2], "words": [text], "panel": [text], "n": [3.0]})
    columns = (Text("label", text), Estimate("estimate", "se", text, words="words"), Number("n", text))
    table = Table("rows", rows, text, columns, text, "panel")
    blocks = (Subheading(text), Paragraph(text), Items((text,)), Facts(((text, text),)), Warn(text), table, CheckList([check]),
              Code(text, text), explorer, Links((Link(text, "other/index.html", text),)))
    return Report(text, text, (Section("part", text, text, blocks),), subtitle=text, alarm=text, facts=((text, text),))


@pytest.mark.parametrize("text", HOSTILE)
def test_pages_hold_no_markup_of_labels_and_no_script_but_their_own(text):
    html = render_report(page(text))
    own = html.count('<script type="application/json">') + html.count('<script>"use strict"')
    assert own == 2
    assert html.count("<script") == html.count("</script>") == own
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', html))
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert unescape(html).count("7 * 7") == unescape(html).count("{{ 7 * 7 }}")  # no template is filled in twice
    found = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert found["views"]["0"][0][0] == text


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://a.b/c.html", "//a.b/c.html", "/etc/c.html", "../../c.html",
                                     "a/../../c.html", 'a.html" onclick="alert(1)', "a.html\n"])
def test_links_lead_to_pages_beside_this_one_only(address):
    with pytest.raises(InputError, match="is not the relative address of a page"):
        render_report(Report("t", "h", (Section("part", "t", "l", (Links((Link("a", address),)),)),)))


@pytest.mark.parametrize("text", LATEX)
def test_latex_runs_nothing_of_labels(text):
    written = to_latex(Table("t", pd.DataFrame({text: [text, "*"], "b": [text, text], "p": [text, text]}), text, note=text, panel="p"))
    plain = to_latex(Table("t", pd.DataFrame({"x": ["x", "*"], "b": ["x", "x"], "p": ["x", "x"]}), "x", note="x", panel="p"))
    assert set(re.findall(r"\\[a-zA-Z]+", written)) - set(re.findall(r"\\[a-zA-Z]+", plain)) <= {
        r"\textbackslash", r"\textasciitilde", r"\textasciicircum"}
    for escape in ESCAPES:
        written, plain = written.replace(escape, ""), plain.replace(escape, "")
    for sign in "%$#_~^":
        assert written.count(sign) == plain.count(sign), sign
    assert (written.count("{"), written.count("&")) == (plain.count("{"), plain.count("&"))


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "x\r=1", "x\r\n=1", '=HYPERLINK("http://a")'])
def test_csv_has_no_cell_that_a_spreadsheet_runs_and_numbers_stay_numbers(text):
    frame = pd.DataFrame({text: pd.Categorical([text, "b"]), "x": [-1.5, 2.0], "mixed": [text, -2]})
    lines = to_csv(Table("t", frame, ""))
    read = pd.read_csv(io.StringIO(lines))
    cells = [*read.columns, *read.iloc[:, 0], read["mixed"][0]]
    assert not [cell for cell in cells if re.match(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]", cell)]
    assert "\r" not in lines  # else what follows it would be a cell of its own
    assert read["x"].tolist() == [-1.5, 2.0]
    assert read["mixed"][1] == "-2"


def test_nothing_that_is_printed_steers_the_terminal(capsys):
    frame = pd.DataFrame({"a": ["x\x1b]0;title\x07", "b\x9b31m"], "n": [1, 2]})
    _print_table(Table("t", frame, "caption\x1b[31m", (Text("a", "a\x1b[2J"), Number("n", "n")), note="\x08note"))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["...toml", "..toml", ".. .toml", "con.toml", "NUL.txt.toml", "lpt1.toml", "x" * 200 + ".toml",
                                  "a\nb.toml", "a\\..\\b.toml", "a:b.toml", "a|b.toml"])
def test_a_spec_whose_name_is_no_name_of_a_folder_is_refused_and_nothing_is_written(name, tmp_path):
    out = tmp_path / "runs"
    with pytest.raises(InputError, match="cannot be the name of a folder of results"):
        run_spec(Spec("survey", "title", {}, "", tmp_path / name), out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "a\0b", "", "..", "."])
def test_names_of_folders_lead_nowhere_else(name, tmp_path):
    with pytest.raises(InputError, match="cannot be the name"):
        folder_in(tmp_path, name)
    assert folder_in(tmp_path, "Зерттеу 2022") == tmp_path / "Зерттеу 2022"


def test_a_run_does_not_follow_a_link_out_of_its_folder(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "study").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link out of the folder of the runs"):
        run_spec(Spec("survey", "title", {}, "", tmp_path / "study.toml"), tmp_path / "runs")
    (tmp_path / "runs" / "kept").mkdir()
    (tmp_path / "runs" / "other").symlink_to(tmp_path / "runs" / "kept")
    assert folder_in(tmp_path / "runs", "other").name == "other"


@pytest.mark.parametrize("text", ["../../etc/passwd", "/etc/passwd", "a\0b", "Регион", "x" * 400, "..", "con", "a/b", "", "<script>"])
def test_columns_give_names_of_files_that_stay_where_they_are(text):
    name = identifier(text)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", name)
    assert len(name) < 80


def test_columns_in_other_scripts_have_names_of_their_own():
    assert len({identifier(text) for text in ("Регион", "Пол", "Возраст", "x" * 90, "x" * 91)}) == 5
    assert identifier("region and sex") == "region-and-sex"


def test_a_stored_fit_that_names_other_files_is_refused(tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"12345678" * 4)
    with h5py.File(tmp_path / "other.nc", "w") as other:
        other["x"] = [1.0]
    links = {
        "link": lambda file: file.__setitem__("posterior", h5py.ExternalLink(str(tmp_path / "other.nc"), "/")),
        "raw": lambda file: file.create_dataset("x", (4,), "f8", external=[(str(secret), 0, 32)]),
        "virtual": lambda file: file.create_virtual_dataset("x", _virtual(tmp_path / "other.nc")),
    }
    for name, make in links.items():
        with h5py.File(tmp_path / f"{name}.nc", "w") as file:
            make(file)
        with pytest.raises(InputError, match="another file"):
            load_tree(tmp_path / f"{name}.nc")
    xr.DataTree(xr.Dataset({"x": 1.0})).to_netcdf(tmp_path / "fine.nc", engine="h5netcdf")
    assert float(load_tree(tmp_path / "fine.nc")["x"]) == 1


def _virtual(path: Path):
    layout = h5py.VirtualLayout((1,), "f8")
    layout[:] = h5py.VirtualSource(str(path), "x", (1,))
    return layout


def test_texts_stay_texts_in_specs_that_are_written():
    for text in (*HOSTILE, '"\n[data]\nfile = "/etc/passwd"', 'a"b', "a\\b", "\x01", "'''"):
        tables = {"title": text, "data": {text: text, "list": [text]}}
        assert tomllib.loads(toml_text(tables)) == tables

