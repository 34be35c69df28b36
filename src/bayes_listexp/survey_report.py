"""The report on a fitted survey: which sections, figures and tables, in which words. Computes by `estimates` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, predictive, report_text, stored
from bayes_listexp.cells import ARMS, Cells
from bayes_listexp.changes import change_summary
from bayes_listexp.checks import converged, design_checks, fit_checks
from bayes_listexp.checks.predicted import prior_and_data
from bayes_listexp.checks_report import design_figures
from bayes_listexp.comparison import compare, left_out, loo
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.exclusions import EXCLUSION_COLUMNS, KEPT, MODELLED
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument import parameters_of
from bayes_listexp.instrument_text import instrument_title
from bayes_listexp.persons import are_followed
from bayes_listexp.report import Block, CheckList, Code, Facts, Items, Paragraph, Report, Section, Warn, figure
from bayes_listexp.sensitivity import contraction, power_scaling
from bayes_listexp.survey_changes import change_section, in_words
from bayes_listexp.survey_course import course_section, has_course
from bayes_listexp.survey_design import PERSON
from bayes_listexp.survey_instruments import instrument_sections
from bayes_listexp.survey_maps import map_sections
from bayes_listexp.survey_pooling import pooling_section
from bayes_listexp.survey_population import population_blocks, population_facts
from bayes_listexp.survey_reading import explorer_section, reading_section
from bayes_listexp.survey_results import Survey, headline, identifier, support_section
from bayes_listexp.survey_weights import weight_facts, weight_sections
from bayes_listexp.survey_without_model import without_model_section
from bayes_listexp.tables import Interval, Number, Points, Table, Text


def survey_report(survey: Survey) -> Report:
    """The whole report as records; render it with :func:`bayes_listexp.render_report`."""
    sections = [reading_section(survey), _data(survey), _design(survey)]
    sections += [course_section(survey)] if has_course(survey) else []
    pooled = pooling_section(survey)
    alone = without_model_section(survey)
    sections += [support_section(survey), explorer_section(survey), *([alone] if alone else [])]
    sections += [*weight_sections(survey), *([pooled] if pooled else [])]
    sections += [change_section(survey)] if survey.waves else []
    sections += map_sections(survey)
    sections += [*instrument_sections(survey), _model(survey)]
    sections += [_robustness(survey)] if survey.alternatives else []
    sections += [_priors(survey), _methods(survey)]
    return Report(
        title=survey.title,
        subtitle=f"List experiment on {survey.study.sensitive_item}",
        headline=headline(survey),
        sections=tuple(sections),
        synthetic=survey.study.synthetic,
        alarm=_alarm(survey),
        facts=report_text.provenance(survey.tree),
    )


def _alarm(survey: Survey) -> str | None:
    if converged(survey.tree):
        return None
    failed = [check.text for check in fit_checks(survey.tree) if check.passed is False]
    return "This fit must not be published as it is. " + " ".join(failed)


def _data(survey: Survey) -> Section:
    study, cells = survey.study, stored.blueprint_of(survey.tree).cells
    arms, unlisted = _sizes(cells)
    listed = ", ".join([*(f"{size:,} {arm}" for arm, size in arms.items()), *[f"{unlisted:,} without list answer"] * bool(unlisted)])
    pairs = [
        ("Source", str(study.source["name"])),
        ("Rows read", f"{study.source['rows']:,}"),
        ("Respondents analysed", f"{sum(arms.values()) + unlisted:,} ({listed})"),
        ("Control items (J)", ", ".join(f"{J} in list version {label}" for label, J in study.lists.items()) or str(study.J)),
        ("Sensitive item", study.sensitive_item),
        ("Waves", ", ".join(w if w in study.interviewed else f"{w} (known from elsewhere)" for w in study.waves) or "one"),
        *_same_people(study),
        *weight_facts(survey),
        ("Cells (distinct covariate rows)", f"{len(cells.frame):,}"),
    ]
    unused = cells.exclusions.reindex(columns=EXCLUSION_COLUMNS)
    kept, modelled = (unused["reason"].astype(str).str.endswith(ending) for ending in (KEPT, MODELLED))
    excluded = unused[~kept & ~modelled]
    blocks: list[Block] = [Facts((*pairs, *population_facts(survey), *_beside_the_list(survey, unused[kept])))]
    if len(excluded):
        blocks.append(_by_arm("exclusions", excluded, "Excluded respondents", ""))
    if modelled.any():
        note = ("They are in the model and in its estimates, at every level they may have. A level is taken to be missing at random "
                "given the other covariates; its share is that of respondents who lack nothing, and held fixed, so that intervals do "
                "not hold its error.")
        blocks.append(_by_arm("modelled", unused[modelled], "Respondents kept although a covariate is missing", note))
    blocks += population_blocks(survey, cells)
    lead = "Every respondent read is either analysed or listed here with the reason for leaving them out."
    if survey.study.synthetic:
        blocks.insert(
            0,
            Warn("These data are simulated. They show what such a survey could say; they are no evidence on opinion."),
        )
    return Section("data", "Data", lead, tuple(blocks))


def _same_people(study: ListExperiment) -> list[tuple[str, str]]:
    """How many people answered in several waves, for the facts on the data."""
    if not are_followed(study):
        return []
    answers = study.table[PERSON].value_counts()
    return [("People asked in several waves", f"{int((answers > 1).sum()):,} of {len(answers):,}")]


def _sizes(cells: Cells) -> tuple[dict[str, int], int]:
    """Respondents by arm, and those without an answer to the list, whether their cell is known or not."""
    arms, unlisted = {arm: int(answers.sum()) for arm, answers in cells.answers.items()}, int(np.sum(cells.unlisted))
    if cells.incomplete is None:
        return arms, unlisted
    seen = cells.incomplete.seen
    return ({arm: n + int(seen.n[seen.arm == ARMS.index(arm)].sum()) for arm, n in arms.items()},
            unlisted + int(seen.n[seen.arm < 0].sum()))


def _by_arm(name: str, rows: pd.DataFrame, title: str, note: str) -> Table:
    """A part of a table of exclusions, counted by arm."""
    total = int(rows[["control", "treatment", "arm unknown"]].to_numpy().sum())
    frame = rows.assign(reason=rows["reason"] + ": " + rows["column"])
    columns = (Text("reason", "Reason"), Number("control", "Control arm"), Number("treatment", "Treatment arm"),
               Number("arm unknown", "Arm unknown"))
    return Table(name, frame, f"{title} ({total:,} in all), each under the first reason that applies", columns, note)


def _beside_the_list(survey: Survey, kept: pd.DataFrame) -> list[tuple[str, str]]:
    """The instruments, who was kept for them without an answer to the list, and with several items who saw which."""
    study, tables = survey.study, stored.fact(survey.tree, "instruments")
    out = [(instrument_title(tables[i.name]["kind"], i.name), f"column {', '.join(i.columns)}") for i in study.instruments]
    for _, row in kept.iterrows():
        n = int(row[["control", "treatment", "arm unknown"]].sum())
        out.append((f"Kept for these, {row['reason'].removesuffix(KEPT)} ({row['column']})", f"{n:,} respondents"))
    if study.item is not None:
        shown = study.listed[study.listed["_treated"]].groupby(study.item, observed=False)["_n"].sum()
        out.append(("Treatment lists", ", ".join(f"{item} ({n:,})" for item, n in shown.items())))
    return out


def _design(survey: Survey) -> Section:
    chosen = stored.blueprint_of(survey.tree).specification
    compared = [c for c in survey.by if c in survey.study.covariates]
    checks = design_checks(survey.study, compared, person=chosen.person, counts=chosen.counts, **survey.checks)
    return Section(
        "design",
        "Checks of the design",
        "What the data say about the assumptions, before any model.",
        (CheckList(checks), *(drawn for figures_of in design_figures(survey.study, compared).values() for drawn in figures_of)),
    )


def _model(survey: Survey) -> Section:
    tree = survey.tree
    observed, replicated = tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset()
    counts = predictive.answers_by_arm(observed, replicated)
    counts = counts[counts.groupby("arm")["n"].transform("sum") > 0]
    versions = list(dict.fromkeys(counts["version"])) if "version" in counts else [""]
    result = loo(tree)
    whom = "Respondents" if stored.persons_in(tree) is None else "Persons"
    facts = Facts(
        (
            ("LOO: expected log predictive density", f"{_number(result.elpd)} (s.e. {result.se:.1f})"),
            ("Effective number of parameters", f"{result.p:.1f}"),
            (f"{whom} with a high Pareto k", f"{_bad_k(tree, result):,} of {result.n_data_points:,}"),
        )
    )
    blocks: tuple[Block, ...] = (
        Facts(report_text.model_words(tree)),
        _coefficients(tree),
        CheckList(fit_checks(tree)),
        *(_answers_figure(survey, counts, replicated, version) for version in versions),
        facts,
    )
    return Section(
        "model-checks",
        "Checks of the model",
        "What was assumed, whether the sampler worked and whether the model reproduces the answers.",
        blocks,
    )


def _answers_figure(survey: Survey, counts: pd.DataFrame, replicated: xr.Dataset, version: str) -> Block:
    """Observed and replicated answers by arm, of those who were shown one list version ("" where there is one list)."""
    tables = {name: f"answer_{arm}" for label, arm, name in predictive.tables_of_answers(replicated) if label == version}
    own = replicated[list(tables)].rename(tables)
    of_version = f", list version {version}" if version else ""
    fig = figures.answers_by_arm(
        counts[counts["version"] == version] if version else counts,
        _replicated(own.rename({dim: str(dim).removesuffix(f"_{version}") for dim in own.dims}) if version else own),
        title=f"Answers by arm{of_version}",
        subtitle="observed shares, and what the fitted model predicts",
    )
    caption = f"Answers by arm{of_version}: bars observed, points and intervals replicated (95 %)."
    name = f"answers-{identifier(version)}" if version else "answers"
    return figure(fig, name=name, synthetic=survey.study.synthetic, caption=caption)


def _coefficients(tree: xr.DataTree) -> Table:
    """The regression table: coefficients of every sub-model on the formula's own scale, and the shift of the counts."""
    posterior = tree["posterior"].to_dataset()
    parts = []
    plan = stored.blueprint_of(tree)
    designs = [name for name in plan.designs if f"{name}_term" in posterior.dims]
    shifts = [name for part in plan.parts if (name := part.own("control_shift")) in posterior]
    for name in [*designs, *shifts]:
        rows = estimates.summarise(posterior[name])
        rows["term"] = rows.get(f"{name}_term", "shift with the trait")
        parts.append(rows.assign(part=str(name).removesuffix("_shift").replace("_", " ")))
    for instrument in plan.instruments:
        for name in parameters_of(instrument):
            rows = estimates.summarise(posterior[name])
            own = name.removeprefix(f"{instrument.name}_").replace("_", " ")
            terms = [own] if len(rows) == 1 else [f"{own} {i + 1}" for i in range(len(rows))]
            parts.append(rows.assign(term=terms, part=instrument.name.replace("_", " ")))
    frame = pd.concat(parts, ignore_index=True)
    columns = (
        Text("part", "Sub-model"),
        Text("term", "Term"),
        Number("mean", "Mean", 2),
        Number("sd", "sd", 2),
        Number("lower", "2.5 %", 2),
        Number("upper", "97.5 %", 2),
    )
    return Table(
        "coefficients",
        frame,
        "Coefficients (logit scale)",
        columns,
        "On the scale of the formula's columns; group-specific effects are in fit.nc."
        + " Beside linear predictors, instruments have parameters on scales of their own." * bool(plan.instruments),
    )


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _bad_k(tree: xr.DataTree, result: Any) -> int:
    return int(left_out(tree)[1][result.pareto_k.to_numpy() > result.good_k].sum())


