"""Tables as Markdown: pipe tables as GitHub, Pandoc, Quarto and Jupyter read them."""

import re

from bayes_listexp.tables import Table, Text, columns_of, lines_of

MARKUP = re.compile(r"([\\`*_{}\[\]|~$^])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def to_markdown(table: Table) -> str:
    """Write the table as a pipe table, its caption in bold above and its note below.

    Whatever labels hold stays text: characters that are markup are escaped, angle brackets and ampersands become
    entities, and line breaks blanks. Panels (``Table.panel``) are rows with a bold heading, and the second line of an estimate
    has a row of its own, because a cell cannot hold two lines in every dialect.
    """
    columns = columns_of(table)
    head = [plain(column.heading) for column in columns]
    body: list[list[str]] = []
    for line in lines_of(table):
        if line.heading:
            body.append([f"**{plain(line.heading)}**", *[""] * (len(columns) - 1)])
        body.append([plain(cell) for cell in line.cells])
    widths = [max(3, *(len(row[i]) for row in (head, *body))) for i in range(len(columns))]
    words = [isinstance(column, Text) or i == 0 for i, column in enumerate(columns)]
    rule = ["-" * width if word else f"{'-' * (width - 1)}:" for width, word in zip(widths, words, strict=True)]
    rows = [[cell.ljust(w) if word else cell.rjust(w) for cell, w, word in zip(row, widths, words, strict=True)] for row in (head, *body)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    caption = [f"**{plain(table.caption)}**", ""] if plain(table.caption) else []
    return "\n".join([*caption, *lines, *(["", _paragraph(table.note)] if table.note else [])]) + "\n"


def plain(text: str) -> str:
    """Text in which Markdown sees no markup, on one line."""
    one_line = " ".join(str(text).split())
    return MARKUP.sub(r"\\\1", re.sub("[&<>]", lambda found: ENTITIES[found[0]], one_line))


def _paragraph(text: str) -> str:
    """Text that begins no list, heading or quotation."""
    return re.sub(r"^(\d*)([#+\-=:.)])", r"\1\\\2", plain(text))
