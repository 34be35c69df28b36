"""How far groups are pooled and what their answers are worth, and waves that are known from a publication alone."""

import numpy as np
import pandas as pd
import pytest

import bayes_listexp as ble
from bayes_listexp import report_text, stored
from bayes_listexp.errors import InputError
from bayes_listexp.margins import KnownPrevalence
from bayes_listexp.model import build_model
from bayes_listexp.published.list_moments import usual_difference_se
from bayes_listexp.published.table import parse_published
from bayes_listexp.sampling import compile_density
from bayes_listexp.specification import Specification, blueprint

REGIONS = {"large": 4000, "middle": 300, "small": 40}
PRINTED = """group,level,share,mean_control,mean_treatment,support
all,all,100 %,2.76,3.32,56 %
gender,male,45 %,2.62,3.49,87 %
gender,female,55 %,2.87,3.17,30 %
"""


def people(sizes=REGIONS, seed=1, prevalence=0.4):
    rng = np.random.default_rng(seed)
    region = np.repeat(list(sizes), list(sizes.values()))
    n = len(region)
    treat = np.arange(n) % 2
    y = rng.binomial(3, 0.5, n) + treat * (rng.random(n) < prevalence)
    return pd.DataFrame({"y": y, "treat": treat, "region": region})


@pytest.fixture(scope="module")
def pooled():
    frame = pd.DataFrame({"region": [*REGIONS, "never asked"], "N": [1, 1, 1, 1]})
    study = ble.ListExperiment.from_frame(people(), answer="y", arm="treat", J=3, population=frame)
    return ble.fit(study, trait="1 + (1|region)", control="1", counts="binomial", dependence="none", method="map")


def test_the_fewer_respondents_the_more_pooling(pooled):
    table = ble.pooling(pooled, by="region").set_index("region")
    assert table["n"].to_dict() == {**REGIONS, "never asked": 0}
    assert table["pooling"].between(0, 1).all()
    order = table.loc[["large", "middle", "small", "never asked"], "pooling"].to_numpy()
    assert (np.diff(order) > 0).all()
    # Nothing is known of a region that nobody was asked in: its effect has the variance of its prior given the sd. The posterior
    # variance is that of 1,000 draws, whose standard error is 4.5 %.
    assert order[-1] > 0.85


def test_what_answers_are_worth(pooled):
    table = ble.pooling(pooled, by="region").set_index("region")
    draws = ble.prevalence(pooled, by="region")
    p, variance = draws.mean(("chain", "draw")).to_series(), draws.var(("chain", "draw"), ddof=1).to_series()
    np.testing.assert_allclose(table["worth"], (p * (1 - p) / variance)[table.index])
    # A list is worth far fewer direct answers than it has respondents (by differences in means of public lists, 14 to 27 times
    # fewer; the model's likelihood says somewhat more).
    assert 4 < REGIONS["large"] / table.loc["large", "worth"] < 30


def test_groups_without_effects_of_their_own_have_no_pooling_factor(pooled):
    frame = people().assign(sex=np.tile(["f", "m"], 2170))
    study = ble.ListExperiment.from_frame(frame, answer="y", arm="treat", J=3)
    tree = ble.fit(study, trait="1 + sex + (1|region)", control="1", counts="binomial", dependence="none", method="map")
    assert ble.pooling(tree, by="sex")["pooling"].isna().all()
    both = ble.pooling(tree, by=["sex", "region"])
    assert both["n"].sum() == len(frame)
    with pytest.raises(InputError, match="name the columns whose groups are meant"):
        ble.pooling(tree, by=())


# Words


def test_the_methods_paragraph_says_how_effects_hang_together(pooled):
    said = report_text.methods_paragraph(pooled)
    assert "Group-specific effects of region are exchangeable; effects are deviations" in said
    frame = people().assign(wave=np.resize(["2022-09", "2022-11", "2023-05"], 4340))
    study = ble.ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, wave="wave")
    tree = ble.fit(study, trait="1 + (1|rw1(wave)) + (1|bym2(region))", control="1", counts="binomial", dependence="none",
                   neighbours={"region": [("large", "middle")]}, method="map")  # fmt: skip
    said, cited = report_text.methods_paragraph(tree), report_text.bibtex(tree)
    for words in ("effects of wave (on the prevalence) follow a first-order random walk in real time (Rue & Held 2005)",
                  "(Riebler et al. 2016)", "Sørbye & Rue 2014", "small without neighbours has exchangeable effects"):  # fmt: skip
        assert words in said
    for key in ("rue_held_2005", "riebler_2016", "sorbye_rue_2014"):
        assert f"{{{key}," in cited
    assert "besag_york_mollie_1991" not in cited
    assert {"group_mix", "trait_sd"} <= {name for name, _ in report_text.priors_used(tree)}
    meanings = ble.contraction(tree)["meaning"].tolist()
    assert "the neighbours' share in the variance of the effects of region on the prevalence" in meanings


# Waves known from elsewhere


def three_waves():
    frame = people({"north": 700, "south": 700}).assign(wave="2023-03", gender=np.resize(["male", "female"], 1400))
    frame["y"] = frame["y"].astype(float)
    population = pd.DataFrame({"gender": ["male", "female"], "N": [48, 52]})
    study = ble.ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, wave="wave", population=population,
                                          covariates=["gender"])  # fmt: skip
    return study.with_waves(["2022-09", "2022-11", "2023-03"])


