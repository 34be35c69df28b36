"""Formulas, specs and files drawn by hypothesis: what people write, misspelt, truncated and corrupted."""

from __future__ import annotations

import functools
import gzip
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyreadstat
from hypothesis import strategies as st

from tests.strategies import chance, rarely, some

MODELS = Path(__file__).parents[1] / "models"

COLUMNS = ("g", "x", "m", "wave", "`a b`", "nowhere", "y", "t", "1", "0", "-1", "2", ".", "`", "``")
ATOMS = st.one_of(
    st.sampled_from(COLUMNS[:3]),
    st.sampled_from(COLUMNS),
    st.integers(-2, 3).map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["'a'", '"', "é", "None", "True", "g[a]", "g[", "__class__", "x.__class__", "[1, 2]", "{g}", "lambda"]
    ),
)
CALLS = (
    "log",
    "exp",
    "sqrt",
    "abs",
    "log1p",
    "scale",
    "center",
    "bs",
    "poly",
    "C",
    "I",
    "S",
    "T",
    "B",
    "binary",
    "offset",
    "p",
    "prop",
    "standardize",
    "rw1",
    "rw2",
    "ar1",
    "gp",
    "icar",
    "bym2",
    "lkj",
    "nothing",
    "np.log",
    "x",
    "1",
)
FORMULAS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(
            "{} {} {}".format,
            inner,
            st.sampled_from(["+", "+", "+", ":", "*", "-", "/", "**", "|", "~", "==", "%", ",", "", "@", "&", "="]),
            inner,
        ),
        st.builds("({})".format, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("({} | {}({}))".format, inner, st.sampled_from(CALLS), inner),
        st.builds("{}({})".format, st.sampled_from(CALLS), inner),
        st.builds("{}({}, {})".format, st.sampled_from(CALLS), inner, inner),
        st.builds("{}({}, df={})".format, st.sampled_from(CALLS), inner, inner),
        st.builds("-{}".format, inner),
        st.builds("{}(".format, inner),
        st.builds("{})".format, inner),
        st.builds("({} + {})**{}".format, inner, inner, st.integers(-1, 4)),
    ),
    max_leaves=12,
)
HUGE = st.sampled_from(
    [
        "(" * 3000 + "x" + ")" * 3000,
        " + ".join(["x"] * 2000),
        "1" * 5000,
        "x" * 20_000,
        "-" * 3000 + "x",
        "(1|" * 500 + "g" + ")" * 500,
        "I(" * 1500 + "x" + ")" * 1500,
        ":".join(["g"] * 300),
        "(g + x + m)**12",
        "bs(x, df=500)",
        "poly(x, 200)",
        "\0",
        "\ud800",
        "\n",
        "#",
        "x ** 1000",
        "`" + "a" * 5000 + "`",
        "g*x*m*wave*" * 40 + "g",
        "bs(x, df=1e9)",
        "poly(x, 1000000)",
        "bs(x, degree=100, df=120)",
    ]
)
TERMS = st.one_of(
    st.sampled_from(
        [
            "x",
            "m",
            "g",
            "1",
            "0",
            "-1",
            "wave",
            "x:m",
            "x*m",
            "g*m",
            "(1|g)",
            "(x|g)",
            "(1 + x|lkj(g))",
            "(1|g:m)",
            "(1|rw1(wave))",
            "(0 + x|g)",
            "C(m)",
        ]
    ),
    st.builds(
        "{}({})".format,
        st.sampled_from(["log", "exp", "sqrt", "abs", "log1p", "scale", "center", "I", "C", "standardize", "binary"]),
        st.sampled_from(
            [
                "x",
                "m",
                "x + 3",
                "x ** 2",
                "g",
                "abs(x)",
                "0 * x",
                "x / 0",
                "-x",
                "x > 0",
                "m == 1",
                "x * 1e200",
                "scale(x)",
            ]
        ),
    ),
    st.builds("{}(x, df={})".format, st.sampled_from(["bs", "cr", "cc", "tp"]), st.integers(-1, 9)),
    st.builds("poly(x, {})".format, st.integers(-1, 9)),
)
LIKELY = st.builds(" + ".join, st.lists(TERMS, min_size=1, max_size=3))
ANY_FORMULA = st.one_of(
    LIKELY,
    LIKELY,
    LIKELY,
    FORMULAS,
    FORMULAS,
    FORMULAS,
    FORMULAS,
    st.text(max_size=12),
    st.text("gxm1+-*/:|~()`., =\"'\\", max_size=14),
    HUGE,
)


class Spec(NamedTuple):
    """The text of a spec."""

    text: str


