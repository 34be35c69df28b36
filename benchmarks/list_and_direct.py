"""Published studies that asked the same thing by a list and directly, analysed again: without a model, and list and direct jointly.

``python benchmarks/list_and_direct.py`` prints the tables as Markdown. The counts of Aronow et al. (2015) and Eady (2017) come with
the package. The 1994 Multi-Investigator Study asked one half the list and the other half directly; its respondents do not, so
name a file of them (columns y, treat, sensitive, south, male; empty where not asked) to have its tables printed as well:
``python benchmarks/list_and_direct.py path/to/mis.csv``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import chi2

from bayes_listexp import (
    DirectQuestion,
    InputError,
    ListExperiment,
    combined_estimate,
    compare,
    contraction,
    difference_in_means,
    fit,
    fit_checks,
    misreporting,
    placebo_tests,
    power_scaling,
    prevalence,
    summarise,
)
from bayes_listexp.checks.questions import contradictions
from bayes_listexp.spec import bundled

STUDIES = {
    "ACCG 2015, list 1": "accg2015-list1",
    "ACCG 2015, list 2": "accg2015-list2",
    "ACCG 2015, list 3": "accg2015-list3",
    "Eady 2017, gender": "eady2017-gender",
}
"""The studies by the name that the tables print, and by that of the bundled counts."""

MODELS: dict[str, dict[str, Any]] = {
    "one-sided": {"lies": "one_sided"},
    "one-sided, careless": {"lies": "one_sided", "response": "careless"},
    "two-sided": {"lies": "two_sided"},
    "two-sided, lies whatever the count": {"lies": "two_sided", "count": False},
    "two-sided, careless": {"lies": "two_sided", "response": "careless"},
    "two-sided, counts alike": {"lies": "two_sided", "dependence": "none"},
    "two-sided, counts saturated": {"lies": "two_sided", "dependence": "saturated"},
}
"""The joint models: which lies the direct question allows, and arguments of fit. Counts alike: the same with and without the trait."""

ESTIMATES = ("prevalence", "sensitivity_bias", "liars", "lie_rate", "false_confessions", "false_confession_rate")
GIVEN = "list given the direct answer"
SETTINGS = ("lies", "lie", "false_yes", "count")
J_OF_HALVES = 4


class Fits(NamedTuple):
    """Fitted trees and the seconds each took by the model's name, and the message of each model that was refused."""

    trees: dict[str, xr.DataTree]
    seconds: dict[str, float]
    refused: dict[str, str]


def study(name: str) -> ListExperiment:
    """A bundled study by the name of its counts; answers that nobody gave are no rows."""
    counts = _counts(name)
    return ListExperiment.from_counts(
        counts, answer="item_count", arm="arm", n="n", J=_items(counts), covariates=[],
        instruments=[DirectQuestion("direct", yes="yes", no="no")],
    ).described(name=name)  # fmt: skip


def _counts(name: str) -> pd.DataFrame:
    return pd.read_csv(bundled("published_counts.csv")).query("study == @name and n > 0")


def _items(counts: pd.DataFrame) -> int:
    return int(counts["n_control_items"].iloc[0])


def halves(path: str | Path, *, asked: Sequence[str] = ("list", "direct")) -> ListExperiment:
    """The Multi-Investigator Study as one study: a list half, and a half that was asked directly. ``asked`` may be ("list",)."""
    frame = pd.read_csv(path)
    frame = frame if "direct" in asked else frame[frame["y"].notna()]
    return ListExperiment.from_frame(
        frame, answer="y", arm="treat", J=J_OF_HALVES, covariates=["south", "male"],
        instruments=[DirectQuestion("sensitive")] if "direct" in asked else [],
    )  # fmt: skip


