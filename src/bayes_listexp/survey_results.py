"""What a survey's report is made from, its headline, and its section on support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.disclosure import small_groups
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.geography import RegionMap
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.tables import Column, Interval, Number, Percent, Table, Text, points


class Survey(NamedTuple):
    """What the report is made from: the study, its fit, the groups to show, the two waves of the change, and the rest.

    ``alternatives`` are fits of the same study under other models; ``truth`` is what a simulation knows
    (:class:`bayes_listexp.simulate.Simulated`); ``command`` repeats the run. A change of ``delta`` (0 to 1) or more counts as
    large, one of at most ``rope`` as none. ``events`` (day, words) and ``printed`` shares stand in the course over the waves.
    ``map`` says how regions are drawn on maps, ``checks`` are settings of :func:`bayes_listexp.design_checks`, and ``without_model``
    arguments of :func:`bayes_listexp.estimates_without_model`.
    """

    study: ListExperiment
    tree: xr.DataTree
    title: str
    by: Sequence[str] = ()
    waves: tuple[str, str] | None = None
    alternatives: Mapping[str, xr.DataTree] = {}
    truth: pd.DataFrame | None = None
    command: str = ""
    delta: float = 0.2
    rope: float = 0.05
    events: Sequence[tuple[date, str]] = ()
    printed: Sequence[figures.Printed] = ()
    map: RegionMap | None = None
    checks: Mapping[str, Any] = {}
    without_model: Mapping[str, Any] = {}


LONGEST_NAME = 60
"""Characters of a column's name in the names of files."""

MOST_ROWS = 30
"""Rows (groups in waves) beyond which support by group is drawn as arrows, one row a group."""


def headline(survey: Survey) -> str:
    """The result in one sentence, with its interval."""
    item = survey.study.sensitive_item
    if survey.study.item is not None:
        return _headline_by_item(survey)
    if not survey.waves:
        row = estimates.summarise(estimates.prevalence(survey.tree)).iloc[0]
        return f"{_percent(row)} support {item} ({_interval(row)} with probability 95 %)."
    by_wave = estimates.summarise(estimates.prevalence(survey.tree, by=survey.study.wave or ())).set_index(
        survey.study.wave
    )
    first, second = (by_wave.loc[w] for w in survey.waves)
    moved = estimates.summarise(changes_of(survey)["change"]).iloc[0]
    direction = "fell" if moved["median"] < 0 else "rose"
    chance = moved["p_below_zero"] if direction == "fell" else 1 - moved["p_below_zero"]
    return (
        f"Support for {item} {direction} from {_percent(first)} ({_interval(first)}) in {survey.waves[0]} to "
        f"{_percent(second)} ({_interval(second)}) in {survey.waves[1]}, by {abs(100 * moved['median']):.0f} points "
        f"({points(moved['lower'])} to {points(moved['upper'])}); the probability that it {direction} at all is "
        f"{probability_words(chance)}."
    )


def _headline_by_item(survey: Survey) -> str:
    """Support for each of several items, or its change, in one sentence."""
    item = survey.study.item or ""
    if not survey.waves:
        rows = estimates.summarise(estimates.prevalence(survey.tree, by=item))
        said = [f"{_percent(row)} support {row[item]} ({_interval(row)})" for _, row in rows.iterrows()]
        return f"{'; '.join(said)}, each with probability 95 %."
    rows = estimates.summarise(changes_of(survey)["change"])
    said = [f"{row[item]} by {points(row['median'])} points ({points(row['lower'])} to {points(row['upper'])})"
            for _, row in rows.iterrows()]
    return f"Support changed from {survey.waves[0]} to {survey.waves[1]}: {'; '.join(said)}."


def support_section(survey: Survey) -> Section:
    """Support overall and by every group: a figure and a table each, and the same posterior on other populations."""
    along = along_of(survey)
    blocks: list[Block] = []
    whole = [] if len(survey.study.waves) > 2 else ["all"]  # the course over the waves shows it
    for group in (*whole, *(g for g in survey.by if g not in along)):
        draws = estimates.prevalence(survey.tree, by=along if group == "all" else [group, *along])
        dim = dim_of(survey, draws)
        blocks += [_support_figure(survey, draws, dim, group), _support_table(survey, draws, dim, group)]
    blocks.append(_estimands(survey, along))
    lead = (
        f"{_lead(survey, along)} This is on the {_population_name(survey)}. Intervals hold 95 % of the posterior probability; beside every "
        "estimate stands the difference in means, which uses no model."
    )
    return Section("support", "Support", lead, tuple(blocks))


