"""Surveys drawn from a population: their answers fit the enumerated model, their truth is what was asked for, their design holds."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import chisquare

import oracle
from bayes_listexp import (
    DirectQuestion,
    Endorsement,
    InputError,
    ItemAnswers,
    Outcome,
    Questionnaire,
    RandomisedResponse,
    Refusals,
    Sampling,
    SecondList,
    Specification,
    frames_by_wave,
    responses,
    shares_as_frame,
    simulate_survey,
    simulate_surveys,
)
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.simulate.template import template

J = 3
PEOPLE = shares_as_frame({"gender": {"female": 0.55, "male": 0.45}, "region": {"north": 0.3, "south": 0.5, "west": 0.2}})
LIST = {"trait_intercept": -0.4, "control_intercept": 0.3, "control_shift": 0.6}
SHAPES = {"softmax": {"control_shape": [0.5, -0.3]}, "binomial": {}, "beta_binomial": {"control_overdispersion": 0.2},
          "com_binomial": {"control_dispersion": 1.4}, "poisson_binomial": {"control_item": [-1.2, 0.2, 1.0]}}
LAPSES = {"floor": 0.3, "ceiling": 0.4, "top": 0.1, "bottom": 0.15, "careless": 0.12, "deflation": 0.25, "random_control": 0.1,
          "random_treatment": 0.2}
SURE = 1e-4
"""Seeds are fixed, and of some 50 tests of fit one in 200 runs of all would fail at this level if they were not."""


def lapses_of(response):
    return {name: LAPSES[name] for name in responses.lapses(response)}


def offsets(counts, basis):
    """The oracle's parameter of a family."""
    values = SHAPES[counts]
    if counts == "softmax":
        return list(np.array(values["control_shape"]) @ basis)
    return next(iter(values.values()), None)


@pytest.mark.parametrize("counts", FAMILIES)
@pytest.mark.parametrize("response", responses.names())
def test_answers_fit_the_enumerated_model(response, counts):
    specification = Specification(response=response, counts=counts)
    asks, n = Questionnaire(J=J), 60_000
    truth = LIST | SHAPES[counts] | {"lapses": lapses_of(response)}
    survey = simulate_survey(PEOPLE, specification, Sampling(n=n), truth, asks=asks, seed=5).survey
    basis = shape_basis(template(PEOPLE, asks, specification, placebo=False).plan.cells.control_counts)
    pmfs = tuple(oracle.count_pmf(counts, 0.3 + 0.6 * trait, offsets(counts, basis), J) for trait in (0, 1))
    for arm, treated in (("control", 0), ("treatment", 1)):
        pmf = oracle.answer_pmf(response, treated, J, prevalence=expit(-0.4), pmfs=pmfs, q=lapses_of(response))
        said = survey.loc[survey["arm"] == arm, "answer"].astype(int)
        found = np.bincount(said, minlength=J + 1 + treated)
        assert chisquare(found, np.array(pmf) * len(said)).pvalue > SURE


@pytest.mark.parametrize("dependence", ["linear", "smooth", "free", "saturated"])
def test_prevalence_is_met_under_any_dependence(dependence):
    drawn = simulate_survey(PEOPLE, Specification("1 + gender", dependence=dependence), Sampling(n=40_000),
                            {"prevalence": {"gender": {"male": 0.4, "female": 0.2}}}, seed=2)
    truth = drawn.truth.set_index("level")["prevalence"]
    assert truth[["male", "female"]].to_numpy() == pytest.approx([0.4, 0.2], abs=1e-6)
    assert truth["all"] == pytest.approx(0.55 * 0.2 + 0.45 * 0.4, abs=1e-6)
    for gender, share in (("male", 0.4), ("female", 0.2)):
        theirs = drawn.people["trait"][drawn.survey["gender"] == gender]
        assert theirs.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(theirs)))


def test_items_are_as_popular_as_asked_for():
    shares = np.array([0.9, 0.6, 0.25])
    for counts in ("poisson_binomial", "softmax"):
        drawn = simulate_survey(PEOPLE, Specification("1 + region", counts=counts), Sampling(n=40_000), {"items": shares.tolist()},
                                asks=Questionnaire(J=J), seed=3)
        pmf = oracle.count_pmf("poisson_binomial", 0.0, list(logit(shares)), J)
        if counts == "softmax":  # the distribution of the whole population is that of independent items
            found = np.bincount(drawn.people["count"], minlength=J + 1)
            assert chisquare(found, np.array(pmf) * found.sum()).pvalue > SURE
        mean = drawn.people["count"].mean()
        assert mean == pytest.approx(shares.sum(), abs=4 * drawn.people["count"].std() / np.sqrt(40_000))


