"""The audit finds what is wrong with a table, and nothing in a sound one."""

from pathlib import Path

import numpy as np
import pytest

import bayes_listexp
from bayes_listexp.published.answers import (
    Claim,
    PublishedShare,
    read_claims,
    read_published_counts,
    read_shares,
)
from bayes_listexp.published.audit import audit
from bayes_listexp.published.audit_answers import audit_counts, audit_shares
from bayes_listexp.published.granularity import arm_size_pairs, group_sizes, totals
from bayes_listexp.published.printed import parse_printed
from bayes_listexp.published.table import parse_published, read_published

DATA = Path(bayes_listexp.__file__).parent / "data"


def table_of(*rows, J=4, N=400, header="group,level,share,mean_control,mean_treatment,support"):
    return parse_published("\n".join([header, *rows]), J=J, N=N, name="t")


def failures(findings, check=None):
    return [f for f in findings if not f.passed and check in (None, f.check)]


@pytest.fixture(scope="module")
def csto():
    return audit(read_published(DATA / "csto_table1_2022-09.csv", J=4, N=400))


def test_csto_supports_that_the_means_cannot_give(csto):
    found = {f.rows: f.size for f in failures(csto, "support from means")}
    # |printed - difference| less half a unit of the support (.0005) and of both means (.005 each)
    assert found == {
        ("ethnicity: Kazakh",): pytest.approx(0.0425),
        ("region: Almaty",): pytest.approx(0.2695),
        ("region: all others",): pytest.approx(0.0755),
    }
    (kazakh,) = [f for f in csto if f.rows == ("ethnicity: Kazakh",)]
    assert "42.3 %" in kazakh.text
    assert "37.0 %" in kazakh.text


def test_csto_copied_row(csto):
    (copy,) = failures(csto, "copied rows")
    assert copy.rows == ("region: Almaty", "region: all others")
    assert copy.size == pytest.approx(0.636 - 0.270)


def test_csto_groups_that_do_not_give_the_total(csto):
    found = {f.text.split(":")[0] + f.text.split(":")[1][:9]: f for f in failures(csto, "groups give total")}
    region = found["region supports"]
    assert "50.4 %" in region.text
    assert "unreported 1.2 %" in region.text
    # upper bound by hand: all shares at their lower end, supports at their upper end, the rest at 1
    upper = 1 + sum((w - 0.0005) * (s + 0.0005 - 1) for w, s in ((0.218, 0.27), (0.13, 0.292), (0.64, 0.636)))
    assert region.size == pytest.approx(0.5585 - upper, abs=1e-12)
    assert "gender supports" not in found


def test_failures_come_first_and_name_rows(csto):
    passed = [f.passed for f in csto]
    assert passed == sorted(passed)
    assert all(f.rows and f.size > 0 for f in failures(csto))
    assert {"possible means", "floor and ceiling", "granularity", "group shares"} <= {f.check for f in csto}


def test_granularity_agrees_with_the_scrutiny_package():
    # README of R's scrutiny: grim_map(pigs1) and grim_map(pigs2, percent = TRUE)
    pigs1 = {
        ("7.22", 32): True,
        ("4.74", 25): False,
        ("5.23", 29): False,
        ("2.57", 24): False,
        ("6.77", 27): False,
        ("2.68", 28): True,
        ("7.01", 29): False,
        ("7.38", 26): True,
        ("3.14", 27): False,
        ("6.89", 31): False,
        ("5.00", 25): True,
        ("0.24", 28): False,
    }
    pigs2 = {(f"{x} %", 150): x == "54.0" for x in ("67.4", "54.2", "54.0", "69.8", "68.1", "55.4")}
    for (text, n), expected in (pigs1 | pigs2).items():
        assert totals(parse_printed(text, where=""), np.array([n])).possible[0] == expected, text


