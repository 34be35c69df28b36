"""The item-level design: P(items | count) against enumeration, the whole likelihood as METHODS has it, draws and recovery."""

from itertools import product

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

import oracle
from bayes_listexp import ItemAnswers, KnownItem, ListExperiment, fit, observed_by, prevalence
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import IMPOSSIBLE, Rows
from bayes_listexp.instruments import described, made
from bayes_listexp.simulate import draw_study
from bayes_listexp.specification import Specification

J = 3
COLUMNS = ("a", "b", "c")
ITEMS = ItemAnswers(COLUMNS)
OFFSETS = np.array([0.9, -1.3, 0.4])
PATTERNS = [*product((0.0, 1.0), repeat=J), (np.nan,) * J]


def rows_of(patterns):
    size = len(patterns)
    none = np.full(size, -1)
    observed = {f"_items_{j + 1}": np.array([pattern[j] for pattern in patterns]) for j in range(len(patterns[0]))}
    return Rows(np.zeros(size, dtype=int), none, none, np.zeros(size), np.ones(size), np.ones(size), observed)


def given_count(offsets):
    """P(pattern | count) of each pattern of items, (pattern, count), by adding up the patterns of each count."""
    weights = {z: np.exp(np.dot(z, offsets)) for z in product((0.0, 1.0), repeat=len(offsets))}
    totals = [sum(w for z, w in weights.items() if sum(z) == k) for k in range(len(offsets) + 1)]
    return np.array([[w / totals[k] if sum(z) == k else 0.0 for k in range(len(offsets) + 1)] for z, w in weights.items()])


def factor(instrument, rows, offsets, grad=False):
    logits = pt.dvector()
    shared = rows._replace(observed={name: pytensor.shared(column) for name, column in rows.observed.items()})
    log_p = instrument.log_factor(shared, instrument.distribution(shared, {}, {"control_item": logits}, len(offsets)))
    assert log_p.type.shape[-2:] == (1, len(offsets) + 1)
    output = pytensor.grad(pt.switch(log_p > IMPOSSIBLE + 1, log_p, 0.0).sum(), logits) if grad else log_p
    return pytensor.function([logits], output, mode="FAST_COMPILE", on_unused_input="ignore")(np.asarray(offsets, dtype=float))


def test_factor_equals_enumeration():
    log_p = factor(ITEMS, rows_of(PATTERNS), OFFSETS)
    np.testing.assert_allclose(np.exp(log_p[:-1, 0]), given_count(OFFSETS), rtol=1e-10, atol=1e-290)
    np.testing.assert_array_equal(log_p[-1], 0)


def test_a_single_item_is_the_count():
    log_p = factor(ItemAnswers(("a",)), rows_of([(0.0,), (1.0,), (np.nan,)]), [0.0])
    np.testing.assert_allclose(np.exp(log_p[:, 0]), [[1, 0], [0, 1], [1, 1]], atol=1e-290)


@pytest.mark.parametrize("offsets", [(40, -40, 0), (-20, -20, 40), (40, 40, -80)])
def test_gradient_is_finite_far_out(offsets):
    assert np.isfinite(factor(ITEMS, rows_of(PATTERNS), offsets)).all()
    assert np.isfinite(factor(ITEMS, rows_of(PATTERNS), offsets, grad=True)).all()


def test_draws_of_a_count_keep_it_and_follow_the_factor():
    each = 40_000
    count = np.repeat(np.arange(J + 1), each)
    rows = rows_of([(0.0,) * J] * len(count))
    rows.observed["_items_2"][:] = 0.0
    told = {"logits": OFFSETS[None, None]}
    drawn = ITEMS.draw(np.random.default_rng(1), rows, (np.zeros(len(count), dtype=int), count), told)
    z = np.column_stack([drawn[f"_items_{j + 1}"] for j in range(J)])
    np.testing.assert_array_equal(z.sum(axis=1), count)
    expected = given_count(OFFSETS)
    for k in range(J + 1):
        seen = [(z[count == k] == pattern).all(axis=1).mean() for pattern in PATTERNS[:-1]]
        error = np.sqrt(np.maximum(expected[:, k] * (1 - expected[:, k]), 1e-12) / each)
        assert np.abs((seen - expected[:, k]) / error).max() < 4.5  # 8 frequencies: a false alarm is below 1 in 10,000
    nobody = ITEMS.draw(np.random.default_rng(1), rows_of([(np.nan,) * J] * 3), (np.zeros(3), np.array([0, 2, 3])), told)
    assert all(np.isnan(column).all() for column in nobody.values())


