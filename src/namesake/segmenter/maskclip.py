"""The kind `maskclip`: every patch takes the name that CLIP's own patch feature is nearest to, without any training.

Its folder holds the names' text embeddings and says which encoder to load; the encoder's weights are not copied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from namesake.config import option
from namesake.encoders import Clip, load_clip
from namesake.errors import WeightsError
from namesake.names.doubts import doubt
from namesake.names.prompts import TEMPLATES, embed
from namesake.records import Names, Prediction, Regime
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.maskclip_refine import drop_absent, smooth_unsure
from namesake.segmenter.settings import (
    CONFIG,
    TEXTS,
    WEIGHTS,
    SegmenterFolder,
    Settings,
    facts_of,
    open_segmenter,
    read_weights,
    save_segmenter,
)
from namesake.shapes import ImageArray
from namesake.workspace import stage

KIND = "maskclip"


@dataclass(frozen=True)
class MaskClipConfig:
    """How patches are named; the defaults are those that NamedMask compares with."""

    clip: str = option("openai/clip-vit-base-patch16", "CLIP of dense features.")
    logit_scale: float = option(100.0, "Scale of the cosines in the softmax.", above=0)
    threshold: float | None = option(
        0.25,
        "Pixels whose highest probability is lower are background; none: the background words decide.",
        at_least=0,
        at_most=1,
    )
    resize_shorter: int | None = option(
        None, "Shorter side that images are brought to; none keeps theirs.", at_least=16
    )
    prompt_denoising: float = option(
        0.0, "Leave out words that are nowhere surer than this; 0: none. MaskCLIP: 0.5.", at_least=0
    )
    key_smoothing: float = option(
        0.0, "Smooth patches that are no surer than this; 0: none, above 1: all. MaskCLIP: all.", at_least=0
    )


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda config: (config.clip,))
def build_maskclip(
    out: Path,
    names: Names,
    *,
    config: MaskClipConfig = MaskClipConfig(),
    templates: Sequence[str] = TEMPLATES,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that compares CLIP's patch features with the names.

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        config: The CLIP, and how patches are named.
        templates: Prompts that a name's text embedding is averaged over.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: The CLIP cannot be loaded.
    """
    clip = load_clip(config.clip, device=device)
    texts, labels = embed(names, clip, templates), list(range(1, len(names) + 1))
    doubt(names.names, texts, clip, encoder=config.clip, templates=templates)
    if config.threshold is None:
        texts = np.concatenate([clip.embed_names(names.background, templates), texts])
        labels = [0] * len(names.background) + labels
    facts = {"clip": config.clip, "labels": labels} | facts_of(config, MaskClipConfig)
    settings = Settings(KIND, names, facts, preprocessing=None, models=(clip.card,), regime=Regime.ZERO_SHOT)
    return save_segmenter(settings, {TEXTS: torch.from_numpy(texts)}, out)


@final
class MaskClip:
    """Every patch gets the name whose text embedding is nearest to its own.

    MaskCLIP, https://arxiv.org/abs/2112.01071, section 3.2. Background is what is like no name (NamedMask,
    supplementary section 5), or what is most like a background word (ZUTIS's comparison).

    Args:
        clip: The encoder.
        texts: L2-normalised.
        labels: Label of each text; background words have 0.
        config: Settings of naming patches.
    """

    def __init__(
        self, clip: Clip, texts: Float[Tensor, "words dim"], *, labels: Sequence[int], config: MaskClipConfig
    ) -> None:
        self.clip, self.texts, self.labels, self.config = clip, texts.to(clip.device), tuple(labels), config

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width, from bilinearly upsampled cosines."""
        logits = self._logits(images)
        return [
            decide(each, height=height, width=width, labels=self.labels, threshold=self.config.threshold)
            for each in logits
        ]

    def _logits(self, images: Sequence[ImageArray]) -> Float[Tensor, "batch words rows columns"]:
        """Logits of patches, refined where that is wanted."""
        if self.config.key_smoothing:
            patches, keys = self.clip.patches_and_keys(images, self.config.resize_shorter)
        else:
            patches = self.clip.dense(images, self.config.resize_shorter)
        logits = compare(patches, self.texts, logit_scale=self.config.logit_scale)
        if self.config.prompt_denoising:
            logits = drop_absent(logits, threshold=self.config.prompt_denoising)
        return smooth_unsure(logits, keys, threshold=self.config.key_smoothing) if self.config.key_smoothing else logits

    def weights(self) -> dict[str, Tensor]:
        """The text embeddings."""
        return {TEXTS: self.texts}


def open_maskclip(settings: Settings, folder: Path, device: torch.device) -> MaskClip:
    """Load the encoder that the settings name.

    Raises:
        WeightsError: It is missing, or does not fit the text embeddings.
    """
    facts, texts = dict(settings.architecture), read_texts(folder)
    labels, config = facts.pop("labels"), MaskClipConfig(**facts)
    return MaskClip(load_fitting_clip(config.clip, texts, device), texts, labels=labels, config=config)


def read_texts(folder: Path) -> Float[Tensor, "words dim"]:
    """Read the text embeddings of a segmenter without training.

    Raises:
        WeightsError: The folder holds none.
    """
    weights = read_weights(folder)
    if TEXTS not in weights:
        raise WeightsError(
            f"{folder / WEIGHTS} holds no {TEXTS!r}, but {', '.join(weights)}. Make the segmenter again."
        )
    return weights[TEXTS]


def load_fitting_clip(source: str, texts: Float[Tensor, "words dim"], device: torch.device) -> Clip:
    """Load the CLIP that made the text embeddings.

    Raises:
        WeightsError: It is missing, or makes embeddings of another width.
    """
    clip = load_clip(source, device=str(device))
    if clip.dim != texts.shape[1]:
        raise WeightsError(
            f"{source} makes embeddings of {clip.dim} values, the segmenter's names have {texts.shape[1]}: it was made "
            f"with another encoder. Make it again, or correct the source in its {CONFIG}."
        )
    return clip
