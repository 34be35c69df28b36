"""Simulated surveys in specs and on the command line: what is written can be read again, and faults name file and line."""

import json
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.batch import write_simulation
from bayes_listexp.cli import main
from bayes_listexp.errors import InputError
from bayes_listexp.simulated_files import simulated_files, toml_text, with_settings
from bayes_listexp.spec import read_spec, simulated_of, study_of

MODELS = Path(__file__).parents[1] / "models"

DRAWN = """\
[data]
simulated = "model"
answer = "y"
arm = "list"
arms = ["short", "long"]
J = 3
wave = "month"
weights = "w"

[data.simulation]
n = 300
waves = ["2025-01", "2025-07"]
oversample = { region = { west = 0.5 } }
truth = { prevalence = 0.3, items = [0.8, 0.5, 0.3], control_shift = 0.0 }

[data.simulation.population]
gender = { female = 0.5, male = 0.5 }
region = { east = 0.8, west = 0.2 }

[model]
trait = "1 + gender"
control = "1"
counts = "binomial"
"""

FROM_FILE = """\
[data]
file = "survey.csv"
answer = "y"
arm = "t"
J = 3
missing = "drop"

[data.simulation]
truth = { trait_intercept = -1.0, control_intercept = 0.5, control_shift = 0.0 }

[instruments.direct]
column = "d"
yes = "yes"
no = "no"

[model]
trait = "1"
control = "1"
counts = "binomial"
"""


@pytest.fixture
def spec(tmp_path):
    def write(text, name="spec.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    out = capsys.readouterr()
    return stop.value.code, out.out, out.err


def test_a_survey_of_the_model_is_written_with_its_truth(capsys, spec, tmp_path):
    path = spec(DRAWN)
    code, out, _ = run(capsys, "simulate", path, "--seed", 5, "--n", 400, "--out", tmp_path / "out")
    assert code == 0
    names = {Path(line).name for line in out.splitlines()}
    assert names == {"survey.csv", "population.csv", "truth.csv", "people.csv", "parameters.json", "spec.toml"}
    study, simulated = study_of(read_spec(tmp_path / "out" / "spec.toml"))
    assert simulated is None
    assert study.n == 800
    assert study.waves == ("2025-01", "2025-07")
    assert study.weighted
    survey, people, truth = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("survey", "people", "truth"))
    assert list(survey) == ["id", "gender", "region", "month", "list", "y", "w"]
    assert survey["id"].tolist() == people["id"].tolist()
    assert truth.loc[truth["group"] == "all", "prevalence"].mean() == pytest.approx(0.3, abs=1e-6)
    parameters = json.loads((tmp_path / "out" / "parameters.json").read_text(encoding="utf-8"))
    assert parameters["control_shift"] == 0
    said = people["count"] + people["trait"] * (survey["list"] == "long")
    assert survey["y"].tolist() == said.tolist()


@pytest.mark.parametrize("name", ["planned_survey", "two_wave_survey", "list_and_direct", "csto_national"])
def test_what_is_written_is_read_as_the_same_study(name, tmp_path):
    given = with_settings(read_spec(MODELS / f"{name}.toml"), 3, 400)
    write_simulation(given, tmp_path / "out")
    was, now = study_of(given)[0], study_of(read_spec(tmp_path / "out" / f"{name}.toml"))[0]
    assert now.waves == was.waves
    assert set(now.covariates) == set(was.covariates)
    cells = [s.cells([c for c in was.covariates if c in ("gender", "region", s.wave)]) for s in (was, now)]
    for arm in cells[0].arms:
        assert (cells[0].answers[arm] == cells[1].answers[arm]).all()
    assert cells[0].weight == pytest.approx(cells[1].weight)
    assert now.population["N"].sum() == was.population["N"].sum()
    assert not now.synthetic


def people(n=2_000):
    frame = pd.DataFrame({"t": np.arange(n) % 2, "d": np.where(np.arange(n) % 3, "yes", "no"), "age": np.arange(n) % 60})
    return frame.assign(y=np.where(np.arange(n) % 10, 1, np.nan))


