"""Answers to two lists side by side: the comparisons that a study makes, by list version, sensitive item and group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.second_list import SecondList
from bayes_listexp.versions import lists_of


class ListArms(NamedTuple):
    """How many gave each answer to the same control items, without and with one sensitive item.

    ``of`` says whose answers these are, by column ("list", the list version, the item, the groups), without those that a study
    has one of; ``control`` (J + 1,) and ``treatment`` (J + 2,) count respondents by answer, unweighted; those who were shown a
    placebo list are in neither.
    """

    of: Mapping[str, str]
    J: int
    control: np.ndarray
    treatment: np.ndarray

    @property
    def label(self) -> str:
        """Whose answers these are in words; empty where there is one comparison."""
        return ", ".join(f"{column} {level}" for column, level in self.of.items())


def arms_by_list(study: ListExperiment, by: str | Sequence[str] = ()) -> list[ListArms]:
    """The comparisons of a study, by list version, by item, and by the columns ``by`` (with each other).

    With several sensitive items each treatment list is compared with the one control arm. Second lists (:class:`SecondList`) come
    last. A group with nobody in one of its arms is no comparison and is left out; so are those who lack a level, unless the study
    takes missing for a level.

    Raises
    ------
    InputError : an unknown or repeated column.
    """
    by = [by] if isinstance(by, str) else list(by)
    twice = [name for name in by if by.count(name) > 1]
    if twice:
        raise InputError(f"by: column '{twice[0]}' is named twice.")
    table = study.complete(by)[0]
    seconds = [instrument for instrument in study.instruments if isinstance(instrument, SecondList)]
    lists = [("1" if seconds else "", label, J, rows) for label, J, rows in lists_of(study)]
    found = [arms for listed in lists for arms in _of_one_list(study, table, by, *listed)]
    for second in seconds:
        rows = table[table[f"_{second.name}"].notna()]
        coded = rows.assign(_answer=rows[f"_{second.name}"].astype(int), _treated=rows[f"_{second.name}_arm"] == 1, _placebo=False)
        found += [_counted({"list": second.name, **of}, second.J, group) for of, group in _groups(coded, by)]
    return [arms for arms in found if arms.control.sum() and arms.treatment.sum()]


def _of_one_list(
    study: ListExperiment, table: pd.DataFrame, by: list[str], first: str, version: str, J: int, rows: pd.DataFrame
) -> Iterator[ListArms]:
    rows = table.loc[rows.index.intersection(table.index)]
    by = [name for name in by if name not in (study.version, study.item)]
    of = ({"list": first} if first else {}) | ({str(study.version): version} if version else {})
    for item in study.items or ("",):
        shown = rows[~rows["_treated"] | (rows[study.item] == item)] if item else rows
        for group, people in _groups(shown, by):
            yield _counted({**of, **({"item": item} if item else {}), **group}, J, people)


def _groups(table: pd.DataFrame, by: list[str]) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    if not by:
        yield {}, table
        return
    for key, rows in table.groupby(by, observed=True, sort=True):
        yield dict(zip(by, map(str, key if isinstance(key, tuple) else (key,)), strict=True)), rows


def _counted(of: Mapping[str, str], J: int, table: pd.DataFrame) -> ListArms:
    counts = []
    for treated in (False, True):
        rows = table[(table["_treated"] == treated) & ~table["_placebo"]]
        counts.append(np.bincount(rows["_answer"], weights=rows["_n"], minlength=J + 1 + treated).astype("int64"))
    return ListArms(of, J, *counts)
