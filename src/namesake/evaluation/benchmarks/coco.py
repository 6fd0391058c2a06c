"""COCO annotations in, label maps of their objects and parts of them out. It knows no benchmark by name.

Lin et al., Microsoft COCO, https://arxiv.org/abs/1405.0312. Ids of a label map are official category ids, 1 to 90.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from namesake.documents import (
    FLAG,
    ID,
    LIST,
    NAME,
    NUMBER,
    SHOWN,
    Kind,
    check_fields,
    identity,
    is_number,
    read_json,
    read_text,
    shown,
)
from namesake.errors import DataError
from namesake.evaluation.benchmarks.ids import published_names
from namesake.images.decode import MAX_PIXELS
from namesake.images.paths import match_paths
from namesake.masks import rle
from namesake.names.spelling import match_names
from namesake.records import Names
from namesake.shapes import LabelArray, MaskArray
from namesake.workspace import write_bytes

PARTS = ("images", "annotations", "categories")
HIGHEST = 255
"""Category id in a label map."""
FARTHEST = 1e6
"""Pixels of a polygon's corner from the image's."""
CORNERS = 3
"""Fewest of a polygon."""
NUMBERS = {int, float}
Thing = TypeVar("Thing")

OPEN_FILES = 2
"""Annotations kept in memory; COCO's largest takes about 2 GB."""


@dataclass(frozen=True)
class CocoLabels:
    """Draws the label map of an image from its objects; compares equal, and is described, by the file.

    Larger objects are drawn first, so that what lies before or on them stays visible; crowds before all others. Pixels
    of no object are 0. Polygons are filled as pycocotools fills them.

    Attributes:
        annotations: The file.
        ids: Key of published names, whose ids categories get by their names, whatever numbers the file gives them; ""
            for the file's own numbers.
        files: Names in the file of images that it calls otherwise than we do, by our id.
    """

    annotations: Path
    ids: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, image_id: str) -> LabelArray:
        """The label map of one image: uint8 [height, width].

        Raises:
            DataError: The annotations do not list it, or a mask is malformed.
        """
        table = read_annotations(self.annotations)
        name = self.files.get(image_id, image_id)
        if name not in table.images:
            raise DataError(f"{self.annotations} does not list the image {shown(name)}.")
        image = table.images[name]
        labels = np.zeros(size_of(image), dtype=np.uint8)
        objects = table.objects.get(image["id"], ())
        numbers = ById(category_labels(self.annotations, self.ids).items())
        for each in sorted(objects, key=lambda each: (not each.get("iscrowd"), -(each.get("area") or 0))):
            number = numbers.get(each["category_id"])
            if number is None:
                raise DataError(
                    f"{self.annotations}: category {shown(each['category_id'])}; a label map holds 0 to {HIGHEST}."
                )
            try:
                labels[mask_of(each, *labels.shape)] = number
            except DataError as error:
                raise DataError(f"{self.annotations}: annotation {each.get('id')} of {name}: {error}") from error
        return labels


@dataclass(frozen=True)
class Annotations:
    """COCO annotations by image.

    Attributes:
        content: The file as it is.
        images: `id`, `height`, `width`, ... by file name.
        objects: Annotations by the image's id.
        categories: Name of each category, by its id as text.
    """

    content: Mapping[str, Any]
    images: Mapping[str, Mapping[str, Any]]
    objects: Mapping[int | str, Sequence[Mapping[str, Any]]]
    categories: Mapping[str, str]


class ById(Generic[Thing]):
    """Things by the ids that a file gives them: 7, 7.0 and "7" are the same id, and so is "007" if nothing else is.

    Args:
        pairs: Ids and things.
    """

    def __init__(self, pairs: Iterable[tuple[Any, Thing]]) -> None:
        self._exact = {identity(each): thing for each, thing in pairs}
        self._numbers: dict[int, list[str]] = {}
        for key in self._exact:
            if key.isdecimal():
                self._numbers.setdefault(int(key), []).append(key)

    @property
    def ids(self) -> list[str]:
        """All ids, as texts."""
        return list(self._exact)

    def get(self, each: Any) -> Thing | None:  # noqa: ANN401
        """The thing of an id; None where there is none."""
        key = identity(each)
        if key in self._exact:
            return self._exact[key]
        alike = self._numbers.get(int(key), []) if key.isdecimal() else []
        return self._exact[alike[0]] if len(alike) == 1 else None