def _replicated(replicated: xr.Dataset) -> xr.DataArray:
    """Replicated counts by arm, (chain, draw, arm, answer); the answer that the control arm does not have is 0."""
    arms = {
        arm: replicated[f"answer_{arm}"].sum("cell").rename({f"{arm}_answer": "answer"})
        for arm in [str(name).removeprefix("answer_") for name in replicated if str(name).startswith("answer_")]
    }
    longest = max(a.sizes["answer"] for a in arms.values())
    padded = [
        a.pad(answer=(0, longest - a.sizes["answer"]), constant_values=0).drop_vars("answer", errors="ignore")
        for a in arms.values()
    ]
    return xr.concat(padded, dim=pd.Index(list(arms), name="arm")).assign_coords(answer=np.arange(longest))


def _robustness(survey: Survey) -> Section:
    trees = {"this report's model": survey.tree, **survey.alternatives}
    scores = compare(trees)
    rows = [(name, *_middle(tree), float(scores.set_index("model").loc[name, "elpd"])) for name, tree in trees.items()]
    frame = pd.DataFrame(rows, columns=["model", "estimate", "lower", "upper", "elpd"])
    dim = difference_in_means(survey.study, weighted=survey.study.weighted).iloc[0]
    fig = figures.robustness(
        frame,
        dim=(dim["estimate"], dim["lower"], dim["upper"]) if np.isfinite(dim["se"]) else None,
        chosen="this report's model",
        title="Support under other models",
        subtitle=" and ".join(["all waves"] * bool(survey.study.waves) + ["all items"] * bool(survey.study.items))
        + " together" * bool(survey.study.waves or survey.study.items),
    )
    columns = (
        Text("model", "Model"),
        Number("elpd", "LOO elpd", 1),
        Number("elpd_diff", "Difference to the best", 1),
        Number("dse", "its s.e.", 1),
        Number("weight", "Stacking weight", 2),
        Number("bad_k", "High Pareto k"),
    )
    blocks: list[Block] = [
        figure(
            fig,
            name="robustness",
            synthetic=survey.study.synthetic,
            caption="The same estimand under every model tried.",
        ),
        Table(
            "models",
            scores,
            "Leave-one-out comparison",
            columns,
            "Difference in expected log predictive density; read it against its standard error.",
        ),
    ]
    if survey.waves:
        blocks.append(_change_robustness(survey, trees))
    return Section(
        "robustness",
        "Robustness",
        "What changes when the assumptions on lying, careless answers or control counts change.",
        tuple(blocks),
    )


