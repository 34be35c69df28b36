"""Change over the waves: enumerated draws, a small fit of three waves, and a sample whose make-up changed while opinion did not."""

import itertools
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

from bayes_listexp import figures, spec_dates, spec_keys
from bayes_listexp.changes import (
    change_summary,
    compare_changes,
    difference_of_changes,
    filtered,
    largest_drop,
    p_monotone,
    path,
    ranks,
    wave_dates,
)
from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import change, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures import Printed
from bayes_listexp.fitting import fit
from bayes_listexp.margins import KnownPrevalence
from bayes_listexp.published_report import Published, course_of_published
from bayes_listexp.report_text import bibtex, methods_paragraph
from bayes_listexp.spec import published_of, read_spec
from bayes_listexp.standardised import poststratified_change, poststratified_means
from bayes_listexp.survey_changes import change_section
from bayes_listexp.survey_course import course_section
from bayes_listexp.survey_results import Survey

MODELS = Path(__file__).parents[1] / "models"
WAVES = ("2022-09", "2022-11", "2023-05")
PLAIN = {"counts": "binomial", "dependence": "none", "method": "map"}


def drawn(values, **dims):
    """Draws (one chain) from rows of values, one row a draw."""
    return xr.DataArray(np.asarray(values, dtype=float)[None], dims=("chain", "draw", *dims), coords=dims)


# Probabilities of a change, on draws that can be counted


def test_the_probabilities_of_a_change_are_shares_of_draws():
    row = change_summary(drawn([-0.5, -0.25, -0.125, 0.0, 0.0625, 0.25, 0.5, 0.5]), delta=0.25, rope=0.0625).iloc[0]
    assert row[["p_decline", "p_decline_delta", "p_rise_delta", "p_rope"]].tolist() == [3 / 8, 2 / 8, 3 / 8, 2 / 8]
    assert row["median"] == 0.03125
    half = change_summary(drawn([-1.0, 0, 1, 2, 3]), probability=0.5).iloc[0]
    assert half[["lower", "median", "upper"]].tolist() == [0, 1, 2]


def test_every_group_has_its_row_and_one_without_draws_says_why():
    draws = drawn([[[-0.25, np.nan], [0.5, -0.5]], [[-0.5, np.nan], [0.5, -0.5]]], sex=["f", "m"], region=["n", "s"])
    rows = change_summary(draws)
    assert rows[["sex", "region"]].to_numpy().tolist() == [["f", "n"], ["f", "s"], ["m", "n"], ["m", "s"]]
    assert rows["p_decline"].fillna(-1).tolist() == [1, -1, 0, 1]
    assert rows["note"].tolist() == ["", "not every draw is there", "", ""]
    said = draws.assign_coords(absent=(("region", "sex"), np.array([["", ""], ["nobody", ""]], dtype=object)))
    assert change_summary(said)["note"].tolist() == ["", "nobody", "", ""]


@pytest.mark.parametrize(("name", "value"), [("delta", 20), ("rope", -0.1), ("probability", 1.0)])
def test_sizes_that_are_no_shares_are_refused(name, value):
    with pytest.raises(InputError, match=name):
        change_summary(drawn([0.0, 1.0]), **{name: value})


# Paths: all 27 of three levels over three waves; the levels are sums of powers of two, so that equal falls are exactly equal

LEVELS = (0.125, 0.25, 0.375)
PATHS = list(itertools.product(LEVELS, repeat=3))


def test_a_path_that_never_rises():
    row = p_monotone(drawn(PATHS, wave=list(WAVES)), "wave").iloc[0]
    assert row.tolist() == [10 / 27, 10 / 27]  # non-increasing sequences of three out of three levels: C(5, 3)
    two = p_monotone(drawn([[0.3, 0.2], [0.2, 0.3], [0.2, 0.2], [0.3, 0.1]], wave=["a", "b"]), "wave").iloc[0]
    assert two.tolist() == [0.75, 0.5]
    groups = drawn([[[0.3, 0.2], [0.1, np.nan]]], sex=["f", "m"], wave=["a", "b"])
    assert p_monotone(groups, "wave")["p_never_rises"].fillna(-1).tolist() == [1, -1]


