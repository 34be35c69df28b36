"""Instruments, margins, placebo lists and several sensitive items in specs: what they become, and how faults are named."""

import json

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import KnownItem, KnownPrevalence
from bayes_listexp.batch import run_spec
from bayes_listexp.cli import main
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import misreporting, prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.folders import load_tree
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.kept_fits import key_of
from bayes_listexp.simulated_direct import list_and_direct
from bayes_listexp.spec import fit_arguments, read_spec, study_of
from bayes_listexp.spec_lines import line_of
from bayes_listexp.stored import fact

SPEC = """\
title = "A survey"

[data]
file = "survey.csv"
answer = "y"
arm = "arm"
J = 3
covariates = ["region", "age"]

[instruments.direct]
column = "asked"
yes = "yes"
no = ["no", "never"]
refused = "refused"
lie = "1 + region"

[[margins.prevalence]]
yes = 30
n = 100
group = { region = "north" }

[[margins.prevalence]]
share = 0.4
se = 0.05
discount = 0.5

[model]
trait = "1 + region"
counts = "binomial"
dependence = "none"

[sample]
method = "map"
seed = 3

[report]
by = ["region"]
alternatives = [
    { name = "two-sided lies", instruments = { direct = { lies = "two_sided" } } },
]
"""


def people(n=400):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "region": rng.choice(["north", "south"], n), "age": rng.integers(18, 80, n)})
    trait = rng.random(n) < 0.4
    frame["y"] = (rng.binomial(3, 0.5, n) + trait * frame["arm"]).astype(float)
    admitted = trait & (rng.random(n) < 0.7) & ((frame["y"] > 0) | (frame["arm"] == 0))
    said = np.where(rng.random(n) < 0.1, "refused", np.where(admitted, "yes", rng.choice(["no", "never"], n)))
    frame["asked"] = pd.Series(said).where(rng.random(n) < 0.8)
    frame.loc[::40, "y"] = np.nan
    return frame.assign(placebo=(np.arange(n) % 4 == 0).astype(int))


