"""Auxiliary information: what other sources say about the prevalence of a group, or about a control item.

A margin enters as one more likelihood term on an average probability (never on an average linear predictor): the mean of
P(trait) over the people it is about (Chou, Imai & Rosenfeld 2020, in Bayesian form), or the mean popularity of a control item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.columns import value_key
from bayes_listexp.errors import InputError


@dataclass(frozen=True)
class KnownPrevalence:
    """The prevalence of the trait in a group, from a registry, an election, or another survey.

    Attributes
    ----------
    group : levels of covariates that define the group, such as {"region": "Almaty"}; empty for everybody.
    yes, n : how many of how many had the trait (a binomial term), or
    share, se : the share (0 to 1) and its standard error (a normal term). Exactly one of the two forms.
    discount : weight of the evidence between 0 (none) and 1 (as if from this study's own population): the power prior of
        Ibrahim & Chen (2000).
    bias : standard deviation, on the logit scale, by which the source may be off; 0 for none.
    population : whom the share is about: the "sample", the population "frame" stored with the study, or a frame of its own.
    """

    group: Mapping[str, Any] = field(default_factory=dict)
    yes: float | None = None
    n: float | None = None
    share: float | None = None
    se: float | None = None
    discount: float = 1.0
    bias: float = 0.0
    population: str | pd.DataFrame = "sample"

    def __post_init__(self) -> None:
        _check(self, "KnownPrevalence")
        if isinstance(self.population, str) and self.population not in ("sample", "frame"):
            raise InputError(f"KnownPrevalence: population = {self.population!r}: say 'sample' or 'frame', or give a frame.")

    @property
    def people(self) -> str:
        """Whom the share is about, in words."""
        return self.population if isinstance(self.population, str) else "population given with the margin"


@dataclass(frozen=True)
class KnownItem:
    """The popularity of a control item in the population, from another survey; needs counts = "poisson_binomial".

    Attributes
    ----------
    item : which control item, 1 to J.
    yes, n, share, se, discount, bias : as in :class:`KnownPrevalence`.
    """

    item: int
    yes: float | None = None
    n: float | None = None
    share: float | None = None
    se: float | None = None
    discount: float = 1.0
    bias: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "KnownItem")


type Margin = KnownPrevalence | KnownItem


def people_of(margin: KnownPrevalence, frame: pd.DataFrame, mass: np.ndarray) -> np.ndarray:
    """The share of each row of ``frame`` in the margin's group, (row,), summing to one.

    Raises
    ------
    InputError : the group names a column or a level that the frame does not have.
    """
    inside = np.ones(len(frame), dtype=bool)
    for column, level in margin.group.items():
        if column not in frame.columns:
            raise InputError(f"KnownPrevalence: column '{column}' of the group is not in the {margin.people}; name it in "
                             f"`groups` when fitting. There are: {', '.join(map(str, frame.columns)) or 'none'}.")
        inside &= (frame[column].map(value_key) == value_key(level)).to_numpy()
    if not mass[inside].sum() > 0:
        raise InputError(f"KnownPrevalence: nobody of the {margin.people} is in the group {dict(margin.group)!r}.")
    return np.where(inside, mass, 0.0) / mass[inside].sum()


def evidence_words(margin: Mapping[str, Any]) -> str:
    """What the fields of a margin say, in words: "720 of 1,000, counted at 10 % of its weight"."""
    if margin["yes"] is not None:
        known = f"{margin['yes']:,.6g} of {margin['n']:,.6g}"
    else:
        known = f"{100 * margin['share']:.4g} % (standard error {100 * margin['se']:.3g} points)"
    more = [f"counted at {100 * margin['discount']:.3g} % of its weight"] if margin["discount"] != 1 else []
    more += [f"with a bias of the source of standard deviation {margin['bias']:g} on the logit scale"] if margin["bias"] else []
    return ", ".join([known, *more])


def _check(margin: Any, kind: str) -> None:
    """Refuse margins that are no share of people."""
    counts, normal = (margin.yes is not None, margin.n is not None), (margin.share is not None, margin.se is not None)
    if not (all(counts) and not any(normal) or all(normal) and not any(counts)):
        raise InputError(f"{kind}: give either yes and n, or share and se.")
    for name in ("yes", "n", "share", "se", "discount", "bias"):
        if (value := getattr(margin, name)) is not None and not isinstance(value, (int, float, np.number)):
            raise InputError(f"{kind}: {name} = {value!r} is not a number.")
    if not isinstance(group := getattr(margin, "group", {}), Mapping):
        raise InputError(f'{kind}: group = {group!r}: give levels by column, such as {{"region": "Almaty"}}.')
    if all(counts) and not (0 <= margin.yes <= margin.n and margin.n > 0 and np.isfinite(margin.n)):
        raise InputError(f"{kind}: yes = {margin.yes!r} of n = {margin.n!r}: yes must lie between 0 and n, and n be above 0.")
    if all(normal) and not (0 <= margin.share <= 1 and margin.se > 0 and np.isfinite(margin.se)):
        raise InputError(f"{kind}: share = {margin.share!r}, se = {margin.se!r}: a share lies between 0 and 1 (not in percent), "
                         "and its standard error is above 0.")
    if not 0 <= margin.discount <= 1:
        raise InputError(f"{kind}: discount = {margin.discount!r} must lie between 0 (ignore) and 1 (full weight).")
    if not (margin.bias >= 0 and np.isfinite(margin.bias)):
        raise InputError(f"{kind}: bias = {margin.bias!r} is a standard deviation on the logit scale, at least 0.")
