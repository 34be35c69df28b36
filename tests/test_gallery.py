"""The gallery: every published table analysed again, with what was printed as it was printed."""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_listexp import ListExperiment, difference_in_means, sampling
from bayes_listexp.batch import write_gallery
from bayes_listexp.cli import main
from bayes_listexp.errors import InputError
from bayes_listexp.published.answers import read_published_counts
from bayes_listexp.published.audit import audit
from bayes_listexp.published.layout import default_use
from bayes_listexp.reanalysis import collection
from bayes_listexp.reanalysis.collection import gallery, printed_words
from bayes_listexp.reanalysis.index_page import Entry
from bayes_listexp.reanalysis.known import read_estimates, read_studies
from bayes_listexp.reanalysis.means_study import CSTO, csto_table, worst_finding
from bayes_listexp.report import Link, Links, Report, Section, render_report
from bayes_listexp.spec import bundled

DOCS = Path(__file__).parents[1] / "docs"
STUDY = "accg2015-list2"
MINE, FOLDER = "<b>мой</b> опрос/1", "b-b-1"


@pytest.fixture(scope="module")
def counts():
    return read_published_counts(bundled("published_counts.csv"))


@pytest.fixture(scope="module")
def printed():
    return read_estimates(bundled("published_estimates.csv"))


@pytest.fixture(scope="module")
def written(tmp_path_factory, counts):
    """The folder of a gallery made by the command from a table of one's own, how it ended, and what it said."""
    desk = tmp_path_factory.mktemp("gallery")
    counts[counts["study"] == STUDY].assign(study=MINE).to_csv(desk / "mine.csv", index=False)
    estimates = pd.read_csv(bundled("published_estimates.csv"), dtype=str)
    estimates[estimates["study"] == STUDY].assign(study=MINE).to_csv(desk / "printed.csv", index=False)
    files = f"--table {desk}/mine.csv --printed {desk}/printed.csv --out {desk}/out".split()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(sampling, "STARTS", 1)  # the mode is found from one start, too
        with pytest.raises(SystemExit) as end:
            main(["gallery", "--method", "map", "--quiet", *files])
    return desk, end.value.code, said.getvalue()


@pytest.fixture(scope="module")
def again(written):
    """The same once more from Python, and what was done for it."""
    desk, said = written[0], []
    before = {path: path.read_bytes() for path in (desk / "out").rglob("*.html")}
    made = write_gallery(desk / "out", table=desk / "mine.csv", printed=desk / "printed.csv", method="map", say=said.append)
    return made, said, before


