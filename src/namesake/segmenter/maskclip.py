"""The kind `maskclip`: every patch takes the name that CLIP's own patch feature is nearest to, without any training.

Its folder holds the names' text embeddings and says which encoder to load; the encoder's weights are not copied.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip, load_clip
from namesake.errors import WeightsError
from namesake.records import Prediction
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.maskclip_refine import drop_absent, smooth_unsure
from namesake.segmenter.settings import CONFIG, WEIGHTS, Settings, read_weights
from namesake.shapes import ImageArray

MASKCLIP = "maskclip"
TEXTS = "texts"
"""Name of the text embeddings in `model.safetensors`: float32 [words, dim], L2-normalised."""


@final
class MaskClip:
    """Every patch gets the name whose text embedding is nearest to its own.

    MaskCLIP, https://arxiv.org/abs/2112.01071, section 3.2. Background is what is like no name (NamedMask,
    supplementary section 5), or what is most like a background word (ZUTIS's comparison).

    Args:
        clip: The encoder.
        texts: L2-normalised.
        labels: Label of each text; background words have 0.
        logit_scale: Scale of the cosines in the softmax.
        threshold: Pixels whose highest probability is lower become background; None for no threshold.
        resize_shorter: Shorter side that images are resized to; None keeps theirs.
        prompt_denoising: Words whose highest probability in the image is lower are left out; 0 leaves none out.
        key_smoothing: Patches whose highest probability is lower take over what like patches say; 0 changes none.
    """

    def __init__(
        self,
        clip: Clip,
        texts: Float[Tensor, "words dim"],
        *,
        labels: Sequence[int],
        logit_scale: float,
        threshold: float | None,
        resize_shorter: int | None,
        prompt_denoising: float = 0.0,
        key_smoothing: float = 0.0,
    ) -> None:
        self.clip, self.texts, self.labels = clip, texts.to(clip.device), tuple(labels)
        self.logit_scale, self.threshold, self.resize_shorter = logit_scale, threshold, resize_shorter
        self.prompt_denoising, self.key_smoothing = prompt_denoising, key_smoothing

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width, from bilinearly upsampled cosines."""
        logits = self._logits(images)
        return [
            decide(each, height=height, width=width, labels=self.labels, threshold=self.threshold) for each in logits
        ]

    def _logits(self, images: Sequence[ImageArray]) -> Float[Tensor, "batch words rows columns"]:
        """Logits of patches, refined where that is wanted."""
        if self.key_smoothing:
            patches, keys = self.clip.patches_and_keys(images, self.resize_shorter)
        else:
            patches = self.clip.dense(images, self.resize_shorter)
        logits = compare(patches, self.texts, logit_scale=self.logit_scale)
        if self.prompt_denoising:
            logits = drop_absent(logits, threshold=self.prompt_denoising)
        return smooth_unsure(logits, keys, threshold=self.key_smoothing) if self.key_smoothing else logits

    def weights(self) -> dict[str, Tensor]:
        """The text embeddings."""
        return {TEXTS: self.texts}


def open_maskclip(settings: Settings, folder: Path, device: torch.device) -> MaskClip:
    """Load the encoder that the settings name.

    Raises:
        WeightsError: It is missing, or does not fit the text embeddings.
    """
    facts, texts = settings.architecture, read_texts(folder)
    clip = load_fitting_clip(str(facts["clip"]), texts, device)
    return MaskClip(
        clip,
        texts,
        labels=facts["labels"],
        logit_scale=facts["logit_scale"],
        threshold=facts["threshold"],
        resize_shorter=facts["resize_shorter"],
        prompt_denoising=facts["prompt_denoising"],
        key_smoothing=facts["key_smoothing"],
    )


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
