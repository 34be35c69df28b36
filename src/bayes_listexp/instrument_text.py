"""What was observed beside the list, and what is known from elsewhere, in words with their sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import xarray as xr

from bayes_listexp import instruments, stored
from bayes_listexp.margins import evidence_words


class Kind(NamedTuple):
    """How a kind of instrument is written about: its title, one sentence with the table's values, and what it cites."""

    title: str
    sentence: str
    cites: tuple[str, ...] = ()


KINDS = {
    "direct": Kind(
        "Direct question",
        "A direct question (column {column}) observes the trait beside the list (Aronow et al. 2015; Eady 2017); {assumed}.",
        ("aronow_coppock_crawford_green_2015", "eady_2017"),
    ),
    "outcome": Kind(
        "Outcome",
        "The outcome {column} ({family}) is modelled jointly with the list, and may differ by the trait (Imai, Park & Greene 2015).",
        ("imai_park_greene_2015",),
    ),
    "randomised_response": Kind(
        "Randomised response",
        "A randomised response (column {column}; Blair, Imai & Zhou 2015) observes the trait beside the list (Blair, Imai & Lyall "
        "2014); {assumed}.",
        ("blair_imai_zhou_2015", "blair_imai_lyall_2014"),
    ),
    "endorsement": Kind(
        "Endorsement experiment",
        "An endorsement experiment (columns {answers}; Bullock, Imai & Shapiro 2011) is modelled jointly with the list, and the effect "
        "of the endorsement may differ by the trait (Blair, Imai & Lyall 2014).",
        ("bullock_imai_shapiro_2011", "blair_imai_lyall_2014"),
    ),
    "second_list": Kind("Second list", "A second list observes the same trait (Glynn 2013).", ("glynn_2013",)),
    "item_answers": Kind(
        "Answers to single items",
        "Answers to the single control items say which of them apply (Corstange 2009).",
        ("corstange_2009",),
    ),
}
"""By the word for the kind; others, such as those of one's own, are named by that word."""

ASSUMED = {
    ("lies", "none"): "answers to it are taken to be true",
    ("lies", "one_sided"): "those with the trait may deny it, and nobody else claims it",
    ("lies", "two_sided"): "those with the trait may deny it, and those without it may claim it",
    ("refusals", "trait"): "refusing may depend on the trait",
    ("refusals", "ignored"): "refusals count as not asked",
    ("primed", True): "having seen the treatment list first may change denying it",
    ("count", True): "lies may go with the number of control items that apply",
    ("cheating", "none"): "everybody follows the device",
    ("cheating", "one_sided"): "those with the trait may act as if they had not",
    ("cheating", "two_sided"): "those with the trait may act as if they had not, and those without it as if they had",
}
"""What settings of instruments mean."""


def instrument_title(kind: str, name: str) -> str:
    """The title of an instrument: that of its kind, and its name where it is neither the kind's nor the usual one."""
    usual = [field.default for field in dataclasses.fields(instruments.KINDS[kind]) if field.name == "name"]
    title = KINDS[kind].title if kind in KINDS else kind.replace("_", " ").capitalize()
    return title if name in (kind, *usual) else f"{title} ({name})"


def instrument_words(tree: xr.DataTree, name: str) -> str:
    """An instrument of a fit in one or two sentences: what it is, what is assumed, and its linear predictors."""
    table = stored.fact(tree, "instruments")[name]
    instrument = next(i for i in stored.blueprint_of(tree).instruments if i.name == name)
    kind = KINDS.get(table["kind"], Kind("", f"The instrument {name} ({table['kind']}) observes the trait beside the list."))
    predictors = "; ".join(f"{part} = {formula}" for part, formula in instrument.formulas().items())
    return kind.sentence.format(**_values(table)) + (f" Linear predictors: {predictors}." if predictors else "")