def read_annotations(path: Path) -> Annotations:
    """Read and check a file of COCO annotations; one that was read before and has not changed is not read again.

    Raises:
        DataError: It is missing or damaged, or an annotation is of an image or a category that it does not list.
    """
    return _read_annotations(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=OPEN_FILES)
def _read_annotations(path: Path, changed: int) -> Annotations:  # noqa: ARG001
    content = read_json(path)
    check_fields(content, dict.fromkeys(PARTS, LIST), file=path, item=lambda: "COCO annotations")
    images = _images(content["images"], path)
    known = ById((image["id"], image["id"]) for image in images.values())
    categories = read_categories(content["categories"], path)
    by_id = ById((key, key) for key in categories)
    objects: dict[int | str, list[Mapping[str, Any]]] = {}
    for place, each in enumerate(content["annotations"], start=1):
        image = _check(each, place, known, by_id, path)
        objects.setdefault(image, []).append(each)
    return Annotations(content, images, objects, categories)


def _images(entries: Sequence[Any], path: Path) -> dict[str, Mapping[str, Any]]:
    """Images by file name; the same entry may be there twice."""
    images: dict[str, Mapping[str, Any]] = {}
    owner: dict[str, str] = {}
    for place, each in enumerate(entries, start=1):
        check_fields(each, {"id": ID, "file_name": NAME}, file=path, item=lambda place=place: f"image {place}")  # type: ignore[misc]
        name, key = each["file_name"], identity(each["id"])
        if owner.setdefault(key, name) != name:
            raise DataError(
                f"{path}: image {place}: {shown(name)} has the id {key} of {shown(owner[key])}. Number them anew."
            )
        if name in images and identity(images[name]["id"]) != key:
            raise DataError(
                f"{path}: image {place}: {shown(name)} is there with the ids {identity(images[name]['id'])} and {key}. "
                "Keep one of them."
            )
        images[name] = each
    return images


def read_categories(entries: Sequence[Any], path: Path) -> dict[str, str]:
    """Name of each category by its id as text.

    Raises:
        DataError: An entry has no id or no name, or an id has two names.
    """
    names: dict[str, str] = {}
    for place, each in enumerate(entries, start=1):
        check_fields(each, {"id": ID, "name": NAME}, file=path, item=lambda place=place: f"category {place}")  # type: ignore[misc]
        key, name = identity(each["id"]), each["name"]
        if names.setdefault(key, name) != name:
            raise DataError(
                f"{path}: category {place}: {shown(name)} has the id {key} of {shown(names[key])}. Number them anew."
            )
    return names


@lru_cache(maxsize=OPEN_FILES)
def _category_labels(path: Path, ids: str, changed: int) -> Mapping[str, int]:
    categories = _read_annotations(path, changed).categories
    if ids:
        published = published_names(ids)
        numbers = list(published.names)
        places = match_names(dict(enumerate(categories.values())), Names(tuple(published.names.values()))).labels
        labels = [numbers[label - 1] if label else 0 for label in places.values()]
        return dict(zip(categories, labels, strict=True))
    return {key: int(key) for key in categories if key.isdecimal() and int(key) <= HIGHEST}


def category_labels(path: Path, ids: str) -> Mapping[str, int]:
    """Label in a label map of each category of a file, by its id as text.

    Args:
        path: COCO annotations.
        ids: Key of published names, by which categories are found; 0 for those that are none. "" for their own ids,
            where those that are no numbers from 0 to 255 are left out.
    """
    return _category_labels(path, ids, path.stat().st_mtime_ns if path.is_file() else 0)


