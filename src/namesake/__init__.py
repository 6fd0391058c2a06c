"""Segmentation without annotation: unlabelled images and a list of names in; masks, a segmenter and scores out.

The public surface; everything else may move.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from namesake.errors import NamesakeError
from namesake.records import Archives, Images, Index, Instances, Names, Prediction, PseudoMasks, Scores

if TYPE_CHECKING:
    from namesake.evaluation import evaluate_run as evaluate
    from namesake.evaluation.report import write_report as report
    from namesake.evaluation.trust_run import trust
    from namesake.official import load_official
    from namesake.prediction import predict
    from namesake.segmenter import Segmenter
    from namesake.segmenter import load_segmenter as load
    from namesake.systems import export, find, label, run

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when huggingface_hub is first imported

__version__ = "0.1.0"
__all__ = [
    "Archives",
    "Images",
    "Index",
    "Instances",
    "Names",
    "NamesakeError",
    "Prediction",
    "PseudoMasks",
    "Scores",
    "Segmenter",
    "evaluate",
    "export",
    "find",
    "label",
    "load",
    "load_official",
    "predict",
    "report",
    "run",
    "trust",
]

_LATER = {
    "Segmenter": ("namesake.segmenter", "Segmenter"),
    "evaluate": ("namesake.evaluation", "evaluate_run"),
    "export": ("namesake.systems", "export"),
    "find": ("namesake.systems", "find"),
    "label": ("namesake.systems", "label"),
    "load": ("namesake.segmenter", "load_segmenter"),
    "load_official": ("namesake.official", "load_official"),
    "predict": ("namesake.prediction", "predict"),
    "report": ("namesake.evaluation.report", "write_report"),
    "run": ("namesake.systems", "run"),
    "trust": ("namesake.evaluation.trust_run", "trust"),
}
"""Where what brings torch with it lies; it is imported when it is first used."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module 'namesake' has no attribute {name!r}")
        module, attribute = _LATER[name]
        return getattr(import_module(module), attribute)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
