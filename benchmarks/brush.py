"""Label Studio's brush, decoded from its description: knows nothing of the package's encoder, which it checks."""

from collections.abc import Sequence

import numpy as np

from namesake.shapes import MaskArray


def decode_brush(code: Sequence[int], height: int, width: int) -> MaskArray:
    """The mask of a brush, bit by bit: runs of bytes, four a pixel, the last opacity.

    Args:
        code: Bytes.
        height: In pixels.
        width: In pixels.

    Returns:
        True where the brush is opaque.

    Raises:
        ValueError: The code says more or less than a picture, or one that is not of one grey.
    """
    bits = "".join(f"{byte:08b}" for byte in code)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        return int(bits[place - count : place], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < total:
        repeated, size = take(1), take(2)
        length = take(sizes[size]) + 1
        values += [take(word)] * length if repeated else [take(word) for _ in range(length)]
    picture = np.array(values).reshape(height, width, 4)
    if len(values) != total or len(bits) - place >= 8 or (picture != picture[:, :, 3:]).any():
        raise ValueError(f"expected {total} values of {height} x {width} pixels, found {len(values)}")
    return picture[:, :, 3] == 255
