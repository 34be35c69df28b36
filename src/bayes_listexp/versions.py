"""List versions: respondents of one study who were shown different control lists, say in different waves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.columns import read_answers, value_key
from bayes_listexp.errors import InputError

MOST_ITEMS = 1000
"""No list is longer; a larger number is a mistake, and would need tables of that size."""


def read_versions(J: Any, version: str | None, column: pd.Series | None) -> tuple[int, dict[str, int]]:
    """The number of control items of the longest list, and that of each version in the order of the ``column``'s levels.

    With one list, or one version, there are no versions: the mapping is empty. ``column`` is the version of each respondent
    as text.

    Raises
    ------
    InputError : numbers that are none, a version without its number, or versions that names of parameters cannot tell apart.
    """
    if version is None or column is None:
        if isinstance(J, Mapping):
            raise InputError(f"J = {dict(J)!r}: a number of control items for each list version needs the column that says which "
                             "version a respondent was shown: version = '...'.")
        return _number(J, "J"), {}
    labels = [label for label in column.cat.categories if label in set(column.dropna())]
    if not labels:
        raise InputError(f"column '{version}': nobody has a list version.")
    if not isinstance(J, Mapping):
        found = dict.fromkeys(labels, _number(J, "J"))
    else:
        given = {_label(key): _number(value, f"J of version '{key}'") for key, value in J.items()}
        for these, those, what in ((labels, given, "has no J"), (given, labels, "is nobody's")):
            lacking = [label for label in these if label not in those]
            if lacking:
                raise InputError(f"J = {dict(J)!r}: version '{lacking[0]}' {what}; the versions in column '{version}' are: "
                                 f"{', '.join(labels)}. Give each its number of control items.")
        found = {label: given[label] for label in labels}
    tags = [tag(label) for label in labels]
    twice = [label for label, own in zip(labels, tags, strict=True) if tags.count(own) > 1]
    if twice:
        raise InputError(f"column '{version}': the versions {' and '.join(repr(label) for label in twice)} differ in signs only, which "
                         "names of parameters do not have. Rename one of them.")
    return max(found.values()), found if len(found) > 1 else {}


def tag(label: str) -> str:
    """A version as names of parameters have it: letters and digits, and - for everything else.

    So no two versions share the beginning of a name, as the rest of a name is set off by "_".
    """
    return re.sub(r"[\W_]+", "-", label)


def read_list_answers(
    column: pd.Series, name: str, treated: pd.Series, J: int, padded: pd.Series, *, versions: pd.Series | None, lists: Mapping[str, int]
) -> pd.Series:
    """Answers to the list (missing as NaN), each checked against the J of the version that the respondent was shown.

    Raises
    ------
    InputError : an answer that is none to its list, naming the version and the rows.
    """
    if versions is None or not lists:
        return read_answers(column, name, treated, J, padded)
    for label, own in lists.items():
        try:
            numbers = read_answers(column, name, treated.where(versions == label), own, padded)
        except InputError as error:
            raise InputError(f"list version '{label}': {error}") from error
    return numbers


def check_versions(table: pd.DataFrame, version: str | None, lists: Mapping[str, int], arm: str | None) -> None:
    """Refuse a version without answers in one of its arms: its control counts could not be told from the trait.

    Raises
    ------
    InputError : naming the version and the arm; or there is no control arm at all.
    """
    if lists and arm is None:
        raise InputError(f"version = '{version}': each list version needs a control arm of its own. Make one study of each version.")
    listed = table[table["_answer"] >= 0]
    for label in lists:
        for treated, name in ((False, "control"), (True, "treatment")):
            if listed.loc[(listed[version] == label) & (listed["_treated"] == treated), "_n"].sum() == 0:
                raise InputError(
                    f"column '{version}': no respondent with an answer to list version '{label}' is in the {name} arm, and lists are "
                    "compared within versions only. Check the coding of versions and arms, or leave this version out."
                )


def lists_of(study: Any) -> list[tuple[str, int, pd.DataFrame]]:
    """Each list with its version ("" with a single one), its J, and the rows of a study with an answer to it."""
    listed = study.listed
    return [(label, J, listed[listed[study.version] == label]) for label, J in study.lists.items()] or [("", study.J, listed)]


def refuse_mixed(study: Any, by: list[str], what: str) -> None:
    """Refuse to compare answers to different lists: every group of ``by`` must have been shown one version.

    Raises
    ------
    InputError : naming the version's column, which keeps them apart.
    """
    if not study.lists:
        return
    table, by = study.listed, [name for name in by if name in study.table.columns]
    shown = table.groupby(by, observed=True)[study.version].nunique().max() if by else table[study.version].nunique()
    if shown > 1:
        raise InputError(f"{what}: the control lists differ between versions, and answers to different lists cannot be compared. "
                         f"Take by = '{study.version}', or make one study of each version.")


def _number(J: Any, what: str) -> int:
    if isinstance(J, bool) or not isinstance(J, (int, np.integer)) or not 1 <= J <= MOST_ITEMS:
        raise InputError(f"{what} = {J!r}: the number of control items must be a whole number of at least 1 and at most {MOST_ITEMS}. "
                         "Count the items of the control list in the questionnaire.")
    return int(J)


def _label(key: Any) -> str:
    return key if isinstance(key, str) else value_key(key)
