"""The regression table: models side by side, every number that of the draws, facts on the fits at the foot."""

import json

import numpy as np
import pandas as pd
import pytest

from bayes_listexp.coefficients import coefficient_table
from bayes_listexp.comparison import compare, loo
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import contrast, observed_by, prevalence, realised_prevalence, trait_probability
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.group_worth import pooling
from bayes_listexp.instruments import DirectQuestion
from bayes_listexp.markdown_tables import to_markdown
from bayes_listexp.regression_tables import regression_table
from bayes_listexp.tables import shown, to_csv, to_html, to_latex
from bayes_listexp.tidy_frames import tidy
from bayes_listexp.word_tables import to_docx


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(11)
    n = 400
    frame = pd.DataFrame({"arm": np.arange(n) % 2, "group": rng.choice(["a", "b"], n), "region": rng.choice(list("xyz"), n),
                          "asked": rng.choice(["yes", "no"], n)})
    frame["y"] = rng.binomial(3, 0.5, n) + (rng.random(n) < 0.4) * frame["arm"]
    roles = {"answer": "y", "arm": "arm", "J": 3, "covariates": ["group", "region"]}
    direct = DirectQuestion("asked", yes="yes", no="no", lies="two_sided")
    with_direct = ListExperiment.from_frame(frame, **roles, instruments=[direct])
    return {
        "mixed": fit(with_direct, trait="1 + group + (1|region)", response="liars", method="map", seed=3),
        "small <b>": fit(ListExperiment.from_frame(frame, **roles), trait="1", counts="beta_binomial", method="map", seed=3),
    }


def rows_of(table, part):
    frame = table.frame
    return frame[frame["part"] == part].set_index("term")


def test_every_number_is_that_of_the_draws(fits):
    table = regression_table(fits)
    draws = fits["mixed"]["posterior"]["trait"].sel(trait_term="group[b]").to_numpy().ravel()
    row = rows_of(table, "trait").loc["group[b]"]
    assert row["mixed: estimate"] == pytest.approx(np.median(draws))
    assert row["mixed: std_error"] == pytest.approx(draws.std(ddof=1))
    assert row[["mixed: conf_low", "mixed: conf_high"]].tolist() == pytest.approx(np.quantile(draws, [0.025, 0.975]).tolist())
    spread = fits["mixed"]["posterior"]["trait_region_sd"].to_numpy().ravel()
    assert rows_of(table, "trait").loc["sd(Intercept | region)", "mixed: estimate"] == pytest.approx(np.median(spread))


def test_panels_follow_the_model_and_the_facts_end_the_table(fits):
    table = regression_table(fits)
    assert list(dict.fromkeys(table.frame["panel"])) == [
        "Trait (logit of the prevalence)", "Control counts (linear predictor)", "Lapse floor", "Lapse ceiling", "Direct lie",
        "Direct false yes", "Direct", "Model"]
    assert rows_of(table, "control").loc["overdispersion", "small <b>: estimate"] > 0
    facts = rows_of(table, "Model")
    assert facts.loc["Response model", ["mixed: text", "small <b>: text"]].tolist() == ["liars", "truthful"]
    assert facts.loc["Control counts", "small <b>: text"] == "beta binomial"
    assert facts.loc["Respondents (N)", "mixed: text"] == "400"
    assert facts.loc["Control items (J)", "mixed: text"] == "3"
    score = loo(fits["mixed"])
    assert facts.loc["LOO elpd (s.e.)", ["mixed: estimate", "mixed: std_error"]].tolist() == pytest.approx([score.elpd, score.se])


def test_a_term_that_a_model_does_not_have_is_empty(fits):
    cells = shown(regression_table(fits))
    own = cells[cells["Term"] == "group[b]"].iloc[0]
    assert own["small <b>"] == ""
    assert own["mixed"].count("\n") == 1
    assert own["mixed"].endswith(")")
    assert shown(regression_table(fits, spread="interval"))["mixed"].iloc[0].endswith("]")


def test_fits_that_were_not_sampled_or_did_not_converge_are_named(fits):
    note = regression_table(fits).note
    assert "Normal approximation at the mode, not sampled: mixed." in note  # many parameters for 400 respondents: Pareto k is above 0.7
    assert "corrected by importance weights, not sampled: small <b>." in note
    posing = fits["mixed"].copy()
    posing.attrs = {**posing.attrs, "arguments": json.dumps({**json.loads(posing.attrs["arguments"]), "method": "nuts"})}
    assert "Did not converge: posing." in regression_table({"posing": posing}).note


def test_every_format_writes_it_and_twice_the_same(fits):
    table, again = regression_table(fits), regression_table(fits)
    for write in (to_html, to_latex, to_markdown, to_csv, to_docx):
        assert write(table) == write(again)
    assert "small &lt;b&gt;" in to_html(table)


def test_every_coefficient_once(fits):
    for tree in fits.values():
        table = coefficient_table(tree)
        assert not table.duplicated(["part", "term"]).any()
        assert table[["median", "sd", "lower", "upper"]].notna().all(axis=None)


def test_what_cannot_be_shown_is_refused(fits):
    with pytest.raises(InputError, match="no fits were given"):
        regression_table({})
    with pytest.raises(InputError, match="spread = 'stars' must be one of: sd, interval"):
        regression_table(fits, spread="stars")
    bare = fits["mixed"].copy()
    del bare["posterior"]
    with pytest.raises(InputError, match="the fit has no posterior"):
        regression_table({"bare": bare})


def test_a_fit_and_its_estimates_are_tidy(fits):
    tree = fits["mixed"]
    found = tidy(tree)
    assert list(found.columns[:6]) == ["component", "term", "estimate", "std_error", "conf_low", "conf_high"]
    same = rows_of(regression_table(fits), "trait")["mixed: estimate"].dropna()
    assert found[found["component"] == "trait"].set_index("term")["estimate"].to_dict() == pytest.approx(same.to_dict())
    for draws in (prevalence(tree, by="group"), realised_prevalence(tree), contrast(tree, "group", "a", "b"), observed_by(tree, "direct"),
                  trait_probability(tree)):
        rows = tidy(draws)
        assert rows[["estimate", "std_error", "conf_low", "conf_high"]].notna().all(axis=None)
    assert set(tidy(observed_by(tree, "direct"))["term"]) == set(observed_by(tree, "direct"))
    assert {"estimate", "conf_low", "p_loo"} - set(tidy(compare({"one": tree}))) == {"conf_low"}
    assert "estimate" in tidy(pooling(tree, by=["region"]))
