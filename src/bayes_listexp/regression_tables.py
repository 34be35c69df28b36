"""The regression table as journals print it: models side by side, estimates with their spread below them, facts at the foot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import stored
from bayes_listexp.checks import converged
from bayes_listexp.coefficients import coefficient_table
from bayes_listexp.comparison import loo
from bayes_listexp.errors import InputError
from bayes_listexp.importance import Approximation
from bayes_listexp.tables import Estimate, Table, Text

PANELS = {"trait": "Trait (logit of the prevalence)", "control": "Control counts (linear predictor)"}
"""Headings of the sub-models that every fit has; others are headed by their own names."""
FOOT = "Model"
BELOW = {"sd": "standard deviations in parentheses", "interval": "equal-tailed 95 % intervals in brackets"}
COLUMNS = ("estimate", "std_error", "conf_low", "conf_high", "text")


def regression_table(trees: Mapping[str, xr.DataTree], *, spread: Literal["sd", "interval"] = "sd", name: str = "regression") -> Table:
    """Fits side by side: a column for each, a row for each term, panels for the sub-models, and facts on the fits at the foot.

    Parameters
    ----------
    trees : fits of :func:`bayes_listexp.fit` by the heading of their column; of the same study or of different ones.
    spread : what stands below an estimate, the posterior median: "sd", its standard deviation, or "interval", its 95 % interval.
    name : stem of the table's files.

    Returns
    -------
    A table that ``bayes_listexp.tables``, ``markdown_tables`` and ``word_tables`` write. Its frame has one row per term, ``part``,
    ``panel`` and ``term``, and for each fit ``<name>: estimate``, ``std_error``, ``conf_low``, ``conf_high`` (unrounded; for LOO elpd
    its standard error) and ``text`` (what is no number). A term that a fit does not have is empty.

    Raises
    ------
    InputError : no fits, one that has no posterior or was not made by :func:`bayes_listexp.fit`, or an unknown ``spread``.
    """
    if not trees:
        raise InputError("regression_table: no fits were given.")
    if spread not in BELOW:
        raise InputError(f"regression_table: spread = '{spread}' must be one of: {', '.join(BELOW)}.")
    columns = {model: pd.concat([_terms(tree), _facts(tree)]) for model, tree in trees.items()}
    order = list(dict.fromkeys(key for column in columns.values() for key in column.index))
    parts = [part for part in dict.fromkeys(part for part, _ in order) if part != FOOT] + [FOOT]
    index = pd.MultiIndex.from_tuples(sorted(order, key=lambda key: parts.index(key[0])), names=["part", "term"])
    wide = pd.concat([column.reindex(index).add_prefix(f"{model}: ") for model, column in columns.items()], axis=1).reset_index()
    wide.insert(1, "panel", [PANELS.get(part, part[:1].upper() + part[1:]) for part in wide["part"]])
    ends = {model: f"{model}: std_error" if spread == "sd" else (f"{model}: conf_low", f"{model}: conf_high") for model in trees}
    shown: list[Any] = [Estimate(f"{model}: estimate", ends[model], model, 2, f"{model}: text") for model in trees]
    caption = "Coefficients" if len(trees) == 1 else "Coefficients of the models, side by side"
    return Table(name, wide, caption, (Text("term", "Term"), *shown), _note(trees, spread), "panel")


def _terms(tree: xr.DataTree) -> pd.DataFrame:
    """The coefficients of one fit, by sub-model and term."""
    table = coefficient_table(tree).set_index(["part", "term"])
    named = table.rename(columns={"median": "estimate", "sd": "std_error", "lower": "conf_low", "upper": "conf_high"})
    return named.assign(text=None)[list(COLUMNS)].astype({"text": object})


def _facts(tree: xr.DataTree) -> pd.DataFrame:
    """What stands at the foot: what was assumed of answers and counts, how many people and items, and the LOO elpd."""
    model = stored.fact(tree, "specification")
    lists = json.loads(tree.attrs.get("lists", "{}"))
    facts: dict[str, str | tuple[float, float]] = {
        "Response model": str(model["response"]).replace("_", " "),
        "Control counts": str(model["counts"]).replace("_", " "),
        "Dependence on the trait": str(model["dependence"]),
        "Control items (J)": ", ".join(map(str, lists.values())) or str(tree.attrs["J"]),
        "Respondents (N)": f"{int(tree['observed_data']['pattern_n'].sum()):,}",
    }
    if "log_likelihood" in tree.children:
        score = loo(tree)
        facts["LOO elpd (s.e.)"] = (float(score.elpd), float(score.se))
    rows = [(*fact, np.nan, np.nan, None) if isinstance(fact, tuple) else (*[np.nan] * 4, fact) for fact in facts.values()]
    index = pd.MultiIndex.from_product([[FOOT], list(facts)], names=["part", "term"])
    return pd.DataFrame(rows, columns=list(COLUMNS), index=index).astype(dict.fromkeys(COLUMNS[:4], float) | {"text": object})


def _note(trees: Mapping[str, xr.DataTree], spread: str) -> str:
    """What the numbers are, and which fits they must not be relied on."""
    said = [f"Posterior medians, {BELOW[spread]}; linear predictors on the scale of the formula's columns."]
    said += ["sd(.. | ..): spread of group effects."]
    said += ["LOO elpd: leave-one-out expected log predictive density, comparable between fits that predict the same data only."]
    quick = [name for name, tree in trees.items() if stored.fact(tree, "arguments").get("method") != "nuts"]
    corrected = [name for name in quick if (told := Approximation.of(trees[name])) and told.corrected]
    approximate = [name for name in quick if name not in corrected]
    doubtful = [name for name, tree in trees.items() if name not in quick and not converged(tree)]
    said += [f"Normal approximation at the mode, not sampled: {', '.join(approximate)}."] * bool(approximate)
    said += [f"Draws around the mode, corrected by importance weights, not sampled: {', '.join(corrected)}."] * bool(corrected)
    said += [f"Did not converge: {', '.join(doubtful)}."] * bool(doubtful)
    return " ".join(said)
