"""The README's blocks of Python, which tests run as they stand there."""

import re
import textwrap
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def block(containing):
    """The one fenced block of Python that holds this text, without its indentation in a list."""
    blocks = re.findall(r"^( *)```python\n(.*?)^\1```$", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = [text for _, text in blocks if containing in text]
    return textwrap.dedent(found)


def run(code, **given):
    """The names that the code defines, with those that it is given."""
    names = {"__name__": "readme", **given}
    exec(compile(code, str(README), "exec"), names)
    return names
