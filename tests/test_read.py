"""Files in: what each format keeps, and what every kind of broken file says."""

import gzip
import hashlib

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.read import read_population, read_survey

SURVEY = pd.DataFrame(
    {
        "y": [0.0, 2.0, 99.0, np.nan, 4.0],
        "sex": [1.0, 2.0, 2.0, 1.0, 1.0],
        "age": [31.0, 98.0, 45.0, 27.0, 60.0],
        "region": ["north", "south", "", "refused", "south"],
    }
)
SPSS = {
    "column_labels": {"y": "How many of these?"},
    "variable_value_labels": {
        "y": {99.0: "refused"},
        "sex": {1.0: "male", 2.0: "female", 3.0: "other"},
        "age": {98.0: "98 or older"},
    },
    "missing_ranges": {"y": [{"lo": 97, "hi": 99}], "region": ["refused"]},
    "variable_measure": {"sex": "nominal"},
}


@pytest.fixture
def sav(tmp_path):
    pyreadstat.write_sav(SURVEY, tmp_path / "s.sav", **SPSS)
    return tmp_path / "s.sav"


@pytest.fixture
def dta(tmp_path):
    frame = pd.DataFrame(
        {"y": [0, 2, "a", "b", None], "edu": [2, 1, 3, 1, 2], "region": ["n", "s", "", "s", "n"]}
    )
    pyreadstat.write_dta(
        frame,
        tmp_path / "s.dta",
        column_labels={"edu": "Education"},
        missing_user_values={"y": ["a", "b"]},
        variable_value_labels={"y": {"a": "refused"}, "edu": {1: "low", 2: "mid", 3: "high"}},
    )
    return tmp_path / "s.dta"


def csv_file(tmp_path, content, name="s.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        read_survey(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- what is kept


def test_spss_labels_and_declared_missing(sav):
    frame = read_survey(sav)
    assert list(frame.columns) == list(SURVEY.columns)
    assert frame["sex"].tolist() == ["male", "female", "female", "male", "male"]
    assert list(frame["sex"].cat.categories) == ["male", "female", "other"]
    assert not frame["sex"].cat.ordered
    assert frame["y"].dtype == "float64"
    np.testing.assert_array_equal(frame["y"], [0, 2, np.nan, np.nan, 4])
    assert frame["age"].tolist() == SURVEY["age"].tolist()  # one label of many values: numbers stay
    assert frame["region"].isna().tolist() == [False, False, True, True, False]
    assert frame.attrs["missing"] == {
        "y": {"99 refused": 1, "missing": 1},
        "region": {"blank": 1, "refused": 1},
    }
    assert frame.attrs["value_labels"]["age"] == {98: "98 or older"}
    assert frame.attrs["variable_labels"] == {"y": "How many of these?"}


def test_stata_labels_and_extended_missing(dta):
    frame = read_survey(dta)
    assert frame["edu"].tolist() == ["mid", "low", "high", "low", "mid"]
    assert list(frame["edu"].cat.categories) == ["low", "mid", "high"]
    assert frame["edu"].cat.ordered
    np.testing.assert_array_equal(frame["y"].to_numpy(float), [0, 2, np.nan, np.nan, np.nan])
    assert frame["y"].dtype == "float64"
    assert frame.attrs["missing"] == {"y": {".a refused": 1, ".b": 1, "missing": 1}, "region": {"blank": 1}}
    assert frame.attrs["variable_labels"] == {"edu": "Education"}


def test_a_frame_that_pandas_wrote_for_stata(tmp_path):
    path = tmp_path / "p.dta"
    frame = pd.DataFrame(
        {"wave": pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True), "y": [1, 3]}
    )
    frame.to_stata(path, write_index=False)
    back = read_survey(path)
    assert back["wave"].tolist() == ["b", "a"]
    assert list(back["wave"].cat.categories) == ["b", "a"]
    assert back["y"].tolist() == [1, 3]


def test_codes_keeps_numbers_of_a_fully_labelled_column(sav):
    assert read_survey(sav, codes=["sex"])["sex"].tolist() == SURVEY["sex"].tolist()
    assert "there is no column 'sexx' for codes=. Did you mean 'sex'?" in refusal(sav, codes=["sexx"])


