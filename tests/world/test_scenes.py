"""Layouts: what a draw holds, in numbers."""

from functools import lru_cache

import numpy as np

from namesake.world.families import FAMILIES, NAMES
from namesake.world.scenes import RECIPES, Layout, sample_layout
from namesake.world.stuff import KINDS


@lru_cache(maxsize=3)
def layouts(draw: str) -> tuple[Layout, ...]:
    return tuple(sample_layout(draw, np.random.default_rng(i), NAMES) for i in range(120))


def named(layout: Layout) -> int:
    return sum(thing.name is not None for thing in layout.things)


def test_recipes__chances_sum_to_one():
    for recipe in RECIPES.values():
        assert abs(sum(recipe.counts) - 1) < 1e-9
        assert abs(sum(recipe.distractors) - 1) < 1e-9


def test_counts__as_the_draw_promises():
    one = {draw: np.mean([named(layout) == 1 for layout in layouts(draw)]) for draw in RECIPES}
    assert 0.6 < one["captioned"] < 0.84
    assert one["unlabelled"] > 0.75
    assert {named(layout) for layout in layouts("scenes")} == {1, 2, 3, 4, 5, 6}
    distractors = np.mean([len(layout.things) > named(layout) for layout in layouts("unlabelled")])
    assert 0.12 < distractors < 0.38


def test_pairs__a_thing_mostly_with_its_usual_partner():
    names = [[str(thing.name) for thing in layout.things if thing.name] for layout in layouts("pairs")]
    partners = [FAMILIES[both[0]].partner for both in names if len(both) == 2]
    assert 0.5 < len(partners) / len(names) < 0.9
    assert all(both[1] == FAMILIES[both[0]].partner or not FAMILIES[both[0]].partner for both in names if both[1:])


def test_ground__usual_one_in_about_half():
    first = [(layout.things[0].name, layout.ground) for layout in layouts("unlabelled")]
    usual = [ground in FAMILIES[str(name)].grounds for name, ground in first]
    assert 0.42 < np.mean(usual) < 0.78


def test_backdrop__indoors_has_walls_behind_all_things():
    for layout in layouts("scenes"):
        assert layout.backdrop == "sky" or layout.wall is not None
        if KINDS[layout.ground].place == "indoors":
            assert layout.backdrop != "sky"
        if layout.wall is not None:
            normal, offset = layout.wall
            assert all((normal @ thing.placed.corners() > offset).all() for thing in layout.things)


def test_things__stand_on_the_ground_or_float():
    for layout in layouts("scenes"):
        for thing in layout.things:
            lowest = thing.placed.corners()[1].min()
            assert lowest > -0.3
            if lowest < -1e-4:
                assert layout.ground == "water"
