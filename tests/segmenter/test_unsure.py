import numpy as np

from namesake.records import Names
from namesake.segmenter.unsure import blank_unsure, least_confidence

NAMES = Names(("dusk", "noon"))


def test_least__a_share_of_each_label():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (200, 200))
    confidence = (rng.random((200, 200)) * np.array([100, 200, 255])[labels]).astype(np.uint8)
    least = least_confidence([(labels[:90], confidence[:90]), (labels[90:], confidence[90:])], NAMES, 0.2)
    for label in range(3):
        own = confidence[labels == label]
        assert (own < least[label]).mean() <= 0.2 < (own <= least[label]).mean()


def test_least__never_above_what_counts_as_sure():
    labels, confidence = np.ones((10, 10), int), np.full((10, 10), 250, np.uint8)
    assert least_confidence([(labels, confidence)], NAMES, 0.5).tolist() == [0, 242, 0]


def test_least__nothing_wanted():
    assert least_confidence([(np.ones((2, 2), int), np.zeros((2, 2), np.uint8))], NAMES, 0.0).tolist() == [0, 0, 0]


def test_least__pixels_already_unsure_do_not_count():
    labels = np.array([[1, 1, 1, 1, 255, 255]])
    confidence = np.array([[10, 20, 30, 40, 0, 0]], np.uint8)
    assert least_confidence([(labels, confidence)], NAMES, 0.5)[1] == 30


def test_mark__below_the_least_only():
    labels = np.array([[0, 1, 1, 2, 255]])
    confidence = np.array([[4, 9, 10, 0, 0]], np.uint8)
    assert blank_unsure(labels, confidence, np.array([5, 10, 0]), unsure=255).tolist() == [[255, 255, 1, 2, 255]]


def test_mark__many_names():
    labels, confidence = np.array([[255, 300]]), np.array([[1, 1]], np.uint8)
    least = np.full(301, 5)
    least[300] = 0
    assert blank_unsure(labels, confidence, least, unsure=65_535).tolist() == [[65_535, 300]]
