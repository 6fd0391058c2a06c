"""Scores of label maps and masks in percent (0 to 100), each with the averaging that its name or docstring says.

Counts are those of `Confusion`: int64 [labels, labels + 1], rows true, columns predicted, the last column "not sure".
Label maps have 0 for background, then names, and the number of labels for pixels that do not count (truth) or that
nobody is sure of (prediction), as `Terms` makes them. What is kept does not grow with the number of images.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.evaluation.benchmarks import Measure
from namesake.evaluation.confusion import Confusion
from namesake.images.geometry import next_to_change
from namesake.shapes import LabelArray, MaskArray

Counts = Int[ndarray, "labels columns"]
Absent = Literal["left out", "zero"]

LIMITS = np.array([5, 25, 50])
"""Largest share of the image, in whole percent rounded up, of small, medium small and medium large objects."""
SIZES = ("small", "medium_small", "medium_large", "large")


def iou_per_label(counts: Counts, *, absent: Absent = "left out") -> Float[ndarray, " labels"]:
    """Intersection over union of each label over all counted pixels, in percent.

    Args:
        counts: [labels, labels + 1], or [labels, labels].
        absent: Score of a label that occurs neither in the truth nor in the predictions: NaN ("left out", so that a
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


def _mean(values: Float[ndarray, " n"]) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def mask_iou(prediction: MaskArray, truth: MaskArray) -> float:
    """Intersection over union of two masks in percent; 100 where both are empty."""
    check_sizes(prediction, truth)
    union = np.count_nonzero(prediction | truth)
    return float(100 * np.count_nonzero(prediction & truth) / union) if union else 100.0


def f_beta(prediction: MaskArray, truth: MaskArray, *, beta_squared: float = 0.3) -> float:
    """Weighted harmonic mean of precision and recall over the pixels of a mask, in percent.

    Args:
        prediction: The mask found.
        truth: The true mask, of the same size.
        beta_squared: Weight of recall; 0.3 is usual for saliency (Achanta et al., CVPR 2009, Eq. 9). Published numbers
            of SelfMask took 0.3 for beta itself: 0.09 here.

    Returns:
        0 where the two have no pixel in common, 100 where both are empty.
    """
    check_sizes(prediction, truth)
    # (1 + b) P R / (b P + R) with P = common / found, R = common / true: no empty mask divides
    common = np.count_nonzero(prediction & truth)
    weighted = np.count_nonzero(prediction) + beta_squared * np.count_nonzero(truth)
    return float(100 * (1 + beta_squared) * common / weighted) if weighted else 100.0


def check_sizes(prediction: MaskArray, truth: MaskArray) -> None:
    """Both are of one size.

    Raises:
        DataError: They are not.
    """
    if prediction.shape != truth.shape:
        raise DataError(
            f"a mask of {prediction.shape} and a true mask of {truth.shape} do not fit; predict at the image's size."
        )


def boundary_f(prediction: MaskArray, truth: MaskArray, *, tolerance: float | None = None) -> float:
    """How well the outline of a mask follows the true one: F1 of outline pixels that lie near the other outline.

    Martin et al. (PAMI 2004) as used for masks by Perazzi et al. (CVPR 2016, section 3), with distances instead of a
    one-to-one matching. An outline is the pixels of a mask that touch, across an edge, a pixel outside of it; the
    picture's border is no outline.

    Args:
        prediction: The mask found.
        truth: The true mask, of the same size.
        tolerance: Largest Euclidean distance in pixels that counts as near; 0.75 percent of the diagonal, rounded up,
            if None.

    Returns:
        Percent; 100 where neither has an outline, 0 where only one has.
    """
    from scipy.ndimage import distance_transform_edt

    check_sizes(prediction, truth)
    near = np.ceil(0.0075 * np.hypot(*truth.shape)) if tolerance is None else tolerance
    # outlines of the two, and how far each outline pixel is from the other outline
    found, wanted = (next_to_change(mask) & mask for mask in (prediction, truth))
    if not found.any() or not wanted.any():
        return 100.0 if found.any() == wanted.any() else 0.0
    precision = np.mean(distance_transform_edt(~wanted)[found] <= near)
    recall = np.mean(distance_transform_edt(~found)[wanted] <= near)
    return float(200 * precision * recall / (precision + recall)) if precision + recall else 0.0


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
    # labels that occur are numbered anew, so that the table of counts is small
    table = np.full(labels + 1, len(present), dtype=np.int64)
    table[present] = np.arange(len(present))
    confusion = Confusion(len(present), ignore=len(present), not_sure=len(present))
    confusion.add(table[truth], table[np.where(counted, prediction, labels)])
    return mean_iou_over_dataset(confusion.counts)


@final
class ObjectSizes:
    """Mean IoU of objects by their share of the image.

    Gao et al., Large-scale Unsupervised Semantic Segmentation (PAMI 2022), https://arxiv.org/abs/2106.03149, as the
    evaluator of ImageNet-S counts: all pixels of a name in an image are one object. Each image's pixels count in the
    table of every size that it has an object of: that object's, and background's.

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
        # share of each label in whole percent, rounded up, and the size that it falls into
        size = np.searchsorted(LIMITS, -(-100 * areas // total))
        objects = (areas > 0) & (np.arange(self._labels) > 0)
        for number, table in enumerate(self._tables.values()):
            kept = objects & (size == number)
            if kept.any():
                # labels of other sizes do not count here; background always does
                kept[0] = True
                renamed = np.append(np.where(kept, np.arange(self._labels), self._labels), self._labels)
                table.add(renamed[truth], prediction)

    def scores(self) -> Mapping[str, float]:
        """Mean IoU by size over the labels with true pixels, background among them; NaN where there is no object."""
        return {f"mean_iou_{size}_objects": _mean_of_true(table) for size, table in self._tables.items()}


def _mean_of_true(table: Confusion) -> float:
    true = table.counts.sum(axis=1) > 0
    return float(iou_per_label(table.counts)[true].mean()) if true.any() else float("nan")


@final
class Measures:
    """Scores that are means over images, or of objects by size.

    "images": mean over images of the mean IoU within each. "foreground": mean over images of IoU and F-beta (0.3) of
    all names against background. "boundary": likewise, of the outline's F. "sizes": see `ObjectSizes`.

    Args:
        chosen: Masks that are chosen.
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