def _change_robustness(survey: Survey, trees: Mapping[str, xr.DataTree]) -> Table:
    first, second = survey.waves or ("", "")
    changes = {name: estimates.change(tree, first, second)["change"] for name, tree in trees.items()}
    frame = pd.concat([in_words(change_summary(draws)).assign(model=name) for name, draws in changes.items()], ignore_index=True)
    columns = (
        Text("model", "Model"),
        Points("median", "Change", 1),
        Interval("lower", "upper", "95 % interval", points=True),
        Text("fell", "P(decline)"),
    )
    return Table("change-models", frame, "Change in support under every model tried", columns)


def _middle(tree: xr.DataTree) -> tuple[float, float, float]:
    row = estimates.summarise(estimates.prevalence(tree)).iloc[0]
    return float(row["median"]), float(row["lower"]), float(row["upper"])


def _priors(survey: Survey) -> Section:
    table = pd.DataFrame(report_text.priors_used(survey.tree), columns=["parameter", "prior"])
    blocks: list[Block] = [
        Table(
            "priors",
            table,
            "Priors",
            (Text("parameter", "Parameter"), Text("prior", "Prior")),
            "Slopes are those of centred columns, numeric ones divided by two standard deviations; sd are those "
            "of group effects. A Beta prior on an intercept is that of the probability.",
        )
    ]
    if "prior" in survey.tree.children:
        blocks += _contraction(survey)
        before = estimates.prevalence(_as_prior(survey.tree))
        after = estimates.prevalence(survey.tree)
        fig = figures.prior_posterior(
            {"prevalence": before},
            {"prevalence": after},
            {"prevalence": "Support"},
            percent=["prevalence"],
            title="How far the data moved support",
        )
        blocks.append(
            figure(
                fig,
                name="prior",
                synthetic=survey.study.synthetic,
                caption="Support before (outline) and after the data.",
            )
        )
        ratio = float(after.var() / before.var())
        blocks.append(Paragraph(f"The posterior variance of support is {ratio:.0%} of its prior variance."))
        blocks += _power_scaling(survey)
    return Section(
        "priors",
        "Priors and their weight",
        "What was assumed before the data, and how much of it is left.",
        tuple(blocks),
    )


