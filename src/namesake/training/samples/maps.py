"""Draw training samples from images with whole label maps, of several names and of pixels that do not count."""

from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np

from namesake.errors import DataError
from namesake.images import read_image
from namesake.masks import rle
from namesake.masks.store import MaskLookup
from namesake.records import Images, PseudoMasks
from namesake.shapes import IGNORE, ImageArray, LabelArray
from namesake.training.samples.archives import ArrayCache, PastedSamples
from namesake.training.samples.augment import AugmentConfig


def map_samples(
    images: Images,
    labels: Callable[[str], LabelArray],
    config: AugmentConfig,
    *,
    seed: int,
    ignore: int,
    pasted: PastedSamples | None = None,
) -> PastedSamples:
    """Training samples from images and their label maps, all drawn equally often.

    Args:
        images: The images.
        labels: Label map of an image at its original size, by its id.
        config: Settings of samples.
        seed: Seed of all samples.
        ignore: Label that does not count; that of padding.
        pasted: Where objects come from that are pasted onto an image; from the others of these if None.
    """
    cached: ArrayCache[Path, ImageArray] = ArrayCache(read_image)
    maps: ArrayCache[str, LabelArray] = ArrayCache(labels)

    def read(place: int) -> tuple[ImageArray, LabelArray]:
        path = images.path(images.ids[place])
        image, own = cached(path), maps(images.ids[place])
        if own.shape != image.shape[:2]:
            raise DataError(
                f"{path} has {image.shape[0]} x {image.shape[1]} pixels, its label map {own.shape[0]} x "
                f"{own.shape[1]}. The image changed after it was labelled: label it again."
            )
        return image, own

    return PastedSamples(len(images), read, config, seed=seed, ignore=ignore, pasted=pasted)


@final
class LabelMaps:
    """Label maps by image id, put together from masks of which several belong to an image; 0 where there is none.

    Args:
        masks: With the label of each.
        ignore: The highest label there may be.
    """

    def __init__(self, masks: PseudoMasks, *, ignore: int) -> None:
        self._masks, self._dtype = MaskLookup(masks), np.uint8 if ignore == IGNORE else np.int32

    def among(self, images: Images) -> Images:
        """The images that have a map."""
        return Images(images.folder, tuple(image_id for image_id in images.ids if image_id in self._masks))

    def __call__(self, image_id: str) -> LabelArray:
        """Labels [height, width] at the original size.

        Raises:
            DataError: The image has no map, or it is damaged.
        """
        rows = self._masks.several(image_id)
        labels = np.zeros((rows[0].height, rows[0].width), dtype=self._dtype)
        for row in rows:
            labels[rle.decode(row.rle, row.height, row.width)] = row.label
        return labels
