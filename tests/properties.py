"""What holds of whatever is given: a result with its invariants, or an error of ours that says what is wrong.

Each property has a strategy and a check, which gives True for a result and False where the input was refused. A check fails by any
other exception, by a warning, by taking too long, or by an invariant.
"""

from __future__ import annotations

import contextlib
import decimal
import functools
import io
import re
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

import bayes_listexp as ble
from bayes_listexp import InputError, ListExperiment, cli
from bayes_listexp.checks.page import page_of
from bayes_listexp.exclusions import kept
from bayes_listexp.published.answers import read_published_counts, read_shares
from bayes_listexp.published.layout import complete_use, lay_out
from bayes_listexp.published.table import parse_published
from bayes_listexp.spec import estimate_arguments, fit_arguments, map_of, read_spec
from bayes_listexp.spec import study_of as spec_study
from bayes_listexp.specification import blueprint
from tests import strategies, strategies_of_text

SECONDS = 30
"""Longer than any of these small cases may take, on a busy machine."""

WORDS = re.compile(r"\bnan\b|\bNaT\b|<NA>|\binf\b|object at 0x|Traceback|dtype:")
"""What no sentence for readers contains."""


class Property(NamedTuple):
    """What is drawn, in words and as a strategy; what must hold of it, in words and as a check."""

    drawn: str
    holds: str
    cases: st.SearchStrategy[Any]
    check: Callable[[Any], bool]