def test_granularity_never_excludes_the_truth():
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 400, 500)
    sums = np.array([rng.integers(0, 5 * n + 1) for n in sizes])
    for places in (0, 1, 2, 3):
        for total, n in zip(sums, sizes, strict=True):
            found = totals(parse_printed(f"{total / n:.{places}f}", where=""), np.array([n]))
            assert found.lowest[0] <= total <= found.highest[0]


def test_group_and_arm_sizes():
    assert group_sizes(400, parse_printed("0.450", where="")) == (180, 180)
    assert group_sizes(1000, parse_printed("0.45", where="")) == (445, 455)
    control, treatment = arm_size_pairs(52, 52)
    assert set(control + treatment) == {52}
    assert (control.min(), control.max()) == (14, 38)  # 26 -+ 12: central 99.9 % of 52 fair coins


def test_impossible_arm_size_is_found():
    header = "group,level,share,mean_control,mean_treatment,n_control,n_treatment"
    rows = ["all,all,1.00,2.50,2.90,20,20"]
    assert not failures(audit(table_of(*rows, N=40, header=header)))
    (finding,) = failures(audit(table_of("all,all,1.00,2.51,2.90,20,20", N=40, header=header)))
    assert (finding.check, finding.severity) == ("granularity", "contradiction")
    (finding,) = failures(audit(table_of("all,all,1.00,2.50,2.90,20,30", N=40, header=header)))
    assert (finding.check, finding.size) == ("arm sizes", 10)


def test_large_arms_cannot_be_told_apart():
    texts = [f.text for f in audit(table_of("all,all,1.00,2.51,2.90,0.39")) if f.check == "granularity"]
    assert texts == ["all: arms so large that every printed mean is possible: cannot discriminate."]


def test_impossible_means():
    found = failures(audit(table_of("all,all,1.0,4.20,5.10,0.90")), "possible means")
    assert [f.size for f in found] == pytest.approx([0.195, 0.095])


def test_support_outside_the_unit_interval():
    (printed,) = failures(audit(table_of("all,all,1.0,2.40,2.30,-0.100")), "support within 0-1")
    assert printed.size == pytest.approx(0.0995)
    (means,) = failures(audit(table_of("all,all,1.0,2.40,2.30,")), "support within 0-1")
    assert means.size == pytest.approx(0.09)


def test_shares_above_one():
    (finding,) = failures(audit(table_of("all,all,1.0,2.40,2.90,", "x,a,0.60,2.4,2.9,", "x,b,0.45,2.4,2.9,")))
    assert finding.check == "group shares"
    assert finding.size == pytest.approx(0.04)  # 1.05 less half a unit of either share


def test_crowded_ceiling_and_floor():
    (ceiling,) = failures(audit(table_of("all,all,1.0,3.60,4.10,")))
    assert "at least 60.0 % and at most 90.0 % answered all 4" in ceiling.text
    (floor,) = failures(audit(table_of("all,all,1.0,0.40,0.90,")))
    assert "at least 60.0 % and at most 90.0 % answered no control item" in floor.text


def test_exact_arm_sizes_make_the_total_arithmetic():
    header = "group,level,share,mean_control,mean_treatment,n_control,n_treatment"
    rows = ["x,a,0.50,2.00,2.50,90,110", "x,b,0.50,3.00,3.50,110,90"]
    # (90 * 2 + 110 * 3) / 200 = 2.55 and (110 * 2.5 + 90 * 3.5) / 200 = 2.95: unequal arms explain a DIM of
    # .4
    assert not failures(audit(table_of("all,all,1.00,2.55,2.95,200,200", *rows, header=header)))
    found = failures(audit(table_of("all,all,1.00,2.50,3.00,200,200", *rows, header=header)))
    assert [(f.check, f.severity) for f in found] == [("groups give total", "contradiction")] * 2


