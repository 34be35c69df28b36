"""Respondents who lack a covariate, kept in the model: mixtures against enumeration, limits, and what is gained by keeping them."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import oracle
from bayes_listexp import (
    DirectQuestion,
    InputError,
    ListExperiment,
    Specification,
    difference_in_means,
    fit,
    loo,
    prevalence,
    realised_prevalence,
    render_report,
    report_text,
    stored,
    trait_probability,
)
from bayes_listexp.exclusions import MISSING_LEVEL, kept
from bayes_listexp.incomplete import candidates, level_shares
from bayes_listexp.model import build_model
from bayes_listexp.prediction import parameter_names
from bayes_listexp.predictive import log_likelihood, patterns, trait_given_answer
from bayes_listexp.report import tables_of
from bayes_listexp.spec import read_spec
from bayes_listexp.spec import study_of as study_of_spec
from bayes_listexp.specification import blueprint
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from combinations import direct

J = 3
LEVELS = {"sex": ("f", "m"), "eth": ("K", "R", "U"), "wave": ("1", "2")}
COEFFICIENTS = {"trait": (-0.4, {"sex": (0.0, 0.5), "eth": (0.0, 0.9, -0.7), "wave": (0.0, 0.3)}),
                "control": (0.2, {"sex": (0.0, -0.3), "eth": (0.0, 0.4, 0.1), "wave": (0.0, 0.1)})}
SHIFT, LIE, LIE_COUNT = 0.25, -0.8, 0.3
ADDITIVE = Specification(trait="sex + eth + wave", counts="binomial")


def people(n, seed, holes=0.15):
    """A survey whose answers mean nothing, with holes in sex and ethnicity, both of which some lack."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.choice(levels, n) for name, levels in LEVELS.items()})
    frame["t"] = rng.integers(0, 2, n)
    frame["y"] = rng.integers(0, J + 1 + frame["t"])
    frame["d"] = np.where(rng.random(n) < 0.3, None, rng.integers(0, 2, n))
    for name in ("sex", "eth"):
        frame[name] = frame[name].where(rng.random(n) >= holes)
    return frame


def study_of(frame, missing="model", **more):
    names = [name for name in ("sex", "eth", "wave", "age") if name in frame]
    roles = {"answer": "y", "arm": "t", "J": J, "wave": "wave", "covariates": names, "missing": missing}
    return ListExperiment.from_frame(frame, **roles | more)


def predictor(name, row):
    """A linear predictor in plain numbers."""
    start, effects = COEFFICIENTS[name]
    return start + sum(effects[c][LEVELS[c].index(row[c])] for c in LEVELS)


