"""Every response × counts × instrument combination that is allowed: equal to enumeration, finite far out, recovered."""

import zlib
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.optimize import minimize

import oracle
from bayes_listexp import responses
from bayes_listexp.instrument import Rows
from bayes_listexp.likelihood import RowTables, log_sum_exp, row_tables
from bayes_listexp.prediction import basis_of, count_weights, parameter_names, points, predict, row_probabilities
from bayes_listexp.predictive import patterns
from combinations import CASES, J, combinations, page, plans

LAPSES = {"floor": -1.2, "ceiling": -0.7, "top": -1.9, "bottom": -2.2, "random_control": -1.8, "random_treatment": -2.1,
          "careless": -1.6, "deflation": -1.4}
COUNTS = {"control_shape": [0.5, -0.4], "control_overdispersion": 0.23, "control_dispersion": 1.6,
          "control_item": [-1.1, 0.2, 0.9], "control_shift": 0.3, "control_shift_shape": [0.2, 0.3],
          "trait_count": [0.4], "trait_count_step": [[0.5, -0.2, 0.6]]}
FIXED = ("control_shape", "control_overdispersion", "control_dispersion", "control_item", "control_shift_shape",
         "trait_count_step", "control_shift", "trait_count", "trait_item", "lapse_deflation_intercept")
"""Held at the truth when recovering: what one list says little or nothing about, such as deflation."""
POSITIVE = ("control_overdispersion", "control_dispersion", "outcome_sd", "outcome_df", "outcome_overdispersion", "outcome_gap",
            "endorsement_gap")
PEOPLE = 60_000