def test_when_the_largest_drop_came():
    found = largest_drop(drawn(PATHS, wave=list(WAVES)), "wave").set_index("gap")
    falls = [(one - two, two - three) for one, two, three in PATHS]
    places = [None if max(fall) <= 0 else fall.index(max(fall)) for fall in falls]
    for place, gap in enumerate(["2022-09 to 2022-11", "2022-11 to 2023-05"]):
        sizes = [max(fall) for fall, where in zip(falls, places, strict=True) if where == place]
        assert found.loc[gap, "p"] == len(sizes) / 27
        assert found.loc[gap, "median"] == np.median(sizes)
        assert found.loc[gap, "upper"] == pytest.approx(np.quantile(sizes, 0.975))
    assert found.loc["no fall", "p"] == 10 / 27
    assert np.isnan(found.loc["no fall", "median"])
    assert found.loc["any gap", "p"] == pytest.approx(17 / 27)
    assert found.loc[[gap for gap in found.index if gap != "any gap"], "p"].sum() == pytest.approx(1)


def test_drops_of_groups_are_theirs():
    both = drawn([[[0.5, 0.25, 0.25], [0.25, 0.25, 0.125]]], sex=["f", "m"], wave=list(WAVES))
    found = largest_drop(both, "wave").set_index(["sex", "gap"])["p"]
    assert found["f", "2022-09 to 2022-11"] == found["m", "2022-11 to 2023-05"] == 1
    holes = largest_drop(both.where(both["sex"] == "f"), "wave")
    assert holes.loc[holes["sex"] == "m", "p"].isna().all()


def test_ranks_are_counted():
    found = ranks(drawn([[0.5, 0.25, 0.125], [0.5, 0.125, 0.25], [0.25, 0.5, 0.25]], g=["a", "b", "c"]), "g").set_index("g")
    assert found.loc["a", ["p_rank_1", "p_rank_2", "p_rank_3"]].tolist() == [2 / 3, 1 / 3, 0]
    assert found.loc["b", ["p_rank_1", "p_rank_2", "p_rank_3"]].tolist() == [1 / 3, 1 / 3, 1 / 3]
    assert found.loc["c", "mean_rank"] == pytest.approx((3 + 2 + 2) / 3)  # equals share the better rank
    apart = ranks(drawn([[[0.5, 0.25], [0.25, np.nan]]], wave=["a", "b"], g=["x", "y"]), "g")
    assert apart["mean_rank"].fillna(-1).tolist() == [1, 2, 1, -1]


def test_pairs_of_changes():
    draws = drawn([[-0.5, -0.25, 0.0], [-0.5, 0.25, -0.25], [-0.25, -0.25, 0.0], [-0.5, 0.0, 0.0]], g=["a", "b", "c"])
    found = compare_changes(draws, "g", delta=0.5, rope=0.25).set_index(["a", "b"])
    assert list(found.index) == [("a", "c"), ("a", "b"), ("b", "c")]
    assert found["p_decline"].tolist() == [1, 0.75, 0.5]
    assert found.loc[("a", "b"), ["median", "p_decline_delta", "p_rope"]].tolist() == [-0.375, 0.5, 0.5]
    turned = compare_changes(-draws, "g").set_index(["a", "b"])
    assert turned.loc[("c", "a"), "p_decline"] == 1  # the one that went further down comes first
    by_item = compare_changes(draws.expand_dims(item=["x", "y"]), "g")
    assert by_item.columns[:3].tolist() == ["item", "a", "b"]
    assert len(by_item) == 6


@pytest.mark.parametrize("call", [p_monotone, largest_drop, ranks, compare_changes])
def test_a_dim_that_is_not_there_or_has_one_level_is_refused(call):
    with pytest.raises(InputError, match="'party' is not a dim of the draws; they have: chain, draw, wave"):
        call(drawn([[0.1, 0.2]], wave=["a", "b"]), "party")
    with pytest.raises(InputError, match="single level"):
        call(drawn([[0.1]], wave=["a"]), "wave")


