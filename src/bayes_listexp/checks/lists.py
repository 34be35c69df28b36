"""The answers themselves: floor and ceiling, dispersion of the control counts, impossible differences, and what the list is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from bayes_listexp.checks.arms import is_grouping, said_level, strata_of
from bayes_listexp.checks.record import LEVEL, Check, of_list, within_lists, worst_of
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.list_arms import ListArms, arms_by_list
from bayes_listexp.multiple_tests import holm
from bayes_listexp.weighting import kish

MANY_AT_THE_EDGE = 0.2
Z = float(norm.ppf(0.975))


def lists_to_check(study: ListExperiment) -> list[ListArms]:
    """The comparisons that are checked apart: by list version, sensitive item and wave, and second lists."""
    return arms_by_list(study, [name for name in strata_of(study) if name != study.version])


def edges(study: ListExperiment) -> Check:
    """How many answers stand at the floor and the ceiling, where an answer gives the trait away; with Wilson intervals."""
    rows = []
    for arms in lists_to_check(study):
        for arm, answers, k in (("control", arms.control, 0), ("control", arms.control, arms.J), ("treatment", arms.treatment, arms.J + 1)):
            share, low, high = wilson(answers[k], answers.sum())
            rows.append((arms.label, arms.J, arm, k, share, low, high))
    table = pd.DataFrame(rows, columns=["of", "J", "arm", "answer", "share", "lower", "upper"])
    control = table[table["arm"] == "control"]
    worst = control.loc[control["share"].idxmax()]
    passed = bool(worst["share"] < MANY_AT_THE_EDGE)
    groups = list(table.groupby("of", sort=False))
    said = [_edges_words(label, part) for label, part in groups] if len(groups) <= 3 else []
    said += [] if said and passed else [f"The most is {worst['share']:.1%} who answer {worst['answer']}{within_lists(worst['of'])}."]
    said += [] if passed else ["That is many: lying at the edges is likely."]
    advice = ("Compare with response = 'liars' (people at the edges may hide the trait); report bounds; for the next wave, replace a "
              "control item that nearly everybody has, or add one that goes against another.")
    return Check("floor and ceiling", "Do few people stand where the answer gives them away?", passed, float(worst["share"]),
                 _of_one_list(table.drop(columns="J")), " ".join(said), (float(worst["lower"]), float(worst["upper"])), advice=advice)


def _edges_words(label: str, part: pd.DataFrame) -> str:
    floor, ceiling, top = part["share"]
    J = part["J"].iloc[0]
    unused = (f" Nobody comes near the end of either list: look up in the questionnaire that it has {J} control items."
              if ceiling == 0 and top == 0 else "")
    return (f"{of_list(label)}In the control arm {floor:.1%} answer 0 and {ceiling:.1%} answer {J}; in the treatment arm "
            f"{top:.1%} answer {J + 1}, which reveals the sensitive item.{unused}")


def wilson(count: float, n: float) -> tuple[float, float, float]:
    """A share, ``count`` of ``n``, with Wilson's 95 % interval."""
    share = count / n
    middle, half = share + Z**2 / (2 * n), Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return float(share), float((middle - half) / (1 + Z**2 / n)), float((middle + half) / (1 + Z**2 / n))


