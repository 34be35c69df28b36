"""Families of outcomes: how each reads its column, and its density, mean and draws given its location.

The location is on the scale of the family's link: the logit of a binary outcome, the logarithm of a count's mean, the centre of
a number, and for ordered levels the logit of being above the first. Densities are normalised, so that log-likelihoods of
families for the same kind of outcome can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayes_listexp.columns import read_choice, read_numbers, rows_where, shown_values, value_key
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Parameter
from bayes_listexp.priors import Prior

BINARY = (("0", "1"), ("false", "true"), ("no", "yes"))


class Reading(NamedTuple):
    """A column as numbers (NaN: not asked), its levels if it has any, and the centre and scale of its location."""

    values: pd.Series
    levels: tuple[Any, ...] = ()
    center: float = 0.0
    scale: float = 1.0


class OutcomeFamily(NamedTuple):
    """What a family of outcomes is.

    ``read`` turns a column, its name and its levels (if they were given) into a :class:`Reading`. ``intercept`` is the prior of
    the intercept and ``shape`` the further parameters, given the number of levels. ``log_p`` is the log-density of values
    (row, 1, 1) at locations (..., row, trait, count); ``mean`` the mean at locations, both with the shape's parameters as
    (..., 1, 1, 1[, size]); ``draw`` gives values at locations (person,), with the parameters as numbers or (size,).
    ``average`` is what the mean is called.
    """

    read: Callable[[pd.Series, str, tuple[Any, ...]], Reading]
    intercept: Callable[[int], Prior]
    shape: Callable[[int], dict[str, Parameter]]
    log_p: Callable[[Any, Any, Mapping[str, Any]], Any]
    mean: Callable[[Any, Mapping[str, Any]], Any]
    draw: Callable[[np.random.Generator, np.ndarray, Mapping[str, np.ndarray]], np.ndarray]
    average: str


def read_binary(column: pd.Series, name: str, levels: tuple[Any, ...]) -> Reading:
    """0 for the first of two levels and 1 for the second; 0/1, False/True and no/yes need not be named."""
    found = list(dict.fromkeys(_plain(value) for value in column.dropna()))
    if not levels:
        known = [pair for pair in BINARY if {value_key(value) for value in found} <= set(pair)]
        if not known:
            raise InputError(
                f"column '{name}': a binary outcome has two values such as 0 and 1, found {shown_values(pd.Series(found, dtype=object))}. "
                "Name both with levels = (the value that counts as 0, the value that counts as 1), or use family = 'ordinal'."
            )
        levels = known[0]
    if len(levels) != 2:
        raise InputError(f"column '{name}': levels = {levels!r}: a binary outcome has two levels. Name two, or use family = 'ordinal'.")
    return Reading(_read_levels(column, name, levels), levels)


def read_ordered(column: pd.Series, name: str, levels: tuple[Any, ...]) -> Reading:
    """0, 1, ... for the levels from lowest to highest: as given, the categories of an ordered column, or its numbers in order."""
    if not levels and isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        levels = tuple(_plain(value) for value in column.cat.categories)
    elif not levels and pd.api.types.is_numeric_dtype(column.astype(object).infer_objects().dtype):
        levels = tuple(_plain(value) for value in np.unique(read_numbers(column, name).dropna()))
    elif not levels and column.notna().any():
        raise InputError(f"column '{name}': the order of {shown_values(column.dropna())} is not known. Name the levels from lowest to "
                         "highest with levels = (...), or give an ordered categorical column.")
    return Reading(_read_levels(column, name, levels), levels)


def read_counts(column: pd.Series, name: str, levels: tuple[Any, ...]) -> Reading:
    """Whole numbers from 0; the centre of the location is the logarithm of their mean."""
    numbers = _read_varied(column, name, levels)
    bad = numbers.notna() & ((numbers < 0) | (numbers % 1 != 0))
    if bad.any():
        raise InputError(f"column '{name}', {rows_where(bad)}: a count is a whole number of at least 0, found "
                         f"{shown_values(numbers[bad])}. Correct the values, or use family = 'gaussian' or 'student_t'.")
    return Reading(numbers, center=float(np.log(numbers.mean())) if numbers.notna().any() else 0.0)


def read_measured(column: pd.Series, name: str, levels: tuple[Any, ...]) -> Reading:
    """Numbers, in standard deviations from their mean."""
    numbers = _read_varied(column, name, levels)
    return Reading(numbers, (), float(numbers.mean()), float(numbers.std(ddof=0))) if numbers.notna().any() else Reading(numbers)


def read_robustly(column: pd.Series, name: str, levels: tuple[Any, ...]) -> Reading:
    """Numbers, in units of their interquartile range (as a normal distribution's sd) from their median."""
    reading = read_measured(column, name, levels)
    low, median, high = np.nanquantile(reading.values, [0.25, 0.5, 0.75]) if reading.values.notna().any() else (0.0, 0.0, 0.0)
    return reading._replace(center=float(median), scale=float(high - low) / 1.349) if high > low else reading


def _read_varied(column: pd.Series, name: str, levels: tuple[Any, ...]) -> pd.Series:
    if levels:
        raise InputError(f"column '{name}': levels = {levels!r} are for the families 'bernoulli' and 'ordinal'. Leave them out.")
    infinite = column.map(lambda value: isinstance(value, (float, np.floating)) and bool(np.isinf(value))).astype(bool)
    if infinite.any():
        raise InputError(f"column '{name}', {rows_where(infinite)}: an infinite value. Correct it or mark it as missing.")
    numbers = read_numbers(column, name)
    _refuse_constant(numbers, column, name)
    return numbers


def _read_levels(column: pd.Series, name: str, levels: tuple[Any, ...]) -> pd.Series:
    keys = [value_key(level) for level in levels]
    twice = [level for level, key in zip(levels, keys, strict=True) if keys.count(key) > 1]
    if twice:
        raise InputError(f"column '{name}': levels = {levels!r}: the level {twice[0]!r} is named twice.")
    codes = read_choice(column, name, dict(enumerate(levels)))
    _refuse_constant(codes, column, name)
    return codes


def _refuse_constant(values: pd.Series, column: pd.Series, name: str) -> None:
    if len(values.dropna().unique()) == 1:
        raise InputError(f"column '{name}': everybody who was observed has the outcome {shown_values(column.dropna())}, so it "
                         "cannot differ by the trait. Leave the outcome out.")


def _plain(value: Any) -> Any:
    """A value as Python has it, whole numbers as int, so that it can be stored."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _log_p_binary(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    return -pt.switch(pt.gt(o, 0.5), pt.softplus(-location), pt.softplus(location))


def _log_p_gaussian(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    return -0.5 * ((o - location) / shape["sd"]) ** 2 - pt.log(shape["sd"]) - 0.5 * np.log(2 * np.pi)


def _log_p_student_t(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    df = shape["df"]
    constant = pt.gammaln((df + 1) / 2) - pt.gammaln(df / 2) - 0.5 * pt.log(df * np.pi) - pt.log(shape["sd"])
    return constant - (df + 1) / 2 * pt.log1p(((o - location) / shape["sd"]) ** 2 / df)


def _log_p_poisson(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    return o * location - pt.exp(location) - pt.gammaln(o + 1)


def _log_p_negative_binomial(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    size = 1 / shape["overdispersion"]
    logit = location - pt.log(size)
    ways = pt.gammaln(o + size) - pt.gammaln(size) - pt.gammaln(o + 1)
    return ways - size * pt.softplus(logit) - o * pt.softplus(-logit)


def _log_p_ordinal(o: Any, location: Any, shape: Mapping[str, Any]) -> Any:
    """With cuts a > b above and below a level: log(sigmoid(a - x) - sigmoid(b - x)), as the product
    sigmoid(a - x) sigmoid(x - b) (1 - exp(b - a)), in which nothing cancels.
    """
    if "gap" not in shape:
        return _log_p_binary(o, location, shape)
    level, gap = pt.cast(o[:, 0, 0], "int64"), shape["gap"][..., 0, 0, 0, :]
    cuts = pt.concatenate([pt.zeros_like(gap[..., :1]), pt.cumsum(gap, axis=-1)], axis=-1)
    last = cuts.shape[-1]
    within = pt.log(-pt.expm1(-gap))

    def of_level(values: Any, index: Any, length: Any) -> Any:
        return pt.take(values, pt.clip(index, 0, length - 1), axis=-1)[..., None, None]

    below_top = pt.lt(o, last) * pt.softplus(location - of_level(cuts, level, last))
    above_bottom = pt.gt(o, 0) * pt.softplus(of_level(cuts, level - 1, last) - location)
    between = pt.gt(o, 0) * pt.lt(o, last) * of_level(within, level - 1, last - 1)
    return between - below_top - above_bottom


def _mean_level(location: Any, shape: Mapping[str, Any]) -> Any:
    """Expected level, counted from 1: one more for each cut that is passed."""
    above = 1 + pt.sigmoid(location)
    if "gap" in shape:
        above = above + pt.sigmoid(location[..., None] - pt.cumsum(shape["gap"], axis=-1)).sum(axis=-1)
    return above


def _draw_level(rng: np.random.Generator, location: np.ndarray, shape: Mapping[str, np.ndarray]) -> np.ndarray:
    cuts = np.cumsum(np.concatenate([[0.0], shape.get("gap", np.empty(0))]))
    return (rng.logistic(location)[:, None] > cuts).sum(axis=-1)


def _draw_counts(rng: np.random.Generator, location: np.ndarray, shape: Mapping[str, np.ndarray]) -> np.ndarray:
    dispersed = rng.gamma(1 / shape["overdispersion"], shape["overdispersion"], len(location)) if shape else 1.0
    return rng.poisson(np.exp(location) * dispersed)


def _standard_normal(levels: int) -> Prior:
    return Prior("Normal", (0.0, 1.0))


def _equal_levels(levels: int) -> Prior:
    """Centred where all levels are equally likely, as far as the first of them says."""
    return Prior("Normal", (float(np.log(max(levels, 2) - 1)), 1.5))


SD = Parameter(Prior("HalfNormal", (1.0,)), positive=True)
DF = Parameter(Prior("Gamma", (2.0, 0.1)), positive=True)
OVERDISPERSION = Parameter(Prior("Exponential", (1.0,)), positive=True)


def _no_shape(levels: int) -> dict[str, Parameter]:
    return {}


def _gaps(levels: int) -> dict[str, Parameter]:
    """Distances between successive cuts. The first cut is 0, for the intercept already says where the levels lie."""
    return {"gap": Parameter(Prior("Gamma", (2.0, 2.0)), size=levels - 2, positive=True)} if levels > 2 else {}


FAMILIES = {
    "bernoulli": OutcomeFamily(read_binary, _equal_levels, _no_shape, _log_p_binary, lambda x, _: pt.sigmoid(x), _draw_level,
                               "Share"),
    "gaussian": OutcomeFamily(read_measured, _standard_normal, lambda _: {"sd": SD}, _log_p_gaussian, lambda x, _: x,
                              lambda rng, x, shape: rng.normal(x, shape["sd"]), "Mean"),
    "student_t": OutcomeFamily(read_robustly, _standard_normal, lambda _: {"sd": SD, "df": DF}, _log_p_student_t,
                               lambda x, _: x, lambda rng, x, shape: x + shape["sd"] * rng.standard_t(shape["df"], len(x)),
                               "Centre (the mean and the median)"),
    "poisson": OutcomeFamily(read_counts, _standard_normal, _no_shape, _log_p_poisson, lambda x, _: pt.exp(x), _draw_counts,
                             "Mean number"),
    "negative_binomial": OutcomeFamily(read_counts, _standard_normal, lambda _: {"overdispersion": OVERDISPERSION},
                                       _log_p_negative_binomial, lambda x, _: pt.exp(x), _draw_counts, "Mean number"),
    "ordinal": OutcomeFamily(read_ordered, _equal_levels, _gaps, _log_p_ordinal, _mean_level, _draw_level, "Mean level"),
}
"""Outcome families by name. The scale parameters are: ``sd``, in units of the column's scale; ``df``, degrees of freedom, small
for heavy tails; ``overdispersion``, so that a count of mean m has variance m + overdispersion m^2; ``gap``, between cuts."""
