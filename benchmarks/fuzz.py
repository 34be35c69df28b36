"""Bad input in thousands of cases: the properties of tests/properties.py, by hypothesis, with seeds that repeat every case.

Each batch of cases runs in a process of its own, so that a crash of a library counts as a failure of its case and not as the end.

    python -m benchmarks.fuzz run [--minutes 30] [--cases 3000] [property ...]    add batches to benchmarks/results/fuzz.jsonl
    python -m benchmarks.fuzz summary                                             print docs/fuzz.md
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parent / "results" / "fuzz.jsonl"
BUGS = Path(__file__).parent / "fuzz_bugs.csv"
BATCH = 200
"""Cases of a batch, but for the properties that are slow."""
SLOW = {"specs": 20, "estimators": 60, "checks": 10, "surveys": 60, "tabulated": 40, "populations": 60, "formulas": 60}
MEMORY = 12 * 2**30
"""Bytes of addresses that a batch may have: more is a failure."""


def batch(name: str, seed: int, cases: int) -> dict[str, Any]:
    """Try cases of one property: how many were drawn, gave a result, were refused in words, and what failed."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded

    from tests.properties import PROPERTIES

    own, found, failures = PROPERTIES[name], Counter[str](), list[str]()

    @seeded(seed)
    @settings(
        max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    @given(own.cases)
    def holds(case: Any) -> None:
        found["drawn"] += 1
        found["result" if own.check(case) else "refused"] += 1

    start = time.monotonic()
    try:
        holds()
    except BaseException as error:  # noqa: BLE001 (whatever it is, it is what is looked for)
        each = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
        failures = [f"{type(one).__name__}: {str(one)[:300]}" for one in each]
    return {
        "property": name,
        "seed": seed,
        "failures": failures,
        "seconds": round(time.monotonic() - start, 1),
        **found,
    }


def run_batch(name: str, seed: int, cases: int) -> dict[str, Any]:
    """A batch in a process of its own; if that ends without a word, that is a failure."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.fuzz", "batch", name, str(seed), str(cases)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    for line in done.stdout.splitlines()[::-1]:
        with contextlib.suppress(ValueError):
            return dict(json.loads(line))
    said = (done.stderr.splitlines() or ["nothing"])[-1]
    return {
        "property": name,
        "seed": seed,
        "failures": [f"the process ended with {done.returncode}, saying {said[:300]}"],
        "seconds": 0.0,
    }


def results() -> pd.DataFrame:
    """All batches so far."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    return pd.DataFrame(
        [json.loads(line) for line in lines],
        columns=["property", "seed", "drawn", "result", "refused", "failures", "seconds"],
    )


def run(names: list[str], minutes: float, cases: int) -> None:
    """Batches of each property in turn, until each has so many cases or the time is over; what is there is continued."""
    end = time.monotonic() + 60 * minutes
    RESULTS.parent.mkdir(exist_ok=True)
    while time.monotonic() < end:
        there = results()
        tried = {name: there.loc[there["property"] == name, "drawn"].sum() for name in names}
        wanting = [name for name in names if tried[name] < cases]
        if not wanting:
            return
        for name in wanting:
            if time.monotonic() > end:
                return
            seeds = there.loc[there["property"] == name, "seed"]
            found = run_batch(name, min(set(range(1, len(seeds) + 2)) - set(seeds)), SLOW.get(name, BATCH))
            with RESULTS.open("a", encoding="utf-8") as out:
                out.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)


def summary() -> str:
    """The page of the documentation."""
    from benchmarks.mrp_nation import markdown
    from tests.properties import PROPERTIES

    found = results()
    rows, words = [], []
    for name, own in PROPERTIES.items():
        mine = found[found["property"] == name]
        sums = {column: int(mine[column].fillna(0).sum()) for column in ("drawn", "result", "refused")}
        rows.append(
            {
                "property": name,
                "cases": sums["drawn"],
                "results": sums["result"],
                "refused in words": sums["refused"],
                "failures": int(mine["failures"].map(len).sum()),
                "seeds": f"1 to {mine['seed'].max()}" if len(mine) else "none",
            }
        )
        words.append(f"**{name}**: {own.drawn}. What must hold of a result: {own.holds}.")
    table = pd.DataFrame(rows)
    totals = table[["cases", "results", "refused in words", "failures"]].sum()
    bugs = pd.read_csv(BUGS)
    return "\n".join(
        [
            "# Bad input",
            "",
            "What people have is not what a manual supposes. Frames, tables, formulas, specs and files are drawn at random, "
            "right in most things and "
            "wrong in any, and given to the package ([hypothesis](https://hypothesis.readthedocs.io) draws them and looks "
            "for the smallest that fails). Of "
            "every case either a result must come that holds what is said below, or an `InputError` in words. Everything "
            "else is a failure: an exception of "
            "a library, a warning, a crash, a sentence with 'nan' in it, more than 30 seconds, or a respondent who is "
            "neither kept nor counted among the "
            "excluded.",
            "",
            "`python -m benchmarks.fuzz run` tries cases as long as one likes, and `summary` prints this page; the test "
            "suite tries a few of each.",
            "",
            "## Result",
            "",
            f"{totals['cases']:,} cases, {totals['results']:,} with a result and {totals['refused in words']:,} refused in words; "
            f"{totals['failures']:,} failures. Batches that failed by a bug which was then mended are not counted.",
            "",
            markdown(table),
            "",
            "## What is drawn, and what must hold",
            "",
            *[f"* {one}" for one in words],
            "",
            "## Bugs that were found, and mended",
            "",
            f"{len(bugs)}, each with a test in `tests/test_bad_input.py`, or where the property is named, held by that.",
            "",
            markdown(bugs),
        ]
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("--minutes", type=float, default=30)
    runs.add_argument("--cases", type=int, default=3000)
    runs.add_argument("properties", nargs="*")
    one = commands.add_parser("batch")
    one.add_argument("property")
    one.add_argument("seed", type=int)
    one.add_argument("cases", type=int)
    commands.add_parser("summary")
    given = parser.parse_args()
    if given.command == "run":
        from tests.properties import PROPERTIES

        run(given.properties or list(PROPERTIES), given.minutes, given.cases)
    elif given.command == "batch":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        print(json.dumps(batch(given.property, given.seed, given.cases)))
    else:
        print(summary())


if __name__ == "__main__":
    main()