def dispersion(study: ListExperiment, counts: str | None = None) -> Check:
    """Variance of the control counts against the binomial's at the same mean, and what that means for a model of the ``counts``.

    A list whose control items go against each other, as good lists do, has counts less dispersed than the binomial, which then takes
    the difference for people with the trait; a beta-binomial can only be more dispersed. The ratio's interval is that of its
    logarithm, linearised. With ``counts``, the family that a model takes, the check fails where that family cannot have this ratio.
    """
    question = "Are control counts as dispersed as independent, equally popular items would be?"
    found, said = [], []
    for arms in lists_to_check(study):
        mean, variance, binomial = _moments(arms)
        if arms.control.sum() < 2:
            return Check("dispersion", question, None, None, None,
                         f"{of_list(arms.label)}A single answer in the control arm has no variance.")
        if not binomial > 0 or not np.isfinite(variance):
            return Check("dispersion", question, False, None, None, f"{of_list(arms.label)}Everyone in the control arm gives the same "
                         "answer, 0 or all: the list protects nobody.", advice="Every answer of the treatment arm tells who has the trait. "
                         "Take it for a direct question, or check that the column holds the answers to this list.")
        ratio, low, high = _ratio(arms, mean, variance, binomial)
        found.append((arms.label, mean, variance, binomial, ratio, low, high))
        said.append(f"{of_list(arms.label)}The control counts have {ratio:.2f} times (95 % interval {low:.2f} to {high:.2f}) the "
                    f"variance of a binomial with the same mean, {_compared_words(ratio, low, high)}.")
    table = pd.DataFrame(found, columns=["of", "mean", "variance", "binomial variance", "ratio", "lower", "upper"])
    farthest = table.loc[np.abs(np.log(np.maximum(table["ratio"], 1e-12))).idxmax()]
    wrong = [w for row in table.itertuples() if (w := _cannot(counts, row.lower, row.upper))]
    text = " ".join(said if len(said) <= 3 else [said[int(farthest.name)], f"({len(said)} lists; the farthest from 1 is shown.)"])
    advice = ("Keep counts = 'softmax' (the default), which takes any dispersion, or use 'com_binomial' for many control items; 'binomial' "
              "and 'beta_binomial' would book the missing variance to the trait.") if table["upper"].min() < 1 else ""
    return Check("dispersion", question, False if wrong else None, float(farthest["ratio"]), _of_one_list(table),
                 f"{text} {wrong[0]}" if wrong else text, (float(farthest["lower"]), float(farthest["upper"])), advice=advice)


def _moments(arms: ListArms) -> tuple[float, float, float]:
    """Mean and variance of the control counts, and the binomial's variance at this mean."""
    n, y = arms.control, np.arange(arms.J + 1)
    mean = float(n @ y / n.sum())
    variance = float(n @ (y - mean) ** 2 / (n.sum() - 1)) if n.sum() > 1 else float("nan")
    return mean, variance, mean * (1 - mean / arms.J)


def _ratio(arms: ListArms, mean: float, variance: float, binomial: float) -> tuple[float, float, float]:
    """The ratio of the variances with its 95 % interval."""
    n, y = arms.control, np.arange(arms.J + 1)
    ratio = variance / binomial
    if ratio <= 0:
        return 0.0, 0.0, 0.0
    influence = ((y - mean) ** 2 - variance) / variance - (1 - 2 * mean / arms.J) * (y - mean) / binomial
    half = Z * float(np.sqrt(n @ influence**2)) / n.sum()
    return ratio, ratio * float(np.exp(-half)), ratio * float(np.exp(half))


def _compared_words(ratio: float, low: float, high: float) -> str:
    """What the ratio means for the choice of model."""
    side = "less" if ratio < 1 else "more"
    if low <= 1 <= high:
        return f"so they are {side} dispersed by no more than chance explains; a binomial is not contradicted by its variance"
    remedy = "nor a beta-binomial, which is only more dispersed, " if ratio < 1 else ""
    return f"so they are {side} dispersed; neither a binomial model {remedy}would be right" if remedy else (
        f"so they are {side} dispersed; the binomial model would be wrong by that much")


def _cannot(counts: str | None, low: float, high: float) -> str:
    """A sentence where a family cannot have such a ratio; else nothing."""
    if counts == "binomial" and not low <= 1 <= high:
        return "The model takes the counts for binomial, which they are not."
    if counts == "beta_binomial" and high < 1:
        return "The model takes the counts for beta-binomial, which cannot be less dispersed than the binomial."
    return ""


