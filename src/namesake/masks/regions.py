"""Name the masks of one image with CLIP: masks at the points of a word, and words for automatic masks.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.2: a mask at the patches that are most like each word that is there
(stage 1.1), and a word for each mask that there is (stage 1.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.config import fixed, group, option
from namesake.encoders import AutomaticConfig, Clip, Precision, load_clip
from namesake.images.geometry import limit_longer_side
from namesake.masks.crops import CropFeatures, crop_features
from namesake.masks.present_words import present_words, query_points
from namesake.masks.proposals import MaskSource, Proposals, load_masks_from
from namesake.names.doubts import doubt
from namesake.names.words import SENTENCES, Prompts
from namesake.shapes import ImageArray


@dataclass(frozen=True)
class RegionsConfig:
    """How masks are named without training; the defaults are FMbSeg's."""

    clip: str = option(
        "openai/clip-vit-large-patch14-336",
        "Encoder of crops, patches and words.",
        paper="CLIP ViT-L/14 at 336 pixels",
        where="paper",
    )
    mask_model: str = option(
        "facebook/sam-vit-huge",
        "Model that draws masks: SAM, SAM 2, or a saliency network (tier S).",
        paper="SAM, which one is not said",
        where="paper",
    )
    prompts: Prompts = option(
        "photo", 'What a word is put into: "bare", "photo" (paper: one sentence) or "templates" (85).'
    )
    image_size: int = option(
        1344, "Side in pixels that images are enlarged to for CLIP.", paper="1344", where="paper", at_least=16
    )
    keep_last_mlp: bool = option(
        False, "Keep the perceptron behind CLIP's last attention.", paper="left out", where="paper"
    )
    present_from: Literal["crops", "patches"] = option(
        "crops",
        "Who votes on which words are there; paper: the class tokens of crops. An encoder that knows whole scenes "
        "only, as the embedded one does, says more through its patches.",
    )
    overview: bool = fixed(False, "Let the whole image vote beside its crops on which words are there.")
    min_votes: int = option(
        2, "Votes that a word needs to be there.", paper="2 (more than 1)", where="paper", at_least=1
    )
    points_per_word: int = option(5, "Points a word.", paper="5", where="paper", at_least=1)
    resize_longer: int = option(
        518, "Images are shrunk to it for the masks.", paper="518, the alignment's input", where="paper", at_least=16
    )
    automatic: AutomaticConfig = group(lambda: AutomaticConfig(pred_iou_thresh=0.97), "Stage 1.2's masks.")


class Regions(NamedTuple):
    """Masks of one image with a word each.

    Attributes:
        masks: At the size of the shrunk image.
        words: Row of the word of each.
        scores: The mask source's own estimate.
    """

    masks: Bool[ndarray, "n height width"]
    words: Int[ndarray, " n"]
    scores: Float[ndarray, " n"]


@final
class RegionNamer:
    """Names regions of images.

    Args:
        clip: Encoder of crops, patches and words.
        source: Draws masks.
        words: Words that may be there.
        config: Settings of the stage.
    """

    def __init__(self, clip: Clip, source: MaskSource, words: tuple[str, ...], config: RegionsConfig) -> None:
        self.clip, self.source, self.words, self.config = clip, source, words, config
        self.texts = torch.from_numpy(clip.embed_names(words, SENTENCES[config.prompts])).to(clip.device)

    def doubt(self, labels: Sequence[int], *, encoder: str) -> None:
        """Say which of the words the encoder cannot tell apart or does not know; `labels` are those of the words."""
        texts, sentences = self.texts.cpu().numpy(), SENTENCES[self.config.prompts]
        doubt(self.words, texts, self.clip, encoder=encoder, templates=sentences, labels=labels)

    def look(self, image: ImageArray) -> "NamedView":
        """Embed an image once for everything that may be asked about it."""
        config = self.config
        small = limit_longer_side(image, side=config.resize_longer)
        features = crop_features(
            self.clip, image, side=config.image_size, keep_last_mlp=config.keep_last_mlp, overview=config.overview
        )
        return NamedView(features, self.source.look(small), self.texts, small.shape[0], small.shape[1], config)


