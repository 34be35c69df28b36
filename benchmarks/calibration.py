"""Simulation-based calibration of every structure of group effects (Talts et al. 2018).

All parameters are drawn from the prior, a study from them, and draws from the study's posterior: over such studies the rank of the
truth among independent posterior draws is uniform, of any quantity, if density, sampler and simulator agree. Quantities are the
parameters of the structure, effects of levels with and without respondents, prevalences, a difference between two levels, and the
log-likelihood, which sees errors that parameters alone do not (Modrak et al. 2023). Ranks are judged by the simultaneous band of
their ECDF (Sailynoja, Burkner & Vehtari 2022).

One density is compiled per structure. For each study it is given all the data of the model that the package builds of this study:
the counts, and the information by which the effects are sampled. With ``--broken`` it is given wrong ones: ``scale`` makes effects twice
as wide as the model says, ``levels`` gives each level the place of another (other neighbours, another order).

    python -m benchmarks.calibration run [--studies 200] [--broken scale] [structure ...]    add studies to benchmarks/results/
    python -m benchmarks.calibration summary                                                 print docs/calibration_structures.md
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from arviz_stats.base import array_stats
from pytensor.graph.replace import vectorize_graph

from bayes_listexp import ListExperiment, Specification
from bayes_listexp.likelihood import answer_log_likelihood, answer_probabilities
from bayes_listexp.model import build_model
from bayes_listexp.multiple_tests import holm
from bayes_listexp.prediction import points, predict
from bayes_listexp.reporting import arm_slices
from bayes_listexp.sampling import Density, Sampler, compile_density, sample_nuts
from bayes_listexp.simulate import Drawn, draw_studies
from bayes_listexp.specification import Blueprint, blueprint
from benchmarks.mrp_nation import RESULTS, lines, markdown
from benchmarks.ranks import LEVEL, RANKED, p_value, uniform_under_calibration, within_band

J, N, STUDIES = 3, 1500, 200
LEAST_ESS = 150.0
"""Effective draws of every quantity that a chain of the first length must have; then draws at the spacing are as good as independent."""

SAMPLER = Sampler(draws=990, tune=400, chains=1, target_accept=0.95, cores=1)
LONGEST = 16
"""How many times longer than the first a chain may become."""

PARTS = ("sd", "mix", "rho", "length", "trend", "correlation")
BROKEN = {
    "scale": "effects are twice as wide as their standard deviation says.",
    "levels": "levels have each other's places: other neighbours, another order.",
}


@dataclass(frozen=True)
class Case:
    """A structure: the formula of trait and counts, the shares of the respondents by level (0 where there are none), the effects
    that are watched (name: term, level, column), and the two groups whose prevalences are compared.
    """

    formula: str
    levels: Mapping[str, Mapping[str, float]]
    effects: Mapping[str, tuple[str, str, int]]
    pair: tuple[Mapping[str, str], Mapping[str, str]]
    settings: Mapping[str, Any] = field(default_factory=dict)


MONTHS = {"2020-01": 0.25, "2020-03": 0.1, "2020-04": 0.15, "2020-11": 0.2, "2021-02": 0.0, "2021-03": 0.15, "2022-09": 0.15}
AGES = {"1": 0.1, "2": 0.1, "3": 0.2, "4": 0.2, "5": 0.1, "6": 0.2, "7": 0.1, "8": 0.0}
REGIONS = {"a": 0.35, "b": 0.2, "c": 0.15, "d": 0.1, "e": 0.05, "f": 0.15, "g": 0.0}
BORDERS = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("d", "e"), ("e", "g"), ("f", "a")]
WITH_ISLAND = BORDERS[:-1]


def cases() -> dict[str, Case]:
    """The structures by name."""

    def in_time(kind: str) -> Case:
        return Case(f"1 + (1|{kind}(month))", {"month": MONTHS},
                    {"sampled level": ("month", "2020-03", 0), "level without respondents": ("month", "2021-02", 0)},
                    ({"month": "2020-11"}, {"month": "2022-09"}))  # fmt: skip

    def in_space(term: str, **settings: Any) -> Case:
        return Case(f"1 + (1|{term})", {"region": REGIONS},
                    {"sampled level": ("region", "c", 0), "level without respondents": ("region", "g", 0)},
                    ({"region": "d"}, {"region": "e"}), settings)  # fmt: skip

    few, some = dict(itertools.islice(MONTHS.items(), 4)), {"a": 0.4, "b": 0.2, "c": 0.2, "d": 0.2, "e": 0.0}
    return {
        "exchangeable": in_space("region"),
        "rw1": in_time("rw1"),
        "rw2": Case("1 + (1|rw2(age))", {"age": AGES},
                    {"sampled level": ("age", "3", 0), "level without respondents": ("age", "8", 0)}, ({"age": "2"}, {"age": "6"})),
        "ar1": in_time("ar1"),
        "gp": in_time("gp"),
        "icar": in_space("icar(region)", neighbours={"region": BORDERS}),
        "bym2": in_space("bym2(region)", neighbours={"region": WITH_ISLAND}),
        "lkj": Case("1 + x + (1 + x|lkj(region))", {"region": REGIONS, "x": {"0": 0.5, "1": 0.5}},
                    {"sampled level": ("region", "c", 0), "level without respondents": ("region", "g", 0),
                     "slope of a sampled level": ("region", "c", 1), "slope of a level without respondents": ("region", "g", 1)},
                    ({"region": "c", "x": "0"}, {"region": "c", "x": "1"})),
        "interaction": Case("1 + (1|region) + (1|rw1(month):region)", {"month": few, "region": some},
                            {"sampled level": ("month_region", "2020-03:a", 0),
                             "level without respondents": ("month_region", "2020-03:e", 0)},
                            ({"month": "2020-01", "region": "a"}, {"month": "2020-11", "region": "a"})),
    }  # fmt: skip


class Engine(NamedTuple):
    """What the studies of a structure share: blueprint, model, compiled density; ``parameters`` takes unconstrained draws
    (draw, parameter) to parameters by name, ``says`` takes these and the counts to prevalences (draw, row of the population) and the
    log-likelihood (draw,).
    """

    case: Case
    plan: Blueprint
    population: pd.DataFrame
    model: pm.Model
    density: Density
    parameters: Callable[[np.ndarray], dict[str, np.ndarray]]
    says: Callable[[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], tuple[np.ndarray, np.ndarray]]


# The model


def template(case: Case) -> ListExperiment:
    """The people of a structure's studies and the population; answers are placeholders."""
    rng = np.random.default_rng(0)
    names = list(case.levels)
    shares = pd.Series({levels: np.prod([case.levels[c][v] for c, v in zip(names, levels, strict=True)])
                        for levels in itertools.product(*case.levels.values())})  # fmt: skip
    rows = pd.DataFrame(list(shares.index), columns=names)
    people = rows.loc[rows.index.repeat(np.round(N * shares / shares.sum()).astype(int))].reset_index(drop=True)
    people = people.assign(arm=np.arange(len(people)) % 2, answer=rng.binomial(J, 0.5, len(people)))
    people, rows = (frame.astype({"x": float}) if "x" in names else frame for frame in (people, rows))
    return ListExperiment.from_frame(people, answer="answer", arm="arm", J=J, population=rows.assign(N=100))


