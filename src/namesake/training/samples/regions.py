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

from namesake.errors import DataError
from namesake.images import read_image
from namesake.images.geometry import Method, resize, resize_labels
from namesake.masks import rle
from namesake.masks.region_labels import KINDS, Kind, RegionLabels
from namesake.masks.regions import Regions, paint
from namesake.masks.store import MaskLookup
from namesake.records import Images, PseudoMask
from namesake.training.samples.archives import shuffled

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
        self.images, self.side, self.grid, self.method = images, side, grid, method
        self.label_sources, self.automatic_fraction = label_sources, automatic_fraction
        self.flip_prob, self.seed = flip_prob, seed
        self._tables = {
            kind: MaskLookup(labels.masks(kind))
            for kind in KINDS
            if label_sources in (kind, "both", "apart") and (kind == "prompted" or automatic_fraction > 0)
        }
        self.lines = sorted(self._lines())
        if not self.lines:
            raise DataError(f"no image has a mask that counts ({label_sources}). Look at the counts of the mask stage.")

    def __len__(self) -> int:
        """Samples of one epoch."""
        return len(self.lines)

    def __getitem__(self, i: int) -> RegionSample:
        """Sample i of an endless sequence of epochs."""
        # which image and kinds: every epoch has an order of its own
        epoch, place = divmod(i, len(self.lines))
        line = int(shuffled(len(self.lines), self.seed, epoch)[place])
        image_id, kinds = self.lines[line]
        rng = np.random.default_rng((self.seed, epoch, line))
        image = resize(read_image(self.images.path(image_id)), height=self.side, width=self.side, method=self.method)
        words = self._words(image_id, kinds)
        if rng.random() < self.flip_prob:
            image, words = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(words[:, ::-1])
        # image: [side, side, 3] -> [3, side, side]
        return RegionSample(torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(words))

    def _words(self, image_id: str, kinds: tuple[Kind, ...]) -> Int[ndarray, "rows columns"]:
        """Of the mask over the centre of each patch; prompted masks lie on those of all regions."""
        painted = np.full((self.grid, self.grid), UNLABELLED, dtype=np.int64)
        for kind in sorted(kinds):  # automatic, then prompted
            masks = self._chosen(image_id, kind)
            if masks:
                size = masks[0].height, masks[0].width
                regions = Regions(
                    rle.decode_batch([mask.rle for mask in masks], *size),
                    np.array([mask.label - 1 for mask in masks]),
                    np.array([mask.score for mask in masks]),
                )
                fine = paint(regions, nothing=UNLABELLED)  # [height, width]
                coarse = resize_labels(fine, height=self.grid, width=self.grid)  # [rows, columns]
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
