"""Priors, parameters and the log density: what they are by definition, and what must not change them."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats
from scipy.special import betaln, expit

from bayes_listexp.checks import converged, fit_checks
from bayes_listexp.comparison import loo
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.model import build_model
from bayes_listexp.priors import DEFAULTS, Prior, flat, logit_variable, parse_prior, resolve
from bayes_listexp.sampling import compile_density, draw_prior, find_mode
from bayes_listexp.specification import Specification, blueprint

RNG = np.random.default_rng(11)


def people(n=240, J=3, seed=3):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "treat": np.arange(n) % 2,
            "region": rng.choice(list("abcd"), n),
            "sex": rng.choice(["f", "m"], n),
            "age": rng.choice([20.0, 40, 60], n),
            "wave": np.where(np.arange(n) < n // 2, "first", "second"),
        }
    )
    trait = rng.random(n) < 0.4
    return frame.assign(y=rng.binomial(J, 0.6, n) + trait * frame["treat"])


def study(frame=None, J=3, **arguments):
    return ListExperiment.from_frame(people(J=J) if frame is None else frame, answer="y", arm="treat", J=J, **arguments)


def log_density(made, groups=(), **specification):
    """The model's log density at its initial point moved by the same made-up numbers, whatever the data."""
    model = build_model(blueprint(made, Specification(**specification), groups))
    rng = np.random.default_rng(2)
    point = {name: value + rng.normal(size=np.shape(value)) for name, value in model.initial_point().items()}
    return float(model.compile_logp(mode="FAST_COMPILE")(point))


def density(made, groups=(), **specification):
    return compile_density(build_model(blueprint(made, Specification(**specification), groups)), mode="FAST_COMPILE")


# Priors


def test_a_prior_reads_back_as_it_is_written():
    for prior in [*DEFAULTS.values(), Prior("Normal", (-1.23456789, 0.1)), Prior("Flat", ())]:
        assert parse_prior(str(prior)) == prior
    assert parse_prior(" StudentT(3, -1, 2.5) ") == Prior("StudentT", (3.0, -1.0, 2.5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Normal(0)", r"prior 'Normal\(0\)': Normal takes 2 numbers"),
        ("Gauss(0, 1)", r"prior 'Gauss\(0, 1\)': unknown distribution; known are: Normal, StudentT"),
        ("Normal(0, sigma=1)", r"cannot be read: not of the form Name\(number, ...\). Write it like 'Normal\(0, 1\)'"),
        ("__import__('os').system('x')", "cannot be read"),
        ("Normal(0, x)", "cannot be read"),
        ("Normal", "cannot be read"),
        ("", "cannot be read"),
        ("Normal(0, -1)", r"prior 'Normal\(0, -1\)': the scales and shapes of a Normal must be above 0 .*found -1"),
        ("Beta(0, 1)", "must be above 0 .*found 0"),
    ],
)
def test_priors_that_cannot_be_used(text, message):
    with pytest.raises(InputError, match=message):
        parse_prior(text)


def test_overrides_take_the_place_of_defaults():
    made = resolve(
        {"trait_sd": "HalfNormal(0.2)", "lapse_floor": Prior("Beta", (1, 4))}, {"lapse_floor": Prior("Normal", (-2, 1))}
    )
    assert made["trait_sd"] == Prior("HalfNormal", (0.2,))
    assert made["lapse_floor"] == Prior("Beta", (1, 4))
    assert made["control_sd"] == DEFAULTS["control_sd"]
    with pytest.raises(
        InputError, match="priors: 'trait_sigma' is not a parameter; there are: trait_intercept, .*lapse_floor"
    ):
        resolve({"trait_sigma": "HalfNormal(0.2)"}, {"lapse_floor": Prior("Normal", (-2, 1))})
    assert set(flat({"lapse_floor": Prior("Normal", (-2, 1))}).values()) == {Prior("Flat", ())}


def test_priors_reach_the_model():
    specification = Specification(priors={"trait_slope": "Normal(0, 0.001)"}, trait="1 + age")
    model = build_model(blueprint(study(), specification))
    drawn = draw_prior(model, [model["trait_slope"]], 200, seed=1)
    assert np.std(drawn["trait_slope"]) == pytest.approx(0.001, rel=0.3)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 9), (2.5, 0.7)])
