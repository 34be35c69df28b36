"""Sections of a survey's report on what was observed beside the list: one for each instrument, from its own estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_listexp import estimates, figures, instrument_text, stored
from bayes_listexp.instrument import Instrument
from bayes_listexp.report import Block, Section, figure
from bayes_listexp.survey_results import Survey, identifier
from bayes_listexp.tables import Column, Table, Text, interval, percent, points

FEW = 4
"""How many of an instrument's estimates are shown by group if it does not say which matter."""


def instrument_sections(survey: Survey) -> list[Section]:
    """A section for each instrument of the fit, in the order of the study."""
    return [_section(survey, instrument) for instrument in stored.blueprint_of(survey.tree).instruments]


def _section(survey: Survey, instrument: Instrument) -> Section:
    wave = [survey.study.wave] if survey.study.wave and survey.study.waves else []
    overall = estimates.observed_by(survey.tree, instrument.name)
    blocks: list[Block] = [_all_estimates(instrument, overall)]
    chosen = _chosen(instrument, overall)
    for group in ([None] if wave else []) + [g for g in survey.by if g not in wave]:
        found = estimates.observed_by(survey.tree, instrument.name, by=[*([group] if group else []), *wave])
        blocks += [*_list_and_direct(survey, instrument, found, group), _by_group(instrument, found[chosen], group)]
    if not wave:
        blocks[:0] = _list_and_direct(survey, instrument, overall, None)
    kind = stored.fact(survey.tree, "instruments")[instrument.name]["kind"]
    title = instrument_text.instrument_title(kind, instrument.name)
    lead = (
        f"{instrument_text.instrument_words(survey.tree, instrument.name)} Posterior medians and 95 % intervals, on the "
        f"{overall.attrs['population']}."
    )
    return Section(f"instrument-{identifier(instrument.name)}", title, lead, tuple(blocks))


def _all_estimates(instrument: Instrument, found: xr.Dataset) -> Table:
    """Every estimate of everybody; those that the assumptions fix are named below."""
    rows, fixed = [], []
    for name, draws in found.items():
        if _is_fixed(draws):
            fixed.append(f"{draws.attrs['label']} ({_value(instrument, str(name), draws, float(draws.max()))})")
            continue
        row = estimates.summarise(draws).iloc[0]
        rows.append({"estimate": name, "label": draws.attrs["label"], **row.to_dict(), **_said(instrument, str(name), draws, row)})
    columns = (Text("label", "Estimate"), Text("said", "Posterior median"), Text("said_interval", "95 % interval"))
    frame = pd.DataFrame(rows, columns=["estimate", "label", "mean", "sd", "median", "lower", "upper", "said", "said_interval"])
    note = f"Fixed by the model's assumptions: {'; '.join(fixed)}." if fixed else ""
    return Table(f"{identifier(instrument.name)}-all", frame, "All estimates, everybody", columns, note)


def _by_group(instrument: Instrument, found: xr.Dataset, group: str | None) -> Table:
    """The estimates that matter, one row a group, as `56 % (37 to 74 %)`; the frame has their numbers too."""
    by = [str(dim) for dim in next(iter(found.values())).dims if dim not in ("chain", "draw")]
    frame: pd.DataFrame | None = None
    for name, draws in found.items():
        rows = estimates.summarise(draws)
        said = [_said(instrument, str(name), draws, row) for _, row in rows.iterrows()]
        own = rows[by].assign(**{f"{name}_{part}": rows[part] for part in ("median", "lower", "upper")})
        own[f"{name}_said"] = [f"{s['said']} ({s['said_interval']})" for s in said]
        frame = own if frame is None else frame.merge(own, on=by, how="outer", sort=False)
    columns: list[Column] = [Text(name, name.capitalize()) for name in by]
    columns += [Text(f"{name}_said", str(draws.attrs["label"])) for name, draws in found.items()]
    caption = f"By {' and '.join(by)}"
    return Table(f"{identifier(instrument.name)}-{identifier(group or by[0])}", frame if frame is not None else pd.DataFrame(),
                 caption, tuple(columns))


def _list_and_direct(survey: Survey, instrument: Instrument, found: xr.Dataset, group: str | None) -> list[Block]:
    """For a direct question, the figures of prevalence beside what people admit, and of the bias between them."""
    if not {"prevalence", "direct", "sensitivity_bias"} <= set(found):
        return []
    wave = survey.study.wave
    along = wave if wave in found.dims and len(found.dims) > 3 else None
    title = "The list and the direct question" + (f" by {group}" if group else "")
    fig = figures.list_and_direct(
        found,
        along=along,
        sort=along is not None,
        title=title,
        subtitle=survey.study.sensitive_item,
        label="% of the population" if survey.study.population is not None else "% of respondents",
    )
    caption = f"{title}: prevalence, yes to the direct question, and the bias between them."
    name = f"{identifier(instrument.name)}-{identifier(group or 'all')}"
    both: list[Block] = [figure(fig, name=name, caption=caption, synthetic=survey.study.synthetic)]
    if _is_fixed(found["sensitivity_bias"]):
        return both
    bias = figures.sensitivity_bias(found["sensitivity_bias"], sort=along is None and group is not None,
                                    title="Sensitivity bias" + (f" by {group}" if group else ""), subtitle=survey.study.sensitive_item)
    about = "Bias of the direct question: prevalence minus the share who say so, and the probability that the trait is hidden."
    return [*both, figure(bias, name=f"{name}-bias", caption=about, synthetic=survey.study.synthetic)]


def _chosen(instrument: Instrument, found: xr.Dataset) -> list[str]:
    """The estimates to show by group: those that the instrument says matter, else the first few; none that is fixed."""
    free = [str(name) for name, draws in found.items() if not _is_fixed(draws)]
    wanted = [name for name in getattr(instrument, "main", ()) if name in free]
    return wanted or free[:FEW] or [str(name) for name in found][:1]


def _is_fixed(draws: xr.DataArray) -> bool:
    """Whether the assumptions leave an estimate no freedom (where they say "never", draws are as good as 0)."""
    return float(draws.max() - draws.min()) < 1e-12


def _said(instrument: Instrument, name: str, draws: xr.DataArray, row: pd.Series) -> dict[str, str]:
    """Median and interval in words, on the estimate's own scale."""
    low, high = (_value(instrument, name, draws, row[part]) for part in ("lower", "upper"))
    as_share = _scale(instrument, name, draws) == "share"
    both = interval(row["lower"], row["upper"]) if as_share else f"{low.removesuffix(' points')} to {high}"
    return {"said": _value(instrument, name, draws, row["median"]), "said_interval": both}


def _value(instrument: Instrument, name: str, draws: xr.DataArray, value: float) -> str:
    match _scale(instrument, name, draws):
        case "share":
            return percent(value)
        case "difference":
            return f"{points(value)} points"
        case _:
            return f"{value:,.2f}".replace("-", "\N{MINUS SIGN}")


def _scale(instrument: Any, name: str, draws: xr.DataArray) -> str:
    """Whether an estimate is a share of people, a difference of shares (which may be negative), or on a scale of its own."""
    if not getattr(instrument, "shares", True) or name in getattr(instrument, "numbers", ()):
        return "own"
    return "difference" if name in getattr(instrument, "differences", ()) or bool(np.nanmin(draws) < 0) else "share"
