"""Fitting: a row of stages from a study to one DataTree that holds everything later work needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pymc as pm
import xarray as xr

from bayes_listexp import predictive, stored
from bayes_listexp.coordinates import NONE, Signs
from bayes_listexp.curvature import corrected_draws
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.importance import Approximation, around_mode, compile_densities, corrected
from bayes_listexp.margins import Margin
from bayes_listexp.model import build_model
from bayes_listexp.sampling import (
    Density,
    Sampler,
    as_dataset,
    compile_density,
    constrain,
    draw_prior,
    find_mode,
    initial_values,
    sample_nuts,
)
from bayes_listexp.specification import Blueprint, Specification, blueprint, refuse_impossible
from bayes_listexp.verification import with_checks

PREDICTIVE_DRAWS = 500
PRIOR_DRAWS = 1000
LAPLACE_DRAWS = 1000

FEW_SDS, FEW_TARGET_ACCEPT = 3, 0.8
"""Up to so many standard deviations of effects, fits are sampled with this target acceptance if the caller does not choose; with more
of them :class:`Sampler`'s, as energies vary more and the first transitions begin to diverge. By trial these diverge least where a
standard deviation's unit is one standard error of the effects (few) or two (more)."""

CAREFUL_TARGET_ACCEPT = 0.99
"""Target acceptance of a second run, where the first had divergences and the caller did not choose."""

SCALED_TUNE = 500
"""Tuning steps where the mode's curvature gives the scale of the coefficients: the step size, and the group effects, are left to tune."""


