"""Recovery: for each way of observing, simulated studies with known truth; errors and the coverage of 95 % intervals.

The truth of each study is a draw from the model's priors, over which the posterior's mean has no error on average and its
intervals cover with their probability; both are checked against the Monte Carlo error of the repetitions.

``python benchmarks/recovery.py [--map] [repetitions] [case ...]`` prints a Markdown table. Every study is drawn by the package's
own simulator and fitted with the default priors by NUTS (2 chains of 500 draws), or with --map by the normal approximation
at the mode; one density is compiled per case, over the
distinct observations of all its studies, and given the number of respondents of each study in turn.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from bayes_listexp import (
    DirectQuestion,
    Endorsement,
    ItemAnswers,
    KnownItem,
    ListExperiment,
    Outcome,
    RandomisedResponse,
    SecondList,
    Specification,
    formulas,
)
from bayes_listexp.cells import arm_of, by_columns, tabulate_rows
from bayes_listexp.instrument import Rows
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, Sampler, compile_density, find_mode, sample_nuts
from bayes_listexp.simulate import draw_studies
from bayes_listexp.specification import Blueprint, blueprint

J, N, REPETITIONS = 4, 2000, 50
SAMPLER = Sampler(draws=500, tune=500, chains=2, cores=1)


@dataclass(frozen=True)
class Case:
    """A study: what is asked of whom beside the list, the model's settings, the parameters that are not drawn from their
    priors, and those of the instrument that are watched beside the prevalence.

    Values of the ``columns`` are placeholders: the simulator replaces them where somebody is asked. ``decimals``: measured
    values are rounded to these, so that the distinct observations are fewer than the people.
    """

    roles: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    watched: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    decimals: int | None = None


def instrument_case(instrument: Any, watched: str = "", model: Mapping[str, Any] | None = None, **columns: Any) -> Case:
    """A list with one instrument beside it."""
    placeholders = {name: np.resize(values, N) for name, values in columns.items()}
    return Case({"instruments": [instrument]}, placeholders, model or {}, tuple(watched.split()))


def cases() -> dict[str, Case]:
    """The cases by name."""
    treated, half = np.arange(N) % 2, np.arange(N) % 4 < 2
    popularity = expit(np.array([-0.9, 0.2, 0.6, 1.3]))
    items = {"control_intercept": 0.3, "control_item": [-1.2, -0.1, 0.3, 1.0]}
    one_by_one = {f"z{j}": np.where(treated, np.nan, 1.0) for j in range(1, J + 1)} | {"y": np.where(treated, 1.0, np.nan)}
    known = [KnownItem(j + 1, share=float(p), se=0.01) for j, p in enumerate(popularity)]
    outcomes = {"bernoulli": [0, 1], "ordinal": [1, 2, 3], "poisson": [0, 1, 2, 3], "negative_binomial": [0, 1, 2, 3],
                "gaussian": [-1.0, 0.0, 1.0], "student_t": [-1.0, 0.0, 1.0]}
    out = {
        "list alone": Case(),
        "saturated types": Case(model={"dependence": "saturated"}),
        "placebo list, careless": Case({"placebo": "padded"}, {"padded": (np.arange(N) % 4 == 0).astype(int)}, {"response": "careless"},
                                       ("lapse_careless_intercept",)),
        "two sensitive items": Case({"arms": ("short", ("a", "b"))},
                                    {"t": np.resize(["short", "a", "short", "b"], N), "male": np.arange(N) // 4 % 2},
                                    {"dependence": "linear", "trait": "1 + male + item"}),
        "direct question, one-sided": instrument_case(DirectQuestion("d", lie="1 + male"), "direct_lie_intercept", d=[0, 1]),
        "direct question, two-sided, refusals": instrument_case(
            DirectQuestion("d", refused=2, lies="two_sided"),
            "direct_lie_intercept direct_false_yes_intercept direct_refusal_trait", d=[0, 1, 2]),
        "direct question of another sample": Case(
            {"instruments": [DirectQuestion("d")]},
            {"d": np.where(half, np.nan, np.resize([0.0, 1.0], N)), "y": np.where(half, 1.0, np.nan)}, {}, ("direct_lie_intercept",)),
        "second list": instrument_case(SecondList("y2", "t2", 3), "second_count", y2=[1], t2=[1, 0]),
        "control items answered one by one": Case({"instruments": [ItemAnswers(("z1", "z2", "z3", "z4"))]}, one_by_one,
                                                  {"counts": "poisson_binomial"}),
        "one list, control items known": Case({"arm": None}, {}, {"counts": "poisson_binomial", "dependence": "none", "margins": known},
                                              (), items),
        "randomised response": instrument_case(RandomisedResponse("r", 0.7, 0.15), "randomised_cheat_intercept", r=[0, 1]),
        "endorsement, one policy": instrument_case(Endorsement("a1", "e1", levels=(1, 2, 3)), "endorsement_with endorsement_without",
                                                   a1=[1, 2, 3], e1=[0, 0, 1, 1]),
    }
    measured = ("gaussian", "student_t")
    return out | {f"outcome, {family.replace('_', ' ')}": dataclasses.replace(
        instrument_case(Outcome("o", family), "outcome_trait", o=values), decimals=1 if family in measured else None)
        for family, values in outcomes.items()}


def template(case: Case) -> ListExperiment:
    """The study of a case, its answers placeholders."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.binomial(J, 0.5, N).astype(float), "t": np.arange(N) % 2, "male": (np.arange(N) // 2) % 2})
    frame = frame.assign(**case.columns)
    roles = {"answer": "y", "arm": "t", **case.roles}
    return ListExperiment.from_frame(frame, J=J, **roles)


