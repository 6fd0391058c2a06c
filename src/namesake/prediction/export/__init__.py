"""Label maps and objects go in; files that other programs read as they are come out: index PNG and COCO json."""

from namesake.prediction.export.coco import annotation, write_coco
from namesake.prediction.export.index_png import encode_index_png, read_index_png, write_index_png

__all__ = ["annotation", "encode_index_png", "read_index_png", "write_coco", "write_index_png"]