def test_labels_that_are_dates():
    found = wave_dates(["2022-09-14", "2022-11", "2023"])
    assert found == {"2022-09-14": date(2022, 9, 14), "2022-11": date(2022, 11, 15), "2023": date(2023, 7, 2)}
    assert wave_dates(["2022-Q3"]) == {"2022-Q3": date(2022, 8, 15)}
    assert wave_dates(["2022-09", "pilot"]) is wave_dates(["2022-02-30"]) is wave_dates([]) is None


# A fit of three waves; nobody of the west was asked in the last


def people(n=1500):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "wave": np.repeat(WAVES, n // 3),
                          "region": rng.choice(["north", "south", "west"], n, p=[0.5, 0.3, 0.2]), "sex": rng.choice(["f", "m"], n)})
    frame = frame[(frame["region"] != "west") | (frame["wave"] != WAVES[2])].reset_index(drop=True)
    trait = rng.random(len(frame)) < frame["wave"].map(dict(zip(WAVES, [0.6, 0.3, 0.4], strict=True)))
    return frame.assign(y=rng.binomial(3, 0.5, len(frame)) + trait * frame["treat"])


def cells():
    return pd.DataFrame({"region": ["north", "south", "west"] * 2, "sex": ["f"] * 3 + ["m"] * 3, "N": [30, 20, 10, 20, 15, 5]})


def study_of(frame, **roles):
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, wave="wave", **roles)


@pytest.fixture(scope="module")
def study():
    return study_of(people(), population=cells())


@pytest.fixture(scope="module")
def tree(study):
    return fit(study, trait="1 + region * wave", groups=["sex"], **PLAIN).isel(draw=slice(0, 60))


def test_the_path_has_the_waves_last_and_says_that_it_is_smoothed(tree):
    found = path(tree, by="region")
    assert found.dims == ("chain", "draw", "region", "wave")
    assert found["wave"].to_numpy().tolist() == list(WAVES)
    assert found.attrs["estimate"] == "smoothed"
    np.testing.assert_array_equal(path(tree, by=["wave", "region"]), found)
    np.testing.assert_array_equal(path(tree, population="sample"), prevalence(tree, by="wave", population="sample"))


def by_wave():
    """The population, of another make-up in each wave; in the last nobody lives in the west."""
    moved = [cells().assign(wave=wave, N=cells()["N"] * np.array(times)) for wave, times in
             zip(WAVES, ([1, 1, 1] * 2, [3, 1, 2] * 2, [1, 4, 0] * 2), strict=True)]
    return pd.concat(moved, ignore_index=True)


@pytest.mark.parametrize("by", [[], ["sex"], ["region"], ["sex", "region"]])
@pytest.mark.parametrize("waves", list(itertools.permutations(WAVES, 2)))
def test_opinion_and_make_up_add_up_to_the_difference_of_the_waves(tree, by, waves):
    frame = by_wave()
    parts = change(tree, *waves, by=by, population=frame)
    whole = prevalence(tree, by=[*by, "wave"], population=frame)
    difference = whole.sel(wave=waves[1], drop=True) - whole.sel(wave=waves[0], drop=True)
    np.testing.assert_allclose(parts["change"], difference, atol=1e-12)
    np.testing.assert_allclose(parts["rate"] + parts["composition"], difference, atol=1e-12)
    if by != ["region"] and by != ["sex", "region"]:
        assert float(np.abs(parts["composition"]).max()) > 0.01


