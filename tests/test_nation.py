"""The simulated nation: its frame, its truth, who is missing from its survey, and that weights, specs and seeds do what they say."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.priors import DEFAULTS
from bayes_listexp.simulate import CITIES, ITEM_SHARES, OTHER_REGIONS, OVERSAMPLE
from bayes_listexp.simulated_nation import (
    DATES,
    INTERVIEWED,
    LIST_REFUSED,
    REGIONS,
    TRAIT_SD,
    TRAIT_STEP,
    WEIGHT_NOISE,
    borders,
    cell_truth,
    facts_of,
    nation,
    population,
    spatial_field,
    true_changes,
    truth_of,
)
from bayes_listexp.spec import read_spec, study_of

N, WAVES = 20_000, 3


@pytest.fixture(scope="module")
def large():
    return nation(seed=4, n_per_wave=N, waves=WAVES)


def shares(frame, column, weight):
    sums = frame.groupby(column)[weight].sum()
    return sums / sums.sum()


def test_the_frame_has_every_cell_once_and_the_nations_make_up():
    frame = population()
    assert len(frame) == len(frame.drop_duplicates(["region", "ethnicity", "gender", "education"])) == 20 * 3 * 2 * 2
    assert set(frame["region"]) == {*CITIES, *OTHER_REGIONS}
    assert (frame["N"] > 0).all()
    for region, (thousands, kazakh, russian) in REGIONS.items():
        part = frame[frame["region"] == region]
        assert part["N"].sum() == pytest.approx(1000 * thousands, abs=6)  # 12 roundings of half a person
        assert shares(part, "ethnicity", "N").to_dict() == pytest.approx(
            {"Kazakh": kazakh, "Russian": russian, "other": 1 - kazakh - russian}, abs=1e-4
        )
    assert shares(frame, "ethnicity", "N").round(2).to_dict() == {"Kazakh": 0.70, "Russian": 0.17, "other": 0.13}


def test_every_region_has_neighbours_and_no_border_is_named_twice():
    assert {name for pair in borders() for name in pair} == set(REGIONS)
    assert len({frozenset(pair) for pair in borders()}) == len(borders())


def test_a_spatial_field_is_smooth_and_scaled():
    rng = np.random.default_rng(1)
    names = list(REGIONS)
    fields = np.array([spatial_field(names, borders(), rng) for _ in range(4000)])
    assert fields.sum(axis=1) == pytest.approx(np.zeros(4000), abs=1e-6)
    # 4000 draws give each variance to about 2 %, their geometric mean better
    assert np.exp(np.log(fields.var(axis=0)).mean()) == pytest.approx(1, rel=0.03)
    together = np.corrcoef(fields.T)
    beside = np.mean([together[names.index(a), names.index(b)] for a, b in borders()])
    assert beside > 0.3 > together.mean()


def test_the_truth_is_the_frames_mean_of_its_cells(large):
    cells = cell_truth(facts_of(seed=4, waves=WAVES))
    assert len(cells) == 240 * WAVES
    truth = large.truth.set_index(["wave", "group", "level"])["prevalence"]
    assert len(truth) == WAVES * (1 + 20 + 3 + 2 + 2 + 60)
    for wave, part in cells.groupby("wave"):
        assert truth[wave, "all", "all"] == pytest.approx(np.average(part["prevalence"], weights=part["N"]), rel=1e-12)
        for group in ("region", "ethnicity", "gender", "education"):
            for level, inside in part.groupby(group):
                expected = np.average(inside["prevalence"], weights=inside["N"])
                assert truth[wave, group, level] == pytest.approx(expected, rel=1e-12)
        inside = part[(part["region"] == "Almaty") & (part["ethnicity"] == "Russian")]
        expected = np.average(inside["prevalence"], weights=inside["N"])
        assert truth[wave, "region:ethnicity", "Almaty:Russian"] == pytest.approx(expected, rel=1e-12)


def test_true_changes(large):
    changes = true_changes(large.truth, "2022-11", "2022-09").set_index(["group", "level"])["change"]
    truth = large.truth.set_index(["group", "level", "wave"])["prevalence"]
    assert len(changes) == 88
    for key in (("all", "all"), ("region", "Ulytau"), ("region:ethnicity", "Abai:other")):
        assert changes[key] == pytest.approx(truth[*key, "2022-09"] - truth[*key, "2022-11"], abs=1e-15)
    with pytest.raises(InputError, match="there is no wave '2021-01'; the waves are: 2022-09, 2022-11, 2023-03"):
        true_changes(large.truth, "2022-09", "2021-01")


def test_refusals_differ_by_education_and_not_by_arm(large):
    survey = large.survey.assign(refused=large.survey["answer"].isna())
    assert survey.groupby(["wave", "arm"]).size().eq(N / 2).all()
    by = survey.groupby(["education", "arm"])["refused"].agg(["mean", "size"]).reset_index()
    for row in by.itertuples():
        rate = LIST_REFUSED[row.education]
        assert row.mean == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / row.size))
    assert by.groupby("education")["mean"].mean().diff().abs().iloc[-1] > 0.05


def test_who_is_interviewed_differs_by_education_and_region(large):
    frame, survey = large.population, large.survey
    found = shares(survey.assign(one=1), "region", "one")
    asked = shares(frame.assign(N=frame["N"] * frame["education"].map(INTERVIEWED)), "region", "N")
    higher = {r: part["education"].eq("higher").mean() for r, part in survey.groupby("region")}
    for region in ("Almaty", "Ulytau"):
        part = frame[frame["region"] == region]
        expected = shares(part.assign(N=part["N"] * part["education"].map(INTERVIEWED)), "education", "N")["higher"]
        n = (survey["region"] == region).sum()
        assert higher[region] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
        assert expected > shares(part, "education", "N")["higher"] + 0.05
    assert found["Almaty"] / asked["Almaty"] > 2
    assert found["Zhambyl"] / asked["Zhambyl"] < 0.8


def test_weights_reproduce_the_frame(large):
    survey, frame = large.survey, large.population
    assert survey.groupby("wave")["weight"].mean().to_numpy() == pytest.approx(np.ones(WAVES))
    for column in ("region", "ethnicity", "gender", "education"):
        weighted, known = shares(survey, column, "weight"), shares(frame, column, "N")
        # participation by education is known with an error of 10 % in each of 3 waves, which moves the share of the higher
        # educated by 0.25 sqrt(2) 0.1 / sqrt(3); other columns move only by what goes with education; sampling adds 0.003
        slack = 3 * 0.25 * 2**0.5 * WEIGHT_NOISE / 3**0.5 if column == "education" else 0.01
        assert np.abs(weighted - known[weighted.index]).max() < slack
    plain = shares(survey.assign(one=1), "region", "one") - shares(frame, "region", "N")
    assert plain.loc[list(OVERSAMPLE)].min() > 0.1


def test_answers_differ_between_arms_by_the_prevalence(large):
    """Ratio of inclusion probabilities is known, so the weighted difference is within its error of the weighted truth."""
    facts = facts_of(seed=4, waves=WAVES)
    known = cell_truth(facts)
    survey = large.survey.merge(known.drop(columns="N")).dropna()
    means = survey.groupby(["wave", "arm"])["answer"].agg(["mean", "var", "size"])
    for wave, part in survey.groupby("wave"):
        control, treatment = means.loc[(wave, "control")], means.loc[(wave, "treatment")]
        error = np.sqrt(control["var"] / control["size"] + treatment["var"] / treatment["size"])
        assert treatment["mean"] - control["mean"] == pytest.approx(part["prevalence"].mean(), abs=4 * error)
        assert control["mean"] == pytest.approx(sum(ITEM_SHARES.values()), abs=0.6)


def test_a_seed_is_a_nation_and_a_sample_of_it():
    one, again, other = (nation(seed=seed, n_per_wave=50, waves=2) for seed in (7, 7, 8))
    pd.testing.assert_frame_equal(one.survey, again.survey)
    pd.testing.assert_frame_equal(one.truth, again.truth)
    assert not one.survey["answer"].equals(other.survey["answer"])
    assert (one.truth["prevalence"] != other.truth["prevalence"]).all()
    larger = nation(seed=7, n_per_wave=60, waves=2)
    pd.testing.assert_frame_equal(one.truth, larger.truth)
    assert one.survey["id"].is_unique


def test_effects_vary_over_nations_as_stated():
    """Ethnicity's effects by their variance over nations, on the logit: 150 nations give it within a third."""
    frame, found = population(), []
    for seed in range(150):
        facts = facts_of(seed=seed, waves=1)
        of_gender = [facts.trait[(frame["gender"] == gender).to_numpy(), 0].mean() for gender in ("female", "male")]
        of_ethnicity = [facts.trait[(frame["ethnicity"] == e).to_numpy(), 0].mean() for e in ("Kazakh", "Russian")]
        found.append((np.diff(of_gender)[0], np.diff(of_ethnicity)[0]))
    gender, ethnicity = np.array(found).T
    assert gender.std() == pytest.approx(TRAIT_SD["gender"], rel=0.25)
    assert ethnicity.std() == pytest.approx(np.sqrt(2) * np.hypot(TRAIT_SD["ethnicity"], TRAIT_SD["region:ethnicity"] / 20**0.5), rel=0.25)


