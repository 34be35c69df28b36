"""Published tables are read as printed: digits are precision, and bad cells are named."""

from pathlib import Path

import pytest

import bayes_listexp
from bayes_listexp.errors import InputError
from bayes_listexp.published.answers import read_claims, read_published_counts, read_shares
from bayes_listexp.published.printed import parse_printed
from bayes_listexp.published.table import PublishedSupport, parse_published, read_published, total_only

DATA = Path(bayes_listexp.__file__).parent / "data"
HEADER = "group,level,share,mean_control,mean_treatment,support"


@pytest.mark.parametrize(
    ("text", "lower", "upper", "decimals"),
    [
        ("3.0", 2.95, 3.05, 1),
        ("3.00", 2.995, 3.005, 2),
        ("3", 2.5, 3.5, 0),
        ("0.559", 0.5585, 0.5595, 3),
        ("35 %", 0.345, 0.355, 0),
        ("55.9%", 0.5585, 0.5595, 1),
        ("-0.20", -0.205, -0.195, 2),
        ("\N{MINUS SIGN}0.2", -0.25, -0.15, 1),
    ],
)
def test_printed_digits_are_the_precision(text, lower, upper, decimals):
    number = parse_printed(text, where="here")
    assert (number.lower, number.upper) == pytest.approx((lower, upper), abs=1e-12)
    assert number.decimals == decimals
    assert number.text == text


@pytest.mark.parametrize("text", ["", "n.a.", "2,76", "1e-3", "3.", ".5", "1 000", "nan"])
def test_other_text_is_no_printed_number(text):
    with pytest.raises(InputError, match="somewhere.*is not a printed number"):
        parse_printed(text, where="somewhere")


def test_csto_table_as_printed():
    table = read_published(DATA / "csto_table1_2022-09.csv", J=4, N=400)
    assert len(table.rows) == 10
    assert list(table.variables) == ["gender", "education", "ethnicity", "region"]
    assert (table.total.mean_control.value, table.total.support.value) == (2.76, 0.559)
    astana = next(row for row in table.rows if row.level == "Nur-Sultan")
    assert (astana.mean_treatment.half_unit, astana.mean_control.half_unit) == (0.05, 0.005)
    assert astana.name == "region: Nur-Sultan"
    assert len(table.sha256) == 64


def test_the_total_by_itself():
    table = read_published(DATA / "csto_table1_2022-09.csv", J=4, N=400)
    assert total_only(table).rows == (table.total,)
    assert total_only(table).sha256 == table.sha256


def test_empty_optional_cells_stay_empty_and_other_columns_are_named():
    table = parse_published(
        "group,level,mean_control,mean_treatment,share,page\nall,all,2.0,2.5,,7\nx,a,2.0,2.4,0.5,7\n",
        J=3,
        N=100,
        name="t",
    )
    assert table.total.share is None
    assert table.rows[1].support is None
    assert table.unread == ("page",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "all,all,1,2.0,x,0.5",
            r"t\.csv, line 2, column 'mean_treatment', row all: all: 'x' is not a printed",
        ),
        ("all,all,45.0,2.0,2.5,0.5", r"line 2, column 'share': '45.0'; give shares as 0-1"),
        ("all,all,1,2.0,2.5,55.9", r"line 2, column 'support': '55.9' cannot be .* give supports as 0-1"),
        ("all,all,1,2.0,2.5", r"line 2: 5 fields, the header has 6"),
        ("x,a,0.5,2.0,2.5,0.5", r"0 rows with group 'all'"),
        ("all,all,1,2.0,2.5,0.5\nx,a,1,2,3,1\nx,a,1,2,3,1", r"the row 'x: a' appears 2 times"),
        ("all,,1,2.0,2.5,0.5", r"line 2: group 'all', level ''"),
        ("", r"has a header but no rows"),
    ],
)
def test_bad_cells_are_named(rows, message):
    with pytest.raises(InputError, match=message):
        parse_published(f"{HEADER}\n{rows}\n", J=4, N=400, name="t", source="t.csv")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("group,level,mean_control", "no column 'mean_treatment'; found group, level, mean_control"),
        (f"{HEADER},support", "column 'support' appears twice"),
        ("", "found nothing"),
    ],
)
def test_bad_headers_are_named(header, message):
    with pytest.raises(InputError, match=message):
        parse_published(f"{header}\n", J=4, N=400, name="t")


