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

from namesake.config import Rule, check, group, option
from namesake.encoders import Clip, Preprocessing, load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import DataError
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
from namesake.training.fit import finish, fit, forget
from namesake.training.matching import instance_targets, matched_queries
from namesake.training.samples.archives import Examples, read_examples
from namesake.training.samples.instances import TARGETS, InstanceBatch, InstanceSamples, Targets, collate, own_objects
from namesake.training.schedules import hold_min_lr, poly
from namesake.training.self_training import find_own_objects
from namesake.workspace import stage


@dataclass(frozen=True)
class QueryTrainingConfig:
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
    batch_size: int = option(8, "Samples an update.", paper="8", where="code", at_least=1)
    crop_size: int = option(384, "Side of a sample in pixels.", paper="384", where="code", at_least=16)
    resize_range: tuple[float, float] = option(
        (0.1, 1.0), "Range of the factor on an image's sides.", paper="0.1 to 1", where="code", above=0
    )
    color_jitter: float = option(
        1.0, "Strength of the changes of colours, greys and blur.", paper="1", where="code", at_least=0
    )
    copy_paste_max: int = option(
        10, "Most images a sample, 1 for no copy-paste.", paper="10", where="paper", at_least=1, at_most=12
    )
    same_archive: float = option(
        0.5, "Chance that all images of a sample are of one archive.", paper="0.5", where="paper", at_least=0, at_most=1
    )
    learning_rate: float = option(5e-5, "Learning rate of the decoder.", paper="5e-5", where="paper", above=0)
    backbone_lr_factor: float = option(
        0.1, "Factor on the encoder's learning rate.", paper="5e-6", where="paper", at_least=0
    )
    weight_decay: float = option(0.05, "Weight decay of AdamW.", paper="0.05", where="paper", at_least=0)
    poly_power: float = option(
        0.9, "Power of the polynomial decay of the learning rate.", paper="0.9", where="code", at_least=0
    )
    min_lr: float = option(1e-6, "Lowest learning rate.", paper="1e-6", where="code", at_least=0)
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
    init: Literal["torch", "he"] = option(
        "torch",
        "First weights of the layers before and after the decoder: torch's own (code), or He et al.'s, 2.4 times as"
        " wide, with which a short training gets to masks sooner.",
    )
    architecture: QuerySegmenterConfig = group(
        QuerySegmenterConfig, "Sizes of the decoder, and the stop of gradients; those of the encoder are the CLIP's."
    )
    inference: QueryInference = group(QueryInference, "How objects are read off.")
    uneven_padding: bool = option(
        False, "Keep the published augmentation's padding, whose four corners are not equally frequent."
    )
    crop_paste_box: bool = option(
        False, "Keep the published copy-paste's bounding box, which leaves out an object's last row and column."
    )
    seed: int = option(0, "Seed of the samples and of the decoder's first weights.", at_least=0)
    precision: Literal["no", "bf16"] = option(
        "no", "Arithmetic of the forward pass.", paper='float32 ("no")', where="code"
    )
    num_workers: int = option(4, "Processes that make samples.", paper="8", where="code", at_least=0)
    threads: int = option(0, "Cores that share an operation on the CPU, 0 for all.", at_least=0)
    checkpoint_every: int = option(500, "Updates between two checkpoints.", at_least=1)

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        return (("resize_range", self.resize_range[0] <= self.resize_range[1], "two numbers, the lower one first"),)


MINI_QUERY_TRAINING = QueryTrainingConfig(
    clip="embedded:clip",
    normalization="clip",
    iterations=400,
    batch_size=8,
    crop_size=96,
    resize_range=(0.4, 1.0),
    color_jitter=0.3,
    copy_paste_max=4,
    learning_rate=2e-3,
    backbone_lr_factor=0.25,
    logit_scale=15.0,
    init="he",
    architecture=QuerySegmenterConfig(
        queries=16, layers=2, heads=4, mlp_dim=256, hidden_dim=128, interpolate_offset=0.0, stem=32
    ),
    inference=QueryInference(patch_fit="resize"),
    num_workers=1,
    threads=1,
    checkpoint_every=100,
)
"""For the embedded world's small images, on one CPU core in two to three minutes."""

