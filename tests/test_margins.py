"""What other sources know of groups and of control items: terms against closed forms, and what they do to estimates."""

import json
from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit, logit

from bayes_listexp import DirectQuestion, KnownItem, KnownPrevalence, ListExperiment, fit, prevalence
from bayes_listexp.errors import InputError
from bayes_listexp.formulas import linear_predictor
from bayes_listexp.margins import evidence_words, people_of
from bayes_listexp.model import build_model
from bayes_listexp.simulate import draw_study
from bayes_listexp.specification import Specification, blueprint

J = 3
POPULATION = pd.DataFrame({"g": ["a", "b"], "N": [900, 100]})


def people(n, *, seed=1):
    """Two groups of different size; half of the people are in each arm."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(n) % 2)
    answers = rng.integers(0, J + 1, n) + treated * rng.integers(0, 2, n)
    return pd.DataFrame({"y": answers, "t": treated, "g": np.where(rng.random(n) < 0.3, "a", "b")})


def study_of(frame, **more):
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=J, covariates=["g"], **more)


ITEMS = {"counts": "poisson_binomial", "dependence": "none"}
EVERY = (
    KnownPrevalence({"g": "a"}, yes=30, n=80, discount=0.4),
    KnownPrevalence(share=0.35, se=0.03),
    KnownPrevalence(share=0.35, se=0.03, discount=0.2, population="frame"),
    KnownPrevalence({"g": "b"}, yes=3, n=80, bias=0.5, population="frame"),
    KnownPrevalence(share=0.35, se=0.03, bias=0.7),
    KnownItem(2, share=0.6, se=0.02),
    KnownItem(3, yes=12, n=40, discount=0.5, bias=0.3),
    KnownItem(2, yes=60, n=100),
)


@pytest.fixture(scope="module")
def whole():
    """The blueprint and the model of every kind of margin at once."""
    plan = blueprint(study_of(people(500), population=POPULATION), Specification("g", "g", margins=EVERY, **ITEMS))
    return plan, build_model(plan)


def test_terms_equal_closed_forms(whole):
    plan, model = whole
    rng = np.random.default_rng(2)
    point = {name: rng.normal(0, 0.8, np.shape(value)) for name, value in model.initial_point().items()}
    wanted = model.replace_rvs_by_values([*model.potentials, model["control_item"]])
    *terms, item = model.compile_fn(wanted, inputs=model.value_vars, mode="FAST_COMPILE")(point)
    found = dict(zip([term.name for term in model.potentials], terms, strict=True))

    def predictor(name, frame):
        return linear_predictor(point, name, plan.designs[name].evaluate(frame))

    cells, n = plan.cells.frame, plan.cells.n
    p, in_frame = expit(predictor("trait", cells)), expit(predictor("trait", POPULATION))
    popular = [np.average(expit(predictor("control", cells) + offset), weights=n) for offset in item]
    everybody = p @ n / n.sum()
    of_a = p[(cells["g"] == "a").to_numpy()][0]

    def shifted(share, name):
        return expit(logit(share) + point[name])

    def counted(share, yes, size):
        return yes * np.log(share) + (size - yes) * np.log(1 - share)

    def normal(share):
        return -0.5 * ((share - 0.35) / 0.03) ** 2

    expected = {
        "margin_prevalence_1": 0.4 * counted(of_a, 30, 80),
        "margin_prevalence_2": normal(everybody),
        "margin_prevalence_3": 0.2 * normal(in_frame @ [0.9, 0.1]),
        "margin_prevalence_4": counted(shifted(in_frame[1], "margin_prevalence_4_bias"), 3, 80),
        "margin_prevalence_5": normal(shifted(everybody, "margin_prevalence_5_bias")),
        "margin_item_1": -0.5 * ((popular[1] - 0.6) / 0.02) ** 2,
        "margin_item_2": 0.5 * counted(shifted(popular[2], "margin_item_2_bias"), 12, 40),
        "margin_item_3": counted(popular[1], 60, 100),
    }
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("size", [40.0, -40.0])
def test_gradients_are_finite_far_out(whole, size):
    _, model = whole
    run = model.compile_dlogp(mode="FAST_COMPILE")
    for trait, control in product((size, -size), (size, -size)):
        point = model.initial_point()
        point["trait_intercept"], point["control_intercept"] = np.array(trait), np.array(control)
        assert np.isfinite(run(point)).all()


def test_shares_of_a_group():
    frame = pd.DataFrame({"g": pd.Categorical(["a", "b", "a"]), "x": [1.0, 1.0, 2.0]})
    mass = np.array([3.0, 5.0, 1.0])
    np.testing.assert_allclose(people_of(KnownPrevalence({}, share=0.5, se=0.1), frame, mass), mass / 9)
    np.testing.assert_allclose(people_of(KnownPrevalence({"g": "a"}, share=0.5, se=0.1), frame, mass), [0.75, 0, 0.25])
    np.testing.assert_allclose(people_of(KnownPrevalence({"g": "a", "x": 1}, share=0.5, se=0.1), frame, mass), [1, 0, 0])


def test_people_without_a_list_answer_belong_to_the_sample():
    frame = people(60).astype({"y": float}).assign(d=0)
    frame.loc[frame.index[:10], "y"] = np.nan
    frame.loc[frame.index[5:10], "d"] = np.nan
    study = study_of(frame, instruments=[DirectQuestion("d")])
    plan = blueprint(study, Specification("g", margins=(KnownPrevalence(share=0.3, se=0.1),)))
    kept = frame.drop(index=frame.index[5:10])
    np.testing.assert_allclose(plan.margins[0].shares, kept["g"].value_counts(normalize=True).sort_index())


TRUTH = {"trait_intercept": -0.6, "trait_slope": [1.4], "control_intercept": 0.3}
FORMULAS = {"trait": "g", "control": "1", "counts": "binomial", "dependence": "none"}


@pytest.fixture(scope="module")
def drawn():
    return draw_study(study_of(people(1_500)), Specification(**FORMULAS), TRUTH, seed=3)


def fitted(drawn, **margin):
    margins = [KnownPrevalence(**margin)] if margin else []
    return prevalence(fit(drawn.study, margins=margins, method="map", **FORMULAS))


def test_a_margin_is_about_the_mean_probability_and_bias_makes_it_weaker(drawn):
    """The known share is the truth, a mean of probabilities that is far from the probability of the mean predictor."""
    truth = float(drawn.prevalence.mean())
    alone = fitted(drawn)
    ignored = fitted(drawn, share=truth, se=0.005, discount=0.0)
    np.testing.assert_allclose(ignored, alone, atol=1e-5)
    exact, biased = fitted(drawn, share=truth, se=0.005), fitted(drawn, share=truth, se=0.005, bias=0.15)
    assert float(exact.mean()) == pytest.approx(truth, abs=4 * 0.005)
    sds = [float(draws.std()) for draws in (exact, biased, alone)]
    assert sds[0] < 0.0055 < 0.01 < sds[1] < 0.9 * sds[2]  # the bias alone is worth 0.15 p (1 - p) = 0.03 on this scale
    for draws, sd in zip((alone, biased), (sds[2], sds[1]), strict=True):
        assert abs(float(draws.mean()) - truth) < 4 * sd


def test_a_group_is_known_and_the_rest_follows(drawn, tmp_path):
    g = drawn.study.table["g"]
    truth = {level: float(drawn.prevalence[(g == level).to_numpy()].mean()) for level in ("a", "b")}
    tree = fit(drawn.study, margins=[KnownPrevalence({"g": "a"}, yes=truth["a"] * 1e5, n=1e5)], method="map", **FORMULAS)
    by = prevalence(tree, by="g")
    assert float(by.sel(g="a").mean()) == pytest.approx(truth["a"], abs=0.01)
    assert float(by.sel(g="a").std()) == pytest.approx((truth["a"] * (1 - truth["a"]) / 1e5) ** 0.5, rel=0.15)  # 1,000 draws
    assert abs(float(by.sel(g="b").mean()) - truth["b"]) < 4 * float(by.sel(g="b").std())
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = stored.load()
    xr.testing.assert_allclose(prevalence(again, by="g"), by)
    margin = json.loads(again.attrs["specification"])["margins"][0]
    assert margin["kind"] == "KnownPrevalence"
    assert margin["group"] == {"g": "a"}


def test_a_single_long_list_and_known_items():
    """With known popularities, the prevalence is the mean answer less their sum, in a large sample."""
    rng = np.random.default_rng(8)
    n, shares, p = 40_000, np.array([0.8, 0.5, 0.3]), 0.35
    y = (rng.random((n, J)) < shares).sum(axis=1) + (rng.random(n) < p)
    study = ListExperiment.from_frame(pd.DataFrame({"y": y}), answer="y", arm=None, J=J)
    margins = [KnownItem(j + 1, share=share, se=0.002) for j, share in enumerate(shares)]
    tree = fit(study, margins=margins, method="map", **ITEMS)
    se = (y.var() / n + J * 0.002**2) ** 0.5
    draws = prevalence(tree)
    assert float(draws.mean()) == pytest.approx(y.mean() - shares.sum(), abs=3 * se)
    assert float(draws.mean()) == pytest.approx(p, abs=4 * se)
    assert float(draws.std()) < 1.1 * se  # that items are independent says a little more than the mean answer does
    for j, share in enumerate(shares):
        assert float(tree["posterior"][f"margin_item_{j + 1}_share"].mean()) == pytest.approx(share, abs=4 * 0.002)
    with pytest.raises(InputError, match="no control arm, .* add a KnownItem for item 2, 3"):
        fit(study, margins=margins[:1], method="map", **ITEMS)


def test_a_placebo_experiment_tells_deflation_from_a_rarer_trait():
    rng = np.random.default_rng(5)
    n, truth, deflation = 60_000, {"sensitive": 0.3, "harmless": 0.7}, 0.25
    arm = np.array(["control", "sensitive", "harmless"])[rng.permutation(np.arange(n) % 3)]
    trait = rng.random(n) < pd.Series(arm).map(truth).fillna(0).to_numpy()
    y = rng.binomial(J, 0.5, n) + (trait & (rng.random(n) >= deflation))
    frame = pd.DataFrame({"y": y, "arm": arm})
    study = ListExperiment.from_frame(frame, answer="y", arm="arm", arms=("control", ["sensitive", "harmless"]), J=J)
    known = KnownPrevalence({"item": "harmless"}, share=0.7, se=0.005)
    model = {"trait": "item", "control": "1", "counts": "binomial", "dependence": "none"}
    tree = fit(study, margins=[known], response="deflated", method="map", **model)
    draws = prevalence(tree, by="item").sel(item="sensitive")
    assert abs(float(draws.mean()) - truth["sensitive"]) < 4 * float(draws.std())
    assert float(draws.std()) < 0.02
    lapse = expit(tree["posterior"]["lapse_deflation"])
    assert abs(float(lapse.mean()) - deflation) < 4 * float(lapse.std())
    plain = prevalence(fit(study, method="map", **model), by="item").sel(item="sensitive")
    assert abs(float(plain.mean()) - (1 - deflation) * truth["sensitive"]) < 4 * float(plain.std())
    with pytest.raises(InputError, match="KnownPrevalence: with several sensitive items, say in the group which one is known"):
        fit(study, margins=[KnownPrevalence(share=0.7, se=0.005)], method="map", **model)


BAD_MARGINS = [
    (KnownPrevalence, {}, "KnownPrevalence: give either yes and n, or share and se"),
    (KnownPrevalence, {"yes": 3, "n": 8, "share": 0.3}, "give either yes and n, or share and se"),
    (KnownPrevalence, {"yes": 3}, "give either yes and n, or share and se"),
    (KnownPrevalence, {"yes": 3, "n": {"region": "a"}}, "n = {'region': 'a'} is not a number"),
    (KnownPrevalence, {"group": 40, "yes": 3, "n": 8}, "group = 40: give levels by column"),
    (KnownPrevalence, {"yes": 9, "n": 8}, "yes = 9 of n = 8: yes must lie between 0 and n"),
    (KnownPrevalence, {"yes": -1, "n": 8}, "yes = -1 of n = 8"),
    (KnownPrevalence, {"yes": 0, "n": 0}, "yes = 0 of n = 0"),
    (KnownPrevalence, {"yes": 3, "n": np.inf}, "n = inf"),
    (KnownPrevalence, {"share": 35, "se": 2}, r"share = 35, se = 2: a share lies between 0 and 1 \(not in percent\)"),
    (KnownPrevalence, {"share": 0.3, "se": 0}, "share = 0.3, se = 0"),
    (KnownPrevalence, {"share": np.nan, "se": 0.1}, "share = nan"),
    (KnownPrevalence, {"share": 0.3, "se": 0.1, "discount": 1.2}, "KnownPrevalence: discount = 1.2 must lie between 0"),
    (KnownPrevalence, {"share": 0.3, "se": 0.1, "bias": -1}, "bias = -1 is a standard deviation on the logit scale"),
    (KnownPrevalence, {"share": 0.3, "se": 0.1, "population": "census"}, "population = 'census': say 'sample' or 'frame'"),
    (KnownItem, {"item": 1, "share": 0.3}, "KnownItem: give either yes and n, or share and se"),
]


@pytest.mark.parametrize(
    ("margin", "words"),
    [
        (KnownPrevalence(yes=720, n=1000), "720 of 1,000"),
        (KnownItem(2, yes=720, n=1000, discount=0.005), "720 of 1,000, counted at 0.5 % of its weight"),
        (KnownItem(1, share=0.355, se=0.02), "35.5 % (standard error 2 points)"),
        (KnownPrevalence(share=0.3, se=0.1, discount=0, bias=0.25), "30 % (standard error 10 points), counted at 0 % of its weight, "
         "with a bias of the source of standard deviation 0.25 on the logit scale"),
    ],
)
def test_the_evidence_in_words(margin, words):
    assert evidence_words(asdict(margin)) == words


@pytest.mark.parametrize(("kind", "fields", "message"), BAD_MARGINS)
def test_margins_that_are_no_share_are_refused(kind, fields, message):
    with pytest.raises(InputError, match=message):
        kind(**fields)


@pytest.mark.parametrize(
    ("margin", "more", "message"),
    [
        (KnownPrevalence({"h": "a"}, share=0.3, se=0.1), {}, "column 'h' of the group is not in the sample; name it in `groups`"),
        (KnownPrevalence({"g": "c"}, share=0.3, se=0.1), {}, "nobody of the sample is in the group {'g': 'c'}"),
        (KnownPrevalence(share=0.3, se=0.1, population="frame"), {}, "the study has no population frame"),
        (KnownItem(4, share=0.3, se=0.1), ITEMS, "KnownItem: item = 4: with J = 3 control items it must be 1 to 3"),
        (KnownItem(0, share=0.3, se=0.1), ITEMS, "KnownItem: item = 0"),
        (KnownItem(1, share=0.3, se=0.1), {}, "KnownItem: what is known of single control items .* counts = 'softmax' is not"),
    ],
)
def test_margins_that_do_not_fit_the_study_are_refused(margin, more, message):
    with pytest.raises(InputError, match=message):
        blueprint(study_of(people(60)), Specification(margins=(margin,), **more))


def test_one_control_item_is_known():
    frame = people(200).assign(y=lambda f: f["y"].clip(upper=1 + f["t"]))
    study = ListExperiment.from_frame(frame, answer="y", arm="t", J=1)
    tree = fit(study, margins=[KnownItem(1, share=0.5, se=0.01)], method="map", **ITEMS)
    assert float(tree["posterior"]["margin_item_1_share"].mean()) == pytest.approx(0.5, abs=0.05)
