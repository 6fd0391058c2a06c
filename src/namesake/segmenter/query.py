"""The kind `query`: label maps and objects of a trained query segmenter (ZUTIS), for any names.

ZUTIS, https://arxiv.org/abs/2304.14376, section 3.3 (inference). The names that it was trained with lie in the folder
with their text embeddings; other names are encoded when they are asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.config import option
from namesake.encoders import Preprocessing
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.weights import Undrawn, fill
from namesake.errors import ConfigError, WeightsError
from namesake.images.geometry import enlarge, resize
from namesake.names.words import Prompts, with_background, words_of
from namesake.networks.clip_vit import ClipVitConfig
from namesake.networks.zutis import QueryProposals, QuerySegmenter, QuerySegmenterConfig
from namesake.records import Names, Prediction
from namesake.segmenter.classify import compare, decide
from namesake.segmenter.instances import ScoreFunction, find_instances
from namesake.segmenter.settings import CONFIG, TEXTS, WEIGHTS, Settings, read_weights
from namesake.segmenter.words import TextSide, Words
from namesake.shapes import ImageArray

KIND = "query"
FEWEST_PATCHES = 2


@dataclass(frozen=True)
class QueryInference:
    """How objects and labels are read off a query segmenter; the defaults are the published code's."""

    nms: float = option(
        0.3,
        "IoU above which the less sure of two objects of one name is dropped; 1 keeps all.",
        paper="0.3",
        where="code",
        at_least=0,
        at_most=1,
    )
    score_function: ScoreFunction = option(
        "sigmoid",
        'Probability of an object\'s name: "sigmoid" of each cosine alone (code), or "softmax" over all names (paper).',
    )
    patch_fit: Literal["crop", "resize"] = option(
        "crop",
        "Sides that are no multiple of the patch: the rest is unseen and the map stretched over it (code), or the "
        'image is resized to the nearest multiple ("resize").',
    )
    mark_unsure: bool = option(
        False, 'Pixels below their name\'s least confidence are "not sure".', paper="no", where="code"
    )


@dataclass(frozen=True)
class Certainty:
    """What turns cosines into confidence, and which confidence is too low to name a pixel; found on pseudo-labels.

    Attributes:
        logit_scale: Scale of the cosines in the softmax.
        least: Confidence below which a pixel of a word's label is "not sure", by word; that of 0 is background's.
        least_elsewhere: Least certainty of words without one.
    """

    logit_scale: float = 1.0
    least: Mapping[str, float] = field(default_factory=dict)
    least_elsewhere: float = 0.0

    def by_label(self, words: Words) -> list[float] | None:
        """The least confidence of each label from 0 on; None where any will do."""
        if not self.least and not self.least_elsewhere:
            return None
        # the first word of each label, its name; reversed, since of equal keys the last entry stays
        first = {label: word for word, label in reversed(list(zip(words.words, words.labels, strict=True)))}
        return [self.least.get(first[label], self.least_elsewhere) for label in range(max(words.labels) + 1)]


