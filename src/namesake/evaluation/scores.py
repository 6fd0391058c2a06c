"""Counts of label pairs, or pairs of masks, in; scores in percent (0 to 100) out. Each says how it averages.

Counts are those of `Confusion`: int64 [labels, labels + 1], rows true, columns predicted, the last column "not sure".
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from namesake.errors import DataError
from namesake.shapes import MaskArray

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


def mean_iou_over_images(counts_per_image: Iterable[Counts]) -> float:
    """Mean over images of the mean IoU within each image over the labels that occur in it, truly or by prediction.

    Images without any counted pixel are left out.
    """
    return _mean(np.array([mean_iou_over_dataset(counts) for counts in counts_per_image], dtype=np.float64))


def pixel_accuracy(counts: Counts) -> float:
    """Share of counted pixels whose predicted label is the true one, in percent; NaN where none was counted."""
    total = int(counts.sum())
    return 100 * float(np.trace(counts[:, : len(counts)])) / total if total else float("nan")


def mask_iou(prediction: MaskArray, truth: MaskArray) -> float:
    """Intersection over union of two masks in percent; 100 where both are empty."""
    _check_sizes(prediction, truth)
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
    _check_sizes(prediction, truth)
    common = np.count_nonzero(prediction & truth)
    weighted = np.count_nonzero(prediction) + beta_squared * np.count_nonzero(truth)
    return float(100 * (1 + beta_squared) * common / weighted) if weighted else 100.0


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

    _check_sizes(prediction, truth)
    near = np.ceil(0.0075 * np.hypot(*truth.shape)) if tolerance is None else tolerance
    found, wanted = _outline(prediction), _outline(truth)
    if not found.any() or not wanted.any():
        return 100.0 if found.any() == wanted.any() else 0.0
    precision = np.mean(distance_transform_edt(~wanted)[found] <= near)
    recall = np.mean(distance_transform_edt(~found)[wanted] <= near)
    return float(200 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _outline(mask: MaskArray) -> MaskArray:
    """Pixels of the mask with a neighbour, across an edge and within the picture, that is outside the mask."""
    outline = np.zeros_like(mask)
    across, down = mask[:, 1:] != mask[:, :-1], mask[1:] != mask[:-1]
    outline[:, 1:] |= across
    outline[:, :-1] |= across
    outline[1:] |= down
    outline[:-1] |= down
    outline &= mask
    return outline


def _mean(values: Float[ndarray, "n"]) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _check_sizes(prediction: MaskArray, truth: MaskArray) -> None:
    if prediction.shape != truth.shape:
        raise DataError(
            f"a mask of {prediction.shape} and a true mask of {truth.shape} do not fit; predict at the image's size."
        )
