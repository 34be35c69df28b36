"""The same seed, data and versions give the same draws; a stored fit that is not what was fitted says so, whatever was changed."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp import ListExperiment, fit, verification, verify
from bayes_listexp.cli import main
from bayes_listexp.folders import load_tree, store_tree
from bayes_listexp.read import read_survey
from bayes_listexp.stored import PACKAGES, fact
from bayes_listexp.verification import digest

NAMES = ["data", "draws", "settings", "versions", "log likelihood", "log density"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(5)
    n = 200
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "age": rng.integers(18, 80, n), "region": rng.choice(list("abc"), n)})
    frame["y"] = rng.binomial(3, 0.4, n) + frame["arm"] * rng.binomial(1, 0.4, n)
    made = tmp_path_factory.mktemp("verified")
    frame.to_csv(made / "study.csv", index=False)
    return made


@pytest.fixture(scope="module")
def study(folder):
    return ListExperiment.from_frame(read_survey(folder / "study.csv"), answer="y", arm="arm", J=3)


def fitted(study):
    return fit(study, trait="1 + age + (1|region)", method="map", seed=7)


@pytest.fixture(scope="module")
def tree(study):
    return fitted(study)


@pytest.fixture(scope="module")
def path(folder, tree):
    (folder / "run").mkdir()
    store_tree(tree, folder / "run" / "fit.nc")
    return folder / "run" / "fit.nc"


def outcome(found):
    return {check.name: check.passed for check in found}


def changed(tree, group, variable, change):
    """The tree with a variable of a group changed."""
    out = tree.copy(deep=True)
    values = out[group].to_dataset()
    out[group] = xr.DataTree(values.assign({variable: (values[variable].dims, change(values[variable].to_numpy().copy()))}))
    return out


def test_the_same_seed_data_and_versions_give_the_same_draws(study, tree):
    again = fitted(study)
    assert again.identical(tree)
    assert again.attrs == tree.attrs


def test_what_is_needed_to_repeat_a_fit_is_stored(tree, study):
    assert set(fact(tree, "versions")) == set(PACKAGES)
    assert {"python", "system", "processors", "threads"} <= set(fact(tree, "environment"))
    assert fact(tree, "arguments")["seed"] == 7
    assert tree.attrs["study_sha256"] == study.sha256
    assert len(fact(tree, "source")["file_sha256"]) == 64


def test_a_stored_fit_agrees_with_itself_and_with_its_data(path, study):
    found = verify(load_tree(path), study)
    assert outcome(found) == dict.fromkeys([*NAMES, "study"], True)
    assert all(check.text.endswith(".") for check in found)


def test_hashes_survive_storing_whatever_the_types():
    group = xr.Dataset({"a": ("x", [1, 2]), "b": ("x", [1.5, np.nan]), "c": ("x", np.array(["я", "b"], dtype=object)),
                        "d": ("x", [True, False])})
    again = group.assign(a=group["a"].astype("int32"), d=group["d"].astype("int8"))
    assert digest(group) == digest(again)
    for other in (group.assign(b=("x", [1.5, 2.0])), group.rename(a="e"), group.isel(x=[1, 0]), group.drop_vars("d")):
        assert digest(other) != digest(group)


def nudged(values):
    values.flat[0] += 0.01
    return values


def moved(values):
    """One respondent moves to another answer."""
    place = np.flatnonzero(values.ravel() > 0)[0]
    values.flat[place] -= 1
    values.flat[place + 1] += 1
    return values


@pytest.mark.parametrize(("group", "variable", "change", "failing", "words"), [
    ("posterior", "trait_intercept", nudged, {"draws", "log likelihood"}, "The draws have been changed since the fit: posterior"),
    ("unconstrained_posterior", "unconstrained", nudged, {"draws", "log density"}, "log density of the model is not what was stored"),
    ("cells", "n_control", moved, {"data", "log likelihood", "log density"}, "The data have been changed since the fit: cells"),
])
def test_changed_draws_and_data_are_found_although_the_file_is_sealed_again(tree, group, variable, change, failing, words, tmp_path):
    store_tree(changed(tree, group, variable, change), tmp_path / "fit.nc")
    found = verify(load_tree(tmp_path / "fit.nc"))
    assert {name for name, passed in outcome(found).items() if passed is False} == failing
    assert words in " ".join(check.text for check in found)


def test_changed_data_are_found_by_computing_even_where_the_hashes_were_made_to_fit(tree):
    forged = changed(tree, "posterior", "trait_intercept", nudged)
    forged.attrs["group_sha256"] = json.dumps({name: digest(node.to_dataset()) for name, node in forged.children.items()})
    assert all(check.passed for check in verification._hashes(forged))
    assert verification._likelihood(forged).passed is False


@pytest.mark.parametrize(("attribute", "old", "new"), [("arguments", '"seed": 7', '"seed": 8'), ("specification", "1 + age", "1 + region"),
                                                       ("specification", "Normal(", "Cauchy("), ("study_sha256", "", "0")])
def test_changed_settings_are_found(tree, attribute, old, new):
    forged = tree.copy()
    forged.attrs = {**tree.attrs, attribute: tree.attrs[attribute].replace(old, new, 1)}
    found = verification._of_run(forged)
    assert found.passed is False
    assert "do not give the run's hash" in found.text


def test_other_versions_are_named_and_are_no_fault(tree):
    other = tree.copy()
    other.attrs = {**tree.attrs, "versions": json.dumps(fact(tree, "versions") | {"numpy": "1.0", "gone": "2.0"})}
    found = verification._of_versions(other)
    assert found.passed is None
    assert "numpy 1.0 (now " in found.text
    assert "gone 2.0 (now not installed)" in found.text


def test_other_data_are_another_study(tree, folder):
    other = ListExperiment.from_frame(read_survey(folder / "study.csv").iloc[1:], answer="y", arm="arm", J=3)
    assert verification._of_study(tree, other).passed is False


def test_old_fits_and_those_of_published_tables_say_what_cannot_be_checked(tree):
    old = tree.copy()
    old.attrs = {name: value for name, value in tree.attrs.items() if name not in ("group_sha256", "study_sha256")}
    old["unconstrained_posterior"] = xr.DataTree(tree["unconstrained_posterior"].to_dataset().drop_vars(["log_density", "checked"]))
    assert outcome(verify(old)) == {"hashes": None, "settings": None, "versions": True, "log likelihood": True, "log density": None}
    assert [check.passed for check in verify(xr.DataTree())] == [None]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["show", "--verify", *map(str, arguments)])
    return ended.value.code, capsys.readouterr()


def test_the_command_prints_a_line_for_each_check_and_fails_where_one_does_not_agree(path, folder, tree, capsys, tmp_path):
    code, said = run(capsys, path.parent)
    assert code == 0
    assert [line.split(":")[0].split(maxsplit=1) for line in said.out.splitlines()] == [["yes", n] for n in ("file", *NAMES, "data file")]
    other = tmp_path / "other.csv"
    other.write_text((folder / "study.csv").read_text().replace("a", "b", 1))
    store_tree(changed(tree, "posterior", "trait_intercept", nudged), tmp_path / "fit.nc")
    code, said = run(capsys, tmp_path, "--data", other)
    assert code == 1
    assert "no    draws: The draws have been changed" in said.out
    assert "no    data file" in said.out
    assert "not the file that was read" in said.out
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "broken.nc").write_bytes(content)
    code, said = run(capsys, tmp_path / "broken.nc")
    assert code == 1
    assert "no    file:" in said.out
    assert run(capsys, tmp_path / "absent.nc")[0] == 2

