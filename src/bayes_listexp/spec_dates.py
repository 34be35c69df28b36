"""What a spec says that has a date: events, published shares, and the days of a published table and its later wave."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bayes_listexp.changes import read_day
from bayes_listexp.errors import InputError
from bayes_listexp.spec_lines import line_of


def events_of(path: Path, text: str, report: Mapping[str, Any]) -> list[tuple[date, str]]:
    """What ``[report] events`` says: days and words, in the order of time.

    Raises
    ------
    InputError : an event that is not like ``{ date = 2022-09-21, text = "mobilisation" }``; the message names file and line.
    """
    rows = _dated(path, text, report, "events", {"text": (str,)}, '{ date = 2022-09-21, text = "mobilisation" }')
    return sorted((day, row["text"]) for day, row in rows)


def printed_of(path: Path, text: str, report: Mapping[str, Any]) -> list[tuple[date, Mapping[str, Any]]]:
    """What ``[report] printed`` says: days with a ``share``, ``text`` and where they are given ``lower`` and ``upper``.

    Raises
    ------
    InputError : one that is not like ``{ date = "2022-11", share = 0.35, text = "published" }``; the message names file and line.
    """
    number = (float, int)
    keys: dict[str, tuple[type, ...]] = {"share": number, "text": (str,), "lower": number, "upper": number}
    rows = _dated(path, text, report, "printed", keys, '{ date = "2022-11", share = 0.35, text = "published" }')
    for _, row in rows:
        shares = [row[key] for key in ("lower", "share", "upper") if key in row]
        if shares != sorted(shares) or not 0 <= row["share"] <= 1:
            raise InputError(f"{path}, line {line_of(text, 'printed', 'report')}: [report] printed: lower, share and upper must be "
                             f"in this order and the share between 0 and 1, found {dict(row)!r}.")
    return rows


def dates_of(path: Path, text: str, tables: Mapping[str, Any]) -> tuple[date, date] | None:
    """What ``[report] dates`` of a published table says: its day and that of the later wave; None where it says nothing.

    Raises
    ------
    InputError : not two days such as ``["2022-09", "2022-11"]``, or events without them or without a later wave; the message
        names file and line.
    """
    report = tables.get("report", {})
    events, given = events_of(path, text, report), report.get("dates")
    key = "dates" if given is not None else "events"
    where = f"{path}, line {line_of(text, key, 'report')}: [report] {key}"
    if (events or given is not None) and "later" not in tables:
        raise InputError(f"{where}: a single wave has no course over time. Leave it out, or add [later].")
    if events and given is None:
        raise InputError(f'{where}: events stand beside waves with dates. Add dates = ["2022-09", "2022-11"] (the table, the later wave).')
    if given is None:
        return None
    days = [_day_of(day) for day in given]
    if len(days) != 2 or days[0] is None or days[1] is None:
        raise InputError(f'{where} = {given!r} must be the days of the table and of the later wave, like ["2022-09", "2022-11"].')
    return days[0], days[1]


def _dated(
    path: Path, text: str, report: Mapping[str, Any], key: str, known: Mapping[str, tuple[type, ...]], example: str
) -> list[tuple[date, Mapping[str, Any]]]:
    out = []
    for row in report.get(key, []):
        fits = isinstance(row, dict) and set(row) <= {"date", *known} and {"date", "text", *known} - {"lower", "upper"} <= set(row)
        day = _day_of(row.get("date") if isinstance(row, dict) else None)
        if not fits or day is None or any(not isinstance(row[name], types) for name, types in known.items() if name in row):
            raise InputError(f"{path}, line {line_of(text, key, 'report')}: [report] {key}: each must be like {example}, found {row!r}.")
        out.append((day, row))
    return out


def _day_of(given: Any) -> date | None:
    """A day of TOML, or one in words such as "2022-09"; None if it is neither."""
    return given.date() if isinstance(given, datetime) else given if isinstance(given, date) else read_day(str(given))
