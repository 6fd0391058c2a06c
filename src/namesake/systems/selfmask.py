"""SelfMask: a class-agnostic saliency network from unlabelled images alone.

Shin, Albanie, Xie: "Unsupervised Salient Object Detection with Spectral Cluster Voting", CVPRW 2022,
https://arxiv.org/abs/2203.12614. Names are not used.

1. Spectral clusters (k = 2, 3, 4) of self-supervised patch features; candidates that span the picture are dropped, and
   the one that agrees most with the others is the image's mask (sections 3.1 and 3.2).
2. A query network on a DINO ViT, trained on those masks (section 3.3).

Published: DUTS-TE IoU 64.5 with 10 queries, 65.3 with 20, without bilateral solver. The paper's three encoders are
MoCo-v2, SwAV (ResNet-50) and DINO ViT-S/16; the default here is the last, preset "voters" has all three: give the files
of the first two with `--config voting.encoders=MOCO,SWAV,facebook/dino-vits16`.
"""

from dataclasses import dataclass

from namesake.config import group
from namesake.encoders.presets import MODERN
from namesake.masks import VotingConfig, voted_masks
from namesake.records import Images, Names
from namesake.systems.mini import MINI_SALIENCY
from namesake.systems.steps import EncodersConfig
from namesake.training.selfmask import SaliencyModel, SaliencyTrainingConfig, train_saliency
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(EncodersConfig):
    """The paper's settings, with one encoder."""

    voting: VotingConfig = group(VotingConfig, "Step 1.")
    training: SaliencyTrainingConfig = group(SaliencyTrainingConfig, "Step 2: 12 epochs over 10,553 images.")


PRESETS: dict[str, Config] = {
    "paper": Config(),
    # the paper's three voters; the files of the first two are looked for where the run is started
    "voters": Config(
        voting=VotingConfig(
            encoders=("moco_v2_800ep_pretrain.pth.tar", "swav_800ep_pretrain.pth.tar", "facebook/dino-vits16")
        )
    ),
    "modern": Config(
        voting=VotingConfig(encoders=(MODERN.backbone,)), training=SaliencyTrainingConfig(backbone=MODERN.backbone)
    ),
    "mini": Config(voting=VotingConfig(encoders=("embedded:dino",), block=2), training=MINI_SALIENCY),
}


def selfmask(_names: Names, images: Images, *, config: Config = Config(), step: Step = run_now) -> SaliencyModel:
    """Unlabelled images to a saliency network; its folder `saliency/` serves as NamedMask's `saliency.network`."""
    masks = step(voted_masks, images, config=config.voting, **config.computing())
    return step(train_saliency, images, masks, config=config.training, device=config.device)
