"""Encode binary masks as compressed COCO run-length codes, and decode them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.shapes import MaskArray


def encode(mask: MaskArray) -> bytes:
    """Compressed counts of one mask, as in the `counts` of a COCO annotation; its height and width are kept apart."""
    return encode_batch(mask[None])[0]


def encode_batch(masks: Bool[ndarray, "n height width"]) -> list[bytes]:
    """Compressed counts of several masks of one size."""
    from pycocotools import mask as coco

    # pycocotools reads [height, width, n] in column-major order: columns of one mask after another.
    columns_first = np.ascontiguousarray(masks.transpose(0, 2, 1)).view(np.uint8)
    return [code["counts"] for code in coco.encode(columns_first.transpose(2, 1, 0))] if len(masks) else []


def decode(rle: bytes, height: int, width: int) -> MaskArray:
    """The mask of a compressed code.

    Raises:
        DataError: The code is damaged, or its runs do not make `height` x `width` pixels.
    """
    runs = run_lengths(rle)
    if runs.sum() != height * width or (runs < 0).any():
        raise DataError(
            f"a run-length code holds {runs.sum()} pixels where {height} x {width} = {height * width} were expected; "
            "the mask file is damaged or its sizes belong to another image. Write the masks again."
        )
    # runs outside and inside take turns, down one column after another: [width, height], then turned
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def decode_batch(rles: Sequence[bytes], height: int, width: int) -> Bool[ndarray, "n height width"]:
    """The masks of several codes of one size."""
    masks = np.zeros((len(rles), height, width), dtype=bool)
    for mask, rle in zip(masks, rles, strict=True):
        mask[:] = decode(rle, height, width)
    return masks


def area(rle: bytes) -> int:
    """Number of pixels of the mask, without decoding it."""
    return int(run_lengths(rle)[1::2].sum())


def run_lengths(rle: bytes) -> Int[ndarray, " runs"]:
    """Lengths of the runs in column-major order; even ones are outside the mask, odd ones inside.

    COCO's code writes a length as characters of 5 bits (offset 48), lowest first, a sixth bit for "more follows" and
    the sign in the last one's highest bit; from the fourth length on it writes the difference to the one before last.

    Raises:
        DataError: The last length is cut off.
    """
    characters = np.frombuffer(rle, np.uint8).astype(np.int64) - 48
    # the last and the first character of each length
    last = np.flatnonzero((characters & 0x20) == 0)
    if len(last) == 0 or last[-1] != len(characters) - 1 or characters.min() < 0:
        raise DataError(f"a run-length code of {len(rle)} bytes is cut off or damaged. Write the masks again.")
    first = np.concatenate(([0], last[:-1] + 1))
    # 5 bits a character, by its place within its length
    place = np.arange(len(characters)) - np.repeat(first, last - first + 1)
    runs = np.add.reduceat((characters & 0x1F) << (5 * place), first)
    # a sign bit counts negative (two's complement)
    runs -= ((characters[last] & 0x10) > 0).astype(np.int64) << (5 * (last - first + 1))
    # undo the differences, inside and outside apart
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs
