"""People who answer in several waves: likelihoods against plain integration, limits, estimates, storage, recovery, refusals."""

from itertools import product
from math import log, sqrt

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import oracle
from bayes_listexp import (
    DirectQuestion,
    InputError,
    KnownItem,
    KnownPrevalence,
    ListExperiment,
    Specification,
    change,
    change_in_means,
    compare,
    contrast,
    design_checks,
    fit,
    loo,
    prevalence,
    realised_prevalence,
    render_report,
    report_text,
    stored,
    trait_probability,
)
from bayes_listexp.checks import fit_checks
from bayes_listexp.checks.sampler import QUADRATURE_LIMIT
from bayes_listexp.comparison import left_out
from bayes_listexp.fitting import assemble
from bayes_listexp.model import build_model
from bayes_listexp.persons import COUNT, TRAIT, persons_of
from bayes_listexp.prediction import parameter_names
from bayes_listexp.predictive import log_likelihood, observed_answers, patterns, quadrature_error, trait_given_answer
from bayes_listexp.simulate import draw_study
from bayes_listexp.spec import fit_arguments, read_spec
from bayes_listexp.spec import study_of as study_of_spec
from bayes_listexp.specification import blueprint
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey
from combinations import direct

J = 3
SHIFT, LIE, LIE_COUNT = 0.25, -0.8, 0.3
SD = {COUNT: 0.8, TRAIT: 0.7}
START = {"trait": -0.4, "control": 0.2}
SEX = {"trait": 0.5, "control": -0.3}
WAVE = {"trait": 0.3, "control": 0.1}
FINE = np.linspace(-7, 7, 113)
WEIGHT = np.exp(-0.5 * FINE**2) / np.exp(-0.5 * FINE**2).sum()


