"""A dataset in, the `data.yaml` with which Ultralytics trains on its label maps out."""

import json
from typing import Any

from namesake.prediction.export.dataset import IMAGES, MASKS, SPLITS, Dataset
from namesake.workspace import write_bytes

FILE = "data.yaml"


def export_ultralytics(dataset: Dataset) -> dict[str, Any]:
    """Write `data.yaml` for semantic segmentation: labels as they are, 0 background, 255 not counted.

    An empty `path` is the folder of the file itself, so the dataset may be moved.

    Source: docs.ultralytics.com/datasets/semantic.
    """
    write_data_yaml(dataset, FILE, ("background", *dataset.names.names), extra={"masks_dir": MASKS})
    return {"path": FILE}


def write_data_yaml(dataset: Dataset, file: str, names: tuple[str, ...], *, extra: dict[str, str]) -> None:
    """Write a YAML file with the folders of the splits and the name of each class, counted from 0.

    A split without images points to the other one's folder, since trainers want both.
    """
    folders = {split: f"{IMAGES}/{split if dataset.ids[split] else SPLITS[0]}" for split in SPLITS}
    head = {"path": "", **folders, **extra}
    lines = [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    lines += ["names:", *(f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(names))]
    write_bytes(dataset.folder / file, "\n".join(lines) + "\n")
