"""The kind `references`: compare patches with what each name's archive images share (ReCo).

ReCo, https://arxiv.org/abs/2206.07045, section 3.3: each pixel's cosine with a name's reference, times how far CLIP
takes it for the name. The folder holds references and text embeddings, and says which encoders to load.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip, Dino, load_clip, load_dino
from namesake.errors import WeightsError
from namesake.masks.cosegment import LANGUAGE_LOGIT_SCALE
from namesake.records import Prediction
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.settings import CONFIG, WEIGHTS, Settings, read_weights
from namesake.shapes import ImageArray

REFERENCE_MAPS = "references"
VECTORS, TEXTS = "references", "texts"
"""Names of the weights: float32 [names, dim] each, L2-normalised."""


@final
class ReferenceMaps:
    """Every pixel gets the name whose reference it is most like, where CLIP agrees.

    Args:
        encoder: In whose patch space the references lie.
        references: One a name, L2-normalised.
        block: Block of the encoder; None for the last.
        clip: Attends to the names; None leaves language out.
        texts: One a name, L2-normalised.
        logit_scale: Scale of the products in the softmax that gives the probability.
        threshold: Pixels whose highest probability is lower become background; None for no threshold.
        resize_shorter: Shorter side that images are resized to; None keeps theirs.
    """

    def __init__(
        self,
        encoder: Dino,
        references: Float[Tensor, "names dim"],
        *,
        block: int | None,
        clip: Clip | None,
        texts: Float[Tensor, "names joint"],
        logit_scale: float,
        threshold: float | None,
        resize_shorter: int | None,
    ) -> None:
        self.encoder, self.references, self.block = encoder, references, block
        self.clip, self.texts = clip, texts
        self.logit_scale, self.threshold, self.resize_shorter = logit_scale, threshold, resize_shorter

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width; both maps are brought to that size before they are multiplied."""
        features = torch.nn.functional.normalize(
            self.encoder.dense(images, self.resize_shorter, block=self.block), dim=-1
        )
        maps = torch.sigmoid(compare(features, self.references.to(features), logit_scale=1))
        attention: Sequence[Tensor | None] = [None] * len(images)
        if self.clip is not None:
            dense = self.clip.dense(images, self.resize_shorter)
            attention = list(compare(dense, self.texts.to(dense), logit_scale=LANGUAGE_LOGIT_SCALE).sigmoid())
        labels = range(1, len(self.references) + 1)
        return [
            decide(
                self.logit_scale * own,
                height=height,
                width=width,
                labels=labels,
                threshold=self.threshold,
                attention=language,
            )
            for own, language in zip(maps, attention, strict=True)
        ]

    def weights(self) -> dict[str, Tensor]:
        """The references and the text embeddings."""
        return {VECTORS: self.references, TEXTS: self.texts}


def open_reference_maps(settings: Settings, folder: Path, device: torch.device) -> ReferenceMaps:
    """Load the encoders that the settings name.

    Raises:
        WeightsError: One is missing, or does not fit the references.
    """
    facts, weights = settings.architecture, read_weights(folder)
    missing = {VECTORS, TEXTS} - weights.keys()
    if missing:
        raise WeightsError(f"{folder / WEIGHTS} holds no {' and no '.join(sorted(missing))}. Make the segmenter again.")
    encoder = load_dino(str(facts["dino"]), device=str(device))
    clip = load_clip(str(facts["clip"]), device=str(device)) if facts["clip"] else None
    for source, dim, found in (
        (facts["dino"], encoder.dim, weights[VECTORS].shape[1]),
        (facts["clip"], None if clip is None else clip.dim, weights[TEXTS].shape[1]),
    ):
        if dim not in (None, found):
            raise WeightsError(
                f"{source} makes vectors of {dim} values, the segmenter's have {found}: it was made with another "
                f"encoder. Make it again, or correct the source in its {CONFIG}."
            )
    options = {key: facts[key] for key in ("block", "logit_scale", "threshold", "resize_shorter")}
    return ReferenceMaps(encoder, weights[VECTORS], clip=clip, texts=weights[TEXTS], **options)
