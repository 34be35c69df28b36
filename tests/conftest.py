from pathlib import Path

import pandas as pd
import pytest

SHARED = Path(__file__).parents[2] / "shared"


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
