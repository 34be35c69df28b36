"""Checks of the design, the data and the fit: records with a plain sentence each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import entr
from scipy.stats import chi2_contingency

from bayes_listexp import predictive, stored
from bayes_listexp.bounds import refusal_bounds, refusal_words
from bayes_listexp.cells import ARMS
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import YES
from bayes_listexp.instruments.outcome import Outcome
from bayes_listexp.list_and_direct import asked_both, placebo_tests
from bayes_listexp.persons import are_followed
from bayes_listexp.predictive import answers_by_arm
from bayes_listexp.representation import cells_outside_frame, frame_against_sample
from bayes_listexp.survey_design import PERSON
from bayes_listexp.versions import lists_of

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400
LEVEL = 0.05
MANY_AT_THE_EDGE = 0.2
CLASSES_DRAWS = 200
QUADRATURE_LIMIT = 0.1
"""An error of the log-likelihood that moves no posterior."""


class Check(NamedTuple):
    """One check: what it asks, whether it passed (None: for information), the number it rests on, a table, a sentence."""

    name: str
    question: str
    passed: bool | None
    estimate: float | None
    table: pd.DataFrame | None
    text: str


def design_checks(study: ListExperiment, covariates: Sequence[str] = (), *, person: str = "none") -> list[Check]:
    """Checks of the data and the design before any model; ``covariates`` are compared between arms.

    Where people answer in several waves, a record says so, and what it means for a model with these ``person`` effects.

    Tests across covariates and reasons of missingness are adjusted by Holm's method, and say so. Where one list is refused more
    often than the other, bounds say what that can do. Each direct question that was asked of people with a list adds its placebo
    tests and the count of answers that contradict each other. Without a control arm there is nothing to compare, and one record
    that says so. With a population frame the sample is compared with it.
    """
    represented = [same_people(study, person)] if are_followed(study) else []
    represented += [] if study.population is None else [population(study)]
    if study.listed["_treated"].all():
        return [_one_list(study), *represented]
    checks = [missing_by_arm(study), edges(study), dispersion(study), impossible_groups(study, covariates)]
    if any(study.table[name].isna().any() for name in covariates):
        checks.insert(1, missing_covariates(study, covariates))
    if checks[0].passed is False:
        checks.insert(1, bounds_of_refusals(study))
    for name in asked_both(study) if study.item is None else ():
        checks += [*placebo_direct(study, instrument=name), contradictions(study, instrument=name)]
    return [*checks, *([balance(study, covariates)] if covariates else []), *represented]


def _one_list(study: ListExperiment) -> Check:
    """Without a control arm the design cannot be checked; how often each answer was given is all there is to see."""
    counts = study.listed.groupby("_answer")["_n"].sum().reindex(range(study.J + 2), fill_value=0)
    table = pd.DataFrame({"answer": counts.index, "n": counts.to_numpy()})
    text = ("Everybody was shown the treatment list, so nothing of the design can be checked: the result rests on what is known of "
            "the control items from elsewhere.")
    return Check("one list", "Are there two lists to compare?", None, None, table, text)


def same_people(study: ListExperiment, person: str = "none") -> Check:
    """How many people answered in several waves, and what a model with these ``person`` effects makes of it."""
    question = "Are the same people asked in several waves?"
    answers = study.table[PERSON].value_counts()
    several, followed = int((answers > 1).sum()), int(answers[answers > 1].sum())
    table = answers.value_counts().sort_index().rename_axis("answers").rename("people").reset_index()
    text = f"{several:,} of {len(answers):,} people answered in several waves ({followed:,} of {int(answers.sum()):,} answers). "
    if person == "none":
        text += ("The model takes the answers of one person for those of independent people. Where they hang together, intervals of "
                 "changes between waves are wider than they need be and those of averages over waves too narrow. Fit with person = "
                 "'count' (or 'both'), which gives every person an effect of their own.")
    else:
        text += "The model has person effects: what the same person said in several waves hangs together."
    return Check("same people", question, person != "none", float(several), table, text)


def missing_by_arm(study: ListExperiment) -> Check:
    """Whether answers are missing more often in one arm: refusal that depends on the list biases every estimate."""
    question = "Are answers missing equally often in both arms?"
    rows = study.exclusions[study.exclusions["reason"].str.startswith("answer missing")]
    absent = [int(rows["control"].sum()), int(rows["treatment"].sum())]
    present = [int(study.listed.loc[study.listed["_treated"] == arm, "_n"].sum()) for arm in (False, True)]
    table = pd.DataFrame({"arm": ["control", "treatment"], "answered": present, "missing": absent})
    shares = [m / (m + p) for m, p in zip(absent, present, strict=True)]
    if not sum(absent):
        return Check("missing answers", question, True, 0.0, table, "No respondent with a known arm has a missing answer.")
    p = float(chi2_contingency([present, absent], correction=False).pvalue)
    text = (f"{absent[0]} answers ({shares[0]:.1%}) are missing in the control arm and {absent[1]} ({shares[1]:.1%}) in the "
            f"treatment arm (chi-squared test of equal shares, p = {p:.2g}).")
    return Check("missing answers", question, p >= LEVEL, shares[1] - shares[0], table, text)


def bounds_of_refusals(study: ListExperiment) -> Check:
    """How far refusals of the list can move the difference in means: worst case and trimming bounds."""
    by = [study.version] if study.version is not None else []
    table = refusal_bounds(study, by)
    width = (table["upper"] - table["lower"]).iloc[1::2].max()
    words = ([refusal_words(table)] if not by else
             [f"List version {label}: {refusal_words(rows)}" for label, rows in table.groupby(by[0], observed=True)])
    question = "What can the unequal refusals do to the result?"
    return Check("bounds of refusals", question, None, float(width), table, " ".join(words))


def missing_covariates(study: ListExperiment, covariates: Sequence[str]) -> Check:
    """Whether covariates are missing equally often in both arms (they are asked of both alike), Holm-adjusted."""
    rows = []
    for name in [name for name in covariates if study.table[name].isna().any()]:
        counts = study.listed.groupby([study.listed[name].isna(), "_treated"])["_n"].sum().unstack(fill_value=0)
        p = float(chi2_contingency(counts, correction=False).pvalue) if counts.shape == (2, 2) else 1.0
        absent = counts.loc[True]
        rows.append((name, int(absent.get(False, 0)), int(absent.get(True, 0)), p))
    table = pd.DataFrame(rows, columns=["covariate", "control", "treatment", "p"])
    table["p adjusted"] = _holm(table["p"].to_numpy())
    worst = float(table["p adjusted"].min())
    named = ", ".join(f"{r.covariate} ({r.control} control, {r.treatment} treatment)" for r in table.itertuples())
    text = f"Missing: {named}; chi-squared tests of equal shares, smallest Holm-adjusted p = {worst:.2g}."
    question = "Are covariates missing equally often in both arms?"
    return Check("missing covariates", question, worst >= LEVEL, worst, table, text)


def edges(study: ListExperiment) -> Check:
    """How many answers stand at the floor and the ceiling, where an answer gives the trait away."""
    rows, said = [], []
    for label, J, people in lists_of(study):
        floor, ceiling, top = (_share(people, treated, answer) for treated, answer in ((False, 0), (False, J), (True, J + 1)))
        rows += [(label, "control", 0, floor), (label, "control", J, ceiling), (label, "treatment", J + 1, top)]
        said.append(f"{_of_list(label)}In the control arm {floor:.1%} answer 0 and {ceiling:.1%} answer {J}; in the treatment arm "
                    f"{top:.1%} answer {J + 1}, which reveals the sensitive item.")
    table = pd.DataFrame(rows, columns=["version", "arm", "answer", "share"])
    worst = float(table.loc[table["arm"] == "control", "share"].max())
    passed = worst < MANY_AT_THE_EDGE
    said += [] if passed else ["That is many: lying at the edges is likely."]
    return Check("floor and ceiling", "Do few people stand where the answer gives them away?", passed, worst,
                 _of_one_list(table), " ".join(said))


def dispersion(study: ListExperiment) -> Check:
    """Variance of the control counts against the binomial's at the same mean (what a binomial model would assume)."""
    question = "Are control counts as dispersed as independent, equally popular items would be?"
    found, said = [], []
    for label, J, people in lists_of(study):
        rows = people[~people["_treated"]]
        n, y = rows["_n"].to_numpy(dtype=float), rows["_answer"].to_numpy(dtype=float)
        mean = float((n * y).sum() / n.sum())
        variance = float((n * (y - mean) ** 2).sum() / (n.sum() - 1)) if n.sum() > 1 else float("nan")
        binomial = mean * (1 - mean / J)
        if not binomial > 0 or not np.isfinite(variance):
            return Check("dispersion", question, False, None, None, f"{_of_list(label)}Everyone in the control arm gives the same answer, "
                         "0 or all: the list protects nobody.")
        ratio = variance / binomial
        found.append((label, mean, variance, binomial, ratio))
        said.append(f"{_of_list(label)}The control counts have {ratio:.2f} times the variance of a binomial with the same mean, so they "
                    f"are {'less' if ratio < 1 else 'more'} dispersed; the binomial model would be wrong by that much.")
    table = pd.DataFrame(found, columns=["version", "mean", "variance", "binomial variance", "ratio"])
    farthest = float(table["ratio"].iloc[np.argmax(np.abs(np.log(np.maximum(table["ratio"], 1e-12))))])
    return Check("dispersion", question, None, farthest, _of_one_list(table), " ".join(said))


