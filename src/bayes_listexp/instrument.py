"""What an instrument is: a way of observing the trait beside the list, as one more factor P(observation | trait, cell).

An instrument is a frozen record. Its fields name the columns of the data and say what is assumed; its methods read the
columns, name the linear predictors and parameters that it needs, and give the factor. It knows nothing of PyMC, of the
list, or of other instruments, and so composes with all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.priors import Prior

IMPOSSIBLE = -690.0
"""Log-probability that stands for zero: e^-690 adds nothing to any sum, and a sum of impossible terms stays finite."""


class Parameter(NamedTuple):
    """A free parameter: its prior, its length (None: one number), and whether it must be positive, or (one number) between 0 and 1."""

    prior: Prior
    size: int | None = None
    positive: bool = False
    probability: bool = False


class Rows(NamedTuple):
    """Distinct observations: respondents of one cell who saw and said the same, each field of shape (row,).

    ``arm`` is a position in :data:`bayes_listexp.cells.ARMS` and ``answer`` the number reported, both -1 without an
    answer to the list; ``treated`` is 1.0 for those who were shown the sensitive item; ``observed`` holds the coded
    columns of the instruments, NaN where somebody was not asked.
    """

    cell: Any
    arm: Any
    answer: Any
    treated: Any
    n: Any
    weight: Any
    observed: Mapping[str, Any]


def setting(default: Any) -> Any:
    """A field of an instrument that is an assumption of the model: :func:`bayes_listexp.fit` may replace it."""
    return field(default=default, metadata={"setting": True})


def choose(p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One category per row, with probabilities proportional to ``p`` (row, category): how instruments and lists are drawn."""
    cumulated = p.cumsum(axis=1)
    return (cumulated[:, :-1] < rng.random((len(p), 1)) * cumulated[:, -1:]).sum(axis=1)


class Instrument(Protocol):
    """A way of observing the trait. Implementations are frozen dataclasses whose fields are plain data.

    Beside the methods here, seven are optional, and what they are taken to say where an instrument lacks them stands in the
    functions below this class: ``parameters()``, ``possible(rows)``, ``parts(prevalence, distribution)``,
    ``combine(averages)``, ``labels()``, ``ask(treated, rng)`` and ``write(coded)``.

    Five class attributes are optional too. ``replaces_control`` (True) says that the study may do without list answers of the
    control arm. Four tell the report how to show the estimates: ``shares`` (True, the default: they are shares of people;
    False: numbers on scales of their own), ``numbers`` (names of those that are no shares all the same), ``differences``
    (names of those that are differences of shares) and ``main`` (names of those to show by group).
    """

    @property
    def name(self) -> str:
        """Prefix of its columns, parameters and results; one study may have several of one kind under different names."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that it reads."""

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[Instrument, pd.DataFrame]:
        """The instrument bound to the data (levels, scales), and its coded columns: floats named ``_<name>...``, NaN where
        somebody was not asked. ``treated`` is the arm where it is known, and beside the data's own columns the frame holds
        the list's answers as ``_answer`` (numbers, NaN without one) and ``_n``, how many respondents a row stands
        for. Raises InputError for values it cannot be.
        """

    def formulas(self) -> dict[str, str]:
        """Its linear predictors by name (each starting with its own name), as formulas over covariates."""

    def priors(self) -> dict[str, Prior]:
        """Default priors of the intercepts, slopes and sds of its linear predictors."""

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """The distribution of its observation given trait and count, as named tensors of shape (..., row, trait[, ...]): all
        that its other methods need. ``predictors`` are given at the rows, (..., row); parameters are (...) or (..., size).
        """

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log-probability of each row's observation, (..., row, trait, count), the last of length 1 where the count does not
        matter; 0 where somebody was not asked.
        """

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """New values of its coded columns for people with these ``latent`` (trait, count), each (row,); NaN stays NaN."""


def parameters_of(instrument: Instrument) -> dict[str, Parameter]:
    """The free parameters beside linear predictors that ``parameters()`` names; none without it."""
    return getattr(instrument, "parameters", dict)()


def possible_traits(instrument: Instrument, rows: Rows) -> np.ndarray:
    """Whether each trait could produce each row's observation, (row, trait), by ``possible(rows)``; either could without it."""
    return getattr(instrument, "possible", lambda rows: np.ones((len(rows.n), 2), dtype=bool))(rows)


def parts_of(
    instrument: Instrument, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What the estimates are averaged from, each (draw, row), at rows of a population whom nobody has yet observed
    (``observed`` NaN, ``treated`` 0), by ``parts(prevalence, distribution)``; the prevalence alone without it. Beside the
    instrument's own, ``distribution`` holds P(count | trait) as ``count_given_trait``, (draw, row, trait, count).
    """
    return getattr(instrument, "parts", lambda prevalence, _: {"prevalence": prevalence})(prevalence, distribution)


def estimates_of(instrument: Instrument, averages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Estimates by name, from the averages of the parts over a population by ``combine(averages)``; these averages without it."""
    return getattr(instrument, "combine", dict)(averages)


def labels_of(instrument: Instrument, names: Iterable[str]) -> dict[str, str]:
    """What each of these estimates is in words, by ``labels()``; what that does not name has its own name in words."""
    given: dict[str, str] = getattr(instrument, "labels", dict)()
    return {name: given.get(name, name.replace("_", " ").capitalize()) for name in names}


def asked_by(instrument: Instrument, treated: np.ndarray, rng: np.random.Generator) -> tuple[Instrument, pd.DataFrame]:
    """The instrument as it is before there are data, and its coded columns for people who are asked, one row for each of ``treated``
    (row,), by ``ask(treated, rng)``: what is randomised is drawn, and answers are placeholders. This is what simulations need.

    Raises
    ------
    InputError : the instrument has no such method, or needs to be told what it would take from data (such as its levels).
    """
    if not hasattr(instrument, "ask") or not hasattr(instrument, "write"):
        raise InputError(f"instrument '{instrument.name}': {type(instrument).__name__} lacks the methods ask(treated, rng) and "
                         "write(coded), without which no survey can be simulated. Use draw_study with a study that has its columns.")
    bound, coded = instrument.ask(treated, rng)
    return bound, coded


def written_by(instrument: Instrument, coded: pd.DataFrame) -> pd.DataFrame:
    """The columns of the data that would be read as these coded columns, by ``write(coded)``."""
    return getattr(instrument, "write")(coded)  # noqa: B009 (optional)
