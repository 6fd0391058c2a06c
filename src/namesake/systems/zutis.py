"""ZUTIS: one open-vocabulary network for semantic and instance segmentation, from CLIP's names and saliency's shapes.

Shin, Albanie, Xie: "Zero-shot Unsupervised Transfer Instance Segmentation", CVPRW 2023,
https://arxiv.org/abs/2304.14376. Names and unlabelled images in, a CLIP vision transformer with a query decoder out,
which takes any names when it is used.

1. Embed the unlabelled images with CLIP (section 3.2, "Archive construction", Eq. 2).
2. For each name, the archive of images whose embeddings lie closest to its text embedding (Eq. 3).
3. A class-agnostic saliency mask for every archive image, from SelfMask ("Unsupervised saliency detection").
4. Train on copy-pasted archive images ("Synthetic image generation"; section 3.3): the encoder's tokens are named by
   the frozen text encoder (Eq. 4), and a decoder that the encoder gets no gradient from proposes a mask an object,
   matched one to one. Objects are named by their mean token (Eq. 5 and 6), duplicates suppressed.

Published: mean IoU COCO 32.8, CoCA 32.7 (Table 4), ImageNet-S 919 37.4 (Table 5); mask AP COCO-20K 5.7, AP50 11.0,
AP75 5.4 (Table 3), VOC2012 13.7 / 30.9 / 11.1, without suppression 4.4, without stop-gradient 0.3 (Table 1), unseen
names of COCO-20K 3.3 (Table 7); all ViT-B/16. Where paper and released code differ, the code's values are the defaults:
bare names, unscaled cosines, sigmoid(5 cosine) as an object's name probability.

Names that join a run later get their own steps 2 and 3; only step 4 sees all names again.
"""

from dataclasses import dataclass
from functools import partial

from namesake.archives import ArchivesConfig
from namesake.archives.join import join_names
from namesake.config import group
from namesake.encoders.presets import LAPTOP, MODERN
from namesake.index import build_index
from namesake.masks import SaliencyConfig, VotingConfig
from namesake.masks.stuff import StuffConfig, check_stuff, redraw_stuff, stuff_among
from namesake.records import Archives, Images, Index, Names, PseudoMasks
from namesake.segmenter import SegmenterFolder
from namesake.systems.adding import Added, label_parts
from namesake.systems.mini import LAPTOP_QUERY_TRAINING, MINI_QUERY_TRAINING, MINI_REGIONS
from namesake.systems.steps import MaskedArchivesConfig, masked_archives
from namesake.training import QueryTrainingConfig, train_query_segmenter
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(MaskedArchivesConfig):
    """ZUTIS's settings for COCO, CoCA and VOC2012."""

    training: QueryTrainingConfig = group(
        QueryTrainingConfig, "Step 4: 20,000 updates of 8 images, from CLIP ViT-B/16."
    )
    stuff: StuffConfig = group(StuffConfig, "Names of stuff, whose masks are drawn by FMbSeg's first stage instead.")


PRESETS: dict[str, Config] = {
    "paper": Config(),
    # for its 919 names (section 4.1)
    "imagenet-s": Config(training=QueryTrainingConfig(iterations=80_000, resize_longer=1024)),
    # the network itself starts from CLIP, whose form it has
    "modern": Config(retrieval_clip=MODERN.clip),
    "laptop": Config(
        retrieval_clip=LAPTOP.clip,
        archives=ArchivesConfig(images_per_name=50),
        voting=VotingConfig(bilateral_solver=True),
        training=LAPTOP_QUERY_TRAINING,
    ),
    "mini": Config(
        retrieval_clip="embedded:clip",
        archives=ArchivesConfig(images_per_name=50),
        saliency=SaliencyConfig(network="embedded:saliency"),
        stuff=StuffConfig(regions=MINI_REGIONS),
        training=MINI_QUERY_TRAINING,
    ),
}


def zutis(
    names: Names, images: Images, *, config: Config = Config(), step: Step = run_now, added: Added = ()
) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring.

    `added` are names that joined later, each part with the step that makes its own archives and masks.
    """
    whole = join_names([names, *(each.names for each in added)]) if added else names
    check_stuff(config.stuff, whole)
    index = step(build_index, images, encoder=config.retrieval_clip, **config.computing())
    archives, masks = label_parts(partial(_label, index, config=config), names, step=step, added=added)
    return step(train_query_segmenter, archives, masks, whole, config=config.training, device=config.device)


def _label(
    index: Index, names: Names, *, config: Config, step: Step, taken: tuple[Archives, ...]
) -> tuple[Archives, PseudoMasks]:
    """Steps 2 and 3."""
    archives, masks = masked_archives(index, names, config=config, step=step, taken=taken)
    stuff = stuff_among(config.stuff, names)
    if stuff.names:
        masks = step(redraw_stuff, masks, archives, config=stuff, **config.computing())
    return archives, masks
