"""What an audit found: one record per check and contradiction, failures first."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Severity = Literal["contradiction", "warning", "note"]

EPSILON = 1e-9  # floating-point slack when printed intervals are compared
_RANK: dict[Severity, int] = {"contradiction": 0, "warning": 1, "note": 2}


class Finding(NamedTuple):
    """The outcome of one check for some rows of a published table.

    `severity`: "contradiction" (the printed numbers cannot all be right), "warning" (they can, but only by
    bad luck or a design that the reader must know of), "note" (passed, or nothing to check). `size` is how
    far the numbers are apart, in their own units: 0-1 for supports and shares, items for means. `text` is
    one plain sentence.
    """

    check: str
    passed: bool
    severity: Severity
    rows: tuple[str, ...]
    size: float
    text: str


def failed(check: str, severity: Severity, rows: Iterable[str], size: float, text: str) -> Finding:
    """A finding that did not pass."""
    return Finding(check, False, severity, tuple(rows), float(size), text)


def passed(check: str, rows: Iterable[str], text: str) -> Finding:
    """A check that these rows passed, or that could not be made for them; the text says which."""
    return Finding(check, True, "note", tuple(rows), 0.0, text)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Failures first, contradictions before warnings, the largest first; what passed keeps its order."""
    return tuple(sorted(findings, key=lambda f: (f.passed, _RANK[f.severity], -f.size)))


def percent(value: float, digits: int = 1) -> str:
    """A share as text: 0.423 is "42.3 %"."""
    return f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference of shares as text: 0.0425 is "4.2 points"."""
    return f"{100 * value:.1f} points"


def rows_text(rows: Iterable[str]) -> str:
    """How many rows, as the subject of a sentence: "1 row", "3 rows"."""
    number = len(tuple(rows))
    return f"{number} row" if number == 1 else f"{number} rows"
