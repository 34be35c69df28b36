"""Figures: what they show, and that their bytes, ids and words can be relied on."""

from datetime import date
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.dates import date2num

from bayes_listexp import figures
from bayes_listexp.errors import InputError
from bayes_listexp.figures.forest import Mark, percent_words, points_scale
from bayes_listexp.figures.style import WIDTH, fitted, measured
from bayes_listexp.figures.survey import probability_words

SVG = "{http://www.w3.org/2000/svg}"
ODD = (
    '<script>alert("1")</script>',
    "Әә Ғғ Ққ Ңң Өө Ұұ Үү Һһ Іі",
    "$a_1$ & 'quotes' \"double\"",
    "Очень длинное название " * 9,
    "W" * 200,
)


def draws(centre: object, **coords: list[str]) -> xr.DataArray:
    shape = tuple(len(levels) for levels in coords.values())
    noise = np.random.default_rng(1).normal(0, 0.04, (2, 100, *shape))
    return xr.DataArray(np.asarray(centre) + noise, dims=("chain", "draw", *coords), coords=coords)


def table(by: str, levels: list[str], estimate: list[float], half: float = 0.2) -> pd.DataFrame:
    frame = pd.DataFrame({by: levels, "estimate": estimate, "n_control": 50, "n_treatment": 51})
    return frame.assign(lower=frame["estimate"] - half, upper=frame["estimate"] + half)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def published() -> pd.DataFrame:
    rows = [
        ("all", "all", 0.55, 0.36, 0.74, 0.56, 0.37, 0.75, 0.559, "", ""),
        ("region", "Almaty", np.nan, np.nan, np.nan, 0.55, 0.12, 0.98, 0.27, "left out", "means give 55"),
        ("region", "Astana", 0.4, 0.1, 0.7, 0.29, -0.25, 0.83, np.nan, "", ""),
    ]
    columns = ["group", "level", "median", "lower", "upper", "dim", "dim_lower", "dim_upper"]
    return pd.DataFrame(rows, columns=[*columns, "printed", "used", "flag"])


def every_figure() -> dict[str, object]:
    waves = draws([0.55, 0.4], wave=["2022-09", "2022-11"])
    both = draws([[0.5, 0.7], [0.4, 0.6]], wave=["2022-09", "2022-11"], sex=["male", "female"])
    arms = pd.DataFrame({"arm": ["control"] * 3 + ["treatment"] * 4, "answer": [0, 1, 2, 0, 1, 2, 3], "n": 5})
    dates = {"2022-09": date(2022, 9, 7), "2022-11": date(2022, 11, 15)}
    models = pd.DataFrame({"model": ["a", "b"], "estimate": [0.5, 0.6], "lower": 0.3, "upper": 0.8, "elpd": [-10.0, -12.5]})
    return {
        "support": figures.support_by_group(draws([0.4, 0.6], sex=["m", "f"]), table("sex", ["m", "f"], [0.4, 0.6])),
        "nested": figures.support_by_group(both, along="wave", title="Both", subtitle="waves"),
        "total": figures.support_by_group(draws(0.5)),
        "change": figures.change_between_waves(draws(-0.1), waves=("2022-09", "2022-11")),
        "changes": figures.change_between_waves(draws([-0.1, 0.1], sex=["m", "f"])),
        "course": figures.trajectory(waves, dates=dates, events=[(date(2022, 9, 21), "mobilisation")]),
        "answers": figures.answers_by_arm(arms),
        "priors": figures.prior_posterior({"p": draws(0.5)}, {"p": draws(0.4)}, ["p"], percent=["p"]),
        "robustness": figures.robustness(models, dim=(0.55, 0.35, 0.75), chosen="a"),
        "published": figures.published_support(published()),
        "curve": curve(),
        "pooling": figures.pooling_by_group(draws([0.4, 0.6], sex=["m", "f"]), table("sex", ["m", "f"], [0.2, 0.9]), draws(0.5)),
        "arrows": figures.arrows_by_group(both, along="wave"),
        "bias": figures.sensitivity_bias(draws([-0.1, 0.1], sex=["m", "f"])),
    }


def curve(choices: tuple[str, ...] = ("truthful", "liars", "truthful"), **settings: object) -> object:
    models = pd.DataFrame({"model": ["a", "b", "c"], "estimate": [0.5, 0.6, 0.4], "lower": 0.3, "upper": 0.8, "response": choices})
    return figures.specification_curve(models, {"response": "Answers"}, chosen="a", dim=(0.55, 0.35, 0.75), **settings)


@pytest.fixture(scope="module")
def drawn() -> dict[str, object]:
    return every_figure()


