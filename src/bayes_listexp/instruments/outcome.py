"""An outcome that the trait predicts: turnout, approval, a number of contacts; with the trait as a predictor nobody observes.

The outcome and the list are modelled jointly (Imai, Park & Greene 2015), because an outcome that depends on the trait also says
something of who has it: putting estimated probabilities of the trait into a second regression attenuates its effect.
With a weak list the shape of the outcome's distribution can come to define the two classes in place of the list; the check
"classes" of :func:`bayes_listexp.fit_checks` compares what each says.
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
from bayes_listexp.columns import write_choice
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Parameter, Rows, setting
from bayes_listexp.instruments.outcome_families import FAMILIES, OutcomeFamily
from bayes_listexp.priors import Prior

WITH_RATIO = ("bernoulli", "poisson", "negative_binomial")


@dataclass(frozen=True)
class Outcome:
    """An outcome of respondents that may differ by the trait. Several outcomes, under different names, are modelled jointly.

    Attributes
    ----------
    column : the column of outcomes; a missing value is "not asked".
    family : "bernoulli" (logit), "gaussian", "student_t" (robust against outliers), "poisson" and "negative_binomial" (counts,
        log link) or "ordinal" (cumulative logit).
    formula : of the linear predictor without the trait, ``<name>_mean``.
    trait_by : formula of the trait's effect; "1" is one effect, ``<name>_trait``, on the scale of the link.
    count : whether the outcome also depends on the number of control items that apply (centred at J / 2), by ``<name>_count``.
    levels : the values of a binary outcome (what counts as 0, as 1) or of an ordinal one (lowest to highest). Taken from the
        data where they say it themselves: 0/1, False/True, no/yes, numbers, ordered categories.
    mean_count : the mean answer of the control arm, bound to the data by :meth:`read`: the count at which estimates are made.
    center, scale : bound to the data by :meth:`read`. The linear predictor is in units of (outcome - center) / scale: mean and
        sd for "gaussian", median and interquartile range (over 1.349) for "student_t"; for counts it is relative to the
        logarithm of their mean. So the default priors fit outcomes of any unit.

    Further parameters: ``<name>_sd`` (in units of ``scale``), ``<name>_df``, ``<name>_overdispersion`` (variance m + overdispersion
    m^2 at mean m), and ``<name>_gap`` between the cuts of successive levels, the first cut being 0.

    The estimates, by :func:`bayes_listexp.observed_by`, are averages over the population's covariates on the outcome's own
    scale: with the trait, without it, their difference and, where 0 is the least possible, their ratio. Levels of an ordinal
    outcome are scored 1, 2, ...; with ``count`` they are for people to whom ``mean_count`` control items apply.
    """

    column: str
    family: str
    formula: str = setting("1")
    trait_by: str = setting("1")
    count: bool = setting(False)
    name: str = "outcome"
    levels: tuple[Any, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    mean_count: float | None = None
    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise InputError(f"instrument '{self.name}': family = {self.family!r}: say one of {', '.join(FAMILIES)}.")
        if not isinstance(self.count, bool):
            raise InputError(f"instrument '{self.name}': count = {self.count!r}: say True or False.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of outcomes."""
        return (self.column,)

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[Outcome, pd.DataFrame]:
        """Numbers as they are, levels as 0, 1, ...; NaN for those not asked. Refuses what the family cannot be."""
        reading = self._family.read(frame[self.column], self.column, tuple(self.levels))
        people = np.repeat(np.arange(len(frame)), frame.get("_n", 1))
        of_people = self._family.read(frame[self.column].iloc[people].reset_index(drop=True), self.column, tuple(self.levels))
        reading = reading._replace(center=of_people.center, scale=of_people.scale)
        control = (~treated.fillna(True).astype(bool)).to_numpy()[people]
        controls = frame["_answer"].iloc[people][control].mean() if "_answer" in frame else np.nan
        bound = dataclasses.replace(self, levels=reading.levels, center=reading.center, scale=reading.scale,
                                    mean_count=None if np.isnan(controls) else float(controls))
        return bound, pd.DataFrame({f"_{self.name}": reading.values})

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[Outcome, pd.DataFrame]:
        """Everybody is asked; the linear predictor is in the units of ``center`` and ``scale`` as they were given.

        Raises
        ------
        InputError : the levels of an ordinal outcome are not named.
        """
        if self.family == "ordinal" and not self.levels:
            raise InputError(f"instrument '{self.name}': without data the levels are not known. Name them from lowest to highest in "
                             "`levels`.")
        levels = self.levels or ((0, 1) if self.family == "bernoulli" else ())
        return dataclasses.replace(self, levels=levels), pd.DataFrame({f"_{self.name}": np.zeros(len(treated))})

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The column of outcomes."""
        values = coded[f"_{self.name}"]
        return pd.DataFrame({self.column: write_choice(values, dict(enumerate(self.levels))) if self.levels else values})

    def formulas(self) -> dict[str, str]:
        """The linear predictor without the trait and, if it differs by covariates, the trait's effect."""
        return {f"{self.name}_mean": self.formula} | ({} if self._one_effect else {f"{self.name}_trait": self.trait_by})

    def priors(self) -> dict[str, Prior]:
        """Normal(0, 1) for numbers and counts in their units, a sd of 1.5 on the logit scale; the effect of the trait Normal(0, 1)."""
        out = priors.of_predictor(f"{self.name}_mean", self._family.intercept(len(self.levels)))
        return out | ({} if self._one_effect else priors.of_predictor(f"{self.name}_trait", Prior("Normal", (0.0, 1.0))))

    def parameters(self) -> dict[str, Parameter]:
        """Effects of the trait and of a control item more, and the family's own parameters."""
        out = {f"{self.name}_trait": Parameter(Prior("Normal", (0.0, 1.0)))} if self._one_effect else {}
        if self.count:
            out[f"{self.name}_count"] = Parameter(Prior("Normal", (0.0, 0.5)))
        return out | {f"{self.name}_{part}": parameter for part, parameter in self._shape.items()}

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """``location`` (..., row, trait, count) on the scale of the link, ``mean`` (..., row, trait) at the mean count, and
        the family's own parameters, (..., 1, 1, 1[, size]).
        """
        effect = parameters[f"{self.name}_trait"][..., None] if self._one_effect else predictors[f"{self.name}_trait"]
        linear = predictors[f"{self.name}_mean"][..., None] + effect[..., None] * np.array([0.0, 1.0])
        location = typical = (self.center + self.scale * linear)[..., None]
        if self.count:
            slope = self.scale * parameters[f"{self.name}_count"][..., None, None, None]
            typical = location + slope * (0.0 if self.mean_count is None else self.mean_count - J / 2)
            location = location + slope * (np.arange(J + 1) - J / 2)
        shape = {part: self._placed(parameters[f"{self.name}_{part}"], p.size) for part, p in self._shape.items()}
        if "sd" in shape:
            shape["sd"] = self.scale * shape["sd"]
        return {"location": location, "mean": self._family.mean(typical, shape)[..., 0]} | shape

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log-density of the outcome given trait and count, (..., row, trait, count); 0 where somebody was not asked."""
        o = pt.as_tensor(rows.observed[f"_{self.name}"])[:, None, None]
        asked = pt.invert(pt.isnan(o))
        log_p = self._family.log_p(pt.switch(asked, o, 0.0), distribution["location"], self._shape_of(distribution))
        return pt.switch(asked, log_p, 0.0)

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outcomes of people with this trait and count; those who were not asked stay so."""
        trait, count = (state.astype(int) for state in latent)
        location = distribution["location"][np.arange(len(trait)), trait, count if self.count else 0]
        shape = {part: value[0, 0, 0] for part, value in self._shape_of(distribution).items()}
        values = self._family.draw(rng, location, shape).astype(float)
        return {f"_{self.name}": np.where(np.isnan(rows.observed[f"_{self.name}"]), np.nan, values)}

    def parts(self, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The mean outcome were everybody without, and with, the trait."""
        return {"without_trait": distribution["mean"][..., 0], "with_trait": distribution["mean"][..., 1]}

    def combine(self, averages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The standardised means, their difference and their ratio."""
        with_trait, without_trait = averages["with_trait"], averages["without_trait"]
        out = {"with_trait": with_trait, "without_trait": without_trait, "difference": with_trait - without_trait}
        return out | ({"ratio": with_trait / without_trait} if self.family in WITH_RATIO else {})

    def labels(self) -> dict[str, str]:
        """What the estimates are, on the outcome's own scale."""
        what = f"{self._family.average} of {self.column}"
        if self.family == "bernoulli" and self.levels:
            what = f"{what} = {self.levels[1]}"
        if self.family == "ordinal" and self.levels != tuple(range(1, len(self.levels) + 1)):
            what = f"{what} (from 1 = {self.levels[0]} to {len(self.levels)} = {self.levels[-1]})"
        if self.count:
            items = "half of the" if self.mean_count is None else f"{self.mean_count:.2f}"
            what = f"{what}, where {items} control items apply"
        return {"with_trait": f"{what}, with the trait", "without_trait": f"{what}, without the trait",
                "difference": f"{what}: with the trait minus without", "ratio": f"{what}: with the trait, relative to without"}

    @property
    def _family(self) -> OutcomeFamily:
        return FAMILIES[self.family]

    @property
    def _shape(self) -> dict[str, Parameter]:
        return self._family.shape(len(self.levels))

    @property
    def _one_effect(self) -> bool:
        return self.trait_by.strip() == "1"

    def _shape_of(self, distribution: Mapping[str, Any]) -> dict[str, Any]:
        return {part: distribution[part] for part in self._shape}

    @staticmethod
    def _placed(value: Any, size: int | None) -> Any:
        return value[..., None, None, None] if size is None else value[..., None, None, None, :]
