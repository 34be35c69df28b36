"""Draws of the prior, all at once: each from its distribution, given those it depends on, and apart from the others."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

from bayes_listexp.priors import Prior, logit_variable
from bayes_listexp.sampling import draw_prior

NUMBER = 20_000
SE = 5 / np.sqrt(NUMBER)  # of a standardised mean or a correlation, times five


@pytest.fixture(scope="module")
def drawn():
    with pm.Model() as model:
        scale = pm.HalfNormal("scale", 2.0)
        scales = pm.HalfNormal("scales", 1.0, shape=3)
        z = pm.Normal("z", shape=(2, 3))
        pm.Normal("centred", 5.0, scale, shape=(2, 3))
        pm.Normal("each", np.zeros(3), scales)
        logit_variable("share", Prior("Beta", (1.0, 1.0)))
        pm.Deterministic("product", scale * z)
        pm.Deterministic("fixed", pt.as_tensor(np.arange(2.0)))
    return draw_prior(model, [*model.free_RVs, *model.deterministics], NUMBER, seed=1)


def test_every_variable_is_drawn_in_its_shape(drawn):
    shapes = {name: value.shape[1:] for name, value in drawn.items()}
    assert shapes == {
        "scale": (), "scales": (3,), "z": (2, 3), "centred": (2, 3), "each": (3,), "share": (), "product": (2, 3), "fixed": (2,),
    }  # fmt: skip
    assert {len(value) for value in drawn.values()} == {NUMBER}
    assert (drawn["fixed"] == [0, 1]).all()


def test_draws_follow_what_they_depend_on(drawn):
    np.testing.assert_array_equal(drawn["product"], drawn["scale"][:, None, None] * drawn["z"])
    for standard in (
        (drawn["centred"] - 5) / drawn["scale"][:, None, None],
        drawn["each"] / drawn["scales"],
        drawn["z"],
        drawn["share"] / (np.pi / np.sqrt(3)),  # the logit of a uniform share is logistic
    ):
        assert np.abs(standard.mean(axis=0)).max() < SE
        assert np.abs(standard.std(axis=0) - 1).max() < 1.1 * SE  # a logistic's tails: kurtosis 4.2 makes it 0.9 of that of a mean
    assert np.abs((drawn["scale"] ** 2).mean() / 4 - 1) < SE * np.sqrt(2)


def test_variables_are_drawn_apart(drawn):
    standard = [
        drawn["z"], (drawn["centred"] - 5) / drawn["scale"][:, None, None], drawn["each"] / drawn["scales"], drawn["share"],
        drawn["scale"], drawn["scales"],
    ]  # fmt: skip
    table = np.corrcoef(np.concatenate([value.reshape(NUMBER, -1) for value in standard], axis=1).T)
    assert np.abs(table - np.eye(len(table))).max() < SE
    assert np.abs([np.corrcoef(column[1:], column[:-1])[0, 1] for column in standard[0].reshape(NUMBER, -1).T]).max() < SE
