"""The C function around a density's machine code: its value and gradient in coordinates, and what nutpie makes of it."""

from __future__ import annotations

import ctypes

import numba
import numpy as np
import pytest

from bayes_listexp import machine_code
from bayes_listexp.coordinates import Axes, Signs
from bayes_listexp.sampling import Density, Mode, Sampler, sample_nuts

SD = np.asfortranarray([[0.5, 2.0], [1.0, 30.0]])
WHERE = np.array([1, 0], dtype=np.int32)
LIMIT = np.array(0.0)


@numba.njit
def code(*inputs):
    """Independent normals with means 1 and 2, sds SD[0] and minus infinity where the limit is passed: arrays of several kinds."""
    x, sd, where, limit = inputs
    value, gradient = np.zeros(()), np.zeros(len(x))
    for i in range(len(x)):
        z = (x[i] - 1 - i) / sd[0, i]
        value[()] -= 0.5 * z * z
        gradient[where[1 - i]] = -z / sd[0, i]
    if limit[()] > 0 and x[0] > limit[()]:
        value[()] = -np.inf
    return value, gradient


def density(limit=LIMIT):
    def function(x):
        value, gradient = code(x, SD, WHERE, limit)
        return float(value), gradient

    return Density(function, np.zeros(2), lambda: (code, [SD, WHERE, limit]))


MOVED = Axes(np.array([1, 0]), np.array([4.0, -1.0]), np.array([[2.0, 0.0], [0.7, 3.0]]))


SIGNED = Axes(signs=Signs(np.array([1]), np.array([0.3]), np.array([0]), np.array([0])))


def called(target, at, coordinates):
    """Status, value and gradient by the C function."""
    target.function(target.start)
    functions = machine_code.callback(*target.code(), coordinates)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)(functions.density.address)
    gradient, value = np.empty(2), np.empty(1)
    arrays = (np.array(at, dtype=float), gradient, value, functions.table)
    return function(2, *(array.ctypes.data for array in arrays)), value[0], gradient


def test_without_coordinates_it_is_the_function():
    status, value, gradient = called(density(), [0.3, -5.0], Axes())
    expected = density().function(np.array([0.3, -5.0]))
    assert status == 0
    assert value == expected[0]
    np.testing.assert_array_equal(gradient, expected[1])


def test_in_coordinates_value_and_gradient_are_those_of_the_point_meant():
    z = np.array([0.4, -0.8])  # parameter 1 is the first of the coordinates
    x = np.empty(2)
    x[MOVED.which] = MOVED.centre + MOVED.root @ z[MOVED.which]
    status, value, gradient = called(density(), z, MOVED)
    expected, slope = density().function(x)
    assert status == 0
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient[MOVED.which], MOVED.root.T @ slope[MOVED.which], rtol=1e-14)


@pytest.mark.parametrize("z", [[0.4, 0.8], [0.4, -0.8], [-1.5, -1e-9]])
def test_with_signs_it_is_what_the_coordinates_say(z):
    status, value, gradient = called(density(), z, SIGNED)
    expected, slope = SIGNED.along(density().function)(np.array(z))
    assert status == 0
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12)


def test_what_is_not_finite_is_no_value():
    assert called(density(np.array(0.2)), [0.3, 0.0], Axes())[0] == 4
    assert called(density(np.array(0.2)), [np.nan, 0.0], Axes())[0] == 3


def test_other_data_of_the_same_types_need_no_new_code():
    before = machine_code._density(9 + 7 + 5)
    called(density(np.array(0.7)), [0.3, 0.0], Axes())
    assert machine_code._density(9 + 7 + 5) is before


def test_code_that_was_not_compiled_for_the_data_is_refused():
    target = density()
    target.function(target.start)
    with pytest.raises(RuntimeError, match="not compiled for data of the types"):
        machine_code.callback(code, [SD, WHERE.astype(float), LIMIT], Axes())


@numba.njit
def of_numbers(*inputs):
    return inputs[0].sum(), inputs[0]


def test_code_with_another_result_is_refused():
    of_numbers(np.zeros(2), SD)
    with pytest.raises(RuntimeError, match="the compiled density gives"):
        machine_code.callback(of_numbers, [SD], Axes())


@pytest.mark.parametrize(("scaled", "signs"), [(False, Signs()), (True, Signs()), (False, SIGNED.signs)])
def test_draws_are_those_of_the_function_in_python(scaled, signs):
    """Up to rounding, which grows along a chain: so few draws."""
    mode = Mode(np.array([1.0, 2.0]), 0.0, np.array([[0.25, 0.3], [0.3, 4.0]])) if scaled else None
    settings = Sampler(draws=20, tune=30, chains=2, cores=1)
    by_code, _ = sample_nuts(density(), settings, seed=3, mode=mode, signs=signs)
    by_python, _ = sample_nuts(density()._replace(code=None), settings, seed=3, mode=mode, signs=signs)
    np.testing.assert_allclose(by_code, by_python, rtol=1e-6, atol=1e-6)


def test_draws_have_the_moments_of_the_density():
    draws, _ = sample_nuts(density(), Sampler(draws=2000, tune=300, chains=2), seed=1)
    # Independent draws would have standard errors of 1/sqrt(4,000) sd and 1/sqrt(8,000) of the sd; NUTS does about as well, five of them.
    np.testing.assert_allclose((draws.mean(axis=(0, 1)) - [1, 2]) / SD[0], 0, atol=5 / np.sqrt(4000))
    np.testing.assert_allclose(draws.std(axis=(0, 1)) / SD[0], 1, atol=5 / np.sqrt(8000))
