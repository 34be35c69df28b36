"""What refusals to answer the list can do to the result, where one list is refused more often than the other.

Random assignment makes those who were shown the two lists alike; if more refuse one list, those who answered them are not. Two
pairs of bounds say how much that can matter. The worst case assumes nothing of those who refused, and is about everybody. Lee's
(2009, "Training, wages, and sample selection: Estimating sharp bounds on treatment effects", Review of Economic Studies 76:
1071-1102) assumes that the sensitive item makes nobody answer whom the control list would make refuse (or, where the control list
is refused more often, the reverse), and is about those who would answer either list: the others are some of those who answered the
list that is refused less, and the bounds leave out as many of its lowest, or its highest, answers.
Intervals are those of Imbens & Manski (2004, "Confidence intervals for partially identified parameters", Econometrica 72: 1845-1857).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import without_missing
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.linearisation import half_width
from bayes_listexp.versions import refuse_mixed

BOUND_COLUMNS = ["of", "lower", "upper", "se_lower", "se_upper", "interval_lower", "interval_upper", "trimmed", "trimmed_share",
                 "refused_control", "refused_treatment", "n_control", "n_treatment"]
EVERYBODY, ALWAYS = "everybody (worst case)", "would answer either list (Lee)"


class Arm(NamedTuple):
    """How many answered 0, 1, ... to a list, (answer,), and how many refused who could have answered at most 0, 1, ..."""

    answered: np.ndarray
    refused: np.ndarray

    @property
    def share(self) -> float:
        """The share who answered, 0 to 1."""
        return float(self.answered.sum() / (self.answered.sum() + self.refused.sum()))


class Estimate(NamedTuple):
    """An estimate and the variance of its estimator."""

    value: float
    variance: float


def refusal_bounds(study: ListExperiment, by: str | Sequence[str] = (), *, probability: float = 0.95) -> pd.DataFrame:
    """Bounds of the difference in mean answers, treatment minus control, that refusals allow, by group: two rows each.

    The row "everybody (worst case)" puts missing answers of one arm at 0 and of the other at the most that its list allows. The row
    "would answer either list (Lee)" is about those people alone (Lee 2009): of the arm that refused less, ``trimmed`` ("control",
    "treatment" or "neither"), the share ``trimmed_share`` of answers is left out from below or from above, answers that are tied
    being split; with equal shares of refusals both bounds are the difference in means. If the assumptions of the list experiment
    hold, the difference is a share of people, 0 to 1; it is never cut off.

    Columns: the groups, ``of``, ``lower``, ``upper``, their standard errors ``se_lower`` and ``se_upper`` (Lee's Proposition 3,
    which holds for tied answers; the sampling error of the trimmed share is in it), and ``interval_lower``, ``interval_upper``, which
    covers the difference itself, wherever it lies between the bounds, with the given probability (Imbens & Manski 2004); the trimmed
    arm and share; the shares who refused (0 to 1) and the numbers who were shown each list. Not weighted. A group without
    answers in an arm has NaN. By the item, where there are several, each treatment list is compared with the one control arm.

    A missing answer of somebody whose arm is known is taken for a refusal.

    Raises
    ------
    InputError : an unknown or repeated column, a study without a control arm, or groups that were shown several list versions.
    """
    by = [by] if isinstance(by, str) else list(by)
    twice = [name for name in by if by.count(name) > 1]
    if twice:
        raise InputError(f"by: column '{twice[0]}' is named twice.")
    if study.listed["_treated"].all():
        raise InputError("refusal_bounds: nobody has answered the control list, so there are no two lists to compare.")
    refuse_mixed(study, by, "refusal_bounds")
    rows = [[*key, *row] for key, control, treatment in _groups(study, by) for row in bounds_of_arms(control, treatment, probability)]
    return pd.DataFrame(rows, columns=[*by, *BOUND_COLUMNS])


def refusal_words(bounds: pd.DataFrame) -> str:
    """What the bounds of one group mean for the prevalence, in sentences: shares of people, cut off at 0 and 100 %."""
    worst, lee = (bounds[bounds["of"] == of].iloc[0] for of in (EVERYBODY, ALWAYS))
    return (
        f"If those who refused differ in the trait, the difference in means is off. Among people who would answer either list, the "
        f"prevalence lies between {_percent(lee['lower'])} and {_percent(lee['upper'])} (95 % interval {_percent(lee['interval_lower'])} "
        f"to {_percent(lee['interval_upper'])}), if the sensitive item moves everybody's readiness to answer in the same direction "
        f"(Lee 2009: {_percent(lee['trimmed_share'])} of the {lee['trimmed']} arm's answers are left out at one end). With nothing "
        f"assumed of those who refused, the prevalence of all lies between {_percent(worst['lower'])} and {_percent(worst['upper'])}."
    )


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.1f} %"


def _groups(study: ListExperiment, by: list[str]) -> Iterator[tuple[tuple[Any, ...], Arm, Arm]]:
    """Each group's key with its two arms; by the item, the control arm is that of every item."""
    known, _ = study.complete(by)
    both, _ = without_missing(pd.concat([study.listed, study.refusals.assign(_answer=-1)]), by, study.missing)
    if study.item is not None and study.item in by:
        control = both[~both["_treated"]]
        both = pd.concat([both[both["_treated"]], *(control.assign(**{study.item: item}) for item in study.items)])
        both = both.astype({study.item: known[study.item].dtype})
    parts: Any = [((), both)] if not by else both.groupby(by, observed=True, sort=True)
    for key, part in parts:
        J = study.lists[part[study.version].iloc[0]] if study.version is not None else study.J
        yield (*key,), _arm(part[~part["_treated"]], J), _arm(part[part["_treated"]], J)


