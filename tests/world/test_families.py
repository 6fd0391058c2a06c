"""Every family can be built, stands in the frame, is seen, and looks different each time."""

import numpy as np
import pytest

from namesake.world import NAMES, SEEN_NAMES, STUFF, UNSEEN_NAMES, render_scene
from namesake.world.families import FAMILIES
from namesake.world.palette import COLOURS, sample_paint
from namesake.world.sdf import Solid


def test_names__24_of_which_8_unseen():
    assert len(set(NAMES)) == 24
    assert len(UNSEEN_NAMES) == 8
    assert sorted((*SEEN_NAMES, *UNSEEN_NAMES)) == sorted(NAMES)
    assert [name for name in NAMES if name in SEEN_NAMES] == list(SEEN_NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_family__known_grounds_colours_and_partner(name: str):
    family = FAMILIES[name]
    assert set(family.grounds) <= set(STUFF)
    assert set(family.colours) <= set(COLOURS)
    assert family.partner is None or family.partner in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_family__about_one_unit_high_on_the_ground(name: str):
    rng = np.random.default_rng(0)
    for _ in range(5):
        solid = Solid(FAMILIES[name].build(rng, sample_paint(rng)))
        assert 0.3 < solid.high[1] - solid.low[1] < 2.5
        assert np.abs(solid.low).max() < 2.5


@pytest.mark.parametrize("name", NAMES)
def test_family__visible_inside_the_frame(name: str):
    for index in range(3):
        scene = render_scene("unlabelled", index, seed=1, size=48, names=[name])
        seen = scene.labels == 1 + NAMES.index(name)
        assert set(scene.instance_names) == {name}
        assert 0.02 < seen.mean() < 0.8
        assert seen[6:-6, 6:-6].sum() > 0.5 * seen.sum()
