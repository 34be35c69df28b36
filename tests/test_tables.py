"""Tables: cells as in print, markup that no label can break, CSV that no spreadsheet runs."""

import io
import zipfile
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from bayes_listexp.errors import InputError
from bayes_listexp.markdown_tables import to_markdown
from bayes_listexp.tables import (
    Estimate,
    Interval,
    Number,
    Percent,
    Points,
    Table,
    Text,
    shown,
    to_csv,
    to_gt,
    to_html,
    to_latex,
)
from bayes_listexp.word_tables import to_docx

ODD = ['<script>alert("1")</script>', "Әә Ққ & 'q'", "50 % of $x_1$ {a} {{b}} #2 ~ ^ \\", 'x id="y" headers="z"']


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.words.append(data.strip())


def parsed(html: str) -> Cells:
    cells = Cells()
    cells.feed(html)
    return cells


def example() -> Table:
    frame = pd.DataFrame(
        {
            "group": ["a", "b"],
            "estimate": [0.5612, np.nan],
            "lower": [0.41, -0.04],
            "upper": [0.728, 1.16],
            "change": [-0.2049, 0.0],
            "n": [12345, 7],
        }
    )
    columns = (
        Text("group", "Group"),
        Percent("estimate", "Support"),
        Interval("lower", "upper", "95 % interval"),
        Interval("lower", "upper", "Points", points=True),
        Points("change", "Change", 1),
        Number("n", "n"),
    )
    return Table("example", frame, "Support by group", columns, note="A note.")


def test_cells_as_in_print():
    cells = shown(example())
    assert list(cells.iloc[0]) == ["a", "56 %", "41 to 73 %", "+41 to +73", "−20.5", "12,345"]
    assert list(cells.iloc[1]) == ["b", "–", "−4 to 116 %", "−4 to +116", "0.0", "7"]


def test_html_has_caption_and_headings_with_scope_and_no_ids():
    cells = parsed(to_html(example()))
    tags = [tag for tag, _ in cells.tags]
    assert tags.count("table") == tags.count("caption") == 1
    scopes = [attrs.get("scope") for tag, attrs in cells.tags if tag == "th"]
    assert scopes == ["col"] * 6 + ["row"] * 2
    assert all("id" not in attrs and "style" not in attrs for _, attrs in cells.tags)
    assert "Support by group" in cells.words
    assert "A note." in cells.words


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_stays_text_wherever_it_stands(odd):
    table = Table("odd", pd.DataFrame({odd: [odd], "b": [odd]}), odd, note=odd)
    html = to_html(table)
    assert "<script" not in html
    words = [" ".join(word.split()) for word in parsed(html).words]
    assert words.count(" ".join(odd.split())) == 5  # caption, heading, two cells, note
    assert "<script" not in to_gt(table).as_raw_html()


def test_latex_escapes_and_types_the_minus_sign():
    latex = to_latex(Table("t", pd.DataFrame({"50 % & _": ["a_b", "#"], "x": [-1.5, 2]}), "100 % {{x}}"))
    assert r"50 \% \& \_" in latex
    assert r"a\_b" in latex
    assert "$-$1.500" in latex
    assert r"100 \%" in latex
    assert "−" not in latex


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1+cmd", "@SUM(A1)", "  =1", "\t=1", "=1"])
def test_csv_neutralises_formulas_in_cells_and_headings(formula):
    read = pd.read_csv(io.StringIO(to_csv(Table("t", pd.DataFrame({formula: [formula], "n": [-1.5]}), ""))))
    assert read.columns[0] == "'" + formula
    assert read.iloc[0, 0] == "'" + formula
    assert read.loc[0, "n"] == -1.5  # numbers stay numbers


def test_csv_keeps_full_precision_and_all_columns():
    table = example()
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(to_csv(table))), table.frame)
    labels = pd.DataFrame({"g": pd.Categorical(["=a", "b"]), "flag": [True, False]})
    assert to_csv(Table("t", labels, "")) == "g,flag\n'=a,True\nb,False\n"


def test_same_table_same_bytes():
    for write in (to_html, to_latex, to_csv, to_markdown, to_docx):
        assert write(example()) == write(example())


def test_columns_that_are_not_there_are_named():
    with pytest.raises(InputError, match=r"no column absent.*'n'"):
        shown(Table("t", pd.DataFrame({"n": [1]}), "", (Text("absent", "A"),)))
    with pytest.raises(InputError, match="no columns"):
        shown(Table("t", pd.DataFrame(), ""))


HOSTILE = [*ODD, "a | b \\| c", "*bold* _it_ `code` [x](http://y) ![i](z)", "~~no~~ $x$ &amp; <b>", "# 1. - + > =",
           "two\nlines", "3. three"]


