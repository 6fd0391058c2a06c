"""A label map in, the places where its names can be written out: the middle of each large piece."""

from typing import NamedTuple

import numpy as np

from namesake.shapes import LabelArray

LOOKED_AT = 256
"""Longer side of the map in which pieces are looked for: a name needs no exact place."""
LARGE = 0.004
"""Share of the picture from which on a piece is large."""
MOST = 24


class Spot(NamedTuple):
    """One large piece of a label.

    Attributes:
        label: The label.
        x, y: The pixel that is farthest from the piece's border, as shares of width and height.
        share: Share of the picture that the piece covers.
    """

    label: int
    x: float
    y: float
    share: float


def find_spots(labels: LabelArray, *, unsure: int) -> list[Spot]:
    """The large pieces of a label map, the largest first; background and what is not sure have none."""
    from scipy.ndimage import distance_transform_edt, find_objects, label

    step = -(-max(labels.shape) // LOOKED_AT)
    # every step-th pixel, from the middle of each cell
    small = np.asarray(labels)[step // 2 :: step, step // 2 :: step]
    if not small.size:  # a line of pixels
        return []
    found = []
    for each, area in enumerate(find_objects(small), start=1):
        if area is None or each == unsure:
            continue
        numbers, _ = label(small[area] == each, structure=np.ones((3, 3)))
        sizes = np.bincount(numbers.ravel())
        for number, window in enumerate(find_objects(numbers), start=1):
            share = sizes[number] / small.size
            if share < LARGE:
                continue
            piece = numbers[window] == number
            # one pixel larger on each side, so that the window's edge is a border, too
            room = np.zeros((piece.shape[0] + 2, piece.shape[1] + 2), dtype=bool)
            room[1:-1, 1:-1] = piece
            row, column = np.unravel_index(distance_transform_edt(room).argmax(), room.shape)
            x = (area[1].start + window[1].start + column - 0.5) / small.shape[1]
            y = (area[0].start + window[0].start + row - 0.5) / small.shape[0]
            found.append(Spot(each, float(x), float(y), float(share)))
    return sorted(found, key=lambda spot: -spot.share)[:MOST]
