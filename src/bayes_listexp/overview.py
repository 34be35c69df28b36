"""All that a study says without a model: every estimator that its design allows, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_listexp import syntax
from bayes_listexp.adjusted import adjusted_difference
from bayes_listexp.bounds import ALWAYS, EVERYBODY, refusal_bounds
from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.double_lists import double_list
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.least_squares import linear_regression
from bayes_listexp.list_and_direct import asked_both, combined_estimate
from bayes_listexp.lying import Share, lying_bounds, share_range
from bayes_listexp.subgroups import subgroup_means, undefined_because

ESTIMATE_COLUMNS = ["estimator", "estimate", "se", "lower", "upper", "n", "note"]
BOUNDED_COLUMNS = ["assumption", "lower", "upper", "interval_lower", "interval_upper", "note"]


class WithoutModel(NamedTuple):
    """What a study says without a model, as tables: estimates of the ``prevalence``, its ``bounds``, its ``change`` between waves, the
    linear ``regression`` and the ``subgroups``. Where there is nothing to compute a table has no rows; an estimator that a study
    does not allow has its reason in ``note``.
    """

    prevalence: pd.DataFrame
    bounds: pd.DataFrame
    change: pd.DataFrame
    regression: pd.DataFrame
    subgroups: pd.DataFrame


def estimates_without_model(
    study: ListExperiment,
    *,
    covariates: str = "1",
    by: Sequence[str | Sequence[str]] = (),
    change: tuple[str, str] | None = None,
    ceiling: Share = (0.0, 1.0),
    floor: Share = (0.0, 1.0),
    probability: float = 0.95,
) -> WithoutModel:
    """Every estimator without a model that the study allows, by sensitive item and wave where there are several.

    The differences in means (weighted too, where there are weights), the difference adjusted for covariates (Lin 2013), the combined
    estimate with each direct question, the average of each double list, bounds under lies and refusals, the change between two waves,
    the linear list regression, and the difference in means by group. Beyond the first row estimates are weighted if the study is.

    Parameters
    ----------
    covariates : a formula of common effects, for the adjusted difference and the linear regression; "1": neither.
    by : columns to show groups of, one after the other (several names in brackets: crossed).
    change : two waves; None is the first and the last.
    ceiling, floor : of those whose truthful answer would give them away, the share who lie; see :func:`bayes_listexp.lying_bounds`.

    Raises
    ------
    InputError : nobody was shown the control list, or an unknown column, wave or formula.
    """
    if study.listed["_treated"].all():
        raise InputError("nobody has answered the control list, so there is no estimate without a model. Fit a model with known margins of "
                         "the control items.")
    used = syntax.variables(covariates, study.covariates)
    along = [name for name, there in ((study.item, study.items), (study.wave, study.interviewed)) if name and len(there) > 1]
    return WithoutModel(
        _prevalence(study, along, covariates if used else "", probability),
        _bounds(study, along, ceiling, floor, probability),
        _change(study, change, probability),
        _regression(study, covariates if used else "", probability),
        _subgroups(study, by, probability),
    )


def main_effects(study: ListExperiment, trait: str) -> str:
    """The columns that take part in the common effects of a model's formula as a formula of their own, without waves and items."""
    names = [name for name in syntax.variables(trait, study.covariates)
             if name not in (study.wave, study.item, study.version) and syntax.has_common_variable(trait, name)]
    return " + ".join(name if name.isidentifier() else f"`{name}`" for name in names) or "1"


def _prevalence(study: ListExperiment, along: list[str], covariates: str, probability: float) -> pd.DataFrame:
    weights = ", weighted" if study.weighted else ""
    how: dict[str, Any] = {"by": along, "probability": probability, "weighted": study.weighted}
    tried = [("difference in means", partial(_means, study, how | {"weighted": False}))]
    if study.weighted:
        tried.append(("difference in means, weighted", partial(_means, study, how)))
    if covariates:
        tried.append((f"adjusted for {covariates}{weights}", partial(_adjusted, study, covariates, how)))
    for name in asked_both(study):
        tried.append((f"list and direct question ({name}){weights}", partial(combined_estimate, study, instrument=name, **how)))
    for name in (i.name for i in study.instruments if f"_{i.name}_arm" in study.table.columns):
        for of, words in (("mean", "mean"), ("optimal", "optimal weights")):
            tried.append((f"double list ({name}), {words}{weights}", partial(_double, study, name, of, how)))
    return _stacked([(name, _or_reason(make, along)) for name, make in tried], "estimator", [*along, *ESTIMATE_COLUMNS])


