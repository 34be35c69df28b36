"""What is known of published studies beside their counts: what was asked of whom, and which estimates were printed where."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bayes_listexp.errors import InputError
from bayes_listexp.published.printed import Printed, parse_printed, read_records, read_text

STUDY_COLUMNS = ("study", "title", "sensitive_item", "sample", "source", "note")
ESTIMATE_COLUMNS = ("study", "what", "of", "estimate", "se", "n", "by", "place")
EVERYBODY = "all"
DIFFERENCE, DIRECT, COMBINED = "difference in means", "direct question", "list and direct question combined"
BINOMIAL = "binomial counts, maximum likelihood"


class KnownStudy(NamedTuple):
    """What was asked of whom, and by whom it was published; ``note`` says what is not known, or must be known to compare."""

    study: str
    title: str
    sensitive_item: str
    sample: str
    source: str
    note: str


class PrintedEstimate(NamedTuple):
    """An estimate as its authors printed it (0-1): ``what`` kind, ``of`` whom ("all" of the counted respondents, or a part of them),
    with its standard error and number of respondents where these were printed, ``by`` whom, and in which ``place``.
    """

    study: str
    what: str
    of: str
    estimate: Printed
    se: Printed | None
    n: int | None
    by: str
    place: str


def read_studies(path: str | Path) -> dict[str, KnownStudy]:
    """Read what is known of studies, by their names; columns as :class:`KnownStudy`.

    Raises
    ------
    InputError : a column is missing, or a study is described twice.
    """
    _, records = read_records(read_text(path)[0], str(path), STUDY_COLUMNS)
    found: dict[str, KnownStudy] = {}
    for line, row in records:
        if row["study"] in found:
            raise InputError(f"{path}, line {line}: the study '{row['study']}' was described before; keep one line.")
        found[row["study"]] = KnownStudy(*(row[column] for column in STUDY_COLUMNS))
    return found


def read_estimates(path: str | Path) -> tuple[PrintedEstimate, ...]:
    """Read printed estimates; columns as :class:`PrintedEstimate`, shares 0-1 or with a % sign, empty where nothing was printed.

    Raises
    ------
    InputError : a column is missing, or a number is none.
    """
    _, records = read_records(read_text(path)[0], str(path), ESTIMATE_COLUMNS)
    return tuple(_estimate(row, f"{path}, line {line}") for line, row in records)


def unknown_study(name: str) -> KnownStudy:
    """A study of which nothing is known but its counts."""
    return KnownStudy(name, name, "the sensitive item", "", "", "")


def _estimate(row: dict[str, str], where: str) -> PrintedEstimate:
    if row["n"] and not row["n"].isdigit():
        raise InputError(f"{where}, column 'n': {row['n']!r}; a number of respondents is a whole number, or an empty field.")
    estimate = parse_printed(row["estimate"], where=f"{where}, column 'estimate'")
    se = parse_printed(row["se"], where=f"{where}, column 'se'") if row["se"] else None
    return PrintedEstimate(row["study"], row["what"], row["of"], estimate, se, int(row["n"]) if row["n"] else None, row["by"], row["place"])