def test_same_arguments_give_the_same_bytes(drawn):
    again = every_figure()
    for name, figure in drawn.items():
        first = figures.to_svg(figure, name=name, synthetic=True)
        assert first == figures.to_svg(figure, name=name, synthetic=True), name  # writing leaves no trace
        assert first == figures.to_svg(again[name], name=name, synthetic=True), name
    assert figures.to_png(drawn["support"]) == figures.to_png(again["support"])
    assert figures.to_pdf(drawn["total"]) == figures.to_pdf(again["total"]) != figures.to_pdf(drawn["total"], synthetic=True)


def test_svg_describes_itself_and_refers_to_nothing_outside(drawn):
    for name, figure in drawn.items():
        svg = figures.to_svg(figure, name=name)
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        title = root.find(f"{SVG}title")
        assert title is not None
        assert title.get("id") == root.get("aria-labelledby")
        assert len(title.text) > 20, name
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        assert all(identity.startswith(f"figure-{name}") for identity in ids)
        links = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(link[1:] in ids for link in links)
        assert "<metadata" not in svg
        assert not any(word in svg for word in ("url(http", "@import", "<script"))


def test_ids_of_two_figures_never_meet(drawn):
    one = figures.to_svg(drawn["support"], name="one")
    two = figures.to_svg(drawn["support"], name="two")
    ids = [{e.get("id") for e in ElementTree.fromstring(svg).iter() if e.get("id")} for svg in (one, two)]
    assert len(ids[0]) > 1
    assert not ids[0] & ids[1]


def test_synthetic_mark_is_on_the_picture_only_when_asked_for(drawn):
    marked = figures.to_svg(drawn["support"], name="a", synthetic=True)
    assert "SYNTHETIC DATA" in texts(marked)
    assert "SYNTHETIC" not in figures.to_svg(drawn["support"], name="a")
    assert figures.to_png(drawn["support"], synthetic=True) != figures.to_png(drawn["support"])


def test_a_figure_needs_a_description_and_a_usable_name(drawn):
    drawn["total"].set_label("")
    with pytest.raises(InputError, match="no description"):
        figures.to_svg(drawn["total"], name="total")
    with pytest.raises(InputError, match="beginning with a letter"):
        figures.to_svg(drawn["support"], name="1 <b>")


@pytest.mark.parametrize("label", ODD)
def test_labels_appear_whole_and_as_text(label):
    figure = figures.support_by_group(draws([0.4, 0.6], place=[label, "b"]), title=label, sort=False)
    svg = figures.to_svg(figure, name="odd")
    squeezed = "".join("".join(texts(svg)).split())
    assert squeezed.count("".join(label.split())) == 2  # title and row
    assert "<script" not in svg


def test_lines_fit_their_column():
    for label in ODD:
        lines = fitted(label, 1.2)
        assert max(measured(line) for line in lines) <= 1.2
        assert "".join("".join(lines).split()) == "".join(label.split())


def test_nothing_is_drawn_outside_the_page():
    rows = draws([0.4] * len(ODD), place=list(ODD))
    figure = figures.support_by_group(rows, table("place", list(ODD), [0.5] * len(ODD), half=1.5), title=ODD[3])
    for text in figure.axes[0].texts:
        box = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
        assert box.x0 >= -0.01, text.get_text()
        assert box.x1 <= WIDTH + 0.01, text.get_text()


def test_numbers_shown_are_the_quantiles_of_the_draws():
    even = xr.DataArray(np.linspace(0.2, 0.6, 401)[None, :], dims=("chain", "draw"))
    figure = figures.support_by_group(even)
    assert "40 % (21 to 59)" in texts(figures.to_svg(figure, name="s"))
    lines = [line.get_xdata() for line in figure.axes[1].lines if line.get_color() == "#1b4f8a"]
    assert any(np.allclose(ends, [30, 50]) for ends in lines)  # the 50 % interval


def test_rows_are_sorted_and_nested_rows_joined():
    values = draws([[0.2, 0.7], [0.3, 0.6]], wave=["w1", "w2"], sex=["m", "f"])
    words = texts(figures.to_svg(figures.support_by_group(values, along="wave"), name="s"))
    order = [word for word in words if word in {"m", "f", "w1", "w2"}]
    assert order == ["f", "w1", "w2", "m", "w1", "w2"]


def test_impossible_intervals_are_shown_and_said():
    figure = figures.support_by_group(draws([0.5], sex=["m"]), table("sex", ["m"], [0.9], half=0.6))
    words = texts(figures.to_svg(figure, name="s"))
    assert "90 % (30 to 150)" in words
    assert "values that no share can take" in words
    assert figure.axes[1].get_xlim()[1] == 130
    inside = figures.support_by_group(draws([0.5], sex=["m"]), table("sex", ["m"], [0.5]))
    assert inside.axes[1].get_xlim() == (0, 100)


