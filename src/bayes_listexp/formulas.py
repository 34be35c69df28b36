"""Formulas to designs: common effects by formulae, group-specific effects as level indices, both on a prior's scale."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from formulae.environment import Environment
from formulae.matrices import CommonEffectsMatrix, DesignMatrices
from formulae.terms import Intercept, Model
from formulae.transforms import TRANSFORMS

from bayes_listexp.errors import InputError
from bayes_listexp.structures import CORRELATED, EXCHANGEABLE
from bayes_listexp.syntax import FUNCTIONS, Factor, by_factor, parse, term_name, variables

TAKEN = {"intercept", "slope", "shift", "shape", "dispersion", "overdispersion", "chain", "draw"}
"""Names of parameters and dims: a grouping factor of this name could not be told from them."""


class GroupTerm(NamedTuple):
    """A group-specific term ``(expr|factor)``: one effect per level of ``factors`` for each column of ``expr``.

    ``levels`` are the combinations of the factors' levels, the last factor's moving fastest; ``sampled`` (level,) says which
    have respondents. ``kinds`` are the factors' structures, and ``factor_levels`` their own levels. Where ``correlated``, the
    effects of the columns of one level are. ``lower`` are the subsets of the factors, the empty one included, that have such
    effects in the formula themselves.
    """

    name: str
    factors: tuple[str, ...]
    columns: tuple[str, ...]
    expression: CommonEffectsMatrix
    centers: np.ndarray
    levels: tuple[str, ...]
    sampled: np.ndarray
    kinds: tuple[str, ...]
    factor_levels: tuple[tuple[str, ...], ...]
    correlated: bool
    lower: tuple[frozenset[str], ...] = (frozenset(),)

    @property
    def text(self) -> str:
        """The term as formulas write it, its expression as "..."."""
        inside = [f if kind == EXCHANGEABLE else f"{kind}({f})" for f, kind in zip(self.factors, self.kinds, strict=True)]
        return f"(...|{f'{CORRELATED}({inside[0]})' if self.correlated else ':'.join(inside)})"


class GroupMatrix(NamedTuple):
    """A group term at given rows: ``columns`` (row, column) and the position ``level`` (row,) of each row's level."""

    name: str
    columns: np.ndarray
    level: np.ndarray


class Matrices(NamedTuple):
    """A design at given rows: centred and scaled common columns (row, slope), and one matrix per group term."""

    intercept: bool
    slopes: np.ndarray
    groups: tuple[GroupMatrix, ...]


@dataclass(frozen=True)
class Design:
    """A formula bound to the respondents' distribution.

    Columns of the common part are centred at the respondents' mean, so that the intercept is the linear predictor of
    the average respondent, and numeric columns other than 0/1 are divided by two standard deviations (Gelman 2008,
    "Scaling regression inputs by dividing by two standard deviations"), so that one prior fits every slope.
    """

    formula: str
    common: CommonEffectsMatrix | None
    names: tuple[str, ...]
    intercept: bool
    center: np.ndarray
    scale: np.ndarray
    groups: tuple[GroupTerm, ...]
    like: pd.DataFrame

    def evaluate(self, frame: pd.DataFrame) -> Matrices:
        """The design at the rows of ``frame``, whose levels must be known (see :func:`conform`)."""
        rows = conform(frame, self.like)
        slopes = _columns(self.common, rows)
        slopes = slopes[:, 1:] if self.intercept else slopes
        groups = tuple(
            GroupMatrix(g.name, _columns(g.expression, rows) - g.centers, _level_index(rows, g.factors, g.levels))
            for g in self.groups
        )
        return Matrices(self.intercept, (slopes - self.center) / self.scale, groups)


