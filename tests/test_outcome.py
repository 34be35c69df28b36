"""Outcomes that the trait predicts: densities against SciPy's, draws, recovery, and who defines the classes."""

from itertools import product

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit

from bayes_listexp import Outcome
from bayes_listexp.checks import fit_checks
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import observed_by, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instrument import Rows
from bayes_listexp.instruments import described, made
from bayes_listexp.simulate import draw_study
from bayes_listexp.specification import Specification

J = 3
COUNT = 0.4
EXTRA = {"gaussian": {"sd": 0.7}, "student_t": {"sd": 0.7, "df": 3.5}, "negative_binomial": {"overdispersion": 0.6},
         "ordinal": {"gap": np.array([0.8, 0.3])}}
SETTINGS = {
    "bernoulli": Outcome("o", "bernoulli", levels=(0, 1)),
    "gaussian": Outcome("o", "gaussian", center=50.0, scale=12.0),
    "student_t": Outcome("o", "student_t", center=50.0, scale=12.0),
    "poisson": Outcome("o", "poisson", center=1.3),
    "negative_binomial": Outcome("o", "negative_binomial", center=1.3),
    "ordinal": Outcome("o", "ordinal", levels=(1, 2, 3, 4)),
}
SEEN = {"bernoulli": [0, 1], "gaussian": [20.0, 55.5, 81.0], "student_t": [20.0, 55.5, 300.0], "poisson": [0, 3, 11],
        "negative_binomial": [0, 3, 11], "ordinal": [0, 1, 2, 3]}
FAMILIES = list(SETTINGS)


def with_count(family):
    return Outcome(**{**SETTINGS[family].__dict__, "count": True})


def rows_of(observed):
    n = len(observed)
    ones = np.ones(n)
    return Rows(np.arange(n), np.zeros(n, int), np.zeros(n, int), 0 * ones, ones, ones, {"_outcome": np.asarray(observed, float)})


def parameters_of(family, trait, count):
    """As 64-bit tensors: PyTensor takes a plain 3.5, which 32 bits hold exactly, for a 32-bit number."""
    values = {"trait": trait, "count": count, **EXTRA.get(family, {})}
    return {f"outcome_{name}": pt.as_tensor(np.asarray(value, dtype="float64")) for name, value in values.items()}


def truth(family, o, eta):
    """Log-density of one outcome at a linear predictor, by SciPy."""
    x = EXTRA.get(family, {})
    if family == "bernoulli":
        return stats.bernoulli(expit(eta)).logpmf(o)
    if family == "gaussian":
        return stats.norm(50 + 12 * eta, 12 * x["sd"]).logpdf(o)
    if family == "student_t":
        return stats.t(x["df"], 50 + 12 * eta, 12 * x["sd"]).logpdf(o)
    if family == "poisson":
        return stats.poisson(np.exp(1.3 + eta)).logpmf(o)
    if family == "negative_binomial":
        size, mean = 1 / x["overdispersion"], np.exp(1.3 + eta)
        return stats.nbinom(size, size / (size + mean)).logpmf(o)
    cuts = np.array([-np.inf, 0.0, 0.8, 1.1, np.inf])  # P(o <= k) is the logistic distribution's at cut k - eta
    return np.log(np.diff(stats.logistic.cdf(cuts - eta)))[int(o)]


def log_factors(outcome, observed, eta, trait, count=COUNT):
    """(row, trait, count) at the linear predictors ``eta`` (row,), and the gradient of its sum in eta."""
    predictor = pt.vector("eta", shape=(len(observed),))
    parameters = parameters_of(outcome.family, trait, count)
    rows = rows_of(observed)
    factor = outcome.log_factor(rows, outcome.distribution(rows, {"outcome_mean": predictor}, parameters, J))
    both = pytensor.function([predictor], [factor, pytensor.grad(factor.sum(), predictor)], mode="FAST_COMPILE")
    return both(np.asarray(eta, float))


