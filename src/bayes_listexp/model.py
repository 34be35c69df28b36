"""From a blueprint to a PyMC model: free parameters, linear predictors, and the one likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from bayes_listexp import formulas, priors
from bayes_listexp.cells import Incomplete
from bayes_listexp.control_counts import ordered_items
from bayes_listexp.count_shapes import item_basis
from bayes_listexp.errors import InputError
from bayes_listexp.formulas import Design, Matrices
from bayes_listexp.group_effects import dim, group_effects, information, shape_effects
from bayes_listexp.instrument import Rows, parameters_of
from bayes_listexp.likelihood import (
    SMALLEST,
    RowTables,
    answer_log_likelihood,
    answer_probabilities,
    log_sum_exp,
    row_tables,
)
from bayes_listexp.margins import Margin
from bayes_listexp.panel import log_given_effects, of_persons
from bayes_listexp.persons import Persons
from bayes_listexp.prediction import (
    Points,
    Predictions,
    basis_of,
    free_size,
    item_popularity,
    over_candidates,
    person_parameters,
    points,
    predict,
    row_probabilities,
)
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import arm_slices
from bayes_listexp.shape_levels import levels_at, shape_factors, wave_of
from bayes_listexp.specification import Blueprint, plain, prior_key


def build_model(plan: Blueprint) -> pm.Model:
    """The PyMC model of a blueprint: free parameters, linear predictors, and what was observed.

    Of a list alone, the observed variables ``answer_control`` (cell, answer), ``answer_treatment`` and, if there is one,
    ``answer_placebo`` are tables of counts; with instruments, ``observed`` (pattern,) is the number of respondents of each
    distinct observation. Respondents whose missing covariates are modelled are counted by ``observed_incomplete``
    (incomplete_pattern,). With person effects ``observed_persons`` (person_pattern,) is the number of persons of whom the same is
    known in all waves, and takes the place of the others. The model's log-likelihood is that of the respondents (no multinomial
    coefficients). Where respondents
    were shown several lists, each list has these variables and dims, as ``answer_control_B`` and ``cell_B``, and parameters of its
    control counts, as ``control_B_intercept``; the trait, lapses and instruments are the same for all.
    """
    coords: dict[str, Any] = {}
    for part in plan.parts:
        coords[part.tagged("cell")] = np.arange(len(part.cells.frame))
        coords |= {part.tagged(f"{arm}_answer"): np.arange(part.J + 1 + (arm != "control")) for arm in part.arms}
    with pm.Model(coords=coords) as model:
        parameters = _all_parameters(plan)
        predicted = [_observe_list(part, parameters) for part in plan.parts]
        _know_margins(plan, parameters, predicted[0])
    return model


def build_prior(plan: Blueprint) -> pm.Model:
    """The parameters of :func:`build_model` alone, without anything observed: what their priors are drawn from."""
    with pm.Model() as model:
        _all_parameters(plan)
    return model


def _all_parameters(plan: Blueprint) -> dict[str, Any]:
    """Free parameters of everything, as random variables, and what predictions need of them, by name."""
    out = {k: v for name, bound in plan.designs.items() for k, v in _coefficients(plan, name, bound).items()}
    for part in plan.parts:
        out |= _count_parameters(part)
    out |= _trait_given_count(plan) | _instrument_parameters(plan)
    return out | {n: priors.positive_variable(n, plan.priors[n]) for n in person_parameters(plan)}


def _observe_list(plan: Blueprint, parameters: Mapping[str, Any]) -> Predictions:
    """The answers of those who were shown one list, and what else was observed of them, as observed variables."""
    at = _as_points(plan)
    predicted = predict(plan, parameters, at)
    if plan.persons is not None and plan.specification.person != "none":
        _observe_persons(plan, parameters, at, plan.persons)
    elif plan.rows is None:
        probabilities, cell = answer_probabilities(predicted.states, plan.tables, predicted.lapses), plan.tagged("cell")
        for arm, answers in arm_slices(plan.J, plan.arms).items():
            given, dims = plan.cells.answers[arm].astype("int64"), (cell, plan.tagged(f"{arm}_answer"))
            counts = pm.Data(plan.tagged(f"{arm}_counts"), given, dims=dims)
            relative = plan.relative_weights.get(arm)
            _observe(plan.tagged(f"answer_{arm}"), counts, probabilities[:, answers], relative, dims=dims)
    else:
        _observe_rows(plan, parameters, predicted, plan.rows)
    if plan.cells.incomplete is not None:
        _observe_incomplete(plan, parameters, predicted, plan.cells.incomplete)
    return predicted


def _coefficients(plan: Blueprint, name: str, bound: Design) -> dict[str, Any]:
    """Free parameters of one linear predictor, and its coefficients on the formula's scale under its own name."""
    out: dict[str, Any] = {}
    of = next((part for part in plan.parts if part.own("control") == name), plan)
    if bound.intercept:
        prior = plan.priors[prior_key(name, "intercept")]
        out[f"{name}_intercept"] = priors.logit_variable(f"{name}_intercept", prior)
    if bound.names:
        dims = dim(f"{name}_column", bound.names)
        out[f"{name}_slope"] = priors.variable(f"{name}_slope", plan.priors[prior_key(name, "slope")], dims=dims)
    for term in bound.groups:
        told = information(of, plain(name), term, bound.evaluate(of.cells.frame))
        out[f"{name}_{term.name}"] = group_effects(plan, name, term, told)
    if bound.intercept or bound.names:
        terms = (("Intercept",) if bound.intercept else ()) + bound.names
        pm.Deterministic(name, formulas.coefficients(out, name, bound), dims=dim(f"{name}_term", terms))
    return out


