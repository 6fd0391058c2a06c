import numpy as np

from namesake.prediction.pieces import find_pieces, pieces
from namesake.records import Prediction

LABELS = np.array([[1, 1, 0, 2], [0, 0, 1, 2], [255, 0, 0, 0], [2, 2, 2, 0]])


def predicted(labels: np.ndarray) -> Prediction:
    return Prediction(labels, (np.arange(labels.size, dtype=np.float32) / labels.size).reshape(labels.shape))


def test_pieces__touching_at_a_corner_is_one_piece():
    found = pieces(predicted(LABELS))
    assert found.labels == (1, 2, 2)
    assert [mask.sum() for mask in found.masks] == [3, 2, 3]
    assert np.array_equal(found.masks[0], LABELS == 1)
    assert found.scores[1] == np.float32((3 + 7) / 2 / 16)


def test_pieces__one_at_a_time_as_all_together():
    found = find_pieces(predicted(LABELS))
    assert np.array_equal(np.stack(list(found.masks())), pieces(predicted(LABELS)).masks)
    assert found.left_out == 0


def test_pieces__the_largest_are_kept():
    found = find_pieces(predicted(LABELS), most=2)
    assert (found.labels, found.left_out) == ((1, 2), 1)
    assert [mask.sum() for mask in found.masks()] == [3, 3]


def test_pieces__none():
    found = find_pieces(predicted(np.array([[0, 255]])))
    assert (found.labels, found.scores, list(found.masks())) == ((), (), [])
