"""Figures of checks: balance of the arms, types of people, control counts beside a binomial, and differences in means by group."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Key, Mark, Row, Scale, forest, percent_scale, percent_words
from bayes_listexp.figures.style import ALARM, DIM, GREY
from bayes_listexp.figures.style import styled as in_style
from bayes_listexp.figures.survey import IMPOSSIBLE_KEY


@in_style
def balance_of_arms(frame: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """How far each level's share differs between the treatment and the control arm, in standard deviations, with 95 % intervals.

    `frame` has one row a level: `covariate`, `level`, `difference`, `se`. Raises `InputError` on a missing column or no rows.
    """
    _require(frame, ("covariate", "level", "difference", "se"))
    rows: list[Row] = []
    for covariate, block in frame.groupby("covariate", sort=False):
        rows.append(Row(str(covariate), bold=True))
        for row in block.itertuples():
            mark = Mark(row.difference, row.difference - 1.96 * row.se, row.difference + 1.96 * row.se)
            rows.append(Row(str(row.level), dim=mark, words=((f"{row.difference:+.2f}".replace("-", "−"), DIM),)))
    reach = max(0.3, 1.08 * float((frame["difference"].abs() + 1.96 * frame["se"]).max()))
    step = 0.1 if reach < 0.45 else 0.25 if reach < 1 else 0.5
    ticks = tuple(float(t) for t in np.round(np.arange(-int(reach / step), int(reach / step) + 1) * step, 2))
    scale = Scale((-reach, reach), ticks, "Difference of shares, treatment minus control, standard deviations", reference=0.0)
    key = [Key("dim", "difference of shares between the arms, 95 % interval of each alone")]
    said = "; ".join(f"{r.covariate} {r.level} {r.difference:+.2f}" for r in frame.itertuples())
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Balance of the arms. {said}.")


@in_style
def shares_of_types(frame: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """Estimated shares of the types of people with 95 % intervals; what is below 0 in red.

    `frame` is :func:`bayes_listexp.type_shares` of one list: `trait`, `count`, `estimate`, `lower`, `upper` (0-1). Raises `InputError`
    on a missing column or no rows.
    """
    _require(frame, ("trait", "count", "estimate", "lower", "upper"))
    rows: list[Row] = []
    for trait, name in ((1, "With the trait"), (0, "Without the trait")):
        rows.append(Row(name, bold=True))
        for row in frame[frame["trait"] == trait].itertuples():
            mark = Mark(100 * row.estimate, 100 * row.lower, 100 * row.upper)
            colour = ALARM if row.estimate < 0 else DIM
            rows.append(Row(f"{row.count} control items", dim=mark, words=((percent_words(mark), colour),)))
    low, high = min(0.0, 100 * float(frame["lower"].min())), 100 * float(frame["upper"].max())
    step = 5 if high <= 25 else 10 if high <= 60 else 25
    scale = Scale((low - 1 if low < 0 else 0.0, 1.05 * high), tuple(float(t) for t in range(0, int(high) + 1, step)), "Share of people, %",
                  possible=(0, 100), reference=0.0)
    key = [Key("dim", "estimated share of people, 95 % interval"), IMPOSSIBLE_KEY]
    said = "; ".join(f"{'with' if r.trait else 'without'} the trait, {r.count} items {100 * r.estimate:.1f} %" for r in frame.itertuples())
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Types of people. {said}.")


@in_style
def differences_by_group(frame: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """Differences in means of groups with 95 % intervals, on a scale that shows what no share can be.

    `frame` has one row a group: `group`, `estimate`, `se` (0-1). Raises `InputError` on a missing column or no rows.
    """
    _require(frame, ("group", "estimate", "se"))
    rows = []
    for row in frame[frame["se"].notna()].itertuples():
        mark = Mark(*(100 * (row.estimate + z * row.se) for z in (0, -1.96, 1.96)))
        outside = not 0 <= row.estimate <= 1
        rows.append(Row(str(row.group), dim=mark, words=((percent_words(mark), ALARM if outside else DIM),), bold=row.group == "everybody"))
    scale = percent_scale([row.dim for row in rows if row.dim is not None], "Difference in means, % of respondents")
    key = [Key("dim", "difference in means, 95 % interval"), *([IMPOSSIBLE_KEY] if scale.ends != (0, 100) else [])]
    said = "; ".join(f"{row.label} {row.words[0][0]}" for row in rows)
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Differences in means by group. {said}.")


@in_style
def counts_and_binomial(frame: pd.DataFrame, *, title: str = "", subtitle: str = "") -> Figure:
    """Shares of the control counts with Wilson intervals, and what a binomial with the same mean would have.

    `frame` has one row a count: `count`, `share`, `lower`, `upper`, `binomial` (0-1). Raises `InputError` on a missing column or no rows.
    """
    _require(frame, ("count", "share", "lower", "upper", "binomial"))
    rows = []
    for row in frame.itertuples():
        mark = Mark(100 * row.share, 100 * row.lower, 100 * row.upper)
        words = (f"{100 * row.share:.0f} %, binomial {100 * row.binomial:.0f} %", GREY if row.lower <= row.binomial <= row.upper else ALARM)
        rows.append(Row(f"{row.count} items", dim=mark, printed=100 * row.binomial, words=(words,)))
    high = 105 * float(max(frame["upper"].max(), frame["binomial"].max()))
    step = 5 if high <= 25 else 10 if high <= 60 else 25
    scale = Scale((0.0, high), tuple(float(t) for t in range(0, int(high) + 1, step)), "Share of the control arm, %")
    key = [Key("dim", "observed, 95 % interval"), Key("printed", "binomial with the same mean; red where it is outside the interval")]
    said = "; ".join(f"{r.count} items {100 * r.share:.0f} %, binomial {100 * r.binomial:.0f} %" for r in frame.itertuples())
    return forest(rows, scale, key=key, title=title, subtitle=subtitle, alt=f"Control counts and a binomial. {said}.")


def _require(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if missing := [name for name in columns if name not in frame.columns]:
        raise InputError(f"the frame has no column {', '.join(missing)}; it has {list(frame.columns)}")
    if frame.empty:
        raise InputError("the frame has no rows, so there is nothing to draw")