def test_items_answered_one_by_one_have_their_popularity():
    shares = [0.9, 0.6, 0.25]
    asks = Questionnaire(J=J, instruments=(ItemAnswers(("z1", "z2", "z3")),))
    drawn = simulate_survey(PEOPLE, Specification("1 + gender", counts="poisson_binomial", dependence="shift"), Sampling(n=40_000),
                            {"items": shares}, asks=asks, seed=3)
    for column, share in zip(("z1", "z2", "z3"), shares, strict=True):
        assert drawn.survey[column].mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))
    assert drawn.study.n == 40_000
    assert drawn.survey.loc[drawn.survey["arm"] == "control", "answer"].isna().all()


INSTRUMENTS = {
    "direct": DirectQuestion("d", yes="yes", no=["no", "never"], refused="refused", lies="two_sided"),
    "randomised": RandomisedResponse("r", 0.7, 0.15, yes="ja", no="nein"),
    "second": SecondList("y2", "t2", 2, arms=("short", "long"), counts="binomial", response="top_coded"),
    "endorsement": Endorsement(("a1", "a2"), "e", levels=("low", "middle", "high")),
    "bernoulli": Outcome("o", "bernoulli", levels=("no", "yes")),
    "ordinal": Outcome("o", "ordinal", levels=("low", "middle", "high")),
    "gaussian": Outcome("o", "gaussian", center=50.0, scale=10.0),
    "negative_binomial": Outcome("o", "negative_binomial"),
}


@pytest.mark.parametrize("kind", INSTRUMENTS)
def test_what_instruments_observe_is_written_and_read_again(kind):
    instrument = INSTRUMENTS[kind]
    asks = Questionnaire(J=J, instruments=(instrument,))
    sampling = Sampling(n=400, asked={instrument.name: 0.75})
    drawn = simulate_survey(PEOPLE, Specification("1 + gender", counts="binomial"), sampling, asks=asks, seed=4)
    assert set(instrument.columns) <= set(drawn.survey.columns)
    study = drawn.study
    observed = [name for name in study.observed if name.startswith(f"_{instrument.name}")]
    assert study.table[observed].notna().all(axis=1).sum() == 300
    assert study.covariates == ("gender", "region")


def test_people_with_and_without_the_trait_answer_directly_as_they_should():
    truth = {"prevalence": 0.3, "direct_lie_intercept": -0.8, "direct_lie_count": 0.0, "direct_refusal_intercept": -2.0,
             "direct_refusal_trait": 1.0}
    asks = Questionnaire(J=J, instruments=(DirectQuestion("d", yes="yes", no="no", refused="refused"),))
    drawn = simulate_survey(PEOPLE, Specification(), Sampling(n=40_000), truth, asks=asks, seed=6)
    for trait, refuses, lies in ((0, expit(-2.0), 1.0), (1, expit(-1.0), expit(-0.8))):
        theirs = drawn.survey["d"][drawn.people["trait"] == trait]
        wanted = {"refused": refuses, "no": (1 - refuses) * lies, "yes": (1 - refuses) * (1 - lies)}
        for answer, share in wanted.items():
            assert (theirs == answer).mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(theirs)) + 1e-12)


def test_every_wave_and_item_has_the_prevalence_asked_for():
    asks = Questionnaire(J=J, arms=("short", ["first", "second"]), waves=("2024-05", "2024-08"))
    drawn = simulate_survey(PEOPLE, Specification("1 + item", "1", dependence="none"), Sampling(n=900),
                            {"prevalence": {"wave": {"2024-05": 0.3}, "item": {"first": 0.25, "second": 0.5}}}, asks=asks, seed=1)
    truth = drawn.truth[drawn.truth["group"] == "all"].set_index(["item", "wave"])["prevalence"]
    assert truth.groupby("item").mean().to_dict() == pytest.approx({"first": 0.25, "second": 0.5}, abs=1e-6)
    assert truth.xs("2024-05", level="wave").mean() == pytest.approx(0.3, abs=1e-6)
    assert drawn.study.items == ("first", "second")
    assert drawn.survey["arm"].value_counts().to_dict() == {"short": 900, "first": 450, "second": 450}


