"""Blocks of Python in the README and in two pages of the documentation, which tests run as they stand there."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "own_models.md", ROOT / "docs" / "beside_the_list.md")


def block(containing):
    """The one fenced block of Python that holds this text, without its indentation in a list."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    (found,) = [text for _, text in blocks if containing in text]
    return textwrap.dedent(found)


def run(code, **given):
    """The names that the code defines, with those that it is given."""
    names = {"__name__": "readme", **given}
    exec(compile(code, "a written block", "exec"), names)
    return names
