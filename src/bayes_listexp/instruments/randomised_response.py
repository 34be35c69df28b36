"""Randomised response on the same trait: a device with known probabilities hides what a "yes" or "no" is the answer to.

Two designs. Forced: the device forces "yes" with probability ``forced_yes``, asks for the truth with probability ``truth``, and
forces "no" otherwise (Boruch 1971; Blair, Imai & Zhou 2015). Mirrored: with probability ``truth`` one answers the statement,
otherwise its negation (Warner 1965). Both give two known numbers, P(yes) of those who act as if they had the trait and of those
who act as if they had not. Who acts how is the technique's bias: with the list beside it, the list says who has the trait.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayes_listexp import priors
from bayes_listexp.columns import read_choice, write_choice
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import IMPOSSIBLE, Rows, setting
from bayes_listexp.likelihood import by_trait
from bayes_listexp.priors import Prior

NO, YES = 0.0, 1.0
DESIGNS = ("forced", "mirrored")
CHEATING = ("none", "one_sided", "two_sided")
ROUNDING = 1e-9
"""What .7 + .2 + .1 may differ from 1 by; a probability this close to 0 is 0."""


@dataclass(frozen=True)
class RandomisedResponse:
    """A randomised response to the sensitive item.

    Attributes
    ----------
    column : the column of answers.
    truth : known probability, above 0, that the device asks for the truth (forced), or for the statement and not its
        negation (mirrored; not .5, which says nothing).
    forced_yes : known probability that the device forces "yes"; what is left of 1 forces "no". Only in the forced design.
    yes, no : the value, or values, that mean each. A missing value is "not asked", so that the technique may be used on the
        same respondents or on another sample.
    design : "forced" or "mirrored".
    cheating : "one_sided" (some with the trait act as if they had it not), "two_sided" (also, some without it act as if they
        had it) or "none" (the trait is what the technique observes).
    cheat, claim : formulas of P(acts as without | trait) and P(acts as with | no trait).

    Whoever cheats is taken to follow the device otherwise. People who say "no" even when it forces "yes" lower P(yes) further;
    if those without the trait do so too, P(yes) can fall below ``forced_yes``, which no model here explains.
    """

    column: str
    truth: float
    forced_yes: float | None = None
    yes: Any = 1
    no: Any = 0
    design: str = "forced"
    cheating: str = setting("one_sided")
    cheat: str = setting("1")
    claim: str = setting("1")
    name: str = "randomised"
    main: ClassVar[tuple[str, ...]] = ("prevalence", "implied", "technique_bias", "cheating_rate")
    differences: ClassVar[tuple[str, ...]] = ("technique_bias",)

    def __post_init__(self) -> None:
        for value, known, what in ((self.design, DESIGNS, "design"), (self.cheating, CHEATING, "cheating")):
            if value not in known:
                raise InputError(f"instrument '{self.name}': {what} = {value!r}: say one of {', '.join(known)}.")
        _check_probability(self.name, "truth", self.truth)
        if self.truth == 0:
            raise InputError(f"instrument '{self.name}': truth = 0: nobody is asked for the truth, and the answers say nothing "
                             "about the trait. Give the probability above 0 with which the device asks for it.")
        if self.design == "mirrored":
            self._check_mirrored()
        else:
            self._check_forced()

    def _check_forced(self) -> None:
        if self.forced_yes is None:
            raise InputError(f"instrument '{self.name}': design = 'forced' needs forced_yes, the probability that the device "
                             "forces 'yes' (0 if it never does).")
        _check_probability(self.name, "forced_yes", self.forced_yes)
        if self.forced_yes + self.truth > 1 + ROUNDING:
            raise InputError(f"instrument '{self.name}': forced_yes + truth = {self.forced_yes + self.truth:g} is above 1. They "
                             "are probabilities of different instructions; what is left of 1 forces 'no'.")

    def _check_mirrored(self) -> None:
        if self.forced_yes is not None:
            raise InputError(f"instrument '{self.name}': forced_yes = {self.forced_yes!r}: with design = 'mirrored' nothing is "
                             "forced. Leave it out, or use design = 'forced'.")
        if abs(self.truth - 0.5) < ROUNDING:
            raise InputError(f"instrument '{self.name}': truth = 0.5: with design = 'mirrored' the statement and its negation "
                             "are then equally likely, and the answers say nothing about the trait.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of answers."""
        return (self.column,)

    @property
    def device(self) -> np.ndarray:
        """P(no), P(yes) of those who act as without the trait and as with it: (acts, answer), known."""
        if self.design == "mirrored":
            yes = np.array([1 - self.truth, self.truth])
        else:
            yes = float(self.forced_yes or 0.0) + np.array([0.0, self.truth])
        yes = np.where(yes > 1 - ROUNDING, 1.0, np.where(yes < ROUNDING, 0.0, yes))
        return np.column_stack([1 - yes, yes])

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[RandomisedResponse, pd.DataFrame]:
        """Codes 0 (no), 1 (yes), NaN (not asked)."""
        codes = read_choice(frame[self.column], self.column, {NO: self.no, YES: self.yes})
        return self, pd.DataFrame({f"_{self.name}": codes})

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[RandomisedResponse, pd.DataFrame]:
        """Everybody is asked."""
        return self, pd.DataFrame({f"_{self.name}": np.full(len(treated), NO)})

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The column of answers."""
        return pd.DataFrame({self.column: write_choice(coded[f"_{self.name}"], {NO: self.no, YES: self.yes})})

    def formulas(self) -> dict[str, str]:
        """Logits of P(acts as without | trait) and P(acts as with | no trait), those that the model has."""
        wanted = {"cheat": self.cheating != "none", "claim": self.cheating == "two_sided"}
        return {f"{self.name}_{part}": getattr(self, part) for part, there in wanted.items() if there}

    def priors(self) -> dict[str, Prior]:
        """Cheating among those with the trait: median .27, 95 % .02 to .87; claiming it falsely: median .12."""
        intercepts = {"cheat": Prior("Normal", (-1.0, 1.5)), "claim": Prior("Normal", (-2.0, 1.0))}
        return priors.of_predictors(self.name, self.formulas(), intercepts)

    def possible(self, rows: Rows) -> np.ndarray:
        """An answer needs somebody who acts in a way from which the device makes it."""
        given = rows.observed[f"_{self.name}"]
        asked = ~np.isnan(given)
        from_act = (self.device > 0)[:, np.where(asked, given, 0.0).astype(int)].T | ~asked[:, None]
        either = from_act.any(axis=1)
        without = either if self.cheating == "two_sided" else from_act[:, 0]
        return np.column_stack([without, from_act[:, 1] if self.cheating == "none" else either])

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """Log-probabilities of acting as without and as with the trait, by trait, (..., row, trait, 1) each."""
        zero = 0.0 * rows.treated[:, None]
        acts_without, claims = zero, zero + IMPOSSIBLE
        cheats, acts_with = zero + IMPOSSIBLE, zero
        if self.cheating == "two_sided":
            claim = predictors[f"{self.name}_claim"][..., None]
            acts_without, claims = -pt.softplus(claim), -pt.softplus(-claim)
        if self.cheating != "none":
            cheat = predictors[f"{self.name}_cheat"][..., None]
            cheats, acts_with = -pt.softplus(-cheat), -pt.softplus(cheat)
        return {"as_without": by_trait(acts_without, cheats), "as_with": by_trait(claims, acts_with)}

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log P(randomised answer | trait), (..., row, trait, 1)."""
        answer = rows.observed[f"_{self.name}"][:, None, None]
        log_device = np.log(self.device, out=np.full((2, 2), IMPOSSIBLE), where=self.device > 0)
        told = [
            pt.logaddexp(distribution["as_without"] + log_device[0, given], distribution["as_with"] + log_device[1, given])
            for given in (0, 1)
        ]
        return pt.switch(pt.eq(answer, NO), told[0], pt.switch(pt.eq(answer, YES), told[1], 0.0))

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answers of people with this trait, who act one way or the other and then follow the device."""
        own = np.arange(len(latent[0])), latent[0].astype(int), 0
        acts = (rng.random(len(latent[0])) < np.exp(distribution["as_with"][own])).astype(int)
        answers = (rng.random(len(latent[0])) < self.device[acts, 1]).astype(float)
        return {f"_{self.name}": np.where(np.isnan(rows.observed[f"_{self.name}"]), np.nan, answers)}

    def parts(self, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Shares of people by trait and by how they act."""
        acts = np.exp(distribution["as_with"])[..., 0]
        cheats = np.exp(distribution["as_without"])[..., 1, 0]
        return {"prevalence": prevalence, "cheaters": prevalence * cheats, "holders": prevalence * acts[..., 1],
                "claimers": (1 - prevalence) * acts[..., 0]}

    def combine(self, averages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the technique alone would report, its bias, and who cheats.

        P(yes) is ``forced_yes`` + ``truth`` times the share who act as with the trait, so that this share is what the
        usual estimator (P(yes) - forced_yes) / truth reports; in the mirrored design likewise.
        """
        a = averages
        implied = a["holders"] + a["claimers"]
        out = {"prevalence": a["prevalence"], "implied": implied, "technique_bias": implied - a["prevalence"],
               "cheaters": a["cheaters"], "cheating_rate": a["cheaters"] / a["prevalence"]}
        if self.cheating == "two_sided":
            out |= {"claimers": a["claimers"], "claiming_rate": a["claimers"] / (1 - a["prevalence"])}
        return out

    def labels(self) -> dict[str, str]:
        """What the estimates are; all are shares of people, 0 to 1 (the bias -1 to 1)."""
        return LABELS


def _check_probability(name: str, what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise InputError(f"instrument '{name}': {what} = {value!r}: a probability is a number between 0 and 1.")


LABELS = {
    "prevalence": "Prevalence (list)",
    "implied": "Prevalence that randomised response alone would report",
    "technique_bias": "Technique bias: what it would report minus prevalence",
    "cheaters": "Have the trait and answer as if they had not, of all",
    "cheating_rate": "Answer as if they had not, of those with the trait",
    "claimers": "Answer as if they had the trait without it, of all",
    "claiming_rate": "Answer as if they had it, of those without the trait",
}
