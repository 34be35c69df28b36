"""One look for every figure, and the way out of matplotlib: SVG, PNG and PDF with the same bytes every time."""

import io
import re
from collections.abc import Mapping
from functools import lru_cache
from textwrap import wrap
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from bayes_listexp.errors import InputError

WIDTH = 4.8  # inches: fits a text column on paper, and stays legible when scaled to a phone
POSTERIOR = "#1b4f8a"
TINT = "#c5d6ea"  # the posterior's density
FALL = "#8fb0d6"  # the part of a density below zero
FADED = "#e3e3e3"  # a density's other side
DIM = "#a8430b"  # difference in means
INK = "#1a1a1a"
GREY = "#595959"
RULE = "#d4d4d4"
SHADE = "#f0f0f0"
ALARM = "#a3121f"

EDGE = 0.03  # inches
TEXT = 9.5  # points
SMALL = 8.5
LINE = 0.172  # inches from one line of text to the next

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib and has the Kazakh letters
    "font.size": TEXT,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.color": GREY,
    "xtick.labelsize": TEXT,
    "xtick.labelcolor": INK,
    "ytick.labelsize": TEXT,
    "ytick.labelcolor": INK,
    "lines.solid_capstyle": "butt",
    "figure.dpi": 100,
    "svg.fonttype": "none",
}
# None of these is wider than the font that was measured.
FONTS = "'Helvetica Neue', Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
SYNTHETIC = "SYNTHETIC DATA"
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
styled = mpl.rc_context(STYLE)


class Canvas(NamedTuple):
    """A figure with a page under it whose coordinates are inches from the upper left corner."""

    fig: Figure
    page: Axes
    height: float


def canvas(height: float) -> Canvas:
    """Start a figure `WIDTH` × `height` inches."""
    fig = Figure(figsize=(WIDTH, height))
    page = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    page.axis("off")
    page.set_zorder(10)  # a long heading of a group runs across the plot and must stay readable
    return Canvas(fig, page, height)


def panel(on: Canvas, left: float, top: float, width: float, height: float) -> Axes:
    """Place axes on the page; arguments in inches, `top` measured downwards."""
    return on.fig.add_axes((left / WIDTH, 1 - (top + height) / on.height, width / WIDTH, height / on.height))


