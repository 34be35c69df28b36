"""Posterior of a published table: coherent groups, nobody counted twice, honest widths."""

import json
from pathlib import Path

import numpy as np
import pytensor.tensor as pt
import pytest

import bayes_listexp
from bayes_listexp.errors import InputError
from bayes_listexp.published.layout import complete_use, default_use, lay_out
from bayes_listexp.published.list_moments import USUAL_RATIO, control_variance, treatment_variance, usual_difference_se
from bayes_listexp.published.model import build_published_model, fit_published, spread_around
from bayes_listexp.published.results import (
    change_summary,
    design_based_change,
    printed_differences,
    published_change,
    support_table,
)
from bayes_listexp.published.table import PublishedSupport, parse_published, read_published
from bayes_listexp.sampling import Sampler

CSTO = read_published(Path(bayes_listexp.__file__).parent / "data" / "csto_table1_2022-09.csv", J=4, N=400)
NOVEMBER = PublishedSupport("35 %", N=(350, 1500), label="2022-11")
HEADER = "group,level,share,mean_control,mean_treatment,support"


def table_of(*rows, J=4, N=400, header=HEADER):
    return parse_published("\n".join([header, *rows]), J=J, N=N, name="t")


@pytest.fixture(scope="module")
def csto_fit():
    return fit_published(CSTO, seed=1, later=NOVEMBER, sampler=Sampler(draws=500, tune=500, chains=4))


def test_variances_are_those_of_enumerated_answers():
    # A binomial count and an independent trait: variance by summing over all outcomes.
    J, h, p = 4, 0.7, 0.3
    counts = np.arange(J + 1)
    pmf = np.array([1, 4, 6, 4, 1]) * h**counts * (1 - h) ** (J - counts)
    answers = np.add.outer(counts, [0, 1])
    joint = np.outer(pmf, [1 - p, p])
    variance = (joint * answers**2).sum() - (joint * answers).sum() ** 2
    control = control_variance(J * h, J, 1.0)
    assert control == pytest.approx((pmf * counts**2).sum() - (pmf * counts).sum() ** 2)
    assert treatment_variance(control, p, 0.0) == pytest.approx(variance)


def test_usual_standard_error_of_the_csto_total():
    # .885 * 2.76 * (1 - .69) = .757 and .757 + .56 * .44 = 1.004 in arms of 200
    assert pytest.approx(0.885, abs=0.001) == USUAL_RATIO
    assert usual_difference_se(2.76, 0.56, 4, (200, 200)) == pytest.approx(np.sqrt((0.757 + 1.004) / 200), abs=1e-4)


def test_copied_rows_are_excluded_and_contradictory_rows_count_by_their_means():
    use = default_use(CSTO)
    assert {row for row, how in use.items() if how == "exclude"} == {"region: Almaty", "region: all others"}
    assert use["ethnicity: Kazakh"] == "means"
    assert default_use(CSTO, contradictory="support")["ethnicity: Kazakh"] == "support"
    assert default_use(CSTO, copied="support")["region: Almaty"] == "support"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ({"sex: male": "means"}, "use names the row 'sex: male'; the rows are all, gender: male"),
        ({"all": "exclude"}, "the total can only count by its means"),
        ({"gender: male": "drop"}, "use 'drop'; write means, support or exclude"),
    ],
)
def test_wrong_use_is_named(use, message):
    with pytest.raises(InputError, match=message):
        complete_use(CSTO, use)


def test_rows_that_cannot_be_used_are_named():
    table = table_of("all,all,1,2.00,2.50,", "x,a,0.50,4.50,2.50,", "x,b,0.50,2.00,2.50,")
    with pytest.raises(InputError, match=r"'x: a'.*impossible with J = 4; exclude the row"):
        complete_use(table, None)
    with pytest.raises(InputError, match="has no printed support"):
        complete_use(table, {"x: a": "support"})
    table = table_of("all,all,1,2.00,2.50,", "x,a,0.70,2.00,2.50,", "x,b,0.50,2.00,2.50,")
    with pytest.raises(InputError, match=r"the shares of 'x' add up to 1\.200"):
        lay_out(table, default_use(table))
    table = table_of("all,all,1,2.00,2.50,", "x,a,,2.00,2.50,", "x,b,0.50,2.00,2.50,")
    with pytest.raises(InputError, match="'x: a': neither a share nor arm sizes"):
        lay_out(table, default_use(table))


