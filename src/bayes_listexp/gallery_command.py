"""The command `bayes-listexp gallery`: published list experiments, analysed again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from bayes_listexp.errors import InputError


def gallery(
    *,
    out: Path = Path("gallery"),
    table: Path | None = None,
    printed: Path | None = None,
    study: tuple[str, ...] = (),
    method: Literal["nuts", "map"] = "nuts",
    seed: int = 1,
    quiet: bool = False,
) -> int:
    """Analyse every published table again: an index with one row a study, and a page for each.

    Prints the index as a Markdown table, and the path of its page. Fits are kept in the folder; those that are there are not sampled again.

    Parameters
    ----------
    out: Folder for index.html and a folder for each study.
    table: A table of counts of your own (study, group, direct, n_control_items, arm, item_count, n) instead of those that come along.
    printed: What was printed about it (study, what, of, estimate, se, n, by, place).
    study: Names of the studies to analyse; all without.
    method: "nuts" samples each posterior; "map" is a quick look, draws around its mode.
    seed: Seed of the draws.
    quiet: No progress.
    """
    from bayes_listexp.batch import write_gallery
    from bayes_listexp.markdown_tables import to_markdown

    if out.is_file():
        raise InputError(f"--out {out}: there is a file of that name. Name a folder.")
    say = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    made = write_gallery(out, table=table, printed=printed, only=study, method=method, seed=seed, say=say)
    print(to_markdown(made.studies))
    print(out / "index.html", flush=True)
    if method == "nuts" and not made.converged:
        print("A fit did not converge: the pages say which, and what to do.", file=sys.stderr)
        return 1
    return 0

