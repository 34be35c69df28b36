"""Figures with an arrow a group: from the group's own difference in means to the model, and from one wave to another."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import (
    Key,
    Mark,
    Row,
    Scale,
    dim_mark,
    forest,
    mark_of_draws,
    percent_scale,
    percent_words,
)
from bayes_listexp.figures.style import POSTERIOR, styled
from bayes_listexp.figures.survey import Levels, dim_rows, group_draws, groups_of, probability_words

BAND_KEY = Key("band", "its 95 % interval")


@styled
def pooling_by_group(
    draws: xr.DataArray, dim_table: pd.DataFrame, overall: xr.DataArray, *, title: str = "", subtitle: str = "",
    label: str = "Support, % of respondents",
) -> Figure:  # fmt: skip
    """How far the model pulls each group from its own difference in means, mostly towards everybody.

    `draws` has dims (chain, draw, *by) in 0-1 units, `overall` (chain, draw) those of everybody, drawn as a vertical line;
    `dim_table` is that of :func:`support_by_group`. An arrow leads from each group's difference in means to its posterior
    median; groups with the largest median come first, and one whose difference in means could not be computed has no arrow.
    Raises `InputError` when a draw is not finite or when a row of `dim_table` has no draws.
    """
    by = groups_of(draws)
    groups = {levels: 100 * values for levels, values in group_draws(draws, by)}
    tables = dim_rows(dim_table, by, list(groups))
    centre = float(np.median(overall))
    rows = [_pulled_row(levels, values, tables.get(levels)) for levels, values in groups.items()]
    rows.sort(key=lambda row: -row.posterior.point if row.posterior else 0.0)
    reach = [Mark(row.origin, row.origin, row.origin) for row in rows if row.origin is not None]
    scale = percent_scale([*(row.posterior for row in rows if row.posterior), *reach], label)
    scale = scale._replace(reference=100 * centre, sides=("", f"everybody: {100 * centre:.0f} %"))
    key = [Key("pull", "from the group's difference in means to the posterior median"), BAND_KEY]
    said = "; ".join(f"{row.label}: {row.words[0][0]}" for row in rows)
    alt = f"From each group's difference in means to the model's estimate; everybody {100 * centre:.0f} %. {said}."
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=alt)


@styled
def arrows_by_group(
    draws: xr.DataArray, *, along: str, waves: tuple[str, str] | None = None, title: str = "", subtitle: str = "",
    label: str = "Support, % of respondents",
) -> Figure:  # fmt: skip
    """Support of many groups in two waves, one arrow a group from the earlier posterior median to the later one.

    `draws` has dims (chain, draw, *by, `along`) in 0-1 units; `waves` are the two levels of `along` (without: the first and the
    last). Groups with the largest later median come first; a group without draws in one of the waves has no arrow.
    Beside it stands the probability of a decline: the share of draws in which the group's support fell. Raises `InputError`
    when a draw is not finite, and when `along` is no dim or lacks a wave.
    """
    if along not in draws.dims:
        raise InputError(f"along={along!r} is not a dim of the draws; they have {groups_of(draws)}")
    known = [str(level) for level in draws[along].values]
    first, second = waves or (known[0], known[-1])
    if strange := [wave for wave in (first, second) if wave not in known]:
        raise InputError(f"{along} {strange[0]!r} is not in the draws; they have {known}")
    by = [name for name in groups_of(draws) if name != along]
    before, after = (dict(group_draws(draws.isel({along: known.index(wave)}, drop=True), by)) for wave in (first, second))
    rows = [_moved_row(levels, before.get(levels), values) for levels, values in after.items()]
    rows.sort(key=lambda row: -row.posterior.point if row.posterior else 0.0)
    reach = [Mark(row.origin, row.origin, row.origin) for row in rows if row.origin is not None]
    scale: Scale = percent_scale([*(row.posterior for row in rows if row.posterior), *reach], label)
    key = [Key("arrow", f"posterior median, from {first} to {second}"), BAND_KEY._replace(text=f"95 % interval in {second}"),
           Key("", "fell: probability of a decline")]  # fmt: skip
    said = "; ".join(f"{row.label}: {', '.join(text for text, _ in row.words)}" for row in rows)
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Support from {first} to {second}. {said}.")


def _pulled_row(levels: Levels, values: NDArray[np.float64], dim: pd.Series | None) -> Row:
    mark, own = mark_of_draws(values), dim_mark(dim) if dim is not None else None
    words = percent_words(mark)
    if own is not None:
        words = f"{round(own.point)} to {round(mark.point)} %".replace("-", "\N{MINUS SIGN}")  # round() knows no −0
    if dim is not None and {"n_control", "n_treatment"} <= set(dim.index):
        words += f", n = {int(dim['n_control'] + dim['n_treatment']):,}"
    origin = own.point if own is not None else None
    return Row(" · ".join(levels) or "All", posterior=mark._replace(inner=None), words=((words, POSTERIOR),), origin=origin, banded=True)


def _moved_row(levels: Levels, before: NDArray[np.float64] | None, after: NDArray[np.float64]) -> Row:
    mark, label = mark_of_draws(100 * after)._replace(inner=None), " · ".join(levels) or "All"
    if before is None:
        return Row(label, posterior=mark, words=((percent_words(mark), POSTERIOR),), banded=True)
    start, fell = float(np.median(100 * before)), probability_words(float((after < before).mean()))
    words = f"{round(start)} to {round(mark.point)} %, fell {fell}"
    return Row(label, posterior=mark, words=((words, POSTERIOR),), origin=start, origin_colour=POSTERIOR,
               banded=True)
