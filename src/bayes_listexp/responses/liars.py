"""Ceiling and floor liars (Blair & Imai 2012, section 3.2).

With the trait and all control items, the truthful answer J + 1 would reveal the trait: a ceiling liar answers J. With
the trait and no control item, the answer 1 might reveal it: a floor liar answers 0.
"""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse, truthful_rule

RARE = Prior("Normal", (-2.0, 1.0))  # on the logit scale: median 0.12, 95 % of the mass between 0.02 and 0.49


def floor_rule(count: int, trait: int, treated: int, J: int) -> int:
    """Answer 0 instead of 1 when the sensitive item is the only one that applies."""
    return 0 if treated and trait and count == 0 else truthful_rule(count, trait, treated, J)


def ceiling_rule(count: int, trait: int, treated: int, J: int) -> int:
    """Answer J instead of J + 1 when every item applies."""
    return J if treated and trait and count == J else truthful_rule(count, trait, treated, J)


LAPSES = {"floor": Lapse(floor_rule, RARE), "ceiling": Lapse(ceiling_rule, RARE)}