def table():
    return parse_published(PRINTED, J=4, N=400, name="printed")


def test_a_published_table_is_a_margin_with_the_standard_error_of_its_means():
    (total,) = ble.published_margins(table(), wave={"wave": "2022-09"})
    assert total.group == {"wave": "2022-09"}
    assert total.share == pytest.approx(0.56)
    # rounding: each of two means is off by up to .005, uniformly
    assert total.se == pytest.approx(np.hypot(usual_difference_se(2.76, 0.56, 4, (200, 200)), 0.01 / np.sqrt(3)))
    men, women, later = ble.published_margins(
        table(), wave={"wave": "2022-09"}, variable="gender", later=ble.PublishedSupport("35 %", N=(350, 1500), label="2022-11")
    )
    assert men.group == {"wave": "2022-09", "gender": "male"}
    assert women.share == pytest.approx(0.30)
    assert men.se > total.se
    assert later.group == {"wave": "2022-11"}
    assert later.se == pytest.approx(np.hypot(usual_difference_se(2.76, 0.35, 4, (175, 175)), 0.005 / np.sqrt(3)))
    with pytest.raises(InputError, match="has no variable 'region'; it has: gender"):
        ble.published_margins(table(), wave={"wave": "2022-09"}, variable="region")


def test_a_wave_without_respondents_has_what_its_margin_says():
    """With a wide walk each wave stands for itself: the published one has its margin's share and standard error."""
    study = three_waves()
    known = KnownPrevalence(group={"wave": "2022-09"}, share=0.6, se=0.05, population="frame")
    tree = ble.fit(study, trait="1 + (1|rw1(wave))", control="1", counts="binomial", dependence="none", margins=[known],
                   priors={"trait_wave_sd": "LogNormal(1.5, 0.05)"}, method="map")  # fmt: skip
    rows = ble.summarise(ble.prevalence(tree, by="wave")).set_index("wave")
    assert rows.loc["2022-09", "mean"] == pytest.approx(0.6, abs=0.01)
    assert rows.loc["2022-09", "sd"] == pytest.approx(0.05, abs=0.006)
    assert rows.loc["2022-11", "sd"] > 2 * rows.loc["2022-09", "sd"]  # known by nobody
    moved = ble.change(tree, "2022-09", "2023-03")["change"]
    assert float(moved.mean()) == pytest.approx(rows.loc["2023-03", "mean"] - rows.loc["2022-09", "mean"])
    assert stored.blueprint_of(tree).designs["trait"].groups[0].sampled.tolist() == [True, False, True]


def test_a_margin_may_be_about_people_of_its_own():
    study = three_waves()
    frame = pd.DataFrame({"gender": ["male", "female"], "N": [1, 0]})
    margins = [KnownPrevalence(group={"wave": "2022-09"}, share=0.6, se=0.05, population=people) for people in ("frame", frame)]
    for margin, shares in zip(margins, ([0.48, 0.52], [1, 0]), strict=True):
        (bound,) = blueprint(study, Specification(trait="1 + gender + (1|rw1(wave))", margins=[margin])).margins
        mass = pd.Series(bound.shares).groupby([bound.frame["wave"], bound.frame["gender"]]).sum()
        np.testing.assert_allclose(mass["2022-09"][["male", "female"]], shares)
    tree = ble.fit(study, trait="1 + gender + (1|rw1(wave))", control="1", counts="binomial", dependence="none", margins=margins[1:],
                   method="map")  # fmt: skip
    assert stored.fact(tree, "specification")["margins"][0]["population"].startswith("a frame of 2 cells, sha256 ")


def test_all_waves_of_respondents_are_named():
    study = three_waves()
    assert study.waves == ("2022-09", "2022-11", "2023-03")
    assert study.interviewed == ("2023-03",)
    with pytest.raises(InputError, match=r"every wave of the respondents must be named once, in order; they are: "):
        study.with_waves(["2022-09"])
    with pytest.raises(InputError, match="named once"):
        study.with_waves(["2022-09", "2022-09", "2022-11", "2023-03"])
    with pytest.raises(InputError, match="the study has no wave column"):
        ble.ListExperiment.from_frame(people(), answer="y", arm="treat", J=3).with_waves(["a"])


def test_models_of_many_terms_are_interpreted():
    """A sum of more than 32 terms cannot be one interpreted addition."""
    rng = np.random.default_rng(3)
    names = [f"x{i}" for i in range(10)]
    frame = people({"north": 60, "south": 60}).assign(**{name: rng.choice(["a", "b"], 120) for name in names})
    study = ble.ListExperiment.from_frame(frame, answer="y", arm="treat", J=3)
    terms = " + ".join(["1", *(f"(1|{name})" for name in names)])
    model = build_model(blueprint(study, Specification(trait=terms, control=terms, counts="binomial", dependence="none")))
    density = compile_density(model, mode="FAST_COMPILE")
    assert len(model.basic_RVs) > 32
    value, gradient = density.function(density.start)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
