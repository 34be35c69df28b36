"""What the control counts and the trait have to do with one another: the types model, and the trait given the count."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence, realised_prevalence, trait_probability
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.specification import Specification, blueprint

J = 3
WITHOUT, WITH = np.array([0.30, 0.15, 0.35, 0.20]), np.array([0.05, 0.50, 0.10, 0.35])
"""Control counts of people without and with the trait: no family with a shift or a slope has both."""


def counts(share, n, group):
    """Expected answers of n people in each arm, rounded."""
    control = (1 - share) * WITHOUT + share * WITH
    treatment = (1 - share) * np.append(WITHOUT, 0) + share * np.insert(WITH, 0, 0)
    rows = [(group, 0, k, p) for k, p in enumerate(control)] + [(group, 1, k, p) for k, p in enumerate(treatment)]
    return pd.DataFrame(rows, columns=["group", "t", "y", "p"]).assign(n=lambda frame: (n * frame["p"]).round().astype(int))


@pytest.fixture(scope="module")
def two_groups():
    table = pd.concat([counts(0.2, 100_000, "a"), counts(0.6, 100_000, "b"), counts(0.4, 100_000, "c")], ignore_index=True)
    return ListExperiment.from_counts(table, answer="y", arm="t", n="n", J=J)


def test_the_types_model_assumes_nothing_about_counts(two_groups):
    """With this much data it is the difference in means, for all and by group, whatever the counts of either type."""
    tree = fit(two_groups, trait="1 + group", control="1 + (1|group)", dependence="saturated", method="map")
    by_group = prevalence(tree, by="group").mean(("chain", "draw"))
    np.testing.assert_allclose(by_group, [0.2, 0.6, 0.4], atol=0.01)  # standard errors are .005, and priors have some weight
    plain = fit(two_groups, trait="1 + group", control="1", dependence="shift", method="map")
    assert abs(float(prevalence(plain).mean()) - 0.4) > 0.02  # a shift alone cannot follow these counts


@pytest.mark.parametrize("dependence", ["linear", "smooth"])
def test_the_trait_may_go_with_the_count(dependence):
    rng = np.random.default_rng(3)
    n = 60_000
    count = rng.binomial(J, 0.5, n)
    trait = rng.random(n) < np.array([0.1, 0.25, 0.5, 0.75])[count]
    treated = np.arange(n) % 2
    study = ListExperiment.from_frame(pd.DataFrame({"y": count + trait * treated, "t": treated}), answer="y", arm="t", J=J)
    tree = fit(study, dependence=dependence, method="map")
    draws = prevalence(tree)
    assert abs(float(draws.mean()) - trait.mean()) < 3.5 * float(draws.std())


def test_several_items_share_the_control_counts():
    rng = np.random.default_rng(4)
    n = 30_000
    arm = rng.choice(["short", "a", "b", "c"], n)
    share = {"short": 0.0, "a": 0.1, "b": 0.4, "c": 0.7}
    answer = rng.binomial(J, 0.6, n) + (rng.random(n) < pd.Series(arm).map(share).to_numpy())
    study = ListExperiment.from_frame(pd.DataFrame({"y": answer, "arm": arm}), answer="y", arm="arm", J=J,
                                      arms=("short", ["a", "b", "c"]))
    tree = fit(study, dependence="none", method="map")
    assert tree["posterior"]["trait_item"].sizes["item"] == 3
    by_item = prevalence(tree, by="item")
    assert by_item["item"].to_numpy().tolist() == ["a", "b", "c"]
    error = by_item.mean(("chain", "draw")) - [0.1, 0.4, 0.7]
    assert (abs(error) < 3.5 * by_item.std(("chain", "draw"))).all()
    realised = realised_prevalence(tree, by="item").mean(("chain", "draw"))
    assert (abs(realised - by_item.mean(("chain", "draw"))) < by_item.std(("chain", "draw"))).all()
    assert set(trait_probability(tree)["arm"].to_numpy()) == {"treatment"}


def test_what_cannot_be_with_several_items():
    frame = pd.DataFrame({"y": [0, 1, 2] * 4, "arm": ["s", "a", "b"] * 4, "x": [0, 1] * 6})
    study = ListExperiment.from_frame(frame, answer="y", arm="arm", J=2, arms=("s", ["a", "b"]))
    with pytest.raises(InputError, match="dependence = 'shift': with several sensitive items the control counts cannot depend"):
        blueprint(study, Specification())
    with pytest.raises(InputError, match="control = 'item': the control items are the same whatever sensitive item"):
        blueprint(study, Specification(dependence="none", control="item"))
    with pytest.raises(InputError, match="uses 'item', which the control counts cannot depend on: give `control`"):
        blueprint(study, Specification(dependence="none", trait="0 + item"))
    assert blueprint(study, Specification(dependence="none", trait="1 + x")).specification.trait == "1 + x + (1|item)"
    with pytest.raises(InputError, match="column 'arm': nobody is in the arm 'c'. Leave it out of `arms`"):
        ListExperiment.from_frame(frame, answer="y", arm="arm", J=2, arms=("s", ["a", "b", "c"]))
    with pytest.raises(InputError, match="column 'arm', rows 3, 6, 9, 12: found 'b' beside the arms 's' and 'a', 'd'"):
        ListExperiment.from_frame(frame, answer="y", arm="arm", J=2, arms=("s", ["a", "d"]))
    with pytest.raises(InputError, match="column 'item': with several sensitive items this name is theirs"):
        ListExperiment.from_frame(frame.assign(item=1), answer="y", arm="arm", J=2, arms=("s", ["a", "b"]))
    with pytest.raises(InputError, match="must name the control value and at least two treatment values, all different"):
        ListExperiment.from_frame(frame, answer="y", arm="arm", J=2, arms=("s", ["a", "a"]))


def test_placebo_lists_that_cannot_be():
    frame = pd.DataFrame({"y": [0, 3, 1, 3], "t": [0, 0, 1, 1], "padded": [0, 1, 0, 0]})
    study = ListExperiment.from_frame(frame, answer="y", arm="t", J=2, placebo="padded")
    assert study.cells().placebo.tolist() == [[0, 0, 0, 1]]
    with pytest.raises(InputError, match="column 'padded', row 3: a respondent of the treatment arm was not shown a placebo list"):
        ListExperiment.from_frame(frame.assign(padded=[0, 1, 1, 0]), answer="y", arm="t", J=2, placebo="padded")
    with pytest.raises(InputError, match="column 'padded', row 4: must be 0 or 1, found 2"):
        ListExperiment.from_frame(frame.assign(padded=[0, 1, 0, 2]), answer="y", arm="t", J=2, placebo="padded")
    with pytest.raises(InputError, match="column 'y', row 2: with J = 2 the control arm answers 0 to 2, found 3"):
        ListExperiment.from_frame(frame, answer="y", arm="t", J=2)


@pytest.mark.parametrize("name", ["trait", "control_2", "lapse_x", "two words"])
def test_names_of_instruments_that_parameters_have(name):
    from bayes_listexp import DirectQuestion

    frame = pd.DataFrame({"y": [0, 1, 1, 2], "t": [0, 0, 1, 1], "d": [0, 1, 0, 1]})
    with pytest.raises(InputError, match=f"the name '{name}' must be a word of letters"):
        ListExperiment.from_frame(frame, answer="y", arm="t", J=2, instruments=[DirectQuestion("d", name=name)])