def impossible_groups(study: ListExperiment, covariates: Sequence[str]) -> Check:
    """Groups whose difference in means lies outside 0 to 1 by more than sampling error explains."""
    tables = [difference_in_means(study)] + [difference_in_means(study, by=c) for c in covariates if _is_grouping(study, c)]
    labels = ["everybody"] + [f"{t.columns[0]}: " for t in tables[1:]]
    rows = [(f"{label}{row[t.columns[0]] if label != 'everybody' else ''}", row["estimate"], row["se"])
            for label, t in zip(labels, tables, strict=True) for _, row in t.iterrows()]
    table = pd.DataFrame(rows, columns=["group", "estimate", "se"])
    beyond = np.maximum(-table["estimate"], table["estimate"] - 1) / table["se"]
    table["standard errors outside 0 to 1"] = beyond.clip(lower=0)
    worst = float(np.nanmax(beyond)) if beyond.notna().any() else float("nan")
    limit = 2.0 + 0.5 * np.log(len(table))
    outside = table[(table["estimate"] < 0) | (table["estimate"] > 1)]["group"].tolist()
    text = ("All differences in means lie between 0 and 1." if not outside else
            f"The difference in means is outside 0 to 1 for {', '.join(outside)}; the farthest is {worst:.1f} standard errors outside.")
    return Check("possible differences", "Do the differences in means lie between 0 and 1, up to sampling error?",
                 not worst > limit, worst, table, text)


