"""The report page: structure, escaping, offline, the same bytes every time."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
import xarray as xr

from bayes_listexp.checks import Check
from bayes_listexp.errors import InputError
from bayes_listexp.figures import support_by_group
from bayes_listexp.report import (
    CheckList,
    Code,
    Facts,
    Items,
    Paragraph,
    Report,
    Section,
    Subheading,
    Warn,
    figure,
    render_report,
)
from bayes_listexp.tables import Table

ODD = "<script>alert('1')</script> \"q\" & Әә Ғғ Ққ Ңң Өө Ұұ Үү Һһ Іі " + "длинное название " * 9
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags in order, text, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.tags if attrs.get(name)]

    def text(self) -> str:
        return " ".join("".join(self.words).split())


def picture(name: str, *, synthetic: bool = True):
    draws = xr.DataArray([[[0.3, 0.5], [0.4, 0.6], [0.5, 0.7]]], dims=("chain", "draw", "sex"))
    drawn = support_by_group(draws.assign_coords(sex=["m", ODD]))
    return figure(drawn, name=name, caption=f"Caption {ODD}", synthetic=synthetic)


def report(odd: str = "plain", *, synthetic: bool = True) -> Report:
    numbers = pd.DataFrame({odd: [odd], "n": [1]})
    checks = [
        Check("a", f"Question {odd}?", True, None, None, odd),
        Check("b", "And this?", False, None, numbers, "No."),
        Check("c", "And that?", None, None, None, "Who knows."),
    ]
    data = Section(
        "data", f"Data {odd}", odd,
        (Subheading(odd), Paragraph(odd), Items((odd,)), Facts(((odd, odd),)), Warn(odd), CheckList(checks)),
    )  # fmt: skip
    result = Section(
        "support", "Support", "Lead.",
        (
            picture("one", synthetic=synthetic),
            Table("t", numbers, odd, note=odd),
            picture("two", synthetic=synthetic),
            Code(odd, odd, "bibtex"),
        ),
    )  # fmt: skip
    headline = f"Support is 50 % (31 to 69 %). {odd}"
    return Report(odd, headline, (data, result), odd, synthetic=synthetic, facts=((odd, odd),))


def test_page_has_landmarks_contents_and_headings_in_order():
    page = Page(render_report(report()))
    tags = [tag for tag, _ in page.tags]
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        # one <title> is the page's, the others belong to the two figures
        assert tags.count(landmark) == (3 if landmark == "title" else 1), landmark
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert links == ["#report-main", "#data", "#support"]
    assert {link[1:] for link in links} <= set(page.values("id"))
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False))
    assert page.tags[0] == ("html", {"lang": "en"})


def test_ids_are_unique_and_labels_point_to_them():
    page = Page(render_report(report()))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(page.values("aria-labelledby")) <= set(ids)


def test_every_figure_is_described_numbered_and_captioned():
    page = Page(render_report(report()))
    assert len([1 for tag, a in page.tags if tag == "svg" and a.get("role") == "img"]) == 2
    text = page.text()
    assert "Figure 1. Caption" in text
    assert "Figure 2. Caption" in text
    assert "Table 1" in text


def test_nothing_is_fetched():
    html = render_report(report())
    page = Page(html)
    for name in ("src", "href", "xlink:href", "data", "poster", "action", "srcset"):
        for value in page.values(name):
            assert value.startswith("#") or value == "data:,"
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\((?!#)", html)
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}


def test_odd_text_is_text_everywhere():
    html = render_report(report(ODD))
    assert "<script" not in html
    page = Page(html)
    # title, h1, subtitle, headline, contents, section title, lead, six blocks of data (facts twice), question,
    # answer, folded numbers (heading, cell), table (caption, label, heading, cell, note), code twice, facts twice
    assert page.text().count(" ".join(ODD.split())) >= 25


def test_same_records_same_bytes():
    assert render_report(report(ODD)) == render_report(report(ODD))


def test_synthetic_data_are_called_so_on_page_and_figures():
    html = render_report(report())
    assert "The respondents on this page were simulated" in html
    assert html.count(">SYNTHETIC DATA<") == 2
    real = render_report(report(synthetic=False))
    assert "SYNTHETIC" not in real
    assert "simulated" not in real
    with pytest.raises(InputError, match="figure 'one' shows synthetic data unmarked"):
        render_report(replace(report(synthetic=False), synthetic=True))


def test_alarm_stands_above_everything_and_only_when_raised():
    assert 'role="alert"' not in render_report(report())
    html = render_report(replace(report(), alarm="R-hat is <1.24>."))
    assert html.index('role="alert"') < html.index("<h1>")
    assert "R-hat is &lt;1.24&gt;." in html


def test_outcomes_of_checks_are_words():
    text = Page(render_report(report())).text()
    for outcome in ("passed Question plain?", "failed And this?", "information And that?"):
        assert outcome in text
    assert "1 checks passed, 1 failed, 1 for information." in text


def test_names_that_clash_are_refused():
    good = report()
    with pytest.raises(InputError, match="'data'"):
        render_report(replace(good, sections=(good.sections[0], good.sections[0])))
    with pytest.raises(InputError, match="section id 'A b'"):
        render_report(replace(good, sections=(Section("A b", "t", "l"),)))
    twice = Section("x", "t", "l", (picture("one"), picture("one")))
    with pytest.raises(InputError, match="figure-one"):
        render_report(replace(good, sections=(twice,)))


def test_a_figure_from_elsewhere_is_refused():
    stranger = replace(picture("one"), svg="<svg></svg>")
    with pytest.raises(InputError, match="was not made by to_svg"):
        render_report(replace(report(), sections=(Section("x", "t", "l", (stranger,)),)))