def _lead(survey: Survey, along: Sequence[str]) -> str:
    """Support of everybody, wave by wave and item by item, in one sentence; of many only the first and the last."""
    rows = estimates.summarise(estimates.prevalence(survey.tree, by=along))
    said = [f"{_percent(row)} ({_interval(row)}){''.join(f', {row[name]}' for name in along)}" for _, row in rows.iterrows()]
    return f"Support is {'; '.join(said if len(said) <= 4 else [said[0], '…', said[-1]])}."


def _population_name(survey: Survey) -> str:
    return str(estimates.prevalence(survey.tree).attrs["population"])


def _support_figure(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame, group: str) -> Block:
    by = groups_of(draws)
    few = survey.study.wave in by and len(by) > 1 and survey.waves and len(survey.study.waves) > 2
    if few:
        draws = draws.sel({survey.study.wave: list(survey.waves or ())})
        dim = dim[dim[survey.study.wave].isin(survey.waves or ())]
    crowded = len(by) > 1 and survey.study.wave in by and int(np.prod([draws.sizes[name] for name in by])) > MOST_ROWS
    title = f"Support by {group}" if group != "all" else f"Support by {survey.study.item}" if survey.study.item else "Support overall"
    label = "Support, % of the population" if survey.study.population is not None else "Support, %"
    if crowded:
        fig = figures.arrows_by_group(draws, along=str(survey.study.wave), title=title, subtitle=survey.study.sensitive_item, label=label)
        caption = f"{title}: posterior medians, an arrow a group. The table has all intervals, and the difference in means."
        return figure(fig, name=f"support-{identifier(group)}", caption=caption, synthetic=survey.study.synthetic)
    fig = figures.support_by_group(
        draws,
        dim,
        along=survey.study.wave if len(by) > 1 and survey.study.wave in by else None,
        sort=len(by) > 1,
        title=title,
        subtitle=f"{survey.study.sensitive_item}; posterior median, 50 % and 95 % intervals",
        label=label,
    )
    weights = " with survey weights" if survey.study.weighted else ""
    caption = f"{title}. The difference in means{weights} is not cut off at 0 or 100 %."
    caption += " The table has the other waves." if few else ""
    return figure(fig, name=f"support-{identifier(group)}", caption=caption, synthetic=survey.study.synthetic)


def support_rows(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame) -> tuple[pd.DataFrame, list[Column]]:
    """Rows of support with the difference in means and the truth (of a simulation) beside, and the columns that show them."""
    by = groups_of(draws)
    rows = beside(estimates.summarise(draws), dim, by)
    few = sorted(small_groups(survey.study, by)) if by else []
    rows = pd.concat([rows, pd.DataFrame(few, columns=by, dtype=object)], ignore_index=True) if few else rows
    columns: list[Column] = [Text(name, name.capitalize()) for name in by]
    columns += [
        Percent("median", "Support"),
        Interval("lower", "upper", "95 % interval"),
        Percent("dim", "Difference in means"),
        Interval("dim_lower", "dim_upper", "its 95 % interval"),
        Number("n", "n"),
    ]
    if survey.truth is not None:
        rows = with_truth(rows, survey.truth, by, survey.study.wave)
        columns.append(Percent("truth", "True (simulated)"))
    return rows, columns


def _support_table(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame, group: str) -> Table:
    by = groups_of(draws)
    rows, columns = support_rows(survey, draws, dim)
    if not by:
        rows, columns = rows.assign(group="everybody"), [Text("group", "Group"), *columns]
    note = "Difference in means: treatment minus control arm, with survey weights." if survey.study.weighted else ""
    if survey.study.lists:
        note = f"{note} Differences in means are taken within list versions and averaged by their numbers of respondents.".strip()
    return Table(
        f"support-{identifier(group)}", rows, f"Support by {' and '.join(by)}" if by else "Support", tuple(columns), note
    )


