"""Object sizes against a direct reading of their definition, one pixel list an image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namesake.evaluation.metrics import SIZES, ObjectSizes

LABELS = 5


def by_definition(pairs):
    """Per size: true, found and common pixels of each label, over the background and the objects of that size."""
    true, found, common = np.zeros((3, 4, LABELS))
    for whole, predicted in pairs:
        truth, prediction = (each[whole != LABELS] for each in (whole, predicted))
        sizes = {}
        for label in set(truth.tolist()) - {0}:
            share = math.ceil(100.0 * (truth == label).sum() / truth.size)
            sizes[label] = 0 if share <= 5 else 1 if share <= 25 else 2 if share <= 50 else 3
        for size in set(sizes.values()):
            kept = np.isin(truth, [0] + [label for label in sizes if sizes[label] == size])
            for label in range(LABELS):
                true[size, label] += (truth[kept] == label).sum()
                found[size, label] += (prediction[kept] == label).sum()
                common[size, label] += ((truth == label) & (prediction == label))[kept].sum()
    ious = [100 * both[t > 0] / (t + f - both)[t > 0] for t, f, both in zip(true, found, common, strict=True)]
    return [each.mean() if each.size else math.nan for each in ious]


def picture(rng):
    """Rectangles of very different sizes on background, some pixels not counted."""
    labels = np.zeros((20, 20), dtype=np.int64)
    for label in rng.permutation(np.arange(1, LABELS)):
        height, width = rng.integers(1, 20, 2)
        labels[:height, :width] = label
    labels[rng.random((20, 20)) < 0.05] = LABELS
    return labels


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 3))
def test_sizes__as_defined(seed, images):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(images):
        truth = picture(rng)
        pairs.append(
            (truth, np.where(rng.random(truth.shape) < 0.4, rng.integers(0, LABELS, truth.shape), truth % LABELS))
        )
    counter = ObjectSizes(LABELS)
    for pair in pairs:
        counter.add(*pair)
    assert list(counter.scores().values()) == pytest.approx(by_definition(pairs), nan_ok=True)


@pytest.mark.parametrize(("pixels", "size"), [(5, 0), (6, 1), (25, 1), (26, 2), (50, 2), (51, 3)])
def test_sizes__limits_of_a_hundred_pixels(pixels, size):
    truth = (np.arange(100) < pixels).astype(np.int64).reshape(10, 10)
    counter = ObjectSizes(2)
    counter.add(truth, truth)
    known = [not math.isnan(value) for value in counter.scores().values()]
    assert known == [number == size for number in range(4)]


def test_sizes__no_object():
    counter = ObjectSizes(2)
    counter.add(np.zeros((4, 4), np.int64), np.ones((4, 4), np.int64))
    assert all(math.isnan(value) for value in counter.scores().values())
    assert len(counter.scores()) == len(SIZES)
