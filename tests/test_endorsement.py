"""Endorsement experiments: the factor by integration, draws, and the effects recovered from a list beside it."""

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from bayes_listexp import Endorsement, InputError, ListExperiment, Specification, fit, observed_by
from bayes_listexp.instrument import Rows
from bayes_listexp.instruments import described, made
from bayes_listexp.simulate import draw_study

VALUES = {"endorsement_with": 0.9, "endorsement_without": -0.4, "endorsement_trait": 0.3, "endorsement_sd": 1.2,
          "endorsement_first_cut": np.array([0.5]), "endorsement_gap": np.array([0.7, 1.1, 0.4, 0.9])}
CUTS = np.array([[0.0, 0.7, 1.8], [0.5, 0.9, 1.8]])  # the first of all is 0, the gaps follow
ANSWERS = np.array([[0, 3], [2, 1], [3, 3], [1, np.nan], [np.nan, 2], [np.nan, np.nan]])
ENDORSED = np.array([[1, 0], [0, 1], [1, 1], [1, np.nan], [np.nan, 0], [np.nan, np.nan]])
POSITION = 0.6


def instrument(policies=2, levels=4, **settings):
    names = tuple(f"a{k}" for k in range(policies)), tuple(f"e{k}" for k in range(policies))
    return Endorsement(*names, levels=tuple(range(1, levels + 1)), **settings)


def rows_of(answers, endorsed):
    size, none = len(answers), np.full(len(answers), -1)
    seen = {f"_endorsement_answer_{k + 1}": answers[:, k] for k in range(answers.shape[1])}
    seen |= {f"_endorsement_endorsed_{k + 1}": endorsed[:, k] for k in range(answers.shape[1])}
    return Rows(np.arange(size), none, none, np.zeros(size), np.ones(size), np.ones(size), seen)


def factor(made_of, values, answers, endorsed, position):
    """The log factor (row, trait), and its gradient with respect to the position and all parameters."""
    rows = rows_of(answers, endorsed)
    inputs = {name: pt.tensor(name, dtype="float64", shape=np.shape(value)) for name, value in values.items()}
    at = pt.scalar("position", dtype="float64")
    predictors = {"endorsement_position": at + np.zeros(len(answers))}
    log_p = made_of.log_factor(rows, made_of.distribution(rows, predictors, inputs, 3))
    gradients = pt.grad(log_p.sum(), [at, *inputs.values()], disconnected_inputs="ignore")
    compiled = pytensor.function([at, *inputs.values()], [log_p, *gradients], mode="FAST_COMPILE", on_unused_input="ignore")
    told, *gradient = compiled(position, *(np.asarray(value, dtype=float) for value in values.values()))
    return told[..., 0], np.concatenate([np.ravel(g) for g in gradient])


def by_hand(answers, endorsed, trait, u, position=POSITION, cuts=CUTS, values=VALUES):
    """P(answers | trait, what the person thinks of all policies): differences of cumulative probabilities."""
    p = 1.0
    for k, answer in enumerate(answers):
        if np.isnan(answer):
            continue
        shift = endorsed[k] * values["endorsement_with" if trait else "endorsement_without"]
        above = expit(position + trait * values["endorsement_trait"] + values["endorsement_sd"] * u + shift - cuts[k])
        p *= -np.diff([1.0, *above, 0.0])[int(answer)]
    return p


def test_factor_is_the_integral_over_people():
    """The rule's error in the log at an sd of 1.2 and four levels is below 1e-4; SciPy's integral is exact to 1e-8."""
    got, _ = factor(instrument(), VALUES, ANSWERS, ENDORSED, POSITION)
    for i, (answers, endorsed) in enumerate(zip(ANSWERS, ENDORSED, strict=True)):
        for trait in (0, 1):
            expected, _ = quad(lambda u, a=answers, e=endorsed, z=trait: by_hand(a, e, z, u) * norm.pdf(u), -9, 9, epsabs=1e-12)
            assert got[i, trait] == pytest.approx(np.log(expected), abs=1e-4)
    np.testing.assert_allclose(got[-1], 0.0, atol=1e-12)


