"""Recodes: every value of the data is spoken for, whatever its dtype."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.recoding import recode

EDUCATION = {"education": {"university": [5, 6], "secondary or less": [1, 2], "~missing": [99]}}
CODES = [5, 1, None, 99, 6, 2]
EXPECTED = ["university", "secondary or less", None, None, "university", "secondary or less"]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([5, 1, np.nan, 99, 6, 2]),
        pd.Series(CODES, dtype="Int64"),
        pd.Series(CODES, dtype="int64[pyarrow]"),
        pd.Series(["5", "1", None, "99", "6", "2"]),
        pd.Series(["5", "1", None, "99", "6", "2"], dtype="string[pyarrow]"),
        pd.Series(CODES, dtype=object),
        pd.Series(CODES, dtype=object).astype("category"),
    ],
    ids=["float", "Int64", "arrow int", "str", "arrow str", "object", "category"],
)
def test_every_dtype(column):
    frame = pd.DataFrame({"education": column, "y": range(6)}).set_axis(list("abcdef"))
    result = recode(frame, EDUCATION)
    assert [None if pd.isna(value) else value for value in result["education"]] == EXPECTED
    assert list(result["education"].cat.categories) == ["university", "secondary or less"]
    assert list(result.index) == list("abcdef")
    assert result["y"].tolist() == list(range(6))
    assert result.attrs["missing"] == {"education": {"99": 1}}
    assert frame["education"].dtype == column.dtype


def test_labels_or_codes_of_a_labelled_column():
    frame = pd.DataFrame({"edu": pd.Categorical(["low", "high", "mid"], categories=["low", "mid", "high"])})
    frame.attrs = {"value_labels": {"edu": {1: "low", 2: "mid", 3: "high", 98: "refused"}, "sex": {1: "m"}}}
    result = recode(frame, {"edu": {"up": [3, "mid"], "down": ["low"], "~missing": [98]}})
    assert result["edu"].tolist() == ["down", "up", "up"]
    assert result.attrs["value_labels"] == {"sex": {1: "m"}}


def test_a_label_among_numbers():
    frame = pd.DataFrame({"age": [20.0, 98.0, 30.0]})
    frame.attrs = {"value_labels": {"age": {98: "refused"}}, "missing": {"age": {"missing": 2, "98": 1}}}
    result = recode(frame, {"age": {"young": [20, 30], "~missing": ["refused"]}})
    assert result["age"].astype(object).fillna("?").tolist() == ["young", "?", "young"]
    assert result.attrs["missing"] == {"age": {"missing": 2, "98": 2}}


def test_booleans_and_an_empty_new_level():
    result = recode(
        pd.DataFrame({"male": [True, False]}), {"male": {"man": [True], "woman": [False], "other": []}}
    )
    assert result["male"].tolist() == ["man", "woman"]
    assert list(result["male"].cat.categories) == ["man", "woman", "other"]


@pytest.mark.parametrize(
    ("column", "groups", "message"),
    [
        ("educ", {}, "recode: there is no column 'educ'. Did you mean 'edu'?"),
        (
            "edu",
            {"low": [1], "high": [3]},
            "recode of 'edu': no list has '2', found in rows 2, 4; add it to a new level's",
        ),
        ("edu", {"low": [1]}, "no list has '2', '3', found in rows 2, 3, 4; add them"),
        ("edu", {"low": [1, 2, 4]}, "or to '~missing' to count as missing. Listed but not in the data: 4."),
        ("edu", {"low": [1, 2], "high": [2, 3]}, "'2' is listed for 'low' and for 'high'; keep one"),
        ("edu", {"low": 1}, "'low' needs a list of old levels, e.g. [1]"),
        ("edu", {"low": "1"}, "'low' needs a list of old levels, e.g. ['1']"),
        ("edu", [1, 2], "needs new levels with lists of old ones, found [1, 2]"),
        (
            "sex",
            {"man": ["mael"], "woman": ["female"]},
            "'mael', listed for 'man', is no level of the column. Did you mean 'male'?",
        ),
    ],
)
def test_refusals(column, groups, message):
    frame = pd.DataFrame({"edu": [1, 2, 3, 2], "sex": pd.Categorical(["male", "female", "male", "male"])})
    with pytest.raises(InputError) as caught:
        recode(frame, {column: groups})
    assert message in str(caught.value)
