"""Whether the fitted model reproduces what was observed, and how much of the result is its prior's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm

from bayes_listexp import stored
from bayes_listexp.checks.record import LEVEL, Check
from bayes_listexp.comparison import left_out, loo
from bayes_listexp.multiple_tests import holm
from bayes_listexp.predictive import answers_by_arm

MANY_SURPRISES = 0.01
MOST_LEVELS = 10


def answers_predicted(tree: xr.DataTree) -> Check:
    """Whether the observed number of each answer in each arm lies in its 99 % posterior predictive interval."""
    table = answers_by_arm(tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset(), probability=0.99)
    outside = table[(table["n"] < table["lower"]) | (table["n"] > table["upper"])]
    lists = [f"{version} " for version in outside["version"]] if "version" in outside else [""] * len(outside)
    named = ", ".join(f"{v}{a} answer {k}" for v, a, k in zip(lists, outside["arm"], outside["answer"], strict=True))
    text = (f"Outside the model's 99 % interval: {named}." if len(outside) else
            "Every number of answers lies in the model's 99 % predictive interval.")
    advice = ("Where answers 0 or J + 1 are missed, try a response model (liars, top_coded, uniform); where those between are, counts = "
              "'softmax' or another dependence; compare by LOO.")
    return Check("answers predicted", "Does the model reproduce the answers of each arm?", outside.empty, float(len(outside)), table, text,
                 advice=advice)


def groups_predicted(tree: xr.DataTree, by: Sequence[str] | None = None) -> list[Check]:
    """Whether the mean answer of each group in each arm is as the model predicts: one Check, none without groups.

    ``by`` are columns of the model's cells, by default all with at most ten levels. The distance of an observed mean from the
    predictive mean, in predictive standard deviations, is taken for normal, and p-values are adjusted by Holm's method over all
    groups and arms; as the model has seen the data, they are rather too large.
    """
    rows = [row for column in _columns(tree, by) for row in _of_column(tree, column)]
    if not rows:
        return []
    table = pd.DataFrame(rows, columns=["column", "level", "arm", "n", "mean", "predicted", "sd"])
    z = (table["mean"] - table["predicted"]) / table["sd"].where(table["sd"] > 0)
    table["z"], table["p"] = z, 2 * norm.sf(np.abs(z))
    table["p adjusted"] = holm(table["p"].to_numpy())
    outside = table[table["p adjusted"] < LEVEL]
    named = ", ".join(f"{r.column} {r.level} ({r.arm} arm: {r.mean:.2f}, predicted {r.predicted:.2f})" for r in outside.itertuples())
    text = (f"The model misses the mean answer of {named}." if len(outside) else
            f"All {len(table)} mean answers of groups by arm are as the model predicts, up to chance "
            f"({', '.join(dict.fromkeys(table['column']))}).")
    advice = ("Add these columns to the formula of the trait or of the control counts (a miss in both arms is of the counts, one in the "
              "treatment arm alone of the trait).")
    return [Check("groups predicted", "Does the model reproduce the mean answers of groups?", outside.empty, float(z.abs().max()),
                  table, text,
                  advice=advice)]


def _columns(tree: xr.DataTree, by: Sequence[str] | None) -> list[str]:
    frame = stored.blueprint_of(tree).cells.frame
    return [str(name) for name in frame.columns if (frame[name].nunique() <= MOST_LEVELS if by is None else name in by)]


def _of_column(tree: xr.DataTree, column: str) -> Iterator[tuple[str, str, str, int, float, float, float]]:
    """Observed and predicted mean answers by level of a column and arm, of those who were shown the same list."""
    observed, replicated = tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset()
    for part in stored.blueprint_of(tree).parts:
        levels = part.cells.frame[column]
        for arm in part.arms:
            name = part.tagged(f"answer_{arm}")
            counts = observed[name].to_numpy()
            drawn = replicated[name].to_numpy().reshape(-1, *counts.shape)
            answer = np.arange(counts.shape[1])
            for level in pd.unique(levels.dropna()):
                cells = (levels == level).to_numpy()
                n = int(counts[cells].sum())
                if n:
                    means = (drawn[:, cells] @ answer).sum(axis=1) / n
                    yield column, str(level), arm, n, float((counts[cells] @ answer).sum() / n), float(means.mean()), float(means.std())


def surprising_respondents(tree: xr.DataTree) -> Check:
    """How many respondents the leave-one-out comparison cannot leave out, as the posterior hangs on them (Pareto k above its limit)."""
    result = loo(tree)
    n = left_out(tree)[1]
    high = result.pareto_k.to_numpy() > result.good_k
    bad, total = int(n[high].sum()), int(n.sum())
    worst = float(np.nanmax(result.pareto_k.to_numpy()))
    text = f"{bad:,} of {total:,} respondents have a Pareto k above {result.good_k:.2f}; the largest is {worst:.2f}."
    text += " Comparisons of models by LOO rest on them." if bad else ""
    advice = ("Look at who they are (loo(tree).pareto_k, by pattern): often a rare answer in a small cell. Comparisons by LOO are not "
              "to be trusted where they are many; a response model with errors may digest them.")
    passed = True if not bad else None if bad < MANY_SURPRISES * total else False
    return Check("influential respondents", "Does the result hang on single respondents?", passed, worst, None, text, advice=advice)


def prior_and_data(table: pd.DataFrame) -> Check:
    """Whether estimates would move with a slightly stronger prior: a table of :func:`bayes_listexp.power_scaling` as a check."""
    conflict = table.loc[table["diagnosis"] == "prior-data conflict", "quantity"].tolist()
    weak = table.loc[table["diagnosis"] == "weak likelihood", "quantity"].tolist()
    text = "The estimates hardly depend on the prior." if not conflict and not weak else ""
    text += f"Prior and data pull in different directions: {', '.join(conflict)}." if conflict else ""
    text += f"{' ' if conflict else ''}The data say little beside the prior: {', '.join(weak)}." if weak else ""
    advice = "Say what the priors rest on, and show the estimate under wider ones (priors = {trait_intercept = ...}) beside this one."
    return Check("prior and data", "Do prior and data agree?", None if conflict or weak else True,
                 float(table["prior"].iloc[0]), table, text, advice=advice)
