"""True and predicted label maps in, mean IoU of objects by their share of the image out, in percent.

Gao et al., Large-scale Unsupervised Semantic Segmentation (PAMI 2022), https://arxiv.org/abs/2106.03149, as the
evaluator of ImageNet-S counts: all pixels of a name in an image are one object.
"""

from collections.abc import Mapping
from typing import final

import numpy as np

from namesake.evaluation.confusion import Confusion
from namesake.evaluation.scores import iou_per_label
from namesake.shapes import LabelArray

LIMITS = np.array([5, 25, 50])
"""Largest share of the image, in whole percent rounded up, of small, medium small and medium large objects."""
SIZES = ("small", "medium_small", "medium_large", "large")


@final
class ObjectSizes:
    """Counts each image's pixels in the table of every size that it has an object of: that object's, and background's.

    Args:
        labels: Number of labels, background included; that number itself marks pixels that do not count (truth) or
            that nobody is sure of (prediction).
    """

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._tables = {size: Confusion(labels, ignore=labels, not_sure=labels) for size in SIZES}

    def add(self, truth: LabelArray, prediction: LabelArray) -> None:
        """Count one image."""
        areas = np.bincount(truth.ravel(), minlength=self._labels + 1)[: self._labels]
        total = max(int(areas.sum()), 1)
        size = np.searchsorted(LIMITS, -(-100 * areas // total))
        objects = (areas > 0) & (np.arange(self._labels) > 0)
        for number, table in enumerate(self._tables.values()):
            kept = objects & (size == number)
            if kept.any():
                kept[0] = True
                renamed = np.append(np.where(kept, np.arange(self._labels), self._labels), self._labels)
                table.add(renamed[truth], prediction)

    def scores(self) -> Mapping[str, float]:
        """Mean IoU by size over the labels with true pixels, background among them; NaN where there is no object."""
        return {f"mean_iou_{size}_objects": _mean_of_true(table) for size, table in self._tables.items()}


def _mean_of_true(table: Confusion) -> float:
    true = table.counts.sum(axis=1) > 0
    return float(iou_per_label(table.counts)[true].mean()) if true.any() else float("nan")
