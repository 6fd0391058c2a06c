"""FMbSeg: CLIP's names on SAM's masks teach a small module that lets a frozen DINOv2 be asked for any name.

Seifi, Olmeda Reino, Despinoy, Aljundi: "Annotation-Free Semantic Segmentation with Vision Foundation Models", 2024,
https://arxiv.org/abs/2403.09307. Names and unlabelled images in, an open-vocabulary segmenter of things and stuff out.

1. Stage 1.1: crops of the enlarged image say which names are there; the patches most like each of them are points at
   which SAM is asked for a mask (section 3.2.1, appendix 1.1).
   Stage 1.2: each of SAM's automatic masks gets the name that is there and its mean feature is most like (section
   3.2.2, appendix 1.2). Where it is known which names an image shows, nothing is detected (semi-supervised, Table 2).
2. Stage 2: a module on the frozen encoder's patches is trained against the names' texts and against each other
   (section 3.3, Eq. 1 to 4; modules and losses: Table 3; share of stage 1.2: appendix, Table 2).
3. Labels are read off the patches (base), or smoothed by a vote within SAM's masks (refined; "Pixelwise Segmentation").

Published (Table 1, mean IoU, base / refined): VOC with background 67.7 / 71.0, without 85.7 / 87.0, Context-59
42.7 / 44.3, COCO things 57.6 / 58.2, COCO-Stuff 29.9 / 30.7, Cityscapes 28.4 / 30.6, ADE20K 16.3 / 16.6; stage
1.1 / 1.2 / 1.1 semi-supervised on COCO-Stuff 17.0 / 16.8 / 29.0 (Table 2).

No code was published, and the paper leaves values open; the options that say so hold our choice, and dev/LOG.md what
led to those of the embedded world: the preset "mini" aligns CLIP's patches with the masks of stage 1.2 alone, and
weighs the texts' term (Eq. 2) 50 times, because 600 updates instead of 240,000 learn nothing from 27 summands beside
1,100.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namesake.config import group, option
from namesake.encoders.presets import MODERN
from namesake.errors import ConfigError, unknown
from namesake.masks.region_labels import label_regions, read_shown
from namesake.masks.regions import RegionsConfig
from namesake.prediction.find import FindConfig
from namesake.records import Images, Names
from namesake.segmenter import SegmenterFolder, build_named_regions
from namesake.systems.mini import LAPTOP_ALIGNMENT, LAPTOP_REGIONS, MINI_ALIGNMENT, MINI_REGIONS
from namesake.systems.steps import EncodersConfig
from namesake.training.alignment import AlignmentTrainingConfig, train_alignment
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(EncodersConfig):
    """FMbSeg's settings; `alignment.inference.refine_with` names SAM for refined labels."""

    regions: RegionsConfig = group(RegionsConfig, "Step 1.")
    alignment: AlignmentTrainingConfig = group(AlignmentTrainingConfig, "Steps 2 and 3.")
    until: Literal["aligned", "prompted", "automatic"] = option(
        "aligned",
        'All steps; or stage 1.1 ("prompted") or 1.2 ("automatic") alone, which is a segmenter without training.',
    )
    image_labels: str = option(
        "", 'JSON table of image ids with the names that each is known to show (semi-supervised); "" for none.'
    )


PRESETS: dict[str, Config] = {
    "paper": Config(),
    # SigLIP's patches are in its joint space only behind the perceptron of its pooling head
    "modern": Config(
        regions=RegionsConfig(clip=MODERN.clip, mask_model=MODERN.sam, image_size=1536, keep_last_mlp=True),
        alignment=AlignmentTrainingConfig(dense_encoder=MODERN.dino, clip=MODERN.clip),
    ),
    "laptop": Config(regions=LAPTOP_REGIONS, alignment=LAPTOP_ALIGNMENT),
    "mini": Config(regions=MINI_REGIONS, alignment=MINI_ALIGNMENT),
}


def find_config(preset: str) -> FindConfig:
    """How a preset recognises one very object (section 4.5.2, Table 4: precision 91, recall 87).

    Raises:
        ConfigError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(unknown("preset", preset, PRESETS))
    chosen = PRESETS[preset]
    return FindConfig(
        chosen.regions, dense_encoder=chosen.alignment.dense_encoder, image_size=chosen.alignment.image_size
    )


def fmbseg(names: Names, images: Images, *, config: Config = Config(), step: Step = run_now) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring."""
    if config.until != "aligned":
        return step(build_named_regions, names, kind=config.until, config=config.regions, device=config.device)
    shown = read_shown(Path(config.image_labels)) if config.image_labels else None
    labels = step(label_regions, images, names, config=config.regions, shown=shown, **config.computing())
    return step(train_alignment, images, labels, names, config=config.alignment, device=config.device)
