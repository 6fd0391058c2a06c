"""The record of an opened benchmark: images, what the ids of its label maps mean, and how it is scored."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from namesake.errors import DataError, ImagesError
from namesake.images.decode import look_at, read_content
from namesake.names.spelling import some
from namesake.records import Images
from namesake.shapes import LabelArray

Measure = Literal["images", "foreground", "boundary", "sizes", "saliency"]
"""Scores beside those of the dataset's table of counts; see `namesake.evaluation.metrics`."""


@dataclass(frozen=True)
class Benchmark:
    """Images with ground truth.

    Attributes:
        name: Name in results.
        images: The images, in the order in which they are scored.
        names: Name of every id that a true label map may hold, "background" among them where there is one.
        ignore: Id of pixels that do not count.
        read: Gives the true label map of an image id, unchecked; `truth` checks it.
        regime: Way of scoring, in words, for reports.
        aliases: Other words for its names, and names that count as one of its names.
        objects: COCO annotations with the true objects; None where there are none.
        decode: Form of a stored label map, a key of `DECODERS`; predictions on disk are read so too.
        zero_if_absent: Names that occur neither in truth nor in predictions count as 0 in the mean, as in ImageNet-S,
            instead of being left out.
        measures: Scores that belong to it beside those of its table of counts.
        expected: Number of images of the whole benchmark; None where it may have any.
    """

    name: str
    images: Images
    names: Mapping[int, str]
    ignore: int
    read: Callable[[str], LabelArray]
    regime: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    objects: Path | None = None
    decode: str = "index"
    zero_if_absent: bool = False
    measures: tuple[Measure, ...] = ()
    expected: int | None = None

    def only(self, ids: Collection[str]) -> "Benchmark":
        """The same with some of its images, in the order that it has them."""
        chosen = frozenset(ids)
        kept = tuple(image_id for image_id in self.images.ids if image_id in chosen)
        return replace(self, images=Images(self.images.folder, kept))

    def truth(self, image_id: str) -> LabelArray:
        """The true label map of an image, at its size.

        Raises:
            DataError: It is missing, no index PNG, of another size than the image, or holds an id without a name.
        """
        labels = self.read(image_id)
        height, width = size_of(self.images.path(image_id))
        if labels.shape != (height, width):
            raise DataError(
                f"the mask of {image_id} is {labels.shape[0]} x {labels.shape[1]}, its image {height} x {width} "
                "(height x width); write the mask at the image's size."
            )
        known = np.zeros(max(*self.names, self.ignore, int(labels.max(initial=0))) + 1, dtype=bool)
        known[[*self.names, self.ignore]] = True
        if not known[labels].all():
            strange = some(map(str, np.unique(labels[~known[labels]]).tolist()), shown=5)
            raise DataError(
                f"the mask of {image_id} holds the ids {strange}, which the names of {self.name} do not list; "
                f"add them to names.json, or draw these pixels as {self.ignore} so that they do not count."
            )
        return labels


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) of an image as it is shown, from its header where that says it.

    Raises:
        DataError: It cannot be read.
    """
    try:
        found = look_at(read_content(path), name=path.name)
    except ImagesError as error:
        raise DataError(f"{path} belongs to a benchmark and cannot be read: {error}") from error
    return found.height, found.width