def _count_parameters(plan: Blueprint) -> dict[str, Any]:
    """Free parameters of a list's control counts; the basis of their shape, which depends on the answers, goes along as data."""
    out: dict[str, Any] = {}
    name, dependence = plan.family.parameter, plan.specification.dependence
    if name == "control_shape" and plan.J > 1:
        out[name] = priors.variable(plan.own(name), plan.priors[name], shape=(plan.J - 1,))
        out["control_basis"] = pm.Data(plan.own("control_basis"), basis_of(plan))
    elif name == "control_overdispersion":
        out[name] = priors.probability_variable(plan.own(name), plan.priors[name])
    elif name == "control_dispersion":
        out[name] = priors.positive_variable(plan.own(name), plan.priors[name])
    elif name == "control_item" and plan.J > 1:
        out[name] = _item_logits(plan)
    if dependence in ("shift", "free", "saturated"):
        own = "control_saturated" if dependence == "saturated" else "control_shift"
        out["control_shift"] = priors.variable(plan.own("control_shift"), plan.priors[own])
    if dependence in ("free", "saturated"):
        out |= _free_parameters(plan)
    if factors := shape_factors(plan):
        frame = plan.cells.frame
        levels = levels_at(plan, plan.designs["control"].evaluate(frame).groups, wave_of(plan, frame))
        out |= {factor.parameter: shape_effects(plan, factor, levels[factor.name]) for factor in factors}
    return {plan.own(name): value for name, value in out.items()}


def _item_logits(plan: Blueprint) -> Any:
    """Logits of the control items less their mean, (item,). Items that nothing tells apart stand from rare to popular."""
    if plan.labelled_items:
        free = priors.variable(plan.own("control_item_free"), plan.priors["control_item"], shape=(plan.J - 1,))
        return pm.Deterministic(plan.own("control_item"), (free[:, None] * item_basis(plan.J)).sum(axis=0))
    gaps = priors.positive_variable(plan.own("control_item_gap"), plan.priors["control_item_gap"], shape=(plan.J - 1,))
    return pm.Deterministic(plan.own("control_item"), ordered_items(gaps, plan.J))


def _free_parameters(plan: Blueprint) -> dict[str, Any]:
    """Differences of slopes and shape between those with and without the trait, shrunken to none by a common sd each.

    Saturated, they are not shrunken.
    """
    out = {}
    saturated = plan.specification.dependence == "saturated"
    for name in ("control_shift_slope", "control_shift_shape"):
        size, own = free_size(plan, name), plan.own(name)
        if size and plan.specification.priors == "flat":
            out[name] = priors.variable(own, Prior("Flat", ()), shape=(size,))
        elif size and saturated:
            out[name] = priors.variable(own, plan.priors["control_saturated"], shape=(size,))
        elif size:
            sd = priors.variable(f"{own}_sd", plan.priors["control_free_sd"])
            out[name] = pm.Deterministic(own, sd * pm.Normal(f"{own}_z", shape=(size,)))
    return out


def _trait_given_count(plan: Blueprint) -> dict[str, Any]:
    """How the logit prevalence moves with the count: a slope for each sensitive item, and steps about it if smooth."""
    size, dependence = max(len(plan.items), 1), plan.specification.dependence
    if dependence not in ("linear", "smooth"):
        return {}
    slope = priors.variable("trait_count", plan.priors["trait_count"], shape=(size,))
    if dependence == "linear":
        return {"trait_count": slope}
    sd = priors.variable("trait_count_sd", plan.priors["trait_count_sd"])
    steps = slope[:, None] + sd * pm.Normal("trait_count_z", shape=(size, plan.J))
    return {"trait_count_step": pm.Deterministic("trait_count_step", steps)}


