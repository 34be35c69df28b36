"""The list regression without PyTensor: R's printed numbers, the modes that `fit` finds, and what must hold of any estimator."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime

from bayes_listexp import (
    InputError,
    ListExperiment,
    difference_in_means,
    fit,
    maximum_likelihood,
    nonlinear_least_squares,
)
from bayes_listexp.newton import derivatives, log_density
from bayes_listexp.quick_likelihood import prepared
from conftest import SHARED, shared

FORMULA = "1 + south + age + male + college"
MODELS = {
    "ml_const": {"counts": "binomial"},
    "ml_const_od": {"counts": "beta_binomial"},
    "ml_unconst": {"counts": "binomial", "dependence": "free"},
    "ml0_const": {"counts": "binomial"},
    "ml0_const_od": {"counts": "beta_binomial"},
    "ml0_unconst": {"counts": "binomial", "dependence": "free"},
}
PARTS = {"trait": "treat", "control": "control", "control_with_trait": "control.psi1", "control_shape": "overdispersion"}


def reference(name):
    path = SHARED / "reference" / f"list_{name}.json"
    if not path.exists():
        pytest.skip("the reference results are not beside the project")
    return json.loads(path.read_text())


def study(data, **roles):
    return ListExperiment.from_frame(pd.read_csv(shared(f"{data}.csv")), answer="y", arm="treat", J=3, **roles)


def printed(one, what, part):
    """R's numbers of one part, in our order of terms; the control counts of people without the trait are its psi0."""
    key = PARTS[part] if f"{what}.{PARTS[part]}" in one else "control.psi0"
    values = one[f"{what}.{key}"]
    order = ["(Intercept)", "south", "age", "male", "college"]
    return [values[term] for term in order if term in values] or list(values.values())


def test_the_package_is_not_compiled():
    """Neither estimator loads PyTensor, whose import alone takes longer than a fit."""
    import subprocess
    import sys

    code = "import sys, bayes_listexp as b; b.maximum_likelihood, b.nonlinear_least_squares, b.prevalence_of_tables; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pytensor", "pymc", "nutpie"} & set(run.stdout.split())


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data", ["race", "affirm"])
def test_maximum_likelihood_is_what_r_prints(data, model):
    one = reference(data)[f"{data}_{model}"]
    formula = "1" if "ml0" in model else FORMULA
    found = maximum_likelihood(study(data), formula, **MODELS[model])
    assert found.converged
    assert found.boundary == ()
    # R stops its EM steps when the likelihood moves by 1e-8: it ends below the maximum, by no more than it shows.
    assert -1e-9 < found.log_likelihood - one["llik"] < 2e-6
    for part, rows in found.coefficients.groupby("part", sort=False):
        apart = rows["estimate"].to_numpy() - printed(one, "par", part)
        assert np.abs(apart / rows["se"]).max() < 0.002
    if "od" not in model:  # with overdispersion R takes its prevalence's s.e. from the wrong rows of the covariance (.29, not .027)
        ours = found.prevalence.iloc[0]
        assert ours["se"] == pytest.approx(one["prevalence"]["se"], rel=0.005)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("data", ["race", "affirm"])
def test_likelihood_and_standard_errors_at_rs_own_estimates(data, model):
    """At the point where R stopped: the log-likelihood to 8 digits, and the standard errors to those it is sure of."""
    one = reference(data)[f"{data}_{model}"]
    formula, arguments = "1" if "ml0" in model else FORMULA, {"counts": "binomial", "dependence": "none", **MODELS[model]}
    own = prepared(study(data), formula, None, arguments["counts"], arguments["dependence"], "truthful", {}, None, [], weighted=False)
    parts = list(dict.fromkeys(part for part, _ in own.names))
    at = np.linalg.solve(own.own_scale, np.concatenate([printed(one, "par", part) for part in parts]))[None]
    assert log_density(own.problem, at)[0] == pytest.approx(one["llik"], abs=1e-6)
    covariance = own.own_scale @ np.linalg.inv(derivatives(own.problem, at)[1][0]) @ own.own_scale.T
    theirs = np.concatenate([printed(one, "se", part) for part in parts])
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), theirs, rtol=2e-4)  # R differentiates numerically


