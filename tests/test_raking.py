"""Raking against closed forms: odds ratios kept, margins met, independence without a seed; contradictions refused by name."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.population import PopulationFrame
from bayes_listexp.raking import rake

A = pd.DataFrame({"a": ["x", "y"], "N": [30, 70]})
B = pd.DataFrame({"b": ["u", "v"], "N": [40, 60]})
SEED = pd.DataFrame({"a": list("xxyy"), "b": list("uvuv"), "N": [1.0, 2, 3, 18]})


def numbers(frame, *columns):
    """People per cell as an array over the levels of the columns."""
    table = frame.cells.groupby(list(columns))["N"].sum()
    return table.to_numpy().reshape([frame.cells[name].nunique() for name in columns])


def three_way(seed=3):
    """A seed of 2 x 3 x 2 cells with every interaction, and its cells in an array."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([list("xy"), list("uvw"), list("pq")], names=["a", "b", "c"]).to_frame(index=False)
    return grid.assign(N=rng.uniform(1, 9, 12))


def margin(frame, *columns):
    return frame.groupby(list(columns), as_index=False)["N"].sum()


# Closed forms


def test_two_by_two_is_the_root_of_the_quadratic_with_the_seeds_odds_ratio():
    found = numbers(rake(SEED, [A, B]), "a", "b")
    ratio, total, row, column = 1 * 18 / (2 * 3), 100, 30, 40  # Plackett's quadratic: (t - 1) x^2 - (T + (r + c)(t - 1)) x + t r c = 0
    p = [ratio - 1, -(total + (row + column) * (ratio - 1)), ratio * row * column]
    x = np.roots(p).real.min()
    np.testing.assert_allclose(found, [[x, row - x], [column - x, total - row - column + x]], rtol=1e-9)
    assert found[0, 0] * found[1, 1] / (found[0, 1] * found[1, 0]) == pytest.approx(ratio, rel=1e-12)  # by construction, exactly


def test_without_a_seed_columns_are_independent():
    np.testing.assert_allclose(numbers(rake(None, [A, B]), "a", "b"), np.outer([30, 70], [40, 60]) / 100, rtol=1e-12)


def test_margins_that_share_a_column_leave_the_others_independent_given_it():
    truth = three_way()
    ab, bc, b = margin(truth, "a", "b"), margin(truth, "b", "c"), margin(truth, "b")["N"].to_numpy()
    found = numbers(rake(None, [ab, bc]), "a", "b", "c")
    expected = numbers(PopulationFrame(ab), "a", "b")[:, :, None] * numbers(PopulationFrame(bc), "b", "c")[None] / b[None, :, None]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_three_way_keeps_the_seeds_interaction_and_meets_every_two_way_margin():
    seed, truth = three_way(3), three_way(4)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    frame = rake(seed, [margin(truth, *pair) for pair in pairs])
    for pair in pairs:
        np.testing.assert_allclose(margin(frame.cells, *pair)["N"], margin(truth, *pair)["N"], rtol=1e-9)

    def interaction(cells):
        z = np.log(numbers(PopulationFrame(cells), "a", "b", "c"))
        return np.diff(np.diff(np.diff(z, axis=0), axis=1), axis=2)

    np.testing.assert_allclose(interaction(frame.cells), interaction(seed), atol=1e-8)


def test_columns_without_a_margin_keep_their_shares_given_the_others():
    seed = three_way()
    frame = rake(seed, [A])
    np.testing.assert_allclose(frame.cells["N"] / seed["N"], np.where(seed["a"] == "x", 30, 70) / seed.groupby("a")["N"].transform("sum"))


# Invariances and scales


def test_the_order_of_rows_and_margins_and_the_scale_of_the_seed_change_nothing():
    expected = numbers(rake(SEED, [A, B]), "a", "b")
    for again in (
        rake(SEED.iloc[[2, 0, 3, 1]], [A, B]),
        rake(SEED, [A.iloc[::-1], B.iloc[::-1]]),
        rake(SEED, [B, A]),
        rake(SEED.assign(N=SEED["N"] * 1e6), [A, B]),
    ):
        np.testing.assert_allclose(numbers(again, "a", "b"), expected, rtol=1e-8)


def test_shares_and_numbers():
    shares = [A.assign(N=[0.3, 0.7]), B.assign(N=[0.4, 0.6])]
    expected = numbers(rake(SEED, [A, B]), "a", "b")
    np.testing.assert_allclose(numbers(rake(SEED, [shares[0], B]), "a", "b"), expected, rtol=1e-9)
    np.testing.assert_allclose(numbers(rake(SEED, shares), "a", "b"), expected * 0.24, rtol=1e-9)  # the seed's 24 people
    assert rake(None, shares).cells["N"].sum() == pytest.approx(1)


