"""Segmentation without annotation: unlabelled images and a list of names in; masks, a segmenter and scores out.

The public surface; everything else may move.
"""

import os

from namesake.errors import NamesakeError
from namesake.records import Archives, Images, Index, Instances, Names, Prediction, PseudoMasks, Scores

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
    "label",
    "load",
    "load_official",
    "run",
]


def __getattr__(name: str) -> object:
    """`label`, `load`, `load_official` and `run`, imported when first used: they bring torch with them."""
    if name == "load":
        from namesake.segmenter import load_segmenter

        return load_segmenter
    if name == "load_official":
        from namesake.official import load_official

        return load_official
    if name in {"label", "run"}:
        from namesake import systems

        return getattr(systems, name)
    raise AttributeError(f"module 'namesake' has no attribute {name!r}")
