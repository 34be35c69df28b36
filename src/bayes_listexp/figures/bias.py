"""The figure of sensitivity bias: how many more have the trait than say so when asked directly."""

import xarray as xr
from matplotlib.figure import Figure

from bayes_listexp.figures.forest import Key, Row, forest, mark_of_draws, percent_words, points_scale
from bayes_listexp.figures.style import POSTERIOR, styled
from bayes_listexp.figures.survey import DENSE, group_draws, groups_of, probability_words


@styled
def sensitivity_bias(
    draws: xr.DataArray, *, sort: bool = True, title: str = "", subtitle: str = "",
    label: str = "List minus direct question, percentage points",
) -> Figure:  # fmt: skip
    """Prevalence by the list minus the share who say so when asked directly, by group, and the probability that it is positive.

    `draws` has dims (chain, draw, *by) in 0-1 units, as the `sensitivity_bias` of :func:`bayes_listexp.misreporting`. Densities
    (of up to ten groups) are shaded apart at zero; `sort` puts the largest median first. Raises `InputError` when a draw is not
    finite.
    """
    groups = {levels: 100 * values for levels, values in group_draws(draws, groups_of(draws))}
    rows = []
    for levels, values in groups.items():
        mark, hidden = mark_of_draws(values), probability_words(float((values > 0).mean()))
        density = values if len(groups) <= DENSE else None
        rows.append(Row(" · ".join(levels) or "All", f"P(hidden) {hidden}", mark, density=density,
                        words=((percent_words(mark, signed=True), POSTERIOR),)))  # fmt: skip
    if sort:
        rows.sort(key=lambda row: -row.posterior.point if row.posterior else 0.0)
    marks = [row.posterior for row in rows if row.posterior]
    scale = points_scale(marks, [], label)._replace(sides=("claimed", "hidden"))
    key = [Key("posterior", "posterior median, 50 % and 95 % interval"),
           Key("", "hidden: more have it than say so; claimed: more say so than have it")]  # fmt: skip
    said = " ".join(f"{row.label}: {row.words[0][0]}, probability of hiding {row.note.removeprefix('P(hidden) ')}." for row in rows)
    alt = f"Sensitivity bias, list minus direct question in percentage points. {said}"
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=alt)
