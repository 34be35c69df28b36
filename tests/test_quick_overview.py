"""Quick list regressions side by side: each row is its own estimator's, and the command prints them."""

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import (
    InputError,
    ListExperiment,
    maximum_likelihood,
    nonlinear_least_squares,
    quick_estimates,
    specification_test,
)
from bayes_listexp.cli import main
from test_overview import SPEC, people, study


def test_every_row_is_its_estimators_own():
    made = study(people(), wave="wave", weights="w")
    found = quick_estimates(made, covariates="gender")
    how = {"weighted": True, "by": "wave"}
    own = [maximum_likelihood(made, "gender", **how), maximum_likelihood(made, "gender", counts="binomial", **how),
           nonlinear_least_squares(made, "gender", **how)]
    for one, (_, rows) in zip(own, found.prevalence.groupby("estimator", sort=False), strict=True):
        np.testing.assert_allclose(rows[["estimate", "se"]], one.prevalence[["estimate", "se"]])
        assert list(rows["wave"]) == ["all", "2021", "2022"]
    np.testing.assert_allclose(found.coefficients["se"], np.concatenate([one.coefficients["se"] for one in own]))
    np.testing.assert_allclose(found.specification["p"][:2], specification_test(made, "gender", weighted=True)["p"])


def test_what_a_study_does_not_allow_has_its_reason():
    frame = people().assign(version=lambda d: np.where(d["age"] > 40, "A", "B"))
    made = ListExperiment.from_frame(frame, answer="y", arm="t", J={"A": 3, "B": 3}, version="version")
    found = quick_estimates(made)
    assert found.prevalence["note"].str.contains("Make one study of each").all()
    assert found.coefficients.empty
    assert found.specification.empty
    rare = pd.DataFrame({"y": [0, 1, 2, 3] * 50, "t": [0, 1] * 100})
    notes = quick_estimates(study(rare)).prevalence["note"]
    assert notes.iloc[0].startswith("at infinity: trait Intercept")
    with pytest.raises(InputError, match="column 'income' is not in the data"):
        quick_estimates(study(people()), covariates="income")


def test_the_command_prints_and_writes_them(capsys, tmp_path):
    people().to_csv(tmp_path / "survey.csv", index=False)
    (tmp_path / "survey.toml").write_text(SPEC, encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["estimate", str(tmp_path / "survey.toml"), "--out", str(tmp_path / "tables")])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for words in ("Prevalence by list regression", "two-step least squares", "Do the likelihood's assumptions hold?", "gender"):
        assert words in out
    table = pd.read_csv(tmp_path / "tables" / "list-regression.csv")
    assert table["estimate"].between(0, 1).all()
