"""Audit of tables that list answers: shares of answers to questions, counts of list answers by arm."""

from collections.abc import Iterable

import pandas as pd

from bayes_listexp.published.answers import ARMS, Claim, PublishedShare
from bayes_listexp.published.findings import EPSILON, Finding, failed, in_order, passed, percent, points
from bayes_listexp.published.printed import Printed

ONE_LIST = ["study", "group", "direct"]  # the columns that tell lists and subgroups apart


def audit_shares(shares: Iterable[PublishedShare], *, claims: Iterable[Claim] = ()) -> tuple[Finding, ...]:
    """Whether the answer shares of each question add up to 100 % within rounding, and what the text says of
    them.

    A claim names rows ("question: answer"); its share is compared with their sum. Failures come first.
    """
    table = tuple(shares)
    questions = dict.fromkeys(row.question for row in table)
    findings = [_question_sum(question, table) for question in questions]
    return in_order([*findings, *(_claimed_sum(claim, table) for claim in claims)])


def audit_counts(counts: pd.DataFrame) -> tuple[Finding, ...]:
    """Check a table of counts as `read_published_counts` returns it; failures come first.

    Checks, per study: answers outside 0..J (control) or 0..J+1 (treatment) with respondents; negative or
    fractional counts and answers; J that is no positive whole number or changes; a missing or empty arm per
    study, group and direct answer.
    """
    findings = [
        *_check(counts, "whole counts", _bad_number(counts["n"]), "a number of respondents must be a whole number"),
        *_check(counts, "whole answers", _bad_number(counts["item_count"]), "an answer must be a whole number"),
        *_check(
            counts,
            "control items",
            _bad_control_items(counts),
            "J must be a whole number from 1, the same in a study",
        ),
        *_check(counts, "possible answers", _impossible(counts), "no such answer exists for this J and arm"),
        *_arms(counts),
    ]
    return in_order(findings)


def _question_sum(question: str, table: tuple[PublishedShare, ...]) -> Finding:
    rows = [row for row in table if row.question == question]
    total = _sum(row.share for row in rows)
    names = [row.name for row in rows]
    gap = abs(total.value - 1) - total.half_unit
    text = f"{question}: the shares add up to {percent(total.value)}, at most {points(total.half_unit)} off by rounding"
    if gap <= EPSILON:
        return passed("shares add up", names, f"{text}.")
    return failed("shares add up", "contradiction", names, gap, f"{text}: {points(gap)} too far from 100 %.")


def _claimed_sum(claim: Claim, table: tuple[PublishedShare, ...]) -> Finding:
    by_name = {row.name: row.share for row in table}
    unknown = [name for name in claim.rows if name not in by_name]
    if unknown:
        text = f"The text's {unknown[0]!r} is no row of the table."
        return failed("text against table", "warning", claim.rows, 0.0, text)
    total = _sum(by_name[name] for name in claim.rows)
    gap = abs(total.value - claim.share.value) - total.half_unit - claim.share.half_unit
    text = (
        f"{' + '.join(claim.rows)}: the text says {claim.share.text}, the table adds up to "
        f"{percent(total.value)}, "
        f"at most {points(total.half_unit + claim.share.half_unit)} off by rounding"
    )
    if gap <= EPSILON:
        return passed("text against table", claim.rows, f"{text}.")
    return failed("text against table", "contradiction", claim.rows, gap, f"{text}: {points(gap)} apart beyond that.")


def _sum(shares: Iterable[Printed]) -> Printed:
    """The sum of printed shares with the half-width that the rounding of each adds."""
    numbers = list(shares)
    value = sum(number.value for number in numbers)
    return Printed(value, f"{value:.4g}", sum(number.half_unit for number in numbers))


def _bad_number(column: pd.Series) -> pd.Series:
    return (column < 0) | (column % 1 != 0)


def _bad_control_items(counts: pd.DataFrame) -> pd.Series:
    J = counts["n_control_items"]
    return (J < 1) | (J % 1 != 0) | (J.groupby(counts["study"]).transform("first") != J)


def _impossible(counts: pd.DataFrame) -> pd.Series:
    most = counts["n_control_items"] + (counts["arm"] == "treatment")
    return (counts["item_count"] > most) & (counts["n"] != 0)


def _check(counts: pd.DataFrame, check: str, wrong: pd.Series, rule: str) -> list[Finding]:
    """One failure per wrong row, or one finding that all rows passed."""
    found = []
    for index, row in counts[wrong].iterrows():
        name = f"row {index}: {', '.join(str(part) for part in row[ONE_LIST] if part)}"
        text = (
            f"{name}, {row['arm']} arm, J = {row['n_control_items']:g}: {row['n']:g} respondents answer "
            f"{row['item_count']:g}; {rule}."
        )
        found.append(failed(check, "contradiction", [name], float(abs(row["n"])), text))
    return found or [passed(check, (), f"{check.capitalize()}: {len(counts)} rows are fine.")]


def _arms(counts: pd.DataFrame) -> list[Finding]:
    check, found = "both arms", []
    for key, rows in counts.groupby(ONE_LIST, sort=False):
        name = ", ".join(part for part in key if part)
        sizes = rows.groupby("arm")["n"].sum()
        for arm in ARMS:
            if not sizes.get(arm, 0) > 0:
                text = f"{name}: no respondents in the {arm} arm, so there is nothing to compare."
                found.append(failed(check, "contradiction", [name], 1.0, text))
    lists = counts.groupby(ONE_LIST).ngroups
    return found or [passed(check, (), f"Both arms: present in {lists} lists and subgroups.")]
