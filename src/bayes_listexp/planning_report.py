"""The page of a plan: assumptions, what each size can say, the designs beside one another, and text for a pre-registration."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure

from bayes_listexp import figures
from bayes_listexp.planning.alternatives import Estimate, combined, direct_question, double_list, listed
from bayes_listexp.planning.differences import change_variance
from bayes_listexp.planning.plan_tables import Plan
from bayes_listexp.planning.plan_text import plan_paragraph
from bayes_listexp.report import Block, Code, Figure, Report, Section, figure
from bayes_listexp.tables import Number, Percent, Points, Table, Text, points

N, SE = Number("n", "Respondents"), Points("se", "Standard error", 1, signed=False)
HALF, POWER, FOUND = (
    Points("half_width", "95 % interval, ±", 1, signed=False),
    Percent("power", "Power"),
    Points("detectable", "Effect found", 1, signed=False),
)
Drawn = dict[str, MatplotlibFigure]
CAPTIONS = {
    "precision": "Root mean squared error by number of respondents, biases included",
    "power": "Power by number of respondents in each wave; the dotted line is the power wanted",
    "break-even": "Bias of a direct question, towards saying no, beyond which a list of as many respondents has the smaller error",
    "groups": "Standard errors of groups, alone and with partial pooling",
    "control-items": "Every choice of control items: the variance of their number, and the people whom the list would expose",
}
SHOWN = 12
"""Choices of control items that the page lists."""


def plan_report(
    plan: Plan, tables: Mapping[str, pd.DataFrame], *, choice: pd.DataFrame | None = None, command: str = ""
) -> Report:
    """The whole page as records; render it with :func:`bayes_listexp.render_report`.

    ``tables`` are those of :func:`bayes_listexp.planning.plan_tables`, ``choice`` that of :func:`bayes_listexp.planning.frontier`.
    """
    drawn = plan_figures(plan, tables, choice)
    sections = [_assumptions(tables), _precision(plan, tables, drawn), _designs(plan, tables, drawn)]
    sections += [_groups(plan, tables, drawn)] if "groups" in tables or "regions" in tables else []
    sections += [_choice(choice, drawn)] if choice is not None else []
    sections += [_assurance(plan, tables)] if "assurance" in tables else []
    sections.append(_text(plan, tables, command))
    return Report(
        plan.title,
        headline(plan, tables),
        tuple(sections),
        subtitle=f"{plan.sensitive_item}; {plan.scenario.J} control items",
        facts=(("Seed", str(plan.seed)),),
    )


def headline(plan: Plan, tables: Mapping[str, pd.DataFrame]) -> str:
    """What the sizes can say, in one sentence."""
    if plan.change is None:
        said = [
            f"{row.n:,} the prevalence to ± {100 * row.half_width:.0f} points"
            for row in tables["precision"].itertuples()
        ]
    else:
        said = [f"{row.n:,} with probability {row.power:.2f}" for row in tables["change"].itertuples()]
    lead = f"A change of {points(plan.change or 0)} points is found, with so many respondents in each wave: "
    return f"{'With so many respondents: ' if plan.change is None else lead}{'; '.join(said)}."


def plan_figures(plan: Plan, tables: Mapping[str, pd.DataFrame], choice: pd.DataFrame | None = None) -> Drawn:
    """The figures of a plan by name: precision, break_even, power (with a change), groups, control_items (with a choice)."""
    largest = round(max(1.25 * max(plan.sizes), 100))
    out = {
        "precision": figures.planning_precision(
            _estimates(plan), marked=plan.sizes, title="Error by design and size", largest=largest
        )
    }
    if plan.change is not None and plan.change_unit is not None and plan.second is not None:
        units = {"planned": plan.change_unit}
        if plan.panel is not None:
            units["different people"] = plan.design_effect * change_variance(
                plan.scenario, plan.second, shares=(plan.share, plan.share)
            )
        title = f"Power to find a change of {points(plan.change)} points"
        out["power"] = figures.planning_power(
            units,
            plan.change,
            wanted=plan.power,
            level=plan.level,
            sides=plan.sides,
            title=title,
            marked=plan.sizes,
            largest=largest,
        )
    if plan.scenario.prevalence > 0:
        title = "When a list is worth its variance"
        out["break-even"] = figures.planning_break_even(
            plan.scenario, share=plan.share, marked=plan.sizes, title=title, largest=largest
        )
    if "groups" in tables:
        last = tables["groups"][tables["groups"]["n"] == plan.sizes[-1]]
        out["groups"] = figures.planning_groups(last, title=f"Groups of {plan.sizes[-1]:,} respondents")
    if choice is not None:
        out["control-items"] = figures.control_item_frontier(choice, title="Choices of control items")
    return out


def _estimates(plan: Plan) -> list[Estimate]:
    """The designs that the figure of precision compares."""
    out = [listed(plan.scenario, plan.share), double_list(plan.scenario, plan.scenario, plan.second_list, plan.share)]
    if plan.denial is not None:
        out += [
            combined(plan.scenario, plan.denial, plan.share),
            direct_question(plan.scenario, -plan.denial * plan.scenario.prevalence),
        ]
    return out


def _assumptions(tables: Mapping[str, pd.DataFrame]) -> Section:
    table = Table(
        "assumptions",
        tables["assumptions"],
        "What is assumed",
        (Text("quantity", "Quantity"), Number("value", "Value", 3)),
    )
    return Section(
        "assumptions",
        "What is assumed",
        "Everything below follows from these numbers; change them and look again.",
        (table,),
    )


def _precision(plan: Plan, tables: Mapping[str, pd.DataFrame], drawn: Drawn) -> Section:
    blocks: list[Block] = [
        Table(
            "precision",
            tables["precision"],
            "One wave",
            (N, SE, HALF, POWER, FOUND, Number("direct_equivalent", "Worth direct answers")),
            note=f"Power to find {points(plan.sought_in_wave)} points; effect found with power {plan.power:g}.",
        )
    ]
    if "change" in tables:
        blocks.append(
            Table(
                "change",
                tables["change"],
                "The change between two waves of this size",
                (N, SE, HALF, POWER, FOUND),
                note=f"Power to find {points(plan.change or 0)} points.",
            )
        )
    blocks.append(Table("needed", tables["needed"], "Respondents that reach an aim", (Text("aim", "Aim"), N)))
    blocks += [_drawn(name, drawn[name]) for name in ("power",) if name in drawn]
    return Section("precision", "What each size can say", headline(plan, tables), tuple(blocks))


def _designs(plan: Plan, tables: Mapping[str, pd.DataFrame], drawn: Drawn) -> Section:
    columns = (
        Text("design", "Design"),
        N,
        Points("bias", "Bias", 1),
        SE,
        Points("rmse", "Error", 1, signed=False),
        POWER,
        Number("n_needed", "Needed"),
        Number("relative", "Relative variance", 2),
    )
    blocks: list[Block] = [
        Table(
            "designs",
            tables["designs"],
            "Designs for the same respondents",
            columns,
            note=f"Error: root mean squared error. Needed: respondents for ± {100 * plan.half_width:g} points. The double list assumes a "
            f"correlation of {plan.second_list:g} between the counts of its two lists.",
        ),
        _drawn("precision", drawn["precision"]),
        Table(
            "break-even",
            tables["break_even"],
            "Bias of a direct question beyond which the list is better",
            (N, Points("under", "Too few say yes", 1), Points("over", "Too many say yes", 1)),
        ),
        *([_drawn("break-even", drawn["break-even"])] if "break-even" in drawn else []),
        Table(
            "efficiency",
            tables["efficiency"],
            "What a likelihood gains over the difference in means",
            (
                Text("dependence", "Dependence of the count on the trait"),
                Number("unit_variance", "Variance × n", 3),
                Number("efficiency", "Efficiency", 3),
            ),
        ),
    ]
    if "careless" in tables:
        blocks.append(
            Table(
                "careless",
                tables["careless"],
                f"{100 * (plan.careless or 0):g} % careless answers, by design of the control list",
                (Text("design", "Control list"), N, Points("bias", "Bias", 1), SE, Points("rmse", "Error", 1, signed=False)),
            )
        )
    if "items" in tables:
        shown = (
            Number("item", "Item"),
            N,
            Number("n_treatment", "Treated"),
            Number("n_control", "Control"),
            SE,
            Points("se_alone", "In a study of its own", 1, signed=False),
            POWER,
            Percent("power_holm", "Power, corrected"),
        )
        blocks.append(Table("items", tables["items"], "Several sensitive items with one control arm", shown))
    return Section("designs", "Designs", "The list beside its alternatives, under the same assumptions.", tuple(blocks))


def _groups(plan: Plan, tables: Mapping[str, pd.DataFrame], drawn: Drawn) -> Section:
    blocks: list[Block] = []
    own = (
        Text("group", "Group"),
        N,
        Number("n_group", "In the group"),
        Points("se", "Alone", 1, signed=False),
        Points("pooled_se", "Pooled", 1, signed=False),
        Percent("weight", "Weight of its own answers"),
        Number("gain", "Gain", 2),
    )
    for name, caption in (
        ("groups", "Standard errors of groups"),
        ("group_changes", "Standard errors of their changes"),
    ):
        if name in tables:
            note = f"Groups differ by a standard deviation of {100 * plan.between:g} points, taken as known."
            blocks.append(Table(name.replace("_", "-"), tables[name], caption, own, note=note))
    if "groups" in tables:
        blocks.append(_drawn("groups", drawn["groups"]))
    if "regions" in tables:
        columns = (
            Text("region", "Region"),
            N,
            Percent("share", "Of people"),
            Number("n_region", "In the region"),
            SE,
            Points("total_se", "Of the total", 1, signed=False),
            Number("design_effect", "Design effect", 2),
        )
        blocks.append(
            Table("regions", tables["regions"], "Respondents by region, and what they cost the total", columns)
        )
    return Section("groups", "Groups and regions", "Alone, and with partial pooling.", tuple(blocks))


def _choice(choice: pd.DataFrame, drawn: Drawn) -> Section:
    columns = (
        Text("items", "Items"),
        Number("n", "Pilot"),
        Number("variance", "Variance", 3),
        Number("variance_se", "its s.e.", 3),
        Number("ratio", "To binomial", 2),
        Percent("floor", "None", 1),
        Percent("ceiling", "All", 1),
        Number("correlation", "Correlation", 2),
    )
    best = choice[choice["allowed"]].head(SHOWN)
    note = "The least of many variances in one pilot is partly luck; judge it by its standard error."
    blocks: tuple[Block, ...] = (
        Table("control-items", best, "The choices with the least variance", columns, note=note),
        _drawn("control-items", drawn["control-items"]),
    )
    lead = f"{len(choice):,} choices, {int(choice['allowed'].sum()):,} of them within the caps, {int(choice['frontier'].sum())} on "
    lead += "the frontier."
    return Section("control-items", "Choice of control items", lead, blocks)


def _assurance(plan: Plan, tables: Mapping[str, pd.DataFrame]) -> Section:
    columns: tuple = (
        N,
        Points("mean_width", "Mean width", 1, signed=False),
        Percent("narrower", f"Narrower than {100 * plan.width:g} points"),
        Percent("excludes_zero", "Excludes 0"),
        Percent("coverage", "Coverage", 1),
    )
    blocks: list[Block] = [Table("assurance", tables["assurance"], "The prevalence", columns)]
    if plan.change is not None:
        columns = (
            N,
            Points("change_mean_width", "Mean width", 1, signed=False),
            Percent("change_narrower", f"Narrower than {100 * plan.width:g} points"),
            Percent("change_excludes_zero", "Excludes 0"),
            Percent("detects", "Sure of its direction"),
            Percent("change_coverage", "Coverage", 1),
        )
        blocks.append(Table("assurance-change", tables["assurance"], "The change", columns))
    lead = f"{plan.studies:,} simulated studies of each size, over what is believed of the prevalence beforehand."
    return Section("assurance", "Assurance", lead, tuple(blocks))


def _text(plan: Plan, tables: Mapping[str, pd.DataFrame], command: str) -> Section:
    blocks = [Code("Paragraph", plan_paragraph(plan, tables)), *([Code("Command", command, "sh")] if command else [])]
    return Section("text", "For the pre-registration", "Ready to paste, for the largest size.", tuple(blocks))


def _drawn(name: str, drawn: MatplotlibFigure) -> Figure:
    return figure(drawn, name=name, caption=CAPTIONS[name], synthetic=False)
