"""Samples are functions of seed and number; archives and masks meet by image id; memory is bounded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from namesake.errors import DataError, ImagesError
from namesake.images import read_image
from namesake.masks import rle
from namesake.records import Archives, PseudoMask, PseudoMasks
from namesake.shapes import not_sure
from namesake.training.samples.archives import (
    CACHE_BYTES,
    ArrayCache,
    MaskCodes,
    PastedSamples,
    archive_samples,
    read_examples,
)
from namesake.training.samples.augment import AugmentConfig, augment
from namesake.training.samples.copy_paste import copy_paste

Collection = tuple[Archives, PseudoMasks]


def samples(collection: Collection, *, seed: int = 5, cache_bytes: int = CACHE_BYTES, **options) -> PastedSamples:
    config = AugmentConfig(**{"crop_size": 24, "copy_paste_max": 3} | options)
    return archive_samples(read_examples(*collection), config, seed=seed, cache_bytes=cache_bytes)


def test_examples_are_the_concatenated_archives(collection: Collection) -> None:
    examples = read_examples(*collection)
    assert [examples.images.ids[image] for image in examples.image] == [
        "00.png", "02.png", "04.png", "06.png", "07.png", "01.png", "03.png", "05.png", "07.png"
    ]  # fmt: skip
    assert examples.archive.tolist() == [1] * 5 + [2] * 4
    assert examples.label.tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 2]


def test_examples_know_their_masks(collection: Collection) -> None:
    examples = read_examples(*collection)
    for image, mask in zip(examples.image, examples.mask, strict=True):
        pixels = read_image(examples.images.path(examples.images.ids[image]))
        inside = examples.codes[mask] == 1
        assert np.array_equal(inside, np.ptp(pixels.astype(int), axis=2) > 100)


def test_examples__some_without_mask(collection: Collection) -> None:
    archives, _ = collection
    kept = PseudoMasks(archives.folder.parent / "few")
    from namesake.masks.store import MaskWriter

    with MaskWriter(kept.folder) as writer:
        writer.write(PseudoMask("03.png", 2, 1.0, 28, 26, rle.encode(np.ones((28, 26), bool))))
    examples = read_examples(archives, kept)
    assert [examples.images.ids[image] for image in examples.image] == ["03.png"]
    with MaskWriter(archives.folder.parent / "none") as writer:
        writer.write(PseudoMask("elsewhere.png", 2, 1.0, 2, 2, rle.encode(np.ones((2, 2), bool))))
    with pytest.raises(DataError, match="9 lines"):
        read_examples(archives, PseudoMasks(archives.folder.parent / "none"))


def test_where_takes_lines_under_one_label(collection: Collection) -> None:
    examples = read_examples(*collection)
    some = examples.where(examples.archive == 1, label=1)
    assert some.label.tolist() == [1] * 5
    assert some.image.tolist() == examples.image[:5].tolist()


def test_sample_is_the_composition_of_its_parts(collection: Collection) -> None:
    """Drawn by hand: how many, which lines, each augmented, then pasted, from one generator."""
    data, examples = samples(collection), read_examples(*collection)
    for index in (0, 1, 10**9):
        rng = np.random.default_rng((5, index))
        lines = rng.integers(9, size=int(rng.integers(1, 4)))
        crops = []
        for line in lines:
            image = read_image(examples.images.path(examples.images.ids[examples.image[line]]))
            labels = examples.codes[examples.mask[line]] * np.uint8(examples.label[line])
            crops.append(augment(image, labels, rng, data.config))
        image, labels, _ = copy_paste([a for a, _ in crops], [b for _, b in crops], rng)
        sample = data[index]
        assert np.array_equal(sample.image.permute(1, 2, 0), image)
        assert np.array_equal(sample.labels, labels)


def test_pasted_objects_of_another_source(collection: Collection) -> None:
    """Drawn by hand: the image of the one source, what is pasted onto it of the other."""
    config = AugmentConfig(crop_size=24, copy_paste_max=4)
    objects = samples(collection, copy_paste_max=4)

    def read(place: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((30, 28, 3), 40 * place, dtype=np.uint8), np.full((30, 28), 7, dtype=np.uint8)

    both = PastedSamples(3, read, config, seed=5, pasted=objects)
    pasted = 0
    for index in range(12):
        rng = np.random.default_rng((5, index))
        some = int(rng.integers(1, 4, endpoint=True))
        first = read(int(rng.integers(3)))
        others = [objects.read(one) for one in rng.integers(len(read_examples(*collection)), size=some - 1)]
        images, labels = zip(*(augment(*each, rng, config) for each in (first, *others)), strict=True)
        image, expected, owners = copy_paste(images, labels, rng)
        assert np.array_equal(both[index].image.permute(1, 2, 0), image)
        assert np.array_equal(both[index].labels, expected)
        assert set(expected[owners > 1].tolist()) <= {1, 2}  # and those of the image itself are 7
        pasted += (owners > 1).sum()
    assert pasted > 0


def test_sample_is_the_same_in_any_process(collection: Collection) -> None:
    data = samples(collection)
    here = [data[index] for index in range(4)]
    loader = DataLoader(data, batch_size=2, sampler=range(4), num_workers=1, multiprocessing_context="fork")
    there = [sample for batch in loader for sample in zip(batch.image, batch.labels, strict=True)]
    for mine, (image, labels) in zip(here, there, strict=True):
        assert torch.equal(mine.image, image)
        assert torch.equal(mine.labels, labels)


def test_seeds_differ(collection: Collection) -> None:
    assert not torch.equal(samples(collection)[0].image, samples(collection, seed=6)[0].image)


def test_lines_are_drawn_evenly_with_duplicates(collection: Collection) -> None:
    """07.png lies in both archives: it is drawn twice as often as the others."""
    examples, drawn = read_examples(*collection), np.zeros(8)
    for index in range(3000):
        rng = np.random.default_rng((5, index))
        rng.integers(1, 1, endpoint=True)
        drawn[examples.image[rng.integers(9, size=1)[0]]] += 1
    assert np.allclose(drawn / 3000, [1 / 9] * 7 + [2 / 9], atol=0.02)


def test_copy_paste_max__one_pastes_nothing(collection: Collection) -> None:
    data = samples(collection, copy_paste_max=1)
    for index in range(20):
        present = set(np.unique(data[index].labels).tolist()) - {0, 255}
        assert len(present) <= 1


def test_many_names__labels_above_255_survive(collection: Collection) -> None:
    archives, masks = collection
    examples = read_examples(archives, masks)
    examples = examples.where(np.ones(9, bool), label=900)
    assert not_sure(254) == 255
    assert not_sure(255) == 65535
    data = archive_samples(examples, AugmentConfig(crop_size=24, copy_paste_max=2), seed=0, ignore=not_sure(919))
    found = {value for index in range(10) for value in np.unique(data[index].labels).tolist()}
    assert found == {0, 900, 65535}


def test_mask_of_another_size(collection: Collection) -> None:
    data = samples(collection, copy_paste_max=1)
    for image_id in collection[0].images.ids:
        Image.new("RGB", (9, 9)).save(collection[0].images.path(image_id))
    with pytest.raises(DataError, match="9 x 9 pixels, its mask 28 x"):
        data[0]


def test_missing_image(collection: Collection) -> None:
    data = samples(collection)
    for image_id in collection[0].images.ids:
        collection[0].images.path(image_id).unlink()
    with pytest.raises(ImagesError):
        data[0]


def test_cache_keeps_what_fits(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (10, 10), "red").save(tmp_path / name)
    read = ArrayCache(read_image, limit=10 * 10 * 3)
    first = read(tmp_path / "a.png")
    assert read(tmp_path / "a.png") is first
    assert read(tmp_path / "b.png") is not read(tmp_path / "b.png")


def test_mask_codes__none_and_last_of_several() -> None:
    assert not MaskCodes([]).places
    one, other = np.zeros((3, 4), bool), np.ones((3, 4), bool)
    codes = MaskCodes([PseudoMask("x", 0, 1.0, 3, 4, rle.encode(mask)) for mask in (one, other)])
    assert codes[codes.places["x"]].all()
