from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from namesake.errors import DataError
from namesake.images import open_images
from namesake.masks import rle
from namesake.masks.region_labels import KINDS, RegionLabels
from namesake.masks.store import MaskWriter
from namesake.records import Images, PseudoMask
from namesake.training.samples.regions import RegionSamples


@pytest.fixture
def images(tmp_path: Path) -> Images:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(np.full((16, 16, 3), 60 * number, dtype=np.uint8)).save(folder / f"{number}.png")
    return open_images(folder)


@pytest.fixture
def labels(tmp_path: Path) -> RegionLabels:
    """Image 0 has both kinds, 1 automatic masks only, 2 a prompted one only, 3 none. Words: park, cat, dog."""
    left, right, all_of_it = np.zeros((8, 8), bool), np.zeros((8, 8), bool), np.ones((8, 8), bool)
    left[:, :4], right[:, 4:] = True, True

    def row(image: str, word: int, mask: np.ndarray) -> PseudoMask:
        return PseudoMask(image, word + 1, 0.9, 8, 8, rle.encode(mask))

    with MaskWriter(tmp_path / "labels" / KINDS[0]) as writer:
        writer.write_several([row("0.png", 1, left)])
        writer.skip("1.png", "no word is there")
        writer.write_several([row("2.png", 2, right)])
        writer.skip("3.png", "no word is there")
    with MaskWriter(tmp_path / "labels" / KINDS[1]) as writer:
        writer.write_several([row("0.png", 0, all_of_it), row("0.png", 2, right)])
        writer.write_several([row("1.png", 0, left), row("1.png", 2, right)])
        writer.skip("2.png", "no mask")
        writer.skip("3.png", "no mask")
    return RegionLabels(tmp_path / "labels", words=("park", "cat", "dog"), labels=(0, 1, 2), clip="clip")


def samples(images: Images, labels: RegionLabels, **options) -> RegionSamples:
    return RegionSamples(images, labels, **({"side": 16, "grid": 4, "automatic_fraction": 1.0} | options))


def shades(found: RegionSamples, epoch: int = 0) -> dict[int, list[np.ndarray]]:
    """Words of the patches by image of an epoch."""
    by_image: dict[int, list[np.ndarray]] = {}
    for i in range(len(found)):
        sample = found[epoch * len(found) + i]
        by_image.setdefault(int(sample.image[0, 0, 0]) // 60, []).append(sample.words.numpy())
    return by_image


def test_both__prompted_masks_lie_on_those_of_all_regions(images: Images, labels: RegionLabels) -> None:
    found = shades(samples(images, labels))
    assert sorted(found) == [0, 1, 2]
    np.testing.assert_array_equal(found[0][0], [[1, 1, 2, 2]] * 4)
    np.testing.assert_array_equal(found[1][0], [[0, 0, 2, 2]] * 4)
    np.testing.assert_array_equal(found[2][0], [[-1, -1, 2, 2]] * 4)


def test_apart__each_kind_is_a_sample_of_its_own(images: Images, labels: RegionLabels) -> None:
    found = shades(samples(images, labels, label_sources="apart"))
    assert {image: len(some) for image, some in found.items()} == {0: 2, 1: 1, 2: 1}
    kinds = {tuple(words[0]) for words in found[0]}
    assert kinds == {(1, 1, -1, -1), (0, 0, 2, 2)}


@pytest.mark.parametrize(("label_sources", "wanted"), [("prompted", {0, 2}), ("automatic", {0, 1})])
def test_one_kind_alone(images: Images, labels: RegionLabels, label_sources: str, wanted: set[int]) -> None:
    assert set(shades(samples(images, labels, label_sources=label_sources))) == wanted


def test_share__none_of_the_automatic_masks(images: Images, labels: RegionLabels) -> None:
    assert set(shades(samples(images, labels, automatic_fraction=0.0))) == {0, 2}


def test_share__the_same_random_masks_in_every_epoch(images: Images, labels: RegionLabels) -> None:
    drawn = {
        seed: samples(images, labels, label_sources="automatic", automatic_fraction=0.5, seed=seed)
        for seed in range(12)
    }
    first = {seed: str(sorted(shades(some).items())) for seed, some in drawn.items()}
    assert len(set(first.values())) > 3
    for seed, some in drawn.items():
        assert str(sorted(shades(some, epoch=2).items())) == first[seed]


def test_sample__depends_on_its_number_alone(images: Images, labels: RegionLabels) -> None:
    one, other = (samples(images, labels, flip_prob=0.5, seed=3) for _ in range(2))
    other[11]
    for i in (7, 0, 5):
        torch.testing.assert_close(one[i].image, other[i].image)
        torch.testing.assert_close(one[i].words, other[i].words)


def test_flip__image_and_words_together(images: Images, labels: RegionLabels) -> None:
    found = shades(samples(images, labels, flip_prob=1.0))
    np.testing.assert_array_equal(found[1][0], [[2, 2, 0, 0]] * 4)


def test_no_image_has_a_mask(images: Images, labels: RegionLabels) -> None:
    with pytest.raises(DataError, match="no image has a mask"):
        samples(images, labels, label_sources="automatic", automatic_fraction=0.0)
