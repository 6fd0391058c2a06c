"""A folder in, the stable ids of its images out. It opens no image: whether one can be read shows when it is read."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from namesake.errors import ImagesError
from namesake.images.containers import PARQUET, is_container, list_members, lists_other_files
from namesake.progress import note
from namesake.records import Images

EXTENSIONS = ("jpg", "jpeg", "png", "bmp", "webp", "tif", "tiff", "ppm", "pgm", "gif")
SHOWN = 5


def open_images(folder: Path) -> Images:
    """List a folder's images; sub-folders, tar shards and parquet tables (of bytes, paths or URLs) included.

    Files and folders whose names begin with a dot are passed over. Links are followed to files within the folder only;
    links that leave it or lead nowhere, links to folders, what is no regular file, and names that are not UTF-8 are
    left out and listed once on standard error.

    Args:
        folder: Where the images lie; may itself be a link, a tar or a table. Tables within a folder that list
            the files of a tar of the same name or files beside them are passed over.

    Returns:
        The images; an id is the path relative to `folder` with "/", and ids are sorted by code point.

    Raises:
        ImagesError: The folder is missing, a file or not readable, or there is no image in it.
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise ImagesError(f"expected a folder with images at {folder}, found nothing. Check the path.")
    if not folder.is_dir() and not is_container(folder.name):
        raise ImagesError(f"expected a folder with images, found the file {folder}. Give the folder that it lies in.")
    ids: list[str] = []
    left_out: list[str] = []
    others: dict[str, int] = {}
    for path, reason in _walk(folder) if folder.is_dir() else list_members(folder):
        extension = PurePosixPath(path).suffix[1:].lower()
        if reason:
            left_out.append(f"{path!r} ({reason})")
        elif extension in EXTENSIONS or (folder / path).parent.suffix.lower() == PARQUET:
            ids.append(path)
        else:
            others[extension] = others.get(extension, 0) + 1
    if not ids:
        raise ImagesError(_nothing_found(folder, others, left_out))
    if left_out:
        note(f"{folder}: {len(left_out)} left out: {_some(left_out)}")
    return Images(folder=folder, ids=tuple(sorted(ids)))


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file below `folder` as (relative path, reason to leave it out or "")."""
    home = folder.resolve()
    pending = [""]
    while pending:
        where = pending.pop()
        try:
            with os.scandir(folder / where) as entries:
                found = list(entries)
        except OSError as error:
            if not where:
                raise ImagesError(f"cannot list {folder}: {error.strerror}. Check its permissions.") from error
            yield where, error.strerror or "cannot be listed"
            continue
        for entry in found:
            path = f"{where}/{entry.name}" if where else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
                continue
            reason = _reason_against(entry, home)
            if reason or not is_container(entry.name):
                yield path, reason
            elif not lists_other_files(Path(entry.path)):
                yield from ((f"{path}/{member}", why) for member, why in list_members(Path(entry.path)))


def _reason_against(entry: os.DirEntry[str], home: Path) -> str:
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    try:
        if entry.is_symlink() and not Path(entry.path).resolve(strict=True).is_relative_to(home):
            return "a link that leaves the folder"
        if entry.is_dir():
            return "a link to a folder"
        return "" if entry.is_file() else "not a regular file"
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return "a link that leads nowhere"


def _nothing_found(folder: Path, others: dict[str, int], left_out: list[str]) -> str:
    kinds = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    found = ", ".join(f"{count} {'.' + kind if kind else 'without extension'}" for kind, count in kinds[:SHOWN])
    message = (
        f"expected images in {folder} (file names ending in {', '.join('.' + kind for kind in EXTENSIONS)}), "
        f"found {found or 'no file'}."
    )
    if left_out:
        message += f" Left out: {_some(left_out)}. Copy the images into the folder, or give the folder they lie in."
    return message


def _some(items: list[str]) -> str:
    rest = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + rest
