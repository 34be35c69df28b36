"""The part of a report that readers turn themselves: how probable it is that a share, or its change, lies beyond a threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bayes_listexp.errors import InputError
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.tables import interval, percent, points

HIGH = 100
"""Thresholds are whole per cent up to this one; of shares from 0, of changes from -100."""

QUANTILES = (0.5, 0.025, 0.975)


@dataclass(frozen=True)
class Level:
    """One group: its name, median and 95 % interval as they are printed, and how many draws lie in each whole per cent.

    ``draws`` has one count for every whole per cent of the scale (see :func:`by_percent`).
    """

    label: str
    median: str
    interval: str
    draws: tuple[int, ...]


@dataclass(frozen=True)
class Explorer:
    """Groups of which a reader chooses by ``choices`` (name of the choice, its options), with the threshold shown at first.

    ``views`` has the levels of every combination of options, in the order of ``choices``. ``low`` is where the scale begins, in
    per cent: 0 for shares, -100 for changes, whose thresholds are falls where negative and rises where positive.
    """

    name: str
    caption: str
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    views: Mapping[tuple[str, ...], tuple[Level, ...]]
    quantity: str = "Support"
    threshold: int = 50
    low: int = 0
    kind: ClassVar[str] = "explorer"

    @property
    def first(self) -> tuple[Level, ...]:
        """The levels shown before anything is chosen, and where scripts do not run."""
        return self.views[tuple(options[0] for _, options in self.choices)]

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last threshold: all shares, or as far as any change goes, in whole tens and at least 20 points."""
        if self.low == 0:
            return 0, HIGH
        drawn = [np.flatnonzero(level.draws) + self.low for levels in self.views.values() for level in levels]
        furthest = max((max(-int(part[0]), int(part[-1]) + 1) for part in drawn), default=0)
        most = max(20, 10 * ceil(furthest / 10))
        return -most, most

    @property
    def heading(self) -> str:
        """What the last column is the probability of, before the threshold is moved; the page's script says the same."""
        if self.low == 0:
            return f"P(above {self.threshold}\N{NO-BREAK SPACE}%)"
        size = f"of {-self.threshold} points or more" if self.threshold else "at all"
        return f"P(fall {size})"

    def chance(self, level: Level) -> str:
        """The probability of the first threshold, in words."""
        return probability_words(share_beyond(level, self.threshold, low=self.low))

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script reads: each view under the positions of its options, say "0,1"."""
        places = [{option: i for i, option in enumerate(options)} for _, options in self.choices]
        views = {
            ",".join(str(place[option]) for place, option in zip(places, chosen, strict=True)): [
                [level.label, level.median, level.interval, *_packed(level.draws, self.low)] for level in levels
            ]
            for chosen, levels in self.views.items()
        }
        return {"quantity": self.quantity, "ends": self.ends, "signed": self.low < 0, "views": views}


def by_percent(values: NDArray[np.floating], *, low: int = 0) -> tuple[int, ...]:
    """How many of the draws (any shape, low / 100 to 1) lie above ``low`` and up to ``low`` + 1 %, above that and up to the next...

    The counts from the k-th on are the draws above ``low`` + k %, exactly; those at ``low`` itself are in the first count.

    Raises
    ------
    InputError : a draw lies outside the scale.
    """
    flat = np.ravel(values)
    if not ((flat >= low / HIGH) & (flat <= 1)).all():
        raise InputError(f"a threshold needs draws between {low // HIGH} and 1; drop the groups that nobody is in.")
    edges = np.arange(low + 1, HIGH) / HIGH
    return tuple(int(n) for n in np.bincount(np.searchsorted(edges, flat, side="left"), minlength=HIGH - low))


def share_levels(draws: Mapping[str, NDArray[np.floating]]) -> tuple[Level, ...]:
    """Levels of shares from the draws (any shape, 0 to 1) under each label, from the largest median to the smallest."""
    middles = {label: np.quantile(values, QUANTILES) for label, values in draws.items()}
    return tuple(
        Level(label, percent(median), interval(low, high), by_percent(np.clip(draws[label], 0, 1)))
        for label, (median, low, high) in sorted(middles.items(), key=lambda one: -one[1][0])
    )


def change_levels(draws: Mapping[str, NDArray[np.floating]]) -> tuple[Level, ...]:
    """Levels of changes from the draws (any shape, -1 to 1) under each label, from the largest fall to the largest rise."""
    middles = {label: np.quantile(values, QUANTILES) for label, values in draws.items()}
    return tuple(
        Level(label, points(median), f"{points(low)} to {points(high)} points", by_percent(np.clip(draws[label], -1, 1), low=-HIGH))
        for label, (median, low, high) in sorted(middles.items(), key=lambda one: one[1][0])
    )


def share_beyond(level: Level, threshold: int, *, low: int = 0) -> float:
    """The share of draws above a whole per cent; of changes that fell (``threshold`` at most 0) those at it or below."""
    place = threshold - low
    falls = low < 0 and threshold <= 0
    return sum(level.draws[:place] if falls else level.draws[place:]) / sum(level.draws)


def _packed(draws: tuple[int, ...], low: int) -> tuple[int, list[int]]:
    """The per cent at which the first draws begin, and the counts from there to the last one."""
    there = np.flatnonzero(draws)
    return int(low + there[0]), list(draws[there[0] : there[-1] + 1])
