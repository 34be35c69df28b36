"""Respondents of any number tabulated where they are: an engine counts the distinct rows, and only these come back.

Frames of polars (eager or lazy), Arrow, DuckDB, Dask, Spark and pandas are spoken to through one layer, narwhals; Arrow datasets
(parquet and csv files of any size) are read in batches whose counts add up. What comes back depends on the rows alone: not on their
order, on how they are cut into batches, or on the engine, to the last digit. Sums of weights are therefore sums of whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset

from bayes_listexp.columns import PLACES, check_largest, name_places
from bayes_listexp.errors import InputError

MOST_ROWS = 2_000_000
"""Distinct rows that come back at most: beyond these the data are hardly tabulated, and pandas holds them as well."""
BATCH = 2**20
FIRST, N, TOTAL, SQUARES = "_first", "_n", "_total", "_squares"
NESTED = (nw.List, nw.Struct, nw.Array, nw.Binary)

type Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]
type Work = Callable[[Frame, int | None], Any]


@dataclass(frozen=True)
class Scan:
    """Files to be read in batches, as :func:`bayes_listexp.scan_survey` makes it.

    ``dataset`` holds the rows; ``texts`` are the columns of text, which may be read as dictionaries without an order of levels;
    ``finish`` makes of a table of distinct rows what reading the whole file would have made of it (csv is read as text); ``source``
    is what is known of the file.
    """

    dataset: pa.dataset.Dataset
    texts: frozenset[str] = frozenset()
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tabulation:
    """Respondents tabulated by distinct row.

    Attributes
    ----------
    frame : a row for each distinct row of the columns, in their order; the columns of weights and replicate weights hold sums. Its
        index says where the respondents stand in the data: first row (from 1; 0 where the engine knows no order), respondents, place.
    n : respondents in each row, whole numbers.
    weights : name of the column of sums of weights, or None.
    squares : sums of squared weights in each row, or None.
    source : what is known of the data.
    """

    frame: pd.DataFrame
    n: pd.Series
    weights: str | None = None
    squares: pd.Series | None = None
    replicate_weights: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)

    def respondents(self) -> tuple[pd.DataFrame, pd.Series]:
        """Rows of respondents who are alike in their weights too, and how many each stands for.

        A row whose respondents differ in weight becomes two: as many respondents, with the same sum of weights and of squared weights,
        all that estimates and their variances use.
        """
        if self.weights is None or self.squares is None:
            return self.frame, self.n
        n, total = self.n.to_numpy(dtype=float), self.frame[self.weights].to_numpy(dtype=float)
        heavy, of_heavy = two_weights(n, total, self.squares.to_numpy(dtype=float))
        size = np.stack([heavy, n - heavy], axis=1).ravel()
        sums = np.stack([of_heavy, total - of_heavy], axis=1).ravel()
        place = np.repeat(np.arange(len(n)), 2)[size > 0]
        size, sums = size[size > 0], np.maximum(sums[size > 0], 0.0)
        share = size / n[place]
        frame = self.frame.iloc[place]
        parts = {name: frame[name].to_numpy() * share for name in self.replicate_weights}
        index = _places(frame.index.get_level_values(0), size.astype("int64"))
        frame = frame.set_axis(index).assign(**{self.weights: sums, **parts})
        return frame, pd.Series(size.astype("int64"), index=index)


def two_weights(n: np.ndarray, total: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of ``n`` respondents have the heavier of two weights, and the sum of their weights, (row,) each.

    With the others' sum ``total`` minus this one, the sum of squared weights is ``squares``. As near to one half have the heavier
    weight as leaves none below 0. Where all weights are equal everybody has the heavier.
    """
    mean = total / n
    variance = np.maximum(squares / n - mean**2, 0.0)
    alike = (n < 2) | (variance <= 0)
    apart = np.where(alike, 1.0, variance)
    most = np.where(alike, 1.0, mean**2 / (mean**2 + apart))
    heavy = np.clip(np.floor(n * np.minimum(0.5, most)), 1, np.maximum(n - 1, 1))
    weight = mean + np.sqrt(apart * np.where(alike, 1.0, n - heavy) / heavy)
    return np.where(alike, n, heavy), np.where(alike, total, np.minimum(heavy * weight, total))


