"""Simulation-based calibration of every response model with every family of control counts and every way of observing.

All parameters are drawn from the prior, a study from them by the package's simulator, and draws from the study's posterior: the rank
of the truth among independent draws is uniform, of any quantity, if density and simulator agree (Talts et al. 2018). Quantities are every
component of every parameter, the prevalence, the difference of two groups, and the log-likelihood (Modrak et al. 2023).

The models are small and exact draws of them cheap (:mod:`benchmarks.exact_draws`), without NUTS and without compiling to machine code.
With ``--broken`` the density is wrong on purpose: ``sign`` lets the trait go the other way with the covariate, ``scale`` makes the normal
priors a third as wide, ``off_by_one`` reads every answer to a treatment list as one more.

    python -m benchmarks.calibration_catalogue run [--studies 100] [--broken sign] [--jobs 2 | --scheduler ADDRESS] [row ...]
    python -m benchmarks.calibration_catalogue summary                                       print docs/calibration_catalogue.md
    python -m benchmarks.calibration_catalogue figure                                        print docs/_static/calibration_catalogue.svg

A row is ``way/response/counts[/dependence]``; each part may be ``*`` or left out. Without rows: all, in the order of the budget.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import vectorize_graph

from bayes_listexp import (
    DirectQuestion,
    Endorsement,
    ItemAnswers,
    ListExperiment,
    Outcome,
    RandomisedResponse,
    SecondList,
    Specification,
    responses,
)
from bayes_listexp.cells import tabulate, tabulate_rows
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.likelihood import RowTables, answer_log_likelihood, answer_probabilities, log_sum_exp, row_tables
from bayes_listexp.many_runs import in_processes, on_cluster
from bayes_listexp.model import build_model
from bayes_listexp.prediction import Points, points, predict, row_probabilities
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import arm_slices
from bayes_listexp.sampling import INTERPRETED, ONCE, draw_prior
from bayes_listexp.simulate import Drawn, draw_studies
from bayes_listexp.specification import Blueprint, blueprint
from benchmarks.exact_draws import draw_weighted, normalised
from benchmarks.mrp_nation import RESULTS, lines
from benchmarks.ranks import RANKED

J, STUDIES = 3, 100
FOLDER = RESULTS / "calibration_catalogue"
PRIOR_DRAWS, BLOCK = 20_000, 250
BROKEN = {
    "sign": "the trait goes the other way with the covariate than the density says.",
    "scale": "the normal priors of the density are a third as wide as they should be.",
    "off_by_one": "every answer to a treatment list is read as one more than it is.",
}


@dataclass(frozen=True)
class Way:
    """A way of observing: title, number of people, columns beside the list (placeholders; NaN is "not asked"), roles, and the
    families and dependences that it allows.
    """

    title: str
    n: int = 600
    columns: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, Any] = field(default_factory=dict)
    families: tuple[str, ...] = tuple(FAMILIES)
    dependence: str = "shift"


def ways() -> dict[str, Way]:
    """The ways of observing by name."""
    i = np.arange(600)
    treated, k = i % 2, i // 4

    def beside(title: str, n: int, *instruments: Any, **columns: Any) -> Way:
        return Way(title, n, {name: np.resize(values, 600) for name, values in columns.items()}, {"instruments": list(instruments)})

    def asked(values: Sequence[float]) -> np.ndarray:
        return np.where(k % 4 == 3, np.nan, np.resize(values, 600))

    second, direct = SecondList("y2", "t2", 2, counts="binomial", dependence="shift"), DirectQuestion("d")
    items = {f"z{j}": np.where(treated, np.nan, 1.0) for j in range(1, J + 1)}
    outcomes = {"bernoulli": (160, [0, 1]), "ordinal": (160, [1, 2, 3]), "poisson": (120, [0, 1, 2, 3]),
                "negative_binomial": (120, [0, 1, 2, 3]), "gaussian": (80, [-1.0, 0.0, 1.0]), "student_t": (80, [-1.0, 0.0, 1.0])}
    out = {
        "list": Way("list alone"),
        "placebo": Way("placebo list in half of the control arm", columns={"padded": (k % 2) * (1 - treated)}, roles={"placebo": "padded"}),
        "items": Way("two sensitive items", columns={"t": np.where(treated, np.where(k % 2, "b", "a"), "none")},
                     roles={"arms": ("none", ("a", "b"))}, dependence="linear"),
        "one_sided": beside("direct question, one-sided lies", 160, direct, d=asked([0, 1])),
        "two_sided": beside("direct question, two-sided lies, refusals, primed by the arm", 160,
                            DirectQuestion("d", refused=2, lies="two_sided", primed=True), d=asked([0, 1, 2])),
        "second": beside("second list (double list)", 120, second, y2=[1], t2=k % 2),
        "item_answers": dataclasses.replace(
            beside("control items answered one by one", 200, ItemAnswers(tuple(items)), **items, y=np.where(treated, 1.0, np.nan)),
            families=("poisson_binomial",)),
        "randomised": beside("randomised response, two-sided cheating", 160, RandomisedResponse("r", 0.7, 0.1, cheating="two_sided"),
                             r=asked([0, 1])),
        "endorsement": beside("endorsement experiment", 120, Endorsement("a", "e", levels=(0, 1, 2)), a=[0, 1, 2], e=k % 2),
    }  # fmt: skip
    for family, (n, values) in outcomes.items():
        out[family] = beside(f"outcome, {family.replace('_', ' ')}", n, Outcome("o", family, count=True), o=values)
    together = beside("direct question, second list and outcome together", 100, DirectQuestion("d", count=False), second,
                      Outcome("o", "bernoulli", count=True), d=[0, 1], y2=[1], t2=k % 2, o=k % 2)  # fmt: skip
    return out | {"together": dataclasses.replace(together, families=("softmax",))}


class Row(NamedTuple):
    """A row of the table."""

    way: str
    response: str
    counts: str
    dependence: str

    def __str__(self) -> str:
        return "/".join(self)


def rows() -> list[Row]:
    """All rows, those first that matter most: the list alone, then of every other way each response with one family, every
    family among them, then the rest.
    """
    known, names = ways(), responses.names()
    listed = [Row("list", *rest, "shift") for rest in product(names, FAMILIES)]
    listed += [Row("list", "truthful", "softmax", d) for d in ("none", "free", "saturated", "linear", "smooth")]
    first, rest = [], []
    for w, (name, way) in enumerate((n, w) for n, w in known.items() if n != "list"):
        for r, response in enumerate(names):
            for f, counts in enumerate(way.families):
                (first if (r + w) % len(way.families) == f else rest).append(Row(name, response, counts, way.dependence))
    return listed + first + rest


def chosen(patterns: Sequence[str]) -> list[Row]:
    """The rows that match one of the patterns; all without any."""
    wanted = ["/".join([*pattern.split("/"), *["*"] * (3 - pattern.count("/"))]) for pattern in patterns or ("*",)]
    return [row for row in rows() if any(fnmatch.fnmatchcase(str(row), pattern) for pattern in wanted)]


# The model


def template(way: Way) -> ListExperiment:
    """The people of a way's studies, half of them treated and half of each arm in each of two groups; answers are placeholders that
    any model allows.
    """
    i, rng = np.arange(way.n), np.random.default_rng(0)
    frame = pd.DataFrame({"t": i % 2, "x": i // 2 % 2 * 1.0, "y": rng.binomial(J, 0.5, way.n) * 1.0})
    frame["y"] = np.where(frame["t"] == 1, frame["y"].clip(1, J), frame["y"])
    frame = frame.assign(**{name: values[: way.n] for name, values in way.columns.items()})
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=J, **way.roles)


def specification(row: Row) -> Specification:
    """Trait and control counts differ between the two groups."""
    return Specification(trait="1 + x", control="1 + x", response=row.response, counts=row.counts, dependence=row.dependence)


class Engine(NamedTuple):
    """What the studies of a row share. ``unpack`` takes points on the unconstrained scale (draw, parameter) to the log prior (draw,) and
    the parameters by name; ``says`` takes these to prevalences (draw, cell) and the log-likelihood (draw,) of the data in ``model``.
    """

    plan: Blueprint
    model: pm.Model
    names: tuple[str, ...]
    unpack: Callable[[np.ndarray], tuple[np.ndarray, list[np.ndarray]]]
    says: Callable[[Sequence[np.ndarray]], tuple[np.ndarray, np.ndarray]]
    reference: Callable[[np.ndarray], np.ndarray]
    prior: np.ndarray

    def target(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log prior and log-likelihood at points, (point,) each; in blocks that the processor's cache can hold."""
        parts = []
        for start in range(0, len(x), BLOCK):
            log_prior, parameters = self.unpack(x[start : start + BLOCK])
            parts.append((log_prior, self.says(parameters)[1]))
        log_prior, log_likelihood = (np.concatenate(each) for each in zip(*parts, strict=True))
        return log_prior, log_likelihood


