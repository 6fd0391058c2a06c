"""Segment images and write index PNGs, overlays and COCO json at the original sizes.

`predict` does so with a run, `predict_folder` streams a folder of any length, `draw` paints label maps for people,
`write_dataset` makes of them a dataset in every format of `export`, and `show` is what a prediction does by itself.
"""

from namesake.prediction.dataset import DatasetConfig, LabelledFolder, refuse_foreign, write_dataset
from namesake.prediction.draw import contact_sheet, legend, overlay
from namesake.prediction.folder import open_predictions, predict_folder, predict_images
from namesake.prediction.runs import predict
from namesake.prediction.sources import open_source
from namesake.prediction.stream import SegmentsImages, segment_ahead
from namesake.shapes import not_sure

__all__ = [
    "DatasetConfig",
    "LabelledFolder",
    "SegmentsImages",
    "contact_sheet",
    "legend",
    "not_sure",
    "open_predictions",
    "open_source",
    "overlay",
    "predict",
    "predict_folder",
    "predict_images",
    "refuse_foreign",
    "segment_ahead",
    "write_dataset",
]
