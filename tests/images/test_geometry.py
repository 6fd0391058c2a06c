import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from namesake.errors import ConfigError
from namesake.images.geometry import (
    Box,
    crop,
    longer_side,
    resize,
    resize_labels,
    resize_longer_side,
    resize_part,
    resize_shorter_side,
    shorter_side,
)

SIDES = st.integers(1, 40)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize(("height", "width"), [(12, 18), (24, 36), (61, 7), (1, 1)])
def test_resize__pillow(photo: np.ndarray, method: str, height: int, width: int):
    expected = Image.fromarray(photo).resize((width, height), getattr(Image.Resampling, method.upper()))
    np.testing.assert_array_equal(resize(photo, height=height, width=width, method=method), np.asarray(expected))


def test_resize__shrinking_averages(photo: np.ndarray):
    """Bilinear shrinking widens the filter: a triangle over twice the factor, by hand for a row of one channel."""
    row = np.arange(16, dtype=np.uint8)[None, :, None].repeat(3, axis=2) ** 2
    weights = np.array([1, 3, 5, 7, 7, 5, 3, 1]) / 32
    inner = (row[0, 2:10, 0] * weights).sum()
    assert abs(int(resize(row, height=1, width=4)[0, 1, 0]) - inner) <= 1


def test_resize__same_size_is_a_copy(photo: np.ndarray):
    same = resize(photo, height=24, width=36)
    np.testing.assert_array_equal(same, photo)
    assert not np.shares_memory(same, photo)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_resize__no_size(photo: np.ndarray, height: int, width: int):
    with pytest.raises(ConfigError, match="at least 1x1"):
        resize(photo, height=height, width=width)
    with pytest.raises(ConfigError, match="at least 1x1"):
        resize_labels(photo[:, :, 0], height=height, width=width)


def test_resize__unknown_method(photo: np.ndarray):
    with pytest.raises(ConfigError, match="bilinear, bicubic, nearest, found 'lanczos'"):
        resize(photo, height=5, width=5, method="lanczos")


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.uint16, np.int32, np.int64])
def test_resize_labels__pixel_under_the_centre(dtype: type):
    labels = (np.arange(35).reshape(5, 7) % (2 if dtype is np.bool_ else 120)).astype(dtype)
    resized = resize_labels(labels, height=13, width=4)
    rows = np.floor((np.arange(13) + 0.5) * 5 / 13).astype(int)
    columns = np.floor((np.arange(4) + 0.5) * 7 / 4).astype(int)
    assert resized.dtype == dtype
    np.testing.assert_array_equal(resized, labels[rows][:, columns])


def test_resize_labels__large_labels():
    labels = np.array([[0, 65_535], [300, 70_000]], dtype=np.int32)
    np.testing.assert_array_equal(resize_labels(labels, height=4, width=4), labels.repeat(2, axis=0).repeat(2, axis=1))


@given(SIDES, SIDES, st.integers(1, 5))
def test_resize_labels__undoes_an_enlargement(height: int, width: int, factor: int):
    labels = np.random.default_rng(height * 41 + width).integers(0, 200, (height, width), dtype=np.uint8)
    large = resize_labels(labels, height=height * factor, width=width * factor)
    np.testing.assert_array_equal(resize_labels(large, height=height, width=width), labels)


@pytest.mark.parametrize(
    ("height", "width", "shorter", "longer"),
    [
        (480, 640, (512, 682), (384, 512)),
        (640, 480, (682, 512), (512, 384)),
        (333, 500, (512, 768), (340, 512)),
        (1, 20_000, (512, 10_240_000), (1, 512)),
        (512, 512, (512, 512), (512, 512)),
    ],
)
def test_sides__rounded_down(height: int, width: int, shorter: tuple[int, int], longer: tuple[int, int]):
    assert shorter_side(height, width, side=512) == shorter
    assert longer_side(height, width, side=512) == longer


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 1500))
def test_sides__as_torchvision_rounds(height: int, width: int, side: int):
    shorter, longer = sorted((height, width))
    assert sorted(shorter_side(height, width, side=side)) == [side, int(side * longer / shorter)]
    assert sorted(longer_side(height, width, side=side)) == [max(1, int(side * shorter / longer)), side]


def test_resize_sides(photo: np.ndarray):
    assert resize_shorter_side(photo, side=12).shape == (12, 18, 3)
    assert resize_longer_side(photo, side=12).shape == (8, 12, 3)


@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1), (3, 20_000), (40, 30)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_resize_part__as_the_part_of_the_whole(size: tuple[int, int], method: str):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    height, width = (max(1, side // 3) for side in size)
    part = Box(height // 3, width // 4, max(1, height // 5), max(1, width // 6))
    whole = crop(resize(image, height=height, width=width, method=method), part)
    found = resize_part(image, height=height, width=width, part=part, method=method)
    assert np.abs(whole.astype(int) - found).max() <= 1


@pytest.mark.parametrize("size", [(1, 65_000), (65_000, 1), (2, 400)])
def test_resize_shorter_side__bounded_for_lines(size: tuple[int, int]):
    found = resize_shorter_side(np.zeros((*size, 3), np.uint8), side=224)
    assert found.shape[0] * found.shape[1] <= max(size[0] * size[1], 64 * 224 * 224)
