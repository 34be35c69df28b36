"""The section of a survey's report on priors: what was assumed, how far the data moved it, and what depends on it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, report_text
from bayes_listexp.checks.predicted import prior_and_data
from bayes_listexp.importance import Approximation
from bayes_listexp.report import Block, CheckList, Items, Paragraph, Section, figure
from bayes_listexp.sensitivity import contraction, parameter_draws, power_scaling
from bayes_listexp.survey_results import Survey
from bayes_listexp.tables import Number, Table, Text, interval

MOST_PANELS = 8
"""Parameters whose prior and posterior are drawn; the table has them all."""


def priors_section(survey: Survey) -> Section:
    """The priors; where the fit drew from them, what the data moved, and how far support depends on them."""
    table = pd.DataFrame(report_text.priors_used(survey.tree), columns=["parameter", "prior"])
    lead = "What was assumed before the data, and how much of it is left."
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
        blocks.append(_least_moved(survey))
        before = estimates.prevalence(_as_prior(survey.tree))
        after = estimates.prevalence(survey.tree)
        lead = f"Before the data, support was {_range(before)}; the data leave {_range(after)} (each with probability 95 %)."
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
        lead,
        tuple(blocks),
    )


def _range(draws: xr.DataArray) -> str:
    low, high = np.quantile(draws, [0.025, 0.975])
    return interval(low, high)


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


def _least_moved(survey: Survey) -> Block:
    """Prior and posterior of the parameters that the data narrow least."""
    order = contraction(survey.tree).sort_values("contraction", kind="stable")
    least = order.loc[~order["group_effect"], "parameter"].head(MOST_PANELS)
    draws = {one.parameter: one for one in parameter_draws(survey.tree)}
    fig = figures.prior_posterior(
        {name: xr.DataArray(draws[name].prior, dims="draw") for name in least},
        {name: xr.DataArray(draws[name].posterior, dims="draw") for name in least},
        {name: draws[name].meaning for name in least},
        title="What the data say least about",
        subtitle="on the scale of the model, mostly logits",
    )
    caption = f"Prior and posterior of the {len(least)} parameters that the data narrow least, effects of single groups aside."
    return figure(fig, name="prior-parameters", synthetic=survey.study.synthetic, caption=caption)


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
    if (told := Approximation.of(survey.tree)) and not told.corrected:
        note += " These draws are a normal approximation and no posterior: the sensitivities are rough, mostly too large."
    return [CheckList([prior_and_data(table)]), Table("power-scaling", table, "Sensitivity of support to the prior", columns, note)]


def _as_prior(tree: xr.DataTree) -> xr.DataTree:
    """The tree with its prior in the place of the posterior, so that estimates of it are prior estimates."""
    nodes = {name: node.to_dataset() for name, node in tree.children.items() if name != "posterior"}
    out = xr.DataTree.from_dict({**nodes, "posterior": nodes["prior"]})
    out.attrs = dict(tree.attrs)
    return out