def test_labels_that_are_the_codes_leave_numbers(tmp_path):
    path = tmp_path / "s.sav"
    pyreadstat.write_sav(pd.DataFrame({"y": [0.0, 1.0]}), path, variable_value_labels={"y": {0: "0", 1: "1"}})
    assert read_survey(path)["y"].tolist() == [0.0, 1.0]


def test_one_label_for_two_codes_stays_two_levels(tmp_path):
    path = tmp_path / "s.sav"
    pyreadstat.write_sav(
        pd.DataFrame({"g": [1.0, 7.0, 2.0]}),
        path,
        variable_value_labels={"g": {1: "other", 2: "x", 7: "other"}},
    )
    assert read_survey(path)["g"].tolist() == ["other (1)", "other (7)", "x"]


def test_parquet_keeps_dtypes_and_a_named_index(tmp_path):
    path = tmp_path / "s.parquet"
    frame = pd.DataFrame(
        {
            "region": ["n", "s", "n"],
            "y": pd.array([1, None, 3], dtype="Int64"),
            "edu": pd.Categorical(["low", "high", "low"], categories=["low", "high"], ordered=True),
        }
    )
    frame.set_index("region").to_parquet(path)
    back = read_survey(path)
    assert back["region"].tolist() == ["n", "s", "n"]
    assert back["y"].dtype == "Int64"
    assert list(back["edu"].cat.categories) == ["low", "high"]
    assert back.attrs["missing"] == {"y": {"missing": 1}}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_separators_and_missing(tmp_path, mark):
    lines = ["y;region", "1;a", "NA;b", ".;None", ";n/a", '3;"c,d"']
    path = csv_file(tmp_path, "\ufeff" + "\r\n".join(lines).replace(";", mark) + "\r\n\r\n")
    frame = read_survey(path)
    np.testing.assert_array_equal(frame["y"], [1, np.nan, np.nan, np.nan, 3])
    assert frame["region"].tolist() == [
        "a",
        "b",
        "None",
        "n/a",
        "c,d",
    ]  # only the documented words are missing
    assert frame.attrs["missing"] == {"y": {"missing": 3}}


def test_csv_compressed_encoded_and_with_line_breaks_in_quotes(tmp_path):
    content = 'item,y\n"Алматы\nгород",1\nАстана,2\n'.encode("cp1251")
    path = csv_file(tmp_path, gzip.compress(content), "s.csv.gz")
    assert read_survey(path, encoding="cp1251")["item"].tolist() == ["Алматы\nгород", "Астана"]


def test_source(tmp_path):
    path = csv_file(tmp_path, "y,w\n1,2\n3,4\n")
    digest = hashlib.sha256(b"y,w\n1,2\n3,4\n").hexdigest()
    assert read_survey(path).attrs["source"] == {"name": "s.csv", "sha256": digest, "rows": 2}


# --- what is refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty (0 bytes); export or copy it again"),
        (b"\n\n", "the file holds no text"),
        (b"y,treat\n", "2 columns and 0 rows; export it again with the data"),
        (b"y,treat,y\n1,0,1\n", "more than one column is called 'y'; give each its own name"),
        (b"y,treat\n1,0\n2\n", "line 3 has 1 fields, the header has 2. Mend or remove the line"),
        (b"y,treat\n1,0,5\n", "line 2 has 3 fields, the header has 2"),
        (b"y,treat\n1,0\n\n2,1\n", "line 3 has 0 fields"),
        (
            b'y,treat\n1,"0\n2,1\n',
            "cannot be split into fields (unexpected end of data); check its quotation marks",
        ),
        (b"y;a,b\n1;2\n", "as many commas as semicolons; put its names in quotation marks"),
        (
            "y,city\n1,Алматы\n".encode("cp1251"),
            "line 2, byte 10 of the file (0xc0) is not UTF-8 text. Save the file as UTF-8",
        ),
        ("y,city\n1,2\n".encode("utf-16"), "line 1, byte 1 of the file (0xff) is not UTF-8 text"),
        ("y,city\n1,2\n".encode("utf-16-le"), "line 1 holds a zero byte"),
        (bytes(range(256)) * 4, "is not UTF-8 text"),
    ],
)
def test_broken_csv(tmp_path, content, message):
    assert message in refusal(csv_file(tmp_path, content))


