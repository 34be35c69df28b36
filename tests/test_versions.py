"""Studies whose control lists differ between waves or groups: every list has control counts of its own, the trait is the same."""

import tomllib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import oracle
from bayes_listexp import estimates, predictive, stored
from bayes_listexp.bounds import refusal_bounds
from bayes_listexp.checks import design_checks, fit_checks
from bayes_listexp.comparison import compare, loo
from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.double_lists import double_list
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.instruments.item_answers import ItemAnswers
from bayes_listexp.least_squares import linear_regression
from bayes_listexp.list_and_direct import combined_estimate, placebo_tests
from bayes_listexp.lists import own_formula
from bayes_listexp.margins import KnownItem, KnownPrevalence
from bayes_listexp.model import build_model
from bayes_listexp.prediction import parameter_names
from bayes_listexp.report import render_report, tables_of
from bayes_listexp.sampling import constrain
from bayes_listexp.sensitivity import contraction, power_scaling
from bayes_listexp.simulate import draw_study
from bayes_listexp.spec import read_spec, study_of
from bayes_listexp.specification import Specification, blueprint
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey

LISTS = {"first": 4, "second": 3}
POPULAR = {"first": [0.9, 0.75, 0.6, 0.5], "second": [0.4, 0.25, 0.15]}


