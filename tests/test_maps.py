"""Maps: one labelled patch a region, colours that follow the values, holes that are holes, and what is refused."""

import copy
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from bayes_listexp import figures
from bayes_listexp.errors import InputError
from bayes_listexp.estimates import change, summarise
from bayes_listexp.figures.forest import Mark, percent_words
from bayes_listexp.figures.map_scale import (
    DIVERGING,
    SEQUENTIAL,
    WIDTHS,
    ColourScale,
    ink_on,
    marks_by_region,
    scale_of,
)
from bayes_listexp.figures.style import WIDTH
from bayes_listexp.fitting import fit
from bayes_listexp.geography import RegionMap, check_tiles, polygons_of, projected, refuse_unplaced, ring_area
from bayes_listexp.read import read_regions
from bayes_listexp.report import render_report
from bayes_listexp.spec import bundled, fit_arguments, map_of, read_spec, study_of
from bayes_listexp.survey_maps import map_sections
from bayes_listexp.survey_report import survey_report
from bayes_listexp.survey_results import Survey

SVG = "{http://www.w3.org/2000/svg}"
TILES = pd.DataFrame({"region": ["north", "south", "east", "Қала"], "row": [1, 2, 2, 3], "column": [1, 1, 2, 2]})
ODD = ("Восточно-Казахстанская область", "Әә Ғғ Ққ Ңң Өө", "$a_1$ & <b>", "W" * 60, "Очень длинное название " * 6)


def draws(values, waves=None, spread=0.05):
    """Draws whose medians are the values exactly, by region and, where waves are given, by wave."""
    values = {name: np.atleast_1d(value) for name, value in values.items()}
    offsets = np.linspace(-spread, spread, 101)[None, :, None, None]
    made = xr.DataArray(np.array(list(values.values())).T + offsets, dims=("chain", "draw", "wave", "region"),
                        coords={"wave": waves or ["one"], "region": list(values)})
    return made if waves else made.isel(wave=0, drop=True)


def square(west, south, size, *, clockwise=False):
    ring = [[west, south], [west + size, south], [west + size, south + size], [west, south + size], [west, south]]
    return ring[::-1] if clockwise else ring


def collection(**regions):
    """A FeatureCollection: each region a list of polygons, each a list of rings."""
    shapes = {name: {"type": "MultiPolygon", "coordinates": polygons} if len(polygons) > 1 else
              {"type": "Polygon", "coordinates": polygons[0]} for name, polygons in regions.items()}
    features = [{"type": "Feature", "properties": {"name": name}, "geometry": shape} for name, shape in shapes.items()]
    return {"type": "FeatureCollection", "features": features}


def around():
    """A region with a hole, the city in the hole, and a region of two islands; rings wound against the rule."""
    return collection(around=[[square(60, 45, 6, clockwise=True), square(62, 47, 2)]], city=[[square(62, 47, 2)]],
                      islands=[[square(70, 45, 3)], [square(74, 45, 2, clockwise=True)]])


def patches(figure):
    """The regions' patches of every map, by label."""
    return [{str(patch.get_label()): patch for patch in axes.patches} for axes in figure.axes[1:]]


def texts(figure):
    return [e.text or "" for e in ElementTree.fromstring(figures.to_svg(figure, name="m")).iter(f"{SVG}text")]


def lightness(colour):
    return float(np.dot(to_rgb(colour), [0.2126, 0.7152, 0.0722]))


def test_every_region_has_one_tile_with_its_numbers():
    figure = figures.tile_grid(draws({"north": 0.2, "south": 0.45, "east": 0.6, "Қала": 0.73}), TILES, title="T", subtitle="S")
    assert [set(tiles) for tiles in patches(figure)] == [{"north", "south", "east", "Қала"}]
    words = texts(figure)
    assert {"north", "Қала", "20 %", "45 %", "60 %", "73 %"} <= set(words)
    assert "15 to 25" in words  # 0.2 ± 0.05, less 2.5 % at each end
    assert figure.get_label().startswith("Map of support by region, with 95 % intervals. Қала 73 % (68 to 78); east 60 %")


