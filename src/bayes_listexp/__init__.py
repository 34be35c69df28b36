"""Bayesian analysis of list experiments: from data to prevalence, change between waves and a report.

The public names are loaded when first used, so that importing the package is quick.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "InputError": "errors",
    "ListExperiment": "experiment",
    "read_survey": "read",
    "read_population": "read",
    "read_regions": "read",
    "scan_survey": "scanning",
    "tabulate": "tabulation",
    "binned": "binning",
    "recode": "recoding",
    "PopulationFrame": "population",
    "frame_from_survey": "population",
    "frames_by_wave": "population",
    "rake": "raking",
    "with_predictors": "predictors",
    "read_published": "published.table",
    "PublishedSupport": "published.table",
    "audit": "published.audit",
    "fit_published": "published.model",
    "support_table": "published.results",
    "printed_differences": "published.results",
    "published_change": "published.results",
    "design_based_change": "published.results",
    "kish": "weighting",
    "difference_in_means": "design_based",
    "change_in_means": "design_based",
    "poststratified_means": "standardised",
    "poststratified_change": "standardised",
    "double_list": "double_lists",
    "linear_regression": "least_squares",
    "maximum_likelihood": "quick_likelihood",
    "nonlinear_least_squares": "two_step",
    "specification_test": "misspecification",
    "quick_estimates": "quick_overview",
    "prevalence_of_tables": "many_fits",
    "change_of_tables": "many_fits",
    "adjusted_difference": "adjusted",
    "refusal_bounds": "bounds",
    "lying_bounds": "lying",
    "subgroup_means": "subgroups",
    "estimates_without_model": "overview",
    "combined_estimate": "list_and_direct",
    "placebo_tests": "list_and_direct",
    "no_design_effect_test": "no_design_effect.moment_test",
    "no_design_effect_bayes_factor": "no_design_effect.bayes_factor",
    "type_shares": "no_design_effect.type_shares",
    "design_checks": "checks",
    "fit_checks": "checks",
    "frame_against_sample": "representation",
    "cells_outside_frame": "representation",
    "DirectQuestion": "instruments.direct",
    "SecondList": "instruments.second_list",
    "ItemAnswers": "instruments.item_answers",
    "RandomisedResponse": "instruments.randomised_response",
    "Endorsement": "instruments.endorsement",
    "Outcome": "instruments.outcome",
    "KnownPrevalence": "margins",
    "KnownItem": "margins",
    "published_margins": "published.as_margins",
    "pooling": "group_worth",
    "Specification": "specification",
    "fit": "fitting",
    "prevalence": "estimates",
    "realised_prevalence": "estimates",
    "change": "estimates",
    "change_summary": "changes",
    "path": "changes",
    "filtered": "changes",
    "p_monotone": "changes",
    "largest_drop": "changes",
    "ranks": "changes",
    "difference_of_changes": "changes",
    "compare_changes": "changes",
    "wave_dates": "changes",
    "contrast": "estimates",
    "trait_probability": "estimates",
    "misreporting": "estimates",
    "observed_by": "estimates",
    "summarise": "estimates",
    "tidy": "tidy_frames",
    "loo": "comparison",
    "compare": "comparison",
    "contraction": "sensitivity",
    "power_scaling": "sensitivity",
    "simulate_survey": "simulate",
    "simulate_surveys": "simulate",
    "shares_as_frame": "simulate",
    "Sampling": "simulate",
    "Questionnaire": "simulate",
    "Refusals": "simulate",
    "regression_table": "regression_tables",
    "comparison_report": "comparison_page",
    "render_report": "report",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bayes_listexp' has no attribute '{name}'")
    return getattr(import_module(f"bayes_listexp.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
