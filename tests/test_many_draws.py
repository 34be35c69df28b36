"""Functions of many draws: the same numbers in the same order, whatever the chunks."""

from itertools import pairwise

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayes_listexp import many_draws


@pytest.fixture
def compiled():
    x = pt.matrix("x", dtype="float64")
    return pytensor.function([x], [x.sum(axis=1), x * 2], mode="FAST_COMPILE")


@pytest.mark.parametrize("chunk", [3, 7, 1000])
def test_all_draws_in_order(compiled, monkeypatch, chunk):
    monkeypatch.setattr(many_draws, "CHUNK_NUMBERS", chunk * 4)
    values = np.random.default_rng(1).normal(size=(50, 4))
    parts = list(many_draws.in_chunks(compiled, [values], 4))
    assert [len(each) for _, each in parts[:-1]] == [chunk] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate([twice for _, twice in parts]), values * 2)
    np.testing.assert_allclose(np.concatenate([total for total, _ in parts]), values.sum(axis=1), rtol=1e-14)


def test_a_chunk_has_at_least_one_draw(compiled):
    parts = list(many_draws.in_chunks(compiled, [np.ones((3, 2))], 1e9))
    assert [len(total) for total, _ in parts] == [1, 1, 1]


def test_results_are_not_shared(compiled, monkeypatch):
    monkeypatch.setattr(many_draws, "CHUNK_NUMBERS", 1)
    parts = [twice for _, twice in many_draws.in_chunks(compiled, [np.arange(6.0)[:, None]], 1)]
    assert not any(np.shares_memory(one, other) for one, other in pairwise(parts))


def test_an_error_of_one_chunk_is_raised(compiled, monkeypatch):
    monkeypatch.setattr(many_draws, "CHUNK_NUMBERS", 1)
    with pytest.raises(TypeError):
        list(many_draws.in_chunks(compiled, [np.array([["a"], ["b"]])], 1))
