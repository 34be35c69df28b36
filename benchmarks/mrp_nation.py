"""Multilevel regression and poststratification of a list experiment on simulated nations, against estimators that do not pool.

Each nation (:mod:`bayes_listexp.simulated_nation`) has 20 regions, 3 ethnicities and 6 waves, an oversample of two cities and
refusals by education, and effects of its own. Estimands: the prevalence of everybody, of every region and of every region by
ethnicity, in each wave; and each change, from one wave to the next and from the first to the last. Estimators:

* MRP: the hierarchical model below by NUTS, poststratified to the frame;
* DIM and weighted DIM: :func:`bayes_listexp.difference_in_means` of the group's own respondents in the wave;
* no pooling: the model's likelihood (a prevalence, and any distribution of the control counts) for each group and wave by itself,
  with priors that hardly say anything: prevalence uniform, counts Dirichlet(1/2, ...) and the same for either trait, as a stratum
  cannot tell otherwise (the control items do depend on the trait a little, which MRP's model allows for). Everybody's prevalence is
  that of six strata (Almaty, Astana, the rest, each by education) weighted by the frame, which undoes the oversample and the refusals;
  groups are not stratified further, as that costs more variance than the refusals cost bias. It is drawn by Gibbs sampling.

One density is compiled for all nations of a size; each nation gives it its cells. Commands (``--help`` has the options):

    python -m benchmarks.mrp_nation run --n 400 --nations 100    add nations to benchmarks/results/, where those there are kept
    python -m benchmarks.mrp_nation check --n 400 --nations 2    the same nations by long chains: is the short run the same?
    python -m benchmarks.mrp_nation profile --n 400              where the time of one nation goes
    python -m benchmarks.mrp_nation summary                      print the page docs/mrp.md
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from arviz_stats.base import array_stats
from pytensor.graph.replace import vectorize_graph
from scipy.special import expit

from bayes_listexp import ListExperiment, Specification, formulas
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, Sampler, compile_density, find_mode, sample_nuts
from bayes_listexp.simulated_nation import borders, nation, population
from bayes_listexp.specification import Blueprint, blueprint
from benchmarks.nation_estimators import (
    GROUPS,
    Estimands,
    by_difference,
    estimands,
    from_draws,
    no_pooling,
    true_values,
    with_changes,
)

MODELS: Mapping[str, Mapping[str, Any]] = {
    "structured": {
        "trait": "1 + gender + education + (1|rw1(wave)) + (1|bym2(region)) + (1|ethnicity) + (1|region:ethnicity)"
        " + (1|rw1(wave):region) + (1|rw1(wave):ethnicity)",
        "control": "1 + gender + education + (1|rw1(wave)) + (1|region) + (1|ethnicity)",
        "neighbours": {"region": borders()},
    },
    "exchangeable": {
        "trait": "1 + gender + education + (1|wave) + (1|region) + (1|ethnicity) + (1|region:ethnicity)"
        " + (1|wave:region) + (1|wave:ethnicity)",
        "control": "1 + gender + education + (1|wave) + (1|region) + (1|ethnicity)",
    },
}
MODEL = "structured"
"""Which of the two, unless ``--model`` says otherwise."""

SIZES = (400, 1600, 10000)
PACES = (1.0, 1.125)
"""How fast the prevalence moves: as the default priors expect, and faster."""

J, WAVES = 4, 6
COLUMNS = ["region", "ethnicity", "gender", "education", "wave"]
ESTIMATORS = ("MRP", "DIM", "weighted DIM", "no pooling")
SHORT = Sampler(draws=300, tune=250, chains=2, target_accept=0.9, cores=1)
LONG = Sampler(draws=1500, tune=1000, chains=4, target_accept=0.95, cores=1)
RESULTS = Path(__file__).parent / "results"


class Engine(NamedTuple):
    """What all nations of a size share: the compiled density with its data at every cell, and the prevalences it implies.

    ``grid`` has every cell of the frame in every wave, as in the model; ``data`` are the model's data there;
    ``chances`` takes unconstrained draws (draw, parameter) to prevalences (draw, cell of the frame, wave).
    """

    model: pm.Model
    density: Density
    grid: pd.MultiIndex
    data: Mapping[str, np.ndarray]
    chances: Callable[[np.ndarray], np.ndarray]


# The model


def engine(n: int, name: str = MODEL) -> Engine:
    """Compile the model for nations of ``n`` interviews a wave, from one of them in which every level has somebody."""
    plan = blueprint(template(n), Specification(**MODELS[name]))
    model = build_model(plan)
    density = compile_density(model)
    grid = pd.MultiIndex.from_frame(plan.cells.frame[COLUMNS].astype(str))
    chances = chances_of(plan, model, every_cell(population(), tuple(plan.cells.frame["wave"].cat.categories)))
    return Engine(model, density, grid, at_every_cell(model), chances)


def at_every_cell(model: pm.Model) -> dict[str, np.ndarray]:
    """The model's data that have a row per cell."""
    dims = model.named_vars_to_dims
    return {v.name: v.get_value() for v in model.data_vars if (dims.get(v.name) or ("",))[0] == "cell"}


