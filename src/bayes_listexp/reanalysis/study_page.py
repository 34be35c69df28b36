"""The page of one re-analysed study: estimates by group, answers by arm, what was printed, checks, sources."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bayes_listexp import figures, predictive
from bayes_listexp.checks import Check
from bayes_listexp.exclusions import kept
from bayes_listexp.importance import Approximation
from bayes_listexp.reanalysis.analysis import Reanalysis
from bayes_listexp.reanalysis.known import EVERYBODY, PrintedEstimate
from bayes_listexp.report import (
    Block,
    CheckList,
    Code,
    Facts,
    Items,
    Link,
    Links,
    Paragraph,
    Report,
    Section,
    Subheading,
    figure,
)
from bayes_listexp.stored import fact
from bayes_listexp.survey_report import replicated_by_arm
from bayes_listexp.tables import Interval, Number, Percent, Points, Table, Text, interval, percent

HOW = {
    "nuts": "The posterior was sampled (NUTS).",
    "map": "A quick look: draws around each posterior mode, corrected by importance weights where these can be relied on, as each page "
    "says; no sampled posteriors. Fit again with --method nuts to publish.",
}
GROUPS = {"all": "Everybody", "group": "Group", "direct": "Answer to the direct question"}


FAILED = {
    "floor and ceiling": "many answers at an edge of the list, where they give people away",
    "no design effect": "control items answered otherwise on the longer list",
    "no design effect (Bayes)": "the answers speak for a design effect",
    "specification": "model and difference in means disagree",
    "arm sizes": "the arms are not as large as planned",
    "balance": "the arms are not alike",
    "dispersion": "the control counts do not vary",
    "possible differences": "a difference in means that no share can be",
    "placebo test I": "the list misses some who say yes directly",
    "placebo test II": "the list moved the direct answers",
    "answers predicted": "the model does not reproduce the answers",
    "groups predicted": "the model does not reproduce a group's mean",
    "influential respondents": "the result hangs on single respondents",
}
"""What it means that a check failed, in a few words."""
BACK = Links((Link("All studies of the gallery", "../index.html"),))


def study_page(found: Reanalysis, command: str = "") -> Report:
    """Everything about one study; render it with :func:`bayes_listexp.render_report`."""
    failed = [check.text for check in found.checks if check.passed is False and check.topic == "The sampler" and check.name != "sampling"]
    return Report(
        title=found.known.title,
        subtitle=found.known.sensitive_item[:1].upper() + found.known.sensitive_item[1:],
        headline=headline(found),
        sections=(_data(found), _estimates(found), _printed(found), _checks(found), _methods(found, command)),
        alarm="The sampler did not converge. " + " ".join(failed) if failed else None,
        facts=(("Seed", str(fact(found.tree, "arguments")["seed"])), ("Counts (SHA-256)", str(found.study.source["sha256"]))),
    )


def _how(found: Reanalysis) -> str:
    """How the posterior of a study was come by."""
    told = Approximation.of(found.tree)
    return HOW["nuts"] if told is None else f"A quick look. {told.words()} Fit again with --method nuts to publish."


def headline(found: Reanalysis) -> str:
    """The result in one sentence: posterior, difference in means, and what was printed of everybody."""
    row = found.everybody
    text = (
        f"The model puts the share at {percent(row['median'])} ({interval(row['lower'], row['upper'])} with probability 95 %); the "
        f"difference in means, without a model, is {percent(row['dim'])} ({interval(row['dim_lower'], row['dim_upper'])})"
    )
    whole = [p for p in found.printed if p.of == EVERYBODY]
    if whole:
        text += "; printed: " + ", ".join(f"{percent(p.estimate.value, 1)} ({p.what}, {p.by})" for p in whole)
    return f"{text}."


def printed_table(printed: Sequence[PrintedEstimate], ours: Mapping[str, float]) -> Table:
    """Printed estimates, one row each, beside the same estimator on these counts."""
    rows = [
        (p.what, "everybody" if p.of == EVERYBODY else p.of, p.n or np.nan, p.estimate.value, p.se.value if p.se else np.nan,
         ours.get(p.what, np.nan), f"{p.by}, {p.place.rpartition(': ')[2]}", p.place)
        for p in printed
    ]
    names = ["what", "of", "n", "estimate", "se", "ours", "source", "place"]
    columns = (
        Text("what", "Estimate"), Text("of", "Of whom"), Number("n", "n"), Percent("estimate", "Printed", 1),
        Points("se", "s.e., points", 1, signed=False), Percent("ours", "From these counts", 1), Text("source", "Printed by"),
    )  # fmt: skip
    frame = pd.DataFrame(rows, columns=names)
    shown = tuple(column for column in columns if frame[column.column].notna().any())
    places = "; ".join(dict.fromkeys(f"{p.by}: {p.place.rpartition(': ')[0]}" for p in printed))
    caption = "Printed estimates, and the same estimators on these counts"
    return Table("printed", frame, caption, shown, f"{places}.")


def _data(found: Reanalysis) -> Section:
    study, known = found.study, found.known
    row = found.everybody
    facts = [("Sensitive item", known.sensitive_item), ("Asked of", known.sample or "not known"), ("Control items (J)", str(study.J)),
             ("Respondents", f"{int(row['n_control'] + row['n_treatment']):,}: {int(row['n_control']):,} in the control arm, "
                             f"{int(row['n_treatment']):,} in the treatment arm"),
             ("Direct question", "asked of everybody" if found.asked is not None else "none in this table")]  # fmt: skip
    if not found.groups.empty and (found.groups["group"] == "group").any():
        facts.append(("Groups", ", ".join(found.groups.loc[found.groups["group"] == "group", "level"])))
    observed, replicated = found.tree["observed_data"].to_dataset(), found.tree["posterior_predictive"].to_dataset()
    counts = predictive.answers_by_arm(observed, replicated)
    fig = figures.answers_by_arm(counts, replicated_by_arm(replicated), title="Answers by arm",
                                 subtitle="observed shares, and what the fitted model predicts")  # fmt: skip
    caption = "Answers by arm: bars observed, points and intervals replicated by the model (95 %)."
    answers = counts.pivot(index="answer", columns="arm", values="n").reset_index()
    columns = (Text("answer", "Number of items"), Number("control", "Control arm"), Number("treatment", "Treatment arm"))
    blocks: tuple[Block, ...] = (
        BACK,
        Facts(tuple(facts)),
        figure(fig, name="answers", synthetic=False, caption=caption),
        Table("answers", answers[["answer", "control", "treatment"]], "Respondents by answer and arm", columns),
        _exclusions(found),
    )
    return Section("data", "What was asked, and answered", "The counts as published; there are no weights in them.", blocks)


def _exclusions(found: Reanalysis) -> Block:
    study = found.asked or found.study
    left_out = study.exclusions[~kept(study.exclusions)] if len(study.exclusions) else study.exclusions
    left_out = left_out[(left_out[["control", "treatment"]].sum(axis=1) > 0)] if len(left_out) else left_out
    if left_out.empty:
        return Paragraph("Nobody was left out here. Whom the authors left out before they counted, this table cannot say.")
    return Table("exclusions", left_out, "Left out")


def _estimates(found: Reanalysis) -> Section:
    rows = figure_rows(found)
    fig = figures.published_support(rows, title=found.known.title, subtitle=found.known.sensitive_item, label="Share, %", of_counts=True)
    caption = "Posterior and difference in means; the latter is not cut off at 0 or 100 %."
    shown = pd.concat([found.everybody.to_frame().T, found.groups], ignore_index=True)
    shown["what"] = [GROUPS[group] if group == "all" else f"{GROUPS[group]}: {level}" for group, level in
                     zip(shown["group"], shown["level"], strict=True)]  # fmt: skip
    columns = (
        Text("what", "Group"), Percent("median", "Posterior", 1), Interval("lower", "upper", "95 % interval", 1),
        Percent("dim", "Difference in means", 1), Interval("dim_lower", "dim_upper", "its 95 % interval", 1),
        Number("n_control", "n, control"), Number("n_treatment", "n, treatment"),
    )  # fmt: skip
    blocks: list[Block] = [figure(fig, name="estimates", synthetic=False, caption=caption),
                           Table("estimates", shown.infer_objects(), "Estimates by group", columns)]  # fmt: skip
    if not found.groups.empty and (found.groups["group"] == "direct").any():
        share = f" {percent(found.ours['direct question'], 1)} say yes when asked directly." if "direct question" in found.ours else ""
        blocks.append(Paragraph(
            f"By the answer to the direct question: what the list alone says of those who said no and of those who said yes.{share} If all "
            "who say yes mean it, their share is 100 %; a share above 0 among those who say no is what the list brings to light."
        ))  # fmt: skip
    lead = f"Posterior median with the interval that holds 95 % of the posterior. {_how(found)}"
    return Section("estimates", "Estimates", lead, tuple(blocks))


def figure_rows(found: Reanalysis) -> pd.DataFrame:
    """Everybody and the groups as :func:`bayes_listexp.figures.published_support` takes them."""
    rows = pd.concat([found.everybody.to_frame().T, found.groups], ignore_index=True)
    printed = [p.estimate.value for p in found.printed if p.of == EVERYBODY]
    return rows.assign(
        group=rows["group"].map(GROUPS),
        level=np.where(rows["group"] == "all", GROUPS["all"], rows["level"]),
        printed=[printed[0] if group == "all" and printed else np.nan for group in rows["group"]],
        used="", flag="",
    ).infer_objects()  # fmt: skip


def _printed(found: Reanalysis) -> Section:
    blocks: list[Block] = []
    if found.printed:
        blocks.append(printed_table(found.printed, found.ours))
    blocks += [Paragraph(found.known.note)] if found.known.note else []
    row = found.everybody
    lead = "No printed estimate is known to us, and none is guessed." if not found.printed else (
        f"Each printed number beside the same estimator on these counts. Our posterior for everybody is {percent(row['median'], 1)} "
        f"({interval(row['lower'], row['upper'], 1)}).")
    return Section("printed", "What was printed", lead, tuple(blocks))


def _checks(found: Reanalysis) -> Section:
    failed = [check for check in found.checks if check.passed is False]
    blocks: list[Block] = []
    if failed:
        todo = Items(tuple(f"{check.name}: {check.advice}" for check in failed if check.advice))
        blocks += [Subheading("What failed, and what to do"), CheckList(failed), *([todo] if todo.texts else [])]
    for topic in dict.fromkeys(check.topic for check in found.checks):
        rest = [check for check in found.checks if check.topic == topic and check.passed is not False]
        blocks += [Subheading(topic), CheckList(rest)] if rest else []
    return Section("checks", "Checks", f"Of the design before any model, then of the fit. In a word: {worst(found.checks)}.", tuple(blocks))


def worst(checks: Sequence[Check]) -> str:
    """The worst of the checks in a few words: the failed test with the smallest p, else another that failed, else none."""
    failed = [check for check in checks if check.passed is False and check.name != "sampling"]
    if not failed:
        return f"none of {len(checks)} checks failed"
    first = min(failed, key=lambda check: 1.0 if check.p is None else check.p)
    p = "" if first.p is None else f" (p {'< 0.001' if first.p < 0.001 else f'= {first.p:.2g}'})"
    more = f"; {len(failed) - 1} more failed" if len(failed) > 1 else ""
    return f"{FAILED.get(first.name, f'{first.name} failed')}{p}{more}"


def _methods(found: Reanalysis, command: str) -> Section:
    specification = fact(found.tree, "specification")
    text = (
        f"The list has J = {found.study.J} control items. The trait's prevalence has the formula {specification['trait']}; respondents "
        "answer truthfully; the number of control items that apply has any distribution (a softmax) whose predictor has the same formula "
        "and is shifted by the trait, with the package's default priors. The difference in means is the mean answer of the treatment arm "
        "minus that of the control arm, with a normal interval from the variances of both. " + _how(found)
    )
    blocks: list[Block] = [Code("Methods paragraph, to paste", text)]
    blocks += [Code("To reproduce", command, "sh")] if command else []
    blocks.append(Items(tuple(source.strip() for source in found.known.source.split(";") if source.strip()) or ("source not given",)))
    blocks.append(Items(tuple(f"{name} {version}" for name, version in json.loads(found.tree.attrs["versions"]).items())))
    return Section("methods", "Methods, sources and reproduction", "Ready to paste.", tuple(blocks))
