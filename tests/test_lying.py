"""Bounds of the prevalence under ceiling and floor lies: sharp by enumeration of the types of people, and their standard errors."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from bayes_listexp import InputError, ListExperiment, SecondList, difference_in_means, lying_bounds

J = 3


def answers(types, ceiling, floor):
    """Shares of answers in each arm, (J + 2,), of people with types (trait, count) of whom shares lie."""
    without, having = np.asarray(types, dtype=float)
    control = np.append(without + having, 0.0)
    treatment = np.append(without, 0.0) + np.insert(having, 0, 0.0)
    treatment[J + 1], treatment[J] = having[J] * (1 - ceiling), treatment[J] + having[J] * ceiling
    treatment[1], treatment[0] = treatment[1] - having[0] * floor, treatment[0] + having[0] * floor
    return control, treatment


def tabulated(control, treatment, n=10**9, **roles):
    counts = pd.DataFrame({"y": [*range(len(control))] * 2, "t": np.repeat([0, 1], len(control))})
    counts["n"] = np.round(n * np.concatenate([control, treatment])).astype(int)
    return ListExperiment.from_counts(counts[counts["n"] > 0], answer="y", arm="t", n="n", J=len(control) - 2, **roles)


def extremes(control, treatment, ceiling, floor):
    """The lowest and highest prevalence of any types of people and liars that give these answers, by linear programming.

    Variables: honest or not concerned (trait, count), then ceiling liars and floor liars as people of their own.
    """
    honest = [(s, c) for s in (0, 1) for c in range(J + 1)]
    rows, right = [], []
    for y in range(J + 1):
        rows.append([float(c == y) for _, c in honest] + [float(y == J), float(y == 0)])
        right.append(control[y])
    for y in range(J + 2):
        rows.append([float(s + c == y) for s, c in honest] + [float(y == J), float(y == 0)])
        right.append(treatment[y])
    limits = []
    for liar, share, cell in ((8, ceiling, (1, J)), (9, floor, (1, 0))):
        own = np.zeros(10)
        own[honest.index(cell)] = 1
        mine = np.eye(10)[liar]
        limits += [share[0] * own - (1 - share[0]) * mine, -share[1] * own + (1 - share[1]) * mine]  # liars / (liars + honest)
    has = np.array([float(s) for s, _ in honest] + [1.0, 1.0])
    found = [linprog(sign * has, A_ub=limits, b_ub=np.full(4, 1e-12), A_eq=rows, b_eq=right) for sign in (1, -1)]
    assert all(one.success for one in found)
    return found[0].fun, -found[1].fun


TYPES = np.array([[0.06, 0.14, 0.18, 0.10], [0.07, 0.15, 0.19, 0.11]])


RANGES = [((0, 1), (0, 1)), ((0, 0.3), (0, 0.5)), ((0.1, 0.35), (0.05, 0.3)), ((0.2, 0.2), (0.1, 0.1)), ((0, 0), (0, 1))]


@pytest.mark.parametrize("ranges", RANGES)
def test_bounds_are_sharp(ranges):
    control, treatment = answers(TYPES, 0.2, 0.1)
    row = lying_bounds(tabulated(control, treatment), ceiling=ranges[0], floor=ranges[1]).iloc[0]
    assert row[["lower", "upper"]].tolist() == pytest.approx(extremes(control, treatment, *ranges), abs=1e-6)


def test_known_shares_give_the_prevalence():
    control, treatment = answers(TYPES, 0.2, 0.1)
    row = lying_bounds(tabulated(control, treatment), ceiling=0.2, floor=0.1).iloc[0]
    assert row[["lower", "upper"]].tolist() == pytest.approx([TYPES[1].sum()] * 2, abs=1e-6)
    assert row[["ceiling_liars", "floor_liars"]].tolist() == pytest.approx([0.2 * TYPES[1, J], 0.1 * TYPES[1, 0]], abs=1e-6)


def test_nobody_lies_is_the_difference_in_means(race):
    made = ListExperiment.from_frame(race, answer="y", arm="treat", J=3)
    row, dim = lying_bounds(made, ceiling=0, floor=0).iloc[0], difference_in_means(made).iloc[0]
    assert row[["lower", "upper", "se_lower"]].tolist() == pytest.approx(dim[["estimate", "estimate", "se"]].tolist())
    assert row[["interval_lower", "interval_upper"]].tolist() == pytest.approx(dim[["lower", "upper"]].tolist())


def test_the_printed_shares_of_race_by_hand(race):
    made = ListExperiment.from_frame(race, answer="y", arm="treat", J=3)
    row, dim = lying_bounds(made).iloc[0], difference_in_means(made).iloc[0]
    share = {arm: race.loc[race["treat"] == arm, "y"].value_counts(normalize=True) for arm in (0, 1)}
    assert row["lower"] == pytest.approx(dim["estimate"])
    assert row["upper"] == pytest.approx(dim["estimate"] + share[0][3] - share[1][4] + share[1][0])
    recoded = race["y"] + np.where(race["treat"] == 1, 1.0 * (race["y"] == 0) - (race["y"] == 4), -1.0 * (race["y"] == 3))
    arms = [recoded[race["treat"] == arm] for arm in (0, 1)]
    assert row["se_upper"] == pytest.approx(np.sqrt(sum(values.var() / len(values) for values in arms)))


def test_groups_weights_and_clusters():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"t": np.arange(400) % 2, "g": rng.choice(["a", "b"], 400), "w": 1.0, "c": np.arange(400) // 8})
    frame["y"] = rng.binomial(J, 0.5, 400) + frame["t"] * (rng.random(400) < 0.4)
    made = ListExperiment.from_frame(frame, answer="y", arm="t", J=J)
    table = lying_bounds(made, "g")
    alone = lying_bounds(ListExperiment.from_frame(frame[frame["g"] == "b"], answer="y", arm="t", J=J))
    np.testing.assert_allclose(table.iloc[[1]].drop(columns="g").astype(float), alone.astype(float))
    weighted = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, weights="w")
    pd.testing.assert_frame_equal(lying_bounds(weighted, weighted=True), lying_bounds(made))
    clustered = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, clusters="c")
    row, dim = lying_bounds(clustered).iloc[0], difference_in_means(clustered).iloc[0]
    assert row["se_lower"] == pytest.approx(dim["se"])
    none = lying_bounds(clustered, ceiling=0, floor=0).iloc[0]  # without lies Student's interval, as of the difference in means
    assert none[["interval_lower", "interval_upper"]].tolist() == pytest.approx(dim[["lower", "upper"]].tolist(), rel=1e-6)


def test_one_control_item_and_arms_that_are_missing():
    types = np.array([[0.2, 0.3], [0.2, 0.3]])
    control, treatment = np.array([0.4, 0.6, 0]), np.array([0.2 + 0.2 * 0.1, 0.3 + 0.2 * 0.9 + 0.3 * 0.2, 0.3 * 0.8])
    row = lying_bounds(tabulated(control, treatment), ceiling=0.2, floor=0.1).iloc[0]
    assert row["lower"] == pytest.approx(types[1].sum(), abs=1e-6)
    frame = pd.DataFrame({"y": [1, 2, 1, 2, 3], "t": [0, 0, 1, 1, 1], "g": list("aabba")})
    table = lying_bounds(ListExperiment.from_frame(frame, answer="y", arm="t", J=J), "g").set_index("g")
    assert table.loc["b", ["lower", "upper", "se_lower"]].isna().all()
    assert table.loc["b", ["n_control", "n_treatment"]].tolist() == [0, 2]
    assert np.isnan(table.loc["a", "se_upper"])


@pytest.mark.parametrize("share", [-0.1, 1, (0.5, 0.2), (0, 1.2), "half", (0.1,), True])
def test_shares_that_are_none(share):
    control, treatment = answers(TYPES, 0.2, 0.1)
    with pytest.raises(InputError, match="ceiling = .*: give the share of liars"):
        lying_bounds(tabulated(control, treatment), ceiling=share)


def test_intervals_cover_wherever_the_prevalence_lies():
    """Repeated samples of 500 an arm; the prevalence at the lower bound, inside, and at the upper bound. Within four Monte Carlo errors,
    at least: an interval for the parameter covers with more than its probability inside the bounds.
    """
    rng = np.random.default_rng(4)
    for ceiling, floor in ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)):
        types = TYPES.copy()
        if ceiling == 1.0:
            types[0, [0, J]], types[1, [0, J]] = 0, types[0, [0, J]] + types[1, [0, J]]  # then the upper bound is the prevalence
        shares = answers(types, ceiling, floor)
        drawn = [rng.multinomial(500, share, size=600) for share in shares]
        frame = pd.concat([pd.DataFrame(counts).melt(ignore_index=False, var_name="y", value_name="n").assign(t=arm)
                           for arm, counts in enumerate(drawn)]).reset_index(names="sample")
        made = ListExperiment.from_counts(frame[frame["n"] > 0], answer="y", arm="t", n="n", J=J, covariates=["sample"])
        table = lying_bounds(made, "sample")
        covered = table["interval_lower"].le(types[1].sum()) & table["interval_upper"].ge(types[1].sum())
        assert covered.mean() > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 600)


def test_a_study_with_two_lists_is_bounded_by_its_first():
    frame = pd.DataFrame({"y": [0, 1, 1, 2], "t": [0, 0, 1, 1], "y2": [1, 2, 0, 1]})
    made = ListExperiment.from_frame(frame, answer="y", arm="t", J=J, instruments=[SecondList("y2", "t", 2, arms=(1, 0))])
    assert lying_bounds(made)["lower"][0] == pytest.approx(1.0)
