"""Mask every image with the spectral cluster that agrees best with the others (SelfMask's voting).

Shin, Albanie, Xie, "Unsupervised Salient Object Detection with Spectral Cluster Voting" (SelfMask), CVPRW 2022,
https://arxiv.org/abs/2203.12614, sections 3.2 and 3.3: the masks that a saliency network is trained on. Those of
archives carry the archive's label, and are what names are learned from where no saliency network is at hand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.archives import unique_images
from namesake.config import check, option
from namesake.encoders import Precision
from namesake.encoders.cards import card_of
from namesake.encoders.dense_resnet import SelfSupervised, load_self_supervised
from namesake.errors import ConfigError, ImagesError
from namesake.images import read_image, work_ahead
from namesake.images.geometry import limit_longer_side, resize_labels
from namesake.masks import rle
from namesake.masks.batches import by_size, in_windows
from namesake.masks.bilateral import PUBLISHED
from namesake.masks.detect import Shrunk, finish
from namesake.masks.spectral import candidate_masks
from namesake.masks.store import Draw, Outcome, count_masks, draw_masks, open_masks
from namesake.masks.vote import spectral_vote
from namesake.records import Archives, Images, PseudoMask, PseudoMasks
from namesake.shapes import ImageArray
from namesake.workspace import stage

WINDOW = 64
"""Images that are sorted by size together."""
UPSAMPLE = 2
"""Factor on the patch grid before clustering; published: 2."""
AFFINITIES = 2**26
"""Entries of dense affinities in memory at once."""


@dataclass(frozen=True)
class VotingConfig:
    """How images get voted masks; the defaults are SelfMask's, with the one of its three encoders that is a ViT."""

    encoders: tuple[str, ...] = option(
        ("facebook/dino-vits16",),
        "Sources of DINO or DINOv2 transformers, or of ResNets (checkpoints of MoCo-v2, SwAV or DINO); every one "
        "adds its candidates.",
        paper="MoCo-v2, SwAV and DINO ViT-S/16",
        where="paper",
    )
    clusters: tuple[int, ...] = option(
        (2, 3, 4), "Numbers of clusters; an encoder gives as many candidates as their sum.", at_least=2
    )
    temperature: float = option(
        0.0, "0 for the published affinity (cosines scaled to 0..1), else exp((cosine - 1) / temperature).", at_least=0
    )
    block: int = option(-1, "Features of this block, counted from 0 (negative: from the end).")
    resize_longer: int = option(
        512,
        "Larger images are shrunk to this many pixels, and their masks brought back by nearest neighbour.",
        at_least=16,
    )
    bilateral_solver: bool = option(False, "Draw the masks to the images' edges; SelfMask: no.")
    batch_size: int = option(16, "Images at once.", at_least=1)
    seed: int = option(0, "Seed of k-means.", at_least=0)


@stage("masks/voted", opens=open_masks, models=lambda config: config.encoders, shared=True)
def voted_masks(
    out: Path,
    images: Images | Archives,
    *,
    config: VotingConfig = VotingConfig(),
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
) -> PseudoMasks:
    """Cluster each image's patches by every encoder, and keep the candidate that agrees best with the others.

    Padding to whole patches is cut off the candidates.

    Args:
        out: The stage's folder; finished shards in it are kept.
        images: Unlabelled images, or archives, whose images are voted on once each.
        config: Encoders and clustering.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Returns:
        One mask an image, with the label that its archive gives it or 0, `score` the mean IoU of the winner with the
        other candidates; counts `masks`, `empty`, `skipped`.

    Raises:
        ImagesError: Not one image can be read.
        WeightsError: An encoder is missing.
        ConfigError: An option is out of range.
    """
    check(config)
    if not config.encoders:
        raise ConfigError("voting.encoders is empty, expected an encoder or more.")
    labels = unique_images(images) if isinstance(images, Archives) else dict.fromkeys(images.ids, 0)
    images, ids = images.images if isinstance(images, Archives) else images, tuple(labels)
    arguments = {"images": images, "labels": labels, "config": config, "device": device}
    arguments |= {"precision": precision}
    draw_masks([out], ids, _open_drawer, arguments, what="voting", engine=engine)
    counts = count_masks(out)
    if not counts["masks"]:
        raise ImagesError(f"none of the {len(ids)} images in {images.folder} can be read.")
    return PseudoMasks(out, counts=counts, models=tuple(map(card_of, config.encoders)))


