"""Train a class-agnostic saliency network on one voted mask an image. The last step of SelfMask.

Shin, Albanie, Xie: "Unsupervised Salient Object Detection with Spectral Cluster Voting", CVPRW 2022,
https://arxiv.org/abs/2203.12614. Trained on masks that are often wrong, the network finds more than they show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import Dataset

from namesake.config import Rule, check, option
from namesake.encoders import Preprocessing, load_dino
from namesake.encoders.vit import config_of
from namesake.errors import DataError
from namesake.images import read_image
from namesake.images.geometry import resize, resize_labels
from namesake.masks.store import read_masks
from namesake.networks.selfmask import SelfMask, SelfMaskConfig, read_saliency_card, save_selfmask
from namesake.records import Artifact, Images, ModelCard, PseudoMasks
from namesake.segmenter.settings import normalise
from namesake.training.fit import FitConfig, fit, forget, parameter_groups
from namesake.training.losses import mask_queries
from namesake.training.samples.archives import ArrayCache, MaskCodes, Sample, sample_of, shuffled
from namesake.training.samples.augment import RIGHT_BOTTOM, pad_and_crop, photometric, random_flip
from namesake.training.schedules import sawtooth
from namesake.workspace import read_facts, stage


@dataclass(frozen=True)
class SaliencyTrainingConfig(FitConfig):
    """How a saliency network is trained; the defaults are SelfMask's."""

    backbone: str = option(
        "facebook/dino-vits8", "Vision transformer to start from.", paper="DINO ViT-S/8", where="paper"
    )
    queries: int = option(20, "Mask proposals an image.", paper="20", where="paper", at_least=1)
    layers: int = option(6, "Decoder layers.", paper="6", where="paper", at_least=1)
    resize_shorter: int = option(512, "To which the trained network resizes images; as NamedMask uses it.", at_least=16)
    iterations: int = option(15_840, "Updates.", paper="12 epochs of 10,553 images", where="code", at_least=1)
    image_size: int = option(224, "Side of a sample in pixels.", paper="224", where="code", at_least=16)
    resize_range: tuple[float, float] = option(
        (0.1, 1.0), "Range of the factor on a sample's content.", paper="0.1 to 1", where="code", above=0, at_most=1
    )
    learning_rate: float = option(6e-6, "Learning rate.", paper="6e-6", where="code", above=0)
    backbone_lr_factor: float = option(
        1.0, "Factor on the encoder's learning rate.", paper="1", where="code", at_least=0
    )
    sawtooth_lr: bool = option(
        False, "Keep the published code's learning rate, which swings twice an epoch instead of falling."
    )
    inverted_ranking: bool = option(
        False, "Keep the published code's ranking of queries, which rewards the higher loss."
    )

    def rules(self) -> tuple[Rule, ...]:
        """What options have to be together."""
        return (("resize_range", self.resize_range[0] <= self.resize_range[1], "two numbers, the lower one first"),)


@dataclass(frozen=True)
class SaliencyModel(Artifact):
    """A saliency network on disk; its folder is a source for every stage that wants one."""


def open_saliency(folder: Path) -> SaliencyModel:
    """The record of a saliency network on disk, with the counts and models of its manifest."""
    counts, models = read_facts(folder)
    return SaliencyModel(folder, counts=counts, models=models or (read_saliency_card(folder),))


