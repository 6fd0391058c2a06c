"""A dataset in, YOLO's polygons of its objects out; what polygons cannot hold is measured."""

from typing import Any

import numpy as np

from namesake.prediction import polygons
from namesake.prediction.export.dataset import IMAGES, Dataset
from namesake.prediction.export.ultralytics import write_data_yaml
from namesake.workspace import write_bytes

FOLDER, FILE = "labels", "data-instances.yaml"
INSIDE = 0.25
"""Place of a vertex within its pixel: programs that cut to whole pixels and those that round both find that pixel."""
CORNERS = 3
"""Fewest vertices of a polygon; those of smaller objects are repeated."""


def export_yolo(dataset: Dataset) -> dict[str, Any]:
    """Write `labels/{train,val}/<stem>.txt`, a line an object, and `data-instances.yaml`.

    A line is `class x1 y1 x2 y2 ...`: the class counted from 0, in the outermost pixels, unsimplified, as shares
    of width and height. Parts and holes are joined by bridges one pixel wide, which readers fill.

    Returns:
        `objects`, `bridged_parts` and `bridged_holes` (joined by a bridge), `mean_iou` and `least_iou` of the polygons
        with the masks when read at the image's size (None without objects), `pixels_wrong`.
    """
    ious: list[float] = []
    parts = holes = wrong = 0
    for image in dataset.read():
        lines = []
        for each in image.annotations:
            mask = image.mask(each)
            traced = polygons.trace(mask)
            if not traced:
                continue
            numbers = polygon_numbers(polygons.join(traced), mask.shape)
            lines.append(f"{each['category_id'] - 1} {' '.join(f'{number:.6f}' for number in numbers.ravel())}")
            # what a reader makes of the written numbers, to measure the loss
            found = polygons.fill(_pixels(numbers, mask.shape), height=image.height, width=image.width)
            parts += len(traced) - 1
            holes += sum(len(part) - 1 for part in traced)
            wrong += int(np.count_nonzero(found ^ mask))
            ious.append(float(np.count_nonzero(found & mask) / np.count_nonzero(found | mask)))
        write_bytes(dataset.folder / labels_path(image.split, image.stem), "".join(line + "\n" for line in lines))
    write_data_yaml(dataset, FILE, dataset.names.names, extra={})
    return {
        "path": FOLDER,
        "objects": len(ious),
        "bridged_parts": parts,
        "bridged_holes": holes,
        "pixels_wrong": wrong,
        "mean_iou": round(float(np.mean(ious)), 4) if ious else None,
        "least_iou": round(min(ious), 4) if ious else None,
    }


def labels_path(split: str, stem: str) -> str:
    """Where the readers of YOLO look for an image's labels: the last folder `images` of its path is `labels` there."""
    before, _, after = f"/{IMAGES}/{split}/{stem}.txt".rpartition(f"/{IMAGES}/")
    return f"{before}/{FOLDER}/{after}".lstrip("/")


def polygon_numbers(polygon: polygons.Ring, shape: tuple[int, ...]) -> Any:  # noqa: ANN401
    """Vertices as shares of the image's size, rounded to 6 digits: float64 [vertices, 2]."""
    repeated = np.resize(polygon, (max(len(polygon), CORNERS), 2))
    return np.round((repeated + INSIDE) / (shape[1], shape[0]), 6)


def _pixels(numbers: Any, shape: tuple[int, ...]) -> polygons.Ring:  # noqa: ANN401
    """The pixels that a reader finds the vertices in."""
    found: polygons.Ring = (numbers * (shape[1], shape[0])).astype(np.int64)
    return found
