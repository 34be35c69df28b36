"""Change between waves in simulated panels, with and without person effects: error, interval width and coverage.

``python benchmarks/panel.py [panels]`` prints the table of docs/panel.md. Each panel has 600 people whose control counts differ
strongly (sd 1.5 on the logit scale), asked in two waves; they keep their list in both waves or draw it anew. Models are fitted at the
mode with the default priors, one compiled density being given the data of every panel in turn.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pymc as pm
from scipy.optimize import minimize
from scipy.special import expit

from bayes_listexp import ListExperiment, Specification, change_in_means
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, compile_density, constrain
from bayes_listexp.simulate import draw_studies
from bayes_listexp.specification import Blueprint, blueprint

PEOPLE, J = 600, 4
TRUTH = {"trait_intercept": -0.2, "trait_slope": [-0.7], "control_intercept": 0.1, "control_slope": [0.1], "control_shift": 0.0,
         "person_count_sd": 1.5}
DESIGNS = {"lists kept": True, "lists drawn anew": False}
MODELS = {"none, binomial": ("none", "binomial"), "none, softmax": ("none", "softmax"), "count, binomial": ("count", "binomial"),
          "count, softmax": ("count", "softmax")}


def panel(keep: bool) -> ListExperiment:
    """The design: everybody in both waves, half of them with the treatment list in each."""
    rng = np.random.default_rng(1)
    arm = np.arange(PEOPLE) % 2
    waves = [pd.DataFrame({"id": np.arange(PEOPLE), "wave": w, "y": 0, "t": arm if keep else rng.permutation(arm)}) for w in "12"]
    return ListExperiment.from_frame(pd.concat(waves, ignore_index=True), answer="y", arm="t", J=J, wave="wave", ids="id", covariates=[])


def give(model: pm.Model, other: pm.Model) -> None:
    """Give a compiled model another study's data."""
    for variable in model.data_vars:
        variable.set_value(other[variable.name].get_value())


def draws_at_mode(density: Density, start: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mode, and draws from the normal approximation there, (draw, parameter)."""
    mode = minimize(lambda x: [-part for part in density.function(x)], start, jac=True, options={"maxiter": 500}).x
    moves = 1e-4 * np.eye(len(mode))
    hessian = np.array([density.function(mode - move)[1] - density.function(mode + move)[1] for move in moves]) / 2e-4
    return mode, rng.multivariate_normal(mode, np.linalg.inv((hessian + hessian.T) / 2), size=2000)


def change_of(plan: Blueprint, model: pm.Model, draws: np.ndarray) -> np.ndarray:
    """Change in prevalence from the first to the second wave, (draw,)."""
    posterior = constrain(model, draws[None])
    slopes = plan.designs["trait"].evaluate(plan.cells.frame).slopes[:, 0]
    first, second = (expit(posterior["trait_intercept"][0] + posterior["trait_slope"][0, :, 0] * x).to_numpy() for x in slopes)
    return np.asarray(second - first)


def run(keep: bool, panels: int) -> pd.DataFrame:
    """One row per model and one for the difference in means with persons as units, averaged over panels."""
    template, rng = panel(keep), np.random.default_rng(2)
    drawn = list(draw_studies(template, Specification(counts="binomial", person="count"), TRUTH, seed=3, number=panels))
    wave = drawn[0].study.table["wave"].to_numpy()
    truth = drawn[0].prevalence[wave == "2"][0] - drawn[0].prevalence[wave == "1"][0]
    rows = []
    for name, (person, counts) in MODELS.items():
        specification, density = Specification(counts=counts, person=person), None
        for one in drawn:
            plan = blueprint(one.study, specification)
            own = build_model(plan)
            if density is None:
                model, density = own, compile_density(own, mode="FAST_COMPILE")
                start = density.start
            give(model, own)
            start, draws = draws_at_mode(density, start, rng)
            found = change_of(plan, model, draws)
            rows.append([name, found.mean(), *np.quantile(found, [0.025, 0.975])])
    for one in drawn:
        dim = change_in_means(one.study, "1", "2").iloc[0]
        rows.append(["difference in means, persons as units", *dim[["estimate", "lower", "upper"]]])
    table = pd.DataFrame(rows, columns=["model", "estimate", "lower", "upper"])
    covered = (table["lower"] < truth) & (truth < table["upper"])
    table = table.assign(error=table["estimate"] - truth, square=(table["estimate"] - truth) ** 2, width=table["upper"] - table["lower"],
                         coverage=covered.astype(float))
    means = table.groupby("model", sort=False)[["error", "square", "width", "coverage"]].mean()
    return means.assign(rmse=np.sqrt(means["square"])).drop(columns="square")


def main(panels: int) -> None:
    """Print the table, row by row."""
    print("| lists | model | mean error | RMSE | mean width of 95 % intervals | coverage |\n| --- | --- | --- | --- | --- | --- |")
    for design in DESIGNS:
        found = run(DESIGNS[design], panels)
        for name, row in found.iterrows():
            shown = [f"{row[key]:.3f}" for key in ("error", "rmse", "width")]
            print(f"| {' | '.join([design, str(name), *shown])} | {row['coverage']:.2f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
