"""The kind `references`: compare patches with what each name's archive images share (ReCo).

ReCo, https://arxiv.org/abs/2206.07045, section 3.3: each pixel's cosine with a name's reference, times how far CLIP
takes it for the name. The folder holds references and text embeddings, and says which encoders to load.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.config import option
from namesake.encoders import Clip, Dino, load_clip, load_dino
from namesake.errors import WeightsError
from namesake.masks.cosegment import LANGUAGE_LOGIT_SCALE
from namesake.masks.references import References
from namesake.names.prompts import embed
from namesake.records import Names, Prediction
from namesake.segmenter.classify import compare, decide
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

KIND = "references"
VECTORS = "references"
"""Name of the references among the weights: float32 [names, dim], L2-normalised."""


@dataclass(frozen=True)
class ReferenceMapsConfig:
    """How pixels are compared with references; the defaults are ReCo's, with NamedMask's threshold."""

    threshold: float | None = option(
        0.9,
        "Pixels whose highest probability is lower are background; none: there is no background.",
        at_least=0,
        at_most=1,
    )
    logit_scale: float = option(100.0, "Scale of the scores in the softmax that gives the probability.", above=0)
    resize_shorter: int | None = option(
        None,
        "Shorter side that images are brought to in step 3; none keeps theirs. Cityscapes and COCO-Stuff: 320.",
        at_least=16,
    )


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda clip: (clip,))
def build_reference_maps(
    out: Path,
    references: References,
    names: Names,
    *,
    clip: str,
    config: ReferenceMapsConfig = ReferenceMapsConfig(),
    language: bool = True,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that compares patches with what each name's images share.

    Args:
        out: Folder of the segmenter.
        references: One a name.
        names: Names of the references.
        clip: Source of the CLIP that attends to the names.
        config: Settings of the comparison.
        language: Multiply the maps by how far CLIP takes each pixel for the name.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: The CLIP cannot be loaded.
    """
    encoder = load_clip(clip, device=device)
    facts = {"dino": references.encoder, "block": references.block, "clip": clip if language else ""}
    facts |= facts_of(config, ReferenceMapsConfig)
    models = tuple(dict.fromkeys((*references.models, encoder.card)))
    weights = {TEXTS: torch.from_numpy(embed(names, encoder)), VECTORS: torch.from_numpy(references.vectors)}
    return save_segmenter(Settings(KIND, names, facts, preprocessing=None, models=models), weights, out)


@final
class ReferenceMaps:
    """Every pixel gets the name whose reference it is most like, where CLIP agrees.

    Args:
        encoder: Encoder in whose patch space the references lie.
        references: One a name, L2-normalised.
        block: Block of the encoder; None for the last.
        clip: Attends to the names; None leaves language out.
        texts: One a name, L2-normalised.
        config: Settings of the comparison.
    """

    def __init__(
        self,
        encoder: Dino,
        references: Float[Tensor, "names dim"],
        *,
        block: int | None,
        clip: Clip | None,
        texts: Float[Tensor, "names joint"],
        config: ReferenceMapsConfig,
    ) -> None:
        self.encoder, self.references, self.block = encoder, references, block
        self.clip, self.texts, self.config = clip, texts, config

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width; both maps are brought to that size before they are multiplied."""
        # maps [batch, names, rows, columns]: sigmoid of the cosine of each patch and reference
        features = torch.nn.functional.normalize(
            self.encoder.dense(images, self.config.resize_shorter, block=self.block), dim=-1
        )
        maps = torch.sigmoid(compare(features, self.references.to(features), logit_scale=1))
        # attention: for each image what CLIP says of each name, [names, rows, columns] of CLIP's own grid
        attention: Sequence[Tensor | None] = [None] * len(images)
        if self.clip is not None:
            dense = self.clip.dense(images, self.config.resize_shorter)
            attention = list(compare(dense, self.texts.to(dense), logit_scale=LANGUAGE_LOGIT_SCALE).sigmoid())
        labels = range(1, len(self.references) + 1)
        return [
            decide(
                self.config.logit_scale * own,
                height=height,
                width=width,
                labels=labels,
                threshold=self.config.threshold,
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
    config = ReferenceMapsConfig(facts["threshold"], facts["logit_scale"], facts["resize_shorter"])
    return ReferenceMaps(
        encoder, weights[VECTORS], block=facts["block"], clip=clip, texts=weights[TEXTS], config=config
    )
