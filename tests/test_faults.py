"""What becomes of results when something breaks; benchmarks/faults.py does the same with processes that really die."""

import errno
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp import batch, folders
from bayes_listexp.batch import Run
from bayes_listexp.checks import converged, convergence
from bayes_listexp.errors import InputError
from bayes_listexp.fit_command import _collect
from bayes_listexp.folders import NEW, alone_in, load_tree, parts_of, store_tree, write_text
from bayes_listexp.kept_fits import Fits
from bayes_listexp.many_runs import Outcome, on_cluster
from bayes_listexp.read import read_survey
from bayes_listexp.sampling import Density, Sampler, sample_nuts
from bayes_listexp.scanning import scan_survey
from bayes_listexp.spec import read_spec
from bayes_listexp.stored import interrupted
from benchmarks import batch_throughput, faults
from tests.fake_work import faulty, store_one
from tests.test_spec_and_cli import SURVEY, people, run


@pytest.fixture(autouse=True)
def ctrl_c_is_heeded():
    """It is not in a process that began in the background, nor in those that it begins."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(call):
    """A normal density of two parameters; its given call is a Ctrl-C."""
    calls = []

    def evaluate(x):
        calls.append(x)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return -0.5 * float(x @ x), -x

    return Density(evaluate, np.zeros(2))


# Ctrl-C in sampling


def test_an_interrupted_run_has_what_was_drawn_and_says_so():
    settings = Sampler(draws=20_000, tune=100, chains=3, cores=1)
    draws, stats = sample_nuts(interrupting(4000), settings, seed=1)
    chains, length = draws.shape[:2]
    assert (chains, dict(stats.sizes)) == (1, {"chain": 1, "draw": length})  # one at a time: the others had not begun
    assert 20 <= length < 20_000
    assert np.isfinite(draws).all()
    assert stats.attrs["interrupted"] == f"1 of 3 chains, with {length:,} of 20,000 draws each"
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw", "k"), draws)}), "sample_stats": stats})
    assert interrupted(tree).startswith("1 of 3 chains")
    first = convergence(tree)[0]
    assert first.passed is False
    assert "Sampling was interrupted: there are 1 of 3 chains" in first.text
    assert [check.text for check in convergence(tree) if check.name == "R-hat"] == ["There is one chain, and none to agree with."]
    assert not converged(tree)


def test_a_run_that_is_interrupted_before_it_drew_leaves_nothing():
    with pytest.raises(KeyboardInterrupt):
        sample_nuts(interrupting(100), Sampler(draws=100, tune=2000, chains=2, cores=2), seed=1)


def test_a_run_that_was_not_interrupted_is_whole():
    draws, stats = sample_nuts(interrupting(10**9), Sampler(draws=50, tune=50, chains=2, cores=2), seed=1)
    assert draws.shape == (2, 50, 2)
    assert "interrupted" not in stats.attrs


# Damaged results


def a_fit(value=0.0, left=""):
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 9), dtype=bool))}, attrs={"interrupted": left} if left else {})
    draws = xr.Dataset({"x": (("chain", "draw"), np.full((2, 9), value))}, coords={"draw": np.arange(9)})
    tree = xr.DataTree.from_dict({"posterior": draws, "sample_stats": stats})
    tree.attrs = {"specification": "{}"}
    return tree


@pytest.fixture
def fits(tmp_path):
    said = []
    return Fits(tmp_path / "run", said.append, said.append), said


def test_a_stored_fit_comes_back_and_any_damage_to_it_is_seen(tmp_path):
    path = tmp_path / "fit.nc"
    store_tree(a_fit(), path)
    assert load_tree(path).identical(a_fit())
    with xr.open_datatree(path, engine="h5netcdf") as tree:  # the seal is in nobody's way
        assert tree.load().identical(a_fit())
    content = path.read_bytes()
    broken = [content[:n] for n in (0, 1, 7, 100, len(content) // 2, len(content) - 80)]
    for at in np.linspace(0, len(content) - 1, 15, dtype=int):
        broken.append(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for damaged in broken:
        path.write_bytes(damaged)
        if damaged[-folders.SEALED :].startswith(folders.SEAL) or len(damaged) < len(content):
            with pytest.raises(InputError, match=r"fit\.nc: not a readable fit .*Run `bayes-listexp fit` again"):
                load_tree(path)
        else:  # the seal's own first bytes
            assert load_tree(path).identical(a_fit())


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b[:300] + b"x" + b[301:]],
                         ids=["empty", "cut off", "changed"])
def test_a_damaged_fit_is_set_aside_and_made_again(fits, damage):
    fits, said = fits
    fits.of("fit", "key", lambda: a_fit(1))
    path = fits.target / "fit.nc"
    path.write_bytes(before := damage(path.read_bytes()))
    made = fits.of("fit", "key", lambda: a_fit(2))
    assert load_tree(path).identical(made)
    assert (fits.target / "fit.nc.damaged").read_bytes() == before
    assert said[1].startswith(f"{path}: not a readable fit (")
    assert said[1].endswith("It is kept as fit.nc.damaged, and is made again.")
    fits.of("fit", "key", lambda: pytest.fail("made once more"))


def test_a_fit_of_another_key_is_replaced_with_all_that_was_said_of_it(fits):
    fits, _ = fits
    fits.of("fit", "key", lambda: a_fit(1))
    write_text(fits.target / "report.html", "of the first")
    assert fits.of("fit", "other", lambda: a_fit(2)).identical(load_tree(fits.target))
    assert [path.name for path in fits.target.iterdir()] == ["fit.nc"]


def test_a_stored_fit_gets_the_smallest_group_that_may_be_shown_now(fits):
    fits, _ = fits
    tree = fits.of("fit", "key", a_fit)
    assert fits.withholding("fit", tree, 0) is tree
    assert fits.withholding("fit", tree, 20).attrs["smallest_group"] == 20
    assert load_tree(fits.target).attrs["smallest_group"] == 20  # which `show` and `compare` read
    fits.of("fit", "key", lambda: pytest.fail("made again"))


def test_a_fit_that_was_interrupted_is_kept_marked_and_never_taken_for_a_whole_one(fits):
    fits, said = fits
    left = "1 of 2 chains, with 9 of 500 draws each"
    with pytest.raises(KeyboardInterrupt):
        fits.whole("total", "key", lambda: a_fit(1, left))
    fits.of("fit", "key", lambda: a_fit(2, left))
    assert [interrupted(load_tree(fits.target / name)) for name in ("total.nc", "fit.nc")] == [left, left]
    assert f"sampling was interrupted. It holds {left}, marked as such" in said[-1]
    assert not interrupted(fits.of("fit", "key", lambda: a_fit(3)))
    fits.of("fit", "key", lambda: pytest.fail("a whole fit was made again"))


# Writing


def test_what_cannot_be_written_leaves_what_was_there(tmp_path, monkeypatch):
    path = write_text(tmp_path / "summary.json", "old")

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"summary\.json: cannot be written \(No space left on device\)\. Make room"):
        write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "old"


def test_a_page_takes_the_place_of_the_old_one_or_leaves_it(tmp_path):
    for text in ("old", "new"):
        with parts_of(tmp_path) as folder:
            (folder / "tables").mkdir()
            write_text(folder / "tables" / f"{text}.csv", text)
            write_text(folder / "report.html", text)

    def half():
        with parts_of(tmp_path) as folder:
            write_text(folder / "report.html", "half")
            raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        half()
    found = {p.relative_to(tmp_path).as_posix(): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"tables/new.csv": "new", "report.html": "new"}


def test_a_folder_is_one_process_s_at_a_time(tmp_path):
    with alone_in(tmp_path / "run"):
        with pytest.raises(InputError, match=rf"run: process {os.getpid()} on .* is writing there. Wait for its end, or name another"), \
                alone_in(tmp_path / "run", patience=0):
            pass
        (tmp_path / "run" / "fit.nc").touch()
    with alone_in(tmp_path / "run", patience=0), alone_in(tmp_path / "other", patience=0):
        pass
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == ["run", "run/fit.nc"]


def started(call, *arguments):
    return subprocess.Popen([sys.executable, "-c", f"from tests import fake_work; fake_work.{call}(*{arguments!r})"])


def until(true):
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def test_a_process_that_is_killed_holds_no_folder_and_what_it_left_unfinished_goes(tmp_path):
    process = started("hold", str(tmp_path))
    until((tmp_path / f"{NEW}fit.nc").exists)
    with pytest.raises(InputError, match=f"process {process.pid} on"), alone_in(tmp_path, patience=0):
        pass
    process.kill()
    process.wait()
    with alone_in(tmp_path, patience=0):
        assert [p.name for p in tmp_path.iterdir()] == [folders.LOCK]


def test_results_that_cannot_be_written_are_refused_before_anything_is_fitted(tmp_path, monkeypatch, capsys):
    people().to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "survey.toml").write_text(SURVEY, encoding="utf-8")
    (tmp_path / "runs").write_text("a file in the way")
    monkeypatch.setattr(batch, "fit", lambda *a, **k: pytest.fail("it was fitted"))
    code, _, err = run(capsys, "fit", tmp_path / "survey.toml", "--out", tmp_path / "runs")
    assert code == 2
    assert "survey: results cannot be written there (Not a directory). Name another folder with --out." in err
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 2**21, 2**21))
    code, _, err = run(capsys, "fit", tmp_path / "survey.toml", "--out", tmp_path / "new")
    assert code == 1
    assert "the disk is full (2 MiB are free, 32 are needed to begin). Make room" in err


# Processes


@pytest.mark.parametrize(("how", "left"), [(signal.SIGKILL, 0), (signal.SIGINT, 2)], ids=["killed", "interrupted"])
def test_processes_end_with_the_one_that_began_them(tmp_path, how, left):
    main = started("wait_in_processes", str(tmp_path))
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    for process in workers if how == signal.SIGINT else []:  # a terminal interrupts all of them
        os.kill(process, how)
    main.send_signal(how)
    main.wait(60)
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert len(list(tmp_path.glob("*.interrupted"))) == left


def test_an_interruption_says_how_far_it_came(tmp_path, capsys, monkeypatch):
    people().to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "survey.toml").write_text(SURVEY, encoding="utf-8")
    specs = [read_spec(tmp_path / "survey.toml")] * 3

    def outcomes():
        yield Outcome(0, Run(tmp_path, True, ("fit.nc: not a readable fit.",)), None, 1.0)
        yield Outcome(1, None, KeyError("north"), 1.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _collect(specs, outcomes(), False, lambda text: None)
    assert capsys.readouterr().err == (
        "fit.nc: not a readable fit.\nInterrupted: 1 of 3 runs are done; the same command does the rest.\n")

    def stopped(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "run_spec", stopped)
    code, _, err = run(capsys, "fit", tmp_path / "survey.toml", "--out", tmp_path / "runs")
    assert (code, err) == (130, "bayes-listexp: interrupted. What was finished is kept.\n")


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_begins_nothing_new_when_it_is_interrupted():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        outcomes = on_cluster(faulty, [0, *[40] * 30], cluster.scheduler_address)  # a minute's work, in pieces of two seconds
        assert next(outcomes).result == 0
        begun = time.monotonic()
        outcomes.close()
    assert time.monotonic() - begun < 30


@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_a_cluster_stores_fits_without_asking_the_scheduler(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        [outcome] = on_cluster(store_one, [str(tmp_path)], cluster.scheduler_address)
    assert outcome.error is None
    assert outcome.result == 9


# Downloads


@pytest.mark.parametrize("read", [read_survey, scan_survey, lambda path: scan_survey([path.with_name("whole.parquet"), path])],
                         ids=["in memory", "where it is", "the second of two"])
def test_an_interrupted_download_is_named(tmp_path, read):
    people().to_parquet(tmp_path / "whole.parquet")
    path = tmp_path / "survey.parquet"
    content = (tmp_path / "whole.parquet").read_bytes()
    for size in (8, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match=r"survey\.parquet: the end of the parquet file is missing, as after an interrupted download"):
            read(path)


def test_a_compressed_file_that_is_cut_off_is_named(tmp_path):
    path = tmp_path / "survey.csv.gz"
    content = gzip.compress(people().to_csv(index=False).encode())
    for size in (3, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:size])
        for read in (read_survey, scan_survey):
            with pytest.raises(InputError, match=r"survey\.csv\.gz: the .*file is damaged"):
                pd.DataFrame(read(path))


# The tables of the benchmarks


def test_the_watch_of_the_benchmark_sees_what_is_lost_and_what_is_wrong(tmp_path):
    place = faults.Place(tmp_path, ["a", "b"], {name: a_fit(1) for name in "ab"}, {name: "{}" for name in "ab"})
    watch = faults.Watch(place, "runs")
    for name in "ab":
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert watch.look() == (0, 0)
    assert watch.look(complete=True) == (0, 4)  # two fits and two summaries
    store_tree(a_fit(1), tmp_path / "runs" / "a" / "fit.nc")
    assert watch.look() == (0, 0)
    store_tree(a_fit(1), tmp_path / "runs" / "a" / "fit.nc")  # finished, and made again
    store_tree(a_fit(2), tmp_path / "runs" / "b" / "fit.nc")  # another result
    assert watch.look() == (1, 1)
    (tmp_path / "runs" / "b" / "fit.nc").write_bytes(b"half")
    assert watch.look() == (0, 1)
    (tmp_path / "runs" / "a" / "fit.nc").unlink()
    store_tree(a_fit(1, "1 of 2 chains"), tmp_path / "runs" / "b" / "fit.nc")  # marked, so that nobody takes it for a whole one
    assert watch.look() == (1, 0)


def test_the_page_on_faults_adds_tries_up():
    every = [{"fault": "twice", "lost": 1, "wrong": 0, "message": "bayes-listexp: /a/b/held/one: process 17 on host is writing there."},
             {"fault": "twice", "lost": 0, "wrong": 2, "message": "bayes-listexp: held/one: process 4 on other is writing there."},
             {"fault": "kill", "lost": 0, "wrong": 0, "message": "", "whom": "main"},
             {"fault": "kill", "lost": 0, "wrong": 1, "message": "", "whom": "nobody"}]  # fmt: skip
    kill, twice = faults.rows(every)
    assert kill[1:] == ["1", "0", "1", "(none; the same command does the rest)"]
    assert twice[1:] == ["2", "1", "2", "`bayes-listexp: runs/one: process 1234 on this-machine is writing there.`"]


def test_the_table_of_throughput_is_of_medians():
    one = {"way": "dask", "workers": 1, "killed": False, "fits": 60, "complete": 60, "identical": 60, "load": 0.1}
    every = [{**one, "seconds": s} for s in (90.0, 110.0, 100.0)] + [{**one, "workers": 2, "seconds": s} for s in (50.0, 50.0, 70.0)]
    every.append({**one, "workers": 2, "killed": True, "seconds": 60.0, "identical": 59})
    text = batch_throughput.summary(every)
    assert "| dask | 60 | 3 | 100 | 50 | 2.00 | 0.1 to 0.1 |" in text
    assert "| dask, a worker killed | 1 | 60 | 60 | 59 |" in text
