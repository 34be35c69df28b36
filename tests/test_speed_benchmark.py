"""The kernel that speed is measured against is the same log density, and the page of the benchmark can be written."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import ListExperiment
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density
from bayes_listexp.specification import Specification, blueprint
from benchmarks import kernel, speed


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=60), "z": rng.integers(0, 2, 60), "arm": np.arange(60) % 2})
    frame["answer"] = rng.integers(0, 5, 60)
    study = ListExperiment.from_frame(frame, answer="answer", arm="arm", J=4)
    return build_model(blueprint(study, Specification(trait="1 + x + z", control="1 + z")))


def test_the_kernel_is_the_model(model, monkeypatch):
    monkeypatch.setattr(kernel, "_kernel", kernel._kernel.py_func)  # as written, without compiling it
    density, by_hand = compile_density(model, mode="FAST_COMPILE"), kernel.kernel_of(model)
    for seed in range(3):
        at = np.random.default_rng(seed).normal(size=len(density.start))
        (value, gradient), (same, same_gradient) = density.function(at), by_hand(at)
        assert value == pytest.approx(same, rel=1e-10)
        np.testing.assert_allclose(gradient, same_gradient, rtol=1e-8, atol=1e-9)


def test_every_part_has_a_page():
    assert set(speed.PAGES) == set(speed.PARTS)
    rows = {"size": [{"N": 10_000, "seconds": 1.0}, {"N": 10_000_000, "seconds": 1.2}], "shell": [{"help": 0.3, "python": 0.02}]}
    page = speed.summary(rows)
    assert "1.20 times as long" in page
    assert "0.30 s" in page
