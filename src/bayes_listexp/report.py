"""The report: plain records of what it says, and one function that turns them into a page."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from typing import ClassVar, Protocol

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure as MatplotlibFigure

from bayes_listexp.errors import InputError
from bayes_listexp.explorer import Explorer
from bayes_listexp.figures import to_svg
from bayes_listexp.tables import Table, to_html


class CheckLike(Protocol):
    """What the report needs of a check (`bayes_listexp.checks.Check` has it)."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def question(self) -> str:
        """What it asks."""

    @property
    def passed(self) -> bool | None:
        """Whether it passed; None where there is nothing to pass."""

    @property
    def table(self) -> pd.DataFrame | None:
        """The numbers behind it."""

    @property
    def text(self) -> str:
        """What was found, in one plain sentence."""


@dataclass(frozen=True)
class Subheading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "subheading"


@dataclass(frozen=True)
class Paragraph:
    """One paragraph of plain text."""

    text: str
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Items:
    """A list of plain texts."""

    texts: tuple[str, ...]
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    pairs: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Warn:
    """A paragraph that must not be overlooked."""

    text: str
    kind: ClassVar[str] = "warn"


@dataclass(frozen=True)
class Figure:
    """An SVG figure made by `figures.to_svg` with the same name, and its caption; where known, what it was made of."""

    name: str
    svg: str
    caption: str
    drawn: MatplotlibFigure | None = field(default=None, compare=False, repr=False)
    synthetic: bool = False
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class CheckList:
    """Checks with their outcome, each with its table folded away."""

    checks: Sequence[CheckLike]
    kind: ClassVar[str] = "checks"


@dataclass(frozen=True)
class Code:
    """Text to copy: a methods paragraph, references, a command."""

    title: str
    text: str
    language: str = "text"
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Link:
    """A link to a page beside this one (``gallery/index.html``), and what stands there in a few words."""

    text: str
    address: str
    detail: str = ""


@dataclass(frozen=True)
class Links:
    """A list of links."""

    links: tuple[Link, ...]
    kind: ClassVar[str] = "links"


Block = Subheading | Paragraph | Items | Facts | Warn | Figure | Table | CheckList | Code | Explorer | Links


@dataclass(frozen=True)
class Section:
    """A part of the report: `id` (for links), title, one plain sentence that leads, and blocks."""

    id: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything a page says.

    `headline` is the result in one sentence with its interval. `synthetic` puts a banner on the page and
    asks for the mark on every figure. `alarm` (for instance: the fit did not converge) stands in red above
    everything. `facts` end the page: versions, seed, hash of the data.
    """

    title: str
    headline: str
    sections: tuple[Section, ...]
    subtitle: str = ""
    synthetic: bool = False
    alarm: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


def figure(fig: MatplotlibFigure, *, name: str, caption: str, synthetic: bool, alt: str = "") -> Figure:
    """Make the block of a matplotlib figure; `alt` and `synthetic` as in `figures.to_svg`."""
    return Figure(name, to_svg(fig, name=name, alt=alt, synthetic=synthetic), caption, fig, synthetic)


def render_report(report: Report) -> str:
    """Render the report as one self-contained HTML page that fetches nothing; same records, same bytes.

    Every text is escaped. Raises `InputError` when two sections or two figures share a name, when an id
    cannot be one, when a link leads elsewhere than to a page beside this one, when a figure was not made by
    `figures.to_svg`, or when one lacks the mark that synthetic data must carry.
    """
    _require_ids(report)
    _require_links(report)
    for block in _figures(report):
        _require_figure(block, synthetic=report.synthetic)
    environment = Environment(
        loader=PackageLoader("bayes_listexp"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _script(report)
    page = environment.get_template("report.html.j2").render(
        report=report,
        script=Markup(script),
        script_hash=Markup(b64encode(sha256(script.encode()).digest()).decode()),
        table_html=lambda table: Markup(to_html(table)),
        svg=lambda block: Markup(block.svg),
        check_table=_check_table,
        counts=Counter(_outcome(check) for check in _checks(report)),
        outcome=_outcome,
    )
    return page.rstrip() + "\n"


def tables_of(report: Report) -> list[Table]:
    """Every table of the report, in order, for files of their own."""
    return [block for section in report.sections for block in section.blocks if isinstance(block, Table)]


def outcomes(checks: Sequence[CheckLike]) -> str:
    """How many of the checks failed, in one sentence, with the questions that did."""
    asked = [check for check in checks if check.passed is not None]
    failed = [check.question for check in asked if not check.passed]
    if not failed:
        return f"All {len(asked)} checks passed."
    return f"{len(failed)} of {len(asked)} checks failed: {' '.join(failed)}"


def _script(report: Report) -> str:
    """The script of the parts that readers turn themselves, "" where there are none; the page's policy runs no other."""
    blocks = [b for section in report.sections for b in section.blocks if isinstance(b, Explorer)]
    return (files("bayes_listexp") / "templates" / "explorer.js").read_text(encoding="utf-8") if blocks else ""


def _figures(report: Report) -> list[Figure]:
    return [b for section in report.sections for b in section.blocks if isinstance(b, Figure)]


def _checks(report: Report) -> list[CheckLike]:
    lists = [b for section in report.sections for b in section.blocks if isinstance(b, CheckList)]
    return [check for block in lists for check in block.checks]


def _require_ids(report: Report) -> None:
    """Ids must be unique in the page and usable in a link."""
    names = [section.id for section in report.sections] + [f"figure-{b.name}" for b in _figures(report)]
    names += [f"explorer-{b.name}" for section in report.sections for b in section.blocks if isinstance(b, Explorer)]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise InputError(f"two parts of the report are called {twice[0]!r}; give each its own name")
    for section in report.sections:
        if not re.fullmatch(r"[a-z][a-z0-9-]*", section.id) or section.id.startswith(("figure-", "report-", "explorer-")):
            raise InputError(
                f"section id {section.id!r}: use small letters, digits and -, beginning with a letter, and "
                "not with figure-, report- or explorer-"
            )


def _require_links(report: Report) -> None:
    """A link leads to a page beside this one, so that a folder of pages can be moved and read offline."""
    blocks = [b for section in report.sections for b in section.blocks if isinstance(b, Links)]
    for link in (link for block in blocks for link in block.links):
        if not re.fullmatch(r"(\.\./)?([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.html", link.address):
            raise InputError(f"link {link.text!r}: {link.address!r} is not the relative address of a page, such as study/index.html")


def _require_figure(block: Figure, *, synthetic: bool) -> None:
    """A figure must be described, carry its own name, and show what kind of data it is drawn from."""
    if f'id="figure-{block.name}"' not in block.svg or "aria-labelledby" not in block.svg:
        raise InputError(f"figure {block.name!r} was not made by to_svg(fig, name={block.name!r})")
    if synthetic and "SYNTHETIC DATA" not in block.svg:
        raise InputError(f"figure {block.name!r} shows synthetic data unmarked; pass synthetic=True to to_svg")


def _outcome(check: CheckLike) -> str:
    """Say in a word how a check ended."""
    return {True: "passed", False: "failed", None: "information"}[check.passed]


def _check_table(check: CheckLike) -> Markup | None:
    """The numbers behind a check, where there are any."""
    if check.table is None or check.table.empty:
        return None
    return Markup(to_html(Table(check.name, check.table, check.question)))
