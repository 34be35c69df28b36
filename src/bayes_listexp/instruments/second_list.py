"""A second list on the same respondents that shares the trait: the double list experiment (Droitcour et al. 1991).

In the usual double list a respondent sees the sensitive item on one of two lists, so the second arm is the opposite of the
first. Both answers of a person come from one trait, and the two control counts may go together: the linear predictor of the
second count moves with the first, so that neither list's posterior is taken for a prior of independent people.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt
from scipy.special import expit

from bayes_listexp import priors, responses
from bayes_listexp.columns import read_answers, read_arms, rows_where, write_choice
from bayes_listexp.control_counts import family, ordered_items
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import Parameter, Rows, choose, setting
from bayes_listexp.likelihood import SMALLEST, reported, reported_by, tables_at
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import ReportTables, arm_slices, report_tables

DEPENDENCES = ("none", "shift")
SHAPE_OF = {"control_shape": "shape", "control_item": "item_gap", "control_overdispersion": "overdispersion",
            "control_dispersion": "dispersion"}
"""What a family's parameter is called after the instrument's name."""


@dataclass(frozen=True)
class SecondList:
    """A second list experiment on the same respondents, about the same trait.

    Attributes
    ----------
    answer, arm : the columns of its answers and of its own arm. One column may tell the arms of both lists: then name the
        values in ``arms`` of either list, the other way round. A missing answer is "not asked".
    J : number of its control items.
    arms : the two values of ``arm``, (control, treatment); not needed for 0/1, False/True, "control"/"treatment".
    control : formula of its control counts; name a covariate for the order of the lists there if it was randomised, and the
        wave if there are several.
    counts : family of its control counts, as of :class:`bayes_listexp.Specification`.
    dependence : "shift" (its linear predictor differs by the trait, shrunken to none) or "none".
    response : a response model of the catalogue, whose lapses on this list are its own.
    lapses : formulas of its lapse probabilities by lapse; "1" where not given.
    correlation : whether its control counts go with those of the first list.
    control_counts : respondents of its control arm by answer 0..J, found in the data; the directions of the shape of softmax
        counts come from it.
    """

    answer: str
    arm: str
    J: int
    arms: tuple[Any, Any] | None = None
    control: str = setting("1")
    counts: str = setting("softmax")
    dependence: str = setting("none")
    response: str = setting("truthful")
    lapses: Mapping[str, str] | None = setting(None)
    correlation: bool = setting(True)
    name: str = "second"
    control_counts: tuple[int, ...] = ()
    numbers: ClassVar[tuple[str, ...]] = ("mean_count",)

    def __post_init__(self) -> None:
        where = f"instrument '{self.name}':"
        if isinstance(self.J, bool) or not isinstance(self.J, (int, np.integer)) or self.J < 1:
            raise InputError(f"{where} J = {self.J!r}: the number of control items must be a whole number of at least 1.")
        if self.dependence not in DEPENDENCES:
            raise InputError(f"{where} dependence = {self.dependence!r}: say one of {', '.join(DEPENDENCES)}.")
        if not isinstance(self.response, str):
            raise InputError(f"{where} response = {self.response!r}: name a response model of the catalogue: "
                             f"{', '.join(responses.names())}.")
        family(self.counts)
        known = responses.lapses(self.response)
        unknown = [lapse for lapse in self.lapses or {} if lapse not in known]
        if unknown:
            raise InputError(f"{where} lapses: '{unknown[0]}' is not a lapse of the response model '{self.response}'; it has: "
                             f"{', '.join(known) or 'none'}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of answers and of the arm."""
        return (self.answer, self.arm)

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[SecondList, pd.DataFrame]:
        """Answers ``_<name>`` and ``_<name>_arm`` (0 control, 1 treatment), both NaN where the second list was not asked."""
        arm = read_arms(frame[self.arm], self.arm, self.arms)
        answers = read_answers(frame[self.answer], self.answer, arm, self.J)
        lost = answers.notna() & arm.isna()
        if lost.any():
            raise InputError(f"column '{self.arm}', {rows_where(lost)}: an answer in column '{self.answer}' without the arm of the "
                             f"second list. Give the arm, or mark the answer as missing.")
        for value, label in ((False, "control"), (True, "treatment")):
            if answers.notna().any() and not (answers.notna() & (arm == value)).any():
                raise InputError(f"column '{self.arm}': no respondent with an answer to the second list is in its {label} arm, so its "
                                 "two versions cannot be compared. Check the coding of the arms.")
        controls = (answers.notna() & (arm == False)).fillna(False).astype(bool)  # noqa: E712 (nullable)
        n = frame.loc[controls, "_n"] if "_n" in frame else None
        found = np.bincount(answers[controls].astype(int), weights=n, minlength=self.J + 1).astype(int)
        coded = {f"_{self.name}": answers, f"_{self.name}_arm": arm.astype(float).where(answers.notna())}
        return dataclasses.replace(self, control_counts=tuple(found.tolist())), pd.DataFrame(coded)

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[SecondList, pd.DataFrame]:
        """Everybody is asked, a random half with the sensitive item on the second list, whatever the arm of the first."""
        arm = rng.permutation(np.arange(len(treated)) % 2)
        coded = pd.DataFrame({f"_{self.name}": np.zeros(len(treated)), f"_{self.name}_arm": arm.astype(float)})
        return dataclasses.replace(self, control_counts=(0,) * (self.J + 1)), coded

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The columns of answers and of the arm."""
        arm = write_choice(coded[f"_{self.name}_arm"], dict(enumerate(self.arms or (0, 1))))
        return pd.DataFrame({self.answer: coded[f"_{self.name}"], self.arm: arm})

    def formulas(self) -> dict[str, str]:
        """The linear predictor of the control counts, and the logit of each lapse probability."""
        lapses = {f"{self.name}_lapse_{lapse}": (self.lapses or {}).get(lapse, "1") for lapse in responses.lapses(self.response)}
        return {f"{self.name}_control": self.control} | lapses

    def priors(self) -> dict[str, Prior]:
        """As of the first list: those of its control counts, and of its lapses as the catalogue says."""
        out = {f"{self.name}_control_{part}": priors.DEFAULTS[f"control_{part}"] for part in ("intercept", "slope", "sd")}
        for name, lapse in responses.lapses(self.response).items():
            out |= priors.of_predictor(f"{self.name}_lapse_{name}", lapse.prior)
        return out

    def parameters(self) -> dict[str, Parameter]:
        """What the family of counts needs; shifts of the counts' linear predictor, by the trait and by an item of the first count."""
        out, own = {}, family(self.counts).parameter
        if own in ("control_overdispersion", "control_dispersion"):
            probability = own == "control_overdispersion"
            out[f"{self.name}_{SHAPE_OF[own]}"] = Parameter(priors.DEFAULTS[own], None, not probability, probability)
        elif own == "control_shape" and self.J > 1:
            out[f"{self.name}_shape"] = Parameter(priors.DEFAULTS[own], self.J - 1)
        elif own == "control_item" and self.J > 1:
            out[f"{self.name}_item_gap"] = Parameter(priors.DEFAULTS["control_item_gap"], self.J - 1, positive=True)
        if self.dependence == "shift":
            out[f"{self.name}_shift"] = Parameter(priors.DEFAULTS["control_shift"])
        if self.correlation:
            out[f"{self.name}_count"] = Parameter(Prior("Normal", (0.0, 0.5)))
        return out

    def possible(self, rows: Rows) -> np.ndarray:
        """Which trait could give each row's second answer, whatever the counts."""
        tables = self._tables()
        said = reported(tables_at(tables, self._column(rows)), {lapse: (1.0, 1.0) for lapse in tables.kept})
        return np.asarray((said > 0).any(axis=-1))

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """``counts``, P(second count | trait, first count), (..., row, trait, count, second count), axes of length 1 where they do
        not matter; and the logit of each lapse probability, (..., row, 1).
        """
        eta = predictors[f"{self.name}_control"][..., None]
        trait = np.arange(2.0) if self.dependence == "shift" else np.zeros(1)
        first = np.arange(J + 1) - J / 2 if self.correlation else np.zeros(1)
        grid = np.array([(s, k) for s in trait for k in first])  # (state, 2): the family takes the states as one axis
        if self.dependence == "shift":
            eta = eta + parameters[f"{self.name}_shift"][..., None, None] * grid[:, 0]
        if self.correlation:
            eta = eta + parameters[f"{self.name}_count"][..., None, None] * grid[:, 1]
        pmf = family(self.counts).pmf(eta, self._shape(parameters), self.J)
        rows_of = [pmf.shape[axis] for axis in range(pmf.ndim - 2)]
        out = {"counts": pmf.reshape((*rows_of, len(trait), len(first), self.J + 1))}
        return out | {name: predictors[name][..., None] for name in self.formulas() if name != f"{self.name}_control"}

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log P(second answer | trait, first count), (..., row, trait, count), the last of length 1 without correlation."""
        logits = {lapse: distribution[f"{self.name}_lapse_{lapse}"][..., None] for lapse in responses.lapses(self.response)}
        chances = {lapse: (pt.sigmoid(-logit), pt.sigmoid(logit)) for lapse, logit in logits.items()}
        said = reported(tables_at(self._tables(), self._column(rows)), chances)
        return pt.log((distribution["counts"] * said[..., None, :]).sum(axis=-1) + SMALLEST)

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Second answers of people with this trait and first count, in the arms that they are in."""
        trait, first = (values.astype(int) for values in latent)
        pmf = distribution["counts"]
        own = np.arange(len(trait)), trait % pmf.shape[1], first % pmf.shape[2]  # an axis of length 1 stands for all
        lapses = {lapse: expit(distribution[f"{self.name}_lapse_{lapse}"][:, 0]) for lapse in responses.lapses(self.response)}
        said = reported_by(self._tables(), trait, choose(pmf[own], rng), lapses)
        answers = np.full(len(trait), np.nan)
        for arm, part in enumerate(arm_slices(self.J).values()):
            asked = rows.observed[f"_{self.name}_arm"] == arm
            answers[asked] = choose(said[asked, part], rng)
        return {f"_{self.name}": answers}

    def parts(self, prevalence: np.ndarray, distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The prevalence, who lapses on this list, and the mean of its control count where the first count does not matter."""
        out = {"prevalence": prevalence}
        for lapse in responses.lapses(self.response):
            out[f"lapse_{lapse}"] = np.broadcast_to(expit(distribution[f"{self.name}_lapse_{lapse}"][..., 0]), prevalence.shape)
        if not self.correlation:
            means = (distribution["counts"][..., 0, :] * np.arange(self.J + 1)).sum(axis=-1)
            out["mean_count"] = (np.stack([1 - prevalence, prevalence], axis=-1) * means).sum(axis=-1)
        return out

    def labels(self) -> dict[str, str]:
        """What the estimates are."""
        lapses = {f"lapse_{lapse}": f"Would lapse on the second list ({lapse.replace('_', ' ')}), of all"
                  for lapse in responses.lapses(self.response)}
        return {"prevalence": "Prevalence (both lists)", **lapses, "mean_count": "Mean number of the second list's control items"}

    def _tables(self) -> ReportTables:
        return report_tables(responses.lapses(self.response), self.J)

    def _column(self, rows: Rows) -> Any:
        """Where each row's answer stands in the report tables, -1 for those who were not asked."""
        answer, arm = (rows.observed[f"_{self.name}{part}"] for part in ("", "_arm"))
        column = answer + arm * (self.J + 1)
        if isinstance(column, np.ndarray):
            return np.where(np.isnan(column), -1, column).astype("int64")
        return pt.switch(pt.isnan(column), -1.0, column).astype("int64")

    def _shape(self, parameters: Mapping[str, Any]) -> Any:
        """The parameter of the family of counts, as its pmf takes it."""
        own = family(self.counts).parameter
        given = parameters.get(f"{self.name}_{SHAPE_OF.get(own or '', '')}")
        if own == "control_item":
            return pt.zeros((1,)) if given is None else ordered_items(given, self.J)
        if own == "control_shape":
            basis = shape_basis(np.array(self.control_counts))
            return np.zeros(self.J + 1) if given is None else (given[..., None] * basis).sum(axis=-2)[..., None, None, :]
        return given
