"""Look at images as they are read: a window of them at a time, and those of one size together. It knows no network."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from math import ceil
from typing import TypeVar

from namesake.errors import ImagesError
from namesake.shapes import ImageArray

Read = TypeVar("Read")
Seen = TypeVar("Seen")

PIXELS = 16_000_000
"""Of the images that a network is given together, about; larger images go in smaller batches."""


def at_once(size: Sequence[int]) -> int:
    """Images of one size (height, width, ...) that a network is given together at most."""
    return ceil(PIXELS / (size[0] * size[1]))


def in_windows(
    read: Iterator[tuple[str, Read | ImagesError]], size: int, look: Callable[[list[Read]], Iterable[Seen]]
) -> Iterator[tuple[str, Seen | ImagesError]]:
    """What `look` sees of each image in order, with its id; the error of those that cannot be read.

    Args:
        read: What `work_ahead` or `read_ahead` gives.
        size: Images that are read before `look` is given those of them that can be.
        look: Gives something for each.
    """
    while window := list(islice(read, size)):
        seen = iter(look([each for _, each in window if not isinstance(each, ImagesError)]))
        for image_id, each in window:
            yield image_id, each if isinstance(each, ImagesError) else next(seen)


def by_size(
    images: Sequence[ImageArray],
    look: Callable[[list[ImageArray]], Iterable[Seen]],
    *,
    most: Callable[[tuple[int, ...]], int],
) -> list[Seen]:
    """What `look` sees of each image in order; it is given images of one shape, at most `most(shape)`."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for number, image in enumerate(images):
        alike.setdefault(image.shape, []).append(number)
    seen: dict[int, Seen] = {}
    for shape, numbers in alike.items():
        for start in range(0, len(numbers), most(shape)):
            some = numbers[start : start + most(shape)]
            seen |= zip(some, look([images[number] for number in some]), strict=True)
    return [seen[number] for number in range(len(images))]
