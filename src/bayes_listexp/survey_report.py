"""The report on a fitted survey: which sections, figures and tables, in which words. Computes by `estimates` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, predictive, report_text, stored
from bayes_listexp.checks import converged, design_checks, fit_checks
from bayes_listexp.comparison import compare, loo
from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.figures.survey import probability_words
from bayes_listexp.report import Block, CheckList, Code, Facts, Items, Paragraph, Report, Section, Warn, figure
from bayes_listexp.tables import Interval, Number, Percent, Points, Table, Text


class Survey(NamedTuple):
    """What the report is made from: the study, its fit, the groups to show, the two waves of the change, and the rest.

    ``alternatives`` are fits of the same study under other models; ``truth`` is what a simulation knows
    (:class:`bayes_listexp.simulate.Simulated`); ``command`` repeats the run.
    """

    study: ListExperiment
    tree: xr.DataTree
    title: str
    by: Sequence[str] = ()
    waves: tuple[str, str] | None = None
    alternatives: Mapping[str, xr.DataTree] = {}
    truth: pd.DataFrame | None = None
    command: str = ""


def survey_report(survey: Survey) -> Report:
    """The whole report as records; render it with :func:`bayes_listexp.render_report`."""
    sections = [_data(survey), _design(survey), _support(survey)]
    sections += [_change(survey)] if survey.waves else []
    sections += [_model(survey)]
    sections += [_robustness(survey)] if survey.alternatives else []
    sections += [_priors(survey), _methods(survey)]
    return Report(
        title=survey.title, subtitle=f"List experiment on {survey.study.sensitive_item}", headline=headline(survey),
        sections=tuple(sections), synthetic=survey.study.synthetic, alarm=_alarm(survey),
        facts=report_text.provenance(survey.tree))


def headline(survey: Survey) -> str:
    """The result in one sentence, with its interval."""
    item = survey.study.sensitive_item
    if not survey.waves:
        row = estimates.summarise(estimates.prevalence(survey.tree)).iloc[0]
        return f"{_percent(row)} support {item} ({_interval(row)} with probability 95 %)."
    by_wave = estimates.summarise(estimates.prevalence(survey.tree, by=survey.study.wave or ())).set_index(survey.study.wave)
    first, second = (by_wave.loc[w] for w in survey.waves)
    moved = estimates.summarise(_changes(survey)["change"]).iloc[0]
    direction = "fell" if moved["median"] < 0 else "rose"
    chance = moved["p_below_zero"] if direction == "fell" else 1 - moved["p_below_zero"]
    return (f"Support for {item} {direction} from {_percent(first)} ({_interval(first)}) in {survey.waves[0]} to "
            f"{_percent(second)} ({_interval(second)}) in {survey.waves[1]}, by {abs(100 * moved['median']):.0f} points "
            f"({100 * moved['lower']:+.0f} to {100 * moved['upper']:+.0f}); the probability that it {direction} at all is "
            f"{probability_words(chance)}.")


def result_tables(survey: Survey) -> list[Table]:
    """Every table of results, as it stands in the report, for files of their own."""
    sections = [_support(survey), *([_change(survey)] if survey.waves else [])]
    return [block for section in sections for block in section.blocks if isinstance(block, Table)]


def _alarm(survey: Survey) -> str | None:
    if converged(survey.tree):
        return None
    failed = [check.text for check in fit_checks(survey.tree) if check.passed is False]
    return "This fit must not be published as it is. " + " ".join(failed)


def _data(survey: Survey) -> Section:
    study, cells = survey.study, stored.blueprint_of(survey.tree).cells
    arms = (int(cells.control.sum()), int(cells.treatment.sum()))
    pairs = [("Source", str(study.source["name"])), ("Rows read", f"{study.source['rows']:,}"),
             ("Respondents analysed", f"{sum(arms):,} ({arms[0]:,} control, {arms[1]:,} treatment)"),
             ("Control items (J)", str(study.J)), ("Sensitive item", study.sensitive_item),
             ("Waves", ", ".join(study.waves) or "one"), ("Survey weights", "yes" if study.weighted else "no"),
             ("Cells (distinct covariate rows)", f"{len(cells.frame):,}")]
    excluded = cells.exclusions
    blocks: list[Block] = [Facts(tuple(pairs))]
    if len(excluded):
        total = int(excluded[["control", "treatment", "arm unknown"]].to_numpy().sum())
        frame = excluded.assign(reason=excluded["reason"] + ": " + excluded["column"])
        blocks.append(Table("exclusions", frame, f"Excluded respondents ({total:,} in all), each under the first reason that applies",
                            (Text("reason", "Reason"), Number("control", "Control arm"), Number("treatment", "Treatment arm"),
                             Number("arm unknown", "Arm unknown"))))
    lead = "Every respondent read is either analysed or listed here with the reason for leaving them out."
    if survey.study.synthetic:
        blocks.insert(0, Warn("These data are simulated. They show what such a survey could say; they are no evidence on opinion."))
    return Section("data", "Data", lead, tuple(blocks))


def _design(survey: Survey) -> Section:
    checks = design_checks(survey.study, [c for c in survey.by if c in survey.study.covariates])
    return Section("design", "Checks of the design", "What the data say about the assumptions, before any model.",
                   (CheckList(checks),))


def _support(survey: Survey) -> Section:
    wave = survey.study.wave
    along = [wave] if wave and survey.study.waves else []
    blocks: list[Block] = [_support_figure(survey, along, "support-all", "Support overall"), _support_table(survey, along, "all")]
    for group in survey.by:
        blocks.append(_support_figure(survey, [group, *along], f"support-{_id(group)}", f"Support by {group}"))
        blocks.append(_support_table(survey, [group, *along], group))
    blocks.append(_estimands(survey, along))
    population = estimates.prevalence(survey.tree).attrs["population"]
    lead = (f"Posterior of the share who hold the trait, on the {population}; beside it the difference in means, which uses no "
            "model. Intervals hold 95 % of the posterior probability.")
    return Section("support", "Support", lead, tuple(blocks))


def _support_figure(survey: Survey, by: Sequence[str], name: str, title: str) -> Block:
    draws = estimates.prevalence(survey.tree, by=by)
    along = survey.study.wave if len(by) > 1 else None
    table = _dim(survey, by)
    fig = figures.support_by_group(draws, table, along=along, sort=len(by) > 1, title=title,
                                   subtitle=f"{survey.study.sensitive_item}; posterior median, 50 % and 95 % intervals",
                                   label="Support, % of the population" if survey.study.population is not None else "Support, %")
    caption = f"{title}. Grey: difference in means{' with survey weights' if survey.study.weighted else ''}, 95 % interval, not cut off."
    return figure(fig, name=name, caption=caption, synthetic=survey.study.synthetic)


def _support_table(survey: Survey, by: Sequence[str], group: str) -> Table:
    rows = estimates.summarise(estimates.prevalence(survey.tree, by=by))
    rows = _beside(rows, _dim(survey, by), list(by))
    columns: list[Any] = [Text(name, name.capitalize()) for name in by]
    columns += [Percent("median", "Support"), Interval("lower", "upper", "95 % interval"), Percent("dim", "Difference in means"),
                Interval("dim_lower", "dim_upper", "its 95 % interval"), Number("n", "n")]
    if survey.truth is not None:
        rows = _with_truth(rows, survey.truth, list(by), survey.study.wave)
        columns.append(Percent("truth", "True (simulated)"))
    if not by:
        rows, columns = rows.assign(group="everybody"), [Text("group", "Group"), *columns]
    note = "Difference in means: treatment minus control arm, with survey weights." if survey.study.weighted else ""
    return Table(f"support-{_id(group)}", rows, f"Support by {' and '.join(by)}" if by else "Support", tuple(columns), note)


def _estimands(survey: Survey, along: Sequence[str]) -> Table:
    tree = survey.tree
    choices: list[tuple[str, xr.DataArray]] = [("sample average", estimates.prevalence(tree, by=along, population="sample")),
                                               ("this sample, given the answers", estimates.realised_prevalence(tree, by=along))]
    if survey.study.weighted:
        choices.append(("weighted sample", estimates.prevalence(tree, by=along, population="weights")))
    if survey.study.population is not None:
        choices.append(("population (poststratified)", estimates.prevalence(tree, by=along, population="frame")))
    frame = pd.concat([estimates.summarise(draws).assign(estimand=name) for name, draws in choices], ignore_index=True)
    columns: tuple[Any, ...] = (Text("estimand", "Estimand"), *(Text(name, name.capitalize()) for name in along), Percent("median", "Support", 1),
               Interval("lower", "upper", "95 % interval"))
    return Table("estimands", frame, "The same posterior on different populations", columns,
                 "Three questions that are often mixed up: people with these covariates, these very respondents, and the population.")


def _change(survey: Survey) -> Section:
    first, second = survey.waves or ("", "")
    parts = _changes(survey)
    dim = change_in_means(survey.study, first, second, weighted=survey.study.weighted)
    fig = figures.change_between_waves(parts["change"], dim, waves=(first, second), title=f"Change in support, {first} to {second}",
                                       subtitle="population held fixed" if survey.study.population is not None else "")
    blocks: list[Block] = [figure(fig, name="change-all", synthetic=survey.study.synthetic,
                                  caption="Posterior of the change, and beside it the difference of the two differences in means.")]
    blocks.append(_change_table(survey, parts, dim))
    for group in survey.by:
        draws = _changes(survey, by=group)["change"]
        table = change_in_means(survey.study, first, second, by=group, weighted=survey.study.weighted)
        table = table[table[group].isin(draws[group].to_numpy()) & table["estimate"].notna()]
        drawn = figures.change_between_waves(draws, table, waves=(first, second), title=f"Change by {group}")
        blocks.append(figure(drawn, name=f"change-{_id(group)}", synthetic=survey.study.synthetic, caption=f"Change by {group}."))
        blocks.append(_change_by(draws, table, group))
    row = estimates.summarise(parts["change"]).iloc[0]
    lead = (f"Support changed by {100 * row['median']:+.0f} points ({100 * row['lower']:+.0f} to {100 * row['upper']:+.0f}); "
            f"P(decline) = {probability_words(row['p_below_zero'])}.")
    return Section("change", "Change between waves", lead, tuple(blocks))


def _change_table(survey: Survey, parts: xr.Dataset, dim: pd.DataFrame) -> Table:
    own = estimates.change(survey.tree, *(survey.waves or ("", "")), population="sample")
    rows = [(f"on the {parts.attrs['population']}", parts["change"]), ("on each wave's own sample", own["change"]),
            ("   of which: opinion (same make-up)", own["rate"]), ("   of which: make-up of the samples", own["composition"])]
    frame = pd.concat([estimates.summarise(draws).assign(quantity=name, fell20=float((draws <= -0.2).mean())) for name, draws in rows],
                      ignore_index=True)
    z = dim.iloc[0]
    last = {"quantity": "difference in means (no model)", "median": z["estimate"], "lower": z["lower"], "upper": z["upper"]}
    frame = pd.concat([frame, pd.DataFrame([last])], ignore_index=True)
    columns = (Text("quantity", "Change"), Points("median", "Estimate", 1), Interval("lower", "upper", "95 % interval", points=True),
               Percent("p_below_zero", "P(decline)", 1), Percent("fell20", "P(decline of 20 points or more)", 1))
    return Table("change-all", frame, "Change in support, and what it is made of", columns)


def _change_by(draws: xr.DataArray, dim: pd.DataFrame, group: str) -> Table:
    rows = estimates.summarise(draws)
    other = dim.rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})
    rows = rows.merge(other[[group, "dim", "dim_lower", "dim_upper"]], on=group, how="left")
    columns = (Text(group, group.capitalize()), Points("median", "Change"), Interval("lower", "upper", "95 % interval", points=True),
               Percent("p_below_zero", "P(decline)"), Points("dim", "Difference in means"),
               Interval("dim_lower", "dim_upper", "its 95 % interval", points=True))
    return Table(f"change-{_id(group)}", rows, f"Change by {group}", columns)


def _model(survey: Survey) -> Section:
    tree = survey.tree
    observed, replicated = tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset()
    counts = predictive.answers_by_arm(observed, replicated)
    fig = figures.answers_by_arm(counts, _replicated(replicated), title="Answers by arm",
                                 subtitle="observed shares, and what the fitted model predicts")
    result = loo(tree)
    facts = Facts((("LOO: expected log predictive density", f"{result.elpd:.1f} (s.e. {result.se:.1f})"),
                   ("Effective number of parameters", f"{result.p:.1f}"),
                   ("Respondents with a high Pareto k", f"{_bad_k(tree, result):,} of {result.n_data_points:,}")))
    blocks: tuple[Block, ...] = (CheckList(fit_checks(tree)), figure(fig, name="answers", synthetic=survey.study.synthetic,
                                 caption="Answers by arm: bars observed, points and intervals replicated (95 %)."), facts)
    return Section("model-checks", "Checks of the model", "Whether the sampler worked and whether the model reproduces the answers.", blocks)


def _bad_k(tree: xr.DataTree, result: Any) -> int:
    return int(tree["observed_data"]["pattern_n"].to_numpy()[result.pareto_k.to_numpy() > result.good_k].sum())


def _replicated(replicated: xr.Dataset) -> xr.DataArray:
    """Replicated counts by arm, (chain, draw, arm, answer); the answer that the control arm does not have is 0."""
    arms = {arm: replicated[f"answer_{arm}"].sum("cell").rename({f"{arm}_answer": "answer"}) for arm in ("control", "treatment")}
    longest = arms["treatment"].sizes["answer"]
    padded = [a.pad(answer=(0, longest - a.sizes["answer"]), constant_values=0).drop_vars("answer", errors="ignore") for a in arms.values()]
    return xr.concat(padded, dim=pd.Index(list(arms), name="arm")).assign_coords(answer=np.arange(longest))


def _robustness(survey: Survey) -> Section:
    trees = {"this report's model": survey.tree, **survey.alternatives}
    scores = compare(trees)
    rows = [(name, *_middle(tree), float(scores.set_index("model").loc[name, "elpd"])) for name, tree in trees.items()]
    frame = pd.DataFrame(rows, columns=["model", "estimate", "lower", "upper", "elpd"])
    dim = difference_in_means(survey.study, weighted=survey.study.weighted).iloc[0]
    fig = figures.robustness(frame, dim=(dim["estimate"], dim["lower"], dim["upper"]), chosen="this report's model",
                             title="Support under other models", subtitle="all waves together" if survey.study.waves else "")
    columns = (Text("model", "Model"), Number("elpd", "LOO elpd", 1), Number("elpd_diff", "Difference to the best", 1),
               Number("dse", "its s.e.", 1), Number("weight", "Stacking weight", 2), Number("bad_k", "High Pareto k"))
    blocks: list[Block] = [figure(fig, name="robustness", synthetic=survey.study.synthetic, caption="The same estimand under every model tried."),
                           Table("models", scores, "Leave-one-out comparison", columns,
                                 "Difference in expected log predictive density; read it against its standard error.")]
    if survey.waves:
        blocks.append(_change_robustness(survey, trees))
    return Section("robustness", "Robustness", "What changes when the assumptions on lying, careless answers or control counts change.",
                   tuple(blocks))


def _change_robustness(survey: Survey, trees: Mapping[str, xr.DataTree]) -> Table:
    first, second = survey.waves or ("", "")
    frame = pd.concat([estimates.summarise(estimates.change(tree, first, second)["change"]).assign(model=name)
                       for name, tree in trees.items()], ignore_index=True)
    columns = (Text("model", "Model"), Points("median", "Change", 1), Interval("lower", "upper", "95 % interval", points=True),
               Percent("p_below_zero", "P(decline)", 1))
    return Table("change-models", frame, "Change in support under every model tried", columns)


def _middle(tree: xr.DataTree) -> tuple[float, float, float]:
    row = estimates.summarise(estimates.prevalence(tree)).iloc[0]
    return float(row["median"]), float(row["lower"]), float(row["upper"])


def _priors(survey: Survey) -> Section:
    table = pd.DataFrame(report_text.priors_used(survey.tree), columns=["parameter", "prior"])
    blocks: list[Block] = [Table("priors", table, "Priors", (Text("parameter", "Parameter"), Text("prior", "Prior")),
                                 "Slopes are those of centred columns, numeric ones divided by two standard deviations; sd are those "
                                 "of group effects. A Beta prior on an intercept is that of the probability.")]
    if "prior" in survey.tree.children:
        before = estimates.prevalence(_as_prior(survey.tree))
        after = estimates.prevalence(survey.tree)
        fig = figures.prior_posterior({"prevalence": before}, {"prevalence": after}, {"prevalence": "Support"}, percent=["prevalence"],
                                      title="How far the data moved support")
        blocks.append(figure(fig, name="prior", synthetic=survey.study.synthetic, caption="Support before (outline) and after the data."))
        ratio = float(after.var() / before.var())
        blocks.append(Paragraph(f"The posterior variance of support is {ratio:.0%} of its prior variance."))
    return Section("priors", "Priors and their weight", "What was assumed before the data, and how much of it is left.", tuple(blocks))


def _as_prior(tree: xr.DataTree) -> xr.DataTree:
    """The tree with its prior in the place of the posterior, so that estimates of it are prior estimates."""
    nodes = {name: node.to_dataset() for name, node in tree.children.items() if name != "posterior"}
    out = xr.DataTree.from_dict({**nodes, "posterior": nodes["prior"]})
    out.attrs = dict(tree.attrs)
    return out


def _methods(survey: Survey) -> Section:
    blocks = (Code("Methods paragraph, to paste", report_text.methods_paragraph(survey.tree)),
              Code("References", report_text.BIBTEX, "bibtex"), Code("To reproduce", survey.command or "see the attributes below", "sh"),
              Items(tuple(report_text.versions(survey.tree))))
    return Section("methods", "Methods and reproduction", "Ready to paste; every number above is computed by the command below.", blocks)


def _changes(survey: Survey, by: str | Sequence[str] = ()) -> xr.Dataset:
    first, second = survey.waves or ("", "")
    return estimates.change(survey.tree, first, second, by=by)


def _dim(survey: Survey, by: Sequence[str]) -> pd.DataFrame:
    """Difference in means for the groups that have a posterior, as text levels; groups without both arms are left out."""
    table = difference_in_means(survey.study, by=by, weighted=survey.study.weighted)
    table = table[table["estimate"].notna() & table["se"].notna()]
    draws = estimates.prevalence(survey.tree, by=by)
    for name in by:
        table = table[table[name].isin(list(draws[name].to_numpy()))]
    return table.reset_index(drop=True)


def _beside(rows: pd.DataFrame, dim: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    other = dim.rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})
    other["n"] = other["n_control"] + other["n_treatment"]
    other = other[[*by, "dim", "dim_lower", "dim_upper", "n"]]
    if not by:
        return pd.concat([rows, other], axis=1)
    for name in by:
        other[name] = other[name].astype(object)
        rows[name] = rows[name].astype(object)
    return rows.merge(other, on=by, how="left")


def _with_truth(rows: pd.DataFrame, truth: pd.DataFrame, by: list[str], wave: str | None) -> pd.DataFrame:
    group = next((name for name in by if name != wave), "all")
    known = truth[truth["group"] == group].rename(columns={"prevalence": "truth", "level": group})
    keys = [name for name in by if name in known.columns]
    return rows.merge(known[[*keys, "truth"]], on=keys, how="left") if keys else rows.assign(truth=np.nan)


def _id(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-") or "group"


def _percent(row: pd.Series) -> str:
    return f"{100 * row['median']:.0f} %"


def _interval(row: pd.Series) -> str:
    return f"{100 * row['lower']:.0f} to {100 * row['upper']:.0f} %"