def tabulate(
    source: Any, columns: Sequence[str], *, weights: str | None = None, replicate_weights: Sequence[str] = ()
) -> Tabulation:
    """Count the respondents of each distinct row of ``columns``, without loading the data.

    Parameters
    ----------
    source : a polars DataFrame or LazyFrame, a pyarrow Table or Dataset, a DuckDB relation, a Dask, Spark or pandas DataFrame, or what
        :func:`bayes_listexp.scan_survey` or :func:`bayes_listexp.binned` returns. The engine groups and counts, larger than memory
        if it can; Arrow datasets are read in batches.
    columns : the columns that tell rows apart. Categories (pandas, Arrow dictionaries, Enum of polars and DuckDB) keep their order and
        those that do not occur; a polars Categorical has no order and is read as text.
    weights : column of survey weights: their sum, and the sum of their squares, come back. Each is rounded to a 2^(62 - log2 N) th of
        the largest (2^-38 at ten million rows), so that sums do not depend on the order of rows.
    replicate_weights : columns of which sums come back.

    Missing values are values here; validation is left to :meth:`bayes_listexp.ListExperiment.from_frame`, which takes the result as it
    takes a frame.

    Raises
    ------
    InputError : a column that there is not or that cannot be counted, weights that are missing or negative, or more than two million
        distinct rows, naming the columns that make them so many.
    """
    stream = stream_of(source)
    summed = [name for name in (weights, *replicate_weights) if name is not None]
    keys = [name for name in dict.fromkeys(columns) if name not in summed]
    if not keys:
        raise InputError("tabulate: name at least one column whose values are to be counted.")
    _check(stream, keys, summed)
    bits = _fixed_points(stream, summed) if summed else {}
    parts, levels = list[pd.DataFrame](), dict[str, pd.CategoricalDtype]()
    for part, found in stream.each([*keys, *summed], partial(_tabulated_part, keys=keys, bits=bits, weights=weights)):
        levels |= {name: _joined(levels.get(name), dtype) for name, dtype in found.items() if name not in stream.texts}
        parts.append(part)
        if sum(map(len, parts)) > MOST_ROWS:
            parts = [_added_up(parts, keys)]
            _refuse_many(parts[0], keys)
    table = _added_up(parts, keys)
    if stream.finish is not None:
        table = _added_up([stream.finish(table)], keys)
    _refuse_many(table, keys)
    return _tabulation(table, keys, levels, bits, weights, tuple(replicate_weights), stream.source)


class Stream(NamedTuple):
    """Data in one part or many: columns, their types, what computes a result of each part, and what is known of the data.

    ``each(names, work)`` gives ``work(frame, start)`` of every part, with the number of rows before it, None if that is not known.
    """

    dtypes: Mapping[str, Any]
    each: Callable[[list[str], Work], Iterable[Any]]
    texts: frozenset[str] = frozenset()
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    source: Mapping[str, Any] = {}


def stream_of(source: Any) -> Stream:
    """Data of any kind as parts that narwhals can count.

    Raises
    ------
    InputError : data of a kind that is not known.
    """
    if hasattr(source, "as_stream"):
        made: Stream = source.as_stream()
        return made
    if isinstance(source, Scan):
        return stream_of(source.dataset)._replace(texts=source.texts, finish=source.finish, source=source.source)
    if isinstance(source, pa.dataset.Dataset):
        schema = nw.from_native(source.schema.empty_table()).schema
        return Stream(dict(schema), lambda names, work: (work(*part) for part in _batches(source, names)))
    if type(source).__module__.startswith("dask.") and hasattr(source, "to_delayed"):
        return Stream(dict(nw.from_native(source._meta).schema), partial(_on_workers, source))
    try:
        frame = nw.from_native(source)
    except TypeError as error:
        kind = f"{type(source).__module__}.{type(source).__name__}"
        raise InputError(f"data of type '{kind}' cannot be read. Give a frame of pandas, polars, Arrow, DuckDB, Dask or Spark, an Arrow "
                         "dataset, or a file by scan_survey.") from error
    given = dict(getattr(source, "attrs", {}).get("source", {}))
    return Stream(dict(frame.collect_schema()), lambda names, work: [work(frame.select(names), 0)], source=given)


