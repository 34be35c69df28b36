"""Files that the site is made of and that are made when it is built; a file that stays the same is not touched."""

import json
import re
from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Write pages by name, and remove what is no longer among them."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def copy_notebooks(source: Path, folder: Path) -> None:
    """Copy the notebooks with the outputs that they are stored with; pictures keep the words that describe them."""
    write(folder, {path.name: _described(path.read_text(encoding="utf-8")) for path in sorted(source.glob("*.ipynb"))})


def _described(notebook: str) -> str:
    """The notebook with the description of each cell's picture where the site's builder looks for it."""
    parsed = json.loads(notebook)
    for cell in parsed["cells"]:
        for output in cell.get("outputs", []):
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
    return json.dumps(parsed, ensure_ascii=False, indent=1)


def further_pages(docs: Path) -> list[str]:
    """The pages of the folder that no page lists, so that a new one has a place at once."""
    listed = {name for page in docs.glob("*.md") for name in re.findall(r"^(\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}
    return sorted(page.stem for page in docs.glob("*.md") if page.stem not in listed | {"index"})