def test_a_beta_prior_of_a_probability_on_its_logit(a, b):
    with pm.Model() as model:
        logit_variable("x", Prior("Beta", (a, b)))
    x = np.array([-6.0, -1.2, 0, 0.4, 7])
    logp = model.compile_logp(mode="FAST_COMPILE")
    # The Beta density at p = expit(x), times the Jacobian p (1 - p).
    expected = a * np.log(expit(x)) + b * np.log(expit(-x)) - betaln(a, b)
    np.testing.assert_allclose([float(logp({"x": v})) for v in x], expected, rtol=1e-9)
    if (a, b) == (1, 1):
        np.testing.assert_allclose(expected, stats.logistic.logpdf(x), rtol=1e-9)
    assert np.isfinite(float(logp({"x": 800.0})))
    drawn = draw_prior(model, [model["x"]], 4000, seed=2)["x"]
    assert stats.kstest(expit(drawn), stats.beta(a, b).cdf).pvalue > 1e-4


# Group effects


def test_effects_of_sampled_levels_sum_to_zero_and_others_vary_more():
    frame = pd.DataFrame({"region": list("abcde"), "N": 1})
    made = study(population=frame)
    model = build_model(
        blueprint(made, Specification(trait="1 + (1 + age|region)", counts="binomial", dependence="none"))
    )
    drawn = draw_prior(model, [model["trait_region_sd"], model["trait_region"]], 6000, seed=5)
    sd, effects = drawn["trait_region_sd"], drawn["trait_region"]
    assert effects.shape == (6000, 2, 5)
    np.testing.assert_allclose(effects[..., :4].sum(axis=-1), 0, atol=1e-12)
    unit = effects / sd[..., None]
    # Monte Carlo standard error of a variance v from 6,000 draws: v sqrt(2/6000), 1.8 % of v; 8 % is more than four of them.
    np.testing.assert_allclose(unit[..., 4].var(axis=0), 1 + 1 / 4, rtol=0.08)
    np.testing.assert_allclose(unit[..., :4].var(axis=0), 1 - 1 / 4, rtol=0.08)
    # ... so any two levels differ with variance 2 sd^2, sampled or not.
    np.testing.assert_allclose((unit[..., 0] - unit[..., 4]).var(axis=0), 2, rtol=0.08)
    np.testing.assert_allclose((unit[..., 0] - unit[..., 1]).var(axis=0), 2, rtol=0.08)


def test_effects_stand_at_their_level_wherever_unsampled_ones_are():
    frame, given = people(), ["0", "a", "m", "b", "c", "d"]
    frame["region"] = pd.Categorical(frame["region"], given)
    made = study(frame, population=pd.DataFrame({"region": given, "N": 1}))
    plan = blueprint(made, Specification(trait="1 + region", control="1 + (1|region)"))
    assert list(plan.cells.frame["region"].cat.categories) == given
    # the reference of common effects is the first level with respondents
    assert set(plan.designs["trait"].names) == {f"region[{level}]" for level in given if level != "a"}
    model = build_model(plan)
    assert tuple(model.coords["region"]) == tuple(given)
    effects = pm.draw(model["control_region"], draws=10, random_seed=5, mode="FAST_COMPILE")
    np.testing.assert_allclose(effects[..., [1, 3, 4, 5]].sum(axis=-1), 0, atol=1e-12)


def test_a_group_needs_two_levels():
    with pytest.raises(
        InputError,
        match=r"\(\.\.\.\|region\): a group-specific term needs at least two levels with respondents, found 1",
    ):
        build_model(blueprint(study(people().assign(region="a")), Specification(trait="1 + (1|region)")))


# What a blueprint makes of its arguments


@pytest.mark.parametrize(
    ("trait", "control", "expected"),
    [
        ("1", None, ("1 + wave", "1 + wave")),
        ("1 + wave", "1 + age", ("1 + wave", "1 + age + wave")),
        ("1 + (1 + wave|region)", "1 + age:wave", ("1 + (1 + wave|region) + wave", "1 + age:wave")),
    ],
)
def test_waves_always_have_their_own_level(trait, control, expected):
    plan = blueprint(study(wave="wave"), Specification(trait=trait, control=control))
    assert (plan.specification.trait, plan.specification.control) == expected
    assert blueprint(study(), Specification(trait=trait, control=control)).specification.trait == trait


