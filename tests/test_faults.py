"""What becomes of results when something breaks; benchmarks/faults.py does the same with processes that really die."""

import os
import signal

import numpy as np
import pytest
import xarray as xr

from bayes_listexp.checks import converged, convergence
from bayes_listexp.sampling import Density, Sampler, sample_nuts
from bayes_listexp.stored import interrupted


def interrupting(call):
    """A normal density of two parameters; its given call is a Ctrl-C."""
    calls = []

    def evaluate(x):
        calls.append(x)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return -0.5 * float(x @ x), -x

    return Density(evaluate, np.zeros(2))


# Ctrl-C in sampling


def test_an_interrupted_run_has_what_was_drawn_and_says_so():
    settings = Sampler(draws=20_000, tune=100, chains=3, cores=1)
    draws, stats = sample_nuts(interrupting(4000), settings, seed=1)
    chains, length = draws.shape[:2]
    assert (chains, dict(stats.sizes)) == (1, {"chain": 1, "draw": length})  # one at a time: the others had not begun
    assert 20 <= length < 20_000
    assert np.isfinite(draws).all()
    assert stats.attrs["interrupted"] == f"1 of 3 chains, with {length:,} of 20,000 draws each"
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw", "k"), draws)}), "sample_stats": stats})
    assert interrupted(tree).startswith("1 of 3 chains")
    first = convergence(tree)[0]
    assert first.passed is False
    assert "Sampling was interrupted: there are 1 of 3 chains" in first.text
    assert [check.text for check in convergence(tree) if check.name == "R-hat"] == ["There is one chain, and none to agree with."]
    assert not converged(tree)


def test_a_run_that_is_interrupted_before_it_drew_leaves_nothing():
    with pytest.raises(KeyboardInterrupt):
        sample_nuts(interrupting(100), Sampler(draws=100, tune=2000, chains=2, cores=2), seed=1)


def test_a_run_that_was_not_interrupted_is_whole():
    draws, stats = sample_nuts(interrupting(10**9), Sampler(draws=50, tune=50, chains=2, cores=2), seed=1)
    assert draws.shape == (2, 50, 2)
    assert "interrupted" not in stats.attrs