def specification(case: Case) -> Specification:
    """Trait and control counts have the same structure: the data say little of the one and much of the other."""
    return Specification(trait=case.formula, counts="binomial", **case.settings)


def engine(case: Case, study: ListExperiment, names: tuple[str, ...]) -> Engine:
    """Compile a structure's model, with functions for its parameters ``names``."""
    plan = blueprint(study, specification(case))
    model = build_model(plan)
    population = study.population
    assert population is not None
    frame = population[list(case.levels)].astype(plan.cells.frame.dtypes.to_dict())
    return Engine(case, plan, population, model, compile_density(model), parameters_of(model, names), says_of(plan, frame, model, names))


def parameters_of(model: pm.Model, names: tuple[str, ...]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """A compiled function from unconstrained draws (draw, parameter) to the parameters ``names``, (draw, ...) each; it reads the
    model's data at each call.
    """
    start = model.initial_point()
    shapes = [np.shape(start[v.name]) for v in model.value_vars]
    batched = [pt.tensor(v.name, dtype="float64", shape=(None, *s)) for v, s in zip(model.value_vars, shapes, strict=True)]
    outputs = model.replace_rvs_by_values([model[name] for name in names])
    graphs = vectorize_graph(outputs, dict(zip(model.value_vars, batched, strict=True)))
    compiled = pytensor.function(batched, graphs, mode="FAST_COMPILE", on_unused_input="ignore")
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]

    def parameters(draws: np.ndarray) -> dict[str, np.ndarray]:
        parts = [p.reshape(-1, *s) for p, s in zip(np.split(draws, ends, axis=1), shapes, strict=True)]
        return dict(zip(names, compiled(*parts), strict=True))

    return parameters


