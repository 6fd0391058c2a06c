"""Train a closed-set segmenter on archives and their masks. The last step of NamedMask.

Shin, Xie, Albanie: NamedMask, https://arxiv.org/abs/2209.11228, sections 3.2 ("Training NamedMask") and 4.2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.data import Dataset

from namesake.config import Rule, check, group, option
from namesake.encoders.bottleneck import read_backbone
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.weights import fill
from namesake.errors import DataError
from namesake.networks.deeplab import DeepLab, DeepLabConfig, with_backbone
from namesake.records import Archives, ModelCard, Names, PseudoMasks
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.deeplab import KIND, ClosedSet, architecture_of
from namesake.segmenter.settings import normalise
from namesake.shapes import not_sure
from namesake.training.fit import finish, fit
from namesake.training.losses import cross_entropy
from namesake.training.samples.archives import ArchiveSamples, Examples, Sample, read_examples
from namesake.training.schedules import hold_min_lr, poly
from namesake.workspace import stage


@dataclass(frozen=True)
class TrainingConfig:
    """How a segmenter is trained; the defaults are NamedMask's for VOC2012, COCO, CoCA and Cityscapes."""

    backbone: str = option(
        "Ramos-Ramos/dino-resnet-50",
        "ResNet to start from: hub id, folder, file or `embedded:resnet`.",
        paper="DINO ResNet-50",
        where="paper",
    )
    iterations: int = option(20_000, "Updates.", paper="20,000 (80,000 for ImageNet-S)", where="paper", at_least=1)
    batch_size: int = option(16, "Samples an update, 2 or more.", paper="16", where="code", at_least=2)
    crop_size: int = option(384, "Side of a sample in pixels.", paper="384", where="code", at_least=16)
    resize_range: tuple[float, float] = option(
        (0.1, 1.0), "Range of the factor on an image's sides.", paper="0.1 to 1", where="code", above=0
    )
    color_jitter: float = option(
        1.0, "Strength of the changes of colours, greys and blur.", paper="1", where="code", at_least=0
    )
    copy_paste_max: int = option(2, "Most images a sample, 1 for no copy-paste.", paper="2", where="paper", at_least=1)
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
    learning_rate: float = option(5e-4, "Learning rate of the head.", paper="5e-4", where="paper", above=0)
    backbone_lr_factor: float = option(
        0.1, "Factor on the backbone's learning rate.", paper="0.1", where="code", at_least=0
    )
    weight_decay: float = option(2e-4, "L2 penalty in Adam.", paper="2e-4", where="paper", at_least=0)
    poly_power: float = option(
        0.9, "Power of the polynomial decay of the learning rate.", paper="0.9", where="paper", at_least=0
    )
    min_lr: float = option(1e-6, "Lowest learning rate.", paper="1e-6", where="code", at_least=0)
    architecture: DeepLabConfig = group(
        DeepLabConfig, "Sizes of the network; those of its backbone are read from the backbone's weights."
    )
    uneven_padding: bool = option(
        False, "Keep the published augmentation's padding, whose four corners are not equally frequent."
    )
    crop_paste_box: bool = option(
        False, "Keep the published copy-paste's bounding box, which leaves out an object's last row and column."
    )
    seed: int = option(0, "Seed of the samples and everything random in the network.", at_least=0)
    precision: Literal["no", "bf16"] = option(
        "no", "Arithmetic of the forward pass.", paper='float32 ("no")', where="code"
    )
    num_workers: int = option(4, "Processes that make samples.", paper="8", where="code", at_least=0)
    threads: int = option(0, "Cores that share an operation on the CPU, 0 for all.", at_least=0)
    checkpoint_every: int = option(500, "Updates between two checkpoints.", at_least=1)

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        return (("resize_range", self.resize_range[0] <= self.resize_range[1], "two numbers, the lower one first"),)


