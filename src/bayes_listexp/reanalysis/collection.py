"""The gallery: every study of a table of published counts, and the published table of means, analysed again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.checks.fit import SAMPLER
from bayes_listexp.errors import InputError
from bayes_listexp.published.answers import read_published_counts
from bayes_listexp.published_report import audit_table, published_report, sampler_checks
from bayes_listexp.reanalysis.analysis import Method, Reanalysis, Stored, fitted_now, reanalyse
from bayes_listexp.reanalysis.index_page import Entry, index_page, index_table
from bayes_listexp.reanalysis.known import (
    DIFFERENCE,
    EVERYBODY,
    KnownStudy,
    PrintedEstimate,
    read_estimates,
    read_studies,
    unknown_study,
)
from bayes_listexp.reanalysis.means_study import CSTO, MeansStudy, reanalyse_means, worst_finding
from bayes_listexp.reanalysis.study_page import BACK, study_page, worst
from bayes_listexp.report import Report, tables_of
from bayes_listexp.spec import bundled
from bayes_listexp.tables import Table, percent


class Exhibit(NamedTuple):
    """One study: its row in the index, its page with the page's tables, and whether its fits were sampled and converged."""

    entry: Entry
    page: Report
    tables: Sequence[Table]
    converged: bool


@dataclass(frozen=True)
class Gallery:
    """An index, the page of each study and its tables by the name of its folder, the index as a table, and whether all fits converged."""

    index: Report
    pages: Mapping[str, Report]
    tables: Mapping[str, Sequence[Table]]
    studies: Table
    converged: bool


def gallery(
    table: str | Path | None = None,
    *,
    printed: str | Path | None = None,
    only: Sequence[str] = (),
    method: Method = "nuts",
    seed: int = 1,
    fitted: Callable[[str], Stored] = lambda study: fitted_now,
    say: Callable[[str], None] = lambda text: None,
) -> Gallery:
    """Analyse published list experiments again: an index with one row a study, and a page for each.

    Parameters
    ----------
    table : a table of counts (study, group, direct, n_control_items, arm, item_count, n; see :func:`read_published_counts`). By
        default the counts that come with the package, and the CSTO table of means.
    printed : a table of what was printed (study, what, of, estimate, se, n, by, place), for a table of one's own.
    only : names of the studies to analyse; by default all.
    method : "nuts" samples each posterior, "map" is a quick look (draws around the mode).
    fitted : how the fits of a study are come by, by its folder, so that they can be kept; ``say`` is told what is done.

    Returns
    -------
    Gallery : pages to render with :func:`bayes_listexp.render_report`; ``studies`` is the index as a table, shares 0-1.

    Raises
    ------
    InputError : a table that cannot be read, counts that cannot be those of a list experiment, or an unknown study.
    """
    counts = read_published_counts(bundled("published_counts.csv") if table is None else table)
    known = read_studies(bundled("published_studies.csv"))
    estimates = read_estimates(bundled("published_estimates.csv") if printed is None else printed)
    there = [*dict.fromkeys(counts["study"]), *([CSTO] if table is None else [])]
    wrong = [name for name in only if name not in there]
    if wrong:
        raise InputError(f"study '{wrong[0]}' is not in the table; there are: {', '.join(there)}.")
    chosen = [name for name in there if name in (only or there)]
    folders = _folders(chosen)
    command = "bayes-listexp gallery" if table is None else f"bayes-listexp gallery --table {Path(table).name}"
    exhibits: dict[str, Exhibit] = {}
    for name in chosen:
        say(f"{name} ...")
        facts = known.get(name, unknown_study(name)) if table is None else unknown_study(name)
        of_study = [p for p in estimates if p.study == name]
        how: dict[str, Any] = {"method": method, "seed": seed, "fitted": fitted(folders[name]), "command": command}
        rows = counts[counts["study"] == name]
        exhibits[folders[name]] = of_counts(rows, facts, of_study, **how) if len(rows) else of_means(facts, of_study, **how)
    entries = [exhibit.entry for exhibit in exhibits.values()]
    return Gallery(
        index_page(entries, method, command, places=[f"{folder}/index.html" for folder in exhibits]),
        {folder: exhibit.page for folder, exhibit in exhibits.items()},
        {folder: exhibit.tables for folder, exhibit in exhibits.items()},
        index_table(entries),
        all(exhibit.converged for exhibit in exhibits.values()),
    )