@pytest.mark.parametrize("family", FAMILIES)
def test_log_factor_is_the_density(family):
    eta = [-1.1, 0.2, 0.9]
    cases = list(product(SEEN[family], eta))
    found, _ = log_factors(with_count(family), [o for o, _ in cases], [x for _, x in cases], trait=0.6)
    assert found.shape == (len(cases), 2, J + 1)
    for row, (o, x) in enumerate(cases):
        for trait, count in product((0, 1), range(J + 1)):
            expected = truth(family, o, x + 0.6 * trait + COUNT * (count - J / 2))
            assert found[row, trait, count] == pytest.approx(expected, abs=1e-10)
    assert log_factors(SETTINGS[family], [SEEN[family][0]], [0.2], trait=0.6)[0].shape == (1, 2, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_not_asked_says_nothing(family):
    found, gradient = log_factors(with_count(family), [np.nan, SEEN[family][1]], [0.3, 0.3], trait=0.5)
    assert (found[0] == 0).all()
    assert gradient[0] == 0
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_finite_far_out(family):
    cases = list(product(SEEN[family], (-40.0, 40.0)))
    found, gradient = log_factors(SETTINGS[family], [o for o, _ in cases], [x for _, x in cases], trait=0.5)
    assert np.isfinite(found).all()
    assert np.isfinite(gradient).all()


def test_two_ordered_levels_are_a_binary_outcome():
    ordinal = Outcome("o", "ordinal", levels=(0, 1))
    ours, _ = log_factors(ordinal, [0, 1], [0.4, 0.4], trait=0.6)
    np.testing.assert_array_equal(ours, log_factors(SETTINGS["bernoulli"], [0, 1], [0.4, 0.4], trait=0.6)[0])
    assert "outcome_gap" not in ordinal.parameters()


@pytest.mark.parametrize("family", FAMILIES)
def test_draws_follow_the_density(family):
    n, eta, trait, count = 40_000, 0.3, 1, 2
    outcome = with_count(family)
    parameters = parameters_of(family, 0.6, COUNT)
    rows = rows_of(np.r_[np.nan, np.zeros(n)])
    told = outcome.distribution(rows, {"outcome_mean": pt.as_tensor(np.full(n + 1, eta))}, parameters, J)
    told = {name: value.eval(mode="FAST_COMPILE") for name, value in told.items()}
    drawn = outcome.draw(np.random.default_rng(3), rows, (np.full(n + 1, trait), np.full(n + 1, count)), told)["_outcome"]
    assert np.isnan(drawn[0])
    eta = eta + 0.6 + COUNT * (count - J / 2)
    if family in ("gaussian", "student_t"):
        scale = 12 * 0.7
        fixed = stats.norm(50 + 12 * eta, scale) if family == "gaussian" else stats.t(3.5, 50 + 12 * eta, scale)
        assert stats.kstest(drawn[1:], fixed.cdf).pvalue > 0.001  # a fixed seed: a test of the code, not a repeated one
        return
    for o in SEEN[family][:3]:
        p = np.exp(truth(family, o, eta))
        assert (drawn[1:] == o).mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))


PEOPLE = 6_000
TRUE = {
    "bernoulli": {"outcome_mean_intercept": -0.3, "outcome_trait": 1.2},
    "gaussian": {"outcome_mean_intercept": -0.2, "outcome_trait": 0.6, "outcome_sd": 0.9},
    "student_t": {"outcome_mean_intercept": -0.2, "outcome_trait": 0.8, "outcome_sd": 0.7, "outcome_df": 4.0},
    "poisson": {"outcome_mean_intercept": -0.2, "outcome_trait": 0.5},
    "negative_binomial": {"outcome_mean_intercept": -0.2, "outcome_trait": 0.7, "outcome_overdispersion": 0.4},
    "ordinal": {"outcome_mean_intercept": 0.8, "outcome_trait": 0.9, "outcome_gap": [1.0, 0.8]},
}
LIST = {"trait_intercept": -0.4, "control_intercept": 0.5, "outcome_mean_slope": [0.5]}
PLAIN = {"counts": "binomial", "dependence": "none"}


