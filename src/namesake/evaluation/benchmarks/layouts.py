"""A root folder as a benchmark's makers lay it out in; its images, and a reader of their true label maps, out.

Three layouts serve all benchmarks: a file of labels for each image, COCO's annotations, and a folder of a user's own.
Each says which of its parts are missing, so that a benchmark that has several layouts can choose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from namesake.errors import DataError
from namesake.evaluation.benchmarks.coco import CocoLabels, image_names
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.benchmarks.ids import read_ids
from namesake.images import open_images
from namesake.images.folder import EXTENSIONS
from namesake.progress import note
from namesake.records import Images
from namesake.shapes import LabelArray

OBJECTS = "instances.json"


class Found(NamedTuple):
    """What lies in a root: images, their labels, and where they are known, objects, names and the id to ignore."""

    images: Images
    read: "LabelFiles | CocoLabels"
    objects: Path | None = None
    names: Mapping[int, str] | None = None
    ignore: int | None = None


class Layout(Protocol):
    """A way in which files may lie in a root."""

    @property
    def parts(self) -> Sequence[str]:
        """Paths below the root that have to be there."""

    @property
    def decode(self) -> str:
        """How label maps are stored, a key of `DECODERS`."""

    def open(self, root: Path) -> Found:
        """What lies there, once all parts do."""


@dataclass(frozen=True)
class LabelFiles:
    """Reads the file of labels of an image; compares equal, and is described, by where and how they lie.

    Attributes:
        folder: Of the labels.
        decode: A key of `DECODERS`.
        image_suffix: What is taken off an image's id; its extension if "".
        label_suffix: What comes in its place.
    """

    folder: Path
    decode: str = "index"
    image_suffix: str = ""
    label_suffix: str = ".png"

    def path(self, image_id: str) -> Path:
        """File of one image's labels."""
        return self.folder / f"{without_suffix(image_id, self.image_suffix)}{self.label_suffix}"

    def __call__(self, image_id: str) -> LabelArray:
        """The label map of one image."""
        return DECODERS[self.decode](self.path(image_id))


