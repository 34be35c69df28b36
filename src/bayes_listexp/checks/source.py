"""A study from a data file whose columns are named in an instant, to be checked before any spec is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.read import read_survey

MOST_LEVELS = 10


def study_of_file(
    path: Path, roles: Mapping[str, Any], by: Sequence[str] = (), order: str | None = None
) -> tuple[ListExperiment, list[str]]:
    """The study of a data file, and the covariates to compare: ``by``, or all columns of numbers or of at most ten levels.

    ``roles`` are arguments of :meth:`ListExperiment.from_frame` ("answer", "arm" and "J" at least), and "direct", the column of a direct
    question. Respondents without an answer are excluded and counted, covariates that are missing are left missing.

    Raises
    ------
    InputError : the file cannot be read, a role or a column is wanting, or the answers cannot be answers to this list.
    """
    wanting = [name for name in ("answer", "arm", "J") if name not in roles]
    if wanting:
        raise InputError(f"{path}: a data file needs --{wanting[0]}; give --answer COLUMN --arm COLUMN --J NUMBER, or a spec (.toml).")
    frame = read_survey(path)
    given = {name: value for name, value in roles.items() if name != "direct"}
    instruments = [DirectQuestion(roles["direct"])] if "direct" in roles else []
    study = ListExperiment.from_frame(frame, instruments=instruments, **given)
    study = study.described(name=path.name)
    if by:
        study.complete(list(by))
        return study, list(by)
    found = [name for name in study.covariates if name not in (study.wave, study.version, order) and _has_groups(study, name)]
    return study, found


def _has_groups(study: ListExperiment, name: str) -> bool:
    column = study.table[name]
    return column.nunique() >= 2 and (column.nunique() <= MOST_LEVELS or column.dtype.kind in "if")
