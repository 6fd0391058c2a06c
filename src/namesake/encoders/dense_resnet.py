"""Dense features of self-supervised ResNets (MoCo-v2, SwAV, DINO), one every 8 pixels, as SelfMask votes with.

SelfMask, https://arxiv.org/abs/2203.12614, section 4.1: the strides of the last two stages are traded for dilation.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch

from namesake.encoders.bottleneck import ResNet, read_backbone, sizes_of
from namesake.encoders.devices import Precision, arithmetic, pick_device
from namesake.encoders.dino import Dino, load_dino
from namesake.encoders.preprocess import IMAGENET
from namesake.encoders.sources import kind_of_source
from namesake.encoders.weights import fill
from namesake.errors import ConfigError
from namesake.records import ModelCard
from namesake.shapes import ImageArray
from namesake.tensors import ImageBatch, PatchFeatures

STRIDE = 8


@final
class DenseResNet:
    """A frozen dilated ResNet.

    Attributes:
        network: Output stride 8, in evaluation mode.
        patch_size: 8.
        dim: Channels of the last stage.
        preprocessing: ImageNet's.
        card: Name, source, licence and tier.
        device: Device that computes.
    """

    patch_size = STRIDE

    def __init__(
        self, network: ResNet, *, dim: int, card: ModelCard, device: torch.device, precision: Precision
    ) -> None:
        if precision == "int8":
            raise ConfigError("precision int8 is for the linear layers of transformers, a ResNet has convolutions.")
        self.network = network.eval().requires_grad_(False).to(device)
        self.dim, self.card, self.device, self.precision = dim, card, device, precision
        self.preprocessing = IMAGENET

    def normalise(self, images: Sequence[ImageArray]) -> ImageBatch:
        """Images of one size, not resized -> float32 [batch, 3, height, width] on the device.

        Raises:
            ImagesError: They differ in size, or there is none.
        """
        return self.preprocessing.normalise(images).to(self.device)

    @torch.no_grad()
    def patch_features(self, x: ImageBatch, *, block: int | None = None) -> PatchFeatures:
        """The last stage's output: float32 [batch, height / 8, width / 8, dim], not L2-normalised.

        Raises:
            ConfigError: A block is asked for, which only transformers have.
        """
        if block is not None:
            raise ConfigError(f"block is {block}; a ResNet has its last stage only. Leave it at -1.")
        with arithmetic(self.device, precision=self.precision):
            _, last = self.network(x)
        features: PatchFeatures = last.float().permute(0, 2, 3, 1)
        return features


def load_dense_resnet(source: str, *, device: str = "auto", precision: Precision = "no") -> DenseResNet:
    """Load a ResNet for dense features.

    Args:
        source: Source, see `read_backbone`.
        device: "auto", "cpu" or "cuda".
        precision: "no" for float32, or autocast to "bf16" or "fp16".

    Raises:
        WeightsError: The weights are missing, damaged, or not those of a bottleneck ResNet.
    """
    state, card = read_backbone(source)
    stem, hidden, depths = sizes_of(state)
    network = ResNet(stem=stem, hidden_sizes=hidden, depths=depths, output_stride=STRIDE)
    fill(network, state, what=source)
    return DenseResNet(network, dim=hidden[-1], card=card, device=pick_device(device), precision=precision)


SelfSupervised = Dino | DenseResNet


def load_self_supervised(source: str, *, device: str = "auto", precision: Precision = "no") -> SelfSupervised:
    """Load an encoder that votes: a DINO or DINOv2 transformer, or a ResNet of MoCo-v2, SwAV or DINO.

    Raises:
        WeightsError: Files are missing or damaged, or it is no such encoder.
    """
    resnet = Path(source).expanduser().is_file() or kind_of_source(source) == "resnet"
    return (load_dense_resnet if resnet else load_dino)(source, device=device, precision=precision)
