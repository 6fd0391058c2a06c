"""Masks of objects in, COCO json out, streamed to disk; it knows nothing of where the masks came from.

Written here rather than through a converter so that holes, true areas and scores survive: `segmentation` is compressed
RLE, `area` counts the mask's pixels, `iscrowd` is 0 and `score` is kept. The list `annotations` is also a valid COCO
results list.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from namesake.masks import rle
from namesake.records import Names
from namesake.shapes import MaskArray
from namesake.workspace import write_atomically


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
