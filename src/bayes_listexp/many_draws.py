"""A compiled function of many draws, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

CHUNK_NUMBERS = 1.25e6
"""Numbers that are worked on at once: 10 MB, few enough for a processor to have them at hand, and many to a call of Python."""


def in_chunks(compiled: Any, arrays: Sequence[np.ndarray], numbers: float) -> Iterator[tuple[np.ndarray, ...]]:
    """What a function of PyTensor computes from ``arrays``, (draw, ...) each, in order, for chunks of draws.

    ``numbers`` is about how many numbers one draw takes. One chunk after another: copies of a function, which threads could call at
    once, still share what is compiled within its operations, and would write into each other's numbers.
    """
    size = max(1, int(CHUNK_NUMBERS / numbers))
    for start in range(0, len(arrays[0]), size):
        yield tuple(compiled(*(array[start : start + size] for array in arrays)))
