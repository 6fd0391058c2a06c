"""A segmenter: names that it knows, an image in, labels and confidence in original pixels out.

Closed-set networks (DeepLabv3+), open-vocabulary ones that find objects too, and the training-free baselines share one
`Segmenter`; a folder says which it is. How a network got its weights is no matter here.
"""

from namesake.segmenter.careful import CarefulConfig
from namesake.segmenter.maskclip import MaskClipConfig, build_maskclip
from namesake.segmenter.opening import Opening
from namesake.segmenter.query import OpenVocabulary
from namesake.segmenter.reco import ReferenceMapsConfig, build_reference_maps
from namesake.segmenter.regions import build_named_regions
from namesake.segmenter.runtime import Runtime, worth_onnx
from namesake.segmenter.saliency_clip import build_saliency_clip
from namesake.segmenter.segmenter import Segmenter, load_segmenter
from namesake.segmenter.settings import SegmenterFolder, Settings, open_segmenter

__all__ = [
    "CarefulConfig",
    "MaskClipConfig",
    "OpenVocabulary",
    "Opening",
    "ReferenceMapsConfig",
    "Runtime",
    "Segmenter",
    "SegmenterFolder",
    "Settings",
    "build_maskclip",
    "build_named_regions",
    "build_reference_maps",
    "build_saliency_clip",
    "load_segmenter",
    "open_segmenter",
    "worth_onnx",
]