def _open_drawer(
    *, images: Images, labels: Mapping[str, int], config: VotingConfig, device: str, precision: Precision
) -> Draw:
    """Load the encoders, and return what masks images with them."""
    encoders = [load_self_supervised(source, device=device, precision=precision) for source in config.encoders]

    def read(image_id: str) -> Shrunk:
        image = read_image(images.path(image_id))
        small = limit_longer_side(image, side=config.resize_longer)
        return Shrunk(image_id, small, image.shape[0], image.shape[1])

    def vote(some: list[Shrunk]) -> Iterator[PseudoMask]:
        found = by_size(
            [seen.image for seen in some],
            lambda images: zip(*voted(images, encoders, config=config), strict=True),
            most=lambda size: _at_once(size, encoders, config),
        )
        for (image_id, image, height, width), (mask, score) in zip(some, found, strict=True):
            if config.bilateral_solver:
                whole = finish(mask, image, solver=PUBLISHED, height=height, width=width)
            else:
                whole = resize_labels(mask, height=height, width=width)
            yield PseudoMask(image_id, labels[image_id], float(score), height, width, rle.encode(whole))

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome]]]:
        for image_id, found in in_windows(work_ahead(read, ids, ahead=WINDOW), WINDOW, vote):
            yield image_id, (str(found) if isinstance(found, ImagesError) else [found],)

    return draw


@torch.inference_mode()
def voted(
    images: Sequence[ImageArray], encoders: Sequence[SelfSupervised], *, config: VotingConfig = VotingConfig()
) -> tuple[Bool[ndarray, "batch height width"], Float[ndarray, " batch"]]:
    """Voted masks of images of one size, and the mean IoU of each with the other candidates.

    Raises:
        ImagesError: They differ in size.
    """
    # [batch, candidates, height, width], those of all encoders
    masks = torch.cat([_candidates(images, encoder, config) for encoder in encoders], dim=1)
    winner, agreement = spectral_vote(masks)
    chosen = masks[torch.arange(len(images), device=masks.device), winner]
    return chosen.cpu().numpy(), agreement.cpu().numpy()


def _candidates(
    images: Sequence[ImageArray], encoder: SelfSupervised, config: VotingConfig
) -> Bool[Tensor, "batch candidates height width"]:
    """Candidates of one encoder at the images' size."""
    x, patch = encoder.normalise(images), encoder.patch_size
    height, width = x.shape[2:]
    # whole patches: padded on the right and below
    padded = functional.pad(x, (0, -width % patch, 0, -height % patch))
    features = encoder.patch_features(padded, block=None if config.block == -1 else config.block)
    masks = candidate_masks(
        features,
        clusters=config.clusters,
        upsample=UPSAMPLE,
        temperature=config.temperature or None,
        seed=config.seed,
    )
    whole = functional.interpolate(masks.float(), size=tuple(padded.shape[2:]), mode="nearest")
    return whole[..., :height, :width] > 0.5


def _at_once(size: tuple[int, ...], encoders: Sequence[SelfSupervised], config: VotingConfig) -> int:
    """Images that fit into memory together: those of an affinity that is built whole are few."""
    if not config.temperature:
        return config.batch_size
    side = UPSAMPLE / min(encoder.patch_size for encoder in encoders)
    nodes = size[0] * size[1] * side * side
    return max(1, min(config.batch_size, int(AFFINITIES / nodes**2)))
