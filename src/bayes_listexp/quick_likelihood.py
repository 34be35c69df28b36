"""Maximum likelihood and posterior mode of the list regression by Newton's method on cells, in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.linalg import block_diag
from scipy.special import expit, logit

from bayes_listexp import priors as prior_rules
from bayes_listexp import responses, syntax
from bayes_listexp.cell_derivatives import FIXED, ListModel
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.formulas import Design
from bayes_listexp.list_answers import (
    Answers,
    columns_of,
    list_answers,
    predictor_designs,
    refuse_unidentified,
    terms_of,
    to_own_scale,
)
from bayes_listexp.list_regression import (
    ListRegression,
    Spread,
    coefficient_table,
    distinct_modes,
    inverse_information,
    prevalences,
    rescaled,
    spread_of,
)
from bayes_listexp.log_priors import penalty
from bayes_listexp.newton import (
    Maximum,
    Problem,
    derivatives,
    fitted_cells,
    local_parameters,
    log_density,
    maximise,
)
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import report_tables
from bayes_listexp.responses import Lapse

COUNTS = ("softmax", "binomial", "beta_binomial")
DEPENDENCES = ("none", "shift", "free")


class Block(NamedTuple):
    """Parameters of one part of the model: its columns at the cells, the local parameters they add up to, names, and priors."""

    part: str
    terms: list[str]
    columns: np.ndarray
    local: tuple[int, ...]
    own_scale: np.ndarray
    priors: list[str]
    logit: list[bool]


def maximum_likelihood(
    study: ListExperiment,
    trait: str = "1",
    *,
    control: str | None = None,
    counts: Literal["softmax", "binomial", "beta_binomial"] = "softmax",
    dependence: Literal["none", "shift", "free"] = "none",
    response: str | Mapping[str, Lapse] = "truthful",
    lapses: Mapping[str, str] | None = None,
    priors: Mapping[str, Prior | str] | Literal["default"] | None = None,
    by: str | Sequence[str] = (),
    weighted: bool = False,
    variance: Literal["information", "sandwich"] | None = None,
    probability: float = 0.95,
) -> ListRegression:
    """The list regression by maximum likelihood (Imai 2011; Blair & Imai 2012), or its posterior mode, without compiling anything.

    The likelihood, and what a formula means, are those of :func:`bayes_listexp.fit`, but that softmax counts have one shape in all waves;
    of one wave, with ``priors``, the result is the mode that ``fit(..., method="map")`` finds. Answers to the list are all that is used,
    of studies with other instruments too.

    Parameters
    ----------
    trait, control : formulas of common effects of the logit prevalence and the control counts (``control`` None: the trait's).
        A study's waves are added to both, as in :func:`bayes_listexp.fit`.
    counts : "softmax" (any distribution), "binomial" or "beta_binomial".
    dependence : of the counts on the trait: "none"; "shift" of the linear predictor; "free", coefficients of its own (what R's `list`
        calls unconstrained; part "control_with_trait"), for binomial and beta-binomial counts.
    response : a response model of the catalogue by name, or a mapping of lapses; ``lapses`` are formulas of their logits.
    priors : None is maximum likelihood; "default", or priors by name in place of the defaults, the posterior mode.
    by : columns by which the prevalence is also given.
    weighted : pseudo-likelihood: each respondent counts with their weight, normalised to sum to the respondents of the wave.
        Multiplied by any number, weights give the same estimates and the same standard errors.
    variance : "information" (inverse observed information), "sandwich" (by strata, clusters and weights; Binder 1983), or None: the
        sandwich where weights, strata or clusters make it necessary. Weighted studies with replicate weights are estimated again
        with each.

    Raises
    ------
    InputError : whatever does not fit the study, columns of the trait that do not differ in the treatment arm (without priors), or what
        needs :func:`bayes_listexp.fit` (group-specific effects, several lists).
    """
    _check(counts, dependence, variance, priors)
    by = [by] if isinstance(by, str) else list(by)
    own = prepared(study, trait, control, counts, dependence, response, lapses or {}, priors, by, weighted=weighted)
    start = _starts(own, dependence)
    found = maximise(own.problem._replace(n=np.broadcast_to(own.problem.n, (len(start), *own.problem.n.shape[1:]))), start)
    if variance is None:
        variance = "sandwich" if weighted or own.answers.designed else "information"
    assumptions = {**own.texts, "counts": counts, "dependence": dependence, "response": response, "weighted": weighted}
    return _result(own, found, assumptions, by, variance, probability)


class Prepared(NamedTuple):
    """What :func:`maximum_likelihood` maximises: the answers, the parameters in their order, and the problem; ``own_scale`` (parameter,
    parameter) turns parameters into coefficients of the formula's own columns, called ``names``.
    """

    answers: Answers
    blocks: list[Block]
    problem: Problem
    texts: dict[str, str]

    @property
    def own_scale(self) -> np.ndarray:
        """From parameters to coefficients."""
        return np.asarray(block_diag(*(block.own_scale for block in self.blocks)))

    @property
    def names(self) -> list[tuple[str, str]]:
        """Part and term of each parameter."""
        return [(block.part, term) for block in self.blocks for term in block.terms]


def prepared(
    study: ListExperiment, trait: str, control: str | None, counts: str, dependence: str, response: str | Mapping[str, Lapse],
    lapses: Mapping[str, str], priors: Any, by: Sequence[str], *, weighted: bool,
) -> Prepared:
    """The likelihood of a list regression bound to a study's cells; arguments as of :func:`maximum_likelihood`."""
    chosen = responses.lapses(response)
    unknown = [name for name in lapses if name not in chosen]
    if unknown:
        raise InputError(f"lapses: '{unknown[0]}' is not a lapse of the response model; it has: {', '.join(chosen) or 'none'}.")
    texts = {"trait": trait, "control": trait if control is None else control}
    texts = {name: syntax.with_wave(text, study.wave, study.waves) for name, text in texts.items()}
    texts |= {f"lapse_{name}": lapses.get(name, "1") for name in chosen}
    wave = [study.wave] if study.wave is not None else []
    used = [*(c for text in texts.values() for c in syntax.variables(text, study.covariates)), *by, *wave]
    answers = list_answers(study, list(dict.fromkeys(used)), weighted=weighted, what="maximum_likelihood")
    model = _model(answers, counts, chosen)
    designs = predictor_designs(answers, texts)
    if dependence == "none" and priors is None:
        refuse_unidentified("maximum_likelihood", answers, designs["trait"])
    blocks = _blocks(answers, designs, model, dependence)
    design = _design(blocks, model, len(answers.frame))
    problem = Problem(model, design, answers.tabulated(answers.total)[None], _penalty(blocks, priors, chosen))
    return Prepared(answers, blocks, problem, texts)


def _check(counts: str, dependence: str, variance: str | None, priors: Any) -> None:
    for value, known, what in ((counts, COUNTS, "counts"), (dependence, DEPENDENCES, "dependence")):
        if value not in known:
            raise InputError(f"{what} = '{value}': maximum_likelihood knows {', '.join(known)}; bayes_listexp.fit knows more.")
    if variance not in (None, "information", "sandwich"):
        raise InputError(f"variance = '{variance}': say 'information' or 'sandwich', or leave it out.")
    if dependence == "free" and counts == "softmax":
        raise InputError("dependence = 'free' with softmax counts has no maximum without shrinkage. Use binomial or beta_binomial counts, "
                         "or bayes_listexp.fit.")
    if dependence == "free" and priors is not None:
        raise InputError("dependence = 'free' has hierarchical priors, whose mode is none of the coefficients'. Leave `priors` out, or use "
                         "bayes_listexp.fit.")
    if isinstance(priors, str) and priors != "default":
        raise InputError(f"priors = '{priors}': say 'default', priors by name, or nothing for maximum likelihood.")


def _model(answers: Answers, counts: str, chosen: Mapping[str, Lapse]) -> ListModel:
    """The parts of the likelihood that are not estimated; the softmax's directions are those of the models."""
    J = answers.study.J
    without = (answers.arm != 1) & (answers.answer <= J)
    seen = np.bincount(answers.answer[without], weights=answers.n[without], minlength=J + 1)
    basis = shape_basis(seen) if counts == "softmax" else np.zeros((0, J + 1))
    return ListModel(J, counts, basis, report_tables(chosen, J, answers.arms), answers.arms)


def _blocks(answers: Answers, designs: Mapping[str, Design], model: ListModel, dependence: str) -> list[Block]:
    """The parameters, part by part, in their order."""
    blocks = []
    places: dict[str, tuple[int, ...]] = {"trait": (0,), "control": (1,) if dependence == "free" else (1, 2)}
    places |= {f"lapse_{name}": (FIXED + model.shapes + i,) for i, name in enumerate(model.tables.kept)}
    for name, bound in designs.items():
        slope = "lapse_slope" if name.startswith("lapse_") else f"{name}_slope"
        intercept = name if name.startswith("lapse_") else f"{name}_intercept"
        keys = [intercept] * bound.intercept + [slope] * len(bound.names)
        block = Block(name, terms_of(bound), columns_of(bound, answers.frame), places[name], to_own_scale(bound), keys,
                      [key == intercept for key in keys])
        blocks.append(block)
        if name == "control" and dependence == "free":
            blocks.append(block._replace(part="control_with_trait", local=(2,)))
    ones, alone = np.ones((len(answers.frame), 1)), np.ones((1, 1))
    if dependence == "shift":
        blocks.append(Block("control_shift", ["shift"], ones, (2,), alone, ["control_shift"], [False]))
    for i in range(model.shapes):
        key, term = ("control_overdispersion", "logit overdispersion") if model.counts == "beta_binomial" else (
            "control_shape", f"direction {i + 1}")
        blocks.append(Block("control_shape", [term], ones, (FIXED + i,), alone, [key], [model.counts == "beta_binomial"]))
    return blocks


def _design(blocks: Sequence[Block], model: ListModel, cells: int) -> np.ndarray:
    """From parameters to local parameters, (cell, local, parameter)."""
    out, at = np.zeros((cells, model.size, sum(len(block.terms) for block in blocks))), 0
    for block in blocks:
        for local in block.local:
            out[:, local, at : at + len(block.terms)] += block.columns
        at += len(block.terms)
    return out


def _penalty(blocks: Sequence[Block], priors: Any, chosen: Mapping[str, Lapse]) -> Any:
    if priors is None:
        return None
    given = {} if priors == "default" else dict(priors)
    known = prior_rules.resolve(given, {f"lapse_{name}": lapse.prior for name, lapse in chosen.items()})
    keys = [key for block in blocks for key in block.priors]
    return penalty(keys, [known[key] for key in keys], [own for block in blocks for own in block.logit])


def _starts(own: Prepared, dependence: str) -> np.ndarray:
    """Starting points, (start, parameter): the difference in means, and where other maxima may lie."""
    answers, blocks, model = own.answers, own.blocks, own.problem.model
    means = [np.average(answers.answer[answers.arm == arm], weights=answers.total[answers.arm == arm]) for arm in (0, 1)]
    chance, common = float(np.clip(means[1] - means[0], 0.05, 0.95)), float(np.clip(means[0] / model.J, 0.02, 0.98))
    shifts = (0.0,) if dependence == "none" else (0.0, 1.5, -1.5)
    trials = [(chance, shift) for shift in shifts] + [(p, shift) for p in (0.2, 0.8) for shift in shifts]
    out = np.zeros((len(trials), sum(len(block.terms) for block in blocks)))
    at = 0
    for block in blocks:
        if block.terms[0] == "Intercept" or block.part in ("control_shift", "control_shape"):
            out[:, at] = [_start(block.part, p, common, shift, model, dependence) for p, shift in trials]
        at += len(block.terms)
    return out


def _start(part: str, chance: float, common: float, shift: float, model: ListModel, dependence: str) -> float:
    values = {"trait": logit(chance), "control": logit(common), "control_with_trait": logit(common) + shift, "control_shift": shift,
              "control_shape": -3.0 if model.counts == "beta_binomial" else 0.0}
    return float(values.get(part, -2.5))


def _result(
    own: Prepared, found: Maximum, assumptions: dict[str, Any], by: list[str], variance: str, probability: float
) -> ListRegression:
    answers, problem = own.answers, own.problem
    best = int(np.argmax(np.where(found.converged, found.log_density, found.log_density - 1e-6)))
    at = found.parameters[best : best + 1]
    bread, infinite = inverse_information(derivatives(problem, at)[1][0])
    bread[infinite] = bread[:, infinite] = 0.0
    influence = _scores(answers, problem, at) @ bread
    spread = _spread(answers, problem, at, influence, infinite, bread, variance)
    covariance, edge = rescaled(spread.covariance, own.own_scale, infinite)
    logits = local_parameters(problem.design, found.parameters)[..., 0]
    table, of_prevalence = prevalences(answers, spread, logits[best], problem.design[:, 0], by, probability)
    share = answers.by_cell(answers.total) / answers.total.sum()
    maxima = [(float(found.log_density[i]), float(share @ expit(logits[i]))) for i in np.flatnonzero(found.converged) if i != best]
    return ListRegression(
        method="ml" if problem.penalty is None else "map",
        assumptions=assumptions,
        coefficients=coefficient_table(own.names, own.own_scale @ at[0], covariance, probability, spread.degrees),
        prevalence=table,
        covariance=covariance,
        variance=variance,
        log_likelihood=float(log_density(problem._replace(penalty=None), at)[0]),
        n=int(answers.n.sum()),
        influence=influence @ own.own_scale.T,
        prevalence_influence=of_prevalence,
        converged=bool(found.converged[best]),
        iterations=int(found.iterations[best]),
        boundary=tuple(" ".join(name) for name, far in zip(own.names, edge, strict=True) if far),
        modes=distinct_modes([(float(found.log_density[best]), float(share @ expit(logits[best]))), *maxima]),
        exclusions=answers.exclusions,
        answers=answers,
    )


def _scores(answers: Answers, problem: Problem, at: np.ndarray) -> np.ndarray:
    """The score of one respondent of each distinct observation, (pattern, parameter)."""
    fit = fitted_cells(problem, at)
    relative = (fit.slope[0] / fit.probability[0][..., None])[answers.cell, answers.column]
    return np.einsum("om,omp->op", relative, problem.design[answers.cell])


def _spread(
    answers: Answers, problem: Problem, at: np.ndarray, influence: np.ndarray, infinite: np.ndarray, bread: np.ndarray, variance: str
) -> Spread:
    """How sure the parameters are. A prior's part of the information is information too (Williams & Savitsky 2021)."""
    if variance == "information":
        return spread_of(answers, influence, infinite, bread, None, at[0])
    again, totals = None, answers.replicated
    if len(totals):
        again = maximise(problem._replace(n=answers.tabulated(totals)), np.repeat(at, len(totals), axis=0)).parameters
    found = spread_of(answers, influence, infinite, None, again, at[0])._replace(sampled=True)
    if problem.penalty is None:
        return found
    prior = np.diag(np.maximum(problem.penalty(at)[2][0], 0.0))
    return found._replace(covariance=found.covariance + bread @ prior @ bread)
