"""Turn a mask into one closed polygon, for formats without holes and parts, and back.

Vertices are the centres of an object's outermost pixels, as programs that fill polygons with their boundary expect:
such a fill gives the mask back. Parts and holes are joined to one line by bridges, which are passed there and back.
"""

from typing import Any

import numpy as np
from contourpy import contour_generator
from jaxtyping import Int
from numpy import ndarray
from PIL import Image, ImageDraw

from namesake.shapes import MaskArray

Ring = Int[ndarray, "vertices 2"]
"""Vertices (x, y) in pixels; the last is joined to the first."""

INSIDE = 0.9999
"""Level of the contour between 0 and 1: so near 1 that it passes the centres of the outermost pixels."""


def trace(mask: MaskArray) -> list[list[Ring]]:
    """The 4-connected parts of a mask, each as its outline followed by those of its holes.

    Args:
        mask: One object.

    Returns:
        Parts, the longest outline first; no vertex lies on the line between its neighbours.
    """
    padded = np.pad(mask, 1).astype(np.float64)  # contours close at the picture's edge, too
    contours = contour_generator(z=padded, fill_type="OuterOffset")
    found: Any = contours.filled(INSIDE, 2.0)
    points, offsets = found
    parts = [
        # - 1 takes the padding off
        [_corners(np.rint(ring).astype(np.int64) - 1) for ring in np.split(some, places[1:-1])]
        for some, places in zip(points, offsets, strict=True)
    ]
    return sorted(parts, key=lambda part: -len(part[0]))


def join(parts: list[list[Ring]]) -> Ring:
    """One polygon of all parts and holes: each ring is bridged to the vertex nearest to it of those joined before."""
    from scipy.spatial import cKDTree

    outlines = [part[0] for part in parts]
    joined = outlines[0]
    for ring in (*outlines[1:], *(hole for part in parts for hole in part[1:])):
        distances, places = cKDTree(joined).query(ring)
        start = int(np.argmin(distances))
        place = int(places[start])
        # the ring from its nearest vertex round to it again, put in at the other end of the bridge
        turned = np.concatenate([ring[start:], ring[: start + 1]])
        joined = np.concatenate([joined[: place + 1], turned, joined[place:]])
    return joined


def fill(polygon: Ring, *, height: int, width: int) -> MaskArray:
    """The pixels within a polygon (even-odd) and on its line."""
    canvas = Image.new("1", (width, height))
    ImageDraw.Draw(canvas).polygon([(int(x), int(y)) for x, y in polygon], fill=1, outline=1)
    return np.array(canvas)


def _corners(ring: Ring) -> Ring:
    """The ring without vertices that repeat or lie on the line between their neighbours; tips of spikes stay."""
    moved = np.any(ring != np.roll(ring, 1, axis=0), axis=1)
    if np.count_nonzero(moved) < 3:
        return ring[moved] if moved.any() else ring[:1]
    ring = ring[moved]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    # cross product 0 and same direction: the vertex lies on the line between its neighbours
    straight = (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]) & ((before * after).sum(axis=1) > 0)
    corners: Ring = ring[~straight]
    return corners