@contextlib.contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """Interrupt what hangs."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """The result of a call; None if it was refused in words. Warnings are failures."""
    with warnings.catch_warnings(), no_longer_than(SECONDS):
        warnings.simplefilter("error")
        try:
            return call(*given, **named)
        except InputError as error:
            said = str(error)
            assert len(said.split()) >= 4, f"says too little: {said!r}"
            assert len(said) < 20_000, f"says too much: {len(said)} characters, {said[:200]!r}"
            assert "object at 0x" not in said, said
            return None


def same(a: pd.DataFrame, b: pd.DataFrame, what: str) -> None:
    """Two tables of estimates are equal, up to the rounding of sums taken in another order."""
    numbers = [table.select_dtypes("number").to_numpy(dtype=float) for table in (a, b)]
    assert numbers[0].shape == numbers[1].shape, what
    assert np.allclose(*numbers, rtol=1e-7, atol=1e-9, equal_nan=True), f"{what}:\n{a}\n{b}"


def ordered(table: pd.DataFrame, low: str = "lower", high: str = "upper") -> None:
    """Intervals hold their estimate, and standard errors are numbers of at least 0."""
    low_, high_ = table[low].to_numpy(dtype=float), table[high].to_numpy(dtype=float)
    assert (np.isnan(low_) == np.isnan(high_)).all(), table
    assert not (low_ > high_ + 1e-12).any(), table
    if "estimate" in table:
        at = table["estimate"].to_numpy(dtype=float)
        assert not (low_ > at + 1e-9).any(), table
        assert not (high_ < at - 1e-9).any(), table
    if "se" in table:
        se = table["se"].to_numpy(dtype=float)
        assert not (se < 0).any(), table
        assert not np.isinf(se).any(), table


def contents(frame: pd.DataFrame) -> list[str]:
    """All that a frame holds, to see whether it was changed."""
    return [
        ascii(list(frame.columns)),
        ascii(list(frame.index)),
        *(ascii((frame.dtypes.iloc[i], list(frame.iloc[:, i]))) for i in range(frame.shape[1])),
    ]


def everybody_counted(study: ListExperiment, respondents: int) -> None:
    """Rows kept and rows excluded with a reason are all rows."""
    out = study.exclusions[~kept(study.exclusions)][["control", "treatment", "arm unknown"]].to_numpy().sum()
    assert study.n + out == respondents, study.exclusions
    cells = study.cells([])
    assert cells.n.sum() == study.n
    assert study.source["respondents"] == respondents


def surveys(case: strategies.Case) -> bool:
    """A frame as a study."""
    frame, roles = case
    before = contents(frame)
    study = attempt(ListExperiment.from_frame, frame, **roles)
    assert contents(frame) == before, "the frame was changed"
    if study is None:
        return False
    everybody_counted(study, len(frame))
    again = attempt(ListExperiment.from_frame, frame.iloc[::-1].reset_index(drop=True), **roles)
    assert again is not None, "refused in another order"
    assert again.n == study.n
    means = attempt(ble.difference_in_means, study)
    same(means, attempt(ble.difference_in_means, again), "another order of rows")
    assert study.sha256 == attempt(ListExperiment.from_frame, frame, **roles).sha256
    for name in study.covariates:
        cells = attempt(study.cells, [name])
        assert cells is None or cells.n.sum() <= study.n
        table = attempt(ble.difference_in_means, study, by=name)
        if table is not None:
            ordered(table)
            assert table[["n_control", "n_treatment"]].to_numpy().sum() <= len(study.listed)
    return True


SURVEYS = Property(
    "frames of 0 to 25 rows: every dtype (categorical, nullable, Arrow-backed, sparse, objects of all kinds), every kind of "
    "missing value, "
    "impossible answers, indices and names that repeat or mean something else, wrong arguments",
    "rows kept and excluded add up; the frame is left as it was; neither the order of rows nor their index changes estimates or hash; "
    "intervals hold their estimates",
    strategies.frames(),
    surveys,
)


def tabulated(case: strategies.Case) -> bool:
    """A frame by way of Arrow, whose distinct rows are counted, is the same study."""
    frame, roles = case
    if "ids" in roles:
        return False
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (
        pa.ArrowException,
        TypeError,
        ValueError,
        OverflowError,
        AttributeError,
        KeyError,
        decimal.InvalidOperation,
    ):
        return False  # Arrow has no such columns
    study = attempt(ListExperiment.from_frame, table, **roles)
    if study is None:
        return False
    everybody_counted(study, len(frame))
    other = attempt(ListExperiment.from_frame, table.to_pandas(), **roles)
    assert other is not None, "refused with a row per respondent"
    for weighted in {False, study.weighted}:
        same(
            attempt(ble.difference_in_means, study, weighted=weighted),
            attempt(ble.difference_in_means, other, weighted=weighted),
            "tabulated",
        )
    return True


def from_counts(case: strategies.Case) -> bool:
    """A table of counts is the study of as many respondents."""
    study = attempt(ListExperiment.from_counts, case.frame, **case.roles)
    if study is None:
        return False
    n = pd.to_numeric(case.frame[case.roles["n"]].astype(object)).sum()
    everybody_counted(study, int(n))
    again = attempt(ListExperiment.from_counts, case.frame.iloc[::-1], **case.roles)
    means = attempt(ble.difference_in_means, study)
    same(means, attempt(ble.difference_in_means, again), "another order of rows")
    if n <= 1000 and "covariates" not in case.roles:
        rows = case.frame.reset_index(drop=True)
        rows = rows.loc[np.repeat(np.arange(len(rows)), rows["n"].astype(int))].drop(columns="n")
        whole = attempt(ListExperiment.from_frame, rows, **{k: v for k, v in case.roles.items() if k != "n"})
        assert whole is not None, "refused with a row per respondent"
        same(means, attempt(ble.difference_in_means, whole), "with a row per respondent")
    return True


def study_of(case: strategies.Case) -> ListExperiment | None:
    """A study that ought to be one, or None with a reason."""
    return attempt(ListExperiment.from_frame, case.frame, **case.roles)


def estimators(drawn: tuple[strategies.Case, str]) -> bool:
    """An estimator that needs no model to be sampled."""
    case, name = drawn
    study = study_of(case)
    found = None if study is None else attempt(ESTIMATORS[name], study, weighted=study.weighted)
    if study is None or found is None:
        return False
    for low, high in (("lower", "upper"), ("interval_lower", "interval_upper")):
        if low in found:
            ordered(found, low, high)
    for p in [column for column in found if column in ("p", "p_value")]:
        assert found[p].dropna().between(0, 1).all(), (name, found)
    for text in found.select_dtypes([object, "str"]):
        assert not found[text].map(lambda said: isinstance(said, str) and bool(WORDS.search(said))).any(), (
            name,
            found[text].tolist(),
        )
    given = case.frame.sample(frac=1, random_state=1)
    if study.weighted:
        heavier = attempt(
            ListExperiment.from_frame, case.frame.assign(weights=case.frame["weights"] * 10), **case.roles
        )
        same(found, attempt(ESTIMATORS[name], heavier, weighted=True), f"{name}: weights times 10")
    if name in CLOSED:
        renamed = given.assign(g=given["g"].cat.rename_categories({"a": "zz", "b": "b b", "c": "1", "d": "ü"}))
        changed = attempt(
            ListExperiment.from_frame, renamed, **{k: v for k, v in case.roles.items() if k != "population"}
        )
        same(
            found,
            attempt(ESTIMATORS[name], changed, weighted=study.weighted),
            f"{name}: other names of levels, another order of rows",
        )
    return True


def _of(name: str, **more: Any) -> Callable[..., pd.DataFrame]:
    def estimate(study: ListExperiment, *, weighted: bool) -> pd.DataFrame:
        return getattr(ble, name)(study, **more, weighted=weighted)

    return estimate


ESTIMATORS: dict[str, Callable[..., pd.DataFrame]] = {
    "difference in means": _of("difference_in_means"),
    "difference in means by group": _of("difference_in_means", by=["g", "m"]),
    "change": lambda study, weighted: ble.change_in_means(study, "1", "2", weighted=weighted),
    "adjusted difference": _of("adjusted_difference", covariates="x + m"),
    "adjusted difference by group": _of("adjusted_difference", covariates="x + m", by="g"),
    "linear regression": _of("linear_regression", trait="x + m"),
    "lying bounds": _of("lying_bounds", by="g"),
    "refusal bounds": lambda study, weighted: ble.refusal_bounds(study, "m"),
    "subgroups": _of("subgroup_means", columns=["g", "x", ["g", "m"]]),
    "poststratified means": _of("poststratified_means", cells="g"),
    "double list": _of("double_list", second="second"),
    "combined estimate": _of("combined_estimate", instrument="direct"),
    "placebo tests": lambda study, weighted: ble.placebo_tests(study, instrument="direct"),
    "no design effect": lambda study, weighted: ble.no_design_effect_test(study),
    "Bayes factor": lambda study, weighted: ble.no_design_effect_bayes_factor(study, by="m"),
    "type shares": lambda study, weighted: ble.type_shares(study, "m"),
    "frame against sample": lambda study, weighted: ble.frame_against_sample(study),
    "cells outside frame": lambda study, weighted: ble.cells_outside_frame(study),
    "maximum likelihood": lambda study, weighted: (
        ble.maximum_likelihood(study, "x", by="g", weighted=weighted).prevalence
    ),
    "two-step least squares": lambda study, weighted: (
        ble.nonlinear_least_squares(study, "m", weighted=weighted).prevalence
    ),
}
CLOSED = [
    name
    for name in ESTIMATORS
    if name in ("difference in means", "change", "adjusted difference", "linear regression", "double list")
]
"""Those whose arithmetic is exact whatever the order of rows and levels."""


def checks(case: strategies.Case) -> bool:
    """The page of all checks of a study."""
    study = study_of(case)
    if study is None:
        return False
    found = attempt(ble.design_checks, study, ["g", "x", "m"])
    if found is None:
        return False
    for check in found:
        assert check.p is None or 0 <= check.p <= 1, check
        assert check.estimate is None or not np.isnan(check.estimate), check
        assert check.interval is None or check.interval[0] <= check.interval[1], check
    page = page_of(found)
    assert not WORDS.search(page), [line for line in page.splitlines() if WORDS.search(line)]
    return True


def formulas(text: str) -> bool:
    """A formula of a small study resolved as a fit would."""
    study = _study()
    plan = attempt(blueprint, study, ble.Specification(trait=text, control="1"))
    columns = attempt(ble.linear_regression, study, text)
    if plan is None and columns is None:
        return False
    if plan is not None:
        for design in plan.designs.values():
            matrices = design.evaluate(plan.cells.frame)
            assert np.isfinite(matrices.slopes).all(), text
            assert len(matrices.slopes) == len(plan.cells.frame)
    return True


@functools.cache
def _study() -> ListExperiment:
    return ListExperiment.from_frame(
        strategies_of_text.valid_survey(), answer="y", arm="t", J=3, wave="wave", covariates=["g", "x", "m"]
    )


def populations(frame: pd.DataFrame) -> bool:
    """A table of cells as a population."""
    people = attempt(ble.PopulationFrame, frame)
    attempt(
        ble.frame_from_survey,
        frame,
        [name for name in frame.columns if name != "N"],
        weights="N" if "N" in frame else None,
    )
    if people is None:
        return False
    assert people.cells["N"].astype(float).sum() > 0
    both = attempt(ble.frames_by_wave, {"1": people, "2": people}, "when")
    assert both is None or len(both.cells) == 2 * len(frame)
    attempt(ble.rake, people, [frame])
    for name in frame.columns.drop("N"):
        survey = strategies_of_text.valid_survey().drop(columns="wave").rename(columns={"g": name})
        if survey.columns.is_unique:
            study = attempt(
                ListExperiment.from_frame, survey, answer="y", arm="t", J=3, covariates=[name], population=people
            )
            if study is not None:
                attempt(blueprint, study, ble.Specification(trait="1"), [name])
                attempt(ble.poststratified_means, study, cells=name)
    return True


def raking(case: tuple[pd.DataFrame | None, list[pd.DataFrame]]) -> bool:
    """Cells that have all margins, or the reason why none have."""
    seed, tables = case
    found = attempt(ble.rake, seed, tables, iterations=200)
    if found is None:
        return False
    total = found.cells["N"].sum()
    assert (found.cells["N"] >= 0).all()
    for table in tables:
        by = [name for name in table.columns if name != "N"]
        n = pd.to_numeric(table["N"]).astype(float)
        reached = found.cells.astype(dict.fromkeys(by, str)).groupby(by)["N"].sum()
        wanted = table.assign(N=n / n.sum() * total).astype(dict.fromkeys(by, str)).groupby(by)["N"].sum()
        assert np.allclose(reached.reindex(wanted.index, fill_value=0.0), wanted, rtol=1e-6, atol=1e-9 * total), (
            table,
            found.cells,
        )
    return True


def published(case: tuple[str, int, int]) -> bool:
    """A published table read, audited and laid out."""
    text, J, N = case
    table = attempt(parse_published, text, J=J, N=N, name="table")
    if table is None:
        return False
    findings = attempt(ble.audit, table)
    assert findings is not None, "a table that was read is audited"
    for finding in findings:
        assert finding.text, finding
        assert not WORDS.search(finding.text), finding
    differences = attempt(ble.printed_differences, table)
    if differences is not None:
        ordered(differences)
    use = attempt(complete_use, table, None)
    layout = None if use is None else attempt(lay_out, table, use)
    if layout is not None:
        assert np.isfinite(layout.numbers).all()
        assert np.isfinite(layout.noise).all()
        assert np.allclose(layout.weights.sum(axis=1), 1)
    return True


def readers(file: strategies_of_text.File) -> bool:
    """A file by every reader."""
    path = strategies_of_text.kept_in(strategies_of_text.folder(), file)
    frame = attempt(ble.read_survey, path)
    if frame is not None:
        assert len(frame) == frame.attrs["source"]["rows"] > 0
        assert frame.columns.is_unique
        if {"y", "t"} <= set(frame.columns):
            attempt(ListExperiment.from_frame, frame, answer="y", arm="t", J=3)
    attempt(ble.read_population, path)
    attempt(ble.read_regions, path)
    attempt(ble.read_published, path, J=3, N=60)
    attempt(read_shares, path)
    attempt(read_published_counts, path)
    scan = attempt(ble.scan_survey, path)
    table = None if scan is None else attempt(ble.tabulate, scan, [str(name) for name in scan.dataset.schema.names])
    if table is not None and frame is not None:
        assert int(table.n.sum()) == len(frame), f"{int(table.n.sum())} rows tabulated of {len(frame)}"
    return frame is not None


def specs(spec: strategies_of_text.Spec) -> bool:
    """A spec as `bayes-listexp check` and `estimate` take it."""
    path = strategies_of_text.folder() / "spec.toml"
    path.write_text(spec.text, encoding="utf-8")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        done = attempt(cli.check, path)
        read = attempt(read_spec, path)
    if read is not None and read.kind == "survey":
        study = attempt(spec_study, read)
        if study is not None:
            attempt(estimate_arguments, read, study[0])
            attempt(fit_arguments, read)
            attempt(map_of, read, study[0])
    assert not WORDS.search(said.getvalue().replace("standard error nan", "")), said.getvalue()
    return done is not None


PROPERTIES: dict[str, Property] = {
    "surveys": SURVEYS,
    "tabulated": Property(
        "the same frames as Arrow tables, which are tabulated without a row per respondent",
        "rows kept and excluded add up; estimates are those of the same rows in memory",
        strategies.frames(),
        tabulated,
    ),
    "counts": Property(
        "tables of counts, 0 to 2^62 respondents a row, of the same dtypes and with the same faults",
        "respondents add up; the order of rows changes nothing; the study of as many single respondents has the same estimates",
        strategies.counts(),
        from_counts,
    ),
    "estimators": Property(
        "studies of 2 to 40 respondents, often degenerate: constant answers, empty groups, weights of 0 or of 0.01 to 100, "
        "strata, clusters, waves, "
        "list versions, direct questions, second lists, populations; by one of 20 estimators",
        "intervals hold their estimates, standard errors are numbers, p lies in 0 to 1; ten times the weights, other names "
        "of levels and another order "
        "of rows change nothing; notes are words",
        st.tuples(strategies.studies(), st.sampled_from(list(ESTIMATORS))),
        estimators,
    ),
    "checks": Property(
        "the same studies",
        "every check has its p in 0 to 1, ordered intervals, and a text without 'nan'",
        strategies.studies(),
        checks,
    ),
    "formulas": Property(
        "formulas by a grammar (nested terms, groups and structures, calls of everything, unknown names, operators of other "
        "languages, unbalanced "
        "brackets), random signs, and formulas of up to 20,000 signs",
        "a design with finite columns, a row for each cell",
        strategies_of_text.ANY_FORMULA,
        formulas,
    ),
    "populations": Property(
        "population frames of 0 to 8 cells, of every dtype, with counts that are missing, negative, infinite, 1e308 or texts",
        "the people add up; by wave there are as many cells as in all waves; a study takes it or says why not",
        strategies.populations(),
        populations,
    ),
    "raking": Property(
        "one to three margins and a seed, of one population or contradictory, with zeros, lost or repeated rows, unknown "
        "levels, impossible numbers",
        "the cells have every margin to 1e-6, and nobody is negative",
        strategies.margins(),
        raking,
    ),
    "published": Property(
        "published tables of means, with shares, supports and sizes that are lost, contradictory, impossible, of 400 digits "
        "or no numbers",
        "an audit of sentences; intervals hold their estimates; weights of a variable's parts add up to 1",
        strategies.published(),
        published,
    ),
    "readers": Property(
        "csv, csv.gz, parquet, Stata and SPSS files with bytes flipped, lost, doubled, zeroed or inserted at random, cut "
        "off, or under another name, "
        "by every reader",
        "the number of rows is that of the file, by whichever reader",
        strategies_of_text.broken_files(),
        readers,
    ),
    "csv": Property(
        "csv files by signs: separators, quotation marks, line ends of all systems, missing values",
        "as above",
        strategies_of_text.csv_texts(),
        readers,
    ),
    "specs": Property(
        "specs with keys lost, misspelt, moved or of another type, and values from 5e-324 to 2^63, by `check` and all that "
        "is read before a fit",
        "a page of checks without 'nan'",
        strategies_of_text.specs(),
        specs,
    ),
}