def _on_workers(source: Any, names: list[str], work: Work) -> Iterable[Any]:
    """The results of a Dask frame's partitions, computed where they are."""
    import dask

    one = dask.delayed(_on_partition)
    return list(dask.compute(*(one(work, part) for part in source[names].to_delayed())))


def _on_partition(work: Work, part: pd.DataFrame) -> Any:
    return work(nw.from_native(part), None)


def _batches(dataset: pa.dataset.Dataset, names: list[str]) -> Iterator[tuple[Frame, int]]:
    """Tables of about as many rows as a batch has at most; read ahead a little, so that memory stays small."""
    waiting, rows, start = list[pa.RecordBatch](), 0, 0
    batches = dataset.to_batches(columns=names, batch_size=BATCH, batch_readahead=4, fragment_readahead=1)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"the data cannot be read beyond row {start + rows:,}: {str(error).splitlines()[0]}. Mend the file, or write "
                             "it again.") from error
        if batch is not None:
            waiting, rows = [*waiting, batch], rows + len(batch)
        if rows and (batch is None or rows >= BATCH):
            yield nw.from_native(pa.Table.from_batches(waiting)), start
            waiting, rows, start = [], 0, start + rows
        if batch is None:
            return


def _check(stream: Stream, keys: Sequence[str], summed: Sequence[str]) -> None:
    """Refuse columns that there are not, that hold tables, or whose numbers are none."""
    for name in (*keys, *summed):
        if name not in stream.dtypes:
            raise InputError(f"column '{name}' is not in the data; the columns are: {', '.join(stream.dtypes)}.")
        if stream.dtypes[name] in NESTED:
            raise InputError(f"column '{name}' holds values of type {stream.dtypes[name]}, which cannot be counted. Leave it out.")
    for name in summed:
        if not stream.dtypes[name].is_numeric():
            raise InputError(f"column '{name}': weights are numbers, found a column of type {stream.dtypes[name]}. Convert it, or mark as "
                             "missing what is none.")
    if "" in (*keys, *summed):
        raise InputError("a column has no name, so that it cannot be counted by it. Name it, or leave it out.")
    taken = [name for name in keys if name in (FIRST, N, TOTAL, SQUARES)]
    if taken:
        raise InputError(f"column '{taken[0]}': this name is reserved. Rename the column.")


def _number(name: str) -> nw.Expr:
    return nw.col(name).cast(nw.Float64())