def design(formula: str, frame: pd.DataFrame, n: np.ndarray) -> Design:
    """Bind ``formula`` to the cells of ``frame``, each standing for ``n`` respondents.

    Stateful transforms (``scale``, ``bs``, ...) see the respondents' distribution, not one row per cell. The reference of
    a common effect is a column's first category; categories without respondents are ordinary levels.

    Raises
    ------
    InputError : for formulas that cannot be read, constant columns, and columns that repeat one another.
    """
    parsed = parse(formula)
    used = list(variables(formula, list(frame.columns)))
    like = _in_order(frame[used])
    whole = np.ceil(n).astype(int)  # fractions are people who may be in several cells: a transform must know each of these
    rows = like.loc[np.repeat(np.arange(len(like)), whole)].reset_index(drop=True) if _is_stateful(formula) else like
    intercept = any(isinstance(term, Intercept) for term in parsed.common_terms)
    common = _bind(parsed.common_terms, _sampled_first(rows, like, n)) if parsed.common_terms else None
    matrix = _columns(common, like)[:, int(intercept) :]
    names = _column_names(common)[int(intercept) :]
    if matrix.shape[1] != len(names):
        raise InputError(f"formula '{formula}': a term has no columns, or other columns than it names ({', '.join(names)}). Leave out what "
                         "says nothing, such as poly(x, 0).")
    center, scale = _center_and_scale(matrix, names, n, intercept)
    _refuse_repeated(matrix, names, n, intercept)
    if common is None and not parsed.group_terms:
        raise InputError(f"formula '{formula}' has no terms. Write '1' for an intercept alone.")
    groups = tuple(_group_term(name, terms, rows, like, n) for name, terms in by_factor(parsed.group_terms).items())
    _refuse_confusable(formula, groups)
    categorical = [c for c in used if isinstance(like[c].dtype, pd.CategoricalDtype)]
    alone = {frozenset([name]) for name in categorical if any(term.name == name for term in parsed.common_terms)}
    groups = tuple(group._replace(lower=_lower(group, groups, alone)) for group in groups)
    return Design(formula, common, names, intercept, center, scale, groups, like)


def linear_predictor(parameters: Mapping[str, Any], name: str, matrices: Matrices) -> Any:
    """Intercept, slopes and group effects at each row: shape (..., row), the leading dims being those of the parameters.

    Takes NumPy arrays and PyTensor tensors alike: ``{name}_intercept`` (...), ``{name}_slope`` (..., slope) and for
    each group term ``{name}_{term}`` (..., column, level).
    """
    eta = matrices.slopes[:, :0].sum(axis=1)  # zeros, one per row, of the same kind of array as the slopes
    if matrices.intercept:
        eta = eta + parameters[f"{name}_intercept"][..., None]
    if f"{name}_slope" in parameters:
        eta = eta + times(parameters[f"{name}_slope"], matrices.slopes)
    for group in matrices.groups:
        effects = parameters[f"{name}_{group.name}"][..., group.level]
        eta = eta + (effects * group.columns.T).sum(axis=-2)
    return eta


def times(vector: Any, matrix: Any) -> Any:
    """``vector`` (..., column) times the rows of ``matrix`` (row, column), shape (..., row).

    One vector is multiplied and added up instead of passed to BLAS: in a compiled model the wrapper of each BLAS product
    takes several seconds to compile and wins nothing at these sizes.
    """
    return (matrix * vector).sum(axis=-1) if vector.ndim == 1 else vector @ matrix.T


def coefficients(parameters: Mapping[str, Any], name: str, bound: Design) -> Any:
    """Intercept and slopes on the scale of the formula's own columns, shape (..., term), as regression tables show them."""
    if not bound.names:
        return parameters[f"{name}_intercept"][..., None]
    slopes = parameters[f"{name}_slope"] / bound.scale
    if not bound.intercept:
        return slopes
    intercept = parameters[f"{name}_intercept"] - (slopes * bound.center).sum(axis=-1)
    padded = slopes @ np.eye(len(bound.names) + 1)[1:]
    return padded + intercept[..., None] * np.eye(len(bound.names) + 1)[0]