VALUES = st.sampled_from(
    [
        "",
        " ",
        "y",
        "t",
        "g",
        "nowhere",
        "1 + g",
        "(1|g)",
        "../../etc/passwd",
        "/",
        "bundled:",
        "bundled:../../x",
        "a\0b",
        "x" * 3000,
        "liars",
        "flat",
        "default",
        0,
        1,
        -1,
        2,
        4,
        10**6,
        2**63 - 1,
        -(2**63),
        0.5,
        -0.5,
        1e308,
        5e-324,
        float("inf"),
        float("nan"),
        True,
        False,
        [],
        {},
        [[]],
        [{}],
        ["g"],
        ["g", "x"],
        [0, 1],
        [1, 0],
        ["0", "1"],
        [0, [1, 2]],
        [0, [1]],
        {"a": 1},
        {"g": {"a": ["b"]}},
        {"x": 5},
        {"": ""},
        ["y", "y"],
        [1e308],
        [None for _ in ()],
        [["g", "x"], "m"],
    ]
)


def toml(value: Any) -> str:
    """A value as TOML; what has no TOML is a text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value) if isinstance(value, (int, float)) else _text(str(value))


def _text(text: str) -> str:
    signs = {'"': '\\"', "\\": "\\\\"}
    return '"' + "".join(signs.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'


def written(tables: dict[str, Any]) -> str:
    """A spec of these tables, which may be none."""
    plain = [f"{_text(key)} = {toml(value)}" for key, value in tables.items() if not isinstance(value, dict)]
    inner = [
        f"[{_text(key)}]\n" + "\n".join(f"{_text(k)} = {toml(v)}" for k, v in value.items())
        for key, value in tables.items()
        if isinstance(value, dict)
    ]
    return "\n".join([*plain, *inner]) + "\n"


SURVEY: dict[str, Any] = {
    "kind": "survey",
    "title": "A survey",
    "data": {
        "file": "survey.csv",
        "answer": "y",
        "arm": "t",
        "J": 3,
        "wave": "wave",
        "weights": "w",
        "covariates": ["g", "x", "m"],
    },
    "instruments": {"direct": {"column": "d"}},
    "model": {"trait": "1 + x + (1|g)", "control": "1 + m", "response": "liars"},
    "estimate": {"covariates": "x", "ceiling": [0.0, 0.5]},
    "checks": {"planned": 0.5},
    "sample": {"seed": 1, "draws": 100},
    "population": {"file": "people.csv"},
    "report": {"by": ["g"], "change": ["1", "2"], "alternatives": [{"name": "binomial", "counts": "binomial"}]},
}
"""A spec that uses most tables, of the files of :func:`folder`."""


@functools.cache
def templates() -> tuple[dict[str, Any], ...]:
    """Specs that are right."""
    published = tomllib.loads((MODELS / "csto_published.toml").read_text(encoding="utf-8"))
    plain = {"data": {"file": "survey.csv", "answer": "y", "arm": "t", "J": 3}}
    return SURVEY, SURVEY, plain, published


@functools.cache
def folder() -> Path:
    """A folder with the files that the specs name."""
    path = Path(tempfile.mkdtemp(prefix="fuzz_"))
    valid_survey().to_csv(path / "survey.csv", index=False)
    pd.DataFrame({"g": ["a", "b", "c"], "N": [10, 20, 30]}).to_csv(path / "people.csv", index=False)
    return path


@functools.cache
def valid_survey() -> pd.DataFrame:
    """Sixty respondents."""
    rng = np.random.default_rng(1)
    treated = rng.integers(0, 2, 60)
    return pd.DataFrame(
        {
            "y": rng.integers(0, 3, 60) + treated,
            "t": treated,
            "g": some(rng, ["a", "b", "c"], 60),
            "x": rng.normal(size=60).round(2),
            "m": rng.integers(0, 2, 60),
            "w": rng.uniform(0.5, 2, 60).round(2),
            "wave": rng.integers(1, 3, 60),
            "d": rng.integers(0, 2, 60),
        }
    )


@st.composite
def specs(draw) -> Spec:
    """A right spec with keys lost, misspelt or moved, and values of other types or sizes; or text with a hole."""
    rng = chance(draw)
    tables = {
        key: dict(value) if isinstance(value, dict) else value
        for key, value in draw(st.sampled_from(templates())).items()
    }
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from([*[key for key in tables if isinstance(tables[key], dict)], ""]))
        table = tables[place] if place else tables
        if not table:
            continue
        key = draw(st.sampled_from(sorted(table)))
        how = draw(st.sampled_from(["value", "value", "value", "value", "lost", "misspelt", "moved", "known"]))
        if how == "value":
            table[key] = draw(VALUES)
        if how == "lost":
            del table[key]
        if how == "misspelt":
            table[key[:-1] + draw(st.sampled_from(["", "x", "é", " ", "."]))] = table.pop(key)
        if how == "moved" and len(tables) > 1:
            tables[draw(st.sampled_from(sorted(tables)))] = table.pop(key)
        if how == "known":
            table[draw(st.sampled_from(KEYS_OF.get(place, ("kind",))))] = draw(VALUES)
    text = written({key: value for key, value in tables.items()})
    if rarely(rng, 0.1):
        at = int(rng.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.sampled_from(["", "\0", "[", "[[", "=", "é", "'", '"""', "\n", "\\"]))
            + text[at + int(rng.integers(0, 9)) :]
        )
    return Spec(text)