def people(n, *, seed=1):
    """A frame of the item-level design: the control arm has items and no count."""
    rng = np.random.default_rng(seed)
    treated = rng.permutation(np.arange(n) % 2)
    frame = pd.DataFrame({"y": np.where(treated, rng.integers(0, J + 2, n), np.nan), "t": treated, "x": rng.integers(0, 2, n)})
    for column in COLUMNS:
        frame[column] = np.where(treated == 0, rng.integers(0, 2, n), np.nan)
    return frame


def study_of(frame, *, columns=COLUMNS, size=J):
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=size, covariates=["x"], instruments=[ItemAnswers(columns)])


MODEL = {"counts": "poisson_binomial", "dependence": "none", "control": "x"}


@pytest.fixture(scope="module")
def plain():
    return fit(study_of(people(300)), method="map", **MODEL)


def test_the_whole_likelihood_is_that_of_items_and_sums(plain):
    tree = plain
    one = tree["posterior"].isel(chain=0, draw=7)
    p, offsets = oracle.sigmoid(float(one["trait_intercept"])), one["control_item"].to_numpy()
    told = tree["log_likelihood"]["answer_given"].isel(chain=0, draw=7)
    term = one["control"].to_numpy()  # on the formula's scale: intercept, slope
    for log_p, cell, arm, answer, *z in zip(
        told.to_numpy(), *(told[name].to_numpy() for name in ("cell", "arm", "answer", "items_1", "items_2", "items_3")), strict=True
    ):
        eta = term[0] + term[1] * tree["cells"]["column_0"].to_numpy()[cell]
        if arm == "none":
            h = [oracle.sigmoid(eta + offset) for offset in offsets]
            expected = np.prod([h_j if z_j else 1 - h_j for h_j, z_j in zip(h, z, strict=True)])
        else:
            pmf = [0.0, *oracle.count_pmf("poisson_binomial", eta, offsets, J), 0.0]
            expected = p * pmf[answer] + (1 - p) * pmf[answer + 1]
        assert log_p == pytest.approx(np.log(expected), abs=1e-10)


TRUE = {"trait_intercept": -0.8, "control_intercept": 0.2, "control_item": OFFSETS - OFFSETS.mean(), "control_slope": [0.5]}


def test_a_drawn_study_is_recovered(tmp_path):
    drawn = draw_study(study_of(people(20_000)), Specification(**MODEL), TRUE, seed=4)
    z = drawn.study.table[[f"_items_{j + 1}" for j in range(J)]]
    control = ~drawn.study.table["_treated"].to_numpy()
    np.testing.assert_array_equal(z[control].sum(axis=1), drawn.count[control])
    tree = fit(drawn.study, method="map", **MODEL)
    for name, value in TRUE.items():
        draws = tree["posterior"][name]
        assert (abs(draws.mean(("chain", "draw")) - value) < 4 * draws.std(("chain", "draw"))).all(), name  # 6: below 1 in 2,500
    assert float(prevalence(tree).std()) < 0.02
    said = observed_by(tree, "items")
    xr.testing.assert_allclose(said["prevalence"], prevalence(tree, population="sample"))
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        xr.testing.assert_allclose(observed_by(stored.load(), "items"), said)