def test_change_states_the_probability_of_a_decline():
    values = xr.DataArray([[-0.3, -0.2, -0.1, 0.1]], dims=("chain", "draw"))
    figure = figures.change_between_waves(values)
    assert "fell: 75 %" in texts(figures.to_svg(figure, name="c"))
    assert "probability of a decline 75 %" in figure.get_label()


def test_a_difference_in_means_far_outside_does_not_squeeze_the_posterior():
    scale = points_scale([Mark(-10, -20, 0)], [Mark(-80, -150, -10)], "")
    assert scale.ends == pytest.approx((-32.4, 32.4))  # 1.5 × 20, and the margin of 8 %


def test_the_specification_curve_is_sorted_and_says_what_each_model_assumes():
    figure = curve()
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert points == [(1, 40), (2, 50), (3, 60)]
    page = figure.axes[0]
    squares = [round(float(line.get_ydata()[0]), 6) for line in page.lines if line.get_marker() == "s"]
    lines = {text.get_text(): round(float(text.get_position()[1]), 6) for text in page.texts}
    assert squares == [lines["truthful"], lines["truthful"], lines["liars"]]  # c and a, then b: each level in one line
    assert figures.specification_order(pd.DataFrame({"estimate": [0.5, 0.6, 0.4, 0.5]})) == [2, 4, 1, 3]
    assert "2 a (chosen) (truthful): 50 % (30 to 80)" in figure.get_label()
    for said, box in boxes(curve(choices=ODD[1:4], title=ODD[3])):
        assert -0.01 <= box.x0 <= box.x1 <= WIDTH + 0.01, said


def test_arrows_of_pooling_lead_from_the_difference_in_means_to_the_model():
    even = xr.DataArray(np.linspace(0.35, 0.45, 101)[None, :, None], dims=("chain", "draw", "g"), coords={"g": ["a"]})
    figure = figures.pooling_by_group(even, table("g", ["a"], [1.5]), even.isel(g=0, drop=True))
    diamonds = [line.get_xdata()[0] for line in figure.axes[1].lines if line.get_marker() == "D"]
    assert diamonds == [130]  # at the end of the axis, and in words beside it
    assert "150 to 40 %, n = 101" in texts(figures.to_svg(figure, name="p"))
    assert "everybody: 40 %" in texts(figures.to_svg(figure, name="p"))


def test_arrows_between_waves_state_how_probable_a_decline_is():
    values = xr.DataArray([[[0.4, 0.2], [0.4, 0.3], [0.4, 0.5], [0.4, 0.2]]], dims=("chain", "draw", "wave"), coords={"wave": ["a", "b"]})
    said = texts(figures.to_svg(figures.arrows_by_group(values, along="wave"), name="w"))
    assert "40 to 25 %, fell 75 %" in said
    with pytest.raises(InputError, match="'c' is not in the draws"):
        figures.arrows_by_group(values, along="wave", waves=("a", "c"))


def test_bias_states_how_probably_the_trait_is_hidden():
    figure = figures.sensitivity_bias(xr.DataArray([[-0.1, 0.1, 0.2, 0.3]], dims=("chain", "draw")))
    assert "P(hidden) 75 %" in texts(figures.to_svg(figure, name="b"))
    assert "+15 (−8 to +29)" in texts(figures.to_svg(figure, name="b"))


def test_many_groups_in_three_waves_fit_on_one_page():
    regions, waves = [f"region {i}" for i in range(20)], ["2022-09", "2022-11", "2023-05"]
    figure = figures.arrows_by_group(draws(np.full((20, 3), 0.4), region=regions, wave=waves), along="wave")
    assert figure.get_size_inches()[1] < 10
    crossing = [one for one, box in boxes(figure) for other, there in boxes(figure) if one < other and box.overlaps(there)]
    assert not crossing


def test_draws_without_chains_are_drawn_as_well():
    """The same as draws with one chain."""
    chain = draws([[0.5, 0.7], [0.4, 0.6]], wave=["2022-09", "2022-11"], sex=["male", "female"]).isel(chain=[0])
    flat = chain.isel(chain=0, drop=True)
    tiles = pd.DataFrame({"region": ["male", "female"], "row": [0, 0], "column": [0, 1]})
    observed = pd.DataFrame({"arm": "control", "answer": [0, 1], "n": [3, 1]})
    said = xr.DataArray(np.ones((1, 3, 1, 2)), dims=("chain", "draw", "arm", "answer"), coords={"arm": ["control"], "answer": [0, 1]})
    drawn = {
        "support": lambda of: figures.support_by_group(of, along="wave"),
        "trajectory": lambda of: figures.trajectory(of.isel(sex=0)),
        "arrows": lambda of: figures.arrows_by_group(of, along="wave"),
        "tiles": lambda of: figures.tile_grid(of, tiles, along="wave"),
    }
    for name, draw in drawn.items():
        assert figures.to_svg(draw(flat), name=name) == figures.to_svg(draw(chain), name=name), name
    answers = [figures.to_svg(figures.answers_by_arm(observed, of), name="answers") for of in (said, said.isel(chain=0, drop=True))]
    assert answers[0] == answers[1]


