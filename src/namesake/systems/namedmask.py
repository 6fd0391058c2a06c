"""NamedMask: distil CLIP's names and DINO's shapes into one closed-set semantic segmenter.

Shin, Xie, Albanie: "NamedMask: Distilling Segmenters from Complementary Foundation Models", CVPRW 2023,
https://arxiv.org/abs/2209.11228. Names and unlabelled images in, a DeepLabv3+ over those names and background out.

1. Embed the unlabelled images with CLIP (section 3.2, "Dynamic archive construction").
2. For each name, the archive of images whose embeddings lie closest to its text embedding (Eq. 1).
3. A class-agnostic saliency mask for every archive image, from SelfMask, refined by a bilateral solver
   ("Mask generation"; section 4.2). Optionally, only what the image's name explains of it (section 5, limitation 3).
4. Experts: a segmenter for each name (or group of names), trained on its own archive, redraws that archive's masks
   ("Mask refinement through category experts"; Tables 1 and 2).
5. One segmenter for all names, cross-entropy on the archives with copy-paste ("Training NamedMask"; Table 3).

Names that join a run later (section 5, limitation 1) get their own steps 2 to 4; only step 5 sees all names again.

Published (Tables 5-9, mean IoU): VOC2012 59.2, COCO 27.7, CoCA 27.3, Cityscapes objects 18.2, ImageNet-S 50/300/919
47.5 / 32.8 / 22.9; one A100. Where paper and released code differ, the code's values are the defaults.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from namesake.archives import ArchivesConfig
from namesake.archives.join import join_names
from namesake.config import group, option
from namesake.encoders.presets import LAPTOP, MODERN
from namesake.index import adopt_embeddings, build_index, facts_of_shards
from namesake.masks import SaliencyConfig, VotingConfig
from namesake.masks.guided import GuideConfig, keep_named
from namesake.masks.stuff import StuffConfig, check_stuff, redraw_stuff, stuff_among
from namesake.records import Archives, Images, Index, Names, PseudoMasks
from namesake.segmenter import SegmenterFolder
from namesake.systems.adding import Added, label_parts
from namesake.systems.mini import MINI_EXPERTS, MINI_REGIONS, MINI_TRAINING
from namesake.systems.steps import MaskedArchivesConfig, masked_archives, train_closed_set
from namesake.training import (
    ExpertsConfig,
    FrozenTrainingConfig,
    TrainingConfig,
    relabel_with_experts,
)
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(MaskedArchivesConfig):
    """NamedMask's settings for VOC2012, COCO, CoCA and Cityscapes."""

    experts: ExpertsConfig = group(
        ExpertsConfig, "Step 4: 5,000 updates of 8 images for each name; 0 updates leave the step out."
    )
    training: TrainingConfig | FrozenTrainingConfig = group(
        TrainingConfig, "Step 5: 20,000 updates of 16 images; or a light decoder on the features of a frozen encoder."
    )
    embeddings: str = option(
        "",
        "Folder of embeddings that clip-retrieval made of the images with `retrieval_clip`, in place of step 1 "
        "(LAION).",
    )
    guide: GuideConfig = group(
        GuideConfig, "After step 3, keep of each mask only what the image's name explains; off without a CLIP (paper)."
    )
    stuff: StuffConfig = group(StuffConfig, "Names of stuff, whose masks are drawn by FMbSeg's first stage instead.")


PRESETS: dict[str, Config] = {
    "paper": Config(),
    # for its 919 names; 30 groups for 300 (section 4.2, Table 2)
    "imagenet-s": Config(
        experts=ExpertsConfig(iterations=10_000, batch_size=16, groups=90),
        training=TrainingConfig(iterations=80_000, resize_longer=1024, enlarge=True),
    ),
    # `saliency.network` may be a run of selfmask with the same preset, which starts from DINOv2
    "modern": Config(retrieval_clip=MODERN.clip, experts=ExpertsConfig(clip=MODERN.clip)),
    # no GPU: a training of experts and a ResNet would take weeks
    "laptop": Config(
        retrieval_clip=LAPTOP.clip,
        archives=ArchivesConfig(images_per_name=50),
        voting=VotingConfig(bilateral_solver=True),
        experts=ExpertsConfig(iterations=0),
        training=FrozenTrainingConfig(),
    ),
    "mini": Config(
        retrieval_clip="embedded:clip",
        archives=ArchivesConfig(images_per_name=50),
        saliency=SaliencyConfig(network="embedded:saliency"),
        stuff=StuffConfig(regions=MINI_REGIONS),
        experts=MINI_EXPERTS,
        training=MINI_TRAINING,
    ),
}


def namedmask(
    names: Names,
    images: Images,
    *,
    config: Config = Config(),
    step: Step = run_now,
    added: Added = (),
) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring.

    `added` are names that joined later, each part with the step that makes its own archives, masks and experts.
    """
    whole = join_names([names, *(each.names for each in added)]) if added else names
    check_stuff(config.stuff, whole)
    if config.embeddings:
        shards = facts_of_shards(config.embeddings)
        index = step(
            adopt_embeddings, images, embeddings=config.embeddings, encoder=config.retrieval_clip, shards=shards
        )
    else:
        index = step(build_index, images, encoder=config.retrieval_clip, **config.computing())
    archives, masks = label_parts(partial(_label, index, config=config), names, step=step, added=added)
    return train_closed_set(archives, masks, whole, config=config.training, step=step, encoders=config)


def _label(
    index: Index, names: Names, *, config: Config, step: Step, taken: tuple[Archives, ...]
) -> tuple[Archives, PseudoMasks]:
    """Steps 2 to 4."""
    archives, masks = masked_archives(index, names, config=config, step=step, taken=taken)
    if config.guide.clip:
        masks = step(keep_named, masks, archives, config=config.guide, **config.computing())
    stuff = stuff_among(config.stuff, names)
    if config.experts.iterations and len(stuff.names) < len(names):
        drawn_later: dict[str, Any] = {"leave_out": stuff.names} if stuff.names else {}
        masks = step(relabel_with_experts, masks, archives, config=config.experts, device=config.device, **drawn_later)
    if stuff.names:
        masks = step(redraw_stuff, masks, archives, config=stuff, **config.computing())
    return archives, masks
