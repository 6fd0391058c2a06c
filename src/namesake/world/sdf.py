"""Signed distances of primitives, and of solids folded from them.

Distance formulas: Inigo Quilez, "distance functions" (https://iquilezles.org/articles/distfunctions/).
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from namesake.world.primitives import BOX, CONE, ELLIPSOID, TORUS, Operator, Primitive

Array: TypeAlias = NDArray[np.floating[Any]]
"""Numbers of the renderer: float32, unless a function says otherwise."""

_Formula: TypeAlias = Callable[[Array, Array, Array], None]


class Field:
    """Distances to each of many primitives at once: one matrix product, then one formula per kind.

    Args:
        primitives: at least one.

    Attributes:
        rows: rows[i] is the row of `distances` that belongs to primitives[i].
    """

    def __init__(self, primitives: Sequence[Primitive]) -> None:
        order = sorted(range(len(primitives)), key=lambda i: primitives[i].kind)
        self.rows = [order.index(i) for i in range(len(order))]
        ordered = [primitives[i] for i in order]
        axes = np.stack([p.axes for p in ordered])  # [primitives, 3, 3]
        # axes @ (point - centre) for all primitives is one product with the stacked axes, plus a shift
        shift = -np.einsum("pij,pj->pi", axes, np.array([p.centre for p in ordered]))  # [primitives, 3]
        # rows by own axis first, then by primitive: [3 * primitives, 3] and [3 * primitives, 1]
        self._matrix = np.ascontiguousarray(axes.transpose(1, 0, 2).reshape(-1, 3), dtype=np.float32)
        self._shift = np.ascontiguousarray(shift.T.reshape(-1, 1), dtype=np.float32)
        self._spans: list[tuple[_Formula, slice, Array]] = []
        for kind, (formula, prepare) in _KINDS.items():
            sizes = [p.size for p in ordered if p.kind == kind]
            if sizes:
                first = next(i for i, p in enumerate(ordered) if p.kind == kind)
                columns = np.array(sizes, dtype=np.float32).T[:, :, None]  # [parameters, primitives, 1]
                self._spans.append((formula, slice(first, first + len(sizes)), prepare(columns)))

    def distances(self, points: Array) -> Array:
        """Signed distance of points float32 [3, n] to every primitive: float32 [primitives, n]."""
        local = self._matrix @ points
        local += self._shift
        local = local.reshape(3, -1, points.shape[1])  # [3, primitives, n]
        out = np.empty(local.shape[1:], dtype=np.float32)
        for formula, span, size in self._spans:
            formula(local[:, span], out[span], size)
        return out


# A formula writes distances [primitives, n] of points [3, primitives, n], each in the primitive's own frame, to `out`.
# Rendering spends most of its time here, so it computes in place: the points are scratch afterwards.


def _length(vectors: Array) -> Array:
    """Euclidean length along the first axis, which is squared in place."""
    vectors *= vectors
    total = np.add.reduce(vectors, axis=0)
    return np.asarray(np.sqrt(total, out=total))


def _ellipsoid_distance(local: Array, out: Array, inverse: Array) -> None:
    # Quilez's bound k0 (k0 - 1) / k1, where k0 = |p / r| and k1 = |p / r^2|
    local *= inverse
    steep = local * inverse
    length = _length(local)
    np.multiply(length, length - _ONE, out=out)
    out /= np.maximum(_length(steep), _TINY)


def _box_distance(local: Array, out: Array, size: Array) -> None:
    np.abs(local, out=local)
    local -= size[:3]
    # inside a box: minus the distance to the nearest face, 0 outside
    np.minimum(np.maximum.reduce(local, axis=0), _ZERO, out=out)
    # outside: the length of what is beyond the faces; in the end less the rounding
    np.maximum(local, _ZERO, out=local)
    out += _length(local)
    out -= size[3]


def _cone_distance(local: Array, out: Array, size: Array) -> None:
    """A lower bound: the larger of the distances to the mantle and to the ends."""
    half, middle, slope, cosine = size
    # distance from the y axis less the radius at this height, times the cosine of the mantle's slope
    mantle, y = _length(local[::2]), local[1]
    mantle -= middle + slope * y
    mantle *= cosine
    np.abs(y, out=y)
    y -= half
    np.maximum(mantle, y, out=out)


def _torus_distance(local: Array, out: Array, size: Array) -> None:
    # distance from the ring's circle in the x-z plane, then together with y, less the tube's radius
    np.subtract(_length(local[::2]), size[0], out=local[0])
    np.subtract(_length(local[:2]), size[1], out=out)


def _box_parameters(size: Array) -> Array:
    # the faces move in by the rounding, which `_box_distance` gives back: [4, primitives, 1]
    return np.asarray(size - size[3] * np.array([1, 1, 1, 0], dtype=np.float32)[:, None, None])


def _cone_parameters(size: Array) -> Array:
    half, bottom, top = size
    slope = (top - bottom) / (2 * half)
    return np.stack([half, (top + bottom) / 2, slope, 1 / np.sqrt(1 + slope * slope)])  # [4, primitives, 1]


_ZERO, _ONE, _TINY = np.float32(0), np.float32(1), np.float32(1e-6)
_KINDS: dict[int, tuple[_Formula, Callable[[Array], Array]]] = {
    ELLIPSOID: (_ellipsoid_distance, lambda size: np.asarray(1 / size)),
    BOX: (_box_distance, _box_parameters),
    CONE: (_cone_distance, _cone_parameters),
    TORUS: (_torus_distance, lambda size: size),
}
"""The formula of each kind, and what it takes instead of the sizes."""


class Solid:
    """One object: its primitives folded into a distance, with a colour at every point of its surface.

    Attributes:
        low, high: float64 [3], corners of the box that holds the solid, in the object frame.
    """

    def __init__(self, primitives: Sequence[Primitive]) -> None:
        shapes = [p for p in primitives if p.operator != "paint"]
        paints = [p for p in primitives if p.operator == "paint"]
        self._shapes = Field(shapes)
        self._paints = Field(paints) if paints else None
        # parts of a single primitive need no folding: their distances meet in one minimum
        parts = _parts(shapes, self._shapes.rows)
        self._plain = [part[0][1] for part in parts if len(part) == 1]
        self._folded = [part for part in parts if len(part) > 1]
        self._colours = np.empty((3, len(shapes)), dtype=np.float32)
        self._colours[:, self._shapes.rows] = np.array([p.colour for p in shapes]).T
        self._paint_colours = np.array([p.colour for p in paints], dtype=np.float32)
        # bounding box: of what adds volume alone
        solid = [p for p in shapes if p.operator in ("union", "smooth")]
        centres, halves = np.array([p.centre for p in solid]), np.array([p.half_extents() for p in solid])
        self.low, self.high = (centres - halves).min(axis=0), (centres + halves).max(axis=0)

    def distance(self, points: Array) -> Array:
        """Signed distance float32 [n] (a lower bound outside) of points float32 [3, n]."""
        each = self._shapes.distances(points)
        if not self._folded:
            return np.asarray(np.minimum.reduce(each, axis=0))
        folded = [_fold(part, each) for part in self._folded]
        if self._plain:
            folded.append(np.minimum.reduce(each.take(self._plain, axis=0), axis=0))
        return np.asarray(functools.reduce(np.minimum, folded))

    def normal(self, points: Array) -> Array:
        """Outward unit normals float32 [3, n] by four evaluations on a tetrahedron."""
        corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], dtype=np.float32)
        around = (points[:, None, :] + 0.002 * corners.T[:, :, None]).reshape(3, -1)  # [3, 4 * n]
        # the gradient up to a factor: offsets of the four corners weighted by the distances there: [3, n]
        normal = corners.T @ self.distance(around).reshape(4, -1)
        return np.asarray(normal / np.maximum(np.sqrt((normal * normal).sum(axis=0)), 1e-9))

    def colour(self, points: Array) -> Array:
        """RGB float32 [3, n] in 0..1 of surface points: the nearest shape's, then what is painted over it."""
        nearest = np.abs(self._shapes.distances(points)).argmin(axis=0)
        colour: Array = self._colours.take(nearest, axis=1)
        if self._paints is not None:
            inside = self._paints.distances(points) < 0  # [paints, n]
            for row, paint in zip(self._paints.rows, self._paint_colours, strict=True):
                colour[:, inside[row]] = paint[:, None]
        return colour


_Part: TypeAlias = list[tuple[Operator, int, float]]


def _parts(shapes: Sequence[Primitive], rows: Sequence[int]) -> list[_Part]:
    """Groups of (operator, row, blend); every `union` opens a group."""
    parts: list[_Part] = []
    for shape, row in zip(shapes, rows, strict=True):
        if shape.operator == "union" or not parts:
            parts.append([])
        parts[-1].append((shape.operator, row, shape.blend))
    return parts


def _fold(part: _Part, each: Array) -> Array:
    """Distance of one part from the distances of its primitives."""
    distance = each[part[0][1]]
    for operator, row, blend in part[1:]:
        other = each[row]
        if operator == "smooth":
            # Quilez's quadratic smooth minimum: lower by up to a quarter of the radius where the two are equal
            overlap = np.maximum(1 - np.abs(distance - other) / blend, 0)
            distance = np.minimum(distance, other) - overlap * overlap * (blend / 4)
        else:
            distance = np.maximum(distance, -other if operator == "subtract" else other)
    return np.asarray(distance)