@pytest.mark.parametrize("population", ["sample", "frame by wave"])
def test_a_group_of_one_wave_only_has_no_change_and_a_reason(tree, population):
    frame = "sample" if population == "sample" else by_wave()
    name = "sample" if population == "sample" else "population frame"
    found = change(tree, WAVES[0], WAVES[2], by=["sex", "region"], population=frame)
    assert np.isnan(found["change"].sel(region="west")).all()
    assert set(found["absent"].sel(region="west").to_numpy()) == {f"nobody of the {name} in wave '2023-05'"}
    assert set(found["absent"].sel(region=["north", "south"]).to_numpy().ravel()) == {""}
    rows = change_summary(found["change"])
    assert rows.loc[rows["region"] == "west", "note"].tolist() == [f"nobody of the {name} in wave '2023-05'"] * 2
    pairs = compare_changes(change(tree, WAVES[0], WAVES[2], by="region", population=frame)["change"], "region")
    assert set(pairs.loc[pairs["median"].isna(), "note"]) == {f"west: nobody of the {name} in wave '2023-05'"}
    assert "absent" not in change(tree, *WAVES[:2], by="region", population=frame).coords
    with pytest.raises(InputError, match="west: nobody of the .* in wave '2023-05', so that there is no change"):
        difference_of_changes(tree, WAVES[0], WAVES[2], by="region", a="west", b="north", population=frame)


def test_the_difference_of_two_changes_is_taken_within_draws(tree):
    moved = change(tree, *WAVES[:2], by="region")["change"]
    found = difference_of_changes(tree, *WAVES[:2], by="region", a="north", b="south")
    np.testing.assert_allclose(found, moved.sel(region="north") - moved.sel(region="south"))
    assert found.dims == ("chain", "draw")
    with pytest.raises(InputError, match="'region' has no level 'east'; there are: north, south, west"):
        difference_of_changes(tree, *WAVES[:2], by="region", a="east", b="south")


# As it was known then


def test_a_study_until_a_wave(study):
    part = study_of(people(), population=by_wave()).until(WAVES[1])
    assert part.waves == WAVES[:2]
    assert part.n == (people()["wave"] != WAVES[2]).sum()
    assert set(part.population["wave"]) == set(WAVES[:2])
    last = part.exclusions.iloc[-1]
    assert (last["reason"], last["column"]) == ("later than wave 2022-11", "wave")
    assert part.n + last[["control", "treatment"]].sum() == study.n
    assert study.until(WAVES[2]).sha256 == study.sha256
    with pytest.raises(InputError, match="there is no wave '2024'; the waves are: 2022-09"):
        study.until("2024")


def test_filtered_estimates_use_no_later_wave(study):
    early = study.until(WAVES[1])
    later = KnownPrevalence(group={"wave": WAVES[1]}, share=0.3, se=0.01)
    found = filtered(early, trait="1 + region", margins=[later], **PLAIN)
    assert found.attrs["estimate"] == "filtered"
    assert found.dims == ("chain", "draw", "wave")
    alone = study_of(people()[people()["wave"] == WAVES[0]], population=cells())
    first = fit(alone, trait="1 + region", **PLAIN)
    np.testing.assert_allclose(found.sel(wave=WAVES[0]), prevalence(first), atol=1e-10)
    whole = path(fit(early, trait="1 + region", margins=[later], **PLAIN))
    np.testing.assert_allclose(found.sel(wave=WAVES[1]), whole.sel(wave=WAVES[1]), atol=1e-10)
    assert float(np.abs(found.sel(wave=WAVES[0]).mean() - whole.sel(wave=WAVES[0]).mean())) > 1e-4  # what November says of September


# Without a model


def test_poststratified_means_by_hand():
    study = study_of(people(), population=cells())
    found = poststratified_means(study, cells="sex", by="wave").set_index("wave")
    for wave in WAVES:
        parts = difference_in_means(study, by=["wave", "sex"]).set_index(["wave", "sex"]).loc[wave]
        share = pd.Series({"f": 0.6, "m": 0.4})
        assert found.loc[wave, "estimate"] == pytest.approx((share * parts["estimate"]).sum())
        assert found.loc[wave, "se"] == pytest.approx(np.sqrt((share**2 * parts["se"] ** 2).sum()))
        assert found.loc[wave, "upper"] == pytest.approx(found.loc[wave, "estimate"] + norm.ppf(0.975) * found.loc[wave, "se"])
        assert found.loc[wave, "n_control"] + found.loc[wave, "n_treatment"] == (people()["wave"] == wave).sum()
    same = poststratified_means(study, cells="sex", by="wave", population=cells().assign(N=cells()["N"] * 1000)).set_index("wave")
    pd.testing.assert_frame_equal(same, found)


