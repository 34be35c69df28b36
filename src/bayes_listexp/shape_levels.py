"""Whose control counts have a shape of their own: waves, and the levels of the group terms of the counts.

Control items do not move together: where one becomes popular and another does not, counts of the same mean vary more or less, and
with one shape for all the difference would be booked to the trait. Departures from the common shape are shrunken to none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.formulas import GroupMatrix
from bayes_listexp.specification import Blueprint
from bayes_listexp.syntax import Factor, term_name


class ShapeFactor(NamedTuple):
    """A factor whose levels differ in the shape of the control counts: ``levels``, and which are ``sampled`` (level,)."""

    name: str
    levels: tuple[str, ...]
    sampled: np.ndarray

    @property
    def parameter(self) -> str:
        """What the departures of its levels are called."""
        return f"control_{self.name}_shape"


def shape_factors(plan: Blueprint) -> tuple[ShapeFactor, ...]:
    """The factors by which the shape of a list's control counts differs: those of group terms of one factor, and the wave.

    Interactions have a shape of their own under dependence "saturated" only. Families other than "softmax" have no shape, and
    flat priors would leave departures without a limit. Of several lists each has its own: ask the plan's parts.
    """
    if plan.lists or plan.family.parameter != "control_shape" or plan.J == 1 or plan.specification.priors == "flat":
        return ()
    saturated = plan.specification.dependence == "saturated"
    terms = [term for term in plan.designs["control"].groups if saturated or len(term.factors) == 1]
    out = {term.name: ShapeFactor(term.name, term.levels, term.sampled) for term in terms}
    if plan.wave is not None:
        waves = plan.cells.frame[plan.wave]
        known = tuple(waves.cat.categories)
        sampled = np.isin(known, waves[plan.cells.n > 0])
        if sampled.sum() > 1:
            out.setdefault(_name_of(plan.wave), ShapeFactor(_name_of(plan.wave), known, sampled))
    return tuple(out.values())


def wave_of(plan: Blueprint, frame: pd.DataFrame) -> np.ndarray | None:
    """Position of each row's wave, (row,), where the shape differs by wave and no group term says which it is."""
    own = [factor for factor in shape_factors(plan) if factor.name not in {term.name for term in plan.designs["control"].groups}]
    if not own:
        return None
    return pd.Index(own[0].levels).get_indexer(frame[plan.wave].astype(str)).astype("int64")


def levels_at(plan: Blueprint, groups: tuple[GroupMatrix, ...], wave: np.ndarray | None) -> dict[str, np.ndarray]:
    """The position of each row's level, (row,), by the name of the factor, from the group terms and :func:`wave_of`."""
    by_name = {group.name: group.level for group in groups}
    return by_name if wave is None else {_name_of(plan.wave): wave, **by_name}


def _name_of(wave: str | None) -> str:
    return term_name([Factor(str(wave))])
