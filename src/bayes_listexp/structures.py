"""How the effects of a group's levels hang together: exchangeable, along an order or in time, or between neighbours.

Every structure is a covariance of the levels' effects with a typical variance of 1, to be multiplied by a standard deviation.
The effects are deviations from the mean of the levels that have respondents, which is left to the intercept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp.errors import InputError

ALONG = ("rw1", "rw2", "ar1", "gp")
BETWEEN = ("icar", "bym2")
KINDS = (*ALONG, *BETWEEN)
"""Structures by the names that formulas call them: `(1|rw1(wave))`, `(1|bym2(region))`; without a name, exchangeable.

rw1, rw2 : random walks of first and second order (Rue & Held 2005), with gaps in real time.
ar1 : autoregressive of first order, stationary, with gaps in real time.
gp : Gaussian process with a Matérn 5/2 covariance.
icar : intrinsic autoregression between neighbours (Besag, York & Mollié 1991).
bym2 : a mixture of icar and exchangeable effects (Riebler et al. 2016).
"""

CORRELATED = "lkj"
"""What `(1 + x|lkj(region))` is called: effects of the columns of one level are correlated."""

EXCHANGEABLE = "exchangeable"
INTRINSIC = ("rw1", "rw2", "icar")
"""Structures of differences alone, which leave the levels' mean open."""

NULL = 1e-9


class Relations(NamedTuple):
    """What is known of levels, by column: which are neighbours, and where in time or order they stand."""

    neighbours: Mapping[str, Sequence[tuple[str, str]]]
    times: Mapping[str, Mapping[str, float]]


class Axis(NamedTuple):
    """One factor of a group term: a centred basis of its levels' effects (level, direction) and the directions' variances.

    The effects are ``basis`` times independent normal numbers of these variances. ``trend`` (level,) is the straight line that
    a lone second-order walk does not penalise; ``places`` (level,) are the levels' times, of which an ar1 or gp computes its
    covariance, the mean gap (ar1) or the whole span (gp) being 1.
    """

    kind: str
    basis: np.ndarray
    variance: np.ndarray
    trend: np.ndarray | None = None
    places: np.ndarray | None = None


def axis(kind: str, levels: Sequence[str], sampled: np.ndarray, relations: Relations, *, column: str, alone: bool = True,
         centred: bool = True) -> Axis:
    """The structure of one factor's ``levels``, those with respondents marked in ``sampled`` (level,).

    ``alone`` says that the factor is the whole term; within an interaction the straight line of an rw2 is one more direction.
    ``centred`` False keeps the levels' mean among the effects, where nothing else in the model stands for it.

    Raises
    ------
    InputError : the structure needs an order, times, neighbours or a mean that are not known, by the column's name.
    """
    size = len(levels)
    centring = np.eye(size) - centred * np.asarray(sampled) / np.sum(sampled)
    if not centred and kind in INTRINSIC:
        raise InputError(f"{kind}({column}): in an interaction it says nothing about the mean over '{column}'. Add the effects of the "
                         "interaction's other factors to the formula.")
    if kind in BETWEEN:
        covariance = _between(levels, _pairs(column, levels, relations))
        basis, variance = _directions(covariance, everything=kind == "bym2", constant=not centred)
        return Axis(kind, centring @ basis, variance)
    places = _places(column, levels, relations)
    if kind in ("ar1", "gp"):
        unit = np.diff(np.sort(places)).mean() if kind == "ar1" else np.ptp(places)
        return Axis(kind, centring, np.ones(size), places=(places - places.min()) / unit)
    order = 1 if kind == "rw1" else 2
    if size <= order:
        raise InputError(f"{kind}({column}): a random walk of order {order} needs at least {order + 1} levels, found {size}: "
                         f"{', '.join(levels)}. Use another structure.")
    basis, variance = _directions(_scaled(walk_precision(places, order)), everything=False)
    if order == 1:
        return Axis(kind, centring @ basis, variance)
    line = places - places.mean()
    line = line / np.sqrt((line**2).mean())
    if alone:
        return Axis(kind, centring @ basis, variance, trend=centring @ line)
    return Axis(kind, centring @ np.column_stack([basis, line]), np.append(variance, 1.0))


