"""Trace rays through solids: hits and shadows.

Each solid is marched alone, in its own frame, only along the rays that cross its bounding box, and only
those rays that have neither hit nor left are evaluated again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namesake.world.sdf import Array, Solid

STEPS = 24
TILE_STEPS = 6
FEWEST = 6
"""Marching ends when fewer rays than this are left; they count as hits if nearly there."""
SHADOW_STEPS = 10
TOLERANCE = np.float32(0.002)
"""A ray has hit when it is nearer than this share of the distance it came; a third of a pixel at 96 px."""
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


def _crossing(
    placed: Placed, origin: Array, direction: Array, longest: Array, *, margin: float = 0.01
) -> tuple[NDArray[np.intp], Array, Array]:
    """Rays (object frame) that cross the bounding box: their indices, and where they enter and leave."""
    # slab method: where each ray crosses the two planes of every axis; the last to enter, the first to leave
    safe = np.where(np.abs(direction) < 1e-7, np.float32(1e-7), direction)
    first = ((placed.solid.low - margin).astype(np.float32)[:, None] - origin) / safe  # [3, n]
    second = ((placed.solid.high + margin).astype(np.float32)[:, None] - origin) / safe
    near = np.maximum(np.minimum(first, second).max(axis=0), 0)
    far = np.minimum(np.maximum(first, second).min(axis=0), longest)
    index = (near < far).nonzero()[0]
    return index, near.take(index), far.take(index)


def clear_until(placed: Placed, origin: Array, direction: Array, *, slope: float) -> Array:
    """Distance, in world units, up to which a whole cone around each ray is free of the solid.

    Args:
        placed: the solid.
        origin: float32 [3, 1], world.
        direction: float32 [3, n], world, unit length.
        slope: radius of the cone per unit of distance.

    Returns:
        float32 [n], infinity where the cone misses the solid.
    """
    start, along = placed.points_in(origin), placed.axes @ direction
    clear = np.full(direction.shape[1], np.inf, dtype=np.float32)
    # the cone's radius at the farthest corner (1.8 > sqrt(3) largest coordinates away) widens the box
    widest = slope * (float(np.linalg.norm(start)) + float(np.abs([placed.solid.low, placed.solid.high]).max()) * 1.8)
    endless = np.full(1, np.inf, dtype=np.float32)
    index, t, far = _crossing(placed, start, along, endless, margin=0.01 + widest)
    along = along.take(index, axis=1)
    for _ in range(TILE_STEPS):
        if not len(index):
            break
        # march while the nearest surface stays clear of the cone by half its radius
        radius = np.float32(slope) * t
        room = placed.solid.distance(start + along * t) - radius
        clear[index] = t * placed.scale
        t = t + np.float32(0.9) * np.maximum(room, 0)
        clear[index[t >= far]] = np.inf
        keep = ((room > 0.5 * radius) & (t < far)).nonzero()[0]
        index, t, far, along = index.take(keep), t.take(keep), far.take(keep), along.take(keep, axis=1)
    return clear


def first_hit(
    placed: Placed, origin: Array, direction: Array, shortest: Array, longest: Array, *, steps: int = STEPS
) -> Array:
    """Distance along each ray to the solid, in world units.

    Args:
        placed: the solid.
        origin: float32 [3, 1], world.
        direction: float32 [3, n], world, unit length.
        shortest: float32 [n], the ray is known to be free up to this distance.
        longest: float32 [n], hits beyond this distance do not count.
        steps: evaluations of the solid at most.

    Returns:
        float32 [n], infinity where the ray misses.
    """
    distance = np.full(direction.shape[1], np.inf, dtype=np.float32)
    # candidates: rays that may still hit before `longest` and that cross the box; t is in object units
    open_rays = (shortest < longest).nonzero()[0]
    start, along = placed.points_in(origin), placed.axes @ direction.take(open_rays, axis=1)
    inside, t, far = _crossing(placed, start, along, longest.take(open_rays) / np.float32(placed.scale))
    index, along = open_rays.take(inside), along.take(inside, axis=1)
    t = np.maximum(t, shortest.take(index) / np.float32(placed.scale))
    for step in range(steps):
        if not len(index):
            break
        # sphere tracing (Hart 1996): no surface is nearer than the gap, so a ray moves on by about as much
        gap = placed.solid.distance(start + along * t)
        # in the last step, four times the tolerance counts as a hit
        last = step + 1 == steps or len(index) < FEWEST
        near = gap < (4 * TOLERANCE if last else TOLERANCE) * t
        hit = near.nonzero()[0]
        if len(hit):
            distance[index.take(hit)] = t.take(hit) * placed.scale
        if last:
            break
        t = t + np.float32(0.95) * gap
        keep = ((t < far) & ~near).nonzero()[0]
        index, t, far, along = index.take(keep), t.take(keep), far.take(keep), along.take(keep, axis=1)
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
    start = start.take(index, axis=1)
    least = np.ones(len(index), dtype=np.float32)
    for _ in range(SHADOW_STEPS):
        if len(index) < FEWEST:
            break
        gap = placed.solid.distance(start + along * t)
        # Quilez's soft shadows: the least of k gap / t along the way is the share of light that passes
        least = np.minimum(least, np.maximum(PENUMBRA * gap / np.maximum(t, 0.05), 0))
        light[index] = least
        t = t + np.maximum(gap, np.float32(0.05))
        keep = ((least > 0.04) & (t < far)).nonzero()[0]
        index, t, far = index.take(keep), t.take(keep), far.take(keep)
        least, start = least.take(keep), start.take(keep, axis=1)
    return light
