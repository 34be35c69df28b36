"""Uniform error: a share of respondents in each arm answers at random (Blair, Chou & Imai 2019)."""

from bayes_listexp.priors import Prior
from bayes_listexp.responses import Lapse, truthful_rule

CARELESS = Prior("Beta", (1.0, 9.0))


def random_control_rule(count: int, trait: int, treated: int, J: int) -> int | range:
    """In the control arm any answer 0..J, equally likely."""
    return truthful_rule(count, trait, treated, J) if treated else range(J + 1)


def random_treatment_rule(count: int, trait: int, treated: int, J: int) -> int | range:
    """In the treatment arm any answer 0..J + 1, equally likely."""
    return range(J + 2) if treated else truthful_rule(count, trait, treated, J)


LAPSES = {"random_control": Lapse(random_control_rule, CARELESS),
          "random_treatment": Lapse(random_treatment_rule, CARELESS)}