def parameters(plan):
    """The coefficients above as the parameters of the plan, whose columns are centred: one draw of a posterior."""
    values = {"control_shift": SHIFT, "direct_lie_intercept": LIE, "direct_lie_count": LIE_COUNT}
    for name, (start, effects) in COEFFICIENTS.items():
        bound = plan.designs[name]
        slopes = np.array([effects[c][i] for c in LEVELS if c in bound.like for i in range(1, len(LEVELS[c]))])
        values |= {f"{name}_intercept": start + bound.center @ slopes, f"{name}_slope": slopes * bound.scale}
    known = {k: np.asarray(values[k], dtype=float)[None, None] for k in parameter_names(plan)}
    dims = {k: ("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim - 2))) for k, v in known.items()}
    return xr.Dataset({k: (dims[k], v) for k, v in known.items()}, coords={"chain": [0], "draw": [0]})


def told(row, arm, answer, said):
    """P(trait, answer, direct answer | covariates), by adding up the people with each count, (trait,)."""
    out = [0.0, 0.0]
    for trait, count in product((0, 1), range(J + 1)):
        chance = oracle.sigmoid(predictor("trait", row))
        pmf = oracle.count_pmf("binomial", predictor("control", row) + SHIFT * trait, None, J)
        lists = 1.0 if answer < 0 else oracle.said("truthful", count, trait, arm, J, {})[answer]
        p = {"direct_lie_intercept": LIE, "direct_lie_count": LIE_COUNT}
        out[trait] += (chance if trait else 1 - chance) * pmf[count] * lists * direct(said, trait, count, arm, p)
    return np.array(out)


def enumerated(plan, table):
    """P(trait, all that was observed) of each pattern, (pattern, trait): of incomplete respondents the mixture over levels."""
    seen, frame = patterns(plan), plan.cells.frame
    incomplete, first = plan.cells.incomplete, int((patterns(plan).cell >= 0).sum())
    out = []
    for i in range(len(seen.n)):
        said = seen.observed["_direct"][i] if seen.observed else np.nan
        what = (int(seen.arm[i] == 1), int(seen.answer[i]), None if np.isnan(said) else int(said))
        if i < first:
            out.append(told(frame.iloc[seen.cell[i]], *what))
        else:
            places = zip(incomplete.cell[i - first], incomplete.probability[i - first], strict=True)  # the rest has probability 0
            out.append(sum(p * told(frame.iloc[cell], *what) for cell, p in places))
    return np.array(out)


INSTRUMENTS = {"list": {}, "direct": {"instruments": [DirectQuestion("d", lies="one_sided")]}}


@pytest.fixture(params=INSTRUMENTS)
def plan(request):
    frame = people(300, 3)
    frame.loc[(frame["d"] == 1) & (frame["t"] == 1), "y"] = 2  # nobody says yes and 0 items
    study = study_of(frame, **INSTRUMENTS[request.param])
    return blueprint(study, ADDITIVE)


def test_the_likelihood_is_the_mixture_over_levels(plan):
    posterior = parameters(plan)
    truth = enumerated(plan, plan.cells.frame)
    np.testing.assert_allclose(np.exp(log_likelihood(plan, posterior)[0, 0]), truth.sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(trait_given_answer(plan, posterior)[0, 0], truth[:, 1] / truth.sum(axis=1), rtol=1e-10, atol=1e-200)
    model = build_model(plan)
    point = {k: v[0, 0] for k, v in posterior.items()}
    by_hand = float(patterns(plan).n @ np.log(truth.sum(axis=1)))
    at = {name: point.get(name, value) for name, value in model.initial_point().items()}
    for variable in model.free_RVs:  # parameters may be free on another scale
        transform = model.rvs_to_transforms[variable]
        if transform is not None:
            value = transform.forward(point[variable.name], *variable.owner.inputs)
            at[model.rvs_to_values[variable].name] = value.eval(mode="FAST_COMPILE")
    compiled = model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")
    assert float(compiled(at)) == pytest.approx(by_hand, rel=1e-10)


def test_everybody_is_counted_once(plan):
    assert patterns(plan).n.sum() == 300
    assert plan.cells.n.sum() == pytest.approx(300)
    assert plan.cells.weight.sum() == pytest.approx(300)
    assert plan.cells.incomplete.probability.sum(axis=1) == pytest.approx(1)
    assert plan.cells.incomplete.candidate.shape[1] == 6  # those who lack both


def test_missing_is_counted_by_arm_and_kept():
    frame = people(300, 3)
    counted = study_of(frame).cells(["sex", "eth", "wave"]).exclusions
    dropped = study_of(frame, "drop").cells(["sex", "eth", "wave"]).exclusions
    assert counted["reason"].tolist() == ["covariate missing, modelled"] * 2
    assert kept(counted).all()
    assert not kept(dropped).any()
    assert counted.drop(columns="reason").equals(dropped.drop(columns="reason"))
    both = frame["sex"].isna() | frame["eth"].isna()
    assert counted[["control", "treatment"]].sum().tolist() == [int((both & (frame["t"] == arm)).sum()) for arm in (0, 1)]


def test_nothing_missing_is_nothing_new():
    frame = people(200, 5, holes=0.0)
    plans = [blueprint(study_of(frame, missing), ADDITIVE) for missing in ("drop", "model")]
    models = [build_model(plan) for plan in plans]
    assert plans[1].cells.incomplete is None
    assert [v.name for v in models[0].observed_RVs] == [v.name for v in models[1].observed_RVs]
    assert set(models[0].named_vars) == set(models[1].named_vars)


def test_a_cell_that_only_an_incomplete_respondent_may_be_in():
    frame = people(100, 6)
    frame = frame[~((frame["sex"] == "f") & (frame["eth"] == "U") & (frame["wave"] == "2"))]
    frame = pd.concat([frame, frame.iloc[[0]].assign(sex="f", eth=None, wave="2")])
    cells = study_of(frame).cells(["sex", "eth", "wave"])
    new = cells.frame[(cells.frame == ["f", "U", "2"]).all(axis=1)].index
    assert len(new) == 1
    assert cells.control[new].sum() + cells.treatment[new].sum() == 0
    assert 0 < cells.n[new[0]] < len(frame)


def test_what_a_level_is_worth_when_it_is_certain():
    """Respondents who can only be in one cell count as if nothing were missing: same likelihood, posterior and estimates."""
    frame = people(240, 8, holes=0.0)
    lacking = frame.index[:40]
    holed = study_of(frame.assign(sex=frame["sex"].where(~frame.index.isin(lacking))))
    made = blueprint(holed, replace(ADDITIVE, trait="eth + wave"), groups=["sex"])
    some = made.cells.incomplete
    sexes = made.cells.frame["sex"].to_numpy()[some.cell]
    certain = some._replace(probability=(sexes == "f").astype(float))
    filled = study_of(frame.assign(sex=frame["sex"].where(~frame.index.isin(lacking), "f")))
    plans = [replace(made, cells=made.cells._replace(incomplete=certain)), blueprint(filled, made.specification, groups=["sex"])]
    totals = [float(log_likelihood(p, parameters(made))[0, 0].to_numpy() @ patterns(p).n) for p in plans]
    assert totals[0] == pytest.approx(totals[1], rel=1e-12)
    np.testing.assert_allclose(plans[0].cells.control_counts, plans[1].cells.control_counts)


def test_one_level_is_filled_in():
    frame = people(240, 9, holes=0.0).assign(sex="f")
    lacking = frame.index % 5 == 0
    studies = [study_of(frame.assign(sex=frame["sex"].where(~lacking))), study_of(frame)]
    trees = [fit(study, trait="eth + wave", groups=["sex"], counts="binomial", method="map", seed=3) for study in studies]
    # The optimiser stops within its own tolerance, which is far below any standard error.
    assert float(trees[0]["optimum"]["log_likelihood"]) == pytest.approx(float(trees[1]["optimum"]["log_likelihood"]), abs=1e-6)
    for estimate in (prevalence, realised_prevalence):
        means = [estimate(tree, by=["sex", "eth"]).mean(("chain", "draw")).to_numpy() for tree in trees]
        np.testing.assert_allclose(means[0], means[1], atol=1e-6)


def test_a_covariate_that_does_not_matter():
    """If no formula uses the covariate, the answers of those who lack it say what they say of everybody."""
    frame = people(300, 10, holes=0.0)
    holed = frame.assign(sex=frame["sex"].where(frame.index % 4 > 0))
    trees = [fit(study_of(f), trait="eth + wave", groups=["sex"], counts="binomial", method="map") for f in (holed, frame)]
    means = [prevalence(tree, by="eth").mean(("chain", "draw")).to_numpy() for tree in trees]
    np.testing.assert_allclose(means[0], means[1], atol=1e-6)
    assert float(trees[0]["optimum"]["log_likelihood"]) == pytest.approx(float(trees[1]["optimum"]["log_likelihood"]), abs=1e-6)
    assert loo(trees[0]).n_data_points == 300
    dropped = fit(study_of(holed, "drop"), trait="eth + wave", groups=["sex"], counts="binomial", method="map")
    assert np.abs(prevalence(dropped, by="eth").mean(("chain", "draw")).to_numpy() - means[1]).max() > 1e-3


def tree_of(plan):
    """A fitted tree whose posterior is the coefficients above."""
    tree = xr.DataTree.from_dict({"posterior": parameters(plan), **stored.groups(plan, None)})
    tree.attrs = stored.attributes(study_of(people(300, 3)), plan, {"seed": 1, "method": "map", "groups": []})
    return tree


def test_estimates_count_incomplete_respondents_by_their_probabilities(plan):
    """Sample-average and realised prevalence by a covariate that some lack, written out."""
    tree = tree_of(plan)
    truth, seen, some = enumerated(plan, plan.cells.frame), patterns(plan), plan.cells.incomplete
    chances = np.array([oracle.sigmoid(predictor("trait", row)) for _, row in plan.cells.frame.iterrows()])
    first = int((seen.cell >= 0).sum())
    for eth in LEVELS["eth"]:
        inside = (plan.cells.frame["eth"] == eth).to_numpy()
        people_there, having, there = (plan.cells.n * inside), 0.0, 0.0
        for i, n in enumerate(seen.n):
            if i < first:
                having += n * inside[seen.cell[i]] * truth[i, 1] / truth[i].sum()
                there += n * inside[seen.cell[i]]
                continue
            said = seen.observed["_direct"][i] if seen.observed else np.nan
            what = (int(seen.arm[i] == 1), int(seen.answer[i]), None if np.isnan(said) else int(said))
            joint = [p * inside[c] * told(plan.cells.frame.iloc[c], *what)
                     for c, p in zip(some.cell[i - first], some.probability[i - first], strict=True)]
            having += n * sum(joint)[1] / truth[i].sum()
            there += n * sum(joint).sum() / truth[i].sum()
        assert realised_prevalence(tree, by="eth").sel(eth=eth).item() == pytest.approx(having / there, rel=1e-9)
        expected = float(people_there @ chances / people_there.sum())
        assert prevalence(tree, by="eth").sel(eth=eth).item() == pytest.approx(expected, rel=1e-9)
    everybody = float(seen.n @ (truth[:, 1] / truth.sum(axis=1)) / seen.n.sum())
    assert realised_prevalence(tree).item() == pytest.approx(everybody, rel=1e-9)
    listed = trait_probability(tree)
    np.testing.assert_allclose(listed[0, 0], truth[:, 1] / truth.sum(axis=1), rtol=1e-9, atol=1e-200)
    assert set(np.unique(listed["eth"].to_numpy().astype(str))) == {*LEVELS["eth"], MISSING_LEVEL}
    assert (listed["wave"].to_numpy() != MISSING_LEVEL).all()


def test_a_stored_fit_is_enough(tmp_path, plan):
    tree = tree_of(plan)
    tree.to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as again:
        np.testing.assert_array_equal(realised_prevalence(again, by="eth"), realised_prevalence(tree, by="eth"))
        np.testing.assert_array_equal(prevalence(again, by="sex"), prevalence(tree, by="sex"))
        restored, posterior = stored.blueprint_of(again), tree["posterior"].to_dataset()
        np.testing.assert_array_equal(log_likelihood(restored, posterior), log_likelihood(plan, posterior))
        np.testing.assert_array_equal(restored.cells.control_counts, plan.cells.control_counts)


def test_missing_numbers_and_too_many_possibilities_are_refused():
    frame = people(60, 12).assign(age=np.linspace(20, 80, 60))
    frame.loc[7, "age"] = np.nan
    study = study_of(frame)
    with pytest.raises(InputError, match=r"column 'age', row 8: missing numbers cannot be modelled.*groups"):
        study.cells(["age", "sex"])
    study.cells(["sex", "eth"])  # not used, not asked for
    rng = np.random.default_rng(1)
    wide = pd.DataFrame(rng.integers(0, 9, (3000, 6)).astype(str), columns=list("abcdef")).assign(y=1, t=rng.integers(0, 2, 3000))
    wide.loc[0, list("abcdef")] = None
    with pytest.raises(InputError, match=r"columns 'a', 'b'.*531,441 covariate rows.*missing = 'drop'"):
        ListExperiment.from_frame(wide, answer="y", arm="t", J=J, missing="model").cells(list("abcdef"))


def test_an_unknown_way_is_refused():
    with pytest.raises(InputError, match="missing = 'guess': say one of drop, level, model"):
        study_of(people(40, 1), "guess")


def test_incomplete_respondents_who_contradict_the_model_are_refused():
    frame = people(200, 16)
    frame.loc[frame["d"] == 1, "y"] = 2
    frame.loc[3, ["sex", "t", "y", "d"]] = [None, 1, 0, 1]
    study = study_of(frame, **INSTRUMENTS["direct"])
    with pytest.raises(InputError, match="1 respondents said what nobody can say under this model"):
        fit(study, trait="sex", method="map")


def test_several_items_and_placebo_lists():
    """Who lacks a covariate counts in the arm and for the item of the own list, and with a placebo list among the control counts."""
    frame = people(300, 17).assign(t=lambda f: np.where(f["t"] == 0, "c", np.where(f.index % 3 == 0, "a", "b")))
    study = study_of(frame, arms=("c", ["a", "b"]))
    plan = blueprint(study, Specification(trait="sex", counts="binomial", dependence="none"))
    assert plan.cells.treated.sum() == pytest.approx((frame["t"] != "c").sum())
    by_item = pd.Series(plan.cells.treated).groupby(plan.cells.frame["item"].to_numpy()).sum()
    np.testing.assert_allclose(by_item[["a", "b"]], [(frame["t"] == item).sum() for item in "ab"])
    assert np.isfinite(build_model(plan).compile_logp(mode="FAST_COMPILE")(build_model(plan).initial_point()))
    padded = people(300, 18).assign(padded=lambda f: ((f["t"] == 0) & (f.index % 2 == 0)).astype(int))
    cells = study_of(padded, placebo="padded").cells(["sex", "eth"])
    assert cells.control_counts.tolist() == np.bincount(padded.loc[padded["t"] == 0, "y"], minlength=J + 1).tolist()


def test_design_based_estimates_leave_out_those_who_cannot_be_grouped():
    study, dropped = (study_of(people(300, 3), missing) for missing in ("model", "drop"))
    pd.testing.assert_frame_equal(difference_in_means(study, by="eth"), difference_in_means(dropped, by="eth"))
    assert difference_in_means(study)[["n_control", "n_treatment"]].to_numpy().sum() == 300


def test_the_report_says_who_was_kept_and_how():
    frame = people(300, 14)
    frame.loc[5, "y"] = None
    study = study_of(frame)
    tree = fit(study, trait="sex + eth", counts="binomial", method="map")
    report = survey_report(Survey(study, tree, "Title", by=["eth"]))
    tables = {table.name: table for table in tables_of(report)}
    assert tables["exclusions"].frame["reason"].tolist() == ["answer missing: y"]
    assert tables["modelled"].frame["reason"].tolist() == ["covariate missing, modelled: sex", "covariate missing, modelled: eth"]
    counted = tables["modelled"].frame[["control", "treatment"]].to_numpy().sum()
    page = render_report(report)
    control, treatment = (int((frame["t"].drop(5) == arm).sum()) for arm in (0, 1))
    assert f"299 ({control} control, {treatment} treatment)" in page
    assert f"{counted} respondents lack a covariate and are kept" in page
    assert "missing at random" in page
    assert "mackay_peto_1995" in report_text.bibtex(tree)
    assert "mackay_peto_1995" not in report_text.bibtex(fit(study_of(frame, "drop"), counts="binomial", method="map"))


def test_a_spec_says_so(tmp_path):
    people(200, 15).to_csv(tmp_path / "survey.csv", index=False)
    text = '[data]\nfile = "survey.csv"\nanswer = "y"\narm = "t"\nJ = 3\nwave = "wave"\ncovariates = ["sex", "eth"]\nmissing = "model"\n'
    path = tmp_path / "survey.toml"
    path.write_text(text + '[model]\ntrait = "sex + eth"\n', encoding="utf-8")
    study, _ = study_of_spec(read_spec(path))
    assert study.missing == "model"
    assert study.cells(["sex", "eth"]).incomplete is not None
    path.write_text(text.replace('"model"', '"guess"'), encoding="utf-8")
    with pytest.raises(InputError, match=r"survey.toml, line 8: \[data\] missing = 'guess': say one of drop, level, model"):
        read_spec(path)


class TestShares:
    def test_of_one_covariate_that_tells_all(self):
        """With much data the shares are those of people with the same covariates."""
        rng = np.random.default_rng(2)
        given = rng.integers(0, 3, (30_000, 2))
        truth = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
        level = (truth[given[:, 0]].cumsum(axis=1) < rng.random((30_000, 1))).sum(axis=1)
        asked = np.array(list(product(range(3), range(3))))
        found = level_shares(level, np.ones(30_000), given, asked, np.full(3, 1 / 3))
        # Standard errors of a share of 10,000 are .005, of 3,333 .009: five of the former need shrinkage to the coarser share.
        assert np.abs(found - truth[asked[:, 0]]).max() < 0.02
        raw = np.array([np.bincount(level[(given == a).all(axis=1)], minlength=3) / (given == a).all(axis=1).sum() for a in asked])
        assert np.abs(found - truth[asked[:, 0]]).mean() < np.abs(raw - truth[asked[:, 0]]).mean()

    def test_of_a_few_people_lie_between_theirs_and_everybodys(self):
        level, given = np.array([0] * 60 + [1] * 40 + [1, 1]), np.array([[0]] * 100 + [[1]] * 2)
        start = np.array([0.59, 0.41])
        found = level_shares(level, np.ones(102), given, np.array([[0], [1], [2]]), start)
        everybody = level_shares(level, np.ones(102), given[:, :0], np.empty((1, 0), dtype=int), start)[0]
        assert everybody[0] == pytest.approx(60 / 102, abs=0.01)
        assert 0.05 < found[1, 0] < everybody[0] < found[0, 0] < 0.61
        np.testing.assert_allclose(found[2], everybody)  # nobody with this covariate was seen
        np.testing.assert_allclose(found.sum(axis=1), 1)

    def test_one_step_by_hand(self):
        """Posterior means of a Dirichlet whose weight has the largest evidence, each step centred on the one before."""
        from scipy.stats import dirichlet_multinomial

        level, given = np.array([0, 0, 0, 1, 1, 1, 1, 0]), np.array([[0], [0], [0], [0], [1], [1], [1], [1]])
        start, strengths = np.array([0.6, 0.4]), 2.0 ** np.arange(-1, 15)
        counts = np.array([[4, 4]])
        weights = [dirichlet_multinomial.logpmf(counts[0], a * start, 8) for a in strengths]
        a = strengths[np.argmax(weights)]
        everybody = (counts[0] + a * start) / (8 + a)
        by_group = np.array([[3, 1], [1, 3]])
        weights = [sum(dirichlet_multinomial.logpmf(c, b * everybody, 4) for c in by_group) for b in strengths]
        b = strengths[np.argmax(weights)]
        expected = (by_group + b * everybody) / (4 + b)
        found = level_shares(level, np.ones(8), given, np.array([[0], [1]]), start)
        np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_numbers_are_taken_by_their_quarters(self):
        rng = np.random.default_rng(4)
        frame = people(4000, 13, holes=0.0).assign(age=rng.uniform(20, 80, 4000))
        frame["sex"] = np.where(rng.random(4000) < np.where(frame["age"] > 50, 0.9, 0.2), "f", "m")
        table = study_of(frame).table
        known = table.iloc[:2].assign(age=[25.0, 75.0], sex=pd.Categorical([None, None], categories=["f", "m"]))
        found = candidates(table, ["sex", "age"], known[["sex", "age"]].reset_index(drop=True))
        share = found[found["sex"] == "f"].set_index("_known")["_p"]
        np.testing.assert_allclose(share, [0.2, 0.9], atol=0.06)  # four standard errors of a quarter's share


def lopsided(seed, n=24_000):
    """Ethnicity is missing mostly where education is low, more so in wave 2; the trait depends on both and on the wave."""
    rng = np.random.default_rng(seed)
    wave, low = rng.choice(["1", "2"], n), rng.random(n) < 0.5
    russian = rng.random(n) < np.where(low, 0.5, 0.2)
    p = 1 / (1 + np.exp(-(-1.6 + 1.6 * low + 1.2 * russian)))
    trait, t = rng.random(n) < p, rng.integers(0, 2, n)
    answer = rng.binomial(J, 0.45, n) + trait * t
    hole = rng.random(n) < np.where(low, np.where(wave == "2", 0.6, 0.4), 0.05)
    frame = pd.DataFrame({"y": answer, "t": t, "wave": wave, "education": np.where(low, "low", "high"),
                          "eth": np.where(hole, None, np.where(russian, "R", "K"))})
    return frame, p.mean()


def test_keeping_them_beats_dropping_them():
    """Missing at random given education and wave: dropping loses the less educated, keeping them gives the truth back.

    Of 24,000 the standard error is about .011, so the error of dropping is more than four of them and that of keeping below three.
    """
    frame, truth = lopsided(1)
    found = {}
    for missing in ("drop", "model"):
        study = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, wave="wave", missing=missing)
        found[missing] = prevalence(fit(study, trait="education + eth", counts="binomial", dependence="none", method="map"))
    error = {missing: draws.mean().item() - truth for missing, draws in found.items()}
    spread = {missing: draws.std().item() for missing, draws in found.items()}
    assert error["drop"] < -4 * spread["drop"]
    assert abs(error["model"]) < 3 * spread["model"]
    assert spread["model"] < spread["drop"]
