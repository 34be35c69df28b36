"""The sample beside its population, predictors of levels, and the population and predictors of a spec."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.checks import design_checks, sample
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.population import PopulationFrame, frames_by_wave
from bayes_listexp.predictors import with_predictors
from bayes_listexp.representation import cells_outside_frame, frame_against_sample
from bayes_listexp.spec import read_spec, study_of
from bayes_listexp.survey_population import certainty_words

RESPONDENTS = pd.DataFrame({
    "y": [0, 1, 2, 1, 0, 1, 2, 1], "treat": [0, 1] * 4, "w": [1.0, 1, 1, 1, 2, 2, 1, 1], "wave": list("aaaabbbb"),
    "region": ["north"] * 6 + ["south", None], "sex": list("fmfmfmfm"), "age": [20.0, 30, 40, 50, 60, 70, 80, 90],
})  # fmt: skip
CELLS = pd.DataFrame({"region": ["north", "north", "south", "east"], "sex": list("fmmf"), "N": [20, 20, 50, 10]})


def study(frame=RESPONDENTS, **arguments):
    return ListExperiment.from_frame(frame, **{"answer": "y", "arm": "treat", "J": 2, **arguments})


# The sample beside its population


def test_shares_by_hand():
    table = frame_against_sample(study(weights="w", population=CELLS)).set_index(["column", "level"])
    assert list(table.columns) == ["n", "sample", "weighted", "population", "ratio"]
    assert table.loc[("region", "north")].tolist() == pytest.approx([6, 6 / 7, 8 / 9, 0.4, 15 / 7])
    assert table.loc[("region", "east")].tolist() == pytest.approx([0, 0, 0, 0.1, 0])
    assert table.loc[("sex", "f"), "population"] == pytest.approx(0.3)
    assert list(table.index.get_level_values("column").unique()) == ["region", "sex"]
    assert frame_against_sample(study(population=CELLS), ["sex"])["column"].unique().tolist() == ["sex"]


def test_shares_by_wave():
    made = study(wave="wave", population=frames_by_wave({"a": CELLS, "b": CELLS.assign(N=[0, 0, 30, 70])}))
    table = frame_against_sample(made).set_index(["wave", "column", "level"])
    assert table.loc[("a", "region", "north"), ["sample", "population"]].tolist() == [1, 0.4]
    assert table.loc[("b", "region", "north"), ["sample", "population"]].tolist() == pytest.approx([2 / 3, 0])
    assert np.isnan(table.loc[("b", "region", "north"), "ratio"])  # nobody to compare with
    assert table.loc[("b", "region", "east"), "population"] == 0.7
    same = frame_against_sample(study(wave="wave", population=CELLS)).set_index(["wave", "column", "level"])
    assert same.loc[("b", "region", "north"), "population"] == 0.4  # a frame without waves stands for each


def test_numbers_with_many_values_are_compared_by_quarters_of_the_population():
    ages = pd.DataFrame({"age": np.arange(16.0, 96), "N": 1})
    table = frame_against_sample(study(population=ages))
    assert table["level"].tolist() == ["up to 35", "above 35 to 55", "above 55 to 75", "above 75"]
    assert table["population"].tolist() == [0.25] * 4
    assert table["n"].tolist() == [2, 2, 2, 2]
    few = frame_against_sample(study(population=pd.DataFrame({"age": [20, 30], "N": [1, 3]})))
    assert few["level"].tolist() == ["20", "30", "40", "50", "60", "70", "80", "90"]
    assert few["population"].tolist()[:3] == [0.25, 0.75, 0]


def test_respondents_whom_the_frame_does_not_have_are_listed():
    outside = cells_outside_frame(study(population=CELLS))
    assert outside.to_dict("records") == [{"region": "south", "sex": "f", "n": 1}]
    assert cells_outside_frame(study(population=CELLS), ["region"]).empty
    nobody = CELLS.assign(N=[20, 0, 50, 10])  # a cell with nobody is as good as none
    assert cells_outside_frame(study(population=nobody))["n"].tolist() == [3, 1]
    by_wave = frames_by_wave({"a": CELLS, "b": CELLS.iloc[1:]})
    found = cells_outside_frame(study(wave="wave", population=by_wave))
    assert found[["region", "sex", "wave", "n"]].to_numpy().tolist() == [["north", "f", "b", 1], ["south", "f", "b", 1]]


def test_the_check_says_where_the_sample_departs_most():
    check = sample.population(study(weights="w", population=CELLS))
    assert check.passed is False
    assert check.estimate == pytest.approx(6 / 7 - 0.4)
    assert check.text == (
        "The sample departs most in region: north is 85.7% of the respondents (88.9% with weights) and 40.0% of the population. "
        "1 respondents are in 1 cells that have nobody in the frame, such as region = south, sex = f: estimates for the population do "
        "not count people like them."
    )
    fits = sample.population(study(RESPONDENTS.iloc[:6], population=CELLS))
    assert fits.passed is None
    assert "departs most in region: north is 100.0% of the respondents and 40.0%" in fits.text
    assert sample.population(study(population=CELLS[["region", "N"]].rename(columns={"region": "zone"}))).passed is None
    assert [c.name for c in design_checks(study(population=CELLS))][-1] == "population"
    assert "population" not in [c.name for c in design_checks(study())]


def test_what_cannot_be_compared():
    with pytest.raises(InputError, match="the study has no population frame to compare the sample with"):
        frame_against_sample(study())
    with pytest.raises(InputError, match="column 'age' is not in both the study and its population frame; they share: region, sex"):
        cells_outside_frame(study(population=CELLS), ["age"])


def test_how_sure_a_frame_is_in_words():
    assert certainty_words(PopulationFrame(CELLS)) == "taken as exact"
    assert certainty_words(PopulationFrame(CELLS, 1234.5)) == "estimated from 1,234 people (effective number)"
    by_wave = frames_by_wave({"a": PopulationFrame(CELLS, 50), "b": CELLS})
    assert certainty_words(by_wave) == "estimated: a from 50 people, b exact (effective numbers)"


# Predictors of levels

INCOME = pd.DataFrame({"region": ["south", "north", "east"], "income": [2, 1, 3], "zone": list("srr")})


def test_predictors_stand_beside_respondents_and_population():
    made = study(population=PopulationFrame(CELLS, 30), predictors={"region": INCOME}, covariates=["region"])
    assert made.covariates == ("region", "income", "zone")
    assert made.table["income"].tolist()[:7] == [1] * 6 + [2]
    assert np.isnan(made.table["income"].iloc[7])  # who has no region has no income of it
    assert made.table["zone"].tolist()[:7] == ["r"] * 6 + ["s"]
    assert made.population["income"].tolist() == [1, 1, 2, 3]
    assert made.population_frame.n == 30
    assert study(predictors={"region": INCOME}).covariates[-2:] == ("income", "zone")
    lacking = study(population=CELLS[["sex", "N"]], predictors={"region": INCOME})
    assert list(lacking.population.columns) == ["sex", "N"]


def test_predictors_of_several_columns_and_of_tables_of_counts():
    tables = {"region": INCOME[["region", "income"]], "age": pd.DataFrame({"age": np.arange(20, 100, 10), "cohort": list("ABCDEFGH")})}
    assert study(predictors=tables).table["cohort"].tolist() == list("ABCDEFGH")  # 20 and 20.0 are one level
    counts = RESPONDENTS.dropna().groupby(["y", "treat", "region"], as_index=False).size()
    made = ListExperiment.from_counts(counts, answer="y", arm="treat", n="size", J=2, predictors={"region": INCOME})
    assert set(made.table["income"]) == {1, 2}


def test_predictors_leave_rows_their_order_and_their_source_alone():
    frame = RESPONDENTS.iloc[::-1]
    frame.attrs["source"] = {"name": "a file"}
    out = with_predictors(frame, {"region": INCOME})
    assert out.index.equals(frame.index)
    assert out.attrs["source"] == {"name": "a file"}
    pd.testing.assert_frame_equal(out[frame.columns], frame)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (INCOME.iloc[1:], "predictors of 'region': there is no row for level 'south', which occurs in the data (row 7). Add it"),
        (INCOME.iloc[:2], "predictors of 'region': there is no row for level 'east', which occurs in the population frame (row 4)."),
        (INCOME.assign(region="north"), "predictors of 'region': level 'north' has more than one row (rows 1, 2, 3). Keep one."),
        (INCOME.rename(columns={"income": "age"}), "predictors of 'region': column 'age' is already in the data. Rename one of them."),
        (INCOME.rename(columns={"income": "N"}), "predictors of 'region': column 'N' is the name of the number of people."),
        (INCOME[["region"]], "predictors of 'region': the table has no column beside 'region'."),
        (INCOME[["income"]], "predictors of 'region': the table has no column 'region' with the levels; it has: income."),
        (INCOME.assign(region=["south", None, "east"]), "predictors of 'region', row 2: the level is missing."),
    ],
)
def test_predictors_that_cannot_be(table, message):
    with pytest.raises(InputError) as error:
        study(population=CELLS, predictors={"region": table})
    assert message in str(error.value)


def test_predictors_of_a_column_that_is_not_there():
    with pytest.raises(InputError, match="predictors: column 'district' is not in the data"):
        study(predictors={"district": INCOME.rename(columns={"region": "district"})})


# Specs

SPEC = """\
[data]
file = "survey.csv"
answer = "y"
arm = "treat"
J = 2
wave = "wave"