def every_cell(frame: pd.DataFrame, waves: tuple[str, ...]) -> pd.DataFrame:
    """The frame's cells in every wave, waves within cells."""
    return frame.drop(columns="N").merge(pd.DataFrame({"wave": waves}), how="cross")


def template(n: int) -> ListExperiment:
    """A nation in counts with a row for every cell of the frame, and at least one respondent of every region and ethnicity in
    every wave, so that all levels are in the model.
    """
    simulated = nation(seed=0x7FFFFFFF, n_per_wave=n, waves=WAVES)
    survey = simulated.survey.dropna(subset=["answer"])
    cells = every_cell(simulated.population, tuple(dict.fromkeys(survey["wave"]))).assign(arm="control", answer=0.0)
    first = ~cells.duplicated(["region", "ethnicity", "wave"])
    keys = [*COLUMNS, "arm", "answer"]
    rows = pd.concat([survey[keys].assign(n=1), cells[keys].assign(n=first.astype(int))])
    return ListExperiment.from_counts(rows.groupby(keys, as_index=False)["n"].sum(), answer="answer", arm="arm", n="n", J=J, wave="wave")


def chances_of(plan: Blueprint, model: pm.Model, rows: pd.DataFrame) -> Callable[[np.ndarray], np.ndarray]:
    """A compiled function from unconstrained draws (draw, parameter) to the prevalence (draw, cell, wave) at ``rows``."""
    bound = plan.designs["trait"]
    names = [f"trait_{part}" for part in ("intercept", "slope", *(g.name for g in bound.groups))]
    parameters = {name: model[name] for name in names if name in model.named_vars}
    [logit] = model.replace_rvs_by_values([formulas.linear_predictor(parameters, "trait", bound.evaluate(rows))])
    start = model.initial_point()
    shapes = [np.shape(start[v.name]) for v in model.value_vars]
    batched = [pt.tensor(v.name, dtype="float64", shape=(None, *s)) for v, s in zip(model.value_vars, shapes, strict=True)]
    graph = vectorize_graph(logit, dict(zip(model.value_vars, batched, strict=True)))
    compiled = pytensor.function(batched, graph, mode="FAST_COMPILE", on_unused_input="ignore")
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def chances(draws: np.ndarray) -> np.ndarray:
        parts = [p.reshape(-1, *s) for p, s in zip(np.split(draws, ends, axis=1), shapes, strict=True)]
        return expit(compiled(*parts)).reshape(len(draws), -1, WAVES)

    return chances


def answers_of(shared: Engine, survey: pd.DataFrame) -> dict[str, np.ndarray]:
    """Numbers of answers by arm at every cell of the grid, (cell, answer)."""
    given = survey.dropna(subset=["answer"])
    cell = shared.grid.get_indexer(pd.MultiIndex.from_frame(given[COLUMNS]))
    out = {}
    for arm, size in (("control", J + 1), ("treatment", J + 2)):
        own = (given["arm"] == arm).to_numpy()
        index = cell[own] * size + given["answer"].to_numpy(dtype=int)[own]
        out[arm] = np.bincount(index, minlength=len(shared.grid) * size).reshape(-1, size)
    return out


