"""How quick list regressions are shown on the command line."""

from __future__ import annotations

from bayes_listexp.quick_overview import QuickEstimates
from bayes_listexp.tables import Interval, Number, Percent, Table, Text


def tables_of_quick(found: QuickEstimates) -> list[Table]:
    """The tables of :func:`bayes_listexp.quick_estimates` that have rows."""
    split = [name for name in found.prevalence.columns if name not in ("estimator", "estimate", "se", "lower", "upper", "n", "note")]
    noted = [Text("note", "Note")] if found.prevalence["note"].astype(bool).any() else []
    tables = [
        Table("list-regression", found.prevalence, "Prevalence by list regression",
              (Text("estimator", "Estimator"), *(Text(name, str(name).capitalize()) for name in split), Percent("estimate", "Estimate", 1),
               Percent("se", "s.e.", 1), Interval("lower", "upper", "95 % interval", 1), Number("n", "n"), *noted),
              "Maximum likelihood needs the distribution of the control counts and their independence of the trait, least squares the "
              "means alone (Imai 2011)."),
        Table("list-regression-coefficients", found.coefficients, "Coefficients of the list regressions",
              (Text("estimator", "Estimator"), Text("part", "Part"), Text("term", "Term"), Number("estimate", "Estimate", 3),
               Number("se", "s.e.", 3), Number("lower", "2.5 %", 3), Number("upper", "97.5 %", 3)),
              "Trait: on the logit of having the trait; control: on the logit of a control item (of softmax counts: their tilt)."),
        Table("specification", found.specification, "Do the likelihood's assumptions hold?",
              (Text("estimator", "Estimator"), Text("test", "Compared"), Percent("likelihood", "Likelihood", 1),
               Percent("other", "Without it", 1), Number("statistic", "Chi-squared", 2), Number("df", "d.f."), Number("p", "p", 3),
               *([Text("remark", "Remark")] if len(found.specification) and found.specification["remark"].astype(bool).any() else [])),
              "Hausman's test: prevalence against the difference in means, coefficients against least squares. A small p says that an "
              "assumption of the likelihood fails; a large one proves nothing."),
    ]  # fmt: skip
    return [table for table in tables if len(table.frame)]