def impossible_groups(study: ListExperiment, covariates: Sequence[str]) -> Check:
    """Groups whose difference in means lies outside 0 to 1 by more than sampling error explains (one-sided, Holm over the groups)."""
    columns = [*strata_of(study), *([study.item] if study.item is not None else []), *(c for c in covariates if is_grouping(study, c))]
    tables = [("everybody", difference_in_means(study))]
    tables += [(name, difference_in_means(study, by=name)) for name in dict.fromkeys(columns)]
    rows = [(label if label == "everybody" else f"{label}: {said_level(row[label])}", row["estimate"], row["se"])
            for label, table in tables for _, row in table.iterrows()]
    table = pd.DataFrame(rows, columns=["group", "estimate", "se"])
    beyond = np.maximum(-table["estimate"], table["estimate"] - 1) / table["se"]
    table["standard errors outside 0 to 1"] = beyond.clip(lower=0)
    table["p"] = norm.sf(beyond)
    table["p adjusted"] = holm(table["p"].to_numpy())
    worst, p = float(beyond.max()) if beyond.notna().any() else float("nan"), worst_of(table["p adjusted"])
    outside = table[(table["estimate"] < 0) | (table["estimate"] > 1)]["group"].tolist()
    text = ("All differences in means lie between 0 and 1." if not outside else
            f"The difference in means is outside 0 to 1 for {', '.join(outside)}; the farthest is {worst:.1f} standard errors outside.")
    advice = ("Sampling error does not explain this. Check that the arms are coded the right way round (arms = (control, treatment)), "
              "and that J and the answers belong to this list; else the sensitive item changed the answers to the others, or people hid "
              "it.")
    estimate = table["estimate"].iloc[0]
    certain = bool(((table["se"] == 0) & ((table["estimate"] < 0) | (table["estimate"] > 1))).any())
    passed = False if certain else p is None or p >= LEVEL
    return Check("possible differences", "Do the differences in means lie between 0 and 1, up to sampling error?", passed,
                 worst if np.isfinite(worst) else None, table, text,
                 None, 0.0 if certain else p if np.isfinite(estimate) else None, advice)


def information(study: ListExperiment) -> Check:
    """How many direct answers the list is worth: as many as would give the same variance, P (1 - P) / variance of the difference.

    By list version, item and wave where there are several. P is the difference in means; where it is outside 0 to 1, or for the most
    that the list can be worth, 1/4 stands for P (1 - P). The variance is that of the sampling design, weighted if there are weights.
    """
    by = [name for name in dict.fromkeys([*strata_of(study), *([study.item] if study.item is not None else [])])]
    tables = [difference_in_means(study, weighted=study.weighted).assign(of="all")]
    if by:
        apart = difference_in_means(study, by=by, weighted=study.weighted)
        tables.append(apart.assign(of=apart[by].astype(str).agg(", ".join, axis=1)))
    table = pd.concat(tables, ignore_index=True)[["of", "estimate", "se", "n_control", "n_treatment"]]
    table["n"] = table["n_control"] + table["n_treatment"]
    spread = (table["estimate"] * (1 - table["estimate"])).where(table["estimate"].between(0, 1), 0.25)
    table["direct answers"], table["at most"] = spread / table["se"] ** 2, 0.25 / table["se"] ** 2
    row = table.iloc[0]
    question = "How many direct answers is the list worth?"
    if not row["se"] > 0:
        return Check("information", question, None, None, table, "The difference in means has no standard error, so this cannot be said.")
    worth = row["direct answers"]
    text = (f"This list of {row['n']:,.0f} is worth {worth:,.0f} direct answers that nobody falsifies (at most {row['at most']:,.0f}): the "
            f"standard error of the difference in means is {100 * row['se']:.1f} points.")
    half = np.sqrt(max(row["estimate"] * (1 - row["estimate"]), 0) / row["n"]) * 100
    text += f" A truthful direct question to all of them would have {half:.1f} points." if row["estimate"] > 0 else ""
    if study.weighted:
        text += f" Unequal weights cost a factor of {kish(study)['deff'].iloc[0]:.2f} of it."
    return Check("information", question, None, float(worth), table, text)


def _of_one_list(table: pd.DataFrame) -> pd.DataFrame:
    """A table without the column that says whose answers these are, where there is one list."""
    return table if table["of"].any() else table.drop(columns="of")
