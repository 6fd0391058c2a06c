"""Pixels and owners of one layout."""

import numpy as np
import pytest

from namesake.world.families import NAMES
from namesake.world.render import GROUND, SKY, WALL, render
from namesake.world.scenes import sample_layout


@pytest.mark.parametrize("size", [33, 64])
def test_render__any_size_in_range(size: int):
    layout = sample_layout("scenes", np.random.default_rng(4), NAMES)
    rendered = render(layout, size=size)
    assert rendered.colour.shape == (size, size, 3)
    assert rendered.owner.shape == (size, size)
    assert np.isfinite(rendered.colour).all()
    assert rendered.colour.min() >= 0
    assert rendered.colour.max() <= 1
    assert rendered.owner.min() >= SKY
    assert rendered.owner.max() < len(layout.things)


def test_render__sky_or_wall_never_both():
    for seed in range(8):
        layout = sample_layout("unlabelled", np.random.default_rng(seed), NAMES)
        owners = set(np.unique(render(layout, size=32).owner).tolist())
        assert GROUND in owners
        assert not {SKY, WALL} <= owners
        assert (SKY in owners) <= (layout.wall is None)


def test_render__labels_agree_between_sizes():
    layout = sample_layout("scenes", np.random.default_rng(9), NAMES)
    small, large = render(layout, size=48).owner, render(layout, size=144).owner
    assert (small == large[1::3, 1::3]).mean() > 0.98
