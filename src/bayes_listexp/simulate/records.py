"""What simulations give: a survey with its population and all that nobody can see, or a study drawn from a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.experiment import ListExperiment


class Simulated(NamedTuple):
    """A simulated survey, its population frame, and what is true in that population.

    ``truth`` has one row per wave and group: ``wave``, ``group``, ``level``, ``prevalence`` (0 to 1), and with several sensitive
    items ``item``. Surveys of :func:`bayes_listexp.simulate_survey` also have ``people``, one row per row of the survey with its
    ``id`` and what nobody can see (trait, count, P(trait), effects of person and cluster); the model's ``parameters`` by name; and
    ``roles``, the arguments with which :meth:`bayes_listexp.ListExperiment.from_frame` reads the survey.
    """

    survey: pd.DataFrame
    population: pd.DataFrame
    truth: pd.DataFrame
    people: pd.DataFrame | None = None
    parameters: Mapping[str, np.ndarray] | None = None
    roles: Mapping[str, Any] | None = None

    @property
    def study(self) -> ListExperiment:
        """The survey as a study with its population, marked as synthetic; of surveys that have ``roles``."""
        if self.roles is None:
            raise AttributeError("this simulation does not say what its columns are: use ListExperiment.from_frame on `survey`")
        return ListExperiment.from_frame(self.survey, population=self.population, **self.roles).described(synthetic=True)


@dataclass(frozen=True)
class Drawn:
    """A study drawn from a model, with what nobody can see: one value per row of ``study.table``, and the parameters.

    ``prevalence`` is P(trait | x), 0 to 1. Among the ``parameters`` are those that group effects were drawn with (their sd, ...).
    """

    study: ListExperiment
    trait: np.ndarray
    count: np.ndarray
    prevalence: np.ndarray
    parameters: Mapping[str, np.ndarray]
