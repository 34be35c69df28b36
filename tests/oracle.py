"""P(answer) by plain enumeration of people, in Python numbers only: the one allowed twin of the engine."""

from __future__ import annotations

from itertools import product
from math import comb, exp, gamma, log, prod


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def count_pmf(counts: str, eta: float, parameter, J: int) -> list[float]:
    """P(count); ``parameter`` is the overdispersion, the dispersion, the items' offsets, or the log-weights beyond the binomial's."""
    if counts == "beta_binomial":
        h, r = sigmoid(eta), parameter
        a, b = h * (1 - r) / r, (1 - h) * (1 - r) / r

        def beta(x: float, y: float) -> float:
            return gamma(x) * gamma(y) / gamma(x + y)

        return [comb(J, k) * beta(k + a, J - k + b) / beta(a, b) for k in range(J + 1)]
    if counts == "poisson_binomial":  # every subset of the items
        h, out = [sigmoid(eta + offset) for offset in parameter], [0.0] * (J + 1)
        for applies in product((0, 1), repeat=J):
            out[sum(applies)] += prod(p if one else 1 - p for p, one in zip(h, applies, strict=True))
        return out
    extra = parameter if counts == "softmax" else [0.0] * (J + 1)
    power = parameter if counts == "com_binomial" else 1.0
    weights = [exp(power * log(comb(J, k)) + extra[k] + k * eta) for k in range(J + 1)]
    return [w / sum(weights) for w in weights]


def said(response: str, count: int, trait: int, treated: int, J: int, q: dict[str, float]) -> list[float]:
    """P(answer | count, trait, arm), written out case by case from the papers' descriptions."""
    top = J + treated
    truth = count + trait * treated
    answers = [0.0] * (top + 1)
    if response == "liars" and treated and trait:
        if count == 0:
            answers[0] += q["floor"]
            answers[1] += 1 - q["floor"]
        elif count == J:
            answers[J] += q["ceiling"]
            answers[J + 1] += 1 - q["ceiling"]
        else:
            answers[truth] = 1.0
        if J == 1 and count == 0:  # with one item, 1 is also J: nothing else changes
            assert len(answers) == 3
        return answers
    if response == "top_coded":
        answers[truth] += 1 - q["top"]
        answers[top] += q["top"]
        return answers
    if response == "bottom_coded":
        answers[truth] += 1 - q["bottom"]
        answers[0] += q["bottom"]
        return answers
    if response == "careless":
        answers[truth] += 1 - q["careless"]
        return [p + q["careless"] / (top + 1) for p in answers]
    if response == "deflated" and treated and trait:
        answers[truth] += 1 - q["deflation"]
        answers[count] += q["deflation"]
        return answers
    if response == "uniform":
        e = q["random_treatment"] if treated else q["random_control"]
        answers[truth] += 1 - e
        return [p + e / (top + 1) for p in answers]
    answers[truth] = 1.0
    return answers


def answer_pmf(
    response: str,
    treated: int,
    J: int,
    *,
    prevalence: float,
    pmfs: tuple[list[float], list[float]],
    q: dict[str, float],
) -> list[float]:
    """P(answer | arm): add up every kind of person."""
    total = [0.0] * (J + 1 + treated)
    for trait, count in product((0, 1), range(J + 1)):
        weight = (prevalence if trait else 1 - prevalence) * pmfs[trait][count]
        for answer, p in enumerate(said(response, count, trait, treated, J, q)):
            total[answer] += weight * p
    return total
