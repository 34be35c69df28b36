"""An endorsement experiment on the same trait: policies, shown to some with the endorsement of whom the sensitive item is about.

Support for a policy is an ordinal answer; the endorsement moves it, and by how much depends on the trait (Bullock, Imai & Shapiro
2011; with a list beside it Blair, Imai & Lyall 2014, who have continuous support where there is one trait here). The list is what
makes one class of people those with the trait; the endorsement tells how the two classes respond to it.

With answers 1..L to policy k and cut points c_k1 < ... < c_k,L-1, P(answer > l) = sigmoid(position + sd u + shift - c_kl): the
position is a formula over covariates, u ~ N(0, 1) is what a person thinks of all policies alike (with several policies), and the
shift is that of the endorsement, by trait. The first cut of the first policy is 0, as the position's intercept stands for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt
from scipy.special import expit

from bayes_listexp import priors
from bayes_listexp.columns import read_choice, read_numbers, rows_where, shown_values, value_key, write_choice
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Parameter, Rows, setting
from bayes_listexp.priors import Prior

SMALLEST = 1e-300
"""Added inside the logarithm, which stays finite however far the answer is from the position."""

NODES = np.linspace(-5, 5, 17)
"""Points of the trapezoidal rule for what a person thinks of all policies alike. With four policies of five levels and an sd of
2 it is 10 times as exact as a Gauss-Hermite rule of 15 points: with a large sd a person's answers are known to a narrow range,
where that rule has few points.
"""


@dataclass(frozen=True)
class Endorsement:
    """An endorsement experiment.

    Attributes
    ----------
    answers : the columns of answers, one per policy (a tuple, or the name of the only one). A missing answer is "this policy
        was not asked".
    endorsed : the columns that say (0/1) whether the policy was shown with the endorsement, in the same order; or the name of
        one column for all.
    levels : the answers from least to most support, each a value or the values that mean it; None: the whole numbers from 1 to
        the highest in the data.
    position : formula of how much people support the policies without the endorsement.
    position_by_trait : whether those with the trait may support them more or less without any endorsement; without this, such
        a difference would be taken for an effect of the endorsement.
    """

    answers: tuple[str, ...] | str
    endorsed: tuple[str, ...] | str
    levels: tuple[Any, ...] | None = None
    position: str = setting("1")
    position_by_trait: bool = setting(True)
    name: str = "endorsement"
    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        policies, shown = _names(self.answers), _names(self.endorsed)
        if not policies or len(set(policies)) < len(policies):
            raise InputError(f"instrument '{self.name}': answers = {self.answers!r} must name at least one column, none of them "
                             "twice.")
        if len(shown) not in (1, len(policies)):
            raise InputError(
                f"instrument '{self.name}': {len(policies)} columns of answers and {len(shown)} of endorsed = {self.endorsed!r}. "
                "Give one column of 0 and 1 for each policy, or one for all."
            )
        keys = [value_key(value) for level in self.levels or () for value in _values(level)]
        if self.levels is not None and (len(self.levels) < 2 or len(set(keys)) < len(keys)):
            raise InputError(f"instrument '{self.name}': levels = {self.levels!r} must be at least two answers, none of them twice.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of answers, and those of the endorsement."""
        return tuple(dict.fromkeys([*_names(self.answers), *_names(self.endorsed)]))

    @property
    def policies(self) -> int:
        """Number of policies."""
        return len(_names(self.answers))

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[Endorsement, pd.DataFrame]:
        """Codes 0 to L - 1 of each answer, and 0 or 1 for the endorsement; NaN for a policy that was not asked.

        Raises
        ------
        InputError : an answer that is none of the levels, an endorsement that is not 0 or 1 or is missing beside an answer,
            one level only, or no policy that some saw with and others without the endorsement.
        """
        policies, shown = _names(self.answers), _names(self.endorsed)
        bound = dataclasses.replace(self, levels=self.levels or self._whole_numbers(frame))
        coding = dict(enumerate(bound.levels or ()))
        out: dict[str, pd.Series] = {}
        varied = False
        for k, policy in enumerate(policies):
            column = shown[k] if len(shown) > 1 else shown[0]
            answer = read_choice(frame[policy], policy, coding)
            with_it = read_choice(frame[column], column, {0: (0, False), 1: (1, True)})
            unknown = answer.notna() & with_it.isna()
            if unknown.any():
                raise InputError(
                    f"column '{column}', {rows_where(unknown)}: missing where column '{policy}' has an answer, "
                    f"{shown_values(frame[policy][unknown])}. Say 0 or 1 whether the policy was shown with the endorsement, or mark "
                    "the answer as missing."
                )
            out |= {f"_{self.name}_answer_{k + 1}": answer, f"_{self.name}_endorsed_{k + 1}": with_it.where(answer.notna())}
            varied |= out[f"_{self.name}_endorsed_{k + 1}"].nunique() == 2
        codes = pd.DataFrame(out)
        self._check_varies(codes, varied)
        return bound, codes

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[Endorsement, pd.DataFrame]:
        """Everybody is asked about all policies, which half of them see with the endorsement: drawn for each of its columns.

        Raises
        ------
        InputError : the levels are not named.
        """
        if self.levels is None:
            raise InputError(f"instrument '{self.name}': without data the answers are not known. Name them from least to most support in "
                             "`levels`.")
        shown = [rng.permutation(np.arange(len(treated)) % 2).astype(float) for _ in _names(self.endorsed)]
        coded = {f"_{self.name}_answer_{k + 1}": np.zeros(len(treated)) for k in range(self.policies)}
        coded |= {f"_{self.name}_endorsed_{k + 1}": shown[k % len(shown)] for k in range(self.policies)}
        return self, pd.DataFrame(coded)

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The columns of answers, and those of the endorsement."""
        answers, shown = _names(self.answers), _names(self.endorsed)
        out = {column: write_choice(coded[f"_{self.name}_answer_{k + 1}"], dict(enumerate(self.levels or ())))
               for k, column in enumerate(answers)}
        return pd.DataFrame(out | {column: coded[f"_{self.name}_endorsed_{k + 1}"] for k, column in enumerate(shown)})

    def _whole_numbers(self, frame: pd.DataFrame) -> tuple[int, ...]:
        """The levels 1 to the highest answer in the data."""
        highest = 0
        for policy in _names(self.answers):
            numbers = read_numbers(frame[policy], policy)
            bad = numbers.notna() & ((numbers < 1) | (numbers % 1 != 0))
            if bad.any():
                raise InputError(
                    f"column '{policy}', {rows_where(bad)}: answers are the whole numbers from 1, found "
                    f"{shown_values(frame[policy][bad])}. Name the answers from least to most support in `levels`, or mark "
                    "these values as missing."
                )
            highest = max(highest, 0 if numbers.isna().all() else int(numbers.max()))
        if highest == 1:
            raise InputError(f"columns {', '.join(_names(self.answers))}: everybody answered 1. An endorsement experiment needs at "
                             "least two different answers.")
        return tuple(range(1, highest + 1)) if highest else (1, 2)

    def _check_varies(self, codes: pd.DataFrame, varied: bool) -> None:
        answers = codes[[f"_{self.name}_answer_{k + 1}" for k in range(self.policies)]]
        if not answers.notna().any(axis=None):
            return  # the study says that nobody was observed
        if np.unique(answers.to_numpy()[answers.notna().to_numpy()]).size < 2:
            raise InputError(f"columns {', '.join(_names(self.answers))}: all answers are the same. An endorsement experiment needs "
                             "at least two different answers.")
        if not varied:
            raise InputError(f"columns {', '.join(_names(self.endorsed))}: no policy was shown to some with the endorsement and to "
                             "others without it, so its effect cannot be told from the policies. Check the coding.")

    def formulas(self) -> dict[str, str]:
        """How much people support the policies, on the logit scale."""
        return {f"{self.name}_position": self.position}

    def priors(self) -> dict[str, Prior]:
        """The position's intercept is the logit of P(answer > 1) to the first policy, centred on equally frequent answers."""
        return priors.of_predictor(f"{self.name}_position", Prior("Normal", (log(self._size - 1), 1.5)))

    def parameters(self) -> dict[str, Parameter]:
        """Effects of the endorsement with and without the trait, the position's difference by trait, the sd of what a person
        thinks of all policies alike, the first cut of all policies but the first, and the gaps between cuts (policy by policy).
        """
        out = {f"{self.name}_with": Parameter(Prior("Normal", (0.0, 1.0))),
               f"{self.name}_without": Parameter(Prior("Normal", (0.0, 0.5)))}
        if self.position_by_trait:
            out[f"{self.name}_trait"] = Parameter(Prior("Normal", (0.0, 0.5)))
        if self.policies > 1:
            out[f"{self.name}_sd"] = Parameter(Prior("HalfNormal", (1.5,)), positive=True)
            out[f"{self.name}_first_cut"] = Parameter(Prior("Normal", (0.0, 1.5)), self.policies - 1)
        if self._size > 2:
            out[f"{self.name}_gap"] = Parameter(Prior("Gamma", (2.0, 2.0)), self.policies * (self._size - 2), positive=True)
        return out

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """What the answers follow from, on the logit scale: ``position`` (..., row, trait); and with a row axis of length 1
        ``shift`` of the endorsement (..., 1, trait), ``sd`` (..., 1, 1), ``cuts`` (..., 1, 1, policy, cut), and ``between``
        (..., 1, 1, policy, level), the log of 1 - exp(-gap) for levels between two cuts and 0 for the outer ones.
        """
        p = {name.removeprefix(f"{self.name}_"): value for name, value in parameters.items()}
        without, with_trait = pt.as_tensor(p["without"]), pt.as_tensor(p["with"])
        none = pt.zeros_like(with_trait)
        difference = p["trait"] if self.position_by_trait else none
        first, steps = none[..., None], self._size - 2
        if self.policies > 1:
            first = pt.concatenate([first, p["first_cut"]], axis=-1)
        cuts, edge = first[..., None], pt.zeros_like(first)[..., None]
        between = pt.concatenate([edge, edge], axis=-1)
        if self._size > 2:
            flat = pt.as_tensor(p["gap"])
            gaps = flat.reshape((*flat.shape[:-1], self.policies, steps), ndim=flat.ndim + 1)
            cuts = pt.concatenate([cuts, cuts + (gaps[..., None, :] * np.tri(steps)).sum(axis=-1)], axis=-1)
            between = pt.concatenate([edge, pt.log(-pt.expm1(-gaps)), edge], axis=-1)
        sd = pt.as_tensor(p["sd"]) if self.policies > 1 else none
        position = predictors[f"{self.name}_position"][..., None]
        return {
            "position": position + pt.stack([none, difference], axis=-1)[..., None, :],
            "shift": pt.stack([without, with_trait], axis=-1)[..., None, :],
            "sd": sd[..., None, None],
            "cuts": cuts[..., None, None, :, :],
            "between": between[..., None, None, :, :],
        }

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log P(answers | trait), (..., row, trait, 1), averaged over what people think of all policies alike.

        P(c < latent < c + gap) is the product of two sigmoids and 1 - exp(-gap), so that nothing is lost in a difference.
        """
        nodes, weights = self._rule()
        thinks = distribution["sd"][..., None] * nodes
        total = 0.0
        for k in range(self.policies):
            answer = pt.as_tensor(rows.observed[f"_{self.name}_answer_{k + 1}"])
            asked = ~pt.isnan(answer)
            level = pt.cast(pt.switch(asked, answer, 0.0), "int64")
            endorsed = pt.switch(asked, rows.observed[f"_{self.name}_endorsed_{k + 1}"], 0.0)
            eta = (distribution["position"] + endorsed[:, None] * distribution["shift"])[..., None] + thinks
            cuts, between = (distribution[name][..., 0, 0, k, :] for name in ("cuts", "between"))
            told = _log_level(eta, (level, self._size - 1), cuts, between)
            total = total + pt.switch(asked[:, None, None], told, 0.0)
        return pt.logsumexp(total + np.log(weights), axis=-1, keepdims=True)

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers of people with this trait to the policies that they were asked about, endorsed or not as they were."""
        trait = latent[0].astype(int)
        position = distribution["position"][np.arange(len(trait)), trait] + distribution["sd"][0, 0] * rng.normal(size=len(trait))
        shift, cuts = distribution["shift"][0, trait], distribution["cuts"][0, 0]
        out: dict[str, np.ndarray] = {}
        for k in range(self.policies):
            answer, endorsed = (rows.observed[f"_{self.name}_{what}_{k + 1}"] for what in ("answer", "endorsed"))
            support = position + np.where(endorsed == 1, shift, 0.0) + rng.logistic(size=len(trait))
            told = (support[:, None] > cuts[k]).sum(axis=1).astype(float)
            out |= {f"_{self.name}_answer_{k + 1}": np.where(np.isnan(answer), np.nan, told)}
        return out

    def parts(self, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Shares of people by trait, and how many levels the endorsement moves the average policy's expected answer, times these."""
        d, moved = distribution, np.zeros(1)
        nodes, weights = self._rule()
        for node, weight in zip(nodes, weights, strict=True):
            for k, cut in np.ndindex(d["cuts"].shape[-2:]):
                eta = d["position"] + d["sd"] * node - d["cuts"][..., k, cut]
                moved = moved + weight / self.policies * (expit(eta + d["shift"]) - expit(eta))
        return {"with": prevalence, "without": 1 - prevalence, "moved_with": prevalence * moved[..., 1],
                "moved_without": (1 - prevalence) * moved[..., 0]}

    def combine(self, averages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Average effects of the endorsement on those with and without the trait, in levels of the answer."""
        with_trait = averages["moved_with"] / averages["with"]
        without_trait = averages["moved_without"] / averages["without"]
        return {"with_trait": with_trait, "without_trait": without_trait, "difference": with_trait - without_trait}

    def labels(self) -> dict[str, str]:
        """What the estimates are; all are in levels of the answer, -(L - 1) to L - 1, averaged over the policies."""
        return LABELS

    @property
    def _size(self) -> int:
        return len(self.levels or (1, 2))

    def _rule(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights of the average over N(0, 1); with one policy there is nothing to average over."""
        if self.policies == 1:
            return np.zeros(1), np.ones(1)
        weights = np.exp(-0.5 * NODES**2)
        return NODES, weights / weights.sum()


def _log_level(eta: Any, answer: tuple[Any, int], cuts: Any, between: Any) -> Any:
    """Log P(level) of an ordered logit, (..., row, trait, node), at ``eta`` of that shape and ``answer``: the level (row,)
    and the highest there is; ``cuts`` (..., cut), ``between`` (..., level).
    """
    level, top = answer

    def at_rows(values: Any, index: Any) -> Any:
        return pt.take(values, index, axis=-1)[..., None, None]

    above = at_rows(cuts, pt.minimum(level, top - 1))
    below = at_rows(cuts, pt.maximum(level - 1, 0))
    first, last = pt.eq(level, 0)[:, None, None], pt.eq(level, top)[:, None, None]
    # Of the two sigmoids one at least is above a half, so that their product keeps its digits. The logarithm of the product, and
    # not a sum of softplus, which takes 20 times as long where nothing is compiled.
    inside = pt.switch(first, 1.0, pt.sigmoid(eta - below)) * pt.switch(last, 1.0, pt.sigmoid(above - eta))
    return pt.log(inside + SMALLEST) + at_rows(between, level)


def _names(columns: Any) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _values(level: Any) -> tuple[Any, ...]:
    return tuple(level) if isinstance(level, (list, tuple)) else (level,)


LABELS = {
    "with_trait": "Effect of the endorsement with the trait, in levels of the answer",
    "without_trait": "Effect of the endorsement without the trait, in levels of the answer",
    "difference": "Effect with the trait minus effect without it",
}
