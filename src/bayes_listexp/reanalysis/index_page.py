"""The index of the gallery: one row and one mark for every study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import figures
from bayes_listexp.reanalysis.study_page import HOW
from bayes_listexp.report import Block, Code, Items, Link, Links, Report, Section, figure
from bayes_listexp.tables import Table, Text, interval, percent

COLUMNS = (
    Text("title", "Study"), Text("size", "Design"), Text("difference", "Difference in means"), Text("posterior", "Posterior"),
    Text("printed_words", "Printed, and by whom"), Text("worst", "Worst check"),
)  # fmt: skip
NOTE = ("With 95 % intervals. The difference in means uses no model; the posterior is that of the package's default model, in which groups "
        "of people have a prevalence of their own. Printed estimates are as their authors printed them.")  # fmt: skip


class Entry(NamedTuple):
    """A study in the index. Estimates are 0-1; ``printed`` is NaN where no estimate of everybody was printed."""

    study: str
    title: str
    sensitive_item: str
    design: str
    n: int
    J: int
    dim: float
    dim_lower: float
    dim_upper: float
    median: float
    lower: float
    upper: float
    printed: float
    printed_words: str
    worst: str
    failed: bool
    source: str


def index_table(entries: Sequence[Entry]) -> Table:
    """One row a study, in the order of the table that was given; the frame has every number apart, and in words as they are shown."""
    frame = pd.DataFrame(entries, columns=list(Entry._fields)).assign(
        size=[f"{e.design}; N = {e.n:,}, J = {e.J}" for e in entries],
        difference=[_with_interval(e.dim, e.dim_lower, e.dim_upper) for e in entries],
        posterior=[_with_interval(e.median, e.lower, e.upper) for e in entries],
    )
    return Table("studies", frame, "Published list experiments, analysed again", COLUMNS, NOTE)


def _with_interval(value: float, lower: float, upper: float) -> str:
    """An estimate with its interval, which no line breaks."""
    return f"{percent(value)} ({interval(lower, upper).removesuffix(' %')})".replace(" ", "\u00a0")


def index_page(entries: Sequence[Entry], method: str, command: str, *, places: Sequence[str]) -> Report:
    """The index with a link to each study's page; ``places`` are their addresses."""
    links = Links(tuple(Link(e.title, place, _in_words(e)) for e, place in zip(entries, places, strict=True)))
    text = (
        "The difference in means is the mean answer of the treatment arm minus that of the control arm. The posterior is that of the "
        "package's default model: truthful answers, any distribution of the number of control items that apply, shifted by the trait."
    )
    method_blocks: list[Block] = [Items((text, HOW[method], "A printed estimate is shown only if its page was at hand. None is guessed.",
                                         "A table of means has no counts: its posterior rests on the printed means and on how dispersed "
                                         "answers to real lists are."))]  # fmt: skip
    method_blocks += [Code("To reproduce", command, "sh")] if command else []
    sources = tuple(dict.fromkeys(part.strip() for e in entries for part in e.source.split(";") if part.strip()))
    method_blocks += [Items(sources)] if sources else []
    return Report(
        title="Published list experiments, analysed again",
        subtitle="A gallery: every published table that comes with the package" if command.count("--table") == 0 else "A gallery",
        headline=_headline(entries),
        sections=(
            Section("pages", "The studies", "One page each; follow a title.", (links,)),
            Section("picture", "In one picture", "The share who have the sensitive trait, study by study.", (_picture(entries),)),
            Section("table", "In one table", "What was asked of how many, found, and printed.", (index_table(entries),)),
            Section("method", "How, and from where", "One model for all studies; sources below.", tuple(method_blocks)),
        ),
        facts=(("Studies", str(len(entries))), ("Respondents", f"{sum(e.n for e in entries):,}")),
    )


def _headline(entries: Sequence[Entry]) -> str:
    one = len(entries) == 1
    text = f"{len(entries)} published {'table' if one else 'tables'}, {sum(e.n for e in entries):,} respondents"
    apart = [e for e in entries if not e.lower <= e.dim <= e.upper]
    text += f"; in {len(entries) - len(apart)} of them the posterior's interval holds the difference in means"
    failed = sum(e.failed for e in entries)
    return f"{text}, and {failed} {'has' if failed == 1 else 'have'} a check that failed."


def _in_words(entry: Entry) -> str:
    return (
        f"{entry.sensitive_item[:1].upper()}{entry.sensitive_item[1:]}: {_with_interval(entry.median, entry.lower, entry.upper)} by the "
        f"model, {_with_interval(entry.dim, entry.dim_lower, entry.dim_upper)} by the difference in means."
    )


def _picture(entries: Sequence[Entry]) -> Block:
    rows = pd.DataFrame(entries, columns=list(Entry._fields))
    rows = rows.assign(group=rows["title"], level=rows["title"], flag="", used=[f"N = {n:,}" for n in rows["n"]])
    fig = figures.published_support(rows.sort_values("median", ascending=False, kind="stable"),
                                    title="Published list experiments", label="Share, %", of_counts=True,
                                    subtitle="posterior, difference in means, and printed estimates of everybody")  # fmt: skip
    caption = "The more respondents, the narrower; the difference in means is not cut off at 0 or 100 %."
    caption += " A cross is what was printed of everybody." if np.isfinite(rows["printed"]).any() else ""
    return figure(fig, name="studies", synthetic=False, caption=caption)
