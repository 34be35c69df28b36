"""What holds of whatever is given, with few examples of each property; `python -m benchmarks.fuzz run` tries thousands."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.properties import PROPERTIES

EXAMPLES = {"estimators": 3, "specs": 3, "checks": 1, "surveys": 6, "tabulated": 4, "populations": 5, "formulas": 12}


@pytest.mark.filterwarnings("ignore:.*cast:RuntimeWarning")  # of drawing: a check has its own filter, which makes every warning an error
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_result_with_its_invariants_or_an_error_in_words(name):
    own = PROPERTIES[name]

    @settings(max_examples=EXAMPLES.get(name, 8), derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(own.cases)
    def holds(case):
        own.check(case)

    holds()