def balance(study: ListExperiment, covariates: Sequence[str]) -> Check:
    """Whether covariates are distributed alike in both arms, as random assignment makes them."""
    rows = []
    for name in covariates:
        counts = study.listed.assign(_g=_grouping(study, name)).groupby(["_g", "_treated"], observed=True)["_n"].sum().unstack(fill_value=0)
        counts = counts[counts.sum(axis=1) > 0]
        if counts.shape == (len(counts), 2) and len(counts) > 1:
            rows.append((name, float(chi2_contingency(counts, correction=False).pvalue)))
    question = "Are the arms alike, as random assignment makes them?"
    table = pd.DataFrame(rows, columns=["covariate", "p"])
    if not rows:
        return Check("balance", question, None, None, table, "No covariate has two groups to compare between the arms.")
    adjusted = _holm(table["p"].to_numpy())
    table["p adjusted"] = adjusted
    worst = float(adjusted.min())
    unbalanced = table.loc[adjusted < LEVEL, "covariate"].tolist()
    text = (f"The arms differ in {', '.join(unbalanced)} (chi-squared tests, Holm-adjusted for {len(table)} tests)." if unbalanced else
            f"The arms do not differ in {', '.join(table['covariate'])} (chi-squared tests, smallest Holm-adjusted p = {worst:.2g}).")
    return Check("balance", question, not unbalanced, worst, table, text)


