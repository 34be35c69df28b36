"""Randomised response: the factor by plain enumeration, the device's designs, and what the technique alone would report."""

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

from bayes_listexp import InputError, ListExperiment, RandomisedResponse, Specification, fit, observed_by
from bayes_listexp.instrument import Rows
from bayes_listexp.instruments import described, made
from bayes_listexp.simulate import draw_study
from oracle import sigmoid

ANSWERS = np.array([0.0, 1.0, np.nan])
DEVICES = [{"truth": 0.7, "forced_yes": 0.2}, {"truth": 0.6, "forced_yes": 0.0}, {"truth": 0.9, "forced_yes": 0.1},
           {"truth": 1.0, "forced_yes": 0.0}, {"truth": 0.25, "design": "mirrored"}]


def rows_of(answers, name="randomised"):
    size = len(answers)
    none = np.full(size, -1)
    return Rows(np.arange(size), none, none, np.zeros(size), np.ones(size), np.ones(size), {f"_{name}": np.asarray(answers)})


def factor(instrument, answers, cheat, claim):
    """The log factor (row, trait) and its gradient at one value of both predictors."""
    rows, at = rows_of(answers), pt.vector("at")
    predictors = {f"{instrument.name}_cheat": at[0] + np.zeros(len(answers)), f"{instrument.name}_claim": at[1] + np.zeros(len(answers))}
    log_p = instrument.log_factor(rows, instrument.distribution(rows, predictors, {}, 3))
    gradient = pt.grad(log_p.sum(), at, disconnected_inputs="ignore")
    out = pytensor.function([at], [log_p, gradient], mode="FAST_COMPILE", on_unused_input="ignore")(np.array([cheat, claim], float))
    return out[0][..., 0], out[1]


def by_hand(device, cheating, trait, answer, cheat, claim):
    """P(answer | trait): go through how people act and what the device tells them to do."""
    if np.isnan(answer):
        return 1.0
    holder = {"none": 1.0}.get(cheating, 1 - sigmoid(cheat)) if trait else (sigmoid(claim) if cheating == "two_sided" else 0.0)
    total = 0.0
    for acts, p in ((1, holder), (0, 1 - holder)):
        if device.get("design") == "mirrored":
            told = [(device["truth"], acts), (1 - device["truth"], 1 - acts)]
        else:
            told = [(device["truth"], acts), (device["forced_yes"], 1), (1 - device["truth"] - device["forced_yes"], 0)]
        total += p * sum(q for q, said in told if said == answer)
    return total


