"""The rows of a report's tables that say something of a small group, with their numbers left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.disclosure import small_groups
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.report import Block, CheckList, Facts, Report, Section
from bayes_listexp.tables import Table, Text


def withheld(report: Report, study: ListExperiment) -> Report:
    """A report whose tables say no more of a group below ``study.smallest_group`` than that it has fewer respondents.

    Estimates that come from draws are withheld already; this is about rows that count respondents or name a level's parameters.
    """
    if not study.smallest_group:
        return report
    clean = cleaner(study)
    sections = [dataclasses.replace(section, blocks=tuple(_of_block(block, clean) for block in section.blocks))
                for section in report.sections]
    return dataclasses.replace(report, sections=tuple(_with_rule(section, study) for section in sections))


def cleaner(study: ListExperiment) -> Callable[[Table], Table]:
    """What leaves the numbers of small groups out of a table."""
    small = {level for name in study.covariates if isinstance(study.table[name].dtype, pd.CategoricalDtype)
             for (level,) in small_groups(study, [name])}

    def clean(table: Table) -> Table:
        hidden = _hidden(table.frame, study, small) if study.smallest_group and len(table.frame) else np.zeros(0, dtype=bool)
        if not hidden.any():
            return table
        words = {column.column for column in table.columns if isinstance(column, Text)} | {"column", "level", "term", "parameter"}
        kept = words | set(study.table.columns)
        blank = {name: table.frame[name].astype(object).mask(hidden, np.nan).infer_objects() for name in table.frame.columns
                 if name not in kept}
        note = f"\N{EN DASH}: n < {study.smallest_group}, withheld."
        return dataclasses.replace(table, frame=table.frame.assign(**blank), note=f"{table.note} {note}".strip())

    return clean


def _hidden(frame: pd.DataFrame, study: ListExperiment, small: set[str]) -> np.ndarray:
    """Which rows are about a small group: by its columns, by the level's name in a cell, or by the number of respondents."""
    hidden = np.array([any(_names(row, small)) for row in frame.itertuples(index=False, name=None)], dtype=bool)
    keys = [name for name in frame.columns if name in (*study.covariates, study.wave, study.item)]
    for names in (names for size in range(1, len(keys) + 1) for names in combinations(keys, size)):
        few = small_groups(study, names)
        hidden |= [tuple(map(str, row)) in few for row in frame[list(names)].itertuples(index=False, name=None)]
    if "n" in frame.columns and (keys or "level" in frame.columns):
        n = pd.to_numeric(frame["n"], errors="coerce")
        hidden |= ((n > 0) & (n < study.smallest_group)).to_numpy()
    return hidden


def _names(row: tuple[Any, ...], small: set[str]) -> Iterator[bool]:
    """Whether a cell is one of the levels, or ends with one as names of parameters and terms do."""
    for text in (str(cell) for cell in row if isinstance(cell, str)):
        yield from (text == level or text.endswith((f"[{level}]", f": {level}", f"= {level}", f" {level}", f":{level}")) for level in small)


def _of_block(block: Block, clean: Callable[[Table], Table]) -> Block:
    if isinstance(block, Table):
        return clean(block)
    if isinstance(block, CheckList):
        return CheckList([_of_check(check, clean) for check in block.checks])
    return block


def _of_check(check: Any, clean: Callable[[Table], Table]) -> Any:
    return check if check.table is None else check._replace(table=clean(Table(check.name, check.table, check.question)).frame)


def _with_rule(section: Section, study: ListExperiment) -> Section:
    """The rule among the facts of the section on the data."""
    if section.id != "data":
        return section
    words = (f"fewer than {study.smallest_group} respondents. A group that is withheld alone can still be worked out from the whole and "
             "the other groups; such levels are better merged before the study is made.")
    blocks = tuple(Facts((*block.pairs, ("Groups withheld", words))) if isinstance(block, Facts) else block for block in section.blocks)
    return dataclasses.replace(section, blocks=blocks)
