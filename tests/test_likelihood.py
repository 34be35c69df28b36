"""What must hold of every response model with every family of control counts: a new file is tested by being there."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import oracle
from bayes_listexp import responses
from bayes_listexp.control_counts import FAMILIES
from bayes_listexp.count_shapes import log_choose, shape_basis
from bayes_listexp.errors import InputError
from bayes_listexp.likelihood import answer_log_likelihood, answer_probabilities, state_probabilities
from bayes_listexp.priors import Prior
from bayes_listexp.reporting import arm_slices, report_tables, rule_table
from bayes_listexp.responses import Lapse, truthful_rule
from bayes_listexp.simulate import draw_answers

RNG = np.random.default_rng(7)
PARAMETER = {"binomial": None, "beta_binomial": 0.23, "com_binomial": 1.7, "softmax": None}


def _parameter(counts, J):
    if counts == "softmax":
        return np.array([[0.4, -0.3, 0.7, 0.1, -0.5][: J + 1], [0.1, 0.2, -0.6, 0.5, 0.3][: J + 1]])
    if counts == "poisson_binomial":
        return np.array([0.9, -1.4, 0.6, -0.1][:J])
    return PARAMETER[counts]


@pytest.fixture(scope="module")
def engine():
    """Compiled P(answer) for a combination, made once each: linear predictors in, probabilities out."""
    made = {}

    def build(response, counts, J):
        key = (response, counts, J)
        if key not in made:
            lapses = responses.lapses(response)
            trait, logits = pt.dvector(), {name: pt.dvector() for name in lapses}
            eta = pt.dmatrix()
            parameter = _parameter(counts, J)
            pmf = FAMILIES[counts].pmf(eta, pt.as_tensor(0.0 if parameter is None else parameter), J)
            p = answer_probabilities(state_probabilities(trait[:, None], pmf), report_tables(lapses, J), logits)
            inputs = [trait, eta, *logits.values()]
            total = answer_log_likelihood(pt.ones_like(p), p).sum()
            made[key] = pytensor.function(inputs, [p, *pytensor.grad(total, inputs)], mode="FAST_COMPILE")
        return made[key]

    return build


COMBINATIONS = [(r, c, J) for r in responses.names() for c in FAMILIES for J in (1, 3, 4)]


@pytest.mark.parametrize(("response", "counts", "J"), COMBINATIONS)
def test_engine_equals_enumeration(engine, response, counts, J):
    trait, eta = np.array([-1.3, 0.4]), np.array([[0.3, 0.9], [-0.7, -0.2]])
    lapses = responses.lapses(response)
    logits = [np.array([-2.0, 0.6]) + 0.3 * i for i in range(len(lapses))]
    probabilities = engine(response, counts, J)(trait, eta, *logits)[0]
    parameter = _parameter(counts, J)
    for cell in range(2):
        pmfs = tuple(
            oracle.count_pmf(counts, eta[cell, s], parameter[s] if counts == "softmax" else parameter, J)
            for s in (0, 1)
        )
        q = {name: oracle.sigmoid(values[cell]) for name, values in zip(lapses, logits, strict=True)}
        for treated, arm in enumerate(("control", "treatment")):
            expected = oracle.answer_pmf(response, treated, J, prevalence=oracle.sigmoid(trait[cell]), pmfs=pmfs, q=q)
            np.testing.assert_allclose(probabilities[cell, arm_slices(J)[arm]], expected, rtol=1e-10, atol=1e-14)
            assert probabilities[cell, arm_slices(J)[arm]].sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("response", "counts", "J"), COMBINATIONS)
@pytest.mark.parametrize("size", [40.0, -40.0])
def test_gradient_is_finite_far_out(engine, response, counts, J, size):
    n = len(responses.lapses(response))
    for sign in (1, -1):
        out = engine(response, counts, J)(np.array([size]), np.full((1, 2), sign * size), *[np.array([-size])] * n)
        assert all(np.isfinite(value).all() for value in out)


@pytest.mark.parametrize("response", responses.names())
@pytest.mark.parametrize("J", [1, 2, 4])
def test_tables_are_stochastic_and_lapse_zero_is_truthful(response, J):
    tables = report_tables(responses.lapses(response), J)
    truthful = report_tables({}, J).certain
    np.testing.assert_array_equal(tables.certain + sum(tables.kept.values()), truthful)
    everyone_lapses = tables.certain + sum(tables.followed.values())
    for arm in arm_slices(J).values():
        np.testing.assert_allclose(everyone_lapses[..., arm].sum(axis=-1), 1)


@pytest.mark.parametrize("response", responses.names())
def test_simulated_answers_follow_the_rules(response):
    J, n = 3, 40_000
    trait, treated = RNG.integers(0, 2, n), np.arange(n) % 2
    count = RNG.binomial(J, 0.6, n)
    q = {name: 0.3 for name in responses.lapses(response)}
    answers = draw_answers(trait, count, treated, J, RNG, response=response, lapses=q)
    pmf = [oracle.comb(J, k) * 0.6**k * 0.4 ** (J - k) for k in range(J + 1)]
    for arm in (0, 1):
        observed = np.bincount(answers[treated == arm], minlength=J + 1 + arm) / (n / 2)
        expected = np.array(oracle.answer_pmf(response, arm, J, prevalence=0.5, pmfs=(pmf, pmf), q=q))
        z = (observed - expected) / np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / (n / 2))
        assert (
            np.abs(z[expected > 0]).max() < 4.5
        )  # 5 answers x 2 arms x 4 models: chance of a false alarm below 1 in 3,000
        assert (observed[expected == 0] == 0).all()


def test_shape_basis_spans_every_pmf():
    counts = np.array([1, 51, 86, 78, 16])
    basis = shape_basis(counts)
    assert basis.shape == (3, 5)
    w = (counts + 1) / (counts.sum() + 5)
    np.testing.assert_allclose(basis @ w, 0, atol=1e-12)
    np.testing.assert_allclose(basis @ (w * np.arange(5)), 0, atol=1e-12)
    full = np.vstack([np.ones(5), np.arange(5), basis])
    assert np.linalg.matrix_rank(full) == 5


def test_shape_basis_of_one_and_two_items():
    assert shape_basis(np.array([3, 4])).shape == (0, 2)
    assert shape_basis(np.array([3, 4, 5])).shape == (1, 3)
    assert log_choose(4) == pytest.approx(np.log([1, 4, 6, 4, 1]))


def test_overlapping_lapses_are_refused():
    always_zero = Lapse(lambda count, trait, treated, J: 0, Prior("Normal", (0, 1)))
    always_top = Lapse(lambda count, trait, treated, J: J + treated, Prior("Normal", (0, 1)))
    with pytest.raises(InputError, match="lapses 'a' and 'b' overlap"):
        report_tables({"a": always_zero, "b": always_top}, 3)


def test_rule_off_the_list_is_refused():
    with pytest.raises(InputError, match="answers 4 at count 3, trait 1, control arm"):
        rule_table(lambda count, trait, treated, J: count + trait, 3, "control")
    assert rule_table(truthful_rule, 3, "treatment")[1, 3].tolist() == [0, 0, 0, 0, 1]


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="response model 'boundary' is not in the catalogue"):
        responses.lapses("boundary")
