"""Hausman's test by influence functions: real data, studies of which the answer is known, and its simulation."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import InputError, ListExperiment, specification_test
from benchmarks.specification_test import EQUAL, NULLS, UNEQUAL, WRONG, Case, p_values, tables
from conftest import shared

FORMULA = "1 + age + college + male + south"


def as_study(control, treatment):
    """Tables of one study, (cell, answer), as a study with the covariate x."""
    rows = [(x, arm, y, n) for arm, table in ((0, control), (1, treatment)) for (x, y), n in np.ndenumerate(table)]
    counts = pd.DataFrame(rows, columns=["x", "arm", "y", "n"])
    return ListExperiment.from_counts(counts, answer="y", arm="arm", n="n", J=control.shape[1] - 1)


@pytest.mark.parametrize("formula", ["1", FORMULA])
@pytest.mark.parametrize("counts", ["binomial", "softmax"])
def test_it_is_never_negative_where_rs_is(race, formula, counts):
    """R stops on the race data with a statistic of -7.4 (covariates); without covariates it prints 6.97 and p = .031."""
    found = specification_test(ListExperiment.from_frame(race, answer="y", arm="treat", J=3), formula, counts=counts).set_index("test")
    assert (found["statistic"] >= 0).all()
    assert (found["remark"] == "").all()
    compared = (1 if formula == "1" else 5) * (2 if counts == "binomial" else 1)
    assert list(found["df"]) == [1, compared]
    row = found.loc["prevalence"]
    assert row["statistic"] == pytest.approx((row["difference"] / row["se"]) ** 2)


def test_real_data_with_the_binomial_model(race, affirm):
    found = [specification_test(ListExperiment.from_frame(frame, answer="y", arm="treat", J=3), counts="binomial").set_index("test")
             for frame in (race, affirm)]
    assert found[0].loc["prevalence", "difference"] == pytest.approx(0.1538644 - 0.0677974, abs=1e-5)  # both as R prints them
    assert found[1].loc["prevalence", "difference"] == pytest.approx(0.5580599 - 0.4947403, abs=2e-5)
    assert found[0].loc["prevalence", "p"] < 0.05
    assert found[1].loc["prevalence", "p"] < 0.01
    mis = pd.read_csv(shared("mis.csv")).query("`list.data` == 1")
    # R prints 42.7 with 10 degrees of freedom (p = 6e-6), where the variance it divides by is not that of the difference.
    row = specification_test(ListExperiment.from_frame(mis, answer="y", arm="treat", J=4), FORMULA, counts="binomial").set_index("test")
    assert row.loc["coefficients", "p"] > 0.3


@pytest.mark.parametrize("case", [NULLS[0], NULLS[1], NULLS[2], NULLS[3], WRONG[2]], ids=lambda c: f"{c.truth} {c.counts} {c.cells}")
def test_the_simulation_tests_as_the_test_does(case):
    control, treatment = tables(case, 3, 0)
    together = p_values(case, 3, 0)
    for i in range(3):
        found = specification_test(as_study(control[i], treatment[i]), "1" if case.cells == 1 else "1 + x", counts=case.counts)
        # Nearly equal directions are told apart on other axes there: the coefficients' test may count one direction more or less.
        assert found["p"][0] == pytest.approx(together[i, 0], abs=1e-5)
        assert found["p"][1] == pytest.approx(together[i, 1], abs=0.01)


def test_size_and_power_by_simulation():
    """2,000 studies each: the size may exceed .05 by no more than three Monte Carlo errors, and what is wrong is seen."""
    error = np.sqrt(0.05 * 0.95 / 2000)
    for case in NULLS[:4]:
        p = p_values(case, 2000, 1)
        assert ((p < 0.05).mean(axis=0) < 0.05 + 3 * error).all()
        assert np.isnan(p).mean() < 0.05
    honest = p_values(Case("unequal items", UNEQUAL, "softmax"), 2000, 1)[:, 0]
    assert (honest < 0.05).mean() > 0.03  # and it has its size where least squares is not in it
    assert (p_values(Case("unequal items", UNEQUAL, "binomial"), 500, 1) < 0.05).mean(axis=0).min() > 0.85
    undercounted = Case("undercounted", UNEQUAL, "softmax", undercount=0.2)
    assert (p_values(undercounted, 500, 1)[:, 0] < 0.05).mean() > 0.85
    assert (p_values(Case("careless", EQUAL, "binomial", top=0.1), 500, 1)[:, 0] < 0.05).mean() > 0.2


def test_the_variance_of_the_difference_is_its_spread():
    """The standard error that the test divides by, against the spread of the differences over studies."""
    case = Case("unequal items", UNEQUAL, "softmax", n=4000)
    control, treatment = tables(case, 40, 3)
    found = [specification_test(as_study(c, t)).iloc[0] for c, t in zip(control, treatment, strict=True)]
    differences, errors = (np.array([row[name] for row in found], dtype=float) for name in ("difference", "se"))
    assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(40)
    assert errors.mean() == pytest.approx(differences.std(), rel=0.4)  # 40 studies: an s.d. is known to 11 %, three of them


def test_weights_clusters_and_what_cannot_be_tested():
    frame = pd.read_csv(shared("race_weights.csv")).assign(psu=lambda d: np.arange(len(d)) // 4)
    once, ten = (specification_test(ListExperiment.from_frame(frame.assign(w=frame["w"] * f), answer="y", arm="treat", J=3, weights="w",
                                                              clusters="psu"), "1 + south", weighted=True) for f in (1, 10))
    pd.testing.assert_frame_equal(once, ten, rtol=1e-9)
    assert once["p"].between(0, 1).all()
    none = pd.DataFrame({"y": [0, 1, 2, 3] * 50, "treat": [0, 1] * 100})
    found = specification_test(ListExperiment.from_frame(none, answer="y", arm="treat", J=3))
    assert found["p"].isna()[0]
    assert "at the boundary" in found["remark"][0]
    with pytest.raises(InputError, match="leaves the counts of people with the trait to themselves"):
        specification_test(ListExperiment.from_frame(none, answer="y", arm="treat", J=3), counts="binomial", dependence="free")
