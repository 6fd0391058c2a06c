"""Primitives: what an object is drawn of, as plain records; knows no distances, camera or scene.

Object frame: x to the right, y up, z towards the viewer at yaw 0; one unit is about the height of an object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = tuple[float, float, float]
Operator: TypeAlias = Literal["union", "smooth", "subtract", "clip", "paint"]

ELLIPSOID, BOX, CONE, TORUS = range(4)
BLEND = 0.12
"""Default radius of a smooth union, in object units."""


@dataclass(frozen=True)
class Primitive:
    """One shape and how it joins the ones before it.

    Attributes:
        kind: ELLIPSOID, BOX, CONE or TORUS.
        centre: position in the object frame.
        axes: float [3, 3], rows are the primitive's own x, y, z axes in the object frame.
        size: ellipsoid radii; box half extents and rounding; cone half height, bottom and top radius; torus radii.
        colour: RGB in 0..1, as displayed.
        operator: `union` starts a new part; `smooth`, `subtract` and `clip` (keep the inside) change the part
            before; `paint` adds no shape and colours the surface that lies inside it.
        blend: radius of a smooth union.
    """

    kind: int
    centre: Vector
    axes: NDArray[np.float64]
    size: tuple[float, ...]
    colour: Vector
    operator: Operator = "union"
    blend: float = BLEND

    def half_extents(self) -> NDArray[np.float64]:
        """Half edges [3] of the box along the object's axes that holds the primitive."""
        if self.kind == CONE:
            radius = max(self.size[1:3])
            own = (radius, self.size[0], radius)
        elif self.kind == TORUS:
            own = (self.size[0] + self.size[1], self.size[1], self.size[0] + self.size[1])
        else:
            own = (self.size[0], self.size[1], self.size[2])
        # a turned box spans, along an object axis, the sum of its half edges' parts along that axis
        return np.asarray(np.abs(self.axes).T @ np.array(own))


def turn_matrix(degrees: Vector) -> NDArray[np.float64]:
    """Rotation [3, 3] about x, then y, then z; its columns are the turned axes."""
    if not any(degrees):
        return np.eye(3)
    a, b, c = np.radians(degrees)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def _axes_along(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axes [3, 3] (rows) whose y axis is `direction`."""
    p, q, r = (direction / max(float(np.sqrt(direction @ direction)), 1e-9)).tolist()
    # any vector at right angles to `direction`; another one where that would be nearly 0
    x, y, z = (q, -p, 0.0) if abs(r) < 0.9 else (0.0, r, -q)
    length = (x * x + y * y + z * z) ** 0.5
    x, y, z = x / length, y / length, z / length
    # the third row is the cross product of the first two
    return np.array([(x, y, z), (p, q, r), (y * r - z * q, z * p - x * r, x * q - y * p)])


def ellipsoid(
    at: Vector,
    radii: Vector,
    colour: Vector,
    operator: Operator = "union",
    *,
    turn: Vector = (0, 0, 0),
    blend: float = BLEND,
) -> Primitive:
    """Ellipsoid with three radii, turned by degrees about x, y, z."""
    return Primitive(ELLIPSOID, at, turn_matrix(turn).T, radii, colour, operator, blend)


def ball(at: Vector, radius: float, colour: Vector, operator: Operator = "union", *, blend: float = BLEND) -> Primitive:
    """Sphere."""
    return ellipsoid(at, (radius, radius, radius), colour, operator, blend=blend)


def box(
    at: Vector,
    half: Vector,
    colour: Vector,
    operator: Operator = "union",
    *,
    turn: Vector = (0, 0, 0),
    rounding: float = 0.015,
    blend: float = BLEND,
) -> Primitive:
    """Box with half extents and rounded edges, turned by degrees about x, y, z."""
    rounding = min(rounding, *half)
    return Primitive(BOX, at, turn_matrix(turn).T, (*half, rounding), colour, operator, blend)


def capsule(
    start: Vector, end: Vector, radius: float, colour: Vector, operator: Operator = "union", *, blend: float = BLEND
) -> Primitive:
    """Rod with round ends: a box without width, rounded."""
    a, b = np.array(start, dtype=float), np.array(end, dtype=float)
    half_height = float(np.linalg.norm(b - a)) / 2 + radius
    x, y, z = (a + b) / 2
    size = (radius, half_height, radius, radius)
    return Primitive(BOX, (x, y, z), _axes_along(b - a), size, colour, operator, blend)


def cone(  # noqa: PLR0917 - drawn as it is said: from, to, radii, colour
    start: Vector,
    end: Vector,
    radius: float,
    end_radius: float,
    colour: Vector,
    operator: Operator = "union",
    *,
    blend: float = BLEND,
) -> Primitive:
    """Cut cone with flat ends; equal radii make a cylinder, `end_radius` 0 a tip."""
    a, b = np.array(start, dtype=float), np.array(end, dtype=float)
    x, y, z = (a + b) / 2
    size = (float(np.linalg.norm(b - a)) / 2, radius, end_radius)
    return Primitive(CONE, (x, y, z), _axes_along(b - a), size, colour, operator, blend)


def torus(
    at: Vector, radius: float, tube: float, colour: Vector, operator: Operator = "union", *, axis: Vector = (0, 0, 1)
) -> Primitive:
    """Ring of the given radius and tube radius around `axis`."""
    return Primitive(TORUS, at, _axes_along(np.array(axis, dtype=float)), (radius, tube), colour, operator)


def turned(primitives: Sequence[Primitive], degrees: Vector) -> list[Primitive]:
    """The same primitives, all turned about the origin of the object frame."""
    matrix = turn_matrix(degrees)
    return [_moved(primitive, matrix) for primitive in primitives]


def _moved(primitive: Primitive, matrix: NDArray[np.float64]) -> Primitive:
    x, y, z = matrix @ np.array(primitive.centre)
    return replace(primitive, centre=(x, y, z), axes=primitive.axes @ matrix.T)  # axes are rows
