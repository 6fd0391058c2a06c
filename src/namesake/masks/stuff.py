"""Replace the saliency masks of stuff names (grass, sky) by masks of named regions.

NamedMask, https://arxiv.org/abs/2209.11228, section 5, names stuff as its limit; these masks are of FMbSeg's first
stage (https://arxiv.org/abs/2403.09307, section 3.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from namesake.archives import unique_images
from namesake.config import group, option
from namesake.encoders import Precision
from namesake.encoders.cards import card_of
from namesake.errors import ConfigError, ImagesError
from namesake.images import read_ahead
from namesake.images.geometry import resize_labels
from namesake.masks import rle
from namesake.masks.regions import RegionNamer, RegionsConfig, load_region_namer
from namesake.masks.store import WITHOUT, Draw, MaskLookup, Outcome, count_masks, draw_masks, open_masks
from namesake.names.words import words_of
from namesake.records import Archives, Names, PseudoMask, PseudoMasks
from namesake.shapes import ImageArray
from namesake.workspace import stage


@dataclass(frozen=True)
class StuffConfig:
    """Which names are stuff, and how its masks are drawn."""

    names: tuple[str, ...] = option((), "Names whose archives get new masks; none leaves all as they are.")
    regions: RegionsConfig = group(RegionsConfig, "How regions are named.")


def check_stuff(config: StuffConfig, names: Names) -> None:
    """Refuse what would fail when hours of other work are done.

    Raises:
        ConfigError: A name of stuff is none of the names.
    """
    unknown = [name for name in config.names if name not in names.names]
    if unknown:
        raise ConfigError(f"stuff.names: {', '.join(unknown)} is none of the names: {', '.join(names.names)}.")


def stuff_among(config: StuffConfig, names: Names) -> StuffConfig:
    """The same for some of the names."""
    return replace(config, names=tuple(name for name in config.names if name in names.names))


@stage(
    "masks/stuff", opens=open_masks, models=lambda config: (config.regions.clip, config.regions.mask_model), shared=True
)
def redraw_stuff(
    out: Path,
    masks: PseudoMasks,
    archives: Archives,
    *,
    config: StuffConfig,
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
) -> PseudoMasks:
    """Give the images of stuff the masks that their name has among all names.

    Args:
        out: The stage's folder; finished shards in it are kept.
        masks: One an image.
        archives: The images and their labels.
        config: Names of stuff, and how their masks are drawn.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Returns:
        The masks in the order of image ids: those of things as they were, those of stuff redrawn. Counts as
        `saliency_masks` has them.

    Raises:
        ConfigError: A name is none of the archives' names.
        WeightsError: An encoder is missing.
    """
    check_stuff(config, archives.names)
    ids, arguments = list(unique_images(archives)), {"masks": masks, "archives": archives, "config": config}
    arguments |= {"device": device, "precision": precision}
    draw_masks([out], ids, _open_drawer, arguments, what="stuff", engine=engine)
    cards = map(card_of, (config.regions.clip, config.regions.mask_model))
    return PseudoMasks(out, counts=count_masks(out), models=tuple(dict.fromkeys((*masks.models, *cards))))


def _open_drawer(
    *, masks: PseudoMasks, archives: Archives, config: StuffConfig, device: str, precision: Precision
) -> Draw:
    """Load what redraws the masks of images; the models are loaded for the first image of stuff."""
    labels, kept = unique_images(archives), MaskLookup(masks)
    words, owner = words_of(archives.names)
    stuff = {archives.names.label_of(name) for name in config.names}
    rows = {label: torch.tensor([row for row, other in enumerate(owner) if other == label]) for label in stuff}
    namer = cache(lambda: load_region_namer(words, config.regions, device=device, precision=precision))

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome]]]:
        images = read_ahead(archives.images, (image_id for image_id in ids if labels[image_id] in stuff))
        for image_id in ids:
            label = labels[image_id]
            if label not in stuff:
                yield image_id, ([kept[image_id]] if image_id in kept else WITHOUT,)
                continue
            _, image = next(images)
            if isinstance(image, ImagesError):
                yield image_id, (WITHOUT,)
            else:
                yield image_id, ([_redraw(image_id, label, image, namer(), rows[label])],)

    return draw


def _redraw(image_id: str, label: int, image: ImageArray, namer: RegionNamer, rows: torch.Tensor) -> PseudoMask:
    """All regions that have one of a name's words among the words that are there, or else the one at its points."""
    view = namer.look(image)
    rows = rows.to(view.texts.device)
    # the name's own words take part even where CLIP does not find them
    regions = view.automatic(torch.unique(torch.cat([view.present(), rows])))
    chosen = np.isin(regions.words, rows.cpu().numpy())
    if not chosen.any():
        # no region has one of its words: ask at the points that are most like them
        regions = view.prompted(rows)
        chosen = np.ones(len(regions.words), dtype=bool)
    height, width = image.shape[:2]
    mask = np.asarray(regions.masks[chosen].any(axis=0))
    score = float(regions.scores[chosen].max()) if chosen.any() else 0.0
    return PseudoMask(
        image_id, label, score, height, width, rle.encode(resize_labels(mask, height=height, width=width))
    )