def test_cells_without_both_arms_are_left_out_by_name():
    found = poststratified_means(study_of(people(), population=cells()), cells=["region", "sex"], by="wave").set_index("wave")
    assert found.loc[WAVES[0], "left_out"] == ""
    assert found.loc[WAVES[2], "left_out"] == "west · f; west · m"
    assert found.loc[WAVES[2], "share_left_out"] == pytest.approx(0.15)
    moved = poststratified_change(study_of(people(), population=cells()), WAVES[0], WAVES[2], cells=["region", "sex"]).iloc[0]
    kept = cells()[cells()["region"] != "west"]
    both = poststratified_means(study_of(people()[people()["region"] != "west"]), cells=["region", "sex"], by="wave", population=kept)
    both = both.set_index("wave")
    assert moved["estimate"] == pytest.approx(both.loc[WAVES[2], "estimate"] - both.loc[WAVES[0], "estimate"])
    assert moved["se"] == pytest.approx(np.hypot(both.loc[WAVES[2], "se"], both.loc[WAVES[0], "se"]))
    assert moved["share_left_out"] == pytest.approx(0.15)


def test_each_wave_may_have_its_own_population():
    study = study_of(people())
    found = poststratified_means(study, cells="region", by="wave", population=by_wave()).set_index("wave")
    parts = difference_in_means(study, by=["wave", "region"]).set_index(["wave", "region"])["estimate"]
    assert found.loc[WAVES[2], "estimate"] == pytest.approx((50 * parts[WAVES[2], "north"] + 140 * parts[WAVES[2], "south"]) / 190)
    assert found.loc[WAVES[2], "share_left_out"] == 0  # nobody of the population is in the west


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"cells": "party"}, "column 'party' must be a column of the population"),
     ({"cells": ["sex"], "by": "sex"}, "column 'sex' must be a column of the population other than those of `by`"),
     ({"cells": "region", "population": cells()[cells()["region"] != "west"]}, "column 'region' has no level 'west'")],
)
def test_cells_that_cannot_be(study, arguments, message):
    with pytest.raises(InputError, match=message):
        poststratified_means(study, **arguments)
    with pytest.raises(InputError, match="the study has no population frame"):
        poststratified_means(study_of(people()), cells="sex")


# Opinion did not change, the sample's make-up did


