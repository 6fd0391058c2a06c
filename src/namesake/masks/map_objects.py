"""A label map and its image in; the objects in it out. It knows no network.

They are the connected pieces of each label, each drawn to the image's edges by the bilateral solver.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from namesake.images.geometry import resize, resize_labels, scaled
from namesake.masks.bilateral import PUBLISHED
from namesake.records import Instances, Names, Prediction
from namesake.shapes import ImageArray, MaskArray

MOST = 100
"""Objects of an image, the largest: as many as COCO's measure counts."""
SOLVED, LEAST_IOU = 512, 0.5
"""Longer side in pixels at which the solver works; a mask that it changes by more than this is left as it was."""
LARGE = 0.02
"""Share of the image from which on an object's score is no lower for its size."""

Mask = Bool[ndarray, "rows columns"]


def map_objects(prediction: Prediction, image: ImageArray, names: Names) -> Instances:
    """The objects of a label map; `MOST` at most.

    Args:
        prediction: Label map and confidence; only labels of `names` are of objects.
        image: RGB, of the label map's size.
        names: The label of the i-th is i, counted from 1.

    Returns:
        Objects, by label; the score is the mean confidence, lowered for small ones by the root of their size.
    """
    from scipy.ndimage import find_objects, label

    # candidates: the pieces of each label, connected also by corners, each within its box
    boxed: list[tuple[int, tuple[slice, slice], Mask]] = []
    for own in range(1, len(names) + 1):
        numbers, _ = label(prediction.labels == own, structure=np.ones((3, 3)))
        boxed += [(own, box, numbers[box] == number) for number, box in enumerate(find_objects(numbers), start=1)]
    # the largest of them, still by label
    largest = np.sort(np.argsort([-np.count_nonzero(piece) for *_, piece in boxed], kind="stable")[:MOST])
    masks = np.zeros((len(largest), *prediction.labels.shape), dtype=np.bool_)
    scores = []
    for place, chosen in enumerate(largest):
        _, box, piece = boxed[chosen]
        masks[place][box] = piece
        scores.append(
            float(prediction.confidence[masks[place]].mean()) * min(1.0, (masks[place].mean() / LARGE) ** 0.5)
        )
    # only now, since the scores are of the masks as the map has them
    for place, mask in enumerate(_drawn(masks, image)):
        masks[place] = mask
    labels = tuple(boxed[chosen][0] for chosen in largest)
    return Instances(masks, labels, tuple(names.names[own - 1] for own in labels), tuple(scores))


def _drawn(masks: Bool[ndarray, "n height width"], image: ImageArray) -> Iterator[MaskArray]:
    """Each mask drawn to the image's edges, or as it is where that would make another of it."""
    height, width = image.shape[:2]
    shrunk = min(1.0, SOLVED / max(height, width))
    size = scaled(image, shrunk)
    small = resize(image, **size, method="bilinear") if shrunk < 1 else image
    for mask in masks:
        solved = PUBLISHED.refine(small, resize_labels(mask, **size) if shrunk < 1 else mask)
        whole = resize_labels(solved, height=height, width=width) if shrunk < 1 else solved
        either = np.count_nonzero(whole | mask)
        yield whole if np.count_nonzero(whole & mask) >= LEAST_IOU * either else mask
