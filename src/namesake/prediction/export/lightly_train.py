"""A dataset in, the table of classes with which LightlyTrain trains on its label maps out."""

from typing import Any

from namesake.prediction.export.dataset import Dataset
from namesake.shapes import not_sure
from namesake.workspace import write_json

FILE = "classes.json"


def export_lightly_train(dataset: Dataset) -> dict[str, Any]:
    """Write `classes.json`: every id that occurs in a label map, that of pixels which are not sure among them.

    LightlyTrain refuses ids that are not listed; give it that last id as `ignore_classes`.
    """
    unsure = not_sure(len(dataset.names))
    names = ("background", *dataset.names.names)
    write_json(dataset.folder / FILE, {str(label): name for label, name in enumerate(names)} | {str(unsure): "ignore"})
    return {"path": FILE, "ignore_classes": [unsure]}
