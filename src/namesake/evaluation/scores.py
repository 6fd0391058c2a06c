"""Counts of label pairs in; scores in percent (0 to 100) out. Each says how it averages.

Counts are those of `Confusion`: int64 [labels, labels + 1], rows true, columns predicted, the last column "not sure".
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

Counts = Int[ndarray, "labels columns"]
Absent = Literal["left out", "zero"]


def iou_per_label(counts: Counts, *, absent: Absent = "left out") -> Float[ndarray, "labels"]:
    """Intersection over union of each label over all counted pixels, in percent.

    Args:
        counts: [labels, labels + 1], or [labels, labels].
        absent: What a label gets that occurs neither in the truth nor in the predictions: NaN ("left out", so that a
            mean over the labels that are not NaN is the published convention of VOC, COCO and Cityscapes), or 0
            ("zero", the convention of ImageNet-S).

    Returns:
        float64 [labels].
    """
    labels = len(counts)
    right = np.diagonal(counts[:, :labels])
    union = counts.sum(axis=1) + counts[:, :labels].sum(axis=0) - right
    ious = np.full(labels, np.nan if absent == "left out" else 0.0)
    np.divide(100.0 * right, union, out=ious, where=union > 0)
    return ious


def mean_iou_over_dataset(counts: Counts, *, absent: Absent = "left out") -> float:
    """Mean of `iou_per_label`, NaN left out; NaN where nothing was counted."""
    return _mean(iou_per_label(counts, absent=absent))


def pixel_accuracy(counts: Counts) -> float:
    """Share of counted pixels whose predicted label is the true one, in percent; NaN where none was counted."""
    total = int(counts.sum())
    return 100 * float(np.trace(counts[:, : len(counts)])) / total if total else float("nan")


def _mean(values: Float[ndarray, "n"]) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
