"""The page docs/violations.md: tables and figures from what :mod:`benchmarks.violations` has kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayes_listexp import lying_bounds, refusal_bounds
from bayes_listexp.figures import to_svg
from bayes_listexp.figures.style import GREY, INK, RULE, styled
from benchmarks.mrp_nation import lines
from benchmarks.violation_checks import failed
from benchmarks.violation_models import LARGEST_K, study_of
from benchmarks.violations import (
    CHEAP,
    DEFAULT,
    DIM,
    LARGE,
    LIKELIHOODS,
    MODELS,
    SCENARIOS,
    cheap_estimates,
    distributions,
    drawn,
    kept_posteriors,
    limit_of_means,
    results_file,
)
from benchmarks.violations_text import CONCLUSION, HEADINGS, INTRODUCTION

STATIC = Path(__file__).parents[1] / "docs" / "_static"
GROUPS: Mapping[str, Sequence[str]] = {
    "likelihood": (DIM, *LIKELIHOODS),
    "counts": (DEFAULT, *(name for name in MODELS if name != DEFAULT and "response" not in MODELS[name])),
    "responses": (DEFAULT, *(name for name in MODELS if "response" in MODELS[name])),
}
DRAWN = {DIM: ("s", "#a8430b"), "ML, binomial": ("X", "#1a1a1a"), DEFAULT: ("o", "#1b4f8a"), "free": ("D", "#2a7f62"),
         "liars, free": ("^", "#8a5ba8")}  # fmt: skip
"""Estimators in the figures, told apart by shape as well as colour."""
BOUNDED, BOUNDED_STUDIES = ("nothing wrong", "ceiling lies", "floor lies", "unequal refusals"), 100
ITEMS = [name for name in SCENARIOS if "item" in name and name != "item left out"]
"""Scenarios in which all that is unusual are the control items."""
SURE = 2.0
"""How many standard errors the better of two models is ahead in LOO to be preferred."""


COLUMNS = ["scenario", "estimator", "bias", "rmse", "coverage", "width", "none", "studies"]


def measures(size: int = 1) -> pd.DataFrame:
    """One row per scenario and estimator: bias, RMSE, coverage, mean width, share without an interval, studies; in probabilities."""
    rows = []
    for name in SCENARIOS:
        if kept := of_scenario(name, size):
            rows += without_priors(name, size)
            rows += [measured(name, label, np.array([one["prevalence"] for one in by_study.values()])[:, [1, 2, 3]])
                     for label, by_study in kept.items()]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def kept_rows(kind: str, name: str, size: int, compute: Callable[[], list[list[Any]]]) -> list[list[Any]]:
    """Rows about a scenario that are kept once they were computed; each begins with the scenario's name."""
    path = results_file(kind, size)
    rows = [line["row"] for line in lines(path) if line["row"][0] == name]
    if not rows:
        rows = compute()
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps({"row": row}) + "\n" for row in rows)
    return rows


def without_priors(name: str, size: int) -> list[list[Any]]:
    """The measures of the estimators without priors."""
    return kept_rows("cheap", name, size, lambda: [measured(name, *one) for one in cheap_estimates(name, CHEAP, size).items()])


def measured(name: str, label: str, values: np.ndarray) -> list[Any]:
    """A row of :func:`measures` from estimates and intervals, (study, 3). The posterior median stands for the estimate."""
    truth, (low, high) = SCENARIOS[name].prevalence, values[:, 1:].T
    error, covered = values[:, 0] - truth, (low <= truth) & (truth <= high)  # without an interval the truth is in none
    return [name, label, float(error.mean()), float(np.sqrt((error**2).mean())), float(covered.mean()),
            float(np.nanmean(high - low)), float(np.isnan(low).mean()), len(values)]  # fmt: skip


def of_scenario(name: str, size: int = 1) -> dict[str, dict[int, dict[str, Any]]]:
    """What is kept of a scenario's posteriors, by model and study."""
    out: dict[str, dict[int, dict[str, Any]]] = {}
    for (scenario, study), by_model in _posteriors(size).items():
        for label, one in by_model.items() if scenario == name else ():
            out.setdefault(label, {})[study] = one
    return {label: out[label] for label in MODELS if label in out}


_posteriors = cache(kept_posteriors)


def markdown(frame: pd.DataFrame) -> str:
    """A table of text as Markdown."""
    rows = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def points(value: float, sign: bool = False) -> str:
    """A probability in percentage points."""
    return f"{100 * value:+.1f}".replace("-", "−") if sign else f"{100 * value:.1f}"


