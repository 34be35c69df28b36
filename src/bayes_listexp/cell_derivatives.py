"""P(answer | cell) of a list with its first and second derivatives, in numbers: what Newton's method needs, nothing compiled.

A cell has a few local parameters: the logit prevalence, the linear predictors of the control counts without and with the trait,
the parameters of the counts' shape and the logits of the lapses. People are in a state (trait, count) of probability S, and a
table says what they write down, so that P(answer) is the sum over states of S times the table. All derivatives follow from those
of log S, which are simple, by the expected number of people in each state (Louis 1982, "Finding the observed information matrix when
using the EM algorithm").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from bayes_listexp.cells import ARMS
from bayes_listexp.count_shapes import log_choose
from bayes_listexp.reporting import ReportTables, arm_slices

SMALLEST = 1e-300
FIXED = 3
"""Local parameters that every list has: the logit prevalence, and the counts' predictors without and with the trait."""


class ListModel(NamedTuple):
    """The parts of a list's likelihood that are not estimated.

    ``counts`` is "softmax", "binomial" or "beta_binomial"; ``basis`` (shape, count) the softmax's directions (no rows otherwise);
    ``tables`` what people write down, the answers of the ``arms`` side by side. Local parameters are, in this order: logit
    prevalence, predictor of the counts without the trait, with it, shape (the softmax's departures, or the logit of the
    beta-binomial's intra-class correlation), logits of the lapses.
    """

    J: int
    counts: str
    basis: np.ndarray
    tables: ReportTables
    arms: tuple[str, ...] = ARMS[:2]

    @property
    def shapes(self) -> int:
        """Number of parameters of the counts' shape."""
        return 1 if self.counts == "beta_binomial" else len(self.basis)

    @property
    def size(self) -> int:
        """Number of local parameters."""
        return FIXED + self.shapes + len(self.tables.kept)

    @property
    def arm_of_answer(self) -> np.ndarray:
        """Which of the arms each answer is given in, (answer,)."""
        return np.repeat(np.arange(len(self.arms)), [s.stop - s.start for s in arm_slices(self.J, self.arms).values()])


class States(NamedTuple):
    """Latent states at rows of local parameters: ``probability`` (row, state), the states being (trait, count) with the count
    moving faster, and the derivatives of its logarithm, ``slope`` (row, state, local) and ``curvature`` (row, state, local, local),
    of all local parameters but the lapses.
    """

    probability: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class CellFit(NamedTuple):
    """Answers at rows of local parameters: ``probability`` (row, answer), its ``slope`` (row, answer, local), and of the
    log-likelihood the ``score`` (row, local), the ``observed`` and the ``expected`` information (row, local, local).
    """

    probability: np.ndarray
    slope: np.ndarray
    score: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


def answer_chances(model: ListModel, local: np.ndarray) -> np.ndarray:
    """P(answer) at rows of local parameters, (row, answer)."""
    probability = _state_chances(model, local)
    chances = _sum_over_states(probability, model.tables.certain)
    for lapse, logit in _lapses(model, local).items():
        kept, followed = (_sum_over_states(probability, t[lapse]) for t in (model.tables.kept, model.tables.followed))
        chances += expit(-logit)[:, None] * kept + expit(logit)[:, None] * followed
    return chances