@pytest.mark.parametrize("formula", ["1", FORMULA])
@pytest.mark.parametrize("data", ["race", "affirm"])
def test_nonlinear_least_squares_is_what_r_prints(data, formula):
    one = reference(data)[f"{data}_nls{'' if formula == FORMULA else '0'}"]
    found = nonlinear_least_squares(study(data), formula)
    assert found.converged
    for part, rows in found.coefficients.groupby("part", sort=False):
        theirs, errors = (np.array(printed(one, what, part)) for what in ("par", "se"))
        # R's nls() stops at a relative offset of 1e-5; ours goes on to the minimum.
        assert np.abs((rows["estimate"] - theirs) / rows["se"]).max() < 3e-4
        np.testing.assert_allclose(rows["se"], errors, rtol=6e-4)
    assert found.prevalence["estimate"][0] == pytest.approx(one["prevalence"]["fit"], abs=1e-5)
    assert found.prevalence["se"][0] == pytest.approx(one["prevalence"]["se"], rel=6e-4)


def test_the_mode_is_that_of_fit(race):
    whole = ListExperiment.from_frame(race, answer="y", arm="treat", J=3)
    arguments = {"counts": "softmax", "dependence": "shift"}
    found = maximum_likelihood(whole, FORMULA, priors="default", **arguments)
    tree = fit(whole, trait=FORMULA, method="map", **arguments)
    # `fit` ends its search where no gradient exceeds 1e-6: divided by curvatures of 2 and more, on scaled columns.
    for part in ("trait", "control"):
        ours = found.coefficients.loc[found.coefficients["part"] == part, "estimate"]
        np.testing.assert_allclose(ours, tree["optimum"][part], atol=2e-6)
    assert found.coefficient("control_shift", "shift")["estimate"] == pytest.approx(float(tree["optimum"]["control_shift"]), abs=2e-6)
    assert found.modes["log_density"][0] == pytest.approx(float(tree["optimum"]["log_density"]), abs=1e-6)
    assert found.log_likelihood == pytest.approx(float(tree["optimum"]["log_likelihood"]), abs=1e-6)
    sd = tree["posterior"]["trait"].std(("chain", "draw")).to_numpy()  # 1,000 draws: 2.2 % Monte Carlo error each
    np.testing.assert_allclose(found.coefficients["se"][: len(sd)], sd, rtol=0.09)


@pytest.mark.parametrize("prior", ["Normal(1, 2)", "StudentT(3, 0, 1)", "Cauchy(0, 2.5)", "Logistic(0.5, 2)", "Beta(2, 3)", "Flat()"])
def test_priors_have_the_derivatives_they_say(prior):
    from scipy import stats

    from bayes_listexp.log_priors import penalty
    from bayes_listexp.priors import parse_prior

    parsed = parse_prior(prior)
    evaluate = penalty(["x"], [parsed], [True])
    a = parsed.arguments
    densities = {"Normal": stats.norm(*a) if len(a) == 2 else None, "Cauchy": stats.cauchy(*a) if len(a) == 2 else None,
                 "Logistic": stats.logistic(*a) if len(a) == 2 else None, "StudentT": stats.t(*a) if len(a) == 3 else None}
    for x in (-1.3, 0.2, 2.5):
        value, slope, curvature = (part.item() for part in evaluate(np.array([[x]])))
        if parsed.distribution in densities:
            assert value == pytest.approx(densities[parsed.distribution].logpdf(x))
        if parsed.distribution == "Beta":
            p = 1 / (1 + np.exp(-x))
            assert value == pytest.approx(stats.beta(2, 3).logpdf(p) + np.log(p * (1 - p)))
        assert slope == pytest.approx(approx_fprime([x], lambda v: evaluate(v[None])[0][0], 1e-7)[0], abs=1e-5)
        assert curvature == pytest.approx(-approx_fprime([x], lambda v: evaluate(v[None])[1][0, 0], 1e-7)[0], abs=1e-5)


