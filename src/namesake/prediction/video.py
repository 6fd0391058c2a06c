"""Read frames of a video file or a camera as a folder of images; PyAV decodes, imported when it is needed."""

import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from namesake.errors import ConfigError, ImagesError, WorkspaceError, how_to_install
from namesake.images import open_images
from namesake.images.encode import encode_picture
from namesake.images.identity import identify
from namesake.progress import track
from namesake.records import Images
from namesake.shapes import ImageArray
from namesake.workspace import read_record, write_bytes, write_json

CAMERA = "camera:"
DONE = "frames.json"
QUALITY = 95


def write_frames(source: str | Path, out: Path, *, every: int = 1, most: int | None = None) -> Images:
    """Write frames as `out/<number>.jpg`, numbered from 0 as in the source and turned as players show them.

    Frames that are there are kept, unless the file changed since.

    Args:
        source: A video file, or `camera:0` for the first camera of the machine.
        out: The folder of the frames.
        every: Take every n-th frame.
        most: Take at most so many; None for all of a file.

    Returns:
        The frames.

    Raises:
        ConfigError: PyAV is not installed, `every` is below 1, or a camera has no `most`.
        ImagesError: The source cannot be opened or has no frame.
        WorkspaceError: `out` holds frames of another source, or what is no frame of ours.
    """
    text = str(source)
    if every < 1 or (most is None and text.startswith(CAMERA)) or (most is not None and most < 1):
        raise ConfigError(
            f"every and frames are 1 or more, and a camera needs a number of frames; found {every}, {most}."
        )
    claim = {"source": text, "every": every, "most": most}
    found = read_record(out / DONE)
    if not found and out.is_dir() and any(out.iterdir()):
        raise WorkspaceError(f"{out} is not empty and holds no frames of a video. Choose another --out.")
    if found and {key: found.get(key) for key in claim} != claim:
        raise WorkspaceError(f"{out} holds frames of {found.get('source')}. Choose another --out.")
    claim |= {"bytes": _digest(text), "upright": True}
    same = {key: found.get(key) for key in claim} == claim
    if not same or not found.get("frames"):
        for path in () if same else out.glob("*.jpg"):
            path.unlink()  # of another file of that name, or not upright
        # the claim comes before the frames, their number once all are there
        write_json(out / DONE, claim)
        count = 0
        for number, image in track(_decode(text, every=every, most=most), what="frames", total=most):
            count += 1
            path = out / f"{number:08}.jpg"
            if not path.is_file() or text.startswith(CAMERA):
                write_bytes(path, encode_picture(image, "JPEG", quality=QUALITY))
        if not count:
            raise ImagesError(f"{text} holds no frame that can be decoded.")
        write_json(out / DONE, claim | {"frames": count})
    return open_images(out)


def _decode(source: str, *, every: int, most: int | None) -> Iterator[tuple[int, ImageArray]]:
    """Number and picture of the frames that are taken; one frame is in memory."""
    try:
        import av
    except ImportError as error:
        raise ConfigError(f"reading a video needs PyAV, which is not installed: {how_to_install('video')}.") from error
    device = f"/dev/video{source.removeprefix(CAMERA)}" if source.startswith(CAMERA) else None
    try:
        with closing(av.open(device, format="v4l2") if device else av.open(source)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if most is not None and number >= most * every:
                    return
                if number % every == 0:
                    yield number, _as_shown(frame)
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise ImagesError(f"{source} cannot be read as a video: {error}.") from error


def _digest(source: str) -> str:
    """Of a file's bytes; "" of a camera."""
    if source.startswith(CAMERA):
        return ""
    path = Path(source).absolute()
    return identify(Images(path.parent, (path.name,)))[path.name].digest


def _as_shown(frame: Any) -> ImageArray:  # noqa: ANN401
    """RGB of a frame, turned and mirrored as its display matrix says, where that is by quarters of a turn.

    The matrix (ISO/IEC 14496-12, 6.2.2) maps a stored point (x, y) to (a x + c y, b x + d y), y downwards.
    """
    image: ImageArray = frame.to_ndarray(format="rgb24")
    with suppress(StopIteration, struct.error):
        matrix = next(bytes(each) for each in frame.side_data if each.type.name == "DISPLAYMATRIX")
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
        if (a and d and not b and not c) or (b and c and not a and not d):
            if b and c:
                image = image.transpose(1, 0, 2)  # [width, height, 3]: x and y change places
                a, d = c, b
            image = image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(image)
