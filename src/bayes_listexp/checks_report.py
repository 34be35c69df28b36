"""Checks of a study as a page: sections by topic, with figures and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom

from bayes_listexp import figures
from bayes_listexp.checks import Check
from bayes_listexp.checks.arms import balance_by_level
from bayes_listexp.checks.design import ARMS, ASSUMPTIONS, LISTS
from bayes_listexp.checks.lists import lists_to_check, wilson
from bayes_listexp.checks.page import summary
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_arms import ListArms
from bayes_listexp.no_design_effect.type_shares import types_of
from bayes_listexp.report import Block, CheckList, Facts, Figure, Items, Report, Section, figure
from bayes_listexp.tables import Table

MOST_FIGURES = 4
"""Lists that are drawn; tables have them all."""


def checks_report(study: ListExperiment, checks: Sequence[Check], covariates: Sequence[str] = ()) -> Report:
    """The page of :func:`bayes_listexp.design_checks`: what failed with what to do, then every topic with its figures.

    ``checks`` are those of this ``study`` and these ``covariates``; render it with :func:`bayes_listexp.render_report`.
    """
    failed = [check for check in checks if check.passed is False]
    drawn = design_figures(study, covariates) if any(check.topic == LISTS for check in checks) else {}
    sections = []
    if failed:
        todo = Items(tuple(f"{check.name}: {check.advice}" for check in failed if check.advice))
        sections.append(Section("failed", "What failed, and what to do", "Look at these first.", (CheckList(failed), todo)))
    for topic in dict.fromkeys(check.topic for check in checks):
        blocks: list[Block] = [CheckList([check for check in checks if check.topic == topic and check.passed is not False])]
        sections.append(Section(_identifier(topic), topic, "", (*blocks, *drawn.get(topic, ()))))
    arms = study.listed.groupby("_treated")["_n"].sum()
    facts = (("Source", str(study.source["name"])), ("Control items (J)", str(study.J)),
             ("Answers", f"{arms.get(False, 0):,} without and {arms.get(True, 0):,} with the sensitive item on the list"))
    opening = Section("data", "Data", "What was checked.", (Facts(facts),))
    return Report(title=f"Checks of {study.source['name']}", headline=summary(checks), sections=(opening, *sections),
                  synthetic=study.synthetic)


def tables_of_checks(checks: Sequence[Check]) -> list[Table]:
    """The tables behind the checks, for files of their own."""
    return [Table(_identifier(check.name), check.table, check.question) for check in checks if check.table is not None]


def design_figures(study: ListExperiment, covariates: Sequence[str] = ()) -> dict[str, list[Figure]]:
    """Figures by topic: balance of the arms, control counts beside a binomial and types of people (of the first four lists)."""
    drawn: dict[str, list[Figure]] = {}
    levels = balance_by_level(study, covariates)
    if len(levels):
        fig = figures.balance_of_arms(levels, title="Balance of the arms")
        caption = "Levels of covariates by arm. Of twenty intervals one leaves 0 by chance; the test of balance allows for their number."
        drawn[ARMS] = [figure(fig, name="balance", synthetic=study.synthetic, caption=caption)]
    for arms in lists_to_check(study)[:MOST_FIGURES]:
        suffix, of = (f"-{_identifier(arms.label)}", f", {arms.label}") if arms.label else ("", "")
        fig = figures.counts_and_binomial(_beside_binomial(arms), title=f"Control counts{of}")
        caption = f"Control counts{of}, beside a binomial with the same mean: narrower than it where control items go against each other."
        drawn.setdefault(LISTS, []).append(figure(fig, name=f"counts{suffix}", synthetic=study.synthetic, caption=caption))
        fig = figures.shares_of_types(types_of(arms), title=f"Types of people{of}")
        caption = f"Shares of people by trait and number of control items{of}; one clearly below 0 speaks of a design effect or of lies."
        drawn.setdefault(ASSUMPTIONS, []).append(figure(fig, name=f"types{suffix}", synthetic=study.synthetic, caption=caption))
    return drawn


def _beside_binomial(arms: ListArms) -> pd.DataFrame:
    """Shares of the control counts with intervals, and the binomial's at the same mean."""
    n, y = arms.control.sum(), np.arange(arms.J + 1)
    rows = [wilson(count, n) for count in arms.control]
    frame = pd.DataFrame(rows, columns=["share", "lower", "upper"]).assign(count=y)
    return frame.assign(binomial=binom.pmf(y, arms.J, (arms.control @ y) / (n * arms.J)))


def _identifier(text: str) -> str:
    """Words as a name of files and links: small letters, digits and -."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "checks"
