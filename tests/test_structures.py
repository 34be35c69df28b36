"""Structured group effects: their covariances against exact ones, and what the way of sampling them must not change."""

import numpy as np
import pandas as pd
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.model import build_model
from bayes_listexp.sampling import compile_density, draw_prior
from bayes_listexp.specification import Specification, blueprint
from bayes_listexp.structures import (
    KINDS,
    Relations,
    adjacency_precision,
    axis,
    components,
    exchangeable,
    islands,
    places_of,
    read_neighbours,
    walk_precision,
)

WAVES = ("2022-09", "2022-11", "2023-03", "2023-04", "2023-12")
REGIONS = tuple("abcdef")
PAIRS = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("d", "e")]  # "f" is an island
NOTHING = Relations({}, {})


def study(n=600, seed=4):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "treat": np.arange(n) % 2,
            "wave": rng.choice(WAVES, n),
            "region": rng.choice(REGIONS, n, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1]),
            "sex": rng.choice(["f", "m"], n),
            "x": rng.integers(0, 2, n).astype(float),
        }
    )
    frame["y"] = rng.binomial(3, 0.5, n) + (rng.random(n) < 0.4) * frame["treat"]
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, wave="wave")


STUDY = study()


def made(trait, **settings):
    settings.setdefault("neighbours", {"region": PAIRS} if "region" in trait else {})
    return build_model(blueprint(STUDY, Specification(trait=trait, control="1", dependence="none", **settings)))


def numbers(model, name):
    """What is sampled of a group term: numbers that its standard deviation is multiplied by, mixed ones, or the effects themselves."""
    return next(model[f"{name}{way}_z"] for way in ("", "_mixed", "_centred") if f"{name}{way}_z" in model.named_vars)


def linear_map(model, name, hyper):
    """The matrix that turns the sampled numbers of a group term into its effects, (effect, number), given the hyperparameters."""
    z = numbers(model, name)
    given = [model[key] for key in hyper]
    run = pytensor.function([z, *given], model[name], mode="FAST_COMPILE", on_unused_input="ignore")
    shape = tuple(z.shape.eval(mode="FAST_COMPILE"))
    size = int(np.prod(shape))
    values = [np.asarray(value, dtype=float) for value in hyper.values()]
    return np.column_stack([run(e.reshape(shape), *values).ravel() for e in np.eye(size)])


def covariance(trait, name, hyper):
    model = made(trait, centred={name: False})
    root = linear_map(model, name, {f"{name}_{part}": value for part, value in hyper.items()})
    return root @ root.T


def centred(matrix, sampled=None):
    size = len(matrix)
    weights = np.ones(size) / size if sampled is None else sampled / sampled.sum()
    centring = np.eye(size) - weights
    return centring @ matrix @ centring.T


def of_axis(kind, levels, relations=NOTHING, column="g"):
    found = axis(kind, levels, np.ones(len(levels)), relations, column=column)
    return (found.basis * found.variance) @ found.basis.T


# Walks


@pytest.mark.parametrize("size", [2, 5, 12])
def test_a_walk_of_equal_steps_has_the_known_variances(size):
    # Eigenvalues of a path's Laplacian are 4 sin^2(pi k / 2n), so its generalised inverse has the trace (n^2 - 1) / 6.
    inverse = np.linalg.pinv(walk_precision(np.arange(size), 1))
    assert np.trace(inverse) == pytest.approx((size**2 - 1) / 6)
    i = np.arange(1, size + 1)
    assert np.diag(inverse) == pytest.approx((size + 1) * (2 * size + 1) / (6 * size) - i * (size + 1 - i) / size)


