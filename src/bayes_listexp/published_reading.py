"""Sections of a published table's report for readers: what its numbers mean, thresholds to try out, and what was assumed."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from bayes_listexp.explorer import HIGH, Explorer, Level, change_levels, share_levels
from bayes_listexp.published.table import TOTAL, PublishedTable
from bayes_listexp.report import Facts, Items, Paragraph, Section
from bayes_listexp.report_text import reading_words

EVERYBODY, ALONE, COHERENT = "everybody", "the total row alone", "made coherent with the groups"


def total_draws(tree: xr.DataTree, table: PublishedTable) -> xr.DataArray:
    """Draws of the total's support (chain, draw), 0 to 1, from a fit of the table or of its total alone."""
    return tree["posterior"].to_dataset()["support"].sel(row=table.total.name)


def reading_section(draws: xr.DataArray) -> Section:
    """What an interval, a probability and a contradiction say, with these draws of the total's support (0 to 1)."""
    texts = (
        *reading_words(draws, "The printed means, their rounding, and variances that nobody printed leave"),
        "The difference of the printed means uses no model. Its interval is of another kind: of many such surveys, 95 % would have "
        "intervals that hold the truth. It may run below 0 or above 100 %.",
        "A contradiction says that numbers in print cannot all be right, not which of them is wrong, and not why.",
    )
    lead = "What an interval, a probability and a contradiction say."
    return Section("reading", "How to read this page", lead, (Items(texts),))


def thresholds_section(table: PublishedTable, total_tree: xr.DataTree, tree: xr.DataTree, sensitive_item: str) -> Section:
    """Choose a variable of the table and a threshold: P(support > threshold) for each of its rows."""
    support = tree["posterior"].to_dataset()["support"]
    whole = {ALONE: total_draws(total_tree, table).to_numpy(), COHERENT: total_draws(tree, table).to_numpy()}
    views: dict[tuple[str, ...], tuple[Level, ...]] = {(EVERYBODY,): share_levels(whole)}
    for group in dict.fromkeys(row.group for row in table.rows if row.group != TOTAL):
        views[(group,)] = share_levels({row.level: support.sel(row=row.name).to_numpy() for row in table.rows if row.group == group})
    choices = (("Group", tuple(group for (group,) in views)),)
    block = Explorer("thresholds", f"Probability that support for {sensitive_item} exceeds a threshold", choices, views)
    lead = (
        "Is there a majority? Choose a group and move the threshold: the last column is the probability that support exceeds it, given the "
        "printed means. The strips show the posterior\u2019s draws from 0 to 100 %, dark above the threshold."
    )
    return Section("thresholds", "Try a threshold", lead, (block,))


def change_explorer(change: xr.DataArray, with_groups: xr.DataArray, caption: str) -> Explorer:
    """A threshold of the change to the later wave, for draws (-1 to 1) of the total alone and with its groups."""
    levels = change_levels({ALONE: change.to_numpy(), COHERENT: with_groups.to_numpy()})
    return Explorer("changes", caption, (), {(): levels}, quantity="Change", threshold=-20, low=-HIGH)


def priors_section(draws: xr.DataArray, assumptions: str) -> Section:
    """What was assumed (as `fit_published` stores it), and how far the printed means moved these draws of support away from it."""
    low, high = np.quantile(draws, [0.025, 0.975])
    lead = (
        "Before the table was read, support could be anything from 0 to 100 %. The printed means leave an interval "
        f"{100 * (high - low):.0f} points wide."
    )
    ratio = float(draws.var()) * 12  # a uniform distribution has variance 1/12
    blocks = (
        Facts(tuple((name[0].upper() + name[1:], str(text)) for name, text in json.loads(assumptions).items())),
        Paragraph(f"The posterior variance of support is {ratio:.0%} of its prior variance."),
    )
    return Section("priors", "Priors and their weight", lead, blocks)
