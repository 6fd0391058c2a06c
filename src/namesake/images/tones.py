"""Values of any range or number of bands in, RGB bytes out; knows no file."""

from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from namesake.errors import ImagesError
from namesake.progress import note
from namesake.shapes import ImageArray

RANGES = (1.0, 255.0, 4095.0, 65535.0)
"""Ranges that begin at 0, from the smallest; the first one is for floats only."""
NO_DATA = (-9999.0, -32768.0, float(np.finfo(np.float32).min))
"""What rasters write where nothing was measured; it is below all that a picture holds."""
COLOURS = 3
_said: set[str] = set()


def to_rgb_bytes(values: Shaped[ndarray, "height width *bands"], *, name: str, no_data: float | None) -> ImageArray:
    """Pixels of any type and number of bands -> RGB bytes, by the rule that `read_image` states.

    Args:
        values: [height, width] or [height, width, bands], numbers.
        name: Name of the image, for what is said.
        no_data: The value that means that nothing was measured, where the file says one.
    """
    bands = values.shape[2] if values.ndim == 3 else 1
    planes = values.reshape(*values.shape[:2], bands)  # [height, width, bands]
    if bands in {1, 2}:  # grey, with or without alpha
        planes = planes[:, :, :1]
    elif bands > COLOURS:
        _say_once(f"{name}: of {bands} bands the first three are taken as red, green and blue")
        planes = planes[:, :, :COLOURS]
    grey = _scaled(planes, name=name, no_data=no_data)
    return np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else np.ascontiguousarray(grey)


def _scaled(values: Shaped[ndarray, "height width bands"], *, name: str, no_data: float | None) -> Any:  # noqa: ANN401
    """The same in bytes."""
    if values.dtype == np.uint8:
        return values
    floating, bits = values.dtype.kind == "f", 8 * values.dtype.itemsize
    numbers = values.astype(np.float64)
    # pixels where nothing was measured: they become 0 and do not count for the range
    empty = ~np.isfinite(numbers) | np.isin(numbers, NO_DATA if no_data is None else (*NO_DATA, no_data))
    known = numbers[~empty]
    if not known.size:
        return np.zeros(values.shape, dtype=np.uint8)
    low, high = float(known.min()), float(known.max())
    # the smallest usual range that holds all values; else from their own lowest to their highest
    top = next((top for top in RANGES[0 if floating else 1 :] if low >= 0 and high <= top), None)
    if values.dtype != np.uint16 or top != RANGES[-1]:
        said = f"0 to {top:.0f}" if top else f"{low:g} to {high:g}, its own"
        _say_once(f"{name}: its {bits}-bit {'floats' if floating else 'integers'} are read as values of {said}")
    if top is None:
        numbers, top = numbers - low, (high - low) or 1.0
    numbers[empty] = 0
    return np.rint(numbers * (255.0 / top)).astype(np.uint8)


def check_array(image: Shaped[ndarray, "..."]) -> None:
    """Refuse an array that is no picture.

    Raises:
        ImagesError: It is not [height, width] or [height, width, 1, 3 or 4] of numbers, or has no pixel.
    """
    known = image.dtype.kind in "buif" and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in {1, 3, 4}))
    if not known:
        raise ImagesError(
            "expected a file, a PIL image, or an array [height, width] or [height, width, 3] (RGB; 4 with alpha), "
            f"found {image.dtype} {image.shape}."
        )
    if 0 in image.shape:
        raise ImagesError(f"expected an image with pixels, found the shape {image.shape}.")


def _say_once(message: str) -> None:
    """Print what an image was taken for, once for all images that are taken so."""
    kind = message.partition(": ")[2]
    if kind not in _said:
        _said.add(kind)
        note(f"{message} (said once)")
