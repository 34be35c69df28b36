"""A study from a frame or from counts: what is accepted, what is refused with which words, and that nothing is lost."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment


def frame(**changes):
    base = pd.DataFrame(
        {
            "y": [0, 1, 2, 3, 1, 2, 3, 4],
            "treat": [0, 0, 0, 0, 1, 1, 1, 1],
            "sex": ["f", "m"] * 4,
            "age": [20.0, 30, 40, 50, 60, 20, 30, 40],
        }
    )
    return base.assign(**changes)


def study(data=None, **arguments):
    return ListExperiment.from_frame(
        frame() if data is None else data, **({"answer": "y", "arm": "treat", "J": 3} | arguments)
    )


def test_cells_count_every_respondent():
    cells = study().cells(["sex"])
    assert cells.frame["sex"].tolist() == ["f", "m"]
    np.testing.assert_array_equal(cells.control, [[1, 0, 1, 0], [0, 1, 0, 1]])
    np.testing.assert_array_equal(cells.treatment, [[0, 1, 0, 1, 0], [0, 0, 1, 0, 1]])
    assert cells.n.sum() == 8


def test_row_order_does_not_matter():
    shuffled = study(frame().sample(frac=1, random_state=3))
    for a, b in zip(study().cells(["sex", "age"])[1:4], shuffled.cells(["sex", "age"])[1:4], strict=True):
        np.testing.assert_array_equal(a, b)


def test_counts_and_rows_give_the_same_cells():
    rows = frame()
    counts = rows.groupby(["y", "treat", "sex"], as_index=False).size()
    tabulated = ListExperiment.from_counts(counts, answer="y", arm="treat", n="size", J=3, covariates=["sex"])
    np.testing.assert_array_equal(tabulated.cells(["sex"]).control, study().cells(["sex"]).control)
    assert tabulated.n == 8


@pytest.mark.parametrize(
    "values", [[False, True], ["control", "treatment"], ["Control", "Treatment"], [0.0, 1.0], ["0", "1"]]
)
def test_arms_read_without_help(values):
    data = frame(treat=np.repeat(np.array(values, dtype=object), 4))
    np.testing.assert_array_equal(study(data).cells().treatment, study().cells().treatment)


@pytest.mark.parametrize("dtype", ["Int64", "float64", "string", "category", "int64[pyarrow]"])
def test_answers_of_any_dtype(dtype):
    data = frame(y=frame()["y"].astype(dtype))
    np.testing.assert_array_equal(study(data).cells().control, study().cells().control)


REFUSED = [
    (
        "answer above J in the control arm",
        frame(y=[0, 1, 2, 4, 1, 2, 3, 4]),
        {},
        r"column 'y', row 4: with J = 3 the control arm answers 0 to 3, found 4",
    ),
    (
        "answer above J + 1 in the treatment arm",
        frame(y=[0, 1, 2, 3, 1, 2, 3, 9]),
        {},
        r"column 'y', row 8: with J = 3 the treatment arm answers 0 to 4, found 9",
    ),
    ("negative answer", frame(y=[-1, 1, 2, 3, 1, 2, 3, 4]), {}, r"row 1: .* found -1"),
    (
        "fractional answer",
        frame(y=[0, 1.5, 2, 3, 1, 2, 3, 4]),
        {},
        r"column 'y', row 2: an answer is a whole number .*1\.5",
    ),
    (
        "text answer",
        frame(y=["0", "many", "2", "3", "1", "2", "3", "4"]),
        {},
        r"column 'y', row 2: not a number, found 'many'",
    ),
    ("one arm", frame().iloc[:4], {}, r"no respondent with an answer is in the treatment arm"),
    (
        "arm 1/2",
        frame(treat=[1, 1, 1, 1, 2, 2, 2, 2]),
        {},
        r"column 'treat': the arm must have two values .*found 1, 2",
    ),
    ("three arms", frame(treat=[0, 0, 0, 2, 1, 1, 1, 1]), {}, r"column 'treat': the arm must have two values"),
    ("wrong mapping", frame(), {"arms": (1, 2)}, r"column 'treat', rows 1, 2, 3, 4: found 0 beside arms = \(1, 2\)"),
    (
        "unknown column",
        frame(),
        {"answer": "Y"},
        r"column 'Y' \(answer\) is not in the data; the columns are: y, treat",
    ),
    ("unknown covariate", frame(), {"covariates": ["income"]}, r"column 'income' \(covariates\) is not in the data"),
    ("J too small", frame(), {"J": 0}, r"J = 0: the number of control items must be a whole number of at least 1"),
    (
        "negative weight",
        frame(w=[1, 1, 1, -2, 1, 1, 1, 1]),
        {"weights": "w"},
        r"column 'w', row 4: a weight is missing, infinite or neg",
    ),
    (
        "missing weight",
        frame(w=[1, 1, np.nan, 1, 1, 1, 1, 1]),
        {"weights": "w"},
        r"column 'w', row 3: a weight is missing",
    ),
    (
        "duplicated id",
        frame(id=[1, 2, 3, 4, 5, 6, 7, 7]),
        {"ids": "id"},
        r"column 'id', rows 7, 8: an id is missing or occurs twice",
    ),
    ("no rows", frame().iloc[:0], {}, "the data have no rows"),
    (
        "infinite covariate",
        frame(age=[20.0, np.inf, 40, 50, 60, 20, 30, 40]),
        {},
        r"column 'age', row 2: an infinite value",
    ),
]


@pytest.mark.parametrize(
    ("data", "arguments", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused_with_the_rows(data, arguments, message):
    with pytest.raises(InputError, match=message):
        study(data, **arguments)


def test_missing_is_counted_by_arm_and_reason():
    data = frame(
        y=[0, np.nan, 2, 3, np.nan, 2, 3, 4],
        treat=[0, 0, 0, np.nan, 1, 1, 1, 1],
        sex=["f", "m", None, "m", "f", "m", "f", "m"],
    )
    made = study(data)
    assert made.exclusions.values.tolist() == [["answer missing", "y", 1, 1, 0], ["arm missing", "treat", 0, 0, 1]]
    cells = made.cells(["sex"])
    assert cells.exclusions.values.tolist()[-1] == ["covariate missing", "sex", 1, 0, 0]
    assert cells.n.sum() + cells.exclusions[["control", "treatment", "arm unknown"]].to_numpy().sum() == len(data)


def test_missing_as_a_level():
    data = frame(sex=["f", "m", None, "m", "f", "m", "f", "m"])
    cells = study(data, missing="level").cells(["sex"])
    assert "(missing)" in cells.frame["sex"].tolist()
    assert cells.n.sum() == 8
    with pytest.raises(InputError, match=r"column 'age', row 1: missing numbers cannot be a level"):
        study(frame(age=[np.nan, 30, 40, 50, 60, 20, 30, 40]), missing="level").cells(["age"])


@pytest.mark.parametrize(
    ("n", "message"), [([1, -1], "row 2: a count must be"), ([1, 0.5], "row 2"), ([1, None], "row 2")]
)
def test_bad_counts_are_refused(n, message):
    counts = pd.DataFrame({"y": [0, 1], "treat": [0, 1], "n": n})
    with pytest.raises(InputError, match=message):
        ListExperiment.from_counts(counts, answer="y", arm="treat", n="n", J=1)


def test_one_control_item():
    made = ListExperiment.from_frame(
        pd.DataFrame({"y": [0, 1, 0, 1, 2], "t": [0, 0, 1, 1, 1]}), answer="y", arm="t", J=1
    )
    assert made.cells().treatment.tolist() == [[1, 1, 1]]


def test_hash_follows_the_data_that_are_used():
    same = study().source["sha256"]
    assert study(frame(other=1)[["y", "treat", "sex", "age"]]).source["sha256"] == same
    assert study(frame(y=[1, 1, 2, 3, 1, 2, 3, 4])).source["sha256"] != same