def docs_table():
    """The committed table of the documentation, as a frame of texts."""
    lines = [line for line in (DOCS / "gallery.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return pd.DataFrame(rows[2:], columns=rows[0])


def test_what_is_known_belongs_to_a_study_that_is_there(counts, printed):
    there = {*counts["study"], CSTO}
    assert set(read_studies(bundled("published_studies.csv"))) == there
    assert {p.study for p in printed} <= there
    assert all(p.by and p.place for p in printed)


def test_every_study_has_a_row_and_a_page(counts, again, monkeypatch):
    """Without fitting: one study stands in for all."""
    one = again[0]
    entry = Entry(**{name: one.studies.frame.iloc[0][name] for name in Entry._fields})
    stand_in = lambda known: collection.Exhibit(entry._replace(study=known.study), one.pages[FOLDER], [], True)  # noqa: E731
    monkeypatch.setattr(collection, "of_counts", lambda rows, known, *_, **__: stand_in(known))
    monkeypatch.setattr(collection, "of_means", lambda known, *_, **__: stand_in(known))
    made = gallery()
    assert list(made.studies.frame["study"]) == list(made.pages) == [*dict.fromkeys(counts["study"]), CSTO]
    links = [link.address for s in made.index.sections for b in s.blocks if isinstance(b, Links) for link in b.links]
    assert links == [f"{study}/index.html" for study in made.pages]


def test_a_page_has_the_estimates_of_its_counts(written, again, counts):
    folder, entry = written[0] / "out", again[0].studies.frame.iloc[0]
    rows = counts[counts["study"] == STUDY]
    by_arm = rows.groupby(["arm", "item_count"], as_index=False)["n"].sum()
    dim = difference_in_means(ListExperiment.from_counts(by_arm, answer="item_count", arm="arm", n="n", J=3)).iloc[0]
    assert entry[["dim", "dim_lower", "dim_upper"]].tolist() == pytest.approx(dim[["estimate", "lower", "upper"]].tolist())
    assert entry["n"] == rows["n"].sum() == 1018
    assert entry["lower"] < entry["median"] < entry["upper"]
    assert entry["printed_words"] == "51.3 % (direct question first), 57.8 % (list first), Aronow et al. 2015"
    page = (folder / FOLDER / "index.html").read_text(encoding="utf-8")
    assert all(part in page for part in ('id="figure-answers"', 'id="figure-estimates"', 'id="printed"', 'id="checks"', "A quick look"))
    estimates = pd.read_csv(folder / FOLDER / "tables" / "estimates.csv")
    assert estimates["level"].tolist() == ["all", "no", "yes"]
    yes = rows[rows["direct"] == "yes"].assign(total=lambda f: f["item_count"] * f["n"]).groupby("arm")[["total", "n"]].sum()
    means = yes["total"] / yes["n"]
    assert estimates["dim"].iloc[2] == pytest.approx(means["treatment"] - means["control"])


def test_printed_estimates_stand_beside_the_same_estimators(written):
    """The shares of the two halves that said yes directly, as printed, average to that of the counts."""
    table = pd.read_csv(written[0] / "out" / FOLDER / "tables" / "printed.csv")
    direct = table[table["what"] == "direct question"]
    assert np.average(direct["estimate"], weights=direct["n"]) == pytest.approx(direct["ours"].iloc[0], abs=0.002)  # others were left out
    combined = table[table["what"] == "list and direct question combined"]
    assert combined["ours"].iloc[0] == pytest.approx(0.6184, abs=5.1e-5)  # see test_list_and_direct


def test_the_command_prints_the_index_and_labels_stay_text(written, again):
    """What comes from a file is text on every page, and names a folder that can be one."""
    folder, code, said = written[0] / "out", *written[1:]
    assert code == 0
    assert said.startswith("**Published list experiments, analysed again**")
    assert said.endswith(f"{folder / 'index.html'}\n")
    for page in again[2]:
        text = page.read_text(encoding="utf-8")
        assert "<b>мой" not in text
        assert "&lt;b&gt;мой&lt;/b&gt; опрос/1" in text
    assert "the package" not in re.search(r'class="subtitle">([^<]*)', (folder / "index.html").read_text(encoding="utf-8"))[1]


def test_unchanged_fits_are_taken_from_the_folder_and_pages_keep_their_bytes(written, again):
    _, said, before = again
    assert len(before) == 2
    assert {path: path.read_bytes() for path in before} == before
    assert sum("unchanged" in text for text in said) == 2
    assert not any("fitting" in text for text in said)
    assert not [path for path in written[0].rglob(".*") if path.is_file()]


def test_the_table_of_means_is_audited_and_fitted(monkeypatch):
    monkeypatch.setattr(sampling, "STARTS", 1)  # the mode of a total row is found from one start, too
    kept = {}

    def fitted(name, _, arguments, make):
        """The fit of the total row; with its draws for every row it stands in for that of all rows, which takes its time."""
        kept.setdefault("total", make() if name == "total" else None)
        if name == "total":
            return kept["total"]
        tree, table = kept["total"].copy(), csto_table()
        posterior, rows = tree["posterior"].to_dataset(), [row.name for row in table.rows]
        support = posterior["support"].isel(row=0, drop=True).expand_dims(row=rows)
        tree["posterior"] = xr.DataTree(posterior.drop_dims("row").drop_vars("row", errors="ignore").assign(support=support))
        tree.attrs["use"] = json.dumps(dict(default_use(table)))
        return tree

    made = gallery(only=[CSTO], method="map", fitted=lambda study: fitted)
    entry = made.studies.frame.iloc[0]
    assert (entry["n"], entry["J"], entry["printed"]) == (400, 4, 0.559)
    assert entry["dim"] == pytest.approx(0.56)
    assert 0.3 < entry["lower"] < 0.5 < entry["median"] < 0.62  # with a standard error near 10 points
    assert "contradicts itself 4 times" in entry["worst"]
    page = render_report(made.pages[CSTO])
    assert 'href="../index.html"' in page
    assert "quick look" in page


def test_what_was_printed_in_words(printed):
    studies = (CSTO, "kuklinski1997-black-family", "eady2017-gender")
    of = {study: printed_words([p for p in printed if p.study == study]) for study in studies}
    assert of[CSTO] == "55.9 %, Jones & Smyth 2022"
    assert of["kuklinski1997-black-family"] == "6.8 %, Blair & Imai 2012; 15.4 % (binomial counts, maximum likelihood), Imai 2011"
    assert of["eady2017-gender"] == "nothing known to us"


def test_the_documentation_shows_what_the_command_finds(counts, printed, again):
    table = docs_table()
    assert list(table["Study"]) == [known.title for known in read_studies(bundled("published_studies.csv")).values()]
    for name, (_, row) in zip(dict.fromkeys(counts["study"]), table.iterrows(), strict=False):
        rows = counts[counts["study"] == name]
        arms = rows.assign(total=rows["item_count"] * rows["n"]).groupby("arm")[["total", "n"]].sum()
        means = arms["total"] / arms["n"]
        assert row["Difference in means"].startswith(f"{100 * (means['treatment'] - means['control']):.0f} % (")
        assert f"N = {rows['n'].sum():,}, J = {rows['n_control_items'].iloc[0]}" in row["Design"]
        assert row["Printed, and by whom"].replace("&amp;", "&") == printed_words([p for p in printed if p.study == name])
    entry = again[0].studies.frame.iloc[0]
    assert table["Worst check"].iloc[-1] == worst_finding(audit(csto_table()))
    sampled = re.match(r"(\d+) % \((\d+) to (\d+)\)", table.set_index("Study").loc["Public transportation (list 2)", "Posterior"]).groups()
    # the normal approximation is within two points of the sampled posterior, whose intervals are 20 points wide
    assert [float(number) for number in sampled] == pytest.approx([100 * entry[c] for c in ("median", "lower", "upper")], abs=2.5)
    picture = (DOCS / "_static" / "gallery.svg").read_text(encoding="utf-8")
    for _, row in table.iterrows():
        assert f"{row['Study']}: {row['Posterior']}, {row['Difference in means']}" in picture


def test_counts_that_cannot_be_name_their_study(tmp_path, counts):
    rows = counts[counts["study"] == "mis1994-affirmative-action"].assign(study="mine")
    for wrong, said in (({"item_count": rows["item_count"] + 1}, "study 'mine': .*answer"), ({"n_control_items": 2}, "study 'mine'"),
                        ({"n_control_items": rows["item_count"] + 1}, "study 'mine': column 'n_control_items'")):
        rows.assign(**wrong).to_csv(tmp_path / "mine.csv", index=False)
        with pytest.raises(InputError, match=said):
            gallery(tmp_path / "mine.csv", method="map")
    with pytest.raises(InputError, match="study 'x' is not in the table; there are: mine"):
        gallery(tmp_path / "mine.csv", only=["x"])
    pd.concat([rows.assign(study="a b"), rows.assign(study="a/b")]).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(InputError, match="'a b' and 'a/b' would share the folder 'a-b'"):
        gallery(tmp_path / "mine.csv", method="map")


@pytest.mark.parametrize("address", ["https://example.org/x.html", "javascript:alert(1)", "/etc/x.html", "a/../../x.html"])
def test_links_stay_in_the_folder(address):
    page = Report("t", "h", (Section("s", "S", "", (Links((Link("x", address),)),)),))
    with pytest.raises(InputError, match="is not the relative address of a page"):
        render_report(page)
