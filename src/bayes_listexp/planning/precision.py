"""From a unit variance to what a plan asks for: standard error, power, detectable effect and number of respondents."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from bayes_listexp.errors import InputError

COLUMNS = ["n", "se", "half_width", "power", "detectable", "direct_equivalent"]


def power(effect: float, se: float, *, level: float = 0.05, sides: int = 2) -> float:
    """Probability that a normal estimate with this true ``effect`` and standard error is significant at ``level``.

    With one side, the test is against effects of the sign of ``effect`` (an effect of 0 against positive ones). A power of 1
    (or of 0) for a standard error of 0.
    """
    z = norm.ppf(1 - level / _sides(sides))
    if se == 0:
        return float(effect != 0)
    shift = abs(effect) / se
    return float(norm.cdf(shift - z) + (norm.cdf(-shift - z) if sides == 2 else 0.0))


def detectable(se: float, *, power: float = 0.8, level: float = 0.05, sides: int = 2) -> float:
    """The smallest true effect that is found significant with this power."""
    _check_power(power, level)
    return float(_shift(power, level, sides) * se)


def respondents(
    unit: float,
    *,
    half_width: float | None = None,
    effect: float | None = None,
    power: float = 0.8,
    level: float = 0.05,
    sides: int = 2,
) -> int:
    """How many respondents an estimate of this unit variance needs, to be at most ``half_width`` wide on either side of the estimate
    (an interval of probability 1 - ``level``), or to find an ``effect`` with this power.

    Raises
    ------
    InputError : neither or both of the aims are given, or one is not above 0.
    """
    aim = half_width if effect is None else effect
    if (half_width is None) == (effect is None) or aim is None or aim == 0 or (half_width is not None and half_width < 0):
        raise InputError("respondents: give either half_width (above 0) or effect (other than 0).")
    _check_power(power, level)
    shift = norm.ppf(1 - level / 2) if effect is None else _shift(power, level, sides)
    return ceil(unit * (shift / aim) ** 2 - 1e-9)


def by_size(
    unit: float,
    sizes: Sequence[int],
    *,
    effect: float,
    prevalence: float | None = None,
    power_wanted: float = 0.8,
    level: float = 0.05,
    sides: int = 2,
) -> pd.DataFrame:
    """What each number of respondents can say: one row per size.

    Columns: ``n``, ``se``, ``half_width`` (of the interval of probability 1 - level), ``power`` (to find ``effect``),
    ``detectable`` (effect found with ``power_wanted``), ``direct_equivalent`` (answers to a direct question that everybody
    answers truthfully which would have the same standard error; NaN without a ``prevalence``).

    Raises
    ------
    InputError : a size below 4.
    """
    rows = []
    for n in sizes:
        if n < 4:
            raise InputError(f"n = {n}: at least 4 respondents are needed, two in each arm.")
        se = sqrt(unit / n)
        direct = np.nan if prevalence is None or unit == 0 else prevalence * (1 - prevalence) * n / unit
        rows.append((n, se, norm.ppf(1 - level / 2) * se, power(effect, se, level=level, sides=sides),
                     detectable(se, power=power_wanted, level=level, sides=sides), direct))
    return pd.DataFrame(rows, columns=COLUMNS)


def _shift(wanted: float, level: float, sides: int) -> float:
    """The effect in standard errors that is found with this power."""
    if sides == 1:
        return float(norm.ppf(1 - level) + norm.ppf(wanted))
    if wanted <= level:
        return 0.0
    return float(brentq(lambda shift: power(shift, 1.0, level=level) - wanted, 0.0, 20.0))


def _sides(sides: int) -> int:
    if sides not in (1, 2):
        raise InputError(f"sides = {sides}: a test has 1 or 2.")
    return sides


def _check_power(wanted: float, level: float) -> None:
    if not 0 < wanted < 1 or not 0 < level < 1:
        raise InputError(f"power = {wanted:g}, level = {level:g}: both must be between 0 and 1.")
