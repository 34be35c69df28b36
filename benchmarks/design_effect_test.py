"""Size and power of the no-design-effect test for lists of 2 to 6 control items: the default, no selection, and the rule of R's list.

``python benchmarks/design_effect_test.py [studies [respondents]]`` prints the tables of docs/design_effect_test.md. Control items are
independent, their popularities evenly spaced from .2 to .8; half of the respondents see the treatment list. All studies of a cell are
tested at once.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from bayes_listexp.no_design_effect.bayes_factor import log_posterior_of_order, log_prior_of_order
from bayes_listexp.no_design_effect.moment_test import counts_tested

LEVEL = 0.05
ITEMS = (2, 3, 4, 5, 6)
METHODS = ("textbook", "none", "list-9.2.6")
FACTORS = 100
"""Studies whose Bayes factor is computed, which is done one by one."""
MOST_UNSELECTED = 4
"""Control items up to which the test without selection is shown: with more its weights take minutes for thousands of studies."""


def control_counts(J: int) -> np.ndarray:
    """The distribution of the control count, (J + 1,)."""
    counts = np.ones(1)
    for popularity in np.linspace(0.2, 0.8, J):
        counts = np.convolve(counts, [1 - popularity, popularity])
    return counts


def truthful(counts: np.ndarray, prevalence: float) -> np.ndarray:
    """The distribution of answers to the treatment list without a design effect, (J + 2,)."""
    return (1 - prevalence) * np.append(counts, 0) + prevalence * np.insert(counts, 0, 0)


def deflated(answers: np.ndarray, share: float) -> np.ndarray:
    """A share of those who would answer 1 or more answer one less."""
    moved = answers.copy()
    moved[1:] -= share * answers[1:]
    moved[:-1] += share * answers[1:]
    return moved


def inflated(answers: np.ndarray, share: float) -> np.ndarray:
    """A share of those who would not answer the most answer one more."""
    return deflated(answers[::-1], share)[::-1]


def fled(answers: np.ndarray, share: float) -> np.ndarray:
    """A share of those shown the sensitive item deny everything and answer 0."""
    moved = (1 - share) * answers
    moved[0] += share
    return moved


def scenarios(J: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Distributions of both arms by name; the first three have no design effect."""
    counts = control_counts(J)
    answers = {
        "none, prevalence 0": truthful(counts, 0.0),
        "none, prevalence 5 %": truthful(counts, 0.05),
        "none, prevalence 30 %": truthful(counts, 0.3),
        "10 % answer one less, prevalence 5 %": deflated(truthful(counts, 0.05), 0.1),
        "20 % answer one less, prevalence 10 %": deflated(truthful(counts, 0.1), 0.2),
        "5 % deny everything, prevalence 10 %": fled(truthful(counts, 0.1), 0.05),
        "20 % answer one more, prevalence 90 %": inflated(truthful(counts, 0.9), 0.2),
    }
    return {name: (counts, shares) for name, shares in answers.items()}


def cell(J: int, n: int, name: str, studies: int) -> dict[str, object]:
    """How often each method rejects at 5 % in the studies of one cell, and how often the Bayes factor is below 1 and below 1/3."""
    rng = np.random.default_rng([J, n, studies, sum(map(ord, name))])
    control, treatment = (rng.multinomial(n // 2, shares, studies) for shares in scenarios(J)[name])
    methods = METHODS if J <= MOST_UNSELECTED else ("textbook", "list-9.2.6")
    rates = {method: float((counts_tested(control, treatment, method).p < LEVEL).mean()) for method in methods}
    factors = np.array([log_posterior_of_order(c, t) - log_prior_of_order(J)
                        for c, t in zip(control[:FACTORS], treatment[:FACTORS], strict=True)])
    return {"n": n, "design effect": name, "J": J, **rates, "factor < 1": float((factors < 0).mean()),
            "factor < 1/3": float((factors < -np.log(3)).mean())}


def main(studies: int = 2000, n: int = 1000) -> None:
    """Print the rejection rates, by method, of every design effect and number of control items."""
    rows = []
    for J in ITEMS:
        for name in scenarios(J):
            rows.append(cell(J, n, name, studies))
            print(rows[-1], file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    print(f"{studies:,} studies a cell: the Monte Carlo standard error of a rate of .05 is {np.sqrt(0.05 * 0.95 / studies):.3f}.")
    for value in (*METHODS, "factor < 1", "factor < 1/3"):
        wide = table.pivot(index="design effect", columns="J", values=value).loc[list(scenarios(2))]
        print(f"\nn = {n:,}: {value}\n")
        print("| design effect | " + " | ".join(f"J = {J}" for J in wide.columns) + " |")
        print("| --- |" + " --- |" * len(wide.columns))
        for name, rates in wide.iterrows():
            print(f"| {name} | " + " | ".join("–" if np.isnan(rate) else f"{rate:.3f}" for rate in rates) + " |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