@pytest.mark.parametrize("estimator", [maximum_likelihood, nonlinear_least_squares])
def test_weights_have_no_unit_and_copies_are_weights(estimator):
    frame = pd.read_csv(shared("race_weights.csv"))
    once, ten = (estimator(ListExperiment.from_frame(frame.assign(w=frame["w"] * f), answer="y", arm="treat", J=3, weights="w"),
                           "1 + south + age", weighted=True) for f in (1, 10))
    pd.testing.assert_frame_equal(once.coefficients, ten.coefficients, rtol=1e-9)
    pd.testing.assert_frame_equal(once.prevalence, ten.prevalence, rtol=1e-9)
    if estimator is maximum_likelihood:  # the sandwich would not care, the likelihood does
        plain = [maximum_likelihood(ListExperiment.from_frame(frame.assign(w=frame["w"] * f), answer="y", arm="treat", J=3, weights="w"),
                                    weighted=True, variance="information") for f in (1, 10)]
        pd.testing.assert_frame_equal(plain[0].coefficients, plain[1].coefficients, rtol=1e-9)
        assert plain[0].log_likelihood == pytest.approx(plain[1].log_likelihood, rel=1e-9)
    copies = (np.arange(len(frame)) % 3 + 1).astype(float)
    weighted = ListExperiment.from_frame(frame.assign(w=copies, psu=np.arange(len(frame))), answer="y", arm="treat", J=3, weights="w",
                                         clusters="psu")
    written_out = frame.assign(psu=np.arange(len(frame))).loc[np.repeat(frame.index, copies.astype(int))].reset_index(drop=True)
    copied = ListExperiment.from_frame(written_out, answer="y", arm="treat", J=3, clusters="psu")
    # A respondent of weight 3 is a cluster of three who answer alike.
    more = {"counts": "binomial"} if estimator is maximum_likelihood else {}  # a softmax's directions are those of people, not weights
    one, other = estimator(weighted, "1 + south + age", weighted=True, **more), estimator(copied, "1 + south + age", **more)
    shown = ["estimate", "se"]
    np.testing.assert_allclose(one.coefficients[shown], other.coefficients[shown], rtol=1e-4)
    np.testing.assert_allclose(one.prevalence[shown], other.prevalence[shown], rtol=1e-4)


def test_rs_weighted_maximum():
    one = reference("weights")["race_weights_ml"]
    whole = ListExperiment.from_frame(pd.read_csv(shared("race_weights.csv")), answer="y", arm="treat", J=3, weights="w")
    found = maximum_likelihood(whole, FORMULA, counts="binomial", weighted=True, variance="information")
    rows = found.coefficients[found.coefficients["part"] == "trait"]
    assert np.abs((rows["estimate"] - printed(one, "par", "trait")) / rows["se"]).max() < 0.002
    # R takes weights as copies: its s.e. shrink with the sum of the weights, ours do not.
    inflated = np.sqrt(whole.table["_weight"].sum() / whole.n)
    np.testing.assert_allclose(rows["se"] / inflated, printed(one, "se", "trait"), rtol=5e-3)


def test_influences_are_what_leaving_a_respondent_out_does(affirm):
    """The influence of one answer against the estimate with 1 % more of it (a numerical derivative in its frequency)."""
    frame = affirm.assign(w=1.0)
    for estimator in (maximum_likelihood, nonlinear_least_squares):
        base = estimator(ListExperiment.from_frame(frame, answer="y", arm="treat", J=3), "1 + south", control="1")
        n = base.patterns["n"].to_numpy()
        np.testing.assert_allclose(n @ base.influence, 0, atol=1e-5)
        np.testing.assert_allclose(n @ base.prevalence_influence, 0, atol=1e-8)
        own = frame["y"].eq(3) & frame["treat"].astype(bool) & frame["south"].eq(1)
        more = frame.assign(w=np.where(own, 1.01, 1.0))
        moved = estimator(ListExperiment.from_frame(more, answer="y", arm="treat", J=3, weights="w"), "1 + south", control="1",
                          weighted=True)
        cell = base.patterns["cell"].eq(1) & base.patterns["arm"].eq("treatment") & base.patterns["answer"].eq(3)
        expected = 0.01 * own.sum() * base.influence[cell.to_numpy()][0]
        change = (moved.coefficients["estimate"] - base.coefficients["estimate"]).to_numpy()
        np.testing.assert_allclose(change, expected, rtol=0.05, atol=1e-5)  # the second order of a step of 1 %


