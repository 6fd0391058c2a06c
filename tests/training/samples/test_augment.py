"""Each step of the augmentation against a plain loop, torch or Pillow; the whole is a function of the generator."""

import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch.nn import functional

from namesake.training.samples import augment as aug

CONFIG = aug.AugmentConfig(crop_size=24)


def picture(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return image, (rng.random((height, width)) > 0.5).astype(np.uint8)


class Fixed:
    """A generator whose uniform numbers are given; it counts what is asked of it."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self.numbers.pop(0)

    def integers(self, high: int) -> int:
        return int(self.numbers.pop(0) * high)

    def permutation(self, count: int) -> list[int]:
        return list(range(count))[:: int(self.numbers.pop(0))]


def test_random_scale_rounds_down_and_is_pillow() -> None:
    image, labels = picture(31, 47)
    small, small_labels = aug.random_scale(image, labels, Fixed(0.5), resize_range=(0.1, 0.9))
    assert small.shape == (15, 23, 3)
    assert np.array_equal(small, np.asarray(Image.fromarray(image).resize((23, 15), Image.Resampling.BILINEAR)))
    assert np.array_equal(small_labels, np.asarray(Image.fromarray(labels).resize((23, 15), Image.Resampling.NEAREST)))


def test_random_scale__one_pixel_image() -> None:
    image, labels = picture(1, 3)
    small, small_labels = aug.random_scale(image, labels, Fixed(0.0))
    assert small.shape == (1, 1, 3)
    assert small_labels.shape == (1, 1)


def naive_pad_and_crop(image, labels, *, left, top, offset, crop_size, pad_label):
    """Pad on the given sides, then cut at `offset` (fractions of the room there is), pixel by pixel."""
    height, width = labels.shape
    tall, wide = max(height, crop_size), max(width, crop_size)
    y0, x0 = int(offset[0] * (tall - crop_size + 1)), int(offset[1] * (wide - crop_size + 1))
    shift_y, shift_x = (tall - height if top else 0), (wide - width if left else 0)
    mean = [int(image[..., channel].mean()) for channel in range(3)]
    cut, cut_labels = np.zeros((crop_size, crop_size, 3), np.uint8), np.zeros((crop_size, crop_size), labels.dtype)
    for y in range(crop_size):
        for x in range(crop_size):
            source = (y + y0 - shift_y, x + x0 - shift_x)
            inside = 0 <= source[0] < height and 0 <= source[1] < width
            cut[y, x] = image[source] if inside else mean
            cut_labels[y, x] = labels[source] if inside else pad_label
    return cut, cut_labels


@pytest.mark.parametrize("shape", [(7, 9), (20, 6), (6, 20), (20, 20), (12, 12)])
@pytest.mark.parametrize(
    ("number", "corner"), [(0.1, (True, True)), (0.3, (True, False)), (0.6, (False, True)), (0.9, (False, False))]
)
def test_pad_and_crop_is_the_naive_loop(shape, number, corner) -> None:
    image, labels = picture(*shape)
    ours = aug.pad_and_crop(image, labels, Fixed(number, 0.6, 0.3), crop_size=12)
    left, top = corner
    naive = naive_pad_and_crop(image, labels, left=left, top=top, offset=(0.6, 0.3), crop_size=12, pad_label=255)
    assert np.array_equal(ours[0], naive[0])
    assert np.array_equal(ours[1], naive[1])


def test_corners_are_even_by_default_and_biased_as_published() -> None:
    """The published chain re-draws in each branch: 1/4, 3/4 * 1/4, (3/4)^2 * 1/4, (3/4)^3."""
    chain = np.cumsum([1 / 4, 3 / 16, 9 / 64])
    assert np.allclose(aug.PUBLISHED_CORNERS, chain)
    rng = np.random.default_rng(0)
    image, labels = np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.uint8)
    for chances, expected in (
        (aug.EVEN_CORNERS, [0.25] * 4),
        (aug.PUBLISHED_CORNERS, [0.25, 0.1875, 0.140625, 0.421875]),
        (aug.RIGHT_BOTTOM, [0, 0, 0, 1]),
    ):
        corners = np.zeros(4)
        for _ in range(4000):
            _, cut = aug.pad_and_crop(image, labels, rng, crop_size=2, corners=chances)
            y, x = np.argwhere(cut == 1)[0]
            corners[aug.CORNERS.index((x == 1, y == 1))] += 1
        assert np.allclose(corners / 4000, expected, atol=0.03)


def test_flip_mirrors_image_and_labels_together() -> None:
    image, labels = picture(4, 5)
    flipped, flipped_labels = aug.random_flip(image, labels, Fixed(0.49))
    assert np.array_equal(flipped, np.fliplr(image))
    assert np.array_equal(flipped_labels, np.fliplr(labels))
    assert np.array_equal(aug.random_flip(image, labels, Fixed(0.51))[0], image)


def planes(*size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, *size)).astype(np.float32)


@pytest.mark.parametrize(("size", "length"), [((24, 24), 3), ((96, 64), 9), ((50, 50), 39)])
def test_gaussian_blur_is_a_mirrored_convolution(size, length) -> None:
    x = planes(*size)
    taps = torch.exp(-0.5 * ((torch.arange(length) - length // 2) / 1.3) ** 2).double()
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    padded = functional.pad(torch.from_numpy(x)[:, None].double(), [length // 2] * 4, mode="reflect")
    expected = functional.conv2d(padded, kernel[None, None])[:, 0]
    assert np.allclose(aug.gaussian_blur(x, length=length, sigma=1.3), expected, atol=1e-3)


def test_blur_length_is_the_published_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    monkeypatch.setattr(aug, "gaussian_blur", lambda x, *, length, sigma: lengths.append((length, sigma)) or x)
    for crop_size in (384, 224, 96):
        aug.photometric(np.zeros((crop_size, 2, 3), np.uint8), Fixed(0.9, 0.9, 0.1, 0.5))
    assert [length for length, _ in lengths] == [39, 23, 9]


def test_colour_jitter__no_change() -> None:
    x = planes(8, 8)
    same = aug.colour_jitter(x, np.random.default_rng(0), brightness=0, contrast=0, saturation=0, hue=0)
    assert np.allclose(same, x, atol=1e-3)


@pytest.mark.parametrize("factor", [0.3, 1.6])
def test_colour_jitter_is_pillow_but_for_rounding(factor: float) -> None:
    x = planes(9, 11)
    picture = Image.fromarray(np.moveaxis((x + 0.5).astype(np.uint8), 0, 2))
    none = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    for place, (name, enhancer) in enumerate(enhancers.items()):
        numbers = [0.5] * 5
        numbers[place], numbers[4] = float(factor > 1), 1
        ours = aug.colour_jitter(x, Fixed(*numbers), **none | {name: abs(factor - 1)})
        theirs = np.moveaxis(np.asarray(enhancer(picture).enhance(factor)), 2, 0)
        assert np.abs(ours - theirs).max() < 3, name


@pytest.mark.parametrize("shift", [-0.2, 0.0, 0.13, 1 / 3])
def test_shift_hue_is_colorsys(shift: float) -> None:
    x = planes(5, 6)
    x[:, 0, 0] = 100
    x[:, 0, 1] = 0
    turned = aug.shift_hue(x, shift)
    for y, column in np.ndindex(5, 6):
        hue, saturation, value = colorsys.rgb_to_hsv(*(x[:, y, column] / 255))
        expected = np.array(colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)) * 255
        assert np.allclose(turned[:, y, column], expected, atol=0.01)


def test_photometric_probabilities() -> None:
    image, _ = picture(20, 20)
    rng = np.random.default_rng(0)
    results = [aug.photometric(image, rng) for _ in range(2000)]
    untouched = np.mean([np.array_equal(result, image) for result in results])
    assert untouched == pytest.approx(0.2 * 0.8 * 0.5, abs=0.03)
    grey = np.mean([np.ptp(result.astype(int), axis=2).max() == 0 for result in results])
    assert grey == pytest.approx(0.2, abs=0.03)


def test_augment_depends_on_the_generator_alone() -> None:
    image, labels = picture(40, 30)
    first = aug.augment(image, labels, np.random.default_rng((3, 7)), CONFIG)
    second = aug.augment(image, labels, np.random.default_rng((3, 7)), CONFIG)
    other = aug.augment(image, labels, np.random.default_rng((3, 8)), CONFIG)
    assert first[0].shape == (24, 24, 3)
    assert first[1].shape == (24, 24)
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_augment__labels_above_255() -> None:
    image, _ = picture(20, 20)
    labels = np.full((20, 20), 900, np.int32)
    _, cut = aug.augment(image, labels, np.random.default_rng(0), CONFIG, pad_label=65535)
    assert set(np.unique(cut)) == {900, 65535}
