"""Primitives: where they lie, how far they reach, and how they turn."""

import numpy as np
import pytest

from namesake.world.primitives import Primitive, box, cone, ellipsoid, torus, turn_matrix, turned
from namesake.world.sdf import Field

RED = (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "primitive",
    [
        ellipsoid((0.1, 0, 0), (0.5, 0.3, 0.2), RED, turn=(20, 40, 60)),
        box((0, 0.2, 0), (0.5, 0.3, 0.2), RED, turn=(20, 40, 60)),
        cone((0, 0, 0), (0.3, 0.8, 0.1), 0.4, 0.1, RED),
        torus((0, 0, 0.2), 0.5, 0.15, RED, axis=(1, 1, 0)),
    ],
    ids=["ellipsoid", "box", "cone", "torus"],
)
def test_half_extents__hold_the_primitive(primitive: Primitive):
    cloud = np.random.default_rng(0).uniform(-1.5, 1.5, (3, 20000)).astype(np.float32)
    inside = cloud[:, Field([primitive]).distances(cloud)[0] < 0]
    assert inside.shape[1] > 50
    reach = np.abs(inside - np.array(primitive.centre)[:, None]).max(axis=1)
    assert (reach <= primitive.half_extents() + 1e-5).all()


def test_turned__moves_points_and_axes():
    (moved,) = turned([box((1, 0, 0), (0.5, 0.1, 0.1), RED)], (0, 0, 90))
    assert moved.centre == pytest.approx((0, 1, 0))
    assert moved.half_extents() == pytest.approx([0.1, 0.5, 0.1])


def test_turn_matrix__about_x_then_y_then_z():
    assert turn_matrix((0, 0, 0)) == pytest.approx(np.eye(3))
    assert turn_matrix((90, 0, 0)) @ [0, 1, 0] == pytest.approx([0, 0, 1])
    assert turn_matrix((90, 90, 0)) @ [0, 1, 0] == pytest.approx([1, 0, 0])
    assert turn_matrix((90, 90, 90)) @ [0, 1, 0] == pytest.approx([0, 1, 0])
