"""Words on group-specific effects for the methods paragraph: which hang together how, and whom to cite for it."""

from __future__ import annotations

import xarray as xr

from bayes_listexp import stored
from bayes_listexp.formulas import GroupTerm
from bayes_listexp.structures import EXCHANGEABLE, islands

WORDS = {
    "rw1": "a first-order random walk in real time (Rue & Held 2005)",
    "rw2": "a second-order random walk in real time (Rue & Held 2005)",
    "ar1": "a stationary first-order autoregression in real time (Rue & Held 2005)",
    "gp": "a Gaussian process with a Matérn 5/2 covariance (Rasmussen & Williams 2006)",
    "icar": "an intrinsic autoregression between neighbours (Besag, York & Mollié 1991)",
    "bym2": "a mixture of an intrinsic autoregression between neighbours and exchangeable effects (Riebler et al. 2016)",
}
CITED = {
    "rw1": "rue_held_2005",
    "rw2": "rue_held_2005",
    "ar1": "rue_held_2005",
    "gp": "rasmussen_williams_2006",
    "icar": "besag_york_mollie_1991",
    "bym2": "riebler_2016",
}


def structure_words(tree: xr.DataTree) -> str:
    """How the effects of groups are modelled, in sentences; "" without group-specific effects."""
    terms = _terms(tree)
    if not terms:
        return ""
    exchangeable = sorted({_of(term) for _, term in terms if set(term.kinds) == {EXCHANGEABLE}})
    said = [f"Group-specific effects of {_listed(exchangeable)} are exchangeable"] if exchangeable else []
    by_kind: dict[str, list[str]] = {}
    for name, term in terms:
        for factor, kind in zip(term.factors, term.kinds, strict=True):
            if kind != EXCHANGEABLE:
                within = f" by {':'.join(f for f in term.factors if f != factor)}" if len(term.factors) > 1 else ""
                by_kind.setdefault(kind, []).append(f"{factor}{within} ({_predictor(name)})")
    said += [f"the effects of {_listed(list(dict.fromkeys(who)))} follow {WORDS[kind]}" for kind, who in by_kind.items()]
    if any(term.correlated for _, term in terms):
        said.append("correlations between the effects of a level have an LKJ prior (Lewandowski, Kurowicka & Joe 2009)")
    text = "; ".join(said)
    scaled = ", with structures scaled to a typical variance of 1 (Sørbye & Rue 2014)" if by_kind else ""
    alone = _islands(tree)
    more = f" {_listed(alone)} without neighbours {'has' if len(alone) == 1 else 'have'} exchangeable effects." if alone else ""
    return (f"{text[0].upper()}{text[1:]}{scaled}; effects are deviations from the mean of the levels with respondents, and "
            f"interactions from what their parts say.{more} ")


def structures_cited(tree: xr.DataTree) -> list[str]:
    """Keys of the references that :func:`structure_words` cites."""
    kinds = {kind for _, term in _terms(tree) for kind in term.kinds} - {EXCHANGEABLE}
    keys = [CITED[kind] for kind in kinds] + ["sorbye_rue_2014"] * bool(kinds)
    return keys + ["lewandowski_kurowicka_joe_2009"] * any(term.correlated for _, term in _terms(tree))


def _terms(tree: xr.DataTree) -> list[tuple[str, GroupTerm]]:
    return [(name, term) for name, bound in stored.blueprint_of(tree).designs.items() for term in bound.groups]


def _of(term: GroupTerm) -> str:
    return ":".join(term.factors)


def _predictor(name: str) -> str:
    return {"trait": "on the prevalence", "control": "on the control counts"}.get(name, f"on {name.replace('_', ' ')}")


def _islands(tree: xr.DataTree) -> list[str]:
    relations = stored.blueprint_of(tree).specification.relations
    found = [level for _, term in _terms(tree) for factor, kind, levels in zip(term.factors, term.kinds, term.factor_levels, strict=True)
             if kind in ("icar", "bym2") for level in islands(factor, levels, relations)]
    return list(dict.fromkeys(found))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
