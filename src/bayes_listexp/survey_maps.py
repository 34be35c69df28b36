"""The section of a survey's report with maps: support by region, in every wave or the last, and its change."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure as Drawn

from bayes_listexp import estimates, figures
from bayes_listexp.exclusions import MISSING_LEVEL
from bayes_listexp.geography import RegionMap
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.survey_results import Survey, changes_of, identifier

MOST_MAPS = 6
"""Up to that many waves each have a small map; of more, the last has one."""


def map_sections(survey: Survey) -> list[Section]:
    """One section with maps where the survey asks for them, else none."""
    regions = survey.map
    if regions is None:
        return []
    blocks = [*_support_maps(survey, regions), *_change_maps(survey, regions)]
    small = "its small regions are seen as well as the large ones" if regions.tiles is not None else "areas are true"
    lead = f"Support by {regions.column} on a map: {small}. Every estimate comes with its 95 % interval."
    return [Section("maps", "Maps", lead, tuple(blocks))]


def _support_maps(survey: Survey, regions: RegionMap) -> list[Block]:
    """Support by region, and by item if there are several: the chosen wave, every wave if they are few, or the last."""
    study = survey.study
    waves = [str(study.wave)] if study.wave and study.waves else []
    items = [study.item] if study.item else []
    draws = estimates.prevalence(survey.tree, by=[regions.column, *waves, *items])
    shown, along = "", waves[0] if waves else None
    if waves and (regions.wave is not None or len(study.waves) > MOST_MAPS):
        shown, along = regions.wave or study.waves[-1], None
        draws = draws.sel({waves[0]: shown}, drop=True)
    title, label = f"Support by {regions.column}", "Support, % of the population" if study.population is not None else "Support, %"
    chosen = f" Of {len(study.waves)} waves, {shown} is shown." if shown else ""
    return _maps(survey, regions, draws, along=along, change=False, title=title, subtitle=_subtitle(survey, shown),
                 label=label, more=chosen)  # fmt: skip


def _change_maps(survey: Survey, regions: RegionMap) -> list[Block]:
    """The change between the report's two waves by region."""
    if not survey.waves:
        return []
    first, second = survey.waves
    return _maps(survey, regions, changes_of(survey, by=regions.column)["change"], along=None, change=True,
                 title=f"Change in support by {regions.column}", subtitle=_subtitle(survey, f"{first} to {second}"),
                 label="Change in support, percentage points", more="")  # fmt: skip


def _subtitle(survey: Survey, when: str) -> str:
    """What is supported, unless several items each have a map of their own, and when."""
    return "; ".join([survey.study.sensitive_item] * (survey.study.item is None) + [when] * bool(when))


def _maps(
    survey: Survey, regions: RegionMap, draws: xr.DataArray, *, along: str | None, change: bool, title: str, subtitle: str,
    label: str, more: str,
) -> list[Block]:
    """A map of the draws, one for each item; the level of a missing region has no place and is said below."""
    nowhere = [level for level in draws[regions.column].to_numpy() if str(level) == MISSING_LEVEL]
    draws = draws.drop_sel({regions.column: nowhere})
    item = survey.study.item
    parts = {str(level): draws.sel({item: level}, drop=True) for level in draws[item].to_numpy()} if item else {"": draws}
    what = "the change" if change else "support"
    caption = f"{title}: posterior median of {what}, by colour and number, {_uncertainty(regions)}.{more}"
    caption += f" Respondents whose {regions.column} is missing have no place on it." if nowhere else ""
    blocks: list[Block] = []
    for name, part in parts.items():
        fig = _drawn(regions, part, along, change, f"{title}: {name}" if name else title, subtitle, label)
        kind = "map-change" if change else "map-support"
        blocks.append(figure(fig, name=f"{kind}-{identifier(name)}" if name else kind, caption=caption, synthetic=survey.study.synthetic))
    return blocks


def _uncertainty(regions: RegionMap) -> str:
    if regions.tiles is not None:
        return "and the 95 % interval as a bar at the foot of each tile"
    return "and beside it the width of the 95 % interval"


def _drawn(
    regions: RegionMap, draws: xr.DataArray, along: str | None, change: bool, title: str, subtitle: str, label: str
) -> Drawn:
    if regions.tiles is not None:
        return figures.tile_grid(draws, regions.tiles, along=along, change=change, title=title, subtitle=subtitle, label=label)
    return figures.choropleth(
        draws, regions.geojson or {}, key=regions.key, along=along, change=change, title=title, subtitle=subtitle, label=label
    )
