"""Tabulated data: whatever the engine, the order of rows and the batches, the study is the one of a frame in memory."""

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest

from bayes_listexp import tabulation
from bayes_listexp.design_based import difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.instruments.direct import DirectQuestion
from bayes_listexp.instruments.item_answers import ItemAnswers
from bayes_listexp.instruments.outcome import Outcome
from bayes_listexp.instruments.second_list import SecondList
from bayes_listexp.least_squares import linear_regression
from bayes_listexp.scanning import scan_survey
from bayes_listexp.spec import read_spec, study_of
from bayes_listexp.tabulation import tabulate, two_weights
from bayes_listexp.weighting import kish, weighted_observations

N = 900
ROLES = {"answer": "y", "arm": "treat", "J": 3, "wave": "wave", "weights": "w", "instruments": [DirectQuestion("direct")],
         "covariates": ["region", "education", "member", "age"]}


def people(n=N, seed=5):
    """Respondents with what surveys have: missing values, odd texts, levels in an order of their own and levels that nobody has."""
    rng = np.random.default_rng(seed)
    treated = rng.integers(0, 2, n)
    frame = pd.DataFrame({
        "y": rng.integers(0, 4, n) + treated * rng.integers(0, 2, n), "treat": np.where(treated, "treatment", "control"),
        "wave": rng.choice(["2022-11", "2022-09"], n), "region": rng.choice(["Öst", "NA", " west", "", "o'clock; \"x\""], n),
        "education": pd.Categorical(rng.choice(["low", "high"], n), ["low", "middle", "high"], ordered=True),
        "member": rng.integers(0, 2, n).astype(bool), "age": rng.choice([20.0, 35.5, 61.25], n),
        "direct": np.where(rng.random(n) < 0.3, np.nan, rng.integers(0, 2, n)), "w": rng.gamma(2, 0.5, n),
    })
    frame["y"] = frame["y"].astype(float)
    for name, share in (("y", 0.05), ("treat", 0.01), ("region", 0.04), ("education", 0.03), ("age", 0.02)):
        frame.loc[rng.random(n) < share, name] = np.nan
    return frame


FRAME = people()


def as_polars(frame):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    out = polars.from_pandas(frame)
    if "education" not in frame:
        return out
    return out.with_columns(polars.col("education").cast(polars.String).cast(polars.Enum(["low", "middle", "high"])))


def as_duckdb(frame):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed")
    connection = duckdb.connect()
    if "education" not in frame:
        return connection.from_df(frame)
    connection.execute("create type level as enum ('low', 'middle', 'high')")
    text = frame.assign(education=frame["education"].astype(object).where(frame["education"].notna(), None))
    return connection.from_df(text).project("* exclude (education), education::varchar::level as education")


def as_dask(frame):
    dask = pytest.importorskip("dask.dataframe", reason="Dask is not installed")
    return dask.from_pandas(frame, npartitions=3)


def as_dataset(frame):
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return pa.dataset.dataset(pa.Table.from_batches(table.to_batches(max_chunksize=97), table.schema))


ENGINES = {
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False), "dataset": as_dataset, "polars": as_polars,
    "lazy": lambda frame: as_polars(frame).lazy(), "duckdb": as_duckdb, "dask": as_dask,
}


@pytest.fixture(scope="module")
def memory():
    return ListExperiment.from_frame(FRAME, **ROLES)


