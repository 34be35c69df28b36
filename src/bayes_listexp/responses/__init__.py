"""The catalogue of response models: one file, one model; a file in this folder is in the catalogue by being there.

A response model is "truthful, with lapses": with some probability a person follows another reporting rule. Its file
holds ``LAPSES``, a mapping from the lapse's name to a :class:`Lapse`. A rule is a pure function of small integers,
``rule(count, trait, treated, J)``, that returns the answer written down, or a range of answers that are equally likely.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from bayes_listexp.errors import InputError
from bayes_listexp.priors import Prior

Rule = Callable[[int, int, int, int], int | range]


class Lapse(NamedTuple):
    """A rule that a person follows with some probability instead of answering truthfully, and that probability's prior."""

    rule: Rule
    prior: Prior


def truthful_rule(count: int, trait: int, treated: int, J: int) -> int:
    """The rule of the design: report the control items that apply, plus the sensitive item if it is on the list."""
    return count + trait * treated


def names() -> tuple[str, ...]:
    """Names of the response models in the catalogue."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def lapses(response: str | Mapping[str, Lapse]) -> dict[str, Lapse]:
    """The lapses of a response model, by its name in the catalogue; a mapping of lapses is taken as it is.

    Raises
    ------
    InputError : the name is not in the catalogue.
    """
    if not isinstance(response, str):
        return dict(response)
    if response not in names():
        raise InputError(f"response model '{response}' is not in the catalogue: {', '.join(names())}.")
    return dict(importlib.import_module(f"{__name__}.{response}").LAPSES)
