"""Printed numbers and CSV files of them, read as text so that the printed precision is kept.

A printed number is an interval: "3.0" stands for 2.95-3.05 and "3.00" for 2.995-3.005.
"""

import csv
import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

from bayes_listexp.errors import InputError
from bayes_listexp.opening import refuse_large

_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d+))?\s*(%?)")

MOST_DIGITS = 100
"""Digits of a printed number."""


class Printed(NamedTuple):
    """A number as printed: its value, its text, and half a unit in the last printed place."""

    value: float
    text: str
    half_unit: float

    @property
    def lower(self) -> float:
        """Smallest number that is printed like this."""
        return self.value - self.half_unit

    @property
    def upper(self) -> float:
        """Largest number that is printed like this."""
        return self.value + self.half_unit

    @property
    def decimals(self) -> int:
        """Printed digits after the decimal point (of the text, so of the percentage in "35.5 %")."""
        return len(self.text.rstrip("% ").partition(".")[2])


def parse_printed(text: str, *, where: str) -> Printed:
    """Read one printed number ("3.0", "0.559", "35 %") as value and half a unit in its last place.

    Percentages come back on the 0-1 scale. `where` names file, row and column in the InputError for other
    text.
    """
    match = _NUMBER.fullmatch(text.strip().replace("\N{MINUS SIGN}", "-"))
    if match is None:
        raise InputError(
            f"{where}: {text!r} is not a printed number; write it with '.' as the decimal sign and without "
            "thousands separators, or leave the field empty"
        )
    sign, whole, fraction, percent = match.groups()
    if len(whole) + len(fraction or "") > MOST_DIGITS:
        raise InputError(f"{where}: {len(whole) + len(fraction or '')} digits; a printed number has at most {MOST_DIGITS}")
    places = len(fraction or "") + (2 if percent else 0)
    digits = int(f"{sign}{whole}{fraction or ''}")
    return Printed(digits / 10**places, text.strip(), 0.5 / 10**places)


def parse_share(text: str, where: str) -> Printed:
    """Read a printed share: `parse_printed`, and an InputError unless it lies within 0-1."""
    printed = parse_printed(text, where=where)
    if not 0 <= printed.value <= 1:
        raise InputError(f"{where}: {text!r}; give shares as 0-1 (0.45), or with a percent sign (45 %)")
    return printed


def read_text(path: str | Path) -> tuple[str, str]:
    """The file's text and the sha256 of its bytes."""
    refuse_large(Path(path))
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from error
    try:
        return content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from error


def read_records(text: str, source: str, required: tuple[str, ...]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Header and (line number, fields) of CSV text; every field is stripped text."""
    reader = csv.reader(io.StringIO(text))
    try:
        lines = [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: cannot be split into fields ({error}); save it as CSV again") from error
    header = [column.strip() for column in lines[0][1]] if lines else []
    missing = [column for column in required if column not in header]
    if missing:
        raise InputError(f"{source}: no column {', '.join(map(repr, missing))}; found {', '.join(header) or 'nothing'}")
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated:
        raise InputError(f"{source}: column {repeated[0]!r} appears twice; keep one")
    records = []
    for line, fields in lines[1:]:
        if not any(field.strip() for field in fields):
            continue
        if len(fields) != len(header):
            raise InputError(
                f"{source}, line {line}: {len(fields)} fields, the header has {len(header)}; "
                "quote fields that contain a comma"
            )
        records.append((line, dict(zip(header, (field.strip() for field in fields), strict=True))))
    if not records:
        raise InputError(f"{source}: has a header but no rows")
    return header, records