def same(study, other):
    """Everything that is counted, and the estimates that it leads to."""
    columns = ["wave", "region", "education", "member"]
    pd.testing.assert_frame_equal(study.exclusions, other.exclusions)
    assert (study.n, study.waves, study.covariates, study.source["respondents"]) == (
        other.n, other.waves, other.covariates, other.source["respondents"])
    for names in ([], columns, ["age"]):
        ours, theirs = study.cells(names), other.cells(names)
        pd.testing.assert_frame_equal(ours.frame, theirs.frame)
        pd.testing.assert_frame_equal(ours.exclusions, theirs.exclusions)
        for arm, table in ours.answers.items():
            np.testing.assert_array_equal(table, theirs.answers[arm])
        np.testing.assert_array_equal(ours.unlisted, theirs.unlisted)
        np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-12)  # sums of the same numbers in another order
    ours, theirs = study.rows(columns), other.rows(columns)
    for name in ("cell", "arm", "answer", "treated", "n"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert list(ours.observed) == list(theirs.observed)
    assert study.refusals["_n"].sum() == other.refusals["_n"].sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_study_is_that_of_a_frame_in_memory(engine, memory):
    study = ListExperiment.from_frame(ENGINES[engine](FRAME), **ROLES)
    same(study, memory)
    assert study.source["rows"] == N
    assert list(study.table["education"].cat.categories) == ["low", "middle", "high"]


@pytest.mark.parametrize("missing", ["level", "model"])
def test_missing_covariates_are_treated_alike(missing, memory):
    ours, theirs = (ListExperiment.from_frame(data, missing=missing, **ROLES) for data in (ENGINES["arrow"](FRAME), FRAME))
    a, b = ours.cells(["education"]), theirs.cells(["education"])
    pd.testing.assert_frame_equal(a.frame, b.frame)
    np.testing.assert_allclose(a.n, b.n, rtol=1e-12)


def test_order_batches_and_engine_change_no_digit():
    mixed = FRAME.sample(frac=1, random_state=2).reset_index(drop=True)
    studies = [ListExperiment.from_frame(make(frame), **ROLES)
               for frame in (FRAME, mixed) for name, make in ENGINES.items() if name in ("arrow", "dataset")]
    for name in ("polars", "lazy", "duckdb", "dask"):
        try:
            studies.append(ListExperiment.from_frame(ENGINES[name](mixed), **ROLES))
        except pytest.skip.Exception:
            continue
    assert len({study.sha256 for study in studies}) == 1
    assert len({study.source["sha256"] for study in studies}) == 1


def test_estimates_and_their_variances_are_those_of_respondents(memory):
    study = ListExperiment.from_frame(as_dataset(FRAME), **ROLES)
    pd.testing.assert_frame_equal(kish(study), kish(memory), rtol=1e-9)
    for weighted in (False, True):
        ours, theirs = (difference_in_means(s, by="wave", weighted=weighted) for s in (study, memory))
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9)
    ours, theirs = (weighted_observations(s, ["wave", "education"], True) for s in (study, memory))
    np.testing.assert_array_equal(ours.n, theirs.n)
    np.testing.assert_allclose(ours.total, theirs.total, rtol=1e-8)  # normalised weights are rounded to nine decimals
    squares = [np.bincount(s.pattern, weights=s.table["_n"] * s.weight**2) for s in (ours, theirs)]
    np.testing.assert_allclose(*squares, rtol=1e-7)
    # errors that divide by leverages of single respondents see two weights of each row instead of all of them
    ours, theirs = (linear_regression(s, "age + member", weighted=True, variance="HC2") for s in (study, memory))
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-8)
    np.testing.assert_allclose(ours["se"], theirs["se"], rtol=1e-4)


def test_strata_clusters_and_replicates_are_counted_too():
    rng = np.random.default_rng(3)
    replicates = {f"r{i}": FRAME["w"] * rng.choice([0, 2], N) for i in range(4)}
    frame = FRAME.assign(stratum=np.arange(N) % 5, cluster=np.arange(N) % 50, **replicates)
    for design in ({"strata": "stratum"}, {"strata": "stratum", "clusters": "cluster"},
                   {"replicate_weights": ["r0", "r1", "r2", "r3"], "replicate_method": "brr"}):
        ours, theirs = (ListExperiment.from_frame(data, **ROLES, **design) for data in (as_dataset(frame), frame))
        tables = [difference_in_means(s, by="wave", weighted=True) for s in (ours, theirs)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-7)  # normalised weights are rounded to nine decimals


def test_instruments_read_tabulated_columns():
    rng = np.random.default_rng(8)
    items = pd.DataFrame(rng.integers(0, 2, (N, 3)), columns=["a", "b", "c"]).astype(float)
    control = rng.random(N) < 0.5
    frame = items.where(pd.Series(control), np.nan).assign(
        treat=(~control).astype(int), y=np.where(control, items.sum(axis=1), rng.integers(0, 5, N)),
        second=rng.integers(0, 4, N), second_arm=rng.integers(0, 2, N), trust=rng.choice([1, 2, 5], N).astype(float))
    frame["other"] = rng.poisson(2, N)
    for one in (SecondList("second", "second_arm", J=3), ItemAnswers(("a", "b", "c")), Outcome("other", "negative_binomial"),
                Outcome("trust", "gaussian"), Outcome("trust", "student_t")):
        given = {"answer": "y", "arm": "treat", "J": 3, "instruments": [one], "covariates": []}
        ours, theirs = (ListExperiment.from_frame(data, **given) for data in (as_dataset(frame), frame))
        for name, value in vars(theirs.instruments[0]).items():
            found = getattr(ours.instruments[0], name)
            assert found == (pytest.approx(value, rel=1e-12) if isinstance(value, float) else value)
        np.testing.assert_array_equal(ours.rows().n, theirs.rows().n)


