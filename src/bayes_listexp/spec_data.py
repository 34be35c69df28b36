"""What a spec says of its data file: read with a row per respondent, or tabulated where it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_listexp.binning import binned
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Instrument
from bayes_listexp.opening import limits_of
from bayes_listexp.read import read_survey
from bayes_listexp.recoding import recode
from bayes_listexp.scanning import SUFFIXES, scan_survey
from bayes_listexp.tabulation import stream_of, tabulate

LARGE = 50_000_000
"""Bytes of a file from which it is tabulated unless the spec says otherwise. The results are the same."""
COLUMNS = ("answer", "arm", "placebo", "wave", "version", "strata", "clusters")


def survey_of_file(path: Path, data: Mapping[str, Any], instruments: Sequence[Instrument]) -> Any:
    """The file of a spec's table [data], binned and recoded: a frame, or a tabulation.

    Raises
    ------
    InputError : the file cannot be read; or it is to be tabulated and has another format or needs a row per respondent.
    """
    limits = limits_of(data.get("limits", {}))
    able = path.name.lower().endswith(SUFFIXES) and "ids" not in data and "counts" not in data
    wanted = data.get("tabulate", able and path.is_file() and path.stat().st_size >= LARGE)
    if wanted and not able:
        raise InputError(f"{path}: tabulate = true: only {', '.join(SUFFIXES)} files can be tabulated, without 'ids' and 'counts'. "
                         "Leave it out.")
    if "bins" in data and "counts" in data:
        raise InputError(f"{path}: a table of counts is tabulated already. Leave out 'bins'.")
    bins, replicates = data.get("bins", {}), tuple(data.get("replicate_weights", ()))
    summed = [*([data["weights"]] if "weights" in data else []), *replicates]
    if wanted:
        survey: Any = scan_survey(path, numbers=[*summed, *bins], encoding=data.get("encoding"))
    else:
        survey = read_survey(path, encoding=data.get("encoding"), codes=data.get("codes", ()), limits=limits)
    for column, groups in bins.items():
        survey = binned(survey, column, bins=groups)
    if "recode" not in data:
        return survey
    if not wanted:
        return _recoded_in_memory(survey, data["recode"])
    used = [data[key] for key in COLUMNS if key in data] + [*data["recode"], *data.get("predictors", {})]
    used += [name for instrument in instruments for name in instrument.columns]
    used += data.get("covariates", [name for name in stream_of(survey).dtypes if name not in summed])
    table = tabulate(survey, used, weights=data.get("weights"), replicate_weights=replicates)
    return dataclasses.replace(table, frame=recode(table.frame, data["recode"]))


def _recoded_in_memory(survey: Any, recodes: Mapping[str, Any]) -> Any:
    """A frame, whose columns may be binned, with its levels recoded."""
    if hasattr(survey, "bins"):
        return dataclasses.replace(survey, source=recode(survey.source, recodes))
    return recode(survey, recodes)
