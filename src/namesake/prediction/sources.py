"""Open what to segment: files, folders, globs, a video or a camera."""

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from namesake.errors import ImagesError
from namesake.images import open_images
from namesake.images.folder import VIDEO_EXTENSIONS, place_of
from namesake.images.stores import store_url
from namesake.prediction.folder import FRAMES
from namesake.prediction.video import CAMERA, write_frames
from namesake.records import Images


class Source(NamedTuple):
    """Images, and whether they are all those of their folder."""

    images: Images
    whole_folder: bool


def open_source(paths: Sequence[str | Path], *, out: Path, every: int = 1, most: int | None = None) -> Source:
    """Find the images that some paths stand for.

    Args:
        paths: Paths that `open_images` takes; or alone, a video file, or `camera:0` for the first camera.
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
        if store_url(moving[0]):
            raise ImagesError(f"{moving[0]} lies in an object store; copy the video to this machine and give that.")
        if len(texts) > 1:
            raise ImagesError(f"a video or camera is segmented alone; found {moving[0]} with {len(texts) - 1} more.")
        return Source(write_frames(moving[0], out / FRAMES, every=every, most=most), whole_folder=True)
    images = open_images(texts)
    return Source(images, whole_folder=len(texts) == 1 and images.folder == place_of(texts[0]))


def _is_moving(text: str) -> bool:
    return text.startswith(CAMERA) or PurePath(text).suffix[1:].lower() in VIDEO_EXTENSIONS and not Path(text).is_dir()
