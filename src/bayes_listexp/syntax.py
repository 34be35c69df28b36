"""What a formula says before any data: its columns, its terms, and the structures of its group-specific effects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from formulae import model_description
from formulae.resolver import ResolverError
from formulae.terms import Intercept, Model
from formulae.terms.call import Call
from formulae.terms.call_resolver import CallResolverError, LazyCall, LazyVariable
from formulae.terms.variable import Variable
from formulae.transforms import TRANSFORMS

from bayes_listexp.errors import InputError
from bayes_listexp.grammar import check_formula
from bayes_listexp.structures import CORRELATED, EXCHANGEABLE, KINDS

FUNCTIONS = {"log": np.log, "log1p": np.log1p, "exp": np.exp, "sqrt": np.sqrt, "abs": np.abs}
"""What a formula may call, beside formulae's own transforms (center, scale, bs, poly, C, I, ...)."""

ALLOWED = {*FUNCTIONS, *TRANSFORMS} - {"offset", "p", "prop", "proportion"}
"""Every call that is allowed; offsets and shares of trials would need a meaning that these models do not give them."""

STRUCTURED = {*KINDS, CORRELATED}
"""Calls that say how the effects of a group's levels hang together, allowed to the right of a ``|``."""


class Factor(NamedTuple):
    """One factor of a group-specific term: the column, and the structure of its levels' effects."""

    column: str
    kind: str = EXCHANGEABLE
    correlated: bool = False


def variables(formula: str, available: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns that a formula uses, in the order of ``available``.

    Raises
    ------
    InputError : the formula cannot be read, calls a function that is not allowed, or names an unknown column.
    """
    names = parse(formula).var_names - {""}  # formulae reports a literal such as the 2 in I(2 * age) as ""
    unknown = sorted(names - set(available))
    if unknown:
        raise InputError(
            f"formula '{formula}': column '{unknown[0]}' is not in the data; the study has: "
            f"{', '.join(available) or 'no covariates'}."
        )
    return tuple(name for name in available if name in names)


def has_common_variable(formula: str, name: str) -> bool:
    """Whether a column takes part in the common effects of a formula."""
    return any(name in term.var_names for term in parse(formula).common_terms)


def has_variable(formula: str, name: str) -> bool:
    """Whether a column takes part in a formula, in whatever way."""
    return name in parse(formula).var_names


def with_wave(formula: str, wave: str | None, waves: Sequence[str]) -> str:
    """The formula with the wave among its terms: waves always differ. One that has it, or a study of one wave, needs no other."""
    if wave is None or len(waves) < 2 or has_common_variable(formula, wave) or has_group_intercept(formula, wave):
        return formula
    return f"{formula} + " + (wave if wave.isidentifier() else f"`{wave}`")


def has_groups(formula: str) -> bool:
    """Whether a formula has group-specific effects."""
    return bool(parse(formula).group_terms)


def group_names(formula: str) -> list[str]:
    """The names of a formula's group-specific terms, as their parameters have them."""
    return [term_name(factors) for factors in by_factor(parse(formula).group_terms)]


def has_group_intercept(formula: str, name: str) -> bool:
    """Whether each level of a column has an intercept of its own among the group-specific effects."""
    return any(
        [factor.column for factor in factors] == [name] and any(isinstance(term.expr, Intercept) for term in terms)
        for factors, terms in by_factor(parse(formula).group_terms).items()
    )


def parse(formula: str) -> Model:
    """A formula read by formulae, with calls, left-hand side and grouping factors checked.

    Raises
    ------
    InputError : the formula cannot be read, or calls what is not allowed.
    """
    check_formula(formula, ALLOWED, STRUCTURED)
    try:
        parsed = model_description(formula)
    except (ResolverError, CallResolverError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise InputError(
            f"formula '{formula}' cannot be read ({error}). Write it like '1 + age + (1|region)'; names "
            "with spaces or signs go between backticks."
        ) from error
    except RecursionError as error:
        raise InputError(f"formula '{formula[:60]}...' has too many signs. Write it shorter.") from error
    if parsed.response is not None:
        raise InputError(f"formula '{formula}': leave out the left-hand side and '~'; it is the trait or the count.")
    for component in [c for term in parsed.group_terms for c in term.factor.components]:
        if _factor(component) is None:
            raise InputError(
                f"formula '{formula}': '{component.name}' cannot group effects; write a column's name after the '|', or a "
                f"structure of it such as rw1(wave); there are: {', '.join(sorted(STRUCTURED))}."
            )
    literal = [name for name in parsed.var_names if not isinstance(name, str)]
    if literal:
        raise InputError(f"formula '{formula}': {literal[0]!r} is a value where a column should be. Name a column.")
    outside = [c.call.callee for term in parsed.common_terms for c in getattr(term, "components", []) if isinstance(c, Call)]
    misplaced = [name for name in outside if name in STRUCTURED]
    if misplaced:
        raise InputError(f"formula '{formula}': '{misplaced[0]}' is a structure of group-specific effects: write (1|{misplaced[0]}(...)).")
    return parsed


def _factor(component: Any) -> Factor | None:
    """A factor as written after the ``|``: a column, a structure of a column, or either with correlated effects."""
    if isinstance(component, Variable):
        return Factor(component.name)
    call = component.call if isinstance(component, Call) else component
    if isinstance(call, LazyVariable):
        return Factor(call.name)
    if not isinstance(call, LazyCall) or len(call.args) != 1 or call.kwargs or call.callee not in STRUCTURED:
        return None
    inner = _factor(call.args[0])
    if inner is None or inner.correlated or (call.callee != CORRELATED and inner.kind != EXCHANGEABLE):
        return None
    return inner._replace(correlated=True) if call.callee == CORRELATED else inner._replace(kind=call.callee)


def by_factor(terms: Sequence[Any]) -> dict[tuple[Factor, ...], list[Any]]:
    """The group-specific terms of a formula by what they are grouped by."""
    found: dict[tuple[Factor, ...], list[Any]] = {}
    for term in terms:
        factors = tuple(factor for factor in map(_factor, term.factor.components) if factor is not None)
        found.setdefault(factors, []).append(term)
    return found


def term_name(factors: Sequence[Factor]) -> str:
    """What a group-specific term is called in the names of parameters."""
    return re.sub(r"\W+", "_", "_".join(factor.column for factor in factors))
