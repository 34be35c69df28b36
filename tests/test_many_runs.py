"""Many runs at once: order, failures, processes that die, limits; and that workers leave every draw as it is."""

import os
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from bayes_listexp import batch
from bayes_listexp.batch import Run, run_spec
from bayes_listexp.errors import InputError
from bayes_listexp.fit_command import _collect
from bayes_listexp.folders import load_tree
from bayes_listexp.many_runs import (
    THREADS,
    Job,
    Outcome,
    in_processes,
    on_cluster,
    processors,
    run_job,
    shares,
    time_left,
)
from bayes_listexp.spec import read_spec
from tests.fake_work import drawn, faulty, greedy, killed, limits
from tests.test_spec_and_cli import people, run

QUICK = """\
title = "A quick look"

[data]
file = "survey.csv"
answer = "y"
arm = "treat"
J = 4

[model]
trait = "1"
counts = "binomial"

[sample]
method = "map"
seed = {seed}
"""


@pytest.fixture
def folder(tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    for seed in (1, 2):
        (tmp_path / f"seed{seed}.toml").write_text(QUICK.format(seed=seed), encoding="utf-8")
    return tmp_path


def in_order(outcomes):
    return sorted(outcomes, key=lambda outcome: outcome.position)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_follow_from_the_items_and_not_from_the_workers(workers):
    found = list(in_processes(drawn, [5, 6, 7], workers=workers))
    assert [o.result for o in in_order(found)] == [drawn(5), drawn(6), drawn(7)]
    assert all(o.error is None and o.seconds >= 0 for o in found)


def test_a_failure_is_listed_and_the_rest_goes_on():
    found = in_order(in_processes(faulty, [0, 1, 2, 3], workers=2))
    assert [o.result for o in found] == [0, None, None, 3]
    assert [type(o.error) for o in found] == [type(None), InputError, KeyError, type(None)]
    assert str(found[1].error) == "column 'y': no answers."


def test_an_item_whose_process_dies_is_begun_once_more(tmp_path):
    found = in_order(in_processes(killed, [(i, str(tmp_path)) for i in range(4)], workers=2))
    assert [o.result for o in found] == [drawn(0), drawn(1), None, drawn(3)]
    assert isinstance(found[2].error, BrokenProcessPool)
    assert [len(list(tmp_path.glob(f"{i}-*"))) for i in range(4)] == [1, 2, 2, 1]  # who did not die was not disturbed


def test_processes_have_their_limits_and_this_one_keeps_its_own():
    before = {name: os.environ.get(name) for name in THREADS}
    (found,) = in_processes(limits, [0], workers=1, threads=3)
    assert set(found.result.values()) == {"3"}
    assert {name: os.environ.get(name) for name in THREADS} == before
    small, large = in_order(in_processes(greedy, [0.01, 2.0], workers=1, memory=1.0))
    assert small.result == int(0.01 * 2**30)
    assert isinstance(large.error, MemoryError)


@pytest.mark.parametrize(("available", "items", "asked", "expected"), [
    (8, 20, None, (8, 1)), (8, 3, None, (3, 2)), (8, 1, None, (1, 8)), (2, 5, 8, (2, 1)), (8, 20, 2, (2, 4)), (1, 4, None, (1, 1)),
])
def test_processes_and_threads_share_the_processors(available, items, asked, expected):
    assert shares(available, items, asked) == expected
    assert np.prod(expected) <= available


def test_processors_are_those_that_this_process_may_use():
    assert 1 <= processors() <= os.cpu_count()


@pytest.mark.parametrize(("seconds", "done", "items", "said"), [
    (10, 1, 6, "; about 50 s left"), (600, 5, 15, "; about 20 min left"), (3600, 1, 4, "; about 3.0 h left"), (9, 3, 3, ""),
])
def test_time_left_goes_on_as_before(seconds, done, items, said):
    assert time_left(seconds, done, items) == said


def test_a_run_in_a_process_has_no_more_chains_at_once_than_its_share(folder, monkeypatch):
    given = []
    monkeypatch.setattr(batch, "run_spec", lambda spec, out, **more: given.append((spec.table("sample"), spec.text)))
    spec = read_spec(folder / "seed1.toml")
    run_job(Job(spec, folder, False, 2))
    assert given == [({"method": "map", "seed": 1, "cores": 2}, spec.text)]  # what is stored as run is what the file said


def test_every_end_is_told_and_failures_have_their_reason(folder, capsys):
    specs = [read_spec(folder / f"seed{seed}.toml") for seed in (1, 2)]
    fine = Run(folder / "seed1", True)
    assert _collect(specs, [Outcome(0, fine, None, 2.0), Outcome(1, fine, None, 2.0)], False, lambda text: None) == 0
    assert _collect(specs, [Outcome(0, Run(fine.folder, False), None, 2.0)], False, lambda text: None) == 1
    capsys.readouterr()
    said = []
    died = [Outcome(1, None, ValueError("no\nmode " + "x" * 400), 3.0), Outcome(0, None, BrokenProcessPool(), 4.0)]
    assert _collect(specs, died, True, said.append) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said == ["[1/2] seed2: failed in 3 s; about 0 s left", "[2/2] seed1: failed in 4 s"]
    assert err.splitlines()[0] == "2 of 2 runs failed; the same command does only these again:"
    assert "seed1.toml  its process died twice: killed from outside, or short of memory" in err.splitlines()[1]
    assert "seed2.toml  ValueError: no mode xxx" in err.splitlines()[2]
    assert len(err.splitlines()[2]) < len(str(folder)) + 360


@pytest.mark.parametrize(("options", "message"), [
    (["--jobs", 0], "--jobs 0: must be at least 1"),
    (["--memory", 0], "--memory 0.0: must be a positive number of GiB"),
    (["--scheduler", "tcp://127.0.0.1:1", "--jobs", 2], "leave out --jobs and --memory"),
])
def test_options_that_cannot_be_are_refused(capsys, folder, options, message):
    code, _, err = run(capsys, "fit", folder / "seed1.toml", *options, "--out", folder / "runs")
    assert code == 2
    assert message in err
    assert not (folder / "runs").exists()


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_does_the_same_work():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        found = in_order(on_cluster(faulty, [0, 1, 3], cluster.scheduler_address))
    assert [o.result for o in found] == [0, None, 3]
    assert isinstance(found[1].error, InputError)


def test_a_page_that_fails_does_not_lose_the_fit(folder, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no ink")

    spec = read_spec(folder / "seed1.toml")
    out = folder / "out"
    monkeypatch.setattr(batch, "survey_report", broken)
    with pytest.raises(RuntimeError, match="no ink"):
        run_spec(spec, out)
    assert [path.name for path in (out / "seed1").iterdir()] == ["fit.nc"]
    monkeypatch.setattr(batch, "fit", lambda *a, **k: pytest.fail("the fit was lost"))
    run_spec(spec, out, report=False)


@pytest.mark.slow
def test_other_processes_give_the_fits_of_this_one(folder, capsys):
    specs = [folder / f"seed{seed}.toml" for seed in (1, 2)]
    code, out, err = run(capsys, "fit", *specs, "--jobs", 2, "--out", folder / "there")
    assert code == 1  # a quick look has not converged
    assert sorted(Path(line).parent.name for line in out.split()) == ["seed1", "seed2"]
    assert "[2/2]" in err
    here = [load_tree(run_spec(read_spec(spec), folder / "here", report=False).folder) for spec in specs]
    there = [load_tree(folder / "there" / spec.stem) for spec in specs]
    for tree in [*here, *there]:
        tree.attrs.pop("environment")  # the others may have been told to use fewer threads
    assert [one.identical(other) for one, other in zip(here, there, strict=True)] == [True, True]
    assert not here[0]["posterior"].identical(here[1]["posterior"])
