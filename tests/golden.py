"""Golden posteriors: what fixed models said about a fixed study when they were last looked at.

``python tests/golden.py [study ...]`` fits studies (all without names) by long NUTS runs and writes tests/golden/posteriors.json: mean,
standard deviation and quantiles with their Monte Carlo errors; and tests/golden/densities.json, the log density of many more models at
fixed points, which is exact. tests/test_golden.py holds the package against both. Run it only for a change that is meant to move
results, and say why.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats

from bayes_listexp import DirectQuestion, KnownPrevalence, ListExperiment, Specification, fit, prevalence
from bayes_listexp.model import build_model
from bayes_listexp.sampling import initial_values
from bayes_listexp.specification import blueprint

FOLDER = Path(__file__).parent / "golden"
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
J = 4

ANSWERS: Mapping[tuple[str, str, str], list[int]] = {
    ("2022-09", "men", "control"): [9, 34, 58, 39, 10],
    ("2022-09", "men", "treatment"): [5, 21, 47, 49, 23, 5],
    ("2022-09", "women", "control"): [12, 41, 54, 33, 10],
    ("2022-09", "women", "treatment"): [8, 27, 51, 42, 19, 3],
    ("2022-11", "men", "control"): [11, 30, 61, 37, 11],
    ("2022-11", "men", "treatment"): [8, 25, 50, 45, 18, 4],
    ("2022-11", "women", "control"): [14, 38, 55, 36, 7],
    ("2022-11", "women", "treatment"): [11, 33, 52, 38, 14, 2],
}
"""Respondents by answer: made up, like two waves of 600."""

POSTERIORS: Mapping[str, dict[str, Any]] = {
    "default": {"trait": "1 + gender + wave", "control": "1 + gender + wave"},
    "liars": {"response": "liars", "dependence": "none"},
    "binomial": {"counts": "binomial", "trait": "1 + wave", "control": "1 + wave"},
    "beta-binomial, free": {"counts": "beta_binomial", "dependence": "free"},
    "known prevalence": {"trait": "1 + wave", "margins": (KnownPrevalence({"wave": "2022-09"}, yes=40, n=100),)},
}
"""Arguments of ``fit`` by study. All have few parameters and no long tails, so that the quick look is as good as exact. With
a lapse, posteriors have tails that its proposals hardly reach."""

PLACES = [f"place {i}" for i in range(6)]
BORDERS = [(PLACES[i], PLACES[j]) for i, j in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5), (1, 4))]
DENSITIES: Mapping[str, dict[str, Any]] = {
    "exchangeable": {"trait": "1 + gender + (1|place) + (1|place:gender)", "control": "1 + (1|place)"},
    "correlated slopes": {"trait": "1 + gender + (1 + gender|place)"},
    "random walks": {"trait": "1 + gender + (1|rw1(month)) + (1|gender:rw2(month))"},
    "over time": {"trait": "1 + (1|ar1(month))", "control": "1 + (1|gp(month))"},
    "map": {"trait": "1 + (1|bym2(place))", "control": "1 + (1|icar(place))", "neighbours": {"place": BORDERS}},
    "responses": {"response": "top_coded", "counts": "com_binomial", "dependence": "linear"},
    "deflated": {"response": "deflated", "counts": "poisson_binomial", "dependence": "none"},
    "saturated": {"dependence": "saturated", "trait": "1 + gender", "control": "1 + gender"},
    "direct question": {"response": "liars", "trait": "1 + gender"},
    "pseudo-posterior": {"trait": "1 + gender", "weighting": "pseudo"},
}
"""Specifications by name: structures of group effects, responses and instruments that no quick look does justice to."""


def study() -> ListExperiment:
    """Two waves of answers in a table of counts."""
    rows = [(wave, gender, arm, y, n) for (wave, gender, arm), table in ANSWERS.items() for y, n in enumerate(table)]
    frame = pd.DataFrame(rows, columns=["wave", "gender", "arm", "answer", "n"])
    return ListExperiment.from_counts(frame, answer="answer", arm="arm", n="n", J=J, wave="wave")


def respondents(*, direct: bool, weighted: bool) -> ListExperiment:
    """216 people of six places in six months, by arithmetic alone."""
    i = np.arange(216)
    frame = pd.DataFrame({
        "place": [PLACES[k] for k in i % 6], "gender": np.where(i % 7 < 3, "women", "men"), "arm": (i // 6) % 2,
        "month": [f"2022-{1 + m:02d}" for m in (i // 12) % 6], "answer": (i * 5 // 3 + i % 4) % 5, "weight": 0.5 + (i % 3) / 2,
        "said": np.where(i % 5 < 2, "yes", "no"),
    })  # fmt: skip
    return ListExperiment.from_frame(
        frame, answer="answer", arm="arm", J=J, instruments=[DirectQuestion("said", yes="yes", no="no")] if direct else [],
        weights="weight" if weighted else None,
    )


def log_density(name: str) -> list[float]:
    """Of one of :data:`DENSITIES` at two points of the unconstrained scale."""
    arguments = DENSITIES[name]
    made = respondents(direct=name == "direct question", weighted=arguments.get("weighting") == "pseudo")
    model = build_model(blueprint(made, Specification(**arguments), []))
    compiled = model.compile_logp(mode="FAST_COMPILE")
    start = initial_values(model)
    size = sum(value.size for value in start.values())
    found = []
    for width in (0.3, 1.2):
        vector, point = width * np.sin(1.0 + np.arange(size)), {}
        for key, value in start.items():
            point[key], vector = vector[: value.size].reshape(value.shape), vector[value.size :]
        found.append(float(compiled(point)))
    return found


def quantities(tree: xr.DataTree) -> dict[str, np.ndarray]:
    """Everything of a posterior that is a number, and everybody's prevalence by wave: (chain, draw) each."""
    posterior = {**tree["posterior"].to_dataset().data_vars, "prevalence": prevalence(tree, by=["wave"])}
    found = {}
    for name, values in posterior.items():
        array = values.transpose("chain", "draw", ...).to_numpy()
        flat = array.reshape(*array.shape[:2], -1)
        found |= {f"{name}[{i}]" if flat.shape[2] > 1 else name: flat[..., i] for i in range(flat.shape[2])}
    return found


