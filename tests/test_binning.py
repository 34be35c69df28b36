"""Numbers in groups: the groups are those of the data, whatever the engine, and what is said to be lost is lost."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pytest

from bayes_listexp.binning import binned
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment

N = 1000
ROLES = {"answer": "y", "arm": "t", "J": 3, "weights": "w", "covariates": ["age"]}


def people():
    rng = np.random.default_rng(4)
    age = np.where(rng.random(N) < 0.05, np.nan, rng.gamma(9, 5, N))
    return pd.DataFrame({"y": rng.integers(0, 4, N), "t": rng.integers(0, 2, N), "age": age, "w": rng.gamma(2, 0.5, N)})


FRAME = people()


def test_means_sizes_and_what_is_lost_are_those_of_the_groups():
    (bins,) = binned(FRAME, "age", bins=8).bins
    group = pd.cut(FRAME["age"], [-np.inf, *bins.edges, np.inf], labels=False)
    np.testing.assert_allclose(bins.means, FRAME["age"].groupby(group).mean(), rtol=1e-12)
    np.testing.assert_array_equal(bins.n, group.value_counts().sort_index())
    assert max(bins.n) - min(bins.n) < 10  # the cuts lie on a grid of 4,096 intervals
    assert bins.share_lost == pytest.approx(1 - binned(FRAME, "age", bins=8).as_frame()["age"].var() / FRAME["age"].var(), abs=1e-10)
    assert bins.words == f"in 8 groups, each at its mean; {100 * bins.share_lost:.1f} % of its variance lies within them"


def test_bins_and_studies_are_the_same_whatever_holds_the_data():
    table = pa.Table.from_pandas(FRAME.sample(frac=1, random_state=1), preserve_index=False)
    batches = pa.dataset.dataset(pa.Table.from_batches(table.to_batches(max_chunksize=64)))
    of_memory = binned(FRAME, "age", bins=5)
    memory = ListExperiment.from_frame(of_memory, **ROLES)
    assert len(memory.table) == N
    sources = [batches, table]
    try:
        import polars
        sources.append(polars.from_pandas(FRAME).lazy())
    except ImportError:
        pass
    for source in sources:
        of_source = binned(source, "age", bins=5)
        assert of_source.bins == of_memory.bins
        study = ListExperiment.from_frame(of_source, **ROLES)
        assert study.source["binned"] == memory.source["binned"] == {"age": of_memory.bins[0].words}
        pd.testing.assert_frame_equal(study.cells(["age"]).frame, memory.cells(["age"]).frame)
        np.testing.assert_array_equal(study.cells(["age"]).treatment, memory.cells(["age"]).treatment)
        assert len(study.table) < 100


def test_cuts_can_be_given_and_columns_binned_one_after_the_other():
    data = binned(binned(FRAME, "age", bins=[30, 45]), "w", bins=4)
    assert data.bins[0].edges == (30.0, 45.0)
    assert data.as_frame()[["age", "w"]].nunique().tolist() == [3, 4]
    assert data.bins[0].table["up_to"].tolist() == [30.0, 45.0, np.inf]


@pytest.mark.parametrize(("frame", "column", "bins", "text"), [
    (FRAME, "ages", 5, "column 'ages' is not in the data"),
    (FRAME.assign(age="x"), "age", 5, "only numbers can be put into groups"),
    (FRAME.assign(age=1.0), "age", 5, "has not two different numbers"),
    (FRAME.assign(age=np.where(FRAME.index == 6, np.inf, FRAME["age"])), "age", 5, "column 'age', row 7: an infinite value"),
    (FRAME, "age", 1, "from 2 to 200 groups"), (FRAME, "age", [45, 30], "must rise"),
    (FRAME, "age", [500], "leave a group without respondents"),
    (binned(FRAME, "age", bins=3), "age", 3, "has been binned already"),
])
def test_what_cannot_be_binned_is_refused(frame, column, bins, text):
    with pytest.raises(InputError, match=text):
        binned(frame, column, bins=bins)
