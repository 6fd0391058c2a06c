"""NamedMask: distil CLIP's names and DINO's shapes into one closed-set semantic segmenter.

Shin, Xie, Albanie: "NamedMask: Distilling Segmenters from Complementary Foundation Models", CVPRW 2023,
https://arxiv.org/abs/2209.11228. Names and unlabelled images in, a DeepLabv3+ over those names and background out.

1. Embed the unlabelled images with CLIP (section 3.2, "Dynamic archive construction").
2. For each name, the archive of images whose embeddings lie closest to its text embedding (Eq. 1).
3. A class-agnostic saliency mask for every archive image, from SelfMask, refined by a bilateral solver
   ("Mask generation"; section 4.2).
4. Experts: a segmenter for each name (or group of names), trained on its own archive, redraws that archive's masks
   ("Mask refinement through category experts"; Tables 1 and 2).
5. One segmenter for all names, cross-entropy on the archives with copy-paste ("Training NamedMask"; Table 3).

Published (Tables 5-9, mean IoU): VOC2012 59.2, COCO 27.7, CoCA 27.3, Cityscapes objects 18.2, ImageNet-S 50/300/919
47.5 / 32.8 / 22.9; one A100. Where paper and released code differ, the code's values are the defaults.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from namesake.archives import ArchivesConfig, retrieve
from namesake.index import build_index
from namesake.masks import SaliencyConfig, saliency_masks
from namesake.masks.regions import MINI_REGIONS
from namesake.masks.stuff import StuffConfig, redraw_stuff
from namesake.records import Images, Names
from namesake.segmenter import SegmenterFolder
from namesake.training import (
    MINI_EXPERTS,
    MINI_TRAINING,
    ExpertsConfig,
    TrainingConfig,
    relabel_with_experts,
    train_segmenter,
)
from namesake.workspace import run_now


@dataclass(frozen=True)
class Config:
    """NamedMask's settings for VOC2012, COCO, CoCA and Cityscapes."""

    encoder: str = "openai/clip-vit-large-patch14-336"
    """CLIP of steps 1 and 2."""
    archives: ArchivesConfig = field(default_factory=ArchivesConfig)
    """Step 2: 500 images a name."""
    saliency: SaliencyConfig = field(default_factory=SaliencyConfig)
    """Step 3: SelfMask with 20 queries at a shorter side of 512, and the bilateral solver."""
    experts: ExpertsConfig = field(default_factory=ExpertsConfig)
    """Step 4: 5,000 updates of 8 images for each name; 0 updates leave the step out."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Step 5: 20,000 updates of 16 images."""
    stuff: StuffConfig = field(default_factory=StuffConfig)
    """Names of stuff, whose masks are drawn by FMbSeg's first stage instead; paper: none."""
    device: str = "auto"


PRESETS: dict[str, Config] = {
    "paper": Config(),
    "mini": Config(
        encoder="embedded:clip",
        archives=ArchivesConfig(images_per_name=50),
        saliency=SaliencyConfig(network="embedded:saliency"),
        stuff=StuffConfig(regions=MINI_REGIONS),
        experts=MINI_EXPERTS,
        training=MINI_TRAINING,
    ),
}


def namedmask(
    names: Names, images: Images, *, config: Config = Config(), step: Callable[..., Any] = run_now
) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring."""
    index = step(build_index, images, encoder=config.encoder, device=config.device)
    archives = step(retrieve, index, names, config=config.archives, device=config.device)
    masks = step(saliency_masks, archives, config=config.saliency, device=config.device)
    if config.experts.iterations:
        masks = step(relabel_with_experts, masks, archives, config=config.experts, device=config.device)
    if config.stuff.names:
        masks = step(redraw_stuff, masks, archives, config=config.stuff, device=config.device)
    trained: SegmenterFolder = step(
        train_segmenter, archives, masks, names, config=config.training, device=config.device
    )
    return trained