def give(shared: Engine, counts: Mapping[str, np.ndarray], *, empty: bool = False) -> int:
    """Give the compiled density one nation's cells, without the ``empty`` ones; how many there are."""
    kept = np.flatnonzero(empty | (counts["control"].sum(axis=1) + counts["treatment"].sum(axis=1) > 0))
    data = {**shared.data, **{f"{arm}_counts": table for arm, table in counts.items()}}
    for name, values in data.items():
        shared.model[name].set_value(values[kept].astype(shared.data[name].dtype))
    if "control_basis" in shared.model.named_vars:
        shared.model["control_basis"].set_value(shape_basis(counts["control"].sum(axis=0)))
    return len(kept)


def posterior(shared: Engine, sampler: Sampler, seed: int, method: str) -> tuple[np.ndarray, dict[str, float]]:
    """Prevalences (chain, draw, cell, wave), and how the sampling went."""
    if method == "map" and (mode := find_mode(shared.density, seed)).covariance is not None:
        draws = np.random.default_rng(seed).multivariate_normal(mode.point, mode.covariance, size=(1, 2000), method="cholesky")
        return shared.chances(draws[0])[None], {"mode": 1.0}
    draws, stats = sample_nuts(shared.density, sampler, seed)
    prevalence = shared.chances(draws.reshape(-1, draws.shape[-1])).reshape(*draws.shape[:2], -1, WAVES)
    went = {"divergences": int(stats["diverging"].sum()), "steps": float(stats["n_steps"].mean()),
            "depth": float(stats["tree_depth"].mean())}  # fmt: skip
    return prevalence, went


def poststratified(prevalence: np.ndarray, targets: Estimands) -> dict[str, np.ndarray]:
    """Draws (draw, level, wave) by group, from those of cells (chain, draw, cell, wave)."""
    flat = prevalence.reshape(-1, *prevalence.shape[2:])
    return {group: np.einsum("dcw,cl->dlw", flat, weights, optimize=True) for group, weights in targets.weights.items()}


def convergence(prevalence: np.ndarray, targets: Estimands) -> dict[str, float]:
    """The largest R-hat and least effective number of draws of everybody's and the regions' prevalences and changes."""
    if len(prevalence) < 2:
        return {}
    found = poststratified(prevalence, targets)
    draws = np.concatenate([with_changes(found[group]) for group in ("all", "region")], axis=-1)
    chains = draws.reshape(*prevalence.shape[:2], -1)
    rhat, ess = array_stats.rhat(chains, chain_axis=0, draw_axis=1), array_stats.ess(chains, chain_axis=0, draw_axis=1)
    return {"rhat": float(np.max(rhat)), "ess": float(np.min(ess)), "median ess": float(np.median(ess))}


def one_nation(shared: Engine, n: int, seed: int, method: str, pace: float, sampler: Sampler = SHORT) -> dict[str, Any]:
    """Everything about one nation, as a line of the results: truth and estimates in the order of the estimands."""
    begun = time.perf_counter()
    simulated = nation(seed=seed, n_per_wave=n, waves=WAVES, pace=pace)
    study = ListExperiment.from_frame(simulated.survey, answer="answer", arm="arm", J=J, wave="wave", weights="weight", ids="id")
    targets = estimands(simulated.population, study.waves)
    counts = answers_of(shared, simulated.survey)
    cells = give(shared, counts)
    sampling = time.perf_counter()
    prevalence, went = posterior(shared, sampler, seed, method)
    sampled = time.perf_counter()
    order = shared.grid.get_indexer(pd.MultiIndex.from_frame(every_cell(simulated.population, study.waves)[COLUMNS]))
    by_cell = {arm: table[order].reshape(-1, WAVES, table.shape[1]) for arm, table in counts.items()}
    found = {
        "MRP": from_draws(poststratified(prevalence, targets)),
        "DIM": by_difference(study, targets, weighted=False),
        "weighted DIM": by_difference(study, targets, weighted=True),
        "no pooling": no_pooling(by_cell, simulated.population, targets, seed),
    }
    went |= {**convergence(prevalence, targets), "cells": cells, "sampling": sampled - sampling, "seconds": time.perf_counter() - begun}
    return {"n": n, "seed": seed, "method": method, "pace": pace, "went": went,
            "truth": rounded(true_values(simulated, targets, study.waves)),
            "estimates": {name: rounded(values) for name, values in found.items()}}  # fmt: skip


