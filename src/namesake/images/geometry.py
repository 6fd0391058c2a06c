"""Resize and crop images and label maps.

Sizes are (height, width) in pixels. Resizing is Pillow's everywhere: filters widen when shrinking (antialias).
"""

from collections.abc import Sequence
from math import ceil, floor, sqrt
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Shaped, UInt8
from numpy import ndarray
from PIL import Image

from namesake.errors import ConfigError
from namesake.shapes import ImageArray

Method = Literal["bilinear", "bicubic", "nearest"]
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
RADIUS = 2
"""Pixels of the result from which the widest of the filters takes a value."""
LONGEST = 64
"""Longer side over shorter side up to which `resize_shorter_side` is exact."""
LabelMap = Shaped[ndarray, "height width"]
"""Labels or a mask: bool, or integers that fit 32 bits."""
Resized = UInt8[ndarray, "new_height new_width 3"]
"""An RGB image, 0 to 255, of another size than the one given."""
Plane = TypeVar("Plane", bound=ndarray)
"""An image [height, width, 3] or a label map [height, width]."""


class Box(NamedTuple):
    """A rectangle of an image, in pixels: rows top to top + height, columns left to left + width."""

    top: int
    left: int
    height: int
    width: int


def resize(image: ImageArray, *, height: int, width: int, method: Method = "bilinear") -> Resized:
    """Resize an RGB image as Pillow does; the only resize of images in the package.

    Args:
        image: uint8 [height, width, 3].
        height: Wanted height, 1 or more.
        width: Wanted width, 1 or more.
        method: The filter.

    Returns:
        uint8 [height, width, 3]; a new array.

    Raises:
        ConfigError: A size below 1 or an unknown method.
    """
    chosen = _filter(method, height, width)
    return np.array(Image.fromarray(image).resize((width, height), chosen))


def resize_part(image: ImageArray, *, height: int, width: int, part: Box, method: Method = "bilinear") -> Resized:
    """A part of `resize`'s result, without computing the rest: memory is bounded by the part and the image.

    Args:
        image: uint8 [height, width, 3].
        height: Height of the whole result.
        width: Width of the whole result.
        part: The rectangle of the result that is wanted.
        method: The filter.

    Returns:
        uint8 [part.height, part.width, 3]; a new array.

    Raises:
        ConfigError: A size below 1, or an unknown method.
    """
    chosen = _filter(method, height, width)
    rows, top, bottom = _seen(image.shape[0], height, part.top, part.height)
    columns, left, right = _seen(image.shape[1], width, part.left, part.width)
    seen = Image.fromarray(np.ascontiguousarray(image[rows, columns]))
    return np.array(seen.resize((part.width, part.height), chosen, box=(left, top, right, bottom)))


def _seen(have: int, whole: int, begin: int, length: int) -> tuple[slice, float, float]:
    """Along an axis, the pixels that the filter sees for a part of the result, and where among them the part lies."""
    scale = have / whole
    reach = ceil(RADIUS * max(scale, 1.0)) + 1  # pixels beyond the part that the filter sees
    first, stop = max(0, floor(begin * scale) - reach), min(have, ceil((begin + length) * scale) + reach)
    return slice(first, stop), begin * scale - first, min((begin + length) * scale - first, stop - first)


def resize_labels(labels: LabelMap, *, height: int, width: int) -> Shaped[ndarray, "new_height new_width"]:
    """Resize a label map or mask by nearest neighbour: the inverse of `resize` for what was predicted on its result.

    Args:
        labels: [height, width], bool or integers within 32 bits.
        height: Wanted height, 1 or more.
        width: Wanted width, 1 or more.

    Returns:
        [height, width] of the same dtype; output pixel (y, x) is the input pixel under its centre.

    Raises:
        ConfigError: A size below 1.
    """
    chosen = _filter("nearest", height, width)
    plain = labels.astype(np.uint8 if labels.dtype.itemsize == 1 else np.int32)
    resized = Image.fromarray(plain).resize((width, height), chosen)
    return np.array(resized).astype(labels.dtype)


def shorter_side(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Size (height, width) with the same proportions whose shorter side is `side`; the longer one is rounded down."""
    shorter = min(height, width)
    return max(1, height * side // shorter), max(1, width * side // shorter)


def longer_side(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Size (height, width) with the same proportions whose longer side is `side`; the shorter one is rounded down."""
    longer = max(height, width)
    return max(1, height * side // longer), max(1, width * side // longer)


def resize_shorter_side(image: ImageArray, *, side: int, method: Method = "bilinear") -> Resized:
    """Resize so that the shorter side is `side`; `resize_labels` to the old size is the way back.

    Of images more than 64 times as long as wide the shorter side becomes shorter: see `bounded_scale`.
    """
    height, width = shorter_side(image.shape[0], image.shape[1], side=side)
    if max(height, width) > LONGEST * min(height, width):
        scale = bounded_scale(image.shape[0], image.shape[1], side=side)
        height, width = (max(1, int(have * scale)) for have in image.shape[:2])
    return resize(image, height=height, width=width, method=method)


def bounded_scale(height: int, width: int, *, side: int) -> float:
    """Factor that brings the shorter side to `side`, or to less where the result would have too many pixels.

    Those are more than the image's own and more than `side` times 64 `side`: a line of 1 x 65000 must not become
    billions.
    """
    most = max(height * width, LONGEST * side * side)
    return min(side / min(height, width), sqrt(most / (height * width)))


def resize_longer_side(image: ImageArray, *, side: int, method: Method = "bilinear") -> Resized:
    """Resize so that the longer side is `side`; `resize_labels` to the old size is the way back."""
    height, width = longer_side(image.shape[0], image.shape[1], side=side)
    return resize(image, height=height, width=width, method=method)


def limit_longer_side(image: ImageArray, *, side: int) -> Resized:
    """Shrink an image whose longer side has more than `side` pixels to that; others are returned as they are."""
    return image if max(image.shape[:2]) <= side else resize_longer_side(image, side=side)


def enlarge(images: Sequence[ImageArray], scale: float) -> Sequence[Resized]:
    """Images with both sides `scale` times as long, rounded; the very same ones at the scale 1."""
    if scale == 1:
        return images
    return [resize(image, **scaled(image, scale), method="bilinear") for image in images]


def scaled(image: ndarray, scale: float) -> dict[str, int]:
    """Height and width, as `resize` takes them, of an image with both sides `scale` times as long, rounded."""
    return {name: max(1, round(side * scale)) for name, side in zip(("height", "width"), image.shape, strict=False)}


def crop(image: Plane, box: Box) -> Plane:
    """The view of an image or label map inside a box; `uncrop` is the inverse."""
    return image[box.top : box.top + box.height, box.left : box.left + box.width]  # type: ignore[return-value]


def _filter(method: Method, height: int, width: int) -> Image.Resampling:
    """The filter of a method, where it and the wanted size are possible ones."""
    if method not in FILTERS:
        raise ConfigError(f"expected one of the methods {', '.join(FILTERS)}, found {method!r}.")
    if height < 1 or width < 1:
        raise ConfigError(f"expected a size of at least 1x1 pixels, found {height}x{width}.")
    return FILTERS[method]


def next_to_change(labels: Shaped[ndarray, "height width"]) -> Bool[ndarray, "height width"]:
    """Pixels of a label map, or of a mask, of which one of the four neighbours in the picture has another label."""
    changed = np.zeros(labels.shape, dtype=bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    changed[:, 1:] |= across
    changed[:, :-1] |= across
    changed[1:] |= down
    changed[:-1] |= down
    return changed
