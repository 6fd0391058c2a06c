"""Train a closed-set segmenter on archives and their masks. The last step of NamedMask.

Shin, Xie, Albanie: NamedMask, https://arxiv.org/abs/2209.11228, sections 3.2 ("Training NamedMask") and 4.2.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import Dataset

from namesake.config import Rule, check, group, option
from namesake.encoders.bottleneck import read_backbone
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.weights import fill
from namesake.networks.deeplab import LAST, DeepLab, DeepLabConfig, with_backbone
from namesake.records import Archives, ModelCard, Names, PseudoMasks, Regime
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.settings import WEIGHTS, normalise, read_weights
from namesake.shapes import not_sure
from namesake.training.fit import FitConfig, finish, fit, parameter_groups
from namesake.training.losses import cross_entropy
from namesake.training.samples.archives import Sample, archive_samples, read_examples
from namesake.training.samples.augment import AugmentConfig
from namesake.training.schedules import hold_min_lr
from namesake.workspace import stage


@dataclass(frozen=True)
class TrainingConfig(AugmentConfig, FitConfig):
    """How a segmenter is trained; the defaults are NamedMask's for VOC2012, COCO, CoCA and Cityscapes."""

    backbone: str = option(
        "Ramos-Ramos/dino-resnet-50",
        "ResNet to start from: hub id, folder, file or `embedded:resnet`.",
        paper="DINO ResNet-50",
        where="paper",
    )
    iterations: int = option(20_000, "Updates.", paper="20,000 (80,000 for ImageNet-S)", where="paper", at_least=1)
    batch_size: int = option(16, "Samples an update, 2 or more.", paper="16", where="code", at_least=2)
    learning_rate: float = option(5e-4, "Learning rate of the head.", paper="5e-4", where="paper", above=0)
    backbone_lr_factor: float = option(
        0.1, "Factor on the backbone's learning rate.", paper="0.1", where="code", at_least=0
    )
    weight_decay: float = option(2e-4, "L2 penalty in Adam.", paper="2e-4", where="paper", at_least=0)
    resize_longer: int = option(
        2048,
        "Larger images are shrunk to this side when the segmenter is used.",
        paper="none, and 1024 for ImageNet-S",
        where="paper",
        at_least=16,
    )
    enlarge: bool = option(
        False, "Smaller images are enlarged to this side too.", paper="for ImageNet-S", where="paper"
    )
    threshold: float | None = option(
        None,
        "Pixels whose likeliest name has a lower probability than this are background when the segmenter is used.",
        paper="none",
        where="paper",
        above=0,
        below=1,
        later=True,
    )
    architecture: DeepLabConfig = group(
        DeepLabConfig, "Sizes of the network; those of its backbone are read from the backbone's weights."
    )

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        parts, several = self.gradient_accumulation_steps, f"2 samples or more in each part of {self.batch_size}"
        return (("gradient_accumulation_steps", self.batch_size >= 2 * parts, several),)