def size_of(image: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of an image of annotations, in pixels.

    Raises:
        DataError: They are missing, or no numbers of pixels that an image can have.
    """
    height, width = image.get("height"), image.get("width")
    if not (type(height) is int and type(width) is int and height > 0 < width and height * width <= MAX_PIXELS):
        raise DataError(
            f"the annotations say that {image.get('file_name')} has {height!r} x {width!r} pixels (height x width), "
            f"expected whole numbers whose product is at most {MAX_PIXELS}. Write or download them again."
        )
    return height, width


def _check(each: Any, place: int, images: ById[Any], categories: ById[str], path: Path) -> Any:  # noqa: ANN401
    """The id of an annotation's image, once the annotation is checked."""

    def item() -> str:
        return annotation_name(each, place)

    check_fields(each, {"image_id": ID, "category_id": ID}, file=path, item=item, optional=ANNOTATION)
    image = images.get(each["image_id"])
    if image is None:
        raise DataError(
            f"{path}: {item()} is of the image {shown(each['image_id'])}, which `images` does not list. "
            "Take the annotations and the list of images from one file."
        )
    if categories.get(each["category_id"]) is None:
        raise DataError(
            f"{path}: {item()} is of the category {shown(each['category_id'])}, which `categories` does not list. "
            "Take the annotations and the list of categories from one file."
        )
    return image


def annotation_name(each: Any, place: int) -> str:  # noqa: ANN401
    """What an annotation is called in messages: its place in the list, and its id where it has one."""
    number = each.get("id") if isinstance(each, dict) else None
    own = number[:SHOWN] if isinstance(number, str) else number if type(number) is int else None
    return f"annotation {place}" + ("" if own is None else f" (id {own})")


def need_mask(each: Mapping[str, Any], place: int, path: Path) -> None:
    """Refuse an annotation without an outline.

    Raises:
        DataError: It has none: objects are scored by their masks, and a box is none.
    """
    if each.get("segmentation") is None:
        raise DataError(
            f"{path}: {annotation_name(each, place)}: field 'segmentation': expected {SEGMENTATION.words}, found "
            "nothing; objects are scored by their masks, and a box is none."
        )


def image_names(path: Path) -> tuple[str, ...]:
    """File names of the images that annotations list, sorted."""
    return tuple(sorted(read_annotations(path).images))


def run_length(segmentation: Any, height: int, width: int) -> dict[str, Any]:  # noqa: ANN401
    """Polygons, run lengths or a compressed code, as a compressed code {"size", "counts"}.

    Raises:
        DataError: It is none of these, of another size, or its runs do not make the image.
    """
    from pycocotools import mask as coco

    try:
        if isinstance(segmentation, list):
            return dict(coco.merge(coco.frPyObjects(_polygons(segmentation), height, width)))
        size = [int(side) for side in segmentation["size"]]
        if size != [height, width]:
            raise DataError(f"a mask is {size[0]} x {size[1]}, its image {height} x {width} (height x width).")
        counts = segmentation["counts"]
        if isinstance(counts, list):
            _check_runs(np.asarray(counts, dtype=np.int64), height, width)
            counts = coco.frPyObjects(segmentation, height, width)["counts"]
        code = counts.encode("ascii") if isinstance(counts, str) else bytes(memoryview(counts))
        _check_runs(rle.run_lengths(code), height, width)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"expected polygons or a run-length code as a segmentation, found neither: {error}.") from error
    return {"size": size, "counts": code}


def _check_runs(runs: Int[ndarray, " runs"], height: int, width: int) -> None:
    """Refuse what the drawing in C cannot bear."""
    if runs.ndim != 1 or (runs < 0).any() or runs.sum() != height * width:
        raise DataError(
            f"a run-length code holds {runs.sum()} pixels where {height} x {width} = {height * width} were expected."
        )