def by_scenario(table: pd.DataFrame, labels: Sequence[str], what: str) -> str:
    """Scenarios by estimators: coverage in per cent and bias in points, or RMSE and width in points."""
    wide = table.set_index(["scenario", "estimator"])
    rows = []
    for name in dict.fromkeys(table["scenario"]):
        row = {"scenario": name}
        for label in labels:
            one = wide.loc[(name, label)]
            if what == "coverage":
                told = f"{100 * one['coverage']:.0f}"
                row[label] = f"{f'**{told}**' if one['coverage'] < 0.9 else told} ({points(one['bias'], sign=True)})"
            else:
                row[label] = f"{points(one['rmse'])} ({points(one['width'])})"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def overall(table: pd.DataFrame) -> str:
    """One row per estimator over all scenarios, and what it costs where nothing is wrong."""
    rows = []
    for label in dict.fromkeys(table["estimator"]):
        part = table[table["estimator"] == label]
        worst, clean = part.loc[part["coverage"].idxmin()], part[part["scenario"] == "nothing wrong"].iloc[0]
        items_only = part[part["scenario"].isin(ITEMS)]
        rows.append({"estimator": label, "distance of coverage from 95 %": points((part["coverage"] - 0.95).abs().mean()),
                     "the same, control items only": points((items_only["coverage"] - 0.95).abs().mean()),
                     "scenarios below 90 %": int((part["coverage"] < 0.9).sum()),
                     "lowest coverage": f"{100 * worst['coverage']:.0f} ({worst['scenario']})",
                     "RMSE": points(part["rmse"].mean()), "nothing wrong: coverage": f"{100 * clean['coverage']:.0f}",
                     "RMSE ": points(clean["rmse"]), "width": points(clean["width"])})  # fmt: skip
    return markdown(pd.DataFrame(rows))


def scenarios_table() -> str:
    """What is wrong, and what it does to the difference in means in the long run."""
    return markdown(pd.DataFrame([
        {"scenario": name, "what": one.wrong, "truth": points(one.prevalence),
         "difference in means tends to": points(limit_of_means(one)),
         "answer 0 and 4 (control), 5 (treatment)": ", ".join(f"{100 * p:.0f}" for p in (*distributions(one)[0][[0, -2]],
                                                                                         distributions(one)[1][-2]))}
        for name, one in SCENARIOS.items()]))  # fmt: skip


def alarm_rates(name: str) -> list[list[Any]]:
    """How often each check fails, and any of the design checks that need no model."""
    found = failed(*drawn(name, CHEAP))
    without_model = np.any([by for check, by in found.items() if not check.endswith("(binomial)")], axis=0)
    return [[name, check, float(by.mean())] for check, by in ({"any": without_model} | found).items()]


def alarms_table() -> str:
    """How often each check fails, in per cent of the studies of a scenario; and answers predicted by two fitted models."""
    rows = []
    for name in SCENARIOS:
        rates = kept_rows("alarms", name, 1, partial(alarm_rates, name))
        row = {"scenario": name} | {check: f"{100 * rate:.0f}" for _, check, rate in rates}
        for label in (DEFAULT, "binomial, no dependence"):
            outside = [one["outside"] > 0 for one in of_scenario(name)[label].values()]
            row[f"answers predicted ({label})"] = f"{100 * np.mean(outside):.0f}"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def preferred_table() -> str:
    """How often LOO prefers a response model to the default by more than its error, and the reverse, in per cent."""
    rows = []
    labels = [label for label in GROUPS["responses"] if label not in (DEFAULT, "deflated")]
    for name in SCENARIOS:
        kept = of_scenario(name)
        control, treatment, _ = drawn(name, CHEAP)
        row: dict[str, Any] = {"scenario": name}
        for label in labels:
            z = []
            for study, one in kept[label].items():
                n = np.append(control[study], treatment[study])
                apart = np.subtract(one["loo"], kept[DEFAULT][study]["loo"])
                mean = n @ apart / n.sum()
                z.append(n @ apart / np.sqrt(n.sum() * (n @ (apart - mean) ** 2 / n.sum())))
            row[label] = f"{100 * np.mean(np.array(z) > SURE):.0f} / {100 * np.mean(np.array(z) < -SURE):.0f}"
        rows.append(row)
    return markdown(pd.DataFrame(rows))


def bounds_of(name: str) -> list[list[Any]]:
    """Of each kind of bounds the coverage of the intervals, and mean widths of bounds and intervals."""
    columns, truth = ["lower", "upper", "interval_lower", "interval_upper"], SCENARIOS[name].prevalence
    rows = []
    for counts in zip(*drawn(name, BOUNDED_STUDIES), strict=True):
        study = study_of(*counts)
        found = {"lies at the edges": lying_bounds(study)[columns].iloc[0]}
        if counts[2].any():
            found |= {f"refusals: {row['of']}": row[columns] for _, row in refusal_bounds(study).iterrows()}
        rows += [(what, low <= truth <= high, upper - lower, high - low) for what, (lower, upper, low, high) in found.items()]
    means = pd.DataFrame(rows).groupby(0, sort=False).mean()
    return [[name, what, *map(float, row)] for what, row in zip(means.index, means.to_numpy(), strict=True)]


