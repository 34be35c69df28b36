"""The section of a survey's report on robustness: support and its change under every model tried, and how well each predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, stored
from bayes_listexp.changes import change_summary
from bayes_listexp.comparison import compare
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.survey_changes import change_in_means_of, in_words
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import Column, Interval, Number, Percent, Points, Table, Text, percent

OWN = "this report's model"
CHOICES = {"response": "Answers", "counts": "Control counts", "dependence": "Dependence of counts and trait"}
"""Settings that the specification curve always shows."""
OTHERS = {"trait": "Formula of the trait", "control": "Formula of the control counts", "instruments": "Instruments", "priors": "Priors",
          "weighting": "Weighting", "person": "Effects of persons", "lapses": "Formulas of lapses"}
"""Settings that it shows where the models differ in them."""
WORDS = {"beta_binomial": "beta-binomial", "com_binomial": "COM-binomial", "poisson_binomial": "Poisson-binomial", "top_coded": "top-coded"}


def robustness_section(survey: Survey) -> Section:
    """Support and its change under this report's model and its alternatives: specification curves, and what predicts best.

    With a single alternative the models are two rows of a figure with their names; with more they are numbered columns over a
    matrix of what they assume.
    """
    trees = {OWN: survey.tree, **survey.alternatives}
    draws = {name: estimates.prevalence(tree) for name, tree in trees.items()}
    scores = compare(trees)
    frame = _summaries(draws).merge(scores[["model", "elpd"]], on="model", sort=False)
    frame = frame.assign(**{name: _levels(list(trees.values()), name) for name in [*CHOICES, *OTHERS]})
    dim = difference_in_means(survey.study, weighted=survey.study.weighted).iloc[0]
    together = " and ".join(["all waves"] * bool(survey.study.waves) + ["all items"] * bool(survey.study.items))
    blocks: list[Block] = [_curve(survey, frame, dim, f"{together} together" if together else "", change=False)]
    blocks.append(_scores_table(frame, scores))
    if survey.waves:
        first, second = survey.waves
        changes = {name: estimates.change(tree, first, second)["change"] for name, tree in trees.items()}
        if len(trees) > 2:
            moved = frame.drop(columns=["estimate", "lower", "upper"]).merge(_summaries(changes), on="model", sort=False)
            both = change_in_means_of(survey, first, second, []).iloc[0]
            blocks.append(_curve(survey, moved, both, f"{first} to {second}", change=True))
        blocks.append(_change_table(changes))
    lead = (
        f"Under the {len(trees)} models tried, support is between {percent(frame['estimate'].min())} and "
        f"{percent(frame['estimate'].max())}. They differ in what they assume on lying, careless answers or control counts."
    )
    return Section("robustness", "Robustness", lead, tuple(blocks))


def _summaries(draws: Mapping[str, xr.DataArray]) -> pd.DataFrame:
    """One row a model: `model`, `estimate` (median), `lower`, `upper`."""
    rows = pd.concat([estimates.summarise(one) for one in draws.values()], ignore_index=True)
    return pd.DataFrame({"model": list(draws), "estimate": rows["median"], "lower": rows["lower"], "upper": rows["upper"]})


def _curve(survey: Survey, frame: pd.DataFrame, dim: pd.Series, subtitle: str, *, change: bool) -> Block:
    """The estimate under every model: rows by name of two models, the specification curve of more."""
    beside = (float(dim["estimate"]), float(dim["lower"]), float(dim["upper"])) if np.isfinite(dim["upper"]) else None
    title = "Change in support under other models" if change else "Support under other models"
    label = "Support, % of the population" if survey.study.population is not None else "Support, %"
    label = "Change in support, percentage points" if change else label
    caption = "The same estimand under every model tried."
    if len(frame) == 2:
        fig = figures.robustness(frame, dim=beside, chosen=OWN, title=title, subtitle=subtitle, label=label)
    else:
        fig = figures.specification_curve(
            frame, _choices(frame), dim=beside, chosen=OWN, change=change, title=title, subtitle=subtitle, label=label
        )
        caption += " Each column is a model, the smallest estimate first; squares say what it assumes, and the table below has its name."
    name = "change-robustness" if change else "robustness"
    return figure(fig, name=name, synthetic=survey.study.synthetic, caption=caption)


def _choices(frame: pd.DataFrame) -> dict[str, str]:
    """The settings of the matrix: answers, counts and dependence, and what else the models differ in."""
    return CHOICES | {name: words for name, words in OTHERS.items() if len(set(frame[name])) > 1}


def _levels(trees: list[xr.DataTree], setting: str) -> list[str]:
    """What each model has for a setting, in words; of a table of settings only those entries in which the models differ.

    Priors and lapses of parameters that some of the models do not have follow from the response, and are no choice of their own.
    """
    values = [stored.fact(tree, "specification").get(setting) for tree in trees]
    tables = [value for value in values if isinstance(value, Mapping)]
    names = [set(table) for table in tables]
    shared = sorted((set.union if setting == "instruments" else set.intersection)(*names)) if names else []
    apart = [name for name in shared if len({json.dumps(table.get(name), sort_keys=True, default=str) for table in tables}) > 1]
    return [_level(setting, value, apart) for value in values]


def _level(setting: str, value: Any, apart: list[str]) -> str:
    """One model's setting in words."""
    if setting == "control" and value is None:
        return "as the trait"
    if isinstance(value, str):
        return WORDS.get(value, value.replace("_", " ") if setting in CHOICES else value)
    if setting == "response" and isinstance(value, Mapping):
        return ", ".join(value)
    own = {name: value[name] for name in apart if name in value} if isinstance(value, Mapping) else {}
    return "; ".join(f"{name}: {_entry(one)}" for name, one in own.items()) or "as by default"


def _entry(value: Any) -> str:
    return ", ".join(f"{name} = {one}" for name, one in value.items()) if isinstance(value, Mapping) else str(value)


def _scores_table(frame: pd.DataFrame, scores: pd.DataFrame) -> Table:
    """Models by leave-one-out cross-validation, with their estimates and their numbers in the figure."""
    numbers = frame.assign(number=figures.specification_order(frame))[["model", "number", "estimate", "lower", "upper"]]
    rows = scores.merge(numbers, on="model", sort=False)
    columns: tuple[Column, ...] = (
        Text("model", "Model"),
        *([Number("number", "No.")] if len(frame) > 2 else []),
        Percent("estimate", "Support"),
        Interval("lower", "upper", "95 % interval"),
        Number("elpd", "LOO elpd", 1),
        Number("elpd_diff", "Difference to the best", 1),
        Number("dse", "its s.e.", 1),
        Number("weight", "Stacking weight", 2),
        Number("bad_k", "High Pareto k"),
    )
    note = "Difference in expected log predictive density; read it against its standard error."
    return Table("models", rows, "Leave-one-out comparison", columns, note)


def _change_table(changes: Mapping[str, xr.DataArray]) -> Table:
    frame = pd.concat([in_words(change_summary(draws)).assign(model=name) for name, draws in changes.items()], ignore_index=True)
    columns = (
        Text("model", "Model"),
        Points("median", "Change", 1),
        Interval("lower", "upper", "95 % interval", points=True),
        Text("fell", "P(decline)"),
    )
    return Table("change-models", frame, "Change in support under every model tried", columns)
