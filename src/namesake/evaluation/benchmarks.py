"""A folder with ground truth in; images, what the label ids mean and a reader of true label maps out.

The only reader of labels in the package. It knows nothing of the systems that are scored.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from namesake.errors import DataError
from namesake.images import open_images
from namesake.prediction.export import read_index_png
from namesake.records import Images
from namesake.shapes import IGNORE, LabelArray

BACKGROUND = "background"
IGNORED_NAMES = {"ignore", "void", "not sure", "unlabelled", "unlabeled"}
ROTATED = {5, 6, 7, 8}
"""EXIF orientations that exchange height and width."""


@dataclass(frozen=True)
class Benchmark:
    """Images with ground truth.

    Attributes:
        name: What it is called in results.
        images: The images, in the order in which they are scored.
        names: Name of every id that a true label map may hold, "background" among them where there is one.
        ignore: Id of pixels that do not count.
        read: Gives the true label map of an image id, unchecked; `truth` checks it.
        regime: How it is scored, in words, for reports.
    """

    name: str
    images: Images
    names: Mapping[int, str]
    ignore: int
    read: Callable[[str], LabelArray]
    regime: str

    def truth(self, image_id: str) -> LabelArray:
        """The true label map of an image, at its size.

        Raises:
            DataError: It is missing, no index PNG, of another size than the image, or holds an id without a name.
        """
        labels = self.read(image_id)
        height, width = size_of(self.images.path(image_id))
        if labels.shape != (height, width):
            raise DataError(
                f"the mask of {image_id} is {labels.shape[0]} x {labels.shape[1]}, its image {height} x {width} "
                "(height x width); write the mask at the image's size."
            )
        known = np.zeros(max(*self.names, self.ignore, int(labels.max(initial=0))) + 1, dtype=bool)
        known[[*self.names, self.ignore]] = True
        if not known[labels].all():
            strange = np.unique(labels[~known[labels]]).tolist()
            raise DataError(
                f"the mask of {image_id} holds the ids {_some(strange)}, which names.json does not list; add their "
                f"names, or draw these pixels as {self.ignore} so that they do not count."
            )
        return labels


@dataclass(frozen=True)
class IndexPngs:
    """Reads `<stem>.png` of a folder for an image id; compares equal, and is described, by the folder."""

    folder: Path

    def path(self, image_id: str) -> Path:
        """File of one image's label map."""
        return self.folder / PurePosixPath(image_id).with_suffix(".png")

    def __call__(self, image_id: str) -> LabelArray:
        """The label map of one image."""
        return read_index_png(self.path(image_id))


def open_benchmark(name: str, root: Path) -> Benchmark:
    """Open a benchmark.

    Args:
        name: A key of BENCHMARKS: "world" for scenes of the embedded world, "folder" for any folder of that layout.
        root: Holds `images/`, `masks/` (an index PNG of the same stem for each image) and `names.json` (id -> name).

    Returns:
        The benchmark; label maps are read when asked for.

    Raises:
        DataError: Unknown name, or the layout is another one.
    """
    if name not in BENCHMARKS:
        raise DataError(f"there is no benchmark {name!r}; known are {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name](root)


def open_folder(root: Path) -> Benchmark:
    """A folder of a user: images, index PNGs and names."""
    return _open(root, name=root.resolve().name, regime="ground truth from a folder")


def open_world(root: Path) -> Benchmark:
    """Scenes that `namesake world --draw scenes` rendered, with exact ground truth."""
    return _open(root, name="world", regime="rendered scenes of the embedded world, exact ground truth")


BENCHMARKS: dict[str, Callable[[Path], Benchmark]] = {"world": open_world, "folder": open_folder}


def _open(root: Path, *, name: str, regime: str) -> Benchmark:
    missing = [part for part in ("images", "masks", "names.json") if not (root / part).exists()]
    if missing:
        raise DataError(f"expected images/, masks/ and names.json in {root}; missing: {', '.join(missing)}.")
    images = open_images(root / "images")
    masks = IndexPngs(root / "masks")
    unpaired = [image_id for image_id in images.ids if not masks.path(image_id).is_file()]
    if unpaired:
        raise DataError(
            f"{len(unpaired)} of {len(images)} images in {root / 'images'} have no mask; first is {unpaired[0]}, whose "
            f"mask is expected at {masks.path(unpaired[0])}."
        )
    names, ignore = read_ids(root / "names.json")
    return Benchmark(name, images, names, ignore, masks, regime)


def read_ids(path: Path) -> tuple[dict[int, str], int]:
    """Read `{"0": "background", "1": "dog", ...}`: the names, and the id of pixels that do not count.

    The latter is the id named "ignore", "void", "not sure" or "unlabelled", else 255.

    Raises:
        DataError: The file is not such JSON, or no id is left.
    """
    try:
        entries = {int(number): str(name) for number, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f'{path} is no list of names ({error}); expected {{"0": "background", "1": "dog", ...}}.'
        ) from error
    ignored = [number for number, name in entries.items() if plain(name) in IGNORED_NAMES]
    names = {number: name for number, name in sorted(entries.items()) if number not in ignored}
    if not names or min(entries) < 0 or len(ignored) > 1:
        raise DataError(
            f"{path} lists {len(names)} names and {len(ignored)} ids to ignore; expected ids from 0 with a name each, "
            "and at most one to ignore."
        )
    ignore = ignored[0] if ignored else IGNORE
    if ignore in names:
        raise DataError(
            f"{path} names id {IGNORE} {names[IGNORE]!r}, but {IGNORE} marks pixels that do not count unless another "
            'id is named "ignore". Name one.'
        )
    return names, ignore


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) of an image as it is shown, from its header alone.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with Image.open(path) as picture:
            rotated = picture.getexif().get(0x0112) in ROTATED
            return (picture.width, picture.height) if rotated else (picture.height, picture.width)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} belongs to a benchmark and cannot be read: {error}.") from error


def plain(name: str) -> str:
    """A name in the form in which names are compared: without case, "-" and "_" as blanks, single blanks."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown
