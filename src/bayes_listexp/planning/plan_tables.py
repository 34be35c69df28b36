"""A plan: what is assumed and asked of the next study, and the tables that answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import sqrt
from typing import NamedTuple

import pandas as pd

from bayes_listexp.errors import InputError
from bayes_listexp.planning.alternatives import Estimate, break_even_bias, compare_designs, liar_bias
from bayes_listexp.planning.assurance import assurance
from bayes_listexp.planning.careless import careless_designs
from bayes_listexp.planning.differences import (
    Panel,
    change_variance,
    clustered_variance,
    dim_variance,
    optimal_share,
    several_items,
)
from bayes_listexp.planning.groups import allocation, pooled_groups
from bayes_listexp.planning.information import likelihood_variance
from bayes_listexp.planning.precision import by_size, respondents
from bayes_listexp.planning.scenario import Scenario

SHRUNKEN = 0.5  # prior standard deviation of the shift in the default model


class Clusters(NamedTuple):
    """Respondents come in clusters; as in :func:`clustered_variance`."""

    size: float
    icc_count: float = 0.05
    icc_trait: float = 0.05
    within: bool = True


class Regions(NamedTuple):
    """Respondents by region; as in :func:`allocation`."""

    people: Mapping[str, float]
    exponent: float = 1.0
    minimum: Mapping[str, int] = {}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a plan assumes and asks. Shares and effects are 0 to 1.

    ``sizes`` are respondents in a wave, a ``share`` of them in the treatment arm. With a ``change`` (second wave minus first) two
    waves of equal size are planned, of different people unless a ``panel`` is given. ``effect`` is what the study is to find: the
    change by default, without one the prevalence. ``denial`` is the share of those with the trait who deny it to a direct
    question; ``careless`` answer without reading; ``ceiling`` and ``floor`` of those who would give themselves away hide the
    trait. ``groups`` are shares of the respondents, whose truths differ by ``between``. ``sensitive`` items share one control arm.
    ``second_list`` is the correlation of the counts of a double list. ``studies`` of each size are simulated for the assurance,
    over a belief of the prevalence with standard deviation ``prevalence_sd``.

    Raises
    ------
    InputError : no sizes, or an effect of 0.
    """

    scenario: Scenario
    sizes: tuple[int, ...] = (400, 1000, 2000)
    share: float = 0.5
    change: float | None = None
    change_sd: float = 0.0
    effect: float | None = None
    half_width: float = 0.05
    level: float = 0.05
    power: float = 0.8
    sides: int = 2
    denial: float | None = None
    careless: float | None = None
    ceiling: float = 0.0
    floor: float = 0.0
    second_list: float = 0.3
    panel: Panel | None = None
    groups: Mapping[str, float] = field(default_factory=dict)
    between: float = 0.1
    clusters: Clusters | None = None
    regions: Regions | None = None
    sensitive: int = 1
    prevalence_sd: float = 0.0
    width: float = 0.2
    studies: int = 2000
    estimator: str = "posterior"
    seed: int = 1
    sensitive_item: str = "the sensitive item"
    title: str = "Plan of a list experiment"

    def __post_init__(self) -> None:
        if not self.sizes:
            raise InputError("plan: no number of respondents is given (n).")
        if self.sought == 0:
            raise InputError("plan: the effect that the study is to find is 0. Give a change, or an effect other than 0.")
        if self.second is not None and not 0 <= self.scenario.prevalence + (self.change or 0) <= 1:
            raise InputError(f"change = {self.change:g}: from a prevalence of {self.scenario.prevalence:g} it leads outside 0 to 1.")

    @property
    def sought(self) -> float:
        """The effect that the study is to find."""
        return self.effect if self.effect is not None else self.change if self.change is not None else self.scenario.prevalence

    @property
    def sought_in_wave(self) -> float:
        """The effect that one wave is to find: the prevalence, unless another is given."""
        return self.effect if self.effect is not None else self.scenario.prevalence

    @property
    def second(self) -> Scenario | None:
        """The second wave's scenario, where a change is planned."""
        if self.change is None:
            return None
        return self.scenario.with_prevalence(min(max(self.scenario.prevalence + self.change, 0.0), 1.0))

    @property
    def design_effect(self) -> float:
        """What clusters cost, 1 without; where nothing varies it is 1."""
        plain = dim_variance(self.scenario, self.share)
        if self.clusters is None or plain == 0:
            return 1.0
        return clustered_variance(self.scenario, share=self.share, **self.clusters._asdict()) / plain

    @property
    def unit(self) -> float:
        """Unit variance of one wave's difference in means, clusters included."""
        return self.design_effect * dim_variance(self.scenario, self.share)

    @property
    def change_unit(self) -> float | None:
        """Unit variance of the change, clusters included; None where none is planned."""
        if self.second is None:
            return None
        later = 1 - self.share if self.panel is not None and self.panel.arms == "swapped" else self.share
        return self.design_effect * change_variance(self.scenario, self.second, shares=(self.share, later), panel=self.panel)


