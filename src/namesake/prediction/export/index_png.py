"""A label map in, a PNG whose pixel values are the labels out, and back; it knows nothing of what the labels mean."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from namesake.errors import DataError
from namesake.images.encode import encode_indices, encode_picture
from namesake.shapes import IGNORE, LabelArray, not_sure
from namesake.workspace import write_bytes


def encode_index_png(labels: LabelArray, *, names: int) -> bytes:
    """The PNG of a label map, as bytes.

    Args:
        labels: [height, width]; 0 = background, 1..names, `not_sure(names)`.
        names: Number of names, not only in this map: up to 254 give 8 bits a pixel with the VOC palette, more
            give 16 bits without one (PNG palettes end at 256).

    Returns:
        The file's content; the same labels give the same bytes.

    Raises:
        DataError: A label is negative or does not fit.
    """
    last = not_sure(names)
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) <= last:
        raise DataError(f"expected labels from 0 to {last} for {names} names, found {labels.min()} to {labels.max()}.")
    if last == IGNORE:
        return encode_indices(labels.astype(np.uint8))
    return encode_picture(labels.astype(np.uint16), "PNG")


def write_index_png(path: Path, labels: LabelArray, *, names: int) -> None:
    """Write a label map as an index PNG, atomically; see `encode_index_png`."""
    write_bytes(path, encode_index_png(labels, names=names))


def read_index_png(path: Path) -> LabelArray:
    """Read the labels of a PNG with one value a pixel: palette or grey, 8 or 16 bits. A palette's colours do not count.

    Returns:
        [height, width], uint8 from 8 bits or fewer, int32 from 16 bits.

    Raises:
        DataError: The file is missing, damaged, or holds colours instead of labels.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode in {"P", "L", "1"}:
                return np.array(picture, dtype=np.uint8)
            if picture.mode.startswith("I"):
                return np.array(picture).astype(np.int32)
            raise DataError(
                f"{path} is a picture in {picture.mode} colours; expected an index PNG, whose pixels hold the labels "
                "themselves (8-bit palette or grey, or 16-bit grey). Convert colours to labels first."
            )
    except FileNotFoundError as error:
        raise DataError(f"expected a label map at {path}, found no file.") from error
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise DataError(f"{path} cannot be read as a label map: {error}.") from error
