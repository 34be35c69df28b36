"""Published tables that list answers: shares of answers to questions, counts of list answers."""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.published.printed import Printed, parse_printed, parse_share, read_records, read_text

COUNT_COLUMNS = ("study", "group", "direct", "n_control_items", "arm", "item_count", "n")
ARMS = ("control", "treatment")


class PublishedShare(NamedTuple):
    """The printed share of one answer to a direct question."""

    question: str
    answer: str
    share: Printed

    @property
    def name(self) -> str:
        """How findings and claims call this row: "question: answer"."""
        return f"{self.question}: {self.answer}"


class Claim(NamedTuple):
    """What a text says about the rows of a table: the support of one row, or the summed shares of several."""

    rows: tuple[str, ...]
    share: Printed


def read_shares(path: str | Path) -> tuple[PublishedShare, ...]:
    """Read a table of answer shares (columns question, answer, share; shares 0-1 or with a % sign)."""
    text, _ = read_text(path)
    _, records = read_records(text, str(path), ("question", "answer", "share"))
    return tuple(
        PublishedShare(row["question"], row["answer"], parse_share(row["share"], f"{path}, line {line}, column 'share'"))
        for line, row in records
    )


def read_claims(path: str | Path) -> tuple[Claim, ...]:
    """Read what a text says about a table: columns rows (row names, separated by ";") and claim ("89 %")."""
    text, _ = read_text(path)
    _, records = read_records(text, str(path), ("rows", "claim"))
    return tuple(
        Claim(
            tuple(part.strip() for part in row["rows"].split(";")),
            parse_printed(row["claim"], where=f"{path}, line {line}, column 'claim'"),
        )
        for line, row in records
    )


def read_published_counts(path: str | Path) -> pd.DataFrame:
    """Read a table of counts: one row per study, group, direct answer, arm and answer (item_count), n
    respondents.

    Returns the columns of the file with n_control_items and item_count as numbers; an empty `direct` is "".
    Whether the counts make sense is for `audit_counts` to say. Raises InputError for missing columns, text
    in number columns, arms other than control and treatment, and rows given twice.
    """
    text, _ = read_text(path)
    _, records = read_records(text, str(path), COUNT_COLUMNS)
    frame = pd.DataFrame([row for _, row in records])[list(COUNT_COLUMNS)]
    for column in ("n_control_items", "item_count", "n"):
        frame[column] = _numbers([(line, row[column]) for line, row in records], f"{path}", column)
    wrong = [(line, row["arm"]) for line, row in records if row["arm"] not in ARMS]
    if wrong:
        raise InputError(f"{path}, line {wrong[0][0]}, column 'arm': {wrong[0][1]!r}; write control or treatment")
    twice = frame.duplicated(list(COUNT_COLUMNS[:-1]))
    if twice.any():
        line = records[int(twice.to_numpy().argmax())][0]
        raise InputError(f"{path}, line {line}: this study, group, direct, arm and item_count was given before")
    return frame


def _numbers(cells: list[tuple[int, str]], source: str, column: str) -> list[int] | list[float]:
    """Whole numbers where all are whole, else floats, so that `audit_counts` can name the fractions."""
    values = []
    for line, text in cells:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(
                f"{source}, line {line}, column {column!r}: {text!r} is not a number; write it with '.' as the decimal sign"
            )
        values.append(value)
    return [int(value) for value in values] if all(value.is_integer() for value in values) else values
