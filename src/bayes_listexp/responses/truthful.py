"""Everyone counts truthfully (the standard assumption; Blair & Imai 2012, "no liars")."""

from bayes_listexp.responses import Lapse

LAPSES: dict[str, Lapse] = {}
