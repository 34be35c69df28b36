"""Maximum likelihood for many studies at once: against enumerated likelihoods, closed forms, and its own promises."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax

from bayes_listexp import InputError
from bayes_listexp.cell_derivatives import ListModel, answer_chances, cell_fit, log_likelihood
from bayes_listexp.count_shapes import shape_basis
from bayes_listexp.many_fits import change_of_tables, prevalence_of_tables
from bayes_listexp.reporting import report_tables
from bayes_listexp.responses import lapses

Q = np.array([0.05, 0.2, 0.4, 0.25, 0.1])
J = len(Q) - 1


def simulated(studies, n, prevalence, q=Q, seed=1):
    """Answers of both arms, drawn from the truth, (study, answer) each."""
    rng = np.random.default_rng(seed)
    treated = np.append((1 - prevalence) * q, 0) + np.insert(prevalence * q, 0, 0)
    return rng.multinomial(n - n // 2, q, size=studies), rng.multinomial(n // 2, treated, size=studies)


def enumerated(control, treatment, free):
    """Minus the log-likelihood of one study with any control distribution, written out person by person of each kind."""
    chance, q = expit(free[0]), softmax(np.append(0.0, free[1:]))
    total = sum(n * np.log(q[y]) for y, n in enumerate(control))
    for y, n in enumerate(treatment):
        total += n * np.log((chance * q[y - 1] if y > 0 else 0.0) + ((1 - chance) * q[y] if y <= J else 0.0))
    return -total


@pytest.mark.parametrize("response", ["truthful", "liars", "uniform", "top_coded", "careless"])
@pytest.mark.parametrize("counts", ["softmax", "binomial", "beta_binomial"])
def test_derivatives_are_those_of_the_likelihood(counts, response):
    basis = shape_basis(np.array([5, 10, 20, 10, 3])) if counts == "softmax" else np.zeros((0, J + 1))
    model = ListModel(J, counts, basis, report_tables(lapses(response), J))
    rng = np.random.default_rng(2)
    local, n = rng.normal(size=(3, model.size)), rng.integers(0, 9, size=(3, 2 * J + 3)).astype(float)
    fit = cell_fit(model, local, n)
    both = answer_chances(model, local)
    np.testing.assert_allclose([both[:, : J + 1].sum(axis=1), both[:, J + 1 :].sum(axis=1)], 1, rtol=1e-12)
    steps = 1e-5 * np.eye(model.size)  # central differences are exact to the square of the step, and to rounding over the step

    def slope(what):
        return np.stack([(what(local + h) - what(local - h)) / 2e-5 for h in steps], axis=-1)

    np.testing.assert_allclose(fit.score, slope(lambda x: log_likelihood(model, x, n)), atol=1e-7)
    np.testing.assert_allclose(fit.slope, slope(lambda x: answer_chances(model, x)), atol=1e-9)
    np.testing.assert_allclose(fit.observed, -slope(lambda x: cell_fit(model, x, n).score), atol=1e-7)


def test_each_study_has_its_own_maximum():
    control, treatment = simulated(6, 600, 0.35)
    fits = prevalence_of_tables(control, treatment)
    assert fits.converged.all()
    assert not fits.boundary.any()
    for i in range(6):
        alone = minimize(lambda x, i=i: enumerated(control[i], treatment[i], x), np.zeros(J + 1), tol=1e-10)
        assert fits.log_likelihood[i] == pytest.approx(-alone.fun, abs=1e-6)
        assert fits.estimate[i] == pytest.approx(expit(alone.x[0]), abs=1e-4)  # what a quasi-Newton search leaves
    one = prevalence_of_tables(control[:1], treatment[:1])  # another basis of the shape, the same distribution
    np.testing.assert_allclose([one.estimate[0], one.se[0]], [fits.estimate[0], fits.se[0]], rtol=1e-6)


@pytest.mark.parametrize("counts", ["softmax", "binomial"])
def test_the_standard_error_is_the_spread_of_the_estimates(counts):
    q = Q if counts == "softmax" else np.array([1, 4, 6, 4, 1]) / 16
    fits = prevalence_of_tables(*simulated(4000, 1000, 0.5, q), counts=counts)
    assert fits.converged.all()
    error = fits.estimate.std() / np.sqrt(2 * 4000)  # of a standard deviation from 4,000 studies: 1.1 %
    assert abs(np.sqrt((fits.se**2).mean()) - fits.estimate.std()) < 3 * error + 0.02 * fits.estimate.std()  # 2 %: order 1/n
    assert abs((np.abs(fits.estimate - 0.5) < 1.96 * fits.se).mean() - 0.95) < 0.015


def test_change_between_waves_and_cells():
    waves = [simulated(3000, 1000, p, seed=s) for p, s in ((0.5, 1), (0.3, 2))]
    control, treatment = (np.stack([wave[arm] for wave in waves], axis=1) for arm in (0, 1))
    change = change_of_tables(control, treatment)
    assert change.converged.all()
    assert abs(change.estimate.mean() + 0.2) < 4 * change.estimate.std() / np.sqrt(3000)
    assert change.se.mean() == pytest.approx(change.estimate.std(), rel=0.05)
    parts = [prevalence_of_tables(*wave) for wave in waves]
    # Only the shape is shared, which tells little about the change: both ways agree but for a small part of the spread.
    assert np.corrcoef(change.estimate, parts[1].estimate - parts[0].estimate)[0, 1] > 0.97
    everybody = prevalence_of_tables(control, treatment, columns=np.array([[0.0], [1.0]]))
    ends = [prevalence_of_tables(control, treatment, columns=np.array([[0.0], [1.0]]), shares=s) for s in ([1, 0], [0, 1])]
    np.testing.assert_allclose(ends[1].estimate - ends[0].estimate, change.estimate, atol=1e-6)
    np.testing.assert_allclose(everybody.estimate, (ends[0].estimate + ends[1].estimate) / 2, atol=1e-6)  # waves of equal size


def test_nobody_with_the_trait_is_a_boundary_and_said():
    fits = prevalence_of_tables(*simulated(300, 1000, 0.0))
    assert fits.converged.all()
    assert fits.boundary.all()
    assert np.isnan(fits.se).all()
    assert fits.estimate.max() < 1e-5
    control, treatment = (table.astype(float) for table in simulated(300, 1000, 0.0))
    both = control + treatment[:, :-1]
    closed = (both * np.log(both / both.sum(axis=1, keepdims=True))).sum(axis=1)  # without the trait the arms are one sample
    np.testing.assert_allclose(fits.log_likelihood, closed, atol=1e-5)


def test_answers_nobody_gave_and_a_list_of_one_item():
    fits = prevalence_of_tables(*simulated(500, 200, 0.3, np.array([0.0, 0.02, 0.4, 0.5, 0.08])))
    assert fits.converged.all()
    assert np.isfinite(fits.se[~fits.boundary]).all()
    one = prevalence_of_tables([[60, 40]], [[40, 45, 15]])
    q, chance = np.meshgrid(np.linspace(0.2, 0.6, 801), np.linspace(0.1, 0.7, 1201))
    value = 60 * np.log(1 - q) + 40 * np.log(q) + 40 * np.log((1 - chance) * (1 - q)) + 15 * np.log(chance * q)
    value += 45 * np.log(chance * (1 - q) + (1 - chance) * q)
    assert one.estimate[0] == pytest.approx(chance.ravel()[value.argmax()], abs=5e-4)  # the grid's step


def test_tables_that_cannot_be():
    control, treatment = simulated(3, 50, 0.4)
    with pytest.raises(InputError, match=r"control \(3, 1, 5\) and treatment \(3, 1, 5\) do not fit together"):
        prevalence_of_tables(control, treatment[:, :-1])
    with pytest.raises(InputError, match="treatment: study 1 .counted from 0. has nobody in this arm"):
        prevalence_of_tables(control, treatment * np.array([[1], [0], [1]]))
    with pytest.raises(InputError, match="control: counts must be finite"):
        prevalence_of_tables(-control, treatment)
    with pytest.raises(InputError, match="many fits know softmax and binomial"):
        prevalence_of_tables(control, treatment, counts="com_binomial")
    with pytest.raises(InputError, match="2 waves"):
        change_of_tables(control, treatment)
    with pytest.raises(InputError, match="columns: one row"):
        prevalence_of_tables(control, treatment, columns=np.zeros((2, 1)))
