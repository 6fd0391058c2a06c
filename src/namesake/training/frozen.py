"""Train a light decoder on the kept features of a frozen encoder: a closed-set segmenter for ordinary machines.

What NamedMask learns, with the encoder left as it is: training takes minutes of a processor instead of hours of a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from namesake.config import check, group, option
from namesake.encoders.dino import load_dino
from namesake.encoders.preprocess import Preprocessing
from namesake.encoders.vit import config_of
from namesake.networks.frozen import FrozenDecoder, FrozenDecoderConfig, FrozenSegmenter
from namesake.records import Archives, ModelCard, Names, PseudoMasks
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.deeplab import ClosedSet
from namesake.segmenter.frozen import KIND, architecture_of
from namesake.shapes import not_sure
from namesake.training.fit import FitConfig, finish, fit
from namesake.training.losses import cross_entropy
from namesake.training.samples.archives import Examples, read_examples
from namesake.training.samples.features import FeatureSample, FeatureSamples, FeaturesConfig, KeptFeatures
from namesake.workspace import stage


@dataclass(frozen=True)
class FrozenTrainingConfig(FitConfig):
    """How the decoder of a frozen encoder is trained; for ordinary machines, no paper has it."""

    features: FeaturesConfig = group(FeaturesConfig, "The encoder, and the size that it sees images in.")
    iterations: int = option(600, "Updates.", at_least=1)
    window: int = option(20, "Side of a sample in patches.", at_least=1)
    copy_paste_max: int = option(2, "Most images a sample, 1 for no copy-paste.", at_least=1)
    flip_prob: float = option(0.5, "Chance that an image is mirrored.", at_least=0, at_most=1)
    architecture: FrozenDecoderConfig = group(FrozenDecoderConfig, "Sizes of the decoder.")
    num_workers: int = option(1, "Processes that make samples.", at_least=0)
    checkpoint_every: int = option(200, "Updates between two checkpoints.", at_least=1)


@stage("segmenter", opens=open_segmenter, together=True, models=lambda config: (config.features.dino,))
def train_on_features(
    out: Path,
    archives: Archives,
    masks: PseudoMasks,
    kept: KeptFeatures,
    names: Names,
    *,
    config: FrozenTrainingConfig = FrozenTrainingConfig(),  # noqa: B008
    device: str = "auto",
) -> SegmenterFolder:
    """Train one segmenter for all names, on the features of archive images and their masks.

    Args:
        out: Folder of the segmenter; an interrupted training in it is continued.
        archives: Images by name.
        masks: At most one mask an image, at its original size.
        kept: Features of the images, of the encoder that the configuration names.
        names: Names to segment, in the archives' label order.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".

    Returns:
        The segmenter, with the counts `images`, `names` and `iterations`.

    Raises:
        DataError: No image of the archives has a mask, a label has no name, or features are missing.
        WeightsError: The encoder is missing.
        ConfigError: A value is out of range, or the loss is not finite.
    """
    check(config)
    examples = read_examples(archives, masks, names)
    network, rule, card = train_decoder(
        examples, kept, labels=len(names) + 1, config=config, out=out, device=device, names=names
    )
    models = tuple(dict.fromkeys((*archives.models, *masks.models, card)))
    trained = _segmenter(network, rule, names, longer_side=kept.longer_side, models=models)
    return finish(trained, out, images=len(examples.images), iterations=config.iterations)


def train_decoder(
    examples: Examples,
    kept: KeptFeatures,
    *,
    labels: int,
    config: FrozenTrainingConfig,
    out: Path,
    device: str,
    names: Names | None = None,
) -> tuple[FrozenSegmenter, Preprocessing, ModelCard]:
    """Train a decoder whose labels are 0 to `labels` - 1.

    Args:
        examples: Images, labels and masks.
        kept: Features of the images.
        labels: Outputs of the network, background included.
        config: Settings of the stage.
        out: Folder of the checkpoint, which the caller deletes when the result is saved.
        device: "auto", "cpu" or "cuda".
        names: Names of the labels, for those who watch it; they see no predictions without.

    Returns:
        The encoder with the trained decoder, how the encoder wants its input normalised, and what it is.

    Raises:
        DataError: Features are missing.
        WeightsError: The encoder is missing.
        ConfigError: The loss is not finite.
    """
    encoder = load_dino(kept.encoder, device="cpu")
    samples = FeatureSamples(
        examples,
        kept,
        window=config.window,
        copy_paste_max=config.copy_paste_max,
        flip=config.flip_prob,
        ignore=not_sure(labels - 1),
        seed=config.seed,
    )
    rule = Preprocessing(encoder.preprocessing.mean, encoder.preprocessing.std)

    def whole(decoder: FrozenDecoder) -> FrozenSegmenter:
        network = FrozenSegmenter(labels, encoder=config_of(encoder.vit), decoder=config.architecture)
        network.encoder.load_state_dict(encoder.vit.state_dict())
        network.decoder.load_state_dict(decoder.state_dict())
        network.decoder.to(next(decoder.parameters()).device)
        return network

    def shown(decoder: FrozenDecoder) -> Segmenter:
        return _segmenter(whole(decoder), rule, names or Names(()), longer_side=kept.longer_side)

    decoder = fit_decoder(
        samples,
        labels=labels,
        dim=encoder.dim,
        config=config,
        out=out,
        device=device,
        segmenter=None if names is None else shown,
    )
    return whole(decoder), rule, encoder.card


def _segmenter(
    network: FrozenSegmenter,
    rule: Preprocessing,
    names: Names,
    *,
    longer_side: int,
    models: tuple[ModelCard, ...] = (),
) -> Segmenter:
    """The network as it is, ready to use."""
    settings = Settings(
        kind=KIND,
        names=names,
        architecture=architecture_of(network),
        preprocessing=rule,
        resize_longer=longer_side,
        models=models,
    )
    where = next(network.decoder.parameters()).device
    return Segmenter(ClosedSet(network, preprocessing=rule, device=where), settings)


def fit_decoder(
    samples: FeatureSamples,
    *,
    labels: int,
    dim: int,
    config: FrozenTrainingConfig,
    out: Path,
    device: str,
    segmenter: Callable[[FrozenDecoder], Segmenter] | None = None,
) -> FrozenDecoder:
    """A decoder of features of `dim` values, trained on samples of any of their kinds; `segmenter` as `fit` has it."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(config.seed)
        decoder = FrozenDecoder(labels, dim=dim, config=config.architecture)
    fit(
        decoder,
        samples,
        config,
        loss=cell_loss(not_sure(labels - 1)),
        optimizers=[AdamW(decoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)],
        out=out,
        device=device,
        what="training the decoder",
        segmenter=None if segmenter is None else lambda: segmenter(decoder),
    )
    return decoder


def cell_loss(ignore: int) -> Callable[[nn.Module, FeatureSample], dict[str, Tensor]]:
    """The loss that `fit` minimises: cross-entropy of a batch of samples, on the grid of their labels."""

    def loss(decoder: nn.Module, batch: FeatureSample) -> dict[str, Tensor]:
        logits = decoder(batch.features.float())  # two rows and columns a patch; labels have four
        fine = functional.interpolate(logits, size=batch.labels.shape[-2:], mode="bilinear", align_corners=False)
        return {"loss": cross_entropy(fine, batch.labels, ignore=ignore)}

    return loss
