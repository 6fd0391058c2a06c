"""Read objects that any tool found, as COCO results or annotations, by image and checked.

A results file is a list of {"image_id", "category_id", "segmentation", "score"} with the ids of the benchmark's own
annotations. A file with `images` and `categories` of its own is matched by file name and category name instead.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from namesake.documents import ID, LIST, NAME, NUMBER, check_fields, read_json, refused, shown
from namesake.errors import DataError
from namesake.evaluation.benchmarks import BACKGROUND, Benchmark
from namesake.evaluation.benchmarks.coco import PARTS, SEGMENTATION, ById, read_categories, run_length
from namesake.evaluation.true_objects import true_objects
from namesake.images.paths import match_paths
from namesake.masks import rle
from namesake.names.spelling import some
from namesake.progress import note
from namesake.shapes import LabelArray

NO_OBJECTS = "finds no objects"
"""Words in the description of a file that `predict` wrote for a system without objects."""


ENTRY = {"image_id": ID, "category_id": ID, "segmentation": SEGMENTATION, "score": NUMBER}
"""What an object must have."""


class Found(NamedTuple):
    """One object: number of its category, score, and compressed code {"size", "counts"} at the image's size."""

    category: int
    score: float
    code: dict[str, Any]


class Results(NamedTuple):
    """Objects by image.

    Attributes:
        categories: Name of each category by a number of our own, counted from 1; 0 is background.
        objects: By the benchmark's image id, in the order of the file: where scores are equal, AP goes by it.
        complete: Whether these are the system's objects, and not areas of its label map.
    """

    categories: Mapping[int, str]
    objects: Mapping[str, Sequence[Found]]
    complete: bool

    def labels(self, image_id: str, height: int, width: int) -> LabelArray:
        """The label map of an image: surer objects lie on less sure ones, small on large; 0 where there is none."""
        labels = np.zeros((height, width), dtype=np.int32)
        found = self.objects.get(image_id, ())
        for each in sorted(found, key=lambda each: (each.score, -rle.area(each.code["counts"]))):
            labels[rle.decode(each.code["counts"], height, width)] = each.category
        return labels


def read_results(path: Path, benchmark: Benchmark) -> Results:
    """Read objects that were found in a benchmark's images.

    Raises:
        DataError: The benchmark has no true objects; or the file is damaged, or an object is of an image or category
            that is not known, has no score, or is of another size than its image.
    """
    truth = true_objects(benchmark)
    if truth is None:
        raise DataError(f"{benchmark.name} has no true objects to score {path} by; give a folder of index PNGs.")
    content = read_json(path)
    own = isinstance(content, dict)
    if own:
        images, categories, names = _own_ids(content, path, benchmark)
        listed = content["annotations"]
    else:
        images, categories, listed = truth.images, truth.categories, content
        names = {each["id"]: each["name"] for each in truth.content["categories"]}
    if not isinstance(listed, list):
        raise refused(path, "COCO results", f"{LIST.words} of {{{', '.join(ENTRY)}}}", listed)
    sizes = {str(each["file_name"]): (int(each["height"]), int(each["width"])) for each in truth.content["images"]}
    objects: dict[str, list[Found]] = {}
    elsewhere = 0
    for place, each in enumerate(listed):
        image_id, found = _found(each, place, path, images, categories, sizes=sizes)
        if found is None:
            elsewhere += 1
        else:
            objects.setdefault(image_id, []).append(found)
    if elsewhere:
        note(f"{path}: {elsewhere} of {len(listed)} objects are in images that are not scored, and are left out.")
    if len(objects) < len(sizes):
        note(f"{path}: objects in {len(objects)} of {len(sizes)} images; in the others nothing counts as found.")
    segments = own and NO_OBJECTS in str(content.get("info", ""))
    return Results({0: BACKGROUND} | names, objects, complete=not segments)


def _own_ids(
    content: Mapping[str, Any], path: Path, benchmark: Benchmark
) -> tuple[ById[str], ById[int], dict[int, str]]:
    """What the ids of a file of results mean, that it explains itself by file names and category names.

    Returns:
        The benchmark's id of each image, "" for one that it does not have; our number of each category; its name.
    """
    check_fields(content, dict.fromkeys(PARTS, LIST), file=path, item=lambda: "COCO results")
    for place, each in enumerate(content["images"], start=1):
        check_fields(each, {"id": ID, "file_name": NAME}, file=path, item=lambda place=place: f"image {place}")  # type: ignore[misc]
    matched = match_paths([each["file_name"] for each in content["images"]], benchmark.images.ids)
    if content["images"] and not matched.found:
        raise DataError(f"{path} is of none of the images of {benchmark.name}: {matched.examples()}.")
    if matched.unknown or matched.unused:
        note(
            f"{path}: {len(matched.found)} of {len(benchmark.images)} images of {benchmark.name} are in it; not in the "
            f"benchmark: {len(matched.unknown)}, not in the file: {len(matched.unused)} ({matched.examples()})."
        )
    names = read_categories(content["categories"], path)
    numbers = {key: number for number, key in enumerate(names, start=1)}
    images = ById((each["id"], matched.found.get(each["file_name"], "")) for each in content["images"])
    return images, ById(numbers.items()), {numbers[key]: name for key, name in names.items()}


def _found(
    each: Any,  # noqa: ANN401
    place: int,
    path: Path,
    images: ById[str],
    categories: ById[int],
    *,
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[str, Found | None]:
    """The image and the object of one entry; no object where its image is not scored."""
    check_fields(each, ENTRY, file=path, item=lambda: f"entry {place}")
    image_id = images.get(each["image_id"])
    if image_id is None:
        raise DataError(
            f"{path}: entry {place} is of the image {shown(each['image_id'])}, which the benchmark's annotations do "
            "not list; predict the benchmark's own images and keep their ids."
        )
    category = categories.get(each["category_id"])
    if category is None:
        raise DataError(
            f"{path}: entry {place} is of the category {shown(each['category_id'])}; known ids are "
            f"{some(categories.ids, shown=12)}, ... (COCO's own skip some numbers)."
        )
    if image_id not in sizes:
        return image_id, None
    try:
        code = run_length(each["segmentation"], *sizes[image_id])
    except DataError as error:
        raise DataError(f"{path}: entry {place}, image {image_id}: {error}") from error
    return image_id, Found(category, float(each["score"]), code)