Progress = Callable[[int, int], None]


def plan_tables(plan: Plan, *, workers: int = 1, progress: Progress | None = None) -> dict[str, pd.DataFrame]:
    """Every table of a plan by name, in the order of a report; those that were not asked for are left out.

    "assumptions" (quantity, value), "precision" and "change" (:func:`by_size`), "needed" (aim, n), "designs"
    (:func:`compare_designs` for each n), "break_even" (n, under, over: biases of a direct question), "efficiency" (of the likelihood),
    "careless", "groups" and "group_changes" (:func:`pooled_groups`), "regions", "items" (several sensitive ones), "assurance".
    """
    scenario = plan.scenario
    sought = plan.sought_in_wave
    sized = partial(by_size, sizes=plan.sizes, level=plan.level, sides=plan.sides, power_wanted=plan.power)
    out = {"assumptions": _assumptions(plan),
           "precision": sized(plan.unit, effect=sought, prevalence=scenario.prevalence)}
    if plan.change_unit is not None and plan.change is not None:
        out["change"] = sized(plan.change_unit, effect=plan.change).drop(columns="direct_equivalent")
    out["needed"] = _needed(plan)
    out["designs"] = _for_each_size(plan.sizes, lambda n: compare_designs(
        scenario, n, effect=sought, half_width=plan.half_width, denial=plan.denial, count_correlation=plan.second_list,
        share=plan.share, level=plan.level, others=_likelihoods(plan, n)))  # fmt: skip
    out["break_even"] = pd.DataFrame([(n, *break_even_bias(scenario, n, plan.share, list_bias=_hiding(plan))) for n in plan.sizes],
                                     columns=["n", "under", "over"])  # fmt: skip
    out["efficiency"] = _efficiency(plan)
    if plan.careless is not None:
        share = plan.careless
        out["careless"] = _for_each_size(plan.sizes, lambda n: careless_designs(scenario, share, n=n, share=plan.share))
    out |= _groups(plan)
    if plan.regions is not None:
        people, exponent, minimum = plan.regions
        out["regions"] = _for_each_size(plan.sizes, lambda n: allocation(
            people, n, exponent=exponent, unit=plan.unit, minimum=minimum).rename(columns={"n": "n_region"}))  # fmt: skip
    if plan.sensitive > 1:
        items = [scenario] * plan.sensitive
        out["items"] = _for_each_size(plan.sizes, lambda n: several_items(items, n=n, effect=sought, level=plan.level))
    if plan.studies:
        out["assurance"] = assurance(
            scenario, plan.sizes, prevalence_sd=plan.prevalence_sd, change=plan.change, change_sd=plan.change_sd, width=plan.width,
            level=plan.level, estimator=plan.estimator, share=plan.share, studies=plan.studies, seed=plan.seed, workers=workers,
            progress=progress)  # fmt: skip
    return out


def _hiding(plan: Plan) -> float:
    return liar_bias(plan.scenario, ceiling=plan.ceiling, floor=plan.floor)


