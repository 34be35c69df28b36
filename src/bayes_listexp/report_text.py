"""Words that reports share: methods paragraph, references, provenance. All of it follows from the fitted tree."""

from __future__ import annotations

import json

import xarray as xr

from bayes_listexp import stored

COUNTS = {
    "softmax": "a saturated categorical distribution over 0 to J",
    "binomial": "a binomial distribution",
    "beta_binomial": "a beta-binomial distribution",
    "com_binomial": "a Conway-Maxwell binomial distribution",
}
DEPENDENCE = {
    "none": "independently of the trait",
    "shift": "with a shift of its linear predictor for those with the trait, shrunken to none by its prior",
    "free": "with coefficients and shape of their own for those with the trait, shrunken to the others'",
}
RESPONSES = {
    "truthful": "Respondents are taken to count truthfully (no design effect, no liars).",
    "liars": "Respondents with the trait may hide it where the answer would give it away: those with no control item may answer 0 "
    "(floor) and those with all of them J (ceiling), with estimated probabilities.",
    "top_coded": "A share of respondents answers with the largest number whatever applies.",
    "uniform": "A share of respondents in each arm answers at random.",
}
BIBTEX = """@article{blair_imai_2012, author = {Blair, Graeme and Imai, Kosuke}, title = {Statistical Analysis of List Experiments},
  journal = {Political Analysis}, year = {2012}, volume = {20}, number = {1}, pages = {47--77}}
@article{imai_2011, author = {Imai, Kosuke}, title = {Multivariate Regression Analysis for the Item Count Technique},
  journal = {Journal of the American Statistical Association}, year = {2011}, volume = {106}, number = {494}, pages = {407--416}}
@article{blair_chou_imai_2019, author = {Blair, Graeme and Chou, Winston and Imai, Kosuke},
  title = {List Experiments with Measurement Error}, journal = {Political Analysis}, year = {2019}, volume = {27}, number = {4},
  pages = {455--480}}
@article{vehtari_gelman_gabry_2017, author = {Vehtari, Aki and Gelman, Andrew and Gabry, Jonah},
  title = {Practical {Bayesian} Model Evaluation Using Leave-One-Out Cross-Validation and {WAIC}},
  journal = {Statistics and Computing}, year = {2017}, volume = {27}, pages = {1413--1432}}
@article{vehtari_2021, author = {Vehtari, Aki and Gelman, Andrew and Simpson, Daniel and Carpenter, Bob and B{\\"u}rkner, Paul-Christian},
  title = {Rank-Normalization, Folding, and Localization: An Improved {R}-hat for Assessing Convergence of {MCMC}},
  journal = {Bayesian Analysis}, year = {2021}, volume = {16}, number = {2}, pages = {667--718}}
@article{park_gelman_bafumi_2004, author = {Park, David K. and Gelman, Andrew and Bafumi, Joseph},
  title = {Bayesian Multilevel Estimation with Poststratification: State-Level Estimates from National Polls},
  journal = {Political Analysis}, year = {2004}, volume = {12}, number = {4}, pages = {375--385}}"""


def methods_paragraph(tree: xr.DataTree) -> str:
    """One paragraph for a paper's methods section, from the tree's own record of what was done."""
    model, arguments = stored.fact(tree, "specification"), stored.fact(tree, "arguments")
    versions, J = stored.fact(tree, "versions"), tree.attrs["J"]
    population = "population" in tree.children
    sampling = (
        f"The posterior was sampled by the no-U-turn sampler (nutpie {versions['nutpie']}, PyMC {versions['pymc']}) with "
        f"{arguments.get('chains')} chains of {arguments.get('tune')} tuning and {arguments.get('draws')} retained draws, "
        f"target acceptance {arguments.get('target_accept')}, seed {arguments['seed']}."
        if arguments["method"] == "nuts"
        else "The posterior was approximated by a normal distribution at its mode."
    )
    target = (
        "Prevalences are poststratified to the population frame: means of P(trait | x) over its cells, weighted by their number "
        "of people."
        if population
        else "Prevalences are means of P(trait | x) over the respondents."
    )
    return (
        f"The list experiment has J = {J} control items. We fit a Bayesian list-experiment regression (Blair & Imai 2012; Imai 2011). "
        f"The sensitive trait follows a logistic regression, logit P(trait) = {model['trait']}; the number of control items that apply "
        f"follows {COUNTS[model['counts']]} with linear predictor {model['control']}, {DEPENDENCE[model['dependence']]}. "
        f"{RESPONSES.get(model['response'], 'Respondents follow reporting rules supplied by the analyst.')} "
        f"Group-specific effects are exchangeable and sum to zero over the levels with respondents. {sampling} {target} "
        "Intervals are equal-tailed 95 % posterior intervals. Convergence was judged by R-hat and effective sample size (Vehtari et al. "
        "2021), and models were compared by leave-one-out cross-validation (Vehtari, Gelman & Gabry 2017)."
    )


def priors_used(tree: xr.DataTree) -> list[tuple[str, str]]:
    """The priors that this model has, by parameter."""
    model = stored.fact(tree, "specification")
    if model["priors"] == "flat":
        return [("everything", "flat on the logit or linear scale")]
    unused = {
        "control_shape": "softmax",
        "control_overdispersion": "beta_binomial",
        "control_dispersion": "com_binomial",
    }
    skip = {name for name, counts in unused.items() if model["counts"] != counts}
    skip |= {"control_shift"} if model["dependence"] == "none" else set()
    skip |= {"control_free_sd"} if model["dependence"] != "free" else set()
    skip |= {"lapse_slope", "lapse_sd"} if not model["lapses"] else set()
    return [(name, prior) for name, prior in model["priors"].items() if name not in skip]


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
