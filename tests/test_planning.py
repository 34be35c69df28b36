"""Planning: scenarios against enumeration, formulas against closed forms and simulated people, and the limits of what is possible."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bayes_listexp import ListExperiment, planning
from bayes_listexp.errors import InputError
from bayes_listexp.planning import Panel, Scenario
from bayes_listexp.planning.item_scenario import _states
from bayes_listexp.planning.precision import by_size
from benchmarks import planning as simulated
from tests.oracle import count_pmf

ITEMS = [0.2, 0.4, 0.5, 0.7]


def logit(p):
    return float(np.log(p / (1 - p)))


class TestScenario:
    def test_independent_items_are_the_enumerated_sum(self):
        scenario = planning.from_items(ITEMS, 0.35)
        assert scenario.counts == pytest.approx(count_pmf("poisson_binomial", 0.0, [logit(p) for p in ITEMS], 4))
        assert scenario.count_variance == pytest.approx(sum(p * (1 - p) for p in ITEMS))
        assert scenario.types == pytest.approx(np.outer([0.65, 0.35], scenario.counts))
        assert scenario.answer_variances[1] == pytest.approx(scenario.count_variance + 0.35 * 0.65)

    def test_correlated_items_have_the_shares_and_the_correlations(self):
        wanted = np.array([[1, -0.3, 0.1, 0.0], [-0.3, 1, 0.2, 0.1], [0.1, 0.2, 1, -0.4], [0.0, 0.1, -0.4, 1]])
        trait = [0.1, 0.0, 0.3, -0.2]
        whole = np.block([[wanted, np.array(trait)[:, None]], [np.array([*trait, 1.0])]])
        states = _states(np.array([*ITEMS, 0.35]), whole)
        answers = np.indices((2,) * 5).reshape(5, -1)
        p = states.ravel()
        assert answers @ p == pytest.approx([*ITEMS, 0.35])
        covariance = (answers * p) @ answers.T - np.outer(answers @ p, answers @ p)
        sd = np.sqrt(np.diag(covariance))
        assert covariance / np.outer(sd, sd) == pytest.approx(whole, abs=1e-7)

        scenario = planning.from_items(ITEMS, 0.35, correlation=wanted, trait_correlation=trait)
        assert scenario.count_variance == pytest.approx(covariance[:4, :4].sum(), abs=1e-7)
        assert scenario.covariance == pytest.approx(covariance[4, :4].sum(), abs=1e-7)
        assert scenario.prevalence == pytest.approx(0.35)
        assert scenario.items == tuple(ITEMS)

    def test_answers_are_those_of_the_types(self):
        scenario = planning.from_items([0.3, 0.6], 0.5, trait_correlation=0.2)
        t = scenario.types
        assert scenario.answers(False) == pytest.approx(t.sum(axis=0))
        assert scenario.answers(True) == pytest.approx([t[0, 0], t[0, 1] + t[1, 0], t[0, 2] + t[1, 1], t[1, 2]])

    def test_moments_are_met(self):
        for mean, ratio, correlation in ((2.76, 0.74, 0.0), (2.76, 1.4, 0.4), (0.2, 1.0, -0.1), (3.9, 1.5, 0.2)):
            s = planning.from_counts(4, mean, 0.55, ratio=ratio, correlation=correlation)
            assert s.count_mean == pytest.approx(mean, abs=1e-7)
            assert s.count_variance == pytest.approx(ratio * mean * (1 - mean / 4), abs=1e-7)
            assert s.covariance / np.sqrt(s.count_variance * s.trait_variance) == pytest.approx(correlation, abs=1e-7)
        binomial = planning.from_counts(4, 2.0, 0.5)
        assert binomial.counts == pytest.approx(count_pmf("binomial", 0.0, None, 4))

    def test_another_prevalence_leaves_the_counts_of_each_trait(self):
        first = planning.from_items(ITEMS, 0.35, trait_correlation=0.2)
        second = first.with_prevalence(0.15)
        assert second.prevalence == pytest.approx(0.15)
        for trait in (0, 1):
            assert second.given(trait) == pytest.approx(first.given(trait))

    def test_a_study_is_a_scenario(self):
        counts = pd.DataFrame({"y": [0, 1, 2, 0, 1, 2, 3], "arm": [0] * 3 + [1] * 4, "n": [2, 5, 3, 1, 4, 4, 1]})
        study = ListExperiment.from_counts(counts, answer="y", arm="arm", n="n", J=2)
        scenario = planning.from_study(study)
        assert scenario.counts == pytest.approx([0.2, 0.5, 0.3])
        assert scenario.prevalence == pytest.approx(1.5 - 1.1)
        assert planning.from_study(study, prevalence=0.1).prevalence == pytest.approx(0.1)


class TestLimits:
    def test_one_item(self):
        scenario = planning.from_items([0.3], 0.4)
        assert scenario.types == pytest.approx(np.outer([0.6, 0.4], [0.7, 0.3]))
        assert planning.from_counts(1, 0.3, 0.4).types == pytest.approx(scenario.types)
        assert planning.dim_variance(scenario) == pytest.approx(2 * (0.21 + 0.24) + 2 * 0.21)

    @pytest.mark.parametrize("prevalence", [0.0, 1.0])
    def test_everybody_or_nobody(self, prevalence):
        scenario = planning.from_items(ITEMS, prevalence, correlation=-0.1, trait_correlation=0.0)
        assert scenario.trait_variance == 0
        assert planning.dim_variance(scenario) == pytest.approx(4 * scenario.count_variance)
        assert planning.optimal_share(scenario) == pytest.approx(0.5)
        assert planning.combined(scenario, 0.3).unit >= 0
        table = planning.compare_designs(scenario, 500, effect=0.1, denial=0.2)
        assert np.isfinite(table["se"]).all()
        found = planning.assurance(scenario, [500], studies=200)
        assert found["bias"][0] == pytest.approx(0, abs=0.02)
        with pytest.raises(InputError, match="at the edge of its range"):
            planning.likelihood_variance(scenario)

    def test_items_that_apply_to_all_or_none(self):
        scenario = planning.from_items([0.0, 1.0, 0.5], 0.3, correlation=0.2)
        assert scenario.counts == pytest.approx([0, 0.5, 0.5, 0])
        constant = planning.from_items([1.0, 0.0], 0.3)
        assert planning.dim_variance(constant) == pytest.approx(2 * 0.21)
        assert planning.likelihood_variance(constant) == pytest.approx(2 * 0.21)
        assert planning.optimal_share(constant) == 1.0

    def test_perfectly_opposed_items(self):
        scenario = planning.from_items([0.5, 0.5], 0.3, correlation=-1)
        assert scenario.counts == pytest.approx([0, 1, 0])

    def test_impossible_correlations_name_the_bound(self):
        with pytest.raises(InputError, match=r"item 1 and item 4 \(shares 0.2 and 0.7\): a correlation of 0.9 is impossible.*"
                                             r"between -0.764 and 0.327 \(Fréchet"):
            planning.from_items(ITEMS, 0.35, correlation=np.where(np.eye(4) + np.eye(4)[::-1] > 0, np.where(np.eye(4) > 0, 1, 0.9), 0))
        with pytest.raises(InputError, match=r"item 2 and the trait .* between"):
            planning.from_items(ITEMS, 0.05, trait_correlation=[0, 0.6, 0, 0])
        with pytest.raises(InputError, match=r"correlation of trait and count = 0.95: .* between -0.7\d+ and 0.7\d+ \(Fréchet"):
            planning.from_counts(4, 2.76, 0.55, correlation=0.95)
        scale = np.sqrt(0.2 * 0.8 * 0.7 * 0.3)
        assert planning.correlation_bounds(0.2, 0.7) == pytest.approx(((0 - 0.14) / scale, (0.2 - 0.14) / scale))

    def test_correlations_that_are_possible_only_pair_by_pair(self):
        """Three fair items that all disagree: at best the correlation is -1/3."""
        with pytest.raises(InputError, match="0.67 times as strong"):
            planning.from_items([0.5, 0.5, 0.5], 0.3, correlation=-0.5)
        scenario = planning.from_items([0.5, 0.5, 0.5], 0.3, correlation=-1 / 3)
        assert scenario.count_variance == pytest.approx(0.25, abs=1e-3)

    @pytest.mark.parametrize(("call", "message"), [
        (lambda: planning.from_items([0.2, 1.2], 0.3), "item 2 = 1.2: a share between 0 and 1"),
        (lambda: planning.from_items([], 0.3), "1 to 11 control items"),
        (lambda: planning.from_items(ITEMS, 35), "35 % is 0.35"),
        (lambda: planning.from_items(ITEMS, 0.3, correlation=[[1, 0], [0, 1]]), "4 rows and 4 columns"),
        (lambda: planning.from_items(ITEMS, 0.3, trait_correlation=[0.1]), "one for each of the 4 items"),
        (lambda: planning.from_counts(4, 4.5, 0.3), "between 0 and 4"),
        (lambda: planning.from_counts(4, 2.5, 0.3, variance=0.1), "a variance between 0.25 and 3.75"),
        (lambda: planning.from_answers([0, 1, 5], 4, 0.3), "answer 3 is 5"),
        (lambda: planning.from_answers([], 4, 0.3), "there are none"),
        (lambda: Scenario(np.ones((3, 2))), "2 rows"),
        (lambda: Scenario(np.ones((2, 2))), "add up to 4"),
        (lambda: planning.dim_variance(planning.from_items(ITEMS, 0.3), 1.0), "above 0 and below 1"),
        (lambda: planning.respondents(4.0), "give either half_width"),
        (lambda: planning.respondents(4.0, effect=0.2, power=1.0), "between 0 and 1"),
        (lambda: planning.power(0.1, 0.1, sides=3), "a test has 1 or 2"),
        (lambda: by_size(4.0, [3], effect=0.1), "at least 4 respondents"),
        (lambda: planning.pooled_groups({"a": 0}, 4.0, 0.1), "every group needs respondents; a"),
        (lambda: planning.allocation({"a": 1, "b": 0}, 10), "a number of people above 0"),
        (lambda: planning.allocation({"a": 1, "b": 9}, 10, minimum={"c": 3}), "region 'c' is not among"),
        (lambda: planning.allocation({"a": 1, "b": 9}, 10, minimum={"a": 13}), "there are n = 10"),
        (lambda: planning.allocation({"a": 1, "b": 9999}, 10), "region 'a' would have no respondents"),
        (lambda: planning.assurance(planning.from_items(ITEMS, 0.3), [100], prevalence_sd=0.5), "less than 0.458"),
        (lambda: planning.assurance(planning.from_items(ITEMS, 0.3), [100], estimator="nls"), "there are dim, ml, posterior"),
        (lambda: planning.assurance(planning.from_items(ITEMS, 0.3), [100], change=-0.4, studies=10), "leads outside 0 to 1"),
        (lambda: planning.change_variance(*[planning.from_items(ITEMS, 0.3)] * 2, panel=Panel("again")), "there are kept, swapped, fresh"),
        (lambda: planning.direct_question(planning.from_items(ITEMS, 0.3), -0.4), "would be -0.1"),
    ])
    def test_bad_input(self, call, message):
        with pytest.raises(InputError, match=message):
            call()


class TestPrecision:
    def test_power_and_sizes_agree(self):
        for sides in (1, 2):
            effect = planning.detectable(0.05, power=0.8, sides=sides)
            assert planning.power(effect, 0.05, sides=sides) == pytest.approx(0.8)
            n = planning.respondents(3.9, effect=0.1, power=0.9, sides=sides)
            assert planning.power(0.1, np.sqrt(3.9 / n), sides=sides) >= 0.9 > planning.power(0.1, np.sqrt(3.9 / (n - 1)), sides=sides)
        assert planning.power(0.0, 0.05) == pytest.approx(0.05)
        assert planning.power(0.1, 0.05) == planning.power(-0.1, 0.05)
        n = planning.respondents(3.9, half_width=0.1)
        assert norm.ppf(0.975) * np.sqrt(3.9 / n) <= 0.1 < norm.ppf(0.975) * np.sqrt(3.9 / (n - 1))

    def test_best_split_is_the_best(self):
        scenario = planning.from_items(ITEMS, 0.5, correlation=-0.2)
        best = planning.optimal_share(scenario)
        near = [planning.dim_variance(scenario, share) for share in (best - 0.02, best, best + 0.02)]
        assert min(near) == near[1]
        assert near[1] == pytest.approx(sum(np.sqrt(scenario.answer_variances)) ** 2)

    def test_a_list_is_worth_few_direct_answers(self):
        scenario = planning.from_items(ITEMS, 0.35)
        row = by_size(planning.dim_variance(scenario), [1000], effect=0.2, prevalence=0.35).iloc[0]
        assert 0.35 * 0.65 / row["direct_equivalent"] == pytest.approx(row["se"] ** 2)

    def test_break_even_bias_makes_the_errors_equal(self):
        scenario = planning.from_items(ITEMS, 0.35)
        for bias in planning.break_even_bias(scenario, 1000):
            assert planning.direct_question(scenario, bias).rmse(1000) == pytest.approx(planning.listed(scenario).rmse(1000))
        assert np.isnan(planning.break_even_bias(scenario.with_prevalence(0.01), 1000)[0])


def test_formulas_agree_with_simulated_people():
    """Each of some forty rows is within four Monte Carlo standard errors, and their mean square is about 1."""
    table = simulated.comparison(6000, seed=3)
    assert table.loc[table["distance"].abs() > 4, "what"].tolist() == []
    assert (table["distance"] ** 2).mean() < 2


def every_person(scenario, denial, share):
    """Every kind of respondent to list and direct question: probability, treated, answer to the list, yes; one row each."""
    kinds = [(types * arm * told, treated, count + trait * treated, yes)
             for (trait, count), types in np.ndenumerate(scenario.types) for treated, arm in ((1, share), (0, 1 - share))
             for yes, told in (((1, 1 - denial), (0, denial)) if trait else ((0, 1.0),))]  # fmt: skip
    return np.array(kinds).T


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_list_and_direct_question_have_the_variance_of_their_influences(share):
    """Aronow et al. 2015 and their difference, by the influence of every kind of respondent."""
    scenario, denial = simulated.LINKED, 0.4
    p, a, y, d = every_person(scenario, denial, share)

    def dim(among):
        m1, m0 = (np.average(y, weights=p * arm * among) for arm in (a, 1 - a))
        return m1 - m0, among * (a * (y - m1) / share - (1 - a) * (y - m0) / (1 - share))

    D, (t0, residual), (t, whole) = p @ d, dim(1 - d), dim(np.ones_like(p))
    both = (d - D) * (1 - t0) + residual
    assert D + (1 - D) * t0 == pytest.approx(scenario.prevalence)
    assert planning.combined(scenario, denial, share).unit == pytest.approx(p @ both**2)
    assert planning.dim_variance(scenario, share) == pytest.approx(p @ whole**2)
    assert planning.list_direct_gap(scenario, denial, share).unit == pytest.approx(p @ (whole - (d - D)) ** 2)
    assert t == pytest.approx(scenario.prevalence)


def test_half_padded_lists_lie_between_the_others():
    """The halves of the control arm have fixed sizes, so that its variance is the mean of the two."""
    for how in ("uniform", "top"):
        unit = {d: planning.careless_estimate(simulated.LINKED, 0.2, d, how=how).unit for d in ("conventional", "placebo", "mixed")}
        assert unit["mixed"] == pytest.approx((unit["conventional"] + unit["placebo"]) / 2)


@pytest.mark.parametrize("within", [True, False])
def test_clusters_of_one_are_no_clusters(within):
    found = [planning.clustered_variance(simulated.PLAIN, size=m, icc_count=0.1, icc_trait=0.2, within=within) for m in (1, 2, 3)]
    assert found[0] == pytest.approx(planning.dim_variance(simulated.PLAIN))
    assert found[1] - found[0] == pytest.approx(found[2] - found[1])
    pair = 0.2 * 0.35 * 0.65 if within else 2 * (0.2 * 0.35 * 0.65 + 0.1 * 0.86) + 2 * 0.1 * 0.86
    assert found[1] - found[0] == pytest.approx(pair)


def test_estimating_the_spread_between_groups_costs_little():
    table = simulated.unknown_between(200)
    assert (table["rmse, spread estimated"] / table["se, spread known"]).max() < 1.3
    assert table["coverage of 95 %"].min() > 0.92


class TestLikelihood:
    def test_saturated_likelihood_is_the_difference_in_means(self):
        scenario = planning.from_items(ITEMS, 0.35, trait_correlation=0.1)
        for share in (0.3, 0.5):
            found = planning.likelihood_variance(scenario, dependence="free", share=share)
            assert found == pytest.approx(planning.dim_variance(scenario, share))

    def test_what_is_assumed_is_gained(self):
        scenario = planning.from_items([0.95, 0.7, 0.9, 0.2], 0.5)
        none, shrunk, shift, free = (
            planning.likelihood_variance(scenario, dependence=d, shift_sd=sd, n=1000 if sd else None)
            for d, sd in (("none", None), ("shift", 0.5), ("shift", None), ("free", None))
        )
        assert none < shrunk < shift < free
        wide = planning.likelihood_variance(scenario, dependence="shift", shift_sd=100.0, n=1000)
        assert wide == pytest.approx(shift, rel=1e-3)

    def test_information_of_one_item_by_hand(self):
        """J = 1 without dependence: theta = (P, h), p0 = (1 - h, h), p1 = ((1-P)(1-h), P(1-h) + (1-P)h, Ph)."""
        P, h, g = 0.3, 0.6, 0.4
        p0, d0 = np.array([1 - h, h]), np.array([[0, 0], [-1, 1]])
        p1 = np.array([(1 - P) * (1 - h), P * (1 - h) + (1 - P) * h, P * h])
        d1 = np.array([[-(1 - h), 1 - 2 * h, h], [-(1 - P), 1 - 2 * P, P]])
        information = (1 - g) * (d0 / p0) @ d0.T + g * (d1 / p1) @ d1.T
        assert planning.likelihood_variance(planning.from_items([h], P), share=g) == pytest.approx(np.linalg.inv(information)[0, 0])


class TestControlItems:
    @pytest.fixture
    def pilot(self):
        rng = np.random.default_rng(4)
        u = rng.normal(size=(300, 1))
        signs = np.array([1, -1, 1, -1, 0, 0])
        frame = pd.DataFrame((rng.random((300, 6)) < 1 / (1 + np.exp(-1.5 * signs * u))).astype(float), columns=list("abcdef"))
        frame.loc[::7, "c"] = np.nan
        return frame

    def test_every_choice_as_counted_by_hand(self, pilot):
        table = planning.frontier(pilot, J=3).set_index("items")
        assert len(table) == 20
        for choice in combinations("abcdef", 3):
            own = pilot[list(choice)].dropna()
            count, row = own.sum(axis=1), table.loc[", ".join(choice)]
            assert row["n"] == len(own)
            assert row["variance"] == pytest.approx(count.var())
            assert row["floor"] == pytest.approx((count == 0).mean())
            assert row["ceiling"] == pytest.approx((count == 3).mean())
            sd, pairs = own.std(), list(combinations(choice, 2))
            expected = sum(own.cov().loc[i, j] for i, j in pairs) / sum(sd[i] * sd[j] for i, j in pairs)
            assert row["correlation"] == pytest.approx(expected)

    def test_frontier_is_what_nothing_dominates(self, pilot):
        table = planning.frontier(pilot, J=[2, 3], ceiling=0.3)
        assert set(table["J"]) == {2, 3}
        allowed = table[table["allowed"]]
        assert (table.loc[~table["allowed"], "ceiling"] > 0.3).all()
        for _, row in table.iterrows():
            better = ((allowed["variance"] <= row["variance"]) & (allowed["exposed"] <= row["exposed"])
                      & ((allowed["variance"] < row["variance"]) | (allowed["exposed"] < row["exposed"])))  # fmt: skip
            assert row["frontier"] == (row["allowed"] and not better.any())

    def test_opposed_items_win(self, pilot):
        best = planning.frontier(pilot, J=2).iloc[0]
        assert set(best["items"].split(", ")) in ({"a", "b"}, {"c", "d"}, {"a", "d"}, {"b", "c"})
        kept = planning.frontier(pilot, J=2, keep=["f"])
        assert len(kept) == 5
        assert kept["items"].str.contains("f").all()

    def test_standard_error_of_the_variance(self):
        rng = np.random.default_rng(1)
        found = [planning.frontier(pd.DataFrame(rng.integers(0, 2, (80, 3)), columns=list("abc")), J=3).iloc[0] for _ in range(200)]
        spread = np.std([row["variance"] for row in found])
        assert np.mean([row["variance_se"] for row in found]) == pytest.approx(spread, rel=0.2)

    def test_pilot_becomes_a_scenario(self, pilot):
        scenario = planning.from_pilot(pilot, ["a", "b"], 0.3)
        assert scenario.count_variance == pytest.approx(pilot[["a", "b"]].sum(axis=1).var(ddof=0))

    @pytest.mark.parametrize(("change", "kwargs", "message"), [
        ({"a": 2.0}, {"J": 2}, "column 'a', row 1: '2.0' is not 0 or 1"),
        ({"a": "yes"}, {"J": 2}, "column 'a', row 1: 'yes' is not 0 or 1"),
        ({}, {"J": 9}, "J = 9: there are 6 candidates"),
        ({}, {"J": 2, "keep": ["z"]}, "'z' is not among"),
        ({}, {"J": 2, "items": ["a", "q"]}, "no column 'q'"),
        ({"b": np.nan}, {"J": 2}, "fewer than 2 respondents answered all of a, b"),
    ])
    def test_bad_pilots(self, pilot, change, kwargs, message):
        with pytest.raises(InputError, match=message):
            planning.frontier(pilot.assign(**change), **kwargs)


class TestAssurance:
    SCENARIO = planning.from_items(ITEMS, 0.4)

    def test_agrees_with_closed_forms(self):
        n, studies = 1000, 8000
        row = planning.assurance(self.SCENARIO, [n], change=-0.2, studies=studies).iloc[0]
        error = 0.5 / np.sqrt(studies)
        se = np.sqrt(planning.change_variance(self.SCENARIO, self.SCENARIO.with_prevalence(0.2)) / n)
        assert row["change_excludes_zero"] == pytest.approx(planning.power(0.2, se), abs=4 * error)
        assert row["detects"] == pytest.approx(planning.power(0.2, se, sides=1), abs=4 * error)
        assert row["coverage"] == pytest.approx(0.95, abs=4 * 0.22 / np.sqrt(studies))
        assert row["mean_width"] == pytest.approx(2 * 1.96 * np.sqrt(planning.dim_variance(self.SCENARIO) / n), rel=0.01)

    def test_is_an_average_over_the_belief(self):
        p = np.random.default_rng(1).beta(0.4 * 23, 0.6 * 23, 4000)  # mean .4, sd .1
        expected = np.mean([planning.power(v, np.sqrt(planning.dim_variance(self.SCENARIO.with_prevalence(v)) / 200)) for v in p])
        row = planning.assurance(self.SCENARIO, [200], prevalence_sd=0.1, studies=8000).iloc[0]
        assert row["excludes_zero"] == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(4000))

    def test_does_not_depend_on_processes_or_on_other_sizes(self):
        seen = []
        one = planning.assurance(self.SCENARIO, [60, 120], change=-0.1, studies=1100, seed=5, progress=lambda *at: seen.append(at))
        two = planning.assurance(self.SCENARIO, [120], change=-0.1, studies=1100, seed=5, workers=2)
        pd.testing.assert_frame_equal(one.iloc[[1]].reset_index(drop=True), two)
        assert seen[-1] == (2200, 2200)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_best_design_depends_on_the_prevalence():
    """Uniform careless answers bias the conventional design by e(1/2 - P), the placebo by -eP, the mixed one by e(1/4 - P)."""
    scenario = planning.from_items(ITEMS, 0.3)
    for p, best in ((0.02, "placebo"), (0.25, "mixed"), (0.6, "conventional")):
        assert planning.best_design(scenario, 0.1, np.array([p])) == best
    table = planning.careless_designs(scenario, 0.1).set_index("design")["bias"]
    assert table.to_dict() == pytest.approx({"conventional": 0.02, "placebo": -0.03, "mixed": -0.005})


def test_allocation_adds_up():
    people = {"Almaty": 2.0, "Astana": 1.4, "elsewhere": 16.6}
    plan = planning.allocation(people, 1000, exponent=0.5, minimum={"Astana": 300})
    assert plan["n"].sum() == 1000
    assert plan.set_index("region").loc["Astana", "n"] == 300
    assert plan["design_effect"][0] == pytest.approx(plan["kish"][0])  # equal variances: Kish's
    assert planning.allocation(people, 1000)["design_effect"][0] == pytest.approx(1, abs=1e-3)  # whole respondents
    equal = planning.allocation(people, 999, exponent=0.0)
    assert set(equal["n"]) == {333}


def test_planning_needs_no_compiler():
    import subprocess
    import sys

    code = "import sys; from bayes_listexp import planning; assert not {'pytensor', 'pymc', 'arviz', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
