"""Sections of a survey's report for readers: what its numbers mean, and thresholds to try out."""

from __future__ import annotations

from itertools import product

import numpy as np
import xarray as xr

from bayes_listexp import estimates
from bayes_listexp.explorer import Explorer, Level, by_percent
from bayes_listexp.report import Items, Section
from bayes_listexp.survey_results import Survey, along_of
from bayes_listexp.tables import interval, percent

EVERYBODY = "everybody"


def reading_section(survey: Survey) -> Section:
    """What an interval, a probability and a difference in means say, in plain words, with this survey's own numbers."""
    draws = estimates.prevalence(survey.tree)
    row = estimates.summarise(draws).iloc[0]
    n = draws.sizes["chain"] * draws.sizes["draw"]
    drawn, inside = f"{n:,}", f"{round(0.95 * n):,}"
    between = interval(row["lower"], row["upper"])
    together = " and ".join(["all waves"] * bool(survey.study.waves) + ["all items"] * bool(survey.study.items))
    texts = (
        f"95 % of what? The model and the answers leave a range of possible values of support. The fit drew {drawn} of them, each as "
        f"credible as the next, and {inside} of these lie in the interval: support{f' ({together} together)' * bool(together)} is "
        f"{between} with probability 95 %. It is not 95 % of the people, and not the range of their opinions.",
        f"The number before an interval is the median: half of the draws lie above it. Here that is {percent(row['median'])}.",
        "\u201cThe probability that \u2026\u201d is the share of these draws in which it is so. It holds if the model does; the checks "
        "below say how far to trust it.",
        "The difference in means uses no model. Its interval is of another kind: of many such surveys, 95 % would have intervals that hold "
        "the truth. It may run below 0 or above 100 %, because chance differences between the two halves of the sample do.",
        "Nobody\u2019s own answer to the sensitive question is known. Respondents only gave a number of items, so every figure here is "
        "about groups.",
    )
    lead = "What an interval, a probability and a difference in means say."
    return Section("reading", "How to read this page", lead, (Items(texts),))


def explorer_section(survey: Survey) -> Section:
    """Choose group, wave and item, and a threshold: P(support > threshold) for every group, from the draws of `estimates.prevalence`."""
    along = along_of(survey)
    groups = [g for g in survey.by if g not in along]
    options = {name: tuple(survey.study.waves if name == survey.study.wave else survey.study.items) for name in along}
    views: dict[tuple[str, ...], tuple[Level, ...]] = {}
    for group in ("", *groups):
        draws = estimates.prevalence(survey.tree, by=[*([group] if group else []), *along])
        for chosen in product(*options.values()):
            part = draws.sel(dict(zip(along, chosen, strict=True)))
            views[(group or EVERYBODY, *map(str, chosen))] = _levels(part, group)
    titles = {survey.study.wave: "Wave", survey.study.item: "Item"}
    # the last wave comes first: it is what readers ask for
    choices = [("Group", (*groups, EVERYBODY))]
    choices += [(titles[name], tuple(map(str, options[name][::-1] if name == survey.study.wave else options[name]))) for name in along]
    block = Explorer("thresholds", f"Probability that support for {survey.study.sensitive_item} exceeds a threshold", tuple(choices), views)
    lead = (
        "Is there a majority? Choose a group and move the threshold: the last column is the probability that support exceeds it, the share "
        "of the posterior\u2019s draws above it. The strips show these draws from 0 to 100 %, dark above the threshold."
    )
    return Section("thresholds", "Try a threshold", lead, (block,))


def _levels(draws: xr.DataArray, group: str) -> tuple[Level, ...]:
    """The groups in which somebody is, from the most support to the least."""
    rows = estimates.summarise(draws)
    if not group:
        rows[group] = EVERYBODY
    order = rows.sort_values("median", ascending=False, kind="stable")
    return tuple(
        Level(str(row[group]), percent(row["median"]), interval(row["lower"], row["upper"]),
              by_percent(np.clip(draws.sel({group: row[group]} if group else {}).to_numpy(), 0, 1)))
        for _, row in order.iterrows()
    )