def of_counts(counts: pd.DataFrame, known: KnownStudy, printed: Sequence[PrintedEstimate], *, command: str, **how: Any) -> Exhibit:
    """A study of which counts were published."""
    found = reanalyse(counts, known, printed, **how)
    page = study_page(found, command)
    fine = all(check.passed is not False for check in found.checks if check.topic == SAMPLER)
    return Exhibit(_entry(found), page, tables_of(page), fine)


def of_means(known: KnownStudy, printed: Sequence[PrintedEstimate], **how: Any) -> Exhibit:
    """A study of which means were published: the table that comes with the package."""
    means = reanalyse_means(known, **how)
    page = _with_way_back(published_report(means.published))
    trees = (means.published.total_tree, means.published.tree)
    fine = all(check.passed is not False for tree in trees for check in sampler_checks(tree))
    return Exhibit(_entry_of_means(means, known, printed), page, [audit_table(means.published.findings), *tables_of(page)], fine)


def _folders(names: Sequence[str]) -> dict[str, str]:
    """A name for the folder of each study: its own where that can be one."""
    folders = {name: re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "study" for name in names}
    twice = [name for name, folder in folders.items() if list(folders.values()).count(folder) > 1]
    if twice:
        raise InputError(f"the studies '{twice[0]}' and '{twice[1]}' would share the folder '{folders[twice[0]]}'. Rename one.")
    return folders


def _with_way_back(page: Report) -> Report:
    """The page with a link to the index at the head of its first section."""
    first, *others = page.sections
    return replace(page, sections=(replace(first, blocks=(BACK, *first.blocks)), *others))


def _entry(found: Reanalysis) -> Entry:
    row, study = found.everybody, found.study
    design = "list and direct question" if found.asked is not None else "list"
    groups = [] if found.groups.empty else list(found.groups.loc[found.groups["group"] == "group", "level"])
    design += f", by {' / '.join(groups)}" if groups else ""
    return Entry(
        found.known.study, found.known.title, found.known.sensitive_item, design, int(row["n_control"] + row["n_treatment"]), study.J,
        **_numbers(row), printed=_of_everybody(found.printed), printed_words=printed_words(found.printed), worst=worst(found.checks),
        failed=any(check.passed is False and check.name != "sampling" for check in found.checks), source=found.known.source,
    )  # fmt: skip


def _entry_of_means(means: MeansStudy, known: KnownStudy, printed: Sequence[PrintedEstimate]) -> Entry:
    table, row = means.published.table, means.everybody
    variables = " / ".join(table.variables)
    return Entry(
        known.study, known.title, known.sensitive_item, f"table of means, by {variables}", table.N, table.J,
        **_numbers(row), printed=_of_everybody(printed), printed_words=printed_words(printed),
        worst=worst_finding(means.published.findings), failed=any(not f.passed for f in means.published.findings), source=known.source,
    )  # fmt: skip


def _numbers(row: pd.Series) -> dict[str, Any]:
    return {name: float(row[name]) for name in ("dim", "dim_lower", "dim_upper", "median", "lower", "upper")}


def _of_everybody(printed: Sequence[PrintedEstimate]) -> float:
    """The printed difference in means of everybody, else NaN."""
    found = [p.estimate.value for p in printed if p.of == EVERYBODY and p.what == DIFFERENCE]
    return found[0] if found else np.nan


def printed_words(printed: Sequence[PrintedEstimate]) -> str:
    """What was printed from the list alone, and by whom; of parts of the respondents where there is nothing of all."""
    listed = [p for p in printed if p.of == EVERYBODY] or [p for p in printed if p.what == DIFFERENCE] or list(printed)
    return "; ".join(_words(listed)) or "nothing known to us"


def _words(printed: Sequence[PrintedEstimate]) -> Iterator[str]:
    for by in dict.fromkeys(p.by for p in printed):
        said = []
        for p in (p for p in printed if p.by == by):
            about = [] if p.what == DIFFERENCE else [p.what]
            about += [] if p.of == EVERYBODY else [p.of]
            said.append(f"{percent(p.estimate.value, 1)}{f' ({', '.join(about)})' if about else ''}")
        yield f"{', '.join(said)}, {by}"
