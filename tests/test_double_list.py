"""A second list on the same respondents: its factor against enumeration, draws, recovery, and the algebra without a model."""

import dataclasses
from itertools import product

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

import oracle
from bayes_listexp import (
    DirectQuestion,
    ListExperiment,
    SecondList,
    double_list,
    fit,
    observed_by,
    prevalence,
    responses,
)
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Rows
from bayes_listexp.instruments import described, made
from bayes_listexp.simulate import draw_study
from bayes_listexp.specification import Specification, blueprint, refuse_impossible

J1, J2 = 2, 3
CONTROL_COUNTS = (4, 11, 9, 5)
LOGITS = {"second_control": 0.4, "lapse": (-1.1, 0.3)}


def rows_of(answers, arms):
    """Rows with these second answers and arms (NaN: not asked), and nothing else."""
    size = len(answers)
    observed = {"_second": np.array(answers, dtype=float), "_second_arm": np.array(arms, dtype=float)}
    none = np.full(size, -1)
    return Rows(np.zeros(size, dtype=int), none, none, np.zeros(size), np.ones(size), np.ones(size), observed)


EVERY = [(y, a) for a in (0, 1) for y in range(J2 + 1 + a)] + [(np.nan, np.nan)]
ROWS = rows_of(*zip(*EVERY, strict=True))


def bound(J=J2, **settings):
    return SecondList("y2", "a2", J, control_counts=CONTROL_COUNTS[: J + 1], **settings)


def parameter_values(instrument):
    """A value for each parameter of the instrument."""
    values = {"shape": [0.3, -0.5], "item_gap": [0.8, 1.4], "overdispersion": 0.2, "dispersion": 1.6, "shift": 0.7, "count": 0.45}
    given = {name: values[name.removeprefix("second_")] for name in instrument.parameters()}
    return {name: np.array(value[: instrument.J - 1] if isinstance(value, list) else value) for name, value in given.items()}


def family_parameter(instrument, values):
    """The family's parameter as the enumeration takes it."""
    if instrument.counts == "softmax":
        return np.array(values["second_shape"]) @ shape_basis(np.array(instrument.control_counts)) if instrument.J > 1 else [0.0, 0.0]
    if instrument.counts == "poisson_binomial":
        steps = np.cumsum([0.0, *values.get("second_item_gap", [])])
        return steps - steps.mean()
    return values.get("second_overdispersion", values.get("second_dispersion"))


def enumerated(instrument, values, predictor, lapse_logits, J):
    """P(second answer | trait, first count) of every row, (row, trait, first count), by adding up every kind of person."""
    q = {name: oracle.sigmoid(logit) for name, logit in lapse_logits.items()}
    out = np.ones((len(EVERY), 2, J + 1))
    for (row, (y, arm)), trait, first in product(enumerate(EVERY), (0, 1), range(J + 1)):
        if np.isnan(y):
            continue
        eta = predictor + values.get("second_shift", 0.0) * trait + values.get("second_count", 0.0) * (first - J / 2)
        pmf = oracle.count_pmf(instrument.counts, float(eta), family_parameter(instrument, values), instrument.J)
        out[row, trait, first] = sum(
            p * oracle.said(instrument.response, count, trait, arm, instrument.J, q)[y] for count, p in enumerate(pmf))
    return out


def factor(instrument, predictor, lapse_logits, values, J=J1, grad=False):
    """The instrument's log factor at every row, or its gradients, from symbolic predictors, parameters and columns."""
    inputs = {name: pt.dvector(name) for name in ["second_control", *(f"second_lapse_{name}" for name in lapse_logits)]}
    free = {name: pt.tensor(name, dtype="float64", shape=value.shape) for name, value in values.items()}
    rows = ROWS._replace(observed={name: pytensor.shared(column) for name, column in ROWS.observed.items()})
    log_p = instrument.log_factor(rows, instrument.distribution(rows, inputs, free, J))
    expected_axis = J + 1 if instrument.correlation else 1
    assert log_p.type.shape[-1] == expected_axis
    wrt = [*inputs.values(), *free.values()]
    run = pytensor.function(wrt, pytensor.grad(log_p.sum(), wrt) if grad else log_p, mode="FAST_COMPILE")
    size = len(EVERY)
    return run(np.full(size, predictor), *[np.full(size, logit) for logit in lapse_logits.values()], *values.values())


