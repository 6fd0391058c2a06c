"""The kind `frozen`: predict with a frozen encoder and a trained light decoder.

The folder holds the encoder's weights too, so that the segmenter opens without anything else.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Preprocessing
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.vit import config_of
from namesake.encoders.weights import fill
from namesake.errors import WeightsError
from namesake.images.geometry import enlarge
from namesake.networks.frozen import FrozenDecoderConfig, FrozenSegmenter
from namesake.records import Prediction
from namesake.segmenter.classify import decide
from namesake.segmenter.settings import CONFIG, WEIGHTS, Settings, read_weights
from namesake.shapes import ImageArray

KIND = "frozen"


@final
class FrozenClosedSet:
    """A frozen encoder with one logit a label, ready to predict.

    Args:
        network: Its labels are 0 = background and the names in order.
        preprocessing: How the encoder wants its input normalised.
        device: Where it computes.
    """

    def __init__(self, network: FrozenSegmenter, *, preprocessing: Preprocessing, device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.preprocessing, self.device = preprocessing, device

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width: images are brought to whole patches, logits are upsampled bilinearly."""
        return [decide(each, height=height, width=width) for each in self.logits(images)]

    @property
    def labels(self) -> Sequence[int]:
        """Label of each channel of the logits."""
        return range(self.network.labels)

    @torch.inference_mode()
    def logits(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> Float[Tensor, "batch labels rows columns"]:
        """Logits of images of one size, seen `scale` times as large, in whole patches."""
        x = self.preprocessing.fit_patches(enlarge(images, scale), patch=self.network.patch)
        seen: Tensor = self.network.coarse(x.to(self.device))
        return seen

    @property
    def passes_to_complete(self) -> int:
        """None."""
        return 0

    def complete(self, images: Sequence[ImageArray], read: Sequence[Prediction]) -> list[Prediction]:  # noqa: ARG002
        """The predictions as they are."""
        return list(read)

    def weights(self) -> dict[str, Tensor]:
        """What `model.safetensors` holds."""
        return self.network.state_dict()


def architecture_of(network: FrozenSegmenter) -> dict[str, Any]:
    """The sizes of a network, as `config.json` has them."""
    return {"encoder": config_of(network.encoder), "decoder": asdict(network.decoder.config)}


def open_frozen(settings: Settings, folder: Path, device: torch.device) -> FrozenClosedSet:
    """Build the network that the settings describe, and fill it from the folder.

    Raises:
        WeightsError: The weights are missing, damaged, or do not fit.
    """
    facts = settings.architecture
    try:
        decoder = FrozenDecoderConfig(**facts["decoder"])
        network = FrozenSegmenter(len(settings.names) + 1, encoder=facts["encoder"], decoder=decoder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{folder / CONFIG} describes no frozen encoder with a decoder ({error}). Make it again."
        ) from error
    fill(network, read_weights(folder), what=str(folder / WEIGHTS))
    return FrozenClosedSet(network, preprocessing=settings.preprocessing or IMAGENET, device=device)
