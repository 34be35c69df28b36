"""Figures: draws and tidy frames in, matplotlib figures out, in one style, without pyplot's global state.

Rows that carry a posterior and a difference in means on one scale, with their numbers beside them, are drawn
with matplotlib directly: arviz-plots composes one kind of mark for each row. The densities are ArviZ's.
"""

from bayes_listexp.figures.bias import sensitivity_bias
from bayes_listexp.figures.checks import balance_of_arms, counts_and_binomial, differences_by_group, shares_of_types
from bayes_listexp.figures.choropleths import choropleth
from bayes_listexp.figures.comparisons import published_support, robustness
from bayes_listexp.figures.course import Printed, trajectory
from bayes_listexp.figures.maps import tile_grid
from bayes_listexp.figures.moves import arrows_by_group, pooling_by_group
from bayes_listexp.figures.panels import answers_by_arm, prior_posterior
from bayes_listexp.figures.planning_choices import control_item_frontier, planning_groups
from bayes_listexp.figures.planning_curves import planning_break_even, planning_power, planning_precision
from bayes_listexp.figures.specifications import specification_curve, specification_order
from bayes_listexp.figures.style import to_pdf, to_png, to_svg
from bayes_listexp.figures.survey import change_between_waves, list_and_direct, support_by_group

__all__ = [
    "Printed",
    "answers_by_arm",
    "arrows_by_group",
    "balance_of_arms",
    "change_between_waves",
    "choropleth",
    "control_item_frontier",
    "counts_and_binomial",
    "differences_by_group",
    "list_and_direct",
    "planning_break_even",
    "planning_groups",
    "planning_power",
    "planning_precision",
    "pooling_by_group",
    "prior_posterior",
    "published_support",
    "robustness",
    "sensitivity_bias",
    "shares_of_types",
    "specification_curve",
    "specification_order",
    "support_by_group",
    "tile_grid",
    "to_pdf",
    "to_png",
    "to_svg",
    "trajectory",
]
