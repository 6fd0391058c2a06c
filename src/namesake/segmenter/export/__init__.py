"""A segmenter in, a file that runs without this package out (ONNX, or torch.export), checked against the original."""

from namesake.segmenter.export.check import Check
from namesake.segmenter.export.program import Precision
from namesake.segmenter.export.write import Format, Written, export_segmenter

__all__ = ["Check", "Format", "Precision", "Written", "export_segmenter"]
