"""The direct question on the same trait: yes, no or refused, with lies in either direction and refusals that depend on the trait.

With the list beside it, the list says who has the trait and the direct question what they admit (Eady 2017, one-sided;
two-sided lies let people without the trait claim it). An answer that only a lie of the other kind explains, such as "yes" and 0
items on the treatment list, is impossible under one-sided lies with truthful list answers, and is refused before fitting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayes_listexp import priors
from bayes_listexp.columns import read_choice, write_choice
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import IMPOSSIBLE, Parameter, Rows, setting
from bayes_listexp.likelihood import by_trait
from bayes_listexp.priors import Prior

NO, YES, REFUSED = 0.0, 1.0, 2.0
LIES = ("none", "one_sided", "two_sided")
REFUSALS = ("trait", "ignored")


@dataclass(frozen=True)
class DirectQuestion:
    """A direct question on the sensitive item.

    Attributes
    ----------
    column : the column of answers.
    yes, no, refused : the value, or values, that mean each; ``refused`` None: nobody refused. A missing value is "not asked",
        so that the question may be put to all, to the control arm only, or to another sample.
    lies : "one_sided" (some with the trait say no), "two_sided" (also, some without it say yes) or "none".
    lie, false_yes, refusal : formulas of P(no | trait), P(yes | no trait) and P(refused | trait).
    refusals : "trait" (refusing depends on the trait and covariates) or "ignored" (refused is as if not asked).
    primed : whether having seen the treatment list first changes P(lie); leave False if the direct question came first.
    count : whether lying and claiming falsely go with the number of control items that apply, so that those who say yes and no
        differ in their counts beyond what the trait explains (shrunken to no dependence, Normal(0, 0.5) a control item).

    For a desirable trait that people claim falsely, such as turnout, allow two-sided lies, or turn ``yes`` and ``no`` (and the
    sensitive item) around.
    """

    column: str
    yes: Any = 1
    no: Any = 0
    refused: Any = None
    lies: str = setting("one_sided")
    lie: str = setting("1")
    false_yes: str = setting("1")
    refusal: str = setting("1")
    refusals: str = setting("trait")
    primed: bool = setting(False)
    count: bool = setting(True)
    name: str = "direct"
    someone_refused: bool = False
    main: ClassVar[tuple[str, ...]] = ("prevalence", "direct", "sensitivity_bias", "lie_rate")
    differences: ClassVar[tuple[str, ...]] = ("sensitivity_bias",)

    def __post_init__(self) -> None:
        for value, known, what in ((self.lies, LIES, "lies"), (self.refusals, REFUSALS, "refusals")):
            if value not in known:
                raise InputError(f"instrument '{self.name}': {what} = {value!r}: say one of {', '.join(known)}.")
        if self.primed and self.lies == "none":
            raise InputError(f"instrument '{self.name}': primed = True changes P(lie), and lies = 'none' has no lies. "
                             "Use lies = 'one_sided' or 'two_sided'.")
    @property
    def columns(self) -> tuple[str, ...]:
        """The column of answers."""
        return (self.column,)

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[DirectQuestion, pd.DataFrame]:
        """Codes 0 (no), 1 (yes), 2 (refused), NaN (not asked)."""
        codes = read_choice(frame[self.column], self.column, self._coding)
        bound = dataclasses.replace(self, someone_refused=bool((codes == REFUSED).any()))
        return bound, pd.DataFrame({f"_{self.name}": codes})

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[DirectQuestion, pd.DataFrame]:
        """Everybody is asked; people may refuse if ``refused`` has a value."""
        bound = dataclasses.replace(self, someone_refused=self.refused is not None)
        return bound, pd.DataFrame({f"_{self.name}": np.full(len(treated), NO)})

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The column of answers."""
        return pd.DataFrame({self.column: write_choice(coded[f"_{self.name}"], self._coding)})

    def formulas(self) -> dict[str, str]:
        """Logits of P(lie), P(false yes) and P(refused), those that the model has."""
        wanted = {"lie": self.lies != "none", "false_yes": self.lies == "two_sided", "refusal": self._refusals_modelled}
        return {f"{self.name}_{part}": getattr(self, part) for part, there in wanted.items() if there}

    def priors(self) -> dict[str, Prior]:
        """Lying among those with the trait: median .27, 95 % .02 to .87; claiming it falsely and refusing: median .12."""
        intercepts = {"lie": Prior("Normal", (-1.0, 1.5)), "false_yes": Prior("Normal", (-2.0, 1.0)),
                      "refusal": Prior("Normal", (-2.0, 1.5))}
        return priors.of_predictors(self.name, self.formulas(), intercepts)

    def parameters(self) -> dict[str, Parameter]:
        """Shifts on the logit scale: of lying after the treatment list, of refusing with the trait, and of lying and claiming
        falsely with one control item more.
        """
        out: dict[str, Parameter] = {}
        lies = {"none": (), "one_sided": ("lie",), "two_sided": ("lie", "false_yes")}[self.lies]
        out |= {f"{self.name}_{lie}_count": Parameter(Prior("Normal", (0.0, 0.5))) for lie in lies if self.count}
        if self.primed:
            out[f"{self.name}_lie_primed"] = Parameter(Prior("Normal", (0.0, 0.5)))
        if self._refusals_modelled:
            out[f"{self.name}_refusal_trait"] = Parameter(Prior("Normal", (0.0, 1.0)))
        return out

    def possible(self, rows: Rows) -> np.ndarray:
        """A "yes" needs the trait, or two-sided lies; a "no" needs its absence, or lies."""
        d = rows.observed[f"_{self.name}"]
        without = ~((d == YES) & (self.lies != "two_sided"))
        with_trait = ~((d == NO) & (self.lies == "none"))
        return np.column_stack([without, with_trait])

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """Log-probabilities of "no", "yes" and, if it is modelled, "refused", by trait and count, (..., row, trait, count) each;
        the count axis has length 1 where it does not matter.
        """
        zero = 0.0 * rows.treated[:, None]
        no_without, yes_without = zero, zero + IMPOSSIBLE
        no_with, yes_with = zero + IMPOSSIBLE, zero
        if self.lies == "two_sided":
            false_yes = self._by_count("false_yes", predictors, parameters, J)
            no_without, yes_without = -pt.softplus(false_yes), -pt.softplus(-false_yes)
        if self.lies != "none":
            lie = self._by_count("lie", predictors, parameters, J)
            if self.primed:
                lie = lie + parameters[f"{self.name}_lie_primed"][..., None, None] * rows.treated[:, None]
            no_with, yes_with = -pt.softplus(-lie), -pt.softplus(lie)
        out = {"no": by_trait(no_without, no_with), "yes": by_trait(yes_without, yes_with)}
        if not self._refusals_modelled:
            return out
        refusal = predictors[f"{self.name}_refusal"][..., None]
        refusal = by_trait(refusal, refusal + parameters[f"{self.name}_refusal_trait"][..., None, None])
        answered = -pt.softplus(refusal)
        return {name: log_p + answered for name, log_p in out.items()} | {"refused": -pt.softplus(-refusal)}

    def _by_count(self, lie: str, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> Any:
        """The logit of a lie, (..., row, count)."""
        logit = predictors[f"{self.name}_{lie}"][..., None]
        if not self.count:
            return logit
        return logit + parameters[f"{self.name}_{lie}_count"][..., None, None] * (np.arange(J + 1) - J / 2)

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log P(direct answer | trait, count), (..., row, trait, count)."""
        d = rows.observed[f"_{self.name}"][:, None, None]
        told = pt.switch(pt.eq(d, NO), distribution["no"], pt.switch(pt.eq(d, YES), distribution["yes"], 0.0))
        if "refused" in distribution:
            told = pt.switch(pt.eq(d, REFUSED), distribution["refused"], told)
        return told

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Direct answers of people with this trait and count; those who were not asked stay so."""
        trait, count = (values.astype(int) for values in latent)
        own = [distribution[name] for name in ("no", "yes", "refused") if name in distribution]
        people = np.arange(len(trait))
        told = np.cumsum([np.exp(log_p[people, trait, count % log_p.shape[-1]]) for log_p in own], axis=0)  # 1 stands for all counts
        answers = (told[:-1] < rng.random(len(trait)) * told[-1]).sum(axis=0).astype(float)
        return {f"_{self.name}": np.where(np.isnan(rows.observed[f"_{self.name}"]), np.nan, answers)}

    def parts(self, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Shares of people by trait and direct answer, as if asked without a treatment list before it."""
        of_trait = np.stack([1 - prevalence, prevalence], axis=-1)
        out = {"prevalence": prevalence}
        for answer in ("no", "yes", "refused"):
            told = np.exp(distribution[answer]) if answer in distribution else np.zeros(1)
            shares = of_trait * (told * distribution["count_given_trait"]).sum(axis=-1)
            out |= {f"{answer}_without": shares[..., 0], f"{answer}_with": shares[..., 1]}
        return out

    def combine(self, averages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Sensitivity bias, liars and false confessions (shares of people, and rates among those who could)."""
        a = averages
        yes, no = a["yes_with"] + a["yes_without"], a["no_with"] + a["no_without"]
        answered_with, answered_without = a["no_with"] + a["yes_with"], a["no_without"] + a["yes_without"]
        out = {
            "prevalence": a["prevalence"],
            "direct": yes / (yes + no),
            "sensitivity_bias": a["prevalence"] - yes / (yes + no),
            "liars": a["no_with"],
            "lie_rate": a["no_with"] / answered_with,
            "false_confessions": a["yes_without"],
            "false_confession_rate": a["yes_without"] / answered_without,
        }
        if self._refusals_modelled:
            out |= {"refused": a["refused_with"] + a["refused_without"],
                    "refused_with_trait": a["refused_with"] / a["prevalence"],
                    "refused_without_trait": a["refused_without"] / (1 - a["prevalence"])}
        return out

    def labels(self) -> dict[str, str]:
        """What the estimates are; all are shares of people, 0 to 1."""
        return LABELS

    @property
    def _coding(self) -> dict[float, Any]:
        return {NO: self.no, YES: self.yes, REFUSED: self.refused}

    @property
    def _refusals_modelled(self) -> bool:
        return self.someone_refused and self.refusals == "trait"


LABELS = {
    "prevalence": "Prevalence (list)",
    "direct": "Yes to the direct question, of those who answer",
    "sensitivity_bias": "Sensitivity bias: prevalence minus direct",
    "liars": "Have the trait and deny it, of all",
    "lie_rate": "Deny it, of those with the trait who answer",
    "false_confessions": "Claim it without the trait, of all",
    "false_confession_rate": "Claim it, of those without the trait who answer",
    "refused": "Refuse the direct question, of all",
    "refused_with_trait": "Refuse, of those with the trait",
    "refused_without_trait": "Refuse, of those without the trait",
}
