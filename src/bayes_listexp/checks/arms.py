"""Who was shown which list, and who answered it: refusals, sizes of the arms, and whether chance divided the respondents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2, chi2_contingency, chisquare, norm

from bayes_listexp.bounds import refusal_bounds, refusal_words
from bayes_listexp.checks.record import LEVEL, Check, worst_of
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.multiple_tests import holm


def shown(study: ListExperiment) -> pd.DataFrame:
    """Everybody who was shown a list, whether it was answered: wave and version where there are several, ``arm``, ``answered``, ``_n``.

    The arm is "control", "treatment" (with several items the item) or "placebo".
    """
    columns = [name for name in strata_of(study) if name in study.refusals.columns or study.refusals.empty]
    parts = [study.listed.assign(answered=True), study.refusals.assign(answered=False)]
    table = pd.concat([part for part in parts if len(part)])
    arm = np.where(table["_placebo"], "placebo", np.where(table["_treated"], "treatment", "control")).astype(object)
    if study.item is not None:
        arm = np.where(table["_treated"], table[study.item].astype(str), arm)
    return table[[*columns, "_n", "answered"]].assign(arm=arm)


def strata_of(study: ListExperiment) -> list[str]:
    """The columns within which lists were given out: the wave and the list version, where there are several."""
    waves = [str(study.wave)] if len(study.interviewed) > 1 else []
    return waves + ([study.version] if study.version is not None and study.version not in waves else [])


def arms_of(study: ListExperiment) -> list[str]:
    """Names of the arms, the control arm first."""
    present = set(shown(study)["arm"])
    return [arm for arm in ("control", "treatment", *study.items, "placebo") if arm in present]


def missing_by_arm(study: ListExperiment) -> Check:
    """Whether answers are missing more often in one arm: refusal that depends on the list biases every estimate.

    With several waves or list versions also within each; p-values are then adjusted by Holm's method over these tables.
    """
    question = "Are answers missing equally often in all arms?"
    people, strata = shown(study), strata_of(study)
    groups = [("all", people), *(people.groupby(strata, observed=True) if strata else [])]
    rows = []
    for key, group in groups:
        counts = group.groupby(["arm", "answered"])["_n"].sum().unstack(fill_value=0).reindex(columns=[True, False], fill_value=0)
        counts = counts.reindex([arm for arm in arms_of(study) if arm in counts.index])
        p = _p_of(counts)
        label = key if isinstance(key, str) else ", ".join(map(str, key))
        rows += [(label, arm, int(n[True]), int(n[False]), n[False] / max(n.sum(), 1), p) for arm, n in counts.iterrows()]
    table = pd.DataFrame(rows, columns=["of", "arm", "answered", "missing", "share missing", "p"])
    return _missing_check(question, table)


def _missing_check(question: str, table: pd.DataFrame) -> Check:
    every = table[table["of"] == "all"].set_index("arm")
    shares, n = every["share missing"], every["answered"] + every["missing"]
    if not every["missing"].sum():
        return Check("missing answers", question, True, 0.0, table, "No respondent with a known arm has a missing answer.")
    by_table = table.drop_duplicates("of").set_index("of")["p"]
    adjusted = pd.Series(holm(by_table.to_numpy()), index=by_table.index)
    worst = worst_of(adjusted)
    first, last = shares.index[0], shares.index[shares.index != "control"][(shares[shares.index != "control"]).argmax()]
    gap = float(shares[last] - shares[first])
    half = norm.ppf(0.975) * np.sqrt(sum(shares[arm] * (1 - shares[arm]) / n[arm] for arm in (first, last)))
    said = [f"{row['missing']} answers ({row['share missing']:.1%}) are missing in the {arm} arm" for arm, row in every.iterrows()]
    text = " and ".join([said[0], *(one.replace(" answers", "").replace("are missing ", "") for one in said[1:])])
    text += f" (chi-squared test of equal shares, p = {by_table['all']:.2g})."
    elsewhere = [label for label in adjusted.index[1:] if adjusted[label] < LEVEL]
    text += f" They differ in {'; '.join(elsewhere)} (Holm-adjusted for {len(adjusted)} tables)." if elsewhere else ""
    advice = ("Those who answered the two lists are no longer alike. Read the bounds of refusals, report them beside the estimate, and ask "
              "the interviewers what made people refuse; a covariate that explains refusal belongs into the model.")
    passed = None if worst is None else worst >= LEVEL
    return Check("missing answers", question, passed, gap, table, text, (gap - float(half), gap + float(half)), worst, advice)


def _p_of(counts: pd.DataFrame) -> float:
    """P of the chi-squared test that rows and columns of a table are independent; NaN where one of them has one level."""
    used = counts.loc[counts.sum(axis=1) > 0, counts.sum(axis=0) > 0]
    return float(chi2_contingency(used, correction=False).pvalue) if min(used.shape) > 1 else float("nan")


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
        absent = counts.loc[True] if True in counts.index else {}  # nobody, where only people without a list answer lack it
        rows.append((name, int(absent.get(False, 0)), int(absent.get(True, 0)), p))
    table = pd.DataFrame(rows, columns=["covariate", "control", "treatment", "p"])
    table["p adjusted"] = holm(table["p"].to_numpy())
    worst = float(table["p adjusted"].min())
    named = ", ".join(f"{r.covariate} ({r.control} control, {r.treatment} treatment)" for r in table.itertuples())
    text = f"Missing: {named}; chi-squared tests of equal shares, smallest Holm-adjusted p = {worst:.2g}."
    question = "Are covariates missing equally often in both arms?"
    advice = "Look for interviews that were broken off after one of the lists, and analyse with missing = 'level' or 'model' beside 'drop'."
    return Check("missing covariates", question, worst >= LEVEL, worst, table, text, p=worst, advice=advice)


def arm_sizes(study: ListExperiment, planned: float | Mapping[str, float] | None = None) -> Check:
    """Whether as many were shown each list as was planned, refusals included; by wave and list version where there are several.

    ``planned`` is the share (0-1) who were to be shown a treatment list, several items sharing it equally, or the share of every arm
    by name ("control", "treatment" or the item, "placebo"). Without a plan sizes are held against equal ones, for information.

    Raises
    ------
    InputError : a plan that is no share, or that does not name the arms there are.
    """
    arms, strata, people = arms_of(study), strata_of(study), shown(study)
    shares = _planned(planned, arms)
    groups = [("all", people), *(people.groupby(strata, observed=True) if strata else [])]
    rows = []
    for key, group in groups:
        n = group.groupby("arm")["_n"].sum().reindex(arms, fill_value=0)
        p = float(chisquare(n, shares * n.sum()).pvalue) if n.sum() else float("nan")
        label = key if isinstance(key, str) else ", ".join(map(str, key))
        rows += [(label, arm, int(n[arm]), n[arm] / max(n.sum(), 1), share, p) for arm, share in zip(arms, shares, strict=True)]
    table = pd.DataFrame(rows, columns=["of", "arm", "n", "share", "planned", "p"])
    return _sizes_check(table, planned is not None)


def _planned(planned: float | Mapping[str, float] | None, arms: Sequence[str]) -> np.ndarray:
    if planned is None:
        return np.full(len(arms), 1 / len(arms))
    if isinstance(planned, Mapping):
        if set(planned) != set(arms) or not np.isclose(sum(planned.values()), 1) or min(planned.values()) <= 0:
            raise InputError(f"planned = {dict(planned)!r}: name the share of each arm, together 1; the arms are: {', '.join(arms)}.")
        return np.array([planned[arm] for arm in arms])
    treated = [arm for arm in arms if arm not in ("control", "placebo")]
    if isinstance(planned, bool) or not 0 < planned < 1 or len(treated) + 1 < len(arms):
        raise InputError(f"planned = {planned!r}: a share between 0 and 1 of the treatment arm"
                         + ("; with a placebo arm name the share of each arm." if "placebo" in arms else "."))
    return np.array([1 - planned if arm == "control" else planned / len(treated) for arm in arms])


def _sizes_check(table: pd.DataFrame, planned: bool) -> Check:
    question = "Are the arms as large as planned?" if planned else "Are the arms of equal size?"
    by_table = table.drop_duplicates("of").set_index("of")["p"]
    worst = float(holm(by_table.to_numpy()).min())
    every = table[table["of"] == "all"]
    sizes = ", ".join(f"{row.n:,} {row.arm} ({row.share:.1%}, {row.planned:.1%} {'planned' if planned else 'if equal'})"
                      for row in every.itertuples())
    text = f"{sizes}; chi-squared test p = {by_table['all']:.2g}" + (
        f", smallest of {len(by_table)} tables, Holm-adjusted, {worst:.2g}." if len(by_table) > 1 else ".")
    text += "" if planned else " No plan was given (planned = the share who were to be shown the treatment list), so this is no test."
    gap = every["share"] - every["planned"]
    advice = ("Chance does not divide respondents like this: find out how lists were given out, and whether interviews of one arm were "
              "lost or entered twice, before anything else.")
    passed = worst >= LEVEL if planned else None
    return Check("arm sizes", question, passed, float(gap.loc[gap.abs().idxmax()]), table, text, None, worst if planned else None,
                 advice if planned else "")


def balance(study: ListExperiment, covariates: Sequence[str]) -> Check:
    """Whether covariates are distributed alike in all arms, as random assignment makes them; within waves and list versions.

    Numbers are compared by their quarters. The table has for each covariate the level whose share differs most between two arms, in
    standard deviations of that share (``difference``), p of the chi-squared test (summed over waves and list versions, where lists
    were given out anew) and p adjusted by Holm's method.
    """
    strata = [name for name in strata_of(study) if name not in covariates]
    arm = np.where(study.listed["_treated"], "treatment", "control").astype(object)
    if study.item is not None:
        arm = np.where(study.listed["_treated"], study.listed[study.item].astype(str), arm)
    people = study.listed.assign(_arm=arm)
    rows = [row for name in covariates if name not in (study.item,) and (row := _compared(study, people, name, strata)) is not None]
    question = "Are the arms alike, as random assignment makes them?"
    table = pd.DataFrame(rows, columns=["covariate", "level", "difference", "p"])
    if not rows:
        return Check("balance", question, None, None, table, "No covariate has two groups to compare between the arms.")
    adjusted = holm(table["p"].to_numpy())
    table["p adjusted"] = adjusted
    worst = float(adjusted.min())
    unbalanced = table.loc[adjusted < LEVEL, "covariate"].tolist()
    text = (f"The arms differ in {', '.join(unbalanced)} (chi-squared tests, Holm-adjusted for {len(table)} tests)." if unbalanced else
            f"The arms do not differ in {', '.join(table['covariate'])} (chi-squared tests, smallest Holm-adjusted p = {worst:.2g}).")
    far = table.loc[table["difference"].abs().idxmax()]
    text += f" The largest difference is that of {far['covariate']} = {far['level']}, {abs(far['difference']):.2f} standard deviations."
    advice = ("Lists were not given out by chance alone, or one arm lost people. If the cause cannot be mended, put these covariates into "
              "both formulas of the model and adjust the difference in means for them.")
    return Check("balance", question, not unbalanced, float(far["difference"]), table, text, p=worst, advice=advice)


def balance_by_level(study: ListExperiment, covariates: Sequence[str]) -> pd.DataFrame:
    """Shares of every level in the treatment arms together and in the control arm: one row per level, for a figure.

    Columns: ``covariate``, ``level``, ``control`` and ``treatment`` (shares, 0-1), ``difference`` of these in standard deviations of the
    share among all, and its ``se``.
    """
    people = study.listed.assign(_arm=np.where(study.listed["_treated"], "treatment", "control"))
    rows = []
    for name in [name for name in covariates if name != study.item]:
        counts = _counts(people.assign(_g=grouping(study, name).reindex(people.index)))
        if counts.shape[1] < 2 or len(counts) < 2:
            continue
        n, overall = counts.sum(axis=0), counts.sum(axis=1) / counts.to_numpy().sum()
        share = counts / n
        apart = (share["treatment"] - share["control"]) / np.sqrt(overall * (1 - overall))
        se = float(np.sqrt((1 / n).sum()))
        rows += [(name, said_level(level), *share.loc[level, ["control", "treatment"]], apart[level], se) for level in share.index]
    return pd.DataFrame(rows, columns=["covariate", "level", "control", "treatment", "difference", "se"])


def _compared(study: ListExperiment, people: pd.DataFrame, name: str, strata: list[str]) -> tuple[str, str, float, float] | None:
    """A covariate between the arms: level and standardised difference that are farthest, and p; None with nothing to compare."""
    people = people.assign(_g=grouping(study, name).reindex(people.index))
    parts = [rows for _, rows in people.groupby(strata, observed=True)] if strata else [people]
    tests = [test for part in parts if (test := _chi_squared(part)) is not None]
    if not tests:
        return None
    statistic, degrees = map(sum, zip(*tests, strict=True))
    counts = _counts(people)
    share, overall = counts / counts.sum(axis=0), counts.sum(axis=1) / counts.to_numpy().sum()
    apart = share.sub(share["control"], axis=0).div(np.sqrt(overall * (1 - overall)), axis=0)
    level, arm = np.unravel_index(np.abs(apart.to_numpy()).argmax(), apart.shape)
    return name, said_level(counts.index[level]), float(apart.iloc[level, arm]), float(chi2.sf(statistic, degrees))


def _counts(people: pd.DataFrame) -> pd.DataFrame:
    counts = people.groupby(["_g", "_arm"], observed=True)["_n"].sum().unstack(fill_value=0)
    return counts.loc[counts.sum(axis=1) > 0, counts.sum(axis=0) > 0]


def _chi_squared(people: pd.DataFrame) -> tuple[float, int] | None:
    counts = _counts(people)
    if min(counts.shape, default=0) < 2:
        return None
    found = chi2_contingency(counts, correction=False)
    return float(found.statistic), int(found.dof)


def is_grouping(study: ListExperiment, name: str) -> bool:
    """Whether a covariate has groups, or so few numbers that they are groups."""
    return isinstance(study.table[name].dtype, pd.CategoricalDtype) or study.table[name].nunique() <= 10


def grouping(study: ListExperiment, name: str) -> pd.Series:
    """The column itself if it has groups, else its quarters."""
    column = study.table[name]
    if is_grouping(study, name):
        return column
    quarters = pd.qcut(column, 4, duplicates="drop")
    return quarters.cat.rename_categories([f"{part.left:.3g} to {part.right:.3g}" for part in quarters.cat.categories])


def said_level(level: object) -> str:
    """A level of a covariate in words: 0 and not 0.0."""
    return f"{level:g}" if isinstance(level, float) else str(level)