def without_model(the_study: ListExperiment) -> dict[str, Any]:
    """The design-based numbers of a study: direct share, DIM, combined estimate, placebo tests, contradictions."""
    row = combined_estimate(the_study).iloc[0]
    tests = placebo_tests(the_study).set_index("test")
    return {
        "n": row["n"], "direct": row["direct"], "direct_se": row["direct_se"], "dim": row["dim"], "dim_se": row["dim_se"],
        "combined": row["estimate"], "combined_se": row["se"],
        "placebo_1": tests.loc["I", "estimate"], "placebo_1_se": tests.loc["I", "se"], "placebo_1_p": tests.loc["I", "p"],
        "placebo_2": tests.loc["II", "estimate"], "placebo_2_se": tests.loc["II", "se"], "placebo_2_p": tests.loc["II", "p"],
        "yes_and_0": float(contradictions(the_study).estimate or 0),
    }  # fmt: skip


def identities(the_study: ListExperiment) -> dict[str, float]:
    """What two-sided lies imply without a model of the counts, from the differences in means t among direct no and yes.

    With D the direct share, (1 - D) t_no are liars and D (1 - t_yes) false confessions, shares of all.
    """
    row = without_model(the_study)
    share, t_yes = row["direct"], row["placebo_1"]
    liars, false = row["combined"] - share, share * (1 - t_yes)
    with_trait = liars + share - false
    return {
        "prevalence": with_trait, "sensitivity_bias": with_trait - share, "liars": liars, "lie_rate": liars / with_trait,
        "false_confessions": false, "false_confession_rate": false / (1 - with_trait),
    }  # fmt: skip


def given_direct(name: str, **arguments: Any) -> tuple[xr.DataTree, pd.DataFrame]:
    """The list alone, with a prevalence and control counts of their own for direct no and direct yes, and what follows from it.

    Unlike the joint models it does not assume that people with (or without) the trait have the same control counts whatever they
    said directly. Rows as :func:`estimates`; the direct share has a uniform prior.
    """
    counts = _counts(name)
    the_study = ListExperiment.from_counts(counts, answer="item_count", arm="arm", n="n", J=_items(counts), covariates=["direct"])
    tree = fit(the_study, trait="1 + direct", control="1 + direct", **arguments)
    by_answer = prevalence(tree, by="direct", population="sample")
    no, yes = (by_answer.sel(direct=answer, drop=True) for answer in ("no", "yes"))
    said = counts.groupby("direct")["n"].sum()
    share = np.random.default_rng(1).beta(1 + said["yes"], 1 + said["no"], size=no.shape)
    liars, false = (1 - share) * no, share * (1 - yes)
    with_trait = liars + share - false
    draws = (with_trait, with_trait - share, liars, liars / with_trait, false, false / (1 - with_trait))
    return tree, pd.concat([summarise(d).assign(estimate=e) for e, d in zip(ESTIMATES, draws, strict=True)], ignore_index=True)


def fits(the_study: ListExperiment, models: Mapping[str, Mapping[str, Any]], **arguments: Any) -> Fits:
    """Each model fitted to a study, or refused; ``arguments`` go to all."""
    out = Fits({}, {}, {})
    for name, model in models.items():
        own = {key: value for key, value in model.items() if key not in SETTINGS}
        settings = {key: value for key, value in model.items() if key in SETTINGS}
        start = perf_counter()
        try:
            out.trees[name] = fit(the_study, instruments={"direct": settings}, **own, **arguments)
        except InputError as error:
            out.refused[name] = str(error)
        else:
            out.seconds[name] = perf_counter() - start
    return out


def estimates(tree: xr.DataTree, names: Sequence[str] = ESTIMATES, by: str | None = None) -> pd.DataFrame:
    """Mean and 95 % interval of each estimate: a row per estimate, and per level of ``by``."""
    draws = misreporting(tree, by=[] if by is None else [by])
    return pd.concat([summarise(draws[name]).assign(estimate=name) for name in names], ignore_index=True)


