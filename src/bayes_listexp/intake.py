"""The columns of a data frame in their roles, checked: arms and items, placebo lists, instruments, covariates, provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from bayes_listexp.binning import Binned
from bayes_listexp.columns import check_names, check_values, read_arms, read_flags, read_items, rows_where, shown_values
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Instrument
from bayes_listexp.survey_design import CLUSTER, PERSON, REPLICATE, STRATUM, DesignColumns
from bayes_listexp.tabulation import Tabulation, stream_of, tabulate

RESERVED = ("_answer", "_treated", "_placebo", "_n", "_weight", STRATUM, CLUSTER, PERSON)
ITEM = "item"
TAKEN_NAMES = ("trait", "control", "lapse", "margin", "person")


class Parts(NamedTuple):
    """A data frame and the names of its columns by what they are, with the instruments that read some of them."""

    frame: pd.DataFrame
    answer: str
    arm: str | None
    arms: tuple[Any, Any] | None
    placebo: str | None
    instruments: tuple[Instrument, ...]
    wave: str | None
    weights: str | None
    covariates: list[str]
    design: DesignColumns = DesignColumns()
    ids: str | None = None
    version: str | None = None


def is_reserved(name: object) -> bool:
    """Whether a column of a study's table has this name by what it is, so that no column of the data may have it."""
    return name in RESERVED or str(name).startswith(REPLICATE)


def read_lists(parts: Parts) -> tuple[pd.Series, pd.Series | None]:
    """Who was shown the sensitive item (nullable boolean), and with several items, which."""
    if parts.arm is None:
        return pd.Series(True, index=parts.frame.index, dtype="boolean"), None
    column = parts.frame[parts.arm]
    if isinstance(parts.arms, (list, tuple)) and len(parts.arms) == 2 and isinstance(parts.arms[1], (list, tuple)):
        if parts.version is not None:
            raise InputError(f"version = '{parts.version}': list versions and several sensitive items cannot be in one study. Make one "
                             "study of each item.")
        if ITEM in parts.covariates:
            raise InputError(f"column '{ITEM}': with several sensitive items this name is theirs. Rename the column.")
        return read_items(column, parts.arm, parts.arms[0], parts.arms[1])
    return read_arms(column, parts.arm, parts.arms), None


def read_placebo(parts: Parts, treated: pd.Series) -> pd.Series:
    """Who was shown a placebo list; only in the control arm."""
    if parts.placebo is None:
        return pd.Series(False, index=parts.frame.index)
    padded = read_flags(parts.frame[parts.placebo], parts.placebo)
    both = padded & treated.fillna(False).astype(bool)
    if both.any():
        raise InputError(
            f"column '{parts.placebo}', {rows_where(both)}: a respondent of the treatment arm was not shown a placebo list. "
            "Mark the placebo list in the control arm only."
        )
    return padded


def observe(
    parts: Parts, treated: pd.Series, answers: pd.Series, counts: pd.Series
) -> tuple[tuple[Instrument, ...], pd.DataFrame]:
    """The instruments bound to the data, and their coded columns side by side."""
    names = [instrument.name for instrument in parts.instruments]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"instruments: two are called '{twice[0]}'. Give each a name of its own, as in name = '{twice[0]}_2'.")
    for name in names:
        if not name.isidentifier() or name.split("_")[0] in TAKEN_NAMES:
            raise InputError(
                f"instruments: the name '{name}' must be a word of letters, digits and '_' that does not start with "
                f"{', '.join(TAKEN_NAMES)}, whose parameters it could not be told from. Choose another."
            )
    frame = parts.frame.assign(_answer=answers, _n=counts) if parts.instruments else parts.frame
    read = [instrument.read(frame, treated) for instrument in parts.instruments]
    for instrument, columns in read:
        if not columns.notna().any(axis=None):
            raise InputError(
                f"instrument '{instrument.name}': nobody was observed; columns {', '.join(instrument.columns)} hold nothing "
                "but missing values."
            )
    observed = pd.concat([columns for _, columns in read], axis=1) if read else pd.DataFrame(index=parts.frame.index)
    clash = [name for name in observed.columns if name in parts.covariates or is_reserved(name)]
    if clash:
        raise InputError(f"column '{clash[0]}': this name is taken by an instrument. Rename the column.")
    return tuple(instrument for instrument, _ in read), observed


