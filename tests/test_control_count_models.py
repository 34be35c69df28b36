"""Published and computed numbers that tell the models of the control counts apart, from tables of counts alone."""

import pandas as pd
import pytest
from scipy.special import expit

from bayes_listexp import ListExperiment, compare, difference_in_means, fit
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density, find_mode
from bayes_listexp.spec import bundled
from bayes_listexp.specification import Specification, blueprint
from benchmarks.control_count_models import MODELS, TRUTHS, expected_study, prevalence_at_mode

STUDIES = {"eady2017-gender": 4, "kuklinski1997-black-family": 3, "accg2015-list3": 4}

# Intercept-only maximum likelihood, no dependence on the trait: prevalence and log-likelihood.
PRINTED = [
    ("eady2017-gender", "binomial", 0.942, -29048.7),
    ("eady2017-gender", "com_binomial", 0.883, -28536.3),
    ("eady2017-gender", "softmax", 0.882, -28338.7),
    ("kuklinski1997-black-family", "binomial", 0.154, -1501.0),
    ("kuklinski1997-black-family", "com_binomial", 0.145, -1498.9),
    ("kuklinski1997-black-family", "softmax", 0.141, -1492.3),
    ("accg2015-list3", "binomial", 0.098, -1364.7),
    ("accg2015-list3", "com_binomial", 0.155, -1347.1),
    ("accg2015-list3", "softmax", 0.141, -1343.8),
]

# Prevalence at the posterior mode of the expected counts, by truth, in the order of MODELS.
BIASES = {
    "equal items .69": [0.500, 0.500, 0.500, 0.500, 0.500, 0.500, 0.500],
    "unequal items .95 .7 .9 .2": [0.312, 0.506, 0.500, 0.419, 0.507, 0.500, 0.500],
    "two negatively correlated pairs": [0.207, 0.500, 0.500, 0.500, 0.500, 0.500, 0.500],
    "one item goes with the trait (.55 / .9; others .85 .8 .35)": [0.505, 0.525, 0.530, 0.502, 0.528, 0.519, 0.502],
    "the same, rare trait": [0.105, 0.138, 0.137, 0.102, 0.106, 0.106, 0.104],
    "two items go with the trait (.5 / .85 and .3 / .55; others .85 .8)": [
        0.554, 0.555, 0.547, 0.486, 0.476, 0.488, 0.502,
    ],
    "two items go against it (.8 / .5 and .5 / .3; others .85 .8)": [0.308, 0.461, 0.458, 0.450, 0.495, 0.497, 0.499],
}  # fmt: skip


def _study(name):
    table = pd.read_csv(bundled("published_counts.csv")).query("study == @name")
    return ListExperiment.from_counts(table, answer="item_count", arm="arm", n="n", J=STUDIES[name])


def _fit(study, counts, **arguments):
    return fit(study, counts=counts, dependence="none", method="map", **arguments)


def _prevalence(tree):
    return float(expit(tree["optimum"]["trait_intercept"]))


@pytest.fixture(scope="module")
def eady():
    """Default priors, one tree per family."""
    return {counts: _fit(_study("eady2017-gender"), counts) for counts in ("binomial", "com_binomial", "softmax")}


@pytest.mark.parametrize(("name", "counts", "prevalence", "log_likelihood"), PRINTED)
def test_maximum_likelihood_from_counts_alone(name, counts, prevalence, log_likelihood):
    tree = _fit(_study(name), counts, priors="flat")
    assert _prevalence(tree) == pytest.approx(prevalence, abs=5.1e-4)  # printed to 3 digits
    assert float(tree["optimum"]["log_likelihood"]) == pytest.approx(log_likelihood, abs=0.051)  # to 1 digit


