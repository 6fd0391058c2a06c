"""Draw numbered training samples with labels and objects from archives and their pseudo-masks.

Sample i is a function of the data set's seed and of i alone. While a sample is made, each pixel carries the number of
its object in the sample; labels and objects are both read off that one map.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy import ndarray
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import Dataset

from namesake.images import read_image
from namesake.masks.store import read_masks
from namesake.records import PseudoMask, PseudoMasks
from namesake.shapes import IGNORE, ImageArray, not_sure
from namesake.training.samples.archives import CACHE_BYTES, ArrayCache, Examples, MaskCodes, read_line
from namesake.training.samples.augment import AugmentConfig, augment
from namesake.training.samples.copy_paste import copy_paste

Numbers = UInt8[ndarray, "height width"]
"""Number of the object at each pixel, counted from 1; 0 for none, 255 for pixels that do not count."""

SAME_ARCHIVE = 0.5
"""Chance that all images of a sample are of one archive (paper)."""
MOST_OBJECTS = 20
"""Of one archive image; smaller ones stay with the largest."""
LEAST_SHARE = 0.05
"""Of a mask's pixels: smaller pieces are no objects of their own."""


class Objects(NamedTuple):
    """The objects of one archive image.

    Attributes:
        numbers: Number of the object at each pixel.
        labels: Label of each, from number 1 on.
    """

    numbers: Numbers
    labels: tuple[int, ...]


Targets = Callable[[int, UInt8[ndarray, "height width"]], Objects]
"""From a line of the archives and its pseudo-mask (0 or 1), the objects that a network is taught to find."""


class InstanceSample(NamedTuple):
    """What a query segmenter is trained on.

    Attributes:
        image: RGB, not normalised.
        labels: 0 to the number of names, or the label that does not count.
        owners: Number of the object at each pixel, counted from 1; 0 for none.
        objects: Number of objects, those hidden by others included.
    """

    image: UInt8[Tensor, "3 height width"]
    labels: Int[Tensor, "height width"]
    owners: UInt8[Tensor, "height width"]
    objects: int


class InstanceBatch(NamedTuple):
    """Several samples; the counts stay numbers, so that no device has to be asked for them."""

    image: UInt8[Tensor, "batch 3 height width"]
    labels: Int[Tensor, "batch height width"]
    owners: UInt8[Tensor, "batch height width"]
    counts: tuple[int, ...]


def collate(samples: Sequence[InstanceSample]) -> InstanceBatch:
    """Samples of one size as a batch."""
    images, labels, owners, counts = zip(*samples, strict=True)
    return InstanceBatch(torch.stack(images), torch.stack(labels), torch.stack(owners), counts)


