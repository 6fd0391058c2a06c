"""Draw numbered training samples from archives and their pseudo-masks.

Sample i is a function of the data set's seed and of i alone, so any process can make any sample at any time. Images are
decoded when a sample needs them; the run-length codes of the masks lie in one unnamed file that the operating system
pages in and out. So of an archive only its ids and a few numbers a line are in memory.
"""

import mmap
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar, final

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from namesake.archives import rows
from namesake.errors import DataError
from namesake.images import read_image
from namesake.masks import rle
from namesake.masks.store import read_masks
from namesake.records import Archives, Images, Names, PseudoMask, PseudoMasks
from namesake.shapes import IGNORE, ImageArray, LabelArray
from namesake.training.samples.augment import AugmentConfig, augment
from namesake.training.samples.copy_paste import copy_paste

Key = TypeVar("Key")
Array = TypeVar("Array", bound=ndarray)

CACHE_BYTES = 64 * 2**20
"""Decoded images that a process keeps: all of a small collection, a part of a large one."""


@dataclass(frozen=True)
class Examples:
    """The concatenated archives, line by line: an image, the label of the object in it, and its mask.

    Attributes:
        images: The images that occur.
        archive: Archive of each line, by the label of its name.
        image: Position of each line's image in `images.ids`.
        label: Label of each line, counted from 1; another than the archive's where another archive claims the image.
        mask: Place of each line's mask among the codes.
        codes: The masks.
    """

    images: Images
    archive: Int[ndarray, " lines"]
    image: Int[ndarray, " lines"]
    label: Int[ndarray, " lines"]
    mask: Int[ndarray, " lines"]
    codes: "MaskCodes"

    def __len__(self) -> int:
        return len(self.image)

    def where(self, chosen: Bool[ndarray, " lines"], *, label: int) -> "Examples":
        """Some of the lines, all with one label."""
        return replace(
            self,
            archive=self.archive[chosen],
            image=self.image[chosen],
            label=np.full(int(chosen.sum()), label, dtype=np.int64),
            mask=self.mask[chosen],
        )


class Sample(NamedTuple):
    """What a network is trained on.

    Attributes:
        image: RGB, not normalised.
        labels: 0 to the number of names, or the label that does not count.
    """

    image: UInt8[Tensor, "3 height width"]
    labels: Int[Tensor, "height width"]


def sample_of(image: ImageArray, labels: LabelArray) -> Sample:
    """The sample of an image and its labels, as arrays."""
    # [height, width, 3] -> [3, height, width]
    return Sample(torch.from_numpy(image).permute(2, 0, 1).contiguous(), torch.from_numpy(np.ascontiguousarray(labels)))


@lru_cache(maxsize=2)
def shuffled(count: int, *seed: int) -> Int[ndarray, " count"]:
    """Numbers below `count` in a random order; the last ones asked for are kept. Nobody may write into them."""
    return np.random.default_rng(seed).permutation(count)


@final
class ArrayCache(Generic[Key, Array]):
    """The array that `read` makes of a key; keeps the first ones that fit into `limit` bytes.

    Samples are drawn uniformly, so which ones are kept makes no difference. Nobody may write into an array.
    """

    def __init__(self, read: Callable[[Key], Array], limit: int = CACHE_BYTES) -> None:
        self._read, self._room = read, limit
        self._kept: dict[Key, Array] = {}

    def __call__(self, key: Key) -> Array:
        """The array of a key.

        Raises:
            NamesakeError: The error of `read`.
        """
        if key in self._kept:
            return self._kept[key]
        array = self._read(key)
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            self._kept[key] = array
        return array


