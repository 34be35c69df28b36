"""Files that the site is made of and that are made when it is built; a file that stays the same is not touched."""

import re
import shutil
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
    """Copy the notebooks with the outputs that they are stored with."""
    folder.mkdir(exist_ok=True)
    notebooks = {path.name: path for path in sorted(source.glob("*.ipynb"))}
    for old in folder.iterdir():
        if old.name not in notebooks:
            old.unlink()
    for name, path in notebooks.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != path.read_bytes():
            shutil.copyfile(path, folder / name)


def further_pages(docs: Path) -> list[str]:
    """The pages of the folder that no page lists, so that a new one has a place at once."""
    listed = {name for page in docs.glob("*.md") for name in re.findall(r"^(\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}
    return sorted(page.stem for page in docs.glob("*.md") if page.stem not in listed | {"index"})