def _assumptions(plan: Plan) -> pd.DataFrame:
    s = plan.scenario
    ratio = s.count_variance / (s.count_mean * (1 - s.count_mean / s.J)) if 0 < s.count_mean < s.J else float("nan")
    scale = sqrt(s.count_variance * s.trait_variance)
    rows = [
        ("control items (J)", float(s.J)), ("prevalence", s.prevalence), ("mean number of control items that apply", s.count_mean),
        ("its variance", s.count_variance), ("its variance relative to a binomial's", ratio),
        ("correlation of the number and the trait", s.covariance / scale if scale > 0 else 0.0),
        ("share to whom no control item applies", s.floor), ("share to whom all control items apply", s.ceiling),
        ("share in the treatment arm", plan.share), ("best share in the treatment arm", optimal_share(s)),
        ("design effect of the clusters", plan.design_effect), ("bias from people who hide the trait", _hiding(plan)),
        ("correlation of the two counts of a double list", plan.second_list),
    ]  # fmt: skip
    return pd.DataFrame([(name, round(value, 12) + 0.0) for name, value in rows], columns=["quantity", "value"])


def _needed(plan: Plan) -> pd.DataFrame:
    """Respondents (in each wave) that reach an aim."""
    goal = partial(respondents, power=plan.power, level=plan.level, sides=plan.sides)
    rows = [(f"prevalence within ± {100 * plan.half_width:g} points", respondents(plan.unit, half_width=plan.half_width, level=plan.level))]
    if plan.scenario.prevalence > 0:
        rows.append((f"a prevalence of {100 * plan.scenario.prevalence:g} % told from 0 with power {plan.power:g}",
                     goal(plan.unit, effect=plan.scenario.prevalence)))
    if plan.change_unit is not None and plan.change:
        rows.append((f"a change of {100 * plan.change:+g} points found with power {plan.power:g} (in each wave)",
                     goal(plan.change_unit, effect=plan.change)))
    return pd.DataFrame(rows, columns=["aim", "n"])


def _for_each_size(sizes: tuple[int, ...], make: Callable[[int], pd.DataFrame]) -> pd.DataFrame:
    """The tables of all sizes under one another, with n as a column."""
    parts = [make(n) for n in sizes]
    return pd.concat([part.assign(n=n)[["n", *part.columns]] for n, part in zip(sizes, parts, strict=True)], ignore_index=True)


def _likelihoods(plan: Plan, n: int) -> list[Estimate]:
    """The list with the default model's likelihood, where the prevalence is inside its range."""
    if not 0 < plan.scenario.prevalence < 1:
        return []
    unit = likelihood_variance(plan.scenario, share=plan.share, dependence="shift", shift_sd=SHRUNKEN, n=n)
    return [Estimate("list, likelihood (shrunken shift)", unit)]


def _efficiency(plan: Plan) -> pd.DataFrame:
    """What each assumption on how the count depends on the trait gains over the difference in means."""
    if not 0 < plan.scenario.prevalence < 1:
        return pd.DataFrame(columns=["dependence", "unit_variance", "efficiency"])
    dim = dim_variance(plan.scenario, plan.share)
    n = plan.sizes[-1]
    kinds = {"none": ("none", None), f"shift, shrunken (n = {n:,})": ("shift", SHRUNKEN), "shift": ("shift", None), "free": ("free", None)}
    rows = []
    for name, (dependence, sd) in kinds.items():
        unit = likelihood_variance(plan.scenario, share=plan.share, dependence=dependence, shift_sd=sd, n=n if sd else None)
        rows.append((name, unit, dim / unit if unit > 0 else 1.0))
    return pd.DataFrame(rows, columns=["dependence", "unit_variance", "efficiency"])


def _groups(plan: Plan) -> dict[str, pd.DataFrame]:
    """Support in groups, and its change, alone and pooled, for each size."""
    if not plan.groups:
        return {}
    if min(plan.groups.values()) <= 0 or sum(plan.groups.values()) > 1 + 1e-9:
        raise InputError(f"groups: shares above 0 that add up to at most 1 are needed, found {dict(plan.groups)}.")
    out = {}
    for name, unit, mean in (("groups", plan.unit, None), ("group_changes", plan.change_unit, plan.change)):
        if unit is not None:
            parts = [pooled_groups({g: share * n for g, share in plan.groups.items()}, unit, plan.between, mean=mean, level=plan.level)
                     .rename(columns={"n": "n_group"}).assign(n=n) for n in plan.sizes]  # fmt: skip
            whole = pd.concat(parts, ignore_index=True)
            out[name] = whole[["n", *[c for c in whole.columns if c != "n"]]]
    return out
