"""Tables: cells as in print, markup that no label can break, CSV that no spreadsheet runs."""

import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.tables import (
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
    for write in (to_html, to_latex, to_csv):
        assert write(example()) == write(example())


def test_columns_that_are_not_there_are_named():
    with pytest.raises(InputError, match=r"no column absent.*'n'"):
        shown(Table("t", pd.DataFrame({"n": [1]}), "", (Text("absent", "A"),)))
    with pytest.raises(InputError, match="no columns"):
        shown(Table("t", pd.DataFrame(), ""))