def test_parts_make_up_the_total():
    layout = lay_out(CSTO, default_use(CSTO))
    names = [part.name for part in layout.parts]
    assert "ethnicity: unreported" in names
    assert "gender: unreported" not in names
    np.testing.assert_allclose(layout.weights.sum(axis=1), 1)
    # Groups alike: no distance from the total, whatever the level.
    assert np.abs(layout.number_of @ np.repeat([2.7, 3.3], len(names))).max() < 1e-12
    assert layout.numbers[:2] == pytest.approx([2.62 - 2.76, 3.49 - 3.32])
    assert len(layout.numbers) == 2 * 7  # nine groups, two of them excluded
    by_support = lay_out(CSTO, complete_use(CSTO, {"region: Almaty": "support"}))
    assert by_support.numbers[-3] == pytest.approx(0.270 - 0.56)


def test_level_and_distance_add_up_to_the_sampling_variance_of_a_group():
    # Nobody counts twice: with variance v everywhere, Var(total) + Var(distance) = v / n of the group alone.
    layout = lay_out(CSTO, default_use(CSTO))
    sizes = 400 * np.array([part.weight for part in layout.parts]) / 2
    distance = np.diag((layout.number_of / np.tile(sizes, 2)) @ layout.number_of.T)
    kazakh = [part.name for part in layout.parts].index("ethnicity: Kazakh")
    first = np.flatnonzero(layout.number_of[:, kazakh] > 0)[0]
    assert distance[first] + 1 / 200 == pytest.approx(1 / sizes[kazakh])


def test_groups_average_to_the_total():
    rng = np.random.default_rng(2)
    weights = np.array([[0.45, 0.55, 0, 0, 0], [0, 0, 0.605, 0.3, 0.095]])
    worst = 0.0
    for _ in range(8):
        totals, deviations = rng.uniform(size=2), rng.logistic(size=(2, 5))
        parts = spread_around(pt.constant(totals), pt.constant(deviations), weights).eval(mode="FAST_COMPILE")
        worst = max(worst, np.abs(parts @ weights.T - totals[:, None]).max())
        assert ((parts > 0) & (parts < 1)).all()
    assert worst < 0.002  # see NEWTON_STEPS


@pytest.mark.parametrize(
    "table",
    [
        table_of("all,all,1,0.40,0.60,0.20", J=1),
        table_of("all,all,1,2.00,2.50,", "x,a,0.50,2.00,2.50,", "x,b,0.50,2.00,2.50,"),
        table_of(
            "all,all,1.0,2.0,2.4,200,200",
            "x,a,0.5,1.5,1.9,90,110",
            "x,b,0.5,2.5,2.9,110,90",
            header="group,level,share,mean_control,mean_treatment,n_control,n_treatment",
        ),
    ],
)
def test_log_density_is_finite_for_other_tables(table):
    model = build_published_model(table, default_use(table), NOVEMBER)
    assert np.isfinite(model.compile_logp(mode="FAST_COMPILE")(model.initial_point()))


def test_printed_differences():
    rows = printed_differences(CSTO).set_index("level")
    assert len(rows) == len(CSTO.rows)
    assert rows.loc["male", "estimate"] == pytest.approx(3.49 - 2.62)
    assert rows.loc["Almaty", "printed_support"] == 0.27
    # everybody: 2 * (.757 + .757 + .56 * .44) / 400, in halves of 200
    se = np.sqrt((2 * 0.757 + 0.56 * 0.44) / 200)
    assert rows.loc["all", ["estimate", "se", "lower", "upper"]].to_list() == pytest.approx(
        [0.56, se, 0.56 - 1.96 * se, 0.56 + 1.96 * se], abs=1e-3)
    # men: 90 in each arm, and the variance of a binomial of their own mean
    variance = USUAL_RATIO * 2.62 * (1 - 2.62 / 4)
    assert rows.loc["male", "se"] == pytest.approx(np.sqrt((2 * variance + 0.87 * 0.13) / 90), abs=1e-6)


