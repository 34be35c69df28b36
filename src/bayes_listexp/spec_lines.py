"""Where in a spec something is written, so that faults name file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError


def line_of(text: str, key: str, table: str = "", nth: int = 1) -> int:
    """Line of the first assignment to a key of a table (the ``nth`` of an array of tables).

    Where the key is not there it is the line of the table's header; where the table is written inline, that of its name.
    """
    lines = text.splitlines()
    header = re.compile(rf"^\s*\[\[?\s*{re.escape(table)}\s*[\].]")
    starts = [i for i, line in enumerate(lines) if header.match(line)] if table else [0]
    if len(starts) < nth:
        parent, _, own = table.rpartition(".")
        return line_of(text, own, parent)
    start = starts[nth - 1]
    other = re.compile(rf"^\s*\[(?!\[?\s*{re.escape(table)}\s*\.)")
    ends = (i for i, line in enumerate(lines) if i > start and other.match(line))
    end = next(ends, len(lines)) if table else len(lines)
    pattern = re.compile(rf'^\s*(\[[^\]]*\b)?["\']?{re.escape(key)}["\']?\s*[=.\]]')
    inside = (i for i, line in enumerate(lines[start:end], start) if key and pattern.match(line))
    return next(inside, start) + 1


def fault(path: Path, text: str, table: str, given: Mapping[str, Any], message: str, nth: int = 1) -> InputError:
    """An error with its file and line: that of the key which the message mentions first, else of the table."""
    found = {key: re.search(rf"(?<!\w){re.escape(key)}(?!\w)", message) for key in given}
    places = [(match.start(), key) for key, match in found.items() if match]
    return InputError(f"{path}, line {line_of(text, min(places)[1] if places else '', table, nth)}: {message}")