[model]
trait = "1 + sex"
counts = "binomial"

[sample]
method = "map"
"""


@pytest.fixture
def folder(tmp_path):
    RESPONDENTS.to_csv(tmp_path / "survey.csv", index=False)
    CELLS.to_csv(tmp_path / "cells.csv", index=False)
    CELLS.rename(columns={"N": "people"}).to_csv(tmp_path / "people.csv", index=False)
    for name in ("region", "sex"):
        CELLS.groupby(name, as_index=False)["N"].sum().to_csv(tmp_path / f"{name}.csv", index=False)
    RESPONDENTS.drop(columns=["y"]).dropna().to_csv(tmp_path / "other.csv", index=False)
    INCOME.to_csv(tmp_path / "income.csv", index=False)
    return tmp_path


def made(folder, more):
    (folder / "spec.toml").write_text(SPEC + more, encoding="utf-8")
    return study_of(read_spec(folder / "spec.toml"))[0]


def test_a_table_of_cells_with_the_number_of_people_asked(folder):
    frame = made(folder, '[population]\nfile = "people.csv"\ncount = "people"\nn = 400\n').population_frame
    assert (frame.n, frame.cells["N"].tolist()) == (400, [20, 20, 50, 10])
    assert frame.source == "a table of cells, people.csv"


def test_margins_to_rake_to(folder):
    margins = '[[population.margins]]\nfile = "region.csv"\n\n[[population.margins]]\nfile = "sex.csv"\n'
    frame = made(folder, margins).population_frame
    assert frame.cells.groupby("region")["N"].sum().to_dict() == pytest.approx({"north": 40, "south": 50, "east": 10})
    assert len(frame.cells) == 6
    assert frame.methods == ("raking",)
    seeded = made(folder, '[population]\nseed = "cells.csv"\nn = 30\ntolerance = 1e-6\n\n' + margins).population_frame
    assert (len(seeded.cells), seeded.n) == (4, 30)
    np.testing.assert_allclose(seeded.cells["N"], CELLS["N"], rtol=1e-6)


def test_another_survey(folder):
    frame = made(folder, '[population]\nsurvey = "other.csv"\ncolumns = ["region", "sex"]\nweights = "w"\n').population_frame
    assert frame.cells["N"].sum() == 9
    assert frame.n == pytest.approx(81 / 13)


def test_a_frame_for_each_wave(folder):
    text = '[population.waves]\na = "cells.csv"\nb = { file = "people.csv", count = "people", n = 50 }\n'
    frame = made(folder, text).population_frame
    assert (frame.wave, frame.n) == ("wave", {"a": None, "b": 50})
    assert frame.cells["N"].sum() == 200


def test_recoding_goes_through_every_file_and_adds_cells_up(folder):
    recode = '\n[population.recode.region]\nnorth = ["north", "east"]\nsouth = ["south"]\n'
    ways = (
        '[population]\nfile = "cells.csv"\n',
        '[[population.margins]]\nfile = "region.csv"\n\n[[population.margins]]\nfile = "sex.csv"\n',
        '[population]\nsurvey = "other.csv"\ncolumns = ["region", "sex"]\n',
        '[population.waves]\na = "cells.csv"\nb = "cells.csv"\n',
    )
    for way in ways:
        cells = made(folder, way + recode).population_frame.cells
        assert set(cells["region"]) == {"north", "south"}
        assert not cells.duplicated(["region", "sex", *(["wave"] if "wave" in cells else [])]).any()
    assert made(folder, ways[0] + recode).population["N"].tolist() == [30, 20, 50]
    with pytest.raises(InputError, match="recode: there is no column 'zone' in any file of the population"):
        made(folder, ways[0] + recode.replace("region]", "zone]"))


def test_predictors_from_a_file(folder):
    found = made(folder, '[population]\nfile = "cells.csv"\n\n[data.predictors]\nregion = "income.csv"\n')
    assert found.population["income"].tolist() == [1, 1, 2, 3]
    assert "income" in found.covariates


@pytest.mark.parametrize(
    ("more", "line", "message"),  # the spec without the population has 13 lines
    [
        ('[population]\nn = 3\n', 14, "[population] needs one of file, margins, survey, waves, found none."),
        ('[population]\nfile = "cells.csv"\nsurvey = "other.csv"\n', 16,
         "[population] needs one of file, margins, survey, waves, found file and survey."),
        ('[population]\nfile = "cells.csv"\nseed = "cells.csv"\n', 16, "[population] 'seed' does not go with 'file'. Leave it out."),
        ('[population]\nfile = "cells.csv"\nn = -3\n', 16, "[population] n = -3 must be more than 0."),
        ('[population]\nfile = "cells.csv"\nn = "many"\n', 16, "[population] 'n' must be of type float, found 'many'."),
        ('[population]\nsurvey = "other.csv"\n', 15, "[population] survey needs 'columns', which tell the cells apart."),
        ('[[population.margins]]\nfile = "sex.csv"\n\n[[population.margins]]\nfil = 3\n', 17,
         "[[population.margins]] needs a file, found {'fil': 3}."),
        ('[[population.margins]]\nfile = "sex.csv"\n\n[[population.margins]]\nfile = "sex.csv"\ncount = 3\n', 19,
         "[[population.margins]]: 'count' must be of type str, found 3."),
        ('[[population.margins]]\nfile = "sex.csv"\nn = 3\n', 16,
         "[[population.margins]]: 'n' is not known here; there are: file, count."),
        ('[population.waves]\na = "cells.csv"\nb = { file = "cells.csv", n = 0 }\n', 16,
         "[population.waves] b: n = 0 must be more than 0."),
        ('[population.waves]\na = "cells.csv"\nb = 7\n', 16, "[population.waves] b needs a file, found 7."),
        ('[population]\nsurvey = "survey.csv"\ncolumns = ["region"]\n', 15,
         "frame_from_survey: column 'region', row 8: the level is missing."),
        ('[[population.margins]]\nfile = "sex.csv"\n\n[[population.margins]]\nfile = "cells.csv"\ncount = "people"\n', 14,
         "there is no column 'people' with the number of people"),
        ('[data.predictors]\nregion = 3\n', 15, "[data.predictors] region must be the name of a file, found 3."),
    ],
)  # fmt: skip
def test_faults_name_file_and_line(folder, more, line, message):
    with pytest.raises(InputError) as error:
        made(folder, more)
    assert f"spec.toml, line {line}: " in str(error.value)
    assert message in str(error.value)


def test_waves_need_a_column_of_waves(folder):
    (folder / "spec.toml").write_text(SPEC.replace('wave = "wave"\n', "") + '[population.waves]\na = "cells.csv"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"line 13: \[population.waves\] needs the column of the waves: \[data\] wave."):
        read_spec(folder / "spec.toml")