@pytest.mark.parametrize(
    ("name", "estimate", "se"),
    [
        ("eady2017-gender", 0.875, 0.012),
        ("kuklinski1997-black-family", 0.068, 0.050),
        ("accg2015-list3", 0.085, 0.057),
    ],
)
def test_difference_in_means_from_counts_alone(name, estimate, se):
    row = difference_in_means(_study(name)).iloc[0]
    assert row["estimate"] == pytest.approx(estimate, abs=5.1e-4)
    assert row["se"] == pytest.approx(se, abs=5.1e-4)


@pytest.mark.parametrize(("counts", "prevalence"), [("binomial", 0.942), ("com_binomial", 0.883), ("softmax", 0.882)])
def test_default_priors_hardly_move_so_many_respondents(eady, counts, prevalence):
    # The uniform prior pulls towards one half with the weight of two respondents: under a tenth of the s.e. of .009.
    assert _prevalence(eady[counts]) == pytest.approx(prevalence, abs=1e-3)


def test_only_the_binomial_is_far_from_the_difference_in_means(eady):
    row = difference_in_means(_study("eady2017-gender")).iloc[0]
    off = {counts: abs(_prevalence(tree) - row["estimate"]) / row["se"] for counts, tree in eady.items()}
    assert off["binomial"] > 5
    assert off["com_binomial"] < 1
    assert off["softmax"] < 1


def test_leave_one_out_prefers_the_families_that_can_be_less_dispersed(eady):
    best = compare(eady)
    assert list(best["model"]) == ["softmax", "com_binomial", "binomial"]
    against = compare({name: eady[name] for name in ("com_binomial", "binomial")}).set_index("model").loc["binomial"]
    for row in (best.set_index("model").loc["binomial"], against):
        assert row["elpd_diff"] < -500  # the log-likelihoods differ by 512 and 710
        assert row["elpd_diff"] < -10 * row["dse"]


def test_beta_binomial_where_the_counts_are_more_dispersed():
    tree = _fit(_study("kuklinski1997-black-family"), "beta_binomial", priors="flat")
    assert _prevalence(tree) == pytest.approx(0.145, abs=5.1e-4)
    binomial, com_binomial = (row[3] for row in PRINTED[3:5])
    assert binomial + 2 < float(tree["optimum"]["log_likelihood"]) < com_binomial + 0.2


@pytest.mark.parametrize("name", ["eady2017-gender", "accg2015-list3"])
def test_beta_binomial_cannot_be_less_dispersed_than_the_binomial(name):
    study = _study(name)
    assert "posterior" not in _fit(study, "beta_binomial", priors="flat").children  # the best overdispersion is none
    both = [_prevalence(_fit(study, counts)) for counts in ("beta_binomial", "binomial")]
    assert both[0] == pytest.approx(both[1], abs=1e-3)


def test_counts_are_worth_as_much_as_microdata(race):
    rows = ListExperiment.from_frame(race, answer="y", arm="treat", J=3)
    trees = [_fit(study, "softmax", priors="flat") for study in (rows, _study("kuklinski1997-black-family"))]
    likelihoods = [float(tree["optimum"]["log_likelihood"]) for tree in trees]
    assert likelihoods[0] == pytest.approx(likelihoods[1], abs=1e-6)
    assert _prevalence(trees[0]) == pytest.approx(_prevalence(trees[1]), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_bias_in_a_very_large_survey(name):
    found = [prevalence_at_mode(TRUTHS[name], *model) for model in MODELS.values()]
    assert found == pytest.approx(BIASES[name], abs=0.005)


def test_symmetric_counts_have_two_mirrored_modes():
    truth = next(truth for truth in TRUTHS.values() if truth.mirrored)
    density = compile_density(build_model(blueprint(expected_study(truth), Specification(
        counts="binomial", dependence="none"))), mode="FAST_COMPILE")  # fmt: skip
    mode = find_mode(density, seed=1)
    mirrored, _ = density.function(-mode.point)
    assert float(mirrored) == pytest.approx(mode.log_density, abs=1e-6)
    assert abs(mode.point[0]) > 1
