"""Unit variances of differences in means: n times the variance of the estimate from n respondents.

They hold for large arms of fixed size with independent respondents, to order 1/n; with unbiased sample variances the estimated
variance has them as its expectation exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.item_scenario import correlation_bounds
from bayes_listexp.planning.precision import power
from bayes_listexp.planning.scenario import EPSILON, Scenario

ARMS = ("kept", "swapped", "fresh")


def dim_variance(scenario: Scenario, share: float = 0.5) -> float:
    """Unit variance of the difference in means, with this ``share`` of respondents in the treatment arm.

    V1 / share + V0 / (1 - share), where V0 is the variance of the count and V1 that of count + trait.

    Raises
    ------
    InputError : a share that leaves an arm empty.
    """
    check_split(share)
    control, treatment = scenario.answer_variances
    return treatment / share + control / (1 - share)


def optimal_share(scenario: Scenario) -> float:
    """The share in the treatment arm at which the difference in means varies least: sd1 / (sd0 + sd1) (Neyman 1934)."""
    control, treatment = (sqrt(max(v, 0.0)) for v in scenario.answer_variances)
    return 0.5 if control + treatment < EPSILON else treatment / (control + treatment)


class Panel(NamedTuple):
    """The same people in both waves.

    ``arms`` says how the second wave's arms come about: "kept", "swapped" (who had the control list gets the other one), or
    "fresh" (drawn again). ``counts`` and ``traits`` are correlations of the two waves' counts, and of the two waves' traits,
    within people. Counts of one wave and the trait of the other are taken to be uncorrelated.
    """

    arms: str = "kept"
    counts: float = 0.0
    traits: float = 0.0


def change_variance(first: Scenario, second: Scenario, *, shares: tuple[float, float] = (0.5, 0.5), panel: Panel | None = None,
                    sizes: tuple[float, float] = (1.0, 1.0)) -> float:  # fmt: skip
    """Unit variance of the change of the difference in means, ``second`` minus ``first``.

    Of different people in the two waves unless a ``panel`` is given. ``sizes`` are relative numbers of respondents: with
    (1, 2) the result, divided by n of the first wave, is the variance for 2n in the second. With a panel both waves have all
    its people, and the covariance of the two differences is, for a share g in the treatment arm: of kept arms
    Cov(y1, y1') / g + Cov(c, c') / (1 - g), of fresh ones Cov(trait, trait'), of swapped ones
    - Cov(c, c') / g - Cov(c, c') / (1 - g). So the same people help where they keep their arms, and harm where they swap.

    Raises
    ------
    InputError : unknown ``arms``, a correlation that is impossible, unequal shares or sizes in a panel.
    """
    variances = [dim_variance(wave, share) for wave, share in zip((first, second), shares, strict=True)]
    if panel is None:
        return variances[0] / sizes[0] + variances[1] / sizes[1]
    later = {"kept": shares[0], "swapped": 1 - shares[0]}.get(panel.arms, shares[1])
    if sizes[0] != sizes[1] or abs(shares[1] - later) > 1e-9:
        raise InputError("panel: the same people are in both waves, so sizes must be the same, and so must shares where arms are kept; "
                         "where they are swapped the two shares add up to 1.")
    return sum(variances) / sizes[0] - 2 * _panel_covariance(first, second, shares[0], panel) / sizes[0]


def _panel_covariance(first: Scenario, second: Scenario, share: float, panel: Panel) -> float:
    """The covariance, times n, of the two waves' differences in means."""
    if panel.arms not in ARMS:
        raise InputError(f"arms = '{panel.arms}': there are {', '.join(ARMS)}.")
    if not (-1 <= panel.counts <= 1):
        raise InputError(f"panel: counts = {panel.counts:g}: a correlation between -1 and 1 is needed.")
    count = panel.counts * sqrt(first.count_variance * second.count_variance)
    p, q = first.prevalence, second.prevalence
    trait = panel.traits * sqrt(first.trait_variance * second.trait_variance)
    if not max(0.0, p + q - 1) - EPSILON <= trait + p * q <= min(p, q) + EPSILON:
        low, high = correlation_bounds(p, q)
        raise InputError(f"panel: traits = {panel.traits:g}: with prevalences of {p:g} and {q:g} the correlation of the two waves' traits "
                         f"lies between {low:.3f} and {high:.3f} (Fréchet bounds).")
    if panel.arms == "kept":
        return (count + trait) / share + count / (1 - share)
    return trait if panel.arms == "fresh" else -count / share - count / (1 - share)


def several_items(
    scenarios: Sequence[Scenario], *, control_share: float | None = None, n: int = 1000, effect: float | None = None,
    level: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """Several sensitive items on treatment lists of their own, with one control arm: one row per item.

    ``control_share`` of the ``n`` respondents are in the control arm, the others evenly in the T treatment arms; None is the
    share at which the mean variance of the T estimates is least, 1 / (1 + sqrt(T)) when arms vary alike (Dunnett 1955).
    Columns: ``item``, ``prevalence``, ``n_treatment``, ``n_control``, ``se``, ``se_alone`` (of a study of its own with n / T
    respondents, half in each arm), ``correlation`` (with the other estimates, on average, from the shared control arm),
    ``power`` and ``power_holm`` (to find ``effect``, the prevalence if none is given, at ``level`` and at level / T).

    Raises
    ------
    InputError : no items, or scenarios whose control items differ.
    """
    if not scenarios:
        raise InputError("several_items: give one scenario for each sensitive item.")
    if any(s.J != scenarios[0].J or not np.allclose(s.counts, scenarios[0].counts, atol=1e-6) for s in scenarios):
        raise InputError("several_items: the control arm is shared, so all scenarios must have the same distribution of the count.")
    T, control = len(scenarios), scenarios[0].count_variance
    treatment = np.array([s.answer_variances[1] for s in scenarios])
    if control_share is None:
        total = sqrt(control) + sqrt(T * treatment.mean())
        control_share = sqrt(control) / total if 0 < control < total**2 else 0.5
    check_split(1 - control_share)
    n0, n1 = n * control_share, n * (1 - control_share) / T
    se = np.sqrt(treatment / n1 + control / n0)
    rows = []
    for i, scenario in enumerate(scenarios):
        others = [control / n0 / (se[i] * se[j]) for j in range(T) if j != i and se[i] * se[j] > 0]
        aim = scenario.prevalence if effect is None else effect
        rows.append((i + 1, scenario.prevalence, n1, n0, se[i], sqrt(dim_variance(scenario) * T / n),
                     np.mean(others) if others else np.nan, power(aim, se[i], level=level), power(aim, se[i], level=level / T)))
    return pd.DataFrame(rows, columns=["item", "prevalence", "n_treatment", "n_control", "se", "se_alone", "correlation", "power",
                                       "power_holm"])  # fmt: skip


def clustered_variance(
    scenario: Scenario, *, size: float, icc_count: float, icc_trait: float, within: bool = True, share: float = 0.5
) -> float:
    """Unit variance of the difference in means when respondents come in clusters of ``size`` people.

    ``icc_count`` and ``icc_trait`` are the intra-class correlations of the count and of the trait. With arms drawn person by
    person ``within`` clusters, what is common to a cluster's counts cancels in the difference, and only the trait's correlation
    costs: V + (size - 1) icc_trait P(1 - P). With whole clusters in one arm it is V1 (1 + (size - 1) icc1) / share +
    V0 (1 + (size - 1) icc_count) / (1 - share), where icc1 is that of count + trait, for independent count and trait effects.
    Divide by :func:`dim_variance` for the design effect (Kish 1965).

    Raises
    ------
    InputError : a cluster size below 1, or an intra-class correlation outside 0 to 1.
    """
    for name, icc in (("icc_count", icc_count), ("icc_trait", icc_trait)):
        if not 0 <= icc <= 1:
            raise InputError(f"{name} = {icc:g}: an intra-class correlation between 0 and 1 is needed.")
    if size < 1:
        raise InputError(f"size = {size:g}: a cluster has at least 1 respondent.")
    trait = icc_trait * scenario.trait_variance
    if within:
        return dim_variance(scenario, share) + (size - 1) * trait
    count = icc_count * scenario.count_variance
    return dim_variance(scenario, share) + (size - 1) * ((count + trait) / share + count / (1 - share))


def check_split(share: float) -> None:
    """Both arms must have somebody.

    Raises
    ------
    InputError : they have not.
    """
    if not 0 < share < 1:
        raise InputError(f"share = {share:g}: the share of respondents in the treatment arm must be above 0 and below 1.")
