"""Figures in panels: answers by arm, and prior against posterior."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.base import array_stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bayes_listexp.errors import InputError
from bayes_listexp.figures.style import (
    EDGE,
    GREY,
    INK,
    LINE,
    POSTERIOR,
    RULE,
    SMALL,
    TEXT,
    TINT,
    WIDTH,
    canvas,
    fitted,
    heading,
    panel,
    styled,
    write_heading,
)

BAR = "#cfcfcf"


@styled
def answers_by_arm(
    observed: pd.DataFrame,
    predictive: xr.DataArray | None = None,
    *,
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """Answers in each arm: observed shares as bars, and what the fitted model predicts.

    `observed` has the columns `arm`, `answer`, `n`. `predictive` has dims (chain, draw, arm, answer) with
    replicated counts or probabilities; it is scaled to the arm's total, so both give shares; shown by
    median and equal-tailed 95 % interval. Raises `InputError` on missing columns, an arm without answers,
    or an arm that was not predicted.
    """
    if missing := [c for c in ("arm", "answer", "n") if c not in observed.columns]:
        raise InputError(f"observed has no column {', '.join(missing)}; it has {list(observed.columns)}")
    arms = list(dict.fromkeys(observed["arm"]))
    top_answer = int(observed["answer"].max())
    shares = {arm: _shares(observed[observed["arm"] == arm], arm, top_answer) for arm in arms}
    predicted = {arm: _predicted(predictive, arm, top_answer) for arm in arms} if predictive is not None else {}
    highest = max([max(s) for s in shares.values()] + [float(p[2].max()) for p in predicted.values()])
    above, below, top = heading(title, subtitle)
    lines = {arm: fitted(f"{arm}, n = {int(observed.loc[observed['arm'] == arm, 'n'].sum()):,}", 2.3) for arm in arms}
    names = max(len(part) for part in lines.values())
    rows = -(-len(arms) // 2)
    each = 1.9 + LINE * names + 0.4
    on = canvas(top + LINE * 1.5 + rows * each + 0.25)
    write_heading(on.page, above, below)
    _answers_key(on.page, top, bool(predicted))
    for index, arm in enumerate(arms):
        left, down = 0.45 + (index % 2) * (WIDTH / 2), top + LINE * 1.5 + (index // 2) * each
        on.page.text(left, down + 0.12, "\n".join(lines[arm]), weight="bold", va="top")
        axes = panel(on, left, down + LINE * names + 0.2, WIDTH / 2 - 0.55, 1.8)
        _draw_answers(axes, shares[arm], predicted.get(arm), highest)
    on.page.text(WIDTH / 2, on.height - 0.12, "Number of items reported", ha="center", va="center")
    on.page.text(EDGE, top + LINE * 1.5 + 0.12, "%", color=GREY, va="top")
    on.fig.set_label(_answers_alt(shares))
    return on.fig


@styled
def prior_posterior(
    prior: Mapping[Hashable, xr.DataArray] | xr.Dataset,
    posterior: Mapping[Hashable, xr.DataArray] | xr.Dataset,
    names: Mapping[str, str] | Sequence[str],
    *,
    percent: Sequence[str] = (),
    title: str = "",
    subtitle: str = "",
) -> Figure:
    """How far the data moved each quantity: prior as an outline, posterior filled, one panel a quantity.

    `prior` and `posterior` map a name to draws with dims (chain, draw) and any others, which get a panel
    for each level. `names` says which, in which order, and under which heading when it is a mapping.
    Quantities in `percent` are 0-1 and shown as percent; the others keep their unit. Raises `InputError` on
    a name that is not in both.
    """
    headings = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    if missing := [name for name in headings if name not in prior or name not in posterior]:
        raise InputError(f"{', '.join(missing)}: not in both prior and posterior")
    panels = [
        (said, before, after)
        for name, text in headings.items()
        for said, before, after in _quantities(prior[name], posterior[name], text, name in percent)
    ]
    above, below, top = heading(title, subtitle)
    across = 1 if len(panels) == 1 else 2
    wide = WIDTH / across - 0.3
    lines = [fitted(said, wide) for said, _, _ in panels]
    names_high = LINE * max(len(part) for part in lines)
    each = names_high + 1.15
    on = canvas(top + LINE * 1.4 + each * -(-len(panels) // across))
    write_heading(on.page, above, below)
    _pair_key(on.page, top + LINE / 2)
    for index, (_, before, after) in enumerate(panels):
        left, down = (index % across) * (WIDTH / 2) + 0.1, top + LINE * 1.4 + (index // across) * each
        on.page.text(left, down + 0.1, "\n".join(lines[index]), va="top")
        _draw_pair(panel(on, left, down + names_high + 0.16, wide, 0.6), before, after)
    on.fig.set_label(_moved(panels))
    return on.fig


def _shares(block: pd.DataFrame, arm: Hashable, top: int) -> NDArray[np.float64]:
    """Percent of the arm giving each answer from 0 to the top."""
    counts = np.zeros(top + 1)
    np.add.at(counts, block["answer"].to_numpy(dtype=int), block["n"].to_numpy(dtype=float))
    if counts.sum() == 0:
        raise InputError(f"arm {arm!r} has no answers, so there are no shares to draw")
    return 100 * counts / counts.sum()


def _predicted(draws: xr.DataArray, arm: Hashable, top: int) -> NDArray[np.float64]:
    """Lower end, median and upper end of the predicted percent of each answer."""
    if arm not in draws["arm"].values:
        raise InputError(f"arm {arm!r} was observed but not predicted; predictive has {list(draws['arm'].values)}")
    chosen = draws.sel(arm=arm).reindex(answer=np.arange(top + 1), fill_value=0)
    shares = 100 * chosen / chosen.sum("answer")
    quantiles = shares.quantile([0.025, 0.5, 0.975], dim=[dim for dim in ("chain", "draw") if dim in shares.dims])
    return quantiles.transpose("quantile", "answer").values


def _draw_answers(axes: Axes, shares: NDArray[np.float64], predicted: NDArray[np.float64] | None, highest: float) -> None:
    """Bars up to the last answer that the arm gave or could give, and the prediction on them."""
    occurs = shares > 0 if predicted is None else (shares > 0) | (predicted[2] > 0)
    axes.set_xlim(-0.6, len(shares) - 0.4)
    length = int(np.flatnonzero(occurs).max()) + 1
    x, shares = np.arange(length), shares[:length]
    axes.bar(x, shares, width=0.78, color=BAR, zorder=2)
    if predicted is not None:
        predicted = predicted[:, :length]
        axes.vlines(x, predicted[0], predicted[2], color=POSTERIOR, lw=1.6, zorder=3)
        axes.plot(x, predicted[1], "o", color="white", mec=POSTERIOR, mew=1.5, ms=5, zorder=4)
    step = 10 if highest <= 60 else 20
    ticks = np.arange(0, highest + step, step)
    axes.set(xticks=x, ylim=(0, highest * 1.04), yticks=[t for t in ticks if t <= highest * 1.04])
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=RULE, lw=0.7)


def _answers_key(page: Axes, top: float, predicted: bool) -> None:
    y = top + LINE / 2
    page.fill_between([0.02, 0.3], y - 0.06, y + 0.06, color=BAR, lw=0)
    page.text(0.4, y, "observed", size=SMALL, color=GREY, va="center_baseline")
    if predicted:
        page.plot([1.3, 1.3], [y - 0.08, y + 0.08], color=POSTERIOR, lw=1.6)
        page.plot([1.3], [y], "o", color="white", mec=POSTERIOR, mew=1.5, ms=5)
        words = "predicted by the model, median and 95 % interval"
        page.text(1.42, y, words, size=SMALL, color=POSTERIOR, va="center_baseline")


def _answers_alt(shares: Mapping[Hashable, NDArray[np.float64]]) -> str:
    said = [
        f"{arm}: " + ", ".join(f"{answer} items {share:.0f} %" for answer, share in enumerate(values))
        for arm, values in shares.items()
    ]
    return "Answers by arm. " + "; ".join(said) + "."


Pair = tuple[str, NDArray[np.float64], NDArray[np.float64]]


def _quantities(before: xr.DataArray, after: xr.DataArray, text: str, percent: bool) -> list[Pair]:
    """One heading, prior and posterior for each level of the dims beyond (chain, draw)."""
    others = [d for d in after.dims if d not in ("chain", "draw")]
    unit = 100.0 if percent else 1.0
    found = []
    for index in np.ndindex(*(after.sizes[d] for d in others)):
        at = dict(zip(others, index, strict=True))
        level = ", ".join(str(after[d].values[i]) for d, i in at.items())
        pair = (unit * before.isel(at).values.ravel(), unit * after.isel(at).values.ravel())
        found.append((f"{text}{f' [{level}]' if level else ''}{', %' if percent else ''}", *pair))
    return found


def _draw_pair(axes: Axes, before: NDArray[np.float64], after: NDArray[np.float64]) -> None:
    """Both densities to the same area, over the central 99 % of both."""
    low = min(np.quantile(before, 0.005), np.quantile(after, 0.005))
    high = max(np.quantile(before, 0.995), np.quantile(after, 0.995))
    for draws, posterior in ((after, True), (before, False)):
        x, density, _ = array_stats.kde(draws, grid_len=200)
        if posterior:
            axes.fill_between(x, density, color=TINT, lw=0)
        axes.plot(x, density, color=POSTERIOR if posterior else GREY, lw=1.4, ls="-" if posterior else (0, (3, 1.5)))
    axes.set(xlim=(low, high), yticks=[])
    axes.set_ylim(bottom=0)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(length=2, labelsize=TEXT - 1, color=INK)


def _pair_key(page: Axes, y: float) -> None:
    page.plot([EDGE, 0.36], [y, y], color=GREY, lw=1.4, ls=(0, (3, 1.5)))
    page.text(0.46, y, "prior", size=SMALL, color=GREY, va="center_baseline")
    page.fill_between([1.02, 1.36], y - 0.06, y + 0.06, color=TINT, ec=POSTERIOR, lw=1)
    page.text(1.46, y, "posterior", size=SMALL, color=POSTERIOR, va="center_baseline")


def _moved(panels: Sequence[Pair]) -> str:
    """Medians before and after, in words."""
    said = [f"{text}: median {np.median(before):.2g} before, {np.median(after):.2g} after" for text, before, after in panels]
    return "Prior against posterior. " + "; ".join(said) + "."
