"""Tables: tidy frames in, HTML, LaTeX and CSV out, in one style; great-tables does the markup. Markdown and Word: own modules."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar, NamedTuple

import great_tables as gt
import pandas as pd

from bayes_listexp.errors import InputError

MISSING = "–"
FORMULA = re.compile(r"^\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]")


class Text(NamedTuple):
    """A column of words."""

    column: str
    heading: str


class Number(NamedTuple):
    """A column of numbers in their own unit, with `digits` decimals and thousands set apart."""

    column: str
    heading: str
    digits: int = 0


class Percent(NamedTuple):
    """A column of probabilities or shares (0-1) as percent."""

    column: str
    heading: str
    digits: int = 0


class Points(NamedTuple):
    """A column of differences of probabilities (0-1) as percentage points, signed unless they are sizes, such as standard errors."""

    column: str
    heading: str
    digits: int = 0
    signed: bool = True


class Interval(NamedTuple):
    """Two columns, the ends of an interval (0-1), as `41 to 73 %`; `points`: as signed percentage points."""

    lower: str
    upper: str
    heading: str
    digits: int = 0
    points: bool = False


class Estimate(NamedTuple):
    """An estimate in its own unit with its standard error or deviation in parentheses on a second line, as journals print it.

    Where ``column`` is missing, the cell is the text of column ``words`` if it names one. ``spread`` is the column of the
    standard error, or the pair of columns of an interval, which stands in brackets.
    """

    column: str
    spread: str | tuple[str, str]
    heading: str
    digits: int = 2
    words: str = ""


Column = Text | Number | Percent | Points | Interval | Estimate


class Line(NamedTuple):
    """A line of a printed table: its panel ("" where there are none), the heading if the panel begins here, and its cells."""

    panel: str
    heading: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A tidy frame with the way it is shown.

    `name` is the stem of its files, `caption` its title, `columns` what is shown, in order (the first heads
    the rows); without `columns` every column is shown under its own name. `note` stands below. `panel` names the column whose
    values head runs of rows.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    columns: tuple[Column, ...] = ()
    note: str = ""
    panel: str = ""
    kind: ClassVar[str] = "table"


def shown(table: Table) -> pd.DataFrame:
    """Format the cells: one column of text for each heading, missing values as a dash.

    Raises `InputError` when a column to be shown is not in the frame, or there is none.
    """
    columns = columns_of(table)
    needed = {name for column in columns for name in _sources(column)} | ({table.panel} if table.panel else set())
    if missing := sorted(needed - set(table.frame.columns)):
        raise InputError(f"table {table.name!r} has no column {', '.join(missing)}; it has {list(table.frame)}")
    if not columns:
        raise InputError(f"table {table.name!r} has no columns, so there is nothing to show")
    cells = [_cells(table.frame, column) for column in columns]
    return pd.DataFrame(dict(enumerate(cells))).set_axis([c.heading for c in columns], axis="columns")


def columns_of(table: Table) -> tuple[Column, ...]:
    """What is shown, in order: the table's columns, or all of its frame."""
    return table.columns or _plain(table.frame)


def lines_of(table: Table) -> list[Line]:
    """The table in lines, for formats whose cells hold one line: an estimate and what is in parentheses below it are two."""
    cells, panels = shown(table), _panels(table)
    estimates = [isinstance(column, Estimate) for column in columns_of(table)]
    lines: list[Line] = []
    for i, row in enumerate(cells.itertuples(index=False, name=None)):
        parts = [str(cell).split("\n") if estimate else [" ".join(str(cell).split())]
                 for cell, estimate in zip(row, estimates, strict=True)]
        panel = panels[i] if panels else ""
        begins = panel if i == 0 or panel != lines[-1].panel else ""
        for j in range(max(map(len, parts))):
            lines.append(Line(panel, "" if j else begins, tuple(part[j] if j < len(part) else "" for part in parts)))
    return lines


def to_gt(table: Table) -> gt.GT:
    """Make the great-tables object (for a notebook, or for a style of one's own)."""
    return _markup(table).tab_header(_literal(table.caption))


def to_html(table: Table) -> str:
    """Write the table as a `<table>` element with caption, row and column headings; every text is escaped.

    It carries great-tables' classes but neither style nor ids: the page brings the style.
    """
    raw = _markup(table).as_raw_html()
    element = raw[raw.index("<table") : raw.index("</table>") + len("</table>")]
    bare = re.sub(r"<t[hdr] [^>]*>", lambda tag: re.sub(r' (id|headers|style)="[^"]*"', "", tag[0]), element)
    caption = f'<table class="gt_table">\n<caption>{escape(table.caption)}</caption>'
    return re.sub(r"^<table[^>]*>", lambda _: caption, bare)


def to_latex(table: Table) -> str:
    """Write the table as LaTeX (packages booktabs and caption; XeLaTeX or LuaLaTeX for letters beyond
    Latin).
    """
    lines = lines_of(table)
    built = _built(table, [line.cells for line in lines], [line.panel for line in lines] if table.panel else [], _unit_free)
    raw = str(built.tab_header(_unit_free(table.caption)).as_latex())
    return raw.replace("−", "$-$").replace("–", "--").strip() + "\n"


def to_csv(table: Table) -> str:
    """Write the frame itself, unrounded, as CSV; text that a spreadsheet would run as a formula gets an
    apostrophe.

    Such text begins with = + - @ (also after blanks, and in their full-width forms) or with a control
    character.
    """
    frame = table.frame.rename(columns=_harmless)
    for index, column in enumerate(table.frame.columns):
        if not pd.api.types.is_numeric_dtype(table.frame[column].dtype):
            values = [_harmless(value) for value in table.frame[column]]
            frame.isetitem(index, pd.Series(values, index=frame.index, dtype=object))
    return frame.to_csv(index=False, lineterminator="\n")


