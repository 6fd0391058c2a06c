"""Train an open-vocabulary segmenter on archives and their masks. The last step of ZUTIS.

Shin, Albanie, Xie: ZUTIS, https://arxiv.org/abs/2304.14376, sections 3.3 and 4.1. Where paper and released code differ,
the code's way is the default.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from namesake.config import check, fixed, group, option
from namesake.encoders import Clip, Preprocessing, load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.names.words import Prompts, with_background
from namesake.networks.zutis import QuerySegmenter, QuerySegmenterConfig, query_segmenter_from
from namesake.processes import refuse_sharing
from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.query import KIND, OpenVocabulary, QueryInference, architecture_of
from namesake.segmenter.settings import normalise
from namesake.segmenter.words import TextSide
from namesake.shapes import not_sure
from namesake.training.certainty import find_certainty
from namesake.training.fit import FitConfig, finish, fit, forget, parameter_groups
from namesake.training.matching import instance_targets, matched_queries
from namesake.training.samples.archives import Examples, read_examples
from namesake.training.samples.augment import AugmentConfig
from namesake.training.samples.instances import TARGETS, InstanceBatch, InstanceSamples, Targets, collate, own_objects
from namesake.training.schedules import hold_min_lr
from namesake.training.self_training import find_own_objects, found_objects
from namesake.workspace import stage


@dataclass(frozen=True)
class QueryTrainingConfig(AugmentConfig, FitConfig):
    """How a query segmenter is trained and read; the defaults are ZUTIS's for COCO, CoCA and VOC2012."""

    clip: str = option(
        "openai/clip-vit-base-patch16",
        "CLIP whose image side is trained and whose text side names.",
        paper="ViT-B/16 or B/32",
        where="paper",
    )
    prompts: Prompts = option(
        "bare", 'What a name is put into before it is encoded: "bare" (code) or "templates" (paper: 85).'
    )
    normalization: Literal["imagenet", "clip"] = option(
        "imagenet", "Mean and standard deviation of the input.", paper="ImageNet's", where="code"
    )
    iterations: int = option(20_000, "Updates.", paper="20,000 (80,000 for ImageNet-S)", where="paper", at_least=1)
    copy_paste_max: int = option(
        10, "Most images a sample, 1 for no copy-paste.", paper="10", where="paper", at_least=1, at_most=12
    )
    learning_rate: float = option(5e-5, "Learning rate of the decoder.", paper="5e-5", where="paper", above=0)
    backbone_lr_factor: float = option(
        0.1, "Factor on the encoder's learning rate.", paper="5e-6", where="paper", at_least=0
    )
    weight_decay: float = option(0.05, "Weight decay of AdamW.", paper="0.05", where="paper", at_least=0)
    mask_weight: float = option(
        1.0, "Weight of the masks' loss beside the naming of pixels.", paper="1", where="paper", at_least=0
    )
    logit_scale: float = option(1.0, "Scale of the cosines in the naming of pixels.", paper="1", where="code", above=0)
    targets: Literal["saliency", "components"] = option(
        "saliency", "What counts as an object: a whole pseudo-mask (paper), or each connected piece of it."
    )
    rounds: int = option(
        0,
        "Rounds of training before the last one, each of which teaches the next the objects that it found.",
        paper="0",
        where="paper",
        at_least=0,
    )
    resize_longer: int = option(
        2048,
        "Larger images are shrunk to this side when the segmenter is used.",
        paper="none, and 1024 for ImageNet-S",
        where="paper",
        at_least=16,
    )
    unsure_fraction: float = option(
        0.02,
        "Share of the pixels agreeing with their pseudo-label, of each name, that lie below its least confidence.",
        at_least=0,
        below=1,
    )
    init: Literal["torch", "he"] = fixed(
        "torch",
        "First weights of the layers before and after the decoder: torch's own (code), or He et al.'s, 2.4 times as"
        " wide, with which a short training gets to masks sooner.",
    )
    architecture: QuerySegmenterConfig = group(
        QuerySegmenterConfig, "Sizes of the decoder, and the stop of gradients; those of the encoder are the CLIP's."
    )
    inference: QueryInference = group(QueryInference, "How objects are read off.")