def rounded(values: np.ndarray) -> Any:
    """Nested lists with five decimals, None for NaN: what JSON can hold."""
    values = np.round(values, 5)
    return np.where(np.isnan(values), None, values).tolist()


# Running


_ENGINE: dict[str, Engine] = {}
"""The engine of this process."""


def _start(n: int, model: str) -> None:
    os.nice(5)
    _ENGINE["own"] = engine(n, model)


def _work(n: int, seed: int, method: str, pace: float) -> dict[str, Any]:
    return one_nation(_ENGINE["own"], n, seed, method, pace)


def results_file(model: str, method: str, n: int, pace: float) -> Path:
    """Where the nations of a size and pace are kept, one a line."""
    return RESULTS / f"nations_{model}_{method}_{n}{'' if pace == 1 else f'_pace_{pace:g}'}.jsonl"


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The nations of a file; a last line that was cut off is none."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


def run(n: int, nations: int, method: str, model: str, pace: float, processes: int, first: int = 1) -> None:
    """Add the nations with seeds ``first``, ... ``nations`` that the file does not have yet."""
    path = results_file(model, method, n, pace)
    path.parent.mkdir(exist_ok=True)
    kept = list(lines(path))
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    wanted = sorted(set(range(first, nations + 1)) - {line["seed"] for line in kept})
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_start, initargs=(n, model))
    with pool, path.open("a", encoding="utf-8") as out:
        for future in as_completed([pool.submit(_work, n, seed, method, pace) for seed in wanted]):
            line = future.result()
            out.write(json.dumps(line) + "\n")
            out.flush()
            print(f"n = {n}, nation {line['seed']}: {shown(line['went'])}", file=sys.stderr, flush=True)


