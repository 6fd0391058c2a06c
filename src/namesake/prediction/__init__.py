"""A segmenter and images go in; index PNGs, overlays and COCO json at the original sizes come out.

`predict_folder` streams a folder of any length, `draw` paints label maps for people, `export` writes them for programs.
"""

from namesake.prediction.draw import contact_sheet, legend, overlay
from namesake.prediction.folder import Predictions, open_predictions, predict_folder
from namesake.prediction.palette import palette
from namesake.prediction.stream import SegmentsImages, segment_ahead
from namesake.shapes import not_sure

__all__ = [
    "Predictions",
    "SegmentsImages",
    "contact_sheet",
    "legend",
    "not_sure",
    "open_predictions",
    "overlay",
    "palette",
    "predict_folder",
    "segment_ahead",
]
