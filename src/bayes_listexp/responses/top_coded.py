"""Top-coded error: a share of respondents in both arms answers with the largest number (Blair, Chou & Imai 2019)."""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse


def top_rule(count: int, trait: int, treated: int, J: int) -> int:
    """Answer the length of the list whatever applies."""
    return J + treated


LAPSES = {"top": Lapse(top_rule, Prior("Beta", (1.0, 9.0)))}
