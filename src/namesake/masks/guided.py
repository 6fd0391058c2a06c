"""Keep of each saliency mask only what the image's own name explains.

A thing that often appears with another (a rider with a motorbike) is in the other's saliency masks: NamedMask,
https://arxiv.org/abs/2209.11228, section 5, third limitation, where this remedy is proposed and not tried. The dense
scores are those of MaskCLIP, https://arxiv.org/abs/2112.01071, section 3.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import interpolate

from namesake.archives import unique_images
from namesake.config import check, option
from namesake.encoders import Clip, Precision, load_clip
from namesake.encoders.cards import card_of
from namesake.errors import ImagesError
from namesake.images import read_ahead
from namesake.masks import rle
from namesake.masks.store import WITHOUT, Draw, MaskLookup, Outcome, count_masks, draw_masks, open_masks
from namesake.names.prompts import TEMPLATES
from namesake.names.words import words_of
from namesake.records import Archives, Names, PseudoMask, PseudoMasks
from namesake.shapes import ImageArray
from namesake.workspace import stage

KEEP = 0.05
"""A mask of which less than this share would remain is left whole."""


@dataclass(frozen=True)
class GuideConfig:
    """What counts as explained by another word."""

    clip: str = option("", 'CLIP of the dense scores; "" leaves all masks as they are (paper).')
    min_fraction: float = option(
        0.4,
        "Another word takes part only where it is the likeliest one on so large a share of the mask.",
        at_least=0,
        at_most=1,
    )


@stage("masks/guided", opens=open_masks, models=lambda config: (config.clip,), shared=True)
def keep_named(
    out: Path,
    masks: PseudoMasks,
    archives: Archives,
    *,
    config: GuideConfig,
    device: str = "auto",
    precision: Precision = "no",
    engine: str = "local",
) -> PseudoMasks:
    """Take away from each mask what other words explain better than the image's own name.

    Args:
        out: The stage's folder; finished shards in it are kept.
        masks: One an image.
        archives: The images, their labels, and all names with their synonyms, background and context words.
        config: Settings of the stage.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, "bf16", "fp16", or "int8" on the CPU; see `encoders.Precision`.
        engine: "local", "ray" or "ray:N"; see `engines.spread`.

    Returns:
        The masks in the order of image ids. Counts as `saliency_masks` has them.

    Raises:
        ConfigError: A share is outside 0 to 1.
        WeightsError: The CLIP is missing.
    """
    check(config)
    ids, arguments = list(unique_images(archives)), {"masks": masks, "archives": archives, "config": config}
    arguments |= {"device": device, "precision": precision}
    draw_masks([out], ids, _open_drawer, arguments, what="guiding", engine=engine)
    models = tuple(dict.fromkeys((*masks.models, card_of(config.clip))))
    return PseudoMasks(out, counts=count_masks(out), models=models)


def explained(
    mask: Bool[Tensor, "height width"],
    cosines: Float[Tensor, "words rows columns"],
    own: Bool[Tensor, " words"],
    *,
    min_fraction: float,
    keep: float = KEEP,
) -> Bool[Tensor, "height width"]:
    """The part of a mask on which the name's words are likelier than those of anything else that is there.

    Args:
        mask: Mask of the salient object.
        cosines: Cosines of patches with words, at any resolution.
        own: True for the words that stand for the name.
        min_fraction: Another word is taken to be there when it is the likeliest of all on so large a share of the mask.
        keep: If less than this share of the mask would remain, all of it does.
    """
    # [words, height, width]
    fine = interpolate(cosines[None].float(), size=mask.shape, mode="bilinear", align_corners=False)[0]
    best = fine[:, mask].argmax(dim=0)  # the likeliest word of each pixel of the mask
    shares = torch.bincount(best, minlength=len(own)) / max(1, int(mask.sum()))
    there = (shares >= min_fraction) & ~own
    if not there.any():
        return mask
    remaining = mask & (fine[own].amax(dim=0) >= fine[there].amax(dim=0))
    return remaining if remaining.sum() >= keep * mask.sum() else mask


def _open_drawer(
    *, masks: PseudoMasks, archives: Archives, config: GuideConfig, device: str, precision: Precision
) -> Draw:
    """Load the CLIP, and return what guides the masks of images with it."""
    clip = load_clip(config.clip, device=device, precision=precision)
    kept, labels = MaskLookup(masks), unique_images(archives)
    words, owner, texts = _words(archives.names, clip)

    def guide(image_id: str, image: ImageArray) -> PseudoMask:
        label, found = labels[image_id], kept[image_id]
        # words that take part: of all names and of the background, and the name's own context words
        context = archives.names.against[label - 1] if archives.names.against else ()
        rows = [row for row, word in enumerate(words) if owner[row] is not None or word in context]
        own = torch.tensor([owner[row] == label for row in rows], device=clip.device)
        # patches [rows, columns, dim] with words [words, dim] -> [words, rows, columns]
        cosines = torch.einsum("rcd,wd->wrc", clip.dense([image])[0], texts[rows])
        mask = torch.from_numpy(rle.decode(found.rle, found.height, found.width)).to(clip.device)
        remaining = explained(mask, cosines, own, min_fraction=config.min_fraction)
        return replace(found, rle=rle.encode(remaining.cpu().numpy()))

    def draw(ids: Sequence[str]) -> Iterator[tuple[str, tuple[Outcome]]]:
        for image_id, image in read_ahead(archives.images, ids):
            if isinstance(image, ImagesError) or image_id not in kept:
                yield image_id, (WITHOUT,)
            else:
                yield image_id, ([guide(image_id, image)],)

    return draw


def _words(names: Names, clip: Clip) -> tuple[tuple[str, ...], tuple[int | None, ...], Float[Tensor, "words dim"]]:
    """All words, the label of each (0 for background words, None for context words), and their text embeddings."""
    words, labels = words_of(names)
    context = tuple(dict.fromkeys(word for some in names.against for word in some if word not in words))
    texts = torch.from_numpy(clip.embed_names((*words, *context), TEMPLATES)).to(clip.device)
    return (*words, *context), (*labels, *(None for _ in context)), texts