def test_list_versions_have_their_own_items():
    asks = Questionnaire(J={"A": 3, "B": 2}, waves=("1", "2"))
    truth = {"items": {"A": [0.9, 0.5, 0.2], "B": [0.7, 0.4]}, "prevalence": 0.3}
    drawn = simulate_survey(PEOPLE, Specification(counts="poisson_binomial"), Sampling(n=10_000), truth, asks=asks, seed=8)
    for version, mean in (("A", 1.6), ("B", 1.1)):
        counts = drawn.people["count"][drawn.survey["version"] == version]
        assert counts.mean() == pytest.approx(mean, abs=4 * counts.std() / np.sqrt(len(counts)))
    assert drawn.study.lists == {"A": 3, "B": 2}
    own = Questionnaire(J={"1": 3, "2": 2}, waves=("1", "2"), names={"version": "wave"})
    study = simulate_survey(PEOPLE, Specification(counts="binomial"), Sampling(n=400), asks=own, seed=8).study
    assert study.version == "wave"
    assert study.lists == {"1": 3, "2": 2}


def test_effects_of_persons_and_clusters_are_in_the_truth():
    truth = {"prevalence": 0.15, "cluster_trait_sd": 1.2, "person_count_sd": 0.5, "person_trait_sd": 0.9}
    asks = Questionnaire(J=J, waves=("1", "2"))
    drawn = simulate_survey(PEOPLE, Specification(counts="binomial", person="both", dependence="none"),
                            Sampling(n=20_000, cluster_size=5, stay=0.5), truth | {"trait_slope": [0.0]}, asks=asks, seed=9)
    assert drawn.truth.loc[drawn.truth["group"] == "all", "prevalence"].to_numpy() == pytest.approx([0.15, 0.15], abs=1e-6)
    people = drawn.people
    between = people.groupby(drawn.survey["wave"] + drawn.survey["cluster"])["trait"].mean().std() / np.sqrt(4_000)
    assert people["trait"].mean() == pytest.approx(0.15, abs=4 * 2 * between)  # twice for the people who are in both waves
    assert people["person_trait"].std() == pytest.approx(np.hypot(1.2, 0.9), rel=0.05)
    again = people[people["id"].duplicated(keep=False)].sort_values(["id", "wave"])
    assert len(again) == 20_000
    assert again["person_count"].to_numpy()[::2] == pytest.approx(again["person_count"].to_numpy()[1::2])
    assert drawn.study.table["_person"].duplicated().any()


def test_oversamples_strata_and_weights():
    sampling = Sampling(n=20_000, oversample={"region": {"west": 0.5}}, participation={"gender": {"male": 0.4, "female": 0.8}},
                        strata=("region",), cluster_size=20)
    drawn = simulate_survey(PEOPLE, sampling=sampling, truth=LIST, seed=3)
    survey = drawn.survey
    assert survey["region"].value_counts(normalize=True).to_dict() == pytest.approx(
        {"west": 0.5, "south": 0.5 * 0.5 / 0.8, "north": 0.5 * 0.3 / 0.8}, abs=1e-4)
    male = (survey["gender"] == "male").mean()
    assert male == pytest.approx(0.45 * 0.4 / (0.45 * 0.4 + 0.55 * 0.8), abs=0.015)
    weighted = survey.groupby(["gender", "region"])["weight"].sum() / survey["weight"].sum()
    assert weighted.to_dict() == pytest.approx((PEOPLE.set_index(["gender", "region"])["N"] / PEOPLE["N"].sum()).to_dict(), abs=0.015)
    assert survey["weight"].mean() == pytest.approx(1, abs=1e-5)
    assert survey.groupby("cluster")["region"].nunique().max() == 1
    assert survey["cluster"].nunique() == 1000
    assert drawn.study.weighted


def test_refusals_go_by_covariates_arm_and_trait():
    refusals = Refusals(by={"gender": {"male": 0.1}}, treated_odds=2.0, trait_odds=3.0, missing={"region": 0.2})
    drawn = simulate_survey(PEOPLE, None, Sampling(n=40_000), {"prevalence": 0.4}, refusals=refusals, seed=4)
    survey = drawn.survey.assign(trait=drawn.people["trait"], refused=drawn.survey["answer"].isna())
    assert not survey.loc[survey["gender"] == "female", "refused"].any()
    men = survey[survey["gender"] == "male"]
    for (arm, trait), odds in {("control", 0): 1, ("control", 1): 1, ("treatment", 0): 2, ("treatment", 1): 6}.items():
        theirs = men.loc[(men["arm"] == arm) & (men["trait"] == trait), "refused"]
        share = odds / 9 / (1 + odds / 9)
        assert theirs.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(theirs)))
    assert survey["region"].isna().mean() == pytest.approx(0.2, abs=0.01)