def test_nobody_stays_nobody_and_is_kept():
    frame = rake(SEED, [A, B.assign(N=[0, 100])])
    assert numbers(frame, "a", "b").tolist() == [[0, 30], [0, 70]]
    again = rake(SEED.assign(N=[0, 2, 3, 18]), [A, B])
    np.testing.assert_allclose(numbers(again, "a", "b"), [[0, 30], [40, 30]], rtol=1e-9)
    absent = rake(SEED.iloc[1:], [A, B])  # a cell that is not there is one with nobody
    np.testing.assert_allclose(absent.cells["N"], [30, 40, 30], rtol=1e-9)
    ab = pd.DataFrame({"a": ["x", "y"], "b": ["u", "v"], "N": [30, 70]})
    assert numbers(rake(None, [ab]), "a", "b").tolist() == [[30, 0], [0, 70]]


def test_how_it_went_is_told():
    frame = rake(SEED, [A, B])
    assert frame.source.startswith("raked to 2 margins (a; b) from a seed of 4 cells: ")
    assert "largest relative gap" in frame.source
    assert (frame.methods, frame.n, frame.exact) == (("raking",), None, True)
    assert rake(None, [A]).source.startswith("raked to 1 margin (a) from the same number in every cell: 1 iteration,")


def test_a_seed_from_a_survey_stays_uncertain():
    frame = rake(PopulationFrame(SEED, 24.0, "a survey", methods=("survey",)), [A, B])
    assert (frame.n, frame.methods) == (24.0, ("raking", "survey"))


def test_whole_numbers_are_one_level_however_they_are_written():
    seed = pd.DataFrame({"age": [1.0, 2.0], "N": [1, 1]})
    assert rake(seed, [pd.DataFrame({"age": ["1", "2"], "N": [3, 4]})]).cells["N"].tolist() == [3, 4]


def test_rounded_margins_need_a_tolerance():
    rounded = pd.DataFrame({"a": list("xxyy"), "c": list("pqpq"), "N": [10.01, 20, 30, 40]})
    with pytest.raises(InputError, match=r"margin 2 \(a by c\) to 100.01"):
        rake(None, [A, rounded])
    frame = rake(None, [A, rounded], tolerance=1e-3)
    np.testing.assert_allclose(frame.cells.groupby("a")["N"].sum(), [30, 70], rtol=1e-3)


# What cannot be

AB = pd.DataFrame({"a": list("xxyy"), "b": list("uvuv"), "N": [10, 30, 30, 30]})


@pytest.mark.parametrize(
    ("seed", "margins", "message"),
    [
        (SEED, [], "give at least one margin."),
        (SEED, [A, B.assign(N=[50, 60])], "margin 1 (a) sums to 100 and margin 2 (b) to 110. Give both for the same people, or one in "
         "shares, which sum to 1."),
        (SEED, [A, AB], "margin 1 (a) has 30 people with a = 'x', and margin 2 (a by b) has 40. Bring them to the same source, or give "
         "a tolerance if they are rounded."),
        (SEED, [A, AB.replace("y", "z")], "margin 1 (a) has 70 people with a = 'y', and margin 2 (a by b) has 0."),
        (SEED, [pd.DataFrame({"c": ["p"], "N": [1]})], "margin 1 (c): column 'c' is not in the seed, which has: a, b, N."),
        (SEED, [A.assign(a=["x", "z"])], "margin 1 (a) does not have a = 'y', which the seed has. Add it, with N = 0 if there is nobody."),
        (SEED.iloc[:2], [A], "margin 1 (a): a = 'y' has 70 people, and the seed does not have this level. Add it to the seed."),
        (SEED.assign(N=[0, 0, 1, 1]), [A], "margin 1 (a): a = 'x' has 30 people, and every such cell of the seed has nobody. Give the "
         "seed a small number where people can be."),
        (SEED.assign(N=[0, 1, 1, 0]), [A, B], "the margins are not met after 1000 iterations; the largest gap is in margin 1 (a): a = 'x' "
         "should have 30 people and has 60."),
        (SEED, [A.drop(columns="N")], "margin 1 (a): population frame: column 'N' (number of people in the cell) is missing"),
        (SEED, [A.assign(N=[-1, 2])], "margin 1 (a): population frame: column 'N', row 1: a count of people"),
        (SEED, [A[["N"]]], "margin 1 has no column beside 'N'."),
        (SEED, [A.assign(a=["x", None])], "margin 1 (a): column 'a', row 2: the level is missing."),
        (SEED, [A.assign(a="x")], "margin 1 (a): a = 'x' has more than one row. Add their numbers up."),
    ],
)  # fmt: skip
def test_margins_that_cannot_be(seed, margins, message):
    with pytest.raises(InputError) as error:
        rake(seed, margins)
    assert f"rake: {message}" in str(error.value)


def test_more_iterations_are_asked_for():
    with pytest.raises(InputError, match="not met after 1 iterations; .* or need more iterations or a larger tolerance"):
        rake(SEED, [A, B], iterations=1)
