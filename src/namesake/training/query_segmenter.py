"""Archives, their masks and the names in; a trained open-vocabulary segmenter out. The last step of ZUTIS.

Shin, Albanie, Xie: ZUTIS, https://arxiv.org/abs/2304.14376, sections 3.3 and 4.1. Where paper and released code differ,
the code's way is the default.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from namesake.encoders import Clip, Preprocessing, load_clip
from namesake.encoders.preprocess import IMAGENET
from namesake.errors import DataError
from namesake.names.words import with_background
from namesake.processes import refuse_sharing
from namesake.records import Archives, Names, PseudoMasks
from namesake.segmenter import Segmenter, SegmenterFolder, Settings, open_segmenter
from namesake.segmenter.open_vocabulary import KIND, OpenVocabulary, architecture_of
from namesake.segmenter.query_segmenter import QuerySegmenter, query_segmenter_from
from namesake.segmenter.settings import normalise
from namesake.segmenter.words import TextSide
from namesake.shapes import not_sure
from namesake.training.certainty import find_certainty
from namesake.training.dataset import Examples, read_examples
from namesake.training.fit import fit, forget, hold_floor
from namesake.training.instance_samples import TARGETS, InstanceBatch, InstanceSamples, Targets, collate, own_objects
from namesake.training.losses import poly
from namesake.training.matching import instance_targets, matched_queries
from namesake.training.query_config import QueryTrainingConfig, check
from namesake.training.self_training import find_own_objects
from namesake.workspace import stage


@stage("segmenter", opens=open_segmenter, together=True)
def train_query_segmenter(
    archives: Archives,
    masks: PseudoMasks,
    names: Names,
    *,
    out: Path,
    config: QueryTrainingConfig = QueryTrainingConfig(),  # noqa: B008
    device: str = "auto",
) -> SegmenterFolder:
    """Train one open-vocabulary segmenter on archive images and their masks.

    Args:
        archives: Images by name.
        masks: At most one mask an image, at its original size.
        names: What to segment, in the archives' label order; the segmenter takes others when it is used.
        out: Folder of the segmenter; an interrupted training in it is continued.
        config: How.
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
    trained = trained.with_certainty(find_certainty(trained, examples, unsure=config.unsure, seed=config.seed))
    settings = Settings(
        kind=KIND,
        names=names,
        architecture=architecture_of(trained, clip=config.clip, prompts=config.prompts),
        preprocessing=trained.preprocessing,
        models=tuple(dict.fromkeys((*archives.models, *masks.models, clip.card))),
    )
    saved = Segmenter(trained, settings).save(out)
    forget(out)
    counts = {"images": len(examples.images), "names": len(names), "iterations": config.iterations}
    return replace(saved, counts=counts)


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
        crop=config.crop,
        copy_paste_max=config.copy_paste_max,
        same_archive=config.same_archive,
        seed=config.seed,
        scale=config.scale,
        colour=config.colour,
        published=config.published,
    )
    fit(
        network,
        samples,
        loss=query_loss(words.texts, words.labels, preprocessing, config=config, ignore=not_sure(len(names))),
        optimisers=[_adamw(network, config)],
        iterations=config.iterations,
        batch_size=config.batch_size,
        out=out,
        rate=poly(config.iterations, power=config.power),
        seed=config.seed,
        precision=config.precision,
        workers=config.workers,
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
        network = query_segmenter_from(clip.model, config=config.network).requires_grad_(True)
    if config.first_weights == "he":
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
        config: Weight and temperature.
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
            temperature=config.temperature,
            mask_weight=config.mask_weight,
            ignore=ignore,
        )

    return loss


def _preprocessing(clip: Clip, config: QueryTrainingConfig) -> Preprocessing:
    own = clip.preprocessing
    return IMAGENET if config.normalise == "imagenet" else Preprocessing(own.mean, own.std, scale=own.scale)


def _adamw(network: QuerySegmenter, config: QueryTrainingConfig) -> AdamW:
    """AdamW with a lower rate for the encoder, and a floor under both rates; the code decays every weight."""
    encoder = list(network.encoder.parameters())
    inside = {id(weight) for weight in encoder}
    others = [weight for weight in network.parameters() if id(weight) not in inside]
    groups = [
        {"params": encoder, "lr": config.learning_rate * config.encoder_factor},
        {"params": others, "lr": config.learning_rate},
    ]
    adam = AdamW(groups, weight_decay=config.weight_decay)
    hold_floor(adam, config.floor)
    return adam