def log_likelihood(model: ListModel, local: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Log-likelihood of ``n`` (row, answer) people by their answers, (row,)."""
    return np.einsum("ra,ra->r", n, np.log(answer_chances(model, local) + SMALLEST))


def cell_fit(model: ListModel, local: np.ndarray, n: np.ndarray) -> CellFit:
    """Probabilities of the answers, score and information at rows of local parameters, of ``n`` (row, answer) people."""
    states = _states(model, local)
    moved = states.probability[..., None] * states.slope
    lapses = _lapses(model, local)
    probability = answer_chances(model, local) + SMALLEST
    ratio = n / probability
    # P(answer | state), averaged over the answers given, times P(state) is the expected number of people in the state.
    told = _told(model, lapses, ratio)
    people = told * states.probability
    slopes = [_slope_of_states(model, lapses, moved)]
    twice = np.zeros((len(local), model.size, model.size))
    known = model.size - len(lapses)
    outer = np.matmul((people[..., None] * states.slope).swapaxes(1, 2), states.slope)
    twice[:, :known, :known] = outer + np.einsum("rh,rhkl->rkl", people, states.curvature)
    for i, (lapse, logit) in enumerate(lapses.items()):
        table, e = model.tables.followed[lapse] - model.tables.kept[lapse], expit(logit)
        change, at = _sum_over_states(states.probability, table), known + i
        slopes.append((change * (e * (1 - e))[:, None])[..., None])
        twice[:, at, at] = (ratio * change).sum(axis=1) * e * (1 - e) * (1 - 2 * e)
        across = (moved * _by_state(ratio, table)[..., None]).sum(axis=1) * (e * (1 - e))[:, None]
        twice[:, at, :known] = twice[:, :known, at] = across
    slope = np.concatenate(slopes, axis=-1)
    relative = slope / probability[..., None]
    score = (n[..., None] * relative).sum(axis=1)
    observed = np.matmul((n[..., None] * relative).swapaxes(1, 2), relative) - twice
    arm = model.arm_of_answer
    size = np.stack([n[:, arm == k].sum(axis=1) for k in range(len(model.arms))], axis=1)[:, arm]
    expected = np.matmul((size[..., None] * relative).swapaxes(1, 2), slope)
    return CellFit(probability, slope, score, observed, expected)


def count_logs(model: ListModel, eta: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Log P(count), (row, count), at predictors ``eta`` (row,) and shapes (row, shape)."""
    if model.counts == "beta_binomial":
        return _urn(model, eta, shape[:, 0])[0]
    logits = log_choose(model.J) + eta[:, None] * np.arange(model.J + 1.0) + shape @ model.basis
    largest = logits.max(axis=1, keepdims=True)
    return logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))


def _state_chances(model: ListModel, local: np.ndarray) -> np.ndarray:
    shape = local[:, FIXED : FIXED + model.shapes]
    parts = [expit(sign * local[:, :1]) * np.exp(count_logs(model, local[:, at], shape)) for sign, at in ((-1, 1), (1, 2))]
    return np.concatenate(parts, axis=1)


def _states(model: ListModel, local: np.ndarray) -> States:
    """The states and the derivatives of their log-probability, from which those of all else follow."""
    rows, J, known = len(local), model.J, FIXED + model.shapes
    slope = np.zeros((rows, 2, J + 1, known))
    curvature = np.zeros((rows, 2, J + 1, known, known))
    chance = expit(local[:, 0])[:, None]
    slope[:, 0, :, 0], slope[:, 1, :, 0] = -chance, 1 - chance
    curvature[..., 0, 0] = -(chance * (1 - chance))[:, None]
    for trait in (0, 1):
        at, shape = slice(1 + trait, 2 + trait), slice(FIXED, known)
        first, second = _count_derivatives(model, local[:, 1 + trait], local[:, shape])
        for rows_of, a in ((at, slice(0, 1)), (shape, slice(1, None))):
            slope[:, trait, :, rows_of] = first[..., a]
            for columns_of, b in ((at, slice(0, 1)), (shape, slice(1, None))):
                curvature[:, trait, :, rows_of, columns_of] = second[..., a, b]
    shaped = (rows, 2 * (J + 1))
    return States(_state_chances(model, local), slope.reshape(*shaped, known), curvature.reshape(*shaped, known, known))


