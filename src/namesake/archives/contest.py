"""Give each image that several archives share to one of them, or to none."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from namesake.archives.store import Entries

Contested = Literal["last", "best", "drop"]


def settle(entries: Entries, contested: Contested) -> tuple[Entries, int]:
    """Give every image one label.

    Args:
        entries: Images that each name retrieved, labelled by its own archive.
        contested: Rule for an image in several archives. "last": all keep it, and its label is that of the
            last name that lists it (the published NamedMask and ZUTIS code). "best": only the name with the highest
            score keeps it, of equal ones the first. "drop": none keeps it.

    Returns:
        The entries that remain, in the same order, and the number of contested images.
    """
    # number of the image of each entry; how many archives list each image
    _, image, listed = np.unique(entries.row, return_inverse=True, return_counts=True)
    count = int(np.count_nonzero(listed > 1))
    if contested == "last":
        last = np.zeros(len(listed), dtype=np.int64)
        np.maximum.at(last, image, entries.archive)
        return entries._replace(label=last[image]), count
    keep = listed[image] == 1 if contested == "drop" else _is_best(entries, image)
    return Entries(*(column[keep] for column in entries)), count


def _is_best(entries: Entries, image: Int64[ndarray, " entries"]) -> Bool[ndarray, " entries"]:
    # by image, then score descending, then archive: the first entry of an image is its best
    order = np.lexsort((entries.archive, -entries.score, image))
    _, first = np.unique(image[order], return_index=True)
    keep = np.zeros(len(order), dtype=np.bool_)
    keep[order[first]] = True
    return keep