def _contraction(survey: Survey) -> list[Block]:
    """What the data hardly speak about, in sentences, then every parameter but the effects of single groups."""
    table = contraction(survey.tree)
    table = table[~table["group_effect"]].sort_values("contraction", ignore_index=True)
    sentences = tuple(text for text in table["text"] if text)
    columns = (
        Text("meaning", "Parameter"),
        Number("prior_sd", "Prior sd", 2),
        Number("posterior_sd", "Posterior sd", 2),
        Number("contraction", "Contraction", 2),
        Number("shift", "Shift, prior sd", 2),
    )
    note = (
        "Contraction: 1 \N{MINUS SIGN} (posterior sd / prior sd)\N{SUPERSCRIPT TWO}; near 0 the data do not narrow a parameter. "
        "Shift: how far the median moved. Standard deviations are those of a normal distribution with the same middle 80 %."
    )
    heard = Items(sentences) if sentences else Paragraph("The data narrow every parameter.")
    return [heard, Table("contraction", table, "What the data say about each parameter", columns, note)]


def _power_scaling(survey: Survey) -> list[Block]:
    """Whether support, by every group shown, and its change would move with a slightly stronger prior or likelihood."""
    wave = [survey.study.wave] if survey.study.wave and survey.study.waves else []
    first, second = survey.waves or ("", "")
    more = {"change": estimates.change(survey.tree, first, second)["change"]} if survey.waves else {}
    table = power_scaling(survey.tree, by=list(dict.fromkeys([*wave, *survey.by])), quantities=more)
    columns = (
        Text("quantity", "Quantity"),
        Number("prior", "Sensitivity to the prior", 2),
        Number("likelihood", "to the likelihood", 2),
        Text("diagnosis", "Diagnosis"),
    )
    note = (
        "Power-scaling (Kallioinen et al. 2024): how fast the posterior moves when the prior, or the likelihood, is strengthened. "
        "Prior at least 0.05: with the likelihood also at least 0.05 prior and data pull in different directions; otherwise the "
        "data say little beside the prior."
    )
    if "sample_stats" not in survey.tree.children:
        note += " These draws are a normal approximation and no posterior: the sensitivities are rough, mostly too large."
    return [CheckList([prior_and_data(table)]), Table("power-scaling", table, "Sensitivity of support to the prior", columns, note)]


def _as_prior(tree: xr.DataTree) -> xr.DataTree:
    """The tree with its prior in the place of the posterior, so that estimates of it are prior estimates."""
    nodes = {name: node.to_dataset() for name, node in tree.children.items() if name != "posterior"}
    out = xr.DataTree.from_dict({**nodes, "posterior": nodes["prior"]})
    out.attrs = dict(tree.attrs)
    return out


def _methods(survey: Survey) -> Section:
    blocks = (
        Code("Methods paragraph, to paste", report_text.methods_paragraph(survey.tree)),
        Code("References", report_text.bibtex(survey.tree), "bibtex"),
        Code("To reproduce", survey.command or "see the attributes below", "sh"),
        Items(tuple(report_text.versions(survey.tree))),
    )
    return Section(
        "methods",
        "Methods and reproduction",
        "Ready to paste; every number above is computed by the command below.",
        blocks,
    )
