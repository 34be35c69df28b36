"""Whether the list, and not the shape of an outcome's distribution, says who has the trait."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import entr

from bayes_listexp import predictive, stored
from bayes_listexp.cells import ARMS
from bayes_listexp.checks.record import Check
from bayes_listexp.instruments.outcome import Outcome

CLASSES_DRAWS = 200


def classes(tree: xr.DataTree) -> list[Check]:
    """Whether the list, and not the shape of an outcome's distribution, says who has the trait: a Check if there are outcomes.

    What an observation says of the trait is how far it reduces its entropy (bits per person, from that of P(trait | x)). The list
    is compared with the list and one outcome together, among people of the treatment arm with that outcome, whom both inform, and
    with all covariates.
    Two classes always fit a lopsided or two-humped outcome better than one, and with a weak list they may be those humps.
    """
    plan = stored.blueprint_of(tree)
    outcomes = [instrument for instrument in plan.instruments if isinstance(instrument, Outcome)]
    if not outcomes:
        return []
    posterior = tree["posterior"].to_dataset()
    posterior = posterior.isel(draw=slice(None, None, max(1, posterior.sizes["chain"] * posterior.sizes["draw"] // CLASSES_DRAWS)))
    seen = predictive.patterns(plan)
    before = np.concatenate([chances for chances, _ in predictive.of_population(plan, posterior, plan.cells.frame)])[:, seen.cell]
    listed = predictive.trait_given_list(plan, posterior).to_numpy().reshape(before.shape)
    rows = []
    for outcome in outcomes:
        alone = dataclasses.replace(plan, instruments=(outcome,))
        both = predictive.trait_given_answer(alone, posterior).to_numpy().reshape(before.shape)
        told = np.isfinite(seen.observed[f"_{outcome.name}"])
        people = np.where((seen.cell >= 0) & (seen.arm == ARMS.index("treatment")) & told, seen.n, 0)
        if people.sum():
            bits = [float(_entropy(p).mean(axis=0) @ people / people.sum()) for p in (before, listed, both)]
            rows.append((outcome.name, int(people.sum()), bits[0], bits[0] - bits[1], bits[1] - bits[2]))
    table = pd.DataFrame(rows, columns=["outcome", "n", "bits before", "bits by the list", "further bits by the outcome"])
    return [_classes_check(table)] if rows else []


def _classes_check(table: pd.DataFrame) -> Check:
    listed, further = table["bits by the list"], table["further bits by the outcome"]
    told = [f"{row[0]} (list {row[3]:.3f} of {row[2]:.2f} bits, outcome {row[4]:.3f} more)" for row in table.itertuples(index=False)]
    beyond = further > listed
    text = (f"The list says more about who has the trait than the outcomes do: {', '.join(told)}." if not beyond.any() else
            "The outcome says more about who has the trait than the list does: "
            f"{', '.join(t for t, b in zip(told, beyond, strict=True) if b)}. The two classes may be those of the outcome's distribution, "
            "not the trait: compare the prevalence with that of the list alone, and the difference with another family of outcome.")
    question = "Does the list, rather than an outcome's distribution, define who has the trait?"
    return Check("classes", question, not beyond.any(), float((further - listed).max()), table, text)


def _entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of a 0/1 variable in bits."""
    return (entr(p) + entr(1 - p)) / np.log(2)