def _count_derivatives(model: ListModel, eta: np.ndarray, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of log P(count) by predictor and shape: (row, count, parameter) and (row, count, parameter, parameter)."""
    if model.counts == "beta_binomial":
        return _urn(model, eta, shape[:, 0])[1:]
    pmf = np.exp(count_logs(model, eta, shape))
    statistics = np.column_stack([np.arange(model.J + 1.0), model.basis.T])
    apart = statistics - (pmf @ statistics)[:, None]
    covariance = np.matmul((pmf[..., None] * apart).swapaxes(1, 2), apart)
    return apart, np.broadcast_to(-covariance[:, None], (*apart.shape, apart.shape[-1]))


def _urn(model: ListModel, eta: np.ndarray, logit_r: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The beta-binomial by the factors of its Polya urn: log P(count) (row, count) and its derivatives by ``eta`` and ``logit_r``.

    A factor of the counted items is h (1 - r) + i r, of the others (1 - h)(1 - r) + i r, and 1 - r + i r divides, i from 0 to J - 1
    (the first factor 1 - r, where it is common to both, cancels; it matters only for counts between 0 and J and is kept in all).
    """
    J, i = model.J, np.arange(model.J, dtype=float)
    r, rest = expit(logit_r)[:, None], expit(-logit_r)[:, None]
    drift = r * rest  # dr / dlogit
    bend = drift * (rest - r)
    below = np.tri(J + 1, J, -1)  # (count, factor): the factors i < count
    out = np.zeros((len(eta), J + 1))
    first, second = np.zeros((*out.shape, 2)), np.zeros((*out.shape, 2, 2))
    for sign, used in ((1, below), (-1, below[::-1])):
        h, other = expit(sign * eta)[:, None], expit(-sign * eta)[:, None]
        factor = h * rest + i * r
        by_eta, by_r = sign * h * other * rest, (i - h) * drift
        twice = {(0, 0): h * other * (other - h) * rest, (0, 1): -sign * h * other * drift, (1, 1): (i - h) * bend}
        logs = np.log(factor)
        logs[:, :1] = log_expit(sign * eta)[:, None] + log_expit(-logit_r)[:, None]
        relative = [by_eta / factor, by_r / factor]
        out += logs @ used.T
        for a in (0, 1):
            first[..., a] += relative[a] @ used.T
            for b in (0, 1):
                second[..., a, b] += (twice[min(a, b), max(a, b)] / factor - relative[a] * relative[b]) @ used.T
    whole = rest + i * r
    by_r = (i - 1) * drift / whole
    out += log_choose(J) - np.log(whole[:, 1:]).sum(axis=1, keepdims=True) - log_expit(-logit_r)[:, None]
    first[..., 1] -= by_r.sum(axis=1, keepdims=True)
    second[..., 1, 1] -= ((i - 1) * bend / whole - by_r**2).sum(axis=1, keepdims=True)
    return out, first, second


def _lapses(model: ListModel, local: np.ndarray) -> dict[str, np.ndarray]:
    first = FIXED + model.shapes
    return {lapse: local[:, first + i] for i, lapse in enumerate(model.tables.kept)}


def _sum_over_states(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Values of states (row, state) as values of answers (row, answer)."""
    return values @ table.reshape(-1, table.shape[-1])


def _by_state(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Values of answers (row, answer) as values of states (row, state)."""
    return values @ table.reshape(-1, table.shape[-1]).T


def _told(model: ListModel, lapses: dict[str, np.ndarray], ratio: np.ndarray) -> np.ndarray:
    out = _by_state(ratio, model.tables.certain)
    for lapse, logit in lapses.items():
        kept, followed = (_by_state(ratio, t[lapse]) for t in (model.tables.kept, model.tables.followed))
        out += expit(-logit)[:, None] * kept + expit(logit)[:, None] * followed
    return out


def _slope_of_states(model: ListModel, lapses: dict[str, np.ndarray], moved: np.ndarray) -> np.ndarray:
    """The change of P(answer) with each local parameter of the states, (row, answer, local)."""

    def summed(table: np.ndarray) -> np.ndarray:
        return np.matmul(table.reshape(-1, table.shape[-1]).T, moved)

    out = summed(model.tables.certain)
    for lapse, logit in lapses.items():
        kept, followed = summed(model.tables.kept[lapse]), summed(model.tables.followed[lapse])
        out += expit(-logit)[:, None, None] * kept + expit(logit)[:, None, None] * followed
    return out