def _fixed_points(stream: Stream, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """For each column of weights the power of 2 above the largest, and how many binary digits below it are kept: as many as let
    the sum of all fit 62.
    """
    facts = pd.DataFrame(stream.each(list(names), partial(_weight_facts, names=names)))
    rows = facts[N].sum()
    for name in names:
        bad = facts[facts[f"{N}{name}"] > 0]
        if len(bad):
            where = name_places(int(bad[f"{FIRST}{name}"].iloc[0]), int(bad[f"{N}{name}"].sum()))
            raise InputError(f"column '{name}', {where}: a weight is missing, infinite or negative. Give every respondent a weight of at "
                             "least 0.")
        check_largest(float(facts[name].max()), name)
    if not rows:
        raise InputError("the data have no rows.")
    digits = 62 - int(np.ceil(np.log2(rows + 1)))
    return {name: (int(np.frexp(facts[name].max())[1]), digits) for name in names}


def _weight_facts(frame: Frame, start: int | None, names: Sequence[str]) -> dict[str, float]:
    """Of one part of the data: rows, and of each column of weights the largest, how many are none, and the first row of these."""
    frame = numbered(frame, start)
    good = {name: (_number(name).is_finite() & (_number(name) >= 0)).fill_null(False) for name in names}
    wanted = [nw.len().alias(N)]
    for name, each in good.items():
        wanted += [nw.when(each).then(_number(name)).max().alias(name), (~each).cast(nw.Int64()).sum().alias(f"{N}{name}")]
        if FIRST in frame.collect_schema().names():
            wanted.append(nw.when(~each).then(nw.col(FIRST)).min().alias(f"{FIRST}{name}"))
    facts = counted(frame.select(*wanted)).iloc[0]
    return {f"{FIRST}{name}": 0.0 for name in names} | {str(k): 0.0 if pd.isna(v) else float(v) for k, v in facts.items()}


def _measures(bits: Mapping[str, tuple[int, int]], weights: str | None) -> dict[str, nw.Expr]:
    """The whole numbers to add up: weights, and the squares of survey weights, in units that are powers of 2."""
    out = {}
    for name, (power, digits) in bits.items():
        out[f"{TOTAL}{name}"] = whole(_number(name), digits - power)
        if name == weights:
            out[SQUARES] = whole(_number(name) * _number(name), digits - 2 * power)
    return out


def whole(value: nw.Expr, power: int) -> nw.Expr:
    """A number times a power of 2, rounded: floor(x + 1/2), because engines round halves differently."""
    return (value * 2.0**power + 0.5).floor().cast(nw.Int64())


def numbered(frame: Frame, start: int | None) -> Frame:
    """The rows with their numbers, from 1, where the engine knows an order."""
    if start is not None and isinstance(frame, nw.DataFrame):
        return frame.with_row_index(FIRST).with_columns(nw.col(FIRST).cast(nw.Int64()) + (start + 1))
    if start is not None and frame.implementation.is_polars():
        return nw.from_native(nw.to_native(frame).with_row_index(FIRST, offset=1))
    return frame


def _tabulated_part(
    frame: Frame, start: int | None, keys: list[str], bits: Mapping[str, tuple[int, int]], weights: str | None
) -> tuple[pd.DataFrame, dict[str, pd.CategoricalDtype]]:
    """Distinct rows of one part of the data, counted by its engine, and the levels of its columns."""
    frame = _levels_as_text(frame, keys)
    schema, measured = frame.collect_schema(), _measures(bits, weights)
    levels = _levels(frame, keys)
    texts = [nw.col(name).cast(nw.String()) for name in keys if schema[name] in (nw.Categorical, nw.Enum)]
    decimals = [_number(name) for name in keys if schema[name] == nw.Decimal]
    after = texts if frame.implementation.is_pyarrow() else []  # Arrow groups by codes of levels at a quarter of the cost
    if after:
        frame = nw.from_native(nw.to_native(frame).unify_dictionaries())
    frame = numbered(frame, start).with_columns(*([] if after else texts), *decimals, **measured)
    first = [nw.col(FIRST).min()] if FIRST in frame.collect_schema().names() else []
    grouped = frame.group_by(keys, drop_null_keys=False).agg(nw.len().alias(N), *first, *(nw.col(name).sum() for name in measured))
    table = counted(grouped.with_columns(*after, *(nw.col(name).cast(nw.Int64()) for name in (N, *measured))).head(MOST_ROWS + 1))
    return table if first else table.assign(**{FIRST: 0}), levels


def _levels_as_text(frame: Frame, keys: Sequence[str]) -> Frame:
    """Arrow's dictionaries of numbers or of anything but text, as Python writes their values: as the levels of a categorical are read."""
    native = nw.to_native(frame)
    for name in keys if isinstance(native, pa.Table) else ():
        kind = native.schema.field(name).type
        if pa.types.is_dictionary(kind) and not (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)):
            chunks = [pa.DictionaryArray.from_arrays(chunk.indices, pa.array(map(str, chunk.dictionary.to_pylist()), pa.string()),
                                                     ordered=kind.ordered) for chunk in native[name].chunks]
            field = pa.field(name, pa.dictionary(kind.index_type, pa.string(), kind.ordered))
            native = native.set_column(native.schema.get_field_index(name), field, pa.chunked_array(chunks, field.type))
    return nw.from_native(native)


def counted(frame: Frame) -> pd.DataFrame:
    """What an engine computed, as pandas reads Arrow."""
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect(engine="streaming") if frame.implementation.is_polars() else frame.collect()
    if frame.implementation.is_pandas():
        return frame.to_pandas().reset_index(drop=True)
    table: pd.DataFrame = frame.to_arrow().to_pandas()
    return table


