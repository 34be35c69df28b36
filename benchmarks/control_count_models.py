"""Where each model of the control counts ends up in a very large survey: the posterior mode at the expected counts.

``python benchmarks/control_count_models.py`` prints the table as Markdown.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
from scipy.special import expit

from bayes_listexp import ListExperiment
from bayes_listexp.model import build_model
from bayes_listexp.sampling import Density, compile_density, find_mode, initial_values
from bayes_listexp.specification import Specification, blueprint

J = 4
N = 100_000
MODELS = {
    "binomial, none": ("binomial", "none"),
    "COM, none": ("com_binomial", "none"),
    "softmax, none": ("softmax", "none"),
    "binomial, shift": ("binomial", "shift"),
    "COM, shift": ("com_binomial", "shift"),
    "softmax, shift": ("softmax", "shift"),
    "softmax, free": ("softmax", "free"),
}
"""Columns of the table: family of the counts and their dependence on the trait."""


class Truth(NamedTuple):
    """A population: P(trait), and the pmf of the control count (count,) without and with the trait.

    ``mirrored`` if the likelihood is the same for prevalence p and 1 - p: of two modes the lower is then reported.
    """

    prevalence: float
    without_trait: np.ndarray
    with_trait: np.ndarray
    mirrored: bool = False


def items(*popularities: float) -> np.ndarray:
    """Pmf of the number of independent items that apply, shape (count,), by convolution."""
    return reduce(np.convolve, [np.array([1 - p, p]) for p in popularities])


def _truths() -> dict[str, Truth]:
    equal, unequal = items(0.69, 0.69, 0.69, 0.69), items(0.95, 0.7, 0.9, 0.2)
    pair = np.array([0.1, 0.8, 0.1])  # each item applies to half, both or neither to a tenth: correlation -0.6
    pairs = np.convolve(pair, pair)
    one = items(0.85, 0.8, 0.35, 0.55), items(0.85, 0.8, 0.35, 0.9)
    two = items(0.85, 0.8, 0.5, 0.3), items(0.85, 0.8, 0.85, 0.55)
    against = items(0.85, 0.8, 0.8, 0.5), items(0.85, 0.8, 0.5, 0.3)
    return {
        "equal items .69": Truth(0.5, equal, equal),
        "unequal items .95 .7 .9 .2": Truth(0.5, unequal, unequal),
        "two negatively correlated pairs": Truth(0.5, pairs, pairs, mirrored=True),
        "one item goes with the trait (.55 / .9; others .85 .8 .35)": Truth(0.5, *one),
        "the same, rare trait": Truth(0.1, *one),
        "two items go with the trait (.5 / .85 and .3 / .55; others .85 .8)": Truth(0.5, *two),
        "two items go against it (.8 / .5 and .5 / .3; others .85 .8)": Truth(0.5, *against),
    }


TRUTHS = _truths()


def expected_study(truth: Truth) -> ListExperiment:
    """The study of ``N`` respondents, half in each arm, whose counts are the expected ones, to whole respondents."""
    types = (1 - truth.prevalence) * truth.without_trait, truth.prevalence * truth.with_trait
    arms = {"control": types[0] + types[1], "treatment": np.append(types[0], 0) + np.insert(types[1], 0, 0)}
    rows = [(arm, answer, round(N / 2 * share)) for arm, pmf in arms.items() for answer, share in enumerate(pmf)]
    return ListExperiment.from_counts(
        pd.DataFrame(rows, columns=["arm", "answer", "n"]), answer="answer", arm="arm", n="n", J=J
    )


def prevalence_at_mode(truth: Truth, counts: str, dependence: str) -> float:
    """Prevalence (0 to 1) at the posterior mode of an intercept-only model with default priors."""
    model, density = _compiled(counts, dependence)
    pm.set_data({f"{arm}_counts": table for arm, table in expected_study(truth).cells().answers.items()}, model=model)
    place = list(initial_values(model)).index("trait_intercept")
    found = float(expit(find_mode(density, seed=1).point[place]))
    return min(found, 1 - found) if truth.mirrored else found


@lru_cache
def _compiled(counts: str, dependence: str) -> tuple[pm.Model, Density]:
    """A model without covariates and its density, compiled once for all truths: only the counts of answers differ."""
    some = expected_study(next(iter(TRUTHS.values())))
    model = build_model(blueprint(some, Specification(counts=counts, dependence=dependence)))
    return model, compile_density(model, mode="FAST_COMPILE")


def markdown() -> str:
    """The table as Markdown: a row per truth, a column per model; more than .1 from the truth in bold."""
    head = ["truth (popularities without / with the trait)", "true P", *MODELS]
    lines = [head, ["---"] * len(head)]
    for name, truth in TRUTHS.items():
        found = [prevalence_at_mode(truth, *model) for model in MODELS.values()]
        cells = [f"**{p:.3f}**" if abs(p - truth.prevalence) > 0.1 else f"{p:.3f}" for p in found]
        lines.append([name, f"{truth.prevalence:.2f}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(markdown())