def _polygons(segmentation: list[Any]) -> list[list[float]]:
    """Polygons as lists of x, y, x, y, ... in pixels; what the drawing in C cannot bear is refused with ValueError."""
    polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
    if not polygons or not all(map(_is_polygon, polygons)):
        raise ValueError(
            f"a polygon should be a list x, y, x, y, ... of {CORNERS} points or more, none of them beyond a million"
        )
    return [each.tolist() for each in polygons]


def _is_polygon(numbers: ndarray[Any, np.dtype[np.float64]]) -> bool:
    return numbers.ndim == 1 and len(numbers) >= 2 * CORNERS and len(numbers) % 2 == 0 and abs(numbers).max() < FARTHEST


def _is_segmentation(value: Any) -> bool:  # noqa: ANN401
    """Whether a value has the form of polygons or of a code; that a code fits its image is seen when it is read."""
    if isinstance(value, list):
        return bool(value) and all(
            isinstance(each, list) and {*map(type, each)} <= NUMBERS and _is_polygon(np.asarray(each, np.float64))
            for each in value
        )
    if not isinstance(value, dict):
        return False
    size, counts = value.get("size"), value.get("counts")
    sized = isinstance(size, list) and len(size) == 2 and all(is_number(side) and side > 0 for side in size)
    return sized and (isinstance(counts, str) or (isinstance(counts, list) and {*map(type, counts)} <= {int}))


SEGMENTATION = Kind(
    f"polygons or a run-length code: [[x, y, x, y, x, y, ...], ...] of {CORNERS} points or more each, or "
    '{"size": [height, width], "counts"}',
    _is_segmentation,
)
ANNOTATION: Mapping[str, Kind] = {
    "segmentation": SEGMENTATION,
    "area": NUMBER,
    "iscrowd": FLAG,
}
"""What an annotation may have beside its image and category."""


def mask_of(annotation: Mapping[str, Any], height: int, width: int) -> MaskArray:
    """The mask of an annotation."""
    return rle.decode(run_length(annotation.get("segmentation"), height, width)["counts"], height, width)


def write_subset(source: Path, out: Path, *, count: int, listed: Path | None = None) -> int:
    """Write the part of COCO annotations that COCO-20K takes.

    Its 19,817 images of train2014 are those of a published list (Vo et al., ECCV 2020; used by LOST, Simeoni et al.,
    BMVC 2021), which was drawn at random. With the list they are exactly these; without it, by our own rule, the
    images with an object that is no crowd, in the order of the SHA-256 of their file names, so that any two who have
    train2014 score the same images, but not the published ones.

    Args:
        source: Annotations of train2014.
        out: File that they go to.
        count: Most images to take.
        listed: A file with the published file names, one a line, folders before them allowed.

    Returns:
        The number of images.

    Raises:
        DataError: A name that is listed is not in the annotations.
    """
    table = read_annotations(source)
    if listed is not None:
        lines = [line.strip() for line in read_text(listed).splitlines() if line.strip()]
        matched = match_paths(lines, list(table.images))
        if matched.unknown:
            raise DataError(
                f"{listed} names {len(matched.unknown)} images that {source} does not list; first is "
                f"{Path(matched.unknown[0]).name}: {matched.examples()}."
            )
        names = [matched.found[line] for line in dict.fromkeys(lines)]
    else:
        single = {key: [each for each in objects if not each.get("iscrowd")] for key, objects in table.objects.items()}
        with_objects = {key for key, objects in single.items() if objects}
        names = [name for name, image in table.images.items() if image["id"] in with_objects]
        names = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count]
    images = [table.images[name] for name in sorted(names)]
    kept = {id(each) for image in images for each in table.objects.get(image["id"], ())}
    annotations = [each for each in table.content["annotations"] if id(each) in kept]
    rule = "published list" if listed is not None else "own rule: by SHA-256 of the file name, not the published list"
    content = {"info": {"selection": rule}, "images": images, "annotations": annotations}
    write_bytes(out, json.dumps(content | {"categories": table.content["categories"]}))
    return len(images)
