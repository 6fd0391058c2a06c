"""DeepLabv3+ on a dilated ResNet: one logit a label and pixel.

Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation, https://arxiv.org/abs/1802.02611, in
the form and state-dict layout of the published NamedMask weights: output stride 8, depthwise-separable convolutions in
the head without a normalisation between depthwise and pointwise part.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from namesake.config import fixed, option
from namesake.encoders.bottleneck import ResNet, sizes_of
from namesake.encoders.weights import Undrawn, fill, read_state
from namesake.errors import WeightsError
from namesake.tensors import ImageBatch, LogitsBatch

LAST = "classifier.classifier.3.weight"


@dataclass(frozen=True)
class DeepLabConfig:
    """Sizes of a DeepLabv3+; the defaults are NamedMask's."""

    stem: int = fixed(64, "Channels of the backbone's stem.")
    hidden_sizes: tuple[int, ...] = fixed((256, 512, 1024, 2048), "Output channels of the backbone's four stages.")
    depths: tuple[int, ...] = fixed((3, 4, 6, 3), "Blocks of the four stages.")
    output_stride: int = option(8, "Pixels a step of the last feature map.", paper="8", where="paper", at_least=1)
    low_level_channels: int = fixed(48, "Channels that the first stage's output is projected to.")
    aspp_channels: int = option(
        256, "Channels of the atrous spatial pyramid and of the decoder.", paper="256", where="paper", at_least=1
    )
    atrous_rates: tuple[int, ...] = option(
        (12, 24, 36), "Dilations of the pyramid's three 3x3 branches.", paper="12, 24, 36", where="paper", at_least=1
    )
    dropout: float = fixed(0.1, "Dropout after the pyramid, in training.")
    backbone_bn_momentum: float = fixed(
        0.01, "Momentum of the backbone's batch normalisation; 0.01 takes hundreds of updates to settle."
    )


@final
class DeepLab(nn.Module):
    """DeepLabv3+ with `labels` outputs, background included; `module(x)` gives logits at the size of `x`."""

    def __init__(self, labels: int, *, config: DeepLabConfig = DeepLabConfig()) -> None:
        super().__init__()
        self.labels, self.config, self.patch = labels, config, 1
        self.backbone = ResNet(
            stem=config.stem,
            hidden_sizes=config.hidden_sizes,
            depths=config.depths,
            output_stride=config.output_stride,
            momentum=config.backbone_bn_momentum,
        )
        self.classifier = _Head(labels, config)

    def forward(self, x: ImageBatch) -> LogitsBatch:
        """Logits [batch, labels, height, width], upsampled bilinearly to the pixels of `x`."""
        return _resize(self.coarse(x), like=x)

    def coarse(self, x: ImageBatch) -> Float[Tensor, "batch labels rows columns"]:
        """Logits at stride 4, before the upsampling."""
        low, high = self.backbone(x)
        logits: Tensor = self.classifier(low, high)
        return logits


@final
class _Head(nn.Module):
    def __init__(self, labels: int, config: DeepLabConfig) -> None:
        super().__init__()
        wide = config.aspp_channels
        self.project = _convolution(config.hidden_sizes[0], config.low_level_channels)
        self.aspp = _Pyramid(config.hidden_sizes[-1], wide, config.atrous_rates, config.dropout)
        self.classifier = nn.Sequential(
            _separable(config.low_level_channels + wide, wide, dilation=1),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, labels, 1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(
        self, low: Float[Tensor, "batch low rows columns"], high: Float[Tensor, "batch high rows_8 columns_8"]
    ) -> Float[Tensor, "batch labels rows columns"]:
        fine = self.project(low)
        # low-level channels and the upsampled pyramid's, side by side: [batch, low + wide, rows, columns]
        logits: Tensor = self.classifier(torch.cat([fine, _resize(self.aspp(high), like=fine)], dim=1))
        return logits


@final
class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, three dilated 3x3 and the image's mean, side by side."""

    def __init__(self, channels: int, wide: int, rates: Sequence[int], dropout: float) -> None:
        super().__init__()
        dilated = [
            nn.Sequential(_separable(channels, wide, dilation=rate), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))
            for rate in rates
        ]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_convolution(channels, wide))
        self.convs = nn.ModuleList([_convolution(channels, wide), *dilated, pooled])
        self.project = nn.Sequential(*_convolution(wide * (len(rates) + 2), wide), nn.Dropout(dropout))

    def forward(self, x: Float[Tensor, "batch high rows columns"]) -> Float[Tensor, "batch wide rows columns"]:
        branches = [branch(x) for branch in self.convs]
        # the image's mean [batch, wide, 1, 1] goes to every place
        branches[-1] = _resize(branches[-1], like=x)
        wide: Tensor = self.project(torch.cat(branches, dim=1))
        return wide


def _separable(channels: int, wide: int, *, dilation: int) -> nn.Sequential:
    """3x3 depthwise then 1x1 pointwise convolution, under the name that the published weights have for the two."""
    depthwise = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False)
    return nn.Sequential(OrderedDict(body=nn.Sequential(depthwise, nn.Conv2d(channels, wide, 1, bias=False))))


def _convolution(channels: int, wide: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))


def _resize(x: Tensor, *, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def load_official_deeplab(path_or_state: str | Path | Mapping[str, Tensor]) -> DeepLab:
    """Build the network that a published NamedMask, expert or ReCo+ checkpoint belongs to, and fill it.

    Args:
        path_or_state: A file written by `torch.save`, or its content: a state dict, flat or under "model" or
            "state_dict". The number of labels and the backbone's sizes are read from it.

    Returns:
        The network in evaluation mode, on the CPU.

    Raises:
        WeightsError: The file is missing or unreadable, or its keys do not fit; the misfits are listed.
    """
    state = read_state(path_or_state)
    if LAST not in state or not state[LAST].ndim:
        raise WeightsError(
            f"expected a DeepLabv3+ checkpoint with the key {LAST}, found {len(state)} keys such as "
            f"{', '.join(list(state)[:3]) or 'none'}. Check that the file is a NamedMask, expert or ReCo+ checkpoint."
        )
    backbone = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    with Undrawn():  # weights are not drawn only to be replaced
        network = DeepLab(state[LAST].shape[0], config=with_backbone(DeepLabConfig(), backbone))
    fill(network, state, what="the DeepLabv3+ checkpoint")
    return network.eval()


def with_backbone(config: DeepLabConfig, backbone: Mapping[str, Tensor]) -> DeepLabConfig:
    """The same configuration with the sizes of a backbone's torchvision-style state dict.

    Raises:
        WeightsError: The state is not that of a bottleneck ResNet.
    """
    stem, hidden_sizes, depths = sizes_of(backbone)
    return replace(config, stem=stem, hidden_sizes=hidden_sizes, depths=depths)