def test_with_one_policy_the_factor_is_an_ordered_logit_and_adds_up_to_one():
    values = {"endorsement_with": 0.9, "endorsement_without": -0.4, "endorsement_trait": 0.3, "endorsement_gap": np.array([0.7, 1.1])}
    levels = np.arange(4.0)[:, None]
    got, _ = factor(instrument(1), values, levels, np.ones((4, 1)), POSITION)
    full = values | {"endorsement_sd": 0.0}
    expected = [[by_hand(a, [1.0], z, 0.0, cuts=CUTS[:1], values=full) for z in (0, 1)] for a in levels]
    np.testing.assert_allclose(np.exp(got), expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(got).sum(axis=0), 1.0, rtol=1e-12)


def test_two_levels_are_a_logit():
    values = {name: VALUES[name] for name in ("endorsement_with", "endorsement_without")}
    got, _ = factor(instrument(1, 2, position_by_trait=False), values, np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), 0.2)
    np.testing.assert_allclose(np.exp(got), [[expit(-0.2), expit(1.1)], [expit(-0.2)] * 2], rtol=1e-12)


@pytest.mark.parametrize("position", [40.0, -40.0])
@pytest.mark.parametrize("gap", [1e-12, 0.5, 40.0])
def test_factor_and_gradient_are_finite_at_forty(position, gap):
    values = VALUES | {"endorsement_gap": np.full(4, gap), "endorsement_with": 40.0, "endorsement_without": -40.0}
    got, gradient = factor(instrument(), values, ANSWERS, ENDORSED, position)
    assert np.isfinite(got).all()
    assert np.isfinite(gradient).all()


def test_a_rare_answer_keeps_its_digits():
    """An answer in the lowest of two levels at a position of 40 has log-probability -40, and slope -1."""
    values = {"endorsement_with": 0.0, "endorsement_without": 0.0, "endorsement_trait": 0.0}
    got, gradient = factor(instrument(1, 2), values, np.array([[0.0]]), np.array([[0.0]]), 40.0)
    np.testing.assert_allclose(got, -40.0, rtol=1e-14)
    assert gradient[0] == pytest.approx(-2.0, rel=1e-12)  # summed over both traits


def evaluated(made_of, rows, values):
    size = len(rows.n)
    tensors = made_of.distribution(rows, {"endorsement_position": np.full(size, POSITION)}, values, 3)
    return {name: pt.as_tensor(value).eval(mode="FAST_COMPILE") for name, value in tensors.items()}


def test_drawn_answers_have_the_probabilities_of_the_factor():
    """Shares of all 16 pairs of answers, 40,000 draws for each trait: off by at most 4 standard errors, .01."""
    n = 40_000
    answers, endorsed = np.zeros((2 * n + 1, 2)), np.tile([1.0, 0.0], (2 * n + 1, 1))
    answers[-1, 1] = np.nan
    trait = np.r_[np.repeat([0, 1], n), 1]
    rows = rows_of(answers, endorsed)
    drawn = instrument().draw(np.random.default_rng(2), rows, (trait, trait), evaluated(instrument(), rows, VALUES))
    first, second = drawn["_endorsement_answer_1"], drawn["_endorsement_answer_2"]
    assert set(drawn) == {"_endorsement_answer_1", "_endorsement_answer_2"}
    assert np.isnan(second[-1])
    assert np.isfinite(first).all()
    pairs = np.array([[a, b] for a in range(4) for b in range(4)], dtype=float)
    p = np.exp(factor(instrument(), VALUES, pairs, np.tile([1.0, 0.0], (16, 1)), POSITION)[0])
    for z in (0, 1):
        mine = slice(z * n, (z + 1) * n)
        shares = np.bincount((first[mine] * 4 + second[mine]).astype(int), minlength=16) / n
        np.testing.assert_allclose(shares, p[:, z], atol=0.01)


