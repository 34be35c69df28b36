"""Every response model with every family of control counts and every way of observing: what is allowed, and why the rest is not.

``python tests/combinations.py`` prints the table of combinations that the documentation shows; the tests of the same
cases check each allowed combination against enumeration.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import oracle
from bayes_listexp import (
    DirectQuestion,
    Endorsement,
    ItemAnswers,
    ListExperiment,
    Outcome,
    RandomisedResponse,
    SecondList,
    responses,
)
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.errors import InputError
from bayes_listexp.specification import Blueprint, Specification, blueprint

J = 3
LISTS = {"control": (0, range(J + 1)), "treatment": (1, range(J + 2))}
"""Treated or not, and the answers of each list."""

Observation = Mapping[str, Any]


def no_observation(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """A list alone: nothing else is observed."""
    return 1.0


@dataclass(frozen=True)
class Case:
    """A way of observing: the study's roles, the columns of every possible observation beside the list, the instrument's
    parameters with their true values, and P(observation | trait, count) in plain numbers.

    ``observations`` lists values of the instrument's columns, everywhere or by arm; None values are "not asked".
    ``unlisted``: also, or in these arms only, observed without an answer to the list. ``refused``: further dependences, and
    families of counts, that are refused.
    """

    title: str
    roles: Mapping[str, Any] = field(default_factory=dict)
    observations: tuple[Observation, ...] | Mapping[str, tuple[Observation, ...]] = ({},)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    said: Callable[..., float] = no_observation
    dependences: tuple[str, ...] = ("shift",)
    families: tuple[str, ...] = tuple(FAMILIES)
    refused: tuple[str, ...] = ()
    unlisted: bool | tuple[str, ...] = False

    def frame(self) -> pd.DataFrame:
        """A table of counts with one row per possible observation."""
        rows = []
        for arm, (treated, answers) in self.lists().items():
            only = isinstance(self.unlisted, tuple) and arm in self.unlisted
            told = [None] if only else [*answers, *([None] if self.unlisted is True else [])]
            for answer, seen in product(told, self.seen(arm)):
                rows.append({"y": answer, "t": treated, "n": 1, **seen})
        return pd.DataFrame(rows)

    def lists(self) -> dict[str, tuple[Any, range]]:
        """The lists of the study."""
        lists: dict[str, tuple[Any, range]] = dict(LISTS)
        if "placebo" in self.roles:
            lists["placebo"] = (0, range(J + 2))
        if "arms" in self.roles:
            lists = {"control": LISTS["control"], **{item: (item, range(J + 2)) for item in self.roles["arms"][1]}}
        return lists

    def seen(self, arm: str) -> tuple[Observation, ...]:
        """Observations beside the list that are possible in an arm."""
        padded = {"padded": int(arm == "placebo")} if "placebo" in self.roles else {}
        here = self.observations[arm] if isinstance(self.observations, Mapping) else self.observations
        return tuple({**padded, **observation} for observation in here)

    def study(self) -> ListExperiment:
        """The study of every possible observation."""
        return ListExperiment.from_counts(self.frame(), answer="y", arm="t", n="n", J=J, **self.roles)

    def specification(self, response: str, counts: str, dependence: str) -> Specification:
        """The model of a combination."""
        return Specification(response=response, counts=counts, dependence=dependence)


def direct(d: Any, trait: int, count: int, treated: int, p: Mapping[str, Any], *, false_yes: bool = False, primed: bool = False,
           refusing: bool = False) -> float:
    """P(direct answer | trait, count): 0 no, 1 yes, 2 refused, None not asked."""
    if d is None:
        return 1.0
    items = count - J / 2
    lie = oracle.sigmoid(p["direct_lie_intercept"] + p.get("direct_lie_count", 0.0) * items
                         + (p["direct_lie_primed"] * treated if primed else 0.0))
    claim = oracle.sigmoid(p["direct_false_yes_intercept"] + p["direct_false_yes_count"] * items) if false_yes else 0.0
    refuse = oracle.sigmoid(p["direct_refusal_intercept"] + trait * p["direct_refusal_trait"]) if refusing else 0.0
    if d == 2:
        return refuse
    yes = 1 - lie if trait else claim
    return (1 - refuse) * (yes if d == 1 else 1 - yes)


def direct_case(title: str, parameters: Mapping[str, float], observed: tuple[Any, ...], unlisted: bool = False,
                dependences: tuple[str, ...] = ("shift",), **how: Any) -> Case:
    """A direct question, its lies and refusals as the parameters say."""
    kinds = {"false_yes": "direct_false_yes_intercept" in parameters, "primed": "direct_lie_primed" in parameters,
             "refusing": "direct_refusal_intercept" in parameters}
    return Case(title, roles={"instruments": [DirectQuestion("d", **how)]}, observations=tuple({"d": d} for d in observed),
                parameters=parameters, dependences=dependences, unlisted=unlisted,
                said=lambda seen, trait, count, treated, p, instrument: direct(seen["direct"], trait, count, treated, p, **kinds))


def second(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """P(second answer | trait, first count), the second list with two control items."""
    if seen["second"] is None:
        return 1.0
    eta = p["second_control_intercept"] + trait * p["second_shift"] + p["second_count"] * (count - J / 2)
    pmf = oracle.count_pmf("binomial", float(eta), None, 2)
    own = int(seen["second"] - trait * seen["second_arm"])
    return pmf[own] if 0 <= own <= 2 else 0.0


def items(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """P(which items | how many), among independent items with these offsets."""
    told = [seen[f"items_{j + 1}"] for j in range(J)]
    if told[0] is None:
        return 1.0
    if sum(told) != count:
        return 0.0
    odds = np.exp(p["control_item"])
    ways = [np.prod(odds[list(map(bool, z))]) for z in product((0, 1), repeat=J) if sum(z) == count]
    return float(np.prod(odds[list(map(bool, told))]) / sum(ways))


def outcome(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """Density of the outcome given trait and count."""
    o = seen["outcome"]
    if o is None:
        return 1.0
    linear = p["outcome_mean_intercept"] + trait * p["outcome_trait"]
    if "outcome_count" in p:
        linear = linear + p["outcome_count"] * (count - J / 2)
    x = float(instrument.center + instrument.scale * linear)
    if instrument.family == "bernoulli":
        return oracle.sigmoid(x) if o else 1 - oracle.sigmoid(x)
    if instrument.family == "ordinal":
        above = [1.0, *(oracle.sigmoid(x - c) for c in np.concatenate([[0.0], np.cumsum(p["outcome_gap"])])), 0.0]
        return above[int(o)] - above[int(o) + 1]
    if instrument.family == "poisson":
        return float(stats.poisson.pmf(o, np.exp(x)))
    if instrument.family == "negative_binomial":
        size = 1 / p["outcome_overdispersion"]
        return float(stats.nbinom.pmf(o, size, size / (size + np.exp(x))))
    sd = instrument.scale * p["outcome_sd"]
    return float(stats.norm.pdf(o, x, sd) if instrument.family == "gaussian" else stats.t.pdf(o, p["outcome_df"], x, sd))


def randomised(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """P(answer | trait): the device forces yes with .1 and no with .2, and people act as somebody else with their own probability."""
    if seen["randomised"] is None:
        return 1.0
    acts = 1 - oracle.sigmoid(p["randomised_cheat_intercept"]) if trait else oracle.sigmoid(p["randomised_claim_intercept"])
    yes = 0.1 + 0.7 * float(acts)
    return yes if seen["randomised"] else 1 - yes


def endorsed(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instrument: Any) -> float:
    """P(answer to one policy | trait), three levels."""
    answer = seen["endorsement_answer_1"]
    if answer is None:
        return 1.0
    shift = p["endorsement_with"] if trait else p["endorsement_without"]
    eta = p["endorsement_position_intercept"] + trait * p["endorsement_trait"] + seen["endorsement_endorsed_1"] * shift
    above = [1.0, oracle.sigmoid(float(eta)), oracle.sigmoid(float(eta - p["endorsement_gap"][0])), 0.0]
    return above[int(answer)] - above[int(answer) + 1]


def together(seen: Observation, trait: int, count: int, treated: int, p: Mapping[str, Any], instruments: Any) -> float:
    """Everything at once: independent given trait and count."""
    return (direct(seen["direct"], trait, count, treated, p)
            * second(seen, trait, count, treated, p, None) * outcome(seen, trait, count, treated, p, instruments[2]))


def outcome_case(family: str, values: Any, parameters: Mapping[str, Any], **how: Any) -> Case:
    """An outcome of one family at these possible values."""
    known = {"outcome_mean_intercept": -0.2, "outcome_trait": 0.7, **parameters}
    levels = {"levels": (0, 1, 2)} if family == "ordinal" else {}
    return Case(f"outcome, {family.replace('_', ' ')}", roles={"instruments": [Outcome("o", family, **levels, **how)]},
                observations=tuple({"o": o} for o in values), parameters=known, said=outcome)


GRID = np.linspace(-6.0, 6.0, 19)
CASES = {
    "list": Case("list alone", dependences=("none", "shift", "free", "saturated", "linear", "smooth")),
    "placebo": Case("placebo list in half of the control arm", roles={"placebo": "padded"}),
    "items": Case("two sensitive items", roles={"arms": (0, ("a", "b"))}, dependences=("none", "linear", "smooth"),
                  refused=("shift", "free", "saturated"),
                  parameters={"trait_item": [[0.6, -0.6]]}),
    "one_sided": direct_case("direct question, one-sided lies", {"direct_lie_intercept": -0.6, "direct_lie_count": 0.3}, (0, 1, None),
                             dependences=("shift", "linear")),
    "two_sided": direct_case(
        "direct question, two-sided lies, refusals, primed by the arm",
        {"direct_lie_intercept": -0.6, "direct_lie_primed": 0.4, "direct_lie_count": 0.3, "direct_false_yes_intercept": -2.0,
         "direct_false_yes_count": -0.2,
         "direct_refusal_intercept": -1.5, "direct_refusal_trait": 0.8},
        (0, 1, 2, None), unlisted=True, refused=2, lies="two_sided", primed=True),
    "second": Case("second list (double list)",
                   roles={"instruments": [SecondList("y2", "t2", 2, counts="binomial", dependence="shift")]},
                   observations=(*({"y2": y, "t2": t} for t in (0, 1) for y in range(3 + t)), {"y2": None, "t2": None}),
                   parameters={"second_control_intercept": 0.2, "second_shift": 0.3, "second_count": 0.4}, said=second),
    "item_answers": Case("control items answered one by one", roles={"instruments": [ItemAnswers(("z1", "z2", "z3"))]},
                         observations={"control": tuple(dict(zip(("z1", "z2", "z3"), z, strict=True))
                                                        for z in product((0, 1), repeat=J)),
                                       "treatment": ({"z1": None, "z2": None, "z3": None},)},
                         said=items, unlisted=("control",), families=("poisson_binomial",),
                         refused=tuple(family for family in FAMILIES if family != "poisson_binomial")),
    "bernoulli": outcome_case("bernoulli", (0, 1, None), {"outcome_count": 0.3}, count=True),
    "ordinal": outcome_case("ordinal", (0, 1, 2), {"outcome_gap": [1.1]}),
    "poisson": outcome_case("poisson", range(13), {"outcome_mean_intercept": -1.5}),
    "negative_binomial": outcome_case("negative_binomial", range(30), {"outcome_mean_intercept": -1.8, "outcome_overdispersion": 0.3}),
    "gaussian": outcome_case("gaussian", GRID, {"outcome_sd": 0.25}),
    "student_t": outcome_case("student_t", GRID, {"outcome_sd": 0.16, "outcome_df": 12.0}),
    "randomised": Case("randomised response, two-sided cheating",
                       roles={"instruments": [RandomisedResponse("r", 0.7, 0.1, cheating="two_sided")]},
                       observations=tuple({"r": r} for r in (0, 1, None)),
                       parameters={"randomised_cheat_intercept": -1.2, "randomised_claim_intercept": -2.0}, said=randomised),
    "endorsement": Case("endorsement experiment", roles={"instruments": [Endorsement("a", "e", levels=(0, 1, 2))]},
                        observations=tuple({"a": a, "e": e} for a in range(3) for e in (0, 1)),
                        parameters={"endorsement_position_intercept": 0.3, "endorsement_with": 0.9, "endorsement_without": 0.1,
                                    "endorsement_trait": 0.2, "endorsement_gap": [1.3]}, said=endorsed),
    "together": Case(
        "direct question, second list and outcome together",
        roles={"instruments": [DirectQuestion("d", count=False), SecondList("y2", "t2", 2, counts="binomial", dependence="shift"),
                               Outcome("o", "bernoulli", count=True)]},
        observations=tuple({"d": d, "y2": y, "t2": t, "o": o} for d in (0, 1) for t in (0, 1) for y in range(3 + t)
                           for o in (0, 1)),
        parameters={"direct_lie_intercept": -0.6, "second_control_intercept": 0.2, "second_shift": 0.3, "second_count": 0.4,
                    "outcome_mean_intercept": -0.2, "outcome_trait": 0.7, "outcome_count": 0.3},
        said=together, families=("softmax",)),
}


def plans(case: Case, counts: str, dependence: str, study: ListExperiment | None = None) -> Iterator[tuple[str, Blueprint | str]]:
    """For each response model the blueprint of the combination, or the reason why it is refused."""
    made = case.study() if study is None else study
    for response in responses.names():
        try:
            yield response, blueprint(made, case.specification(response, counts, dependence))
        except InputError as error:
            yield response, str(error)


def combinations() -> list[tuple[str, str, str]]:
    """Case, family of counts, and dependence, of those that are allowed."""
    return [(name, counts, dependence) for name, case in CASES.items() for counts in case.families for dependence in case.dependences
            if not (dependence == "saturated" and counts != "softmax")]


def listed() -> list[tuple[str, str, str]]:
    """The same with those that are refused."""
    out = []
    for name, case in CASES.items():
        families = [*case.families, *(f for f in FAMILIES if f in case.refused)]
        dependences = [*case.dependences, *(d for d in case.refused if d not in FAMILIES)]
        out += [(name, counts, dependence) for counts in families for dependence in dependences]
    return out


INTRODUCTION = """# Combinations

