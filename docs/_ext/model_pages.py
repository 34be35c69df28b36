"""The model reference, written from the catalogue: what is in the code is on the page, and nothing else is.

Equations of response models come from their rules. Those of count families, dependences and instruments cannot be read off a
PyTensor graph; they are here by name, and the site is not built if one is missing or has nothing to describe.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from docstrings import rst_of

from bayes_listexp import references, responses
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.instruments import KINDS
from bayes_listexp.instruments.outcome_families import FAMILIES as OUTCOMES
from bayes_listexp.priors import DEFAULTS
from bayes_listexp.reporting import ReportTables, arm_slices, report_tables
from bayes_listexp.specification import DEPENDENCES
from bayes_listexp.structures import ALONG, BETWEEN

J = 3  # of the lists whose equations are written out

COUNTS = {
    "softmax": r"P(k) = \frac{\binom{J}{k}\, e^{\alpha_k + k\eta}}{\sum_m \binom{J}{m}\, e^{\alpha_m + m\eta}}",
    "binomial": r"P(k) = \binom{J}{k}\, h^k (1 - h)^{J - k}, \quad h = \frac{1}{1 + e^{-\eta}}",
    "beta_binomial": r"P(k) = \binom{J}{k}\, \frac{B(k + a, J - k + b)}{B(a, b)}, \quad a = h\,\frac{1 - r}{r}, \quad "
    r"b = (1 - h)\,\frac{1 - r}{r}",
    "com_binomial": r"P(k) = \frac{\binom{J}{k}^{\nu} e^{k\eta}}{\sum_m \binom{J}{m}^{\nu} e^{m\eta}}",
    "poisson_binomial": r"P(k) = \sum_{|S| = k}\ \prod_{j \in S} h_j \prod_{j \notin S} (1 - h_j), \quad "
    r"h_j = \frac{1}{1 + e^{-(\eta + \delta_j)}}, \quad \sum_j \delta_j = 0",
}
"""Of k of J control items, given the linear predictor eta."""

DEPENDENCE = {
    "none": (r"P(c \mid s) = P(c)", "The control items have nothing to do with the trait."),
    "shift": (r"\eta_s = \eta + \delta s", "One shift of the linear predictor, shrunken to none (`control_shift`)."),
    "free": (r"\eta_s = x'(\gamma + s D), \quad \alpha_{ks} = \alpha_k + s A_k",
             "Every coefficient and the shape of the counts may differ by the trait, shrunken to the shift (`control_free_sd`)."),
    "saturated": (r"P(c = k \mid s) = q_{ks}", "Any distribution for either trait, by group: the types model (`control_saturated`)."),
    "linear": (r"\operatorname{logit} P(s = 1 \mid c) = x'\beta + \zeta\,(c - \bar c)",
               "The other way round: the trait given the count (`trait_count`), about the mean count of the control arm."),
    "smooth": (r"\operatorname{logit} P(s = 1 \mid c) = x'\beta + w_c, \quad w_c - w_{c-1} \sim N(\zeta, \sigma^2)",
               "The same with steps that differ: a random walk over the counts, centred, about the straight line (`trait_count_sd`)."),
}

INSTRUMENTS = {
    "direct": (
        {"column": "asked", "refused": "refused", "lies": "two_sided", "someone_refused": True},
        [r"P(\text{no} \mid s = 1, c) = \lambda_c, \quad \operatorname{logit} \lambda_c = x'\beta_\lambda + \kappa_\lambda (c - J/2)",
         r"P(\text{yes} \mid s = 0, c) = \phi_c, \quad \operatorname{logit} \phi_c = x'\beta_\phi + \kappa_\phi (c - J/2)",
         r"\operatorname{logit} P(\text{refused} \mid s) = x'\beta_\rho + \tau s"],
        "With one-sided lies nobody claims the trait falsely; the counts do not matter with `count=False`; those who refuse are as "
        "if not asked with `refusals=\"ignored\"`. With `primed=True` the logit of a lie is shifted for those who saw the treatment list."),
    "second_list": (
        {"answer": "answer_2", "arm": "arm_2", "J": 4, "dependence": "shift"},
        [r"P(y_2 \mid s, c) = \sum_{c_2} P(c_2 \mid s, c)\, R(s, c_2, y_2), \quad \eta_2 = x'\gamma_2 + \delta_2 s + \rho\,(c - J/2)"],
        "R is the table of the second list's response model. By default its counts do not depend on the trait."),
    "item_answers": (
        {"columns": ("item_1", "item_2", "item_3")},
        [r"P(z_1, \ldots, z_J \mid c) = \frac{\prod_{j:\, z_j = 1} e^{\delta_j}}{\sum_{|S| = c} \prod_{j \in S} e^{\delta_j}}, "
         r"\quad \sum_j z_j = c"],
        "The same item logits as in the Poisson-binomial counts."),
    "randomised_response": (
        {"column": "die", "truth": 2 / 3, "forced_yes": 1 / 6, "cheating": "two_sided"},
        [r"P(\text{yes} \mid \text{acts as with}) = t + f, \quad P(\text{yes} \mid \text{acts as without}) = f",
         r"P(\text{acts as without} \mid s = 1) = \chi, \quad P(\text{acts as with} \mid s = 0) = \psi"],
        "t asks for the truth, f forces a yes; in the mirrored design the two chances are t and 1 - t. Only with "
        "`cheating=\"two_sided\"` is there a chance of claiming."),
    "endorsement": (
        {"answers": ("policy_1", "policy_2"), "endorsed": "shown", "levels": (1, 2, 3)},
        [r"P(\text{answer}_k > l \mid s, u) = \operatorname{logit}^{-1}(x'\beta + \delta s + \sigma u + e_k \omega_s - c_{kl}), "
         r"\quad u \sim N(0, 1)"],
        "e says whether policy k was shown endorsed; the shift of the endorsement differs between those with and without the trait; "
        "u is integrated out."),
    "outcome": (
        {"column": "voted", "family": "bernoulli"},
        [r"g(E[o \mid s, c]) = x'\kappa + \tau s + \kappa_c (c - J/2)"],
        "g is the link of the family. The count enters with `count=True` only. Families: "
        + ", ".join(f"`{name}`" for name in OUTCOMES) + "."),
}
"""By kind: an example whose priors are shown, equations, and what to read with them."""


def model_pages() -> dict[str, str]:
    """Markdown pages by file name."""
    _same("families of counts", COUNTS, FAMILIES)
    _same("dependences", DEPENDENCE, DEPENDENCES)
    _same("instruments", INSTRUMENTS, KINDS)
    return {
        "responses.md": _responses(),
        "counts.md": _counts(),
        "instruments.md": _instruments(),
        "priors.md": _priors(),
        "sources.md": _sources(),
    }


def _same(what: str, described: Iterable[str], there: Iterable[str]) -> None:
    if different := set(described) ^ set(there):
        raise ValueError(f"{what}: described and in the catalogue differ in {', '.join(sorted(different))}; mend {__name__}")


def _responses() -> str:
    names = sorted(responses.names(), key=lambda name: (name != "truthful", name))
    lines = [
        "# Response models", "",
        "What people write down. Each model is \"truthful, with lapses\": with a probability $\\varphi$ a person follows another",
        "rule. With prevalence $\\pi$, control counts $q_{c \\mid s}$ of those with ($s = 1$) and without ($s = 0$) the trait, and",
        f"$q_c$ of everybody, the chances of the answers to a list with $J = {J}$ control items are written out below; the package",
        "computes them from the same rules for any $J$. Nothing on this page is typed in: it is written from the",
        "files in `src/bayes_listexp/responses/`.", "",
        "| model | lapses | prior of each |", "| --- | --- | --- |",
        *(f"| [{name}](#{name.replace('_', '-')}) | {', '.join(map(_code, responses.lapses(name))) or 'none'} | "
          f"{', '.join(_code(lapse.prior) for lapse in responses.lapses(name).values()) or '-'} |" for name in names), "",
        "A Normal prior is of the logit of the probability, a Beta prior of the probability itself. Which of these can be combined with "
        "what is in [Combinations](../combinations.md).", "",
    ]
    for name in names:
        lines += _response(name)
    return "\n".join(lines)


def _response(name: str) -> list[str]:
    module = import_module(f"bayes_listexp.responses.{name}")
    tables = report_tables(responses.lapses(name), J)
    rules = [f"- `{lapse}`: {inspect.getdoc(made.rule)}" for lapse, made in responses.lapses(name).items()]
    equations = [line for arm in ("control", "treatment") for line in (f"Answers in the {arm} arm:", "", *_display(_answers(tables, arm)))]
    return [f"## {name}", "", *_rst(inspect.getdoc(module)), *rules, "" if rules else "", *equations]


def _answers(tables: ReportTables, arm: str) -> list[str]:
    """LaTeX of P(answer) for every answer of an arm."""
    columns = range(*arm_slices(J)[arm].indices(2 * J + 3))
    return [rf"P({answer}) &= {_chance(tables, column)}" for answer, column in enumerate(columns)]


def _chance(tables: ReportTables, column: int) -> str:
    terms = [("", tables.certain[..., column])]
    for lapse in tables.kept:
        symbol = rf"\varphi_{{\text{{{lapse.replace('_', ' ')}}}}}"
        terms += [(f"(1 - {symbol})", tables.kept[lapse][..., column]), (symbol, tables.followed[lapse][..., column])]
    written = [_term(symbol, table) for symbol, table in terms if table.any()]
    return " + ".join(written) or "0"


def _term(symbol: str, table: np.ndarray) -> str:
    """A factor times the probability of the states, (trait, count), that it goes with; all of them equally."""
    share = table.max()
    factor = symbol if share == 1 else rf"\tfrac{{1}}{{{round(1 / share)}}} {symbol}"
    if (table == share).all():
        return factor or "1"
    states = [
        rf"q_{{{count}}}" if both else rf"\pi q_{{{count} \mid 1}}" if with_trait else rf"(1 - \pi) q_{{{count} \mid 0}}"
        for count, (without, with_trait) in enumerate(table.T > 0)
        for both in [without and with_trait]
        if without or with_trait
    ]
    total = " + ".join(states)
    return total if not factor else f"{factor} {total}" if len(states) == 1 else f"{factor} ({total})"


def _counts() -> str:
    lines = [
        "# Control counts and their dependence on the trait", "",
        "How many of the $J$ control items apply to a person. $\\eta$ is the linear predictor: the formula `control` over covariates and",
        "groups, and the shift below. The default is `softmax` with `shift`.", "",
        "| family | further parameter | prior |", "| --- | --- | --- |",
    ]
    for name, family in FAMILIES.items():
        parameter = _code(family.parameter) if family.parameter else "-"
        lines.append(f"| [{name}](#{name.replace('_', '-')}) | {parameter} | {_prior_of(family.parameter)} |")
    for name, family in FAMILIES.items():
        lines += ["", f"## {name}", "", *_rst(inspect.getdoc(family.pmf)), *_display([COUNTS[name]])]
    lines += ["", "## Dependence", "", "What the count and the trait have to do with each other, `dependence=`:", ""]
    for name, (equation, text) in DEPENDENCE.items():
        lines += [f"### {name}", "", text, "", *_display([equation])]
    lines += ["", "## Why not the binomial by default", "", _WHY, ""]
    return "\n".join(lines)


_WHY = """\
Items that differ in popularity, or that go against one another, as textbooks recommend, make the count vary *less* than a
binomial. A model that cannot say so books the difference to the trait: with items of popularity .95, .7, .9 and .2 and a true prevalence
of .50, the binomial model without dependence tends to .31 as the sample grows; with two pairs of items that exclude each other
it tends to .21, and softmax counts to .50 in both. `python benchmarks/control_count_models.py` prints the table, and the notebook
[Control counts matter](../_notebooks/control_counts_matter.ipynb) shows it on a published study."""


def _prior_of(parameter: str | None) -> str:
    if parameter is None:
        return "-"
    return ", ".join(_code(DEFAULTS[name]) for name in (f"{parameter}_gap", parameter) if name in DEFAULTS)


def _instruments() -> str:
    lines = [
        "# Instruments beside the list", "",
        "Each is one more factor $P(\\text{observation} \\mid s, c)$ under the sum over trait $s$ and control count $c$:", "",
        *_display([r"P(\text{all that was observed}) = \sum_s P(s) \sum_c P(c \mid s)\, P(\text{answer} \mid s, c) "
                   r"\prod_i P(\text{observation}_i \mid s, c)"]),
        "They can be combined with each other. A missing value is \"not asked\", so an instrument may be put to everybody, to one arm, or",
        "to another sample. How to write one's own is in the README.", "",
        "| kind in a spec | class |", "| --- | --- |",
        *(f"| `{kind}` | [{cls.__name__}](#{kind.replace('_', '-')}) |" for kind, cls in KINDS.items()), "",
    ]
    for kind, cls in KINDS.items():
        lines += _instrument(kind, cls)
    return "\n".join(lines)


def _instrument(kind: str, cls: type) -> list[str]:
    arguments, equations, text = INSTRUMENTS[kind]
    example: Any = cls(**arguments)
    settings = [field.name for field in dataclasses.fields(cls) if field.metadata.get("setting")]
    table: list[str] = []
    if priors := _priors_of(example):
        table = ["| parameter | default prior |", "| --- | --- |", *(f"| `{name}` | `{prior}` |" for name, prior in priors.items()), ""]
    return [
        f"## {kind}", "", *_rst(inspect.getdoc(import_module(cls.__module__))),
        *(line for equation in equations for line in _display([equation])), text, "", *table,
        *([f"Settings that a fit may change, `fit(..., instruments={{\"{example.name}\": {{...}}}})`: "
           f"{', '.join(map(_code, settings))}.", ""] if settings else []),
    ]


def _priors_of(instrument: Any) -> dict[str, Any]:
    own = instrument.priors() if hasattr(instrument, "priors") else {}
    more = instrument.parameters() if hasattr(instrument, "parameters") else {}
    return dict(own) | {name: parameter.prior for name, parameter in more.items()}


def _priors() -> str:
    return "\n".join([
        "# Priors", "",
        "Defaults are weakly informative and stated on the scale of the data: intercepts of the trait on the probability scale,",
        "slopes of centred columns, numeric ones divided by two standard deviations. With",
        "`priors={\"trait_slope\": \"Normal(0, 0.5)\"}` a fit has another; `priors=\"flat\"` with `method=\"map\"` is maximum likelihood.",
        "`power_scaling` and `contraction` say how much they weigh.", "",
        "| name | default |", "| --- | --- |", *(f"| `{name}` | `{prior}` |" for name, prior in DEFAULTS.items()), "",
        "Lapses and instruments bring their own: see [response models](responses.md) and [instruments](instruments.md). Single group terms "
        "go by their parameters' names, such as `trait_region_sd`.", "",
        f"Structures of group effects: {', '.join(map(_code, ALONG))} along an order or in time, {', '.join(map(_code, BETWEEN))} between",
        "neighbours, `lkj` for correlated slopes; what they are is in [Populations and waves](../populations_and_waves.md).", "",
    ])


def _sources() -> str:
    entries = sorted(map(_reference, references.REFERENCES.values()))
    return "\n".join(["# Sources", "",
                      "What reports cite. Every report lists those of the models and checks that it used, and their BibTeX.", "",
                      *(f"- {entry}" for entry in entries), ""])


def _reference(entry: str) -> str:
    fields = {key: re.sub(r"\s+", " ", value) for key, value in re.findall(r"(\w+) =\s*\{((?:[^{}]|\{[^{}]*\})*)\}", entry)}
    plain = {key: _plain(value) for key, value in fields.items()}
    place = f"*{plain['journal']}*" if "journal" in plain else plain.get("publisher", "")
    number = f"({plain['number']})" if "number" in plain else ""
    volume = f" {plain['volume']}{number}" if "volume" in plain else ""
    pages = f": {plain['pages']}" if "pages" in plain else ""
    people = "; ".join(plain["author"].split(" and "))
    return f"{people} ({plain['year']}). {plain['title']}. {place}{volume}{pages}."


def _plain(text: str) -> str:
    for tex, letter in ((r'{\"u}', "ü"), (r"{\o}", "ø"), (r"{\'e}", "é"), (r"{\aa}", "å"), (r"\&", "&"), ("--", "–"), ("{", ""), ("}", "")):
        text = text.replace(tex, letter)
    return text


def _display(equations: list[str]) -> list[str]:
    body = equations if len(equations) == 1 else [" \\\\\n".join(equations)]
    return ["```{math}", *body, "```", ""]


def _rst(text: str | None) -> list[str]:
    return ["```{eval-rst}", *rst_of((text or "").splitlines()), "```", ""]


def _code(value: object) -> str:
    return f"`{value}`"

