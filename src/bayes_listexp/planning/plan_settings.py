"""Plans from plain settings: what a spec's tables and the command line's options say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.differences import Panel
from bayes_listexp.planning.item_scenario import from_items, from_pilot
from bayes_listexp.planning.plan_tables import Clusters, Plan, Regions
from bayes_listexp.planning.scenario import Scenario, from_counts

NUMBER, NUMBERS = (float,), (list, float)
PLAN_KEYS: dict[str, dict[str, tuple[type, ...]]] = {
    "scenario": {
        "J": (int,), "prevalence": NUMBER, "items": (list,), "correlation": NUMBERS, "trait_correlation": NUMBERS, "mean": NUMBER,
        "variance": NUMBER, "ratio": NUMBER, "count_trait_correlation": NUMBER, "pilot": (str,),
    },
    "plan": {
        "n": (list, int), "share": NUMBER, "change": NUMBER, "change_sd": NUMBER, "effect": NUMBER, "half_width": NUMBER, "level": NUMBER,
        "power": NUMBER, "sides": (int,), "denial": NUMBER, "careless": NUMBER, "ceiling": NUMBER, "floor": NUMBER, "second_list": NUMBER,
        "sensitive": (int,), "between": NUMBER, "prevalence_sd": NUMBER, "width": NUMBER, "studies": (int,), "estimator": (str,),
        "seed": (int,), "sensitive_item": (str,),
    },
    "groups": {},
    "panel": {"arms": (str,), "counts": NUMBER, "traits": NUMBER},
    "clusters": {"size": NUMBER, "icc_count": NUMBER, "icc_trait": NUMBER, "within": (bool,)},
    "regions": {"people": (dict,), "exponent": NUMBER, "minimum": (dict,)},
    "choice": {"pilot": (str,), "J": (int, list), "items": (list,), "keep": (list,), "floor": NUMBER, "ceiling": NUMBER},
}  # fmt: skip
"""The tables and keys of a plan's spec, and the types their values may have; [groups] has the groups' own names."""


def plan_of(tables: Mapping[str, Mapping[str, Any]], *, pilot: pd.DataFrame | None = None, title: str | None = None) -> Plan:
    """The plan that settings by table and key describe, see ``PLAN_KEYS``.

    ``pilot`` is the survey that [scenario] names, in which the control items were asked one by one; [scenario] items are then
    names of its columns, otherwise shares.

    Raises
    ------
    InputError : a setting is missing, or cannot be.
    """
    plan = dict(tables.get("plan", {}))
    more: dict[str, Any] = {} if title is None else {"title": title}
    if "n" in plan:
        sizes = plan.pop("n")
        sizes = sizes if isinstance(sizes, list) else [sizes]
        if any(not isinstance(n, int) or n < 4 for n in sizes):
            raise InputError(f"n = {sizes}: whole numbers of at least 4 respondents are needed.")
        more["sizes"] = tuple(dict.fromkeys(sizes))
    for name, record in (("panel", Panel), ("clusters", Clusters), ("regions", Regions)):
        if tables.get(name):
            missing = [field for field in record._fields if field not in record._field_defaults and field not in tables[name]]
            if missing:
                raise InputError(f"[{name}] needs '{missing[0]}'.")
            more[name] = record(**tables[name])
    return Plan(scenario=scenario_of(tables.get("scenario", {}), pilot), groups=dict(tables.get("groups", {})), **plan, **more)


def scenario_of(settings: Mapping[str, Any], pilot: pd.DataFrame | None = None) -> Scenario:
    """The scenario of a plan: from items (shares or, with a pilot, columns), or from J and the mean of the control arm's answers.

    Raises
    ------
    InputError : a setting is missing, contradicts another, or cannot be.
    """
    given = dict(settings)
    if "prevalence" not in given:
        raise InputError("plan: no prevalence is given; it is what the study is expected to find (35 % is 0.35).")
    items, J, prevalence = given.get("items"), given.get("J"), given["prevalence"]
    by_count = {"correlation": given.get("count_trait_correlation", 0.0)}
    if items is None:
        if J is None or "mean" not in given:
            raise InputError("plan: give the shares of the control items (items), or their number (J) and the mean of the answers (mean).")
        if unused := [name for name in ("correlation", "trait_correlation") if given.get(name)]:
            raise InputError(f"plan: {unused[0]} is of single items, which are not given; use variance or ratio, and "
                             "count_trait_correlation.")
        return from_counts(J, given["mean"], prevalence, variance=given.get("variance"), ratio=given.get("ratio", 1.0), **by_count)
    if J is not None and len(items) != J:
        raise InputError(f"plan: J = {J}, and there are {len(items)} items.")
    if unused := [name for name in ("mean", "variance", "ratio") if given.get(name) is not None]:
        raise InputError(f"plan: {unused[0]} follows from the items; give items, or J with a mean.")
    if pilot is not None:
        return from_pilot(pilot, items, prevalence, **by_count)
    if any(isinstance(item, str) for item in items):
        raise InputError(f"plan: items {items} are names of columns, so a pilot is needed; without one give their shares.")
    more = {name: given[name] for name in ("correlation", "trait_correlation") if name in given}
    return from_items(items, prevalence, **more)
