import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from namesake.errors import DataError
from namesake.masks.rle import area, decode, decode_batch, encode, encode_batch


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_decode_inverts_encode_and_both_agree_with_pycocotools(mask):
    height, width = mask.shape
    theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode(mask) == theirs["counts"]
    assert np.array_equal(decode(theirs["counts"], height, width), mask)
    assert area(encode(mask)) == mask.sum()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_encode__large_smooth_mask_with_long_runs():
    mask = np.zeros((700, 900), bool)
    mask[3:690, 100:800] = True
    mask[300:310, 400:410] = False
    assert np.array_equal(coco.decode({"size": [700, 900], "counts": encode(mask)}).astype(bool), mask)
    assert np.array_equal(decode(encode(mask), 700, 900), mask)


@pytest.mark.parametrize("value", [True, False])
def test_decode__full_and_empty_mask(value):
    mask = np.full((5, 7), value)
    assert np.array_equal(decode(encode(mask), 5, 7), mask)
    assert area(encode(mask)) == 35 * value


def test_batch_forms_equal_one_by_one():
    masks = np.random.default_rng(0).random((4, 9, 6)) > 0.5
    codes = encode_batch(masks)
    assert codes == [encode(mask) for mask in masks]
    assert np.array_equal(decode_batch(codes, 9, 6), masks)


def test_batch_forms__no_mask():
    assert encode_batch(np.zeros((0, 4, 5), bool)) == []
    assert decode_batch([], 4, 5).shape == (0, 4, 5)


@pytest.mark.parametrize("code", [b"", b"zzz", b"\xff\xff", b"5220003", b"!!"])
def test_decode__damaged_or_of_another_size_is_refused(code):
    with pytest.raises(DataError):
        decode(code, 9, 9)
