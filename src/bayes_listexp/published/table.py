"""Published tables of list experiments: means by arm, shares and supports, as printed.

Nothing here corrects a number; `bayes_listexp.audit` says what is wrong with a table and
`bayes_listexp.published.model` what it is worth.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bayes_listexp.errors import InputError
from bayes_listexp.published.printed import Printed, parse_printed, parse_share, read_records, read_text

TOTAL = "all"  # the group of the row that stands for all respondents
TABLE_COLUMNS = ("group", "level", "mean_control", "mean_treatment")
OPTIONAL_COLUMNS = ("share", "support", "n_control", "n_treatment")


class PublishedRow(NamedTuple):
    """One row of a published table: a level of a group, its means by arm and what else was printed."""

    group: str
    level: str
    mean_control: Printed
    mean_treatment: Printed
    share: Printed | None = None
    support: Printed | None = None
    n_control: int | None = None
    n_treatment: int | None = None

    @property
    def name(self) -> str:
        """How findings and results call this row: "gender: male", and "all" for the total."""
        return TOTAL if self.group == TOTAL else f"{self.group}: {self.level}"


@dataclass(frozen=True)
class PublishedTable:
    """Means by arm of a list experiment with J control items and N respondents, as printed.

    Exactly one row is the total (group "all"). The rows of one group, say gender, are levels of one
    variable. `unread` names columns of the file that were not used. Made by `read_published` or
    `parse_published`.
    """

    name: str
    J: int
    N: int
    rows: tuple[PublishedRow, ...]
    sha256: str = ""
    unread: tuple[str, ...] = ()

    @property
    def total(self) -> PublishedRow:
        """The row for all respondents."""
        return next(row for row in self.rows if row.group == TOTAL)

    @property
    def variables(self) -> dict[str, tuple[PublishedRow, ...]]:
        """The rows of each variable, in printed order, without the total."""
        names = dict.fromkeys(row.group for row in self.rows if row.group != TOTAL)
        return {name: tuple(row for row in self.rows if row.group == name) for name in names}


@dataclass(frozen=True)
class PublishedSupport:
    """A bare statement about another wave, such as `PublishedSupport("35 %", N=(350, 1500),
    label="2022-11")`.

    `support` is text, a share ("0.35") or a percentage ("35 %", which stands for 34.5-35.5); `N` is the
    number of respondents or the range it lies in. Raises InputError for support outside 0-1 and for N that
    is not positive.
    """

    support: str
    N: int | tuple[int, int]
    label: str

    def __post_init__(self) -> None:
        where = f"published support {self.label!r}"
        if not 0 <= parse_printed(self.support, where=where).value <= 1:
            raise InputError(f"{where}: {self.support!r} is not a share; write '35 %' or '0.35'")
        low, high = self.respondents
        if not 0 < low <= high:
            raise InputError(f"{where}: N = {self.N!r}; give a positive number or a range (lowest, highest)")

    @property
    def printed(self) -> Printed:
        """The support on the 0-1 scale with its precision."""
        return parse_printed(self.support, where=self.label)

    @property
    def respondents(self) -> tuple[int, int]:
        """Smallest and largest number of respondents."""
        return (self.N, self.N) if isinstance(self.N, int) else (self.N[0], self.N[1])


def read_published(path: str | Path, *, J: int, N: int, name: str | None = None) -> PublishedTable:
    """Read a published table from a CSV file with the columns group, level, mean_control, mean_treatment.

    Optional columns: share (0-1), support (0-1, or with a % sign), n_control and n_treatment (arm sizes);
    optional fields may be empty. One row has group "all": the total. J is the number of control items, N of
    respondents. Raises InputError naming file, line, column and value.
    """
    text, digest = read_text(path)
    return parse_published(text, J=J, N=N, name=name or Path(path).stem, source=str(path), sha256=digest)


def parse_published(
    text: str, *, J: int, N: int, name: str, source: str = "table", sha256: str | None = None
) -> PublishedTable:
    """The table in CSV text; see `read_published`. `source` is what error messages call it."""
    if J < 1 or N < 2:
        raise InputError(f"{source}: J = {J}, N = {N}; a list has at least one control item, and N is at least 2")
    header, records = read_records(text, source, TABLE_COLUMNS)
    rows = tuple(_table_row(record, J, f"{source}, line {line}") for line, record in records)
    _check_rows(rows, source)
    digest = sha256 or hashlib.sha256(text.encode()).hexdigest()
    unread = tuple(column for column in header if column not in TABLE_COLUMNS + OPTIONAL_COLUMNS)
    return PublishedTable(name, J, N, rows, digest, unread)


def total_only(table: PublishedTable) -> PublishedTable:
    """The table without its groups: what the total row says by itself."""
    return replace(table, rows=(table.total,))


def _table_row(record: dict[str, str], J: int, where: str) -> PublishedRow:
    def optional(column: str) -> str | None:
        return record.get(column) or None

    group, level = record["group"], record["level"]
    if not group or not level:
        raise InputError(f"{where}: group {group!r}, level {level!r}; both must be named, the total is all, all")
    control, treatment = (
        parse_printed(record[column], where=f"{where}, column {column!r}, row {group}: {level}")
        for column in ("mean_control", "mean_treatment")
    )
    share, support = optional("share"), optional("support")
    return PublishedRow(
        TOTAL if group.lower() == TOTAL else group,
        level,
        control,
        treatment,
        share=parse_share(share, f"{where}, column 'share'") if share else None,
        support=_support(support, J, f"{where}, column 'support'") if support else None,
        n_control=_size(optional("n_control"), f"{where}, column 'n_control'"),
        n_treatment=_size(optional("n_treatment"), f"{where}, column 'n_treatment'"),
    )


def _check_rows(rows: tuple[PublishedRow, ...], source: str) -> None:
    totals = [row for row in rows if row.group == TOTAL]
    if len(totals) != 1:
        raise InputError(f"{source}: {len(totals)} rows with group 'all'; exactly one row is the total")
    names = [row.name for row in rows]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"{source}: the row {repeated[0]!r} appears {names.count(repeated[0])} times; keep one")
    for row in rows:
        if (row.n_control is None) != (row.n_treatment is None):
            raise InputError(f"{source}, row {row.name!r}: give both n_control and n_treatment, or neither")


def _support(text: str, J: int, where: str) -> Printed:
    printed = parse_printed(text, where=where)
    if abs(printed.value) > J + 1:
        raise InputError(
            f"{where}: {text!r} cannot be a difference of means with J = {J}; give supports as 0-1 "
            "(0.559), or "
            "with a percent sign (55.9 %)"
        )
    return printed


def _size(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or int(text) == 0:
        raise InputError(f"{where}: {text!r}; an arm size is a positive whole number, or an empty field")
    return int(text)
