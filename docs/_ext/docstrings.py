"""Docstrings as reStructuredText: sections with entries "name : what it is", and text whose stars and bars are just that."""

import re
from collections.abc import Iterator
from typing import Any

LISTS = ("Parameters", "Attributes", "Raises")
ENTRY = re.compile(r"^(\S[^:]*?) : (.+)$")
LITERAL = re.compile(r"(:\w+(?::\w+)?:`[^`]*`|``[^`]+``)")


def rst_of(lines: list[str]) -> list[str]:
    """A docstring's lines as reStructuredText: sections become rubrics, their entries definitions."""
    out: list[str] = []
    section = ""
    for line, literal in _marked(_joined(lines)):
        if out and re.fullmatch(r"-{3,}", line) and out[-1].strip():
            section = out.pop().strip()
            out += [f".. rubric:: {section}", ""]
            continue
        if literal:
            out.append(line)
            continue
        entry = ENTRY.match(line) if section in LISTS else None
        if entry:
            out += [f"``{entry[1]}``", f"    {_escaped(entry[2])}"]
            continue
        if line[:1].strip() and out and not out[-1].strip() and out[-2:-1] != [f".. rubric:: {section}"]:
            section = ""
        out.append(_escaped(line))
    return out


def _joined(lines: list[str]) -> Iterator[str]:
    """Names that go over several lines on one."""
    held = ""
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        starts = line[:1].strip() and line.endswith(",") and " : " not in line
        if held:
            held, line = "", f"{held} {line.strip()}"
        elif starts and re.match(r"\s+[\w, ]+ : ", following):
            held = line
            continue
        yield line


def _marked(lines: Iterator[str]) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it is in a literal block."""
    inside = False
    for line in lines:
        if inside and line[:1].strip():
            inside = False
        yield line, inside
        inside = inside or line.rstrip().endswith("::")


def _escaped(line: str) -> str:
    return "".join(part if i % 2 else _plain(part) for i, part in enumerate(LITERAL.split(line)))


def _plain(text: str) -> str:
    parts = re.split(r"(`[^`]+`)", text)
    escaped = [re.sub(r"([*|])", r"\\\1", re.sub(r"(?<=\w)_(?!\w)", r"\\_", part)) for part in parts[::2]]
    literal = [f"`{part}`" for part in parts[1::2]]
    return "".join(x for pair in zip(escaped, [*literal, ""], strict=True) for x in pair)


def _process(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    lines[:] = rst_of(lines)


def setup(app: Any) -> dict[str, bool]:
    """Register the rewriting."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
