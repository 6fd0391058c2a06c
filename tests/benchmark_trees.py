"""Tiny trees in the published layout of every benchmark that the tables use, of rendered scenes with three things."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from namesake.evaluation.benchmarks import BENCHMARKS, prepare
from namesake.evaluation.benchmarks.ids import published_names
from namesake.evaluation.benchmarks.layouts import Coco, Paired
from namesake.shapes import LabelArray
from namesake.world import write_world

SIZE, COUNT = 64, 3
SHOWN = ("car", "chair", "dog")


class Scenes:
    """Rendered scenes: RGB images, and maps of 0 (nothing), 1, 2 and 3."""

    def __init__(self, folder: Path) -> None:
        write_world("scenes", folder, count=COUNT, seed=3, size=SIZE, workers=1, names=SHOWN)
        self.images = [np.asarray(Image.open(path)) for path in sorted((folder / "images").iterdir())]
        ids = {name: int(number) for number, name in json.loads((folder / "names.json").read_text()).items()}
        maps = [np.asarray(Image.open(path)) for path in sorted((folder / "masks").iterdir())]
        self.maps = [sum((each == ids[name]) * label for label, name in enumerate(SHOWN, start=1)) for each in maps]


def write_tree(key: str, root: Path, scenes: Scenes) -> None:
    """Write a benchmark below `root`, with its objects prepared where they are prepared from it."""
    listing = BENCHMARKS[key]
    layout = listing.layouts[0]
    ids = list(published_names(listing.ids).names)
    background = listing.background[0] if listing.background else ids[-1]
    table = np.array([background, *(ids * 3)[:3]])
    if isinstance(layout, Coco):
        layout = next(each for each in listing.layouts if isinstance(each, Coco) and not each.labels)
        _write_coco(layout, root, scenes, [number for number in ids if number < 91][:3])
    else:
        assert isinstance(layout, Paired)
        _write_paired(key, layout, root, scenes, table)


def _write_paired(key: str, layout: Paired, root: Path, scenes: Scenes, table: Sequence[int]) -> None:
    inside = {"coca": "Accordion/", "cub200": "001.Black_footed_Albatross/"}.get(key, "")
    suffix = layout.image_suffix or ".jpg"
    binary = layout.decode in {"binary", "category folder"}
    for number, (image, labels) in enumerate(zip(scenes.images, scenes.maps, strict=True)):
        save(root / layout.images / f"{inside}im{number}{suffix}", image)
        ids = 255 * (labels == 1) if binary else np.asarray(table)[labels]
        save_labels(root / layout.labels / f"{inside}im{number}{layout.label_suffix}", ids)
        if layout.numbers:
            save_labels(root / layout.numbers / f"im{number}.png", labels)
    if layout.list.endswith("images.txt"):
        lines = [f"{number + 1} {inside}im{number}{suffix}" for number in range(COUNT)]
        write_lines(root / layout.list, lines)
        write_lines(root / layout.needs[0], [f"{number + 1} 0" for number in range(COUNT)])
    elif layout.list not in {"", "labels"}:
        write_lines(root / layout.list, [f"im{number}" for number in range(COUNT)])
    if layout.numbers:
        prepare(key, root)


def _write_coco(layout: Coco, root: Path, scenes: Scenes, ids: Sequence[int]) -> None:
    images, annotations = [], []
    for number, (image, labels) in enumerate(zip(scenes.images, scenes.maps, strict=True)):
        name = f"{number:012d}.jpg"
        save(root / layout.images / name, image)
        images.append({"id": number + 1, "file_name": name, "height": SIZE, "width": SIZE})
        for label, category in enumerate(ids, start=1):
            rows, columns = np.nonzero(labels == label)
            if rows.size > 4:
                x, y, right, below = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                box = [int(x), int(y), int(right - x), int(below - y)]
                corners = [int(value) for value in (x, y, right, y, right, below, x, below)]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number + 1, "category_id": category, "iscrowd": 0,
                     "area": box[2] * box[3], "bbox": box, "segmentation": [corners]}
                )  # fmt: skip
    names = published_names("coco").names
    content = {"images": images, "annotations": annotations,
               "categories": [{"id": number, "name": name} for number, name in names.items()]}  # fmt: skip
    (root / layout.annotations).parent.mkdir(parents=True, exist_ok=True)
    (root / layout.annotations).write_text(json.dumps(content))


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, format="JPEG" if path.suffix.lower() in {".jpg", ".jpeg"} else "PNG")


def save_labels(path: Path, labels: LabelArray) -> None:
    save(path, labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16))


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