def conform(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``like`` from ``frame``, with the same kinds and levels.

    Raises
    ------
    InputError : a column is missing, or holds a level that is neither in the sample nor in the population frame.
    """
    out = {}
    for name in like.columns:
        if name not in frame.columns:
            raise InputError(
                f"column '{name}' is needed by the model and is not in the frame; it has: "
                f"{', '.join(map(str, frame.columns))}. Add the column."
            )
        out[name] = _conform_column(frame[name], like[name])
    return pd.DataFrame(out, index=frame.index)


def level_labels(frame: pd.DataFrame, columns: Iterable[str]) -> pd.Series:
    """One label per row for the combination of ``columns``, e.g. "Almaty:Kazakh"."""
    texts = [frame[name].map(_label).astype(object) for name in columns]
    return pd.Series([":".join(row) for row in zip(*texts, strict=True)], index=frame.index, dtype=object)


def _label(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else str(value)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with ordered categories: formulae sorts the others by their text and forgets those that do not occur."""
    return frame.assign(
        **{
            name: frame[name].cat.as_ordered()
            for name in frame.columns
            if isinstance(frame[name].dtype, pd.CategoricalDtype)
        }
    )


def _sampled_first(rows: pd.DataFrame, like: pd.DataFrame, n: np.ndarray) -> pd.DataFrame:
    """The rows with a level that has respondents as each column's first, which is the reference of its common effects."""
    out = {}
    for name in [c for c in rows.columns if isinstance(rows[c].dtype, pd.CategoricalDtype)]:
        levels, sampled = list(like[name].cat.categories), set(like[name][np.asarray(n) > 0])
        first = next((i for i, level in enumerate(levels) if level in sampled), 0)
        out[name] = rows[name].cat.reorder_categories([*levels[first:], *levels[:first]])
    return rows.assign(**out)


def _is_stateful(formula: str) -> bool:
    return any(
        getattr(transform, "__stateful_transform__", False) and re.search(rf"\b{name}\s*\(", formula)
        for name, transform in TRANSFORMS.items()
    )


def _bind(terms: Sequence[Any], rows: pd.DataFrame) -> CommonEffectsMatrix:
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused, by the term's name
            return DesignMatrices(Model(*terms), rows, Environment([FUNCTIONS])).common
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, np.linalg.LinAlgError) as error:
        named = ", ".join(str(getattr(term, "name", term)) for term in terms)
        raise InputError(f"formula terms {named}: one of them cannot be computed ({error}). Check its columns and arguments.") from error


def _columns(common: CommonEffectsMatrix | None, rows: pd.DataFrame) -> np.ndarray:
    if common is None:
        return np.zeros((len(rows), 0))
    if list(common.terms) == ["Intercept"]:
        return np.ones((len(rows), 1))
    with np.errstate(all="ignore"):
        matrix = np.asarray(common.evaluate_new_data(rows).design_matrix, dtype=float)
    return matrix.reshape(len(rows), -1)


def _column_names(common: CommonEffectsMatrix | None) -> tuple[str, ...]:
    return () if common is None else tuple(label for term in common.terms.values() for label in term.labels)


def _center_and_scale(
    matrix: np.ndarray, names: Sequence[str], n: np.ndarray, intercept: bool
) -> tuple[np.ndarray, np.ndarray]:
    for column, name in enumerate(names):
        if not np.isfinite(matrix[:, column]).all():
            raise InputError(f"formula term '{name}' is not finite at every respondent. Check the transform.")
    mean = n @ matrix / n.sum()
    sd = np.sqrt(n @ (matrix - mean) ** 2 / n.sum())
    sd = np.where(sd <= 1e-12 * np.abs(mean), 0.0, sd)  # the same number everywhere, up to the rounding of its mean
    binary = np.isin(matrix, (0.0, 1.0)).all(axis=0)
    for column, name in enumerate(names):
        if sd[column] == 0 and mean[column] != 0 and intercept:
            raise InputError(
                f"formula term '{name}' is the same for every respondent, so it repeats the intercept. Leave it out."
            )
    return (mean if intercept else np.zeros_like(mean)), np.where(binary | (sd == 0), 1.0, 2 * sd)


def _refuse_repeated(matrix: np.ndarray, names: Sequence[str], n: np.ndarray, intercept: bool) -> None:
    """Refuse a column that is a linear combination of those before it; levels without respondents are all zero and fine."""
    seen = np.ones((int((n > 0).sum()), 1)) if intercept else np.zeros((int((n > 0).sum()), 0))
    for column, name in enumerate(names):
        values = matrix[n > 0, column]
        if not values.any():
            continue
        fit = seen @ np.linalg.lstsq(seen, values, rcond=None)[0] if seen.shape[1] else np.zeros_like(values)
        if np.abs(values - fit).max() < 1e-9 * np.abs(values).max():
            raise InputError(
                f"formula term '{name}' repeats the terms before it (collinear), so their effects cannot "
                "be told apart. Leave one of them out."
            )
        seen = np.column_stack([seen, values])


