"""The page that shows what becomes of odd data: ``python tests/edge_cases_page.py`` prints it."""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Any

from bayes_listexp.errors import InputError
from edge_cases import PUBLISHED, REFERENCE, Case, race
from more_edge_cases import BEYOND

CASES: dict[str, Case] = PUBLISHED | BEYOND
"""Every case by its name."""


def reference() -> dict[str, tuple[str, str]]:
    """What each case is, and what R's `list` 9.2.6 does, by the case's name."""
    rows = re.findall(r"^\| (\w+) \| (.*?) \| (.*) \|$", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: (what, did) for name, what, did in rows if name != "case"}


@cache
def result(name: str) -> Any:
    """What becomes of a case: an answer, or the message."""
    try:
        return CASES[name].run()
    except InputError as error:
        return str(error)


def outcome(name: str) -> str:
    """The same in words."""
    found = result(name)
    if isinstance(found, str):
        return f"is refused: {found}"
    return f"answers {_shown(found.ours)}, right is {_shown(found.right)} ({found.source})"


def _shown(value: float) -> str:
    return f"{abs(value) if abs(value) < 5e-4 else value:.3f}"


INTRODUCTION = """# What happens with ...

Data that are odd in one way, as users of R, Stata, SPSS and spreadsheets meet them, and what becomes of each: the right answer, checked
against a number got independently (a closed form, a likelihood written out respondent by respondent, the same data given properly, or
what R rightly prints), or a message that names the column, the rows, the value and the remedy. Answers are prevalences unless
something else is said; p-values of the no-design-effect test in the rows called icttest.

This page is printed by `python tests/edge_cases_page.py`, and a test holds it against the code.

## Cases on which R's `list` was tried

Variants of the 1991 race data ({N:,} respondents, J = 3) and small simulated data. R is `list` 9.2.6; the suffix of a name is R's
method. "Answers" on impossible input is an answer that is wrong without a word.

| case | what | R's list | bayes_listexp |
| --- | --- | --- | --- |
"""

MORE = """
## Further cases

Simulated data, through the same functions.

| case | what | bayes_listexp |
| --- | --- | --- |
"""


def page() -> str:
    """The table of cases as Markdown."""
    published, beyond = [], []
    known = reference()
    for name in PUBLISHED:
        what, did = known[name]
        published.append([name, what, did, outcome(name)])
    for name, case in BEYOND.items():
        beyond.append([name, case.what, outcome(name)])
    return INTRODUCTION.replace("{N:,}", f"{len(race()):,}") + _rows(published) + MORE + _rows(beyond)


def _rows(rows: list[list[str]]) -> str:
    return "".join("| " + " | ".join(re.sub(r"([|<>*_`~\\\[\]])", r"\\\1", cell) for cell in row) + " |\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(page())
