"""Checks of the design, the data and the fit: records with a plain sentence each, failed or passed."""

from bayes_listexp.checks.design import design_checks
from bayes_listexp.checks.fit import fit_checks
from bayes_listexp.checks.record import Check, as_family, names_of
from bayes_listexp.checks.sampler import converged, convergence

__all__ = ["Check", "as_family", "converged", "convergence", "design_checks", "fit_checks", "names_of"]
