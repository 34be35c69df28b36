"""P(count | linear predictor): the families of distributions for the number of control items that apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt

from bayes_listexp.count_shapes import log_choose
from bayes_listexp.errors import InputError


class Family(NamedTuple):
    """A family: ``pmf(eta, parameter, J)`` and the name of its one parameter beside the linear predictor, or None.

    ``eta`` is (..., cell, trait), the result (..., cell, trait, count), with a trait axis of length 1 if the count does
    not depend on the trait. The parameter is (...); a departure from the binomial is (..., cell, trait, count), the items'
    logits relative to their mean are (..., item).
    """

    pmf: Callable[[Any, Any, int], Any]
    parameter: str | None


def _tilted(eta: Any, log_weights: Any, J: int) -> Any:
    """Softmax of log weights + count * eta over counts 0..J; ``log_weights`` broadcasts to (..., cell, trait, count)."""
    logits = log_weights + eta[..., None] * np.arange(J + 1.0)
    weights = pt.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def binomial(eta: Any, parameter: Any, J: int) -> Any:
    """J independent items of equal popularity, logit ``eta``."""
    return _tilted(eta, log_choose(J), J)


def com_binomial(eta: Any, parameter: Any, J: int) -> Any:
    """Conway-Maxwell binomial (Kadane 2016): weights C(J, k)^v; v > 1 is less and v < 1 more dispersed than the binomial."""
    return _tilted(eta, parameter[..., None, None, None] * log_choose(J), J)


def softmax(eta: Any, parameter: Any, J: int) -> Any:
    """Any pmf on 0..J, tilted by ``eta``: the binomial's log weights plus ``parameter``, the departure."""
    return _tilted(eta, log_choose(J) + parameter, J)


def beta_binomial(eta: Any, parameter: Any, J: int) -> Any:
    """Beta-binomial with mean sigmoid(``eta``) and intra-class correlation r: only more dispersed than the binomial.

    Written with the J factors of its Polya urn, which needs no gamma functions and is exact at r = 0 and r = 1. The first
    draw's factor 1 - r cancels, but for counts between 0 and J, where one is left.
    """
    r = parameter[..., None, None, None]
    i = np.arange(1.0, J)
    up, down = (
        pt.concatenate(
            [-pt.softplus(-sign * eta)[..., None], pt.log(pt.sigmoid(sign * eta)[..., None] * (1 - r) + i * r)], axis=-1
        )
        for sign in (1, -1)
    )
    below = np.tri(J + 1, J, -1).T  # (factor, count): the factors i < count
    log_ways = log_choose(J) - pt.log(1 - r + i * r).sum(axis=-1, keepdims=True)
    between = (np.arange(J + 1) % J > 0).astype(float)
    return pt.exp(log_ways + (up[..., None] * below).sum(axis=-2) + (down[..., None] * below[:, ::-1]).sum(axis=-2)) * (
        1 - r * between
    )


def poisson_binomial(eta: Any, parameter: Any, J: int) -> Any:
    """J independent items of different popularity, logits ``eta`` + ``parameter`` (..., item): the sum of J coin tosses.

    Adds one item after the other, so every term is a product of probabilities and none is a difference.
    """
    pmf = pt.ones_like(eta)[..., None]
    for item in range(J):
        logit = eta + parameter[..., None, None, item]
        none, one = pt.sigmoid(-logit)[..., None], pt.sigmoid(logit)[..., None]
        edge = pt.zeros_like(eta)[..., None]
        pmf = pt.concatenate([pmf * none, edge], axis=-1) + pt.concatenate([edge, pmf * one], axis=-1)
    return pmf


def ordered_items(gaps: Any, J: int) -> Any:
    """Logits of J items less their mean, from rare to popular, (..., item); ``gaps`` (..., J - 1) are the steps between them."""
    steps = (gaps[..., None, :] * np.tri(J, J - 1, -1)).sum(axis=-1)
    return steps - steps.mean(axis=-1, keepdims=True)


FAMILIES = {
    "softmax": Family(softmax, "control_shape"),
    "binomial": Family(binomial, None),
    "beta_binomial": Family(beta_binomial, "control_overdispersion"),
    "com_binomial": Family(com_binomial, "control_dispersion"),
    "poisson_binomial": Family(poisson_binomial, "control_item"),
}


def family(counts: str) -> Family:
    """A family by name.

    Raises
    ------
    InputError : there is none of that name.
    """
    if counts not in FAMILIES:
        raise InputError(f"counts = '{counts}': there are the families {', '.join(FAMILIES)}.")
    return FAMILIES[counts]
