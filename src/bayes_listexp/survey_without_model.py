"""Tables of all that a study says without a model, for the command line, and the report's section of them."""

from __future__ import annotations

import pandas as pd

from bayes_listexp import stored
from bayes_listexp.overview import WithoutModel, estimates_without_model, main_effects
from bayes_listexp.report import Section
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import Column, Interval, Number, Percent, Points, Table, Text

ESTIMATED: tuple[Column, ...] = (
    Percent("estimate", "Estimate", 1), Percent("se", "s.e.", 1), Interval("lower", "upper", "95 % interval", 1),
)  # fmt: skip


def tables_without_model(found: WithoutModel) -> list[Table]:
    """The tables of :func:`bayes_listexp.estimates_without_model` that have rows, with how they are shown."""
    tables = [
        Table("without-model", found.prevalence, "Prevalence without a model",
              (Text("estimator", "Estimator"), *_keys(found.prevalence, "estimator"), *ESTIMATED, Number("n", "n"),
               *_note(found.prevalence)),
              "Shares of people, never cut off at 0 or 100 %."),
        Table("without-model-bounds", found.bounds, "Bounds of the prevalence",
              (Text("assumption", "What is allowed"), *_keys(found.bounds, "assumption"), Interval("lower", "upper", "Bounds", 1),
               Interval("interval_lower", "interval_upper", "95 % interval", 1), *_note(found.bounds)),
              "Ceiling: those with the trait and all control items may answer one less; floor: those with the trait alone may answer 0. "
              "The interval covers the prevalence, wherever it lies between the bounds (Imbens & Manski 2004)."),
        Table("without-model-change", found.change, "Change of the difference in means",
              (Text("change", "Waves"), *_keys(found.change, "change"), Points("estimate", "Points", 1),
               Interval("lower", "upper", "95 % interval", 1, points=True), Number("z", "z", 2))),
        Table("without-model-regression", found.regression, "Linear list regression",
              (Text("part", "Part"), Text("term", "Term"), Number("estimate", "Estimate", 3), Number("se", "s.e.", 3),
               Number("lower", "2.5 %", 3), Number("upper", "97.5 %", 3), *_note(found.regression)),
              "Trait: a linear model of the share with the trait; control: of the number of control items that apply."),
        Table("without-model-groups", found.subgroups, "Difference in means by group",
              (Text("column", "Column"), Text("level", "Group"), *ESTIMATED, Number("n_control", "n control"),
               Number("n_treatment", "n treatment"), *_note(found.subgroups)),
              "Many groups are compared here: some intervals miss by chance alone."),
    ]  # fmt: skip
    return [table for table in tables if len(table.frame)]


def without_model_section(survey: Survey) -> Section | None:
    """The report's section of estimates without a model; None where nobody was shown the control list.

    Groups are left out: each stands beside its posterior in the section on support.
    """
    study = survey.study
    if study.listed["_treated"].all():
        return None
    trait = stored.fact(survey.tree, "specification")["trait"]
    settings = {"covariates": main_effects(study, trait), "change": survey.waves} | dict(survey.without_model)
    found = estimates_without_model(study, **settings)
    lead = ("What the answers say with nothing assumed of how they are distributed: unbiased if the list works as it should, but less "
            "precise. Where these estimates and the model's differ by more than their errors, one of the assumptions is wrong.")
    return Section("without-model", "Estimates without a model", lead, tuple(tables_without_model(found)))


def _keys(frame: pd.DataFrame, first: str) -> list[Column]:
    """The columns that split a table, which stand before those of its numbers."""
    known = {first, "estimate", "se", "lower", "upper", "n", "z", "note", "interval_lower", "interval_upper"}
    return [Text(name, str(name).capitalize()) for name in frame.columns if name not in known]


def _note(frame: pd.DataFrame) -> list[Column]:
    return [Text("note", "Note")] if len(frame) and frame["note"].astype(bool).any() else []