def engine(row: Row, study: ListExperiment, names: tuple[str, ...], broken: str) -> Engine:
    """Compile a row's functions; ``names`` are the parameters that describe a study."""
    plan = blueprint(study, specification(row))
    if broken == "scale":
        plan = dataclasses.replace(plan, priors={name: narrower(prior) for name, prior in plan.priors.items()})
    model = build_model(plan)
    start = model.initial_point()
    shapes = [np.shape(start[v.name]) for v in model.value_vars]
    ends = np.cumsum([int(np.prod(s)) for s in shapes])[:-1]
    batched = {v: pt.tensor(v.name, dtype="float64", shape=(None, *s)) for v, s in zip(model.value_vars, shapes, strict=True)}
    log_prior, log_likelihood = (sum(term.sum() for term in model.logp(vars=of, sum=False)) for of in (model.free_RVs, model.observed_RVs))
    named = model.replace_rvs_by_values([model[name] for name in names])
    graphs = vectorize_graph([log_prior, log_likelihood, *named], batched)
    inputs = list(batched.values())
    first = pytensor.function(inputs, [graphs[0], *graphs[2:]], mode=INTERPRETED, on_unused_input="ignore")
    check = pytensor.function(inputs, graphs[1], mode=INTERPRETED, on_unused_input="ignore")

    def split(x: np.ndarray) -> list[np.ndarray]:
        return [p.reshape(-1, *s) for p, s in zip(np.split(x, ends, axis=1), shapes, strict=True)]

    def unpack(x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        log_p, *parameters = first(*split(x))
        return log_p, parameters

    return Engine(plan, model, names, unpack, says_of(plan, model, names, broken), lambda x: check(*split(x)), unconstrained_prior(model))


def says_of(plan: Blueprint, model: pm.Model, names: tuple[str, ...], broken: str) -> Callable[..., Any]:
    """A compiled function from parameters (draw, ...) to prevalences of cells and the log-likelihood of the model's data."""
    inputs = {name: pt.tensor(name, dtype="float64", shape=(None, *model[name].type.shape)) for name in names}
    at = points(plan, plan.cells.frame)
    predicted = predict(plan, inputs, at)
    prevalence = predicted.states[..., 1, :].sum(axis=-1)
    if broken == "sign":
        turned = at.matrices["trait"]._replace(slopes=-at.matrices["trait"].slopes)
        predicted = predict(plan, inputs, Points({**at.matrices, "trait": turned}, at.item, at.wave))
    if plan.rows is None:
        told = answer_probabilities(predicted.states, plan.tables, predicted.lapses)
        log_p = sum(answer_log_likelihood(model[f"{arm}_counts"], told[..., part]).sum(axis=-1)
                    for arm, part in arm_slices(plan.J, plan.arms).items())  # fmt: skip
    else:
        shared = plan.rows._replace(cell=model["row_cell"], treated=model["row_treated"],
                                    observed={name: model[f"row{name}"] for name in plan.rows.observed})  # fmt: skip
        tables = RowTables(model["row_certain"], *({name: model[f"row_{kind}_{name}"] for name in plan.tables.kept}
                                                   for kind in ("kept", "followed")))  # fmt: skip
        log_p = (model["row_n"] * log_sum_exp(row_probabilities(plan, inputs, predicted, shared, tables))).sum(axis=-1)
    compiled = pytensor.function(list(inputs.values()), [prevalence, log_p], mode=INTERPRETED, on_unused_input="ignore")
    return lambda parameters: compiled(*parameters)


def narrower(prior: Prior) -> Prior:
    """A normal prior of a third of the scale."""
    return Prior("Normal", (prior.arguments[0], prior.arguments[1] / 3)) if prior.distribution == "Normal" else prior


def unconstrained_prior(model: pm.Model) -> np.ndarray:
    """Draws of the prior on the unconstrained scale, (draw, parameter)."""
    drawn = draw_prior(model, model.free_RVs, PRIOR_DRAWS, 3)
    columns = []
    for variable in model.free_RVs:
        value, transform = drawn[variable.name], model.rvs_to_transforms[variable]
        if transform is not None:
            value = pytensor.function([], transform.forward(pt.as_tensor(value), *variable.owner.inputs), mode=ONCE)()
        columns.append(np.reshape(value, (PRIOR_DRAWS, -1)))
    return np.concatenate(columns, axis=1)


def give(shared: Engine, study: ListExperiment, broken: str) -> None:
    """Give the model the data of this study."""
    plan, model, table = shared.plan, shared.model, study.table
    if broken == "off_by_one":
        more = table["_treated"] & table["_answer"].between(0, J)
        table = table.assign(_answer=table["_answer"] + more)
    columns = list(plan.cells.frame.columns)
    if plan.rows is None:
        answers = tabulate(table, columns, plan.J, study.exclusions).answers
        values = {f"{arm}_counts": counts for arm, counts in answers.items()}
    else:
        rows = tabulate_rows(table, columns, study.observed)
        tables = row_tables(plan.tables, rows, plan.J, plan.arms)
        values = {"row_certain": tables.certain, "row_cell": rows.cell, "row_treated": rows.treated, "row_n": rows.n}
        values |= {f"row{name}": value for name, value in rows.observed.items()}
        values |= {f"row_{kind}_{name}": value for kind in ("kept", "followed") for name, value in getattr(tables, kind).items()}
    for name, value in values.items():
        model[name].set_value(np.asarray(value, dtype=model[name].type.dtype))


def quantities(shared: Engine, parameters: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Test quantities by name, (draw,) each, at parameters (draw, ...)."""
    out = {}
    for name, value in zip(shared.names, parameters, strict=True):
        flat = np.reshape(value, (len(value), -1))
        out |= {name + (f" {i + 1}" if flat.shape[1] > 1 else ""): flat[:, i] for i in range(flat.shape[1])}
    prevalence, log_likelihood = shared.says(parameters)
    x = shared.plan.cells.frame["x"].to_numpy(dtype=float)
    change = prevalence[:, x == 1].mean(axis=1) - prevalence[:, x == 0].mean(axis=1)
    return out | {"prevalence": prevalence.mean(axis=1), "change": change, "log-likelihood": log_likelihood}


# Running


def one_study(shared: Engine, drawn: Drawn, i: int, broken: str) -> dict[str, Any]:
    """Everything about one study, as a line of the results: how many of the ranked draws lie below the truth, by quantity."""
    begun = time.process_time()
    give(shared, drawn.study, broken)
    truth = quantities(shared, [np.asarray(drawn.parameters[name])[None] for name in shared.names])
    found = draw_weighted(shared.target, shared.prior, i)
    of = np.random.default_rng([1, i]).choice(len(found.points), RANKED, p=normalised(found.log_weights))
    said = quantities(shared, shared.unpack(found.points[of])[1])
    ranks = {name: int((value < truth[name]).sum()) for name, value in said.items()}
    return {"study": i, "ranks": ranks, "ess": found.ess, "k": found.k, "evaluations": found.evaluations,
            "seconds": time.process_time() - begun}  # fmt: skip


def study_lines(row: Row, wanted: Sequence[int], broken: str) -> Iterator[dict[str, Any]]:
    """The lines of these studies of a row. The functions are held against the model's own log-likelihood first."""
    study, spec = template(ways()[row.way]), specification(row)
    drawn = list(draw_studies(study, spec, seed=zlib.crc32(str(row).encode()) % 10_000, number=max(max(wanted) + 1, STUDIES)))
    shared = engine(row, study, tuple(drawn[0].parameters), broken)
    if not broken:
        give(shared, drawn[0].study, broken)
        x = shared.prior[:3]
        np.testing.assert_allclose(shared.target(x)[1], shared.reference(x), rtol=1e-9)
    for i in wanted:
        yield one_study(shared, drawn[i], i, broken)


class Task(NamedTuple):
    """Studies of a row that are to be made; a worker's argument."""

    row: Row
    wanted: tuple[int, ...]
    broken: str


def do(task: Task) -> tuple[list[dict[str, Any]], float]:
    """The lines of a task, and the seconds of processor that it took."""
    begun = time.process_time()
    return list(study_lines(*task)), time.process_time() - begun


def results_file(row: Row, broken: str) -> Path:
    """Where the studies of a row are kept, one a line."""
    return FOLDER / f"{'-'.join(row)}{'--' * bool(broken)}{broken}.jsonl"


def run(chosen_rows: Sequence[Row], studies: int, broken: str, jobs: int, scheduler: str | None, until: float = np.inf) -> None:
    """Add the studies 0, 1, ... of each row that its file does not have yet; no row is begun after ``until``, seconds from now."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    tasks = []
    for row in chosen_rows:
        kept = list(lines(results_file(row, broken)))
        wanted = tuple(sorted(set(range(studies)) - {line["study"] for line in kept}))
        tasks += [Task(row, wanted, broken)] if wanted else []
    if not tasks:
        return
    begun = time.monotonic()
    work = partial(in_time, time.time() + until)
    outcomes = on_cluster(work, tasks, scheduler) if scheduler else in_processes(work, tasks, workers=jobs)
    for done, outcome in enumerate(outcomes, 1):
        task = tasks[outcome.position]
        if outcome.error is not None:
            print(f"{task.row}: {outcome.error!r}", file=sys.stderr, flush=True)
            continue
        made, seconds = outcome.result
        if not made:
            continue
        with results_file(task.row, broken).open("a", encoding="utf-8") as out:
            out.write("".join(json.dumps(line) + "\n" for line in made))
        print(f"{time.monotonic() - begun:.0f} s, {done} of {len(tasks)}: {task.row} {broken} {len(made)} studies, {seconds:.0f} s of "
              f"processor, least ess {min(line['ess'] for line in made):.0f}", file=sys.stderr, flush=True)  # fmt: skip


def in_time(until: float, task: Task) -> tuple[list[dict[str, Any]], float]:
    """The task, or nothing after the time ``until``."""
    return do(task) if time.time() < until else ([], 0.0)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("rows", nargs="*", metavar="row")
    running.add_argument("--studies", type=int, default=STUDIES)
    running.add_argument("--broken", choices=list(BROKEN), default="")
    running.add_argument("--jobs", type=int, default=1)
    running.add_argument("--scheduler")
    running.add_argument("--minutes", type=float, default=np.inf, help="begin no row after so many")
    commands.add_parser("summary")
    commands.add_parser("figure")
    commands.add_parser("check", help="hold the draws against NUTS")
    given = parser.parse_args()
    if given.command != "run":
        from benchmarks import calibration_page

        print(getattr(calibration_page, given.command)())
        return
    run(chosen(given.rows), given.studies, given.broken, given.jobs, given.scheduler, 60 * given.minutes)


if __name__ == "__main__":
    main()