def shown(went: Mapping[str, float]) -> str:
    """How the sampling went, in a line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in went.items())


def check(n: int, nations: int, model: str) -> pd.DataFrame:
    """Short against long chains, of the same nations: differences of the posterior means in units of the long run's sd, and ratios
    of the widths of the 95 % intervals, over all estimands; a row per nation.
    """
    shared, rows = engine(n, model), []
    for seed in range(1, nations + 1):
        simulated = nation(seed=seed, n_per_wave=n, waves=WAVES)
        targets = estimands(simulated.population, tuple(dict.fromkeys(simulated.survey["wave"])))
        give(shared, answers_of(shared, simulated.survey))
        found, went = [], []
        for sampler in (SHORT, LONG):
            prevalence, how = posterior(shared, sampler, seed, "nuts")
            draws = poststratified(prevalence, targets)
            found.append(np.concatenate([with_changes(draws[group]) for group in GROUPS], axis=-1))
            went.append(how | convergence(prevalence, targets))
        (short, long), sd = (f.mean(axis=0) for f in found), found[1].std(axis=0)
        off, ratio = (short - long) / sd, found[0].std(axis=0) / sd
        rows.append({"n": n, "nation": seed, "rms difference of means": np.sqrt((off**2).mean()), "largest": np.abs(off).max(),
                     "mean ratio of sds": ratio.mean(), "least": ratio.min(), "greatest": ratio.max(),
                     "R-hat short": went[0]["rhat"], "R-hat long": went[1]["rhat"]})  # fmt: skip
        print(shown(went[0]), shown(went[1]), sep="\n", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    RESULTS.mkdir(exist_ok=True)
    table.to_csv(RESULTS / f"{model}_check_{n}.csv", index=False)
    return table


def profile(n: int, model: str) -> str:
    """Where the time of one nation goes."""
    begun = time.perf_counter()
    shared = engine(n, model)
    shared.density.function(shared.density.start)
    out = [f"compile {time.perf_counter() - begun:.1f} s, {len(shared.density.start)} parameters"]
    counts = answers_of(shared, nation(seed=1, n_per_wave=n, waves=WAVES).survey)
    values = []
    for empty in (False, True):
        cells = give(shared, counts, empty=empty)
        begun = time.process_time()
        for _ in range(500):
            value, gradient = shared.density.function(shared.density.start)
        took = (time.process_time() - begun) / 500
        values.append(np.append(gradient, value))
        out.append(f"{cells} cells: {1e6 * took:.0f} microseconds a gradient, {1e6 * took / cells:.3f} a cell")
    np.testing.assert_allclose(*values, rtol=1e-8, atol=1e-8)  # cells without respondents say nothing
    line = one_nation(shared, n, 1, "nuts", 1.0)
    return "\n".join([*out, shown(line["went"])])


# The summary


def measures(model: str, method: str, n: int, pace: float) -> pd.DataFrame:
    """A row per group, kind of estimand and estimator."""
    kept = list(lines(results_file(model, method, n, pace)))
    waves = tuple(nation(n_per_wave=2, waves=WAVES).survey["wave"].unique())
    table = estimands(population(), waves).table
    truth = np.array([line["truth"] for line in kept], dtype=float)
    found = {name: np.array([line["estimates"][name] for line in kept], dtype=float) for name in ESTIMATORS}
    everywhere = np.all([np.isfinite(values[..., 0]) for values in found.values()], axis=0)
    rows = []
    for (group, kind), part in table.groupby(["group", "kind"], sort=False):
        for name in ESTIMATORS:
            at = part.index.to_numpy()
            rows.append((group, kind, name, *_measured(found[name][:, at], truth[:, at], everywhere[:, at], kind == "prevalence")))
    columns = ["group", "kind", "estimator", "RMSE", "bias", "coverage", "its s.e.", "width", "undefined", "impossible"]
    return pd.DataFrame(rows, columns=columns).assign(nations=len(kept))


def _measured(values: np.ndarray, truth: np.ndarray, everywhere: np.ndarray, prevalence: bool) -> list[float]:
    """Errors where every estimator exists; coverage and width where this one has an interval, nations being clusters."""
    estimate, low, high = np.moveaxis(values, -1, 0)
    error = np.where(everywhere, estimate - truth, np.nan)
    covers = np.where(np.isfinite(low), (low <= truth) & (truth <= high), np.nan)
    weights = np.isfinite(low).sum(axis=1)
    coverage = np.nansum(covers) / weights.sum()
    scores = np.nansum(covers - coverage, axis=1) / weights.mean()
    se = scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else np.nan
    least = 0.0 if prevalence else -1.0
    outside = (estimate < least) | (estimate > 1)
    return [float(np.sqrt(np.nanmean(error**2))), float(np.nanmean(error)), float(coverage), float(se), float(np.nanmean(high - low)),
            float(np.isnan(estimate).mean()), float(outside.mean())]  # fmt: skip


def markdown(frame: pd.DataFrame) -> str:
    """A table as Markdown."""
    rows = [list(frame.columns), ["---"] * frame.shape[1], *([f"{v:.3f}" if isinstance(v, float) else str(v) for v in row]
                                                             for row in frame.itertuples(index=False))]  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def summary(model: str, method: str) -> str:
    """The page docs/mrp.md."""
    out = [INTRODUCTION.format(trait=MODELS[model]["trait"], control=MODELS[model]["control"], sampler=SHORT)]
    for pace, n in itertools.product(PACES, SIZES):
        if not results_file(model, method, n, pace).exists():
            continue
        table = measures(model, method, n, pace)
        went = pd.DataFrame([line["went"] for line in lines(results_file(model, method, n, pace))])
        other = "" if pace == 1 else f", the prevalence moving {pace:g} times as fast"
        out.append(f"## {n:,} interviews a wave, {table['nations'].iloc[0]} nations{other}\n")
        out.append(markdown(table.drop(columns="nations")) + "\n")
        if "rhat" in went:
            out.append(f"{went['cells'].median():.0f} cells, {went['sampling'].median():.0f} s of sampling a nation (medians); R-hat of "
                       f"everybody's and the regions' estimates at most {went['rhat'].max():.3f} (median of the largest "
                       f"{went['rhat'].median():.3f}), {went['divergences'].gt(0).sum()} nations with a divergence.\n")  # fmt: skip
    checks = [pd.read_csv(path) for path in sorted(RESULTS.glob(f"{model}_check_*.csv"))]
    if checks:
        out += [CHECKED.format(short=SHORT, long=LONG), markdown(pd.concat(checks).sort_values(["n", "nation"])) + "\n"]
    return "\n".join(out)


INTRODUCTION = """\
# Multilevel regression and poststratification on simulated nations

