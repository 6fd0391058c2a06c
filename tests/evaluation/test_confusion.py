import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from namesake.errors import DataError
from namesake.evaluation import confusion as module
from namesake.evaluation.confusion import Confusion, fold


def naive(truth, prediction, labels, ignore=255, not_sure=255):
    counts = np.zeros((labels, labels + 1), dtype=np.int64)
    for true, predicted in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true != ignore:
            counts[true, labels if predicted == not_sure else predicted] += 1
    return counts


def areas(rng, labels, height, width):
    """A map of rectangles, with 255 among the labels."""
    values = np.append(np.arange(labels), 255)
    coarse = rng.choice(values, (height // 7 + 1, width // 9 + 1))
    return coarse.repeat(7, axis=0).repeat(9, axis=1)[:height, :width]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    labels=st.integers(1, 40),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    noisy=st.booleans(),
    dtypes=st.tuples(*[st.sampled_from([np.uint8, np.int16, np.int32, np.int64])] * 2),
)
def test_add__as_counted_one_by_one(seed, labels, size, noisy, dtypes):
    rng = np.random.default_rng(seed)
    if noisy:
        truth, prediction = rng.choice(np.append(np.arange(labels), 255), (2, *size))
    else:
        truth, prediction = areas(rng, labels, *size), areas(rng, labels, *size)
    confusion = Confusion(labels)
    confusion.add(truth.astype(dtypes[0]), prediction.astype(dtypes[1]))
    assert np.array_equal(confusion.counts, naive(truth, prediction, labels))


@pytest.mark.parametrize("chunk", [8, 16, 64])
def test_add__chunks_make_no_difference(chunk, monkeypatch):
    rng = np.random.default_rng(1)
    truth, prediction = areas(rng, 5, 33, 41), areas(rng, 5, 33, 41)
    monkeypatch.setattr(module, "CHUNK", chunk)
    confusion = Confusion(5)
    confusion.add(truth, prediction)
    assert np.array_equal(confusion.counts, naive(truth, prediction, 5))


def test_add__as_sklearn_counts():
    rng = np.random.default_rng(2)
    truth, prediction = rng.integers(0, 6, (2, 40, 50))
    confusion = Confusion(6)
    confusion.add(truth, prediction)
    assert np.array_equal(confusion.counts[:, :6], confusion_matrix(truth.ravel(), prediction.ravel(), labels=range(6)))
    assert not confusion.counts[:, 6].any()


def test_add__sums_over_images_and_merges():
    rng = np.random.default_rng(3)
    maps = rng.integers(0, 4, (3, 2, 20, 20))
    together, first, rest = Confusion(4), Confusion(4), Confusion(4)
    for number, (truth, prediction) in enumerate(maps):
        together.add(truth, prediction)
        (rest if number else first).add(truth, prediction)
    first.merge(rest)
    assert np.array_equal(together.counts, first.counts)
    assert together.counts.sum() == maps[:, 0].size


def test_add__column_major_and_sliced_maps():
    rng = np.random.default_rng(4)
    truth, prediction = rng.integers(0, 3, (2, 30, 30))
    confusion = Confusion(3)
    confusion.add(np.asfortranarray(truth)[:, ::2], prediction[:, ::2])
    assert np.array_equal(confusion.counts, naive(truth[:, ::2], prediction[:, ::2], 3))


def test_add__not_sure_is_no_false_positive():
    truth = np.array([[0, 0, 1, 1, 1, 255]])
    prediction = np.array([[0, 255, 1, 255, 255, 255]])
    confusion = Confusion(2)
    confusion.add(truth, prediction)
    assert confusion.counts.tolist() == [[1, 0, 1], [0, 1, 2]]


def test_add__name_255_where_labels_are_many():
    truth, prediction = np.array([[255, 255, 300, 65_535]]), np.array([[255, 65_535, 300, 300]])
    confusion = Confusion(301, ignore=65_535, not_sure=65_535)
    confusion.add(truth, prediction)
    assert confusion.counts[255, 255] == 1
    assert confusion.counts[255, 301] == 1
    assert confusion.counts[300, 300] == 1
    assert confusion.counts.sum() == 3


def test_add__everything_ignored():
    confusion = Confusion(2)
    confusion.add(np.full((9, 9), 255), np.zeros((9, 9), np.int64))
    assert not confusion.counts.any()


@pytest.mark.parametrize("noisy", [False, True])
def test_add__label_out_of_range(noisy):
    labels = np.random.default_rng(0).integers(0, 2, (20, 20)) if noisy else np.zeros((20, 20), np.int64)
    wrong = labels.copy()
    wrong[3, 4] = 7
    with pytest.raises(DataError, match="true labels from 0 to 1, found 7"):
        Confusion(2).add(wrong, labels)
    with pytest.raises(DataError, match="predicted labels from 0 to 1, found 7"):
        Confusion(2).add(labels, wrong)
    with pytest.raises(DataError, match="found -7"):
        Confusion(2).add(labels, -wrong)


def test_add__sizes_differ():
    with pytest.raises(DataError, match="4 x 5 and a predicted one of 5 x 4"):
        Confusion(2).add(np.zeros((4, 5), np.int64), np.zeros((5, 4), np.int64))


def test_merge__other_labels():
    with pytest.raises(DataError, match="cannot be added"):
        Confusion(2).merge(Confusion(3))


def test_fold__names_that_become_background():
    rng = np.random.default_rng(5)
    truth, prediction = rng.choice([0, 1, 2, 3, 255], (2, 30, 30))
    confusion = Confusion(4)
    confusion.add(truth, prediction)
    new = np.array([0, 2, 0, 1])
    folded = fold(confusion.counts, truths=new, predictions=new, labels=3)
    table = np.full(256, 255)
    table[:4] = new
    direct = Confusion(3)
    direct.add(table[truth], table[prediction])
    assert np.array_equal(folded, direct.counts)
