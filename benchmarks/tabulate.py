"""What tabulating costs: parquet of 100,000 to ten million respondents, by every engine that is installed.

``python benchmarks/tabulate.py`` writes files of answers, arms, waves, four covariates and weights in chunks, tabulates each in a process
of its own, prints a Markdown table and, with ``--json FILE`` and ``--markdown FILE``, writes both. Beside each time stands the processor's
time, which other users of the machine disturb less, and a yardstick: a fixed NumPy workload timed in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (100_000, 1_000_000, 10_000_000)
ENGINES = {"file": "pyarrow", "polars": "polars", "duckdb": "duckdb"}
LEVELS = {"wave": 4, "region": 17, "gender": 2, "age": 4, "education": 3}
CHUNK = 1_000_000
COLUMNS = ("engine", "respondents", "file_mb", "rows_back", "seconds", "cpu_seconds", "peak_gib")


def write_parquet(path: Path, respondents: int, seed: int = 1) -> None:
    """A file of simulated respondents, written a million at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer = np.random.default_rng(seed), None
    for start in range(0, respondents, CHUNK):
        n = min(CHUNK, respondents - start)
        columns: dict[str, Any] = {"answer": rng.integers(0, 5, n), "arm": rng.integers(0, 2, n)}
        columns |= {name: np.array([f"{name} {i}" for i in range(size)])[rng.integers(0, size, n)] for name, size in LEVELS.items()}
        table = pa.table(columns | {"weight": rng.gamma(4.0, 0.25, n)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def measured(path: Path, engine: str) -> dict[str, Any]:
    """Seconds, processor seconds and peak memory of reading a study from the file, imports not counted in the seconds."""
    from bayes_listexp.experiment import ListExperiment
    from bayes_listexp.scanning import scan_survey

    if engine == "polars":
        import polars

        data: Any = polars.scan_parquet(path)
    elif engine == "duckdb":
        import duckdb

        data = duckdb.read_parquet(str(path))
    else:
        data = scan_survey(path)
    wall, cpu = time.perf_counter(), time.process_time()
    study = ListExperiment.from_frame(data, answer="answer", arm="arm", J=4, wave="wave", weights="weight")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"rows_back": study.source["tabulated_rows"], "seconds": wall, "cpu_seconds": cpu, "peak_gib": peak_memory(),
            "sha256": study.sha256}  # fmt: skip


def peak_memory() -> float:
    """GiB that this process has had at its highest, of Linux: `getrusage` would count what the process had that began it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def yardstick() -> float:
    """Processor seconds of a fixed NumPy workload."""
    rng, start = np.random.default_rng(0), time.process_time()
    for _ in range(5):
        np.sort(rng.normal(size=2_000_000))
    return time.process_time() - start


def main(sizes: tuple[int, ...] = SIZES, runs: int = 3) -> dict[str, Any]:
    """Every engine at every size, the median of some runs each; the file is deleted afterwards."""
    rows = []
    engines = [engine for engine, package in ENGINES.items() if find_spec(package)]
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / "respondents.parquet"
            write_parquet(path, size)
            for engine in engines:
                found = [in_a_process(path, engine) for _ in range(runs)]
                middle = sorted(found, key=lambda one: one["cpu_seconds"])[len(found) // 2]
                rows.append({"engine": engine, "respondents": size, "file_mb": path.stat().st_size / 1e6, **middle})
                print(f"{engine} {size:,}: {middle['seconds']:.1f} s", file=sys.stderr)
    return {"yardstick_cpu_seconds": yardstick(), "rows": rows}


def in_a_process(path: Path, engine: str) -> dict[str, Any]:
    """What :func:`measured` finds in a process of its own."""
    run = subprocess.run([sys.executable, __file__, "--one", str(path), engine], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def markdown(result: dict[str, Any]) -> str:
    """The measurements as a table."""
    lines = [f"Yardstick: {result['yardstick_cpu_seconds']:.2f} processor seconds.", "", "| " + " | ".join(COLUMNS) + " |",
             "|" + "---|" * len(COLUMNS)]
    for row in result["rows"]:
        values = [f"{row[name]:,.2f}" if isinstance(row[name], float) else f"{row[name]:,}" if isinstance(row[name], int) else row[name]
                  for name in COLUMNS]
        lines.append("| " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("FILE", "ENGINE"), help=argparse.SUPPRESS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(Path(options.one[0]), options.one[1])))
    else:
        result = main(tuple(options.sizes), options.runs)
        print(markdown(result))
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        if options.markdown:
            options.markdown.write_text(markdown(result), encoding="utf-8")