def test_waves_have_dates():
    assert len(set(DATES)) == len(DATES)
    assert list(DATES) == sorted(DATES)
    assert nation(n_per_wave=20, waves=1).survey["wave"].unique().tolist() == ["2022-09"]
    with pytest.raises(InputError, match="waves = 11 from the first = 1: the simulated nation has 1 to 10 waves"):
        nation(n_per_wave=20, waves=11)


def test_a_spec_reads_it(tmp_path):
    text = """\
title = "A nation"

[data]
simulated = "nation"
simulation = { seed = 3, n_per_wave = 100, waves = 3 }
answer = "answer"
arm = "arm"
J = 4
wave = "wave"
weights = "weight"
ids = "id"

[model]
trait = "1 + gender + education + (1|region) + (1|ethnicity)"
control = "1 + gender + education + (1|region)"

[report]
by = ["region"]
"""
    (tmp_path / "nation.toml").write_text(text, encoding="utf-8")
    study, simulated = study_of(read_spec(tmp_path / "nation.toml"))
    expected = nation(seed=3, n_per_wave=100, waves=3)
    pd.testing.assert_frame_equal(simulated.truth, truth_of(facts_of(seed=3, waves=3)))
    assert study.waves == ("2022-09", "2022-11", "2023-03")
    assert study.synthetic
    assert study.weighted
    assert study.n == expected.survey["answer"].notna().sum()
    assert study.covariates == ("region", "ethnicity", "gender", "education", "wave")
    (tmp_path / "odd.toml").write_text(text.replace("waves = 3", "days = 3"), encoding="utf-8")
    with pytest.raises(InputError, match="'days' is not a setting of the simulation; there are: seed, n_per_wave, waves"):
        study_of(read_spec(tmp_path / "odd.toml"))


def test_nations_move_as_the_default_priors_expect():
    """A walk's typical standard deviation over the waves, with the scale of a step, is the scale of the prior's."""
    months = np.array([12 * int(date[:4]) + int(date[5:]) for date in DATES[:6]]) / 12
    centre = np.eye(6) - 1 / 6
    walk = centre @ np.minimum.outer(months - months[0], months - months[0]) @ centre
    typical = np.exp(np.log(np.diag(walk)).mean() / 2)
    for name, prior in (("national", "trait_sd"), ("region", "interaction_sd"), ("ethnicity", "interaction_sd")):
        assert TRAIT_STEP[name] * typical == pytest.approx(DEFAULTS[prior].arguments[0], rel=0.01)


def test_a_nation_at_pace_0_stands_still():
    still = facts_of(seed=4, waves=WAVES, pace=0).trait
    assert still == pytest.approx(np.repeat(still[:, :1], WAVES, axis=1))
    with pytest.raises(InputError, match="pace = -1"):
        facts_of(seed=4, pace=-1)
