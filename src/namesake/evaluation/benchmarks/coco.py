"""COCO annotations in, label maps of their objects and parts of them out. It knows no benchmark by name.

Lin et al., Microsoft COCO, https://arxiv.org/abs/1405.0312. Ids of a label map are official category ids, 1 to 90.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from namesake.errors import DataError
from namesake.images.decode import MAX_PIXELS
from namesake.masks import rle
from namesake.shapes import LabelArray, MaskArray
from namesake.workspace import write_atomically

PARTS = ("images", "annotations", "categories")
HIGHEST = 255
"""Category id in a label map."""
FARTHEST = 1e6
"""Pixels of a polygon's corner from the image's."""
OPEN_FILES = 2
"""Annotations kept in memory; COCO's largest takes about 2 GB."""


@dataclass(frozen=True)
class CocoLabels:
    """Draws the label map of an image from its objects; compares equal, and is described, by the file.

    Larger objects are drawn first, so that what lies before or on them stays visible; crowds before all others. Pixels
    of no object are 0. Polygons are filled as pycocotools fills them.
    """

    annotations: Path

    def __call__(self, image_id: str) -> LabelArray:
        """The label map of one image: uint8 [height, width].

        Raises:
            DataError: The annotations do not list it, or a mask is malformed.
        """
        table = read_annotations(self.annotations)
        if image_id not in table.images:
            raise DataError(f"{self.annotations} does not list the image {image_id}.")
        image = table.images[image_id]
        labels = np.zeros(size_of(image), dtype=np.uint8)
        objects = table.objects.get(image["id"], ())
        for each in sorted(objects, key=lambda each: (not each.get("iscrowd"), -each.get("area", 0))):
            if not 0 <= int(each["category_id"]) <= HIGHEST:
                raise DataError(
                    f"{self.annotations}: category {each['category_id']}; a label map holds 0 to {HIGHEST}."
                )
            labels[mask_of(each, *labels.shape)] = int(each["category_id"])
        return labels


@dataclass(frozen=True)
class Annotations:
    """COCO annotations by image.

    Attributes:
        content: The file as it is.
        images: `id`, `height`, `width`, ... by file name.
        objects: Annotations by the image's id.
    """

    content: Mapping[str, Any]
    images: Mapping[str, Mapping[str, Any]]
    objects: Mapping[int, Sequence[Mapping[str, Any]]]


def read_annotations(path: Path) -> Annotations:
    """Read and check a file of COCO annotations; one that was read before and has not changed is not read again.

    Raises:
        DataError: It is missing or damaged, or an annotation is of an image or a category that it does not list.
    """
    return _read_annotations(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=OPEN_FILES)
def _read_annotations(path: Path, changed: int) -> Annotations:  # noqa: ARG001
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(content[part], list) for part in PARTS):
            raise TypeError("images, annotations and categories should be lists")
        images = {str(image["file_name"]): image for image in content["images"]}
        known = {image["id"] for image in content["images"]}
        categories = {int(each["id"]): str(each["name"]) for each in content["categories"]}
        objects: dict[int, list[Mapping[str, Any]]] = {}
        for each in content["annotations"]:
            _check(each, known, categories, path)
            objects.setdefault(each["image_id"], []).append(each)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{path} holds no COCO annotations ({error}). Write or download it again.") from error
    return Annotations(content, images, objects)


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


def _check(each: Mapping[str, Any], images: set[int], categories: Mapping[int, str], path: Path) -> None:
    if not isinstance(each.get("area", 0), int | float):
        raise TypeError(f"the area of annotation {each.get('id')} should be a number, found {each['area']!r}")
    if each["image_id"] not in images:
        raise DataError(
            f"{path}: annotation {each.get('id')} is of the image {each['image_id']}, which `images` does not list. "
            "Take the annotations and the list of images from one file."
        )
    if each["category_id"] not in categories:
        raise DataError(
            f"{path}: annotation {each.get('id')} is of the category {each['category_id']}, which `categories` does "
            f"not list; known are {', '.join(map(str, list(categories)[:8]))}, ..."
        )


def image_names(path: Path) -> tuple[str, ...]:
    """File names of the images that annotations list, sorted."""
    return tuple(sorted(read_annotations(path).images))


def run_length(segmentation: Any, height: int, width: int) -> dict[str, Any]:  # noqa: ANN401
    """Polygons, run lengths or a compressed code, as a compressed code {"size", "counts"}.

    Raises:
        DataError: It is none of these, or of another size.
    """
    from pycocotools import mask as coco

    try:
        if isinstance(segmentation, list):
            return dict(coco.merge(coco.frPyObjects(_polygons(segmentation), height, width)))
        size = [int(side) for side in segmentation["size"]]
        if size != [height, width]:
            raise DataError(f"a mask is {size[0]} x {size[1]}, its image {height} x {width} (height x width).")
        if isinstance(segmentation["counts"], list):
            segmentation = coco.frPyObjects(segmentation, height, width)
        counts = segmentation["counts"]
        return {
            "size": size,
            "counts": counts.encode("ascii") if isinstance(counts, str) else bytes(memoryview(counts)),
        }
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"expected polygons or a run-length code as a segmentation, found neither: {error}.") from error


def _polygons(segmentation: list[Any]) -> list[list[float]]:
    """Polygons as lists of x, y, x, y, ... in pixels; what the drawing in C cannot bear is refused with ValueError."""
    polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
    if not polygons or not all(each.ndim == 1 and len(each) >= 4 and abs(each).max() < FARTHEST for each in polygons):
        raise ValueError("a polygon should be a list of 4 numbers or more, none of them beyond a million")
    return [each.tolist() for each in polygons]


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
        out: Where they go.
        count: Most images to take.
        listed: A file with the published file names, one a line, folders before them allowed.

    Returns:
        The number of images.

    Raises:
        DataError: A name that is listed is not in the annotations.
    """
    table = read_annotations(source)
    if listed is not None:
        names = [Path(line.strip()).name for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
        unknown = [name for name in names if name not in table.images]
        if unknown:
            raise DataError(f"{listed} names {len(unknown)} images that {source} does not list; first is {unknown[0]}.")
    else:
        single = {key: [each for each in objects if not each.get("iscrowd")] for key, objects in table.objects.items()}
        with_objects = {key for key, objects in single.items() if objects}
        names = [name for name, image in table.images.items() if image["id"] in with_objects]
        names = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:count]
    images = [table.images[name] for name in sorted(names)]
    kept = {image["id"] for image in images}
    annotations = [each for each in table.content["annotations"] if each["image_id"] in kept]
    rule = "published list" if listed is not None else "own rule: by SHA-256 of the file name, not the published list"
    content = {"info": {"selection": rule}, "images": images, "annotations": annotations}
    with write_atomically(out) as unfinished:
        unfinished.write_text(json.dumps(content | {"categories": table.content["categories"]}), encoding="utf-8")
    return len(images)
