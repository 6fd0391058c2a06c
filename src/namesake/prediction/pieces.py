"""Split a label map into connected pieces, which stand for objects where a segmenter finds none."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.records import Instances, Prediction
from namesake.shapes import IGNORE, MaskArray

MOST_PIECES = 100
"""Of an image: as many as COCO's measure counts."""


class Pieces(NamedTuple):
    """Connected pieces (8 neighbours) of a label map, label by label.

    Attributes:
        numbers: int [height, width]; 0 = none, else 1 more than the piece's place in the other fields. May hold
            numbers of pieces that were left out, which are above those.
        labels: Label of each piece.
        scores: Score of each piece: mean confidence over its pixels, 0 to 1.
        left_out: Number of further ones.
    """

    numbers: Int[ndarray, "height width"]
    labels: tuple[int, ...]
    scores: tuple[float, ...]
    left_out: int

    def masks(self) -> Iterator[MaskArray]:
        """The mask of each piece, one at a time."""
        for number in range(1, len(self.labels) + 1):
            yield self.numbers == number


def find_pieces(prediction: Prediction, *, unsure: int = IGNORE, most: int = MOST_PIECES) -> Pieces:
    """Find the connected pieces of each label of a label map.

    ZUTIS's instance baseline for MaskCLIP (section 4.3) takes a semantic map as mask proposals.

    Args:
        prediction: Label map and confidence.
        unsure: Label of pixels that are of no piece, as background is.
        most: Keep so many, the largest.

    Returns:
        The pieces.
    """
    from scipy.ndimage import label, mean

    # pieces of all labels, numbered from 1 through all of them
    numbered = np.zeros(prediction.labels.shape, dtype=np.int64)
    labels: list[int] = []
    for each in np.unique(prediction.labels).tolist():
        if each not in {0, unsure}:
            own, count = label(prediction.labels == each, structure=np.ones((3, 3)))
            numbered = np.where(own, own + len(labels), numbered)
            labels += [each] * count
    # the largest, in the order of their numbers, with mean confidence
    sizes = np.bincount(numbered.ravel(), minlength=len(labels) + 1)[1:]
    kept = np.sort(np.argsort(-sizes, kind="stable")[:most])
    scores = np.asarray(mean(prediction.confidence, numbered, kept + 1)) if len(kept) else np.zeros(0)
    # old number to new: those left out share the number after the last
    table = np.full(len(labels) + 1, len(kept) + 1)
    table[0], table[kept + 1] = 0, np.arange(1, len(kept) + 1)
    return Pieces(table[numbered], tuple(labels[one] for one in kept), tuple(scores.tolist()), len(labels) - len(kept))


def pieces(prediction: Prediction, *, unsure: int = IGNORE) -> Instances:
    """The largest `MOST_PIECES` pieces of a label map as objects; see `find_pieces`."""
    found = find_pieces(prediction, unsure=unsure)
    masks = found.numbers[None] == np.arange(1, len(found.labels) + 1)[:, None, None]  # [pieces, height, width]
    return Instances(masks, found.labels, tuple(map(str, found.labels)), found.scores)
