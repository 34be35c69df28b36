"""Specs and the command line: what is printed, which exit code, and that faults name file, line and rows."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.cli import main
from bayes_listexp.errors import InputError
from bayes_listexp.planning.plan_settings import plan_of
from bayes_listexp.spec import bundled, fit_arguments, pilot_of, published_of, read_spec, study_of

MODELS = Path(__file__).parents[1] / "models"

SURVEY = """\
title = "A survey"

[data]
file = "survey.csv"
answer = "y"
arm = "treat"
J = 4

[model]
trait = "1 + (1|region)"
counts = "binomial"

[sample]
draws = 200

[report]
by = ["region"]
"""


def people(n=60):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "region": rng.choice(["north", "south"], n), "w": 1.5})
    return frame.assign(y=rng.binomial(4, 0.5, n) + frame["treat"])


@pytest.fixture
def folder(tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "survey.toml").write_text(SURVEY, encoding="utf-8")
    return tmp_path


def spec(folder, old="", new="", name="survey.toml"):
    assert old in SURVEY
    (folder / name).write_text(SURVEY.replace(old, new, 1) if old else SURVEY + new, encoding="utf-8")
    return folder / name


def run(capsys, *arguments):
    """Exit code, printed text and errors of one call."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    out = capsys.readouterr()
    assert "Traceback" not in out.out + out.err
    return stop.value.code, out.out, out.err


# Specs


def test_a_spec_becomes_a_study_and_arguments(folder):
    read = read_spec(folder / "survey.toml")
    study, simulated = study_of(read)
    assert (read.kind, read.title, study.n, study.J, simulated) == ("survey", "A survey", 60, 4, None)
    assert fit_arguments(read) == {
        "trait": "1 + (1|region)",
        "counts": "binomial",
        "sample": {"draws": 200},
        "groups": ["region"],
    }


def test_every_key_reaches_the_study(folder):
    people().assign(id=np.arange(60), wave="one", group=people()["region"]).to_csv(folder / "more.csv", index=False)
    cells = pd.DataFrame({"region": ["north", "south"], "people": [3, 4]})
    cells.to_csv(folder / "cells.csv", index=False)
    text = SURVEY.replace(
        'file = "survey.csv"',
        'file = "more.csv"\nwave = "wave"\nweights = "w"\nids = "id"\nmissing = "level"\n'
        'arms = [1, 0]\ncovariates = ["region"]\nsensitive_item = "the item"',
        1,
    )
    text = text.replace("J = 4", "J = 5") + '\n[population]\nfile = "cells.csv"\ncount = "people"\n'
    (folder / "more.toml").write_text(text, encoding="utf-8")
    study, _ = study_of(read_spec(folder / "more.toml"))
    assert (study.wave, study.weighted, study.missing, study.sensitive_item) == ("wave", True, "level", "the item")
    assert study.covariates == ("region", "wave")
    assert study.table["_treated"].tolist() == (people()["treat"] == 0).tolist()
    assert study.population is not None
    assert study.population["N"].tolist() == [3, 4]


def test_a_table_of_counts(folder):
    people().groupby(["y", "treat", "region"], as_index=False).size().to_csv(folder / "counts.csv", index=False)
    study, _ = study_of(read_spec(spec(folder, 'file = "survey.csv"', 'file = "counts.csv"\ncounts = "size"')))
    assert study.n == 60


def test_seed_method_and_priors_are_arguments(folder):
    read = read_spec(spec(folder, "draws = 200", 'seed = 9\nmethod = "map"\n\n[priors]\ntrait_sd = "HalfNormal(0.2)"'))
    found = fit_arguments(read)
    assert (found["seed"], found["method"], found["sample"]) == (9, "map", {})
    assert found["priors"] == {"trait_sd": "HalfNormal(0.2)"}


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_models_that_come_along_are_valid(path):
    read = read_spec(path)
    if read.kind == "survey":
        study, simulated = study_of(read)
        assert study.synthetic
        assert simulated is not None
    elif read.kind == "plan":
        assert plan_of(read.tables, pilot=pilot_of(read, "scenario")).sizes
    else:
        table, later = published_of(read)
        assert (table.J, table.N) == (4, 400)
        assert later is not None