FAULTS = {
    "an answer outside": (lambda f: f.assign(y=f["y"].where(f.index != 70, 9)), r"column 'y', row 71: with J = 3 the \w+ arm answers 0 to"),
    "many": (lambda f: f.assign(y=f["y"].where(f.index % 50 != 20, 1.5)), r"column 'y', 18 rows \(the first is row 21\): an answer"),
    "fractions": (lambda f: f.assign(y=f["y"].where(f.index != 70, 1.5)), r"column 'y', row 71: an answer is a whole number"),
    "arms": (lambda f: f.assign(treat="x"), r"column 'treat': the arm must have two values .* found 'x'"),
    "weights": (lambda f: f.assign(w=f["w"].where(f.index != 70, -1)), r"column 'w', row 71: a weight is missing, infinite or negative"),
    "no weights": (lambda f: f.assign(w=f["w"].where(f.index > 70)), r"column 'w', 71 rows \(the first is row 1\): a weight is missing"),
    "nothing but zeros": (lambda f: f.assign(w=0.0), "column 'w': all weights are 0"),
    "text": (lambda f: f.assign(w="x"), "column 'w': weights are numbers, found a column of type String"),
    "column": (lambda f: f.drop(columns="age"), r"column 'age' \(covariates\) is not in the data; the columns are: y,"),
    "direct": (lambda f: f.assign(direct=f["direct"].where(f.index != 70, 7)), r"column 'direct', row 71: found 7, which is none"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("engine", ["dataset", "lazy"])
def test_faults_are_named_with_their_rows(fault, engine):
    spoil, text = FAULTS[fault]
    with pytest.raises(InputError, match=text):
        ListExperiment.from_frame(ENGINES[engine](spoil(FRAME)), **ROLES)


@pytest.mark.parametrize("engine", ["duckdb", "dask"])
def test_engines_without_an_order_count_the_rows(engine):
    spoilt = FRAME.assign(y=FRAME["y"].where(FRAME.index % 500 != 70, 9))
    with pytest.raises(InputError, match=r"column 'y', (1 row|\d rows): with J = 3"):
        ListExperiment.from_frame(ENGINES[engine](spoilt), **ROLES)


def test_what_cannot_be_tabulated_is_refused_with_the_way_out(monkeypatch):
    frame = FRAME.assign(id=np.arange(N))
    with pytest.raises(InputError, match=r"column 'id' \(ids\): .* Give the data as a pandas frame"):
        ListExperiment.from_frame(as_dataset(frame), **ROLES, ids="id")
    monkeypatch.setattr(tabulation, "MOST_ROWS", 700)
    for engine in ("arrow", "dataset"):
        with pytest.raises(InputError, match=r"more than 700 distinct rows: .* 'id' \(\d\d\d values\).*binned"):
            tabulate(ENGINES[engine](frame), ["y", "id"])
    with pytest.raises(InputError, match="data of type 'builtins.list' cannot be read"):
        tabulate([1, 2], ["y"])
    with pytest.raises(InputError, match="column 'y' holds values of type List"):
        tabulate(pa.table({"y": [[1], [2]]}), ["y"])
    for engine in ("arrow", "dataset"):
        with pytest.raises(InputError, match="the data have no rows"):
            tabulate(ENGINES[engine](FRAME.iloc[:0]), ["y"])
    with pytest.raises(InputError, match="tabulated with weights = None"):
        ListExperiment.from_frame(tabulate(FRAME, ["y", "treat"]), **ROLES)


def test_a_tabulation_is_as_good_as_the_data(memory):
    given = [name for name in FRAME if name != "w"]
    same(ListExperiment.from_frame(tabulate(FRAME, given, weights="w"), **ROLES), memory)


def test_two_weights_have_the_number_the_sum_and_the_squares():
    rng = np.random.default_rng(1)
    people = [rng.gamma(0.2, 1, k) for k in (2, 3, 50, 1000)] + [np.array([0.0] * 9 + [5.0]), np.ones(4), np.array([2.5])]
    n, total, squares = (np.array([f(w) for w in people], dtype=float) for f in (len, np.sum, lambda w: (w**2).sum()))
    heavy, of_heavy = two_weights(n, total, squares)
    light, of_light = n - heavy, total - of_heavy
    assert (of_light > -1e-12).all()
    assert ((heavy >= 1) & (heavy <= n)).all()
    again = of_heavy**2 / heavy + np.divide(of_light**2, light, out=np.zeros(len(n)), where=light > 0)
    np.testing.assert_allclose(again, squares, rtol=1e-12)


def test_files_are_scanned_as_they_are_read(tmp_path, memory):
    FRAME.to_parquet(tmp_path / "waves.parquet", row_group_size=200)
    study = ListExperiment.from_frame(scan_survey(tmp_path / "waves.parquet"), **ROLES)
    same(study, memory)
    assert study.source["name"] == "waves.parquet"
    from bayes_listexp.read import read_survey

    for separator, name in ((",", "waves.csv"), (";", "waves.csv.gz")):
        FRAME.to_csv(tmp_path / name, sep=separator, index=False)
        ours, theirs = (ListExperiment.from_frame(read(tmp_path / name), **ROLES)
                        for read in (lambda p: scan_survey(p, numbers=["w"]), read_survey))
        same(ours, theirs)
    (tmp_path / "cut.csv").write_text("y,treat,w\n1,0,1\n2,1\n")
    with pytest.raises(InputError, match="cut.csv.*CSV parse error: Row #3: Expected 3 columns, got 2"):
        tabulate(scan_survey(tmp_path / "cut.csv", numbers=["w"]), ["y", "treat"], weights="w")
    with pytest.raises(InputError, match="there is no such file"):
        scan_survey(tmp_path / "none.csv")
    with pytest.raises(InputError, match="only .parquet, .csv, .csv.gz"):
        scan_survey(tmp_path / "x.dta")


def test_unordered_levels_of_polars_are_text():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.from_pandas(FRAME).with_columns(polars.col("education").cast(polars.String).cast(polars.Categorical))
    study = ListExperiment.from_frame(frame, **ROLES)
    assert list(study.table["education"].cat.categories) == ["high", "low"]


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("arrow", "dask"):
            tabulate(ENGINES[name](FRAME), ["y", "education"], weights="w")


SPEC = """
[data]
file = "{name}"
answer = "y"
arm = "treat"
J = 3
wave = "wave"
weights = "w"
covariates = ["region", "age"]
tabulate = {tabulate}

[data.bins]
age = [30]

[data.recode.region]
west = [" west", "Öst"]
other = ["NA", "", "o'clock; \\"x\\""]

[model]
trait = "1 + age + (1|region)"
"""


def test_specs_tabulate_files_or_read_them_for_the_same_study(tmp_path):
    FRAME.to_parquet(tmp_path / "waves.parquet")
    studies = []
    for tabulate_it in ("true", "false"):
        (tmp_path / "spec.toml").write_text(SPEC.format(name="waves.parquet", tabulate=tabulate_it), encoding="utf-8")
        studies.append(study_of(read_spec(tmp_path / "spec.toml"))[0])
    ours, theirs = studies
    assert ours.source["tabulated_rows"] < len(FRAME) == theirs.source["rows"]
    assert ours.source["binned"] == theirs.source["binned"]
    a, b = (study.cells(["wave", "region", "age"]) for study in studies)
    pd.testing.assert_frame_equal(a.frame, b.frame)
    np.testing.assert_array_equal(a.control, b.control)
    pd.testing.assert_frame_equal(a.exclusions, b.exclusions)
    spec = SPEC.format(name="waves.parquet", tabulate="true").replace('west = [" west", "Öst"]', 'west = ["Öst"]')
    (tmp_path / "spec.toml").write_text(spec, encoding="utf-8")
    with pytest.raises(InputError, match=r"no list has ' west', found in \d+ rows \(the first is row \d+\)"):
        study_of(read_spec(tmp_path / "spec.toml"))
