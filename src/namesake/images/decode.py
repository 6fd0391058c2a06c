"""Decode an image file or its bytes to an RGB array; an image that cannot be decoded is an `ImagesError`.

A path may lead through a tar or a table, as if that were a folder.
"""

import io
import re
import warnings
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from namesake.errors import ImagesError, how_to_install
from namesake.images.containers import read_member
from namesake.images.stores import read_object, store_url
from namesake.images.tones import check_array, to_rgb_bytes
from namesake.shapes import ImageArray

MAX_PIXELS = 178_956_970
"""Pillow's own limit; more is taken for a bomb."""
PLAIN_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")
"""What the content may be, whatever the file is called; formats that start other programs are not among them."""
ORIENTATION, TURNED, LYING = 0x0112, range(2, 9), range(5, 9)
GDAL_NO_DATA = 42113
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
Picture = str | Path | bytes | Image.Image | Shaped[ndarray, "..."]
"""Whatever `as_image` takes."""
HEIF_ADVICE = f"{how_to_install('heif')} for .heic and .avif"


@cache
def formats() -> tuple[str, ...]:
    """What can be read here: PLAIN_FORMATS, and AVIF and HEIF where Pillow and pillow-heif know them."""
    avif = ("AVIF",) if features.check("avif") else ()
    if find_spec("pillow_heif") is None:
        return PLAIN_FORMATS + avif
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*PLAIN_FORMATS, *avif, "HEIF")


def read_image(path_or_bytes: Path | bytes, *, name: str = "", max_pixels: int = MAX_PIXELS) -> ImageArray:
    """Decode an image. The rule below holds for files, bytes, PIL images and arrays alike (`as_image`).

    - Orientation: EXIF's (JPEG, TIFF, PNG, WebP, AVIF) and HEIF's own are applied.
    - Of an animation or a file of several pages, the first picture is taken.
    - Transparent pixels are composited on white: what lies below transparency is arbitrary.
    - Colour: profiles are not applied (as in the networks' own training); CMYK, LAB and YCbCr are converted plainly.
    - Integers of more than 8 bits and floats do not say their range: it is the smallest of 0..1 (floats only), 0..255,
      0..4095 (12 bits) and 0..65535 that holds all values, else their minimum to maximum. Colours of 16 bits are read
      by their high byte, unless they are a TIFF whose values stay below 4096.
    - "No data" is black and does not count for the range: not-a-number, infinity, -9999, -32768, the lowest float, and
      what a GeoTIFF declares.
    - Of more than three bands that the file does not call colours and alpha, the first three are red, green and blue.

    Which range or bands were taken is said once on standard error.

    Args:
        path_or_bytes: The file, or its content.
        name: Name in messages; the file's name if empty.
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
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            _check_pixels(image.width, image.height, name, max_pixels)
            pixels = _to_rgb(image, name=name)
            dark = image.format == "TIFF" and image.mode == "RGB" and pixels.max(initial=0) < 16
        return _deep_tiff(content, name, max_pixels) if dark and _bits(image) == 16 else pixels
    except ImagesError:
        raise
    except UnidentifiedImageError as error:
        if content.startswith(TIFF):
            return _deep_tiff(content, name, max_pixels)
        heif = f" {HEIF_ADVICE}." if content[4:8] == b"ftyp" and "HEIF" not in formats() else ""
        raise ImagesError(f"{name}: not an image that can be read here ({', '.join(formats())}).{heif}") from error
    except Image.DecompressionBombError as error:
        raise ImagesError(f"{name}: more pixels than Pillow allows ({error}).") from error
    except Exception as error:  # a broken file can raise nearly anything in the decoders
        raise ImagesError(f"{name}: cannot be decoded: {str(error) or type(error).__name__}.") from error


def as_image(image: Picture) -> ImageArray:
    """An image as RGB uint8 [height, width, 3], by the rule of `read_image`.

    Args:
        image: A file, its content, a PIL image (of an animation, the picture that it stands at), or an array
            [height, width] or [height, width, 1, 3 or 4] of numbers, RGB with alpha as the fourth.

    Raises:
        ImagesError: It is a file that cannot be read, or an array of another shape or type.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, bytes):
        return read_image(image)
    if isinstance(image, Image.Image):
        try:
            _check_pixels(image.width, image.height, "the image", MAX_PIXELS)
            return _to_rgb(image, name="the image", copy=True)
        except ImagesError:
            raise
        except Exception as error:  # PIL images are lazy: a broken file shows here
            raise ImagesError(f"the image: cannot be decoded: {str(error) or type(error).__name__}.") from error
    if not isinstance(image, np.ndarray):
        raise ImagesError(f"expected a file, a PIL image, or an array of pixels, found {type(image).__name__}.")
    check_array(image)
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return image
    if image.dtype == bool or (image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 4):
        return _to_rgb(Image.fromarray(image if image.ndim == 2 or image.shape[2] > 1 else image[:, :, 0]), name="")
    return to_rgb_bytes(image, name="the image", no_data=None)


