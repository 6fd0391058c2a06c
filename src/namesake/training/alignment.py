"""Train a module that projects a frozen encoder's patches into CLIP's text space. FMbSeg's last step.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.3 and 4.1. Only the alignment module is trained.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from namesake.config import Rule, check, group, option
from namesake.encoders import load_clip
from namesake.encoders.patches import PatchEncoder, load_patch_encoder
from namesake.masks.proposals import load_masks_from
from namesake.masks.region_labels import RegionLabels
from namesake.names.words import Prompts
from namesake.networks.alignment import Alignment, AlignmentConfig, Module
from namesake.records import Images, Names
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.aligned import KIND, Aligned, AlignedInference, architecture_of
from namesake.segmenter.words import TextSide
from namesake.training.contrast import Kind as Loss
from namesake.training.contrast import contrast
from namesake.training.fit import FitConfig, finish, fit
from namesake.training.samples.regions import LabelSources, RegionSample, RegionSamples
from namesake.training.schedules import cosine
from namesake.workspace import stage

MOMENTUM = 0.9
"""Momentum of SGD; not in the paper."""


@dataclass(frozen=True)
class AlignmentTrainingConfig(FitConfig):
    """How an encoder is aligned; the defaults are FMbSeg's, and say where the paper is silent."""

    dense_encoder: str = option(
        "facebook/dinov2-large",
        "Frozen dense encoder: DINO, DINOv2, CLIP or SigLIP 2.",
        paper="DINOv2 ViT-L/14",
        where="paper",
    )
    block: int | None = option(
        None,
        "Block of a DINO whose patches are aligned, from 0 (negative: from the end); None for the last (paper).",
    )
    clip: str = option(
        "openai/clip-vit-large-patch14-336",
        "Whose text side the patches are aligned with.",
        paper="CLIP ViT-L/14",
        where="paper",
    )
    prompts: Prompts = option(
        "photo", 'What a word is put into: "bare", "photo" (paper: one sentence) or "templates" (85).'
    )
    module: Module = option("block", '"linear", "mlp" or "block".', paper="a transformer block", where="paper")
    residual_weight: float = option(
        0.0,
        "Above 0: learn a change of the patches' own features, and keep this much of it in the end: less keeps more of "
        "what they say of names that no training saw. For a `dense_encoder` that is the `clip`.",
        at_least=0,
        at_most=1,
        later=True,
    )
    loss: Loss = option("tsupcon", '"tsupcon" (paper), "supcon" or "prototype".')
    logit_scale: float = option(1.0, "Factor on similarities in the loss.", paper="1", where="paper", above=0)
    text_weight: float = option(1.0, "Factor on the patch-text term of the loss.", paper="1", where="paper", above=0)
    label_sources: LabelSources = option(
        "both",
        'Masks that label patches: "both" kinds over each other, "apart", "prompted" or "automatic".',
        paper="both, how is not said",
        where="paper",
    )
    automatic_fraction: float = option(
        0.75, "Random part of the masks of stage 1.2.", paper="0.75", where="paper", at_least=0, at_most=1
    )
    image_size: int = option(518, "Side of the encoder's input in pixels.", paper="518", where="paper", at_least=16)
    epochs: int = option(
        10, "Passes over the images.", paper="10, over COCO's 118,000 images", where="paper", at_least=1
    )
    iterations: int = option(0, "Updates; 0 for as many as the epochs hold.", at_least=0)
    batch_size: int = option(5, "Images an update.", paper="5", where="paper", at_least=1)
    optimizer: Literal["sgd", "adamw"] = option("sgd", "Optimizer.", paper="SGD", where="paper")
    learning_rate: float = option(0.05, "Learning rate; not in the paper.", above=0)
    weight_decay: float = option(1e-4, "Weight decay; not in the paper.", at_least=0)
    flip_prob: float = option(0.0, "Chance that an image is mirrored. Not in the paper.", at_least=0, at_most=1)
    inference: AlignedInference = group(AlignedInference, "How labels are read off; `side` here is the one above.")

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        own = self.dense_encoder == self.clip or not self.residual_weight
        return (("residual_weight", own, f"0, where patches are of another model than {self.clip}"),)


