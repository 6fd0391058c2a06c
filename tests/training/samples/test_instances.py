"""Samples with objects: labels and objects agree, archives are drawn as asked, pieces and own objects are split."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from namesake.masks import rle
from namesake.masks.store import MaskWriter
from namesake.records import Archives, PseudoMask, PseudoMasks
from namesake.training.matching import instance_targets
from namesake.training.samples import instances
from namesake.training.samples.archives import Examples, read_examples
from namesake.training.samples.augment import AugmentConfig
from namesake.training.samples.instances import (
    InstanceSamples,
    collate,
    components,
    number_components,
    own_objects,
    whole_masks,
)

Collection = tuple[Archives, PseudoMasks]


@pytest.fixture
def examples(collection: Collection) -> Examples:
    return read_examples(*collection)


def samples_of(examples: Examples, **changes) -> InstanceSamples:
    how = {"crop_size": 24, "copy_paste_max": 4, "resize_range": (0.6, 1.0)}
    config = AugmentConfig(**how | {word: changes.pop(word) for word in how if word in changes})
    return InstanceSamples(examples, config, **({"targets": whole_masks(examples), "names": 2, "seed": 0} | changes))


def test_objects_are_where_labels_are(examples: Examples) -> None:
    for sample in map(samples_of(examples).__getitem__, range(40)):
        assert sample.image.shape == (3, 24, 24)
        assert torch.equal(sample.owners > 0, (sample.labels > 0) & (sample.labels < 255))
        assert 1 <= sample.objects <= 4
        assert int(sample.owners.max()) <= sample.objects
        for number in sample.owners.unique():
            assert len(sample.labels[sample.owners == number].unique()) == 1 or number == 0


def test_same_number_same_sample(examples: Examples) -> None:
    one, other = samples_of(examples)[7], samples_of(examples)[7]
    assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
    assert not torch.equal(one.image, samples_of(examples, seed=1)[7].image)


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_same_archive(examples: Examples, chance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All images of one archive, or of any; an image keeps its own label where another archive claims it."""
    monkeypatch.setattr(instances, "SAME_ARCHIVE", chance)
    samples = samples_of(examples, copy_paste_max=8)
    archives = [set(examples.archive[samples._draw(np.random.default_rng(i))]) for i in range(60)]
    mixed = sum(len(archive) > 1 for archive in archives)
    assert mixed == 0 if chance else mixed > 20
    assert {1, 2} <= set().union(*archives)


def test_batch__counts_are_numbers(examples: Examples) -> None:
    batch = collate([samples_of(examples)[i] for i in range(3)])
    assert batch.image.shape == (3, 3, 24, 24)
    targets = instance_targets(batch.owners, batch.counts)
    assert [len(each) for each in targets] == list(batch.counts)
    assert torch.equal(targets[0].any(dim=0), batch.owners[0] > 0)


def test_many_names__labels_beyond_8_bits(examples: Examples) -> None:
    many = replace(examples, label=examples.label + 700)
    sample = samples_of(many, names=919, targets=whole_masks(many))[3]
    assert sample.labels.dtype == torch.int32
    assert set(sample.labels.unique().tolist()) <= {0, 701, 702, 65_535}


def test_components__from_the_largest_on_crumbs_stay_with_it() -> None:
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[0:4, 0:4] = 1
    mask[10:18, 10:18] = 1
    mask[18, 18] = 1  # touches at a corner
    mask[0, 19] = 1  # a crumb
    numbers, count = number_components(mask)
    assert count == 2
    assert (numbers[12, 12], numbers[18, 18], numbers[2, 2], numbers[0, 19], numbers[5, 5]) == (1, 1, 2, 1, 0)
    assert np.array_equal(numbers > 0, mask > 0)


def test_components__empty_and_whole(examples: Examples) -> None:
    numbers, count = number_components(np.zeros((4, 4), dtype=np.uint8))
    assert (numbers.any(), count) == (False, 0)
    mask = examples.codes[int(examples.mask[0])]
    found = components(examples)(0, mask)
    assert np.array_equal(found.numbers, mask)
    assert found.labels == (examples.label[0],)


def test_own_objects__surest_on_top_the_rest_does_not_count(examples: Examples, tmp_path: Path) -> None:
    image_id = examples.images.ids[examples.image[0]]
    mask = examples.codes[int(examples.mask[0])]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    upper, left = np.zeros(mask.shape, dtype=bool), np.zeros(mask.shape, dtype=bool)
    upper[rows[0] : rows[0] + 3, columns[0] : columns[-1] + 1] = True
    left[rows[0] : rows[-1] + 1, columns[0] : columns[0] + 2] = True
    with MaskWriter(tmp_path) as writer:
        for label, score, own in ((1, 0.9, upper), (2, 0.8, left)):
            writer.write(PseudoMask(image_id, label, score, *mask.shape, rle.encode(own)))
    targets = own_objects(examples, PseudoMasks(tmp_path))
    found = targets(0, mask)
    expected = np.where(upper, 1, np.where(left, 2, np.where(mask, 255, 0)))
    assert np.array_equal(found.numbers, expected)
    assert found.labels == (1, 2)
    other = next(line for line in range(len(examples)) if examples.image[line] != examples.image[0])
    own = examples.codes[int(examples.mask[other])]
    assert targets(other, own).labels == (examples.label[other],)
