"""Label maps and maps of object numbers in, COCO annotations of the objects out: how PASCAL VOC tells objects apart."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from namesake.errors import DataError
from namesake.masks import rle
from namesake.prediction.export import read_index_png
from namesake.progress import track
from namesake.records import Images
from namesake.shapes import IGNORE, LabelArray
from namesake.workspace import write_bytes


def write_voc_objects(
    images: Images, read: Callable[[str], LabelArray], numbers: Path, out: Path, *, names: Mapping[int, str]
) -> int:
    """Write the objects of all images as COCO annotations.

    Args:
        images: The images.
        read: Label map of an image.
        numbers: Folder of index PNGs that number the objects of an image from 1; 0 is none, 255 a border.
        out: Folder of the annotations.
        names: Names of the labels.

    Returns:
        The number of objects.

    Raises:
        DataError: An image has no such PNG, or one of another size.
    """
    listed, annotations = [], list[dict[str, Any]]()
    for number, image_id in enumerate(track(images.ids, what="reading objects"), start=1):
        labels = read(image_id)
        objects = read_index_png(numbers / Path(image_id).with_suffix(".png"))
        if objects.shape != labels.shape:
            raise DataError(f"{image_id}: expected objects of {labels.shape} pixels, found {objects.shape}.")
        height, width = labels.shape
        listed.append({"id": number, "file_name": image_id, "height": height, "width": width})
        for found in _objects(labels, objects):
            annotations.append({"id": len(annotations) + 1, "image_id": number, **found})
    categories = [{"id": label, "name": name} for label, name in names.items() if label]
    write_bytes(out, json.dumps({"images": listed, "annotations": annotations, "categories": categories}))
    return len(annotations)


def _objects(labels: LabelArray, objects: LabelArray) -> Iterator[dict[str, Any]]:
    """An annotation, without ids, for each object; its label is the most frequent one inside."""
    height, width = labels.shape
    for number in np.unique(objects[(objects > 0) & (objects != IGNORE)]):
        inside = objects == number
        named = labels[inside & (labels > 0) & (labels != IGNORE)]
        if named.size:
            rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
            left, top = int(columns[0]), int(rows[0])
            yield {
                "category_id": int(np.bincount(named).argmax()),
                "segmentation": {"size": [height, width], "counts": rle.encode(inside).decode()},
                "area": int(np.count_nonzero(inside)),
                "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
                "iscrowd": 0,
            }
