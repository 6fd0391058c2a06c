"""A model folder's own preprocessing in, RGB images turned into that network's input; knows no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from namesake.encoders.files import read_json
from namesake.errors import ImagesError, WeightsError
from namesake.images.geometry import Box, Method, bounded_scale, resize, resize_part, resize_shorter_side, shorter_side
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch

Photos = Sequence[UInt8[ndarray, "_ _ 3"]]
"""RGB images, 0 to 255, each of its own height and width."""

NetworkInput = Float[Tensor, "batch 3 input_height input_width"]
"""Images resized, cropped and normalised as the network wants them; float32."""

LONG = 16
"""An image whose resized longer side has more than so many times the crop's pixels is cut before it is resized."""

# PIL's numbers for its filters, as they stand in the files.
METHODS: dict[int, Method] = {0: "nearest", 2: "bilinear", 3: "bicubic"}

# What transformers' processors do where a file is silent; the others make squares, bilinear, without a crop.
CROPPING_TYPES = ("CLIP", "Bit")  # they also read a bare `"size": n` as the shorter side
BICUBIC_TYPES = ("CLIP", "Bit", "SiglipI")


@dataclass(frozen=True)
class Preprocessing:
    """How a network wants its images: resize, centre crop, scale, normalise; each step may be absent.

    Attributes:
        mean: Per channel, subtracted after scaling; (0, 0, 0) when the network wants none.
        std: Per channel, divided by; (1, 1, 1) when the network wants none.
        rescale_factor: Factor on pixel values 0 to 255; 1/255 for nearly all networks.
        shorter_side: Resize so that the shorter side has so many pixels, the longer one in proportion, rounded down.
        size: Resize to (height, width), whatever the proportions.
        crop: Then cut (height, width) from the centre, black outside the image.
        method: Interpolation: "nearest", "bilinear" or "bicubic".
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rescale_factor: float = 1 / 255
    shorter_side: int | None = None
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    method: Method = "bilinear"

    def shape(self, image: ImageArray) -> UInt8[ndarray, "input_height input_width 3"]:
        """Resize and crop one image of any size; still uint8. Of long, thin images only what is kept is resized."""
        if self.shorter_side is not None:
            height, width = shorter_side(*image.shape[:2], side=self.shorter_side)
            if self.crop is not None and max(height, width) > LONG * max(self.crop):
                tall, wide = min(height, self.crop[0]), min(width, self.crop[1])
                kept = Box((height - tall) // 2, (width - wide) // 2, tall, wide)
                image = resize_part(image, height=height, width=width, part=kept, method=self.method)
            else:
                image = resize_shorter_side(image, side=self.shorter_side, method=self.method)
        elif self.size is not None:
            image = resize(image, height=self.size[0], width=self.size[1], method=self.method)
        return image if self.crop is None else centre_crop(image, height=self.crop[0], width=self.crop[1])

    def normalise(self, images: Sequence[ImageArray]) -> ImageBatch:
        """Stack images of one size and normalise them, without resizing: float32 [batch, 3, height, width].

        Raises:
            ImagesError: There is no image, or they differ in size.
        """
        sizes = sorted({image.shape[:2] for image in images})
        if len(sizes) != 1:
            raise ImagesError(f"expected one or more images of one (height, width), found {sizes or 'no image'}.")
        batch = torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).to(torch.float32)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (self.mean, self.std))
        return (batch.mul_(self.rescale_factor) - mean).div_(std).contiguous()

    def fit_patches(self, images: Sequence[ImageArray], *, patch: int, size: int | None = None) -> ImageBatch:
        """Images of one size, resized to the nearest whole number of patches and normalised.

        Args:
            images: RGB.
            patch: Side of a patch in pixels.
            size: Resize so that the shorter side has about so many pixels; None keeps the images' own size. Both
                sides are rounded to the nearest multiple of the patch.

        Raises:
            ImagesError: There is no image, or they differ in size.
        """
        sizes = sorted({image.shape[:2] for image in images})
        if len(sizes) != 1:
            raise ImagesError(f"dense: expected one or more images of one (height, width), found {sizes or 'none'}.")
        scale = 1.0 if size is None else bounded_scale(*sizes[0], side=size)
        height, width = (max(1, round(side * scale / patch)) * patch for side in sizes[0])
        if (height, width) != sizes[0]:
            images = [resize(image, height=height, width=width, method=self.method) for image in images]
        return self.normalise(images)

    def apply(self, images: Photos) -> NetworkInput:
        """Everything: images of any sizes -> float32 [batch, 3, input height, input width], ready for the network."""
        return self.normalise([self.shape(image) for image in images])


IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""What ResNets were trained with, and the published segmenters normalise with, whatever their backbone; images keep
their size."""


