"""Whom an estimate is about, and whose list's control counts such people are to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.specification import Blueprint


class Target(NamedTuple):
    """Whom an estimate is about: rows of covariates, how many people each stands for, and the name of it.

    ``mass`` is (row,), or (sample, row) where the population is estimated: then each draw of the posterior has its own.
    """

    frame: pd.DataFrame
    mass: np.ndarray
    name: str


def by_list(plan: Blueprint, target: Target) -> list[tuple[Blueprint, Target]]:
    """The people by list, each with the blueprint of its list: what instruments would observe may depend on the control counts.

    People have the list of their version. Those without one, because the target lacks the column or nobody was asked in their wave,
    have each list for as large a part as respondents were shown it.
    """
    if not plan.lists:
        return [(plan, target)]
    versions = pd.Series("", index=target.frame.index)
    versions = target.frame[plan.version].astype(str) if plan.version in target.frame.columns else versions
    elsewhere = ~versions.isin([one.version for one in plan.lists])
    out = []
    for one, part in zip(plan.lists, plan.parts, strict=True):
        rows = np.flatnonzero((versions == one.version) | elsewhere)
        share = np.where(elsewhere.to_numpy()[rows], part.cells.n.sum() / plan.cells.n.sum(), 1.0)
        own = Target(target.frame.iloc[rows].reset_index(drop=True), target.mass[..., rows] * share, target.name)
        out += [(part, own)] if len(rows) else []
    return out


def together(targets: Sequence[Target]) -> Target:
    """The people of several targets as one."""
    frame = pd.concat([target.frame for target in targets], ignore_index=True)
    return Target(frame, np.concatenate([target.mass for target in targets], axis=-1), targets[0].name)
