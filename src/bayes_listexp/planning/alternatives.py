"""A list against its alternatives: a direct question, both together, a double list; and the bias that makes the list worth its price."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.differences import check_split, dim_variance, optimal_share
from bayes_listexp.planning.precision import power, respondents
from bayes_listexp.planning.scenario import EPSILON, Scenario, check_share


class Estimate(NamedTuple):
    """An estimate of the prevalence by some design: its name, unit variance (n times the variance), and bias (0-1 units)."""

    design: str
    unit: float
    bias: float = 0.0

    def se(self, n: float) -> float:
        """Standard error with n respondents."""
        return sqrt(max(self.unit, 0.0) / n)

    def rmse(self, n: float) -> float:
        """Root of the mean squared error with n respondents."""
        return float(np.hypot(self.se(n), self.bias))


def listed(scenario: Scenario, share: float = 0.5, *, bias: float = 0.0) -> Estimate:
    """The difference in means of one list experiment; a ``bias`` from :func:`liar_bias`, say, may be given."""
    return Estimate("list", dim_variance(scenario, share), bias)


def direct_question(scenario: Scenario, bias: float = 0.0) -> Estimate:
    """The share that says yes to a direct question, when a share P + ``bias`` of all people does.

    Raises
    ------
    InputError : P + bias is not between 0 and 1.
    """
    said = scenario.prevalence + bias
    if not -EPSILON <= said <= 1 + EPSILON:
        raise InputError(f"bias = {bias:g}: with a prevalence of {scenario.prevalence:g} the share that says yes would be {said:g}.")
    return Estimate("direct question", max(said * (1 - said), 0.0), bias)


def combined(scenario: Scenario, denial: float, share: float = 0.5) -> Estimate:
    """List and direct question together (Aronow, Coppock, Crawford & Green 2015), when a share ``denial`` of those with the
    trait denies it to the direct question, whatever their count, and nobody without it says yes.

    The estimate is D + (1 - D) t0, where D is the share of yes and t0 the difference in means among the others; its unit
    variance is D(1 - D)(1 - t0)² + (1 - D)(V1 / share + V0 / (1 - share)), the variances being those among the others.

    Raises
    ------
    InputError : a ``denial`` outside 0 to 1.
    """
    check_share(denial, "denial")
    check_split(share)
    yes = scenario.prevalence * (1 - denial)
    if yes > 1 - EPSILON:
        return Estimate("list and direct question", yes * (1 - yes))
    others = Scenario(np.stack([scenario.types[0], scenario.types[1] * denial]) / (1 - yes))
    control, treatment = others.answer_variances
    unit = yes * (1 - yes) * (1 - others.prevalence) ** 2 + (1 - yes) * (treatment / share + control / (1 - share))
    return Estimate("list and direct question", unit)


def double_list(first: Scenario, second: Scenario, correlation: float, share: float = 0.5) -> Estimate:
    """Two lists with the same sensitive item, each respondent shown it on one of them (Droitcour et al. 1991): the better of the
    plain mean and the weighted mean of the two differences, which is the weighted one.

    ``correlation`` is that of the two control counts; the more positive the better. ``share`` has the item on the first list.
    The covariance of the two differences is -(cov_A(y1, y2) / share + cov_B(y1, y2) / (1 - share)) (over n).

    Raises
    ------
    InputError : the prevalences differ, or the correlation is not between -1 and 1.
    """
    unit, _ = double_list_variance(first, second, correlation, share)
    return Estimate("double list", unit)


def double_list_variance(
    first: Scenario, second: Scenario, correlation: float, share: float = 0.5, *, weight: float | None = None
) -> tuple[float, float]:
    """Unit variance of the weighted mean of a double list's two differences, and the weight of the first; None is the best weight.

    Raises
    ------
    InputError : as :func:`double_list`.
    """
    check_split(share)
    if abs(first.prevalence - second.prevalence) > 1e-9:
        raise InputError(f"double_list: both lists ask for the same trait, and their prevalences are {first.prevalence:g} and "
                         f"{second.prevalence:g}.")
    if not -1 <= correlation <= 1:
        raise InputError(f"correlation = {correlation:g}: a correlation of the two counts between -1 and 1 is needed.")
    own = (dim_variance(first, share), dim_variance(second, 1 - share))
    counts = correlation * sqrt(first.count_variance * second.count_variance)
    # Who has the item on one list still has the trait that goes with the other list's count.
    cross = -((counts + second.covariance) / share + (counts + first.covariance) / (1 - share))
    spread = own[0] + own[1] - 2 * cross
    best = (own[1] - cross) / spread if spread > EPSILON else 0.5
    w = best if weight is None else weight
    return max(w**2 * own[0] + (1 - w) ** 2 * own[1] + 2 * w * (1 - w) * cross, 0.0), w


def list_direct_gap(scenario: Scenario, denial: float, share: float = 0.5) -> Estimate:
    """The difference of list and direct question asked of the same people: the sensitivity bias that the two reveal.

    Its expectation is ``denial`` times P. With a direct answer that does not depend on the arm the covariance of the two is
    Cov(trait, yes) / n = D(1 - P) / n.

    Raises
    ------
    InputError : a ``denial`` outside 0 to 1.
    """
    check_share(denial, "denial")
    yes = scenario.prevalence * (1 - denial)
    unit = dim_variance(scenario, share) + yes * (1 - yes) - 2 * yes * (1 - scenario.prevalence)
    return Estimate("list minus direct question", max(unit, 0.0))


def break_even_bias(scenario: Scenario, n: float, share: float = 0.5, *, list_bias: float = 0.0) -> tuple[float, float]:
    """The biases of a direct question, downwards and upwards, beyond which a list of the same n has the smaller mean squared error.

    They solve B² + (P + B)(1 - P - B) / n = Var(list) + list_bias². NaN where no possible bias is as large.
    """
    prevalence = scenario.prevalence
    a, b = 1 - 1 / n, (1 - 2 * prevalence) / n
    c = scenario.trait_variance / n - dim_variance(scenario, share) / n - list_bias**2
    inner = b * b - 4 * a * c
    if inner < 0 or n <= 1:
        return np.nan, np.nan
    low, high = (-b - sqrt(inner)) / (2 * a), (-b + sqrt(inner)) / (2 * a)
    return (low if prevalence + low >= 0 else np.nan), (high if prevalence + high <= 1 else np.nan)


def liar_bias(scenario: Scenario, *, ceiling: float = 0.0, floor: float = 0.0) -> float:
    """Bias of the difference in means when such shares of those with the trait who would give themselves away hide it.

    ``ceiling`` of those to whom all control items apply say J instead of J + 1, ``floor`` of those to whom none applies say 0
    instead of 1 (Blair & Imai 2012).
    """
    check_share(ceiling, "ceiling")
    check_share(floor, "floor")
    return -float(ceiling * scenario.types[1, -1] + floor * scenario.types[1, 0])


def compare_designs(
    scenario: Scenario, n: int, *, effect: float, half_width: float = 0.05, direct_bias: float | None = None, denial: float | None = None,
    second: Scenario | None = None, count_correlation: float = 0.3, share: float = 0.5, others: Sequence[Estimate] = (),
    level: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """One row per design for the same n: the list, its best arm split, a double list, list and direct question, a direct question.

    Columns: ``design``, ``bias``, ``se``, ``rmse``, ``power`` (to find a true ``effect``), ``n_needed`` (for an interval of
    ``half_width`` on either side, whatever the bias), ``relative`` (variance relative to the list's). The direct question has
    ``direct_bias``, by default that of the ``denial``; the combined estimate needs the denial. The double list's ``second`` list is
    like the first unless given, with ``count_correlation`` between the two counts.
    """
    best = optimal_share(scenario)
    estimates = [listed(scenario, share)]
    if 0 < best < 1:
        estimates.append(listed(scenario, best)._replace(design=f"list, {100 * best:.0f} % treated"))
    estimates.append(double_list(scenario, second or scenario, count_correlation, share))
    if denial is not None:
        estimates.append(combined(scenario, denial, share))
    bias = direct_bias if direct_bias is not None else None if denial is None else -denial * scenario.prevalence
    if bias is not None:
        estimates.append(direct_question(scenario, bias))
    estimates += others
    base = estimates[0].unit or np.nan
    rows = [(e.design, e.bias, e.se(n), e.rmse(n), power(effect, e.se(n), level=level),
             respondents(e.unit, half_width=half_width, level=level), e.unit / base) for e in estimates]  # fmt: skip
    return pd.DataFrame(rows, columns=["design", "bias", "se", "rmse", "power", "n_needed", "relative"])
