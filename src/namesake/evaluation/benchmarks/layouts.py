"""A root folder as a benchmark's makers lay it out in; its images, and a reader of their true label maps, out.

Three layouts serve all benchmarks: a file of labels for each image, COCO's annotations, and a folder of a user's own.
Each says which of its parts are missing, so that a benchmark that has several layouts can choose.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from namesake.documents import read_text, refused
from namesake.errors import DataError
from namesake.evaluation.benchmarks.coco import CocoLabels, category_labels, image_names, read_annotations
from namesake.evaluation.benchmarks.decode import DECODERS
from namesake.evaluation.benchmarks.ids import read_ids
from namesake.images import open_images
from namesake.images.folder import EXTENSIONS
from namesake.images.paths import LONG, MatchedPaths, match_paths, shown_path
from namesake.names.spelling import some
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


@dataclass(frozen=True)
class LabelFiles:
    """Reads the file of labels of an image; compares equal, and is described, by where and how they lie.

    Attributes:
        folder: Folder of the labels.
        decode: A key of `DECODERS`.
        image_suffix: Ending that is taken off an image's id; its extension if "".
        label_suffix: Ending in its place.
        files: Files that are called otherwise than the image (another form of Unicode, another case of the ending), by
            the image's id.
    """

    folder: Path
    decode: str = "index"
    image_suffix: str = ""
    label_suffix: str = ".png"
    files: Mapping[str, str] = field(default_factory=dict)

    def path(self, image_id: str) -> Path:
        """File of one image's labels."""
        usual = f"{without_suffix(image_id, self.image_suffix)}{self.label_suffix}"
        return self.folder / self.files.get(image_id, usual)

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
        decode: Form of stored labels.
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
            ending = self.image_suffix.lower()
            images = Images(images.folder, tuple(each for each in images.ids if each.lower().endswith(ending)))
        images = Images(images.folder, tuple(sorted(found_files(images, root / self.list))))
        read = find_labels(images, read)
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
        return tuple(sorted(dict.fromkeys(ids)))


@dataclass(frozen=True)
class Coco:
    """Images and COCO annotations, from which label maps are drawn.

    Attributes:
        images: Folder of the images.
        annotations: The json file.
        labels: Folder of COCO-Stuff's maps, to read labels from instead; "" to draw them.
        ids: Key of the published names, by which the file's categories are found.
    """

    images: str
    annotations: str
    labels: str = ""
    decode: str = "index"
    ids: str = "coco"

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
        listed = Images((root / self.images).absolute(), image_names(annotations))
        files = found_files(listed, annotations)
        images = Images(listed.folder, tuple(sorted(files)))
        if self.labels:
            return Found(images, find_labels(images, LabelFiles(root / self.labels, self.decode)), annotations)
        labels = category_labels(annotations, self.ids)
        strange = [name for key, name in read_annotations(annotations).categories.items() if not labels.get(key)]
        if strange:
            note(f"{annotations}: categories that are no name of the benchmark are background: {some(strange)}.")
        renamed = {ours: theirs for ours, theirs in files.items() if ours != theirs}
        return Found(images, CocoLabels(annotations, self.ids, renamed), annotations)


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
        images = open_images(root / "images")
        read = find_labels(images, LabelFiles(root / "masks"))
        spare = sorted(set(read.folder.rglob(f"*{read.label_suffix}")) - {read.path(each) for each in images.ids})
        if spare:
            note(f"{len(spare)} masks have no image and are not scored; first is {spare[0]}.")
        names, ignore = read_ids(root / "names.json")
        objects = root / OBJECTS
        return Found(images, read, objects if objects.is_file() else None, names, ignore)


Layout = Paired | Coco | Own
"""A way in which files may lie in a root."""


def without_suffix(image_id: str, suffix: str) -> str:
    """An id without this end, in any case; without its extension if "" is given."""
    if not suffix:
        return str(PurePosixPath(image_id).with_suffix(""))
    return image_id[: -len(suffix)] if image_id.lower().endswith(suffix.lower()) else image_id