def test_tiles_stand_in_their_rows_and_columns():
    tiles = patches(figures.tile_grid(draws({"north": 0.2, "south": 0.4, "east": 0.6}), TILES))[0]
    assert tiles["north"].get_x() == tiles["south"].get_x() < tiles["east"].get_x() == tiles["Қала"].get_x()
    assert tiles["north"].get_y() < tiles["south"].get_y() == tiles["east"].get_y() < tiles["Қала"].get_y()


def test_larger_values_are_darker_and_greys_keep_the_order():
    values = dict(zip(TILES["region"], (0.2, 0.35, 0.5, 0.8), strict=True))
    tiles = patches(figures.tile_grid(draws(values), TILES))[0]
    shades = [lightness(tiles[name].get_facecolor()[:3]) for name in values]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 4
    for scale in (SEQUENTIAL, WIDTHS):
        assert (np.diff([lightness(scale(x)) for x in np.linspace(0, 1, 64)]) < 0).all()


def test_changes_diverge_from_zero_as_far_up_as_down():
    values = {"north": -0.24, "south": 0.0, "east": 0.12}
    marks = marks_by_region(draws(values), None)
    scale = scale_of(marks, change=True)
    assert (scale.low, scale.high) == (-30, 30)
    lights = [lightness(DIVERGING(x)) for x in np.linspace(0, 1, 65)]
    assert np.argmax(lights) == 32
    assert (np.diff(lights[:33]) > 0).all()
    assert (np.diff(lights[32:]) < 0).all()
    figure = figures.tile_grid(draws(values), TILES, change=True)
    assert {"−24", "0", "+12", "−29 to −19"} <= set(texts(figure))
    red, _, blue = to_rgb(patches(figure)[0]["north"].get_facecolor()[:3])
    assert red > blue  # a fall is orange
    assert "change" in figure.get_label()
    assert "north −24 (−29 to −19)" in figure.get_label()


def test_a_scale_never_spans_less_than_thirty_points():
    for value in (0.01, 0.44, 0.99):
        scale = scale_of(marks_by_region(draws({"a": value}, spread=0.001), None), change=False)
        assert scale.high - scale.low >= 30
        assert 0 <= scale.low <= 100 * value <= scale.high <= 100