def test_a_wave_column_with_spaces_and_a_single_wave():
    frame = people().rename(columns={"wave": "survey wave"})
    assert blueprint(study(frame, wave="survey wave"), Specification()).specification.trait == "1 + `survey wave`"
    one = frame.assign(**{"survey wave": "only"})
    assert blueprint(study(one, wave="survey wave"), Specification()).specification.trait == "1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dependence": "some"}, "dependence = 'some': say one of none, shift, free"),
        ({"counts": "poisson"}, "counts = 'poisson': there are the families softmax, binomial"),
        ({"response": "liar"}, "response model 'liar' is not in the catalogue"),
        ({"lapses": {"floor": "1"}}, "'floor' is not a lapse of the response model 'truthful'; it has: none"),
        (
            {"lapses": {"flor": "1"}, "response": "liars"},
            "'flor' is not a lapse of the response model 'liars'; it has: floor, ceiling",
        ),
        ({"trait": "1 + income"}, "column 'income' is not in the data; the study has: region, sex, age, wave"),
        (
            {"priors": "flat", "trait": "1 + (1|region)"},
            "priors = 'flat': group-specific effects, .*have no maximum without priors",
        ),
        ({"priors": "flat", "dependence": "free"}, "free softmax counts, .*have no maximum"),
    ],
)
def test_specifications_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        blueprint(study(), Specification(**arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "vi"}, "method = 'vi': say 'nuts' or 'map'"),
        ({"priors": "flat"}, "priors = 'flat' gives no proper posterior to sample: use method='map'"),
        ({"sample": {"warmup": 10}}, "sample: 'warmup' is not a setting; there are: draws, tune, chains"),
        ({"sample": {"chains": 0}}, "must be at least 1 .*found {'chains': 0}"),
        ({"sample": {"target_accept": 1.0}}, "target_accept between 0 and 1"),
    ],
)
def test_fits_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=message):
        fit(study(), **arguments)


def test_a_level_missing_from_the_population_frame_is_named():
    frame = pd.DataFrame({"region": list("abc"), "N": 1})
    with pytest.raises(
        InputError,
        match="population frame: column 'region' has no level 'd', which occurs in the sample .*Its levels are: a, b, c",
    ):
        blueprint(study(population=frame), Specification(trait="1 + (1|region)"))
    assert blueprint(study(population=frame), Specification(trait="1 + sex"))  # a column that is not used may differ


def test_nobody_left():
    with pytest.raises(InputError, match="no respondent is left after excluding missing covariates"):
        blueprint(study(people().assign(age=np.nan)), Specification(trait="1 + age"))


# The log density


MODELS = {
    "softmax, shift": {"trait": "1 + age + (1|region)", "control": "1 + sex"},
    "binomial": {"trait": "1 + age", "counts": "binomial", "dependence": "none"},
    "liars, free": {"trait": "1 + sex", "response": "liars", "dependence": "free", "lapses": {"floor": "1 + age"}},
    "beta-binomial, uniform": {"trait": "1", "counts": "beta_binomial", "response": "uniform"},
    "COM-binomial, top-coded": {"trait": "1", "counts": "com_binomial", "response": "top_coded", "dependence": "free"},
}


@pytest.mark.parametrize(("name", "J"), [*((name, 3) for name in MODELS), ("liars, free", 1)])
def test_density_and_gradient_are_finite_at_the_start_and_far_out(name, J):
    found = density(study(J=J), **MODELS[name])
    value, gradient = found.function(found.start)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    for size in (-40.0, 40.0):
        for i in range(len(found.start)):
            x = np.where(np.arange(len(found.start)) == i, size, 0.0)
            value, gradient = found.function(x)
            assert np.isfinite(gradient).all(), f"parameter {i} at {size}"


def test_gradient_is_that_of_the_density():
    found = density(study(), **MODELS["softmax, shift"])
    x = found.start + 0.1 * RNG.normal(size=len(found.start))
    _, gradient = found.function(x)
    numeric = [(found.function(x + e)[0] - found.function(x - e)[0]) / 2e-5 for e in 1e-5 * np.eye(len(x))]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5)


def test_row_order_names_of_levels_and_finer_cells_change_nothing():
    frame, terms = people(), {"trait": "1 + age + (1|region)", "control": "1 + sex"}
    expected = log_density(study(frame), **terms)
    shuffled = frame.sample(frac=1, random_state=1)
    renamed = frame.assign(
        region=frame["region"].map({"a": "Абай", "b": "Бурабай", "c": "Жетісу", "d": "Ұлытау"}),
        sex=frame["sex"].map({"f": "1 female", "m": "2 male"}),
    )
    for other, groups in ((shuffled, ()), (renamed, ()), (frame, ("wave", "sex"))):
        assert log_density(study(other), groups, **terms) == pytest.approx(expected, abs=1e-8)


def test_counts_give_the_density_of_their_respondents():
    frame = people()
    counted = frame.groupby(["y", "treat", "region", "sex", "age"], as_index=False).size()
    tabulated = ListExperiment.from_counts(counted, answer="y", arm="treat", n="size", J=3)
    a, b = (log_density(made, trait="1 + age", control="1 + sex") for made in (study(frame), tabulated))
    assert a == pytest.approx(b, abs=1e-8)