def check_arms(table: pd.DataFrame, parts: Parts, instruments: Sequence[Instrument]) -> None:
    """Refuse an arm without answers, unless the control items are known in another way.

    Raises
    ------
    InputError : naming the arm.
    """
    listed = table[table["_answer"] >= 0]
    if listed["_n"].sum() == 0 and not instruments:
        raise InputError(f"column '{parts.answer}': none of the {len(parts.frame):,} rows has an answer to the list and an arm; "
                         f"{int(parts.frame[parts.answer].isna().sum()):,} answers are missing. Check the names of the columns.")
    informed = any(getattr(instrument, "replaces_control", False) for instrument in instruments) or parts.arm is None
    for arm, name in ((False, "control"), (True, "treatment")):
        if listed.loc[listed["_treated"] == arm, "_n"].sum() == 0 and not (informed and not arm):
            here = "" if parts.arm is None else f", found {shown_values(parts.frame[parts.arm].dropna())}"
            raise InputError(
                f"column '{parts.arm if parts.arm is not None else parts.answer}': no respondent with an answer is in the "
                f"{name} arm (of {listed['_n'].sum():,} with an answer{here}), so the two lists cannot be compared. Check the "
                "coding of the arms or supply both arms."
            )


def respondents_of(
    data: Any,
    roles: Mapping[str, str | None],
    covariates: Sequence[str] | None,
    instruments: Sequence[Instrument],
    keys: Sequence[str],
) -> tuple[pd.DataFrame, pd.Series, Mapping[str, Any]]:
    """A row for each respondent of a pandas frame, or for each kind of respondent of data that are tabulated first; how many
    each row stands for; and what is known of tabulated data. ``keys`` are columns beside those with a role that are read.

    Raises
    ------
    InputError : a column that there is not, or ids of data that are tabulated; and as :func:`bayes_listexp.tabulate`.
    """
    if isinstance(data, Binned) and isinstance(data.source, pd.DataFrame):
        frame, count, _ = respondents_of(data.as_frame(), roles, covariates, instruments, keys)
        return frame, count, data.facts
    if isinstance(data, pd.DataFrame):
        return data, pd.Series(1, index=data.index, dtype="int64"), {}
    replicates = tuple(name for role, name in roles.items() if role.startswith("replicate weight") and name is not None)
    if roles.get("ids") is not None:
        raise InputError(f"column '{roles['ids']}' (ids): persons are followed one by one, which counts of respondents cannot do. Give the "
                         "data as a pandas frame, with a row per respondent in memory, or leave out `ids`.")
    if not isinstance(data, Tabulation):
        columns = pd.Index(list(stream_of(data).dtypes))
        _check_names(columns, roles, covariates, instruments)
        used = [name for role, name in roles.items() if name not in (None, roles["weights"], *replicates)]
        used += [*keys, *covariate_names(pd.DataFrame(columns=columns), roles, covariates)]
        used += [name for instrument in instruments for name in instrument.columns]
        data = tabulate(data, [str(name) for name in used], weights=roles["weights"], replicate_weights=replicates)
    if (data.weights, data.replicate_weights) != (roles["weights"], replicates):
        raise InputError(f"weights = {roles['weights']!r}: the data were tabulated with weights = {data.weights!r} and replicate weights "
                         f"{list(data.replicate_weights)}. Name the same columns in both places.")
    return *data.respondents(), data.source


