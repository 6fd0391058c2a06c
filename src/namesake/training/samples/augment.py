"""Augment one image with its label map: random resize, crop, flip and colour.

The augmentation that NamedMask and ZUTIS share: scale, pad in a corner, crop, flip, then colours and blur. Every
function draws from the generator that it is given, in an order that its inputs fix. Images are uint8
[height, width, 3]; label maps are integer [height, width], 0 = background. Where the published code has a flaw that its
published numbers embody, an option of its own keeps it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from numpy.random import Generator

from namesake.config import Rule, option
from namesake.images.geometry import resize, resize_labels
from namesake.shapes import IGNORE, ImageArray, LabelArray

Planes = Float[ndarray, "3 height width"]
"""An image as float32 planes of red, green and blue, 0 to 255, not rounded."""

CORNERS = ((True, True), (True, False), (False, True), (False, False))
"""Where padding goes, as (left?, top?)."""

EVEN_CORNERS = (0.25, 0.5, 0.75)
"""Cumulative chances of the first three corners."""
PUBLISHED_CORNERS = (0.25, 0.4375, 0.578125)
"""The same in the published code, where each branch draws a fresh number: right bottom gets 0.42."""
RIGHT_BOTTOM = (0.0, 0.0, 0.0)
"""Always the last corner."""


@dataclass(frozen=True)
class AugmentConfig:
    """How a sample is made of images; the defaults are those of NamedMask."""

    crop_size: int = option(384, "Side of a sample in pixels.", paper="384", where="code", at_least=16)
    resize_range: tuple[float, float] = option(
        (0.1, 1.0), "Range of the factor on an image's sides.", paper="0.1 to 1", where="code", above=0
    )
    color_jitter: float = option(
        1.0, "Strength of the changes of colours, greys and blur.", paper="1", where="code", at_least=0
    )
    copy_paste_max: int = option(2, "Most images a sample, 1 for no copy-paste.", paper="2", where="paper", at_least=1)
    uneven_padding: bool = option(
        False, "Keep the published augmentation's padding, whose four corners are not equally frequent."
    )
    crop_paste_box: bool = option(
        False, "Keep the published copy-paste's bounding box, which leaves out an object's last row and column."
    )

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        return (("resize_range", self.resize_range[0] <= self.resize_range[1], "two numbers, the lower one first"),)


def augment(
    image: ImageArray, labels: LabelArray, rng: Generator, config: AugmentConfig, *, pad_label: int = IGNORE
) -> tuple[UInt8[ndarray, "crop crop 3"], LabelArray]:
    """The whole chain, for one image.

    Args:
        image: RGB.
        labels: At the image's size.
        rng: Source of everything random.
        config: Size and strength of the changes.
        pad_label: Label of padding; the published training ignores it.

    Returns:
        Image [crop, crop, 3] and labels [crop, crop].
    """
    image, labels = random_scale(image, labels, rng, resize_range=config.resize_range)
    corners = PUBLISHED_CORNERS if config.uneven_padding else EVEN_CORNERS
    image, labels = pad_and_crop(image, labels, rng, crop_size=config.crop_size, pad_label=pad_label, corners=corners)
    image, labels = random_flip(image, labels, rng)
    return photometric(image, rng, strength=config.color_jitter), labels


def random_scale(
    image: ImageArray, labels: LabelArray, rng: Generator, *, resize_range: tuple[float, float] = (0.1, 1.0)
) -> tuple[ImageArray, LabelArray]:
    """Resize by a factor drawn uniformly from `resize_range`, sides rounded down; bilinear, labels nearest.

    A label is that of the pixel under the new one's centre; the published code takes the pixel at or before it, up to
    half a pixel off against the image, which no option keeps.
    """
    factor = rng.uniform(*resize_range)
    height, width = (max(1, int(side * factor)) for side in labels.shape)
    return resize(image, height=height, width=width), resize_labels(labels, height=height, width=width)


def pad_and_crop(
    image: ImageArray,
    labels: LabelArray,
    rng: Generator,
    *,
    crop_size: int,
    pad_label: int = IGNORE,
    corners: tuple[float, float, float] = EVEN_CORNERS,
) -> tuple[UInt8[ndarray, "crop crop 3"], LabelArray]:
    """Pad to at least `crop_size` on both sides in one random corner, then cut a random square.

    Padding is the image's mean colour, rounded down, and `pad_label`; `corners` says how often it is where.
    """
    height, width = labels.shape
    # where padding goes, and the crop's corner in the padded image
    on_left, on_top = CORNERS[int(np.searchsorted(corners, rng.random(), side="right"))]
    tall, wide = max(height, crop_size), max(width, crop_size)
    top, left = int(rng.integers(tall - crop_size + 1)), int(rng.integers(wide - crop_size + 1))
    # Crop's corner in the image's own pixels; negative where it begins in the padding.
    top -= tall - height if on_top else 0
    left -= wide - width if on_left else 0
    # the part of the image that the crop shows, and its place in the crop
    rows, columns = slice(max(top, 0), min(top + crop_size, height)), slice(max(left, 0), min(left + crop_size, width))
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    # padding first, the image over it
    cut = np.empty((crop_size, crop_size, 3), dtype=np.uint8)
    if height < crop_size or width < crop_size:
        cut[0] = _mean_colour(image)
        cut[1:] = cut[0]
    cut[inside] = image[rows, columns]
    cut_labels = np.full((crop_size, crop_size), pad_label, dtype=labels.dtype)
    cut_labels[inside] = labels[rows, columns]
    return cut, cut_labels


def _mean_colour(image: ImageArray) -> UInt8[ndarray, "3"]:
    """Mean over all pixels, rounded down."""
    height, width, _ = image.shape
    column_sums = image.reshape(height, width * 3).sum(axis=0, dtype=np.uint32)  # [width * 3]
    mean: UInt8[ndarray, "3"] = (column_sums.reshape(width, 3).sum(axis=0) // (height * width)).astype(np.uint8)
    return mean


def random_flip(image: ImageArray, labels: LabelArray, rng: Generator) -> tuple[ImageArray, LabelArray]:
    """Mirror left and right, one time in two."""
    if rng.random() < 0.5:
        return image[:, ::-1], labels[:, ::-1]
    return image, labels


def photometric(image: ImageArray, rng: Generator, *, strength: float = 1.0) -> ImageArray:
    """Colour jitter 8 times in 10, grey 2 times in 10, Gaussian blur 5 times in 10, in this order.

    The blur's kernel is a tenth of the image's height long, and one; its sigma is uniform from 0.1 to 2.

    Args:
        image: RGB.
        rng: Source of everything random.
        strength: Factor on the jitter's widths and on the chances of grey and blur; 0 changes nothing.
    """
    x = np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)  # [3, height, width]
    if rng.random() < 0.8:
        width, hue = 0.8 * strength, 0.2 * strength
        x = colour_jitter(x, rng, brightness=width, contrast=width, saturation=width, hue=hue)
    if rng.random() < 0.2 * strength:
        x = np.broadcast_to(_grey(x), x.shape)
    if rng.random() < 0.5 * strength:
        length = int(0.1 * image.shape[0] // 2 * 2) + 1
        x = gaussian_blur(x, length=length, sigma=rng.uniform(0.1, 2.0))
    # [3, height, width] -> [height, width, 3], rounded
    return np.stack(tuple((x + 0.5).astype(np.uint8)), axis=-1)  # faster than a copy of the transposed array


def colour_jitter(
    x: Planes,
    rng: Generator,
    *,
    brightness: float = 0.8,
    contrast: float = 0.8,
    saturation: float = 0.8,
    hue: float = 0.2,
) -> Planes:
    """Change brightness, contrast, saturation and hue, in random order, as torchvision's ColorJitter does.

    Values are cut to 0..255 after each change, but not rounded.

    Args:
        x: float32 [3, height, width], 0 to 255; not changed.
        rng: Draws each factor, then the order.
        brightness: Factor uniform from 1 - brightness to 1 + brightness; likewise `contrast` and `saturation`.
        contrast: On the distance to the mean grey.
        saturation: On the distance to the grey image.
        hue: Shift uniform from -hue to hue of the colour circle.
    """
    bright, contrasty, saturated = (1 + rng.uniform(-width, width) for width in (brightness, contrast, saturation))
    shift = rng.uniform(-hue, hue)
    changes: tuple[Callable[[Planes], Planes], ...] = (
        lambda x: _blend(x, np.float32(0), bright),
        lambda x: _blend(x, _grey(x).mean(), contrasty),
        lambda x: _blend(x, _grey(x), saturated),
        lambda x: shift_hue(x, shift),
    )
    for index in rng.permutation(len(changes)):
        x = changes[index](x)
    return x


def _grey(x: Planes) -> Float[ndarray, "height width"]:
    grey: Float[ndarray, "height width"] = 0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    return grey


def _blend(x: Planes, other: Float[ndarray, "..."] | np.float32, share: float) -> Planes:
    """`share` of x and the rest of `other`, cut to 0..255."""
    mixed = np.float32(share) * x
    mixed += np.float32(1 - share) * other
    return np.clip(mixed, 0, 255, out=mixed)


def shift_hue(x: Planes, shift: float) -> Planes:
    """Turn the hue by `shift` of the colour circle, keeping value and saturation (HSV)."""
    red, green, blue = x
    value = x.max(axis=0)
    chroma = value - x.min(axis=0)
    per_chroma = 1 / np.maximum(chroma, 1e-6)
    # Hue in sixths of the circle; grey pixels get any, their chroma is 0.
    hue = np.where(
        value == red,
        (green - blue) * per_chroma,
        np.where(value == green, (blue - red) * per_chroma + 2, (red - green) * per_chroma + 4),
    )
    # HSV to RGB: value - chroma * clip(min(k, 4 - k), 0, 1), where k = (hue + n) mod 6 with n = 5, 3, 1 for the planes
    place = hue + np.array([6 * shift + start + 6 for start in (5, 3, 1)], dtype=np.float32)[:, None, None]
    place -= 6 * np.floor(place * np.float32(1 / 6))
    np.minimum(place, 4 - place, out=place)
    np.clip(place, 0, 1, out=place)
    place *= chroma
    turned: Planes = np.subtract(value, place, out=place)
    return turned


def gaussian_blur(x: Planes, *, length: int, sigma: float) -> Planes:
    """Convolve with a normalised Gaussian of `length` (odd) taps; borders mirror without repeating the edge pixel.

    One matrix a side: at these sizes a dense product is faster than sliding a kernel.
    """
    _, height, width = x.shape
    down = torch.from_numpy(_blur_matrix(height, length, sigma))
    along = down if width == height else torch.from_numpy(_blur_matrix(width, length, sigma))
    return (down @ torch.from_numpy(np.ascontiguousarray(x)) @ along.T).numpy()


def _blur_matrix(size: int, length: int, sigma: float) -> Float[ndarray, "size size"]:
    offsets = np.arange(length) - length // 2
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    sources = np.abs(np.arange(size)[:, None] + offsets)  # [size, length], mirrored at 0
    sources = np.where(sources >= size, 2 * (size - 1) - sources, sources)  # and at the end
    # place of each weight in the flat matrix; mirrored taps that meet in one cell are added
    cells = np.arange(size)[:, None] * size + sources
    values = np.broadcast_to(weights / weights.sum(), cells.shape)
    flat = np.bincount(cells.ravel(), weights=values.ravel(), minlength=size * size)
    return flat.reshape(size, size).astype(np.float32)
