"""How fast fits are, beside R on the same data and beside a hand-written kernel, with a yardstick of the machine in every run.

    python -m benchmarks.speed run [PART ...]   measure (all parts without PART), keep the figures in benchmarks/results/speed.json
    python -m benchmarks.speed summary          print the page docs/speed.md from what was kept

Parts: ``sampling`` (least effective draws per second at default settings, of every parameter and of everybody's prevalence),
``waves`` (the same of the two-wave model with regions and ethnicities, and of every region's prevalence and change), ``size`` (ten
million respondents against ten thousand in the same cells), ``gradient`` (log density and gradient against the kernel), ``wait``
(from the shell to a printed summary), ``mode`` (the same of large samples), ``reuse`` (compiling in a second process), ``command``
(the whole ``fit`` of a spec), ``parquet`` (tabulating ten million rows) and ``shell`` (``--help``). The page has also what
:mod:`benchmarks.batch_throughput` has kept. Seconds are medians of RUNS runs; other programs on the machine make
them larger, so ratios are to be read, and the yardstick's spread beside them. R's figures come from ../shared/reference/speed.json,
measured elsewhere: they are scaled by the two yardsticks. Parts that need data of ../shared are left out without it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import arviz_stats.base
import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import ListExperiment, change, fit, prevalence
from bayes_listexp import fitting as stages
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density
from bayes_listexp.spec import fit_arguments, read_spec, study_of
from bayes_listexp.specification import Specification, blueprint
from benchmarks import batch_throughput, tabulate
from benchmarks.kernel import kernel_of

RUNS = 5
HERE = Path(__file__).parent
FIGURES = HERE / "results" / "speed.json"
SHARED = HERE.parents[1] / "shared"
SPEC = HERE.parent / "models" / "two_wave_survey.toml"
BINARY = {"x1": 0.5, "x2": 0.4, "x3": 0.3, "x4": 0.6}
REGIONS = {"r1": 0.2, "r2": 0.15, "r3": 0.15, "r4": 0.12, "r5": 0.12, "r6": 0.1, "r7": 0.09, "r8": 0.07}
TRUTH = {
    "trait": ({"x1": 0.8, "x2": -0.6, "x3": 0.4, "x4": -0.3}, -0.2, [0, 0.45, -0.35, 0.25, -0.55, 0.6, 0.1, 0.3]),
    "count": ({"x1": -0.3, "x2": 0.25, "x3": 0.15, "x4": 0.2}, 0.1, [0, 0.2, -0.15, 0.1, 0.05, -0.25, 0.15, -0.05]),
}
J = 4
RACE = "1 + south + age + male + college"
CLI = "from bayes_listexp.cli import main; main()"


YARDSTICK = """
import time
import numpy as np
x = np.linspace(-1, 1, 4_000_000)
times = []
for _ in range(15):
    began = time.perf_counter()
    np.log1p(np.exp(x)).sum()
    times.append(time.perf_counter() - began)
print(min(times))
"""


def yardstick() -> float:
    """Seconds of a fixed NumPy workload: the least of 15 runs, as in ../shared/reference/speed.json. In a process of its own, as there:
    one that has sampled before keeps its memory, and needs half the time.
    """
    return float(shell_prints("-c", YARDSTICK))


def seconds(work: Callable[[], Any]) -> float:
    """Seconds on the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def sampling_time() -> Iterator[list[float]]:
    """Notes how long each fit within samples: the search for the mode, tuning and draws."""
    took: list[float] = []
    by_nuts = stages._by_nuts

    def timed(*args: Any) -> Any:
        began = time.perf_counter()
        out = by_nuts(*args)
        took.append(time.perf_counter() - began)
        return out

    with patch.object(stages, "_by_nuts", timed):
        yield took


# Data