@final
class OpenVocabulary:
    """A query segmenter with names, ready to predict.

    Args:
        network: It may be shared by several of these.
        names: Names to segment.
        texts: Encodes them.
        preprocessing: Normalisation of the network's input.
        device: Device that computes.
        inference: Rules by which objects are read off.
        certainty: Certainty of pixels, and the least of each word.

    Attributes:
        labels: Label of each channel of the logits.
    """

    passes_to_complete = 1  # objects are those of one pass
    threshold = None

    def __init__(
        self,
        network: QuerySegmenter,
        names: Names,
        *,
        texts: TextSide,
        preprocessing: Preprocessing,
        device: torch.device,
        inference: QueryInference = QueryInference(),
        certainty: Certainty = Certainty(),
    ) -> None:
        self.network, self.names, self.text_side = network.to(device).eval(), names, texts
        self.preprocessing, self.device = preprocessing, device
        self.inference, self.certainty = inference, certainty
        self.words = texts.words(with_background(names))
        self.labels, self.texts = self.words.labels, self.words.texts.to(device)
        self.least = certainty.by_label(self.words) if inference.mark_unsure else None

    def with_names(self, names: Names) -> "OpenVocabulary":
        """The same network with other names.

        Raises:
            NamesError: There is none.
            WeightsError: A word is new, and the text encoder cannot be loaded or does not fit.
        """
        return self._but(names=names)

    def with_inference(self, inference: QueryInference) -> "OpenVocabulary":
        """The same network, read off in another way."""
        return self._but(inference=inference)

    def with_certainty(self, certainty: Certainty) -> "OpenVocabulary":
        """The same network, with another measure of what is sure."""
        return self._but(certainty=certainty)

    def _but(self, **changes: Any) -> "OpenVocabulary":  # noqa: ANN401
        kept = {name: getattr(self, name) for name in ("names", "preprocessing", "device", "inference", "certainty")}
        return OpenVocabulary(self.network, texts=self.text_side, **kept | changes)

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Labels, confidence and objects of height x width, from one forward pass."""
        found: QueryProposals = self.network(self.input(images, to_patches=self.inference.patch_fit == "resize"))
        # what is read off is computed in float32, whatever the network's precision
        with torch.autocast(self.device.type, enabled=False):
            labels = [self.decide(each, height=height, width=width) for each in self.compare(found)]
            objects = [
                find_instances(
                    mask_probs,
                    tokens,
                    self.texts,
                    names=self.names,
                    height=height,
                    width=width,
                    labels=self.labels,
                    overlap=None if self.inference.nms >= 1 else self.inference.nms,
                    score_function=self.inference.score_function,
                )
                for mask_probs, tokens in zip(found.mask_probs, found.tokens, strict=True)
            ]
        return [replace(each, instances=own) for each, own in zip(labels, objects, strict=True)]

    @torch.inference_mode()
    def logits(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> Float[Tensor, "batch words rows columns"]:
        """Calibrated logits of images of one size, seen `scale` times as large."""
        shown = self.input(enlarge(images, scale), to_patches=self.inference.patch_fit == "resize")
        found: QueryProposals = self.network(shown)
        with torch.autocast(self.device.type, enabled=False):
            return self.compare(found)

    def complete(self, images: Sequence[ImageArray], read: Sequence[Prediction]) -> list[Prediction]:
        """The predictions with the objects of one pass."""
        height, width = read[0].labels.shape
        found = self.predict(images, height=height, width=width)
        return [replace(each, instances=own.instances) for each, own in zip(read, found, strict=True)]

    def input(self, images: Sequence[ImageArray], *, to_patches: bool) -> Float[Tensor, "batch 3 height width"]:
        """Images of one size as the network wants them; sides of fewer than two patches are stretched to two.

        Args:
            images: RGB.
            to_patches: Resize to the nearest multiple of the patch.
        """
        patch, sides = self.network.config.encoder.patch, images[0].shape[:2]
        wanted = [max(FEWEST_PATCHES * patch, round(side / patch) * patch if to_patches else side) for side in sides]
        if tuple(wanted) != sides:
            images = [resize(image, height=wanted[0], width=wanted[1]) for image in images]
        return self.preprocessing.normalise(images).to(self.device)

    def compare(self, found: QueryProposals) -> Float[Tensor, "batch words rows columns"]:
        """Cosines of all tokens with all words, times the scale that makes them calibrated logits."""
        return compare(found.tokens.float(), self.texts, logit_scale=self.certainty.logit_scale)

    def decide(self, logits: Float[Tensor, "words rows columns"], *, height: int, width: int) -> Prediction:
        """Labels and confidence from logits of any resolution."""
        return decide(logits, height=height, width=width, labels=self.labels, least=self.least)

    def weights(self) -> dict[str, Tensor]:
        """The network's weights, and the text embeddings of the names."""
        return self.network.state_dict() | {TEXTS: self.texts}


def architecture_of(predictor: OpenVocabulary, *, clip: str, prompts: Prompts) -> dict[str, Any]:
    """What `config.json` says of the network, its text encoder, and how it is read off."""
    return {
        "network": asdict(predictor.network.config),
        "clip": clip,
        "prompts": prompts,
        "inference": asdict(predictor.inference),
        "certainty": asdict(predictor.certainty),
    }


def open_open_vocabulary(settings: Settings, folder: Path, device: torch.device) -> OpenVocabulary:
    """Build the network that the settings describe, and fill it from the folder; no text encoder is loaded.

    Raises:
        WeightsError: The weights are missing, damaged, or do not fit the network or the names.
    """
    facts, weights = settings.architecture, read_weights(folder)
    try:
        sizes = dict(facts["network"])
        config = QuerySegmenterConfig(**(sizes | {"encoder": ClipVitConfig(**sizes["encoder"])}))
        inference, certainty = QueryInference(**facts["inference"]), Certainty(**facts["certainty"])
        source, prompts = str(facts["clip"]), facts["prompts"]
        with Undrawn():  # weights are not drawn only to be replaced
            network = QuerySegmenter(config)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise WeightsError(f"{folder / CONFIG} describes no query segmenter ({error}). Make it again.") from error
    embeddings, joint = weights.pop(TEXTS, torch.zeros(0, 0)), config.encoder.joint
    fill(network, weights, what=str(folder / WEIGHTS))
    words, _ = words_of(with_background(settings.names))
    if embeddings.shape != (len(words), joint):
        raise WeightsError(
            f"{folder / WEIGHTS} holds text embeddings {list(embeddings.shape)}, expected [{len(words)}, {joint}] for "
            f"the words in its {CONFIG} and the network's tokens. Copy both files again, or make the segmenter again."
        )
    known = dict(zip(words, embeddings, strict=True))
    texts = TextSide(source, prompts=prompts, joint=joint, device=str(device), known=known)
    return OpenVocabulary(
        network,
        settings.names,
        texts=texts,
        preprocessing=settings.preprocessing or IMAGENET,
        device=device,
        inference=inference,
        certainty=certainty,
    )
