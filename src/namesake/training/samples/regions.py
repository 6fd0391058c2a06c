"""Draw numbered training samples of images with named masks: an image, and a word for each patch.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.3 ("Pseudo label assignment") and appendix 2.1. Sample i depends on
the seed and on i alone; every image is drawn once before any is drawn again.
"""

from typing import Literal, NamedTuple, final
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from namesake.errors import ConfigError, DataError
from namesake.images import read_image
from namesake.images.geometry import Method, resize, resize_labels
from namesake.masks.region_labels import Kind, RegionLabels, label_map
from namesake.masks.store import MaskLookup
from namesake.records import Images, PseudoMask

LabelSources = Literal["both", "apart", "prompted", "automatic"]
"""Which masks label a patch: those of all regions and on them those that words asked for ("both"); the two kinds in
samples of their own ("apart"); or one kind alone."""

UNLABELLED = -1


class RegionSample(NamedTuple):
    """One sample, or after collation a batch of them.

    Attributes:
        image: Square, RGB.
        words: Row of each patch's word; -1 where no mask lies.
    """

    image: UInt8[Tensor, "*batch 3 side side"]
    words: Int[Tensor, "*batch rows columns"]


@final
class RegionSamples(Dataset[RegionSample]):
    """Samples of images that have named masks.

    Args:
        images: Images of the labels.
        labels: Their masks.
        side: Side of the samples in pixels.
        grid: Patches each way.
        method: Method of resizing.
        label_sources: Masks that count.
        automatic_fraction: Random part of the masks of all regions that counts; FMbSeg: 0.75.
        flip_prob: Chance that a sample is mirrored.
        seed: Seed of everything random.

    Raises:
        DataError: No image has a mask.
        ConfigError: A share outside 0 to 1.
    """

    def __init__(
        self,
        images: Images,
        labels: RegionLabels,
        *,
        side: int,
        grid: int,
        method: Method = "bicubic",
        label_sources: LabelSources = "both",
        automatic_fraction: float = 0.75,
        flip_prob: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= automatic_fraction <= 1 or label_sources not in ("both", "apart", "prompted", "automatic"):
            raise ConfigError(
                f"expected automatic_fraction of 0 to 1 and label_sources of both, apart, prompted or automatic, found "
                f"{automatic_fraction}, {label_sources}."
            )
        self.images, self.side, self.grid, self.method = images, side, grid, method
        self.label_sources, self.automatic_fraction, self.flip_prob, self.seed = (
            label_sources,
            automatic_fraction,
            flip_prob,
            seed,
        )
        self._tables = {kind: _table(labels, kind) for kind in _kinds(label_sources, automatic_fraction)}
        self.lines = sorted(self._lines())
        if not self.lines:
            raise DataError(f"no image has a mask that counts ({label_sources}). Look at the counts of the mask stage.")
        self._rows = tuple(range(len(labels.words)))
        self._drawn = -1, np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        """Samples of one epoch."""
        return len(self.lines)

    def __getitem__(self, i: int) -> RegionSample:
        """Sample i of an endless sequence of epochs."""
        epoch, place = divmod(i, len(self.lines))
        line = int(self._order(epoch)[place])
        image_id, kinds = self.lines[line]
        rng = np.random.default_rng((self.seed, epoch, line))
        image = resize(read_image(self.images.path(image_id)), height=self.side, width=self.side, method=self.method)
        words = self._words(image_id, kinds)
        if rng.random() < self.flip_prob:
            image, words = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(words[:, ::-1])
        return RegionSample(torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(words))

    def _order(self, epoch: int) -> Int[ndarray, " lines"]:
        """Random order of an epoch; the last one asked for is kept."""
        if self._drawn[0] != epoch:
            self._drawn = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.lines))
        return self._drawn[1]

    def _words(self, image_id: str, kinds: tuple[Kind, ...]) -> Int[ndarray, "rows columns"]:
        """Of the mask over the centre of each patch; prompted masks lie on those of all regions."""
        painted = np.full((self.grid, self.grid), UNLABELLED, dtype=np.int64)
        for kind in sorted(kinds):  # automatic, then prompted
            masks = self._chosen(image_id, kind)
            if masks:
                fine = label_map(masks, self._rows, nothing=UNLABELLED)
                coarse = resize_labels(fine, height=self.grid, width=self.grid)
                painted = np.where(coarse == UNLABELLED, painted, coarse)
        return painted

    def _chosen(self, image_id: str, kind: Kind) -> list[PseudoMask]:
        """The masks of an image that count; the part of all regions is the same in every epoch."""
        table = self._tables[kind]
        if image_id not in table:
            return []
        masks = table.several(image_id)
        if kind == "prompted" or self.automatic_fraction >= 1:
            return masks
        rng = np.random.default_rng((self.seed, crc32(image_id.encode()), 1))
        return [
            mask for mask, drawn in zip(masks, rng.random(len(masks)), strict=True) if drawn < self.automatic_fraction
        ]

    def _lines(self) -> set[tuple[str, tuple[Kind, ...]]]:
        """What an epoch consists of: an image, and the kinds of masks that label it."""
        kinds = tuple(self._tables)
        if self.label_sources == "apart":
            return {(image_id, (kind,)) for kind in kinds for image_id in self._tables[kind]}
        return {(image_id, kinds) for kind in kinds for image_id in self._tables[kind]}


def _kinds(label_sources: LabelSources, automatic_fraction: float) -> tuple[Kind, ...]:
    kinds: tuple[Kind, ...] = ("automatic",) if label_sources == "automatic" else ("prompted",)
    if label_sources in ("both", "apart"):
        kinds = ("prompted", "automatic")
    return tuple(kind for kind in kinds if kind == "prompted" or automatic_fraction > 0)


def _table(labels: RegionLabels, kind: Kind) -> MaskLookup:
    return MaskLookup(labels.masks(kind))