def simulated(n: int, *, seed: int = 1, regions: bool = True) -> ListExperiment:
    """The design of the simulated sets that R was timed on: four binary covariates, eight regions, J = 4."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: (rng.random(n) < share).astype(int) for name, share in BINARY.items()})
    region = rng.choice(len(REGIONS), n, p=list(REGIONS.values()))
    logits = {
        part: intercept + sum(slope * frame[name] for name, slope in slopes.items()) + regions * np.array(effects)[region]
        for part, (slopes, intercept, effects) in TRUTH.items()
    }
    chance = {part: 1 / (1 + np.exp(-logit)) for part, logit in logits.items()}
    trait, treated = rng.random(n) < chance["trait"], rng.integers(0, 2, n)
    frame = frame.assign(region=np.array(list(REGIONS))[region], arm=treated, answer=rng.binomial(J, chance["count"]) + treated * trait)
    keys = [*BINARY, *(["region"] if regions else []), "arm", "answer"]
    return ListExperiment.from_counts(frame.groupby(keys).size().rename("n").reset_index(), answer="answer", arm="arm", n="n", J=J)


def race() -> ListExperiment:
    """The race data of R's list, where ../shared is."""
    return ListExperiment.from_frame(pd.read_csv(SHARED / "data" / "race.csv"), answer="y", arm="treat", J=3)


# Effective draws per second


def least_effective(draws: xr.Dataset | xr.DataArray) -> float:
    """The least bulk effective sample size of all variables."""
    variables = draws.data_vars.values() if isinstance(draws, xr.Dataset) else [draws]
    flat = [v.transpose("chain", "draw", ...).to_numpy().reshape(v.sizes["chain"], v.sizes["draw"], -1) for v in variables]
    ess = np.concatenate([np.atleast_1d(arviz_stats.base.array_stats.ess(values, chain_axis=0, draw_axis=1)) for values in flat])
    return float(np.nanmin(ess))


def largest_rhat(draws: xr.Dataset) -> float:
    """The largest R-hat of all variables."""
    flat = [v.transpose("chain", "draw", ...).to_numpy().reshape(v.sizes["chain"], v.sizes["draw"], -1) for v in draws.data_vars.values()]
    return float(np.nanmax([np.nanmax(arviz_stats.base.array_stats.rhat(v, chain_axis=0, draw_axis=1)) for v in flat]))


def sampling() -> list[dict[str, Any]]:
    """Effective draws per second of the default model at default settings, and the best tool in R on the same data."""
    covariates = " + ".join(BINARY)
    sets: list[tuple[str, int, str, str, Callable[[], ListExperiment]]] = [
        (f"sim_{n}", n, f"1 + {covariates}{more}", f"y ~ {covariates}{' + region' if more else ''}",
         lambda n=n, more=more: simulated(n, regions=bool(more)))
        for n in (1000, 10_000)
        for more in ("", " + region", " + (1|region)")
    ]
    if (SHARED / "data" / "race.csv").exists():
        sets.insert(0, ("race", 1213, RACE, "y ~ south + age + male + college", race))
    out = []
    for name, n, formula, in_r, make in sets:
        study = make()
        for run in range(RUNS + 1):
            with sampling_time() as took:
                tree = fit(study, trait=formula, seed=run + 1)
            if run:  # the first compiles
                least = min(least_effective(tree["posterior"].to_dataset()), least_effective(prevalence(tree)))
                stats = tree["sample_stats"]
                out.append({"set": name, "N": n, "formula": formula, "in_r": in_r, "ess": least, "seconds": took[0],
                            "divergences": int(stats["diverging"].sum()), "rhat": largest_rhat(tree["posterior"].to_dataset()),
                            "steps": float(stats["n_steps"].mean()), "yardstick": yardstick()})  # fmt: skip
    return out