def test_increments_of_a_walk_are_independent_with_variances_like_the_gaps():
    times = {"s": 0.0, "t": 0.3, "u": 4.0, "v": 5.0, "w": 5.5}
    walk = of_axis("rw1", list(times), Relations({}, {"g": times}))
    steps = np.diff(np.eye(5), axis=0)
    found = steps @ walk @ steps.T
    np.testing.assert_allclose(found / found[0, 0], np.diag(np.diff(list(times.values())) / 0.3), atol=1e-12)
    assert np.exp(np.log(np.diag(walk)).mean()) == pytest.approx(1)


def test_a_walk_does_not_depend_on_the_order_of_its_levels():
    times = {"s": 0.0, "t": 0.3, "u": 4.0, "v": 5.0, "w": 5.5}
    shuffled = ["u", "s", "w", "t", "v"]
    for kind in ("rw1", "rw2"):
        there, here = (of_axis(kind, levels, Relations({}, {"g": times})) for levels in (list(times), shuffled))
        order = [list(times).index(level) for level in shuffled]
        np.testing.assert_allclose(here, there[np.ix_(order, order)], atol=1e-12)


def test_a_second_order_walk_is_the_plain_one_with_equal_gaps_and_leaves_straight_lines_free():
    size = 7
    second = np.diff(np.eye(size), 2, axis=0)
    precision = walk_precision(np.arange(size), 2)
    np.testing.assert_allclose(precision, second.T @ second, atol=1e-12)
    uneven = walk_precision(np.array([0.0, 1, 1.5, 4, 7, 7.2, 9]), 2)
    line = np.array([0.0, 1, 1.5, 4, 7, 7.2, 9])
    np.testing.assert_allclose(uneven @ np.column_stack([np.ones(size), line]), 0, atol=1e-10)
    found = axis("rw2", [str(k) for k in range(size)], np.ones(size), NOTHING, column="g")
    assert found.basis.shape == (size, size - 2)
    assert found.trend == pytest.approx((np.arange(size) - 3) / 2)  # of mean square 1


def test_a_level_of_a_walk_given_the_others_is_the_weighted_mean_of_its_neighbours_in_time():
    places = np.array([0.0, 1.0, 3.0, 3.5])
    precision = walk_precision(places, 1)
    others = [0, 2, 3]
    weights = -precision[1, others] / precision[1, 1]
    np.testing.assert_allclose(weights, [2 / 3, 1 / 3, 0], atol=1e-12)  # a Brownian bridge at 1 of 0 to 3


# Neighbours


def test_an_effect_given_the_others_is_the_mean_of_its_neighbours():
    levels = list("abcde")
    intrinsic = of_axis("icar", levels, Relations({"g": PAIRS}, {}))
    precision = np.linalg.pinv(intrinsic, rcond=1e-9)
    neighbours = {"a": "bd", "b": "ac", "c": "bd", "d": "ace", "e": "d"}
    for i, level in enumerate(levels):
        weights = -np.delete(precision[i], i) / precision[i, i]
        expected = [(other in neighbours[level]) / len(neighbours[level]) for other in levels if other != level]
        np.testing.assert_allclose(weights, expected, atol=1e-9)
    n_neighbours = np.array([len(neighbours[level]) for level in levels])
    np.testing.assert_allclose(np.diag(precision) / n_neighbours, np.diag(precision)[0] / 2)
    assert np.exp(np.log(np.diag(intrinsic)).mean()) == pytest.approx(1)


def test_neighbours_in_a_row_are_a_walk_and_all_of_all_are_exchangeable():
    levels = [str(k) for k in range(6)]
    row = [(str(k), str(k + 1)) for k in range(5)]
    np.testing.assert_allclose(of_axis("icar", levels, Relations({"g": row}, {})), of_axis("rw1", levels), atol=1e-12)
    everybody = [(a, b) for a in levels for b in levels if a < b]
    alike = of_axis("icar", levels, Relations({"g": everybody}, {}))
    np.testing.assert_allclose(alike, (np.eye(6) - 1 / 6) * 6 / 5, atol=1e-12)