@pytest.mark.parametrize("colours", [SEQUENTIAL, DIVERGING, WIDTHS])
def test_text_on_every_colour_can_be_read(colours):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    scale = ColourScale(0, 100, colours)
    for value in range(101):
        ground = luminance(scale.colour(value))
        light, dark = sorted((ground, luminance(ink_on(scale.colour(value)))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.1  # 4.5 asked of small text by WCAG, 3 of bold numbers as large as these


def test_regions_without_draws_are_drawn_empty_and_named():
    figure = figures.tile_grid(draws({"north": 0.2, "south": 0.4}), TILES)
    tiles = patches(figure)[0]
    assert set(tiles) == set(TILES["region"])
    assert tiles["east"].get_facecolor()[:3] == (1, 1, 1)
    assert figure.get_label().endswith("No estimate: east, Қала.")
    assert "no estimate" in texts(figure)


def test_a_region_may_lack_an_estimate_in_one_wave():
    some = draws({"north": [0.2, np.nan], "south": [0.4, 0.5]}, waves=["w1", "w2"])
    figure = figures.tile_grid(some, TILES[:2], along="wave")
    first, second = patches(figure)
    assert first["north"].get_facecolor() != second["north"].get_facecolor()
    assert figure.get_label().endswith("No estimate: north (w2).")
    with pytest.raises(InputError, match="every draw is NaN"):
        figures.tile_grid(draws({"north": np.nan}), TILES)
    broken = some.copy()
    broken[0, 3, 0, 1] = np.nan
    with pytest.raises(InputError, match="'south' in w1 are not finite"):
        figures.tile_grid(broken, TILES, along="wave")


def test_waves_are_small_maps_on_one_scale():
    waves = draws({"north": [0.2, 0.6], "south": [0.4, 0.4], "east": [0.5, 0.1]}, waves=["2022-09", "2022-11"])
    figure = figures.tile_grid(waves, TILES, along="wave")
    first, second = patches(figure)
    assert first["south"].get_facecolor() == second["south"].get_facecolor()
    assert {"2022-09", "2022-11"} <= set(texts(figure))
    assert figure.get_label().count("from") == 2


def test_codes_stand_in_small_tiles_and_are_explained():
    tiles = pd.read_csv(bundled("kazakhstan_regions.csv"))
    values = {name: [0.3, 0.5] for name in tiles["region"]}
    figure = figures.tile_grid(draws(values, waves=["a", "b"]), tiles, along="wave")
    assert [len(panel) for panel in patches(figure)] == [20, 20]
    assert texts(figure).count("NKZ") == 2
    key = " ".join(texts(figure)).replace("\N{NO-BREAK SPACE}", " ")
    assert all(f"{row.code} {row.region}" in key for row in tiles.itertuples())


def test_labels_appear_whole_and_nothing_leaves_the_page():
    tiles = pd.DataFrame({"region": ODD, "row": [1, 1, 2, 2, 3], "column": [1, 2, 1, 2, 1]})
    figure = figures.tile_grid(draws(dict.fromkeys(ODD, 0.4)), tiles, title=ODD[4], label=ODD[4])
    squeezed = "".join("".join(texts(figure)).split())
    assert all("".join(name.split()) in squeezed for name in ODD)
    assert "<b>" not in figures.to_svg(figure, name="odd")
    for axes in figure.axes:
        for text in axes.texts:
            box = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
            assert box.x0 >= -0.01, text.get_text()
            assert box.x1 <= WIDTH + 0.01, text.get_text()


def test_same_arguments_give_the_same_bytes():
    def both():
        values = draws({"around": 0.3, "city": 0.7, "islands": 0.5})
        tiles = pd.DataFrame({"region": ["around", "city", "islands", "none"], "row": [1, 1, 2, 2], "column": [1, 2, 1, 2]})
        return [figures.tile_grid(values, tiles), figures.choropleth(values, around())]

    for one, other in zip(both(), both(), strict=True):
        assert figures.to_svg(one, name="map") == figures.to_svg(other, name="map")
        assert figures.to_png(one) == figures.to_png(other)


def test_maps_are_paths_and_no_pictures():
    svg = figures.to_svg(figures.choropleth(draws({"around": 0.3, "city": 0.7, "islands": 0.5}), around()), name="c")
    assert "<image" not in svg
    assert "data:" not in svg


def test_polygons_have_their_true_areas_and_holes_are_none():
    flat = projected(polygons_of(around()))
    area = {name: sum(ring_area(ring) for polygon in polygons for ring in polygon) for name, polygons in flat.items()}
    height = np.sin(np.radians(51)) - np.sin(np.radians(45))  # of a band on the sphere of radius 1
    hole = np.radians(2) * (np.sin(np.radians(49)) - np.sin(np.radians(47)))
    assert area["city"] == pytest.approx(hole, rel=2e-3)  # a side of two degrees is drawn straight
    assert area["around"] == pytest.approx(np.radians(6) * height - hole, rel=2e-3)
    assert area["islands"] > 0


def test_the_projection_keeps_areas_anywhere():
    for south in (-60.0, -5.0, 0.0, 40.0, 75.0):
        fine, flat_edge = np.linspace(0, 1, 200), np.zeros(200)
        east = np.concatenate([8 * fine, flat_edge + 8, 8 - 8 * fine, flat_edge])
        north = np.concatenate([flat_edge, 10 * fine, flat_edge + 10, 10 - 10 * fine])
        ring = np.column_stack([30 + east, south + north])
        flat = projected({"a": ((ring,),)})["a"][0][0]
        true = np.radians(8) * (np.sin(np.radians(south + 10)) - np.sin(np.radians(south)))
        assert ring_area(flat) == pytest.approx(true, rel=1e-4)  # straight pieces of a 200th of a side
        assert flat[100, 1] < flat[500, 1]  # north stays up


def test_polygons_are_drawn_once_each_with_holes_open():
    figure = figures.choropleth(draws({"around": 0.3, "city": 0.7, "islands": 0.5}), around())
    values, widths = patches(figure)
    assert set(values) == set(widths) == {"around", "city", "islands"}
    assert len(values["around"].get_path().to_polygons()) == 2
    city = values["city"].get_path()
    areas = {name: abs(sum(ring_area(ring) for ring in patch.get_path().to_polygons())) for name, patch in values.items()}
    assert areas["around"] / areas["city"] == pytest.approx(8, rel=0.05)  # six degrees square without two degrees square
    assert lightness(values["around"].get_facecolor()[:3]) > lightness(values["city"].get_facecolor()[:3])
    assert list(values)[-1] == "city"  # the smallest is drawn last
    box = city.get_extents()
    seen = picture_at(figure, figure.axes[1], ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
    assert seen == pytest.approx(values["city"].get_facecolor()[:3], abs=0.02)


def test_a_hole_without_a_region_stays_white():
    figure = figures.choropleth(draws({"around": 0.3}), collection(around=[[square(60, 45, 6), square(62, 47, 2)]]))
    patch = patches(figure)[0]["around"]
    _, hole = patch.get_path().to_polygons()
    assert picture_at(figure, figure.axes[1], (hole.min(axis=0) + hole.max(axis=0)) / 2) == pytest.approx((1, 1, 1))


def picture_at(figure, axes, point):
    """The colour of the drawn figure at a point of its axes, a little beside it so that no number is hit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    x, y = axes.transData.transform((point[0] + 0.2, point[1] + 0.2))
    return pixels[pixels.shape[0] - round(y), round(x), :3] / 255


def test_uncertainty_has_a_map_of_its_own():
    wide, narrow = draws({"around": 0.3, "islands": 0.5}, spread=0.2), draws({"city": 0.6}, spread=0.02)
    figure = figures.choropleth(xr.concat([wide, narrow], dim="region"), around())
    widths = patches(figure)[1]
    assert lightness(widths["around"].get_facecolor()[:3]) < lightness(widths["city"].get_facecolor()[:3])
    assert "Width of the intervals" in texts(figure)


def test_numbers_without_room_are_listed():
    regions = collection(large=[[square(60, 45, 10)]], speck=[[square(63, 47, 0.05)]], empty=[[square(71, 45, 3)]])
    figure = figures.choropleth(draws({"large": 0.42, "speck": 0.6}), regions)
    words = texts(figure)
    assert "42" in words
    assert "60 %" not in words
    assert "Too small for a number: speck 60 % (55 to 65)" in [word.replace("\N{NO-BREAK SPACE}", " ") for word in words]
    assert figure.get_label().endswith("No estimate: empty.")
    assert patches(figure)[0]["empty"].get_facecolor()[:3] == (1, 1, 1)


def test_waves_of_a_choropleth_stand_below_one_another():
    values = draws({"around": [0.3, 0.4], "city": [0.7, 0.6], "islands": [0.5, 0.2]}, waves=["w1", "w2"])
    figure = figures.choropleth(values, around(), along="wave")
    assert len(patches(figure)) == 4
    assert {"w1", "w2"} <= set(texts(figure))


def test_a_map_across_the_180th_meridian_is_in_one_piece():
    regions = polygons_of(collection(west=[[square(170, 60, 9.9)]], east=[[square(-180, 60, 10)]]))
    every = np.concatenate([ring for polygons in regions.values() for polygon in polygons for ring in polygon])
    assert np.ptp(every[:, 0]) == pytest.approx(20)


def test_levels_without_a_place_are_refused_with_the_closest_names():
    with pytest.raises(InputError, match=r"tiles: no place for 'Kostanai', 'moon'\. Closest to 'Kostanai': Kostanay"):
        figures.tile_grid(draws({"Kostanai": 0.2, "moon": 0.3, "Abai": 0.4}), pd.read_csv(bundled("kazakhstan_regions.csv")))
    with pytest.raises(InputError, match=r"regions by 'name': no place for 'cty'\. Closest to 'cty': city"):
        figures.choropleth(draws({"cty": 0.2}), around())
    with pytest.raises(InputError, match="There are: a, b"):
        refuse_unplaced(["zzzz"], ["b", "a"], "tiles")


@pytest.mark.parametrize(("change", "message"), [
    ({"row": ["1", "x", 2, 3]}, "column 'row' of region 'south' must be a whole number, found 'x'"),
    ({"column": [1, 1.5, 2, 2]}, "'south' must be a whole number, found '1.5'"),
    ({"row": [1, 1, 2, 3]}, "'north' and 'south' have the same tile, row 1 and column 1"),
    ({"region": ["north", "north", "east", "x"]}, "region 'north' has more than one tile"),
    ({"region": ["north", None, "east", "x"]}, "every row needs a region"),
])
def test_tables_of_tiles_that_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        check_tiles(TILES.assign(**change))


def test_a_missing_column_of_tiles_is_named():
    with pytest.raises(InputError, match="column 'column' is missing; there are: region, row"):
        check_tiles(TILES.drop(columns="column"))


def broken(*path, value):
    """The example with one part replaced; the path leads through keys and numbers from the first feature on."""
    made = copy.deepcopy(around())
    at = made["features"][0]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return made


GEOMETRY = ("geometry", "coordinates")
POSITION = r"coordinates\[0\]\[2\]: must be \[longitude, latitude\]"


@pytest.mark.parametrize(("geojson", "message"), [
    ({"type": "Feature"}, "type 'FeatureCollection' with a list of 'features'"),
    ({"type": "FeatureCollection", "features": []}, "with a list of 'features'"),
    (broken("type", value="Thing"), r"features\[0\]: must be an object of type 'Feature'"),
    (broken("properties", value={"NAME_1": "x"}), r"features\[0\]: has no property 'name'.*properties are: NAME_1.*key="),
    (broken("properties", "name", value="islands"), r"features\[2\]: 'islands' is also the name of features\[0\].*key="),
    (broken("geometry", value=None), r"features\[0\] \('around'\)\.geometry: must be a Polygon or a MultiPolygon, found None"),
    (broken("geometry", "type", value="Point"), "must be a Polygon or a MultiPolygon, found 'Point'"),
    (broken(*GEOMETRY, value=[]), r"geometry\.coordinates: must be a list that is not empty"),
    (broken(*GEOMETRY, 1, value=[]), r"coordinates\[1\]: must be a list that is not empty"),
    (broken(*GEOMETRY, 0, 2, value=[60, "51"]), rf"{POSITION}, found \[60, '51'\]"),
    (broken(*GEOMETRY, 0, 2, value=[60, float("nan")]), POSITION),
    (broken(*GEOMETRY, 0, 2, value=[7.1e6, 6.2e6]), r"coordinates\[0\]\[2\].*no longitude and latitude in degrees.*EPSG:4326"),
    (broken(*GEOMETRY, 0, -1, value=[61, 45]), r"coordinates\[0\]: a ring has at least four positions and ends where it begins"),
    (broken(*GEOMETRY, 1, value=[[60, 45], [61, 45], [60, 45]]), r"coordinates\[1\]: a ring has at least four positions.*found 3"),
])
def test_maps_that_are_refused(geojson, message):
    with pytest.raises(InputError, match=message):
        polygons_of(geojson)


def test_a_file_is_read_or_refused_with_the_place_of_the_fault(tmp_path):
    path = tmp_path / "map.geojson"
    path.write_text(json.dumps(around(), ensure_ascii=False), encoding="utf-8")
    assert read_regions(path) == around()
    with pytest.raises(InputError, match=r"map\.geojson: GeoJSON, features\[0\]: has no property 'code'"):
        read_regions(path, key="code")
    path.write_text('{"type": "FeatureCollection",\n "features": [}', encoding="utf-8")
    with pytest.raises(InputError, match=r"map\.geojson, line 2, column 15: not JSON"):
        read_regions(path)
    path.write_bytes("{'Қ'}".encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_regions(path)
    with pytest.raises(InputError, match=r"no such file.*'map\.geojson'"):
        read_regions(tmp_path / "mop.geojson")


def test_draws_of_the_wrong_shape_are_refused():
    waves = draws({"north": [0.2, 0.3]}, waves=["a", "b"])
    with pytest.raises(InputError, match=r"one more; they have \['wave', 'region'\]"):
        figures.tile_grid(waves, TILES)
    with pytest.raises(InputError, match="along='time' is not a dim"):
        figures.tile_grid(waves, TILES, along="time")


def test_a_region_map_is_of_one_kind():
    with pytest.raises(InputError, match="either tiles or a geojson, not both"):
        RegionMap("region", TILES, around())
    assert RegionMap("region", TILES).places == ["north", "south", "east", "Қала"]
    assert RegionMap("region", geojson=around()).places == ["around", "city", "islands"]


PEOPLE = """
title = "A survey on the map"
[data]
file = "people.csv"
answer = "y"
arm = "arm"
J = 3
wave = "wave"
covariates = ["place"]
missing = "level"
[model]
trait = "1 + wave"
[sample]
method = "map"
seed = 1
[report.map]
column = "place"
"""
TILES_OF_PLACES = "region,row,column\na,1,1\nb,1,2\nc,2,1\n"


def write(folder, spec):
    rng = np.random.default_rng(5)
    wave = np.where(np.arange(900) < 450, "w1", "w2")
    frame = pd.DataFrame({"arm": np.arange(900) % 2, "place": rng.choice(["a", "b"], 900), "wave": wave})
    frame["y"] = rng.binomial(3, 0.5, 900) + (rng.random(900) < 0.4) * frame["arm"]
    frame.loc[::50, "place"] = None
    frame.to_csv(folder / "people.csv", index=False)
    (folder / "tiles.csv").write_text(TILES_OF_PLACES, encoding="utf-8")
    (folder / "map.geojson").write_text(json.dumps(collection(a=[[square(60, 45, 6)]], b=[[square(66, 45, 6)]])), encoding="utf-8")
    (folder / "survey.toml").write_text(spec, encoding="utf-8")
    return folder / "survey.toml"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The report with maps of tiles, and the same fit's report with polygons of one wave."""
    folder = tmp_path_factory.mktemp("maps")
    out = {}
    for name, source in (("tiles", 'tiles = "tiles.csv"'), ("polygons", 'geojson = "map.geojson"\nwave = "w2"')):
        spec = read_spec(write(folder, PEOPLE + source))
        study, _ = study_of(spec)
        tree = out.get("tree") or fit(study, **fit_arguments(spec))
        out["tree"] = tree
        out[name] = survey_report(Survey(study, tree, "Title", waves=("w1", "w2"), map=map_of(spec, study)))
    return out


def section_of(report):
    section = next(section for section in report.sections if section.id == "maps")
    return section, {block.name: block for block in section.blocks}


def test_the_report_has_maps_of_support_and_of_its_change(pages):
    section, blocks = section_of(pages["tiles"])
    assert list(blocks) == ["map-support", "map-change"]
    assert "from" in blocks["map-support"].svg  # two waves, told by their ends
    assert "No estimate: c." in blocks["map-change"].svg
    assert "Respondents whose place is missing have no place on it." in blocks["map-support"].caption
    rows = summarise(change(pages["tree"], "w1", "w2", by="place")["change"]).set_index("place")
    assert f"a {percent_words(Mark(*(100 * rows.loc['a', ['median', 'lower', 'upper']])), signed=True)}" in blocks["map-change"].svg
    page = render_report(pages["tiles"])
    assert f'<section id="{section.id}"' in page


def test_one_wave_of_polygons(pages):
    _, blocks = section_of(pages["polygons"])
    assert "Of 2 waves, w2 is shown." in blocks["map-support"].caption
    assert "Width of the intervals" in blocks["map-support"].svg


def test_a_report_without_a_map_has_no_such_section(tmp_path, pages):
    spec = read_spec(write(tmp_path, PEOPLE.split("[report.map]")[0]))
    study, _ = study_of(spec)
    assert map_of(spec, study) is None
    assert map_sections(Survey(study, pages["tree"], "Title")) == []


@pytest.mark.parametrize(("source", "message"), [
    ("", r"line 16: \[report\.map\] needs column"),
    ('tiles = "tiles.csv"\ngeojson = "map.geojson"', r"\[report\.map\] needs column"),
    ('tile = "tiles.csv"', r"line 18: \[report\.map\] 'tile' is not known here; there are: column, tiles"),
    ("tiles = 3", r"line 18: \[report\.map\] 'tiles' must be of type str, found 3"),
    ('tiles = "tiles.csv"\nkey = "name"', r"line 19: \[report\.map\] 'key' names the regions of a geojson"),
])
def test_specs_of_maps_that_are_refused_unread(tmp_path, source, message):
    with pytest.raises(InputError, match=message):
        read_spec(write(tmp_path, PEOPLE + source))


@pytest.mark.parametrize(("source", "message"), [
    ('tiles = "tiles.csv"\nwave = "w3"', r"line 19: \[report\.map\] there is no wave 'w3'; there are: w1, w2"),
    ('tiles = "bundled:kazakhstan_regions.csv"', r"line 18: \[report\.map\] bundled:kazakhstan_regions\.csv: no place for 'a', 'b'"),
    ('tiles = "people.csv"', r"line 18: \[report\.map\] tiles: column 'region' is missing"),
    ('geojson = "map.geojson"\nkey = "code"', r"line 18: \[report\.map\] .*map\.geojson: GeoJSON, features\[0\]: has no property 'code'"),
    ('geojson = "none.geojson"', r"line 18: \[report\.map\] .*no such file"),
])
def test_specs_of_maps_that_are_refused_before_the_fit(tmp_path, source, message):
    spec = read_spec(write(tmp_path, PEOPLE + source))
    study, _ = study_of(spec)
    with pytest.raises(InputError, match=message):
        map_of(spec, study)


def test_a_column_that_is_no_covariate_is_refused(tmp_path):
    spec = read_spec(write(tmp_path, PEOPLE.replace('column = "place"', 'column = "wave"') + 'tiles = "tiles.csv"'))
    study, _ = study_of(spec)
    with pytest.raises(InputError, match=r"line 17: \[report\.map\] column 'wave' is no covariate; there are: place"):
        map_of(spec, study)


def test_the_bundled_tiles_fit_the_synthetic_survey():
    spec = read_spec(Path(__file__).parents[1] / "models" / "two_wave_survey.toml")
    study, _ = study_of(spec)
    made = map_of(spec, study)
    assert set(made.places) == set(study.table["region"].unique()) | set(study.population["region"])
