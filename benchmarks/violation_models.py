"""Estimators of the prevalence for many small studies: maximum likelihood side by side, and posteriors by importance sampling.

A study without covariates is two rows of counts, and a model of it has five to ten parameters. So a posterior needs no chains: draws
come from a mixture of t distributions whose place and spread are learnt in a few rounds (tempered while they are far off), and are
weighted by the model's own log density over theirs. The shape k of the weights' tail (Vehtari et al. 2024) and their effective number
say whether that worked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from scipy.special import expit, logit
from scipy.stats import halfnorm, norm

from bayes_listexp import ListExperiment, Specification
from bayes_listexp.cell_derivatives import SMALLEST
from bayes_listexp.count_shapes import log_choose, shape_basis
from bayes_listexp.list_regression import EDGE, inverse_information
from bayes_listexp.log_priors import DENSITIES
from bayes_listexp.newton import derivatives, maximise
from bayes_listexp.priors import Prior, resolve
from bayes_listexp.quick_likelihood import Prepared, prepared
from bayes_listexp.reporting import report_tables
from bayes_listexp.responses import Lapse, lapses

Z = float(norm.ppf(0.975))
ROUND, FINAL, MOST_ROUNDS = 600, 2000, 40
LEAST_SHARE = 0.1
"""Effective draws, as a share of all, below which a round is tempered."""
DEGREES, WIDE, SHARE_WIDE = 5.0, 2.5, 0.25
"""Of the mixture: a t's degrees of freedom, and how much wider its second part is, with its share."""
LARGEST_K, LEAST_ESS = 0.7, 150.0
REPLICATED = 500


def study_of(control: np.ndarray, treatment: np.ndarray, refused: np.ndarray | None = None) -> ListExperiment:
    """A study from counts of answers, (J + 1,) and (J + 2,), and how many refused each list, (2,)."""
    rows: list[tuple[str, float, int]] = [("control", k, int(n)) for k, n in enumerate(control)]
    rows += [("treatment", k, int(n)) for k, n in enumerate(treatment)]
    missing = [] if refused is None else [(a, np.nan, int(n)) for a, n in zip(("control", "treatment"), refused, strict=True) if n]
    table = pd.DataFrame(rows + missing, columns=["arm", "answer", "n"])
    return ListExperiment.from_counts(table, answer="answer", arm="arm", n="n", J=len(control) - 1)


# Without priors


def by_means(control: np.ndarray, treatment: np.ndarray) -> np.ndarray:
    """The difference in means of each study with its normal interval, (study, 3)."""
    means, variances = [], []
    for table in (control, treatment):
        y, n = np.arange(table.shape[1]), table.sum(axis=1)
        mean = table @ y / n
        means.append(mean)
        variances.append((table * (y - mean[:, None]) ** 2).sum(axis=1) / (n * (n - 1)))
    estimate, half = means[1] - means[0], Z * np.sqrt(variances[0] + variances[1])
    return np.stack([estimate, estimate - half, estimate + half], axis=1)


def by_likelihood(
    control: np.ndarray, treatment: np.ndarray, counts: str, dependence: str = "none", response: str = "truthful"
) -> np.ndarray:
    """The prevalence of each study by maximum likelihood, as :func:`bayes_listexp.maximum_likelihood` finds it, with its interval,
    (study, 3): all studies at once. At the boundary there is no interval (NaN).
    """
    pooled = study_of(control.sum(axis=0), treatment.sum(axis=0))
    own = prepared(pooled, "1", None, counts, dependence, response, {}, None, [], weighted=False)
    problem = own.problem._replace(n=np.concatenate([control, treatment], axis=1)[:, None].astype(float))
    found = [maximise(problem, start) for start in _starts(own, control, treatment, dependence)]
    value = np.stack([np.where(one.converged, one.log_density, one.log_density - 1e-6) for one in found])
    best = value.argmax(axis=0)
    at = np.stack([one.parameters for one in found])[best, np.arange(len(best))]
    information = derivatives(problem, at)[1]
    chance = expit(at[:, 0])
    out = np.full((len(at), 3), np.nan)
    for i, (p, one) in enumerate(zip(chance, information, strict=True)):
        covariance, infinite = inverse_information(one)
        edge = abs(at[i, 0]) > EDGE or infinite[0]
        half = Z * p * (1 - p) * np.sqrt(covariance[0, 0]) if not edge else np.nan
        out[i] = p, p - half, p + half
    return out


