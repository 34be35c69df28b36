"""Careless answers: the same share of respondents answers at random on every list (Blair, Chou & Imai 2019, with one share).

With a placebo list in the control arm (Riambau & Ostwald 2021) everybody reads J + 1 items, one share is the natural
assumption, and an answer of J + 1 to the placebo list, which only carelessness explains, identifies it.
"""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse


def random_rule(count: int, trait: int, treated: int, J: int) -> range:
    """Any answer that the list allows, equally likely."""
    return range(J + 1 + treated)


LAPSES = {"careless": Lapse(random_rule, Prior("Beta", (1.0, 9.0)))}