@stage("segmenter", opens=open_segmenter, together=True, models=lambda config: (config.clip,))
def train_query_segmenter(
    out: Path,
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: QueryTrainingConfig = QueryTrainingConfig(),  # noqa: B008
    device: str = "auto",
) -> SegmenterFolder:
    """Train one open-vocabulary segmenter on archive images and their masks.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        archives: Images by name.
        masks: At most one mask an image, at its original size.
        names: Names to segment, in the archives' label order; the segmenter takes others when it is used.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: No image of the archives has a mask, or a label has no name.
        WeightsError: The CLIP is missing or has no vision transformer.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    check(config)
    if config.rounds:
        refuse_sharing("training in rounds")
    examples = read_examples(archives, masks, names)
    clip = load_clip(config.clip, device=device)
    texts = TextSide(clip.card.source, prompts=config.prompts, joint=clip.dim, device=device, clip=clip)
    targets = TARGETS[config.targets](examples)
    # rounds: what one finds is what the next is taught
    for number in range(config.rounds):
        place = out / f"round-{number}"
        found = found_objects(place / "objects")
        if found is None:
            taught = _train(examples, targets, names, clip, texts, config=config, out=place, device=device)
            side = config.resize_longer
            found = find_own_objects(taught, examples.images, out=place / "objects", resize_longer=side)
        targets = own_objects(examples, found)
        forget(place)
    trained = _train(examples, targets, names, clip, texts, config=config, out=out, device=device)
    # how far its confidence can be trusted, from its own pseudo-labels
    trained = trained.with_certainty(
        find_certainty(
            trained,
            examples,
            unsure_fraction=config.unsure_fraction,
            resize_longer=config.resize_longer,
            seed=config.seed,
        )
    )
    settings = Settings(
        kind=KIND,
        names=names,
        architecture=architecture_of(trained, clip=config.clip, prompts=config.prompts),
        preprocessing=trained.preprocessing,
        resize_longer=config.resize_longer,
        models=tuple(dict.fromkeys((*archives.models, *masks.models, clip.card))),
    )
    return finish(Segmenter(trained, settings), out, images=len(examples.images), iterations=config.iterations)


def _train(
    examples: Examples,
    targets: Targets,
    names: Names,
    clip: Clip,
    texts: TextSide,
    *,
    config: QueryTrainingConfig,
    out: Path,
    device: str,
) -> OpenVocabulary:
    """One training from the CLIP on."""
    words = texts.words(with_background(names))
    own = clip.preprocessing
    clips = Preprocessing(own.mean, own.std, rescale_factor=own.rescale_factor)
    preprocessing = IMAGENET if config.normalization == "imagenet" else clips
    network = start_network(clip, config).name_with(words.texts)
    samples = InstanceSamples(examples, config, targets=targets, names=len(names), seed=config.seed)
    groups = parameter_groups(
        network, network.encoder, learning_rate=config.learning_rate, backbone_lr_factor=config.backbone_lr_factor
    )
    adam = AdamW(groups, weight_decay=config.weight_decay)  # of every weight, as the published code has it
    hold_min_lr(adam)

    def predictor() -> OpenVocabulary:
        where = next(network.parameters()).device
        return OpenVocabulary(
            network, names, texts=texts, preprocessing=preprocessing, device=where, inference=config.inference
        )

    shown = Settings(KIND, names, architecture={}, preprocessing=preprocessing, resize_longer=config.resize_longer)
    fit(
        network,
        samples,
        config,
        loss=query_loss(words.texts, words.labels, preprocessing, config=config, ignore=not_sure(len(names))),
        optimizers=[adam],
        out=out,
        device=device,
        collate=collate,
        what="training the segmenter",
        segmenter=lambda: Segmenter(predictor(), shown),
    )
    return predictor()


def start_network(clip: Clip, config: QueryTrainingConfig) -> QuerySegmenter:
    """The CLIP's image side, and a decoder drawn from the seed."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        network = query_segmenter_from(clip.model, config=config.architecture).requires_grad_(True)
    if config.init == "he":
        with torch.no_grad():  # torch draws from +-1 / sqrt(inputs); a ReLU keeps variance at sqrt(6) times that
            for layer in (*network.ffn1.layers, *network.ffn2.layers):
                layer.weight.mul_(6**0.5)
    return network


def query_loss(
    texts: Tensor, owners: tuple[int, ...], preprocessing: Preprocessing, *, config: QueryTrainingConfig, ignore: int
) -> Callable[[nn.Module, InstanceBatch], dict[str, Tensor]]:
    """The loss that `fit` minimises: naming of pixels, and matched masks.

    Args:
        texts: [words, joint], L2-normalised; not trained.
        owners: Label of each word.
        preprocessing: Normalisation of the input.
        config: Weight and scale of the cosines.
        ignore: Label of pixels that do not count.
    """

    def loss(network: nn.Module, batch: InstanceBatch) -> dict[str, Tensor]:
        found = network(normalise(batch.image, preprocessing))
        return matched_queries(
            found.layer_mask_probs,
            found.tokens,
            texts=texts.to(found.tokens.device),
            labels=batch.labels,
            targets=instance_targets(batch.owners, batch.counts),
            owners=owners,
            logit_scale=config.logit_scale,
            mask_weight=config.mask_weight,
            ignore=ignore,
        )

    return loss
