"""The kind `aligned`: label patches of a frozen encoder with an alignment module (FMbSeg), for any names.

FMbSeg, https://arxiv.org/abs/2403.09307, section 3.3 ("Deployment", "Pixelwise Segmentation"): similarities of patches
and words brought to the image's size (base), and masks of SAM that take the word most of their patches have (refined).
The folder holds the alignment module and the words' embeddings; the encoders' weights are not copied.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from namesake.config import fixed, group, option
from namesake.encoders import AutomaticConfig
from namesake.encoders.patches import PatchEncoder, load_patch_encoder, squares
from namesake.encoders.weights import fill
from namesake.errors import WeightsError
from namesake.images.geometry import limit_longer_side, resize_labels
from namesake.masks.proposals import MaskSource, load_masks_from
from namesake.masks.regions import Regions, paint, patch_coverage
from namesake.names.words import Prompts, words_of
from namesake.networks.alignment import Alignment, AlignmentConfig
from namesake.records import Names, Prediction
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.settings import CONFIG, TEXTS, WEIGHTS, Settings, read_weights
from namesake.segmenter.words import TextSide
from namesake.shapes import ImageArray
from namesake.tensors import PatchFeatures

KIND = "aligned"


@dataclass(frozen=True)
class AlignedInference:
    """How labels are read off; the defaults are FMbSeg's, base."""

    image_size: int = fixed(518, "Side in pixels that images are resized to for the encoder.")
    refine_with: str = option(
        "", 'Model that draws the masks that refine the labels (SAM, SAM 2, a saliency network); "" for none (base).'
    )
    automatic: AutomaticConfig = group(
        lambda: AutomaticConfig(pred_iou_thresh=0.97), "How all masks of an image are found."
    )
    logit_scale: float = fixed(
        1.0, "Scale of the cosines in the softmax that gives the confidence; it changes no label."
    )


