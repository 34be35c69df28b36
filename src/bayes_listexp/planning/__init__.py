"""Planning the next study: precision, power, sizes, the choice of a design and of control items, and Bayesian assurance.

A scenario says what is assumed of the people; every design then has a *unit variance*, the number of respondents times the
variance of its estimate, from which standard error, power and sample size follow. Probabilities and effects are 0 to 1.
"""

from bayes_listexp.planning.alternatives import (
    Estimate,
    break_even_bias,
    combined,
    compare_designs,
    direct_question,
    double_list,
    double_list_variance,
    liar_bias,
    list_direct_gap,
    listed,
)
from bayes_listexp.planning.assurance import assurance, simulate_answers
from bayes_listexp.planning.careless import best_design, careless_designs, careless_estimate
from bayes_listexp.planning.control_items import frontier
from bayes_listexp.planning.differences import (
    Panel,
    change_variance,
    clustered_variance,
    dim_variance,
    optimal_share,
    several_items,
)
from bayes_listexp.planning.estimators import ESTIMATORS
from bayes_listexp.planning.groups import allocation, pooled_groups
from bayes_listexp.planning.information import likelihood_variance
from bayes_listexp.planning.item_scenario import correlation_bounds, from_items, from_pilot
from bayes_listexp.planning.plan_tables import Clusters, Plan, Regions, plan_tables
from bayes_listexp.planning.plan_text import plan_paragraph
from bayes_listexp.planning.precision import by_size, detectable, power, respondents
from bayes_listexp.planning.scenario import Scenario, from_answers, from_counts, from_study

__all__ = [
    "ESTIMATORS",
    "Clusters",
    "Estimate",
    "Panel",
    "Plan",
    "Regions",
    "Scenario",
    "allocation",
    "assurance",
    "best_design",
    "break_even_bias",
    "by_size",
    "careless_designs",
    "careless_estimate",
    "change_variance",
    "clustered_variance",
    "combined",
    "compare_designs",
    "correlation_bounds",
    "detectable",
    "dim_variance",
    "direct_question",
    "double_list",
    "double_list_variance",
    "from_answers",
    "from_counts",
    "from_items",
    "from_pilot",
    "from_study",
    "frontier",
    "liar_bias",
    "likelihood_variance",
    "list_direct_gap",
    "listed",
    "optimal_share",
    "plan_paragraph",
    "plan_tables",
    "pooled_groups",
    "power",
    "respondents",
    "several_items",
    "simulate_answers",
]