def test_islands_and_parts_have_a_typical_variance_of_one_each():
    relations = Relations({"region": (*PAIRS, ("g", "h"))}, {})
    levels = list("abcdefgh")
    assert islands("region", levels, relations) == ["f"]
    parts = components(adjacency_precision(8, [(levels.index(a), levels.index(b)) for a, b in relations.neighbours["region"]]))
    assert [part.tolist() for part in parts] == [[0, 1, 2, 3, 4], [5], [6, 7]]
    found = axis("bym2", levels, np.ones(8), relations, column="region")
    neighbours = (found.basis * found.variance) @ found.basis.T
    expected = np.zeros((8, 8))
    expected[:5, :5] = of_axis("icar", levels[:5], Relations({"g": PAIRS}, {}))
    expected[5, 5] = 1
    expected[6:, 6:] = [[1, -1], [-1, 1]]
    np.testing.assert_allclose(neighbours, centred(expected), atol=1e-12)


# What the model makes of them


def test_walk_effects_of_the_model():
    found = covariance("1 + (1|rw1(wave))", "trait_wave", {"sd": [0.7]})
    np.testing.assert_allclose(found, 0.49 * of_axis("rw1", list(WAVES)), atol=1e-12)


def test_bym2_effects_of_the_model():
    found = covariance("1 + (1|bym2(region))", "trait_region", {"sd": [0.7], "mix": 0.3})
    neighbours = np.zeros((6, 6))
    neighbours[:5, :5] = of_axis("icar", list("abcde"), Relations({"g": PAIRS}, {}))
    neighbours[5, 5] = 1
    np.testing.assert_allclose(found, 0.49 * centred(0.3 * neighbours + 0.7 * np.eye(6)), atol=1e-12)


def test_autoregressive_effects_of_the_model():
    found = covariance("1 + (1|ar1(wave))", "trait_wave", {"sd": [0.7], "rho": 0.6})
    places = places_of(WAVES)
    apart = np.abs(places[:, None] - places) / np.diff(places).mean()
    np.testing.assert_allclose(found, 0.49 * centred(0.6**apart), atol=1e-10)


def test_gaussian_process_effects_of_the_model():
    found = covariance("1 + (1|gp(wave))", "trait_wave", {"sd": [0.7], "length": 0.4})
    places = places_of(WAVES)
    r = np.sqrt(5) * np.abs(places[:, None] - places) / np.ptp(places) / 0.4
    np.testing.assert_allclose(found, 0.49 * centred((1 + r + r**2 / 3) * np.exp(-r)), atol=1e-8)


def test_a_walk_for_every_region_sums_to_zero_over_waves_and_over_regions():
    found = covariance("1 + (1|region) + (1|rw1(wave):region)", "trait_wave_region", {"sd": [0.7]})
    expected = 0.49 * np.kron(of_axis("rw1", list(WAVES)), np.eye(6) - 1 / 6)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    turned = covariance("1 + (1|region) + (1|region:rw1(wave))", "trait_region_wave", {"sd": [0.7]})
    np.testing.assert_allclose(turned, 0.49 * np.kron(np.eye(6) - 1 / 6, of_axis("rw1", list(WAVES))), atol=1e-12)


def test_interactions_leave_to_their_parts_what_is_theirs():
    def of(trait):
        return covariance(trait, "trait_region_sex", {"sd": [1.0]})

    regions, sexes = np.eye(6) - 1 / 6, np.eye(2) - 1 / 2
    np.testing.assert_allclose(of("1 + (1|region) + (1|sex) + (1|region:sex)"), np.kron(regions, sexes), atol=1e-12)
    np.testing.assert_allclose(of("1 + sex + (1|region) + (1|region:sex)"), np.kron(regions, sexes), atol=1e-12)
    np.testing.assert_allclose(of("1 + (1|region) + (1|region:sex)"), np.kron(np.eye(6), sexes), atol=1e-12)
    np.testing.assert_allclose(of("1 + (1|region:sex)"), centred(np.eye(12)), atol=1e-12)