def test_items_inform_the_popularity_that_a_margin_is_about(plain):
    known = fit(study_of(people(300)), method="map", margins=[KnownItem(2, share=0.9, se=0.001)], **MODEL)
    assert float(known["posterior"]["control_item"][..., 1].mean()) > float(plain["posterior"]["control_item"][..., 1].mean()) + 1


def test_a_count_beside_the_items_changes_nothing(plain):
    frame = people(300)
    both = fit(study_of(frame.assign(y=frame["y"].fillna(frame[list(COLUMNS)].sum(axis=1)))), method="map", **MODEL)
    np.testing.assert_allclose(both["optimum"]["log_likelihood"], plain["optimum"]["log_likelihood"], rtol=1e-6)


def test_what_is_read():
    frame = people(50).astype({"a": object})
    frame.loc[frame["a"].notna(), "a"] = frame["a"].dropna().astype(bool)
    study = study_of(frame)
    assert [name for name in study.observed] == ["_items_1", "_items_2", "_items_3"]
    np.testing.assert_array_equal(study.table["_items_1"], frame["a"].astype(float))
    assert study.n == 50
    instrument = study.instruments[0]
    assert made("items", {**described(instrument), "columns": list(COLUMNS)}) == instrument
    assert "replaces_control" not in described(instrument)


BAD = [
    ({"a": 1.0, "b": np.nan, "c": 0.0}, 0, "columns a, b, c, row 3: some control items are answered and some are missing"),
    ({"a": 2.0}, 0, "column 'a', row 3: found 2, which is none of the answers"),
    ({"a": 1.0, "b": 0.0, "c": 0.0}, 1, "columns a, b, c, row 3: respondents of the treatment arm answered single items"),
    ({"a": 1.0, "b": 1.0, "c": 0.0, "y": 3.0}, 0,
     "columns a, b, c, row 3: the answer to the list is not the number of items that apply, found 3 and 2"),
]


@pytest.mark.parametrize(("values", "arm", "message"), BAD)
def test_bad_rows_are_refused(values, arm, message):
    frame = people(40)
    frame["t"] = np.arange(40) % 2
    frame["y"] = np.where(frame["t"], 1.0, np.nan)
    for column in COLUMNS:
        frame[column] = np.where(frame["t"] == 0, 1.0, np.nan)
    frame.loc[2, "t"] = arm
    for name, value in values.items():
        frame.loc[2, name] = value
    with pytest.raises(InputError, match=message):
        study_of(frame)


def test_bad_instruments_are_refused():
    for columns in ("abc", (), ("a", "a")):
        with pytest.raises(InputError, match="instrument 'items': columns = .*: name one column for each control item, all different"):
            ItemAnswers(columns)
    frame = people(40)
    with pytest.raises(InputError, match=r"instrument 'items': 2 columns \(a, b\), and the list has J = 3 control items"):
        fit(study_of(frame, columns=("a", "b")), method="map", **MODEL)
    with pytest.raises(InputError, match="instrument 'items': what is known of single control items .* counts = 'softmax' is not"):
        fit(study_of(frame), method="map")
    with pytest.raises(InputError, match=r"column 'd' \(instrument 'items'\) is not in the data"):
        study_of(frame, columns=("a", "b", "d"))
    with pytest.raises(InputError, match="no respondent with an answer is in the control arm"):
        ListExperiment.from_frame(frame, answer="y", arm="t", J=J)


def test_one_control_item():
    frame = people(300)[["y", "t", "x", "a"]]
    frame["y"] = frame["y"].clip(upper=2)
    tree = fit(study_of(frame, columns=("a",), size=1), method="map", **MODEL)
    assert "control_item" not in tree["posterior"]
    assert set(observed_by(tree, "items")) == {"prevalence"}
    drawn = draw_study(study_of(frame, columns=("a",), size=1), Specification(**MODEL), {}, seed=1)
    control = ~drawn.study.table["_treated"].to_numpy()
    np.testing.assert_array_equal(drawn.study.table["_items_1"][control], drawn.count[control])
