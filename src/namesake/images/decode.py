"""An image file or its bytes in, an RGB array out, or `ImagesError` with the reason; knows no folder and no network.

A path may lead through a tar or a table, as if that were a folder.
"""

import io
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from namesake.errors import ImagesError
from namesake.images.containers import read_member
from namesake.shapes import ImageArray

MAX_PIXELS = 178_956_970
"""Pillow's own limit; more is taken for a bomb."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")
"""What the content may be, whatever the file is called; formats that start other programs are not among them."""
SIXTEEN_BIT_FORMATS = {"PNG", "PPM"}


def read_image(path_or_bytes: Path | bytes, *, name: str = "", max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Decode an image.

    The EXIF orientation is applied; of an animation or a multi-page file the first picture is taken; transparent
    pixels are composited on white (what lies below transparency is arbitrary); CMYK is converted without a colour
    profile. 16-bit images are scaled by 255/65535. Images of 32-bit integers or floats do not say their range: it is
    the smallest of 0..1 (floats only), 0..255 and 0..65535 that holds all values, else their minimum to maximum.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it in messages; the file's name if empty.
        max_pixels: Refuse images with more pixels than that, before decoding them. Above the default, Pillow's own
            limit (`PIL.Image.MAX_IMAGE_PIXELS`) holds too.

    Returns:
        uint8 [height, width, 3], RGB, 0 to 255, in original pixels; contiguous and writable.

    Raises:
        ImagesError: Nothing there, empty, truncated, not an image of a known format, or too large; the message begins
            with the file's name and says why.
    """
    name = name or ("the image" if isinstance(path_or_bytes, bytes) else Path(path_or_bytes).name)
    content = path_or_bytes if isinstance(path_or_bytes, bytes) else read_content(Path(path_or_bytes))
    if not content:
        raise ImagesError(f"{name}: the file is empty.")
    _mute_pillow()
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ImagesError(f"{name}: {image.width}x{image.height} pixels; at most {max_pixels} are allowed.")
            return _to_rgb(image)
    except ImagesError:
        raise
    except UnidentifiedImageError as error:
        raise ImagesError(f"{name}: not an image that can be read here ({', '.join(FORMATS)}).") from error
    except Image.DecompressionBombError as error:
        raise ImagesError(f"{name}: more pixels than Pillow allows ({error}).") from error
    except Exception as error:  # a broken file can raise nearly anything in the decoders
        raise ImagesError(f"{name}: cannot be decoded: {str(error) or type(error).__name__}.") from error


def as_image(image: str | Path | Image.Image | ImageArray) -> ImageArray:
    """An image as RGB uint8 [height, width, 3].

    Raises:
        ImagesError: It is a file that cannot be read, or an array of another shape or type.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ImagesError(f"expected a file, a PIL image, or an RGB array uint8 [height, width, 3], found {what}.")
    if 0 in image.shape:
        raise ImagesError(f"expected an image with pixels, found the shape {image.shape}.")
    return image


def read_content(path: Path) -> bytes:
    """Bytes of an image file, or of what a path names within a tar or a table.

    Raises:
        ImagesError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except NotADirectoryError:
        return read_member(path)
    except OSError as error:
        raise ImagesError(f"{path.name}: cannot be read: {error.strerror}.") from error


def _mute_pillow() -> None:
    """Keep Pillow's remarks on odd but readable files to itself.

    `warnings.catch_warnings` is not safe in threads, so the filter stays; it concerns Pillow's own modules only.
    """
    if ("ignore", None, Warning, re.compile(r"PIL\."), 0) not in warnings.filters:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _to_rgb(image: Image.Image) -> ImageArray:
    image.load()
    with suppress(Exception):  # a broken EXIF block says nothing of the orientation
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        grey = _scale_to_bytes(
            np.asarray(image),
            sixteen_bit=image.mode != "F" and (image.mode != "I" or image.format in SIXTEEN_BIT_FORMATS),
        )
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _scale_to_bytes(values: Shaped[ndarray, "height width"], *, sixteen_bit: bool) -> Any:  # noqa: ANN401
    """Grey values of any range -> uint8 [height, width]; not-a-number becomes 0."""
    floating = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    ranges = [65535.0] if sixteen_bit else [1.0, 255.0, 65535.0][0 if floating else 1 :]
    top = next((top for top in ranges if low >= 0 and high <= top), None)
    if top is None:
        values, top = values - low, (high - low) or 1.0
    return np.rint(values * (255.0 / top)).astype(np.uint8)