@pytest.mark.parametrize("counts", FAMILIES)
@pytest.mark.parametrize("response", responses.names())
def test_factor_equals_enumeration(counts, response):
    instrument = bound(counts=counts, response=response, dependence="shift")
    values = parameter_values(instrument)
    logits = dict(zip(responses.lapses(response), LOGITS["lapse"], strict=False))
    log_p = factor(instrument, 0.4, logits, values)
    np.testing.assert_allclose(np.exp(log_p), enumerated(instrument, values, 0.4, logits, J1), rtol=1e-10, atol=1e-290)
    np.testing.assert_allclose(log_p[-1], 0, atol=1e-14)


@pytest.mark.parametrize(("dependence", "correlation", "J"), [*product(("none", "shift"), (True, False), (1, 3))])
@pytest.mark.parametrize("counts", FAMILIES)
def test_factor_without_some_of_its_parts(counts, dependence, correlation, J):
    instrument = bound(counts=counts, dependence=dependence, correlation=correlation)
    instrument = dataclasses.replace(instrument, J=J2)
    values = parameter_values(instrument)
    log_p = factor(instrument, -0.3, {}, values, J)
    expected = enumerated(instrument, values, -0.3, {}, J)
    np.testing.assert_allclose(np.exp(log_p), expected if correlation else expected[..., :1], rtol=1e-10, atol=1e-290)


@pytest.mark.parametrize("counts", FAMILIES)
def test_one_item_needs_no_shape(counts):
    instrument = bound(1, counts=counts)
    assert not {"second_shape", "second_item_gap"} & set(instrument.parameters())
    rows = rows_of([0, 1, 0, 1, 2], [0, 0, 1, 1, 1])
    values = {"second_count": np.array(0.45), "second_overdispersion": np.array(0.2), "second_dispersion": np.array(1.6)}
    told = instrument.distribution(rows, {"second_control": pt.as_tensor(np.full(5, 0.4))},
                                   {name: pt.as_tensor(value) for name, value in values.items()}, J1)
    p = np.exp(instrument.log_factor(rows, told).eval(mode="FAST_COMPILE"))
    one = np.array([oracle.sigmoid(0.4 + 0.45 * (k - J1 / 2)) for k in range(J1 + 1)])
    np.testing.assert_allclose(p[:2, 0], [1 - one, one], rtol=1e-10)
    np.testing.assert_allclose(p[2:, 1], [0 * one, 1 - one, one], rtol=1e-10, atol=1e-290)


@pytest.mark.parametrize("counts", FAMILIES)
@pytest.mark.parametrize("size", [40.0, -40.0])
def test_gradient_is_finite_far_out(counts, size):
    instrument = bound(counts=counts, response="liars", dependence="shift")
    for sign in (1, -1):
        for part in factor(instrument, size, {"floor": -sign * size, "ceiling": sign * size}, parameter_values(instrument), grad=True):
            assert np.isfinite(part).all()


def test_draws_follow_the_factor_in_each_arm_and_nan_stays():
    instrument = bound(counts="softmax", response="top_coded", dependence="shift")
    values, logits, each = parameter_values(instrument), {"top": -1.1}, 30_000
    kinds = [(trait, first, arm) for trait in (0, 1) for first in range(J1 + 1) for arm in (0.0, 1.0, np.nan)]
    trait, first, arm = (np.repeat(values, each) for values in zip(*kinds, strict=True))
    size = len(trait)
    told = instrument.distribution(rows_of(arm, arm), {"second_control": pt.as_tensor(np.full(size, 0.4)),
                                                       "second_lapse_top": pt.as_tensor(np.full(size, -1.1))},
                                   {name: pt.as_tensor(value) for name, value in values.items()}, J1)
    drawn = instrument.draw(np.random.default_rng(3), rows_of(arm, arm), (trait, first),
                            {name: value.eval(mode="FAST_COMPILE") for name, value in told.items()})["_second"]
    expected = enumerated(instrument, values, 0.4, logits, J1)
    for i, (s, k, a) in enumerate(kinds):
        answers = drawn[i * each : (i + 1) * each]
        if np.isnan(a):
            assert np.isnan(answers).all()
            continue
        p = np.array([expected[row, s, k] for row, (_, its) in enumerate(EVERY) if its == a])
        seen = np.bincount(answers.astype(int), minlength=len(p)) / each
        z = (seen - p) / np.sqrt(np.maximum(p * (1 - p), 1e-12) / each)
        assert np.abs(z[p > 0]).max() < 4.5  # 60 frequencies: chance of a false alarm below 1 in 2,000
        assert (seen[p == 0] == 0).all()