@stage(
    "segmenter",
    opens=open_segmenter,
    together=True,
    models=lambda config: (config.dense_encoder, config.clip, config.inference.refine_with),
)
def train_alignment(
    out: Path,
    images: Images,
    labels: RegionLabels,
    names: Names,
    *,
    config: AlignmentTrainingConfig | None = None,
    device: str = "auto",
) -> SegmenterFolder:
    """Align a frozen encoder with a text encoder, on named masks.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        images: Images of the masks.
        labels: Masks with words of these names.
        names: Names to segment; others may be asked for later.
        config: Settings; FMbSeg's way if None.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images` (with a mask), `names` and `iterations`.

    Raises:
        DataError: No image has a mask.
        WeightsError: An encoder is missing.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    config = config or AlignmentTrainingConfig()
    check(config)
    # both encoders, and samples of whole patches
    encoder = load_patch_encoder(config.dense_encoder, device=device, precision=config.precision, block=config.block)
    clip = load_clip(config.clip, device=device)
    grid = max(1, round(config.image_size / encoder.patch_size))
    samples = RegionSamples(
        images,
        labels,
        side=grid * encoder.patch_size,
        grid=grid,
        method=encoder.preprocessing.method,
        label_sources=config.label_sources,
        automatic_fraction=config.automatic_fraction,
        flip_prob=config.flip_prob,
        seed=config.seed,
    )
    iterations = config.iterations or -(-len(samples) * config.epochs // config.batch_size)  # rounded up
    side = TextSide(config.clip, prompts=config.prompts, joint=clip.dim, device=device, clip=clip)
    inference = replace(config.inference, image_size=config.image_size)

    def shown(module: Alignment) -> Segmenter:
        unrefined = Aligned(encoder, module, names, texts=side, inference=replace(inference, refine_with=""))
        return Segmenter(unrefined, Settings(KIND, names, architecture={}), device=encoder.device)

    module = _train(
        samples, encoder, side.texts_of(labels.words), config, iterations, shown=shown, out=out, device=device
    )
    refine = (
        load_masks_from(inference.refine_with, inference.automatic, device=device) if inference.refine_with else None
    )
    predictor = Aligned(encoder, module, names, texts=side, inference=inference, source=refine)
    # what the segmenter's folder says of it
    facts = architecture_of(predictor, encoder=config.dense_encoder, clip=config.clip, prompts=config.prompts)
    facts |= {} if config.block is None else {"block": config.block}
    cards = (*labels.models, clip.card, encoder.card, *([refine.card] if refine else []))
    settings = Settings(KIND, names, architecture=facts, preprocessing=None, models=tuple(dict.fromkeys(cards)))
    trained = Segmenter(predictor, settings, device=encoder.device)
    return finish(trained, out, images=len(samples), iterations=iterations)


def _train(
    samples: RegionSamples,
    encoder: PatchEncoder,
    texts: Tensor,
    config: AlignmentTrainingConfig,
    iterations: int,
    *,
    shown: Callable[[Alignment], Segmenter],
    out: Path,
    device: str,
) -> Alignment:
    sizes = AlignmentConfig(config.module, dim=encoder.dim, joint=texts.shape[1], residual=config.residual_weight > 0)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        module = Alignment(sizes)
    kind: Callable[..., Optimizer] = AdamW if config.optimizer == "adamw" else partial(SGD, momentum=MOMENTUM)
    fit(
        module,
        samples,
        replace(config, iterations=iterations),
        loss=_loss(encoder, texts, config),
        optimizers=[kind(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)],
        out=out,
        rate=cosine(iterations),
        device=device,
        what="aligning the encoder",
        segmenter=lambda: shown(module),
    )
    if config.residual_weight:
        module.keep(config.residual_weight)
    return module


def _loss(
    encoder: PatchEncoder, texts: Tensor, config: AlignmentTrainingConfig
) -> Callable[[nn.Module, RegionSample], dict[str, Tensor]]:
    """The loss of a batch; features of the frozen encoder are computed as they are needed."""
    prototypes = texts.to(encoder.device)
    rule = encoder.preprocessing
    mean, std = (torch.tensor(values, device=encoder.device).view(3, 1, 1) for values in (rule.mean, rule.std))

    def loss(module: nn.Module, batch: RegionSample) -> dict[str, Tensor]:
        with torch.no_grad():
            x = (batch.image.to(encoder.device).float() * rule.rescale_factor - mean) / std
            raw = encoder.patch_features(x).flatten(1, 2)  # [batch, patches, dim]
        found = module(raw).flatten(0, 1)  # [batch * patches, joint]
        return contrast(
            found,
            batch.words.flatten(),  # [batch * patches]
            prototypes,
            kind=config.loss,
            logit_scale=config.logit_scale,
            text_weight=config.text_weight,
        )

    return loss
