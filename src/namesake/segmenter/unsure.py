"""Of a collection's predictions, the least sure share of each label's pixels becomes "not sure"; no truth is used.

What a trained ZUTIS keeps of its training for the same purpose is `training.certainty`.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int, Integer
from numpy import ndarray

from namesake.records import Names
from namesake.shapes import LabelArray

LEVELS = 256
SURE = 242
"""Confidence, of 255, that is never called unsure: 0.95."""

Confidence = Integer[ndarray, "height width"]
"""Confidence of each pixel's label, 0 to 255 = certain."""


def least_confidence(
    maps: Iterable[tuple[LabelArray, Confidence]], names: Names, share: float, *, at_most: int = SURE
) -> Int[ndarray, " labels"]:
    """The least confidence by label, from all pixels of a collection.

    Args:
        maps: Label map and confidence of each image; memory does not grow with their number.
        names: Names of the labels.
        share: Share of each label's pixels that may be below its least confidence.
        at_most: Confidence from which on no pixel is unsure.

    Returns:
        int [1 + names], 0 to `at_most`: pixels whose confidence is lower are not sure.
    """
    labels = len(names) + 1
    # counts of pixels by label and confidence, as one number each: label * 256 + confidence
    counts = np.zeros(labels * LEVELS, dtype=np.int64)
    for label_map, confidence in maps:
        known = label_map < labels
        counts += np.bincount(label_map[known].astype(np.int64) * LEVELS + confidence[known], minlength=len(counts))
    # up_to [labels, levels]: pixels of at most that confidence; least: levels that hold no more than the share
    up_to = counts.reshape(labels, LEVELS).cumsum(axis=1)
    least = (up_to <= share * up_to[:, -1:]).sum(axis=1)
    return np.where(up_to[:, -1] > 0, np.minimum(least, at_most), 0) if share else np.zeros(labels, dtype=np.int64)


def blank_unsure(
    labels: LabelArray, confidence: Confidence, least: Int[ndarray, " labels"], *, unsure: int
) -> LabelArray:
    """A label map whose pixels of too little confidence have the label `unsure`."""
    # labels beyond the names, such as "not sure" itself, have the limit 0
    limits = np.append(least, 0)[np.minimum(labels, len(least))]
    return np.where(confidence < limits, unsure, labels)
