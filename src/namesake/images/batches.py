"""Decode images in order, a bounded number ahead, in threads; and take some of many."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from namesake.errors import ImagesError
from namesake.images.decode import read_image
from namesake.records import Images
from namesake.shapes import ImageArray
from namesake.workers import in_order, thread_pool

Work = TypeVar("Work")
Item = TypeVar("Item")


def read_ahead(
    images: Images, ids: Iterable[str], *, workers: int = 2, ahead: int = 16
) -> Iterator[tuple[str, ImageArray | ImagesError]]:
    """Decode images in threads, a bounded number ahead of the consumer.

    Args:
        images: Collection that they are of.
        ids: Ids in the order wanted; may be an iterator.
        workers: Number of threads.
        ahead: At most so many images are read before they are asked for; they are held at full size
            (16 photographs of 12 million pixels are 0.6 GB).

    Yields:
        (id, uint8 [height, width, 3]) or (id, ImagesError with the reason), in the order of `ids`.
    """
    return work_ahead(lambda image_id: read_image(images.path(image_id)), ids, workers=workers, ahead=ahead)


def work_ahead(
    work: Callable[[str], Work], ids: Iterable[str], *, workers: int = 2, ahead: int = 64
) -> Iterator[tuple[str, Work | ImagesError]]:
    """Do `work` on each id in threads, a bounded number ahead, results in order.

    Reading and shrinking in one `work` keeps large images from piling up. When the consumer stops early, what has not
    begun is dropped; what has begun ends by itself.

    Args:
        work: Called in a thread with an id; an ImagesError that it raises becomes a value.
        ids: Ids in the order wanted; may be an iterator.
        workers: Number of threads.
        ahead: At most so many results are made before they are asked for.

    Yields:
        (id, result or ImagesError). Any other error of `work` is raised here.
    """
    with thread_pool(workers, "read-ahead") as threads:
        yield from in_order((threads.submit(_with_id, work, image_id) for image_id in ids), ahead=ahead)


def _with_id(work: Callable[[str], Work], image_id: str) -> tuple[str, Work | ImagesError]:
    try:
        return image_id, work(image_id)
    except ImagesError as error:
        return image_id, ImagesError(str(error))  # without the trace, which would keep the file's content alive


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of a list, from its first to its last, evenly.

    Examples:
        >>> evenly("abcdefg", 3)
        ['a', 'd', 'g']
    """
    return [items[place] for place in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)]