def _estimands(survey: Survey, along: Sequence[str]) -> Table:
    tree = survey.tree
    choices: list[tuple[str, xr.DataArray]] = [
        ("sample average", estimates.prevalence(tree, by=along, population="sample")),
        ("this sample, given the answers", estimates.realised_prevalence(tree, by=along)),
    ]
    if survey.study.weighted:
        choices.append(("weighted sample", estimates.prevalence(tree, by=along, population="weights")))
    if survey.study.population is not None:
        choices.append(("population (poststratified)", estimates.prevalence(tree, by=along, population="frame")))
    frame = pd.concat([estimates.summarise(draws).assign(estimand=name) for name, draws in choices], ignore_index=True)
    columns: tuple[Any, ...] = (
        Text("estimand", "Estimand"),
        *(Text(name, name.capitalize()) for name in along),
        Percent("median", "Support", 1),
        Interval("lower", "upper", "95 % interval"),
    )
    return Table(
        "estimands",
        frame,
        "The same posterior on different populations",
        columns,
        "Three questions that are often mixed up: people with these covariates, these very respondents, and the population.",
    )


def changes_of(survey: Survey, by: str | Sequence[str] = ()) -> xr.Dataset:
    """The change between the survey's two waves, by item if there are several."""
    first, second = survey.waves or ("", "")
    items = [survey.study.item] if survey.study.item else []
    return estimates.change(survey.tree, first, second, by=[*([by] if isinstance(by, str) else by), *items])


def along_of(survey: Survey) -> list[str]:
    """What every estimate is split by: the sensitive items if there are several, and the waves."""
    study = survey.study
    return [name for name, there in ((study.item, study.items), (study.wave, study.waves)) if name and there]


def groups_of(draws: xr.DataArray) -> list[str]:
    """What draws are split by."""
    return [str(dim) for dim in draws.dims if dim not in ("chain", "draw")]


def dim_of(survey: Survey, draws: xr.DataArray) -> pd.DataFrame:
    """Difference in means for the groups that have draws; groups without both arms are left out."""
    by = groups_of(draws)
    table = difference_in_means(survey.study, by=by, weighted=survey.study.weighted)
    table = table[table["estimate"].notna() & table["se"].notna()]
    for name in by:
        table = table[table[name].isin(list(draws[name].to_numpy()))]
    return table.reset_index(drop=True)


def beside(rows: pd.DataFrame, dim: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summaries with the difference in means of the same groups, and the number of respondents."""
    other = dim.rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})
    other["n"] = other["n_control"] + other["n_treatment"]
    other = other[[*by, "dim", "dim_lower", "dim_upper", "n"]]
    if not by:
        return pd.concat([rows, other], axis=1)
    for name in by:
        other[name] = other[name].astype(object)
        rows[name] = rows[name].astype(object)
    return rows.merge(other, on=by, how="left")


def with_truth(rows: pd.DataFrame, truth: pd.DataFrame, by: list[str], wave: str | None) -> pd.DataFrame:
    """Summaries with what is true of the same groups in a simulation."""
    group = next((name for name in by if name != wave), "all")
    known = truth[truth["group"] == group].rename(columns={"prevalence": "truth", "level": group})
    keys = [name for name in by if name in known.columns]
    if not keys:
        return rows.assign(truth=float(known["truth"].iloc[0]) if len(known) == 1 else np.nan)
    return rows.merge(known[[*keys, "truth"]], on=keys, how="left")


def identifier(text: str) -> str:
    """A name as part of an id or of a file's name: small letters, digits and -; where that would not tell it apart, with a hash."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    if (plain and text.isascii() and len(plain) <= LONGEST_NAME) or not text:
        return plain or "group"
    return f"{plain[:LONGEST_NAME].strip('-') or 'group'}-{sha256(text.encode()).hexdigest()[:8]}"


def _percent(row: pd.Series) -> str:
    return f"{100 * row['median']:.0f} %"


def _interval(row: pd.Series) -> str:
    return f"{100 * row['lower']:.0f} to {100 * row['upper']:.0f} %"
