"""Leave-one-out from patterns is that of the respondents; a comparison is of the same data only."""

import json

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp.comparison import compare, loo
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit

N = np.array([1, 5, 12, 30, 2])


def made_up(seed):
    """A tree as far as leave-one-out needs it: log-likelihoods of five patterns that move with one parameter."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 500))
    log_likelihood = -1.5 + 0.2 * x[..., None] * np.array([-1.0, 0.5, 0.2, 0.1, -0.7]) - 0.1 * np.arange(5)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), x)}),
            "log_likelihood": xr.Dataset(
                {"answer_given": (("chain", "draw", "pattern"), log_likelihood)},
                coords={"arm": ("pattern", list("cctct"))},
            ),
            "observed_data": xr.Dataset({"pattern_n": ("pattern", N)}),
        }
    )


def test_patterns_give_what_the_respondents_give():
    tree = made_up(1)
    found = loo(tree)
    expanded = tree["log_likelihood"]["answer_given"].drop_vars("arm").isel(pattern=np.repeat(np.arange(5), N))
    everybody = xr.DataTree.from_dict(
        {"posterior": tree["posterior"].to_dataset(), "log_likelihood": expanded.to_dataset(name="answer_given")}
    )
    expected = az.loo(everybody, pointwise=True)
    assert found.elpd == pytest.approx(expected.elpd, rel=1e-10)
    assert found.se == pytest.approx(expected.se, rel=1e-10)
    assert found.p == pytest.approx(expected.p, rel=1e-8)
    assert found.n_data_points == expected.n_data_points == 50
    np.testing.assert_allclose(np.repeat(found.elpd_i, N), expected.elpd_i)
    np.testing.assert_allclose(np.repeat(found.pareto_k, N), expected.pareto_k)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(6)
    n = 1500
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "sex": rng.choice(["f", "m"], n)})
    count = rng.choice(5, n, p=[0.02, 0.1, 0.6, 0.26, 0.02])  # far less dispersed than a binomial
    return frame.assign(y=count + (rng.random(n) < 0.4) * frame["treat"])


@pytest.fixture(scope="module")
def fits(people):
    made = ListExperiment.from_frame(people, answer="y", arm="treat", J=4)
    rest = {"trait": "1 + sex", "control": "1", "dependence": "none", "method": "map"}
    return {"softmax": fit(made, **rest), "binomial": fit(made, counts="binomial", **rest)}


def test_the_model_that_fits_comes_first(fits):
    table = compare(fits)
    assert table["model"].tolist() == ["softmax", "binomial"]
    assert table["elpd_diff"].tolist()[0] == 0
    assert table["elpd_diff"][1] < -3 * table["dse"][1]
    assert table["weight"].sum() == pytest.approx(1)
    assert table["weight"][0] > 0.95
    assert table["elpd"].tolist() == pytest.approx([loo(fits[name]).elpd for name in table["model"]])
    assert table["elpd_diff"][1] == pytest.approx(table["elpd"][1] - table["elpd"][0])
    assert (table["bad_k"] == 0).all()


def test_order_of_the_models_does_not_matter_and_one_is_enough(fits):
    turned = compare(dict(reversed(fits.items())))
    pd.testing.assert_frame_equal(turned, compare(fits), rtol=1e-6)
    assert compare({"softmax": fits["softmax"]})["weight"].tolist() == [1.0]


def test_different_data_are_refused(fits, people):
    other = fits["binomial"].copy()
    source = json.loads(other.attrs["source"])
    other.attrs = {**other.attrs, "source": json.dumps({**source, "sha256": "0" * 64})}
    with pytest.raises(InputError, match="compare: 'softmax' and 'other' are fits of different data"):
        compare({"softmax": fits["softmax"], "other": other})
    made = ListExperiment.from_frame(people, answer="y", arm="treat", J=4)
    coarse = fit(made, counts="binomial", dependence="none", method="map")
    with pytest.raises(
        InputError, match="'softmax' and 'coarse' tabulate the respondents by different columns. Fit both with the same"
    ):
        compare({"softmax": fits["softmax"], "coarse": coarse})


def test_nothing_to_compare():
    with pytest.raises(InputError, match="compare: no fits were given"):
        compare({})


def test_a_tree_from_elsewhere_is_refused(fits):
    with pytest.raises(InputError, match="has no attribute 'source': it was not made by bayes_listexp.fit"):
        compare({"softmax": fits["softmax"], "made up": made_up(1)})