def design(values, *outcomes, n=PEOPLE, **more):
    """A study of J = 4 whose answers are to be drawn; ``values`` give the outcome column what the outcomes are bound by."""
    frame = pd.DataFrame({"y": np.zeros(n), "t": np.arange(n) % 2, "male": np.arange(n) // 2 % 2, "o": np.resize(values, n), **more})
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=4, covariates=["male"], instruments=outcomes)


VALUES = {"bernoulli": [0, 1], "gaussian": [40.0, 60.0], "student_t": [38.0, 46.0, 54.0, 62.0], "poisson": [0, 2, 4],
          "negative_binomial": [0, 2, 4], "ordinal": [1, 2, 3, 4]}


def mean_of(study, drawn, male, trait):
    """The mean outcome of people with these covariates, on the outcome's own scale, from the parameters."""
    outcome, p = study.instruments[0], drawn.parameters
    x = p["outcome_mean_intercept"] + p["outcome_mean_slope"][0] * (male - 0.5) + p["outcome_trait"] * trait
    x = outcome.center + outcome.scale * x
    if outcome.family == "ordinal":
        return 1 + sum(expit(x - cut) for cut in np.cumsum([0.0, *p["outcome_gap"]]))
    return {"bernoulli": expit, "poisson": np.exp, "negative_binomial": np.exp}.get(outcome.family, float)(x)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_standardised_difference_is_recovered(family):
    study = design(VALUES[family], Outcome("o", family, formula="1 + male"))
    drawn = draw_study(study, Specification(**PLAIN), LIST | TRUE[family], seed=7)
    tree = fit(drawn.study, method="map", **PLAIN)
    found = observed_by(tree, "outcome")
    means = [np.mean([mean_of(study, drawn, male, trait) for male in (0, 1)]) for trait in (0, 1)]
    expected = {"without_trait": means[0], "with_trait": means[1], "difference": means[1] - means[0]}
    if family in ("bernoulli", "poisson", "negative_binomial"):
        expected["ratio"] = means[1] / means[0]
    assert set(found) == set(expected)
    for name, value in expected.items():
        row = summarise(found[name]).iloc[0]
        assert row["mean"] == pytest.approx(value, abs=4 * row["sd"]), name
    # With the trait unseen the difference is known, but less well than if it were seen; 6,000 people know it to half of itself.
    assert summarise(found["difference"])["sd"].iloc[0] < abs(expected["difference"]) / 2


@pytest.fixture(scope="module")
def several():
    """Two outcomes of everybody, one asked of half of the people, and the trait's effect on one larger among men."""
    vote = Outcome("vote", "bernoulli", formula="1 + male", trait_by="1 + male", levels=("no", "yes"), name="vote")
    score = Outcome("o", "gaussian", count=True, name="score")
    n = 3_000
    study = design([40.0, 60.0], vote, score, n=n,
                   vote=np.where(np.arange(n) % 4 < 2, np.resize(["no", "yes", "yes"], n), None))
    given = {"trait_intercept": -0.2, "control_intercept": 0.3, "vote_mean_intercept": -0.5, "vote_mean_slope": [0.2],
             "vote_trait_intercept": 1.0, "vote_trait_slope": [1.5], "score_mean_intercept": 0.0, "score_trait": 0.7,
             "score_count": 0.3, "score_sd": 0.8}
    drawn = draw_study(study, Specification(**PLAIN), given, seed=2)
    return drawn, fit(drawn.study, method="map", **PLAIN)


def test_joint_outcomes(several):
    drawn, tree = several
    by_sex = observed_by(tree, "vote", by="male")["difference"]
    for male in (0.0, 1.0):
        row = summarise(by_sex.sel(male=male)).iloc[0]
        base, effect = -0.5 + 0.2 * (male - 0.5), 1.0 + 1.5 * (male - 0.5)
        assert row["mean"] == pytest.approx(expit(base + effect) - expit(base), abs=4 * row["sd"])
    difference = observed_by(tree, "score")["difference"]
    row = summarise(difference).iloc[0]
    assert row["mean"] == pytest.approx(10 * 0.7, abs=4 * row["sd"])  # values 40 and 60: the scale is 10
    count = tree["posterior"]["score_count"]
    assert float(count.mean()) == pytest.approx(0.3, abs=4 * float(count.std()))


def test_a_stored_fit_gives_the_same_estimates(several, tmp_path):
    _, tree = several
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = stored.load()
    for name in ("vote", "score"):
        ours = observed_by(tree, name, by="male")
        xr.testing.assert_allclose(observed_by(again, name, by="male"), ours)
        assert ours["difference"].attrs["label"]
    assert observed_by(again, "vote")["ratio"].attrs["label"] == "Share of vote = yes: with the trait, relative to without"
    assert "control items apply" in observed_by(again, "score")["with_trait"].attrs["label"]


def test_maximum_likelihood_is_that_of_the_paper():
    """The likelihood of Imai, Park & Greene written out person by person, maximised by SciPy."""
    study = design([0, 1], Outcome("o", "bernoulli"), n=1500)
    given = {"trait_intercept": 0.1, "control_intercept": 0.2, "outcome_mean_intercept": -0.6, "outcome_trait": 1.5}
    table = draw_study(study, Specification(**PLAIN), given, seed=11).study
    tree = fit(table, method="map", priors="flat", **PLAIN)
    y, t, o = (table.table[name].to_numpy(dtype=float) for name in ("_answer", "_treated", "_outcome"))

    def minus_log_likelihood(theta):
        likelihood = 0
        for trait in (0, 1):
            vote = expit(theta[2] + theta[3] * trait)
            likelihood += (expit(theta[0] if trait else -theta[0]) * stats.binom(4, expit(theta[1])).pmf(y - t * trait)
                           * np.where(o == 1, vote, 1 - vote))
        return -np.log(likelihood).sum()

    best = minimize(minus_log_likelihood, np.zeros(4), method="BFGS")
    assert float(tree["optimum"]["log_likelihood"]) == pytest.approx(-best.fun, abs=1e-4)
    names = ["trait_intercept", "control_intercept", "outcome_mean_intercept", "outcome_trait"]
    np.testing.assert_allclose([float(tree["optimum"][name]) for name in names], best.x, atol=0.01)


def read(values, family, **more):
    frame = pd.DataFrame({"o": values})
    bound, columns = Outcome("o", family, **more).read(frame, pd.Series([True] * len(frame), dtype="boolean"))
    return bound, columns["_outcome"].to_numpy()


def test_reading():
    bound, codes = read([True, None, False], "bernoulli")
    np.testing.assert_array_equal(codes, [1, np.nan, 0])
    bound, codes = read(pd.Categorical(["low", "high", None], categories=["low", "middle", "high"], ordered=True), "ordinal")
    assert bound.levels == ("low", "middle", "high")
    assert bound.labels()["with_trait"] == "Mean level of o (from 1 = low to 3 = high), with the trait"
    np.testing.assert_array_equal(codes, [0, 2, np.nan])
    assert read([5.0, 1.0, 3.0, np.nan], "ordinal")[0].levels == (1, 3, 5)
    bound, codes = read([10.0, 20.0, 30.0, np.nan], "gaussian")
    assert bound.center == 20
    assert bound.scale == pytest.approx(np.sqrt(200 / 3))
    robust, _ = read([10.0, 20.0, 30.0, 1e9], "student_t")
    assert robust.center == 25
    assert read([0, 4], "poisson")[0].center == pytest.approx(np.log(2))
    assert made(bound.name, described(bound)) == bound


@pytest.mark.parametrize(
    ("values", "family", "more", "message"),
    [
        ([0, 1, 2], "bernoulli", {}, "two values such as 0 and 1, found 0, 1, 2"),
        (["a", "b"], "bernoulli", {}, "levels = "),
        ([0, 1, 2], "bernoulli", {"levels": (0, 1, 2)}, "has two levels"),
        ([0, 1, 9], "bernoulli", {"levels": (0, 1)}, "row 3: found 9"),
        ([1, 1, None], "bernoulli", {}, "everybody who was observed has the outcome 1"),
        ([3, 3], "ordinal", {}, "everybody who was observed has the outcome 3"),
        (["low", "high"], "ordinal", {}, "order of 'low', 'high' is not known"),
        ([1, 2], "ordinal", {"levels": (1, 2, 1.0)}, "named twice"),
        ([1, -2, 3], "poisson", {}, "row 2: a count is a whole number of at least 0, found -2"),
        ([1, 2.5], "negative_binomial", {}, "row 2: a count is a whole number"),
        ([0, 0], "poisson", {}, "everybody"),
        ([1.0, np.inf], "gaussian", {}, "row 2: an infinite value"),
        ([1.0, 2.0, -np.inf], "ordinal", {}, "row 3"),
        (["x", 2.0], "student_t", {}, "row 1: not a number"),
        ([7.0, 7.0], "gaussian", {}, "everybody"),
        ([1.0, 2.0], "gaussian", {"levels": (1, 2)}, "Leave them out"),
        ([1, 2], "probit", {}, "say one of bernoulli, gaussian"),
        ([1, 2], "poisson", {"count": "yes"}, "say True or False"),
    ],
)
def test_what_an_outcome_cannot_be(values, family, more, message):
    with pytest.raises(InputError, match=message):
        read(values, family, **more)


def classes_of(frame, outcome, J=4):
    study = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, covariates=[], instruments=[outcome])
    tree = fit(study, method="map", counts="binomial", dependence="none")
    (check,) = [check for check in fit_checks(tree) if check.name == "classes"]
    return check


