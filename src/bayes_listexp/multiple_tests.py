"""Holm's correction for several tests at once."""

from __future__ import annotations

import numpy as np


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted by Holm's step-down method, (test,): below a level, the chance of any false alarm is at most that level.

    Holm (1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6: 65-70). NaN,
    a test that could not be made, stays NaN and does not count.
    """
    out = np.full(len(p), np.nan)
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    stepped = np.maximum.accumulate(p[order] * (len(made) - np.arange(len(made)))) if len(made) else np.empty(0)
    out[order] = np.minimum(stepped, 1.0)
    return out
