"""Files, folders, globs, a video or a camera in; the images to segment out. It decodes nothing but videos."""

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from namesake.errors import ImagesError
from namesake.images import open_images
from namesake.images.folder import EXTENSIONS
from namesake.prediction.folder import FRAMES
from namesake.prediction.video import CAMERA, VIDEO_EXTENSIONS, write_frames
from namesake.records import Images


class Source(NamedTuple):
    """Images, and whether they are all those of their folder."""

    images: Images
    whole_folder: bool


def open_source(paths: Sequence[str | Path], *, out: Path, every: int = 1, most: int | None = None) -> Source:
    """Find the images that some paths stand for.

    Args:
        paths: Image files, folders (with their sub-folders), globs (`photos/*.jpg`, `**` for any depth); or alone, a
            video file, or `camera:0` for the first camera.
        out: Frames of a video or camera are written to `frames/` in it.
        every: Take every n-th frame.
        most: Take at most so many frames; a camera needs one.

    Returns:
        The images; of files from several folders, ids are relative to the folder that holds them all.

    Raises:
        ImagesError: A path leads nowhere or to no image, or a video is not alone.
        ConfigError: A video needs PyAV, which is not installed, or a camera a number of frames.
    """
    texts = [str(path) for path in paths]
    moving = [text for text in texts if _is_moving(text)]
    if moving:
        if len(texts) > 1:
            raise ImagesError(f"a video or camera is segmented alone; found {moving[0]} with {len(texts) - 1} more.")
        return Source(write_frames(moving[0], out / FRAMES, every=every, most=most), whole_folder=True)
    if len(texts) == 1 and (Path(texts[0]).is_dir() or not _is_glob(texts[0]) and not Path(texts[0]).is_file()):
        return Source(open_images(Path(texts[0])), whole_folder=True)
    files = sorted({Path(file).absolute() for text in texts for file in _files(text)})
    folder = Path(os.path.commonpath([file.parent for file in files]))
    return Source(Images(folder, tuple(sorted(file.relative_to(folder).as_posix() for file in files))), False)


def _is_moving(text: str) -> bool:
    return text.startswith(CAMERA) or PurePath(text).suffix[1:].lower() in VIDEO_EXTENSIONS


def _is_glob(text: str) -> bool:
    return glob.has_magic(text) and not Path(text).exists()


def _files(text: str) -> Iterable[Path]:
    """The image files that one path stands for."""
    if not _is_glob(text):
        path = Path(text)
        if path.is_dir():
            images = open_images(path)
            return [images.path(image_id) for image_id in images.ids]
        if not path.is_file():
            raise ImagesError(f"expected an image, a folder or a pattern at {text}, found nothing. Check the path.")
        if not _is_image(path):
            raise ImagesError(f"expected an image ({', '.join(EXTENSIONS)}) or a video, found {text}.")
        return [path]
    found = [path for path in map(Path, glob.iglob(text, recursive=True)) if path.is_file() and _is_image(path)]  # noqa: PTH207
    if not found:
        raise ImagesError(f"the pattern {text} fits no image ({', '.join(EXTENSIONS)}). Check it, and its quotes.")
    return found


def _is_image(path: Path) -> bool:
    return path.suffix[1:].lower() in EXTENSIONS
