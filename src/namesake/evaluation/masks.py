"""Pairs of masks in; how much of their area agrees out, in percent (0 to 100)."""

import numpy as np

from namesake.errors import DataError
from namesake.shapes import MaskArray


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