class Combination:
    """The response models of a case and a family of counts, side by side as if draws of one model: compiled once for all.

    Lapses that a response model does not have have tables of zeros there.
    """

    def __init__(self, name, counts, dependence):
        self.case, self.counts, self.dependence = CASES[name], counts, dependence
        found = dict(plans(self.case, counts, dependence))
        self.refused = {r: plan for r, plan in found.items() if isinstance(plan, str)}
        self.plans = {r: plan for r, plan in found.items() if not isinstance(plan, str)}
        every = list(self.plans.values())
        self.plan = replace(every[0], designs={k: v for plan in every for k, v in plan.designs.items()})
        self.rows = self._rows(self.plan)
        self.truth = {k: np.stack([v] * len(every)) for k, v in self._truth().items()}
        self.has = {k: np.array([k in parameter_names(plan) for plan in every]) for k in self.truth}
        self.inputs = {k: pt.tensor(k, dtype="float64", shape=v.shape) for k, v in self.truth.items()}
        predicted = predict(self.plan, self.inputs, points(self.plan, self.plan.cells.frame))
        joint = row_probabilities(self.plan, self.inputs, predicted, self.rows, self._tables())
        weights = pt.dmatrix("weights")
        total = (weights * log_sum_exp(joint)).sum()
        inputs = list(self.inputs.values())
        self.function = pytensor.function([weights, *inputs], [joint, total, *pytensor.grad(total, inputs)], mode="FAST_COMPILE")

    def _truth(self):
        known = {"trait_intercept": -0.4, "control_intercept": 0.3} | COUNTS | dict(self.case.parameters)
        known |= {f"lapse_{k}_intercept": v for k, v in LAPSES.items()}
        size = max(len(self.plan.items), 1)
        known |= {k: np.repeat(known[k], size, axis=0) for k in ("trait_count", "trait_count_step")}
        return {k: np.asarray(known[k], dtype=float) for k in parameter_names(self.plan)}

    def _tables(self):
        each = {r: row_tables(plan.tables, self.rows, J, plan.arms) for r, plan in self.plans.items()}
        nothing = np.zeros_like(next(iter(each.values())).certain)
        names = [k.removeprefix("lapse_") for k in self.plan.designs if k.startswith("lapse_")]
        kept, followed = (
            {name: np.stack([getattr(t, part).get(name, nothing) for t in each.values()]) for name in names}
            for part in ("kept", "followed"))
        return RowTables(np.stack([t.certain for t in each.values()]), kept, followed)

    def _rows(self, plan):
        if plan.rows is not None:
            return plan.rows
        seen = patterns(plan)
        return Rows(seen.cell, seen.arm, seen.answer, (seen.arm == 1) * 1.0, seen.n, seen.n, {})

    def __call__(self, values, weights):
        joint, total, *gradient = self.function(weights, *(values[key] for key in self.inputs))
        return dict(zip(self.plans, joint, strict=True)), float(total), dict(zip(self.inputs, gradient, strict=True))

    @property
    def unit_weights(self):
        return np.ones((len(self.plans), len(self.rows.n)))

    def enumerated(self, response):
        """P(trait, observation | list) of every row by adding up every kind of person, (row, trait)."""
        plan, rows = self.plans[response], self.rows
        p = {k: v[0] for k, v in self.truth.items()}
        q = {k: oracle.sigmoid(v) for k, v in LAPSES.items()}
        states = [self.states(plan, p, item) for item in plan.item_of(plan.cells.frame)]
        instrument = plan.instruments if len(plan.instruments) > 1 else next(iter(plan.instruments), None)
        out = np.zeros((len(rows.n), 2))
        for i, arm in enumerate(rows.arm):
            seen = self.observation(rows, i)
            for trait, count in product((0, 1), range(J + 1)):
                told = 1.0 if arm < 0 else oracle.said(
                    response, count, 0 if arm == 2 else trait, int(arm > 0), J, q)[rows.answer[i]]
                beside = self.case.said(seen, trait, count, rows.treated[i], p, instrument)
                out[i, trait] += states[rows.cell[i]][trait][count] * told * beside
        return out

    def observation(self, rows, i):
        """What instruments observed of a row; None for not asked."""
        return {name.removeprefix("_"): None if np.isnan(values[i]) else float(values[i]) for name, values in rows.observed.items()}

    def states(self, plan, p, item):
        """P(trait, count) in plain numbers, of one sensitive item."""
        eta, shift = float(p["control_intercept"]), float(p.get("control_shift", 0.0))
        pmfs = [oracle.count_pmf(self.counts, eta + s * shift, self.parameter(plan, p, s), J) for s in (0, 1)]
        if self.dependence in ("linear", "smooth"):
            k, weights = np.arange(J + 1), count_weights(plan)
            moved = (p["trait_count"][item] * k if self.dependence == "linear"
                     else np.concatenate([[0], np.cumsum(p["trait_count_step"][item])]))
            chances = [oracle.sigmoid(self.trait(p, item) + m - float(weights @ moved)) for m in moved]
            return [[(1 - c) * q for c, q in zip(chances, pmfs[0], strict=True)],
                    [c * q for c, q in zip(chances, pmfs[0], strict=True)]]
        chance = oracle.sigmoid(self.trait(p, item))
        return [[(1 - chance) * q for q in pmfs[0]], [chance * q for q in pmfs[1]]]

    def trait(self, p, item):
        return float(p["trait_intercept"] + (p["trait_item"][0, item] if "trait_item" in p else 0.0))

    def parameter(self, plan, p, trait):
        if self.counts == "softmax":
            shape = p["control_shape"] + trait * p.get("control_shift_shape", np.zeros(J - 1))
            return list(shape @ basis_of(plan))
        name = plan.family.parameter
        return None if name is None else (p[name].tolist() if p[name].ndim else float(p[name]))


@pytest.fixture(scope="module")
def made(request):
    """Compiled once for its tests, which pytest puts in a row for it."""
    found = Combination(*request.param)
    assert found.refused == {}
    return found


every = pytest.mark.parametrize("made", combinations(), indirect=True, ids=lambda c: "-".join(c))


