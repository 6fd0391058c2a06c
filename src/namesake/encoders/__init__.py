"""Foundation models in, by source (hub id, folder, `embedded:NAME`); vectors of images, texts and patches out.

The only folder that imports transformers. A model comes with its own preprocessing, tokenizer and card; what is not on
this machine and cannot be fetched is an error that says what to fetch and where to put it.
"""

from namesake.encoders.clip import Clip, load_clip
from namesake.encoders.devices import Precision, arithmetic, pick_device, why_slow
from namesake.encoders.dino import Dino, load_dino
from namesake.encoders.doctor import diagnose
from namesake.encoders.preprocess import Preprocessing
from namesake.encoders.presets import KNOWN, embedded_notice
from namesake.encoders.required import (
    Needed,
    describe,
    fetch_all,
    look_at_all,
    present,
    refuse_unavailable,
    require,
    total,
)
from namesake.encoders.resnet import load_backbone
from namesake.encoders.sam import AutomaticConfig, Masks, Sam, SamView, load_sam
from namesake.encoders.sources import find

__all__ = [
    "KNOWN",
    "AutomaticConfig",
    "Clip",
    "Dino",
    "Masks",
    "Needed",
    "Precision",
    "Preprocessing",
    "Sam",
    "SamView",
    "arithmetic",
    "describe",
    "diagnose",
    "embedded_notice",
    "fetch_all",
    "find",
    "load_backbone",
    "load_clip",
    "load_dino",
    "load_sam",
    "look_at_all",
    "pick_device",
    "present",
    "refuse_unavailable",
    "require",
    "total",
    "why_slow",
]