@lru_cache(maxsize=4096)
def measured(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Width of one line of text in inches."""
    if not text.strip():
        return 0.0
    with mpl.rc_context(STYLE):
        return TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight)).get_extents().width / 72


def fitted(text: str, inches: float, size: float = TEXT, weight: str = "normal") -> list[str]:
    """Break text into lines no wider than `inches`; long words are broken, nothing is cut off."""
    if not text:
        return []
    longest = int(1.6 * len(text) * inches / max(measured(text, size, weight), inches)) + 1
    for width in range(longest, 1, -1):
        lines = wrap(text, width)
        if max(measured(line, size, weight) for line in lines) <= inches:
            return lines
    return list(text)


def heading(title: str, subtitle: str = "") -> tuple[list[str], list[str], float]:
    """Lines of a title and a subtitle, and the height in inches that they need."""
    above, below = fitted(title, WIDTH - 0.1, TEXT + 2, "bold"), fitted(subtitle, WIDTH - 0.1)
    height = 0.21 * len(above) + LINE * len(below) + (0.1 if above or below else 0.0)
    return above, below, height


def write_heading(page: Axes, above: list[str], below: list[str]) -> None:
    """Write title and subtitle at the top of the page."""
    for index, line in enumerate(above):
        page.text(EDGE, 0.02 + 0.21 * index, line, size=TEXT + 2, weight="bold", va="top")
    for index, line in enumerate(below):
        page.text(EDGE, 0.02 + 0.21 * len(above) + LINE * index, line, color=GREY, va="top")


def to_svg(fig: Figure, *, name: str, alt: str = "", synthetic: bool = False) -> str:
    """Write a figure as an SVG element that can stand in a page or in a file.

    `name` (letters, digits, - and _) is the root of every id, so that figures with different names never
    clash in one page. `alt` describes the figure in words; every figure function here leaves such a
    description as the figure's label, which is used when `alt` is empty. `synthetic` adds the mark
    "SYNTHETIC DATA". The bytes depend on the figure and the arguments alone. Raises `InputError` on a name
    that cannot be an id, and on a figure without a description.
    """
    described = alt or str(fig.get_label())
    if not described:
        raise InputError(f"figure {name!r} has no description; pass alt=")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise InputError(f"figure name {name!r}: use letters, digits, - and _, beginning with a letter")
    raw = _written(fig, "svg", {"svg.hashsalt": name}, {"Date": None}, synthetic)
    return _cleaned(raw.decode(), f"figure-{name}", described)


def to_png(fig: Figure, *, dpi: int = 200, synthetic: bool = False) -> bytes:
    """Write a figure as PNG; `synthetic` adds the mark. The bytes depend on the figure and the arguments
    alone.
    """
    return _written(fig, "png", {"savefig.dpi": dpi}, {"Software": None}, synthetic)


def to_pdf(fig: Figure, *, synthetic: bool = False) -> bytes:
    """Write a figure as PDF with its fonts, titled by its description; `synthetic` adds the mark. The bytes depend on the figure
    and the arguments alone.
    """
    metadata = {"Title": str(fig.get_label()) or None, "CreationDate": None, "Creator": None, "Producer": None}
    return _written(fig, "pdf", {"pdf.fonttype": 42}, metadata, synthetic)


def _written(fig: Figure, fmt: str, settings: dict[Any, Any], metadata: Mapping[str, str | None], synthetic: bool) -> bytes:
    """Print the figure, with the mark in a strip of its own above the figure when the data are synthetic."""
    width, height = fig.get_size_inches()
    above = 0.3 if synthetic else 0.0
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE | settings):
        FigureCanvasAgg(fig)
        marks = [_mark_synthetic(fig)] if synthetic else []
        fig.savefig(buffer, format=fmt, metadata=metadata, bbox_inches=Bbox([[0, 0], [width, height + above]]))
        for mark in marks:
            mark.remove()
    return buffer.getvalue()


def _mark_synthetic(fig: Figure) -> Artist:
    """Write the mark above the upper right corner, centred so that it fills its box in any font."""
    width, height = fig.get_size_inches()
    centre = width - measured(SYNTHETIC, SMALL, "bold") / 2 - 0.07
    return fig.text(
        centre / width, 1 + 0.15 / height, SYNTHETIC, ha="center", va="center",
        size=SMALL, weight="bold", color="#6b4500",
        bbox=dict(boxstyle="square,pad=0.3", facecolor="#fff4d6", edgecolor="#8a5a00", linewidth=0.8),
    )  # fmt: skip


def _cleaned(raw: str, root: str, alt: str) -> str:
    """Drop what identifies nothing, make ids unique to this figure, and describe it to a screen reader."""
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    svg = ElementTree.fromstring(re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", raw))
    for metadata in svg.findall(f"{{{SVG}}}metadata"):
        svg.remove(metadata)
    _rename_ids(svg, root)
    for element in svg.iter():
        if element.tag == f"{{{SVG}}}style":
            element.text = f"#{root} *{{stroke-linejoin: round; stroke-linecap: butt}}"
        if "style" in element.attrib:
            element.set("style", re.sub(r"'DejaVu Sans'", FONTS, element.get("style", "")))
    svg.attrib.update({"id": root, "role": "img", "aria-labelledby": f"{root}-description"})
    description = ElementTree.Element(f"{{{SVG}}}title", {"id": f"{root}-description"})
    description.text = alt
    svg.insert(0, description)
    return ElementTree.tostring(svg, encoding="unicode").strip() + "\n"


def _rename_ids(svg: ElementTree.Element, root: str) -> None:
    """Number the ids that something refers to, under the figure's own root; drop the others."""
    href, reference = f"{{{XLINK}}}href", re.compile(r"url\(#([^)]+)\)")
    used: dict[str, str] = {}
    for element in svg.iter():
        names = [v[1:] for k, v in element.attrib.items() if k == href]
        names += [found for value in element.attrib.values() for found in reference.findall(value)]
        for name in names:
            used.setdefault(name, f"{root}-{len(used) + 1}")
    for element in svg.iter():
        for key, value in list(element.attrib.items()):
            if key == "id":
                element.attrib.pop("id")
                if value in used:
                    element.set("id", used[value])
            elif key == href:
                element.set(key, f"#{used[value[1:]]}")
            elif "url(#" in value:
                element.set(key, reference.sub(lambda found: f"url(#{used[found[1]]})", value))