def test_a_seed_is_a_survey_and_numbers_of_surveys_do_not_matter():
    one = simulate_survey(PEOPLE, truth=LIST | SHAPES["binomial"], specification=Specification(counts="binomial"), seed=7)
    many = list(simulate_surveys(PEOPLE, Specification(counts="binomial"), truth=LIST, seed=7, number=3))
    pd.testing.assert_frame_equal(one.survey, many[0].survey)
    assert not many[1].survey.equals(many[0].survey)
    other = simulate_survey(PEOPLE, Specification(counts="binomial"), truth=LIST, seed=8)
    assert not other.survey.equals(one.survey)
    assert not {"trait", "count", "prevalence"} & set(one.survey.columns)


def test_the_order_of_cells_and_the_unit_of_people_do_not_matter_to_the_truth():
    truth = {"prevalence": {"gender": {"male": 0.5, "female": 0.2}}, "trait_slope": [0.4, 0.1, 0.2]}
    with pytest.raises(InputError, match=r"no parameters of this model give these"):
        simulate_survey(PEOPLE, Specification("1 + gender + region"), truth=truth, seed=1)
    truth = {"prevalence": 0.3, "trait_slope": [0.4, 0.1, 0.2], "control_intercept": 0.0}
    for frame in (PEOPLE.iloc[::-1], PEOPLE.assign(N=PEOPLE["N"] / 1e6)):
        a, b = (simulate_survey(f, Specification("1 + gender + region", "1"), truth=truth, seed=1).truth for f in (PEOPLE, frame))
        merged = a.merge(b, on=["group", "level"])
        assert len(merged) == len(a)
        assert merged["prevalence_x"].to_numpy() == pytest.approx(merged["prevalence_y"], abs=1e-5)


def test_a_population_may_differ_by_wave():
    later = PEOPLE.assign(N=PEOPLE["N"] * np.where(PEOPLE["gender"] == "male", 1.5, 0.5))
    frame = frames_by_wave({"1": PEOPLE, "2": later})
    truth = {"prevalence": {"gender": {"male": 0.5, "female": 0.2}}}
    drawn = simulate_survey(frame, Specification("1 + gender"), Sampling(n=20_000), truth,
                            asks=Questionnaire(waves=("1", "2")), seed=1)
    men = drawn.survey.groupby("wave")["gender"].agg(lambda g: (g == "male").mean())
    assert men["2"] == pytest.approx(0.45 * 1.5 / (0.45 * 1.5 + 0.55 * 0.5), abs=0.015)
    assert set(drawn.truth["wave"]) == {"1", "2"}
    assert drawn.study.population is not None


@pytest.mark.parametrize(("settings", "message"), [
    ({"truth": {"prevalence": 1.2}}, r"prevalence of 'all', 'all' = 1\.2 must be a share"),
    ({"truth": {"prevalence": {"colour": {"red": 0.2}}}}, r"there is no column 'colour' in the population; it has: gender, region\."),
    ({"truth": {"prevalence": {"region": {"east": 0.2}}}}, r"nobody in the population has 'region' = 'east'; there are: north"),
    ({"truth": {"items": [0.2, 0.3]}}, r"items = \[0\.2, 0\.3\] must be 4 shares"),
    ({"truth": {"lapses": {"floor": 0.2}}}, r"lapses: 'floor' = 0\.2: .* none, under this response model"),
    ({"truth": {"shift": 0.2}}, r"parameters: 'shift' is not a parameter; there are: trait_intercept"),
    ({"truth": {"cluster_trait_sd": 0.2}}, r"need clusters: give sampling a cluster_size"),
    ({"sampling": {"n": 0}}, r"n = 0 must be a whole number"),
    ({"sampling": {"oversample": {"region": {"east": 0.2}}}}, r"oversample: column 'region' has no level 'east'"),
    ({"sampling": {"strata": ("town",)}}, r"strata: there is no column 'town'"),
    ({"sampling": {"asked": {"direct": 0.2}}}, r"asked: there is no instrument 'direct'"),
    ({"asks": {"instruments": (SecondList("y2", "arm", 3),)}}, r"column 'arm' is already a column of the survey"),
    ({"asks": {"instruments": (Endorsement("a", "e"),)}}, r"Name them from least to most support in `levels`"),
    ({"refusals": {"missing": {"town": 0.1}}}, r"missing: there is no column 'town'"),
], ids=str)  # fmt: skip
def test_faults_are_named(settings, message):
    kinds = {"sampling": Sampling, "asks": Questionnaire, "refusals": Refusals}
    given = {key: kinds[key](**value) if key in kinds else value for key, value in settings.items()}
    with pytest.raises(InputError, match=message):
        simulate_survey(PEOPLE, **given, seed=1)
