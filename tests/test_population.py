"""Population frames: from surveys and by wave, shares that are themselves estimated, and estimates that average over them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp import many_draws
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import change, contrast, misreporting, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.population import PopulationFrame, average, drawn_counts, frame_from_survey, frames_by_wave
from bayes_listexp.raking import rake
from bayes_listexp.report_text import bibtex, methods_paragraph
from bayes_listexp.stored import population_frame_of

WAVES = ("2022-09", "2022-11")
CELLS = pd.DataFrame({"g": list("xxyyz"), "h": list("ababa"), "N": [10, 30, 40, 20, 0]})


# From a survey


def test_a_survey_counts_by_its_weights_and_is_worth_kishs_number():
    survey = pd.DataFrame({"g": list("xxyy"), "k": [1, 1, 1, 2], "w": [1.0, 2, 3, 0], "other": 5})
    frame = frame_from_survey(survey, ["g", "k"], weights="w")
    assert frame.cells.to_dict("list") == {"g": ["x", "y", "y"], "k": [1, 1, 2], "N": [3, 3, 0]}
    assert frame.n == pytest.approx(36 / 14)
    assert frame.source == "a survey of 4 people, weighted (effective number 2.6)"
    assert frame_from_survey(survey.assign(w=survey["w"] * 10), ["g"], weights="w").n == pytest.approx(36 / 14)
    plain = frame_from_survey(survey, ["g"])
    assert (plain.n, plain.cells["N"].tolist(), plain.methods, plain.exact) == (4, [2, 2], ("survey",), False)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"columns": ["party"]}, "frame_from_survey: column 'party' is not in the survey; it has: g, w."),
        ({}, {"columns": ["g"], "weights": "v"}, "frame_from_survey: column 'v' is not in the survey"),
        ({}, {"columns": []}, "frame_from_survey: name columns"),
        ({"g": ["x", None]}, {"columns": ["g"]}, "frame_from_survey: column 'g', row 2: the level is missing. Recode it"),
        ({"w": [1, -1]}, {"columns": ["g"], "weights": "w"}, "column 'w', row 2: a weight is missing, infinite or negative, found -1"),
    ],
)
def test_surveys_that_are_no_population(change, arguments, message):
    survey = pd.DataFrame({"g": ["x", "y"], "w": [1.0, 1]}).assign(**change)
    with pytest.raises(InputError) as error:
        frame_from_survey(survey, **arguments)
    assert message in str(error.value)


# By wave


def test_frames_by_wave_keep_their_numbers_and_how_sure_they_are():
    kind = pd.CategoricalDtype(["z", "x", "y"])
    first = PopulationFrame(CELLS.assign(g=CELLS["g"].astype(kind)), 50, "a survey", methods=("survey",))
    frame = frames_by_wave({WAVES[0]: first, WAVES[1]: CELLS.assign(N=5, g=CELLS["g"].astype(kind))[["h", "N", "g"]]}, wave="when")
    assert frame.cells.groupby("when")["N"].sum().to_dict() == {WAVES[0]: 100, WAVES[1]: 25}
    assert frame.cells["g"].dtype == kind
    assert frame.n == {WAVES[0]: 50, WAVES[1]: None}
    assert (frame.wave, frame.methods, frame.exact) == ("when", ("survey",), False)
    assert frame.source == "2022-09: a survey; 2022-11: a table of cells"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({}, "frames_by_wave: name at least one wave"),
        ({"a": CELLS.assign(wave="a")}, "frames_by_wave: the frame of 'a' has a column 'wave' already."),
        ({"a": CELLS, "b": CELLS.drop(columns="h")}, "frames_by_wave: the frames of 'a' and 'b' do not both have the column 'h'."),
        ({"a": CELLS, "b": CELLS.assign(N=[0.2] * 5)}, "frames_by_wave: N sums to 1 in 'b' and to 100 in 'a', which is not the same unit."),
        ({"a": frames_by_wave({"x": CELLS}, "u")}, "frames_by_wave: the frame of 'a' is by wave itself."),
    ],
)
def test_frames_that_cannot_stand_together(frames, message):
    with pytest.raises(InputError) as error:
        frames_by_wave(frames)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "population frame: n = 0 must be the number of people that a survey asked, or None for exact counts."),
        ({"n": float("nan")}, "population frame: n = nan must be"),
        ({"n": {"x": 3}}, "population frame: an n for each wave needs the column of the waves, `wave`."),
        ({"n": {"x": 3}, "wave": "g"}, "population frame: n is given for x; the waves in column 'g' are: x, y, z."),
        ({"cells": CELLS.assign(N=0)}, "population frame: column 'N' sums to 0."),
    ],
)
def test_frames_that_cannot_be(arguments, message):
    with pytest.raises(InputError) as error:
        PopulationFrame(**{"cells": CELLS, **arguments})
    assert message in str(error.value)


# Numbers of people that are estimates


def check_beta(shares, mean, n):
    """Mean and variance of draws of a share against Beta(n mean, n (1 - mean)), within 4.5 Monte Carlo standard errors.

    The standard error of a variance is that of a normal distribution times 1.5, which covers the Beta's heavier tails here.
    """
    variance = mean * (1 - mean) / (n + 1)
    assert abs(shares.mean() - mean) < 4.5 * np.sqrt(variance / len(shares))
    assert abs(shares.var() / variance - 1) < 4.5 * 1.5 * np.sqrt(2 / len(shares))


def test_shares_of_groups_have_the_moments_of_a_dirichlet():
    counts = drawn_counts(PopulationFrame(CELLS, 25), None, 20_000, 1)
    assert counts.shape == (20_000, 5)
    np.testing.assert_allclose(counts.sum(axis=1), 100)
    assert not counts[:, 4].any()  # nobody stays nobody
    check_beta(counts[:, :2].sum(axis=1) / 100, 0.4, 25)
    check_beta(counts[:, 2] / 100, 0.4, 25)
    covariance = np.cov(counts[:, 0] / 100, counts[:, 3] / 100)[0, 1]
    assert covariance == pytest.approx(-0.1 * 0.2 / 26, rel=0.15)  # its standard error is sd sd / sqrt(20,000), 4 % of it


def test_splitting_a_cell_changes_nothing():
    halves = pd.concat([CELLS, CELLS]).assign(N=lambda f: f["N"] / 2)
    counts = drawn_counts(PopulationFrame(halves, 25), None, 20_000, 2)
    check_beta((counts[:, 0] + counts[:, 5]) / 100, 0.1, 25)


def test_shares_are_drawn_within_waves():
    frame = frames_by_wave({"a": PopulationFrame(CELLS, 25), "b": PopulationFrame(CELLS.assign(N=[30, 30, 30, 30, 30]), 9), "c": CELLS})
    counts = drawn_counts(frame, "wave", 20_000, 3)
    np.testing.assert_allclose(counts[:, :5].sum(axis=1), 100)
    np.testing.assert_allclose(counts[:, 5:10].sum(axis=1), 150)
    np.testing.assert_array_equal(counts[:, 10:], np.broadcast_to(CELLS["N"], (20_000, 5)))
    check_beta(counts[:, 1] / 100, 0.3, 25)
    check_beta(counts[:, 6] / 150, 0.2, 9)
    assert abs(np.corrcoef(counts[:, 1], counts[:, 6])[0, 1]) < 4.5 / np.sqrt(20_000)


def test_one_number_for_a_frame_by_wave_is_divided_as_the_people_are():
    cells = pd.concat([CELLS.assign(wave="a"), CELLS.assign(wave="b", N=CELLS["N"] * 3)], ignore_index=True)
    counts = drawn_counts(PopulationFrame(cells, 40), "wave", 20_000, 4)
    check_beta(counts[:, 1] / 100, 0.3, 10)
    check_beta(counts[:, 6] / 300, 0.3, 30)
    check_beta(drawn_counts(PopulationFrame(cells, 40), None, 20_000, 4)[:, 1] / 400, 0.075, 40)  # waves are not told apart


def test_the_same_seed_gives_the_same_shares_and_tiny_ones_leave_nobody_out():
    frame = PopulationFrame(CELLS, 0.01)
    np.testing.assert_array_equal(drawn_counts(frame, None, 50, 5), drawn_counts(frame, None, 50, 5))
    counts = drawn_counts(frame, None, 5000, 5)
    assert np.isfinite(counts).all()
    assert (counts[:, :4] > 0).all()
    chances = np.broadcast_to(np.arange(5) / 10, counts.shape)
    found, index = average(chances, CELLS, counts, ["g", "h"])
    np.testing.assert_allclose(found, chances[:, :4], rtol=1e-12)  # a cell's own average is its own chance, however few it has
    assert index.tolist() == [("x", "a"), ("x", "b"), ("y", "a"), ("y", "b")]
    assert drawn_counts(PopulationFrame(CELLS), None, 50, 5).tolist() == CELLS["N"].tolist()


# Estimates

GRID = pd.DataFrame({"region": ["north"] * 2 + ["south"] * 2, "sex": ["f", "m"] * 2, "N": [50, 150, 500, 300]})
REGIONS = {"north": 0.75, "south": 0.2}


def people(n=3000, seed=1):
    """A sample of whom four fifths are from the north, where a fifth of the population lives."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "region": rng.choice(["north", "south"], n, p=[0.8, 0.2]),
                          "sex": rng.choice(["f", "m"], n), "wave": np.repeat(WAVES, n // 2)})
    trait = rng.random(n) < frame["region"].map(REGIONS)
    asked = np.where(rng.random(n) < 0.3, np.nan, trait & (rng.random(n) < 0.8))
    return frame.assign(y=rng.binomial(3, 0.5, n) + trait * frame["treat"], asked=np.where(frame["treat"] == 1, asked, np.nan))


def study(**arguments):
    covariates = ["region", "sex"]
    return ListExperiment.from_frame(people(), answer="y", arm="treat", J=3, wave="wave", covariates=covariates, **arguments)


UNCERTAIN = PopulationFrame(GRID, 60.0, "a survey of 60 people", methods=("survey",))


@pytest.fixture(scope="module")
def tree():
    model = {"trait": "1 + region + sex", "control": "1", "counts": "binomial", "dependence": "none"}
    made = study(population=UNCERTAIN, instruments=[DirectQuestion("asked")])
    return fit(made, **model, method="map", groups=["region", "sex"])


def by_cell(tree, wave):
    """P(trait) of each cell of the grid in a wave, (draw, cell)."""
    chances = prevalence(tree, by=["region", "sex", "wave"]).sel(wave=wave).isel(chain=0)
    return np.stack([chances.sel(region=r, sex=s).to_numpy() for r, s in zip(GRID["region"], GRID["sex"], strict=True)], axis=1)


def test_oversamples_need_no_weights_where_the_frame_is_given(tree):
    chances = (by_cell(tree, WAVES[0]) + by_cell(tree, WAVES[1])) / 2
    found = prevalence(tree, population=GRID)
    np.testing.assert_allclose(found.to_numpy()[0], chances @ GRID["N"] / 1000, rtol=1e-12)
    truth = 0.2 * REGIONS["north"] + 0.8 * REGIONS["south"]
    row = summarise(found).iloc[0]
    assert abs(row["mean"] - truth) < 3.5 * row["sd"]
    assert float(prevalence(tree, population="sample").mean()) - truth > 0.2  # 0.64 of the oversample against 0.31 of the people


def test_intervals_widen_by_what_the_survey_leaves_open(tree):
    """Given the chances p of a draw, the average over Dirichlet shares s has mean s.p and variance (s.pp - (s.p)^2) / (n + 1)."""
    share = GRID["N"].to_numpy() / 1000
    chances = (by_cell(tree, WAVES[0]) + by_cell(tree, WAVES[1])) / 2  # the same shares in both waves
    expected = chances @ share
    sd = np.sqrt((chances**2 @ share - expected**2) / 61)
    z = (prevalence(tree).to_numpy()[0] - expected) / sd
    assert abs(z.mean()) < 4.5 / np.sqrt(len(z))
    assert abs(z.var() - 1) < 4.5 * 1.5 * np.sqrt(2 / len(z))
    exact, wide = summarise(prevalence(tree, population=GRID)).iloc[0], summarise(prevalence(tree)).iloc[0]
    # Variances of sums add up; a ratio of variances of 1,000 draws has a standard error of about 6 %.
    assert wide["sd"] ** 2 == pytest.approx(exact["sd"] ** 2 + (sd**2).mean(), rel=0.25)
    assert wide["upper"] - wide["lower"] > exact["upper"] - exact["lower"]
    surer = PopulationFrame(GRID, 1e9)
    np.testing.assert_allclose(prevalence(tree, population=surer), prevalence(tree, population=GRID), atol=1e-4)


def test_one_draw_of_the_shares_serves_every_estimate(tree):
    counts = drawn_counts(UNCERTAIN, "wave", 1000, int(tree.attrs["run_sha256"][:12], 16))
    for wave in WAVES:
        expected = (by_cell(tree, wave) * counts).sum(axis=1) / counts.sum(axis=1)
        np.testing.assert_allclose(prevalence(tree, by="wave").sel(wave=wave).to_numpy()[0], expected, rtol=1e-12)
    grouped = prevalence(tree, by="region").isel(chain=0)
    north = counts[:, :2].sum(axis=1) / counts.sum(axis=1)
    total = north * grouped.sel(region="north").to_numpy() + (1 - north) * grouped.sel(region="south").to_numpy()
    np.testing.assert_allclose(total, prevalence(tree).to_numpy()[0], rtol=1e-12)
    np.testing.assert_array_equal(prevalence(tree), prevalence(tree, population=UNCERTAIN))
    effect = contrast(tree, "region", "north", "south")
    assert effect.dims == ("chain", "draw")
    np.testing.assert_allclose(misreporting(tree)["prevalence"], prevalence(tree), rtol=1e-9)


def test_estimates_of_an_instrument_are_the_same_in_chunks(tree, monkeypatch):
    expected = misreporting(tree, by="region")
    monkeypatch.setattr(many_draws, "CHUNK_NUMBERS", 4 * 16 * 5 * 7)  # a few draws at a time
    xr.testing.assert_allclose(misreporting(tree, by="region"), expected, rtol=1e-12)


@pytest.mark.parametrize("by", [(), "region", ["region", "sex"]])
def test_change_uses_the_same_shares_in_both_waves(tree, by):
    found = change(tree, *WAVES, by=by)
    waves = prevalence(tree, by=["wave", *([by] if isinstance(by, str) else by)])
    np.testing.assert_allclose(found["change"], waves.sel(wave=WAVES[1]) - waves.sel(wave=WAVES[0]), atol=1e-12)
    np.testing.assert_allclose(found["composition"], 0, atol=1e-15)


def test_change_between_populations_that_are_estimated_each(tree):
    second = PopulationFrame(GRID.assign(N=[250, 250, 250, 250]), 40)
    frame = frames_by_wave({WAVES[0]: UNCERTAIN, WAVES[1]: second})
    found = change(tree, *WAVES, population=frame)
    waves = prevalence(tree, by="wave", population=frame)
    np.testing.assert_allclose(found["change"], waves.sel(wave=WAVES[1]) - waves.sel(wave=WAVES[0]), atol=1e-12)
    np.testing.assert_allclose(found["change"], found["rate"] + found["composition"], atol=1e-15)
    expected = change(tree, *WAVES, population=frames_by_wave({WAVES[0]: GRID, WAVES[1]: second.cells}))
    assert float(found["composition"].std()) > 2 * float(expected["composition"].std())
    one = PopulationFrame(GRID.assign(wave=WAVES[0]), 40)
    with pytest.raises(InputError, match="nobody of the population frame is in wave '2022-11'"):
        change(tree, *WAVES, population=one)


def test_a_saved_tree_knows_how_sure_its_frame_is(tree, tmp_path):
    tree.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as found:
        loaded = found.load()
    frame = population_frame_of(loaded)
    assert (frame.n, frame.source, frame.wave, frame.methods) == (60.0, "a survey of 60 people", None, ("survey",))
    np.testing.assert_array_equal(prevalence(loaded, by="region"), prevalence(tree, by="region"))


def test_a_study_is_another_with_another_certainty_of_its_frame():
    hashes = [study(population=p).sha256 for p in (GRID, PopulationFrame(GRID), UNCERTAIN, PopulationFrame(GRID, 61))]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_study_until_a_wave_keeps_that_waves_frame():
    frame = frames_by_wave({WAVES[0]: UNCERTAIN, WAVES[1]: GRID})
    early = study(population=frame).until(WAVES[0]).population_frame
    assert early.n == {WAVES[0]: 60.0}
    assert set(early.cells["wave"]) == {WAVES[0]}
    assert study(population=UNCERTAIN).until(WAVES[0]).population_frame.n == 60.0


def test_a_frame_by_wave_has_its_waves_where_the_study_has_them(tree):
    frame = frames_by_wave({w: GRID for w in WAVES}, wave="when")
    with pytest.raises(InputError, match="it is by wave in column 'when', and the study has its waves in 'wave'. Name the same column"):
        study(population=frame)
    with pytest.raises(InputError, match="it is by wave in column 'when'"):
        prevalence(tree, population=frame)


def test_the_methods_paragraph_says_how_the_frame_was_made(tree):
    text, entries = methods_paragraph(tree), bibtex(tree)
    assert "with the frame's shares as its mean and its effective number of respondents as its size (Rubin 1981; Kish 1965)" in text
    assert "Deming" not in text
    assert all(key in entries for key in ("{park_gelman_bafumi_2004,", "{rubin_1981,", "{kish_1965,"))
    margins = [GRID.groupby(c, as_index=False)["N"].sum() for c in ("region", "sex")]
    raked = tree.copy()
    raked["population"] = raked["population"].to_dataset().assign_attrs(n="null", methods='["raking"]')
    text, entries = methods_paragraph(raked), bibtex(raked)
    assert rake(None, margins).methods == ("raking",)
    assert "raked to known margins by iterative proportional fitting (Deming & Stephan 1940)." in text
    assert "Dirichlet" not in text
    assert "{deming_stephan_1940," in entries
    assert "{rubin_1981," not in entries