def percent(value: float, digits: int = 0) -> str:
    """`56 %`; `value` is 0-1."""
    return f"{_decimal(100 * value, digits)} %"


def points(value: float, digits: int = 0) -> str:
    """`−21`, `+3`, `0`: a difference of probabilities in percentage points, signed."""
    return _decimal(100 * value, digits, signed=True)


def interval(lower: float, upper: float, digits: int = 0) -> str:
    """`41 to 73 %`; ends are 0-1."""
    return f"{_decimal(100 * lower, digits)} to {_decimal(100 * upper, digits)} %"


def _markup(table: Table) -> gt.GT:
    """The table in great-tables as HTML has it: the two lines of an estimate in one cell."""
    rows = list(shown(table).itertuples(index=False, name=None))
    two_lines = [f"c{i}" for i, column in enumerate(columns_of(table)) if isinstance(column, Estimate)]
    made = _built(table, rows, _panels(table), _literal)
    return made.fmt(lambda text: escape(text).replace("\n", "<br>"), columns=two_lines) if two_lines else made


def _built(table: Table, rows: Sequence[tuple[str, ...]], panels: list[str], label: Callable[[str], Any]) -> gt.GT:
    """The formatted cells in great-tables, under names of our own so that no heading can act as markup."""
    columns = columns_of(table)
    names = [f"c{index}" for index in range(len(columns))]
    cells = pd.DataFrame(rows, columns=names, dtype=object)
    if panels:
        made = gt.GT(cells.assign(panel=panels), rowname_col="c0", groupname_col="panel", id="table")
    else:
        made = gt.GT(cells, rowname_col="c0", id="table")
    made = made.tab_stubhead(label(columns[0].heading))
    if names[1:]:
        heads = zip(names[1:], columns[1:], strict=True)
        made = made.cols_label({name: label(column.heading) for name, column in heads})
    right = [n for n, c in zip(names[1:], columns[1:], strict=True) if not isinstance(c, Text)]
    left = [n for n, c in zip(names[1:], columns[1:], strict=True) if isinstance(c, Text)]
    made = made.cols_align("right", right) if right else made
    made = made.cols_align("left", left) if left else made
    return made.tab_source_note(label(table.note)) if table.note else made


def _panels(table: Table) -> list[str]:
    return [str(value) for value in table.frame[table.panel]] if table.panel else []


def _plain(frame: pd.DataFrame) -> tuple[Column, ...]:
    """Show every column under its own name: numbers with three decimals unless they are whole, the rest as
    text.
    """
    columns: list[Column] = []
    for name in frame.columns:
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
            columns.append(Text(name, str(name)))
        else:
            whole = bool((values.dropna() % 1 == 0).all())
            columns.append(Number(name, str(name), 0 if whole else 3))
    return tuple(columns)


def _sources(column: Column) -> tuple[str, ...]:
    match column:
        case Interval(lower=lower, upper=upper):
            return (lower, upper)
        case Estimate(spread=spread, words=words):
            return (column.column, *((spread,) if isinstance(spread, str) else spread), *((words,) if words else ()))
        case _:
            return (column.column,)


def _cells(frame: pd.DataFrame, column: Column) -> list[str]:
    """Every cell of one column as text."""
    rows = zip(*(frame[name] for name in _sources(column)), strict=True)
    if isinstance(column, Estimate):
        return [_estimate(column, row) for row in rows]
    return [MISSING if any(pd.isna(value) for value in row) else _cell(column, row) for row in rows]


def _estimate(column: Estimate, row: tuple[Any, ...]) -> str:
    """The estimate, and under it what is in parentheses or brackets; else the words, or nothing: a model without this row."""
    words = row[-1] if column.words else None
    if pd.isna(row[0]):
        return "" if pd.isna(words) else str(words)
    ends = row[1 : 2 if isinstance(column.spread, str) else 3]
    if any(pd.isna(end) for end in ends):
        return _decimal(row[0], column.digits)
    inner = " to ".join(_decimal(end, column.digits) for end in ends)
    return f"{_decimal(row[0], column.digits)}\n{f'({inner})' if len(ends) == 1 else f'[{inner}]'}"


def _cell(column: Column, row: tuple[Any, ...]) -> str:
    match column:
        case Text():
            return str(row[0])
        case Number(digits=digits):
            return _decimal(float(row[0]), digits)
        case Percent(digits=digits):
            return percent(row[0], digits)
        case Points(digits=digits, signed=signed):
            return _decimal(100 * row[0], digits, signed=signed)
        case Interval(digits=digits, points=True):
            return f"{points(row[0], digits)} to {points(row[1], digits)}"
        case Interval(digits=digits):
            return interval(row[0], row[1], digits)
        case Estimate():
            return _estimate(column, row)


def _decimal(value: float, digits: int, *, signed: bool = False) -> str:
    """A number as in print: a real minus sign, no negative zero."""
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    if not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", "−")


def _literal(text: str) -> Any:
    """Text that is neither markup nor, in double braces, a unit."""
    return gt.html(escape(text).replace("{", "&#123;").replace("}", "&#125;"))


def _unit_free(text: str) -> str:
    """Keep double braces from being read as a unit."""
    return text.replace("{{", "{ {").replace("}}", "} }")


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kept = value.replace("\r\n", "\n").replace("\r", "\n")  # a carriage return is not quoted, and what follows would be a cell of its own
    return f"'{kept}" if FORMULA.match(kept) else kept
