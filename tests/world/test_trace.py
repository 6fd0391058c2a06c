"""Marched rays against the analytic sphere."""

import numpy as np
import pytest

from namesake.world.primitives import ball
from namesake.world.sdf import Solid
from namesake.world.trace import Placed, clear_until, first_hit, light_reaching

EYE = np.array([[0.0], [0.0], [5.0]], dtype=np.float32)


@pytest.fixture
def sphere() -> Placed:
    solid = Solid([ball((0, 0, 0), 0.5, (1, 0, 0))])
    return Placed(solid, np.eye(3, dtype=np.float32), np.zeros(3, dtype=np.float32), 2.0)


def towards(*targets: tuple[float, float, float]) -> np.ndarray:
    direction = np.array(targets, dtype=np.float32).T - EYE
    return direction / np.linalg.norm(direction, axis=0)


def test_first_hit__sphere(sphere: Placed):
    direction = towards(*[(x, 0, 0) for x in np.linspace(-0.9, 0.9, 20)], *[(x, 2, 0) for x in np.linspace(-1, 1, 20)])
    free, endless = np.zeros(40, dtype=np.float32), np.full(40, np.inf, dtype=np.float32)
    distance = first_hit(sphere, EYE, direction, free, endless)
    along = -(direction * EYE).sum(axis=0)
    exact = along[:20] - np.sqrt(1 - (25 - along[:20] ** 2))
    assert distance[:20] == pytest.approx(exact, rel=0.01)
    assert np.isinf(distance[20:]).all()


def test_first_hit__not_beyond_longest(sphere: Placed):
    near = np.full(20, 3.0, dtype=np.float32)
    assert np.isinf(first_hit(sphere, EYE, towards(*[(0, 0, 0)] * 20), np.zeros_like(near), near)).all()


def test_clear_until__never_beyond_the_surface(sphere: Placed):
    direction = towards(*((x, y, 0) for x in np.linspace(-1.2, 1.2, 9) for y in np.linspace(-1.2, 1.2, 9)))
    endless = np.full(direction.shape[1], np.inf, dtype=np.float32)
    clear = clear_until(sphere, EYE, direction, slope=0.03)
    assert (clear <= first_hit(sphere, EYE, direction, np.zeros_like(endless), endless)).all()


def test_light_reaching__behind_and_beside(sphere: Placed):
    points = np.array([[0, -3, 0], [4, -3, 0]] * 10, dtype=np.float32).T
    light = light_reaching(sphere, points, np.array([[0.0], [1.0], [0.0]], dtype=np.float32))
    assert light[::2].max() < 0.1
    assert light[1::2].min() == 1
