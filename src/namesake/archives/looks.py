"""What the pixels of an image say about keeping it out: whether a face is seen, and a hash of its looks.

The face filter of NamedMask (https://arxiv.org/abs/2209.11228, section 4.1; RetinaFace there); the detector is any
function from an image to faces. Knows no names and no embeddings.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt64
from numpy import ndarray

from namesake.errors import ConfigError, ImagesError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import resize, resize_longer_side
from namesake.records import Images
from namesake.shapes import ImageArray

FaceDetector = Callable[[ImageArray], Sequence[object]]
"""An RGB image in, one entry a face out, whatever it is; none means that no face is seen."""

CASCADE = "namesake.archives.looks:cascade_faces"
"""The detector that comes along: scikit-image's cascade of local binary patterns, frontal faces only."""

LARGEST = 512
SMALLEST_FACE = 24
HASH_SIDE = 32


class Look(NamedTuple):
    """What was seen of an image; an unreadable one has no face and the hash 0."""

    face: bool
    hash: int


def load_detector(entry: str) -> FaceDetector:
    """The function that `package.module:function` names, such as a wrapper of RetinaFace.

    Raises:
        ConfigError: There is no such function.
    """
    module, _, name = entry.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"archives.face_detector: expected package.module:function, found {entry!r} ({error}). "
            f"For example {CASCADE}."
        ) from error
    if not callable(found):
        raise ConfigError(
            f"archives.face_detector: {entry} is {type(found).__name__}, expected a function of an image."
        )
    return found  # type: ignore[no-any-return]


def cascade_faces(image: ImageArray) -> Sequence[object]:
    """Frontal faces, each as a dictionary of r, c, height and width in the image shrunk to 512 pixels.

    Boosted stages over multi-block local binary patterns, with the weights that scikit-image ships.
    """
    shown = resize_longer_side(image, side=LARGEST) if max(image.shape[:2]) > LARGEST else image
    if min(shown.shape[:2]) < SMALLEST_FACE:
        return []
    return _cascade().detect_multi_scale(  # type: ignore[no-any-return]
        shown,
        scale_factor=1.2,
        step_ratio=1,
        min_size=(SMALLEST_FACE, SMALLEST_FACE),
        max_size=shown.shape[:2],
        min_neighbor_number=4,
    )


def look_at(images: Images, ids: Iterable[str], *, faces: str = "", workers: int = 2) -> dict[str, Look]:
    """Look at images, each once.

    Args:
        images: Where they lie.
        ids: Which ones.
        faces: Entry of a detector; "" looks for no face.
        workers: Threads that read and look.

    Raises:
        ConfigError: There is no such detector.
    """
    detector = load_detector(faces) if faces else None

    def look(image_id: str) -> Look:
        image = read_image(images.path(image_id))
        return Look(detector is not None and len(detector(image)) > 0, perceptual_hash(image))

    seen = work_ahead(look, dict.fromkeys(ids), workers=workers)
    return {image_id: Look(False, 0) if isinstance(each, ImagesError) else each for image_id, each in seen}


def perceptual_hash(image: ImageArray) -> int:
    """64 bits that near copies of an image share: which of its 64 lowest frequencies lie above their median.

    Discrete cosine transform of the image in grey at 32 x 32 pixels, as the imagehash and pHash libraries define it.
    """
    from scipy.fft import dctn

    small = resize(image, height=HASH_SIDE, width=HASH_SIDE, method="bicubic").astype(np.float64)
    low = dctn(small @ np.array([0.299, 0.587, 0.114]))[:8, :8].ravel().round(6)  # of one colour: nothing but zeros
    return int(np.packbits(low > np.median(low)).view(">u8")[0])


def first_of_like_hashes(hashes: UInt64[ndarray, " images"], *, distance: int) -> Bool[ndarray, " images"]:
    """Which images to keep so that no two kept hashes differ in `distance` bits or fewer; of two such, the first stays.

    Raises:
        ConfigError: A distance outside 0 to 64.
    """
    if not 0 <= distance <= 64:
        raise ConfigError(f"expected a hash distance of 0 to 64 bits, found {distance}.")
    kept = np.ones(len(hashes), dtype=np.bool_)
    for image in range(len(hashes)):  # each decision rests on the ones before
        if kept[image]:
            kept[image + 1 :] &= np.bitwise_count(hashes[image + 1 :] ^ hashes[image]) > distance
    return kept


@cache
def _cascade() -> "Cascade":  # noqa: F821
    from skimage import data
    from skimage.feature import Cascade

    return Cascade(str(Path(data.lbp_frontal_face_cascade_filename())))