@pytest.mark.parametrize("odd", HOSTILE)
def test_odd_text_stays_text_in_markdown(odd):
    table = Table("odd", pd.DataFrame({odd: [odd], "b": [odd]}), odd, note=odd)
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(to_markdown(table))
    found = parsed(html)
    assert {tag for tag, _ in found.tags} == {"p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    text = " ".join(odd.split())
    assert found.words == [text, text, "b", text, text, text]  # caption, headings, cells, note


def test_markdown_lines_up_as_in_print():
    assert to_markdown(example()).splitlines()[:4] == [
        "**Support by group**",
        "",
        "| Group | Support | 95 % interval |     Points | Change |      n |",
        "| ----- | ------: | ------------: | ---------: | -----: | -----: |",
    ]
    assert to_markdown(Table("t", pd.DataFrame({"n": [1]}), "")) == "| n   |\n| --- |\n| 1   |\n"


W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def word(table):
    """The paragraphs outside the table, and the rows of the table, of a Word document."""
    with zipfile.ZipFile(io.BytesIO(to_docx(table))) as archive:
        parts = {name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()}
    body = parts["word/document.xml"][0]
    words = ["".join(p.itertext()) for p in body.findall(f"{W}p")]
    return words, [["".join(cell.itertext()) for cell in row.iter(f"{W}tc")] for row in body.iter(f"{W}tr")], parts


@pytest.mark.parametrize("odd", HOSTILE)
def test_odd_text_stays_text_in_word(odd):
    outside, rows, _ = word(Table("odd", pd.DataFrame({odd: [odd], "b": [odd]}), odd, note=odd))
    text = " ".join(odd.split())
    assert [" ".join(said.split()) for said in outside] == [text, text]
    assert [[" ".join(cell.split()) for cell in row] for row in rows] == [[text, "b"], [text, text]]


def test_word_repeats_the_headings_and_turns_wide_tables():
    _, rows, parts = word(example())
    assert rows[0] == ["Group", "Support", "95 % interval", "Points", "Change", "n"]
    assert rows[1] == list(shown(example()).iloc[0])
    document = parts["word/document.xml"]
    assert len(document.findall(f".//{W}tblHeader")) == 1
    assert document.find(f".//{W}pgSz").get(f"{W}orient") is None
    wide = word(Table("t", pd.DataFrame({str(i): [i] for i in range(9)}), "wide"))[2]["word/document.xml"]
    assert wide.find(f".//{W}pgSz").get(f"{W}orient") == "landscape"


def test_word_has_no_date_and_no_character_that_xml_forbids():
    bell = Table("t", pd.DataFrame({"a": ["ring\x07\uffff"]}), "\x00")
    assert word(bell)[1] == [["a"], ["ring\ufffd\ufffd"]]
    with zipfile.ZipFile(io.BytesIO(to_docx(bell))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist()[0] == "[Content_Types].xml"  # Word looks for it there


def journal(odd="Fit"):
    frame = pd.DataFrame({"part": ["trait", "trait", odd], "term": ["(Intercept)", "age", "N"], "b": [-1.234, np.nan, np.nan],
                          "sd": [0.2, np.nan, np.nan], "lo": [-1.6, np.nan, np.nan], "hi": [-0.8, np.nan, np.nan],
                          "said": [None, None, "1,200"]})
    columns = (Text("term", "Term"), Estimate("b", "sd", "one", 2, "said"), Estimate("b", ("lo", "hi"), "two", 1))
    return Table("journal", frame, "Journal", columns, panel="part")


def test_estimates_have_their_spread_below_them():
    cells = shown(journal())
    assert cells["one"].tolist() == ["−1.23\n(0.20)", "", "1,200"]
    assert cells["two"].tolist() == ["−1.2\n[−1.6 to −0.8]", "", ""]
    assert "−1.23<br>(0.20)</td>" in to_html(journal())
    assert "\n(Intercept) & $-$1.23 & $-$1.2 \\\\\n & (0.20) & [$-$1.6 to $-$0.8] \\\\\n" in to_latex(journal())
    assert [line.split("|")[1].strip() for line in to_markdown(journal()).splitlines()[4:]] == [
        "**trait**", "(Intercept)", "", "age", "**Fit**", "N"]
    assert word(journal())[1][1:4] == [["trait"], ["(Intercept)", "−1.23", "−1.2"], ["", "(0.20)", "[−1.6 to −0.8]"]]


@pytest.mark.parametrize("odd", ODD)
def test_panels_are_headings_of_their_own_and_stay_text(odd):
    html = parsed(to_html(journal(odd)))
    assert [attrs["scope"] for tag, attrs in html.tags if attrs.get("class") == "gt_group_heading"] == ["colgroup"] * 2
    assert " ".join(odd.split()) in [" ".join(text.split()) for text in html.words]
    assert "<script" not in to_html(journal(odd))
    assert r"\multicolumn{3}{l}{trait}" in to_latex(journal(odd))


def test_a_panel_that_is_not_there_is_named():
    with pytest.raises(InputError, match="no column absent"):
        to_html(Table("t", pd.DataFrame({"n": [1]}), "", panel="absent"))