What can be combined: every response model with every family of control counts, dependence, and way of observing. A tick is a
combination that the tests take through three checks: its log-likelihood equals the sum over every kind of person, written
out in plain numbers, to a relative error of 1e-10; log-likelihood and gradient are finite at the truth and with any parameter
at +-40; and a simulated study of 60,000 respondents gives the prevalence back within Monte Carlo error (what one list says
little about, such as deflation or the shape of the counts, is held at the truth there). A number refers to the reason, below,
for which the combination is refused. Instruments also combine with one another; the last row is an example.

This page is printed by `python tests/combinations.py`, and a test holds it against the code.
"""


def page() -> str:
    """The table of combinations as Markdown."""
    reasons: dict[str, int] = {}
    names = responses.names()
    lines = ["| observed by | counts | dependence | " + " | ".join(names) + " |", "| --- " * (3 + len(names)) + "|"]
    studies = {name: case.study() for name, case in CASES.items()}
    for name, counts, dependence in listed():
        found = dict(plans(CASES[name], counts, dependence, studies[name]))
        marks = [f"({reasons.setdefault(plan, len(reasons) + 1)})" if isinstance(plan, str) else "✓" for plan in found.values()]
        lines.append(f"| {CASES[name].title} | {counts} | {dependence} | " + " | ".join(marks) + " |")
    return "\n".join([INTRODUCTION, *lines, "", *(f"{number}. {reason}" for reason, number in reasons.items()), ""])


if __name__ == "__main__":
    sys.stdout.write(page())
