"""A compiled function of many draws: chunk by chunk, several at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import Any

import numba
import numpy as np

CHUNK_NUMBERS = 1.25e6
"""Numbers that are worked on at once: 10 MB, few enough for a processor to have them at hand, and many to a call of Python."""


def in_chunks(compiled: Any, arrays: Sequence[np.ndarray], numbers: float) -> Iterator[tuple[np.ndarray, ...]]:
    """What a function of PyTensor computes from ``arrays``, (draw, ...) each, in order, for chunks of draws.

    ``numbers`` is about how many numbers one draw takes. As many chunks are computed at once as numba has threads (NUMBA_NUM_THREADS,
    which a batch sets for its processes), each by a copy of the function, as it has its values in a store of its own.
    """
    size = max(1, int(CHUNK_NUMBERS / numbers))
    chunks = [[array[start : start + size] for array in arrays] for start in range(0, len(arrays[0]), size)]
    functions = [compiled, *(compiled.copy() for _ in range(min(numba.get_num_threads(), len(chunks)) - 1))]
    with ThreadPoolExecutor(len(functions)) as pool:
        for some in batched(chunks, len(functions)):  # so that no results wait in memory but of these
            yield from map(tuple, pool.map(lambda function, chunk: function(*chunk), functions, some))