def find_files(folder: Path, wanted: Collection[str], *, ending: str = "") -> tuple[list[str], MatchedPaths]:
    """Which of these paths are not in a folder, and which other files below it, of this ending in any case, they mean.

    The disk may call them otherwise than a list in folders before them, case or form.
    """
    absent = [path for path in wanted if not _is_within(path, folder)]
    there = (path for path in folder.rglob("*") if path.name.lower().endswith(ending.lower()) and path.is_file())
    paths = sorted(path.relative_to(folder).as_posix() for path in there) if absent else []
    present = set(wanted) - set(absent)
    return absent, match_paths(absent, [path for path in paths if path not in present])


def found_files(images: Images, listed: Path) -> dict[str, str]:
    """For each image, as it is called on the disk, what a list calls it.

    Raises:
        DataError: One is missing; the message shows examples of both sides.
    """
    absent, matched = find_files(images.folder, images.ids)
    if matched.unknown:
        raise DataError(
            f"{len(matched.unknown)} of {len(images)} images that are listed are not in {images.folder}; first is "
            f"{matched.unknown[0][-LONG:]}. In {listed} {matched.examples()}. Download the images again."
        )
    if absent:
        theirs, found = map(shown_path, next(iter(matched.found.items())))
        note(f"{listed}: {len(absent)} images found by the end of their paths, such as {theirs} as {found}.")
    return {matched.found.get(each, each): each for each in images.ids}


def find_labels(images: Images, read: LabelFiles) -> LabelFiles:
    """The reader of labels, which knows a file for each image.

    Raises:
        DataError: An image has none; the message shows examples of both sides.
    """
    wanted = {image_id: read.path(image_id).relative_to(read.folder).as_posix() for image_id in images.ids}
    absent, matched = find_files(read.folder, wanted.values(), ending=read.label_suffix)
    if matched.unknown:
        first = next(image_id for image_id, path in wanted.items() if path in matched.unknown)
        raise DataError(
            f"{len(matched.unknown)} of {len(images)} images in {images.folder} have no mask; first is {first}, whose "
            f"mask is expected at {read.path(first)}. Masks of no image: {matched.unused_examples()}."
        )
    if absent:
        note(f"{read.folder}: {len(absent)} masks found under another spelling of the image's name.")
    return replace(read, files={each: matched.found[path] for each, path in wanted.items() if path in matched.found})


def _is_within(path: str, folder: Path) -> bool:
    """Whether a path names a file in a folder, and not one elsewhere."""
    parts = PurePosixPath(path)
    try:
        return not parts.is_absolute() and ".." not in parts.parts and (folder / path).is_file()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def _lines(path: Path) -> list[str]:
    return [line for line in read_text(path).splitlines() if line.strip()]


def _tested(path: Path) -> list[str]:
    """CUB's test images: paths of `images.txt` whose number `train_test_split.txt` gives a 0; without extension."""
    paths, split = (_numbered(each) for each in (path, path.with_name("train_test_split.txt")))
    return [
        without_suffix(paths[number], "") for number, trained in split.items() if trained == "0" and number in paths
    ]


def _numbered(path: Path) -> dict[str, str]:
    """What stands behind each number at the beginning of a line."""
    pairs = [line.split(maxsplit=1) for line in _lines(path)]
    short = next((place for place, pair in enumerate(pairs, start=1) if len(pair) < 2), 0)
    if short:
        raise refused(path, f"line {short}", "a number and a value", pairs[short - 1][0])
    return {number: value.strip() for number, value in pairs}


def _with_suffix(folder: Path, stems: Sequence[str]) -> list[str]:
    """Ids of the images with these stems, whatever their extension; `.jpg` where there is none."""
    found = {without_suffix(each, ""): each for each in open_images(folder).ids} if folder.is_dir() else {}
    return [found.get(stem, f"{stem}.{EXTENSIONS[0]}") for stem in stems]
