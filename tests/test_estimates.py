"""Estimates from one small fit of two waves: dims, hand-made averages, decompositions, and a saved tree."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

from bayes_listexp.errors import InputError
from bayes_listexp.estimates import (
    change,
    contrast,
    prevalence,
    realised_prevalence,
    summarise,
    trait_probability,
)
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit

WAVES = ("2022-09", "2022-11")


def people(n=900, seed=7):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "treat": np.arange(n) % 2,
            "wave": np.repeat(WAVES, [500, 400]),
            "region": rng.choice(["north", "south", "west"], n, p=[0.5, 0.3, 0.2]),
            "age": rng.choice([20.0, 40, 60], n),
            "w": rng.uniform(0.5, 2, n),
        }
    )
    frame = frame[(frame["region"] != "west") | (frame["wave"] == WAVES[0])]  # nobody in the west in November
    trait = rng.random(len(frame)) < expit(-0.5 + 0.02 * (frame["age"] - 40))
    return frame.assign(y=rng.binomial(3, 0.5, len(frame)) + trait * frame["treat"])


def cells():
    """The population: four regions, of which the east was not sampled, in two zones."""
    grid = pd.MultiIndex.from_product([["north", "south", "west", "east"], [20.0, 40.0, 60.0]], names=["region", "age"])
    frame = grid.to_frame(index=False).assign(N=np.arange(1, 13) * 100)
    return frame.assign(zone=np.where(frame["region"].isin(["north", "east"]), "A", "B"))


@pytest.fixture(scope="module")
def data():
    return people()


@pytest.fixture(scope="module")
def tree(data):
    study = ListExperiment.from_frame(data, answer="y", arm="treat", J=3, wave="wave", weights="w", population=cells())
    model = {"trait": "1 + age + (1|region)", "control": "1", "counts": "binomial", "dependence": "none"}
    return fit(study, **model, method="map", groups=["region"]).isel(draw=slice(0, 40))


def chance(tree, rows, draw=3):
    """P(trait) at rows by hand: formula-scale coefficients of one draw times a plain design matrix."""
    posterior = tree["posterior"].to_dataset().isel(chain=0, draw=draw)
    intercept, age, november = posterior["trait"].to_numpy()
    effect = rows["region"].map(posterior["trait_region"].isel(trait_region_column=0).to_series())
    eta = intercept + age * rows["age"] + november * (rows["wave"] == WAVES[1]) + effect
    return expit(eta.to_numpy(dtype=float))


def at(estimate, draw=3):
    return estimate.isel(chain=0, draw=draw)


def both_waves(frame):
    return pd.concat([frame.assign(wave=w) for w in WAVES], ignore_index=True)


# Prevalence


def test_prevalence_of_the_sample_is_the_mean_over_respondents(tree, data):
    assert float(at(prevalence(tree, population="sample"))) == pytest.approx(chance(tree, data).mean())
    weighted = np.average(chance(tree, data), weights=data["w"])
    assert float(at(prevalence(tree, population="weights"))) == pytest.approx(weighted)


def test_prevalence_of_the_population_is_weighted_by_its_cells(tree):
    rows = both_waves(cells())
    expected = np.average(chance(tree, rows), weights=rows["N"])
    found = prevalence(tree)
    assert float(at(found)) == pytest.approx(expected)
    assert found.attrs["population"] == "population frame"
    assert float(at(prevalence(tree, population="frame"))) == pytest.approx(expected)
    assert float(at(prevalence(tree, population=cells()))) == pytest.approx(expected)
    assert float(at(prevalence(tree, population=cells().assign(N=cells()["N"] * 7)))) == pytest.approx(expected)


def test_prevalence_by_group_by_hand(tree):
    rows = both_waves(cells())
    found = at(prevalence(tree, by=["zone", "wave"]))
    for (zone, wave), part in rows.groupby(["zone", "wave"]):
        assert float(found.sel(zone=zone, wave=wave)) == pytest.approx(
            np.average(chance(tree, part), weights=part["N"])
        )


def test_dims_are_chain_draw_and_the_groups_in_the_order_asked(tree):
    assert prevalence(tree).dims == ("chain", "draw")
    assert prevalence(tree, by=None).identical(prevalence(tree))
    found = prevalence(tree, by=["wave", "region"])
    assert found.dims == ("chain", "draw", "wave", "region")
    assert found["wave"].to_numpy().tolist() == list(WAVES)
    assert found["region"].to_numpy().tolist() == ["north", "south", "west", "east"]
    assert prevalence(tree, by=["region", "wave"]).dims == ("chain", "draw", "region", "wave")
    assert prevalence(tree, by="age")["age"].to_numpy().tolist() == [20, 40, 60]
    assert realised_prevalence(tree, by="region").dims == ("chain", "draw", "region")
    assert contrast(tree, "age", 20, 60, by="region").dims == ("chain", "draw", "region")
    moved = change(tree, *WAVES, by="region")
    assert set(moved.data_vars) == {"change", "rate", "composition"}
    assert all(moved[name].dims == ("chain", "draw", "region") for name in moved)
    assert trait_probability(tree).dims == ("chain", "draw", "pattern")


@pytest.mark.parametrize("population", ["sample", "weights", "frame"])
def test_groups_average_back_to_the_total(tree, data, population):
    mass = {
        "sample": data.groupby("region").size(),
        "weights": data.groupby("region")["w"].sum(),
        "frame": cells().groupby("region")["N"].sum(),
    }[population]
    grouped = prevalence(tree, by="region", population=population)
    mass = mass.loc[grouped["region"].to_numpy()]
    total = grouped.weighted(xr.DataArray(mass.to_numpy(dtype=float), dims="region")).mean("region")
    np.testing.assert_allclose(total, prevalence(tree, population=population))


def test_groups_without_people_are_nan_and_left_out_of_tables(tree):
    found = prevalence(tree, by=["region", "wave"], population="sample")
    assert np.isnan(at(found).sel(region="west", wave=WAVES[1]))
    table = summarise(found)
    assert len(table) == 5
    assert ("west", WAVES[1]) not in set(zip(table["region"], table["wave"], strict=True))


def test_one_cell_of_the_population_is_its_own_prevalence(tree):
    one = pd.DataFrame({"region": ["south"], "age": [33.0], "wave": [WAVES[1]], "N": [1]})
    assert float(at(prevalence(tree, population=one))) == pytest.approx(chance(tree, one)[0])


def test_estimates_are_probabilities(tree):
    for found in (prevalence(tree, by="region"), realised_prevalence(tree), trait_probability(tree)):
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1


# Given the answers


def test_some_answers_reveal_the_trait(tree):
    found = trait_probability(tree)
    treated = found["arm"] == "treatment"
    np.testing.assert_allclose(found[..., treated & (found["answer"] == 0)], 0, atol=1e-12)
    np.testing.assert_allclose(found[..., treated & (found["answer"] == 4)], 1, atol=1e-12)
    between = found[..., treated & (found["answer"] > 0) & (found["answer"] < 4)]
    assert float(between.min()) > 0
    assert float(between.max()) < 1
    assert int(found["n"].sum()) == len(people())


def test_covariates_called_like_a_coordinate():
    frame = people()[["y", "treat"]].assign(n=lambda f: f["y"] % 2, cell="x")
    study = ListExperiment.from_frame(frame, answer="y", arm="treat", J=3)
    made = fit(study, trait="1 + n", control="1", counts="binomial", dependence="none", method="map", groups=["cell"])
    found = trait_probability(made)
    assert int(found["n"].sum()) == len(frame)
    assert set(found["n (covariate)"].to_numpy()) == {0, 1}
    assert set(found["cell (covariate)"].to_numpy()) == {"x"}


def test_bayes_rule_by_hand(tree):
    found = trait_probability(tree)
    rows = pd.DataFrame({name: found[name].to_numpy() for name in ("region", "age", "wave", "arm", "answer")})
    posterior = tree["posterior"].to_dataset().isel(chain=0, draw=3)
    p = chance(tree, rows.assign(age=rows["age"].astype(float)))
    intercept, november = posterior["control"].to_numpy()
    h = expit(intercept + november * (rows["wave"] == WAVES[1]).to_numpy())

    def count(k):
        return np.where((k < 0) | (k > 3), 0, np.array([1, 3, 3, 1])[np.clip(k, 0, 3)] * h**k * (1 - h) ** (3 - k))

    y = rows["answer"].to_numpy()
    with_trait, without = p * count(y - 1), (1 - p) * count(y)
    expected = np.where(rows["arm"] == "treatment", with_trait / (with_trait + without), p)
    np.testing.assert_allclose(at(found), expected, rtol=1e-8, atol=1e-12)


def test_realised_prevalence_is_the_mean_over_respondents(tree):
    found = trait_probability(tree)
    np.testing.assert_allclose(realised_prevalence(tree), found.weighted(found["n"]).mean("pattern"))
    south = found[..., found["region"] == "south"]
    np.testing.assert_allclose(
        realised_prevalence(tree, by="region").sel(region="south"), south.weighted(south["n"]).mean("pattern")
    )


# Change


def test_change_on_a_fixed_population_is_the_difference_of_prevalences(tree):
    found = change(tree, *WAVES, by="region")
    np.testing.assert_allclose(found["composition"], 0, atol=1e-15)
    by_wave = prevalence(tree, by=["region", "wave"])
    difference = by_wave.sel(wave=WAVES[1], drop=True) - by_wave.sel(wave=WAVES[0], drop=True)
    np.testing.assert_allclose(found["change"], difference, atol=1e-12)
    assert (found.attrs["first"], found.attrs["second"], found.attrs["population"]) == (*WAVES, "population frame")


@pytest.mark.parametrize("population", ["sample", "weights"])
def test_change_is_rate_plus_composition(tree, population):
    found = change(tree, *WAVES, population=population)
    by_wave = prevalence(tree, by="wave", population=population)
    np.testing.assert_allclose(found["change"], by_wave.sel(wave=WAVES[1]) - by_wave.sel(wave=WAVES[0]), atol=1e-12)
    np.testing.assert_array_equal(found["change"], found["rate"] + found["composition"])
    assert float(np.abs(found["composition"]).max()) > 0


def test_kitagawa_by_hand(tree):
    frame = pd.DataFrame(
        {"region": ["north", "south"] * 2, "age": 40.0, "wave": np.repeat(WAVES, 2), "N": [30, 70, 60, 40]}
    )
    found = change(tree, *WAVES, population=frame)
    p = chance(tree, frame)
    rate = (0.3 + 0.6) / 2 * (p[2] - p[0]) + (0.7 + 0.4) / 2 * (p[3] - p[1])
    composition = (0.6 - 0.3) * (p[0] + p[2]) / 2 + (0.4 - 0.7) * (p[1] + p[3]) / 2
    assert float(at(found["rate"])) == pytest.approx(rate)
    assert float(at(found["composition"])) == pytest.approx(composition)
    assert float(at(found["change"])) == pytest.approx((0.6 * p[2] + 0.4 * p[3]) - (0.3 * p[0] + 0.7 * p[1]))


def test_change_backwards_has_the_other_sign(tree):
    forwards, backwards = change(tree, *WAVES, population="sample"), change(tree, *WAVES[::-1], population="sample")
    for part in ("change", "rate", "composition"):
        np.testing.assert_allclose(forwards[part], -backwards[part], atol=1e-15)
    np.testing.assert_allclose(change(tree, WAVES[0], WAVES[0])["change"], 0, atol=1e-15)


def test_change_of_a_group_that_one_wave_lacks_leaves_the_others_alone(tree):
    found = at(change(tree, *WAVES, by="region", population="sample"))
    assert np.isnan(found["change"].sel(region="west"))
    assert np.isfinite(found["change"].sel(region=["north", "south"])).all()


# Contrast and summaries


def test_contrast_sets_everybody_to_two_values(tree):
    rows = both_waves(cells())
    expected = np.average(chance(tree, rows.assign(age=60.0)) - chance(tree, rows.assign(age=20.0)), weights=rows["N"])
    assert float(at(contrast(tree, "age", 20, 60))) == pytest.approx(expected)
    np.testing.assert_allclose(contrast(tree, "age", 60, 20), -contrast(tree, "age", 20, 60), atol=1e-15)
    east = np.average(
        chance(tree, rows.assign(region="east")) - chance(tree, rows.assign(region="north")), weights=rows["N"]
    )
    assert float(at(contrast(tree, "region", "north", "east"))) == pytest.approx(east)
    np.testing.assert_allclose(contrast(tree, "wave", *WAVES), change(tree, *WAVES)["change"], atol=1e-12)


def test_summary_by_hand():
    draws = xr.DataArray(np.arange(-1, 4.0)[None], dims=("chain", "draw"))
    row = summarise(draws, probability=0.5).iloc[0]
    assert row[["mean", "median", "lower", "upper", "p_below_zero"]].tolist() == [1, 1, 0, 2, 0.2]
    assert row["sd"] == pytest.approx(np.sqrt(2.5))
    grouped = xr.DataArray(np.zeros((1, 5, 2)), dims=("chain", "draw", "sex"), coords={"sex": ["f", "m"]})
    assert summarise(grouped.transpose("sex", "chain", "draw"))["sex"].tolist() == ["f", "m"]


# Saved and loaded


@pytest.fixture(scope="module")
def loaded(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "fit.nc"
    tree.to_netcdf(path, engine="h5netcdf")
    with xr.open_datatree(path, engine="h5netcdf") as found:
        return found.load()


def test_a_saved_tree_gives_every_estimate(tree, loaded):
    new = pd.DataFrame({"region": ["east", "south"], "age": [25, 55], "N": [2.0, 3.0], "party": ["x", "y"]})
    for estimate in (
        lambda t: prevalence(t),
        lambda t: prevalence(t, by=["wave", "region"], population="sample"),
        lambda t: prevalence(t, by="zone"),
        lambda t: prevalence(t, by="party", population=new),
        lambda t: realised_prevalence(t, by="region"),
        lambda t: trait_probability(t),
        lambda t: change(t, *WAVES, by="region", population="weights")["change"],
        lambda t: contrast(t, "age", 20, 60),
    ):
        xr.testing.assert_allclose(estimate(loaded), estimate(tree), rtol=1e-12)


def test_a_study_without_waves_weights_or_exclusions_can_be_saved(tmp_path):
    study = ListExperiment.from_frame(people()[["y", "treat"]], answer="y", arm="treat", J=3)
    made = fit(study, counts="binomial", dependence="none", method="map", response="liars")
    made.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as found:
        back = found.load()
    np.testing.assert_allclose(prevalence(back), prevalence(made))
    np.testing.assert_allclose(realised_prevalence(back), realised_prevalence(made))
    with pytest.raises(InputError, match="change: the study has no waves; name the column with `wave`"):
        change(back, "a", "b")
    with pytest.raises(InputError, match="population = 'weights': the study has no survey weights"):
        prevalence(back, population="weights")
    with pytest.raises(InputError, match="population = 'frame': no population frame was stored with the fit; give one"):
        prevalence(back, population="frame")


# Refusals


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda t: prevalence(t, by="party"),
            "by: column 'party' is not in the population frame; it has: wave, region, age, zone",
        ),
        (
            lambda t: prevalence(t, by="party", population="sample"),
            r"'party' is not in the sample; .*Name it in `groups` when fitting",
        ),
        (lambda t: prevalence(t, by=["region", "region"]), "by: column 'region' is named twice"),
        (
            lambda t: prevalence(t, population="census"),
            "population = 'census': say sample, weights or frame, or give a frame",
        ),
        (lambda t: realised_prevalence(t, by="zone"), "by: column 'zone' is not in the respondents"),
        (lambda t: change(t, *WAVES, by="party"), "by: column 'party' is not in the population frame"),
        (lambda t: change(t, *WAVES, by="wave"), "a change is between waves and cannot be grouped by 'wave'"),
        (lambda t: change(t, "2022-09", "2023-01"), "there is no wave '2023-01'; the waves are: 2022-09, 2022-11"),
        (
            lambda t: change(t, *WAVES, population=cells().assign(wave=WAVES[0])),
            "nobody of the population frame is in wave '2022-11'",
        ),
        (lambda t: contrast(t, "zone", "A", "B"), "contrast: column 'zone' is not in the trait formula '1 "),
        (
            lambda t: contrast(t, "region", "north", "centre"),
            "column 'region': level 'centre' is neither in the sample nor in the",
        ),
    ],
)
def test_refused_by_name(tree, call, message):
    with pytest.raises(InputError, match=message):
        call(tree)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            cells().assign(region="centre"),
            "column 'region': level 'centre' is neither in the sample nor in the population frame; known are: north",
        ),
        (cells().drop(columns="age"), "column 'age' is needed by the model and is not in the frame"),
        (
            cells().drop(columns="N"),
            r"population frame: column 'N' \(number of people in the cell\) is missing; it has: region, age, zone",
        ),
        (
            cells().assign(N=[-1, *range(11)]),
            "column 'N', row 1: a count of people must be a number of at least 0, found -1",
        ),
        (cells().assign(N=0), "population frame: column 'N' sums to 0"),
        (
            cells().assign(zone=[None, *"ABABABABABA"]),
            "by: column 'zone', row 1 of the population: the level is missing",
        ),
        (cells().assign(wave="2023"), "column 'wave': level '2023' is neither"),
    ],
)
def test_populations_that_cannot_be(tree, frame, message):
    with pytest.raises(InputError, match=message):
        prevalence(tree, population=frame, by="zone" if "zone" in frame else ())