@final
class InstanceSamples(Dataset[InstanceSample]):
    """Training samples of ZUTIS: objects of random archive images, pasted together.

    ZUTIS, https://arxiv.org/abs/2304.14376, sections 3.2 and 4.1. A sample is made of 1 to `copy_paste_max` images.
    They are drawn from the concatenated archives or, with the chance SAME_ARCHIVE, all from one archive drawn
    uniformly, so that objects of one name have to be told apart.

    Args:
        examples: The concatenated archives and their masks.
        config: Settings of samples, of at most 12 images each.
        targets: The objects of a line.
        names: Number of names; decides which label does not count.
        seed: Sample i is a function of (seed, i).
        cache_bytes: Decoded images that each process keeps.
    """

    def __init__(
        self,
        examples: Examples,
        config: AugmentConfig,
        *,
        targets: Targets,
        names: int,
        seed: int,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self.examples, self.config, self.targets = examples, config, targets
        self.ignore, self.seed = not_sure(names), seed
        self._by_archive = [np.flatnonzero(examples.archive == label) for label in np.unique(examples.archive)]
        self._read = ArrayCache(read_image, cache_bytes)

    def __getitem__(self, index: int) -> InstanceSample:
        """The sample of that number, 0 or more; there is no last one."""
        rng = np.random.default_rng((self.seed, index))
        # crops whose objects are numbered on from those of the crops before; label 0 is background's
        images, numbers, labels = [], [], [0]
        for line in self._draw(rng):
            image, own, found = self._crop(int(line), rng)
            present = (own > 0) & (own < IGNORE)
            own[present] += np.uint8(len(labels) - 1)
            images.append(image)
            numbers.append(own)
            labels += found
        image, seen, _ = copy_paste(images, numbers, rng, crop_paste_box=self.config.crop_paste_box)
        # label of each number, 0 for background; numbers of no object, 255 among them, do not count
        table = np.full(IGNORE + 1, self.ignore, dtype=np.uint8 if self.ignore == IGNORE else np.int32)
        table[: len(labels)] = labels
        return InstanceSample(
            torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous(),  # [3, height, width]
            torch.from_numpy(table[seen]),
            torch.from_numpy(np.where(seen == IGNORE, np.uint8(0), seen)),
            len(labels) - 1,
        )

    def _draw(self, rng: Generator) -> Int[ndarray, " images"]:
        """Lines of one sample."""
        count = int(rng.integers(1, self.config.copy_paste_max, endpoint=True))
        if rng.random() < SAME_ARCHIVE:
            lines = self._by_archive[int(rng.integers(len(self._by_archive)))]
            return lines[rng.integers(len(lines), size=count)]
        return rng.integers(len(self.examples), size=count)

    def _crop(self, line: int, rng: Generator) -> tuple[ImageArray, Numbers, tuple[int, ...]]:
        image, mask = read_line(self.examples, line, self._read)
        objects = self.targets(line, mask)
        cut, numbers = augment(image, objects.numbers, rng, self.config)
        return cut, np.array(numbers, dtype=np.uint8), objects.labels


def whole_masks(examples: Examples) -> Targets:
    """Every pseudo-mask is one object (ZUTIS)."""
    return lambda line, mask: Objects(mask, (int(examples.label[line]),))


def components(examples: Examples) -> Targets:
    """Every connected piece of a pseudo-mask is an object, unless it is small: those stay with the largest."""

    def split(line: int, mask: UInt8[ndarray, "height width"]) -> Objects:
        numbers, count = number_components(mask)
        return Objects(numbers, (int(examples.label[line]),) * max(count, 1))

    return split


def number_components(mask: UInt8[ndarray, "height width"]) -> tuple[Numbers, int]:
    """Number the pieces (8-connected) of a mask from the largest on, and count them.

    Pieces beyond `MOST_OBJECTS`, or with less than `LEAST_SHARE` of the mask's pixels, get the largest one's number.
    """
    from scipy.ndimage import label

    pieces, found = label(mask, structure=np.ones((3, 3)))
    # pieces that are objects, largest first; `order` and `own` count them from 0, `pieces` from 1
    sizes = np.bincount(pieces.ravel(), minlength=found + 1)[1:]
    order = np.argsort(-sizes, kind="stable")
    own = order[sizes[order] >= LEAST_SHARE * sizes.sum()][:MOST_OBJECTS]
    # number of each piece, 1 for the small ones
    table = np.ones(found + 1, dtype=np.uint8)
    table[0] = 0
    table[own + 1] = np.arange(1, len(own) + 1)
    return table[pieces], len(own)


def own_objects(examples: Examples, masks: PseudoMasks) -> Targets:
    """The objects that `masks` has of an image, several each, the surer in front; elsewhere its mask does not count.

    An image of which `masks` has nothing keeps its pseudo-mask as one object.
    """
    found: dict[str, list[tuple[int, int]]] = {}

    def noted() -> Iterator[PseudoMask]:
        for place, mask in enumerate(read_masks(masks)):
            found.setdefault(mask.image_id, []).append((place, mask.label))
            yield mask

    codes, whole = MaskCodes(noted()), whole_masks(examples)

    def read(line: int, mask: UInt8[ndarray, "height width"]) -> Objects:
        objects = found.get(examples.images.ids[examples.image[line]], [])[:MOST_OBJECTS]
        if not objects:
            return whole(line, mask)
        numbers = np.where(mask, np.uint8(IGNORE), np.uint8(0))
        # the surest is drawn last, over the others
        for number, (place, _) in reversed(list(enumerate(objects, start=1))):
            numbers[codes[place].view(bool)] = number
        return Objects(numbers, tuple(label for _, label in objects))

    return read


TARGETS: Mapping[Literal["saliency", "components"], Callable[[Examples], Targets]] = {
    "saliency": whole_masks,
    "components": components,
}
