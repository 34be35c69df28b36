"""Variances of list answers as functions of their means: what a table without standard deviations still says.

The functions use operators only, so that the same line serves numbers, arrays and PyTensor variables.
"""

from typing import Any

import numpy as np

# Sample variance of control-arm counts over the binomial variance at the same mean, in 13 public lists (of
# Kuklinski, Cobb & Gilens 1997, the 1994 Multi-Investigator Study, Aronow et al. 2015, Eady 2017 and others).
VARIANCE_RATIOS = (1.05, 0.80, 0.77, 0.93, 0.87, 0.73, 1.03, 1.26, 1.41, 0.91, 0.74, 0.51, 0.85)
LOG_RATIO_MEAN = float(np.mean(np.log(VARIANCE_RATIOS)))
LOG_RATIO_SD = float(np.std(np.log(VARIANCE_RATIOS), ddof=1))
USUAL_RATIO = float(np.exp(LOG_RATIO_MEAN))


def control_variance(mean: Any, J: Any, ratio: Any) -> Any:
    """Variance of control answers: binomial with J items and this mean, times the variance ratio."""
    return ratio * mean * (1 - mean / J)


def treatment_variance(control: Any, prevalence: Any, correlation: Any) -> Any:
    """Variance of count + trait, for the variance of the count and the correlation of count and trait."""
    trait = prevalence * (1 - prevalence)
    return control + trait + 2 * correlation * (control * trait) ** 0.5


def usual_difference_se(
    mean_control: float, difference: float, J: int, sizes: tuple[float, float], ratio: float | None = None
) -> float:
    """Standard error of a difference in means whose table prints no variances (0-1 units).

    Control answers are as dispersed as in the usual list (the geometric mean of `VARIANCE_RATIOS`; for J =
    1 exactly binomial), trait and count are uncorrelated. `sizes` are control and treatment respondents.
    The mean and the difference are moved inside their possible range first, so that the variances exist.
    """
    usual = 1.0 if J == 1 else USUAL_RATIO if ratio is None else ratio
    control = control_variance(float(np.clip(mean_control, 0.05, J - 0.05)), J, usual)
    treatment = treatment_variance(control, float(np.clip(difference, 0.0, 1.0)), 0.0)
    return float(np.sqrt(control / sizes[0] + treatment / sizes[1]))
