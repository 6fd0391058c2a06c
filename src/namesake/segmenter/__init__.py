"""A segmenter: names that it knows, an image in, labels and confidence in original pixels out.

Closed-set networks (DeepLabv3+) and the training-free baselines share one `Segmenter`; a folder says which it is. How a
network got its weights is no matter here.
"""

from namesake.segmenter.build import build_maskclip, build_named_regions, build_saliency_clip
from namesake.segmenter.deeplab import DeepLab, DeepLabConfig, load_official_deeplab
from namesake.segmenter.segmenter import Segmenter, SegmenterFolder, load_segmenter, open_segmenter
from namesake.segmenter.settings import Settings

__all__ = [
    "DeepLab",
    "DeepLabConfig",
    "Segmenter",
    "SegmenterFolder",
    "Settings",
    "build_maskclip",
    "build_named_regions",
    "build_saliency_clip",
    "load_official_deeplab",
    "load_segmenter",
    "open_segmenter",
]