FAULTS = [
    (
        "draws = 200",
        "drows = 200",
        r"survey\.toml, line 14: \[sample\] 'drows' is not known here; there are: draws, tune, chains",
    ),
    ("draws = 200", 'draws = "many"', r"line 14: \[sample\] 'draws' must be of type int, found 'many'"),
    ("draws = 200", "draws = true", r"line 14: \[sample\] 'draws' must be of type int, found True"),
    ("draws = 200", 'counts = "size"', r"line 14: \[sample\] 'counts' is not known here"),
    ('by = ["region"]', 'by = "region"', r"line 17: \[report\] 'by' must be of type list, found 'region'"),
    ('title = "A survey"', "title = 3", "line 1: 'title' must be of type str, found 3"),
    ("[sample]", "[sampling]", "line 13: 'sampling' is not known here; there are: kind, title, data"),
    ('title = "A survey"', 'kind = "poll"', "line 1: kind = 'poll'; there are: survey, published"),
    ('title = "A survey"', 'kind = ["survey"]', r"line 1: kind = \['survey'\]; there are: survey, published"),
    ("J = 4\n", "", r"survey\.toml: \[data\] needs 'J'"),
    ('file = "survey.csv"\n', "", r"line 3: \[data\] needs either 'file' or 'simulated'"),
    (
        'file = "survey.csv"',
        'file = "survey.csv"\nsimulated = "two_wave_survey"',
        r"\[data\] needs either 'file' or 'simulated'",
    ),
    (
        "J = 4",
        'J = 4\ncounts = "w"\nweights = "w"',
        r"line 9: \[data\] 'weights' is for respondents; a table of 'counts' has none",
    ),
    ("J = 4", 'J = 4\narms = ["a"]', r"line 8: 'arms' must name two values, found \['a'\]"),
    ('by = ["region"]', 'change = ["a", "b", "c"]', "line 17: 'change' must name two values"),
    (
        'by = ["region"]',
        'alternatives = ["liars"]',
        r"line 17: \[report\] alternatives: each must be like { name = .* found 'liars'",
    ),
    ('by = ["region"]', 'alternatives = [{ response = "liars" }]', "line 17: .*each must be like { name ="),
    (
        'by = ["region"]',
        'alternatives = [{ name = "x", draws = 3 }]',
        "line 17: .*'draws' = 3 is not a setting of a model; there are: name, trait",
    ),
    ("[sample]", "[sample", r"survey\.toml: not a TOML file: .*line 13"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), FAULTS, ids=[f"{new or 'no'} {i}" for i, (_, new, _) in enumerate(FAULTS)]
)
def test_faults_are_named_with_file_and_line(folder, old, new, message):
    with pytest.raises(InputError, match=message):
        read_spec(spec(folder, old, new))


def test_a_simulation_has_two_settings(folder):
    path = spec(folder, 'file = "survey.csv"', 'simulated = "two_wave_survey"\nsimulation = { sead = 3 }')
    with pytest.raises(InputError, match=r"line 5: .* 'sead' is not a setting of the simulation; there are: seed, n_per_wave"):
        read_spec(path)
    path = spec(folder, 'file = "survey.csv"', 'simulated = "three_waves"')
    with pytest.raises(
        InputError, match=r"survey\.toml, line 4: simulated = 'three_waves'; there are: 'two_wave_survey', 'list_and_direct'"
    ):
        read_spec(path)


def test_bundled_tables():
    assert bundled("csto_table1_2022-09.csv").exists()
    with pytest.raises(
        InputError, match=r"'bundled:race.csv' does not come with the package; there are: .*csto_table1_2022-09\.csv"
    ):
        bundled("race.csv")


# The command line


def test_audit_of_the_bundled_table_finds_its_five_contradictions(capsys):
    code, out, _ = run(capsys, "audit", "bundled:csto_table1_2022-09.csv", "--J", 4, "--N", 400)
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("[")]
    for row, derived, printed in (
        ("Kazakh", "37.0", "42.3"),
        ("Almaty", "55.0", "27.0"),
        ("all others", "55.0", "63.6"),
    ):
        found = [line for line in lines if f"{row}: printed support {printed} %" in line]
        assert len(found) == 1, row
        assert f"give {derived} %" in found[0]
    assert any("region: Almaty and region: all others print the same means, 2.81 and 3.36" in line for line in lines)
    assert any(
        "region: supports weighted by share add up to 50.4 %" in line and "against 55.9 %" in line for line in lines
    )
    assert "findings in" in out.splitlines()[-1]


def test_audit_needs_the_design_of_a_table_of_means(capsys):
    code, _, err = run(capsys, "audit", "bundled:csto_table1_2022-09.csv")
    assert code == 2
    assert "a table of means needs --J (control items) and --N (respondents); for shares give --shares" in err


def test_audit_of_counts_and_shares(capsys):
    code, out, _ = run(capsys, "audit", "bundled:cab_2017_2019.csv", "--shares")
    assert code == 0
    assert "checks of cab_2017_2019.csv" in out
    assert run(capsys, "audit", "bundled:published_counts.csv")[0] == 0


def test_check_of_the_two_wave_survey(capsys):
    code, out, _ = run(capsys, "check", MODELS / "two_wave_survey.toml")
    assert code == 0
    assert "respondents analysed of" in out
    assert "excluded, answer missing (answer):" in out
    for name in ("missing answers", "floor and ceiling", "dispersion", "possible differences", "balance"):
        assert f"{name}:" in out


