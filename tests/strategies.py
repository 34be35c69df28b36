"""Data as people have them, and worse: frames, studies, populations and published tables drawn by hypothesis."""

from __future__ import annotations

import datetime
import decimal
import fractions
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from bayes_listexp import DirectQuestion, SecondList

STRANGE: tuple[Any, ...] = (
    None,
    float("nan"),
    pd.NA,
    pd.NaT,
    np.float32("nan"),
    float("inf"),
    float("-inf"),
    -1,
    -0.0,
    0.5,
    7,
    99,
    1e300,
    1e-300,
    10**30,
    -(2**63),
    "",
    " ",
    "1 ",
    "1.0",
    "many",
    "1e3",
    "0x1",
    "1_0",
    "\u0663",
    "\ud800",
    "\0",
    "a" * 5000,
    "да",
    "N",
    "nan",
    "None",
    "<b>",
    "=1+1",
    "\u202e",
    b"1",
    True,
    1 + 0j,
    complex("nan"),
    decimal.Decimal("1"),
    decimal.Decimal("NaN"),
    fractions.Fraction(1, 3),
    [1],
    (1,),
    (),
    {"a": 1},
    {1},
    frozenset({1}),
    object,
    np.int8(1),
    np.bool_(1),
    np.datetime64("NaT", "ns"),
    np.array([1, 2]),
    np.array(1),
    pd.Timestamp("2024-01-01", tz="UTC"),
    pd.Timedelta(1, "D"),
    pd.Period("2024-01"),
    pd.Interval(0, 1),
    datetime.date(2024, 1, 1),
)
"""Values that have been found in columns of surveys, and some that have not yet."""

NAMES = (
    "region",
    "вік",
    "a b",
    "age.in.years",
    "N",
    "n",
    "item",
    "wave",
    "trait",
    "control",
    "index",
    "1",
    "_x",
    "_answer",
    "_n",
    "Intercept",
    "I",
    "C",
    "log",
    "group",
    "estimate",
    "se",
    "level",
    "column",
    "`",
    "'",
    "a\nb",
    "",
    "class",
    "x:y",
    "x|y",
    "count",
    "chain",
    "draw",
    "_first",
    "_place",
    "_group",
    "size",
    "values",
    "_code",
)
"""Names of covariates, many of which mean something elsewhere."""

CASTS: tuple[Callable[[pd.Series], Any], ...] = (
    lambda s: s.astype(object),
    lambda s: s.astype("float64"),
    lambda s: s.astype("float32"),
    lambda s: s.astype("int64"),
    lambda s: s.astype("int8"),
    lambda s: s.astype("Int64"),
    lambda s: s.astype("Float64"),
    lambda s: s.astype("boolean"),
    lambda s: s.astype("bool"),
    lambda s: s.astype("string"),
    lambda s: s.astype("string[pyarrow]"),
    lambda s: s.astype("str"),
    lambda s: s.astype("category"),
    lambda s: s.map(str).astype("category"),
    lambda s: s.astype("category").cat.as_ordered(),
    lambda s: s.astype(pd.ArrowDtype(pa.int64())),
    lambda s: s.astype(pd.ArrowDtype(pa.float64())),
    lambda s: s.astype(pd.ArrowDtype(pa.string())),
    lambda s: s.astype("complex128"),
    lambda s: s.astype(pd.ArrowDtype(pa.decimal128(6, 2))),
    lambda s: s.astype("datetime64[ns]"),
    lambda s: s.astype("timedelta64[ns]"),
    lambda s: s.astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    lambda s: s.astype(pd.SparseDtype("float64")),
    lambda s: pd.Series(pd.arrays.SparseArray(s.astype(float))),
    lambda s: s.astype("uint8"),
    lambda s: s.astype("float16"),
)
"""Every kind of column that pandas has, where the values allow it."""


class Case(NamedTuple):
    """A frame and the arguments that make a study of it."""

    frame: pd.DataFrame
    roles: dict[str, Any]


def chance(draw) -> np.random.Generator:
    """Random numbers from one drawn seed: for rows in bulk, and for what is to be rare (hypothesis draws the ends of ranges often)."""
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def some(rng: np.random.Generator, pool: Any, n: int) -> list[Any]:
    """So many of the pool's values."""
    return [pool[i] for i in rng.integers(len(pool), size=n)]