LAPTOP_QUERY_TRAINING = QueryTrainingConfig(
    normalization="clip",
    iterations=300,
    batch_size=4,
    crop_size=224,
    resize_range=(0.3, 1.0),
    copy_paste_max=4,
    learning_rate=5e-4,
    backbone_lr_factor=0.02,
    logit_scale=15.0,
    init="he",
    architecture=QuerySegmenterConfig(queries=30, layers=3, mlp_dim=1024, interpolate_offset=0.0),
    inference=QueryInference(patch_fit="resize"),
    num_workers=1,
    checkpoint_every=50,
)
"""For two CPU cores, chosen by time and by what a short training needs, not by accuracy. Crops of the size that CLIP
was trained at, with its own mean and deviation, cost a third of those of 384 pixels. The decoder is half as deep and
its rate ten times the paper's, for a sixty-sixth of the updates; CLIP's own rate stays near the paper's 5e-6. The scale
of cosines and the wide first weights are those with which the embedded world's short training learns."""


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
        names: What to segment, in the archives' label order; the segmenter takes others when it is used.
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
    examples = read_examples(archives, masks)
    if examples.label.max() > len(names):
        raise DataError(f"the archives have the label {examples.label.max()}, but there are {len(names)} names.")
    clip = load_clip(config.clip, device=device)
    texts = TextSide(clip.card.source, prompts=config.prompts, joint=clip.dim, device=device, clip=clip)
    targets = TARGETS[config.targets](examples)
    for number in range(config.rounds):
        place = out / f"round-{number}"
        taught = _train(examples, targets, names, clip, texts, config=config, out=place, device=device)
        targets = own_objects(examples, find_own_objects(taught, examples.images, out=place / "objects"))
        forget(place)
    trained = _train(examples, targets, names, clip, texts, config=config, out=out, device=device)
    trained = trained.with_certainty(
        find_certainty(trained, examples, unsure_fraction=config.unsure_fraction, seed=config.seed)
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
    preprocessing = _preprocessing(clip, config)
    network = start_network(clip, config).name_with(words.texts)
    samples = InstanceSamples(
        examples,
        targets=targets,
        names=len(names),
        crop_size=config.crop_size,
        copy_paste_max=config.copy_paste_max,
        same_archive=config.same_archive,
        seed=config.seed,
        resize_range=config.resize_range,
        color_jitter=config.color_jitter,
        uneven_padding=config.uneven_padding,
        crop_paste_box=config.crop_paste_box,
    )
    fit(
        network,
        samples,
        loss=query_loss(words.texts, words.labels, preprocessing, config=config, ignore=not_sure(len(names))),
        optimizers=[_adamw(network, config)],
        iterations=config.iterations,
        batch_size=config.batch_size,
        out=out,
        rate=poly(config.iterations, power=config.poly_power),
        seed=config.seed,
        precision=config.precision,
        num_workers=config.num_workers,
        threads=config.threads,
        checkpoint_every=config.checkpoint_every,
        device=device,
        collate=collate,
        what="training the segmenter",
    )
    where = next(network.parameters()).device
    return OpenVocabulary(
        network, names, texts=texts, preprocessing=preprocessing, device=where, inference=config.inference
    )


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
        preprocessing: How the input is normalised.
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


def _preprocessing(clip: Clip, config: QueryTrainingConfig) -> Preprocessing:
    own = clip.preprocessing
    return (
        IMAGENET
        if config.normalization == "imagenet"
        else Preprocessing(own.mean, own.std, rescale_factor=own.rescale_factor)
    )


def _adamw(network: QuerySegmenter, config: QueryTrainingConfig) -> AdamW:
    """AdamW with a lower rate for the encoder, and a floor under both rates; the code decays every weight."""
    encoder = list(network.encoder.parameters())
    inside = {id(weight) for weight in encoder}
    others = [weight for weight in network.parameters() if id(weight) not in inside]
    groups = [
        {"params": encoder, "lr": config.learning_rate * config.backbone_lr_factor},
        {"params": others, "lr": config.learning_rate},
    ]
    adam = AdamW(groups, weight_decay=config.weight_decay)
    hold_min_lr(adam, config.min_lr)
    return adam
