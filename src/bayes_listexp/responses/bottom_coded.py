"""Bottom-coded error: a share of respondents in both arms answers 0, the mirror of top-coded error (Blair, Chou & Imai 2019)."""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse


def bottom_rule(count: int, trait: int, treated: int, J: int) -> int:
    """Answer 0 whatever applies."""
    return 0


LAPSES = {"bottom": Lapse(bottom_rule, Prior("Beta", (1.0, 9.0)))}