@functools.cache
def _keys() -> dict[str, tuple[str, ...]]:
    from bayes_listexp.spec_keys import KEYS

    return {place: tuple(keys) for place, keys in KEYS["survey"].items() if keys}


KEYS_OF = _keys()


class File(NamedTuple):
    """The name and the bytes of a file."""

    name: str
    content: bytes


@functools.cache
def files() -> tuple[File, ...]:
    """Files of every format that are right."""
    frame, path = valid_survey(), folder()
    labelled = {
        "column_labels": ["the answer", *frame.columns[1:]],
        "variable_value_labels": {"m": {0: "no", 1: "yes"}},
    }
    pyreadstat.write_dta(frame, str(path / "a.dta"), **labelled)
    pyreadstat.write_sav(frame, str(path / "a.sav"), missing_ranges={"m": [1]}, **labelled)
    pyreadstat.write_sav(frame, str(path / "a.zsav"), compress=True, **labelled)
    frame.assign(g=frame["g"].astype("category")).to_parquet(path / "a.parquet")
    text = frame.to_csv(index=False).encode()
    out = [
        File("a.csv", text),
        File("a.csv", text.replace(b",", b";")),
        File("a.csv.gz", gzip.compress(text, mtime=0)),
        File("a.csv", 'y,t,регион\n1,0,Алматы\n2,1,"a,b"\n'.encode()),
        File("a.csv", frame.to_csv(index=False).encode("utf-16")),
    ]
    return tuple(out + [File(name, (path / name).read_bytes()) for name in ("a.dta", "a.sav", "a.zsav", "a.parquet")])


@st.composite
def broken_files(draw) -> File:
    """A right file of any format with bytes lost, changed, added or doubled, or under another name."""
    rng, file = chance(draw), draw(st.sampled_from(files()))
    content = bytearray(file.content)
    for how in draw(
        st.lists(
            st.sampled_from(["flip", "flip", "flip", "cut", "hole", "insert", "double", "zero", "head"]), max_size=3
        )
    ):
        at = int(rng.integers(0, max(len(content), 1)))
        if how in ("flip", "head"):
            for i in rng.integers(
                0, max(len(content) if how == "flip" else min(len(content), 300), 1), size=int(rng.integers(1, 6))
            ):
                content[i : i + 1] = bytes([int(rng.integers(256))])
        if how == "cut":
            content = content[:at]
        if how == "hole":
            content[at : at + int(rng.integers(1, 50))] = b""
        if how == "insert":
            content[at:at] = draw(
                st.sampled_from(
                    [
                        b"\0",
                        b"\xff\xfe",
                        b"\xd8\x00",
                        b'"',
                        b"\r",
                        b"\n\n",
                        b",",
                        "é".encode(),
                        b"a" * 100_000,
                        b"1e999",
                        b"=1+1",
                    ]
                )
            )
        if how == "double":
            content[at:at] = content[at : at + 200]
        if how == "zero":
            content[at : at + int(rng.integers(1, 40))] = bytes(int(rng.integers(1, 40)))
    name = (
        file.name
        if rarely(rng, 0.9)
        else draw(
            st.sampled_from(
                ["a.csv", "a.dta", "a.sav", "a.zsav", "a.parquet", "a.csv.gz", "a.txt", "a", "a.xlsx", "A.CSV"]
            )
        )
    )
    return File(name, bytes(content))


@st.composite
def csv_texts(draw) -> File:
    """A csv file by its signs, rather than by its bytes."""
    sign = st.sampled_from(
        [
            "a",
            "b",
            "1",
            "2",
            "0",
            ",",
            ",",
            ";",
            "\n",
            "\n",
            "\r\n",
            "\r",
            '"',
            '""',
            "\t",
            " ",
            "NA",
            ".",
            "N",
            "é",
            "\ufeff",
            "-",
            "e",
            "_",
            "\u2028",
            "\x0b",
            "\x1c",
            "#",
            "'",
            "nan",
            "inf",
            "1e400",
        ]
    )
    text = "".join(draw(st.lists(sign, max_size=40)))
    return File("a.csv", text.encode())


def kept_in(path: Path, file: File) -> Path:
    """The file written into a folder."""
    (path / file.name).write_bytes(file.content)
    return path / file.name
