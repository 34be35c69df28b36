"""What was asked beside the list: direct questions, a second list, and the order in which things were asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency, norm

from bayes_listexp.checks.record import LEVEL, Check, worst_of
from bayes_listexp.double_lists import double_list
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import NO, YES, DirectQuestion
from bayes_listexp.list_and_direct import placebo_tests
from bayes_listexp.list_arms import arms_by_list
from bayes_listexp.multiple_tests import holm

ADVICE = {
    "I": ("Some who admit the trait directly do not count it on the list: they answer the list carelessly, claimed the trait falsely, "
          "or the list has a design effect. Do not combine list and direct question by difference; model them with lies = 'two_sided'."),
    "II": ("The list moved the direct answers, so that they cannot be combined with it as if they were one: ask the direct question before "
           "the list, or of the control arm alone; use the direct answers of the control arm."),
}


def placebo_direct(study: ListExperiment, *, instrument: str = "direct") -> list[Check]:
    """Placebo tests I and II of a direct question asked beside the list (Aronow et al. 2015), a Check each.

    Raises
    ------
    InputError : as :func:`bayes_listexp.list_and_direct.placebo_tests`.
    """
    table = placebo_tests(study, instrument=instrument)
    questions = ("Does the list find the trait in everybody who admits it to the direct question?",
                 "Is the direct question answered alike in both arms?")
    told = ("Among those who say yes to the direct question the list finds {estimate:.1f} % with the trait",
            "The share who say yes to the direct question differs by {estimate:+.1f} points between treatment and control arm")
    checks = []
    for question, sentence, row in zip(questions, told, table.to_dict("records"), strict=True):
        name = f"placebo test {row['test']}" + ("" if instrument == "direct" else f" ({instrument})")
        if not np.isfinite(row["p"]):
            text = "Not testable: an arm has too few people who " + ("say yes." if row["test"] == "I" else "were asked.")
            checks.append(Check(name, question, None, None, None, text))
            continue
        percent = {key: 100 * row[key] for key in ("estimate", "lower", "upper", "expected")}
        text = sentence.format(**percent) + " (95 % interval {lower:.1f} to {upper:.1f}; {expected:.0f} expected,".format(**percent)
        text += f" p = {row['p']:.2g})."
        checks.append(Check(name, question, row["p"] >= LEVEL, row["estimate"], pd.DataFrame([row]), text, (row["lower"], row["upper"]),
                            row["p"], ADVICE[row["test"]]))
    return checks


def contradictions(study: ListExperiment, *, instrument: str = "direct") -> Check:
    """How many say yes to the direct question and count nothing on the treatment list, so that one of the two is untrue."""
    name = "contradictions" + ("" if instrument == "direct" else f" ({instrument})")
    question = "How many say yes directly and 0 on the treatment list?"
    yes = study.listed[study.listed["_treated"] & (study.listed[f"_{instrument}"] == YES)]
    n, total = int(yes.loc[yes["_answer"] == 0, "_n"].sum()), int(yes["_n"].sum())
    text = f"Of {total:,} in the treatment arm who say yes to the direct question, {n:,} count 0 items on the list"
    text += (", which contradicts it: they hid the trait on the list, claimed it falsely, or answered carelessly. A model needs "
             "lies = 'two_sided', or a response model in which people with the trait may answer 0." if n else
             ": no answer contradicts another.")
    return Check(name, question, None, float(n), None, text)


def two_lists(study: ListExperiment, *, second: str = "second") -> Check:
    """Whether the two lists of a double list find the same prevalence (Droitcour et al. 1991)."""
    table = double_list(study, second=second)
    row = table.set_index("of").loc["difference"]
    if not np.isfinite(row["p"]):
        return Check(f"two lists ({second})", "Do both lists find the same prevalence?", None, None, table, "Not testable: an arm has "
            "too few.")
    text = (f"The first list finds {100 * row['estimate']:+.1f} points more than the second (95 % interval {100 * row['lower']:.1f} to "
            f"{100 * row['upper']:.1f}; p = {row['p']:.2g}).")
    advice = ("One of the lists has a design effect, or the second was answered in the light of the first. See the no-design-effect "
              "test of each list, and the order of the lists if it was random; report both lists, not their mean alone.")
    return Check(f"two lists ({second})", "Do both lists find the same prevalence?", bool(row["p"] >= LEVEL), float(row["estimate"]),
                 table, text,
                 (float(row["lower"]), float(row["upper"])), float(row["p"]), advice)


def order_of_questions(study: ListExperiment, order: str) -> Check:
    """Whether a random order, of lists or of list and direct question, changes the answers: ``order`` is the column that holds it.

    For each list (version, item) the differences in means of the orders are compared by Wald's chi-squared test, and for each direct
    question the shares of yes; p-values are adjusted by Holm's method over these.

    Raises
    ------
    InputError : no such column, or everybody had one order.
    """
    if order not in study.covariates or study.table[order].nunique() < 2:
        raise InputError(f"order = '{order}': name a covariate of the study with two or more orders; there are: "
                         f"{', '.join(study.covariates)}.")
    rows = []
    for label, parts in _by_rest(study, order).items():
        estimate, variance = (np.array(values) for values in zip(*parts, strict=True))
        rows.append((f"list{' ' + label if label else ''}", *_apart(estimate, variance)))
    for instrument in study.instruments:
        if isinstance(instrument, DirectQuestion):
            asked = study.table[study.table[f"_{instrument.name}"].isin([YES, NO])]
            counts = asked.groupby([order, f"_{instrument.name}"], observed=True)["_n"].sum().unstack(fill_value=0)
            if min(counts.shape) > 1:
                share = counts[YES] / counts.sum(axis=1)
                rows.append((instrument.name, float(share.max() - share.min()), float(chi2_contingency(counts, correction=False).pvalue)))
    table = pd.DataFrame(rows, columns=["of", "largest difference", "p"])
    table["p adjusted"] = holm(table["p"].to_numpy())
    p = worst_of(table["p adjusted"])
    moved = table.loc[table["p adjusted"] < LEVEL, "of"].tolist()
    text = (f"The order changes the answers to {', '.join(moved)}" if moved else "The order changes no answers beyond chance")
    text += f" (tests of {', '.join(table['of'])}; smallest Holm-adjusted p = {p:.2g})." if p is not None else " (nothing could be tested)."
    advice = f"Estimate by '{order}' apart and report both; if only the answers given first can be trusted, use these."
    return Check("order", "Are answers the same whatever was asked first?", None if p is None else p >= LEVEL,
                 float(table["largest difference"].max()) if rows else None, table, text, None, p, advice)


def _by_rest(study: ListExperiment, order: str) -> dict[str, list[tuple[float, float]]]:
    """Difference in means and its variance in each order, by what else tells lists apart."""
    found: dict[str, list[tuple[float, float]]] = {}
    for arms in arms_by_list(study, order):
        means, variances = [], []
        for counts in (arms.control, arms.treatment):
            y, n = np.arange(len(counts)), counts.sum()
            mean = counts @ y / n
            means.append(mean)
            variances.append(counts @ (y - mean) ** 2 / (n - 1) / n if n > 1 else np.nan)
        label = ", ".join(f"{name} {level}" for name, level in arms.of.items() if name != order)
        found.setdefault(label, []).append((means[1] - means[0], sum(variances)))
    return found


def _apart(estimate: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """The largest difference between independent estimates, and p of their being equal."""
    weight = 1 / variance
    middle = (weight * estimate).sum() / weight.sum()
    q = (weight * (estimate - middle) ** 2).sum()
    largest = float(np.ptp(estimate))
    if len(estimate) == 2:
        return largest, float(2 * norm.sf(np.sqrt(q)))
    return largest, float(chi2.sf(q, len(estimate) - 1)) if len(estimate) > 1 else float("nan")
