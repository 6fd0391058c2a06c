"""The kind `deeplab`: predict with a trained closed-set network."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from namesake.encoders import Preprocessing
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.weights import Undrawn, fill
from namesake.errors import WeightsError
from namesake.images.geometry import enlarge
from namesake.networks.deeplab import DeepLab, DeepLabConfig
from namesake.networks.frozen import FrozenSegmenter
from namesake.records import Prediction
from namesake.segmenter.classify import decide
from namesake.segmenter.settings import WEIGHTS, Settings, read_weights
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch

KIND = "deeplab"


@final
class ClosedSet:
    """A network with one logit a label, ready to predict: a DeepLabv3+, or a frozen encoder with a decoder.

    Args:
        network: Its labels are 0 = background and the names in order; images are brought to whole patches of it.
        preprocessing: Normalisation of its input.
        device: Device that computes.
        threshold: Probability below which a pixel's likeliest name is background; None for no such.
        coarse: Computation of what `network.coarse` does, such as a graph in another runtime; None for that itself.
        graph: Digest of the graph, where it does so in 8 bits.

    Attributes:
        labels: Label of each channel of the logits.
    """

    passes_to_complete = 0

    def __init__(
        self,
        network: DeepLab | FrozenSegmenter,
        *,
        preprocessing: Preprocessing,
        device: torch.device,
        threshold: float | None = None,
        coarse: Callable[[ImageBatch], Tensor] | None = None,
        graph: str = "",
    ) -> None:
        self.network, self.labels = network.to(device).eval(), range(network.labels)
        self.preprocessing, self.device, self.threshold = preprocessing, device, threshold
        self._coarse = coarse or self.network.coarse
        self.runtime: Literal["torch", "onnx"] = "torch" if coarse is None else "onnx"
        self.graph = graph

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, height: int, width: int) -> list[Prediction]:
        """Label maps of height x width, by the argmax of the bilinearly upsampled logits."""
        return [decide(each, height=height, width=width, threshold=self.threshold) for each in self.logits(images)]

    def with_coarse(self, coarse: Callable[[ImageBatch], Tensor], *, graph: str = "") -> "ClosedSet":
        """The same network, computed by something else."""
        rule, threshold = self.preprocessing, self.threshold
        return ClosedSet(
            self.network, preprocessing=rule, device=self.device, threshold=threshold, coarse=coarse, graph=graph
        )

    @torch.inference_mode()
    def logits(self, images: Sequence[ImageArray], *, scale: float = 1.0) -> Float[Tensor, "batch labels rows columns"]:
        """Logits of images of one size, seen `scale` times as large."""
        x = self.preprocessing.fit_patches(enlarge(images, scale), patch=self.network.patch)
        seen: Tensor = self._coarse(x.to(self.device))
        return seen

    def complete(self, images: Sequence[ImageArray], read: Sequence[Prediction]) -> list[Prediction]:  # noqa: ARG002
        """The predictions as they are."""
        return list(read)

    def weights(self) -> dict[str, Tensor]:
        """What `model.safetensors` holds."""
        return self.network.state_dict()


def architecture_of(network: DeepLab) -> dict[str, Any]:
    """The sizes of a network, as `config.json` has them."""
    return asdict(network.config)


def open_closed_set(settings: Settings, folder: Path, device: torch.device) -> ClosedSet:
    """Build the network that the settings describe, and fill it from the folder.

    Raises:
        WeightsError: The weights are missing, damaged, or do not fit.
    """
    sizes: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.architecture.items()
    }
    try:
        with Undrawn():  # weights are not drawn only to be replaced
            network = DeepLab(len(settings.names) + 1, config=DeepLabConfig(**sizes))
    except (TypeError, ValueError) as error:
        raise WeightsError(f"{folder}: its config.json describes no DeepLabv3+ ({error}). Make it again.") from error
    fill(network, read_weights(folder), what=str(folder / WEIGHTS))
    rule = settings.preprocessing or IMAGENET
    return ClosedSet(network, preprocessing=rule, device=device, threshold=settings.threshold)
