"""Paste all objects of several augmented images into one image.

Simple Copy-Paste, https://arxiv.org/abs/2012.07177, in NamedMask's form: no blending, no further scaling.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from numpy.random import Generator

from namesake.shapes import IGNORE, ImageArray, LabelArray


def copy_paste(
    images: Sequence[ImageArray],
    labels: Sequence[LabelArray],
    rng: Generator,
    *,
    ignore: int = IGNORE,
    crop_paste_box: bool = False,
) -> tuple[ImageArray, LabelArray, UInt8[ndarray, "height width"]]:
    """Paste the objects of all images but the first onto the first, each at a random place, later ones on top.

    An object is the pixels whose label lies between 0 and `ignore`. It keeps its size; its place is uniform among those
    where its bounding box lies in the canvas. The canvas keeps its own object, background and padding.

    Args:
        images: Images of one size; the first is the canvas.
        labels: One map an image.
        rng: Draws the places.
        ignore: Label of pixels that do not count; they are never pasted, but are pasted over.
        crop_paste_box: Keep the published code's bounding box, which leaves out an object's last row and column.

    Returns:
        Image, labels, and for each pixel the number of the image whose object is visible there (0: none, 1: canvas).
    """
    canvas, canvas_labels = images[0].copy(), labels[0].copy()
    owners = ((canvas_labels > 0) & (canvas_labels < ignore)).astype(np.uint8)
    height, width = canvas_labels.shape
    for number, (image, label) in enumerate(zip(images[1:], labels[1:], strict=True), start=2):
        present = (label > 0) & (label < ignore)
        # bounding box of the object
        rows, columns = np.flatnonzero(present.any(axis=1)), np.flatnonzero(present.any(axis=0))
        if not rows.size:
            continue
        box = (slice(rows[0], rows[-1] + (not crop_paste_box)), slice(columns[0], columns[-1] + (not crop_paste_box)))
        region = present[box]
        # a place for it in the canvas
        top = int(rng.integers(height - region.shape[0] + 1))
        left = int(rng.integers(width - region.shape[1] + 1))
        place = (slice(top, top + region.shape[0]), slice(left, left + region.shape[1]))
        np.copyto(canvas[place], image[box], where=region[..., None])  # where: the box's [height, width, 1]
        np.copyto(canvas_labels[place], label[box], where=region)
        np.copyto(owners[place], np.uint8(number), where=region)
    return canvas, canvas_labels, owners