class Stored(NamedTuple):
    """How an image is stored."""

    format: str
    height: int
    width: int
    upright: bool


def look_at(content: bytes, *, name: str) -> Stored:
    """Format, size as it is shown, and whether it is stored as it is shown; from its header where that is enough.

    Raises:
        ImagesError: It cannot be read.
    """
    try:
        with Image.open(io.BytesIO(content), formats=formats()) as image:
            turn, (width, height) = _orientation(image), image.size
            if turn in LYING and image.format != "TIFF":  # Pillow gives a TIFF's size as it is shown
                width, height = height, width
            return Stored(str(image.format), height, width, turn not in TURNED)
    except Exception:  # a header alone does not say: whoever reads the pixels decides
        height, width, _ = read_image(content, name=name).shape
        return Stored("", height, width, upright=False)


def read_content(path: Path) -> bytes:
    """Bytes of an image file, of an object in a store, or of what a path names within a tar or a table.

    Raises:
        ImagesError: It cannot be read.
    """
    if url := store_url(path):
        return read_object(url)
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


def _orientation(image: Image.Image) -> int | None:
    with suppress(Exception):  # a broken EXIF block says nothing of the orientation
        return image.getexif().get(ORIENTATION)
    return None


def _check_pixels(width: int, height: int, name: str, most: int) -> None:
    if not width or not height:
        raise ImagesError(f"{name}: {width}x{height} pixels; there is nothing to see.")
    if width * height > most:
        raise ImagesError(f"{name}: {width}x{height} pixels; at most {most} are allowed.")


def _to_rgb(image: Image.Image, *, name: str, copy: bool = False) -> ImageArray:
    """Pixels of a PIL image, which stays as it is if `copy`."""
    image.load()
    no_data = _no_data(image)
    with suppress(Exception):  # a broken EXIF block says nothing of the orientation
        image = ImageOps.exif_transpose(image) if copy else ImageOps.exif_transpose(image, in_place=True) or image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return to_rgb_bytes(np.asarray(image), name=name, no_data=no_data)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        # what is transparent shows white
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _no_data(image: Image.Image) -> float | None:
    """The value that a GeoTIFF declares as "no data"."""
    with suppress(Exception):
        return float(str(image.tag_v2[GDAL_NO_DATA]).strip("\0 "))  # type: ignore[attr-defined]
    return None


def _bits(image: Image.Image) -> int:
    with suppress(Exception):
        return int(image.tag_v2[258][0])  # type: ignore[attr-defined]
    return 8


def _deep_tiff(content: bytes, name: str, max_pixels: int) -> ImageArray:
    """A TIFF of bands, floats or bits that Pillow does not take.

    Raises:
        ImagesError: It cannot be read, or is too large.
    """
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page: Any = file.pages[0]
            _check_pixels(page.imagewidth, page.imagelength, name, max_pixels)
            bands, declared = page.samplesperpixel, page.tags.get(GDAL_NO_DATA)
            values: Any = page.asarray()
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and bands > 1:
                values = np.moveaxis(values, 0, -1)  # [height, width, bands]
            turn = page.tags.valueof(ORIENTATION, 1)
            _check_pixels(values.shape[1], values.shape[0], name, max_pixels)  # a broken table of strips gives none
        no_data = None
        with suppress(ValueError, AttributeError):
            no_data = float(str(declared.value).strip("\0 "))
        rgb = Image.fromarray(to_rgb_bytes(values.reshape(*values.shape[:2], bands), name=name, no_data=no_data))
        rgb.getexif()[ORIENTATION] = turn
        return np.array(ImageOps.exif_transpose(rgb))
    except ImagesError:
        raise
    except Exception as error:
        raise ImagesError(f"{name}: a TIFF that cannot be read here: {str(error) or type(error).__name__}.") from error