def test_unknown_encoding(tmp_path):
    assert "encoding='utf8000' is not known" in refusal(csv_file(tmp_path, "y\n1\n"), encoding="utf8000")


def test_broken_gzip(tmp_path):
    whole = gzip.compress(b"y,treat\n" + b"1,0\n" * 50)
    for content in (b"y,treat\n1,0\n", whole[: len(whole) // 2], whole[:20] + b"\xff" * 5 + whole[25:]):
        assert "the compressed file is damaged" in refusal(csv_file(tmp_path, content, "s.csv.gz"))


@pytest.mark.parametrize("kind", ["SPSS", "Stata", "parquet"])
def test_truncated_and_foreign_files(tmp_path, kind, sav, dta):
    SURVEY.to_parquet(tmp_path / "s.parquet")
    whole = {"SPSS": sav, "Stata": dta, "parquet": tmp_path / "s.parquet"}[kind]
    content = whole.read_bytes()
    foreign = bytes(range(256)) * 20
    path = tmp_path / f"broken{whole.suffix}"
    for broken in (content[:3], content[:100], content[: len(content) // 2], foreign):
        path.write_bytes(broken)
        message = refusal(path)
        assert f"the {kind} file is damaged" in message or f"the end of the {kind} file is missing" in message
        assert "again" in message


def test_a_stata_file_that_lost_its_labels(tmp_path, dta):
    path = tmp_path / "broken.dta"
    path.write_bytes(dta.read_bytes()[:-100])
    assert "its end, with the labels, is cut off; copy it again" in refusal(path)


def test_absent_unknown_and_unopenable(tmp_path):
    csv_file(tmp_path, "y\n1\n", "survey.csv")
    assert "there is no such file. Did you mean 'survey.csv'?" in refusal(tmp_path / "survy.csv")
    assert "check name and folder" in refusal(tmp_path / "nowhere" / "survey.csv")
    assert "a '.xlsx' file cannot be read here; save the data as one of .csv" in refusal(tmp_path / "s.xlsx")
    (tmp_path / "folder.csv").mkdir()
    assert "the file cannot be opened" in refusal(tmp_path / "folder.csv")


def test_files_without_rows(tmp_path):
    SURVEY.head(0).to_parquet(tmp_path / "s.parquet")
    pyreadstat.write_sav(SURVEY.head(0), tmp_path / "s.sav")
    pyreadstat.write_dta(SURVEY.head(0), tmp_path / "s.dta")
    for suffix in ("parquet", "sav", "dta"):
        assert "4 columns and 0 rows" in refusal(tmp_path / f"s.{suffix}")


# --- population frames


def test_population_frame(tmp_path):
    path = csv_file(tmp_path, "region,sex,people\nnorth,m,10\nnorth,f,12.5\nsouth,m,0\n")
    frame = read_population(path, count="people")
    assert list(frame.columns) == ["region", "sex", "N"]
    assert frame["N"].tolist() == [10, 12.5, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("region,n\na,1\n", "there is no column 'N' with the number of people; name it with count="),
        ("N\n1\n", "column 'N' is the only one"),
        ("region,N\na,1\nb,-2\n", "column 'N', row 2: a number of people is at least 0, found -2"),
        ("region,N\na,1\nb,many\n", "column 'N', row 2: a number of people is at least 0, found many"),
        ("region,N\na,\nb,inf\n", "column 'N', rows 1, 2: a number of people is at least 0, found nan, inf"),
        ("region,N\na,0\n", "column 'N' sums to 0"),
        (
            "region,N\na,1\nNA,2\n",
            "column 'region', row 2: the level is missing (an empty field, NA, NaN and . count",
        ),
        (
            "region,sex,N\na,m,1\na,f,2\na,m,3\n",
            "rows 1, 3: a cell has more than one row, first region = a, sex = m",
        ),
    ],
)
def test_broken_population_frames(tmp_path, content, message):
    path = csv_file(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_population(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_second_count_column_is_not_overwritten(tmp_path):
    with pytest.raises(InputError, match="column 'N' would be overwritten by the count in 'people'"):
        read_population(csv_file(tmp_path, "region,N,people\na,1,2\n"), count="people")
