"""Encode a picture: as the bytes of a file, or as an address that a page holds."""

import base64
import io

from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image

from namesake.images.palette import palette

VOC = palette().tobytes()
LONGEST_JPEG = 65_500
"""Pixels of a side that libjpeg takes."""


def encode_picture(picture: Shaped[ndarray, "height width *channels"], form: str, **options: int) -> bytes:
    """Encode a picture in a format of Pillow's, with the format's options, such as `quality`.

    A picture with a longer side than a JPEG can have is shrunk to that.
    """
    image = Image.fromarray(picture)
    if form == "JPEG" and max(image.size) > LONGEST_JPEG:
        factor = LONGEST_JPEG / max(image.size)
        image = image.resize([max(1, round(side * factor)) for side in image.size], Image.Resampling.BILINEAR)
    return _content(image, form, **options)


def encode_indices(labels: UInt8[ndarray, "height width"]) -> bytes:
    """Encode labels as a PNG whose pixel values they are, in the colours of VOC."""
    image = Image.fromarray(labels)
    image.putpalette(VOC)
    return _content(image, "PNG")


def data_uri(picture: Shaped[ndarray, "height width *channels"], form: str, **options: int) -> str:
    """A picture within a page: the address that holds its bytes."""
    content = base64.b64encode(encode_picture(picture, form, **options)).decode("ascii")
    return f"data:image/{form.lower()};base64,{content}"


def _content(image: Image.Image, form: str, **options: int) -> bytes:
    content = io.BytesIO()
    image.save(content, format=form, **options)
    return content.getvalue()
