"""Objects that any tool found, as COCO results or annotations, in; the same by image, checked, out.

A results file is a list of {"image_id", "category_id", "segmentation", "score"} with the ids of the benchmark's own
annotations. A file with `images` and `categories` of its own is matched by file name and category name instead.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark
from namesake.evaluation.benchmarks.coco import read_annotations, run_length
from namesake.masks import rle
from namesake.shapes import LabelArray

NO_OBJECTS = "finds no objects"
"""Words in the description of a file that `predict` wrote for a system without objects."""


class Found(NamedTuple):
    """One object: category id, score, and compressed code {"size", "counts"} at the image's size."""

    category: int
    score: float
    code: dict[str, Any]


class Results(NamedTuple):
    """Objects by image.

    Attributes:
        categories: Name of each category id, background (0) among them.
        objects: By the benchmark's image id, in the order of the file: where scores are equal, AP goes by it.
        complete: Whether these are the system's objects, and not areas of its label map.
    """

    categories: Mapping[int, str]
    objects: Mapping[str, Sequence[Found]]
    complete: bool

    def labels(self, image_id: str, height: int, width: int) -> LabelArray:
        """The label map of an image: surer objects lie on less sure ones, small on large; 0 where there is none."""
        labels = np.zeros((height, width), dtype=np.int32)
        for each in sorted(self.objects.get(image_id, ()), key=_order):
            labels[rle.decode(each.code["counts"], height, width)] = each.category
        return labels


def read_results(path: Path, benchmark: Benchmark) -> Results:
    """Read objects that were found in a benchmark's images.

    Raises:
        DataError: The benchmark has no true objects; or the file is damaged, or an object is of an image or category
            that is not known, has no score, or is of another size than its image.
    """
    if benchmark.objects is None:
        raise DataError(f"{benchmark.name} has no true objects to score {path} by; give a folder of index PNGs.")
    truth = read_annotations(benchmark.objects).content
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        own = isinstance(content, dict)
        listed = content["annotations"] if own else content
        head = content if own else truth
        sizes = {str(each["file_name"]): (int(each["height"]), int(each["width"])) for each in truth["images"]}
        images = {each["id"]: str(each["file_name"]) for each in head["images"]}
        categories = {int(each["id"]): str(each["name"]) for each in head["categories"]}
        objects: dict[str, list[Found]] = {}
        for place, each in enumerate(listed):
            image_id, found = _found(each, place, images, categories, sizes)
            objects.setdefault(image_id, []).append(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'{path} holds no COCO results ({error!r}); expected a list of {{"image_id", "category_id", '
            '"segmentation", "score"}.'
        ) from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    segments = own and NO_OBJECTS in str(content.get("info", ""))
    return Results({0: BACKGROUND} | categories, objects, complete=not segments)


def _found(
    each: Mapping[str, Any],
    place: int,
    images: Mapping[Any, str],
    categories: Mapping[int, str],
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[str, Found]:
    """The image and the object of one entry."""
    image_id = images.get(each["image_id"])
    if image_id is None or image_id not in sizes:
        raise DataError(
            f"entry {place} is of the image {each['image_id']!r}, which the benchmark's annotations do not list; "
            "predict the benchmark's own images and keep their ids."
        )
    if each["category_id"] not in categories:
        raise DataError(
            f"entry {place} is of the category {each['category_id']!r}; known ids are "
            f"{', '.join(map(str, list(categories)[:12]))}, ... (COCO's own skip some numbers)."
        )
    try:
        code = run_length(each["segmentation"], *sizes[image_id])
    except DataError as error:
        raise DataError(f"entry {place}, image {image_id}: {error}") from error
    return image_id, Found(int(each["category_id"]), float(each["score"]), code)


def _order(found: Found) -> tuple[float, int]:
    return found.score, -rle.area(found.code["counts"])
