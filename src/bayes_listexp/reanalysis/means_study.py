"""The published table of means that comes with the package: support for CSTO membership in Kazakhstan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr
from scipy.stats import norm

from bayes_listexp.published.answers import read_claims, read_shares
from bayes_listexp.published.audit import audit
from bayes_listexp.published.audit_answers import audit_shares
from bayes_listexp.published.findings import Finding
from bayes_listexp.published.model import fit_published
from bayes_listexp.published.results import support_table
from bayes_listexp.published.table import PublishedSupport, PublishedTable, read_published, total_only
from bayes_listexp.published_report import Published
from bayes_listexp.reanalysis.analysis import Method, Stored, fitted_now
from bayes_listexp.reanalysis.known import KnownStudy
from bayes_listexp.sampling import Sampler
from bayes_listexp.spec import bundled

CSTO = "csto_table1_2022-09"
J, N = 4, 400
LATER = PublishedSupport("35 %", N=(350, 1500), label="November 2022")
"""The second wave: one number, and nobody says of how many; see the published evidence."""
SAMPLER = Sampler(draws=2000, tune=1500)


class MeansStudy(NamedTuple):
    """A table of means with its report's ingredients, and its total row as the index shows it (0-1)."""

    published: Published
    everybody: pd.Series


def csto_table() -> PublishedTable:
    """The table as printed."""
    return read_published(bundled(f"{CSTO}.csv"), J=J, N=N, name="September 2022")


def reanalyse_means(
    known: KnownStudy, *, method: Method = "nuts", seed: int = 1, command: str = "", fitted: Stored = fitted_now
) -> MeansStudy:
    """Audit the table, and fit its total row alone and all its rows, with the later wave known by one number."""
    table = csto_table()
    arguments: dict[str, Any] = {"later": LATER, "seed": seed, "sampler": SAMPLER, "method": method}
    total, tree = (fitted(name, table.sha256, {**arguments, "rows": len(part.rows)}, partial(fit_published, part, **arguments))
                   for name, part in (("total", total_only(table)), ("fit", table)))  # fmt: skip
    shares = audit_shares(read_shares(bundled("cab_2017_2019.csv")), claims=read_claims(bundled("cab_2017_2019_claims.csv")))
    published = Published(
        table, audit(table), total, tree, known.title, known.sensitive_item, LATER, [("cab_2017_2019.csv", shares)],
        [source.strip() for source in known.source.split(";")], command,
    )  # fmt: skip
    return MeansStudy(published, _everybody(table, total))


def worst_finding(findings: Sequence[Finding]) -> str:
    """The worst finding of an audit in a few words."""
    failed = [finding for finding in findings if not finding.passed]
    if not failed:
        return "the table agrees with itself"
    n = {severity: sum(f.severity == severity for f in failed) for severity in ("contradiction", "warning")}
    return f"the printed table contradicts itself {n['contradiction']} times (first: {failed[0].check}), and {n['warning']} warnings"


def _everybody(table: PublishedTable, total: xr.DataTree) -> pd.Series:
    row = support_table(total, total_only(table)).iloc[0]
    half = norm.ppf(0.975) * row["difference_se"]
    dim = {"dim": row["difference"], "dim_lower": row["difference"] - half, "dim_upper": row["difference"] + half}
    return pd.concat([row[["median", "lower", "upper"]], pd.Series(dim)])