@stage("saliency", opens=open_saliency, together=True, models=lambda config: (config.backbone,))
def train_saliency(
    out: Path,
    images: Images,
    masks: PseudoMasks,
    *,
    config: SaliencyTrainingConfig = SaliencyTrainingConfig(),
    device: str = "auto",
) -> SaliencyModel:
    """Train SelfMask on one mask an image.

    Args:
        out: Folder of the network; an interrupted training in it is continued.
        images: The images, unlabelled.
        masks: At most one mask an image, at its original size.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".

    Returns:
        The network's folder, with the counts `images` and `iterations`.

    Raises:
        DataError: No image has a mask.
        WeightsError: The encoder is missing or no vision transformer.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    check(config)
    samples = SaliencySamples(images, masks, config)
    network, card = start_saliency(config)
    groups = parameter_groups(
        network, network.encoder, learning_rate=config.learning_rate, backbone_lr_factor=config.backbone_lr_factor
    )
    per_epoch = ceil(len(samples.ids) / config.batch_size)
    fit(
        network,
        samples,
        config,
        loss=query_loss(network.config.preprocessing, inverted_ranking=config.inverted_ranking),
        optimizers=[AdamW(groups, weight_decay=config.weight_decay)],
        out=out,
        rate=sawtooth(config.iterations, per_epoch=per_epoch) if config.sawtooth_lr else None,
        device=device,
        what="training the saliency network",
    )
    save_selfmask(network, out)
    forget(out)
    counts = {"images": len(samples.ids), "iterations": config.iterations}
    return SaliencyModel(out, counts=counts, models=tuple(dict.fromkeys((*masks.models, card))))


def start_saliency(config: SaliencyTrainingConfig) -> tuple[SelfMask, ModelCard]:
    """An untrained SelfMask on a pre-trained encoder, and what that is; the rest is drawn from the seed.

    Raises:
        WeightsError: The encoder is missing or no vision transformer.
    """
    dino = load_dino(config.backbone, device="cpu")
    sizes = SelfMaskConfig(
        encoder=config_of(dino.vit),
        queries=config.queries,
        layers=config.layers,
        heads=int(dino.vit.config.num_attention_heads),
        mlp_dim=int(dino.vit.config.intermediate_size),
        preprocessing=Preprocessing(
            mean=dino.preprocessing.mean, std=dino.preprocessing.std, shorter_side=config.resize_shorter
        ),
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        network = SelfMask(sizes, encoder=dino.vit.requires_grad_(True))
    return network, dino.card


def query_loss(
    preprocessing: Preprocessing, *, inverted_ranking: bool
) -> Callable[[nn.Module, Sample], dict[str, Tensor]]:
    """The loss that `fit` minimises, over the samples of a batch that show an object."""

    def loss(network: nn.Module, batch: Sample) -> dict[str, Tensor]:
        shown = (batch.labels > 0).flatten(1).any(dim=1)  # [batch]
        shown |= ~shown.any()  # a batch without any object is learned from as it is
        found = network(normalise(batch.image[shown], preprocessing))
        with torch.autocast(batch.image.device.type, enabled=False):
            probabilities = found.layer_mask_logits.float().sigmoid()
            return mask_queries(
                probabilities, found.layer_objectness_logits, batch.labels[shown], inverted_ranking=inverted_ranking
            )

    return loss


@final
class SaliencySamples(Dataset[Sample]):
    """Training samples of SelfMask: every image once in each pass, in an order of its own.

    An image is squashed to a square, its content shrunk into the upper left corner, flipped and recoloured.

    Args:
        images: The collection.
        masks: Its masks; images without one are left out.
        config: Size, scale and seed.
    """

    def __init__(self, images: Images, masks: PseudoMasks, config: SaliencyTrainingConfig) -> None:
        self.images, self.config = images, config
        self.codes = MaskCodes(read_masks(masks))
        self.ids = tuple(image_id for image_id in images.ids if image_id in self.codes.places)
        if not self.ids:
            raise DataError(
                f"there is nothing to train on: none of the {len(images)} images in {images.folder} has a mask in "
                f"{masks.folder}. Run the mask stage again."
            )
        self._read = ArrayCache(read_image)

    def __getitem__(self, index: int) -> Sample:
        """The sample of that number, 0 or more; its labels are 1 where the object is, else 0."""
        # which image: every pass has an order of its own
        number, place = divmod(index, len(self.ids))
        image_id = self.ids[shuffled(len(self.ids), self.config.seed, 1, number)[place]]
        rng = np.random.default_rng((self.config.seed, 0, index))
        size = self.config.image_size
        # a square, its content shrunk to `side` in the upper left corner
        side = max(1, int(size * rng.uniform(*self.config.resize_range)))
        image = resize(self._read(self.images.path(image_id)), height=size, width=size)
        mask = self.codes[self.codes.places[image_id]]
        image, labels = pad_and_crop(
            resize(image, height=side, width=side),
            resize_labels(mask, height=side, width=side),
            rng,
            crop_size=size,
            pad_label=0,
            corners=RIGHT_BOTTOM,
        )
        image, labels = random_flip(image, labels, rng)
        image = photometric(image, rng)
        return sample_of(image, labels)