def margin_words(margin: Mapping[str, Any]) -> str:
    """A margin of a fit (as stored: its kind and fields) in one sentence."""
    if margin["kind"] == "KnownItem":
        what = f"Control item {margin['item']} is known to apply to"
    else:
        among = " and ".join(f"{column} = {level}" for column, level in margin["group"].items())
        whom = "population frame" if margin["population"] == "frame" else "sample"
        what = f"In the {whom}, the trait {f'among {among} ' if among else ''}is known to be that of"
    return f"{what} {evidence_words(margin)}."


def study_words(tree: xr.DataTree) -> list[str]:
    """Sentences on a design with several sensitive items, a placebo list or without a control arm, and on missing covariates."""
    plan, out = stored.blueprint_of(tree), []
    if plan.item is not None:
        out.append(f"There are {len(plan.items)} sensitive items ({', '.join(plan.items)}), each on a treatment list of its own; "
                   "control counts are the same for all.")
    if "placebo" in plan.arms:
        out.append("Part of the control arm was shown a placebo list, whose additional item applies to nobody (Riambau & Ostwald 2021).")
    if not plan.cells.control.sum() and "placebo" not in plan.arms:
        out.append("Everybody was shown the treatment list; what is known of the control items stands in for a control arm.")
    if plan.cells.incomplete is not None:
        out.append(
            f"{int(plan.cells.incomplete.n.sum()):,} respondents lack a covariate and are kept: their likelihood adds up over the "
            "levels they may have, taken to be missing at random given their other covariates. The shares of the levels are those of "
            "the respondents who lack nothing, shrunken towards the shares of respondents known by fewer covariates (MacKay & Peto "
            "1995), and held fixed, so that intervals do not hold their error.")
    return out


def all_words(tree: xr.DataTree) -> list[str]:
    """Sentences on every instrument and margin, as a methods paragraph has them."""
    margins = stored.fact(tree, "specification").get("margins", [])
    known = [margin_words(margin) for margin in margins]
    if known:
        discounted = any(margin["discount"] != 1 for margin in margins)
        sources = "Chou, Imai & Rosenfeld 2020" + ("; Ibrahim & Chen 2000" if discounted else "")
        known.insert(0, f"Auxiliary information enters as a likelihood of its own ({sources}).")
    return [*(instrument_words(tree, name) for name in stored.fact(tree, "instruments")), *known]


def parts(tree: xr.DataTree) -> list[tuple[str, str]]:
    """Titles and words of the design, the instruments and the margins of a fit, one pair each."""
    tables = stored.fact(tree, "instruments")
    out = [("Design", " ".join(study_words(tree)))] if study_words(tree) else []
    out += [(instrument_title(table["kind"], name), instrument_words(tree, name)) for name, table in tables.items()]
    return out + [("Known from elsewhere", margin_words(m)) for m in stored.fact(tree, "specification").get("margins", [])]


def cited(tree: xr.DataTree) -> list[str]:
    """Keys of :data:`bayes_listexp.references.REFERENCES` that these words cite."""
    tables, margins = stored.fact(tree, "instruments").values(), stored.fact(tree, "specification").get("margins", [])
    keys = [key for table in tables if table["kind"] in KINDS for key in KINDS[table["kind"]].cites]
    keys += ["chou_imai_rosenfeld_2020"] if margins else []
    keys += ["ibrahim_chen_2000"] if any(margin["discount"] != 1 for margin in margins) else []
    plan = stored.blueprint_of(tree)
    keys += ["mackay_peto_1995"] if plan.cells.incomplete is not None else []
    return keys + (["riambau_ostwald_2021"] if "placebo" in plan.arms else [])


def _values(table: Mapping[str, Any]) -> dict[str, str]:
    """A stored instrument's values as words for its sentence, and what its settings mean under ``assumed``."""
    assumed = [ASSUMED.get((key, value)) for key, value in table.items() if isinstance(value, (str, bool))]
    if table.get("lies") == "none":
        assumed = [words for words in assumed if words != ASSUMED["count", True]]
    if not table.get("someone_refused"):
        assumed = [words for words in assumed if words not in (ASSUMED["refusals", "trait"], ASSUMED["refusals", "ignored"])]
    said = {key: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in table.items()}
    return said | {"assumed": ", ".join(words for words in assumed if words)}