def _starts(own: Prepared, control: np.ndarray, treatment: np.ndarray, dependence: str) -> list[np.ndarray]:
    """Where the climbs begin, (study, parameter) each: as :func:`bayes_listexp.maximum_likelihood` begins them."""
    J = control.shape[1] - 1
    means = [table @ np.arange(table.shape[1]) / table.sum(axis=1) for table in (control, treatment)]
    common = logit(np.clip(means[0] / J, 0.02, 0.98))
    out = []
    for chance in (np.clip(means[1] - means[0], 0.05, 0.95), np.full(len(common), 0.2), np.full(len(common), 0.8)):
        for shift in (0.0,) if dependence == "none" else (0.0, 1.5, -1.5):
            values = {"trait": logit(chance), "control": common, "control_with_trait": common + shift, "control_shift": shift}
            start = np.zeros((len(common), len(own.names)))
            for i, (part, term) in enumerate(own.names):
                start[:, i] = values.get(part, -3.0 if term == "logit overdispersion" else 0.0 if part == "control_shape" else -2.5)
            out.append(start)
    return out


# With priors


class Model(NamedTuple):
    """What of :class:`bayes_listexp.Specification` a study without covariates needs, with all priors by name."""

    counts: str
    dependence: str
    lapses: Mapping[str, Lapse]
    priors: Mapping[str, Prior]


class Engine(NamedTuple):
    """A model bound to a study: ``evaluate`` takes unconstrained draws (draw, parameter) to the log density (draw,), the prevalence
    (draw,) and the probabilities of both arms' answers (draw, answer).
    """

    size: int
    evaluate: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Proposal(NamedTuple):
    """The place (parameter,) and the root of the spread (parameter, parameter) of what draws come from."""

    mean: np.ndarray
    root: np.ndarray


class Posterior(NamedTuple):
    """Weighted draws: log weights (draw,), which sum to 1, prevalence (draw,), probabilities of answers (draw, answer); the shape k of
    the weights' tail and their effective number.
    """

    log_weight: np.ndarray
    prevalence: np.ndarray
    answers: np.ndarray
    k: float
    ess: float


def model_of(settings: Mapping[str, Any]) -> Model:
    """The model with these settings; what they do not name is the package's default."""
    chosen = Specification(**settings)
    own = lapses(chosen.response)
    known = resolve(dict(chosen.priors), {f"lapse_{name}": lapse.prior for name, lapse in own.items()})
    return Model(chosen.counts, chosen.dependence, own, known)


def sizes(model: Model, J: int) -> dict[str, int]:
    """The unconstrained parameters and their lengths, named and ordered as in the PyMC model."""
    out = {"trait_intercept": 1, "control_intercept": 1} | {f"lapse_{name}_intercept": 1 for name in model.lapses}
    out |= {"softmax": {"control_shape": J - 1}, "com_binomial": {"control_dispersion_log__": 1},
            "poisson_binomial": {"control_item_gap_log__": J - 1}, "binomial": {}}[model.counts]
    apart = {"control_shift_shape": J - 1} if model.counts == "softmax" else {}
    hidden = {"control_shift_shape_sd_log__": 1, "control_shift_shape_z": J - 1}
    return out | {"none": {}, "shift": {"control_shift": 1}, "free": {"control_shift": 1} | hidden,
                  "saturated": {"control_shift": 1} | apart, "linear": {"trait_count": 1}}[model.dependence]


