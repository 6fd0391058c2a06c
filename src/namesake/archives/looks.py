"""Find the images that show a face.

The face filter of NamedMask (https://arxiv.org/abs/2209.11228, section 4.1; RetinaFace there); the detector is any
function from an image to faces.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from namesake.errors import ConfigError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import limit_longer_side
from namesake.records import Images
from namesake.shapes import ImageArray

if TYPE_CHECKING:
    from skimage.feature import Cascade

FaceDetector = Callable[[ImageArray], Sequence[object]]
"""An RGB image in, one entry a face out, whatever it is; none means that no face is seen."""

CASCADE = "namesake.archives.looks:cascade_faces"
"""The detector that comes along: scikit-image's cascade of local binary patterns, frontal faces only."""

LARGEST = 512
SMALLEST_FACE = 24


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
    shown = limit_longer_side(image, side=LARGEST)
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


def look_for_faces(images: Images, ids: Iterable[str], *, detector: str, workers: int = 2) -> set[str]:
    """The images that show a face; an unreadable one shows none.

    Args:
        images: Collection that they are of.
        ids: Ids of those to look at.
        detector: Entry of a detector, `package.module:function`.
        workers: Threads that read and look.

    Raises:
        ConfigError: There is no such detector.
    """
    find = load_detector(detector)

    def look(image_id: str) -> bool:
        return len(find(read_image(images.path(image_id)))) > 0

    seen = work_ahead(look, dict.fromkeys(ids), workers=workers)
    return {image_id for image_id, face in seen if face is True}


@cache
def _cascade() -> "Cascade":
    from skimage import data
    from skimage.feature import Cascade

    return Cascade(str(Path(data.lbp_frontal_face_cascade_filename())))