@pytest.fixture
def folder(tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    return tmp_path


def spec(folder, *changes, name="survey.toml"):
    text = SPEC
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# What specs become


def test_instruments_and_margins_become_their_records(folder):
    read = read_spec(spec(folder))
    study, _ = study_of(read)
    assert study.instruments == (DirectQuestion("asked", yes="yes", no=("no", "never"), refused="refused", lie="1 + region",
                                                someone_refused=True),)
    unlisted = people()[lambda f: f["y"].isna()]
    assert (study.table["_answer"] == -1).sum() == unlisted["asked"].notna().sum() > 0
    assert fit_arguments(read)["margins"] == (
        KnownPrevalence({"region": "north"}, yes=30, n=100), KnownPrevalence(share=0.4, se=0.05, discount=0.5))


def test_the_kind_is_the_tables_name_unless_it_is_said(folder):
    path = spec(folder, ("[instruments.direct]", '[instruments.party]\nkind = "direct"'), ("direct = {", "party = {"))
    study, _ = study_of(read_spec(path))
    assert [(type(i), i.name) for i in study.instruments] == [(DirectQuestion, "party")]
    assert "_party" in study.table


def test_known_items_and_a_single_list_without_an_arm(folder):
    people().query("arm == 1").to_csv(folder / "survey.csv", index=False)
    items = "".join(f"[[margins.item]]\nitem = {i}\nshare = 0.5\nse = 0.02\n\n" for i in (1, 2, 3))
    path = spec(folder, ('arm = "arm"', "single_list = true"), ("[model]", f"{items}[model]"), ('"binomial"', '"poisson_binomial"'))
    read = read_spec(path)
    study, _ = study_of(read)
    assert study.table["_treated"].all()
    assert fit_arguments(read)["margins"][2:] == tuple(KnownItem(i, share=0.5, se=0.02) for i in (1, 2, 3))


def test_a_placebo_list(folder):
    frame = people()
    study, _ = study_of(read_spec(spec(folder, ('arm = "arm"', 'arm = "arm"\nplacebo = "placebo"'))))
    assert study.table["_placebo"].sum() == (frame.loc[study.table.index - 1, "placebo"] == 1).sum()
    assert study.cells().placebo.sum() > 0


SEVERAL = (
    ('arm = "arm"', 'arm = "list"\narms = ["none", ["first item", "second item"]]'),
    (SPEC[SPEC.index("[instruments") : SPEC.index("[model]")], ""),
    ('trait = "1 + region"', 'trait = "1 + region"\ncontrol = "1"'),
    ('dependence = "none"', 'dependence = "linear"'),
    (SPEC[SPEC.index("alternatives") :], ""),
)


def lists(frame):
    rng = np.random.default_rng(5)
    shown = np.where(frame["arm"] == 0, "none", rng.choice(["first item", "second item"], len(frame)))
    return frame.assign(list=shown)


def test_several_sensitive_items(folder):
    lists(people()).to_csv(folder / "survey.csv", index=False)
    read = read_spec(spec(folder, *SEVERAL))
    study, _ = study_of(read)
    assert (study.items, study.item) == (("first item", "second item"), "item")
    assert fit_arguments(read)["dependence"] == "linear"


def test_inline_tables_mean_the_same(folder):
    block = SPEC[SPEC.index("[instruments") : SPEC.index("[[margins")]
    inline = ('[instruments]\ndirect = { column = "asked", yes = "yes", no = ["no", "never"], refused = "refused", '
              'lie = "1 + region" }\n\n')
    read = study_of(read_spec(spec(folder, (block, inline))))[0]
    assert read.instruments == study_of(read_spec(spec(folder)))[0].instruments


# Faults

FAULTS = [
    ('column = "asked"', 'colum = "asked"', r"survey\.toml, line 11: instrument 'direct': 'colum' is not known; there are: column, yes"),
    ('column = "asked"\n', "", r"line 10: instrument 'direct' needs 'column'"),
    ('yes = "yes"', 'yes = "yes"\nkind = "directt"', r"line 13: instrument 'direct': kind = 'directt' is not known; there are: direct"),
    ('lie = "1 + region"', 'lies = "three_sided"', "line 15: instrument 'direct': lies = 'three_sided': say one of none, one_sided"),
    ('lie = "1 + region"', "lie = 3", "line 15: instrument 'direct': 'lie' must be of type str, found 3"),
    ('lie = "1 + region"', "primed = 1", "line 15: instrument 'direct': 'primed' must be of type bool, found 1"),
    ('lie = "1 + region"', 'name = "other"', r"line 15: \[instruments.direct\] name: an instrument is called as its table"),
    ('[instruments.direct]\ncolumn = "asked"', '[instruments]\ndirect = "asked"', r"line 11: \[instruments\] 'direct' must be a table"),
    ("yes = 30", "yes = 300", r"line 18: KnownPrevalence: yes = 300 of n = 100: yes must lie between 0 and n"),
    ("yes = 30", 'yes = "many"', "line 18: KnownPrevalence: 'yes' must be of type float, found 'many'"),
    ("yes = 30\n", "", r"line 18: KnownPrevalence: give either yes and n, or share and se"),
    ('group = { region = "north" }', 'group = "north"', "line 20: KnownPrevalence: 'group' must be of type .*Mapping.*, found 'north'"),
    ("share = 0.4", "share = 40", "line 23: KnownPrevalence: share = 40, se = 0.05: a share lies between 0 and 1"),
    ("discount = 0.5", "discount = 2", "line 25: KnownPrevalence: discount = 2 must lie between 0"),
    ("discount = 0.5", "wait = 2", "line 25: KnownPrevalence: 'wait' is not known; there are: group, yes, n, share"),
    ("[model]", "[[margins.item]]\nyes = 3\nn = 4\n\n[model]", "line 27: KnownItem needs 'item'"),
    ("[model]", "[margins.items]\nyes = 3\n\n[model]", r"line 27: \[margins\] 'items' is not known here; there are: prevalence, item"),
    ('trait = "1 + region"', 'trait = "1"\ninstruments = { dirct = { lies = "none" } }',
     "line 29: instruments: the study has no instrument 'dirct'; it has: direct"),
    ('trait = "1 + region"', 'trait = "1"\ninstruments = { direct = { column = "y" } }',
     "line 29: instruments: 'column' is not a setting of 'direct'; there are: lies"),
    ('trait = "1 + region"', 'trait = "1"\ninstruments = { direct = { lie = 2 } }', "line 29: instruments: 'direct': lie = 2 is not"),
    ('"two_sided"', '"all"', "line 38: instrument 'direct': lies = 'all': say one of"),
    ('{ direct = { lies = "two_sided" } }', '"two"', r"line 38: \[report\] alternatives: 'instruments' = 'two'"),
    ('arm = "arm"\n', "", r"line 3: \[data\] needs 'arm', or single_list = true"),
    ('arm = "arm"', 'arm = "arm"\nsingle_list = true', r"line 7: \[data\] needs 'arm', or single_list = true .* not both"),
    ('arm = "arm"', 'single_list = "yes"', r"line 6: \[data\] 'single_list' must be of type bool, found 'yes'"),
    ('arm = "arm"', 'arm = "arm"\narms = ["none", ["one"]]', r"line 7: \[data\] arms = .* must name at least two treatment lists"),
    ('arm = "arm"', 'arm = "arm"\nplacebo = 1', r"line 7: \[data\] 'placebo' must be of type str, found 1"),
]


@pytest.mark.parametrize(("old", "new", "message"), FAULTS, ids=[f"{i} {new or 'no'}"[:40] for i, (_, new, _) in enumerate(FAULTS)])
def test_faults_are_named_with_file_and_line(folder, old, new, message):
    with pytest.raises(InputError, match=message):
        read_spec(spec(folder, (old, new)))


DATA_FAULTS = [
    ('lie = "1 + region"', 'lie = "1 + income"', "formula '1 \\+ income': column 'income' is not in the data"),
    ('lies = "two_sided"', 'lie = "1 + wealth"',
     "survey.toml, .report. alternative 'two-sided lies': formula '1 \\+ wealth': column 'wealth'"),
    ('region = "north"', 'area = "north"', "KnownPrevalence: column 'area' of the group is not in the sample"),
    ('region = "north"', 'region = "east"', "KnownPrevalence: nobody of the sample is in the group {'region': 'east'}"),
    ('"1 + region"\ncounts', '"1 + region"\ninstruments.direct.lies = "none"\ncounts', "respondents said what nobody can say"),
    ('dependence = "none"', 'dependence = "saturated"', "dependence = 'saturated' leaves the counts any distribution"),
    ("share = 0.4", 'population = "frame"\nshare = 0.4', "population = 'frame', and the study has no population frame"),
    ('column = "asked"', 'column = "said"', r"column 'said' \(instrument 'direct'\) is not in the data"),
    ('arm = "arm"', 'arm = "arm"\nplacebo = "fake"', r"column 'fake' \(placebo\) is not in the data"),
]


@pytest.mark.parametrize(("old", "new", "message"), DATA_FAULTS, ids=[new[:40] for _, new, _ in DATA_FAULTS])
def test_what_the_data_do_not_bear_is_refused_before_any_fit(folder, old, new, message):
    with pytest.raises(InputError, match=message):
        study_of(read_spec(spec(folder, (old, new))))


def test_lines_of_tables_written_in_any_way():
    text = '[a.b]\nx = 1\n\n[[c.d]]\nx = 2\n\n[[c.d]]\ny = 3\n\n[e]\nf = { x = 3 }\n'
    assert line_of(text, "x", "a.b") == 2
    assert (line_of(text, "x", "c.d"), line_of(text, "y", "c.d", 2)) == (5, 8)
    assert line_of(text, "x", "c.d", 2) == 7  # not there: its header
    assert line_of(text, "x", "e.f") == 11  # inline: the line of its name


# Runs


def test_a_run_depends_on_margins_and_instruments(folder):
    def key(*changes):
        read = read_spec(spec(folder, *changes))
        return key_of(study_of(read)[0].sha256, fit_arguments(read))

    keys = [key(), key(("yes = 30", "yes = 31")), key(("discount = 0.5\n", "")), key(('lie = "1 + region"', 'lie = "1"')),
            key(('"1 + region"\ncounts', '"1 + region"\ninstruments = { direct = { lies = "two_sided" } }\ncounts'))]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_the_command_line_from_check_to_show(folder, capsys):
    path = spec(folder)

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        return stop.value.code, capsys.readouterr().out

    code, out = run("check", path)
    assert code == 0
    assert "instrument direct (asked): " in out
    assert "\nanswer missing, kept for other instruments (y): " in out
    assert "excluded, answer missing (y): " in out
    made = run_spec(read_spec(path), folder / "out")
    tree = load_tree(made.folder)
    assert len(fact(tree, "specification")["margins"]) == 2
    other = load_tree(made.folder / "alternative_1.nc")
    assert [fact(t, "instruments")["direct"]["lies"] for t in (tree, other)] == ["one_sided", "two_sided"]
    summary = json.loads((made.folder / "summary.json").read_text(encoding="utf-8"))
    bias = next(row for row in summary["instruments"]["direct"] if row["estimate"] == "sensitivity_bias")
    expected = summarise(misreporting(tree)["sensitivity_bias"]).iloc[0]
    assert bias["median"] == pytest.approx(expected["median"])
    code, out = run("show", made.folder)
    assert code == 0
    assert f"direct: Sensitivity bias: prevalence minus direct: {expected['median']:.3f} (" in out
    assert (made.folder / "figures" / "direct-region.svg").exists()
    assert (made.folder / "tables" / "direct-region.csv").exists()
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    assert "among region = north is known to be that of 30 of 100" in page
    assert "counted at 50 % of its weight" in page


def test_a_run_with_several_items_has_a_prevalence_for_each(folder):
    lists(people()).to_csv(folder / "survey.csv", index=False)
    made = run_spec(read_spec(spec(folder, *SEVERAL)), folder / "out", report=False)
    summary = json.loads((made.folder / "summary.json").read_text(encoding="utf-8"))
    rows = summarise(prevalence(load_tree(made.folder), by="item"))
    assert [row["item"] for row in summary["prevalence"]] == ["first item", "second item"]
    assert [row["median"] for row in summary["prevalence"]] == pytest.approx(rows["median"].tolist())
    for item, row in zip(("first item", "second item"), rows.to_dict("records"), strict=True):
        assert f"{100 * row['median']:.0f} % support {item}" in summary["headline"]


# The synthetic survey


def test_the_synthetic_survey_is_drawn_from_what_it_says_is_true():
    drawn = list_and_direct(n=4000, seed=5)
    study = ListExperiment.from_frame(drawn.survey, answer="answer", arm="arm", J=3, covariates=["gender", "region"])
    truth = drawn.truth.set_index(["group", "level"])["prevalence"]
    checked = [("all", "all", difference_in_means(study).iloc[0])]
    checked += [("gender", row["gender"], row) for _, row in difference_in_means(study, by="gender").iterrows()]
    for group, level, row in checked:
        assert abs(row["estimate"] - truth[group, level]) < 4 * row["se"]  # one in 16,000 by chance
    yes, asked = drawn.survey["asked"].eq("yes"), drawn.survey["asked"].isin(["yes", "no"])
    assert yes.sum() / asked.sum() < truth["all", "all"] - 0.05  # lies hide more than sampling error
    assert not (yes & (drawn.survey["arm"] == "treatment") & (drawn.survey["answer"] == 0)).any()
    assert drawn.population["N"].sum() == pytest.approx(1_000_000, abs=12)
    pd.testing.assert_frame_equal(list_and_direct(n=300, seed=2).survey, list_and_direct(n=300, seed=2).survey)