@pytest.mark.parametrize("cheating", ["none", "one_sided", "two_sided"])
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_factor_is_the_enumeration_of_acts_and_instructions(device, cheating):
    got, _ = factor(RandomisedResponse("r", cheating=cheating, **device), ANSWERS, 0.4, -1.3)
    for i, answer in enumerate(ANSWERS):
        for trait in (0, 1):
            expected = by_hand(device, cheating, trait, answer, 0.4, -1.3)
            assert np.exp(got[i, trait]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("eta", [(40, 40), (-40, -40), (40, -40), (-40, 40)])
def test_factor_and_gradient_are_finite_at_forty(device, eta):
    for cheating in ("none", "one_sided", "two_sided"):
        got, gradient = factor(RandomisedResponse("r", cheating=cheating, **device), ANSWERS, *eta)
        assert np.isfinite(got).all()
        assert np.isfinite(gradient).all()


def test_a_rare_yes_keeps_its_digits():
    """Without forced answers a "yes" of somebody who almost surely cheats has log probability log truth - 40."""
    got, gradient = factor(RandomisedResponse("r", truth=0.6, forced_yes=0.0), [1.0], 40, 0)
    assert got[0, 1] == pytest.approx(np.log(0.6) - 40, rel=1e-14)
    assert gradient[0] == pytest.approx(-1.0, rel=1e-12)


@pytest.mark.parametrize("cheating", ["none", "one_sided", "two_sided"])
@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_possible_is_where_the_enumeration_is_above_zero(device, cheating):
    possible = RandomisedResponse("r", cheating=cheating, **device).possible(rows_of(ANSWERS))
    expected = [[by_hand(device, cheating, trait, answer, 0.4, -1.3) > 1e-12 for trait in (0, 1)] for answer in ANSWERS]
    assert possible.tolist() == expected


def test_drawn_answers_have_the_probabilities_of_the_factor():
    """40,000 draws each: a share is off by more than 4 standard errors (.01) once in 16,000."""
    instrument, n = RandomisedResponse("r", truth=0.6, forced_yes=0.1, cheating="two_sided"), 40_000
    rows = rows_of(np.r_[np.zeros(2 * n), np.nan])
    trait = np.r_[np.repeat([0, 1], n), 1]
    predictors = {"randomised_cheat": 0.4 + np.zeros(len(trait)), "randomised_claim": -1.3 + np.zeros(len(trait))}
    distribution = {k: v.eval(mode="FAST_COMPILE") for k, v in instrument.distribution(rows, predictors, {}, 3).items()}
    drawn = instrument.draw(np.random.default_rng(1), rows, (trait, trait), distribution)["_randomised"]
    assert np.isnan(drawn[-1])
    for z, answers in ((0, drawn[:n]), (1, drawn[n:-1])):
        expected = by_hand({"truth": 0.6, "forced_yes": 0.1}, "two_sided", z, 1.0, 0.4, -1.3)
        assert answers.mean() == pytest.approx(expected, abs=0.01)


def study(n, *, separate=False, **settings):
    """A design of ``n`` people: everybody has both techniques, or (``separate``) half of them one and half the other."""
    asked = np.arange(n) % 4 > 1
    frame = pd.DataFrame({"list": np.zeros(n), "arm": np.arange(n) % 2, "r": np.arange(n) // 4 % 2 * 1.0})
    if separate:
        frame = frame.assign(list=frame["list"].where(~asked), r=frame["r"].where(asked))
    instrument = RandomisedResponse("r", truth=0.7, forced_yes=0.15, **settings)
    return ListExperiment.from_frame(frame, answer="list", arm="arm", J=3, instruments=[instrument], covariates=[])


TRUTH = {"trait_intercept": -0.4, "control_intercept": 0.0, "control_shift": 0.0, "control_shape": np.zeros(2),
         "randomised_cheat_intercept": -0.6}


@pytest.fixture(scope="module", params=[False, True], ids=["same people", "another sample"])
def fitted(request):
    drawn = draw_study(study(8000, separate=request.param), Specification(), TRUTH, seed=3)
    return drawn, fit(drawn.study, method="map", dependence="none")


def test_prevalence_and_technique_bias_are_recovered(fitted):
    """Every estimate is within 3 posterior standard deviations of the truth (missed once in 370 each)."""
    _, tree = fitted
    estimates = observed_by(tree, "randomised")
    prevalence, cheats = sigmoid(-0.4), sigmoid(-0.6)
    truth = {"prevalence": prevalence, "implied": prevalence * (1 - cheats), "technique_bias": -prevalence * cheats,
             "cheaters": prevalence * cheats, "cheating_rate": cheats}
    assert set(estimates) == set(truth)
    for name, value in truth.items():
        assert abs(float(estimates[name].mean()) - value) < 3 * float(estimates[name].std()), name
        assert float(estimates[name].std()) < 0.08
        assert estimates[name].attrs["label"]


def test_implied_is_what_the_answers_alone_say(fitted):
    """(share of "yes" - forced_yes) / truth, which the model can only match up to what it learns from the list as well: the
    standard error of the share, .5 / sqrt(4000) / .7 = .011, twice.
    """
    drawn, tree = fitted
    answers = drawn.study.table["_randomised"].dropna()
    assert float(observed_by(tree, "randomised")["implied"].mean()) == pytest.approx((answers.mean() - 0.15) / 0.7, abs=0.022)


def test_estimates_are_the_same_from_a_file(fitted, tmp_path):
    _, tree = fitted
    tree.to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as again:
        xr.testing.assert_identical(observed_by(again.load(), "randomised"), observed_by(tree, "randomised"))


def test_without_cheating_a_study_can_be_drawn_and_both_techniques_inform_one_prevalence():
    drawn = draw_study(study(2000, cheating="none"), Specification(), {k: v for k, v in TRUTH.items() if "cheat" not in k}, seed=5)
    tree = fit(drawn.study, method="map", dependence="none")
    estimates = observed_by(tree, "randomised")
    np.testing.assert_array_equal(estimates["technique_bias"], np.zeros((1, 1000)))
    alone = fit(drawn.study, method="map", dependence="none", instruments={"randomised": {"cheating": "one_sided"}})
    assert float(estimates["prevalence"].std()) < 0.8 * float(observed_by(alone, "randomised")["prevalence"].std())


def test_two_sided_estimates_are_ratios_of_shares():
    instrument = RandomisedResponse("r", truth=0.6, forced_yes=0.1, cheating="two_sided")
    predictors = {"randomised_cheat": np.array([0.4]), "randomised_claim": np.array([-1.3])}
    distribution = {k: v.eval(mode="FAST_COMPILE") for k, v in instrument.distribution(rows_of([np.nan]), predictors, {}, 3).items()}
    told = instrument.combine(instrument.parts(np.array([[0.3]]), {k: v[None] for k, v in distribution.items()}))
    yes = sum(p * by_hand({"truth": 0.6, "forced_yes": 0.1}, "two_sided", z, 1.0, 0.4, -1.3) for z, p in ((0, 0.7), (1, 0.3)))
    assert told["implied"] == pytest.approx((yes - 0.1) / 0.6)
    assert told["technique_bias"] == pytest.approx(told["claimers"] - told["cheaters"])
    assert told["cheating_rate"] == pytest.approx(sigmoid(0.4))
    assert told["claiming_rate"] == pytest.approx(sigmoid(-1.3))
    assert set(told) <= set(instrument.labels())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truth": 0, "forced_yes": 0.1}, "truth = 0: nobody is asked for the truth"),
        ({"truth": 1.2, "forced_yes": 0.1}, "truth = 1.2: a probability"),
        ({"truth": "0.5", "forced_yes": 0.1}, "truth = '0.5': a probability"),
        ({"truth": float("nan"), "forced_yes": 0.1}, "truth = nan: a probability"),
        ({"truth": 0.7, "forced_yes": -0.1}, "forced_yes = -0.1: a probability"),
        ({"truth": 0.7, "forced_yes": 0.4}, r"forced_yes \+ truth = 1.1 is above 1"),
        ({"truth": 0.7}, "needs forced_yes"),
        ({"truth": 0.5, "design": "mirrored"}, "truth = 0.5"),
        ({"truth": 0.7, "forced_yes": 0.1, "design": "mirrored"}, "nothing is forced"),
        ({"truth": 0.7, "forced_yes": 0.1, "design": "unrelated"}, "design = 'unrelated': say one of forced, mirrored"),
        ({"truth": 0.7, "forced_yes": 0.1, "cheating": "always"}, "cheating = 'always': say one of none"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        RandomisedResponse("r", **settings)


def test_bad_answers_name_column_and_rows():
    frame = pd.DataFrame({"list": [0, 1, 2, 1], "arm": [0, 1, 0, 1], "r": [1, 0, 9, None]})
    with pytest.raises(InputError, match="column 'r', row 3: found 9"):
        ListExperiment.from_frame(frame, answer="list", arm="arm", J=3,
                                  instruments=[RandomisedResponse("r", truth=0.7, forced_yes=0.1)], covariates=[])


def test_an_answer_that_nobody_can_give_is_refused_before_fitting():
    """Without forced "yes" and without cheating, "yes" needs the trait, and 0 items on the treatment list its absence."""
    frame = pd.DataFrame({"list": [0, 1, 2, 0], "arm": [0, 1, 0, 1], "r": [0, 0, 0, 1]})
    instrument = RandomisedResponse("r", truth=0.7, forced_yes=0.0, cheating="none")
    made_study = ListExperiment.from_frame(frame, answer="list", arm="arm", J=3, instruments=[instrument], covariates=[])
    with pytest.raises(InputError, match="1 respondents said what nobody can say"):
        fit(made_study, method="map")


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_as_plain_data_and_back(device):
    instrument = RandomisedResponse("r", cheating="two_sided", name="dice", **device)
    assert made("dice", described(instrument)) == instrument
