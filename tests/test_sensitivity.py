"""Weight of the priors: log-densities as they are written, contraction of known draws, and conflicts that are found."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit, logit

from bayes_listexp import sensitivity
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.margins import KnownItem
from bayes_listexp.sensitivity import contraction, log_prior, power_scaling
from bayes_listexp.specification import Specification, blueprint

CONSTANTS = 1e-6  # PyMC keeps normalising constants in single precision; they do not change with the draw


def people(n, seed=1):
    rng = np.random.default_rng(seed)
    trait = rng.random(n) < 0.3
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "g": rng.choice(["a", "b", "c"], n), "x": rng.integers(0, 2, n)})
    frame["direct"] = np.where(trait & (rng.random(n) < 0.6), 1, 0)
    return frame.assign(y=rng.binomial(3, 0.5, n) + (trait & (frame["arm"] == 1)))


def listed(n):
    return ListExperiment.from_frame(people(n).drop(columns=["direct"]), answer="y", arm="arm", J=3)


@pytest.fixture(scope="module")
def rich():
    """A fit with slopes, group effects, lapses and a direct question."""
    study = ListExperiment.from_frame(people(500), answer="y", arm="arm", J=3, covariates=["g", "x"],
                                      instruments=[DirectQuestion("direct")])
    return fit(study, trait="1 + x + (1|g)", control="1", response="liars", counts="beta_binomial", method="map", seed=2)


@pytest.fixture(scope="module")
def small():
    return fit(listed(500), groups=["g"], dependence="none", method="map")


def changed(tree, **posterior):
    """The tree with other posterior draws of some parameters."""
    made = tree.copy()
    made["posterior"] = tree["posterior"].to_dataset().assign(
        {name: (tree["posterior"][name].dims, values) for name, values in posterior.items()})
    return made


def test_log_prior_is_that_of_the_priors_as_written(rich):
    p = rich["posterior"]
    probability = expit(p["trait_intercept"].to_numpy())
    want = (
        stats.beta.logpdf(probability, 1, 1)  # of the probability, not of its logit
        + stats.norm.logpdf(p["trait_slope"].to_numpy(), 0, 1).sum(axis=-1)
        + stats.halfnorm.logpdf(p["trait_g_sd"].to_numpy(), scale=0.5).sum(axis=-1)
        + stats.norm.logpdf(p["control_intercept"].to_numpy(), 0, 1.5)
        + stats.beta.logpdf(p["control_overdispersion"].to_numpy(), 1, 9)
        + stats.norm.logpdf(p["control_shift"].to_numpy(), 0, 0.5)
        + stats.norm.logpdf(p["lapse_floor_intercept"].to_numpy(), -2, 1)
        + stats.norm.logpdf(p["lapse_ceiling_intercept"].to_numpy(), -2, 1)
        + stats.norm.logpdf(p["direct_lie_intercept"].to_numpy(), -1, 1.5)
        + stats.norm.logpdf(p["direct_lie_count"].to_numpy(), 0, 0.5)
    )
    found = log_prior(rich)
    assert found.dims == ("chain", "draw")
    np.testing.assert_allclose(found.to_numpy(), want, atol=CONSTANTS)


def test_margins_of_items_keep_their_parameters_and_are_not_scaled():
    margin = KnownItem(1, share=0.5, se=0.05, bias=0.2)
    tree = fit(listed(300), counts="poisson_binomial", dependence="none", method="map", margins=[margin])
    p = tree["posterior"]
    want = (
        stats.norm.logpdf(p["control_intercept"].to_numpy(), 0, 1.5)
        + stats.norm.logpdf(p["control_item_free"].to_numpy(), 0, 1.5).sum(axis=-1)
    )
    np.testing.assert_allclose(log_prior(tree).to_numpy(), want, atol=CONSTANTS)
    assert sorted(contraction(tree)["parameter"]) == ["control_intercept", "control_item[1]", "control_item[2]", "control_item[3]",
                                                      "margin_item_1_bias", "trait_intercept"]


def test_every_parameter_has_one_row_under_a_readable_name(rich):
    table = contraction(rich).set_index("parameter")
    assert table.index.is_unique
    words = {
        "trait_intercept": "the prevalence of the average respondent",
        "trait_slope[x]": "the effect of x on the prevalence",
        "trait_g_sd[Intercept]": "the spread of the prevalence over the levels of g",
        "trait_g[Intercept, a]": "the prevalence at g = a",
        "trait_g[Intercept, b]": "the prevalence at g = b",
        "trait_g[Intercept, c]": "the prevalence at g = c",
        "control_intercept": "the average of the control counts",
        "control_overdispersion": "the overdispersion of the control counts",
        "control_shift": "the difference in control counts between those with and without the trait",
        "lapse_floor_intercept": "the lapse 'floor'",
        "lapse_ceiling_intercept": "the lapse 'ceiling'",
        "direct_lie_intercept": "lying on the direct question",
        "direct_lie_count": "the effect of a control item more on lying on the direct question",
    }
    assert table["meaning"].to_dict() == words
    assert table.index[table["group_effect"]].tolist() == [f"trait_g[Intercept, {g}]" for g in "abc"]


@pytest.mark.parametrize(("name", "labels", "words"), [
    ("control_shift_slope", ["1"], "the difference between those with and without the trait in the effect on control counts of x"),
    ("control_g_shape_sd", [], "the spread of the shape of the control counts over the levels of g"),
    ("control_g_shape", ["a", "2"], "the shape of the control counts at g = a, direction 2"),
    ("control_shape", ["2"], "the shape of the control counts, direction 2"),
    ("trait_g_sd", ["x"], "the spread of the effect of x on the prevalence over the levels of g"),
    ("direct_false_yes_slope", ["x"], "the effect of x on claiming the trait falsely on the direct question"),
    ("margin_item_1_bias", [], "the bias of the margin 'item 1'"),
])
def test_parameters_in_words(name, labels, words):
    study = ListExperiment.from_frame(people(200), answer="y", arm="arm", J=3, covariates=["g", "x"],
                                      instruments=[DirectQuestion("direct", lies="two_sided", false_yes="1 + x")])
    plan = blueprint(study, Specification(trait="1 + x + (1 + x|g)", dependence="saturated"))
    assert sensitivity._meaning(plan, name, labels) == (words, name == "control_g_shape")


def test_contraction_of_known_draws(rich):
    prior = {name: rich["prior"][name].to_numpy() for name in ("lapse_floor_intercept", "lapse_ceiling_intercept", "control_shift")}
    tree = changed(rich, lapse_floor_intercept=prior["lapse_floor_intercept"], control_shift=prior["control_shift"] / 2,
                   lapse_ceiling_intercept=prior["lapse_ceiling_intercept"] + 1)
    table = contraction(tree).set_index("parameter")
    same, half, moved = (table.loc[n] for n in ("lapse_floor_intercept", "control_shift", "lapse_ceiling_intercept"))
    assert (same["contraction"], same["shift"]) == (0, 0)
    assert same["text"] == "The data do not speak about the lapse 'floor': its posterior is its prior."
    assert half["contraction"] == pytest.approx(0.75)
    assert half["text"] == ""
    assert moved["shift"] == pytest.approx(1 / moved["prior_sd"])
    assert moved["text"] == "The data move the lapse 'ceiling', but leave it as uncertain as the prior did."
    # 1,000 draws give a quantile of the normal to within 0.06 sd, so the middle 80 % to within about 3 %
    assert same["prior_sd"] == pytest.approx(1, rel=0.1)


def test_a_heavy_tailed_prior_has_a_contraction(small):
    draws = stats.cauchy.rvs(size=small["posterior"]["trait_intercept"].shape, random_state=1)
    tree = small.copy()
    tree["prior"] = small["prior"].to_dataset().assign(trait_intercept=(("chain", "draw"), draws))
    row = contraction(changed(tree, trait_intercept=0.1 * draws)).set_index("parameter").loc["trait_intercept"]
    assert row["contraction"] == pytest.approx(0.99)
    assert row["prior_sd"] == pytest.approx(3.08 / 1.28, rel=0.15)  # Cauchy's 90 % quantile over the normal's; 1,000 draws


def test_a_conflicting_prior_is_flagged_and_the_default_is_not(small):
    ordinary = power_scaling(small, by="g")
    assert set(ordinary["diagnosis"]) == {"-"}
    assert (ordinary["prior"] < 0.02).all()
    assert (ordinary["likelihood"] > 0.05).all()
    conflict = fit(listed(500), dependence="none", method="map", priors={"trait_intercept": "Normal(3, 0.3)"})
    assert power_scaling(conflict)["diagnosis"].tolist() == ["prior-data conflict"]
    strong = fit(listed(60), dependence="none", method="map", priors={"trait_intercept": "Normal(-0.8, 0.02)"})
    assert power_scaling(strong)["diagnosis"].tolist() == ["weak likelihood"]


def test_the_more_data_the_less_prior(small):
    few = fit(listed(60), dependence="none", method="map")
    many = fit(listed(5000), dependence="none", method="map")
    assert power_scaling(few)["prior"][0] > 3 * power_scaling(many)["prior"][0]


def test_weights_of_a_raised_prior_are_those_of_refitting():
    """A normal prior to the power 1.3 is the same with its sd over the root of 1.3: weighting the draws moves the mean as far."""
    def of(power):
        sds = {"trait_intercept": (1, 0.5), "control_intercept": (0, 1.5), "control_shape": (0, 1)}
        priors = {name: f"Normal({at}, {sd / np.sqrt(power)})" for name, (at, sd) in sds.items()}
        return fit(listed(500), dependence="none", method="map", seed=3, priors=priors)

    base, raised = of(1.0), of(1.3)
    weights = np.exp(0.3 * (log_prior(base) - log_prior(base).max()))
    logits, refitted = base["posterior"]["trait_intercept"], raised["posterior"]["trait_intercept"]
    moved = float((weights * logits).sum() / weights.sum() - logits.mean())
    assert moved > 0.02
    # both are normal approximations at their modes, with the same random numbers: they differ to second order
    assert float(refitted.mean() - logits.mean()) == pytest.approx(moved, rel=0.15)


def test_what_is_scaled_is_the_log_likelihood_of_every_respondent(small, monkeypatch):
    given = {}

    def capture(data, *, group, sample_dims):
        given[group] = data
        return xr.Dataset({"quantity": ("of", np.zeros(1))})

    monkeypatch.setattr(sensitivity, "psense", capture)
    power_scaling(small)
    by_pattern, n = small["log_likelihood"]["answer_given"], small["observed_data"]["pattern_n"].to_numpy()
    assert n.sum() == 500
    every = np.repeat(by_pattern.to_numpy(), n, axis=-1)
    np.testing.assert_allclose(given["likelihood"]["log_likelihood"]["likelihood"].to_numpy(), every.sum(axis=-1))
    np.testing.assert_allclose(given["prior"]["log_prior"]["prior"].to_numpy(), log_prior(small).to_numpy())
    np.testing.assert_array_equal(given["prior"]["posterior"]["quantity"].to_numpy()[..., 0], prevalence(small).to_numpy())


def test_groups_and_further_quantities_have_a_row_each(small):
    odds = logit(prevalence(small))
    table = power_scaling(small, by=["g"], quantities={"log odds": odds})
    assert table["quantity"].tolist() == ["prevalence", "prevalence (g: a)", "prevalence (g: b)", "prevalence (g: c)", "log odds"]
    # everybody has the same prevalence in this model, and distances between distributions depend little on the scale
    assert table["prior"].to_numpy() == pytest.approx(np.full(5, table["prior"][0]), abs=0.01)


def test_a_threshold_can_be_chosen(small):
    assert set(power_scaling(small, threshold=0.0)["diagnosis"]) == {"prior-data conflict"}


def test_flat_priors_have_no_weight():
    tree = fit(listed(500), dependence="none", method="map", priors="flat")
    with pytest.raises(InputError, match="contraction: the fit has flat priors"):
        contraction(tree)
    with pytest.raises(InputError, match="power_scaling: the fit has flat priors"):
        power_scaling(tree)


def test_a_fit_without_posterior_is_refused(small):
    alone = xr.DataTree.from_dict({name: node.to_dataset() for name, node in small.children.items() if name != "posterior"})
    alone.attrs = small.attrs
    for call in (contraction, power_scaling, log_prior):
        with pytest.raises(InputError, match="the fit has no posterior"):
            call(alone)
