"""Labels in, their colours out; it knows no files and no pictures."""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray


def palette(count: int = 256) -> UInt8[ndarray, "count 3"]:
    """RGB of the labels 0 to `count` - 1: VOC's palette, in which the bits of a label are dealt to red, green and blue.

    Label 0 is black. All colours differ; beyond 256 the same rule goes on.
    """
    labels = np.arange(count)[:, None]  # [count, 1]
    colours = np.zeros((count, 3), dtype=np.int64)
    for bit in range(8):
        # bits 3 * bit, + 1 and + 2 go to red, green and blue, from their highest bit down: [count, 3]
        colours |= ((labels >> (3 * bit + np.arange(3))) & 1) << (7 - bit)
    return colours.astype(np.uint8)
