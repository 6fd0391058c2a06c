from collections.abc import Callable

import numpy as np

from namesake.archives.cleaning import first_of_near_duplicates

Angles = Callable[[list[float]], np.ndarray]


def test_near_duplicates__the_earlier_one_stays(angles: Angles):
    kept = first_of_near_duplicates(angles([0, 50, 3, 52, 90]), threshold=np.cos(np.deg2rad(5)))
    assert kept.tolist() == [True, True, False, False, True]


def test_near_duplicates__a_removed_image_removes_none(angles: Angles):
    """4 goes because of 0; 8 is near 4 but not near 0, and stays."""
    assert first_of_near_duplicates(angles([0, 4, 8]), threshold=np.cos(np.deg2rad(5))).tolist() == [True, False, True]


def test_near_duplicates__equal_images():
    kept = first_of_near_duplicates(np.ones((4, 3)) / np.sqrt(3), threshold=0.99)
    assert kept.tolist() == [True, False, False, False]


def test_near_duplicates__none_and_one():
    assert first_of_near_duplicates(np.ones((1, 1)), threshold=0.0).tolist() == [True]
    assert first_of_near_duplicates(np.ones((0, 3)), threshold=0.9).shape == (0,)


def test_near_duplicates__greedy_definition():
    rows = np.random.default_rng(0).standard_normal((200, 3))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kept: list[int] = []
    for row in range(200):
        if all(rows[row] @ rows[other] <= 0.95 for other in kept):
            kept.append(row)
    assert np.flatnonzero(first_of_near_duplicates(rows, threshold=0.95)).tolist() == kept
