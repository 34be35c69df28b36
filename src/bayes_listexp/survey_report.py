"""The report on a fitted survey: which sections, figures and tables, in which words. Computes by `estimates` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import figures, predictive, report_text, stored
from bayes_listexp.cells import ARMS, Cells
from bayes_listexp.checks import converged, design_checks, fit_checks
from bayes_listexp.checks_report import design_figures
from bayes_listexp.comparison import left_out, loo
from bayes_listexp.disclosure import shown_columns, withholding
from bayes_listexp.errors import InputError
from bayes_listexp.exclusions import EXCLUSION_COLUMNS, KEPT, MODELLED
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instrument_text import instrument_title
from bayes_listexp.persons import are_followed
from bayes_listexp.regression_tables import regression_table
from bayes_listexp.report import Block, CheckList, Code, Facts, Items, Report, Section, Warn, figure, outcomes
from bayes_listexp.survey_changes import change_section
from bayes_listexp.survey_course import course_section, has_course
from bayes_listexp.survey_design import PERSON
from bayes_listexp.survey_instruments import instrument_sections
from bayes_listexp.survey_maps import map_sections
from bayes_listexp.survey_pooling import pooling_section
from bayes_listexp.survey_population import population_blocks, population_facts
from bayes_listexp.survey_priors import priors_section
from bayes_listexp.survey_reading import change_explorer_section, explorer_section, reading_section
from bayes_listexp.survey_results import Survey, headline, identifier, support_section
from bayes_listexp.survey_robustness import robustness_section
from bayes_listexp.survey_weights import weight_facts, weight_sections
from bayes_listexp.survey_without_model import without_model_section
from bayes_listexp.tables import Number, Table, Text
from bayes_listexp.withheld_rows import withheld


def report_of(study: ListExperiment, tree: xr.DataTree, title: str, **settings: Any) -> Report:
    """The report on a fit, as records for :func:`bayes_listexp.render_report`.

    Parameters
    ----------
    study, tree : the study and its fit.
    title : of the page.
    settings : ``by`` (columns to show groups of), ``waves`` (two, for the change), ``alternatives`` (fits of the same study by
        name), ``truth`` (of a simulated study), ``events`` and ``printed`` (what stands beside the course over time), ``delta`` and
        ``rope`` (changes, 0 to 1, that count as large and as none), ``map``, ``checks``, ``without_model`` and ``command``, as
        :class:`bayes_listexp.survey_results.Survey` describes them.

    Raises
    ------
    InputError : an unknown setting; and whatever the estimates refuse.
    """
    if unknown := sorted(set(settings) - set(Survey._fields)):
        raise InputError(f"report_of: '{unknown[0]}' is not a setting; there are: {', '.join(Survey._fields[3:])}.")
    return survey_report(Survey(study, tree, title, **settings))


def survey_report(survey: Survey) -> Report:
    """The whole report as records, without small groups; render it with :func:`bayes_listexp.render_report`."""
    k = survey.study.smallest_group
    others = {name: withholding(tree, k) for name, tree in survey.alternatives.items()}
    return withheld(_report(survey._replace(tree=withholding(survey.tree, k), alternatives=others)), survey.study)


def _report(survey: Survey) -> Report:
    sections = [reading_section(survey), _data(survey), _design(survey)]
    sections += [course_section(survey)] if has_course(survey) else []
    pooled = pooling_section(survey)
    alone = without_model_section(survey)
    sections += [support_section(survey), explorer_section(survey), *([alone] if alone else [])]
    sections += [*weight_sections(survey), *([pooled] if pooled else [])]
    sections += [change_section(survey), change_explorer_section(survey)] if survey.waves else []
    sections += map_sections(survey)
    sections += [*instrument_sections(survey), _model(survey)]
    sections += [robustness_section(survey)] if survey.alternatives else []
    sections += [priors_section(survey), _methods(survey)]
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


def _rows_read(source: Mapping[str, Any]) -> str:
    tabulated = f", tabulated to {source['tabulated_rows']:,} distinct rows" if "tabulated_rows" in source else ""
    return f"{source['rows']:,}{tabulated}"


def _data(survey: Survey) -> Section:
    study, cells = survey.study, stored.blueprint_of(survey.tree).cells
    arms, unlisted = _sizes(cells)
    listed = ", ".join([*(f"{size:,} {arm}" for arm, size in arms.items()), *[f"{unlisted:,} without list answer"] * bool(unlisted)])
    pairs = [
        ("Source", str(study.source["name"])),
        ("Rows read", _rows_read(study.source)),
        *((f"{column} is", words) for column, words in study.source.get("binned", {}).items()),
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
    compared = shown_columns(survey.study, [c for c in survey.by if c in survey.study.covariates])
    checks = design_checks(survey.study, compared, person=chosen.person, counts=chosen.counts, **survey.checks)
    return Section(
        "design",
        "Checks of the design",
        f"{outcomes(checks)} This is what the data say about the assumptions, before any model.",
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
    checks = fit_checks(tree)
    blocks: tuple[Block, ...] = (
        Facts(report_text.model_words(tree)),
        _coefficients(survey),
        CheckList(checks),
        *(_answers_figure(survey, counts, replicated, version) for version in versions),
        facts,
    )
    return Section(
        "model-checks",
        "Checks of the model",
        f"{outcomes(checks)} They ask whether the sampler worked and whether the model reproduces the answers.",
        blocks,
    )


def _answers_figure(survey: Survey, counts: pd.DataFrame, replicated: xr.Dataset, version: str) -> Block:
    """Observed and replicated answers by arm, of those who were shown one list version ("" where there is one list)."""
    tables = {name: f"answer_{arm}" for label, arm, name in predictive.tables_of_answers(replicated) if label == version}
    own = replicated[list(tables)].rename(tables)
    of_version = f", list version {version}" if version else ""
    fig = figures.answers_by_arm(
        counts[counts["version"] == version] if version else counts,
        replicated_by_arm(own.rename({dim: str(dim).removesuffix(f"_{version}") for dim in own.dims}) if version else own),
        title=f"Answers by arm{of_version}",
        subtitle="observed shares, and what the fitted model predicts",
    )
    caption = f"Answers by arm{of_version}: bars observed, points and intervals replicated (95 %)."
    name = f"answers-{identifier(version)}" if version else "answers"
    return figure(fig, name=name, synthetic=survey.study.synthetic, caption=caption)


def _coefficients(survey: Survey) -> Table:
    """The regression table of this report's model, with those of the alternatives beside it."""
    if not survey.alternatives:
        return regression_table({"Estimate": survey.tree}, spread="interval", name="coefficients")
    return regression_table({"this report's model": survey.tree, **survey.alternatives}, name="coefficients")


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "\N{MINUS SIGN}")


def _bad_k(tree: xr.DataTree, result: Any) -> int:
    return int(left_out(tree)[1][result.pareto_k.to_numpy() > result.good_k].sum())


def replicated_by_arm(replicated: xr.Dataset) -> xr.DataArray:
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