@dataclass(frozen=True)
class Paired:
    """A file of labels for each image.

    Attributes:
        images: Folder of the images.
        labels: Folder of the labels.
        list: File that lists the images: a stem a line, or of CUB, a number and path a line, of which another file
            says which are tested. "" for all images of the folder, "labels" for those that have labels.
        image_suffix: End of an image's file name; any extension if "".
        label_suffix: End of its labels'.
        decode: How labels are stored.
        needs: Further files that have to be there.
        numbers: Folder of index PNGs that number each image's objects; annotations are prepared from it.
    """

    images: str
    labels: str
    list: str = ""
    image_suffix: str = ""
    label_suffix: str = ".png"
    decode: str = "index"
    needs: tuple[str, ...] = ()
    numbers: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Paths below the root that have to be there."""
        listed = (self.list,) if self.list not in {"", "labels"} else ()
        return (self.images, self.labels, *listed, *self.needs)

    def open(self, root: Path) -> Found:
        """Images and labels.

        Raises:
            DataError: An image that is listed is missing, or has no labels.
            ImagesError: There are no images.
        """
        folder = root / self.images
        read = LabelFiles(root / self.labels, self.decode, self.image_suffix, self.label_suffix)
        images = Images(folder.absolute(), self._ids(root)) if self.list else open_images(folder)
        if self.image_suffix and not self.list:
            images = Images(images.folder, tuple(each for each in images.ids if each.endswith(self.image_suffix)))
        check_pairs(images, read)
        objects = root / self.annotations if self.numbers else None
        return Found(images, read, objects if objects is not None and objects.is_file() else None)

    @property
    def annotations(self) -> str:
        """File of the objects, once they are prepared."""
        return self.list.removesuffix(".txt") + "-objects.json"

    def _ids(self, root: Path) -> tuple[str, ...]:
        if self.list == "labels":
            folder = root / self.labels
            stems = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob(f"*{self.label_suffix}"))]
            stems = [stem.removesuffix(self.label_suffix) for stem in stems]
        elif self.list.endswith("images.txt"):
            stems = _tested(root / self.list)
        else:
            stems = [line.split()[0] for line in _lines(root / self.list)]
        ids = (
            [stem + self.image_suffix for stem in stems]
            if self.image_suffix
            else _with_suffix(root / self.images, stems)
        )
        if not ids:
            raise DataError(f"{root / self.list} lists no image; download it again.")
        return tuple(sorted(ids))


@dataclass(frozen=True)
class Coco:
    """Images and COCO annotations, from which label maps are drawn.

    Attributes:
        images: Folder of the images.
        annotations: The json file.
        labels: Folder of COCO-Stuff's maps, to read labels from instead; "" to draw them.
    """

    images: str
    annotations: str
    labels: str = ""
    decode: str = "index"

    @property
    def parts(self) -> tuple[str, ...]:
        """Paths below the root that have to be there."""
        return (self.images, self.annotations, *((self.labels,) if self.labels else ()))

    def open(self, root: Path) -> Found:
        """Images, labels and objects: the images that the annotations list.

        Raises:
            DataError: An image that they list is missing, or the file is damaged.
        """
        annotations = root / self.annotations
        images = Images((root / self.images).absolute(), image_names(annotations))
        if not self.labels:
            check_pairs(images, None)
            return Found(images, CocoLabels(annotations), annotations)
        read = LabelFiles(root / self.labels, self.decode)
        check_pairs(images, read)
        return Found(images, read, annotations)


@dataclass(frozen=True)
class Own:
    """A folder of a user: `images/`, `masks/` (index PNGs of the same stem), `names.json`, maybe `instances.json`."""

    parts: tuple[str, ...] = ("images", "masks", "names.json")
    decode: str = "index"

    def open(self, root: Path) -> Found:
        """What lies there.

        Raises:
            DataError: An image has no mask, or the names are malformed.
            ImagesError: There are no images.
        """
        images, read = open_images(root / "images"), LabelFiles(root / "masks")
        check_pairs(images, read)
        spare = sorted(set(read.folder.rglob(f"*{read.label_suffix}")) - {read.path(each) for each in images.ids})
        if spare:
            note(f"{len(spare)} masks have no image and are not scored; first is {spare[0]}.")
        names, ignore = read_ids(root / "names.json")
        objects = root / OBJECTS
        return Found(images, read, objects if objects.is_file() else None, names, ignore)


def without_suffix(image_id: str, suffix: str) -> str:
    """An id without this end; without its extension if "" is given."""
    return image_id.removesuffix(suffix) if suffix else str(PurePosixPath(image_id).with_suffix(""))


def check_pairs(images: Images, read: LabelFiles | None) -> None:
    """Every image is there, and has a file of labels.

    Raises:
        DataError: One is missing; the message names the first.
    """
    absent = [image_id for image_id in images.ids if not images.path(image_id).is_file()]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(images)} images that are listed are not in {images.folder}; first is {absent[0]}. "
            "Download the images again."
        )
    unpaired = [image_id for image_id in images.ids if read is not None and not read.path(image_id).is_file()]
    if unpaired and read is not None:
        raise DataError(
            f"{len(unpaired)} of {len(images)} images in {images.folder} have no mask; first is {unpaired[0]}, whose "
            f"mask is expected at {read.path(unpaired[0])}."
        )


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} should list images, one a line, and cannot be read: {error}.") from error


def _tested(path: Path) -> list[str]:
    """CUB's test images: paths of `images.txt` whose number `train_test_split.txt` gives a 0; without extension."""
    paths = dict(line.split() for line in _lines(path))
    split = dict(line.split() for line in _lines(path.with_name("train_test_split.txt")))
    return [
        without_suffix(paths[number], "") for number, trained in split.items() if trained == "0" and number in paths
    ]


def _with_suffix(folder: Path, stems: Sequence[str]) -> list[str]:
    """Ids of the images with these stems, whatever their extension; `.jpg` where there is none."""
    found = {without_suffix(each, ""): each for each in open_images(folder).ids} if folder.is_dir() else {}
    return [found.get(stem, f"{stem}.{EXTENSIONS[0]}") for stem in stems]
