"""The section of a survey's report on the change between two waves: what it is made of, by group, and between groups."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures
from bayes_listexp.changes import change_summary, compare_changes
from bayes_listexp.design_based import change_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import ABSENT
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.population import as_frame
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.standardised import poststratified_change
from bayes_listexp.survey_results import Survey, changes_of, groups_of, identifier
from bayes_listexp.tables import Column, Interval, Points, Table, Text, points

ALL_PAIRS = 6
"""Up to that many groups every pair is compared in its change; of more groups only the pairs that differ most."""
LARGEST = 5
STANDARD_ERROR = 0.25
"""A change in means whose s.e. would exceed this by standardising to more columns is standardised to fewer."""


def change_section(survey: Survey) -> Section:
    """The change between two waves, its opinion and composition parts, by every group, and how groups differ in it."""
    first, second = survey.waves or ("", "")
    parts, items = changes_of(survey), items_of(survey)
    dim = change_in_means_of(survey, first, second, items)
    fig = figures.change_between_waves(
        parts["change"],
        dim[dim["estimate"].notna()],
        waves=(first, second),
        title=f"Change in support, {first} to {second}",
        subtitle="population held fixed" if _fixed(survey) else "",
    )
    caption = "Posterior of the change, and beside it the difference of the two differences in means."
    blocks: list[Block] = [figure(fig, name="change-all", synthetic=survey.study.synthetic, caption=caption)]
    blocks.append(_change_table(survey, parts, dim))
    for group in [g for g in survey.by if g not in items]:
        blocks += _change_by(survey, group, items)
    rows = change_summary(parts["change"])
    lead = " ".join(
        f"Support {f'for {row[survey.study.item]} ' if survey.study.item else ''}changed by {points(row['median'])} points "
        f"({points(row['lower'])} to {points(row['upper'])}); it fell with probability {probability_words(row['p_decline'])}."
        for _, row in rows.iterrows()
    )
    return Section("change", "Change between waves", lead, tuple(blocks))


def in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The probabilities of a change summary in words beside the numbers, never 0 or 100 %; a dash where there is no change."""
    names = {"p_decline": "fell", "p_decline_delta": "fell_much", "p_rise_delta": "rose_much", "p_rope": "same"}
    said = {word: [None if pd.isna(p) else probability_words(p) for p in rows[name]] for name, word in names.items()}
    return rows.assign(**{word: pd.Series(values, index=rows.index, dtype=object) for word, values in said.items()})


def chance_columns(survey: Survey, *, short: bool = False) -> list[Column]:
    """Columns for what :func:`in_words` adds."""
    much, little = f"{100 * survey.delta:.0f} points or more", f"{100 * survey.rope:.0f}"
    columns: list[Column] = [Text("fell", "P(decline)"), Text("fell_much", f"P(decline of {much})")]
    more: list[Column] = [Text("rose_much", f"P(rise of {much})"), Text("same", f"P(within ±{little} points)")]
    return columns if short else columns + more


def items_of(survey: Survey) -> list[str]:
    """The column of sensitive items if there are several, as a list."""
    return [survey.study.item] if survey.study.item else []


def _fixed(survey: Survey) -> bool:
    """Whether the population is the same in every wave."""
    population = survey.study.population
    return population is not None and survey.study.wave not in as_frame(population).cells.columns


def moved(survey: Survey, draws: xr.DataArray) -> pd.DataFrame:
    """A summary of changes with their probabilities in words, at the survey's own sizes of a change."""
    return in_words(change_summary(draws, delta=survey.delta, rope=survey.rope))


def change_in_means_of(survey: Survey, first: str, second: str, by: Sequence[str]) -> pd.DataFrame:
    """The difference of the differences in means between two waves, with weights where the survey has them."""
    return change_in_means(survey.study, first, second, by=by, weighted=survey.study.weighted)


def _change_table(survey: Survey, parts: xr.Dataset, dim: pd.DataFrame) -> Table:
    items = items_of(survey)
    rows = [
        (f"on the {parts.attrs['population']}", parts["change"]),
        *[(f"   of which: {said}", parts[name]) for name, said in _parts_words(survey).items()],
    ]
    if _both_interviewed(survey):
        own = estimates.change(survey.tree, *(survey.waves or ("", "")), by=items, population="sample")
        rows += [
            ("on each wave's own sample", own["change"]),
            ("   of which: opinion (same make-up)", own["rate"]),
            ("   of which: make-up of the samples", own["composition"]),
        ]
    frames = [moved(survey, draws).assign(quantity=name) for name, draws in rows]
    frames.append(dim.rename(columns={"estimate": "median"}).assign(quantity="difference in means (no model)"))
    standard, note = _standardised(survey, items)
    frame = pd.concat([*frames, *standard], ignore_index=True)
    columns: list[Column] = [
        Text("quantity", "Change"),
        *(Text(name, name.capitalize()) for name in items),
        Points("median", "Estimate", 1),
        Interval("lower", "upper", "95 % interval", points=True),
        *chance_columns(survey),
    ]
    return Table("change-all", frame, "Change in support, and what it is made of", tuple(columns), note)


def _both_interviewed(survey: Survey) -> bool:
    """Whether both waves of the change have respondents of their own, and are not known from elsewhere alone."""
    return set(survey.waves or ()) <= set(survey.study.interviewed)