def people(n, *, seed=1, asked=1.0):
    """A frame of the usual double list: who has the item on the first list does not have it on the second."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(n) % 2)
    answers = np.where(rng.random(n) < asked, rng.integers(0, J2 + 1, n), np.nan)
    return pd.DataFrame({"y1": rng.integers(0, J1 + 1, n), "y2": answers, "t": treated, "other": 1 - treated,
                         "order": rng.integers(0, 2, n)})


def study_of(frame, **settings):
    instrument = SecondList("y2", "t", J2, arms=(1, 0), **settings)
    return ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, covariates=["order"], instruments=[instrument])


TRUE = {"trait_intercept": -0.6, "control_intercept": 0.3, "second_control_intercept": 0.4, "second_count": 0.6,
        "second_shift": 0.0, "control_shift": 0.0, "second_lapse_top_intercept": -1.5}


def test_a_drawn_double_list_is_recovered():
    model = Specification(counts="binomial", dependence="none",
                          instruments={"second": {"counts": "binomial", "response": "top_coded"}})
    given = {name: value for name, value in TRUE.items() if not name.endswith("shift")}
    drawn = draw_study(study_of(people(40_000, asked=0.9)), model, given, seed=2)
    assert drawn.study.table["_second"].isna().mean() == pytest.approx(0.1, abs=0.01)
    tree = fit(drawn.study, counts="binomial", dependence="none", method="map", instruments=model.instruments)
    for name, value in given.items():
        draws = tree["posterior"][name]
        assert abs(float(draws.mean()) - value) < 4 * float(draws.std()), name  # 5 parameters: below 1 in 3,000
        assert float(draws.std()) < 0.2
    estimate = prevalence(tree)
    alone = fit(dataclasses.replace(drawn.study, instruments=(), table=drawn.study.table.drop(columns=["_second", "_second_arm"])),
                counts="binomial", dependence="none", method="map")
    assert float(estimate.std()) < 0.85 * float(prevalence(alone).std())  # the second list says as much again


def test_estimates_and_a_stored_fit(tmp_path):
    drawn = draw_study(study_of(people(2_000)), Specification(counts="binomial", dependence="none"), {}, seed=3)
    settings = {"second": {"counts": "binomial", "correlation": False, "dependence": "shift", "response": "top_coded"}}
    tree = fit(drawn.study, counts="binomial", dependence="none", method="map", instruments=settings, groups=["order"])
    said = observed_by(tree, "second", by="order")
    assert set(said) == {"prevalence", "lapse_top", "mean_count"}
    post = tree["posterior"]
    p = 1 / (1 + np.exp(-post["trait_intercept"]))
    means = [J2 / (1 + np.exp(-(post["second_control_intercept"] + s * post["second_shift"]))) for s in (0, 1)]
    np.testing.assert_allclose(said["mean_count"].isel(order=0), (1 - p) * means[0] + p * means[1])
    np.testing.assert_allclose(said["lapse_top"].isel(order=1), 1 / (1 + np.exp(-post["second_lapse_top_intercept"])))
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        again = observed_by(stored.load(), "second", by="order")
    xr.testing.assert_allclose(again, said)


def test_without_correlation_only_the_mean_count_goes():
    instrument = bound(correlation=True)
    parts = instrument.parts(np.full((2, 3), 0.3), {"counts": np.full((2, 3, 1, J1 + 1, J2 + 1), 0.25)})
    assert set(parts) == {"prevalence"}


def test_covariates_lapse_formulas_and_flat_priors():
    frame = people(3_000)
    settings = {"second": {"control": "order", "response": "top_coded", "lapses": {"top": "order"}, "counts": "beta_binomial"}}
    drawn = draw_study(study_of(frame), Specification(counts="binomial", dependence="none", instruments=settings),
                       {"second_overdispersion": 0.3}, seed=5)
    tree = fit(drawn.study, counts="binomial", dependence="none", method="map", instruments=settings)
    assert {"second_control_slope", "second_lapse_top_slope", "second_overdispersion"} <= set(tree["posterior"])
    assert (abs(tree["posterior"]["second_overdispersion"] - 0.5) < 0.5).all()
    plain = {"second": {"counts": "beta_binomial"}}
    flat = fit(drawn.study, counts="binomial", dependence="none", priors="flat", method="map", instruments=plain)
    assert 0 < float(flat["optimum"]["second_overdispersion"]) < 1


def test_described_and_made_again():
    instrument = bound(lapses={"top": "1 + order"}, response="top_coded", arms=("long", "short"))
    table = described(instrument)
    assert table["kind"] == "second_list"
    listed = {key: list(value) if isinstance(value, tuple) else value for key, value in table.items()}  # as JSON has it
    assert made("second", listed) == instrument


def test_what_is_read():
    frame = people(200, asked=0.8)
    study = study_of(frame)
    instrument = study.instruments[0]
    assert instrument.columns == ("y2", "t")
    control = frame["t"].eq(1) & frame["y2"].notna()
    assert instrument.control_counts == tuple(np.bincount(frame.loc[control, "y2"].astype(int), minlength=J2 + 1).tolist())
    np.testing.assert_array_equal(study.table["_second_arm"], frame["other"].where(frame["y2"].notna()))
    np.testing.assert_array_equal(study.table["_second"], frame["y2"])
    other = ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, covariates=[], instruments=[SecondList("y2", "other", J2)])
    pd.testing.assert_frame_equal(other.table[["_second", "_second_arm"]], study.table[["_second", "_second_arm"]])


BAD_COLUMNS = [
    ({"y2": 5.0}, r"column 'y2', row 3: with J = 3 the .* arm answers 0 to \d, found 5"),
    ({"y2": 1.5}, "column 'y2', row 3: an answer is a whole number of items, found 1.5"),
    ({"y2": -1.0}, "column 'y2', row 3: with J = 3"),
    ({"other": np.nan, "y2": 1.0}, "column 'other', row 3: an answer in column 'y2' without the arm of the second list"),
    ({"other": 7}, "column 'other': the arm must have two values"),
]


@pytest.mark.parametrize(("values", "message"), BAD_COLUMNS)
def test_bad_columns_are_refused(values, message):
    frame = people(40).astype({"other": float})
    for name, value in values.items():
        frame.loc[2, name] = value
    with pytest.raises(InputError, match=message):
        ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, instruments=[SecondList("y2", "other", J2)])


def test_everybody_in_one_arm_is_refused():
    frame = people(40).assign(other=0)
    with pytest.raises(InputError, match="column 'other': no respondent with an answer to the second list is in its treatment arm"):
        ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, instruments=[SecondList("y2", "other", J2)])
    with pytest.raises(InputError, match="instrument 'second': nobody was observed"):
        ListExperiment.from_frame(people(40).assign(y2=np.nan), answer="y1", arm="t", J=J1, instruments=[SecondList("y2", "other", J2)])
    with pytest.raises(InputError, match=r"column 'a2' \(instrument 'second'\) is not in the data"):
        ListExperiment.from_frame(people(40), answer="y1", arm="t", J=J1, instruments=[SecondList("y2", "a2", J2)])


BAD_SETTINGS = [
    ({"J": 0}, "instrument 'second': J = 0: the number of control items must be a whole number of at least 1"),
    ({"J": 2.5}, "J = 2.5: the number of control items"),
    ({"dependence": "free"}, "instrument 'second': dependence = 'free': say one of none, shift"),
    ({"counts": "poisson"}, "counts = 'poisson': there are the families"),
    ({"response": "boundary"}, "response model 'boundary' is not in the catalogue"),
    ({"response": {}}, "instrument 'second': response = {}: name a response model of the catalogue"),
    ({"lapses": {"top": "1"}}, "instrument 'second': lapses: 'top' is not a lapse of the response model 'truthful'; it has: none"),
]


@pytest.mark.parametrize(("settings", "message"), BAD_SETTINGS)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        SecondList("y2", "a2", **{"J": 3, **settings})


def test_two_lists_that_contradict_each_other_are_refused():
    frame = pd.DataFrame({"y1": [0, 1, 0, 1, 2], "t": [1, 1, 0, 0, 1], "y2": [J2 + 1, 0, 1, 2, 1], "t2": [1, 0, 0, 1, 1]})
    study = ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, covariates=[], instruments=[SecondList("y2", "t2", J2)])
    with pytest.raises(InputError, match="1 respondents said what nobody can say under this model, such as answer 0"):
        fit(study, method="map")
    refuse_impossible(blueprint(study, Specification(instruments={"second": {"response": "top_coded"}})))


# Without a model


def test_variances_are_those_of_the_differences():
    frame = people(301, seed=4)
    frame["y2"] = np.minimum(frame["y2"] // 2 + frame["y1"], J2)  # correlated
    study = study_of(frame)
    table = double_list(study).set_index("of")
    a, b = frame[frame["t"] == 1], frame[frame["t"] == 0]
    first, second = a["y1"].mean() - b["y1"].mean(), b["y2"].mean() - a["y2"].mean()
    np.testing.assert_allclose(table["estimate"][["list 1", "list 2", "mean", "difference"]],
                               [first, second, (first + second) / 2, first - second])
    direct = (((a["y1"] - a["y2"]).var() / len(a) + (b["y2"] - b["y1"]).var() / len(b)) / 4) ** 0.5
    assert table["se"]["mean"] == pytest.approx(direct, rel=1e-12)
    v = np.diag([a["y1"].var() / len(a) + b["y1"].var() / len(b), a["y2"].var() / len(a) + b["y2"].var() / len(b)])
    v[0, 1] = v[1, 0] = -(a[["y1", "y2"]].cov().iloc[0, 1] / len(a) + b[["y1", "y2"]].cov().iloc[0, 1] / len(b))
    np.testing.assert_allclose(table["se"][["list 1", "list 2"]] ** 2, np.diag(v))
    w = np.linalg.solve(v, np.ones(2))
    assert table["weight"]["optimal"] == pytest.approx((w / w.sum())[0])
    assert table["se"]["optimal"] == pytest.approx((1 / w.sum()) ** 0.5)
    assert table["estimate"]["optimal"] == pytest.approx(w @ [first, second] / w.sum())
    z = (first - second) / np.sqrt(v[0, 0] + v[1, 1] - 2 * v[0, 1])
    assert table["z"]["difference"] == pytest.approx(z)
    assert table["p"].notna().tolist() == [False] * 4 + [True]
    assert table["se"]["optimal"] <= table["se"]["mean"]


def test_counts_groups_weights_and_missing_answers():
    frame = people(400, asked=0.7).assign(w=1.0)
    each = double_list(study_of(frame), by="order")
    assert each.columns[:2].tolist() == ["order", "of"]
    assert len(each) == 10
    alone = double_list(study_of(frame[frame["order"] == 1]))
    pd.testing.assert_frame_equal(each[each["order"] == 1].drop(columns="order").reset_index(drop=True), alone)
    assert alone["n"].tolist()[:2] == [int((frame["order"] == 1).sum()), int(frame.loc[frame["order"] == 1, "y2"].notna().sum())]
    counted = frame.groupby(["y1", "y2", "t"], dropna=False).size().rename("n").reset_index()
    study = ListExperiment.from_counts(counted, answer="y1", arm="t", n="n", J=J1,
                                       instruments=[SecondList("y2", "t", J2, arms=(1, 0))])
    pd.testing.assert_frame_equal(double_list(study), double_list(study_of(frame)))
    weighted = ListExperiment.from_frame(frame, answer="y1", arm="t", J=J1, weights="w",
                                         instruments=[SecondList("y2", "t", J2, arms=(1, 0))])
    pd.testing.assert_frame_equal(double_list(weighted, weighted=True), double_list(study_of(frame)))


def test_double_list_bad_input():
    study = study_of(people(60))
    with pytest.raises(InputError, match="the study has no second list 'other'; its instruments are: second"):
        double_list(study, second="other")
    with pytest.raises(InputError, match="weighted = True: the study has no survey weights"):
        double_list(study, weighted=True)
    with pytest.raises(InputError, match="by: column 'order' is named twice"):
        double_list(study, by=["order", "order"])
    direct = ListExperiment.from_frame(people(60), answer="y1", arm="t", J=J1, instruments=[DirectQuestion("order")])
    with pytest.raises(InputError, match="no second list 'second'; its instruments are: direct"):
        double_list(direct)
