"""Log prior densities with their first and second derivatives, in numbers, for the mode without PyTensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import betaln, expit, gammaln, log_expit

from bayes_listexp.errors import InputError
from bayes_listexp.newton import Penalty
from bayes_listexp.priors import Prior

type Three = tuple[np.ndarray, np.ndarray, np.ndarray]


def _normal(x: np.ndarray, mean: float, sd: float) -> Three:
    z = (x - mean) / sd
    return -0.5 * z**2 - np.log(sd * np.sqrt(2 * np.pi)), -z / sd, np.full_like(x, 1 / sd**2)


def _student(x: np.ndarray, nu: float, mean: float, scale: float) -> Three:
    z = (x - mean) / scale
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - np.log(scale)
    slope = -(nu + 1) * z / (nu + z**2)
    return constant - (nu + 1) / 2 * np.log1p(z**2 / nu), slope / scale, (nu + 1) * (nu - z**2) / (nu + z**2) ** 2 / scale**2


def _cauchy(x: np.ndarray, mean: float, scale: float) -> Three:
    return _student(x, 1.0, mean, scale)


def _logistic(x: np.ndarray, mean: float, scale: float) -> Three:
    value, slope, curvature = _beta((x - mean) / scale, 1.0, 1.0)
    return value - np.log(scale), slope / scale, curvature / scale**2


def _beta(x: np.ndarray, a: float, b: float) -> Three:
    """Of the logit of a probability with a Beta prior."""
    value = a * log_expit(x) + b * log_expit(-x) - betaln(a, b)
    return value, a - (a + b) * expit(x), (a + b) * expit(x) * expit(-x)


def _flat(x: np.ndarray) -> Three:
    return np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)


DENSITIES: dict[str, Callable[..., Three]] = {
    "Normal": _normal, "StudentT": _student, "Cauchy": _cauchy, "Logistic": _logistic, "Beta": _beta, "Flat": _flat,
}


def penalty(names: Sequence[str], priors: Sequence[Prior], logits: Sequence[bool]) -> Penalty:
    """The log prior of parameters, which are independent: ``names`` say whose each is in messages, ``logits`` which are logits of
    probabilities, of which a Beta prior is the probability's.

    Raises
    ------
    InputError : a prior that only :func:`bayes_listexp.fit` has.
    """
    for name, prior, is_logit in zip(names, priors, logits, strict=True):
        if prior.distribution not in DENSITIES or (prior.distribution == "Beta" and not is_logit):
            raise InputError(f"prior of '{name}': {prior} is not among those of the quick mode ({', '.join(DENSITIES)}; Beta of "
                             "probabilities only). Use bayes_listexp.fit(..., method='map').")
    kinds = list(dict.fromkeys(priors))
    members = [np.array([i for i, prior in enumerate(priors) if prior == kind]) for kind in kinds]

    def evaluate(parameters: np.ndarray) -> Three:
        value, slope, curvature = np.zeros(len(parameters)), np.zeros_like(parameters), np.zeros_like(parameters)
        for kind, own in zip(kinds, members, strict=True):
            parts = DENSITIES[kind.distribution](parameters[:, own], *kind.arguments)
            value += parts[0].sum(axis=1)
            slope[:, own], curvature[:, own] = parts[1:]
        return value, slope, curvature

    return evaluate