@final
class Aligned:
    """An encoder, an alignment module and names, ready to predict.

    Args:
        encoder: Frozen.
        alignment: It may be shared by several of these.
        names: Names to segment.
        texts: Encodes them.
        inference: Rules by which labels are read off.
        source: Draws the masks that refine; None for base.

    Attributes:
        labels: Label of each channel of the logits.
    """

    passes_to_complete = 0
    threshold = None

    def __init__(
        self,
        encoder: PatchEncoder,
        alignment: Alignment,
        names: Names,
        *,
        texts: TextSide,
        inference: AlignedInference = AlignedInference(),
        source: MaskSource | None = None,
    ) -> None:
        self.encoder, self.alignment = encoder, alignment.to(encoder.device).eval()
        self.names, self.text_side, self.inference, self.source = names, texts, inference, source
        self.words = texts.words(names)
        self.labels, self.texts = self.words.labels, self.words.texts.to(encoder.device)

    def with_names(self, names: Names) -> "Aligned":
        """The same with other names.

        Raises:
            NamesError: There is none.
            WeightsError: A word is new, and the text encoder cannot be loaded or does not fit.
        """
        return Aligned(
            self.encoder, self.alignment, names, texts=self.text_side, inference=self.inference, source=self.source
        )

    def refined_by(self, source: str) -> "Aligned":
        """The same with labels refined by masks of another source; the alignment is shared.

        Args:
            source: Who draws the masks: SAM, SAM 2 or a saliency network, by hub id, folder or `embedded:NAME`.

        Raises:
            WeightsError: It is missing or damaged.
        """
        inference = replace(self.inference, refine_with=source)
        drawn = load_masks_from(source, inference.automatic, device=str(self.encoder.device))
        return Aligned(
            self.encoder, self.alignment, self.names, texts=self.text_side, inference=inference, source=drawn
        )

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Labels and confidence of height x width."""
        found = zip(images, self.logits(images), strict=True)
        return [self.read(image, logits, height=height, width=width) for image, logits in found]

    @torch.inference_mode()
    def logits(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> Float[Tensor, "batch words rows columns"]:
        """Similarities of patches and words, times the logit scale; the encoder sees `scale` times its side."""
        return compare(self.features(images, scale=scale), self.texts, logit_scale=self.inference.logit_scale)

    def read(
        self, image: ImageArray, logits: Float[Tensor, "words rows columns"], *, height: int, width: int
    ) -> Prediction:
        """Labels and confidence of height x width from an image's logits, which are of any resolution."""
        base = decide(logits, height=height, width=width, labels=self.labels)
        # masks are given labels by the vote of patches, whose labels come from logits that are not upsampled
        owner = torch.tensor(self.labels, device=logits.device)
        return base if self.source is None else self._refined(image, owner[logits.argmax(dim=0)], base)

    def complete(self, images: Sequence[ImageArray], read: Sequence[Prediction]) -> list[Prediction]:
        """The predictions, refined by masks where there is a source of them."""
        if self.source is None:
            return list(read)
        labels = [torch.from_numpy(each.labels.astype(np.int64)) for each in read]
        return [self._refined(*each) for each in zip(images, labels, read, strict=True)]

    def features(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> PatchFeatures:
        """Aligned features of every patch, of length 1."""
        side = round(scale * self.inference.image_size)
        raw = self.encoder.patch_features(squares(self.encoder, images, side=side))
        aligned: Tensor = self.alignment(raw.flatten(1, 2))  # [batch, patches, joint]
        return aligned.reshape(*raw.shape[:3], -1)  # [batch, rows, columns, joint]

    def _refined(self, image: ImageArray, voters: Int[Tensor, "rows columns"], base: Prediction) -> Prediction:
        assert self.source is not None  # noqa: S101
        small = limit_longer_side(image, side=self.inference.image_size)
        # each mask has the label that most of its patches have
        masks = self.source.look(small).all()
        chosen, share = majority_label(masks.masks, voters)
        height, width = base.labels.shape
        if not len(chosen):
            return base
        # which [height, width]: number of the mask that a pixel lies in; where none lies, the base stays
        nothing = -1
        regions = Regions(masks.masks, np.arange(len(chosen)), masks.scores)
        which = resize_labels(paint(regions, nothing=nothing), height=height, width=width)
        covered = which != nothing
        labels = np.where(covered, chosen[which], base.labels).astype(base.labels.dtype)
        return Prediction(labels, np.where(covered, share[which], base.confidence).astype(np.float32))

    def weights(self) -> dict[str, Tensor]:
        """The alignment module's weights, and the text embeddings of the names."""
        return self.alignment.state_dict() | {TEXTS: self.texts}


def majority_label(
    masks: Bool[ndarray, "n height width"], labels: Int[Tensor, "rows columns"]
) -> tuple[Int[ndarray, " n"], Float[ndarray, " n"]]:
    """The label that most of the patches within each mask have, and their share; of equals the lowest label.

    A patch counts by the share of it that the mask covers.

    Args:
        masks: Masks, of any size that stands for the same picture as the patches.
        labels: Labels of patches.
    """
    one_hot = functional.one_hot(labels.long()).flatten(0, 1).float()  # [patches, labels]
    shares = patch_coverage(masks, labels.shape[0], labels.shape[1], device=labels.device)
    # counts [n, labels]: patches of each label in each mask; the empty first part stands for no masks at all
    counts = torch.cat([one_hot.new_zeros((0, one_hot.shape[1])), *(some.flatten(1) @ one_hot for some in shares)])
    best = counts.argmax(dim=1)
    # at least 1e-9: a mask may cover no patch
    share = counts.gather(1, best[:, None])[:, 0] / counts.sum(dim=1).clamp(min=1e-9)
    return best.cpu().numpy(), share.cpu().numpy()


def architecture_of(predictor: Aligned, *, encoder: str, clip: str, prompts: Prompts) -> dict[str, Any]:
    """What `config.json` says of the module, its encoders, and how labels are read off."""
    return {
        "dense_encoder": encoder,
        "alignment": asdict(predictor.alignment.config),
        "clip": clip,
        "prompts": prompts,
        "inference": asdict(predictor.inference),
    }


def open_aligned(settings: Settings, folder: Path, device: torch.device) -> Aligned:
    """Load the encoder that the settings name, and the alignment module; no text encoder is loaded.

    Raises:
        WeightsError: Weights are missing, damaged, or do not fit each other or the names.
    """
    facts, weights = settings.architecture, read_weights(folder)
    try:
        config = AlignmentConfig(**facts["alignment"])
        inference = AlignedInference(
            **(facts["inference"] | {"automatic": AutomaticConfig(**facts["inference"]["automatic"])})
        )
        source, clip, prompts = str(facts["dense_encoder"]), str(facts["clip"]), facts["prompts"]
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG} describes no aligned encoder ({error}). Make it again.") from error
    texts = weights.pop(TEXTS, torch.zeros(0, 0))
    words, _ = words_of(settings.names)
    encoder = load_patch_encoder(source, device=str(device), block=facts.get("block"))
    if texts.shape != (len(words), config.joint) or encoder.dim != config.dim:
        raise WeightsError(
            f"{folder / WEIGHTS} holds text embeddings {list(texts.shape)} for {len(words)} words in a space of "
            f"{config.joint}, and an alignment of {config.dim} values for an encoder of {encoder.dim}: they belong to "
            "different segmenters. Copy both files again, or make the segmenter again."
        )
    alignment = Alignment(config)
    fill(alignment, weights, what=str(folder / WEIGHTS))
    side = TextSide(
        clip, prompts=prompts, joint=config.joint, device=str(device), known=dict(zip(words, texts, strict=True))
    )
    refine = (
        load_masks_from(inference.refine_with, inference.automatic, device=str(device))
        if inference.refine_with
        else None
    )
    return Aligned(encoder, alignment, settings.names, texts=side, inference=inference, source=refine)
