"""The COCO annotations of a benchmark in; its true objects in numbers of our own, by the benchmark's images, out.

Whatever ids the file gives to images, annotations and categories (texts, gaps, zero, all alike or none), ours count
from 1. Outlines become run-length codes, so that what is malformed is said before anything is scored.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from namesake.documents import identity
from namesake.errors import DataError
from namesake.evaluation.benchmarks import Benchmark
from namesake.evaluation.benchmarks.coco import (
    OPEN_FILES,
    ById,
    annotation_name,
    need_mask,
    read_annotations,
    run_length,
    size_of,
)
from namesake.images.paths import match_paths, shown_path
from namesake.progress import note


class TrueObjects(NamedTuple):
    """True objects.

    Attributes:
        content: COCO annotations in our numbers: `images` (file names are the benchmark's ids), `annotations`,
            `categories`; images that the benchmark does not have are left out.
        images: The benchmark's id of an image, by the file's; "" for one that the benchmark does not have.
        categories: Our number of a category, by the file's id.
    """

    content: Mapping[str, Any]
    images: ById[str]
    categories: ById[int]


def true_objects(benchmark: Benchmark) -> TrueObjects | None:
    """Read the true objects of a benchmark; None where there are none.

    Raises:
        DataError: The file is damaged, an annotation has no mask, or none of its images is the benchmark's.
    """
    path = benchmark.objects
    if path is None:
        return None
    return _true_objects(path, path.stat().st_mtime_ns if path.is_file() else 0, benchmark.images.ids)


@lru_cache(maxsize=OPEN_FILES)
def _true_objects(path: Path, changed: int, ids: tuple[str, ...]) -> TrueObjects:  # noqa: ARG001
    table = read_annotations(path)
    matched = match_paths(table.images, ids)
    if table.images and ids and not matched.found:
        raise DataError(f"{path} lists none of the {len(ids)} images of the benchmark: {matched.examples()}.")
    if matched.renamed:
        theirs, ours = next(iter(matched.renamed.items()))
        note(
            f"{path}: {len(matched.renamed)} images found by the end of their paths, such as {shown_path(theirs)} as "
            f"{shown_path(ours)}."
        )
    if matched.unknown or matched.unused:
        note(
            f"{path}: true objects of {len(matched.found)} of {len(ids)} images are scored; not in the benchmark: "
            f"{len(matched.unknown)}, not in the file: {len(matched.unused)} ({matched.examples()})."
        )
    images, sizes, numbers = [], {}, {}
    order = sorted(matched.found.items(), key=lambda pair: _order(table.images[pair[0]]["id"]))
    for number, (name, image_id) in enumerate(order, start=1):
        sizes[number], numbers[identity(table.images[name]["id"])] = size_of(table.images[name]), number
        images.append({"id": number, "file_name": image_id, "height": sizes[number][0], "width": sizes[number][1]})
    categories = {key: number for number, key in enumerate(table.categories, start=1)}
    number_of, category_of = ById(numbers.items()), ById(categories.items())
    annotations: list[dict[str, Any]] = []
    for place, each in enumerate(table.content["annotations"], start=1):
        need_mask(each, place, path)
        image = number_of.get(each["image_id"])
        if image is None:
            continue
        try:
            code = run_length(each["segmentation"], *sizes[image])
        except DataError as error:
            raise DataError(f"{path}: {annotation_name(each, place)}: field 'segmentation': {error}") from error
        own = {"id": len(annotations) + 1, "image_id": image, "category_id": category_of.get(each["category_id"])}
        annotations.append({**each, **own, "segmentation": code})
    named = [{"id": categories[key], "name": name} for key, name in table.categories.items()]
    return TrueObjects(
        {"images": images, "annotations": annotations, "categories": named},
        ById((image["id"], matched.found.get(name, "")) for name, image in table.images.items()),
        category_of,
    )


def _order(each: Any) -> tuple[bool, float, str]:  # noqa: ANN401
    """Numbers by size, then texts: between objects of equal score, COCO's AP goes by the ids of their images."""
    return (False, each, "") if not isinstance(each, str) else (True, 0, each)