`python -m benchmarks.mrp_nation summary` prints this page from what `run` and `check` of the same program have kept.

Each nation has 17 regions and three cities of Kazakhstan, three ethnicities whose shares differ by region, gender, education and
six waves at irregular dates. The prevalence varies smoothly over the map and by region of its own, by ethnicity, gender and
education, it drifts, and regions and ethnicities drift by themselves, as much as the default priors have for scale (and, where
it says so below, faster); so do the popularities of the four control items, which also
depend on the trait a little. Almaty and Astana are oversampled; people with less education take part less often, and refuse the list
more often. The weights undo the oversample exactly, participation by education with an error of 10 %, refusals of the list not at all.
Every nation has effects of its own: `bayes_listexp.simulated_nation` states their distributions.

* **MRP**: trait `{trait}`,
  control `{control}`, shape of the counts by region, ethnicity and wave, all else
  at its default; {sampler.chains} chains of {sampler.draws} draws; poststratified to the frame.
* **DIM**, **weighted DIM**: the difference in means of the group's own respondents in the wave, without and with weights.
* **no pooling**: the same likelihood for every group and wave by itself, with a uniform prior of its prevalence and the same control
  counts for either trait. Everybody: six strata (Almaty, Astana, the rest, by education) weighted by the frame.

RMSE and bias are over the estimands for which every estimator exists; coverage of 95 % intervals, with its Monte Carlo standard error
(nations are the clusters), and their mean width over those with an interval; "undefined" is the share without an estimate, as nobody is
in one of the arms, "impossible" the share outside 0 to 1 (changes: -1 to 1). All in probabilities. At 1,600 interviews a second
series of nations, as long as the first, was added because one coverage of the first was low; the table has both.
"""

CHECKED = """\
## Short chains are enough

The same nations by {short.chains} chains of {short.draws} draws after {short.tune} and by {long.chains} of {long.draws} after
{long.tune}: posterior means over all estimands in units of the long run's standard deviation, and ratios of the standard deviations.
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "check", "profile", "summary"])
    parser.add_argument("--n", type=int, default=400, help="interviews a wave")
    parser.add_argument("--nations", type=int, default=100, help="the last nation's seed")
    parser.add_argument("--first", type=int, default=1, help="the first nation's seed")
    parser.add_argument("--method", choices=["nuts", "map"], default="nuts")
    parser.add_argument("--model", choices=list(MODELS), default=MODEL)
    parser.add_argument("--pace", type=float, default=1.0, help="how fast the prevalence moves")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    if given.command == "run":
        run(given.n, given.nations, given.method, given.model, given.pace, given.processes, given.first)
    elif given.command == "check":
        print(markdown(check(given.n, given.nations, given.model)))
    elif given.command == "profile":
        print(profile(given.n, given.model))
    else:
        print(summary(given.model, given.method))


if __name__ == "__main__":
    main()