def test_log_likelihood_of_one_item_by_hand():
    counted = pd.DataFrame({"y": [0, 1, 0, 1, 2], "treat": [0, 0, 1, 1, 1], "n": [30, 70, 20, 60, 20]})
    made = ListExperiment.from_counts(counted, answer="y", arm="treat", n="n", J=1)
    model = build_model(blueprint(made, Specification(counts="binomial", dependence="none")))
    value = float(
        model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(
            {"trait_intercept": -0.5, "control_intercept": 0.8}
        )
    )
    p, h = expit(-0.5), expit(0.8)
    by_hand = 30 * np.log(1 - h) + 70 * np.log(h) + 20 * np.log((1 - p) * (1 - h)) + 20 * np.log(p * h)
    by_hand += 60 * np.log(p * (1 - h) + (1 - p) * h)
    assert value == pytest.approx(by_hand, abs=1e-9)


def test_one_item_and_an_answer_nobody_gave_can_be_fitted():
    counted = pd.DataFrame({"y": [0, 1, 0, 1, 2], "treat": [0, 0, 1, 1, 1], "n": [30, 70, 20, 60, 20]})
    one = fit(ListExperiment.from_counts(counted, answer="y", arm="treat", n="n", J=1), method="map", dependence="free")
    assert "control_shape" not in one["posterior"]
    empty = pd.DataFrame({"y": [1, 2, 1, 2, 3], "treat": [0, 0, 1, 1, 1], "n": [50, 50, 30, 50, 20]})
    found = fit(ListExperiment.from_counts(empty, answer="y", arm="treat", n="n", J=4), method="map")
    assert np.isfinite(found["posterior"]["trait"]).all()


# The mode


def test_the_mode_is_a_maximum():
    found = density(study(), trait="1 + age", counts="binomial", dependence="none")
    mode = find_mode(found, seed=1)
    value, gradient = found.function(mode.point)
    assert value == pytest.approx(mode.log_density)
    assert np.abs(gradient).max() < 1e-3
    for direction in np.eye(len(mode.point)):
        assert found.function(mode.point + 0.05 * direction)[0] < value


def test_what_the_data_do_not_identify_is_said():
    found = fit(study(people(n=40).assign(y=2)), priors="flat", counts="binomial", dependence="none", method="map")
    assert "optimum" in found.children
    assert "posterior" not in found.children
    with pytest.raises(InputError, match="the fit has no posterior: its maximum lies at infinity"):
        prevalence(found)
    assert not converged(found)
    assert [check.passed for check in fit_checks(found)] == [False]
    with pytest.raises(InputError, match="has no posterior"):
        loo(found)


def test_the_truth_of_a_large_simulated_study_is_recovered():
    rng = np.random.default_rng(8)
    n = 200_000
    male, age = rng.integers(0, 2, n).astype(float), rng.choice([-1.0, 0, 1], n)
    trait = rng.random(n) < expit(-0.4 + 0.7 * male - 0.5 * age)
    treated = np.arange(n) % 2
    counts = rng.binomial(4, expit(0.3 - 0.4 * male + 0.3 * trait))
    made = ListExperiment.from_frame(
        pd.DataFrame({"y": counts + trait * treated, "treat": treated, "male": male, "age": age}),
        answer="y",
        arm="treat",
        J=4,
    )
    tree = fit(made, trait="1 + male + age", control="1 + male", counts="binomial", dependence="shift", method="map")
    posterior = tree["posterior"]
    for name, truth in (("trait", [-0.4, 0.7, -0.5]), ("control", [0.3, -0.4]), ("control_shift", 0.3)):
        mean, sd = posterior[name].mean(("chain", "draw")), posterior[name].std(("chain", "draw"))
        assert (np.abs(mean - truth) < 4 * sd).all()  # six parameters: a false alarm in one of 2,600 studies
        assert (sd < 0.2).all()


def test_a_fit_is_the_same_for_the_same_seed_and_keeps_the_table_small():
    made = study()
    first, again = (fit(made, counts="binomial", dependence="none", method="map", seed=3) for _ in range(2))
    np.testing.assert_array_equal(first["posterior"]["trait"], again["posterior"]["trait"])
    assert first["log_likelihood"].sizes["pattern"] == 9  # 4 answers + 5, whatever the number of respondents
    assert int(first["observed_data"]["pattern_n"].sum()) == 240


def test_one_flat_prior_among_proper_ones():
    tree = fit(study(), counts="binomial", dependence="none", method="map", priors={"control_intercept": "Flat()"})
    assert np.isfinite(tree["posterior"]["trait"]).all()
