"""ReCo: find the feature that a name's retrieved images share, and segment other images by similarity to it.

Shin, Xie, Albanie: "ReCo: Retrieve and Co-segment for Zero-shot Transfer", NeurIPS 2022,
https://arxiv.org/abs/2206.07045; as a baseline of NamedMask with a background class.

1. Embed the unlabelled images with CLIP; for each name and each context, the 50 images closest to it (section 3.1).
2. Co-segment each name's images: the patch of each image with the best counterparts in all of them is its seed, and
   the mean of the seeds is the name's reference. Patches that look like a context (tree, sky, building, road, person),
   or that CLIP does not take for the name, count for less (section 3.2).
3. On any image, the cosine of each pixel with the references, times how far CLIP takes the pixel for the name; the
   highest wins (section 3.3), and pixels whose highest probability is low are background (NamedMask, section 4.4).

Published: Cityscapes 19.3 mean IoU after a CRF; with background VOC2012 34.2, COCO 17.1, CoCA 16.9, Cityscapes objects
14.1, ImageNet-S 50/300/919 22.6 / 8.5 / 3.8 (NamedMask, Tables 5 to 9).

Not as published: the dense CRF is left out, because its one Python package does not install without a compiler; the
encoders are DINO ViT-S/16 in place of a stylised DeiT-S/16 (its file, on no hub, can be given), and CLIP ViT-B/16 in
place of RN50x16 (`references.clip=timm/resnet50x16_clip.openai`). NamedMask does not say which probability its
threshold of 0.9 is for (the product itself stays below 0.73): here it is the softmax over names of 100 times the
product.
"""

from dataclasses import dataclass

from namesake.archives import ArchivesConfig, retrieve
from namesake.config import group, option
from namesake.encoders.presets import MODERN
from namesake.index import build_index
from namesake.masks.references import ReferencesConfig, co_segment, with_contexts
from namesake.records import Images, Names
from namesake.segmenter import ReferenceMapsConfig, SegmenterFolder, build_reference_maps
from namesake.systems.steps import EncodersConfig
from namesake.workspace import Step, run_now


@dataclass(frozen=True)
class Config(EncodersConfig, ReferenceMapsConfig):
    """ReCo's settings, with NamedMask's threshold."""

    retrieval_clip: str = option("openai/clip-vit-large-patch14-336", "CLIP of step 1.")
    archives: ArchivesConfig = group(lambda: ArchivesConfig(images_per_name=50), "Step 1: 50 images a name.")
    references: ReferencesConfig = group(ReferencesConfig, "Step 2, and the encoders of step 3.")
    language: bool = option(True, "Multiply by CLIP's opinion in step 3.")


PRESETS: dict[str, Config] = {
    "paper": Config(),
    "modern": Config(
        retrieval_clip=MODERN.clip, references=ReferencesConfig(dino=MODERN.backbone, clip=MODERN.clip_dense)
    ),
    "mini": Config(
        retrieval_clip="embedded:clip",
        references=ReferencesConfig(dino="embedded:dino", clip="embedded:clip", crop_size=96),
        # the pair that was best on 30 scenes of another seed
        logit_scale=30.0,
        threshold=0.7,
    ),
}


def reco(names: Names, images: Images, *, config: Config = Config(), step: Step = run_now) -> SegmenterFolder:
    """Names and unlabelled images to a segmenter; the steps are those of the module's docstring."""
    index = step(build_index, images, encoder=config.retrieval_clip, **config.computing())
    wanted = with_contexts(names, config.references.contexts)
    archives = step(retrieve, index, wanted, config=config.archives, device=config.device)
    references = step(co_segment, archives, names, config=config.references, **config.computing())
    maps = ReferenceMapsConfig(config.threshold, config.logit_scale, config.resize_shorter)
    clip = config.references.clip
    return step(
        build_reference_maps, references, names, clip=clip, config=maps, language=config.language, device=config.device
    )