def test_text_against_table():
    table = read_published(DATA / "csto_table1_2022-09.csv", J=4, N=400)
    claims = [
        Claim(("all",), parse_printed("55 %", where="")),
        Claim(("nobody",), parse_printed("1 %", where="")),
    ]
    wrong, unknown = failures(audit(table, claims=claims), "text against table")
    assert wrong.size == pytest.approx(0.0035)  # 55.9 - 55 less half a unit of both
    assert "no row of the table" in unknown.text


def sound_table(rng):
    """Rounded means of simulated answers: two variables, one with a level that is not printed."""
    N, J = int(rng.choice([200, 400, 1500])), int(rng.choice([3, 4]))
    gender, region = rng.choice(2, N), rng.choice(3, N, p=[0.55, 0.35, 0.1])
    count = rng.binomial(J, np.array([0.45, 0.55])[gender] + 0.05 * region)
    treated = rng.random(N) < 0.5
    answer = count + treated * (rng.random(N) < 0.4 + 0.1 * gender + 0.05 * region)
    places, rows = int(rng.choice([1, 2, 3])), []
    for group, level, inside in (
        ("all", "all", np.ones(N, bool)),
        ("gender", "a", gender == 0),
        ("gender", "b", gender == 1),
        ("region", "c", region == 0),
        ("region", "d", region == 1),
    ):
        control, treatment = answer[inside & ~treated].mean(), answer[inside & treated].mean()
        rows.append(
            f"{group},{level},{inside.mean():.3f},{control:.{places}f},{treatment:.{places}f},"
            f"{treatment - control:.3f}"
        )
    return table_of(*rows, J=J, N=N)


def test_sound_tables_raise_no_false_alarm():
    rng = np.random.default_rng(20)
    tables = [failures(audit(sound_table(rng))) for _ in range(150)]
    # A difference of means outside 0-1 by chance is a fact about the table, not a false alarm.
    alarms = [f for found in tables for f in found if f.check != "support within 0-1"]
    # Unequal composition of the arms may look like a wrong total in at most 5 % of tables, and is then a
    # warning.
    assert {(f.check, f.severity) for f in alarms} <= {("groups give total", "warning")}
    assert len(alarms) <= 0.05 * len(tables)


def test_a_changed_digit_in_a_sound_table_is_found():
    rng = np.random.default_rng(21)
    for _ in range(20):
        table = sound_table(rng)
        total = table.total
        wrong = total._replace(support=parse_printed(f"{total.support.value + 0.25:.3f}", where=""))
        broken = type(table)(table.name, table.J, table.N, (wrong, *table.rows[1:]))
        assert failures(audit(broken), "support from means")


def test_answer_shares_must_add_up():
    shares = read_shares(DATA / "cab_2017_2019.csv")
    assert not failures(audit_shares(shares))
    (claim,) = failures(audit_shares(shares, claims=read_claims(DATA / "cab_2017_2019_claims.csv")))
    assert claim.size == pytest.approx(0.005)  # 89 against 87, less half a unit of three numbers
    wrong = [
        PublishedShare("q", str(i), parse_printed(text, where="")) for i, text in enumerate(("0.50", "0.40"))
    ]
    (finding,) = failures(audit_shares(wrong))
    assert finding.size == pytest.approx(0.09)


def test_sound_counts_pass_and_broken_counts_are_named():
    counts = read_published_counts(DATA / "published_counts.csv")
    assert not failures(audit_counts(counts))
    broken = counts.astype({"n": float})
    broken.loc[3, "item_count"] = 4  # control arm, J = 3
    broken.loc[5, "n"] = -2
    broken.loc[6, "n"] = 1.5
    found = failures(audit_counts(broken))
    assert {f.check for f in found} == {"whole counts", "possible answers"}
    assert any("row 3: kuklinski1997-black-family, south, control arm, J = 3" in f.text for f in found)
    one_arm = counts[~((counts["study"] == "eady2017-gender") & (counts["arm"] == "treatment"))]
    assert {f.rows for f in failures(audit_counts(one_arm))} == {
        ("eady2017-gender, all, no",),
        ("eady2017-gender, all, yes",),
    }
