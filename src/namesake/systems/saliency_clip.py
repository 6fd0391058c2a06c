"""Saliency + CLIP: a saliency network finds the object, CLIP names the picture, and nothing is trained.

The baseline of NamedMask's Table 3 ("SelfMask + CLIP"): https://arxiv.org/abs/2209.11228, section 4.3.

1. SelfMask draws one class-agnostic mask.
2. The name closest to CLIP's embedding of the whole image is given to all of it.

Published: VOC2012 train 50.4 mean IoU, 63.3 on images with one object and 42.1 on those with several (Table 3).
Seconds, no training.
"""

from dataclasses import dataclass

from namesake.config import option
from namesake.encoders.presets import MODERN
from namesake.records import Images, Names
from namesake.segmenter import SegmenterFolder, build_saliency_clip
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config:
    """The models that NamedMask uses for its archives and masks."""

    clip: str = option("openai/clip-vit-large-patch14-336", "CLIP that names the picture.")
    saliency: str = option("selfmask_nq20.pt", "SelfMask: an official file, a folder, or `embedded:saliency`.")
    device: str = option("auto", 'Where it computes: "auto", "cpu" or "cuda".')


PRESETS: dict[str, Config] = {
    "paper": Config(),
    "modern": Config(clip=MODERN.clip),
    "mini": Config(clip="embedded:clip", saliency="embedded:saliency"),
}


def saliency_clip(names: Names, _images: Images, *, config: Config = Config(), step: Step = run_now) -> SegmenterFolder:
    """Names to a segmenter that needs no training; the images are not looked at."""
    return step(build_saliency_clip, names, clip=config.clip, saliency=config.saliency, device=config.device)
