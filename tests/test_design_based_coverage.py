"""The coverage study of estimators without a model: its shortcuts give users' numbers, and its table is what the page shows."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.design_based_coverage import DESIGNS, ESTIMATORS, coverage

PAGE = Path(__file__).parents[1] / "docs" / "design_based.md"


@pytest.mark.parametrize("design", DESIGNS)
def test_arrays_give_what_users_compute(design):
    """`coverage` itself holds its first studies against the public functions."""
    table = coverage(design, 200, 2)
    assert table["estimator"].tolist() == list(ESTIMATORS)
    assert np.isfinite(table["sd"]).all()


def test_the_page_says_that_intervals_cover_with_a_thousand_respondents():
    """In the page's table of n = 1,000 every coverage is 93 to 97 %, bounds aside, which cover more inside them."""
    lines = PAGE.read_text(encoding="utf-8").split("### n = 1,000")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    shown = {row[0]: [float(cell.split()[0]) for cell in row[1:]] for row in rows[: len(ESTIMATORS)]}
    assert list(shown) == list(ESTIMATORS)
    for name, covered in shown.items():
        assert all(93 <= c <= (100 if name.startswith("bounds") else 97) for c in covered), name
