"""Careless answers and the design of the control arm's list: what a placebo item, or one for half of the arm, does to the bias."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.alternatives import Estimate
from bayes_listexp.planning.differences import check_split
from bayes_listexp.planning.scenario import Scenario, check_share

PADDED = {"conventional": 0.0, "placebo": 1.0, "mixed": 0.5}
"""Share of the control arm whose list is padded with an item that applies to nobody, by design."""


def careless_designs(
    scenario: Scenario, careless: float, *, n: int = 1000, how: str = "uniform", share: float = 0.5
) -> pd.DataFrame:
    """Bias, standard error and root mean squared error of the difference in means for each design of the control list.

    A share ``careless`` of respondents answers without reading: any number that their list allows ("uniform"), or the
    greatest ("top"). One row per design: conventional (J against J + 1 items), placebo (the control list is padded with an
    item that applies to nobody), mixed (half of the control arm has the padded list). Uniform careless answers make the bias
    e(1/2 - P), -eP and e(1/4 - P) (Riambau & Ostwald 2021), the greatest ones e(1 - P), -eP and e(1/2 - P).

    Raises
    ------
    InputError : an unknown ``how``, or a share outside 0 to 1.
    """
    rows = []
    for design in PADDED:
        estimate = careless_estimate(scenario, careless, design, how=how, share=share)
        rows.append((design, estimate.bias, estimate.se(n), estimate.rmse(n)))
    return pd.DataFrame(rows, columns=["design", "bias", "se", "rmse"])


def careless_estimate(scenario: Scenario, careless: float, design: str, *, how: str = "uniform", share: float = 0.5) -> Estimate:
    """The difference in means of one design under careless answers, from the distributions of the answers.

    Raises
    ------
    InputError : as :func:`careless_designs`, or an unknown design.
    """
    check_share(careless, "careless")
    check_split(share)
    if design not in PADDED or how not in LAPSES:
        raise InputError(f"design = '{design}', how = '{how}': there are {', '.join(PADDED)}, and {', '.join(LAPSES)}.")
    top = scenario.J + 1
    truthful = np.append(scenario.answers(False), 0.0)
    treated = (1 - careless) * scenario.answers(True) + careless * LAPSES[how](top, top)
    padded = PADDED[design]
    lapse = padded * LAPSES[how](top, top) + (1 - padded) * LAPSES[how](scenario.J, top)
    control = (1 - careless) * truthful + careless * lapse
    (m1, v1), (m0, v0) = (_moments(pmf) for pmf in (treated, control))
    if 0 < padded < 1:  # two halves of fixed size: what differs between their means does not add to the variance
        v0 -= padded * (1 - padded) * careless**2 * (_moments(LAPSES[how](top, top))[0] - _moments(LAPSES[how](scenario.J, top))[0]) ** 2
    return Estimate(design, v1 / share + v0 / (1 - share), m1 - m0 - scenario.prevalence)


def best_design(scenario: Scenario, careless: float, prevalences: np.ndarray, *, how: str = "uniform") -> str:
    """The design with the least mean absolute bias over draws of the prevalence, what is believed of it before the study."""
    mean = {design: float(np.mean([abs(careless_estimate(scenario.with_prevalence(float(p)), careless, design, how=how).bias)
                                   for p in prevalences])) for design in PADDED}  # fmt: skip
    return min(mean, key=lambda design: mean[design])


def _uniform(most: int, top: int) -> np.ndarray:
    return (np.arange(top + 1) <= most) / (most + 1)


def _greatest(most: int, top: int) -> np.ndarray:
    return (np.arange(top + 1) == most).astype(float)


LAPSES: dict[str, Callable[[int, int], np.ndarray]] = {"uniform": _uniform, "top": _greatest}


def _moments(pmf: np.ndarray) -> tuple[float, float]:
    k = np.arange(len(pmf))
    mean = float(pmf @ k)
    return mean, float(pmf @ (k - mean) ** 2)
