"""Default priors as plain data, their text form, and the model variables they become."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from scipy.special import betaln, logit

from bayes_listexp.errors import InputError

ARGUMENTS = {"Normal": 2, "StudentT": 3, "Logistic": 2, "Cauchy": 2, "Beta": 2, "HalfNormal": 1, "HalfCauchy": 1,
             "Exponential": 1, "LogNormal": 2, "Gamma": 2, "InverseGamma": 2, "LKJ": 1, "Flat": 0}
"""Distributions that a prior may have, by PyMC's names and argument order, with their number of arguments."""

LOCATED = {"Normal": 0, "StudentT": 1, "Logistic": 0, "Cauchy": 0, "LogNormal": 0}
"""Which argument is a location, and may be any number; all others are scales and shapes, above 0."""


class Prior(NamedTuple):
    """A distribution by name with its arguments, in PyMC's order."""

    distribution: str
    arguments: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.distribution}({', '.join(f'{a:.15g}' for a in self.arguments)})"


DEFAULTS = {
    "trait_intercept": Prior("Beta", (1, 1)),
    "trait_slope": Prior("Normal", (0, 1)),
    "trait_sd": Prior("HalfNormal", (0.5,)),
    "trait_item_sd": Prior("HalfNormal", (1.5,)),
    "trait_count": Prior("Normal", (0, 0.5)),
    "trait_count_sd": Prior("HalfNormal", (0.25,)),
    "control_intercept": Prior("Normal", (0, 1.5)),
    "control_slope": Prior("Normal", (0, 1)),
    "control_sd": Prior("HalfNormal", (0.5,)),
    "control_shape": Prior("Normal", (0, 1)),
    "control_shape_sd": Prior("HalfNormal", (0.25,)),
    "control_overdispersion": Prior("Beta", (1, 9)),
    "control_dispersion": Prior("LogNormal", (0, 0.5)),
    "control_shift": Prior("Normal", (0, 0.5)),
    "control_free_sd": Prior("HalfNormal", (0.5,)),
    "control_saturated": Prior("Normal", (0, 1.5)),
    "control_item": Prior("Normal", (0, 1.5)),
    "control_item_gap": Prior("Exponential", (0.7,)),
    "lapse_slope": Prior("Normal", (0, 1)),
    "lapse_sd": Prior("HalfNormal", (0.5,)),
    "interaction_sd": Prior("HalfNormal", (0.25,)),
    "group_mix": Prior("Beta", (0.5, 0.5)),
    "group_rho": Prior("Beta", (1, 1)),
    "group_length": Prior("InverseGamma", (3, 1)),
    "group_trend": Prior("Normal", (0, 0.5)),
    "group_lkj": Prior("LKJ", (2,)),
}
"""Priors by the name of the parameter. Intercepts may be given on the probability scale (Beta): a Beta(1, 1)
trait intercept makes the prevalence of the average respondent uniform. Slopes are those of centred columns, numeric ones
divided by two standard deviations. ``lapse_<name>`` are the lapse probabilities; their defaults are in the catalogue.
``interaction_sd`` is that of every group term of two or more factors: what is left to say of a combination beside its
parts is small as a rule. ``group_*`` are those of structured group effects: bym2's share of neighbours' effects in the
variance, ar1's correlation at the mean gap, gp's length in units of the whole span, rw2's straight line (rise over one
standard deviation of the places), and the shape of correlations. For one term alone they are called as its parameters:
``trait_region_sd``, ``control_wave_rho``."""


LONGEST = 200
"""Characters of a prior."""


def parse_prior(text: str) -> Prior:
    """Read "Normal(0, 1)".

    Raises
    ------
    InputError : another form, an unknown distribution, the wrong number of arguments, or a scale that is not above 0.
    """
    known = ", ".join(ARGUMENTS)
    try:
        if len(text) > LONGEST:
            raise ValueError(f"more than {LONGEST} characters")
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
            raise ValueError("not of the form Name(number, ...)")
        prior = Prior(call.func.id, tuple(float(ast.literal_eval(a)) for a in call.args))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(f"prior '{text[:LONGEST]}' cannot be read: {error}. Write it like 'Normal(0, 1)'; known are: {known}.") from error
    if ARGUMENTS.get(prior.distribution) != len(prior.arguments):
        expected = ARGUMENTS.get(prior.distribution)
        raise InputError(f"prior '{text}': " + (f"unknown distribution; known are: {known}." if expected is None
                         else f"{prior.distribution} takes {expected} numbers."))
    _check_arguments(prior)
    return prior