def two_waves(n: int) -> tuple[ListExperiment, dict[str, Any]]:
    """The study and the model of models/two_wave_survey.toml, with ``n`` respondents a wave."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two_waves.toml"
        path.write_text(SPEC.read_text(encoding="utf-8").replace("n_per_wave = 1200", f"n_per_wave = {n}"), encoding="utf-8")
        spec = read_spec(path)
        return study_of(spec)[0], fit_arguments(spec)


def waves() -> list[dict[str, Any]]:
    """Effective draws per second of the hierarchical two-wave model: every parameter, and every region's prevalence and change."""
    out = []
    for n in (400, 10_000, 1_000_000):
        study, arguments = two_waves(n)
        for run in range(RUNS + (n == 400)):
            with sampling_time() as took:
                tree = fit(study, **{**arguments, "seed": run + 1})
            if n == 400 and not run:  # which compiles
                continue
            posterior = tree["posterior"].to_dataset()
            regions = prevalence(tree, by=["wave", "region"])
            moved = change(tree, "2022-09", "2022-11", by="region")["change"]
            out.append({"N": n, "cells": int(tree["observed_data"].sizes["cell"]), "seconds": took[0], "ess": least_effective(posterior),
                        "ess_regions": min(least_effective(regions), least_effective(moved)), "rhat": largest_rhat(posterior),
                        "divergences": int(tree["sample_stats"]["diverging"].sum()), "draws": int(posterior.sizes["draw"]),
                        "repeated": int(tree["sample_stats"].attrs.get("divergences_of_first_run", 0) > 0)})  # fmt: skip
    return out


# Size, gradient, waiting


def size() -> list[dict[str, Any]]:
    """Sampling ten million respondents against ten thousand in the same 16 cells."""
    studies = {n: simulated(n, regions=False) for n in (10_000, 10_000_000)}
    out = []
    for run in range(RUNS + 1):
        for n, study in studies.items():
            with sampling_time() as took:
                tree = fit(study, trait=f"1 + {' + '.join(BINARY)}", seed=run + 1)
            if run:
                out.append({"N": n, "seconds": took[0], "steps": float(tree["sample_stats"]["n_steps"].mean())})
    return out