def exchangeable(sizes: Sequence[int], sampled: np.ndarray, removed: Iterable[Sequence[int]]) -> Axis:
    """Exchangeable effects of the combinations of factors with ``sizes`` levels, the last factor's moving fastest.

    ``removed`` are the subsets of factors (by position; () for none) whose own effects the model has beside these: the mean over
    the other factors is left to them, so that an interaction is what its parts do not say. Where only the overall mean is, it
    is that of the combinations with respondents (``sampled``).
    """
    subsets = [tuple(subset) for subset in removed]
    size = int(np.prod(sizes))
    remaining = np.eye(size)
    for subset in subsets:
        mean = np.ones((1, 1))
        for i, own in enumerate(sizes):
            mean = np.kron(mean, np.eye(own) if i in subset else np.full((own, own), 1 / own))
        remaining = remaining @ (np.eye(size) - mean)
    values, vectors = np.linalg.eigh((remaining + remaining.T) / 2)
    basis = vectors[:, values > 0.5]
    if subsets == [()]:
        basis = (np.eye(size) - np.asarray(sampled) / np.sum(sampled)) @ basis
    return Axis(EXCHANGEABLE, basis, np.ones(basis.shape[1]))


def rotated(given: Axis, information: np.ndarray) -> Axis:
    """An exchangeable axis in the directions that ``information`` (level,) tells apart: any basis is as good as another."""
    if given.kind != EXCHANGEABLE:
        return given
    _, turn = np.linalg.eigh(given.basis.T @ (information[:, None] * given.basis))
    return given._replace(basis=given.basis @ turn)


def walk_precision(places: np.ndarray, order: int) -> np.ndarray:
    """Precision of a random walk over ``places`` (level,), up to a factor: the structure of its increments' variances.

    Of order 1, an increment has a variance proportional to the gap; of order 2, the change of slope has one proportional to
    the mean of the gaps on either side (with equal gaps the second difference's variance is constant).
    """
    sequence = np.argsort(places)
    gaps = np.diff(places[sequence])
    if order == 1:
        differences, variances = np.diff(np.eye(len(places)), axis=0), gaps
    else:
        slopes = np.diff(np.eye(len(places)), axis=0) / gaps[:, None]
        differences, variances = np.diff(slopes, axis=0), (gaps[1:] + gaps[:-1]) / 2
    back = differences[:, np.argsort(sequence)]
    return back.T @ (back / variances[:, None])


