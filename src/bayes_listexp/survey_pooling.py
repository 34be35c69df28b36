"""The report's section on how much each group's estimate is its own, and what the list is worth in direct answers."""

from __future__ import annotations

from bayes_listexp import estimates, figures
from bayes_listexp.group_worth import pooling
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.survey_results import Survey, dim_of, identifier
from bayes_listexp.tables import Column, Interval, Number, Percent, Table, Text

FEWEST = 2
"""Groups below which there is little to be pooled."""

NOTE = (
    "Worth: so many direct and truthful answers would leave the same uncertainty about the group; it counts what the other groups and "
    "the priors contribute. Pooling factor (Gelman & Pardoe 2006), for groups with effects of their own in the formula: at 1 the "
    "estimate says of the group what is known of the others, at 0 it rests on the group alone."
)


def pooling_section(survey: Survey) -> Section | None:
    """A table for each grouping of the report; None without groups."""
    if not survey.by:
        return None
    everybody = f"All {survey.study.n:,} respondents together"
    blocks: list[Block] = []
    for group in survey.by:
        by = [group] if isinstance(group, str) else list(group)
        table = _table(survey, by)
        blocks += [*_pull(survey, by, table), table]
    lead = (
        "A list hides who said what, and pays for it with precision: every respondent says less than a direct answer would, and small "
        f"groups borrow from the others. {everybody} are the study; below is what that means for each group."
    )
    return Section("pooling", "What each group's estimate rests on", lead, tuple(blocks))


def _pull(survey: Survey, by: list[str], table: Table) -> list[Block]:
    """How far the model pulls each group, where groups have effects of their own and there are enough to be pulled together."""
    draws = estimates.prevalence(survey.tree, by=by)
    dim = dim_of(survey, draws)
    if table.frame["pooling"].isna().all() or len(dim) < FEWEST:
        return []
    name = " and ".join(by)
    fig = figures.pooling_by_group(
        draws, dim, estimates.prevalence(survey.tree), title=f"What pooling does to {name}", subtitle=survey.study.sensitive_item,
        label="Support, % of the population" if survey.study.population is not None else "Support, %",
    )  # fmt: skip
    caption = f"From the difference in means of each {name} alone to the model's estimate, which borrows from the others."
    return [figure(fig, name=f"pooling-{identifier(name)}", caption=caption, synthetic=survey.study.synthetic)]


def _table(survey: Survey, by: list[str]) -> Table:
    rows = pooling(survey.tree, by=by)
    columns: list[Column] = [Text(name, name.capitalize()) for name in by]
    columns += [
        Number("n", "n"),
        Percent("median", "Support"),
        Interval("lower", "upper", "95 % interval"),
        Number("worth", "Worth (direct answers)"),
    ]
    if rows["pooling"].notna().any():
        columns.append(Number("pooling", "Pooling factor", 2))
    name = " and ".join(by)
    return Table(f"pooling-{identifier(name)}", rows, f"What the estimates by {name} rest on", tuple(columns), NOTE)
