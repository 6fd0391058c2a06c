import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, jaccard_score

from namesake.evaluation.metrics import Measures, image_iou

LABELS = 4


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_image_iou__as_sklearn(seed):
    rng = np.random.default_rng(seed)
    truth, prediction = rng.integers(0, LABELS + 1, (2, 9, 7))  # LABELS itself: not counted, not sure
    counted = truth != LABELS
    true, found = truth[counted], prediction[counted]
    present = np.setdiff1d(np.union1d(true, found), [LABELS])
    wanted = 100 * jaccard_score(true, found, labels=present, average="macro") if true.size else math.nan
    assert image_iou(truth, prediction, labels=LABELS) == pytest.approx(wanted, nan_ok=True)


def test_image_iou__nothing_counts():
    nothing = np.full((3, 3), LABELS)
    assert math.isnan(image_iou(nothing, np.zeros((3, 3), np.int64), labels=LABELS))


def test_measures__means_over_images():
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.integers(0, LABELS, (2, 8, 8))) for _ in range(4)]
    counter = Measures(("images", "foreground", "boundary"), labels=LABELS)
    for pair in pairs:
        counter.add(*pair)
    masks = [((truth > 0).ravel(), (found > 0).ravel()) for truth, found in pairs]
    scores = counter.scores()
    assert scores["foreground_iou_over_images"] == pytest.approx(
        100 * np.mean([jaccard_score(*each) for each in masks])
    )
    wanted = 100 * np.mean([fbeta_score(*each, beta=math.sqrt(0.3)) for each in masks])
    assert scores["foreground_f_beta_over_images"] == pytest.approx(wanted)
    mean = np.mean([image_iou(*pair, labels=LABELS) for pair in pairs])
    assert scores["mean_iou_over_images"] == pytest.approx(mean)
    assert 0 < scores["foreground_boundary_f_over_images"] <= 100


def test_measures__image_where_nothing_counts_is_left_out():
    counter = Measures(("images",), labels=LABELS)
    counter.add(np.array([[0, 1]]), np.array([[0, 1]]))
    counter.add(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]]))
    counter.add(np.array([[LABELS, LABELS]]), np.array([[0, 0]]))
    assert counter.scores()["mean_iou_over_images"] == pytest.approx((100 + 37.5) / 2)


def test_measures__pixels_that_do_not_count():
    truth = np.array([[1, 1, 0, LABELS]])
    counter = Measures(("foreground",), labels=LABELS)
    counter.add(truth, np.array([[1, LABELS, 0, 2]]))  # right, not sure, right, not counted
    assert counter.scores()["foreground_iou_over_images"] == pytest.approx(50)


def test_measures__none_chosen():
    assert not Measures((), labels=LABELS)
    assert Measures((), labels=LABELS).scores() == {}
