"""Bias, error and coverage of every estimator of one list experiment where an assumption does not hold, and which check raises the alarm.

Each scenario is a population with a known prevalence, 4 control items and one thing wrong: the distributions of the answers of both arms
are written down exactly, and studies are multinomial draws from them. Every study is estimated without a model, by maximum likelihood,
and by the posterior of the default model and of each alternative, all without covariates; :mod:`benchmarks.violation_models` says
how. Checks are those of :func:`bayes_listexp.design_checks`, computed by :mod:`benchmarks.violation_checks`, and "answers predicted" of
:func:`bayes_listexp.fit_checks`. What takes seconds (all but posteriors) is computed anew for the page.

    python -m benchmarks.violations run [--studies 100] [--size 4]    add posteriors to benchmarks/results/
    python -m benchmarks.violations check [--studies 10]              the same posteriors by long chains of NUTS
    python -m benchmarks.violations summary                           print the page docs/violations.md, draw its figures

``--size 4`` makes studies four times as large, with fewer models.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
from scipy.special import expit

from bayes_listexp import Specification
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.model import build_model
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import arm_slices, report_tables
from bayes_listexp.responses import Lapse, lapses, truthful_rule
from bayes_listexp.sampling import Sampler, compile_density, sample_nuts
from bayes_listexp.specification import blueprint
from benchmarks.control_count_models import items
from benchmarks.mrp_nation import RESULTS, lines
from benchmarks.violation_models import (
    Proposal,
    answers_outside,
    anywhere,
    by_likelihood,
    by_means,
    engine,
    learnt,
    left_out,
    model_of,
    posterior,
    study_of,
    summary_of,
    wider,
)

J, N, STUDIES, CHEAP = 4, 1000, 100, 500
TRUTHFUL = np.zeros((2, 2))
LONG = Sampler(draws=1500, tune=1000, chains=4, target_accept=0.95, cores=1)


class Scenario(NamedTuple):
    """A population: what is wrong in words; the control counts without and with the trait, (count,) each; the prevalence; response models
    of the catalogue, or lapses, with their probabilities; the shares who refuse, (arm, trait); and the respondents of a study.
    """

    wrong: str
    without_trait: np.ndarray
    with_trait: np.ndarray | None = None
    prevalence: float = 0.3
    lies: Mapping[str, float] = {}
    refuse: np.ndarray = TRUTHFUL
    n: int = N

    @property
    def types(self) -> np.ndarray:
        """P(trait, count), (2, J + 1)."""
        with_trait = self.without_trait if self.with_trait is None else self.with_trait
        return np.stack([(1 - self.prevalence) * self.without_trait, self.prevalence * with_trait])


def longer_list_rule(count: int, trait: int, treated: int, J: int) -> int:
    """On the treatment list one control item that applies is overlooked."""
    return truthful_rule(count, trait, treated, J) - int(treated and count > 0)


RULES = {name: lapse.rule for model in ("liars", "careless", "top_coded", "deflated") for name, lapse in lapses(model).items()}
RULES["longer list"] = longer_list_rule
GOOD = items(0.45, 0.45, 0.45, 0.45)


def _scenarios() -> dict[str, Scenario]:
    pair = np.array([0.1, 0.8, 0.1])
    return {
        "nothing wrong": Scenario("four independent items, each true of 45 %", GOOD),
        "unequal items": Scenario("items true of 95, 70, 90 and 20 %", items(0.95, 0.7, 0.9, 0.2)),
        "items against each other": Scenario("two pairs of items that exclude each other (correlation -.6)", np.convolve(pair, pair)),
        "one item with the trait": Scenario("one item true of 55 % without and 90 % with the trait; others 85, 80, 35 %",
                                            items(0.85, 0.8, 0.35, 0.55), items(0.85, 0.8, 0.35, 0.9)),
        "two items with the trait": Scenario("two items true of 50 / 85 and 30 / 55 %; others 85, 80 %",
                                             items(0.85, 0.8, 0.5, 0.3), items(0.85, 0.8, 0.85, 0.55)),
        "two items against the trait": Scenario("two items true of 80 / 50 and 50 / 30 %; others 85, 80 %",
                                                items(0.85, 0.8, 0.8, 0.5), items(0.85, 0.8, 0.5, 0.3)),
        "ceiling lies": Scenario("items true of 80 %; half of those with the trait and all items answer one less",
                                 items(0.8, 0.8, 0.8, 0.8), lies={"ceiling": 0.5}),
        "floor lies": Scenario("items true of 20 %; half of those with the trait and no item answer 0",
                               items(0.2, 0.2, 0.2, 0.2), lies={"floor": 0.5}),
        "careless answers": Scenario("15 % of both arms answer any number", GOOD, lies={"careless": 0.15}),
        "largest number": Scenario("10 % of both arms answer the largest number", GOOD, lies={"top": 0.1}),
        "design effect": Scenario("beside the sensitive item, 15 % overlook a control item that applies", GOOD,
                                  lies={"longer list": 0.15}),
        "item left out": Scenario("20 % of those with the trait leave the added item out of the count", GOOD, lies={"deflation": 0.2}),
        "rare trait": Scenario("3 % have the trait", GOOD, prevalence=0.03),
        "small arms": Scenario("400 respondents", GOOD, n=400),
        "unequal refusals": Scenario("5 % refuse, but 25 % of those with the trait who are shown the treatment list", GOOD,
                                     refuse=np.array([[0.05, 0.05], [0.05, 0.25]])),
    }  # fmt: skip


SCENARIOS = _scenarios()
DEFAULT = "default"
MODELS: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {},
    "shift, wider prior": {"priors": {"control_shift": "Normal(0, 1)"}},
    "no dependence": {"dependence": "none"},
    "free": {"dependence": "free"},
    "saturated": {"dependence": "saturated"},
    "linear": {"dependence": "linear"},
    "binomial, no dependence": {"counts": "binomial", "dependence": "none"},
    "binomial, shift": {"counts": "binomial"},
    "COM, shift": {"counts": "com_binomial"},
    "Poisson-binomial, shift": {"counts": "poisson_binomial"},
    "liars": {"response": "liars"},
    "liars, free": {"response": "liars", "dependence": "free"},
    "careless": {"response": "careless"},
    "top_coded": {"response": "top_coded"},
    "uniform": {"response": "uniform"},
    "deflated": {"response": "deflated"},
}
LARGE = (DEFAULT, "shift, wider prior", "free", "saturated")
"""The models of larger studies."""
LIKELIHOODS: Mapping[str, tuple[str, str, str]] = {
    "ML, binomial": ("binomial", "none", "truthful"),
    "ML, binomial, unconstrained": ("binomial", "free", "truthful"),
    "ML, beta-binomial": ("beta_binomial", "none", "truthful"),
    "ML, binomial, floor and ceiling": ("binomial", "none", "liars"),
    "ML, any counts": ("softmax", "none", "truthful"),
    "ML, any counts, shift": ("softmax", "shift", "truthful"),
}
DIM = "difference in means"


# Studies


def distributions(scenario: Scenario) -> list[np.ndarray]:
    """P(answer or refusal) in the control arm (J + 2,) and the treatment arm (J + 3,); the last is refusal."""
    told = report_tables({name: Lapse(RULES[name], Prior("Flat", ())) for name in scenario.lies}, J)
    p = told.certain + sum((1 - q) * told.kept[name] + q * told.followed[name] for name, q in scenario.lies.items())
    out = []
    for part, refuse in zip(arm_slices(J).values(), scenario.refuse, strict=True):
        answered = np.einsum("tc,tca->a", scenario.types * (1 - refuse)[:, None], p[..., part])
        out.append(np.append(answered, 1 - answered.sum()))
    return out


def limit_of_means(scenario: Scenario) -> float:
    """What the difference in means tends to with more and more respondents."""
    means = [p[:-1] @ np.arange(len(p) - 1) / p[:-1].sum() for p in distributions(scenario)]
    return float(means[1] - means[0])


def drawn(name: str, studies: int, size: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answers of simulated studies, (study, J + 1) and (study, J + 2), and refusals (study, arm); the first are always the same."""
    scenario = SCENARIOS[name]
    rng = np.random.default_rng([zlib.crc32(name.encode()), size])
    arms = [np.clip(p, 0, 1) / np.clip(p, 0, 1).sum() for p in distributions(scenario)]
    out = [np.stack(each) for each in zip(*([rng.multinomial(size * scenario.n // 2, p) for p in arms] for _ in range(studies)),
                                          strict=True)]  # fmt: skip
    return out[0][:, :-1], out[1][:, :-1], np.stack([table[:, -1] for table in out], axis=1)


def cheap_estimates(name: str, studies: int, size: int = 1) -> dict[str, np.ndarray]:
    """Estimate and interval of each study, (study, 3), by the estimators without priors."""
    control, treatment, _ = drawn(name, studies, size)
    return {DIM: by_means(control, treatment)} | {
        label: by_likelihood(control, treatment, *how) for label, how in LIKELIHOODS.items()
    }


# Posteriors


@cache
def started(label: str, name: str, size: int) -> Proposal:
    """Where posteriors of a scenario's studies lie: learnt once, from the expected answers."""
    scenario = SCENARIOS[name]
    expected = [np.round(size * scenario.n // 2 * p[:-1]) for p in distributions(scenario)]
    shared = engine(model_of(MODELS[label]), *expected)
    return wider(learnt(shared, anywhere(shared), np.random.default_rng(0)), 1.4)


def results_file(kind: str, size: int) -> Path:
    """Where studies are kept, one a line: "posteriors", or "nuts" for the comparison with chains."""
    return RESULTS / f"violations_{kind}{f'_size_{size}' if size > 1 else ''}.jsonl"


def kept_posteriors(size: int) -> dict[tuple[str, int], dict[str, Any]]:
    """The posteriors that are kept, by model, of each scenario and study."""
    out: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines(results_file("posteriors", size)):
        out.setdefault((line["scenario"], line["study"]), {}).update(line["posteriors"])
    return out


def run(studies: int, size: int, until: str) -> None:
    """Add the posteriors that the file does not have yet, scenario by scenario within each study, until a time of day (HH:MM)."""
    path = results_file("posteriors", size)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in list(lines(path))), encoding="utf-8")
    done = kept_posteriors(size)
    data = {name: drawn(name, studies, size) for name, scenario in SCENARIOS.items() if size == 1 or scenario.n == N}
    with path.open("a", encoding="utf-8") as file:
        for i, name in itertools.product(range(studies), data):
            wanted = [label for label in (MODELS if size == 1 else LARGE) if label not in done.get((name, i), {})]
            if not wanted or (until and time.strftime("%H:%M") >= until):
                continue
            control, treatment, _ = (table[i] for table in data[name])
            found = {label: one_posterior(label, name, size, i, control, treatment) for label in wanted}
            file.write(json.dumps({"scenario": name, "study": i, "posteriors": found}) + "\n")
            file.flush()


def one_posterior(label: str, name: str, size: int, i: int, control: np.ndarray, treatment: np.ndarray) -> dict[str, Any]:
    """What is kept of one posterior: numbers of the prevalence, answers outside their predictive interval, LOO by answer."""
    rng, shared = np.random.default_rng(i), engine(model_of(MODELS[label]), control, treatment)
    found = posterior(shared, started(label, name, size), rng)
    return {"prevalence": [round(v, 5) for v in summary_of(found)], "outside": answers_outside(found, control, treatment, rng),
            "loo": [round(float(v), 5) for v in left_out(found)]}  # fmt: skip


def against_nuts(studies: int, labels: tuple[str, ...] = (DEFAULT, "free")) -> None:
    """Keep how far mean, median and interval are from those of long chains of NUTS on the package's model, in posterior standard
    deviations, for the first study of some scenarios.
    """
    with results_file("nuts", 1).open("w", encoding="utf-8") as file:
        for label in labels:
            plan = blueprint(study_of(np.full(J + 1, 100), np.full(J + 2, 100)), Specification(**MODELS[label]))
            compiled = build_model(plan)
            density = compile_density(compiled)
            for name in list(SCENARIOS)[:studies]:
                control, treatment, _ = (table[0] for table in drawn(name, CHEAP))
                found = one_posterior(label, name, 1, 0, control, treatment)["prevalence"]
                pm.set_data({"control_counts": control[None], "treatment_counts": treatment[None],
                             "control_basis": shape_basis(control)}, model=compiled)  # fmt: skip
                draws, stats = sample_nuts(density, LONG, 0)
                p = expit(draws.reshape(-1, len(density.start))[:, 0])
                chains = [p.mean(), *np.quantile(p, [0.5, 0.025, 0.975])]
                apart = float(np.abs(np.subtract(found[:4], chains)).max() / p.std())
                file.write(json.dumps({"model": label, "scenario": name, "apart": apart, "weighted": found[:4],
                                       "chains": [round(float(v), 5) for v in chains],
                                       "divergences": int(stats["diverging"].sum())}) + "\n")  # fmt: skip
                file.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "check", "summary"])
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--size", type=int, default=1)
    parser.add_argument("--until", default="")
    given = parser.parse_args()
    if given.command == "run":
        run(given.studies, given.size, given.until)
    elif given.command == "check":
        against_nuts(min(given.studies, 10))
    else:
        from benchmarks.violations_page import page

        print(page())