def population(study: ListExperiment) -> Check:
    """Where the sample departs most from its population frame, and whether the frame has everybody who was asked.

    Departures in shares are for information (estimates for the population allow for them); respondents in cells that have nobody
    in the frame fail the check. The number is the largest difference in shares, 0-1.

    Raises
    ------
    InputError : the study has no population frame.
    """
    question = "Does the sample look like the population, and does the frame have everybody who was asked?"
    table, outside = frame_against_sample(study), cells_outside_frame(study)
    if table.empty:
        return Check("population", question, None, None, table, "The frame shares no column with the study to compare them by.")
    gaps = (table["sample"] - table["population"]).abs()
    row = table.loc[gaps.idxmax()]
    wave = f" in wave {row[study.wave]}" if study.wave in table.columns else ""
    weighted = f" ({row['weighted']:.1%} with weights)" if "weighted" in table.columns else ""
    text = (f"The sample departs most in {row['column']}: {row['level']} is {row['sample']:.1%} of the respondents{weighted}{wave} and "
            f"{row['population']:.1%} of the population.")
    if len(outside):
        first = ", ".join(f"{name} = {outside[name].iloc[0]}" for name in outside.columns if name != "n")
        text += (f" {int(outside['n'].sum()):,} respondents are in {len(outside)} cells that have nobody in the frame, such as {first}: "
                 "estimates for the population do not count people like them.")
    return Check("population", question, False if len(outside) else None, float(gaps.max()), table, text)


def placebo_direct(study: ListExperiment, *, instrument: str = "direct") -> list[Check]:
    """Placebo tests I and II of a direct question asked beside the list (Aronow et al. 2015), a Check each.

    Raises
    ------
    InputError : as :func:`bayes_listexp.list_and_direct.placebo_tests`.
    """
    table = placebo_tests(study, instrument=instrument)
    questions = ("Does the list find the trait in everybody who admits it to the direct question?",
                 "Is the direct question answered alike in both arms?")
    told = ("Among those who say yes to the direct question the list finds {estimate:.1f} % with the trait",
            "The share who say yes to the direct question differs by {estimate:+.1f} points between treatment and control arm")
    checks = []
    for question, sentence, row in zip(questions, told, table.to_dict("records"), strict=True):
        name = f"placebo test {row['test']}" + ("" if instrument == "direct" else f" ({instrument})")
        if not np.isfinite(row["p"]):
            text = "Not testable: an arm has too few people who " + ("say yes." if row["test"] == "I" else "were asked.")
            checks.append(Check(name, question, None, None, None, text))
            continue
        percent = {key: 100 * row[key] for key in ("estimate", "lower", "upper", "expected")}
        text = sentence.format(**percent) + " (95 % interval {lower:.1f} to {upper:.1f}; {expected:.0f} expected,".format(**percent)
        text += f" p = {row['p']:.2g})."
        checks.append(Check(name, question, row["p"] >= LEVEL, row["estimate"], pd.DataFrame([row]), text))
    return checks


def contradictions(study: ListExperiment, *, instrument: str = "direct") -> Check:
    """How many say yes to the direct question and count nothing on the treatment list, so that one of the two is untrue."""
    name = "contradictions" + ("" if instrument == "direct" else f" ({instrument})")
    question = "How many say yes directly and 0 on the treatment list?"
    yes = study.listed[study.listed["_treated"] & (study.listed[f"_{instrument}"] == YES)]
    n, total = int(yes.loc[yes["_answer"] == 0, "_n"].sum()), int(yes["_n"].sum())
    text = f"Of {total:,} in the treatment arm who say yes to the direct question, {n:,} count 0 items on the list"
    text += (", which contradicts it: they hid the trait on the list, claimed it falsely, or answered carelessly. A model needs "
             "lies = 'two_sided', or a response model in which people with the trait may answer 0." if n else
             ": no answer contradicts another.")
    return Check(name, question, None, float(n), None, text)


def fit_checks(tree: xr.DataTree) -> list[Check]:
    """Checks of a fitted tree: convergence of NUTS, answers against their prediction, and with outcomes who defines the classes."""
    checks = convergence(tree) if "sample_stats" in tree.children else [_not_sampled()]
    checks += [answers_predicted(tree)] if "posterior_predictive" in tree.children else []
    if {"posterior", "cells"} <= set(tree.children) and stored.blueprint_of(tree).specification.person != "none":
        checks.append(person_effects(tree))
    return [*checks, *classes(tree)] if {"posterior", "rows"} <= set(tree.children) else checks


