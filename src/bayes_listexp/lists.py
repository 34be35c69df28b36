"""What each list version of a study has of its own: its people and observations, and the formula of its control counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from formulae.terms.variable import Variable

from bayes_listexp import syntax
from bayes_listexp.cells import ARMS, Cells, Incomplete
from bayes_listexp.instrument import Rows
from bayes_listexp.reporting import ReportTables
from bayes_listexp.structures import CORRELATED, EXCHANGEABLE
from bayes_listexp.versions import tag


class OwnList(NamedTuple):
    """A list version: its level in the version's column, its number of control items, and what people write down."""

    version: str
    J: int
    tables: ReportTables

    @property
    def label(self) -> str:
        """The version as names of parameters have it."""
        return tag(self.version)


def cells_of(cells: Cells, here: np.ndarray, J: int) -> Cells:
    """The cells of one version, ``here`` (cell,), with the answers that its list allows."""
    incomplete = None if cells.incomplete is None else _incomplete_of(cells.incomplete, here)
    padded = None if cells.placebo is None else cells.placebo[here, : J + 2]
    with_placebo = padded is not None and (padded.any() or (
        incomplete is not None and bool((incomplete.rows.arm == ARMS.index("placebo")).any())))
    return cells._replace(
        frame=cells.frame[here].reset_index(drop=True),
        control=cells.control[here, : J + 1],
        treatment=cells.treatment[here, : J + 2],
        placebo=padded if with_placebo else None,
        weight=cells.weight[here],
        unlisted=np.broadcast_to(cells.unlisted, len(here))[here],
        incomplete=incomplete,
    )


def rows_of(rows: Rows, here: np.ndarray) -> Rows:
    """The observations in the cells ``here`` (cell,), whose numbers are those among these cells."""
    return _chosen(rows, here[rows.cell])._replace(cell=(np.cumsum(here) - 1)[rows.cell[here[rows.cell]]])


def weights_of(relative: Mapping[str, np.ndarray], own: Cells, here: np.ndarray, rows: Rows | None) -> dict[str, np.ndarray]:
    """The relative weights of the observations of one version, whose cells are ``own``; ``rows`` are those of all versions."""
    if rows is not None:
        return {name: values[here[rows.cell]] for name, values in relative.items()}
    return {arm: relative[arm][here, : answers.shape[1]] for arm, answers in own.answers.items() if arm in relative}


def own_formula(text: str, frame: pd.DataFrame, n: np.ndarray) -> str:
    """The formula of one version's control counts: ``text`` without what does not vary among its respondents.

    ``n`` (cell,) are the respondents of each cell who were shown the version. A column of levels of which they have a single
    one, such as the wave of a list that was used once, has no effect that could be told from the intercept: it is left out of
    every term.
    """
    here = frame[n > 0]
    single = {str(name) for name in here.columns
              if isinstance(here[name].dtype, pd.CategoricalDtype) and (here[name] == here[name].iloc[0]).all()}
    if not single & set(syntax.variables(text, list(frame.columns))):
        return text
    parsed = syntax.parse(text)
    common = [_without(getattr(term, "components", []), single) for term in parsed.common_terms]
    intercept = ["1" if any(not getattr(term, "components", []) for term in parsed.common_terms) else "0"]
    grouped = []
    for factors, terms in syntax.by_factor(parsed.group_terms).items():
        left = [factor for factor in factors if factor.column not in single]
        inside = [_without(getattr(term.expr, "components", []), single) or "1" for term in terms]
        if left:
            grouped += [f"({'' if each == '1' else '0 + '}{each}|{':'.join(map(_written, left))})" for each in inside]
    return " + ".join(dict.fromkeys([*intercept, *filter(None, common), *grouped]))


def _without(components: Any, single: set[str]) -> str:
    """A term without the columns that do not vary; "" if nothing is left."""
    kept = [c for c in components if not set(c.var_names) - {""} or set(c.var_names) - {""} - single]
    return ":".join(c.name if not isinstance(c, Variable) or c.name.isidentifier() else f"`{c.name}`" for c in kept)


def _written(factor: syntax.Factor) -> str:
    """A factor of a group-specific term as formulas write it."""
    name = factor.column if factor.column.isidentifier() else f"`{factor.column}`"
    name = name if factor.kind == EXCHANGEABLE else f"{factor.kind}({name})"
    return f"{CORRELATED}({name})" if factor.correlated else name


def _chosen(rows: Rows, which: np.ndarray) -> Rows:
    fields = {name: getattr(rows, name)[which] for name in Rows._fields if name != "observed"}
    return Rows(observed={name: values[which] for name, values in rows.observed.items()}, **fields)


def _incomplete_of(incomplete: Incomplete, here: np.ndarray) -> Incomplete | None:
    """The respondents of one version who lack a covariate: the version itself nobody lacks, so all their candidates are in it."""
    patterns = here[incomplete.cell[:, 0]]
    if not patterns.any():
        return None
    rows = here[incomplete.rows.cell]
    return incomplete._replace(
        rows=rows_of(incomplete.rows, here),
        candidate=(np.cumsum(rows) - 1)[incomplete.candidate[patterns]],
        probability=incomplete.probability[patterns],
        size=incomplete.size[patterns],
        n=incomplete.n[patterns],
        weight=incomplete.weight[patterns],
    )
