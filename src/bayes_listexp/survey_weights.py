"""What a survey's report says of weights: their cost, how respondents were sampled, and weighted answers beside unweighted ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, stored
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.report import Block, Facts, Section
from bayes_listexp.survey_design import CLUSTER, PERSON, STRATUM, has_units, unit_column, units_of
from bayes_listexp.survey_results import Survey, along_of
from bayes_listexp.tables import Column, Interval, Number, Percent, Table, Text
from bayes_listexp.weighting import kish

MODELS = {"none": "Model", "pseudo": "Model, weighted likelihood"}
POPULATIONS = {"sample": "sample average", "weights": "weighted sample", "frame": "population (poststratified)"}


def weight_facts(survey: Survey) -> list[tuple[str, str]]:
    """Whether respondents are weighted, what that costs, and how they were sampled, for the facts on the data."""
    study = survey.study
    facts = [("Survey weights", "no")]
    if study.weighted:
        row = kish(study).iloc[0]
        facts = [("Survey weights", f"yes; Kish's design effect {row['deff']:.2f}: {row['n']:,} respondents with an answer to the list "
                                    f"count like {row['n_effective']:,.0f} of equal weights")]
    if has_units(study.table):
        units = units_of(study.table, study.wave)
        word = "persons" if unit_column(study.table) == PERSON else "clusters"
        what = f"{len(units.of_cluster):,} {word}" if len(units.of_cluster) else "respondents"
        facts.append(("Sampled units", f"{what} in {len(units.n):,} strata" if len(units.n) > 1 else what))
    if study.replicates is not None:
        facts.append(("Replicate weights", f"{len(study.replicates.scales)} ({study.replicates.method})"))
    return facts


def weight_sections(survey: Survey) -> list[Section]:
    """Weighted, unweighted and poststratified answers side by side; nothing where respondents are neither weighted nor clustered."""
    if not survey.study.weighted and not {STRATUM, CLUSTER} & set(survey.study.table.columns):
        return []
    blocks: list[Block] = [_side_by_side(survey)]
    blocks += [_kish_table(survey)] if survey.study.weighted else []
    blocks += [_spread(survey.tree)] if "weighting" in survey.tree.children else []
    lead = ("Weights answer whom the respondents stand for; poststratification answers it by the model and the population. Where the "
            "rows agree the choice matters little; where they do not, people of unlike weights answer unlike each other.")
    return [Section("weights", "Weighted and unweighted answers", lead, tuple(blocks))]


def _side_by_side(survey: Survey) -> Table:
    study, along = survey.study, along_of(survey)
    parts = [_of_model(tree, along) for tree in _by_weighting(survey).values()]
    for weighted in (False, True)[: 1 + study.weighted]:
        found = difference_in_means(study, by=along, weighted=weighted).rename(columns={"estimate": "median"})
        parts.append(found.assign(answer=f"Difference in means, {'weighted' if weighted else 'unweighted'}"))
    frame = pd.concat(parts, ignore_index=True)
    columns: tuple[Column, ...] = (
        Text("answer", "Answer"),
        *(Text(name, name.capitalize()) for name in along),
        Percent("median", "Support", 1),
        Interval("lower", "upper", "95 % interval"),
    )
    note = ("Of the model: posterior medians and intervals. Weighted likelihood: each respondent counts with a normalised weight, and "
            "the spread is that of the sampling design. Differences in means: intervals by the sampling design as far as it is known.")
    return Table("weights", frame, "Weighted, unweighted and poststratified side by side", columns, note)


def _by_weighting(survey: Survey) -> dict[str, xr.DataTree]:
    """The fit, and the first of the alternatives with the other weighting."""
    found = {_weighting(survey.tree): survey.tree}
    for tree in survey.alternatives.values():
        found.setdefault(_weighting(tree), tree)
    return dict(sorted(found.items()))


def _weighting(tree: xr.DataTree) -> str:
    return str(stored.fact(tree, "specification").get("weighting", "none"))


def _of_model(tree: xr.DataTree, along: Sequence[str]) -> pd.DataFrame:
    """Support on each population that there is for this fit."""
    populations = ["sample", *["weights"] * bool(tree.attrs["weighted"]), *["frame"] * ("population" in tree.children)]
    rows = []
    for population in populations:
        draws = estimates.prevalence(tree, by=list(along), population=population)
        rows.append(estimates.summarise(draws).assign(answer=f"{MODELS[_weighting(tree)]}: {POPULATIONS[population]}"))
    return pd.concat(rows, ignore_index=True)


def _kish_table(survey: Survey) -> Table:
    columns: list[Column] = [Text("wave", "Wave")] if len(survey.study.waves) > 1 else []
    columns += [Text("arm", "Arm"), Number("n", "Respondents"), Number("deff", "Design effect", 2),
                Number("n_effective", "Effective number")]
    note = ("Kish's design effect of weighting, n times the sum of squared weights over their squared sum, for answers that do not "
            "depend on the weights; strata and clusters are not in it.")
    return Table("kish", kish(survey.study), "What unequal weights cost", tuple(columns), note)


def _spread(tree: xr.DataTree) -> Facts:
    """By how much the sampling design widened the posterior."""
    told = tree["weighting"].to_dataset()
    ratio, degrees = told["sd_ratio"].to_numpy(), int(told.attrs["degrees_of_freedom"])
    name = str(tree["unconstrained_posterior"]["unconstrained_parameter"].to_numpy()[int(np.argmax(ratio))])
    said = f"median {told.attrs['median_sd_ratio']:.2f}, from {ratio.min():.2f} to {ratio.max():.2f} ({name})"
    return Facts((
        ("Spread of the weighted likelihood corrected by", f"{told.attrs['units']} ({degrees:,} degrees of freedom)"),
        ("Posterior sd, corrected over uncorrected", said),
    ))
