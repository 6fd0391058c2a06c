"""Textures: in range, varied, and an error that lists what there is."""

import numpy as np
import pytest

from namesake.errors import ConfigError
from namesake.world.stuff import GROUNDS, KINDS, STUFF, noise, sample_look, sky_colour, surface_colour


@pytest.mark.parametrize("name", [name for name in STUFF if KINDS[name].texture])
def test_surface__in_range_and_textured(name: str):
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-3, 3, (2, 500)).astype(np.float32)
    colour = surface_colour(name, u, v, np.full(500, 0.02, dtype=np.float32), sample_look(name, rng))
    assert colour.shape == (3, 500)
    assert colour.min() >= 0
    assert colour.max() <= 1
    assert colour.std(axis=1).max() > 0.005


def test_surface__sky_has_none():
    nothing = np.zeros(1, dtype=np.float32)
    with pytest.raises(ConfigError, match="grass"):
        surface_colour("sky", nothing, nothing, nothing, sample_look("sky", np.random.default_rng(0)))


def test_sky__in_range():
    colour = sky_colour(
        np.linspace(0, 1, 50, dtype=np.float32),
        np.linspace(-1, 1, 50, dtype=np.float32),
        sample_look("sky", np.random.default_rng(1)),
    )
    assert colour.min() >= 0
    assert colour.max() <= 1


def test_noise__repeats_after_its_table():
    u = np.linspace(0, 20, 40, dtype=np.float32)
    assert noise(u, u) == pytest.approx(noise(u + 256, u - 256), abs=1e-3)


def test_grounds__at_least_six_kinds_of_stuff():
    assert len(STUFF) >= 6
    assert set(GROUNDS) < set(STUFF)