def _instrument_parameters(plan: Blueprint) -> dict[str, Any]:
    """The free parameters that the instruments name beside their linear predictors."""
    out = {}
    for instrument in plan.instruments:
        for name, parameter in parameters_of(instrument).items():
            if parameter.probability:
                out[name] = priors.probability_variable(name, plan.priors[name])
                continue
            make = priors.positive_variable if parameter.positive else priors.variable
            shape = {} if parameter.size is None else {"shape": (parameter.size,)}
            out[name] = make(name, plan.priors[name], **shape)
    return out


def _as_points(plan: Blueprint) -> Points:
    """The designs at the cells as shared variables, so that a compiled model can be given other data."""
    at = points(plan, plan.cells.frame)
    matrices = {name: _as_data(plan, name, value) for name, value in at.matrices.items()}
    item = pm.Data("item_of_cell", at.item) if plan.item is not None else at.item
    wave = at.wave if at.wave is None else pm.Data(plan.tagged("wave_of_cell"), at.wave, dims=plan.tagged("cell"))
    return Points(matrices, item, wave)


def _as_data(plan: Blueprint, name: str, matrices: Matrices) -> Matrices:
    """The design as shared variables, so that a compiled model can be given other data."""
    cell = plan.tagged("cell")
    slopes = pm.Data(plan.tagged(f"{name}_matrix"), matrices.slopes, dims=(cell, None))
    groups = tuple(
        g._replace(
            columns=pm.Data(plan.tagged(f"{name}_{g.name}_matrix"), g.columns, dims=(cell, None)),
            level=pm.Data(plan.tagged(f"{name}_{g.name}_level"), g.level, dims=cell),
        )
        for g in matrices.groups
    )
    return Matrices(matrices.intercept, slopes, groups)


