"""The difference in means by its formulas, and what must not change it."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.design_based import change_in_means, difference_in_means
from bayes_listexp.errors import InputError
from bayes_listexp.experiment import ListExperiment


def people(n=120, seed=1):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "treat": np.arange(n) % 2,
            "region": rng.choice(["north", "south", "west"], n),
            "wave": rng.choice(["2021", "2022"], n),
            "w": rng.uniform(0.5, 3, n),
        }
    )
    return frame.assign(y=rng.binomial(3, 0.5, n) + (rng.random(n) < 0.4) * frame["treat"])


def study(frame, **arguments):
    return ListExperiment.from_frame(frame, answer="y", arm="treat", J=3, **arguments)


def test_race_is_the_printed_estimate(race):
    row = difference_in_means(study(race)).iloc[0]
    assert row["estimate"] == pytest.approx(0.0678, abs=5e-5)
    assert row["se"] == pytest.approx(0.0496, abs=5e-5)
    assert row["upper"] - row["lower"] == pytest.approx(2 * 1.959964 * row["se"])


def test_unweighted_by_hand():
    frame = people()
    row = difference_in_means(study(frame), probability=0.9).iloc[0]
    control, treatment = (frame.loc[frame["treat"] == arm, "y"] for arm in (0, 1))
    assert row["estimate"] == pytest.approx(treatment.mean() - control.mean())
    assert row["se"] == pytest.approx(np.sqrt(treatment.var() / 60 + control.var() / 60))
    assert row["lower"] == pytest.approx(row["estimate"] - 1.6448536 * row["se"])
    assert (row["n_control"], row["n_treatment"]) == (60, 60)


def test_weighted_by_hand():
    frame = people()
    row = difference_in_means(study(frame, weights="w"), weighted=True).iloc[0]
    means, variances = [], []
    for arm in (0, 1):
        y, w = (frame.loc[frame["treat"] == arm, c].to_numpy() for c in ("y", "w"))
        means.append((w * y).sum() / w.sum())
        variances.append(60 / 59 * (w**2 * (y - means[-1]) ** 2).sum() / w.sum() ** 2)
    assert row["estimate"] == pytest.approx(means[1] - means[0])
    assert row["se"] == pytest.approx(np.sqrt(sum(variances)))


def test_weights_times_ten_and_equal_weights_change_nothing():
    frame = people()
    once = difference_in_means(study(frame, weights="w"), by="region", weighted=True)
    tenfold = difference_in_means(study(frame.assign(w=10 * frame["w"]), weights="w"), by="region", weighted=True)
    pd.testing.assert_frame_equal(once, tenfold)
    equal = difference_in_means(study(frame.assign(w=2.5), weights="w"), weighted=True)
    pd.testing.assert_frame_equal(equal, difference_in_means(study(frame)))


def test_a_respondent_of_weight_zero_counts_in_no_mean():
    frame = people()
    extra = frame.iloc[[0]].assign(y=3, w=0.0)
    with_extra = difference_in_means(study(pd.concat([frame, extra]), weights="w"), weighted=True)
    without = difference_in_means(study(frame, weights="w"), weighted=True)
    assert with_extra["estimate"].tolist() == pytest.approx(without["estimate"].tolist())


def test_a_table_of_counts_equals_its_rows():
    frame = people()
    counts = frame.groupby(["y", "treat", "region"], as_index=False).size()
    tabulated = ListExperiment.from_counts(counts, answer="y", arm="treat", n="size", J=3)
    for by in ((), "region"):
        pd.testing.assert_frame_equal(difference_in_means(tabulated, by=by), difference_in_means(study(frame), by=by))


def test_groups_are_those_of_the_group_alone():
    frame = people()
    table = difference_in_means(study(frame), by=["region", "wave"])
    assert table[["region", "wave"]].values.tolist() == sorted(
        [r, w] for r in ("north", "south", "west") for w in ("2021", "2022")
    )
    alone = difference_in_means(study(frame[(frame["region"] == "west") & (frame["wave"] == "2021")])).iloc[0]
    assert table.iloc[4][["estimate", "se"]].tolist() == pytest.approx(alone[["estimate", "se"]].tolist())
    assert table["n_control"].sum() + table["n_treatment"].sum() == 120


def test_estimates_outside_zero_and_one_are_kept():
    frame = pd.DataFrame({"treat": [0, 0, 1, 1], "y": [3, 3, 0, 1]})
    assert difference_in_means(study(frame))["estimate"].tolist() == [-2.5]


def test_an_arm_without_respondents_gives_nan():
    frame = people()
    frame.loc[frame["region"] == "south", "treat"] = 0
    frame["y"] = frame["y"].clip(upper=3)
    table = difference_in_means(study(frame), by="region").set_index("region")
    assert table.loc["south", ["estimate", "se", "lower", "upper"]].isna().all()
    assert table.loc["south", "n_treatment"] == 0
    assert table.loc["north", ["estimate", "se"]].notna().all()


def test_a_single_answer_has_no_variance():
    frame = pd.DataFrame({"treat": [0, 0, 1], "y": [1, 2, 2]})
    row = difference_in_means(study(frame)).iloc[0]
    assert row["estimate"] == 0.5
    assert np.isnan(row["se"])


def test_missing_as_a_level_is_a_group():
    frame = people()
    frame.loc[:9, "region"] = None
    kept = difference_in_means(study(frame, missing="level"), by="region")
    assert kept["region"].tolist() == ["north", "south", "west", "(missing)"]
    assert kept[["n_control", "n_treatment"]].to_numpy().sum() == 120
    dropped = difference_in_means(study(frame), by="region")
    assert dropped["region"].tolist() == ["north", "south", "west"]
    pd.testing.assert_frame_equal(kept.iloc[:3][["estimate", "se"]], dropped[["estimate", "se"]])


def test_change_is_the_difference_of_independent_waves():
    made = study(people(), wave="wave")
    change = change_in_means(made, "2021", "2022").iloc[0]
    table = difference_in_means(made, by="wave").set_index("wave")
    assert change["estimate"] == pytest.approx(table.loc["2022", "estimate"] - table.loc["2021", "estimate"])
    assert change["se"] == pytest.approx(np.hypot(table.loc["2022", "se"], table.loc["2021", "se"]))
    assert change["z"] == pytest.approx(change["estimate"] / change["se"])
    assert change["upper"] - change["estimate"] == pytest.approx(1.959964 * change["se"])


def test_change_by_group_and_backwards():
    frame = people()
    frame = frame[(frame["region"] != "west") | (frame["wave"] == "2021")]
    made = study(frame, wave="wave")
    forwards, backwards = (
        change_in_means(made, "2021", "2022", by="region"),
        change_in_means(made, "2022", "2021", by="region"),
    )
    assert forwards["region"].tolist() == ["north", "south", "west"]
    np.testing.assert_allclose(forwards["estimate"], -backwards["estimate"])
    np.testing.assert_allclose(forwards["se"], backwards["se"])
    assert forwards["estimate"].isna().tolist() == [False, False, True]
    south = change_in_means(study(frame[frame["region"] == "south"], wave="wave"), "2021", "2022")
    assert forwards["estimate"][1] == pytest.approx(south["estimate"][0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s: difference_in_means(s, by="income"),
            "column 'income' is not in the data; the study has: region, wave",
        ),
        (lambda s: difference_in_means(s, weighted=True), "weighted = True: the study has no survey weights"),
        (lambda s: difference_in_means(s, by=["region", "region"]), "by: column 'region' is named twice"),
        (lambda s: change_in_means(s, "2021", "2023"), "change: there is no wave '2023'; the waves are: 2021, 2022"),
        (lambda s: change_in_means(s, "2021", "2022", by="wave"), "by: column 'wave' is named twice"),
    ],
)
def test_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call(study(people().drop(columns="w"), wave="wave"))


def test_a_study_without_waves_has_no_change():
    with pytest.raises(InputError, match="change: there is no wave '2021'; the waves are: none"):
        change_in_means(study(people()), "2021", "2022")


def test_rows_are_those_of_the_data_as_given():
    frame = people().assign(age=40.0).astype({"y": float})
    frame.loc[:2, "y"] = np.nan  # three rows are excluded before the one without an age
    frame.loc[9, "age"] = np.nan
    with pytest.raises(InputError, match="column 'age', row 10: missing numbers cannot be a level of their own"):
        difference_in_means(study(frame, missing="level"), by="age")