def test_the_composition_trap():
    """Support is 80 % in one group and 20 % in the other, in both waves; the sample goes from 70 % to 30 % of the first group.

    True values: raw change (.3 x .8 + .7 x .2) - (.7 x .8 + .3 x .2) = 0.38 - 0.62 = -0.24, all of it make-up, and no
    change on the population. With 10,000 respondents in each arm of each wave the difference in means of a wave has the
    standard error sqrt((0.75 + 0.99) / 10,000) = 0.013, and a change 0.019: the raw change is 13 standard errors from 0. What
    is estimated may be 3 standard errors from the truth (0.3 % of the seeds are not), which is far from confusing the two.
    """
    rng = np.random.default_rng(20220914)
    n = 20_000
    share = {"first": 0.7, "second": 0.3}
    waves = []
    for wave, of_large in share.items():
        group = np.where(rng.random(n) < of_large, "large", "small")
        trait = rng.random(n) < np.where(group == "large", 0.8, 0.2)
        treat = np.arange(n) % 2
        waves.append(pd.DataFrame({"wave": wave, "group": group, "treat": treat, "y": rng.binomial(3, 0.5, n) + trait * treat}))
    population = pd.DataFrame({"group": ["large", "small"], "N": [500, 500]})
    study = study_of(pd.concat(waves, ignore_index=True), population=population)
    tree = fit(study, trait="1 + group * wave", control="1 + group + wave", **PLAIN)

    raw = change_in_means(study, "first", "second").iloc[0]
    assert raw["se"] == pytest.approx(0.019, abs=0.001)
    assert raw["estimate"] == pytest.approx(-0.24, abs=3 * raw["se"])
    assert raw["upper"] < 0

    fixed = change(tree, "first", "second")["change"]
    row = summarise(fixed).iloc[0]
    assert abs(row["mean"]) < 3 * row["sd"] < 0.07
    assert row["lower"] < 0 < row["upper"]
    assert 0.01 < change_summary(fixed)["p_decline"].item() < 0.99

    own = change(tree, "first", "second", population="sample")
    parts = {name: summarise(own[name]).iloc[0] for name in ("change", "rate", "composition")}
    assert parts["change"]["upper"] < 0
    assert parts["rate"]["lower"] < 0 < parts["rate"]["upper"]
    # the shares of the groups in the sample, 0.7 and 0.3, are known to 0.005 and multiply a difference of 0.6 in support
    assert parts["composition"]["mean"] == pytest.approx(-0.24, abs=3 * parts["composition"]["sd"] + 3 * 0.6 * 0.005)
    assert parts["composition"]["mean"] / parts["change"]["mean"] > 0.8

    standard = poststratified_change(study, "first", "second", cells="group").iloc[0]
    assert abs(standard["estimate"]) < 3 * standard["se"] < 0.07
    assert standard["lower"] < 0 < standard["upper"]


# In the report


@pytest.fixture(scope="module")
def survey(study, tree):
    events = [(date(2022, 9, 21), "mobilisation")]
    return Survey(study, tree, "Title", ["sex", "region"], (WAVES[0], WAVES[2]), delta=0.1, rope=0.02, events=events,
                  printed=[Printed(date(2022, 11, 20), 0.35, "published")])


def tables(section):
    return {block.name: block for block in section.blocks if block.kind == "table"}


def test_the_course_over_the_waves(survey, tree):
    section = course_section(survey)
    found = tables(section)
    assert list(found) == ["course", "course-changes", "course-largest-drop", "ranks-region"]
    assert found["course"].frame["wave"].tolist() == list(WAVES)
    steps = found["course-changes"].frame
    assert steps["gap"].tolist() == ["2022-09 to 2022-11", "2022-11 to 2023-05", "2022-09 to 2023-05"]
    for _, row in steps.iterrows():
        moved = change(tree, *row["gap"].split(" to "))["change"]
        assert row["p_decline_delta"] == pytest.approx(float((moved <= -0.1).mean()))
        assert row["median"] == pytest.approx(float(moved.median()))
    assert "smoothed" in section.lead
    picture = next(block for block in section.blocks if block.kind == "figure")
    assert "2022-09-21: mobilisation" in picture.svg
    assert "published" in picture.svg


def test_the_methods_paragraph_says_how_change_is_computed(tree):
    text, entries = methods_paragraph(tree), bibtex(tree)
    for name, key in (("Kitagawa 1955", "kitagawa_1955"), ("Holt & Smith 1979", "holt_smith_1979")):
        assert name in text
        assert key in entries


def test_differences_between_groups_are_in_the_section_on_change(survey):
    found = tables(change_section(survey))
    assert found["change-pairs-sex"].frame["pair"].isin(["f than m", "m than f"]).all()
    assert "P(decline of 10 points or more)" in [column.heading for column in found["change-all"].columns]
    standard = [name for name in found["change-all"].frame["quantity"] if "standardised" in name]
    assert standard == ["difference in means, standardised by sex (no model)"]  # in the west nobody was asked in the last wave


