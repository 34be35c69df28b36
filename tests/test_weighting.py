"""Weights, strata, clusters and replicate weights: against the design's own formulas, and what must not change a result."""

import json

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import t as student

from bayes_listexp.curvature import correct, correction, prior_gradient, prior_precision, scores_at
from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.double_lists import double_list
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.instruments.second_list import SecondList
from bayes_listexp.least_squares import linear_regression
from bayes_listexp.model import build_model
from bayes_listexp.predictive import log_likelihood, patterns
from bayes_listexp.report import render_report, tables_of
from bayes_listexp.report_text import bibtex, methods_paragraph
from bayes_listexp.sampling import compile_density, constrain, find_mode
from bayes_listexp.spec import fit_arguments, read_spec, study_of
from bayes_listexp.specification import Specification, blueprint
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from bayes_listexp.weighting import kish, weighted_observations
from conftest import shared


def people(clusters=40, size=12, J=1, seed=3):
    """Clusters of four strata whose respondents answer alike, with weights that differ by cluster and by respondent."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    n = len(cluster)
    pi, q = expit(rng.normal(0, 0.8, clusters))[cluster], expit(rng.normal(0.3, 0.8, clusters))[cluster]
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "stratum": cluster * 4 // clusters, "cluster": cluster,
                          "w": np.round(rng.uniform(0.5, 3, n) * rng.uniform(0.5, 1.5, clusters)[cluster], 3)})
    return frame.assign(y=rng.binomial(J, q) + (rng.random(n) < pi) * frame["treat"], male=rng.integers(0, 2, n))


def study(frame, J=1, **roles):
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=J, **roles)


def influence(frame, w):
    """What each respondent adds to the difference of the weighted means."""
    out = np.zeros(len(frame))
    for sign, arm in ((1, 1), (-1, 0)):
        rows = (frame["treat"] == arm).to_numpy()
        y, of_arm = frame["y"].to_numpy()[rows], w[rows]
        out[rows] = sign * of_arm * (y - np.average(y, weights=of_arm)) / of_arm.sum()
    return out


def taylor(frame, w, unit=None, stratum=None):
    """Standard error of the weighted difference in means, written out: units with replacement within strata."""
    unit = np.arange(len(frame)) if unit is None else unit
    stratum = np.zeros(len(frame)) if stratum is None else stratum
    totals = pd.DataFrame({"z": influence(frame, w), "u": unit, "h": stratum}).groupby(["h", "u"])["z"].sum()
    return np.sqrt(sum(len(z) / (len(z) - 1) * ((z - z.mean()) ** 2).sum() for _, z in totals.groupby(level="h")))


def jackknife(frame):
    """Replicate weights that leave one cluster out each."""
    labels = frame["cluster"].unique()
    return frame.assign(**{f"r{c}": frame["w"] * (frame["cluster"] != c) * len(labels) / (len(labels) - 1) for c in labels})


def at_mode(made, **specification):
    """The mode, its covariance, and the correction there."""
    plan = blueprint(made, Specification(weighting="pseudo", **specification))
    model = build_model(plan)
    mode = find_mode(compile_density(model, mode="FAST_COMPILE"), seed=1)
    place = [v.name for v in model.value_vars].index("trait_intercept")
    return mode, correction(made, plan, model, mode.point), place


# The study


def test_the_design_is_kept_and_hashed():
    frame = jackknife(people(8))
    weights = [f"r{c}" for c in range(8)]
    made = study(frame, weights="w", strata="stratum", clusters="cluster", replicate_weights=weights, replicate_method="jackknife")
    assert made.replicates == ("jackknife", (7 / 8,) * 8)
    assert made.table["_replicate_3"].tolist() == frame["r2"].tolist()
    assert made.observed == ()
    assert made.covariates == ("stratum", "cluster", "male")
    hashes = {study(frame, weights="w", covariates=["male"], **more).sha256 for more in (
        {}, {"strata": "stratum"}, {"clusters": "cluster"}, {"strata": "stratum", "clusters": "cluster"},
        {"replicate_weights": weights, "replicate_method": "brr"}, {"replicate_weights": weights, "replicate_method": "jackknife"},
        {"replicate_weights": weights, "replicate_method": "fay", "replicate_rho": 0.5},
    )}
    assert len(hashes) == 7


@pytest.mark.parametrize(("change", "roles", "message"), [
    ({"stratum": np.nan}, {"strata": "stratum"}, r"column 'stratum', row 4: the stratum is missing"),
    ({"cluster": None}, {"clusters": "cluster"}, r"column 'cluster', row 4: the cluster is missing"),
    ({"stratum": 9}, {"strata": "stratum", "clusters": "cluster"}, r"column 'stratum', row 4: stratum '9' has a single cluster.*Join it"),
    ({"stratum": 9}, {"strata": "stratum"}, r"stratum '9' has a single respondent"),
    ({"w": -1.0}, {"replicate_weights": ["w", "v"], "replicate_method": "brr"}, r"column 'w', row 4: a replicate weight is missing"),
    ({}, {"replicate_weights": ["w", "v"]}, r"replicate_method = None: say how .* jackknife, brr, fay, bootstrap"),
    ({}, {"replicate_weights": ["w", "v"], "replicate_method": "fay"}, r"replicate_rho = None: Fay's method needs"),
    ({}, {"replicate_weights": ["w", "v"], "replicate_method": "brr", "replicate_scales": [1]}, r"2 replicate weights need as many"),
    ({}, {"replicate_method": "brr"}, r"replicate_method is given without replicate_weights"),
    ({}, {"clusters": "psu"}, r"column 'psu' \(clusters\) is not in the data"),
])
def test_designs_that_cannot_be(change, roles, message):
    frame = people(8).assign(u=1.0, v=1.0)
    frame = frame.astype({"cluster": object, "stratum": object})
    for name, value in change.items():
        frame.loc[3, name] = value
    weights = "u" if "replicate_weights" in roles else None
    with pytest.raises(InputError, match=message):
        study(frame, weights=weights, **roles)


def test_one_cluster_tells_nothing():
    with pytest.raises(InputError, match=r"all respondents are in one cluster \('1'\).*Leave `clusters` out"):
        study(people(8).assign(cluster=1), clusters="cluster")


# Kish


def test_kish_by_hand():
    frame = people(10).assign(wave=np.arange(120) // 60)
    table = kish(study(frame, weights="w", wave="wave")).set_index(["wave", "arm"])
    w = frame.loc[(frame["wave"] == 1) & (frame["treat"] == 1), "w"]
    row = table.loc["1", "treatment"]
    assert row["n"] == 30
    assert row["deff"] == pytest.approx(30 * (w**2).sum() / w.sum() ** 2, rel=1e-8)
    assert row["n_effective"] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-8)
    assert kish(study(frame.assign(w=4.0), weights="w"))["deff"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="no survey weights"):
        kish(study(frame))


# The difference in means by the design


@pytest.mark.parametrize("roles", [{"clusters": "cluster"}, {"clusters": "cluster", "strata": "stratum"}, {"strata": "stratum"}])
@pytest.mark.parametrize("weighted", [False, True])
def test_difference_in_means_by_the_design(roles, weighted):
    frame = people()
    w = frame["w"].to_numpy() if weighted else np.ones(len(frame))
    row = difference_in_means(study(frame, weights="w", **roles), weighted=weighted).iloc[0]
    known = {"unit": frame["cluster"] if "clusters" in roles else None, "stratum": frame["stratum"] if "strata" in roles else None}
    assert row["se"] == pytest.approx(taylor(frame, w, **known), rel=1e-10)
    degrees = (40 if "clusters" in roles else len(frame)) - (4 if "strata" in roles else 1)
    assert row["upper"] - row["estimate"] == pytest.approx(student.ppf(0.975, degrees) * row["se"])
    plain = difference_in_means(study(frame, weights="w"), weighted=weighted).iloc[0]
    assert row["estimate"] == pytest.approx(plain["estimate"])


def test_integer_weights_are_duplicated_respondents():
    rng = np.random.default_rng(1)
    frame = people().assign(w=lambda d: rng.integers(1, 4, len(d)))
    twice = frame.loc[np.repeat(frame.index, frame["w"])].reset_index(drop=True)
    roles = {"clusters": "cluster", "strata": "stratum"}
    weighted = difference_in_means(study(frame, weights="w", **roles), weighted=True)
    copied = difference_in_means(study(twice, **roles))
    columns = ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose(weighted[columns], copied[columns], rtol=1e-10)


def test_a_group_keeps_the_units_of_all():
    """Clusters without members of a group have totals of 0: the domain's variance, as sampling textbooks have it."""
    frame = people()
    table = difference_in_means(study(frame, clusters="cluster"), by="male")
    rows = (frame["male"] == 1).to_numpy()
    z = np.zeros(len(frame))
    z[rows] = influence(frame[rows], np.ones(rows.sum()))
    totals = pd.Series(z).groupby(frame["cluster"]).sum()
    assert table["se"][1] == pytest.approx(np.sqrt(40 / 39 * (totals**2).sum()))
    alone = difference_in_means(study(frame.assign(one=frame["cluster"] == 3), clusters="cluster"), by="one")
    assert np.isnan(alone["se"][1])


