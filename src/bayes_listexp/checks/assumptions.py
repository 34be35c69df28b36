"""Whether the answers go with no design effect and no lies: the types of people, the test, its Bayes factor, the specification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_listexp.checks.arms import strata_of
from bayes_listexp.checks.record import LEVEL, Check, within_lists, worst_of
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.misspecification import specification_test
from bayes_listexp.no_design_effect.bayes_factor import no_design_effect_bayes_factor
from bayes_listexp.no_design_effect.moment_test import no_design_effect_test
from bayes_listexp.no_design_effect.type_shares import TYPE_COLUMNS, type_shares

UNLIKELY = 0.1
"""A Bayes factor below which the answers count against there being no design effect."""


def apart(study: ListExperiment) -> list[str]:
    """The columns by which lists are checked apart beside version and item."""
    return [name for name in strata_of(study) if name != study.version]


def types_of_people(study: ListExperiment) -> Check:
    """The table of types of people, whose shares must not be negative."""
    table = type_shares(study, apart(study))
    lowest = table.loc[(table["estimate"] / table["se"].where(table["se"] > 0)).fillna(0).idxmin()]
    negative = int((table["estimate"] < 0).sum())
    who = f"with{'' if lowest['trait'] else 'out'} the trait of whom {int(lowest['count'])} control items are true"
    text = ("Every type of people, by trait and number of control items, has an estimated share of at least 0." if not negative else
            f"{negative} of {len(table)} types of people have a negative estimated share; the most certain are people {who}"
            f"{within_lists(_whose(lowest))}: {100 * lowest['estimate']:.1f} % (s.e. {100 * lowest['se']:.1f}).")
    interval = (float(lowest["lower"]), float(lowest["upper"]))
    return Check("types of people", "Are the estimated shares of all types of people at least 0?", None, float(lowest["estimate"]),
                 table, text,
                 interval)


def no_design_effect(study: ListExperiment, method: str = "textbook") -> Check:
    """The no-design-effect test of Blair & Imai (2012), by list version, item and wave; Holm-adjusted over these."""
    table = no_design_effect_test(study, method, by=apart(study))
    p = worst_of(table["p_adjusted"])
    row = table.loc[table["p"].idxmin()]
    text = (f"The no-design-effect test has p = {row['p']:.2g}{within_lists(_whose(row))}"
            + (f", Holm-adjusted for {len(table)} lists {p:.2g}. " if len(table) > 1 else ". "))
    failed = p is not None and p < LEVEL
    text += (f"Chance does not explain a share of people of {100 * row['lowest']:.1f} %, {-row['z']:.1f} standard errors below 0: with the "
             "sensitive item on the list people answered the control items otherwise, or did not tell the truth." if failed else
             "Nothing in the answers contradicts that the control items were answered alike on both lists.")
    advice = ("The difference in means, and models with truthful answers, are off. See in the table of types at which counts the shares "
              "are negative: at 0 people fled the floor, at the top they hid at the ceiling (response = 'liars'); both at once look like "
              "careless answers (response = 'uniform'). Compare these models by LOO, and report the test.")
    return Check("no design effect", "Were the control items answered alike on both lists?", p is None or p >= LEVEL,
                 float(row["lowest"]), table, text, None, p, advice)


def bayes_factor(study: ListExperiment) -> Check:
    """The Bayes factor of no design effect against any answers whatever, by list version, item and wave."""
    question = "How well do the answers go with no design effect?"
    try:
        table = no_design_effect_bayes_factor(study, by=apart(study))
    except InputError as error:
        return Check("no design effect (Bayes)", question, None, None, None, f"Not computed: {error}")
    row = table.loc[(np.log(np.maximum(table["bayes_factor"], 1e-300)) / -np.log(table["prior"])).idxmin()]
    factor = float(row["bayes_factor"])
    text = (f"The Bayes factor of no design effect against no restriction is {factor:.2g}{within_lists(_whose(row))}, {row['words']} "
            f"(the most that this list could give is {1 / row['prior']:.0f}).")
    passed = False if factor < UNLIKELY else None if factor < 1 else True
    advice = "As for the no-design-effect test: compare models in which people lie at the edges or answer carelessly."
    return Check("no design effect (Bayes)", question, passed, factor, table, text,
                 advice=advice)


def specification(study: ListExperiment, counts: str | None = None) -> Check:
    """Hausman's test of the model without covariates: whether maximum likelihood finds the prevalence that the difference in means does.

    ``counts`` is the family of control counts of a model; the saturated one ("softmax") where none is named or the quick likelihood lacks
    it. Where the quick likelihood does not know the design (several items, list versions) the check says so, and is no test.
    """
    question = "Does a model find the prevalence that the difference in means does?"
    family: Any = counts if counts in ("binomial", "beta_binomial") else "softmax"
    try:
        table = specification_test(study, counts=family)
    except InputError as error:
        return Check("specification", question, None, None, None, f"Not tested: {error}")
    row = table.set_index("test").loc["prevalence"]
    if not np.isfinite(row["p"]):
        return Check("specification", question, None, None, table, f"Not tested: {row['remark'] or 'the two estimators are the same'}.")
    half = 1.96 * row["se"]
    text = (f"By maximum likelihood ({family.replace('_', '-')} counts) the prevalence is {100 * row['likelihood']:.1f} %, "
            f"{100 * row['difference']:+.1f} points (95 % interval {100 * (row['difference'] - half):.1f} to "
            f"{100 * (row['difference'] + half):.1f}) from the difference in means (Hausman's test, p = {row['p']:.2g}).")
    advice = ("An assumption of the model does not hold: the counts' distribution (take counts = 'softmax'), their independence of the "
              "trait (dependence = 'shift' or 'free'), or truthful answers and no design effect (a response model). Do not report this "
              "model alone.")
    return Check("specification", question, bool(row["p"] >= LEVEL), float(row["difference"]), table, text,
                 (float(row["difference"] - half), float(row["difference"] + half)), float(row["p"]), advice)


def _whose(row: pd.Series) -> str:
    """Whose answers a row of these tables is about."""
    own = [str(name) for name in row.index[: list(row.index).index("trait" if set(TYPE_COLUMNS) <= set(row.index) else
                                                                   "method" if "method" in row.index else "n_control")]]
    return ", ".join(f"{name} {row[name]}" for name in own)
