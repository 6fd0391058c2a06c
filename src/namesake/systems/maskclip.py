"""MaskCLIP: CLIP's own patch features against the names, with nothing trained and no image looked at beforehand.

Zhou, Loy, Dai: "Extract Free Dense Labels from CLIP", ECCV 2022, https://arxiv.org/abs/2112.01071; here as NamedMask
and ZUTIS compare with it.

1. Text embeddings of the names, each the mean of 85 prompts.
2. At every patch, the cosine of each name with the value features of CLIP's last block, brought to the image's size;
   pixels whose best probability is low are background (NamedMask, section 4.4), or those that the background words win
   (ZUTIS). Optionally words that are sure of no patch are left out (prompt denoising), and unsure patches take over
   what patches with like keys say (key smoothing; MaskCLIP, section 3.3).

CLIP may be a ViT, a ResNet (the value and output projections of its attention pooling; preset `resnet`, NamedMask's
form) or a SigLIP.

Published: VOC2012 29.1, COCO 5.3, CoCA 3.1, Cityscapes objects 6.1 (NamedMask, Tables 5 and 6, ResNet-50, threshold);
COCO 20.6, CoCA 20.2 (ZUTIS, ViT-B/16, background words). Seconds, no training.
"""

from dataclasses import dataclass

from namesake.config import option
from namesake.encoders.presets import LAPTOP, MODERN
from namesake.records import Images, Names
from namesake.segmenter import MaskClipConfig, SegmenterFolder, build_maskclip
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(MaskClipConfig):
    """The settings that NamedMask compares with."""

    device: str = option("auto", 'Where it computes: "auto", "cpu" or "cuda".')


PRESETS: dict[str, Config] = {
    "paper": Config(),
    "resnet": Config(clip="timm/resnet50_clip.openai"),
    # CLIP's own 224 pixels: of an image of 640 x 480, two cores do more than one in a second
    "laptop": Config(clip=LAPTOP.clip_dense, resize_shorter=224),
    "modern": Config(clip=MODERN.clip_dense),
    # the embedded CLIP's own scale; the threshold that was best on 40 scenes of another seed
    "mini": Config(clip="embedded:clip", logit_scale=14.7, threshold=0.5),
}


def maskclip(names: Names, _images: Images, *, config: Config = Config(), step: Step = run_now) -> SegmenterFolder:
    """Names to a segmenter that needs no training; the images are not looked at."""
    return step(build_maskclip, names, config=config, device=config.device)
