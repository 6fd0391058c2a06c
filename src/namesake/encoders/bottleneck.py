"""A dilated bottleneck ResNet: images in, a fine and a coarse feature map out; it knows no labels.

Deep Residual Learning, https://arxiv.org/abs/1512.03385, in the layout of torchvision's state dict (`conv1`, `bn1`,
`layer1.0.conv1`, ...), which the published DINO weights use too. The stride of a stage that would go beyond
`output_stride` is traded for dilation.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from namesake.encoders.resnet import load_backbone
from namesake.encoders.weights import read_state
from namesake.errors import ConfigError, WeightsError
from namesake.records import ModelCard

WITHIN = re.compile(r"(module\.)?(encoder_q\.|backbone\.)?(?P<key>(conv1|bn1|layer[1-4])\..+)")
REDUCTION = 4
"""A bottleneck works in a quarter of its output's channels."""


@final
class Bottleneck(nn.Module):
    """1x1, 3x3 (strided, dilated), 1x1 convolutions beside a shortcut."""

    def __init__(
        self, channels: int, hidden: int, *, stride: int, dilation: int, project: bool, momentum: float
    ) -> None:
        super().__init__()
        inner = hidden // REDUCTION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, momentum=momentum)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(inner, momentum=momentum)
        self.conv3 = nn.Conv2d(inner, hidden, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(hidden, momentum=momentum)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if project:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, hidden, 1, stride, bias=False), nn.BatchNorm2d(hidden, momentum=momentum)
            )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch hidden rows columns"]:
        """Residual block."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.bn3(self.conv3(y)) + shortcut)  # type: ignore[no-any-return]


@final
class ResNet(nn.Module):
    """The network without pooling and classifier.

    Args:
        stem: Channels of the 7x7 stem.
        hidden_sizes: Output channels of the four stages.
        depths: Blocks of the four stages.
        output_stride: Pixels a step of the last feature map; 4, 8, 16 or 32.
        momentum: Momentum of every batch normalisation.
    """

    def __init__(
        self,
        *,
        stem: int = 64,
        hidden_sizes: Sequence[int] = (256, 512, 1024, 2048),
        depths: Sequence[int] = (3, 4, 6, 3),
        output_stride: int = 8,
        momentum: float = 0.01,
    ) -> None:
        super().__init__()
        if output_stride not in {4, 8, 16, 32}:
            raise ConfigError(f"output_stride is {output_stride}; choose 4, 8, 16 or 32.")
        self.conv1 = nn.Conv2d(3, stem, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem, momentum=momentum)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        stages, channels, reached, dilation = [], stem, 4, 1
        for stage, (hidden, depth) in enumerate(zip(hidden_sizes, depths, strict=True)):
            # a stride beyond `output_stride` becomes dilation, which the first block does not have yet (as torchvision)
            wanted = 1 if stage == 0 else 2
            first_dilation = dilation
            stride = wanted if reached * wanted <= output_stride else 1
            reached, dilation = reached * stride, dilation * wanted // stride
            blocks = [
                Bottleneck(
                    channels if block == 0 else hidden,
                    hidden,
                    stride=stride if block == 0 else 1,
                    dilation=first_dilation if block == 0 else dilation,
                    project=block == 0 and (channels != hidden or wanted == 2),
                    momentum=momentum,
                )
                for block in range(depth)
            ]
            stages.append(nn.Sequential(*blocks))
            channels = hidden
        self.layer1, self.layer2, self.layer3, self.layer4 = stages

    def forward(
        self, x: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch low rows columns"], Float[Tensor, "batch high rows_8 columns_8"]]:
        """First stage's output (stride 4) and last stage's output (stride `output_stride`) of normalised images."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        low = self.layer1(x)
        return low, self.layer4(self.layer3(self.layer2(low)))


def sizes_of(state: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Stem channels, output channels and depths of the four stages, read from a torchvision-style state dict.

    Raises:
        WeightsError: The state is not that of a bottleneck ResNet.
    """
    try:
        stem = state["conv1.weight"].shape[0]
        blocks = [{int(key.split(".")[1]) for key in state if key.startswith(f"layer{n}.")} for n in (1, 2, 3, 4)]
        hidden, inner, _, _ = zip(*(state[f"layer{n}.0.conv3.weight"].shape for n in (1, 2, 3, 4)), strict=True)
        if any(wide != REDUCTION * narrow for wide, narrow in zip(hidden, inner, strict=True)):
            raise ValueError(f"conv3 with {inner} inputs and {hidden} outputs")
    except (KeyError, IndexError, ValueError) as error:
        raise WeightsError(
            f"expected the weights of a ResNet with bottleneck blocks (conv1, bn1, layer1 to layer4), found none under "
            f"{error}. Give a ResNet-50 or another bottleneck ResNet as the backbone."
        ) from error
    return stem, hidden, tuple(len(block) for block in blocks)


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of a transformers ResNetModel's state dict to torchvision's.

    Raises:
        WeightsError: A key belongs to no bottleneck ResNet.
    """
    renamed = {}
    for key, value in state.items():
        name = _renamed(key.removeprefix("resnet."))
        if name is None:
            raise WeightsError(
                f"expected the weights of a transformers ResNetModel with bottleneck blocks, found the key {key}. "
                "Give a ResNet (layer_type bottleneck) as the backbone."
            )
        renamed[name] = value
    return renamed


def from_checkpoint(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone in a training checkpoint of DINO, MoCo-v2 or SwAV, under torchvision's keys.

    Wrappers (`module.`, and `encoder_q.` or `backbone.`) are taken off; what is not the backbone (classifier,
    projection head, prototypes, queue, key encoder) is left out.
    """
    return {match["key"]: value for key, value in state.items() if (match := WITHIN.fullmatch(key))}


def _renamed(key: str) -> str | None:
    parts = key.split(".")
    kinds = {"convolution": "conv", "normalization": "bn"}
    # embedder.embedder.convolution.weight -> conv1.weight
    if parts[0] == "embedder" and parts[2] in kinds:
        return ".".join([f"{kinds[parts[2]]}1", *parts[3:]])
    if parts[:2] != ["encoder", "stages"]:
        return None
    # encoder.stages.0.layers.1.layer.2.convolution.weight -> layer1.1.conv3.weight
    place = f"layer{int(parts[2]) + 1}.{parts[4]}"
    if parts[5] == "shortcut":
        return ".".join([place, "downsample", "0" if parts[6] == "convolution" else "1", *parts[7:]])
    if parts[5] == "layer" and parts[7] in kinds:
        return ".".join([place, f"{kinds[parts[7]]}{int(parts[6]) + 1}", *parts[8:]])
    return None


def read_backbone(source: str) -> tuple[dict[str, Tensor], ModelCard]:
    """Weights to start a ResNet from, under torchvision's keys, and where they come from.

    Args:
        source: A file of a torchvision-style ResNet (the published `dino_resnet50_pretrain.pth`, or a checkpoint of
            MoCo-v2 or SwAV), or a transformers ResNet: hub id, folder or `embedded:resnet`.

    Raises:
        WeightsError: The weights are missing, damaged, or not those of a bottleneck ResNet.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return from_checkpoint(read_state(path)), ModelCard(name=path.stem, source=source)
    model = load_backbone(source)
    return from_transformers(model.state_dict()), model.card
