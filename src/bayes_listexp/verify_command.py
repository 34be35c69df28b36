"""The command `bayes-listexp show --verify`: a stored fit held against what it says of itself, and against its data file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayes_listexp.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from bayes_listexp.verification import Verified

NEAR = 3
"""Folders above the run in which its data file is looked for."""


def print_verified(run: Path, data: Path | None = None) -> int:
    """Print one line for each check of a stored fit; 1 if one does not agree, else 0.

    Raises
    ------
    InputError : there is no such file, or ``data`` cannot be read.
    """
    from bayes_listexp.folders import load_tree
    from bayes_listexp.verification import Verified, verify

    file = run / "fit.nc" if run.is_dir() else run
    if not file.is_file():
        raise InputError(f"{file}: there is no such fit. Name a fit.nc, or the folder of a run.")
    try:
        tree = load_tree(run)
    except InputError as error:
        print(f"no    file: {error}")
        return 1
    found = [Verified("file", True, "The file is whole."), *verify(tree), *_of_file(tree, file, data)]
    for check in found:
        print(f"{ {True: 'yes', False: 'no', None: '-'}[check.passed]:<5} {check.name}: {check.text}")
    return 1 if any(check.passed is False for check in found) else 0


def _of_file(tree: xr.DataTree, fit: Path, data: Path | None) -> list[Verified]:
    """Whether the data file is the one that was read, if it can be found."""
    from bayes_listexp.read import file_sha256
    from bayes_listexp.stored import fact
    from bayes_listexp.verification import Verified

    source = fact(tree, "source") if "source" in tree.attrs else {}
    if "file_sha256" not in source:
        return [] if data is None else [Verified("data file", None, "The fit does not know the hash of its file; nothing was compared.")]
    folders = [Path(), fit.resolve().parent, *list(fit.resolve().parents)[1 : NEAR + 1]]
    name = Path(source.get("file", source["name"])).name
    path = data or next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        return [Verified("data file", None, f"{name} was not found; name it with --data.")]
    same = file_sha256(path) == source["file_sha256"]
    return [Verified("data file", same, f"{path} is the file that was read." if same else
                     f"{path} is not the file that was read: its bytes have another hash. The fit was made from other data.")]