def centre_crop(
    image: UInt8[ndarray, "old_height old_width 3"], *, height: int, width: int
) -> UInt8[ndarray, "{height} {width} 3"]:
    """Cut the centre; where the image is smaller, it lies in the centre of black (as transformers does it)."""
    tall, wide = (max(have, want) for have, want in zip(image.shape[:2], (height, width), strict=True))
    if (tall, wide) != image.shape[:2]:
        top, left = ceil((tall - image.shape[0]) / 2), ceil((wide - image.shape[1]) / 2)
        canvas = np.zeros((tall, wide, 3), dtype=np.uint8)
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        image = canvas
    top, left = (tall - height) // 2, (wide - width) // 2
    return image[top : top + height, left : left + width]


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read what the weights' own folder says.

    That is `processor_config.json` where it has an `image_processor` entry, else `preprocessor_config.json`.
    Nothing is assumed in place of a missing mean, standard deviation or size: wrong preprocessing fails silently.

    Raises:
        WeightsError: Neither file is there, or it lacks or garbles an entry that it needs.
    """
    file, entries = find_entries(folder)
    try:
        return parse(entries)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{file}: cannot be used as preprocessing, {type(error).__name__}: {error}.") from error


def find_entries(folder: Path) -> tuple[Path, Mapping[str, Any]]:
    """The file that holds the image preprocessing, and its entries."""
    for name, nested in (("processor_config.json", True), ("preprocessor_config.json", False)):
        file = folder / name
        if not file.is_file():
            continue
        entries = read_json(file)
        if not nested:
            return file, entries
        if "image_processor" in entries:
            return file, entries["image_processor"]
    raise WeightsError(
        f"{folder}: no preprocessor_config.json, so mean, standard deviation and size of the network's input are "
        "unknown. It lies beside the weights where they were published: copy it here."
    )


def parse(entries: Mapping[str, Any]) -> Preprocessing:
    """Entries of the file -> Preprocessing; absent `do_` switches mean yes, as transformers has it."""
    kind = str(entries.get("image_processor_type") or entries.get("feature_extractor_type") or "")
    crops = kind.startswith(CROPPING_TYPES)
    if entries.get("do_pad") or "crop_pct" in entries:
        raise ValueError("padding (do_pad) and crop_pct are not known here")
    shorter_side, size, crop = None, None, None
    if entries.get("do_resize", True):
        shorter_side, size = parse_size(entries["size"], bare_is_shorter_side=crops)
    if entries.get("do_center_crop", crops):
        crop = parse_size(entries["crop_size"], bare_is_shorter_side=False)[1]
    normalises = entries.get("do_normalize", True)
    resample = entries.get("resample", 3 if kind.startswith(BICUBIC_TYPES) else 2)
    if resample not in METHODS:
        raise ValueError(f"resample {resample}: expected one of {METHODS}")
    return Preprocessing(
        mean=three(entries["image_mean"]) if normalises else (0.0, 0.0, 0.0),
        std=three(entries["image_std"]) if normalises else (1.0, 1.0, 1.0),
        rescale_factor=float(entries.get("rescale_factor", 1 / 255)) if entries.get("do_rescale", True) else 1.0,
        shorter_side=shorter_side,
        size=size,
        crop=crop,
        method=METHODS[resample],
    )


def parse_size(size: Any, *, bare_is_shorter_side: bool) -> tuple[int | None, tuple[int, int] | None]:  # noqa: ANN401
    """A size entry, in any of its spellings -> (shorter side, None) or (None, (height, width))."""
    if isinstance(size, int):
        return (size, None) if bare_is_shorter_side else (None, (size, size))
    if isinstance(size, list):
        return None, (int(size[0]), int(size[1]))
    if "shortest_edge" in size and "longest_edge" not in size:
        return int(size["shortest_edge"]), None
    if "height" in size and "width" in size:
        return None, (int(size["height"]), int(size["width"]))
    raise ValueError(f"size {size}: expected shortest_edge, or height and width")


def three(values: Any) -> tuple[float, float, float]:  # noqa: ANN401
    """Three channels, checked."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue
