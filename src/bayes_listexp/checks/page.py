"""A page of checks as plain text: what failed first, with what to do about it, then the rest by topic."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bayes_listexp.checks.record import LEVEL, Check

WORDS = {True: "passed", False: "FAILED", None: "note"}
WIDTH = 110


def page_of(checks: Sequence[Check], *, width: int = WIDTH) -> str:
    """The checks in lines no wider than ``width``: a summary, those that failed, then all others by topic, each with what to do."""
    failed = [check for check in checks if check.passed is False]
    lines = textwrap.wrap(summary(checks), width)
    groups = {"What failed, and what to do": failed} if failed else {}
    for topic in dict.fromkeys(check.topic for check in checks):
        groups[topic or "Checks"] = [check for check in checks if check.topic == topic and check.passed is not False]
    for heading, some in groups.items():
        lines += ["", heading] if some else []
        lines += [line for check in some for line in _entry(check, width)]
    return "\n".join(lines)


def summary(checks: Sequence[Check]) -> str:
    """How many passed and failed, and how their number was allowed for, in a sentence or two."""
    n = {outcome: sum(check.passed is outcome for check in checks) for outcome in (False, True, None)}
    tests = sum(check.p is not None for check in checks)
    said = f"{n[False]} check{'s' * (n[False] != 1)} failed, {n[True]} passed, {n[None]} are for information."
    if tests > 1:
        said += (f" {tests} of the {len(checks)} are tests: each fails only below p = {LEVEL} after Holm's adjustment for all {tests}, so "
                 f"that with nothing wrong a test fails in at most {LEVEL:.0%} of studies.")
    return said


def _entry(check: Check, width: int) -> list[str]:
    lines = textwrap.wrap(f"{check.name}: {check.text}", width, initial_indent=f"{WORDS[check.passed]:>6}  ", subsequent_indent=" " * 8)
    advice = check.advice if check.passed is not True else ""
    return lines + textwrap.wrap(f"To do: {advice}" if advice else "", width, initial_indent=" " * 8, subsequent_indent=" " * 8)
