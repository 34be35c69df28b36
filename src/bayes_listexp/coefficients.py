"""The coefficients of a fit as a tidy frame: every sub-model, the spread of group effects, and instruments' own parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import stored
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import summarise
from bayes_listexp.instrument import parameters_of
from bayes_listexp.specification import Blueprint

COUNTS_OWN = {"control_shift": "shift with the trait", "control_overdispersion": "overdispersion", "control_dispersion": "dispersion"}
"""Parameters of the control counts beside their linear predictor, by name, in words."""


class Coefficient(NamedTuple):
    """One coefficient: its sub-model, its term, and its draws, (chain, draw)."""

    part: str
    term: str
    draws: xr.DataArray


def coefficient_table(tree: xr.DataTree, *, probability: float = 0.95) -> pd.DataFrame:
    """One row per coefficient of a fit: ``part`` (the sub-model), ``term``, and the columns of :func:`bayes_listexp.summarise`.

    Coefficients of linear predictors are on the scale of the formula's own columns (logits). ``sd(column | group)`` is the standard
    deviation of group effects. The effects of single groups are not among the rows; the tree has them.

    Raises
    ------
    InputError : the fit has no posterior, or was not made by :func:`bayes_listexp.fit`.
    """
    if "posterior" not in tree.children:
        raise InputError("the fit has no posterior: its maximum lies at infinity. Fit with priors for coefficients.")
    rows = [summarise(one.draws, probability=probability).assign(part=one.part, term=one.term) for one in coefficients(tree)]
    table = pd.concat(rows, ignore_index=True)
    return table[["part", "term", *(name for name in table if name not in ("part", "term"))]]


def coefficients(tree: xr.DataTree) -> list[Coefficient]:
    """Every coefficient with its draws: the sub-models in the model's order, then what instruments have of their own."""
    posterior, plan = tree["posterior"].to_dataset(), stored.blueprint_of(tree)
    found = [one for name in plan.designs for one in _of_predictor(plan, posterior, name)]
    own = {part.own(name): (part.own("control"), words) for part in plan.parts for name, words in COUNTS_OWN.items()}
    found += [one for name, (part, words) in own.items() for one in _numbered(posterior, name, part, words)]
    for instrument in plan.instruments:
        for name in parameters_of(instrument):
            found += _numbered(posterior, name, instrument.name, name.removeprefix(f"{instrument.name}_"))
    parts = list(dict.fromkeys(one.part for one in found))  # what belongs together stands together
    return sorted(found, key=lambda one: parts.index(one.part))


def _of_predictor(plan: Blueprint, posterior: xr.Dataset, name: str) -> Iterator[Coefficient]:
    """The coefficients of one linear predictor, and the standard deviations of its group effects."""
    dim = f"{name}_term"
    if dim in posterior.dims:
        for term in posterior[dim].to_numpy():
            yield Coefficient(_words(name), str(term), posterior[name].sel({dim: term}, drop=True))
    for group in plan.designs[name].groups:
        spread = posterior.get(f"{name}_{group.name}_sd")
        for column, draws in _elements(spread) if spread is not None else ():
            yield Coefficient(_words(name), f"sd({column or 'Intercept'} | {group.name})", draws)


def _numbered(posterior: xr.Dataset, name: str, part: str, words: str) -> Iterator[Coefficient]:
    """A parameter as one coefficient, or as numbered ones."""
    elements = list(_elements(posterior[name])) if name in posterior else []
    for i, (_, draws) in enumerate(elements):
        yield Coefficient(_words(part), _words(words) if len(elements) == 1 else f"{_words(words)} {i + 1}", draws)


def _elements(draws: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    """The elements of a parameter, each with what its coordinates call it."""
    dims = [str(dim) for dim in draws.dims if dim not in ("chain", "draw")]
    for place in np.ndindex(*(draws.sizes[dim] for dim in dims)):
        one = draws.isel(dict(zip(dims, place, strict=True)))
        yield ", ".join(str(one[dim].item()) for dim in dims if dim in draws.coords), one.reset_coords(drop=True)


def _words(name: str) -> str:
    return name.replace("_", " ")
