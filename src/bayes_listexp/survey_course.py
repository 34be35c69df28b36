"""The section of a survey's report on its course: support in every wave, beside events and what others published."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import figures
from bayes_listexp.changes import NO_FALL, largest_drop, p_monotone, path, ranks, wave_dates
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.report import Block, Paragraph, Section, figure
from bayes_listexp.survey_changes import chance_columns, change_in_means_of, items_of, moved
from bayes_listexp.survey_results import Survey, dim_of, groups_of, identifier, support_rows
from bayes_listexp.tables import Column, Interval, Number, Points, Table, Text, percent

FEWEST_RANKED = 3


def has_course(survey: Survey) -> bool:
    """Whether the report has this section: more than two waves, or waves with events or published shares to set them beside."""
    waves = survey.study.waves
    return len(waves) > 2 or (len(waves) > 0 and bool(survey.events or survey.printed))


def course_section(survey: Survey) -> Section:
    """Support in every wave, the changes from wave to wave, when the largest drop came, and the ranks of groups.

    Of one or two waves there is only the figure: the sections on support and on the change have their numbers.
    """
    wave, items = str(survey.study.wave), items_of(survey)
    draws = path(survey.tree, by=items)
    dim = dim_of(survey, draws)
    blocks: list[Block] = _course_figures(survey, draws, dim)
    if len(survey.study.waves) <= 2:
        lead = "Support where it lies in time, beside events and what others have published."
        return Section("course", "Course over time", lead, tuple(blocks))
    blocks += [_course_table(survey, draws, dim), _steps_table(survey, draws)]
    blocks += [Paragraph(sentence) for sentence in _course_words(draws, wave)]
    blocks.append(_drop_table(draws, wave))
    for group in [g for g in survey.by if g not in items]:
        table = _rank_table(survey, group, items)
        blocks += [table] if table is not None else []
    lead = (
        f"Support in {len(survey.study.waves)} waves on the {draws.attrs['population']}. These are smoothed estimates: every wave is "
        "estimated from the respondents of all waves, as far as the model ties the waves together."
    )
    return Section("course", "Course over the waves", lead, tuple(blocks))


def _course_figures(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame) -> list[Block]:
    """One figure of the course, or one for each sensitive item."""
    study, wave = survey.study, str(survey.study.wave)
    whole = [(study.sensitive_item, "course", draws, dim)]
    if study.item is not None:
        whole = [(item, f"course-{i + 1}", draws.sel({study.item: item}, drop=True), dim[dim[study.item] == item])
                 for i, item in enumerate(study.items)]
    return [
        figure(
            figures.trajectory(
                one,
                table,
                wave=wave,
                dates=wave_dates(study.waves),
                events=survey.events,
                printed=survey.printed,
                title="Support over the waves",
                subtitle=name,
                label="Support, % of the population" if study.population is not None else "Support, %",
            ),
            name=stem,
            synthetic=study.synthetic,
            caption=_course_caption(survey),
        )
        for name, stem, one, table in whole
    ]


def _course_caption(survey: Survey) -> str:
    where = "where they lie in time" if wave_dates(survey.study.waves) else "at equal distances"
    said = f"Support over the waves, smoothed. Waves stand {where}."
    said += " A hollow square is a share that somebody published; it is no part of the model." if survey.printed else ""
    return said + (" An event beside a change is no evidence that it caused the change." if survey.events else "")


def _course_table(survey: Survey, draws: xr.DataArray, dim: pd.DataFrame) -> Table:
    rows, columns = support_rows(survey, draws, dim)
    return Table("course", rows, "Support in every wave", tuple(columns))


def _steps_table(survey: Survey, draws: xr.DataArray) -> Table:
    """The change from each wave to the next, and from the first to the last."""
    wave, items, waves = str(survey.study.wave), items_of(survey), survey.study.waves
    parts = []
    for first, second in [*pairwise(waves), (waves[0], waves[-1])]:
        step = draws.sel({wave: second}, drop=True) - draws.sel({wave: first}, drop=True)
        rows = moved(survey, step)
        dim = change_in_means_of(survey, first, second, items)
        dim = dim.rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})[[*items, "dim", "dim_lower", "dim_upper"]]
        rows = rows.merge(dim.astype({name: object for name in items}), on=items, how="left") if items else pd.concat([rows, dim], axis=1)
        parts.append(rows.assign(gap=f"{first} to {second}"))
    columns: tuple[Column, ...] = (
        Text("gap", "From wave to wave"),
        *(Text(name, name.capitalize()) for name in items),
        Points("median", "Change"),
        Interval("lower", "upper", "95 % interval", points=True),
        *chance_columns(survey),
        Points("dim", "Difference in means"),
        Interval("dim_lower", "dim_upper", "its 95 % interval", points=True),
    )
    note = "The last row is the change from the first wave to the last."
    return Table("course-changes", pd.concat(parts, ignore_index=True), "Change from wave to wave", columns, note)


def _course_words(draws: xr.DataArray, wave: str) -> list[str]:
    """Whether the path is monotone and when the largest fall came, in a sentence for each item."""
    drops = largest_drop(draws, wave)
    said = []
    for _, row in p_monotone(draws, wave).iterrows():
        names = [name for name in groups_of(draws) if name != wave]
        own = drops[np.logical_and.reduce([drops[name] == row[name] for name in names])] if names else drops
        gaps = own.iloc[: draws.sizes[wave] - 1]
        best = gaps.loc[gaps["p"].idxmax()]
        about = "".join(f"{row[name]}: " for name in names)
        size = f", by {percent(best['median'])[:-2]} points ({percent(best['lower'])[:-2]} to {percent(best['upper'])[:-2]}) if it did"
        said.append(
            f"{about}Support never rises from wave to wave with probability {probability_words(row['p_never_rises'])} and never falls "
            f"with probability {probability_words(row['p_never_falls'])}. The largest fall most likely came from {best['gap']} "
            f"(probability {probability_words(best['p'])}){size if np.isfinite(best['median']) else ''}."
        )
    return said


def _drop_table(draws: xr.DataArray, wave: str) -> Table:
    rows = largest_drop(draws, wave)
    rows = rows.assign(said=[probability_words(p) for p in rows["p"]], fall=-rows["median"], low=-rows["upper"], high=-rows["lower"])
    columns: tuple[Column, ...] = (
        Text("gap", "Largest fall"),
        *(Text(name, name.capitalize()) for name in groups_of(draws) if name != wave),
        Text("said", "Probability"),
        Points("fall", "Its size"),
        Interval("low", "high", "95 % interval", points=True),
    )
    note = f"Sizes are those where the largest fall came there. The gaps and '{NO_FALL}' add up to 100 %."
    return Table("course-largest-drop", rows, "When the largest fall came", columns, note)


def _rank_table(survey: Survey, group: str, items: list[str]) -> Table | None:
    """Ranks of the levels of a group in the first and the last wave of the change, where there are more than two."""
    wave, ends = str(survey.study.wave), list(survey.waves or (survey.study.waves[0], survey.study.waves[-1]))
    draws = path(survey.tree, by=[*items, group]).sel({wave: ends})
    size = draws.sizes[group]
    if size < FEWEST_RANKED:
        return None
    rows = ranks(draws, group)
    rows = rows.assign(best=[_said(p) for p in rows["p_rank_1"]], worst=[_said(p) for p in rows[f"p_rank_{size}"]],
                       interval=[f"{low:.0f} to {high:.0f}" if np.isfinite(low) else None
                                 for low, high in zip(rows["lower"], rows["upper"], strict=True)])
    rows = rows.sort_values([wave, *items, "mean_rank"], kind="stable", ignore_index=True)
    columns: tuple[Column, ...] = (
        Text(group, group.capitalize()),
        Text(wave, wave.capitalize()),
        *(Text(name, name.capitalize()) for name in items),
        Number("mean_rank", "Mean rank", 1),
        Text("interval", "95 % interval"),
        Text("best", "P(highest support)"),
        Text("worst", "P(lowest support)"),
    )
    note = "Rank 1 is the highest support. Wide intervals of the rank mean that the order is not known."
    return Table(f"ranks-{identifier(group)}", rows, f"Ranks by {group}, {ends[0]} and {ends[1]}", columns, note)


def _said(probability: float) -> str | None:
    return None if np.isnan(probability) else probability_words(probability)