def _arm(table: pd.DataFrame, J: int) -> Arm:
    top = J + (table["_treated"] | table["_placebo"]).astype(int)
    answered = table["_answer"] >= 0
    given, most = (np.bincount(values, weights=table["_n"][rows], minlength=J + 2)
                   for values, rows in ((table["_answer"][answered], answered), (top[~answered], ~answered)))
    return Arm(given, most)


def bounds_of_arms(control: Arm, treatment: Arm, probability: float) -> list[list[Any]]:
    """The two rows of :func:`refusal_bounds` for one group, columns :data:`BOUND_COLUMNS`."""
    shown = [float(arm.answered.sum() + arm.refused.sum()) for arm in (control, treatment)]
    refused = [float(arm.refused.sum() / n) if n else np.nan for arm, n in zip((control, treatment), shown, strict=True)]
    facts = [*refused, *(int(n) for n in shown)]
    if not (control.answered.sum() and treatment.answered.sum()):
        return [[of, *[np.nan] * 6, "", np.nan, *facts] for of in (EVERYBODY, ALWAYS)]
    lower, upper = (_difference(_filled(treatment, low=low), _filled(control, low=not low)) for low in (True, False))
    trimmed, share, lee = _trimmed(control, treatment)
    return [[EVERYBODY, *with_interval(lower, upper, probability), "", np.nan, *facts],
            [ALWAYS, *with_interval(*lee, probability), trimmed, share, *facts]]


def _filled(arm: Arm, *, low: bool) -> Estimate:
    """The mean answer of everybody who was shown a list, refusals at 0 or at the most that the list allows."""
    counts = arm.answered + (np.eye(1, len(arm.answered))[0] * arm.refused.sum() if low else arm.refused)
    return _mean(np.arange(len(counts)), counts)


def _trimmed(control: Arm, treatment: Arm) -> tuple[str, float, tuple[Estimate, Estimate]]:
    """Which arm is trimmed and by how much, and Lee's lower and upper bound."""
    arms = {"control": control, "treatment": treatment}
    more, less = sorted(arms, key=lambda name: arms[name].share, reverse=True)
    kept = Estimate(arms[less].share / arms[more].share, 0.0)
    odds = [(1 - arm.share) / (arm.share * (arm.answered.sum() + arm.refused.sum())) for arm in arms.values()]
    kept = kept._replace(variance=kept.value**2 * sum(odds))
    other = _mean(np.arange(len(control.answered)), arms[less].answered)
    lowest, highest = (_mean_of_part(arms[more].answered, kept, lowest=lowest) for lowest in (True, False))
    bounds = (_difference(other, highest), _difference(other, lowest)) if more == "control" else (
        _difference(lowest, other), _difference(highest, other))
    return (more if kept.value < 1 else "neither"), 1 - kept.value, bounds


def _mean_of_part(counts: np.ndarray, kept: Estimate, *, lowest: bool) -> Estimate:
    """The mean of the share ``kept`` of answers that are lowest or highest, ``counts`` (answer,) being those of each answer.

    It is the extreme over y of y + E[min(Y - y, 0)] / kept (from above, of the mirror image), whose derivative by y is zero at
    the quantile, also where answers are tied there. So its error is that of E[min(Y - y, 0)] and that of the share alone.
    """
    answers = np.arange(len(counts)) * (1.0 if lowest else -1.0)
    order = np.argsort(answers)
    reached = np.cumsum(counts[order]) >= kept.value * counts.sum() * (1 - 1e-12)
    quantile = answers[order][np.argmax(reached)]
    below = _mean(np.minimum(answers - quantile, 0.0), counts)
    value = quantile + below.value / kept.value
    variance = below.variance / kept.value**2 + ((quantile - value) / kept.value) ** 2 * kept.variance
    return Estimate(value if lowest else -value, variance)


def _mean(values: np.ndarray, counts: np.ndarray) -> Estimate:
    n = counts.sum()
    mean = float(counts @ values / n)
    return Estimate(mean, float(counts @ (values - mean) ** 2 / (n - 1) / n) if n > 1 else np.nan)


def _difference(first: Estimate, second: Estimate) -> Estimate:
    return Estimate(first.value - second.value, first.variance + second.variance)


def with_interval(lower: Estimate, upper: Estimate, probability: float, degrees: float = np.inf) -> list[float]:
    """Bounds, standard errors, and Imbens and Manski's (2004) interval for what lies between the bounds.

    With few ``degrees`` of freedom it is wider in the proportion of Student's intervals to normal ones.
    """
    errors = [float(np.sqrt(bound.variance)) for bound in (lower, upper)]
    factor = _factor((upper.value - lower.value) / max(errors), probability) if min(errors) > 0 else np.nan
    factor *= half_width(probability, degrees) / half_width(probability)
    return [lower.value, upper.value, *errors, lower.value - factor * errors[0], upper.value + factor * errors[1]]


def _factor(width: float, probability: float) -> float:
    """How many standard errors to go out from bounds that lie ``width`` standard errors apart."""
    ends = norm.ppf(probability) - 1e-9, norm.ppf((1 + probability) / 2) + 1e-9
    return float(brentq(lambda c: norm.cdf(c + width) - norm.cdf(-c) - probability, *ends))