def _parts_words(survey: Survey) -> dict[str, str]:
    """The parts of a change on a population that is not the same in every wave."""
    own = survey.study.population is not None and not _fixed(survey)
    return {"rate": "opinion (same make-up)", "composition": "make-up of the population"} if own else {}


def _standardised(survey: Survey, items: list[str]) -> tuple[list[pd.DataFrame], str]:
    """The change in means standardised to the population, by as many of the report's columns as leave no cell out."""
    if survey.study.population is None or not _both_interviewed(survey):
        return [], ""
    frame = as_frame(survey.study.population).cells
    chosen: list[str] = []
    found = None
    for name in [g for g in survey.by if g in frame.columns and g not in (*items, survey.study.wave)]:
        try:
            more = poststratified_change(survey.study, *(survey.waves or ("", "")), cells=[*chosen, name], by=items,
                                         population=frame, weighted=survey.study.weighted)
        except InputError:  # a level of the sample that the frame does not have
            continue
        if (more["share_left_out"] == 0).all() and (more["se"] < STANDARD_ERROR).all():
            chosen, found = [*chosen, name], more
    if found is None:
        return [], ""
    said = f"difference in means, standardised by {' × '.join(chosen)} (no model)"
    note = f"Standardised: differences in means by {' × '.join(chosen)}, averaged with the population's numbers of people."
    return [found.rename(columns={"estimate": "median"}).assign(quantity=said)], note


def _change_by(survey: Survey, group: str, items: list[str]) -> list[Block]:
    """The change in every level of a group: a figure, a table, and the pairs that differ."""
    draws = changes_of(survey, by=group)["change"]
    first, second = survey.waves or ("", "")
    dim = change_in_means_of(survey, first, second, [group, *items])
    dim = dim[dim[group].isin(draws[group].to_numpy()) & dim["estimate"].notna()]
    blocks: list[Block] = []
    there = change_summary(draws)
    if there["median"].notna().any():
        shown = dim.merge(there.loc[there["median"].notna(), [group, *items]].astype(object), on=[group, *items])
        drawn = figures.change_between_waves(draws, shown, waves=(first, second), title=f"Change by {group}")
        blocks.append(
            figure(drawn, name=f"change-{identifier(group)}", synthetic=survey.study.synthetic, caption=f"Change by {group}.")
        )
    blocks.append(_change_by_table(survey, draws, dim, group))
    return [*blocks, *([_pairs_table(survey, draws, group)] if draws.sizes[group] > 1 else [])]


def _change_by_table(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame, group: str) -> Table:
    rows = moved(survey, draws)
    by = groups_of(draws)
    other = dim.rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})[[*by, "dim", "dim_lower", "dim_upper"]]
    rows = rows.astype({name: object for name in by}).merge(other.astype({name: object for name in by}), on=by, how="left")
    columns: tuple[Column, ...] = (
        *(Text(name, name.capitalize()) for name in by),
        Points("median", "Change"),
        Interval("lower", "upper", "95 % interval", points=True),
        *chance_columns(survey, short=True),
        Points("dim", "Difference in means"),
        Interval("dim_lower", "dim_upper", "its 95 % interval", points=True),
    )
    return Table(f"change-{identifier(group)}", rows, f"Change by {group}", columns, _absent_words(draws))


def _absent_words(draws: xr.DataArray) -> str:
    """Which groups have no change, and why."""
    if ABSENT not in draws.coords:
        return ""
    rows = change_summary(draws)
    lacking = rows[rows["note"] != ""]
    said = [f"{' · '.join(str(row[name]) for name in groups_of(draws))} ({row['note']})" for _, row in lacking.iterrows()]
    return f"No change for {'; '.join(said)}."


def _pairs_table(survey: Survey, draws: xr.DataArray, group: str) -> Table:
    """Pairs of groups compared in their change: all of them when groups are few, else those that differ most."""
    rows = in_words(compare_changes(draws, group, delta=survey.delta, rope=survey.rope))
    rows = rows[rows["median"].notna()]
    few = draws.sizes[group] <= ALL_PAIRS
    if not few:
        rows = rows.loc[rows["median"].abs().sort_values(ascending=False, kind="stable").index[:LARGEST]]
    rows = rows.assign(pair=[f"{a} than {b}" for a, b in zip(rows["a"], rows["b"], strict=True)])
    others = [name for name in groups_of(draws) if name != group]
    columns: tuple[Column, ...] = (
        Text("pair", "Further down"),
        *(Text(name, name.capitalize()) for name in others),
        Points("median", "Difference of the changes"),
        Interval("lower", "upper", "95 % interval", points=True),
        Text("fell", "P(further down)"),
        Text("same", f"P(within ±{100 * survey.rope:.0f} points)"),
    )
    which = "all pairs" if few else f"the {LARGEST} largest of {draws.sizes[group] * (draws.sizes[group] - 1) // 2} pairs"
    note = (
        "The change of the group named first minus that of the second, computed within each draw. A model without a term of "
        f"{group} and {survey.study.wave} together assumes that there is next to none."
    )
    if not few:
        note += " Picked for being largest, such differences are exaggerated."
    caption = f"Differences of changes by {group}, {which}"
    return Table(f"change-pairs-{identifier(group)}", rows.reset_index(drop=True), caption, columns, note)
