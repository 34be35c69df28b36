"""The bundled tables of Kazakhstan's regions: names as in the simulation, tiles that keep neighbours together."""

import pandas as pd
import pytest

from bayes_listexp.simulate import CITIES, OTHER_REGIONS
from bayes_listexp.spec import bundled


@pytest.fixture(scope="module")
def regions():
    return pd.read_csv(bundled("kazakhstan_regions.csv"))


@pytest.fixture(scope="module")
def pairs():
    return list(pd.read_csv(bundled("kazakhstan_neighbours.csv")).itertuples(index=False, name=None))


def beside(pairs, name):
    return {b if a == name else a for a, b in pairs if name in (a, b)}


def test_the_names_are_those_of_the_simulated_survey(regions):
    assert set(regions["region"]) == {*CITIES, *OTHER_REGIONS}
    assert regions["kind"].value_counts().to_dict() == {"region": 17, "city": 3}
    assert set(regions.loc[regions["kind"] == "city", "region"]) == {"Almaty", "Astana", "Shymkent"}


def test_every_tile_and_every_code_is_used_once(regions):
    assert not regions.duplicated("region").any()
    assert not regions.duplicated(["row", "column"]).any()
    assert not regions.duplicated("code").any()


def test_every_pair_is_there_once_and_known(regions, pairs):
    assert {name for pair in pairs for name in pair} == set(regions["region"])  # so that every city has a neighbour
    assert all(a < b for a, b in pairs)
    assert pairs == sorted(set(pairs))


def test_the_country_is_in_one_piece(regions, pairs):
    reached, frontier = set(), {"Astana"}
    while frontier:
        reached |= frontier
        frontier = {name for place in frontier for name in beside(pairs, place)} - reached
    assert reached == set(regions["region"])


def test_cities_border_on_the_region_around_them_alone(pairs):
    assert {city: beside(pairs, city) for city in ("Almaty", "Astana", "Shymkent")} == {
        "Almaty": {"Almaty region"}, "Astana": {"Akmola"}, "Shymkent": {"Turkistan"}}


def test_borders_that_are_known_from_descriptions_of_the_regions(pairs):
    assert beside(pairs, "Ulytau") == {"Aktobe", "Kostanay", "Karaganda", "Zhambyl", "Turkistan", "Kyzylorda"}
    assert beside(pairs, "Kostanay") == {"Aktobe", "Ulytau", "Karaganda", "Akmola", "North Kazakhstan"}
    assert beside(pairs, "Abai") == {"Pavlodar", "Karaganda", "Jetisu", "East Kazakhstan"}
    assert beside(pairs, "East Kazakhstan") == {"Abai"}
    assert beside(pairs, "Mangystau") == {"Atyrau", "Aktobe"}


def test_the_grid_keeps_neighbours_close_and_strangers_apart(regions, pairs):
    at = {row.region: (row.row, row.column) for row in regions.itertuples()}
    steps = [abs(at[a][0] - at[b][0]) + abs(at[a][1] - at[b][1]) for a, b in pairs]
    assert max(steps) == 3
    assert sum(step <= 2 for step in steps) >= 0.85 * len(steps)
    touching = {tuple(sorted((a, b))) for a in at for b in at if a != b
                and abs(at[a][0] - at[b][0]) + abs(at[a][1] - at[b][1]) == 1}
    assert len(touching & set(pairs)) >= 0.7 * len(touching)  # tiles side by side are mostly true neighbours


def test_north_is_up_and_west_is_left(regions):
    place = regions.set_index("region")
    assert place.loc["North Kazakhstan", "row"] < place.loc["Astana", "row"] < place.loc["Karaganda", "row"] < place.loc["Zhambyl", "row"]
    order = place.loc[["West Kazakhstan", "Aktobe", "Akmola", "Abai", "East Kazakhstan"], "column"]
    assert order.is_monotonic_increasing
    assert order.is_unique