def test_check_of_the_published_spec_and_of_a_file(capsys, folder):
    code, out, _ = run(capsys, "check", MODELS / "csto_published.toml")
    assert code == 0
    assert "Kazakh" in out
    code, out, _ = run(capsys, "check", folder / "survey.toml")
    assert code == 0
    assert out.startswith("60 respondents analysed of 60 read.")


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["check"], ["check", "a.toml", "--nope"], ["fit"], ["audit", "x.csv", "--J", "four"]]
)
def test_bad_usage_has_exit_code_two(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert (out + err).strip()


def test_the_package_is_a_command():
    done = subprocess.run([sys.executable, "-m", "bayes_listexp", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == version("bayes_listexp")


def test_help_and_version_are_fine(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for command in ("audit", "check", "fit", "report", "show"):
        assert command in out
    assert run(capsys, "--version")[0] == 0


@pytest.mark.parametrize(
    ("command", "said"), [("check", "Column of the arm."), ("fit", "Folder for the runs"), ("compare", "What the fits are")])
def test_help_says_what_the_options_are(capsys, command, said):
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert said in " ".join(out.split())


def changed(**columns):
    return people().assign(**columns)


def with_answer(row, answer):
    frame = people().astype({"y": float})
    frame.loc[row - 1, "y"] = answer
    return frame


BAD_FILES = {
    "answer 5 in the control arm": (
        with_answer(3, 5),
        r"column 'y', row 3: with J = 4 the control arm answers 0 to 4, found 5",
    ),
    "fractional answers": (with_answer(8, 2.5), "column 'y', row 8: an answer is a whole number of items, found 2.5"),
    "one arm": (
        people()[lambda f: f["treat"] == 0],
        "column 'treat': no respondent with an answer is in the treatment arm",
    ),
    "unknown column": (
        people().rename(columns={"y": "reply"}),
        "column 'y' (answer) is not in the data; the columns are: treat, region",
    ),
    "text for answers": (changed(y=["many", *people()["y"][1:]]), "column 'y', row 1: not a number, found 'many'"),
    "three arms": (changed(treat=[2, *people()["treat"][1:]]), "column 'treat': the arm must have two values"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_data_are_refused_with_the_rows(capsys, folder, name):
    frame, message = BAD_FILES[name]
    frame.to_csv(folder / "survey.csv", index=False)
    code, out, err = run(capsys, "check", folder / "survey.toml")
    assert code == 2
    assert message in err
    assert out == ""


def test_a_level_missing_from_the_frame_is_refused_with_the_rows(capsys, folder):
    frame = people()
    frame.loc[[57, 58], "region"] = "west"  # a second level that is missing, but not the first
    frame.to_csv(folder / "survey.csv", index=False)
    pd.DataFrame({"region": ["north", "east"], "N": [10, 20]}).to_csv(folder / "cells.csv", index=False)
    path = spec(folder, "", '\n[population]\nfile = "cells.csv"\n')
    rows = [i + 1 for i, region in enumerate(frame["region"]) if region == "south"]
    shown = f"rows {', '.join(map(str, rows[:5]))} and {len(rows) - 5} more"
    code, _, err = run(capsys, "check", path)
    assert code == 2
    assert f"population frame: column 'region' has no level 'south', which occurs in the sample ({shown})" in err
    assert "Its levels are: north, east. Add the level or recode the data." in err


def test_a_column_of_the_model_that_is_not_there(capsys, folder):
    code, _, err = run(capsys, "check", spec(folder, "(1|region)", "income"))
    assert code == 2
    assert "formula '1 + income': column 'income' is not in the data; the study has: region, w" in err


@pytest.mark.parametrize(
    "content", [None, b"\x80\x81\x82", b"", b"PK\x03\x04"], ids=["absent", "bytes", "empty", "zip"]
)
def test_an_unreadable_file_is_named(capsys, folder, content):
    (folder / "survey.csv").unlink()
    if content is not None:
        (folder / "survey.csv").write_bytes(content)
    code, _, err = run(capsys, "check", folder / "survey.toml")
    assert code == 2
    assert "survey.csv" in err


@pytest.mark.parametrize("content", [None, b"\x80\x81", b"= 3"], ids=["absent", "bytes", "no TOML"])
def test_an_unreadable_spec_is_named(capsys, tmp_path, content):
    if content is not None:
        (tmp_path / "bad.toml").write_bytes(content)
    code, _, err = run(capsys, "check", tmp_path / "bad.toml")
    assert code == 2
    assert "bad.toml" in err


def test_a_fit_that_is_not_there(capsys, tmp_path):
    code, _, err = run(capsys, "show", tmp_path)
    assert code == 2
    assert "fit.nc" in err


def test_no_spec_is_fitted_if_one_is_bad(capsys, folder):
    bad = spec(folder, "draws = 200", "drows = 200", name="other.toml")
    code, _, err = run(capsys, "fit", folder / "survey.toml", bad, "--out", folder / "runs")
    assert code == 2
    assert "other.toml, line 14" in err
    assert not (folder / "runs").exists()


def test_work_that_fails_has_exit_code_one(capsys, folder, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bayes_listexp.batch.run_spec", full)
    code, _, err = run(capsys, "fit", folder / "survey.toml", "--out", folder / "runs")
    assert code == 1
    assert "No space left on device" in err