def people(n=400, seed=5, prevalence=(0.5, 0.3)):
    """Two waves, the list shortened in the second, whose items are much less popular."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "arm": np.arange(n) % 2,
        "wave": np.repeat(["first", "second"], n // 2),
        "sex": rng.choice(["f", "m"], n),
        "region": rng.choice(list("abc"), n),
    })
    second = (frame["wave"] == "second").to_numpy()
    trait = rng.random(n) < np.where(second, prevalence[1], prevalence[0])
    counts = [(rng.random((n, len(p))) < p).sum(axis=1) for p in POPULAR.values()]
    count = np.where(second, counts[1], counts[0])
    says = np.where(trait, rng.random(n) < 0.5, 0)
    return frame.assign(y=count + trait * frame["arm"], direct=np.where(says, "yes", "no"))


def study(frame=None, J=LISTS, **arguments):
    frame = people() if frame is None else frame
    return ListExperiment.from_frame(frame, answer="y", arm="arm", J=J, **({"wave": "wave", "version": "wave"} | arguments))


def separate(frame=None, **arguments):
    """Each wave as a study of its own."""
    frame = people() if frame is None else frame
    return {w: ListExperiment.from_frame(frame[frame["wave"] == w], answer="y", arm="arm", J=J, **arguments) for w, J in LISTS.items()}


def log_likelihood(plan, point):
    model = build_model(plan)
    return float(model.compile_logp(vars=model.observed_RVs, mode="FAST_COMPILE")(point))


def made_up(plan, seed=2):
    """Some value for everything that is free, on the unconstrained scale."""
    rng = np.random.default_rng(seed)
    return {k: np.asarray(v) + rng.normal(scale=0.5, size=np.shape(v)) for k, v in build_model(plan).initial_point().items()}


# Likelihood


@pytest.mark.parametrize(("response", "counts"), [("truthful", "binomial"), ("liars", "com_binomial"), ("top_coded", "com_binomial")])
def test_likelihood_is_that_of_plain_enumeration(response, counts):
    frame = people()
    plan = blueprint(study(frame), Specification(trait="1 + sex", response=response, counts=counts))
    point = made_up(plan)
    total = 0.0
    lapses = {name.removeprefix("lapse_").removesuffix("_intercept"): oracle.sigmoid(float(value))
              for name, value in point.items() if name.startswith("lapse_")}
    designs = {name: bound.evaluate(plan.cells.frame) for name, bound in plan.designs.items()}
    cells = {(row.wave, row.sex): i for i, row in enumerate(plan.cells.frame.itertuples())}
    assert plan.designs["control_first"].names == ("sex[m]",)
    for row in frame.itertuples():
        cell, J = cells[row.wave, row.sex], LISTS[row.wave]

        def predictor(name, cell=cell, at=designs):
            slopes = at[name].slopes[cell] @ np.atleast_1d(point[f"{name}_slope"]) if at[name].slopes.shape[1] else 0.0
            return float(point[f"{name}_intercept"] + slopes)

        eta = predictor(f"control_{row.wave}")
        shifted = eta + float(point[f"control_{row.wave}_shift"])
        parameter = np.exp(float(point[f"control_{row.wave}_dispersion_log__"])) if counts == "com_binomial" else None
        pmfs = tuple(oracle.count_pmf(counts, e, parameter, J) for e in (eta, shifted))
        p = oracle.answer_pmf(response, row.arm, J, prevalence=oracle.sigmoid(predictor("trait")), pmfs=pmfs, q=lapses)
        total += np.log(p[row.y])
    assert log_likelihood(plan, point) == pytest.approx(total, abs=1e-10 * abs(total))


@pytest.mark.parametrize("specification", [{"trait": "1 + sex", "dependence": "free"}, {"counts": "poisson_binomial"}])
def test_two_lists_that_share_nothing_are_two_studies(specification):
    """With a prevalence of its own in each wave the log-likelihood is the sum of those of two studies at the same parameters."""
    frame = people()
    frame["sex"] = np.tile(["f", "f", "m", "m"], len(frame) // 4)  # columns are centred alike in both waves
    plan = blueprint(study(frame, J=LISTS), Specification(**specification))
    point, apart = made_up(plan), 0.0
    columns = plan.designs["trait"].names
    wave_column = plan.designs["trait"].evaluate(plan.cells.frame).slopes[:, columns.index("wave[second]")]
    for wave, part in separate(frame).items():
        alone = blueprint(part, Specification(**specification))
        names = build_model(alone).initial_point()
        own = {name: point[name.replace("control_", f"control_{wave}_", 1)] for name in names if name.startswith("control_")}
        there = wave_column[(plan.cells.frame["wave"] == wave).to_numpy()][0]
        own["trait_intercept"] = point["trait_intercept"] + there * point["trait_slope"][columns.index("wave[second]")]
        own |= {"trait_slope": point["trait_slope"][[columns.index("sex[m]")]]} if "trait_slope" in names else {}
        apart += log_likelihood(alone, own)
    assert log_likelihood(plan, point) == pytest.approx(apart, rel=1e-12)


def test_names_of_parameters():
    plan = blueprint(study(), Specification(trait="1 + sex", dependence="free"))
    assert [part.label for part in plan.parts] == ["first", "second"]
    names = parameter_names(plan)
    assert {"trait_intercept", "control_first_intercept", "control_second_slope", "control_second_shape", "control_first_shift"} <= {*names}
    assert not [name for name in names if name.startswith("control_") and name.split("_")[1] not in LISTS]
    assert build_model(plan).initial_point()["control_second_shape"].shape == (2,)
    one = study(J=4, version=None)
    plain = blueprint(one, Specification(trait="1 + sex"))
    assert plain.parts == (plain,)
    assert {"control_intercept", "control_shape"} <= {*parameter_names(plain)}


def test_signs_in_versions_do_not_blur_names():
    frame = people().assign(list_version=lambda f: f["wave"].map({"first": "a_b c", "second": "a"}))
    plan = blueprint(study(frame, J={"a_b c": 4, "a": 3}, version="list_version"), Specification())
    assert [name for name in plan.designs if name.startswith("control")] == ["control_a", "control_a-b-c"]


# Formulas


@pytest.mark.parametrize(("text", "own"), [
    ("1 + sex", "1 + sex"),
    ("sex * wave", "1 + sex"),
    ("0 + sex:wave", "0 + sex"),
    ("1 + (1|wave) + (1 + age|rw1(wave):region)", "1 + (1|region) + (0 + age|region)"),
    ("1 + C(wave) + log(age) + (1|region)", "1 + log(age) + (1|region)"),
])
def test_what_does_not_vary_in_a_version_is_left_out_of_its_formula(text, own):
    cells = pd.DataFrame({"wave": ["first", "second"] * 3, "sex": list("fmmfmf"), "region": list("abcabc"), "age": [20.0, 30, 40] * 2})
    cells = cells.astype({"wave": "category", "sex": "category", "region": "category"})
    assert own_formula(text, cells, np.array([1, 0, 1, 0, 1, 0])) == own


def test_the_counts_of_a_version_are_centred_at_its_own_respondents():
    frame = people().assign(age=lambda f: np.where(f["wave"] == "first", 30.0, 60.0) + np.tile([0, 10], len(f) // 2))
    frame["arm"] = np.tile([0, 0, 1, 1], len(frame) // 4)
    frame["y"] = np.minimum(frame["y"], 3)
    plan = blueprint(study(frame), Specification("1 + age"))
    assert plan.designs["control_first"].center == pytest.approx([35.0])
    assert plan.designs["control_second"].center == pytest.approx([65.0])
    assert plan.designs["trait"].center[0] == pytest.approx(50.0)
    assert plan.designs["control_first"].names == ("age",)


# Recovery


def two_shapes(n, seed):
    """Items of the first list exclude one another, so that most count 2 of 4; those of the second go together: none or all of 3."""
    rng = np.random.default_rng(seed)
    frame = people(n, seed)
    second = (frame["wave"] == "second").to_numpy()
    count = np.where(second, rng.choice(4, n, p=[0.45, 0.08, 0.07, 0.40]), rng.choice(5, n, p=[0.02, 0.13, 0.70, 0.13, 0.02]))
    return frame.assign(y=count + (rng.random(n) < np.where(second, 0.3, 0.5)) * frame["arm"])


def test_a_change_is_found_although_the_list_changed():
    """Prevalence fell by 20 points; 5,000 a wave leave a sampling error of 2 points. A fixed seed; the limit is 4 errors."""
    frame = two_shapes(10_000, seed=11)
    right = estimates.change(fit(study(frame), method="map"), "first", "second", population="sample")["change"]
    assert float(right.std()) < 0.025
    assert float(right.mean()) == pytest.approx(-0.2, abs=0.1)
    # As if there had been one list of four items throughout, of counts that have one shape in both waves.
    one_list = fit(study(frame, J=4, version=None), counts="com_binomial", method="map")
    wrong = estimates.change(one_list, "first", "second", population="sample")["change"]
    assert abs(float(wrong.mean()) + 0.2) > 0.2


# Everything that is made from a fit


@pytest.fixture(scope="module")
def answered():
    """Both lists, a direct question that half of them were asked, weights, and a population without waves."""
    frame = people(1600).assign(w=np.tile([0.5, 1.0, 1.5, 1.0], 400))
    frame.loc[::4, "direct"] = None
    frame.loc[::53, "y"] = np.nan
    cells = pd.MultiIndex.from_product([["f", "m"], list("abc")], names=["sex", "region"]).to_frame(index=False)
    cells["N"] = [1, 2, 3, 3, 2, 1]
    return study(frame, weights="w", population=cells, instruments=[DirectQuestion("direct", yes="yes", no="no")],
                 covariates=["sex", "region"])


@pytest.fixture(scope="module")
def tree(answered):
    return fit(answered, trait="1 + sex + (1|region)", control="1 + sex", response="liars", method="map", seed=4)


def test_a_fit_reads_back_from_its_file(tree, tmp_path):
    tree.to_netcdf(tmp_path / "fit.nc")
    back = xr.open_datatree(tmp_path / "fit.nc").load()
    plan = stored.blueprint_of(back)
    assert (plan.version, [(one.version, one.J) for one in plan.lists]) == ("wave", list(LISTS.items()))
    for before, after in zip(stored.blueprint_of(tree).parts, plan.parts, strict=True):
        np.testing.assert_array_equal(before.tables.certain, after.tables.certain)
        np.testing.assert_array_equal(before.cells.treatment, after.cells.treatment)
    posterior = back["posterior"].to_dataset()
    np.testing.assert_allclose(predictive.log_likelihood(plan, posterior), tree["log_likelihood"]["answer_given"], rtol=1e-12)
    for one in (tree, back):
        assert float(estimates.prevalence(one).mean()) == pytest.approx(float(estimates.prevalence(tree).mean()), abs=1e-12)


def test_log_likelihood_of_patterns_is_that_of_the_model(tree):
    at = {name: tree["optimum"][name] for name in parameter_names(stored.blueprint_of(tree))}
    point = xr.Dataset({name: value.expand_dims(["chain", "draw"]) for name, value in at.items()})
    per_pattern = predictive.log_likelihood(stored.blueprint_of(tree), point).to_numpy().ravel()
    assert tree["observed_data"]["pattern_n"].to_numpy() @ per_pattern == pytest.approx(float(tree["optimum"]["log_likelihood"]), rel=1e-9)


def test_tables_are_by_version_and_arm(tree, answered):
    table = predictive.answers_by_arm(tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset())
    assert table.groupby(["version", "arm"], sort=False).size().to_dict() == {
        ("first", "control"): 5, ("first", "treatment"): 6, ("second", "control"): 4, ("second", "treatment"): 5}
    listed = answered.listed
    for (version, arm, answer), n in table.set_index(["version", "arm", "answer"])["n"].items():
        rows = (listed["wave"] == version) & (listed["_treated"] == (arm == "treatment")) & (listed["_answer"] == answer)
        assert n == listed.loc[rows, "_n"].sum()
    assert table.groupby("version")["predicted"].sum().to_dict() == pytest.approx(table.groupby("version")["n"].sum().to_dict())


def test_who_has_the_trait(tree, answered):
    trait = estimates.trait_probability(tree)
    top = trait.isel(pattern=((trait["wave"] == "second") & (trait["arm"] == "treatment") & (trait["answer"] == 4)).to_numpy())
    assert top.sizes["pattern"] > 0
    np.testing.assert_allclose(top, 1.0)  # of three control items and the sensitive one; in the first wave 4 says little
    other = trait.isel(pattern=((trait["wave"] == "first") & (trait["arm"] == "treatment") & (trait["answer"] == 4)).to_numpy())
    assert float(other.min()) < 0.9
    n = trait["n"].to_numpy()
    assert n.sum() == answered.n
    realised = estimates.realised_prevalence(tree)
    assert float(realised.mean()) == pytest.approx(float((trait * n).sum("pattern").mean()) / n.sum())


def test_the_direct_question_beside_several_lists(tree):
    found = estimates.observed_by(tree, "direct", by="wave", population="frame")
    np.testing.assert_allclose(found["prevalence"], estimates.prevalence(tree, by="wave", population="frame"), rtol=1e-10)
    # A half with the trait admit it, in either wave, whatever the list.
    np.testing.assert_allclose(found["lie_rate"].mean(["chain", "draw"]), 0.5, atol=0.15)
    whole = estimates.observed_by(tree, "direct", population="frame")
    np.testing.assert_allclose(whole["direct"], found["direct"].mean("wave"), rtol=1e-10)


def test_people_without_a_version_have_each_list_in_part():
    frame = people(800).iloc[:600]  # 400 were shown the first list, 200 the second
    made = study(frame.assign(v=frame["wave"]).drop(columns="wave"), wave=None, version="v",
                 instruments=[DirectQuestion("direct", yes="yes", no="no")], covariates=["sex"])
    tree = fit(made, trait="1 + sex", method="map")
    target = pd.DataFrame({"sex": ["f", "m"], "N": [2, 1]})
    apart = target.merge(pd.DataFrame({"v": ["first", "second"]}), how="cross").assign(N=[4, 2, 2, 1])
    whole, each = (estimates.observed_by(tree, "direct", population=people) for people in (target, apart))
    first = estimates.observed_by(tree, "direct", population=target.assign(v="first"))
    assert abs(first["direct"] - whole["direct"]).max() > 1e-4  # lies go with the counts, which differ by list
    for name in whole:
        np.testing.assert_allclose(whole[name], each[name], rtol=1e-10)


def test_models_are_compared_by_all_respondents(tree, answered):
    other = fit(answered, trait="1 + sex + (1|region)", control="1 + sex", counts="binomial", response="liars", method="map")
    table = compare({"softmax": tree, "binomial": other})
    assert loo(tree).n_data_points == answered.n
    assert set(table["model"]) == {"softmax", "binomial"}


def test_how_much_the_data_say(tree):
    table = contraction(tree).set_index("parameter")
    assert table.loc["control_second_shift", "meaning"].endswith("those with and without the trait (list version second)")
    assert table.loc["control_first_slope[sex[m]]", "meaning"] == "the effect of sex[m] on the control counts (list version first)"
    assert {"prior", "likelihood"} <= set(power_scaling(tree))


def test_checks_are_by_version(answered, tree):
    checks = {check.name: check for check in design_checks(answered, ["sex"])}
    lists = [f"{answered.version} first", f"{answered.version} second"]
    assert f"{lists[1].capitalize()}: In the control arm" in checks["floor and ceiling"].text
    assert checks["floor and ceiling"].table.groupby("of", sort=False)["answer"].max().to_dict() == dict(zip(lists, [5, 4], strict=True))
    assert list(checks["dispersion"].table["of"]) == lists
    assert list(checks["no design effect"].table[answered.version]) == ["first", "second"]
    assert {check.name for check in fit_checks(tree)} >= {"answers predicted"}


def test_the_report_names_the_lists(answered, tree):
    report = survey_report(Survey(answered, tree, "Title", by=["sex"], waves=("first", "second")))
    page = render_report(report)
    assert "4 in list version first, 3 in list version second" in page
    assert "J = 4 in first, J = 3 in second" in page
    assert "Answers by arm, list version second" in page
    coefficients = next(table for table in tables_of(report) if table.name == "coefficients").frame
    assert {"trait", "control first", "control second"} <= set(coefficients["part"])


def test_simulated_answers_keep_to_their_lists(answered):
    specification = Specification(trait="1 + sex", counts="binomial")
    given = {"control_first_intercept": 6.0, "control_second_intercept": -6.0, "trait_intercept": -6.0}
    drawn = draw_study(answered, specification, given | {"control_first_shift": 0.0, "control_second_shift": 0.0}, seed=3)
    table = drawn.study.listed
    means = table.groupby("wave", observed=True)["_answer"].mean()
    assert means["first"] == pytest.approx(4.0, abs=0.1)  # 4 / (1 + e^-6) = 3.99, and those with the trait
    assert means["second"] == pytest.approx(0.0, abs=0.1)
    again = draw_study(answered, specification, {"trait_intercept": 0.0}, seed=5).study
    for wave, J in LISTS.items():
        rows = again.listed[again.listed["wave"] == wave]
        assert rows["_answer"].max() <= J + 1
        assert rows.loc[~rows["_treated"], "_answer"].max() <= J


def test_weights_count_each_respondent_as_often(answered):
    """A weighted likelihood with the weights 1/2 and 3/2 is that of the sums of weights."""
    plan = blueprint(answered, Specification(trait="1 + sex", weighting="pseudo"))
    plain = blueprint(answered, Specification(trait="1 + sex"))
    point = made_up(plan)
    weight = [part.relative_weights["observed"] for part in plan.parts]
    posterior = _as_draw(plan, point)
    log_p = predictive.log_likelihood(plain, posterior).to_numpy().ravel()
    expected = log_p @ (np.concatenate(weight) * predictive.patterns(plan).n)
    assert log_likelihood(plan, point) == pytest.approx(float(expected), rel=1e-9)
    assert float(np.concatenate(weight) @ predictive.patterns(plan).n) == pytest.approx(answered.n)


def _as_draw(plan, point):
    """Unconstrained values as a single draw of the parameters."""
    model = build_model(plan)
    flat = np.concatenate([np.ravel(point[v.name]) for v in model.value_vars])
    return constrain(model, flat[None, None])


def test_modelled_covariates_are_mixed_within_versions():
    frame = people(400)
    frame.loc[::7, "sex"] = None
    plan = blueprint(study(frame, missing="model"), Specification(trait="1 + sex"))
    point = made_up(plan)
    per_pattern = predictive.log_likelihood(plan, _as_draw(plan, point)).to_numpy().ravel()
    seen = predictive.patterns(plan)
    assert seen.n.sum() == len(frame)
    assert (seen.cell < 0).sum() > 0
    assert log_likelihood(plan, point) == pytest.approx(float(per_pattern @ seen.n), rel=1e-9)
    wave = plan.cells.frame["wave"].to_numpy()
    for part in plan.parts:  # who lacks a covariate may be in cells of the own wave only, and is with one of them for certain
        some = part.cells.incomplete
        assert set(wave[part.within]) == {part.label}
        assert some.rows.cell.max() < len(part.cells.frame)
        assert [some.probability[i, : some.size[i]].sum() for i in range(len(some.n))] == pytest.approx([1.0] * len(some.n))
    places, (being, having) = predictive.placement(plan), next(predictive.place_probabilities(plan, _as_draw(plan, point)))
    assert np.bincount(places.pattern, weights=being[0]) == pytest.approx(np.ones(len(seen.n)))
    assert (having <= being + 1e-12).all()
    waves_of_patterns = [set(wave[places.cell[places.pattern == i]]) for i in np.flatnonzero(seen.cell < 0)]
    assert all(len(found) == 1 for found in waves_of_patterns)


def test_a_known_prevalence_is_about_people_whatever_their_list():
    margin = KnownPrevalence({"wave": "second"}, yes=3, n=10)
    plan = blueprint(study(), Specification(trait="1 + sex", margins=(margin,)))
    point = made_up(plan)
    share = _as_draw(plan, point)["margin_prevalence_1_share"]
    chances = plan.designs["trait"].evaluate(plan.cells.frame).slopes @ point["trait_slope"] + point["trait_intercept"]
    here = (plan.cells.frame["wave"] == "second").to_numpy()
    expected = np.average([oracle.sigmoid(eta) for eta in chances[here]], weights=plan.cells.n[here])
    assert float(share.mean()) == pytest.approx(expected, rel=1e-10)


def test_filtered_studies_know_the_lists_until_then():
    before = study().until("first")
    assert (before.J, before.version, dict(before.lists)) == (4, None, {})
    assert study(people(), J=4).until("second").lists == {"first": 4, "second": 4}


# Without a model


def test_differences_in_means_stay_within_versions():
    frame = people()
    frame = frame.drop(frame.index[(frame["wave"] == "second") & (frame["arm"] == 0)][:60])  # the second wave is mostly treated
    made = study(frame)
    by_wave, pooled = difference_in_means(made, by="wave"), difference_in_means(made).iloc[0]
    n = by_wave["n_control"] + by_wave["n_treatment"]
    assert pooled["estimate"] == pytest.approx((n * by_wave["estimate"]).sum() / n.sum())
    assert pooled["se"] == pytest.approx(np.sqrt(((n / n.sum()) ** 2 * by_wave["se"] ** 2).sum()))
    mixed = frame.groupby("arm")["y"].mean()
    assert abs(pooled["estimate"] - (mixed[1] - mixed[0])) > 0.2  # what comparing different lists would have added
    for wave, part in separate(frame).items():
        alone = difference_in_means(part).iloc[0]
        assert by_wave.set_index("wave").loc[wave, "estimate"] == pytest.approx(alone["estimate"])
    designed = difference_in_means(study(frame.assign(c=np.arange(len(frame))), clusters="c")).iloc[0]
    assert designed["estimate"] == pytest.approx(pooled["estimate"])
    assert designed["se"] == pytest.approx(pooled["se"], rel=0.02)
    change = change_in_means(made, "first", "second").iloc[0]["estimate"]
    assert change == pytest.approx(by_wave["estimate"].diff().iloc[1])


def test_a_version_that_lacks_an_arm_in_a_group_is_left_out_there():
    frame = people()
    frame = frame[~((frame["region"] == "c") & (frame["wave"] == "second") & (frame["arm"] == 0))]
    table = difference_in_means(study(frame), by="region").set_index("region")
    only = difference_in_means(separate(frame)["first"], by="region").set_index("region")
    assert table.loc["c"].tolist() == pytest.approx(only.loc["c"].tolist())


def test_least_squares_know_which_list_it_was():
    frame = people()
    table = linear_regression(study(frame)).set_index(["part", "term"])
    assert ("control", "wave[second]") in table.index
    assert 0 < table.loc[("trait", "Intercept"), "estimate"] < 1


def test_answers_to_different_lists_are_not_compared():
    made = study(people().assign(y=lambda f: f["y"].where(np.arange(len(f)) % 9 > 0)),
                 instruments=[DirectQuestion("direct", yes="yes", no="no")])
    for estimator in (refusal_bounds, combined_estimate):
        with pytest.raises(InputError, match="answers to different lists cannot be compared. Take by = 'wave'"):
            estimator(made)
    bounds = refusal_bounds(made, "wave")
    worst = bounds[bounds["of"].str.startswith("everybody")].set_index("wave")
    assert (worst["upper"] - worst["lower"]).is_monotonic_decreasing  # the second list is shorter: refusals hide less
    assert combined_estimate(made, by="wave")["estimate"].notna().all()
    assert placebo_tests(made)["estimate"].notna().all()


# What cannot be


@pytest.mark.parametrize(("change", "message"), [
    ({"J": {"first": 4}}, "version 'second' has no J; the versions in column 'wave' are: first, second"),
    ({"J": {"first": 4, "second": 3, "third": 3}}, "version 'third' is nobody's"),
    ({"J": {"first": 4, "second": 0}}, "J of version 'second' = 0: the number of control items must be a whole number"),
    ({"version": None}, r"J = .*needs the column that says which version a respondent was shown: version = "),
    ({"J": {"first": 4, "second": 2}}, r"list version 'second': column 'y', rows .*: with J = 2 the control arm answers 0 to 2, found 3"),
    ({"version": "list"}, r"column 'list' \(version\) is not in the data"),
])
def test_lists_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        study(**change)


def test_each_version_needs_both_arms():
    frame = people()
    with pytest.raises(InputError, match="no respondent with an answer to list version 'second' is in the control arm"):
        study(frame[(frame["wave"] == "first") | (frame["arm"] == 1)])
    with pytest.raises(InputError, match="each list version needs a control arm of its own"):
        ListExperiment.from_frame(frame, answer="y", arm=None, J=LISTS, version="wave")
    with pytest.raises(InputError, match="the versions 'a b' and 'a_b' differ in signs only"):
        study(frame.assign(v=np.where(frame["wave"] == "first", "a b", "a_b")), J=4, version="v")
    with pytest.raises(InputError, match="list versions and several sensitive items cannot be in one study"):
        study(frame.assign(arm=np.tile(["c", "x", "y", "c"], 100)), J=4, arms=("c", ["x", "y"]))


@pytest.mark.parametrize(("specification", "message"), [
    ({"dependence": "linear"}, "dependence = 'linear': the trait cannot be modelled given the counts of lists that differ. Use 'none'"),
    ({"dependence": "smooth"}, "dependence = 'smooth'"),
    ({"margins": (KnownItem(1, yes=3, n=10),), "counts": "poisson_binomial"}, "KnownItem: which list its item is on is not known"),
    ({"control": "1 + age"}, "column 'age' is not in the data"),
])
def test_models_that_are_about_one_list(specification, message):
    with pytest.raises(InputError, match=message):
        blueprint(study(), Specification(**specification))


def test_items_of_one_list_are_refused():
    frame = people().assign(**{f"i{k}": 0 for k in range(4)})
    frame.loc[frame["arm"] == 1, [f"i{k}" for k in range(4)]] = np.nan
    frame.loc[frame["arm"] == 0, "y"] = 0
    made = study(frame, instruments=[ItemAnswers(tuple(f"i{k}" for k in range(4)))])
    with pytest.raises(InputError, match="instrument 'items': it observes the control items of one list.*Make a study of one version"):
        blueprint(made, Specification(counts="poisson_binomial"))


def test_a_double_list_needs_its_versions_apart():
    with pytest.raises(InputError, match="no second list"):
        double_list(study())


def test_respondents_without_a_version_are_counted():
    frame = people().assign(v=lambda f: f["wave"])
    frame.loc[:4, "v"] = None
    made = study(frame, version="v")
    row = made.exclusions.iloc[0]
    assert (row["reason"], row["column"], row["control"] + row["treatment"]) == ("list version missing", "v", 5)
    assert made.n == len(frame) - 5


def test_one_version_is_no_version():
    frame = people()
    made = study(frame[frame["wave"] == "first"], J={"first": 4})
    assert (made.version, dict(made.lists), made.J) == (None, {}, 4)


# Specs


def test_a_spec_names_versions(tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    text = """
title = "Two lists"
[data]
file = "survey.csv"
answer = "y"
arm = "arm"
wave = "wave"
version = "wave"
covariates = ["sex"]
[data.J]
first = 4
second = 3
[model]
trait = "1 + sex"
"""
    (tmp_path / "spec.toml").write_text(text)
    assert tomllib.loads(text)["data"]["J"] == LISTS
    made, _ = study_of(read_spec(tmp_path / "spec.toml"))
    assert (made.version, dict(made.lists), made.J) == ("wave", LISTS, 4)
    (tmp_path / "spec.toml").write_text(text.replace("second = 3", "third = 3"))
    with pytest.raises(InputError, match="version 'second' has no J"):
        study_of(read_spec(tmp_path / "spec.toml"))


def test_studies_with_other_lists_are_other_studies():
    frame = people().assign(y=lambda f: np.minimum(f["y"], 2))
    assert len({study(frame, J=J).sha256 for J in (LISTS, {"first": 4, "second": 4}, {"first": 3, "second": 4})}) == 3
