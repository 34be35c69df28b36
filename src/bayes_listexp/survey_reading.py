"""Sections of a survey's report for readers: what its numbers mean, and thresholds to try out."""

from __future__ import annotations

from itertools import product

import numpy as np
import xarray as xr

from bayes_listexp import estimates
from bayes_listexp.explorer import HIGH, Explorer, Level, change_levels, share_levels
from bayes_listexp.report import Items, Section
from bayes_listexp.report_text import reading_words
from bayes_listexp.survey_results import Survey, along_of, changes_of

EVERYBODY = "everybody"


def reading_section(survey: Survey) -> Section:
    """What an interval, a probability and a difference in means say, in plain words, with this survey's own numbers."""
    together = " and ".join(["all waves"] * bool(survey.study.waves) + ["all items"] * bool(survey.study.items))
    about = f" ({together} together)" if together else ""
    texts = (
        *reading_words(estimates.prevalence(survey.tree), "The model and the answers leave", about),
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


def change_explorer_section(survey: Survey) -> Section:
    """Choose a group and a threshold of the change: P(fall of so many points) for every group, from the draws of `estimates.change`."""
    item, (first, second) = survey.study.item, survey.waves or ("", "")
    groups = [g for g in survey.by if g not in (item, survey.study.wave)]
    views: dict[tuple[str, ...], tuple[Level, ...]] = {}
    for group in ("", *groups):
        draws = changes_of(survey, by=group or ())["change"]
        for chosen in survey.study.items if item else [None]:
            part = draws.sel({item: chosen}) if item else draws
            views[(group or EVERYBODY, *([str(chosen)] if item else []))] = _levels(part, group, change=True)
    kept = [group for group in (*groups, EVERYBODY) if any(levels for chosen, levels in views.items() if chosen[0] == group)]
    choices = [("Group", tuple(kept)), *([("Item", tuple(map(str, survey.study.items)))] if item else [])]
    views = {chosen: levels for chosen, levels in views.items() if chosen[0] in kept}
    threshold = -round(100 * survey.delta)
    caption = f"Probability of a change in support for {survey.study.sensitive_item}, {first} to {second}"
    block = Explorer("changes", caption, tuple(choices), views, quantity="Change", threshold=threshold, low=-HIGH)
    most = block.ends[1]
    lead = (
        "How large was the change? Left of the middle the threshold asks for a fall of at least so many points, right of it for a rise. "
        f"The strips show the posterior\u2019s draws from \N{MINUS SIGN}{most} to +{most} points, dark where they lie beyond the "
        "threshold; the thin line is no change."
    )
    return Section("change-thresholds", "Try a threshold of the change", lead, (block,))


def _levels(draws: xr.DataArray, group: str, *, change: bool = False) -> tuple[Level, ...]:
    """The groups in which somebody is."""
    parts = [(str(level), draws.sel({group: level})) for level in draws[group].to_numpy()] if group else [(EVERYBODY, draws)]
    there = {label: part.to_numpy() for label, part in parts if not np.isnan(part).any()}
    return change_levels(there) if change else share_levels(there)