def person_effects(tree: xr.DataTree) -> Check:
    """Whether the nodes of the quadrature are close enough for the person effects that were found."""
    error = predictive.quadrature_error(stored.blueprint_of(tree), tree["posterior"].to_dataset())
    text = f"With twice as many nodes for person effects the log-likelihood of all persons moves by {error:.2g} (limit {QUADRATURE_LIMIT})."
    if error >= QUADRATURE_LIMIT:
        text += " People differ more than the nodes can follow: use a narrower prior of the person effects' sd, or person = 'none'."
    return Check("person effects", "Is the integral over person effects exact enough?", error < QUADRATURE_LIMIT, error, None, text)


def converged(tree: xr.DataTree) -> bool:
    """Whether a fit was sampled and R-hat, effective sample size and divergences are all in order."""
    return "sample_stats" in tree.children and all(check.passed is not False for check in convergence(tree))


def convergence(tree: xr.DataTree) -> list[Check]:
    """R-hat, effective sample sizes and divergences over all parameters (Vehtari et al. 2021)."""
    posterior = _varying(tree["posterior"].to_dataset())
    r_hat = _extreme(az.rhat(posterior), "max")
    bulk, tail = _extreme(az.ess(posterior, method="bulk"), "min"), _extreme(az.ess(posterior, method="tail"), "min")
    stats = tree["sample_stats"].to_dataset()
    divergences = int(stats["diverging"].sum())
    deepest = int(stats["reached_max_treedepth"].sum()) if "reached_max_treedepth" in stats else 0
    total = stats.sizes["chain"] * stats.sizes["draw"]
    return [
        Check("R-hat", "Do the chains agree?", r_hat < R_HAT_LIMIT, r_hat, None,
              f"The largest R-hat is {r_hat:.3f} (limit {R_HAT_LIMIT})."),
        Check("effective sample size", "Are there enough independent draws?", min(bulk, tail) >= ESS_LIMIT, min(bulk, tail), None,
              f"The smallest effective sample size is {bulk:.0f} in the bulk and {tail:.0f} in the tails (limit {ESS_LIMIT})."),
        Check("divergences", "Did the sampler explore without breaking off?", divergences == 0, divergences, None,
              f"{divergences} of {total} transitions diverged; {deepest} reached the largest tree depth."),
    ]


def answers_predicted(tree: xr.DataTree) -> Check:
    """Whether the observed number of each answer in each arm lies in its 99 % posterior predictive interval."""
    table = answers_by_arm(tree["observed_data"].to_dataset(), tree["posterior_predictive"].to_dataset(), probability=0.99)
    outside = table[(table["n"] < table["lower"]) | (table["n"] > table["upper"])]
    lists = [f"{version} " for version in outside["version"]] if "version" in outside else [""] * len(outside)
    named = ", ".join(f"{v}{a} answer {k}" for v, a, k in zip(lists, outside["arm"], outside["answer"], strict=True))
    text = (f"Outside the model's 99 % interval: {named}." if len(outside) else
            "Every number of answers lies in the model's 99 % predictive interval.")
    return Check("answers predicted", "Does the model reproduce the answers of each arm?", outside.empty, float(len(outside)), table, text)


