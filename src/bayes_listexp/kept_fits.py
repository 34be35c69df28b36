"""The fits of a folder: made once, stored at once, recognised when nothing that they depend on has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from bayes_listexp.disclosure import withholding
from bayes_listexp.errors import InputError
from bayes_listexp.folders import ADVICE, load_tree, store_tree
from bayes_listexp.stored import PACKAGES, interrupted

Say = Callable[[str], None]

OF_A_FIT = ("summary.json", "report.html", "tables", "figures")
"""What a run says of its fits."""


class Fits(NamedTuple):
    """The fits of one folder, how to say what is done, and how to note what should be known afterwards."""

    target: Path
    say: Say
    note: Say

    def of(self, name: str, key: str, make: Callable[[], xr.DataTree], label: str = "") -> xr.DataTree:
        """The stored fit of this key if there is one, else a new one that carries the key and is stored at once.

        What is made from it later, or fitted after it, can fail without its being lost. What was said of the fit that it replaces goes.
        """
        path = self.target / f"{name}.nc"
        if (tree := self._kept(path, key)) is not None:
            self.say(f"{self.target.name}: {label or 'fit'} unchanged, taken from {path}")
            return tree
        self.say(f"{self.target.name}: fitting{' ' + label if label else ''} ...")
        tree = make()
        tree.attrs["batch_key"] = key
        self.target.mkdir(parents=True, exist_ok=True)
        forget(self.target)
        store_tree(tree, path)
        if left := interrupted(tree):
            self.note(f"{path}: sampling was interrupted. It holds {left}, marked as such; the same command samples it again, to the end.")
        return tree

    def whole(self, name: str, key: str, make: Callable[[], xr.DataTree], label: str = "") -> xr.DataTree:
        """The same where others will follow, which Ctrl-C means as well: a KeyboardInterrupt after an interrupted fit was stored."""
        tree = self.of(name, key, make, label)
        if interrupted(tree):
            raise KeyboardInterrupt
        return tree

    def withholding(self, name: str, tree: xr.DataTree, smallest: int) -> xr.DataTree:
        """A fit with the smallest group that may be shown now; it is stored with it, if it was stored with another number."""
        now = withholding(tree, smallest)
        if now is not tree:
            store_tree(now, self.target / f"{name}.nc")
        return now

    def _kept(self, path: Path, key: str) -> xr.DataTree | None:
        """What is stored, if it is the fit of this key and whole; what cannot be read is set aside."""
        if not path.exists():
            return None
        try:
            tree = load_tree(path)
        except InputError as error:
            aside = path.with_name(f"{path.name}.damaged")
            os.replace(path, aside)
            self.note(f"{str(error).removesuffix(ADVICE).strip()} It is kept as {aside.name}, and is made again.")
            return None
        return tree if tree.attrs.get("batch_key") == key and not interrupted(tree) else None


def key_of(data: str, arguments: Mapping[str, Any]) -> str:
    """Hash of the data, the arguments and the versions that a result depends on; progress and cores are not among them."""
    from importlib.metadata import version

    kept = {k: v for k, v in arguments.items() if k != "sample"}
    kept["sample"] = {k: v for k, v in dict(arguments.get("sample") or {}).items() if k not in ("progress", "cores")}
    versions = {package: version(package) for package in PACKAGES}
    return hashlib.sha256(json.dumps([data, kept, versions], sort_keys=True, default=str).encode()).hexdigest()


def forget(target: Path) -> None:
    """Remove what is said of a fit."""
    for name in OF_A_FIT:
        old = target / name
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