def test_sandwich_and_information_agree_where_the_model_holds():
    rng = np.random.default_rng(3)
    n, x = 40_000, None
    x = rng.integers(0, 2, n)
    trait, arm = rng.random(n) < np.where(x == 1, 0.6, 0.3), rng.integers(0, 2, n)
    frame = pd.DataFrame({"y": rng.binomial(3, np.where(x == 1, 0.5, 0.4)) + trait * arm, "treat": arm, "x": x})
    whole = ListExperiment.from_frame(frame, answer="y", arm="treat", J=3)
    plain, robust = (maximum_likelihood(whole, "1 + x", counts="binomial", variance=v, by="x") for v in ("information", "sandwich"))
    np.testing.assert_allclose(plain.coefficients["se"], robust.coefficients["se"], rtol=0.05)  # 40,000 people
    truth = [np.log(3 / 7), np.log(1.5) - np.log(3 / 7)]
    assert np.abs((plain.coefficients["estimate"][:2] - truth) / plain.coefficients["se"][:2]).max() < 4
    groups = plain.prevalence.set_index("x")
    assert np.abs((groups.loc[[0.0, 1.0], "estimate"] - [0.3, 0.6]) / groups.loc[[0.0, 1.0], "se"]).max() < 4
    share = (x == 1).mean()
    both = (1 - share) * groups.loc[0.0, "estimate"] + share * groups.loc[1.0, "estimate"]
    assert groups.loc["all", "estimate"] == pytest.approx(both, abs=1e-10)
    dim = difference_in_means(whole).iloc[0]
    assert groups.loc["all", "se"] < dim["se"]


def test_strata_clusters_and_replicates():
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), 20)
    common = rng.normal(0, 0.5, 60)[clusters]
    trait, arm = rng.random(1200) < 1 / (1 + np.exp(-common)), np.tile([0, 1], 600)
    frame = pd.DataFrame({"y": rng.binomial(3, 1 / (1 + np.exp(-common))) + trait * arm, "treat": arm, "psu": clusters,
                          "w": rng.uniform(0.5, 1.5, 1200)})
    for i in range(60):
        frame[f"r{i}"] = np.where(frame["psu"] == i, 0.0, frame["w"] * 60 / 59)
    roles = {"answer": "y", "arm": "treat", "J": 3, "covariates": []}
    clustered = ListExperiment.from_frame(frame, weights="w", clusters="psu", **roles)
    jackknife = ListExperiment.from_frame(frame, weights="w", replicate_weights=[f"r{i}" for i in range(60)],
                                          replicate_method="jackknife", **roles)
    for estimator in (maximum_likelihood, nonlinear_least_squares):
        linear, again = (estimator(one, weighted=True) for one in (clustered, jackknife))
        # Jackknife and linearisation are alike to first order: 60 clusters.
        np.testing.assert_allclose(again.coefficients["se"][:2], linear.coefficients["se"][:2], rtol=0.1)
        np.testing.assert_allclose(again.prevalence["se"], linear.prevalence["se"], rtol=0.1)
        dim = difference_in_means(clustered, weighted=True).iloc[0]
        if estimator is nonlinear_least_squares:
            assert linear.prevalence["estimate"][0] == pytest.approx(dim["estimate"], abs=1e-7)
            assert linear.prevalence["se"][0] == pytest.approx(dim["se"], rel=1e-6)
            assert linear.prevalence["upper"][0] == pytest.approx(dim["upper"], rel=1e-6)