def _levels(frame: Frame, keys: Sequence[str]) -> dict[str, pd.CategoricalDtype]:
    """The levels of the columns that have an order of their own, as text; ordered where their engine says so."""
    schema = frame.collect_schema()
    native = nw.to_native(frame)
    out = {}
    for name in keys:
        dtype = schema[name]
        if isinstance(dtype, nw.Enum):
            out[name] = pd.CategoricalDtype([str(level) for level in dtype.categories], ordered=True)
        elif dtype == nw.Categorical and frame.implementation.is_pyarrow():
            chunks = native[name].chunks
            found = dict.fromkeys(str(level) for chunk in chunks for level in chunk.dictionary.to_pylist())
            out[name] = pd.CategoricalDtype(list(found), ordered=native.schema.field(name).type.ordered)
        elif dtype == nw.Categorical and frame.implementation.is_pandas():
            given = native.dtypes[name]
            out[name] = pd.CategoricalDtype([str(level) for level in given.categories], ordered=given.ordered)
    return out


def _joined(first: pd.CategoricalDtype | None, second: pd.CategoricalDtype) -> pd.CategoricalDtype:
    """The levels of two parts: those of the first, then what the second has more."""
    if first is None:
        return second
    more = [level for level in second.categories if level not in set(first.categories)]
    return pd.CategoricalDtype([*first.categories, *more], ordered=bool(first.ordered and second.ordered)) if more else first


def _added_up(parts: Sequence[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Counts of the same row in several parts as one, in the order of the rows' values; missing is missing, of whatever kind."""
    there = [part for part in parts if len(part)]
    if not there:
        raise InputError("the data have no rows.")
    whole = pd.concat(there, ignore_index=True)
    codes = pd.DataFrame({name: pd.factorize(whole[name], sort=True)[0] for name in keys})
    group = codes.groupby(keys, sort=True).ngroup().rename("_group")
    sums = [name for name in whole.columns if name not in (*keys, FIRST)]
    added = whole.groupby(group)[sums].sum().assign(**{FIRST: whole.groupby(group)[FIRST].min()})
    distinct = whole.assign(_group=group).drop_duplicates("_group").set_index("_group")[keys]
    return distinct.join(added).sort_index().reset_index(drop=True)


def _refuse_many(table: pd.DataFrame, keys: Sequence[str]) -> None:
    if len(table) > MOST_ROWS:
        sizes = table[list(keys)].nunique().sort_values(ascending=False).head(3)
        named = ", ".join(f"'{name}' ({size:,} values)" for name, size in sizes.items())
        raise InputError(f"more than {MOST_ROWS:,} distinct rows: the data cannot be tabulated by all of {', '.join(keys)}. Those with the "
                         f"most values among them are {named}. Name the `covariates` that you need, put numbers into groups with "
                         "bayes_listexp.binned, or give the data as a pandas frame, with a row per respondent in memory.")


def _places(first: Any, n: np.ndarray) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([np.asarray(first), n, np.arange(len(n))], names=PLACES)


def _tabulation(
    table: pd.DataFrame, keys: list[str], levels: Mapping[str, pd.CategoricalDtype], bits: Mapping[str, tuple[int, int]],
    weights: str | None, replicates: tuple[str, ...], source: Mapping[str, Any],
) -> Tabulation:
    """Counts as numbers of the data's own units, levels in their order."""
    index = _places(table[FIRST], table[N].to_numpy(dtype="int64"))
    table = table.set_axis(index)
    totals = {name: table[f"{TOTAL}{name}"].astype(float) * 2.0 ** (power - digits) for name, (power, digits) in bits.items()}
    frame = table[keys].astype(dict(levels)).assign(**totals)
    n, squares = table[N].astype("int64"), None
    if weights is not None:
        power, digits = bits[weights]
        squares = table[SQUARES].astype(float) * 2.0 ** (2 * power - digits)
        rounding = 4 * n * 2.0 ** (2 * power - digits)  # squares that differ from those of equal weights by no more than this
        equal = totals[weights] ** 2 / n
        squares = equal.where(squares - equal <= rounding, squares)
    facts = {"name": "a data frame", **source, "rows": int(n.sum()), "tabulated_rows": len(frame)}
    return Tabulation(frame, n, weights, squares, replicates, facts)