def rarely(rng: np.random.Generator, share: float) -> bool:
    """True in this share of cases."""
    return bool(rng.random() < share)


def casted(draw, rng: np.random.Generator, values: list[Any], *, strange: float = 0.04) -> pd.Series:
    """A column of these values in any dtype that holds them, sometimes with strange values among them."""
    if values and rarely(rng, strange):
        values = list(values)
        for i in rng.integers(len(values), size=int(rng.integers(1, 3))):
            values[i] = draw(st.sampled_from(STRANGE))
        return pd.Series(values, dtype=object)
    plain = pd.Series(values, dtype=object)
    if rarely(rng, 0.5):
        return plain.infer_objects()
    try:
        with np.errstate(all="ignore"):
            return pd.Series(draw(st.sampled_from(CASTS))(plain.infer_objects()))
    except Exception:  # noqa: BLE001 (not every dtype holds every value: then the values stay objects)
        return plain


def some_missing(rng: np.random.Generator, values: list[Any], share: float = 0.3) -> list[Any]:
    """The values, sometimes with missing ones of one of the kinds that there are."""
    if not values or not rarely(rng, share):
        return values
    kind = some(rng, [None, float("nan"), pd.NA], 1)[0]
    holes = set(rng.integers(len(values), size=int(rng.integers(1, 4))).tolist())
    return [kind if i in holes else value for i, value in enumerate(values)]


ARM_VALUES = ((0, 1), (False, True), ("control", "treatment"), ("0", "1"), (0.0, 1.0), ("Control ", "TREATMENT"))


def arms_and_answers(rng: np.random.Generator, n: int, J: int) -> tuple[list[bool], list[int]]:
    """Who is treated, and answers within what the list allows."""
    share = some(rng, [0.5, 0.5, 0.5, 0.5, 0.1, 0.9, 0.0, 1.0], 1)[0]
    treated = (rng.random(n) < share).tolist()
    return treated, [int(rng.integers(0, J + on + 1)) for on in treated]


POOLS = {
    "levels": ["a", "b", "ä", "Алматы", "a "],
    "flags": [0, 1],
    "numbers": [0, 1, 1, 18, 44, 90, -3, 0.5, 2.25],
    "extremes": [1e308, -1e308, 1e-308, 5e-324, 2**53 + 1, 1e15, 0, 1],
    "texts": ["", " ", "0", "00", "1.0", "nan", "NA", "None", "da", "да", "a\u0301", "á"],
}


def covariate(draw, rng: np.random.Generator, n: int) -> pd.Series:
    """A covariate: levels, numbers, dates, or whatever."""
    if rarely(rng, 0.05):
        return pd.Series([draw(st.sampled_from(STRANGE)) for _ in range(n)], dtype=object)
    pool = POOLS[draw(st.sampled_from(sorted(POOLS)))]
    return casted(draw, rng, some_missing(rng, some(rng, pool, n)), strange=0.02)


