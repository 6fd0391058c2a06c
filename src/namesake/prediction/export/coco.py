"""Masks of objects in, COCO json out, streamed to disk; it knows nothing of where the masks came from.

Written here rather than through a converter so that holes, true areas and scores survive: `segmentation` is compressed
RLE, `area` counts the mask's pixels, `iscrowd` is 0 and `score` is kept. The list `annotations` is also a valid COCO
results list.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from namesake.masks import rle
from namesake.prediction.export.dataset import SPLITS, Dataset
from namesake.prediction.objects import ObjectsFile
from namesake.prediction.pieces import find_pieces
from namesake.records import Names, Prediction
from namesake.shapes import MaskArray, not_sure
from namesake.workspace import write_atomically

FOLDER = "annotations"
INFO = {
    "instances": "Each annotation is one object with the system's score.",
    "segments": "The system finds no objects: each annotation is all pixels of one name in one image, with their mean "
    "confidence as its score. Do not count them as instances.",
    "pieces": "The system finds no objects: each annotation is a connected piece of its label map, with the mean "
    "confidence as its score.",
}
"""What each kind of objects is, in the file's words."""


def export_coco(dataset: Dataset) -> dict[str, Any]:
    """Write `annotations/instances_{train,val}.json`; nothing is lost but what the objects themselves leave out."""
    annotations = 0
    for split in SPLITS:
        images = [(number, dataset.image(each).file, each) for number, each in enumerate(dataset.ids[split], start=1)]
        path = dataset.folder / FOLDER / f"instances_{split}.json"
        annotations += write_objects(path, names=dataset.names, images=images, objects=dataset.objects)
    return {"path": FOLDER, "annotations": annotations}


def write_objects(path: Path, *, names: Names, images: Sequence[tuple[int, str, str]], objects: ObjectsFile) -> int:
    """Write a COCO file of the objects of some images.

    Args:
        path: The file.
        names: Become the categories.
        images: Number and name in the file, and image id, each.
        objects: Has a line for each of them.

    Returns:
        How many objects there are.
    """
    found = [(line["kind"], len(line["annotations"])) for line in (objects.read(image_id) for _, _, image_id in images)]
    kinds, count = {kind for kind, _ in found}, sum(number for _, number in found)
    write_coco(
        path,
        names=names,
        images=(
            {"id": number, "file_name": name, "height": line["height"], "width": line["width"]}
            for number, name, image_id in images
            for line in [objects.read(image_id)]
        ),
        annotations=_numbered(images, objects),
        info={"description": " ".join(text for kind, text in INFO.items() if kind in kinds)},
    )
    return count


def _numbered(images: Sequence[tuple[int, str, str]], objects: ObjectsFile) -> Iterator[dict[str, Any]]:
    found = 0
    for number, _, image_id in images:
        for each in objects.read(image_id)["annotations"]:
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


def annotate(masks: Iterable[MaskArray], labels: Sequence[int], scores: Sequence[float]) -> Iterator[dict[str, Any]]:
    """`annotation` of each of some objects."""
    for mask, label, score in zip(masks, labels, scores, strict=True):
        yield annotation(mask, label=label, score=score)


def annotations_of(prediction: Prediction, names: Names) -> Iterator[dict[str, Any]]:
    """The annotations of an image alone: its objects, or the pieces of its label map where the system finds none."""
    found = prediction.instances
    if found is None:
        pieces = find_pieces(prediction, unsure=not_sure(len(names)))
        objects = annotate(pieces.masks(), pieces.labels, pieces.scores)
    else:
        objects = annotate(found.masks, found.labels, found.scores)
    return ({"id": number, "image_id": 1, **each} for number, each in enumerate(objects, start=1))


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
