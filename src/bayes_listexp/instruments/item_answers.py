"""The item-level design: the control arm answers each control item, the treatment arm gives a count (the modified list).

Given how many items apply, which of them do is the conditional Rasch model (Rasch 1960; Andersen 1970): whatever moves all
items alike, covariates above all, cancels, and what is left says how much more popular one item is than another. So the
answers inform the Poisson-binomial counts, which have one popularity per item, and the trait does not matter to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytensor.tensor as pt

from bayes_listexp.columns import read_choice, rows_where, shown_values
from bayes_listexp.control_counts import poisson_binomial
from bayes_listexp.errors import InputError
from bayes_listexp.instrument import IMPOSSIBLE, Rows
from bayes_listexp.likelihood import SMALLEST
from bayes_listexp.priors import Prior


@dataclass(frozen=True)
class ItemAnswers:
    """Answers of the control arm to each control item, in place of a count; needs counts = "poisson_binomial".

    Attributes
    ----------
    columns : the columns of answers (0 or 1), one for each of the J control items, in their order. A respondent without any
        was not asked.
    replaces_control : the study may do without list answers of the control arm. Where there is one beside the items, it must
        be their sum.
    """

    columns: tuple[str, ...]
    name: str = "items"
    replaces_control: ClassVar[bool] = True

    def __post_init__(self) -> None:
        given: Any = self.columns
        if not isinstance(given, (tuple, list)) or not given or len(set(given)) < len(given):
            raise InputError(f"instrument '{self.name}': columns = {given!r}: name one column for each control item, "
                             "all different.")
        object.__setattr__(self, "columns", tuple(given))

    def read(self, frame: pd.DataFrame, treated: pd.Series) -> tuple[ItemAnswers, pd.DataFrame]:
        """Answers ``_<name>_1``, ``_<name>_2``, ... (0 or 1), all NaN where somebody was not asked."""
        given = [read_choice(frame[column], column, {0: (0, False), 1: (1, True)}) for column in self.columns]
        answers = pd.concat(given, axis=1, keys=[f"_{self.name}_{j + 1}" for j in range(len(given))])
        asked, partly = answers.notna().all(axis=1), answers.notna().any(axis=1) & answers.isna().any(axis=1)
        if partly.any():
            raise InputError(f"columns {', '.join(self.columns)}, {rows_where(partly)}: some control items are answered and some are "
                             "missing, so their number is not known. Mark all items of these respondents as missing.")
        both = asked & treated.fillna(False).astype(bool)
        if both.any():
            raise InputError(f"columns {', '.join(self.columns)}, {rows_where(both)}: respondents of the treatment arm answered single "
                             "items, which would reveal the sensitive one. Only the control arm answers item by item: check "
                             "the coding of the arms.")
        counted = frame["_answer"] if "_answer" in frame else pd.Series(np.nan, index=frame.index)
        sums = answers.sum(axis=1)
        wrong = asked & counted.notna() & (counted != sums)
        if wrong.any():
            raise InputError(f"columns {', '.join(self.columns)}, {rows_where(wrong)}: the answer to the list is not the number of items "
                             f"that apply, found {shown_values(counted[wrong])} and {shown_values(sums[wrong])}. Correct "
                             "one, or mark it as missing.")
        return self, answers

    def ask(self, treated: np.ndarray, rng: np.random.Generator) -> tuple[ItemAnswers, pd.DataFrame]:
        """The control arm is asked."""
        column = np.where(treated, np.nan, 0.0)
        return self, pd.DataFrame({f"_{self.name}_{j + 1}": column for j in range(len(self.columns))})

    def write(self, coded: pd.DataFrame) -> pd.DataFrame:
        """The columns of answers."""
        return pd.DataFrame({column: coded[f"_{self.name}_{j + 1}"] for j, column in enumerate(self.columns)})

    def formulas(self) -> dict[str, str]:
        """None of its own: the linear predictor of the control counts cancels."""
        return {}

    def priors(self) -> dict[str, Prior]:
        """None of its own."""
        return {}

    def distribution(self, rows: Rows, predictors: Mapping[str, Any], parameters: Mapping[str, Any], J: int) -> dict[str, Any]:
        """``logits`` of the items beyond what they have in common, (..., 1, 1, item); nothing with one item.

        Raises
        ------
        InputError : there are not as many columns as the list has control items.
        """
        if len(self.columns) != J:
            raise InputError(f"instrument '{self.name}': {len(self.columns)} columns ({', '.join(self.columns)}), and the list has "
                             f"J = {J} control items. Name one column for each, in the order of the list.")
        return {} if J == 1 else {"logits": parameters["control_item"][..., None, None, :]}

    def log_factor(self, rows: Rows, distribution: Mapping[str, Any]) -> Any:
        """Log P(answers | count), (..., row, 1, count): impossible unless the count is the number of items that apply."""
        J = len(self.columns)
        answers = pt.stack([pt.as_tensor(rows.observed[f"_{self.name}_{j + 1}"]) for j in range(J)], axis=-1)
        asked = pt.invert(pt.isnan(answers[:, :1, None]))  # (row, 1, 1)
        applies = pt.switch(pt.isnan(answers), 0.0, answers)[:, None, :]  # (row, 1, item)
        told = pt.zeros((1, 1, 1))
        if "logits" in distribution:
            logits = distribution["logits"]
            of_all = (applies * logits - pt.softplus(logits)).sum(axis=-1)[..., None]
            counts = poisson_binomial(pt.zeros_like(logits[..., 0]), logits[..., 0, 0, :], J)
            told = of_all - pt.log(counts + SMALLEST)
        same = pt.eq(applies.sum(axis=-1)[..., None], np.arange(J + 1.0))
        return pt.switch(asked, pt.switch(same, told, IMPOSSIBLE), 0.0)

    def draw(self, rng: np.random.Generator, rows: Rows, latent: tuple[np.ndarray, np.ndarray],
             distribution: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Which items apply to people with this count; those who were not asked stay so."""
        J, count = len(self.columns), latent[1].astype(int)
        patterns = np.array(list(product((0.0, 1.0), repeat=J)))
        weights = np.exp(patterns @ distribution["logits"][0, 0]) if "logits" in distribution else np.ones(len(patterns))
        answers = np.empty((len(count), J))
        for k in range(J + 1):
            ways, people = np.flatnonzero(patterns.sum(axis=1) == k), np.flatnonzero(count == k)
            answers[people] = patterns[rng.choice(ways, size=len(people), p=weights[ways] / weights[ways].sum())]
        return {f"_{self.name}_{j + 1}": np.where(np.isnan(rows.observed[f"_{self.name}_{j + 1}"]), np.nan, answers[:, j])
                for j in range(J)}

    def labels(self) -> dict[str, str]:
        """What the estimate is."""
        return {"prevalence": "Prevalence (item-level design)"}
