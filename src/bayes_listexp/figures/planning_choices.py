"""Figures of choices in a plan: control items from a pilot, and groups alone against groups pooled."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Key, Mark, Row, Scale, forest
from bayes_listexp.figures.style import (
    DIM,
    GREY,
    LINE,
    POSTERIOR,
    RULE,
    SMALL,
    WIDTH,
    canvas,
    fitted,
    heading,
    panel,
    styled,
    write_heading,
)

LISTED = 6


@styled
def control_item_frontier(table: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """Every choice of control items: variance of their number against the people whom the list would expose.

    ``table`` is that of :func:`bayes_listexp.planning.frontier`. Choices on the frontier are joined and numbered, and named below;
    those beyond the caps are pale. Raises `InputError` on a table without these columns, or without rows.
    """
    if missing := [c for c in ("items", "variance", "exposed", "allowed", "frontier") if c not in table.columns]:
        raise InputError(f"the table has no column {', '.join(missing)}; it has {list(table.columns)}")
    if table.empty:
        raise InputError("the table has no rows, so there is nothing to draw")
    best = table[table["frontier"]].sort_values("variance")
    named = best.iloc[np.unique(np.linspace(0, len(best) - 1, min(LISTED, len(best))).round().astype(int))] if len(best) else best
    words = [fitted(f"{i}  {row.items}: variance {row.variance:.2f}, exposed {100 * row.exposed:.0f} %", WIDTH - 0.3, SMALL)
             for i, row in enumerate(named.itertuples(), start=1)]  # fmt: skip
    above, below, start = heading(title, subtitle)
    top, high = start + LINE * 1.4, 2.7
    lines = sum(len(part) for part in words)
    on = canvas(top + high + 0.6 + LINE * (lines + 0.5))
    write_heading(on.page, above, below)
    on.page.text(0.03, start + LINE * 0.6, "To whom none or all of the items apply, %", color=GREY, va="center_baseline")
    axes = panel(on, 0.42, top, WIDTH - 0.6, high)
    axes.plot(table["variance"], 100 * table["exposed"], "o", ms=3, color=RULE, zorder=2)
    inside = table[table["allowed"]]
    axes.plot(inside["variance"], 100 * inside["exposed"], "o", ms=3, color="#9fb8d4", zorder=3)
    axes.plot(best["variance"], 100 * best["exposed"], "-o", ms=4.5, lw=1.2, color=POSTERIOR, zorder=4)
    for i, row in enumerate(named.itertuples(), start=1):
        axes.annotate(str(i), (row.variance, 100 * row.exposed), (-3, -3), textcoords="offset points", size=SMALL, weight="bold",
                      color=POSTERIOR, ha="right", va="top", zorder=5)  # fmt: skip
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.tick_params(length=0)
    axes.grid(color=RULE, lw=0.7)
    axes.set_axisbelow(True)
    on.page.text(WIDTH / 2, top + high + 0.38, "Variance of the number of control items that apply", ha="center", va="center")
    y = top + high + 0.62
    for part in words:
        on.page.text(0.05, y, "\n".join(part), size=SMALL, va="top")
        y += LINE * len(part)
    on.fig.set_label(_frontier_alt(best, len(table)))
    return on.fig


@styled
def planning_groups(table: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """Standard errors of groups alone and with partial pooling, in points, one row a group.

    ``table`` is that of :func:`bayes_listexp.planning.pooled_groups`, of one size of the study. Raises `InputError` on missing columns.
    """
    if missing := [c for c in ("group", "se", "pooled_se") if c not in table.columns]:
        raise InputError(f"the table has no column {', '.join(missing)}; it has {list(table.columns)}")
    size = "n_group" if "n_group" in table else "n"
    rows = [Row(str(r["group"]), f"{r[size]:,.0f} respondents", posterior=_point(r["pooled_se"]), dim=_point(r["se"]),
                words=((f"{100 * r['pooled_se']:.1f} pooled", POSTERIOR), (f"{100 * r['se']:.1f} alone", DIM)))
            for _, r in table.iterrows()]  # fmt: skip
    most = 100 * float(table["se"].max()) * 1.1
    ticks = tuple(float(t) for t in range(0, int(most) + 1, 5 if most < 30 else 10 if most < 60 else 20))
    scale = Scale((0, most), ticks, "Standard error, percentage points")
    said = "; ".join(f"{r['group']} {100 * r['se']:.1f} alone, {100 * r['pooled_se']:.1f} pooled" for _, r in table.iterrows())
    key = [Key("interval", "with partial pooling"), Key("dim", "each group alone")]
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Standard errors of groups, points. {said}.")


def _point(se: float) -> Mark:
    return Mark(100 * se, 100 * se, 100 * se)


def _frontier_alt(best: pd.DataFrame, number: int) -> str:
    said = "; ".join(f"{r.items}: variance {r.variance:.2f}, exposed {100 * r.exposed:.0f} %" for r in best.head(LISTED).itertuples())
    return f"Variance against exposed people in {number:,} choices of control items. On the frontier: {said or 'none'}."