def with_index(draw, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the index that filtering, concatenating and grouping leave behind."""
    n = len(frame)
    index = draw(
        st.sampled_from(
            [
                None,
                None,
                list(range(10, 10 + n)),
                [0] * n,
                [f"r{i}" for i in range(n)],
                list(range(n))[::-1],
                [float("nan")] * n,
                pd.MultiIndex.from_arrays([[0] * n, list(range(n))], names=["a", None]),
                pd.date_range("2024-01-01", periods=n, name="region"),
                pd.MultiIndex.from_arrays([[1] * n, [2] * n, list(range(n))], names=["_first", "_n", "_place"]),
            ]
        )
    )
    return frame if index is None else frame.set_axis(index)


@st.composite
def frames(draw, *, largest: int = 25) -> Case:
    """A survey as given: valid in most things, and wrong in any."""
    rng = chance(draw)
    n, J = draw(st.integers(0, largest)), draw(st.integers(1, 5))
    treated, answers = arms_and_answers(rng, n, J)
    values = draw(st.sampled_from(ARM_VALUES))
    columns = {
        "y": casted(draw, rng, some_missing(rng, answers)),
        "t": casted(draw, rng, some_missing(rng, [values[on] for on in treated]), strange=0.02),
    }
    roles: dict[str, Any] = {"answer": "y", "arm": "t", "J": J}
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        columns[name] = covariate(draw, rng, n)
    if rarely(rng, 0.25):
        pool = [1, 1, 0, 0.5, 2] if rarely(rng, 0.7) else [1, 0, 1e-300, 1e300, 1e-9, 5e-324, 1e308]
        columns["w"], roles["weights"] = casted(draw, rng, some(rng, pool, n)), "w"
    for role in ("wave", "strata", "clusters", "version", "placebo", "ids"):
        if rarely(rng, 0.08):
            columns[role] = covariate(draw, rng, n) if role != "ids" else casted(draw, rng, list(range(n)))
            roles[role] = role
    return spoiled(draw, rng, Case(with_index(draw, pd.DataFrame(columns)), roles))


def spoiled(draw, rng: np.random.Generator, case: Case) -> Case:
    """The frame or its arguments changed so that they do not fit together, in a part of the cases."""
    frame, roles = case
    if rarely(rng, 0.8):
        return case
    how = draw(st.sampled_from(["twice", "lost", "role", "J", "arms", "missing", "covariates", "number", "levels"]))
    if how == "twice" and frame.shape[1]:
        frame = pd.concat([frame, frame.iloc[:, :1]], axis=1)
    if how == "lost":
        frame = frame.drop(columns=draw(st.sampled_from(list(frame.columns))))
    if how == "number":
        frame = frame.rename(
            columns={
                frame.columns[-1]: draw(
                    st.sampled_from([1, 1.5, ("a", "b"), True, None, float("nan"), pd.Timestamp(0)])
                )
            }
        )
    if how == "levels":
        frame.columns = pd.MultiIndex.from_tuples([(name, "x") for name in frame.columns])
    change = {
        "role": (
            draw(
                st.sampled_from(
                    ["answer", "arm", "wave", "version", *(["weights", "ids"] if "n" not in roles else ["n"])]
                )
            ),
            draw(st.sampled_from(["nowhere", "y", "t", "", None, 3, ("y",), ["y"]])),
        ),
        "J": (
            "J",
            draw(
                st.sampled_from(
                    [0, -1, 1.5, "3", None, True, {}, {"a": 2}, [3], float("nan"), np.int64(3), 10**9, 10**30, 500]
                )
            ),
        ),
        "arms": (
            "arms",
            draw(
                st.sampled_from(
                    [(0, 1), (1, 0), ("a", "b"), (0,), (), (0, 0), (None, 1), (0, (1, 2)), "ab", 1, (0, [1]), (0, 1, 2)]
                )
            ),
        ),
        "missing": (
            "missing" if "n" not in roles else "J",
            draw(st.sampled_from(["level", "model", "drop", "", "lots", None, 1])),
        ),
        "covariates": (
            "covariates",
            draw(st.sampled_from([[], ["y"], ["nowhere"], ["t", "t"], "region", [1], None, [["y"]]])),
        ),
    }.get(how)
    return Case(frame, roles | dict([change]) if change else roles)


@st.composite
def studies(draw, *, smallest: int = 2, largest: int = 40) -> Case:
    """A survey that can be read, small and often degenerate: for what is computed of studies."""
    rng = chance(draw)
    n, J = draw(st.integers(smallest, largest)), draw(st.integers(1, 5))
    treated = [False, True, *(rng.random(n - 2) < draw(st.sampled_from([0.5, 0.5, 0.1, 0.9]))).tolist()]
    top = min(J, draw(st.sampled_from([J, J, J, 1, 0])))
    y = [int(rng.integers(0, top + 1)) + int(on and rarely(rng, 0.5)) for on in treated]
    columns: dict[str, Any] = {"y": [*y[:2], *some_missing(rng, y[2:], 0.2)], "t": treated}
    roles: dict[str, Any] = {"answer": "y", "arm": "t", "J": J}
    columns["g"] = pd.Categorical(
        some_missing(rng, some(rng, ["a", "b", "c"], n), 0.1), categories=["a", "b", "c", "d"]
    )
    pool = draw(st.sampled_from([[0, 1, 1, 2, -3, 50], [20, 30, 40, 50.5], [0, 1e6, 1, -1e6], [3]]))
    columns["x"] = [float(v) for v in some(rng, pool, n)]
    columns["m"] = rng.integers(0, 2, n)
    optional: dict[str, Callable[[], list[Any]]] = {
        "weights": lambda: [
            1.0,
            *some(rng, draw(st.sampled_from([[1.0], [1.0, 0.5, 2.0], [1.0, 0.0, 0.5, 0.01, 100.0], [0.0]])), n - 1),
        ],
        "wave": lambda: ["1", "2", *some(rng, ["1", "2"], n - 2)],
        "strata": lambda: some(rng, [1, 2], n),
        "clusters": lambda: some(rng, [1, 2, 3, 4, 5, 6], n),
        "version": lambda: ["A", "A", *some(rng, ["A", "A", "B"], n - 2)],
    }
    for role, values in optional.items():
        if rarely(rng, 0.25 if role != "version" else 0.05):
            columns[role], roles[role] = values(), role
    instruments: list[Any] = []
    if rarely(rng, 0.2):
        columns["d"] = [*some(rng, [0, 1, None, 1], n - 1), 0]
        instruments.append(DirectQuestion("d", lies=draw(st.sampled_from(["one_sided", "two_sided"]))))
    if rarely(rng, 0.15):
        columns["y2"] = [int(rng.integers(0, 3)) + int(not on and rarely(rng, 0.5)) for on in treated]
        columns["t2"] = [not on for on in treated]
        instruments.append(SecondList(answer="y2", arm="t2", J=2))
    if rarely(rng, 0.2):
        people = draw(st.sampled_from([[1, 1, 1, 1], [5, 0, 1e6, 0.1], [1, 0, 0, 0]]))
        roles["population"] = pd.DataFrame({"g": ["a", "b", "c", "d"], "N": people})
    roles["missing"] = draw(st.sampled_from(["drop", "drop", "level", "model"]))
    return Case(pd.DataFrame(columns), {**roles, "instruments": instruments, "covariates": ["g", "x", "m"]})


@st.composite
def counts(draw) -> Case:
    """A table of counts with its arguments, mostly possible."""
    rng = chance(draw)
    J, n = draw(st.integers(1, 4)), draw(st.integers(0, 12))
    treated, answers = arms_and_answers(rng, n, J)
    sizes = some(rng, [0, 1, 2, 5, 100, 10**6] if rarely(rng, 0.8) else [10**9, 10**15, 2**62, 2**53, 1], n)
    frame = pd.DataFrame(
        {
            "y": casted(draw, rng, answers),
            "t": casted(draw, rng, [int(on) for on in treated], strange=0.02),
            "n": casted(draw, rng, sizes, strange=0.1),
            "g": covariate(draw, rng, n),
        }
    )
    return spoiled(draw, rng, Case(with_index(draw, frame), {"answer": "y", "arm": "t", "n": "n", "J": J}))


@st.composite
def populations(draw) -> pd.DataFrame:
    """A table of cells with their number of people, mostly possible."""
    rng, n = chance(draw), draw(st.integers(0, 8))
    columns = {
        name: covariate(draw, rng, n) for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    }
    columns["N"] = casted(
        draw, rng, some(rng, [0, 1, 10, 0.5, 1e6] if rarely(rng, 0.7) else [1, 1e300, 1e-300, 1e308], n), strange=0.1
    )
    frame = pd.DataFrame(columns)
    return with_index(draw, frame.iloc[:, :-1] if rarely(rng, 0.05) else frame)


@st.composite
def margins(draw):
    """A seed and margins to rake it to: of one population in half of the cases, contradictory, incomplete or worse in the others."""
    levels = {"a": ["x", "y"], "b": ["1", "2", "3"], "c": ["p", "q"]}
    names = draw(st.lists(st.sampled_from(list(levels)), min_size=1, max_size=3, unique=True))
    grid = pd.MultiIndex.from_product([levels[name] for name in names]).to_frame(index=False, name=names)
    people = grid.assign(N=[draw(st.sampled_from([1.0, 2.0, 30.0, 0.0, 1e6, 1e-6])) for _ in range(len(grid))])
    tables = []
    for _ in range(draw(st.integers(0, 3))):
        by = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
        table = people.groupby(by, as_index=False, sort=False)["N"].sum()
        scale = draw(st.sampled_from(["people", "people", "shares"]))
        if scale == "shares" and table["N"].sum() > 0:
            table["N"] /= table["N"].sum()
        tables.append(_wronged(draw, table))
    seed = draw(st.sampled_from(["none", "same", "flat", "holes", "wrong"]))
    made = {
        "none": None,
        "same": people,
        "flat": grid.assign(N=1.0),
        "holes": grid.assign(N=[draw(st.integers(0, 1)) for _ in range(len(grid))]),
        "wrong": _wronged(draw, people),
    }[seed]
    return made, tables


def _wronged(draw, table: pd.DataFrame) -> pd.DataFrame:
    """A margin changed in one of the ways in which margins are wrong, in a third of cases."""
    how = draw(st.sampled_from(["", "", "", "", "value", "level", "dropped", "twice", "empty", "column", "text"]))
    row = draw(st.integers(0, max(len(table) - 1, 0)))
    if how == "value":
        table = table.astype({"N": object})
        table.loc[row, "N"] = draw(st.sampled_from(STRANGE[:20]))
    if how == "level":
        table = table.astype({table.columns[0]: object})
        table.iloc[row, 0] = draw(st.sampled_from(STRANGE[:40]))
    changed = {
        "dropped": table.drop(index=row, errors="ignore"),
        "twice": pd.concat([table, table.head(1)]),
        "empty": table.head(0),
        "column": table.iloc[:, 1:],
        "text": table.assign(N=table["N"].astype(str)),
    }
    return changed.get(how, table)


PRINTED = (
    "2.5",
    "0",
    "5",
    "1.25",
    "-1",
    "99",
    "2.55 %",
    "55 %",
    "0.45",
    "1",
    "",
    " ",
    "x",
    "1e3",
    "nan",
    "inf",
    "1,5",
    "3.",
    ".5",
    "\u22120.1",
    "0." + "3" * 40,
    "9" * 400,
    "100 %",
    "0.0000",
    "\u0663",
    "1 000",
    "+0.2",
)


@st.composite
def published(draw) -> tuple[str, int, int]:
    """A published table of means as csv text, with J and N: a possible one with some fields replaced."""
    J, N = (
        draw(st.sampled_from([4, 4, 4, 1, 3, 0, -1, 10**9])),
        draw(st.sampled_from([400, 400, 1000, 2, 3, 1, 0, -5, 10**9])),
    )
    columns = ["group", "level", "mean_control", "mean_treatment"] + draw(
        st.sampled_from(
            [
                [],
                ["share"],
                ["share", "support"],
                ["support"],
                ["n_control", "n_treatment"],
                ["share", "support", "n_control", "n_treatment"],
                ["n_control"],
            ]
        )
    )
    rows = [["all", "all"]]
    for variable, levels in (("gender", ["men", "women"]), ("region", ["north", "south", "west"]))[
        : draw(st.integers(0, 2))
    ]:
        rows += [[variable, level] for level in levels]
    lines = []
    for group, level in rows:
        control = draw(st.integers(0, 4 * 20)) / 20
        support = draw(st.integers(-4, 20)) / 20
        fields = {
            "group": group,
            "level": level,
            "mean_control": f"{control:.2f}",
            "mean_treatment": f"{control + support:.2f}",
            "share": draw(st.sampled_from(["0.5", "0.50", "0.33", "45 %", "1", ""])),
            "support": f"{100 * support:.0f} %",
            "n_control": draw(st.sampled_from(["100", "50", "1", ""])),
            "n_treatment": draw(st.sampled_from(["100", "51", "1", ""])),
        }
        if draw(st.integers(0, 7)) == 0:
            fields[draw(st.sampled_from(columns[2:]))] = draw(st.sampled_from(PRINTED))
        lines.append([fields[name] for name in columns])
    if draw(st.integers(0, 9)) == 0:
        lines.append(draw(st.lists(st.text(max_size=5), max_size=5)))
    text = "\n".join(",".join(line) for line in [columns, *lines])
    return text, J, N
