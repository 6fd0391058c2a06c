"""Objects of a label map: its pieces, drawn to the image's edges, however large the image is."""

import numpy as np
import pytest

from namesake.masks.map_objects import MOST, map_objects
from namesake.records import Names, Prediction

NAMES = Names(("ball", "box"))


def disc(height: int, width: int, row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def scene(*things: tuple[np.ndarray, int]) -> tuple[Prediction, np.ndarray]:
    """Bright things on a dark ground, and what a segmenter that draws them exactly says of it."""
    labels = np.zeros(things[0][0].shape, dtype=np.uint8)
    image = np.full((*labels.shape, 3), 30, dtype=np.uint8)
    for mask, label in things:
        labels[mask] = label
        image[mask] = (220, 200, 60) if label == 1 else (60, 90, 220)
    return Prediction(labels, np.where(labels, 0.9, 0.5).astype(np.float32)), image


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def test_names_that_touch_keep_their_border_and_background_has_none() -> None:
    box = np.zeros((96, 96), bool)
    box[40:80, 50:90] = True
    ball = disc(96, 96, 60, 30, 21) & ~box
    read, image = scene((ball, 1), (box, 2))
    found = map_objects(read, image, NAMES)
    assert found.labels == (1, 2)
    assert [iou(mask, each) for mask, each in zip(found.masks, (ball, box), strict=True)] == pytest.approx(
        [1, 1], abs=0.1
    )


def test_ragged_mask_is_drawn_to_the_edge_and_a_small_one_is_kept() -> None:
    truth = disc(96, 96, 48, 48, 25)
    read, image = scene((truth, 1))
    rng = np.random.default_rng(0)
    ragged = np.kron(rng.random((12, 12)) < 0.5, np.ones((8, 8))).astype(bool) & (
        disc(96, 96, 48, 48, 31) ^ disc(96, 96, 48, 48, 20)
    )
    rough = (truth | ragged) & ~(ragged & truth)
    labels = rough.astype(np.uint8)
    labels[2:5, 2:5] = 2  # without an edge in the image
    found = map_objects(Prediction(labels, read.confidence), image, NAMES)
    largest = int(np.argmax(found.masks.sum(axis=(1, 2))))
    assert iou(found.masks[largest], truth) > iou(rough, truth) + 0.05
    assert np.array_equal(found.masks[found.labels.index(2)], labels == 2)


def test_score__confidence_and_less_for_small_ones() -> None:
    big, small = disc(100, 100, 50, 60, 25), disc(100, 100, 10, 10, 4)
    read, image = scene((big, 1), (small, 2))
    found = dict(zip(found_names(read, image), map_objects(read, image, NAMES).scores, strict=True))
    assert found["ball"] == pytest.approx(0.9)
    assert found["box"] == pytest.approx(0.9 * (small.mean() / 0.02) ** 0.5, rel=1e-5)


def found_names(read: Prediction, image: np.ndarray) -> tuple[str, ...]:
    return map_objects(read, image, NAMES).names


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (700, 40)])
def test_any_size(size: tuple[int, int]) -> None:
    labels = np.ones(size, dtype=np.uint8)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found = map_objects(Prediction(labels, np.full(size, 0.8, np.float32)), image, NAMES)
    assert found.masks.shape[1:] == size
    assert set(found.labels) == {1}


def test_nothing_and_not_sure() -> None:
    labels = np.where(np.arange(64).reshape(8, 8) % 2, 255, 0).astype(np.uint8)
    found = map_objects(Prediction(labels, np.ones((8, 8), np.float32)), np.zeros((8, 8, 3), np.uint8), NAMES)
    assert (found.masks.shape, found.labels) == ((0, 8, 8), ())


def test_many__the_largest_are_kept() -> None:
    labels = np.zeros((64, 64), dtype=np.uint8)
    labels[::4, ::4] = 1
    labels[40:60, 1:30] = 2
    found = map_objects(Prediction(labels, np.ones(labels.shape, np.float32)), np.zeros((64, 64, 3), np.uint8), NAMES)
    assert len(found.labels) == MOST
    assert 2 in found.labels
