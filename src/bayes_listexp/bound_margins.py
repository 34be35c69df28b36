"""Known prevalences bound to a study: the rows of people they are about, with their shares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.cells import Cells
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.margins import KnownPrevalence, people_of
from bayes_listexp.population import COUNT, check_frame


class BoundMargin(NamedTuple):
    """A known prevalence with the people it is about: rows of a population ``frame`` (None: the cells) and their shares."""

    margin: KnownPrevalence
    frame: pd.DataFrame | None
    shares: np.ndarray


def bound_margin(margin: KnownPrevalence, cells: Cells, study: ListExperiment) -> BoundMargin:
    """A margin bound to the people it is about. A frame without the waves, or the items, counts for each.

    Raises
    ------
    InputError : the study has no such people.
    """
    if study.item is not None and study.item not in margin.group:
        raise InputError("KnownPrevalence: with several sensitive items, say in the group which one is known, as in "
                         f"group = {{'{study.item}': '{study.items[0]}'}}.")
    if isinstance(margin.population, pd.DataFrame):
        frame = check_frame(margin.population)
    elif margin.population == "sample":
        return BoundMargin(margin, None, people_of(margin, cells.frame, cells.n.astype(float)))
    elif study.population is None:
        raise InputError("KnownPrevalence: population = 'frame', and the study has no population frame. Give it one.")
    else:
        frame = study.population
    for column in (study.wave, study.item):
        if column is not None and column not in frame.columns:
            levels = pd.DataFrame({column: list(cells.frame[column].cat.categories)})
            frame = frame.merge(levels, how="cross")
    return BoundMargin(margin, frame, people_of(margin, frame, frame[COUNT].to_numpy(dtype=float)))