def test_replicate_weights_agree_with_linearisation():
    """The jackknife that leaves out clusters is the Taylor variance but for terms of second order: some per cent of 40 clusters."""
    frame = jackknife(people())
    replicated = study(frame, weights="w", replicate_weights=[f"r{c}" for c in range(40)], replicate_method="jackknife")
    row = difference_in_means(replicated, weighted=True).iloc[0]
    again = [np.average(g["y"], weights=g[f"r{c}"]) * sign for c in range(40) for sign, g in
             ((1, frame[frame["treat"] == 1]), (-1, frame[frame["treat"] == 0]))]
    differences = np.array(again).reshape(40, 2).sum(axis=1)
    assert row["se"] == pytest.approx(np.sqrt(39 / 40 * ((differences - row["estimate"]) ** 2).sum()), rel=1e-10)
    assert row["se"] == pytest.approx(taylor(frame, frame["w"].to_numpy(), frame["cluster"]), rel=0.03)


def test_change_between_waves_that_share_clusters():
    frame = people(40, 24).assign(wave=lambda d: (np.arange(len(d)) // 2) % 2)
    shared_units = change_in_means(study(frame, clusters="cluster", wave="wave"), "0", "1").iloc[0]
    z = np.zeros(len(frame))
    for sign, wave in ((-1, 0), (1, 1)):
        rows = (frame["wave"] == wave).to_numpy()
        z[rows] = sign * influence(frame[rows], np.ones(rows.sum()))
    totals = pd.Series(z).groupby(frame["cluster"]).sum()
    assert shared_units["se"] == pytest.approx(np.sqrt(40 / 39 * (totals**2).sum()))
    apart = study(frame.assign(cluster=frame["cluster"] + 100 * frame["wave"]), clusters="cluster", wave="wave")
    by_wave = difference_in_means(apart, by="wave")
    assert change_in_means(apart, "0", "1")["se"][0] == pytest.approx(np.sqrt((by_wave["se"] ** 2).sum()))


def test_double_list_by_clusters():
    frame = people(J=2).assign(t2=lambda d: 1 - d["treat"], y2=lambda d: (d["y"] + 1) % 3)
    roles = {"instruments": [SecondList("y2", "t2", 2)]}
    rows = double_list(study(frame, J=2, clusters="cluster", **roles)).set_index("of")
    first = influence(frame, np.ones(len(frame)))
    second = influence(frame.assign(y=frame["y2"], treat=frame["t2"]), np.ones(len(frame)))
    totals = pd.Series((first + second) / 2).groupby(frame["cluster"]).sum()
    assert rows.loc["mean", "se"] == pytest.approx(np.sqrt(40 / 39 * (totals**2).sum()))


# Least squares


def test_weighted_list_regression_is_the_reference():
    """R's `list` prints HC3 standard errors (its method "lm"), which agree to all digits; coefficients too."""
    frame = pd.read_csv(shared("race_weights.csv"))
    reference = json.loads((shared("race_weights.csv").parents[1] / "reference" / "list_weights.json").read_text())["race_weights_lm"]
    rows = linear_regression(study(frame, J=3, weights="w"), "south + age + male + college", weighted=True, variance="HC3")
    for part, key in (("trait", "treat"), ("control", "control")):
        found = rows[rows["part"] == part]
        np.testing.assert_allclose(found["estimate"], list(reference[f"par.{key}"].values()), rtol=1e-8)
        np.testing.assert_allclose(found["se"], list(reference[f"se.{key}"].values()), rtol=1e-8)
    tenfold = study(frame.assign(w=10 * frame["w"]), J=3, weights="w")
    for variance in ("design", "HC3", "classical"):
        once, ten = (linear_regression(s, "age", weighted=True, variance=variance) for s in (study(frame, J=3, weights="w"), tenfold))
        pd.testing.assert_frame_equal(once, ten, rtol=1e-10)


def test_regression_on_the_arm_alone_is_the_difference_in_means():
    made = study(people(), weights="w", clusters="cluster", strata="stratum")
    row = linear_regression(made, weighted=True).iloc[0]
    dim = difference_in_means(made, weighted=True).iloc[0]
    columns = ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose([row[name] for name in columns], [dim[name] for name in columns])


# The weighted likelihood


def test_without_weighting_the_model_is_as_ever():
    made = study(people(), weights="w", clusters="cluster")
    assert blueprint(made, Specification()).relative_weights == {}
    assert not [name for name in build_model(blueprint(made, Specification())).named_vars if "relative" in name]


@pytest.mark.parametrize("with_direct", [False, True])
def test_the_likelihood_counts_respondents_with_their_weights(with_direct):
    """The pseudo log-likelihood is the sum of w n / sum(w) log p over respondents, p from the unweighted model's patterns."""
    frame = people(10).assign(d=lambda d: np.where(np.arange(len(d)) % 3 == 0, np.nan, np.arange(len(d)) % 2))
    made = study(frame, weights="w", **({"instruments": [DirectQuestion("d")]} if with_direct else {}))
    plan = blueprint(made, Specification("1 + male", weighting="pseudo"))
    seen = weighted_observations(made, ["male"], with_direct)
    assert (seen.n == patterns(plan).n).all()
    assert seen.total.sum() == pytest.approx(len(frame), abs=1e-6)
    model = build_model(plan)
    initial = model.initial_point()
    x = np.linspace(-0.5, 0.5, len(initial))  # every parameter of this model is one number
    point = {v.name: np.reshape(value, np.shape(initial[v.name])) for v, value in zip(model.value_vars, x, strict=True)}
    log_p = log_likelihood(plan, constrain(model, x[None, None])).to_numpy()[0, 0]
    found = float(model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(point))
    assert found == pytest.approx(float(seen.total @ log_p), rel=1e-10)
    assert found != pytest.approx(float(seen.n @ log_p), rel=1e-6)


def test_weights_times_ten_change_not_a_digit():
    frame = people(10)
    trees = [fit(study(frame.assign(w=frame["w"] * factor), weights="w", clusters="cluster", strata="stratum"), method="map",
                 weighting="pseudo") for factor in (1, 10)]
    for group in ("posterior", "optimum"):
        for name, once in trees[0][group].to_dataset().items():
            assert np.array_equal(once, trees[1][group][name])
    means = [difference_in_means(study(frame.assign(w=frame["w"] * f), weights="w", clusters="cluster"), weighted=True) for f in (1, 10)]
    pd.testing.assert_frame_equal(*means, rtol=1e-12)


def test_equal_weights_are_no_weights():
    """Each respondent a unit of weight 1: M is n/(n - 1) times H about the mean score, so the spread grows by less than 1/n."""
    frame = people(10).assign(w=2.5)
    weighted, plain = (fit(study(frame, weights="w"), method="map", weighting=w) for w in ("pseudo", "none"))
    np.testing.assert_allclose(weighted["optimum"]["trait_intercept"], plain["optimum"]["trait_intercept"], rtol=1e-6)
    ratio = weighted["weighting"]["sd_ratio"].to_numpy()
    assert np.abs(ratio - 1).max() < 1 / len(frame)


@pytest.mark.parametrize("roles", [
    {"weights": "w"}, {"weights": "w", "clusters": "cluster"}, {"weights": "w", "strata": "stratum"},
    {"weights": "w", "clusters": "cluster", "strata": "stratum"}, {"clusters": "cluster"},
])
def test_the_corrected_sd_is_the_linearised_one(roles):
    """One control item and any counts: as many parameters as free shares of answers, so that with flat priors the prevalence at
    the mode is the weighted difference in means, whose linearised s.e. the corrected sd must be. Without clusters the same holds
    but for n/(n - 1), which is of all respondents and not of each arm. Finite differences leave 1e-8.
    """
    frame = people(100)
    mode, found, i = at_mode(study(frame, **roles), priors="flat")
    w = frame["w"].to_numpy() if "weights" in roles else np.ones(len(frame))
    p = expit(mode.point[i])
    dim = np.average(frame["y"], weights=w * (frame["treat"] == 1)) - np.average(frame["y"], weights=w * (frame["treat"] == 0))
    assert p == pytest.approx(dim, abs=1e-6)
    known = {"unit": frame["cluster"] if "clusters" in roles else None, "stratum": frame["stratum"] if "strata" in roles else None}
    assert p * (1 - p) * np.sqrt(found.corrected[i, i]) == pytest.approx(taylor(frame, w, **known), rel=1e-5)
    assert np.sqrt(mode.covariance[i, i] / found.covariance[i, i]) == pytest.approx(1, rel=1e-4)
    moved = found.transform.T @ found.covariance @ found.transform
    np.testing.assert_allclose(moved, found.corrected, rtol=1e-6, atol=1e-10)


def test_corrected_by_replicates_as_by_clusters():
    """Leaving out clusters: the same but for (G - 1)/G squared, as the deviations of linear totals are exact."""
    frame = jackknife(people())
    by_clusters = at_mode(study(frame, weights="w", clusters="cluster"), priors="flat")[1]
    replicates = {"replicate_weights": [f"r{c}" for c in range(40)], "replicate_method": "jackknife"}
    by_replicates = at_mode(study(frame, weights="w", **replicates), priors="flat")[1]
    assert by_replicates.units == "replicates"
    ratio = np.sqrt(np.diag(by_replicates.corrected) / np.diag(by_clusters.corrected))
    assert np.abs(ratio - 1).max() < 0.05  # replicates are normalised one by one, which moves their totals by some per cent


def test_integer_weights_correct_as_duplicated_respondents():
    rng = np.random.default_rng(1)
    frame = people().assign(w=lambda d: rng.integers(1, 4, len(d)))
    twice = frame.loc[np.repeat(frame.index, frame["w"])].reset_index(drop=True)
    weighted, copied = (at_mode(study(f, clusters="cluster", **more), priors="flat") for f, more in
                        ((frame, {"weights": "w"}), (twice, {})))
    np.testing.assert_allclose(weighted[0].point, copied[0].point, atol=1e-5)
    np.testing.assert_allclose(np.diag(weighted[1].corrected), np.diag(copied[1].corrected), rtol=1e-4)


def test_what_rests_on_the_prior_alone_keeps_its_spread():
    """A shift that the data cannot tell (prior sd .001) keeps the prior's spread whatever the design."""
    made = study(people(), weights="w", clusters="cluster")
    _, found, _ = at_mode(made, priors={"control_shift": "Normal(0, 0.001)"})
    sd = np.sqrt([np.diag(found.covariance), np.diag(found.corrected)])
    least = np.argmin(sd[0])
    assert sd[0][least] == pytest.approx(0.001, rel=1e-3)
    assert sd[1][least] == pytest.approx(0.001, rel=1e-3)


def test_prior_precision_of_normal_and_beta_priors():
    plan = blueprint(study(people(10)), Specification(priors={"control_intercept": "Normal(0, 2)"}, dependence="none"))
    model = build_model(plan)
    names = [v.name for v in model.value_vars]
    x = np.array([0.7 if name == "trait_intercept" else 0.2 for name in names])
    expected = {"trait_intercept": 2 * expit(0.7) * expit(-0.7), "control_intercept": 0.25}  # Beta(1, 1) on the logit; 1/sd^2
    np.testing.assert_allclose(prior_precision(prior_gradient(model), x), np.diag([expected[name] for name in names]), atol=1e-6)


def test_weighting_needs_something_to_weigh_by():
    with pytest.raises(InputError, match="neither weights nor strata or clusters"):
        fit(study(people(10)), weighting="pseudo", method="map")
    frame = people(10).assign(group=lambda d: np.where(np.arange(len(d)) % 9 == 0, None, "a"))
    with pytest.raises(InputError, match=r"missing covariates cannot be modelled in a weighted likelihood.*'drop' or 'level'"):
        fit(study(frame.assign(group=frame["group"].where(frame["treat"] == 0, "b")), weights="w", missing="model"), trait="1 + group",
            weighting="pseudo", method="map")
    with pytest.raises(InputError, match="weighting = 'full': say one of none, pseudo"):
        fit(study(people(10), weights="w"), weighting="full", method="map")


def test_coverage_under_clustering():
    """200 studies of 40 clusters in which each cluster sees one list, with weights that go with the trait: the corrected 95 %
    interval covers the population's prevalence, the uncorrected one far less often. Binomial sd of a coverage of .95: .015; normal
    intervals of 40 clusters cover about .94. One model is compiled, and given each study's data.
    """
    made = [clustered(seed) for seed in range(200)]
    plans = [blueprint(one, Specification(weighting="pseudo")) for one in made]
    model = build_model(plans[0])
    density = compile_density(model, mode="FAST_COMPILE")
    gradient, place = prior_gradient(model), [v.name for v in model.value_vars].index("trait_intercept")
    points = []
    for plan in plans:
        for arm, counts in plan.cells.answers.items():
            pm.set_data({f"{arm}_counts": counts, f"answer_{arm}_relative_weight": plan.relative_weights[arm]}, model=model)
        start = points[-1] if points else density.start
        points.append(minimize(lambda x: [-part for part in density.function(x)], start, jac=True).x)
    scores = scores_at(plans[0], model, np.array(points))  # every answer occurs in every study, so that their patterns are the same
    inside = {"raw": 0, "corrected": 0}
    for one, x, score in zip(made, points, scores, strict=True):
        seen = weighted_observations(one, [], False)
        found = correct(one, seen, x, score, prior_precision(gradient, x), alike=np.arange(len(x)))
        off = abs(x[place] - logit(TRUTH))
        inside["raw"] += off < 1.96 * np.sqrt(found.covariance[place, place])
        inside["corrected"] += off < 1.96 * np.sqrt(found.corrected[place, place])
    assert inside["raw"] < 0.85 * 200
    assert 0.90 * 200 <= inside["corrected"] <= 0.985 * 200


TRUTH = 0.4


def clustered(seed, clusters=40, size=25):
    """A study whose clusters differ in how many control items apply and in the trait, whose holders were sampled twice as often."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(clusters), size)
    trait = rng.random(len(cluster)) < 2 * TRUTH / (1 + TRUTH)
    frame = pd.DataFrame({"treat": cluster % 2, "cluster": cluster, "w": np.where(trait, 1.0, 2.0)})
    q = expit(rng.normal(0.3, 0.7, clusters))[cluster]
    return study(frame.assign(y=(rng.random(len(frame)) < q) + trait * frame["treat"]), weights="w", clusters="cluster")


def test_race_weights_agree_with_the_weighted_difference_in_means():
    """The weighted answer moves from the unweighted one as the weighted difference in means does (.068 to .055), and the spread
    grows as its s.e. does, by some per cent."""
    frame = pd.read_csv(shared("race_weights.csv"))
    made = study(frame, J=3, weights="w")
    trees = {w: fit(made, method="map", weighting=w) for w in ("none", "pseudo")}
    plain, pseudo = (prevalence(tree) for tree in trees.values())
    dims = [difference_in_means(made, weighted=w).iloc[0] for w in (False, True)]
    assert float(pseudo.mean()) < float(plain.mean())
    assert float(pseudo.mean() - plain.mean()) == pytest.approx(dims[1]["estimate"] - dims[0]["estimate"], abs=0.01)
    assert abs(float(pseudo.mean()) - dims[1]["estimate"]) < 2 * dims[1]["se"]
    assert trees["pseudo"]["weighting"].attrs["median_sd_ratio"] == pytest.approx(dims[1]["se"] / dims[0]["se"], abs=0.03)


# Report and spec


def test_the_report_puts_answers_side_by_side():
    frame = people(20, J=2)
    population = pd.DataFrame({"male": ["0.0", "1.0"], "N": [3, 7]}).astype({"male": float})
    made = study(frame, J=2, weights="w", clusters="cluster", population=population)
    plain, pseudo = (fit(made, trait="1 + male", method="map", weighting=w) for w in ("none", "pseudo"))
    report = survey_report(Survey(made, plain, "Title", alternatives={"weighted likelihood": pseudo}))
    render_report(report)
    tables = {table.name: table.frame for table in tables_of(report)}
    assert tables["weights"]["answer"].tolist() == [
        *(f"Model: {p}" for p in ("sample average", "weighted sample", "population (poststratified)")),
        *(f"Model, weighted likelihood: {p}" for p in ("sample average", "weighted sample", "population (poststratified)")),
        "Difference in means, unweighted", "Difference in means, weighted"]
    assert (tables["weights"]["lower"] < tables["weights"]["upper"]).all()
    assert len(tables["kish"]) == 3
    facts = dict(next(s for s in report.sections if s.id == "data").blocks[0].pairs)
    assert "Kish's design effect 1." in facts["Survey weights"]
    assert facts["Sampled units"] == "20 clusters"
    assert "Williams & Savitsky 2021" in methods_paragraph(pseudo).replace("\n", " ")
    assert "ribatet_cooley_davison_2012" in bibtex(pseudo)
    assert "Savitsky" not in methods_paragraph(plain) + bibtex(plain)
    own = survey_report(Survey(made, pseudo, "Title"))
    section = next(s for s in own.sections if s.id == "weights")
    assert any("clusters (19 degrees of freedom)" in str(getattr(block, "pairs", "")) for block in section.blocks)


def test_a_spec_names_the_design(tmp_path):
    frame = jackknife(people(8))
    frame.to_csv(tmp_path / "survey.csv", index=False)
    text = """[data]
file = "survey.csv"
answer = "y"
arm = "treat"
J = 1
weights = "w"
strata = "stratum"
clusters = "cluster"
replicate_weights = ["r0", "r1", "r2"]
replicate_method = "fay"
replicate_rho = 0.5

[model]
weighting = "pseudo"
"""
    (tmp_path / "survey.toml").write_text(text, encoding="utf-8")
    spec = read_spec(tmp_path / "survey.toml")
    made, _ = study_of(spec)
    assert made.replicates == ("fay", (1 / (3 * 0.25),) * 3)
    assert {"_stratum", "_cluster"} <= set(made.table.columns)
    assert fit_arguments(spec)["weighting"] == "pseudo"
    (tmp_path / "bad.toml").write_text(text.replace("replicate_rho = 0.5", "replicate_rho = 'half'"), encoding="utf-8")
    with pytest.raises(InputError, match=r"bad.toml, line 11: .*'replicate_rho' must be of type float"):
        read_spec(tmp_path / "bad.toml")
