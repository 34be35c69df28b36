"""Tables as Word documents (Office Open XML, ISO/IEC 29500): a few small parts in an archive, so that no library is needed."""

import io
import re
from functools import cache
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from bayes_listexp.tables import Table, Text, columns_of, lines_of

A4, MARGIN = (11906, 16838), 1134
"""Width and height of a page, and its margins, in twentieths of a point."""
LANDSCAPE_FROM = 7
"""Columns from which on a page lies on its side."""
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, however they are written."""
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
PARTS = {
    "[Content_Types].xml": f'{HEAD}<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{WORD}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{WORD}.styles+xml"/></Types>',
    "_rels/.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/_rels/document.xml.rels": f'{HEAD}<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
    "word/styles.xml": f'{HEAD}<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:docDefaults>'
    '<w:rPrDefault><w:rPr><w:rFonts w:ascii="Times New Roman" w:hAnsi="Times New Roman" w:eastAsia="Times New Roman" '
    'w:cs="Times New Roman"/><w:sz w:val="20"/><w:szCs w:val="20"/></w:rPr></w:rPrDefault></w:docDefaults>'
    '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Caption"><w:name w:val="caption"/><w:basedOn w:val="Normal"/>'
    '<w:pPr><w:spacing w:after="120"/></w:pPr><w:rPr><w:b/></w:rPr></w:style>'
    '<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableText"><w:name w:val="Table Text"/><w:basedOn w:val="Normal"/>'
    '<w:pPr><w:spacing w:before="20" w:after="20"/></w:pPr></w:style></w:styles>',
}
"""The parts that are the same in every document."""


def to_docx(table: Table) -> bytes:
    """Write the table as a Word document of its own (.docx): caption, table in the style of journals, note.

    The heading row repeats on every page and rows do not break across pages; a wide table lies on its side. Every text is
    escaped; a character that XML cannot hold is shown as U+FFFD. The same table gives the same bytes: nothing carries a date.
    """
    columns, lines = columns_of(table), lines_of(table)
    page = A4 if len(columns) < LANDSCAPE_FROM else A4[::-1]
    document = _template().render(
        caption=_allowed(table.caption),
        note=_allowed(table.note),
        headings=[_allowed(column.heading) for column in columns],
        words=[isinstance(column, Text) or i == 0 for i, column in enumerate(columns)],
        lines=[line._replace(heading=_allowed(line.heading), cells=tuple(map(_allowed, line.cells))) for line in lines],
        widths=[(page[0] - 2 * MARGIN) // len(columns)] * len(columns),
        page=page,
    )
    out = io.BytesIO()
    with ZipFile(out, "w") as archive:
        for name, text in {**PARTS, "word/document.xml": document.strip() + "\n"}.items():
            entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system = ZIP_DEFLATED, 0  # else it says on which system it was made
            archive.writestr(entry, text)
    return out.getvalue()


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("bayes_listexp"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)
    return environment.get_template("table.docx.xml.j2")


def _allowed(text: str) -> str:
    return NO_XML.sub("\ufffd", text)
