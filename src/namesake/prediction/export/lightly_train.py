"""A dataset in, the table of classes with which LightlyTrain trains on its label maps out."""

from typing import Any

from namesake.names.spelling import spelling
from namesake.prediction.export.dataset import Dataset
from namesake.shapes import not_sure
from namesake.workspace import write_json

FILE = "classes.json"
UNSURE = ("ignore", "void", "unlabelled", "not sure", "")
"""What pixels that are not sure are called: the first that is no name."""


def export_lightly_train(dataset: Dataset) -> dict[str, Any]:
    """Write `classes.json`: every id that occurs in a label map, that of pixels which are not sure among them.

    LightlyTrain refuses ids that are not listed; give it that last id as `ignore_classes`.
    """
    unsure = not_sure(len(dataset.names))
    names = ("background", *dataset.names.names)
    own = {spelling(name) for name in names}
    word = next(word for word in UNSURE if word not in own)
    write_json(dataset.folder / FILE, {str(label): name for label, name in enumerate(names)} | {str(unsure): word})
    return {"path": FILE, "ignore_classes": [unsure]}