def test_a_group_that_a_wave_lacks_does_not_stop_the_report(tree):
    own = study_of(people())
    alone = tree.copy()
    del alone["population"]
    found = tables(change_section(Survey(own, alone, "Title", ["region"], (WAVES[0], WAVES[2]))))
    assert found["change-region"].note == "No change for west (nobody of the sample in wave '2023-05')."
    assert found["change-region"].frame["median"].isna().sum() == 1
    assert len(found["change-pairs-region"].frame) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [("delta = 20.0", r"line 8: \[report\] delta = 20.0: a share between 0 and 1"),
     ("rope = -0.1", r"line 8: \[report\] rope = -0.1"),
     ("delta = 'a'", r"line 8: \[report\] 'delta' must be of type float"),
     ('events = [{date = "in autumn", text = "x"}]', r"line 8: \[report\] events: each must be like \{ date = 2022-09-21"),
     ("events = [{date = 2022-09-21}]", r"line 8: \[report\] events"),
     ("events = [{date = 2022-09-21, text = 3}]", r"line 8: \[report\] events"),
     ('printed = [{date = "2022-11", share = 35, text = "x"}]', r"line 8: \[report\] printed: .*share between 0 and 1"),
     ('printed = [{date = "2022-11", share = 0.3, text = "x", lower = 0.4}]', r"line 8: \[report\] printed: lower, share and upper")],
)
def test_what_a_spec_says_of_changes_is_checked(tmp_path, line, message):
    text = f'[data]\nfile = "a.csv"\nanswer = "y"\narm = "t"\nJ = 3\n\n[report]\n{line}\n'
    with pytest.raises(InputError, match=message):
        spec_keys.validate(tmp_path / "a.toml", text, "survey", tomllib.loads(text))


@pytest.mark.parametrize(
    ("lines", "message"),
    [('[report]\ndates = ["2022-09", "2022-11"]', r"line 6: \[report\] dates: a single wave has no course"),
     ('[later]\n[[report.events]]\ndate = 2022-09-21\ntext = "x"', r"line 6: \[report\] events: events stand beside waves with dates"),
     ('[later]\n[report]\ndates = ["2022-09", "autumn"]', r"line 7: \[report\] dates = .*like \[\"2022-09\", \"2022-11\"\]")],
)
def test_dates_of_a_published_table_are_checked(tmp_path, lines, message):
    text = f'[data]\nfile = "a.csv"\nJ = 3\nN = 9\n{lines}\n'
    with pytest.raises(InputError, match=message):
        spec_keys.validate(tmp_path / "a.toml", text, "published", tomllib.loads(text))


def test_published_waves_stand_in_time_beside_what_was_printed():
    spec = read_spec(MODELS / "csto_published.toml")
    table, later = published_of(spec)
    rng = np.random.default_rng(1)
    posterior = {name: (("chain", "draw"), rng.normal(middle, 0.05, (2, 50))) for name, middle in
                 (("total_support", 0.5), ("support_later", 0.4))}
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(posterior)})
    days = spec_dates.dates_of(spec.path, spec.text, spec.tables)
    events = spec_dates.events_of(spec.path, spec.text, spec.table("report"))
    published = Published(table, [], tree, tree, "Title", "the item", later, dates=days, events=events)
    picture = course_of_published(published, later)[0].svg
    assert days == (date(2022, 9, 7), date(2022, 11, 15))
    assert all(f">{words}<" in picture for words in ("56", "35", "September 2022", "2022-09-21: Russia's partial mobilisation"))
    assert course_of_published(published._replace(dates=None), later) == []


def test_events_and_published_shares_of_a_spec():
    report = {"events": [{"date": "2023", "text": "b"}, {"date": date(2022, 9, 21), "text": "a"}],
              "printed": [{"date": "2022-11", "share": 0.35, "text": "c"}]}
    assert spec_dates.events_of("a", "", report) == [(date(2022, 9, 21), "a"), (date(2023, 7, 2), "b")]
    assert [day for day, _ in spec_dates.printed_of("a", "", report)] == [date(2022, 11, 15)]
    with pytest.raises(InputError, match="when the waves have dates"):
        figures.trajectory(drawn([[0.1, 0.2]], wave=["a", "b"]), printed=[Printed(date(2022, 9, 1), 0.3)])
