"""Artificial deflation: a share of people with the trait leaves the added item out of the count of the longer list.

From one experiment deflation cannot be told from a rarer trait (the difference in means is (1 - q) times the prevalence). A
placebo experiment can: an added item of known prevalence, on a treatment list of its own with the same control items
(see :class:`bayes_listexp.KnownPrevalence`).
"""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse


def drop_rule(count: int, trait: int, treated: int, J: int) -> int:
    """Report the control items only."""
    return count


LAPSES = {"deflation": Lapse(drop_rule, Prior("Beta", (1.0, 9.0)))}
