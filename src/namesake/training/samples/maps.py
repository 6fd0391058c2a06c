"""Images with whole label maps in, numbered training samples out, augmented and pasted together as archive images are.

A map may hold several names and pixels that do not count. Sample i is a function of the seed and of i alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np
from numpy.random import Generator
from torch.utils.data import Dataset

from namesake.errors import DataError
from namesake.images import read_image
from namesake.masks import rle
from namesake.masks.store import MaskLookup
from namesake.records import Images, PseudoMasks
from namesake.shapes import IGNORE, ImageArray, LabelArray
from namesake.training.samples.archives import ArrayCache, Sample, paste_crops
from namesake.training.samples.augment import augment


@final
class MapSamples(Dataset[Sample]):
    """Training samples from images and their label maps.

    Args:
        images: All are drawn equally often.
        labels: Label map of an image at its original size, by its id.
        ignore: Label that does not count; that of padding.
        crop_size: Side of a sample in pixels.
        copy_paste_max: Images of a sample: uniform from 1 to this.
        resize_range: Range of the factor on an image's sides.
        color_jitter: Strength of the changes of colours.
        seed: Sample i is a function of (seed, i).
        uneven_padding: Keep the published augmentation's padding, whose corners are not equally frequent.
        crop_paste_box: Keep the published copy-paste's bounding box, a row and a column too small.
    """

    def __init__(
        self,
        images: Images,
        labels: Callable[[str], LabelArray],
        *,
        ignore: int,
        crop_size: int,
        copy_paste_max: int,
        resize_range: tuple[float, float],
        color_jitter: float,
        seed: int,
        uneven_padding: bool = False,
        crop_paste_box: bool = False,
    ) -> None:
        if not len(images):
            raise DataError("there is nothing to train on: no image has a label map. Check the stage before.")
        self.images, self.ignore, self.crop_size, self.seed = images, ignore, crop_size, seed
        self.copy_paste_max, self.resize_range, self.color_jitter = copy_paste_max, resize_range, color_jitter
        self.uneven_padding, self.crop_paste_box = uneven_padding, crop_paste_box
        self._read: ArrayCache[Path, ImageArray] = ArrayCache(read_image)
        self._labels: ArrayCache[str, LabelArray] = ArrayCache(labels)

    def __getitem__(self, index: int) -> Sample:
        """The sample of that number, 0 or more; there is no last one."""
        rng = np.random.default_rng((self.seed, index))
        count = int(rng.integers(1, self.copy_paste_max, endpoint=True))
        drawn = rng.integers(len(self.images), size=count)
        crops = [self._crop(self.images.ids[place], rng) for place in drawn]
        return paste_crops(crops, rng, ignore=self.ignore, crop_paste_box=self.crop_paste_box)

    def _crop(self, image_id: str, rng: Generator) -> tuple[ImageArray, LabelArray]:
        image, labels = self._read(self.images.path(image_id)), self._labels(image_id)
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"{self.images.path(image_id)} has {image.shape[0]} x {image.shape[1]} pixels, its label map "
                f"{labels.shape[0]} x {labels.shape[1]}. The image changed after it was labelled: label it again."
            )
        return augment(
            image,
            labels,
            rng,
            crop_size=self.crop_size,
            resize_range=self.resize_range,
            pad_label=self.ignore,
            color_jitter=self.color_jitter,
            uneven_padding=self.uneven_padding,
        )


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
