"""What a spec knows from elsewhere: prevalences of groups, popularities of control items, and published waves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.margins import KnownItem, KnownPrevalence, Margin
from bayes_listexp.published.as_margins import published_margins
from bayes_listexp.published.table import PublishedSupport, read_published
from bayes_listexp.spec_keys import check_types
from bayes_listexp.spec_lines import fault

KINDS: dict[str, type] = {"prevalence": KnownPrevalence, "item": KnownItem}
"""What each array of tables under [margins] is made of; "published" beside."""


@dataclass(frozen=True)
class Published:
    """``[[margins.published]]``: a printed table, its wave, and what of it to use; ``later`` is a wave known by one number."""

    file: str
    J: int
    N: int
    wave: str
    variable: str | None = None
    later: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Later:
    """``later`` of a published table: the support as printed, of how many respondents, in which wave."""

    support: str
    N: int
    wave: str


def check_margins(path: Path, text: str, tables: Mapping[str, Any]) -> None:
    """Check all of ``[margins]`` that no file need be read for.

    Raises
    ------
    InputError : a key that there is not, or a value that cannot be; the message names file and line.
    """
    _plain(path, text, tables)
    for i, table in enumerate(_tables(path, text, tables, "published"), start=1):
        try:
            check_types(Published, table, "published")
            if "later" in table:
                check_types(Later, table["later"], "later")
            if "wave" not in tables.get("data", {}):
                raise InputError("published: the study has no waves; name their column with [data] wave, and its labels with waves.")
        except InputError as error:
            raise fault(path, text, "margins.published", table, str(error), i) from error


def margins_of(path: Path, text: str, tables: Mapping[str, Any], locate: Callable[[str], Path]) -> tuple[Margin, ...]:
    """The margins of a spec: ``[[margins.prevalence]]``, ``[[margins.item]]`` and those of ``[[margins.published]]``.

    Raises
    ------
    InputError : as :func:`check_margins`, and for a published table that cannot be used; the message names file and line.
    """
    out = _plain(path, text, tables)
    for i, table in enumerate(_tables(path, text, tables, "published"), start=1):
        given = Published(**table)
        column = tables["data"]["wave"]
        try:
            printed = read_published(locate(given.file), J=given.J, N=given.N)
            after = None if given.later is None else Later(**given.later)
            later = None if after is None else PublishedSupport(support=after.support, N=after.N, label=after.wave)
            out += published_margins(printed, wave={column: given.wave}, variable=given.variable, later=later)
        except InputError as error:
            raise fault(path, text, "margins.published", table, str(error), i) from error
    return tuple(out)


def _plain(path: Path, text: str, tables: Mapping[str, Any]) -> list[Margin]:
    out: list[Margin] = []
    for kind, margin in KINDS.items():
        for i, table in enumerate(_tables(path, text, tables, kind), start=1):
            try:
                check_types(margin, table, margin.__name__)
                out.append(margin(**table))
            except InputError as error:
                raise fault(path, text, f"margins.{kind}", table, str(error), i) from error
    return out


def _tables(path: Path, text: str, tables: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    given = tables.get("margins", {}).get(kind, [])
    for table in given:
        if not isinstance(table, dict):
            raise fault(path, text, f"margins.{kind}", {}, f"[[margins.{kind}]] must be tables, found {table!r}.")
    return list(given)