def test_people_of_a_file_answer_anew(spec, tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    simulated = simulated_of(with_settings(read_spec(spec(FROM_FILE)), 2, None))
    survey, latent = simulated.survey, simulated.people
    assert survey[["t", "age"]].equals(people()[["t", "age"]])
    assert survey["y"].isna().tolist() == people()["y"].isna().tolist()
    listed = survey["y"].notna()
    assert (survey["y"] == latent["count"] + latent["trait"] * survey["t"])[listed].all()
    assert not (survey.loc[latent["trait"] == 0, "d"] == "yes").any()  # lies are one-sided
    share = simulated.truth.set_index("group")["prevalence"]["all"]
    assert share == pytest.approx(1 / (1 + np.e))
    files = simulated_files(with_settings(read_spec(tmp_path / "spec.toml"), 2, None), tmp_path / "elsewhere")
    assert "population.csv" not in files
    assert tomllib.loads(files["spec.toml"])["data"]["file"] == "survey.csv"


def test_a_table_of_counts_becomes_respondents(spec, tmp_path):
    rows = [(y, t, 10, g) for t in (0, 1) for y in range(4 + t) for g in "ab"]
    pd.DataFrame(rows, columns=["y", "t", "many", "g"]).to_csv(tmp_path / "survey.csv", index=False)
    text = '[data]\nfile = "survey.csv"\ncounts = "many"\nanswer = "y"\narm = "t"\nJ = 3\n[model]\ntrait = "1 + g"\n'
    simulated = simulated_of(read_spec(spec(text)))
    assert len(simulated.survey) == 180
    assert list(simulated.survey) == ["y", "t", "g"]
    assert set(simulated.truth["level"]) == {"all", "a", "b"}


def test_files_that_a_spec_names_are_found_from_the_new_folder(spec, tmp_path):
    (tmp_path / "borders.csv").write_text("a,b\neast,west\n", encoding="utf-8")
    text = DRAWN.replace('"1 + gender"', '"1 + (1|icar(region))"') + 'neighbours = { region = "borders.csv" }\n'
    write_simulation(read_spec(spec(text)), tmp_path / "deep" / "er")
    written = read_spec(tmp_path / "deep" / "er" / "spec.toml")
    assert written.tables["model"]["neighbours"] == {"region": "../../borders.csv"}
    study_of(written)


def test_a_spec_is_not_written_over(spec, tmp_path):
    with pytest.raises(InputError, match=r"would take the place of"):
        write_simulation(read_spec(spec(DRAWN)), tmp_path)


def test_tables_as_toml():
    data = {"x y": [1, 2.5, True], "day": date(2022, 9, 21), "t": {"é": {}, "b": [{"c": 1}]}}
    tables = {"title": 'a "b"\\', "data": data}
    assert tomllib.loads(toml_text(tables)) == tables


@pytest.mark.parametrize(("old", "new", "message"), [
    ('"model"', '"modell"', r"line 2: simulated = 'modell'; there are: .*'nation', 'model'"),
    ("n = 300", "m = 300", r"line 11: \[data\.simulation\] 'm' is not a setting of the simulation; there are: seed, waves"),
    ("n = 300", "n = 300\nseed = 0", r"line 12: \[data\.simulation\] 'seed' must be a whole number of at least 1, found 0"),
    ("n = 300", "treated = 1.5", r"line 11: .* treated = 1\.5 must be a share between 0 and 1"),
    ("n = 300", 'stay = "half"', r"line 11: .* 'stay' must be of type float, found 'half'"),
    ("n = 300", "n = 300\nrefusals = { share = 2.0 }", r"line 12: .* refusals: 'share', level 'all': 2\.0 must be between 0 and 1"),
    ("{ region = { west = 0.5 } }", "{ region = 0.5 }", r"line 13: .* 'oversample' must be like .*, found region = 0\.5"),
    ("west = 0.5", "north = 0.5", r"line 13: .* oversample: column 'region' has no level 'north'; it has: east, west"),
    ("prevalence = 0.3", "prevalence = 3", r"line 14: .* prevalence of 'all', 'all' = 3 must be a share"),
    ("control_shift", "shift", r"line 14: .* 'shift' is not a parameter"),
    ('waves = ["2025-01", "2025-07"]\n', "", r"waves and \[data\] wave, the name of their column, belong together"),
    ("[model]", '[population]\nfile = "cells.csv"\n[model]', r"line 16: .* needs a population to draw people from: either"),
    ("n = 300", "oversample_ = 3", r"line 11: .* 'oversample_' is not a setting"),
    ("truth = { prevalence = 0.3, items = [0.8, 0.5, 0.3], control_shift = 0.0 }\n",
     "[data.simulation.truth]\nitems = [0.8]\n", r"line 15: \[data\.simulation\.truth\] .*must be 3 shares"),
    ("n = 300", 'model = { count = "binomial" }', r"line 11: .* model: 'count' is not known"),
])  # fmt: skip
def test_faults_name_file_and_line(spec, old, new, message):
    assert old in DRAWN
    path = spec(DRAWN.replace(old, new, 1))
    with pytest.raises(InputError, match=r"spec\.toml, " + ("" if message.startswith("line") else ".*") + message):
        study_of(read_spec(path))


def test_sizes_that_cannot_be_are_refused(capsys, spec, tmp_path):
    assert run(capsys, "simulate", spec(DRAWN), "--n", 0)[0] == 2
    people().to_csv(tmp_path / "survey.csv", index=False)
    code, _, err = run(capsys, "simulate", spec(FROM_FILE, "other.toml"), "--n", 50)
    assert code == 2
    assert "the people are those of 'survey.csv'" in err
    published = MODELS / "csto_published.toml"
    assert "only surveys can be simulated" in run(capsys, "simulate", published)[2]
