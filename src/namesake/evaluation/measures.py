"""True and predicted label maps, image by image, in; the scores beside the dataset's table of counts out, in percent.

What is kept does not grow with the number of images. Labels are those of `Terms`: 0 background, then names.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from namesake.evaluation.benchmarks import Measure
from namesake.evaluation.boundary import boundary_f
from namesake.evaluation.confusion import Confusion
from namesake.evaluation.masks import f_beta, mask_iou
from namesake.evaluation.scores import mean_iou_over_dataset
from namesake.evaluation.sizes import ObjectSizes
from namesake.shapes import LabelArray


@final
class Measures:
    """Scores that are means over images, or of objects by size.

    "images": mean over images of the mean IoU within each. "foreground": mean over images of IoU and F-beta (0.3) of
    all names against background. "boundary": likewise, of the outline's F. "sizes": see `ObjectSizes`.

    Args:
        chosen: Which.
        labels: Number of labels, background included; that number itself marks pixels that do not count (truth) or
            that nobody is sure of (prediction).
    """

    def __init__(self, chosen: Sequence[Measure], *, labels: int) -> None:
        self._chosen, self._labels = chosen, labels
        self._sizes = ObjectSizes(labels) if "sizes" in chosen else None
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._chosen)

    def add(self, truth: LabelArray, prediction: LabelArray) -> None:
        """Count one image."""
        if self._sizes is not None:
            self._sizes.add(truth, prediction)
        if "images" in self._chosen:
            self._add("mean_iou_over_images", image_iou(truth, prediction, labels=self._labels))
        if "foreground" in self._chosen or "boundary" in self._chosen:
            counted = truth != self._labels
            found, wanted = (counted & (each > 0) & (each < self._labels) for each in (prediction, truth))
            if "foreground" in self._chosen:
                self._add("foreground_iou_over_images", mask_iou(found, wanted))
                self._add("foreground_f_beta_over_images", f_beta(found, wanted))
            if "boundary" in self._chosen:
                self._add("foreground_boundary_f_over_images", boundary_f(found, wanted))

    def scores(self) -> Mapping[str, float]:
        """Each measure by name; NaN where nothing was counted."""
        means = {name: self._sums[name] / count if count else float("nan") for name, count in self._counts.items()}
        return means if self._sizes is None else {**means, **self._sizes.scores()}

    def _add(self, name: str, value: float) -> None:
        known = not np.isnan(value)
        self._sums[name] = self._sums.get(name, 0.0) + (value if known else 0.0)
        self._counts[name] = self._counts.get(name, 0) + known


def image_iou(truth: LabelArray, prediction: LabelArray, *, labels: int) -> float:
    """Mean IoU in percent within one image, over the labels that occur in it, truly or by prediction.

    Args:
        truth: `labels` marks pixels that do not count.
        prediction: `labels` marks pixels that nobody is sure of.
        labels: Number of labels.

    Returns:
        NaN where no pixel counts.
    """
    counted = truth != labels
    present = np.union1d(truth[counted], prediction[counted])
    present = present[present < labels]
    table = np.full(labels + 1, len(present), dtype=np.int64)
    table[present] = np.arange(len(present))
    confusion = Confusion(len(present), ignore=len(present), not_sure=len(present))
    confusion.add(table[truth], table[np.where(counted, prediction, labels)])
    return mean_iou_over_dataset(confusion.counts)