@stage("segmenter", opens=open_segmenter, together=True, models=lambda config: (config.backbone,))
def train_segmenter(
    out: Path,
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: TrainingConfig = TrainingConfig(),
    device: str = "auto",
    earlier: SegmenterFolder | None = None,
) -> SegmenterFolder:
    """Train one segmenter for all names, on archive images and their masks.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        archives: Images by name.
        masks: At most one mask an image, at its original size.
        names: Names to segment, in the archives' label order.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".
        earlier: Segmenter to go on from, whose names are the first of these; from the backbone if None (paper).

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: No image of the archives has a mask, or a label has no name.
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    examples = read_examples(archives, masks, names)
    network, card = train_on(
        archive_samples(examples, config, seed=config.seed, ignore=not_sure(len(names))),
        labels=len(names) + 1,
        config=config,
        out=out,
        device=device,
        what="training the segmenter",
        names=names,
        start={} if earlier is None else read_weights(earlier.folder),
        source="" if earlier is None else str(earlier.folder / WEIGHTS),
    )
    models = (*archives.models, *masks.models, card)
    trained = segmenter_of(network, names, config, models=models)
    return finish(trained, out, images=len(examples.images), iterations=config.iterations)


def segmenter_of(
    network: DeepLab,
    names: Names,
    config: TrainingConfig,
    *,
    models: Iterable[ModelCard] = (),
    regime: Regime = Regime.NAME_ONLY,
) -> Segmenter:
    """The network as it is, ready to use."""
    settings = Settings(
        kind=KIND,
        names=names,
        architecture=architecture_of(network),
        resize_longer=config.resize_longer,
        enlarge=config.enlarge,
        threshold=config.threshold,
        models=tuple(dict.fromkeys(models)),
        regime=regime,
    )
    where = next(network.parameters()).device
    predictor = ClosedSet(network, preprocessing=IMAGENET, device=where, threshold=config.threshold)
    return Segmenter(predictor, settings)


def train_on(
    samples: Dataset[Sample],
    *,
    labels: int,
    config: TrainingConfig,
    out: Path,
    device: str,
    what: str,
    start: Mapping[str, Tensor] = MappingProxyType({}),
    source: str = "",
    names: Names | None = None,
) -> tuple[DeepLab, ModelCard]:
    """Train a DeepLabv3+ whose labels are 0 to `labels` - 1.

    Args:
        samples: Sample i depends on i alone; the label `not_sure(labels - 1)` does not count.
        labels: Outputs of the network, background included.
        config: Settings of the stage.
        out: Folder of the checkpoint, which the caller deletes when the result is saved.
        device: "auto", "cpu" or "cuda".
        what: Words for the progress bar.
        start: Weights to start from, of the whole network, of its backbone, or of a network whose labels are the first
            of these; those of further labels are drawn from the seed.
        source: File of those weights, for a message.
        names: Names of the labels, for those who watch it; they see no predictions without.

    Returns:
        The trained network, on its device, and what its backbone started from.

    Raises:
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    check(config)
    network, card = start_network(labels, config)
    if start:
        fresh = network.state_dict()
        fill(network, fresh | dict(start) | grown(start, fresh), what=source)
    groups = parameter_groups(
        network, network.backbone, learning_rate=config.learning_rate, backbone_lr_factor=config.backbone_lr_factor
    )
    adam = Adam(groups, weight_decay=config.weight_decay, fused=True)
    hold_min_lr(adam)
    loss = pixel_loss(not_sure(labels - 1))
    shown = None if names is None else lambda: segmenter_of(network, names, config)
    fit(network, samples, config, loss=loss, optimizers=[adam], out=out, device=device, what=what, segmenter=shown)
    return network, card


def grown(start: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last layer of a network for fewer labels [labels, ...], with a fresh one's rows for the labels after them."""
    last = {key: start[key] for key in (LAST, LAST.replace("weight", "bias")) if key in start}
    return {key: torch.cat([known, fresh[key][len(known) :]]) for key, known in last.items()}


def start_network(labels: int, config: TrainingConfig) -> tuple[DeepLab, ModelCard]:
    """An untrained network on a pre-trained backbone, and what that is; the head's weights are drawn from the seed."""
    backbone, card = read_backbone(config.backbone)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        network = DeepLab(labels, config=with_backbone(config.architecture, backbone))
    fill(network.backbone, backbone, what=f"the backbone {config.backbone}")
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, card


def pixel_loss(ignore: int) -> Callable[[nn.Module, Sample], dict[str, Tensor]]:
    """The loss that `fit` minimises: cross-entropy of a batch of samples, at their full size."""

    def loss(network: nn.Module, batch: Sample) -> dict[str, Tensor]:
        x = normalise(batch.image, IMAGENET).contiguous(memory_format=torch.channels_last)
        return {"loss": cross_entropy(network(x).float(), batch.labels, ignore=ignore)}

    return loss