def people(n=40, waves=3, seed=1, stay=0.7):
    """A panel whose answers mean nothing; not everybody takes part in every wave."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n)
    here = rng.random((waves, n)) < stay
    wave, person = np.nonzero(here)
    frame = pd.DataFrame({"id": person + 100, "wave": (wave + 1).astype(str), "sex": sex[person], "t": rng.integers(0, 2, len(wave))})
    frame["y"] = rng.integers(0, J + 1 + frame["t"])
    frame["d"] = np.where(rng.random(len(frame)) < 0.3, None, rng.integers(0, 2, len(frame)))
    frame.loc[(frame["d"] == 1) & (frame["t"] == 1) & (frame["y"] == 0), "y"] = 1  # nobody says yes and counts nothing
    return frame.sample(frac=1, random_state=seed, ignore_index=True)


def study_of(frame, **more):
    roles = {"answer": "y", "arm": "t", "J": J, "wave": "wave", "ids": "id", "covariates": ["sex"]}
    return ListExperiment.from_frame(frame, **roles | more)


def parameters(plan, **more):
    """The coefficients above as the parameters of the plan, whose columns are centred: one draw of a posterior."""
    values = {"control_shift": SHIFT, "direct_lie_intercept": LIE, "direct_lie_count": LIE_COUNT}
    values |= {f"{effect}_sd": sd for effect, sd in SD.items()} | more
    for name, start in START.items():
        bound = plan.designs[name]
        slopes = np.array([SEX[name] if "sex" in column else WAVE[name] * (int(column[-2]) - 1) for column in bound.names])
        values |= {f"{name}_intercept": start + bound.center @ slopes, f"{name}_slope": slopes * bound.scale}
    known = {k: np.asarray(values[k], dtype=float)[None, None] for k in parameter_names(plan)}
    dims = {k: ("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim - 2))) for k, v in known.items()}
    return xr.Dataset({k: (dims[k], v) for k, v in known.items()}, coords={"chain": [0], "draw": [0]})


def logit(name, row):
    """A linear predictor without person effect, in plain numbers."""
    return START[name] + SEX[name] * (row["sex"] == "m") + WAVE[name] * (int(row["wave"]) - 1)


def told(row, arm, answer, said, effects):
    """P(trait, answer, direct answer | covariates, person effects) by adding up the people with each count, (trait,)."""
    out, chance = [0.0, 0.0], oracle.sigmoid(logit("trait", row) + effects[1])
    for trait, count in product((0, 1), range(J + 1)):
        pmf = oracle.count_pmf("binomial", logit("control", row) + SHIFT * trait + effects[0], None, J)
        lists = 1.0 if answer < 0 else oracle.said("truthful", count, trait, arm, J, {})[answer]
        lies = {"direct_lie_intercept": LIE, "direct_lie_count": LIE_COUNT}
        out[trait] += (chance if trait else 1 - chance) * pmf[count] * lists * direct(said, trait, count, arm, lies)
    return np.array(out)


def grid(plan, row, arm, answer, said):
    """P(trait, observed | effects) on a fine grid, (count node, trait node, trait); trait nodes only where there is an effect."""
    nodes = FINE if plan.specification.person == "both" else np.zeros(1)
    given = np.array([[told(row, arm, answer, said, (u, v)) for v in (-50.0, 50.0)] for u in SD[COUNT] * FINE])
    without, having = given[:, 0, 0], given[:, 1, 1]  # P(observed | trait, effect on the count): each where the trait is certain
    chance = np.array([oracle.sigmoid(logit("trait", row) + SD[TRAIT] * v) for v in nodes])
    return np.stack([np.multiply.outer(without, 1 - chance), np.multiply.outer(having, chance)], axis=-1)


def integrated(plan):
    """P(all answers) of each person pattern, and P(trait = 1 | all answers) at each of them, by plain integration."""
    weights = WEIGHT[:, None] * (WEIGHT if plan.specification.person == "both" else np.ones(1))
    rows, frame = plan.persons.rows, plan.cells.frame
    said = [None] * len(rows.n) if "_direct" not in rows.observed else [None if np.isnan(d) else int(d) for d in rows.observed["_direct"]]
    given = [grid(plan, frame.iloc[rows.cell[i]], int(rows.treated[i]), int(rows.answer[i]), said[i]) for i in range(len(rows.n))]
    total, trait = [], []
    for slots in plan.persons.row:
        answers = [given[i] for i in slots if i >= 0]
        joint = weights * np.prod([a.sum(axis=-1) for a in answers], axis=0)
        total.append(joint.sum())
        trait += [(joint * a[..., 1] / a.sum(axis=-1)).sum() / joint.sum() for a in answers]
    return np.array(total), np.array(trait)


INSTRUMENTS = {"list": {}, "direct": {"instruments": [DirectQuestion("d", lies="one_sided")]}}


def plan_of(person, instruments="list", waves=3, **more):
    study = study_of(people(waves=waves), **INSTRUMENTS[instruments])
    return blueprint(study, Specification(trait="sex", counts="binomial", person=person, **more))


@pytest.mark.parametrize(("person", "instruments"), [("count", "list"), ("both", "list"), ("count", "direct"), ("both", "direct")])
def test_persons_against_plain_integration(person, instruments):
    plan = plan_of(person, instruments)
    total, trait = integrated(plan)
    draw = parameters(plan)
    found = log_likelihood(plan, draw)
    assert found.dims == ("chain", "draw", "person")
    np.testing.assert_allclose(found.to_numpy()[0, 0], np.log(total), atol=1e-6)
    np.testing.assert_allclose(trait_given_answer(plan, draw).to_numpy()[0, 0], trait, atol=1e-6)
    assert plan.persons.n.sum() == len(np.unique(people()["id"]))
    observed = observed_answers(plan)
    np.testing.assert_array_equal(observed["pattern_n"], plan.persons.n[patterns(plan).person])
    assert int(observed["pattern_n"].sum()) == int(plan.cells.n.sum()) == len(people())
    model = build_model(plan)
    point = unconstrained(plan, model, draw)
    sampled = model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(point)
    assert sampled == pytest.approx(plan.persons.n @ np.log(total), abs=1e-4)


def unconstrained(plan, model, draw):
    """A draw as a point of the model; standard deviations by their logarithms."""
    names = {v.name: model.rvs_to_values[v].name for v in model.free_RVs}
    return {value: np.log(draw[name].to_numpy()[0, 0]) if value.endswith("_log__") else draw[name].to_numpy()[0, 0]
            for name, value in names.items()}


@pytest.mark.parametrize("person", ["count", "both"])
@pytest.mark.parametrize("dependence", ["none", "free", "saturated"])
def test_without_spread_it_is_the_model_without_persons(person, dependence):
    counts = "softmax" if dependence == "saturated" else "poisson_binomial"
    specification = Specification(trait="sex", counts=counts, dependence=dependence)
    study = study_of(people(), **INSTRUMENTS["direct"])
    plain = blueprint(study, specification)
    with_persons = blueprint(study, Specification(trait="sex", counts=counts, dependence=dependence, person=person))
    rng = np.random.default_rng(4)
    model = build_model(plain)
    names = parameter_names(plain)
    drawn = pm.draw([model[name] for name in names], random_seed=rng, mode="FAST_COMPILE")
    draw = {name: np.asarray(value)[None, None] for name, value in zip(names, drawn, strict=True)}
    tiny = draw | {name: np.full((1, 1), 1e-9) for name in parameter_names(with_persons) if name not in draw}

    def dataset(values):
        return xr.Dataset({k: (("chain", "draw", *(f"{k}_{i}" for i in range(v.ndim - 2))), v) for k, v in values.items()},
                          coords={"chain": [0], "draw": [0]})

    rows = log_likelihood(plain, dataset(draw)).to_numpy()[0, 0]
    said = np.append(rows, 0.0)[plain.persons.row].sum(axis=1)
    np.testing.assert_allclose(log_likelihood(with_persons, dataset(tiny)).to_numpy()[0, 0], said, atol=1e-7)


def test_the_trait_given_the_count_goes_with_an_effect_on_the_count():
    plan = plan_of("count", dependence="linear")
    draw = parameters(plan, trait_count=np.array([0.6]))
    centre = float((plan.cells.control_counts + 1) @ np.arange(J + 1) / (plan.cells.control_counts + 1).sum())
    rows, frame, total = plan.persons.rows, plan.cells.frame, []
    for slots in plan.persons.row:
        joint = np.ones(len(FINE))
        for i in (i for i in slots if i >= 0):
            row, arm, answer = frame.iloc[rows.cell[i]], int(rows.treated[i]), int(rows.answer[i])
            given = []
            for u in SD[COUNT] * FINE:
                pmf = oracle.count_pmf("binomial", logit("control", row) + u, None, J)
                chance = [oracle.sigmoid(logit("trait", row) + 0.6 * (k - centre)) for k in range(J + 1)]
                alike = [(k, s) for k, s in product(range(J + 1), (0, 1)) if k + s * arm == answer]
                given.append(sum(pmf[k] * (chance[k] if s else 1 - chance[k]) for k, s in alike))
            joint = joint * given
        total.append(WEIGHT @ joint)
    np.testing.assert_allclose(log_likelihood(plan, draw).to_numpy()[0, 0], np.log(total), atol=1e-6)


def test_one_wave_is_a_logistic_normal_mixture():
    """Of people who answer once each, the counts are a mixture of binomials, and so are the predicted answers."""
    plan = plan_of("count", waves=1)
    assert plan.persons.row.shape[1] == 1
    draw = parameters(plan)
    rows, frame, found = plan.persons.rows, plan.cells.frame, log_likelihood(plan, draw).to_numpy()[0, 0]
    for i, row in enumerate(plan.persons.row[:, 0]):
        here, arm, answer = frame.iloc[rows.cell[row]], int(rows.treated[row]), int(rows.answer[row])
        p = sum(w * told(here, arm, answer, None, (SD[COUNT] * u, 0.0)).sum() for u, w in zip(FINE, WEIGHT, strict=True))
        assert found[i] == pytest.approx(log(p), abs=1e-6)


@pytest.mark.parametrize("person", ["count", "both"])
def test_the_density_and_its_gradient_stay_finite(person):
    plan = plan_of(person, "direct")
    model = build_model(plan)
    function = model.logp_dlogp_function(ravel_inputs=True, mode="FAST_COMPILE")
    function.set_extra_values({})
    for eta, sd in product((-40.0, 40.0), (0.01, 8.0)):
        point = unconstrained(plan, model, parameters(plan, **{f"{effect}_sd": sd for effect in SD}))
        point |= {f"{name}_intercept": np.array(eta) for name in START}
        value, gradient = function(np.concatenate([np.ravel(point[v.name]) for v in model.value_vars]))
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def tree_of(person, instruments="list", **more):
    """A tree of a few draws about given parameters, without a search for the mode."""
    study = study_of(people(), **INSTRUMENTS[instruments])
    plan = blueprint(study, Specification(trait="sex", counts="binomial", person=person, **more), ["sex"])
    model = build_model(plan)
    point = unconstrained(plan, model, parameters(plan))
    centre = np.concatenate([np.ravel(point[v.name]) for v in model.value_vars])
    draws = centre + 0.05 * np.random.default_rng(3).normal(size=(1, 40, len(centre)))
    return assemble(study, plan, model, draws, {}, {"method": "map", "seed": 1, "groups": ["sex"]})


@pytest.fixture(scope="module")
def trees():
    return {person: tree_of(person) for person in ("none", "count", "both")}


def test_prevalence_is_that_of_everybody(trees):
    """P(trait | x) is averaged over the effect on the trait, not taken where it is 0."""
    tree = trees["both"]
    plan, posterior = stored.blueprint_of(tree), tree["posterior"].to_dataset()
    bound = plan.designs["trait"].evaluate(plan.cells.frame)
    eta = posterior["trait_intercept"].to_numpy()[0][:, None] + posterior["trait_slope"].to_numpy()[0] @ bound.slopes.T
    spread = posterior["person_trait_sd"].to_numpy()[0][:, None, None] * FINE
    chances = (1 / (1 + np.exp(-(eta[..., None] + spread)))) @ WEIGHT
    frame, n = plan.cells.frame, plan.cells.n
    np.testing.assert_allclose(prevalence(tree).to_numpy()[0], chances @ n / n.sum(), atol=1e-6)
    assert abs(prevalence(tree) - (1 / (1 + np.exp(-eta)) @ n / n.sum())).max() > 0.005
    by_sex = {s: chances[:, frame["sex"] == s] @ n[frame["sex"] == s] / n[frame["sex"] == s].sum() for s in ("f", "m")}
    for s, expected in by_sex.items():
        np.testing.assert_allclose(prevalence(tree, by="sex").sel(sex=s).to_numpy()[0], expected, atol=1e-6)
    frame_of_all = pd.DataFrame({"sex": ["f", "m"], "N": [3, 1]})
    at = {(s, w): int(np.flatnonzero((frame["sex"] == s) & (frame["wave"] == w))[0]) for s in ("f", "m") for w in ("1", "3")}
    moved = change(tree, "1", "3", population=frame_of_all)["change"].to_numpy()[0]
    expected = sum(N / 4 * (chances[:, at[s, "3"]] - chances[:, at[s, "1"]]) for s, N in (("f", 3), ("m", 1)))
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    place = {(s, w): i for i, (s, w) in enumerate(zip(frame["sex"], frame["wave"], strict=True))}
    apart = np.stack([chances[:, place["m", w]] - chances[:, place["f", w]] for w in frame["wave"]], axis=1)
    np.testing.assert_allclose(contrast(tree, "sex", "f", "m").to_numpy()[0], apart @ n / n.sum(), atol=1e-6)


def test_realised_prevalence_uses_the_other_waves(trees):
    tree = trees["both"]
    found, draws = trait_probability(tree), realised_prevalence(tree).to_numpy()
    np.testing.assert_allclose((found * found["n"]).sum("pattern") / found["n"].sum(), draws, atol=1e-12)
    assert found["person"].max() == len(stored.blueprint_of(tree).persons.n) - 1
    # The same answer to the same list says something else of people who said other things in other waves.
    frame = pd.DataFrame({name: found[name].to_numpy() for name in ("cell", "arm", "answer")}).assign(p=found.to_numpy()[0].mean(axis=0))
    assert frame[frame["arm"] == "treatment"].groupby(["cell", "answer"])["p"].agg(np.ptp).max() > 0.02


def test_one_person_is_left_out_at_a_time(trees):
    people_ = len(np.unique(people()["id"]))
    for tree in trees.values():
        assert loo(tree).n_data_points == people_
    scores = compare(trees)
    assert set(scores["model"]) == set(trees)
    given, n = left_out(trees["none"])
    total = trees["none"]["log_likelihood"]["answer_given"].to_numpy() @ trees["none"]["observed_data"]["pattern_n"].to_numpy()
    np.testing.assert_allclose(given.to_numpy() @ n, total, rtol=1e-12)


@pytest.mark.parametrize("person", ["none", "both"])
def test_storage(trees, person, tmp_path):
    tree = trees[person]
    tree.to_netcdf(tmp_path / "fit.nc")
    again = xr.open_datatree(tmp_path / "fit.nc")
    first, second = stored.blueprint_of(tree), stored.blueprint_of(again)
    np.testing.assert_array_equal(first.persons.row, second.persons.row)
    assert second.specification.person == person
    np.testing.assert_allclose(trait_probability(again), trait_probability(tree))
    np.testing.assert_allclose(log_likelihood(second, again["posterior"].to_dataset()), tree["log_likelihood"]["answer_given"])
    assert loo(again).elpd == pytest.approx(loo(tree).elpd)
    again.close()


def test_reports_say_how_answers_hang_together(trees):
    for person, tree in trees.items():
        words, checks = report_text.methods_paragraph(tree), {check.name: check for check in fit_checks(tree)}
        assert ("of the person" in words) == (person != "none") == ("lesaffre" in report_text.bibtex(tree))
        assert ("logit of the trait that lasts" in words) == (person == "both")
        assert ("person effects" in checks) == (person != "none")
        assert person == "none" or checks["person effects"].passed
    answers = people()["id"].value_counts()
    page = render_report(survey_report(Survey(study_of(people()), trees["both"], "Title", by=["sex"])))
    assert f"{(answers > 1).sum()} of {len(answers)}" in page
    assert "Persons with a high Pareto k" in page
    assert "how much people differ in the trait" in page or "person_trait_sd" in page
    wild = trees["count"]["posterior"].to_dataset()
    error = quadrature_error(stored.blueprint_of(trees["count"]), wild.assign(person_count_sd=wild["person_count_sd"] * 10))
    assert error > QUADRATURE_LIMIT


def test_margins_are_of_everybody():
    """What is known of a group, or of a control item, is about people of all effects."""
    known = KnownPrevalence(share=0.5, se=0.02)
    plan = plan_of("both", margins=(known,))
    model, draw = build_model(plan), parameters(plan)
    chance = [sum(w * oracle.sigmoid(logit("trait", row) + SD[TRAIT] * u) for u, w in zip(FINE, WEIGHT, strict=True))
              for _, row in plan.cells.frame.iterrows()]
    share = model.compile_fn(model.unobserved_value_vars, mode="FAST_COMPILE", on_unused_input="ignore", inputs=model.value_vars)
    names = [v.name for v in model.unobserved_value_vars]
    found = share(unconstrained(plan, model, draw))[names.index("margin_prevalence_1_share")]
    assert found == pytest.approx(np.dot(chance, plan.cells.n) / plan.cells.n.sum(), abs=1e-6)

    study = study_of(people())
    items = Specification(counts="poisson_binomial", person="count", margins=(KnownItem(item=2, share=0.6, se=0.05),))
    plan = blueprint(study, items)
    model = build_model(plan)
    point = {name: np.zeros_like(value) for name, value in model.initial_point().items()}
    point |= {"person_count_sd_log__": np.array(log(0.9)), "control_shift": np.array(0.4), "control_item_free": np.array([0.3, -0.5])}
    share = model.compile_fn(model.unobserved_value_vars, mode="FAST_COMPILE", on_unused_input="ignore", inputs=model.value_vars)
    outputs = dict(zip([v.name for v in model.unobserved_value_vars], share(point), strict=True))
    offset = outputs["control_item"][1]
    by_trait = [sum(w * oracle.sigmoid(offset + shift + 0.9 * u) for u, w in zip(FINE, WEIGHT, strict=True)) for shift in (0.0, 0.4)]
    assert outputs["margin_item_1_share"] == pytest.approx(0.5 * sum(by_trait), abs=1e-6)


def panel(n, waves, seed, *, keep_arm=False):
    """A panel without answers, to draw from a model: everybody is asked in every wave."""
    rng = np.random.default_rng(seed)
    sex, arm = rng.choice(["f", "m"], n), rng.permutation(np.arange(n) % 2)
    frames = [pd.DataFrame({"id": np.arange(n), "wave": str(w + 1), "sex": sex, "y": 0,
                            "t": arm if keep_arm else rng.permutation(arm)}) for w in range(waves)]
    return study_of(pd.concat(frames, ignore_index=True))


STRONG = {"trait_intercept": -0.2, "trait_slope": [0.6, -0.7], "control_intercept": 0.1, "control_slope": [0.3, 0.1],
          "control_shift": 0.0, "person_count_sd": 1.5}
MODEL = {"trait": "sex", "counts": "binomial"}


def test_drawn_panels_hang_together():
    """The counts of a person in two waves have the covariance that the effect gives them, and so have the traits."""
    study = panel(20_000, 2, 1)
    strong = STRONG | {"trait_slope": [0.0, 0.0], "control_slope": [0.0, 0.0], "person_trait_sd": 1.2}
    drawn = draw_study(study, Specification(**MODEL, person="both"), strong, seed=2)
    table = drawn.study.table.assign(count=drawn.count, trait=drawn.trait)
    wide = table.pivot(index="_person", columns="wave", values=["count", "trait"])
    h = [oracle.sigmoid(0.1 + 1.5 * u) for u in FINE]
    chance = [oracle.sigmoid(-0.2 + 1.2 * u) for u in FINE]
    for name, p, size in (("count", h, J), ("trait", chance, 1)):
        mean = np.dot(WEIGHT, p)
        between = size**2 * (np.dot(WEIGHT, np.square(p)) - mean**2)
        within = size * np.dot(WEIGHT, np.array(p) * (1 - np.array(p)))
        found = np.cov(wide[name]["1"].to_numpy(dtype=float), wide[name]["2"].to_numpy(dtype=float))
        se = 3 * (between + within) / sqrt(20_000)  # three standard errors of a covariance, at most
        assert found[0, 1] == pytest.approx(between, abs=se)
        assert found[0, 0] == pytest.approx(between + within, abs=1.5 * se)
    assert drawn.prevalence == pytest.approx(np.dot(WEIGHT, chance), abs=1e-6)


def test_recovery():
    """Strong person effects in a panel whose people keep their list: the change is found, by narrower intervals than without them.

    benchmarks/panel.py does this for many panels. Without person effects the counts need a family that can be as dispersed as they
    are, as softmax is; the binomial takes their dispersion for the trait.
    """
    drawn = draw_study(panel(600, 2, 5, keep_arm=True), Specification(**MODEL, person="count"), STRONG, seed=6)
    wave = drawn.study.table["wave"]
    truth = drawn.prevalence[wave == "2"].mean() - drawn.prevalence[wave == "1"].mean()
    settings = {"none": {"trait": "sex"}, "count": MODEL}
    trees = {person: fit(drawn.study, **more, person=person, method="map") for person, more in settings.items()}
    found = {person: change(tree, "1", "2")["change"].to_numpy().ravel() for person, tree in trees.items()}
    sd = trees["count"]["posterior"]["person_count_sd"].to_numpy()
    assert abs(sd.mean() - 1.5) < 3 * sd.std()
    assert abs(found["count"].mean() - truth) < 3 * found["count"].std()
    assert found["count"].std() < 0.95 * found["none"].std()
    scores = compare(trees).set_index("model")
    assert scores.loc["none", "elpd_diff"] < -3 * scores.loc["none", "dse"]


def test_persons_are_the_sampled_units_of_weighted_and_design_based_answers():
    drawn = draw_study(panel(2_000, 2, 5, keep_arm=True), Specification(**MODEL, person="count"), STRONG, seed=6).study
    apart = study_of(drawn.table.assign(y=drawn.table["_answer"], t=drawn.table["_treated"].astype(int)).drop(
        columns=[c for c in drawn.table if c.startswith("_")]), ids=None)
    known, unknown = (change_in_means(study, "1", "2").iloc[0] for study in (drawn, apart))
    assert known["estimate"] == pytest.approx(unknown["estimate"])
    y = drawn.table.pivot(index="_person", columns="wave", values="_answer")
    arm = drawn.table.groupby("_person")["_treated"].first()
    moved = [(y["2"] - y["1"])[arm == treated] for treated in (True, False)]
    assert known["se"] == pytest.approx(sqrt(sum(m.var() / len(m) for m in moved)), rel=1e-2)
    assert known["se"] < 0.85 * unknown["se"]


def test_design_checks_say_that_people_are_the_same():
    study = study_of(people())
    record = {check.name: check for check in design_checks(study)}["same people"]
    answers = people()["id"].value_counts()
    assert record.passed is False
    assert record.estimate == (answers > 1).sum()
    assert "independent" in record.text
    assert "person = 'count'" in record.text
    assert {check.name: check for check in design_checks(study, person="count")}["same people"].passed
    once = people().drop_duplicates("id")
    assert "same people" not in [check.name for check in design_checks(study_of(once))]
    assert "same people" not in [check.name for check in design_checks(study_of(people(), ids=None))]


@pytest.mark.parametrize(
    ("study", "specification", "message"),
    [
        ({}, {"person": "trait"}, "say one of none, count, both"),
        ({"ids": None}, {"person": "count"}, "Name the column of ids"),
        ({"weights": "w"}, {"person": "count", "weighting": "pseudo"}, "weighting = 'none'"),
        ({"missing": "model"}, {"person": "count"}, "missing = 'drop' or 'level'"),
        ({"arms": (0, [1, 2])}, {"person": "both", "dependence": "none"}, "person = 'count', or make one study of each item"),
        ({}, {"person": "both", "dependence": "linear"}, "person = 'count', or dependence = 'shift'"),
    ],
)
def test_refusals(study, specification, message):
    frame = people().assign(w=1.5)
    frame.loc[3, "sex"] = None
    if "arms" in study:
        frame["t"] = np.where(frame["t"] == 1, 1 + frame["id"] % 2, 0)
    with pytest.raises(InputError, match=message):
        blueprint(study_of(frame, **study), Specification(trait="sex", **specification))


def test_counts_have_no_persons():
    frame = people().groupby(["wave", "sex", "t", "y"]).size().rename("n").reset_index()
    study = ListExperiment.from_counts(frame, answer="y", arm="t", n="n", J=J, wave="wave")
    with pytest.raises(InputError, match="building the study from respondents"):
        blueprint(study, Specification(person="count"))


def test_who_is_the_same_is_tabulated():
    """Persons by all their answers, whatever the order of the rows; a missing covariate leaves out that answer alone."""
    frame = people()
    study = study_of(frame)
    persons = persons_of(study, ["sex", "wave"], False)
    assert persons.n.sum() == frame["id"].nunique()
    np.testing.assert_array_equal(np.bincount(persons.entries[1], weights=persons.n[persons.entries[0]]), persons.rows.n)
    again = persons_of(study_of(frame.sample(frac=1, random_state=9)), ["sex", "wave"], False)
    np.testing.assert_array_equal(again.row, persons.row)
    np.testing.assert_array_equal(again.n, persons.n)
    several = frame[frame["id"].duplicated(keep=False)].index[0]
    frame.loc[several, "sex"] = None
    fewer = persons_of(study_of(frame), ["sex", "wave"], False)
    assert fewer.n.sum() == persons.n.sum()
    assert (fewer.n[:, None] * (fewer.row >= 0)).sum() == len(frame) - 1


SPEC = """
title = "A panel"
[data]
file = "panel.csv"
answer = "y"
arm = "t"
J = 3
wave = "wave"
ids = "id"
covariates = ["sex"]
[model]
trait = "sex"
person = "both"
"""


def test_spec(tmp_path):
    people().to_csv(tmp_path / "panel.csv", index=False)
    (tmp_path / "panel.toml").write_text(SPEC)
    spec = read_spec(tmp_path / "panel.toml")
    study, _ = study_of_spec(spec)
    arguments = fit_arguments(spec)
    assert arguments["person"] == "both"
    plan = blueprint(study, Specification(trait=arguments["trait"], person=arguments["person"]))
    assert parameter_names(plan)[-2:] == ("person_count_sd", "person_trait_sd")
    (tmp_path / "panel.toml").write_text(SPEC.replace('"both"', '"nobody"'))
    with pytest.raises(InputError, match="person = 'nobody'"):
        study_of_spec(read_spec(tmp_path / "panel.toml"))
    (tmp_path / "panel.toml").write_text(SPEC.replace('"both"', "2"))
    with pytest.raises(InputError, match=r"line 13: \[model\] 'person' must be of type str"):
        read_spec(tmp_path / "panel.toml")


def test_nothing_changes_without_person_effects():
    """The ids of a panel leave the model without person effects as it is without ids."""
    with_ids, without = (blueprint(study_of(people(), **more), Specification(trait="sex")) for more in ({}, {"ids": None}))
    models = [build_model(plan) for plan in (with_ids, without)]
    assert [v.name for v in models[0].free_RVs] == [v.name for v in models[1].free_RVs]
    assert sorted(models[0].named_vars) == sorted(models[1].named_vars)
    logps = [model.compile_logp(mode="FAST_COMPILE")(model.initial_point()) for model in models]
    assert logps[0] == logps[1]