def classes(tree: xr.DataTree) -> list[Check]:
    """Whether the list, and not the shape of an outcome's distribution, says who has the trait: a Check if there are outcomes.

    What an observation says of the trait is how far it reduces its entropy (bits per person, from that of P(trait | x)). The list
    is compared with the list and one outcome together, among people of the treatment arm with that outcome, whom both inform, and
    with all covariates.
    Two classes always fit a lopsided or two-humped outcome better than one, and with a weak list they may be those humps.
    """
    plan = stored.blueprint_of(tree)
    outcomes = [instrument for instrument in plan.instruments if isinstance(instrument, Outcome)]
    if not outcomes:
        return []
    posterior = tree["posterior"].to_dataset()
    posterior = posterior.isel(draw=slice(None, None, max(1, posterior.sizes["chain"] * posterior.sizes["draw"] // CLASSES_DRAWS)))
    seen = predictive.patterns(plan)
    before = np.concatenate([chances for chances, _ in predictive.of_population(plan, posterior, plan.cells.frame)])[:, seen.cell]
    listed = predictive.trait_given_list(plan, posterior).to_numpy().reshape(before.shape)
    rows = []
    for outcome in outcomes:
        alone = dataclasses.replace(plan, instruments=(outcome,))
        both = predictive.trait_given_answer(alone, posterior).to_numpy().reshape(before.shape)
        told = np.isfinite(seen.observed[f"_{outcome.name}"])
        people = np.where((seen.cell >= 0) & (seen.arm == ARMS.index("treatment")) & told, seen.n, 0)
        if people.sum():
            bits = [float(_entropy(p).mean(axis=0) @ people / people.sum()) for p in (before, listed, both)]
            rows.append((outcome.name, int(people.sum()), bits[0], bits[0] - bits[1], bits[1] - bits[2]))
    table = pd.DataFrame(rows, columns=["outcome", "n", "bits before", "bits by the list", "further bits by the outcome"])
    return [_classes_check(table)] if rows else []


def _classes_check(table: pd.DataFrame) -> Check:
    listed, further = table["bits by the list"], table["further bits by the outcome"]
    told = [f"{row[0]} (list {row[3]:.3f} of {row[2]:.2f} bits, outcome {row[4]:.3f} more)" for row in table.itertuples(index=False)]
    beyond = further > listed
    text = (f"The list says more about who has the trait than the outcomes do: {', '.join(told)}." if not beyond.any() else
            "The outcome says more about who has the trait than the list does: "
            f"{', '.join(t for t, b in zip(told, beyond, strict=True) if b)}. The two classes may be those of the outcome's distribution, "
            "not the trait: compare the prevalence with that of the list alone, and the difference with another family of outcome.")
    question = "Does the list, rather than an outcome's distribution, define who has the trait?"
    return Check("classes", question, not beyond.any(), float((further - listed).max()), table, text)


def _entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of a 0/1 variable in bits."""
    return (entr(p) + entr(1 - p)) / np.log(2)


def _not_sampled() -> Check:
    return Check("sampling", "Was the posterior sampled?", False, None, None, "This is a quick look: a normal approximation at the "
                 "posterior mode, not a sampled posterior. Fit with method 'nuts' before publishing.")


def _varying(posterior: xr.Dataset) -> xr.Dataset:
    """Parameters without those that are constant by construction, for which R-hat is undefined."""
    return posterior[[name for name in posterior.data_vars if float(posterior[name].std()) > 0]]


def _extreme(values: xr.DataTree | xr.Dataset, which: str) -> float:
    data = values.to_dataset() if isinstance(values, xr.DataTree) else values
    found = [float(getattr(np, f"nan{which}")(data[name].to_numpy())) for name in data.data_vars]
    return max(found) if which == "max" else min(found)


def _share(people: pd.DataFrame, treated: bool, answer: int) -> float:
    """The share of an arm that gave an answer; those with a placebo list are in neither arm."""
    arm = people[(people["_treated"] == treated) & ~people["_placebo"]]
    return float(arm.loc[arm["_answer"] == answer, "_n"].sum() / arm["_n"].sum())


def _of_list(label: str) -> str:
    return f"List version {label}: " if label else ""


def _of_one_list(table: pd.DataFrame) -> pd.DataFrame:
    """A table without the column of versions where there are none."""
    return table if table["version"].any() else table.drop(columns="version")


def _is_grouping(study: ListExperiment, name: str) -> bool:
    return isinstance(study.table[name].dtype, pd.CategoricalDtype) or study.table[name].nunique() <= 10


def _grouping(study: ListExperiment, name: str) -> pd.Series:
    """The column itself if it has groups, else its quarters."""
    column = study.table[name]
    return column if _is_grouping(study, name) else pd.qcut(column, 4, duplicates="drop")


def _holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty(len(p))
    out[order] = np.minimum(stepped, 1.0)
    return out


def names_of(checks: Sequence[Check], *, passed: bool) -> list[str]:
    """Names of the checks that passed, or that failed."""
    return [check.name for check in checks if check.passed is passed]