def gradient() -> list[dict[str, Any]]:
    """Log density and gradient of the default model against the hand-written kernel of the same table."""
    out = []
    for cells in (400, 5000):
        rng = np.random.default_rng(cells)
        x = rng.normal(size=(cells, J))
        frame = pd.DataFrame(x, columns=list(BINARY)).loc[np.repeat(np.arange(cells), 4)].reset_index(drop=True)
        frame["arm"], frame["answer"] = np.tile([0, 1], 2 * cells), rng.integers(0, J + 1, 4 * cells)
        study = ListExperiment.from_frame(frame, answer="answer", arm="arm", J=J)
        plan = blueprint(study, Specification(trait=f"1 + {' + '.join(BINARY)}"))
        model = build_model(plan)
        density = compile_density(model)
        kernel = kernel_of(model)
        at = density.start + rng.normal(0, 0.1, len(density.start))
        gap = float(np.max(np.abs(density.function(at)[1] - kernel(at)[1])))
        for _ in range(RUNS):
            ours, theirs = (each(function, at, max(10, 400_000 // cells)) for function in (density.function, kernel))
            out.append({"cells": len(plan.cells.frame), "ours": ours, "kernel": theirs, "difference": gap})
    return out


def each(function: Callable[[np.ndarray], Any], at: np.ndarray, times: int) -> float:
    """Seconds of one of so many calls."""
    return seconds(lambda: [function(at) for _ in range(times)]) / times


SUMMARY = """
import pandas as pd
import bayes_listexp as ble
study = ble.ListExperiment.from_frame(pd.read_csv({path!r}), answer="y", arm="treat", J=3)
tree = ble.fit(study, trait={formula!r}, sample={{"draws": 1000, "tune": 1000, "chains": 4}}, seed={seed})
print(ble.summarise(tree["posterior"]["trait"]), ble.summarise(ble.prevalence(tree)))
"""


def shell_time(*command: str, cache: str | None = None) -> float:
    """Seconds of a command of Python from the shell, with a compile cache of its own if told."""
    return seconds(lambda: shell_prints(*command, cache=cache))


def shell_prints(*command: str, cache: str | None = None) -> str:
    """What such a command prints."""
    flags = ",".join(filter(None, [os.environ.get("PYTENSOR_FLAGS"), f"base_compiledir={cache}" if cache else ""]))
    environment = {**os.environ, "PYTENSOR_FLAGS": flags}
    return subprocess.run([sys.executable, *command], check=True, env=environment, capture_output=True, text=True).stdout


def wait() -> list[dict[str, Any]]:
    """From the shell to the printed summary of the race data, 4 x (1,000 + 1,000) draws: with an empty cache, and after it."""
    path = SHARED / "data" / "race.csv"
    if not path.exists():
        return []
    out = []
    with sampling_time() as took:
        fit(race(), trait=RACE, sample={"draws": 1000, "tune": 1000, "chains": 4})
    for run in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            script = SUMMARY.format(path=str(path), formula=RACE, seed=run + 1)
            cold, warm = (shell_time("-c", script, cache=cache) for _ in range(2))
        imports = shell_time("-c", "import pymc, arviz")
        out.append({"cold": cold, "warm": warm, "imports": imports, "sampling": took[0], "yardstick": yardstick()})
    return out


POSTERIOR = """
import bayes_listexp as ble
from benchmarks.speed import BINARY, simulated
tree = ble.fit(simulated({n}, seed={seed}, regions={regions}), trait="1 + " + " + ".join(BINARY) + {more!r}, seed={seed})
print(ble.summarise(tree["posterior"]["trait"]), ble.summarise(ble.prevalence(tree)))
"""


def mode() -> list[dict[str, Any]]:
    """From the shell to the posterior of large samples, with a filled compile cache: what R's maximum likelihood is held against."""
    out = []
    for n, more in ((10_000, ""), (10_000, " + region"), (100_000, "")):
        for run in range(RUNS + 1):
            took = shell_time("-c", POSTERIOR.format(n=n, seed=run + 1, regions=bool(more), more=more))
            if run:  # the first compiles
                out.append({"N": n, "in_r": f"y ~ {' + '.join(BINARY)}{more}", "seconds": took, "yardstick": yardstick()})
    return out


COMPILES = """
import time
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density
from bayes_listexp.specification import Specification, blueprint
from benchmarks.speed import two_waves
study, arguments = two_waves({n})
model = build_model(blueprint(study, Specification(trait=arguments["trait"], control=arguments["control"])))
began = time.perf_counter()
density = compile_density(model)
density.function(density.start)
print(time.perf_counter() - began)
"""


COMMAND = """
import sys, time
import nutpie
from bayes_listexp.cli import main
sample, took = nutpie.sample, []
def timed(*arguments, **settings):
    began = time.perf_counter()
    drawn = sample(*arguments, **settings)
    took.append(time.perf_counter() - began)
    return drawn
nutpie.sample = timed
sys.argv = ["bayes-listexp", "fit", {spec!r}, "--out", {out!r}]
try:
    main()
finally:
    print(sum(took))
"""


def reuse() -> list[dict[str, Any]]:
    """Compiling the two-wave model in a new process, with an empty cache, then in another with other data."""
    out = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            first, second = (float(shell_prints("-c", COMPILES.format(n=n), cache=cache)) for n in (400, 600))
        out.append({"first": first, "second": second})
    return out


def command() -> list[dict[str, Any]]:
    """The whole command ``fit`` of the two-wave spec, with a filled compile cache, and the sampling in it: of the spec as it is, and
    without its alternatives.
    """
    text = SPEC.read_text(encoding="utf-8")
    specs = {"as it is": text, "without alternatives": re.sub(r"alternatives = \[.*?\n\]\n", "", text, flags=re.DOTALL)}
    out = []
    for run in range(RUNS + 1):
        for name, spec in specs.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "two_waves.toml"
                path.write_text(spec, encoding="utf-8")
                began = time.perf_counter()
                printed = shell_prints("-c", COMMAND.format(spec=str(path), out=folder))
                whole = time.perf_counter() - began
            if run:  # the first compiles
                out.append({"spec": name, "whole": whole, "sampling": float(printed.split()[-1])})
    return out


def parquet() -> list[dict[str, Any]]:
    """Tabulating ten million respondents from parquet, each time in a process of its own: seconds, and the memory at its highest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "respondents.parquet"
        tabulate.write_parquet(path, 10_000_000)
        return [tabulate.in_a_process(path, "file") for _ in range(RUNS)]


def shell() -> list[dict[str, Any]]:
    """``bayes-listexp --help`` beside a Python that does nothing."""
    helped = f"import sys; sys.argv = ['bayes-listexp', '--help']; {CLI}"
    return [{"help": shell_time("-c", helped), "python": shell_time("-c", "pass")} for _ in range(RUNS)]


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "sampling": sampling, "waves": waves, "size": size, "gradient": gradient, "wait": wait,
    "mode": mode, "reuse": reuse, "command": command, "parquet": parquet, "shell": shell,
}  # fmt: skip


# The page


def summary(figures: dict[str, list[dict[str, Any]]]) -> str:
    """The page docs/speed.md."""
    written = [PAGES[part](figures[part]) for part in PARTS if figures.get(part)]
    if batch_throughput.FILE.exists():
        written.append(f"## Batches\n\n{BATCHES}\n\n{batch_throughput.summary(batch_throughput.kept())}")
    return "\n\n".join([INTRODUCTION, *written]) + "\n"


def medians(rows: list[dict[str, Any]], by: list[str]) -> pd.DataFrame:
    """Medians of the runs, one row for each combination of ``by``."""
    frame = pd.DataFrame(rows)
    return frame.groupby(by, sort=False).median(numeric_only=True).reset_index()


def table(rows: list[list[str]], heads: list[str]) -> str:
    """A Markdown table; a bar within a cell, as formulas have it, begins no other."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in [heads, ["---"] * len(heads), *rows]]
    return "\n".join("| " + " | ".join(row) + " |" for row in escaped)


def in_r() -> dict[str, Any]:
    """What R's tools needed, and the yardstick there; no runs where ../shared is not."""
    return json.loads((SHARED / "reference" / "speed.json").read_text(encoding="utf-8")) if SHARED.exists() else {"runs": []}


def _sampling_page(rows: list[dict[str, Any]]) -> str:
    frame = pd.DataFrame(rows)
    frame["rate"] = frame["ess"] / frame["seconds"]
    by = ["set", "N", "formula", "in_r"]
    middle, worst = medians(frame.to_dict("records"), by), frame.groupby(by, sort=False)[["divergences", "rhat"]].max().reset_index()
    reference = in_r()
    lines = []
    for row, bad in zip(middle.to_dict("records"), worst.to_dict("records"), strict=True):
        peers = [r for r in reference["runs"] if r["data"] == row["set"] and r["formula"] == row["in_r"] and "min_ess_per_s" in r]
        best = max(peers, key=lambda r: r["min_ess_per_s"], default=None)
        times = "–"
        if best:
            times = f"{row['rate'] * row['yardstick'] / (best['min_ess_per_s'] * reference['yardstick']['seconds']):,.0f}"
        lines.append([row["set"], f"`{row['formula']}`", f"{row['seconds']:.2f}", f"{row['ess']:,.0f}", f"{row['rate']:,.0f}", times,
                      best["tool"].split(",")[0].split(" (")[0] if best else "–", f"{bad['divergences']:.0f}",
                      f"{bad['rhat']:.3f}"])  # fmt: skip
    heads = ["data", "formula", "sampling, s", "least effective draws", "per second", "times the best in R", "which is", "divergences",
             "R-hat"]  # fmt: skip
    text = "Default model and settings; the least over all parameters and everybody's prevalence."
    return f"## Effective draws per second\n\n{text}\n\n{table(lines, heads)}"


def _waves_page(rows: list[dict[str, Any]]) -> str:
    frame = pd.DataFrame(rows)
    frame["rate"], frame["rate_regions"] = frame["ess"] / frame["seconds"], frame["ess_regions"] / frame["seconds"]
    worst = frame.groupby("N")[["divergences", "rhat", "repeated"]].agg({"divergences": "max", "rhat": "max", "repeated": "sum"})
    lines = [[f"{r['N']:,.0f}", f"{r['cells']:,.0f}", f"{r['seconds']:.1f}", f"{r['rate']:,.0f}", f"{r['rate_regions']:,.0f}",
              f"{worst.loc[r['N'], 'divergences']:.0f}", f"{worst.loc[r['N'], 'repeated']:.0f}", f"{worst.loc[r['N'], 'rhat']:.3f}"]
             for r in medians(frame.to_dict("records"), ["N"]).to_dict("records")]  # fmt: skip
    heads = ["respondents a wave", "cells", "sampling, s", "least effective draws per second, parameters",
             "regions' prevalence and change", "divergences", "runs sampled twice", "R-hat"]  # fmt: skip
    text = (
        "`models/two_wave_survey.toml`, default settings: medians of five seeds, of divergences and R-hat the worst. A run whose first "
        "sampling has divergences is sampled once more with smaller steps, and its time is that of both."
    )
    return f"## Two waves, regions and ethnicities\n\n{text}\n\n{table(lines, heads)}"


def _size_page(rows: list[dict[str, Any]]) -> str:
    middle = medians(rows, ["N"]).set_index("N")["seconds"]
    small, large = middle.loc[10_000], middle.loc[10_000_000]
    text = f"Sampling takes {large:.2f} s, with ten thousand in the same cells {small:.2f} s: {large / small:.2f} times as long."
    return f"## Ten million respondents\n\n{text}"


def _gradient_page(rows: list[dict[str, Any]]) -> str:
    lines = [[f"{r['cells']:,.0f}", f"{1e6 * r['ours']:.0f}", f"{1e6 * r['kernel']:.0f}", f"{r['ours'] / r['kernel']:.2f}",
              f"{r['difference']:.0e}"] for r in medians(rows, ["cells"]).to_dict("records")]  # fmt: skip
    heads = ["cells", "ours, microseconds", "kernel", "ratio", "largest difference of the gradients"]
    text = "Against a kernel written by hand for this one model (`benchmarks/kernel.py`)."
    return f"## Log density and gradient\n\n{text}\n\n{table(lines, heads)}"


def _wait_page(rows: list[dict[str, Any]]) -> str:
    row = pd.DataFrame(rows).median()
    over = (row["warm"] - row["sampling"]) / row["imports"]
    return (
        "## From the shell to a printed posterior\n\nThe race data with four covariates, 4 x (1,000 + 1,000) draws: "
        f"{row['cold']:.1f} s with an empty compile cache, {row['warm']:.1f} s in the next process. Importing PyMC and ArviZ takes "
        f"{row['imports']:.1f} s of it and sampling {row['sampling']:.1f} s: less the sampling, {over:.1f} times the imports."
    )


def _mode_page(rows: list[dict[str, Any]]) -> str:
    reference, lines = in_r(), []
    for row in medians(rows, ["N", "in_r"]).to_dict("records"):
        same = (r for r in reference["runs"] if (r["N"], r["formula"]) == (row["N"], row["in_r"]))
        peer = next((r for r in same if r["tool"].startswith("list::ictreg(")), None)
        theirs = peer["seconds"] * row["yardstick"] / reference["yardstick"]["seconds"] if peer else float("nan")
        lines.append([f"{row['N']:,}", f"`{row['in_r']}`", f"{row['seconds']:.1f}", f"{theirs:.1f}", f"{theirs / row['seconds']:.1f}"])
    heads = ["respondents", "formula", "posterior, s", "R's mode, s, scaled", "times as long"]
    text = (
        "From the shell to the printed posterior, 4 x 1,500 draws, with a filled compile cache (the first fit of a shape of model on a "
        "machine compiles, which adds the difference of the two times above); beside it `ictreg`'s maximum likelihood, which gives a mode."
    )
    return f"## The posterior of large samples, and R's mode\n\n{text}\n\n{table(lines, heads)}"


def _reuse_page(rows: list[dict[str, Any]]) -> str:
    row = pd.DataFrame(rows).median()
    return (
        "## The second process\n\nThe two-wave model compiles in "
        f"{row['first']:.1f} s with an empty cache, and in {row['second']:.1f} s in a second process with other data: 1 / "
        f"{row['first'] / row['second']:.1f} of it."
    )


def _command_page(rows: list[dict[str, Any]]) -> str:
    frame = pd.DataFrame(rows)
    frame["ratio"] = frame["whole"] / frame["sampling"]
    lines = [[r["spec"], f"{r['whole']:.1f}", f"{r['sampling']:.1f}", f"{r['ratio']:.2f}"]
             for r in medians(frame.to_dict("records"), ["spec"]).to_dict("records")]  # fmt: skip
    text = (
        "`bayes-listexp fit models/two_wave_survey.toml` from the shell, with a filled compile cache, beside the sampling in it: of the "
        "spec, which has two alternatives to its model, and without these."
    )
    heads = ["spec", "whole command, s", "sampling, s", "times as long"]
    return f"## The whole command\n\n{text}\n\n{table(lines, heads)}"


def _parquet_page(rows: list[dict[str, Any]]) -> str:
    row = pd.DataFrame(rows).median(numeric_only=True)
    return (
        "## Ten million rows of parquet\n\nTabulating them to a study (answer, arm, wave, four covariates, weights; "
        f"{row['rows_back']:,.0f} distinct rows come back) takes {row['seconds']:.1f} s, and at its highest {row['peak_gib']:.2f} GiB of "
        "memory, the package included. `python benchmarks/tabulate.py` has other sizes and engines."
    )


def _shell_page(rows: list[dict[str, Any]]) -> str:
    row = pd.DataFrame(rows).median()
    return f"## The command line\n\n`bayes-listexp --help` takes {row['help']:.2f} s, a Python that does nothing {row['python']:.3f} s."


PAGES: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "sampling": _sampling_page, "waves": _waves_page, "size": _size_page, "gradient": _gradient_page, "wait": _wait_page,
    "mode": _mode_page, "reuse": _reuse_page, "command": _command_page,
    "parquet": _parquet_page, "shell": _shell_page,
}  # fmt: skip

BATCHES = """\
Sixty quick looks with seeds of their own, handed out to new processes or to the workers of a local Dask cluster, by
`python -m benchmarks.batch_throughput run`: medians of the batches. In a batch of its own a worker is killed (kill -9) after twenty
results."""

INTRODUCTION = """\
# Speed

`python -m benchmarks.speed run` measures, `python -m benchmarks.speed summary` prints this page. Figures are medians of five runs,
if nothing else is said, on one machine with two cores; what R needs was measured on another, and the two are compared by a
yardstick, a fixed NumPy workload timed in the same run. Other programs on a machine make times larger, so ratios are what to read."""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "summary"])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    if arguments.command == "summary":
        print(summary(figures), end="")
        return
    if unknown := sorted(set(arguments.parts) - set(PARTS)):
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    FIGURES.parent.mkdir(exist_ok=True)
    for part in arguments.parts or PARTS:
        figures[part] = PARTS[part]()
        FIGURES.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        print(PAGES[part](figures[part]) if figures[part] else f"{part}: left out, its data are not here", flush=True)


if __name__ == "__main__":
    main()
