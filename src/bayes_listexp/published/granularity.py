"""Which arm sizes could give a printed mean at all (GRIM; Brown & Heathers 2017).

The answers of a list experiment are whole numbers, so the mean of n of them is a multiple of 1/n, and a
small arm cannot have every printed mean. All arithmetic here is on integers. A tie counts for both
neighbours, which covers rounding half up, half down and half to even (as `rounding = "up_or_down"`, the
default of R's scrutiny).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

from bayes_listexp.published.printed import Printed

ARM_RANGE = 0.999  # probability that the range of arm sizes covers, when respondents are assigned by a fair coin
LARGEST_ARM = 5_000  # beyond it every mean with up to three decimals is possible


class Totals(NamedTuple):
    """Smallest and largest sum of n answers that is printed as the mean in question; none when lowest >
    highest.
    """

    lowest: np.ndarray
    highest: np.ndarray

    @property
    def possible(self) -> np.ndarray:
        """True where some sum exists."""
        return self.lowest <= self.highest


def totals(mean: Printed, sizes: np.ndarray) -> Totals:
    """The sums of whole-number answers that `sizes` respondents (array) need for the printed `mean`."""
    places = round(-np.log10(2 * mean.half_unit))
    digits = round(mean.value * 10**places)
    unit = 2 * 10**places
    sizes = np.asarray(sizes, dtype=np.int64)
    return Totals(-((-(2 * digits - 1) * sizes) // unit), ((2 * digits + 1) * sizes) // unit)


def group_sizes(N: int, share: Printed | None) -> tuple[int, int]:
    """Smallest and largest number of respondents in a group whose share of N is printed (None: all)."""
    if share is None:
        return N, N
    lowest = int(np.ceil(round(max(share.lower, 0) * N, 9)))
    highest = int(np.floor(round(min(share.upper, 1) * N, 9)))
    if lowest > highest:  # no whole number of N respondents is printed like this: weighted shares, or N is rounded
        return int(np.floor(share.value * N)), int(np.ceil(share.value * N))
    return lowest, highest


def arm_size_pairs(lowest: int, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """Control and treatment sizes of random halves of a group of `lowest` to `highest` respondents.

    Every pair inside the central 99.9 % of a fair coin's outcomes, and with both arms present.
    """
    pairs = []
    for size in range(max(lowest, 2), highest + 1):
        low, high = stats.binom.interval(ARM_RANGE, size, 0.5)
        control = np.arange(max(int(low), 1), min(int(high), size - 1) + 1)
        pairs.append((control, size - control))
    if not pairs:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])


def support_possible(
    support: Printed, control: Totals, treatment: Totals, sizes: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """True for the pairs of arm sizes where some sums give both printed means and the printed support
    exactly.
    """
    found = np.zeros(sizes[0].shape, dtype=bool)
    slack = 1e-12
    for up in range(int((treatment.highest - treatment.lowest).max(initial=-1)) + 1):
        sum_treatment = treatment.lowest + up
        for down in range(int((control.highest - control.lowest).max(initial=-1)) + 1):
            sum_control = control.lowest + down
            difference = sum_treatment / sizes[1] - sum_control / sizes[0]
            inside = (difference >= support.lower - slack) & (difference <= support.upper + slack)
            found |= inside & (sum_treatment <= treatment.highest) & (sum_control <= control.highest)
    return found