def bounds_table() -> str:
    """How often the intervals of bounds hold the truth, with the mean width of bounds and intervals in points."""
    rows = [row for name in BOUNDED for row in kept_rows("bounds", name, 1, partial(bounds_of, name))]
    heads = ["scenario", "bounds under", "coverage", "width of the bounds", "width of the interval"]
    return markdown(pd.DataFrame([[*row[:2], *map(points, row[2:])] for row in rows], columns=heads))


def sampling_words() -> str:
    """How well importance sampling did, and how close it came to long chains."""
    k, ess = np.array([one["prevalence"][4:] for by_model in _posteriors(1).values() for one in by_model.values()]).T
    said = (f"{len(k):,} posteriors: the shape k of the weights is above {LARGEST_K} in {100 * (k > LARGEST_K).mean():.1f} % "
            f"(largest {k.max():.2f}), and the effective number of draws is {np.median(ess):,.0f} (median; least {ess.min():,.0f}).")
    nuts = list(lines(results_file("nuts", 1)))
    apart = [line["apart"] for line in nuts]
    return said + (f" {len(nuts)} of them again by long chains of NUTS on the package's own model "
                   f"({', '.join(dict.fromkeys(line['model'] for line in nuts))}): mean, median and both ends of the interval differ by "
                   f"{np.median(apart):.2f} posterior standard deviations (median of the largest of the four; at most {max(apart):.2f})."
                   if nuts else "")  # fmt: skip


@styled
def dots(table: pd.DataFrame, what: str, label: str, reference: float, alt: str) -> Figure:
    """A row for each scenario, a mark for each estimator of ``DRAWN``."""
    names = list(dict.fromkeys(table["scenario"]))
    fig = Figure(figsize=(7.2, 0.36 * len(names) + 1.1))
    axes = fig.add_axes((0.29, 0.13, 0.68, 0.76))
    for i in range(len(names)):
        axes.axhline(i, color=RULE, linewidth=0.8, zorder=0)
    axes.axvline(reference, color=GREY, linewidth=1.2, zorder=0)
    for step, (estimator, (marker, colour)) in enumerate(DRAWN.items()):
        part = table[table["estimator"] == estimator].set_index("scenario").loc[names]
        at = np.arange(len(names)) + 0.11 * (step - (len(DRAWN) - 1) / 2)
        axes.plot(100 * part[what], at, marker, color=colour, markersize=5.5, label=estimator, markeredgecolor="white",
                  markeredgewidth=0.5)  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label, color=INK)
    fig.legend(loc="upper center", ncols=len(DRAWN), frameon=False, handletextpad=0.1, columnspacing=1.0, fontsize=9)
    fig.set_label(alt)
    return fig


def described(table: pd.DataFrame, what: str, head: str) -> str:
    """A figure in words: all that it shows."""
    said = [f"{name}: " + ", ".join(f"{label} {100 * float(part.set_index('estimator').loc[label, what]):.0f}" for label in DRAWN)
            for name, part in table.groupby("scenario", sort=False)]  # fmt: skip
    return f"{head} {'; '.join(said)}."


def draw_figures(table: pd.DataFrame) -> None:
    """Write both figures into docs/_static."""
    for what, label, reference, head in (
        ("coverage", "Intervals that hold the truth, % (they claim 95)", 95.0, "Coverage of 95 % intervals in per cent, by scenario."),
        ("bias", "Mean error, percentage points", 0.0, "Mean error in percentage points, by scenario."),
    ):
        fig = dots(table, what, label, reference, described(table, what, head))
        (STATIC / f"violations_{what}.svg").write_text(to_svg(fig, name=f"violations-{what}"), encoding="utf-8")


def page() -> str:
    """The page, with its figures drawn."""
    table = measures()
    draw_figures(table)
    studies = table[table["estimator"] == DEFAULT]["studies"]
    out = [INTRODUCTION.format(studies=studies.min(), cheap=CHEAP, error=100 * np.sqrt(0.95 * 0.05 / studies.min()),
                               cheap_error=100 * np.sqrt(0.95 * 0.05 / CHEAP)), scenarios_table(), CONCLUSION]  # fmt: skip
    out += [HEADINGS["overall"], overall(table)]
    for group, labels in GROUPS.items():
        out += [HEADINGS[group], by_scenario(table, labels, "coverage"), HEADINGS["rmse"], by_scenario(table, labels, "rmse")]
    out += [HEADINGS["alarms"], alarms_table(), HEADINGS["preferred"], preferred_table(), HEADINGS["bounds"], bounds_table()]
    if results_file("posteriors", 4).exists():
        large = measures(4)
        labels = (DIM, "ML, binomial", *LARGE)
        number = large[large["estimator"] == DEFAULT]["studies"].min()
        out += [HEADINGS["large"].format(studies=number), by_scenario(large, labels, "coverage"), HEADINGS["rmse"],
                by_scenario(large, labels, "rmse")]  # fmt: skip
    return "\n".join([*out, HEADINGS["sampling"], sampling_words() + "\n"])
