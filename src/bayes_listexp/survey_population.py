"""What a survey's report says of the population frame: how it was made, the sample beside it, and who is missing from either."""

from __future__ import annotations

import pandas as pd

from bayes_listexp import stored
from bayes_listexp.cells import Cells
from bayes_listexp.population import PopulationFrame, unsampled_levels
from bayes_listexp.report import Block
from bayes_listexp.representation import cells_outside_frame, frame_against_sample
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import Column, Number, Percent, Table, Text


def population_facts(survey: Survey) -> list[tuple[str, str]]:
    """How the population frame was made and how sure it is, for the facts on the data; nothing without a frame."""
    frame = stored.population_frame_of(survey.tree)
    if frame is None:
        return []
    return [("Population frame", f"{len(frame.cells):,} cells, {frame.source}"), ("Number of people per cell", certainty_words(frame))]


def certainty_words(frame: PopulationFrame) -> str:
    """How sure the numbers of people are, in words."""
    if frame.exact:
        return "taken as exact"
    if isinstance(frame.n, float | int):
        return f"estimated from {frame.n:,.0f} people (effective number)"
    said = [f"{wave} {'exact' if size is None else f'from {size:,.0f} people'}" for wave, size in dict(frame.n or {}).items()]
    return f"estimated: {', '.join(said)} (effective numbers)"


def population_blocks(survey: Survey, cells: Cells) -> list[Block]:
    """Tables: shares of sample and population, respondents in cells without people, levels without respondents."""
    frame = stored.population_of(survey.tree)
    if frame is None:
        return []
    study = survey.study
    shares, outside = frame_against_sample(study), cells_outside_frame(study)
    empty = unsampled_levels(cells.frame, frame)
    blocks: list[Block] = []
    if len(shares):
        blocks.append(_shares_table(shares, survey))
    if len(outside):
        named: list[Column] = [Text(name, name) for name in outside.columns if name != "n"]
        outside = _together(outside, max(2, study.smallest_group))
        note = "They inform the model; estimates for the population do not count people like them."
        blocks.append(Table("outside-frame", outside, "Respondents in cells that have nobody in the population frame",
                            (*named, Number("n", "Respondents")), note))
    if len(empty):
        columns = (Text("column", "Column"), Text("level", "Level"), Percent("share", "Share of the population", 1))
        note = "Their estimates rest on the model alone and have wide intervals."
        blocks.append(Table("unsampled", empty, "Levels of the population without respondents", columns, note))
    return blocks


def _together(outside: pd.DataFrame, least: int) -> pd.DataFrame:
    """The combinations with the smaller ones in one row: a combination that a single respondent has would be that person's row."""
    few = outside["n"] < least
    if not few.any():
        return outside
    names = [name for name in outside.columns if name != "n"]
    words = f"{int(few.sum()):,} combinations of fewer than {least} respondents each"
    rest = {**dict.fromkeys(names, "\N{EN DASH}"), names[0]: words, "n": int(outside.loc[few, "n"].sum())}
    return pd.concat([outside[~few].astype({name: object for name in names}), pd.DataFrame([rest])], ignore_index=True)


def _shares_table(shares: pd.DataFrame, survey: Survey) -> Table:
    columns: list[Column] = [Text(survey.study.wave, "Wave")] if survey.study.wave in shares.columns and survey.study.wave else []
    columns += [Text("column", "Column"), Text("level", "Level"), Number("n", "Respondents"), Percent("sample", "Share of them", 1)]
    columns += [Percent("weighted", "Weighted share", 1)] if "weighted" in shares.columns else []
    columns += [Percent("population", "Share of the population", 1), Number("ratio", "Ratio", 2)]
    note = "Ratio: share of the respondents divided by that of the population. Respondents whose level is missing are left out."
    return Table("frame-against-sample", shares, "The sample beside its population", tuple(columns), note)
