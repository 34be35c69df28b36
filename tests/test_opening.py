"""Files that are no files, that never end, that unpack to more than there is memory, or that lie elsewhere."""

import gzip
import os
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from bayes_listexp import opening, read
from bayes_listexp.errors import InputError
from bayes_listexp.opening import Limits, limits_of
from bayes_listexp.published.table import read_published
from bayes_listexp.read import read_population, read_regions, read_survey
from bayes_listexp.scanning import scan_survey
from bayes_listexp.spec import read_spec, study_of

FRAME = pd.DataFrame({"y": np.arange(40) % 4, "arm": np.arange(40) % 2, "x": ["a", "b"] * 20})
SMALL = Limits(values=100)
WRITERS = {
    "csv": lambda path: FRAME.to_csv(path, index=False),
    "csv.gz": lambda path: FRAME.to_csv(path, index=False),
    "parquet": FRAME.to_parquet,
    "dta": lambda path: pyreadstat.write_dta(FRAME, path),
    "sav": lambda path: pyreadstat.write_sav(FRAME, path),
    "zsav": lambda path: pyreadstat.write_sav(FRAME, path, compress=True),
}


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt at a connection, or at finding an address, fails loudly."""
    def refuse(*_args, **_more):
        raise AssertionError("a connection was tried")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


ADDRESSES = ["http://127.0.0.1:9/a.csv", "https://127.0.0.1:9/a.parquet", "s3://bucket/a.parquet", "file:///etc/a.csv", "ftp://h/a.dta",
             "simplecache::http://127.0.0.1:9/a.csv", "HTTP://h/a.sav", "hdfs://h/a.parquet"]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("reader", [read_survey, read_population, scan_survey, read_regions,
                                    lambda name: read_published(name, J=3, N=10), read_spec])
def test_addresses_are_refused_and_nothing_is_sent(address, reader, no_network):
    with pytest.raises(InputError, match="only files of this machine"):
        reader(address)


def test_addresses_in_a_spec_are_refused(tmp_path, no_network):
    spec = tmp_path / "study.toml"
    for address in ADDRESSES[:4]:
        spec.write_text(f'[data]\nfile = "{address}"\nanswer = "y"\narm = "arm"\nJ = 3\n')
        with pytest.raises(InputError, match="only files of this machine"):
            study_of(read_spec(spec))


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_of_more_values_than_the_limit_is_refused_with_both_numbers_and_read_when_it_is_raised(ending, tmp_path):
    path = tmp_path / f"study.{ending}"
    WRITERS[ending](path)
    said = r"40 rows of 3 columns are 120 values, more than the limit of 100.*Limits\(values=.*\[data.limits\]"
    with pytest.raises(InputError, match=said):
        read_survey(path, limits=SMALL)
    assert len(read_survey(path, limits=Limits(values=120))) == 40


def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "study.csv"
    FRAME.to_csv(path, index=False)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    with pytest.raises(InputError, match=r"bytes are more than the limit of 1e-08 GiB.*limits = Limits\(gib="):
        read_survey(path, limits=Limits(gib=1e-8))


def test_a_packed_file_is_unpacked_no_further_than_the_limit(tmp_path, monkeypatch):
    path, made = tmp_path / "bomb.csv.gz", []
    path.write_bytes(gzip.compress(b"y,arm\n" + b"0,1\n" * 5_000_000))  # 20 MB in 20 kB
    monkeypatch.setattr(opening, "_gib", lambda size: made.append(size) or f"{size} bytes")
    with pytest.raises(InputError, match=r"unpack to more than the limit of 0.001 GiB"):
        read_survey(path, limits=Limits(gib=0.001))
    assert len(made) == 1
    several = gzip.compress(b"y,arm\n0,1\n") + gzip.compress(b"1,0\n")
    assert opening.unpacked(path, several) == gzip.decompress(several)
    for broken in (several[:-9], several[:20], b"no gzip", several[:40] + b"!" + several[41:]):
        with pytest.raises(InputError, match="damaged"):
            opening.unpacked(path, broken)


def test_a_parquet_file_of_few_bytes_and_many_rows_is_refused_by_what_it_says_of_itself(tmp_path):
    path = tmp_path / "bomb.parquet"
    pd.DataFrame({name: np.zeros(2_000_000) for name in "ab"}).to_parquet(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="2,000,000 rows of 2 columns"):
        read_survey(path, limits=Limits(values=1e6))


def test_devices_and_pipes_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "spec.toml").symlink_to("/dev/zero")
    for name in ("pipe.csv", "zero.csv"):
        for reader in (read_survey, scan_survey, lambda path: read_published(path, J=3, N=10)):
            with pytest.raises(InputError, match="no regular file"):
                reader(tmp_path / name)
    with pytest.raises(InputError, match="no regular file"):
        read_spec(tmp_path / "spec.toml")


def test_names_with_a_zero_byte_or_without_end_are_errors_of_ours(tmp_path):
    for name in ("a\0b.csv", "x" * 5000 + ".csv", "../" * 3000 + "a.csv"):
        with pytest.raises(InputError):
            read_survey(tmp_path / name)


@pytest.mark.parametrize("text", ["x = " + "[" * 50_000, "x = " + "[" * 50_000 + "]" * 50_000, "x = " + "{a=" * 20_000 + "1" + "}" * 20_000,
                                  "[" + "a." * 3_000 + "a]\nb = 1", "x = " + "1" * 100_000, '"' * 100_000, "a = 1\n" * 2 + "[[a]]"])
def test_specs_that_nest_without_end_are_refused(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(InputError, match="study.toml"):
        read_spec(path)


def test_a_spec_is_a_small_file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("#" * (2**20 + 1))
    with pytest.raises(InputError, match="more than the limit"):
        read_spec(path)


def test_maps_that_nest_without_end_are_refused(tmp_path):
    path = tmp_path / "map.geojson"
    path.write_text('{"type": ' + "[" * 200_000 + "]" * 200_000 + "}")
    with pytest.raises(InputError, match="lists within lists"):
        read_regions(path)


SPEC = '[data]\nfile = "study.csv"\nanswer = "y"\narm = "arm"\nJ = 3\ncovariates = ["x"]\n'


def test_limits_of_a_spec(tmp_path):
    FRAME.to_csv(tmp_path / "study.csv", index=False)
    path = tmp_path / "study.toml"
    path.write_text(f"{SPEC}limits = {{ values = 100 }}\n")
    with pytest.raises(InputError, match="120 values, more than the limit of 100"):
        study_of(read_spec(path))
    path.write_text(f"{SPEC}limits = {{ values = 120, gib = 1 }}\n")
    assert study_of(read_spec(path))[0].n == 40
    for wrong in ("{ gb = 1 }", "{ gib = -1 }", '{ gib = "much" }', "{ values = true }", "{ values = nan }"):
        path.write_text(f"{SPEC}limits = {wrong}\n")
        with pytest.raises(InputError, match=r"study.toml, line 7: \[data.limits\] limits"):
            read_spec(path)
    assert limits_of({}) == opening.USUAL


def test_every_reader_is_limited():
    assert set(WRITERS) == {ending.removeprefix(".") for ending in read.READERS}


def test_a_file_that_crashes_its_library_is_refused(tmp_path):
    """One byte of a variable's record is wrong, and the C library ends its process."""
    frame = pd.DataFrame({"y": [0.0, 1, 2, 3, 1], "arm": [0.0, 1, 0, 1, 1], "g": ["a", "b", "a", "c", "a"], "m": [1.0, 2, 9, 1, 2]})
    path = tmp_path / "a.sav"
    pyreadstat.write_sav(frame, path, variable_value_labels={"arm": {0: "control", 1: "treatment"}}, missing_ranges={"m": [9]})
    content = bytearray(path.read_bytes())
    content[370] = 0o260
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.sav: the SPSS file is damaged, so badly that .* crashes. Copy or export it again"):
        read_survey(path)


def test_a_trial_needs_a_python_of_its_own(tmp_path, monkeypatch):
    """Inside R or an application the executable is another program, which is not started."""
    WRITERS["sav"](tmp_path / "a.sav")
    monkeypatch.setattr("sys.executable", "/usr/lib/R/bin/exec/R")
    monkeypatch.setattr("subprocess.run", lambda *_args, **_more: pytest.fail("a program was started"))
    assert len(read_survey(tmp_path / "a.sav")) == 40
