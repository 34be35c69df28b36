"""Leave-one-out from patterns is that of the respondents; a comparison is of the same data only."""

import json

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp.cli import main
from bayes_listexp.comparison import compare, loo
from bayes_listexp.comparison_page import comparison_report, difference_of_fits, same_data
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import prevalence, summarise
from bayes_listexp.experiment import ListExperiment
from bayes_listexp.fitting import fit
from bayes_listexp.report import render_report, tables_of

N = np.array([1, 5, 12, 30, 2])


def made_up(seed):
    """A tree as far as leave-one-out needs it: log-likelihoods of five patterns that move with one parameter."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 500))
    log_likelihood = -1.5 + 0.2 * x[..., None] * np.array([-1.0, 0.5, 0.2, 0.1, -0.7]) - 0.1 * np.arange(5)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (("chain", "draw"), x)}),
            "log_likelihood": xr.Dataset(
                {"answer_given": (("chain", "draw", "pattern"), log_likelihood)},
                coords={"arm": ("pattern", list("cctct"))},
            ),
            "observed_data": xr.Dataset({"pattern_n": ("pattern", N)}),
        }
    )


def test_patterns_give_what_the_respondents_give():
    tree = made_up(1)
    found = loo(tree)
    expanded = tree["log_likelihood"]["answer_given"].drop_vars("arm").isel(pattern=np.repeat(np.arange(5), N))
    everybody = xr.DataTree.from_dict(
        {"posterior": tree["posterior"].to_dataset(), "log_likelihood": expanded.to_dataset(name="answer_given")}
    )
    expected = az.loo(everybody, pointwise=True)
    assert found.elpd == pytest.approx(expected.elpd, rel=1e-10)
    assert found.se == pytest.approx(expected.se, rel=1e-10)
    assert found.p == pytest.approx(expected.p, rel=1e-8)
    assert found.n_data_points == expected.n_data_points == 50
    np.testing.assert_allclose(np.repeat(found.elpd_i, N), expected.elpd_i)
    np.testing.assert_allclose(np.repeat(found.pareto_k, N), expected.pareto_k)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(6)
    n = 1500
    frame = pd.DataFrame({"treat": np.arange(n) % 2, "sex": rng.choice(["f", "m"], n)})
    count = rng.choice(5, n, p=[0.02, 0.1, 0.6, 0.26, 0.02])  # far less dispersed than a binomial
    return frame.assign(y=count + (rng.random(n) < 0.4) * frame["treat"])


@pytest.fixture(scope="module")
def fits(people):
    made = ListExperiment.from_frame(people, answer="y", arm="treat", J=4)
    rest = {"trait": "1 + sex", "control": "1", "dependence": "none", "method": "map"}
    return {"softmax": fit(made, **rest), "binomial": fit(made, counts="binomial", **rest)}


def test_the_model_that_fits_comes_first(fits):
    table = compare(fits)
    assert table["model"].tolist() == ["softmax", "binomial"]
    assert table["elpd_diff"].tolist()[0] == 0
    assert table["elpd_diff"][1] < -3 * table["dse"][1]
    assert table["weight"].sum() == pytest.approx(1)
    assert table["weight"][0] > 0.95
    assert table["elpd"].tolist() == pytest.approx([loo(fits[name]).elpd for name in table["model"]])
    assert table["elpd_diff"][1] == pytest.approx(table["elpd"][1] - table["elpd"][0])
    assert (table["bad_k"] == 0).all()


def test_order_of_the_models_does_not_matter_and_one_is_enough(fits):
    turned = compare(dict(reversed(fits.items())))
    pd.testing.assert_frame_equal(turned, compare(fits), rtol=1e-6)
    assert compare({"softmax": fits["softmax"]})["weight"].tolist() == [1.0]


def test_different_data_are_refused(fits, people):
    other = fits["binomial"].copy()
    source = json.loads(other.attrs["source"])
    other.attrs = {**other.attrs, "source": json.dumps({**source, "sha256": "0" * 64})}
    with pytest.raises(InputError, match="compare: 'softmax' and 'other' are fits of different data"):
        compare({"softmax": fits["softmax"], "other": other})
    made = ListExperiment.from_frame(people, answer="y", arm="treat", J=4)
    coarse = fit(made, counts="binomial", dependence="none", method="map")
    with pytest.raises(
        InputError, match="'softmax' and 'coarse' tabulate the respondents by different columns. Fit both with the same"
    ):
        compare({"softmax": fits["softmax"], "coarse": coarse})


def test_nothing_to_compare():
    with pytest.raises(InputError, match="compare: no fits were given"):
        compare({})


def test_a_tree_from_elsewhere_is_refused(fits):
    with pytest.raises(InputError, match="has no attribute 'source': it was not made by bayes_listexp.fit"):
        compare({"softmax": fits["softmax"], "made up": made_up(1)})


def of_other_data(tree):
    other = tree.copy()
    other.attrs = {**tree.attrs, "source": json.dumps({**json.loads(tree.attrs["source"]), "sha256": "0" * 64})}
    return other


@pytest.fixture(scope="module")
def page(fits):
    return comparison_report({"softmax <u>": fits["softmax"], "binomial": fits["binomial"]}, command="bayes-listexp compare a b")


def tables(report):
    return {table.name: table for table in tables_of(report)}


def test_the_page_has_support_prediction_coefficients_and_checks(page, fits):
    assert [section.id for section in page.sections] == ["fits", "support", "prediction", "coefficients", "checks", "reproduction"]
    found = tables(page)
    row = summarise(prevalence(fits["binomial"])).iloc[0]
    assert found["support"].frame.set_index("model").loc["binomial", "median"] == row["median"]
    by_sex = summarise(prevalence(fits["binomial"], by="sex"))
    np.testing.assert_allclose(found["support-sex"].frame["median 2"], by_sex["median"])  # the groups that both fits have
    pd.testing.assert_frame_equal(
        found["prediction"].frame.drop(columns="model"), compare(fits).drop(columns="model"), rtol=1e-6)
    assert "softmax <u>: estimate" in found["coefficients"].frame
    checks = found["checks"].frame
    assert checks["check"].is_unique
    assert "failed" in set(checks["fit 1"])  # neither was sampled


def test_the_page_is_plain_and_says_what_must_not_be_published(page):
    html = render_report(page)
    assert html == render_report(page)
    assert "<u>" not in html
    assert "softmax &lt;u&gt;" in html
    assert page.headline.startswith("Support for")
    assert "depending on the model" in page.headline
    assert "softmax <u> predicts the answers clearly better than binomial" in html.replace("&lt;", "<").replace("&gt;", ">")
    assert page.alarm == "These fits must not be published as they are: softmax <u>, binomial. The checks below say why."


def test_fits_of_different_data_have_differences_and_no_prediction(fits):
    trees = {"then": fits["softmax"], "then, binomial": fits["binomial"], "now": of_other_data(fits["softmax"])}
    assert same_data(trees) == [["then", "then, binomial"], ["now"]]
    report = comparison_report(trees, by=[])
    found = tables(report)
    assert list(found["prediction-1"].frame["model"]) == ["then", "then, binomial"]
    html = render_report(report)
    assert "are not compared by prediction" in html
    assert found["between"].frame["pair"].tolist() == ["now minus then"]
    assert found["between"].frame["median"].iloc[0] == pytest.approx(0, abs=1e-9)  # the same posterior twice
    assert "each with probability 95 %" in report.headline
    assert not any(name.startswith("support-") for name in found)


def test_a_difference_of_fits_is_that_of_independent_posteriors(fits):
    one, other = fits["softmax"], fits["binomial"]
    a, b = (prevalence(tree).to_numpy().ravel() for tree in (one, other))
    pairs = (b[:, None] - a[None, :]).ravel()
    low, median, high, above = difference_of_fits(one, other)
    assert [low, median, high] == pytest.approx(np.quantile(pairs, [0.025, 0.5, 0.975]), abs=0.003)  # 400 quantiles of 1,000 draws
    assert above == pytest.approx((pairs > 0).mean(), abs=0.003)


def test_fits_that_cannot_be_compared_are_refused(fits):
    with pytest.raises(InputError, match="needs two fits or more"):
        comparison_report({"one": fits["softmax"]})
    with pytest.raises(InputError, match="by: 'softmax' has no column 'region'; it has: sex"):
        comparison_report(fits, by=["region"])
    with pytest.raises(InputError, match="'made up' is no fit of a survey"):
        comparison_report({**fits, "made up": made_up(1)})


def test_the_command_writes_the_folder_twice_the_same(fits, tmp_path, capsys):
    for name, tree in fits.items():
        (tmp_path / name).mkdir()
        tree.to_netcdf(tmp_path / name / "fit.nc", engine="h5netcdf")
    said = [str(tmp_path / "softmax"), str(tmp_path / "binomial" / "fit.nc")]
    written = []
    for _ in range(2):
        with pytest.raises(SystemExit, match="0"):
            main(["compare", *said, "--out", str(tmp_path / "page"), "--by", "sex"])
        written.append({p.name: p.read_bytes() for p in (tmp_path / "page").rglob("*") if p.is_file()})
    assert capsys.readouterr().out.splitlines()[0].endswith("comparison.html")
    assert written[0] == written[1]
    assert {"comparison.html", "coefficients.docx", "coefficients.md", "support-sex.csv", "support.svg"} <= set(written[0])
    for wrong, message in ((["--names", "one"], "1 names for 2 fits"), ([said[0]], "two fits are called 'softmax'")):
        with pytest.raises(SystemExit, match="2"):
            main(["compare", *said, *wrong, "--out", str(tmp_path / "page")])
        assert message in capsys.readouterr().err
