"""Names in, the colours in which people see them out; it knows no files and no pictures.

A name's colour follows from the name, not from its number, so it is the same in every run, page and report. Index PNGs
keep the palette of VOC, which `palette` has.
"""

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from hashlib import blake2b

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from namesake.names.spelling import spelling

BASE = (
    "ffe119 e6194b 2e8bff 00c853 00e5ff ff4fd8 9b30ff ff8a00 a0ffa0 "
    "a060a0 c000c0 60c0ff 20a080 ff80c0 ffc080 80a0ff ffa0a0 80ffff"
)
"""Bright colours, of which every two differ for people who lack one of the three kinds of cones too."""
COUNT = len(BASE.split())


def colours_of(names: Sequence[str], *, among: Iterable[str] = ()) -> UInt8[ndarray, "labels 3"]:
    """RGB of the labels of a list of names.

    Each name has an order in which it likes the colours, which follows from its spelling alone (upper and lower case
    are one). Where two names of a list like the same colour best, one of them, always the same, takes the next that is
    free. So a name has one colour in all lists, but for those where it makes way. Lists of more than 18 names take
    lighter and then darker ones too; beyond 54 names share colours.

    Args:
        names: Names in label order.
        among: Further names that are seen beside them: those of another run that is compared.

    Returns:
        uint8 [names + 1, 3]: row 0, the background, is black; row i is of the i-th name.
    """
    chosen = _dealt(frozenset(spelling(name) for name in (*names, *among)))
    places = np.array([chosen[spelling(name)] for name in names], dtype=np.int64)
    return np.concatenate([np.zeros((1, 3), np.uint8), shades()[places]])


@cache
def shades() -> UInt8[ndarray, "colours 3"]:
    """All colours: the bright ones, then each of them lighter, then each darker."""
    bright = np.array([list(bytes.fromhex(colour)) for colour in BASE.split()])
    every = np.concatenate([bright, (bright + 255) // 2, bright * 5 // 9]).astype(np.uint8)
    every.flags.writeable = False  # all callers see the same array
    return every


def in_order(count: int) -> UInt8[ndarray, "labels 3"]:
    """RGB of the labels 0 to `count` - 1 where no names are known: black, then `shades` again and again."""
    every = shades()
    return np.concatenate([np.zeros((1, 3), np.uint8), every[np.arange(count - 1) % len(every)]])


@lru_cache(maxsize=64)
def _dealt(names: frozenset[str]) -> dict[str, int]:
    """The place in `shades` of each name."""
    digests = {name: blake2b(name.encode("utf-8", "surrogatepass")).digest() for name in names}
    chosen: dict[str, int] = {}
    liked = {name: sorted(range(COUNT), key=lambda place: digest[place]) for name, digest in digests.items()}
    waiting = sorted(names, key=lambda name: digests[name])
    # all first wishes, then all second ones; bright colours first, then lighter, then darker
    for turn in range(3 * COUNT):
        ring, rank = divmod(turn, COUNT)
        for name in waiting:
            place = liked[name][rank] + ring * COUNT
            if place not in chosen.values():
                chosen[name] = place
        waiting = [name for name in waiting if name not in chosen]
    return chosen | {name: liked[name][0] for name in waiting}