def adjacency_precision(size: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Precision of an intrinsic autoregression: the number of neighbours on the diagonal, -1 for each pair of neighbours."""
    precision = np.zeros((size, size))
    for a, b in pairs:
        precision[[a, b], [b, a]] = -1.0
    return precision - np.diag(precision.sum(axis=1))


def components(precision: np.ndarray) -> list[np.ndarray]:
    """The levels that hang together, as positions; a level without neighbours is an island, a component of its own."""
    left, found = set(range(len(precision))), []
    while left:
        inside, border = set(), {min(left)}
        while border:
            inside |= border
            border = {int(j) for i in border for j in np.flatnonzero(precision[i])} - inside
        found.append(np.array(sorted(inside)))
        left -= inside
    return found


def islands(column: str, levels: Sequence[str], relations: Relations) -> list[str]:
    """Levels without neighbours, whose effects are exchangeable."""
    parts = components(adjacency_precision(len(levels), _pairs(column, levels, relations)))
    return [levels[part[0]] for part in parts if len(part) == 1]


def places_of(labels: Sequence[str]) -> np.ndarray | None:
    """Labels as places on a line, (level,): numbers as they are, dates in years; None if a label is neither.

    Dates are years, months ("2022-09"), quarters ("2022-Q3") or days, at their middle.
    """
    for read in (float, _year):
        try:
            return np.array([read(label) for label in labels])
        except ValueError:
            continue
    return None


def _year(label: str) -> float:
    if not re.fullmatch(r"\d{4}(-\d{2}(-\d{2})?|-?Q[1-4])?", label):
        raise ValueError(f"'{label}' is no date")
    period = pd.Period(label)
    middle = period.start_time + (period.end_time - period.start_time) / 2
    return float(middle.year + (middle.day_of_year - 0.5) / (366 if middle.is_leap_year else 365))


def _places(column: str, levels: Sequence[str], relations: Relations) -> np.ndarray:
    given = relations.times.get(column)
    found = places_of(levels) if given is None else np.array([given.get(level, np.nan) for level in levels], dtype=float)
    if given is None and found is None:
        raise InputError(
            f"column '{column}': an order or times are needed and its levels are neither numbers nor dates: {', '.join(levels)}. "
            f"Give times = {{'{column}': {{level: number}}}}, or a list of its levels in order.")
    assert found is not None
    if not np.isfinite(found).all():
        absent = [level for level, place in zip(levels, found, strict=True) if not np.isfinite(place)]
        raise InputError(f"times: column '{column}' has no time for level '{absent[0]}'. Add it.")
    if len(np.unique(found)) < len(found):
        twice = [level for level, place in zip(levels, found, strict=True) if (found == place).sum() > 1]
        raise InputError(f"times: column '{column}': levels {', '.join(map(repr, twice[:2]))} have the same time. Give different ones.")
    return found


def _pairs(column: str, levels: Sequence[str], relations: Relations) -> list[tuple[int, int]]:
    if column not in relations.neighbours:
        raise InputError(f"column '{column}': its neighbours are needed. Give neighbours = {{'{column}': pairs of levels}}.")
    position = {level: i for i, level in enumerate(levels)}
    unknown = [level for pair in relations.neighbours[column] for level in pair if level not in position]
    if unknown:
        raise InputError(f"neighbours: column '{column}' has no level '{unknown[0]}', neither in the sample nor in the population "
                         f"frame; there are: {', '.join(levels)}. Correct its spelling, or leave its pairs out.")
    return [(position[a], position[b]) for a, b in relations.neighbours[column]]


def _between(levels: Sequence[str], pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Covariance of neighbours' effects, each component with a typical variance of 1 (Freni-Sterrantino et al. 2018)."""
    precision = adjacency_precision(len(levels), pairs)
    covariance = np.zeros_like(precision)
    for part in components(precision):
        inside = np.ix_(part, part)
        covariance[inside] = _scaled(precision[inside]) if len(part) > 1 else 1.0
    return covariance


def _scaled(precision: np.ndarray) -> np.ndarray:
    """Generalised inverse of an intrinsic precision, its diagonal having a geometric mean of 1 (Sørbye & Rue 2014)."""
    covariance = np.linalg.pinv(precision, rcond=NULL, hermitian=True)
    return covariance / np.exp(np.log(np.diag(covariance)).mean())


def _directions(covariance: np.ndarray, *, everything: bool, constant: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Directions (level, direction) orthogonal to the constant, and the covariance's variance in each; without those of
    variance 0 unless ``everything`` is wanted; with the constant itself, of variance 0, if it is.
    """
    size = len(covariance)
    flat = np.eye(size) - 1 / size
    # the constant is moved to the end of the spectrum, where it cannot be mixed with another direction of variance 0
    values, vectors = np.linalg.eigh(flat @ covariance @ flat - np.ones((size, size)) / size)
    first = 0 if constant else 1
    values, vectors = np.maximum(values[first:], 0.0), vectors[:, first:]
    keep = np.ones(len(values), dtype=bool) if everything else values > NULL * values.max()
    return vectors[:, keep], values[keep]


def read_neighbours(given: Mapping[str, Any]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Pairs of neighbours by column, from data frames of two columns or sequences of pairs; each pair once.

    Raises
    ------
    InputError : not pairs, or a level that is its own neighbour.
    """
    out = {}
    for column, pairs in given.items():
        rows = pairs.itertuples(index=False, name=None) if isinstance(pairs, pd.DataFrame) else pairs
        read: dict[tuple[str, str], None] = {}
        for row in rows:
            if isinstance(row, str) or len(tuple(row)) != 2:
                raise InputError(f"neighbours: column '{column}': each row must be a pair of levels, found {row!r}.")
            a, b = sorted(str(level) for level in row)
            if a == b:
                raise InputError(f"neighbours: column '{column}': level '{a}' is its own neighbour. Leave the pair out.")
            read[a, b] = None
        out[column] = tuple(read)
    return out


def read_times(given: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Times of levels by column, from mappings of levels to numbers or sequences of levels in order.

    Raises
    ------
    InputError : a time that is no number.
    """
    out = {}
    for column, times in given.items():
        pairs = times.items() if isinstance(times, Mapping) else [(level, i) for i, level in enumerate(times)]
        for level, time in pairs:
            if isinstance(time, bool) or not isinstance(time, (int, float)) or not np.isfinite(time):
                raise InputError(f"times: column '{column}', level '{level}': a time must be a number, found {time!r}.")
        out[column] = {str(level): float(time) for level, time in pairs}
    return out