class NamedView(NamedTuple):
    """Cached features and mask proposals of one image, the texts of the words, and the size of its masks."""

    features: CropFeatures
    proposals: Proposals
    texts: Float[Tensor, "words dim"]
    height: int
    width: int
    config: RegionsConfig

    def present(self) -> Int[Tensor, " present"]:
        """The words that are there; see `present_words`."""
        crops = self.config.present_from == "crops"
        present_from = self.features.tokens if crops else self.features.patches.flatten(0, 1)
        return present_words(present_from, self.texts, min_votes=self.config.min_votes)

    def prompted(self, present: Int[Tensor, " present"]) -> Regions:
        """A mask for each word that is there: stage 1.1."""
        # [present, rows, columns]
        likeness = torch.einsum("rcd,wd->wrc", self.features.patches, self.texts[present])
        points = query_points(likeness, count=self.config.points_per_word, height=self.height, width=self.width)
        found = self.proposals.at_points(points)
        return without_empty(Regions(found.masks, present.cpu().numpy(), found.scores))

    def automatic(self, present: Int[Tensor, " present"]) -> Regions:
        """All masks, each with the word that is there and that it is most like: stage 1.2."""
        if not len(present):
            return Regions(
                np.zeros((0, self.height, self.width), dtype=bool), np.zeros(0, int), np.zeros(0, np.float32)
            )
        found = self.proposals.all()
        likeness = mean_features(found.masks, self.features.patches) @ self.texts[present].T  # [n, present]
        return Regions(found.masks, present[likeness.argmax(dim=1)].cpu().numpy(), found.scores)


def load_region_namer(
    words: tuple[str, ...], config: RegionsConfig, *, device: str = "auto", precision: Precision = "no"
) -> RegionNamer:
    """Load CLIP and what draws masks.

    Raises:
        WeightsError: One is missing or damaged.
    """
    source = load_masks_from(config.mask_model, config.automatic, device=device, precision=precision)
    return RegionNamer(load_clip(config.clip, device=device, precision=precision), source, words, config)


def mean_features(
    masks: Bool[ndarray, "n height width"], patches: Float[Tensor, "rows columns dim"]
) -> Float[Tensor, "n dim"]:
    """Mean feature of the area that each mask covers, of length 1; zeros for an empty mask.

    FMbSeg, section 3.2.2. A patch counts by the share of it that is covered.
    """
    shares = list(patch_coverage(masks, patches.shape[0], patches.shape[1], device=patches.device))
    if not shares:
        return patches.new_zeros((0, patches.shape[-1]))
    # the sum has the mean's direction, and only that is left
    return functional.normalize(torch.einsum("nrc,rcd->nd", torch.cat(shares), patches), dim=-1)


def patch_coverage(
    masks: Bool[ndarray, "n height width"], rows: int, columns: int, *, device: torch.device
) -> Iterator[Float[Tensor, "some rows columns"]]:
    """The share of each patch that each mask covers, for about 64 masks at a time; nothing where there is no mask."""
    for some in np.array_split(masks, max(1, len(masks) // 64)):
        if len(some):
            yield functional.adaptive_avg_pool2d(torch.from_numpy(some).to(device).float()[None], (rows, columns))[0]


def paint(regions: Regions, *, nothing: int) -> Int[ndarray, "height width"]:
    """One word a pixel, `nothing` where no mask lies: smaller masks on larger ones, the surer of equals on top."""
    painted = np.full(regions.masks.shape[1:], nothing, dtype=np.int32)
    areas = regions.masks.sum(axis=(1, 2))
    # larger masks first, so that smaller ones cover them (lexsort's last key counts most)
    for i in np.lexsort((regions.scores, -areas)):
        painted[regions.masks[i]] = regions.words[i]
    return painted


def without_empty(regions: Regions) -> Regions:
    """Those whose mask covers a pixel."""
    kept = regions.masks.any(axis=(1, 2))
    return Regions(regions.masks[kept], regions.words[kept], regions.scores[kept])