def check_columns(
    frame: pd.DataFrame,
    roles: Mapping[str, str | None],
    covariates: Sequence[str] | None,
    instruments: Sequence[Instrument],
) -> None:
    """Refuse a frame without the named columns, with repeated or reserved ones, or without rows.

    Raises
    ------
    InputError : naming the column and its role.
    """
    check_names(frame)
    if len(frame) == 0:
        raise InputError("the data have no rows.")
    _refuse_double_roles(roles)
    used = _check_names(frame.columns, roles, covariates, instruments)
    for name in dict.fromkeys([*used, *covariate_names(frame, roles, covariates)]):
        check_values(frame[name], name)


def _refuse_double_roles(roles: Mapping[str, str | None]) -> None:
    """Refuse a column that is named as two things of which each needs a column of its own."""
    own = ("answer", "arm", "placebo", "weights", "n")
    for role in own:
        others = [other for other, name in roles.items() if other != role and name is not None and name == roles.get(role)]
        if others:
            raise InputError(f"column '{roles[role]}' is named as {role} and as {others[0]}. Name a column for each.")


def _check_names(
    columns: pd.Index, roles: Mapping[str, str | None], covariates: Sequence[str] | None, instruments: Sequence[Instrument]
) -> list[str]:
    """The names of columns that are spoken of; every one must be there."""
    if isinstance(covariates, str):
        raise InputError(f"covariates = {covariates!r}: give a list of names, such as [{covariates!r}].")
    wanted = [(role, name) for role, name in roles.items() if name is not None]
    wanted += [("covariates", name) for name in covariates or ()]
    wanted += [(f"instrument '{instrument.name}'", name) for instrument in instruments for name in instrument.columns]
    for role, name in wanted:
        if not isinstance(name, str):
            raise InputError(f"{role}: {name!r} is no name of a column; names are texts. Name the column that is meant.")
        if name not in columns:
            raise InputError(
                f"column '{name}' ({role}) is not in the data; the columns are: {', '.join(map(str, columns))}."
            )
    clash = [name for name in columns if is_reserved(name)]
    if clash:
        raise InputError(f"column '{clash[0]}': this name is reserved. Rename the column.")
    return [name for _, name in wanted]


def covariate_names(
    frame: pd.DataFrame, roles: Mapping[str, str | None], covariates: Sequence[str] | None
) -> list[str]:
    """The covariates: those named, or every column that has no other role (strata and clusters may be covariates as well); the
    wave and the list version are always among them.
    """
    shared = ("wave", "version", "strata", "clusters")
    taken = {name for role, name in roles.items() if role not in shared and name is not None}
    names = [str(c) for c in frame.columns if c not in taken] if covariates is None else list(covariates)
    always = [name for name in dict.fromkeys((roles["wave"], roles["version"])) if name is not None and name not in names]
    return [*names, *always]


def source_of(frame: pd.DataFrame, counts: pd.Series, parts: Parts) -> dict[str, Any]:
    """Name, size and hash of the columns that the study uses, in the order of rows given."""
    used = [c for c in (parts.answer, parts.arm, parts.placebo, parts.weights) if c is not None] + parts.covariates
    used += [name for name in parts.design.roles.values() if name is not None and name not in used]
    used += [name for instrument in parts.instruments for name in instrument.columns if name not in used]
    digest = hashlib.sha256()
    for name in used:
        text = frame[name].astype(object).map(lambda v: "" if pd.isna(v) else str(v))
        digest.update(name.encode() + b"\0" + "\x1f".join(text).encode() + b"\0")
    digest.update(counts.to_numpy(dtype="int64").tobytes())
    given = frame.attrs.get("source", {})
    return {
        "name": given.get("name", "a data frame"),
        "rows": int(len(frame)),
        "respondents": int(counts.sum()),
        "sha256": digest.hexdigest(),
        **({"file_sha256": given["sha256"]} if "sha256" in given else {}),
    }
