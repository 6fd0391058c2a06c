"""Non-maximum suppression of masks, compared as bits."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64
from numpy import ndarray

PackedMasks = UInt64[ndarray, "n words"]
"""Masks as bits, row by row of pixels; the last word is filled up with zeros."""


def suppress(
    masks: Bool[ndarray, "n height width"],
    scores: Float[ndarray, " n"],
    labels: Int[ndarray, " n"],
    *,
    overlap: float = 0.3,
    least: float = 0.001,
) -> Int[ndarray, " kept"]:
    """Hard non-maximum suppression by mask IoU within each label.

    The surest mask is kept and takes those with it whose IoU with it exceeds `overlap`; then the surest of the rest,
    and so on. Masks are compared as bits, within the pixel rows of the one that is kept, so that counts are exact.

    Args:
        masks: Masks of any overlap.
        scores: The higher the surer; equal ones in the order given.
        labels: Masks of different labels do not suppress each other.
        overlap: IoU = intersection / (union + 1e-7).
        least: Masks with a score up to this are dropped.

    Returns:
        Indices of the kept masks, from the surest to the least sure.
    """
    return suppress_packed(pack(masks), scores, labels, overlap=overlap, least=least)


def suppress_packed(
    packed: PackedMasks,
    scores: Float[ndarray, " n"],
    labels: Int[ndarray, " n"],
    *,
    overlap: float,
    least: float = 0.001,
) -> Int[ndarray, " kept"]:
    """`suppress` of masks that are bits already."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > least]
    area = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    kept: list[int] = []
    for label in np.unique(labels[order]):
        kept += _suppress_one_label(packed, area, order[labels[order] == label], overlap)
    found = np.asarray(kept, dtype=np.int64)
    return found[np.lexsort((found, -scores[found]))]  # surest first, equal ones in the order given


def _suppress_one_label(
    packed: PackedMasks, area: Int[ndarray, " n"], order: Int[ndarray, " m"], overlap: float
) -> list[int]:
    """Indices kept out of `order`, which runs from the surest to the least sure mask of one label."""
    kept = []
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        # words of bits outside the kept mask's first and last can have nothing in common with it
        filled = np.flatnonzero(packed[best])
        span = slice(filled[0], filled[-1] + 1) if len(filled) else slice(0)
        common = np.bitwise_count(packed[order, span] & packed[best, span]).sum(axis=1, dtype=np.int64)
        order = order[common / (area[best] + area[order] - common + 1e-7) <= overlap]
    return kept


def pack(masks: Bool[ndarray, "n height width"]) -> PackedMasks:
    """Masks as bits."""
    packed = np.packbits(masks.reshape(len(masks), masks.shape[1] * masks.shape[2]), axis=1)
    # bytes filled up to whole words of eight
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(np.uint64)


def unpack(packed: PackedMasks, height: int, width: int) -> Bool[ndarray, "n height width"]:
    """Masks from bits."""
    pixels = np.unpackbits(packed.view(np.uint8), axis=1, count=height * width)
    return pixels.view(np.bool_).reshape(len(packed), height, width)
