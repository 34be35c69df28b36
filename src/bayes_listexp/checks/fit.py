"""All checks of a fitted model, in order."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from bayes_listexp import stored
from bayes_listexp.checks.classes import classes
from bayes_listexp.checks.predicted import answers_predicted, groups_predicted, prior_and_data, surprising_respondents
from bayes_listexp.checks.record import Check
from bayes_listexp.checks.sampler import convergence, energy, not_sampled, person_effects
from bayes_listexp.sensitivity import power_scaling

SAMPLER, PREDICTION, PRIOR = "The sampler", "What the model predicts", "The prior"


def fit_checks(tree: xr.DataTree, by: Sequence[str] | None = None, *, prior: bool = False) -> list[Check]:
    """Checks of a fitted tree: the sampler, answers against their prediction, and with outcomes who defines the classes.

    Parameters
    ----------
    by : columns of the model's cells whose groups are held against their prediction; by default all with at most ten levels.
    prior : whether to weigh prior against data too (power-scaling of the prevalence, by ``by``), which takes a few seconds.

    Each is a :class:`bayes_listexp.checks.Check` with its topic. Sampled are R-hat, effective sample sizes, divergences and energy.
    """
    there = set(tree.children)
    sampled = "sample_stats" in there
    checks = [check._replace(topic=SAMPLER) for check in ([*convergence(tree), *energy(tree)] if sampled else [not_sampled(tree)])]
    if {"posterior", "cells"} <= there and stored.blueprint_of(tree).specification.person != "none":
        checks.append(person_effects(tree)._replace(topic=SAMPLER))
    found = [answers_predicted(tree)] if "posterior_predictive" in there else []
    found += groups_predicted(tree, by) if {"posterior_predictive", "cells"} <= there else []
    found += [surprising_respondents(tree)] if {"log_likelihood", "cells"} <= there else []
    found += classes(tree) if {"posterior", "rows"} <= there else []
    checks += [check._replace(topic=PREDICTION) for check in found]
    if prior and {"prior", "unconstrained_posterior", "log_likelihood"} <= there:
        checks.append(prior_and_data(power_scaling(tree, by=list(by or ())))._replace(topic=PRIOR))
    return checks