def test_waves_are_in_the_formula_and_groups_are_respected(race):
    frame = race.assign(wave=np.where(np.arange(len(race)) % 2, "2020", "2022"))
    whole = ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, wave="wave")
    found = maximum_likelihood(whole, "1", counts="binomial", by="wave")
    parts = [maximum_likelihood(ListExperiment.from_frame(frame[frame["wave"] == w], answer="y", arm="treat", J=3), "1", counts="binomial")
             for w in ("2020", "2022")]
    assert list(found.prevalence["wave"]) == ["all", "2020", "2022"]
    expected = [part.prevalence["estimate"][0] for part in parts]
    np.testing.assert_allclose(found.prevalence["estimate"][1:], expected, atol=1e-6)  # with binomial counts waves share nothing
    np.testing.assert_allclose(found.prevalence["se"][1:], [part.prevalence["se"][0] for part in parts], rtol=1e-4)
    assert found.log_likelihood == pytest.approx(sum(part.log_likelihood for part in parts), abs=1e-6)


def test_boundaries_are_said_and_the_others_keep_their_errors(affirm):
    whole = ListExperiment.from_frame(affirm, answer="y", arm="treat", J=3)
    formula = "1 + age + college + male + south"
    uniform = maximum_likelihood(whole, formula, counts="binomial", response="uniform")
    assert uniform.boundary == ("lapse_random_control Intercept",)  # R prints e0 = 0 and s.e. that are no numbers
    assert uniform.log_likelihood == pytest.approx(-1429.320, abs=6e-4)
    others = uniform.coefficients[uniform.coefficients["term"] != "Intercept"]
    assert others["se"].between(0, 1).all()
    never = pd.DataFrame({"y": [0, 1, 2, 3] * 50, "treat": [0, 1] * 100})
    none = maximum_likelihood(ListExperiment.from_frame(never, answer="y", arm="treat", J=3))
    assert none.converged
    assert "trait Intercept" in none.boundary
    assert np.isnan(none.prevalence["se"][0])
    fewer = never.assign(y=never["y"] * (1 - never["treat"]))
    least = nonlinear_least_squares(ListExperiment.from_frame(fewer, answer="y", arm="treat", J=3))
    assert least.boundary == ("trait Intercept",)


def test_two_maxima_are_both_told():
    """Where those with the trait have other counts, half the people with it or half without it explain the answers alike."""
    rng = np.random.default_rng(11)
    found = []
    for _ in range(40):
        n = 300
        trait, arm = rng.random(n) < 0.5, rng.integers(0, 2, n)
        frame = pd.DataFrame({"y": np.where(trait, rng.binomial(4, 0.15, n), rng.binomial(4, 0.85, n)) + trait * arm, "treat": arm})
        one = maximum_likelihood(ListExperiment.from_frame(frame, answer="y", arm="treat", J=4), counts="binomial", dependence="free")
        assert one.modes["log_density"].is_monotonic_decreasing
        assert one.modes["log_density"][0] >= one.log_likelihood - 1e-9
        found.append(len(one.modes))
    assert max(found) > 1


def test_what_cannot_be_is_refused(race):
    whole = ListExperiment.from_frame(race, answer="y", arm="treat", J=3)
    for wrong, message in (
        ({"trait": "1 + (1|state)"}, "group-specific effects need priors and sampling. Use bayes_listexp.fit"),
        ({"counts": "com_binomial"}, "counts = 'com_binomial': maximum_likelihood knows softmax"),
        ({"dependence": "free"}, "no maximum without shrinkage"),
        ({"dependence": "free", "counts": "binomial", "priors": "default"}, "hierarchical priors"),
        ({"weighted": True}, "the study has no survey weights"),
        ({"variance": "HC3"}, "say 'information' or 'sandwich'"),
        ({"lapses": {"top": "1"}}, "'top' is not a lapse"),
        ({"priors": "flat"}, "say 'default'"),
        ({"trait": "1 + south", "priors": {"trait_slope": "HalfNormal(1)"}}, "not among those of the quick mode"),
        ({"by": "nobody"}, "column 'nobody' is not in the data"),
    ):
        with pytest.raises(InputError, match=message):
            maximum_likelihood(whole, **{"trait": "1", **wrong})
    with pytest.raises(InputError, match="there is no coefficient 'age' of 'trait'"):
        maximum_likelihood(whole).coefficient("trait", "age")
    with pytest.raises(InputError, match="nobody in the control arm"):
        nonlinear_least_squares(ListExperiment.from_frame(race[race["treat"] == 1], answer="y", arm=None, J=3))
