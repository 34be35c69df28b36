"""The command line's options of a plan, and how they go together with a spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from bayes_listexp.errors import InputError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """What is assumed and asked; shares and effects are 0 to 1."""

    J: Annotated[int | None, Parameter(name=["--J", "-J"], help="Number of control items.")] = None
    items: Annotated[
        list[float] | None, Parameter(consume_multiple=True, help="Shares of people to whom each control item applies.")
    ] = None
    mean: Annotated[
        float | None, Parameter(help="Mean of the control arm's answers, where the items are not known.")
    ] = None
    ratio: Annotated[
        float | None,
        Parameter(
            help="Variance of the control arm's answers relative to a binomial's; 13 public lists have .51 to 1.41."
        ),
    ] = None
    variance: Annotated[float | None, Parameter(help="Variance of the control arm's answers, instead of a ratio.")] = (
        None
    )
    correlation: Annotated[float | None, Parameter(help="Correlation of every two control items.")] = None
    trait_correlation: Annotated[
        float | None, Parameter(help="Correlation of each control item with the sensitive item.")
    ] = None
    prevalence: Annotated[float | None, Parameter(help="Expected prevalence of the sensitive item.")] = None
    prevalence_sd: Annotated[
        float | None, Parameter(help="Standard deviation of what is believed of it, for the assurance.")
    ] = None
    n: Annotated[
        list[int] | None, Parameter(consume_multiple=True, help="Respondents in a wave, one or more sizes.")
    ] = None
    share: Annotated[float | None, Parameter(help="Share in the treatment arm.")] = None
    change: Annotated[
        float | None, Parameter(help="Change to a second wave that is to be found, second minus first.")
    ] = None
    half_width: Annotated[float | None, Parameter(help="Half of the width of the interval wanted.")] = None
    power: Annotated[float | None, Parameter(help="Power wanted.")] = None
    sides: Annotated[int | None, Parameter(help="Sides of the test, 1 or 2.")] = None
    denial: Annotated[
        float | None, Parameter(help="Share of those with the trait who would deny it to a direct question.")
    ] = None
    careless: Annotated[float | None, Parameter(help="Share of respondents who answer without reading.")] = None
    sensitive: Annotated[int | None, Parameter(help="Number of sensitive items that share the control arm.")] = None
    groups: Annotated[
        list[float] | None, Parameter(consume_multiple=True, help="Shares of groups among the respondents.")
    ] = None
    between: Annotated[float | None, Parameter(help="Standard deviation between groups.")] = None
    cluster_size: Annotated[float | None, Parameter(help="Respondents in a cluster.")] = None
    icc: Annotated[float | None, Parameter(help="Intra-class correlation, of the count and of the trait.")] = None
    width: Annotated[float | None, Parameter(help="Whole width of an interval, for the assurance.")] = None
    studies: Annotated[int | None, Parameter(help="Simulated studies of each size for the assurance; 0 is none.")] = (
        None
    )
    estimator: Annotated[str | None, Parameter(help="Of the simulated studies: dim, ml or posterior.")] = None
    seed: Annotated[int | None, Parameter(help="Of the simulation.")] = None


NOTHING_ASKED = PlanOptions()


def merged(options: PlanOptions, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings of a spec (empty without one) by table, with those of the command line in their place.

    Raises
    ------
    InputError : an intra-class correlation without a size of the clusters.
    """
    from bayes_listexp.planning.plan_settings import PLAN_KEYS

    out: dict[str, dict[str, Any]] = {name: dict(tables.get(name, {})) for name in PLAN_KEYS}
    given = {name: value for name, value in asdict(options).items() if value is not None}
    for name, value in given.items():
        for table in ("scenario", "plan"):
            if name in PLAN_KEYS[table]:
                out[table][name] = value
    for name, others in (("items", ("mean", "ratio", "variance", "pilot")), ("mean", ("items", "pilot"))):
        if name in given:  # the other way of saying what the list is like
            out["scenario"] = {
                key: value for key, value in out["scenario"].items() if key not in others or key in given
            }
    if "items" in given and "J" not in given:
        out["scenario"].pop("J", None)
    if "groups" in given:
        out["groups"] = {f"group {i}": share for i, share in enumerate(given["groups"], start=1)}
    if "cluster_size" in given:
        out["clusters"]["size"] = given["cluster_size"]
    if "icc" in given:
        if "size" not in out["clusters"]:
            raise InputError("--icc: give the size of the clusters, too (--cluster-size).")
        out["clusters"] |= {"icc_count": given["icc"], "icc_trait": given["icc"]}
    return out
