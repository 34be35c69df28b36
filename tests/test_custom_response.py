"""The documentation's recipe: a response model of one's own, as a file's worth of rules given to `fit`."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit
from scipy.stats import binom

import readme
from bayes_listexp.estimates import trait_probability
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.responses import lapses, names

N, J, SHARE = 40_000, 4, 0.1


@pytest.fixture(scope="module")
def lapse():
    return readme.run(readme.block("LAPSES ="))["LAPSES"]


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(4)
    treated, trait = np.arange(N) % 2, rng.random(N) < 0.35
    answer = rng.binomial(J, 0.6, N) + trait * treated
    answer = np.where(rng.random(N) < SHARE, 2, answer)  # the middle of 4, and of 5 rounded down
    return ListExperiment.from_frame(pd.DataFrame({"y": answer, "t": treated}), answer="y", arm="t", J=J)


def test_the_recipe_is_not_in_the_catalogue(lapse):
    rules = {rule for name in names() for rule in lapses(name)}
    assert not set(lapse) & rules


def test_a_rule_of_ones_own_is_fitted_saved_and_used(study, lapse, tmp_path):
    tree = fit(study, response=lapse, counts="binomial", dependence="none", method="map")
    plain = fit(study, counts="binomial", dependence="none", method="map")
    posterior = tree["posterior"]
    q, p, prevalence = (expit(posterior[name].to_numpy()[0]) for name in ("lapse_middle_intercept", "control_intercept",
                                                                          "trait_intercept"))
    assert q.mean() == pytest.approx(SHARE, abs=4 * q.std())
    assert prevalence.mean() == pytest.approx(0.35, abs=4 * prevalence.std())
    assert prevalence.std() < 0.012  # so that the two lines above can fail
    assert q.std() < 0.012
    assert float(tree["optimum"]["log_likelihood"]) > float(plain["optimum"]["log_likelihood"]) + 100
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = trait_probability(stored.load())
    np.testing.assert_allclose(again, trait_probability(tree))
    middle = again.sel(pattern=(again["answer"] == 2) & (again["arm"] == "treatment"))[0, :, 0]
    with_trait = prevalence * ((1 - q) * binom.pmf(1, J, p) + q)
    without = (1 - prevalence) * ((1 - q) * binom.pmf(2, J, p) + q)
    np.testing.assert_allclose(middle, with_trait / (with_trait + without), rtol=1e-9)
