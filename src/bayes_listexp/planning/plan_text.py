"""The paragraph of a pre-registration: what is assumed, how many are asked, and what they can say."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bayes_listexp.planning.plan_tables import Plan

ESTIMATES = {
    "dim": "differences in means",
    "ml": "maximum likelihood",
    "posterior": "posteriors under a uniform prior of the prevalence",
}


def plan_paragraph(plan: Plan, tables: Mapping[str, pd.DataFrame], *, n: int | None = None) -> str:
    """A paragraph to paste into a pre-registration, for n respondents (in each wave); None is the largest size of the plan.

    ``tables`` are those of :func:`plan_tables`.
    """
    n = plan.sizes[-1] if n is None else n
    waves = "" if plan.change is None else " in each of two waves" + (
        ", of different people" if plan.panel is None else f", of the same people (arms {plan.panel.arms})")  # fmt: skip
    row = _at(tables["precision"], n)
    text = [
        f"We plan a list experiment with {plan.scenario.J} control items and {n:,} respondents{waves}, {_percent(plan.share)} of whom are "
        f"randomly assigned to the treatment list, which adds {plan.sensitive_item}.",
        _assumed(plan),
        f"Under these assumptions the difference in means has a standard error of {_points(row['se'])} percentage "
        f"points (a {_percent(1 - plan.level)} interval of ± {_points(row['half_width'])} points), as "
        f"much as {row['direct_equivalent']:,.0f} truthful answers to a direct question would have.",
        *_changes(plan, tables, n), *_groups(plan, tables, n), *_assured(plan, tables, n), *_caveats(plan),
    ]  # fmt: skip
    return " ".join(text)


def _assumed(plan: Plan) -> str:
    s = plan.scenario
    shares = [_percent(share) for share in s.items]
    items = f" that apply to {', '.join(shares[:-1])} and {shares[-1]} of people" if len(shares) > 1 else ""
    clusters = ""
    if plan.clusters is not None:
        clusters = f" Respondents come in clusters of {plan.clusters.size:g}, which multiplies the variance by {plan.design_effect:.2f}."
    return (f"We assume a prevalence of {_percent(s.prevalence)} and control items{items}, with a mean of {s.count_mean:.2f} and a "
            f"variance of {s.count_variance:.2f} in their number; {_percent(s.floor)} of people have none and {_percent(s.ceiling)} "
            f"all of them.{clusters}")


def _changes(plan: Plan, tables: Mapping[str, pd.DataFrame], n: int) -> list[str]:
    if plan.change is None:
        row, needed = _at(tables["precision"], n), tables["needed"].iloc[0]
        return [f"An effect of {_points(plan.sought)} points is found with a power of {row['power']:.2f} ({_test(plan)}), one of "
                f"{_points(row['detectable'])} points with a power of {plan.power:g}; to know the "
                f"{needed['aim']} takes {needed['n']:,} respondents."]
    row, needed = _at(tables["change"], n), tables["needed"].iloc[-1]
    return [f"The change between the waves has a standard error of {_points(row['se'])} points. A change of {100 * plan.change:+.0f} "
            f"points is found with a power of {row['power']:.2f} ({_test(plan)}); with a power of {plan.power:g} we can find a change of "
            f"{_points(row['detectable'])} points. To find {needed['aim'].replace(' found', '')} takes {needed['n']:,} respondents."]


def _groups(plan: Plan, tables: Mapping[str, pd.DataFrame], n: int) -> list[str]:
    if "groups" not in tables:
        return []
    own = tables["groups"][tables["groups"]["n"] == n]
    return [f"In subgroups of {own['n_group'].min():,.0f} to {own['n_group'].max():,.0f} respondents the standard errors are "
            f"{_points(own['se'].min())} to {_points(own['se'].max())} points alone, and {_points(own['pooled_se'].min())} to "
            f"{_points(own['pooled_se'].max())} with partial pooling, if groups differ by a standard deviation of {_points(plan.between)} "
            "points."]


def _assured(plan: Plan, tables: Mapping[str, pd.DataFrame], n: int) -> list[str]:
    if "assurance" not in tables:
        return []
    row = _at(tables["assurance"], n)
    over = f" over a Beta belief of the prevalence with a standard deviation of {_points(plan.prevalence_sd)} points"
    said = (f"In {row['studies']:,.0f} simulated studies{over if plan.prevalence_sd else ''}, estimated by {ESTIMATES[plan.estimator]}, "
            f"the {_percent(1 - plan.level)} interval is narrower than {_points(plan.width)} points with probability {row['narrower']:.2f}")
    if plan.change is not None:
        direction = "a decline" if plan.change < 0 else "a rise"
        said += f", and the probability of {direction} given the data exceeds .95 with probability {row['detects']:.2f}"
    return [said + f" (seed {plan.seed})."]


def _caveats(plan: Plan) -> list[str]:
    independent = "for clusters as stated" if plan.clusters else "for independent respondents"
    return [f"Randomised arms, no design effect and truthful answers to the treatment list are assumed; the standard errors hold "
            f"{independent}."]


def _test(plan: Plan) -> str:
    return f"{'two' if plan.sides == 2 else 'one'}-sided, level {plan.level:g}"


def _at(table: pd.DataFrame, n: int) -> pd.Series:
    return table[table["n"] == n].iloc[0]


def _points(value: float) -> str:
    return f"{100 * abs(value):.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".removesuffix(".0") + " %"
