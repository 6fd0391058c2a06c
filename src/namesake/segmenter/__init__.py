"""A segmenter: names that it knows, an image in, labels and confidence in original pixels out.

Closed-set networks (DeepLabv3+), open-vocabulary ones that find objects too, and the training-free baselines share one
`Segmenter`; a folder says which it is. How a network got its weights is no matter here.
"""

from namesake.segmenter.build import build_maskclip, build_named_regions, build_reference_maps, build_saliency_clip
from namesake.segmenter.deeplab import DeepLab, DeepLabConfig, load_official_deeplab
from namesake.segmenter.folder import SegmenterFolder, open_segmenter
from namesake.segmenter.open_vocabulary import OpenVocabulary, QueryInference
from namesake.segmenter.query_segmenter import QuerySegmenter, QuerySegmenterConfig, load_official_zutis
from namesake.segmenter.segmenter import Segmenter, load_segmenter
from namesake.segmenter.settings import Settings

__all__ = [
    "DeepLab",
    "DeepLabConfig",
    "OpenVocabulary",
    "QueryInference",
    "QuerySegmenter",
    "QuerySegmenterConfig",
    "Segmenter",
    "SegmenterFolder",
    "Settings",
    "build_maskclip",
    "build_named_regions",
    "build_reference_maps",
    "build_saliency_clip",
    "load_official_deeplab",
    "load_official_zutis",
    "load_segmenter",
    "open_segmenter",
]