def test_arm_sizes_come_in_pairs_and_are_whole():
    header = "group,level,mean_control,mean_treatment,n_control,n_treatment"
    table = parse_published(f"{header}\nall,all,2.0,2.5,51,49\n", J=3, N=100, name="t")
    assert (table.total.n_control, table.total.n_treatment) == (51, 49)
    with pytest.raises(InputError, match="give both n_control and n_treatment"):
        parse_published(f"{header}\nall,all,2.0,2.5,51,\n", J=3, N=100, name="t")
    with pytest.raises(InputError, match=r"column 'n_control': '50.5'; an arm size is a positive whole"):
        parse_published(f"{header}\nall,all,2.0,2.5,50.5,49\n", J=3, N=100, name="t")


@pytest.mark.parametrize(("J", "N"), [(0, 400), (4, 1)])
def test_design_must_be_possible(J, N):
    with pytest.raises(InputError, match=f"J = {J}, N = {N}"):
        parse_published(f"{HEADER}\nall,all,1,2.0,2.5,0.5\n", J=J, N=N, name="t")


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_published(tmp_path / "absent.csv", J=4, N=400)
    (tmp_path / "latin.csv").write_bytes(b"group\xe9,level\n")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_published(tmp_path / "latin.csv", J=4, N=400)


def test_published_support_of_another_wave():
    november = PublishedSupport("35 %", N=(350, 1500), label="2022-11")
    assert (november.printed.lower, november.printed.upper) == pytest.approx((0.345, 0.355))
    assert november.respondents == (350, 1500)
    assert PublishedSupport("0.35", N=400, label="x").respondents == (400, 400)
    with pytest.raises(InputError, match="'35' is not a share"):
        PublishedSupport("35", N=400, label="x")
    with pytest.raises(InputError, match="give a positive number or a range"):
        PublishedSupport("35 %", N=(500, 400), label="x")


def test_shares_and_claims():
    shares = read_shares(DATA / "cab_2017_2019.csv")
    assert len(shares) == 15
    assert shares[0].name == "opinion of Russia: very favorable"
    assert shares[0].share.half_unit == 0.005
    (claim,) = read_claims(DATA / "cab_2017_2019_claims.csv")
    assert set(claim.rows) <= {row.name for row in shares}


def test_counts_are_tidy_numbers():
    counts = read_published_counts(DATA / "published_counts.csv")
    assert counts[["n_control_items", "item_count", "n"]].dtypes.eq("int64").all()
    gender = counts[counts["study"] == "eady2017-gender"]
    assert gender["n"].sum() == 22_372  # the size of the study as published
    assert set(counts.loc[counts["study"] == "mis1994-affirmative-action", "direct"]) == {""}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("s,all,,3,placebo,1,5", r"column 'arm': 'placebo'; write control or treatment"),
        ("s,all,,3,control,one,5", r"line 3, column 'item_count': 'one' is not a number"),
        ("s,all,,3,control,0,inf", r"line 3, column 'n': 'inf' is not a number"),
        ("s,all,,3,control,0,9", r"line 3: this study, group, direct, arm and item_count was given before"),
    ],
)
def test_bad_counts_are_named(tmp_path, row, message):
    path = tmp_path / "counts.csv"
    path.write_text(f"study,group,direct,n_control_items,arm,item_count,n\ns,all,,3,control,0,4\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_published_counts(path)
