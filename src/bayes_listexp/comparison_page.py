"""The report on several fits side by side: of one study under several models, or of several studies. Needs nothing but stored fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, report_text, stored
from bayes_listexp.checks import Check, converged, fit_checks
from bayes_listexp.comparison import compare
from bayes_listexp.errors import InputError
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.regression_tables import regression_table
from bayes_listexp.report import Block, Code, Items, Paragraph, Report, Section, Warn, figure
from bayes_listexp.survey_results import identifier
from bayes_listexp.tables import Interval, Number, Percent, Points, Table, Text, interval, percent

LEVELS = 8
"""Columns with more levels are not shown unless they are named."""
GRID = (np.arange(400) + 0.5) / 400
"""Quantiles that stand for a posterior where draws of two fits are paired: 160,000 pairs."""
SHORT = 12
"""Characters of a hash that tell fits apart."""
OUTCOMES = {True: "passed", False: "failed", None: "information"}


def comparison_report(
    trees: Mapping[str, xr.DataTree], *, by: Sequence[str] | None = None, title: str = "Fits side by side", command: str = ""
) -> Report:
    """Fits side by side: support, differences, coefficients and checks; render it with :func:`bayes_listexp.render_report`.

    Parameters
    ----------
    trees : two or more fits of :func:`bayes_listexp.fit`, by the names that they have on the page.
    by : columns to show support by; by default those that all fits have, with at most eight levels.
    title : of the page.
    command : what repeats it, to be shown.

    Fits of the same data are compared by leave-one-out cross-validation; fits of different data never are, and the page says so. Between
    studies the difference of support has an interval, which takes them to be independent: no respondent is in both.

    Raises
    ------
    InputError : fewer than two fits, one without a posterior or of a published table, or a column that a fit does not have.
    """
    _check(trees, by)
    shared = _shared(trees) if by is None else list(by)
    studies = same_data(trees)
    sections = [_fits(trees, studies), _support(trees, shared)]
    sections += [_between(trees, studies)] if len(studies) > 1 else []
    sections += [_prediction(trees, studies), _coefficients(trees), _checks(trees), _reproduction(trees, command)]
    doubtful = [name for name, tree in trees.items() if not converged(tree)]
    return Report(
        title=title,
        subtitle=f"{len(trees)} fits of {'one study' if len(studies) == 1 else f'{len(studies)} studies'}",
        headline=_headline(trees, studies),
        sections=tuple(sections),
        synthetic=any(tree.attrs["synthetic"] for tree in trees.values()),
        alarm=f"These fits must not be published as they are: {', '.join(doubtful)}. The checks below say why." if doubtful else None,
    )


def same_data(trees: Mapping[str, xr.DataTree]) -> list[list[str]]:
    """The names of the fits, those of the same data together."""
    found: dict[str, list[str]] = {}
    for name, tree in trees.items():
        found.setdefault(stored.fact(tree, "source")["sha256"], []).append(name)
    return list(found.values())


def _check(trees: Mapping[str, xr.DataTree], by: Sequence[str] | None) -> None:
    if len(trees) < 2:
        raise InputError("a comparison needs two fits or more.")
    for name, tree in trees.items():
        if "specification" not in tree.attrs:
            raise InputError(f"'{name}' is no fit of a survey (published tables have no coefficients); leave it out.")
        if "posterior" not in tree.children:
            raise InputError(f"'{name}' has no posterior: its maximum lies at infinity. Fit with priors.")
        columns = list(stored.blueprint_of(tree).cells.frame.columns)
        if absent := [column for column in by or () if column not in columns]:
            raise InputError(f"by: '{name}' has no column '{absent[0]}'; it has: {', '.join(columns)}. Name it in `groups` when fitting.")


def _shared(trees: Mapping[str, xr.DataTree]) -> list[str]:
    """The columns of groups that all fits have."""
    frames = [stored.blueprint_of(tree).cells.frame for tree in trees.values()]
    return [str(name) for name in frames[0].columns if all(name in frame and 1 < frame[name].nunique() <= LEVELS for frame in frames)]


def _headline(trees: Mapping[str, xr.DataTree], studies: Sequence[Sequence[str]]) -> str:
    rows = {name: _summary(tree) for name, tree in trees.items()}
    if len(studies) > 1:
        said = [f"{percent(row['median'])} in {name} ({interval(row['lower'], row['upper'])})" for name, row in rows.items()]
        return f"Support is {', '.join(said)}, each with probability 95 %."
    low, high = min(rows, key=lambda name: rows[name]["median"]), max(rows, key=lambda name: rows[name]["median"])
    spread = 100 * (rows[high]["median"] - rows[low]["median"])
    return (f"Support for {next(iter(trees.values())).attrs['sensitive_item']} is between {percent(rows[low]['median'])} ({low}) and "
            f"{percent(rows[high]['median'])} ({high}), depending on the model: {spread:.0f} points apart, while a single model's "
            f"95 % interval is {_width(rows):.0f} points wide.")


def _summary(tree: xr.DataTree) -> pd.Series:
    return estimates.summarise(estimates.prevalence(tree)).iloc[0]


def _width(rows: Mapping[str, pd.Series]) -> float:
    """The median width of the fits' intervals, in points."""
    return 100 * float(np.median([row["upper"] - row["lower"] for row in rows.values()]))


