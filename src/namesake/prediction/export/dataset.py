"""A labelled dataset on disk as the formats see it: names, images of each split, label maps and objects, read lazily.

It knows no segmenter and no format; those are listed in `EXPORTS` of this package.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from namesake.masks import rle
from namesake.prediction.export.index_png import read_index_png
from namesake.prediction.objects import ObjectsFile
from namesake.records import Names
from namesake.shapes import LabelArray, MaskArray

SPLITS = ("train", "val")
IMAGES, MASKS = "images", "masks"


@dataclass(frozen=True)
class LabelledImage:
    """One image of a dataset.

    Attributes:
        split: "train" or "val".
        stem: Path of what belongs to it, without suffix.
        suffix: Suffix of the image file, with its dot.
        height: Pixels.
        width: Pixels.
        annotations: Its objects in COCO's words: category_id (the label), segmentation (RLE), area, bbox, score.
    """

    split: str
    stem: str
    suffix: str
    height: int
    width: int
    annotations: tuple[Mapping[str, Any], ...]

    @property
    def file(self) -> str:
        """Path of the image within its split's folder."""
        return self.stem + self.suffix

    def mask(self, annotation: Mapping[str, Any]) -> MaskArray:
        """The mask of one of its annotations."""
        return rle.decode(annotation["segmentation"]["counts"].encode(), self.height, self.width)


@dataclass(frozen=True)
class Dataset:
    """A dataset whose images, label maps and objects are written, and which formats are added to.

    Attributes:
        folder: Holds `images/{train,val}` and `masks/{train,val}`.
        names: Names of the labels.
        ids: Image ids of each split, sorted.
        objects: Has a line for every image.
    """

    folder: Path
    names: Names
    ids: Mapping[str, tuple[str, ...]]
    objects: ObjectsFile

    def read(self) -> Iterator[LabelledImage]:
        """All images, split by split."""
        for split in SPLITS:
            yield from map(self.image, self.ids[split])

    def image(self, image_id: str) -> LabelledImage:
        """One image."""
        line = self.objects.read(image_id)
        return LabelledImage(
            line["split"], line["stem"], line["suffix"], line["height"], line["width"], tuple(line["annotations"])
        )

    def labels(self, image: LabelledImage) -> LabelArray:
        """An image's label map, in 32 bits."""
        return read_index_png(self.folder / MASKS / image.split / f"{image.stem}.png").astype(np.int32)
