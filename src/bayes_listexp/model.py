"""From a study and a specification to a PyMC model: cells, designs, priors, and the one likelihood."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayes_listexp import formulas, priors, responses
from bayes_listexp.control_counts import Family, family, shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import Cells, ListExperiment
from bayes_listexp.formulas import Design, GroupTerm, Matrices
from bayes_listexp.likelihood import (
    ReportTables,
    answer_log_likelihood,
    answer_probabilities,
    arm_slices,
    report_tables,
    state_probabilities,
)
from bayes_listexp.population import check_levels, with_levels_of
from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse

ARMS = ("control", "treatment")
DEPENDENCES = ("none", "shift", "free")


@dataclass(frozen=True)
class Specification:
    """What is assumed: the arguments of :func:`bayes_listexp.fit` that define the model.

    Attributes
    ----------
    trait, control : formulas of the logit prevalence and of the control counts (``control`` None: the trait's formula).
    response : a response model of the catalogue by name, or a mapping from names to :class:`Lapse`.
    counts : family of the control counts: "softmax", "binomial", "beta_binomial" or "com_binomial".
    dependence : of the control counts on the trait: "none", "shift" (of the linear predictor, shrunken to none), or
        "free" (every coefficient and the shape, shrunken to the shift).
    lapses : formulas of the lapse probabilities by lapse; "1" where not given.
    priors : by name in place of the defaults, or "flat".
    """

    trait: str = "1"
    control: str | None = None
    response: str | Mapping[str, Lapse] = "truthful"
    counts: str = "softmax"
    dependence: str = "shift"
    lapses: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, Prior | str] | Literal["flat"] = field(default_factory=dict)


@dataclass(frozen=True)
class Blueprint:
    """Everything a model is made of, before PyMC: cells, one design per sub-model, report tables, priors."""

    specification: Specification
    J: int
    cells: Cells
    designs: Mapping[str, Design]
    tables: ReportTables
    family: Family
    priors: Mapping[str, Prior]


class Predictions(NamedTuple):
    """What the model says about cells: the logit prevalence (..., cell), P(trait, count | cell) as ``states``
    (..., cell, trait, count), and the logits of the lapse probabilities, each (..., cell).
    """

    trait: Any
    states: Any
    lapses: Mapping[str, Any]


def blueprint(study: ListExperiment, specification: Specification, groups: Sequence[str] = ()) -> Blueprint:
    """Resolve formulas, lapses and priors against a study, and tabulate it into cells.

    ``groups`` names further columns to keep apart in the cells, so that estimates can be asked for by them. A wave that
    a formula does not mention is added to it: waves always differ in prevalence and in control counts.

    Raises
    ------
    InputError : whatever does not fit together, by name.
    """
    lapses = responses.lapses(specification.response)
    resolved = _resolve(study, specification, lapses)
    texts = {"trait": resolved.trait, "control": str(resolved.control)}
    texts |= {f"lapse_{name}": text for name, text in resolved.lapses.items()}
    used = [c for text in texts.values() for c in formulas.variables(text, study.covariates)]
    columns = list(dict.fromkeys([*used, *groups, *([study.wave] if study.wave else [])]))
    cells = study.cells(columns)
    if not len(cells.frame):
        raise InputError("no respondent is left after excluding missing covariates.")
    frame = cells.frame
    if study.population is not None:
        check_levels(study.complete(columns)[0], study.population, columns)
        frame = with_levels_of(frame, study.population)
    cells = cells._replace(frame=_drop_empty_levels(frame, study.population))
    designs = {name: formulas.design(text, cells.frame, cells.n) for name, text in texts.items()}
    return Blueprint(
        resolved,
        study.J,
        cells,
        designs,
        report_tables(lapses, study.J),
        family(resolved.counts),
        _priors(resolved, lapses, designs),
    )


def build_model(plan: Blueprint) -> pm.Model:
    """The PyMC model of a blueprint: free parameters, linear predictors, and one observed variable per arm.

    The observed variables ``answer_control`` (cell, answer) and ``answer_treatment`` are tables of counts; the model's
    log-likelihood is that of the respondents (no multinomial coefficients).
    """
    coords: dict[str, Any] = {"cell": np.arange(len(plan.cells.frame))}
    for arm in ARMS:
        coords[f"{arm}_answer"] = np.arange(plan.J + 1 + (arm == "treatment"))
    with pm.Model(coords=coords) as model:
        parameters = {k: v for name, bound in plan.designs.items() for k, v in _coefficients(plan, name, bound).items()}
        parameters |= _count_parameters(plan)
        matrices = {name: _as_data(name, bound.evaluate(plan.cells.frame)) for name, bound in plan.designs.items()}
        predicted = predict(plan, parameters, matrices)
        probabilities = answer_probabilities(predicted.states, plan.tables, predicted.lapses)
        for arm, answers in arm_slices(plan.J).items():
            counts = pm.Data(f"{arm}_counts", getattr(plan.cells, arm).astype("int64"), dims=("cell", f"{arm}_answer"))
            _observe(f"answer_{arm}", counts, probabilities[:, answers], dims=("cell", f"{arm}_answer"))
    return model


def predict(plan: Blueprint, parameters: Mapping[str, Any], matrices: Mapping[str, Matrices]) -> Predictions:
    """Linear predictors and latent states from parameters (leading dims kept) and designs at the cells of interest.

    The one place where the sub-models are put together: the PyMC model, predictions and log-likelihoods use it.
    """
    trait = formulas.linear_predictor(parameters, "trait", matrices["trait"])
    lapses = {
        name.removeprefix("lapse_"): formulas.linear_predictor(parameters, name, matrices[name])
        for name in plan.designs
        if name.startswith("lapse_")
    }
    return Predictions(trait, state_probabilities(trait, _count_pmf(plan, parameters, matrices["control"])), lapses)


def parameter_names(plan: Blueprint) -> tuple[str, ...]:
    """Names of the parameters that :func:`joint_probabilities` needs: all that a saved posterior must hold."""
    names: list[str] = []
    for name, bound in plan.designs.items():
        names += [f"{name}_intercept"] * bound.intercept + [f"{name}_slope"] * bool(bound.names)
        names += [f"{name}_{term.name}" for term in bound.groups]
    if plan.family.parameter and not (plan.family.parameter == "control_shape" and plan.J == 1):
        names.append(plan.family.parameter)
    if plan.specification.dependence != "none":
        names.append("control_shift")
    if plan.specification.dependence == "free":
        names += [n for n in ("control_shift_slope", "control_shift_shape") if _free_size(plan, n)]
    return tuple(names)


def _resolve(study: ListExperiment, specification: Specification, lapses: Mapping[str, Lapse]) -> Specification:
    if specification.dependence not in DEPENDENCES:
        raise InputError(f"dependence = '{specification.dependence}': say one of {', '.join(DEPENDENCES)}.")
    unknown = [name for name in specification.lapses if name not in lapses]
    if unknown:
        raise InputError(
            f"lapses: '{unknown[0]}' is not a lapse of the response model '{specification.response}'; "
            f"it has: {', '.join(lapses) or 'none'}."
        )
    control = specification.trait if specification.control is None else specification.control
    with_wave = [_with_wave(text, study) for text in (specification.trait, control)]
    lapse_formulas = {name: specification.lapses.get(name, "1") for name in lapses}
    return dataclasses.replace(specification, trait=with_wave[0], control=with_wave[1], lapses=lapse_formulas)


def _with_wave(text: str, study: ListExperiment) -> str:
    if study.wave is None or len(study.waves) < 2 or formulas.has_common_variable(text, study.wave):
        return text
    return f"{text} + " + (study.wave if study.wave.isidentifier() else f"`{study.wave}`")


def _drop_empty_levels(frame: pd.DataFrame, population: pd.DataFrame | None) -> pd.DataFrame:
    """Forget categories that occur neither among the respondents nor in the population frame.

    The first category, the reference of common effects, is one with respondents.
    """
    out = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            known = set(column) | (
                set() if population is None or name not in population else set(population[name].astype(str))
            )
            levels = [level for level in column.cat.categories if level in known]
            first = next(i for i, level in enumerate(levels) if (column == level).any())
            column = column.cat.set_categories([*levels[first:], *levels[:first]])
        out[name] = column
    return pd.DataFrame(out, index=frame.index)


def _priors(
    specification: Specification, lapses: Mapping[str, Lapse], designs: Mapping[str, Design]
) -> dict[str, Prior]:
    lapse_priors = {name: lapse.prior for name, lapse in lapses.items()}
    if specification.priors != "flat":
        return priors.resolve(dict(specification.priors), lapse_priors)
    grouped = [name for name, bound in designs.items() if bound.groups]
    if grouped or specification.dependence == "free" and specification.counts == "softmax":
        raise InputError(
            "priors = 'flat': group-specific effects and free softmax counts have no maximum without priors. "
            "Leave them out or keep the priors."
        )
    return priors.flat(lapse_priors)


def _coefficients(plan: Blueprint, name: str, bound: Design) -> dict[str, Any]:
    """Free parameters of one linear predictor, and its coefficients on the formula's scale under the plain name."""
    kind = "lapse" if name.startswith("lapse_") else name
    out: dict[str, Any] = {}
    if bound.intercept:
        prior = plan.priors[name if kind == "lapse" else f"{name}_intercept"]
        out[f"{name}_intercept"] = priors.logit_variable(f"{name}_intercept", prior)
    if bound.names:
        dims = _dim(f"{name}_column", bound.names)
        out[f"{name}_slope"] = priors.variable(f"{name}_slope", plan.priors[f"{kind}_slope"], dims=dims)
    for term in bound.groups:
        out[f"{name}_{term.name}"] = _group_effects(f"{name}_{term.name}", term, plan.priors[f"{kind}_sd"])
    if bound.intercept or bound.names:
        terms = (("Intercept",) if bound.intercept else ()) + bound.names
        pm.Deterministic(name, formulas.coefficients(out, name, bound), dims=_dim(f"{name}_term", terms))
    return out


def _group_effects(name: str, term: GroupTerm, prior: Prior) -> Any:
    """Effects of a group term, (column, level): exchangeable, those of the sampled levels summing to zero.

    The zero sum leaves the levels' mean to the intercept. A level without respondents differs from that mean with
    variance sd^2 (1 + 1/K), K being the number of sampled levels, as exchangeability says.
    """
    sampled = int(term.sampled.sum())
    if sampled < 2:
        raise InputError(
            f"({'|'.join(['...', ':'.join(term.factors)])}): a group-specific term needs at least two levels "
            f"with respondents, found {sampled}. Use a common effect or leave it out."
        )
    columns = _dim(f"{name}_column", term.columns)
    sd = priors.variable(f"{name}_sd", prior, dims=columns)
    z = pm.ZeroSumNormal(f"{name}_z", sigma=1.0, shape=(len(term.columns), sampled))
    order = np.argsort([*np.flatnonzero(term.sampled), *np.flatnonzero(~term.sampled)])
    if sampled < len(term.levels):
        new = pm.Normal(
            f"{name}_new_z", 0, np.sqrt(1 + 1 / sampled), shape=(len(term.columns), len(term.levels) - sampled)
        )
        z = pt.concatenate([z, new], axis=1)[:, order]
    return pm.Deterministic(name, sd[:, None] * z, dims=(columns, _dim(term.name, term.levels)))


def _dim(name: str, values: Sequence[str]) -> str:
    """Register a dim with its coordinates in the model at hand, under its own name unless that is taken by other values."""
    model = pm.modelcontext(None)
    if name in model.coords and tuple(model.coords[name] or ()) != tuple(values):
        raise InputError(f"the effects of '{name}' would share this name with something else in the model. Rename the column.")
    model.add_coord(name, list(values))
    return name


def _count_parameters(plan: Blueprint) -> dict[str, Any]:
    """Free parameters of the control counts; the basis of their shape, which depends on the answers, goes along as data."""
    out: dict[str, Any] = {}
    name, dependence = plan.family.parameter, plan.specification.dependence
    if name == "control_shape" and plan.J > 1:
        out[name] = priors.variable(name, plan.priors[name], shape=(plan.J - 1,))
        out["control_basis"] = pm.Data("control_basis", _basis(plan))
    elif name == "control_overdispersion":
        out[name] = priors.probability_variable(name, plan.priors[name])
    elif name == "control_dispersion":
        out[name] = priors.positive_variable(name, plan.priors[name])
    if dependence != "none":
        out["control_shift"] = priors.variable("control_shift", plan.priors["control_shift"])
    if dependence == "free":
        out |= _free_parameters(plan)
    return out


def _free_size(plan: Blueprint, name: str) -> int:
    if name == "control_shift_slope":
        return len(plan.designs["control"].names)
    return max(plan.J - 1, 0) if plan.family.parameter == "control_shape" else 0


def _free_parameters(plan: Blueprint) -> dict[str, Any]:
    """Differences of slopes and shape between those with and without the trait, shrunken to none by a common sd each."""
    out = {}
    for name in ("control_shift_slope", "control_shift_shape"):
        size = _free_size(plan, name)
        if size and plan.specification.priors == "flat":
            out[name] = priors.variable(name, Prior("Flat", ()), shape=(size,))
        elif size:
            sd = priors.variable(f"{name}_sd", plan.priors["control_free_sd"])
            out[name] = pm.Deterministic(name, sd * pm.Normal(f"{name}_z", shape=(size,)))
    return out


def _count_pmf(plan: Blueprint, parameters: Mapping[str, Any], matrices: Matrices) -> Any:
    """P(count | trait, cell), (..., cell, trait, count); the trait axis has length 1 without dependence."""
    eta = formulas.linear_predictor(parameters, "control", matrices)[..., None]
    with_trait = np.array([0.0, 1.0])
    if plan.specification.dependence != "none":
        eta = eta + parameters["control_shift"][..., None, None] * with_trait
    if "control_shift_slope" in parameters:
        eta = eta + formulas.times(parameters["control_shift_slope"], matrices.slopes)[..., None] * with_trait
    parameter = parameters.get(plan.family.parameter or "")
    if plan.family.parameter == "control_shape":
        parameter = _departure(plan, parameters)
    return plan.family.pmf(eta, parameter, plan.J)


def _basis(plan: Blueprint) -> np.ndarray:
    return shape_basis(plan.cells.control.sum(axis=0))


def _departure(plan: Blueprint, parameters: Mapping[str, Any]) -> Any:
    """Log-weights beyond the binomial's, (..., trait, count); with one item there are none."""
    if plan.J == 1:
        return np.zeros((1, 2))
    basis = parameters["control_basis"] if "control_basis" in parameters else _basis(plan)
    departure = formulas.times(parameters["control_shape"], basis.T)[..., None, :]
    if "control_shift_shape" not in parameters:
        return departure
    return departure + formulas.times(parameters["control_shift_shape"], basis.T)[..., None, :] * np.array(
        [[0.0], [1.0]]
    )


def _as_data(name: str, matrices: Matrices) -> Matrices:
    """The design as shared variables, so that a compiled model can be given other data."""
    slopes = pm.Data(f"{name}_matrix", matrices.slopes, dims=("cell", None))
    groups = tuple(
        g._replace(
            columns=pm.Data(f"{name}_{g.name}_matrix", g.columns, dims=("cell", None)),
            level=pm.Data(f"{name}_{g.name}_level", g.level, dims="cell"),
        )
        for g in matrices.groups
    )
    return Matrices(matrices.intercept, slopes, groups)


def _observe(name: str, counts: Any, probabilities: Any, *, dims: tuple[str, str]) -> None:
    """A table of counts as an observed variable, drawn as one multinomial per cell."""

    def logp(value: Any, probabilities: Any, size_of_cell: Any) -> Any:
        return answer_log_likelihood(value, probabilities)

    def random(probabilities: Any, size_of_cell: Any, rng: Any = None, size: Any = None) -> Any:
        return rng.multinomial(size_of_cell, probabilities / probabilities.sum(axis=-1, keepdims=True))

    pm.CustomDist(
        name,
        probabilities,
        counts.sum(axis=-1),
        logp=logp,
        random=random,
        observed=counts,
        dims=dims,
        signature="(answer),()->(answer)",
        dtype="int64",
    )
