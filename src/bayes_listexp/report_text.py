"""Words that reports share: methods paragraph, references, provenance. All of it follows from the fitted tree."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from bayes_listexp import instrument_text, stored
from bayes_listexp.importance import Approximation
from bayes_listexp.population import PopulationFrame
from bayes_listexp.references import REFERENCES
from bayes_listexp.shape_levels import shape_factors
from bayes_listexp.structure_text import structure_words, structures_cited
from bayes_listexp.tables import interval, percent

COUNTS = {
    "softmax": "a saturated categorical distribution over 0 to J",
    "binomial": "a binomial distribution",
    "beta_binomial": "a beta-binomial distribution",
    "com_binomial": "a Conway-Maxwell binomial distribution",
    "poisson_binomial": "a Poisson-binomial distribution, that of independent items of unequal popularity,",
}
DEPENDENCE = {
    "none": "independently of the trait",
    "shift": "with a shift of its linear predictor for those with the trait, shrunken to none by its prior",
    "free": "with coefficients and shape of their own for those with the trait, shrunken to the others'",
    "saturated": "with any distribution for those with the trait and any other for those without it",
    "linear": "and the logit of the trait is linear in that number",
    "smooth": "and the logit of the trait follows a random walk over that number",
}
RESPONSES = {
    "truthful": "Respondents are taken to count truthfully (no design effect, no liars).",
    "liars": "Respondents with the trait may hide it where the answer would give it away: those with no control item may answer 0 "
    "(floor) and those with all of them J (ceiling), with estimated probabilities.",
    "top_coded": "A share of respondents answers with the largest number whatever applies.",
    "uniform": "A share of respondents in each arm answers at random.",
    "bottom_coded": "A share of respondents answers 0 whatever applies.",
    "careless": "A share of respondents, the same on every list, answers at random.",
    "deflated": "A share of those with the trait leaves the sensitive item out of the count.",
}
ALWAYS = ("blair_imai_2012", "imai_2011", "vehtari_2021", "vehtari_gelman_gabry_2017")
WEIGHTED = ["savitsky_toth_2016", "williams_savitsky_2021", "ribatet_cooley_davison_2012"]
MEASUREMENT_ERROR = ("top_coded", "bottom_coded", "uniform", "careless")


def reading_words(draws: xr.DataArray, leave: str, about: str = "") -> tuple[str, ...]:
    """What an interval, a median and a probability say, in plain words with the numbers of these draws of support (0 to 1).

    ``leave`` says what leaves a range of possible values ("The answers leave"), ``about`` whose support it is.
    """
    low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return (
        f"95 % of what? {leave} a range of possible values of support. The fit drew {draws.size:,} of them, each as credible as the next, "
        f"and {round(0.95 * draws.size):,} of these lie in the interval: support{about} is {interval(low, high)} with probability 95 %. "
        "It is not 95 % of the people, and not the range of their opinions.",
        f"The number before an interval is the median: half of the draws lie above it. Here that is {percent(median)}.",
        "\u201cThe probability that \u2026\u201d is the share of these draws in which it is so. It holds if the model does; the checks "
        "below say how far to trust it.",
    )


def methods_paragraph(tree: xr.DataTree) -> str:
    """One paragraph for a paper's methods section, from the tree's own record of what was done."""
    model, arguments = stored.fact(tree, "specification"), stored.fact(tree, "arguments")
    versions = stored.fact(tree, "versions")
    frame = stored.population_frame_of(tree)
    sampling = (
        f"The posterior was sampled by the no-U-turn sampler (nutpie {versions['nutpie']}, PyMC {versions['pymc']}) with "
        f"{arguments.get('chains')} chains of {arguments.get('tune')} tuning and {arguments.get('draws')} retained draws, "
        f"target acceptance {arguments.get('target_accept')}, seed {arguments['seed']}."
        if arguments["method"] == "nuts"
        else _quick_words(tree)
    )
    nuts = arguments["method"] == "nuts"
    judged = "Convergence was judged by R-hat and effective sample size (Vehtari et al. 2021), and m" if nuts else "M"
    target = (
        "Prevalences are poststratified to the population frame: means of P(trait | x) over its cells, weighted by their number "
        f"of people (Park, Gelman & Bafumi 2004). {_frame_words(frame)}".strip()
        if frame
        else "Prevalences are means of P(trait | x) over the respondents."
    )
    more = "".join(f"{sentence} " for sentence in (*instrument_text.study_words(tree), *instrument_text.all_words(tree)))
    error = " (Blair, Chou & Imai 2019)" if model["response"] in MEASUREMENT_ERROR else ""
    response = RESPONSES.get(model["response"], "Respondents follow reporting rules supplied by the analyst.")
    return (
        f"{lists_words(tree)} We fit a Bayesian list-experiment regression (Blair & Imai 2012; Imai 2011). "
        f"The sensitive trait follows a logistic regression, logit P(trait) = {model['trait']}; the number of control items that apply "
        f"follows {COUNTS[model['counts']]} with linear predictor {model['control']}, {DEPENDENCE[model['dependence']]}"
        f"{_shape_words(tree)}. "
        f"{response.removesuffix('.')}{error}. {more}{_weighting_words(tree)}{_person_words(tree)}"
        f"{structure_words(tree)}{sampling} {target} "
        f"{_change_words(tree)}"
        f"Intervals are equal-tailed 95 % posterior intervals. {judged}odels were compared by leave-one-out cross-validation "
        "(Vehtari, Gelman & Gabry 2017)."
    )


def _quick_words(tree: xr.DataTree) -> str:
    """What was done in the place of sampling, for the methods paragraph."""
    told = Approximation.of(tree) or Approximation(corrected=False)
    if told.corrected:
        return (
            "The posterior was approximated by draws from a multivariate t distribution around its mode, corrected by Pareto-smoothed "
            f"importance weights (Vehtari et al. 2024; Pareto k {told.pareto_k:.2f}, {told.effective_draws:,.0f} effective draws)."
        )
    return told.words() if told.pareto_k is not None else "The posterior was approximated by a normal distribution at its mode."


def _shape_words(tree: xr.DataTree) -> str:
    """By what the shape of the control counts differs, for the methods paragraph; "" where it is one for all."""
    parts = stored.blueprint_of(tree).parts
    names = " and ".join(dict.fromkeys(factor.name for part in parts for factor in shape_factors(part)))
    return f"; the shape of this distribution differs by {names}, each with exchangeable departures" if names else ""



def lists_words(tree: xr.DataTree) -> str:
    """How many control items the list has, or each of several list versions, for the methods paragraph."""
    if "version" not in tree.attrs:
        return f"The list experiment has J = {tree.attrs['J']} control items."
    each = ", ".join(f"J = {J} in {version}" for version, J in stored.fact(tree, "lists").items())
    return (
        f"The control list was not the same for all respondents (versions by column '{tree.attrs['version']}': {each}). The trait, "
        "reporting rules and other instruments are shared by all versions; the number of control items that apply has coefficients, shape "
        "and dependence on the trait of its own in each. Differences in means are taken within versions and averaged by their numbers "
        "of respondents."
    )


def _change_words(tree: xr.DataTree) -> str:
    """How change between waves is computed, for the methods paragraph; "" with one wave."""
    if not _several_waves(tree):
        return ""
    standard = ", and differences in means standardised to the population average over its cells (Holt & Smith 1979)"
    return (
        "Changes are differences of the waves' prevalences within each draw; on samples or populations of different make-up they are "
        "split into the part of people of the same covariates answering differently and the part of the make-up (Kitagawa 1955)"
        f"{standard if 'population' in tree.children else ''}. "
    )


def _several_waves(tree: xr.DataTree) -> bool:
    wave = tree.attrs["wave"]
    return bool(wave) and stored.blueprint_of(tree).cells.frame[wave].nunique() > 1


def _weighting_words(tree: xr.DataTree) -> str:
    """How weights entered the likelihood, for the methods paragraph; "" where they did not."""
    if "weighting" not in tree.children:
        return ""
    units = {"respondents": "respondents", "clusters": "clusters within strata", "replicates": "replicate weights",
             "persons": "persons with all their answers"}
    return ("Respondents count in the likelihood with their survey weights, normalised to sum to their number in each wave "
            "(Savitsky & Toth 2016), and the draws were given the covariance of the weighted estimates under the sampling design, by "
            f"{units[tree['weighting'].attrs['units']]}, with the prior as exact information (Ribatet, Cooley & Davison 2012; Williams & "
            "Savitsky 2021). ")


def _person_words(tree: xr.DataTree) -> str:
    """How the answers of the same people hang together, for the methods paragraph; "" where they do not."""
    person = stored.fact(tree, "specification").get("person", "none")
    if person == "none":
        return ""
    both = "and an independent one on the logit of the trait " if person == "both" else ""
    return (
        f"The answers of one person in several waves hang together by a normal effect of the person on the linear predictor of the control "
        f"counts {both}that lasts over the waves; it was integrated out by a trapezoidal rule (Lesaffre & Spiessens 2001 on the number of "
        "nodes that this takes). Prevalences are averages over these effects, and cross-validation leaves out one person at a time. "
    )


def _frame_words(frame: PopulationFrame) -> str:
    """How the population frame was made and how its own uncertainty enters, for the methods paragraph; "" for exact counts."""
    raked = ("The frame was raked to known margins by iterative proportional fitting (Deming & Stephan 1940). "
             if "raking" in frame.methods else "")
    if frame.exact:
        return raked.strip()
    surveyed = "survey" in frame.methods
    size = "its effective number of respondents" if surveyed else "the number of people that they rest on"
    return (f"{raked}The frame's numbers of people are themselves estimates: each posterior draw averages over shares of cells drawn "
            f"from a Dirichlet distribution with the frame's shares as its mean and {size} as its size "
            f"(Rubin 1981{'; Kish 1965' * surveyed}).")


def bibtex(tree: xr.DataTree) -> str:
    """BibTeX entries of what the methods paragraph cites, and of nothing else."""
    keys = [*ALWAYS, *instrument_text.cited(tree), *structures_cited(tree)]
    if stored.fact(tree, "specification")["response"] in MEASUREMENT_ERROR:
        keys.append("blair_chou_imai_2019")
    if "population" in tree.children:
        keys.append("park_gelman_bafumi_2004")
    if _several_waves(tree):
        keys += ["kitagawa_1955", *(["holt_smith_1979"] if "population" in tree.children else [])]
    keys += ["lesaffre_spiessens_2001"] if _person_words(tree) else []
    keys += ["vehtari_2024"] if "sample_stats" not in tree.children else []
    keys += WEIGHTED if "weighting" in tree.children else []
    frame = stored.population_frame_of(tree)
    keys += ["deming_stephan_1940"] if frame and "raking" in frame.methods else []
    keys += ["rubin_1981", *["kish_1965"] * ("survey" in frame.methods)] if frame and not frame.exact else []
    return "\n".join(entry for key, entry in REFERENCES.items() if key in keys)


def model_words(tree: xr.DataTree) -> tuple[tuple[str, str], ...]:
    """The model in words, part by part: the list, each instrument, each margin."""
    model = stored.fact(tree, "specification")
    counts = f"The control counts follow {COUNTS[model['counts']].rstrip(',')}, {DEPENDENCE[model['dependence']]}."
    response = RESPONSES.get(model["response"], "Respondents follow reporting rules supplied by the analyst.")
    persons = (("Persons", _person_words(tree).strip()),) if _person_words(tree) else ()
    return (("List", f"{counts} {response}"), *persons, *instrument_text.parts(tree))


def priors_used(tree: xr.DataTree) -> list[tuple[str, str]]:
    """The priors that this model has, by parameter."""
    model = stored.fact(tree, "specification")
    if model["priors"] == "flat":
        return [("everything", "flat on the logit or linear scale")]
    counts, dependence = model["counts"], model["dependence"]
    plan = stored.blueprint_of(tree)
    terms = [term for bound in plan.designs.values() for term in bound.groups]
    kinds = {kind for term in terms for kind in term.kinds}
    known_items = any(m["kind"] == "KnownItem" for m in model.get("margins", []))
    labelled = plan.labelled_items or known_items
    there = {
        "control_shape": counts == "softmax",
        "control_shape_sd": any(shape_factors(part) for part in plan.parts),
        "control_overdispersion": counts == "beta_binomial",
        "control_dispersion": counts == "com_binomial",
        "control_item": counts == "poisson_binomial" and labelled,
        "control_item_gap": counts == "poisson_binomial" and not labelled,
        "control_shift": dependence in ("shift", "free"),
        "control_free_sd": dependence in ("free", "saturated"),
        "control_saturated": dependence == "saturated",
        "trait_count": dependence in ("linear", "smooth"),
        "trait_count_sd": dependence == "smooth",
        "trait_item_sd": bool(tree.attrs["item"]),
        "lapse_slope": bool(model["lapses"]),
        "lapse_sd": bool(model["lapses"]),
        "interaction_sd": any(len(term.factors) > 1 for term in terms),
        "group_mix": "bym2" in kinds,
        "group_rho": "ar1" in kinds,
        "group_length": "gp" in kinds,
        "group_trend": any(term.kinds == ("rw2",) for term in terms),
        "group_lkj": any(term.correlated for term in terms),
    }
    return [(name, prior) for name, prior in model["priors"].items() if there.get(name, True)]


def versions(tree: xr.DataTree) -> list[str]:
    """Packages and their versions, one text each."""
    return [f"{package} {version}" for package, version in stored.fact(tree, "versions").items()]


def provenance(tree: xr.DataTree) -> tuple[tuple[str, str], ...]:
    """Facts that end a report: seed, hashes, model."""
    source, arguments = stored.fact(tree, "source"), stored.fact(tree, "arguments")
    return (
        ("Seed", str(arguments["seed"])),
        ("Data (SHA-256)", source["sha256"]),
        ("Run (SHA-256)", tree.attrs["run_sha256"]),
        (
            "Model",
            json.dumps(
                {k: v for k, v in stored.fact(tree, "specification").items() if k != "priors"}, ensure_ascii=False
            ),
        ),
    )
