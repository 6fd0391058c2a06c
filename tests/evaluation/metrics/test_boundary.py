import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from namesake.evaluation.metrics import boundary_f

MASKS = arrays(bool, (13, 11))


def outline_naive(mask):
    found = []
    for row, column in np.argwhere(mask):
        for y, x in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and not mask[y, x]:
                found.append((row, column))
                break
    return np.array(found).reshape(-1, 2)


def boundary_naive(prediction, truth, tolerance):
    found, wanted = outline_naive(prediction), outline_naive(truth)
    if not len(found) or not len(wanted):
        return 100.0 * (len(found) == len(wanted))
    distances = np.sqrt(((found[:, None] - wanted[None]) ** 2).sum(axis=2))
    precision, recall = (distances.min(axis=1) <= tolerance).mean(), (distances.min(axis=0) <= tolerance).mean()
    return 200 * precision * recall / (precision + recall) if precision + recall else 0.0


@settings(max_examples=40, deadline=None)
@given(MASKS, MASKS, st.sampled_from([0.0, 1.0, 1.5, 3.0]))
def test_boundary__as_all_pairs(prediction, truth, tolerance):
    wanted = boundary_naive(prediction, truth, tolerance)
    assert boundary_f(prediction, truth, tolerance=tolerance) == pytest.approx(wanted)


def test_boundary__tolerance_of_the_size():
    truth, shifted = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    truth[30:60, 30:60] = shifted[32:62, 30:60] = True
    assert boundary_f(shifted, truth) == 100  # 0.75 percent of 141 pixels, rounded up: 2
    assert boundary_f(shifted, truth, tolerance=1.0) < 100


def test_boundary__whole_picture_has_none():
    full, empty = np.ones((5, 5), bool), np.zeros((5, 5), bool)
    assert boundary_f(full, empty) == boundary_f(full, full) == 100
    assert boundary_f(np.eye(5, dtype=bool), full) == 0
