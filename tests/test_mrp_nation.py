"""The study of poststratification on simulated nations: its estimands, the estimators it compares with, and its compiled pieces."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from bayes_listexp import ListExperiment, Specification, change_in_means, difference_in_means, formulas
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, constrain
from bayes_listexp.simulated_nation import nation, population, true_changes
from bayes_listexp.specification import blueprint
from benchmarks import mrp_nation as study_of_nations
from benchmarks.nation_estimators import (
    by_difference,
    estimands,
    from_draws,
    no_pooling,
    separate_posteriors,
    true_values,
    with_changes,
)


@pytest.fixture(scope="module")
def simulated():
    return nation(seed=5, n_per_wave=150, waves=study_of_nations.WAVES)


@pytest.fixture(scope="module")
def study(simulated):
    return ListExperiment.from_frame(simulated.survey, answer="answer", arm="arm", J=4, wave="wave", weights="weight", ids="id")


@pytest.fixture(scope="module")
def targets(simulated, study):
    return estimands(simulated.population, study.waves)


def place(targets, **where):
    """Position of the one estimand that matches."""
    rows = targets.table
    for column, value in where.items():
        rows = rows[rows[column] == value]
    [at] = rows.index
    return at


def test_estimands_are_in_the_order_of_their_values(simulated, study, targets):
    truth = true_values(simulated, targets, study.waves)
    assert len(truth) == len(targets.table) == 81 * 12
    levels = simulated.truth.set_index(["group", "level", "wave"])["prevalence"]
    assert truth[place(targets, group="region", level="Ulytau", when="2023-10")] == levels["region", "Ulytau", "2023-10"]
    for kind, pair in (("wave to wave", ("2022-11", "2023-03")), ("first to last", ("2022-09", "2024-08"))):
        changes = true_changes(simulated.truth, *pair).set_index(["group", "level"])["change"]
        for group, level in (("all", "all"), ("region:ethnicity", "Almaty:Russian")):
            at = place(targets, group=group, level=level, kind=kind, when=" to ".join(pair))
            assert truth[at] == pytest.approx(changes[group, level], abs=1e-12)
    for weights in targets.weights.values():
        assert weights.sum(axis=0) == pytest.approx(np.ones(weights.shape[1]))


def test_draws_become_means_and_intervals_of_prevalences_and_changes():
    rng = np.random.default_rng(1)
    draws = {group: rng.random((500, size, 3)) for group, size in (("all", 1), ("region", 2), ("region:ethnicity", 3))}
    found = from_draws(draws)
    assert found.shape == (6 * 6, 3)
    of_second_region = draws["region"][:, 1]
    assert found[6 + 3] == pytest.approx([of_second_region[:, 0].mean(), *np.quantile(of_second_region[:, 0], [0.025, 0.975])])
    last = of_second_region[:, 2] - of_second_region[:, 0]
    assert found[6 + 6 + 5] == pytest.approx([last.mean(), *np.quantile(last, [0.025, 0.975])])
    assert with_changes(np.array([[1.0, 2.0, 4.0]])).tolist() == [1, 2, 4, 1, 2, 3]


@pytest.mark.parametrize("weighted", [False, True])
def test_differences_are_the_packages_own(study, targets, weighted):
    found = by_difference(study, targets, weighted=weighted)
    table = difference_in_means(study, by=["wave", "region"], weighted=weighted).set_index(["region", "wave"])
    change = change_in_means(study, "2022-09", "2024-08", by="region", weighted=weighted).set_index("region")
    columns = ["estimate", "lower", "upper"]
    for region in ("Almaty", "Astana"):
        at = place(targets, group="region", level=region, when="2022-11")
        assert found[at] == pytest.approx(table.loc[(region, "2022-11"), columns].to_numpy(dtype=float))
        at = place(targets, group="region", level=region, kind="first to last")
        assert found[at] == pytest.approx(change.loc[region, columns].to_numpy(dtype=float))
    assert np.isnan(found[:, 0]).mean() > 0.5  # groups by ethnicity of 150 people


def test_a_stratum_by_itself_has_its_exact_posterior():
    """Against a grid over the prevalence and the popularity of a single control item, where Dirichlet(1/2, 1/2) is Beta."""
    control, treatment = np.array([[6, 9], [0, 0]]), np.array([[3, 8, 4], [0, 0, 0]])
    draws = separate_posteriors(control, treatment, np.random.default_rng(3), draws=5000)
    p, q = np.meshgrid((np.arange(400) + 0.5) / 400, (np.arange(400) + 0.5) / 400)
    log = (6 - 0.5) * np.log(1 - q) + (9 - 0.5) * np.log(q) + 3 * np.log((1 - p) * (1 - q)) + 4 * np.log(p * q)
    density = np.exp(log + 8 * np.log(p * (1 - q) + (1 - p) * q))
    mean = (density * p).sum() / density.sum()
    sd = np.sqrt((density * (p - mean) ** 2).sum() / density.sum())
    # successive draws are correlated: 5000 of them, thinned by 4, are worth 1000 or more
    assert draws[:, 0].mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(1000))
    assert draws[:, 0].std() == pytest.approx(sd, rel=0.1)
    assert draws[:, 1].mean() == pytest.approx(0.5, abs=0.02)  # nobody was asked: the prior


def test_no_pooling_of_everybody_is_weighted_by_the_frame(simulated, targets):
    """Everybody in the control arm answers 0; in the treatment arm 1 in Almaty, where all have the trait, and else 0."""
    frame = population()
    counts = {"control": np.zeros((len(frame), 6, 5)), "treatment": np.zeros((len(frame), 6, 6))}
    counts["control"][..., 0] = 10_000
    almaty = (frame["region"] == "Almaty").to_numpy()
    counts["treatment"][almaty, :, 1] = 10_000
    counts["treatment"][~almaty, :, 0] = 10_000
    found = no_pooling(counts, frame, targets, 1, draws=100)
    expected = frame["N"][almaty].sum() / frame["N"].sum()
    assert found[place(targets, group="all", when="2023-03"), 0] == pytest.approx(expected, abs=1e-3)
    assert found[place(targets, group="region:ethnicity", level="Almaty:other", when="2023-03"), 0] > 0.999


@pytest.fixture(scope="module")
def shared():
    """The engine of small nations without its machine code, and its plan."""
    template = study_of_nations.template(60)
    plan = blueprint(template, Specification(**study_of_nations.MODELS["structured"]))
    model = build_model(plan)
    grid = pd.MultiIndex.from_frame(plan.cells.frame[study_of_nations.COLUMNS].astype(str))
    rows = study_of_nations.every_cell(population(), template.waves)
    chances = study_of_nations.chances_of(plan, model, rows)
    density = Density(lambda x: (0.0, x), np.zeros(sum(int(np.prod(np.shape(v))) for v in model.initial_point().values())))
    return study_of_nations.Engine(model, density, grid, study_of_nations.at_every_cell(model), chances), plan


def test_the_template_has_every_cell_and_everybody_in_every_level(shared):
    engine, plan = shared
    assert len(engine.grid) == 240 * 6
    assert all(term.sampled.all() for bound in plan.designs.values() for term in bound.groups)


def test_prevalences_of_draws_are_the_models(shared):
    engine, plan = shared
    draws = np.random.default_rng(2).normal(0, 0.5, (3, len(engine.density.start)))
    found = engine.chances(draws)
    posterior = constrain(engine.model, draws[None])
    bound = plan.designs["trait"]
    names = [f"trait_{part}" for part in ("intercept", "slope", *(g.name for g in bound.groups))]
    parameters = {name: posterior[name].to_numpy()[0] for name in names}
    rows = study_of_nations.every_cell(population(), tuple(plan.cells.frame["wave"].cat.categories))
    expected = expit(formulas.linear_predictor(parameters, "trait", bound.evaluate(rows)))
    np.testing.assert_allclose(found.reshape(3, -1), expected, rtol=1e-10)


def test_a_nations_answers_reach_the_model(shared, simulated):
    engine, _ = shared
    counts = study_of_nations.answers_of(engine, simulated.survey)
    assert sum(table.sum() for table in counts.values()) == simulated.survey["answer"].notna().sum()
    cells = study_of_nations.give(engine, counts)
    assert cells == (sum(table.sum(axis=1) for table in counts.values()) > 0).sum()
    assert engine.model["treatment_counts"].get_value().sum() == counts["treatment"].sum()
    assert {len(engine.model[name].get_value()) for name in engine.data} == {cells}


def test_results_survive_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"seed": 1}\n{"seed": 2}\n{"se', encoding="utf-8")
    assert [line["seed"] for line in study_of_nations.lines(path)] == [1, 2]


def test_measures_of_known_results(tmp_path, monkeypatch):
    """Two nations: MRP always 0.1 too high and covering in one of them, the others exact; DIM without an estimate once."""
    monkeypatch.setattr(study_of_nations, "RESULTS", tmp_path)
    truth = np.full(81 * 12, 0.4)
    exact = np.column_stack([truth, truth - 0.1, truth + 0.1])
    lines = []
    for seed, reach in ((1, 0.2), (2, 0.05)):
        mrp = np.column_stack([truth + 0.1, truth + 0.1 - reach, truth + 0.1 + reach])
        dim = exact.copy()
        dim[0] = np.nan if seed == 1 else exact[0]
        dim[1] = 1.2
        estimates = {"MRP": mrp, "DIM": dim, "weighted DIM": exact, "no pooling": exact}
        lines.append({"seed": seed, "went": {"cells": 1, "sampling": 1.0}, "truth": truth.tolist(),
                      "estimates": {name: study_of_nations.rounded(values) for name, values in estimates.items()}})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    study_of_nations.results_file("structured", "nuts", 400, 1.0).write_text(text, encoding="utf-8")
    table = study_of_nations.measures("structured", "nuts", 400, 1.0).set_index(["group", "kind", "estimator"])
    mrp, dim = table.loc[("all", "prevalence", "MRP")], table.loc[("all", "prevalence", "DIM")]
    assert mrp[["RMSE", "bias", "coverage", "its s.e.", "width"]].tolist() == pytest.approx([0.1, 0.1, 0.5, 0.5, 0.25])
    assert dim[["undefined", "impossible"]].tolist() == pytest.approx([1 / 12, 2 / 12])
    assert dim["coverage"] == pytest.approx(9 / 11)
    assert table.loc[("region", "first to last", "no pooling"), "coverage"] == 1
    assert "## 400 interviews a wave, 2 nations" in study_of_nations.summary("structured", "nuts")
