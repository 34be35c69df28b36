"""Written recipes: a list with a direct question, and an instrument of one's own, run as they stand there."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

import bayes_listexp as ble
import readme
from bayes_listexp import instruments
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Rows, parameters_of, possible_traits
from bayes_listexp.predictive import patterns
from bayes_listexp.simulate import draw_study
from bayes_listexp.simulated_direct import list_and_direct
from bayes_listexp.spec import fit_arguments, read_spec, study_of
from bayes_listexp.specification import Specification
from bayes_listexp.stored import blueprint_of

TRUE = {"trait_intercept": -0.6, "control_intercept": 0.2, "proxy_missed_intercept": -0.8}
OVERLOOKED = expit(-0.6) * expit(-0.8)

SPEC = """\
[data]
file = "survey.csv"
answer = "y"
arm = "arm"
J = 3

[instruments.proxy]
kind = "proxy"
column = "noted"
false_alarm = 0.05

[model]
counts = "binomial"
dependence = "none"
instruments = { proxy = { false_alarm = 0.02 } }

[sample]
method = "map"
"""


@pytest.fixture(scope="module")
def proxy():
    """The class of the documentation, known by its kind as long as this module's tests run."""
    yield readme.run(readme.block("class ProxyReport"))["ProxyReport"]
    del instruments.KINDS["proxy"]


def people(n):
    noted = np.where(np.arange(n) % 3, 1.0, 0.0)
    return pd.DataFrame({"y": 1, "arm": np.arange(n) % 2, "noted": np.where(np.arange(n) // 2 % 10, noted, np.nan)})


@pytest.fixture(scope="module")
def drawn(proxy):
    design = ble.ListExperiment.from_frame(people(20_000), answer="y", arm="arm", J=3, instruments=[proxy("noted")])
    return draw_study(design, Specification(counts="binomial", dependence="none"), TRUE, seed=11)


@pytest.fixture(scope="module")
def tree(drawn):
    return ble.fit(drawn.study, counts="binomial", dependence="none", method="map")


def test_people_are_noted_as_often_as_it_says(drawn):
    noted = drawn.study.table["_proxy"].to_numpy()
    assert np.isnan(noted).mean() == 0.1
    for trait, chance in ((0, 0.02), (1, expit(0.8))):
        theirs = noted[(drawn.trait == trait) & ~np.isnan(noted)]
        assert theirs.mean() == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / len(theirs)))


def test_what_was_true_is_recovered(tree, drawn):
    found = ble.observed_by(tree, "proxy")
    for name, truth in (("prevalence", expit(-0.6)), ("overlooked", OVERLOOKED)):
        row = ble.summarise(found[name]).iloc[0]
        assert abs(row["mean"] - truth) < 4 * row["sd"]
        assert row["sd"] < 0.015  # the list alone: .013; so that the line above can fail
    assert found["overlooked"].attrs["label"] == "Have the trait and are not noted, of all"
    alone = ble.fit(ble.ListExperiment.from_frame(
        drawn.study.table.rename(columns=lambda c: c.strip("_"))[["answer", "treated"]], answer="answer", arm="treated", J=3),
        counts="binomial", dependence="none", method="map")
    assert ble.prevalence(tree).std() < ble.prevalence(alone).std()


def test_the_trait_of_respondents_is_bayes_rule(tree):
    probability = ble.trait_probability(tree)
    posterior = tree["posterior"]
    prevalence, p, missed = (expit(posterior[f"{name}_intercept"].to_numpy()[0]) for name in ("trait", "control", "proxy_missed"))
    here = (probability["arm"] == "treatment") & (probability["answer"] == 3)
    without, with_trait = (1 - prevalence) * p**3, prevalence * 3 * p**2 * (1 - p)  # what the list says alone

    def of(told):
        return probability.sel(pattern=here & told)[0, :, 0]

    noted = with_trait * (1 - missed)
    np.testing.assert_allclose(of(probability["proxy"] == 1), noted / (noted + without * 0.02), rtol=1e-9)
    np.testing.assert_allclose(of(np.isnan(probability["proxy"])), with_trait / (with_trait + without), rtol=1e-9)


def test_a_stored_fit_gives_the_same_estimates(tree, tmp_path):
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = stored.load()
    xr.testing.assert_identical(ble.observed_by(again, "proxy"), ble.observed_by(tree, "proxy"))
    np.testing.assert_array_equal(ble.trait_probability(again), ble.trait_probability(tree))


def test_a_spec_names_it_by_its_kind(proxy, tmp_path):
    people(400).to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "survey.toml").write_text(SPEC, encoding="utf-8")
    spec = read_spec(tmp_path / "survey.toml")
    study, _ = study_of(spec)
    assert study.instruments == (proxy("noted", false_alarm=0.05),)
    fitted = blueprint_of(ble.fit(study, **fit_arguments(spec)))
    assert fitted.instruments == (proxy("noted", false_alarm=0.02),)
    assert set(patterns(fitted).observed) == {"_proxy"}


def test_what_it_leaves_out_is_trivial(proxy):
    rows = Rows(*(np.zeros(3) for _ in range(6)), observed={"_proxy": np.array([0.0, 1.0, np.nan])})
    assert parameters_of(proxy("noted")) == {}
    assert possible_traits(proxy("noted"), rows).tolist() == [[True, True]] * 3


def test_parts_and_labels_may_be_left_out_too(drawn, proxy, tree):
    class Bare(proxy):
        parts = labels = property()  # as if they were not there

    bare = xr.DataTree.from_dict({name: node.to_dataset() for name, node in tree.children.items()})
    bare.attrs = tree.attrs
    instruments.register("proxy", Bare)
    try:
        found = ble.observed_by(bare, "proxy")
    finally:
        instruments.register("proxy", proxy)
    assert {name: draws.attrs["label"] for name, draws in found.items()} == {"prevalence": "Prevalence"}
    np.testing.assert_allclose(found["prevalence"], ble.prevalence(tree))


def test_one_that_is_not_registered_is_named(drawn, proxy):
    class Unknown(proxy):
        pass

    study = ble.ListExperiment.from_frame(people(100), answer="y", arm="arm", J=3, instruments=[Unknown("noted")])
    with pytest.raises(InputError, match="instrument 'proxy': Unknown is not registered. Call bayes_listexp.instruments.register"):
        ble.fit(study, counts="binomial", dependence="none", method="map")


def test_a_list_and_a_direct_question_as_written():
    code = readme.block("ble.misreporting")
    assert code.count("seed=1") == 1
    made = readme.run(code.replace("seed=1", 'seed=1, method="map"'), ble=ble, survey=list_and_direct(n=1000).survey)
    assert set(ble.misreporting(made["tree"])) >= {"lie_rate", "sensitivity_bias", "refused"}
    assert ble.combined_estimate(made["study"], by="gender")["gender"].tolist() == ["female", "male"]