def test_words_for_numbers():
    assert percent_words(Mark(56.4, 41.2, 72.6)) == "56 % (41 to 73)"
    assert percent_words(Mark(-0.2, -45.1, 3.2), signed=True) == "0 (−45 to +3)"
    assert [probability_words(p) for p in (0, 0.005, 0.87, 0.995, 1)] == ["< 1 %", "< 1 %", "87 %", "> 99 %", "> 99 %"]


def test_unknown_and_uncomputable_groups():
    values = draws([0.4, 0.6], sex=["m", "f"])
    with pytest.raises(InputError, match="'x'"):
        figures.support_by_group(values, table("sex", ["m", "x"], [0.4, 0.6]))
    gap = figures.support_by_group(values, table("sex", ["m", "f"], [0.4, np.nan]))
    assert "not available" in texts(figures.to_svg(gap, name="s"))
    with pytest.raises(InputError, match="not finite"):
        figures.support_by_group(values.where((values["sex"] == "m") | (values["draw"] > 0)))
    alone = figures.support_by_group(values.where(values["sex"] == "m"))  # nobody is a woman here
    assert "m" in texts(figures.to_svg(alone, name="s"))
    assert "f" not in texts(figures.to_svg(alone, name="s"))


def test_answers_predicted_from_counts_or_probabilities():
    observed = pd.DataFrame({"arm": "control", "answer": [0, 1], "n": [3, 1]})
    counts = xr.DataArray(np.full((2, 5, 1, 2), 4.0), dims=("chain", "draw", "arm", "answer")).assign_coords(
        arm=["control"], answer=[0, 1]
    )
    one = figures.to_svg(figures.answers_by_arm(observed, counts), name="a")
    assert one == figures.to_svg(figures.answers_by_arm(observed, counts / 8), name="a")
    with pytest.raises(InputError, match="not predicted"):
        figures.answers_by_arm(observed.assign(arm="treatment"), counts)


def test_contradicted_rows_of_a_published_table_are_marked():
    root = ElementTree.fromstring(figures.to_svg(figures.published_support(published()), name="p"))
    red = [e.text for e in root.iter(f"{SVG}text") if "#a3121f" in (e.get("style") or "")]
    assert red == ["printed 27.0 % ≠"]


def test_missing_columns_are_named():
    with pytest.raises(InputError, match="upper"):
        figures.robustness(pd.DataFrame({"model": ["a"], "estimate": [0.5], "lower": [0.4]}))
    with pytest.raises(InputError, match="printed"):
        figures.published_support(published().drop(columns="printed"))
    with pytest.raises(InputError, match="date"):
        figures.trajectory(draws([0.5], wave=["w"]), dates={})


def boxes(figure: object) -> list[tuple[str, object]]:
    """The texts on the page of a figure with the rectangles that they take, in inches."""
    return [(text.get_text(), text.get_window_extent().transformed(figure.dpi_scale_trans.inverted()))
            for text in figure.axes[0].texts if text.get_text()]  # fmt: skip


def test_letters_of_events_and_names_of_waves_never_touch_or_leave_the_page():
    names = ["2022-09", "2022-10", "2022-11", "the last wave, with a long name"]
    dates = dict(zip(names, [date(2022, 9, 7), date(2022, 10, 1), date(2022, 10, 20), date(2023, 5, 8)], strict=True))
    events = [(date(2022, 1, day), f"event {day}") for day in (19, 6, 11)] + [(date(2022, 9, 21), "mobilisation")]
    printed = [figures.Printed(date(2022, 9, 7), 0.56, "in print"), figures.Printed(date(2023, 1, 15), 0.35)]
    figure = figures.trajectory(draws([0.5, 0.4, 0.3, 0.3], wave=names), dates=dates, events=events, printed=printed)
    drawn = boxes(figure)
    for i, (said, box) in enumerate(drawn):
        assert box.x0 >= 0, said
        assert box.x1 <= WIDTH, said
        assert not [other for other, there in drawn[i + 1 :] if box.overlaps(there)], said
    key = [said for said, _ in drawn if said.startswith("2022-01-")]
    assert key == ["2022-01-06: event 6", "2022-01-11: event 11", "2022-01-19: event 19"]  # in the order of time
    assert "2023-01" in dict(drawn)  # a published share in no wave's place has its month below
    squares = [line for line in figure.axes[1].lines if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() for line in squares] == ["white", "white"]
    assert squares[0].get_xdata()[0] < date2num(date(2022, 9, 7)) == pytest.approx(date2num(dates["2022-09"]))  # beside the wave
    assert squares[1].get_xdata()[0] == date2num(date(2023, 1, 15))