def _fits(trees: Mapping[str, xr.DataTree], studies: Sequence[Sequence[str]]) -> Section:
    rows = []
    for name, tree in trees.items():
        model = stored.fact(tree, "specification")
        rows.append({
            "fit": name,
            "study": stored.fact(tree, "source")["name"],
            "item": tree.attrs["sensitive_item"],
            "n": int(tree["observed_data"]["pattern_n"].sum()),
            "trait": model["trait"],
            "answers": model["response"].replace("_", " "),
            "counts": model["counts"].replace("_", " "),
        })
    columns = (Text("fit", "Fit"), Text("study", "Study"), Text("item", "Sensitive item"), Number("n", "Respondents"),
               Text("answers", "Answers"), Text("counts", "Control counts"), Text("trait", "Trait"))
    blocks: list[Block] = [Table("fits", pd.DataFrame(rows), "What is compared", columns)]
    if any(tree.attrs["synthetic"] for tree in trees.values()):
        blocks.insert(0, Warn("Some of these data are simulated. They are no evidence on opinion."))
    lead = ("All fits are of the same data, so they differ by what they assume and by nothing else." if len(studies) == 1 else
            "The fits are of different data, so they differ by who was asked, when and what, besides what they assume.")
    return Section("fits", "What is compared", lead, tuple(blocks))


def _support(trees: Mapping[str, xr.DataTree], by: Sequence[str]) -> Section:
    rows = [{"model": name, "population": estimates.prevalence(tree).attrs["population"], **_summary(tree)}
            for name, tree in trees.items()]
    frame = pd.DataFrame(rows)
    drawn = figures.robustness(frame.rename(columns={"median": "estimate"}), sort=False, title="Support in every fit",
                               subtitle="posterior median and 95 % interval")
    columns = (Text("model", "Fit"), Percent("median", "Support", 1), Interval("lower", "upper", "95 % interval", 1),
               Text("population", "Averaged over"))
    blocks: list[Block] = [
        figure(drawn, name="support", caption="Support in every fit, everybody together.",
               synthetic=any(tree.attrs["synthetic"] for tree in trees.values())),
        Table("support", frame, "Support, everybody together", columns),
        *(_by_group(trees, column) for column in by),
    ]
    if len(set(frame["population"])) > 1:
        blocks.insert(2, Warn("The fits average over different populations, as the table says, so part of a difference may be theirs."))
    lead = ("The share who hold the trait in each fit: half of the posterior draws lie above the number, and 95 % of them in the "
            "interval.")
    return Section("support", "Support", lead, tuple(blocks))


def _by_group(trees: Mapping[str, xr.DataTree], column: str) -> Table:
    """Support by the levels of one column, the fits side by side; a level that a fit does not have is a dash."""
    parts: list[pd.DataFrame] = []
    columns: list[Any] = []
    for i, (name, tree) in enumerate(trees.items()):
        rows = estimates.summarise(estimates.prevalence(tree, by=column))
        index = pd.Index(rows[column].astype(str), name="level")
        parts.append(rows[["median", "lower", "upper"]].set_axis(index).add_suffix(f" {i + 1}"))
        columns += [Percent(f"median {i + 1}", name), Interval(f"lower {i + 1}", f"upper {i + 1}", "95 % interval")]
    wide = pd.concat(parts, axis=1).reset_index()
    return Table(f"support-{identifier(column)}", wide, f"Support by {column}", (Text("level", column.capitalize()), *columns))


def _between(trees: Mapping[str, xr.DataTree], studies: Sequence[Sequence[str]]) -> Section:
    """Differences of support between the studies, each by its first fit."""
    rows = []
    for one, other in combinations([names[0] for names in studies], 2):
        low, median, high, above = difference_of_fits(trees[one], trees[other])
        rows.append({"pair": f"{other} minus {one}", "median": median, "lower": low, "upper": high, "p_above": above,
                     "higher": probability_words(above)})
    columns = (Text("pair", "Studies"), Points("median", "Difference", 1), Interval("lower", "upper", "95 % interval", 1, points=True),
               Text("higher", "P(the first is higher)"))
    note = "In percentage points. Studies are taken to be independent: with respondents in common the intervals are too wide."
    lead = "How far support in one study lies above or below that in another, with the uncertainty of both."
    return Section("between", "Between the studies", lead, (Table("between", pd.DataFrame(rows), "Differences of support", columns, note),))