def test_effects_are_differences_of_expected_answers():
    """The expected answer from the factor's own probabilities of every level; the same rule, so equal up to rounding."""
    levels = np.arange(4.0)
    moved = np.zeros(2)
    for policy in (0, 1):
        answers = np.full((4, 2), np.nan)
        answers[:, policy] = levels
        scores = []
        for shown in (0.0, 1.0):
            p = np.exp(factor(instrument(), VALUES, answers, np.where(np.isnan(answers), np.nan, shown), POSITION)[0])
            scores.append(levels @ p)
        moved = moved + scores[1] - scores[0]
    distribution = evaluated(instrument(), rows_of(np.full((1, 2), np.nan), np.full((1, 2), np.nan)), VALUES)
    told = instrument().combine(instrument().parts(np.array([[0.3]]), {k: v[None] for k, v in distribution.items()}))
    assert told["without_trait"].item() == pytest.approx(moved[0] / 2, rel=1e-10)
    assert told["with_trait"].item() == pytest.approx(moved[1] / 2, rel=1e-10)
    assert told["difference"].item() == pytest.approx((moved[1] - moved[0]) / 2, rel=1e-10)


def design(n, *, separate):
    """``n`` people with a list and two policies of three levels; or (``separate``) a quarter of them the policies alone."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"list": np.zeros(n), "arm": np.arange(n) % 2})
    for k in range(2):
        frame[f"a{k}"], frame[f"e{k}"] = rng.integers(1, 4, n), rng.integers(0, 2, n)
    if separate:
        frame.loc[np.arange(n) % 4 == 3, "list"] = np.nan
        frame["a1"] = frame["a1"].where(np.arange(n) % 3 > 0)
    return ListExperiment.from_frame(frame, answer="list", arm="arm", J=2, instruments=[instrument(2, 3)], covariates=[])


TRUTH = {"trait_intercept": -0.3, "control_intercept": 0.0, "control_shape": np.zeros(1), "endorsement_position_intercept": 0.8,
         "endorsement_with": 1.5, "endorsement_without": -0.5, "endorsement_trait": 0.4, "endorsement_sd": 0.8,
         "endorsement_first_cut": np.array([0.3]), "endorsement_gap": np.array([1.2, 0.9])}


@pytest.fixture(scope="module", params=[False, True], ids=["all asked all", "some without the list or a policy"])
def fitted(request):
    drawn = draw_study(design(6000, separate=request.param), Specification(dependence="none"), TRUTH, seed=4)
    return drawn, fit(drawn.study, method="map", dependence="none")


def test_effects_and_parameters_are_recovered(fitted):
    """Every parameter is within 3.5 posterior standard deviations of the truth (each missed once in 2,000)."""
    drawn, tree = fitted
    posterior = tree["posterior"].to_dataset()
    for name, value in TRUTH.items():
        draws = posterior[name].to_numpy()[0]
        assert (np.abs(draws.mean(axis=0) - value) < 3.5 * draws.std(axis=0)).all(), name
    estimates = observed_by(tree, "endorsement")
    plain = Rows(*(np.zeros(1),) * 6, {})
    truth = instrument(2, 3)
    predictors = {"endorsement_position": np.array([0.8])}
    known = {k: pt.as_tensor(v).eval(mode="FAST_COMPILE")[None] for k, v in truth.distribution(plain, predictors, TRUTH, 2).items()}
    expected = truth.combine(truth.parts(np.array([[expit(-0.3)]]), known))
    assert set(estimates) == {"with_trait", "without_trait", "difference"}
    for name, value in expected.items():
        assert abs(float(estimates[name].mean()) - value.item()) < 3.5 * float(estimates[name].std()), name
        assert estimates[name].attrs["label"]
    assert float(estimates["difference"].mean()) > 3 * float(estimates["difference"].std())


def test_estimates_are_the_same_from_a_file(fitted, tmp_path):
    _, tree = fitted
    tree.to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as again:
        xr.testing.assert_identical(observed_by(again.load(), "endorsement"), observed_by(tree, "endorsement"))


def frame_with(**changes):
    start = {"list": [0.0, 1, 2, 1], "arm": [0, 1, 0, 1], "a": [1, 2, 3, 2], "e": [0, 1, 0, 1]}
    return pd.DataFrame(start | changes)


def read(frame, *args, **settings):
    made_of = Endorsement(*(args or ("a", "e")), **settings)
    return ListExperiment.from_frame(frame, answer="list", arm="arm", J=3, instruments=[made_of], covariates=[])


def test_levels_in_the_order_given_and_one_column_of_endorsement_for_all():
    frame = frame_with(a=["against", "for", "neither", None], b=["for", None, "against", "dk"], e=[0, 1, True, None])
    with pytest.raises(InputError, match="column 'e', row 4: missing where column 'b' has an answer, 'dk'"):
        read(frame, ("a", "b"), "e", levels=("against", ("neither", "dk"), "for"))
    study = read(frame.assign(e=[0, 1, 1, 0]), ("a", "b"), "e", levels=("against", ("neither", "dk"), "for"))
    np.testing.assert_array_equal(study.table["_endorsement_answer_1"], [0, 2, 1, np.nan])
    np.testing.assert_array_equal(study.table["_endorsement_answer_2"], [2, np.nan, 0, 1])
    np.testing.assert_array_equal(study.table["_endorsement_endorsed_1"], [0, 1, 1, np.nan])
    np.testing.assert_array_equal(study.table["_endorsement_endorsed_2"], [0, np.nan, 1, 0])
    assert read(frame_with()).instruments[0].levels == (1, 2, 3)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"a": [0, 2, 3, 2]}, {}, "column 'a', row 1: answers are the whole numbers from 1, found 0"),
        ({"a": [1, 2.5, 3, 2]}, {}, "column 'a', row 2: answers are the whole numbers from 1"),
        ({"a": [1, 2, 9, 2]}, {"levels": (1, 2, 3)}, "column 'a', row 3: found 9, which is none of the answers 1, 2, 3"),
        ({"a": ["for", 2, 3, 2]}, {}, "column 'a', row 1: not a number"),
        ({"e": [0, 1, 2, 1]}, {}, "column 'e', row 3: found 2"),
        ({"e": [0, 1, None, 1]}, {}, "column 'e', row 3: missing where column 'a' has an answer, 3"),
        ({"a": [1, 1, 1, 1]}, {}, "everybody answered 1"),
        ({"a": [2, 2, 2, 2]}, {}, "all answers are the same"),
        ({"e": [1, 1, 1, 1]}, {}, "no policy was shown to some with the endorsement"),
        ({"a": [None] * 4}, {}, "nobody was observed"),
    ],
)
def test_bad_data(changes, settings, message):
    with pytest.raises(InputError, match=message):
        read(frame_with(**changes), **settings)


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((("a", "b", "c"), ("e", "f")), {}, "3 columns of answers and 2 of endorsed"),
        (((), "e"), {}, "must name at least one column"),
        ((("a", "a"), "e"), {}, "none of them twice"),
        (("a", "e"), {"levels": ("for",)}, "must be at least two answers"),
        (("a", "e"), {"levels": (1, "1", 2)}, "none of them twice"),
    ],
)
def test_bad_settings(arguments, settings, message):
    with pytest.raises(InputError, match=message):
        Endorsement(*arguments, **settings)


def test_no_parameter_has_the_name_of_a_predictors_prior():
    assert not set(instrument().priors()) & set(instrument().parameters())


def test_as_plain_data_and_back():
    assert made("endorsement", described(instrument(position="age"))) == instrument(position="age")
