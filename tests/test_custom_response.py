"""The README's recipe: a response model of one's own, as a file's worth of rules given to `fit`."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp.estimates import trait_probability
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse


def bottom_rule(count, trait, treated, J):
    """Answer 0."""
    return 0


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(4)
    n, J = 60_000, 4
    treated, trait = np.arange(n) % 2, rng.random(n) < 0.35
    answer = (rng.random((n, J)) < [0.9, 0.7, 0.6, 0.3]).sum(axis=1) + trait * treated
    answer = np.where(rng.random(n) < 0.1, 0, answer)
    return ListExperiment.from_frame(pd.DataFrame({"y": answer, "t": treated}), answer="y", arm="t", J=J)


def test_a_rule_of_ones_own_is_fitted_saved_and_used(study, tmp_path):
    lapse = {"bottom": Lapse(bottom_rule, Prior("Beta", (1, 9)))}
    tree = fit(study, response=lapse, counts="binomial", dependence="none", method="map")
    plain = fit(study, counts="binomial", dependence="none", method="map")
    share = 1 / (1 + np.exp(-tree["posterior"]["lapse_bottom"].to_numpy()))
    assert share.mean() == pytest.approx(0.1, abs=0.02)  # the binomial is not quite the sum of these unequal items
    assert float(tree["optimum"]["log_likelihood"]) > float(plain["optimum"]["log_likelihood"]) + 100
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = trait_probability(stored.load())
    np.testing.assert_allclose(again, trait_probability(tree))
    zero = again.sel(pattern=(again["answer"] == 0) & (again["arm"] == "treatment"))
    assert (zero > 0).all()  # without the lapse, answer 0 in the treatment arm would rule the trait out
