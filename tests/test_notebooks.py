"""Every notebook runs from top to bottom and prints what it was committed with."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def _printed(notebook):
    """What each cell prints, whole: into how many pieces it is cut depends on how busy the machine is."""
    streams = [[output["text"] for output in cell.get("outputs", []) if output["output_type"] == "stream"] for cell in notebook.cells]
    return ["".join(texts) for texts in streams if texts]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the machinery that runs a kernel, not of the notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_says_the_same(path):
    committed = nbformat.read(path, as_version=4)
    said = _printed(committed)
    assert said, "a notebook is committed with its outputs"
    NotebookClient(committed, timeout=900, kernel_name="python3").execute()
    assert _printed(committed) == said


def test_there_are_notebooks():
    assert NOTEBOOKS
