"""Figures that set estimates beside what others say: other models, and what was printed."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import (
    Key,
    Mark,
    Row,
    forest,
    interval_mark,
    percent_scale,
    percent_words,
)
from bayes_listexp.figures.style import ALARM, DIM, GREY, INK, POSTERIOR, styled
from bayes_listexp.figures.survey import DIM_KEY, IMPOSSIBLE_KEY


@styled
def robustness(
    frame: pd.DataFrame,
    *,
    dim: tuple[float, float, float] | None = None,
    chosen: str | None = None,
    sort: bool = True,
    title: str = "",
    subtitle: str = "",
    label: str = "Support, % of respondents",
) -> Figure:
    """The same estimand under every model tried, with the difference in means to compare with.

    `frame` has one row a model: `model` (label), `estimate`, `lower`, `upper` (0-1), and where known `elpd`
    (expected log predictive density by LOO; shown relative to the best). `dim` is (estimate, lower, upper)
    of the difference in means, drawn as a row of its own and as a vertical line. `chosen` is the model set
    in bold. Raises `InputError` on a missing column, or a chosen model that is not in the frame.
    """
    _require(frame, ("model", "estimate", "lower", "upper"))
    if chosen is not None and chosen not in set(frame["model"]):
        raise InputError(f"chosen model {chosen!r} is not in the frame; it has {list(frame['model'])}")
    ordered = frame.sort_values("estimate", ascending=False, kind="stable") if sort else frame
    best = frame["elpd"].max() if "elpd" in frame else np.nan
    rows = [_model_row(row, best, chosen) for _, row in ordered.iterrows()]
    key = [Key("interval", "model: posterior median and 95 % interval")]
    reference = None
    if dim is not None:
        mark = Mark(100 * dim[0], 100 * dim[1], 100 * dim[2])
        reference = mark.point
        rows.append(Row("Difference in means", dim=mark, words=((percent_words(mark), DIM),)))
        key.append(DIM_KEY)
    scale = percent_scale([m for r in rows for m in (r.posterior, r.dim) if m], label)
    scale = scale._replace(reference=reference, reference_colour=DIM)
    key += [IMPOSSIBLE_KEY] if scale.ends != (0, 100) else []
    alt = "The estimate under each model. " + " ".join(f"{r.label}: {r.words[0][0]}." for r in rows)
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=alt)


@styled
def published_support(
    frame: pd.DataFrame,
    *,
    title: str = "",
    subtitle: str = "",
    label: str = "Support, % of respondents",
    of_counts: bool = False,
) -> Figure:
    """A published table re-analysed: posterior, difference of the printed means, and the printed support.

    `frame` has one row a printed row: `group`, `level`, `median`, `lower`, `upper` (posterior, 0-1), `dim`,
    `dim_lower`, `dim_upper` (0-1, not clipped), `printed` (0-1 or missing), `used` (words: what of the row
    the posterior rests on), `flag` (words: what contradicts, empty where nothing does). A row without
    posterior (median missing) keeps its other marks. `of_counts` says that answers were published and not only
    their means. Raises `InputError` on a missing column.
    """
    columns = (
        "group",
        "level",
        "median",
        "lower",
        "upper",
        "dim",
        "dim_lower",
        "dim_upper",
        "printed",
        "used",
        "flag",
    )
    _require(frame, columns)
    rows: list[Row] = []
    for group, block in frame.groupby("group", sort=False):
        if len(block) > 1:
            rows.append(Row(str(group), bold=True))
        rows += [_published_row(row, alone=len(block) == 1) for _, row in block.iterrows()]
    scale = percent_scale([m for r in rows for m in (r.posterior, r.dim) if m], label)
    key = [
        Key("interval", "posterior median and 95 % interval"),
        Key("dim", f"difference {'in' if of_counts else 'of the printed'} means, 95 % confidence interval"),
    ]
    if np.isfinite(frame["printed"].astype(float)).any() or not of_counts:
        contradicts = "; red and ≠: contradicts the means" if frame["flag"].astype(bool).any() or not of_counts else ""
        key.append(Key("printed", f"{'estimate' if of_counts else 'support'} as printed{contradicts}"))
    key += [IMPOSSIBLE_KEY] if scale.ends != (0, 100) else []
    said = [f"{r.label}: {', '.join(text for text, _ in r.words)}" for r in rows if r.words]
    return forest(
        rows,
        scale,
        key=key,
        title=title,
        subtitle=subtitle,
        alt="Published support. " + "; ".join(said) + ".",
    )


def _require(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise InputError(f"the frame has no column {', '.join(missing)}; it has {list(frame.columns)}")
    if frame.empty:
        raise InputError("the frame has no rows, so there is nothing to draw")


def _model_row(row: pd.Series, best: float, chosen: str | None) -> Row:
    mark = interval_mark(row, "estimate", "lower", "upper")
    words = [(percent_words(mark), POSTERIOR)]
    if "elpd" in row.index and np.isfinite(row["elpd"]):
        behind = float(row["elpd"]) - best
        words.append(("best elpd" if behind == 0 else f"elpd {behind:.1f}".replace("-", "−"), GREY))
    return Row(str(row["model"]), posterior=mark, words=tuple(words), bold=row["model"] == chosen)


def _published_row(row: pd.Series, *, alone: bool) -> Row:
    dim = interval_mark(row, "dim", "dim_lower", "dim_upper") if np.isfinite(row["dim"]) else None
    mark = interval_mark(row, "median", "lower", "upper") if np.isfinite(row["median"]) else None
    printed, flag = float(row["printed"]), str(row["flag"] or "")
    words = [(percent_words(mark) if mark else "no posterior", POSTERIOR)]
    words += [(percent_words(dim), DIM)] if dim else []
    if np.isfinite(printed):
        words.append((f"printed {100 * printed:.1f} %{' ≠' if flag else ''}", ALARM if flag else INK))
    note = "; ".join(part for part in (str(row["used"] or ""), flag) if part)
    label = str(row["group"]) if alone and row["group"] == row["level"] else str(row["level"])
    return Row(
        label, note, mark, dim, None, tuple(words), bold=alone,
        printed=100 * printed if np.isfinite(printed) else None, alarm=bool(flag),
    )  # fmt: skip
