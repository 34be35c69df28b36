"""The counts behind the threshold slider: exact at every whole per cent."""

import numpy as np
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.explorer import HIGH, Explorer, Level, by_percent, change_levels, share_beyond


def test_counts_above_every_whole_per_cent_are_those_of_the_draws():
    draws = np.concatenate([np.random.default_rng(1).beta(3, 2, 4000), np.arange(HIGH + 1) / HIGH])  # ends of the bins too
    counts = by_percent(draws.reshape(1, -1))
    assert sum(counts) == draws.size
    level = Level("a", "", "", counts)
    for threshold in range(1, HIGH + 1):
        assert share_beyond(level, threshold) == (draws > threshold / HIGH).mean()
    assert share_beyond(level, 0) == 1.0


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


def test_falls_count_from_below_and_rises_from_above():
    draws = np.concatenate([np.random.default_rng(2).normal(-0.1, 0.15, 4000), np.arange(-HIGH, HIGH + 1) / HIGH]).clip(-1, 1)
    (level,) = change_levels({"a": draws})
    for threshold in range(-HIGH + 1, HIGH + 1):
        expected = draws <= threshold / HIGH if threshold <= 0 else draws > threshold / HIGH
        assert share_beyond(level, threshold, low=-HIGH) == expected.mean()
    block = Explorer("c", "c", (), {(): (level,)}, threshold=-20, low=-HIGH)
    assert block.heading == "P(fall of 20 points or more)"
    assert block.ends == (-100, 100)
    assert Explorer("c", "c", (), {(): change_levels({"a": draws[:4000].clip(-0.33, 0.2)})}, low=-HIGH).ends == (-40, 40)