def golden(draws: np.ndarray) -> dict[str, list[float]]:
    """Summaries of (chain, draw) as [value, Monte Carlo error]."""
    axes = {"chain_axis": 0, "draw_axis": 1}
    out = {"mean": [draws.mean(), array_stats.mcse(draws, method="mean", **axes)],
           "sd": [draws.std(ddof=1), array_stats.mcse(draws, method="sd", **axes)]}  # fmt: skip
    for p in QUANTILES:
        out[f"q{p}"] = [np.quantile(draws, p), array_stats.mcse(draws, method="quantile", prob=p, **axes)]
    return {name: [float(f"{number:.6g}") for number in pair] for name, pair in out.items()}


def main() -> None:
    """Write both files."""
    FOLDER.mkdir(exist_ok=True)
    densities = {name: log_density(name) for name in DENSITIES}
    (FOLDER / "densities.json").write_text(json.dumps(densities, indent=1) + "\n", encoding="utf-8")
    path = FOLDER / "posteriors.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    posteriors = {name: kept[name] for name in POSTERIORS if name in kept}
    for name in sys.argv[1:] or POSTERIORS:
        tree = fit(study(), sample={"draws": 5000, "tune": 1000, "target_accept": 0.95}, seed=1, **POSTERIORS[name])
        posteriors[name] = {key: golden(draws) for key, draws in quantities(tree).items()}
        sys.stderr.write(f"{name}: {int(tree['sample_stats']['diverging'].sum())} divergences\n")
    path.write_text(json.dumps(posteriors, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
