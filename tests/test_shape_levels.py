"""Waves and groups whose control counts differ in shape: against enumeration, in a study whose items drift apart, and where not."""

import numpy as np
import pandas as pd
import pytensor
import pytest

import bayes_listexp as ble
from bayes_listexp.estimates import change, prevalence
from bayes_listexp.prediction import basis_of, parameter_names, points, predict
from bayes_listexp.report_text import methods_paragraph, priors_used
from bayes_listexp.shape_levels import shape_factors
from bayes_listexp.specification import Specification, blueprint

J = 3
WAVES = ("2022-09", "2022-11")
ITEMS = {"2022-09": (0.1, 0.5, 0.9), "2022-11": (0.5, 0.5, 0.5)}
"""Popularity of the control items: the same sum in both waves, of which the counts vary half as much in the first."""

PREVALENCE = {"2022-09": 0.35, "2022-11": 0.35}
PEOPLE = 4000


def of_items(shares):
    """The distribution of the number of independent items that apply, (count,)."""
    pmf = np.ones(1)
    for share in shares:
        pmf = np.convolve(pmf, [1 - share, share])
    return pmf


def expected_counts(items=ITEMS, groups=("a", "b")):
    """The answers that ``PEOPLE`` in each arm of every wave and group give on the average, in whole numbers."""
    rows = []
    for wave in WAVES:
        pmf = of_items(items[wave])
        longer = PREVALENCE[wave] * np.append(0, pmf) + (1 - PREVALENCE[wave]) * np.append(pmf, 0)
        for arm, answers in (("control", pmf), ("treatment", longer)):
            rows += [(wave, group, arm, k, round(PEOPLE * share)) for group in groups for k, share in enumerate(answers)]
    return pd.DataFrame(rows, columns=["wave", "group", "arm", "answer", "n"])


def study_of(table, **more):
    return ble.ListExperiment.from_counts(table, answer="answer", arm="arm", n="n", J=J, **more)


@pytest.fixture(scope="module")
def study():
    return study_of(expected_counts(), wave="wave")


def factors(study, **settings):
    return [factor.name for factor in shape_factors(blueprint(study, Specification(**settings)))]


def test_the_shape_differs_by_wave_and_by_group_terms_of_one_factor(study):
    assert factors(study) == ["wave"]
    assert factors(study, control="1 + (1|group)") == ["group", "wave"]
    assert factors(study, control="1 + (1|rw1(wave)) + (1|group) + (1|wave:group)") == ["wave", "group"]
    assert factors(study, control="1 + (1|group) + (1|wave:group)", dependence="saturated") == ["group", "wave_group", "wave"]


def test_there_is_no_shape_to_differ(study):
    assert factors(study, counts="binomial", control="1 + (1|group)") == []
    assert factors(study, priors="flat", dependence="none") == []
    assert factors(study_of(expected_counts())) == []
    one = expected_counts().query("wave == '2022-09'")
    assert factors(study_of(one, wave="wave")) == []
    single = one[one["answer"] < 3].assign(answer=lambda rows: rows["answer"].clip(upper=1))
    assert factors(ble.ListExperiment.from_counts(single.groupby(["group", "arm", "answer"], as_index=False)["n"].sum(), answer="answer",
                                                  arm="arm", n="n", J=1), control="1 + (1|group)") == []


def test_counts_of_a_level_are_tilted_by_its_departure(study):
    """P(count) is proportional to C(J, k) exp(k eta + the shape of all + that of the wave + that of the group)."""
    plan = blueprint(study, Specification(control="1 + (1|group)", dependence="none"))
    rng = np.random.default_rng(3)
    sizes = {"trait_intercept": (), "trait_slope": 1, "control_intercept": (), "control_slope": 1, "control_group": (1, 2),
             "control_shape": 2, "control_group_shape": (2, 2), "control_wave_shape": (2, 2)}
    values = {name: np.asarray(rng.normal(size=size)) for name, size in sizes.items()}
    assert set(values) == set(parameter_names(plan))
    frame = plan.cells.frame
    at = points(plan, frame)
    found = pytensor.function([], predict(plan, values, at).counts, mode="FAST_COMPILE")()[:, 0]
    eta = predict(plan, values, at).control[:, 0]
    for i, row in frame.iterrows():
        departure = values["control_shape"] + values["control_group_shape"]["ab".index(row["group"])]
        departure = departure + values["control_wave_shape"][WAVES.index(row["wave"])]
        weights = np.array([1, 3, 3, 1]) * np.exp(eta[i] * np.arange(4) + departure @ basis_of(plan))
        assert found[i] == pytest.approx(weights / weights.sum(), rel=1e-12)


def test_drifting_items_are_not_booked_to_the_trait(study, monkeypatch):
    """Nothing changed but the items. With a shape by wave the change is 0 up to shrinkage; with one shape for all, several
    standard deviations away from it.
    """
    settings = {"method": "map", "dependence": "none", "seed": 1}
    tree = ble.fit(study, **settings)
    moved = change(tree, *WAVES)["change"]
    assert abs(float(moved.mean())) < 0.25 * float(moved.std())
    shapes = tree["posterior"]["control_wave_shape"].mean(["chain", "draw"]).to_numpy()
    assert shapes.sum(axis=0) == pytest.approx(0, abs=1e-12)  # departures from the mean of the waves
    for name in ("shape_levels", "prediction", "model"):
        monkeypatch.setattr(f"bayes_listexp.{name}.shape_factors", lambda plan: ())
    same = change(ble.fit(study, **settings), *WAVES)["change"]
    assert abs(float(same.mean())) > 3 * float(same.std())


def test_a_stored_fit_knows_its_shapes(study, tmp_path):
    import arviz as az

    tree = ble.fit(study, control="1 + (1|group)", dependence="none", method="map", seed=1)
    tree.to_netcdf(tmp_path / "fit.nc")
    again = az.from_netcdf(tmp_path / "fit.nc")
    assert prevalence(again, by="wave").to_numpy() == pytest.approx(prevalence(tree, by="wave").to_numpy())
    assert "shape of this distribution differs by group and wave" in methods_paragraph(tree)
    assert dict(priors_used(tree))["control_shape_sd"] == "HalfNormal(0.25)"
