"""Signed distances against closed forms and against each other."""

import numpy as np
import pytest

from namesake.world.primitives import Primitive, ball, box, capsule, cone, ellipsoid, torus
from namesake.world.sdf import Field, Solid

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def points(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32).T


def one(primitive: Primitive, *rows: tuple[float, float, float]) -> np.ndarray:
    return Field([primitive]).distances(points(*rows))[0]


def test_distance__on_the_axes():
    assert one(ball((1, 0, 0), 0.5, RED), (0, 0, 0), (1.3, 0, 0)) == pytest.approx([0.5, -0.2])
    assert one(box((0, 0, 0), (1, 2, 3), RED), (2, 0, 0), (0, 5, 0), (0, 0, 0)) == pytest.approx([1, 3, -1])
    assert one(capsule((0, 0, 0), (0, 1, 0), 0.2, RED), (0, 2, 0), (1, 0.5, 0)) == pytest.approx([0.8, 0.8])
    assert one(cone((0, 0, 0), (0, 1, 0), 0.5, 0.5, RED), (1, 0.5, 0), (0, 3, 0)) == pytest.approx([0.5, 2])
    assert one(torus((0, 0, 0), 1, 0.1, RED, axis=(0, 1, 0)), (2, 0, 0), (0, 0, 0)) == pytest.approx([0.9, 0.9])
    assert one(ellipsoid((0, 0, 0), (2, 1, 1), RED), (3, 0, 0)) == pytest.approx([1.0], abs=0.3)


def test_field__rows_follow_the_order_given():
    shapes = [box((5, 0, 0), (1, 1, 1), RED), ball((0, 0, 0), 1, RED), box((0, 9, 0), (1, 1, 1), RED)]
    field = Field(shapes)
    together = field.distances(points((0, 0, 0)))[field.rows, 0]
    assert together == pytest.approx([one(shape, (0, 0, 0))[0] for shape in shapes])


def test_solid__operators():
    hollow = Solid([ball((0, 0, 0), 1, RED), ball((0, 0, 0), 0.8, BLUE, "subtract")])
    assert hollow.distance(points((0, 0, 0.1)))[0] > 0 > hollow.distance(points((0.9, 0, 0)))[0]
    half = Solid([ball((0, 0, 0), 1, RED), box((0, 2, 0), (3, 2, 3), BLUE, "clip")])
    assert (half.distance(points((0, 0.5, 0), (0, -0.5, 0))) < 0).tolist() == [True, False]
    plain = Solid([ball((-0.6, 0, 0), 0.5, RED), ball((0.6, 0, 0), 0.5, RED)])
    melted = Solid([ball((-0.6, 0, 0), 0.5, RED), ball((0.6, 0, 0), 0.5, RED, "smooth", blend=0.6)])
    assert melted.distance(points((0, 0, 0)))[0] < plain.distance(points((0, 0, 0)))[0]


def test_solid__colour_nearest_then_paint():
    solid = Solid([ball((-1, 0, 0), 0.5, RED), ball((1, 0, 0), 0.5, BLUE), ball((1.6, 0, 0), 0.2, (0, 1, 0), "paint")])
    colours = solid.colour(points((-1.5, 0, 0), (0.5, 0, 0), (1.5, 0, 0)))
    assert colours == pytest.approx(np.array([RED, BLUE, (0.0, 1.0, 0.0)]).T)


def test_solid__normal_points_outwards():
    on_sphere = points((1, 0, 0), (0, 1, 0), (0.6, 0.8, 0))
    assert Solid([ball((0, 0, 0), 1, RED)]).normal(on_sphere) == pytest.approx(on_sphere, abs=0.01)