def _means(study: ListExperiment, how: dict[str, Any]) -> pd.DataFrame:
    found = difference_in_means(study, **how)
    return found.assign(note=[undefined_because(row) for _, row in found.iterrows()], n=found["n_control"] + found["n_treatment"])


def _adjusted(study: ListExperiment, covariates: str, how: dict[str, Any]) -> pd.DataFrame:
    found = adjusted_difference(study, covariates, **how)
    return found.assign(n=found["n_control"] + found["n_treatment"])


def _double(study: ListExperiment, name: str, of: str, how: dict[str, Any]) -> pd.DataFrame:
    found = double_list(study, second=name, **how)
    return found[found["of"] == of].assign(note="")


def _bounds(study: ListExperiment, along: list[str], ceiling: Share, floor: Share, probability: float) -> pd.DataFrame:
    lies = f"lies: {_range_words('ceiling', ceiling)}, {_range_words('floor', floor)}"
    tried = [(lies, partial(lying_bounds, study, along, ceiling=ceiling, floor=floor, weighted=study.weighted, probability=probability))]
    if len(study.refusals) and study.refusals["_n"].sum():
        tried += [(f"refusals: {of}", partial(_refusals, study, along, of, probability)) for of in (ALWAYS, EVERYBODY)]
    return _stacked([(name, _or_reason(make, along)) for name, make in tried], "assumption", [*along, *BOUNDED_COLUMNS])


def _refusals(study: ListExperiment, along: list[str], of: str, probability: float) -> pd.DataFrame:
    found = refusal_bounds(study, along, probability=probability)
    return found[found["of"] == of]


def _range_words(side: str, share: Share) -> str:
    low, high = share_range(side, share)
    return f"{side} {'any share' if (low, high) == (0, 1) else f'{low:.0%}' if low == high else f'{low:.0%} to {high:.0%}'}"


def _change(study: ListExperiment, change: tuple[str, str] | None, probability: float) -> pd.DataFrame:
    items = [study.item] if study.item and len(study.items) > 1 else []
    if change is None and len(study.interviewed) < 2:
        return pd.DataFrame()
    first, second = change or (study.interviewed[0], study.interviewed[-1])
    parts = [(f"{first} to {second}{', weighted' if weighted else ''}",
              change_in_means(study, first, second, by=items, weighted=weighted, probability=probability))
             for weighted in (False, True)[: 1 + study.weighted]]
    return _stacked(parts, "change", [*items, "change", "estimate", "se", "lower", "upper", "z"])


def _regression(study: ListExperiment, covariates: str, probability: float) -> pd.DataFrame:
    if not covariates or (study.item is not None and len(study.items) > 1):
        return pd.DataFrame()
    wave = study.wave if study.wave is not None and len(study.interviewed) > 1 else None
    own = "" if wave is None else f" + {wave if wave.isidentifier() else f'`{wave}`'}"
    try:
        return linear_regression(study, covariates + own, weighted=study.weighted, probability=probability).assign(note="")
    except InputError as error:
        return pd.DataFrame([{"part": "trait", "term": "", "estimate": np.nan, "se": np.nan, "lower": np.nan, "upper": np.nan,
                              "note": str(error)}])


def _subgroups(study: ListExperiment, by: Sequence[str | Sequence[str]], probability: float) -> pd.DataFrame:
    """Groups, of each sensitive item where there are several."""
    if not by:
        return pd.DataFrame()
    items = [study.item] if study.item and len(study.items) > 1 else []
    crossed = [[*([names] if isinstance(names, str) else names), *items] for names in by]
    found = subgroup_means(study, crossed, weighted=study.weighted, probability=probability)
    return found if not items else found.iloc[1:].reset_index(drop=True)  # everybody would be all items at once


def _or_reason(make: Callable[[], pd.DataFrame], along: list[str]) -> pd.DataFrame:
    """A table, or one row with the reason why this study has none."""
    try:
        return make()
    except InputError as error:
        return pd.DataFrame([{**dict.fromkeys(along, "all"), "note": str(error)}])


def _stacked(parts: list[tuple[str, pd.DataFrame]], name: str, columns: list[str]) -> pd.DataFrame:
    """Tables one under the other, with what each is in a column, and what they lack as missing."""
    each = [part.astype({c: object for c in part.columns if isinstance(part[c].dtype, pd.CategoricalDtype)}).assign(**{name: label})
            for label, part in parts]
    found = pd.concat([part.reindex(columns=columns) for part in each], ignore_index=True)
    return found.assign(note=found["note"].astype(object).where(found["note"].notna(), "")) if "note" in columns else found
