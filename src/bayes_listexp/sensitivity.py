"""How much of a posterior is data and how much is prior: contraction of each parameter, and power-scaling of the prevalence."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import xarray as xr
from arviz_stats import psense
from pytensor.graph.replace import vectorize_graph
from scipy.stats import norm

from bayes_listexp import estimates, stored
from bayes_listexp.comparison import left_out
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import Population
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.margins import KnownItem
from bayes_listexp.model import build_model
from bayes_listexp.sampling import INTERPRETED, initial_values
from bayes_listexp.shape_levels import shape_factors
from bayes_listexp.specification import Blueprint, group_prior, prior_key

LEAST_CONTRACTION = 0.1
"""Below this the data hardly narrow a parameter; the prior's 1,000 draws give a contraction to within about 0.06."""

LEAST_SHIFT = 0.25
"""Below this many prior standard deviations the data hardly move a parameter."""

SENSITIVE = 0.05
"""Sensitivity above which a component matters (Kallioinen et al. 2024)."""

TAIL = 0.1
NORMAL_WIDTH = float(norm.ppf(1 - TAIL) - norm.ppf(TAIL))

NAMED = {
    "person_count_sd": "how much people differ in their control counts beyond their covariates",
    "person_trait_sd": "how much people differ in the trait beyond their covariates",
    "control_shift": "the difference in control counts between those with and without the trait",
    "control_shift_slope": "the difference between those with and without the trait in the effect on control counts of",
    "control_shift_slope_sd": "the size of the differences in effects on control counts between those with and without the trait",
    "control_shift_shape": "the difference in the shape of the control counts between those with and without the trait, direction",
    "control_shift_shape_sd": "the size of the differences in shape between those with and without the trait",
    "control_shape": "the shape of the control counts, direction",
    "control_overdispersion": "the overdispersion of the control counts",
    "control_dispersion": "the dispersion of the control counts",
    "control_item": "the popularity of control item",
    "trait_count": "the slope of the trait on the control count",
    "trait_count_step": "the step of the trait between neighbouring control counts,",
    "trait_count_sd": "the size of the bends of the trait along the control count",
}
"""Parameters in words; what they are indexed by follows."""

DIRECT = {"lie": "lying on", "false_yes": "claiming the trait falsely on", "refusal": "refusing",
          "lie_primed": "the effect of the treatment list on lying on", "refusal_trait": "the effect of the trait on refusing",
          "lie_count": "the effect of a control item more on lying on",
          "false_yes_count": "the effect of a control item more on claiming the trait falsely on"}


class Moved(NamedTuple):
    """One number of a model: its name, what it means, whether it is the effect of one level of a group, and its draws, flat."""

    parameter: str
    meaning: str
    group_effect: bool
    prior: np.ndarray
    posterior: np.ndarray


