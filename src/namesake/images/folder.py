"""List the images of folders, of stores too, tar shards, tables, files and patterns under stable ids.

It opens no image: whether one can be read shows when it is read.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from namesake.errors import ImagesError, listed
from namesake.images.containers import (
    PARQUET,
    is_container,
    laid_out,
    list_members,
    lists_other_files,
    lists_urls,
)
from namesake.images.decode import HEIF_ADVICE, formats
from namesake.images.stores import STORES, is_object, list_store, store_url
from namesake.progress import note
from namesake.records import Images

JPEG = ("jpg", "jpeg", "jfif", "jpe")
EXTENSIONS = (*JPEG, "png", "bmp", "webp", "tif", "tiff", "ppm", "pgm", "gif")
MODERN = {"avif": "AVIF", "heic": "HEIF", "heif": "HEIF"}
"""Endings that are images where the format can be read."""
VIDEO_EXTENSIONS = ("mp4", "mov", "mkv", "avi", "webm", "m4v", "mpg", "mpeg")
SHOWN = 5


def is_image(name: str) -> bool:
    """Whether a file's ending says that it is an image which can be read here."""
    ending = _ending(name)
    return ending in EXTENSIONS or MODERN.get(ending) in formats()


def open_images(source: str | Path | Sequence[str | Path]) -> Images:
    """List the images of folders (sub-folders, tar shards and parquet tables included), files and patterns.

    Files and folders whose names begin with a dot are passed over. Links are followed to files within the folder only;
    links that leave it or lead nowhere, links to folders, what is no regular file, and names that are not UTF-8 are
    left out and listed once on standard error, as is the number of files that are passed over by their ending.

    A table beside a tar or a folder of its name lists what a downloader put there, and a table of paths what lies
    beside it: they are passed over, and where such a table itself is given, the files are read. A table of URLs counts
    only where nothing else is an image: nothing is fetched that may lie on disk.

    Args:
        source: A folder, which may itself be a link, a tar or a table; an image file; a pattern (`photos/*.jpg`, `**`
            for any depth); a folder or an image of an object store (`s3://bucket/photos`); or several of these.

    Returns:
        The images; an id is the path relative to `folder` with "/", and ids are sorted by code point. Of several
        sources, `folder` is the one that holds them all.

    Raises:
        ImagesError: Something is missing, not readable or a video, or there is no image in it.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if len(sources) == 1 and not _is_glob(str(sources[0])) and not _is_file(Path(sources[0])):
        return _open_folder(place_of(sources[0]))
    found = [_files(str(each)) for each in sources]
    files = sorted({file for some, _ in found for file in some})
    if not files:
        raise ImagesError("expected images, found no path to any.")
    passed: Counter[str] = Counter()
    for _, others in found:
        passed.update(others)
    if len({file.parts[:2] if store_url(file) else () for file in files}) > 1:
        raise ImagesError("expected images of this machine or of one bucket, found several places; give one at a time.")
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return Images(folder, tuple(sorted(file.relative_to(folder).as_posix() for file in files)), dict(passed))


def _open_folder(folder: Path) -> Images:
    """The images of a folder, a tar or a table."""
    url = store_url(folder)
    if url:
        note(f"listing {url}")
    elif not folder.exists():
        stores = f" Of addresses only those of object stores are read: {', '.join(sorted(STORES))}."
        raise ImagesError(
            f"expected a folder with images, an image or a pattern at {folder}, found nothing. Check the path."
            f"{stores if ':/' in folder.as_posix() else ''}"
        )
    place = laid_out(folder)
    if place is not None:
        note(f"{folder.name} lists what lies in {place.name}: read from there")
        folder = place
    found = _list(folder)
    ids = found.ids or found.urls
    if not ids:
        raise ImagesError(_nothing_found(folder, found.others, found.left_out))
    if found.urls and found.ids:
        note(f"{folder}: {len(found.urls)} URLs of tables beside images are passed over; give such a table itself")
    if found.left_out:
        note(f"{url or folder}: {len(found.left_out)} left out: {listed(found.left_out, most=SHOWN)}")
    if found.others:
        note(f"{url or folder}: {passed_over(found.others)}")
    return Images(folder=folder, ids=tuple(sorted(ids)), passed_over=dict(found.others))


class _Listed(NamedTuple):
    """What lies in a folder: images, rows of tables of URLs, what is left out and why, others by their ending."""

    ids: list[str]
    urls: list[str]
    left_out: list[str]
    others: Counter[str]


def _list(folder: Path) -> _Listed:
    found = _Listed([], [], [], Counter())
    stored = bool(store_url(folder))
    for path, reason in list_store(folder) if stored else _walk(folder) if folder.is_dir() else list_members(folder):
        table = (folder / path).parent
        if reason:
            found.left_out.append(f"{path!r} ({reason})")
        elif not stored and table.suffix.lower() == PARQUET and not table.is_dir():
            (found.urls if folder.is_dir() and lists_urls(table) else found.ids).append(path)
        elif is_image(path):
            found.ids.append(path)
        else:
            found.others[_dotted(path)] += 1
    return found


def passed_over(others: Mapping[str, int]) -> str:
    """What is said of files that are passed over by their ending."""
    advice = f"; {HEIF_ADVICE}" if {".heic", ".heif", ".avif"} & others.keys() else ""
    return f"{sum(others.values())} files are passed over by their ending: {_kinds(others)}{advice}"


def _files(text: str) -> tuple[list[Path], Mapping[str, int]]:
    """The image files that one of several sources stands for, and how many are passed over, by ending."""
    if not _is_glob(text):
        path = place_of(text)
        if not _is_file(path):
            images = _open_folder(path)
            return [images.path(image_id) for image_id in images.ids], images.passed_over
        if not is_image(path.name):
            raise ImagesError(_no_image(path))
        return [path], {}
    matches = [Path(file).absolute() for file in glob.iglob(text, recursive=True)]  # noqa: PTH207
    files = [file for file in matches if file.is_file() and not _reason_against_name(str(file))]
    found = [file for file in files if is_image(file.name)]
    for container in (file for file in files if is_container(file.name) and not lists_other_files(file)):
        images = _open_folder(container)
        found += [images.path(image_id) for image_id in images.ids]
    others = Counter(_dotted(file.name) for file in files if not is_image(file.name) and not is_container(file.name))
    if not found:
        kinds = f"; it fits {_kinds(others)}" if others else ""
        raise ImagesError(f"the pattern {text} fits no image ({_known()}){kinds}. Check it, and its quotes.")
    if others:
        note(f"{text}: {passed_over(others)}")
    return found, others


def place_of(source: str | Path) -> Path:
    """Where a source lies, whatever the working folder."""
    return Path(source) if store_url(source) else Path(source).absolute()


def _is_file(path: Path) -> bool:
    """Whether a path is a single file: neither a folder nor a tar or table."""
    return not is_container(path.name) and (is_object(path) if store_url(path) else path.is_file())


def _is_glob(text: str) -> bool:
    return glob.has_magic(text) and not store_url(text) and not Path(text).exists()


def _no_image(path: Path) -> str:
    if _ending(path.name) in VIDEO_EXTENSIONS:
        return (
            f"{path} is a video, which only `predict` takes as it is. Write its frames with "
            f"`namesake predict RUN {path.name} --out DIR`, then give DIR/frames."
        )
    advice = f" {HEIF_ADVICE}." if _ending(path.name) in MODERN else ""
    return f"expected an image ({_known()}), a folder, a tar, a table or a pattern, found the file {path}.{advice}"


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix[1:].lower()


def _dotted(name: str) -> str:
    """The ending with its dot; "" of a name without one."""
    return f".{_ending(name)}" if _ending(name) else ""


def _known() -> str:
    return ", ".join(f".{kind}" for kind in (*EXTENSIONS, *(k for k, form in MODERN.items() if form in formats())))


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
            reason = _reason_against_name(entry.name)
            if entry.is_dir(follow_symlinks=False) and not reason:
                pending.append(path)
                continue
            reason = reason or _reason_against(entry, home)
            if reason or not is_container(entry.name):
                yield path, reason
            elif not lists_other_files(Path(entry.path)):
                yield from ((f"{path}/{member}", why) for member, why in list_members(Path(entry.path)))


def _reason_against_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return ""


def _reason_against(entry: os.DirEntry[str], home: Path) -> str:
    try:
        if entry.is_symlink() and not Path(entry.path).resolve(strict=True).is_relative_to(home):
            return "a link that leaves the folder"
        if entry.is_dir():
            return "a link to a folder"
        return "" if entry.is_file() else "not a regular file"
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return "a link that leads nowhere"


def _kinds(others: Mapping[str, int]) -> str:
    kinds = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{count} {kind or 'without extension'}" for kind, count in kinds[:SHOWN]]
    rest = sum(count for _, count in kinds[SHOWN:])
    return ", ".join([*shown, f"{rest} others"] if rest else shown)


def _nothing_found(folder: Path, others: Mapping[str, int], left_out: list[str]) -> str:
    url = store_url(folder)
    message = (
        f"expected images in {url or folder} (file names ending in {_known()}), found {_kinds(others) or 'no file'}."
    )
    if {".heic", ".heif", ".avif"} & others.keys():
        message += f" {HEIF_ADVICE}."
    videos = sorted(kind for kind in others if kind[1:] in VIDEO_EXTENSIONS)
    if videos:
        message += f" Videos ({', '.join(videos)}) are given one by one to `predict`."
    if left_out:
        message += f" Left out: {listed(left_out, most=SHOWN)}."
    if url:
        message += " Check the address; patterns are for files of this machine."
    elif left_out:
        message += " Copy the images into the folder, or give the folder they lie in."
    return message
