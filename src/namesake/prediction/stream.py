"""Segment images in order, read ahead and several at a time.

Which images share a batch depends on the list of images alone, not on which of them were done before, so that work that
was killed goes on with the same numbers.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from namesake.errors import ImagesError
from namesake.images import read_ahead
from namesake.masks.batches import PIXELS
from namesake.prediction.draw import Picture
from namesake.records import Images, Names, Prediction

BLOCK = 8  # consecutive images that may share a batch
AHEAD = 4  # decoded images in memory before they are asked for


@runtime_checkable
class SegmentsImages(Protocol):
    """All that is needed of a segmenter."""

    @property
    def names(self) -> Names:
        """What the labels mean."""

    def segment_many(self, images: Sequence[Picture]) -> list[Prediction]:
        """A prediction for each image, at its size."""


class Segmented(NamedTuple):
    """One image and what was predicted for it."""

    image_id: str
    image: Picture
    prediction: Prediction


class Skipped(NamedTuple):
    """An image that cannot be read, and why."""

    image_id: str
    reason: str


def segment_ahead(
    segmenter: SegmentsImages, images: Images, *, done: Collection[str] = (), workers: int = 2
) -> Iterator[Segmented | Skipped]:
    """Predictions for all images but those done, in order; a bounded number of images is in memory.

    Args:
        segmenter: Segmenter that predicts.
        images: The images.
        done: Ids that are left out of the result.
        workers: Threads that read ahead.

    Yields:
        One result an image that is not done.
    """
    blocks = [images.ids[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    wanted = [block for block in blocks if any(image_id not in done for image_id in block)]
    read = read_ahead(images, (image_id for block in wanted for image_id in block), workers=workers, ahead=AHEAD)
    for block in wanted:
        batch: list[tuple[str, Picture]] = []
        for _ in block:
            image_id, image = next(read)
            if isinstance(image, ImagesError):
                yield Skipped(image_id, str(image))
                continue
            batch.append((image_id, image))
            if sum(image.shape[0] * image.shape[1] for _, image in batch) >= PIXELS:
                yield from _segment(segmenter, batch, done)
                batch = []
        yield from _segment(segmenter, batch, done)


def _segment(segmenter: SegmentsImages, batch: list[tuple[str, Picture]], done: Collection[str]) -> Iterator[Segmented]:
    if any(image_id not in done for image_id, _ in batch):
        predictions = segmenter.segment_many([image for _, image in batch])
        for (image_id, image), prediction in zip(batch, predictions, strict=True):
            if image_id not in done:
                yield Segmented(image_id, image, prediction)
