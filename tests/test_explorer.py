"""The counts behind the threshold slider: exact at every whole per cent."""

import numpy as np
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.explorer import STEPS, Explorer, Level, by_percent, share_above


def test_counts_above_every_whole_per_cent_are_those_of_the_draws():
    draws = np.concatenate([np.random.default_rng(1).beta(3, 2, 4000), np.arange(STEPS + 1) / STEPS])  # ends of the bins too
    counts = by_percent(draws.reshape(1, -1))
    assert sum(counts) == draws.size
    level = Level("a", "", "", counts)
    for threshold in range(1, STEPS + 1):
        assert share_above(level, threshold) == (draws > threshold / STEPS).mean()
    assert share_above(level, 0) == 1.0


def test_draws_that_are_no_shares_are_refused():
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(InputError, match="between 0 and 1"):
            by_percent(np.array([0.5, bad]))


def test_views_are_packed_under_the_positions_of_their_options():
    level = Level("<b>", "50 %", "40 to 60 %", by_percent(np.array([0.405, 0.415, 0.425, 0.425])))
    block = Explorer("t", "c", (("Group", ("g", "everybody")), ("Wave", ("2", "1"))),
                     {(g, w): (level,) for g in ("g", "everybody") for w in ("1", "2")})
    assert set(block.data["views"]) == {"0,0", "0,1", "1,0", "1,1"}
    assert block.data["views"]["1,0"] == [["<b>", "50 %", "40 to 60 %", 40, [1, 1, 2]]]
    assert block.first == (level,)
