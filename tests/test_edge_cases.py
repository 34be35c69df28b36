"""Odd data give the right answer or a message that helps: the cases of the reference file, by its names, and further ones."""

from pathlib import Path

import numpy as np
import pytest

from edge_cases import PUBLISHED, REFERENCE, Answer, real
from edge_cases_page import CASES, page, reference, result

PAGE = Path(__file__).parents[1] / "docs" / "edge_cases.md"


def test_every_case_of_the_reference_is_here():
    if not REFERENCE.exists():
        pytest.skip("the reference results are not beside the project")
    assert set(PUBLISHED) == set(reference())
    assert len(PUBLISHED) == 73


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    found, parts = result(name), CASES[name].refused
    if parts:
        assert isinstance(found, str), "answered, and should be refused"
        assert [part for part in parts if part not in found] == [], found
    else:
        assert isinstance(found, Answer), found
        assert np.isfinite(found.ours)
        assert abs(found.ours - found.right) <= found.within


def test_the_documentation_shows_these_cases():
    if not REFERENCE.exists() or not real():
        pytest.skip("the data and reference results are not beside the project")
    assert PAGE.read_text(encoding="utf-8") == page(), "print it again: python tests/edge_cases_page.py > docs/edge_cases.md"
