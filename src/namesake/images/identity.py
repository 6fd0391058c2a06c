"""Images in, what tells whether they are still the same out: a digest of each one's bytes, read once.

What was read is kept with the file's size and times of change, so that only files which were touched are read again: a
file with the same three has the same bytes. Of a row of a table of URLs, the URL stands for the bytes; of an object in
a store, its tag there.
"""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from namesake.errors import ImagesError
from namesake.images.containers import named_file, read_member
from namesake.images.stores import ask_for, look_up, store_url
from namesake.progress import track
from namesake.records import Images

BYTES = 8
"""Of a digest; it is written as twice as many hexadecimal digits."""
THREADS, TOGETHER = 4, 4096
UNREADABLE = ""
"""Digest of what cannot be read."""


class Known(NamedTuple):
    """A file's size and times of change, and the digest of its bytes."""

    size: int
    modified_ns: int
    changed_ns: int
    digest: str


UNKNOWN = Known(0, 0, 0, UNREADABLE)
_known: dict[str, Known] = {}


def recall(known: Mapping[str, Known]) -> None:
    """Take over what was known of files, by path, at an earlier time."""
    _known.update(known)


def identify(images: Images) -> dict[str, Known]:
    """What is known of each image, by id; files that were touched since they were last read are read again.

    Returns:
        For each id size, times and a digest that depends on the image's bytes alone, "" where it cannot be read. Of an
        image in a tar or a table, size and times are those of that file; objects in a store have no times.
    """
    if store_url(images.folder):
        objects = look_up(images.folder, [images.path(image_id) for image_id in images.ids])
        return {
            image_id: Known(found.size, 0, 0, _hash(found.tag.encode()).hexdigest()) if found else UNKNOWN
            for image_id, found in zip(images.ids, objects, strict=True)
        }
    found: dict[str, Known] = {}
    unread: list[tuple[str, Path, tuple[int, int, int]]] = []
    for image_id in images.ids:
        path = images.path(image_id)
        facts = facts_of(path)
        known = _known.get(str(path))
        if facts is None:
            found[image_id] = UNKNOWN
        elif known is not None and known[:3] == facts:
            found[image_id] = known
        else:
            unread.append((image_id, path, facts))
    with ThreadPoolExecutor(THREADS, thread_name_prefix="identity") as threads:
        starts = range(0, len(unread), TOGETHER)
        for start in track(starts, what="comparing images") if len(starts) > 1 else starts:
            some = unread[start : start + TOGETHER]
            for (image_id, path, facts), digest in zip(
                some, threads.map(_digest, [each[1] for each in some]), strict=True
            ):
                found[image_id] = _known[str(path)] = Known(*facts, digest)
    return {image_id: found[image_id] for image_id in images.ids}


def is_there(path: Path) -> bool:
    """Whether an image is where it was."""
    return ask_for(path) is not None if store_url(path) else path.exists()


def facts_of(path: Path) -> tuple[int, int, int] | None:
    """Size and times of change of a file, or of the tar or table that a path leads through; None of none.

    Of a row that names a file, they are that file's.
    """
    try:
        facts = path.stat()
    except NotADirectoryError:
        return facts_of(named_file(path) or path.parent)
    except (OSError, ValueError):
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, _hash).hexdigest()
    except NotADirectoryError:
        pass
    except OSError:
        return UNREADABLE
    try:
        return _hash(read_member(path, fetch=False)).hexdigest()
    except ImagesError:
        return UNREADABLE


def _hash(content: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(content, digest_size=BYTES)