def _observe(name: str, counts: Any, probabilities: Any, relative: np.ndarray | None, *, dims: tuple[str, str]) -> None:
    """A table of counts as an observed variable, drawn as one multinomial per cell; weighted, each counts for ``relative``."""
    weights = [] if relative is None else [pm.Data(f"{name}_relative_weight", relative, dims=dims)]

    def logp(value: Any, probabilities: Any, size_of_cell: Any, *relative: Any) -> Any:
        return answer_log_likelihood(value * relative[0] if relative else value, probabilities)

    def random(probabilities: Any, size_of_cell: Any, *relative: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.multinomial(size_of_cell, probabilities / probabilities.sum(axis=-1, keepdims=True))

    pm.CustomDist(
        name,
        probabilities,
        counts.sum(axis=-1),
        *weights,
        logp=logp,
        random=random,
        observed=counts,
        dims=dims,
        signature=f"(answer),(){',(answer)' * len(weights)}->(answer)",
        dtype="int64",
    )


def _observe_rows(plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions, rows: Rows) -> None:
    """The number of respondents of each distinct observation, as one observed variable."""
    row, pattern = plan.tagged("row"), plan.tagged("pattern")
    log_p = _log_probability(plan, parameters, predicted, rows, row, pattern)
    if plan.relative_weights:
        log_p = log_p * pm.Data(f"{row}_relative_weight", plan.relative_weights["observed"], dims=pattern)
    _count_respondents(plan.tagged("observed"), log_p, pm.Data(f"{row}_n", rows.n, dims=pattern), pattern)


def _observe_incomplete(plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions, incomplete: Incomplete) -> None:
    """The number of respondents of each pattern who lack covariates: a mixture over the cells they may be in."""
    own, pattern = plan.tagged("incomplete"), plan.tagged("incomplete_pattern")
    pm.modelcontext(None).add_coord(pattern, np.arange(len(incomplete.n)))
    log_p = _log_probability(plan, parameters, predicted, incomplete.rows, plan.tagged("possible"), plan.tagged("possible_row"))
    mixed = []
    for patterns, candidates in incomplete.blocks:
        named = f"{own}_{candidates.stop}"
        candidate = pm.Data(f"{named}_candidate", incomplete.candidate[patterns, candidates])
        log_share = pm.Data(f"{named}_log_share", np.log(incomplete.probability[patterns, candidates] + SMALLEST))
        mixed.append(over_candidates(log_p, candidate, log_share))
    n = pm.Data(f"{own}_n", incomplete.n, dims=pattern)
    _count_respondents(plan.tagged("observed_incomplete"), mixed[0] if len(mixed) == 1 else pt.concatenate(mixed), n, pattern)


def _observe_persons(plan: Blueprint, parameters: Mapping[str, Any], at: Points, persons: Persons) -> None:
    """The number of persons of each pattern: a mixture over the nodes of their effects."""
    pattern = "person_pattern"
    pm.modelcontext(None).add_coord(pattern, np.arange(len(persons.n)))
    rows, tables = _as_shared_rows(plan, persons.rows, "row", "pattern")
    log_p, log_weights = log_given_effects(plan, parameters, at, rows, tables)
    said = of_persons(log_sum_exp(log_p), pm.Data("person_row", persons.row, dims=(pattern, None)))
    _count_respondents("observed_persons", log_sum_exp(said + log_weights), pm.Data("person_n", persons.n, dims=pattern), pattern)


def _log_probability(
    plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions, rows: Rows, prefix: str, dim: str
) -> Any:
    """Log-probability of each of ``rows``, (row,), whose columns go along as shared variables named after ``prefix``."""
    return log_sum_exp(row_probabilities(plan, parameters, predicted, *_as_shared_rows(plan, rows, prefix, dim)))


def _as_shared_rows(plan: Blueprint, rows: Rows, prefix: str, dim: str) -> tuple[Rows, RowTables]:
    """Rows and what people write down at them, (row, ...), as shared variables named after ``prefix``."""
    pm.modelcontext(None).add_coord(dim, np.arange(len(rows.n)))
    tables = row_tables(plan.tables, rows, plan.J, plan.arms)

    def data(name: str, value: Any, *more: None) -> Any:
        return pm.Data(f"{prefix}_{name}", value, dims=(dim, *more))

    shared = RowTables(
        data("certain", tables.certain, None, None),
        {name: data(f"kept_{name}", table, None, None) for name, table in tables.kept.items()},
        {name: data(f"followed_{name}", table, None, None) for name, table in tables.followed.items()},
    )
    at = rows._replace(
        cell=data("cell", rows.cell),
        treated=data("treated", rows.treated),
        observed={name: _as_coded(f"{prefix}{name}", values, dim) for name, values in rows.observed.items()},
    )
    return at, shared


def _count_respondents(name: str, log_p: Any, n: Any, dim: str) -> None:
    """``n`` respondents of each log-probability ``log_p`` as an observed variable, (dim,)."""

    def logp(value: Any, log_probability: Any) -> Any:
        return value * log_probability

    def random(log_probability: Any, rng: Any = None, size: Any = None) -> Any:
        raise InputError("PyMC cannot draw what instruments observe: use bayes_listexp.simulate.draw_study instead.")

    pm.CustomDist(name, log_p, logp=logp, random=random, observed=n, dims=dim, signature="()->()", dtype="int64")


def _as_coded(name: str, values: np.ndarray, dim: str) -> Any:
    """An instrument's coded column as a shared variable; `pm.Data` would refuse the NaN of those who were not asked."""
    shared = pytensor.shared(values, name, shape=(None,))
    pm.modelcontext(None).register_data_var(shared, dims=(dim,))
    return shared


def _know_margins(plan: Blueprint, parameters: Mapping[str, Any], predicted: Predictions) -> None:
    """Terms for what is known of groups and of control items from elsewhere."""
    any_list, everybody = plan.parts[0], plan.cells.frame if plan.lists else None  # the trait is the same whatever the list
    for i, (margin, frame, shares) in enumerate(plan.margins):
        whom = everybody if frame is None else frame
        there = predicted if whom is None else predict(any_list, parameters, points(any_list, whom))
        without, having = ((there.states[:, trait, :].sum(axis=-1) * shares).sum() for trait in (0, 1))
        know(f"margin_prevalence_{i + 1}", margin, having, without)
    shares = plan.cells.n / plan.cells.n.sum()
    popularity = item_popularity(plan, parameters, predicted) if plan.known_items else ()
    for i, known in enumerate(plan.known_items):
        applies, not_so = ((p[:, known.item - 1] * shares).sum() for p in popularity)
        know(f"margin_item_{i + 1}", known, applies, not_so)


def know(name: str, margin: Margin, share: Any, rest: Any = None) -> None:
    """Add to the model at hand the log-probability of a margin given the ``share`` that the model implies, times its discount.

    ``rest`` is 1 - share by a sum of its own, which keeps it exact where the share rounds to 1.
    """
    rest = 1 - share if rest is None else rest
    pm.Deterministic(f"{name}_share", share)
    if margin.bias:
        off = pm.Normal(f"{name}_bias", 0.0, margin.bias)
        logit = pt.log(share + SMALLEST) - pt.log(rest + SMALLEST) + off
        share, rest = pt.sigmoid(logit), pt.sigmoid(-logit)
    if margin.yes is not None and margin.n is not None:
        given = pm.Data(f"{name}_counts", margin.discount * np.array([margin.yes, margin.n - margin.yes]))
        pm.Potential(name, given[0] * pt.log(share + SMALLEST) + given[1] * pt.log(rest + SMALLEST))
    elif margin.share is not None and margin.se is not None:
        given = pm.Data(f"{name}_normal", np.array([margin.share, margin.discount / margin.se**2]))
        pm.Potential(name, -0.5 * given[1] * (share - given[0]) ** 2)