def says_of(plan: Blueprint, frame: pd.DataFrame, model: pm.Model, names: tuple[str, ...]) -> Callable[..., Any]:
    """A compiled function from parameters (draw, ...) and counts by arm to prevalences at the rows of ``frame`` and log-likelihood."""
    inputs = {name: pt.tensor(name, dtype="float64", shape=(None, *model[name].type.shape)) for name in names}
    counts = {arm: pt.tensor(f"{arm}_counts", dtype="float64", shape=(None, None)) for arm in plan.arms}
    prevalence = predict(plan, inputs, points(plan, frame)).states[..., 1, :].sum(axis=-1)
    at_cells = predict(plan, inputs, points(plan, plan.cells.frame))
    probabilities = answer_probabilities(at_cells.states, plan.tables, at_cells.lapses)
    told = [answer_log_likelihood(counts[arm], probabilities[..., part]).sum(axis=-1)
            for arm, part in arm_slices(plan.J, plan.arms).items()]  # fmt: skip
    compiled = pytensor.function([*inputs.values(), *counts.values()], [prevalence, sum(told)], mode="FAST_COMPILE",
                                 on_unused_input="ignore")  # fmt: skip

    def says(parameters: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> Any:
        return compiled(*(parameters[name] for name in inputs), *(given[arm].astype(float) for arm in counts))

    return says


def give(shared: Engine, study: ListExperiment, broken: str) -> dict[str, np.ndarray]:
    """Give the compiled model the data of the model of this study; the counts by arm."""
    plan = blueprint(study, shared.plan.specification)
    own = build_model(plan)
    for variable in own.data_vars:
        shared.model[variable.name].set_value(variable.get_value())
    for predictor, bound in plan.designs.items():
        for term in bound.groups if broken else ():
            basis = shared.model[f"{predictor}_{term.name}_1_basis"]
            value = basis.get_value()
            basis.set_value(2 * value if broken == "scale" else np.roll(value[::-1], len(value) // 2, axis=0))
    return dict(plan.cells.answers)


def quantities(shared: Engine, parameters: Mapping[str, np.ndarray], counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Test quantities by name, (draw,) each, at parameters (draw, ...)."""
    out = {}
    terms = [f"{predictor}_{term.name}" for predictor, bound in shared.plan.designs.items() for term in bound.groups]
    for key in (f"{term}_{part}" for term in terms for part in PARTS):
        if key in parameters:
            value = parameters[key][:, 1, :1] if key.endswith("correlation") else parameters[key].reshape(len(parameters[key]), -1)
            out |= {key + (f", column {i + 1}" if value.shape[1] > 1 else ""): value[:, i] for i in range(value.shape[1])}
    for what, (term, level, column) in shared.case.effects.items():
        at = list(shared.model.coords[term]).index(level)
        for predictor in ("trait", "control"):
            out[f"{predictor}, {what}"] = parameters[f"{predictor}_{term}"][:, column, at]
    prevalence, log_likelihood = shared.says(parameters, counts)
    first, second = (prevalence[:, _rows(shared.population, group)].mean(axis=1) for group in shared.case.pair)
    return out | {"prevalence": prevalence.mean(axis=1), "difference of two levels": second - first, "log-likelihood": log_likelihood}


def _rows(population: pd.DataFrame, group: Mapping[str, str]) -> np.ndarray:
    return np.all([population[name].astype(str).str.removesuffix(".0") == level for name, level in group.items()], axis=0)


# Running


def one_study(shared: Engine, drawn: Drawn, i: int, broken: str) -> dict[str, Any]:
    """Everything about one study, as a line of the results: how many of the ranked draws lie below the truth, by quantity."""
    begun = time.perf_counter()
    counts = give(shared, drawn.study, broken)
    truth = quantities(shared, {name: np.asarray(value)[None] for name, value in drawn.parameters.items()}, counts)
    longer = 1
    while True:
        draws, stats = sample_nuts(shared.density, SAMPLER._replace(draws=longer * SAMPLER.draws), i)
        found = quantities(shared, shared.parameters(draws[0]), counts)
        ess = {name: float(array_stats.ess(value[None], chain_axis=0, draw_axis=1)) for name, value in found.items()}
        if min(ess.values()) >= LEAST_ESS or longer >= LONGEST:
            break
        longer *= 4
    every = longer * SAMPLER.draws // RANKED
    ranks = {name: int((value[every - 1 :: every] < truth[name]).sum()) for name, value in found.items()}
    least = min(ess, key=ess.__getitem__)
    return {"study": i, "ranks": ranks, "divergences": int(stats["diverging"].sum()), "longer": longer, "ess": ess[least], "least": least,
            "steps": float(stats["n_steps"].mean()), "seconds": time.perf_counter() - begun}  # fmt: skip


def results_file(structure: str, broken: str) -> Path:
    """Where the studies of a structure are kept, one a line."""
    return RESULTS / f"calibration_{structure}{'_' * bool(broken)}{broken}.jsonl"


def run(structure: str, studies: int, broken: str) -> None:
    """Add the studies 0, 1, ... that the file does not have yet."""
    path, case = results_file(structure, broken), cases()[structure]
    path.parent.mkdir(exist_ok=True)
    kept = list(lines(path))
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    wanted = sorted(set(range(studies)) - {line["study"] for line in kept})
    if not wanted:
        return
    begun, study = time.perf_counter(), template(case)
    drawn = list(draw_studies(study, specification(case), seed=1, number=max(studies, STUDIES)))
    shared = engine(case, study, tuple(drawn[0].parameters))
    print(f"{structure}: {time.perf_counter() - begun:.0f} s to draw and compile", file=sys.stderr, flush=True)
    with path.open("a", encoding="utf-8") as out:
        for i in wanted:
            line = one_study(shared, drawn[i], i, broken)
            out.write(json.dumps(line) + "\n")
            out.flush()
            print(structure, *(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items() if k != "ranks"),
                  file=sys.stderr, flush=True)  # fmt: skip


# Judging ranks


def table(broken: str = "") -> pd.DataFrame:
    """A row per structure and quantity: number of studies, whether the ECDF stays in its band, p-value, and Holm's over all rows."""
    rows = []
    for structure in cases():
        kept = [line["ranks"] for line in lines(results_file(structure, broken))]
        for name in kept[0] if kept else ():
            u = uniform_under_calibration(np.array([ranks[name] for ranks in kept]))
            rows.append((structure, name, len(u), float(u.mean()), within_band(u), p_value(u)))
    found = pd.DataFrame(rows, columns=["structure", "quantity", "studies", "mean rank", "in band", "p"])
    return found.assign(**{"p, all rows": holm(found["p"].to_numpy())})


def by_structure(found: pd.DataFrame, broken: str = "") -> pd.DataFrame:
    """A row per structure: studies, quantities, how many stray out of their bands, the one that strays most, how sampling went."""
    rows = []
    for structure, part in found.groupby("structure", sort=False):
        worst = part.loc[part["p"].idxmin()]
        went = pd.DataFrame(list(lines(results_file(str(structure), broken))))
        rows.append((structure, worst["studies"], len(part), int((~part["in band"]).sum()), worst["quantity"], worst["p, all rows"],
                     int((went["divergences"] > 0).sum()), int(went["divergences"].sum()), int((went["longer"] > 1).sum()),
                     float(went["ess"].min())))  # fmt: skip
    columns = ["structure", "studies", "quantities", "out of band", "farthest out", "its p, all rows", "studies with divergences",
               "divergences", "longer chains", "least ess"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def verdict(found: pd.DataFrame) -> str:
    """What all rows say together."""
    out, least = int((~found["in band"]).sum()), float(found["p, all rows"].min())
    expected = LEVEL * len(found)
    judged = "calibrated" if least >= LEVEL else "**not calibrated**"
    return (f"{len(found)} rows, {out} out of their own 95 % bands ({expected:.1f} expected if all is right); the least p-value after "
            f"accounting for the number of rows (Holm) is {least:.2g}: {judged} at the level of {LEVEL:.0%}.")  # fmt: skip


def summary() -> str:
    """The page docs/calibration_structures.md."""
    found = table()
    out = [INTRODUCTION.format(N=N, J=J, ranked=RANKED, sampler=SAMPLER, ess=LEAST_ESS),
           "## Result\n", verdict(found) + "\n", markdown(by_structure(found)) + "\n", "## Wrong on purpose\n", WRONG]  # fmt: skip
    for broken, what in BROKEN.items():
        if len(wrong := table(broken)):
            out += [f"`--broken {broken}`: {what} {verdict(wrong)}\n", markdown(by_structure(wrong, broken).iloc[:, :6]) + "\n"]
    out += ["## Every quantity\n", QUANTITIES, markdown(found.assign(**{"in band": np.where(found["in band"], "yes", "no")}))]
    return "\n".join(out)


INTRODUCTION = """\
# Calibration of the structures of group effects

`python -m benchmarks.calibration run` makes the studies (resumable; one process, structures may be given to several), and
`python -m benchmarks.calibration summary` prints this page from what they have left.

For each structure: all parameters are drawn from the default priors, a study of {N:,} respondents (J = {J}, binomial counts, dependence
"shift") from the parameters, and its posterior is sampled by NUTS (a chain of {sampler.draws} draws after {sampler.tune}, target
acceptance {sampler.target_accept}; four or sixteen times as long where a quantity has fewer than {ess:.0f} effective draws). The rank of
the truth among {ranked} evenly spaced draws is uniform over studies if density, sampler and simulator agree (Talts et al. 2018; with
the log-likelihood as a quantity, Modrak et al. 2023). Trait and control counts have the same structure, so that each is tried where the
data say little and where they say nearly everything; six or seven levels with 5 to 35 % of the respondents, and one without any.
Months lie one to eighteen months apart; the borders of `bym2` leave an island. The interaction is `(1|region) + (1|rw1(month):region)`.
Each study is sampled with the parametrisation that the package would choose for it. One density is compiled per structure, and given the
data of each study in turn.

A row is judged by the simultaneous 95 % band of its ECDF (Säilynoja, Bürkner & Vehtari 2022; ArviZ), and all rows together by Holm's
adjustment of the p-values of the same statistic.
"""

WRONG = """\
The same studies and the same compiled densities, with wrong data about the structure: what a mistake in the code would do.
"""

QUANTITIES = """\
Parameters go by their names; effects of levels are those on the logit scale; "difference of two levels" is one of prevalences.
"""


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("structures", nargs="*", metavar="structure", help=f"of {', '.join(cases())}; all by default")
    running.add_argument("--studies", type=int, default=STUDIES)
    running.add_argument("--broken", choices=list(BROKEN), default="")
    commands.add_parser("summary")
    given = parser.parse_args()
    if given.command == "summary":
        print(summary())
        return
    for structure in given.structures or cases():
        run(structure, given.studies, given.broken)


if __name__ == "__main__":
    main()
