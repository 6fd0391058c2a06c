"""Find the salient object of images with a saliency network, at the images' size.

The inference of SelfMask as NamedMask (section 4.2) and ZUTIS use it: the most object-like query's mask, drawn to the
image's edges by the bilateral solver.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.encoders.vit import patch_size
from namesake.images.geometry import Resized, resize_longer_side, resize_shorter_side
from namesake.masks.batches import by_size
from namesake.masks.bilateral import PUBLISHED, BilateralSolver
from namesake.networks.selfmask import SelfMask
from namesake.shapes import ImageArray, MaskArray
from namesake.tensors import ImageBatch

AnySize = UInt8[ndarray, "_ _ 3"]
"""An RGB image; those of a sequence differ in size."""
LONGEST_TO_SHORTEST = 4
"""Longer images than this are resized by their longer side, so that no image makes the network's input huge."""


class Shrunk(NamedTuple):
    """An image as a network sees it, with its id and the height and width that its file has."""

    image_id: str
    image: ImageArray
    height: int
    width: int


class Detection(NamedTuple):
    """The salient object of an image.

    Attributes:
        mask: At the image's size; may be empty.
        score: Objectness of the query that found it, 0 to 1.
    """

    mask: MaskArray
    score: float


def detect(
    network: SelfMask,
    images: Sequence[AnySize],
    *,
    solver: BilateralSolver | None = PUBLISHED,
    batch_size: int = 8,
) -> list[Detection]:
    """Find the salient object of each image.

    Args:
        network: Network in evaluation mode.
        images: Images of any sizes; those that are of one size after resizing go through the network together.
        solver: Redraws the masks; None leaves them as the network has them.
        batch_size: Images a step of the network.
    """
    resized = [shrink(image, side=input_side(network)) for image in images]
    proposed = propose_all(network, resized, batch_size=batch_size)
    return [
        Detection(finish(mask, small, solver=solver, height=image.shape[0], width=image.shape[1]), score)
        for (mask, score), small, image in zip(proposed, resized, images, strict=True)
    ]


def input_side(network: SelfMask) -> int | None:
    """Shorter side in pixels that the network wants its images to have; None for their own."""
    return network.config.preprocessing.shorter_side


def shrink(image: ImageArray, *, side: int | None) -> Resized:
    """Resize, up or down, so that the shorter side is `side` pixels; bilinear, as Pillow does it.

    Where the longer side would become more than four times that, it becomes just so long instead.
    """
    if side is None:
        return image
    if max(image.shape[:2]) > LONGEST_TO_SHORTEST * min(image.shape[:2]):
        return resize_longer_side(image, side=LONGEST_TO_SHORTEST * side)
    return resize_shorter_side(image, side=side)


@torch.inference_mode()
def probabilities(
    network: SelfMask, images: Sequence[ImageArray]
) -> tuple[Float[Tensor, "batch height width"], Float[Tensor, " batch"]]:
    """Probability of each pixel to be in the mask of the most object-like query, and that query's objectness.

    Args:
        network: Network in evaluation mode.
        images: Images of one size, resized already.

    Returns:
        float32 at the images' size, and the objectness of each, both 0 to 1 and on the network's device.
    """
    device = network.query_embed.device
    return most_salient(network, network.config.preprocessing.normalise(images).to(device))


def most_salient(
    network: SelfMask, x: ImageBatch
) -> tuple[Float[Tensor, "batch height width"], Float[Tensor, " batch"]]:
    """As `probabilities`, for normalised images."""
    found = network(x)
    score, query = found.objectness.sigmoid().max(dim=1)  # [batch] both, the best of the queries
    probs = found.mask_probs[torch.arange(len(x), device=x.device), query]  # [batch, rows, columns]
    # Back to the padded input, whose padding is cut off: by indices, since a slice would tie a traced graph to sizes.
    factor = patch_size(network.encoder) / 2  # the network's masks are twice as fine as its patches
    fine = functional.interpolate(probs[:, None], scale_factor=factor, mode="bilinear", align_corners=False)
    rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
    return fine[:, 0, rows[:, None], columns], score


def propose_all(network: SelfMask, images: Sequence[AnySize], *, batch_size: int) -> list[Detection]:
    """Masks of the most object-like queries, before the solver, and their objectness, 0 to 1; order is kept.

    Args:
        network: Network in evaluation mode.
        images: Images of any sizes, resized already; those of one size go through the network together.
        batch_size: Images a step of the network.
    """

    def propose(some: list[ImageArray]) -> Iterator[Detection]:
        probs, scores = probabilities(network, some)
        return map(Detection, (probs > 0.5).cpu().numpy(), scores.float().tolist())

    return by_size(images, propose, most=lambda _: batch_size)


def finish(
    mask: MaskArray, image: ImageArray, *, solver: BilateralSolver | None, height: int, width: int
) -> Bool[ndarray, "full_height full_width"]:
    """Redraw a mask to the edges of its resized image, and bring it to the original size.

    Args:
        mask: Mask of the size of `image`.
        image: Resized.
        solver: None leaves the mask as it is.
        height: Height of the original.
        width: Width of the original.
    """
    redrawn = mask if solver is None else solver.refine(image, mask)
    # Nearest neighbour as torch has it (the pixel at or before, not under the centre): as published.
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    original: Bool[ndarray, "full_height full_width"] = redrawn[rows[:, None], columns]
    return original
