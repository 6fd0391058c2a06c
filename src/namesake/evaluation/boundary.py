"""Pairs of masks in; how well their outlines agree out, in percent (0 to 100)."""

import numpy as np

from namesake.evaluation.masks import check_sizes
from namesake.shapes import MaskArray


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
