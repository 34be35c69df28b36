"""The part of a report that readers turn themselves: how probable it is that support exceeds a threshold, group by group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayes_listexp.errors import InputError

STEPS = 100
"""The threshold moves over the shares 0, 1/100, ..., 1."""


@dataclass(frozen=True)
class Level:
    """One group: its name, median and 95 % interval as they are printed, and how many draws lie in each whole per cent.

    ``draws`` has `STEPS` counts (see :func:`by_percent`).
    """

    label: str
    median: str
    interval: str
    draws: tuple[int, ...]


@dataclass(frozen=True)
class Explorer:
    """Groups of which a reader chooses by ``choices`` (name of the choice, its options), with the threshold shown at first (0 to 100).

    ``views`` has the levels of every combination of options, in the order of ``choices``.
    """

    name: str
    caption: str
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    views: Mapping[tuple[str, ...], tuple[Level, ...]]
    quantity: str = "Support"
    threshold: int = 50
    kind: ClassVar[str] = "explorer"

    @property
    def first(self) -> tuple[Level, ...]:
        """The levels shown before anything is chosen, and where scripts do not run."""
        return self.views[tuple(options[0] for _, options in self.choices)]

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads: each view under the positions of its options, say "0,1"."""
        places = [{option: i for i, option in enumerate(options)} for _, options in self.choices]
        views = {
            ",".join(str(place[option]) for place, option in zip(places, chosen, strict=True)): [
                [level.label, level.median, level.interval, *_packed(level.draws)] for level in levels
            ]
            for chosen, levels in self.views.items()
        }
        return {"quantity": self.quantity, "views": views}


def by_percent(values: NDArray[np.floating]) -> tuple[int, ...]:
    """How many of the draws (any shape, 0 to 1) lie above 0 and up to 1 %, above 1 and up to 2 %, and so on: `STEPS` counts.

    The counts from the k-th on are the draws above k %, exactly; those at 0 itself are in the first count.

    Raises
    ------
    InputError : a draw is no share between 0 and 1.
    """
    flat = np.ravel(values)
    if not ((flat >= 0) & (flat <= 1)).all():
        raise InputError("a threshold needs draws between 0 and 1; drop the groups that nobody is in.")
    edges = np.arange(1, STEPS) / STEPS
    return tuple(int(n) for n in np.bincount(np.searchsorted(edges, flat, side="left"), minlength=STEPS))


def share_above(level: Level, threshold: int) -> float:
    """The share of draws above a whole per cent (0 to 100)."""
    return sum(level.draws[threshold:]) / sum(level.draws)


def _packed(draws: tuple[int, ...]) -> tuple[int, list[int]]:
    """Where the first draw lies, and the counts from there to the last one."""
    there = np.flatnonzero(draws)
    return int(there[0]), list(draws[there[0] : there[-1] + 1])