def people(n, rng, share):
    trait, t = rng.random(n) < share, np.arange(n) % 2
    return trait, pd.DataFrame({"t": t, "y": rng.binomial(4, 0.6, n) + t * trait})


def test_an_outcome_of_two_humps_defines_the_classes():
    rng = np.random.default_rng(5)
    _, frame = people(500, rng, 0.4)
    humps = np.where(rng.random(500) < 0.4, 3.0, -3.0) + rng.normal(size=500)  # whoever has the trait
    check = classes_of(frame.assign(o=humps), Outcome("o", "gaussian"))
    assert check.passed is False
    assert "The outcome says more about who has the trait than the list does: outcome (list" in check.text
    row = check.table.iloc[0]
    assert row["n"] == 250
    assert row["further bits by the outcome"] > 2 * row["bits by the list"]
    assert row["bits by the list"] + row["further bits by the outcome"] <= row["bits before"]


def test_the_list_defines_the_classes():
    rng = np.random.default_rng(6)
    trait, frame = people(4000, rng, 0.4)
    check = classes_of(frame.assign(o=rng.normal(0.5 * trait)), Outcome("o", "gaussian"))
    assert check.passed is True
    row = check.table.iloc[0]
    # What an answer says of the trait, by enumeration: H(trait) + H(answer) - H(trait, answer) in the treatment arm.
    joint = np.zeros((2, 6))
    joint[0, :5], joint[1, 1:] = 0.6 * stats.binom(4, 0.6).pmf(range(5)), 0.4 * stats.binom(4, 0.6).pmf(range(5))
    bits = [-np.sum(p[p > 0] * np.log2(p[p > 0])) for p in (joint.sum(axis=1), joint.sum(axis=0), joint.ravel())]
    assert row["bits before"] == pytest.approx(bits[0], abs=0.03)
    assert row["bits by the list"] == pytest.approx(bits[0] + bits[1] - bits[2], abs=0.03)  # sampling error of 2,000 people
