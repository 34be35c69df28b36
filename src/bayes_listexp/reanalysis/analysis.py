"""One published table of counts analysed again: without a model, by the default model, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp.checks import Check, design_checks, fit_checks
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.list_and_direct import combined_estimate
from bayes_listexp.many_fits import prevalence_of_tables
from bayes_listexp.reanalysis.known import BINOMIAL, COMBINED, DIFFERENCE, DIRECT, KnownStudy, PrintedEstimate

Method = Literal["nuts", "map"]
Make = Callable[[], xr.DataTree]
Stored = Callable[[str, str, Mapping[str, Any], Make], xr.DataTree]
"""How a fit is come by: from the name it is kept under, a hash of its data, its arguments, and how it is made."""

ANSWERS = {"yes", "no", "refused"}


class Reanalysis(NamedTuple):
    """A study with everything that its page says.

    ``study`` is the list alone, ``asked`` the same with its direct question (or None). ``everybody`` and ``groups`` have the posterior
    and the difference in means side by side (0-1): columns group, level, median, lower, upper, dim, dim_lower, dim_upper, n_control,
    n_treatment. ``ours`` are estimates from these counts under the names that printed ones have.
    """

    known: KnownStudy
    study: ListExperiment
    asked: ListExperiment | None
    tree: xr.DataTree
    everybody: pd.Series
    groups: pd.DataFrame
    ours: Mapping[str, float]
    checks: Sequence[Check]
    printed: Sequence[PrintedEstimate]


class _Fitting(NamedTuple):
    """How the fits of one study are come by, and the arguments they share."""

    fitted: Stored
    shared: Mapping[str, Any]

    def of(self, name: str, study: ListExperiment, by: Sequence[str]) -> xr.DataTree:
        """The default model with these columns as groups."""
        arguments = {**self.shared, "trait": " + ".join(["1", *by])}
        return self.fitted(name, study.sha256, arguments, partial(fit, study, **arguments))


def fitted_now(name: str, digest: str, arguments: Mapping[str, Any], make: Make) -> xr.DataTree:
    """Fit, whatever was fitted before."""
    return make()


def reanalyse(
    counts: pd.DataFrame,
    known: KnownStudy,
    printed: Sequence[PrintedEstimate] = (),
    *,
    method: Method = "nuts",
    seed: int = 1,
    fitted: Stored = fitted_now,
) -> Reanalysis:
    """Analyse the counts of one study, rows of :func:`read_published_counts`.

    The default model (truthful answers, any distribution of the control counts, shifted by the trait) is fitted once with the study's
    groups, if it has several, and once more with its direct answers as groups, if everybody was asked directly.

    Raises
    ------
    InputError : the counts cannot be those of a list experiment; the study is named.
    """
    try:
        study, asked = _study(counts, known), _asked(counts, known)
        by = ["group"] if len(set(counts["group"])) > 1 else []
        how = _Fitting(fitted, {"method": method, "seed": seed})
        tree = how.of("fit", study, by)
        rows = [_side_by_side(study, tree, by)] if by else []
        if asked is not None or len(set(counts["direct"])) > 1:
            listed = _study(counts, known, ["group", "direct"])
            rows.append(_side_by_side(listed, how.of("direct", listed, [*by, "direct"]), ["direct"]))
        everybody = _side_by_side(study, tree, []).iloc[0]
        checks = [*design_checks(asked or study, by), *fit_checks(tree)]
    except InputError as error:
        raise InputError(f"study '{known.study}': {error}") from error
    groups = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    return Reanalysis(known, study, asked, tree, everybody, groups, _ours(study, asked, everybody), checks, printed)


def counts_by_arm(counts: pd.DataFrame) -> pd.DataFrame:
    """Respondents by arm and answer of the whole table: columns arm, answer, n."""
    summed = counts.groupby(["arm", "item_count"], sort=True, as_index=False)["n"].sum()
    return summed.rename(columns={"item_count": "answer"})


def _study(counts: pd.DataFrame, known: KnownStudy, by: Sequence[str] = ("group",)) -> ListExperiment:
    """The list alone, its counts summed over what is not asked for."""
    summed = counts.groupby([*by, "arm", "item_count"], sort=False, as_index=False)["n"].sum()
    study = ListExperiment.from_counts(summed, answer="item_count", arm="arm", n="n", J=_control_items(counts), covariates=list(by))
    return study.described(sensitive_item=known.sensitive_item, name=known.study)


def _asked(counts: pd.DataFrame, known: KnownStudy) -> ListExperiment | None:
    """The list with its direct question, where the direct answers are yes, no and perhaps refused."""
    given = set(counts["direct"])
    if not {"yes", "no"} <= given <= ANSWERS:
        return None
    question = DirectQuestion("direct", yes="yes", no="no", refused="refused" if "refused" in given else None)
    study = ListExperiment.from_counts(counts, answer="item_count", arm="arm", n="n", J=_control_items(counts), covariates=["group"],
                                       instruments=[question])
    return study.described(sensitive_item=known.sensitive_item, name=known.study)


def _control_items(counts: pd.DataFrame) -> int:
    found = sorted(set(counts["n_control_items"]))
    if len(found) > 1 or found[0] < 1 or found[0] % 1:
        raise InputError(f"column 'n_control_items': {', '.join(f'{J:g}' for J in found)}; a study has one whole number of control items.")
    return int(found[0])


def _side_by_side(study: ListExperiment, tree: xr.DataTree, by: list[str]) -> pd.DataFrame:
    """Posterior and difference in means of everybody, or by one column."""
    posterior = summarise(prevalence(tree, by=by))
    dim = difference_in_means(study, by=by).rename(columns={"estimate": "dim", "lower": "dim_lower", "upper": "dim_upper"})
    dim = dim[[*by, "dim", "dim_lower", "dim_upper", "n_control", "n_treatment"]]
    if not by:
        return pd.concat([posterior, dim], axis=1).assign(group="all", level="all")
    posterior, dim = (frame.astype(dict.fromkeys(by, str)).rename(columns={by[0]: "level"}) for frame in (posterior, dim))
    return posterior.merge(dim, on="level", how="left").assign(group=by[0])


def _ours(study: ListExperiment, asked: ListExperiment | None, everybody: pd.Series) -> dict[str, float]:
    """Estimates from these counts by the estimators that authors print."""
    tables = [study.table[study.table["_treated"] == treated].groupby("_answer")["_n"].sum() for treated in (False, True)]
    control, treatment = (table.reindex(np.arange(study.J + 1 + arm), fill_value=0).to_numpy() for arm, table in enumerate(tables))
    ours = {DIFFERENCE: float(everybody["dim"])}
    ours[BINOMIAL] = float(prevalence_of_tables(control[None], treatment[None], counts="binomial").estimate[0])
    if asked is not None:
        row = combined_estimate(asked).iloc[0]
        ours |= {DIRECT: float(row["direct"]), COMBINED: float(row["estimate"])}
    return ours
