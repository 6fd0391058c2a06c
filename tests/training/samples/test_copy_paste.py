"""Copy-paste against a loop over pixels; the edge cases of empty objects and borders."""

import numpy as np
import pytest

from namesake.training.samples.copy_paste import copy_paste


def crops(count: int, size: int = 16, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]
    labels = []
    for number in range(count):
        label = np.full((size, size), 255, np.uint8)
        label[3:, :-2] = 0
        top, left = rng.integers(3, 8, 2)
        label[top : top + 5, left : left + 4] = np.where(rng.random((5, 4)) > 0.3, number + 1, 0)
        labels.append(label)
    return images, labels


def naive(images, labels, rng, *, ignore=255, published=False):
    canvas, canvas_labels = images[0].copy(), labels[0].copy()
    owners = np.zeros_like(canvas_labels, dtype=np.uint8)
    height, width = canvas_labels.shape
    for y in range(height):
        for x in range(width):
            owners[y, x] = 1 if 0 < canvas_labels[y, x] < ignore else 0
    for number in range(1, len(images)):
        object_pixels = [(y, x) for y in range(height) for x in range(width) if 0 < labels[number][y, x] < ignore]
        if not object_pixels:
            continue
        y0, y1 = min(y for y, _ in object_pixels), max(y for y, _ in object_pixels) + 1
        x0, x1 = min(x for _, x in object_pixels), max(x for _, x in object_pixels) + 1
        if published:
            y1, x1 = y1 - 1, x1 - 1
        top, left = rng.integers(height - (y1 - y0) + 1), rng.integers(width - (x1 - x0) + 1)
        for y, x in object_pixels:
            if y < y1 and x < x1:
                place = (top + y - y0, left + x - x0)
                canvas[place], canvas_labels[place] = images[number][y, x], labels[number][y, x]
                owners[place] = number + 1
    return canvas, canvas_labels, owners


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_copy_paste_is_the_naive_loop(count: int, published: bool) -> None:
    images, labels = crops(count)
    for seed in range(5):
        ours = copy_paste(images, labels, np.random.default_rng(seed), crop_paste_box=published)
        theirs = naive(images, labels, np.random.default_rng(seed), published=published)
        for mine, expected in zip(ours, theirs, strict=True):
            assert np.array_equal(mine, expected)


def test_inputs_stay_as_they_are() -> None:
    images, labels = crops(3)
    before = [array.copy() for array in (*images, *labels)]
    copy_paste(images, labels, np.random.default_rng(0))
    assert all(np.array_equal(now, then) for now, then in zip((*images, *labels), before, strict=True))


def test_copy_paste__empty_object() -> None:
    images, labels = crops(2)
    labels[1][:] = 255
    canvas, canvas_labels, owners = copy_paste(images, labels, np.random.default_rng(0))
    assert np.array_equal(canvas, images[0])
    assert np.array_equal(canvas_labels, labels[0])
    assert owners.max() == 1


def test_copy_paste__object_fills_the_image() -> None:
    images, labels = crops(2)
    labels[1][:] = 2
    canvas, canvas_labels, owners = copy_paste(images, labels, np.random.default_rng(0))
    assert np.array_equal(canvas, images[1])
    assert (canvas_labels == 2).all()
    assert (owners == 2).all()


def test_copy_paste__one_pixel_object_vanishes_as_published() -> None:
    images, labels = crops(2)
    labels[1][:] = 0
    labels[1][4, 4] = 2
    assert (copy_paste(images, labels, np.random.default_rng(0))[1] == 2).sum() == 1
    assert (copy_paste(images, labels, np.random.default_rng(0), crop_paste_box=True)[1] == 2).sum() == 0


def test_copy_paste__label_above_ignore_is_not_pasted() -> None:
    images, _ = crops(2)
    labels = [np.zeros((16, 16), np.int32), np.full((16, 16), 300, np.int32)]
    assert (copy_paste(images, labels, np.random.default_rng(0))[1] == 0).all()
    assert (copy_paste(images, labels, np.random.default_rng(0), ignore=65535)[1] == 300).all()
