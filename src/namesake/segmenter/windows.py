"""Overlapping windows of an image: where they lie, and what share each has in the cells around its centre."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from namesake.images.geometry import Box

MOST_ALONG = 32
"""Sides of a window along an image, at most; those of a ribbon are as high as it is, and wider than high."""
LEAST_WEIGHT = 1e-6
"""Of a cell on the border of a window; it counts where no other window covers the cell."""


def window_starts(
    height: int, width: int, *, share: float, overlap: float
) -> tuple[list[int], list[int], tuple[int, int]]:
    """First rows and first columns of the windows, which are spread evenly, and their height and width in pixels.

    Args:
        height: Of the image, in pixels.
        width: The same.
        share: Side of a window, as a share of the image's shorter side.
        overlap: Share of its side that a window has in common with the next, at least.
    """
    wanted = max(1.0, share * min(height, width), max(height, width) / MOST_ALONG)

    def along(length: int) -> tuple[list[int], int]:
        own = min(wanted, length)
        # the fewest windows that overlap enough; - 1e-6: rounding errors add none
        count = 1 + ceil((length - own) / (own * (1 - overlap)) - 1e-6)
        starts = np.unique(np.linspace(0, length - round(own), count).round())
        return [int(start) for start in starts], round(own)

    (tops, tall), (lefts, wide) = along(height), along(width)
    return tops, lefts, (tall, wide)


def window_boxes(height: int, width: int, *, share: float, overlap: float) -> list[Box]:
    """The windows of an image, row by row."""
    tops, lefts, (tall, wide) = window_starts(height, width, share=share, overlap=overlap)
    return [Box(top, left, tall, wide) for top in tops for left in lefts]


def window_weights(starts: Sequence[int], *, side: int, length: int, cells: int) -> Float[Tensor, "windows cells"]:
    """Share of each window in the cells of one axis, a Hann window around its centre; those of a cell sum to 1.

    Args:
        starts: First pixel of each window.
        side: Side of a window, in pixels.
        length: Length of the axis, in pixels.
        cells: Number of cells of the grid that stands for it.
    """
    centres = (torch.arange(cells, dtype=torch.float64) + 0.5) * (length / cells)
    # place [windows, cells]: of each cell's centre in each window, 0 at its start and 1 at its end
    place = (centres[None] - torch.tensor(starts, dtype=torch.float64)[:, None]) / side
    # Hann window: sin(pi x)^2
    weights = torch.sin(torch.pi * place.clamp(0, 1)).square().clamp(min=LEAST_WEIGHT)
    return (weights / weights.sum(dim=0)).float()