def all_rows(plan: Blueprint, studies: Sequence[ListExperiment]) -> tuple[Rows, np.ndarray]:
    """The distinct observations of all studies together, and how many respondents of each study (study, row) made them."""
    columns = list(plan.cells.frame.columns)
    tables = [study.table.assign(_study=i) for i, study in enumerate(studies)]
    together = pd.concat(tables, ignore_index=True)
    rows = tabulate_rows(together, columns, studies[0].observed)
    keys = pd.DataFrame({"cell": by_columns(together, columns)[1], "arm": arm_of(together), "answer": together["_answer"],
                         "treated": together["_treated"], **{name: together[name] for name in studies[0].observed}})
    row = keys.groupby(list(keys.columns), sort=True, dropna=False).ngroup().to_numpy()
    n = np.zeros((len(studies), len(rows.n)), dtype="int32")  # as the model holds them
    np.add.at(n, (together["_study"].to_numpy(), row), 1)
    return rows, n


def recover(case: Case, repetitions: int, method: str = "nuts") -> pd.DataFrame:
    """One row per repetition and estimand: the truth, the posterior mean, and the 95 % interval, by NUTS or ("map") by the normal
    approximation at the mode.
    """
    specification = Specification(**{"trait": "1 + male", "control": "1", **case.model})
    study = template(case)
    drawn = list(draw_studies(study, specification, case.fixed, seed=1, number=repetitions))
    plan = blueprint(study, specification)
    rows, n = all_rows(plan, [rounded(d.study, case.decimals) for d in drawn])
    model = build_model(dataclasses.replace(plan, rows=rows))
    density = compile_density(model)
    out = []
    for i, (one, respondents) in enumerate(zip(drawn, n, strict=True)):
        model["row_n"].set_value(respondents)  # the compiled density reads it there
        posterior = untransformed(model, sample_nuts(density, SAMPLER, i)[0] if method == "nuts" else at_mode(density, i))
        out += [(i, *row) for row in _estimates(plan, posterior, one.parameters, case.watched)]
    return pd.DataFrame(out, columns=["repetition", "estimand", "truth", "estimate", "lower", "upper"])


def rounded(study: ListExperiment, decimals: int | None) -> ListExperiment:
    """The study with what instruments observed rounded."""
    if decimals is None:
        return study
    table = study.table.assign(**{name: study.table[name].round(decimals) for name in study.observed})
    return dataclasses.replace(study, table=table)


def at_mode(density: Density, seed: int) -> np.ndarray:
    """Draws (1, draw, parameter) of the normal approximation at the mode; by NUTS where there is none."""
    mode = find_mode(density, seed)
    if mode.covariance is None:
        return sample_nuts(density, SAMPLER, seed)[0]
    return np.random.default_rng(seed).multivariate_normal(mode.point, mode.covariance, size=(1, 4000))


def untransformed(model: Any, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Draws (sample, ...) of the parameters that are sampled on their own scale, by name; all that are watched are."""
    start, out, at = model.initial_point(), {}, 0
    flat = draws.reshape(-1, draws.shape[-1])
    for variable in model.value_vars:
        shape = np.shape(start[variable.name])
        size = int(np.prod(shape))
        out[variable.name] = flat[:, at : at + size].reshape(-1, *shape)
        at += size
    return out


def _estimates(plan: Blueprint, posterior: Any, truth: Mapping[str, Any], watched: tuple[str, ...]) -> list[tuple[Any, ...]]:
    frame = plan.cells.frame
    matrices = plan.designs["trait"].evaluate(frame)
    names = [name for name in ("trait_intercept", "trait_slope") if name in posterior]
    flat = {name: posterior[name] for name in names}
    chances = expit(formulas.linear_predictor(flat, "trait", matrices))
    true = expit(formulas.linear_predictor({name: truth[name][None] for name in names}, "trait", matrices))[0]
    labels = [", ".join(f"{column} {row[column]}" for column in frame.columns) for _, row in frame.iterrows()]
    quantities = {f"prevalence, {label}": (true[i], chances[:, i]) for i, label in enumerate(labels)}
    quantities |= {name: (float(truth[name]), posterior[name].ravel()) for name in watched}
    return [(name, float(value), draws.mean(), *np.quantile(draws, [0.025, 0.975])) for name, (value, draws) in quantities.items()]


def table(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per case and estimand: mean error with its Monte Carlo standard error, and coverage."""
    rows = []
    for case, frame in found.items():
        for estimand, part in frame.groupby("estimand", sort=False):
            error = part["estimate"] - part["truth"]
            covered = (part["lower"] <= part["truth"]) & (part["truth"] <= part["upper"])
            width = (part["upper"] - part["lower"]).mean()
            rows.append((case, estimand, error.mean(), error.std() / np.sqrt(len(part)), width, covered.mean(), len(part)))
    return pd.DataFrame(rows, columns=["case", "estimand", "mean error", "its s.e.", "mean width", "coverage", "repetitions"])


def markdown(frame: pd.DataFrame) -> str:
    """The table as Markdown."""
    rows = [list(frame.columns), ["---"] * frame.shape[1]]
    rows += [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--map"]
    method = "map" if "--map" in sys.argv else "nuts"
    repetitions = int(arguments[0]) if arguments else REPETITIONS
    chosen = {name: case for name, case in cases().items() if not arguments[1:] or name in arguments[1:]}
    found = {}
    for name, case in chosen.items():
        begun = time.perf_counter()
        found[name] = recover(case, repetitions, method)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        print(markdown(table({name: found[name]})), flush=True)
    print(markdown(table(found)))
