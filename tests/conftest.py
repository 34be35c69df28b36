from pathlib import Path

import pandas as pd
import pytest

ALONE = "test_notebooks"
"""Its tests share nothing, so that each can go to another process."""

LONGEST = (ALONE, "test_published_model", "test_nuts", "test_survey_report", "test_instruments_in_specs", "test_combinations",
           "test_calibration", "test_changes", "test_browser", "test_outcome", "test_control_count_models")
"""Files that start first, so that at the end no process waits for another."""

SHARED = Path(__file__).parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files stay whole, so that a fit made for one file is not made again in the other process, and the longest come first."""
    for item in items:
        stem = item.path.stem
        item.add_marker(pytest.mark.xdist_group(item.name.replace("[", "-").replace("]", "") if stem == ALONE else stem))
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def shared(name: str) -> Path:
    """A file of real microdata beside the project; the test is skipped where it is absent."""
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the project")
    return path


@pytest.fixture(scope="session")
def race() -> pd.DataFrame:
    return pd.read_csv(shared("race.csv"))


@pytest.fixture(scope="session")
def affirm() -> pd.DataFrame:
    return pd.read_csv(shared("affirm.csv"))
