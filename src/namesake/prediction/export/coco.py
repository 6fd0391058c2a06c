"""Masks of objects in, COCO json out, streamed to disk; it knows nothing of where the masks came from.

Written here rather than through a converter so that holes, true areas and scores survive: `segmentation` is compressed
RLE, `area` counts the mask's pixels, `iscrowd` is 0 and `score` is kept. The list `annotations` is also a valid COCO
results list.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from namesake.masks import rle
from namesake.prediction.export.dataset import SPLITS, Dataset
from namesake.records import Names
from namesake.shapes import MaskArray
from namesake.workspace import write_atomically

FOLDER = "annotations"
SEGMENTS_INFO = (
    "The system finds no objects: each annotation is all pixels of one name in one image, with their mean confidence "
    "as its score. Do not count them as instances."
)
PIECES_INFO = (
    "The system finds no objects: each annotation is a connected piece of its label map, with the mean confidence as "
    "its score."
)
INFO = {
    "instances": "Each annotation is one object with the system's score.",
    "segments": SEGMENTS_INFO,
    "pieces": PIECES_INFO,
}
Line = Mapping[str, Any]
"""What is known of the objects of one image: `height`, `width`, `kind` (a key of INFO), `annotations`."""


def export_coco(dataset: Dataset) -> dict[str, Any]:
    """Write `annotations/instances_{train,val}.json`; nothing is lost but what the objects themselves leave out."""
    annotations = 0
    for split in SPLITS:
        ids = dataset.ids[split]
        annotations += write_objects(
            dataset.folder / FOLDER / f"instances_{split}.json",
            names=dataset.names,
            images=[(number, dataset.image(image_id).file) for number, image_id in enumerate(ids, start=1)],
            line_of=lambda number, ids=ids: dataset.objects.read(ids[number - 1]),  # type: ignore[misc]
        )
    return {"path": FOLDER, "annotations": annotations}


def write_objects(
    path: Path, *, names: Names, images: Iterable[tuple[int, str]], line_of: Callable[[int], Line]
) -> int:
    """Write a COCO file of the objects of some images.

    Args:
        path: The file.
        names: Become the categories.
        images: Id and file name each.
        line_of: Gives the objects of the image of an id; asked twice.

    Returns:
        How many objects there are.
    """
    numbered = list(images)
    kinds = {line_of(number)["kind"] for number, _ in numbered}
    count = sum(len(line_of(number)["annotations"]) for number, _ in numbered)
    write_coco(
        path,
        names=names,
        images=(
            {"id": number, "file_name": name, "height": line_of(number)["height"], "width": line_of(number)["width"]}
            for number, name in numbered
        ),
        annotations=_numbered(numbered, line_of),
        info={"description": " ".join(text for kind, text in INFO.items() if kind in kinds)},
    )
    return count


def _numbered(images: Iterable[tuple[int, str]], line_of: Callable[[int], Line]) -> Iterator[Line]:
    found = 0
    for number, _ in images:
        for each in line_of(number)["annotations"]:
            found += 1
            yield {"id": found, "image_id": number, **each}


def annotation(mask: MaskArray, *, label: int, score: float) -> dict[str, Any]:
    """One object in COCO's words, still without `id` and `image_id`.

    Args:
        mask: At the image's size.
        label: Counted from 1; becomes `category_id`.
        score: 0 to 1.

    Returns:
        category_id, segmentation (RLE), area (pixels), bbox ([left, top, width, height] in pixels), iscrowd, score.
    """
    return {
        "category_id": label,
        "segmentation": {"size": list(mask.shape), "counts": rle.encode(mask).decode("ascii")},
        "area": int(np.count_nonzero(mask)),
        "bbox": bounding_box(mask),
        "iscrowd": 0,
        "score": round(score, 4),
    }


def bounding_box(mask: MaskArray) -> list[int]:
    """[left, top, width, height] of a mask in pixels; all 0 where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return [0, 0, 0, 0]
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def write_coco(
    path: Path,
    *,
    names: Names,
    images: Iterable[Mapping[str, Any]],
    annotations: Iterable[Mapping[str, Any]],
    info: Mapping[str, Any],
) -> None:
    """Write a COCO file one element at a time, so that memory does not grow with their number.

    Args:
        path: The file; replaced whole or not at all.
        names: Become the categories; a name's id is its label.
        images: `id`, `file_name`, `height`, `width` each.
        annotations: `id`, `image_id` and what `annotation` gives.
        info: Free text about the file.
    """
    categories = [{"id": label, "name": name} for label, name in enumerate(names.names, start=1)]
    with write_atomically(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        file.write('{"info": ' + _line(info) + ',\n"licenses": []')
        for key, elements in (("categories", categories), ("images", images), ("annotations", annotations)):
            file.write(f',\n"{key}": [')
            for number, element in enumerate(elements):
                file.write((",\n" if number else "\n") + _line(element))
            file.write("\n]")
        file.write("\n}\n")


def _line(element: Mapping[str, Any]) -> str:
    return json.dumps(element, ensure_ascii=False)
