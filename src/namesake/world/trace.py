"""Rays and placed solids in, hits and shadows out. Knows nothing of colour, ground or pixels.

Each solid is marched alone, in its own frame, only along the rays that cross its bounding box, and only
those rays that have neither hit nor left are evaluated again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namesake.world.sdf import Array, Solid

STEPS = 48
SHADOW_STEPS = 16
PENUMBRA = 9.0
"""Sharpness of a shadow's edge; larger is sharper."""


@dataclass(frozen=True)
class Placed:
    """A solid in the world.

    Attributes:
        solid: the shape in its own frame.
        axes: float32 [3, 3], rotation from the world to the object frame.
        position: float32 [3], where the origin of the object frame lies in the world.
        scale: length of one object unit in the world.
    """

    solid: Solid
    axes: Array
    position: Array
    scale: float

    def points_in(self, points: Array) -> Array:
        """World points [3, n] in the object frame."""
        return np.asarray(self.axes @ (points - self.position[:, None])) / np.float32(self.scale)

    def corners(self) -> NDArray[np.float64]:
        """The eight corners [3, 8] of the bounding box, in the world."""
        low, high = self.solid.low, self.solid.high
        grid = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, 8)
        return np.asarray(self.axes.T @ grid * self.scale + self.position[:, None])


def _crossing(placed: Placed, origin: Array, direction: Array, longest: Array) -> tuple[NDArray[np.intp], Array, Array]:
    """Rays (object frame) that cross the bounding box: their indices, and where they enter and leave."""
    safe = np.where(np.abs(direction) < 1e-7, np.float32(1e-7), direction)
    margin = 0.01
    first = ((placed.solid.low - margin).astype(np.float32)[:, None] - origin) / safe
    second = ((placed.solid.high + margin).astype(np.float32)[:, None] - origin) / safe
    near = np.maximum(np.minimum(first, second).max(axis=0), 0)
    far = np.minimum(np.maximum(first, second).min(axis=0), longest)
    index = np.flatnonzero(near < far)
    return index, near[index], far[index]


def _take(vectors: Array, keep: NDArray[np.intp]) -> Array:
    """Columns `keep` of [3, n]; a single shared column [3, 1] stays as it is."""
    return vectors if vectors.shape[1] == 1 else vectors[:, keep]


def first_hit(placed: Placed, origin: Array, direction: Array, longest: Array) -> Array:
    """Distance along each ray to the solid, in world units.

    Args:
        placed: the solid.
        origin: float32 [3, n] or [3, 1], world.
        direction: float32 [3, n], world, unit length.
        longest: float32 [n], hits beyond this distance do not count.

    Returns:
        float32 [n], infinity where the ray misses.
    """
    start, along = placed.points_in(origin), placed.axes @ direction
    distance = np.full(direction.shape[1], np.inf, dtype=np.float32)
    index, t, far = _crossing(placed, start, along, longest / np.float32(placed.scale))
    start, along = _take(start, index), along[:, index]
    for _ in range(STEPS):
        if not len(index):
            break
        gap = placed.solid.distance(start + along * t)
        hit = gap < 0.0012 * t
        distance[index[hit]] = t[hit] * placed.scale
        t = t + 0.92 * gap
        keep = np.flatnonzero(~hit & (t < far))
        index, t, far, start, along = index[keep], t[keep], far[keep], _take(start, keep), along[:, keep]
    return distance


def light_reaching(placed: Placed, points: Array, towards_light: Array) -> Array:
    """Share of light in 0..1 that passes the solid on its way to each point (soft edges).

    Args:
        placed: the solid that may stand in the way.
        points: float32 [3, n], world, lifted off their own surface.
        towards_light: float32 [3, 1], unit length.

    Returns:
        float32 [n].
    """
    start, along = placed.points_in(points), placed.axes @ towards_light
    light = np.ones(points.shape[1], dtype=np.float32)
    index, t, far = _crossing(placed, start, along, np.full(1, np.inf, dtype=np.float32))
    start = _take(start, index)
    least = np.ones(len(index), dtype=np.float32)
    for _ in range(SHADOW_STEPS):
        if not len(index):
            break
        gap = placed.solid.distance(start + along * t)
        least = np.minimum(least, np.maximum(PENUMBRA * gap / np.maximum(t, 0.05), 0))
        light[index] = least
        t = t + np.maximum(gap, 0.03)
        keep = np.flatnonzero((least > 0.01) & (t < far))
        index, t, far, least, start = index[keep], t[keep], far[keep], least[keep], _take(start, keep)
    return light
