"""What a likelihood gains over the difference in means, without simulation: the Fisher information of the two arms' multinomials."""

from __future__ import annotations

import numpy as np

from bayes_listexp.errors import InputError
from bayes_listexp.planning.differences import check_split
from bayes_listexp.planning.scenario import EPSILON, Scenario

COUNTS = ("softmax", "binomial")
DEPENDENCE = ("none", "shift", "free")


def likelihood_variance(
    scenario: Scenario,
    *,
    share: float = 0.5,
    counts: str = "softmax",
    dependence: str = "none",
    shift_sd: float | None = None,
    n: float | None = None,
) -> float:
    """Unit variance of the maximum-likelihood estimate of the prevalence, at this scenario: n times its inverse information.

    I = sum over arms a of n_a sum over answers y of (dp/dθ)(dp/dθ)' / p; the element of its inverse for the prevalence. The
    ratio of :func:`dim_variance` to it is the efficiency of the likelihood. Free dependence of the count on the trait is the
    saturated model, whose estimate is the difference in means itself (up to the information in its shares being positive); no
    dependence is the most that a model can gain. The scenario should be one the model can represent: with counts that depend
    on the trait and ``dependence="none"`` the estimate has a bias that this does not show.

    Parameters
    ----------
    counts : "softmax", any distribution, or "binomial".
    dependence : of the count on the trait: "none", "shift" (log-odds per count), or "free".
    shift_sd : prior standard deviation of the shift, as the default model has it (0.5); its precision is added to the information
        of ``n`` respondents, which then must be given.

    Raises
    ------
    InputError : an unknown family or dependence, a prevalence of 0 or 1, or a prior without n.
    """
    check_split(share)
    if counts not in COUNTS or dependence not in DEPENDENCE:
        raise InputError(f"counts = '{counts}', dependence = '{dependence}': there are {', '.join(COUNTS)}, and {', '.join(DEPENDENCE)}.")
    if not EPSILON < scenario.prevalence < 1 - EPSILON:
        raise InputError(f"prevalence = {scenario.prevalence:g}: at the edge of its range the likelihood has no such variance.")
    if shift_sd is not None and (n is None or dependence != "shift"):
        raise InputError('shift_sd: a prior of the shift needs dependence="shift", and n, since it weighs more in a small study.')
    slopes = _slopes(scenario, counts, dependence)
    information = np.zeros((slopes.shape[0], slopes.shape[0]))
    for treated, weight in ((True, share), (False, 1 - share)):
        padded = np.zeros((len(slopes), scenario.J + 2))
        padded[:, :-1] += slopes[:, 0]
        padded[:, int(treated) : scenario.J + 1 + int(treated)] += slopes[:, 1]
        p = np.zeros(scenario.J + 2)
        p[: len(scenario.answers(treated))] = scenario.answers(treated)
        on = p > EPSILON
        information += weight * (padded[:, on] / p[on]) @ padded[:, on].T
    if shift_sd is not None and n is not None:
        information[-1, -1] += 1 / (n * shift_sd**2)
    return _first_of_inverse(information)


def _slopes(scenario: Scenario, counts: str, dependence: str) -> np.ndarray:
    """Derivatives of the types by the parameters, (parameter, trait, count): prevalence first, the shift last."""
    J, prevalence = scenario.J, scenario.prevalence
    conditional = np.stack([scenario.given(0), scenario.given(1)])
    share = np.array([1 - prevalence, prevalence])
    out = [np.array([-1.0, 1.0])[:, None] * conditional]

    def along(feature: np.ndarray) -> np.ndarray:
        """Moving log P(count | trait) along a feature (trait, count)."""
        centred = feature - (conditional * feature).sum(axis=1, keepdims=True)
        return share[:, None] * conditional * centred

    k, both = np.arange(J + 1.0), np.ones((2, 1))
    if dependence == "free":
        for trait in (0, 1):
            features = np.eye(J + 1)[1:] if counts == "softmax" else k[None]
            out += [along(np.eye(2)[trait][:, None] * feature) for feature in features]
    else:
        out += [along(both * feature) for feature in (np.eye(J + 1)[1:] if counts == "softmax" else k[None])]
        out += [along(np.array([[0.0], [1.0]]) * k)] if dependence == "shift" else []
    return np.stack(out)


def _first_of_inverse(information: np.ndarray) -> float:
    """The first element of the inverse; infinite where the first parameter is not identified.

    Directions without information (counts that nobody has) are left out, unless the prevalence moves along them.
    """
    values, vectors = np.linalg.eigh(information)
    known = values > 1e-11 * values.max()
    if (vectors[0, ~known] ** 2).sum() > 1e-8:
        return float("inf")
    return float((vectors[0, known] ** 2 / values[known]).sum())

