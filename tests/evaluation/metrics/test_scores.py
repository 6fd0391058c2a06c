import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, jaccard_score

from namesake.evaluation.confusion import Confusion
from namesake.evaluation.metrics import (
    iou_per_label,
    mean_iou_over_dataset,
    pixel_accuracy,
)


def counted(*pairs, labels):
    confusion = Confusion(labels)
    for truth, prediction in pairs:
        confusion.add(truth, prediction)
    return confusion.counts


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), labels=st.integers(2, 9))
def test_iou_and_accuracy__as_sklearn(seed, labels):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, labels, (2, 12, 12))
    counts = counted((truth, prediction), labels=labels)
    present = np.union1d(truth, prediction)
    wanted = 100 * jaccard_score(truth.ravel(), prediction.ravel(), labels=present, average=None)
    assert np.allclose(iou_per_label(counts)[present], wanted)
    assert mean_iou_over_dataset(counts) == pytest.approx(wanted.mean())
    assert pixel_accuracy(counts) == pytest.approx(100 * accuracy_score(truth.ravel(), prediction.ravel()))


def test_iou__absent_label():
    truth, prediction = np.array([[0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])
    counts = counted((truth, prediction), labels=3)
    assert iou_per_label(counts)[:2].tolist() == pytest.approx([50, 200 / 3])
    assert math.isnan(iou_per_label(counts)[2])
    assert mean_iou_over_dataset(counts) == pytest.approx((50 + 200 / 3) / 2)
    assert iou_per_label(counts, absent="zero")[2] == 0
    assert mean_iou_over_dataset(counts, absent="zero") == pytest.approx((50 + 200 / 3) / 3)


def test_iou__predicted_but_never_true_counts():
    counts = counted((np.array([[0, 0]]), np.array([[0, 1]])), labels=2)
    assert iou_per_label(counts).tolist() == [50, 0]


def test_iou__zero_convention_of_imagenet_s():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 5, (2, 30, 30))
    counts = counted((truth, prediction), labels=7)
    found, true, both = (np.zeros(7) for _ in range(3))
    for label in range(7):
        found[label], true[label] = (prediction == label).sum(), (truth == label).sum()
        both[label] = ((prediction == label) & (truth == label)).sum()
    published = 100 * both / (found + true - both + 1e-10)
    assert np.allclose(iou_per_label(counts, absent="zero"), published)


def test_iou__not_sure_lowers_recall_only():
    truth = np.array([[0, 0, 0, 1, 1, 1]])
    wrong = counted((truth, np.array([[0, 0, 1, 1, 1, 0]])), labels=2)
    unsure = counted((truth, np.array([[0, 0, 255, 1, 1, 255]])), labels=2)
    assert iou_per_label(wrong).tolist() == [50, 50]
    assert iou_per_label(unsure).tolist() == pytest.approx([200 / 3, 200 / 3])
    assert pixel_accuracy(wrong) == pixel_accuracy(unsure) == pytest.approx(400 / 6)


def test_scores__nothing_counted():
    counts = counted((np.full((3, 3), 255), np.zeros((3, 3), np.int64)), labels=2)
    assert math.isnan(mean_iou_over_dataset(counts))
    assert math.isnan(pixel_accuracy(counts))
    assert mean_iou_over_dataset(counts, absent="zero") == 0