def contraction(tree: xr.DataTree) -> pd.DataFrame:
    """How much the data narrowed and moved each parameter: one row per number, on the model's scale (logits, mostly).

    Columns: ``parameter`` (its name in the tree), ``meaning`` (in words), ``group_effect`` (whether it is the effect of one level
    of a group), ``prior_sd``, ``posterior_sd``, ``contraction`` = 1 - (posterior_sd / prior_sd)^2, ``shift`` (difference of
    the medians in prior sds), and ``text``: a sentence where the contraction is below 0.1, else empty.

    The sds are robust: the width of the middle 80 % divided by that of a standard normal, so that heavy-tailed priors, whose
    variance may not exist, can be compared; for a normal distribution they are the sd. 1 means that the prior hardly
    matters for the width, 0 that the posterior is as wide as the prior (or wider, below 0). Coefficients on the formula's own
    scale, which repeat intercepts and slopes, are left out.

    Raises
    ------
    InputError : the fit has no posterior, or flat priors, which have no width.
    """
    rows = [[one.parameter, one.meaning, one.group_effect, *_compared(one.prior, one.posterior)] for one in parameter_draws(tree)]
    columns = ["parameter", "meaning", "group_effect", "prior_sd", "posterior_sd", "contraction", "shift"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(text=[_sentence(*row) for row in zip(table["meaning"], table["contraction"], table["shift"], strict=True)])


def parameter_draws(tree: xr.DataTree) -> list[Moved]:
    """The draws behind :func:`contraction`, one record per number, before and after the data.

    Raises
    ------
    InputError : as :func:`contraction`.
    """
    _need_posterior(tree)
    if "prior" not in tree.children:
        raise InputError("contraction: the fit has flat priors, so there is no prior to compare with. Fit with proper priors.")
    plan = stored.blueprint_of(tree)
    before, after = tree["prior"].to_dataset(), tree["posterior"].to_dataset()
    return [
        Moved(f"{name}[{', '.join(labels)}]" if labels else name, *_meaning(plan, name, labels), prior, posterior)
        for name in _parameters(plan, before, after)
        for labels, prior, posterior in _elements(before[name], after[name])
        if np.ptp(prior) > 0
    ]


def power_scaling(
    tree: xr.DataTree,
    *,
    by: str | Sequence[str] = (),
    population: Population = None,
    quantities: Mapping[str, xr.DataArray] | None = None,
    threshold: float = SENSITIVE,
) -> pd.DataFrame:
    """Sensitivity of the prevalence to the prior and to the likelihood: one row for everybody and per level of each column.

    Power-scaling (Kallioinen, Paananen, Bürkner & Vehtari 2024) raises the prior, or the likelihood, to a power near 1 by
    importance weights and measures how fast the posterior moves. ``by`` names columns, each taken on its own; ``population``
    is that of :func:`bayes_listexp.prevalence`; ``quantities`` are draws (chain, draw) of anything else, by name.

    Columns: ``quantity``, ``prior``, ``likelihood`` (sensitivities, at least 0) and ``diagnosis``: "prior-data conflict" where
    both reach the threshold, "weak likelihood" where the prior alone does, "-" otherwise. Neither is a fault in itself: an
    informative prior is meant to matter. What is scaled is :func:`log_prior` and the log-likelihood of all respondents.
    The draws must be the posterior's: after a quick look by ``method="map"`` that importance weights could not correct, sensitivities are
    rough, and with group-specific effects, which a normal distribution fits badly, far too large.

    Raises
    ------
    InputError : the fit has no posterior, or flat priors; columns as in :func:`bayes_listexp.prevalence`.
    """
    _need_posterior(tree)
    found = _prevalences(tree, [by] if isinstance(by, str) else list(by), population) | dict(quantities or {})
    weighted = "weighting" in tree.children
    given, n = left_out(tree)
    if weighted:
        given = tree["log_likelihood"]["answer_given"].transpose("chain", "draw", "pattern")
        n = tree["weighting"]["pattern_weight"].to_numpy()
    likelihood = xr.DataArray(given.to_numpy() @ n, dims=("chain", "draw"))
    values = np.stack([draws.transpose("chain", "draw").to_numpy() for draws in found.values()], axis=-1)
    data = xr.DataTree.from_dict({
        "posterior": xr.Dataset({"quantity": (("chain", "draw", "of"), values)}),
        "log_prior": xr.Dataset({"prior": log_prior(tree).drop_vars(["chain", "draw"])}),
        "log_likelihood": xr.Dataset({"likelihood": likelihood}),
    })
    scaled = {group: psense(data, group=group, sample_dims=["chain", "draw"])["quantity"].to_numpy()
              for group in ("prior", "likelihood")}
    diagnoses = [_diagnosis(p, q, threshold) for p, q in zip(scaled["prior"], scaled["likelihood"], strict=True)]
    return pd.DataFrame({"quantity": list(found), **scaled, "diagnosis": diagnoses})


def log_prior(tree: xr.DataTree) -> xr.DataArray:
    """Log-density of the priors as they are written, at every draw: dims (chain, draw).

    Each on the scale of its own text (a Beta on an intercept is that of the probability), without Jacobians. Left out, and so
    not scaled, is what says how the model works and not what was believed: the standardised group effects given their sd
    (Kallioinen et al. 2024 scale the hyperpriors alone) and margins, which are evidence from elsewhere.

    Raises
    ------
    InputError : the fit has no posterior, or flat priors.
    """
    _need_posterior(tree)
    if stored.fact(tree, "specification")["priors"] == "flat":
        raise InputError("power_scaling: the fit has flat priors, which no power changes. Fit with proper priors.")
    plan = _with_known_items(tree)
    model = build_model(plan)
    scaled = [rv for rv in model.free_RVs if not (rv.name.endswith("_z") or rv.name.startswith("margin_"))]
    on_logits = {f"{name}_intercept": prior_key(name, "intercept") for name in plan.designs}
    on_logits |= {part.own("control_overdispersion_logit"): "control_overdispersion" for part in plan.parts}
    beta = {name for name, key in on_logits.items() if plan.priors[key].distribution == "Beta"} | _beta_hyperparameters(plan)
    terms = [term.sum() for term in model.logp(vars=scaled, jacobian=False, sum=False)]
    for rv in scaled:
        if rv.name in beta:
            value = model.rvs_to_values[rv]
            terms.append(pt.softplus(value) + pt.softplus(-value))  # from the logit's density to the probability's
    total = _at_draws(tree, model, sum(terms))
    posterior = tree["posterior"]
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    coords = {name: posterior[name].to_numpy() for name in ("chain", "draw")}
    return xr.DataArray(total.reshape(shape), dims=("chain", "draw"), coords=coords, name="log_prior")


def _beta_hyperparameters(plan: Blueprint) -> set[str]:
    """Logits of group effects' hyperparameters whose priors are those of a probability."""
    parts = [(predictor, term, part) for predictor, bound in plan.designs.items() for term in bound.groups for part in ("mix", "rho")]
    return {f"{p}_{t.name}_{part}_logit" for p, t, part in parts if group_prior(plan, p, t, part).distribution == "Beta"}


def _at_draws(tree: xr.DataTree, model: pm.Model, scalar: pt.TensorVariable) -> np.ndarray:
    """A scalar of the model's parameters at every stored draw, (sample,)."""
    draws = tree["unconstrained_posterior"]["unconstrained"]
    names = np.array([str(name).partition("[")[0] for name in draws["unconstrained_parameter"].to_numpy()])
    flat = draws.to_numpy().reshape(-1, len(names))
    initial = initial_values(model)
    inputs, values = {}, []
    for variable in model.value_vars:
        shape = np.shape(initial[variable.name])
        inputs[variable] = pt.tensor(variable.name, dtype="float64", shape=(None, *shape))
        values.append(flat[:, names == variable.name].reshape(-1, *shape))
    replaced = vectorize_graph(scalar, inputs)
    return pytensor.function(list(inputs.values()), replaced, mode=INTERPRETED, on_unused_input="ignore")(*values)


def _with_known_items(tree: xr.DataTree) -> Blueprint:
    """The stored blueprint with the margins of control items, on which it depends how the items are parameterised."""
    plan, margins = stored.blueprint_of(tree), stored.fact(tree, "specification").get("margins", [])
    known = tuple(KnownItem(**{k: v for k, v in m.items() if k != "kind"}) for m in margins if m["kind"] == "KnownItem")
    return dataclasses.replace(plan, specification=dataclasses.replace(plan.specification, margins=known))


def _need_posterior(tree: xr.DataTree) -> None:
    if "posterior" not in tree.children:
        raise InputError("the fit has no posterior (a maximum likelihood that lies at infinity). Fit with priors.")


def _prevalences(tree: xr.DataTree, by: Sequence[str], population: Population) -> dict[str, xr.DataArray]:
    """Prevalence of everybody and by each column on its own, by name."""
    out = {"prevalence": estimates.prevalence(tree, population=population)}
    for column in by:
        draws = estimates.prevalence(tree, by=column, population=population)
        for level in draws[column].to_numpy():
            out[f"prevalence ({column}: {_label(level)})"] = draws.sel({column: level}, drop=True)
    return out


HYPER = {
    "mix": "the neighbours' share in the variance of",
    "rho": "the correlation at the mean gap of",
    "length": "the length in time of",
    "trend": "the straight line in",
    "correlation": "the correlation between",
    "partial": "the partial correlation between",
}
"""What the parameters of structured group effects are, by the last part of their names."""


def _diagnosis(prior: float, likelihood: float, threshold: float) -> str:
    if prior < threshold:
        return "-"
    return "prior-data conflict" if likelihood >= threshold else "weak likelihood"


def _parameters(plan: Blueprint, prior: xr.Dataset, posterior: xr.Dataset) -> list[str]:
    """Names of the parameters in both groups, each under one name only."""
    names = [str(name) for name in posterior.data_vars if name in prior]
    repeated = {*plan.designs, *(f"{name}_logit" for name in names), *(f"{name}_log" for name in names)}
    repeated |= {part.own(f"control_item_{how}") for part in plan.parts if part.own("control_item") in names for how in ("free", "gap")}
    return [n for n in names if n not in repeated and not (n.startswith("margin_") and n.endswith("_share"))]


def _elements(prior: xr.DataArray, posterior: xr.DataArray) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
    """Each number of a parameter: its labels, and its prior and posterior draws."""
    dims = posterior.dims[2:]
    labels = [posterior[d].to_numpy() if d in posterior.coords else np.arange(1, posterior.sizes[d] + 1) for d in dims]
    for index in np.ndindex(posterior.shape[2:]):
        at = (slice(None), slice(None), *index)
        named = [_label(values[i]) for values, i in zip(labels, index, strict=True)]
        yield named, prior.to_numpy()[at].ravel(), posterior.to_numpy()[at].ravel()


def _compared(prior: np.ndarray, posterior: np.ndarray) -> list[float]:
    """Prior and posterior robust sd, contraction, and shift."""
    (low, middle, high), (after_low, after_middle, after_high) = (
        np.quantile(draws, [TAIL, 0.5, 1 - TAIL]) for draws in (prior, posterior))
    before, after = (high - low) / NORMAL_WIDTH, (after_high - after_low) / NORMAL_WIDTH
    return [float(before), float(after), float(1 - (after / before) ** 2), float((after_middle - middle) / before)]


def _sentence(meaning: str, contracted: float, shift: float) -> str:
    if contracted >= LEAST_CONTRACTION:
        return ""
    if abs(shift) < LEAST_SHIFT:
        return f"The data do not speak about {meaning}: its posterior is its prior."
    return f"The data move {meaning}, but leave it as uncertain as the prior did."


def _meaning(plan: Blueprint, name: str, labels: Sequence[str]) -> tuple[str, bool]:
    """A parameter in words, and whether it is the effect of one level of a group."""
    for one, own in zip(plan.lists, plan.parts, strict=False):
        if name.startswith(own.own("control_")):
            meaning, group_effect = _meaning(own, f"control_{name.removeprefix(own.own('control_'))}", labels)
            return f"{meaning} (list version {one.version})", group_effect
    if name == "control_shift_slope":
        labels = [plan.designs["control"].names[int(labels[0]) - 1]]
    if name in NAMED:
        return " ".join([NAMED[name], *labels]), False
    for factor in shape_factors(plan):
        if name == factor.parameter:
            return f"the shape of the control counts at {factor.name} = {labels[0]}, direction {labels[1]}", True
        if name == f"{factor.parameter}_sd":
            return f"the spread of the shape of the control counts over the levels of {factor.name}", False
    for predictor in sorted((p for p in plan.designs if name.startswith(f"{p}_")), key=len, reverse=True):
        about, part = _about(plan, predictor), name.removeprefix(f"{predictor}_")
        if part == "intercept":
            typical = {"trait": "the prevalence of the average respondent", "control": "the average of the control counts"}
            return typical.get(predictor, about), False
        if part == "slope":
            return f"the effect of {labels[0]} on {about}", False
        for term in plan.designs[predictor].groups:
            what = f"the effect of {labels[0]} on {about}" if labels and labels[0] != "Intercept" else about
            if part == f"{term.name}_sd":
                return f"the spread of {what} over the levels of {':'.join(term.factors)}", False
            if part.startswith(f"{term.name}_") and part.removeprefix(f"{term.name}_").partition("_")[0] in HYPER:
                kind = HYPER[part.removeprefix(f"{term.name}_").partition("_")[0]]
                return " ".join([f"{kind} the effects of {':'.join(term.factors)} on {about}", *labels]), False
            if part == term.name:
                return f"{what} at {':'.join(term.factors)} = {labels[-1]}", True
    return " ".join([_about(plan, name), *labels]), False


def _about(plan: Blueprint, name: str) -> str:
    """What a linear predictor or another parameter of an instrument is about."""
    if name in ("trait", "control"):
        return {"trait": "the prevalence", "control": "the control counts"}[name]
    if name.startswith("margin_"):
        return f"the bias of the margin '{name.removeprefix('margin_').removesuffix('_bias').replace('_', ' ')}'"
    if name.startswith("lapse_"):
        return f"the lapse '{name.removeprefix('lapse_')}'"
    for instrument in plan.instruments:
        if name.startswith(f"{instrument.name}_"):
            part = name.removeprefix(f"{instrument.name}_")
            if isinstance(instrument, DirectQuestion) and part in DIRECT:
                return f"{DIRECT[part]} the {instrument.name} question"
            return f"'{part.replace('_', ' ')}' of the instrument '{instrument.name}'"
    return f"'{name.replace('_', ' ')}'"


def _label(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else str(value)
