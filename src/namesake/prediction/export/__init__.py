"""Label maps and objects go in; files that other programs read as they are come out, one file of code a format.

`EXPORTS` are the formats of a whole dataset: each takes it and says what it wrote and what the format could not hold;
another format is another entry.
"""

from collections.abc import Callable
from typing import Any

from namesake.prediction.export.coco import export_coco, write_coco
from namesake.prediction.export.dataset import Dataset
from namesake.prediction.export.index_png import encode_index_png, read_index_png, write_index_png
from namesake.prediction.export.label_studio import export_label_studio
from namesake.prediction.export.lightly_train import export_lightly_train
from namesake.prediction.export.memory import to_fiftyone, to_supervision
from namesake.prediction.export.ultralytics import export_ultralytics
from namesake.prediction.export.voc import export_voc
from namesake.prediction.export.yolo import export_yolo

EXPORTS: dict[str, Callable[[Dataset], dict[str, Any]]] = {
    "ultralytics": export_ultralytics,
    "lightly_train": export_lightly_train,
    "coco": export_coco,
    "yolo": export_yolo,
    "voc": export_voc,
    "label_studio": export_label_studio,
}

__all__ = [
    "EXPORTS",
    "encode_index_png",
    "read_index_png",
    "to_fiftyone",
    "to_supervision",
    "write_coco",
    "write_index_png",
]