def log_prior(model: Model, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The log prior density of unconstrained parameters, (draw, size) each: (draw,)."""
    shift = "control_saturated" if model.dependence == "saturated" else "control_shift"
    keys = {name: name.removesuffix("_intercept") if name.startswith("lapse_") else name for name in values}
    keys |= {"control_shift": shift, "control_shift_shape": "control_saturated"}
    out = np.zeros(len(values["trait_intercept"]))
    for name, value in values.items():
        if name == "control_shift_shape_sd_log__":
            (scale,) = model.priors["control_free_sd"].arguments
            out += (halfnorm.logpdf(np.exp(value), scale=scale) + value).sum(axis=1)
        elif name == "control_item_gap_log__":
            (rate,) = model.priors["control_item_gap"].arguments
            out += (np.log(rate) - rate * np.exp(value) + value).sum(axis=1)
        else:
            prior = Prior("Normal", (0.0, 1.0)) if name.endswith("_z") else model.priors[keys[name].removesuffix("_log__")]
            prior = Prior("Normal", prior.arguments) if prior.distribution == "LogNormal" else prior
            out += DENSITIES[prior.distribution](value, *prior.arguments)[0].sum(axis=1)
    return out


def counts_given_trait(model: Model, values: Mapping[str, np.ndarray], basis: np.ndarray) -> np.ndarray:
    """P(count | trait), (draw, trait, count)."""
    J, moved = basis.shape[1] - 1, np.array([0.0, 1.0])
    eta = values["control_intercept"] + values.get("control_shift", 0.0) * moved
    if model.counts == "poisson_binomial":
        steps = np.exp(values["control_item_gap_log__"]) @ np.tri(J, J - 1, -1).T
        chance = expit(eta[..., None] + (steps - steps.mean(axis=1, keepdims=True))[:, None])
        pmf = np.ones((*eta.shape, 1))
        for item in range(J):
            pmf = np.pad(pmf, ((0, 0), (0, 0), (0, 1))) * (1 - chance[..., item, None]) + np.pad(
                pmf, ((0, 0), (0, 0), (1, 0))) * chance[..., item, None]
        return pmf
    power = np.exp(values.get("control_dispersion_log__", np.zeros((1, 1))))
    logits = eta[..., None] * np.arange(J + 1.0) + power[..., None] * log_choose(J)
    if model.counts == "softmax":
        logits += (values["control_shape"] @ basis)[:, None]
        more = values.get("control_shift_shape")
        if "control_shift_shape_z" in values:
            more = np.exp(values["control_shift_shape_sd_log__"]) * values["control_shift_shape_z"]
        if more is not None:
            logits += (more @ basis)[:, None] * moved[:, None]
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def engine(model: Model, control: np.ndarray, treatment: np.ndarray) -> Engine:
    """The model bound to a study's answers; what it says is compared with the PyMC model in the tests."""
    J, n = len(control) - 1, np.append(control, treatment)
    basis, tables = shape_basis(np.asarray(control)), report_tables(model.lapses, J)
    ends = np.cumsum(list(sizes(model, J).values()))
    smoothed = (np.asarray(control) + 1) / (np.sum(control) + J + 1)
    along = np.arange(J + 1) - smoothed @ np.arange(J + 1)

    def evaluate(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        values = dict(zip(sizes(model, J), np.split(draws, ends[:-1], axis=1), strict=True))
        trait = values["trait_intercept"] + values.get("trait_count", np.zeros((1, 1))) * along
        states = np.stack([expit(-trait), expit(trait)], axis=1) * counts_given_trait(model, values, basis)
        flat = states.reshape(len(draws), -1)
        told = flat @ tables.certain.reshape(-1, len(n))
        for name in model.lapses:
            logit_of = values[f"lapse_{name}_intercept"]
            kept, followed = (flat @ table[name].reshape(-1, len(n)) for table in (tables.kept, tables.followed))
            told += expit(-logit_of) * kept + expit(logit_of) * followed
        return np.log(told + SMALLEST) @ n + log_prior(model, values), states[:, 1].sum(axis=1), told

    return Engine(int(ends[-1]), evaluate)


def anywhere(shared: Engine) -> Proposal:
    """Where to begin if nothing is known."""
    return Proposal(np.zeros(shared.size), 1.5 * np.eye(shared.size))


def wider(proposal: Proposal, by: float) -> Proposal:
    """The same place with ``by`` times the standard deviations."""
    return Proposal(proposal.mean, by * proposal.root)


def learnt(shared: Engine, proposal: Proposal, rng: np.random.Generator) -> Proposal:
    """The posterior's place and spread, from rounds of draws; each round is tempered as far as its weights need it."""
    for _ in range(MOST_ROUNDS):
        draws, log_weight, *_ = _drawn(shared, proposal, ROUND, rng)
        power = _power(log_weight)
        weight = np.exp(power * log_weight - log_sum_exp(power * log_weight))
        mean = weight @ draws
        spread = (draws - mean).T @ (weight[:, None] * (draws - mean)) + 1e-6 * np.eye(shared.size)
        proposal = Proposal(mean, np.linalg.cholesky(spread))
        if power == 1.0:
            break
    return proposal


def posterior(shared: Engine, start: Proposal, rng: np.random.Generator) -> Posterior:
    """The posterior of the engine's study, learnt from ``start``; four times as many draws where weights are bad."""
    proposal = learnt(shared, start, rng)
    out = _weighted(shared, proposal, FINAL, rng)
    if out.k > LARGEST_K or out.ess < LEAST_ESS:
        out = _weighted(shared, wider(learnt(shared, wider(proposal, 1.5), rng), 1.2), 4 * FINAL, rng)
    return out


def _weighted(shared: Engine, proposal: Proposal, number: int, rng: np.random.Generator) -> Posterior:
    _, log_weight, prevalence, answers = _drawn(shared, proposal, number, rng)
    log_weight, k = array_stats.psislw(-log_weight)  # it takes log-likelihoods
    log_weight = log_weight - log_sum_exp(log_weight)
    return Posterior(log_weight, prevalence, answers, float(k), float(np.exp(-log_sum_exp(2 * log_weight))))


def _drawn(shared: Engine, at: Proposal, number: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Draws of the mixture, their log weights, and what the model says there."""
    size = shared.size
    scale = np.where(np.arange(number) < SHARE_WIDE * number, WIDE, 1.0) / np.sqrt(rng.chisquare(DEGREES, number) / DEGREES)
    z = rng.normal(size=(number, size)) * scale[:, None]
    square = (z**2).sum(axis=1)
    narrow, wide = (-(DEGREES + size) / 2 * np.log1p(square / (DEGREES * s**2)) - size * np.log(s) for s in (1.0, WIDE))
    log_density, prevalence, answers = shared.evaluate(at.mean + z @ at.root.T)
    own = np.logaddexp(narrow + np.log(1 - SHARE_WIDE), wide + np.log(SHARE_WIDE))
    return at.mean + z @ at.root.T, np.where(np.isfinite(log_density), log_density - own, -np.inf), prevalence, answers


def log_sum_exp(values: np.ndarray) -> np.ndarray:
    """The logarithm of the sum of exponentials over the first axis."""
    largest = values.max(axis=0)
    return np.asarray(largest + np.log(np.exp(values - largest).sum(axis=0)))


def _power(log_weight: np.ndarray) -> float:
    """The largest power of the weights, at most 1, that leaves enough of them effective."""
    def enough(power: float) -> bool:
        return bool(2 * log_sum_exp(power * log_weight) - log_sum_exp(2 * power * log_weight) >= np.log(LEAST_SHARE * len(log_weight)))

    if enough(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if enough(middle) else (low, middle)
    return low


def summary_of(found: Posterior) -> list[float]:
    """Mean, median, and the ends of the 95 % interval of the prevalence; k and the effective number of draws."""
    order = np.argsort(found.prevalence)
    weight = np.exp(found.log_weight)
    middle = np.cumsum(weight[order]) - weight[order] / 2
    quantiles = np.interp([0.5, 0.025, 0.975], middle, found.prevalence[order])
    return [float(weight @ found.prevalence), *map(float, quantiles), found.k, found.ess]


def left_out(found: Posterior) -> np.ndarray:
    """Log predictive probability of each answer to a respondent who is left out, (answer,): the harmonic mean of its probabilities."""
    return -log_sum_exp(found.log_weight[:, None] - np.log(np.maximum(found.answers, 1e-300)))


def answers_outside(found: Posterior, control: np.ndarray, treatment: np.ndarray, rng: np.random.Generator) -> int:
    """How many answers have a number outside its 99 % predictive interval: the check "answers predicted" of
    :func:`bayes_listexp.fit_checks` fails if any has.
    """
    chosen = found.answers[rng.choice(len(found.prevalence), REPLICATED, p=np.exp(found.log_weight))]
    outside = 0
    for part, observed in ((chosen[:, : len(control)], control), (chosen[:, len(control) :], treatment)):
        drawn = rng.multinomial(int(observed.sum()), part / part.sum(axis=1, keepdims=True))
        low, high = np.quantile(drawn, [0.005, 0.995], axis=0)
        outside += int(((observed < low) | (observed > high)).sum())
    return outside
