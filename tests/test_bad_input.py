"""Small inputs that once ended in an exception of a library, a warning or a wrong result; found by tests/test_properties.py."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bayes_listexp import (
    InputError,
    ListExperiment,
    PopulationFrame,
    audit,
    design_checks,
    difference_in_means,
    frame_from_survey,
    linear_regression,
    poststratified_means,
    read_published,
    scan_survey,
    tabulate,
)
from bayes_listexp.formulas import design
from bayes_listexp.published.table import parse_published
from bayes_listexp.syntax import variables


def survey(**columns) -> pd.DataFrame:
    return pd.DataFrame({"y": [0, 1, 2, 3], "t": [0, 1, 0, 1], **columns})


def study(frame: pd.DataFrame, **more) -> ListExperiment:
    return ListExperiment.from_frame(frame, answer="y", arm="t", J=3, **more)


def refused(words: str):
    return pytest.raises(InputError, match=re.escape(words))


COLLECTIONS = {
    "list": [[1], "a", "b", "c"],
    "array": [np.array([1, 2]), "a", "b", "c"],
    "complex": [1j, 1, 2, 3],
    "surrogate": ["\ud800", "a", "b", "c"],
    "level": pd.Categorical([(1,), (2,), (1,), (2,)]),
}


@pytest.mark.parametrize("values", COLLECTIONS.values(), ids=COLLECTIONS)
@pytest.mark.parametrize("column", ["x", "y", "t"])
def test_values_that_no_survey_has_are_refused_with_their_column(column, values):
    with refused(f"column '{column}'"):
        study(survey(x=0).assign(**{column: pd.Series(values, dtype=object)}))


def test_a_column_of_complex_numbers_is_refused():
    with refused("column 'x' holds complex numbers"):
        study(survey(x=np.array([1j, 1, 2, 3])))


@pytest.mark.parametrize("arms", [1, (), (0,), (0, 1, 2), "ab"])
def test_arms_are_two_values(arms):
    with refused("give two values of column 't'"):
        study(survey(), arms=arms)


@pytest.mark.parametrize("covariates", ["x", [["x"]], [1]])
def test_covariates_are_a_list_of_names(covariates):
    with refused("covariates"):
        study(survey(x=1), covariates=covariates)


def test_columns_have_one_name_each_which_is_a_text():
    with refused("its name is no text"):
        study(survey().assign(**{"x": 1}).rename(columns={"x": 1}))
    levels = survey()
    levels.columns = pd.MultiIndex.from_product([levels.columns, ["x"]])
    with refused("names of 2 levels"):
        study(levels)


@pytest.mark.parametrize("name", ["se", "estimate", "n_control"])
def test_a_column_to_group_by_is_told_apart_from_those_of_the_result(name):
    with refused(f"column '{name}' has the name of a column of the result"):
        difference_in_means(study(survey(**{name: ["a", "b", "a", "b"]})), by=name)


@pytest.mark.parametrize("weight", [1e308, 1e-300])
def test_weights_that_cannot_be_added_up_are_refused(weight):
    with refused("cannot be added up"):
        study(survey(w=weight), weights="w")


def test_a_message_shows_the_beginning_of_a_long_value():
    with pytest.raises(InputError) as error:
        study(survey().assign(y=["a" * 10_000, 1, 2, 3]))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("n", [2**62, 10**16])
def test_more_respondents_than_can_be_counted_are_refused(n):
    counts = pd.DataFrame({"y": [0, 1, 1, 2], "t": [0, 0, 1, 1], "n": n})
    with refused("more than can be counted exactly"):
        ListExperiment.from_counts(counts, answer="y", arm="t", n="n", J=1)


class TestPopulation:
    @pytest.mark.parametrize("n", [1e308, 1e-300, 1j, pd.Timestamp(0), "many", [1]])
    def test_numbers_of_people_are_numbers_of_people(self, n):
        with refused("column 'N'"):
            PopulationFrame(pd.DataFrame({"g": ["a", "b"], "N": pd.Series([n, n])}))

    @pytest.mark.parametrize("n", [["1", "2"], pd.Categorical([1, 2]), pd.array([1, 2], dtype="Int64")])
    def test_they_become_numbers_whatever_they_came_as(self, n):
        assert PopulationFrame(pd.DataFrame({"g": ["a", "b"], "N": n})).cells["N"].sum() == 3

    def test_a_missing_level_is_no_level(self):
        people = pd.DataFrame({"g": ["a", None], "N": [1, 2]})
        with refused("has no level 'b'"):
            poststratified_means(study(survey(g=["a", "b", "a", "b"]), population=people), cells="g")


def test_a_table_without_columns_to_count_is_refused():
    with refused("name at least one column"):
        tabulate(survey(), [])


class TestFiles:
    @pytest.mark.parametrize("text", ["\na,b\n1,2\n", "\r1", "\x1c\n1"])
    def test_a_csv_file_without_a_header_is_refused(self, tmp_path, text):
        (tmp_path / "a.csv").write_bytes(text.encode())
        with pytest.raises(InputError):
            tabulate(scan_survey(tmp_path / "a.csv"), ["a"])

    def test_a_column_without_a_name_is_not_counted_by(self, tmp_path):
        (tmp_path / "a.csv").write_text("a,\n1,2\n")
        with refused("a column has no name"):
            tabulate(scan_survey(tmp_path / "a.csv"), ["a", ""])

    def test_a_damaged_gz_file_is_refused(self, tmp_path):
        (tmp_path / "a.csv.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3\xff\xff\xff\xff")
        with refused("the file is damaged"):
            scan_survey(tmp_path / "a.csv.gz")

    def test_a_published_table_that_cannot_be_split_into_fields_is_refused(self, tmp_path):
        (tmp_path / "a.csv").write_bytes(b'group,level,mean_control,mean_treatment\na\rb,"c\r')
        with pytest.raises(InputError):
            read_published(tmp_path / "a.csv", J=3, N=100)

    def test_a_printed_number_has_at_most_a_hundred_digits(self):
        with refused("digits"):
            audit(parse_published(f"group,level,mean_control,mean_treatment\nall,all,{'9' * 400},1\n", J=3, N=100, name="t"))


def test_a_term_without_columns_is_refused():
    with refused("a term has no columns"):
        design("poly(x, 0) + x", pd.DataFrame({"x": [1.0, 2.0, 4.0]}), np.ones(3, dtype=int))


def test_a_regression_of_people_without_weight_is_refused():
    frame = pd.DataFrame({"y": [0, 1, 1, 2, 1], "t": [0, 1, 0, 1, 1], "x": [1.0, 2, 3, 4, 5], "w": [1.0, 1, 0, 0, 0]})
    with refused("cannot be told apart"):
        linear_regression(study(frame, weights="w"), "x", weighted=True)


def test_dictionaries_of_numbers_keep_their_values_when_tabulated():
    """They became missing, and their respondents were excluded."""
    frame = survey(g=pd.Categorical([3, 1, 3, 1], categories=[3, 1])).astype({"y": "category", "t": bool}).astype({"t": "category"})
    tabulated = study(pa.Table.from_pandas(frame))
    assert tabulated.n == 4
    assert list(tabulated.table["g"].cat.categories) == ["3", "1"]
    pd.testing.assert_frame_equal(difference_in_means(tabulated), difference_in_means(study(frame)))


def test_waves_of_one_arm_each_leave_nothing_to_compare():
    frame = survey(wave=[1, 2, 1, 2])
    found = design_checks(study(frame, wave="wave"))
    assert found[0].passed is False
    assert "in both arms" in found[0].text


def test_a_single_answer_of_the_control_arm_has_no_dispersion():
    found = {check.name: check for check in design_checks(study(pd.DataFrame({"y": [1, 1, 2], "t": [0, 1, 1]})))}
    assert found["dispersion"].passed is None
    assert found["possible differences"].estimate is None


def test_a_survey_without_rows_is_no_population():
    with refused("the survey has no rows"):
        frame_from_survey(survey().head(0), ["t"])


@pytest.mark.parametrize("formula", ["None**3", "None + x"])
def test_a_value_is_no_column_of_a_formula(formula):
    with pytest.raises(InputError, match="formula"):
        variables(formula, ["x"])
