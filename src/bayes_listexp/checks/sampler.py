"""Whether the sampler worked: agreement of chains, effective draws, divergences, energy, and the quadrature of person effects."""

from __future__ import annotations

import arviz as az
import numpy as np
import xarray as xr

from bayes_listexp import predictive, stored
from bayes_listexp.checks.record import Check
from bayes_listexp.importance import Approximation

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400
ENERGY_LIMIT = 0.3
LONGER = ("Fit again with more tuning and draws ([sample] tune, draws); if chains stay apart, look which parameter it is (bayes-listexp "
          "show) and give it a narrower prior, or take a simpler dependence.")
QUADRATURE_LIMIT = 0.1
"""An error of the log-likelihood that moves no posterior."""


def converged(tree: xr.DataTree) -> bool:
    """Whether a fit was sampled and R-hat, effective sample size and divergences are all in order."""
    return "sample_stats" in tree.children and all(check.passed is not False for check in convergence(tree))


def convergence(tree: xr.DataTree) -> list[Check]:
    """R-hat, effective sample sizes and divergences over all parameters (Vehtari et al. 2021)."""
    posterior = _varying(tree["posterior"].to_dataset())
    alone = posterior.sizes["chain"] == 1
    r_hat = np.nan if alone else _extreme(az.rhat(posterior), "max")
    bulk, tail = _extreme(az.ess(posterior, method="bulk"), "min"), _extreme(az.ess(posterior, method="tail"), "min")
    stats = tree["sample_stats"].to_dataset()
    divergences = int(stats["diverging"].sum())
    deepest = int(stats["reached_max_treedepth"].sum()) if "reached_max_treedepth" in stats else 0
    total = stats.sizes["chain"] * stats.sizes["draw"]
    earlier = stats.attrs.get("divergences_of_first_run", 0)
    repeated = f" A first run with larger steps, of which nothing was kept, had {earlier}." if earlier else ""
    return [
        *_whole(tree),
        Check("R-hat", "Do the chains agree?", r_hat < R_HAT_LIMIT, r_hat, None,
              "There is one chain, and none to agree with." if alone else f"The largest R-hat is {r_hat:.3f} (limit {R_HAT_LIMIT}).",
              advice="Sample four chains." if alone else LONGER),
        Check("effective sample size", "Are there enough independent draws?", min(bulk, tail) >= ESS_LIMIT, min(bulk, tail), None,
              f"The smallest effective sample size is {bulk:.0f} in the bulk and {tail:.0f} in the tails (limit {ESS_LIMIT}).",
              advice=LONGER),
        Check("divergences", "Did the sampler explore without breaking off?", divergences == 0, divergences, None,
              f"{divergences} of {total} transitions diverged; {deepest} reached the largest tree depth.{repeated}",
              advice="Fit again with target_accept = 0.99; if some are left, narrower priors of group effects' sds, or centred effects."),
    ]


def _whole(tree: xr.DataTree) -> list[Check]:
    """That sampling was interrupted, if it was."""
    left = stored.interrupted(tree)
    return [Check("complete", "Did sampling come to its end?", False, None, None, f"Sampling was interrupted: there are {left}.",
                  advice="Fit again: the same command does the whole run.")] if left else []


def energy(tree: xr.DataTree) -> list[Check]:
    """Whether the momenta reach the energies of the posterior (E-BFMI, Betancourt 2016); none where energies were not stored."""
    if "energy" not in tree["sample_stats"].to_dataset():
        return []
    least = float(np.min(az.bfmi(tree["sample_stats"].to_dataset()["energy"])))
    text = f"The smallest E-BFMI of a chain is {least:.2f} (limit {ENERGY_LIMIT})."
    return [Check("energy", "Did the sampler reach the tails of the posterior?", least >= ENERGY_LIMIT, least, None, text,
                  advice="Tails are explored slowly: tune longer, or narrow the priors of group effects' sds.")]


def person_effects(tree: xr.DataTree) -> Check:
    """Whether the nodes of the quadrature are close enough for the person effects that were found."""
    error = predictive.quadrature_error(stored.blueprint_of(tree), tree["posterior"].to_dataset())
    text = f"With twice as many nodes for person effects the log-likelihood of all persons moves by {error:.2g} (limit {QUADRATURE_LIMIT})."
    if error >= QUADRATURE_LIMIT:
        text += " People differ more than the nodes can follow: use a narrower prior of the person effects' sd, or person = 'none'."
    return Check("person effects", "Is the integral over person effects exact enough?", error < QUADRATURE_LIMIT, error, None, text)


def not_sampled(tree: xr.DataTree) -> Check:
    """A quick look is not sampled; how far to trust it."""
    told = Approximation.of(tree) or Approximation(corrected=False)
    text = f"This is a quick look. {told.words()} Fit with method 'nuts' before publishing."
    return Check("sampling", "Was the posterior sampled?", False, told.pareto_k, None, text)


def _varying(posterior: xr.Dataset) -> xr.Dataset:
    """Parameters without those that are constant by construction, for which R-hat is undefined."""
    return posterior[[name for name in posterior.data_vars if float(posterior[name].std()) > 0]]


def _extreme(values: xr.DataTree | xr.Dataset, which: str) -> float:
    data = values.to_dataset() if isinstance(values, xr.DataTree) else values
    found = [float(getattr(np, f"nan{which}")(data[name].to_numpy())) for name in data.data_vars]
    return max(found) if which == "max" else min(found)