MINI_TRAINING = TrainingConfig(
    backbone="embedded:resnet",
    iterations=320,
    batch_size=24,
    crop_size=80,
    resize_range=(0.5, 1.0),
    color_jitter=0.3,
    copy_paste_max=6,
    learning_rate=1e-2,
    backbone_lr_factor=0.2,
    architecture=DeepLabConfig(
        output_stride=16, low_level_channels=32, aspp_channels=96, atrous_rates=(1, 2), backbone_bn_momentum=0.1
    ),
    num_workers=1,
    threads=1,
    checkpoint_every=100,
)
"""For the embedded world's small images, on two CPU cores in about two minutes."""


@stage("segmenter", opens=open_segmenter, together=True, models=lambda config: (config.backbone,))
def train_segmenter(
    out: Path,
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    config: TrainingConfig = TrainingConfig(),
    device: str = "auto",
) -> SegmenterFolder:
    """Train one segmenter for all names, on archive images and their masks.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        archives: Images by name.
        masks: At most one mask an image, at its original size.
        names: Names to segment, in the archives' label order.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: No image of the archives has a mask, or a label has no name.
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    examples = read_examples(archives, masks)
    if examples.label.max() > len(names):
        raise DataError(f"the archives have the label {examples.label.max()}, but there are {len(names)} names.")
    network, card = train_network(
        examples, labels=len(names) + 1, config=config, out=out, device=device, what="training the segmenter"
    )
    settings = Settings(
        kind=KIND,
        names=names,
        architecture=architecture_of(network),
        resize_longer=config.resize_longer,
        enlarge=config.enlarge,
        models=tuple(dict.fromkeys((*archives.models, *masks.models, card))),
    )
    where = next(network.parameters()).device
    trained = Segmenter(ClosedSet(network, preprocessing=IMAGENET, device=where), settings)
    return finish(trained, out, images=len(examples.images), iterations=config.iterations)


def train_network(
    examples: Examples, *, labels: int, config: TrainingConfig, out: Path, device: str, what: str
) -> tuple[DeepLab, ModelCard]:
    """Train a DeepLabv3+ whose labels are 0 to `labels` - 1.

    Args:
        examples: Images, labels and masks.
        labels: Outputs of the network, background included.
        config: Settings of the stage.
        out: Folder of the checkpoint, which the caller deletes when the result is saved.
        device: "auto", "cpu" or "cuda".
        what: Words for the progress bar.

    Returns:
        The trained network, on its device, and what its backbone started from.

    Raises:
        WeightsError: The backbone is missing or does not fit.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    samples = ArchiveSamples(
        examples,
        crop_size=config.crop_size,
        copy_paste_max=config.copy_paste_max,
        seed=config.seed,
        resize_range=config.resize_range,
        color_jitter=config.color_jitter,
        ignore=not_sure(labels - 1),
        uneven_padding=config.uneven_padding,
        crop_paste_box=config.crop_paste_box,
    )
    return train_on(samples, labels=labels, config=config, out=out, device=device, what=what)


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
) -> tuple[DeepLab, ModelCard]:
    """`train_network` on any samples; sample i depends on i alone, and does not count `not_sure(labels - 1)`.

    `start` are weights to start from, of the whole network or of its backbone, and `source` says where they are from.
    """
    check(config)
    network, card = start_network(labels, config)
    if start:
        fill(network, network.state_dict() | dict(start), what=source)
    fit(
        network,
        samples,
        loss=pixel_loss(not_sure(labels - 1)),
        optimizers=[_adam(network, config)],
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
        what=what,
    )
    return network, card


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


def _adam(network: DeepLab, config: TrainingConfig) -> Adam:
    """Adam with an L2 penalty, a lower rate for the backbone, and a floor under both rates."""
    groups = [
        {"params": network.backbone.parameters(), "lr": config.learning_rate * config.backbone_lr_factor},
        {"params": network.classifier.parameters(), "lr": config.learning_rate},
    ]
    adam = Adam(groups, weight_decay=config.weight_decay, fused=True)
    hold_min_lr(adam, config.min_lr)
    return adam
