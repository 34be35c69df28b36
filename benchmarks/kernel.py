"""A hand-written log density with gradient of one model, as fast as we can: the limit that the compiled one is held against.

The model is the default of a study without groups, waves and instruments: logit prevalence, saturated counts with a shift, truthful
answers, default priors. Only :mod:`benchmarks.speed` uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import pymc as pm

from bayes_listexp.count_shapes import log_choose

INTERCEPT_SD, SHIFT_SD = 1.5, 0.5


def kernel_of(model: pm.Model) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The kernel at the data of ``model``, as a function of its unconstrained parameters in their order."""
    data = {v.name: np.ascontiguousarray(v.get_value(), dtype=float) for v in model.data_vars}
    names = ("trait_matrix", "control_matrix", "control_counts", "treatment_counts", "control_basis")
    fixed = (*(data[name] for name in names), log_choose(data["control_counts"].shape[1] - 1))

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        return _kernel(x, *fixed)  # type: ignore[no-any-return]

    return evaluate


@numba.njit(cache=True, fastmath=True)
def _kernel(x, X, Z, control, treated, basis, weights):  # type: ignore[no-untyped-def]
    """One pass over the cells: probabilities, log likelihood and, from the derivatives of each answer's probability, the gradient."""
    p, q, s, J = X.shape[1], Z.shape[1], basis.shape[0], len(weights) - 1
    trait, slopes, shape = x[1 : p + 1], x[p + 2 : p + q + 2], x[p + q + 2 : p + q + 2 + s]
    shift, out = x[-1], np.zeros_like(x)
    value = x[0] - 2.0 * math.log1p(math.exp(x[0]))  # Beta(1, 1) of the probability
    out[0] = 1.0 - 2.0 / (1.0 + math.exp(-x[0]))
    for i in range(1, len(x)):
        sd = INTERCEPT_SD if i == p + 1 else SHIFT_SD if i == len(x) - 1 else 1.0
        value -= 0.5 * (x[i] / sd) ** 2 + math.log(sd) + 0.5 * math.log(2.0 * math.pi)
        out[i] -= x[i] / sd**2
    log_weight = weights.copy()
    for k in range(J + 1):
        for j in range(s):
            log_weight[k] += shape[j] * basis[j, k]
    pmf, score = np.empty((2, J + 1)), np.empty((2, J + 1))
    for c in range(X.shape[0]):
        eta, psi = x[0], x[p + 1]
        for j in range(p):
            eta += X[c, j] * trait[j]
        for j in range(q):
            psi += Z[c, j] * slopes[j]
        with_trait = 1.0 / (1.0 + math.exp(-eta))
        without = 1.0 / (1.0 + math.exp(eta))
        for z in range(2):
            largest, total = -math.inf, 0.0
            for k in range(J + 1):
                pmf[z, k] = log_weight[k] + k * (psi + z * shift)
                largest = max(largest, pmf[z, k])
            for k in range(J + 1):
                pmf[z, k] = math.exp(pmf[z, k] - largest)
                total += pmf[z, k]
            for k in range(J + 1):
                pmf[z, k] /= total
        score[:] = 0.0  # derivative of the log likelihood by P(trait, count), times pmf
        by_trait = 0.0
        for k in range(J + 1):
            if control[c, k] > 0:
                chance = without * pmf[0, k] + with_trait * pmf[1, k]
                value += control[c, k] * math.log(chance)
                ratio = control[c, k] / chance
                score[0, k] += ratio * without * pmf[0, k]
                score[1, k] += ratio * with_trait * pmf[1, k]
                by_trait += ratio * (pmf[1, k] - pmf[0, k])
        for y in range(J + 2):
            if treated[c, y] > 0:
                stays = pmf[0, y] if y <= J else 0.0
                moved = pmf[1, y - 1] if y > 0 else 0.0
                chance = without * stays + with_trait * moved
                value += treated[c, y] * math.log(chance)
                ratio = treated[c, y] / chance
                if y <= J:
                    score[0, y] += ratio * without * stays
                if y > 0:
                    score[1, y - 1] += ratio * with_trait * moved
                by_trait += ratio * (moved - stays)
        by_eta, by_psi = by_trait * with_trait * without, 0.0
        for z in range(2):
            total, mean = 0.0, 0.0
            for k in range(J + 1):
                total += score[z, k]
            for k in range(J + 1):
                by_weight = score[z, k] - total * pmf[z, k]
                mean += k * by_weight
                for j in range(s):
                    out[p + q + 2 + j] += by_weight * basis[j, k]
            by_psi += mean
            if z == 1:
                out[-1] += mean
        out[0] += by_eta
        out[p + 1] += by_psi
        for j in range(p):
            out[1 + j] += by_eta * X[c, j]
        for j in range(q):
            out[p + 2 + j] += by_psi * Z[c, j]
    return value, out
