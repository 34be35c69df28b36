"""No report prints a respondent, and a study may say how many respondents a group needs to be shown at all."""

import io
import json
import re
import socket
import zipfile

import numpy as np
import pandas as pd
import pytest

from bayes_listexp import (
    ListExperiment,
    change,
    difference_in_means,
    disclosure,
    fit,
    prevalence,
    render_report,
    report_of,
    subgroup_means,
)
from bayes_listexp.batch import write_page
from bayes_listexp.checks import design_checks
from bayes_listexp.checks_report import checks_report, tables_of_checks
from bayes_listexp.comparison_page import comparison_report
from bayes_listexp.disclosure import shown_columns, small_groups, withholding
from bayes_listexp.errors import InputError
from bayes_listexp.overview import estimates_without_model
from bayes_listexp.quick_overview import quick_estimates
from bayes_listexp.quick_tables import tables_of_quick
from bayes_listexp.report import tables_of
from bayes_listexp.spec import read_spec, study_of
from bayes_listexp.survey_population import _together
from bayes_listexp.survey_without_model import tables_without_model

RARE, K = "Hermits", 10


def respondents():
    """400 people of two waves; 6 of the rare group, 4 and 2 by wave, and one person aged 97."""
    rng = np.random.default_rng(8)
    n = 400
    frame = pd.DataFrame({"id": [f"person-{i:04d}" for i in range(n)], "wave": np.repeat(["2021", "2022"], n // 2), "arm": np.arange(n) % 2,
                          "sex": rng.choice(["women", "men"], n), "group": rng.choice(["Town", "Village"], n)})
    frame.loc[[3, 50, 91, 120, 222, 333], "group"] = RARE
    frame["age"] = np.where(np.arange(n) == 17, 97, rng.integers(18, 70, n))
    return frame.assign(y=rng.binomial(3, 0.4, n) + frame["arm"] * rng.binomial(1, 0.4, n))


@pytest.fixture(scope="module", autouse=True)
def connections():
    """Every attempt to reach another machine, or to find its address, while the tests of this module run; each fails."""
    tried = []

    def refuse(*asked, **_):
        tried.append(asked)
        raise OSError("no network")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            patch.setattr(socket, name, refuse)
        yield tried


@pytest.fixture(scope="module")
def study():
    made = ListExperiment.from_frame(respondents(), answer="y", arm="arm", J=3, wave="wave", ids="id", covariates=["sex", "group", "age"])
    return made.described(sensitive_item="the item", name="made up", smallest_group=K)


@pytest.fixture(scope="module")
def tree(study):
    return fit(study, trait="1 + sex + (1|group)", groups=["group"], method="map")


@pytest.fixture(scope="module")
def page(study, tree):
    return report_of(study, tree, "A study", by=["sex", "group"], waves=("2021", "2022"))


def numbers_beside(text, label):
    """The cells of numbers, other than those of the waves, in the table rows of a page that name a label."""
    rows = [row for row in re.findall(r"<tr.*?</tr>", text, re.DOTALL) if label in row]
    cells = [cell for row in rows for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
    return [cell for cell in cells if re.search(r"\d", cell) and cell not in ("2021", "2022")]


def test_small_groups_have_no_estimate_however_it_is_asked_for(study, tree):
    shown = prevalence(tree, by="group")
    assert np.isnan(shown.sel(group=RARE)).all()
    assert not np.isnan(shown.drop_sel(group=RARE)).any()
    assert np.isnan(prevalence(tree, by=["sex", "group"]).sel(group=RARE)).all()
    assert np.isnan(change(tree, "2021", "2022", by="group")["change"].sel(group=RARE)).all()
    for table in (difference_in_means(study, by="group"), difference_in_means(study, by=["group", "wave"])):
        assert table[table["group"] == RARE].drop(columns=["group", "wave"], errors="ignore").isna().all(axis=None)
        assert table[table["group"] != RARE].notna().all(axis=None)
    said = subgroup_means(study, ["group"]).set_index("level")
    assert said.loc[RARE, "note"] == "too few respondents to be shown"
    assert np.isnan(said.loc[RARE, "n_control"])


def test_nothing_else_changes_and_without_a_threshold_nothing_is_withheld(study, tree):
    whole = withholding(tree, 0)
    assert not np.isnan(prevalence(whole, by="group")).any()
    kept = [level for level in ("Town", "Village")]
    assert (prevalence(whole, by="group").sel(group=kept) == prevalence(tree, by="group").sel(group=kept)).all()
    assert prevalence(whole).equals(prevalence(tree))
    assert difference_in_means(study.described(smallest_group=0), by="group").notna().all(axis=None)
    assert np.isnan(prevalence(withholding(tree, 7), by="group").sel(group=RARE)).all()
    assert not np.isnan(prevalence(withholding(tree, 6), by="group").sel(group=RARE)).any()
    assert np.isnan(change(withholding(tree, 3), "2021", "2022", by="group")["change"].sel(group=RARE)).all()  # 2 in one wave
    assert not np.isnan(prevalence(withholding(tree, 3), by="group").sel(group=RARE)).any()
    with pytest.raises(InputError, match="smallest_group = -1"):
        withholding(tree, -1)


def test_groups_are_counted_and_columns_with_small_levels_named(study):
    assert small_groups(study, ["group"]) == {(RARE,)}
    assert small_groups(study, ["group", "wave"]) == {(RARE, "2021"), (RARE, "2022")}
    assert shown_columns(study, ["sex", "group"]) == ["sex"]
    assert shown_columns(study.described(smallest_group=0), ["sex", "group"]) == ["sex", "group"]
    assert disclosure.ATTRIBUTE == "smallest_group"


def test_report_figures_and_explorers_have_no_number_beside_a_small_group(page):
    text = render_report(page)
    assert numbers_beside(text, RARE) == []
    for found in re.findall(r'<script type="application/json">(.*?)</script>', text):
        assert RARE not in json.dumps(json.loads(found))
    figures = [b for s in page.sections for b in s.blocks if b.kind == "figure"]
    assert figures
    assert not [b.name for b in figures if RARE in b.svg]
    assert f"n &lt; {K}, withheld" in text
    assert "can still be worked out from the whole" in text
    assert RARE in text
    assert numbers_beside(text, "Village")  # the test sees what it looks for


def everything_written(folder):
    """All text of the files in a folder, that in archives too."""
    out = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        if path.suffix == ".docx":
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                out += [archive.read(name).decode() for name in archive.namelist()]
        elif path.suffix != ".png":
            out.append(path.read_text(encoding="utf-8"))
    return "\n".join(out)


def test_no_respondent_is_printed_anywhere(page, study, tree, tmp_path):
    covariates = ["sex", "group"]
    checks = design_checks(study, covariates)
    found = estimates_without_model(study, covariates="sex", by=covariates)
    write_page(page, tmp_path / "report", "report.html", tables_of(page))
    write_page(checks_report(study, checks, covariates), tmp_path / "checks", "checks.html", tables_of_checks(checks))
    compared = comparison_report({"one": tree, "other": tree}, by=covariates)
    write_page(compared, tmp_path / "compare", "comparison.html",
               [*tables_of(compared), *tables_without_model(found), *tables_of_quick(quick_estimates(study, covariates="sex"))])
    written = everything_written(tmp_path)
    assert "person-" not in written
    plain = re.sub(r"<svg.*?</svg>|<script.*?</script>|[0-9a-f]{16,}", "", written, flags=re.DOTALL)
    assert not re.search(r"(?<![\d.])97(?![\d.])(?! ?%)", plain)  # the age of one of them
    assert len(written) > 100_000


def test_an_id_that_nobody_declared_is_no_group(tmp_path):
    respondents().to_csv(tmp_path / "study.csv", index=False)
    (tmp_path / "study.toml").write_text('[data]\nfile = "study.csv"\nanswer = "y"\narm = "arm"\nJ = 3\nwave = "wave"\n'
                                         '[report]\nsmallest_group = 10\nby = ["group"]\n')
    made, _ = study_of(read_spec(tmp_path / "study.toml"))
    assert made.smallest_group == 10
    checks = design_checks(made, [])
    write_page(checks_report(made, checks, []), tmp_path / "checks", "checks.html", tables_of_checks(checks))
    assert "person-" not in everything_written(tmp_path / "checks")
    (tmp_path / "study.toml").write_text('[data]\nfile = "study.csv"\nanswer = "y"\narm = "arm"\nJ = 3\n[report]\nsmallest_group = -1\n')
    with pytest.raises(InputError, match="line 7: .report. smallest_group must be at least 0"):
        read_spec(tmp_path / "study.toml")


def test_neither_checks_nor_fits_nor_pages_nor_estimates_open_a_connection(connections, study, tree, page):
    assert estimates_without_model(study, by=["sex"]).prevalence["n"].tolist() == [200, 200]  # of two waves
    assert render_report(page)
    assert design_checks(study, ["sex"])
    assert connections == []
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("127.0.0.1", 9))
    connections.clear()


def test_combinations_of_one_respondent_outside_the_frame_stand_in_one_row():
    outside = pd.DataFrame({"sex": ["women", "men", "men"], "age": [97.0, 40, 41], "n": [1, 5, 1]})
    rows = _together(outside, 2)
    assert rows["n"].tolist() == [5, 2]
    assert rows["sex"].tolist() == ["men", "2 combinations of fewer than 2 respondents each"]
    assert _together(outside, 1) is outside