def deviance(tree: xr.DataTree) -> tuple[float, int, float]:
    """G-squared of the table of arm, direct answer and answer at the posterior mean, its degrees of freedom, and p.

    For studies without covariates in which everybody answered both. Small p: the model does not reproduce the joint table.
    """
    n = tree["observed_data"]["pattern_n"].to_numpy()
    likelihood = tree["log_likelihood"]["answer_given"]
    expected = np.exp(likelihood).mean(["chain", "draw"]).to_numpy()
    treated = likelihood["arm"].to_numpy() == "treatment"
    of_arm = np.where(treated, n[treated].sum(), n[~treated].sum())
    found = float(2 * (n * np.log(n / (of_arm * expected))).sum())
    cells = 2 * (2 * tree["report_tables"].sizes["count"] + 1)
    free = tree["unconstrained_posterior"].sizes["unconstrained_parameter"]
    return found, cells - 2 - free, float(chi2.sf(found, cells - 2 - free))


def differences(frame: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """List minus direct of two separate halves without a model: DIM, direct share and their difference, with standard errors."""
    levels = [None] if by is None else sorted(frame[by].unique())
    rows = []
    for level in levels:
        part = frame if level is None else frame[frame[by] == level]
        listed = ListExperiment.from_frame(part[part["y"].notna()], answer="y", arm="treat", J=J_OF_HALVES, covariates=[])
        dim = difference_in_means(listed).iloc[0]
        told = part["sensitive"].dropna()
        direct, se = told.mean(), float(np.sqrt(told.var() / len(told)))
        rows.append([listed.n, len(told), dim["estimate"], dim["se"], direct, se, dim["estimate"] - direct, np.hypot(dim["se"], se)])
    columns = ["n_list", "n_direct", "dim", "dim_se", "direct", "direct_se", "difference", "difference_se"]
    return pd.DataFrame(rows, columns=columns, index=levels)


def contributions(tree: xr.DataTree, parameters: Sequence[str]) -> pd.DataFrame:
    """What the prior adds: its own mean and 95 % interval of the bias, the bias's sensitivities, and contractions of parameters."""
    before = xr.DataTree.from_dict({**{name: node.to_dataset() for name, node in tree.children.items()},
                                    "posterior": tree["prior"].to_dataset()})  # fmt: skip
    before.attrs = tree.attrs
    prior = estimates(before, ["sensitivity_bias"]).iloc[0]
    bias = misreporting(tree)["sensitivity_bias"]
    scaled = power_scaling(tree, quantities={"bias": bias}).set_index("quantity").loc["bias"]
    narrowed = contraction(tree).set_index("parameter")["contraction"].reindex(parameters)
    return pd.DataFrame([{
        "prior of the bias": percent(prior), "P(bias < 0)": f"{float((bias < 0).mean()):.2f}",
        "sensitivity to the prior": f"{scaled['prior']:.3f}", "to the likelihood": f"{scaled['likelihood']:.3f}",
        "diagnosis": scaled["diagnosis"],
        **{f"contraction of {name}": "-" if np.isnan(value) else f"{value:.2f}" for name, value in narrowed.items()},
    }])  # fmt: skip


def separate(path: str | Path, **arguments: Any) -> tuple[xr.DataTree, pd.DataFrame]:
    """List half and direct half each alone: the list's fit, and prevalence and bias with a uniform prior of the direct share."""
    frame = pd.read_csv(path)
    tree = fit(halves(path, asked=["list"]), **arguments)
    draws = prevalence(tree)
    yes, told = frame["sensitive"].sum(), frame["sensitive"].notna().sum()
    direct = np.random.default_rng(1).beta(1 + yes, 1 + told - yes, size=draws.shape)
    parts = {"prevalence": draws, "sensitivity_bias": draws - direct}
    return tree, pd.concat([summarise(values).assign(estimate=name) for name, values in parts.items()], ignore_index=True)


def percent(row: Any) -> str:
    """A summary as text: mean and interval in per cent."""
    return f"{100 * row['mean']:.1f} ({100 * row['lower']:.1f} to {100 * row['upper']:.1f})"


def with_se(estimate: float, se: float) -> str:
    """An estimate and its standard error in per cent."""
    return f"{100 * estimate:.1f} ({100 * se:.1f})"


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, without its index."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_without_model() -> pd.DataFrame:
    """The design-based numbers of every bundled study as text, in per cent."""
    rows = []
    for label, name in STUDIES.items():
        r = without_model(study(name))
        rows.append({
            "study": label, "n": f"{r['n']:,.0f}", "list, DIM (s.e.)": with_se(r["dim"], r["dim_se"]),
            "direct (s.e.)": with_se(r["direct"], r["direct_se"]), "combined (s.e.)": with_se(r["combined"], r["combined_se"]),
            "placebo I: 100 expected": with_se(r["placebo_1"], r["placebo_1_se"]), "p": f"{r['placebo_1_p']:.2g}",
            "placebo II: 0 expected": with_se(r["placebo_2"], r["placebo_2_se"]), "p ": f"{r['placebo_2_p']:.2g}",
            "yes, and 0 on the treatment list": f"{r['yes_and_0']:.0f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def table_of_fits(name: str, found: Fits, given: pd.DataFrame) -> pd.DataFrame:
    """The joint models of a bundled study as text, best first, below what the differences in means imply and what the list says
    ``given`` the direct answer; shares in per cent.
    """
    implied = {key: f"{100 * value:.1f}" for key, value in identities(study(name)).items()}
    rows = [{"model": "differences in means", **implied},
            {"model": GIVEN, **as_text(given)}]
    for row in compare(found.trees).itertuples():
        tree = found.trees[row.model]
        g2, degrees, p = deviance(tree)
        rows.append({"model": row.model, **as_text(estimates(tree)), "elpd difference (s.e.)": f"{row.elpd_diff:.1f} ({row.dse:.1f})",
                     "stacking weight": f"{row.weight:.2f}", "G2 (df, p)": f"{g2:.1f} ({degrees}, {p:.2g})"})  # fmt: skip
    return readable(rows)


def against_two_sided(found: Fits) -> tuple[str, float, float]:
    """The one-sided model (with careless answers where it is refused without), and how much more elpd two-sided lies have, with s.e."""
    one = "one-sided" if "one-sided" in found.trees else "one-sided, careless"
    table = compare({name: found.trees[name] for name in (one, "two-sided")}).set_index("model")
    difference = table.loc["two-sided", "elpd_diff"] - table.loc[one, "elpd_diff"]
    return one, float(difference), float(table["dse"].max())


def table_of_pairs(found: Mapping[str, Fits]) -> pd.DataFrame:
    """One-sided against two-sided lies in each bundled study, as text."""
    pairs = {label: against_two_sided(fitted) for label, fitted in found.items()}
    return pd.DataFrame([{"study": label, "compared with": one, "elpd of two-sided minus one-sided (s.e.)": f"{more:.1f} ({se:.1f})"}
                         for label, (one, more, se) in pairs.items()])  # fmt: skip


def table_of_checks(found: Mapping[str, Fits]) -> pd.DataFrame:
    """fit_checks of every fit: the number each check rests on, in bold where the check failed, and the seconds of the fit."""
    rows = []
    for label, fitted in found.items():
        for model, tree in fitted.trees.items():
            checks = [check for check in fit_checks(tree) if check.estimate is not None]
            told = {c.name: f"**{c.estimate:.4g}**" if c.passed is False else f"{c.estimate:.4g}" for c in checks}
            rows.append({"study": label, "model": model, **told, "seconds": f"{fitted.seconds[model]:.0f}"})
    return pd.DataFrame(rows).rename(columns={"answers predicted": "answers outside their 99 % interval"})


def table_of_differences(path: str | Path) -> pd.DataFrame:
    """List minus direct of the two halves without a model, in all and by group, in per cent."""
    frame = pd.read_csv(path)
    parts = [differences(frame).assign(group="all")]
    parts += [(t := differences(frame, by)).assign(group=[f"{by} = {level:.0f}" for level in t.index]) for by in ("south", "male")]
    return pd.DataFrame([{
        "group": r.group, "n list": r.n_list, "n direct": r.n_direct, "list, DIM (s.e.)": with_se(r.dim, r.dim_se),
        "direct (s.e.)": with_se(r.direct, r.direct_se), "list minus direct (s.e.)": with_se(r.difference, r.difference_se),
    } for r in pd.concat(parts).itertuples()])  # fmt: skip


LIES = ("direct_lie_intercept", "direct_false_yes_intercept")
GROUPED = "1 + south + male"
HALVES_MODELS: dict[str, dict[str, Any]] = {
    "one-sided": {"lies": "one_sided"},
    "two-sided": {"lies": "two_sided"},
    "one-sided, by group": {"lies": "one_sided", "lie": GROUPED, "trait": GROUPED},
    "two-sided, by group": {"lies": "two_sided", "lie": GROUPED, "false_yes": GROUPED,
                            "trait": GROUPED},
}


def tables_of_halves(path: str | Path, **arguments: Any) -> tuple[dict[str, pd.DataFrame], Fits]:
    """Tables of the Multi-Investigator Study by their titles, and the fits."""
    found = fits(halves(path), HALVES_MODELS, **arguments)
    start = perf_counter()
    alone, apart = separate(path, **arguments)
    everything = Fits({"list alone": alone} | found.trees, {"list alone": perf_counter() - start} | found.seconds, found.refused)
    together, grouped = tuple(HALVES_MODELS)[:2], tuple(HALVES_MODELS)[2:]
    rows = [{"model": "each half alone", **as_text(apart)}]
    rows += [{"model": model, **as_text(estimates(found.trees[model]))} for model in together]
    priors = [contributions(found.trees[model], LIES).assign(model=model) for model in together]
    pairs = [compare({model: found.trees[model] for model in pair}) for pair in (together, grouped)]
    return {
        "without a model": table_of_differences(path),
        "jointly": readable(rows),
        "by group": readable([row for model in grouped for row in rows_by_group(model, found.trees[model])]),
        "what the prior adds": pd.concat(priors).set_index("model").reset_index(),
        "comparison": pd.concat(pairs)[["model", "elpd_diff", "dse", "weight"]].round(2),
    }, everything


def rows_by_group(model: str, tree: xr.DataTree) -> list[dict[str, str]]:
    """Prevalence, bias and lie rate by region and gender as text."""
    rows = []
    for by in ("south", "male"):
        for level, part in estimates(tree, ["prevalence", "sensitivity_bias", "lie_rate"], by).groupby(by):
            below = part.set_index("estimate").loc["sensitivity_bias", "p_below_zero"]
            rows.append({"model": model, "group": f"{by} = {level:.0f}", **as_text(part), "P(bias < 0)": f"{below:.2f}"})
    return rows


def as_text(summary: pd.DataFrame) -> dict[str, str]:
    """Estimates by name, as text in per cent."""
    return {row["estimate"]: percent(row) for row in summary.to_dict("records")}


def readable(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Rows as a table, empty where a row has no such entry, with words for headings."""
    return pd.DataFrame(rows).fillna("").rename(columns=lambda name: name.replace("_", " "))


def main(path: str | None = None, **arguments: Any) -> None:
    """Print everything; ``path`` names the file of the Multi-Investigator Study."""
    print("## Without a model\n\nIn per cent.\n\n" + markdown(table_without_model()))
    found = {}
    for label, name in STUDIES.items():
        joint = fits(study(name), MODELS, **arguments)
        start = perf_counter()
        alone, given = given_direct(name, **arguments)
        found[label] = Fits({GIVEN: alone} | joint.trees, {GIVEN: perf_counter() - start} | joint.seconds, joint.refused)
        print(f"\n## {label}: list and direct question jointly\n\nShares in per cent, 95 % intervals.\n\n"
              + markdown(table_of_fits(name, joint, given)))  # fmt: skip
        for model, message in joint.refused.items():
            print(f"\nRefused, {model}: {message}")
    print("\n## Two-sided against one-sided lies\n\n" + markdown(table_of_pairs(found)))
    if path is not None:
        tables, found["Multi-Investigator Study"] = tables_of_halves(path, **arguments)
        for title, table in tables.items():
            print(f"\n## Multi-Investigator Study 1994, {title}\n\n" + markdown(table))
    print("\n## Checks of the fits\n\nIn bold where the check failed.\n\n" + markdown(table_of_checks(found)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
