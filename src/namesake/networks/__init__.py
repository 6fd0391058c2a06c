"""Networks that are trained here, each in the layout of its published checkpoint: they map tensors to tensors.

They stand between the frozen encoders, whose backbones they start from, and the stages that draw masks with them
(SelfMask), segment with them (DeepLabv3+, ZUTIS, the alignment) or train them.
"""

from namesake.networks.deeplab import DeepLab, DeepLabConfig, load_official_deeplab
from namesake.networks.selfmask import (
    SelfMask,
    SelfMaskConfig,
    load_official_selfmask,
    load_selfmask,
    save_selfmask,
)
from namesake.networks.zutis import QuerySegmenter, QuerySegmenterConfig, load_official_zutis

__all__ = [
    "DeepLab",
    "DeepLabConfig",
    "QuerySegmenter",
    "QuerySegmenterConfig",
    "SelfMask",
    "SelfMaskConfig",
    "load_official_deeplab",
    "load_official_selfmask",
    "load_official_zutis",
    "load_selfmask",
    "save_selfmask",
]