def fit(
    study: ListExperiment,
    *,
    trait: str = "1",
    control: str | None = None,
    response: Any = "truthful",
    counts: str = "softmax",
    dependence: str = "shift",
    lapses: Mapping[str, str] | None = None,
    priors: Any = None,
    instruments: Mapping[str, Mapping[str, Any]] | None = None,
    margins: Sequence[Margin] = (),
    neighbours: Mapping[str, Any] | None = None,
    times: Mapping[str, Any] | None = None,
    centred: Mapping[str, bool] | None = None,
    weighting: Literal["none", "pseudo"] = "none",
    person: Literal["none", "count", "both"] = "none",
    groups: Sequence[str] = (),
    method: Literal["nuts", "map"] = "nuts",
    sample: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> xr.DataTree:
    """Fit a list-experiment regression (Blair & Imai 2012; Imai 2011, in one engine; see :class:`Specification`).

    Parameters
    ----------
    trait, control, response, counts, dependence, lapses, priors, instruments, margins, neighbours, times, centred,
        weighting, person : the model, see :class:`bayes_listexp.Specification`.
    groups : further columns by which estimates will be asked for; the cells keep them apart.
    method : "nuts" samples the posterior; "map" is a quick look: it finds the posterior's mode on the unconstrained scale, and draws near
        it that importance weights correct (PSIS). Where these cannot be relied on, as with many group effects, the draws stay those of
        the normal approximation at the mode. The attributes of ``posterior`` and ``optimum`` say which (``approximation`` "PSIS" or
        "normal"; ``pareto_k``, at most 0.7 if corrected; ``importance_effective_draws``). With priors "flat" this is maximum
        likelihood with its normal approximation; where the maximum lies at infinity (a lapse probability of 0, say), the tree holds
        the ``optimum`` alone and no posterior.
    sample : settings of NUTS: ``draws``, ``tune``, ``chains``, ``target_accept``, ``progress``, ``cores`` (chains that may run
        at once; all processors by default). Coefficients move in coordinates scaled by the mode's curvature, which is why 500
        steps of tuning are enough. Without a ``target_accept`` it is 0.8, with more than three standard deviations of group effects
        0.9; where transitions diverge, the fit is then sampled once more at 0.99.
    seed : of everything random; the same seed, data and versions give the same draws.

    Returns
    -------
    DataTree with the groups ``posterior``, ``sample_stats`` (NUTS) or ``optimum`` (map), ``unconstrained_posterior``,
    ``prior``, ``prior_predictive``, ``posterior_predictive``, ``log_likelihood`` (one value per distinct observation of
    cell, arm, answer and instruments; ``observed_data/pattern_n`` respondents each), ``observed_data``, ``cells``,
    ``report_tables``, ``rows`` (with instruments), ``persons`` (where people answer in several waves; with person effects
    ``log_likelihood`` has one value for each of those of whom the same is known in all waves, ``observed_data/person_n`` people),
    ``population``, ``weighting`` (with weighting "pseudo": by how much the sampling design widened each parameter), and provenance as
    attributes. ArviZ works on it directly, but for leave-one-out cross-validation, which must weigh patterns with their frequency: use
    :func:`bayes_listexp.loo`.

    Raises
    ------
    InputError : whatever in the arguments does not fit the study, by name.
    """
    specification = Specification(
        trait, control, response, counts, dependence, lapses or {}, priors or {}, instruments or {}, tuple(margins),
        neighbours or {}, times or {}, centred or {}, weighting, person,
    )
    settings = _sampler(sample)
    if method not in ("nuts", "map"):
        raise InputError(f"method = '{method}': say 'nuts' or 'map'.")
    if specification.priors == "flat" and method == "nuts":
        raise InputError("priors = 'flat' gives no proper posterior to sample: use method='map' (maximum likelihood).")
    plan = blueprint(study, specification, groups)
    refuse_impossible(plan)
    if "tune" not in (sample or {}):
        settings = settings._replace(tune=SCALED_TUNE)
    model, careful = build_model(plan), None
    if "target_accept" not in (sample or {}):
        careful = CAREFUL_TARGET_ACCEPT
        settings = settings._replace(target_accept=FEW_TARGET_ACCEPT) if _few(model) else settings
    density = compile_density(model, mode="NUMBA" if method == "nuts" else "FAST_COMPILE")
    arguments = {"method": method, "seed": seed, "groups": list(groups)}
    draws: np.ndarray | None
    if method == "nuts":
        draws, found, settings = _by_nuts(model, density, settings, careful, seed)
        arguments |= {k: v for k, v in settings._asdict().items() if k not in ("progress", "cores")}
    else:
        draws, found = _by_mode(plan, model, density, seed)
    if weighting == "pseudo" and draws is not None:
        draws, found["weighting"] = corrected_draws(study, plan, model, draws)
    return with_checks(assemble(study, plan, model, draws, found, arguments), density, draws)


def assemble(
    study: ListExperiment,
    plan: Blueprint,
    model: pm.Model,
    draws: np.ndarray | None,
    found: Mapping[str, xr.Dataset],
    arguments: Mapping[str, Any],
) -> xr.DataTree:
    """The DataTree of unconstrained ``draws`` (chain, draw, parameter), or of none: what was found, predictive, provenance."""
    seed = int(arguments["seed"])
    nodes: dict[str, xr.Dataset] = {**found, **_prior(plan, model, seed)}
    if draws is not None:
        nodes |= _posterior(plan, model, draws, seed)
        nodes["posterior"].attrs |= found["optimum"].attrs if "optimum" in found else {}
    nodes["observed_data"] = predictive.observed_answers(plan)
    nodes |= stored.groups(plan, study.population_frame)
    tree = xr.DataTree.from_dict(nodes)
    tree.attrs = stored.attributes(study, plan, arguments)
    return tree


def _posterior(plan: Blueprint, model: pm.Model, draws: np.ndarray, seed: int) -> dict[str, xr.Dataset]:
    """The groups that follow from draws: parameters, replicated answers, and the log-likelihood of every pattern."""
    posterior = constrain(model, draws)
    unconstrained = xr.Dataset(
        {"unconstrained": (("chain", "draw", "unconstrained_parameter"), draws)},
        coords={"unconstrained_parameter": _unconstrained_names(model)},
    )
    replicated = predictive.replicated_answers(plan, posterior, draws=PREDICTIVE_DRAWS, seed=seed + 1)
    log_likelihood = predictive.log_likelihood(plan, posterior).to_dataset(name="answer_given")
    return {
        "posterior": posterior,
        "unconstrained_posterior": unconstrained,
        "posterior_predictive": replicated,
        "log_likelihood": log_likelihood,
    }


def _sampler(sample: Mapping[str, Any] | None) -> Sampler:
    unknown = [name for name in sample or {} if name not in Sampler._fields]
    if unknown:
        raise InputError(f"sample: '{unknown[0]}' is not a setting; there are: {', '.join(Sampler._fields)}.")
    settings = Sampler(**(sample or {}))
    cores = 1 if settings.cores is None else settings.cores
    if min(settings.draws, settings.tune, settings.chains, cores) < 1 or not 0 < settings.target_accept < 1:
        raise InputError(
            "sample: draws, tune and chains must be at least 1 (cores too, if given) and target_accept between 0 and 1, "
            f"found {dict(sample or {})}."
        )
    return settings


def _by_nuts(
    model: pm.Model, density: Density, settings: Sampler, careful: float | None, seed: int
) -> tuple[np.ndarray, dict[str, xr.Dataset], Sampler]:
    """Draws, their statistics and the settings that they were made with: with divergences, those of a second, ``careful`` run."""
    mode, along, signs = find_mode(density, seed), _nearly_normal(model), signed_sds(model)
    draws, stats = sample_nuts(density, settings, seed, mode, along, signs)
    if careful and "interrupted" not in stats.attrs and (broken_off := int(stats["diverging"].sum())):
        settings = settings._replace(target_accept=careful)
        draws, stats = sample_nuts(density, settings, seed, mode, along, signs)
        stats.attrs["divergences_of_first_run"] = broken_off
    return draws, {"sample_stats": stats}, settings


def _nearly_normal(model: pm.Model) -> np.ndarray:
    """Positions of the unconstrained parameters that are neither effects of single groups nor their standard deviations."""
    names = [name.split("[")[0].removesuffix("_log__") for name in _unconstrained_names(model)]
    return np.array([i for i, name in enumerate(names) if not name.endswith(("_z", "_sd"))], dtype=int)


def _sds(model: pm.Model) -> dict[str, np.ndarray]:
    """The standard deviations of effects where sampling starts, by the effects' name."""
    starts = {name.removesuffix("_sd_log__"): value for name, value in initial_values(model).items() if name.endswith("_sd_log__")}
    return {effects: np.exp(np.ravel(value)) for effects, value in starts.items()}


def _few(model: pm.Model) -> bool:
    return sum(map(len, _sds(model).values())) <= FEW_SDS


def signed_sds(model: pm.Model) -> Signs:
    """The standard deviations that may be passed through 0, and what turns with them: of effects ``x``, ``x_sd`` and ``x_z``."""
    starts = initial_values(model)
    ends = dict(zip(starts, np.cumsum([value.size for value in starts.values()]), strict=True))
    errors = 1 if _few(model) else 2
    sd, unit, turned, by = [NONE], [np.zeros(0)], [NONE], [NONE]
    for effects, start in _sds(model).items():
        if f"{effects}_z" not in starts:
            continue
        size = starts[f"{effects}_z"].size
        by.append(sum(map(len, sd)) + np.repeat(np.arange(start.size), size // start.size))
        turned.append(ends[f"{effects}_z"] - size + np.arange(size))
        sd.append(ends[f"{effects}_sd_log__"] - start.size + np.arange(start.size))
        unit.append(_told(model, effects, start, errors))
    return Signs(*(np.concatenate(parts) for parts in (sd, unit, turned, by)))


def _told(model: pm.Model, effects: str, expected: np.ndarray, errors: float) -> np.ndarray:
    """The size of effects that the data tell from 0, so many standard errors, (sd,), or that which the prior expects if it is less."""
    if f"{effects}_information" not in model.named_vars:
        return expected
    known = model[f"{effects}_information"].get_value().reshape(len(expected), -1).mean(axis=1)
    return 1 / np.sqrt(known / errors**2 + expected**-2.0)


def _by_mode(
    plan: Blueprint, model: pm.Model, density: Density, seed: int
) -> tuple[np.ndarray | None, dict[str, xr.Dataset]]:
    """Draws of the quick look, and the mode with how these draws stand to the posterior as attributes."""
    mode, evaluate = find_mode(density, seed), compile_densities(model, predictive.numbers_of_a_draw(plan))
    draws, approximation = None, Approximation(corrected=False)
    flat = plan.specification.priors == "flat"
    if mode.covariance is not None and flat:  # maximum likelihood: its normal approximation is what is asked for
        draws = around_mode(mode.point, mode.covariance, LAPLACE_DRAWS, seed)
    elif mode.covariance is not None:
        draws, approximation = corrected(evaluate, mode.point, mode.covariance, LAPLACE_DRAWS, seed)
    elif not flat:
        raise InputError(
            "the mode is not unique or lies at infinity: the data and the priors do not identify every parameter. "
            "Keep the default priors, or simplify the formulas."
        )
    optimum = constrain(model, mode.point[None, None]).isel(chain=0, draw=0, drop=True)
    optimum["log_density"] = mode.log_density
    optimum["log_likelihood"] = float(evaluate(mode.point[None])[1][0])
    return draws, {"optimum": optimum.assign_attrs(approximation.attributes())}


def _unconstrained_names(model: pm.Model) -> list[str]:
    return [
        f"{name}{list(index) if index else ''}"
        for name, value in initial_values(model).items()
        for index in np.ndindex(value.shape)
    ]


def _prior(plan: Blueprint, model: pm.Model, seed: int) -> dict[str, xr.Dataset]:
    """Draws from the prior and the answers it predicts; with a flat prior there are none."""
    if any(prior.distribution == "Flat" for prior in plan.priors.values()):
        return {}
    variables = [v for v in [*model.free_RVs, *model.deterministics] if not v.name.endswith("_z")]
    drawn = draw_prior(model, variables, PRIOR_DRAWS, seed)
    prior = as_dataset(model, {name: value[None] for name, value in drawn.items()})
    return {
        "prior": prior,
        "prior_predictive": predictive.replicated_answers(plan, prior, draws=PREDICTIVE_DRAWS, seed=seed + 2),
    }
