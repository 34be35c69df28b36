"""How much of an estimate is the group's own: pooling of group effects, and what the list is worth in direct answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, stored
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import Population, prevalence
from bayes_listexp.formulas import level_labels


def pooling(tree: xr.DataTree, *, by: str | Sequence[str], population: Population = None) -> pd.DataFrame:
    """What the data say about each group of ``by``, beside what they say about everybody: one row per group.

    Columns: the groups; ``n``, respondents; ``median``, ``lower``, ``upper`` of the prevalence (0 to 1); ``worth``, how many
    direct answers, all truthful, would leave as much uncertainty, P(1 - P) / Var(P), with the list, the priors and the other groups
    all contributing; ``pooling``, the pooling factor of the group's own effect on the logit of the prevalence, where the
    formula has one: its posterior variance over the variance that effects of such groups have (Gelman & Pardoe 2006). At 1
    nothing is known of the group beside what is known of the others, at 0 it stands for itself.

    Raises
    ------
    InputError : a column that the population does not have.
    """
    names = [by] if isinstance(by, str) else list(by)
    if not names:
        raise InputError("pooling: name the columns whose groups are meant with `by`.")
    draws = prevalence(tree, by=names, population=population)
    rows = estimates.summarise(draws)
    plan = stored.blueprint_of(tree)
    table = pd.DataFrame({
        **{name: rows[name] for name in names},
        "n": _sizes(plan.cells.frame, plan.cells.n, rows, names),
        **{name: rows[name] for name in ("median", "lower", "upper")},
        "worth": rows["mean"] * (1 - rows["mean"]) / rows["sd"] ** 2,
    })
    factors = _factors(tree, names)
    labels = level_labels(table, names)
    return table.assign(pooling=[factors.get(label, np.nan) for label in labels])


def _sizes(frame: pd.DataFrame, n: np.ndarray, rows: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Respondents of each row's group; NaN where the cells do not keep a column apart."""
    if not set(names) <= set(frame.columns):
        return np.full(len(rows), np.nan)
    counted = pd.Series(n).groupby(level_labels(frame, names)).sum()
    return counted.reindex(level_labels(rows, names)).fillna(0).to_numpy(dtype=int)


def _factors(tree: xr.DataTree, names: list[str]) -> dict[str, float]:
    """Pooling factors by level of the term over these very columns; none if the formula has no such term."""
    plan = stored.blueprint_of(tree)
    terms = [t for t in plan.designs["trait"].groups if sorted(t.factors) == sorted(names) and "Intercept" in t.columns]
    if not terms or "prior" not in tree.children:
        return {}
    term = terms[0]
    column, name = term.columns.index("Intercept"), f"trait_{term.name}"

    def of(group: str, variable: str) -> np.ndarray:
        values = tree[group][variable].to_numpy()
        return values.reshape(-1, *values.shape[2:])[:, column]

    unit = (of("prior", name) / of("prior", f"{name}_sd")[:, None]).var(axis=0)
    spread = (of("posterior", f"{name}_sd") ** 2).mean() * unit
    factors = np.minimum(of("posterior", name).var(axis=0) / spread, 1.0)
    order = [term.factors.index(n) for n in names]
    labels = [":".join(np.array(level.split(":"))[order]) if len(order) > 1 else level for level in term.levels]
    return dict(zip(labels, factors.tolist(), strict=True))