def test_design_based_change():
    change = design_based_change(CSTO, NOVEMBER).set_index("N")
    assert change["estimate"].to_list() == pytest.approx([-0.21, -0.21])
    # first wave .0938 as above; second wave 2 * (.757 + .757 + .35 * .65) / N
    se = [np.sqrt(0.0938**2 + 2 * (2 * 0.757 + 0.35 * 0.65) / N) for N in (350, 1500)]
    assert change["se"].to_list() == pytest.approx(se, abs=1e-4)
    assert (change["z"] == change["estimate"] / change["se"]).all()


@pytest.mark.slow
def test_sampling_is_clean(csto_fit):
    posterior = csto_fit["posterior"].to_dataset()
    halves = posterior["support"].to_numpy().reshape(8, 250, -1)
    within, between = halves.var(axis=1, ddof=1).mean(axis=0), halves.mean(axis=1).var(axis=0, ddof=1)
    assert np.sqrt(249 / 250 + between / within).max() < 1.03  # split r_hat of 4 x 500 draws; 1.01 at the defaults
    assert not csto_fit["sample_stats"]["diverging"].any()


@pytest.mark.slow
def test_csto_support(csto_fit):
    table = support_table(csto_fit, CSTO)
    lines = table.set_index("level")
    # The design-based interval is .56 -+ 1.96 * .094; prevalence below one in every group moves it down a
    # little.
    assert lines.loc["all", ["lower", "upper"]].to_list() == pytest.approx([0.36, 0.74], abs=0.06)
    width = lines["upper"] - lines["lower"]
    for level, share in (("Kazakh", 0.605), ("female", 0.55), ("university", 0.514)):
        assert width[level] == pytest.approx(width["all"] / np.sqrt(share), rel=0.15)
    assert table[["lower", "upper"]].stack().between(0, 1).all()
    assert lines.loc["Almaty", "used"] == "exclude"
    assert width["Almaty"] > 0.9  # nothing but the total and its share speaks about it
    assert lines.loc["Kazakh", "difference"] == pytest.approx(0.37)


@pytest.mark.slow
def test_groups_cohere_with_the_total_in_every_draw(csto_fit):
    support = csto_fit["posterior"].to_dataset()["support"]
    gender = 0.45 * support.sel(row="gender: male") + 0.55 * support.sel(row="gender: female")
    assert float(abs(gender - support.sel(row="all")).max()) < 0.002
    reported = 0.605 * support.sel(row="ethnicity: Kazakh") + 0.3 * support.sel(row="ethnicity: Russian")
    rest = (support.sel(row="all") - reported) / 0.095
    assert float(rest.min()) > -0.02
    assert float(rest.max()) < 1.02


@pytest.mark.slow
def test_change_between_waves(csto_fit):
    change = published_change(csto_fit)
    summary = change_summary(change)
    # normal approximation: P(decline) .94 to .98 over the range of N, less for the total's lower posterior
    assert 0.88 < summary["p_decline"] < 0.97
    assert 0.35 < summary["p_decline_at_least"] < 0.60
    assert change["change"].dims == ("chain", "draw")
    posterior = csto_fit["posterior"].to_dataset()
    assert float(abs(posterior["support_later"].mean() - 0.35)) < 0.03


@pytest.mark.slow
def test_a_fit_says_what_was_assumed_and_survives_the_disk(csto_fit, tmp_path):
    csto_fit.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    attributes = csto_fit.attrs
    assert attributes["sha256"] == CSTO.sha256
    assert json.loads(attributes["use"])["region: Almaty"] == "exclude"
    assert {"copied rows", "support from means"} <= {f["check"] for f in json.loads(attributes["findings"])}
    assert "variance ratio" in attributes["assumptions"]
    other = table_of("all,all,1,2.00,2.50,")
    with pytest.raises(InputError, match="another table than 't'"):
        support_table(csto_fit, other)