@every
def test_equal_to_enumeration(made):
    found, _, gradient = made(made.truth, made.unit_weights)
    for response, by_trait in found.items():
        np.testing.assert_allclose(np.exp(by_trait), made.enumerated(response), rtol=1e-10, atol=1e-200, err_msg=response)
    assert all(np.isfinite(g).all() for g in gradient.values())


@every
def test_finite_far_out(made):
    far = [name for name in made.truth if name not in POSITIVE]
    for size, name in product((40.0, -40.0), far):
        values = made.truth | {name: np.full_like(made.truth[name], size)}
        found, total, gradient = made(values, made.unit_weights)
        assert np.isfinite(total), name
        assert all(np.isfinite(v).all() for v in [*found.values(), *gradient.values()]), (name, size)


@every
def test_simulated_and_recovered(made):
    """The posterior mode of a large simulated study lies within Monte Carlo error of the truth."""
    rng = np.random.default_rng(zlib.crc32(f"{made.case.title} {made.counts} {made.dependence}".encode()))
    weights = np.array([rng.multinomial(PEOPLE, p / p.sum()) for p in
                        (made.enumerated(r).sum(axis=1) for r in made.plans)], dtype=float)
    free = [key for key in made.truth if key not in FIXED and key not in POSITIVE]
    shapes = [made.truth[key].shape for key in free]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    known = np.concatenate([np.broadcast_to(made.has[key].reshape(-1, *[1] * (len(shape) - 1)), shape).ravel()
                            for key, shape in zip(free, shapes, strict=True)])
    at = np.concatenate([made.truth[key].ravel() for key in free])

    def negated(x):
        parts = np.split(x, ends[:-1])
        values = made.truth | {k: part.reshape(shape) for k, part, shape in zip(free, parts, shapes, strict=True)}
        _, total, gradient = made(values, weights)
        slope = np.concatenate([gradient[key].ravel() for key in free])
        return -total + (x**2).sum() / 8, -slope + x / 4  # every parameter has a normal(0, 2) prior

    # All response models move at once, each along its own copy of a parameter, so one difference serves all of them.
    owner = np.concatenate([np.arange(np.prod(shape, dtype=int)) // np.prod(shape[1:], dtype=int) for shape in shapes])
    column = np.concatenate([np.arange(np.prod(shape, dtype=int)) % np.prod(shape[1:], dtype=int) + 1000 * i
                             for i, shape in enumerate(shapes)])
    slopes = {c: (negated(at + 1e-4 * (column == c))[1] - negated(at - 1e-4 * (column == c))[1]) / 2e-4
              for c in dict.fromkeys(column)}
    scale, se = np.zeros((len(at), len(at))), {}
    for r, response in enumerate(made.plans):  # in units of standard errors the search takes a few steps
        own = np.flatnonzero((owner == r) & known)
        hessian = np.array([slopes[column[i]][own] for i in own])
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        scale[np.ix_(own, own)] = vectors / np.sqrt(np.maximum(values, 0.25))
        se[response] = np.sqrt((scale[own[0]] ** 2).sum())
        assert free[0] == "trait_intercept"
        assert own[0] == r

    def in_errors(u):
        value, slope = negated(at + scale @ u)
        return value, scale.T @ slope

    best = minimize(in_errors, 2 * rng.normal(size=len(at)), jac=True, method="BFGS", options={"gtol": 0.02})
    errors = (scale @ best.x)[: len(made.plans)]
    z = {response: error / se[response] for response, error in zip(made.plans, errors, strict=True)}
    assert {name: round(float(value), 2) for name, value in z.items() if abs(value) > 4} == {}


def test_the_documentation_shows_these_combinations():
    shown = Path(__file__).parents[1] / "docs" / "combinations.md"
    assert shown.read_text(encoding="utf-8") == page(), "print it again: python tests/combinations.py > docs/combinations.md"


def test_every_response_model_is_in_the_table():
    assert set(LAPSES) == {lapse for response in responses.names() for lapse in responses.lapses(response)}