@final
class MaskCodes:
    """Masks for random access: their codes in an unnamed file, their places and some decoded ones in memory.

    Args:
        masks: At most one an image; of several the last counts.
    """

    def __init__(self, masks: Iterable[PseudoMask]) -> None:
        self.places: dict[str, int] = {}
        entries: list[tuple[int, int, int, int]] = []
        end = 0
        with tempfile.TemporaryFile() as file:
            for mask in masks:
                self.places[mask.image_id] = len(entries)
                entries.append((end, end + len(mask.rle), mask.height, mask.width))
                end += file.write(mask.rle)
            file.flush()
            self._codes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if end else b""
        self._entries = np.array(entries, dtype=np.int64).reshape(-1, 4)  # [masks, (start, end, height, width)]
        self._decoded = ArrayCache(self._decode, CACHE_BYTES // 4)

    def __getitem__(self, place: int) -> UInt8[ndarray, "height width"]:
        """The mask at one of `places`, by image id: 0 or 1, at the original size; not to be written into."""
        return self._decoded(place)

    def _decode(self, place: int) -> UInt8[ndarray, "height width"]:
        start, end, height, width = (int(value) for value in self._entries[place])
        return rle.decode(self._codes[start:end], height, width).view(np.uint8)


@final
class PastedSamples(Dataset[Sample]):
    """Numbered training samples: the objects of several labelled images, augmented and pasted together.

    The images of a sample are drawn uniformly and with replacement. Sample i is a function of (seed, i).

    Args:
        count: Labelled images to draw from.
        read: An image and its labels, at its own size, by number.
        config: Size, changes and number of images of a sample.
        seed: Seed of all samples.
        ignore: Label that does not count; that of padding.
        pasted: Labelled images whose objects are pasted onto one of these, drawn in the same way; these too if None.

    Raises:
        DataError: There is no image.
    """

    def __init__(
        self,
        count: int,
        read: Callable[[int], tuple[ImageArray, LabelArray]],
        config: AugmentConfig,
        *,
        seed: int,
        ignore: int = IGNORE,
        pasted: "PastedSamples | None" = None,
    ) -> None:
        if not count:
            raise DataError("there is nothing to train on: no image has labels. Check the stage before.")
        self.count, self.read, self.config, self.seed, self.ignore = count, read, config, seed, ignore
        self.pasted = pasted

    def __getitem__(self, index: int) -> Sample:
        """The sample of that number, 0 or more; there is no last one."""
        rng = np.random.default_rng((self.seed, index))
        some = int(rng.integers(1, self.config.copy_paste_max, endpoint=True))
        if self.pasted is None:
            drawn = [self.read(one) for one in rng.integers(self.count, size=some).tolist()]
        else:
            first, others = int(rng.integers(self.count)), rng.integers(self.pasted.count, size=some - 1).tolist()
            drawn = [self.read(first), *(self.pasted.read(one) for one in others)]
        crops = [augment(*each, rng, self.config, pad_label=self.ignore) for each in drawn]
        images, labels = zip(*crops, strict=True)
        box = self.config.crop_paste_box
        ignore = IGNORE if box else self.ignore
        return sample_of(*copy_paste(list(images), list(labels), rng, ignore=ignore, crop_paste_box=box)[:2])


def archive_samples(
    examples: Examples, config: AugmentConfig, *, seed: int, ignore: int = IGNORE, cache_bytes: int = CACHE_BYTES
) -> PastedSamples:
    """Training samples of NamedMask: drawn from the lines of archives, so that an image of several is there as often.

    Args:
        examples: Lines of the archives with their masks.
        config: Settings of samples.
        seed: Seed of all samples.
        ignore: Label that does not count; that of padding.
        cache_bytes: Decoded images that each process keeps.
    """
    cached = ArrayCache(read_image, cache_bytes)

    def read(line: int) -> tuple[ImageArray, LabelArray]:
        image, mask = read_line(examples, line, cached)
        labels = mask if ignore == IGNORE else mask.astype(np.int32)
        return image, labels * labels.dtype.type(examples.label[line])

    return PastedSamples(len(examples), read, config, seed=seed, ignore=ignore)


def read_line(
    examples: Examples, line: int, read: Callable[[Path], ImageArray]
) -> tuple[ImageArray, UInt8[ndarray, "height width"]]:
    """The image of a line, by `read`, and its mask: 0 or 1.

    Raises:
        DataError: They differ in size.
        ImagesError: The image cannot be read.
    """
    path = examples.images.path(examples.images.ids[examples.image[line]])
    image, mask = read(path), examples.codes[int(examples.mask[line])]
    if mask.shape != image.shape[:2]:
        raise DataError(
            f"{path} has {image.shape[0]} x {image.shape[1]} pixels, its mask {mask.shape[0]} x {mask.shape[1]}. "
            "The image changed after the mask was made: run the mask stage again."
        )
    return image, mask


def read_examples(archives: Archives, masks: PseudoMasks, names: Names | None = None) -> Examples:
    """The lines of the archives whose image has a mask, in their order; duplicates are kept.

    Raises:
        DataError: There is none, or a label is that of none of `names`.
    """
    codes = MaskCodes(read_masks(masks))
    archive = {name: label for label, name in enumerate(archives.names.names, start=1)}
    # lines of the table whose image has a mask
    table = rows(archives)
    ids, label = table["image_id"].to_pylist(), table["label"].to_numpy()
    kept = np.array([image_id in codes.places for image_id in ids], dtype=bool)
    if not kept.any():
        raise DataError(
            f"there is nothing to train on: none of the {len(ids)} lines of {archives.folder} has a mask in "
            f"{masks.folder}. Run the mask stage again."
        )
    if names is not None and label[kept].max() > len(names):
        raise DataError(f"the archives have the label {label[kept].max()}, but there are {len(names)} names.")
    # every image once, by number
    kept_ids = [image_id for image_id, has_mask in zip(ids, kept, strict=True) if has_mask]
    unique = tuple(sorted(set(kept_ids)))
    number = {image_id: position for position, image_id in enumerate(unique)}
    return Examples(
        images=Images(archives.images.folder, unique),
        archive=np.array([archive[name] for name in table["name"].to_pylist()])[kept],
        image=np.array([number[image_id] for image_id in kept_ids]),
        label=label[kept].astype(np.int64),
        mask=np.array([codes.places[image_id] for image_id in kept_ids]),
        codes=codes,
    )
