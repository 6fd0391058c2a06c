"""The kind `saliency_clip`: the salient object takes the name that CLIP gives the whole image, without any training.

Its folder holds the names' text embeddings and says which models to load; their weights are not copied.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Clip, load_clip
from namesake.images.geometry import resize_labels
from namesake.masks import BilateralSolver, detect
from namesake.masks.bilateral import PUBLISHED
from namesake.names.doubts import doubt
from namesake.names.prompts import TEMPLATES, embed
from namesake.networks.selfmask import SelfMask, load_selfmask, read_saliency_card
from namesake.records import Names, Prediction, Regime
from namesake.segmenter.classify import name_mask
from namesake.segmenter.maskclip import load_fitting_clip, read_texts
from namesake.segmenter.settings import TEXTS, SegmenterFolder, Settings, open_segmenter, save_segmenter
from namesake.shapes import ImageArray
from namesake.workspace import stage

KIND = "saliency_clip"


@stage("segmenter", opens=open_segmenter, assembles=True, models=lambda clip, saliency: (clip, saliency))
def build_saliency_clip(
    out: Path,
    names: Names,
    *,
    clip: str,
    saliency: str,
    bilateral_solver: bool = True,
    logit_scale: float = 100.0,
    templates: Sequence[str] = TEMPLATES,
    device: str = "auto",
) -> SegmenterFolder:
    """Make a segmenter that finds the salient object and lets CLIP name it from the whole image.

    Args:
        out: Folder of the segmenter.
        names: Names to segment.
        clip: Source of the encoder.
        saliency: Source of the saliency network.
        bilateral_solver: Draw the masks to the image's edges.
        logit_scale: Scale of the cosines in the softmax that gives the confidence.
        templates: Prompts that a name's text embedding is averaged over.
        device: "auto", "cpu" or "cuda".

    Raises:
        WeightsError: The encoder or the saliency network cannot be loaded.
    """
    encoder = load_clip(clip, device=device)
    load_selfmask(saliency, device="cpu")  # what is missing is said now, not at the first image
    facts = {"clip": clip, "saliency": saliency, "bilateral_solver": bilateral_solver, "logit_scale": logit_scale}
    texts = embed(names, encoder, templates)
    doubt(names.names, texts, encoder, encoder=clip, templates=templates)
    models = (encoder.card, read_saliency_card(saliency))
    settings = Settings(KIND, names, facts, preprocessing=None, models=models, regime=Regime.ZERO_SHOT)
    return save_segmenter(settings, {TEXTS: torch.from_numpy(texts)}, out)


@final
class SaliencyClip:
    """The salient object gets the name that the whole image is most like.

    Args:
        clip: Names the image.
        network: Finds the object, in evaluation mode.
        texts: One a name, L2-normalised.
        solver: Draws the masks to the image's edges; None leaves them as the network has them.
        logit_scale: Scale of the cosines in the softmax that gives the confidence.
    """

    def __init__(
        self,
        clip: Clip,
        network: SelfMask,
        texts: Float[Tensor, "names dim"],
        *,
        solver: BilateralSolver | None,
        logit_scale: float,
    ) -> None:
        self.clip, self.network, self.texts = clip, network, texts
        self.solver, self.logit_scale = solver, logit_scale

    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Saliency masks with one name each, resized to height x width by nearest neighbour."""
        similarities = self.clip.embed_images(images) @ self.texts.numpy().T  # [batch, names]
        found = detect(self.network, images, solver=self.solver)
        return [
            name_mask(resize_labels(each.mask, height=height, width=width), row, logit_scale=self.logit_scale)
            for each, row in zip(found, similarities, strict=True)
        ]

    def weights(self) -> dict[str, Tensor]:
        """The text embeddings."""
        return {TEXTS: self.texts}


def open_saliency_clip(settings: Settings, folder: Path, device: torch.device) -> SaliencyClip:
    """Load the encoder and the saliency network that the settings name.

    Raises:
        WeightsError: One is missing, or the encoder does not fit the text embeddings.
    """
    facts, texts = settings.architecture, read_texts(folder)
    network = load_selfmask(facts["saliency"], device=str(device))
    return SaliencyClip(
        load_fitting_clip(str(facts["clip"]), texts, device),
        network,
        texts,
        solver=PUBLISHED if facts["bilateral_solver"] else None,
        logit_scale=facts["logit_scale"],
    )
