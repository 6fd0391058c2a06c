"""A segmenter in, a file that runs without this package out (ONNX, or torch.export), checked against the original."""

from namesake.segmenter.export.check import Check
from namesake.segmenter.export.program import PRECISIONS, Precision
from namesake.segmenter.export.write import FORMATS, Format, Written, export_segmenter

__all__ = ["FORMATS", "PRECISIONS", "Check", "Format", "Precision", "Written", "export_segmenter"]
