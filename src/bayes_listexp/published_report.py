"""The report on a published table: what the audit found, what the printed means say, and the change to a later wave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm

from bayes_listexp import figures
from bayes_listexp.checks import Check, convergence
from bayes_listexp.checks.sampler import not_sampled
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.published.findings import Finding
from bayes_listexp.published.printed import parse_printed
from bayes_listexp.published.results import change_summary, design_based_change, published_change, support_table
from bayes_listexp.published.table import TOTAL, PublishedSupport, PublishedTable, total_only
from bayes_listexp.published_reading import (
    change_explorer,
    priors_section,
    reading_section,
    thresholds_section,
    total_draws,
)
from bayes_listexp.references import REFERENCES
from bayes_listexp.report import Block, CheckList, Code, Facts, Items, Paragraph, Report, Section, Subheading, figure
from bayes_listexp.tables import Interval, Number, Percent, Points, Table, Text, interval, percent, points

NUISANCES = {
    "variance_ratio": "variance of the number of control items, relative to a binomial's",
    "correlation": "correlation of that number and the trait",
    "control_share": "share of the sample in the control arm",
}
USED = {"means": "means", "support": "printed support", "exclude": "not used"}


class Published(NamedTuple):
    """What the report is made from: the table, its audit, two fits, the later wave, and audits of further tables by name.

    ``total_tree`` is the fit of the total row alone and carries the headline and the change; ``tree`` is the fit of all rows,
    whose groups cohere with the total. They differ where the groups pull the total, as contradictory rows do. ``dates`` are the
    days of the table and of the later wave; with them support stands in time, beside ``events`` (day, words).
    """

    table: PublishedTable
    findings: Sequence[Finding]
    total_tree: xr.DataTree
    tree: xr.DataTree
    title: str
    sensitive_item: str
    later: PublishedSupport | None = None
    other_audits: Sequence[tuple[str, Sequence[Finding]]] = ()
    sources: Sequence[str] = ()
    command: str = ""
    dates: tuple[date, date] | None = None
    events: Sequence[tuple[date, str]] = ()


def published_report(published: Published) -> Report:
    """The whole report as records; render it with :func:`bayes_listexp.render_report`."""
    table, total = published.table, total_draws(published.total_tree, published.table)
    sections = [reading_section(total), _data(published), _audit(published), _support(published)]
    sections += [thresholds_section(table, published.total_tree, published.tree, published.sensitive_item)]
    sections += [_change(published)] if published.later else []
    sections += [_model(published), priors_section(total, published.tree.attrs["assumptions"]), _methods(published)]
    failed = [c.text for tree in (published.total_tree, published.tree) for c in sampler_checks(tree) if c.passed is False]
    alarm = "This fit must not be published as it is. " + " ".join(failed) if failed else None
    return Report(
        title=published.title,
        subtitle=f"{published.table.name}: {published.sensitive_item}",
        headline=headline(published),
        sections=tuple(sections),
        alarm=alarm,
        facts=(("Seed", str(published.tree.attrs["seed"])), ("Table (SHA-256)", published.table.sha256)),
    )


def sampler_checks(tree: xr.DataTree) -> list[Check]:
    """Whether the sampler worked, or that nothing was sampled."""
    return convergence(tree) if "sample_stats" in tree.children else [not_sampled(tree)]


def headline(published: Published) -> str:
    """The result in one sentence, with its interval."""
    total = support_table(published.total_tree, total_only(published.table)).iloc[0]
    text = (
        f"{published.table.name}: the printed means put support at {100 * total['median']:.0f} % "
        f"({100 * total['lower']:.0f} to {100 * total['upper']:.0f} % with probability 95 %)"
    )
    contradictions = sum(1 for f in published.findings if not f.passed and f.severity == "contradiction")
    text += f"; the audit found {contradictions} contradictions in the table" if contradictions else ""
    if not published.later:
        return text + "."
    moved = change_summary(published_change(published.total_tree))
    return (
        f"{text}. By {published.later.label} it changed by {points(moved['median'])} points "
        f"({points(moved['lower'])} to {points(moved['upper'])}); the probability that it fell at all is "
        f"{probability_words(moved['p_decline'])}, that it fell by 20 points or more {probability_words(moved['p_decline_at_least'])}."
    )


def audit_table(findings: Sequence[Finding]) -> Table:
    """Every finding of an audit, one row each, for a file of its own."""
    rows = [(f.check, ", ".join(f.rows), "passed" if f.passed else f.severity, f.size, f.text) for f in findings]
    return Table(
        "audit", pd.DataFrame(rows, columns=["check", "rows", "outcome", "size", "text"]), "Audit of the table"
    )


def _data(published: Published) -> Section:
    table = published.table
    facts = [
        ("Table", table.name),
        ("Respondents (N)", f"{table.N:,}"),
        ("Control items (J)", str(table.J)),
        ("Sensitive item", published.sensitive_item),
        ("Rows", str(len(table.rows))),
    ]
    if published.later:
        low, high = published.later.respondents
        facts.append(
            (
                published.later.label,
                f"support {published.later.support}; N {low:,}" + (f" to {high:,}" if high > low else ""),
            )
        )
    printed = pd.DataFrame(
        [
            (
                row.group,
                row.level,
                row.share.text if row.share else None,
                row.mean_control.text,
                row.mean_treatment.text,
                row.support.text if row.support else None,
            )
            for row in table.rows
        ],
        columns=["group", "level", "share", "control", "treatment", "support"],
    )
    columns = (
        Text("group", "Group"),
        Text("level", "Level"),
        Text("share", "Share of the sample"),
        Text("control", "Mean, control arm"),
        Text("treatment", "Mean, treatment arm"),
        Text("support", "Printed support"),
    )
    blocks: list[Block] = [Facts(tuple(facts)), Table("printed", printed, "The table as printed", columns)]
    blocks += [Items(tuple(published.sources))] if published.sources else []
    return Section(
        "data",
        "What is published",
        "Means by arm, shares and supports as printed; no microdata, no standard errors.",
        tuple(blocks),
    )


def _audit(published: Published) -> Section:
    failed = [f for f in published.findings if not f.passed]
    blocks: list[Block] = [CheckList([_as_check(f) for f in published.findings])]
    for name, findings in published.other_audits:
        blocks.append(Subheading(f"Further table: {name}"))
        blocks.append(CheckList([_as_check(f) for f in findings]))
    n = len(published.findings)
    lead = (
        f"{len(failed)} of {n} checks failed: not all of the printed numbers can be right."
        if failed
        else f"The table agrees with itself: all {n} checks passed."
    )
    lead += " Each printed number stands for the interval it was rounded from."
    return Section("audit", "Audit of the table", lead, tuple(blocks))


def _as_check(finding: Finding) -> Check:
    outcome = True if finding.passed else (None if finding.severity == "note" else False)
    return Check(finding.check, finding.check[0].upper() + finding.check[1:], outcome, finding.size, None, finding.text)


def _support(published: Published) -> Section:
    rows = _support_rows(published)
    fig = figures.published_support(
        rows,
        title=f"Support, {published.table.name}",
        subtitle=f"{published.sensitive_item}; posterior from the printed means",
    )
    columns = (
        Text("group", "Group"),
        Text("level", "Level"),
        Percent("median", "Support"),
        Interval("lower", "upper", "95 % interval"),
        Percent("dim", "Difference of the means"),
        Interval("dim_lower", "dim_upper", "its 95 % interval"),
        Percent("printed", "Printed", 1),
        Text("used", "Rests on"),
        Text("flag", "Contradicted by"),
    )
    block = figure(
        fig,
        name="support",
        synthetic=False,
        caption="Posterior of support by printed row, the difference of the printed means "
        "with the interval that usual list answers give it, and the support as printed.",
    )
    return Section(
        "support",
        "Support by group",
        f"{_support_words(rows)} Standard errors are not printed; they follow from the means, the arm sizes and how dispersed answers to "
        "real lists are.",
        (block, Table("support", rows, "Support by group", columns)),
    )


def _support_words(rows: pd.DataFrame) -> str:
    """Support of everybody, and the groups with the least and the most of those that rest on something printed."""
    def said(row: pd.Series) -> str:
        return f"{percent(row['median'])} ({interval(row['lower'], row['upper'])})"

    groups = rows[(rows["group"] != TOTAL) & (rows["used"] != USED["exclude"])].sort_values("median", kind="stable")
    if len(groups) < 2:
        return f"Support is {said(rows.iloc[0])}."
    low, high = groups.iloc[0], groups.iloc[-1]
    return (f"Support is {said(rows.iloc[0])}; the lowest is that of {low['group']} {low['level']}, {said(low)}, the highest that of "
            f"{high['group']} {high['level']}, {said(high)}.")


def _support_rows(published: Published) -> pd.DataFrame:
    alone = support_table(published.total_tree, total_only(published.table))
    groups = support_table(published.tree, published.table)
    is_total = groups["group"] == TOTAL
    groups.loc[is_total, "level"] = "all, made coherent with the groups"
    rows = pd.concat([alone, groups[is_total], groups[~is_total]], ignore_index=True)
    half = norm.ppf(0.975) * rows["difference_se"]
    names = np.where(rows["group"] == TOTAL, TOTAL, rows["group"] + ": " + rows["level"])
    return rows.assign(
        dim=rows["difference"],
        dim_lower=rows["difference"] - half,
        dim_upper=rows["difference"] + half,
        printed=rows["printed_support"],
        used=rows["used"].map(USED),
        flag=[_flag(published.findings, name) for name in names],
    )


def _flag(findings: Sequence[Finding], row: str) -> str:
    return ", ".join(
        dict.fromkeys(f.check for f in findings if not f.passed and f.severity == "contradiction" and row in f.rows)
    )


def _change(published: Published) -> Section:
    assert published.later is not None
    change, with_groups = published_change(published.total_tree), published_change(published.tree)
    moved, coherent = change_summary(change), change_summary(with_groups)
    dim = design_based_change(published.table, published.later)
    smallest = dim.iloc[[0]][["estimate", "lower", "upper"]]
    fig = figures.change_between_waves(
        change["change"],
        smallest,
        waves=(published.table.name, published.later.label),
        title=f"Change to {published.later.label}",
        subtitle=f"{published.sensitive_item}; posterior from published numbers alone",
    )
    facts = Facts(
        (
            ("Change (median)", f"{points(moved['median'])} points"),
            ("95 % interval", f"{points(moved['lower'])} to {points(moved['upper'])} points"),
            ("P(decline)", probability_words(moved["p_decline"])),
            ("P(decline of 20 points or more)", probability_words(moved["p_decline_at_least"])),
            (
                "With the total made coherent with its groups",
                f"{points(coherent['median'])} points "
                f"({points(coherent['lower'])} to {points(coherent['upper'])}), P(decline) "
                f"{probability_words(coherent['p_decline'])}",
            ),
        )
    )
    columns = (
        Number("N", "N of the later wave"),
        Points("estimate", "Change", 1),
        Points("se", "s.e.", 1),
        Number("z", "z", 2),
        Interval("lower", "upper", "95 % interval", points=True),
        Number("p_value", "p (two-sided)", 3),
        Percent("p_decline", "P(decline), normal"),
    )
    span = f"Probability of a change, {published.table.name} to {published.later.label}"
    blocks: tuple[Block, ...] = (
        facts,
        *course_of_published(published, published.later),
        figure(
            fig,
            name="change",
            synthetic=False,
            caption="Posterior of the change, and beside it the design-based answer at the smallest N.",
        ),
        Paragraph("Move the threshold: left of the middle it asks for a fall of at least so many points, right of it for a rise."),
        change_explorer(change["change"], with_groups["change"], span),
        Table("change", dim, "The change without a model", columns),
    )
    return Section(
        "change",
        f"Change to {published.later.label}",
        f"Support changed by {points(moved['median'])} points ({points(moved['lower'])} to {points(moved['upper'])}); it fell with "
        f"probability {probability_words(moved['p_decline'])}. The later wave is known by one number; its N and control mean are not.",
        blocks,
    )


def course_of_published(published: Published, later: PublishedSupport) -> list[Block]:
    """Support in both waves where they lie in time, beside what was printed and events; nothing where their days are not known."""
    if published.dates is None:
        return []
    waves = [published.table.name, later.label]
    posterior = published.total_tree["posterior"].to_dataset()
    draws = xr.concat([posterior["total_support"], posterior["support_later"]], dim=pd.Index(waves, name="wave"), coords="minimal",
                      compat="override")  # fmt: skip
    shares = [total_only(published.table).rows[0].support, parse_printed(later.support, where=later.label)]
    printed = [figures.Printed(day, share.value, "support as printed") for day, share in zip(published.dates, shares, strict=True) if share]
    fig = figures.trajectory(
        draws, dates=dict(zip(waves, published.dates, strict=True)), events=published.events, printed=printed,
        title="Support over time", subtitle=published.sensitive_item, label="Support, % of respondents",
    )  # fmt: skip
    caption = "Posterior of support from published numbers alone, and the support as printed (hollow squares)."
    caption += " An event beside a change is no evidence that it caused the change." if published.events else ""
    return [figure(fig, name="course", synthetic=False, caption=caption)]


def _model(published: Published) -> Section:
    posterior = published.total_tree["posterior"].to_dataset()
    scalar = [
        name
        for name in NUISANCES
        if name in posterior and posterior[name].ndim == 2
    ]
    rows = [
        (NUISANCES[name], float(posterior[name].mean()), *(float(q) for q in np.quantile(posterior[name], [0.025, 0.975])))
        for name in scalar
    ]
    frame = pd.DataFrame(rows, columns=["parameter", "mean", "lower", "upper"])
    checks = [
        check._replace(name=f"{check.name} ({name})")
        for name, tree in (("total", published.total_tree), ("groups", published.tree))
        for check in sampler_checks(tree)
    ]
    blocks: list[Block] = [CheckList(checks)]
    if len(frame):
        blocks.append(
            Table(
                "nuisance",
                frame,
                "What had to be assumed because it is not printed (posterior)",
                (
                    Text("parameter", "Parameter"),
                    Number("mean", "Mean", 2),
                    Number("lower", "2.5 %", 2),
                    Number("upper", "97.5 %", 2),
                ),
            )
        )
    failed = sum(check.passed is False for check in checks)
    lead = f"{failed} of {len(checks)} checks of the sampler failed." if failed else f"The sampler worked: all {len(checks)} checks passed."
    return Section("model-checks", "Checks of the model", lead, tuple(blocks))


def _methods(published: Published) -> Section:
    attrs = published.tree.attrs
    low, high = published.later.respondents if published.later else (0, 0)
    text = (
        "Support was estimated from the printed means of both arms of a list experiment (Blair & Imai 2012; J = "
        f"{published.table.J}, N = {published.table.N}). The printed digits stand for the interval they were rounded from. "
        "Variances are not printed: the control variance is the binomial's at the same mean times a ratio whose prior was "
        "fitted to 13 public lists, and the treatment arm adds the variance of the trait and a small covariance. Arms are "
        "random halves of N times the share. Groups of one variable cohere with the total through their shares, and no "
        "respondent counts twice. The prevalence has a uniform prior and stays between 0 and 1. The posterior was sampled by "
        "the no-U-turn sampler; convergence was judged by R-hat and effective sample size (Vehtari et al. 2021)."
        + (f" The later wave has between {low} and {high} respondents." if published.later else "")
    )
    versions = json.loads(attrs["versions"]) if "versions" in attrs else {}
    return Section(
        "methods",
        "Methods and reproduction",
        "Ready to paste; every number above is computed by the command below.",
        (
            Code("Methods paragraph, to paste", text),
            Code("References", "\n".join(REFERENCES[key] for key in ("blair_imai_2012", "vehtari_2021")), "bibtex"),
            Code("To reproduce", published.command, "sh"),
            Items(tuple(f"{k} {v}" for k, v in versions.items()) or ("see fit.nc",)),
        ),
    )
