"""From columns in their roles to a study's fields: everything that is read, checked and excluded, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from bayes_listexp.columns import read_covariate, read_numbers, read_weights
from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import MISSING, exclude_unobserved, refused
from bayes_listexp.intake import ITEM, Parts, check_arms, observe, read_lists, read_placebo, source_of
from bayes_listexp.population import PopulationFrame, as_frame, check_wave
from bayes_listexp.survey_design import PERSON, check_units, read_design, replicates_of
from bayes_listexp.versions import check_versions, read_list_answers, read_versions

type Missing = Literal["drop", "level", "model"]


def assembled(
    parts: Parts,
    counts: pd.Series,
    *,
    J: int | Mapping[Any, int] | None,
    missing: Missing,
    population: pd.DataFrame | PopulationFrame | None,
) -> dict[str, Any]:
    """The fields of a study from its columns in their roles: read, checked, and without those of whom nothing was observed.

    Raises
    ------
    InputError : for anything that cannot be an answer to this list, naming the rows.
    """
    frame = parts.frame
    people = None if population is None else as_frame(population)
    if people is not None:
        check_wave(people, parts.wave)
    treated, item = read_lists(parts)
    padded = read_placebo(parts, treated)
    table = pd.DataFrame(
        {name: read_covariate(frame[name], name, wave=name in (parts.wave, parts.version)) for name in parts.covariates},
        index=frame.index,
    )
    shown = None if parts.version is None else table[parts.version]
    if J is None:
        raise InputError(f"J is missing: say how many control items the list has, J = ... It cannot be told from the answers (column "
                         f"'{parts.answer}' reaches {_highest(frame[parts.answer], parts.answer, treated)}), as nobody may have all items.")
    longest, lists = read_versions(J, parts.version, shown)
    answers = read_list_answers(frame[parts.answer], parts.answer, treated, longest, padded, versions=shown, lists=lists)
    weight = counts.astype(float) if parts.weights is None else read_weights(frame[parts.weights], parts.weights)
    instruments, observed = observe(parts, treated, answers, counts)
    replicates, design = replicates_of(parts.design, parts.weights), read_design(frame, parts.design)
    if item is not None:
        table[ITEM] = item
    absent = {("answer missing", parts.answer): answers.isna(), ("arm missing", str(parts.arm)): treated.isna()}
    if parts.wave is not None:
        absent["wave missing", parts.wave] = table[parts.wave].isna()
    if lists and parts.version != parts.wave:
        absent["list version missing", str(parts.version)] = table[parts.version].isna()
    refusals = refused(table.assign(_treated=treated, _placebo=padded, _n=counts), answers)
    persons = {} if parts.ids is None else {PERSON: pd.Series(pd.factorize(frame[parts.ids])[0], index=frame.index)}
    keep, exclusions, listed = exclude_unobserved(absent, treated, counts, observed.notna().any(axis=1))
    table = (
        table[keep]
        .assign(
            _answer=answers.where(listed, -1)[keep].astype("int64"),
            _treated=treated.fillna(False)[keep].astype(bool),
            _placebo=padded[keep],
            _n=counts[keep],
            _weight=weight[keep],
            **{str(name): column[keep] for name, column in [*observed.items(), *design.items(), *persons.items()]},
        )
        .set_axis(np.flatnonzero(keep) + 1)
    )
    check_arms(table, parts, instruments)
    check_versions(table, parts.version, lists, parts.arm)
    check_units(table, parts.wave, parts.design)
    return {
        "table": table,
        "J": longest,
        "wave": parts.wave,
        "weighted": parts.weights is not None,
        "covariates": (*parts.covariates, *([ITEM] if item is not None else [])),
        "missing": missing,
        "population_frame": people,
        "exclusions": exclusions,
        "source": source_of(frame, counts, parts),
        "instruments": instruments,
        "item": None if item is None else ITEM,
        "refusals": refusals,
        "replicates": replicates,
        "version": parts.version if lists else None,
        "lists": lists,
    }


def _highest(column: pd.Series, name: str, treated: pd.Series) -> str:
    """The highest answer of each arm in words."""
    answers = read_numbers(column, name)
    arms = ((False, "control"), (True, "treatment"))
    highest = [(arm, answers[(treated == value).fillna(False).astype(bool)].max()) for value, arm in arms]
    return " and ".join(f"{most:g} in the {arm} arm" for arm, most in highest if pd.notna(most)) or "nothing"


def check_missing(missing: str) -> None:
    """Refuse a treatment of missing covariates that there is not.

    Raises
    ------
    InputError : naming those that there are.
    """
    if missing not in MISSING:
        raise InputError(f"missing = {missing!r}: say one of {', '.join(MISSING)}.")
