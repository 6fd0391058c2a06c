"""Encode a picture: as the bytes of a file, or as an address that a page holds."""

import base64
import io

from jaxtyping import Shaped
from numpy import ndarray
from PIL import Image


def encode_picture(picture: Shaped[ndarray, "height width *channels"], form: str, **options: int) -> bytes:
    """Encode a picture in a format of Pillow's, with the format's options, such as `quality`."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format=form, **options)
    return content.getvalue()


def data_uri(picture: Shaped[ndarray, "height width *channels"], form: str, **options: int) -> str:
    """A picture within a page: the address that holds its bytes."""
    content = base64.b64encode(encode_picture(picture, form, **options)).decode("ascii")
    return f"data:image/{form.lower()};base64,{content}"