def resolve(overrides: Mapping[str, Prior | str], more: Mapping[str, Prior], terms: Iterable[str] = ()) -> dict[str, Prior]:
    """The default priors, and those of this model's lapses and instruments, with the user's in their place; ``terms`` are
    names that single group terms add, which have no default of their own.

    Raises
    ------
    InputError : a name that is no parameter of this model.
    """
    known = DEFAULTS | dict(more)
    allowed = [*known, *terms]
    unknown = [name for name in overrides if name not in allowed]
    if unknown:
        raise InputError(f"priors: '{unknown[0]}' is not a parameter; there are: {', '.join(allowed)}.")
    given = {name: parse_prior(str(p)) for name, p in overrides.items()}
    wrong = [name for name, prior in given.items() if (prior.distribution == "LKJ") != name.endswith("_lkj")]
    if wrong:
        raise InputError(f"priors: '{wrong[0]}' = {given[wrong[0]]}: correlations, named ..._lkj, have an LKJ prior, and nothing else has.")
    return known | given


def _check_arguments(prior: Prior) -> None:
    for i, value in enumerate(prior.arguments):
        if not isfinite(value) or value <= 0 and i != LOCATED.get(prior.distribution):
            raise InputError(f"prior '{prior}': the scales and shapes of a {prior.distribution} must be above 0 and all its "
                             f"numbers finite, found {value:g}.")


def flat(more: Mapping[str, Prior]) -> dict[str, Prior]:
    """Flat priors on the logit or linear scale for everything: maximum likelihood, for comparison with other software."""
    return {name: Prior("Flat", ()) for name in [*DEFAULTS, *more]}


def of_predictor(name: str, intercept: Prior) -> dict[str, Prior]:
    """Priors of a linear predictor on the logit scale: of its intercept, its slopes and its group effects' sd."""
    return {f"{name}_intercept": intercept, f"{name}_slope": DEFAULTS["lapse_slope"], f"{name}_sd": DEFAULTS["lapse_sd"]}


def of_predictors(instrument: str, names: Iterable[str], intercepts: Mapping[str, Prior]) -> dict[str, Prior]:
    """Priors of an instrument's linear predictors ``names``, by the ``intercepts`` of what follows its name in each."""
    out: dict[str, Prior] = {}
    for name in names:
        out |= of_predictor(name, intercepts[name.removeprefix(f"{instrument}_")])
    return out


def variable(name: str, prior: Prior, **kwargs: Any) -> Any:
    """A PyMC random variable with this prior, inside a model context."""
    import pymc as pm

    return getattr(pm, prior.distribution)(name, *prior.arguments, **kwargs)


def logit_variable(name: str, prior: Prior) -> Any:
    """A parameter on the logit scale; a Beta prior is that of the probability, so Beta(1, 1) is the logistic distribution.

    The variable itself is the logit (density a x - (a + b) log(1 + e^x) up to a constant), which stays exact where the
    probability rounds to 0 or 1.
    """
    import pymc as pm
    import pytensor.tensor as pt

    if prior.distribution != "Beta":
        return variable(name, prior)

    def logp(value: Any, a: Any, b: Any) -> Any:
        return a * value - (a + b) * pt.softplus(value) - betaln(*prior.arguments)

    def random(a: Any, b: Any, rng: Any = None, size: Any = None) -> Any:
        return logit(rng.beta(a, b, size=size))

    return pm.CustomDist(name, *prior.arguments, logp=logp, random=random, dtype="float64",
                         support_point=lambda rv, size, a, b: pt.log(a) - pt.log(b))


def probability_variable(name: str, prior: Prior) -> Any:
    """A parameter between 0 and 1, by its logit; a flat prior is flat on the logit, so that the likelihood's maximum is
    the mode.
    """
    import pymc as pm
    import pytensor.tensor as pt

    return pm.Deterministic(name, pt.sigmoid(logit_variable(f"{name}_logit", prior)))


def positive_variable(name: str, prior: Prior, **kwargs: Any) -> Any:
    """A positive parameter; a flat prior is flat on its logarithm."""
    import pymc as pm
    import pytensor.tensor as pt

    if prior.distribution != "Flat":
        return variable(name, prior, **kwargs)
    return pm.Deterministic(name, pt.exp(variable(f"{name}_log", prior, **kwargs)))