def _refuse_confusable(formula: str, groups: Sequence[GroupTerm]) -> None:
    """Refuse group terms whose parameters would have the name of another parameter, or levels the name of another level."""
    names = [group.name for group in groups]
    for group in groups:
        factor = ":".join(group.factors)
        if group.name in TAKEN or names.count(group.name) > 1:
            raise InputError(
                f"formula '{formula}': the effects of '{factor}' would be called '{group.name}', which is "
                f"taken. Rename the column '{group.factors[0]}'."
            )
        if len(set(group.levels)) < len(group.levels):
            raise InputError(f"formula '{formula}': two levels of '{factor}' have the same text. Rename a level.")


def _group_term(
    written: tuple[Factor, ...], terms: Sequence[Any], rows: pd.DataFrame, like: pd.DataFrame, n: np.ndarray
) -> GroupTerm:
    factors, kinds = tuple(f.column for f in written), tuple(f.kind for f in written)
    expression = _bind([term.expr for term in terms], rows)
    matrix, columns = _columns(expression, like), _column_names(expression)
    intercepts = np.array([name == "Intercept" for name in columns])
    centers = np.where(intercepts, 0.0, n @ matrix / n.sum())
    labels = level_labels(like, factors)
    levels = _levels(like, factors)
    sampled = np.isin(levels, labels[np.asarray(n) > 0].unique())
    own = tuple(_levels(like, (name,)) for name in factors)
    correlated = any(f.correlated for f in written)
    return GroupTerm(term_name(written), factors, columns, expression, centers, levels, sampled, kinds, own, correlated)


def informed(term: GroupTerm, column: str, known: Collection[str]) -> GroupTerm:
    """A group term whose levels of a column are ``known`` from elsewhere, as if they had respondents."""
    if column not in term.factors:
        return term
    i = term.factors.index(column)
    sizes = [len(levels) for levels in term.factor_levels]
    here = np.isin(term.factor_levels[i], list(known)).reshape([-1 if k == i else 1 for k in range(len(sizes))])
    return term._replace(sampled=(term.sampled.reshape(sizes) | here).ravel())


def _lower(term: GroupTerm, groups: Sequence[GroupTerm], alone: set[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """The proper subsets of a term's factors that have the same effects themselves; ``alone`` have them as common effects."""
    found = {frozenset(group.factors) for group in groups if set(group.columns) >= set(term.columns)}
    if term.columns == ("Intercept",):
        found |= alone
    return (frozenset(), *sorted((s for s in found if s < frozenset(term.factors)), key=sorted))


def _levels(like: pd.DataFrame, factors: tuple[str, ...]) -> tuple[str, ...]:
    per_factor = [
        like[f].cat.categories if isinstance(like[f].dtype, pd.CategoricalDtype) else np.sort(like[f].unique())
        for f in factors
    ]
    grid = pd.MultiIndex.from_product(per_factor).to_frame(index=False, name=list(factors))
    return tuple(level_labels(grid, factors))


def _level_index(rows: pd.DataFrame, factors: tuple[str, ...], levels: tuple[str, ...]) -> np.ndarray:
    labels = level_labels(rows, factors)
    index = pd.Index(levels).get_indexer(pd.Index(labels))
    if (index < 0).any():
        raise InputError(
            f"{' × '.join(factors)}: level '{labels[index < 0].iloc[0]}' is neither in the sample nor in the "
            "population frame given to the fit."
        )
    return index


def _conform_column(column: pd.Series, like: pd.Series) -> pd.Series:
    if not isinstance(like.dtype, pd.CategoricalDtype):
        numbers = pd.to_numeric(column, errors="coerce").astype(float)
        if numbers.isna().any():
            raise InputError(f"column '{column.name}': not a number, found {column[numbers.isna()].tolist()[0]!r}.")
        return numbers
    text = column.astype(object).map(lambda value: str(value) if pd.notna(value) else None)
    unknown = sorted(set(text.dropna()) - set(like.cat.categories))
    if unknown or text.isna().any():
        raise InputError(
            f"column '{column.name}': level '{unknown[0] if unknown else 'missing'}' is neither in the sample "
            f"nor in the population frame; known are: {', '.join(like.cat.categories)}."
        )
    return text.astype(like.dtype)