def test_effects_without_respondents_vary_more_and_together():
    sampled = np.array([1, 1, 0, 1, 0, 1])
    found = exchangeable([6], sampled, [()])
    np.testing.assert_allclose(found.basis @ found.basis.T, centred(np.eye(6), sampled), atol=1e-12)


def test_correlated_columns():
    trait = "1 + (1 + x|lkj(region))"
    model = made(trait, centred={})
    root = linear_map(model, "trait_region", {"trait_region_sd": [0.5, 2.0], "trait_region_partial_1_0": 0.8})
    correlation = np.array([[1, 0.6], [0.6, 1]])
    expected = np.kron(np.outer([0.5, 2], [0.5, 2]) * correlation, np.eye(6) - 1 / 6)
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-12)


def test_correlations_have_the_lkj_density():
    # Under LKJ(eta) on matrices of size d every correlation is 2 Beta(b, b) - 1 with b = eta - 1 + d / 2.
    model = made("1 + (1 + x + sex|lkj(region))", priors={"group_lkj": "LKJ(1.5)"})
    drawn = draw_prior(model, [model["trait_region_correlation"]], 4000, seed=3)["trait_region_correlation"]
    assert drawn.shape == (4000, 3, 3)
    np.testing.assert_allclose(drawn[:, [0, 1, 2], [0, 1, 2]], 1, atol=1e-12)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert stats.kstest((drawn[:, i, j] + 1) / 2, stats.beta(2, 2).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("trait", "name"), [
    ("1 + (1|region)", "trait_region"),
    ("1 + (1|bym2(region))", "trait_region"),
    ("1 + (1|rw1(wave))", "trait_wave"),
    ("1 + (1|region) + (1|rw1(wave):region)", "trait_wave_region"),
])
def test_however_effects_are_sampled_their_prior_is_the_same(trait, name):
    """The density of the effects' directions given the sd: that of the sampled numbers, and the Jacobian of the map."""
    values = {f"{name}_sd": np.array([0.6])} | ({f"{name}_mix": 0.4} if "bym2" in trait else {})
    densities = []
    for way in ({}, {name: False}, {name: True}):
        model = made(trait, centred=way)
        root = linear_map(model, name, values)
        spread = pt.broadcast_to(numbers(model, name).owner.inputs[-1], numbers(model, name).shape)
        sigma = pytensor.function([model[key] for key in values], spread, mode="FAST_COMPILE", on_unused_input="ignore")(*values.values())
        densities.append((root * sigma.ravel()) @ (root * sigma.ravel()).T)
    np.testing.assert_allclose(densities[0], densities[1], atol=1e-12)
    np.testing.assert_allclose(densities[2], densities[1], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_densities_are_finite_far_out(kind):
    column = "region" if kind in ("icar", "bym2") else "wave"
    density = compile_density(made(f"1 + (1|{kind}({column}))"), mode="FAST_COMPILE")
    for sign in (-1, 1):
        value, gradient = density.function(density.start + 8.0 * sign)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


def test_a_wave_with_effects_of_its_own_is_not_added_once_more():
    plan = blueprint(STUDY, Specification(trait="1 + (1|rw1(wave))", control="1 + sex"))
    assert plan.specification.trait == "1 + (1|rw1(wave))"
    assert plan.specification.control == "1 + sex + wave"


# Places and neighbours as given


def test_places_are_numbers_or_dates():
    np.testing.assert_allclose(places_of(["3", "1.5"]), [3, 1.5])
    np.testing.assert_allclose(places_of(["2021", "2023"]), [2021, 2023])
    assert places_of(["2022", "2022-12-31"]) == pytest.approx([2022.5, 2023], abs=1 / 365)
    assert places_of(["2022-07", "2022Q3"]) == pytest.approx([2022 + 196 / 365, 2022 + 227 / 365], abs=1 / 365)
    assert places_of(["2022-07-01"]) == pytest.approx([2022 + 181.5 / 365])
    assert places_of(["first", "2022-07"]) is None


@pytest.mark.parametrize(("trait", "settings", "message"), [
    ("1 + (1|rw1(sex))", {}, r"column 'sex': an order or times are needed and its levels are neither numbers nor dates: f, m\."),
    ("1 + (1|rw1(sex))", {"times": {"sex": {"f": 1}}}, r"times: column 'sex' has no time for level 'm'\. Add it\."),
    ("1 + (1|rw1(sex))", {"times": {"sex": {"f": 1, "m": 1}}}, r"levels 'f', 'm' have the same time"),
    ("1 + (1|rw2(sex))", {"times": {"sex": ["f", "m"]}}, r"rw2\(sex\): a random walk of order 2 needs at least 3 levels, found 2: f, m"),
    ("1 + (1|rw1(sex))", {"times": {"sex": {"f": "soon"}}}, r"times: column 'sex', level 'f': a time must be a number, found 'soon'"),
    ("1 + (1|icar(region))", {"neighbours": {}}, r"column 'region': its neighbours are needed"),
    ("1 + (1|icar(region))", {"neighbours": {"region": [("a", "Z")]}}, r"neighbours: column 'region' has no level 'Z'"),
    ("1 + (1|icar(region))", {"neighbours": {"region": [("a", "a")]}}, r"level 'a' is its own neighbour"),
    ("1 + (1|icar(region))", {"neighbours": {"region": ["ab"]}}, r"each row must be a pair of levels, found 'ab'"),
    ("1 + (1|region)", {"neighbours": {"county": []}}, r"neighbours: column 'county' is not in the data"),
    ("1 + (1|rw1(wave):region)", {}, r"rw1\(wave\): in an interaction it says nothing about the mean over 'wave'"),
    ("1 + (1|lkj(region))", {}, r"\(\.\.\.\|lkj\(region\)\): one effect a level has nothing to be correlated with"),
    ("1 + rw1(wave)", {}, r"'rw1' is a structure of group-specific effects: write \(1\|rw1\(\.\.\.\)\)"),
    ("1 + (1|rw1(wave, 2))", {}, r"'rw1\(wave, 2\)' cannot group effects"),
    ("1 + (1|rw1(gp(wave)))", {}, r"'rw1\(gp\(wave\)\)' cannot group effects"),
    ("1 + (1|walk(wave))", {}, r"the function 'walk' is not allowed.*and after a '\|', ar1, bym2, gp, icar, lkj, rw1, rw2"),
    ("1 + (1|region)", {"centred": {"trait_sex": True}}, r"centred: 'trait_sex' = True: say true or false of one of .*: trait_region"),
    ("1 + (1|region)", {"priors": {"trait_region_sd": "LKJ(2)"}}, r"correlations, named \.\.\._lkj, have an LKJ prior"),
])
def test_what_a_structure_lacks_is_named(trait, settings, message):
    with pytest.raises(InputError, match=message):
        made(trait, **settings)


def test_neighbours_come_from_frames_and_pairs_once_each():
    pairs = [("b", "a"), ("a", "b"), ("c", "b")]
    expected = {"region": (("a", "b"), ("b", "c"))}
    assert read_neighbours({"region": pairs}) == expected
    assert read_neighbours({"region": pd.DataFrame(pairs, columns=["x", "y"])}) == expected


def test_one_terms_own_prior():
    model = made("1 + (1|bym2(region))", priors={"trait_region_sd": "HalfNormal(0.01)", "trait_region_mix": "Beta(900, 100)"})
    sd, mix = draw_prior(model, [model["trait_region_sd"], model["trait_region_mix"]], 400, seed=1).values()
    # a half-normal of scale s has mean .798 s, and 400 draws a standard error of .03 s
    assert sd.mean() == pytest.approx(0.00798, abs=0.0012)
    assert mix.mean() == pytest.approx(0.9, abs=0.005)