def difference_of_fits(first: xr.DataTree, second: xr.DataTree) -> tuple[float, float, float, float]:
    """Support in the second fit minus that in the first, the fits being independent: 2.5 %, 50 %, 97.5 % quantile and P(above 0).

    Every draw of the one is as credible beside each draw of the other, so all pairs of 400 quantiles of each count alike.
    """
    one, other = (np.quantile(estimates.prevalence(tree).to_numpy().ravel(), GRID) for tree in (first, second))
    pairs = (other[:, None] - one[None, :]).ravel()
    low, median, high = np.quantile(pairs, [0.025, 0.5, 0.975])
    return float(low), float(median), float(high), float((pairs > 0).mean())


def _prediction(trees: Mapping[str, xr.DataTree], studies: Sequence[Sequence[str]]) -> Section:
    """Leave-one-out comparisons within each study, and why there is none across."""
    blocks: list[Block] = []
    columns = (Text("model", "Fit"), Number("elpd", "LOO elpd", 1), Number("elpd_diff", "Difference to the best", 1),
               Number("dse", "its s.e.", 1), Number("weight", "Stacking weight", 2), Number("bad_k", "High Pareto k"))
    for i, names in enumerate(studies):
        if len(names) < 2:
            continue
        try:
            scores = compare({name: trees[name] for name in names})
        except InputError as error:
            blocks.append(Paragraph(f"{', '.join(names)}: not compared. {str(error).removeprefix('compare: ')}"))
            continue
        name = "prediction" if len(studies) == 1 else f"prediction-{i + 1}"
        study = f": {stored.fact(trees[names[0]], 'source')['name']}" if len(studies) > 1 else ""
        blocks += [Paragraph(_in_words(scores)), Table(name, scores, f"Leave-one-out comparison{study}", columns)]
    if len(studies) > 1:
        groups = "; ".join(", ".join(names) for names in studies)
        blocks.append(Warn("Fits of different data are not compared by prediction, because they predict different answers. Of the "
                           f"same data are: {groups}."))
    lead = "Which model predicts the answer of a respondent that it has not seen (leave-one-out cross-validation)."
    return Section("prediction", "Which model predicts better", lead, tuple(blocks))


def _in_words(scores: pd.DataFrame) -> str:
    best, second = scores.iloc[0], scores.iloc[1]
    behind, se = -float(second["elpd_diff"]), float(second["dse"])
    if behind < 4:
        return (f"{best['model']} and {second['model']} predict the answers about equally well ({behind:.1f} apart, s.e. {se:.1f}): the "
                "data do not choose between them.")
    verdict = "clearly better than" if behind > 2 * se else "better than, though within the noise of,"
    return f"{best['model']} predicts the answers {verdict} {second['model']}: by {behind:.1f} (s.e. {se:.1f})."


def _coefficients(trees: Mapping[str, xr.DataTree]) -> Section:
    lead = "The regressions as journals print them: one column a fit, one row a term."
    return Section("coefficients", "Coefficients", lead, (regression_table(trees, name="coefficients"),))


def _checks(trees: Mapping[str, xr.DataTree]) -> Section:
    found = {name: fit_checks(tree) for name, tree in trees.items()}
    names = list(dict.fromkeys(check.name for checks in found.values() for check in checks))
    outcome = {fit: {check.name: OUTCOMES[check.passed] for check in checks} for fit, checks in found.items()}
    rows = [{"check": check, **{f"fit {i + 1}": outcome[fit].get(check, "not done") for i, fit in enumerate(trees)}} for check in names]
    columns = (Text("check", "Check"), *(Text(f"fit {i + 1}", fit) for i, fit in enumerate(trees)))
    failed = tuple(_said(fit, check) for fit, checks in found.items() for check in checks if check.passed is False)
    blocks: list[Any] = [Items(failed) if failed else Paragraph("No check failed in any fit."),
                         Table("checks", pd.DataFrame(rows), "Checks of the fits", columns)]
    return Section("checks", "Checks", "Whether the samplers worked and whether the models reproduce the answers.", tuple(blocks))


def _said(fit: str, check: Check) -> str:
    return f"{fit}: {' '.join(part for part in (check.text, check.advice) if part)}"


def _reproduction(trees: Mapping[str, xr.DataTree], command: str) -> Section:
    facts = pd.DataFrame([{"fit": name, **dict(report_text.provenance(tree)[:3])} for name, tree in trees.items()])
    hashes = [column for column in facts if "SHA" in column]
    facts = facts.assign(**{column: facts[column].str[:SHORT] for column in hashes})
    columns = (Text("fit", "Fit"), Text("Seed", "Seed"), *(Text(column, column) for column in hashes))
    note = f"Hashes by their first {SHORT} characters; the stored fits have them whole."
    blocks: list[Block] = [Table("provenance", facts, "Seeds and hashes", columns, note)]
    blocks += [Code("To reproduce", command, "sh")] if command else []
    blocks.append(Code("Methods paragraph of the first fit, to paste", report_text.methods_paragraph(next(iter(trees.values())))))
    return Section("reproduction", "Methods and reproduction", "What the numbers rest on.", tuple(blocks))
